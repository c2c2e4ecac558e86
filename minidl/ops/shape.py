"""Shapes: the same numbers, arranged differently. Most results are views, as in NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Operation, Variable
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.ops.arguments import DIM, as_sizes, normalize_axes, normalize_axis, takes_tensors

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "array_split",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_tensors",
    "broadcast_to",
    "cat",
    "chunk",
    "concat",
    "concatenate",
    "expand",
    "expand_as",
    "expand_dims",
    "flatten",
    "hstack",
    "matrix_transpose",
    "moveaxis",
    "movedim",
    "permute",
    "ravel",
    "reshape",
    "reshape_as",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "swapdims",
    "t",
    "tensor_split",
    "transpose",
    "unbind",
    "unflatten",
    "unsqueeze",
    "view",
    "view_as",
    "vstack",
]


class BroadcastTo(Operation):
    is_view = True

    def forward(self, x: Any, shape: tuple[int, ...]) -> Any:
        return self.xp.broadcast_to(x, shape)

    def backward(self, grad: Any) -> Any:
        return grad  # the engine sums it down to the shape of x


@takes_tensors("x")
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


@takes_tensors("x")
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
        fix = f"the sizes must multiply to {total}"
        if len(x.shape) > 2 and len(sizes) == 2 and x.shape[0]:  # meant to flatten a batch of images for a dense layer
            fix = f"x.flatten(1) joins all axes but the batch: {(x.shape[0], total // x.shape[0])}"
        raise ShapeError(
            f"reshape: a tensor of shape {tuple(x.shape)} has {total} elements, which do not fit shape {sizes}"
            + (f" ({known} elements); {fix}" if -1 not in sizes else f" ({total} is not a multiple of {known}); {fix}")
        )
    return Reshape.apply(x, shape=sizes)


def view(x: Any, *shape: Any) -> Tensor:
    r"""Return ``x`` with another shape; as :func:`reshape`, PyTorch's other name of it.

    .. math:: y_j = x_i \quad \text{for equal positions in row-major order}

    Parameters
    ----------
    x : Tensor or array, any shape
    *shape : ints, or one sequence of them
        One of them may be -1: it is computed from the others.

    Returns
    -------
    Tensor, of ``shape``
        Where the memory layout does not allow a view it is a copy; PyTorch raises there.

    Raises
    ------
    ShapeError
        If the number of elements differs.

    Examples
    --------
    >>> import minidl
    >>> minidl.ones(2, 3).view(-1).shape
    (6,)

    References
    ----------
    PyTorch's ``Tensor.view``.
    """
    return reshape(x, *shape)


@takes_tensors("x", "other")
def view_as(x: Any, other: Any) -> Tensor:
    r"""Return ``x`` in the shape of ``other``.

    .. math:: y_j = x_i \quad \text{for equal positions in row-major order}

    Parameters
    ----------
    x : Tensor or array, any shape
    other : Tensor or array, as many elements

    Returns
    -------
    Tensor, the shape of ``other``

    Raises
    ------
    ShapeError
        If the number of elements differs.

    Examples
    --------
    >>> import minidl
    >>> minidl.ones(6).view_as(minidl.ones(2, 3)).shape
    (2, 3)

    References
    ----------
    PyTorch's ``Tensor.view_as``.
    """
    return reshape(x, tuple(other.shape))


@takes_tensors("x", "other")
def reshape_as(x: Any, other: Any) -> Tensor:
    r"""Return ``x`` in the shape of ``other``.

    .. math:: y_j = x_i \quad \text{for equal positions in row-major order}

    Parameters
    ----------
    x : Tensor or array, any shape
    other : Tensor or array, as many elements

    Returns
    -------
    Tensor, the shape of ``other``

    Raises
    ------
    ShapeError
        If the number of elements differs.

    Examples
    --------
    >>> import minidl
    >>> minidl.ones(6).reshape_as(minidl.ones(2, 3)).shape
    (2, 3)

    References
    ----------
    PyTorch's ``Tensor.reshape_as``.
    """
    return reshape(x, tuple(other.shape))


@takes_tensors("x")
def ravel(x: Any) -> Tensor:
    r"""Return all elements in one axis, in row-major order.

    .. math:: y_j = x_i \quad \text{for equal positions in row-major order}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, of shape (count,)
        A view where the memory layout allows it.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.ravel(minidl.ones(2, 3)).shape
    (6,)

    References
    ----------
    ``torch.ravel``, ``numpy.ravel``.
    """
    return reshape(x, (-1,)) if math.prod(x.shape) else reshape(x, (0,))


@takes_tensors("x")
def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    r"""Return ``x`` with the axes from ``start_dim`` to ``end_dim`` (both included) made one.

    .. math:: y_j = x_i \quad \text{for equal positions in row-major order}

    Parameters
    ----------
    x : Tensor or array, any shape
    start_dim, end_dim : int

    Returns
    -------
    Tensor
        A view where the memory layout allows it. A scalar becomes a vector of one element.

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If ``start_dim`` comes after ``end_dim``.

    Examples
    --------
    >>> import minidl
    >>> minidl.flatten(minidl.ones(2, 3, 4), 1).shape
    (2, 12)

    References
    ----------
    ``torch.flatten``.
    """
    shape = tuple(x.shape)
    first = normalize_axis(start_dim, len(shape), "flatten")
    last = normalize_axis(end_dim, len(shape), "flatten")
    if first > last:
        raise ArgumentError(
            f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in a tensor of shape {shape}"
        )
    return reshape(x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@takes_tensors("x")
def unflatten(x: Any, dim: int, sizes: Any) -> Tensor:
    r"""Return ``x`` with one axis split into several: the reverse of :func:`flatten`.

    .. math:: y_j = x_i \quad \text{for equal positions in row-major order}

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int
    sizes : sequence of int
        Their product is the size of the axis; one may be -1.

    Returns
    -------
    Tensor
        A view where the memory layout allows it.

    Raises
    ------
    RangeError
        If there is no such axis.
    ShapeError
        If the sizes do not multiply to the size of the axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.unflatten(minidl.ones(2, 12), 1, (3, -1)).shape
    (2, 3, 4)

    References
    ----------
    ``torch.unflatten``.
    """
    shape = tuple(x.shape)
    axis = normalize_axis(dim, len(shape), "unflatten")
    sizes = as_sizes((sizes,), "unflatten")
    known = math.prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known and shape[axis] % known == 0:
        sizes = tuple(shape[axis] // known if size == -1 else size for size in sizes)
    elif -1 in sizes or known != shape[axis]:
        raise ShapeError(
            f"unflatten: axis {axis} of shape {shape} has size {shape[axis]}, which does not split into {sizes}"
        )
    return reshape(x, (*shape[:axis], *sizes, *shape[axis + 1 :]))


@takes_tensors("x", **DIM)
def squeeze(x: Any, axis: Any = None) -> Tensor:
    """Return ``x`` without its axes of size 1, or without those given.

    .. math:: y_{ij} = x_{i1j}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int, tuple of int, or None
        Which axes to drop if they have size 1 (others stay, as in PyTorch); all if None. ``dim`` is accepted.

    Returns
    -------
    Tensor, a view

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.squeeze(minidl.ones(1, 3, 1)).shape
    (3,)
    >>> minidl.squeeze(minidl.ones(1, 3, 1), 0).shape
    (3, 1)

    References
    ----------
    ``torch.squeeze``, ``numpy.squeeze``.
    """
    axes = normalize_axes(axis, len(x.shape), "squeeze")
    return reshape(x, tuple(size for i, size in enumerate(x.shape) if size != 1 or i not in axes))


@takes_tensors("x", **DIM)
def unsqueeze(x: Any, axis: Any) -> Tensor:
    """Return ``x`` with new axes of size 1.

    .. math:: y_{i1j} = x_{ij}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int or tuple of int
        Where they stand in the result. ``dim`` is accepted.

    Returns
    -------
    Tensor, a view

    Raises
    ------
    RangeError
        If a position is not in the result.
    ArgumentError
        If a position comes twice.

    Examples
    --------
    >>> import minidl
    >>> minidl.unsqueeze(minidl.ones(2, 3), 1).shape
    (2, 1, 3)

    References
    ----------
    ``torch.unsqueeze``, ``numpy.expand_dims``.
    """
    positions = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = len(x.shape) + len(positions)
    axes = normalize_axes(positions, ndim, "unsqueeze")
    old = iter(x.shape)
    return reshape(x, tuple(1 if i in axes else next(old) for i in range(ndim)))


expand_dims = unsqueeze


@takes_tensors("x")
def expand(x: Any, *sizes: Any) -> Tensor:
    """Return a read-only view of ``x`` whose axes of size 1 are stretched.

    .. math:: y_{n, i} = x_{1, i}

    Parameters
    ----------
    x : Tensor or array, any shape
    *sizes : ints, or one sequence of them
        -1 keeps the size of an axis; further axes may stand in front.

    Returns
    -------
    Tensor, of ``sizes``

    Raises
    ------
    ShapeError
        If an axis of other size than 1 would have to change.

    Examples
    --------
    >>> import minidl
    >>> minidl.expand(minidl.tensor([[1], [2]]), -1, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])

    References
    ----------
    PyTorch's ``Tensor.expand``.
    """
    wanted = as_sizes(sizes, "expand")
    extra = len(wanted) - len(x.shape)
    if -1 in wanted:
        if extra < 0 or -1 in wanted[:extra]:
            raise ShapeError(f"expand: -1 keeps an axis, but {wanted} has one that shape {tuple(x.shape)} lacks")
        wanted = tuple(x.shape[i - extra] if size == -1 else size for i, size in enumerate(wanted))
    return broadcast_to(x, wanted)


@takes_tensors("x", "other")
def expand_as(x: Any, other: Any) -> Tensor:
    """Return a read-only view of ``x`` stretched to the shape of ``other``.

    .. math:: y_{n, i} = x_{1, i}

    Parameters
    ----------
    x : Tensor or array, a shape that broadcasts to that of ``other``
    other : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``other``

    Raises
    ------
    ShapeError
        If ``x`` does not broadcast to it.

    Examples
    --------
    >>> import minidl
    >>> minidl.ones(3).expand_as(minidl.ones(2, 3)).shape
    (2, 3)

    References
    ----------
    PyTorch's ``Tensor.expand_as``.
    """
    return broadcast_to(x, tuple(other.shape))


@takes_tensors("tensors")
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Return read-only views of the tensors, all stretched to their common shape.

    .. math:: y^{(k)}_{n, i} = x^{(k)}_{1, i}

    Parameters
    ----------
    *tensors : Tensors or arrays, shapes that broadcast

    Returns
    -------
    tuple of Tensor, all of the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import minidl
    >>> [x.shape for x in minidl.broadcast_tensors(minidl.ones(2, 1), minidl.ones(3))]
    [(2, 3), (2, 3)]

    References
    ----------
    ``torch.broadcast_tensors``, ``numpy.broadcast_arrays``.
    """
    shapes = [tuple(x.shape) for x in tensors]
    try:
        common = np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            f"broadcast_tensors: shapes {' and '.join(map(str, shapes))} do not broadcast; aligned from the right, "
            "each pair of sizes must be equal or 1"
        ) from None
    return tuple(broadcast_to(x, common) for x in tensors)


@takes_tensors("x")
def atleast_1d(x: Any) -> Tensor:
    """Return ``x`` with at least 1 axis: missing ones of size 1 are added as NumPy does.

    .. math:: y_1 = x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, a view

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.atleast_1d(minidl.ones(5)).shape
    (5,)

    References
    ----------
    ``torch.atleast_1d``, ``numpy.atleast_1d``.
    """
    return x if len(x.shape) else reshape(x, (1,))


@takes_tensors("x")
def atleast_2d(x: Any) -> Tensor:
    """Return ``x`` with at least 2 axes: missing ones of size 1 are added as NumPy does.

    .. math:: y_{1i} = x_i

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, a view

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.atleast_2d(minidl.ones(5)).shape
    (1, 5)

    References
    ----------
    ``torch.atleast_2d``, ``numpy.atleast_2d``.
    """
    return x if len(x.shape) >= 2 else reshape(x, (1, math.prod(x.shape)))


@takes_tensors("x")
def atleast_3d(x: Any) -> Tensor:
    """Return ``x`` with at least 3 axes: missing ones of size 1 are added as NumPy does.

    .. math:: y_{1i1} = x_i

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, a view

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.atleast_3d(minidl.ones(5)).shape
    (1, 5, 1)

    References
    ----------
    ``torch.atleast_3d``, ``numpy.atleast_3d``.
    """
    if len(x.shape) >= 3:
        return x
    return reshape(x, (1, 1, 1) if not x.shape else (1, *x.shape, 1) if len(x.shape) == 1 else (*x.shape, 1))


class Permute(Operation):
    is_view = True

    def forward(self, x: Any, axes: tuple[int, ...]) -> Any:
        self.axes = axes
        return x.transpose(axes)

    def backward(self, grad: Any) -> Any:
        back = sorted(range(len(self.axes)), key=self.axes.__getitem__)
        return permute(grad, back)


@takes_tensors("x")
def permute(x: Any, *dims: Any) -> Tensor:
    r"""Return a view of ``x`` with its axes in another order.

    .. math:: y_{i_{p_1} \dots i_{p_n}} = x_{i_1 \dots i_n}

    Parameters
    ----------
    x : Tensor or array, any shape
    *dims : ints, or one sequence of them
        Each axis of ``x`` once.

    Returns
    -------
    Tensor, a view

    Raises
    ------
    ArgumentError
        If an axis is missing or comes twice.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.permute(minidl.ones(2, 3, 4), 2, 0, 1).shape
    (4, 2, 3)

    References
    ----------
    ``torch.permute``, ``numpy.transpose``.
    """
    ndim = len(x.shape)
    axes = tuple(normalize_axis(axis, ndim, "permute") for axis in as_sizes(dims, "permute"))
    if len(axes) != ndim or len(set(axes)) != ndim:
        raise ArgumentError(
            f"permute: a tensor of shape {tuple(x.shape)} has {ndim} axes; name each of them once, got {axes}"
        )
    return Permute.apply(x, axes=axes)


@takes_tensors("x")
def transpose(x: Any, *axes: Any, dim0: int | None = None, dim1: int | None = None) -> Tensor:
    """Return a view with two axes swapped (two ints, as in PyTorch), or all axes in another order (as in NumPy).

    .. math:: y_{ji} = x_{ij}

    Parameters
    ----------
    x : Tensor or array, any shape
    *axes : two ints, or none, or all axes as ints or one sequence
        None reverses the order of all axes.
    dim0, dim1 : int
        PyTorch's names of the two axes to swap.

    Returns
    -------
    Tensor, a view

    Raises
    ------
    ArgumentError
        If an axis is missing or comes twice.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.ones(2, 3, 4)
    >>> minidl.transpose(x, 0, 1).shape
    (3, 2, 4)
    >>> minidl.transpose(x, (2, 0, 1)).shape
    (4, 2, 3)

    References
    ----------
    ``torch.transpose``, ``numpy.transpose``.
    """
    if dim0 is not None or dim1 is not None:
        axes = (*axes, *(axis for axis in (dim0, dim1) if axis is not None))
    ndim = len(x.shape)
    if not axes or (len(axes) == 1 and axes[0] is None):
        return Permute.apply(x, axes=tuple(range(ndim))[::-1])
    if len(axes) != 2:
        return permute(x, *axes)
    return swapaxes(x, *axes)


@takes_tensors("x")
def swapaxes(x: Any, axis0: int, axis1: int) -> Tensor:
    """Return a view of ``x`` with two axes swapped.

    .. math:: y_{ji} = x_{ij}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis0, axis1 : int

    Returns
    -------
    Tensor, a view

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.swapaxes(minidl.ones(2, 3, 4), 0, 2).shape
    (4, 3, 2)

    References
    ----------
    ``torch.swapaxes``, ``numpy.swapaxes``.
    """
    ndim = len(x.shape)
    first, second = normalize_axis(axis0, ndim, "swapaxes"), normalize_axis(axis1, ndim, "swapaxes")
    order = list(range(ndim))
    if ndim:
        order[first], order[second] = second, first
    return Permute.apply(x, axes=tuple(order))


swapdims = swapaxes


@takes_tensors("x")
def movedim(x: Any, source: Any, destination: Any) -> Tensor:
    """Return a view with some axes moved to other places, the rest in their order.

    .. math:: y_{jki} = x_{ijk}

    Parameters
    ----------
    x : Tensor or array, any shape
    source, destination : int or tuple of int, as many

    Returns
    -------
    Tensor, a view

    Raises
    ------
    RangeError
        If there is no such axis.
    ArgumentError
        If an axis comes twice, or the numbers of axes differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.movedim(minidl.ones(2, 3, 4), 0, -1).shape
    (3, 4, 2)

    References
    ----------
    ``torch.movedim``, ``numpy.moveaxis``.
    """
    ndim = len(x.shape)
    come = normalize_axes(source, ndim, "movedim") if source is not None else ()
    go = normalize_axes(destination, ndim, "movedim") if destination is not None else ()
    if len(come) != len(go):
        raise ArgumentError(f"movedim: {len(come)} axes {come} cannot move to {len(go)} places {go}")
    order = [axis for axis in range(ndim) if axis not in come]
    for place, axis in sorted(zip(go, come, strict=True)):
        order.insert(place, axis)
    return Permute.apply(x, axes=tuple(order))


moveaxis = movedim


@takes_tensors("x")
def t(x: Any) -> Tensor:
    """Return the transpose of a matrix; a vector or a scalar as it is.

    .. math:: y_{ji} = x_{ij}

    Parameters
    ----------
    x : Tensor or array, at most two axes

    Returns
    -------
    Tensor, a view

    Raises
    ------
    ShapeError
        If there are more than two axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.t(minidl.ones(2, 3)).shape
    (3, 2)

    References
    ----------
    ``torch.t``.
    """
    if len(x.shape) > 2:
        raise ShapeError(f"t: expected at most two axes, got shape {tuple(x.shape)}; use transpose or permute")
    return Permute.apply(x, axes=(1, 0)) if len(x.shape) == 2 else x


@takes_tensors("x")
def matrix_transpose(x: Any) -> Tensor:
    r"""Return a view with the last two axes swapped; what ``x.mT`` does.

    .. math:: y_{\dots ji} = x_{\dots ij}

    Parameters
    ----------
    x : Tensor or array, of shape (..., M, N)

    Returns
    -------
    Tensor, of shape (..., N, M)

    Raises
    ------
    ShapeError
        If there are fewer than two axes.

    Examples
    --------
    >>> import minidl
    >>> minidl.matrix_transpose(minidl.ones(5, 2, 3)).shape
    (5, 3, 2)

    References
    ----------
    PyTorch's ``Tensor.mT``, ``numpy.matrix_transpose``.
    """
    ndim = len(x.shape)
    if ndim < 2:
        raise ShapeError(f"matrix_transpose: expected at least two axes, got shape {tuple(x.shape)}")
    return Permute.apply(x, axes=(*range(ndim - 2), ndim - 1, ndim - 2))


class Concat(Operation):
    casting = "common"

    def forward(self, *tensors: Any, axis: int) -> Any:
        self.axis, self.sizes = axis, [x.shape[axis] for x in tensors]
        return self.xp.concatenate(tensors, axis=axis)

    def backward(self, grad: Any) -> Any:
        before = (slice(None),) * self.axis
        grads = []
        start = 0
        for size, needed in zip(self.sizes, self.needs, strict=True):
            grads.append(grad[(*before, slice(start, start + size))] if needed else None)
            start += size
        return tuple(grads)


@takes_tensors(**DIM)
def concat(tensors: Any, axis: int = 0) -> Tensor:
    r"""Return tensors joined along one of their axes.

    .. math:: y = [x^{(1)}; x^{(2)}; \dots]

    Parameters
    ----------
    tensors : sequence of Tensor or array
        All of one shape but for the size of that axis.
    axis : int
        ``dim`` is accepted.

    Returns
    -------
    Tensor, the shapes' sizes along the axis added up

    Raises
    ------
    ArgumentError
        If there are no tensors.
    ShapeError
        If shapes differ along another axis.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.concat([minidl.zeros(1, 2), minidl.ones(1, 2)])
    tensor([[0., 0.],
            [1., 1.]])

    References
    ----------
    ``torch.cat``, ``numpy.concatenate``.
    """
    tensors, shape = _joinable(tensors, "concat")
    if not shape:
        raise ShapeError("concat: tensors without axes (shape ()) cannot be joined along one; use stack")
    axis = normalize_axis(axis, len(shape), "concat")
    for i, x in enumerate(tensors):
        other = tuple(x.shape)
        if other != shape and (
            len(other) != len(shape) or other[:axis] != shape[:axis] or other[axis + 1 :] != shape[axis + 1 :]
        ):
            raise ShapeError(
                f"concat: tensor {i} has shape {other}, the first {shape}; they may differ along axis {axis} only"
            )
    return Concat.apply(*tensors, axis=axis)


cat = concatenate = concat


class Stack(Operation):
    casting = "common"

    def forward(self, *tensors: Any, axis: int) -> Any:
        self.axis = axis
        return self.xp.stack(tensors, axis=axis)

    def backward(self, grad: Any) -> Any:
        before = (slice(None),) * self.axis
        return tuple(grad[(*before, i, ...)] if needed else None for i, needed in enumerate(self.needs))


@takes_tensors(**DIM)
def stack(tensors: Any, axis: int = 0) -> Tensor:
    """Return tensors of one shape joined along a new axis.

    .. math:: y_{k, i} = x^{(k)}_i

    Parameters
    ----------
    tensors : sequence of Tensor or array
        All of one shape.
    axis : int
        Where the new axis stands in the result. ``dim`` is accepted.

    Returns
    -------
    Tensor, their shape with one axis more

    Raises
    ------
    ArgumentError
        If there are no tensors.
    ShapeError
        If shapes differ.
    RangeError
        If there is no such place.

    Examples
    --------
    >>> import minidl
    >>> minidl.stack([minidl.zeros(2), minidl.ones(2)], axis=1)
    tensor([[0., 1.],
            [0., 1.]])

    References
    ----------
    ``torch.stack``, ``numpy.stack``.
    """
    tensors, shape = _joinable(tensors, "stack")
    for i, x in enumerate(tensors):
        if tuple(x.shape) != shape:
            raise ShapeError(f"stack: tensor {i} has shape {tuple(x.shape)}, the first {shape}; they must be equal")
    return Stack.apply(*tensors, axis=normalize_axis(axis, len(shape) + 1, "stack"))


def _joinable(tensors: Any, name: str) -> tuple[list[Any], tuple[int, ...]]:
    """Return the tensors as a list, and the shape of the first."""
    if not isinstance(tensors, Iterable):
        raise ArgumentError(f"{name}: expected a sequence of tensors, got {type(tensors).__name__}")
    found = list(tensors)
    for i, x in enumerate(found):
        if not isinstance(x, Variable) and not hasattr(x, "dtype"):
            raise DTypeError(
                f"{name}: item {i} is {type(x).__name__}, expected a Tensor or an array; minidl.tensor(...) it"
            )
    if not found:
        raise ArgumentError(f"{name}: expected at least one tensor, got none")
    return found, tuple(found[0].shape)


def vstack(tensors: Any) -> Tensor:
    r"""Return tensors joined as rows: along the first axis, vectors as rows.

    .. math:: y = [x^{(1)}; x^{(2)}; \dots]

    Parameters
    ----------
    tensors : sequence of Tensor or array

    Returns
    -------
    Tensor

    Raises
    ------
    ArgumentError
        If there are no tensors.
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> minidl.vstack([minidl.zeros(2), minidl.ones(2)])
    tensor([[0., 0.],
            [1., 1.]])

    References
    ----------
    ``torch.vstack``, ``numpy.vstack``.
    """
    return concat([atleast_2d(x) for x in _joinable(tensors, "vstack")[0]])


def hstack(tensors: Any) -> Tensor:
    r"""Return tensors joined as columns: along the second axis, vectors along their only one.

    .. math:: y = [x^{(1)}; x^{(2)}; \dots]

    Parameters
    ----------
    tensors : sequence of Tensor or array

    Returns
    -------
    Tensor

    Raises
    ------
    ArgumentError
        If there are no tensors.
    ShapeError
        If the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> minidl.hstack([minidl.zeros(2), minidl.ones(2)])
    tensor([0., 0., 1., 1.])

    References
    ----------
    ``torch.hstack``, ``numpy.hstack``.
    """
    raised = [atleast_1d(x) for x in _joinable(tensors, "hstack")[0]]
    return concat(raised, 0 if len(raised[0].shape) == 1 else 1)


class Split(Operation):
    """All pieces of an axis at once, so that a gradient that comes back for each makes one array, not one a piece."""

    is_view = True

    def forward(self, x: Any, ends: tuple[int, ...], axis: int, drop: bool = False) -> Any:
        self.axis, self.drop = axis, drop
        before = (slice(None),) * axis
        if drop:  # each piece is one position, and loses the axis
            return tuple(x[(*before, i, ...)] for i in range(len(ends)))
        return tuple(x[(*before, slice(start, end))] for start, end in zip((0, *ends), ends, strict=False))

    def backward(self, *grads: Any) -> Any:
        return stack(grads, self.axis) if self.drop else concat(grads, self.axis)


@takes_tensors("x", **DIM)
def split(x: Any, split_size: Any, axis: int = 0) -> tuple[Tensor, ...]:
    r"""Return ``x`` cut along one axis into pieces of given sizes: views.

    .. math:: [y^{(1)}; y^{(2)}; \dots] = x

    Parameters
    ----------
    x : Tensor or array, any shape
    split_size : int or sequence of int
        The size of each piece (the last may be smaller), or a size for each.
    axis : int
        ``dim`` is accepted.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ShapeError
        If the sizes do not add up to that of the axis.
    ArgumentError
        If a size is negative, or the one size is 0.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> [y.shape for y in minidl.split(minidl.ones(5, 2), 2)]
    [(2, 2), (2, 2), (1, 2)]
    >>> [y.shape for y in minidl.split(minidl.ones(5, 2), [1, 4])]
    [(1, 2), (4, 2)]

    References
    ----------
    ``torch.split``. (``numpy.split`` counts pieces: see :func:`tensor_split`.)
    """
    axis = _axis_to_cut(x, axis, "split")
    total = x.shape[axis]
    if isinstance(split_size, (tuple, list)):
        sizes = as_sizes((split_size,), "split")
        if any(size < 0 for size in sizes):
            raise ArgumentError(f"split: sizes must not be negative, got {sizes}")
        if sum(sizes) != total:
            raise ShapeError(
                f"split: sizes {sizes} add up to {sum(sizes)}, axis {axis} of shape {tuple(x.shape)} has size {total}"
            )
    else:
        (size,) = as_sizes((split_size,), "split")
        if size < 1:
            raise ArgumentError(f"split: the size of a piece must be at least 1, got {size}")
        sizes = tuple(min(size, total - start) for start in range(0, total, size)) or (0,)
    return Split.apply(x, ends=tuple(accumulate(sizes)), axis=axis)


def _axis_to_cut(x: Any, axis: Any, name: str) -> int:
    if not x.shape:
        raise ShapeError(f"{name}: a tensor without axes (shape ()) cannot be cut")
    return normalize_axis(axis, len(x.shape), name)


@takes_tensors("x", **DIM)
def chunk(x: Any, chunks: int, axis: int = 0) -> tuple[Tensor, ...]:
    r"""Return ``x`` cut along one axis into at most ``chunks`` pieces of equal size, the last smaller: views.

    .. math:: [y^{(1)}; y^{(2)}; \dots] = x

    Parameters
    ----------
    x : Tensor or array, any shape
    chunks : int
    axis : int
        ``dim`` is accepted.

    Returns
    -------
    tuple of Tensor
        Fewer than ``chunks`` where the sizes round up so.

    Raises
    ------
    ArgumentError
        If ``chunks`` is less than 1.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> [y.shape for y in minidl.chunk(minidl.ones(5), 2)]
    [(3,), (2,)]

    References
    ----------
    ``torch.chunk``.
    """
    if chunks < 1:
        raise ArgumentError(f"chunk: the number of pieces must be at least 1, got {chunks}")
    axis = _axis_to_cut(x, axis, "chunk")
    if not x.shape[axis]:
        return Split.apply(x, ends=(0,) * chunks, axis=axis)
    return split(x, -(-x.shape[axis] // chunks), axis)


@takes_tensors("x", **DIM)
def tensor_split(x: Any, indices_or_sections: Any, axis: int = 0) -> tuple[Tensor, ...]:
    r"""Return ``x`` cut along one axis at given positions, or into a number of nearly equal pieces: views.

    .. math:: [y^{(1)}; y^{(2)}; \dots] = x

    Parameters
    ----------
    x : Tensor or array, any shape
    indices_or_sections : int or sequence of int
        How many pieces (the first ones larger by one where it does not divide), or where to cut.
    axis : int
        ``dim`` is accepted.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ArgumentError
        If the number of pieces is less than 1.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> [y.shape for y in minidl.tensor_split(minidl.ones(5), 3)]
    [(2,), (2,), (1,)]
    >>> [y.shape for y in minidl.tensor_split(minidl.ones(5), [1, 3])]
    [(1,), (2,), (2,)]

    References
    ----------
    ``torch.tensor_split``, ``numpy.array_split``.
    """
    axis = _axis_to_cut(x, axis, "tensor_split")
    total = x.shape[axis]
    if isinstance(indices_or_sections, (tuple, list)):
        cuts = [slice(cut).indices(total)[1] for cut in as_sizes((indices_or_sections,), "tensor_split")]
        before = (slice(None),) * axis
        return tuple(x[(*before, slice(a, b))] for a, b in zip((0, *cuts), (*cuts, total), strict=True))
    (sections,) = as_sizes((indices_or_sections,), "tensor_split")
    if sections < 1:
        raise ArgumentError(f"tensor_split: the number of pieces must be at least 1, got {sections}")
    size, larger = divmod(total, sections)
    return Split.apply(x, ends=tuple(accumulate(size + (i < larger) for i in range(sections))), axis=axis)


array_split = tensor_split  # as NumPy calls it


@takes_tensors("x", **DIM)
def unbind(x: Any, axis: int = 0) -> tuple[Tensor, ...]:
    """Return the slices of ``x`` along one axis, which they lose: views.

    .. math:: y^{(k)}_i = x_{k, i}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int
        ``dim`` is accepted.

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ShapeError
        If ``x`` has no axes.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.unbind(minidl.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))

    References
    ----------
    ``torch.unbind``, ``numpy.unstack``.
    """
    axis = _axis_to_cut(x, axis, "unbind")
    if not x.shape[axis]:
        return ()
    return Split.apply(x, ends=tuple(range(1, x.shape[axis] + 1)), axis=axis, drop=True)
