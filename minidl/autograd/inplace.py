"""Writing into a tensor that is part of a graph.

``x += y`` computes ``x + y`` as always, copies the result into ``x``'s memory, and lets ``x`` stand for the result
from then on. If ``x`` is a view, its base changed too: the base's new value is "the old base with that region
replaced", an operation like any other (:class:`ScatterView`).
"""

from __future__ import annotations

from typing import Any

from minidl.autograd.modes import modes
from minidl.autograd.operation import Operation
from minidl.autograd.variable import Variable, View
from minidl.backend import namespace
from minidl.errors import DTypeError, GradError, ShapeError


class ScatterView(Operation):
    """``x`` with the region that ``view`` sees replaced by ``value``."""

    def forward(self, x: Any, value: Any, view: View, written: bool = False) -> Any:
        self.view = View(None, view.steps, 0)  # without its base, which will refer to this node
        if written:  # x holds the result already
            return x
        x = x.copy()
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


def check_writable(x: Variable, name: str) -> None:
    """Raise a GradError if writing into ``x`` would falsify the leaf that a gradient is wanted of."""
    if not modes.now.grad:
        return
    base = x._view.base if x._view is not None else x
    if base._requires_grad and base._node is None:
        what = "a view of a leaf" if base is not x else "a leaf"
        raise GradError(
            f"{name}: {what} tensor that requires gradients cannot be changed in place while a graph is recorded; "
            "update parameters inside `with minidl.no_grad():`, or use the out-of-place form"
        )


def update(x: Variable, result: Variable, name: str) -> Any:
    """Write ``result`` into ``x``'s memory, and let ``x`` (and the base it is a view of) continue ``result``'s graph.

    Raises
    ------
    ShapeError, DTypeError
        If the result does not fit into ``x`` as it is.
    GradError
        If ``x`` is a leaf that requires gradients.
    """
    check_writable(x, name)
    if result.array.shape != x.array.shape:
        raise ShapeError(
            f"{name}: the result has shape {result.array.shape}, which does not fit in place into a tensor of shape "
            f"{x.array.shape}; write y = ... instead"
        )
    xp = namespace(x.array)
    if not xp.can_cast(result.array.dtype, x.array.dtype, casting="same_kind"):
        raise DTypeError(
            f"{name}: the result is {result.array.dtype}, which a tensor of {x.array.dtype} cannot hold in place; "
            "convert the tensor first: x = x.float()"
        )
    if not x.array.flags.writeable if xp.__name__ == "numpy" else False:
        raise GradError(f"{name}: this tensor is a read-only view (of expand, say); clone() it first")
    if result._node is not None:
        keep_saved(result._node, x.array)
    x.array[...] = result.array
    adopt(x, result)
    return x


def keep_saved(node: Operation, array: Any) -> None:
    """Let ``node`` copy ``array`` if it saved it: ``x *= y`` is about to overwrite what its backward needs."""
    if type(node._saved) is tuple and any(a is array for a in node._saved):
        node._versions = tuple(
            None if a is array else moment for a, moment in zip(node._saved, node._versions, strict=True)
        )
        copy = array.copy()
        node._saved = tuple(copy if a is array else a for a in node._saved)


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
    x._requires_grad, x._node, x._slot = result._requires_grad, result._node, result._slot
    if view is not None:
        base = view.base
        rebased = ScatterView.apply(base, x, view=view, written=True)
        base._requires_grad, base._node, base._slot = rebased._requires_grad, rebased._node, rebased._slot
