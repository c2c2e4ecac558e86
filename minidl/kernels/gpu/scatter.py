"""Adding rows at indices, always in the same order: two launches for some thousands of rows."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import BLOCK, Kernel, grid

__all__ = ["add_rows"]

PORTION = 2**14  # rows that are sorted together

sort_indices = Kernel("scatter.cu", "sort_indices")
add_runs = Kernel("scatter.cu", "add_runs")


def add_rows(rows: Any, indices: Any, length: int) -> Any:
    """Add each row to the row of a table of zeros that its index names: see the reference.

    The sums have the reference's bits: rows that meet are added in the order in which they stand. Indices out of range
    wrap around, as they do when they are looked up, because to check them would be to wait for the GPU.
    """
    xp = namespace(rows)
    D = rows.shape[-1]
    table = xp.zeros((length, D), rows.dtype)
    if not rows.size:
        return table
    if length > 2**31 - 1:
        return NotImplemented
    places = xp.remainder(indices.reshape(-1).astype("int64", copy=False), length).astype("int32")  # (M,)
    rows = xp.ascontiguousarray(rows.reshape(-1, D))  # (M, D)
    for start in range(0, len(rows), PORTION):
        part, given = places[start : start + PORTION], rows[start : start + PORTION]
        count = len(part)
        ranked, order = xp.empty_like(part), xp.empty_like(part)
        sort_indices(grid(count, 64), 64, part, ranked, order, count)
        add_runs(grid(count * D), BLOCK, given, ranked, order, table, count, D)
    return table
