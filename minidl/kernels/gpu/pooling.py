"""Pooling: the largest or the average element of each window, and how gradients return, without atomic additions.

Shapes: N batch, C channels, H W image, R S window, OH OW output.
"""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import Kernel, countable, plane_grid
from minidl.kernels.reference.windows import Pair, Windows

__all__ = ["avg_pool2d", "avg_pool2d_grad", "max_pool2d", "scatter_planes"]

max_kernel = Kernel("pooling.cu", "max_pool2d")
max_grad_kernel = Kernel("pooling.cu", "max_pool2d_grad")
avg_kernel = Kernel("pooling.cu", "avg_pool2d")
avg_grad_kernel = Kernel("pooling.cu", "avg_pool2d_grad")


def max_pool2d(x: Any, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, size: Pair) -> Any:
    """Return the largest element of each window (NaN counts as largest; of equals, the first), and where it stood."""
    xp = namespace(x)
    N, C, H, W = x.shape
    if not countable(H * W, size[0] * size[1]):
        return NotImplemented
    values, indices = xp.empty((N, C, *size), dtype=x.dtype), xp.empty((N, C, *size), dtype="int64")
    if values.size:
        geometry = (H, W, *kernel, *size, *stride, *padding, *dilation)
        grid = plane_grid(N * C, size[0] * size[1])
        max_kernel(*grid, xp.ascontiguousarray(x), values, indices, N * C, *geometry)
    return values, indices


def scatter_planes(grad: Any, indices: Any, size: Pair, windows: Windows | None = None) -> Any:
    """Add each element of ``grad`` to the place in a plane of zeros that its index names: (N, C, H, W).

    Where the windows are known in which the indices were found, each place gathers from those that hold it.
    """
    if windows is None or not reached(size, grad.shape[2:], *windows):
        return NotImplemented
    xp = namespace(grad)
    N, C, *outputs = grad.shape
    if not countable(size[0] * size[1], outputs[0] * outputs[1]):
        return NotImplemented
    grad_x = xp.empty((N, C, *size), dtype=grad.dtype)
    if grad_x.size:
        kernel, stride, padding, dilation = windows
        geometry = (*size, *kernel, *outputs, *stride, *padding, *dilation)
        grid = plane_grid(N * C, size[0] * size[1])
        grad, indices = xp.ascontiguousarray(grad), xp.ascontiguousarray(indices)
        max_grad_kernel(*grid, grad, indices, grad_x, N * C, *geometry)
    return grad_x


def reached(image: Pair, size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair) -> bool:
    """Whether each window has a cell inside of the image; the index of one that has none is of no cell of its own."""
    return all(
        padding[i] <= dilation[i] * (kernel[i] - 1)
        and (not padding[i] or dilation[i] <= image[i])
        and (size[i] - 1) * stride[i] - padding[i] < image[i]
        for i in (0, 1)
    )


def avg_pool2d(
    x: Any, kernel: Pair, stride: Pair, padding: Pair, size: Pair, count_include_pad: bool, divisor: int | None
) -> Any:
    """Return the average of each window: (N, C, OH, OW)."""
    xp = namespace(x)
    N, C, H, W = x.shape
    if not countable(H * W, size[0] * size[1]):
        return NotImplemented
    y = xp.empty((N, C, *size), dtype=x.dtype)
    if y.size:
        geometry = (H, W, *kernel, *size, *stride, *padding)
        grid = plane_grid(N * C, size[0] * size[1])
        avg_kernel(*grid, xp.ascontiguousarray(x), y, N * C, *geometry, count_include_pad, divisor or 0)
    return y


def avg_pool2d_grad(
    grad: Any, image: Pair, kernel: Pair, stride: Pair, padding: Pair, count_include_pad: bool, divisor: int | None
) -> Any:
    """Share each output's gradient (N, C, OH, OW) among the elements of its window: (N, C, H, W)."""
    xp = namespace(grad)
    N, C, *size = grad.shape
    if not countable(image[0] * image[1], size[0] * size[1]):
        return NotImplemented
    grad_x = xp.empty((N, C, *image), dtype=grad.dtype)
    if grad_x.size:
        geometry = (*image, *kernel, *size, *stride, *padding)
        grid = plane_grid(N * C, image[0] * image[1])
        grad = xp.ascontiguousarray(grad)
        avg_grad_kernel(*grid, grad, grad_x, N * C, *geometry, count_include_pad, divisor or 0)
    return grad_x
