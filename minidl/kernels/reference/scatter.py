"""Adding rows at indices: the gradient of a table lookup."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace

__all__ = ["add_rows"]


def add_rows(rows: Any, indices: Any, length: int) -> Any:
    """Add each row to the row of a table of zeros that its index names.

    Parameters
    ----------
    rows : array (..., D)
    indices : int array (...), from 0 to ``length - 1``

    Returns
    -------
    array (length, D)
    """
    xp = namespace(rows)
    D = rows.shape[-1]
    table = xp.zeros(length * D, dtype=rows.dtype)
    # elements instead of rows: NumPy has a fast path for indices of one axis
    places = indices.reshape(indices.size, 1).astype("int64") * D + xp.arange(D)  # (M, D)
    xp.add.at(table, places.ravel(), rows.ravel())
    return table.reshape(length, D)
