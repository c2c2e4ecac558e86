"""Arguments as users write them: PyTorch's names and NumPy's, axes in every form."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar, overload

import numpy as np

from minidl.autograd import Variable, update, wrap
from minidl.autograd.operation import ragged, refusal
from minidl.backend import device_of, is_array, to_device
from minidl.errors import ArgumentError, DTypeError, MiniDLError, RangeError

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

#: What PyTorch calls what NumPy calls.
DIM = {"dim": "axis", "keepdim": "keepdims"}


@overload
def takes_tensors(*tensors: str) -> Callable[[F], F]: ...


# a type checker cannot know the second names: such a function keeps its result's type, and takes any arguments
@overload
def takes_tensors(*tensors: str, **other_names: str) -> Callable[[Callable[..., R]], Callable[..., R]]: ...


def takes_tensors(*tensors: str, **other_names: str) -> Any:
    """Let a function refuse by name what is no tensor, and its keyword arguments be written under a second name.

    A call that succeeds is not checked, so it costs nothing but the call of the wrapper. Operations that hand their
    arguments straight to :meth:`Operation.apply` need none: it answers for them.

    Parameters
    ----------
    *tensors
        Which arguments are tensors or arrays (None is one too where it is the default).
    **other_names
        ``other="own"``: the argument ``own`` may be called ``other`` too.

    Examples
    --------
    >>> @takes_tensors("x", dim="axis")
    ... def first_size(x, axis=0):
    ...     return x.shape[axis]
    >>> first_size(np.ones((2, 3)), dim=1)
    3
    >>> first_size([1.0, 2.0])
    Traceback (most recent call last):
        ...
    minidl.errors.DTypeError: first_size: argument 'x' is a list; expected a Tensor or an array of numbers...
    """

    def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            if kwargs:
                for other in other_names.keys() & kwargs.keys():
                    own = other_names[other]
                    if own in kwargs:
                        raise ArgumentError(f"{func.__name__}: {other}= and {own}= are one argument; give one of them")
                    kwargs[own] = kwargs.pop(other)
            try:
                return func(*args, **kwargs)
            except (AttributeError, TypeError) as error:
                found = _no_tensor(error, func, tensors, args, kwargs)
                if found is None:
                    raise
                raise found from error

        return call

    return decorate


def _no_tensor(
    error: Exception,
    func: Callable[..., Any],
    tensors: tuple[str, ...],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> DTypeError | None:
    """Return the error that names the first argument which ought to be a tensor and is none, if there is one.

    An error of minidl's own says already what is wrong with a list or a number. But where an inner operation refused
    one of the arguments, its name and the argument's are told as the user knows them.
    """
    signature = inspect.signature(func)
    try:
        given = signature.bind(*args, **kwargs).arguments
    except TypeError:
        return None  # Python's own error says best what is missing or too many
    for name in tensors:
        parameter = signature.parameters[name]
        x: Any = given.get(name)
        if x is None and parameter.default is None:
            continue
        for item in (x or ()) if parameter.kind is parameter.VAR_POSITIONAL else (x,):
            array = isinstance(item, np.generic) or is_array(item)
            if isinstance(item, Variable) or (array and item.dtype.kind in "fiub"):
                continue
            if array or not isinstance(error, MiniDLError) or getattr(error, "given", error) is item:
                return refusal(func.__name__, repr(name), item)
    return None


def sized(func: F) -> F:
    """Let a function take its sizes by name too: ``zeros(size=(2, 3))``, or ``zeros(shape=(2, 3))``."""

    @functools.wraps(func)
    def call(*size: Any, **kwargs: Any) -> Any:
        if kwargs:
            size += tuple(kwargs.pop(name) for name in ("size", "shape") if name in kwargs)
        return func(*size, **kwargs)

    return call  # type: ignore[return-value]


def as_integer(x: Any, name: str, argument: str) -> int:
    """Return an argument of the operation ``name`` that must be an integer."""
    try:
        return x.__index__()
    except (AttributeError, TypeError):  # arrays have an __index__ that refuses
        raise DTypeError(f"{name}: {argument} must be an integer, got {x!r}") from None


def as_number(x: Any, name: str, argument: str) -> float:
    """Return an argument of the operation ``name`` that must be one number."""
    if isinstance(x, (Variable, np.generic)) or is_array(x):
        x = x.item() if math.prod(x.shape) == 1 else x
    if not isinstance(x, (int, float)):
        raise DTypeError(f"{name}: {argument} must be a number, got {x!r}")
    return x


def normalize_axis(axis: Any, ndim: int, name: str) -> int:
    """Return one axis counted from the front.

    Raises
    ------
    RangeError
        If there is no such axis.
    DTypeError
        If it is no integer.
    """
    index = as_integer(axis, name, "axis")
    if not -ndim <= index < ndim and not (ndim == 0 and index in (-1, 0)):  # a scalar counts as having one axis
        raise RangeError(
            f"{name}: axis {index} is out of range for a tensor with {ndim} dimensions "
            f"(expected {-max(ndim, 1)} to {max(ndim, 1) - 1})"
        )
    return index % ndim if ndim else 0


def normalize_axes(axis: Any, ndim: int, name: str) -> tuple[int, ...]:
    """Return axes (an int, a sequence of them, or None for all) counted from the front, without repeats."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:  # the common case, without detours
        return (axis % ndim,)
    axes = axis if isinstance(axis, Iterable) else (axis,)
    found = tuple(normalize_axis(a, ndim, name) for a in axes)
    if ndim == 0:
        return ()
    if len(set(found)) != len(found):
        raise ArgumentError(f"{name}: axis {tuple(axes)} names one axis twice")
    return found


def as_sizes(sizes: Sequence[Any], name: str) -> tuple[int, ...]:
    """Return a shape given as ``f(2, 3)`` or as ``f((2, 3))``."""
    if len(sizes) == 1 and isinstance(sizes[0], (tuple, list)):
        sizes = sizes[0]
    try:
        return tuple(size.__index__() for size in sizes)
    except (AttributeError, TypeError):
        raise DTypeError(f"{name}: sizes must be integers, got {tuple(sizes)!r}") from None


def shape_of(x: Any, name: str, argument: str) -> tuple[int, ...]:
    """Return the shape of an argument of the operation ``name``: a tensor, an array, a number or a nested list."""
    if isinstance(x, Variable):
        shape: tuple[int, ...] = x.array.shape
        return shape
    if hasattr(x, "shape"):
        return tuple(x.shape)
    if not isinstance(x, (bool, int, float, list, tuple)):
        raise refusal(name, repr(argument), x)
    try:
        return np.shape(x)
    except ValueError:
        raise ragged(name, repr(argument)) from None


def into(out: Any, result: Any, name: str) -> Any:
    """Return ``result``, written into ``out`` first if one is given: what ``out=`` asks of an operation."""
    if out is None:
        return result
    if not isinstance(out, Variable):
        raise refusal(name, "'out'", out, "a Tensor")
    if not isinstance(result, Variable):  # of operands of the host alone
        result = wrap(to_device(result, device_of(out.array)))
    return update(out, result, f"{name}(out=)")
