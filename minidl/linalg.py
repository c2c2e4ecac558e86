"""``linalg.norm``, where both PyTorch and NumPy have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl import ops
from minidl.errors import ArgumentError
from minidl.ops.arguments import DIM, takes_tensors

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["norm", "vector_norm"]


@takes_tensors("x", **DIM)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Tensor:  # noqa: A002
    r"""Return the length of vectors, or the Frobenius norm of matrices.

    .. math:: y = \Big( \sum_i |x_i|^p \Big)^{1/p}

    Parameters
    ----------
    x : Tensor or array, any shape
    ord : float or "fro", optional
        Which norm, :math:`p`: 2 if left out.
    axis : int, tuple of int, or None
        Over which axes; all if None. PyTorch's ``dim`` is accepted.
    keepdims : bool
        Keep those axes, with size 1. PyTorch's ``keepdim`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x`` without those axes

    Raises
    ------
    ArgumentError
        If an ``ord`` is asked of matrices that is not theirs: operator norms, such as the spectral one, are not here.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.linalg.norm(minidl.tensor([[3.0, 4.0], [0.0, 5.0]]), dim=1)
    tensor([5., 5.])

    References
    ----------
    ``torch.linalg.norm``, ``numpy.linalg.norm``.
    """
    axes = x.ndim if axis is None else len(axis) if isinstance(axis, (tuple, list)) else 1
    if ord not in (None, "fro") and axes != 1:
        raise ArgumentError(
            f"linalg.norm: ord={ord!r} of a matrix is an operator norm, which is not here; give the axis of its "
            "vectors, or use linalg.vector_norm for all elements as one vector"
        )
    return ops.norm(x, ord, axis, keepdims)


#: Of all elements as one vector, if no axis is given.
vector_norm = ops.norm
