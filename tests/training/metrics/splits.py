"""Batches of any sizes, and the one thing that every metric has to do with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import minidl
from minidl.training.metrics import Metric

#: How inputs may come: NumPy arrays, tensors, lists.
FORMS: dict[str, Callable[[np.ndarray], Any]] = {"array": np.array, "tensor": minidl.tensor, "list": np.ndarray.tolist}


@st.composite
def batches(draw: st.DrawFn, most: int = 30) -> tuple[np.random.Generator, int, list[slice], bool]:
    """Draw a generator of numbers, how many samples there are, a split of them, and whether they have weights."""
    n = draw(st.integers(2, most))
    cuts = sorted(draw(st.lists(st.integers(1, n - 1), max_size=4, unique=True)))
    split = [slice(a, b) for a, b in zip([0, *cuts], [*cuts, n], strict=True)]
    return np.random.default_rng(draw(st.integers(0, 2**32 - 1))), n, split, draw(st.booleans())


def fed(metric: Metric, split: list[slice], *arrays: np.ndarray | None, form: str = "array") -> Any:
    """Feed a metric its predictions, targets and weights batch by batch, and return what it computes.

    On the way its state moves to a fresh state and back, as through a checkpoint.
    """
    metric.reset()
    for part in split:
        metric.update(*(None if x is None else FORMS[form](x[part]) for x in arrays))
        state = metric.state_dict()
        metric.reset()
        metric.load_state_dict(state)
    return metric.compute()


def weights_of(rng: np.random.Generator, n: int, weighted: bool) -> np.ndarray | None:
    """Return weights, some of them zero, or None."""
    return rng.integers(0, 5, n) * rng.random() + (np.arange(n) == 0) if weighted else None
