"""The backward pass.

Every node was numbered when it was applied, so an operation always has a higher number than whatever made its
inputs. Visiting reachable nodes by descending number therefore meets each node after all of its consumers, when its
gradient is complete. A heap does that without recursion, for graphs of any depth.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from minidl.autograd.modes import modes
from minidl.autograd.operation import Operation, cast, has_nan
from minidl.autograd.variable import Variable, wrap
from minidl.backend import devices, is_array, namespace, quiet, there
from minidl.errors import ArgumentError, DeviceError, DTypeError, GradError, ShapeError

#: Held while a leaf's ``.grad`` changes: leaves are what threads that run backward at once have in common.
_accumulating = threading.Lock()


def unbroadcast(grad: Any, shape: tuple[int, ...]) -> Any:
    """Sum ``grad`` down to ``shape``: the transpose of NumPy's broadcasting."""
    extra = grad.ndim - len(shape)
    stretched = tuple(
        axis for axis in range(grad.ndim) if axis < extra or (shape[axis - extra] == 1 and grad.shape[axis] != 1)
    )
    if stretched:
        grad = grad.sum(axis=stretched, keepdims=True)
    return grad if grad.shape == shape else grad.reshape(shape)


def _fits(grad: Any, shape: tuple[int, ...]) -> bool:
    """Whether ``shape`` broadcasts to the shape of ``grad``."""
    extra = grad.ndim - len(shape)
    return extra >= 0 and all(size in (1, grad.shape[axis + extra]) for axis, size in enumerate(shape))


def initial_gradient(output: Any, gradient: Any, name: str) -> Any:
    """Return the gradient to start from, as an array or (if it was one) a tensor.

    Raises
    ------
    GradError
        If ``output`` is not part of a graph, or is no scalar and no gradient is given.
    ShapeError, DTypeError, DeviceError
        If the gradient is not of the output's shape, not of numbers, or on another device.
    """
    if not isinstance(output, Variable):
        raise DTypeError(f"{name}: expected a Tensor to differentiate, got a {type(output).__name__}")
    if output._view is not None:
        output._view.refresh(output)
    if not output._requires_grad:
        raise GradError(
            f"{name}: the tensor does not require gradients: none of the tensors it was computed from does, or it was "
            "computed under no_grad or detached"
        )
    array = output.array
    if gradient is None:
        if array.size != 1:
            raise GradError(
                f"{name}: a gradient can be started from a scalar only, this tensor has shape {array.shape}; reduce "
                "it first (loss.mean(), loss.sum()), or pass gradient=, a tensor of that shape"
            )
        if type(array) is np.ndarray and not array.shape:
            return np.array(1, array.dtype)  # in a fourth of the time of ones
        with there(array):
            return namespace(array).ones(array.shape, array.dtype)
    given = gradient.array if isinstance(gradient, Variable) else namespace(array).asarray(gradient)
    if given.shape != array.shape:
        raise ShapeError(f"{name}: the gradient has shape {given.shape}, the tensor {array.shape}; they must be equal")
    if given.dtype.kind not in "fiub":
        raise DTypeError(f"{name}: the gradient is of dtype {given.dtype}; expected floats")
    if namespace(given) is not namespace(array):
        raise DeviceError(f"{name}: the gradient lives on another device than the tensor; move it there first")
    if isinstance(gradient, Variable):
        return gradient if given.dtype == array.dtype else cast(gradient, array.dtype)
    return given.astype(array.dtype, copy=False)


class Pass:
    """One backward pass: the gradients that are known so far, and the nodes still to visit.

    Attributes
    ----------
    create_graph : bool
        Whether the pass itself is recorded: gradients are then tensors, else plain arrays.
    retain_graph : bool
        Whether saved arrays survive, so that the same graph can be used again.
    captures : dict or None
        By (node or leaf, slot), the gradients that are wanted. None: accumulate into every leaf's ``.grad``.
    useful : set
        With captures, the nodes through which a gradient reaches one of them.
    """

    def __init__(
        self,
        create_graph: bool,
        retain_graph: bool,
        captures: dict[tuple[Any, int], Any] | None = None,
        useful: Container[Any] = (),
    ) -> None:
        self.create_graph, self.retain_graph = create_graph, retain_graph
        self.captures, self.useful = captures, useful
        self.captured = {node for node, _ in captures} if captures else ()
        self.pending: dict[Operation, Any] = {}  # the gradient of a node's output; a list if it has several
        self.heap: list[tuple[int, Operation]] = []
        self.owned: set[int] = set()  # ids of pending arrays that nobody else holds: they may be added to in place
        self.hooked: dict[Any, Any] = {}  # the gradients so far of leaves with hooks, which see the sum
        self.anomaly = modes.now.anomaly

    @quiet  # here once, so that no rule need be
    def run(self, roots: Sequence[tuple[Variable, Any]]) -> None:
        """Start from (tensor, gradient) pairs and visit every node that leads anywhere."""
        modes_now = modes.now
        grad_before, modes_now.grad = modes_now.grad, self.create_graph
        try:
            for root, gradient in roots:
                if isinstance(gradient, Variable):
                    if not self.create_graph:
                        gradient = gradient.array
                elif self.create_graph:
                    gradient = wrap(gradient)
                node = root._node
                if node is None:
                    self.deliver_to_leaf(root, gradient)
                elif node.freed:
                    raise GradError(
                        "backward a second time from the same result: the first one freed the graph; pass "
                        "retain_graph=True to the first backward, or compute the forward again"
                    )
                else:
                    self.deliver(node, root._slot, gradient)
            heap, pending = self.heap, self.pending
            while heap:
                node = heappop(heap)[1]
                self.visit(node, pending.pop(node))
            for leaf, gradient in self.hooked.items():
                gradient = _run_hooks(leaf._hooks, gradient, self.create_graph)
                self.accumulate(leaf, gradient)
        finally:
            modes_now.grad = grad_before

    def visit(self, node: Operation, grad: Any) -> None:
        """Apply the rule of a node whose gradient is complete, and hand on what it returns."""
        several = node.outputs is not None
        if self.owned:
            self.owned.discard(id(grad))
        grads = grad if several else (grad,)
        if node.hooks:
            grads = [
                g if g is None else _run_hooks(node.hooks.get(i), g, self.create_graph) for i, g in enumerate(grads)
            ]
        if self.captures is not None:
            if node in self.captured:
                for slot, g in enumerate(grads):
                    if (node, slot) in self.captures:
                        self.captures[node, slot] = g
            if node not in self.useful:
                return
        if several:
            grads = [_zeros(node, i, grads, self.create_graph) if g is None else g for i, g in enumerate(grads)]
        if self.create_graph:
            node.recording = True
            try:
                results = node.backward(*grads)
            finally:
                node.recording = False
        else:
            results = node.backward(*grads)
        if type(results) is not tuple:
            results = (results,)
        edges = node.edges
        if len(results) != len(edges):
            raise GradError(
                f"{node.name}: backward returned {len(results)} gradients for {len(edges)} inputs; return one for "
                "each, None where there is none"
            )
        if self.anomaly:
            _check_backward(node, grads, results)
        for position, edge in enumerate(edges):
            grad = results[position]
            if edge is None or grad is None:
                continue
            parent, slot, shape, dtype = edge
            if grad.shape != shape:
                if not _fits(grad, shape):
                    raise GradError(
                        f"{node.name}: backward returned a gradient of shape {grad.shape} for input {position + 1}, "
                        f"which has shape {shape}"
                    )
                grad = unbroadcast(grad, shape)
            if grad.dtype is not dtype and grad.dtype != dtype:
                grad = grad.astype(dtype)
            if isinstance(parent, Variable):
                self.deliver_to_leaf(parent, grad, (grad,) if grad is not results[position] else results, grads)
            else:
                self.deliver(parent, slot, grad)
        if not self.retain_graph:
            node.free()

    def deliver(self, node: Operation, slot: int, grad: Any) -> None:
        """Add ``grad`` to what is known for output ``slot`` of ``node``."""
        if self.captures is not None and node not in self.useful and node not in self.captured:
            return
        known = self.pending.get(node)
        if known is None:
            heappush(self.heap, (-node.number, node))
            if node.outputs is None:
                self.pending[node] = grad
            else:
                self.pending[node] = [None] * len(node.outputs)
                self.pending[node][slot] = grad
        elif node.outputs is not None:
            known[slot] = grad if known[slot] is None else known[slot] + grad
        elif id(known) in self.owned:
            known += grad
        else:
            self.pending[node] = total = known + grad
            if not self.create_graph and is_array(total):
                self.owned.add(id(total))

    def deliver_to_leaf(self, leaf: Any, grad: Any, results: Sequence[Any] = (), grads: Sequence[Any] = ()) -> None:
        """Hand a leaf ``grad``, one of the ``results`` that a rule computed from ``grads``; where of no rule, none."""
        if self.captures is not None and (leaf, 0) not in self.captures:
            return
        if not leaf._requires_grad:  # no longer, since the forward
            return
        if leaf._hooks:
            known = self.hooked.get(leaf)
            self.hooked[leaf] = grad if known is None else known + grad
        elif leaf._grad is None and self.captures is None and not self.create_graph:
            if not _is_new(grad, results, grads):
                grad = namespace(grad).array(grad)
            with _accumulating:
                if leaf._grad is None:  # still: another thread may have been sooner
                    leaf._grad = wrap(grad)
                    return
            self.accumulate(leaf, grad)
        else:
            self.accumulate(leaf, grad)

    def accumulate(self, leaf: Any, grad: Any) -> None:
        """Add ``grad`` to the ``.grad`` of a leaf, or to what is captured for it."""
        if self.captures is not None:
            known = self.captures[leaf, 0]
            self.captures[leaf, 0] = grad if known is None else known + grad
        elif self.create_graph:
            leaf._grad = grad.clone() if leaf._grad is None else leaf._grad + grad
        else:
            with _accumulating:
                if leaf._grad is None:
                    leaf._grad = wrap(namespace(grad).array(grad))
                else:
                    leaf._grad.array += grad
                    leaf._grad.bump()


class _PassOverGPUs(Pass):
    """A backward pass where there are several GPUs: each step is taken on the one that its gradient is on."""

    def visit(self, node: Operation, grad: Any) -> None:
        with there(*(grad if node.outputs is not None else (grad,))):
            super().visit(node, grad)

    def deliver(self, node: Operation, slot: int, grad: Any) -> None:
        with there(grad):
            super().deliver(node, slot, grad)

    def deliver_to_leaf(self, leaf: Any, grad: Any, results: Sequence[Any] = (), grads: Sequence[Any] = ()) -> None:
        with there(grad):
            super().deliver_to_leaf(leaf, grad, results, grads)


def _pass(*args: Any) -> Pass:
    return (_PassOverGPUs if devices._count > 1 else Pass)(*args)


def _is_new(array: Any, results: Sequence[Any], grads: Sequence[Any]) -> bool:
    """Whether a rule made ``array`` and gave it away once: a leaf may then keep it without a copy."""
    if (type(array) is not np.ndarray and not is_array(array)) or array.base is not None:
        return False
    times = 0
    for result in results:
        if result is array:
            times += 1
        elif result is not None and result.base is not None:  # perhaps a view of it
            return False
    for grad in grads:
        if grad is array:
            return False
    return times == 1


def gradients(
    roots: Sequence[tuple[Variable, Any]], inputs: Sequence[Any], *, retain_graph: bool, create_graph: bool
) -> list[Any]:
    """Return the gradient (array, tensor under ``create_graph``, None if unreachable) of each input; touch no leaf."""
    places = [(x._node or x, x._slot) for x in inputs]
    captures: dict[tuple[Any, int], Any] = dict.fromkeys(places)
    useful = _useful([root._node for root, _ in roots if root._node is not None], captures)
    _pass(create_graph, retain_graph, captures, useful).run(roots)
    return [captures[place] for place in places]


def _useful(roots: list[Operation], captures: dict[tuple[Any, int], Any]) -> set[Operation]:
    """Return the nodes below ``roots`` through which a gradient reaches something captured."""
    reachable: dict[int, Operation] = {}
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node.number in reachable:
            continue
        reachable[node.number] = node
        stack.extend(edge[0] for edge in node.edges if edge is not None and isinstance(edge[0], Operation))
    useful: set[Operation] = set()
    for _, node in sorted(reachable.items()):  # ascending: a node after whatever made its inputs
        if any(edge is not None and (edge[0] in useful or edge[:2] in captures) for edge in node.edges):
            useful.add(node)
    return useful


def _run_hooks(hooks: dict[float, Any] | None, grad: Any, create_graph: bool) -> Any:
    """Show ``grad`` to each hook as a tensor; what a hook returns replaces it."""
    if not hooks:
        return grad
    shown = grad if create_graph else wrap(namespace(grad).asarray(grad))
    for _, hook in sorted(hooks.items()):  # in the order of registration; KEEP, for retain_grad, comes last
        replaced = hook(shown)
        if replaced is None:
            continue
        if not isinstance(replaced, Variable) or replaced.array.shape != shown.array.shape:
            what = getattr(replaced, "shape", type(replaced).__name__)
            raise GradError(f"a gradient hook returned {what}; expected None or a tensor of shape {shown.array.shape}")
        shown = replaced
    return shown if create_graph else shown.array


def _zeros(node: Operation, slot: int, grads: Sequence[Any], create_graph: bool) -> Any:
    """Return the gradient of an output that nothing used."""
    shape, dtype = (node.outputs or ())[slot]
    known = next(grad for grad in grads if grad is not None)
    zeros = namespace(known.array if isinstance(known, Variable) else known).zeros(shape, dtype)
    return wrap(zeros) if create_graph else zeros


def _check_backward(node: Operation, grads: Sequence[Any], results: Sequence[Any]) -> None:
    """Under detect_anomaly: raise if this node's rule made the first NaN."""
    if any(has_nan(result) for result in results) and not any(has_nan(grad) for grad in grads):
        raise GradError(
            f"{node.name}: the first NaN appears in the gradient it computes; it was called at\n{node.origin}"
        )


def backward(
    tensors: Any, grad_tensors: Any = None, retain_graph: bool | None = None, create_graph: bool = False
) -> None:
    """Accumulate into every leaf's ``.grad`` the gradient of ``tensors``; ``Tensor.backward`` calls this."""
    tensors = tensors if isinstance(tensors, (tuple, list)) else (tensors,)
    given = grad_tensors if isinstance(grad_tensors, (tuple, list)) else (grad_tensors,) * len(tensors)
    if len(given) != len(tensors):
        raise ArgumentError(f"backward: {len(tensors)} tensors but {len(given)} grad_tensors; give one for each")
    roots = [(x, initial_gradient(x, gradient, "backward")) for x, gradient in zip(tensors, given, strict=True)]
    _pass(create_graph, create_graph if retain_graph is None else retain_graph).run(roots)
