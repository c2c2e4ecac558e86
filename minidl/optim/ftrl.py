"""FTRL: follow the regularised leader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidl.errors import ArgumentError
from minidl.optim.buckets import decays
from minidl.optim.optimizer import Optimizer

__all__ = ["Ftrl"]


class Ftrl(Optimizer):
    r"""FTRL: the parameter that would have been best so far, with L1 and L2 regularisation; for sparse linear models.

    .. math::

        n_t &= n_{t-1} + g_t^2 \\
        \sigma_t &= (n_t^{-p} - n_{t-1}^{-p}) / \gamma \\
        z_t &= z_{t-1} + g_t + 2 \lambda_s \theta_{t-1} - \sigma_t \theta_{t-1} \\
        \theta_t &= \frac{\min(\max(z_t, -\lambda_1), \lambda_1) - z_t}
            {(\beta + n_t^{-p}) / \gamma + 2 \lambda_2}

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        The learning rate :math:`\gamma`; more than 0.
    lr_power : float
        :math:`p`: how steps shrink with the sum of squared gradients, 0 (not at all) or less.
    initial_accumulator_value : float
        :math:`n_0`.
    l1 : float
        :math:`\lambda_1`: parameters that gain less than this become exactly 0.
    l2 : float
        :math:`\lambda_2`: pulls parameters towards 0.
    l2_shrinkage : float
        :math:`\lambda_s`: an L2 penalty on the loss itself, which leaves :math:`n` alone.
    beta : float
        :math:`\beta`
    weight_decay : float
        The share of itself, times the learning rate, that a parameter loses before a step.

    Raises
    ------
    ArgumentError
        If a hyperparameter is out of its range.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([0.0, 0.0], requires_grad=True)
    >>> optimizer = minidl.optim.Ftrl([w], lr=0.5, l1=1.0)
    >>> (w * minidl.tensor([-2.0, 0.5])).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.2469, 0.0000], requires_grad=True)

    References
    ----------
    ``keras.optimizers.Ftrl``. McMahan et al. 2013, "Ad Click Prediction: a View from the Trenches".
    """

    scratch = 2
    reads_parameter = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        lr_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1: float = 0.0,
        l2: float = 0.0,
        l2_shrinkage: float = 0.0,
        beta: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_power": lr_power,
                "initial_accumulator_value": initial_accumulator_value,
                "l1": l1,
                "l2": l2,
                "l2_shrinkage": l2_shrinkage,
                "beta": beta,
                "weight_decay": weight_decay,
                "decoupled_weight_decay": True,
            },
        )

    def check(self, group: Mapping[str, Any]) -> None:
        if not group["lr_power"] <= 0:
            raise ArgumentError(f"{self.name}: lr_power must be 0 or less, got {group['lr_power']}")

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return {"sum": group["initial_accumulator_value"], "linear": 0.0}

    def _delta(
        self, group: Any, state: Any, xp: Any, p: Any, g: Any, slots: Any, own: Any, *scratch: Any
    ) -> Any:  # where p goes does not depend on where it is alone, so this is not an update
        lr, power, l1 = group["lr"], -group["lr_power"], group["l1"]
        if not lr > 0:
            raise ArgumentError(f"{self.name}: it divides by lr, which must be more than 0, got {lr}")
        shrink = decays(group)[1]
        total, z = slots
        t, u = scratch
        raised(xp, total, power, out=t)
        xp.multiply(g, g, out=u)
        total += u
        raised(xp, total, power, out=u)
        xp.subtract(u, t, out=t)
        t /= lr
        t -= 2 * group["l2_shrinkage"]
        t *= p
        if shrink != 1:
            t *= shrink
        z += g
        z -= t
        u /= lr
        u += 2 * group["l2"] + group["beta"] / lr
        xp.clip(z, -l1, l1, out=t)
        t -= z
        t /= u  # the new parameter
        xp.multiply(p, shrink, out=u)
        u -= t
        return u


def raised(xp: Any, x: Any, power: float, out: Any) -> None:
    """Write ``x**power`` to ``out``."""
    if power == 0.5:
        xp.sqrt(x, out=out)
    else:
        xp.power(x, power, out=out)
