"""plot_model: boxes that do not overlap, arrows that go where the graph goes."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import pytest

from minidl import keras
from minidl.errors import ArgumentError, StateError
from minidl.keras import layers
from minidl.keras.utils.plotting import Layout


def two_branches() -> keras.Model:
    image, words = keras.Input((6,), name="image"), keras.Input((4,), name="words")
    deep = image
    for _ in range(3):
        deep = layers.Dense(4, activation="relu")(deep)
    both = layers.Concatenate(name="both")([deep, layers.Dense(4, name="short")(words)])
    return keras.Model([image, words], [layers.Dense(3)(both), layers.Dense(1)(both)])


@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_boxes_keep_apart_and_no_arrow_passes_through_one(rankdir: str) -> None:
    graph = two_branches()._graph
    texts = {layer: [layer.name, "out: (None, 4)"] for layer in graph.layers}
    layout = Layout(graph, texts, rankdir)
    boxes = list(layout.boxes.values())
    for (x0, y0, w0, h0), (x1, y1, w1, h1) in itertools.combinations(boxes, 2):
        assert abs(x0 - x1) >= (w0 + w1) / 2 or abs(y0 - y1) >= (h0 + h1) / 2
    for x, y, w, h in boxes:
        assert w / 2 < x < layout.size[0] - w / 2
        assert h / 2 < y < layout.size[1] - h / 2
    inner = [(x, y, w - 0.05, h - 0.05) for x, y, w, h in boxes]
    for way in layout.ways:
        for (xa, ya), (xb, yb) in itertools.pairwise(way):
            for step in range(101):
                px, py = xa + (xb - xa) * step / 100, ya + (yb - ya) * step / 100
                assert not any(abs(px - x) < w / 2 and abs(py - y) < h / 2 for x, y, w, h in inner)
    assert len(layout.ways) == 8


def test_what_boxes_say(tmp_path: Path) -> None:
    figure = keras.utils.plot_model(
        two_branches(),
        tmp_path / "model.png",
        show_shapes=True,
        show_dtype=True,
        show_layer_names=True,
        show_layer_activations=True,
        show_trainable=True,
        dpi=50,
    )
    assert (tmp_path / "model.png").stat().st_size > 1000
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert "both (Concatenate)\nin: (None, 4), (None, 4)\nout: (None, 8)\ndtype: float32" in texts
    assert any("activation: relu\nin: (None, 6)\nout: (None, 4)\ndtype: float32\ntrained" in text for text in texts)


def test_what_cannot_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    model = keras.Sequential([layers.Dense(2)])
    with pytest.raises(StateError, match="has no graph to draw: it is not built yet"):
        keras.utils.plot_model(model, None)
    model.build((None, 3))
    with pytest.raises(ArgumentError, match="rankdir must be 'TB'"):
        keras.utils.plot_model(model, None, rankdir="BT")
    with pytest.raises(ArgumentError, match="plot the inner model by itself"):
        keras.utils.plot_model(model, None, expand_nested=True)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "minidl\[viz\]"'):
        keras.utils.plot_model(model, None)
