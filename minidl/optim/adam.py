"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from minidl.optim.optimizer import Optimizer

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    r"""Adam: a step of the size of the learning rate, in the direction of the mean gradient over its own spread.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) + \lambda \theta_{t-1} \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \hat m_t &= m_t / (1 - \beta_1^t) \\
        \hat v_t &= v_t / (1 - \beta_2^t)
            \qquad (\text{AMSGrad: } \max(v_1, \dots, v_t) / (1 - \beta_2^t)) \\
        \theta_t &= \theta_{t-1} - \gamma \hat m_t / (\sqrt{\hat v_t} + \epsilon)

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
    amsgrad : bool
        Divide by the largest mean square so far.
    maximize : bool
        Go up the gradient instead of down.
    decoupled_weight_decay : bool
        Shrink the parameters themselves instead of changing the gradient: :class:`AdamW`.

    Raises
    ------
    ArgumentError
        If a hyperparameter is out of its range.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0, -3.0], requires_grad=True)
    >>> optimizer = minidl.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w  # the first step is the learning rate, whatever the size of the gradient
    tensor([ 0.9000, -2.9000], requires_grad=True)

    References
    ----------
    ``torch.optim.Adam``. Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization"; Reddi, Kale & Kumar 2018,
    "On the Convergence of Adam and Beyond" (AMSGrad).
    """

    #: Whether eps is added before the bias correction of the root, as in Keras: the paper's "epsilon hat".
    epsilon_hat: ClassVar[bool] = False
    compiled = "adam"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "maximize": maximize,
                "decoupled_weight_decay": decoupled_weight_decay,
            },
        )

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return AMSGRAD_SLOTS if group["amsgrad"] else SLOTS

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any) -> Any:
        lr, step = group["lr"], state["step"]
        beta1, beta2 = group["betas"]
        m, v = slots[0], slots[1]
        xp.subtract(g, m, out=t)
        t *= 1 - beta1
        m += t
        xp.multiply(g, g, out=t)
        t *= 1 - beta2
        v *= beta2
        v += t
        if group["amsgrad"]:
            v = xp.maximum(slots[2], v, out=slots[2])
        # both bias corrections are numbers, so they are taken out of the quotient: m' / (sqrt(v') + eps) is
        # m / (sqrt(v) + eps * root), times root / (1 - beta1^t)
        root = (1 - beta2**step) ** 0.5
        xp.sqrt(v, out=t)
        t += group["eps"] if self.epsilon_hat else group["eps"] * root
        xp.divide(m, t, out=t)
        t *= lr * root / (1 - beta1**step)
        return t

    def constants(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[float, ...]:
        step = state["step"]
        beta1, beta2 = group["betas"]
        root = (1 - beta2**step) ** 0.5
        eps = group["eps"] if self.epsilon_hat else group["eps"] * root
        return 1 - beta1, beta2, 1 - beta2, eps, group["lr"] * root / (1 - beta1**step)


SLOTS = {"exp_avg": 0.0, "exp_avg_sq": 0.0}
AMSGRAD_SLOTS = {**SLOTS, "max_exp_avg_sq": 0.0}


class AdamW(Adam):
    r"""Adam with decoupled weight decay: parameters shrink by a fixed share, whatever their gradients are.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) \\
        m_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        v_t &= \beta_2 v_{t-1} + (1 - \beta_2) g_t^2 \\
        \theta_t &= (1 - \gamma \lambda) \theta_{t-1}
            - \gamma \frac{m_t / (1 - \beta_1^t)}{\sqrt{v_t / (1 - \beta_2^t)} + \epsilon}

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
        :math:`\lambda`: the share of itself, times the learning rate, that a parameter loses a step.
    amsgrad : bool
        Divide by the largest mean square so far.
    maximize : bool
        Go up the gradient instead of down.

    Raises
    ------
    ArgumentError
        If a hyperparameter is out of its range.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([2.0], requires_grad=True)
    >>> optimizer = minidl.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w  # 2 * (1 - 0.1 * 0.5) - 0.1
    tensor([1.8000], requires_grad=True)

    References
    ----------
    ``torch.optim.AdamW``. Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization".
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)
