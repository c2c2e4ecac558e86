"""Initialisation: functions that fill a tensor in place, named as in PyTorch.

Each returns the tensor it filled. None is recorded: parameters are leaves, and stay leaves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl._tensor import Tensor
from minidl.backend import device_of, namespace, to_device, to_numpy
from minidl.errors import ArgumentError, ShapeError
from minidl.ops.sampling import normal_array, uniform_array

__all__ = [
    "calculate_fan_in_and_fan_out",
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv_transpose2d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5 / 3,
    "relu": math.sqrt(2),
    "selu": 3 / 4,
}


def _fill(tensor: Tensor, values: Any) -> Tensor:
    tensor.array[...] = values
    tensor.bump()
    return tensor


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    r"""Return the factor that keeps the variance of signals the same across a nonlinearity.

    .. math:: g = 1 \text{ (linear, sigmoid)},\; \tfrac{5}{3} \text{ (tanh)},\; \sqrt 2 \text{ (relu)},\;
              \sqrt{2 / (1 + a^2)} \text{ (leaky relu)},\; \tfrac{3}{4} \text{ (selu)}

    Parameters
    ----------
    nonlinearity : str
        Its name in :mod:`minidl.nn.functional`.
    param : float, optional
        :math:`a`, the negative slope of ``"leaky_relu"``; 0.01 if left out.

    Returns
    -------
    float

    Raises
    ------
    ArgumentError
        If the name is unknown.

    Examples
    --------
    >>> from minidl import nn
    >>> round(nn.init.calculate_gain("relu"), 3)
    1.414

    References
    ----------
    ``torch.nn.init.calculate_gain``.
    """
    if nonlinearity == "leaky_relu":
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    if nonlinearity not in GAINS:
        raise ArgumentError(
            f"calculate_gain: unknown nonlinearity {nonlinearity!r}; expected leaky_relu, {', '.join(GAINS)}"
        )
    return GAINS[nonlinearity]


def calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    r"""Return how many inputs a unit sums over, and how many outputs an input goes to.

    .. math:: \text{fan\_in} = C \cdot R \cdot S, \quad \text{fan\_out} = K \cdot R \cdot S

    Parameters
    ----------
    tensor : Tensor, of shape (K, C, ...)
        The weight of a dense layer (no cells) or of a convolution.

    Returns
    -------
    tuple of two ints

    Raises
    ------
    ShapeError
        If it has fewer than two axes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.calculate_fan_in_and_fan_out(minidl.zeros(6, 3, 5, 5))
    (75, 150)

    References
    ----------
    PyTorch's ``torch.nn.init._calculate_fan_in_and_fan_out``.
    """
    shape = tensor.shape
    if len(shape) < 2:
        raise ShapeError(
            f"fan in and fan out are of weights with at least two axes (units, features, ...), this has shape {shape}"
        )
    cells = math.prod(shape[2:])
    return shape[1] * cells, shape[0] * cells


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    r"""Fill with uniform random numbers.

    .. math:: w \sim U(a, b)

    Parameters
    ----------
    tensor : Tensor, any shape
    a, b : float
        The bounds.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ArgumentError
        If ``a`` is greater than ``b``.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> w = nn.init.uniform_(minidl.empty(100), -2, 3)
    >>> bool((w >= -2).all() & (w <= 3).all())
    True

    References
    ----------
    ``torch.nn.init.uniform_``.
    """
    if not a <= b:
        raise ArgumentError(f"uniform_: the lower bound {a} is greater than the upper bound {b}")
    draws = uniform_array(tensor.shape, tensor.dtype, tensor.device, generator)
    draws *= b - a
    draws += a
    return _fill(tensor, draws)


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    r"""Fill with normally distributed random numbers.

    .. math:: w \sim N(\mu, \sigma^2)

    Parameters
    ----------
    tensor : Tensor, any shape
    mean : float
        :math:`\mu`.
    std : float
        :math:`\sigma`.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ArgumentError
        If ``std`` is negative.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.normal_(minidl.empty(2), mean=5.0, std=0.0)
    tensor([5., 5.])

    References
    ----------
    ``torch.nn.init.normal_``.
    """
    if not std >= 0:
        raise ArgumentError(f"normal_: the standard deviation must not be negative, got {std}")
    draws = normal_array(tensor.shape, tensor.dtype, tensor.device, generator)
    draws *= std
    draws += mean
    return _fill(tensor, draws)


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    r"""Fill with normally distributed random numbers, those outside of the bounds drawn again.

    .. math:: w \sim N(\mu, \sigma^2) \text{ given } a \le w \le b

    Parameters
    ----------
    tensor : Tensor, any shape
    mean : float
        :math:`\mu`.
    std : float
        :math:`\sigma`.
    a, b : float
        The bounds.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ArgumentError
        If ``a`` is not less than ``b``, ``std`` is not positive, or both bounds lie more than four standard deviations
        to one side of the mean.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> w = nn.init.trunc_normal_(minidl.empty(1000), std=0.02, a=-0.04, b=0.04)
    >>> bool((abs(w.numpy()) <= 0.04).all())
    True

    References
    ----------
    ``torch.nn.init.trunc_normal_``.
    """
    if not a < b or not std > 0:
        raise ArgumentError(f"trunc_normal_: expected a < b and std > 0, got a={a}, b={b}, std={std}")
    if a > mean + 4 * std or b < mean - 4 * std:
        raise ArgumentError(
            f"trunc_normal_: hardly a draw of N({mean}, {std}^2) falls between a={a} and b={b}; use uniform_"
        )
    xp = namespace(tensor.array)
    draws = normal_array(tensor.shape, tensor.dtype, tensor.device, generator) * std + mean
    outside = (draws < a) | (draws > b)
    while outside.any():
        again = normal_array(tensor.shape, tensor.dtype, tensor.device, generator) * std + mean
        draws = xp.where(outside, again, draws)
        outside = (draws < a) | (draws > b)
    return _fill(tensor, draws)


def constant_(tensor: Tensor, val: float) -> Tensor:
    r"""Fill with one number.

    .. math:: w = c

    Parameters
    ----------
    tensor : Tensor, any shape
    val : float
        :math:`c`.

    Returns
    -------
    Tensor, ``tensor`` itself

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.constant_(minidl.empty(2), 0.5)
    tensor([0.5000, 0.5000])

    References
    ----------
    ``torch.nn.init.constant_``.
    """
    return _fill(tensor, val)


def zeros_(tensor: Tensor) -> Tensor:
    r"""Fill with zeros.

    .. math:: w = 0

    Parameters
    ----------
    tensor : Tensor, any shape

    Returns
    -------
    Tensor, ``tensor`` itself

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.zeros_(minidl.empty(2))
    tensor([0., 0.])

    References
    ----------
    ``torch.nn.init.zeros_``.
    """
    return _fill(tensor, 0)


def ones_(tensor: Tensor) -> Tensor:
    r"""Fill with ones.

    .. math:: w = 1

    Parameters
    ----------
    tensor : Tensor, any shape

    Returns
    -------
    Tensor, ``tensor`` itself

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.ones_(minidl.empty(2))
    tensor([1., 1.])

    References
    ----------
    ``torch.nn.init.ones_``.
    """
    return _fill(tensor, 1)


def eye_(tensor: Tensor) -> Tensor:
    r"""Fill with ones on the diagonal and zeros elsewhere.

    .. math:: w_{ij} = \delta_{ij}

    Parameters
    ----------
    tensor : Tensor, of shape (n, m)

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ShapeError
        If it does not have two axes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.eye_(minidl.empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])

    References
    ----------
    ``torch.nn.init.eye_``.
    """
    if tensor.ndim != 2:
        raise ShapeError(f"eye_: expected a matrix, got shape {tensor.shape}")
    rows, columns = tensor.shape
    return _fill(tensor, to_device(np.eye(rows, columns), device_of(tensor.array)))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    r"""Fill the weight of a convolution so that it hands each channel on as it is.

    .. math:: w_{kcrs} = \delta_{kc} \, \delta_{r, \lfloor R/2 \rfloor} \, \delta_{s, \lfloor S/2 \rfloor}

    Parameters
    ----------
    tensor : Tensor, of shape (K, C, R) or (K, C, R, S)
    groups : int
        The groups of the convolution; each passes on its own channels.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ShapeError
        If it does not have three or four axes, or ``groups`` does not divide K.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.dirac_(minidl.empty(1, 1, 3))
    tensor([[[0., 1., 0.]]])

    References
    ----------
    ``torch.nn.init.dirac_``.
    """
    shape = tensor.shape
    if len(shape) not in (3, 4) or shape[0] % groups:
        raise ShapeError(f"dirac_: expected (K, C, R) or (K, C, R, S), K a multiple of groups={groups}; got {shape}")
    filters = shape[0] // groups
    values = np.zeros(shape)
    centre = tuple(size // 2 for size in shape[2:])
    for group in range(groups):
        for k in range(min(filters, shape[1])):
            values[(group * filters + k, k, *centre)] = 1
    return _fill(tensor, to_device(values, device_of(tensor.array)))


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    r"""Fill uniformly so that signals keep their variance forwards and gradients theirs backwards.

    .. math:: w \sim U(-b, b), \quad b = g \sqrt{\frac{6}{\text{fan\_in} + \text{fan\_out}}}

    Parameters
    ----------
    tensor : Tensor, of shape (K, C, ...)
    gain : float
        :math:`g`, see :func:`calculate_gain`.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ShapeError
        If it has fewer than two axes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> w = nn.init.xavier_uniform_(minidl.empty(2, 4))
    >>> bool((abs(w.numpy()) <= 1).all())
    True

    References
    ----------
    ``torch.nn.init.xavier_uniform_``; Keras's ``glorot_uniform``. Glorot & Bengio (2010), "Understanding the
    difficulty of training deep feedforward neural networks".
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    bound = gain * math.sqrt(6 / max(fan_in + fan_out, 1))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    r"""Fill normally so that signals keep their variance forwards and gradients theirs backwards.

    .. math:: w \sim N(0, \sigma^2), \quad \sigma = g \sqrt{\frac{2}{\text{fan\_in} + \text{fan\_out}}}

    Parameters
    ----------
    tensor : Tensor, of shape (K, C, ...)
    gain : float
        :math:`g`, see :func:`calculate_gain`.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ShapeError
        If it has fewer than two axes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.xavier_normal_(minidl.empty(2, 4)).shape
    (2, 4)

    References
    ----------
    ``torch.nn.init.xavier_normal_``. Glorot & Bengio (2010), "Understanding the difficulty of training deep
    feedforward neural networks".
    """
    fan_in, fan_out = calculate_fan_in_and_fan_out(tensor)
    return normal_(tensor, 0.0, gain * math.sqrt(2 / max(fan_in + fan_out, 1)), generator)


def _fan(tensor: Tensor, mode: str) -> int:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"kaiming initialisation: mode={mode!r}; expected 'fan_in' or 'fan_out'")
    return max(calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"], 1)


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    r"""Fill uniformly so that signals keep their variance through layers with rectifiers.

    .. math:: w \sim U(-b, b), \quad b = g \sqrt{\frac{3}{\text{fan}}}, \quad g = \sqrt{\frac{2}{1 + a^2}}

    Parameters
    ----------
    tensor : Tensor, of shape (K, C, ...)
    a : float
        The negative slope of the leaky rectifier that follows. (``a=sqrt(5)`` is a way to write
        :math:`b = 1 / \sqrt{\text{fan}}`.)
    mode : {"fan_in", "fan_out"}
        Whether the forward or the backward pass keeps its variance.
    nonlinearity : str
        What follows: gives :math:`g`, see :func:`calculate_gain`.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ShapeError
        If it has fewer than two axes.
    ArgumentError
        If ``mode`` or ``nonlinearity`` is unknown.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> w = nn.init.kaiming_uniform_(minidl.empty(2, 6), nonlinearity="relu")
    >>> bool((abs(w.numpy()) <= 1).all())
    True

    References
    ----------
    ``torch.nn.init.kaiming_uniform_``; Keras's ``he_uniform``. He et al. (2015), "Delving deep into rectifiers".
    """
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None
) -> Tensor:
    r"""Fill normally so that signals keep their variance through layers with rectifiers.

    .. math:: w \sim N(0, \sigma^2), \quad \sigma = \frac{g}{\sqrt{\text{fan}}}, \quad g = \sqrt{\frac{2}{1 + a^2}}

    Parameters
    ----------
    tensor : Tensor, of shape (K, C, ...)
    a : float
        The negative slope of the leaky rectifier that follows.
    mode : {"fan_in", "fan_out"}
        Whether the forward or the backward pass keeps its variance.
    nonlinearity : str
        What follows: gives :math:`g`, see :func:`calculate_gain`.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ShapeError
        If it has fewer than two axes.
    ArgumentError
        If ``mode`` or ``nonlinearity`` is unknown.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.init.kaiming_normal_(minidl.empty(2, 6), mode="fan_out").shape
    (2, 6)

    References
    ----------
    ``torch.nn.init.kaiming_normal_``; Keras's ``he_normal``. He et al. (2015), "Delving deep into rectifiers".
    """
    return normal_(tensor, 0.0, calculate_gain(nonlinearity, a) / math.sqrt(_fan(tensor, mode)), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    r"""Fill with a random matrix whose rows (or columns, whichever are fewer) are orthogonal and of length ``gain``.

    .. math:: W W^\top = g^2 I \text{ or } W^\top W = g^2 I

    Parameters
    ----------
    tensor : Tensor, of shape (K, C, ...)
        Axes after the first count as columns.
    gain : float
        :math:`g`.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ShapeError
        If it has fewer than two axes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> w = nn.init.orthogonal_(minidl.empty(3, 3))
    >>> abs((w @ w.T).numpy() - minidl.eye(3).numpy()).max() < 1e-5
    np.True_

    References
    ----------
    ``torch.nn.init.orthogonal_``; Keras's ``orthogonal``. Saxe et al. (2013), "Exact solutions to the nonlinear
    dynamics of learning in deep linear neural networks".
    """
    if tensor.ndim < 2:
        raise ShapeError(f"orthogonal_: expected at least two axes, got shape {tensor.shape}")
    if tensor.array.size == 0:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    shape = max(rows, columns), min(rows, columns)
    draws = normal_array(shape, np.dtype(np.float64), tensor.device, generator)
    q, r = np.linalg.qr(to_numpy(draws))
    q *= np.sign(np.diag(r))  # without this, QR's choice of signs would make the distribution uneven
    q = q if rows >= columns else q.T
    return _fill(tensor, to_device((gain * q).reshape(tensor.shape), device_of(tensor.array)))


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    r"""Fill normally, then set a fraction of each column to zero.

    .. math:: w_{ij} \sim N(0, \sigma^2), \quad w_{ij} = 0 \text{ for } \lceil s \cdot n \rceil \text{ of the } n
              \text{ rows of each column}

    Parameters
    ----------
    tensor : Tensor, of shape (n, m)
    sparsity : float
        :math:`s`, from 0 to 1.
    std : float
        :math:`\sigma`.
    generator : Generator, optional
        Where the numbers come from instead of its device's generator.

    Returns
    -------
    Tensor, ``tensor`` itself

    Raises
    ------
    ShapeError
        If it does not have two axes.
    ArgumentError
        If ``sparsity`` is out of range.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> w = nn.init.sparse_(minidl.empty(10, 3), sparsity=0.4)
    >>> (w.numpy() == 0).sum(axis=0)
    array([4, 4, 4])

    References
    ----------
    ``torch.nn.init.sparse_``. Martens (2010), "Deep learning via Hessian-free optimization".
    """
    if tensor.ndim != 2:
        raise ShapeError(f"sparse_: expected a matrix, got shape {tensor.shape}")
    if not 0 <= sparsity <= 1:
        raise ArgumentError(f"sparse_: sparsity={sparsity}; expected a fraction from 0 to 1")
    normal_(tensor, 0.0, std, generator)
    zeroed = math.ceil(sparsity * tensor.shape[0])
    draws = uniform_array(tensor.shape, np.dtype(np.float32), tensor.device, generator)
    order = draws.argsort(axis=0)  # each column shuffled
    return _fill(tensor, namespace(tensor.array).where(order < zeroed, 0, tensor.array))
