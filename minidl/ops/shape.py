"""Shapes: the same numbers, arranged differently. Most results are views, as in NumPy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation
from minidl.errors import ShapeError
from minidl.ops.arguments import as_sizes

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["broadcast_to", "reshape"]


class BroadcastTo(Operation):
    is_view = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        return self.xp.broadcast_to(x, shape)

    def backward(self, grad: Any) -> Any:
        return grad  # the engine sums it down to the shape of x


def broadcast_to(x: Any, *shape: Any) -> Tensor:
    """Return a read-only view of ``x`` stretched to ``shape``.

    .. math:: y_{n, i} = x_{1, i}

    Parameters
    ----------
    x : Tensor or array, a shape that broadcasts to ``shape``
    *shape : ints, or one sequence of them

    Returns
    -------
    Tensor, of ``shape``

    Raises
    ------
    ShapeError
        If ``x`` does not broadcast to ``shape``.

    Examples
    --------
    >>> import minidl
    >>> minidl.broadcast_to(minidl.tensor([1.0, 2.0]), (2, 2))
    tensor([[1., 2.],
            [1., 2.]])

    References
    ----------
    ``numpy.broadcast_to``, ``torch.broadcast_to``.
    """
    sizes = as_sizes(shape, "broadcast_to")
    extra = len(sizes) - x.ndim
    if extra < 0 or any(size not in (1, sizes[axis + extra]) for axis, size in enumerate(x.shape)):
        raise ShapeError(
            f"broadcast_to: shape {tuple(x.shape)} does not broadcast to {sizes}; aligned from the right, each of its "
            "sizes must be 1 or equal the target's"
        )
    return BroadcastTo.apply(x, shape=sizes)


class Reshape(Operation):
    is_view = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        self.shape = x.shape
        return x.reshape(shape)

    def backward(self, grad: Any) -> Any:
        return grad.reshape(self.shape)


def reshape(x: Any, *shape: Any) -> Tensor:
    """Return ``x`` with another shape: a view where the memory layout allows it, a copy elsewhere.

    .. math:: y_j = x_i \\quad \\text{for equal positions in row-major order}

    Parameters
    ----------
    x : Tensor or array, any shape
    *shape : ints, or one sequence of them
        One of them may be -1: it is computed from the others.

    Returns
    -------
    Tensor, of ``shape``

    Raises
    ------
    ShapeError
        If the number of elements differs.

    Examples
    --------
    >>> import minidl
    >>> minidl.arange(6).reshape(2, -1)
    tensor([[0, 1, 2],
            [3, 4, 5]])

    References
    ----------
    ``numpy.reshape``, ``torch.reshape``.
    """
    sizes = as_sizes(shape, "reshape")
    total = math.prod(x.shape)
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or any(size < -1 for size in sizes):
        raise ShapeError(f"reshape: {sizes} is no shape; at most one size may be -1, the others must not be negative")
    if (total != known) if -1 not in sizes else (known == 0 or total % known):
        raise ShapeError(
            f"reshape: a tensor of shape {tuple(x.shape)} has {total} elements, which do not fit shape {sizes}"
            + (f" ({known} elements)" if -1 not in sizes else f" ({total} is not a multiple of {known})")
        )
    return Reshape.apply(x, shape=sizes)
