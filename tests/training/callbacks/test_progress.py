"""What a terminal, a log file and a notebook get to see."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from minidl.errors import ArgumentError
from minidl.training.callbacks import CallbackList, ProgbarLogger, ProgressBar, progress
from minidl.training.callbacks.progress import format_number, say


class Terminal(io.StringIO):
    """A screen of a given width; ``screen()`` shows what a person sees in the end."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """Return the lines on the screen: a carriage return lets what follows overwrite its line."""
        lines = []
        for line in self.getvalue().split("\n"):
            shown = ""
            for part in line.split("\r"):
                shown = part + shown[len(part) :]
            lines.append(shown.rstrip())
        return lines[:-1] if lines[-1] == "" else lines

    def drawings(self) -> list[str]:
        """Return everything that was ever drawn, blanks aside."""
        return [part.rstrip() for part in re.split(r"[\r\n]+", self.getvalue()) if part.strip()]


def redirect(monkeypatch: pytest.MonkeyPatch, file: Any) -> None:
    """Have progress write to a file; pytest puts its own in sys.stdout between a fixture and its test."""
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stdout=file, modules=sys.modules))


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    screen = Terminal()
    redirect(monkeypatch, screen)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "40")
    monkeypatch.setenv("TERM", "xterm")
    return screen


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    file = io.StringIO()
    redirect(monkeypatch, file)
    return file


LOGS = {"loss": 0.5, "accuracy": 0.96501}


def fit(
    epochs: int = 2, steps: int | None = 3, ran: int = 3, logs: Any = LOGS, validate: int = 2, first: int = 0,
    verbose: Any = "auto", interval: float = 0.0,
) -> ProgressBar:  # fmt: skip
    """Drive a bar through a training; ``interval=0`` draws each step."""
    bar = ProgressBar(interval=interval)
    callbacks = CallbackList([bar], epochs=epochs, steps=steps, verbose=verbose)
    callbacks.on_train_begin()
    for epoch in range(epochs):
        callbacks.on_epoch_begin(epoch)
        for batch in range(first, ran):
            callbacks.on_train_batch_end(batch, logs)
        callbacks.on_test_begin()
        for batch in range(validate):
            callbacks.on_test_batch_end(batch, {"loss": 9.0})
        callbacks.on_test_end({"loss": 9.0})
        callbacks.on_epoch_end(epoch, {**logs, "val_loss": 9.0})
    callbacks.on_train_end()
    callbacks.close()
    return bar


def test_numbers_look_as_in_keras() -> None:
    from tests.keras.yardstick import keras

    for value in (0.0, 1.0, 0.96501, -0.25, 1e-3, 1.0001e-3, 9e-4, -1e-5, 12345.678, float("inf")):
        file = io.StringIO()
        bar = keras.utils.Progbar(1, verbose=1)
        stdout, sys.stdout = sys.stdout, file
        try:
            bar.update(1, [("x", value)], finalize=True)
        finally:
            sys.stdout = stdout
        assert file.getvalue().rstrip().endswith(f"x: {format_number(value)}")
    assert format_number(float("nan")) == "nan"


# ---------------------------------------------------------------------- a terminal


def test_a_terminal_shows_a_line_an_epoch_that_stays(terminal: Terminal) -> None:
    fit()
    lines = terminal.screen()
    assert len(lines) == 2
    for epoch, line in enumerate(lines, 1):
        pattern = rf"Epoch {epoch}/2  3/3 \[00:0\d, \d+[mu]?s/step\]  loss 0.5000  accuracy 0.9650  val_loss 9.0000"
        assert re.fullmatch(pattern, line)


def test_a_terminal_sees_the_bar_move(terminal: Terminal) -> None:
    fit(epochs=1)
    drawn = terminal.drawings()
    assert re.fullmatch(r"Epoch 1/1  1/3 \|.{12}\| \[00:0\d<00:0\d\]  loss 0.5000  accuracy 0.9650", drawn[0])
    assert drawn[1].startswith("Epoch 1/1  2/3 |████████    | [")
    assert drawn[3].endswith("validating, step 1")
    assert drawn[4].endswith("validating, step 2")


def test_drawings_are_rate_limited_and_only_then_logs_are_read(terminal: Terminal) -> None:
    class Lazy(dict):
        read = 0

        def items(self) -> Any:
            type(self).read += 1
            return super().items()

    bar = ProgressBar(interval=60.0)
    bar.on_epoch_begin(0)
    for batch in range(1000):
        bar.on_train_batch_end(batch, Lazy(LOGS))
    assert (Lazy.read, terminal.getvalue()) == (0, "")
    bar._due = 0.0
    bar.on_train_batch_end(1000, Lazy(LOGS))
    bar.on_train_batch_end(1001, Lazy(LOGS))
    assert Lazy.read == 1


def test_a_step_that_draws_nothing_costs_next_to_nothing(log: io.StringIO) -> None:
    bar = ProgressBar(verbose=2)
    bar.on_epoch_begin(0)
    best = min(_seconds(bar, 2000) for _ in range(5)) / 2000
    assert best < 10e-6  # about 0.3 us; ten times the promise, for a machine that is busy


def _seconds(bar: ProgressBar, steps: int) -> float:
    start = time.perf_counter()
    for batch in range(steps):
        bar.on_train_batch_end(batch, LOGS)
    return time.perf_counter() - start


@pytest.mark.parametrize("columns", [12, 30, 45, 60, 80])
def test_a_narrow_terminal_and_many_metrics(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    logs = {f"metric_{i}": i / 8 for i in range(1, 9)}
    fit(epochs=1, logs=logs, validate=0)
    live, finished = terminal.drawings()[:-1], terminal.screen()[-1]
    assert len(live) == 3
    for line in live:
        assert len(line) < columns  # tqdm leaves the last column free
        for pair in re.findall(r"metric\S* ?\S*", line):
            assert re.fullmatch(r"metric_\d \d\.\d{4}", pair)  # whole, or not there
    assert all(f"{name} {value:.4f}" in finished for name, value in logs.items())
    assert terminal.screen() == [finished]


def test_steps_of_unknown_number(terminal: Terminal) -> None:
    fit(epochs=2, steps=None)
    drawn = terminal.drawings()
    assert drawn[0].startswith("Epoch 1/2  1/? [00:0")
    assert any(line.startswith("Epoch 2/2  1/3 |") for line in drawn)  # the first epoch has told
    assert [line.split(" [")[0] for line in terminal.screen()] == ["Epoch 1/2  3/3", "Epoch 2/2  3/3"]


def test_more_and_fewer_steps_than_said(terminal: Terminal) -> None:
    fit(epochs=1, steps=2, ran=3)
    assert terminal.screen()[0].startswith("Epoch 1/1  3/3 [")
    assert any("  3/? [" in line for line in terminal.drawings())
    fit(epochs=1, steps=5, ran=3)
    assert terminal.screen()[1].startswith("Epoch 1/1  3/5 [")


def test_names_with_braces_and_values_that_are_no_numbers(terminal: Terminal) -> None:
    fit(epochs=1, logs={"a{b}": np.float32(0.5), "matrix": np.ones((2, 2)), "k": 3})
    assert "a{b} 0.5000  k 3.0000" in terminal.drawings()[0]
    assert "matrix" not in terminal.getvalue()


def test_evaluation_and_prediction(terminal: Terminal) -> None:
    callbacks = CallbackList([ProgressBar(interval=0.0)], steps=2, verbose=1)
    callbacks.on_test_begin()
    for batch in range(2):
        callbacks.on_test_batch_end(batch, {"loss": 0.5})
    callbacks.on_test_end({"loss": 0.25})
    callbacks.on_predict_begin()
    for batch in range(2):
        callbacks.on_predict_batch_end(batch, {"outputs": np.ones(3)})
    callbacks.on_predict_end()
    evaluated, predicted = terminal.screen()
    assert re.fullmatch(r"Evaluate  2/2 \[00:0\d, \d+[mu]?s/step\]  loss 0.2500", evaluated)
    assert re.fullmatch(r"Predict  2/2 \[00:0\d, \d+[mu]?s/step\]", predicted)


def test_an_evaluation_after_a_training_has_its_own_line(terminal: Terminal) -> None:
    bar = fit(epochs=1)
    bar.on_test_begin()
    bar.on_test_batch_end(0, {"loss": 0.5})
    bar.on_test_end({"loss": 0.5})
    assert terminal.screen()[1].startswith("Evaluate  1/3")


def test_messages_leave_the_bar_whole(terminal: Terminal) -> None:
    bar = ProgressBar(interval=0.0)
    bar.set_params({"epochs": 1, "steps": 2})
    bar.on_epoch_begin(0)
    bar.on_train_batch_end(0, LOGS)
    say("Epoch 1: something happened")
    bar.on_train_batch_end(1, LOGS)
    bar.on_epoch_end(0, LOGS)
    lines = terminal.screen()
    assert lines[0] == "Epoch 1: something happened"
    assert lines[1].startswith("Epoch 1/1  2/2 [")
    assert len(lines) == 2


def test_a_training_that_breaks_off_leaves_its_line(terminal: Terminal) -> None:
    bar = ProgressBar(interval=0.0)
    bar.set_params({"epochs": 1, "steps": 4})
    bar.on_epoch_begin(0)
    bar.on_train_batch_end(1, LOGS)
    bar.close()
    bar.close()
    assert terminal.getvalue().endswith("\n")
    assert terminal.screen()[0].startswith("Epoch 1/1  2/4 |")


def test_an_epoch_that_resumes_in_its_middle_counts_from_there(log: io.StringIO, monkeypatch: Any) -> None:
    clock = iter([100.0, *[101.0] * 100])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    fit(epochs=1, steps=10, ran=10, first=8, validate=0)
    assert log.getvalue().startswith("Epoch 1/1 - 10/10 - 1s - 500ms/step - loss")


# ---------------------------------------------------------------------- a log file


@pytest.mark.parametrize("verbose", ["auto", 1, 2, True])
def test_a_log_file_has_one_plain_line_an_epoch(log: io.StringIO, verbose: Any) -> None:
    fit(epochs=3, verbose=verbose)
    lines = log.getvalue().splitlines()
    assert len(lines) == 3
    for epoch, line in enumerate(lines, 1):
        pattern = rf"Epoch {epoch}/3 - 3/3 - \ds - \d+[mu]?s/step - loss: 0.5000 - accuracy: 0.9650 - val_loss: 9.0000"
        assert re.fullmatch(pattern, line)
    assert all(character.isprintable() or character == "\n" for character in log.getvalue())


def test_two_is_lines_in_a_terminal_too(terminal: Terminal) -> None:
    fit(verbose=2)
    assert terminal.getvalue().count("\n") == 2
    assert "\r" not in terminal.getvalue()
    assert " - loss: 0.5000" in terminal.getvalue()


def test_a_dumb_terminal_is_a_log(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    fit()
    assert "\r" not in terminal.getvalue()


@pytest.mark.parametrize("verbose", [0, False])
def test_silence(terminal: Terminal, verbose: Any) -> None:
    fit(verbose=verbose)
    assert terminal.getvalue() == ""


def test_its_own_verbose_comes_before_that_of_fit(log: io.StringIO) -> None:
    bar = ProgbarLogger(verbose=0)
    bar.set_params({"verbose": 2, "epochs": 1, "steps": 1})
    bar.on_epoch_begin(0)
    bar.on_epoch_end(0, LOGS)
    assert log.getvalue() == ""


@pytest.mark.parametrize("verbose", [3, "loud", -1])
def test_a_verbose_that_is_none(verbose: Any) -> None:
    with pytest.raises(ArgumentError, match=r'verbose: expected "auto", 0 \(silent\), 1 \(a bar\) or 2'):
        ProgressBar(verbose=verbose)
    with pytest.raises(ArgumentError, match="verbose: expected"):
        CallbackList([ProgressBar()], verbose=verbose)


def test_a_real_pipe_gets_plain_lines() -> None:
    program = (
        "from minidl.training.callbacks import CallbackList, ProgressBar\n"
        "c = CallbackList([ProgressBar(interval=0.0)], verbose=1, epochs=1, steps=2)\n"
        "c.on_train_begin(); c.on_epoch_begin(0)\n"
        "c.on_train_batch_end(0, {'loss': 1.0}); c.on_train_batch_end(1, {'loss': 1.0})\n"
        "c.on_epoch_end(0, {'loss': 1.0}); c.on_train_end(); c.close()\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ran.stderr == b""
    assert re.fullmatch(rb"Epoch 1/1 - 2/2 - \ds - \d+[mu]?s/step - loss: 1.0000\n", ran.stdout)


# ---------------------------------------------------------------------- a notebook


@pytest.fixture
def notebook(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    return log


def test_a_notebook_without_widgets_gets_text(notebook: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: None)
    fit(epochs=1)
    assert "\rEpoch 1/1  1/3 |" in notebook.getvalue()
    assert "Epoch 1/1  3/3 [00:0" in notebook.getvalue().splitlines()[-1]


def test_a_notebook_with_widgets_gets_one(notebook: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    class Widget(progress.tqdm):
        """As tqdm's own: takes its text from ``bar_format`` and leaves the place of the bar to the widget."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs, gui=True)

        def display(self, *args: Any, **kwargs: Any) -> None:
            values = self.format_dict
            values["bar_format"] = values["bar_format"].replace("{bar}", "<bar/>")
            drawn.append(self.format_meter(**values))

        def clear(self, *args: Any, **kwargs: Any) -> None:
            pass

        def close(self) -> None:
            if not self.disable:
                closed.append((self.n, self.total, self.leave))
            super().close()

    closed: list[Any] = []
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: name == "ipywidgets")
    modules = {"tqdm.notebook": SimpleNamespace(tqdm=Widget)}
    monkeypatch.setattr(progress.importlib, "import_module", modules.__getitem__)
    many = {f"metric_{i}": 0.5 for i in range(20)}
    fit(epochs=1, validate=0, logs=many)
    assert re.fullmatch(r"Epoch 1/1 <bar/> 1/3 \[00:0\d<00:0\d\]  metric_0 .*  metric_19 0.5000", drawn[0])
    assert closed == [(3, 3, False)]
    assert notebook.getvalue().startswith("Epoch 1/1  3/3 [00:0")
