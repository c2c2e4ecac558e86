"""The Trainer: the loop that makes a model better, batch by batch, epoch by epoch."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from minidl.autograd import no_grad
from minidl.backend import generator, to_numpy
from minidl.data.samplers import positive
from minidl.errors import ArgumentError, DataError, StateError, warn
from minidl.nn.module import Module
from minidl.nn.tree import place_of
from minidl.training.batches import Batch, Source, make_source, split
from minidl.training.callbacks import Callback, CallbackList, History, ProgressBar
from minidl.training.checkpoint import CheckpointManager, random_state, set_random_state
from minidl.training.interrupts import Interrupts
from minidl.training.meters import Logs
from minidl.training.steps import Steps, in_mode
from minidl.training.structure import joined, mapped

__all__ = ["Trainer"]


@dataclass
class _Fit:
    """What one call of ``fit`` works with."""

    source: Source
    validation: Source | None
    callbacks: CallbackList
    interrupts: Interrupts
    epochs: int
    steps: int | None
    validation_steps: int | None
    validation_freq: Any


@dataclass
class _Backup:
    """Where and when checkpoints are written."""

    manager: CheckpointManager
    every: int | None
    resume: bool
    written_at: int = 0  # the step


class Trainer(Steps):
    """Train, evaluate and apply a model.

    Parameters
    ----------
    model : Module
    loss : callable, optional
        ``loss(prediction, target)``: a module or a function. Or an object with ``weighted(prediction, target,
        sample_weight)``, which returns a tensor, or a dict of tensors of which ``"loss"`` is made small.
    optimizer : Optimizer, optional
        Anything with ``step``, ``zero_grad``, ``state_dict``, ``load_state_dict``.
    metrics : Metric, function, or list or dict of these, optional
        A function ``fn(prediction, target)`` gives a value for each sample.
    weighted_metrics : as ``metrics``, optional
        They count samples by their weights.
    scheduler : LRScheduler, optional
        Stepped after each epoch; ReduceLROnPlateau is told ``val_loss``, or ``loss`` without validation.
    schedule_every : {"epoch", "step"}
        When ``scheduler`` is stepped: after each epoch, or after each step of the optimizer.
    penalty : callable, optional
        Returns a scalar Tensor to add to the loss (what regularisers ask for), or None.
    forward : callable, optional
        ``forward(model, x)`` gives the prediction for the inputs of a batch. By default a tuple or list becomes the
        model's arguments, a dict its keyword arguments.
    clip_norm, clip_value : float, optional
        What the norm of all gradients together, or the size of each number in them, is cut to.
    accumulate : int
        Batches that make one step of the optimizer, with the gradient that they would have as one large batch (if
        the loss is a mean or a sum over samples; batch normalisation still sees each batch by itself).
    seed : int, optional
        Decides how samples are shuffled in each epoch; drawn from minidl's generator if left out.

    Attributes
    ----------
    history : History
        Of the last ``fit``.
    stop_training : bool
        Set by callbacks: training ends after the step, or the epoch, that is under way.
    epoch, batch, step : int
        Epochs that are done, batches that are done in the present one, and batches that are done in all.

    Raises
    ------
    DTypeError
        If the model is no Module, or another argument is none of the things named above.
    ArgumentError
        If a number is out of range, or two metrics have one name.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> minidl.manual_seed(0)
    >>> model = nn.Linear(1, 1)
    >>> trainer = Trainer(model, nn.MSELoss(), minidl.optim.SGD(model.parameters(), lr=0.1))
    >>> x = minidl.linspace(-1, 1, 64).reshape(64, 1)
    >>> history = trainer.fit(x, 2 * x + 1, epochs=30, verbose=0)
    >>> history.history["loss"][-1] < 0.01
    True
    >>> trainer.predict(minidl.tensor([[0.5]]), verbose=0).round(1)
    array([[2.]], dtype=float32)

    References
    ----------
    ``keras.Model.fit``; ``lightning.Trainer``.
    """

    def __init__(
        self,
        model: Module,
        loss: Any = None,
        optimizer: Any = None,
        metrics: Any = None,
        *,
        weighted_metrics: Any = None,
        scheduler: Any = None,
        schedule_every: str = "epoch",
        penalty: Callable[[], Any] | None = None,
        forward: Callable[[Any, Any], Any] | None = None,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        accumulate: int = 1,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            model,
            loss,
            optimizer,
            metrics,
            weighted_metrics,
            scheduler,
            schedule_every,
            penalty,
            forward,
            clip_norm,
            clip_value,
            accumulate,
        )
        self.seed = seed
        self.history = History()
        self.stop_training = False
        self.epoch = self.batch = 0
        self.params: dict[str, Any] = {}
        self._fit: _Fit | None = None
        self._backup: _Backup | None = None

    # ------------------------------------------------------------------ what users call

    def fit(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
        keep: int = 3,
        resume: bool = False,
    ) -> History:
        """Train the model.

        Ctrl-C ends training after the step that is under way (pressed twice: at once): ``fit`` writes a checkpoint if
        it writes any, says so, and returns the history so far, with ``history.interrupted`` set.

        Parameters
        ----------
        x, y : arrays or Tensors (N, ...), or lists, tuples or dicts of them
            Inputs and targets. Or ``x`` alone: a DataLoader, a Dataset, a function that returns an iterable (anew for
            each epoch), or an iterable of batches x, (x, y) or (x, y, sample_weight). An iterator that cannot start
            again goes on from epoch to epoch, and needs ``steps_per_epoch`` if there are several.
        batch_size : int, optional
            Samples in a batch of arrays or of a Dataset; 32 if left out.
        epochs : int
            The epoch to stop before, the first being 0.
        verbose : {"auto", 0, 1, 2}
            Silent, a bar, a line an epoch.
        callbacks : Callback or list of Callback, optional
        validation_split : float
            The share of the samples, the last ones, that the model is evaluated on after each epoch instead.
        validation_data : tuple (x, y) or (x, y, sample_weight), or a DataLoader, Dataset, iterable, optional
        shuffle : bool
            Whether arrays and Datasets are shuffled, in an order that the seed and the number of the epoch decide.
        class_weight : dict of int to float, optional
            How much samples of a class count in the loss; the targets are labels, or one-hot.
        sample_weight : array (N,), optional
            How much each sample counts in the loss.
        initial_epoch : int
            The epoch to begin with.
        steps_per_epoch, validation_steps : int, optional
            Batches in an epoch, and in an evaluation; all of them if left out.
        validation_batch_size : int, optional
            ``batch_size`` if left out.
        validation_freq : int, or collection of int
            How many epochs lie between evaluations; or after which epochs they are, the first being 1.
        checkpoint : path of a folder, optional
            Where to write checkpoints.
        checkpoint_every : int, optional
            Batches between two checkpoints; one an epoch if left out.
        keep : int
            How many checkpoints stay.
        resume : bool
            Whether to go on from the newest checkpoint, if there is one, to the same bits as a training that was not
            interrupted. Random numbers that the data needs must come from minidl's generators, or from one that a
            DataLoader, its samplers or its Dataset hold.

        Returns
        -------
        History
            ``.history``: a list of values, one an epoch, for the loss and each metric.

        Raises
        ------
        StateError
            If there is no optimizer or no loss, or a checkpoint does not fit.
        DataError, ShapeError, DTypeError
            If the data cannot be trained on.
        ArgumentError
            If an argument is out of range.
        """
        self._need("fit", optimizer=True)
        if self._fit is not None:
            raise StateError("fit: this trainer is training already; a callback that trains needs a Trainer of its own")
        for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0:
                raise ArgumentError(f"fit: {name} must be an integer, 0 or above, got {value!r}")
        for name, count in (("steps_per_epoch", steps_per_epoch), ("validation_steps", validation_steps)):
            if count is not None:
                positive(count, f"fit: {name}")
        if isinstance(validation_freq, (int, np.integer)):
            positive(validation_freq, "fit: validation_freq")
        self._backup = None
        if checkpoint is not None:
            self.back_up(checkpoint, checkpoint_every, keep, resume)
        elif resume:
            raise ArgumentError("fit: resume=True needs the folder of the checkpoints: checkpoint=")
        validation = None
        if validation_data is not None:
            parts = _parts(validation_data)
            validation = self._source("validation", *parts, validation_batch_size, batch_size)
        elif validation_split:
            (x, y, sample_weight), last = split(x, y, sample_weight, validation_split, "fit")
            validation = self._source("validation", *last, validation_batch_size, batch_size)
        seed = int(generator().integers(2**63)) if self.seed is None else int(self.seed)
        source = make_source(
            x,
            y,
            sample_weight,
            name="fit",
            batch_size=batch_size,
            shuffle=shuffle,
            seed=seed,
            class_weight=class_weight,
            device=place_of(self.model),
        )
        if validation is not None:
            validation.seed = seed + 1
        steps = source.steps if steps_per_epoch is None else int(steps_per_epoch)
        interrupts = Interrupts()
        self.history = History()
        self.params = {"verbose": verbose, "epochs": int(epochs), "steps": steps}
        listed = self._callbacks(callbacks, self.history)
        self._fit = _Fit(source, validation, listed, interrupts, int(epochs), steps, validation_steps, validation_freq)
        self.epoch, self.batch, self._pending = int(initial_epoch), 0, 0
        self.stop_training = False
        try:
            with in_mode(self.tree, training=True), interrupts, closing(listed):
                self._run(self._fit)
            if self.history.interrupted:
                self._tell_interrupted()
        finally:
            self._fit = self._backup = self._parameters = None
            self._pending = 0
            self.guarded = False
        return self.history

    def evaluate(
        self,
        x: Any,
        y: Any = None,
        *,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
    ) -> dict[str, Any]:
        """Return the loss and the metrics of the model on data, without changing it.

        Parameters
        ----------
        x, y, batch_size, sample_weight, callbacks, verbose : as for :meth:`fit`
        steps : int, optional
            Batches to take; all of them if left out.

        Returns
        -------
        dict of str to float
            Exact over all samples, whatever the batches.

        Raises
        ------
        StateError
            If there is no loss.
        """
        self._need("evaluate")
        source = self._source("evaluate", x, y, sample_weight, batch_size)
        steps = source.steps if steps is None else positive(steps, "evaluate: steps")
        listed = self._callbacks(callbacks, None, verbose=verbose, epochs=1, steps=steps)
        before = None if self._fit is None else self.meters.state_dict()  # a callback may ask in mid-epoch
        with closing(listed):
            results = self._test(source, steps, listed)
        if before is not None:
            self.meters.load_state_dict(before)
        return results

    def predict(
        self,
        x: Any,
        *,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
    ) -> Any:
        """Return the model's predictions for all samples.

        Parameters
        ----------
        x, batch_size, callbacks, verbose : as for :meth:`fit`
            Targets that a loader yields are not looked at.
        steps : int, optional
            Batches to take; all of them if left out.

        Returns
        -------
        numpy.ndarray (N, ...), or a list, tuple or dict of them
            As the model returns its predictions.
        """
        source = self._source("predict", x, None, None, batch_size)
        steps = source.steps if steps is None else positive(steps, "predict: steps")
        listed = self._callbacks(callbacks, None, verbose=verbose, epochs=1, steps=steps)
        found = []
        with in_mode(self.tree, training=False), closing(listed), no_grad():
            listed.on_predict_begin()
            for number, batch in _limited(source, steps, "predict"):
                listed.on_predict_batch_begin(number)
                found.append(mapped(lambda y: to_numpy(y.array), self._apply(batch.x)))
                listed.on_predict_batch_end(number, {"outputs": found[-1]})
            listed.on_predict_end()
        return joined(found)

    # ------------------------------------------------------------------ epochs

    def _run(self, fit: _Fit) -> None:
        callbacks = fit.callbacks
        callbacks.on_train_begin()
        self._resume(fit)
        logs: dict[str, Any] | None = None
        while self.epoch < fit.epochs and not self.stop_training and not fit.interrupts.asked:
            found = self._train_epoch(fit)
            logs = logs if found is None else found
        self.history.interrupted = fit.interrupts.asked and self.epoch < fit.epochs and not self.stop_training
        if self.history.interrupted or (self._backup is not None and self._backup.every is not None):
            self._save()
        finalize = getattr(self.optimizer, "finalize_variable_values", None)
        if finalize is not None and not self.history.interrupted:
            finalize()  # an optimizer that averages the parameters: the averages take their place
        callbacks.on_train_end(logs)

    def _train_epoch(self, fit: _Fit) -> dict[str, Any] | None:
        """Train for an epoch, or what is left of it; return its logs, or None if it was broken off."""
        if not self.batch:
            self.meters.reset()
            fit.callbacks.on_epoch_begin(self.epoch)
        if not self._train_batches(fit):
            return None
        logs = self.meters.compute()
        if self._validates(fit):
            before = self.meters.state_dict()
            results = self._test(fit.validation, fit.validation_steps, fit.callbacks, fit.interrupts)
            if fit.interrupts.asked:  # resumed, this epoch's end comes again
                self.meters.load_state_dict(before)
                return None
            logs.update((f"val_{name}", value) for name, value in results.items())
        if self.scheduler is not None and self.schedule_every == "epoch":
            self._schedule(logs.get("val_loss", logs["loss"]))
        fit.callbacks.on_epoch_end(self.epoch, logs)
        self.epoch, self.batch = self.epoch + 1, 0
        if self._backup is not None and self._backup.every is None:
            self._save()
        return logs

    def _train_batches(self, fit: _Fit) -> bool:
        """Train on the batches of an epoch; return whether it came to its end."""
        callbacks, interrupts, backup = fit.callbacks, fit.interrupts, self._backup
        begins, ends = (callbacks.listens(hook) for hook in ("on_train_batch_begin", "on_train_batch_end"))
        logs = Logs(self.meters)
        every = backup.every if backup is not None else None
        with closing(fit.source.epoch(self.epoch, self.batch)) as batches:  # type: ignore[type-var]
            while fit.steps is None or self.batch < fit.steps:
                try:
                    batch = next(batches, None)
                except Exception as error:
                    error.add_note(f"raised while batch {self.batch + 1} of epoch {self.epoch + 1} was loaded")
                    if not self._pending:
                        self._save()  # what was trained is whole
                    raise
                if batch is None:
                    if not self._ran_out(fit):
                        return False
                    break
                if begins:
                    callbacks.on_train_batch_begin(self.batch)
                try:
                    self.train_step(batch)
                except Exception as error:
                    error.add_note(f"raised in training on batch {self.batch + 1} of epoch {self.epoch + 1}")
                    raise
                self.batch += 1
                self.step += 1
                if ends:
                    callbacks.on_train_batch_end(self.batch - 1, logs)
                if self.stop_training:
                    break
                if not self._pending:
                    if interrupts.asked:
                        return False
                    if every is not None and self.step - backup.written_at >= every:  # type: ignore[union-attr]
                        self._save()
        if self._pending:
            self._update()
        return True

    def _ran_out(self, fit: _Fit) -> bool:
        """Say what is wrong if an epoch ended early; return whether there is anything to end it with."""
        what = "the generator" if fit.source.once else "the data"
        if not self.batch and not self.epoch:
            raise DataError(f"fit: {what} gave no batches: there is nothing to train on")
        if fit.source.once:
            self.stop_training = True
            if self.batch and fit.steps is None and self.epoch + 1 == fit.epochs:
                return True  # all there is, once
            wanted = "" if fit.steps is None else f" ({fit.steps} were expected)"
            warn(
                f"fit: the generator ended after {self.batch} batches{wanted} of epoch {self.epoch + 1} of "
                f"{fit.epochs}, and training with it; what was trained is kept. An iterator yields its batches only "
                "once: pass a DataLoader, or a function that returns the generator, or a smaller steps_per_epoch"
            )
        elif fit.steps is not None:
            warn(
                f"fit: the data ended after {self.batch} batches of an epoch, {fit.steps} were expected; the epoch "
                "ends there. Lower steps_per_epoch"
            )
        return self.batch > 0

    def _validates(self, fit: _Fit) -> bool:
        if fit.validation is None:
            return False
        done, often = self.epoch + 1, fit.validation_freq
        return done % often == 0 if isinstance(often, (int, np.integer)) else done in often

    def _test(
        self, source: Source | None, steps: int | None, callbacks: CallbackList, interrupts: Interrupts | None = None
    ) -> dict[str, Any]:
        """Measure the model on a source's batches."""
        logs = Logs(self.meters)
        self.meters.reset()
        with in_mode(self.tree, training=False), no_grad():
            callbacks.on_test_begin()
            name = "evaluate" if interrupts is None else "validation"
            for number, batch in _limited(source, steps, name, self.epoch):
                callbacks.on_test_batch_begin(number)
                self.test_step(batch)
                callbacks.on_test_batch_end(number, logs)
                if interrupts is not None and interrupts.asked:
                    return {}
            results = self.meters.compute()
            callbacks.on_test_end(results)
        return results

    # ------------------------------------------------------------------ checkpoints

    def back_up(
        self, directory: str | os.PathLike[str], every: int | None = None, keep: int = 3, resume: bool = False
    ) -> CheckpointManager:
        """Write checkpoints during the training that begins: what ``fit(checkpoint=...)`` and BackupAndRestore do.

        Parameters
        ----------
        directory : path
        every : int, optional
            Batches between two; one an epoch if left out.
        keep : int
        resume : bool
            Whether to go on from the newest first.

        Returns
        -------
        CheckpointManager
        """
        manager = CheckpointManager(directory, keep)
        if every is not None:
            positive(every, "fit: checkpoint_every")
        self._backup = _Backup(manager, every, resume, self.step)
        return manager

    def state_dict(self) -> dict[str, Any]:
        """Return all that training needs to go on to the same bits: a tree of arrays, numbers and strings."""
        fit, optimizer = self._fit, self.optimizer
        started = self.batch > 0
        state = {
            "version": 1,
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "stopped": self.stop_training,
            "model": self.model.state_dict(),
            "optimizer": None if optimizer is None else optimizer.state_dict(),
            "steps_taken": getattr(optimizer, "steps_taken", None),
            "scheduler": None if self.scheduler is None else self.scheduler.state_dict(),
            "random": random_state(self.model),
            "metrics": self.meters.state_dict() if started else None,
        }
        if fit is not None:
            state["source"] = fit.source.state_dict(started)
            state["validation"] = None if fit.validation is None else fit.validation.state_dict(False)
            state["callbacks"] = fit.callbacks.state_dict()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from where :meth:`state_dict` was called.

        Raises
        ------
        StateError
            If model, optimizer or data are others.
        """
        if not isinstance(state, Mapping) or state.get("version") != 1:
            raise StateError("Trainer: this is no state of a Trainer, or one of another version of minidl")
        fit, started = self._fit, state["batch"] > 0
        self.model.load_state_dict(state["model"])
        for what, held in (("optimizer", self.optimizer), ("scheduler", self.scheduler)):
            if (held is None) != (state[what] is None):
                raise StateError(f"resume: only one of checkpoint and trainer has a {what}; give the trainer the same")
            if held is not None:
                held.load_state_dict(state[what])
        if state["steps_taken"] is not None and hasattr(self.optimizer, "steps_taken"):
            self.optimizer.steps_taken = state["steps_taken"]
        if started:
            self.meters.load_state_dict(state["metrics"])
        self.epoch, self.batch, self.step = (state[key] for key in ("epoch", "batch", "step"))
        self.stop_training = state["stopped"]
        if fit is not None and "source" in state:
            fit.source.load_state_dict(state["source"], started)
            if fit.validation is not None and state["validation"] is not None:
                fit.validation.load_state_dict(state["validation"], False)
            fit.callbacks.load_state_dict(state["callbacks"])
        set_random_state(self.model, state["random"])

    def _resume(self, fit: _Fit) -> None:
        backup = self._backup
        state = backup.manager.load() if backup is not None and backup.resume else None
        if state is None:
            return
        if state["batch"]:  # callbacks hear that the epoch begins, then are put back to where they stood
            fit.callbacks.on_epoch_begin(state["epoch"])
        self.load_state_dict(state)
        backup.written_at = self.step  # type: ignore[union-attr]

    def _save(self) -> None:
        """Write a checkpoint; a disk that is full is told, and training goes on."""
        backup = self._backup
        if backup is None:
            return
        backup.written_at = self.step
        try:
            backup.manager.save(self.state_dict())
        except OSError as error:
            warn(f"fit: a checkpoint could not be written, training goes on: {error}")

    # ------------------------------------------------------------------ helpers

    def _source(
        self, name: str, x: Any, y: Any, weight: Any, batch_size: int | None, default: int | None = None
    ) -> Source:
        return make_source(
            x, y, weight, name=name, batch_size=batch_size, default_size=default or 32, device=place_of(self.model)
        )

    def _callbacks(self, given: Any, history: History | None, **params: Any) -> CallbackList:
        """Return the user's callbacks, with the progress bar and the history behind them."""
        params = params or self.params
        if isinstance(given, CallbackList):
            given = given.callbacks
        listed: list[Any] = [given] if isinstance(given, Callback) or not isinstance(given, Iterable) else list(given)
        listed = [] if given is None else listed
        if params["verbose"] and not any(isinstance(callback, ProgressBar) for callback in listed):
            listed.append(ProgressBar())
        return CallbackList(listed if history is None else [*listed, history], self, **params)

    def _tell_interrupted(self) -> None:
        kept = "" if self._backup is None else f"; fit(..., resume=True) goes on from {self._backup.manager.directory}"
        tqdm.write(
            f"interrupted after {self.batch} batches of epoch {self.epoch + 1}: the model is as the last step left it"
            f"{kept}",
            file=sys.stderr,
        )


def _parts(data: Any) -> tuple[Any, Any, Any]:
    """Return validation data as (x, y, weight), the latter None if they are not given apart."""
    if not isinstance(data, (tuple, list)):
        return data, None, None
    if not 1 <= len(data) <= 3:
        raise ArgumentError(f"fit: validation_data must be (x, y) or (x, y, sample_weight), got {len(data)} entries")
    return (*data, None, None)[:3]


def _limited(source: Any, steps: int | None, name: str, epoch: int = 0) -> Iterator[tuple[int, Batch]]:
    """Yield (number, batch) of a source, ``steps`` of them at most."""
    number = 0
    with closing(source.epoch(epoch)) as batches:
        while steps is None or number < steps:
            batch = next(batches, None)
            if batch is None:
                break
            yield number, batch
            number += 1
    if not number:
        hint = "; an iterator yields its batches only once: pass a function that returns it" if source.once else ""
        raise DataError(f"{name}: the data gave no batches{hint}")
    if steps is not None and number < steps:
        warn(f"{name}: the data ended after {number} batches, {steps} were expected")
