"""A trainer that trains nothing: what callbacks see of one, to be driven by hand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from minidl import nn
from minidl.training.callbacks import Callback


class FakeTrainer:
    """What callbacks ask of a trainer."""

    def __init__(self, model: Any = None, learning_rate: float = 0.5, metrics: Iterable[Any] = ()) -> None:
        self.model = nn.Linear(2, 1) if model is None else model
        self.learning_rate = learning_rate
        self.meters = SimpleNamespace(metrics=list(metrics), weighted=[])
        self.stop_training = False
        self.step = 0

    def drive(self, callback: Callback, epochs: Iterable[Mapping[str, Any]], first: int = 0) -> list[dict[str, Any]]:
        """Lead a callback through epochs with given logs, until it stops; return the logs as it left them."""
        callback.set_trainer(self)  # type: ignore[arg-type]
        callback.on_train_begin()
        return self.go_on(callback, epochs, first)

    def go_on(self, callback: Callback, epochs: Iterable[Mapping[str, Any]], first: int = 0) -> list[dict[str, Any]]:
        """The same, for a callback whose training began already."""
        seen = []
        for epoch, logs in enumerate(epochs, first):
            callback.on_epoch_begin(epoch)
            seen.append(dict(logs))
            callback.on_epoch_end(epoch, seen[-1])
            if self.stop_training:
                break
        callback.on_train_end(seen[-1] if seen else None)
        callback.close()
        return seen
