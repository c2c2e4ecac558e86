"""The Tensor: a :class:`minidl.autograd.Variable` with operators and methods.

Each line of the class body names the operation behind a method: to read what ``x.exp()`` does, open ``ops`` at
``exp``. The few methods that are no operations (printing, moving to NumPy, the graph) are written out below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import ops
from minidl._tensor_conversion import Conversion
from minidl._tensor_graph import Graph
from minidl._tensor_inplace import InPlace
from minidl._tensor_numpy import NumPy
from minidl.autograd import Variable
from minidl.backend import default_dtype, is_array
from minidl.formatting import format_tensor


def is_operand(x: Any) -> bool:
    """Whether a tensor can be compared with ``x`` element by element; ``==`` leaves anything else to Python."""
    return isinstance(x, (Variable, int, float, np.generic, list, tuple)) or is_array(x)


class Tensor(InPlace, NumPy, Conversion, Graph, root=True):
    """An array of numbers that remembers how it was computed, so that it can be differentiated.

    .. math:: y = f(x) \\;\\Rightarrow\\; \\bar x = \\bar y \\, \\frac{\\partial f}{\\partial x}

    Parameters
    ----------
    *data : nested lists, array or Tensor, any shape; or sizes
        What it holds, copied. Sizes, as ``Tensor(2, 3)``, leave its numbers to chance, as :func:`minidl.empty` does.
        :func:`minidl.tensor` is the function to write: it takes numbers, and keeps integers integers.
    dtype : dtype, optional
        Defaults to float32, whatever ``data`` holds (see :func:`set_default_dtype`).
    device : Device or str, optional
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, the shape of ``data``, or of the sizes given

    Raises
    ------
    ShapeError
        If nested lists are ragged, or a size is negative.
    DTypeError
        If ``data`` is not numeric, or a size not an integer.

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

    __hash__ = Variable.__hash__  # == compares elements; identity is what hashes

    def __init__(self, *data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> None:
        if len(data) == 1 and not isinstance(data[0], int):
            self.array = ops.creation.as_array(data[0], default_dtype() if dtype is None else dtype, device)
        else:
            self.array = ops.empty(data or 0, dtype=dtype, device=device).array
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
    __lshift__ = ops.bitwise_left_shift
    __rshift__ = ops.bitwise_right_shift
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

    def __rlshift__(self, other: Any) -> Tensor:
        return ops.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Tensor:
        return ops.bitwise_right_shift(other, self)

    def __divmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return ops.floor_divide(self, other), ops.remainder(self, other)

    def __rdivmod__(self, other: Any) -> tuple[Tensor, Tensor]:
        return ops.floor_divide(other, self), ops.remainder(other, self)

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
    bitwise_left_shift = ops.bitwise_left_shift
    bitwise_right_shift = ops.bitwise_right_shift

    # ------------------------------------------------------------------ activations.py

    relu = ops.relu
    prelu = ops.prelu
    softmax = ops.softmax
    log_softmax = ops.log_softmax
    hardshrink = ops.hardshrink

    # ------------------------------------------------------------------ reductions.py, extremes.py, scans.py

    all = ops.all
    amax = ops.amax
    amin = ops.amin
    any = ops.any
    argmax = ops.argmax
    argmin = ops.argmin
    count_nonzero = ops.count_nonzero
    cumprod = ops.cumprod
    cumsum = ops.cumsum
    logsumexp = ops.logsumexp
    max = ops.max
    mean = ops.mean
    median = ops.median
    min = ops.min
    nanmean = ops.nanmean
    nansum = ops.nansum
    norm = ops.norm
    prod = ops.prod
    std = ops.std
    sum = ops.sum
    var = ops.var

    # ------------------------------------------------------------------ shape.py, arranging.py

    broadcast_to = ops.broadcast_to
    chunk = ops.chunk
    diag = ops.diag
    diag_embed = ops.diag_embed
    diagonal = ops.diagonal
    expand = ops.expand
    expand_as = ops.expand_as
    flatten = ops.flatten
    fliplr = ops.fliplr
    flipud = ops.flipud
    moveaxis = ops.movedim
    movedim = ops.movedim
    pad = ops.pad
    permute = ops.permute
    ravel = ops.ravel
    repeat = ops.repeat
    repeat_interleave = ops.repeat_interleave
    reshape = ops.reshape
    reshape_as = ops.reshape_as
    roll = ops.roll
    rot90 = ops.rot90
    split = ops.split
    squeeze = ops.squeeze
    swapaxes = ops.swapaxes
    swapdims = ops.swapaxes
    t = ops.t
    tensor_split = ops.tensor_split
    tile = ops.tile
    transpose = ops.transpose
    unbind = ops.unbind
    unflatten = ops.unflatten
    unfold = ops.unfold
    unsqueeze = ops.unsqueeze
    view = ops.view
    view_as = ops.view_as

    def flip(self, *dims: Any, **axis: Any) -> Tensor:
        """Return a copy in reverse order along some axes, ``x.flip(0, 1)``, see :func:`minidl.flip`."""
        return ops.flip(self, *(dims[:1] if len(dims) < 2 else (dims,)), **axis)

    @property
    def T(self) -> Tensor:  # noqa: N802
        """A view with all axes in reverse order."""
        return ops.transpose(self)

    @property
    def mT(self) -> Tensor:  # noqa: N802
        """A view with the last two axes swapped."""
        return ops.matrix_transpose(self)

    # ------------------------------------------------------------------ indexing.py

    __getitem__ = ops.getitem
    argwhere = ops.argwhere
    gather = ops.gather
    index_add = ops.index_add
    index_select = ops.index_select
    masked_fill = ops.masked_fill
    masked_select = ops.masked_select
    narrow = ops.narrow
    nonzero = ops.nonzero
    scatter = ops.scatter
    scatter_add = ops.scatter_add
    select = ops.select
    take = ops.take
    take_along_dim = ops.take_along_dim
    tril = ops.tril
    triu = ops.triu

    # ------------------------------------------------------------------ sorting.py

    argsort = ops.argsort
    bincount = ops.bincount
    histc = ops.histc
    kthvalue = ops.kthvalue
    sort = ops.sort
    topk = ops.topk
    unique = ops.unique

    # ------------------------------------------------------------------ linalg.py

    __matmul__ = ops.matmul

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    addmm = ops.addmm
    baddbmm = ops.baddbmm
    bmm = ops.bmm
    dot = ops.dot
    inner = ops.inner
    kron = ops.kron
    matmul = ops.matmul
    mm = ops.mm
    mv = ops.mv
    outer = ops.outer
    trace = ops.trace
    vdot = ops.vdot

    # ------------------------------------------------------------------ what is written out elsewhere

    # _tensor_conversion.py: numbers, NumPy, dtypes, devices, copies; _tensor_graph.py: gradients, hooks, versions

    def __repr__(self) -> str:
        return format_tensor(self)
