"""Adam and its relatives: AdamW, Adamax, Nadam."""

from __future__ import annotations

from typing import Any, ClassVar

from minidl import optim
from minidl.errors import ArgumentError
from minidl.keras.optimizers.optimizer import MODULE, Optimizer
from minidl.keras.optimizers.values import Slot, check_number
from minidl.keras.serialization import builtin
from minidl.optim.keras_rules import KerasAdam, KerasAdamax
from minidl.optim.optimizer import Optimizer as Rule

__all__ = ["Adam", "AdamW", "Adamax", "Nadam"]

MOMENTS = (Slot("momentum", "exp_avg"), Slot("velocity", "exp_avg_sq"))


class _WithBetas(Optimizer):
    """What takes two shares of means to keep, and a number that keeps quotients finite."""

    settings: ClassVar[tuple[str, ...]] = ("beta_1", "beta_2", "epsilon")

    def _keep(self, beta_1: float, beta_2: float, epsilon: float) -> None:
        kind = type(self).__name__
        self.beta_1 = check_number(kind, "beta_1", beta_1, below=1.0)
        self.beta_2 = check_number(kind, "beta_2", beta_2, below=1.0)
        self.epsilon = check_number(kind, "epsilon", epsilon)

    @property
    def _shares(self) -> dict[str, Any]:
        """The arguments under the rules' names."""
        return {"betas": (self.beta_1, self.beta_2), "eps": self.epsilon}


@builtin(MODULE)
class Adam(_WithBetas):
    r"""Adam: a step of the size of the learning rate, in the direction of the mean gradient over its own spread.

    .. math::

        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \theta_t &= \theta_{t-1}
            - \gamma \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m_t}{\sqrt{v_t} + \hat\epsilon}

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    beta_1 : float
        :math:`\beta_1`: how much of the mean gradient is kept a step.
    beta_2 : float
        :math:`\beta_2`: how much of the mean square is kept a step.
    epsilon : float
        :math:`\hat\epsilon`: keeps the quotient finite. The paper's "epsilon hat", not its :math:`\epsilon`.
    amsgrad : bool
        Divide by the largest mean square so far.
    *common, **settings
        ``weight_decay``, ``clipnorm`` and what else each :class:`Optimizer` takes, in that order.

    Raises
    ------
    ArgumentError
        If an argument is unknown or out of its range.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.Variable([1.0, -3.0], name="w")
    >>> keras.optimizers.Adam(0.5).apply([[2.0, -0.1]], [w])
    >>> w.numpy().round(4)  # the first step is the learning rate, whatever the size of the gradient
    array([ 0.5, -2.5], dtype=float32)

    References
    ----------
    ``keras.optimizers.Adam``. Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization"; Reddi, Kale & Kumar 2018,
    "On the Convergence of Adam and Beyond" (AMSGrad).
    """

    settings = ("beta_1", "beta_2", "epsilon", "amsgrad")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *common: Any,
        **settings: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        self._keep(beta_1, beta_2, epsilon)
        self.amsgrad = amsgrad

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return KerasAdam(groups, amsgrad=self.amsgrad, **self._shares)

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        return (MOMENTS, (Slot("velocity_hat", "max_exp_avg_sq"),)) if self.amsgrad else (MOMENTS,)


@builtin(MODULE, "adamw")
class AdamW(Adam):
    r"""Adam with weight decay: :class:`Adam`, whose ``weight_decay`` here must be given and is 0.004 unless it is.

    .. math:: \theta_t = (1 - \gamma \lambda) \theta_{t-1} - \Delta_t

    where :math:`\Delta_t` is Adam's step.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    weight_decay : float
        :math:`\lambda`: the share of itself, times the learning rate, that a variable loses a step.
    beta_1, beta_2, epsilon, amsgrad
        As of :class:`Adam`.
    *common, **settings
        ``clipnorm`` and what else each :class:`Optimizer` takes, in that order.

    Raises
    ------
    ArgumentError
        If an argument is unknown or out of its range.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.Variable([2.0], name="w")
    >>> keras.optimizers.AdamW(0.5, weight_decay=0.5).apply([[1.0]], [w])
    >>> w.numpy().round(4)  # 2 * (1 - 0.5 * 0.5) - 0.5
    array([1.], dtype=float32)

    References
    ----------
    ``keras.optimizers.AdamW``. Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization".
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *common: Any,
        **settings: Any,
    ) -> None:
        if weight_decay is None:
            raise ArgumentError("AdamW: weight_decay must be a number, got None; Adam is what has none")
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay, *common, **settings)


@builtin(MODULE)
class Adamax(_WithBetas):
    r"""Adamax: Adam with the largest gradient of late (the infinity norm) in place of the mean square.

    .. math::

        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        u_t &= \max(\beta_2 u_{t-1}, |g_t|) \\
        \theta_t &= \theta_{t-1} - \frac{\gamma}{1 - \beta_1^t} \frac{m_t}{u_t + \epsilon}

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    beta_1 : float
        :math:`\beta_1`: how much of the mean gradient is kept a step.
    beta_2 : float
        :math:`\beta_2`: how much of the norm is kept a step.
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
    >>> w = keras.Variable([1.0, -3.0], name="w")
    >>> keras.optimizers.Adamax(0.5).apply([[2.0, -0.1]], [w])
    >>> w.numpy().round(4)
    array([ 0.5, -2.5], dtype=float32)

    References
    ----------
    ``keras.optimizers.Adamax``. Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", section 7.1.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *common: Any,
        **settings: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        self._keep(beta_1, beta_2, epsilon)

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return KerasAdamax(groups, **self._shares)

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        return ((Slot("momentum", "exp_avg"), Slot("norm", "exp_inf")),)


@builtin(MODULE)
class Nadam(_WithBetas):
    r"""Nadam: Adam that looks ahead, as Nesterov's momentum does.

    .. math::

        \mu_t &= \beta_1 (1 - 0.96^t / 2) \\
        \hat m_t &= \frac{\mu_{t+1} m_t}{1 - \prod_{i=1}^{t+1} \mu_i}
            + \frac{(1 - \mu_t) g_t}{1 - \prod_{i=1}^t \mu_i} \\
        \theta_t &= \theta_{t-1} - \gamma \hat m_t / (\sqrt{v_t / (1 - \beta_2^t)} + \epsilon)

    with :math:`m_t` and :math:`v_t` of :class:`Adam`.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`
    beta_1 : float
        :math:`\beta_1`: how much of the mean gradient is kept a step.
    beta_2 : float
        :math:`\beta_2`: how much of the mean square is kept a step.
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
    >>> keras.optimizers.Nadam(0.1).apply([[2.0]], [w])
    >>> w.numpy().round(4)
    array([0.8937], dtype=float32)

    References
    ----------
    ``keras.optimizers.Nadam``. Dozat 2016, "Incorporating Nesterov Momentum into Adam".
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        *common: Any,
        **settings: Any,
    ) -> None:
        super().__init__(learning_rate, *common, **settings)
        self._keep(beta_1, beta_2, epsilon)

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        return optim.NAdam(groups, momentum_decay=1.0, decoupled_weight_decay=True, **self._shares)

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter."""
        return (MOMENTS,)

    def numbers(self) -> tuple[str, ...]:
        """Return the numbers of the rule's state that stand at the end of a file."""
        return ("mu_product",)
