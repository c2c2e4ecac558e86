"""Initialisers under Keras's names: what a weight's first values are, given its shape in Keras's layout."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import ops
from minidl.autograd import Variable
from minidl.backend import Generator, as_dtype, default_dtype, is_array
from minidl.errors import ArgumentError, DTypeError, ShapeError, StateError
from minidl.keras.serialization import builtin, deserialize_keras_object, resolve, serialize_keras_object
from minidl.nn import init

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "zeros",
]

MODULE = "keras.initializers"


class Initializer:
    """What fills a weight at first; subclasses define ``__call__``, and ``get_config`` if they have arguments.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> class Half(keras.initializers.Initializer):
    ...     def __call__(self, shape, dtype=None):
    ...         return minidl.full(shape, 0.5, dtype=dtype)
    >>> Half()((2,))
    tensor([0.5000, 0.5000])

    References
    ----------
    ``keras.initializers.Initializer``.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a new tensor of ``shape``; its dtype is the default one if none is given."""
        raise StateError(f"{type(self).__name__}: an initialiser must define __call__(self, shape, dtype=None)")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again."""
        return {}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Initializer:
        """Make an initialiser from what :meth:`get_config` returned."""
        return cls(**config)

    def clone(self) -> Initializer:
        """Return another one with the same arguments."""
        return type(self).from_config(self.get_config())


# ------------------------------------------------------------------ constants


@builtin(MODULE, "zero")
class Zeros(Initializer):
    r"""Zeros.

    .. math:: w = 0

    Examples
    --------
    >>> from minidl import keras
    >>> keras.initializers.Zeros()((2,))
    tensor([0., 0.])

    References
    ----------
    ``keras.initializers.Zeros``.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of zeros."""
        return ops.zeros(tuple(shape), dtype=dtype)


@builtin(MODULE, "one")
class Ones(Initializer):
    r"""Ones.

    .. math:: w = 1

    Examples
    --------
    >>> from minidl import keras
    >>> keras.initializers.Ones()((2,))
    tensor([1., 1.])

    References
    ----------
    ``keras.initializers.Ones``.
    """

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of ones."""
        return ops.ones(tuple(shape), dtype=dtype)


@builtin(MODULE)
class Constant(Initializer):
    r"""One number everywhere, or an array that broadcasts to the shape.

    .. math:: w = c

    Parameters
    ----------
    value : float or array
        :math:`c`.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.initializers.Constant(0.5)((2,))
    tensor([0.5000, 0.5000])

    References
    ----------
    ``keras.initializers.Constant``.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of ``value``."""
        value = ops.as_tensor(self.value, dtype=default_dtype() if dtype is None else dtype)
        return ops.broadcast_to(value, tuple(shape)).clone()

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again."""
        return {"value": serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Constant:
        """Make an initialiser from what :meth:`get_config` returned."""
        return cls(deserialize_keras_object(config["value"]))


@builtin(MODULE, "IdentityInitializer")
class Identity(Initializer):
    r"""A matrix with one number on the diagonal and zeros elsewhere.

    .. math:: w_{ij} = g \, \delta_{ij}

    Parameters
    ----------
    gain : float
        :math:`g`.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.initializers.Identity()((2, 2))
    tensor([[1., 0.],
            [0., 1.]])

    References
    ----------
    ``keras.initializers.Identity``.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a diagonal matrix."""
        if len(shape) != 2:
            raise ShapeError(f"Identity: expected the shape of a matrix, got {tuple(shape)}")
        return ops.eye(*shape, dtype=dtype) * self.gain

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again; Keras leaves out even a gain that is not 1."""
        return {} if self.gain == 1 else {"gain": self.gain}


# ------------------------------------------------------------------ random numbers


class RandomInitializer(Initializer):
    """One that draws: each time the same with a seed, else from :func:`minidl.manual_seed`'s numbers."""

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None:
            name = type(self).__name__
            try:
                seed = operator.index(seed)
            except TypeError:
                raise DTypeError(f"{name}: seed must be an int or None, got a {type(seed).__name__}") from None
            if seed < 0:
                raise ArgumentError(f"{name}: seed must not be negative, got {seed}")
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """Return a tensor of random numbers."""
        wanted = default_dtype() if dtype is None else as_dtype(dtype)
        if wanted.kind != "f":
            raise DTypeError(f"{type(self).__name__}: random weights are floats, got dtype={wanted}")
        generator = None if self.seed is None else Generator().manual_seed(self.seed)
        return self.fill(ops.empty(tuple(shape), dtype=wanted), generator)

    def fill(self, tensor: Tensor, generator: Any) -> Tensor:
        """Fill a tensor with numbers of ``generator``, or, if that is None, of minidl's own, and return it."""
        raise StateError(f"{type(self).__name__}: a random initialiser must define fill(self, tensor, generator)")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again."""
        return {"seed": self.seed}


@builtin(MODULE, "normal")
class RandomNormal(RandomInitializer):
    r"""Normally distributed numbers.

    .. math:: w \sim N(\mu, \sigma^2)

    Parameters
    ----------
    mean : float
        :math:`\mu`.
    stddev : float
        :math:`\sigma`.
    seed : int, optional
        Draw the same numbers each time.

    Raises
    ------
    ArgumentError
        If ``stddev`` is negative.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.initializers.RandomNormal(mean=1.0, stddev=0.0)((2,))
    tensor([1., 1.])

    References
    ----------
    ``keras.initializers.RandomNormal``.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        if not stddev >= 0:
            raise ArgumentError(f"{type(self).__name__}: stddev must not be negative, got {stddev}")
        self.mean, self.stddev = mean, stddev

    def fill(self, tensor: Tensor, generator: Any) -> Tensor:
        """Fill a tensor and return it."""
        return init.normal_(tensor, self.mean, self.stddev, generator)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again."""
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@builtin(MODULE)
class TruncatedNormal(RandomNormal):
    r"""Normally distributed numbers, those more than two standard deviations from the mean drawn again.

    .. math:: w \sim N(\mu, \sigma^2) \text{ given } |w - \mu| \le 2 \sigma

    Parameters
    ----------
    mean : float
        :math:`\mu`.
    stddev : float
        :math:`\sigma`, before numbers are drawn again.
    seed : int, optional
        Draw the same numbers each time.

    Raises
    ------
    ArgumentError
        If ``stddev`` is negative.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.TruncatedNormal(stddev=0.5)((100,))
    >>> bool((abs(w) <= 1).all())
    True

    References
    ----------
    ``keras.initializers.TruncatedNormal``.
    """

    def fill(self, tensor: Tensor, generator: Any) -> Tensor:
        """Fill a tensor and return it."""
        if self.stddev == 0:
            return init.constant_(tensor, self.mean)
        low, high = self.mean - 2 * self.stddev, self.mean + 2 * self.stddev
        return init.trunc_normal_(tensor, self.mean, self.stddev, low, high, generator)


@builtin(MODULE, "uniform")
class RandomUniform(RandomInitializer):
    r"""Uniformly distributed numbers.

    .. math:: w \sim U(a, b)

    Parameters
    ----------
    minval, maxval : float
        The bounds :math:`a` and :math:`b`.
    seed : int, optional
        Draw the same numbers each time.

    Raises
    ------
    ArgumentError
        If the bounds are not in order.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.RandomUniform(1.0, 2.0)((100,))
    >>> bool(((w >= 1) & (w <= 2)).all())
    True

    References
    ----------
    ``keras.initializers.RandomUniform``.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        if not minval <= maxval:
            raise ArgumentError(f"RandomUniform: expected minval <= maxval, got minval={minval}, maxval={maxval}")
        self.minval, self.maxval = minval, maxval

    def fill(self, tensor: Tensor, generator: Any) -> Tensor:
        """Fill a tensor and return it."""
        return init.uniform_(tensor, self.minval, self.maxval, generator)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again."""
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}


@builtin(MODULE, "OrthogonalInitializer")
class Orthogonal(RandomInitializer):
    r"""A random matrix whose columns (or rows, whichever are fewer) are orthogonal and of one length.

    .. math:: W^\top W = g^2 I \text{ or } W W^\top = g^2 I

    Parameters
    ----------
    gain : float
        :math:`g`.
    seed : int, optional
        Draw the same numbers each time.

    Notes
    -----
    Of a kernel with more axes, all but the last count as rows.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> w = keras.initializers.Orthogonal()((3, 3))
    >>> minidl.allclose(w.T @ w, minidl.eye(3), atol=1e-5)
    True

    References
    ----------
    ``keras.initializers.Orthogonal``. Saxe et al. (2013), "Exact solutions to the nonlinear dynamics of learning in
    deep linear neural networks".
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def fill(self, tensor: Tensor, generator: Any) -> Tensor:
        """Fill a tensor and return it."""
        shape = tensor.shape
        if len(shape) < 2:
            raise ShapeError(f"Orthogonal: expected at least two axes, got shape {shape}")
        matrix = tensor.reshape((math.prod(shape[:-1]), shape[-1]))
        return init.orthogonal_(matrix, self.gain, generator).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again."""
        return {**super().get_config(), "gain": self.gain}


# ------------------------------------------------------------------ random numbers as wide as the layer asks for


def compute_fans(
    shape: Sequence[int], input_axes: Sequence[int] | None = None, output_axes: Sequence[int] | None = None
) -> tuple[int, int]:
    """Return how many inputs a unit sums over, and how many outputs an input goes to.

    Parameters
    ----------
    shape : tuple of int
        (in, out), or (..., in, out) of a convolution.
    input_axes, output_axes : sequence of int, optional
        Which axes to multiply, instead of guessing by their number.
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[axis] for axis in input_axes), math.prod(shape[axis] for axis in output_axes)
    if len(shape) < 2:
        size = math.prod(shape)
        return size, size
    cells = math.prod(shape[:-2])
    return shape[-2] * cells, shape[-1] * cells


@builtin(MODULE)
class VarianceScaling(RandomInitializer):
    r"""Random numbers whose variance is inverse to the number of inputs or outputs of a unit.

    .. math:: \operatorname{Var} w = \frac{s}{n}

    Parameters
    ----------
    scale : float, positive
        :math:`s`.
    mode : {"fan_in", "fan_out", "fan_avg"}
        Whether :math:`n` is the number of inputs, of outputs, or the mean of both.
    distribution : {"truncated_normal", "untruncated_normal", "uniform"}
        ``"normal"`` is truncated.
    seed : int, optional
        Draw the same numbers each time.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and of outputs; by default those of a dense layer's or a convolution's kernel.

    Raises
    ------
    ArgumentError
        If ``scale`` is not positive, or ``mode`` or ``distribution`` is unknown.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.VarianceScaling(3.0, "fan_in", "uniform")((9, 2))
    >>> bool((abs(w) <= 1).all())
    True

    References
    ----------
    ``keras.initializers.VarianceScaling``.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(seed)
        if not scale > 0:
            raise ArgumentError(f"VarianceScaling: scale must be positive, got {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ArgumentError(f"VarianceScaling: mode must be 'fan_in', 'fan_out' or 'fan_avg', got {mode!r}")
        distribution = {"normal": "truncated_normal"}.get(distribution.lower(), distribution.lower())
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ArgumentError(
                "VarianceScaling: distribution must be 'truncated_normal', 'untruncated_normal' or 'uniform', got "
                f"{distribution!r}"
            )
        self.scale, self.mode, self.distribution = scale, mode, distribution
        self.input_axes, self.output_axes = input_axes, output_axes

    def fill(self, tensor: Tensor, generator: Any) -> Tensor:
        """Fill a tensor and return it."""
        fan_in, fan_out = compute_fans(tensor.shape, self.input_axes, self.output_axes)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        std = math.sqrt(self.scale / max(1.0, fan))
        if self.distribution == "uniform":
            bound = math.sqrt(3) * std
            return init.uniform_(tensor, -bound, bound, generator)
        if self.distribution == "untruncated_normal":
            return init.normal_(tensor, 0.0, std, generator)
        std /= 0.87962566103423978  # the deviation that is left of a standard normal number cut off at -2 and 2
        return init.trunc_normal_(tensor, 0.0, std, -2 * std, 2 * std, generator)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again."""
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _Preset(VarianceScaling):
    """Variance scaling with its first three arguments settled."""

    preset: tuple[float, str, str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(*self.preset, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this initialiser again."""
        return {"seed": self.seed, "input_axes": self.input_axes, "output_axes": self.output_axes}


@builtin(MODULE)
class GlorotUniform(_Preset):
    r"""Uniform numbers, so that signals keep their variance forwards and gradients theirs backwards.

    .. math:: w \sim U(-b, b), \quad b = \sqrt{\frac{6}{\text{fan\_in} + \text{fan\_out}}}

    Parameters
    ----------
    seed : int, optional
        Draw the same numbers each time.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and of outputs; by default those of a dense layer's or a convolution's kernel.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.GlorotUniform()((3, 3))
    >>> bool((abs(w) <= 1).all())
    True

    References
    ----------
    ``keras.initializers.GlorotUniform``. Glorot & Bengio (2010), "Understanding the difficulty of training deep
    feedforward neural networks".
    """

    preset = 1.0, "fan_avg", "uniform"


@builtin(MODULE)
class GlorotNormal(_Preset):
    r"""Normal numbers, so that signals keep their variance forwards and gradients theirs backwards.

    .. math:: w \sim N \text{ cut off}, \quad \operatorname{Var} w = \frac{2}{\text{fan\_in} + \text{fan\_out}}

    Parameters
    ----------
    seed : int, optional
        Draw the same numbers each time.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and of outputs; by default those of a dense layer's or a convolution's kernel.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.GlorotNormal()((3, 3))
    >>> w.shape
    (3, 3)

    References
    ----------
    ``keras.initializers.GlorotNormal``. Glorot & Bengio (2010), "Understanding the difficulty of training deep
    feedforward neural networks".
    """

    preset = 1.0, "fan_avg", "truncated_normal"


@builtin(MODULE)
class HeUniform(_Preset):
    r"""Uniform numbers, so that signals keep their variance through layers with rectifiers.

    .. math:: w \sim U(-b, b), \quad b = \sqrt{\frac{6}{\text{fan\_in}}}

    Parameters
    ----------
    seed : int, optional
        Draw the same numbers each time.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and of outputs; by default those of a dense layer's or a convolution's kernel.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.HeUniform()((6, 3))
    >>> bool((abs(w) <= 1).all())
    True

    References
    ----------
    ``keras.initializers.HeUniform``. He et al. (2015), "Delving deep into rectifiers".
    """

    preset = 2.0, "fan_in", "uniform"


@builtin(MODULE)
class HeNormal(_Preset):
    r"""Normal numbers, so that signals keep their variance through layers with rectifiers.

    .. math:: w \sim N \text{ cut off}, \quad \operatorname{Var} w = \frac{2}{\text{fan\_in}}

    Parameters
    ----------
    seed : int, optional
        Draw the same numbers each time.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and of outputs; by default those of a dense layer's or a convolution's kernel.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.HeNormal()((6, 3))
    >>> w.shape
    (6, 3)

    References
    ----------
    ``keras.initializers.HeNormal``. He et al. (2015), "Delving deep into rectifiers".
    """

    preset = 2.0, "fan_in", "truncated_normal"


@builtin(MODULE)
class LecunUniform(_Preset):
    r"""Uniform numbers, so that signals keep their variance through layers with selu or none.

    .. math:: w \sim U(-b, b), \quad b = \sqrt{\frac{3}{\text{fan\_in}}}

    Parameters
    ----------
    seed : int, optional
        Draw the same numbers each time.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and of outputs; by default those of a dense layer's or a convolution's kernel.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.LecunUniform()((3, 3))
    >>> bool((abs(w) <= 1).all())
    True

    References
    ----------
    ``keras.initializers.LecunUniform``. LeCun et al. (1998), "Efficient BackProp".
    """

    preset = 1.0, "fan_in", "uniform"


@builtin(MODULE)
class LecunNormal(_Preset):
    r"""Normal numbers, so that signals keep their variance through layers with selu or none.

    .. math:: w \sim N \text{ cut off}, \quad \operatorname{Var} w = \frac{1}{\text{fan\_in}}

    Parameters
    ----------
    seed : int, optional
        Draw the same numbers each time.
    input_axes, output_axes : sequence of int, optional
        The axes of inputs and of outputs; by default those of a dense layer's or a convolution's kernel.

    Examples
    --------
    >>> from minidl import keras
    >>> w = keras.initializers.LecunNormal()((3, 3))
    >>> w.shape
    (3, 3)

    References
    ----------
    ``keras.initializers.LecunNormal``. LeCun et al. (1998), "Efficient BackProp".
    """

    preset = 1.0, "fan_in", "truncated_normal"


constant, identity, ones, orthogonal, zeros = Constant, Identity, Ones, Orthogonal, Zeros
random_normal, random_uniform, truncated_normal = RandomNormal, RandomUniform, TruncatedNormal
glorot_normal, he_normal, lecun_normal = GlorotNormal, HeNormal, LecunNormal
glorot_uniform, he_uniform, lecun_uniform = GlorotUniform, HeUniform, LecunUniform
variance_scaling = VarianceScaling


# ------------------------------------------------------------------ by name


def get(identifier: Any) -> Callable[..., Any] | None:
    """Return the initialiser that an argument such as ``kernel_initializer=`` stands for.

    Parameters
    ----------
    identifier : None, str, dict, class, callable, or array
        An array is the first values themselves.

    Returns
    -------
    callable or None
        Called with a shape and a dtype, it returns a tensor.

    Raises
    ------
    ArgumentError
        If no initialiser has that name; the message has the nearest one.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.initializers.get("he_normal").get_config()
    {'seed': None, 'input_axes': None, 'output_axes': None}

    References
    ----------
    ``keras.initializers.get``.
    """
    if not (is_array(identifier) or isinstance(identifier, (np.generic, Variable))):
        return resolve(MODULE, identifier, "initializer")

    def given(shape: Sequence[int], dtype: Any = None) -> Tensor:
        if tuple(shape) != identifier.shape:
            raise ShapeError(f"initializer: the array {identifier.shape} is for a weight of shape {tuple(shape)}")
        return ops.tensor(identifier, dtype=default_dtype() if dtype is None else dtype)

    return given


def serialize(initializer: Any) -> Any:
    """Return an initialiser as what JSON can hold.

    Parameters
    ----------
    initializer : Initializer

    Returns
    -------
    dict

    Examples
    --------
    >>> from minidl import keras
    >>> keras.initializers.serialize(keras.initializers.Zeros())["class_name"]
    'Zeros'

    References
    ----------
    ``keras.initializers.serialize``.
    """
    return serialize_keras_object(initializer)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Return the initialiser that :func:`serialize` wrote.

    Parameters
    ----------
    config : dict
    custom_objects : dict of str to class, optional
        The user's own, by name.

    Returns
    -------
    Initializer

    Examples
    --------
    >>> from minidl import keras
    >>> config = keras.initializers.serialize(keras.initializers.Constant(2.0))
    >>> keras.initializers.deserialize(config).value
    2.0

    References
    ----------
    ``keras.initializers.deserialize``.
    """
    return deserialize_keras_object(config, custom_objects, module=MODULE)
