"""Two-dimensional convolution and its gradients: matrix products over unfolded windows, or kernels of their own.

Unfolding writes and reads each window once for all filters, so it pays where these are many: a product of K filters
does K / 4 operations for each byte of the windows. For fewer, a kernel fetches windows straight out of the images. For
very few (depthwise, a first layer) most of that kernel's tile would be idle: each output pixel has a thread.

Shapes: N batch, C channels in, K channels out, H W image, R S kernel, OH OW output, G groups.

References
----------
Chetlur et al. (2014), "cuDNN: Efficient Primitives for Deep Learning".
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import MOST_ROWS, Kernel, countable, plane_grid
from minidl.kernels.reference.windows import Pair, Sides

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]

# Up to how many filters of a group each way is taken: by the bytes that it moves, as said above, and by the share of a
# tile that has work, not by measurement.
MOST_DIRECT = 8
MOST_TILED = 32
# Filters x channels of a group up to which each weight's gradient has a block of its own.
MOST_WEIGHTS = 16

#: Unfolded windows repeat each pixel R * S times: this many bytes of them exist at once.
BLOCK_BYTES = 2**28

TILE_FILTERS, TILE_PIXELS, TILE_THREADS = 32, 64, 128  # as in the source
SUM_THREADS = 256

im2col = Kernel("convolution.cu", "im2col")
col2im = Kernel("convolution.cu", "col2im")
finish = Kernel("convolution.cu", "finish")
direct = Kernel("convolution.cu", "conv2d_direct")
tiled = Kernel("convolution.cu", "conv2d_tiled")
input_grad_direct = Kernel("convolution.cu", "conv2d_input_grad_direct")
weight_grad_direct = Kernel("convolution.cu", "conv2d_weight_grad_direct")


def blocks(images: int, image_elements: int, itemsize: int) -> Iterator[tuple[slice, int]]:
    """Cut the batch into slices whose unfolded images fit ``BLOCK_BYTES``; yield each with its length."""
    step = max(1, BLOCK_BYTES // max(1, image_elements * itemsize))
    for start in range(0, images, step):
        stop = min(start + step, images)
        yield slice(start, stop), stop - start


def is_pointwise(kernel: Pair, stride: Pair, padding: Sides) -> bool:
    """Whether the windows are the pixels: nothing has to be unfolded."""
    return kernel == stride == (1, 1) and padding == ((0, 0), (0, 0))


def conv2d(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Pair,
    padding: Sides,
    dilation: Pair,
    groups: int,
    size: Pair,
    relu: bool = False,
) -> Any:
    """Slide the filters over the image: (N, K, OH, OW)."""
    xp = namespace(x)
    N, C, H, W = x.shape
    K, _, R, S = weight.shape
    filters, depth, pixels = K // groups, C // groups * R * S, size[0] * size[1]
    if not countable(H * W, pixels, depth):
        return NotImplemented
    x, weight = xp.ascontiguousarray(x), xp.ascontiguousarray(weight)
    bias = None if bias is None else xp.ascontiguousarray(bias)
    y = xp.empty((N, K, *size), dtype=x.dtype)
    if y.size == 0:
        return y
    offsets = padding[0][0], padding[1][0]
    geometry = (H, W, R, S, *size, *stride, *offsets, *dilation)
    if filters <= MOST_DIRECT:
        direct(*plane_grid(N * K, pixels), x, weight, bias, y, N * K, C, K, *geometry, groups, relu)
        return y
    pointwise = is_pointwise((R, S), stride, padding)
    if filters <= MOST_TILED and not pointwise:
        launch_tiled(x, weight, bias, y, geometry, groups, relu)
        return y
    rows = weight.reshape(groups, filters, depth)
    for part, n in blocks(N, C * R * S * pixels, x.itemsize):
        if pointwise:
            columns = x[part]
        else:
            columns = xp.empty((n, C * R * S, pixels), dtype=x.dtype)
            steps = C * R * S * pixels, pixels
            im2col(*plane_grid(n * C, pixels), x[part], columns, n * C, C, *geometry, *steps)
        columns = columns.reshape(n, groups, depth, pixels)
        xp.matmul(rows, columns, out=y[part].reshape(n, groups, filters, pixels))
    if bias is not None or relu:
        finish(*plane_grid(N * K, pixels), y, bias, N * K, K, pixels, relu)
    return y


def launch_tiled(x: Any, weight: Any, bias: Any, y: Any, geometry: Any, groups: int, relu: bool) -> None:
    """Convolve into ``y`` without unfolding."""
    N, K, OH, OW = y.shape
    tiles = groups * -(-K // groups // TILE_FILTERS)
    grid = (-(-N * OH * OW // TILE_PIXELS), min(MOST_ROWS, tiles))
    tiled(grid, TILE_THREADS, x, weight, bias, y, N, x.shape[1], K, *geometry, groups, relu)


def conv2d_input_grad(
    grad: Any, weight: Any, size: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Give each output pixel's gradient back to the pixels of its window: (N, C, H, W)."""
    xp = namespace(grad)
    N, K, OH, OW = grad.shape
    channels, R, S = weight.shape[1:]
    C, filters, windows, pixels = channels * groups, K // groups, OH * OW, size[0] * size[1]
    if not countable(windows, pixels, filters * R * S, channels * R * S):
        return NotImplemented
    grad, weight = xp.ascontiguousarray(grad), xp.ascontiguousarray(weight)
    grad_x = xp.empty((N, C, *size), dtype=grad.dtype)
    if grad_x.size == 0:
        return grad_x
    offsets = padding[0][0], padding[1][0]
    if min(filters, channels) <= MOST_DIRECT:
        geometry = (*size, R, S, OH, OW, *stride, *offsets, *dilation)
        input_grad_direct(*plane_grid(N * C, pixels), grad, weight, grad_x, N * C, C, K, *geometry, groups)
        return grad_x
    pointwise = is_pointwise((R, S), stride, padding)
    if channels <= MOST_TILED and stride == (1, 1) and not pointwise:
        # a convolution again: the filters flipped, channels and filters exchanged, and padding for windows half outside
        flipped = weight.reshape(groups, filters, channels, R, S)[..., ::-1, ::-1].swapaxes(1, 2)  # (G, C/G, K/G, R, S)
        flipped = xp.ascontiguousarray(flipped).reshape(C, filters, R, S)
        offsets = dilation[0] * (R - 1) - offsets[0], dilation[1] * (S - 1) - offsets[1]
        geometry = (OH, OW, R, S, *size, 1, 1, *offsets, *dilation)
        launch_tiled(grad, flipped, None, grad_x, geometry, groups, False)
        return grad_x
    rows = weight.reshape(groups, filters, channels * R * S).swapaxes(1, 2)  # (G, C/G*R*S, K/G)
    for part, n in blocks(N, C * R * S * windows, grad.itemsize):
        outputs = grad[part].reshape(n, groups, filters, windows)
        if pointwise:
            xp.matmul(rows, outputs, out=grad_x[part].reshape(n, groups, channels, windows))
        else:
            columns = xp.matmul(rows, outputs)  # (n, G, C/G*R*S, OH*OW)
            geometry = (*size, R, S, OH, OW, *stride, *offsets, *dilation)
            col2im(*plane_grid(n * C, pixels), columns, grad_x[part], n * C, *geometry)
    return grad_x


def conv2d_weight_grad(
    x: Any, grad: Any, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Correlate each input window with the gradient of its output pixel: (K, C / groups, R, S)."""
    xp = namespace(x)
    N, C, H, W = x.shape
    K, OH, OW = grad.shape[1:]
    R, S = kernel
    filters, channels, windows = K // groups, C // groups, OH * OW
    depth = channels * R * S
    if not countable(H * W, windows, K * depth, N):
        return NotImplemented
    x, grad = xp.ascontiguousarray(x), xp.ascontiguousarray(grad)
    if K * depth == 0 or grad.size == 0:
        return xp.zeros((K, channels, R, S), dtype=x.dtype)
    geometry = (H, W, R, S, OH, OW, *stride, padding[0][0], padding[1][0], *dilation)
    if filters * channels <= MOST_WEIGHTS:
        grad_weight = xp.empty((K, channels, R, S), dtype=x.dtype)
        weight_grad_direct(K * depth, SUM_THREADS, x, grad, grad_weight, N, C, K, *geometry, groups)
        return grad_weight
    pointwise = is_pointwise(kernel, stride, padding)
    total: Any = None
    for part, n in blocks(N, prod((C, R, S, windows)), x.itemsize):
        if pointwise:
            columns = xp.ascontiguousarray(x[part].swapaxes(0, 1))
        else:
            columns = xp.empty((C * R * S, n, windows), dtype=x.dtype)
            im2col(*plane_grid(n * C, windows), x[part], columns, n * C, C, *geometry, windows, n * windows)
        columns = columns.reshape(groups, depth, n * windows)
        outputs = xp.ascontiguousarray(grad[part].swapaxes(0, 1)).reshape(groups, filters, n * windows)
        product = xp.matmul(outputs, columns.swapaxes(1, 2))  # (G, K/G, C/G*R*S)
        total = product if total is None else total + product
    return total.reshape(K, channels, R, S)
