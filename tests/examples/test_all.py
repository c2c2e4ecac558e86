"""Every example trains, evaluates, saves, loads back and draws; ``minidl reproduce`` shows what came out."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import cli, keras
from minidl.errors import NumericalWarning, StateError
from minidl.examples import EXAMPLES, dense_regression
from minidl.examples.report import Example, Report, results
from tests.examples.conftest import STEPS, TEST

PNG = b"\x89PNG\r\n\x1a\n"
FILES = {
    "simple-cnn": ["simple-cnn-sgd.safetensors", "simple-cnn-momentum.safetensors"],
    "lstm-classifier": ["lstm-classifier.h5"],
    "dense-regression": ["dense-regression-1.h5", "dense-regression-2.h5"],
    "cnn-classifier": ["cnn-classifier.h5"],
    "dense-classifier": ["dense-classifier.h5"],
    "service": [],  # which trains nothing of its own: see tests/serve/test_document.py
}
TRAINED = [name for name in FILES if FILES[name]]
pytestmark = pytest.mark.usefixtures("few_digits")


@pytest.mark.parametrize("name", TRAINED)
def test_an_example_from_beginning_to_end(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "runs"
    assert cli.main(["reproduce", name, "--epochs", "1", "--out", str(out)]) == 0
    printed, errors = capsys.readouterr()
    assert errors == ""
    assert "\r" not in printed  # no bar where nobody watches
    assert "\x1b" not in printed
    assert printed.startswith(f"{name}: document {EXAMPLES[name].document}: {EXAMPLES[name].title}\n")
    for file in FILES[name]:
        assert f"{out / file}: saved and loaded back, and the predictions agree\n" in printed
        row = rf"^{EXAMPLES[name].document}  +{name}.*  (accuracy|loss)  .* 1 of 1,?0+  +\d+\.\d +{out / file}$"
        assert len(re.findall(row, printed, re.M)) == 1
    assert printed.endswith("a training of fewer is not expected to reach its goal.\n")
    assert sorted(path.name for path in out.iterdir()) == sorted([*FILES[name], f"{name}.png"])
    assert f"picture: {out / name}.png\n" in printed
    assert (out / f"{name}.png").read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("name", "layers", "shape"),
    [
        ("lstm-classifier", ["LSTM", "Dropout", "Dense"], (None, 28, 28)),
        ("cnn-classifier", ["Conv2D", "MaxPooling2D"] * 2 + ["Flatten", "Dense", "Dense"], (None, 28, 28, 1)),
        ("dense-classifier", ["Dense", "Dense"], (None, 784)),
    ],
)
def test_a_classifier_prints_what_its_document_prints_and_saves_its_model(
    name: str, layers: list[str], shape: tuple[int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = Report(name, tmp_path)
    EXAMPLES[name].run(report, epochs=1)
    printed = capsys.readouterr().out
    assert re.search(
        rf"^Epoch 1/1 - {STEPS}/{STEPS} - .* - val_loss: \d\.\d{{4}} - val_accuracy: 0\.\d{{4}}$", printed, re.M
    )
    (log,) = report.logs
    assert re.search(rf"^Loss: \d\.\d{{4}}\nAccuracy: {log.figure:.4f}$", printed, re.M)
    assert (log.metric, log.figure) == ("accuracy", pytest.approx(log.history.history["val_accuracy"][-1]))
    assert f"{name}: {TEST} unseen digits\n" in printed
    assert re.search(r"precision +recall +f1", printed)

    model = keras.models.load_model(log.file)
    assert [type(layer).__name__ for layer in model.layers] == layers
    assert (model.input_shape, model.output_shape) == (shape, (None, 10))
    assert (type(model.optimizer).__name__, int(model.optimizer.iterations)) == ("Adam", STEPS)


def test_one_output_ends_at_a_quarter_and_two_at_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In full, as the goals of the document are stated."""
    report = Report("dense-regression", tmp_path)
    warned = pytest.warns(NumericalWarning, match=r"prediction \(3, 1\) and target \(3, 2\).*cannot fall below")
    with minidl.device("cpu"), warned:  # two thousand epochs: what a network learns is no question of the device
        dense_regression.run(report)
    one, two = report.logs
    assert len(one.history.epoch) == len(two.history.epoch) == 1000
    assert one.figure == pytest.approx(0.25, abs=0.001)
    assert two.figure < 0.001
    assert "Loss: 0.25\n" in capsys.readouterr().out
    answers = keras.models.load_model(one.file).predict(dense_regression.data, verbose=0)
    assert answers == pytest.approx(np.array([[1.5], [3.5], [5.5]]), abs=0.05)  # half-way between the two targets
    assert "of 1,000" not in results([(EXAMPLES["dense-regression"], report)])


def test_a_warning_is_one_line_said_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reproduce", "dense-regression", "--epochs", "1", "--out", str(tmp_path)]) == 0
    printed, errors = capsys.readouterr()
    assert re.findall(r"^warning: (\w+): prediction \(3, 1\) and target \(3, 2\)", printed, re.M) == [
        "mean_squared_error"
    ]
    assert errors == ""


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.filterwarnings("ignore:mean_squared_error")
def test_a_seed_repeats_a_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Report, "picture", lambda *_: None)

    def curves(seed: int) -> Any:
        report = Report(name, tmp_path)
        EXAMPLES[name].run(report, epochs=1, seed=seed)
        return report.curves()

    first = curves(1)
    assert first == curves(1)
    assert first != curves(2)


def test_quick_trains_for_less(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def note(report: Report, epochs: int, seed: int) -> None:
        asked[report.name] = epochs
        with report.training(">= 0", "any.h5") as log:
            log.loss(1.0)
            log.epoch(val_accuracy=0.5)

    for name, example in EXAMPLES.items():
        monkeypatch.setitem(EXAMPLES, name, example._replace(run=note, needs=()))
    assert cli.main(["reproduce", "--quick", "--out", str(tmp_path)]) == 0
    assert list(asked) == list(FILES) == list(EXAMPLES)
    assert asked.pop("dense-regression") == 1000  # in full: it takes no longer than a look at the digits
    assert all(epochs < 10 for epochs in asked.values())
    assert cli.main(["reproduce", "--out", str(tmp_path)]) == 0
    assert asked == dict.fromkeys(FILES, 10) | {"dense-regression": 1000}


def test_what_lacks_packages_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = EXAMPLES["service"]._replace(needs=("no_such_package",))
    monkeypatch.setattr(cli, "EXAMPLES", {"dense-classifier": EXAMPLES["dense-classifier"], "service": lacking})
    assert cli.main(["reproduce", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "service: left out: it needs more packages; pip install 'minidl[serve]'" in capsys.readouterr().out


def test_without_matplotlib_it_says_how_to_get_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["reproduce", "dense-classifier", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "pip install 'minidl[viz]' for pictures" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["dense-classifier.h5"]


# ---------------------------------------------------------------------- what goes wrong


def test_a_file_that_gives_back_another_model_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = minidl.load

    def damaged(file: Path) -> Any:
        state = load(file)
        state["fc3.bias"][3] += 0.5
        return state

    monkeypatch.setattr(minidl, "load", damaged)
    assert cli.main(["reproduce", "simple-cnn", "--epochs", "1", "--out", str(tmp_path)]) == 1
    assert re.fullmatch(
        r"minidl: simple-cnn, sgd: loaded back from \S+, the model predicts otherwise than when it was saved: outputs "
        r"are up to 0\.\d+ apart\n",
        capsys.readouterr().err,
    )


@pytest.mark.parametrize(
    ("after", "complaint"),
    [(np.zeros((2, 3)), r"outputs of shape \(2, 3\), not \(2, 2\)"), (np.full((2, 2), 1e-3), r"up to 0\.001 apart")],
)
def test_predictions_that_differ(after: np.ndarray, complaint: str, tmp_path: Path) -> None:
    with Report("any", tmp_path).training(">= 0", "any.h5") as log:
        pass
    log.loaded_back(np.zeros((2, 2)), np.full((2, 2), 1e-7))
    with pytest.raises(StateError, match=complaint):
        log.loaded_back(np.zeros((2, 2)), after)


@pytest.mark.parametrize("folder", ["taken", "taken/below", "/proc/minidl-cannot-write-here"])
def test_a_folder_that_cannot_be_written_is_found_before_training(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file")
    out = tmp_path / folder
    monkeypatch.setitem(EXAMPLES, "never", Example("000", "never runs", lambda *_, **__: pytest.fail("it trained")))
    assert cli.main(["reproduce", "never", "--out", str(out)]) == 1
    printed, errors = capsys.readouterr()
    assert printed == ""
    assert re.fullmatch(
        rf"minidl: reproduce: cannot write to the folder {out}: [\w ]+; name another with --out\n", errors
    )


def test_a_full_disk_is_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(report: Report, epochs: int, seed: int) -> None:
        raise OSError(28, "No space left on device", str(report.out / "model.h5"))

    monkeypatch.setitem(EXAMPLES, "full", Example("000", "fills the disk", full))
    assert cli.main(["reproduce", "full", "--out", str(tmp_path)]) == 1
    assert re.fullmatch(r"minidl: .*No space left on device: '.*model\.h5'\n", capsys.readouterr().err)


def test_control_c_within_fit_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``fit`` itself ends quietly, but nobody wants the other examples then."""

    class PressesControlC(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            signal.raise_signal(signal.SIGINT)

    fit = keras.Model.fit
    monkeypatch.setattr(keras.Model, "fit", lambda *a, **k: fit(*a, callbacks=[PressesControlC()], **k))
    assert cli.main(["reproduce", "dense-classifier", "dense-regression", "--out", str(tmp_path)]) == 130
    printed, errors = capsys.readouterr()
    assert errors.endswith("minidl: interrupted\n")
    assert "dense-regression" not in printed
