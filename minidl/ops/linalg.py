"""Linear algebra: products of vectors, matrices and batches of matrices, and the affine map of a dense layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minidl import kernels
from minidl.autograd import Operation
from minidl.errors import MiniDLError, ShapeError
from minidl.ops.arguments import into, shape_of, takes_tensors
from minidl.ops.arithmetic import add, mul
from minidl.ops.contraction import einsum, tensordot
from minidl.ops.shape import reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "addmm",
    "baddbmm",
    "bmm",
    "dense",
    "dot",
    "inner",
    "kron",
    "linear",
    "matmul",
    "mm",
    "mv",
    "outer",
    "trace",
    "vdot",
]


class Matmul(Operation):
    casting = "common"

    def forward(self, x: Any, y: Any) -> Any:
        self.save(x if self.needs[1] else None, y if self.needs[0] else None)
        self.shapes = x.shape, y.shape
        if x.ndim > 2 and y.ndim == 2:  # one large product instead of many small ones
            rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # (..., N, D) -> (M, D)
            return kernels.matmul(rows, y).reshape(x.shape[:-1] + y.shape[1:])  # (M, U) -> (..., N, U)
        return kernels.matmul(x, y)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        x_shape, y_shape = self.shapes
        grad_x = grad_y = None
        if len(x_shape) == 1 and len(y_shape) == 1:  # (D,) @ (D,) -> ()
            return grad * y if self.needs[0] else None, grad * x if self.needs[1] else None
        if len(x_shape) == 1:  # (D,) @ (..., D, U) -> (..., U)
            if self.needs[0]:
                grad_x = (y @ grad.reshape((*grad.shape, 1))).reshape(y_shape[:-1])  # (..., D, 1) -> (..., D)
            if self.needs[1]:
                grad_y = x.reshape((-1, 1)) * grad.reshape((*grad.shape[:-1], 1, grad.shape[-1]))  # (..., D, U)
        elif len(y_shape) == 1:  # (..., N, D) @ (D,) -> (..., N)
            column = grad.reshape((*grad.shape, 1))  # (..., N, 1)
            if self.needs[0]:
                grad_x = column * y  # (..., N, D)
            if self.needs[1]:
                grad_y = (x.swapaxes(-1, -2) @ column).reshape((*x_shape[:-2], x_shape[-1]))  # (..., D)
        elif len(y_shape) == 2:  # (..., N, D) @ (D, U) -> (..., N, U)
            if self.needs[0]:
                grad_x = kernels.matmul(grad, y.T)
            if self.needs[1]:
                if len(x_shape) > 2:
                    rows = math.prod(x_shape[:-1])
                    x, grad = x.reshape((rows, x_shape[-1])), grad.reshape((rows, y_shape[1]))
                grad_y = kernels.matmul(x.T, grad)
        else:  # (..., N, D) @ (..., D, U) -> (..., N, U)
            if self.needs[0]:
                grad_x = kernels.matmul(grad, y.swapaxes(-1, -2))
            if self.needs[1]:
                grad_y = kernels.matmul(x.swapaxes(-1, -2), grad)
        return grad_x, grad_y

    def explain(self, error: Exception, arrays: Sequence[Any]) -> MiniDLError:
        if "broadcast" in str(error):
            x, y = (tuple(a.shape) for a in arrays)
            return ShapeError(
                f"matmul: the batches of shapes {x} and {y} do not broadcast: {x[:-2]} and {y[:-2]}; aligned from the "
                "right, each pair of sizes must be equal or 1"
            )
        return super().explain(error, arrays)


def matmul(x: Any, y: Any, *, out: Any = None) -> Tensor:
    r"""Return the product of two matrices, of a matrix and a vector, or of batches of them.

    .. math:: z_{n u} = \sum_d x_{n d} y_{d u}

    Parameters
    ----------
    x : Tensor or array, of shape (D,), (N, D) or (..., N, D)
    y : Tensor or array, of shape (D,), (D, U) or (..., D, U)
        The axes before the last two broadcast.
    out : Tensor, optional
        Where to write the result, which has its shape.

    Returns
    -------
    Tensor, of shape (..., N, U)
        Without the axis N if ``x`` is a vector, without U if ``y`` is one.

    Raises
    ------
    ShapeError
        If the sizes D differ, the batches do not broadcast, or an argument has no axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.matmul(minidl.tensor([[1.0, 2.0], [3.0, 4.0]]), minidl.tensor([1.0, 10.0]))
    tensor([21., 43.])

    References
    ----------
    ``numpy.matmul``, ``torch.matmul``.
    """
    x_shape, y_shape = shape_of(x, "matmul", "x"), shape_of(y, "matmul", "y")
    if not x_shape or not y_shape:
        raise ShapeError(f"matmul: shapes {x_shape} and {y_shape}: a scalar has no axis to sum over; multiply with *")
    if x_shape[-1] != y_shape[-2 if len(y_shape) > 1 else 0]:
        raise ShapeError(_misfit("matmul", x_shape, y_shape))
    z = Matmul.apply(x, y)
    return z if out is None else into(out, z, "matmul")


def _misfit(name: str, x: tuple[int, ...], y: tuple[int, ...]) -> str:
    """Say which sizes of a product differ, and what would make them equal."""
    inner_size = y[-2 if len(y) > 1 else 0]
    fix = "reshape or transpose one of them"
    if len(y) > 1 and x[-1] == y[-1]:
        fix = f"transposing the second, to {(*y[:-2], y[-1], y[-2])}, would make them so"
    elif len(x) > 1 and x[-2] == inner_size:
        fix = f"transposing the first, to {(*x[:-2], x[-1], x[-2])}, would make them so"
    return (
        f"{name}: shapes {x} and {y} do not fit: the last axis of the first has size {x[-1]}, the "
        f"{'second-to-last' if len(y) > 1 else 'only'} axis of the second {inner_size}; they must be equal: {fix}"
    )


def _check_ranks(name: str, x: Any, y: Any, x_ndim: int, y_ndim: int, instead: str) -> None:
    """Raise a ShapeError unless both arguments have the number of axes that ``name`` is strict about."""
    x_shape, y_shape = shape_of(x, name, "x"), shape_of(y, name, "y")
    if len(x_shape) != x_ndim or len(y_shape) != y_ndim:
        raise ShapeError(
            f"{name}: expected tensors with {x_ndim} and {y_ndim} axes, got shapes {x_shape} and {y_shape}; {instead}"
        )
    if x_shape[-1] != y_shape[-2 if y_ndim > 1 else 0]:
        raise ShapeError(_misfit(name, x_shape, y_shape))


def mm(x: Any, y: Any) -> Tensor:
    r"""Return the product of two matrices.

    .. math:: z_{n u} = \sum_d x_{n d} y_{d u}

    Parameters
    ----------
    x : Tensor or array, of shape (N, D)
    y : Tensor or array, of shape (D, U)

    Returns
    -------
    Tensor, of shape (N, U)

    Raises
    ------
    ShapeError
        If an argument is no matrix, or the sizes D differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.mm(minidl.tensor([[1.0, 2.0]]), minidl.tensor([[3.0], [4.0]]))
    tensor([[11.]])

    References
    ----------
    ``torch.mm``.
    """
    _check_ranks("mm", x, y, 2, 2, "use matmul for vectors and batches")
    return Matmul.apply(x, y)


def mv(x: Any, y: Any) -> Tensor:
    r"""Return the product of a matrix and a vector.

    .. math:: z_n = \sum_d x_{n d} y_d

    Parameters
    ----------
    x : Tensor or array, of shape (N, D)
    y : Tensor or array, of shape (D,)

    Returns
    -------
    Tensor, of shape (N,)

    Raises
    ------
    ShapeError
        If ``x`` is no matrix, ``y`` no vector, or the sizes D differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.mv(minidl.tensor([[1.0, 2.0], [3.0, 4.0]]), minidl.tensor([1.0, 10.0]))
    tensor([21., 43.])

    References
    ----------
    ``torch.mv``.
    """
    _check_ranks("mv", x, y, 2, 1, "use matmul for other ranks")
    return Matmul.apply(x, y)


def bmm(x: Any, y: Any) -> Tensor:
    r"""Return the products of the matrices of two batches.

    .. math:: z_{b n u} = \sum_d x_{b n d} y_{b d u}

    Parameters
    ----------
    x : Tensor or array, of shape (B, N, D)
    y : Tensor or array, of shape (B, D, U)

    Returns
    -------
    Tensor, of shape (B, N, U)

    Raises
    ------
    ShapeError
        If an argument is no batch of matrices, or the sizes B or D differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.bmm(minidl.ones(2, 3, 4), minidl.ones(2, 4, 5)).shape
    (2, 3, 5)

    References
    ----------
    ``torch.bmm``.
    """
    _check_ranks("bmm", x, y, 3, 3, "use matmul for other ranks")
    x_shape, y_shape = shape_of(x, "bmm", "x"), shape_of(y, "bmm", "y")
    if x_shape[0] != y_shape[0]:
        raise ShapeError(
            f"bmm: the batches of shapes {x_shape} and {y_shape} have {x_shape[0]} and {y_shape[0]} matrices; they "
            "must have equally many: use matmul where one is to be broadcast"
        )
    return Matmul.apply(x, y)


def dot(x: Any, y: Any) -> Tensor:
    r"""Return the scalar product of two vectors; of matrices, their product.

    .. math:: z = \sum_d x_d y_d

    Parameters
    ----------
    x : Tensor or array, of shape (..., D)
    y : Tensor or array, of shape (D,) or (..., D, U)

    Returns
    -------
    Tensor
        A scalar for two vectors; in general the axes of ``x`` without the last, then those of ``y`` without D. A
        scalar argument multiplies.

    Raises
    ------
    ShapeError
        If the sizes D differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.dot(minidl.tensor([1.0, 2.0]), minidl.tensor([3.0, 4.0]))
    tensor(11.)

    References
    ----------
    ``numpy.dot``, ``torch.dot``.
    """
    x_shape, y_shape = shape_of(x, "dot", "x"), shape_of(y, "dot", "y")
    if not x_shape or not y_shape:
        return mul(x, y)
    if x_shape[-1] != y_shape[-2 if len(y_shape) > 1 else 0]:
        raise ShapeError(_misfit("dot", x_shape, y_shape))
    if len(y_shape) < 3:
        return Matmul.apply(x, y)
    return tensordot(x, y, ((-1,), (-2,)))


def inner(x: Any, y: Any) -> Tensor:
    r"""Return the scalar products of the vectors along the last axes.

    .. math:: z_{i j} = \sum_d x_{i d} y_{j d}

    Parameters
    ----------
    x, y : Tensor or array, of shapes (..., D) and (..., D)

    Returns
    -------
    Tensor
        The axes of ``x`` without the last, then those of ``y`` without the last. A scalar argument multiplies.

    Raises
    ------
    ShapeError
        If the sizes D differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.inner(minidl.tensor([1.0, 2.0]), minidl.tensor([[3.0, 4.0], [5.0, 6.0]]))
    tensor([11., 17.])

    References
    ----------
    ``numpy.inner``, ``torch.inner``.
    """
    x_shape, y_shape = shape_of(x, "inner", "x"), shape_of(y, "inner", "y")
    if not x_shape or not y_shape:
        return mul(x, y)
    if x_shape[-1] != y_shape[-1]:
        raise ShapeError(
            f"inner: the last axes of shapes {x_shape} and {y_shape} have sizes {x_shape[-1]} and {y_shape[-1]}; they "
            "must be equal: transpose one, or use outer for all products"
        )
    return tensordot(x, y, ((-1,), (-1,)))


@takes_tensors("x", "y")
def outer(x: Any, y: Any) -> Tensor:
    r"""Return the products of each element of one vector with each of another.

    .. math:: z_{i j} = x_i y_j

    Parameters
    ----------
    x : Tensor or array, of shape (N,)
    y : Tensor or array, of shape (U,)
        Other shapes are flattened.

    Returns
    -------
    Tensor, of shape (N, U)

    Raises
    ------
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.outer(minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 10.0]))
    tensor([[ 1., 10.],
            [ 2., 20.]])

    References
    ----------
    ``numpy.outer``, ``torch.outer``.
    """
    x_size, y_size = math.prod(shape_of(x, "outer", "x")), math.prod(shape_of(y, "outer", "y"))
    return mul(reshape(x, x_size, 1), reshape(y, 1, y_size))  # (N, 1) * (1, U) -> (N, U)


@takes_tensors("x", "y")
def vdot(x: Any, y: Any) -> Tensor:
    r"""Return the scalar product of all elements of two tensors.

    .. math:: z = \sum_i x_i y_i

    Parameters
    ----------
    x, y : Tensor or array, with equally many elements
        Both are flattened.

    Returns
    -------
    Tensor, of shape ()

    Raises
    ------
    ShapeError
        If the numbers of elements differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.vdot(minidl.ones(2, 3), minidl.ones(6))
    tensor(6.)

    References
    ----------
    ``numpy.vdot``, ``torch.vdot``.
    """
    x_shape, y_shape = shape_of(x, "vdot", "x"), shape_of(y, "vdot", "y")
    x_size, y_size = math.prod(x_shape), math.prod(y_shape)
    if x_size != y_size:
        raise ShapeError(
            f"vdot: shapes {x_shape} and {y_shape} have {x_size} and {y_size} elements; they must have equally many"
        )
    return Matmul.apply(reshape(x, x_size), reshape(y, y_size))


def addmm(input: Any, x: Any, y: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:  # noqa: A002
    r"""Return a matrix product plus a matrix.

    .. math:: z = \beta \, \text{input} + \alpha \, x y

    Parameters
    ----------
    input : Tensor, array or number, a shape that broadcasts to (N, U)
    x : Tensor or array, of shape (N, D)
    y : Tensor or array, of shape (D, U)
    beta, alpha : float
        Factors. With ``beta=0``, ``input`` is ignored, and what is nan in it too.

    Returns
    -------
    Tensor, of shape (N, U)

    Raises
    ------
    ShapeError
        If an argument is no matrix, the sizes D differ, or ``input`` does not broadcast.

    Examples
    --------
    >>> import minidl
    >>> minidl.addmm(minidl.ones(2, 2), minidl.ones(2, 3), minidl.ones(3, 2), beta=10)
    tensor([[13., 13.],
            [13., 13.]])

    References
    ----------
    ``torch.addmm``.
    """
    return _scaled_sum("addmm", input, mm(x, y), beta, alpha)


def baddbmm(input: Any, x: Any, y: Any, *, beta: float = 1, alpha: float = 1) -> Tensor:  # noqa: A002
    r"""Return the products of the matrices of two batches, plus a batch of matrices.

    .. math:: z_b = \beta \, \text{input}_b + \alpha \, x_b y_b

    Parameters
    ----------
    input : Tensor, array or number, a shape that broadcasts to (B, N, U)
    x : Tensor or array, of shape (B, N, D)
    y : Tensor or array, of shape (B, D, U)
    beta, alpha : float
        Factors. With ``beta=0``, ``input`` is ignored, and what is nan in it too.

    Returns
    -------
    Tensor, of shape (B, N, U)

    Raises
    ------
    ShapeError
        If the sizes B or D differ, or ``input`` does not broadcast.

    Examples
    --------
    >>> import minidl
    >>> minidl.baddbmm(minidl.ones(1, 1, 2), minidl.ones(1, 1, 3), minidl.ones(1, 3, 2))
    tensor([[[4., 4.]]])

    References
    ----------
    ``torch.baddbmm``.
    """
    return _scaled_sum("baddbmm", input, bmm(x, y), beta, alpha)


def _scaled_sum(name: str, addend: Any, product: Any, beta: float, alpha: float) -> Tensor:
    shape, target = shape_of(addend, name, "input"), tuple(product.shape)
    extra = len(target) - len(shape)
    if extra < 0 or any(size not in (1, target[axis + extra]) for axis, size in enumerate(shape)):
        raise ShapeError(f"{name}: input of shape {shape} does not broadcast to the product's shape {target}")
    scaled = product if alpha == 1 else mul(product, alpha)
    if beta == 0:
        return scaled
    return add(scaled, addend if beta == 1 else mul(addend, beta))


@takes_tensors("x", "y")
def kron(x: Any, y: Any) -> Tensor:
    r"""Return the Kronecker product: ``y``, once for each element of ``x`` and multiplied by it.

    .. math:: z_{i p + k, \; j q + l} = x_{i j} \, y_{k l}, \qquad y \in \mathbb R^{p \times q}

    Parameters
    ----------
    x, y : Tensor or array, any shapes
        The one with fewer axes gets axes of size 1 in front.

    Returns
    -------
    Tensor
        Each size is the product of the two.

    Raises
    ------
    DTypeError
        If an argument is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.kron(minidl.tensor([1.0, 10.0]), minidl.tensor([1.0, 2.0, 3.0]))
    tensor([ 1.,  2.,  3., 10., 20., 30.])

    References
    ----------
    ``numpy.kron``, ``torch.kron``.
    """
    x_shape, y_shape = shape_of(x, "kron", "x"), shape_of(y, "kron", "y")
    ndim = max(len(x_shape), len(y_shape))
    x_shape = (1,) * (ndim - len(x_shape)) + x_shape
    y_shape = (1,) * (ndim - len(y_shape)) + y_shape
    blocks = reshape(x, tuple(size for pair in x_shape for size in (pair, 1)))  # (N, 1, D, 1)
    inside = reshape(y, tuple(size for pair in y_shape for size in (1, pair)))  # (1, P, 1, Q)
    return reshape(mul(blocks, inside), tuple(a * b for a, b in zip(x_shape, y_shape, strict=True)))  # (N*P, D*Q)


class Linear(Operation):
    casting = "common"

    def forward(self, x: Any, weight: Any, bias: Any = None, *, transposed: bool = True, relu: bool = False) -> Any:
        self.x_shape, self.transposed = x.shape, transposed
        rows = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])  # (..., D) -> (N, D)
        matrix = weight.T if transposed else weight  # (N, D) @ (D, U) -> (N, U)
        if bias is None:
            y = kernels.relu(kernels.matmul(rows, matrix)) if relu else kernels.matmul(rows, matrix)
        else:
            y = kernels.affine(rows, matrix, bias, relu)
        if x.ndim != 2:
            y = y.reshape((*x.shape[:-1], y.shape[1]))  # (N, U) -> (..., U)
        self.save(x if self.needs[1] else None, weight if self.needs[0] else None, y if relu else None)
        return y

    def backward(self, grad: Any) -> Any:
        x, weight, y = self.saved
        if y is not None:
            grad = grad * (y > 0) if self.recording else kernels.relu_grad(grad, y)
        if len(self.x_shape) != 2:
            rows = math.prod(self.x_shape[:-1])
            grad = grad.reshape((rows, grad.shape[-1]))  # (..., U) -> (N, U)
            x = None if x is None else x.reshape((rows, self.x_shape[-1]))  # (..., D) -> (N, D)
        grad_x = grad_weight = None
        if self.needs[0]:
            grad_x = kernels.matmul(grad, weight if self.transposed else weight.T)  # (N, U) @ (U, D) -> (N, D)
            if len(self.x_shape) != 2:
                grad_x = grad_x.reshape(self.x_shape)  # (N, D) -> (..., D)
        if self.needs[1]:
            # (U, D) or (D, U)
            grad_weight = kernels.matmul(grad.T, x) if self.transposed else kernels.matmul(x.T, grad)
        if len(self.needs) == 2:
            return grad_x, grad_weight
        return grad_x, grad_weight, grad.sum(axis=0) if self.needs[2] else None


def linear(input: Any, weight: Any, bias: Any = None, *, relu: bool = False) -> Tensor:  # noqa: A002
    r"""Return the affine map of a dense layer.

    .. math:: y = x W^\top + b

    Parameters
    ----------
    input : Tensor or array, of shape (..., D)
        :math:`x`: any number of axes before the features, none included.
    weight : Tensor or array, of shape (U, D)
    bias : Tensor or array, of shape (U,), optional
    relu : bool
        Replace what is negative by 0, in the same pass: :math:`\max(y, 0)`.

    Returns
    -------
    Tensor, of shape (..., U)

    Raises
    ------
    ShapeError
        If the numbers of features differ, or ``weight`` or ``bias`` has another number of axes.

    Examples
    --------
    >>> import minidl
    >>> x, weight = minidl.tensor([[1.0, 2.0]]), minidl.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    >>> minidl.linear(x, weight, minidl.tensor([0.0, 0.0, 10.0]))
    tensor([[ 1.,  2., 13.]])

    References
    ----------
    ``torch.nn.functional.linear``.
    """
    shape, wanted = shape_of(input, "linear", "input"), shape_of(weight, "linear", "weight")
    if len(wanted) != 2:
        raise ShapeError(f"linear: weight must have shape (units, features), got {wanted}; input has shape {shape}")
    if not shape or shape[-1] != wanted[1]:
        raise ShapeError(
            f"linear: input {shape} has {f'{shape[-1]} features' if shape else 'no axis of features'}, weight {wanted} "
            f"expects {wanted[1]}; give the layer in_features={shape[-1] if shape else 1}, or reshape the input so "
            f"that its last axis has size {wanted[1]}"
        )
    if bias is None:
        return Linear.apply(input, weight, relu=relu)
    given = shape_of(bias, "linear", "bias")
    if given != wanted[:1]:
        raise ShapeError(f"linear: bias has shape {given}, weight {wanted} expects {wanted[:1]}; give one bias a unit")
    return Linear.apply(input, weight, bias, relu=relu)


def dense(x: Any, kernel: Any, bias: Any = None, *, relu: bool = False) -> Tensor:
    r"""Return the affine map of a dense layer whose weight stands inputs first, as Keras keeps it.

    .. math:: y = x W + b

    Parameters
    ----------
    x : Tensor or array, of shape (..., D)
        Any number of axes before the features, none included.
    kernel : Tensor or array, of shape (D, U)
        :math:`W`; :func:`linear` takes it transposed.
    bias : Tensor or array, of shape (U,), optional
    relu : bool
        Replace what is negative by 0, in the same pass: :math:`\max(y, 0)`.

    Returns
    -------
    Tensor, of shape (..., U)

    Raises
    ------
    ShapeError
        If the numbers of features differ, or ``kernel`` or ``bias`` has another number of axes.

    Examples
    --------
    >>> import minidl
    >>> x, kernel = minidl.tensor([[1.0, 2.0]]), minidl.tensor([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
    >>> minidl.dense(x, kernel, minidl.tensor([0.0, 0.0, 10.0]))
    tensor([[ 1.,  2., 13.]])

    References
    ----------
    ``keras.layers.Dense``.
    """
    shape, wanted = shape_of(x, "dense", "x"), shape_of(kernel, "dense", "kernel")
    if len(wanted) != 2 or not shape or shape[-1] != wanted[0]:
        raise ShapeError(
            f"dense: x has shape {shape}, kernel {wanted}; expected (..., features) and (features, units), with as "
            "many features"
        )
    if bias is None:
        return Linear.apply(x, kernel, transposed=False, relu=relu)
    given = shape_of(bias, "dense", "bias")
    if given != wanted[1:]:
        raise ShapeError(f"dense: bias has shape {given}, kernel {wanted} expects {wanted[1:]}; give one bias a unit")
    return Linear.apply(x, kernel, bias, transposed=False, relu=relu)


@takes_tensors("x")
def trace(x: Any) -> Tensor:
    r"""Return the sum of the diagonal of a matrix.

    .. math:: y = \sum_i x_{i i}

    Parameters
    ----------
    x : Tensor or array, of shape (N, D)

    Returns
    -------
    Tensor, of shape ()

    Raises
    ------
    ShapeError
        If ``x`` is no matrix.

    Examples
    --------
    >>> import minidl
    >>> minidl.trace(minidl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)

    References
    ----------
    ``numpy.trace``, ``torch.trace``.
    """
    shape = shape_of(x, "trace", "x")
    if len(shape) != 2:
        raise ShapeError(f"trace: expected a matrix, got shape {shape}; for a batch, einsum('...ii->...', x)")
    size = min(shape)
    return einsum("ii->", x[:size, :size])
