"""Powers, roots, exponentials and logarithms."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Operation
from minidl.backend import is_array, quiet
from minidl.errors import ArgumentError
from minidl.ops.arithmetic import is_integer
from minidl.ops.selection import where

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "pow",
    "power",
    "rsqrt",
    "sqrt",
    "square",
]


class Pow(Operation):
    casting = "common"

    @quiet
    def forward(self, x: Any, y: Any) -> Any:
        # the values of an array are looked at on the CPU alone: a GPU would have to be waited for
        if is_integer(x) and is_integer(y) and (not is_array(y) or self.xp is np) and np.any(np.less(y, 0)):
            raise ArgumentError("pow: integers to negative powers are no integers; convert the base first: x.float()")
        if self.needs[1] and not is_array(x):
            x = self.xp.asarray(x, dtype=y.dtype)
        z = x * x * x if type(y) in (int, float) and y == 3 else x**y
        self.save(x, y, z if self.needs[1] else None)
        return z

    def backward(self, grad: Any) -> Any:
        x, y, z = self.saved
        grad_x = grad_y = None
        if self.needs[0]:
            if type(y) in (int, float):
                grad_x = grad * 0.0 if y == 0 else grad * (2 * x) if y == 2 else grad * (y * x ** (y - 1))
            else:  # 0 to the power of -1 is inf: at x = y = 0, where the slope is 0, take the power 0 instead
                grad_x = grad * (y * x ** where((x == 0) & (y == 0), 0.0, y - 1))
        if self.needs[1]:  # the logarithm of 0 is -inf: at x = 0 <= y, where the slope is 0, take that of 1 instead
            grad_y = grad * (z * log(where((x == 0) & (y >= 0), 1.0, x)))
        return grad_x, grad_y


def pow(x: Any, y: Any) -> Tensor:  # noqa: A001
    r"""Return ``x`` to the power of ``y``, element by element.

    .. math:: z = x^y, \quad \frac{\partial z}{\partial x} = y x^{y-1}, \quad \frac{\partial z}{\partial y} = z \ln x

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
        At least one is a Tensor or an array.

    Returns
    -------
    Tensor, the broadcast shape
        nan for a negative number to a broken power.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.
    ArgumentError
        If integers are raised to a negative power.

    Examples
    --------
    >>> import minidl
    >>> minidl.pow(minidl.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    >>> 2 ** minidl.tensor([1.0, 2.0, 3.0])
    tensor([2., 4., 8.])

    References
    ----------
    ``numpy.power``, ``torch.pow``.
    """
    if type(y) is float and y == 0.5:
        return sqrt(x)
    return Pow.apply(x, y)


power = pow


def square(x: Any) -> Tensor:
    r"""Return the square of each element.

    .. math:: y = x^2

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
    >>> minidl.square(minidl.tensor([-2.0, 3.0]))
    tensor([4., 9.])

    References
    ----------
    ``numpy.square``, ``torch.square``.
    """
    return pow(x, 2)


class Sqrt(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        y = self.xp.sqrt(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad / (2 * y)


def sqrt(x: Any) -> Tensor:
    r"""Return the square root of each element.

    .. math:: y = \sqrt{x}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        nan below 0. Its slope at 0 is inf.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.sqrt(minidl.tensor([4.0, 9.0]))
    tensor([2., 3.])

    References
    ----------
    ``numpy.sqrt``, ``torch.sqrt``.
    """
    return Sqrt.apply(x)


class Rsqrt(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        y = 1 / self.xp.sqrt(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * (-0.5 * y * y * y)


def rsqrt(x: Any) -> Tensor:
    r"""Return the reciprocal of the square root of each element.

    .. math:: y = \frac{1}{\sqrt{x}}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        inf at 0, nan below.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.rsqrt(minidl.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])

    References
    ----------
    ``torch.rsqrt``.
    """
    return Rsqrt.apply(x)


class Exp(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        y = self.xp.exp(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * y


def exp(x: Any) -> Tensor:
    r"""Return e to the power of each element.

    .. math:: y = e^x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        inf where that overflows.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.exp(minidl.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])

    References
    ----------
    ``numpy.exp``, ``torch.exp``.
    """
    return Exp.apply(x)


class Expm1(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        y = self.xp.expm1(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * (y + 1)


def expm1(x: Any) -> Tensor:
    r"""Return e to the power of each element, less 1, exact for small elements.

    .. math:: y = e^x - 1

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        inf where that overflows.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.expm1(minidl.tensor([1e-5, 1.0]))
    tensor([1.0000e-05, 1.7183e+00])

    References
    ----------
    ``numpy.expm1``, ``torch.expm1``.
    """
    return Expm1.apply(x)


class Log(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.log(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / x


def log(x: Any) -> Tensor:
    r"""Return the natural logarithm of each element.

    .. math:: y = \ln x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        -inf at 0, nan below.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.log(minidl.tensor([1.0, 10.0]))
    tensor([0.0000, 2.3026])

    References
    ----------
    ``numpy.log``, ``torch.log``.
    """
    return Log.apply(x)


class Log1p(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.log1p(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / (x + 1)


def log1p(x: Any) -> Tensor:
    r"""Return the natural logarithm of 1 plus each element, exact for small elements.

    .. math:: y = \ln(1 + x)

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        -inf at -1, nan below.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.log1p(minidl.tensor([1e-5, 1.0]))
    tensor([9.9999e-06, 6.9315e-01])

    References
    ----------
    ``numpy.log1p``, ``torch.log1p``.
    """
    return Log1p.apply(x)


class Log2(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.log2(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / (x * math.log(2))


def log2(x: Any) -> Tensor:
    r"""Return the logarithm to base 2 of each element.

    .. math:: y = \log_2 x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        -inf at 0, nan below.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.log2(minidl.tensor([1.0, 8.0]))
    tensor([0., 3.])

    References
    ----------
    ``numpy.log2``, ``torch.log2``.
    """
    return Log2.apply(x)


class Log10(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.log10(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / (x * math.log(10))


def log10(x: Any) -> Tensor:
    r"""Return the logarithm to base 10 of each element.

    .. math:: y = \log_{10} x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        -inf at 0, nan below.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.log10(minidl.tensor([1.0, 100.0]))
    tensor([0.0000, 2.0000])

    References
    ----------
    ``numpy.log10``, ``torch.log10``.
    """
    return Log10.apply(x)


class Logaddexp(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, y: Any) -> Any:
        z = self.xp.logaddexp(x, y)
        self.save(x, y, z)
        return z

    def backward(self, grad: Any) -> Any:
        x, y, z = self.saved
        z = where(z == -math.inf, 0.0, z)  # -inf - -inf would be nan
        return grad * exp(x - z) if self.needs[0] else None, grad * exp(y - z) if self.needs[1] else None


def logaddexp(x: Any, y: Any) -> Tensor:
    r"""Return the logarithm of the sum of two exponentials, which never overflows.

    .. math:: z = \ln(e^x + e^y)

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.logaddexp(minidl.tensor([0.0, 1.0]), 0)
    tensor([0.6931, 1.3133])

    References
    ----------
    ``numpy.logaddexp``, ``torch.logaddexp``.
    """
    return Logaddexp.apply(x, y)
