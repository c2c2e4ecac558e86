"""Devices: where an array lives, and how it moves. The only file of minidl that imports CuPy."""

from __future__ import annotations

import importlib
import threading
from types import ModuleType
from typing import Any

import numpy as np

from minidl.errors import DeviceError


class Device:
    """A place where arrays live: ``cpu``, or the GPU ``gpu:0`` (PyTorch's ``cuda`` is accepted too).

    Parameters
    ----------
    name : str or Device
        ``"cpu"``, ``"gpu"``, ``"gpu:N"``, ``"cuda"`` or ``"cuda:N"``.

    Raises
    ------
    DeviceError
        If the name is none of these.

    Examples
    --------
    >>> Device("cuda:0") == Device("gpu")
    True
    >>> Device("cpu")
    device('cpu')
    """

    __slots__ = ("index", "type")

    def __init__(self, name: str | Device) -> None:
        kind, _, index = str(name).partition(":")
        kind = {"cuda": "gpu"}.get(kind, kind)
        if kind not in ("cpu", "gpu") or (index and not index.isdigit()):
            raise DeviceError(f"unknown device {str(name)!r}; expected 'cpu', 'gpu' or 'gpu:N' ('cuda' is accepted)")
        self.type = kind
        self.index = int(index or 0) if kind == "gpu" else 0

    def __str__(self) -> str:
        return self.type if self.type == "cpu" else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return f"device({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            other = Device(other)
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __enter__(self) -> Device:
        if self.type == "gpu":
            cupy()
        _within.devices = (*_within.devices, self)
        return self

    def __exit__(self, *error: object) -> None:
        _within.devices = _within.devices[:-1]


CPU = Device("cpu")


class _Within(threading.local):
    """The devices whose ``with`` blocks this thread is in, the innermost last."""

    devices: tuple[Device, ...] = ()


_within = _Within()
_default = CPU


def default_device() -> Device:
    """Return the device on which tensors are created when none is named.

    Returns
    -------
    Device
        That of the innermost ``with minidl.device(...)`` block, or the one given to :func:`set_default_device`.

    Examples
    --------
    >>> import minidl
    >>> with minidl.device("cpu"):
    ...     minidl.get_default_device()
    device('cpu')

    References
    ----------
    ``torch.get_default_device``.
    """
    devices = _within.devices
    return devices[-1] if devices else _default


def set_default_device(device: Device | str) -> None:
    """Create tensors on ``device`` from now on when none is named: from host data, by factories, in layers and models.

    Parameters
    ----------
    device : Device or str

    Raises
    ------
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> import minidl
    >>> minidl.set_default_device("cpu")

    References
    ----------
    ``torch.set_default_device``.
    """
    global _default
    wanted = Device(device)
    if wanted.type == "gpu":
        cupy()
    _default = wanted


#: Decorates a forward whose arithmetic may meet 1/0, inf - inf or an overflow: the result says so (inf, nan), as in
#: PyTorch, and NumPy's warning is not wanted. A backward pass is quiet as a whole. CuPy never warns.
quiet = np.errstate(all="ignore")

_lock = threading.Lock()
_cupy: ModuleType | None = None


def gpu_in_use() -> bool:
    """Whether this process has touched a GPU: while it has not, every array is NumPy's."""
    return _cupy is not None


def cupy() -> ModuleType:
    """Import CuPy on first use.

    Raises
    ------
    DeviceError
        If CuPy is not installed or finds no GPU; the message names the extra to install.
    """
    global _cupy
    with _lock:
        if _cupy is None:
            try:
                module = importlib.import_module("cupy")
                count = module.cuda.runtime.getDeviceCount()
            except Exception as error:
                raise DeviceError(
                    f"no GPU can be used ({type(error).__name__}: {error}); "
                    "minidl's GPU arrays need an NVIDIA driver and CuPy: "
                    "pip install 'minidl[gpu-cuda12]' (or gpu-cuda13), or stay on device='cpu'"
                ) from None
            if not count:
                raise DeviceError("no GPU can be used: the driver reports none; stay on device='cpu'")
            _cupy = module
    return _cupy


def is_gpu_available() -> bool:
    """Whether ``device="gpu"`` would work here. Never raises."""
    try:
        cupy()
    except DeviceError:
        return False
    return True


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


def to_device(array: Any, device: Device) -> Any:
    """Return ``array`` on ``device``: the same array if it is there already, a copy if not."""
    if device_of(array) == device:
        return array
    if device.type == "cpu":
        return array.get()
    module = cupy()
    with module.cuda.Device(device.index):
        return module.asarray(array)


def to_numpy(array: Any) -> np.ndarray:
    """Return ``array`` as a NumPy array, copied from the GPU if it lives there."""
    return to_device(array, CPU)
