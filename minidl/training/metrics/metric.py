"""What every metric is: sums over the samples seen so far, and a value made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar

import numpy as np

from minidl.backend import device_of, gpu_in_use, to_device, to_numpy
from minidl.errors import ShapeError, StateError

__all__ = ["Metric"]


class Metric:
    r"""A measure of quality that is fed batch by batch, and comes out the same however the samples were batched.

    .. math:: m = f\Bigl(\sum_{b} s_b\Bigr)

    To write one, name the sums it needs in ``accumulators``, add a batch's share of them in :meth:`update`, and say in
    :meth:`compute` what they amount to. The sums stay on the device of what was added, and nothing waits for a GPU
    before :meth:`compute`. Sum in float64: then the split into batches shows in no digit that matters.

    Parameters
    ----------
    name : str, optional
        What logs call it; the class's name in lower case if left out.

    Attributes
    ----------
    accumulators : tuple of str
        The names of the sums, in the order in which :meth:`accumulate` takes and :meth:`accumulated` gives them.

    Examples
    --------
    >>> import numpy as np
    >>> class Bias(Metric):
    ...     accumulators = "total", "count"
    ...
    ...     def update(self, prediction, target, sample_weight=None):
    ...         self.accumulate((prediction - target).sum(dtype="float64"), len(target))
    ...
    ...     def compute(self):
    ...         total, count = self.accumulated()
    ...         return total / count
    >>> bias = Bias()
    >>> bias.update(np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    >>> bias.update(np.array([6.0]), np.array([0.0]))
    >>> bias.name, float(bias.compute())
    ('bias', 3.0)

    References
    ----------
    ``keras.metrics.Metric``, ``torchmetrics.Metric``.
    """

    accumulators: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str | None = None) -> None:
        self.name = name or snake_case(type(self).__name__)
        self._sums: list[Any] = []  # one an accumulator, none before the first update

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        raise NotImplementedError(f"{type(self).__name__} has no update")

    def compute(self) -> Any:
        """Return the value over all samples since the last reset: a float, or an array of floats."""
        raise NotImplementedError(f"{type(self).__name__} has no compute")

    def reset(self) -> None:
        """Forget all samples."""
        self._sums = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch, and return the value of that batch alone."""
        before, self._sums = self._sums, []
        try:
            self.update(*args, **kwargs)
            value = self.compute()
        except Exception:
            self._sums = before
            raise
        batch, self._sums = self._sums, before
        self.accumulate(*batch)
        return value

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    # ------------------------------------------------------------------ called by update and compute

    def accumulate(self, *values: Any) -> None:
        """Add a batch's share to each sum: arrays and numbers are added, lists are joined."""
        if len(values) != len(self.accumulators):
            raise StateError(f"{self.name}: accumulate got {len(values)} values for {self.accumulators}")
        if not self._sums:
            self._sums = list(values)
            return
        for i, (kept, value) in enumerate(zip(self._sums, values, strict=True)):
            if isinstance(kept, (float, int)) and isinstance(value, (float, int)):  # NumPy's float64 is a float
                self._sums[i] = kept + value
                continue
            if _kind(kept) != _kind(value):
                raise ShapeError(
                    f"{self.name}: this batch's {self.accumulators[i]} have shape {_kind(value)}, those of the batches "
                    f"before {_kind(kept)}; classes and outputs must stay the same until reset()"
                )
            self._sums[i] = (to_device(kept, device_of(value)) if gpu_in_use() else kept) + value

    def accumulated(self) -> tuple[Any, ...]:
        """Return the sums as NumPy arrays (a list as a list of them).

        Raises
        ------
        StateError
            If there was no update since the last reset.
        """
        if not self._sums:
            raise StateError(f"{self.name}: nothing was accumulated; call update(...) before compute()")
        return tuple(_on_host(value) for value in self._sums)

    @property
    def updated(self) -> bool:
        """Whether there was an update since the last reset."""
        return bool(self._sums)

    # ------------------------------------------------------------------ checkpoints

    def state_dict(self) -> dict[str, Any]:
        """Return the sums by name, as NumPy arrays; empty before the first update."""
        return dict(zip(self.accumulators, map(_on_host, self._sums), strict=bool(self._sums)))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was called.

        Raises
        ------
        StateError
            If it is the state of another metric.
        """
        if state and set(state) != set(self.accumulators):
            raise StateError(
                f"{self.name}: expected a state of {sorted(self.accumulators)}, got one of {sorted(map(str, state))}: "
                "it is another metric's"
            )
        self._sums = [_on_host(state[name]) for name in self.accumulators] if state else []


@cache
def snake_case(name: str) -> str:
    """Return ``TopKAccuracy`` as ``top_k_accuracy``."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _kind(value: Any) -> tuple[int, ...]:
    """Return what has to stay the same from batch to batch: a sum's shape, or that of a sample in a list of batches."""
    return np.shape(value[0])[1:] if isinstance(value, list) else np.shape(value)


def _on_host(value: Any) -> Any:
    if isinstance(value, Sequence):
        return [_on_host(x) for x in value]
    return np.asarray(to_numpy(value))
