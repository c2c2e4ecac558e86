"""Files: named arrays and JSON, written atomically and read without trust.

What needs h5py stands in :mod:`minidl.formats.hdf5`, which is imported by whoever needs it.
"""

from minidl.formats.atomic import atomic_write
from minidl.formats.safetensors import load_safetensors, read_safetensors, save_safetensors
from minidl.formats.tree import load, save

__all__ = ["atomic_write", "load", "load_safetensors", "read_safetensors", "save", "save_safetensors"]
