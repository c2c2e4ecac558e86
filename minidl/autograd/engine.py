"""The backward pass.

Every node was numbered when it was applied, so an operation always has a higher number than whatever made its
inputs. Visiting reachable nodes by descending number therefore meets each node after all of its consumers, when its
gradient is complete. A heap does that without recursion, for graphs of any depth.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any

from minidl.autograd.modes import modes
from minidl.autograd.operation import Operation, has_nan
from minidl.autograd.variable import Variable, wrap
from minidl.backend import is_array, namespace
from minidl.errors import DeviceError, DTypeError, GradError, ShapeError


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


def initial_gradient(output: Variable, gradient: Any, name: str) -> Any:
    """Return the gradient to start from, as an array or (if it was one) a tensor.

    Raises
    ------
    GradError
        If ``output`` is not part of a graph, or is no scalar and no gradient is given.
    ShapeError
        If the gradient's shape is not the output's.
    """
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
        return namespace(array).ones_like(array)
    given = gradient.array if isinstance(gradient, Variable) else namespace(array).asarray(gradient)
    if given.shape != array.shape:
        raise ShapeError(f"{name}: the gradient has shape {given.shape}, the tensor {array.shape}; they must be equal")
    if given.dtype.kind not in "fiub":
        raise DTypeError(f"{name}: the gradient is of dtype {given.dtype}; expected floats")
    if isinstance(gradient, Variable):
        return gradient
    return given.astype(array.dtype, copy=False)


def run(
    roots: Sequence[tuple[Variable, Any]],
    *,
    retain_graph: bool,
    create_graph: bool,
    wanted: Sequence[Variable] | None = None,
) -> list[Any]:
    """Propagate gradients from the roots to the leaves, or only to ``wanted``.

    Parameters
    ----------
    roots : sequence of (tensor, gradient)
        Where to start.
    retain_graph : bool
        Whether saved arrays survive, so that the same graph can be used again.
    create_graph : bool
        Whether the pass itself is recorded: gradients are then tensors with a graph.
    wanted : sequence of tensors, optional
        Return the gradients of these, and touch no leaf's ``.grad``.

    Returns
    -------
    list
        One gradient (array, tensor under ``create_graph``, or None if unreachable) per tensor of ``wanted``.
    """
    captures: dict[tuple[Any, int], Any] = {}
    useful: set[Operation] | None = None
    if wanted is not None:
        for x in wanted:
            if x._view is not None:
                x._view.refresh(x)
            captures[x._node or x, x._slot] = None
        useful = _useful([root._node for root, _ in roots if root._node is not None], captures)

    captured = {node for node, _ in captures}
    pending: dict[Operation, Any] = {}  # the gradient of a node's output so far; a list if it has several
    owned: set[Any] = set()  # ids of pending arrays that nobody else holds: they may be added to in place
    adopted: set[Any] = set()  # ids of leaves whose .grad is an array of this pass that may be used elsewhere in it
    heap: list[tuple[int, Operation]] = []

    def deliver(node: Any, slot: int, grad: Any, fresh: bool) -> None:
        """Add ``grad`` to what is known for output ``slot`` of ``node``, or to a leaf."""
        if isinstance(node, Variable):
            if node._hooks:
                grad, fresh = _run_hooks(node._hooks, grad, create_graph), False
            if wanted is None:
                _accumulate(node, grad, fresh, create_graph, adopted)
            elif (node, slot) in captures:
                known = captures[node, slot]
                captures[node, slot] = grad if known is None else known + grad
            return
        if useful is not None and node not in useful and node not in captured:
            return
        known = pending.get(node)
        if known is None:
            heapq.heappush(heap, (-node.number, node))
            if node.outputs is None:
                pending[node] = grad
            else:
                pending[node] = [None] * len(node.outputs)
                pending[node][slot] = grad
        elif node.outputs is None:
            if id(known) in owned:
                known += grad
            else:
                pending[node] = total = known + grad
                if not create_graph and is_array(total):
                    owned.add(id(total))
        else:
            known[slot] = grad if known[slot] is None else known[slot] + grad

    grad_before = modes.now.grad
    modes.now.grad = create_graph
    try:
        for root, gradient in roots:
            if create_graph and not isinstance(gradient, Variable):
                gradient = wrap(gradient)
            elif not create_graph and isinstance(gradient, Variable):
                gradient = gradient.array.astype(root.array.dtype, copy=False)
            node = root._node or root
            if isinstance(node, Operation) and node.freed:
                raise GradError(
                    "backward a second time from the same result: the first one freed the graph; pass "
                    "retain_graph=True to the first backward, or compute the forward again"
                )
            deliver(node, root._slot, gradient, False)

        while heap:
            node = heapq.heappop(heap)[1]
            grads = pending.pop(node)
            if node.outputs is None:
                owned.discard(id(grads))
                grads = (grads,)
            if node.hooks:
                grads = tuple(
                    _run_hooks(node.hooks[slot], grad, create_graph)
                    if slot in node.hooks and grad is not None
                    else grad
                    for slot, grad in enumerate(grads)
                )
            if node in captured:
                for slot, grad in enumerate(grads):
                    if (node, slot) in captures:
                        captures[node, slot] = grad
            if useful is not None and node not in useful:
                continue
            if node.outputs is not None:
                grads = tuple(
                    _zeros(node, slot, grads, create_graph) if grad is None else grad for slot, grad in enumerate(grads)
                )
            node.recording = create_graph
            results = node.backward(*grads)
            node.recording = False
            if type(results) is not tuple:
                results = (results,)
            if len(results) != len(node.edges):
                raise GradError(
                    f"{node.name}: backward returned {len(results)} gradients for {len(node.edges)} inputs; return one "
                    "for each, None where there is none"
                )
            if modes.now.anomaly:
                _check_backward(node, grads, results)
            for position, (edge, grad) in enumerate(zip(node.edges, results, strict=True)):
                if edge is None or grad is None:
                    continue
                parent, slot, shape, dtype = edge
                if grad.shape != shape:
                    if not _fits(grad, shape):
                        raise GradError(
                            f"{node.name}: backward returned a gradient of shape {grad.shape} for input "
                            f"{position + 1}, which has shape {shape}"
                        )
                    grad = unbroadcast(grad, shape)
                if grad.dtype != dtype:
                    grad = grad.astype(dtype)
                # what the rule passed on, or handed out before, has another holder: a leaf may not keep it
                deliver(parent, slot, grad, not any(grad is other for other in (*grads, *results[:position])))
            if not retain_graph:
                node.free()
    finally:
        modes.now.grad = grad_before
    return [captures[x._node or x, x._slot] for x in wanted] if wanted is not None else []


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


def _accumulate(leaf: Any, grad: Any, fresh: bool, create_graph: bool, adopted: set[int]) -> None:
    """Add ``grad`` to the ``.grad`` of a leaf, without a copy where nobody else holds the array."""
    if leaf._grad is None:
        if create_graph:
            leaf._grad = grad
        elif fresh and is_array(grad) and grad.base is None:
            leaf._grad = wrap(grad)
            adopted.add(id(leaf))  # a view of it may still be on its way to another node: no writing into it yet
        else:
            leaf._grad = wrap(namespace(grad).array(grad))
    elif create_graph:
        leaf._grad = leaf._grad + grad
    elif id(leaf) in adopted:
        leaf._grad = wrap(leaf._grad.array + grad)
        adopted.discard(id(leaf))
    else:
        leaf._grad.array += grad
        leaf._grad.bump()


def _run_hooks(hooks: dict[int, Any], grad: Any, create_graph: bool) -> Any:
    """Show ``grad`` to each hook as a tensor; what a hook returns replaces it."""
    shown = grad if create_graph else wrap(namespace(grad).asarray(grad))
    for hook in list(hooks.values()):
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
    tensors: Sequence[Variable], gradients: Sequence[Any], *, retain_graph: bool | None, create_graph: bool
) -> None:
    """Accumulate into every leaf's ``.grad`` the gradient of ``tensors``; ``Tensor.backward`` calls this."""
    roots = [(x, initial_gradient(x, gradient, "backward")) for x, gradient in zip(tensors, gradients, strict=True)]
    for x, gradient in roots:
        if isinstance(gradient, Variable) and namespace(gradient.array) is not namespace(x.array):
            raise DeviceError("backward: the gradient lives on another device than the tensor; move it there first")
    run(roots, retain_graph=create_graph if retain_graph is None else retain_graph, create_graph=create_graph)
