"""AdaGrad and Adadelta: each element has a learning rate of its own, from the sum or mean of its squared gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidl.optim.optimizer import Optimizer

__all__ = ["AdaGrad", "Adadelta", "Adagrad"]


class Adagrad(Optimizer):
    r"""AdaGrad: steps that shrink with the sum of the squared gradients so far, element by element.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) + \lambda \theta_{t-1} \\
        \gamma_t &= \gamma / (1 + (t - 1) \eta) \\
        s_t &= s_{t-1} + g_t^2 \\
        \theta_t &= \theta_{t-1} - \gamma_t g_t / (\sqrt{s_t} + \epsilon)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        The learning rate :math:`\gamma`.
    lr_decay : float
        :math:`\eta`: how fast the learning rate falls.
    weight_decay : float
        :math:`\lambda`: the strength of L2 regularisation.
    initial_accumulator_value : float
        :math:`s_0`.
    eps : float
        :math:`\epsilon`: keeps the quotient finite.
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
    >>> optimizer = minidl.optim.Adagrad([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w  # the first step is the learning rate
    tensor([ 0.5000, -2.5000], requires_grad=True)

    References
    ----------
    ``torch.optim.Adagrad``. Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and
    Stochastic Optimization".
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return {"sum": group["initial_accumulator_value"]}

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any) -> Any:
        (total,) = slots
        xp.multiply(g, g, out=t)
        total += t
        xp.sqrt(total, out=t)
        t += group["eps"]
        xp.divide(g, t, out=t)
        t *= group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        return t


AdaGrad = Adagrad


class Adadelta(Optimizer):
    r"""Adadelta: steps in the unit of the parameter itself, from the mean square of the steps before.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) + \lambda \theta_{t-1} \\
        v_t &= \rho v_{t-1} + (1 - \rho) g_t^2 \\
        \Delta_t &= g_t \sqrt{u_{t-1} + \epsilon} / \sqrt{v_t + \epsilon} \\
        u_t &= \rho u_{t-1} + (1 - \rho) \Delta_t^2 \\
        \theta_t &= \theta_{t-1} - \gamma \Delta_t

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        :math:`\gamma`: a factor for the steps.
    rho : float
        :math:`\rho`: how much of both mean squares is kept a step.
    eps : float
        :math:`\epsilon`: sets the size of the first steps.
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
    >>> w = minidl.tensor([1.0], requires_grad=True)
    >>> optimizer = minidl.optim.Adadelta([w], rho=0.75, eps=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w  # 1 - 2 * sqrt(0.01) / sqrt(1 + 0.01)
    tensor([0.8010], requires_grad=True)

    References
    ----------
    ``torch.optim.Adadelta``. Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method".
    """

    scratch = 2

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return ADADELTA_SLOTS

    def update(
        self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any, u: Any
    ) -> Any:
        rho, eps = group["rho"], group["eps"]
        mean_square, mean_step = slots
        xp.multiply(g, g, out=t)
        t *= 1 - rho
        mean_square *= rho
        mean_square += t
        xp.add(mean_step, eps, out=t)
        xp.add(mean_square, eps, out=u)
        t /= u
        xp.sqrt(t, out=t)
        t *= g
        xp.multiply(t, t, out=u)
        u *= 1 - rho
        mean_step *= rho
        mean_step += u
        t *= group["lr"]
        return t


ADADELTA_SLOTS = {"square_avg": 0.0, "acc_delta": 0.0}
