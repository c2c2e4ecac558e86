"""What a compiled model is trained for and measured by: losses and metrics, brought to its outputs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from minidl.autograd import Variable
from minidl.errors import ArgumentError, DataError
from minidl.keras import losses, metrics
from minidl.keras.structure import flatten

if TYPE_CHECKING:
    from minidl.keras.models.compiled import Compiled

__all__ = ["Goal", "Measures"]


class Goal:
    """The loss of a model: one for its output, or one for each of several and their weighted sum.

    Parameters
    ----------
    model : Model
    loss : str, Loss or callable; or a list or dict of them (None where an output has no loss)
    loss_weights : float, list or dict of float, optional
    """

    def __init__(self, model: Compiled, loss: Any, loss_weights: Any = None) -> None:
        self.model = model
        self.loss = _mapped(losses.as_loss, loss)
        self.loss_weights = loss_weights

    def weighted(self, prediction: Any, target: Any, sample_weight: Any) -> Any:
        """Return the loss of a batch; for several outputs a dict, ``"loss"`` the sum."""
        if target is None:
            raise DataError(
                "the data has no targets to compute the loss with; pass y, or let the generator yield (x, y); "
                "validation_data is (x, y), too"
            )
        if isinstance(prediction, Variable) and not isinstance(self.loss, (list, tuple, dict)):
            value = self.loss.weighted(prediction, target, sample_weight)
            return value * self.loss_weights if isinstance(self.loss_weights, (int, float)) else value
        names = output_names(self.model, prediction)
        each = _for_outputs(names, self.loss, "loss", shared=True)
        factors = _for_outputs(names, self.loss_weights, "loss_weights")
        targets = _for_outputs(names, target, "y")
        weights = _for_outputs(names, sample_weight, "sample_weight", shared=True)
        parts: dict[str, Any] = {}
        total = None
        for name, loss, factor, x, y, weight in zip(
            names, each, factors, flatten(prediction), targets, weights, strict=True
        ):
            if loss is None:
                continue
            if y is None:
                raise ArgumentError(f"fit: the output {name!r} has a loss, but there is no target for it")
            parts[f"{name}_loss"] = value = loss.weighted(x, y, weight)
            value = value if factor is None else value * factor
            total = value if total is None else total + value
        if total is None:
            raise ArgumentError("compile: no output has a loss; give at least one")
        return {"loss": total, **(parts if len(parts) > 1 else {})}


class Measures:
    """The metrics of a model, ready for a training loop.

    Parameters
    ----------
    model : Model
    plain, weighted : list of str, Metric or callable; or for several outputs a list or dict of such lists
        Those that leave sample weights out, and those that heed them.
    """

    def __init__(self, model: Compiled, plain: Any, weighted: Any) -> None:
        self.model = model
        self.plain = self._made(plain, "metrics")
        self.weighted = self._made(weighted, "weighted_metrics")
        _name_apart(self.plain, self.weighted)

    @property
    def all(self) -> list[Any]:
        """All metrics."""
        return [*self.plain, *self.weighted]

    def _made(self, given: Any, what: str) -> list[Any]:
        if given is None:
            return []
        if isinstance(given, (str, metrics.Metric)) or callable(given):
            given = [given]
        nested = isinstance(given, Mapping) or any(isinstance(x, (list, tuple)) or x is None for x in given)
        names = self._names()
        if not nested and len(names) <= 1:
            return [metrics.as_metric(x) for x in given]
        if not names:  # a class of one's own, whose outputs nobody knows before they are there
            names = list(given) if isinstance(given, Mapping) else [f"output_{i + 1}" for i in range(len(given))]
        if not nested and len(names) > 1 and len(given) != len(names):
            given = [given] * len(names)
        found = []
        for position, (name, some) in enumerate(zip(names, _for_outputs(names, given, what), strict=True)):
            some = [] if some is None else some if isinstance(some, (list, tuple)) else [some]
            found += [OfOutput(metrics.as_metric(x), position, name, len(names) > 1) for x in some]
        return found

    def _names(self) -> list[str]:
        graph = self.model._graph
        if graph is None:
            return []
        return list(graph.outputs) if isinstance(graph.outputs, Mapping) else self.model.output_names


class OfOutput:
    """A metric of one of several outputs."""

    def __init__(self, metric: Any, position: int, output: str, several: bool) -> None:
        self.metric = metric
        self.position = position
        self.output = output
        self.several = several
        self.name = f"{output}_{metric.name}" if several else metric.name
        self.compute, self.reset = metric.compute, metric.reset
        self.state_dict, self.load_state_dict = metric.state_dict, metric.load_state_dict

    def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
        """Take in a batch of all outputs."""
        self.metric.update(self._mine(prediction), self._mine(target), self._mine(sample_weight))

    def _mine(self, values: Any) -> Any:
        if isinstance(values, Mapping):
            if self.output not in values:
                raise ArgumentError(
                    f"metrics: there is nothing for the output {self.output!r} among {list(values)}; metrics, targets "
                    "and outputs go by the same names"
                )
            return values[self.output]
        return values[self.position] if isinstance(values, (list, tuple)) else values


def output_names(model: Compiled, prediction: Any) -> list[str]:
    """Return what the outputs of a model are called."""
    if isinstance(prediction, Mapping):
        return list(prediction)
    if model._graph is not None:
        return model.output_names
    return [f"output_{i + 1}" for i in range(len(flatten(prediction)))]


def _mapped(fn: Any, given: Any) -> Any:
    if isinstance(given, Mapping) and "class_name" not in given:
        return {key: None if x is None else fn(x) for key, x in given.items()}
    if isinstance(given, (list, tuple)):
        return [None if x is None else fn(x) for x in given]
    return fn(given)


def _name_apart(plain: list[Any], weighted: list[Any]) -> None:
    """Let all names differ: a second ``accuracy`` is ``accuracy_1``, or with weights ``weighted_accuracy``."""
    taken: set[str] = set()
    for metric in (*plain, *weighted):
        name = metric.name
        if name in taken and metric in weighted:
            several = isinstance(metric, OfOutput) and metric.several
            name = f"{metric.output}_weighted_{metric.metric.name}" if several else f"weighted_{name}"
        tries = itertools.chain([name], (f"{name}_{i}" for i in itertools.count(1)))
        metric.name = next(x for x in tries if x not in taken)
        taken.add(metric.name)


def _for_outputs(names: Sequence[str], given: Any, what: str, shared: bool = False) -> list[Any]:
    """Return what was given for each output: from a list in their order, or a dict by name.

    Raises
    ------
    ArgumentError
        If there is something for an output that does not exist, or too much or too little.
    """
    if given is None:
        return [None] * len(names)
    if isinstance(given, Mapping):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise ArgumentError(f"{what}: there is no output {unknown[0]!r}; the outputs are called {list(names)}")
        return [given.get(name) for name in names]
    if not isinstance(given, (list, tuple)):
        if shared or len(names) == 1:
            return [given] * len(names)
        raise ArgumentError(f"{what}: the model has {len(names)} outputs, {list(names)}; give a list or dict for them")
    if len(given) != len(names):
        raise ArgumentError(f"{what}: {len(given)} entries for {len(names)} outputs: {list(names)}")
    return list(given)
