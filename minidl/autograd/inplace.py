"""Writing into a tensor that is part of a graph.

``x += y`` computes ``x + y`` as always, copies the result into ``x``'s memory, and lets ``x`` stand for the result
from then on. If ``x`` is a view, its base changed too: the base's new value is "the old base with that region
replaced", an operation like any other (:class:`ScatterView`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.autograd.modes import modes
from minidl.autograd.operation import Operation
from minidl.autograd.variable import Variable, View
from minidl.backend import is_read_only
from minidl.errors import DTypeError, GradError, ShapeError


class ScatterView(Operation):
    """``x`` with the region that ``view`` sees replaced by ``value``."""

    def forward(self, x: Any, value: Any, view: View, written: bool = False) -> Any:
        self.view = View(None, view.steps, 0)  # without its base, which will refer to this node
        if written:  # x holds the result already
            return x
        x = self.xp.array(x, order="C")  # NumPy's scalars, too, become arrays
        region = self.view.replay(x)
        if self.xp.may_share_memory(region, x):
            region[...] = value
        else:  # a reshape that was a view of the original but had to copy this
            positions = self.view.replay(self.xp.arange(x.size).reshape(x.shape))
            x.reshape(-1)[positions] = value
        return x

    def backward(self, grad: Any) -> Any:
        return scatter_view(grad, 0, self.view) if self.needs[0] else None, self.view.replay(grad)


def scatter_view(x: Any, value: Any, view: View) -> Any:
    """Return a copy of ``x`` in which the region that ``view`` sees holds ``value``."""
    return ScatterView.apply(x, value, view=view)


def check_writable(x: Variable, value: Any, name: str) -> None:
    """Raise a GradError if writing ``value`` into ``x`` would falsify a leaf, or pass by the graph of its base."""
    if not modes.now.grad:
        return
    view = x._view
    base = x if view is None else view.base
    if base._requires_grad and base._node is None:
        what = "a leaf" if view is None else "a view of a leaf"
        raise GradError(
            f"{name}: {what} tensor that requires gradients cannot be changed in place while a graph is recorded; "
            "update parameters inside `with minidl.no_grad():`, or use the out-of-place form"
        )
    if (
        view is not None
        and not view.recorded
        and (base._requires_grad or (isinstance(value, Variable) and value._requires_grad))
    ):
        raise GradError(
            f"{name}: this view was taken under no_grad, so a graph cannot follow what is written through it; take the "
            "view outside of no_grad, or write inside it too"
        )


def update(x: Variable, result: Variable, name: str) -> Any:
    """Write ``result`` into ``x``'s memory, and let ``x`` (and the base it is a view of) continue ``result``'s graph.

    Raises
    ------
    ShapeError, DTypeError
        If the result does not fit into ``x`` as it is.
    GradError
        If ``x`` is a leaf that requires gradients, or a view that was taken under no_grad.
    """
    check_writable(x, result, name)
    if result.array.shape != x.array.shape:
        raise ShapeError(
            f"{name}: the result has shape {result.array.shape}, which does not fit in place into a tensor of shape "
            f"{x.array.shape}; write y = ... instead"
        )
    if not np.can_cast(result.array.dtype, x.array.dtype, casting="same_kind"):
        raise DTypeError(
            f"{name}: the result is {result.array.dtype}, which a tensor of {x.array.dtype} cannot hold in place; "
            "convert the tensor first: x = x.float()"
        )
    if is_read_only(x.array):
        raise GradError(f"{name}: this tensor is a read-only view (of expand, say); clone() it first")
    if result._node is not None:
        keep_saved(result._node, x.array)
    x.array[...] = result.array
    adopt(x, result)
    return x


def keep_saved(node: Operation, array: Any) -> None:
    """Let ``node`` copy ``array`` if it saved it: ``x *= y`` is about to overwrite what its backward needs."""
    if type(node._saved) is tuple and any(a is array for a in node._saved):
        copy = array.copy()
        own = {i for i, a in enumerate(node._saved) if a is array}
        node._saved = tuple(copy if i in own else a for i, a in enumerate(node._saved))
        node._moments = [
            ([0], 0, *moment[2:]) if moment is not None and i in own else moment
            for i, moment in enumerate(node._moments)
        ]


def adopt(x: Variable, result: Variable) -> None:
    """Let ``x``, whose memory holds ``result``'s values already, take ``result``'s place in the graph."""
    x.bump()
    if not modes.now.grad:
        return
    view = x._view
    if view is not None:
        view.version = x.version
    if not (result._requires_grad or x._requires_grad):
        return
    x.take_place(result)
    if view is not None:
        base = view.base
        base.take_place(ScatterView.apply(base, x, view=view, written=True))
