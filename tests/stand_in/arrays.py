"""The stand-in's array: a NumPy array that NumPy never sees.

It has the attributes, methods, keywords and refusals of ``cupy.ndarray``. Where CuPy and NumPy disagree, it does what
CuPy does: no implicit conversion, reductions and indexing give arrays without axes, index arrays that are out of bounds
wrap around, results are in C order, nothing warns of infinities, and reading a value makes the host wait.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.stand_in import api, runtime
from tests.stand_in.runtime import synchronize

SCALARS = (bool, int, float, complex, np.generic)
NO_CONVERSION = (
    "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
)


def wrap(result: Any, *sources: Any) -> Any:
    """Put what NumPy computed on the device. It is a view if it shares memory with one of the ``sources``."""
    if isinstance(result, np.ndarray):
        if result.base is not None:
            for source in sources:
                if isinstance(source, ndarray) and np.may_share_memory(result, source._host):
                    return ndarray._of(result, base=source if source.base is None else source.base)
        return ndarray._of(result)
    if isinstance(result, np.generic):
        return ndarray._of(np.asarray(result))
    if isinstance(result, tuple):
        return tuple(wrap(part, *sources) for part in result)
    if isinstance(result, list):
        return [wrap(part, *sources) for part in result]
    return result


def unwrap(value: Any, where: str) -> Any:
    """Return the NumPy array inside of a device array, also in lists and tuples. NumPy's own arrays are refused."""
    if isinstance(value, ndarray):
        if value._device != runtime.local.device:
            raise ValueError(
                "Array device must be same as the current device: "
                f"array device = {value._device} while current = {runtime.local.device}"
            )
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"{where}: Unsupported type {type(value)}")
    if type(value) in (tuple, list):
        return type(value)(unwrap(part, where) for part in value)
    return value


def operand(value: Any, where: str) -> Any:
    """Return what a universal function computes with: device arrays and numbers, nothing else."""
    if isinstance(value, ndarray):
        return unwrap(value, where)
    if value is None or isinstance(value, SCALARS):
        return value
    raise TypeError(f"{where}: Unsupported type {type(value)}")


def poisoned(array: np.ndarray) -> np.ndarray:
    """Fill new memory with what shows up when it is read before it was written."""
    if runtime.poison:
        if array.dtype.kind in "fc":
            array.fill(np.nan)
        elif array.dtype.kind in "iu":
            array.fill(np.iinfo(array.dtype).max)
    return array


class ndarray:  # noqa: N801
    """Stand-in of ``cupy.ndarray``."""

    __slots__ = ("__weakref__", "_device", "_host", "_owns", "base")
    __array_priority__ = 100
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> None:
        if memptr is not None or strides is not None:
            raise NotImplementedError("the stand-in makes arrays of memory of their own alone")
        self._adopt(poisoned(np.empty(shape, dtype, order)), None)  # type: ignore[call-overload]

    @classmethod
    def _of(cls, host: np.ndarray, base: ndarray | None = None, owns: bool = True) -> ndarray:
        self = object.__new__(cls)
        self._adopt(host, base, owns)
        return self

    def _adopt(self, host: np.ndarray, base: ndarray | None, owns: bool = True) -> None:
        self._host = host
        self.base = base
        self._device = runtime.local.device if base is None else base._device
        self._owns = owns and base is None
        if self._owns:
            runtime.allocators[0](host.nbytes)

    def __del__(self) -> None:
        if self._owns:
            runtime.pools[self._device]._give_back(self._host.nbytes)

    # ------------------------------------------------------------------ what it is

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        self._host.shape = shape

    dtype = property(lambda self: self._host.dtype)
    ndim = property(lambda self: self._host.ndim)
    size = property(lambda self: self._host.size)
    strides = property(lambda self: self._host.strides)
    nbytes = property(lambda self: self._host.nbytes)
    itemsize = property(lambda self: self._host.itemsize)
    device = property(lambda self: runtime.Device(self._device))
    T = property(lambda self: wrap(self._host.T, self))
    mT = property(lambda self: wrap(self._host.mT, self))  # noqa: N815
    real = property(lambda self: wrap(self._host.real, self))
    imag = property(lambda self: wrap(self._host.imag, self))

    @property
    def flags(self) -> Any:
        flags = self._host.flags
        return SimpleNamespace(c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=self._owns)

    @property
    def data(self) -> Any:
        """A pointer: two arrays share memory where these ranges meet."""
        return SimpleNamespace(ptr=self._host.ctypes.data, device=self.device, device_id=self._device)

    # ------------------------------------------------------------------ from the device to the host

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise TypeError(NO_CONVERSION)

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        synchronize("get")
        if out is None:
            return self._host.copy(order)  # type: ignore[call-overload]
        if not isinstance(out, np.ndarray) or out.shape != self.shape or out.dtype != self.dtype:
            raise ValueError(f"get: out must be a numpy.ndarray of shape {self.shape} and {self.dtype}")
        out[...] = self._host
        return out

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        if not isinstance(arr, np.ndarray):
            raise TypeError(f"Only numpy.ndarray can be set to cupy.ndarray (got {type(arr)})")
        if arr.dtype != self.dtype or arr.shape != self.shape:
            raise ValueError(f"set: expected {self.dtype} of shape {self.shape}, got {arr.dtype} of {arr.shape}")
        self._host[...] = arr

    def _read(self, what: str) -> np.ndarray:
        synchronize(what)
        return self._host

    def item(self) -> Any:
        return self._read("item").item()

    def tolist(self) -> Any:
        return self._read("tolist").tolist()

    def tobytes(self, order: str = "C") -> bytes:
        return self._read("tobytes").tobytes(order)  # type: ignore[arg-type]

    def __float__(self) -> float:
        return float(self._read("float"))

    def __int__(self) -> int:
        return int(self._read("int"))

    def __complex__(self) -> complex:
        return complex(self._read("complex"))

    def __bool__(self) -> bool:
        return bool(self._read("bool"))

    def __index__(self) -> int:
        return self._read("index").__index__()

    def __format__(self, spec: str) -> str:
        return format(self._read("format")[()], spec) if not self.ndim else str(self)

    def __repr__(self) -> str:
        return repr(self._read("repr"))

    def __str__(self) -> str:
        return str(self._read("str"))

    def __reduce__(self) -> Any:
        return ndarray._of, (self._read("pickle").copy(),)

    def __deepcopy__(self, memo: Any) -> ndarray:
        return ndarray._of(self._host.copy())

    def __copy__(self) -> ndarray:
        return ndarray._of(self._host.copy())

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    # ------------------------------------------------------------------ NumPy's protocols, which CuPy answers

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        function = getattr(namespace(), ufunc.__name__, None)
        if function is None:
            return NotImplemented
        if len(kwargs.get("out", ())) == 1:
            (kwargs["out"],) = kwargs["out"]
        return (function if method == "__call__" else getattr(function, method))(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        path = f"{function.__module__}.{function.__name__}".split(".")[1:]
        try:
            found = functools.reduce(getattr, path, namespace())
        except AttributeError:
            return NotImplemented
        return found(*args, **kwargs)

    def __array_namespace__(self, *, api_version: Any = None) -> Any:
        return namespace()

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._device  # kDLCUDA

    # ------------------------------------------------------------------ elements

    def __getitem__(self, index: Any) -> ndarray:
        places = _index(self, index)
        result = unwrap(self, "__getitem__")[places]
        if not isinstance(result, np.ndarray):  # one element: a view without axes
            result = self._host[(*places, Ellipsis)]
        if _is_advanced(places):
            return ndarray._of(np.ascontiguousarray(result) if result.ndim else result)
        return wrap(result, self)

    @np.errstate(all="ignore")
    def __setitem__(self, index: Any, value: Any) -> None:
        if not isinstance(value, (ndarray, *SCALARS)) and not (isinstance(value, np.ndarray) and value.ndim == 0):
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        several = isinstance(value, ndarray) and value.size > 1
        places = _index(self, index, reading=several)
        if several:
            _refuse_duplicates(self._host.shape, places)
        unwrap(self, "__setitem__")[places] = unwrap(value, "__setitem__") if isinstance(value, ndarray) else value


def _index(array: ndarray, index: Any, reading: bool = True) -> tuple[Any, ...]:
    """Return an index of device arrays as one of host arrays, wrapped around where it is out of bounds, as in CuPy."""
    places = []
    axis = 0
    parts = index if isinstance(index, tuple) else (index,)
    taken = sum(_axes_taken(part) for part in parts)
    for part in parts:
        if isinstance(part, (np.ndarray, list)):
            raise TypeError("an index on the host, which CuPy copies to the device each time: make it an array there")
        if isinstance(part, ndarray):
            if part.dtype == bool:
                if reading:
                    synchronize("boolean mask")
                places.append(part._host)
            elif part.dtype.kind not in "iu":
                raise IndexError(f"Advanced indexing with non-integer array {part.dtype}")
            elif part.ndim == 0 and axis < array.ndim and array.shape[axis]:
                places.append(np.asarray(part._host % array.shape[axis]))
            else:
                places.append(part._host % array.shape[axis] if array.shape[axis] else part._host)
            axis += _axes_taken(part)
            continue
        if part is Ellipsis:
            axis = array.ndim - (taken - axis)
        else:
            axis += _axes_taken(part)
        places.append(part)
    return tuple(places)


def _axes_taken(part: Any) -> int:
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    return part.ndim if isinstance(part, ndarray) and part.dtype == bool else 1


def _is_advanced(places: tuple[Any, ...]) -> bool:
    return any(isinstance(part, np.ndarray) for part in places)


def _refuse_duplicates(shape: tuple[int, ...], places: tuple[Any, ...]) -> None:
    """Raise where two values are written to one place: which one stays is undefined on a GPU."""
    if not _is_advanced(places) or all(part.dtype == bool for part in places if isinstance(part, np.ndarray)):
        return
    count = int(np.prod(shape))
    written = np.arange(count).reshape(shape)[places]
    if np.bincount(written.ravel(), minlength=1).max(initial=0) > 1:
        raise ValueError("duplicate indices in an assignment: which value stays is undefined in CuPy")


def namespace() -> Any:
    """Return the stand-in's ``cupy`` module."""
    return _namespace[0]


_namespace: list[Any] = []


def _add_methods() -> None:
    """Give the array each method that both CuPy's and NumPy's have and that is not written out above."""
    for name, what in api.SURFACE["cupy.ndarray"].items():
        if name not in ndarray.__dict__ and isinstance(what, list) and hasattr(np.ndarray, name):
            setattr(ndarray, name, _method(name))


def _method(name: str) -> Callable[..., Any]:
    @np.errstate(all="ignore")
    def method(self: ndarray, *args: Any, **kwargs: Any) -> Any:
        api.check_call("cupy.ndarray", name, args, kwargs)
        if name in ("nonzero", "dump", "dumps", "tofile"):
            synchronize(name)
        if name == "take":
            return namespace().take(self, *args, **kwargs)
        out = kwargs.get("out")
        if out is not None and not isinstance(out, ndarray):
            raise TypeError("return arrays must be of cupy.ndarray type")
        result = getattr(unwrap(self, name), name)(
            *(unwrap(x, name) for x in args), **{key: unwrap(x, name) for key, x in kwargs.items()}
        )
        if name == "diagonal":
            result.flags.writeable = True  # NumPy's is read-only, CuPy's is not
        return out if out is not None else wrap(result, self)

    method.__name__ = name
    return method


_add_methods()


def _operator(name: str, function: str, inplace: bool = False) -> None:
    def forward(self: ndarray, other: Any) -> Any:
        if not isinstance(other, (ndarray, np.ndarray, *SCALARS)):
            return NotImplemented
        return getattr(namespace(), function)(self, other)

    def reflected(self: ndarray, other: Any) -> Any:
        if not isinstance(other, (np.ndarray, *SCALARS)):
            return NotImplemented
        return getattr(namespace(), function)(other, self)

    def in_place(self: ndarray, other: Any) -> Any:
        return getattr(namespace(), function)(self, other, out=self)

    setattr(ndarray, f"__{name}__", forward)
    if inplace:
        setattr(ndarray, f"__r{name}__", reflected)
        setattr(ndarray, f"__i{name}__", in_place)


for _name, _function in {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "floordiv": "floor_divide",
    "mod": "remainder",
    "pow": "power",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
    "lshift": "left_shift",
    "rshift": "right_shift",
}.items():
    _operator(_name, _function, inplace=True)
for _name, _function in {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
}.items():
    _operator(_name, _function)
ndarray.__neg__ = lambda self: namespace().negative(self)  # type: ignore[attr-defined]
ndarray.__pos__ = lambda self: self.copy()  # type: ignore[attr-defined]
ndarray.__abs__ = lambda self: namespace().absolute(self)  # type: ignore[attr-defined]
ndarray.__invert__ = lambda self: namespace().invert(self)  # type: ignore[attr-defined]
