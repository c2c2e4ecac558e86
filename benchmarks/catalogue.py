"""All rows, by group and by name."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence

from benchmarks import gpu, kernels, process, scaling, steps
from benchmarks.rows import Row

#: What stands in one table, under its heading.
GROUPS: dict[str, tuple[str, list[Row]]] = {
    "steps": ("The documents' networks", steps.ROWS),
    "kernels": ("Single operations", kernels.ROWS),
    "scaling": ("How the cost grows", scaling.ROWS),
    "process": ("Whole processes", process.ROWS),
    "gpu": ("On a GPU", gpu.ROWS),
}


def find(name: str) -> Row:
    """Return the row of that name."""
    return next(row for _, rows in GROUPS.values() for row in rows if row.name == name)


def groups(device: str) -> dict[str, tuple[str, list[Row]]]:
    """Return the groups that are measured on ``"cpu"`` or ``"gpu"``."""
    return {name: group for name, group in GROUPS.items() if (name == "gpu") == (device == "gpu")}


def select(patterns: Sequence[str], device: str = "cpu") -> dict[str, list[Row]]:
    """Return the rows of a device that any pattern names, by group: a row's name, with * for any part, or a group's."""
    known = groups(device)
    names = [*known, *(row.name for _, rows in known.values() for row in rows)]
    for pattern in patterns:
        if not fnmatch.filter(names, pattern):
            near = difflib.get_close_matches(pattern, names, 3) or names[:3]
            raise ValueError(f"no row is called {pattern!r}: did you mean {', '.join(near)}? --list shows them all")
    chosen = {
        group: [
            row for row in rows if not patterns or any(fnmatch.fnmatch(row.name, p) or p == group for p in patterns)
        ]
        for group, (_, rows) in known.items()
    }
    return {group: rows for group, rows in chosen.items() if rows}
