"""Learning rates as functions of the step: no state, no optimiser."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

__all__ = [
    "cosine_decay",
    "cosine_decay_restarts",
    "exponential_decay",
    "inverse_time_decay",
    "piecewise_constant",
    "polynomial_decay",
    "warm_up",
]


def exponential_decay(step: float, initial: float, steps: float, rate: float, staircase: bool = False) -> float:
    r"""Return a learning rate that falls by the same factor every so many steps.

    .. math:: \gamma_t = \gamma_0 r^{t / T} \qquad \text{(staircase: } \gamma_0 r^{\lfloor t / T \rfloor})

    Parameters
    ----------
    step : float
        :math:`t`
    initial : float
        :math:`\gamma_0`
    steps : float
        :math:`T`
    rate : float
        :math:`r`
    staircase : bool
        Fall every ``steps`` steps, rather than a little each.

    Returns
    -------
    float

    Examples
    --------
    >>> exponential_decay(20, 1.0, steps=10, rate=0.5)
    0.25

    References
    ----------
    ``keras.optimizers.schedules.ExponentialDecay``.
    """
    return initial * rate ** _periods(step, steps, staircase)


def inverse_time_decay(step: float, initial: float, steps: float, rate: float, staircase: bool = False) -> float:
    r"""Return a learning rate that falls as one over the time.

    .. math:: \gamma_t = \gamma_0 / (1 + r t / T)

    Parameters
    ----------
    step : float
        :math:`t`
    initial : float
        :math:`\gamma_0`
    steps : float
        :math:`T`
    rate : float
        :math:`r`
    staircase : bool
        Fall every ``steps`` steps, rather than a little each.

    Returns
    -------
    float

    Examples
    --------
    >>> inverse_time_decay(20, 1.0, steps=10, rate=0.5)
    0.5

    References
    ----------
    ``keras.optimizers.schedules.InverseTimeDecay``.
    """
    return initial / (1 + rate * _periods(step, steps, staircase))


def _periods(step: float, steps: float, staircase: bool) -> float:
    return math.floor(step / steps) if staircase else step / steps


def piecewise_constant(step: float, boundaries: Sequence[float], values: Sequence[float]) -> float:
    r"""Return a learning rate that is one of some values, by when it is.

    .. math:: \gamma_t = v_k \quad \text{for } b_{k-1} < t \le b_k

    Parameters
    ----------
    step : float
        :math:`t`
    boundaries : list of float
        :math:`b_0, b_1, \dots`, ascending: the last steps of each value but the last.
    values : list of float
        :math:`v_0, v_1, \dots`: one more.

    Returns
    -------
    float

    Examples
    --------
    >>> [piecewise_constant(step, [10, 20], [1.0, 0.5, 0.25]) for step in (10, 11, 21)]
    [1.0, 0.5, 0.25]

    References
    ----------
    ``keras.optimizers.schedules.PiecewiseConstantDecay``.
    """
    return values[bisect_left(boundaries, step)]


def polynomial_decay(
    step: float, initial: float, steps: float, end: float = 1e-4, power: float = 1.0, cycle: bool = False
) -> float:
    r"""Return a learning rate that falls to a last one along a power.

    .. math:: \gamma_t = (\gamma_0 - \gamma_T) (1 - \min(t, T) / T)^p + \gamma_T

    Parameters
    ----------
    step : float
        :math:`t`
    initial : float
        :math:`\gamma_0`
    steps : float
        :math:`T`
    end : float
        :math:`\gamma_T`
    power : float
        :math:`p`
    cycle : bool
        Past :math:`T`, take its next multiple in its place: the learning rate leaps up again.

    Returns
    -------
    float

    Examples
    --------
    >>> [polynomial_decay(step, 1.0, steps=10, end=0.5) for step in (0, 5, 20)]
    [1.0, 0.75, 0.5]

    References
    ----------
    ``keras.optimizers.schedules.PolynomialDecay``.
    """
    if cycle:
        steps *= max(1, math.ceil(step / steps))
    return (initial - end) * (1 - min(step, steps) / steps) ** power + end


def cosine_decay(step: float, initial: float, steps: float, alpha: float = 0.0) -> float:
    r"""Return a learning rate that falls along half a cosine.

    .. math:: \gamma_t = \gamma_0 \Big( (1 - \alpha) \tfrac12 \big( 1 + \cos (\pi \min(t, T) / T) \big) + \alpha \Big)

    Parameters
    ----------
    step : float
        :math:`t`
    initial : float
        :math:`\gamma_0`
    steps : float
        :math:`T`
    alpha : float
        :math:`\alpha`: what share of it is left at the end.

    Returns
    -------
    float

    Examples
    --------
    >>> [cosine_decay(step, 1.0, steps=10, alpha=0.5) for step in (0, 5, 10, 11)]
    [1.0, 0.75, 0.5, 0.5]

    References
    ----------
    ``keras.optimizers.schedules.CosineDecay``. Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm
    Restarts".
    """
    cosine = 0.5 * (1 + math.cos(math.pi * min(step, steps) / steps))
    return initial * ((1 - alpha) * cosine + alpha)


def warm_up(step: float, initial: float, steps: float, target: float) -> float:
    r"""Return a learning rate on a line from the first to the target.

    .. math:: \gamma_t = \gamma_0 + (\gamma_T - \gamma_0) t / T

    Parameters
    ----------
    step : float
        :math:`t`
    initial : float
        :math:`\gamma_0`
    steps : float
        :math:`T`
    target : float
        :math:`\gamma_T`

    Returns
    -------
    float

    Examples
    --------
    >>> warm_up(5, 0.0, steps=10, target=1.0)
    0.5

    References
    ----------
    ``keras.optimizers.schedules.CosineDecay``: ``warmup_target``.
    """
    return (target - initial) * (step / steps) + initial


def cosine_decay_restarts(
    step: float, initial: float, first: float, growth: float = 2.0, scale: float = 1.0, alpha: float = 0.0
) -> float:
    r"""Return a learning rate that falls along half a cosine, again and again, slower each time.

    .. math::

        T_i &= T_0 q^i, \qquad i = \max \{ i : S_i \le t \}, \qquad S_i = T_0 + \dots + T_{i-1} \\
        \gamma_t &= \gamma_0 \Big( (1 - \alpha) \tfrac12 m^i \big( 1 + \cos (\pi (t - S_i) / T_i) \big) + \alpha \Big)

    Parameters
    ----------
    step : float
        :math:`t`
    initial : float
        :math:`\gamma_0`
    first : float
        :math:`T_0`: the steps until the first restart.
    growth : float
        :math:`q`, 1 or more: by how much each period is longer than the one before.
    scale : float
        :math:`m`: what share of the height before each period begins with.
    alpha : float
        :math:`\alpha`: what share of the initial learning rate is left at the end of a period.

    Returns
    -------
    float

    Examples
    --------
    >>> [cosine_decay_restarts(step, 1.0, first=10) for step in (0, 5, 10, 20)]
    [1.0, 0.5, 1.0, 0.5]

    References
    ----------
    ``keras.optimizers.schedules.CosineDecayRestarts``. Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent
    with Warm Restarts".
    """
    period, restarts = first, 0
    if growth == 1:
        restarts = int(step // period)
        step -= restarts * period
    else:
        while step >= period:  # a logarithm would round to the wrong side of a restart
            step, period, restarts = step - period, period * growth, restarts + 1
    cosine = 0.5 * scale**restarts * (1 + math.cos(math.pi * step / period))
    return initial * ((1 - alpha) * cosine + alpha)
