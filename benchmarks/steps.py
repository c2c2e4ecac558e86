"""The training steps that are timed. Each is written once: minidl and PyTorch differ in the import lines alone.

``python -m benchmarks.steps NAME FRAMEWORK SECONDS`` prints the microseconds of each step as JSON.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Step = Callable[[], Any]


def simple_cnn(framework: str) -> Step:
    """Return a step of document 000's convolutional network, batch 32, SGD."""
    root, nn, F, optim = load(framework)

    class SimpleCNN(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(1, 6, 5)
            self.pool = nn.MaxPool2d(2, 2)
            self.conv2 = nn.Conv2d(6, 16, 5)
            self.fc1 = nn.Linear(16 * 5 * 5, 120)
            self.fc2 = nn.Linear(120, 84)
            self.fc3 = nn.Linear(84, 10)

        def forward(self, x: Any) -> Any:  # (N, 1, 32, 32)
            x = self.pool(F.relu(self.conv1(x)))  # (N, 6, 14, 14)
            x = self.pool(F.relu(self.conv2(x)))  # (N, 16, 5, 5)
            x = x.flatten(1)  # (N, 400)
            x = F.relu(self.fc1(x))
            x = F.relu(self.fc2(x))
            return F.log_softmax(self.fc3(x), dim=1)  # (N, 10)

    rng = np.random.default_rng(0)
    data = root.tensor(rng.random((32, 1, 32, 32), np.float32))
    target = root.tensor(rng.integers(0, 10, 32))
    model = SimpleCNN()
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    return training(model, optimizer, F.nll_loss, data, target)


def small_dense(framework: str) -> Step:
    """Return a step of document 001's dense network on its three samples, Adam."""
    root, nn, F, optim = load(framework)
    model = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    data = root.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    target = root.tensor([[1.5], [3.5], [5.5]])
    return training(model, optim.Adam(model.parameters(), lr=0.001), F.mse_loss, data, target)


#: Every step by name: what it is, and what makes it.
STEPS: dict[str, tuple[str, Callable[[str], Step]]] = {
    "simple-cnn": ("`000` CNN, batch 32, SGD", simple_cnn),
    "small-dense": ("`001` dense 2-64-64-1, batch 3, Adam", small_dense),
}


def load(framework: str) -> tuple[Any, Any, Any, Any]:
    """Return a framework's package, and its ``nn``, ``nn.functional`` and ``optim``."""
    names = framework, f"{framework}.nn", f"{framework}.nn.functional", f"{framework}.optim"
    root, nn, functional, optim = map(importlib.import_module, names)
    return root, nn, functional, optim


def training(model: Any, optimizer: Any, criterion: Any, data: Any, target: Any) -> Step:
    """Return the step: forward, loss, backward, update."""

    def step() -> Any:
        optimizer.zero_grad()
        loss = criterion(model(data), target)
        loss.backward()
        optimizer.step()
        return loss

    return step


def timed(step: Step, seconds: float) -> list[float]:
    """Return the time of each step in microseconds, after a tenth of the time to warm up."""
    warm = time.perf_counter() + seconds / 10
    while time.perf_counter() < warm:
        step()
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        step()
        times.append((time.perf_counter() - started) * 1e6)
    return times


if __name__ == "__main__":
    print(json.dumps(timed(STEPS[sys.argv[1]][1](sys.argv[2]), float(sys.argv[3]))))
