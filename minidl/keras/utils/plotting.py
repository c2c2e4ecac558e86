"""plot_model: a picture of how the layers of a model are connected."""

from __future__ import annotations

import itertools
from os import PathLike
from typing import TYPE_CHECKING, Any

from minidl.errors import ArgumentError, StateError
from minidl.keras.layers import InputLayer, Layer
from minidl.keras.serialization import get_registered_name
from minidl.keras.structure import flatten
from minidl.keras.symbolic import Graph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_model"]

_COLOURS = {"input": "#dfe9d5", "weights": "#d8e4f2", "plain": "#f3f0e6"}
_INK = "#555555"
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
        from matplotlib.patches import FancyBboxPatch
    except ImportError as error:
        raise ImportError(
            'plot_model draws with matplotlib, which is not installed: pip install "minidl[viz]"'
        ) from error
    if rankdir not in ("TB", "LR"):
        raise ArgumentError(
            f"plot_model: rankdir must be 'TB' (top to bottom) or 'LR' (left to right), got {rankdir!r}"
        )
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
    layout = Layout(graph, texts, rankdir)
    figure = Figure(figsize=layout.size)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, layout.size[0]), ylim=(layout.size[1], 0))
    axes.axis("off")
    for way in layout.ways:
        xs, ys = zip(*way, strict=True)
        axes.plot(xs[:-1], ys[:-1], color=_INK, linewidth=1, solid_joinstyle="round", zorder=1)
        axes.annotate("", way[-1], way[-2], arrowprops={"arrowstyle": "-|>", "color": _INK, "shrinkA": 0, "shrinkB": 0})
    for layer, lines in texts.items():
        x, y, width, height = layout.boxes[layer]
        kind = "input" if isinstance(layer, InputLayer) else "weights" if layer.variables else "plain"
        box = FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.07",
            facecolor=_COLOURS[kind],
            edgecolor=_INK,
            zorder=2,
        )
        axes.add_patch(box)
        axes.text(x, y, "\n".join(lines), ha="center", va="center", fontsize=10, linespacing=1.35, zorder=3)
    if to_file is not None:
        figure.savefig(to_file, dpi=dpi)
    return figure


class Layout:
    """Where each box stands, and the way of each arrow, in inches.

    Layers stand in ranks: each as many ranks from the inputs as the longest way to it has steps. An arrow across
    several ranks keeps a narrow place in each for itself, so that it passes beside the boxes there.

    Attributes
    ----------
    size : (float, float)
    boxes : dict of Layer to (x, y, width, height), the centre first
    ways : list of lists of (x, y)
    """

    def __init__(self, graph: Graph, texts: dict[Layer, list[str]], rankdir: str) -> None:
        self.down = rankdir == "TB"
        rank: dict[Any, int] = {}
        edges: list[tuple[Any, Any]] = []
        for node in graph.all_nodes:
            sources = [x.history.layer for x in node.inputs if x.history is not None and x.history.layer in texts]
            rank[node.layer] = max([rank.get(node.layer, 0), *(rank[source] + 1 for source in sources)])
            edges += [(source, node.layer) for source in sources]
        rows: list[list[Any]] = [[] for _ in range(max(rank.values()) + 1)]
        for layer in graph.layers:
            rows[rank[layer]].append(layer)
        routes: list[list[Any]] = []
        for source, target in edges:
            gaps = [(len(routes), r) for r in range(rank[source] + 1, rank[target])]
            for gap in gaps:
                rows[gap[1]].append(gap)
            routes.append([source, *gaps, target])
        self._sort(rows, routes)
        sizes = {x: (_LETTER * max(map(len, lines)) + 0.3, _LINE * len(lines) + 0.16) for x, lines in texts.items()}
        places, self.size = self._place(rows, sizes)
        self.boxes = {layer: (*places[layer], *sizes[layer]) for layer in texts}
        self.ways = []
        for route in routes:
            first, last = self.boxes[route[0]], self.boxes[route[-1]]
            way = [self._edge(first, 1), *itertools.chain.from_iterable(places[gap] for gap in route[1:-1])]
            way.append(self._edge(last, -1))
            self.ways.append([way[0], *way] if len(way) == 2 else way)

    def _sort(self, rows: list[list[Any]], routes: list[list[Any]]) -> None:
        """Order each rank by the mean place of what leads to it, so that few arrows cross."""
        before: dict[Any, list[Any]] = {}
        for route in routes:
            for one, next_one in itertools.pairwise(route):
                before.setdefault(next_one, []).append(one)
        at: dict[Any, float] = {}
        for row in rows:
            middle = {x: i / max(len(row) - 1, 1) for i, x in enumerate(row)}
            row.sort(key=lambda x: sum(at[y] for y in before[x]) / len(before[x]) if x in before else middle[x])
            at.update({x: i / max(len(row) - 1, 1) for i, x in enumerate(row)})

    def _place(self, rows: list[list[Any]], sizes: dict[Any, Any]) -> tuple[dict[Any, Any], tuple[float, float]]:
        along, across = (1, 0) if self.down else (0, 1)  # the side of a box that lies along the arrows
        side = {x: (sizes[x][across] if x in sizes else 0.1) for row in rows for x in row}
        breadth = [sum(side[x] for x in row) + _GAP * (len(row) - 1) for row in rows]
        whole = max(breadth) + 2 * _GAP
        places = {}
        at = _GAP
        for row, wide in zip(rows, breadth, strict=True):
            deep = max((sizes[x][along] for x in row if x in sizes), default=0.0)
            start = (whole - wide) / 2
            for x in row:
                middle = start + side[x] / 2
                points = [(middle, at + deep / 2)] if x in sizes else [(middle, at), (middle, at + deep)]
                points = points if self.down else [point[::-1] for point in points]
                places[x] = points[0] if x in sizes else points  # an arrow passes straight through its rank
                start += side[x] + _GAP
            at += deep + _GAP
        return places, (whole, at) if self.down else (at, whole)

    def _edge(self, box: tuple[float, ...], direction: int) -> tuple[float, float]:
        """Return the middle of the side where arrows leave a box (1), or come to it (-1)."""
        x, y, width, height = box
        return (x, y + direction * height / 2) if self.down else (x + direction * width / 2, y)


def _shapes(layer: Layer, what: str) -> str:
    node = layer.nodes[0]
    return ", ".join(str(x.shape) for x in (node.inputs if what == "inputs" else flatten(node.outputs)))
