"""Kernels: plain arrays in, plain arrays out. Which implementation runs is decided here and nowhere else.

``reference`` says in readable NumPy what each kernel computes, and runs on CuPy arrays too.
"""

from minidl.kernels.reference import *


def active() -> str:
    """Return the name of the implementation in use."""
    return "reference"
