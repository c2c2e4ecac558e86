"""Creation: tensors from data, from constants, from ranges. Random ones are in ``sampling.py``."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Variable, cast, wrap
from minidl.autograd.operation import described
from minidl.autograd.variable import check_may_require_grad
from minidl.backend import (
    Device,
    as_dtype,
    cupy,
    default_device,
    default_dtype,
    device_of,
    is_array,
    on,
    there,
    to_device,
    to_numpy,
)
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.ops.arguments import as_integer, as_number, as_sizes, sized, takes_tensors
from minidl.ops.conversion import to_device as to
from minidl.ops.shape import broadcast_to, reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "arange",
    "array",
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tensor",
    "tril_indices",
    "triu_indices",
    "zeros",
    "zeros_like",
]


def as_array(data: Any, dtype: Any = None, device: Any = None, copy: bool = True, name: str = "tensor") -> Any:
    """Return ``data`` (a tensor, an array, a number, nested lists of these) as an array of the engine's.

    Python floats take the default dtype, Python ints int64; arrays and tensors keep theirs. Data of the host goes to
    the default device if none is named; what lives on a device stays there.

    Raises
    ------
    ShapeError
        If nested lists are ragged.
    DTypeError
        If ``data`` is not numeric.
    """
    target = None if device is None else Device(device)
    if isinstance(data, Variable):
        data = data.array
    elif target is None and (isinstance(data, np.ndarray) or not is_array(data)):
        target = default_device()
    given = data
    if not is_array(data):
        typed = isinstance(data, np.generic) or hasattr(data, "__array__") or hasattr(data, "__dlpack__")
        if isinstance(data, (list, tuple)):
            first = next((x for x in _leaves(data) if isinstance(x, Variable)), None)
            if first is not None:
                target = device_of(first.array) if device is None else target
                data = _plain(data)
        try:
            data = np.asarray(data)
        except ValueError:
            raise ShapeError(
                f"{name}: the nested lists are ragged: all lists at one depth must have the same length"
            ) from None
        if not typed and dtype is None and data.dtype == np.float64:
            dtype = default_dtype()
        copy = copy and typed
    if not data.dtype.isnative:
        data = data.astype(data.dtype.newbyteorder("="))
    if data.dtype.kind not in "fiub":
        what = str(data.dtype) if isinstance(given, (list, tuple)) or hasattr(given, "__array__") else described(given)
        what = "an int of more than 64 bits" if type(given) is int else what
        raise DTypeError(f"{name}: cannot make a tensor of {what}; expected numbers or booleans (nested lists of them)")
    wanted = as_dtype(dtype) if dtype is not None else as_dtype(data.dtype)
    moved = to_device(data, target) if target is not None else data
    if moved.dtype == wanted and not (copy and moved is data):
        return moved
    with there(moved):
        return moved.astype(wanted)  # a copy, if it has that dtype already


def _leaves(data: Any) -> Any:
    for x in data:
        if isinstance(x, (list, tuple)):
            yield from _leaves(x)
        else:
            yield x


def _plain(data: Any) -> Any:
    """Replace the tensors in nested lists by arrays of the host."""
    if isinstance(data, (list, tuple)):
        return [_plain(x) for x in data]
    return to_numpy(data.array) if isinstance(data, Variable) else data


def make(array: Any, requires_grad: bool = False) -> Tensor:
    """Wrap a new array as a leaf."""
    if requires_grad:
        check_may_require_grad(array)
    out = wrap(array)
    if requires_grad:
        out._requires_grad = True
    return out


def build(function: str, *args: Any, device: Any = None, cast_to: Any = None) -> Any:
    """Call ``numpy.<function>``, or CuPy's on the GPU that ``device`` names; the default device if it is None."""
    place = default_device() if device is None else Device(device)
    if place.type == "cpu":
        made = getattr(np, function)(*args)
        return made if cast_to is None else made.astype(cast_to, copy=False)
    with on(place):
        made = getattr(cupy(), function)(*args)
        return made if cast_to is None else made.astype(cast_to, copy=False)


def as_shape(size: Any, name: str) -> tuple[int, ...]:
    """Return the shape to create, given as ``f(2, 3)`` or ``f((2, 3))``, without negative sizes."""
    shape = as_sizes(size, name)
    for s in shape:
        if s < 0:
            raise ShapeError(f"{name}: sizes must not be negative, got {shape}")
    return shape


def tensor(data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor with a copy of ``data``.

    .. math:: y = x

    Parameters
    ----------
    data : number, nested lists, array or Tensor, any shape
    dtype : dtype, optional
        Defaults to float32 for Python floats, int64 for Python ints, and the dtype of an array.
    device : Device or str, optional
        Where it shall live. If left out: where ``data`` lives; the default device if that is data of the host.
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
    GradError
        If gradients of a tensor of integers are asked for.

    Examples
    --------
    >>> import minidl
    >>> minidl.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])

    References
    ----------
    ``torch.tensor``, ``numpy.array``.
    """
    return make(as_array(data, dtype, device), requires_grad)


array = tensor  # as NumPy calls it


@sized
def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor of zeros.

    .. math:: y_i = 0

    Parameters
    ----------
    *size : ints, or one sequence of them
        By name too, ``size=(2, 3)``, or as NumPy's ``shape``.
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    ShapeError
        If a size is negative.
    DTypeError
        If a size is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.zeros(2)
    tensor([0., 0.])

    References
    ----------
    ``torch.zeros``, ``numpy.zeros``.
    """
    wanted = default_dtype() if dtype is None else as_dtype(dtype)
    return make(build("zeros", as_shape(size, "zeros"), wanted, device=device), requires_grad)


@sized
def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor of ones.

    .. math:: y_i = 1

    Parameters
    ----------
    *size : ints, or one sequence of them
        By name too, ``size=(2, 3)``, or as NumPy's ``shape``.
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    ShapeError
        If a size is negative.
    DTypeError
        If a size is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.ones(2)
    tensor([1., 1.])

    References
    ----------
    ``torch.ones``, ``numpy.ones``.
    """
    wanted = default_dtype() if dtype is None else as_dtype(dtype)
    return make(build("ones", as_shape(size, "ones"), wanted, device=device), requires_grad)


@sized
def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    r"""Return a new tensor whose numbers are whatever the memory held.

    .. math:: y \in \mathbb R^{s_1 \times s_2 \times \dots}

    Parameters
    ----------
    *size : ints, or one sequence of them
        By name too, ``size=(2, 3)``, or as NumPy's ``shape``.
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    ShapeError
        If a size is negative.
    DTypeError
        If a size is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.empty(2, 3).shape
    (2, 3)

    References
    ----------
    ``torch.empty``, ``numpy.empty``.
    """
    wanted = default_dtype() if dtype is None else as_dtype(dtype)
    return make(build("empty", as_shape(size, "empty"), wanted, device=device), requires_grad)


@takes_tensors(shape="size")
def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a new tensor in which every element is ``fill_value``.

    .. math:: y_i = c

    Parameters
    ----------
    size : int or sequence of ints
    fill_value : number
    dtype : dtype, optional
        Defaults to what :func:`tensor` makes of ``fill_value``.
    device : Device or str, optional
    requires_grad : bool

    Returns
    -------
    Tensor, of ``size``

    Raises
    ------
    ShapeError
        If a size is negative.
    DTypeError
        If a size is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.full((2,), 7)
    tensor([7, 7])

    References
    ----------
    ``torch.full``, ``numpy.full``.
    """
    value = as_array(fill_value, dtype, name="full")
    if value.ndim:
        raise ShapeError(f"full: fill_value must be one number, got shape {tuple(value.shape)}")
    shape = as_shape((size,), "full")
    return make(build("full", shape, value.item(), value.dtype, device=device), requires_grad)


def zeros_like(x: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of zeros with the shape, dtype and device of ``x``.

    .. math:: y_i = 0

    Parameters
    ----------
    x : Tensor or array, any shape
    dtype : dtype, optional
        Defaults to that of ``x``.
    device : Device or str, optional
        Defaults to that of ``x``.
    requires_grad : bool

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``dtype`` is not one that minidl has.

    Examples
    --------
    >>> import minidl
    >>> minidl.zeros_like(minidl.tensor([3, 4]))
    tensor([0, 0])

    References
    ----------
    ``torch.zeros_like``, ``numpy.zeros_like``.
    """
    shape, wanted, place = _like("zeros_like", x, dtype, device)
    return make(build("zeros", shape, wanted, device=place), requires_grad)


def ones_like(x: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of ones with the shape, dtype and device of ``x``.

    .. math:: y_i = 1

    Parameters
    ----------
    x : Tensor or array, any shape
    dtype : dtype, optional
        Defaults to that of ``x``.
    device : Device or str, optional
        Defaults to that of ``x``.
    requires_grad : bool

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``dtype`` is not one that minidl has.

    Examples
    --------
    >>> import minidl
    >>> minidl.ones_like(minidl.tensor([3, 4]))
    tensor([1, 1])

    References
    ----------
    ``torch.ones_like``, ``numpy.ones_like``.
    """
    shape, wanted, place = _like("ones_like", x, dtype, device)
    return make(build("ones", shape, wanted, device=place), requires_grad)


def empty_like(x: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    r"""Return a tensor of arbitrary numbers with the shape, dtype and device of ``x``.

    .. math:: y \in \mathbb R^{s_1 \times s_2 \times \dots}

    Parameters
    ----------
    x : Tensor or array, any shape
    dtype : dtype, optional
        Defaults to that of ``x``.
    device : Device or str, optional
        Defaults to that of ``x``.
    requires_grad : bool

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``dtype`` is not one that minidl has.

    Examples
    --------
    >>> import minidl
    >>> minidl.empty_like(minidl.ones(2, 3)).shape
    (2, 3)

    References
    ----------
    ``torch.empty_like``, ``numpy.empty_like``.
    """
    shape, wanted, place = _like("empty_like", x, dtype, device)
    return make(build("empty", shape, wanted, device=place), requires_grad)


def full_like(x: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a tensor of one number with the shape, dtype and device of ``x``.

    .. math:: y_i = c

    Parameters
    ----------
    x : Tensor or array, any shape
    fill_value : number
    dtype : dtype, optional
        Defaults to that of ``x``.
    device : Device or str, optional
        Defaults to that of ``x``.
    requires_grad : bool

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``dtype`` is not one that minidl has.

    Examples
    --------
    >>> import minidl
    >>> minidl.full_like(minidl.ones(2), 0.5)
    tensor([0.5000, 0.5000])

    References
    ----------
    ``torch.full_like``, ``numpy.full_like``.
    """
    shape, wanted, place = _like("full_like", x, dtype, device)
    return full(shape, fill_value, dtype=wanted, device=place, requires_grad=requires_grad)


def _like(name: str, x: Any, dtype: Any, device: Any) -> tuple[tuple[int, ...], Any, Any]:
    """Return the shape, dtype and device of something like ``x``."""
    array = x.array if isinstance(x, Variable) else as_array(x, copy=False, name=name)
    return (
        array.shape,
        array.dtype if dtype is None else as_dtype(dtype),
        device_of(array) if device is None else device,
    )


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Return ``data`` as a tensor, sharing its memory where possible.

    .. math:: y = x

    Parameters
    ----------
    data : number, nested lists, array or Tensor, any shape
        A Tensor is returned as it is, or converted differentiably if ``dtype`` or ``device`` differ.
    dtype : dtype, optional
    device : Device or str, optional

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
    >>> import numpy as np
    >>> a = np.zeros(2)
    >>> x = minidl.as_tensor(a, device="cpu")
    >>> a[0] = 1
    >>> x.tolist()
    [1.0, 0.0]

    References
    ----------
    ``torch.as_tensor``, ``numpy.asarray``.
    """
    if isinstance(data, Variable):
        moved: Any = data if device is None else to(data, Device(device))
        return moved if dtype is None else cast(moved, dtype)
    return make(as_array(data, dtype, device, copy=False)[...])


asarray = as_tensor


def from_numpy(array: np.ndarray) -> Tensor:
    """Return a tensor that shares the memory of a NumPy array: writing to one changes the other.

    .. math:: y = x

    Parameters
    ----------
    array : numpy.ndarray, any shape

    Returns
    -------
    Tensor, the shape of ``array``

    Raises
    ------
    DTypeError
        If it is not an array, or of a dtype that minidl does not have (also: of foreign byte order).

    Examples
    --------
    >>> import minidl
    >>> import numpy as np
    >>> x = np.arange(3)
    >>> y = minidl.from_numpy(x)
    >>> x[0] = 9
    >>> y.tolist()
    [9, 1, 2]

    References
    ----------
    ``torch.from_numpy``.
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"from_numpy: expected a numpy.ndarray, got {type(array).__name__}; use minidl.tensor for it")
    as_dtype(array.dtype)
    return make(np.asarray(array)[...])


def from_dlpack(source: Any) -> Tensor:
    """Return a tensor that shares the memory of another library's (PyTorch's, NumPy's, CuPy's, JAX's).

    .. math:: y = x

    Parameters
    ----------
    source : object with ``__dlpack__`` and ``__dlpack_device__``, any shape

    Returns
    -------
    Tensor, the shape of ``source``

    Raises
    ------
    DTypeError
        If it cannot be exchanged by DLPack, or its dtype is not one that minidl has.
    DeviceError
        If it lives on a device that minidl cannot use.

    Examples
    --------
    >>> import minidl
    >>> import numpy as np
    >>> minidl.from_dlpack(np.arange(3)).tolist()
    [0, 1, 2]

    References
    ----------
    ``torch.from_dlpack``, the DLPack protocol (dmlc.github.io/dlpack).
    """
    if not hasattr(source, "__dlpack__") or not hasattr(source, "__dlpack_device__"):
        raise DTypeError(f"from_dlpack: {type(source).__name__} has no __dlpack__; use minidl.tensor for it")
    kind = int(source.__dlpack_device__()[0])
    try:
        array = np.from_dlpack(source) if kind in (1, 3) else cupy().from_dlpack(source)  # 1: CPU, 3: pinned memory
    except BufferError as error:
        raise DTypeError(f"from_dlpack: {described(source)} cannot be exchanged: {error}") from error
    as_dtype(array.dtype)
    return make(array)


@takes_tensors(stop="end")
def arange(
    start: float,
    end: float | None = None,
    step: float = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    r"""Return evenly spaced numbers from ``start`` up to, not including, ``end``.

    .. math:: y_i = \text{start} + i \cdot \text{step} < \text{end}, \quad i = 0, 1, \dots

    Parameters
    ----------
    start : number
        The end, if it is the only argument: numbers then start from 0.
    end : number, optional
    step : number
        Not 0; negative to count down.
    dtype : dtype, optional
        Defaults to int64 if all three are ints, else float32.
    device : Device or str, optional
    requires_grad : bool

    Returns
    -------
    Tensor, of shape (count,)

    Raises
    ------
    ArgumentError
        If ``step`` is 0, or leads away from ``end``.

    Examples
    --------
    >>> import minidl
    >>> minidl.arange(1, 2, 0.5)
    tensor([1.0000, 1.5000])

    References
    ----------
    ``torch.arange``, ``numpy.arange``.
    """
    if end is None:
        start, end = 0, start
    given = {"start": start, "end": end, "step": step}
    start, end, step = (as_number(x, "arange", argument) for argument, x in given.items())
    if step == 0 or (end - start) * step < 0 or not math.isfinite(end - start) or math.isnan(step):
        raise ArgumentError(f"arange: no numbers lead from {start} to {end} in steps of {step}; check the step's sign")
    if dtype is None:
        wanted = np.dtype(np.int64) if all(isinstance(x, int) for x in (start, end, step)) else default_dtype()
    else:
        wanted = as_dtype(dtype)
    return make(build("arange", start, end, step, device=device, cast_to=wanted), requires_grad)


def _span(name: str, start: Any, end: Any, steps: Any) -> tuple[float, float, int]:
    """Return both ends of a row of numbers, and how many there are."""
    count = as_integer(steps, name, "the number of steps")
    if count < 0:
        raise ArgumentError(f"{name}: the number of steps must not be negative, got {count}")
    return as_number(start, name, "start"), as_number(end, name, "end"), count


@takes_tensors(stop="end", num="steps")
def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    r"""Return ``steps`` evenly spaced numbers from ``start`` to ``end``, both included.

    .. math:: y_i = \text{start} + \frac{i}{\text{steps} - 1} (\text{end} - \text{start})

    Parameters
    ----------
    start, end : number
    steps : int
        How many numbers.
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of shape (steps,)

    Raises
    ------
    ArgumentError
        If ``steps`` is negative.

    Examples
    --------
    >>> import minidl
    >>> minidl.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])

    References
    ----------
    ``torch.linspace``, ``numpy.linspace``.
    """
    start, end, steps = _span("linspace", start, end, steps)
    wanted = default_dtype() if dtype is None else as_dtype(dtype)
    return make(build("linspace", start, end, steps, device=device, cast_to=wanted), requires_grad)


@takes_tensors(stop="end", num="steps")
def logspace(
    start: float,
    end: float,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    r"""Return powers of ``base`` whose exponents are evenly spaced from ``start`` to ``end``, both included.

    .. math:: y_i = \text{base}^{\,\text{start} + i\,(\text{end} - \text{start}) / (\text{steps} - 1)}

    Parameters
    ----------
    start, end : number
        The first and the last exponent.
    steps : int
        How many numbers.
    base : float
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of shape (steps,)

    Raises
    ------
    ArgumentError
        If ``steps`` is negative.

    Examples
    --------
    >>> import minidl
    >>> minidl.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])

    References
    ----------
    ``torch.logspace``, ``numpy.logspace``.
    """
    start, end, steps = _span("logspace", start, end, steps)
    wanted = default_dtype() if dtype is None else as_dtype(dtype)
    powers = as_number(base, "logspace", "base") ** build("linspace", start, end, steps, device=device)
    return make(powers.astype(wanted, copy=False), requires_grad)


@takes_tensors(N="n", M="m")
def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Return a matrix with ones on the diagonal and zeros elsewhere.

    .. math:: y_{ij} = [i = j]

    Parameters
    ----------
    n : int
        How many rows.
    m : int, optional
        How many columns; ``n`` if left out.
    dtype : dtype, optional
        Defaults to float32 (see :func:`set_default_dtype`).
    device : Device or str, optional
        Defaults to the CPU (see :func:`set_default_device`).
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, of shape (n, m)

    Raises
    ------
    ShapeError
        If a size is negative.
    DTypeError
        If a size is not an integer.

    Examples
    --------
    >>> import minidl
    >>> minidl.eye(2)
    tensor([[1., 0.],
            [0., 1.]])

    References
    ----------
    ``torch.eye``, ``numpy.eye``.
    """
    rows, columns = as_shape((n, n if m is None else m), "eye")
    wanted = default_dtype() if dtype is None else as_dtype(dtype)
    return make(build("eye", rows, columns, device=device, cast_to=wanted), requires_grad)


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    r"""Return the coordinates of the grid that vectors span, one tensor a vector: views, not copies.

    .. math:: y^{(k)}_{i_1 \dots i_n} = x^{(k)}_{i_k}

    Parameters
    ----------
    *tensors : Tensors of shape (n_k,) or (), or one sequence of them
    indexing : {"ij", "xy"}
        ``"xy"`` swaps the first two axes of the results, as plotting libraries want it.

    Returns
    -------
    tuple of Tensor, each of shape (n_1, n_2, ...)

    Raises
    ------
    ShapeError
        If a tensor has more than one axis.
    ArgumentError
        If ``indexing`` is neither.

    Examples
    --------
    >>> import minidl
    >>> rows, columns = minidl.meshgrid(minidl.arange(2), minidl.arange(3))
    >>> rows
    tensor([[0, 0, 0],
            [1, 1, 1]])

    References
    ----------
    ``torch.meshgrid``, ``numpy.meshgrid``.
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if indexing not in ("ij", "xy"):
        raise ArgumentError(f"meshgrid: indexing must be 'ij' or 'xy', got {indexing!r}")
    vectors = [as_tensor(x) for x in tensors]
    for x in vectors:
        if x.ndim > 1:
            raise ShapeError(f"meshgrid: expected vectors, got a tensor of shape {x.shape}")
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    sizes = [math.prod(x.shape) for x in vectors]
    shape = tuple(sizes[k] for k in order)
    grids = []
    for k, x in enumerate(vectors):
        axis = order.index(k)
        along = tuple(size if i == axis else 1 for i, size in enumerate(shape))  # (1, ..., n_k, ..., 1)
        grids.append(broadcast_to(reshape(x, along), shape))
    return tuple(grids)


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    r"""Return the positions of the lower triangle of a matrix, row by row.

    .. math:: \{(i, j) : j - i \le \text{offset}\}

    Parameters
    ----------
    row, col : int
        The size of the matrix.
    offset : int
        Which diagonal bounds the triangle: 0 the main one, above it if positive.
    dtype : dtype, optional
        Defaults to int64.
    device : Device or str, optional

    Returns
    -------
    Tensor, of shape (2, count)
        Row numbers, then column numbers.

    Raises
    ------
    ShapeError
        If a size is negative.

    Examples
    --------
    >>> import minidl
    >>> minidl.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])

    References
    ----------
    ``torch.tril_indices``, ``numpy.tril_indices``.
    """
    rows, columns = as_shape((row, col), "tril_indices")
    offset = as_integer(offset, "tril_indices", "offset")
    below = np.arange(columns) - np.arange(rows)[:, None]  # (rows, columns)
    found = np.stack(np.nonzero(below <= offset))  # (2, count)
    return tensor(found, dtype=np.int64 if dtype is None else dtype, device=device)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None) -> Tensor:
    r"""Return the positions of the upper triangle of a matrix, row by row.

    .. math:: \{(i, j) : j - i \ge \text{offset}\}

    Parameters
    ----------
    row, col : int
        The size of the matrix.
    offset : int
        Which diagonal bounds the triangle: 0 the main one, above it if positive.
    dtype : dtype, optional
        Defaults to int64.
    device : Device or str, optional

    Returns
    -------
    Tensor, of shape (2, count)
        Row numbers, then column numbers.

    Raises
    ------
    ShapeError
        If a size is negative.

    Examples
    --------
    >>> import minidl
    >>> minidl.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])

    References
    ----------
    ``torch.triu_indices``, ``numpy.triu_indices``.
    """
    rows, columns = as_shape((row, col), "triu_indices")
    offset = as_integer(offset, "triu_indices", "offset")
    below = np.arange(columns) - np.arange(rows)[:, None]  # (rows, columns)
    found = np.stack(np.nonzero(below >= offset))  # (2, count)
    return tensor(found, dtype=np.int64 if dtype is None else dtype, device=device)
