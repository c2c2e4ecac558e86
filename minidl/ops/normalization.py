"""Normalisation: subtract a mean, divide by a spread. Which axes they are taken over gives each form its name."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

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


class Standardize(Operation):
    r"""Mean 0 and variance 1 over ``axes``, then a factor and an offset that broadcast.

    With :math:`\hat x = (x - \mu) / \sigma` and :math:`\bar z = \bar y \gamma`:

    .. math:: \bar x = \frac{1}{\sigma} \bigl(\bar z - \operatorname{mean} \bar z -
        \hat x \operatorname{mean} (\bar z \hat x) \bigr)
    """

    casting = "float"

    @quiet
    def forward(
        self,
        x: Any,
        weight: Any = None,
        bias: Any = None,
        *,
        axes: tuple[int, ...],
        eps: float,
        running: tuple[Any, Any, float, int] | None = None,
    ) -> Any:
        self.axes, self.eps = axes, eps
        self.count = math.prod([x.shape[axis] for axis in axes])
        mean = x.sum(axis=axes, keepdims=True) / self.count
        y = x - mean
        var = (y * y).sum(axis=axes, keepdims=True) / self.count  # of what is centred: no cancellation at large means
        rstd = 1 / self.xp.sqrt(var + eps)
        if running is not None and self.count:
            self.update(mean, var, *running)
        self.save(x, weight, mean, rstd)
        y *= rstd
        if weight is not None:
            y *= weight
        if bias is not None:
            y += bias
        return y

    def update(
        self, mean: Any, var: Any, running_mean: Any, running_var: Any, momentum: float, correction: int
    ) -> None:
        """Move the running statistics, in place, towards those of this batch."""
        rows = mean.size // max(running_mean.size, 1)  # instance_norm has statistics for each image
        var = var * (self.count / max(self.count - correction, 1))
        for running, found in ((running_mean, mean), (running_var, var)):
            running *= 1 - momentum
            running += momentum * found.reshape((rows, running.size)).sum(axis=0) / max(rows, 1)

    def backward(self, grad: Any) -> Any:
        x, weight, mean, rstd = self.saved
        if self.recording:  # what was saved is a constant to the second derivative
            mean = self.average(x)
            rstd = 1 / sqrt(self.average((x - mean) * (x - mean)) + self.eps)
        standard = (x - mean) * rstd
        grads = [None, None, grad]
        if len(self.needs) > 1 and self.needs[1]:
            grads[1] = grad * standard
        if self.needs[0]:
            if weight is not None:
                grad = grad * weight
            grads[0] = rstd * (grad - self.average(grad) - standard * self.average(grad * standard))
        return tuple(grads[: len(self.needs)])

    def average(self, x: Any) -> Any:
        """Return the mean over the axes, which stay with size 1."""
        return x.sum(axis=self.axes, keepdims=True) / self.count


def standardize(x: Any, weight: Any, bias: Any, **parameters: Any) -> Any:
    """Apply :class:`Standardize` to as many inputs as there are."""
    if bias is not None:
        return Standardize.apply(x, weight, bias, **parameters)
    return Standardize.apply(x, **parameters) if weight is None else Standardize.apply(x, weight, **parameters)


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
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    momentum: float,
    eps: float,
    correction: int = 1,
) -> Tensor:
    """Standardize over ``axes`` and let the running statistics, if any, take in what was found."""
    running = None
    if running_mean is not None:
        arrays = [r.array if isinstance(r, Variable) else r for r in (running_mean, running_var)]
        running = (*arrays, momentum, correction)
    y = standardize(x, along_channels(weight, shape), along_channels(bias, shape), axes=axes, eps=eps, running=running)
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
    axes = (0, *range(2, x.ndim))
    return with_running_statistics(x, running_mean, running_var, weight, bias, shape, axes, momentum, eps, correction)


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
    axes = tuple(range(2, x.ndim))
    return with_running_statistics(x, running_mean, running_var, weight, bias, shape, axes, momentum, eps)


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
    return standardize(x, weight, bias, axes=axes, eps=eps)


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
    y = standardize(
        reshape(x, (N, num_groups, C // num_groups, *x.shape[2:])),
        along_channels(weight, shape),
        along_channels(bias, shape),
        axes=tuple(range(2, x.ndim + 1)),
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
