"""Arithmetic: sum, difference, product, quotient, power, and their relatives. All broadcast as NumPy does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation
from minidl.backend import quiet

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["add", "div", "mul", "neg", "sub"]


class Add(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        return x + y

    def backward(self, grad: Any) -> Any:
        return grad, grad


def add(x: Any, y: Any, *, alpha: float = 1) -> Tensor:
    r"""Return the sum of two tensors.

    .. math:: z = x + \alpha y

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
    alpha : float
        A factor for ``y``.

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
    >>> minidl.add(minidl.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])

    References
    ----------
    ``numpy.add``, ``torch.add``.
    """
    return Add.apply(x, y if alpha == 1 else mul(y, alpha))


class Sub(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        return x - y

    def backward(self, grad: Any) -> Any:
        return grad, -grad if self.needs[1] else None


def sub(x: Any, y: Any, *, alpha: float = 1) -> Tensor:
    r"""Return the difference of two tensors.

    .. math:: z = x - \alpha y

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
    alpha : float
        A factor for ``y``.

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
    >>> minidl.sub(minidl.tensor([1.0, 2.0]), 10)
    tensor([-9., -8.])

    References
    ----------
    ``numpy.subtract``, ``torch.sub``.
    """
    return Sub.apply(x, y if alpha == 1 else mul(y, alpha))


class Mul(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x if self.needs[1] else None, y if self.needs[0] else None)
        return x * y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        return grad * y if self.needs[0] else None, grad * x if self.needs[1] else None


def mul(x: Any, y: Any) -> Tensor:
    r"""Return the product of two tensors, element by element.

    .. math:: z = x y

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
    >>> minidl.mul(minidl.tensor([1.0, 2.0]), 10)
    tensor([10., 20.])

    References
    ----------
    ``numpy.multiply``, ``torch.mul``.
    """
    return Mul.apply(x, y)


class Div(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, y: Any) -> Any:
        self.save(x if self.needs[1] else None, y)
        return x / y

    @quiet
    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        grad_x = grad / y
        return grad_x, -grad_x * x / y if self.needs[1] else None


def div(x: Any, y: Any) -> Tensor:
    r"""Return the quotient of two tensors, element by element; integers divide to floats.

    .. math:: z = x / y

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor, the broadcast shape
        Division by zero gives inf or nan, as IEEE 754 has it.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.div(minidl.tensor([1, 2]), 4)
    tensor([0.2500, 0.5000])

    References
    ----------
    ``numpy.true_divide``, ``torch.div``.
    """
    return Div.apply(x, y)


class Neg(Operation):
    def forward(self, x: Any) -> Any:
        return -x

    def backward(self, grad: Any) -> Any:
        return -grad


def neg(x: Any) -> Tensor:
    r"""Return the negative of a tensor.

    .. math:: y = -x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is boolean.

    Examples
    --------
    >>> import minidl
    >>> minidl.neg(minidl.tensor([1.0, -2.0]))
    tensor([-1.,  2.])

    References
    ----------
    ``numpy.negative``, ``torch.neg``.
    """
    return Neg.apply(x)
