"""Trading time for memory: throw away what a part of a network saved, and compute it again in backward.

The graph of the part is recorded as always; only the arrays that its nodes saved are dropped. The first rule that
asks for one runs the part again and puts the arrays of the new nodes into the old ones, in order.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from minidl.autograd.functional import _as_tuple
from minidl.autograd.modes import enable_grad, modes
from minidl.autograd.operation import Operation, _next_number
from minidl.autograd.variable import Variable, wrap
from minidl.backend import rng_states, set_rng_states
from minidl.errors import GradError


def _nodes_since(number: int, outputs: tuple[Any, ...]) -> list[Operation]:
    """Return the nodes made after ``number`` that ``outputs`` were computed by, in the order they were applied."""
    found: dict[int, Operation] = {}
    stack = [y._node for y in outputs if isinstance(y, Variable) and y._node is not None]
    while stack:
        node = stack.pop()
        if node.number <= number or node.number in found:
            continue
        found[node.number] = node
        stack.extend(edge[0] for edge in node.edges if edge is not None and isinstance(edge[0], Operation))
    return [found[n] for n in sorted(found)]


class Region:
    """A part of the graph whose nodes can get their saved arrays back by running it again."""

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], state: Any) -> None:
        self.func, self.args, self.kwargs, self.state = func, args, kwargs, state
        self.inputs = {x: x.version for x in (*args, *kwargs.values()) if isinstance(x, Variable)}
        self.nodes: list[weakref.ref[Operation]] = []  # weak: the nodes hold the region
        self.kinds: list[type[Operation]] = []

    def drop(self, outputs: tuple[Any, ...], number: int) -> None:
        """Take the saved arrays from the nodes made since ``number``."""
        for node in _nodes_since(number, outputs):
            self.nodes.append(weakref.ref(node))
            self.kinds.append(type(node))
            leaves = [edge[0] for edge in node.edges if edge is not None and isinstance(edge[0], Variable)]
            self.inputs.update((x, x.version) for x in leaves if x not in self.inputs)
            if node._saved:
                node._saved = self

    def fill(self) -> None:
        """Run the part again and give each node what its twin saved."""
        for x, version in self.inputs.items():
            if x.version != version:
                raise GradError(
                    f"checkpoint: a tensor of shape {x.array.shape} that the function takes or uses was modified in "
                    "place since the forward; clone() it before writing to it, or write after backward"
                )
        leaves = []
        for x in self.args:
            if isinstance(x, Variable):
                leaf = wrap(x.array)
                leaf._requires_grad = x._requires_grad
                x = leaf
            leaves.append(x)
        now = rng_states()
        set_rng_states(self.state)
        number = _next_number()
        try:
            with enable_grad():
                outputs = _as_tuple(self.func(*leaves, **self.kwargs))
        finally:
            set_rng_states(now)
        twins = _nodes_since(number, outputs)
        if [type(twin) for twin in twins] != self.kinds:
            raise GradError(
                f"checkpoint: the function recorded {len(self.kinds)} operations in forward, but {len(twins)} or "
                "others when run again for backward; it must do the same each time it is called"
            )
        for reference, twin in zip(self.nodes, twins, strict=True):
            if isinstance(twin._saved, Region):  # a checkpoint within: its region knows the twin, not our node
                twin._saved.fill()
            node = reference()
            if node is not None and node._saved is self:
                node._saved = twin._saved


def checkpoint(
    func: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    r"""Call ``func`` without keeping what its operations save for backward; backward computes it again.

    .. math:: y = f(x)

    A chain of :math:`n` layers, checkpointed in :math:`\sqrt n` parts, needs memory for :math:`O(\sqrt n)` layers
    and one more forward pass.

    Parameters
    ----------
    func : callable
        Takes tensors and anything else, returns a tensor or a tuple of them. It must do the same each time: random
        numbers (dropout) are repeated for it, other state is not.
    *args, **kwargs
        Its arguments.
    use_reentrant, preserve_rng_state : bool
        Accepted for PyTorch's sake, without effect.

    Returns
    -------
    Tensor or tuple of Tensor
        What ``func`` returns.

    Raises
    ------
    GradError
        In backward, if ``func`` does something else when it is run again, or an argument was written in place.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([1.0, 2.0], requires_grad=True)
    >>> minidl.checkpoint(lambda x: (x * x).exp(), x).sum().backward()
    >>> x.grad
    tensor([  5.4366, 218.3926])

    References
    ----------
    T. Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016; PyTorch's ``torch.utils.checkpoint``.
    """
    if not modes.now.grad:
        return func(*args, **kwargs)
    for x in (*args, *kwargs.values()):
        if isinstance(x, Variable) and x._view is not None:
            x._view.refresh(x)  # now, so that it is no part of the region
    region = Region(func, args, kwargs, rng_states())
    number = _next_number()
    outputs = func(*args, **kwargs)
    region.drop(_as_tuple(outputs), number)
    return outputs
