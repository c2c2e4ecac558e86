"""Rows for a GPU: ``python -m benchmarks --device gpu``, against PyTorch on the same card.

Batches of 32, as the documents have them, are all launches; those of 512 are some work, too. A GPU is timed by its own
events: the first is recorded before so many calls, the second behind them, and both when the GPU gets there. So what
the host does in the meantime counts only if the GPU waits for it. TF32 is off on both sides.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import kernels, steps
from benchmarks.frameworks import Dialect
from benchmarks.rows import Call, Row, both

BATCHES = 32, 512
LEAST = 10e-3  # seconds between two events: enough that the GPU has work queued while the host launches more


class Events(NamedTuple):
    """A framework's events: how to make one, and the seconds between two that the GPU has passed."""

    make: Callable[[], Any]
    seconds: Callable[[Any, Any], float]


def events(framework: str) -> Events:
    """Return the events of a framework that computes on a GPU."""
    if framework == "torch":
        cuda = importlib.import_module("torch").cuda
        return Events(lambda: cuda.Event(enable_timing=True), lambda start, end: start.elapsed_time(end) / 1e3)
    cuda = importlib.import_module("cupy").cuda
    return Events(cuda.Event, lambda start, end: cuda.get_elapsed_time(start, end) / 1e3)


def clock(framework: str) -> Callable[[Call, int], float]:
    """Return what tells the seconds of a call on the GPU, made so many times."""
    make, seconds = events(framework)

    def timed(call: Call, times: int) -> float:
        start, end = make(), make()
        start.record()
        for _ in range(times):
            call()
        end.record()
        end.synchronize()
        return seconds(start, end) / times

    return timed


def use(framework: str) -> str:
    """Let a framework create its arrays on the GPU; return the name of the card."""
    if framework == "torch":
        torch = importlib.import_module("torch")
        torch.set_default_device("cuda")
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        return torch.cuda.get_device_name()
    minidl = importlib.import_module("minidl")
    minidl.set_default_device("gpu")
    minidl.gpu.use_tf32(False)
    return minidl.gpu.get_device_name()


def missing() -> str:
    """Say why nothing can be measured on a GPU here; nothing where something can."""
    backend, errors = importlib.import_module("minidl.backend"), importlib.import_module("minidl.errors")
    try:
        backend.cupy()
    except errors.DeviceError as error:
        return str(error)
    return ""


def cross_entropy(lib: Dialect, samples: int, classes: int) -> Call:
    """Return cross entropy, forward and backward, as a language model ends in it."""
    x = kernels.floats(lib, samples, classes).requires_grad_()
    labels = lib.root.tensor([(7919 * i) % classes for i in range(samples)])
    return lambda: lib.root.autograd.grad(lib.F.cross_entropy(x, labels), x)


def embedding(lib: Dialect, words: int, rows: int, columns: int) -> Call:
    """Return the gradient of a table of words, some of which come often."""
    table = kernels.floats(lib, rows, columns).requires_grad_()
    indices = lib.root.tensor([(i * i) % rows if i % 3 else 1 for i in range(words)])
    upstream = kernels.floats(lib, words, columns)
    return lambda: lib.root.autograd.grad(lib.F.embedding(indices, table), table, upstream)


def dropout(lib: Dialect, size: int) -> Call:
    """Return dropout, forward and backward."""
    x, upstream = kernels.floats(lib, size).requires_grad_(), kernels.floats(lib, size)
    return lambda: lib.root.autograd.grad(lib.F.dropout(x, 0.5), x, upstream)


def adam(lib: Dialect, parameters: int, size: int) -> Call:
    """Return a step of Adam on parameters of one size."""
    made = [kernels.floats(lib, size).requires_grad_() for _ in range(parameters)]
    for parameter in made:
        parameter.grad = kernels.floats(lib, size)
    return lib.optim.Adam(made).step


#: A name, a title, and what makes the call.
OPERATIONS: list[tuple[str, str, Callable[..., Call], tuple[int, ...]]] = [
    ("matmul-512", "matmul 512x512 by 512x512", kernels.matmul, (512,) * 3),
    ("matmul-4096", "matmul 4096x4096 by 4096x4096", kernels.matmul, (4096,) * 3),
    ("lstm-28-128", "LSTM(128), T=28, batch 32: forward + backward", kernels.lstm, (28, 128)),
    ("lstm-100-512", "LSTM(512), T=100, batch 32: forward + backward", kernels.lstm, (100, 512)),
    ("cross-entropy-10", "cross entropy, 4096 of 10 classes: forward + backward", cross_entropy, (4096, 10)),
    ("cross-entropy-50k", "cross entropy, 512 of 50,000 classes: forward + backward", cross_entropy, (512, 50_000)),
    ("embedding", "embedding, 4096 words of 10,000 x 128: gradient", embedding, (4096, 10_000, 128)),
    ("dropout", "dropout, 16M elements: forward + backward", dropout, (1 << 24,)),
    ("adam-many", "Adam, 100 parameters of 10,000: a step", adam, (100, 10_000)),
    ("adam-16m", "Adam, 16M elements: a step", adam, (1, 1 << 24)),
]


def rows() -> list[Row]:
    """Return the rows."""
    made = []
    for name, title, network, in_keras, _, _ in steps.NETWORKS:
        if name == "001-dense-3":  # 3 samples are no work for a GPU
            continue
        for batch in BATCHES:
            sides = both(steps.training_side, network, batch)
            if in_keras is not None:
                sides["minidl.keras"] = functools.partial(steps.keras_training, "minidl.keras", in_keras, batch)
            title_ = title.replace("batch 32", f"batch {batch}")
            made.append(Row(f"gpu-{name.removesuffix('-32')}-{batch}", f"{title_}: a training step", sides))
    for name, conv in kernels.CONVOLUTIONS.items():
        for part, operand in (("input", 0), ("filter", 1)):
            title_ = f"{kernels.conv_title(conv)}: gradient of the {part}{'s' if operand else ''}"
            made.append(Row(f"gpu-{name}-{part}", title_, both(kernels.conv_gradient, conv, operand)))
        title_ = f"{kernels.conv_title(conv)}: forward"
        made.append(Row(f"gpu-{name}-forward", title_, both(kernels.conv_forward, conv)))
    made += [Row(f"gpu-{name}", title, both(make, *sizes)) for name, title, make, sizes in OPERATIONS]
    return made


ROWS = rows()
