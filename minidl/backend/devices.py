"""Devices: where an array lives, and how it moves. The only file of minidl that imports CuPy."""

from __future__ import annotations

import importlib
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import numpy as np

from minidl.backend import drivers
from minidl.errors import DeviceError

_current = 0  # the GPU that "gpu" means


class Device:
    """A place where arrays live: ``cpu``, or the GPU ``gpu:0`` (PyTorch's ``cuda`` is accepted too).

    In a ``with`` statement it is where this thread makes its tensors, as :func:`set_default_device` says for all.

    Parameters
    ----------
    name : str, Device or int
        ``"cpu"``, ``"gpu"``, ``"gpu:N"``, ``"cuda"`` or ``"cuda:N"``; a number alone is a GPU's.
    index : int, optional
        Which GPU, where the name does not say it.

    Raises
    ------
    DeviceError
        If there is no such name; in a ``with`` statement also if there is no such GPU.

    Examples
    --------
    >>> Device("cuda:0") == Device("gpu")
    True
    >>> Device("cpu")
    device('cpu')
    >>> with Device("cpu"):
    ...     default_device()
    device('cpu')

    References
    ----------
    ``torch.device``.
    """

    __slots__ = ("index", "type")

    def __init__(self, name: Any, index: int | None = None) -> None:
        kind, _, number = (f"gpu:{name}" if type(name) is int else str(name)).partition(":")
        kind = {"cuda": "gpu"}.get(kind, kind)
        if index is not None and not number:
            number = str(index)
        elif index is not None:
            raise DeviceError(f"device: {str(name)!r} says which GPU, and so does index={index}; give one of them")
        if kind not in ("cpu", "gpu") or (number and not (number.isascii() and number.isdigit())):
            raise DeviceError(
                f"unknown device {str(name)!r}{'' if index is None else f' with index {index}'}; expected 'cpu', 'gpu' "
                "or 'gpu:N' ('cuda' is accepted)"
            )
        self.type = kind
        self.index = (int(number) if number else _current) if kind == "gpu" else 0

    def __str__(self) -> str:
        return self.type if self.type == "cpu" else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            try:
                other = Device(other)
            except DeviceError:
                return False
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __enter__(self) -> Device:
        there = on(self) if self.type == "gpu" else nullcontext()  # CuPy's own current device follows
        there.__enter__()
        _chosen.blocks.append((self, there))
        return self

    def __exit__(self, *exception: Any) -> None:
        _chosen.blocks.pop()[1].__exit__(*exception)


CPU = Device("cpu")


class _Chosen(threading.local):
    """The devices whose ``with`` blocks this thread is in, the innermost last, and CuPy's blocks of the same."""

    def __init__(self) -> None:
        self.blocks: list[tuple[Device, Any]] = []


_chosen = _Chosen()
_default = CPU


def default_device() -> Device:
    """Return where tensors are made when no device is named: the CPU, unless something else was chosen.

    Returns
    -------
    Device
        That of the innermost ``with minidl.device(...)`` of this thread, or else of :func:`set_default_device`.

    Examples
    --------
    >>> import minidl
    >>> minidl.get_default_device() == minidl.zeros(1).device
    True

    References
    ----------
    ``torch.get_default_device``.
    """
    return _chosen.blocks[-1][0] if _chosen.blocks else _default


def set_default_device(device: Any) -> None:
    """Make new tensors on ``device`` where none is named: from lists, numbers and NumPy arrays, and layers' weights.

    It holds in every thread. ``from_numpy`` shares NumPy's memory, and stays on the CPU.

    Parameters
    ----------
    device : Device, str or None
        None is the CPU.

    Raises
    ------
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> import minidl
    >>> minidl.set_default_device("cpu")
    >>> minidl.zeros(2).device
    device('cpu')

    References
    ----------
    ``torch.set_default_device``.
    """
    global _default
    chosen = CPU if device is None else Device(device)
    check_available(chosen)
    _default = chosen


#: Decorates a forward whose arithmetic may meet 1/0, inf - inf or an overflow: the result says so (inf, nan), as in
#: PyTorch, and NumPy's warning is not wanted. A backward pass is quiet as a whole. CuPy never warns.
quiet = np.errstate(all="ignore")

_lock = threading.Lock()
_cupy: ModuleType | None = None
_count = 0  # of GPUs, once CuPy is loaded


def gpu_in_use() -> bool:
    """Whether this process has touched a GPU: while it has not, every array is NumPy's."""
    return _cupy is not None


def cupy() -> ModuleType:
    """Import CuPy on first use.

    Raises
    ------
    DeviceError
        If CuPy is not installed or finds no GPU; the message says what is missing and what to install.
    """
    if _cupy is not None:
        return _cupy
    module, problem = _load()
    if module is None:
        raise DeviceError(drivers.explain(problem))
    return module


def _load() -> tuple[ModuleType | None, Exception | None]:
    """Return CuPy if it finds a GPU, and else what it raised, if anything."""
    global _cupy, _count
    with _lock:
        try:
            module = importlib.import_module("cupy")
            _count = module.cuda.runtime.getDeviceCount()
        except Exception as error:  # of many kinds: a missing package or library, an old driver, a broken installation
            return None, error
        if _count:
            _cupy = module
        return _cupy, None


def is_gpu_available() -> bool:
    """Whether ``device="gpu"`` would work here. Never raises."""
    return _cupy is not None or _load()[0] is not None


def gpu_count() -> int:
    """Return how many GPUs can be used. Never raises."""
    return _count if is_gpu_available() else 0


def current_gpu() -> int:
    """Return the number of the GPU that ``"gpu"`` means."""
    return _current


def set_current_gpu(index: int) -> None:
    """Let ``"gpu"`` mean another GPU."""
    global _current
    _current = index


def check_available(device: Device) -> None:
    """Raise a DeviceError unless arrays can be made on ``device``."""
    if device.type == "gpu":
        cupy()
        if device.index >= _count:
            there = "gpu:0" if _count == 1 else f"gpu:0 to gpu:{_count - 1}"
            raise DeviceError(f"there is no {device}: the GPUs that can be used here are {there}")


def on(device: Device) -> Any:
    """Return a context manager in which CuPy works on ``device``, a GPU.

    Raises
    ------
    DeviceError
        If there is no such GPU.
    """
    check_available(device)
    return cupy().cuda.Device(device.index)


def is_array(value: Any) -> bool:
    """Whether ``value`` is a NumPy or CuPy array."""
    return isinstance(value, np.ndarray) or (_cupy is not None and isinstance(value, _cupy.ndarray))


def namespace(array: Any) -> ModuleType:
    """Return the module (``numpy`` or ``cupy``) whose functions take ``array``."""
    if _cupy is not None and isinstance(array, _cupy.ndarray):
        return _cupy
    return np


def device_of(array: Any) -> Device:
    """Return the device that ``array`` lives on."""
    if _cupy is not None and isinstance(array, _cupy.ndarray):
        return Device(f"gpu:{array.device.id}")
    return CPU


_NOWHERE_ELSE = nullcontext()


def there(*arrays: Any) -> Any:
    """Return a context manager in which CuPy works on the GPU of the first of ``arrays`` that is on one.

    CuPy makes results on the GPU in use, wherever its operands are. With one GPU there is nothing to do.
    """
    if _count > 1:
        for array in arrays:
            array = getattr(array, "array", array)  # a tensor's
            if isinstance(array, _cupy.ndarray):  # type: ignore[union-attr]
                return _cupy.cuda.Device(array.device.id)  # type: ignore[union-attr]
    return _NOWHERE_ELSE


def elsewhere(arrays: Iterable[Any]) -> Any:
    """Return what :func:`there` does if that is another GPU than the one in use, and else None."""
    if _count > 1:
        for array in arrays:
            if isinstance(array, _cupy.ndarray):  # type: ignore[union-attr]
                place = array.device.id
                return None if place == _cupy.cuda.get_device_id() else _cupy.cuda.Device(place)  # type: ignore[union-attr]
    return None


def is_read_only(array: Any) -> bool:
    """Whether NumPy forbids to write to an array, or two elements of a CuPy array may lie in one place of memory.

    CuPy lets any array be written to, and a kernel that writes to what ``expand`` made leaves no telling what is there.
    """
    if isinstance(array, np.ndarray):
        return not array.flags.writeable
    if not array.size:
        return False
    extent = array.itemsize
    for step, size in sorted((abs(step), size) for step, size in zip(array.strides, array.shape, strict=True)):
        if size > 1:
            if step < extent:
                return True
            extent += step * (size - 1)
    return False


def to_device(array: Any, device: Device, non_blocking: bool = False) -> Any:
    """Return ``array`` on ``device``: the same array if it is there already, a copy if not.

    Nothing waits for the copy to a GPU of ordinary memory, since CuPy copies that aside first, nor for one of
    :func:`pinned` memory if it is ``non_blocking``: then it must not be written to until the GPU is done.
    """
    if device_of(array) == device:
        return array
    if device.type == "cpu":
        return array.get()
    module = cupy()
    with on(device):
        if not (isinstance(array, np.ndarray) and is_pinned(array)):
            return module.asarray(array)
        copy = module.asarray(array, blocking=not non_blocking)
        if non_blocking:
            _keep(array, module.cuda.get_current_stream())
        return copy


#: Pinned arrays that GPUs are copying from, each with the event that says when that is done.
_in_flight: deque[tuple[Any, np.ndarray]] = deque()


def _keep(array: np.ndarray, stream: Any) -> None:
    """Keep pinned memory from being used again before the copies that ``stream`` was asked for are done."""
    while _in_flight and _in_flight[0][0].done:
        _in_flight.popleft()
    _in_flight.append((stream.record(), array))


def pinned(array: np.ndarray) -> np.ndarray:
    """Return a copy in memory that stays where it is, from which a GPU copies by itself; as it is if it lies there.

    Raises
    ------
    DeviceError
        If there is no GPU, or the array lives on one.
    """
    if not isinstance(array, np.ndarray):
        raise DeviceError(f"pin_memory: only memory of the CPU can be pinned, the tensor lives on {device_of(array)}")
    if is_pinned(array):
        return array
    cupy()
    copy = importlib.import_module("cupyx").empty_pinned(array.shape, array.dtype)
    copy[...] = array
    return copy


def is_pinned(array: Any) -> bool:
    """Whether an array's memory is pinned: that of a view is, if what it is a view of is."""
    if _cupy is None:
        return False
    while isinstance(array, np.ndarray):
        array = array.base
    owner = array.obj if isinstance(array, memoryview) else array
    return isinstance(owner, _cupy.cuda.PinnedMemoryPointer)


def to_numpy(array: Any) -> np.ndarray:
    """Return ``array`` as a NumPy array, copied from the GPU if it lives there."""
    return to_device(array, CPU)
