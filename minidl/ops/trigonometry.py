"""Trigonometric and hyperbolic functions, and their inverses. Angles are in radians."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation
from minidl.backend import quiet
from minidl.ops.powers import sqrt

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "acos",
    "acosh",
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


class Sin(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.sin(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * cos(x)


def sin(x: Any) -> Tensor:
    r"""Return the sine of each element, an angle in radians.

    .. math:: y = \sin x

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
    >>> minidl.sin(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])

    References
    ----------
    ``numpy.sin``, ``torch.sin``.
    """
    return Sin.apply(x)


class Cos(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.cos(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * -sin(x)


def cos(x: Any) -> Tensor:
    r"""Return the cosine of each element, an angle in radians.

    .. math:: y = \cos x

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
    >>> minidl.cos(minidl.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])

    References
    ----------
    ``numpy.cos``, ``torch.cos``.
    """
    return Cos.apply(x)


class Tan(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        y = self.xp.tan(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * (1 + y * y)


def tan(x: Any) -> Tensor:
    r"""Return the tangent of each element, an angle in radians.

    .. math:: y = \tan x

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
    >>> minidl.tan(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5574])

    References
    ----------
    ``numpy.tan``, ``torch.tan``.
    """
    return Tan.apply(x)


class Asin(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.arcsin(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / sqrt(1 - x * x)


def asin(x: Any) -> Tensor:
    r"""Return the angle in radians whose sine each element is.

    .. math:: y = \arcsin x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Between :math:`-\pi/2` and :math:`\pi/2`; nan outside of [-1, 1].

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.asin(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5708])

    References
    ----------
    ``numpy.arcsin``, ``torch.asin``.
    """
    return Asin.apply(x)


arcsin = asin


class Acos(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.arccos(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return -grad / sqrt(1 - x * x)


def acos(x: Any) -> Tensor:
    r"""Return the angle in radians whose cosine each element is.

    .. math:: y = \arccos x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Between 0 and :math:`\pi`; nan outside of [-1, 1].

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.acos(minidl.tensor([0.0, 1.0]))
    tensor([1.5708, 0.0000])

    References
    ----------
    ``numpy.arccos``, ``torch.acos``.
    """
    return Acos.apply(x)


arccos = acos


class Atan(Operation):
    casting = "float"

    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.arctan(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / (1 + x * x)


def atan(x: Any) -> Tensor:
    r"""Return the angle in radians whose tangent each element is.

    .. math:: y = \arctan x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Between :math:`-\pi/2` and :math:`\pi/2`.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.atan(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])

    References
    ----------
    ``numpy.arctan``, ``torch.atan``.
    """
    return Atan.apply(x)


arctan = atan


class Atan2(Operation):
    casting = "float"

    def forward(self, y: Any, x: Any) -> Any:
        self.save(y, x)
        return self.xp.arctan2(y, x)

    def backward(self, grad: Any) -> Any:
        y, x = self.saved
        scaled = grad / (x * x + y * y)
        return scaled * x if self.needs[0] else None, -scaled * y if self.needs[1] else None


def atan2(y: Any, x: Any) -> Tensor:
    r"""Return the angle in radians of the point (x, y), seen from the origin.

    .. math:: \theta = \operatorname{atan2}(y, x), \quad
        x = r \cos \theta, \; y = r \sin \theta

    Parameters
    ----------
    y, x : Tensor, array or number, shapes that broadcast
        The ordinate comes first.

    Returns
    -------
    Tensor, the broadcast shape
        Between :math:`-\pi` and :math:`\pi`.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.atan2(minidl.tensor([1.0, 1.0]), minidl.tensor([1.0, -1.0]))
    tensor([0.7854, 2.3562])

    References
    ----------
    ``numpy.arctan2``, ``torch.atan2``.
    """
    return Atan2.apply(y, x)


arctan2 = atan2


class Sinh(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.sinh(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * cosh(x)


def sinh(x: Any) -> Tensor:
    r"""Return the hyperbolic sine of each element.

    .. math:: y = \frac{e^x - e^{-x}}{2}

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
    >>> minidl.sinh(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])

    References
    ----------
    ``numpy.sinh``, ``torch.sinh``.
    """
    return Sinh.apply(x)


class Cosh(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.cosh(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad * sinh(x)


def cosh(x: Any) -> Tensor:
    r"""Return the hyperbolic cosine of each element.

    .. math:: y = \frac{e^x + e^{-x}}{2}

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
    >>> minidl.cosh(minidl.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])

    References
    ----------
    ``numpy.cosh``, ``torch.cosh``.
    """
    return Cosh.apply(x)


class Tanh(Operation):
    casting = "float"

    def forward(self, x: Any) -> Any:
        y = self.xp.tanh(x)
        self.save(y)
        return y

    def backward(self, grad: Any) -> Any:
        (y,) = self.saved
        return grad * (1 - y * y)


def tanh(x: Any) -> Tensor:
    r"""Return the hyperbolic tangent of each element.

    .. math:: y = \frac{e^x - e^{-x}}{e^x + e^{-x}}

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
    >>> minidl.tanh(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])

    References
    ----------
    ``numpy.tanh``, ``torch.tanh``.
    """
    return Tanh.apply(x)


class Asinh(Operation):
    casting = "float"

    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.arcsinh(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / sqrt(x * x + 1)


def asinh(x: Any) -> Tensor:
    r"""Return the number whose hyperbolic sine each element is.

    .. math:: y = \ln(x + \sqrt{x^2 + 1})

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
    >>> minidl.asinh(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])

    References
    ----------
    ``numpy.arcsinh``, ``torch.asinh``.
    """
    return Asinh.apply(x)


arcsinh = asinh


class Acosh(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.arccosh(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / sqrt(x * x - 1)


def acosh(x: Any) -> Tensor:
    r"""Return the non-negative number whose hyperbolic cosine each element is.

    .. math:: y = \ln(x + \sqrt{x^2 - 1})

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        nan below 1.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.acosh(minidl.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])

    References
    ----------
    ``numpy.arccosh``, ``torch.acosh``.
    """
    return Acosh.apply(x)


arccosh = acosh


class Atanh(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any) -> Any:
        self.save(x)
        return self.xp.arctanh(x)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return grad / (1 - x * x)


def atanh(x: Any) -> Tensor:
    r"""Return the number whose hyperbolic tangent each element is.

    .. math:: y = \frac12 \ln\frac{1 + x}{1 - x}

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        nan outside of [-1, 1].

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.atanh(minidl.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])

    References
    ----------
    ``numpy.arctanh``, ``torch.atanh``.
    """
    return Atanh.apply(x)


arctanh = atanh
