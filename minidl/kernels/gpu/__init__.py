"""Kernels for NVIDIA GPUs: CUDA C in ``source``, launched on CuPy arrays.

Each file here has functions of the names and signatures of ``minidl.kernels.reference``. They take CuPy arrays of
float32 or float64 in any layout, wait for nothing, and may return ``NotImplemented``: the reference then runs. See
``launcher`` for how a source is called, and ``minidl.kernels.dispatch`` for when.
"""
