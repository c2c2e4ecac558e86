"""What a callback is, and the list that calls them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from minidl.errors import DTypeError, StateError, warn

if TYPE_CHECKING:
    from minidl.training.trainer import Trainer

__all__ = ["Callback", "CallbackList"]


class Callback:
    """Something that is told what happens while a model trains; the base class of all of them.

    Override the hooks that you need. ``self.trainer`` trains, ``self.model`` is trained, ``self.params`` says how
    (``verbose``, ``epochs``, ``steps``: None where unknown).

    Attributes
    ----------
    params : dict
    model : Module
    trainer : Trainer

    Notes
    -----
    ``logs`` maps names to numbers. At the end of an epoch it is a dict, and what a callback writes into it the later
    ones see, the history too. At the end of a batch it is a read-only mapping that computes a number when it is
    asked for it: asking waits for the device, so ask seldom.

    Stop training with ``self.trainer.stop_training = True``.

    A training that resumes calls ``on_train_begin`` first and then ``load_state_dict``: what ``on_train_begin`` sets
    back is loaded again. ``close`` is called last, however training ended.

    Examples
    --------
    >>> class Names(Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> CallbackList([Names()]).on_epoch_end(0, {"loss": 0.5})
    0 ['loss']

    References
    ----------
    ``keras.callbacks.Callback``.
    """

    # Class attributes, so that a subclass may leave out super().__init__().
    params: dict[str, Any] | None = None
    _model: Any = None
    _trainer: Trainer | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Take in how training runs: ``verbose``, ``epochs``, ``steps``."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Take in the model that is trained."""
        self._model = model

    def set_trainer(self, trainer: Trainer) -> None:
        """Take in who trains, and the model with it."""
        self._trainer = trainer
        self.set_model(trainer.model)

    @property
    def model(self) -> Any:
        """The model that is trained."""
        return self._model

    @property
    def trainer(self) -> Trainer:
        """The trainer; before one is set, a StateError."""
        if self._trainer is None:
            raise StateError(
                f"{type(self).__name__}: it has no trainer yet; pass it to fit(callbacks=[...]), or call "
                "set_trainer(trainer)"
            )
        return self._trainer

    # ------------------------------------------------------------------ training

    def on_train_begin(self, logs: Any = None) -> None:
        """Hear that training begins."""

    def on_train_end(self, logs: Any = None) -> None:
        """Hear that training ended; ``logs`` are those of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Hear that an epoch begins; the first is 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Hear that an epoch ended; ``logs`` holds its loss and metrics, validation's under ``val_`` names."""

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Hear that a training step begins; the epoch's first is 0."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Hear that a training step ended; ``logs`` holds the means over the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Do the same as ``on_train_batch_begin``, under its older name."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Do the same as ``on_train_batch_end``, under its older name."""

    # ------------------------------------------------------------------ evaluation and prediction

    def on_test_begin(self, logs: Any = None) -> None:
        """Hear that an evaluation begins, or the validation within training."""

    def on_test_end(self, logs: Any = None) -> None:
        """Hear that an evaluation ended; ``logs`` holds its results."""

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Hear that a step of an evaluation begins."""

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Hear that a step of an evaluation ended."""

    def on_predict_begin(self, logs: Any = None) -> None:
        """Hear that a prediction begins."""

    def on_predict_end(self, logs: Any = None) -> None:
        """Hear that a prediction ended."""

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Hear that a step of a prediction begins."""

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Hear that a step of a prediction ended."""

    # ------------------------------------------------------------------ resuming

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed training needs to go on exactly: a tree of numbers, strings and arrays."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up where ``state_dict`` left off; called after ``on_train_begin``."""

    def close(self) -> None:
        """Release files and the like; called when training ends in any way, an error or Ctrl-C included."""


#: The batch hooks, and the older names through which they may be overridden.
_BATCH_HOOKS = {
    "on_train_batch_begin": ("on_train_batch_begin", "on_batch_begin"),
    "on_train_batch_end": ("on_train_batch_end", "on_batch_end"),
    "on_test_batch_begin": ("on_test_batch_begin",),
    "on_test_batch_end": ("on_test_batch_end",),
    "on_predict_batch_begin": ("on_predict_batch_begin",),
    "on_predict_batch_end": ("on_predict_batch_end",),
}


def _overrides(callback: Callback, names: tuple[str, ...]) -> bool:
    """Whether a callback, or its class, has a hook of its own under one of some names."""
    return any(name in vars(callback) or getattr(type(callback), name) is not getattr(Callback, name) for name in names)


class CallbackList(Callback):
    """Several callbacks as one: each hook calls theirs, in order.

    The hooks of batches reach only those that override them: a step that nobody listens to costs nothing.

    Parameters
    ----------
    callbacks : iterable of Callback, or a Callback, optional
    trainer : Trainer, optional
        Handed on to each.
    **params : Any
        Handed on to each as ``params``.

    Raises
    ------
    DTypeError
        If one is no callback.

    Examples
    --------
    >>> callbacks = CallbackList([Callback(), Callback()], epochs=3)
    >>> len(callbacks), callbacks.callbacks[1].params
    (2, {'epochs': 3})
    >>> callbacks.listens("on_train_batch_end")
    False

    References
    ----------
    ``keras.callbacks.CallbackList``.
    """

    def __init__(
        self, callbacks: Iterable[Callback] | Callback | None = None, trainer: Trainer | None = None, **params: Any
    ) -> None:
        self.callbacks: list[Callback] = []
        self._listeners: dict[str, list[Callable[..., None]]] = {hook: [] for hook in _BATCH_HOOKS}
        self.params = params
        for callback in (callbacks,) if isinstance(callbacks, Callback) else callbacks or ():
            self.append(callback)
        if trainer is not None:
            self.set_trainer(trainer)

    def __len__(self) -> int:
        return len(self.callbacks)

    def append(self, callback: Callback) -> None:
        """Add a callback, which is called after those before it."""
        if not isinstance(callback, Callback):
            hint = f": write {callback.__name__}(...), with parentheses" if isinstance(callback, type) else ""
            raise DTypeError(f"callbacks: expected Callback objects, got {callback!r}{hint}")
        self.callbacks.append(callback)
        if self.params:
            callback.set_params(self.params)
        if self._trainer is not None:
            callback.set_trainer(self._trainer)
        for hook, names in _BATCH_HOOKS.items():
            if _overrides(callback, names):
                self._listeners[hook].append(getattr(callback, hook))

    def listens(self, hook: str) -> bool:
        """Whether anyone hears this hook of batches: if not, nobody need prepare its logs."""
        return bool(self._listeners[hook])

    def set_params(self, params: dict[str, Any]) -> None:
        """Hand on how training runs."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Hand on the model."""
        self._model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def set_trainer(self, trainer: Trainer) -> None:
        """Hand on the trainer, and the model with it."""
        self._trainer, self._model = trainer, trainer.model
        for callback in self.callbacks:
            callback.set_trainer(trainer)

    # ------------------------------------------------------------------ hooks of batches: only who listens

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Say that a training step begins."""
        for call in self._listeners["on_train_batch_begin"]:
            call(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Say that a training step ended."""
        for call in self._listeners["on_train_batch_end"]:
            call(batch, logs)

    def on_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Say that a training step begins."""
        self.on_train_batch_begin(batch, logs)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Say that a training step ended."""
        self.on_train_batch_end(batch, logs)

    def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Say that a step of an evaluation begins."""
        for call in self._listeners["on_test_batch_begin"]:
            call(batch, logs)

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Say that a step of an evaluation ended."""
        for call in self._listeners["on_test_batch_end"]:
            call(batch, logs)

    def on_predict_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Say that a step of a prediction begins."""
        for call in self._listeners["on_predict_batch_begin"]:
            call(batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        """Say that a step of a prediction ended."""
        for call in self._listeners["on_predict_batch_end"]:
            call(batch, logs)

    # ------------------------------------------------------------------ the others

    def on_train_begin(self, logs: Any = None) -> None:
        """Say that training begins."""
        for callback in self.callbacks:
            callback.on_train_begin(logs)

    def on_train_end(self, logs: Any = None) -> None:
        """Say that training ended."""
        for callback in self.callbacks:
            callback.on_train_end(logs)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Say that an epoch begins."""
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Say that an epoch ended; what a callback writes into ``logs`` the later ones see."""
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)

    def on_test_begin(self, logs: Any = None) -> None:
        """Say that an evaluation begins."""
        for callback in self.callbacks:
            callback.on_test_begin(logs)

    def on_test_end(self, logs: Any = None) -> None:
        """Say that an evaluation ended."""
        for callback in self.callbacks:
            callback.on_test_end(logs)

    def on_predict_begin(self, logs: Any = None) -> None:
        """Say that a prediction begins."""
        for callback in self.callbacks:
            callback.on_predict_begin(logs)

    def on_predict_end(self, logs: Any = None) -> None:
        """Say that a prediction ended."""
        for callback in self.callbacks:
            callback.on_predict_end(logs)

    # ------------------------------------------------------------------ resuming

    def state_dict(self) -> dict[str, Any]:
        """Return the callbacks' states by class and count: ``{"EarlyStopping:0": ...}``; who has none is left out."""
        states = ((key, callback.state_dict()) for key, callback in self._keyed())
        return {key: state for key, state in states if state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Give each callback its state back; who is new begins anew, and a state that nobody claims is warned of."""
        unclaimed = dict(state)
        for key, callback in self._keyed():
            if key in unclaimed:
                callback.load_state_dict(unclaimed.pop(key))
        if unclaimed:
            names = ", ".join(key.partition(":")[0] for key in unclaimed)
            warn(f"resuming: the interrupted training had callbacks that this one has not: {names}; they are left out")

    def _keyed(self) -> Iterable[tuple[str, Callback]]:
        seen: Counter[str] = Counter()
        for callback in self.callbacks:
            name = type(callback).__name__
            yield f"{name}:{seen[name]}", callback
            seen[name] += 1

    def close(self) -> None:
        """Have each release what it holds, whatever befalls another."""
        errors = []
        for callback in self.callbacks:
            try:
                callback.close()
            except Exception as error:
                errors.append(error)
        if errors:
            raise errors[0]
