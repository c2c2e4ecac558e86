"""Losses on numbers and probabilities: how far predictions are from targets, element by element."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Operation, Variable, cast, guarded
from minidl.backend import default_dtype, device_of, gpu_in_use, is_array, namespace, quiet, to_device
from minidl.errors import ArgumentError, DeviceError, DTypeError, RangeError, ShapeError, warn
from minidl.ops.activations import logsigmoid
from minidl.ops.arguments import shape_of, takes_tensors
from minidl.ops.elementwise import sigmoid, sign
from minidl.ops.powers import exp, log, log1p
from minidl.ops.selection import clip, where

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "gaussian_nll_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]

# ---------------------------------------------------------------------- what all losses share


def check_reduction(reduction: str, name: str, *more: str) -> None:
    """Raise an ArgumentError unless ``reduction`` is one that the loss knows."""
    if reduction not in ("mean", "sum", "none") and reduction not in more:
        known = "', '".join(("mean", "sum", "none", *more))
        raise ArgumentError(f"{name}: reduction must be one of '{known}', got {reduction!r}")


def check_broadcast(x: Any, target: Any, name: str) -> None:
    """Raise a ShapeError if shapes do not broadcast, and warn if they have to: it is hardly ever meant."""
    mine, theirs = shape_of(x, name, "input"), shape_of(target, name, "target")
    if mine == theirs:
        return
    try:
        both = np.broadcast_shapes(mine, theirs)
    except ValueError:
        raise ShapeError(
            f"{name}: prediction {mine} and target {theirs} have different shapes, which do not broadcast either; "
            "reshape one of them, or change the last layer, so that both are equal"
        ) from None
    targets = math.prod(both) // max(math.prod(mine), 1)
    least = f" each prediction is compared with {targets} targets, and the loss cannot fall below what these differ by;"
    warn(
        f"{name}: prediction {mine} and target {theirs} have different shapes and broadcast to {both}; most likely "
        f"that is not meant:{least if targets > 1 else ''} give the last layer as many units as the target has, or "
        "reshape one of them"
    )


def check_equal(x: Any, target: Any, name: str) -> None:
    """Raise a ShapeError unless both have one shape."""
    mine, theirs = shape_of(x, name, "input"), shape_of(target, name, "target")
    if mine != theirs:
        raise ShapeError(
            f"{name}: prediction {mine} and target {theirs} must have the same shape; reshape one of them "
            "(squeeze, unsqueeze), or change the last layer"
        )


def constant(value: Any, x: Any, name: str, what: str) -> Any:
    """Return ``value``, which no gradient is wanted of, as an array of the dtype that ``x`` is computed in."""
    array = value.array if isinstance(value, Variable) else value
    own = x.array if isinstance(x, Variable) else x
    dtype = own.dtype if own.dtype.kind == "f" else default_dtype()
    if not is_array(array):
        array = namespace(own).asarray(array)
    elif not isinstance(value, Variable):
        array = to_device(array, device_of(own))  # data of the host
    if array.dtype.kind not in "fiub":
        raise DTypeError(f"{name}: {what} must be numbers, got {array.dtype}")
    if gpu_in_use() and device_of(array) != device_of(own):
        raise DeviceError(
            f"{name}: {what} lives on {device_of(array)}, the prediction on {device_of(own)}; move it there first"
        )
    return array.astype(dtype, copy=False)


def broadcast_constant(value: Any, x: Any, name: str, what: str) -> Any:
    """Return :func:`constant` of ``value``, or None, after checking that it broadcasts to the shape of ``x``."""
    if value is None:
        return None
    shape, mine = shape_of(value, name, what), shape_of(x, name, "input")
    extra = len(mine) - len(shape)
    if extra < 0 or any(size not in (1, mine[axis + extra]) for axis, size in enumerate(shape)):
        raise ShapeError(
            f"{name}: {what} {shape} does not broadcast to the prediction {mine}; aligned from the right, each of its "
            "sizes must be 1 or equal"
        )
    return constant(value, x, name, what)


def on_cpu(x: Any) -> Any:
    """Return the array of ``x`` if its values may be looked at: on a GPU that would make the program wait for it."""
    array = x.array if isinstance(x, Variable) else x
    return array if type(array) is np.ndarray and array.size else None


def averaged(losses: Any, reduction: str) -> Any:
    """Reduce a loss that is composed of other operations."""
    if reduction == "none":
        return losses
    total = losses.sum()
    if reduction == "sum":
        return total
    size = math.prod(losses.shape)
    return total * (1 / size if size else math.nan)


class ElementwiseLoss(Operation, register=False):
    """A loss of one number each, summed or averaged in the same breath."""

    casting = "float"

    def reduced(self, losses: Any, reduction: str, weight: Any = None) -> Any:
        """Weigh and reduce what forward computed."""
        self.weight = weight
        self.share = 1.0
        if weight is not None:
            losses = losses * weight
        if reduction == "none":
            return losses
        total = losses.sum()
        if reduction == "mean":
            self.share = 1 / losses.size if losses.size else math.nan
            total = total * self.share
        return total

    def spread(self, grad: Any, factor: float = 1.0) -> Any:
        """Return what the gradient of each element is to be multiplied by, times ``factor``."""
        share = self.share * factor
        if share != 1:
            grad = grad * share
        return grad if self.weight is None else grad * self.weight


# ---------------------------------------------------------------------- regression


class MseLoss(ElementwiseLoss):
    @quiet
    def forward(self, x: Any, target: Any, reduction: str) -> Any:
        self.save(x, target)
        d = x - target
        d *= d
        return self.reduced(d, reduction)

    def backward(self, grad: Any) -> Any:
        x, target = self.saved
        grad_x = (x - target) * self.spread(grad, 2)
        return grad_x, -grad_x if self.needs[1] else None


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:  # noqa: A002
    r"""Return the mean squared error.

    .. math:: L = \frac{1}{n} \sum_i (x_i - y_i)^2

    Parameters
    ----------
    input : Tensor, any shape
        The predictions :math:`x`.
    target : Tensor or array, the shape of ``input``
        :math:`y`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    ArgumentError
        If the reduction is unknown.

    Warns
    -----
    NumericalWarning
        If the shapes differ, but broadcast.

    Examples
    --------
    >>> import minidl
    >>> minidl.mse_loss(minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 4.0]))
    tensor(2.)

    References
    ----------
    ``torch.nn.functional.mse_loss``.
    """
    check_reduction(reduction, "mse_loss")
    check_broadcast(input, target, "mse_loss")
    return MseLoss.apply(input, target, reduction=reduction)


class L1Loss(ElementwiseLoss):
    @quiet
    def forward(self, x: Any, target: Any, reduction: str) -> Any:
        self.save(x, target)
        return self.reduced(self.xp.abs(x - target), reduction)

    def backward(self, grad: Any) -> Any:
        x, target = self.saved
        grad_x = sign(x - target) * self.spread(grad)
        return grad_x, -grad_x if self.needs[1] else None


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:  # noqa: A002
    r"""Return the mean absolute error.

    .. math:: L = \frac{1}{n} \sum_i |x_i - y_i|

    Parameters
    ----------
    input : Tensor, any shape
        The predictions :math:`x`.
    target : Tensor or array, the shape of ``input``
        :math:`y`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    ArgumentError
        If the reduction is unknown.

    Warns
    -----
    NumericalWarning
        If the shapes differ, but broadcast.

    Examples
    --------
    >>> import minidl
    >>> minidl.l1_loss(minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 4.0]))
    tensor(1.)

    References
    ----------
    ``torch.nn.functional.l1_loss``.
    """
    check_reduction(reduction, "l1_loss")
    check_broadcast(input, target, "l1_loss")
    return L1Loss.apply(input, target, reduction=reduction)


class HuberLoss(ElementwiseLoss):
    @quiet
    def forward(self, x: Any, target: Any, delta: float, scale: float, reduction: str) -> Any:
        self.save(x, target)
        self.delta, self.scale = delta, scale
        size = self.xp.abs(x - target)
        inner = self.xp.minimum(size, delta)
        return self.reduced((size - 0.5 * inner) * inner * scale, reduction)

    def backward(self, grad: Any) -> Any:
        x, target = self.saved
        grad_x = clip(x - target, -self.delta, self.delta) * (self.spread(grad) * self.scale)
        return grad_x, -grad_x if self.needs[1] else None


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:  # noqa: A002
    r"""Return Huber's loss: quadratic near the target, linear far from it.

    .. math::

        \ell(d) = \begin{cases} d^2 / 2 & |d| \le \delta \\ \delta (|d| - \delta / 2) & \text{else} \end{cases},
        \qquad L = \frac{1}{n} \sum_i \ell(x_i - y_i)

    Parameters
    ----------
    input : Tensor, any shape
        The predictions :math:`x`.
    target : Tensor or array, the shape of ``input``
        :math:`y`.
    reduction : {"mean", "sum", "none"}
    delta : float
        :math:`\delta`, where one form becomes the other.

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    ArgumentError
        If the reduction is unknown, or ``delta`` is not positive.

    Warns
    -----
    NumericalWarning
        If the shapes differ, but broadcast.

    Examples
    --------
    >>> import minidl
    >>> minidl.huber_loss(minidl.tensor([1.0, 2.0]), minidl.tensor([2.0, 5.0]), reduction="none")
    tensor([0.5000, 2.5000])

    References
    ----------
    ``torch.nn.functional.huber_loss``. Huber 1964, "Robust Estimation of a Location Parameter".
    """
    check_reduction(reduction, "huber_loss")
    if not delta > 0:
        raise ArgumentError(f"huber_loss: delta must be positive, got {delta}")
    check_broadcast(input, target, "huber_loss")
    return HuberLoss.apply(input, target, delta=float(delta), scale=1.0, reduction=reduction)


def smooth_l1_loss(input: Any, target: Any, reduction: str = "mean", beta: float = 1.0) -> Tensor:  # noqa: A002
    r"""Return the absolute error with its corner rounded off: Huber's loss over ``beta``.

    .. math::

        \ell(d) = \begin{cases} d^2 / (2 \beta) & |d| < \beta \\ |d| - \beta / 2 & \text{else} \end{cases},
        \qquad L = \frac{1}{n} \sum_i \ell(x_i - y_i)

    Parameters
    ----------
    input : Tensor, any shape
        The predictions :math:`x`.
    target : Tensor or array, the shape of ``input``
        :math:`y`.
    reduction : {"mean", "sum", "none"}
    beta : float
        :math:`\beta`; 0 is :func:`l1_loss`.

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    ArgumentError
        If the reduction is unknown, or ``beta`` is negative.

    Warns
    -----
    NumericalWarning
        If the shapes differ, but broadcast.

    Examples
    --------
    >>> import minidl
    >>> minidl.smooth_l1_loss(minidl.tensor([1.0, 2.0]), minidl.tensor([2.0, 5.0]), reduction="none", beta=2.0)
    tensor([0.2500, 2.0000])

    References
    ----------
    ``torch.nn.functional.smooth_l1_loss``. Girshick 2015, "Fast R-CNN".
    """
    check_reduction(reduction, "smooth_l1_loss")
    if not beta >= 0:
        raise ArgumentError(f"smooth_l1_loss: beta must not be negative, got {beta}")
    check_broadcast(input, target, "smooth_l1_loss")
    if beta == 0:
        return L1Loss.apply(input, target, reduction=reduction)
    return HuberLoss.apply(input, target, delta=float(beta), scale=1 / beta, reduction=reduction)


# ---------------------------------------------------------------------- yes or no


class BinaryCrossEntropy(ElementwiseLoss):
    @quiet
    def forward(self, x: Any, target: Any, weight: Any, reduction: str) -> Any:
        self.save(x, target)
        xp = self.xp
        losses = (target - 1) * xp.maximum(xp.log1p(-x), -100) - target * xp.maximum(xp.log(x), -100)
        return self.reduced(losses, reduction, weight)

    def backward(self, grad: Any) -> Any:
        x, target = self.saved
        grad = self.spread(grad)
        grad_x = grad_target = None
        if self.needs[0]:
            grad_x = grad * (x - target) / clip(x * (1 - x), 1e-12, None)
        if self.needs[1]:
            grad_target = grad * (clip(log1p(-x), -100.0, None) - clip(log(x), -100.0, None))
        return grad_x, grad_target


@takes_tensors("input", "target")
def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Tensor:  # noqa: A002
    r"""Return the cross entropy between probabilities of "yes" and what was the case.

    .. math:: L = -\frac{1}{n} \sum_i w_i \big(y_i \log x_i + (1 - y_i) \log (1 - x_i)\big)

    Logarithms are cut off at -100, so that a certain mistake costs much, but not infinitely much. From logits (scores
    before the sigmoid), :func:`binary_cross_entropy_with_logits` computes the same without losing digits.

    Parameters
    ----------
    input : Tensor, any shape
        Probabilities :math:`x`, from 0 to 1.
    target : Tensor or array, the shape of ``input``
        :math:`y`, from 0 to 1.
    weight : Tensor or array, a shape that broadcasts to that of ``input``, optional
        :math:`w`, a constant.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes differ, or that of ``weight`` does not broadcast.
    RangeError
        If a prediction is not between 0 and 1.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> minidl.binary_cross_entropy(minidl.tensor([0.5, 0.25]), minidl.tensor([1.0, 0.0]), reduction="none")
    tensor([0.6931, 0.2877])

    References
    ----------
    ``torch.nn.functional.binary_cross_entropy``.
    """
    name = "binary_cross_entropy"
    check_reduction(reduction, name)
    check_equal(input, target, name)
    values = on_cpu(input)
    if values is not None and ((low := values.min()) < 0 or values.max() > 1):
        wrong = low if low < 0 else values.max()
        raise RangeError(
            f"{name}: predictions must be probabilities between 0 and 1, found {wrong:.4g}; apply sigmoid first, or "
            "use binary_cross_entropy_with_logits"
        )
    factor = broadcast_constant(weight, input, name, "weight")
    return guarded(BinaryCrossEntropy.apply(input, target, weight=factor, reduction=reduction), weight)


class BinaryCrossEntropyWithLogits(ElementwiseLoss):
    @quiet
    def forward(self, x: Any, target: Any, weight: Any, pos_weight: Any, reduction: str) -> Any:
        self.save(x, target)
        self.pos_weight = pos_weight
        xp = self.xp
        missed = xp.maximum(-x, 0) + xp.log1p(xp.exp(-xp.abs(x)))  # -log sigmoid(x), which never overflows
        if pos_weight is not None:
            missed = missed * (1 + (pos_weight - 1) * target)
        return self.reduced((1 - target) * x + missed, reduction, weight)

    def backward(self, grad: Any) -> Any:
        x, target = self.saved
        grad, more = self.spread(grad), self.pos_weight
        grad_x = grad_target = None
        if self.needs[0]:
            if more is None:
                grad_x = (sigmoid(x) - target) * grad
            else:
                grad_x = (sigmoid(x) * (1 + (more - 1) * target) - more * target) * grad
        if self.needs[1]:
            grad_target = -x * grad if more is None else -(x + (more - 1) * logsigmoid(x)) * grad
        return grad_x, grad_target


@takes_tensors("input", "target")
def binary_cross_entropy_with_logits(
    input: Any,  # noqa: A002
    target: Any,
    weight: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Tensor:
    r"""Return the cross entropy between scores for "yes" and what was the case, right for scores of any size.

    .. math::

        L = -\frac{1}{n} \sum_i w_i \big(p_i y_i \log \sigma(x_i) + (1 - y_i) \log (1 - \sigma(x_i))\big)

    Parameters
    ----------
    input : Tensor, any shape
        Logits :math:`x`, before the sigmoid.
    target : Tensor or array, the shape of ``input``
        :math:`y`, from 0 to 1.
    weight : Tensor or array, a shape that broadcasts to that of ``input``, optional
        :math:`w`, a constant.
    reduction : {"mean", "sum", "none"}
    pos_weight : Tensor or array, a shape that broadcasts to that of ``input``, optional
        :math:`p`: how much more a missed "yes" costs; a constant.

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes differ, or that of a weight does not broadcast.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> x, y = minidl.tensor([0.0, 10000.0]), minidl.tensor([1.0, 0.0])
    >>> minidl.binary_cross_entropy_with_logits(x, y, reduction="none")
    tensor([6.9315e-01, 1.0000e+04])

    References
    ----------
    ``torch.nn.functional.binary_cross_entropy_with_logits``.
    """
    name = "binary_cross_entropy_with_logits"
    check_reduction(reduction, name)
    check_equal(input, target, name)
    factor = broadcast_constant(weight, input, name, "weight")
    more = broadcast_constant(pos_weight, input, name, "pos_weight")
    loss = BinaryCrossEntropyWithLogits.apply(input, target, weight=factor, pos_weight=more, reduction=reduction)
    return guarded(loss, weight, pos_weight)


# ---------------------------------------------------------------------- distributions


@takes_tensors("input", "target")
def kl_div(input: Any, target: Any, reduction: str = "mean", log_target: bool = False) -> Tensor:  # noqa: A002
    r"""Return the Kullback-Leibler divergence of a predicted distribution from a target.

    .. math:: L = \frac{1}{n} \sum_i y_i (\log y_i - x_i)

    Parameters
    ----------
    input : Tensor, any shape
        Logarithms of probabilities :math:`x`.
    target : Tensor or array, the shape of ``input``
        Probabilities :math:`y`.
    reduction : {"mean", "batchmean", "sum", "none"}
        "batchmean" is the divergence as defined, averaged over the first axis; "mean" also divides by the other
        sizes.
    log_target : bool
        Whether ``target`` holds logarithms, too.

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    ArgumentError
        If the reduction is unknown.

    Warns
    -----
    NumericalWarning
        If the shapes differ, but broadcast.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.log(minidl.tensor([[0.5, 0.5]]))
    >>> minidl.kl_div(x, minidl.tensor([[1.0, 0.0]]), reduction="batchmean")
    tensor(0.6931)

    References
    ----------
    ``torch.nn.functional.kl_div``. Kullback & Leibler 1951, "On Information and Sufficiency".
    """
    check_reduction(reduction, "kl_div", "batchmean")
    check_broadcast(input, target, "kl_div")
    if log_target:
        losses = exp(target) * (target - input)
    else:
        present = where(target > 0, target, 1.0)  # 0 log 0 is 0
        losses = target * (log(present) - input)
    if reduction == "batchmean":
        shape = shape_of(input, "kl_div", "input")
        return losses.sum() / shape[0] if shape else losses
    return averaged(losses, reduction)


@takes_tensors("input", "target")
def poisson_nll_loss(
    input: Any,  # noqa: A002
    target: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the negative log-likelihood of counts under Poisson distributions.

    .. math::

        L = \frac{1}{n} \sum_i \begin{cases} e^{x_i} - y_i x_i & \text{logarithms of rates} \\
        x_i - y_i \log(x_i + \epsilon) & \text{rates} \end{cases}

    Parameters
    ----------
    input : Tensor, any shape
        The logarithms of the expected counts, or (without ``log_input``) the expected counts :math:`x`.
    target : Tensor or array, the shape of ``input``
        The counts :math:`y`.
    log_input : bool
    full : bool
        Add Stirling's approximation of :math:`\log y!` for counts above 1.
    eps : float
        :math:`\epsilon`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    ArgumentError
        If the reduction is unknown.

    Warns
    -----
    NumericalWarning
        If the shapes differ, but broadcast.

    Examples
    --------
    >>> import minidl
    >>> minidl.poisson_nll_loss(minidl.tensor([0.0, 0.0]), minidl.tensor([1.0, 3.0]))
    tensor(1.)

    References
    ----------
    ``torch.nn.functional.poisson_nll_loss``.
    """
    check_reduction(reduction, "poisson_nll_loss")
    check_broadcast(input, target, "poisson_nll_loss")
    losses = exp(input) - target * input if log_input else input - target * log(input + eps)
    if full:
        if target.dtype.kind != "f":
            target = cast(target, input.dtype)
        many: Any = where(target > 1, target, 1.0)
        stirling = many * log(many) - many + 0.5 * log(many * (2 * math.pi))
        losses = losses + where(target > 1, stirling, 0.0)
    return averaged(losses, reduction)


@takes_tensors("input", "target", "var")
def gaussian_nll_loss(
    input: Any,  # noqa: A002
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the negative log-likelihood of numbers under normal distributions.

    .. math:: L = \frac{1}{2 n} \sum_i \Big(\log v_i + \frac{(x_i - y_i)^2}{v_i}\Big)

    Parameters
    ----------
    input : Tensor, any shape
        The expected values :math:`x`.
    target : Tensor or array, the shape of ``input``
        :math:`y`.
    var : Tensor or array, the shape of ``input``, or that with the last size 1 or left out
        The variances :math:`v`; none is taken to be smaller than ``eps``.
    full : bool
        Add the constant :math:`\log(2 \pi) / 2`.
    eps : float
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast, or ``var`` has another shape.
    RangeError
        If a variance is negative.
    ArgumentError
        If the reduction is unknown, or ``eps`` is not positive.

    Warns
    -----
    NumericalWarning
        If the shapes of ``input`` and ``target`` differ, but broadcast.

    Examples
    --------
    >>> import minidl
    >>> one = minidl.tensor([1.0])
    >>> minidl.gaussian_nll_loss(minidl.tensor([3.0]), one, one)
    tensor(2.)

    References
    ----------
    ``torch.nn.functional.gaussian_nll_loss``. Nix & Weigend 1994, "Estimating the mean and variance of the target
    probability distribution".
    """
    check_reduction(reduction, "gaussian_nll_loss")
    if not eps > 0:
        raise ArgumentError(f"gaussian_nll_loss: eps must be positive, got {eps}")
    check_broadcast(input, target, "gaussian_nll_loss")
    shape, mine = shape_of(var, "gaussian_nll_loss", "var"), shape_of(input, "gaussian_nll_loss", "input")
    if shape == mine[:-1] and shape != mine:
        var = var.reshape((*shape, 1))
    elif shape not in (mine, (*mine[:-1], 1)):
        raise ShapeError(
            f"gaussian_nll_loss: var {shape} must have the shape of the prediction {mine}, or that with the last size "
            "1 or left out"
        )
    values = on_cpu(var)
    if values is not None and values.min() < 0:
        raise RangeError(
            f"gaussian_nll_loss: variances must not be negative, found {values.min():.4g}; let the network predict "
            "their logarithm, or apply softplus"
        )
    spread = clip(var, eps, None)
    d = input - target
    losses = (log(spread) + d * d / spread) * 0.5
    if full:
        losses = losses + 0.5 * math.log(2 * math.pi)
    return averaged(losses, reduction)
