"""What the engine is doing in this thread: recording or not, hunting for NaN or not."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


class Modes:
    """The switches of one thread, and the values it starts with."""

    grad = True
    inference = False
    anomaly = False


class _ThreadModes(threading.local):
    def __init__(self) -> None:
        self.now = Modes()


#: ``modes.now`` are the switches of the running thread: one look-up for all of them.
modes = _ThreadModes()


class _Mode(contextlib.ContextDecorator):
    """Set one switch for a ``with`` block or for each call of a decorated function."""

    settings: Mapping[str, bool] = MappingProxyType({})

    def __new__(cls, func: Any = None) -> Any:
        return cls()(func) if callable(func) else super().__new__(cls)  # @no_grad is @no_grad()

    def __init__(self) -> None:
        self._before: list[dict[str, bool]] = []

    def __enter__(self) -> None:
        self._before.append({name: getattr(modes.now, name) for name in self.settings})
        for name, value in self.settings.items():
            setattr(modes.now, name, value)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.pop().items():
            setattr(modes.now, name, value)

    def _recreate_cm(self) -> _Mode:
        # a decorated function may run in several threads at once: each call gets its own stack
        return type(self)()

    def __call__(self, func: F) -> F:
        if not inspect.isgeneratorfunction(func):
            return cast(F, functools.wraps(func)(super().__call__(func)))

        @functools.wraps(func)
        def resume(*args: Any, **kwargs: Any) -> Any:
            generator, sent = func(*args, **kwargs), None
            try:
                while True:
                    with self._recreate_cm():  # while its body runs, and not while its caller's does
                        try:
                            value = generator.send(sent)
                        except StopIteration as stop:
                            return stop.value
                    sent = yield value
            finally:
                with self._recreate_cm():
                    generator.close()

        return cast(F, resume)


class no_grad(_Mode):  # noqa: N801  (named and spelled as in PyTorch, it reads as a statement)
    """Record no graph inside: results do not require gradients. A context manager and a decorator.

    Parameters
    ----------
    func : callable, optional
        What a bare ``@no_grad`` decorates.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.ones(2, requires_grad=True)
    >>> with minidl.no_grad():
    ...     (w * 2).requires_grad
    False

    References
    ----------
    PyTorch's ``torch.no_grad``.
    """

    settings = MappingProxyType({"grad": False})


class enable_grad(_Mode):  # noqa: N801
    """Record a graph again inside a :class:`no_grad` block.

    Parameters
    ----------
    func : callable, optional
        What a bare ``@enable_grad`` decorates.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.ones(2, requires_grad=True)
    >>> with minidl.no_grad(), minidl.enable_grad():
    ...     (w * 2).requires_grad
    True

    References
    ----------
    PyTorch's ``torch.enable_grad``.
    """

    settings = MappingProxyType({"grad": True})


class inference_mode(_Mode):  # noqa: N801
    """Like :class:`no_grad`, and the results keep no version: they can never enter a graph later.

    Parameters
    ----------
    func : callable, optional
        What a bare ``@inference_mode`` decorates.

    Examples
    --------
    >>> import minidl
    >>> with minidl.inference_mode():
    ...     y = minidl.ones(2) * 2
    >>> y.is_inference()
    True

    References
    ----------
    PyTorch's ``torch.inference_mode``.
    """

    settings = MappingProxyType({"grad": False, "inference": True})


class set_grad_enabled(_Mode):  # noqa: N801
    """Switch recording on or off, at once and until the end of the ``with`` block if used as one.

    Parameters
    ----------
    mode : bool
        Whether operations record a graph.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.ones(2, requires_grad=True)
    >>> with minidl.set_grad_enabled(False):
    ...     (w * 2).requires_grad
    False

    References
    ----------
    PyTorch's ``torch.set_grad_enabled``.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.settings = {"grad": bool(mode)}
        self._before.append({"grad": modes.now.grad})
        modes.now.grad = bool(mode)

    def __enter__(self) -> None:
        modes.now.grad = self.settings["grad"]

    def _recreate_cm(self) -> set_grad_enabled:
        return type(self)(self.settings["grad"])

    def __call__(self, func: F) -> F:
        modes.now.grad = self._before.pop()["grad"]
        return super().__call__(func)


class detect_anomaly(_Mode):  # noqa: N801
    """Stop at the first NaN, in forward or backward, and name the operation and the line that made it.

    Each operation checks its results and remembers the line it was called from, so training is several times
    slower: use it to find a fault, then take it out.

    Parameters
    ----------
    func : callable, optional
        What a bare ``@detect_anomaly`` decorates.

    Raises
    ------
    GradError
        At the first operation whose result (or gradient) has a NaN while its inputs had none.

    Examples
    --------
    >>> import minidl
    >>> with minidl.detect_anomaly():
    ...     minidl.log(minidl.tensor([-1.0]))
    Traceback (most recent call last):
    minidl.errors.GradError: log: the first NaN appears in its result ...

    References
    ----------
    PyTorch's ``torch.autograd.detect_anomaly``.
    """

    settings = MappingProxyType({"anomaly": True})


def set_detect_anomaly(mode: bool) -> None:
    """Switch :class:`detect_anomaly` on or off from here on, in this thread.

    Parameters
    ----------
    mode : bool

    Examples
    --------
    >>> import minidl
    >>> minidl.autograd.set_detect_anomaly(True)
    >>> minidl.autograd.set_detect_anomaly(False)

    References
    ----------
    PyTorch's ``torch.autograd.set_detect_anomaly``.
    """
    modes.now.anomaly = bool(mode)


def is_grad_enabled() -> bool:
    """Return whether operations record a graph in this thread.

    Returns
    -------
    bool

    Examples
    --------
    >>> import minidl
    >>> minidl.is_grad_enabled()
    True
    """
    return modes.now.grad
