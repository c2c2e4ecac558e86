"""Indexing: reading with ``x[i]`` and writing with ``x[i] = v``, for every kind of index that NumPy has.

An index of ints, slices, ``None`` and ``...`` sees a region of ``x`` and gives a view (:class:`GetItem`). One with
arrays in it, of integers or booleans, gathers elements into a copy (:class:`GatherItems`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Operation, Variable, cast
from minidl.autograd.inplace import adopt, check_writable
from minidl.backend import device_of, is_array, is_read_only
from minidl.errors import DeviceError, DTypeError, GradError, MiniDLError, RangeError, ShapeError
from minidl.ops.arguments import DIM, normalize_axis, takes_tensors
from minidl.ops.creation import as_array

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["getitem", "narrow", "put_add", "select", "set_item"]

_ARRAY = np.newaxis, "array"  # stands in an index where an array belongs; a tuple is never part of an index otherwise


def parse_index(index: Any, name: str) -> tuple[tuple[Any, ...], list[Any]]:
    """Split an index into its fixed part and its arrays, which are inputs of the operation.

    Returns
    -------
    tuple
        The index with ``_ARRAY`` wherever an array belongs.
    list
        The arrays (or Tensors), in order.

    Raises
    ------
    DTypeError
        If something in it cannot select.
    """
    parts = index if type(index) is tuple else (index,)
    fixed: list[Any] = []
    arrays: list[Any] = []
    for part in parts:
        kind = type(part)
        if kind is int or kind is slice or part is None or part is Ellipsis:
            fixed.append(part)
            continue
        if isinstance(part, (list, tuple, range)):
            part = as_array(part, copy=False) if len(part) else np.zeros(0, np.int64)
        elif kind is bool or isinstance(part, np.bool_):
            part = np.asarray(part)
        elif not isinstance(part, Variable) and not is_array(part):
            if not hasattr(part, "__index__"):
                raise DTypeError(
                    f"{name}: cannot index with {part!r} ({kind.__name__}); expected ints, slices, None, ..., or "
                    "integer or boolean tensors, arrays or lists"
                )
            fixed.append(part.__index__())
            continue
        if part.dtype.kind not in "iub":
            raise DTypeError(
                f"{name}: cannot index with a tensor of {part.dtype}; expected integers or booleans: "
                "index.long() for positions, or a comparison for a mask"
            )
        fixed.append(_ARRAY)
        arrays.append(part)
    return tuple(fixed), arrays


def resolve(index: tuple[Any, ...], arrays: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put the arrays back into the index."""
    if not arrays:
        return index
    following = iter(arrays)
    return tuple(next(following) if part is _ARRAY else part for part in index)


def describe(index: tuple[Any, ...], arrays: tuple[Any, ...]) -> str:
    """Write an index as a user would: ``[2, :, array of shape (3,)]``."""
    written = []
    for part in resolve(index, arrays):
        if isinstance(part, slice):
            ends = ("" if end is None else str(end) for end in (part.start, part.stop))
            written.append(":".join(ends) + ("" if part.step is None else f":{part.step}"))
        elif is_array(part):
            written.append(f"{'mask' if part.dtype.kind == 'b' else 'array'} of shape {tuple(part.shape)}")
        else:
            written.append("..." if part is Ellipsis else str(part))
    return "[" + ", ".join(written) + "]"


class _Indexed(Operation, register=False):
    """What reading and writing have in common: an index, its arrays among the inputs, and its errors."""

    index: tuple[Any, ...] = ()
    called = ""  # the public function, where it is not getitem (gather, index_select)

    def explain(self, error: Exception, arrays: Any) -> MiniDLError:
        """Name the tensor's shape and the index."""
        complaint = str(error)
        if len(arrays) > 1 and arrays[1] is not None and ("value array" in complaint or "input array" in complaint):
            return ShapeError(
                f"{self.called or self.name}: the value has shape {np.shape(arrays[1])}, which does not broadcast to "
                f"the region that {describe(self.index, self.positions)} selects of shape {tuple(arrays[0].shape)}: "
                f"{complaint}"
            )
        kind = ShapeError if "mismatch" in complaint or "did not match" in complaint else RangeError
        if isinstance(error, IndexError) or "index" in complaint or "slice" in complaint:
            return kind(
                f"{self.called or self.name}: {complaint}; the tensor has shape {tuple(arrays[0].shape)}, "
                f"the index is {describe(self.index, self.positions)}"
            )
        return super().explain(error, arrays)

    positions: tuple[Any, ...] = ()  # the arrays of the index


class GetItem(_Indexed):
    is_view = True
    called = "getitem"

    def forward(self, x: Any, index: tuple[Any, ...]) -> Any:
        self.index, self.shape = index, x.shape
        return x[index]

    def backward(self, grad: Any) -> Any:
        return PutAdd.apply(grad, index=self.index, shape=self.shape)


class GatherItems(_Indexed):
    def forward(self, x: Any, *arrays: Any, index: tuple[Any, ...], called: str = "getitem") -> Any:
        self.index, self.positions, self.called, self.shape = index, arrays, called, x.shape
        self.save(*arrays)
        return x[resolve(index, arrays)]

    def backward(self, grad: Any) -> Any:
        arrays = self.saved
        return (PutAdd.apply(grad, *arrays, index=self.index, shape=self.shape), *(None for _ in arrays))


def getitem(x: Any, index: Any) -> Tensor:
    r"""Return the elements that ``index`` selects; what ``x[index]`` does.

    .. math:: y_j = x_{\text{index}(j)}

    Parameters
    ----------
    x : Tensor or array, any shape
    index : int, slice, None, ``...``, integer or boolean Tensor, array or list, or a tuple of these

    Returns
    -------
    Tensor
        A view if no array is part of the index, a copy if one is. The shape is the one NumPy gives.

    Raises
    ------
    RangeError
        If a position is out of range, or there are more indices than axes.
    ShapeError
        If a mask does not have the shape of what it masks, or arrays in the index do not broadcast.
    DTypeError
        If the index is of floats, or of something that cannot select.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.arange(6).reshape(2, 3)
    >>> x[0]
    tensor([0, 1, 2])
    >>> x[:, [2, 0]]
    tensor([[2, 0],
            [5, 3]])
    >>> x[x > 2]
    tensor([3, 4, 5])

    References
    ----------
    NumPy's "Indexing on ndarrays"; ``torch.Tensor`` indexing.
    """
    kind = type(index)
    if kind is int or kind is slice:
        return GetItem.apply(x, index=(index, Ellipsis))
    fixed, arrays = parse_index(index, "getitem")
    if arrays:
        return GatherItems.apply(x, *_beside(x, arrays, "getitem"), index=fixed)
    if Ellipsis not in fixed:
        fixed = (*fixed, Ellipsis)  # NumPy hands out a view of one element, not a copy of it
    return GetItem.apply(x, index=fixed)


@takes_tensors("x", **DIM)
def select(x: Any, axis: int, index: int) -> Tensor:
    r"""Return a view of one slice of an axis, which it loses.

    .. math:: y_i = x_{\text{index}, i} \quad (\text{axis } 0)

    Parameters
    ----------
    x : Tensor or array, at least one axis
    axis : int
        ``dim`` is accepted.
    index : int

    Returns
    -------
    Tensor, a view

    Raises
    ------
    RangeError
        If there is no such axis or position.

    Examples
    --------
    >>> import minidl
    >>> minidl.select(minidl.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])

    References
    ----------
    ``torch.select``.
    """
    return getitem(x, (*(slice(None),) * normalize_axis(axis, len(x.shape), "select"), index))


@takes_tensors("x", **DIM)
def narrow(x: Any, axis: int, start: int, length: int) -> Tensor:
    r"""Return a view of some successive slices of an axis.

    .. math:: y_{i, j} = x_{\text{start} + i,\, j} \quad (\text{axis } 0)

    Parameters
    ----------
    x : Tensor or array, at least one axis
    axis : int
        ``dim`` is accepted.
    start : int
        The first slice; counted from the end if negative.
    length : int
        How many.

    Returns
    -------
    Tensor, a view with ``length`` as the size of the axis

    Raises
    ------
    RangeError
        If there is no such axis, or the slices are not all there.

    Examples
    --------
    >>> import minidl
    >>> minidl.narrow(minidl.tensor([1, 2, 3, 4]), 0, 1, 2)
    tensor([2, 3])

    References
    ----------
    ``torch.narrow``.
    """
    axis = normalize_axis(axis, len(x.shape), "narrow")
    size = x.shape[axis] if x.shape else 0
    first = start + size if start < 0 else start
    if first < 0 or length < 0 or first + length > size:
        raise RangeError(f"narrow: no {length} slices from {start} on in axis {axis} of shape {tuple(x.shape)}")
    return getitem(x, (*(slice(None),) * axis, slice(first, first + length)))


def gather_items(x: Any, index: tuple[Any, ...], called: str) -> Tensor:
    """Return ``x[index]`` for an index with arrays in it, on behalf of the function ``called``."""
    fixed, arrays = parse_index(index, called)
    return GatherItems.apply(x, *_beside(x, arrays, called), index=fixed, called=called)


def add_items(x: Any, index: tuple[Any, ...], shape: tuple[int, ...], called: str) -> Tensor:
    """Return zeros of ``shape`` with ``x`` added at ``index``, on behalf of the function ``called``."""
    fixed, arrays = parse_index(index, called)
    if not arrays and Ellipsis not in fixed:
        fixed = (*fixed, Ellipsis)
    return PutAdd.apply(x, *_beside(x, arrays, called), index=fixed, shape=shape, called=called)


def set_items(x: Any, value: Any, index: tuple[Any, ...], called: str) -> Tensor:
    """Return a copy of ``x`` with ``value`` at an index with arrays in it, on behalf of the function ``called``."""
    fixed, arrays = _for_writing(x, index, called)
    return SetItem.apply(x, _value_for(x, value, called), *arrays, index=fixed, called=called)


def _beside(x: Any, arrays: list[Any], name: str) -> list[Any]:
    """Bring plain and CPU arrays of an index to the device of ``x``."""
    x = x.array if isinstance(x, Variable) else x
    if isinstance(x, np.ndarray):
        for a in arrays:
            if not isinstance(a.array if isinstance(a, Variable) else a, np.ndarray):
                raise DeviceError(f"{name}: the tensor is on the cpu, its index on a GPU; move one: index.to('cpu')")
        return arrays
    place = device_of(x)
    # a tensor that is there stays one: its version tells whether it is written to before the backward pass
    return [
        a if isinstance(a, Variable) and device_of(a.array) == place else as_array(a, device=place, copy=False)
        for a in arrays
    ]


class PutAdd(_Indexed):
    """Zeros of ``shape``, with ``x`` added at ``index``: the transpose of reading."""

    def forward(
        self, x: Any, *arrays: Any, index: tuple[Any, ...], shape: tuple[int, ...], called: str = "put_add"
    ) -> Any:
        self.index, self.positions, self.called = index, arrays, called
        self.save(*arrays)
        xp = self.xp
        out = xp.zeros(shape, x.dtype)
        if all(a.dtype.kind == "b" for a in arrays):
            out[resolve(index, arrays)] = x  # no position comes twice
            return out
        # adding at flat positions is the fast path of NumPy's add.at, and one kernel of CuPy's, which adds by atomics:
        # where a position comes twice on a GPU, the order, and so the last bit, may change from run to run
        flat = xp.arange(out.size).reshape(shape)[resolve(index, arrays)]
        xp.add.at(out.reshape(-1), flat.reshape(-1), xp.broadcast_to(x, flat.shape).reshape(-1))
        return out

    def backward(self, grad: Any) -> Any:
        arrays = self.saved
        if not arrays:
            return GetItem.apply(grad, index=self.index)
        return (GatherItems.apply(grad, *arrays, index=self.index), *(None for _ in arrays))


@takes_tensors("x")
def put_add(x: Any, index: Any, shape: tuple[int, ...]) -> Tensor:
    r"""Return zeros of ``shape`` to which ``x`` was added at ``index``; positions that come twice add up.

    .. math:: y_i = \sum_{j : \text{index}(j) = i} x_j

    Parameters
    ----------
    x : Tensor or array, the shape that ``index`` selects of ``shape``
    index : as for :func:`getitem`
    shape : tuple of int

    Returns
    -------
    Tensor, of ``shape``

    Raises
    ------
    RangeError
        If a position is out of range.
    ShapeError
        If ``x`` does not broadcast to what the index selects.
    DTypeError
        If the index cannot select.

    Examples
    --------
    >>> import minidl
    >>> minidl.put_add(minidl.tensor([1.0, 2.0, 3.0]), [0, 2, 0], (4,))
    tensor([4., 0., 2., 0.])

    References
    ----------
    The gradient of :func:`getitem`; ``torch.index_put`` with ``accumulate=True``; ``numpy.add.at``.
    """
    return add_items(x, index, shape, "put_add")


class SetItem(_Indexed):
    """``x`` with the region at ``index`` replaced by ``value``.

    Where an index names a position twice, which value it gets is left open, and each counts as the one.
    """

    def forward(
        self, x: Any, value: Any, *arrays: Any, index: tuple[Any, ...], inplace: bool = False, called: str = "set_item"
    ) -> Any:
        self.index, self.positions, self.called = index, arrays, called
        self.value_ndim = np.ndim(value) if isinstance(value, (int, float)) else value.ndim
        self.save(*arrays)
        if not inplace:
            x = self.xp.array(x)  # NumPy's scalars, too, become arrays
        elif is_array(value) and self.xp.may_share_memory(x, value):
            value = value.copy()  # NumPy gets a[:, 2] = a[1] wrong: it overwrites what it has yet to read
        x[resolve(index, arrays)] = value
        return x

    def backward(self, grad: Any) -> Any:
        arrays = self.saved
        grad_x = grad_value = None
        if self.needs[0]:
            grad_x = SetItem.apply(grad, 0, *arrays, index=self.index)
        if self.needs[1]:
            reader = GatherItems if arrays else GetItem
            grad_value = reader.apply(grad, *arrays, index=self.index)
            extra = self.value_ndim - grad_value.ndim  # NumPy lets a value have further axes of size 1 in front
            if extra > 0:
                grad_value = grad_value.reshape((1,) * extra + grad_value.shape)
        return (grad_x, grad_value, *(None for _ in arrays))


@takes_tensors("x")
def set_item(x: Any, value: Any, index: Any) -> Tensor:
    r"""Return a copy of ``x`` in which the elements that ``index`` selects are replaced by ``value``.

    .. math:: y_{\text{index}(j)} = v_j, \quad y_i = x_i \text{ elsewhere}

    Parameters
    ----------
    x : Tensor or array, any shape
    value : Tensor, array or number, a shape that broadcasts to what the index selects
        Taken in the dtype of ``x``. If the index names a position twice, one of its values is taken.
    index : as for :func:`getitem`

    Returns
    -------
    Tensor, the shape and dtype of ``x``

    Raises
    ------
    RangeError
        If a position is out of range, or there are more indices than axes.
    ShapeError
        If ``value`` does not broadcast to what the index selects.
    DTypeError
        If the index cannot select.

    Examples
    --------
    >>> import minidl
    >>> minidl.set_item(minidl.zeros(3), 5.0, 1)
    tensor([0., 5., 0.])

    References
    ----------
    ``torch.index_put``, JAX's ``x.at[index].set(value)``.
    """
    return set_items(x, value, index, "set_item")


def _for_writing(x: Any, index: Any, name: str) -> tuple[tuple[Any, ...], list[Any]]:
    fixed, arrays = parse_index(index, name)
    if arrays:
        return fixed, _beside(x, arrays, name)
    return (fixed if Ellipsis in fixed else (*fixed, Ellipsis)), arrays


def _value_for(x: Any, value: Any, name: str) -> Any:
    """Return ``value`` in the dtype of ``x``, differentiably."""
    if isinstance(value, Variable):
        return cast(value, x.dtype)
    if isinstance(value, (bool, int, float)):
        if x.dtype.kind in "iu" and value != value:
            raise DTypeError(f"{name}: nan cannot be stored in a tensor of {x.dtype}; convert it first: x.float()")
        return value if x.dtype.kind == "f" else x.dtype.type(value).item()
    place = x.array if isinstance(x, Variable) else x
    return as_array(value, x.dtype, device_of(place), copy=False)


def assign(x: Any, index: Any, value: Any) -> None:
    """Write ``value`` into ``x`` at ``index``: ``x[index] = value``, part of the graph where one is recorded.

    Raises
    ------
    GradError
        If ``x`` is a leaf that requires gradients, or a read-only view.
    RangeError, ShapeError, DTypeError
        As for :func:`set_item`.
    """
    check_writable(x, value, "x[...] = value")
    if is_read_only(x.array):
        raise GradError("x[...] = value: this tensor is a read-only view (of expand, say); clone() it first")
    fixed, arrays = _for_writing(x, index, "x[...] = value")
    value = _value_for(x, value, "x[...] = value")
    adopt(x, SetItem.apply(x, value, *arrays, index=fixed, inplace=True, called="x[...] = value"))
