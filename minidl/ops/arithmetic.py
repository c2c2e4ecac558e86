"""Arithmetic: sum, difference, product, quotient, remainder, and mixtures of them. All broadcast as NumPy does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation
from minidl.backend import quiet
from minidl.errors import ArgumentError
from minidl.ops.arguments import into

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "add",
    "addcdiv",
    "addcmul",
    "div",
    "divide",
    "floor_divide",
    "fmod",
    "lerp",
    "mod",
    "mul",
    "multiply",
    "neg",
    "negative",
    "reciprocal",
    "remainder",
    "sub",
    "subtract",
    "true_divide",
]


class Add(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        return x + y

    def backward(self, grad: Any) -> Any:
        return grad, grad


def add(x: Any, y: Any, *, alpha: float = 1, out: Any = None) -> Tensor:
    r"""Return the sum of two tensors.

    .. math:: z = x + \alpha y

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
    alpha : float
        A factor for ``y``.
    out : Tensor, optional
        Where to write the result, which has its shape.

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
    z = Add.apply(x, y if alpha == 1 else mul(y, alpha))
    return z if out is None else into(out, z, "add")


class Sub(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        return x - y

    def backward(self, grad: Any) -> Any:
        return grad, -grad if self.needs[1] else None


def sub(x: Any, y: Any, *, alpha: float = 1, out: Any = None) -> Tensor:
    r"""Return the difference of two tensors.

    .. math:: z = x - \alpha y

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
    alpha : float
        A factor for ``y``.
    out : Tensor, optional
        Where to write the result, which has its shape.

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
    z = Sub.apply(x, y if alpha == 1 else mul(y, alpha))
    return z if out is None else into(out, z, "sub")


class Mul(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x if self.needs[1] else None, y if self.needs[0] else None)
        return x * y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        return grad * y if self.needs[0] else None, grad * x if self.needs[1] else None


def mul(x: Any, y: Any, *, out: Any = None) -> Tensor:
    r"""Return the product of two tensors, element by element.

    .. math:: z = x y

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
    out : Tensor, optional
        Where to write the result, which has its shape.

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
    z = Mul.apply(x, y)
    return z if out is None else into(out, z, "mul")


class Div(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, y: Any) -> Any:
        self.save(x if self.needs[1] else None, y)
        return x / y

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        grad_x = grad / y
        return grad_x, -grad_x * x / y if self.needs[1] else None


def div(x: Any, y: Any, *, rounding_mode: str | None = None, out: Any = None) -> Tensor:
    r"""Return the quotient of two tensors, element by element; integers divide to floats.

    .. math:: z = x / y

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
    rounding_mode : {None, "floor", "trunc"}
        Round down, or toward zero; integers then stay integers, and there is no gradient.
    out : Tensor, optional
        Where to write the result, which has its shape.

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
    ArgumentError
        If ``rounding_mode`` is unknown, or integers are rounded that were divided by zero.

    Examples
    --------
    >>> import minidl
    >>> minidl.div(minidl.tensor([1, 2]), 4)
    tensor([0.2500, 0.5000])

    References
    ----------
    ``numpy.true_divide``, ``torch.div``.
    """
    if rounding_mode is None:
        z = Div.apply(x, y)
    elif rounding_mode == "floor":
        z = floor_divide(x, y)
    elif rounding_mode == "trunc":
        z = TruncDivide.apply(x, y)
    else:
        raise ArgumentError(f"div: unknown rounding_mode {rounding_mode!r}; expected None, 'floor' or 'trunc'")
    return z if out is None else into(out, z, "div")


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


subtract = sub
multiply = mul
divide = true_divide = div
negative = neg


def is_integer(x: Any) -> bool:
    """Whether a number or the elements of an array are integers."""
    return x.dtype.kind in "iub" if hasattr(x, "dtype") else isinstance(x, int)


def check_divisor(name: str, x: Any, y: Any, xp: Any) -> None:
    """Raise an ArgumentError where integers would be divided by zero: they have no inf to answer with."""
    if is_integer(y) and is_integer(x) and bool((xp.asarray(y) == 0).any()):
        raise ArgumentError(f"{name}: integer division by zero; convert to floats first (x.float()), or mask the zeros")


class FloorDivide(Operation):
    casting = "common"
    differentiable = False

    @quiet
    def forward(self, x: Any, y: Any) -> Any:
        check_divisor(self.name, x, y, self.xp)
        return x // y


def floor_divide(x: Any, y: Any) -> Tensor:
    r"""Return the quotient of two tensors, rounded down to an integer.

    .. math:: z = \lfloor x / y \rfloor

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor, the broadcast shape
        Integers stay integers. Never requires gradients: they are zero wherever there are any.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.
    ArgumentError
        If integers are divided by zero.

    Examples
    --------
    >>> import minidl
    >>> minidl.floor_divide(minidl.tensor([7, -7]), 2)
    tensor([ 3, -4])

    References
    ----------
    ``numpy.floor_divide``, ``torch.floor_divide``.
    """
    return FloorDivide.apply(x, y)


class TruncDivide(Operation):
    """The quotient rounded toward zero, as C has it; see ``div``."""

    casting = "common"
    differentiable = False

    @quiet
    def forward(self, x: Any, y: Any) -> Any:
        check_divisor(self.name, x, y, self.xp)
        if is_integer(x) and is_integer(y):
            return (x - self.xp.fmod(x, y)) // y
        return self.xp.trunc(x / y)


class Remainder(Operation):
    casting = "common"

    @quiet
    def forward(self, x: Any, y: Any) -> Any:
        check_divisor(self.name, x, y, self.xp)
        self.save(x, y)
        return self.xp.remainder(x, y)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        return grad, -grad * floor_divide(x, y) if self.needs[1] else None


def remainder(x: Any, y: Any) -> Tensor:
    r"""Return the remainder of a division, which has the sign of ``y``.

    .. math:: z = x - y \lfloor x / y \rfloor

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
    ArgumentError
        If integers are divided by zero.

    Examples
    --------
    >>> import minidl
    >>> minidl.remainder(minidl.tensor([7.0, -7.0]), 3)
    tensor([1., 2.])

    References
    ----------
    ``numpy.remainder``, ``torch.remainder``.
    """
    return Remainder.apply(x, y)


mod = remainder


class Fmod(Operation):
    casting = "common"

    @quiet
    def forward(self, x: Any, y: Any) -> Any:
        check_divisor(self.name, x, y, self.xp)
        self.save(x, y)
        return self.xp.fmod(x, y)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        return grad, -grad * TruncDivide.apply(x, y) if self.needs[1] else None


def fmod(x: Any, y: Any) -> Tensor:
    r"""Return the remainder of a division, which has the sign of ``x``.

    .. math:: z = x - y \operatorname{trunc}(x / y)

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
    ArgumentError
        If integers are divided by zero.

    Examples
    --------
    >>> import minidl
    >>> minidl.fmod(minidl.tensor([7.0, -7.0]), 3)
    tensor([ 1., -1.])

    References
    ----------
    ``numpy.fmod``, ``torch.fmod``.
    """
    return Fmod.apply(x, y)


def reciprocal(x: Any) -> Tensor:
    r"""Return the reciprocal of each element.

    .. math:: y = 1 / x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        inf at 0. Integers give floats.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.reciprocal(minidl.tensor([2.0, 4.0]))
    tensor([0.5000, 0.2500])

    References
    ----------
    ``numpy.reciprocal``, ``torch.reciprocal``.
    """
    return div(1, x)


class Lerp(Operation):
    casting = "common"

    def forward(self, start: Any, end: Any, weight: Any) -> Any:
        ends = self.needs[2]  # what the gradient of the weight needs
        self.save(start if ends else None, end if ends else None, weight)
        span = end - start
        near = start + weight * span
        far = end - (1 - weight) * span  # the end itself at weight 1, which start + (end - start) may miss
        if isinstance(weight, (int, float)):
            return near if abs(weight) < 0.5 else far
        return self.xp.where(abs(weight) < 0.5, near, far)

    def backward(self, grad: Any) -> Any:
        start, end, weight = self.saved
        return (
            grad * (1 - weight) if self.needs[0] else None,
            grad * weight if self.needs[1] else None,
            grad * (end - start) if self.needs[2] else None,
        )


def lerp(start: Any, end: Any, weight: Any) -> Tensor:
    r"""Return the point at some part of the way from one tensor to another.

    .. math:: z = x + w (y - x)

    Parameters
    ----------
    start, end : Tensor, array or number, shapes that broadcast
    weight : Tensor, array or number, a shape that broadcasts
        0 gives ``start``, 1 gives ``end``.

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
    >>> minidl.lerp(minidl.tensor([0.0, 10.0]), minidl.tensor([4.0, 20.0]), 0.5)
    tensor([ 2., 15.])

    References
    ----------
    ``torch.lerp``.
    """
    return Lerp.apply(start, end, weight)


def addcmul(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    r"""Return ``x`` plus a multiple of the product of two tensors.

    .. math:: z = x + v a b

    Parameters
    ----------
    x, tensor1, tensor2 : Tensor, array or number, shapes that broadcast
    value : float
        The factor.

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
    >>> minidl.addcmul(minidl.tensor([1.0, 2.0]), minidl.tensor([4.0, 6.0]), minidl.tensor([2.0, 3.0]), value=10)
    tensor([ 81., 182.])

    References
    ----------
    ``torch.addcmul``.
    """
    return add(x, mul(tensor1, tensor2), alpha=value)


def addcdiv(x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Tensor:
    r"""Return ``x`` plus a multiple of the quotient of two tensors.

    .. math:: z = x + v a / b

    Parameters
    ----------
    x, tensor1, tensor2 : Tensor, array or number, shapes that broadcast
    value : float
        The factor.

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
    >>> minidl.addcdiv(minidl.tensor([1.0, 2.0]), minidl.tensor([4.0, 6.0]), minidl.tensor([2.0, 3.0]), value=10)
    tensor([21., 22.])

    References
    ----------
    ``torch.addcdiv``.
    """
    return add(x, div(tensor1, tensor2), alpha=value)
