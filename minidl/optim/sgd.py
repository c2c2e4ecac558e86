"""Stochastic gradient descent, with momentum and Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from minidl.errors import ArgumentError
from minidl.optim.optimizer import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    r"""Stochastic gradient descent.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) + \lambda \theta_{t-1} \\
        b_t &= \mu b_{t-1} + (1 - \tau) g_t \qquad (b_1 = g_1) \\
        \theta_t &= \theta_{t-1} - \gamma \begin{cases}
            g_t & \mu = 0 \\ b_t & \text{momentum} \\ g_t + \mu b_t & \text{Nesterov}
        \end{cases}

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        The learning rate :math:`\gamma`.
    momentum : float
        :math:`\mu`: the share of its velocity that a parameter keeps.
    dampening : float
        :math:`\tau`: what is held back of the gradient that enters the velocity.
    weight_decay : float
        :math:`\lambda`: the strength of L2 regularisation.
    nesterov : bool
        Look ahead: Nesterov's momentum.
    maximize : bool
        Go up the gradient instead of down.

    Raises
    ------
    ArgumentError
        If a hyperparameter is out of its range, or ``nesterov`` is asked for without momentum or with dampening.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0], requires_grad=True)
    >>> optimizer = minidl.optim.SGD([w], lr=0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w  # 1 - 0.1 * 2 = 0.8, then 0.8 - 0.1 * (0.9 * 2 + 1.6)
    tensor([0.4600], requires_grad=True)

    References
    ----------
    ``torch.optim.SGD``. Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning".
    """

    compiled = "sgd"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, group: Mapping[str, Any]) -> None:
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ArgumentError(
                "SGD: Nesterov's momentum needs momentum > 0 and dampening = 0, got "
                f"momentum={group['momentum']} and dampening={group['dampening']}"
            )

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        return {"momentum_buffer": 0.0} if group["momentum"] else {}

    def advance(self, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        if group["momentum"]:  # it counts the steps that had momentum: the first one starts the velocity
            state["step"] += 1

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any) -> Any:
        momentum = group["momentum"]
        if momentum:
            (velocity,) = slots
            if state["step"] == 1:
                velocity[...] = g
            else:
                velocity *= momentum
                if group["dampening"]:
                    xp.multiply(g, 1 - group["dampening"], out=t)
                    velocity += t
                else:
                    velocity += g
            if group["nesterov"]:
                xp.multiply(velocity, momentum, out=t)
                t += g
                g = t
            else:
                g = velocity
        xp.multiply(g, group["lr"], out=t)
        return t

    def constants(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[float, ...]:
        later = 1.0 if state["step"] > 1 else 0.0
        return group["lr"], group["momentum"], later, 1 - group["dampening"], 1.0 if group["nesterov"] else 0.0

    def _load_one(self, index: int, p: Any, saved: Mapping[str, Any]) -> dict[str, Any]:
        loaded = super()._load_one(index, p, saved)
        if "step" not in saved and "momentum_buffer" in loaded:  # PyTorch's SGD counts no steps
            loaded["step"] = 1
        return loaded
