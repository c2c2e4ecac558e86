"""The training loop, beside loops written by hand and figures worked out by hand."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn, optim
from minidl.data import DataLoader, TensorDataset
from minidl.errors import ArgumentError, DataError, DTypeError, NumericalWarning, RangeError, ShapeError, StateError
from minidl.nn import functional as F
from minidl.training import Trainer
from minidl.training.callbacks import Callback, EarlyStopping, LambdaCallback
from minidl.training.metrics import Accuracy, Mean, Metric, SparseCategoricalAccuracy

N, D, C = 50, 4, 3


@pytest.fixture
def x(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(N, D)).astype(np.float32)


@pytest.fixture
def y(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, C, N)


def network(seed: int = 0, dropout: float = 0.4) -> nn.Sequential:
    minidl.manual_seed(seed)
    return nn.Sequential(nn.Linear(D, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, C))


def classifier(model: nn.Module, metrics: Any = None, **kwargs: Any) -> Trainer:
    return Trainer(model, nn.CrossEntropyLoss(), optim.Adam(model.parameters(), lr=0.01), metrics, seed=7, **kwargs)


def linear(weight: float = 0.0) -> nn.Linear:
    """A line through the origin: its gradient is worked out by hand below."""
    model = nn.Linear(1, 1, bias=False)
    with minidl.no_grad():
        model.weight.fill_(weight)
    return model


def regression(model: nn.Module, lr: float = 1.0, **kwargs: Any) -> Trainer:
    return Trainer(model, nn.MSELoss(), optim.SGD(model.parameters(), lr=lr), seed=0, **kwargs)


def bits(model: nn.Module) -> dict[str, bytes]:
    return {name: x.numpy().tobytes() for name, x in model.state_dict().items()}


# ---------------------------------------------------------------------- beside a loop written by hand


@pytest.mark.parametrize("shuffle", [False, True])
def test_fit_is_the_loop_one_would_write(x: np.ndarray, y: np.ndarray, shuffle: bool) -> None:
    model = network()
    minidl.manual_seed(1)
    history = classifier(model).fit(x, y, batch_size=16, epochs=3, shuffle=shuffle, verbose=0)

    own = network()
    optimizer, loss_fn, losses = optim.Adam(own.parameters(), lr=0.01), nn.CrossEntropyLoss(), []
    minidl.manual_seed(1)
    for epoch in range(3):
        total = 0.0
        order = np.random.default_rng((7, epoch)).permutation(N) if shuffle else np.arange(N)
        for start in range(0, N, 16):
            rows = order[start : start + 16]
            optimizer.zero_grad()
            loss = loss_fn(own(minidl.tensor(x[rows])), minidl.tensor(y[rows]))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        losses.append(total / N)
    assert bits(model) == bits(own)
    assert history.history["loss"] == losses


def test_a_loader_trains_as_its_loop_does(x: np.ndarray, y: np.ndarray) -> None:
    model = network()
    minidl.manual_seed(1)
    classifier(model).fit(DataLoader(TensorDataset(x, y), 16, shuffle=True, seed=3), epochs=2, verbose=0)
    own = network()
    optimizer, loader = optim.Adam(own.parameters(), lr=0.01), DataLoader(TensorDataset(x, y), 16, True, seed=3)
    minidl.manual_seed(1)
    for _ in range(2):
        for xb, yb in loader:
            optimizer.zero_grad()
            F.cross_entropy(own(xb), yb).backward()
            optimizer.step()
    assert bits(model) == bits(own)


def test_fit_twice_goes_on(x: np.ndarray, y: np.ndarray) -> None:
    model, other = network(dropout=0.0), network(dropout=0.0)
    classifier(model).fit(x, y, epochs=4, verbose=0)
    trainer = classifier(other)
    trainer.fit(x, y, epochs=2, verbose=0)
    history = trainer.fit(x, y, epochs=4, initial_epoch=2, verbose=0)
    assert history.epoch == [2, 3]
    assert bits(model) == bits(other)


def test_a_seed_is_drawn_from_minidl_s_generator(x: np.ndarray, y: np.ndarray) -> None:
    def trained(seed: int) -> dict[str, bytes]:
        model = network(dropout=0.0)
        minidl.manual_seed(seed)
        Trainer(model, F.cross_entropy, optim.SGD(model.parameters(), lr=0.1)).fit(x, y, epochs=1, verbose=0)
        return bits(model)

    assert trained(1) == trained(1) != trained(2)


def test_validation_split_is_the_last_share_and_is_not_trained_on(x: np.ndarray, y: np.ndarray) -> None:
    model, other = network(), network()
    trainer = classifier(model, Accuracy())
    minidl.manual_seed(1)
    history = trainer.fit(x, y, epochs=2, validation_split=0.25, verbose=0)
    minidl.manual_seed(1)
    classifier(other).fit(x[:37], y[:37], epochs=2, verbose=0)
    assert bits(model) == bits(other)
    model.eval()
    logits = model(minidl.tensor(x[37:]))
    assert history.history["val_accuracy"][-1] == pytest.approx(
        (logits.numpy(force=True).argmax(1) == y[37:]).mean(), abs=0
    )
    assert history.history["val_loss"][-1] == pytest.approx(F.cross_entropy(logits, minidl.tensor(y[37:])).item())


# ---------------------------------------------------------------------- exact figures


def test_values_of_an_epoch_are_means_over_samples() -> None:
    trainer = regression(linear(1.0), lr=0.0)
    x = np.array([[1.0], [1.0], [4.0]])  # with y = 0 the losses of batches of two are 1 and 16
    history = trainer.fit(x, np.zeros((3, 1)), batch_size=2, shuffle=False, verbose=0)
    assert history.history == {"loss": [6.0]}
    assert trainer.evaluate(x, np.zeros((3, 1)), batch_size=2, verbose=0) == {"loss": 6.0}


def test_sample_weights_by_hand() -> None:
    model = linear(1.0)
    x, y, w = np.array([[1.0], [2.0]]), np.zeros((2, 1)), np.array([0.5, 3.0])
    trainer = regression(model, metrics={"plain": square}, weighted_metrics={"weighted": square})
    logs = trainer.train_on_batch(x, y, sample_weight=w)
    # mean of w_i (v x_i)^2 is (0.5 + 12) / 2, its derivative twice that; the weighted mean divides by the weights
    assert logs == {"loss": 6.25, "plain": 2.5, "weighted": pytest.approx(12.5 / 3.5)}
    assert model.weight.item() == pytest.approx(1 - 12.5)


def square(prediction: Any, target: Any) -> Any:
    return ((prediction - target) ** 2)[:, 0]


@pytest.mark.parametrize(
    "targets",
    [np.array([0, 2, 2]), np.array([[0], [2], [2]]), np.eye(3, dtype=np.float32)[[0, 2, 2]]],
    ids=["labels", "column", "one-hot"],
)
def test_class_weights_are_the_samples_weights(targets: np.ndarray, x: np.ndarray) -> None:
    def loss(prediction: Any, target: Any, reduction: str = "mean") -> Any:
        return F.cross_entropy(prediction, target[:, 0] if target.shape == (3, 1) else target, reduction=reduction)

    model = nn.Linear(D, C)
    trainer = Trainer(model, loss, optim.SGD(model.parameters(), lr=0.0))
    weighted = trainer.train_on_batch(x[:3], targets, np.array([0.5, 4.0, 4.0]))
    assert trainer.train_on_batch(x[:3], targets, class_weight={0: 0.5, 2: 4.0, 1: 100.0}) == weighted
    assert trainer.train_on_batch(x[:3], targets) != weighted


def test_class_weights_in_fit_multiply_sample_weights() -> None:
    x, y = np.ones((4, 1)), np.array([0, 1, 1, 0])
    trainer = Trainer(linear(2.0), lambda p, t: (p**2)[:, 0], optim.SGD([minidl.ones(1, requires_grad=True)], lr=0.0))
    history = trainer.fit(x, y, class_weight={1: 3.0}, sample_weight=np.array([1.0, 1.0, 0.0, 2.0]), verbose=0)
    assert history.history["loss"] == [4.0 * (1 + 3 + 0 + 2) / 4]
    batches = [(x[:2], y[:2]), (x[2:], y[2:])]
    history = trainer.fit(lambda: batches, class_weight={1: 3.0}, verbose=0)
    assert history.history["loss"] == [4.0 * (1 + 3 + 3 + 1) / 4]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
def test_accumulated_batches_are_one_large_batch(
    x: np.ndarray, y: np.ndarray, reduction: str, weighted: bool, rng: np.random.Generator
) -> None:
    def trained(**kwargs: Any) -> list[np.ndarray]:
        minidl.manual_seed(0)
        model = nn.Linear(D, C).double()
        loss = nn.CrossEntropyLoss(reduction=reduction)
        trainer = Trainer(model, loss, optim.SGD(model.parameters(), lr=0.05), clip_norm=1.0, **kwargs)
        size = 40 // trainer.accumulate
        weights = np.linspace(0.5, 2, N) if weighted else None
        trainer.fit(x, y, batch_size=size, epochs=2, shuffle=False, sample_weight=weights, verbose=0)
        return [p.numpy(force=True) for p in model.parameters()]

    # 50 samples: the first step sees 40, the second 10, as one batch of 10 or as one of 8 and one of 2
    for one, several in zip(trained(), trained(accumulate=5), strict=True):
        np.testing.assert_allclose(several, one, rtol=1e-6)


def test_accumulation_takes_as_many_steps_as_it_says() -> None:
    model = linear(1.0)
    trainer = regression(model, lr=0.1, accumulate=2)
    x = np.array([[1.0], [2.0], [3.0]])
    trainer.fit(x, np.zeros((3, 1)), batch_size=1, shuffle=False, verbose=0)
    first = 1 - 0.1 * (2 * 1 + 2 * 4) / 2
    assert model.weight.item() == pytest.approx(first - 0.1 * 2 * 9 * first)


def test_gradients_are_clipped() -> None:
    model = linear(1.0)
    regression(model, clip_value=0.25).train_on_batch([[3.0]], [[0.0]])
    assert model.weight.item() == 0.75
    model = linear(1.0)
    regression(model, clip_norm=0.5).train_on_batch([[3.0]], [[0.0]])
    assert model.weight.item() == pytest.approx(0.5)


def test_a_penalty_is_part_of_the_loss() -> None:
    model = linear(2.0)
    trainer = regression(model, lr=0.1, penalty=lambda: (model.weight**2).sum())
    assert trainer.train_on_batch([[0.0]], [[0.0]]) == {"loss": 4.0}
    assert model.weight.item() == pytest.approx(2.0 - 0.1 * 4)
    assert regression(model, penalty=lambda: None).evaluate([[0.0]], [[0.0]], verbose=0) == {"loss": 0.0}


def test_losses_with_parts_are_reported() -> None:
    class Parts:
        def weighted(self, prediction: Any, target: Any, sample_weight: Any) -> dict[str, Any]:
            a, b = (prediction**2).mean(), (prediction - target).abs().mean()
            return {"loss": a + b, "a_loss": a, "b_loss": b}

    trainer = Trainer(linear(1.0), Parts())
    assert trainer.evaluate([[2.0]], [[0.0]], verbose=0) == {"loss": 6.0, "a_loss": 4.0, "b_loss": 2.0}


def test_values_on_batches_stand_alone_or_go_on() -> None:
    trainer = regression(linear(1.0), lr=0.0)
    assert trainer.train_on_batch([[1.0]], [[0.0]]) == {"loss": 1.0}
    assert trainer.train_on_batch([[2.0]], [[0.0]]) == {"loss": 4.0}
    assert trainer.test_on_batch([[3.0]], [[0.0]], reset=False) == {"loss": 6.5}
    trainer.reset_metrics()
    assert trainer.test_on_batch([[3.0]], [[0.0]], reset=False) == {"loss": 9.0}
    np.testing.assert_array_equal(trainer.predict_on_batch([[3.0], [4.0]]), [[3.0], [4.0]])


# ---------------------------------------------------------------------- modes, predictions, structures


def test_modes_and_graphs(x: np.ndarray, y: np.ndarray) -> None:
    seen = []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, x: Any) -> Any:
            seen.append((self.training, self.inner.training, minidl.is_grad_enabled()))
            return self.inner(x)

    model = Watched()
    model.inner.eval()
    trainer = classifier(model)
    trainer.fit(x, y, batch_size=N, validation_data=(x, y), verbose=0)
    trainer.evaluate(x, y, batch_size=N, verbose=0)
    trainer.predict(x, batch_size=N, verbose=0)
    trainer.train_on_batch(x, y)
    trainer.test_on_batch(x, y)
    trainer.predict_on_batch(x)
    on, off = (True, True, True), (False, False, False)
    assert seen == [on, off, off, off, on, off, off]
    assert model.training
    assert not model.inner.training  # as it was before


def test_evaluation_changes_nothing(x: np.ndarray, y: np.ndarray) -> None:
    model = network()
    before = bits(model)
    trainer = classifier(model, [Accuracy()])
    assert trainer.evaluate(x, y, verbose=0) == trainer.evaluate(DataLoader(TensorDataset(x, y), 7), verbose=0) | {
        "loss": pytest.approx(trainer.evaluate(x, y, verbose=0)["loss"])
    }
    assert bits(model) == before


class Fork(nn.Module):
    """Two inputs, and outputs as the test wants them."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.scale = nn.Parameter(minidl.tensor([2.0]))
        self.form = form

    def forward(self, a: Any, b: Any) -> Any:
        return self.form(a * self.scale, b)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (lambda a, b: [a, b], list),
        (lambda a, b: (a, b), tuple),
        (lambda a, b: {"a": a, "b": b}, dict),
    ],
)
@pytest.mark.parametrize("given", [tuple, list, lambda pair: dict(zip("ab", pair, strict=True))])
def test_several_inputs_and_outputs(form: Any, expected: type, given: Any) -> None:
    a, b = np.arange(5.0)[:, None], np.arange(10).reshape(5, 2)
    found = Trainer(Fork(form)).predict(given([a, b]), batch_size=2, verbose=0)
    assert type(found) is expected
    first, second = found.values() if isinstance(found, dict) else found
    np.testing.assert_array_equal(first, 2 * a)
    np.testing.assert_array_equal(second, b)
    assert first.dtype == np.float32
    assert second.dtype == np.int64


def test_several_targets_reach_the_loss() -> None:
    def loss(prediction: Any, target: Any) -> Any:
        return (prediction[0] - target["one"]).abs().mean() + (prediction[1] - target["two"]).abs().mean()

    trainer = Trainer(Fork(lambda a, b: [a, b]), loss)
    x = (np.ones((3, 1)), np.ones((3, 1)))
    y = {"one": np.zeros((3, 1)), "two": np.zeros((3, 1))}
    assert trainer.evaluate(x, y, batch_size=2, verbose=0) == {"loss": 3.0}


def test_forward_says_how_inputs_reach_the_model() -> None:
    trainer = Trainer(linear(3.0), forward=lambda model, x: model(x["value"]))
    np.testing.assert_array_equal(
        trainer.predict({"value": np.ones((2, 1)), "id": np.arange(2)}, verbose=0), [[3], [3]]
    )


def test_predict_takes_inputs_only_from_a_loader(x: np.ndarray, y: np.ndarray) -> None:
    trainer = Trainer(network())
    np.testing.assert_allclose(
        trainer.predict(DataLoader(TensorDataset(x, y), 7), verbose=0), trainer.predict(x, verbose=0), rtol=1e-5
    )
    assert trainer.predict(x, batch_size=8, steps=2, verbose=0).shape == (16, C)


# ---------------------------------------------------------------------- schedules, callbacks


def test_schedules_are_stepped_by_epoch_or_by_step() -> None:
    x = np.ones((4, 1))
    for every, expected in (("epoch", [1.0, 0.5]), ("step", [1.0, 0.25])):
        model = linear()
        optimizer = optim.SGD(model.parameters(), lr=1.0)
        scheduler = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        trainer = Trainer(model, nn.MSELoss(), optimizer, scheduler=scheduler, schedule_every=every)
        rates: list[float] = []
        watch = LambdaCallback(on_epoch_begin=lambda epoch, logs, t=trainer, r=rates: r.append(t.learning_rate))
        trainer.fit(x, np.zeros((4, 1)), batch_size=2, epochs=2, callbacks=watch, verbose=0)
        assert rates == expected


def test_a_plateau_is_found_in_the_validation_loss() -> None:
    model = linear(1.0)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    trainer = Trainer(
        model,
        nn.MSELoss(),
        optimizer,
        scheduler=optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5),
    )
    x = np.zeros((2, 1))  # nothing to learn from: the loss stays as it is
    trainer.fit(x, x + 3, epochs=3, validation_data=(x, x + 1), verbose=0)
    assert trainer.scheduler.best == 1.0
    assert trainer.learning_rate == 0.25
    trainer.learning_rate = 0.5
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_hooks_come_in_their_order(x: np.ndarray, y: np.ndarray) -> None:
    calls: list[str] = []
    hooks = [name for name in dir(Callback) if name.startswith("on_") and "_batch" not in name]
    hooks += ["on_train_batch_begin", "on_train_batch_end", "on_test_batch_begin", "on_test_batch_end"]

    def recorder(name: str) -> Any:
        return lambda self, *args, **kwargs: calls.append(
            name.removeprefix("on_") + str(args[0] if isinstance(args[0], int) else "")
        )

    Recorder = type("Recorder", (Callback,), {name: recorder(name) for name in hooks})
    classifier(network()).fit(
        x, y, batch_size=30, epochs=1, validation_data=(x[:5], y[:5]), callbacks=[Recorder()], verbose=0
    )
    assert calls == [
        "train_begin",
        "epoch_begin0",
        "train_batch_begin0",
        "train_batch_end0",
        "train_batch_begin1",
        "train_batch_end1",
        "test_begin",
        "test_batch_begin0",
        "test_batch_end0",
        "test_end",
        "epoch_end0",
        "train_end",
    ]


def test_logs_of_batches_are_computed_when_asked_for() -> None:
    class Counted(Mean):
        computed = 0

        def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
            super().update(prediction)

        def compute(self) -> float:
            self.computed += 1
            return super().compute()

    seen = []

    class Watch(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append((logs["loss"], "loss" in logs, "other" in logs))

    metric = Counted("value")
    trainer = regression(linear(1.0), lr=0.0, metrics=metric)
    x = np.array([[1.0], [3.0]])
    trainer.fit(x, x * 0, batch_size=1, shuffle=False, callbacks=Watch(), verbose=0)
    assert [loss for loss, *_ in seen] == [1.0, 5.0]
    assert [flags for _, *flags in seen] == [[True, False]] * 2


def test_stopping_in_mid_epoch_ends_it_with_what_there_is(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())

    class Stop(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == 1:
                self.trainer.stop_training = True

    history = trainer.fit(x, y, batch_size=8, epochs=5, callbacks=[Stop()], verbose=0)
    assert history.epoch == [0]
    assert trainer.step == 2


def test_validation_frequency(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())
    history = trainer.fit(x, y, epochs=5, validation_data=(x, y), validation_freq=2, verbose=0)
    assert [len(history.history[name]) for name in ("loss", "val_loss")] == [5, 2]
    history = trainer.fit(x, y, epochs=5, validation_data=(x, y), validation_freq=[1, 4, 5], verbose=0)
    assert len(history.history["val_loss"]) == 3


def test_a_callback_may_evaluate_in_mid_epoch(x: np.ndarray, y: np.ndarray) -> None:
    class Probe(Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.trainer.evaluate(x[:5], y[:5], verbose=0)

    plain = classifier(network(), Accuracy()).fit(x, y, epochs=2, verbose=0)
    probed = classifier(network(), Accuracy()).fit(x, y, epochs=2, callbacks=[Probe()], verbose=0)
    assert plain.history == probed.history


def test_early_stopping_ends_training(x: np.ndarray, y: np.ndarray) -> None:
    trainer = Trainer(network(), nn.CrossEntropyLoss(), optim.SGD(network().parameters(), lr=0.0))
    trainer.model.eval()
    history = trainer.fit(x, y, epochs=9, validation_data=(x, y), callbacks=EarlyStopping(patience=2), verbose=0)
    assert len(history.epoch) < 9


# ---------------------------------------------------------------------- generators


def endless(x: np.ndarray, y: np.ndarray) -> Any:
    while True:
        for i in range(0, N, 10):
            yield x[i : i + 10], y[i : i + 10]


def test_a_generator_goes_on_from_epoch_to_epoch(x: np.ndarray, y: np.ndarray) -> None:
    model, other = network(dropout=0.0), network(dropout=0.0)
    classifier(model).fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    history = classifier(other).fit(endless(x, y), epochs=5, steps_per_epoch=3, verbose=0)
    assert bits(model) == bits(other)  # 15 batches either way
    assert len(history.epoch) == 5


def test_a_function_makes_a_generator_for_each_epoch(x: np.ndarray, y: np.ndarray) -> None:
    model, other = network(dropout=0.0), network(dropout=0.0)
    classifier(model).fit(x, y, batch_size=10, epochs=3, shuffle=False, verbose=0)
    classifier(other).fit(lambda: ((x[i : i + 10], y[i : i + 10]) for i in range(0, N, 10)), epochs=3, verbose=0)
    assert bits(model) == bits(other)


def test_a_generator_that_ends_early_keeps_what_was_trained(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())
    batches = ((x[i : i + 10], y[i : i + 10]) for i in range(0, N, 10))
    with pytest.warns(
        NumericalWarning,
        match=r"generator ended after 1 batches \(2 were expected\) of epoch 3 of 4.*is kept.*DataLoader",
    ):
        history = trainer.fit(batches, epochs=4, steps_per_epoch=2, verbose=0)
    assert history.epoch == [0, 1, 2]
    assert trainer.step == 5
    with pytest.warns(NumericalWarning, match="generator ended after 1 batches of epoch 1 of 2"):
        history = trainer.fit(iter([(x, y)]), epochs=2, verbose=0)
    assert history.epoch == [0]
    assert trainer.fit(iter([(x, y)]), epochs=1, verbose=0).epoch == [0]


def test_fewer_batches_than_steps(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())
    with pytest.warns(NumericalWarning, match="ended after 5 batches of an epoch, 9 were expected"):
        assert trainer.fit(x, y, batch_size=10, steps_per_epoch=9, verbose=0).epoch == [0]
    with pytest.warns(NumericalWarning, match="evaluate: the data ended after 2 batches, 9 were expected"):
        trainer.evaluate(x, y, steps=9, verbose=0)
    assert trainer.step == 5


def test_a_loader_that_fails_keeps_what_was_trained(x: np.ndarray, y: np.ndarray) -> None:
    def failing() -> Any:
        yield x, y
        raise OSError("the disk is gone")

    trainer = classifier(network())
    with pytest.raises(OSError, match="the disk is gone") as caught:
        trainer.fit(failing(), epochs=1, verbose=0)
    assert "batch 2 of epoch 1" in caught.value.__notes__[0]
    assert trainer.step == 1


def test_validation_data_that_is_used_up(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())
    with pytest.raises(
        DataError, match="validation: the data gave no batches; an iterator yields its batches only once"
    ):
        trainer.fit(x, y, epochs=2, validation_data=iter([(x, y)]), verbose=0)
    assert trainer.history.epoch == [0]


# ---------------------------------------------------------------------- Ctrl-C


class CtrlC(Callback):
    def __init__(self, at: int, times: int = 1) -> None:
        self.at, self.times = at, times

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.trainer.step == self.at:
            for _ in range(self.times):
                signal.raise_signal(signal.SIGINT)


def test_ctrl_c_finishes_the_step(x: np.ndarray, y: np.ndarray, capsys: pytest.CaptureFixture[str]) -> None:
    model, other = network(dropout=0.0), network(dropout=0.0)
    trainer = classifier(model)
    history = trainer.fit(x, y, batch_size=10, epochs=9, shuffle=False, callbacks=CtrlC(6), verbose=0)
    assert history.interrupted
    assert history.epoch == [0]
    assert trainer.step == 7
    assert "interrupted after 2 batches of epoch 2: the model is as the last step left it\n" in capsys.readouterr().err
    classifier(other).fit(endless(x, y), steps_per_epoch=7, verbose=0)
    assert bits(model) == bits(other)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not trainer.fit(x, y, verbose=0).interrupted


def test_ctrl_c_finishes_the_group_of_accumulated_batches(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network(), accumulate=3)
    trainer.fit(x, y, batch_size=5, callbacks=CtrlC(3), verbose=0)
    assert trainer.step == 6


def test_ctrl_c_in_the_last_step_interrupts_nothing(
    x: np.ndarray, y: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    class Late(Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            signal.raise_signal(signal.SIGINT)

    history = classifier(network()).fit(x, y, callbacks=Late(), verbose=0)
    assert not history.interrupted
    assert not capsys.readouterr().err


def test_ctrl_c_twice_raises_at_once(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y, batch_size=10, callbacks=CtrlC(2, times=2), verbose=0)
    assert trainer.step == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_during_validation(x: np.ndarray, y: np.ndarray) -> None:
    class InValidation(Callback):
        def on_test_batch_begin(self, batch: int, logs: Any = None) -> None:
            signal.raise_signal(signal.SIGINT)

    history = classifier(network()).fit(x, y, epochs=3, validation_data=(x, y), callbacks=InValidation(), verbose=0)
    assert history.interrupted
    assert history.epoch == []


def test_a_program_s_own_handler_stays(x: np.ndarray, y: np.ndarray) -> None:
    heard = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        history = classifier(network()).fit(x, y, callbacks=CtrlC(0), verbose=0)
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    assert heard == [signal.SIGINT]
    assert not history.interrupted


def test_training_in_a_thread(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())
    thread = threading.Thread(target=trainer.fit, args=(x, y), kwargs={"verbose": 0})
    thread.start()
    thread.join()
    assert trainer.history.epoch == [0]


def test_ctrl_c_from_outside() -> None:
    program = textwrap.dedent("""
        import numpy as np, minidl
        from minidl.training import Trainer
        from minidl.training.callbacks import LambdaCallback
        model = minidl.nn.Linear(2, 1)
        trainer = Trainer(model, minidl.nn.MSELoss(), minidl.optim.SGD(model.parameters(), lr=0.1))
        started = LambdaCallback(on_epoch_begin=lambda epoch, logs: epoch == 1 and print("started", flush=True))
        history = trainer.fit(np.ones((64, 2)), np.ones((64, 1)), epochs=10**9, callbacks=started, verbose=0)
        print("usable" if history.interrupted and np.isfinite(trainer.predict(np.ones((1, 2)), verbose=0)) else "")
    """)
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "usable\n")
    assert err.startswith("interrupted after")
    assert err.count("\n") == 1


# ---------------------------------------------------------------------- errors


def test_fit_within_fit(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())
    again = LambdaCallback(on_epoch_end=lambda epoch, logs: trainer.fit(x, y, verbose=0))
    with pytest.raises(StateError, match="fit: this trainer is training already"):
        trainer.fit(x, y, callbacks=again, verbose=0)


def test_what_is_missing_is_named(x: np.ndarray, y: np.ndarray) -> None:
    with pytest.raises(
        StateError, match=r"fit: the trainer has no loss and no optimizer; write Trainer\(model, loss, "
    ):
        Trainer(network()).fit(x, y)
    with pytest.raises(StateError, match=r"evaluate: the trainer has no loss; write Trainer\(model, loss\)"):
        Trainer(network()).evaluate(x, y)
    with pytest.raises(StateError, match="learning_rate: the trainer has no optimizer"):
        Trainer(network()).learning_rate = 1.0
    with pytest.raises(DataError, match="the data has no targets"):
        classifier(network()).fit(x, verbose=0)


def test_targets_that_do_not_fit_are_named(x: np.ndarray, y: np.ndarray) -> None:
    trainer = classifier(network())
    with pytest.raises(ShapeError, match=r"predictions \(32, 3\).*labels of shape \(32,\), got \(32, 2\)") as caught:
        trainer.fit(x, np.zeros((N, 2), np.int64), verbose=0)
    assert "batch 1 of epoch 1" in caught.value.__notes__[0]
    if minidl.get_default_device() == "cpu":
        with pytest.raises(RangeError, match=r"label 3 .* is out of range for 3 classes"):
            trainer.fit(x, np.full(N, 3), verbose=0)
    else:  # nobody waits for a GPU to look
        assert np.isnan(trainer.fit(x, np.full(N, 3), verbose=0).history["loss"][0])
    with pytest.warns(
        NumericalWarning, match=r"prediction \(3, 1\) and target \(3, 2\) have different shapes and broad"
    ):
        regression(linear()).fit(np.ones((3, 1)), np.ones((3, 2)), verbose=0)


def test_models_and_losses_must_give_tensors(x: np.ndarray, y: np.ndarray) -> None:
    class Wrong(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.numpy()

    with pytest.raises(DTypeError, match=r"Wrong: a model must return a tensor, .* got a ndarray"):
        Trainer(Wrong()).predict(x, verbose=0)
    with pytest.raises(DTypeError, match=r"a loss must return a tensor .* got a float"):
        Trainer(network(), lambda p, t: 1.0).evaluate(x, y, verbose=0)
    with pytest.raises(ArgumentError, match="weights of samples need a loss for each sample"):
        Trainer(network(), lambda p, t: p.mean()).test_on_batch(x, y, np.ones(N))
    with pytest.raises(ShapeError, match=r"sample_weight \(50, 2\) does not fit losses of shape \(50,\)"):
        classifier(network()).test_on_batch(x, y, np.ones((N, 2)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": len}, DTypeError, "model must be a minidl.nn.Module, got a builtin"),
        ({"loss": "mse"}, DTypeError, "loss must be callable.*names of losses belong to minidl.keras"),
        ({"optimizer": "adam"}, DTypeError, "optimizer must have step"),
        ({"metrics": ["accuracy"]}, DTypeError, "expected metrics or functions.*names of metrics belong"),
        ({"metrics": [Accuracy]}, DTypeError, r"got the class Accuracy; write Accuracy\(\)"),
        ({"metrics": [Accuracy(), Accuracy()]}, ArgumentError, "2 metrics are named 'accuracy'"),
        ({"metrics": {"loss": Accuracy()}}, ArgumentError, "2 metrics are named 'loss'"),
        ({"accumulate": 0}, ArgumentError, "accumulate must be a positive integer, got 0"),
        ({"clip_norm": 0}, ArgumentError, "clip_norm must be positive, got 0"),
        ({"schedule_every": "batch"}, ArgumentError, "schedule_every must be 'epoch' or 'step'"),
    ],
)
def test_arguments_of_the_trainer(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        Trainer(**{"model": network(), **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": -1}, "epochs must be an integer, 0 or above, got -1"),
        ({"epochs": 1.5}, "epochs must be an integer"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be a positive integer, got 0"),
        ({"validation_freq": 0}, "validation_freq must be a positive integer, got 0"),
        ({"resume": True}, "resume=True needs the folder of the checkpoints"),
        ({"validation_data": (1, 2, 3, 4)}, r"validation_data must be \(x, y\).*got 4 entries"),
        ({"class_weight": {0: 1.0}, "y": None}, "class_weight needs one array of targets, got no targets"),
    ],
)
def test_arguments_of_fit(x: np.ndarray, y: np.ndarray, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        classifier(network()).fit(x, **{"y": y, **arguments})


def test_class_weights_need_labels(x: np.ndarray) -> None:
    with pytest.raises(DTypeError, match=r"class_weight needs labels or one-hot targets, got float32 \(50,\)"):
        classifier(network()).fit(x, np.linspace(0, 1, N), class_weight={0: 1.0})
    with pytest.raises(DTypeError, match="class_weight must be a dict"):
        classifier(network()).fit(x, np.zeros(N, int), class_weight=[1.0])  # type: ignore[arg-type]


def test_metrics_of_one_s_own() -> None:
    class Count(Metric):
        accumulators = ("count",)

        def update(self, prediction: Any, target: Any, sample_weight: Any = None) -> None:
            self.accumulate(len(target.array))

        def compute(self) -> dict[str, int]:
            return {"seen": int(self.accumulated()[0])}

    logs = Trainer(linear(), nn.MSELoss(), metrics=[Count(), SparseCategoricalAccuracy()][:1]).evaluate(
        np.ones((5, 1)), np.ones((5, 1)), batch_size=2, verbose=0
    )
    assert logs == {"loss": 1.0, "seen": 5}
