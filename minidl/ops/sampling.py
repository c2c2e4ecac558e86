"""Random tensors. All come from one generator a device, which :func:`minidl.manual_seed` seeds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import kernels
from minidl.autograd import Variable
from minidl.backend import (
    Device,
    GPUGenerator,
    as_dtype,
    cupy,
    default_device,
    default_dtype,
    device_of,
    namespace,
    on,
    to_device,
)
from minidl.backend import generator as generator_of
from minidl.errors import ArgumentError, DeviceError, DTypeError, RangeError, ShapeError
from minidl.ops.arguments import as_integer, sized, takes_tensors
from minidl.ops.creation import as_array, as_shape, make

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "bernoulli",
    "multinomial",
    "normal",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
]

INT64, FLOAT32 = np.dtype(np.int64), np.dtype(np.float32)


#: What makes numbers of a GPU's random words, by the method of NumPy's generator that draws such numbers.
FROM_WORDS: dict[str, Callable[..., Any]] = {
    "random": kernels.uniform,
    "standard_normal": kernels.normal,
    "integers": kernels.integers,
}


def draw(method: str, shape: tuple[int, ...], dtype: Any, device: Any, *args: Any, generator: Any = None) -> Any:
    """Return an array of ``dtype`` filled by a method of NumPy's generator, or by its twin on a GPU.

    Without ``generator`` it is that of ``device``. What a generator of the CPU draws for a GPU is copied there.
    """
    if generator is not None and not isinstance(generator, (np.random.Generator, GPUGenerator)):
        raise DTypeError(f"generator= must be a minidl.Generator, got {type(generator).__name__}")
    place = default_device() if device is None else Device(device)
    source = generator_of(place) if generator is None else generator
    # generators know float32 and float64; integers are drawn as int64
    drawn = dtype if dtype.kind == "f" and dtype.itemsize >= 4 else INT64 if method == "integers" else FLOAT32
    if isinstance(source, GPUGenerator):
        if source.device != place:
            raise DeviceError(
                f"the generator draws on {source.device}, the tensor is to be on {place}; give a generator of "
                "that device, or one of the CPU, whose numbers are copied"
            )
        size = math.prod(shape)
        counters = kernels.counters_for(size, drawn)
        with on(place):
            words = kernels.random_words(cupy(), counters, *source.take(counters))
            return FROM_WORDS[method](words, drawn, *args)[:size].reshape(shape).astype(dtype, copy=False)
    drawn_there = np.asarray(getattr(source, method)(*args, size=shape, dtype=drawn), dtype)  # a number: as a scalar
    return drawn_there if place.type == "cpu" else to_device(drawn_there, place)


def uniform_array(shape: tuple[int, ...], dtype: Any, device: Any, generator: Any = None) -> Any:
    """Return uniform numbers of [0, 1)."""
    return draw("random", shape, dtype, device, generator=generator)


def normal_array(shape: tuple[int, ...], dtype: Any, device: Any, generator: Any = None) -> Any:
    """Return standard normal numbers."""
    return draw("standard_normal", shape, dtype, device, generator=generator)


def _float_dtype(dtype: Any, name: str) -> Any:
    wanted = default_dtype() if dtype is None else as_dtype(dtype)
    if wanted.kind != "f":
        raise DTypeError(f"{name}: expected a float dtype, got {wanted}; use randint for integers")
    return wanted


@sized
def rand(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    r"""Return a new tensor of numbers uniformly distributed over [0, 1).

    .. math:: y_i \sim \mathcal U[0, 1)

    Parameters
    ----------
    *size : ints, or one sequence of them
        By name too, ``size=(2, 3)``, or as NumPy's ``shape``.
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    ShapeError
        If a size is negative.
    DTypeError
        If a size is not an integer, or ``dtype`` not a float type.

    Examples
    --------
    >>> import minidl
    >>> minidl.rand(2, 3).shape
    (2, 3)

    References
    ----------
    ``torch.rand``, ``numpy.random.Generator``.
    """
    wanted = _float_dtype(dtype, "rand")
    return make(uniform_array(as_shape(size, "rand"), wanted, device, generator), requires_grad)


@sized
def randn(
    *size: Any, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    r"""Return a new tensor of standard normal numbers.

    .. math:: y_i \sim \mathcal N(0, 1)

    Parameters
    ----------
    *size : ints, or one sequence of them
        By name too, ``size=(2, 3)``, or as NumPy's ``shape``.
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    ShapeError
        If a size is negative.
    DTypeError
        If a size is not an integer, or ``dtype`` not a float type.

    Examples
    --------
    >>> import minidl
    >>> minidl.randn(2, 3).shape
    (2, 3)

    References
    ----------
    ``torch.randn``, ``numpy.random.Generator``.
    """
    wanted = _float_dtype(dtype, "randn")
    return make(normal_array(as_shape(size, "randn"), wanted, device, generator), requires_grad)


@takes_tensors("x")
def rand_like(
    x: Any, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    r"""Return numbers uniformly distributed over [0, 1), with the shape, dtype and device of ``x``.

    .. math:: y_i \sim \mathcal U[0, 1)

    Parameters
    ----------
    x : Tensor or array, any shape
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.
    dtype : dtype, optional
        Defaults to that of ``x``.
    device : Device or str, optional
        Defaults to that of ``x``.
    requires_grad : bool

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If the dtype is not a float type.

    Examples
    --------
    >>> import minidl
    >>> minidl.rand_like(minidl.ones(2, 3)).shape
    (2, 3)

    References
    ----------
    ``torch.rand_like``.
    """
    wanted = _float_dtype(x.dtype if dtype is None else dtype, "rand_like")
    array = x.array if isinstance(x, Variable) else x
    place = device_of(array) if device is None else device
    return make(uniform_array(tuple(x.shape), wanted, place, generator), requires_grad)


@takes_tensors("x")
def randn_like(
    x: Any, *, generator: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    r"""Return standard normal numbers, with the shape, dtype and device of ``x``.

    .. math:: y_i \sim \mathcal N(0, 1)

    Parameters
    ----------
    x : Tensor or array, any shape
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.
    dtype : dtype, optional
        Defaults to that of ``x``.
    device : Device or str, optional
        Defaults to that of ``x``.
    requires_grad : bool

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If the dtype is not a float type.

    Examples
    --------
    >>> import minidl
    >>> minidl.randn_like(minidl.ones(2, 3)).shape
    (2, 3)

    References
    ----------
    ``torch.randn_like``.
    """
    wanted = _float_dtype(x.dtype if dtype is None else dtype, "randn_like")
    array = x.array if isinstance(x, Variable) else x
    place = device_of(array) if device is None else device
    return make(normal_array(tuple(x.shape), wanted, place, generator), requires_grad)


def randint(
    *args: Any,
    low: int = 0,
    high: Any = None,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    r"""Return integers uniformly distributed over [low, high).

    .. math:: y_i \sim \mathcal U\{\text{low}, \dots, \text{high} - 1\}

    Parameters
    ----------
    *args : ``high, size`` or ``low, high, size``
        By position, as in PyTorch; each has its name too.
    low, high : int
        ``low`` is included (0 if left out), ``high`` is not.
    size : int or sequence of ints
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.
    dtype : dtype, optional
        Defaults to int64.
    device : Device or str, optional

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    ArgumentError
        If ``high`` is not above ``low``, or an argument is missing.
    ShapeError
        If a size is negative.
    DTypeError
        If a size is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.randint(0, 10, (2, 3)).shape
    (2, 3)

    References
    ----------
    ``torch.randint``, ``numpy.random.Generator.integers``.
    """
    given = list(args)
    if given and size is None:
        size = given.pop()
    if len(given) == 2:
        low, high = given
    elif given and high is None:
        high = given[0]
    elif given:
        low = given[0]
    if high is None or size is None or len(given) > 2:
        raise ArgumentError("randint: expected randint(high, size) or randint(low, high, size)")
    low, high = as_integer(low, "randint", "low"), as_integer(high, "randint", "high")
    if high <= low:
        raise ArgumentError(f"randint: high must be above low, got low={low} and high={high}")
    shape = as_shape((size,), "randint")
    wanted = INT64 if dtype is None else as_dtype(dtype)
    return make(draw("integers", shape, wanted, device, low, high, generator=generator))


def randperm(n: int, *, generator: Any = None, dtype: Any = None, device: Any = None) -> Tensor:
    r"""Return the integers below ``n`` in random order.

    .. math:: y = \pi(0, 1, \dots, n - 1)

    Parameters
    ----------
    n : int
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.
    dtype : dtype, optional
        Defaults to int64.
    device : Device or str, optional

    Returns
    -------
    Tensor, of shape (n,)

    Raises
    ------
    ShapeError
        If ``n`` is negative.
    DTypeError
        If ``n`` is not an integer.

    Examples
    --------
    >>> import minidl
    >>> sorted(minidl.randperm(4).tolist())
    [0, 1, 2, 3]

    References
    ----------
    ``torch.randperm``, ``numpy.random.Generator.permutation``.
    """
    keys = uniform_array(as_shape((n,), "randperm"), np.dtype("f8"), device, generator)
    return make(keys.argsort().astype(INT64 if dtype is None else as_dtype(dtype), copy=False))


def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    r"""Return normal numbers.

    .. math:: y_i \sim \mathcal N(\mu_i, \sigma_i^2)

    Parameters
    ----------
    mean, std : Tensor, array or number, shapes that broadcast
        No gradient flows to them: for that, write ``mean + std * minidl.randn(...)``.
    size : int or sequence of ints, optional
        The shape of ``mean`` and ``std`` broadcast, if left out.
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    ArgumentError
        If ``std`` is negative.
    ShapeError
        If ``mean`` and ``std`` do not broadcast to ``size``.

    Examples
    --------
    >>> import minidl
    >>> minidl.normal(0.0, 0.02, (2, 3)).shape
    (2, 3)

    References
    ----------
    ``torch.normal``, ``numpy.random.Generator.normal``.
    """
    mean, std = (x if isinstance(x, (int, float)) else as_array(x, copy=False, name="normal") for x in (mean, std))
    arrays = [x for x in (mean, std) if hasattr(x, "dtype")]
    if dtype is None and arrays:
        dtype = arrays[0].dtype
    if device is None and arrays:
        device = device_of(arrays[0])
    if (std < 0).any() if hasattr(std, "any") else std < 0:
        raise ArgumentError("normal: std must not be negative")
    try:
        natural = np.broadcast_shapes(np.shape(mean), np.shape(std))
        shape = natural if size is None else as_shape((size,), "normal")
        np.broadcast_shapes(natural, shape)
    except ValueError:
        raise ShapeError(
            f"normal: mean of shape {np.shape(mean)} and std of shape {np.shape(std)} do not broadcast to {size}"
        ) from None
    wanted = _float_dtype(dtype, "normal")
    return make((normal_array(shape, wanted, device, generator) * std + mean).astype(wanted, copy=False), requires_grad)


def bernoulli(p: Any, *, generator: Any = None) -> Tensor:
    """Return ones with probability ``p``, else zeros.

    .. math:: P(y_i = 1) = p_i

    Parameters
    ----------
    p : Tensor or array of floats in [0, 1], any shape
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.

    Returns
    -------
    Tensor, the shape and dtype of ``p``

    Raises
    ------
    DTypeError
        If ``p`` does not hold floats.
    RangeError
        If a probability is not in [0, 1].

    Examples
    --------
    >>> import minidl
    >>> minidl.bernoulli(minidl.tensor([0.0, 1.0]))
    tensor([0., 1.])

    References
    ----------
    ``torch.bernoulli``.
    """
    p = as_array(p, copy=False, name="bernoulli")
    if p.dtype.kind != "f":
        raise DTypeError(f"bernoulli: expected probabilities as floats, got {p.dtype}; convert them: p.float()")
    if not ((p >= 0) & (p <= 1)).all():
        raise RangeError(f"bernoulli: probabilities must be in [0, 1], got {float(p.min())} to {float(p.max())}")
    return make((uniform_array(p.shape, p.dtype, device_of(p), generator) < p).astype(p.dtype))


def multinomial(probs: Any, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    r"""Return indices drawn with the given probabilities.

    .. math:: P(y = i) = p_i / \sum_j p_j

    Parameters
    ----------
    probs : Tensor or array, of shape (K,) or (N, K)
        Weights, not negative; they need not sum to 1.
    num_samples : int
        How many to draw from each row.
    replacement : bool
        Whether an index may be drawn twice.
    generator : Generator, optional
        What to draw from; without it, :func:`manual_seed` decides.

    Returns
    -------
    Tensor of int64, of shape (num_samples,) or (N, num_samples)

    Raises
    ------
    ShapeError
        If ``probs`` has other than one or two axes.
    RangeError
        If a weight is negative or not finite, or all weights of a row are zero.
    ArgumentError
        If more are to be drawn without replacement than have a weight.

    Examples
    --------
    >>> import minidl
    >>> minidl.multinomial(minidl.tensor([0.0, 1.0, 0.0]), 2, replacement=True)
    tensor([1, 1])

    References
    ----------
    ``torch.multinomial``. Without replacement: Efraimidis & Spirakis 2006, each key is Exp(1) / weight.
    """
    weights = as_array(probs, copy=False, name="multinomial")
    if weights.ndim not in (1, 2):
        raise ShapeError(f"multinomial: expected weights of shape (K,) or (N, K), got {tuple(weights.shape)}")
    xp = namespace(weights)
    weights = weights.astype(np.float64)
    if not (xp.isfinite(weights) & (weights >= 0)).all() or not (weights.sum(axis=-1) > 0).all():
        raise RangeError("multinomial: weights must be finite and not negative, with a positive sum in each row")
    num_samples = as_integer(num_samples, "multinomial", "num_samples")
    available = int((weights > 0).sum(axis=-1).min())
    if num_samples < 1 or (not replacement and num_samples > available):
        raise ArgumentError(
            f"multinomial: cannot draw {num_samples} without replacement where {available} weights are positive; "
            "draw fewer, or pass replacement=True"
        )
    place = device_of(weights)
    if replacement:
        steps = weights.cumsum(axis=-1)  # (..., K)
        total = steps[..., -1:]  # (..., 1)
        u = (
            uniform_array((*weights.shape[:-1], num_samples), weights.dtype, place, generator) * total
        )  # (..., num_samples)
        return make((steps[..., None, :] <= u[..., None]).sum(axis=-1).astype(INT64))  # (..., num_samples)
    waiting = -xp.log1p(-uniform_array(weights.shape, weights.dtype, place, generator))  # Exp(1)
    keys = xp.where(weights > 0, waiting / xp.where(weights > 0, weights, 1), xp.inf)  # (..., K)
    return make(keys.argsort(axis=-1)[..., :num_samples].astype(INT64))
