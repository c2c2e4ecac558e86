"""Pooling: one number for each window of an image, its largest or its average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl import kernels
from minidl.autograd import Operation
from minidl.errors import ArgumentError, ShapeError
from minidl.ops.arguments import takes_tensors
from minidl.ops.convolution import same_sides, sizes
from minidl.ops.shape import reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "max_pool1d",
    "max_pool2d",
]

Pair = tuple[int, int]


class MaxPool2d(Operation):
    def forward(
        self, x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair, return_indices: bool
    ) -> Any:
        values, indices = kernels.max_pool2d(x, kernel, stride, padding, dilation, size)
        if return_indices:
            indices = indices.astype("int64", copy=False)  # compiled, they come in half of that
        self.image = x.shape[2:]
        self.windows = (kernel, stride, padding, dilation)
        self.save(indices)
        return (values, indices) if return_indices else values

    def backward(self, grad: Any, grad_indices: Any = None) -> Any:
        (indices,) = self.saved
        return ScatterPlanes.apply(grad, indices=indices, size=self.image, windows=self.windows)


class AdaptiveMaxPool2d(Operation):
    def forward(self, x: Any, size: Pair, return_indices: bool) -> Any:
        values, indices = kernels.adaptive_max_pool2d(x, size)
        self.image = x.shape[2:]
        self.save(indices)
        return (values, indices) if return_indices else values

    def backward(self, grad: Any, grad_indices: Any = None) -> Any:
        (indices,) = self.saved
        return ScatterPlanes.apply(grad, indices=indices, size=self.image)


class ScatterPlanes(Operation):
    """Add each element to the place in a plane of zeros that its index names: the gradient of max pooling."""

    def forward(self, x: Any, indices: Any, size: Pair, windows: Any = None) -> Any:
        self.save(indices)
        return kernels.scatter_planes(x, indices, size, windows)

    def backward(self, grad: Any) -> Any:
        (indices,) = self.saved
        return GatherPlanes.apply(grad, indices=indices)


class GatherPlanes(Operation):
    """Take from each plane the elements that the indices name: the transpose of :class:`ScatterPlanes`."""

    def forward(self, x: Any, indices: Any) -> Any:
        self.image = x.shape[2:]
        self.save(indices)
        return kernels.gather_planes(x, indices)

    def backward(self, grad: Any) -> Any:
        (indices,) = self.saved
        return ScatterPlanes.apply(grad, indices=indices, size=self.image)


class AvgPool2d(Operation):
    casting = "float"

    def forward(
        self,
        x: Any,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        size: Pair,
        count_include_pad: bool,
        divisor: int | None,
    ) -> Any:
        self.image = x.shape[2:]
        self.geometry = {
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "count_include_pad": count_include_pad,
            "divisor": divisor,
        }
        return kernels.avg_pool2d(x, kernel, stride, padding, size, count_include_pad, divisor)

    def backward(self, grad: Any) -> Any:
        return AvgPool2dGrad.apply(grad, image=self.image, **self.geometry)


class AvgPool2dGrad(Operation):
    def forward(
        self,
        grad: Any,
        image: Pair,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        count_include_pad: bool,
        divisor: int | None,
    ) -> Any:
        self.size = grad.shape[2:]
        self.geometry = {
            "kernel": kernel,
            "stride": stride,
            "padding": padding,
            "count_include_pad": count_include_pad,
            "divisor": divisor,
        }
        return kernels.avg_pool2d_grad(grad, image, kernel, stride, padding, count_include_pad, divisor)

    def backward(self, grad: Any) -> Any:
        return AvgPool2d.apply(grad, size=self.size, **self.geometry)


class AdaptiveAvgPool2d(Operation):
    casting = "float"

    def forward(self, x: Any, size: Pair) -> Any:
        self.image = x.shape[2:]
        return kernels.adaptive_avg_pool2d(x, size)

    def backward(self, grad: Any) -> Any:
        return AdaptiveAvgPool2dGrad.apply(grad, image=self.image)


class AdaptiveAvgPool2dGrad(Operation):
    def forward(self, grad: Any, image: Pair) -> Any:
        self.size = grad.shape[2:]
        return kernels.adaptive_avg_pool2d_grad(grad, image)

    def backward(self, grad: Any) -> Any:
        return AdaptiveAvgPool2d.apply(grad, size=self.size)


def check_image(name: str, x: Any, rank: int) -> None:
    """Raise a ShapeError unless ``x`` is a batch of images (rank 2) or sequences (rank 1), or one, and not empty."""
    axes = ("L", "H, W")[rank - 1]
    if x.ndim not in (rank + 1, rank + 2) or 0 in x.shape[-rank:]:
        raise ShapeError(
            f"{name}: the input has shape {tuple(x.shape)}; expected (N, C, {axes}), or (C, {axes}) without a batch, "
            f"with positive sizes {axes}"
        )


def as_images(x: Any, rank: int) -> Any:
    """Return ``x`` as (N, C, H, W): sequences become images one pixel high, a missing batch axis one of size 1."""
    if x.ndim == 4:
        return x
    image = x.shape[-rank:] if rank == 2 else (1, x.shape[-1])
    return reshape(x, (1 if x.ndim == rank + 1 else x.shape[0], x.shape[-rank - 1], *image))


def like_input(y: Any, x: Any, rank: int) -> Any:
    """Return a result (N, C, OH, OW) in the layout of the input ``x`` that :func:`as_images` took."""
    return y if x.ndim == 4 else reshape(y, (*x.shape[:-rank], *y.shape[4 - rank :]))


def window_arguments(
    name: str, x: Any, rank: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> dict[str, Pair]:
    """Check the input and the geometry of the windows; return the geometry, for images."""
    check_image(name, x, rank)
    kernel = sizes(kernel_size, rank, 1, name, "kernel_size")
    strides = kernel if stride is None else sizes(stride, rank, 1, name, "stride")
    dilations = sizes(dilation, rank, 1, name, "dilation")
    image = x.shape[-rank:]
    if padding == "same":  # what the last window lacks is added where ceil_mode's is
        pads = tuple([same_sides(*geometry)[0] for geometry in zip(image, kernel, strides, dilations, strict=True)])
        size = [-(-length // step) for length, step in zip(image, strides, strict=True)]
    else:
        pads = sizes(padding, rank, 0, name, "padding")
        size = window_counts(name, x, rank, kernel, strides, pads, dilations, ceil_mode)
    found = {"kernel": kernel, "stride": strides, "padding": pads, "dilation": dilations, "size": tuple(size)}
    if rank == 1:
        return {key: (0 if key == "padding" else 1, *value) for key, value in found.items()}
    return found


def window_counts(
    name: str,
    x: Any,
    rank: int,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    dilations: tuple[int, ...],
    ceil_mode: bool,
) -> list[int]:
    """Return how many windows there are along each axis."""
    size = []
    for axis in range(rank):
        extent = dilations[axis] * (kernel[axis] - 1) + 1
        if 2 * pads[axis] > extent:
            raise ArgumentError(
                f"{name}: padding={pads} must be at most half of the window, which covers {extent} pixels along "
                f"axis {axis - rank}: some windows would see padding alone"
            )
        length = x.shape[axis - rank]
        free = length + 2 * pads[axis] - extent
        if free < 0 and not (ceil_mode and free > -strides[axis]):
            raise ShapeError(
                f"{name}: a window of size {tuple(kernel)} with dilation {dilations} covers {extent} pixels along axis "
                f"{axis - rank}, where the input of shape {tuple(x.shape)} has {length + 2 * pads[axis]} with its "
                "padding; use a smaller window, fewer poolings, or a larger input"
            )
        steps = -(-free // strides[axis]) if ceil_mode else free // strides[axis]
        if ceil_mode and steps * strides[axis] >= length + pads[axis]:
            steps -= 1  # the last window must start inside of the image or the padding on its left
        size.append(steps + 1)
    return size


def max_pool(
    name: str,
    rank: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    """Compute :func:`max_pool1d` or :func:`max_pool2d`."""
    geometry = window_arguments(name, x, rank, kernel_size, stride, padding, dilation, ceil_mode)
    y = MaxPool2d.apply(as_images(x, rank), **geometry, return_indices=return_indices)
    if return_indices:
        return like_input(y[0], x, rank), like_input(y[1], x, rank)
    return like_input(y, x, rank)


@takes_tensors("x")
def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    r"""Return the largest element of each window.

    .. math:: y_{ncij} = \max_{r, s} \; x_{n,\, c,\, i \cdot stride + r \cdot dilation - padding,\, \ldots}

    Parameters
    ----------
    x : Tensor (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding, dilation : int or (vertical, horizontal)
        The window, the step from one to the next (the window's size if None), the border of -inf, and the distance
        of a window's cells. ``padding="same"`` is what gives ceil(H / stride) windows, more at the end if odd.
    ceil_mode : bool
        Let a last window stick out, instead of leaving the last pixels unseen.
    return_indices : bool
        Return where each element stood, too.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)
        NaN counts as largest; of equal elements, the first gets the gradient.
    indices : int64 Tensor of that shape, if ``return_indices``
        Positions within a plane, row by row.

    Raises
    ------
    ShapeError
        If ``x`` is no image, or a window is larger than it.
    ArgumentError
        If a size is out of range, or the padding more than half a window.

    Examples
    --------
    >>> import minidl
    >>> minidl.max_pool2d(minidl.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 5.,  7.],
             [13., 15.]]])

    References
    ----------
    ``torch.nn.functional.max_pool2d``.
    """
    return max_pool("max_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@takes_tensors("x")
def max_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    r"""Return the largest element of each window of a sequence.

    .. math:: y_{nci} = \max_{r} \; x_{n,\, c,\, i \cdot stride + r \cdot dilation - padding}

    Parameters
    ----------
    x : Tensor (N, C, L) or (C, L)
    kernel_size, stride, padding, dilation, ceil_mode, return_indices
        As in :func:`max_pool2d`, along one axis.

    Returns
    -------
    Tensor (N, C, OL) or (C, OL)
    indices : int64 Tensor of that shape, if ``return_indices``

    Raises
    ------
    ShapeError
        If ``x`` is no sequence, or a window is larger than it.
    ArgumentError
        If a size is out of range, or the padding more than half a window.

    Examples
    --------
    >>> import minidl
    >>> minidl.max_pool1d(minidl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[3., 2.]])

    References
    ----------
    ``torch.nn.functional.max_pool1d``.
    """
    return max_pool("max_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def avg_pool(
    name: str,
    rank: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    """Compute :func:`avg_pool1d` or :func:`avg_pool2d`."""
    geometry = window_arguments(name, x, rank, kernel_size, stride, padding, 1, ceil_mode)
    count_include_pad = count_include_pad and padding != "same"
    del geometry["dilation"]
    if divisor == 0:
        raise ArgumentError(f"{name}: divisor_override must not be 0; leave it out to divide by the window's size")
    y = AvgPool2d.apply(as_images(x, rank), **geometry, count_include_pad=count_include_pad, divisor=divisor)
    return like_input(y, x, rank)


@takes_tensors("x")
def avg_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    r"""Return the average of each window.

    .. math:: y_{ncij} = \frac{1}{R S} \sum_{r, s} x_{n,\, c,\, i \cdot stride + r - padding,\, \ldots}

    Parameters
    ----------
    x : Tensor (N, C, H, W) or (C, H, W)
    kernel_size, stride, padding : int or (vertical, horizontal)
        The window, the step from one to the next (the window's size if None), and the border of zeros.
        ``padding="same"`` is what gives ceil(H / stride) windows, more at the end if odd; it never counts.
    ceil_mode : bool
        Let a last window stick out, instead of leaving the last pixels unseen; what sticks out never counts.
    count_include_pad : bool
        Whether the border's zeros count as elements.
    divisor_override : int, optional
        What to divide by instead of the number of elements.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    ShapeError
        If ``x`` is no image, or a window is larger than it.
    ArgumentError
        If a size is out of range, or the padding more than half a window.

    Examples
    --------
    >>> import minidl
    >>> minidl.avg_pool2d(minidl.arange(16.0).reshape(1, 4, 4), 2)
    tensor([[[ 2.5000,  4.5000],
             [10.5000, 12.5000]]])

    References
    ----------
    ``torch.nn.functional.avg_pool2d``.
    """
    return avg_pool("avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@takes_tensors("x")
def avg_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    r"""Return the average of each window of a sequence.

    .. math:: y_{nci} = \frac{1}{R} \sum_{r} x_{n,\, c,\, i \cdot stride + r - padding}

    Parameters
    ----------
    x : Tensor (N, C, L) or (C, L)
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As in :func:`avg_pool2d`, along one axis.

    Returns
    -------
    Tensor (N, C, OL) or (C, OL)

    Raises
    ------
    ShapeError
        If ``x`` is no sequence, or a window is larger than it.
    ArgumentError
        If a size is out of range, or the padding more than half a window.

    Examples
    --------
    >>> import minidl
    >>> minidl.avg_pool1d(minidl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])

    References
    ----------
    ``torch.nn.functional.avg_pool1d``.
    """
    return avg_pool("avg_pool1d", 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def adaptive_size(name: str, x: Any, output_size: Any) -> tuple[int, ...]:
    """Return the output size, with the input's in place of None."""
    check_image(name, x, 2)
    given = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    image = x.shape[-2:]
    filled = [image[axis] if size is None else size for axis, size in enumerate(given[:2])]
    return sizes(filled if len(given) == 2 else given, 2, 1, name, "output_size")


@takes_tensors("x")
def adaptive_avg_pool2d(x: Any, output_size: Any) -> Tensor:
    r"""Cut images into a grid of regions, whatever their size, and return the average of each.

    .. math:: y_{ncij} = \operatorname{mean} \; x_{n,\, c,\, \lfloor iH/O \rfloor : \lceil (i+1)H/O \rceil,\, \ldots}

    Parameters
    ----------
    x : Tensor (N, C, H, W) or (C, H, W)
    output_size : int or (OH, OW)
        None keeps the input's size along that axis.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    ShapeError
        If ``x`` is no image.
    ArgumentError
        If a size is not positive.

    Examples
    --------
    >>> import minidl
    >>> minidl.adaptive_avg_pool2d(minidl.arange(9.0).reshape(1, 3, 3), 1)
    tensor([[[4.]]])

    References
    ----------
    ``torch.nn.functional.adaptive_avg_pool2d``.
    """
    size = adaptive_size("adaptive_avg_pool2d", x, output_size)
    return like_input(AdaptiveAvgPool2d.apply(as_images(x, 2), size=size), x, 2)


@takes_tensors("x")
def adaptive_avg_pool1d(x: Any, output_size: Any) -> Tensor:
    r"""Cut sequences into regions, whatever their length, and return the average of each.

    .. math:: y_{nci} = \operatorname{mean} \; x_{n,\, c,\, \lfloor iL/O \rfloor : \lceil (i+1)L/O \rceil}

    Parameters
    ----------
    x : Tensor (N, C, L) or (C, L)
    output_size : int

    Returns
    -------
    Tensor (N, C, OL) or (C, OL)

    Raises
    ------
    ShapeError
        If ``x`` is no sequence.
    ArgumentError
        If the size is not positive.

    Examples
    --------
    >>> import minidl
    >>> minidl.adaptive_avg_pool1d(minidl.tensor([[1.0, 3.0, 2.0, 0.0]]), 2)
    tensor([[2., 1.]])

    References
    ----------
    ``torch.nn.functional.adaptive_avg_pool1d``.
    """
    check_image("adaptive_avg_pool1d", x, 1)
    size = (1, *sizes(output_size, 1, 1, "adaptive_avg_pool1d", "output_size"))
    return like_input(AdaptiveAvgPool2d.apply(as_images(x, 1), size=size), x, 1)


@takes_tensors("x")
def adaptive_max_pool2d(x: Any, output_size: Any, return_indices: bool = False) -> Tensor | tuple[Tensor, Tensor]:
    r"""Cut images into a grid of regions, whatever their size, and return the largest element of each.

    .. math:: y_{ncij} = \max \; x_{n,\, c,\, \lfloor iH/O \rfloor : \lceil (i+1)H/O \rceil,\, \ldots}

    Parameters
    ----------
    x : Tensor (N, C, H, W) or (C, H, W)
    output_size : int or (OH, OW)
        None keeps the input's size along that axis.
    return_indices : bool
        Return where each element stood, too, counted within a plane, row by row.

    Returns
    -------
    Tensor (N, C, OH, OW) or (C, OH, OW)
    indices : int64 Tensor of that shape, if ``return_indices``

    Raises
    ------
    ShapeError
        If ``x`` is no image.
    ArgumentError
        If a size is not positive.

    Examples
    --------
    >>> import minidl
    >>> minidl.adaptive_max_pool2d(minidl.arange(9.0).reshape(1, 3, 3), 1)
    tensor([[[8.]]])

    References
    ----------
    ``torch.nn.functional.adaptive_max_pool2d``.
    """
    size = adaptive_size("adaptive_max_pool2d", x, output_size)
    y = AdaptiveMaxPool2d.apply(as_images(x, 2), size=size, return_indices=return_indices)
    if return_indices:
        return like_input(y[0], x, 2), like_input(y[1], x, 2)
    return like_input(y, x, 2)
