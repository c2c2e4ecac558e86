"""SGD, Lion and Ftrl."""

from __future__ import annotations

from typing import Any

from minidl import optim
from minidl.errors import ArgumentError
from minidl.keras.optimizers.optimizer import MODULE, Optimizer
from minidl.keras.optimizers.values import Slot, check_number
from minidl.keras.serialization import builtin
from minidl.optim.keras_rules import KerasSGD
from minidl.optim.optimizer import Optimizer as Rule

__all__ = ["SGD", "Ftrl", "Lion"]


@builtin(MODULE, "sgd")
class SGD(Optimizer):
    r"""Stochastic gradient descent, with momentum and Nesterov's momentum.

    .. math::

        b_t &= \mu b_{t-1} + \gamma_t g_t \\
        \theta_t &= \theta_{t-1} - b_t \qquad (\text{Nesterov: } \mu b_t + \gamma_t g_t)

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    momentum : float
        :math:`\mu`, from 0 to 1: the share of its velocity that a variable keeps.
    nesterov : bool
        Look ahead: Nesterov's momentum.
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
    >>> optimizer = keras.optimizers.SGD(0.5, momentum=0.5)
    >>> for _ in range(2):
    ...     optimizer.apply([[1.0]], [w])
    >>> w.numpy()  # 1 - 0.5 - (0.25 + 0.5)
    array([-0.25], dtype=float32)

    References
    ----------
    ``keras.optimizers.SGD``. Sutskever et al. 2013, "On the importance of initialization and momentum in deep
    learning".
    """

    settings = ("momentum", "nesterov")

    def __init__(
        self, learning_rate: Any = 0.01, momentum: float = 0.0, nesterov: bool = False, *common: Any, **settings: Any
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        self.momentum = check_number("SGD", "momentum", momentum, most=1.0)
        self.nesterov = nesterov

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return KerasSGD(groups, momentum=self.momentum, nesterov=self.nesterov and self.momentum > 0)

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        return ((Slot("momentum", "momentum_buffer", -1),),) if self.momentum else ()


@builtin(MODULE)
class Lion(Optimizer):
    r"""Lion: every element moves by the learning rate, in the direction of a mean of its gradients.

    .. math::

        \theta_t &= \theta_{t-1} - \gamma \operatorname{sign}(\beta_1 m_{t-1} + (1 - \beta_1) g_t) \\
        m_t &= \beta_2 m_{t-1} + (1 - \beta_2) g_t

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    beta_1 : float
        :math:`\beta_1`, more than 0: how much of the mean gradient is kept in a step's direction.
    beta_2 : float
        :math:`\beta_2`: how much of it is kept for the next step.
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
    >>> keras.optimizers.Lion(0.5).apply([[0.01]], [w])
    >>> w.numpy()
    array([0.5], dtype=float32)

    References
    ----------
    ``keras.optimizers.Lion``. Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms".
    """

    settings = ("beta_1", "beta_2")

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, *common: Any, **settings: Any
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        self.beta_1 = check_number("Lion", "beta_1", beta_1, below=1.0)
        self.beta_2 = check_number("Lion", "beta_2", beta_2, below=1.0)
        if not self.beta_1:
            raise ArgumentError(
                "Lion: beta_1 must be more than 0: without it, only the sign of each gradient would count"
            )

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return optim.Lion(groups, betas=(self.beta_1, self.beta_2))

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        return ((Slot("momentum", "exp_avg"),),)


@builtin(MODULE)
class Ftrl(Optimizer):
    r"""FTRL: the variable that would have been best so far, with L1 and L2 regularisation; for sparse linear models.

    .. math::

        n_t &= n_{t-1} + g_t^2 \\
        z_t &= z_{t-1} + g_t + 2 \lambda_s \theta_{t-1} - \theta_{t-1} (n_t^{-p} - n_{t-1}^{-p}) / \gamma \\
        \theta_t &= \frac{\min(\max(z_t, -\lambda_1), \lambda_1) - z_t}
            {(\beta + n_t^{-p}) / \gamma + 2 \lambda_2}

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    learning_rate_power : float
        :math:`p`, 0 or less: how steps shrink with the sum of squared gradients.
    initial_accumulator_value : float
        :math:`n_0`
    l1_regularization_strength : float
        :math:`\lambda_1`
    l2_regularization_strength : float
        :math:`\lambda_2`
    l2_shrinkage_regularization_strength : float
        :math:`\lambda_s`
    beta : float
        :math:`\beta`
    *common, **settings
        ``weight_decay``, ``clipnorm`` and what else each :class:`Optimizer` takes, in that order.

    Raises
    ------
    ArgumentError
        If an argument is unknown or out of its range.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.Variable([0.0, 0.0], name="w")
    >>> keras.optimizers.Ftrl(0.5, l1_regularization_strength=1.0).apply([[-2.0, 0.5]], [w])
    >>> w.numpy().round(4)
    array([0.2469, 0.    ], dtype=float32)

    References
    ----------
    ``keras.optimizers.Ftrl``. McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches".
    """

    settings = (
        "learning_rate_power",
        "initial_accumulator_value",
        "l1_regularization_strength",
        "l2_regularization_strength",
        "l2_shrinkage_regularization_strength",
        "beta",
    )

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        *common: Any,
        **settings: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        if not learning_rate_power <= 0:
            raise ArgumentError(f"Ftrl: learning_rate_power must be 0 or less, got {learning_rate_power}")
        self.learning_rate_power = float(learning_rate_power)
        self.initial_accumulator_value = check_number("Ftrl", "initial_accumulator_value", initial_accumulator_value)
        self.l1_regularization_strength = check_number("Ftrl", "l1_regularization_strength", l1_regularization_strength)
        self.l2_regularization_strength = check_number("Ftrl", "l2_regularization_strength", l2_regularization_strength)
        self.l2_shrinkage_regularization_strength = check_number(
            "Ftrl", "l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength
        )
        self.beta = check_number("Ftrl", "beta", beta)

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return optim.Ftrl(
            groups,
            lr_power=self.learning_rate_power,
            initial_accumulator_value=self.initial_accumulator_value,
            l1=self.l1_regularization_strength,
            l2=self.l2_regularization_strength,
            l2_shrinkage=self.l2_shrinkage_regularization_strength,
            beta=self.beta,
        )

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        return ((Slot("accumulator", "sum"), Slot("linear", "linear")),)
