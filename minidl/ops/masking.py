"""Dropout: random elements set to zero while a network trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import kernels
from minidl.autograd import Operation, Variable, update
from minidl.backend import GPUGenerator, as_dtype, device_of, namespace, philox_state, there
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.ops.arguments import takes_tensors
from minidl.ops.sampling import uniform_array

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d"]

FLOAT32 = as_dtype("float32")


def kept(x: Any, shape: tuple[int, ...], p: float, generator: Any = None) -> Any:
    """Return an array of ``shape``, beside ``x``, that is True with probability ``1 - p``."""
    return uniform_array(shape, FLOAT32, device_of(x.array if isinstance(x, Variable) else x), generator) >= p


def check(name: str, x: Any, p: float) -> None:
    """Raise an error unless ``p`` is a probability and ``x`` holds floats."""
    if not 0 <= p <= 1:
        raise ArgumentError(f"{name}: p={p} must be a probability, from 0 to 1 (it is the share that is dropped)")
    if x.dtype.kind != "f":
        raise DTypeError(f"{name}: expected a float tensor, got {x.dtype}; convert it first: x.float()")


class Dropout(Operation):
    """Dropout on a GPU, where random numbers are computed from a key: again in backward, so that no mask is kept."""

    def forward(self, x: Any, p: float, key: tuple[int, int]) -> Any:
        self.parameters = p, key
        return kernels.dropout(x, p, *key)

    def backward(self, grad: Any) -> Any:
        p, key = self.parameters
        return Dropout.apply(grad, p=p, key=key)


def drop(name: str, x: Any, shape: tuple[int, ...], p: float, inplace: bool, generator: Any = None) -> Tensor:
    """Multiply ``x`` by a random mask of ``shape``, which broadcasts, scaled so that the mean stays."""
    if p == 0:
        return x
    array = x.array if isinstance(x, Variable) else x
    on_gpu = namespace(array) is not np
    own = isinstance(generator, GPUGenerator) and generator.device == device_of(array)
    if on_gpu and p < 1 and shape == x.shape and (generator is None or own):
        blocks = -(-array.size // 4)  # of four random numbers
        key = generator.take(blocks) if own else philox_state(device_of(array), blocks)
        y = Dropout.apply(x, p=p, key=key)
        return update(x, y, name) if inplace else y
    with there(x):
        mask = kept(x, shape, p, generator).astype(x.dtype)
        if p < 1:
            mask *= 1 / (1 - p)
    y = x * mask
    return update(x, y, name) if inplace else y


@takes_tensors("x")
def dropout(
    x: Any,
    p: float = 0.5,
    training: bool = True,
    inplace: bool = False,
    *,
    shape: Sequence[int | None] | None = None,
    generator: Any = None,
) -> Tensor:
    r"""Set each element to zero with probability ``p`` and scale the others, so that the mean stays.

    .. math:: y_i = \frac{m_i}{1 - p} x_i, \quad m_i \sim \operatorname{Bernoulli}(1 - p)

    Parameters
    ----------
    x : Tensor, any shape
    p : float
        The share that is dropped.
    training : bool
        If False, ``x`` comes back as it is.
    inplace : bool
        Write the result into ``x``.
    shape : tuple of int or None, optional
        That of the mask: along an axis of size 1, elements are dropped together. None is the size of ``x``.
    generator : Generator, optional
        Where the random numbers come from, instead of the shared generator.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ArgumentError
        If ``p`` is no probability.
    ShapeError
        If a mask of ``shape`` does not broadcast to ``x``.
    DTypeError
        If ``x`` does not hold floats.

    Examples
    --------
    >>> import minidl
    >>> minidl.manual_seed(0)
    >>> sorted(set(minidl.dropout(minidl.ones(100), 0.5).tolist()))
    [0.0, 2.0]

    References
    ----------
    ``torch.nn.functional.dropout``. Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from
    overfitting".
    """
    check("dropout", x, p)
    if not training:
        return x
    if shape is None:
        return drop("dropout", x, x.shape, p, inplace, generator)
    mask_shape = tuple([n if m is None else m for m, n in zip(shape, x.shape, strict=False)])
    if len(shape) != x.ndim or any(m not in (1, n) for m, n in zip(mask_shape, x.shape, strict=True)):
        raise ShapeError(
            f"dropout: a mask of shape {tuple(shape)} does not fit an input of shape {tuple(x.shape)}; expected for "
            "each axis its size, None for it, or 1"
        )
    return drop("dropout", x, mask_shape, p, inplace, generator)


def drop_channels(name: str, x: Any, rank: int, p: float, training: bool, inplace: bool) -> Tensor:
    """Compute :func:`dropout1d` or :func:`dropout2d`."""
    check(name, x, p)
    if x.ndim not in (rank + 1, rank + 2):
        axes = ("L", "H, W")[rank - 1]
        raise ShapeError(
            f"{name}: the input has shape {tuple(x.shape)}; expected (N, C, {axes}), or (C, {axes}) without a batch: "
            "use dropout for features without positions"
        )
    return drop(name, x, x.shape[:-rank] + (1,) * rank, p, inplace) if training else x


@takes_tensors("x")
def dropout2d(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    r"""Set whole channels of images to zero, each with probability ``p``: neighbouring pixels say the same.

    .. math:: y_{ncij} = \frac{m_{nc}}{1 - p} x_{ncij}, \quad m_{nc} \sim \operatorname{Bernoulli}(1 - p)

    Parameters
    ----------
    x : Tensor (N, C, H, W) or (C, H, W)
    p, training, inplace
        As in :func:`dropout`.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If ``x`` is no image.
    ArgumentError
        If ``p`` is no probability.
    DTypeError
        If ``x`` does not hold floats.

    Examples
    --------
    >>> import minidl
    >>> minidl.dropout2d(minidl.ones(1, 2, 4, 4), 1.0).sum()
    tensor(0.)

    References
    ----------
    ``torch.nn.functional.dropout2d``. Tompson et al. (2015), "Efficient object localization using convolutional
    networks".
    """
    return drop_channels("dropout2d", x, 2, p, training, inplace)


@takes_tensors("x")
def dropout1d(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    r"""Set whole channels of sequences to zero, each with probability ``p``.

    .. math:: y_{nci} = \frac{m_{nc}}{1 - p} x_{nci}, \quad m_{nc} \sim \operatorname{Bernoulli}(1 - p)

    Parameters
    ----------
    x : Tensor (N, C, L) or (C, L)
    p, training, inplace
        As in :func:`dropout`.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If ``x`` is no sequence.
    ArgumentError
        If ``p`` is no probability.
    DTypeError
        If ``x`` does not hold floats.

    Examples
    --------
    >>> import minidl
    >>> minidl.dropout1d(minidl.ones(1, 2, 4), 0.0).sum()
    tensor(8.)

    References
    ----------
    ``torch.nn.functional.dropout1d``.
    """
    return drop_channels("dropout1d", x, 1, p, training, inplace)


# what selu tends to for very negative inputs: -scale * alpha
SELU_FLOOR = -1.0507009873554805 * 1.6732632423543772


@takes_tensors("x")
def alpha_dropout(x: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    r"""Dropout for self-normalising networks: what is dropped takes selu's floor, mean and variance stay.

    .. math:: y_i = a \, (m_i x_i + (1 - m_i) \alpha') + b, \quad a = ((1 - p)(1 + p \alpha'^2))^{-1/2},
        \quad b = -a p \alpha'

    Parameters
    ----------
    x : Tensor, any shape
    p, training, inplace
        As in :func:`dropout`.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ArgumentError
        If ``p`` is no probability.
    DTypeError
        If ``x`` does not hold floats.

    Examples
    --------
    >>> import minidl
    >>> minidl.alpha_dropout(minidl.ones(3), 0.0)
    tensor([1., 1., 1.])

    References
    ----------
    ``torch.nn.functional.alpha_dropout``. Klambauer et al. (2017), "Self-normalizing neural networks".
    """
    check("alpha_dropout", x, p)
    if not training or p == 0:
        return x
    mask = kept(x, x.shape, p).astype(x.dtype)
    # p = 1 drops everything to the floor, whose mean is 0 once it is shifted: PyTorch returns zeros
    a = 0.0 if p == 1 else 1 / math.sqrt((1 - p) * (1 + p * SELU_FLOOR**2))
    y = x * (a * mask) + a * SELU_FLOOR * ((1 - mask) - p)
    return update(x, y, "alpha_dropout") if inplace else y
