"""How a tensor prints."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from minidl.backend import default_device, default_dtype, device_of, to_numpy
from minidl.errors import ArgumentError


@dataclass
class _Options:
    precision: int = 4
    threshold: int = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_options = _Options()
_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": 2**63 - 1, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: int | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print. What is left out stays as it is; ``sci_mode`` is chosen by the numbers if left out.

    Parameters
    ----------
    precision : int, optional
        Digits after the decimal point; 4 at first.
    threshold : int, optional
        How many elements are printed before the middle is left out; 1000 at first.
    edgeitems : int, optional
        How many of them remain at each end; 3 at first.
    linewidth : int, optional
        Characters in a line; 80 at first.
    profile : {"default", "short", "full"}, optional
        Set all of these first.
    sci_mode : bool, optional
        Whether to write ``1.0e+03``.

    Raises
    ------
    ArgumentError
        If the profile is unknown or a number negative.

    Examples
    --------
    >>> import minidl
    >>> minidl.set_printoptions(precision=2)
    >>> minidl.tensor([0.12345])
    tensor([0.12])
    >>> minidl.set_printoptions(profile="default")

    References
    ----------
    ``torch.set_printoptions``, ``numpy.set_printoptions``.
    """
    if profile is not None and profile not in _PROFILES:
        raise ArgumentError(f"set_printoptions: unknown profile {profile!r}; expected one of {', '.join(_PROFILES)}")
    given = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    settings = dict(_PROFILES[profile]) if profile is not None else {}
    settings |= {name: value for name, value in given.items() if value is not None}
    for name, value in settings.items():
        if value < 0:
            raise ArgumentError(f"set_printoptions: {name} must not be negative, got {value}")
    for name, value in settings.items():
        setattr(_options, name, value)
    _options.sci_mode = sci_mode


@contextlib.contextmanager
def printoptions(**settings: Any) -> Iterator[None]:
    """Set options of :func:`set_printoptions` for a ``with`` block.

    Parameters
    ----------
    **settings
        As for :func:`set_printoptions`.

    Yields
    ------
    None

    Examples
    --------
    >>> import minidl
    >>> with minidl.printoptions(precision=1):
    ...     print(minidl.tensor([0.12345]))
    tensor([0.1])

    References
    ----------
    ``numpy.printoptions``.
    """
    before = dict(vars(_options))
    try:
        set_printoptions(**settings)
        yield
    finally:
        vars(_options).update(before)


def format_tensor(x: Any) -> str:
    """Return the text of ``repr(x)``: the numbers, and whatever about them is not the default."""
    array = to_numpy(x.array)
    notes = []
    if array.size == 0 and array.ndim != 1:
        notes.append(f"size={array.shape}")
    device = device_of(x.array)
    if device != default_device():
        notes.append(f"device='{device}'")
    if array.dtype not in (default_dtype(), np.dtype(np.int64), np.dtype(np.bool_)) or (
        array.size == 0 and array.dtype != default_dtype()
    ):
        notes.append(f"dtype={array.dtype}")
    if x.requires_grad:
        notes.append("requires_grad=True" if x._node is None else f"grad_fn={x._node!r}")
    numbers = _numbers(array)
    text = ", ".join([f"tensor({numbers}", *notes]) + ")"
    last_line = text[text.rfind("\n") + 1 :]
    if notes and len(last_line) > _options.linewidth:
        text = f"tensor({numbers},\n       " + ", ".join(notes) + ")"
    return text


def _numbers(array: np.ndarray) -> str:
    if array.size == 0:
        return "[]"
    write = _writer(array)
    if array.ndim == 0:
        return write(array[()]).strip()
    text = np.array2string(
        array,
        separator=", ",
        prefix="tensor(",
        max_line_width=_options.linewidth,
        threshold=_options.threshold,
        edgeitems=_options.edgeitems,
        formatter={"all": write},
    )
    return text.replace(", ...,", ",  ...,")  # as PyTorch sets it apart


def _writer(array: np.ndarray) -> Callable[[Any], str]:
    """Return what writes one element, all to one width."""
    if array.dtype.kind != "f":
        write: Callable[[Any], str] = str
    else:
        seen = _shown(array).astype(np.float64)
        style = _float_style(seen[np.isfinite(seen)])

        def write(value: Any) -> str:
            return style(float(value)) if np.isfinite(value) else str(float(value))

    width = max(len(write(value)) for value in _shown(array))
    return lambda value: write(value).rjust(width)


def _float_style(finite: np.ndarray) -> Callable[[float], str]:
    """Return how to write floats such as these: whole, with decimals, or with exponents."""
    sizes = np.abs(finite[finite != 0])
    digits = _options.precision
    largest, smallest = (sizes.max(), sizes.min()) if sizes.size else (0.0, 1.0)
    whole = bool((finite == np.round(finite)).all())
    # the bounds of PyTorch; written as products, because largest / smallest may overflow
    spread = largest > 1000 * smallest if not whole else False
    exponent = largest > 1e8 or (not whole and (spread or smallest < 1e-4))
    if exponent if _options.sci_mode is None else _options.sci_mode:
        return lambda value: f"{value:.{digits}e}"
    return (lambda value: f"{value:.0f}.") if whole else (lambda value: f"{value:.{digits}f}")


def _shown(array: np.ndarray) -> np.ndarray:
    """Return the elements that are printed: of a long array, the first and the last few of each axis."""
    if array.size > _options.threshold:
        edge = _options.edgeitems
        for axis in range(array.ndim):
            if array.shape[axis] > 2 * edge:
                array = np.take(array, [*range(edge), *range(-edge, 0)], axis)
    return array.ravel()
