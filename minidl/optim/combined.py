"""Schedules made of schedules: one after another, or several at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from minidl.errors import ArgumentError, DTypeError, StateError
from minidl.optim.optimizer import Optimizer
from minidl.optim.scheduler import LRScheduler

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Combined(LRScheduler):
    """What schedules made of schedules share."""

    unsaved = ("optimizer", "schedulers")
    schedulers: list[LRScheduler]

    def _check(self, optimizer: Any, schedulers: Sequence[Any]) -> list[Any]:
        name = type(self).__name__
        if not schedulers:
            raise ArgumentError(f"{name}: the list of schedules is empty")
        for index, schedule in enumerate(schedulers):
            if not isinstance(schedule, LRScheduler):
                raise DTypeError(f"{name}: schedule {index} is of type {type(schedule).__name__}")
            if schedule.needs_metric:
                raise ArgumentError(
                    f"{name}: schedule {index} is a {type(schedule).__name__}, whose step() needs a metric; call it "
                    "yourself"
                )
            if schedule.optimizer is not optimizer:
                raise ArgumentError(f"{name}: schedule {index} belongs to another optimizer; all must share one")
        return list(schedulers)

    def _undo_start(self) -> None:
        self.last_epoch -= 1
        for schedule in self.schedulers:
            schedule._undo_start()

    def _note(self) -> None:
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of this schedule and, as ``"schedulers"``, of each that it is made of."""
        return {**super().state_dict(), "schedulers": [schedule.state_dict() for schedule in self.schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned."""
        states = state_dict.get("schedulers", [])
        if len(states) != len(self.schedulers):
            raise StateError(
                f"{type(self).__name__}: the state is made of {len(states)} schedules, this one of "
                f"{len(self.schedulers)}"
            )
        super().load_state_dict(state_dict)
        for schedule, state in zip(self.schedulers, states, strict=True):
            schedule.load_state_dict(state)


class SequentialLR(_Combined):
    r"""One schedule after another: a warm-up, then a decay.

    .. math:: \gamma_t = \gamma^{(k)}_{t - m_k} \quad \text{for } m_k \le t < m_{k+1}

    Parameters
    ----------
    optimizer : Optimizer
    schedulers : list of LRScheduler
        All of this optimizer.
    milestones : list of int
        The epochs :math:`m_k` at which the second, third, ... schedule starts.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If there is not one milestone less than schedules, or a schedule cannot be combined.

    Examples
    --------
    >>> import minidl
    >>> from minidl.optim.lr_scheduler import ExponentialLR, LinearLR, SequentialLR
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> schedule = SequentialLR(optimizer, [warm_up, ExponentialLR(optimizer, 0.5)], milestones=[2])
    >>> for epoch in range(3):
    ...     print(schedule.get_last_lr())
    ...     optimizer.step()
    ...     schedule.step()
    [0.5]
    [0.75]
    [1.0]

    References
    ----------
    ``torch.optim.lr_scheduler.SequentialLR``.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[Any], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self.schedulers = self._check(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones, got "
                f"{len(milestones)}"
            )
        self.optimizer = optimizer
        self.milestones = list(milestones)
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:  # each schedule has taken its first step: start afresh
            group["lr"] = group["initial_lr"]
        for schedule in self.schedulers:
            schedule._undo_start()
        self.schedulers[bisect_right(self.milestones, 0)]._start()
        self._note()

    def step(self) -> None:  # type: ignore[override]
        """Set the learning rate of the next epoch; call it after ``optimizer.step()``."""
        self.last_epoch += 1
        index = bisect_right(self.milestones, self.last_epoch)
        schedule = self.schedulers[index]
        if index and self.milestones[index - 1] == self.last_epoch:
            schedule._go_to(0)
        else:
            schedule.step()
        self._note()

    def _start(self) -> None:
        self.last_epoch += 1
        self.schedulers[bisect_right(self.milestones, self.last_epoch)]._start()
        self._note()

    def _go_to(self, epoch: Any) -> None:
        self.last_epoch = epoch
        index = bisect_right(self.milestones, epoch)
        self.schedulers[index]._go_to(epoch - (self.milestones[index - 1] if index else 0))
        self._note()


class ChainedScheduler(_Combined):
    r"""Several schedules at once: their factors multiply.

    .. math:: \gamma_t = \gamma_0 \prod_k s_k(t)

    Parameters
    ----------
    schedulers : list of LRScheduler
        All of one optimizer.
    optimizer : Optimizer, optional
        That optimizer.

    Raises
    ------
    ArgumentError
        If a schedule cannot be combined.

    Examples
    --------
    >>> import minidl
    >>> from minidl.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = ChainedScheduler([ConstantLR(optimizer, 0.5, 4), ExponentialLR(optimizer, 0.5)])
    >>> optimizer.step(), schedule.step()
    (None, None)
    >>> schedule.get_last_lr()
    [0.25]

    References
    ----------
    ``torch.optim.lr_scheduler.ChainedScheduler``.
    """

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None = None) -> None:
        if optimizer is None and schedulers and isinstance(schedulers[0], LRScheduler):
            optimizer = schedulers[0].optimizer
        self.schedulers = self._check(optimizer, schedulers)
        self.optimizer = self.schedulers[0].optimizer
        self.last_epoch = 0
        self._note()

    def step(self) -> None:  # type: ignore[override]
        """Set the learning rate of the next epoch; call it after ``optimizer.step()``."""
        self.last_epoch += 1
        for schedule in self.schedulers:
            schedule.step()
        self._note()

    def _start(self) -> None:
        self.last_epoch += 1
        for schedule in self.schedulers:
            schedule._start()
        self._note()

    def _go_to(self, epoch: Any) -> None:
        # each schedule would set the learning rate for itself alone: start afresh and let them walk
        self.last_epoch = epoch
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for schedule in self.schedulers:
            schedule.last_epoch = -1
            schedule._start()
        for _ in range(epoch):
            for schedule in self.schedulers:
                schedule.step()
        self._note()
