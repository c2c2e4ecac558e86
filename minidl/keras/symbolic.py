"""Symbolic tensors: what a layer returns when it is called before there is any data.

A :class:`KerasTensor` has a shape and a dtype, and knows the :class:`Node` that made it: which layer, called with what.
So a few calls leave a graph behind, and :class:`Graph` turns the part of it between given inputs and outputs into
something that can be run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from minidl._tensor import Tensor
from minidl.errors import ArgumentError, DTypeError, ShapeError, StateError
from minidl.keras.names import auto_name
from minidl.keras.serialization import builtin
from minidl.keras.structure import flatten, map_structure

if TYPE_CHECKING:
    from minidl.keras.layer import Layer

__all__ = ["Graph", "KerasTensor", "Node", "any_symbolic", "fits", "with_rank_of"]


class History(NamedTuple):
    """Where a symbolic tensor comes from: output ``tensor_index`` of the layer's call ``node_index``."""

    layer: Layer
    node_index: int
    tensor_index: int


@builtin("keras")
class KerasTensor:
    """A tensor without values: a shape, in which None is a size not yet known, a dtype, and where it comes from.

    Parameters
    ----------
    shape : tuple of int or None
        With the batch first.
    dtype : str
    name : str, optional

    Returns
    -------
    KerasTensor, the shape ``shape``

    Raises
    ------
    DTypeError
        If it is used as if it had values; the message names the layer to use instead.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.layers.Dense(3)(keras.Input((5,)))
    <KerasTensor shape=(None, 3), dtype=float32, name=keras_tensor...>

    References
    ----------
    ``keras.KerasTensor``.
    """

    # NumPy asks this first: `array * symbolic` then comes to the errors below instead of an array of objects
    __array_ufunc__ = None

    def __init__(self, shape: Sequence[int | None], dtype: str = "float32", name: str | None = None) -> None:
        self.shape = tuple(shape)
        self.dtype = dtype
        self.name = name or auto_name("keras_tensor")
        self.history: History | None = None

    @property
    def ndim(self) -> int:
        """The number of axes, the batch included."""
        return len(self.shape)

    def serialized(self) -> dict[str, Any]:
        """Return what stands for it in the config of a model."""
        if self.history is None:
            raise StateError("a KerasTensor that no layer made cannot be written; make it with keras.Input")
        layer, node_index, tensor_index = self.history
        return {
            "class_name": "__keras_tensor__",
            "config": {
                "shape": list(self.shape),
                "dtype": self.dtype,
                "keras_history": [layer.name, node_index, tensor_index],
            },
        }

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise DTypeError(
            f"{self!r} has no values yet, so arithmetic and NumPy cannot take it; connect symbolic tensors with layers "
            "(layers.Add()([a, b]) instead of a + b), or put the computation into the call of a Layer of your own"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _refuse
    __matmul__ = __rmatmul__ = __pow__ = __rpow__ = __neg__ = __getitem__ = __array__ = _refuse
    __float__ = __int__ = __bool__ = __iter__ = __len__ = _refuse


def any_symbolic(args: tuple[Any, ...]) -> bool:
    """Whether there is a symbolic tensor among the arguments of a call."""
    for x in args:
        if isinstance(x, KerasTensor) or (isinstance(x, (list, tuple, dict)) and any_symbolic(tuple(flatten(x)))):
            return True
    return False


class Node:
    """One call of a layer: its arguments, and the symbolic tensors it returned."""

    def __init__(self, layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
        self.layer = layer
        self.args = args
        self.kwargs = kwargs
        self.inputs = [x for x in flatten([args, kwargs]) if isinstance(x, KerasTensor)]
        self.outputs = outputs
        index = len(layer.nodes)
        layer.nodes.append(self)
        for position, x in enumerate(flatten(outputs)):
            x.history = History(layer, index, position)

    @property
    def parents(self) -> Iterator[Node]:
        """The nodes that made the inputs."""
        return (node_of(x) for x in self.inputs)


def node_of(x: KerasTensor) -> Node:
    """Return the node that made a symbolic tensor."""
    if x.history is None:
        raise StateError(f"{x!r} was made by no layer; begin with keras.Input")
    return x.history.layer.nodes[x.history.node_index]


class Graph:
    """The layers between some symbolic inputs and outputs, in an order in which they can be run.

    Parameters
    ----------
    inputs, outputs : KerasTensor, or list, tuple or dict of them
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs, self.outputs = inputs, outputs
        self.flat_inputs: list[KerasTensor] = flatten(inputs)
        self.flat_outputs: list[KerasTensor] = flatten(outputs)
        for name, tensors in ("inputs", self.flat_inputs), ("outputs", self.flat_outputs):
            if not tensors or not all(isinstance(x, KerasTensor) for x in tensors):
                raise DTypeError(
                    f"Model: {name} must be symbolic tensors, which keras.Input and layers called with them return; "
                    f"got {[type(x).__name__ for x in tensors]}"
                )
        nodes = self._nodes_from_inputs()
        depth = self._depths(nodes)  # as Keras orders layers, which is the order of weights in files
        first = {node.layer: i for i, node in reversed(list(enumerate(nodes)))}
        self.layers: list[Layer] = sorted(depth, key=lambda layer: (-depth[layer], first[layer]))
        given = {id(x) for x in self.flat_inputs}
        self.all_nodes = nodes
        # a node all of whose outputs are given need not run: an Input, or a layer in the middle of a larger model
        self.nodes = [node for node in nodes if not all(id(x) in given for x in flatten(node.outputs))]
        names = [layer.name for layer in self.layers]
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            raise ArgumentError(f"Model: two layers are called {twice[0]!r}; give one of them another name=")

    def _nodes_from_inputs(self) -> list[Node]:
        """Return all nodes, each after those it depends on: depth first, without recursion."""
        given = {id(x) for x in self.flat_inputs}
        order: list[Node] = []
        done: set[Node] = set()
        for output in self.flat_outputs:
            stack: list[tuple[Node, Iterator[Node]]] = [(node_of(output), self._needed(node_of(output), given))]
            while stack:
                node, parents = stack[-1]
                parent = next(parents, None)
                if node in done:
                    stack.pop()
                elif parent is None:
                    done.add(node)
                    order.append(node)
                    stack.pop()
                elif parent not in done:
                    stack.append((parent, self._needed(parent, given)))
        for x in self.flat_inputs:  # an input that no output needs is still one
            if node_of(x) not in done and not node_of(x).inputs:
                done.add(node_of(x))
                order.append(node_of(x))
        return order

    def _needed(self, node: Node, given: set[int]) -> Iterator[Node]:
        outputs = flatten(node.outputs)
        if all(id(x) in given for x in outputs):
            return iter(())
        if not node.inputs:
            raise ArgumentError(
                f"Model: the outputs depend on {node.layer.name!r}, which is not among the inputs "
                f"{[x.name for x in self.flat_inputs]}; add it, or connect the outputs to the inputs given"
            )
        return (node_of(x) for x in node.inputs)

    def _depths(self, nodes: list[Node]) -> dict[Layer, int]:
        """Return how many layers there are, at most, from each to an output; all calls of a layer are as deep."""
        of_layer = {node.layer: 0 for node in nodes}
        depth = dict.fromkeys(nodes, 0)
        for node in reversed(nodes):
            depth[node] = of_layer[node.layer] = max(depth[node], of_layer[node.layer])
            if all(x in self.flat_inputs for x in flatten(node.outputs)):
                continue
            for parent in node.parents:
                depth[parent] = max(depth[parent], depth[node] + 1)
        return of_layer

    def run(self, inputs: Any, call: Callable[..., Any] | None = None) -> Any:
        """Return the outputs for inputs.

        Parameters
        ----------
        inputs : whatever has a shape, in a list, or a dict by name, if there are several
        call : callable ``(layer, *args, **kwargs)``, optional
            What to do with each layer, if it is not to be called itself.
        """
        values = {id(x): value for x, value in zip(self.flat_inputs, self._matched(inputs), strict=True)}

        def value_of(x: Any) -> Any:
            return values[id(x)] if isinstance(x, KerasTensor) else x

        for node in self.nodes:
            args = node.args
            apply = node.layer if call is None else partial(call, node.layer)
            if len(args) == 1 and isinstance(args[0], KerasTensor) and not node.kwargs:  # most layers
                result = apply(values[id(args[0])])
            else:
                result = apply(*map_structure(value_of, args), **map_structure(value_of, node.kwargs))
            if isinstance(node.outputs, KerasTensor):
                values[id(node.outputs)] = result
            else:
                for x, value in zip(flatten(node.outputs), flatten(result), strict=True):
                    values[id(x)] = value
        return map_structure(value_of, self.outputs)

    def names(self, tensors: list[KerasTensor]) -> list[str]:
        """Return the names of the layers that made symbolic tensors."""
        return [node_of(x).layer.name for x in tensors]

    def _matched(self, inputs: Any) -> list[Any]:
        """Return the values for the inputs, in the order of the inputs."""
        if isinstance(inputs, dict):
            names = list(self.inputs) if isinstance(self.inputs, dict) else self.names(self.flat_inputs)
            missing = [name for name in names if name not in inputs]
            if missing:
                raise ArgumentError(f"inputs: {missing} are missing; the model takes {names}, got {list(inputs)}")
            values = [inputs[name] for name in names]
        else:
            values = flatten(inputs)
        if len(values) != len(self.flat_inputs):
            raise ArgumentError(
                f"inputs: the model takes {len(self.flat_inputs)} tensors "
                f"({', '.join(f'{x.name} {x.shape}' for x in self.flat_inputs)}), got {len(values)}"
            )
        values = [with_rank_of(x, value) for x, value in zip(self.flat_inputs, values, strict=True)]
        for x, value in zip(self.flat_inputs, values, strict=True):
            if not fits(value.shape, x.shape):
                raise ShapeError(
                    f"input {x.name}: expected the shape {x.shape}, got {tuple(value.shape)}; None stands for any size"
                )
        return values


def with_rank_of(x: KerasTensor, value: Any) -> Any:
    """Return a value with a last axis of size 1 added or left out, if it lacks nothing else to fit an input."""
    rank, expected = len(value.shape), len(x.shape)
    if rank == expected - 1 and x.shape[-1] == 1 and isinstance(value, Tensor):
        return value.reshape(*value.shape, 1)
    if rank == expected + 1 and value.shape[-1] == 1 and isinstance(value, Tensor):
        return value.reshape(*value.shape[:-1])
    return value


def fits(shape: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    """Whether a shape is as expected, where None is any size."""
    return len(shape) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(shape, expected, strict=True)
    )
