"""One description of an operation's use, and every check that it must pass.

A test module lists :class:`Case` objects in ``CASES`` and imports the checks (``from tests.ops.harness import
test_values, ...``): pytest then runs each check on each case. ``test_planted_faults.py`` walks the cases of all
modules, so an operation without one is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.backend import namespace
from minidl.errors import GradError

try:
    import torch
except ImportError:
    torch = None

Maker = Callable[[np.random.Generator], np.ndarray]


def positive(*shape: int) -> Maker:
    """Numbers from 0.5 to 2."""
    return lambda rng: rng.uniform(0.5, 2.0, shape)


def unit(*shape: int) -> Maker:
    """Numbers from 0.1 to 0.9, away from both ends."""
    return lambda rng: rng.uniform(0.1, 0.9, shape)


def nonzero(*shape: int) -> Maker:
    """Numbers of either sign, at least 0.1 from zero, where many functions have a kink."""
    return lambda rng: rng.uniform(0.1, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def distinct(*shape: int) -> Maker:
    """Numbers all at least 0.1 apart, so that a finite difference never changes which is largest."""

    def make(rng: np.random.Generator) -> np.ndarray:
        size = int(np.prod(shape))
        return (rng.permutation(size) * 0.1 - size * 0.05 + 0.03).reshape(shape)

    return make


@dataclass
class Case:
    """One call of an operation.

    Attributes
    ----------
    op : str
        The name under which the operation is registered.
    call : callable
        Makes the call on minidl tensors; returns a tensor or a tuple of them.
    inputs : list
        Shapes (filled with normal numbers), makers such as :func:`positive`, or arrays (those of float64 are
        differentiated, others are constants).
    expected : callable, optional
        The same call on NumPy arrays.
    torch : callable, optional
        The same call on PyTorch tensors; values and gradients are compared where PyTorch is installed.
    differentiable : bool
        False for comparisons and the like, which have values only.
    second : bool
        False for an operation that cannot be differentiated twice and must raise a GradError saying so.
    """

    op: str
    call: Callable[..., Any]
    inputs: list[Any]
    expected: Callable[..., Any] | None = None
    torch: Callable[..., Any] | None = None
    differentiable: bool = True
    second: bool = True
    rtol: float = 1e-9

    def arrays(self, seed: int = 0) -> list[np.ndarray]:
        """Return the inputs as NumPy arrays."""
        rng = np.random.default_rng(seed)
        arrays = []
        for spec in self.inputs:
            if isinstance(spec, np.ndarray):
                arrays.append(spec)
            elif callable(spec):
                arrays.append(np.asarray(spec(rng)))
            else:
                arrays.append(np.asarray(rng.standard_normal(spec)))
        return arrays

    def tensors(self, dtype: Any = None) -> list[Any]:
        """Return the inputs as tensors; float ones require gradients."""
        made = []
        for array in self.arrays():
            float_input = array.dtype.kind == "f"
            made.append(
                minidl.tensor(
                    array,
                    dtype=dtype if dtype is not None and float_input else None,
                    requires_grad=float_input and self.differentiable,
                )
            )
        return made


def outputs(result: Any) -> list[Any]:
    """Return the results of a call as a list."""
    return list(result) if isinstance(result, (tuple, list)) else [result]


def floats(result: Any) -> list[Any]:
    """Return those results that gradients flow through."""
    return [y for y in outputs(result) if y.dtype.kind == "f"]


def backpropagate(case: Case, tensors: list[Any]) -> list[np.ndarray | None]:
    """Return the gradient of each input for a fixed random upstream gradient."""
    rng = np.random.default_rng(7)
    results = floats(case.call(*tensors))
    total = None
    for y in results:
        upstream = minidl.tensor(rng.standard_normal(y.shape).astype(str(y.dtype)), device=y.device)
        term = (y * upstream).sum()
        total = term if total is None else total + term
    total.backward()
    return [None if x.grad is None else x.grad.numpy() for x in tensors]


def test_values(case: Case) -> None:
    """The values are NumPy's."""
    if case.expected is None:
        return
    got = outputs(case.call(*case.tensors()))
    want = case.expected(*case.arrays())
    want = list(want) if isinstance(want, (tuple, list)) else [want]
    assert len(got) == len(want)
    for y, w in zip(got, want, strict=True):
        w = np.asarray(w)
        assert y.shape == w.shape
        assert y.dtype.kind == w.dtype.kind
        np.testing.assert_allclose(y.numpy(force=True), w, rtol=case.rtol, atol=1e-12)


def test_torch(case: Case) -> None:
    """Values and gradients are PyTorch's."""
    if case.torch is None:
        return
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f" and case.differentiable) for a in case.arrays()]
    want = case.torch(*theirs)
    want = list(want) if isinstance(want, (tuple, list)) else [want]
    tensors = case.tensors()
    got = outputs(case.call(*tensors))
    assert len(got) == len(want)
    for y, w in zip(got, want, strict=True):
        assert y.shape == tuple(w.shape)
        np.testing.assert_allclose(y.numpy(force=True), w.detach().numpy(), rtol=case.rtol, atol=1e-12)
    if not case.differentiable:
        return
    rng = np.random.default_rng(7)
    total = sum((w * torch.tensor(rng.standard_normal(tuple(w.shape)))).sum() for w in want if w.is_floating_point())
    total.backward()
    for mine, their in zip(backpropagate(case, tensors), theirs, strict=True):
        if their.grad is not None:
            np.testing.assert_allclose(mine, their.grad.numpy(), rtol=1e-7, atol=1e-9)


def test_gradients(case: Case) -> None:
    """First derivatives agree with finite differences along a random direction."""
    if not case.differentiable:
        for y in outputs(case.call(*[x.detach() for x in case.tensors()])):
            assert not y.requires_grad
        return
    assert minidl.gradcheck(case.call, tuple(case.tensors()))


def test_second_gradients(case: Case) -> None:
    """Second derivatives agree too, or the operation says that it has none."""
    if not case.differentiable:
        return
    if case.second:
        assert minidl.gradgradcheck(case.call, tuple(case.tensors()))
    else:
        with pytest.raises(GradError, match="cannot be differentiated twice"):
            minidl.gradgradcheck(case.call, tuple(case.tensors()))


def test_dtype_is_kept(case: Case) -> None:
    """float32 in, float32 out, and no rule makes a float64 on the way back."""
    tensors = case.tensors("float32")
    results = case.call(*tensors)
    for y in outputs(results):
        assert y.dtype != np.float64, f"{case.op} returned float64 for float32 input"
    if not case.differentiable:
        return
    for node in {y._node for y in floats(results) if y._node is not None}:
        upstream = [minidl.ones(y.shape).array for y in _outputs_of(node, floats(results))]
        with np.errstate(all="ignore"):  # as in a backward pass
            grads = node.backward(*upstream)
        for edge, grad in zip(node.edges, grads if isinstance(grads, tuple) else (grads,), strict=True):
            if edge is not None and grad is not None:
                assert grad.dtype == np.float32, f"{case.op}: its backward made {grad.dtype} from float32"


def _outputs_of(node: Any, results: list[Any]) -> list[Any]:
    if node.outputs is None:
        return [y for y in results if y._node is node]
    return [minidl.tensor(np.zeros(shape, "f4")) for shape, _ in node.outputs]


def test_memory_layout(case: Case) -> None:
    """Transposed, reversed and sliced inputs give what contiguous ones give."""
    if not all(a.dtype.kind == "f" for a in case.arrays()):
        return
    want = backpropagate(case, case.tensors()) if case.differentiable else None
    plain = [np.array(y.numpy(force=True)) for y in outputs(case.call(*[x.detach() for x in case.tensors()]))]
    for relayout in (_fortran, _reversed, _spaced):
        tensors = []
        for x in case.tensors():
            x.array = relayout(x.array)
            tensors.append(x)
        got = outputs(case.call(*[x.detach() for x in tensors]))
        for y, w in zip(got, plain, strict=True):
            np.testing.assert_allclose(y.numpy(force=True), w, rtol=1e-9, atol=1e-12)
        if want is not None:
            for mine, w in zip(backpropagate(case, tensors), want, strict=True):
                if w is not None:
                    np.testing.assert_allclose(mine, w, rtol=1e-8, atol=1e-11)


def _fortran(a: Any) -> Any:
    return namespace(a).array(a, order="F")


def _reversed(a: Any) -> Any:
    xp = namespace(a)
    return xp.ascontiguousarray(xp.flip(a))[(slice(None, None, -1),) * a.ndim] if a.ndim else a


def _spaced(a: Any) -> Any:
    if not a.ndim:
        return a
    wide = namespace(a).full(tuple(2 * n for n in a.shape), np.nan)
    view = wide[(slice(None, None, 2),) * a.ndim]
    view[...] = a
    return view
