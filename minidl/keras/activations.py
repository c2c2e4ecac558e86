"""Activations under Keras's names: functions of one tensor, meant by a name such as ``"relu"``.

Those that Keras and minidl call alike (``sigmoid``, ``elu``, ``mish``, ...) are minidl's own functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from minidl import ops
from minidl.keras.serialization import (
    builtin,
    deserialize_keras_object,
    is_builtin,
    resolve,
    serialize_keras_object,
)
from minidl.ops import celu, elu, mish, relu6, selu, sigmoid, silu, softplus, softsign, tanh

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

MODULE = "keras.activations"

for _function in (celu, elu, mish, relu6, selu, sigmoid, softplus, softsign, tanh):
    builtin(MODULE)(_function)
swish = builtin(MODULE, "swish")(silu)


# ------------------------------------------------------------------ by name


def get(identifier: Any) -> Callable[..., Any]:
    """Return the activation that a layer's ``activation=`` stands for.

    Parameters
    ----------
    identifier : None, str, dict or callable
        None is :func:`linear`.

    Returns
    -------
    callable

    Raises
    ------
    ArgumentError
        If no activation has that name; the message has the nearest one.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.activations.get("relu").__name__
    'relu'

    References
    ----------
    ``keras.activations.get``.
    """
    return linear if identifier is None else resolve(MODULE, identifier, "activation")


def serialize(activation: Any) -> Any:
    """Return the name of one of Keras's activations, or what files say of another.

    Parameters
    ----------
    activation : callable

    Returns
    -------
    str or dict

    Raises
    ------
    DTypeError
        If there is no way to write it: a lambda, say.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.activations.serialize(keras.activations.relu)
    'relu'

    References
    ----------
    ``keras.activations.serialize``.
    """
    return activation.__name__ if is_builtin(activation, MODULE) else serialize_keras_object(activation)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the activation that :func:`serialize` wrote.

    Parameters
    ----------
    config : str or dict
    custom_objects : dict of str to callable, optional
        The user's own, by name.

    Returns
    -------
    callable

    Examples
    --------
    >>> from minidl import keras
    >>> keras.activations.deserialize("tanh").__name__
    'tanh'

    References
    ----------
    ``keras.activations.deserialize``.
    """
    if isinstance(config, str):
        return (custom_objects or {}).get(config) or get(config)
    return deserialize_keras_object(config, custom_objects, module=MODULE)


# ------------------------------------------------------------------ rectifiers


@builtin(MODULE)
def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    r"""Return the part of each element above a threshold.

    .. math:: y = \begin{cases} m & x \ge m \\ x & t \le x < m \\ a (x - t) & x < t \end{cases}

    Parameters
    ----------
    x : Tensor or array, any shape
    negative_slope : float
        :math:`a`.
    max_value : float, optional
        :math:`m`; no limit if left out.
    threshold : float
        :math:`t`.

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.relu(minidl.tensor([-10.0, 0.0, 4.0, 10.0]), max_value=5)
    tensor([0., 0., 4., 5.])

    References
    ----------
    ``keras.activations.relu``.
    """
    if threshold == 0 and max_value is None:
        return ops.leaky_relu(x, negative_slope) if negative_slope else ops.relu(x)
    x = ops.as_tensor(x)
    y = ops.where(x > threshold, x, 0) if threshold else ops.relu(x)
    if max_value is not None:  # at 6 itself, Keras's slopes differ: 0 for relu6, 1 for clip
        y = ops.relu6(y) if max_value == 6 and not threshold else ops.clip(y, 0, max_value)
    return y - negative_slope * ops.relu(threshold - x) if negative_slope else y


@builtin(MODULE)
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Tensor:
    r"""Return each element, the negative ones made smaller.

    .. math:: y = \max(x, 0) + a \min(x, 0)

    Parameters
    ----------
    x : Tensor or array, any shape
    negative_slope : float
        :math:`a`.

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.leaky_relu(minidl.tensor([-1.0, 2.0]))
    tensor([-0.2000,  2.0000])

    References
    ----------
    ``keras.activations.leaky_relu``.
    """
    return ops.leaky_relu(x, negative_slope)


@builtin(MODULE)
def gelu(x: Any, approximate: bool = False) -> Tensor:
    r"""Return each element times the probability that a standard normal number is less.

    .. math:: y = x \, \Phi(x)

    Parameters
    ----------
    x : Tensor or array, any shape
    approximate : bool
        Use a formula with tanh instead of the error function.

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.gelu(minidl.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.1587,  0.0000,  0.8413])

    References
    ----------
    ``keras.activations.gelu``.
    """
    return ops.gelu(x, "tanh" if approximate else "none")


@builtin(MODULE, "hard_swish")
def hard_silu(x: Any) -> Tensor:
    r"""Return each element times its hard sigmoid.

    .. math:: y = x \, \frac{\min(\max(x + 3, 0), 6)}{6}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.hard_silu(minidl.tensor([-1.5, 0.0, 4.0]))
    tensor([-0.3750,  0.0000,  4.0000])

    References
    ----------
    ``keras.activations.hard_silu``.
    """
    return ops.hardswish(x)


hard_swish = hard_silu


@builtin(MODULE)
def squareplus(x: Any, b: float = 4) -> Tensor:
    r"""Return a smooth version of the positive part of each element, made of a square root.

    .. math:: y = \frac{x + \sqrt{x^2 + b}}{2}

    Parameters
    ----------
    x : Tensor or array, any shape
    b : float
        How smooth.

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.squareplus(minidl.tensor([-1.5, 0.0, 1.5]))
    tensor([0.5000, 1.0000, 2.0000])

    References
    ----------
    ``keras.activations.squareplus``.
    """
    x = ops.as_tensor(x)
    return (x + ops.sqrt(x * x + b)) / 2


@builtin(MODULE)
def sparse_plus(x: Any) -> Tensor:
    r"""Return a smooth version of the positive part of each element that is 0 from -1 down.

    .. math:: y = \begin{cases} 0 & x \le -1 \\ (x + 1)^2 / 4 & -1 < x < 1 \\ x & x \ge 1 \end{cases}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.sparse_plus(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([0.0000, 0.2500, 3.0000])

    References
    ----------
    ``keras.activations.sparse_plus``.
    """
    x = ops.as_tensor(x)
    return ops.where(x <= -1, 0, ops.where(x < 1, (x + 1) ** 2 / 4, x))


@builtin(MODULE)
def threshold(x: Any, threshold: float, default_value: float) -> Tensor:
    r"""Return each element above a threshold, and a fixed value for the others.

    .. math:: y = \begin{cases} x & x > t \\ v & \text{else} \end{cases}

    Parameters
    ----------
    x : Tensor or array, any shape
    threshold : float
        :math:`t`.
    default_value : float
        :math:`v`.

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.threshold(minidl.tensor([-1.0, 0.5, 2.0]), 1.0, 0.0)
    tensor([0., 0., 2.])

    References
    ----------
    ``keras.activations.threshold``.
    """
    return ops.threshold(x, threshold, default_value)


# ------------------------------------------------------------------ squashing


@builtin(MODULE)
def hard_sigmoid(x: Any) -> Tensor:
    r"""Return a sigmoid made of three straight lines.

    .. math:: y = \frac{\min(\max(x + 3, 0), 6)}{6}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.hard_sigmoid(minidl.tensor([-4.0, 0.0, 3.0]))
    tensor([0.0000, 0.5000, 1.0000])

    References
    ----------
    ``keras.activations.hard_sigmoid``.
    """
    return ops.hardsigmoid(x)


@builtin(MODULE)
def log_sigmoid(x: Any) -> Tensor:
    r"""Return the logarithm of the sigmoid of each element.

    .. math:: y = \ln \frac{1}{1 + e^{-x}}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.log_sigmoid(minidl.tensor([0.0, -1000.0]))
    tensor([-6.9315e-01, -1.0000e+03])

    References
    ----------
    ``keras.activations.log_sigmoid``.
    """
    return ops.logsigmoid(x)


@builtin(MODULE)
def sparse_sigmoid(x: Any) -> Tensor:
    r"""Return a sigmoid that is 0 from -1 down, 1 from 1 up, and a straight line between.

    .. math:: y = \min\Big(\max\Big(\frac{x + 1}{2}, 0\Big), 1\Big)

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.sparse_sigmoid(minidl.tensor([-2.0, 0.5, 1.0]))
    tensor([0.0000, 0.7500, 1.0000])

    References
    ----------
    ``keras.activations.sparse_sigmoid``.
    """
    return (ops.hardtanh(x) + 1) / 2


@builtin(MODULE)
def hard_tanh(x: Any) -> Tensor:
    r"""Return each element, limited to the range from -1 to 1.

    .. math:: y = \min(\max(x, -1), 1)

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.hard_tanh(minidl.tensor([-2.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])

    References
    ----------
    ``keras.activations.hard_tanh``.
    """
    return ops.hardtanh(x)


# ------------------------------------------------------------------ shrinking


@builtin(MODULE)
def tanh_shrink(x: Any) -> Tensor:
    r"""Return each element less its hyperbolic tangent.

    .. math:: y = x - \tanh x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.tanh_shrink(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])

    References
    ----------
    ``keras.activations.tanh_shrink``.
    """
    return ops.tanhshrink(x)


@builtin(MODULE)
def soft_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    r"""Return each element moved toward 0 by some length, and 0 if it is nearer.

    .. math:: y = x - \min(\max(x, -t), t)

    Parameters
    ----------
    x : Tensor or array, any shape
    threshold : float, at least 0
        :math:`t`.

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.soft_shrink(minidl.tensor([-1.0, 0.25, 1.0]))
    tensor([-0.5000,  0.0000,  0.5000])

    References
    ----------
    ``keras.activations.soft_shrink``.
    """
    return ops.softshrink(x, threshold)


@builtin(MODULE)
def hard_shrink(x: Any, threshold: float = 0.5) -> Tensor:
    r"""Return each element, and 0 for those nearer to 0 than some length.

    .. math:: y = x \, [|x| > t]

    Parameters
    ----------
    x : Tensor or array, any shape
    threshold : float
        :math:`t`.

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.hard_shrink(minidl.tensor([-1.0, 0.25, 1.0]))
    tensor([-1.,  0.,  1.])

    References
    ----------
    ``keras.activations.hard_shrink``.
    """
    return ops.hardshrink(x, threshold)


# ------------------------------------------------------------------ along an axis


@builtin(MODULE)
def softmax(x: Any, axis: int = -1) -> Tensor:
    r"""Return the exponentials of the elements along an axis, scaled to sum to 1.

    .. math:: y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.softmax(minidl.tensor([0.0, 1.0, 2.0]))
    tensor([0.0900, 0.2447, 0.6652])

    References
    ----------
    ``keras.activations.softmax``.
    """
    return ops.softmax(x, axis)


@builtin(MODULE)
def log_softmax(x: Any, axis: int = -1) -> Tensor:
    r"""Return the logarithm of the softmax along an axis.

    .. math:: y_i = x_i - \ln \sum_j e^{x_j}

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.log_softmax(minidl.tensor([0.0, 1.0, 2.0]))
    tensor([-2.4076, -1.4076, -0.4076])

    References
    ----------
    ``keras.activations.log_softmax``.
    """
    return ops.log_softmax(x, axis)


@builtin(MODULE)
def sparsemax(x: Any, axis: int = -1) -> Tensor:
    r"""Return the probabilities nearest to the elements along an axis; many of them are 0.

    .. math:: y_i = \max(x_i - \tau, 0), \quad \tau \text{ such that } \sum_i y_i = 1

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int

    Returns
    -------
    Tensor, the shape of ``x``

    Notes
    -----
    Keras 3.15's own result on PyTorch does not sum to 1 as soon as two probabilities are positive.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.sparsemax(minidl.tensor([1.0, 1.5, -2.0]))
    tensor([0.2500, 0.7500, 0.0000])

    References
    ----------
    ``keras.activations.sparsemax``. Martins & Astudillo 2016, "From Softmax to Sparsemax".
    """
    x = ops.moveaxis(ops.as_tensor(x), axis, -1)
    ordered = ops.sort(x.detach(), descending=True)[0]
    counts = ops.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    taken = (ordered * counts > ops.cumsum(ordered, -1) - 1).sum(-1, keepdim=True)  # how many stay positive
    least = ops.gather(ordered, -1, taken - 1)
    tau = (ops.where(x >= least, x, 0).sum(-1, keepdim=True) - 1) / taken
    return ops.moveaxis(ops.relu(x - tau), -1, axis)


@builtin(MODULE)
def glu(x: Any, axis: int = -1) -> Tensor:
    r"""Return the first half of ``x`` times the sigmoid of the second.

    .. math:: y = a \, \sigma(b), \quad x = [a, b]

    Parameters
    ----------
    x : Tensor or array, any shape
    axis : int
        The axis that is halved.

    Returns
    -------
    Tensor, the shape of ``x`` with half the size along ``axis``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.glu(minidl.tensor([1.0, 2.0, 0.0, 10.0]))
    tensor([0.5000, 1.9999])

    References
    ----------
    ``keras.activations.glu``.
    """
    return ops.glu(x, axis)


# ------------------------------------------------------------------ the rest


@builtin(MODULE)
def exponential(x: Any) -> Tensor:
    r"""Return the exponential of each element.

    .. math:: y = e^x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.activations.exponential(minidl.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])

    References
    ----------
    ``keras.activations.exponential``.
    """
    return ops.exp(x)


@builtin(MODULE)
def linear(x: Any) -> Any:
    r"""Return ``x`` itself.

    .. math:: y = x

    Parameters
    ----------
    x : Tensor, any shape

    Returns
    -------
    Tensor, ``x`` itself

    Examples
    --------
    >>> from minidl import keras
    >>> keras.activations.linear(3.0)
    3.0

    References
    ----------
    ``keras.activations.linear``.
    """
    return x
