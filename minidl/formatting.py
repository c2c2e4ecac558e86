"""How a tensor prints."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.backend import default_dtype, device_of, to_numpy


def format_tensor(x: Any) -> str:
    """Return the text of ``repr(x)``: the numbers, and whatever about them is not the default."""
    array = to_numpy(x.array)
    notes = []
    if array.dtype not in (default_dtype(), np.dtype(np.int64), np.dtype(np.bool_)):
        notes.append(f"dtype={array.dtype}")
    if array.size == 0 and array.ndim != 1:
        notes.insert(0, f"shape={array.shape}")
    device = device_of(x.array)
    if device.type != "cpu":
        notes.append(f"device='{device}'")
    if x._node is not None:
        notes.append(f"grad_fn={x._node!r}")
    elif x._requires_grad:
        notes.append("requires_grad=True")
    return ", ".join([f"tensor({_numbers(array)}", *notes]) + ")"


def _numbers(array: np.ndarray) -> str:
    if array.size == 0:
        return "[]"
    style: dict[str, Any] = {}
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)].astype(np.float64)
        if (finite == np.round(finite)).all() and (abs(finite) < 1e6).all():
            style["formatter"] = {"float_kind": lambda v: f"{v:.0f}." if np.isfinite(v) else str(v)}
        else:
            largest, smallest = abs(finite).max(), abs(finite[finite != 0]).min()
            code = "e" if largest >= 1e6 or smallest < 1e-4 or largest / smallest > 1e6 else "f"
            style["formatter"] = {"float_kind": lambda v: f"{v:.4{code}}" if np.isfinite(v) else str(v)}
        width = max(len(style["formatter"]["float_kind"](v)) for v in _shown(array))
        inner = style["formatter"]["float_kind"]
        style["formatter"] = {"float_kind": lambda v: inner(v).rjust(width)}
        if array.ndim == 0:
            return inner(array[()])
    elif array.ndim == 0:
        return str(array[()])
    return np.array2string(array, separator=", ", prefix="tensor(", max_line_width=100, **style)


def _shown(array: np.ndarray) -> np.ndarray:
    """Return the elements that a long array prints: the first and the last few of each axis."""
    if array.size > 1000:
        for axis in range(array.ndim):
            if array.shape[axis] > 6:
                array = np.take(array, [0, 1, 2, -3, -2, -1], axis)
    return array.ravel()
