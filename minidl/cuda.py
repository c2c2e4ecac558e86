"""What PyTorch code asks of ``torch.cuda``: whether there is a GPU, and how many. minidl's GPU arrays are CuPy's."""

from __future__ import annotations

from typing import Any

from minidl.backend import Device, cupy, is_gpu_available, manual_seed

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all", "synchronize"]


def is_available() -> bool:
    """Return whether ``device="cuda"`` (that is ``"gpu"``) would work here.

    Returns
    -------
    bool

    Examples
    --------
    >>> import minidl
    >>> device = minidl.device("cuda" if minidl.cuda.is_available() else "cpu")

    References
    ----------
    ``torch.cuda.is_available``.
    """
    return is_gpu_available()


def device_count() -> int:
    """Return how many GPUs can be used.

    Returns
    -------
    int

    Examples
    --------
    >>> import minidl
    >>> minidl.cuda.device_count() > 0 or not minidl.cuda.is_available()
    True

    References
    ----------
    ``torch.cuda.device_count``.
    """
    return cupy().cuda.runtime.getDeviceCount() if is_gpu_available() else 0


#: One seed serves all devices, see :func:`minidl.manual_seed`.
manual_seed_all = manual_seed


def synchronize(device: Any = None) -> None:
    """Wait until the GPU has done all that it was asked for: what a measurement of time needs. Without a GPU, nothing.

    Parameters
    ----------
    device : Device or str, optional
        Which GPU; the current one if left out.

    Examples
    --------
    >>> import minidl
    >>> minidl.cuda.synchronize()

    References
    ----------
    ``torch.cuda.synchronize``.
    """
    if is_gpu_available():
        place = None if device is None else Device(device).index
        cupy().cuda.Device(place).synchronize()


def empty_cache() -> None:
    """Give back the GPU memory that CuPy keeps for reuse. Without a GPU, nothing.

    Examples
    --------
    >>> import minidl
    >>> minidl.cuda.empty_cache()

    References
    ----------
    ``torch.cuda.empty_cache``.
    """
    if is_gpu_available():
        cupy().get_default_memory_pool().free_all_blocks()
