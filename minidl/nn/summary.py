"""The table that :meth:`minidl.nn.Module.summary` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minidl.autograd import Variable, no_grad, wrap
from minidl.backend import CPU, as_dtype, default_dtype, device_of, to_device
from minidl.errors import ArgumentError

if TYPE_CHECKING:
    from minidl.nn.module import Module


class Row(NamedTuple):
    """One layer of a summary."""

    name: str
    kind: str
    output_shape: Any
    parameters: int


class Summary:
    """The layers of a model with their output shapes and parameter counts; prints as a table.

    Attributes
    ----------
    rows : list of Row
        One a layer, in definition order.
    total, trainable : int
        How many numbers the parameters hold, and how many of them are trained.
    size : int
        How many bytes the parameters and buffers take.
    """

    def __init__(self, title: str, rows: list[Row], total: int, trainable: int, size: int) -> None:
        self.title = title
        self.rows = rows
        self.total = total
        self.trainable = trainable
        self.size = size

    def __str__(self) -> str:
        cells = [("Layer", "Output shape", "Parameters")]
        for row in self.rows:
            depth = row.name.count(".")
            label = f"{'  ' * depth}{row.name} ({row.kind})"
            cells.append((label, str(row.output_shape) if row.output_shape else "-", f"{row.parameters:,}"))
        first, second, third = (max(len(line[i]) for line in cells) for i in range(3))
        lines = [f"{a:<{first}}  {b:<{second}}  {c:>{third}}" for a, b, c in cells]
        rule = "-" * len(lines[0])
        foot = [
            f"Total parameters: {self.total:,}",
            f"Trainable parameters: {self.trainable:,}",
            f"Size: {_bytes(self.size)}",
        ]
        return "\n".join([self.title, rule, lines[0], rule, *lines[1:], rule, *foot])

    __repr__ = __str__


def _bytes(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} B" if unit == "B" else f"{amount:.2f} {unit}"
        amount /= 1024
    return f"{amount:.2f} GiB"


def _shape_of(output: Any) -> Any:
    """Return the shape of a tensor, or the shapes of the tensors in what a layer returned."""
    if isinstance(output, Variable):
        return output.array.shape
    if isinstance(output, (tuple, list)):
        return ", ".join(str(_shape_of(x)) for x in output)
    return None


def summarize(model: Module, input_shapes: tuple[Any, ...], dtype: Any) -> Summary:
    """Run ``model`` on zeros in evaluation mode, watching what each layer returns."""
    first = next(model.parameters(), None)
    if len(input_shapes) > 0 and all(isinstance(size, int) for size in input_shapes):
        input_shapes = (input_shapes,)  # summary(32, 784) means what summary((32, 784)) does
    for shape in input_shapes:
        if not isinstance(shape, (tuple, list)) or not all(isinstance(size, int) and size >= 0 for size in shape):
            raise ArgumentError(f"summary: expected the shape of each input, as (32, 1, 28, 28); got {shape!r}")
    kind, place = (default_dtype(), CPU) if first is None else (first.array.dtype, device_of(first.array))
    if dtype is not None:
        kind = as_dtype(dtype)
    inputs = [wrap(to_device(np.zeros(tuple(shape), kind), place)) for shape in input_shapes]

    shapes: dict[int, Any] = {}
    modes = [(module, module.training) for module in model.modules()]
    handles = [
        module.register_forward_hook(lambda module, args, output: shapes.__setitem__(id(module), _shape_of(output)))
        for module, _ in modes
    ]
    try:
        for module, _ in modes:
            module.training = False
        with no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training

    counted: set[int] = set()
    rows = []
    for name, module in model.named_modules():
        if module is model and next(model.children(), None) is not None:
            continue
        own = [x for x in module.parameters(recurse=False) if id(x) not in counted]
        counted.update(map(id, own))
        rows.append(
            Row(
                name or type(module).__name__,
                type(module).__name__,
                shapes.get(id(module)),
                sum(x.array.size for x in own),
            )
        )
    tensors = [*model.parameters(), *model.buffers()]
    return Summary(
        type(model).__name__,
        rows,
        model.num_parameters(),
        model.num_parameters(trainable_only=True),
        sum(x.array.nbytes for x in tensors),
    )
