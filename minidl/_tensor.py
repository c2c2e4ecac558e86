"""The Tensor: a :class:`minidl.autograd.Variable` with operators and methods.

Each line of the class body names the operation behind a method: to read what ``x.exp()`` does, open ``ops`` at
``exp``. The few methods that are no operations (printing, moving to NumPy, the graph) are written out below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import autograd, ops
from minidl._tensor_inplace import InPlace
from minidl.autograd import Variable
from minidl.autograd.variable import check_may_require_grad
from minidl.backend import Device, device_of, is_array
from minidl.errors import DTypeError, GradError, ShapeError
from minidl.formatting import format_tensor


def is_operand(x: Any) -> bool:
    """Whether a tensor can be compared with ``x`` element by element; ``==`` leaves anything else to Python."""
    return isinstance(x, (Variable, int, float, np.generic, list, tuple)) or is_array(x)


class Tensor(InPlace, Variable, root=True):
    """An array of numbers that remembers how it was computed, so that it can be differentiated.

    .. math:: y = f(x) \\;\\Rightarrow\\; \\bar x = \\bar y \\, \\frac{\\partial f}{\\partial x}

    Parameters
    ----------
    data : number, nested lists, array or Tensor, any shape
        As for :func:`minidl.tensor`.
    dtype : dtype, optional
    device : Device or str, optional
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, the shape of ``data``

    Raises
    ------
    ShapeError
        If nested lists are ragged.
    DTypeError
        If ``data`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])

    References
    ----------
    ``torch.Tensor``, ``numpy.ndarray``.
    """

    __array_priority__ = 1000
    __array_ufunc__ = None  # array + tensor is the tensor's business
    __hash__ = Variable.__hash__  # == compares elements; identity is what hashes

    def __init__(self, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> None:
        self.array = ops.creation.as_array(data, dtype, device)
        self.counter = [0]
        if requires_grad:
            self.requires_grad = True

    # ------------------------------------------------------------------ operators (in place: _tensor_inplace.py)

    __add__ = ops.add
    __sub__ = ops.sub
    __mul__ = ops.mul
    __truediv__ = ops.div
    __floordiv__ = ops.floor_divide
    __mod__ = ops.remainder
    __pow__ = ops.pow
    __and__ = ops.bitwise_and
    __or__ = ops.bitwise_or
    __xor__ = ops.bitwise_xor
    __neg__ = ops.neg
    __abs__ = ops.abs
    __invert__ = ops.bitwise_not
    __round__ = ops.round
    __lt__ = ops.lt
    __le__ = ops.le
    __gt__ = ops.gt
    __ge__ = ops.ge

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return ops.eq(self, other) if is_operand(other) else NotImplemented

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return ops.ne(self, other) if is_operand(other) else NotImplemented

    def __pos__(self) -> Tensor:
        return self

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.sub(other, self)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.mul(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.div(other, self)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.remainder(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.pow(other, self)

    def __rand__(self, other: Any) -> Tensor:
        return ops.bitwise_and(other, self)

    def __ror__(self, other: Any) -> Tensor:
        return ops.bitwise_or(other, self)

    def __rxor__(self, other: Any) -> Tensor:
        return ops.bitwise_xor(other, self)

    # ------------------------------------------------------------------ arithmetic.py, powers.py

    add = ops.add
    sub = ops.sub
    subtract = ops.subtract
    mul = ops.mul
    multiply = ops.multiply
    div = ops.div
    divide = ops.divide
    true_divide = ops.true_divide
    floor_divide = ops.floor_divide
    remainder = ops.remainder
    fmod = ops.fmod
    neg = ops.neg
    negative = ops.negative
    reciprocal = ops.reciprocal
    lerp = ops.lerp
    addcmul = ops.addcmul
    addcdiv = ops.addcdiv
    pow = ops.pow
    square = ops.square
    sqrt = ops.sqrt
    rsqrt = ops.rsqrt
    exp = ops.exp
    expm1 = ops.expm1
    log = ops.log
    log1p = ops.log1p
    log2 = ops.log2
    log10 = ops.log10
    logaddexp = ops.logaddexp

    # ------------------------------------------------------------------ elementwise.py, selection.py, trigonometry.py

    abs = ops.abs
    absolute = ops.absolute
    sign = ops.sign
    sigmoid = ops.sigmoid
    erf = ops.erf
    round = ops.round
    floor = ops.floor
    ceil = ops.ceil
    trunc = ops.trunc
    fix = ops.fix
    nan_to_num = ops.nan_to_num
    maximum = ops.maximum
    minimum = ops.minimum
    clip = ops.clip
    clamp = ops.clamp
    clamp_min = ops.clamp_min
    clamp_max = ops.clamp_max
    sin = ops.sin
    cos = ops.cos
    tan = ops.tan
    asin = ops.asin
    arcsin = ops.arcsin
    acos = ops.acos
    arccos = ops.arccos
    atan = ops.atan
    arctan = ops.arctan
    atan2 = ops.atan2
    arctan2 = ops.arctan2
    sinh = ops.sinh
    cosh = ops.cosh
    tanh = ops.tanh
    asinh = ops.asinh
    arcsinh = ops.arcsinh
    acosh = ops.acosh
    arccosh = ops.arccosh
    atanh = ops.atanh
    arctanh = ops.arctanh

    def where(self, condition: Any, other: Any) -> Tensor:
        """Return this tensor where ``condition`` holds and ``other`` elsewhere, see :func:`minidl.where`."""
        return ops.where(condition, self, other)

    # ------------------------------------------------------------------ comparison.py

    eq = ops.eq
    ne = ops.ne
    not_equal = ops.not_equal
    lt = ops.lt
    less = ops.less
    le = ops.le
    less_equal = ops.less_equal
    gt = ops.gt
    greater = ops.greater
    ge = ops.ge
    greater_equal = ops.greater_equal
    isnan = ops.isnan
    isinf = ops.isinf
    isfinite = ops.isfinite
    isclose = ops.isclose
    allclose = ops.allclose
    equal = ops.equal
    logical_and = ops.logical_and
    logical_or = ops.logical_or
    logical_xor = ops.logical_xor
    logical_not = ops.logical_not
    bitwise_and = ops.bitwise_and
    bitwise_or = ops.bitwise_or
    bitwise_xor = ops.bitwise_xor
    bitwise_not = ops.bitwise_not

    # ------------------------------------------------------------------ activations.py

    # ------------------------------------------------------------------ reductions.py

    sum = ops.sum

    # ------------------------------------------------------------------ shape.py

    broadcast_to = ops.broadcast_to
    reshape = ops.reshape

    # ------------------------------------------------------------------ indexing.py, sorting.py

    # ------------------------------------------------------------------ linalg.py

    # ------------------------------------------------------------------ the array

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        ops.indexing.assign(self, index, value)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return self.array.dtype

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return device_of(self.array)

    def __repr__(self) -> str:
        return format_tensor(self)

    astype = autograd.cast

    def detach(self) -> Tensor:
        """Return a tensor with the same memory that is cut off from the graph."""
        out = autograd.wrap(self.array)
        out.counter = self.counter
        return out

    def item(self) -> Any:
        """Return the one element as a Python number."""
        if self.array.size != 1:
            raise ShapeError(f"item: the tensor has {self.array.size} elements (shape {self.shape}), expected one")
        return self.array.item()

    # ------------------------------------------------------------------ the graph

    @property
    def requires_grad(self) -> bool:
        """Whether gradients with respect to this tensor are recorded."""
        if self._view is not None:
            self._view.refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None:
            if not value:
                raise GradError("requires_grad: only a leaf can be switched off; use x.detach() for a result")
            return
        if value:
            check_may_require_grad(self.array)
            if self.counter is None:
                raise GradError("requires_grad: a tensor made in inference mode cannot; clone() it outside first")
        self._requires_grad = bool(value)

    @property
    def grad(self) -> Tensor | None:
        """The gradient accumulated by :meth:`backward`, of this tensor's shape; None before."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Variable):
                raise DTypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
            if value.array.shape != self.array.shape:
                raise ShapeError(f"grad: a gradient of shape {value.array.shape} for a tensor of shape {self.shape}")
        self._grad = value

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Accumulate into every leaf's ``.grad`` the gradient of this tensor with respect to it.

        Parameters
        ----------
        gradient : Tensor or array, the shape of this tensor, optional
            What to start from; a scalar starts from 1.
        retain_graph : bool, optional
            Keep the graph for another pass. Defaults to ``create_graph``.
        create_graph : bool
            Record the computation of the gradients, so that they can be differentiated in turn.

        Raises
        ------
        GradError
            If the tensor has no graph, is no scalar and ``gradient`` is missing, or the graph was freed.
        ShapeError
            If ``gradient`` does not have this tensor's shape.
        """
        autograd.backward([self], [gradient], retain_graph=retain_graph, create_graph=create_graph)
