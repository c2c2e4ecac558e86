"""Gathering and scattering: elements picked, placed or masked out by tensors of positions or of booleans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Operation, Variable
from minidl.autograd.operation import refusal
from minidl.backend import is_array, namespace
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.ops.arguments import DIM, normalize_axis, takes_tensors
from minidl.ops.arithmetic import add
from minidl.ops.creation import as_array
from minidl.ops.indexing import add_items, gather_items, set_items
from minidl.ops.shape import broadcast_to, reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "argwhere",
    "gather",
    "index_add",
    "index_select",
    "masked_fill",
    "masked_select",
    "nonzero",
    "one_hot",
    "scatter",
    "scatter_add",
    "take",
    "take_along_axis",
    "take_along_dim",
    "tril",
    "triu",
]


def _positions(index: Any, name: str) -> Any:
    """Return an index given as a list as an array, and refuse what holds no integers."""
    if not isinstance(index, Variable) and not is_array(index):
        index = as_array(index, copy=False, name=name)
        index = index.astype(np.int64) if not index.size else index
    if index.dtype.kind not in "iu":
        raise DTypeError(f"{name}: the index must hold integers, got {index.dtype}; convert it: index.long()")
    return index


def _along(index: Any, axis: int) -> tuple[Any, ...]:
    """Return an index that picks, at each place of ``index``, the position it names along ``axis``."""
    array = index.array if isinstance(index, Variable) else index
    xp = namespace(array)
    ndim = array.ndim
    grid = [xp.arange(n).reshape((1,) * i + (n,) + (1,) * (ndim - i - 1)) for i, n in enumerate(array.shape)]
    grid[axis] = index
    return tuple(grid)


def _check_along(x: Any, index: Any, axis: int, name: str) -> None:
    """Raise a ShapeError unless ``index`` fits into ``x`` along all other axes."""
    if len(index.shape) != len(x.shape) or any(
        n > m for i, (n, m) in enumerate(zip(index.shape, x.shape, strict=True)) if i != axis
    ):
        raise ShapeError(
            f"{name}: the index has shape {tuple(index.shape)}, the tensor {tuple(x.shape)}; expected as many axes, "
            f"and none longer than the tensor's but axis {axis}"
        )


@takes_tensors("x", **DIM)
def gather(x: Any, axis: int, index: Any) -> Tensor:
    r"""Return, for each place of ``index``, the element of ``x`` at the position it names along one axis.

    .. math:: y_{ij} = x_{\text{index}_{ij},\, j} \quad (\text{axis } 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int
        ``dim`` is accepted.
    index : Tensor or array of integers, as many axes, none longer than that of ``x`` but ``axis``

    Returns
    -------
    Tensor, the shape of ``index``

    Raises
    ------
    RangeError
        If a position or the axis is out of range.
    ShapeError
        If the shapes do not fit.
    DTypeError
        If the index does not hold integers.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[1, 2], [3, 4]])
    >>> minidl.gather(x, 1, minidl.tensor([[1], [0]]))
    tensor([[2],
            [3]])

    References
    ----------
    ``torch.gather``.
    """
    axis = normalize_axis(axis, len(x.shape), "gather")
    index = _positions(index, "gather")
    if not x.shape and not index.shape:
        return gather_items(reshape(x, (1,)), (index,), "gather")
    _check_along(x, index, axis, "gather")
    return gather_items(x, _along(index, axis), "gather")


@takes_tensors("x", **DIM)
def scatter(x: Any, axis: int, index: Any, src: Any = None, *, value: Any = None) -> Tensor:
    r"""Return a copy of ``x`` with the elements that ``index`` names along one axis replaced by those of ``src``.

    .. math:: y_{\text{index}_{ij},\, j} = \text{src}_{ij} \quad (\text{axis } 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int
        ``dim`` is accepted.
    index : Tensor or array of integers, as many axes, none longer than that of ``x`` but ``axis``
    src : Tensor, array or number, at least the shape of ``index``
    value : number, optional
        PyTorch's name of ``src`` where it is a number.

    Returns
    -------
    Tensor, the shape of ``x``
        Where a position is named twice, one of its values is taken.

    Raises
    ------
    RangeError
        If a position or the axis is out of range.
    ShapeError
        If the shapes do not fit.
    DTypeError
        If the index does not hold integers.

    Examples
    --------
    >>> import minidl
    >>> minidl.scatter(minidl.zeros(2, 3), 1, minidl.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])

    References
    ----------
    ``torch.scatter``.
    """
    axis = normalize_axis(axis, len(x.shape), "scatter")
    index = _positions(index, "scatter")
    _check_along(x, index, axis, "scatter")
    src = value if src is None else src
    src = _as_large(src, index, "scatter")
    return set_items(x, src, _along(index, axis), "scatter")


@takes_tensors("x", **DIM)
def scatter_add(x: Any, axis: int, index: Any, src: Any) -> Tensor:
    r"""Return a copy of ``x`` with the elements that ``index`` names along one axis increased by those of ``src``.

    .. math:: y_{kj} = x_{kj} + \sum_{i : \text{index}_{ij} = k} \text{src}_{ij} \quad (\text{axis } 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int
        ``dim`` is accepted.
    index : Tensor or array of integers, as many axes, none longer than that of ``x`` but ``axis``
    src : Tensor or array, at least the shape of ``index``

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    RangeError
        If a position or the axis is out of range.
    ShapeError
        If the shapes do not fit.
    DTypeError
        If the index does not hold integers.

    Examples
    --------
    >>> import minidl
    >>> minidl.scatter_add(minidl.zeros(3), 0, minidl.tensor([2, 2]), minidl.ones(2))
    tensor([0., 0., 2.])

    References
    ----------
    ``torch.scatter_add``.
    """
    axis = normalize_axis(axis, len(x.shape), "scatter_add")
    index = _positions(index, "scatter_add")
    _check_along(x, index, axis, "scatter_add")
    src = _as_large(src, index, "scatter_add")
    return add(x, add_items(src, _along(index, axis), tuple(x.shape), "scatter_add"))


def _as_large(src: Any, index: Any, name: str) -> Any:
    """Cut ``src`` down to the shape of ``index``."""
    shape = tuple(index.shape)
    if not isinstance(src, Variable) and not is_array(src):
        return src
    if len(src.shape) != len(shape) or any(n < m for n, m in zip(src.shape, shape, strict=True)):
        raise ShapeError(f"{name}: src has shape {tuple(src.shape)}; expected at least that of the index, {shape}")
    return src if tuple(src.shape) == shape else src[tuple(slice(n) for n in shape)]


@takes_tensors("x", **DIM)
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Tensor:
    r"""Return the elements at the positions that ``indices`` names along one axis; what ``argsort`` returns fits.

    .. math:: y_{ij} = x_{\text{indices}_{ij},\, j} \quad (\text{axis } 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    indices : Tensor or array of integers, as many axes
        All axes but ``axis`` broadcast with those of ``x``.
    axis : int, optional
        None picks from the flattened tensor. ``dim`` is accepted.

    Returns
    -------
    Tensor, the shape of ``indices`` broadcast

    Raises
    ------
    RangeError
        If a position or the axis is out of range.
    ShapeError
        If the shapes do not fit.
    DTypeError
        If the index does not hold integers.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[3, 1, 2]])
    >>> minidl.take_along_axis(x, minidl.tensor([[1, 2, 0]]), 1)
    tensor([[1, 2, 3]])

    References
    ----------
    ``torch.take_along_dim``, ``numpy.take_along_axis``.
    """
    indices = _positions(indices, "take_along_axis")
    if axis is None:
        x, indices, axis = reshape(x, (math.prod(x.shape),)), reshape(indices, (math.prod(indices.shape),)), 0
    axis = normalize_axis(axis, len(x.shape), "take_along_axis")
    shape, wanted = list(x.shape), list(indices.shape)
    if len(shape) != len(wanted):
        raise ShapeError(
            f"take_along_axis: indices have shape {tuple(wanted)}, the tensor {tuple(shape)}; expected as many axes"
        )
    shape[axis] = wanted[axis] = 1
    try:
        common = list(np.broadcast_shapes(tuple(shape), tuple(wanted)))
    except ValueError:
        raise ShapeError(
            f"take_along_axis: indices of shape {tuple(indices.shape)} do not broadcast with the tensor of shape "
            f"{tuple(x.shape)} outside of axis {axis}"
        ) from None
    x = broadcast_to(x, (*common[:axis], x.shape[axis], *common[axis + 1 :]))
    indices = broadcast_to(indices, (*common[:axis], indices.shape[axis], *common[axis + 1 :]))
    return gather_items(x, _along(indices, axis), "take_along_axis")


take_along_dim = take_along_axis


@takes_tensors("x", **DIM)
def index_select(x: Any, axis: int, index: Any) -> Tensor:
    r"""Return the slices of ``x`` at the given positions of one axis.

    .. math:: y_{k, j} = x_{\text{index}_k,\, j} \quad (\text{axis } 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int
        ``dim`` is accepted.
    index : Tensor, array or sequence of integers, of shape (n,)

    Returns
    -------
    Tensor, with ``n`` as the size of the axis

    Raises
    ------
    RangeError
        If a position or the axis is out of range.
    ShapeError
        If the shapes do not fit.
    DTypeError
        If the index does not hold integers.

    Examples
    --------
    >>> import minidl
    >>> minidl.index_select(minidl.tensor([[1, 2], [3, 4]]), 1, [1, 1])
    tensor([[2, 2],
            [4, 4]])

    References
    ----------
    ``torch.index_select``, ``numpy.take``.
    """
    axis = normalize_axis(axis, len(x.shape), "index_select")
    index = _positions(index, "index_select")
    if len(index.shape) > 1:
        raise ShapeError(f"index_select: expected a vector of positions, got shape {tuple(index.shape)}")
    index = reshape(index, (1,)) if not index.shape else index
    if not x.shape:
        return reshape(gather_items(reshape(x, (1,)), (index,), "index_select"), ())
    return gather_items(x, (*(slice(None),) * axis, index), "index_select")


@takes_tensors("x", "source", **DIM)
def index_add(x: Any, axis: int, index: Any, source: Any, *, alpha: float = 1) -> Tensor:
    r"""Return a copy of ``x`` with the slices of ``source`` added at the given positions of one axis.

    .. math:: y_{ij} = x_{ij} + \alpha \sum_{k : \text{index}_k = i} \text{source}_{kj} \quad (\text{axis } 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int
        ``dim`` is accepted.
    index : Tensor, array or sequence of integers, of shape (n,)
    source : Tensor or array, with ``n`` as the size of the axis
    alpha : float
        A factor for ``source``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    RangeError
        If a position or the axis is out of range.
    ShapeError
        If the shapes do not fit.
    DTypeError
        If the index does not hold integers.

    Examples
    --------
    >>> import minidl
    >>> minidl.index_add(minidl.zeros(3), 0, [0, 0], minidl.ones(2))
    tensor([2., 0., 0.])

    References
    ----------
    ``torch.index_add``.
    """
    axis = normalize_axis(axis, len(x.shape), "index_add")
    index = _positions(index, "index_add")
    expected = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    if len(index.shape) != 1 or tuple(source.shape) != expected:
        raise ShapeError(
            f"index_add: source has shape {tuple(source.shape)}, index {tuple(index.shape)}, the tensor "
            f"{tuple(x.shape)}; expected a vector as index and a source of shape {expected}"
        )
    added = add_items(source, (*(slice(None),) * axis, index), tuple(x.shape), "index_add")
    return add(x, added, alpha=alpha)


@takes_tensors("x", **DIM, indices="index")
def take(x: Any, index: Any, axis: int | None = None) -> Tensor:
    r"""Return the elements at the given positions of the flattened tensor, or the slices at those of one axis.

    .. math:: y_k = x_{\text{index}_k}

    Parameters
    ----------
    x : Tensor or array, any shape
    index : Tensor, array or sequence of integers, any shape
    axis : int, optional
        None picks from the flattened tensor. ``dim`` is accepted.

    Returns
    -------
    Tensor, the shape of ``index``, or that of ``x`` with the axis replaced by it

    Raises
    ------
    RangeError
        If a position or the axis is out of range.
    ShapeError
        If the shapes do not fit.
    DTypeError
        If the index does not hold integers.

    Examples
    --------
    >>> import minidl
    >>> minidl.take(minidl.tensor([[1, 2], [3, 4]]), [0, 3])
    tensor([1, 4])

    References
    ----------
    ``torch.take``, ``numpy.take``.
    """
    index = _positions(index, "take")
    if axis is None:
        return gather_items(reshape(x, (math.prod(x.shape),)), (index,), "take")
    return gather_items(x, (*(slice(None),) * normalize_axis(axis, len(x.shape), "take"), index), "take")


class MaskedFill(Operation):
    def forward(self, x: Any, value: Any, mask: Any) -> Any:
        self.save(mask)
        if not isinstance(value, (bool, int, float)):
            value = value.astype(x.dtype)
        elif x.dtype.kind != "f":
            value = x.dtype.type(value)
        return self.xp.where(mask, value, x)

    def backward(self, grad: Any) -> Any:
        (mask,) = self.saved
        grad_x = masked_fill(grad, mask, 0) if self.needs[0] else None
        return grad_x, masked_fill(grad, ~mask, 0) if self.needs[1] else None, None


@takes_tensors("x")
def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    r"""Return a copy of ``x`` with one number wherever ``mask`` is True.

    .. math:: y_i = \begin{cases} c & m_i \\ x_i & \text{else} \end{cases}

    Parameters
    ----------
    x : Tensor or array, any shape
    mask : Tensor or array of booleans, a shape that broadcasts with that of ``x``
    value : number, or Tensor of one element

    Returns
    -------
    Tensor, the broadcast shape, the dtype of ``x``

    Raises
    ------
    DTypeError
        If the mask does not hold booleans.
    ShapeError
        If the shapes do not broadcast, or ``value`` is more than one number.

    Examples
    --------
    >>> import minidl
    >>> minidl.masked_fill(minidl.tensor([1.0, 2.0]), minidl.tensor([True, False]), float("-inf"))
    tensor([-inf, 2.])

    References
    ----------
    ``torch.masked_fill``.
    """
    mask = _mask(mask, "masked_fill")
    if not isinstance(value, (bool, int, float)):
        if not hasattr(value, "shape"):
            raise refusal("masked_fill", "'value'", value, "a number, or a Tensor with one")
        if math.prod(value.shape) != 1:
            raise ShapeError(f"masked_fill: value must be one number, got shape {tuple(value.shape)}")
        value = reshape(value, ())
    return MaskedFill.apply(x, value, mask)


def _mask(mask: Any, name: str) -> Any:
    if not isinstance(mask, Variable) and not is_array(mask):
        mask = as_array(mask, copy=False, name=name)
    if mask.dtype.kind != "b":
        raise DTypeError(f"{name}: the mask must hold booleans, got {mask.dtype}; convert it: mask.bool(), or x > 0")
    return mask


@takes_tensors("x")
def masked_select(x: Any, mask: Any) -> Tensor:
    """Return the elements of ``x`` where ``mask`` is True, in one axis.

    .. math:: y = (x_i : m_i)

    Parameters
    ----------
    x : Tensor or array, any shape
    mask : Tensor or array of booleans, a shape that broadcasts with that of ``x``

    Returns
    -------
    Tensor, of shape (count,)

    Raises
    ------
    DTypeError
        If the mask does not hold booleans.
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([1, 5, 3])
    >>> minidl.masked_select(x, x > 2)
    tensor([5, 3])

    References
    ----------
    ``torch.masked_select``.
    """
    mask = _mask(mask, "masked_select")
    shape = tuple(x.shape)
    try:
        common = np.broadcast_shapes(shape, tuple(mask.shape))
    except ValueError:
        raise ShapeError(
            f"masked_select: a mask of shape {tuple(mask.shape)} does not broadcast with a tensor of shape {shape}"
        ) from None
    x = x if shape == common else broadcast_to(x, common)
    mask = mask if tuple(mask.shape) == common else broadcast_to(mask, common)
    return gather_items(x, (mask,), "masked_select")


class Nonzero(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        if not x.ndim:  # NumPy refuses a scalar; PyTorch finds it at an empty position
            return self.xp.zeros((int(x != 0), 0), np.int64)
        return self.xp.stack(self.xp.nonzero(x), axis=1)


def nonzero(x: Any, *, as_tuple: bool = False) -> Any:
    r"""Return the positions of the elements other than zero, in row-major order.

    .. math:: \{i : x_i \ne 0\}

    Parameters
    ----------
    x : Tensor or array, any shape
    as_tuple : bool
        Return a vector of positions for each axis, which can index ``x``.

    Returns
    -------
    Tensor of int64, of shape (count, axes), or a tuple of Tensors of shape (count,)

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.nonzero(minidl.tensor([[0, 3], [5, 0]]))
    tensor([[0, 1],
            [1, 0]])

    References
    ----------
    ``torch.nonzero``; ``numpy.nonzero`` is ``as_tuple=True``.
    """
    found = Nonzero.apply(x)
    return tuple(found[:, i] for i in range(len(x.shape))) if as_tuple else found


argwhere = nonzero


class Tril(Operation):
    def forward(self, x: Any, diagonal: int) -> Any:
        self.diagonal = diagonal
        return self.xp.tril(x, diagonal)

    def backward(self, grad: Any) -> Any:
        return tril(grad, self.diagonal)


@takes_tensors("x", k="diagonal")
def tril(x: Any, diagonal: int = 0) -> Tensor:
    r"""Return a copy with zeros above a diagonal of the last two axes.

    .. math:: y_{\dots ij} = x_{\dots ij} \, [j \le i + k]

    Parameters
    ----------
    x : Tensor or array, of shape (..., M, N)
    diagonal : int
        Which one: 0 the main, above it if positive. NumPy's ``k`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If there are fewer than two axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.tril(minidl.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])

    References
    ----------
    ``torch.tril``, ``numpy.tril``.
    """
    if len(x.shape) < 2:
        raise ShapeError(f"tril: expected at least two axes, got shape {tuple(x.shape)}")
    return Tril.apply(x, diagonal=diagonal)


class Triu(Operation):
    def forward(self, x: Any, diagonal: int) -> Any:
        self.diagonal = diagonal
        return self.xp.triu(x, diagonal)

    def backward(self, grad: Any) -> Any:
        return triu(grad, self.diagonal)


@takes_tensors("x", k="diagonal")
def triu(x: Any, diagonal: int = 0) -> Tensor:
    r"""Return a copy with zeros below a diagonal of the last two axes.

    .. math:: y_{\dots ij} = x_{\dots ij} \, [j \ge i + k]

    Parameters
    ----------
    x : Tensor or array, of shape (..., M, N)
    diagonal : int
        Which one: 0 the main, above it if positive. NumPy's ``k`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If there are fewer than two axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.triu(minidl.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])

    References
    ----------
    ``torch.triu``, ``numpy.triu``.
    """
    if len(x.shape) < 2:
        raise ShapeError(f"triu: expected at least two axes, got shape {tuple(x.shape)}")
    return Triu.apply(x, diagonal=diagonal)


class OneHot(Operation):
    differentiable = False

    def forward(self, x: Any, num_classes: int) -> Any:
        return (x[..., None] == self.xp.arange(num_classes)).astype(np.int64)


def one_hot(x: Any, num_classes: int = -1) -> Tensor:
    """Return, for each label, a vector of zeros with a one at its position.

    .. math:: y_{ik} = [x_i = k]

    Parameters
    ----------
    x : Tensor or array of integers, any shape
        Labels from 0 to ``num_classes - 1``.
    num_classes : int
        One more than the largest label if -1.

    Returns
    -------
    Tensor of int64, the shape of ``x`` with a last axis of ``num_classes``

    Raises
    ------
    DTypeError
        If labels are not integers.
    RangeError
        If a label is negative or not below ``num_classes``.

    Examples
    --------
    >>> import minidl
    >>> minidl.one_hot(minidl.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])

    References
    ----------
    ``torch.nn.functional.one_hot``.
    """
    labels = _positions(x, "one_hot")
    array = labels.array if isinstance(labels, Variable) else labels
    lowest, largest = (int(array.min()), int(array.max())) if array.size else (0, -1)
    if num_classes == -1:
        if not array.size:
            raise RangeError("one_hot: the number of classes cannot be told from no labels; pass num_classes=")
        num_classes = largest + 1
    if lowest < 0 or largest >= num_classes:
        raise RangeError(
            f"one_hot: labels from {lowest} to {largest} for {num_classes} classes; expected 0 to {num_classes - 1}"
        )
    return OneHot.apply(labels, num_classes=num_classes)
