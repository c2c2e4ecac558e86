"""RMSprop."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from minidl.optim.optimizer import Optimizer

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    r"""RMSprop: the gradient over the root of its mean square, element by element.

    .. math::

        g_t &= \nabla f(\theta_{t-1}) + \lambda \theta_{t-1} \\
        v_t &= \alpha v_{t-1} + (1 - \alpha) g_t^2 \\
        a_t &= \alpha a_{t-1} + (1 - \alpha) g_t \qquad \text{(if centered, else } a_t = 0) \\
        d_t &= g_t / (\sqrt{v_t - a_t^2} + \epsilon) \\
        b_t &= \mu b_{t-1} + d_t \\
        \theta_t &= \theta_{t-1} - \gamma b_t

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise, see :class:`Optimizer`.
    lr : float
        The learning rate :math:`\gamma`.
    alpha : float
        :math:`\alpha`: how much of the mean square is kept a step.
    eps : float
        :math:`\epsilon`: keeps the quotient finite.
    weight_decay : float
        :math:`\lambda`: the strength of L2 regularisation.
    momentum : float
        :math:`\mu`: the share of its velocity that a parameter keeps.
    centered : bool
        Divide by the standard deviation of the gradient rather than by its mean square.
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
    >>> optimizer = minidl.optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w  # 1 - 0.1 * 2 / sqrt(0.25 * 4)
    tensor([ 0.8000, -2.8000], requires_grad=True)

    References
    ----------
    ``torch.optim.RMSprop``. Tieleman & Hinton 2012, "Lecture 6.5: RMSProp"; Graves 2013, "Generating Sequences With
    Recurrent Neural Networks" (centered).
    """

    #: Whether eps is added below the root and the learning rate is in the velocity, as in Keras.
    keras_form: ClassVar[bool] = False
    compiled = "rmsprop"

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "alpha": alpha,
                "eps": eps,
                "centered": centered,
                "weight_decay": weight_decay,
                "maximize": maximize,
            },
        )

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        names = ["square_avg"]
        if group["centered"]:
            names.append("grad_avg")
        if group["momentum"]:
            names.append("momentum_buffer")
        return dict.fromkeys(names, 0.0)

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, t: Any) -> Any:
        alpha = group["alpha"]
        mean_square = slots[0]
        xp.multiply(g, g, out=t)
        t *= 1 - alpha
        mean_square *= alpha
        mean_square += t
        if group["centered"]:
            mean = slots[1]
            xp.subtract(g, mean, out=t)
            t *= 1 - alpha
            mean += t
            xp.multiply(mean, mean, out=t)
            xp.subtract(mean_square, t, out=t)
            xp.sqrt(t, out=t)
        else:
            xp.sqrt(mean_square, out=t)
        t += group["eps"]
        xp.divide(g, t, out=t)
        if group["momentum"]:
            velocity = slots[-1]
            velocity *= group["momentum"]
            velocity += t
            xp.multiply(velocity, group["lr"], out=t)
        else:
            t *= group["lr"]
        return t

    def constants(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[float, ...]:
        alpha, eps = group["alpha"], group["eps"]
        added = (eps, 0.0) if self.keras_form else (0.0, eps)
        switches = float(group["centered"]), float(self.keras_form)
        return alpha, 1 - alpha, *added, group["lr"], group["momentum"], *switches
