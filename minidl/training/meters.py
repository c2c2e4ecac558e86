"""Meters: the loss and the metrics of an epoch, and the logs that show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from minidl.autograd import no_grad
from minidl.backend import to_numpy
from minidl.errors import ArgumentError, DTypeError, StateError
from minidl.training.metrics import MeanOf

#: What :class:`Meters` asks of a metric.
_METHODS = ("update", "compute", "reset", "state_dict", "load_state_dict")


class LossMean:
    r"""The mean of a loss over samples: :class:`minidl.training.metrics.Mean` for the one value that every step has.

    .. math:: \bar L = \frac{\sum_b n_b L_b}{\sum_b n_b}

    It sums in float64, on the device of the loss, and checks nothing.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget all batches."""
        self.total: Any = 0.0
        self.size = 0

    def update(self, loss: Any, size: int) -> None:
        """Take in the mean loss of ``size`` samples, an array of shape ()."""
        # an array of NumPy's is there to be read, reading one of a GPU would wait for it
        value = float(loss) if isinstance(loss, (np.ndarray, np.generic)) else loss.astype(np.float64)
        self.total = self.total + value * size
        self.size += size

    def compute(self) -> float:
        """Return the mean."""
        return self._total() / self.size

    def state_dict(self) -> dict[str, Any]:
        """Return the sums."""
        return {"total": self._total(), "size": self.size}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was called."""
        self.total, self.size = float(state["total"]), int(state["size"])

    def _total(self) -> float:
        return self.total if isinstance(self.total, float) else float(to_numpy(self.total))


class Meters:
    """What is measured in one pass over data: losses, metrics, and metrics that count samples by their weights.

    Parameters
    ----------
    metrics, weighted_metrics : Metric, function, or list or dict of these, optional
        A function ``fn(prediction, target)`` gives a value for each sample.
    """

    def __init__(self, metrics: Any = None, weighted_metrics: Any = None) -> None:
        self.losses = {"loss": LossMean()}
        self.metrics = _listed(metrics, "metrics")
        self.weighted = _listed(weighted_metrics, "weighted_metrics")
        self._both = [*self.metrics, *self.weighted]
        names = ["loss", *(metric.name for metric in self._both)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ArgumentError(
                f"Trainer: {names.count(twice)} metrics are named {twice!r} (the loss is 'loss'); give them names of "
                "their own: name="
            )

    def reset(self) -> None:
        """Forget what was measured."""
        for meter in (*self.losses.values(), *self._both):
            meter.reset()

    def update(self, losses: Mapping[str, Any], prediction: Any, target: Any, weight: Any, size: int) -> None:
        """Take in a batch. Nothing here waits for a device."""
        for name, value in losses.items():
            meter = self.losses.get(name)
            if meter is None:
                meter = self.losses[name] = LossMean()
            meter.update(value.array, size)
        if self._both:
            with no_grad():
                for metric in self.metrics:
                    metric.update(prediction, target)
                for metric in self.weighted:
                    metric.update(prediction, target, weight)

    def compute(self) -> dict[str, Any]:
        """Return every value as a plain number (or array)."""
        logs = {name: meter.compute() for name, meter in self.losses.items() if meter.size}
        for metric in self._both:
            value = metric.compute()
            logs.update(value if isinstance(value, Mapping) else {metric.name: value})
        return logs

    def value(self, name: str) -> Any:
        """Return one value.

        Raises
        ------
        KeyError
            If nothing has that name.
        """
        if name in self.losses and self.losses[name].size:
            return self.losses[name].compute()
        for metric in self._both:
            if metric.name == name and not isinstance(value := metric.compute(), Mapping):
                return value
        return self.compute()[name]

    def state_dict(self) -> dict[str, Any]:
        """Return the sums so far."""
        return {
            "losses": {name: meter.state_dict() for name, meter in self.losses.items()},
            "metrics": {metric.name: metric.state_dict() for metric in self._both},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was called.

        Raises
        ------
        StateError
            If the metrics were others.
        """
        own = {metric.name: metric for metric in self._both}
        if own.keys() != state["metrics"].keys():
            raise StateError(
                f"resume: the checkpoint has the metrics {sorted(state['metrics'])}, this training {sorted(own)}; in "
                "the middle of an epoch they must be the same"
            )
        for name, sums in state["losses"].items():
            self.losses.setdefault(name, LossMean()).load_state_dict(sums)
        for name, sums in state["metrics"].items():
            own[name].load_state_dict(sums)


class Logs(Mapping[str, Any]):
    """The values of meters as a read-only mapping that computes one when it is asked for it."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def __getitem__(self, name: str) -> Any:
        return self._meters.value(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._meters.compute())

    def __len__(self) -> int:
        return len(self._meters.compute())

    def __bool__(self) -> bool:
        return True

    def items(self) -> Any:
        """Return names and values, each computed once."""
        return self._meters.compute().items()

    def __repr__(self) -> str:
        return repr(self._meters.compute())


def _listed(given: Any, what: str) -> list[Any]:
    """Return metrics as a list, functions made into metrics."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        return [_metric(metric, what, name) for name, metric in given.items()]
    return [
        _metric(metric, what) for metric in (given if isinstance(given, Iterable) and not _whole(given) else [given])
    ]


def _whole(given: Any) -> bool:
    return isinstance(given, str) or hasattr(given, "update")


def _metric(given: Any, what: str, name: str | None = None) -> Any:
    if isinstance(given, type):
        raise DTypeError(
            f"Trainer: {what}: expected a metric, got the class {given.__name__}; write {given.__name__}()"
        )
    if all(hasattr(given, method) for method in _METHODS):
        if name is not None:
            given.name = name
        return given
    if not callable(given):
        hint = "; names of metrics belong to minidl.keras" if isinstance(given, str) else ""
        raise DTypeError(f"Trainer: {what}: expected metrics or functions fn(prediction, target), got {given!r}{hint}")
    return MeanOf(given, name)
