"""What the examples draw is what was measured."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from minidl.examples.pictures import draw_curves, draw_mistakes, draw_regression

CURVES = {"loss": [0.9, 0.4], "accuracy": [0.72, 0.9], "val_loss": [0.8, 0.5], "val_accuracy": [0.75, 0.85]}


@pytest.mark.parametrize(("mistakes", "drawn"), [(0, 0), (7, 7), (50, 30)])
@pytest.mark.parametrize("shape", [(1, 32, 32), (28, 28), (28, 28, 1), (784,)])
def test_the_mistakes_are_drawn(mistakes: int, drawn: int, shape: tuple[int, ...]) -> None:
    figure = Figure()
    targets = np.arange(100) % 10
    predictions = np.where(np.arange(100) < mistakes, 9 - targets, targets)
    images = np.random.default_rng(0).random((100, *shape))
    draw_mistakes(figure, "any", predictions, images, targets)
    pictures = [axes for axes in figure.axes if axes.images]
    assert len(pictures) == drawn
    assert [axes.get_title() for axes in pictures] == [f"{9 - i % 10} ({i % 10})" for i in range(drawn)]
    for axes, image in zip(pictures, images, strict=False):
        assert np.array_equal(axes.images[0].get_array().ravel(), image.ravel())
    assert figure.get_suptitle().startswith(f"any: {mistakes} mistakes in 100 unseen digits, here {drawn} of them\n")


def test_the_curves_are_those_of_training_and_of_unseen_digits() -> None:
    figure = Figure()
    draw_curves(figure, {"": CURVES})
    drawn = {line.get_label(): list(line.get_ydata()) for axes in figure.axes for line in axes.lines}
    assert drawn == {
        "training digits: 0.400": CURVES["loss"],
        "unseen digits: 0.500": CURVES["val_loss"],
        "training digits: 0.900": CURVES["accuracy"],
        "unseen digits: 0.850": CURVES["val_accuracy"],
    }
    assert figure.axes[1].get_ylim() == (0.7, 1.01)  # as near as the lowest point lets


def test_each_setting_has_a_colour() -> None:
    figure = Figure()
    unseen = {"loss": [0.9], "val_accuracy": [0.5]}
    draw_curves(figure, {"slow": unseen, "fast": unseen})
    for axes in figure.axes:
        assert [line.get_color() for line in axes.lines] == ["C0", "C1"]
    assert [line.get_label() for line in figure.axes[1].lines] == [
        "slow, unseen: 0.500",
        "fast, unseen: 0.500",
    ]


def test_the_least_loss_is_a_line() -> None:
    figure = Figure()
    settings = {"Dense(1)": {"loss": [2.0, 0.25]}, "Dense(2)": {"loss": [2.0, 1e-6]}}
    answers = {"Dense(1)": np.array([[1.5]]), "Dense(2)": np.array([[1.0, 2.0]])}
    draw_regression(figure, settings, answers, np.array([[1, 2]]), floor=0.25)
    left, right = figure.axes
    assert left.get_yscale() == "log"
    assert [line.get_label() for line in left.lines] == [
        "Dense(1): 0.25",
        "Dense(2): 1e-06",
        "0.25: the least that one output can reach",
    ]
    assert list(left.lines[2].get_ydata()) == [0.25, 0.25]
    points = [tuple(point) for group in right.collections for point in group.get_offsets().tolist()]
    assert points == [(1, 1), (1, 2), (1, 1.5), (1, 1), (1, 2)]
