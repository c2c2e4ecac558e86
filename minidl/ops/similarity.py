"""How alike vectors are: their cosine, their distances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl.errors import ShapeError
from minidl.ops.arguments import DIM, shape_of, takes_tensors
from minidl.ops.reductions import norm
from minidl.ops.selection import clamp_min
from minidl.ops.shape import broadcast_tensors, unsqueeze

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["cdist", "cosine_similarity", "pairwise_distance"]


@takes_tensors("x", "y", x1="x", x2="y", dim="axis")
def cosine_similarity(x: Any, y: Any, axis: int = 1, eps: float = 1e-8) -> Tensor:
    r"""Return the cosine of the angle between the vectors along one axis.

    .. math:: z = \frac{x \cdot y}{\max(\lVert x \rVert, \epsilon) \max(\lVert y \rVert, \epsilon)}

    Parameters
    ----------
    x, y : Tensor or array, shapes that broadcast
        PyTorch calls them ``x1`` and ``x2``.
    axis : int
        Along which the vectors lie (``dim`` is accepted too).
    eps : float
        The least length that is divided by.

    Returns
    -------
    Tensor, the broadcast shape without ``axis``

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.cosine_similarity(minidl.tensor([[1.0, 0.0]]), minidl.tensor([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    tensor([ 1.,  0., -1.])

    References
    ----------
    ``torch.nn.functional.cosine_similarity``.
    """
    x, y = broadcast_tensors(x, y)  # the length of a vector is that of its copies side by side
    unit_x = x / clamp_min(norm(x, axis=axis, keepdims=True), eps)
    return (unit_x * (y / clamp_min(norm(y, axis=axis, keepdims=True), eps))).sum(axis=axis)


@takes_tensors("x", "y", x1="x", x2="y", **DIM)
def pairwise_distance(x: Any, y: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Tensor:
    r"""Return the distance of each vector of ``x`` to its counterpart in ``y``, along the last axis.

    .. math:: z_n = \lVert x_n - y_n + \epsilon \rVert_p

    Parameters
    ----------
    x, y : Tensor or array, of shape (..., D), shapes that broadcast
        PyTorch calls them ``x1`` and ``x2``.
    p : float
        Which norm: 2 is the usual length.
    eps : float
        Keeps the distance above zero, so that it can be differentiated.
    keepdims : bool
        Keep the last axis, with size 1 (``keepdim`` is accepted too).

    Returns
    -------
    Tensor, of shape (...)

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import minidl
    >>> minidl.pairwise_distance(minidl.tensor([[0.0, 0.0]]), minidl.tensor([[3.0, 4.0]]))
    tensor([5.0000])

    References
    ----------
    ``torch.nn.functional.pairwise_distance``.
    """
    x, y = broadcast_tensors(x, y)
    return norm(x - y + eps, p, axis=-1, keepdims=keepdims)


@takes_tensors("x", "y", x1="x", x2="y")
def cdist(x: Any, y: Any, p: float = 2.0) -> Tensor:
    r"""Return the distance of each vector of ``x`` to each vector of ``y``.

    .. math:: z_{n m} = \lVert x_n - y_m \rVert_p

    Parameters
    ----------
    x : Tensor or array, of shape (..., N, D)
    y : Tensor or array, of shape (..., M, D)
        PyTorch calls them ``x1`` and ``x2``.
    p : float
        Which norm: 2 is the usual length.

    Returns
    -------
    Tensor, of shape (..., N, M)

    Raises
    ------
    ShapeError
        If a shape has fewer than two axes, or the sizes D differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.cdist(minidl.zeros(1, 2), minidl.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[5., 1.]])

    References
    ----------
    ``torch.cdist``.
    """
    x_shape, y_shape = shape_of(x, "cdist", "x"), shape_of(y, "cdist", "y")
    if len(x_shape) < 2 or len(y_shape) < 2 or x_shape[-1] != y_shape[-1]:
        raise ShapeError(
            f"cdist: shapes {x_shape} and {y_shape}; expected (..., N, D) and (..., M, D), vectors of one size D"
        )
    return norm(unsqueeze(x, -2) - unsqueeze(y, -3), p, axis=-1)  # (..., N, 1, D) - (..., 1, M, D) -> (..., N, M)
