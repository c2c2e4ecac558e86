"""Relatives of Adam: Adamax, NAdam, RAdam."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidl.optim.adam import SLOTS
from minidl.optim.optimizer import Optimizer

__all__ = ["Adamax", "NAdam", "RAdam"]


class Adamax(Optimizer):
    r"""Adamax: Adam with the largest gradient of late (the infinity norm) in place of the mean square.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) + \lambda \theta_{t-1} \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        u_t &= \max(\beta_2 u_{t-1}, |g_t| + \epsilon) \\
        \theta_t &= \theta_{t-1} - \gamma m_t / ((1 - \beta_1^t) u_t)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        The learning rate :math:`\gamma`.
    betas : (float, float)
        :math:`\beta_1` and :math:`\beta_2`: how much of the mean gradient, and of the norm, is kept a step.
    eps : float
        :math:`\epsilon`: keeps the quotient finite.
    weight_decay : float
        :math:`\lambda`: the strength of L2 regularisation.
    maximize : bool
        Go up the gradient instead of down.

    Raises
    ------
    ArgumentError
        If a hyperparameter is out of its range.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = minidl.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w  # the first step is the learning rate
    tensor([ 0.9000, -2.9000], requires_grad=True)

    References
    ----------
    ``torch.optim.Adamax``. Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", section 7.1.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        )

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return ADAMAX_SLOTS

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any) -> Any:
        beta1, beta2 = group["betas"]
        m, norm = slots
        xp.subtract(g, m, out=t)
        t *= 1 - beta1
        m += t
        xp.absolute(g, out=t)
        t += group["eps"]
        norm *= beta2
        xp.maximum(norm, t, out=norm)
        xp.divide(m, norm, out=t)
        t *= group["lr"] / (1 - beta1 ** state["step"])
        return t


ADAMAX_SLOTS = {"exp_avg": 0.0, "exp_inf": 0.0}


class NAdam(Optimizer):
    r"""NAdam: Adam that looks ahead, as Nesterov's momentum does.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) + \lambda \theta_{t-1} \\
        \mu_t &= \beta_1 (1 - 0.96^{t \psi} / 2) \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \hat m_t &= \frac{\mu_{t+1} m_t}{1 - \prod_{i=1}^{t+1} \mu_i}
            + \frac{(1 - \mu_t) g_t}{1 - \prod_{i=1}^t \mu_i} \\
        \theta_t &= \theta_{t-1} - \gamma \hat m_t / (\sqrt{v_t / (1 - \beta_2^t)} + \epsilon)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        The learning rate :math:`\gamma`.
    betas : (float, float)
        :math:`\beta_1` and :math:`\beta_2`: how much of the mean gradient, and of the mean square, is kept a step.
    eps : float
        :math:`\epsilon`: keeps the quotient finite.
    weight_decay : float
        :math:`\lambda`: the strength of L2 regularisation.
    momentum_decay : float
        :math:`\psi`: how fast the momentum rises to :math:`\beta_1`.
    decoupled_weight_decay : bool
        Shrink the parameters themselves instead of changing the gradient, as :class:`AdamW` does.
    maximize : bool
        Go up the gradient instead of down.

    Raises
    ------
    ArgumentError
        If a hyperparameter is out of its range.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = minidl.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w  # (1 - mu_1) / (1 - mu_1) + 0.1 mu_2 / (1 - mu_1 mu_2), times 0.1
    tensor([ 0.8944, -2.8944], requires_grad=True)

    References
    ----------
    ``torch.optim.NAdam``. Dozat 2016, "Incorporating Nesterov Momentum into Adam".
    """

    numbers = ("step", "mu_product")
    scratch = 2

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return SLOTS

    def advance(self, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        state["step"] += 1
        state["mu_product"] = state.get("mu_product", 1.0) * momentum_at(group, state["step"])

    def numbers_after(self, group: Mapping[str, Any], steps: int) -> dict[str, Any]:
        product = 1.0
        for step in range(1, steps + 1):
            product *= momentum_at(group, step)
            if product < 1e-30:  # 1 - product is 1 long before
                break
        return {"step": steps, "mu_product": product}

    def update(
        self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any, u: Any
    ) -> Any:
        lr, step, product = group["lr"], state["step"], state["mu_product"]
        beta1, beta2 = group["betas"]
        now, ahead = momentum_at(group, step), momentum_at(group, step + 1)
        m, v = slots
        xp.subtract(g, m, out=t)
        t *= 1 - beta1
        m += t
        xp.multiply(g, g, out=t)
        t *= 1 - beta2
        v *= beta2
        v += t
        xp.multiply(m, lr * ahead / (1 - product * ahead), out=t)
        xp.multiply(g, lr * (1 - now) / (1 - product), out=u)
        t += u
        xp.divide(v, 1 - beta2**step, out=u)
        xp.sqrt(u, out=u)
        u += group["eps"]
        t /= u
        return t


def momentum_at(group: Mapping[str, Any], step: int) -> float:
    r"""Return NAdam's momentum :math:`\mu_t`."""
    return group["betas"][0] * (1 - 0.5 * 0.96 ** (step * group["momentum_decay"]))


class RAdam(Optimizer):
    r"""RAdam: Adam that waits with its adaptive steps until the mean square can be trusted.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) + \lambda \theta_{t-1} \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t, \quad \hat m_t = m_t / (1 - \beta_1^t) \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \rho_\infty &= 2 / (1 - \beta_2) - 1, \quad
        \rho_t = \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t) \\
        r_t &= \sqrt{\frac{(\rho_t - 4)(\rho_t - 2) \rho_\infty}{(\rho_\infty - 4)(\rho_\infty - 2) \rho_t}} \\
        \theta_t &= \theta_{t-1} - \gamma \hat m_t \begin{cases}
            r_t \sqrt{1 - \beta_2^t} / (\sqrt{v_t} + \epsilon) & \rho_t > 5 \\ 1 & \text{else} \end{cases}

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        The learning rate :math:`\gamma`.
    betas : (float, float)
        :math:`\beta_1` and :math:`\beta_2`: how much of the mean gradient, and of the mean square, is kept a step.
    eps : float
        :math:`\epsilon`: keeps the quotient finite.
    weight_decay : float
        :math:`\lambda`: the strength of L2 regularisation.
    decoupled_weight_decay : bool
        Shrink the parameters themselves instead of changing the gradient, as :class:`AdamW` does.
    maximize : bool
        Go up the gradient instead of down.

    Raises
    ------
    ArgumentError
        If a hyperparameter is out of its range.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = minidl.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w  # the first steps are plain gradient descent with momentum
    tensor([ 0.8000, -2.4000], requires_grad=True)

    References
    ----------
    ``torch.optim.RAdam``. Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond".
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return SLOTS

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any) -> Any:
        lr, step = group["lr"], state["step"]
        beta1, beta2 = group["betas"]
        m, v = slots
        xp.subtract(g, m, out=t)
        t *= 1 - beta1
        m += t
        xp.multiply(g, g, out=t)
        t *= 1 - beta2
        v *= beta2
        v += t
        left = 1 - beta2**step
        longest = 2 / (1 - beta2) - 1
        length = longest - 2 * step * beta2**step / left
        size = lr / (1 - beta1**step)
        if length > 5:
            size *= (
                (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length) * left
            ) ** 0.5  # fmt: skip
            xp.sqrt(v, out=t)
            t += group["eps"]
            xp.divide(m, t, out=t)
            t *= size
        else:
            xp.multiply(m, size, out=t)
        return t
