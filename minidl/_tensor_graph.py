"""The half of :class:`minidl.Tensor` that concerns the graph: gradients, hooks, versions."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from minidl import autograd
from minidl.autograd import Variable, wrap
from minidl.autograd.hooks import KEEP, RemovableHandle
from minidl.autograd.variable import check_may_require_grad
from minidl.backend import is_read_only
from minidl.errors import DTypeError, GradError, ShapeError


class Graph(Variable):
    """Gradients, the place in the graph, hooks, versions."""

    @property
    def requires_grad(self) -> bool:
        """Whether gradients with respect to this tensor are recorded."""
        if self._view is not None:
            self._view.refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self.grad_fn is not None:
            if not value:
                raise GradError("requires_grad: only a leaf can be switched off; use x.detach() for a result")
            return
        if value and not self._requires_grad:
            check_may_require_grad(self.array)
            if self.counter is None:
                raise GradError("requires_grad: a tensor made in inference mode cannot; clone() it outside first")
            self._view = None  # a leaf of its own from now on, whatever becomes of its base
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Set whether gradients with respect to this tensor are wanted, and return it."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Any:
        """The gradient accumulated by :meth:`backward`, of this tensor's shape; None before."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Variable):
                raise DTypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
            if value.array.shape != self.array.shape:
                raise ShapeError(
                    f"grad: a gradient of shape {value.array.shape} for a tensor of shape {self.array.shape}"
                )
            if value.array.dtype != self.array.dtype:
                raise DTypeError(
                    f"grad: a gradient of {value.array.dtype} for a tensor of {self.array.dtype}; convert it first: "
                    "value.to(x.dtype)"
                )
            if is_read_only(value.array):
                raise GradError("grad: a read-only view (of expand, say) cannot be accumulated into; clone() it first")
        self._grad = value

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Accumulate into every leaf's ``.grad`` the gradient of this tensor with respect to it.

        Parameters
        ----------
        gradient : Tensor or array, the shape of this tensor, optional
            What to start from; a scalar starts from 1.
        retain_graph : bool, optional
            Keep the graph for another pass. Defaults to ``create_graph``.
        create_graph : bool
            Record the computation of the gradients, so that they can be differentiated in turn.

        Raises
        ------
        GradError
            If the tensor has no graph, is no scalar and ``gradient`` is missing, or the graph was freed.
        ShapeError
            If ``gradient`` does not have this tensor's shape.
        """
        autograd.backward([self], [gradient], retain_graph=retain_graph, create_graph=create_graph)

    @property
    def grad_fn(self) -> Any:
        """The operation that this tensor is a result of, as a node of the graph; None for a leaf."""
        if self._view is not None:
            self._view.refresh(self)
        return self._node

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it: :meth:`backward` accumulates into the ``.grad`` of leaves."""
        return self.grad_fn is None

    @property
    def output_nr(self) -> int:
        """Which result of its operation this tensor is."""
        return self._slot

    @property
    def _version(self) -> int:
        return self.version

    def is_inference(self) -> bool:
        """Return whether the tensor was made in inference mode, so that no graph may save it."""
        return self.counter is None

    @property
    def data(self) -> Any:
        """The same numbers in the same memory as a tensor without graph or version: writing to it goes unnoticed."""
        return wrap(self.array[...])

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, Variable):
            raise DTypeError(f"data: expected a Tensor, got {type(value).__name__}; wrap it: minidl.tensor(...)")
        if self._requires_grad:
            check_may_require_grad(value.array)
        self.array = value.array[...]

    def detach_(self) -> Any:
        """Cut this tensor off from the graph, making it a leaf, and return it."""
        if self._view is not None:
            raise GradError("detach_: a view cannot be cut off from its base in place; use x.detach()")
        self._requires_grad, self._node, self._slot = False, None, 0
        return self

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Have ``hook`` called with the gradient of this tensor, each time it is computed.

        Parameters
        ----------
        hook : callable
            Takes the gradient; what it returns, if not None, replaces it.

        Returns
        -------
        RemovableHandle
            Its ``remove()`` takes the hook out.

        Raises
        ------
        GradError
            If the tensor does not require gradients.
        """
        if not self.requires_grad:
            raise GradError("register_hook: the tensor does not require gradients, so the hook would never be called")
        return RemovableHandle(self.own_hooks(), hook)

    def retain_grad(self) -> None:
        """Keep the gradient of this result in ``.grad``, as leaves do, after all hooks have seen it.

        Raises
        ------
        GradError
            If the tensor does not require gradients.
        """
        if not self.requires_grad:
            raise GradError("retain_grad: the tensor does not require gradients, so it will have none to keep")
        if self._node is None:
            return
        this = weakref.ref(self)  # the node must not hold its own result

        def keep(grad: Any) -> None:
            x = this()
            if x is not None:
                kept = grad if grad._requires_grad else wrap(grad.array.copy())
                x._grad = kept if x._grad is None else x._grad + kept

        self.own_hooks()[KEEP] = keep

    @property
    def retains_grad(self) -> bool:
        """Whether :meth:`retain_grad` was called on this result."""
        node = self.grad_fn
        return node is not None and node.hooks is not None and KEEP in node.hooks.get(self._slot, ())
