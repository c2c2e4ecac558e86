"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from minidl.errors import ArgumentError
from minidl.keras.layers.input_layer import InputLayer
from minidl.keras.structure import is_shape
from minidl.keras.symbolic import Node

if TYPE_CHECKING:
    from minidl.keras.layer import Layer
    from minidl.keras.models.model import Model

__all__ = ["Table"]


class Table:
    """The layers of a model, one a row; ``str`` draws it.

    Parameters
    ----------
    model : Model
    width : int, optional
        Of the whole table, in characters.
    nested : bool
        Whether to show the layers of models inside of the model.
    trainable : bool
        Whether to show which layers are trained.
    only : (str, str), optional
        The names of the first and the last layer to show.
    """

    def __init__(
        self,
        model: Model,
        width: int | None = None,
        nested: bool = False,
        trainable: bool = False,
        only: Sequence[str] | None = None,
    ) -> None:
        self.model = model
        self.width = width
        self.nested = nested
        self.trainable = trainable
        self.layers = _between(model, only)
        # a chain needs no column that says what is connected to what
        graph = model._graph
        self.connected = graph is not None and any(len(node.inputs) > 1 for node in graph.all_nodes)
        self.connected = self.connected or (graph is not None and len(graph.flat_outputs) > 1)

    def header(self) -> list[str]:
        """Return the titles of the columns."""
        columns = ["Layer (type)", "Output Shape", "Param #"]
        return columns + ["Connected to"] * self.connected + ["Trainable"] * self.trainable

    def rows(self, layers: Sequence[Layer] | None = None, depth: int = 0) -> Iterator[list[str]]:
        """Yield what stands in each row."""
        for layer in self.layers if layers is None else layers:
            cells = [
                "  " * depth + f"{layer.name} ({layer._serialized_name})",
                _output_shape(layer),
                f"{layer.count_params():,}" if layer.built else "? (not built)",
            ]
            if self.connected:
                cells.append(", ".join(self._sources(layer)) or "-")
            if self.trainable:
                cells.append(("Y" if layer.trainable else "N") if layer.variables else "-")
            yield cells
            below = getattr(layer, "layers", None)
            if self.nested and below:
                yield from self.rows(below, depth + 1)

    def _sources(self, layer: Layer) -> Iterator[str]:
        graph = self.model._graph
        for node in graph.all_nodes if graph is not None else []:
            if node.layer is layer:
                yield from (f"{x.history.layer.name}[{x.history.tensor_index}]" for x in node.inputs if x.history)

    def __str__(self) -> str:
        cells = [self.header(), *self.rows()]
        widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
        if self.width is not None:  # the first column takes, or gives up, what is left
            widths[0] = max(12, self.width - sum(widths[1:]) - 3 * len(widths) - 1)
        lines = [f"Model: {self.model.name!r}".replace("'", '"'), _rule(widths, "┏━┳┓"), _line(cells[0], widths, "┃")]
        lines.append(_rule(widths, "┡━╇┩"))
        for i, row in enumerate(cells[1:]):
            if i:
                lines.append(_rule(widths, "├─┼┤"))
            lines.append(_line(row, widths, "│"))
        lines.append(_rule(widths, "└─┴┘"))
        return "\n".join([*lines, *self._totals()])

    def _totals(self) -> Iterator[str]:
        if not self.model.built:
            yield " Its weights are made when it sees its first input"
            return
        groups = {
            "Total": self.model.variables,
            "Trainable": self.model.trainable_variables,
            "Non-trainable": self.model.non_trainable_variables,
        }
        for title, variables in groups.items():
            count, size = (sum(getattr(x.array, what) for x in variables) for what in ("size", "nbytes"))
            yield f" {title} params: {count:,} ({_amount(size)})"


def _between(model: Model, only: Sequence[str] | None) -> list[Layer]:
    graph = model._graph
    layers = list(model.layers)
    if graph is not None and any(len(node.inputs) > 1 for node in graph.all_nodes):
        layers = list(graph.layers)
    if only is None:
        return layers
    names = [layer.name for layer in layers]
    if len(only) != 2 or any(name not in names for name in only):
        raise ArgumentError(f"summary: layer_range must be the names of two layers of {names}, got {only}")
    first, last = sorted(names.index(name) for name in only)
    return layers[first : last + 1]


def _output_shape(layer: Layer) -> str:
    if isinstance(layer, InputLayer):
        return str(layer.batch_shape)
    shapes: list[Any] = []
    for node in layer.nodes:
        shapes += [shape for shape in _shapes(node) if shape not in shapes]
    return ", ".join(map(str, shapes)) or "?"


def _shapes(node: Node) -> list[Any]:
    outputs = node.outputs if isinstance(node.outputs, (list, tuple)) and not is_shape(node.outputs) else [node.outputs]
    return [x.shape for x in outputs]


def _line(row: Sequence[str], widths: Sequence[int], bar: str) -> str:
    cells = [_cut(cell, width) for cell, width in zip(row, widths, strict=True)]
    cells = [f"{x:>{w}}" if i == 2 else f"{x:<{w}}" for i, (x, w) in enumerate(zip(cells, widths, strict=True))]
    return f"{bar} " + f" {bar} ".join(cells) + f" {bar}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _rule(widths: Sequence[int], corners: str) -> str:
    left, dash, cross, right = tuple(corners)
    return left + cross.join(dash * (width + 2) for width in widths) + right


def _amount(size: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024 or unit == "GB":
            break
        size /= 1024
    return f"{size:.2f} {unit}"
