"""NumPy or CuPy: devices, element types, random numbers. Nothing above imports either library's GPU side."""

from minidl.backend.devices import (
    CPU,
    Device,
    cupy,
    default_device,
    device_of,
    gpu_in_use,
    is_array,
    is_gpu_available,
    namespace,
    quiet,
    set_default_device,
    to_device,
    to_numpy,
)
from minidl.backend.dtypes import as_dtype, common_dtype, default_dtype, set_default_dtype
from minidl.backend.random import Generator, generator, get_rng_state, manual_seed, own_generator, set_rng_state

__all__ = [
    "CPU",
    "Device",
    "Generator",
    "as_dtype",
    "common_dtype",
    "cupy",
    "default_device",
    "default_dtype",
    "device_of",
    "generator",
    "get_rng_state",
    "gpu_in_use",
    "is_array",
    "is_gpu_available",
    "manual_seed",
    "namespace",
    "own_generator",
    "quiet",
    "set_default_device",
    "set_default_dtype",
    "set_rng_state",
    "to_device",
    "to_numpy",
]
