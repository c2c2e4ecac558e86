"""Document 000's network: it learns as PyTorch's does."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import minidl
import minidl.nn.functional as F
from minidl import optim
from minidl.data import DataLoader
from minidl.errors import ShapeError
from minidl.examples import simple_cnn


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
    steps = steps if minidl.get_default_device() == "cpu" else 3  # enough to see each kernel follow
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
    assert "momentum" not in options or steps < 200 or losses[-1] < 1.5  # it learned
