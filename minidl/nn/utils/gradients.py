"""Gradient clipping, which keeps one bad batch from throwing the parameters far away; parameters as one vector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl import ops
from minidl._tensor import Tensor
from minidl.autograd import Variable, wrap
from minidl.backend import default_dtype, device_of, namespace, quiet, to_device
from minidl.errors import ArgumentError, DTypeError, GradError, ShapeError

__all__ = ["clip_grad_norm_", "clip_grad_value_", "parameters_to_vector", "vector_to_parameters"]


def gradients(parameters: Any, name: str) -> list[Any]:
    """Return the gradients there are, as tensors."""
    try:
        listed: list[Any] = [parameters] if isinstance(parameters, Variable) else list(parameters)
    except TypeError:
        what = type(parameters).__name__
        raise DTypeError(f"{name}: expected tensors, got a {what}; pass model.parameters()") from None
    for position, p in enumerate(listed):
        if not isinstance(p, Variable):
            raise DTypeError(f"{name}: parameter {position} is of type {type(p).__name__}; expected tensors")
    return [p.grad for p in listed if p.grad is not None]


def total_norm(arrays: list[Any], norm_type: float) -> Any:
    """Return the norm of all elements of ``arrays`` as one vector: a 0-d array, on the device of the first."""
    xp, device = namespace(arrays[0]), device_of(arrays[0])
    norms = []
    for array in arrays:
        flat = array.reshape(-1)
        if norm_type == math.inf:
            norm = abs(flat).max() if flat.size else flat.sum()
        elif norm_type == 2:
            norm = xp.sqrt(flat @ flat)
        elif norm_type == 0:
            norm = (flat != 0).sum().astype(array.dtype)
        else:
            norm = (abs(flat) ** norm_type).sum() ** (1 / norm_type)
        norms.append(to_device(xp.asarray(norm, array.dtype), device))
    norms = xp.stack(norms)
    if norm_type == math.inf:
        return norms.max()
    if norm_type == 0:
        return norms.sum()
    return (norms**norm_type).sum() ** (1 / norm_type)


@quiet
def clip_grad_norm_(parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Any:
    r"""Scale all gradients by one factor, in place, so that their total norm is at most ``max_norm``.

    .. math::

        n = \Big( \sum_i |g_i|^p \Big)^{1/p}, \qquad
        g \leftarrow g \cdot \min\Big(1, \frac{n_{\max}}{n + 10^{-6}}\Big)

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    max_norm : float
        :math:`n_{\max}`.
    norm_type : float
        :math:`p`; may be ``inf``.
    error_if_nonfinite : bool
        Raise where the norm is inf or nan, rather than scale by it.

    Returns
    -------
    Tensor, shape ()
        The total norm before clipping.

    Raises
    ------
    ArgumentError
        If ``max_norm`` or ``norm_type`` is negative.
    GradError
        If the norm is not finite and ``error_if_nonfinite``.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> minidl.nn.utils.clip_grad_norm_([w], max_norm=1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])

    References
    ----------
    ``torch.nn.utils.clip_grad_norm_``. Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural
    networks".
    """
    max_norm, norm_type = float(max_norm), float(norm_type)
    if max_norm < 0 or norm_type < 0 or math.isnan(max_norm) or math.isnan(norm_type):
        raise ArgumentError(
            f"clip_grad_norm_: max_norm and norm_type must not be negative, got {max_norm} and {norm_type}"
        )
    grads = gradients(parameters, "clip_grad_norm_")
    if not grads:
        return wrap(np.zeros((), default_dtype()))
    norm = total_norm([g.array for g in grads], norm_type)
    xp = namespace(norm)
    if error_if_nonfinite and not bool(xp.isfinite(norm)):
        raise GradError(
            f"clip_grad_norm_: the total norm of the gradients is {float(norm)}, so they cannot be scaled; look for "
            "the cause under minidl.detect_anomaly(), or pass error_if_nonfinite=False"
        )
    factor = xp.minimum(max_norm / (norm + 1e-6), 1)  # stays on the device: nothing waits for it
    for g in grads:
        g.array *= to_device(xp.asarray(factor, g.array.dtype), device_of(g.array))
        g.bump()
    return wrap(xp.asarray(norm))


def clip_grad_value_(parameters: Any, clip_value: float) -> None:
    r"""Bring each element of all gradients between ``-clip_value`` and ``clip_value``, in place.

    .. math:: g_i \leftarrow \min(\max(g_i, -c), c)

    Parameters
    ----------
    parameters : Tensor or iterable of Tensor
        Those without a gradient are passed over.
    clip_value : float
        :math:`c`.

    Raises
    ------
    ArgumentError
        If ``clip_value`` is negative.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([3.0, -0.5], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> minidl.nn.utils.clip_grad_value_([w], 1.0)
    >>> w.grad
    tensor([ 1.0000, -0.5000])

    References
    ----------
    ``torch.nn.utils.clip_grad_value_``.
    """
    clip_value = float(clip_value)
    if not clip_value >= 0:
        raise ArgumentError(f"clip_grad_value_: clip_value must not be negative, got {clip_value}")
    for g in gradients(parameters, "clip_grad_value_"):
        xp = namespace(g.array)
        xp.clip(g.array, -clip_value, clip_value, out=g.array)
        g.bump()


def parameters_to_vector(parameters: Any) -> Tensor:
    r"""Return all parameters as one vector, differentiably.

    .. math:: v = (\theta_1, \theta_2, \dots)

    Parameters
    ----------
    parameters : iterable of Tensor

    Returns
    -------
    Tensor, shape (the number of elements,)

    Raises
    ------
    ArgumentError
        If there are no parameters.

    Examples
    --------
    >>> from minidl import nn
    >>> nn.utils.parameters_to_vector(nn.Linear(3, 2).parameters()).shape
    (8,)

    References
    ----------
    ``torch.nn.utils.parameters_to_vector``.
    """
    flat = [ops.reshape(x, (-1,)) for x in parameters]
    if not flat:
        raise ArgumentError("parameters_to_vector: there are no parameters")
    return ops.concat(flat)


def vector_to_parameters(vec: Any, parameters: Any) -> None:
    r"""Copy a vector into parameters, in place.

    .. math:: (\theta_1, \theta_2, \dots) \leftarrow v

    Parameters
    ----------
    vec : Tensor, shape (the number of elements,)
    parameters : iterable of Tensor

    Raises
    ------
    ShapeError
        If the vector is longer or shorter than the parameters together; then nothing is copied.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> layer = nn.Linear(2, 1)
    >>> nn.utils.vector_to_parameters(minidl.tensor([1.0, 2.0, 3.0]), layer.parameters())
    >>> layer.bias.detach()
    tensor([3.])

    References
    ----------
    ``torch.nn.utils.vector_to_parameters``.
    """
    targets = list(parameters)
    total = sum(x.array.size for x in targets)
    if tuple(vec.shape) != (total,):
        raise ShapeError(f"vector_to_parameters: the vector has shape {tuple(vec.shape)}, expected ({total},)")
    array = vec.array if isinstance(vec, Variable) else vec
    start = 0
    for x in targets:
        part = array[start : start + x.array.size].reshape(x.array.shape)
        x.array[...] = to_device(part, device_of(x.array))
        x.bump()
        start += x.array.size
