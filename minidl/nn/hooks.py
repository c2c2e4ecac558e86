"""What calls a module's hooks: before and after its forward, and around its backward."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation, Variable, wrap
from minidl.autograd.hooks import RemovableHandle
from minidl.errors import ArgumentError

if TYPE_CHECKING:
    from minidl.nn.module import Module


class Hooks:
    """The hooks of one module, in three dictionaries: ``before``, ``after`` and ``backward``."""

    def __init__(self) -> None:
        self.before: dict[int, Callable[..., Any]] = {}
        self.after: dict[int, Callable[..., Any]] = {}
        self.backward: dict[int, Callable[..., Any]] = {}

    def add(self, kind: str, hook: Callable[..., Any], prepend: bool, with_kwargs: bool) -> RemovableHandle:
        """Enter a hook, in front of the others with ``prepend``."""
        hooks = getattr(self, kind)
        entry = hook
        if kind == "before" and not with_kwargs:

            def entry(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                result = hook(module, args)
                if result is None:
                    return None
                return (result if isinstance(result, tuple) else (result,)), kwargs

        elif kind == "after" and not with_kwargs:

            def entry(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
                return hook(module, args, output)

        handle = RemovableHandle(hooks, entry)
        if prepend:
            others = {key: other for key, other in hooks.items() if key != handle.id}
            for key, other in others.items():
                del hooks[key]
                hooks[key] = other
        return handle

    def call(self, module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the module's forward with its hooks around it."""
        for hook in list(self.before.values()):
            result = hook(module, args, kwargs)
            if result is not None:
                args, kwargs = result
        crossing = None
        if self.backward:
            crossing = Crossing(module, list(self.backward.values()))
            args = crossing.enter(args)
        output = module.forward(*args, **kwargs)
        for hook in list(self.after.values()):
            result = hook(module, args, kwargs, output)
            if result is not None:
                output = result
        return output if crossing is None else crossing.leave(output)


class Crossing:
    """One call of a module that has backward hooks: its tensors pass through :class:`Enter` and :class:`Leave`."""

    def __init__(self, module: Module, hooks: list[Callable[..., Any]]) -> None:
        self.module = module
        self.hooks = hooks
        self.grad_output: tuple[Any, ...] = ()
        self.entered = 0  # how many inputs carry a gradient back

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Send the tensors among ``args`` through :class:`Enter`."""
        places = [i for i, x in enumerate(args) if isinstance(x, Variable)]
        if not any(args[i]._requires_grad for i in places):
            return args
        self.entered = len(places)
        passed = dict(zip(places, Enter.apply(*(args[i] for i in places), crossing=self), strict=True))
        return tuple(passed.get(i, x) for i, x in enumerate(args))

    def leave(self, output: Any) -> Any:
        """Send the tensor, or the tuple of tensors, that forward returned through :class:`Leave`."""
        if isinstance(output, Variable):
            return Leave.apply(output, crossing=self)[0]
        if isinstance(output, tuple) and all(isinstance(x, Variable) for x in output):
            return Leave.apply(*output, crossing=self)
        raise ArgumentError(
            f"a backward hook needs forward to return a tensor or a tuple of tensors, {type(self.module).__name__} "
            f"returned a {type(output).__name__}"
        )

    def run(self, grad_input: tuple[Any, ...]) -> tuple[Any, ...]:
        """Show the gradients to the hooks; what they return replaces ``grad_input``."""
        shown = _as_tensors(grad_input)
        for hook in self.hooks:
            result = hook(self.module, shown, self.grad_output)
            if result is not None:
                result = result if isinstance(result, tuple) else (result,)
                if len(result) != len(shown):
                    raise ArgumentError(
                        f"a backward hook of {type(self.module).__name__} returned {len(result)} gradients for "
                        f"{len(shown)} inputs"
                    )
                shown = result
        return shown


class Enter(Operation, register=False):
    """The inputs as they are; their gradients, on the way back, go to the hooks."""

    def forward(self, *arrays: Any, crossing: Crossing) -> Any:
        self.crossing = crossing
        return tuple(array.copy() for array in arrays)

    def backward(self, *grads: Any) -> Any:
        shown = self.crossing.run(grads)
        if self.recording:
            return shown
        # a view: somebody may hold what a hook returned, so no leaf must keep it as its own
        return tuple(grad.array[...] if isinstance(grad, Variable) else grad for grad in shown)


class Leave(Operation, register=False):
    """The outputs as they are; their gradients are kept for the hooks."""

    def forward(self, *arrays: Any, crossing: Crossing) -> Any:
        self.crossing = crossing
        return tuple(array.copy() for array in arrays)

    def backward(self, *grads: Any) -> Any:
        self.crossing.grad_output = _as_tensors(grads)
        if not self.crossing.entered:
            self.crossing.run(())
        return grads


def _as_tensors(grads: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(grad if grad is None or isinstance(grad, Variable) else wrap(grad) for grad in grads)
