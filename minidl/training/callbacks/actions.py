"""Callbacks that act: set the learning rate, stop at NaN, call functions of the user's."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, DTypeError, StateError
from minidl.training.callbacks.base import Callback
from minidl.training.callbacks.progress import say

__all__ = ["LambdaCallback", "LearningRateScheduler", "TerminateOnNaN"]


class LearningRateScheduler(Callback):
    r"""Set the learning rate before each epoch, by a function of the epoch.

    .. math:: \eta_e = \text{schedule}(e, \eta_{e - 1})

    Parameters
    ----------
    schedule : callable
        ``schedule(epoch, learning_rate)`` or ``schedule(epoch)``; the first epoch is 0.
    verbose : {0, 1}
        Whether to say what it is.

    Raises
    ------
    DTypeError
        During training, if ``schedule`` returns no number.

    Examples
    --------
    >>> halving = LearningRateScheduler(lambda epoch, rate: rate * 0.5 if epoch else rate)
    >>> halving.schedule(3, 0.1)
    0.05

    References
    ----------
    ``keras.callbacks.LearningRateScheduler``.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Set the learning rate."""
        arguments: tuple[Any, ...] = (epoch, float(self.trainer.learning_rate))
        rate = self.schedule(*arguments if _takes(self.schedule, *arguments) else (epoch,))
        if rate is None or isinstance(rate, (str, bool)) or np.ndim(rate) != 0:
            hint = "; does it lack a return?" if rate is None else ""
            raise DTypeError(f"LearningRateScheduler: schedule must return a number, got {rate!r}{hint}")
        self.trainer.learning_rate = rate = float(rate)
        if self.verbose:
            say(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Log what it was."""
        if logs is not None:
            logs["learning_rate"] = float(self.trainer.learning_rate)


def _takes(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether a function can be called with these arguments; one that does not tell is thought to."""
    try:
        inspect.signature(function).bind(*arguments)
    except ValueError:
        return True
    except TypeError:
        return False
    return True


class TerminateOnNaN(Callback):
    """Stop training when the loss is NaN or infinite; the model stays as the last good step left it.

    It looks at the loss of every step, which on a GPU waits for it.

    Parameters
    ----------
    raise_error : bool
        Whether to raise an error, and not to end training in good order.

    Raises
    ------
    StateError
        During training, with ``raise_error``.

    Examples
    --------
    >>> TerminateOnNaN().on_batch_end(0, {"loss": 0.5})

    References
    ----------
    ``keras.callbacks.TerminateOnNaN``.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_train_begin(self, logs: Any = None) -> None:
        """Let the trainer leave out a step with such a loss."""
        self.trainer.guarded = True

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        problem = f"Batch {batch}: Invalid loss ({float(loss)})"
        if self.raise_error:
            raise StateError(f"{problem}; try a lower learning rate, clip_norm, or look for NaN in the data")
        say(f"{problem}, terminating training")
        self.trainer.stop_training = True


class LambdaCallback(Callback):
    """Call functions where a callback's hooks would be called.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable, optional
        Called with ``(epoch, logs)``.
    on_train_begin, on_train_end : callable, optional
        Called with ``(logs)``.
    on_train_batch_begin, on_train_batch_end : callable, optional
        Called with ``(batch, logs)``.
    **kwargs : callable
        Any other hook of :class:`Callback`.

    Raises
    ------
    ArgumentError
        If there is no such hook.

    Examples
    --------
    >>> tell = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs))
    >>> tell.on_epoch_end(3, {"loss": 0.5})
    3 {'loss': 0.5}

    References
    ----------
    ``keras.callbacks.LambdaCallback``.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[[int, Any], Any] | None = None,
        on_epoch_end: Callable[[int, Any], Any] | None = None,
        on_train_begin: Callable[[Any], Any] | None = None,
        on_train_end: Callable[[Any], Any] | None = None,
        on_train_batch_begin: Callable[[int, Any], Any] | None = None,
        on_train_batch_end: Callable[[int, Any], Any] | None = None,
        **kwargs: Callable[..., Any],
    ) -> None:
        hooks = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **kwargs,
        }
        known = sorted(name for name in vars(Callback) if name.startswith("on_"))
        for name, function in hooks.items():
            if name not in known:
                raise ArgumentError(f"LambdaCallback: {name!r} is no hook; there are {', '.join(known)}")
            if function is not None:
                setattr(self, name, function)
