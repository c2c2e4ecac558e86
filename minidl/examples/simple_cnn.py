"""Document 000, section 4.1: a small convolutional network reads handwritten digits, in PyTorch's dialect.

The document's listing does not run as printed. It uses ``F`` and ``train_loader``, which nothing defines; its
``16 * 5 * 5`` is right for images of 32x32, while MNIST's are 28x28; and ``nll_loss`` expects log-probabilities, but
is given the network's raw scores. Here the digits are padded to 32x32, and the network ends in ``log_softmax``.
"""

from typing import Any

import numpy as np

import minidl
import minidl.nn.functional as F
from minidl import datasets, nn, optim
from minidl.data import DataLoader, TensorDataset
from minidl.data.transforms import Pad
from minidl.examples.report import Report
from minidl.training.metrics import accuracy

#: The document's optimiser, and one with larger steps that carry momentum and end small: its options, whether the
#: learning rate falls along a cosine, and the accuracy that any seed reaches in ten epochs.
SETTINGS: dict[str, tuple[dict[str, Any], bool, str]] = {
    "sgd": ({"lr": 0.01}, False, ">= 0.90"),
    "momentum": ({"lr": 0.05, "momentum": 0.9}, True, ">= 0.97"),
}


class SimpleCNN(nn.Module):
    """LeNet's layout: two convolutions, each with a pooling, then three dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: minidl.Tensor) -> minidl.Tensor:  # (N, 1, 32, 32)
        x = self.pool(F.relu(self.conv1(x)))  # (N, 6, 14, 14)
        x = self.pool(F.relu(self.conv2(x)))  # (N, 16, 5, 5)
        x = x.flatten(1)  # (N, 400)
        x = F.relu(self.fc1(x))  # (N, 120)
        x = F.relu(self.fc2(x))  # (N, 84)
        return F.log_softmax(self.fc3(x), dim=1)  # (N, 10)


def digits(split: str) -> TensorDataset:
    """Return the digits of a split, with a border of two pixels: (1, 32, 32) each."""
    mnist = datasets.mnist(split)
    return TensorDataset(Pad(2)(mnist.data.numpy()), mnist.targets)


@minidl.no_grad()
def predict(model: SimpleCNN, dataset: TensorDataset) -> np.ndarray:
    """Return the network's log-probabilities (N, 10) for the digits of a data set."""
    return np.concatenate([model(data).numpy() for data, _ in DataLoader(dataset, batch_size=500)])


def run(report: Report, epochs: int = 10, seed: int = 0) -> None:
    """Train the network once with each setting, and report how well it reads digits that it has not seen."""
    train, test = digits("train"), digits("test")
    x_test, y_test = test.tensors
    for name, (options, falling, goal) in SETTINGS.items():
        minidl.manual_seed(seed)
        model = SimpleCNN()
        optimizer = optim.SGD(model.parameters(), **options)
        loader = DataLoader(train, batch_size=32, shuffle=True)
        schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs * len(loader))
        with report.training(goal, f"simple-cnn-{name}.safetensors", name) as log:
            for _ in range(epochs):
                for data, target in log.batches(loader, epochs):
                    optimizer.zero_grad()
                    loss = F.nll_loss(model(data), target)
                    loss.backward()
                    optimizer.step()
                    if falling:
                        schedule.step()
                    log.loss(loss.item())
                log.epoch(val_accuracy=accuracy(predict(model, test), y_test))

        scores = predict(model, test)
        log.result("accuracy", accuracy(scores, y_test))
        print(f"Accuracy: {log.figure:.4f}")

        minidl.save(model.state_dict(), log.file)
        loaded = SimpleCNN()
        loaded.load_state_dict(minidl.load(log.file))
        log.loaded_back(scores, predict(loaded, test))
    report.digits(scores, x_test, y_test)
