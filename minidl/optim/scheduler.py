"""What all schedules share: how a learning rate gets from one epoch to the next.

Most schedules are one function, the share of the initial learning rate that epoch :math:`t` gets. Each step
multiplies the present learning rate by the ratio of two such shares, so schedules can be combined and a learning
rate that was changed by hand stays changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from minidl.errors import ArgumentError, DTypeError, StateError, warn
from minidl.optim.optimizer import Optimizer

__all__ = ["LRScheduler"]


class LRScheduler:
    r"""The base of schedules.

    .. math:: \gamma_t = \gamma_{\min} + (\gamma_{t-1} - \gamma_{\min}) \, s(t) / s(t - 1)

    Subclasses define :meth:`factor`, the share :math:`s(t)`; or :meth:`lr_at`; or, as in PyTorch, :meth:`get_lr`.

    Parameters
    ----------
    optimizer : Optimizer
        Its learning rates are set at once, and at each :meth:`step`.
    last_epoch : int
        To resume: the last epoch that was trained. The default -1 starts anew.

    Raises
    ------
    DTypeError
        If ``optimizer`` is none.
    StateError
        If a schedule is resumed whose optimiser does not know its initial learning rate.

    Examples
    --------
    >>> import minidl
    >>> class Half(minidl.optim.lr_scheduler.LRScheduler):
    ...     def factor(self, epoch):
    ...         return 0.5**epoch
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=8.0)
    >>> schedule = Half(optimizer)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [4.0]

    References
    ----------
    ``torch.optim.lr_scheduler.LRScheduler``.
    """

    eta_min: float = 0.0
    #: Whether :meth:`step` must be told how the epoch went, so that no other schedule can call it.
    needs_metric: ClassVar[bool] = False
    #: What :meth:`state_dict` leaves out: what cannot be saved as plain values.
    unsaved: ClassVar[tuple[str, ...]] = ("optimizer",)

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        name = type(self).__name__
        check_optimizer(optimizer, name)
        self.optimizer = optimizer
        for index, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise StateError(
                    f"{name}: cannot resume after epoch {last_epoch}: group {index} of the optimizer has no "
                    "'initial_lr'; load the optimizer's state first, or start with last_epoch=-1"
                )
        self.base_lrs = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self.warned = False
        self._start()

    def factor(self, epoch: int) -> float:
        """Return the share of the initial learning rate that ``epoch`` gets."""
        raise NotImplementedError(f"{type(self).__name__} defines neither factor, lr_at nor get_lr")

    def lr_at(self, epoch: int) -> list[float]:
        """Return the learning rate of each group at ``epoch``, if nothing else changes it."""
        share = self.factor(epoch)
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def get_lr(self) -> list[float]:
        """Return the learning rate of each group for ``self.last_epoch``, from the present ones."""
        share = self.factor(self.last_epoch)
        before = self.factor(self.last_epoch - 1) if self.last_epoch > 0 else 1.0
        if share == before:
            return [group["lr"] for group in self.optimizer.param_groups]
        if before == 0:
            return self.lr_at(self.last_epoch)
        return [self.eta_min + (group["lr"] - self.eta_min) * (share / before) for group in self.optimizer.param_groups]

    def step(self, epoch: Any = None) -> None:
        """Set the learning rate of the next epoch; call it after ``optimizer.step()``.

        Parameters
        ----------
        epoch : int, optional
            Go to this epoch instead.
        """
        self._check_order()
        if epoch is None:
            self.last_epoch += 1
            self._set(self.get_lr())
        else:
            self._go_to(epoch)

    def get_last_lr(self) -> list[float]:
        """Return the learning rate of each group, as the last step left it."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """Return what the schedule needs to continue: plain numbers and lists of them."""
        return {
            key: list(value) if isinstance(value, list) else value
            for key, value in self.__dict__.items()
            if key not in self.unsaved
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned; the optimizer's state holds the learning rates themselves.

        Raises
        ------
        StateError
            If it is the state of another kind of schedule.
        """
        known = [key for key in self.__dict__ if key not in self.unsaved]
        missing = [key for key in known if key not in state_dict]
        if missing:
            raise StateError(
                f"{type(self).__name__}: the state has no {missing[0]!r}; it is that of another kind of schedule"
            )
        for key in known:
            value = state_dict[key]
            setattr(self, key, list(value) if isinstance(value, list) else value)

    # ------------------------------------------------------------------ for schedules made of schedules

    def _start(self) -> None:
        """Take the step to the first epoch."""
        self.last_epoch += 1
        self._set(self.get_lr() if self.last_epoch == 0 else self.lr_at(self.last_epoch))

    def _undo_start(self) -> None:
        """Forget :meth:`_start`."""
        self.last_epoch -= 1

    def _go_to(self, epoch: Any) -> None:
        """Set the learning rate of ``epoch``."""
        self.last_epoch = epoch
        # a subclass written as in PyTorch has get_lr alone, which reads self.last_epoch
        own = type(self).get_lr is not LRScheduler.get_lr and type(self).lr_at is LRScheduler.lr_at
        self._set(self.get_lr() if own else self.lr_at(epoch))

    def _set(self, lrs: Iterable[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, lrs, strict=False):
            group["lr"] = float(lr)
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def _check_order(self) -> None:
        """Warn once if no step of the optimizer came before: its first learning rate would go unused."""
        if self.warned:
            return
        self.warned = True
        if self.optimizer.steps_taken == 0 and type(self.optimizer).step is Optimizer.step:
            warn(
                f"{type(self).__name__}: step() was called before optimizer.step(), so the first learning rate is "
                "never used; call optimizer.step() first"
            )


def check_optimizer(optimizer: Any, name: str) -> None:
    """Raise a DTypeError unless ``optimizer`` is one."""
    if not isinstance(optimizer, Optimizer):
        raise DTypeError(f"{name}: expected an optimizer of minidl.optim, got {type(optimizer).__name__}")


def check_positive(name: str, **numbers: Any) -> None:
    """Raise an ArgumentError unless each argument is a positive integer."""
    for key, value in numbers.items():
        if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
            raise ArgumentError(f"{name}: {key} must be a positive integer, got {value!r}")


def one_per_group(value: Any, optimizer: Optimizer, name: str) -> list[Any]:
    """Return ``value`` as a list with one entry a group."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * groups
    if len(value) != groups:
        raise ArgumentError(f"{name}: got {len(value)} values for {groups} parameter groups; give one, or one a group")
    return list(value)
