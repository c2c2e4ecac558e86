"""A row of the tables: one computation, as each framework writes it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.frameworks import dialect

Call = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One computation and what it should reach.

    Parameters
    ----------
    name : str
        What ``--rows`` takes.
    title : str
        What the tables show.
    sides : dict
        For each framework the function that makes the call that is timed. Where ``unit`` is not "time" it measures
        one value, in processes of its own, in that unit; it is then told whether it has to be quick.
    goals : dict
        For a peer, the least ratio of its figure to minidl's; for a dialect of minidl, its greatest figure.
    unit : str
        "time" for a call that is repeated; "s" or "MB" for a value.
    series : tuple of str and int, optional
        Which curve the row belongs to, and where on it; the time is then divided by that number.
    """

    name: str
    title: str
    sides: Mapping[str, Callable[..., Any]]
    goals: Mapping[str, float] = field(default_factory=dict)
    unit: str = "time"
    series: tuple[str, int] | None = None


def both(make: Callable[..., Call], *sizes: Any) -> dict[str, Callable[[], Call]]:
    """Return the sides of a computation that is written once, in the dialect that minidl and PyTorch share."""
    return {framework: functools.partial(_in_dialect, framework, make, *sizes) for framework in ("minidl", "torch")}


def _in_dialect(framework: str, make: Callable[..., Call], *sizes: Any) -> Call:
    return make(dialect(framework), *sizes)
