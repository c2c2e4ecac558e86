"""Convolution: filters that slide over sequences and images, and the transposed form that upsamples.

Convolution is linear in the image and in the filters, so three operations close under differentiation: the
convolution itself, its gradient with respect to the image, and with respect to the filters. Each one's rule is made
of the other two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from minidl import kernels
from minidl.autograd import Operation
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.ops.arguments import takes_tensors
from minidl.ops.shape import reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv_transpose2d"]

Pair = tuple[int, int]
Sides = tuple[Pair, Pair]  # ((top, bottom), (left, right))


def sizes(value: Any, rank: int, least: int, name: str, argument: str) -> tuple[int, ...]:
    """Return an argument that is one integer for all axes, or one an axis, as a tuple of ``rank`` integers.

    Raises
    ------
    ArgumentError
        If there are more or fewer, or one is less than ``least``.
    DTypeError
        If one is no integer.
    """
    values = value if isinstance(value, (tuple, list)) else (value,)
    try:
        found = tuple([v.__index__() for v in values])
    except AttributeError:
        raise DTypeError(f"{name}: {argument} must be an integer or {rank} of them, got {value!r}") from None
    if len(found) == 1:
        found *= rank
    if len(found) != rank or min(found) < least:
        raise ArgumentError(f"{name}: {argument}={value!r}; expected an integer of at least {least}, or {rank} of them")
    return found


def padded_sides(padding: Any, rank: int, name: str) -> tuple[Pair, ...]:
    """Return an argument that is one integer, one an axis, or a pair (before, after) an axis, as such pairs."""
    if isinstance(padding, (tuple, list)) and len(padding) == rank and isinstance(padding[0], (tuple, list)):
        before_after = [sizes(pair, 2, 0, name, "padding") for pair in padding]
        return tuple([(before, after) for before, after in before_after])
    return tuple([(p, p) for p in sizes(padding, rank, 0, name, "padding")])


def same_sides(length: int, kernel: int, stride: int, dilation: int = 1) -> Pair:
    """Return the padding that gives one window for each ``stride`` pixels, begun or whole; an odd one is longer after.

    Examples
    --------
    >>> same_sides(5, kernel=3, stride=1), same_sides(4, kernel=3, stride=2)
    ((1, 1), (0, 1))
    """
    reach = (-(-length // stride) - 1) * stride + dilation * (kernel - 1) + 1
    total = max(reach - length, 0)
    return total // 2, total - total // 2


class Conv2d(Operation):
    casting = "common"

    def forward(
        self,
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        stride: Pair,
        padding: Sides,
        dilation: Pair,
        groups: int,
        size: Pair,
        relu: bool = False,
    ) -> Any:
        self.image, self.kernel = x.shape[2:], weight.shape[2:]
        self.geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        y = kernels.conv2d(x, weight, bias, stride, padding, dilation, groups, size, relu)
        self.save(x if self.needs[1] else None, weight if self.needs[0] else None, y if relu else None)
        return y

    def backward(self, grad: Any) -> Any:
        x, weight, y = self.saved
        grad_bias = None
        if self.recording:
            grad = grad if y is None else grad * (y > 0)
            grad_bias = grad.sum(axis=(0, 2, 3)) if True in self.needs[2:] else None
        elif y is not None:
            grad, grad_bias = kernels.relu_grad_and_sums(grad, y)
        elif True in self.needs[2:]:
            grad_bias = kernels.channel_sums(grad)
        grad_x = Conv2dInputGrad.apply(grad, weight, size=self.image, **self.geometry) if self.needs[0] else None
        grad_weight = Conv2dWeightGrad.apply(x, grad, kernel=self.kernel, **self.geometry) if self.needs[1] else None
        return (grad_x, grad_weight) if len(self.needs) == 2 else (grad_x, grad_weight, grad_bias)


class Conv2dInputGrad(Operation):
    casting = "common"

    def forward(
        self, grad: Any, weight: Any, size: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
    ) -> Any:
        self.save(grad if self.needs[1] else None, weight if self.needs[0] else None)
        self.size, self.kernel = grad.shape[2:], weight.shape[2:]
        self.geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return kernels.conv2d_input_grad(grad, weight, size, stride, padding, dilation, groups)

    def backward(self, grad: Any) -> Any:
        y, weight = self.saved
        grad_y = Conv2d.apply(grad, weight, size=self.size, **self.geometry) if self.needs[0] else None
        grad_weight = Conv2dWeightGrad.apply(grad, y, kernel=self.kernel, **self.geometry) if self.needs[1] else None
        return grad_y, grad_weight


class Conv2dWeightGrad(Operation):
    casting = "common"

    def forward(
        self, x: Any, grad: Any, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
    ) -> Any:
        self.save(x if self.needs[1] else None, grad if self.needs[0] else None)
        self.image, self.size = x.shape[2:], grad.shape[2:]
        self.geometry = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return kernels.conv2d_weight_grad(x, grad, kernel, stride, padding, dilation, groups)

    def backward(self, grad: Any) -> Any:
        x, y = self.saved
        grad_x = Conv2dInputGrad.apply(y, grad, size=self.image, **self.geometry) if self.needs[0] else None
        grad_y = Conv2d.apply(x, grad, size=self.size, **self.geometry) if self.needs[1] else None
        return grad_x, grad_y


def check_channels(name: str, x: Any, weight: Any, bias: Any, groups: int, rank: int, transposed: bool = False) -> None:
    """Raise a ShapeError or an ArgumentError unless input, filters, bias and groups fit each other."""
    axes = ("L", "H, W")[rank - 1]
    cells = ("R", "R, S")[rank - 1]
    if x.ndim not in (rank + 1, rank + 2):
        raise ShapeError(
            f"{name}: the input has shape {tuple(x.shape)}; expected (N, C, {axes}), or (C, {axes}) without a batch: "
            "reshape or unsqueeze it"
        )
    layout = f"(C, K / groups, {cells})" if transposed else f"(K, C / groups, {cells})"
    if weight.ndim != rank + 2:
        raise ShapeError(f"{name}: weight has shape {tuple(weight.shape)}; expected {layout}")
    if type(groups) is not int or groups < 1:
        raise ArgumentError(f"{name}: groups={groups!r}; expected a positive integer")
    channels = x.shape[-rank - 1]
    if channels % groups or weight.shape[0] % groups:
        raise ShapeError(
            f"{name}: groups={groups} must divide the {channels} channels of the input (shape {tuple(x.shape)}) and "
            f"the {weight.shape[0]} filters of weight (shape {tuple(weight.shape)})"
        )
    expected = weight.shape[0] if transposed else weight.shape[1] * groups
    if channels != expected:
        raise ShapeError(
            f"{name}: the input has {channels} channels (shape {tuple(x.shape)}), but weight {layout} of shape "
            f"{tuple(weight.shape)} with groups={groups} expects {expected}; give the layer as many input channels as "
            "the input has" + (", or move the channels first" if x.shape[-1] == expected else "")
        )
    outputs = weight.shape[1] * groups if transposed else weight.shape[0]
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise ShapeError(f"{name}: bias has shape {tuple(bias.shape)}; expected ({outputs},), one number a filter")


def convolve(
    name: str,
    rank: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    relu: bool = False,
) -> Tensor:
    """Check the arguments of :func:`conv1d` or :func:`conv2d` and compute it; sequences are images one pixel high."""
    check_channels(name, x, weight, bias, groups, rank)
    strides = sizes(stride, rank, 1, name, "stride")
    dilations = sizes(dilation, rank, 1, name, "dilation")
    kernel, image = weight.shape[2:], x.shape[-rank:]
    if isinstance(padding, str):
        sides = named_padding(padding, kernel, strides, dilations, name)
    else:
        sides = padded_sides(padding, rank, name)
    size = []
    for axis in range(rank):
        available = image[axis] + sides[axis][0] + sides[axis][1]
        extent = dilations[axis] * (kernel[axis] - 1) + 1
        if extent > available or not kernel[axis]:
            raise ShapeError(
                f"{name}: a kernel of size {tuple(kernel)} with dilation {dilations} covers {extent} pixels along axis "
                f"{axis - rank}, where the input of shape {tuple(x.shape)} has {available} with its padding; use a "
                "smaller kernel, more padding, or a larger input"
            )
        size.append((available - extent) // strides[axis] + 1)
    batch = () if x.ndim == rank + 1 else (x.shape[0],)
    if rank == 1:
        weight = reshape(weight, (*weight.shape[:2], 1, *kernel))  # (K, C/G, 1, R)
        strides, sides, dilations = (1, *strides), ((0, 0), *sides), (1, *dilations)
    if not (batch and rank == 2):
        x = reshape(x, (*(batch or (1,)), x.shape[-rank - 1], *((1,) if rank == 1 else ()), *image))  # (N, C, H, W)
    y = Conv2d.apply(
        *((x, weight) if bias is None else (x, weight, bias)),
        stride=strides,
        padding=sides,
        dilation=dilations,
        groups=groups,
        size=tuple(size) if rank == 2 else (1, *size),
        relu=relu,
    )
    return y if batch and rank == 2 else reshape(y, (*batch, weight.shape[0], *size))


def named_padding(
    padding: str, kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int], name: str
) -> tuple[Pair, ...]:
    """Return the padding that "valid" and "same" stand for; an odd one is longer at the end."""
    if padding == "valid":
        return ((0, 0),) * len(kernel)
    if padding != "same":
        raise ArgumentError(f"{name}: padding={padding!r}; expected integers, 'valid' or 'same'")
    if max(strides) > 1:
        raise ArgumentError(
            f"{name}: padding='same' needs stride 1, got {tuple(strides)}; give the padding as numbers, "
            "(kernel - 1) // 2 for an odd kernel"
        )
    totals = [dilation * (cells - 1) for dilation, cells in zip(dilations, kernel, strict=True)]
    return tuple([(total // 2, total - total // 2) for total in totals])


@takes_tensors("x", "weight", "bias")
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    relu: bool = False,
) -> Tensor:
    r"""Slide filters over images (a cross-correlation, as everywhere in deep learning).

    .. math:: y_{nkij} = b_k + \sum_{c, r, s} w_{kcrs} \, x_{n,\, c,\, u(i, r),\, u(j, s)}, \quad
        u(i, r) = i \cdot stride + r \cdot dilation - padding

    Parameters
    ----------
    x : Tensor (N, C, H, W) or (C, H, W)
    weight : Tensor (K, C / groups, R, S)
    bias : Tensor (K,), optional
    stride : int or (vertical, horizontal)
        Pixels from one window to the next.
    padding : int, (vertical, horizontal), ((top, bottom), (left, right)), "valid" or "same"
        Zeros on each side; "same" keeps H and W, for stride 1.
    dilation : int or (vertical, horizontal)
        Pixels from one cell of the kernel to the next.
    groups : int
        Cut channels and filters into this many groups that don't see each other; ``groups=C`` is a depthwise
        convolution.
    relu : bool
        Replace what is negative by 0, in the same pass: :math:`\max(y, 0)`.

    Returns
    -------
    Tensor (N, K, OH, OW) or (K, OH, OW)
        OH = (H + 2 padding - dilation (R - 1) - 1) // stride + 1, OW likewise.

    Raises
    ------
    ShapeError
        If channels, filters, groups and bias do not fit, or the kernel is larger than the padded image.
    ArgumentError
        If a stride, padding or dilation is out of range.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.arange(9.0).reshape(1, 1, 3, 3)
    >>> minidl.conv2d(x, minidl.ones(1, 1, 2, 2))
    tensor([[[[ 8., 12.],
              [20., 24.]]]])

    References
    ----------
    ``torch.nn.functional.conv2d``. Dumoulin & Visin (2016), "A guide to convolution arithmetic for deep learning".
    """
    return convolve("conv2d", 2, x, weight, bias, stride, padding, dilation, groups, relu)


@takes_tensors("x", "weight", "bias")
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    relu: bool = False,
) -> Tensor:
    r"""Slide filters over sequences.

    .. math:: y_{nki} = b_k + \sum_{c, r} w_{kcr} \, x_{n,\, c,\, i \cdot stride + r \cdot dilation - padding}

    Parameters
    ----------
    x : Tensor (N, C, L) or (C, L)
    weight : Tensor (K, C / groups, R)
    bias : Tensor (K,), optional
    stride, padding, dilation, groups
        As in :func:`conv2d`, along one axis.
    relu : bool
        Replace what is negative by 0, in the same pass: :math:`\max(y, 0)`.

    Returns
    -------
    Tensor (N, K, OL) or (K, OL)

    Raises
    ------
    ShapeError
        If channels, filters, groups and bias do not fit, or the kernel is larger than the padded sequence.
    ArgumentError
        If a stride, padding or dilation is out of range.

    Examples
    --------
    >>> import minidl
    >>> minidl.conv1d(minidl.arange(4.0).reshape(1, 1, 4), minidl.ones(1, 1, 2))
    tensor([[[1., 3., 5.]]])

    References
    ----------
    ``torch.nn.functional.conv1d``.
    """
    return convolve("conv1d", 1, x, weight, bias, stride, padding, dilation, groups, relu)


@takes_tensors("x", "weight", "bias")
def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    r"""Spread each pixel through the filters: the transpose of :func:`conv2d`, which upsamples by ``stride``.

    .. math:: y_{n,\, k,\, u(i, r),\, u(j, s)} \mathrel{+}= w_{ckrs} \, x_{ncij}, \quad
        u(i, r) = i \cdot stride + r \cdot dilation - padding, \quad y \text{ starting at } b_k

    Parameters
    ----------
    x : Tensor (N, C, H, W) or (C, H, W)
    weight : Tensor (C, K / groups, R, S)
    bias : Tensor (K,), optional
    stride, dilation : int or (vertical, horizontal)
    padding : int, (vertical, horizontal) or ((top, bottom), (left, right))
        Like those, that of the convolution whose transpose this is: it cuts pixels off.
    output_padding : int or (vertical, horizontal)
        Rows and columns added at the bottom and right: of the sizes that a strided convolution maps to one, which
        to return.
    groups : int
        As in :func:`conv2d`.

    Returns
    -------
    Tensor (N, K, OH, OW) or (K, OH, OW)
        OH = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1, OW likewise.

    Raises
    ------
    ShapeError
        If channels, filters, groups and bias do not fit, or nothing would be left of the output.
    ArgumentError
        If a stride, padding, dilation or output_padding is out of range.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[1.0, 2.0]]).reshape(1, 1, 1, 2)
    >>> minidl.conv_transpose2d(x, minidl.ones(1, 1, 1, 2), stride=2)
    tensor([[[[1., 1., 2., 2.]]]])

    References
    ----------
    ``torch.nn.functional.conv_transpose2d``. Zeiler et al. (2010), "Deconvolutional networks".
    """
    name = "conv_transpose2d"
    check_channels(name, x, weight, bias, groups, 2, transposed=True)
    strides = sizes(stride, 2, 1, name, "stride")
    cut = padded_sides(padding, 2, name)
    added = sizes(output_padding, 2, 0, name, "output_padding")
    dilations = sizes(dilation, 2, 1, name, "dilation")
    size = []
    for axis in (0, 1):
        if added[axis] >= max(strides[axis], dilations[axis]):
            raise ArgumentError(
                f"{name}: output_padding {added} must be smaller than stride {strides} or dilation {dilations}"
            )
        length = (x.shape[axis - 2] - 1) * strides[axis] + dilations[axis] * (weight.shape[axis + 2] - 1) + 1
        size.append(length - sum(cut[axis]) + added[axis])
    if min(size) < 1:
        raise ShapeError(
            f"{name}: an input of shape {tuple(x.shape)} and weight of shape {tuple(weight.shape)} with stride "
            f"{strides}, padding {padding} give an output of size {tuple(size)}; use less padding"
        )
    batched = x if x.ndim == 4 else reshape(x, (1, *x.shape))
    y = Conv2dInputGrad.apply(
        batched,
        weight,
        size=tuple(size),
        stride=strides,
        padding=cut,
        dilation=dilations,
        groups=groups,
    )
    if bias is not None:
        y = y + reshape(bias, (-1, 1, 1))
    return y if x.ndim == 4 else reshape(y, y.shape[1:])
