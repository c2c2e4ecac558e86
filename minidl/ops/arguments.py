"""Arguments as users write them: PyTorch's names and NumPy's, axes in every form."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np

from minidl.errors import ArgumentError, DTypeError, RangeError

F = TypeVar("F", bound=Callable[..., Any])

#: What PyTorch calls what NumPy calls.
DIM = {"dim": "axis", "keepdim": "keepdims"}


def also_named(**names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let a function's keyword arguments be written under a second name.

    Parameters
    ----------
    **names
        ``other="own"``: the argument ``own`` may be called ``other`` too.
    """

    def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            for other in names.keys() & kwargs.keys() if kwargs else ():
                own = names[other]
                if own in kwargs:
                    raise ArgumentError(f"{func.__name__}: {other}= and {own}= are one argument; give one of them")
                kwargs[own] = kwargs.pop(other)
            return func(*args, **kwargs)

        return call

    return decorate


def normalize_axis(axis: Any, ndim: int, name: str) -> int:
    """Return one axis counted from the front.

    Raises
    ------
    RangeError
        If there is no such axis.
    DTypeError
        If it is no integer.
    """
    try:
        index = axis.__index__()
    except AttributeError:
        raise DTypeError(f"{name}: axis must be an integer, got {axis!r}") from None
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
    except AttributeError:
        raise DTypeError(f"{name}: sizes must be integers, got {tuple(sizes)!r}") from None


def shape_of(x: Any) -> tuple[int, ...]:
    """Return the shape of a tensor, an array, a number or a nested list."""
    return tuple(x.shape) if hasattr(x, "shape") else np.shape(x)
