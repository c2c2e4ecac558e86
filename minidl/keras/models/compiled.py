"""What a compiled model can do: fit, evaluate, predict. All of it is done by :class:`minidl.training.Trainer`."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minidl.autograd import Variable, no_grad
from minidl.backend import is_array
from minidl.errors import StateError
from minidl.keras import optimizers
from minidl.keras.layer import Layer
from minidl.keras.models.goals import Goal, Measures
from minidl.keras.names import refuse_unknown
from minidl.keras.serialization import deserialize_keras_object, serialize_keras_object
from minidl.training import History, Trainer
from minidl.training.batches import is_data, unpack
from minidl.training.structure import mapped

__all__ = ["Compiled"]

CHECKPOINTING = ("checkpoint", "checkpoint_every", "keep", "resume")  # what fit takes besides Keras's arguments


class Compiled(Layer):
    """The part of a model that trains it and makes predictions."""

    # ------------------------------------------------------------------ compile

    def _init_compiled(self) -> None:
        self.optimizer: Any = None
        self.history: History | None = None
        self._compiled: dict[str, Any] | None = None  # what compile was called with
        self._goal: Goal | None = None
        self._measures: Measures | None = None
        self._trainer: Trainer | None = None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
        **unknown: Any,
    ) -> None:
        """Say how the model is to be trained.

        Parameters
        ----------
        optimizer : str or keras.optimizers.Optimizer
        loss : str, keras.losses.Loss or callable ``(y_true, y_pred)``; a list or dict of them for several outputs
        loss_weights : list or dict of float, optional
            How much the loss of each output counts.
        metrics, weighted_metrics : list of str, keras.metrics.Metric or callable; a list or dict of lists, optional
            What is reported besides the loss; those under ``weighted_metrics`` heed sample weights.
        run_eagerly, steps_per_execution, jit_compile, auto_scale_loss
            Taken for Keras's sake; minidl always computes at once.

        Raises
        ------
        ArgumentError
            If an argument or a name is unknown; the message has the similar ones.
        """
        refuse_unknown("compile", unknown, Compiled.compile)
        optimizer = optimizers.get(optimizer)
        goal = None if loss is None else Goal(self, loss, loss_weights)
        self._measures = Measures(self, metrics, weighted_metrics)
        self._goal = goal
        self.optimizer = optimizer
        self._trainer = None
        self._compiled = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": run_eagerly,
            "steps_per_execution": steps_per_execution,
            "jit_compile": False,
        }

    @property
    def compiled(self) -> bool:
        """Whether ``compile`` was called."""
        return self._compiled is not None

    @property
    def loss(self) -> Any:
        """What ``compile`` was given as the loss."""
        return None if self._compiled is None else self._compiled["loss"]

    @property
    def metrics(self) -> list[Any]:
        """The metrics, those of ``weighted_metrics`` last."""
        return [] if self._measures is None else self._measures.all

    @property
    def metrics_names(self) -> list[str]:
        """What ``evaluate`` returns: the names of its numbers."""
        return ["loss", *(metric.name for metric in self.metrics)]

    def get_compile_config(self) -> dict[str, Any] | None:
        """Return what ``compile`` was called with, as JSON can hold it; None before."""
        return None if self._compiled is None else serialize_keras_object(self._compiled)

    def compile_from_config(self, config: Mapping[str, Any]) -> None:
        """Compile with what ``get_compile_config`` returned."""
        self.compile(**{key: deserialize_keras_object(value) for key, value in config.items()})
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def stop_training(self) -> bool:
        """Whether training is to stop after this epoch; callbacks set it."""
        return self._trainer is not None and self._trainer.stop_training

    @stop_training.setter
    def stop_training(self, value: bool) -> None:
        self._engine("stop_training").stop_training = value

    # ------------------------------------------------------------------ fit, evaluate, predict

    def fit(
        self,
        x: Any = None,
        y: Any = None,
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
        validation_freq: int = 1,
        **checkpointing: Any,
    ) -> History:
        """Train the model.

        Parameters
        ----------
        x : array, or list or dict of arrays (N, ...); or a DataLoader, Dataset or generator of ``(x, y[, weight])``
        y : array, or list or dict of arrays (N, ...)
        batch_size : int
            32 if left out.
        epochs : int
            The number of the last epoch.
        verbose : {"auto", 0, 1, 2}
            Silent, a progress bar, or a line an epoch.
        callbacks : list of keras.callbacks.Callback, optional
        validation_split : float
            Keep this share of the samples, the last ones, for validation.
        validation_data : (x, y), (x, y, weight) or a loader, optional
        shuffle : bool
            Whether arrays are shuffled before each epoch.
        class_weight : dict of int to float, optional
        sample_weight : array (N,), optional
        initial_epoch : int
        steps_per_epoch, validation_steps, validation_batch_size : int, optional
        validation_freq : int
            Validate every so many epochs.
        **checkpointing
            ``checkpoint=`` (a folder), ``checkpoint_every=``, ``keep=`` and ``resume=`` of
            :meth:`minidl.training.Trainer.fit`.

        Returns
        -------
        History
            ``.history`` has a list of numbers, one an epoch, for each of loss and metrics.
        """
        own = {key: value for key, value in checkpointing.items() if key not in CHECKPOINTING}
        refuse_unknown("fit", own, Compiled.fit, Trainer.fit)
        trainer = self._engine("fit", needs_loss=True)
        x = self._see(x)
        self.optimizer.build(self.trainable_variables)
        self.history = trainer.fit(
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            steps_per_epoch=steps_per_epoch,
            validation_steps=validation_steps,
            validation_batch_size=validation_batch_size,
            validation_freq=validation_freq,
            **checkpointing,
        )
        return self.history

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
        **unknown: Any,
    ) -> Any:
        """Return the loss and the metrics for data.

        Parameters
        ----------
        x, y, batch_size, verbose, sample_weight, callbacks
            As for :meth:`fit`.
        steps : int, optional
            How many batches to take of a generator.
        return_dict : bool

        Returns
        -------
        float, list of float or dict
            The loss; with metrics a list, the loss first; with ``return_dict`` a dict of names to numbers.
        """
        refuse_unknown("evaluate", unknown, Compiled.evaluate)
        trainer = self._engine("evaluate", needs_loss=True)
        logs = trainer.evaluate(
            self._see(x),
            y,
            batch_size=batch_size,
            verbose=verbose,
            sample_weight=sample_weight,
            steps=steps,
            callbacks=callbacks,
        )
        return _returned(logs, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        **unknown: Any,
    ) -> Any:
        """Return the outputs for data, computed batch by batch, as NumPy arrays.

        Parameters
        ----------
        x, batch_size, verbose, steps, callbacks
            As for :meth:`evaluate`.

        Returns
        -------
        array, or list or dict of arrays (N, ...)
        """
        refuse_unknown("predict", unknown, Compiled.predict)
        trainer = self._engine("predict")
        return trainer.predict(self._see(x), batch_size=batch_size, verbose=verbose, steps=steps, callbacks=callbacks)

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        return_dict: bool = False,
    ) -> Any:
        """Take one step of training; return loss and metrics of the batch as :meth:`evaluate` does."""
        trainer = self._engine("train_on_batch", needs_loss=True)
        self._see(x)
        return _returned(trainer.train_on_batch(x, y, sample_weight, class_weight), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Return loss and metrics of one batch as :meth:`evaluate` does."""
        trainer = self._engine("test_on_batch", needs_loss=True)
        return _returned(trainer.test_on_batch(self._see(x), y, sample_weight), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """Return the outputs for one batch, as NumPy arrays."""
        return self._engine("predict_on_batch").predict_on_batch(self._see(x))

    def reset_metrics(self) -> None:
        """Forget what the loss and the metrics have seen."""
        if self._trainer is not None:
            self._trainer.reset_metrics()

    # ------------------------------------------------------------------ underneath

    def _engine(self, what: str, needs_loss: bool = False) -> Trainer:
        """Return the trainer that does the work."""
        if needs_loss and (self._compiled is None or self._goal is None):
            raise StateError(
                f"{what}: the model has no loss yet; call compile(optimizer='adam', loss='mse') first, with the "
                "optimizer and the loss you want"
            )
        if self._trainer is None:
            measures = self._measures
            self._trainer = _Trainer(
                self,
                self._goal,
                self.optimizer,
                None if measures is None else measures.plain,
                weighted_metrics=None if measures is None else measures.weighted,
                penalty=self._penalty,
                forward=_forward,
            )
        return self._trainer

    def _penalty(self) -> Any:
        """Return what regularisers, and layers in the last call, add to the loss, or None."""
        losses = self.losses if self._regularized else self._call_losses
        return sum(losses[1:], losses[0]) if losses else None

    @property
    def _regularized(self) -> bool:
        """Whether a weight has a regulariser."""
        found = self.__dict__.get("_has_regularizers")
        if found is None or not self.built:
            found = self.__dict__["_has_regularizers"] = any(x.regularizer is not None for x in self.variables)
        return found

    def _see(self, x: Any) -> Any:
        """Make the weights, if they are not made yet, for the first of the data; return the data, all of it."""
        if self.built:
            return x
        if is_data(x):
            first = mapped(
                lambda part: (part if isinstance(part, Variable) or is_array(part) else np.asarray(part))[:1], x
            )
        elif isinstance(x, Iterator):
            batch = next(x, None)
            if batch is None:
                return x
            first, x = unpack(batch, "fit")[0], itertools.chain([batch], x)
        elif callable(x) and not hasattr(x, "__iter__"):
            first = unpack(next(iter(x())), "fit")[0]
        else:
            first = unpack(next(iter(x)), "fit")[0]
        if not is_data(x) or np.shape(first) != (0,):
            with no_grad():
                self(first, training=False)
        return x


class _Trainer(Trainer):
    """A trainer whose optimizer learns before a single step what it is to train, if it does not know it yet."""

    def begin_step(self) -> None:
        optimizer = self.optimizer
        if not optimizer.built or not optimizer.knows(x for x in self.tree.parameters() if x._requires_grad):
            optimizer.build(self.model.trainable_variables)


def _forward(model: Layer, x: Any) -> Any:
    return model(x)


def _returned(logs: Mapping[str, float], as_dict: bool) -> Any:
    """Return loss and metrics in the form that Keras has."""
    if as_dict:
        return dict(logs)
    values: Sequence[float] = [logs["loss"], *(value for name, value in logs.items() if name != "loss")]
    return values[0] if len(values) == 1 else list(values)
