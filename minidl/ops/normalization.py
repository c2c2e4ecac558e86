"""Normalisation: subtract a mean, divide by a spread. Which axes they are taken over gives each form its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import kernels
from minidl.autograd import Operation, Variable
from minidl.backend import quiet
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.ops.arguments import DIM, takes_tensors
from minidl.ops.powers import rsqrt, sqrt
from minidl.ops.reductions import mean, norm
from minidl.ops.selection import clamp_min
from minidl.ops.shape import reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "normalize", "rms_norm"]


def move(running: tuple[Any, Any, float, int], mean: Any, var: Any, count: int) -> None:
    """Move running statistics, in place, towards those of a batch, each of ``count`` values."""
    running_mean, running_var, momentum, correction = running
    rows = mean.size // max(running_mean.size, 1)  # instance_norm has statistics for each image
    var = var * (count / max(count - correction, 1))
    for known, found in ((running_mean, mean), (running_var, var)):
        known *= 1 - momentum
        known += momentum * found.reshape((rows, known.size)).sum(axis=0) / max(rows, 1)


def recorded(x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Callable[[Any], Any]]:
    """Return the standardized x, 1 over its spread and what takes means, all by operations that are recorded.

    What forward saved of them is a constant to the second derivative.
    """
    count = math.prod([x.shape[axis] for axis in axes])

    def average(z: Any) -> Any:
        return z.sum(axis=axes, keepdims=True) / count

    d = x - average(x)
    rstd = 1 / sqrt(average(d * d) + eps)
    return d * rstd, rstd, average


class BatchNorm(Operation):
    r"""Mean 0 and variance 1 of each channel, then its factor and offset.

    With :math:`\hat x = (x - \mu) / \sigma` and :math:`\bar z = \bar y \gamma`:

    .. math:: \bar x = \frac{1}{\sigma} \bigl(\bar z - \operatorname{mean} \bar z -
        \hat x \operatorname{mean} (\bar z \hat x) \bigr)
    """

    casting = "float"

    @quiet
    def forward(self, x: Any, weight: Any = None, bias: Any = None, *, eps: float, running: Any = None) -> Any:
        self.eps = eps
        y, mean, var = kernels.batch_norm(x, weight, bias, eps)
        if running is not None and x.size:
            move(running, mean, var, x.size // x.shape[1])
        self.save(x, weight, mean, 1 / self.xp.sqrt(var + eps))
        return y

    def backward(self, grad: Any) -> Any:
        x, weight, mean, rstd = self.saved
        if not self.recording:
            return kernels.batch_norm_grad(grad, x, mean, rstd, weight)[: len(self.needs)]
        axes = (0, *range(2, x.ndim))
        standard, rstd, average = recorded(x, axes, self.eps)
        grad_weight, grad_bias = (grad * standard).sum(axis=axes), grad.sum(axis=axes)
        if weight is not None:
            grad = grad * weight.reshape((1, -1, *(1,) * (x.ndim - 2)))
        grad_x = rstd * (grad - average(grad) - standard * average(grad * standard))
        return (grad_x, grad_weight, grad_bias)[: len(self.needs)]


class Standardize(Operation):
    r"""Mean 0 and variance 1 over the ``last`` axes, then a factor and an offset that broadcast.

    To the kernel of :class:`BatchNorm`, whose gradient this has, all that is averaged together is a channel of one
    sample.
    """

    casting = "float"

    @quiet
    def forward(
        self, x: Any, weight: Any = None, bias: Any = None, *, last: int, eps: float, running: Any = None
    ) -> Any:
        self.eps = eps
        self.outer, self.inner = x.shape[:-last], x.shape[-last:]
        self.lines = 1, math.prod(self.outer), math.prod(self.inner)
        y, mean, var = kernels.batch_norm(x.reshape(self.lines), None, None, eps)  # (1, R, P), (R,), (R,)
        if running is not None and x.size:
            move(running, mean, var, self.lines[2])
        self.save(x, weight, mean, 1 / self.xp.sqrt(var + eps))
        y = y.reshape(x.shape)
        if weight is not None:
            y *= weight
        if bias is not None:
            y += bias
        return y

    def backward(self, grad: Any) -> Any:
        x, weight, mean, rstd = self.saved
        grads = [None, None, grad]
        if self.recording:
            standard, rstd, average = recorded(x, tuple(range(len(self.outer), x.ndim)), self.eps)
            grads[1] = grad * standard
            if weight is not None:
                grad = grad * weight
            grads[0] = rstd * (grad - average(grad) - standard * average(grad * standard))
            return tuple(grads[: len(self.needs)])
        if len(self.needs) > 1 and self.needs[1]:
            along = self.outer + (1,) * len(self.inner)
            grads[1] = x - mean.reshape(along)
            grads[1] *= rstd.reshape(along)
            grads[1] *= grad
        if self.needs[0]:
            if weight is not None:
                grad = grad * weight
            lines = grad.reshape(self.lines), x.reshape(self.lines)
            grads[0] = kernels.batch_norm_grad(*lines, mean, rstd, None)[0].reshape(x.shape)
        return tuple(grads[: len(self.needs)])


class LayerNorm(Standardize):
    """The same with a factor and an offset for each element of the last axes."""

    @quiet
    def forward(
        self, x: Any, weight: Any = None, bias: Any = None, *, last: int, eps: float, running: None = None
    ) -> Any:
        self.eps = eps
        self.outer, self.inner = x.shape[:-last], x.shape[-last:]
        self.rows = math.prod(self.outer), math.prod(self.inner)
        y, mean, var = kernels.layer_norm(x.reshape(self.rows), flat(weight), flat(bias), eps)  # (R, P), (R,), (R,)
        self.save(x, weight, mean, 1 / self.xp.sqrt(var + eps))
        return y.reshape(x.shape)

    def backward(self, grad: Any) -> Any:
        if self.recording:
            return super().backward(grad)
        x, weight, mean, rstd = self.saved
        rows = grad.reshape(self.rows), x.reshape(self.rows)
        grad_x, *vectors = kernels.layer_norm_grad(*rows, mean, rstd, flat(weight))
        return (grad_x.reshape(x.shape), *(vector.reshape(self.inner) for vector in vectors))[: len(self.needs)]


def flat(vector: Any) -> Any:
    """Return a factor or offset for each element of several axes as (P,), or None for None."""
    return None if vector is None else vector.reshape(-1)


def with_vectors(operation: type[Operation], x: Any, weight: Any, bias: Any, **parameters: Any) -> Any:
    """Apply an operation to as many inputs as there are."""
    if bias is not None:
        return operation.apply(x, weight, bias, **parameters)
    return operation.apply(x, **parameters) if weight is None else operation.apply(x, weight, **parameters)


def check_channels(name: str, x: Any, **vectors: Any) -> tuple[int, ...]:
    """Raise a ShapeError unless ``x`` has channels and each vector one number for each; return their shape in ``x``."""
    if x.ndim < 2:
        raise ShapeError(f"{name}: the input has shape {tuple(x.shape)}; expected (N, C) or (N, C, ...)")
    for argument, vector in vectors.items():
        if vector is not None and tuple(vector.shape) != (x.shape[1],):
            raise ShapeError(
                f"{name}: {argument} has shape {tuple(vector.shape)}, but the input of shape {tuple(x.shape)} has "
                f"{x.shape[1]} channels along axis 1, so ({x.shape[1]},) is expected; give the layer "
                f"num_features={x.shape[1]}"
            )
    return (1, x.shape[1]) + (1,) * (x.ndim - 2)


def along_channels(vector: Any, shape: tuple[int, ...]) -> Any:
    """Return a vector (C,) as (1, C, 1, ...), or None for None."""
    return None if vector is None else reshape(vector, shape)


def with_running_statistics(
    operation: type[Operation],
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    momentum: float,
    correction: int = 1,
    **parameters: Any,
) -> Tensor:
    """Apply an operation that lets the running statistics, if any, take in those it finds."""
    running = None
    if running_mean is not None:
        arrays = [r.array if isinstance(r, Variable) else r for r in (running_mean, running_var)]
        running = (*arrays, momentum, correction)
    y = with_vectors(operation, x, weight, bias, running=running, **parameters)
    for statistics in (running_mean, running_var):
        if isinstance(statistics, Variable):
            statistics.bump()
    return y


def by_running_statistics(
    x: Any, running_mean: Any, running_var: Any, weight: Any, bias: Any, shape: tuple[int, ...], eps: float
) -> Tensor:
    """Normalise by statistics that are given: one factor and one offset a channel."""
    scale = rsqrt(running_var + eps)
    if weight is not None:
        scale = scale * weight
    offset = -running_mean * scale
    if bias is not None:
        offset = offset + bias
    return x * reshape(scale, shape) + reshape(offset, shape)


@takes_tensors("x", "running_mean", "running_var", "weight", "bias")
def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    correction: int = 1,
) -> Tensor:
    r"""Normalise each channel over the batch and all positions.

    .. math:: y = \gamma \, \frac{x - \operatorname{E}[x]}{\sqrt{\operatorname{Var}[x] + \epsilon}} + \beta

    Parameters
    ----------
    x : Tensor (N, C) or (N, C, ...)
    running_mean, running_var : Tensor (C,), or None in training
        In training they are updated in place: ``(1 - momentum) * running + momentum * batch``. In evaluation they
        stand in for the batch's statistics.
    weight, bias : Tensor (C,), optional
        :math:`\gamma` and :math:`\beta`.
    training : bool
        Whether to use the statistics of this batch (its biased variance).
    momentum : float
    eps : float
    correction : int
        What the variance that enters ``running_var`` has in place of 1 in its n - 1: 1 is PyTorch's way, 0 (the
        biased one) Keras's, which takes one value a channel too.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If the vectors do not have C elements, or in training there is one value a channel only.
    ArgumentError
        If running statistics are missing in evaluation, or one of them.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[1.0, 10.0], [3.0, 30.0]])
    >>> minidl.batch_norm(x, None, None, training=True)
    tensor([[-1.0000, -1.0000],
            [ 1.0000,  1.0000]])

    References
    ----------
    ``torch.nn.functional.batch_norm``. Ioffe & Szegedy (2015), "Batch normalization: accelerating deep network
    training by reducing internal covariate shift".
    """
    shape = check_channels(
        "batch_norm", x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if (running_mean is None) != (running_var is None):
        raise ArgumentError("batch_norm: give running_mean and running_var both, or neither")
    if not training:
        if running_mean is None:
            raise ArgumentError("batch_norm: in evaluation it needs running_mean and running_var; pass training=True")
        return by_running_statistics(x, running_mean, running_var, weight, bias, shape, eps)
    if correction and math.prod(x.shape) == x.shape[1]:
        raise ShapeError(
            f"batch_norm: in training it needs more than one value a channel, the input has shape {tuple(x.shape)}; "
            "use a larger batch (drop the last, incomplete one), or call eval() first"
        )
    return with_running_statistics(BatchNorm, x, running_mean, running_var, weight, bias, momentum, correction, eps=eps)


@takes_tensors("x", "running_mean", "running_var", "weight", "bias")
def instance_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    r"""Normalise each channel of each image over its positions.

    .. math:: y = \gamma \, \frac{x - \operatorname{E}[x]}{\sqrt{\operatorname{Var}[x] + \epsilon}} + \beta

    Parameters
    ----------
    x : Tensor (N, C, ...), with at least one axis of positions
    running_mean, running_var : Tensor (C,), optional
        Updated in place with the averages over the batch.
    weight, bias : Tensor (C,), optional
        :math:`\gamma` and :math:`\beta`.
    use_input_stats : bool
        Whether to use the statistics of each image; the running ones if not.
    momentum, eps : float
        As in :func:`batch_norm`.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If the vectors do not have C elements, or there is one position only.
    ArgumentError
        If running statistics are asked for and missing, or one of them is.

    Examples
    --------
    >>> import minidl
    >>> minidl.instance_norm(minidl.tensor([[[1.0, 3.0]], [[5.0, 9.0]]]))
    tensor([[[-1.0000,  1.0000]],
            [[-1.0000,  1.0000]]])

    References
    ----------
    ``torch.nn.functional.instance_norm``. Ulyanov, Vedaldi, Lempitsky (2016), "Instance normalization".
    """
    shape = check_channels(
        "instance_norm", x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
    )
    if (running_mean is None) != (running_var is None):
        raise ArgumentError("instance_norm: give running_mean and running_var both, or neither")
    if not use_input_stats:
        if running_mean is None:
            raise ArgumentError("instance_norm: use_input_stats=False needs running_mean and running_var")
        return by_running_statistics(x, running_mean, running_var, weight, bias, shape, eps)
    if math.prod(x.shape[2:]) == 1:
        raise ShapeError(
            f"instance_norm: it needs more than one position a channel, the input has shape {tuple(x.shape)}; "
            "expected (N, C, L) or (N, C, H, W)"
        )
    weight, bias = along_channels(weight, shape), along_channels(bias, shape)
    return with_running_statistics(
        Standardize, x, running_mean, running_var, weight, bias, momentum, last=x.ndim - 2, eps=eps
    )


def trailing_axes(name: str, x: Any, normalized_shape: Any, **factors: Any) -> tuple[int, ...]:
    """Return the last axes, which must have the sizes ``normalized_shape``, as each factor must."""
    sizes = tuple(normalized_shape) if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    if not sizes or tuple(x.shape[-len(sizes) :]) != sizes:
        raise ShapeError(
            f"{name}: normalized_shape={normalized_shape} must be the last sizes of the input, which has shape "
            f"{tuple(x.shape)}"
        )
    for argument, factor in factors.items():
        if factor is not None and tuple(factor.shape) != sizes:
            raise ShapeError(f"{name}: {argument} has shape {tuple(factor.shape)}; expected normalized_shape, {sizes}")
    return tuple(range(x.ndim - len(sizes), x.ndim))


@takes_tensors("x", "weight", "bias")
def layer_norm(x: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    r"""Normalise each sample over its last axes.

    .. math:: y = \gamma \, \frac{x - \operatorname{E}[x]}{\sqrt{\operatorname{Var}[x] + \epsilon}} + \beta

    Parameters
    ----------
    x : Tensor (..., *normalized_shape)
    normalized_shape : int or tuple of int
        The sizes of the last axes.
    weight, bias : Tensor, of shape ``normalized_shape``, optional
        :math:`\gamma` and :math:`\beta`.
    eps : float

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If ``x``, ``weight`` or ``bias`` do not end in ``normalized_shape``.

    Examples
    --------
    >>> import minidl
    >>> minidl.layer_norm(minidl.tensor([[1.0, 3.0], [5.0, 9.0]]), 2)
    tensor([[-1.0000,  1.0000],
            [-1.0000,  1.0000]])

    References
    ----------
    ``torch.nn.functional.layer_norm``. Ba, Kiros, Hinton (2016), "Layer normalization".
    """
    axes = trailing_axes("layer_norm", x, normalized_shape, weight=weight, bias=bias)
    return with_vectors(LayerNorm, x, weight, bias, last=len(axes), eps=eps)


@takes_tensors("x", "weight")
def rms_norm(x: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    r"""Divide each sample by the root of its mean square over its last axes.

    .. math:: y = \gamma \, \frac{x}{\sqrt{\operatorname{E}[x^2] + \epsilon}}

    Parameters
    ----------
    x : Tensor (..., *normalized_shape)
    normalized_shape : int or tuple of int
        The sizes of the last axes.
    weight : Tensor, of shape ``normalized_shape``, optional
        :math:`\gamma`.
    eps : float, optional
        The distance from 1 to the next number of the dtype, if None.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If ``x`` or ``weight`` do not end in ``normalized_shape``.
    DTypeError
        If ``x`` does not hold floats, and ``eps`` is None.

    Examples
    --------
    >>> import minidl
    >>> minidl.rms_norm(minidl.tensor([[1.0, 7.0]]), 2)
    tensor([[0.2000, 1.4000]])

    References
    ----------
    ``torch.nn.functional.rms_norm``. Zhang & Sennrich (2019), "Root mean square layer normalization".
    """
    axes = trailing_axes("rms_norm", x, normalized_shape, weight=weight)
    if eps is None:
        if x.dtype.kind != "f":
            raise DTypeError(f"rms_norm: expected a float tensor, got {x.dtype}; convert it first: x.float()")
        eps = float(np.finfo(x.dtype).eps)
    y = x * rsqrt(mean(x * x, axis=axes, keepdims=True) + eps)
    return y if weight is None else y * weight


@takes_tensors("x", "weight", "bias")
def group_norm(x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    r"""Normalise each group of channels of each sample.

    .. math:: y = \gamma \, \frac{x - \operatorname{E}[x]}{\sqrt{\operatorname{Var}[x] + \epsilon}} + \beta

    Parameters
    ----------
    x : Tensor (N, C) or (N, C, ...)
    num_groups : int
        Into how many groups to cut the channels; 1 is a layer norm, C an instance norm.
    weight, bias : Tensor (C,), optional
        :math:`\gamma` and :math:`\beta`.
    eps : float

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    ShapeError
        If ``weight`` or ``bias`` do not have C elements, or the groups do not divide the channels.
    ArgumentError
        If ``num_groups`` is not positive.

    Examples
    --------
    >>> import minidl
    >>> minidl.group_norm(minidl.tensor([[1.0, 3.0, 5.0, 9.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])

    References
    ----------
    ``torch.nn.functional.group_norm``. Wu & He (2018), "Group normalization".
    """
    check_channels("group_norm", x, weight=weight, bias=bias)
    if type(num_groups) is not int or num_groups < 1:
        raise ArgumentError(f"group_norm: num_groups={num_groups!r}; expected a positive integer")
    N, C = x.shape[:2]
    if C % num_groups:
        raise ShapeError(
            f"group_norm: num_groups={num_groups} must divide the {C} channels of the input (shape {tuple(x.shape)})"
        )
    shape = (1, num_groups, C // num_groups) + (1,) * (x.ndim - 2)
    y = with_vectors(
        Standardize,
        reshape(x, (N, num_groups, C // num_groups, *x.shape[2:])),
        along_channels(weight, shape),
        along_channels(bias, shape),
        last=x.ndim - 1,
        eps=eps,
    )
    return reshape(y, x.shape)


@takes_tensors("x", **DIM)
def normalize(x: Any, p: float = 2.0, axis: Any = 1, eps: float = 1e-12) -> Tensor:
    r"""Divide vectors by their length.

    .. math:: y = \frac{x}{\max(\lVert x \rVert_p, \epsilon)}

    Parameters
    ----------
    x : Tensor, any shape
    p : float
        Which norm to take.
    axis : int or tuple of int
        The axis along which the vectors lie. PyTorch's ``dim`` is accepted.
    eps : float
        The least that is divided by.

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> minidl.normalize(minidl.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])

    References
    ----------
    ``torch.nn.functional.normalize``.
    """
    return x / clamp_min(norm(x, p, axis, True), eps)
