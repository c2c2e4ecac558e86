"""Reductions: sums, means, extremes over some axes or all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation
from minidl.ops.arguments import DIM, also_named, normalize_axes
from minidl.ops.shape import broadcast_to

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["sum"]


def spread(grad: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    """Give a reduction's gradient its reduced axes back, so that it broadcasts over ``shape``."""
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return grad if grad.shape == kept else grad.reshape(kept)


class Sum(Operation):
    def forward(self, x: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
        self.shape, self.axes = x.shape, axes
        if x.dtype.kind == "b":
            x = x.astype("int64")
        return x.sum(axis=axes, keepdims=keepdims)

    def backward(self, grad: Any) -> Any:
        from_kept = spread(grad, self.shape, self.axes)
        return broadcast_to(from_kept, self.shape)


@also_named(**DIM)
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Tensor:  # noqa: A001
    r"""Return the sum over some axes, or over all.

    .. math:: y = \sum_i x_i

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Which axes to sum over; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep the summed axes, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x`` without the summed axes

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.sum(minidl.ones(2, 3), axis=1)
    tensor([3., 3.])

    References
    ----------
    ``numpy.sum``, ``torch.sum``.
    """
    return Sum.apply(x, axes=normalize_axes(axis, x.ndim, "sum"), keepdims=keepdims)
