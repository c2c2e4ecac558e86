"""The stand-in's functions: NumPy's of the same name, on device arrays, with CuPy's parameters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from tests.stand_in import api, runtime
from tests.stand_in.arrays import SCALARS, ndarray, operand, poisoned, unwrap, wrap
from tests.stand_in.runtime import synchronize
from tests.stand_in.ufuncs import Ufunc

#: What waits for the device, to learn how large its result is.
WAITING = {"argwhere", "bincount", "extract", "flatnonzero", "histogram", "nonzero", "union1d", "unique"}

#: What tells of arrays without computing with them, and so takes NumPy's too and returns no array.
DESCRIBING = {
    "broadcast_shapes",
    "can_cast",
    "common_type",
    "iscomplexobj",
    "isscalar",
    "may_share_memory",
    "min_scalar_type",
    "ndim",
    "promote_types",
    "result_type",
    "shape",
    "shares_memory",
    "size",
}


def on_host(value: Any) -> Any:
    """Return device arrays as NumPy's, and let the host's pass: for functions that copy to the device."""
    if isinstance(value, ndarray):
        return unwrap(value, "array")
    return type(value)(map(on_host, value)) if type(value) in (list, tuple) else value


@np.errstate(all="ignore")
def array(
    obj: Any,
    dtype: Any = None,
    copy: bool = True,
    order: str = "K",
    subok: bool = False,
    ndmin: int = 0,
    *,
    blocking: bool = False,
) -> ndarray:
    if isinstance(obj, ndarray) and obj._device != runtime.local.device:  # CuPy copies from one GPU to the other
        obj, copy = ndarray._of(obj._host.copy()), False
    elif not isinstance(obj, ndarray) and blocking:
        runtime.synchronize("a blocking copy to the device")
    if isinstance(obj, ndarray) and not copy and dtype in (None, obj.dtype) and obj.ndim >= ndmin:
        return obj
    return ndarray._of(np.array(on_host(obj), dtype, copy=True, order=order, ndmin=ndmin))  # type: ignore[call-overload]


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    return array(a, dtype, copy=bool(copy), order=order or "K", blocking=blocking)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    same = isinstance(a, ndarray) and dtype in (None, a.dtype) and a.flags.c_contiguous
    return a if same else array(a, dtype, order="C")


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(out=out) if isinstance(a, ndarray) else np.asarray(a)


def copyto(dst: ndarray, src: Any, casting: str = "same_kind", where: Any = None) -> None:
    keywords = {} if where is None else {"where": operand(where, "copyto")}
    np.copyto(unwrap(dst, "copyto"), operand(src, "copyto"), casting, **keywords)  # type: ignore[arg-type]


def get_array_module(*args: Any) -> ModuleType:
    return namespace() if any(isinstance(x, ndarray) for x in args) else np


def from_dlpack(array: Any, device: Any = None, copy: Any = None) -> ndarray:
    shared = array.__dlpack__()
    if not isinstance(shared, ndarray):
        raise BufferError("the stand-in takes its own arrays alone")
    return shared[...]


def take(a: ndarray, indices: Any, axis: Any = None, out: Any = None) -> ndarray:
    """Indices out of bounds wrap around: CuPy has no other mode."""
    host = unwrap(a, "take")
    count = host.size if axis is None else host.shape[axis]
    places = operand(indices, "take") if not isinstance(indices, (list, tuple)) else np.asarray(indices)
    result = np.take(host, places % count if count else places, axis)
    if out is not None:
        unwrap(out, "take")[...] = result
        return out
    return wrap(result)


def take_along_axis(a: ndarray, indices: ndarray, axis: Any) -> ndarray:
    host, places = unwrap(a, "take_along_axis"), unwrap(indices, "take_along_axis")
    if places.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    count = host.size if axis is None else host.shape[axis]
    return wrap(np.take_along_axis(host, places % count if count else places, axis))


def where(condition: ndarray, x: Any = None, y: Any = None) -> Any:
    if x is None or y is None:
        synchronize("where")
        return wrap(np.nonzero(unwrap(condition, "where")))
    if not isinstance(condition, ndarray):
        raise TypeError(f"where: Unsupported type {type(condition)}")
    picked = np.where(*(operand(part, "where") for part in (condition, x, y)))
    return ndarray._of(np.asarray(picked, order="C"))


def broadcast_to(array: ndarray, shape: Any) -> ndarray:
    """CuPy's can be written to. Here it is refused where several elements stand in one place: none tells which wins."""
    host = unwrap(array, "broadcast_to")
    result = np.broadcast_to(host, shape)
    if result.size == host.size:
        result = np.lib.stride_tricks.as_strided(host, result.shape, result.strides)
    return ndarray._of(result, base=array if array.base is None else array.base)


def as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    """CuPy's has no base: only its pointer tells that it is a view."""
    return ndarray._of(np.lib.stride_tricks.as_strided(unwrap(x, "as_strided"), shape, strides), owns=False)


def scatter_add(a: ndarray, slices: Any, value: Any) -> None:
    namespace().add.at(a, slices, value)


OWN = {
    "array": array,
    "asanyarray": asarray,
    "asarray": asarray,
    "ascontiguousarray": ascontiguousarray,
    "asnumpy": asnumpy,
    "broadcast_to": broadcast_to,
    "copyto": copyto,
    "from_dlpack": from_dlpack,
    "get_array_module": get_array_module,
    "is_available": lambda: True,
    "take": take,
    "take_along_axis": take_along_axis,
    "where": where,
}
OWN_OF_STRIDE_TRICKS = {"as_strided": as_strided}


def counterpart(owner: str, name: str) -> Any:
    """Return NumPy's function of a name of CuPy's."""
    try:
        return functools.reduce(getattr, [*owner.split(".")[1:], name], np)
    except AttributeError:
        raise NotImplementedError(f"the stand-in has no {owner}.{name} yet, which NumPy lacks") from None


def resolve(owner: str, name: str) -> Any:
    """Return what the stand-in has for a name: only what CuPy has, and what CuPy takes."""
    what = api.entry(owner, name)
    found = counterpart(owner, name)
    if isinstance(what, dict) and isinstance(found, np.ufunc):
        return Ufunc(name, owner, found)
    return function(owner, name, found) if isinstance(what, (list, dict)) and not isinstance(found, type) else found


def function(owner: str, name: str, found: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of device arrays."""
    what = api.entry(owner, name)

    @functools.wraps(found)
    @np.errstate(all="ignore")
    def call(*args: Any, **kwargs: Any) -> Any:
        if isinstance(what, list):
            api.check_call(owner, name, args, kwargs)
        if name in DESCRIBING:
            return found(*map(on_host, args), **{key: on_host(x) for key, x in kwargs.items()})
        if name in WAITING:
            synchronize(name)
        out = kwargs.get("out")
        if out is not None and not isinstance(out, ndarray):
            raise TypeError("return arrays must be of cupy.ndarray type")
        result = found(*(unwrap(x, name) for x in args), **{key: unwrap(x, name) for key, x in kwargs.items()})
        if name in ("empty", "empty_like"):
            poisoned(result)
        return out if out is not None else wrap(result, *_arrays(args))

    return call


def _arrays(args: Any) -> list[ndarray]:
    """Return the device arrays among arguments, one level down too: what a result may be a view of."""
    found = []
    for x in args:
        if isinstance(x, ndarray):
            found.append(x)
        elif isinstance(x, (list, tuple)):
            found.extend(part for part in x if isinstance(part, ndarray))
    return found


def namespace() -> Any:
    return _namespace[0]


_namespace: list[Any] = []

__all__ = ["OWN", "OWN_OF_STRIDE_TRICKS", "SCALARS", "resolve", "scatter_add"]
