"""What the engine knows of a tensor: its array, its gradient, and where in the graph it comes from.

:class:`Variable` has no operator and no method that computes. :class:`minidl.Tensor` adds those on top of the
operations; the engine itself needs none of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from minidl.autograd.hooks import KEEP
from minidl.autograd.modes import modes
from minidl.errors import GradError

if TYPE_CHECKING:
    from minidl.autograd.operation import Operation


class Variable:
    """An array and its place in the graph.

    Class attributes are the values that nearly every tensor has, so that making one sets only what differs.

    Attributes
    ----------
    array : numpy.ndarray or cupy.ndarray
        The numbers. No two tensors have the same array object, be it of the same memory: by its array a node knows
        which of its inputs a rule saved.
    counter : list of one int, or None
        How often these numbers were written in place, shared by all views of them. None for a tensor made in
        inference mode, which no graph may hold.
    """

    array: Any
    counter: list[int] | None
    _requires_grad = False
    _grad: Any = None
    _node: Operation | None = None  # the operation that made it; None for a leaf
    _slot = 0  # which of that operation's outputs it is
    _view: View | None = None  # what it is a view of, see inplace.py
    _hooks: dict[float, Callable[..., Any]] | None = None  # of a leaf; an interior tensor's hooks stand at its node

    # the class whose instances the engine hands out: the one that declares itself with `class Tensor(..., root=True)`
    kind: ClassVar[type[Variable]]

    def __init_subclass__(cls, root: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if root:
            Variable.kind = cls

    @property
    def version(self) -> int:
        """How often the numbers of this tensor were written in place."""
        return self.counter[0] if self.counter is not None else 0

    def take_place(self, other: Variable) -> None:
        """Stand in the graph where ``other`` does. What retain_grad asked for comes along, other hooks stay behind."""
        before, slot = self._node, self._slot
        self._requires_grad, self._node, self._slot = other._requires_grad, other._node, other._slot
        if before is not None and before.hooks:
            keep = before.hooks.get(slot, {}).pop(KEEP, None)
            if keep is not None and self._node is not None:
                self.own_hooks()[KEEP] = keep

    def own_hooks(self) -> dict[float, Callable[..., Any]]:
        """Return the hooks that see the gradient of this tensor, to which more can be added."""
        node = self._node
        if node is None:
            if self._hooks is None:
                self._hooks = {}
            return self._hooks
        if node.hooks is None:
            node.hooks = {}
        return node.hooks.setdefault(self._slot, {})

    def bump(self) -> None:
        """Tell the engine that the numbers were written in place: a graph that saved them is now stale."""
        if self.counter is not None:
            self.counter[0] += 1


def wrap(array: Any) -> Any:
    """Return a new leaf of the public tensor class around ``array`` (not copied)."""
    out = object.__new__(Variable.kind)
    out.array = array
    out.counter = None if modes.now.inference else [0]
    return out


def check_may_require_grad(array: Any) -> None:
    """Raise a GradError unless ``array`` is of a float type."""
    if array.dtype.kind != "f":
        raise GradError(
            f"only float tensors can require gradients, this one is {array.dtype}; convert it first: x.float()"
        )


class View:
    """How a tensor was made as a view: from which base, by which operations.

    Two things need it. A write through a view must reach the graph of its base (``inplace.update``), and a view
    whose base was written to since must take its place in the graph anew (:meth:`refresh`).
    """

    __slots__ = ("base", "recorded", "steps", "version")

    def __init__(self, base: Any, steps: tuple[Any, ...], version: int, recorded: bool = True) -> None:
        self.base = base
        self.steps = steps
        self.version = version
        self.recorded = recorded  # False: taken under no_grad, so it never enters its base's graph

    @classmethod
    def of(cls, source: Variable, step: Any, recorded: bool) -> View:
        """Return the view that ``step`` takes of ``source``, counted from the base if that is a view itself."""
        view = source._view
        if view is not None:
            return cls(view.base, (*view.steps, step), source.version, recorded and view.recorded)
        return cls(source, (step,), source.version, recorded)

    def replay(self, x: Any) -> Any:
        """Take the same view of ``x``, an array or a tensor."""
        for operation, parameters, slot in self.steps:
            x = operation.apply(x, **parameters)
            x = x if slot is None else x[slot]
        return x

    def refresh(self, view: Variable) -> None:
        """Bring the graph of ``view`` up to date if its base was written to since it was taken."""
        if self.version != view.version:
            self.version = view.version
            if not self.recorded:
                return
            now = modes.now
            grad_before, now.grad = now.grad, True  # its place in the graph is not a matter of the moment's mode
            try:
                fresh = self.replay(self.base)
            finally:
                now.grad = grad_before
            view.take_place(fresh)
