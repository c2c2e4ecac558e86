"""Functions of one element: absolute value, rounding, the sigmoid and the error function."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Operation
from minidl.backend import quiet
from minidl.errors import DTypeError
from minidl.ops.comparison import isfinite
from minidl.ops.powers import exp

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "ceil",
    "erf",
    "fix",
    "floor",
    "nan_to_num",
    "round",
    "sigmoid",
    "sign",
    "trunc",
]


class Abs(Operation):
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.abs(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * sign(x)


def abs(x: Any) -> Tensor:  # noqa: A001
    r"""Return the absolute value of each element; its slope at 0 is 0.

    .. math:: y = |x|

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
    >>> minidl.abs(minidl.tensor([-2.0, 3.0]))
    tensor([2., 3.])

    References
    ----------
    ``numpy.absolute``, ``torch.abs``.
    """
    return Abs.apply(x)


absolute = abs


class Sign(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        return self.xp.sign(x)


def sign(x: Any) -> Tensor:
    r"""Return -1, 0 or 1, the sign of each element.

    .. math:: y = \operatorname{sign} x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Never requires gradients: they are zero wherever there are any.

    Raises
    ------
    DTypeError
        If ``x`` is boolean.

    Examples
    --------
    >>> import minidl
    >>> minidl.sign(minidl.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])

    References
    ----------
    ``numpy.sign``, ``torch.sign``.
    """
    return Sign.apply(x)


class Sigmoid(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        y = 1 / (1 + self.xp.exp(-x))  # where exp overflows to inf, y is 0
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * (y * (1 - y))


def sigmoid(x: Any) -> Tensor:
    r"""Return the logistic function of each element.

    .. math:: y = \frac{1}{1 + e^{-x}}

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
    >>> minidl.sigmoid(minidl.tensor([-2.0, 0.0, 2.0]))
    tensor([0.1192, 0.5000, 0.8808])

    References
    ----------
    ``scipy.special.expit``, ``torch.sigmoid``.
    """
    return Sigmoid.apply(x)


# |x| <= 0.5: erf(x) = x P(x^2) / Q(x^2);  beyond: 1 - exp(-x^2) R(|x|) / S(|x|), highest powers first. Cody (1969).
ERF_P = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
ERF_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
ERF_R = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
ERF_S = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)
# |x| <= 3.92, where float32's erf reaches 1: erf(x) = x A(x^2) / B(x^2) to a relative 2e-9, fitted for minidl
ERF_A = (
    -1.2800167527295853e-08,
    4.609306477876298e-06,
    0.0003767615938633235,
    0.0038386271315738758,
    0.05424403514289079,
    0.18513520549525495,
    1.1283791691471021,
)
ERF_B = (
    6.239986225661777e-05,
    0.0013015293344705208,
    0.01543006640732735,
    0.11387378130444957,
    0.49740521026160583,
    1.0,
)


def polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Evaluate a polynomial, highest power first, at the elements of an array (Horner's rule)."""
    y = x * coefficients[0]
    for coefficient in coefficients[1:-1]:
        y += coefficient
        y *= x
    y += coefficients[-1]
    return y


def erf_of(x: Any, xp: Any) -> Any:
    """Compute the error function of an array."""
    if x.dtype.itemsize < 8:  # the polynomials lose digits in float32: their terms go in float64
        wide = xp.maximum(xp.minimum(x, 3.92), -3.92).astype("float64")
        square = wide * wide
        return (wide * (polynomial(ERF_A, square) / polynomial(ERF_B, square))).astype(x.dtype)
    size = xp.minimum(xp.abs(x), 6.0)  # from 6 on it is 1
    square = xp.minimum(size, 0.5) ** 2
    inner = size * (polynomial(ERF_P, square) / polynomial(ERF_Q, square))
    outer = 1 - xp.exp(-size * size) * (polynomial(ERF_R, size) / polynomial(ERF_S, size))
    return xp.copysign(xp.where(size <= 0.5, inner, outer), x)


class Erf(Operation):
    casting = "float"
    block = 8192  # elements, whose intermediate results stay in the CPU's cache: 2.7 times as fast as all at once

    def forward(self, x: Any) -> Any:
        self.save(x)
        if x.size <= self.block or self.xp is not np:
            return erf_of(x, self.xp)
        flat = x.reshape(-1)
        y = np.empty_like(flat)
        for start in range(0, flat.size, self.block):
            part = slice(start, start + self.block)
            y[part] = erf_of(flat[part], np)
        return y.reshape(x.shape)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * (2 / math.sqrt(math.pi) * exp(-x * x))


def erf(x: Any) -> Tensor:
    r"""Return the error function of each element.

    .. math:: y = \frac{2}{\sqrt\pi} \int_0^x e^{-t^2} \, dt

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Correct to the last digit or two of its dtype.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.erf(minidl.tensor([-1.0, 0.0, 1.0]))
    tensor([-0.8427,  0.0000,  0.8427])

    References
    ----------
    W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969).
    ``scipy.special.erf``, ``torch.erf``.
    """
    return Erf.apply(x)


class Round(Operation):
    differentiable = False

    def forward(self, x: Any, decimals: int) -> Any:
        return self.xp.round(x, decimals)


def round(x: Any, decimals: int = 0) -> Tensor:  # noqa: A001
    r"""Return each element rounded to some decimals; halves go to the even neighbour.

    .. math:: y = 10^{-d} \lfloor 10^d x + \tfrac12 \rfloor

    Parameters
    ----------
    x : Tensor or array, any shape
    decimals : int
        How many; negative ones round to tens, hundreds, ...

    Returns
    -------
    Tensor, the shape of ``x``
        Of the dtype of ``x``. Never requires gradients: they are zero wherever there are any.

    Raises
    ------
    DTypeError
        If ``decimals`` is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.round(minidl.tensor([0.5, 1.5, 2.7]))
    tensor([0., 2., 3.])

    References
    ----------
    ``numpy.round``, ``torch.round``.
    """
    if type(decimals) is not int:
        raise DTypeError(f"round: decimals must be an integer, got {decimals!r}")
    return Round.apply(x, decimals=decimals)


class Floor(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        return self.xp.floor(x) if x.dtype.kind == "f" else x.copy()


def floor(x: Any) -> Tensor:
    r"""Return the largest integer that is no greater, of each element.

    .. math:: y = \lfloor x \rfloor

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Of the dtype of ``x``. Never requires gradients: they are zero wherever there are any.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.floor(minidl.tensor([-1.5, 1.5]))
    tensor([-2.,  1.])

    References
    ----------
    ``numpy.floor``, ``torch.floor``.
    """
    return Floor.apply(x)


class Ceil(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        return self.xp.ceil(x) if x.dtype.kind == "f" else x.copy()


def ceil(x: Any) -> Tensor:
    r"""Return the smallest integer that is no less, of each element.

    .. math:: y = \lceil x \rceil

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Of the dtype of ``x``. Never requires gradients: they are zero wherever there are any.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.ceil(minidl.tensor([-1.5, 1.5]))
    tensor([-1.,  2.])

    References
    ----------
    ``numpy.ceil``, ``torch.ceil``.
    """
    return Ceil.apply(x)


class Trunc(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        return self.xp.trunc(x) if x.dtype.kind == "f" else x.copy()


def trunc(x: Any) -> Tensor:
    r"""Return each element without its fraction.

    .. math:: y = \operatorname{sign}(x) \lfloor |x| \rfloor

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Of the dtype of ``x``. Never requires gradients: they are zero wherever there are any.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.trunc(minidl.tensor([-1.5, 1.5]))
    tensor([-1.,  1.])

    References
    ----------
    ``numpy.trunc``, ``torch.trunc``.
    """
    return Trunc.apply(x)


fix = trunc


class NanToNum(Operation):
    def forward(self, x: Any, nan: float, posinf: float | None, neginf: float | None) -> Any:
        self.save(x)
        return self.xp.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * isfinite(x)


def nan_to_num(x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    r"""Return ``x`` with what is not a finite number replaced.

    .. math:: y = \begin{cases} x & \text{if } x \text{ is finite} \\ c & \text{else} \end{cases}

    Parameters
    ----------
    x : Tensor or array, any shape
    nan : float
        What nan becomes.
    posinf, neginf : float, optional
        What inf and -inf become; the largest and the smallest number of the dtype if None.

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
    >>> minidl.nan_to_num(minidl.tensor([float("nan"), 2.0, float("inf")]), posinf=9.0)
    tensor([0., 2., 9.])

    References
    ----------
    ``numpy.nan_to_num``, ``torch.nan_to_num``.
    """
    return NanToNum.apply(x, nan=nan, posinf=posinf, neginf=neginf)
