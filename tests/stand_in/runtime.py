"""The pretend device: which one is current, what it has allocated, and when the host waits for it."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

DEVICES = 2
TOTAL_BYTES = 16 * 2**30
BLOCK = 512  # CuPy's pool hands out multiples of this

#: How often the host waited, by what made it wait. Tests clear and read it.
synchronizations: Counter[str] = Counter()

#: Whether ``empty`` hands out NaN and the largest integers, as memory that nobody wrote may hold anything.
poison = True


class DeviceSynchronized(RuntimeError):  # noqa: N818
    """Raised by what makes the host wait, inside ``allow_synchronize(False)``."""


class _Local(threading.local):
    device = 0
    may_synchronize = True


local = _Local()


def synchronize(what: str) -> None:
    """Note that the host waits for the device here; refuse it where that is not allowed."""
    synchronizations[what] += 1
    if not local.may_synchronize:
        raise DeviceSynchronized(f"the host waits for the device: {what}")


@contextmanager
def allow_synchronize(allow: bool) -> Iterator[None]:
    """Stand-in of ``cupyx.allow_synchronize``."""
    before, local.may_synchronize = local.may_synchronize, allow
    try:
        yield
    finally:
        local.may_synchronize = before


class Device:
    """Stand-in of ``cupy.cuda.Device``."""

    compute_capability = "90"
    pci_bus_id = "0000:01:00.0"

    def __init__(self, device: Any = None) -> None:
        self.id = local.device if device is None else int(device)
        self._before: list[int] = []
        if not 0 <= self.id < DEVICES:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")

    def __int__(self) -> int:
        return self.id

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def __enter__(self) -> Device:
        self._before.append(local.device)
        local.device = self.id
        return self

    def __exit__(self, *error: object) -> None:
        local.device = self._before.pop()

    def use(self) -> Device:
        local.device = self.id
        return self

    def synchronize(self) -> None:
        synchronize("Device.synchronize")

    @property
    def mem_info(self) -> tuple[int, int]:
        return TOTAL_BYTES - pools[self.id].total_bytes(), TOTAL_BYTES


class CUDARuntimeError(RuntimeError):
    """Stand-in of ``cupy.cuda.runtime.CUDARuntimeError``."""


class MemoryPool:
    """Stand-in of ``cupy.cuda.MemoryPool``: counts what arrays hold, and what they held before it is freed."""

    def __init__(self) -> None:
        self._used = 0
        self._total = 0
        self._limit = 0

    def _take(self, nbytes: int) -> None:
        self._used += -(-nbytes // BLOCK) * BLOCK
        self._total = max(self._total, self._used)

    def _give_back(self, nbytes: int) -> None:
        self._used -= -(-nbytes // BLOCK) * BLOCK

    def used_bytes(self) -> int:
        return self._used

    def total_bytes(self) -> int:
        return self._total

    def free_bytes(self) -> int:
        return self._total - self._used

    def n_free_blocks(self) -> int:
        return self.free_bytes() // BLOCK

    def free_all_blocks(self, stream: Any = None) -> None:
        self._total = self._used

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        self._limit = int(size if size is not None else (fraction or 0) * TOTAL_BYTES)

    def get_limit(self) -> int:
        return self._limit


pools = [MemoryPool() for _ in range(DEVICES)]


def get_default_memory_pool() -> MemoryPool:
    return pools[local.device]


def malloc(size: int) -> None:
    """Stand-in of the pool's ``malloc``: NumPy has the memory, only its size is counted."""
    pools[local.device]._take(size)


#: What each new array asks for memory.
allocators: list[Any] = [malloc]


def set_allocator(allocator: Any = None) -> None:
    allocators[0] = allocator or malloc


class PinnedMemoryPool:
    """Stand-in of ``cupy.cuda.PinnedMemoryPool``."""

    def free_all_blocks(self) -> None:
        pass

    def n_free_blocks(self) -> int:
        return 0


class Stream:
    """Stand-in of ``cupy.cuda.Stream``: everything is done at once, in order."""

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None):
        self.ptr = 0 if null else next(_pointers)
        self.is_non_blocking = non_blocking

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def use(self) -> Stream:
        return self

    @property
    def done(self) -> bool:
        return True

    def synchronize(self) -> None:
        synchronize("Stream.synchronize")

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        pass


_pointers = itertools.count(0x7F00_0000)
Stream.null = Stream(null=True)  # type: ignore[attr-defined]


class Event:
    """Stand-in of ``cupy.cuda.Event``."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.time: float | None = None

    @property
    def done(self) -> bool:
        return True

    def record(self, stream: Stream | None = None) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        synchronize("Event.synchronize")


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    if start_event.time is None or end_event.time is None:
        raise CUDARuntimeError("cudaErrorInvalidResourceHandle: invalid resource handle")
    return (end_event.time - start_event.time) * 1000


class PinnedMemoryPointer(bytearray):
    """Stand-in of ``cupy.cuda.PinnedMemoryPointer``: host memory through the buffer protocol."""


def memory_info() -> tuple[int, int]:
    return Device().mem_info


#: Functions of ``cupy.cuda.runtime``.
RUNTIME: dict[str, Any] = {
    "CUDARuntimeError": CUDARuntimeError,
    "deviceSynchronize": lambda: synchronize("runtime.deviceSynchronize"),
    "driverGetVersion": lambda: 13000,
    "getDevice": lambda: local.device,
    "getDeviceCount": lambda: DEVICES,
    "getDeviceProperties": lambda device: {
        "name": b"stand-in",
        "totalGlobalMem": TOTAL_BYTES,
        "multiProcessorCount": 1,
        "major": 9,
        "minor": 0,
    },
    "is_hip": False,
    "memGetInfo": memory_info,
    "runtimeGetVersion": lambda: 12090,
    "setDevice": lambda device: Device(device).use() and None,
}

#: Names of ``cupy.cuda``.
CUDA: dict[str, Any] = {
    "Device": Device,
    "Event": Event,
    "MemoryPool": MemoryPool,
    "PinnedMemoryPointer": PinnedMemoryPointer,
    "PinnedMemoryPool": PinnedMemoryPool,
    "Stream": Stream,
    "alloc_pinned_memory": PinnedMemoryPointer,
    "get_allocator": lambda: allocators[0],
    "get_current_stream": lambda device_id=-1: Stream.null,
    "get_device_id": lambda: local.device,
    "get_elapsed_time": get_elapsed_time,
    "get_local_runtime_version": lambda: 12090,
    "is_available": lambda: True,
    "set_allocator": set_allocator,
    "set_pinned_memory_allocator": lambda allocator=None: None,
    "runtime": SimpleNamespace(**RUNTIME),
}


@contextmanager
def errstate(
    *, divide: Any = None, over: Any = None, under: Any = None, invalid: Any = None, linalg: Any = None
) -> Iterator[None]:
    """Stand-in of ``cupyx.errstate``: CuPy never warns, so there is nothing to change."""
    yield


def pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """Stand-in of ``cupyx.empty_pinned``."""
    nbytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.ndarray(shape, dtype, PinnedMemoryPointer(nbytes), order=order)  # type: ignore[call-overload]


#: What cuBLAS may compute float32 products in: names of ``cupy._core._routines_linalg``.
compute_types: dict[np.dtype, int] = {}
PRODUCTS: dict[str, Any] = {
    "COMPUTE_TYPE_DEFAULT": 1,
    "COMPUTE_TYPE_TF32": 7,
    "set_compute_type": lambda dtype, compute_type: compute_types.update({np.dtype(dtype): compute_type}),
}
