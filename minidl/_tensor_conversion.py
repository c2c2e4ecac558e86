"""The half of :class:`minidl.Tensor` that leads elsewhere: to Python's numbers, to NumPy and other libraries, to
other dtypes and devices, to copies of it.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidl import ops
from minidl.autograd import Variable, cast, wrap
from minidl.backend import CPU, Device, as_dtype, device_of, is_pinned, pinned, to_device, to_numpy
from minidl.errors import ArgumentError, DTypeError, GradError, RangeError, ShapeError


class Conversion(Variable):
    """Conversions and copies, and what Python's own functions (``float``, ``len``, ``copy.deepcopy``) ask for."""

    # ------------------------------------------------------------------ Python's numbers and lists

    def item(self) -> Any:
        """Return the one element as a Python number."""
        if self.array.size != 1:
            raise ShapeError(
                f"item: the tensor has {self.array.size} elements (shape {self.array.shape}), expected one; reduce it "
                "first, or use tolist()"
            )
        return self.array.item()

    def tolist(self) -> Any:
        """Return nested lists of Python numbers; a number if there are no axes."""
        return self.array.tolist()

    def __float__(self) -> builtins.float:
        return builtins.float(self.item())

    def __int__(self) -> builtins.int:
        return builtins.int(self.item())

    def __index__(self) -> builtins.int:
        if self.array.dtype.kind not in "iub" or self.array.size != 1:
            raise DTypeError(
                f"only an integer tensor of one element can stand for an int, this one is {self.array.dtype} of shape "
                f"{self.array.shape}"
            )
        return builtins.int(self.array.item())

    def __bool__(self) -> builtins.bool:
        if self.array.size != 1:
            raise ShapeError(
                f"the truth value of a tensor with {self.array.size} elements (shape {self.array.shape}) is ambiguous; "
                "use x.any() or x.all()"
            )
        return builtins.bool(self.array.item())

    def __len__(self) -> builtins.int:
        if not self.array.ndim:
            raise DTypeError("len: a tensor without axes (shape ()) has no length")
        return self.array.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if not self.array.ndim:
            raise DTypeError("a tensor without axes (shape ()) cannot be iterated over; use x.item()")
        return iter(ops.unbind(self))

    def __reversed__(self) -> Any:
        return ops.flip(self, 0)

    def __contains__(self, element: Any) -> builtins.bool:
        return builtins.bool((self.array == (element.array if isinstance(element, Variable) else element)).any())

    def __format__(self, spec: str) -> str:
        if not self.array.ndim:
            return format(self.array.item(), spec)  # a number's text, as for any number
        if spec:
            raise DTypeError(
                f"only a tensor without axes can be formatted with {spec!r}, this one has shape {self.array.shape}; "
                "format its elements: x.tolist()"
            )
        return str(self)

    # ------------------------------------------------------------------ NumPy and other libraries

    def numpy(self, *, force: builtins.bool = False) -> np.ndarray:
        """Return a NumPy array: one that shares the memory of a tensor on the CPU, a copy of one on a GPU.

        PyTorch wants ``x.cpu().numpy()`` for the latter, which does here, too; Keras copies, as this does.

        Parameters
        ----------
        force : bool
            Detach it if need be.

        Raises
        ------
        GradError
            If the tensor requires gradients.
        """
        if self._requires_grad and not force:
            raise GradError("numpy: the tensor requires gradients, which NumPy cannot record; use x.detach().numpy()")
        return to_numpy(self.array)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(to_numpy(self.array), dtype=dtype, copy=copy)

    def __dlpack__(self, **kwargs: Any) -> Any:
        if self._requires_grad:
            raise GradError(
                "__dlpack__: the tensor requires gradients, which another library cannot record; pass x.detach()"
            )
        return self.array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> tuple[builtins.int, builtins.int]:
        return self.array.__dlpack_device__()

    # ------------------------------------------------------------------ dtypes and devices

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
    ) -> Any:
        """Return the tensor in another dtype, on another device, or both, differentiably.

        Parameters
        ----------
        *args : dtype, Device, device name, or Tensor
            In any order; a Tensor stands for its dtype and device.
        dtype : dtype, optional
        device : Device or str, optional
        non_blocking : bool
            Do not wait for a copy from pinned memory to a GPU (see :meth:`pin_memory`); nothing may be written to this
            tensor before it is done. Other copies to a GPU are never waited for, those from one always.
        copy : bool
            Return a copy even if nothing changes.

        Returns
        -------
        Tensor
            Itself if it is what was asked for.
        """
        for arg in args:
            if isinstance(arg, Variable):
                dtype, device = arg.array.dtype, device_of(arg.array)
            elif isinstance(arg, Device) or (isinstance(arg, str) and arg.partition(":")[0] in ("cpu", "gpu", "cuda")):
                device = arg
            elif type(arg) is builtins.int:
                device = Device(arg)
            elif not isinstance(arg, builtins.bool):
                dtype = as_dtype(arg)
        out = self if device is None else ops.to_device(self, device, non_blocking)
        out = out if dtype is None else cast(out, dtype)
        return ops.clone(out) if copy and out is self else out

    def cpu(self) -> Any:
        """Return the tensor on the CPU."""
        return ops.to_device(self, CPU)

    def gpu(self, device: Any = None, non_blocking: builtins.bool = False) -> Any:
        """Return the tensor on a GPU: the current one, or the one that is named or numbered."""
        return ops.to_device(self, Device("gpu" if device is None else device), non_blocking)

    cuda = gpu

    def pin_memory(self) -> Any:
        """Return a copy in memory of the CPU that stays where it is: a GPU copies from it without the CPU's help."""
        return self if is_pinned(self.array) else wrap(pinned(self.array))

    def is_pinned(self) -> builtins.bool:
        """Return whether the tensor's memory is that of :meth:`pin_memory`."""
        return is_pinned(self.array)

    astype = cast

    def type(self, dtype: Any = None) -> Any:
        """Return the tensor in another dtype; the name of its own if none is given."""
        return str(self.array.dtype) if dtype is None else cast(self, dtype)

    def type_as(self, other: Variable) -> Any:
        """Return the tensor in the dtype and on the device of ``other``."""
        return self.to(other)

    def float(self) -> Any:
        """Return the tensor as float32."""
        return cast(self, np.float32)

    def double(self) -> Any:
        """Return the tensor as float64."""
        return cast(self, np.float64)

    def half(self) -> Any:
        """Return the tensor as float16."""
        return cast(self, np.float16)

    def long(self) -> Any:
        """Return the tensor as int64."""
        return cast(self, np.int64)

    def int(self) -> Any:
        """Return the tensor as int32."""
        return cast(self, np.int32)

    def short(self) -> Any:
        """Return the tensor as int16."""
        return cast(self, np.int16)

    def byte(self) -> Any:
        """Return the tensor as uint8."""
        return cast(self, np.uint8)

    def char(self) -> Any:
        """Return the tensor as int8."""
        return cast(self, np.int8)

    def bool(self) -> Any:
        """Return whether each element is other than zero."""
        return cast(self, np.bool_)

    # ------------------------------------------------------------------ copies

    clone = ops.clone
    copy = ops.clone
    contiguous = ops.contiguous

    def detach(self) -> Any:
        """Return a tensor with the same memory that is cut off from the graph."""
        out = wrap(self.array[...])
        out.counter = self.counter
        return out

    def __copy__(self) -> Any:
        out = _rebuild(type(self), self.array[...], self._requires_grad)
        out.counter = self.counter
        return out

    def __deepcopy__(self, memo: dict[builtins.int, Any]) -> Any:
        self._refuse_unless_leaf("copy.deepcopy")
        out = _rebuild(type(self), self.array.copy(), self._requires_grad)
        if self._grad is not None:
            out._grad = wrap(self._grad.array.copy())
        memo[id(self)] = out
        return out

    def __reduce_ex__(self, protocol: Any) -> Any:
        self._refuse_unless_leaf("pickling")
        return _rebuild, (type(self), to_numpy(self.array), self._requires_grad, str(device_of(self.array)))

    def _refuse_unless_leaf(self, name: str) -> None:
        if self._node is not None:
            raise GradError(
                f"{name}: only a leaf can be copied this way, this tensor is the result of {self._node.name}; "
                "use x.detach().clone()"
            )

    # ------------------------------------------------------------------ new tensors like this one

    def new_tensor(self, data: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Any:
        """Return a tensor of ``data``, by default in this one's dtype and on its device."""
        return ops.tensor(data, *self._like(dtype, device), requires_grad)

    def new_zeros(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Any:
        """Return zeros of ``size``, by default in this tensor's dtype and on its device."""
        wanted, place = self._like(dtype, device)
        return ops.zeros(*size, dtype=wanted, device=place, requires_grad=requires_grad)

    def new_ones(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Any:
        """Return ones of ``size``, by default in this tensor's dtype and on its device."""
        wanted, place = self._like(dtype, device)
        return ops.ones(*size, dtype=wanted, device=place, requires_grad=requires_grad)

    def new_empty(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False) -> Any:
        """Return arbitrary numbers of ``size``, by default in this tensor's dtype and on its device."""
        wanted, place = self._like(dtype, device)
        return ops.empty(*size, dtype=wanted, device=place, requires_grad=requires_grad)

    def new_full(
        self, size: Any, fill_value: Any, dtype: Any = None, device: Any = None, requires_grad: builtins.bool = False
    ) -> Any:
        """Return a tensor full of ``fill_value``, by default in this one's dtype and on its device."""
        wanted, place = self._like(dtype, device)
        return ops.full(size, fill_value, dtype=wanted, device=place, requires_grad=requires_grad)

    def _like(self, dtype: Any, device: Any) -> tuple[Any, Any]:
        return self.array.dtype if dtype is None else dtype, device_of(self.array) if device is None else device

    # ------------------------------------------------------------------ what it is

    @property
    def shape(self) -> tuple[builtins.int, ...]:
        """The size of each axis."""
        return self.array.shape

    @property
    def ndim(self) -> builtins.int:
        """The number of axes."""
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return self.array.dtype

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return device_of(self.array)

    @property
    def is_cuda(self) -> builtins.bool:
        """Whether the array lives on a GPU."""
        return not isinstance(self.array, np.ndarray)

    @property
    def itemsize(self) -> builtins.int:
        """The bytes of one element."""
        return self.array.dtype.itemsize

    @property
    def nbytes(self) -> builtins.int:
        """The bytes of all elements."""
        return self.array.nbytes

    def size(self, dim: Any = None) -> Any:
        """Return the shape, or the size of one axis."""
        if dim is None:
            return self.array.shape
        if not -self.array.ndim <= dim < self.array.ndim:
            raise RangeError(f"size: axis {dim} is out of range for a tensor of shape {self.array.shape}")
        return self.array.shape[dim]

    def dim(self) -> builtins.int:
        """Return the number of axes."""
        return self.array.ndim

    ndimension = dim

    def numel(self) -> builtins.int:
        """Return the number of elements."""
        return self.array.size

    nelement = numel

    def element_size(self) -> builtins.int:
        """Return the bytes of one element."""
        return self.array.dtype.itemsize

    def stride(self, dim: Any = None) -> Any:
        """Return how many elements apart neighbours along each axis lie in memory, or along one."""
        steps = tuple(step // self.array.dtype.itemsize for step in self.array.strides)
        return steps if dim is None else steps[dim]

    def is_contiguous(self) -> builtins.bool:
        """Return whether the elements lie in memory in row-major order."""
        return self.array.flags.c_contiguous

    is_floating_point = ops.is_floating_point


def _rebuild(kind: builtins.type, array: Any, requires_grad: bool, device: str | None = None) -> Any:
    """Make a leaf of class ``kind`` around an array; what copies and pickles of a tensor call."""
    if device not in (None, "cpu"):
        array = to_device(array, Device(device))
    if not issubclass(kind, Variable):
        raise ArgumentError(f"a tensor cannot be rebuilt as {kind.__name__}")
    out = object.__new__(kind)
    out.array, out.counter = array, [0]
    if requires_grad:
        out._requires_grad = True
    return out
