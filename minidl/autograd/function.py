"""Operations that users write, in PyTorch's form.

minidl's own operations (``operation.py``) see plain arrays. A :class:`Function` sees tensors, so that code written
for ``torch.autograd.Function`` runs as it stands; it goes through the same door.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from minidl.autograd.modes import enable_grad, modes, no_grad
from minidl.autograd.operation import Operation
from minidl.autograd.variable import Variable, wrap
from minidl.errors import DTypeError, GradError, MiniDLError


class Context:
    """What a :class:`Function`'s forward leaves for its backward. Any attribute may be set on it.

    Attributes
    ----------
    needs_input_grad : tuple of bool
        For each argument of forward, whether its gradient is wanted.
    saved_tensors : tuple of Tensor
        What forward gave to :meth:`save_for_backward`; there in backward only.
    """

    needs_input_grad: tuple[bool, ...] = ()
    saved_tensors: tuple[Any, ...] = ()
    _to_save: tuple[Any, ...] = ()
    _constants: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for backward, guarded against writes in between."""
        for position, x in enumerate(tensors):
            if x is not None and not isinstance(x, Variable):
                raise DTypeError(
                    f"save_for_backward: argument {position + 1} is a {type(x).__name__}, expected a Tensor or None; "
                    "set anything else as an attribute: ctx.name = value"
                )
        self._to_save = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Accepted for PyTorch's sake, without effect: an output that nothing used always has a gradient of zeros."""

    def mark_non_differentiable(self, *tensors: Any) -> None:
        """Say that no gradient flows through these outputs."""
        self._constants = tensors


class _Call(Operation, register=False):
    """One call of a user's Function."""

    def forward(
        self, *arrays: Any, function: type[Function], arguments: tuple[Any, ...], positions: list[int]
    ) -> tuple[Any, ...]:
        self.name = function.__name__  # type: ignore[misc]  # each user's function has its own name
        self.function, self.positions, self.count = function, positions, len(arguments)
        self.context = Context()
        needs = dict(zip(positions, self.needs, strict=True))
        self.context.needs_input_grad = tuple(needs.get(i, False) for i in range(len(arguments)))
        versions = [arguments[i].version for i in positions]
        with no_grad():
            results = _run(function, self.context, arguments)
        results = results if type(results) is tuple else (results,)
        for i, version, needed in zip(positions, versions, self.needs, strict=True):
            if needed and arguments[i].version != version:
                raise GradError(
                    f"{self.name}: forward wrote to its argument {i + 1} in place, which requires gradients; compute "
                    "a new tensor and return that"
                )
        for result in results:
            if not isinstance(result, Variable):
                raise DTypeError(
                    f"{self.name}: forward returned a {type(result).__name__}; expected a Tensor or a tuple of them"
                )
        saved = [x if x is None else x.array for x in self.context._to_save]
        outs: list[Any] = []
        for result in results:
            out = result.array
            if any(self.xp.may_share_memory(out, other) for other in (*arrays, *outs)):
                out = out.copy()  # a write to the result must not reach the argument that forward returned
                if not any(result.array is a for a in arrays):
                    saved = [out if a is result.array else a for a in saved]
            outs.append(out)
        self.save(*saved)
        self.constant = [any(result is c for c in self.context._constants) for result in results]
        self.context._to_save = self.context._constants = ()  # they would hold the outputs, and these this node
        return tuple(outs)

    def _answer(self, error: Exception, arrays: Sequence[Any]) -> MiniDLError:
        raise error  # the user's own

    def backward(self, *grads: Any) -> tuple[Any, ...]:
        def as_tensor(x: Any) -> Any:
            return x if x is None or isinstance(x, Variable) else wrap(x)

        self.context.saved_tensors = tuple(map(as_tensor, self.saved))
        try:
            with enable_grad() if self.recording else no_grad():
                results = self.function.backward(self.context, *map(as_tensor, grads))
        finally:
            del self.context.saved_tensors
        results = results if type(results) is tuple else (results,)
        if len(results) != self.count:
            raise GradError(
                f"{self.name}: backward returned {len(results)} gradients for {self.count} arguments of forward; "
                "return one for each, None where there is none"
            )
        found = []
        for position in self.positions:
            grad = results[position]
            if grad is not None and not isinstance(grad, Variable):
                raise DTypeError(
                    f"{self.name}: backward returned a {type(grad).__name__} for argument {position + 1}; expected a "
                    "Tensor or None"
                )
            # a view: the user may hold what backward returned, so no leaf must keep it as its own
            found.append(grad if grad is None or self.recording else grad.array[...])
        return tuple(found)


def _run(function: type[Function], context: Context, arguments: tuple[Any, ...]) -> Any:
    """Call the user's forward, in either of PyTorch's two forms."""
    if function.setup_context is Function.setup_context:
        return function.forward(context, *arguments)
    results = function.forward(*arguments)
    function.setup_context(context, arguments, results)
    return results


class Function:
    r"""An operation with a gradient of your own: subclass it, define ``forward`` and ``backward``, call ``apply``.

    .. math:: y = f(x), \qquad \bar x = \bar y \, \frac{\partial f}{\partial x}

    ``forward(ctx, *args)`` computes a tensor (or a tuple of them) from tensors and anything else; it is not recorded.
    ``backward(ctx, *grads)`` gets the gradient of each output and returns that of each argument, None where there is
    none. If it computes with tensors only, it can be differentiated again. Where ``setup_context(ctx, inputs, output)``
    is defined, forward takes no ``ctx``.

    Examples
    --------
    >>> import minidl
    >>> class Cube(minidl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x * x
    >>> x = minidl.tensor([1.0, 2.0], requires_grad=True)
    >>> Cube.apply(x).sum().backward()
    >>> x.grad
    tensor([ 3., 12.])

    References
    ----------
    PyTorch's ``torch.autograd.Function``.
    """

    @staticmethod
    def forward(ctx: Any, *args: Any) -> Any:
        """Compute the result; a subclass defines this."""
        raise NotImplementedError("a minidl.autograd.Function must define the static method forward(ctx, *args)")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Leave on ``ctx`` what backward needs; for a ``forward`` that takes no ``ctx``."""

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Return the gradient of each argument of forward; a subclass defines this."""
        raise GradError("a minidl.autograd.Function must define the static method backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call the function.

        Parameters
        ----------
        *args
            The arguments of ``forward``; gradients flow to those that are tensors.

        Returns
        -------
        Tensor or tuple of Tensor
        """
        positions = [i for i, x in enumerate(args) if isinstance(x, Variable)]
        if not positions:
            with no_grad():
                return _run(cls, Context(), args)
        results = _Call.apply(*(args[i] for i in positions), function=cls, arguments=args, positions=positions)
        node = next((x._node for x in results if isinstance(x._node, _Call)), None)
        if node is not None:
            for result, constant in zip(results, node.constant, strict=True):
                if constant:
                    result._requires_grad, result._node = False, None
        return results[0] if len(results) == 1 else results


def once_differentiable(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a Function's ``backward`` as one that must not be differentiated again (it uses NumPy inside, say).

    Parameters
    ----------
    backward : callable
        The static method to decorate.

    Returns
    -------
    callable
        The same, raising a GradError when a graph of it is asked for.

    Raises
    ------
    GradError
        When called under ``create_graph=True``.

    Examples
    --------
    >>> import minidl
    >>> class Double(minidl.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         return minidl.tensor(x.numpy(force=True) * 2)
    ...
    ...     @staticmethod
    ...     @minidl.autograd.once_differentiable
    ...     def backward(ctx, grad):
    ...         return minidl.tensor(grad.numpy() * 2)

    References
    ----------
    PyTorch's ``torch.autograd.function.once_differentiable``.
    """

    @functools.wraps(backward)
    def call(ctx: Any, *grads: Any) -> Any:
        if modes.now.grad:
            raise GradError(
                "this Function's backward is marked once_differentiable: it cannot be differentiated twice; compute "
                "with tensors in it and remove the mark"
            )
        return backward(ctx, *grads)

    return call
