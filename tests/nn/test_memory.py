"""Memory: a step of training leaves nothing behind, neither garbage for the collector nor a graph that grows."""

from __future__ import annotations

import gc
import tracemalloc
import warnings
import weakref
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import minidl
import minidl.nn.functional as F
from minidl import nn, optim
from minidl.data import DataLoader, TensorDataset
from minidl.optim.lr_scheduler import StepLR


class CNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.2)
        )
        self.head = nn.Linear(4 * 3 * 3, 5)

    def forward(self, x: minidl.Tensor) -> minidl.Tensor:
        return self.head(self.features(x).flatten(1))


class Tagger(nn.Module):
    def __init__(self, kind: type[nn.Module]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(7, 6)
        self.rnn = kind(6, 5, num_layers=2, batch_first=True, bidirectional=True, dropout=0.1)
        self.head = nn.Linear(10, 5)

    def forward(self, x: minidl.Tensor) -> minidl.Tensor:
        return self.head(self.rnn(self.embedding(x))[0][:, -1])


class Cells(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(3, 5)

    def forward(self, x: minidl.Tensor) -> minidl.Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        assert state is not None
        return state[0]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)
        self.head = nn.Linear(8, 5)

    def forward(self, x: minidl.Tensor) -> minidl.Tensor:
        return self.head(self.encoder(x).mean(dim=1))


def classifier_step(model: nn.Module, optimizer: optim.Optimizer, x: minidl.Tensor) -> Callable[[], None]:
    """Return one step of training as a script writes it."""
    labels = minidl.randint(0, 5, (len(x),))
    schedule = StepLR(optimizer, 100)
    criterion = nn.CrossEntropyLoss()

    def step() -> None:
        optimizer.zero_grad()
        logits = model(x)
        loss = criterion(logits, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        _, predicted = minidl.max(logits, 1)
        assert 0 <= (predicted == labels).sum().item() <= len(x)

    return step


def steps() -> Iterator[tuple[str, Callable[[], Callable[[], None]]]]:
    """Yield by name what prepares a step."""

    def classify(model: Callable[[], nn.Module], optimizer: Callable[..., optim.Optimizer], *shape: int) -> Callable:
        def prepare() -> Callable[[], None]:
            net = model()
            x = minidl.randn(*shape) if shape else minidl.randint(0, 7, (4, 6))
            return classifier_step(net, optimizer(net.parameters()), x)

        return prepare

    image = 4, 1, 8, 8
    yield "cnn-sgd", classify(CNN, lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True), *image)
    yield "cnn-adam", classify(CNN, optim.Adam, *image)
    yield "cnn-rmsprop", classify(CNN, lambda p: optim.RMSprop(p, centered=True), *image)
    yield "lstm-adamw", classify(lambda: Tagger(nn.LSTM), optim.AdamW)
    yield "gru-adagrad", classify(lambda: Tagger(nn.GRU), optim.Adagrad)
    yield "rnn-adadelta", classify(lambda: Tagger(nn.RNN), optim.Adadelta)
    yield "lstm-cells", classify(Cells, optim.Adam, 4, 6, 3)
    yield "attention", classify(Attention, optim.Adam, 4, 3, 8)

    def gradient_penalty() -> Callable[[], None]:
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = optim.Adam(net.parameters())
        x = minidl.randn(5, 3, requires_grad=True)

        def step() -> None:
            optimizer.zero_grad()
            (slope,) = minidl.grad(net(x).sum(), x, create_graph=True)
            ((slope.norm(dim=1) - 1) ** 2).mean().backward()
            optimizer.step()

        return step

    yield "gradient-penalty", gradient_penalty

    def views_and_writes() -> Callable[[], None]:
        w = minidl.randn(3, 4, requires_grad=True)

        def step() -> None:
            y = w * 1
            y[0] = w[1] ** 2
            y.T[2] += 1
            y.mul_(2).sum().backward()
            with minidl.no_grad():
                w.sub_(0.1 * w.grad)
            w.grad = None

        return step

    yield "views-and-writes", views_and_writes

    def checkpointed() -> Callable[[], None]:
        net = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5), nn.Tanh())
        x = minidl.randn(5, 3, requires_grad=True)
        return lambda: minidl.checkpoint(net, x).sum().backward()

    yield "checkpoint", checkpointed

    class Double(minidl.autograd.Function):
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):  # type: ignore[no-untyped-def]
            (x,) = ctx.saved_tensors
            return grad * 2 * x

    def own_function() -> Callable[[], None]:
        x = minidl.randn(3, requires_grad=True)
        x.register_hook(lambda grad: grad * 2)

        def step() -> None:
            y = Double.apply(x)
            y.retain_grad()
            (y * y).sum().backward()
            assert y.grad is not None

        return step

    yield "own-function", own_function

    def an_epoch(workers: int) -> Callable[[], Callable[[], None]]:
        def prepare() -> Callable[[], None]:
            data = TensorDataset(minidl.randn(10, 3), minidl.arange(10))
            loader = DataLoader(data, batch_size=4, shuffle=True, num_workers=workers)

            def step() -> None:
                assert sum(len(x) for x, _ in loader) == 10

            return step

        return prepare

    yield "loader", an_epoch(0)
    yield "loader-with-workers", an_epoch(2)

    def evaluation() -> Callable[[], None]:
        net = CNN().eval()
        x = minidl.randn(4, 1, 8, 8)

        def step() -> None:
            with minidl.no_grad():
                assert F.softmax(net(x), dim=1).argmax(1).tolist()

        return step

    yield "evaluation", evaluation


STEPS = dict(steps())


@pytest.mark.parametrize("name", STEPS)
def test_a_step_leaves_no_cycles(name: str) -> None:
    step = STEPS[name]()
    step()  # what is set up once, such as an optimiser's state, may stay
    gc.collect()
    gc.disable()
    try:
        step()
        step()
        assert gc.collect() == 0
    finally:
        gc.enable()


#: Where a stand-in for a GPU runs kernels: what it allocates, NumPy's part of ctypes included, is not minidl's.
STAND_IN = [tracemalloc.Filter(False, pattern) for pattern in ("*/cuda_on_cpu/*", "*/stand_in/*", "*/_internal.py")]


def held() -> tuple[int, int]:
    """Return how many objects there are, and how many bytes they take."""
    gc.collect()  # of Python's own: it keeps freed tuples for reuse, and a collection lets them go
    objects = len(gc.get_objects())
    traces = tracemalloc.take_snapshot().filter_traces(STAND_IN).traces
    return objects, sum(trace.size for trace in traces)


@pytest.mark.parametrize("name", ["cnn-adam", "lstm-adamw", "gradient-penalty", "views-and-writes", "loader"])
def test_many_steps_need_no_more_memory(name: str) -> None:
    step = STEPS[name]()
    step()
    tracemalloc.start()
    try:
        for _ in range(5):
            step()
        held()  # what it sets up itself is there from now on
        objects, size = held()
        for _ in range(50):
            step()
        more_objects, larger = held()
    finally:
        tracemalloc.stop()
    assert more_objects - objects < 10
    assert larger - size < 50 * 32, f"{larger - size} more bytes after 50 steps"


def test_a_loss_that_is_kept_keeps_its_graph_and_item_does_not() -> None:
    w = minidl.ones(3, requires_grad=True)
    hidden = w * 2
    watch = weakref.ref(hidden.grad_fn)
    loss = hidden.exp().sum()
    number = loss.item()
    del hidden
    assert watch() is not None
    del loss
    assert watch() is None
    assert number == pytest.approx(3 * np.exp(2), rel=1e-6)


def test_a_warning_of_a_loop_keeps_nothing() -> None:
    logits = minidl.ones(2, 3, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loss = F.nll_loss(logits * 1, minidl.tensor([0, 1]))
    watch = weakref.ref(loss.grad_fn)
    del loss
    assert watch() is None
