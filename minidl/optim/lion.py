"""Lion: steps of one size, of which only the sign is learnt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidl.optim.optimizer import Optimizer

__all__ = ["Lion"]


class Lion(Optimizer):
    r"""Lion: every element moves by the learning rate, in the direction of a mean of its gradients.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) \\
        c_t &= \beta_1 m_{t-1} + (1 - \beta_1) g_t \\
        m_t &= \beta_2 m_{t-1} + (1 - \beta_2) g_t \\
        \theta_t &= (1 - \gamma \lambda) \theta_{t-1} - \gamma \operatorname{sign}(c_t)

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        The learning rate :math:`\gamma`: a third to a tenth of what Adam takes.
    betas : (float, float)
        :math:`\beta_1` and :math:`\beta_2`: how much of the mean gradient is kept in a step's direction, and for the
        steps after it.
    weight_decay : float
        :math:`\lambda`: the share of itself, times the learning rate, that a parameter loses a step.
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
    >>> optimizer = minidl.optim.Lion([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.9000, -2.9000], requires_grad=True)

    References
    ----------
    ``keras.optimizers.Lion``. Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms".
    """

    scratch = 2

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "weight_decay": weight_decay,
                "maximize": maximize,
                "decoupled_weight_decay": True,
            },
        )

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return SLOTS

    def update(
        self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any, u: Any
    ) -> Any:
        beta1, beta2 = group["betas"]
        (m,) = slots
        xp.multiply(m, beta1, out=t)
        xp.multiply(g, 1 - beta1, out=u)
        t += u
        xp.sign(t, out=t)
        t *= group["lr"]
        xp.multiply(g, 1 - beta2, out=u)
        m *= beta2
        m += u
        return t


SLOTS = {"exp_avg": 0.0}
