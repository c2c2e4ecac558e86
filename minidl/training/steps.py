"""Steps: what one batch goes through, in training, in evaluation, in prediction."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from minidl.autograd import Variable, no_grad
from minidl.backend import to_numpy
from minidl.data.samplers import positive
from minidl.errors import ArgumentError, DataError, DTypeError, GradError, StateError, warn
from minidl.nn.module import Module
from minidl.nn.tree import Tree, place_of
from minidl.nn.utils import clip_grad_norm_, clip_grad_value_
from minidl.training.batches import Batch, single
from minidl.training.meters import Meters
from minidl.training.structure import leaves, mapped
from minidl.training.weights import Loss


class Steps:
    """The part of a :class:`minidl.training.Trainer` that sees one batch; its arguments are explained there."""

    def __init__(
        self,
        model: Module,
        loss: Any,
        optimizer: Any,
        metrics: Any,
        weighted_metrics: Any,
        scheduler: Any,
        schedule_every: str,
        penalty: Callable[[], Any] | None,
        forward: Callable[[Any, Any], Any] | None,
        clip_norm: float | None,
        clip_value: float | None,
        accumulate: int,
    ) -> None:
        if not isinstance(model, Module):
            raise DTypeError(f"Trainer: model must be a minidl.nn.Module, got a {type(model).__name__}")
        if optimizer is not None and not all(hasattr(optimizer, name) for name in ("step", "zero_grad")):
            raise DTypeError(f"Trainer: optimizer must have step() and zero_grad(), got {optimizer!r}")
        if schedule_every not in ("epoch", "step"):
            raise ArgumentError(f"Trainer: schedule_every must be 'epoch' or 'step', got {schedule_every!r}")
        for name, bound in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if bound is not None and not bound > 0:
                raise ArgumentError(f"Trainer: {name} must be positive, got {bound!r}")
        self.model = model
        self.tree = Tree(model)
        self.loss = loss if loss is None or isinstance(loss, Loss) else Loss(loss)
        self.optimizer = optimizer
        self.meters = Meters(metrics, weighted_metrics)
        self.scheduler = scheduler
        self.schedule_every = schedule_every
        self.penalty = penalty
        self.forward = forward or call
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.accumulate = positive(accumulate, "Trainer: accumulate")
        self.guarded = False  # whether a step is left out whose loss is not finite; it costs a look at each loss
        self.step = 0
        self._pending = 0  # batches whose gradients wait for the optimizer
        self._shares = 0.0  # how much they count together, the first of them counting 1
        self._first_size = 1
        self._parameters: list[Any] | None = None

    # ------------------------------------------------------------------ what users call

    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Mapping[int, float] | None = None,
        reset: bool = True,
    ) -> dict[str, Any]:
        """Take one step on one batch, and return its loss and metrics.

        Parameters
        ----------
        x, y, sample_weight, class_weight : as for :meth:`fit`
        reset : bool
            Whether the values are those of this batch alone; False goes on from the batches before, as Keras 2 did.

        Returns
        -------
        dict of str to float
        """
        self._need("train_on_batch", optimizer=True)
        batch = self._single("train_on_batch", x, y, sample_weight, class_weight)
        if reset:
            self.meters.reset()
        with in_mode(self.tree, training=True):
            self.begin_step()
            self.train_step(batch)
            if self._pending:  # there is no batch after it to wait for
                self._update()
        self.step += 1
        return self.meters.compute()

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, reset: bool = True) -> dict[str, Any]:
        """Return the loss and the metrics of one batch.

        Parameters
        ----------
        x, y, sample_weight, reset : as for :meth:`train_on_batch`

        Returns
        -------
        dict of str to float
        """
        self._need("test_on_batch")
        batch = self._single("test_on_batch", x, y, sample_weight)
        if reset:
            self.meters.reset()
        with in_mode(self.tree, training=False), no_grad():
            self.test_step(batch)
        return self.meters.compute()

    def predict_on_batch(self, x: Any) -> Any:
        """Return the predictions for one batch, as NumPy arrays."""
        batch = self._single("predict_on_batch", x, None, None)
        with in_mode(self.tree, training=False), no_grad():
            return mapped(lambda y: to_numpy(y.array), self._apply(batch.x))

    def reset_metrics(self) -> None:
        """Forget what loss and metrics were measured on batches so far."""
        self.meters.reset()

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate; setting it sets that of all parameter groups."""
        if self.optimizer is None:
            raise StateError("learning_rate: the trainer has no optimizer")
        if hasattr(self.optimizer, "learning_rate"):
            return float(self.optimizer.learning_rate)
        return float(self.optimizer.param_groups[0]["lr"])

    @learning_rate.setter
    def learning_rate(self, value: float) -> None:
        if self.optimizer is None:
            raise StateError("learning_rate: the trainer has no optimizer")
        if hasattr(self.optimizer, "learning_rate"):
            self.optimizer.learning_rate = value
            return
        for group in self.optimizer.param_groups:
            group["lr"] = float(value)

    # ------------------------------------------------------------------ what the loop calls

    def begin_step(self) -> None:
        """Prepare the step of :meth:`train_on_batch`; for subclasses."""

    def train_step(self, batch: Batch) -> None:
        """Take in one batch: gradients, the optimizer's step, metrics. Subclasses may do it in another way."""
        if not self._pending:
            self.optimizer.zero_grad()
        before = self._not_trained() if self.guarded else []
        prediction = self._apply(batch.x)
        losses = self._losses(prediction, batch)
        if self.guarded and not math.isfinite(losses["loss"].item()):
            for array, values in before:
                array[...] = values
        else:
            self._backward(losses["loss"], batch.size)
        if self._pending == self.accumulate:
            self._update()
        self.meters.update(losses, prediction, batch.y, batch.weight, batch.size)

    def test_step(self, batch: Batch) -> None:
        """Measure loss and metrics of one batch."""
        prediction = self._apply(batch.x)
        self.meters.update(self._losses(prediction, batch), prediction, batch.y, batch.weight, batch.size)

    def _apply(self, x: Any) -> Any:
        """Return the model's prediction."""
        prediction = self.forward(self.model, x)
        if not isinstance(prediction, Variable):
            found = list(leaves(prediction))
            if not found or not all(isinstance(x, Variable) for _, x in found):
                raise DTypeError(
                    f"{type(self.model).__name__}: a model must return a tensor, or a list, tuple or dict of them, got "
                    f"a {type(prediction).__name__}; return what its last layer gives, without .numpy() or .item()"
                )
        return prediction

    def _losses(self, prediction: Any, batch: Batch) -> dict[str, Any]:
        if batch.y is None and self.loss.weighted is None:  # type: ignore[union-attr]
            raise DataError("the data has no targets to compute the loss with; pass y, or let the loader yield (x, y)")
        value = self.loss(prediction, batch.y, batch.weight)  # type: ignore[misc]
        losses = dict(value) if isinstance(value, dict) else {"loss": value}
        extra = None if self.penalty is None else self.penalty()
        if extra is not None:
            losses["loss"] = losses["loss"] + extra
        return losses

    def _not_trained(self) -> list[tuple[Any, Any]]:
        """Return the arrays, with copies of them, that change while the model computes: moving averages."""
        tensors = [*self.model.buffers(), *(p for p in self.model.parameters() if not p.requires_grad)]
        return [(x.array, x.array.copy()) for x in tensors]

    def _backward(self, loss: Any, size: int) -> None:
        """Add the gradient of a batch to those before it, each counting by its number of samples."""
        if not loss.requires_grad:
            if any(p.requires_grad for p in self.model.parameters()):
                raise GradError(
                    "the loss does not depend on the model's parameters; compute it from the prediction with minidl's "
                    "functions (NumPy's are not differentiated), and without detach() or no_grad()"
                )
            warn("the model has nothing to train: all of its parameters are frozen")
            return
        if self.accumulate > 1 and self.loss.reduction != "sum":  # type: ignore[union-attr]
            if not self._pending:
                self._first_size, self._shares = size, 0.0
            share = size / self._first_size
            self._shares += share
            loss = loss if share == 1 else loss * share
        loss.backward()
        self._pending += 1

    def _update(self) -> None:
        """Let the optimizer take its step."""
        self._pending = 0
        if self.accumulate > 1 or self.clip_norm is not None or self.clip_value is not None:
            if self._parameters is None:
                self._parameters = self._trained()
            if self.accumulate > 1 and self.loss.reduction != "sum":  # type: ignore[union-attr]
                for p in self._parameters:
                    if p.grad is not None:
                        p.grad.array[...] /= self._shares
                        p.grad.bump()
            if self.clip_norm is not None:
                clip_grad_norm_(self._parameters, self.clip_norm)
            if self.clip_value is not None:
                clip_grad_value_(self._parameters, self.clip_value)
        self.optimizer.step()
        if self.scheduler is not None and self.schedule_every == "step":
            self._schedule(None)

    def _trained(self) -> list[Any]:
        groups = getattr(self.optimizer, "param_groups", None)
        return [p for group in groups for p in group["params"]] if groups else list(self.model.parameters())

    def _schedule(self, value: Any) -> None:
        if getattr(self.scheduler, "needs_metric", False):
            self.scheduler.step(value)
        else:
            self.scheduler.step()

    # ------------------------------------------------------------------ helpers

    def _need(self, name: str, optimizer: bool = False) -> None:
        missing = [] if self.loss is not None else ["loss"]
        missing += ["optimizer"] if optimizer and self.optimizer is None else []
        if missing:
            raise StateError(
                f"{name}: the trainer has no {' and no '.join(missing)}; write Trainer(model, loss"
                + (", optimizer)" if optimizer else ")")
            )

    def _single(self, name: str, x: Any, y: Any, weight: Any, class_weight: Any = None) -> Batch:
        """Return arrays as one batch."""
        return single(x, y, weight, name=name, class_weight=class_weight, device=place_of(self.model))


def call(model: Any, x: Any) -> Any:
    """Call a model on the inputs of a batch."""
    if isinstance(x, (tuple, list)):
        return model(*x)
    return model(**x) if isinstance(x, Mapping) else model(x)


class in_mode:  # noqa: N801  (it reads as a statement)
    """Put a model into training or evaluation for a block, and each module back into the mode it was in after it."""

    def __init__(self, tree: Tree, training: bool) -> None:
        self.tree = tree
        self.training = training

    def __enter__(self) -> None:
        self.before = self.tree.train(self.training)

    def __exit__(self, *_: object) -> None:
        for module, training in self.before:
            module.__dict__["training"] = training
