"""Element types: the default float, and the promotion rule.

minidl promotes like NumPy with two differences, both there so that a float32 network stays float32:
a Python scalar never widens a tensor, and an integer tensor that meets a float tensor takes the float's dtype
(NumPy widens ``int64 + float32`` to float64).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minidl.errors import DTypeError

SUPPORTED = tuple(
    np.dtype(name)
    for name in [
        "float16",
        "float32",
        "float64",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool",
    ]
)
INT64 = np.dtype(np.int64)

_default = np.dtype(np.float32)


def default_dtype() -> np.dtype:
    """Return the dtype that Python floats become: float32 unless :func:`set_default_dtype` changed it.

    Returns
    -------
    numpy.dtype

    Examples
    --------
    >>> import minidl
    >>> minidl.get_default_dtype()
    dtype('float32')

    References
    ----------
    ``torch.get_default_dtype``.
    """
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Make ``dtype`` what Python floats, ``zeros``, ``randn`` and new layers use.

    Parameters
    ----------
    dtype : dtype
        A float type.

    Raises
    ------
    DTypeError
        If it is not a float type.

    Examples
    --------
    >>> import minidl
    >>> minidl.set_default_dtype("float64")
    >>> minidl.zeros(1).dtype
    dtype('float64')
    >>> minidl.set_default_dtype("float32")

    References
    ----------
    ``torch.set_default_dtype``.
    """
    global _default
    wanted = as_dtype(dtype)
    if wanted.kind != "f":
        raise DTypeError(f"set_default_dtype: expected float16, float32 or float64, got {wanted}")
    _default = wanted


def as_dtype(dtype: Any) -> np.dtype:
    """Turn whatever names a dtype (``minidl.float32``, ``np.float32``, ``"float32"``, ``float``) into a NumPy dtype.

    Python's own ``float`` means the default dtype, ``int`` int64, ``bool`` bool, as in PyTorch.
    """
    if dtype is float:
        return _default
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = None
    if dtype is None or found is None or found not in SUPPORTED:  # (np.dtype(None) is float64)
        names = ", ".join(map(str, SUPPORTED))
        raise DTypeError(f"unknown dtype {dtype!r}; minidl has {names}")
    return found


def common_dtype(dtypes: Iterable[np.dtype], scalars: Iterable[Any] = ()) -> np.dtype:
    """Return the dtype in which arrays of ``dtypes`` and Python ``scalars`` are combined."""
    dtypes = list(dtypes)
    floats = [dtype for dtype in dtypes if dtype.kind == "f"]
    if floats:
        return max(floats, key=lambda dtype: dtype.itemsize)
    if any(isinstance(scalar, float) for scalar in scalars):
        return _default
    if not dtypes:
        return INT64
    result = np.result_type(*dtypes)
    if result.kind == "b" and any(type(scalar) is int for scalar in scalars):
        return INT64
    # np.result_type(uint64, int64) is float64; no other pair of integers leaves the integers
    return result if result.kind != "f" else INT64
