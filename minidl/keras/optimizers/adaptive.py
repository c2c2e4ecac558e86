"""Adagrad, Adadelta and RMSprop: each element has a learning rate of its own, from its squared gradients."""

from __future__ import annotations

from typing import Any

from minidl.keras.optimizers.optimizer import MODULE, Optimizer
from minidl.keras.optimizers.values import Slot, check_number
from minidl.keras.serialization import builtin
from minidl.optim.keras_rules import KerasAdadelta, KerasAdagrad, KerasRMSprop
from minidl.optim.optimizer import Optimizer as Rule

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


@builtin(MODULE)
class Adagrad(Optimizer):
    r"""AdaGrad: steps that shrink with the sum of the squared gradients so far, element by element.

    .. math::

        s_t &= s_{t-1} + g_t^2 \\
        \theta_t &= \theta_{t-1} - \gamma g_t / \sqrt{s_t + \epsilon}

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    initial_accumulator_value : float
        :math:`s_0`
    epsilon : float
        :math:`\epsilon`: keeps the quotient finite.
    *common, **settings
        ``weight_decay``, ``clipnorm`` and what else each :class:`Optimizer` takes, in that order.

    Raises
    ------
    ArgumentError
        If an argument is unknown or out of its range.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.Variable([1.0], name="w")
    >>> keras.optimizers.Adagrad(0.5, initial_accumulator_value=3.0).apply([[1.0]], [w])
    >>> w.numpy()  # 1 - 0.5 / sqrt(3 + 1)
    array([0.75], dtype=float32)

    References
    ----------
    ``keras.optimizers.Adagrad``. Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization".
    """

    settings = ("initial_accumulator_value", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *common: Any,
        **settings: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        self.initial_accumulator_value = check_number("Adagrad", "initial_accumulator_value", initial_accumulator_value)
        self.epsilon = check_number("Adagrad", "epsilon", epsilon)

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return KerasAdagrad(groups, initial_accumulator_value=self.initial_accumulator_value, eps=self.epsilon)

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        return ((Slot("accumulator", "sum"),),)


@builtin(MODULE)
class Adadelta(Optimizer):
    r"""Adadelta: steps in the unit of the variable itself, from the mean square of the steps before.

    .. math::

        v_t &= \rho v_{t-1} + (1 - \rho) g_t^2 \\
        \Delta_t &= g_t \sqrt{u_{t-1} + \epsilon} / \sqrt{v_t + \epsilon} \\
        u_t &= \rho u_{t-1} + (1 - \rho) \Delta_t^2 \\
        \theta_t &= \theta_{t-1} - \gamma \Delta_t

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`: a factor for the steps; 1 is what the paper has.
    rho : float
        :math:`\rho`, from 0 to 1: how much of both mean squares is kept a step.
    epsilon : float
        :math:`\epsilon`: sets the size of the first steps.
    *common, **settings
        ``weight_decay``, ``clipnorm`` and what else each :class:`Optimizer` takes, in that order.

    Raises
    ------
    ArgumentError
        If an argument is unknown or out of its range.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.Variable([1.0], name="w")
    >>> keras.optimizers.Adadelta(1.0, rho=0.75, epsilon=0.01).apply([[2.0]], [w])
    >>> w.numpy().round(4)  # 1 - 2 * sqrt(0.01) / sqrt(1 + 0.01)
    array([0.801], dtype=float32)

    References
    ----------
    ``keras.optimizers.Adadelta``. Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method".
    """

    settings = ("rho", "epsilon")

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, *common: Any, **settings: Any
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        self.rho = check_number("Adadelta", "rho", rho, most=1.0)
        self.epsilon = check_number("Adadelta", "epsilon", epsilon)

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return KerasAdadelta(groups, rho=self.rho, eps=self.epsilon)

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        return ((Slot("accumulated_grad", "square_avg"), Slot("accumulated_delta_var", "acc_delta")),)


@builtin(MODULE, "rmsprop")
class RMSprop(Optimizer):
    r"""RMSprop: the gradient over the root of its mean square, element by element.

    .. math::

        v_t &= \rho v_{t-1} + (1 - \rho) g_t^2 \\
        a_t &= \rho a_{t-1} + (1 - \rho) g_t \qquad \text{(if centered, else } a_t = 0) \\
        b_t &= \mu b_{t-1} + \gamma_t g_t / \sqrt{v_t + \epsilon - a_t^2} \\
        \theta_t &= \theta_{t-1} - b_t

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    rho : float
        :math:`\rho`, from 0 to 1: how much of the mean square is kept a step.
    momentum : float
        :math:`\mu`: the share of its velocity that a variable keeps.
    epsilon : float
        :math:`\epsilon`: keeps the quotient finite.
    centered : bool
        Divide by the standard deviation of the gradient rather than by its mean square.
    *common, **settings
        ``weight_decay``, ``clipnorm`` and what else each :class:`Optimizer` takes, in that order.

    Raises
    ------
    ArgumentError
        If an argument is unknown or out of its range.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.Variable([1.0], name="w")
    >>> keras.optimizers.RMSprop(0.5, rho=0.75, epsilon=0.75).apply([[1.0]], [w])
    >>> w.numpy()  # 1 - 0.5 * 1 / sqrt(0.25 + 0.75)
    array([0.5], dtype=float32)

    References
    ----------
    ``keras.optimizers.RMSprop``. Tieleman & Hinton 2012, "Lecture 6.5: RMSProp".
    """

    settings = ("rho", "momentum", "epsilon", "centered")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        *common: Any,
        **settings: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        self.rho = check_number("RMSprop", "rho", rho, most=1.0)
        self.momentum = check_number("RMSprop", "momentum", momentum)
        self.epsilon = check_number("RMSprop", "epsilon", epsilon)
        self.centered = centered

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return KerasRMSprop(groups, alpha=self.rho, eps=self.epsilon, momentum=self.momentum, centered=self.centered)

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        velocity = ((Slot("velocity", "square_avg"),),)
        momentum = ((Slot("momentum", "momentum_buffer"),),) if self.momentum else ()
        average = ((Slot("average_gradient", "grad_avg"),),) if self.centered else ()
        return (*velocity, *momentum, *average)
