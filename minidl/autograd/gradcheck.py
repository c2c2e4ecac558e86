"""Is a gradient right? Compare it with a finite difference along a random direction.

For random :math:`u` and :math:`v`, the engine's :math:`(u^\\top J) v` must equal the numerical
:math:`u^\\top (J v)`. One inner product checks all entries at once, in two evaluations of the function. The random
upstream gradient matters: with ``u = 1`` (a plain ``.sum()``) a softmax would check ``0 == 0``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minidl.autograd.functional import _as_tuple, grad
from minidl.autograd.modes import enable_grad, no_grad
from minidl.autograd.variable import Variable, wrap
from minidl.backend import namespace, to_numpy
from minidl.errors import DTypeError, GradError


def _check_inputs(inputs: Sequence[Any], name: str) -> list[Any]:
    # once each, even if the function takes it twice
    wanted = list(dict.fromkeys(x for x in inputs if isinstance(x, Variable) and x._requires_grad))
    for x in wanted:
        if x.array.dtype != np.float64:
            raise DTypeError(f"{name}: finite differences need float64 inputs, got {x.array.dtype}; use x.double()")
    if not wanted:
        raise GradError(f"{name}: no input requires gradients; pass at least one with requires_grad=True")
    return wanted


def _float_outputs(out: Any) -> list[Any]:
    return [y for y in _as_tuple(out) if isinstance(y, Variable) and y.array.dtype.kind == "f"]


def _like(array: Any, values: np.ndarray) -> Any:
    return namespace(array).asarray(values.astype(array.dtype))


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    r"""Check the gradients of ``func`` against finite differences along a random direction.

    .. math:: (u^\top J)\, v \approx u^\top \frac{f(x + \epsilon v) - f(x - \epsilon v)}{2 \epsilon}

    Parameters
    ----------
    func : callable
        Takes tensors, returns a tensor or a tuple of them; must be deterministic.
    inputs : Tensor or tuple of Tensor
        float64; those with ``requires_grad`` are checked.
    eps : float
        Step of the central difference.
    atol, rtol : float
        Tolerances of the comparison, absolute and relative to the size of the terms that are summed.
    seed : int
        Of the random directions.
    raise_exception : bool
        Raise if the check fails, instead of returning False.

    Returns
    -------
    bool

    Raises
    ------
    GradError
        If the gradients differ; the message has both values.
    DTypeError
        If an input that requires gradients is not float64.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([0.3, -1.2], dtype="float64", requires_grad=True)
    >>> minidl.gradcheck(lambda x: x.exp() * x, x)
    True

    References
    ----------
    PyTorch's ``torch.autograd.gradcheck`` (its ``fast_mode``); HIPS autograd's ``check_grads``.
    """
    inputs = _as_tuple(inputs)
    wanted = _check_inputs(inputs, "gradcheck")
    rng = np.random.default_rng(seed)
    outputs = _float_outputs(func(*inputs))
    tracked = [y for y in outputs if y._requires_grad]
    if not tracked:
        raise GradError("gradcheck: no output requires gradients; the function's result is cut off from its inputs")
    factors = [rng.standard_normal(y.array.shape) for y in outputs]
    directions = [rng.standard_normal(x.array.shape) for x in wanted]

    used = [wrap(_like(y.array, u)) for y, u in zip(outputs, factors, strict=True) if y._requires_grad]
    found = grad(tracked, wanted, used, allow_unused=True)
    terms = [np.zeros(v.shape) if g is None else to_numpy(g.array) * v for g, v in zip(found, directions, strict=True)]
    analytic = sum(float(term.sum()) for term in terms)
    size = sum(float(np.abs(term).sum()) for term in terms)

    def shifted(step: float) -> list[np.ndarray]:
        moved = {id(x): wrap(x.array + step * _like(x.array, v)) for x, v in zip(wanted, directions, strict=True)}
        with no_grad():
            out = func(*(moved.get(id(x), x) for x in inputs))
        return [to_numpy(y.array) for y in _float_outputs(out)]

    plus, minus = shifted(eps), shifted(-eps)
    numeric = sum(float((u * (a - b)).sum()) / (2 * eps) for u, a, b in zip(factors, plus, minus, strict=True))
    good = abs(analytic - numeric) <= atol + rtol * max(size, abs(numeric))
    if not good and raise_exception:
        raise GradError(
            f"gradcheck: along a random direction the engine's derivative is {analytic:.10g}, the finite difference "
            f"{numeric:.10g}; they differ by {abs(analytic - numeric):.3g}"
        )
    return good


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-5,
    seed: int = 0,
    raise_exception: bool = True,
) -> bool:
    r"""Check second derivatives: a :func:`gradcheck` of the map from inputs and upstream gradient to gradients.

    .. math:: (x, u) \mapsto u^\top J(x)

    Parameters
    ----------
    func, inputs, eps, atol, rtol, seed, raise_exception
        As in :func:`gradcheck`.

    Returns
    -------
    bool

    Raises
    ------
    GradError
        If the second derivatives differ, or an operation cannot be differentiated twice.
    DTypeError
        If an input that requires gradients is not float64.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([0.3, -1.2], dtype="float64", requires_grad=True)
    >>> minidl.gradgradcheck(lambda x: x.exp() * x, x)
    True

    References
    ----------
    PyTorch's ``torch.autograd.gradgradcheck``.
    """
    inputs = _as_tuple(inputs)
    wanted = _check_inputs(inputs, "gradgradcheck")
    rng = np.random.default_rng(seed + 1)
    outputs = _float_outputs(func(*inputs))
    factors = []
    for y in outputs:
        factor = wrap(_like(y.array, rng.standard_normal(y.array.shape)))
        factor._requires_grad = True
        factors.append(factor)

    def first_order(*arguments: Any) -> tuple[Any, ...]:
        xs, us = arguments[: len(inputs)], arguments[len(inputs) :]
        for x, original in zip(xs, inputs, strict=True):
            if any(original is w for w in wanted):
                x._requires_grad = True
        targets = [x for x, original in zip(xs, inputs, strict=True) if any(original is w for w in wanted)]
        with enable_grad():
            pairs = [(y, u) for y, u in zip(_float_outputs(func(*xs)), us, strict=True) if y._requires_grad]
            found = grad([y for y, _ in pairs], targets, [u for _, u in pairs], create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    return gradcheck(
        first_order,
        (*inputs, *factors),
        eps=eps,
        atol=atol,
        rtol=rtol,
        seed=seed,
        raise_exception=raise_exception,
    )
