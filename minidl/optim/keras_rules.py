"""The rules as Keras computes them, where its numbers are not PyTorch's.

Each class is PyTorch's rule with another formula; the rest of Keras's optimisers are the rules of the other modules.
In all of them weight decay shrinks the parameters before the step, as in AdamW, and never enters the gradient.

============ ============================================ ==========================================
rule         PyTorch                                      Keras
============ ============================================ ==========================================
SGD          the learning rate multiplies the velocity    the learning rate stands in the velocity
Adam         eps is added to the corrected root           eps is added to the root as it is
RMSprop      eps outside of the root; as SGD              eps inside of the root; as SGD
Adagrad      eps outside of the root                      eps inside of the root
Adamax       eps inside of the maximum                    eps added to the maximum
NAdam        momentum decays by ``momentum_decay=4e-3``   the same rule with ``momentum_decay=1``
Adadelta     the same rule                                the same rule
============ ============================================ ==========================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidl.optim.adagrad import Adadelta, Adagrad
from minidl.optim.adam import Adam
from minidl.optim.adam_variants import Adamax
from minidl.optim.optimizer import Optimizer
from minidl.optim.rmsprop import RMSprop
from minidl.optim.sgd import SGD

__all__ = ["KerasAdadelta", "KerasAdagrad", "KerasAdam", "KerasAdamax", "KerasRMSprop", "KerasSGD"]


class Decoupled(Optimizer):
    """What weight decay is in Keras, for rules of PyTorch's that leave no choice."""

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        super().__init__(params, {**defaults, "decoupled_weight_decay": True})


class KerasSGD(SGD, Decoupled):
    r"""Gradient descent whose velocity is in units of the parameter: a new learning rate changes only what is added.

    .. math::

        b_t &= \mu b_{t-1} + \gamma_t g_t \\
        \theta_t &= (1 - \gamma_t \lambda) \theta_{t-1} - \begin{cases}
            \gamma_t g_t & \mu = 0 \\ b_t & \text{momentum} \\ \mu b_t + \gamma_t g_t & \text{Nesterov}
        \end{cases}

    Parameters
    ----------
    params, lr, momentum, dampening, weight_decay, nesterov, maximize
        As of :class:`SGD`; there is no dampening.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0], requires_grad=True)
    >>> optimizer = KerasSGD([w], lr=0.5, momentum=0.5)
    >>> w.grad = minidl.tensor([1.0])
    >>> optimizer.step()
    >>> optimizer.param_groups[0]["lr"] = 0.0
    >>> optimizer.step()
    >>> w  # 1 - 0.5 - 0.25: it rolls on
    tensor([0.2500], requires_grad=True)

    References
    ----------
    ``keras.optimizers.SGD``. Sutskever et al. 2013, "On the importance of initialization and momentum in deep
    learning".
    """

    scratch = 2
    compiled = "keras_sgd"

    def update(  # type: ignore[override]
        self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any, u: Any
    ) -> Any:
        xp.multiply(g, group["lr"], out=t)
        if group["momentum"]:
            (velocity,) = slots
            velocity *= group["momentum"]
            velocity += t
            if group["nesterov"]:
                xp.multiply(velocity, group["momentum"], out=u)
                t += u
            else:
                t[...] = velocity
        return t

    def constants(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[float, ...]:
        return group["lr"], group["momentum"], 1.0 if group["nesterov"] else 0.0


class KerasAdam(Adam):
    r"""Adam with the paper's "epsilon hat", which is not divided by the bias correction.

    .. math::

        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \qquad (\text{AMSGrad: } \max(v_1, \dots, v_t)) \\
        \theta_t &= (1 - \gamma \lambda) \theta_{t-1}
            - \gamma \frac{\sqrt{1 - \beta_2^t}}{1 - \beta_1^t} \frac{m_t}{\sqrt{v_t} + \hat\epsilon}

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, amsgrad
        As of :class:`Adam`.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0], requires_grad=True)
    >>> optimizer = KerasAdam([w], lr=0.1, betas=(0.0, 0.75), eps=0.5)
    >>> w.grad = minidl.tensor([1.0])
    >>> optimizer.step()
    >>> w  # 1 - 0.1 * sqrt(0.25) / (sqrt(0.25) + 0.5)
    tensor([0.9500], requires_grad=True)

    References
    ----------
    ``keras.optimizers.Adam``. Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", end of section 2.
    """

    epsilon_hat = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-7,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, decoupled_weight_decay=True)


class KerasRMSprop(RMSprop, Decoupled):
    r"""RMSprop with :math:`\epsilon` inside of the root, and the learning rate in the velocity.

    .. math::

        v_t &= \alpha v_{t-1} + (1 - \alpha) g_t^2 \\
        a_t &= \alpha a_{t-1} + (1 - \alpha) g_t \qquad \text{(if centered, else } a_t = 0) \\
        b_t &= \mu b_{t-1} + \gamma_t g_t / \sqrt{v_t + \epsilon - a_t^2} \\
        \theta_t &= (1 - \gamma_t \lambda) \theta_{t-1} - b_t

    Parameters
    ----------
    params, lr, alpha, eps, weight_decay, momentum, centered, maximize
        As of :class:`RMSprop`.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0], requires_grad=True)
    >>> optimizer = KerasRMSprop([w], lr=0.5, alpha=0.75, eps=0.75)
    >>> w.grad = minidl.tensor([1.0])
    >>> optimizer.step()
    >>> w  # 1 - 0.5 * 1 / sqrt(0.25 + 0.75)
    tensor([0.5000], requires_grad=True)

    References
    ----------
    ``keras.optimizers.RMSprop``.
    """

    scratch = 2
    compiled = "rmsprop"
    keras_form = True

    def update(  # type: ignore[override]
        self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any, u: Any
    ) -> Any:
        alpha = group["alpha"]
        mean_square = slots[0]
        xp.multiply(g, g, out=t)
        t *= 1 - alpha
        mean_square *= alpha
        mean_square += t
        xp.add(mean_square, group["eps"], out=t)
        if group["centered"]:
            mean = slots[1]
            xp.subtract(g, mean, out=u)
            u *= 1 - alpha
            mean += u
            xp.multiply(mean, mean, out=u)
            t -= u
        xp.sqrt(t, out=t)
        xp.divide(g, t, out=t)
        t *= group["lr"]
        if group["momentum"]:
            velocity = slots[-1]
            velocity *= group["momentum"]
            velocity += t
            t[...] = velocity
        return t


class KerasAdagrad(Adagrad, Decoupled):
    r"""AdaGrad with :math:`\epsilon` inside of the root.

    .. math::

        s_t &= s_{t-1} + g_t^2 \\
        \theta_t &= (1 - \gamma \lambda) \theta_{t-1} - \gamma g_t / \sqrt{s_t + \epsilon}

    Parameters
    ----------
    params, lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize
        As of :class:`Adagrad`.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0], requires_grad=True)
    >>> optimizer = KerasAdagrad([w], lr=0.5, eps=3.0)
    >>> w.grad = minidl.tensor([1.0])
    >>> optimizer.step()
    >>> w  # 1 - 0.5 * 1 / sqrt(1 + 3)
    tensor([0.7500], requires_grad=True)

    References
    ----------
    ``keras.optimizers.Adagrad``.
    """

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any) -> Any:
        (total,) = slots
        xp.multiply(g, g, out=t)
        total += t
        xp.add(total, group["eps"], out=t)
        xp.sqrt(t, out=t)
        xp.divide(g, t, out=t)
        t *= group["lr"] / (1 + (state["step"] - 1) * group["lr_decay"])
        return t


class KerasAdamax(Adamax, Decoupled):
    r"""Adamax with :math:`\epsilon` added to the norm where it divides, rather than kept in it.

    .. math::

        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        u_t &= \max(\beta_2 u_{t-1}, |g_t|) \\
        \theta_t &= (1 - \gamma \lambda) \theta_{t-1} - \frac{\gamma}{1 - \beta_1^t} \frac{m_t}{u_t + \epsilon}

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, maximize
        As of :class:`Adamax`.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0], requires_grad=True)
    >>> optimizer = KerasAdamax([w], lr=0.5, eps=1.0)
    >>> w.grad = minidl.tensor([1.0])
    >>> optimizer.step()
    >>> w  # 1 - 0.5 * 1 / (1 + 1)
    tensor([0.7500], requires_grad=True)

    References
    ----------
    ``keras.optimizers.Adamax``.
    """

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any) -> Any:
        beta1, beta2 = group["betas"]
        m, norm = slots
        xp.subtract(g, m, out=t)
        t *= 1 - beta1
        m += t
        xp.absolute(g, out=t)
        norm *= beta2
        xp.maximum(norm, t, out=norm)
        xp.add(norm, group["eps"], out=t)
        xp.divide(m, t, out=t)
        t *= group["lr"] / (1 - beta1 ** state["step"])
        return t


class KerasAdadelta(Adadelta, Decoupled):
    r"""Adadelta, with weight decay that shrinks parameters instead of changing gradients.

    .. math:: \theta_t = (1 - \gamma \lambda) \theta_{t-1} - \gamma \Delta_t

    with :math:`\Delta_t` of :class:`Adadelta`.

    Parameters
    ----------
    params, lr, rho, eps, weight_decay, maximize
        As of :class:`Adadelta`.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0], requires_grad=True)
    >>> optimizer = KerasAdadelta([w], lr=0.5, weight_decay=0.5)
    >>> w.grad = minidl.tensor([0.0])
    >>> optimizer.step()
    >>> w
    tensor([0.7500], requires_grad=True)

    References
    ----------
    ``keras.optimizers.Adadelta``.
    """
