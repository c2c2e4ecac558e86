"""Names of element types, as NumPy's dtype objects, and of a few numbers."""

from __future__ import annotations

import math

import numpy as np
from numpy import finfo, iinfo

__all__ = [
    "bool",
    "double",
    "e",
    "finfo",
    "float",
    "float16",
    "float32",
    "float64",
    "half",
    "iinfo",
    "inf",
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "long",
    "nan",
    "newaxis",
    "pi",
    "short",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

float16 = half = np.dtype(np.float16)
float32 = float = np.dtype(np.float32)  # noqa: A001  (minidl.float, as torch.float)
float64 = double = np.dtype(np.float64)
int8 = np.dtype(np.int8)
int16 = short = np.dtype(np.int16)
int32 = int = np.dtype(np.int32)  # noqa: A001
int64 = long = np.dtype(np.int64)
uint8 = np.dtype(np.uint8)
uint16 = np.dtype(np.uint16)
uint32 = np.dtype(np.uint32)
uint64 = np.dtype(np.uint64)
bool = np.dtype(np.bool_)  # noqa: A001

e, inf, nan, pi = math.e, math.inf, math.nan, math.pi
newaxis = None
