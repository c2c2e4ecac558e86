"""The GPUs: whether there are any, what they are, how full their memory is, and when they are done.

:mod:`minidl.cuda` is the same under PyTorch's name. Questions about memory are answered by CuPy's memory pool, in
which freed memory stays for the next array. Without a GPU, whatever only asks or tidies up answers 0 or does nothing.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from minidl.backend import (
    Device,
    check_available,
    cupy,
    current_gpu,
    generator,
    gpu_count,
    gpu_in_use,
    is_gpu_available,
    manual_seed,
    on,
    set_current_gpu,
)
from minidl.errors import ArgumentError, DeviceError, StateError

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_capability",
    "get_device_name",
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "is_available",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "set_device",
    "set_rng_state",
    "set_rng_state_all",
    "synchronize",
    "use_tf32",
    "uses_tf32",
]

# ---------------------------------------------------------------------- which GPUs there are


def is_available() -> bool:
    """Return whether ``device="gpu"`` (or ``"cuda"``) would work here. It never raises.

    Returns
    -------
    bool
        If False, ``minidl.zeros(1, device="gpu")`` raises an error that says what is missing.

    Examples
    --------
    >>> import minidl
    >>> device = minidl.device("gpu" if minidl.gpu.is_available() else "cpu")

    References
    ----------
    ``torch.cuda.is_available``.
    """
    return is_gpu_available()


def device_count() -> int:
    """Return how many GPUs can be used: 0 if none can. It never raises.

    Returns
    -------
    int

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.device_count() > 0 or not minidl.gpu.is_available()
    True

    References
    ----------
    ``torch.cuda.device_count``.
    """
    return gpu_count()


def current_device() -> int:
    """Return the number of the GPU that ``"gpu"`` means: 0, unless :func:`set_device` chose another.

    Returns
    -------
    int

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.current_device()
    0

    References
    ----------
    ``torch.cuda.current_device``.
    """
    return current_gpu()


def set_device(device: Any) -> None:
    """Let ``"gpu"`` without a number mean another GPU, in every thread. Tensors stay where they are.

    Parameters
    ----------
    device : Device, str or int
        A GPU.

    Raises
    ------
    DeviceError
        If there is no such GPU.

    Examples
    --------
    >>> import minidl
    >>> if minidl.gpu.is_available():
    ...     minidl.gpu.set_device(0)

    References
    ----------
    ``torch.cuda.set_device``.
    """
    place = _gpu(device, "set_device")
    check_available(place)
    set_current_gpu(place.index)


def get_device_name(device: Any = None) -> str:
    """Return what a GPU is called.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    str

    Raises
    ------
    DeviceError
        If there is no such GPU.

    Examples
    --------
    >>> import minidl
    >>> [minidl.gpu.get_device_name(i) for i in range(minidl.gpu.device_count())] # doctest: +SKIP
    ['NVIDIA H100 80GB HBM3']

    References
    ----------
    ``torch.cuda.get_device_name``.
    """
    return _properties(device, "get_device_name")["name"].decode()


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Return the compute capability of a GPU: which generation it is of, (9, 0) for an H100.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    (int, int)

    Raises
    ------
    DeviceError
        If there is no such GPU.

    Examples
    --------
    >>> import minidl
    >>> all(minidl.gpu.get_device_capability(i) >= (5, 0) for i in range(minidl.gpu.device_count()))
    True

    References
    ----------
    ``torch.cuda.get_device_capability``.
    """
    properties = _properties(device, "get_device_capability")
    return properties["major"], properties["minor"]


def _properties(device: Any, name: str) -> dict[str, Any]:
    place = _gpu(device, name)
    check_available(place)
    return cupy().cuda.runtime.getDeviceProperties(place.index)


def _gpu(device: Any, name: str) -> Device:
    """Return which GPU is meant."""
    place = Device("gpu" if device is None else device)
    if place.type != "gpu":
        raise DeviceError(f"{name}: expected a GPU, got {str(place)!r}; give 'gpu', 'gpu:N' or N")
    return place


# ---------------------------------------------------------------------- waiting


def synchronize(device: Any = None) -> None:
    """Wait until a GPU has done all that it was asked for: what a measurement of time needs. Without one, nothing.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Raises
    ------
    DeviceError
        If there are GPUs, but not this one.

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.synchronize()

    References
    ----------
    ``torch.cuda.synchronize``.
    """
    place = _gpu(device, "synchronize")
    if gpu_in_use():
        with on(place) as handle:
            handle.synchronize()


# ---------------------------------------------------------------------- memory


def memory_allocated(device: Any = None) -> int:
    """Return how many bytes of a GPU's memory arrays hold.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    int
        In whole blocks of 512 bytes; 0 if no GPU was touched yet.

    Raises
    ------
    DeviceError
        If there are GPUs, but not this one.

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.memory_allocated() <= minidl.gpu.memory_reserved()
    True

    References
    ----------
    ``torch.cuda.memory_allocated``, ``cupy.cuda.MemoryPool.used_bytes``.
    """
    return _pool_bytes("used_bytes", device, "memory_allocated")


def memory_reserved(device: Any = None) -> int:
    """Return how many bytes of a GPU's memory the pool has taken: what arrays hold, and what waits to be used again.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    int
        0 if no GPU was touched yet.

    Raises
    ------
    DeviceError
        If there are GPUs, but not this one.

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.memory_reserved() >= 0
    True

    References
    ----------
    ``torch.cuda.memory_reserved``, ``cupy.cuda.MemoryPool.total_bytes``.
    """
    return _pool_bytes("total_bytes", device, "memory_reserved")


def _pool_bytes(question: str, device: Any, name: str) -> int:
    place = _gpu(device, name)
    if not gpu_in_use():
        return 0
    with on(place):  # the pool answers for the GPU in use
        return getattr(cupy().get_default_memory_pool(), question)()


#: The most bytes that arrays held and that the pool had, by GPU, since counting began there.
_peaks: dict[int, tuple[int, int]] = {}


def reset_peak_memory_stats(device: Any = None) -> None:
    """Begin to keep the peak of a GPU's memory, or begin anew. Before the first call nothing is kept: it costs time.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Raises
    ------
    DeviceError
        If there is no such GPU.

    Examples
    --------
    >>> import minidl
    >>> if minidl.gpu.is_available():
    ...     minidl.gpu.reset_peak_memory_stats()
    ...     x = minidl.zeros(1000, device="gpu")
    ...     peak = minidl.gpu.max_memory_allocated()

    References
    ----------
    ``torch.cuda.reset_peak_memory_stats``.
    """
    place = _gpu(device, "reset_peak_memory_stats")
    check_available(place)
    if not _peaks:
        _count_allocations()
    _peaks[place.index] = memory_allocated(place), memory_reserved(place)


def _count_allocations() -> None:
    """Put an allocator that notes how full the pool is before the one that CuPy uses now."""
    cuda, pool = cupy().cuda, cupy().get_default_memory_pool()
    allocate = cuda.get_allocator()

    def counting(size: int) -> Any:
        memory = allocate(size)
        index = cuda.get_device_id()
        if index in _peaks:
            used, reserved = _peaks[index]
            _peaks[index] = max(used, pool.used_bytes()), max(reserved, pool.total_bytes())
        return memory

    cuda.set_allocator(counting)


def max_memory_allocated(device: Any = None) -> int:
    """Return the most bytes that arrays held on a GPU at one time since :func:`reset_peak_memory_stats`.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    int

    Raises
    ------
    StateError
        If :func:`reset_peak_memory_stats` was not called for this GPU.

    Examples
    --------
    >>> import minidl
    >>> if minidl.gpu.is_available():
    ...     minidl.gpu.reset_peak_memory_stats()
    ...     peak = minidl.gpu.max_memory_allocated()

    References
    ----------
    ``torch.cuda.max_memory_allocated``.
    """
    return _peak(device, "max_memory_allocated")[0]


def max_memory_reserved(device: Any = None) -> int:
    """Return the most bytes that the pool had of a GPU at one time since :func:`reset_peak_memory_stats`.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    int

    Raises
    ------
    StateError
        If :func:`reset_peak_memory_stats` was not called for this GPU.

    Examples
    --------
    >>> import minidl
    >>> if minidl.gpu.is_available():
    ...     minidl.gpu.reset_peak_memory_stats()
    ...     peak = minidl.gpu.max_memory_reserved()

    References
    ----------
    ``torch.cuda.max_memory_reserved``.
    """
    return _peak(device, "max_memory_reserved")[1]


def _peak(device: Any, name: str) -> tuple[int, int]:
    place = _gpu(device, name)
    if place.index not in _peaks:
        raise StateError(
            f"{name}: nothing was counted on {place} yet, since counting makes allocations slower; call "
            "minidl.gpu.reset_peak_memory_stats() before what is to be measured"
        )
    return _peaks[place.index]


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Return how many bytes of a GPU's memory are free and how many it has, other programs' arrays considered.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    (int, int)
        The pool's unused blocks (see :func:`empty_cache`) are not free.

    Raises
    ------
    DeviceError
        If there is no such GPU.

    Examples
    --------
    >>> import minidl
    >>> if minidl.gpu.is_available():
    ...     free, total = minidl.gpu.mem_get_info()

    References
    ----------
    ``torch.cuda.mem_get_info``.
    """
    with on(_gpu(device, "mem_get_info")) as handle:
        free, total = handle.mem_info
    return free, total


def empty_cache() -> None:
    """Give back the GPU memory, and the pinned memory of the host, that CuPy keeps for reuse. Without a GPU, nothing.

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.empty_cache()

    References
    ----------
    ``torch.cuda.empty_cache``.
    """
    if gpu_in_use():
        cupy().get_default_memory_pool().free_all_blocks()
        cupy().get_default_pinned_memory_pool().free_all_blocks()


# ---------------------------------------------------------------------- random numbers

#: One seed serves all devices, see :func:`minidl.manual_seed`.
manual_seed_all = manual_seed


def initial_seed(device: Any = None) -> int:
    """Return the seed from which a GPU's random numbers started.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    int

    Examples
    --------
    >>> import minidl
    >>> minidl.manual_seed(7)
    >>> minidl.gpu.initial_seed()
    7

    References
    ----------
    ``torch.cuda.initial_seed``.
    """
    return generator(_gpu(device, "initial_seed")).initial_seed()


def get_rng_state(device: Any = None) -> dict[str, int]:
    """Return where in their sequence a GPU's random numbers are, as plain values that JSON can hold.

    Parameters
    ----------
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Returns
    -------
    dict
        The host keeps it: no GPU is waited for.

    Examples
    --------
    >>> import minidl
    >>> minidl.manual_seed(7)
    >>> minidl.gpu.get_rng_state()
    {'seed': 7, 'offset': 0}

    References
    ----------
    ``torch.cuda.get_rng_state``.
    """
    return generator(_gpu(device, "get_rng_state")).get_state()


def set_rng_state(state: dict[str, int], device: Any = None) -> None:
    """Put a GPU's random numbers back to where :func:`get_rng_state` was called.

    Parameters
    ----------
    state : dict
    device : Device, str or int, optional
        Which GPU; the current one if left out.

    Raises
    ------
    StateError
        If it is the state of another kind of generator.

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.set_rng_state(minidl.gpu.get_rng_state())

    References
    ----------
    ``torch.cuda.set_rng_state``.
    """
    generator(_gpu(device, "set_rng_state")).set_state(state)


def get_rng_state_all() -> list[dict[str, int]]:
    """Return where the random numbers of every GPU are.

    Returns
    -------
    list of dict
        Empty without a GPU.

    Examples
    --------
    >>> import minidl
    >>> len(minidl.gpu.get_rng_state_all()) == minidl.gpu.device_count()
    True

    References
    ----------
    ``torch.cuda.get_rng_state_all``.
    """
    return [get_rng_state(i) for i in range(device_count())]


def set_rng_state_all(states: Iterable[dict[str, int]]) -> None:
    """Put the random numbers of every GPU back to where :func:`get_rng_state_all` was called.

    Parameters
    ----------
    states : list of dict

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.set_rng_state_all(minidl.gpu.get_rng_state_all())

    References
    ----------
    ``torch.cuda.set_rng_state_all``.
    """
    for i, state in enumerate(states):
        set_rng_state(state, i)


# ---------------------------------------------------------------------- precision


def use_tf32(wanted: bool) -> None:
    r"""Say whether float32 matrix products on a GPU may use TF32, as ``CUPY_TF32`` does (0 or 1).

    Factors are rounded to 10 bits after the leading one, in place of 23, and added up as float32, on the tensor cores
    of GPUs from Ampere (2020) on: several times as fast, with relative errors of about

    .. math:: 2^{-11} \approx 5 \cdot 10^{-4}

    in place of :math:`6 \cdot 10^{-8}` a factor. It concerns what cuBLAS multiplies: dense layers, recurrent ones, and
    convolutions that are unfolded to products.

    Parameters
    ----------
    wanted : bool
        By default, no.

    Raises
    ------
    ArgumentError
        If it is neither True nor False.

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.use_tf32(True)
    >>> minidl.gpu.uses_tf32()
    True
    >>> minidl.gpu.use_tf32(False)

    References
    ----------
    ``torch.backends.cuda.matmul.allow_tf32``; NVIDIA, "NVIDIA A100 Tensor Core GPU Architecture", 2020.
    """
    if not isinstance(wanted, bool):
        raise ArgumentError(f"use_tf32: expected True or False, got {wanted!r}")
    os.environ["CUPY_TF32"] = "1" if wanted else "0"  # read by CuPy at its first product of float32...
    if gpu_in_use():  # ...and kept, so that from then on it has to be told; it can be only where a GPU is
        products = importlib.import_module(f"{cupy().__name__}._core._routines_linalg")
        products.set_compute_type(np.float32, getattr(products, "COMPUTE_TYPE_" + ("TF32" if wanted else "DEFAULT")))


def uses_tf32() -> bool:
    """Return whether float32 matrix products on a GPU may use TF32.

    Returns
    -------
    bool

    Examples
    --------
    >>> import minidl
    >>> minidl.gpu.uses_tf32()
    False

    References
    ----------
    ``torch.backends.cuda.matmul.allow_tf32``.
    """
    return os.environ.get("CUPY_TF32", "").strip() not in ("", "0")
