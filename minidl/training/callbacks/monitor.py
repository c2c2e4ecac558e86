"""Callbacks that watch a number: stop when it no longer improves, or lower the learning rate."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, warn
from minidl.training.callbacks.base import Callback
from minidl.training.callbacks.progress import say

__all__ = ["EarlyStopping", "Monitor", "ReduceLROnPlateau"]

#: Words in the names of metrics, by the way in which they get better. A metric that says so itself comes first: its
#: attribute ``direction`` is "min" or "max".
_HIGHER = {"acc", "accuracy", "auc", "cosine", "f1", "fbeta", "f", "iou", "precision", "r2", "recall", "similarity"}
_LOWER = {"crossentropy", "divergence", "error", "hinge", "logcosh", "loss", "mae", "mape", "mse", "msle", "rmse"}
_LOWER |= {"poisson", "logloss", "perplexity", "cross"}


class Monitor(Callback):
    """Watch a number of the logs, and know whether it got better; the base of callbacks that act on that.

    Parameters
    ----------
    monitor : str
        The number's name in the logs.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; ``"auto"`` tells by the metric, or by its name.
    baseline : float, optional
        What the first value must be better than.
    min_delta : float
        By how much a better value must be better.

    Raises
    ------
    ArgumentError
        If ``mode`` is none of these, or ``"auto"`` cannot tell.

    Examples
    --------
    >>> watch = Monitor("val_accuracy", min_delta=0.1)
    >>> watch.improves(0.75, 0.7), watch.improves(0.85, 0.7)
    (False, True)
    """

    def __init__(
        self, monitor: str = "val_loss", mode: str = "auto", baseline: float | None = None, min_delta: float = 0.0
    ) -> None:
        if mode not in ("auto", "min", "max"):
            raise ArgumentError(f'{type(self).__name__}: mode must be "auto", "min" or "max", got {mode!r}')
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self._higher: bool | None = None  # known once the metrics are
        self._warned = False

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether a value is better than another by at least ``min_delta``; any is better than None."""
        if self._higher is None:
            self._higher = self._higher_is_better()
        if reference is None:
            return True
        return value - self.min_delta > reference if self._higher else value + self.min_delta < reference

    def _higher_is_better(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        meters = getattr(self._trainer, "meters", None)
        for metric in (*meters.metrics, *meters.weighted) if meters else ():
            direction = getattr(metric, "direction", None)
            if metric.name == name and direction is not None:
                return direction == "max"
        words = set(re.split(r"[^a-z0-9]+", name.lower()))
        lower, higher = bool(words & _LOWER), bool(words & _HIGHER)
        if lower == higher:
            raise ArgumentError(
                f"{type(self).__name__}: monitor={self.monitor!r}: its name does not tell whether higher is better; "
                "pass mode='max', or mode='min' if lower is"
            )
        return higher

    def value(self, logs: Mapping[str, Any] | None, purpose: str) -> float | None:
        """Return the watched number; if there is none, warn of it once, and return None."""
        value = (logs or {}).get(self.monitor)
        if value is not None and np.ndim(value) == 0:
            return float(value)
        if not self._warned:
            self._warned = True
            problem = "is not in the logs" if value is None else f"is an array of shape {np.shape(value)}, not a number"
            hint = "; pass validation data to fit" if value is None and self.monitor.startswith("val_") else ""
            there = ", ".join(logs or {}) or "nothing"
            warn(
                f"{type(self).__name__}: monitor={self.monitor!r} {problem}, so that it cannot {purpose}{hint}. "
                f"The logs hold {there}"
            )
        return None


class EarlyStopping(Monitor):
    """Stop training when a number no longer improves.

    Parameters
    ----------
    monitor : str
        The number's name in the logs.
    min_delta : float
        A change of less is no improvement.
    patience : int
        After how many epochs without improvement training stops.
    verbose : {0, 1}
        Whether to say so.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; ``"auto"`` tells by the metric, or by its name.
    baseline : float, optional
        Only what is better than this sets the patience back.
    restore_best_weights : bool
        Whether the model ends with the weights of its best epoch, and not with those of the last one.
    start_from_epoch : int
        Epochs before this one are not looked at.

    Examples
    --------
    >>> stopping = EarlyStopping("val_loss", patience=2)
    >>> stopping.on_train_begin()
    >>> stopping.on_epoch_end(0, {"val_loss": 0.5})
    >>> stopping.on_epoch_end(1, {"val_loss": 0.6})
    >>> stopping.best, stopping.wait
    (0.5, 1)

    References
    ----------
    ``keras.callbacks.EarlyStopping``.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin anew."""
        self.wait = 0
        self.stopped_epoch = 0
        self.best = None
        self.best_epoch = 0
        self.best_weights: dict[str, Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Count the epochs without improvement, and stop when patience is at its end."""
        current = self.value(logs, "stop training")
        if current is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self.improves(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self.best_weights = {name: x.array.copy() for name, x in self.model.state_dict().items()}
            if self.improves(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.trainer.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        """Bring the best epoch's weights back, if asked to."""
        if self.stopped_epoch and self.verbose:
            say(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                say(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.load_state_dict(self.best_weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, the wait, and the best weights."""
        names = "wait", "stopped_epoch", "best", "best_epoch", "best_weights"
        return {name: getattr(self, name) for name in names}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        for name, value in state.items():
            setattr(self, name, value)


class ReduceLROnPlateau(Monitor):
    r"""Lower the learning rate when a number no longer improves.

    .. math:: \eta \leftarrow \max(\eta \cdot \text{factor},\ \eta_{\min})

    Parameters
    ----------
    monitor : str
        The number's name in the logs.
    factor : float
        What the learning rate is multiplied by: below 1.
    patience : int
        After how many epochs without improvement.
    verbose : {0, 1}
        Whether to say so.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; ``"auto"`` tells by the metric, or by its name.
    min_delta : float
        A change of less is no improvement.
    cooldown : int
        How many epochs to wait after lowering it before patience counts again.
    min_lr : float
        The learning rate goes no lower.

    Raises
    ------
    ArgumentError
        If ``factor`` is 1 or more.

    Examples
    --------
    >>> plateau = ReduceLROnPlateau("loss", factor=0.5, patience=3)
    >>> plateau.on_train_begin()
    >>> plateau.wait, plateau.in_cooldown()
    (0, False)

    References
    ----------
    ``keras.callbacks.ReduceLROnPlateau``.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ArgumentError(f"ReduceLROnPlateau: factor must be below 1, or nothing is reduced; got {factor}")
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.on_train_begin()

    def on_train_begin(self, logs: Any = None) -> None:
        """Begin anew."""
        self.best = None
        self.wait = 0
        self.cooldown_counter = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Lower the learning rate when patience is at its end; log what it was in this epoch."""
        if logs is not None:
            logs["learning_rate"] = float(self.trainer.learning_rate)
        current = self.value(logs, "lower the learning rate")
        if current is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.improves(current, self.best):
            self.best = current
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        rate = float(self.trainer.learning_rate)
        if np.float32(rate) <= np.float32(self.min_lr):  # as float32, in which an optimiser may hold it
            return
        self.trainer.learning_rate = rate = max(rate * self.factor, self.min_lr)
        self.cooldown_counter = self.cooldown
        self.wait = 0
        if self.verbose:
            say(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")

    def in_cooldown(self) -> bool:
        """Whether the learning rate was lowered so recently that patience does not count."""
        return self.cooldown_counter > 0

    def state_dict(self) -> dict[str, Any]:
        """Return the best value, the wait and the cooldown."""
        return {name: getattr(self, name) for name in ("best", "wait", "cooldown_counter")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on waiting."""
        for name, value in state.items():
            setattr(self, name, value)
