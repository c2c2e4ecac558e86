"""Activations: the nonlinear functions between the layers of a network, softmax included."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minidl import kernels
from minidl.autograd import Operation, cast, update
from minidl.backend import quiet
from minidl.errors import ArgumentError, ShapeError
from minidl.ops.arguments import normalize_axis, takes_tensors
from minidl.ops.arithmetic import add, div, mul, neg, sub
from minidl.ops.elementwise import abs, erf, sigmoid  # noqa: A004
from minidl.ops.powers import exp
from minidl.ops.selection import clip, minimum, where
from minidl.ops.shape import reshape
from minidl.ops.trigonometry import tanh

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "swish",
    "tanhshrink",
    "threshold",
]


class Relu(Operation):
    def forward(self, x: Any) -> Any:
        y = kernels.relu(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * (y > 0) if self.recording else kernels.relu_grad(grad, y)


def relu(x: Any, inplace: bool = False) -> Tensor:
    r"""Return the positive part of each element; its slope at 0 is 0.

    .. math:: y = \max(x, 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.relu(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([0., 0., 3.])

    References
    ----------
    V. Nair, G. Hinton, "Rectified linear units improve restricted Boltzmann machines" (2010).
    ``torch.nn.functional.relu``.
    """
    y = Relu.apply(x)
    return update(x, y, "relu_") if inplace else y


class LeakyRelu(Operation):
    casting = "float"

    def forward(self, x: Any, slope: float) -> Any:
        self.save(x)
        self.slope = slope
        return self.xp.maximum(x, x * slope) if 0 <= slope <= 1 else self.xp.where(x > 0, x, x * slope)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return where(x > 0, grad, grad * self.slope)


def leaky_relu(x: Any, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    r"""Return each element, negative ones scaled down.

    .. math:: y = \max(x, 0) + s \min(x, 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    negative_slope : float
        The slope below 0, and at 0.
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.leaky_relu(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.0200,  0.0000,  3.0000])

    References
    ----------
    A. Maas et al., "Rectifier nonlinearities improve neural network acoustic models" (2013).
    ``torch.nn.functional.leaky_relu``.
    """
    y = LeakyRelu.apply(x, slope=negative_slope)
    return update(x, y, "leaky_relu_") if inplace else y


class Prelu(Operation):
    casting = "common"

    def forward(self, x: Any, weight: Any) -> Any:
        self.save(x, weight)
        return self.xp.where(x > 0, x, x * weight)

    def backward(self, grad: Any) -> Any:
        x, weight = self.saved
        positive = x > 0
        return (
            where(positive, grad, grad * weight) if self.needs[0] else None,
            where(positive, 0.0, grad * x) if self.needs[1] else None,
        )


@takes_tensors("x", "weight")
def prelu(x: Any, weight: Any) -> Tensor:
    r"""Return each element, negative ones scaled by a slope that is learnt.

    .. math:: y = \max(x, 0) + w \min(x, 0)

    Parameters
    ----------
    x : Tensor or array, of shape (N, C, ...), or any with one weight
    weight : Tensor or array, of shape (1,) or (C,)
        The slope below 0: one for all, or one a channel.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If ``weight`` has neither 1 element nor one for each channel.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.prelu(minidl.tensor([-2.0, 0.0, 3.0]), minidl.tensor([0.25]))
    tensor([-0.5000,  0.0000,  3.0000])

    References
    ----------
    K. He et al., "Delving deep into rectifiers" (2015).
    ``torch.nn.functional.prelu``.
    """
    shape, slopes = tuple(x.shape), tuple(weight.shape)
    channels = shape[1] if len(shape) > 1 else 1
    if slopes not in ((), (1,), (channels,)):
        raise ShapeError(
            f"prelu: weight has shape {slopes}, x {shape}; expected one slope, of shape (1,), or one for each of the "
            f"{channels} channels (axis 1), of shape ({channels},)"
        )
    if len(shape) > 2 and slopes == (channels,):
        weight = reshape(weight, (channels,) + (1,) * (len(shape) - 2))  # (C, 1, ...)
    elif not shape and slopes:
        weight = reshape(weight, ())
    return Prelu.apply(x, weight)


class Elu(Operation):
    """ELU, SELU and CELU: they differ in their scales only."""

    casting = "float"

    def forward(self, x: Any, alpha: float, scale: float = 1.0, inner: float = 1.0) -> Any:
        self.save(x)
        self.alpha, self.scale, self.inner = alpha, scale, inner
        negative = self.xp.expm1(self.xp.minimum(x, 0) * inner)
        return self.xp.where(x > 0, x * scale, negative * (alpha * scale))

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        negative = exp(minimum(x, 0) * self.inner) * (self.alpha * self.scale * self.inner)
        return grad * where(x > 0, self.scale, negative)


def elu(x: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    r"""Return each element, negative ones as an exponential that levels off.

    .. math:: y = \begin{cases} x & \text{if } x > 0 \\ \alpha (e^x - 1) & \text{else} \end{cases}

    Parameters
    ----------
    x : Tensor or array, any shape
    alpha : float
        Minus the value that is approached.
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.elu(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.8647,  0.0000,  3.0000])

    References
    ----------
    D.-A. Clevert et al., "Fast and accurate deep network learning by exponential linear units" (2016).
    ``torch.nn.functional.elu``.
    """
    y = Elu.apply(x, alpha=alpha)
    return update(x, y, "elu_") if inplace else y


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


def selu(x: Any, inplace: bool = False) -> Tensor:
    r"""Return the scaled ELU, which keeps mean 0 and variance 1 from layer to layer.

    .. math:: y = \lambda \begin{cases} x & \text{if } x > 0 \\ \alpha (e^x - 1) & \text{else} \end{cases}, \quad
        \lambda = 1.0507, \; \alpha = 1.6733

    Parameters
    ----------
    x : Tensor or array, any shape
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.selu(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.5202,  0.0000,  3.1521])

    References
    ----------
    G. Klambauer et al., "Self-normalizing neural networks" (2017).
    ``torch.nn.functional.selu``.
    """
    y = Elu.apply(x, alpha=SELU_ALPHA, scale=SELU_SCALE)
    return update(x, y, "selu_") if inplace else y


def celu(x: Any, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    r"""Return the ELU whose slope is continuous for every alpha.

    .. math:: y = \max(0, x) + \min(0, \alpha (e^{x / \alpha} - 1))

    Parameters
    ----------
    x : Tensor or array, any shape
    alpha : float, not 0
        Minus the value that is approached.
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ArgumentError
        If ``alpha`` is 0.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.celu(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.8647,  0.0000,  3.0000])

    References
    ----------
    J. Barron, "Continuously differentiable exponential linear units" (2017).
    ``torch.nn.functional.celu``.
    """
    if alpha == 0:
        raise ArgumentError("celu: alpha is 0, expected another number: it divides x; for alpha near 0 use relu")
    y = Elu.apply(x, alpha=alpha, inner=1 / alpha)
    return update(x, y, "celu_") if inplace else y


GELU_A = math.sqrt(2 / math.pi)
GELU_B = 0.044715 * GELU_A


class Gelu(Operation):
    casting = "float"

    def forward(self, x: Any) -> Any:
        self.save(x)
        return x * (0.5 + 0.5 * erf(x * math.sqrt(0.5)))

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        cumulative = 0.5 + 0.5 * erf(x * math.sqrt(0.5))
        density = exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
        return grad * (cumulative + x * density)


class GeluTanh(Operation):
    casting = "float"

    def forward(self, x: Any) -> Any:
        self.save(x)
        return 0.5 * x * (1 + tanh(x * (GELU_A + GELU_B * (x * x))))

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        square = x * x
        t = tanh(x * (GELU_A + GELU_B * square))
        slope = GELU_A + 3 * GELU_B * square
        return grad * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


def gelu(x: Any, approximate: str = "none") -> Tensor:
    r"""Return each element times the probability that a standard normal number is less.

    .. math:: y = x \, \Phi(x) = \frac{x}{2} \left(1 + \operatorname{erf} \frac{x}{\sqrt 2}\right)

    Parameters
    ----------
    x : Tensor or array, any shape
    approximate : {"none", "tanh"}
        "tanh" computes :math:`\frac{x}{2} (1 + \tanh(\sqrt{2 / \pi} (x + 0.044715 x^3)))` instead.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ArgumentError
        If ``approximate`` is unknown.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.gelu(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.0455,  0.0000,  2.9960])

    References
    ----------
    D. Hendrycks, K. Gimpel, "Gaussian error linear units" (2016).
    ``torch.nn.functional.gelu``.
    """
    if approximate == "none":
        return Gelu.apply(x)
    if approximate == "tanh":
        return GeluTanh.apply(x)
    raise ArgumentError(f"gelu: unknown approximate={approximate!r}; expected 'none' or 'tanh'")


class Silu(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return x / (1 + self.xp.exp(-x))

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        s = sigmoid(x)
        return grad * (s * (1 + x * (1 - s)))


def silu(x: Any, inplace: bool = False) -> Tensor:
    r"""Return each element times its sigmoid; also known as swish.

    .. math:: y = \frac{x}{1 + e^{-x}}

    Parameters
    ----------
    x : Tensor or array, any shape
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.silu(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.2384,  0.0000,  2.8577])

    References
    ----------
    S. Elfwing et al., "Sigmoid-weighted linear units" (2017).
    ``torch.nn.functional.silu``.
    """
    y = Silu.apply(x)
    return update(x, y, "silu_") if inplace else y


swish = silu


class Mish(Operation):
    casting = "float"

    def forward(self, x: Any) -> Any:
        self.save(x)
        return x * self.xp.tanh(softplus(x))

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        t = tanh(softplus(x))
        return grad * (t + x * (1 - t * t) * sigmoid(x))


def mish(x: Any, inplace: bool = False) -> Tensor:
    r"""Return each element times the hyperbolic tangent of its softplus.

    .. math:: y = x \tanh(\ln(1 + e^x))

    Parameters
    ----------
    x : Tensor or array, any shape
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.mish(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.2525,  0.0000,  2.9865])

    References
    ----------
    D. Misra, "Mish: a self regularized non-monotonic activation function" (2019).
    ``torch.nn.functional.mish``.
    """
    y = Mish.apply(x)
    return update(x, y, "mish_") if inplace else y


class Softplus(Operation):
    casting = "float"

    def forward(self, x: Any, beta: float, threshold: float) -> Any:
        self.save(x)
        self.beta, self.threshold = beta, threshold
        scaled = x * beta
        curved = self.xp.log1p(self.xp.exp(self.xp.minimum(scaled, threshold))) / beta
        return self.xp.where(scaled > threshold, x, curved)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        scaled = x * self.beta
        return where(scaled > self.threshold, grad, grad * sigmoid(scaled))


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    r"""Return a smooth version of the positive part of each element.

    .. math:: y = \frac{1}{\beta} \ln(1 + e^{\beta x})

    Parameters
    ----------
    x : Tensor or array, any shape
    beta : float, not 0
        The larger, the closer to ``relu``.
    threshold : float
        Where :math:`\beta x` is larger, return ``x``, from which the formula no longer differs.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ArgumentError
        If ``beta`` is 0.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.softplus(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([0.1269, 0.6931, 3.0486])

    References
    ----------
    ``torch.nn.functional.softplus``.
    """
    if beta == 0:
        raise ArgumentError("softplus: beta is 0, expected another number: the result is divided by it")
    return Softplus.apply(x, beta=beta, threshold=threshold)


class Logsigmoid(Operation):
    casting = "float"

    def forward(self, x: Any) -> Any:
        self.save(x)
        xp = self.xp
        return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * sigmoid(-x)


def logsigmoid(x: Any) -> Tensor:
    r"""Return the logarithm of the sigmoid of each element.

    .. math:: y = \ln \frac{1}{1 + e^{-x}}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.logsigmoid(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-2.1269, -0.6931, -0.0486])

    References
    ----------
    ``torch.nn.functional.logsigmoid``.
    """
    return Logsigmoid.apply(x)


class Hardtanh(Operation):
    casting = "common"

    def forward(self, x: Any, low: float, high: float) -> Any:
        self.save(x)
        self.low, self.high = low, high
        return self.xp.minimum(self.xp.maximum(x, low), high)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * ((x > self.low) & (x < self.high))


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    r"""Return each element limited to a range; unlike ``clip``, its slope at the limits is 0.

    .. math:: y = \min(\max(x, l), h)

    Parameters
    ----------
    x : Tensor or array, any shape
    min_val, max_val : float
        The limits :math:`l < h`.
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ArgumentError
        If the limits are not in order.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.hardtanh(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])

    References
    ----------
    ``torch.nn.functional.hardtanh``.
    """
    if not min_val <= max_val:
        raise ArgumentError(f"hardtanh: min_val is {min_val}, max_val {max_val}; expected min_val <= max_val")
    y = Hardtanh.apply(x, low=min_val, high=max_val)
    return update(x, y, "hardtanh_") if inplace else y


def relu6(x: Any, inplace: bool = False) -> Tensor:
    r"""Return the positive part of each element, 6 at most.

    .. math:: y = \min(\max(x, 0), 6)

    Parameters
    ----------
    x : Tensor or array, any shape
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.relu6(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([0., 0., 3.])

    References
    ----------
    A. Howard et al., "MobileNets" (2017).
    ``torch.nn.functional.relu6``.
    """
    return hardtanh(x, 0, 6, inplace)


def hardsigmoid(x: Any, inplace: bool = False) -> Tensor:
    r"""Return a sigmoid made of three straight lines.

    .. math:: y = \frac{\min(\max(x + 3, 0), 6)}{6}

    Parameters
    ----------
    x : Tensor or array, any shape
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.hardsigmoid(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([0.1667, 0.5000, 1.0000])

    References
    ----------
    A. Howard et al., "Searching for MobileNetV3" (2019).
    ``torch.nn.functional.hardsigmoid``.
    """
    y = div(hardtanh(add(x, 3), 0, 6), 6)
    return update(x, y, "hardsigmoid_") if inplace else y


def hardswish(x: Any, inplace: bool = False) -> Tensor:
    r"""Return each element times its hard sigmoid.

    .. math:: y = x \, \frac{\min(\max(x + 3, 0), 6)}{6}

    Parameters
    ----------
    x : Tensor or array, any shape
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.hardswish(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.3333,  0.0000,  3.0000])

    References
    ----------
    A. Howard et al., "Searching for MobileNetV3" (2019).
    ``torch.nn.functional.hardswish``.
    """
    y = mul(x, hardsigmoid(x))
    return update(x, y, "hardswish_") if inplace else y


def softsign(x: Any) -> Tensor:
    r"""Return each element divided by 1 plus its size.

    .. math:: y = \frac{x}{1 + |x|}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.softsign(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-0.6667,  0.0000,  0.7500])

    References
    ----------
    ``torch.nn.functional.softsign``.
    """
    return div(x, add(abs(x), 1))


def tanhshrink(x: Any) -> Tensor:
    r"""Return each element less its hyperbolic tangent.

    .. math:: y = x - \tanh x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.tanhshrink(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.0360,  0.0000,  2.0049])

    References
    ----------
    ``torch.nn.functional.tanhshrink``.
    """
    return sub(x, tanh(x))


def softshrink(x: Any, lambd: float = 0.5) -> Tensor:
    r"""Return each element moved toward 0 by some length, and 0 if it is nearer.

    .. math:: y = x - \min(\max(x, -\lambda), \lambda)

    Parameters
    ----------
    x : Tensor or array, any shape
    lambd : float, at least 0
        The length.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ArgumentError
        If ``lambd`` is negative.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.softshrink(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.5000,  0.0000,  2.5000])

    References
    ----------
    ``torch.nn.functional.softshrink``.
    """
    if not lambd >= 0:
        raise ArgumentError(f"softshrink: lambd is {lambd}, expected at least 0")
    return sub(x, clip(x, -lambd, lambd))


@takes_tensors("x")
def hardshrink(x: Any, lambd: float = 0.5) -> Tensor:
    r"""Return each element, and 0 for those nearer to 0 than some length.

    .. math:: y = x \, [|x| > \lambda]

    Parameters
    ----------
    x : Tensor or array, any shape
    lambd : float
        The length.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.hardshrink(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-2.,  0.,  3.])

    References
    ----------
    ``torch.nn.functional.hardshrink``.
    """
    return where((x >= -lambd) & (x <= lambd), 0.0, x)


@takes_tensors("x")
def threshold(x: Any, threshold: float, value: float, inplace: bool = False) -> Tensor:
    r"""Return each element above a threshold, and a fixed value for the others.

    .. math:: y = \begin{cases} x & \text{if } x > t \\ v & \text{else} \end{cases}

    Parameters
    ----------
    x : Tensor or array, any shape
    threshold : float
        What an element must exceed.
    value : float
        What is returned for the others.
    inplace : bool
        Write the result into ``x``.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.threshold(minidl.tensor([-2.0, 0.0, 3.0]), 1.0, -1.0)
    tensor([-1., -1.,  3.])

    References
    ----------
    ``torch.nn.functional.threshold``.
    """
    y = where(x <= threshold, value, x)
    return update(x, y, "threshold_") if inplace else y


@takes_tensors("x", axis="dim")
def glu(x: Any, dim: int = -1) -> Tensor:
    r"""Return the first half of ``x`` times the sigmoid of the second.

    .. math:: y = a \, \sigma(b), \quad x = [a, b]

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int
        The axis that is halved. NumPy's ``axis`` is accepted.

    Returns
    -------
    Tensor, the shape of ``x`` with half the size along ``dim``

    Raises
    ------
    ShapeError
        If the size along ``dim`` is odd.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.glu(minidl.tensor([1.0, 2.0, 0.0, 10.0]))
    tensor([0.5000, 1.9999])

    References
    ----------
    Y. Dauphin et al., "Language modeling with gated convolutional networks" (2017).
    ``torch.nn.functional.glu``.
    """
    axis = normalize_axis(dim, len(x.shape), "glu")
    if not x.shape or x.shape[axis] % 2:
        raise ShapeError(f"glu: x has shape {tuple(x.shape)}; expected an even size along axis {axis}, to halve it")
    half = x.shape[axis] // 2
    before = (slice(None),) * axis
    return x[(*before, slice(half))] * sigmoid(x[(*before, slice(half, None))])


class Softmax(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, axis: int) -> Any:
        self.axis = axis
        y = kernels.softmax(x, axis) if x.size else x.copy()
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return kernels.softmax_grad(grad, y, self.axis)


@takes_tensors("x", axis="dim")
def softmax(x: Any, dim: int = -1, dtype: Any = None) -> Tensor:
    r"""Return the exponentials of the elements along an axis, scaled to sum to 1.

    .. math:: y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int
        The axis along which the results sum to 1. NumPy's ``axis`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first.

    Returns
    -------
    Tensor, the shape of ``x``
        0 where ``x`` is -inf; nan along a line that is all -inf, as in PyTorch.

    Raises
    ------
    RangeError
        If there is no such axis.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.softmax(minidl.tensor([0.0, 1.0, 2.0]), dim=0)
    tensor([0.0900, 0.2447, 0.6652])

    References
    ----------
    ``scipy.special.softmax``
    ``torch.nn.functional.softmax``.
    """
    if dtype is not None:
        x = cast(x, dtype)
    return Softmax.apply(x, axis=normalize_axis(dim, x.ndim, "softmax"))


class LogSoftmax(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, axis: int) -> Any:
        self.axis = axis
        y = kernels.log_softmax(x, axis) if x.size else x.copy()
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        if self.recording:
            return grad - exp(y) * grad.sum(axis=self.axis, keepdims=True)
        return kernels.log_softmax_grad(grad, y, self.axis)


@takes_tensors("x", axis="dim")
def log_softmax(x: Any, dim: int = -1, dtype: Any = None) -> Tensor:
    r"""Return the logarithm of the softmax along an axis, without computing the softmax.

    .. math:: y_i = x_i - \ln \sum_j e^{x_j}

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int
        The axis along which the softmax sums to 1. NumPy's ``axis`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first.

    Returns
    -------
    Tensor, the shape of ``x``
        -inf where ``x`` is; nan along a line that is all -inf, as in PyTorch.

    Raises
    ------
    RangeError
        If there is no such axis.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.log_softmax(minidl.tensor([0.0, 1.0, 2.0]), dim=0)
    tensor([-2.4076, -1.4076, -0.4076])

    References
    ----------
    ``scipy.special.log_softmax``
    ``torch.nn.functional.log_softmax``.
    """
    if dtype is not None:
        x = cast(x, dtype)
    return LogSoftmax.apply(x, axis=normalize_axis(dim, x.ndim, "log_softmax"))


@takes_tensors("x", axis="dim")
def softmin(x: Any, dim: int = -1, dtype: Any = None) -> Tensor:
    r"""Return the softmax of the negative of each element.

    .. math:: y_i = \frac{e^{-x_i}}{\sum_j e^{-x_j}}

    Parameters
    ----------
    x : Tensor or array, any shape
    dim : int
        The axis along which the results sum to 1. NumPy's ``axis`` is accepted.
    dtype : dtype, optional
        Convert ``x`` to it first.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    RangeError
        If there is no such axis.
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.softmin(minidl.tensor([0.0, 1.0, 2.0]), dim=0)
    tensor([0.6652, 0.2447, 0.0900])

    References
    ----------
    ``torch.nn.functional.softmin``.
    """
    return softmax(neg(x), dim, dtype)
