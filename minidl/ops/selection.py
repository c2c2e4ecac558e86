"""Choosing between values: the larger, the smaller, the one that a condition selects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from minidl.autograd import Operation, Variable, guarded, wrap
from minidl.backend import device_of, namespace, to_device
from minidl.errors import ArgumentError, DTypeError, MiniDLError
from minidl.ops.arguments import takes_tensors
from minidl.ops.comparison import operand
from minidl.ops.creation import as_array

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "clamp",
    "clamp_max",
    "clamp_min",
    "clip",
    "maximum",
    "minimum",
    "where",
]


class Maximum(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x, y)
        return self.xp.maximum(x, y)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        shared = where(x == y, grad * 0.5, grad)  # a tie belongs to both
        return (
            where(x < y, 0.0, shared) if self.needs[0] else None,
            where(x > y, 0.0, shared) if self.needs[1] else None,
        )


def maximum(x: Any, y: Any) -> Tensor:
    r"""Return the larger of two tensors, element by element.

    .. math:: z = \max(x, y)

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor, the broadcast shape
        nan where either is. At a tie each gets half of the gradient.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.maximum(minidl.tensor([1.0, 5.0]), 3)
    tensor([3., 5.])

    References
    ----------
    ``numpy.maximum``, ``torch.maximum``.
    """
    return Maximum.apply(x, y)


class Minimum(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x, y)
        return self.xp.minimum(x, y)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        shared = where(x == y, grad * 0.5, grad)  # a tie belongs to both
        return (
            where(x > y, 0.0, shared) if self.needs[0] else None,
            where(x < y, 0.0, shared) if self.needs[1] else None,
        )


def minimum(x: Any, y: Any) -> Tensor:
    r"""Return the smaller of two tensors, element by element.

    .. math:: z = \min(x, y)

    Parameters
    ----------
    x, y : Tensor, array or number, shapes that broadcast

    Returns
    -------
    Tensor, the broadcast shape
        nan where either is. At a tie each gets half of the gradient.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.minimum(minidl.tensor([1.0, 5.0]), 3)
    tensor([1., 3.])

    References
    ----------
    ``numpy.minimum``, ``torch.minimum``.
    """
    return Minimum.apply(x, y)


class Clip(Operation):
    casting = "common"

    def forward(self, x: Any, low: Any, high: Any) -> Any:
        self.save(x, low, high)
        y = x if low is None else self.xp.maximum(x, low)
        return y if high is None else self.xp.minimum(y, high)

    def backward(self, grad: Any) -> Any:
        x, low, high = self.saved
        inside: Any = True
        grad_low = grad_high = None
        if high is not None:
            inside = x <= high
            if self.needs[2]:
                beyond = ~inside if low is None else (x > high) | (low > high)
                grad_high = where(beyond, grad, 0.0)
        if low is not None:
            if self.needs[1]:
                beyond = x < low if high is None else (x < low) & (low < high)
                grad_low = where(beyond, grad, 0.0)
            inside = (x >= low) & inside
        return where(inside, grad, 0.0) if self.needs[0] else None, grad_low, grad_high


@takes_tensors("x", a_min="min", a_max="max")
def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:  # noqa: A002
    r"""Return ``x`` limited to a range.

    .. math:: y = \min(\max(x, l), h)

    Parameters
    ----------
    x : Tensor or array, any shape
    min, max : number, Tensor or None, shapes that broadcast
        The smallest and largest value to return; None sets no limit. NumPy's ``a_min``, ``a_max`` are accepted.

    Returns
    -------
    Tensor, the broadcast shape
        ``max`` where ``min`` is greater. The gradient at a limit goes to ``x``.

    Raises
    ------
    ArgumentError
        If both limits are None.
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.clip(minidl.tensor([-2.0, 0.5, 3.0]), 0, 1)
    tensor([0.0000, 0.5000, 1.0000])

    References
    ----------
    ``numpy.clip``, ``torch.clamp``.
    """
    if min is None and max is None:
        raise ArgumentError("clip: both limits are None; give min, max or both")
    return Clip.apply(x, min, max)


clamp = clip


def clamp_min(x: Any, min: Any) -> Tensor:  # noqa: A002
    r"""Return ``x`` with smaller elements raised to a limit.

    .. math:: y = \max(x, l)

    Parameters
    ----------
    x : Tensor or array, any shape
    min : number or Tensor, a shape that broadcasts

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
    >>> minidl.clamp_min(minidl.tensor([-2.0, 0.5, 3.0]), 1)
    tensor([1., 1., 3.])

    References
    ----------
    ``torch.clamp_min``.
    """
    return clip(x, min)


def clamp_max(x: Any, max: Any) -> Tensor:  # noqa: A002
    r"""Return ``x`` with larger elements lowered to a limit.

    .. math:: y = \min(x, l)

    Parameters
    ----------
    x : Tensor or array, any shape
    max : number or Tensor, a shape that broadcasts

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
    >>> minidl.clamp_max(minidl.tensor([-2.0, 0.5, 3.0]), 1)
    tensor([-2.0000,  0.5000,  1.0000])

    References
    ----------
    ``torch.clamp_max``.
    """
    return clip(x, None, max)


class Where(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any, condition: Any) -> Any:
        self.save(condition)
        return self.xp.where(condition, x, y)

    def backward(self, grad: Any) -> Any:
        (chosen,) = self.saved
        return (
            where(chosen, grad, 0.0) if self.needs[0] else None,
            where(chosen, 0.0, grad) if self.needs[1] else None,
        )

    def explain(self, error: Exception, arrays: Sequence[Any]) -> MiniDLError:
        return super().explain(error, [*self._saved, *arrays])


@overload
def where(condition: Any) -> tuple[Tensor, ...]: ...
@overload
def where(condition: Any, x: Any, y: Any) -> Tensor: ...
def where(condition: Any, x: Any = None, y: Any = None) -> Tensor | tuple[Tensor, ...]:
    r"""Return ``x`` where a condition holds and ``y`` elsewhere; without both, where it holds.

    .. math:: z = \begin{cases} x & \text{if } c \\ y & \text{else} \end{cases}

    Parameters
    ----------
    condition : Tensor or array of bool, a shape that broadcasts
    x, y : Tensor, array or number, shapes that broadcast, optional
        What is not chosen gets no gradient, nor does the condition.

    Returns
    -------
    Tensor, the broadcast shape
        Without ``x`` and ``y``, a tuple: for each axis the indices of the elements that are not 0.

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    DTypeError
        If the condition is not of booleans, or an argument not numeric.
    ArgumentError
        If one of ``x`` and ``y`` is missing.

    Examples
    --------
    >>> import minidl
    >>> minidl.where(minidl.tensor([True, False]), minidl.tensor([1.0, 2.0]), 0)
    tensor([1., 0.])
    >>> minidl.where(minidl.tensor([0, 7, 8]))
    (tensor([1, 2]),)

    References
    ----------
    ``numpy.where``, ``torch.where``.
    """
    traced = isinstance(condition, Variable)
    chosen = operand(condition, "where")
    if x is None and y is None:
        indices = namespace(chosen).nonzero(chosen if chosen.ndim else chosen.reshape(1))
        return tuple(map(wrap, indices)) if traced else indices
    if x is None or y is None:
        raise ArgumentError("where: got one of x and y; pass both to choose between them, or none to get indices")
    if chosen.dtype.kind != "b":
        raise DTypeError(f"where: the condition is {chosen.dtype}, expected bool; write a comparison: condition != 0")
    if not traced:  # an array of the host, or of the tensors' device
        chosen = next((to_device(chosen, device_of(z.array)) for z in (x, y) if isinstance(z, Variable)), chosen)
    elif not isinstance(x, Variable) and not isinstance(y, Variable):
        x = wrap(as_array(x, device=device_of(chosen), copy=False))  # so that a tensor comes back
    return guarded(Where.apply(x, y, condition=chosen), condition)
