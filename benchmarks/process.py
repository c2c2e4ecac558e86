"""What concerns a whole process: importing, the first step, the peak of memory, a whole training.

Each value is taken in a process of its own, ``python -m benchmarks.process TASK ...``, which prints it; this file
imports nothing but the standard library before its clock runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.frameworks import FRAMEWORKS, dialect
from benchmarks.rows import Row

ROOT = Path(__file__).parents[1]
KERAS = ("minidl.keras", "keras")
GOAL = 0.97  # what document 002's network should reach
NETWORKS = {
    "cnn_000": "`000` CNN",
    "lstm_000": "`000` LSTM",
    "dense_001": "`001` dense",
    "cnn_002": "`002` CNN",
    "dense_003": "`003` dense",
}


# ---------------------------------------------------------------------------------- in the process that measures


def import_time(framework: str) -> float:
    """Return the seconds that the import takes, NumPy included."""
    started = time.perf_counter()
    FRAMEWORKS[framework].load()
    return time.perf_counter() - started


def first_step(framework: str) -> float:
    """Make the first training step of document 002's network; what counts is when this process is done."""
    steps = importlib.import_module("benchmarks.steps")
    if framework in KERAS:
        steps.keras_training(framework, steps.keras_cnn_002, 32)()
    else:
        steps.training(steps.cnn_002(dialect(framework), 32))()
    return 0.0


def memory(framework: str, network: str, batch: str) -> float:
    """Return by how many MB a few training steps raise the peak of memory, once the code that they need is loaded.

    The same steps are made before, on a thread that then ends, so that what it kept for itself goes with it.
    """
    steps = importlib.import_module("benchmarks.steps")

    def some_steps() -> None:
        step = steps.training(getattr(steps, network)(dialect(framework), int(batch)))
        for _ in range(3):
            step()

    thread = threading.Thread(target=some_steps)
    thread.start()
    thread.join()
    give_back()
    before = reset_peak()
    some_steps()
    return peak() - before


def whole_memory(framework: str) -> float:
    """Return the peak of a process that imports, and trains document 002's network for three steps, in MB."""
    steps = importlib.import_module("benchmarks.steps")
    step = steps.training(steps.cnn_002(dialect(framework), 32))
    for _ in range(3):
        step()
    return peak()


def fit(framework: str, digits: str, quick: str) -> float:
    """Return the seconds of training document 002's network to an accuracy of 0.97 on unseen digits."""
    np = importlib.import_module("numpy")
    data = np.load(digits)
    x, y, x_test, y_test = (data[name] for name in ("x", "y", "x_test", "y_test"))
    if quick == "True":
        x, y, x_test, y_test = x[:320], y[:320], x_test[:320], y_test[:320]
    epoch = (keras_epochs if framework in KERAS else epochs)(framework, x, y, x_test, y_test)
    started = time.perf_counter()
    for _ in range(1 if quick == "True" else 20):
        if epoch() >= GOAL:
            return time.perf_counter() - started
    if quick == "True":
        return time.perf_counter() - started
    raise ValueError(f"{framework} did not reach {GOAL} in 20 epochs")


def epochs(framework: str, x: Any, y: Any, x_test: Any, y_test: Any) -> Callable[[], float]:
    """Return what trains for an epoch and tells the accuracy, in PyTorch's dialect."""
    steps = importlib.import_module("benchmarks.steps")
    lib = dialect(framework)
    lib.root.manual_seed(0)
    model, criterion, optimizer, *_ = steps.cnn_002(lib, 1)
    order = list(range(len(x)))
    shuffle = random.Random(0).shuffle

    @lib.root.no_grad()
    def accuracy() -> float:
        parts = (model(lib.root.tensor(x_test[at : at + 500])).argmax(1).numpy() for at in range(0, len(x_test), 500))
        return float((importlib.import_module("numpy").concatenate(list(parts)) == y_test).mean())

    def epoch() -> float:
        shuffle(order)
        for at in range(0, len(order), 32):
            chosen = order[at : at + 32]
            optimizer.zero_grad()
            loss = criterion(model(lib.root.tensor(x[chosen])), lib.root.tensor(y[chosen]))
            loss.backward()
            optimizer.step()
        return accuracy()

    return epoch


def keras_epochs(framework: str, x: Any, y: Any, x_test: Any, y_test: Any) -> Callable[[], float]:
    """Return what fits for an epoch and tells the accuracy, in Keras's dialect."""
    steps = importlib.import_module("benchmarks.steps")
    keras = FRAMEWORKS[framework].load()
    keras.utils.set_random_seed(0)
    model = steps.keras_cnn_002(keras)
    x, x_test = x.transpose(0, 2, 3, 1), x_test.transpose(0, 2, 3, 1)  # (N, 28, 28, 1)

    def epoch() -> float:
        model.fit(x, y, epochs=1, batch_size=32, verbose=0)
        return model.evaluate(x_test, y_test, verbose=0)[1]

    return epoch


def digits(file: str) -> float:
    """Write minidl's digits to a file, so that a peer's process need not load minidl to read them."""
    datasets = importlib.import_module("minidl.datasets")
    (x, y), (x_test, y_test) = datasets.mnist("train").tensors, datasets.mnist("test").tensors
    arrays = {"x": x, "y": y, "x_test": x_test, "y_test": y_test}
    importlib.import_module("numpy").savez(file, **{name: array.numpy() for name, array in arrays.items()})
    return 0.0


def give_back() -> None:
    """Have the C library return what is free to the system, where it can."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # glibc


def reset_peak() -> float:
    """Forget the peak of memory so far, where the system can, and return where it now stands, in MB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return peak()


def peak() -> float:
    """Return the peak of this process's resident memory, in MB."""
    try:
        status = Path("/proc/self/status").read_text()
        return float(status.split("VmHWM:", 1)[1].split(None, 1)[0]) / 1024
    except (OSError, IndexError):
        used = importlib.import_module("resource").getrusage(0).ru_maxrss
        return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


# ---------------------------------------------------------------------------------- in the process that asks


def ask(*task: str, **environment: str) -> float:
    """Run a task in a process of its own and return its value."""
    command = [sys.executable, "-m", "benchmarks.process", *task]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=1800,
    )
    if done.returncode:
        raise ValueError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1])
    return json.loads(done.stdout.splitlines()[-1])


def import_side(framework: str, quick: bool) -> float:
    """Return the seconds of an import."""
    return ask("import_time", framework, **FRAMEWORKS[framework].environment)


def first_step_side(framework: str, cached: bool, quick: bool) -> float:
    """Return the seconds from the start of a process to the end of a step, compiled kernels at hand or not."""
    environment = dict(FRAMEWORKS[framework].environment)
    with tempfile.TemporaryDirectory() as cache:
        if not cached:
            environment["NUMBA_CACHE_DIR"] = cache
        elif framework.startswith("minidl"):
            ask("first_step", framework, **environment)
        started = time.perf_counter()
        ask("first_step", framework, **environment)
        return time.perf_counter() - started


def memory_side(framework: str, network: str, batch: int, quick: bool) -> float:
    """Return what a training step adds to the peak of memory."""
    return ask("memory", framework, network, str(batch))


def whole_memory_side(framework: str, quick: bool) -> float:
    """Return the peak of memory of a whole process."""
    return ask("whole_memory", framework)


def fit_side(framework: str, quick: bool) -> float:
    """Return the seconds of a whole training, from when the package is imported; compiled kernels are at hand."""
    if framework.startswith("minidl"):
        ask("first_step", framework)
    with tempfile.TemporaryDirectory() as folder:
        file = str(Path(folder, "digits.npz"))
        ask("digits", file)
        return ask("fit", framework, file, str(quick), **FRAMEWORKS[framework].environment)


def sides(measured: Callable[..., float], *sizes: Any, names: tuple[str, ...]) -> dict[str, Callable[[bool], float]]:
    """Return a side for each framework."""
    return {name: functools.partial(measured, name, *sizes) for name in names}


def rows() -> list[Row]:
    """Return the rows."""
    main, dialects, every = ("minidl", "torch"), ("minidl", "minidl.keras", "torch", "keras"), tuple(FRAMEWORKS)
    within: dict[str, Any] = {"minidl": 2.0, "minidl.keras": 2.0}
    cold: dict[str, Any] = {"minidl": 20.0, "minidl.keras": 20.0}
    step = "new process to first step of `002`"
    made = [
        Row("import", "import", sides(import_side, names=every), {"minidl": 0.3}, "s"),
        Row("first-step", f"{step}, kernels cached", sides(first_step_side, True, names=dialects), within, "s"),
        Row("first-step-cold", f"{step}, nothing cached", sides(first_step_side, False, names=dialects), cold, "s"),
        Row("fit-002", f"`002` trained to {GOAL} on unseen digits", sides(fit_side, names=dialects), {}, "s"),
    ]
    whole = sides(whole_memory_side, names=main)
    made.append(Row("memory-process", "peak memory of a process that trains `002`", whole, {"torch": 1.0}, "MB"))
    for network, title in NETWORKS.items():
        for batch in (32, 512):
            name = f"memory-{network.replace('_', '-')}-{batch}"
            title_ = f"peak memory of a step of {title}, batch {batch}"
            made.append(Row(name, title_, sides(memory_side, network, batch, names=main), {"torch": 1.0}, "MB"))
    return made


ROWS = rows()

if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
