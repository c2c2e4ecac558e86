"""Schedules: how the learning rate changes while training goes on."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any

from minidl.errors import ArgumentError, RangeError
from minidl.optim.combined import ChainedScheduler, SequentialLR
from minidl.optim.optimizer import Optimizer
from minidl.optim.scheduler import LRScheduler, check_optimizer, check_positive, one_per_group

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]


class LambdaLR(LRScheduler):
    r"""The initial learning rate times any function of the epoch.

    .. math:: \gamma_t = \gamma_0 \, \lambda(t)

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or a list of one a group
        :math:`\lambda`: takes the epoch, returns the factor. It is not saved in the state.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If there is not one function a group.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1 / (1 + epoch))
    >>> optimizer.step(), schedule.step()
    (None, None)
    >>> schedule.get_last_lr()
    [0.5]

    References
    ----------
    ``torch.optim.lr_scheduler.LambdaLR``.
    """

    unsaved = ("optimizer", "lr_lambdas")

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        check_optimizer(optimizer, type(self).__name__)
        self.lr_lambdas: list[Callable[[int], float]] = one_per_group(lr_lambda, optimizer, type(self).__name__)
        super().__init__(optimizer, last_epoch)

    def lr_at(self, epoch: int) -> list[float]:
        return [base * share(epoch) for base, share in zip(self.base_lrs, self.lr_lambdas, strict=True)]

    def get_lr(self) -> list[float]:
        return self.lr_at(self.last_epoch)


class MultiplicativeLR(LambdaLR):
    r"""The learning rate before times any function of the epoch.

    .. math:: \gamma_t = \gamma_{t-1} \, \lambda(t)

    Parameters
    ----------
    optimizer : Optimizer
    lr_lambda : callable, or a list of one a group
        :math:`\lambda`: takes the epoch, returns the factor. It is not saved in the state.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If there is not one function a group.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.5)
    >>> optimizer.step(), schedule.step(), schedule.step()
    (None, None, None)
    >>> schedule.get_last_lr()
    [0.25]

    References
    ----------
    ``torch.optim.lr_scheduler.MultiplicativeLR``.
    """

    def lr_at(self, epoch: int) -> list[float]:
        return [
            base * math.prod(share(e) for e in range(1, epoch + 1))
            for base, share in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]

    def get_lr(self) -> list[float]:
        lrs = [group["lr"] for group in self.optimizer.param_groups]
        if self.last_epoch == 0:
            return lrs
        return [lr * share(self.last_epoch) for lr, share in zip(lrs, self.lr_lambdas, strict=True)]


class StepLR(LRScheduler):
    r"""The learning rate falls by a factor every so many epochs.

    .. math:: \gamma_t = \gamma_0 \, g^{\lfloor t / n \rfloor}

    Parameters
    ----------
    optimizer : Optimizer
    step_size : int
        :math:`n`, in epochs.
    gamma : float
        :math:`g`.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If ``step_size`` is not a positive integer.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]

    References
    ----------
    ``torch.optim.lr_scheduler.StepLR``.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        check_positive("StepLR", step_size=step_size)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    r"""The learning rate falls by a factor at each of some epochs.

    .. math:: \gamma_t = \gamma_0 \, g^{|\{m : m \le t\}|}

    Parameters
    ----------
    optimizer : Optimizer
    milestones : sequence of int
        The epochs :math:`m`.
    gamma : float
        :math:`g`.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    DTypeError
        If ``optimizer`` is none.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for epoch in range(4):
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]

    References
    ----------
    ``torch.optim.lr_scheduler.MultiStepLR``.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.gamma ** bisect_right(self.milestones, epoch)


class ConstantLR(LRScheduler):
    r"""A share of the learning rate for the first epochs, all of it afterwards.

    .. math:: \gamma_t = \gamma_0 \begin{cases} f & t < n \\ 1 & t \ge n \end{cases}

    Parameters
    ----------
    optimizer : Optimizer
    factor : float
        :math:`f`, from 0 to 1.
    total_iters : int
        :math:`n`, in epochs.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If ``factor`` is not between 0 and 1.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.ConstantLR(optimizer, factor=0.25, total_iters=2)
    >>> schedule.get_last_lr()
    [0.25]

    References
    ----------
    ``torch.optim.lr_scheduler.ConstantLR``.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 <= factor <= 1:
            raise ArgumentError(f"ConstantLR: factor must be between 0 and 1, got {factor}")
        self.start_factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.start_factor if epoch < self.total_iters else 1.0


class LinearLR(LRScheduler):
    r"""The learning rate moves along a straight line for the first epochs: a warm-up.

    .. math:: \gamma_t = \gamma_0 \, \big(f + (e - f) \min(t, n) / n\big)

    Parameters
    ----------
    optimizer : Optimizer
    start_factor, end_factor : float
        :math:`f`, above 0 and up to 1, and :math:`e`, from 0 to 1.
    total_iters : int
        :math:`n`, in epochs.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If a factor is outside of its range.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=4)
    >>> optimizer.step(), schedule.step()
    (None, None)
    >>> schedule.get_last_lr()
    [0.625]

    References
    ----------
    ``torch.optim.lr_scheduler.LinearLR``.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ArgumentError(
                "LinearLR: start_factor must be above 0 and at most 1, end_factor between 0 and 1, got "
                f"{start_factor} and {end_factor}"
            )
        check_positive("LinearLR", total_iters=total_iters)
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        done = min(epoch, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done


class ExponentialLR(LRScheduler):
    r"""The learning rate falls by a factor every epoch.

    .. math:: \gamma_t = \gamma_0 \, g^t

    Parameters
    ----------
    optimizer : Optimizer
    gamma : float
        :math:`g`.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    DTypeError
        If ``optimizer`` is none.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> optimizer.step(), schedule.step(), schedule.step()
    (None, None, None)
    >>> schedule.get_last_lr()
    [0.25]

    References
    ----------
    ``torch.optim.lr_scheduler.ExponentialLR``.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return self.gamma**epoch


class PolynomialLR(LRScheduler):
    r"""The learning rate falls to zero along a power of the time left.

    .. math:: \gamma_t = \gamma_0 \, \big(1 - \min(t, n) / n\big)^p

    Parameters
    ----------
    optimizer : Optimizer
    total_iters : int
        :math:`n`, in epochs.
    power : float
        :math:`p`.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If ``total_iters`` is not a positive integer.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=2, power=2)
    >>> optimizer.step(), schedule.step()
    (None, None)
    >>> schedule.get_last_lr()
    [0.25]

    References
    ----------
    ``torch.optim.lr_scheduler.PolynomialLR``.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        check_positive("PolynomialLR", total_iters=total_iters)
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return (1 - min(epoch, self.total_iters) / self.total_iters) ** self.power


class CosineAnnealingLR(LRScheduler):
    r"""The learning rate falls along half a wave of a cosine (and rises again, if training goes on).

    .. math:: \gamma_t = \gamma_{\min} + (\gamma_0 - \gamma_{\min}) \, \frac{1 + \cos(\pi t / T_{\max})}{2}

    Parameters
    ----------
    optimizer : Optimizer
    T_max : int
        :math:`T_{\max}`, in epochs: when the bottom is reached.
    eta_min : float
        :math:`\gamma_{\min}`.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If ``T_max`` is not a positive integer.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> optimizer.step(), schedule.step()
    (None, None)
    >>> round(schedule.get_last_lr()[0], 6)
    0.5

    References
    ----------
    ``torch.optim.lr_scheduler.CosineAnnealingLR``. Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with
    Warm Restarts".
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:  # noqa: N803
        check_positive("CosineAnnealingLR", T_max=T_max)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        return (1 + math.cos(math.pi * epoch / self.T_max)) / 2


class CosineAnnealingWarmRestarts(LRScheduler):
    r"""The learning rate falls along half a wave of a cosine, jumps back, and falls again.

    .. math:: \gamma_t = \gamma_{\min} + (\gamma_0 - \gamma_{\min}) \, \frac{1 + \cos(\pi T_{cur} / T_i)}{2}

    with :math:`T_{cur}` the epochs since the last restart and :math:`T_i` those from it to the next.

    Parameters
    ----------
    optimizer : Optimizer
    T_0 : int
        The epochs until the first restart.
    T_mult : int
        How much longer each wave is than the one before.
    eta_min : float
        :math:`\gamma_{\min}`.
    last_epoch : int
        To resume: the last epoch that was trained.

    Raises
    ------
    ArgumentError
        If ``T_0`` or ``T_mult`` is not a positive integer.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> optimizer.step(), schedule.step(), schedule.step()
    (None, None, None)
    >>> schedule.get_last_lr()
    [1.0]

    References
    ----------
    ``torch.optim.lr_scheduler.CosineAnnealingWarmRestarts``. Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient
    Descent with Warm Restarts".
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803
        T_mult: int = 1,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        check_positive("CosineAnnealingWarmRestarts", T_0=T_0, T_mult=T_mult)
        self.T_0 = T_0
        self.T_mult = T_mult
        self.T_i = T_0
        self.T_cur: float = 0
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:
        """Set the learning rate of the next epoch.

        Parameters
        ----------
        epoch : float, optional
            Go to this epoch instead, a fraction of one included: ``schedule.step(epoch + i / batches)``.
        """
        self._check_order()
        if epoch is not None and epoch < 0:
            raise ArgumentError(f"CosineAnnealingWarmRestarts: epoch must not be negative, got {epoch}")
        self._go_to(self.last_epoch + self.T_cur % 1 + 1 if epoch is None else epoch)

    def _start(self) -> None:
        self._go_to(self.last_epoch + 1)

    def _go_to(self, epoch: float) -> None:
        self._set(self.lr_at(epoch))
        self.last_epoch = math.floor(epoch)

    def lr_at(self, epoch: float) -> list[float]:
        self.T_cur, self.T_i = epoch, self.T_0
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


class OneCycleLR(LRScheduler):
    r"""The learning rate rises from low to high, then falls to almost nothing; momentum does the opposite.

    .. math::

        \gamma_t = \gamma_b + (\gamma_a - \gamma_b) \, \frac{1 + \cos(\pi u)}{2}
        \qquad \text{(cos)} \qquad
        \gamma_t = \gamma_a + (\gamma_b - \gamma_a) \, u \qquad \text{(linear)}

    where :math:`u` goes from 0 to 1 through each phase: from :math:`\gamma_{\max}` / ``div_factor`` to
    :math:`\gamma_{\max}`, then to the initial learning rate / ``final_div_factor``. With ``three_phase`` the way down
    mirrors the way up, before the last phase.

    Parameters
    ----------
    optimizer : Optimizer
    max_lr : float, or a list of one a group
        The peak.
    total_steps : int, optional
        How many steps there will be; or give ``epochs`` and ``steps_per_epoch``.
    epochs, steps_per_epoch : int, optional
    pct_start : float
        The share of the steps that the rise takes.
    anneal_strategy : {"cos", "linear"}
    cycle_momentum : bool
        Let ``momentum`` (or the first of ``betas``) fall while the learning rate rises, and back.
    base_momentum, max_momentum : float, or a list of one a group
    div_factor, final_div_factor : float
    three_phase : bool
    last_epoch : int
        To resume: the last step that was taken.

    Raises
    ------
    ArgumentError
        If the number of steps is not given, an argument is out of its range, or the optimizer has no momentum to
        cycle.
    RangeError
        If more than ``total_steps`` steps are taken.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=0.1, momentum=0.9)
    >>> schedule = minidl.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=11, pct_start=0.5)
    >>> schedule.get_last_lr(), optimizer.param_groups[0]["momentum"]
    ([0.04...], 0.95)

    References
    ----------
    ``torch.optim.lr_scheduler.OneCycleLR``. Smith & Topin 2017, "Super-Convergence: Very Fast Training of Neural
    Networks Using Large Learning Rates".
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(optimizer, "OneCycleLR")
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            check_positive("OneCycleLR", epochs=epochs, steps_per_epoch=steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        check_positive("OneCycleLR", total_steps=total_steps)
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"OneCycleLR: pct_start must be between 0 and 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ArgumentError(f"OneCycleLR: anneal_strategy must be 'cos' or 'linear', got {anneal_strategy!r}")
        if cycle_momentum and not optimizer.defaults.keys() & {"momentum", "betas"}:
            raise ArgumentError(f"OneCycleLR: {optimizer.name} has no momentum to cycle; pass cycle_momentum=False")
        self.total_steps = total_steps
        self.anneal_strategy = anneal_strategy
        self.cycle_momentum = cycle_momentum
        # each phase: its last step, then from which to which of the group's learning rates and momentums it goes
        up: list[Any] = [pct_start * total_steps - 1, "initial_lr", "max_lr", "max_momentum", "base_momentum"]
        down: list[Any] = [2 * pct_start * total_steps - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"]
        out: list[Any] = [total_steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"]
        fall: list[Any] = [total_steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum"]
        self.phases = [up, down, out] if three_phase else [up, fall]
        if last_epoch == -1:
            for group, high in zip(optimizer.param_groups, one_per_group(max_lr, optimizer, "OneCycleLR"), strict=True):
                group["max_lr"] = high
                group["initial_lr"] = high / div_factor
                group["min_lr"] = high / div_factor / final_div_factor
            if cycle_momentum:
                lows = one_per_group(base_momentum, optimizer, "OneCycleLR")
                highs = one_per_group(max_momentum, optimizer, "OneCycleLR")
                for group, low, high in zip(optimizer.param_groups, lows, highs, strict=True):
                    group["base_momentum"], group["max_momentum"] = low, high
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        return self.lr_at(self.last_epoch)

    def lr_at(self, epoch: int) -> list[float]:
        if epoch > self.total_steps:
            raise RangeError(
                f"OneCycleLR: step {epoch} of a cycle of {self.total_steps}; make total_steps (or epochs * "
                "steps_per_epoch) the number of times that step() is called"
            )
        last = len(self.phases) - 1
        index = next((i for i, phase in enumerate(self.phases) if epoch <= phase[0]), last)
        start = self.phases[index - 1][0] if index else 0.0
        end, *names = self.phases[index]
        done = (epoch - start) / (end - start) if end != start else 1.0
        lrs = []
        for group in self.optimizer.param_groups:
            lr_from, lr_to = group[names[0]], group[names[1]]
            lrs.append(self._between(lr_from, lr_to, done))
            if self.cycle_momentum:
                momentum = self._between(group[names[2]], group[names[3]], done)
                if "betas" in group:
                    group["betas"] = (momentum, *group["betas"][1:])
                else:
                    group["momentum"] = momentum
        return lrs

    def _between(self, first: float, last: float, done: float) -> float:
        if self.anneal_strategy == "linear":
            return first + (last - first) * done
        return last + (first - last) * (1 + math.cos(math.pi * done)) / 2


class ReduceLROnPlateau(LRScheduler):
    r"""The learning rate falls by a factor when a metric has not improved for a while.

    .. math:: \gamma_t = \max(f \gamma_{t-1}, \gamma_{\min}) \quad \text{after more than } n \text{ bad epochs}

    Parameters
    ----------
    optimizer : Optimizer
    mode : {"min", "max"}
        Whether the metric should fall or rise.
    factor : float
        :math:`f`, below 1.
    patience : int
        :math:`n`: how many epochs without improvement are put up with.
    threshold : float
        What counts as an improvement.
    threshold_mode : {"rel", "abs"}
        Whether ``threshold`` is a share of the best value so far, or a difference from it.
    cooldown : int
        How many epochs after a change are not counted.
    min_lr : float, or a list of one a group
        :math:`\gamma_{\min}`.
    eps : float
        Changes smaller than this are not made.

    Raises
    ------
    ArgumentError
        If ``factor`` is not below 1, or a mode is unknown.

    Examples
    --------
    >>> import minidl
    >>> optimizer = minidl.optim.SGD([minidl.ones(1, requires_grad=True)], lr=1.0)
    >>> schedule = minidl.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 3.0, 3.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.5]

    References
    ----------
    ``torch.optim.lr_scheduler.ReduceLROnPlateau``.
    """

    needs_metric = True

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0.0,
        eps: float = 1e-8,
    ) -> None:
        check_optimizer(optimizer, "ReduceLROnPlateau")
        if factor >= 1:
            raise ArgumentError(f"ReduceLROnPlateau: factor must be below 1, got {factor}")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ArgumentError(
                "ReduceLROnPlateau: mode must be 'min' or 'max' and threshold_mode 'rel' or 'abs', got "
                f"{mode!r} and {threshold_mode!r}"
            )
        self.optimizer = optimizer
        self.mode = mode
        self.reduction = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = one_per_group(min_lr, optimizer, "ReduceLROnPlateau")
        self.eps = eps
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = 0
        self.cooldown_counter = 0
        self._last_lr = [group["lr"] for group in optimizer.param_groups]

    def is_better(self, value: float) -> bool:
        """Whether ``value`` counts as an improvement."""
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            return sign * value > sign * self.best * (1 + sign * self.threshold)
        return sign * value > sign * self.best + self.threshold

    def step(self, metrics: Any) -> None:  # type: ignore[override]
        """Tell the schedule how an epoch went.

        Parameters
        ----------
        metrics : float or Tensor of one element
        """
        value = float(metrics.item() if hasattr(metrics, "item") else metrics)
        self.last_epoch += 1
        if self.is_better(value):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            for group, low in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
                lower = max(group["lr"] * self.reduction, low)
                if group["lr"] - lower > self.eps:
                    group["lr"] = lower
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = [group["lr"] for group in self.optimizer.param_groups]
