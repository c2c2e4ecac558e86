"""Learning rates that change, under Keras's names: what an optimiser's ``learning_rate`` may be besides a number."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, Self

from minidl.errors import ArgumentError, DTypeError
from minidl.keras.serialization import builtin, deserialize_keras_object, serialize_keras_object
from minidl.optim.decays import (
    cosine_decay,
    cosine_decay_restarts,
    exponential_decay,
    inverse_time_decay,
    piecewise_constant,
    polynomial_decay,
    warm_up,
)

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]

MODULE = "keras.optimizers.schedules"


@builtin(MODULE)
class LearningRateSchedule:
    """A learning rate for each step; subclasses define ``__call__``, and ``get_config`` if they are to be saved.

    Raises
    ------
    NotImplementedError
        If a subclass lacks the one that is needed.

    Examples
    --------
    >>> from minidl import keras
    >>> class Halving(keras.optimizers.schedules.LearningRateSchedule):
    ...     def __call__(self, step):
    ...         return 0.5**step
    >>> keras.optimizers.SGD(Halving()).learning_rate
    1.0

    References
    ----------
    ``keras.optimizers.schedules.LearningRateSchedule``.
    """

    def __call__(self, step: Any) -> float:
        """Return the learning rate of a step, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__; define `def __call__(self, step):` in it")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this schedule again."""
        raise NotImplementedError(
            f"{type(self).__name__} has no get_config, so it cannot be saved; let it return the arguments of __init__"
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Make a schedule from what ``get_config`` returned."""
        return cls(**config)


class _Schedule(LearningRateSchedule):
    """A schedule that keeps each argument of its ``__init__`` in an attribute of the same name."""

    name: str

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this schedule again."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in self.get_config().items())})"

    def _check(self, **arguments: Any) -> None:
        """Raise an error unless all are numbers, and the numbers of steps are more than 0."""
        for key, value in arguments.items():
            if isinstance(value, bool) or not hasattr(value, "__float__"):
                raise DTypeError(f"{type(self).__name__}: {key} must be a number, got {value!r}")
            if key in ("decay_steps", "first_decay_steps") and not value > 0:
                raise ArgumentError(f"{type(self).__name__}: {key} must be more than 0, got {value}")


@builtin(MODULE)
class ExponentialDecay(_Schedule):
    r"""A learning rate that falls by the same factor every ``decay_steps`` steps.

    .. math:: \gamma_t = \gamma_0 r^{t / T}

    Parameters
    ----------
    initial_learning_rate : float
        :math:`\gamma_0`
    decay_steps : int
        :math:`T`, more than 0.
    decay_rate : float
        :math:`r`
    staircase : bool
        Fall every ``decay_steps`` steps, rather than a little each.
    name : str

    Raises
    ------
    ArgumentError
        If ``decay_steps`` is not more than 0.

    Examples
    --------
    >>> from minidl import keras
    >>> schedule = keras.optimizers.schedules.ExponentialDecay(1.0, decay_steps=10, decay_rate=0.5)
    >>> schedule(0), schedule(20)
    (1.0, 0.25)

    References
    ----------
    ``keras.optimizers.schedules.ExponentialDecay``.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self._check(initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, decay_rate=decay_rate)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> float:
        """Return the learning rate of a step, counted from 0."""
        return exponential_decay(
            float(step), self.initial_learning_rate, self.decay_steps, self.decay_rate, self.staircase
        )


@builtin(MODULE)
class InverseTimeDecay(_Schedule):
    r"""A learning rate that falls as one over the time.

    .. math:: \gamma_t = \gamma_0 / (1 + r t / T)

    Parameters
    ----------
    initial_learning_rate : float
        :math:`\gamma_0`
    decay_steps : int
        :math:`T`, more than 0.
    decay_rate : float
        :math:`r`
    staircase : bool
        Fall every ``decay_steps`` steps, rather than a little each.
    name : str

    Raises
    ------
    ArgumentError
        If ``decay_steps`` is not more than 0.

    Examples
    --------
    >>> from minidl import keras
    >>> schedule = keras.optimizers.schedules.InverseTimeDecay(1.0, decay_steps=10, decay_rate=0.5)
    >>> schedule(0), schedule(20)
    (1.0, 0.5)

    References
    ----------
    ``keras.optimizers.schedules.InverseTimeDecay``.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self._check(initial_learning_rate=initial_learning_rate, decay_steps=decay_steps, decay_rate=decay_rate)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: Any) -> float:
        """Return the learning rate of a step, counted from 0."""
        return inverse_time_decay(
            float(step), self.initial_learning_rate, self.decay_steps, self.decay_rate, self.staircase
        )


@builtin(MODULE)
class PiecewiseConstantDecay(_Schedule):
    r"""A learning rate that is one of some values, by when it is.

    .. math:: \gamma_t = v_k \quad \text{for } b_{k-1} < t \le b_k

    Parameters
    ----------
    boundaries : list of int
        :math:`b_0, b_1, \dots`, ascending: the last steps of each value but the last.
    values : list of float
        :math:`v_0, v_1, \dots`: one more.
    name : str

    Raises
    ------
    ArgumentError
        If there is not one boundary less than values, or boundaries descend.

    Examples
    --------
    >>> from minidl import keras
    >>> schedule = keras.optimizers.schedules.PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
    >>> schedule(10), schedule(11), schedule(21)
    (1.0, 0.5, 0.25)

    References
    ----------
    ``keras.optimizers.schedules.PiecewiseConstantDecay``.
    """

    def __init__(self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant") -> None:
        if len(boundaries) != len(values) - 1:
            raise ArgumentError(
                f"PiecewiseConstantDecay: {len(values)} values need {len(values) - 1} boundaries between them, got "
                f"{len(boundaries)}"
            )
        if list(boundaries) != sorted(boundaries):
            raise ArgumentError(f"PiecewiseConstantDecay: boundaries must ascend, got {list(boundaries)}")
        self.boundaries = list(boundaries)
        self.values = list(values)
        self.name = name

    def __call__(self, step: Any) -> float:
        """Return the learning rate of a step, counted from 0."""
        return piecewise_constant(float(step), self.boundaries, self.values)


@builtin(MODULE)
class PolynomialDecay(_Schedule):
    r"""A learning rate that falls to a last one along a power.

    .. math:: \gamma_t = (\gamma_0 - \gamma_T) (1 - \min(t, T) / T)^p + \gamma_T

    Parameters
    ----------
    initial_learning_rate : float
        :math:`\gamma_0`
    decay_steps : int
        :math:`T`, more than 0.
    end_learning_rate : float
        :math:`\gamma_T`
    power : float
        :math:`p`
    cycle : bool
        Past :math:`T`, take its next multiple in its place: the learning rate leaps up again.
    name : str

    Raises
    ------
    ArgumentError
        If ``decay_steps`` is not more than 0.

    Examples
    --------
    >>> from minidl import keras
    >>> schedule = keras.optimizers.schedules.PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.5)
    >>> schedule(0), schedule(5), schedule(20)
    (1.0, 0.75, 0.5)

    References
    ----------
    ``keras.optimizers.schedules.PolynomialDecay``.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self._check(
            initial_learning_rate=initial_learning_rate,
            decay_steps=decay_steps,
            end_learning_rate=end_learning_rate,
            power=power,
        )
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> float:
        """Return the learning rate of a step, counted from 0."""
        return polynomial_decay(
            float(step), self.initial_learning_rate, self.decay_steps, self.end_learning_rate, self.power, self.cycle
        )


@builtin(MODULE)
class CosineDecay(_Schedule):
    r"""A learning rate that falls along half a cosine, after a warm-up if there is a target for one.

    .. math:: \gamma_t = \gamma_0 \Big( (1 - \alpha) \tfrac12 \big( 1 + \cos (\pi \min(t, T) / T) \big) + \alpha \Big)

    Parameters
    ----------
    initial_learning_rate : float
        :math:`\gamma_0`; with a warm-up, where that begins.
    decay_steps : int
        :math:`T`, more than 0; the warm-up not counted.
    alpha : float
        :math:`\alpha`: what share is left at the end.
    name : str
    warmup_target : float, optional
        Where the warm-up ends, and the decay begins.
    warmup_steps : int
        How many steps it takes.

    Raises
    ------
    ArgumentError
        If ``decay_steps`` is not more than 0.

    Examples
    --------
    >>> from minidl import keras
    >>> schedule = keras.optimizers.schedules.CosineDecay(0.0, decay_steps=10, warmup_target=1.0, warmup_steps=4)
    >>> schedule(0), schedule(2), schedule(4), schedule(9), schedule(14)
    (0.0, 0.5, 1.0, 0.5, 0.0)

    References
    ----------
    ``keras.optimizers.schedules.CosineDecay``. Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm
    Restarts".
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        self._check(
            initial_learning_rate=initial_learning_rate,
            decay_steps=decay_steps,
            alpha=alpha,
            warmup_target=0 if warmup_target is None else warmup_target,
            warmup_steps=warmup_steps,
        )
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> float:
        """Return the learning rate of a step, counted from 0."""
        step = float(step)
        if self.warmup_target is None:
            return cosine_decay(step, self.initial_learning_rate, self.decay_steps, self.alpha)
        if step < self.warmup_steps:
            return warm_up(step, self.initial_learning_rate, self.warmup_steps, self.warmup_target)
        return cosine_decay(step - self.warmup_steps, self.warmup_target, self.decay_steps, self.alpha)


@builtin(MODULE)
class CosineDecayRestarts(_Schedule):
    r"""A learning rate that falls along half a cosine, again and again.

    .. math:: \gamma_t = \gamma_0 \big( (1 - \alpha) \tfrac12 m^i (1 + \cos (\pi (t - S_i) / T_i)) + \alpha \big)

    where period :math:`i` begins with step :math:`S_i` and takes :math:`T_i = T_0 q^i` steps.

    Parameters
    ----------
    initial_learning_rate : float
        :math:`\gamma_0`
    first_decay_steps : int
        :math:`T_0`, more than 0.
    t_mul : float
        :math:`q`, 1 or more: by how much each period is longer than the one before.
    m_mul : float
        :math:`m`: what share of the height before each period begins with.
    alpha : float
        :math:`\alpha`: what share of the initial learning rate is left at the end of a period.
    name : str

    Raises
    ------
    ArgumentError
        If ``first_decay_steps`` is not more than 0, or ``t_mul`` less than 1.

    Examples
    --------
    >>> from minidl import keras
    >>> schedule = keras.optimizers.schedules.CosineDecayRestarts(1.0, first_decay_steps=10)
    >>> schedule(0), schedule(5), schedule(10), schedule(20)
    (1.0, 0.5, 1.0, 0.5)

    References
    ----------
    ``keras.optimizers.schedules.CosineDecayRestarts``. Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent
    with Warm Restarts".
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        self._check(
            initial_learning_rate=initial_learning_rate,
            first_decay_steps=first_decay_steps,
            t_mul=t_mul,
            m_mul=m_mul,
            alpha=alpha,
        )
        if not t_mul >= 1:
            raise ArgumentError(
                f"CosineDecayRestarts: t_mul must be 1 or more, got {t_mul}: periods would end at 0 steps"
            )
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> float:
        """Return the learning rate of a step, counted from 0."""
        return cosine_decay_restarts(
            float(step), self.initial_learning_rate, self.first_decay_steps, self.t_mul, self.m_mul, self.alpha
        )


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Return a schedule as JSON can hold it.

    Parameters
    ----------
    learning_rate_schedule : LearningRateSchedule

    Returns
    -------
    dict

    Examples
    --------
    >>> from minidl import keras
    >>> schedules = keras.optimizers.schedules
    >>> schedules.serialize(schedules.PolynomialDecay(0.1, 100))["class_name"]
    'PolynomialDecay'

    References
    ----------
    ``keras.optimizers.schedules.serialize``.
    """
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Make a schedule from what :func:`serialize` returned, of minidl or of Keras.

    Parameters
    ----------
    config : dict
    custom_objects : dict of str to class, optional
        The user's own schedules.

    Returns
    -------
    LearningRateSchedule

    Raises
    ------
    FormatError
        If it names no class that is known, or does not fit the class.

    Examples
    --------
    >>> from minidl import keras
    >>> schedules = keras.optimizers.schedules
    >>> config = schedules.serialize(schedules.PolynomialDecay(0.5, 100))
    >>> schedules.deserialize(config)(0)
    0.5

    References
    ----------
    ``keras.optimizers.schedules.deserialize``.
    """
    return deserialize_keras_object(config, custom_objects, module=MODULE)
