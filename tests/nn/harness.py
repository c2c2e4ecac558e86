"""What the tests of layers share: PyTorch's module and ours, the same weights in, the same numbers out."""

from __future__ import annotations

from typing import Any

import numpy as np

import minidl
from minidl import nn

try:
    import torch
except ImportError:  # the tests that compare skip themselves: they ask for it by pytest.importorskip
    torch = None


def numbers(x: Any) -> np.ndarray:
    """Return a tensor of either library as an array."""
    return x.detach().numpy()


def copy_weights(theirs: Any, ours: nn.Module) -> None:
    """Load PyTorch's state into ours."""
    ours.load_state_dict(theirs.state_dict())


def flat(outputs: Any) -> list[Any]:
    """Return the tensors in nested tuples in order."""
    if isinstance(outputs, (tuple, list)):
        return [x for output in outputs for x in flat(output)]
    return [outputs]


def same_as_torch(
    ours: nn.Module,
    theirs: Any,
    *inputs: Any,
    tolerance: float = 1e-5,
    state: bool = True,
    same_repr: bool = True,
) -> None:
    """Assert that both modules compute the same outputs, and gradients of inputs and parameters, from the same weights.

    Float inputs get gradients; a random gradient is sent back through every output.
    """
    if state:
        copy_weights(theirs, ours)
        assert list(ours.state_dict()) == list(theirs.state_dict())
        theirs.load_state_dict({n: torch.from_numpy(numbers(x).copy()) for n, x in ours.state_dict().items()})
    if same_repr:
        assert repr(ours) == repr(theirs)
    mine = [_leaf(x, minidl.tensor) for x in inputs]
    yours = [_leaf(x, torch.tensor) for x in inputs]
    outputs, expected = flat(ours(*mine)), flat(theirs(*yours))
    assert len(outputs) == len(expected)
    rng = np.random.default_rng(1)
    total, total_expected = 0, 0
    for y, z in zip(outputs, expected, strict=True):
        assert y.shape == tuple(z.shape)
        assert str(y.dtype) == str(z.dtype).removeprefix("torch.")
        np.testing.assert_allclose(numbers(y), numbers(z), rtol=tolerance, atol=tolerance)
        upstream = rng.standard_normal(y.shape).astype(np.float32)
        total = total + (y * minidl.tensor(upstream)).sum()
        total_expected = total_expected + (z * torch.tensor(upstream)).sum()
    if not total_expected.requires_grad:
        return
    total.backward()
    total_expected.backward()
    pairs = [*zip(flat(mine), flat(yours), strict=True), *zip(ours.parameters(), theirs.parameters(), strict=True)]
    for x, z in pairs:
        assert (x.grad is None) == (z.grad is None)
        if z.grad is not None:
            np.testing.assert_allclose(numbers(x.grad), numbers(z.grad), rtol=10 * tolerance, atol=10 * tolerance)
    for x, z in zip(ours.buffers(), theirs.buffers(), strict=True):
        np.testing.assert_allclose(numbers(x), numbers(z), rtol=tolerance, atol=tolerance)


def _leaf(x: Any, tensor: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(_leaf(part, tensor) for part in x)
    if not isinstance(x, np.ndarray):
        return x
    return tensor(x, requires_grad=x.dtype.kind == "f")


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Return random float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
