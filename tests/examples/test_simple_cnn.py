"""Document 000's network: it runs from the command line, and learns as PyTorch's does."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

import minidl
import minidl.nn.functional as F
from minidl import cli, optim
from minidl.data import DataLoader, TensorDataset
from minidl.errors import ShapeError
from minidl.examples import simple_cnn
from minidl.examples.report import Log, Report, draw_mistakes

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the example see some hundred digits of each split."""
    whole = simple_cnn.digits

    def few(split: str) -> TensorDataset:
        return TensorDataset(*whole(split)[: 320 if split == "train" else 200])

    monkeypatch.setattr(simple_cnn, "digits", few)


def test_digits_are_padded_to_what_the_document_expects() -> None:
    train, test = simple_cnn.digits("train"), simple_cnn.digits("test")
    assert (len(train), len(test)) == (8000, 2000)
    image, label = train[0]
    assert image.shape == (1, 32, 32)
    assert image.dtype == np.float32
    assert label.dtype == np.int64
    assert image[:, :2].sum().item() == image[:, :, -2:].sum().item() == 0
    assert 0 <= image.min().item() < image.max().item() <= 1


def test_it_has_the_documents_layers() -> None:
    shapes = {name: p.shape for name, p in simple_cnn.SimpleCNN().named_parameters()}
    assert shapes == {
        "conv1.weight": (6, 1, 5, 5),
        "conv1.bias": (6,),
        "conv2.weight": (16, 6, 5, 5),
        "conv2.bias": (16,),
        "fc1.weight": (120, 400),
        "fc1.bias": (120,),
        "fc2.weight": (84, 120),
        "fc2.bias": (84,),
        "fc3.weight": (10, 84),
        "fc3.bias": (10,),
    }


@pytest.mark.usefixtures("few_digits")
def test_the_command_trains_prints_and_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "runs"
    assert cli.main(["reproduce", "simple-cnn", "--epochs", "1", "--out", str(out)]) == 0
    printed, progress = capsys.readouterr()
    assert progress == ""  # no bar where nobody watches
    for setting in simple_cnn.SETTINGS:
        assert f"simple-cnn: {setting}" in printed
        assert re.search(rf"^simple-cnn +{re.escape(setting)} +1 +\d\.\d{{4}} +0\.\d{{4}} +0\.9\d in 10", printed, re.M)
    assert len(re.findall(r"^epoch  1/1  loss \d\.\d{4}  accuracy 0\.\d{4}  \d+\.\d s$", printed, re.M)) == 2
    assert re.search(r"precision +recall +f1", printed)
    assert f"picture: {out / 'simple-cnn.png'}" in printed
    assert (out / "simple-cnn.png").read_bytes().startswith(PNG)


@pytest.mark.usefixtures("few_digits")
def test_without_matplotlib_it_says_how_to_get_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)
    assert cli.main(["reproduce", "--epochs", "1", "--out", str(tmp_path)]) == 0
    assert "pip install 'minidl[viz]' for pictures" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("mistakes", "drawn"), [(0, 0), (7, 7), (50, 30)])
def test_the_mistakes_are_drawn(mistakes: int, drawn: int) -> None:
    figure = Figure()
    targets = np.arange(100) % 10
    predictions = np.where(np.arange(100) < mistakes, 9 - targets, targets)
    log = Log("any", 1, 0.9, predictions=predictions)
    draw_mistakes(figure, log, np.random.default_rng(0).random((100, 1, 32, 32)), targets)
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == drawn
    assert [axes.get_title() for axes in pictures] == [f"{9 - i % 10} ({i % 10})" for i in range(drawn)]


@pytest.mark.usefixtures("few_digits")
def test_a_seed_repeats_a_run(tmp_path: Path) -> None:
    def losses(seed: int) -> list[list[float]]:
        report = Report("simple-cnn", tmp_path, 10)
        simple_cnn.run(report, epochs=1, seed=seed)
        return [log.losses for log in report.logs]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_digits_of_28_by_28_name_the_layer_and_the_fix() -> None:
    """The document's own mistake: its ``16 * 5 * 5`` is for 32x32."""
    with pytest.raises(ShapeError) as raised:
        simple_cnn.SimpleCNN()(minidl.zeros(32, 1, 28, 28))
    message = str(raised.value)
    assert "fc1" in message
    assert "400" in message
    assert "256" in message


@pytest.mark.parametrize(
    ("dtype", "options", "steps", "tolerance"),
    [
        # the document's own setting, to float32's last digits
        ("float32", {"lr": 0.01}, 200, 1e-3),
        # with momentum the loss falls within these steps. Near ties in a pooling window break one way or the other by
        # float32's rounding, and momentum lets such runs drift apart; in float64 they stay together.
        ("float64", {"lr": 0.01, "momentum": 0.9}, 200, 1e-9),
    ],
)
def test_it_follows_pytorch(
    dtype: str, options: dict[str, float], steps: int, tolerance: float, request: pytest.FixtureRequest
) -> None:
    """From PyTorch's initial weights, on the same batches, the loss of every step is PyTorch's."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    # two pools of threads that take turns would wait for each other
    request.addfinalizer(functools.partial(torch.set_num_threads, torch.get_num_threads()))
    torch.set_num_threads(1)
    torch.manual_seed(0)
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2, 2),
        torch.nn.Conv2d(6, 16, 5),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2, 2),
        torch.nn.Flatten(),
        torch.nn.Linear(400, 120),
        torch.nn.ReLU(),
        torch.nn.Linear(120, 84),
        torch.nn.ReLU(),
        torch.nn.Linear(84, 10),
        torch.nn.LogSoftmax(dim=1),
    ).to(getattr(torch, dtype))
    mine = simple_cnn.SimpleCNN()
    for p, q in zip(mine.parameters(), theirs.parameters(), strict=True):
        p.data = minidl.tensor(q.detach().numpy().copy())
    my_optimizer, their_optimizer = (
        optim.SGD(mine.parameters(), **options),
        torch.optim.SGD(theirs.parameters(), **options),
    )
    losses = []
    loader = DataLoader(simple_cnn.digits("train"), batch_size=32, shuffle=True)
    for step, (data, target) in zip(range(steps), loader, strict=False):
        data = data.astype(dtype)
        my_optimizer.zero_grad()
        my_loss = F.nll_loss(mine(data), target)
        my_loss.backward()
        my_optimizer.step()
        their_optimizer.zero_grad()
        their_loss = torch.nn.functional.nll_loss(theirs(torch.tensor(data.numpy())), torch.tensor(target.numpy()))
        their_loss.backward()
        their_optimizer.step()
        losses.append(my_loss.item())
        assert losses[-1] == pytest.approx(their_loss.item(), abs=tolerance), f"at step {step}"
    assert len(losses) == steps
    assert "momentum" not in options or losses[-1] < 1.5  # it did learn, so there was something to follow
