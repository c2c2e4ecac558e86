"""plot_model: a picture of how the layers of a model are connected."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from minidl.errors import ArgumentError, StateError
from minidl.keras.layers import InputLayer, Layer
from minidl.keras.serialization import get_registered_name
from minidl.keras.structure import map_structure
from minidl.keras.symbolic import Graph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_model"]

_COLOURS = {"input": "#dfe9d5", "weights": "#d8e4f2", "plain": "#f3f0e6"}
_LINE, _GAP, _LETTER = 0.22, 0.45, 0.092  # inches: the height of a line, the room between boxes, the width of a letter


def plot_model(
    model: Any,
    to_file: str | PathLike[str] | None = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
) -> Figure:
    """Draw the layers of a model as boxes, and what goes from one to the next as arrows.

    Parameters
    ----------
    model : Sequential or Model
        Built, and made of symbolic tensors.
    to_file : str or path, optional
        Where to save the picture; its ending says in what format.
    show_shapes, show_dtype, show_layer_names, show_layer_activations, show_trainable : bool
        What else to write into each box.
    rankdir : {"TB", "LR"}
        From top to bottom, or from left to right.
    expand_nested : bool
        Must be False: a model inside of the model is one box.
    dpi : int
        Dots an inch.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    StateError
        If the model is not built, or computes in a ``call`` of its own, which cannot be drawn.
    ArgumentError
        If ``rankdir`` or ``expand_nested`` is something else.
    ImportError
        If matplotlib is missing.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="relu")])
    >>> figure = keras.utils.plot_model(model, to_file=None, show_shapes=True)

    References
    ----------
    ``keras.utils.plot_model``.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'plot_model draws with matplotlib, which is not installed: pip install "minidl[viz]"'
        ) from error
    if rankdir not in ("TB", "LR"):
        raise ArgumentError(f"plot_model: rankdir must be 'TB' (top to bottom) or 'LR' (left to right), got {rankdir!r}")
    if expand_nested:
        raise ArgumentError("plot_model: expand_nested=True does not exist here; plot the inner model by itself")
    graph = model._graph
    if graph is None:
        raise StateError(
            f"plot_model: {model.name!r} has no graph to draw: it is not built yet (call it with data, or begin with "
            "keras.Input), or it computes in a call of its own"
        )
    texts = {}
    for layer in graph.layers:
        lines = [f"{layer.name} ({get_registered_name(type(layer))})" if show_layer_names else type(layer).__name__]
        activation = getattr(layer, "activation", None)
        if show_layer_activations and activation is not None:
            lines.append(f"activation: {getattr(activation, '__name__', activation)}")
        if show_shapes:
            lines += [f"in: {_shapes(layer, 'inputs')}"] if not isinstance(layer, InputLayer) else []
            lines.append(f"out: {_shapes(layer, 'outputs')}")
        if show_dtype:
            lines.append(f"dtype: {layer.dtype}")
        if show_trainable and layer.variables:
            lines.append("trained" if layer.trainable else "not trained")
        texts[layer] = lines
    places, size = _places(graph, texts, rankdir)
    figure = Figure(figsize=size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, size[0]), ylim=(size[1], 0))
    axes.axis("off")
    for node in graph.nodes:
        for x in node.inputs:
            source = x.history.layer if x.history is not None else None
            if source in places and node.layer in places:
                _arrow(axes, places[source], places[node.layer], rankdir)
    for layer, (x, y, width, height) in places.items():
        kind = "input" if isinstance(layer, InputLayer) else "weights" if layer.variables else "plain"
        text = axes.text(x, y, "\n".join(texts[layer]), ha="center", va="center", fontsize=10, linespacing=1.35)
        text.set_bbox({"boxstyle": "square,pad=0", "facecolor": "none", "edgecolor": "none"})
        box = figure_box(x - width / 2, y - height / 2, width, height, _COLOURS[kind])
        axes.add_patch(box)
        text.set_zorder(3)
    if to_file is not None:
        figure.savefig(to_file, dpi=dpi)
    return figure


def figure_box(x: float, y: float, width: float, height: float, colour: str) -> Any:
    """Return a box with round corners."""
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch(
        (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.07", facecolor=colour, edgecolor="#555555", zorder=2
    )


def _arrow(axes: Any, start: tuple[float, ...], end: tuple[float, ...], rankdir: str) -> None:
    """Draw an arrow from the edge of one box to that of another."""
    (x0, y0, w0, h0), (x1, y1, w1, h1) = start, end
    tail, head = ((x0, y0 + h0 / 2), (x1, y1 - h1 / 2)) if rankdir == "TB" else ((x0 + w0 / 2, y0), (x1 - w1 / 2, y1))
    axes.annotate("", head, tail, arrowprops={"arrowstyle": "-|>", "color": "#555555", "shrinkA": 0, "shrinkB": 0})


def _shapes(layer: Layer, what: str) -> str:
    shapes = [map_structure(lambda x: x.shape, getattr(node, what)) for node in layer.nodes[:1]]
    if what == "inputs":
        shapes = shapes[0] if shapes and len(shapes[0]) > 1 else (shapes[0] if shapes else [])
    return ", ".join(str(shape) for shape in shapes)


def _places(graph: Graph, texts: dict[Layer, list[str]], rankdir: str) -> tuple[dict[Layer, Any], tuple[float, float]]:
    """Return the centre, width and height of each box, and the size of the whole, in inches.

    Layers stand in ranks: each as many ranks from the inputs as the longest way to it has steps.
    """
    rank: dict[Layer, int] = {}
    for node in graph.all_nodes:
        sources = [rank.get(x.history.layer, 0) + 1 for x in node.inputs if x.history is not None]
        rank[node.layer] = max([rank.get(node.layer, 0), *sources])
    ranks: list[list[Layer]] = [[] for _ in range(max(rank.values()) + 1)]
    for layer in graph.layers:
        ranks[rank[layer]].append(layer)
    box = {layer: (_LETTER * max(map(len, lines)) + 0.3, _LINE * len(lines) + 0.16) for layer, lines in texts.items()}
    along, across = (1, 0) if rankdir == "TB" else (0, 1)  # the side of a box that lies along the arrows
    breadth = [sum(box[x][across] for x in row) + _GAP * (len(row) - 1) for row in ranks]
    whole = max(breadth) + 2 * _GAP
    places = {}
    at = _GAP
    for row, wide in zip(ranks, breadth, strict=True):
        deep = max(box[x][along] for x in row)
        start = (whole - wide) / 2
        for layer in row:
            centre = start + box[layer][across] / 2, at + deep / 2
            places[layer] = (*(centre if rankdir == "TB" else centre[::-1]), *box[layer])
            start += box[layer][across] + _GAP
        at += deep + _GAP
    return places, (whole, at) if rankdir == "TB" else (at, whole)
