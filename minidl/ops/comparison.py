"""Comparisons, and logic on their results. None of these has a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation, Variable
from minidl.backend import CPU, device_of, gpu_in_use, is_array, there
from minidl.errors import DeviceError, DTypeError, MiniDLError
from minidl.ops.creation import as_array

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "allclose",
    "array_equal",
    "bitwise_and",
    "bitwise_left_shift",
    "bitwise_not",
    "bitwise_or",
    "bitwise_right_shift",
    "bitwise_xor",
    "eq",
    "equal",
    "ge",
    "greater",
    "greater_equal",
    "gt",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "le",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "lt",
    "ne",
    "not_equal",
]


def operand(x: Any, name: str) -> Any:
    """Return the array of a tensor, an array as it is, a number or a list as an array."""
    if isinstance(x, Variable):
        return x.array
    return x if is_array(x) else as_array(x, copy=False, name=name)


class Eq(Operation):
    casting = "common"
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return x == y


def eq(x: Any, y: Any) -> Tensor:
    r"""Return where ``x`` equals ``y``, element by element.

    .. math:: z = [x = y]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.eq(minidl.tensor([1.0, 2.0, 3.0]), 2)
    tensor([False,  True, False])

    References
    ----------
    ``numpy.equal``, ``torch.eq``.
    """
    return Eq.apply(x, y)


class Ne(Operation):
    casting = "common"
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return x != y


def ne(x: Any, y: Any) -> Tensor:
    r"""Return where ``x`` differs from ``y``, element by element.

    .. math:: z = [x \ne y]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.ne(minidl.tensor([1.0, 2.0, 3.0]), 2)
    tensor([ True, False,  True])

    References
    ----------
    ``numpy.not_equal``, ``torch.ne``.
    """
    return Ne.apply(x, y)


not_equal = ne


class Lt(Operation):
    casting = "common"
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return x < y


def lt(x: Any, y: Any) -> Tensor:
    r"""Return where ``x`` is less than ``y``, element by element.

    .. math:: z = [x < y]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.lt(minidl.tensor([1.0, 2.0, 3.0]), 2)
    tensor([ True, False, False])

    References
    ----------
    ``numpy.less``, ``torch.lt``.
    """
    return Lt.apply(x, y)


less = lt


class Le(Operation):
    casting = "common"
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return x <= y


def le(x: Any, y: Any) -> Tensor:
    r"""Return where ``x`` is at most ``y``, element by element.

    .. math:: z = [x \le y]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.le(minidl.tensor([1.0, 2.0, 3.0]), 2)
    tensor([ True,  True, False])

    References
    ----------
    ``numpy.less_equal``, ``torch.le``.
    """
    return Le.apply(x, y)


less_equal = le


class Gt(Operation):
    casting = "common"
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return x > y


def gt(x: Any, y: Any) -> Tensor:
    r"""Return where ``x`` is greater than ``y``, element by element.

    .. math:: z = [x > y]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.gt(minidl.tensor([1.0, 2.0, 3.0]), 2)
    tensor([False, False,  True])

    References
    ----------
    ``numpy.greater``, ``torch.gt``.
    """
    return Gt.apply(x, y)


greater = gt


class Ge(Operation):
    casting = "common"
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return x >= y


def ge(x: Any, y: Any) -> Tensor:
    r"""Return where ``x`` is at least ``y``, element by element.

    .. math:: z = [x \ge y]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.ge(minidl.tensor([1.0, 2.0, 3.0]), 2)
    tensor([False,  True,  True])

    References
    ----------
    ``numpy.greater_equal``, ``torch.ge``.
    """
    return Ge.apply(x, y)


greater_equal = ge


class Isnan(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        return self.xp.isnan(x)


def isnan(x: Any) -> Tensor:
    r"""Return where an element is nan (not a number).

    .. math:: y = [x \ne x]

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor of bool, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.isnan(minidl.tensor([1.0, float("nan"), float("inf")]))
    tensor([False,  True, False])

    References
    ----------
    ``numpy.isnan``, ``torch.isnan``.
    """
    return Isnan.apply(x)


class Isinf(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        return self.xp.isinf(x)


def isinf(x: Any) -> Tensor:
    r"""Return where an element is inf or -inf.

    .. math:: y = [|x| = \infty]

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor of bool, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.isinf(minidl.tensor([1.0, float("nan"), float("inf")]))
    tensor([False, False,  True])

    References
    ----------
    ``numpy.isinf``, ``torch.isinf``.
    """
    return Isinf.apply(x)


class Isfinite(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        return self.xp.isfinite(x)


def isfinite(x: Any) -> Tensor:
    r"""Return where an element is a finite number.

    .. math:: y = [|x| < \infty]

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor of bool, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.isfinite(minidl.tensor([1.0, float("nan"), float("inf")]))
    tensor([ True, False, False])

    References
    ----------
    ``numpy.isfinite``, ``torch.isfinite``.
    """
    return Isfinite.apply(x)


class Isclose(Operation):
    casting = "common"
    differentiable = False

    def forward(self, x: Any, y: Any, rtol: float, atol: float, equal_nan: bool) -> Any:
        return self.xp.isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)


def isclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    r"""Return where two tensors are equal up to rounding; equal infinities are.

    .. math:: z = [|x - y| \le a + r |y|]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
    rtol, atol : float
        How far apart two elements may be: relative to ``y``, and absolutely.
    equal_nan : bool
        Whether nan counts as close to nan.

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.isclose(minidl.tensor([1.0, 2.0]), minidl.tensor([1.000001, 2.1]))
    tensor([ True, False])

    References
    ----------
    ``numpy.isclose``, ``torch.isclose``.
    """
    return Isclose.apply(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    r"""Tell whether two tensors are equal up to rounding, everywhere.

    .. math:: \bigwedge_i \; |x_i - y_i| \le a + r |y_i|

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast
    rtol, atol : float
        How far apart two elements may be: relative to ``y``, and absolutely.
    equal_nan : bool
        Whether nan counts as close to nan.

    Returns
    -------
    bool

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.allclose(minidl.tensor([1.0, 2.0]), minidl.tensor([1.000001, 2.0]))
    True

    References
    ----------
    ``numpy.allclose``, ``torch.allclose``.
    """
    close = isclose(x, y, rtol, atol, equal_nan)
    return bool(operand(close, "allclose").all())


def equal(x: Any, y: Any) -> bool:
    r"""Tell whether two tensors have the same shape and the same elements.

    .. math:: \bigwedge_i \; x_i = y_i

    Parameters
    ----------
    x, y : Tensor or array, any shape

    Returns
    -------
    bool
        False if the shapes differ. Elements, as in PyTorch, by element: ``eq``.

    Raises
    ------
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.equal(minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 2.0]))
    True

    References
    ----------
    ``numpy.array_equal``, ``torch.equal``.
    """
    tensors = isinstance(x, Variable) and isinstance(y, Variable)
    x, y = operand(x, "equal"), operand(y, "equal")
    if gpu_in_use() and device_of(x) != device_of(y):
        if tensors:
            first, second = device_of(x), device_of(y)
            raise DeviceError(f"equal: one tensor lives on {first}, the other on {second}; move one: y.to('{first}')")
        x, y = (as_array(a, device=CPU, copy=False, name="equal") for a in (x, y))
    with there(x):
        return x.shape == y.shape and bool((x == y).all())


array_equal = equal


class LogicalAnd(Operation):
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return self.xp.logical_and(x, y)


def logical_and(x: Any, y: Any) -> Tensor:
    r"""Return the logical and of two tensors; what is not 0 is true.

    .. math:: z = [x \ne 0] \land [y \ne 0]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.logical_and(minidl.tensor([True, True, False]), minidl.tensor([True, False, False]))
    tensor([ True, False, False])

    References
    ----------
    ``numpy.logical_and``, ``torch.logical_and``.
    """
    return LogicalAnd.apply(x, y)


class LogicalOr(Operation):
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return self.xp.logical_or(x, y)


def logical_or(x: Any, y: Any) -> Tensor:
    r"""Return the logical or of two tensors; what is not 0 is true.

    .. math:: z = [x \ne 0] \lor [y \ne 0]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.logical_or(minidl.tensor([True, True, False]), minidl.tensor([True, False, False]))
    tensor([ True,  True, False])

    References
    ----------
    ``numpy.logical_or``, ``torch.logical_or``.
    """
    return LogicalOr.apply(x, y)


class LogicalXor(Operation):
    differentiable = False

    def forward(self, x: Any, y: Any) -> Any:
        return self.xp.logical_xor(x, y)


def logical_xor(x: Any, y: Any) -> Tensor:
    r"""Return the logical exclusive or of two tensors; what is not 0 is true.

    .. math:: z = [x \ne 0] \oplus [y \ne 0]

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor of bool, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.logical_xor(minidl.tensor([True, True, False]), minidl.tensor([True, False, False]))
    tensor([False,  True, False])

    References
    ----------
    ``numpy.logical_xor``, ``torch.logical_xor``.
    """
    return LogicalXor.apply(x, y)


class LogicalNot(Operation):
    differentiable = False

    def forward(self, x: Any) -> Any:
        return self.xp.logical_not(x)


def logical_not(x: Any) -> Tensor:
    r"""Return where an element is 0.

    .. math:: y = [x = 0]

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor of bool, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.logical_not(minidl.tensor([True, False]))
    tensor([False,  True])

    References
    ----------
    ``numpy.logical_not``, ``torch.logical_not``.
    """
    return LogicalNot.apply(x)


class Bitwise(Operation, register=False):
    """What the operations on bits share: integers and booleans only."""

    casting = "common"
    differentiable = False

    def explain(self, error: Exception, arrays: Sequence[Any]) -> MiniDLError:
        dtypes = [str(a.dtype) if is_array(a) else type(a).__name__ for a in arrays]
        if isinstance(error, TypeError):
            return DTypeError(
                f"{self.name}: expected integers or booleans, got {' and '.join(dtypes)}; compare floats first (x > 0)"
            )
        return super().explain(error, arrays)


class BitwiseAnd(Bitwise):
    def forward(self, x: Any, y: Any) -> Any:
        return x & y


def bitwise_and(x: Any, y: Any) -> Tensor:
    r"""Return the and of the bits of two tensors: of booleans, the logical one.

    .. math:: z = x \mathbin{\&} y

    Parameters
    ----------
    x, y : Tensor, array or number, of integers or booleans, shapes that broadcast

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not of integers or booleans.

    Examples
    --------
    >>> import minidl
    >>> minidl.bitwise_and(minidl.tensor([1, 2, 3]), 2)
    tensor([0, 2, 2])

    References
    ----------
    ``numpy.bitwise_and``, ``torch.bitwise_and``.
    """
    return BitwiseAnd.apply(x, y)


class BitwiseOr(Bitwise):
    def forward(self, x: Any, y: Any) -> Any:
        return x | y


def bitwise_or(x: Any, y: Any) -> Tensor:
    r"""Return the or of the bits of two tensors: of booleans, the logical one.

    .. math:: z = x \mathbin{|} y

    Parameters
    ----------
    x, y : Tensor, array or number, of integers or booleans, shapes that broadcast

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not of integers or booleans.

    Examples
    --------
    >>> import minidl
    >>> minidl.bitwise_or(minidl.tensor([1, 2, 3]), 2)
    tensor([3, 2, 3])

    References
    ----------
    ``numpy.bitwise_or``, ``torch.bitwise_or``.
    """
    return BitwiseOr.apply(x, y)


class BitwiseXor(Bitwise):
    def forward(self, x: Any, y: Any) -> Any:
        return x ^ y


def bitwise_xor(x: Any, y: Any) -> Tensor:
    r"""Return the exclusive or of the bits of two tensors: of booleans, the logical one.

    .. math:: z = x \oplus y

    Parameters
    ----------
    x, y : Tensor, array or number, of integers or booleans, shapes that broadcast

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not of integers or booleans.

    Examples
    --------
    >>> import minidl
    >>> minidl.bitwise_xor(minidl.tensor([1, 2, 3]), 2)
    tensor([3, 0, 1])

    References
    ----------
    ``numpy.bitwise_xor``, ``torch.bitwise_xor``.
    """
    return BitwiseXor.apply(x, y)


class BitwiseNot(Bitwise):
    def forward(self, x: Any) -> Any:
        return ~x


def bitwise_not(x: Any) -> Tensor:
    r"""Return ``x`` with every bit inverted: of booleans, the logical not.

    .. math:: y = \lnot x

    Parameters
    ----------
    x : Tensor or array, of integers or booleans, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not of integers or booleans.

    Examples
    --------
    >>> import minidl
    >>> minidl.bitwise_not(minidl.tensor([True, False]))
    tensor([False,  True])

    References
    ----------
    ``numpy.invert``, ``torch.bitwise_not``.
    """
    return BitwiseNot.apply(x)


class BitwiseLeftShift(Bitwise):
    def forward(self, x: Any, y: Any) -> Any:
        return x << y


def bitwise_left_shift(x: Any, y: Any) -> Tensor:
    r"""Shift the bits of integers to the left: each step doubles it.

    .. math:: z = x \cdot 2^y

    Parameters
    ----------
    x, y : Tensor, array or number, of integers, shapes that broadcast
        ``y``, by how many bits, is not negative.

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not of integers.

    Examples
    --------
    >>> import minidl
    >>> minidl.bitwise_left_shift(minidl.tensor([1, 2]), 2)
    tensor([4, 8])

    References
    ----------
    ``numpy.left_shift``, ``torch.bitwise_left_shift``.
    """
    return BitwiseLeftShift.apply(x, y)


class BitwiseRightShift(Bitwise):
    def forward(self, x: Any, y: Any) -> Any:
        return x >> y


def bitwise_right_shift(x: Any, y: Any) -> Tensor:
    r"""Shift the bits of integers to the right: each step halves it, rounding down.

    .. math:: z = \lfloor x / 2^y \rfloor

    Parameters
    ----------
    x, y : Tensor, array or number, of integers, shapes that broadcast
        ``y``, by how many bits, is not negative.

    Returns
    -------
    Tensor, the broadcast shape

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not of integers.

    Examples
    --------
    >>> import minidl
    >>> minidl.bitwise_right_shift(minidl.tensor([3, 4]), 2)
    tensor([0, 1])

    References
    ----------
    ``numpy.right_shift``, ``torch.bitwise_right_shift``.
    """
    return BitwiseRightShift.apply(x, y)
