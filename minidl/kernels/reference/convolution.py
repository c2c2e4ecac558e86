"""Two-dimensional convolution and its two gradients, as matrix products over unfolded windows.

Shapes: N batch, C channels in, K channels out, H W image, R S kernel, OH OW output, G groups.

References
----------
Chellapilla, Puri, Simard (2006), "High Performance Convolutional Neural Networks for Document Processing".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidl.backend import namespace
from minidl.kernels.reference.windows import Pair, Sides, pad_planes, slabs, windows

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]

# Unfolded windows repeat each pixel R * S times: this many bytes of them exist at once.
BLOCK_BYTES = 16 * 2**20


def blocks(images: int, image_elements: int, itemsize: int) -> Iterator[tuple[slice, int]]:
    """Cut the batch into slices whose unfolded images fit ``BLOCK_BYTES``; yield each with its length."""
    step = max(1, BLOCK_BYTES // max(1, image_elements * itemsize))
    for start in range(0, images, step):
        stop = min(start + step, images)
        yield slice(start, stop), stop - start


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
    """Slide the filters over the image.

    Parameters
    ----------
    x : array (N, C, H, W)
    weight : array (K, C / groups, R, S)
    bias : array (K,) or None
    stride, dilation : (vertical, horizontal)
    padding : ((top, bottom), (left, right))
    groups : int
    size : (OH, OW)
    relu : bool
        Whether what is negative becomes 0 in the end; nan stays nan.

    Returns
    -------
    array (N, K, OH, OW)
    """
    xp = namespace(x)
    N, C = x.shape[:2]
    K, _, R, S = weight.shape
    pixels = size[0] * size[1]
    x = pad_planes(x, padding)
    filters = weight.reshape(groups, K // groups, C // groups * R * S)
    y = xp.empty((N, K, *size), dtype=x.dtype)
    for part, n in blocks(N, C * R * S * pixels, x.itemsize):
        columns = windows(x[part], (R, S), stride, dilation, size)  # (n, C, R, S, OH, OW)
        columns = columns.reshape(n, groups, C // groups * R * S, pixels)
        xp.matmul(filters, columns, out=y[part].reshape(n, groups, K // groups, pixels))
    if bias is not None:
        y += bias.reshape(K, 1, 1)
    if relu:
        xp.maximum(y, 0, out=y)
    return y


def conv2d_input_grad(
    grad: Any, weight: Any, size: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Give each output pixel's gradient back to the pixels of its window.

    Parameters
    ----------
    grad : array (N, K, OH, OW)
    weight : array (K, C / groups, R, S)
    size : (H, W), of the input
    stride, padding, dilation, groups
        As in :func:`conv2d`.

    Returns
    -------
    array (N, C, H, W)
    """
    xp = namespace(grad)
    N, K, OH, OW = grad.shape
    R, S = weight.shape[2:]
    C = weight.shape[1] * groups
    (top, bottom), (left, right) = padding
    filters = weight.reshape(groups, K // groups, C // groups * R * S).swapaxes(1, 2)  # (G, C/G*R*S, K/G)
    padded = xp.zeros((N, C, size[0] + top + bottom, size[1] + left + right), dtype=grad.dtype)
    for part, n in blocks(N, C * R * S * OH * OW, grad.itemsize):
        columns = filters @ grad[part].reshape(n, groups, K // groups, OH * OW)
        columns = columns.reshape(n, C, R, S, OH, OW)
        planes = padded[part]
        for r, s, slab in slabs((R, S), stride, dilation, (OH, OW)):
            planes[slab] += columns[:, :, r, s]
    return padded[:, :, top : top + size[0], left : left + size[1]]


def conv2d_weight_grad(
    x: Any, grad: Any, kernel: Pair, stride: Pair, padding: Sides, dilation: Pair, groups: int
) -> Any:
    """Correlate each input window with the gradient of its output pixel.

    Parameters
    ----------
    x : array (N, C, H, W)
    grad : array (N, K, OH, OW)
    kernel : (R, S)
    stride, padding, dilation, groups
        As in :func:`conv2d`.

    Returns
    -------
    array (K, C / groups, R, S)
    """
    xp = namespace(x)
    N, C = x.shape[:2]
    K, OH, OW = grad.shape[1:]
    R, S = kernel
    x = pad_planes(x, padding)
    total = xp.zeros((groups, K // groups, C // groups * R * S), dtype=x.dtype)
    for part, n in blocks(N, C * R * S * OH * OW, x.itemsize):
        columns = windows(x[part], kernel, stride, dilation, (OH, OW)).transpose(1, 2, 3, 0, 4, 5)  # (C, R, S, n, ...)
        columns = columns.reshape(groups, C // groups * R * S, n * OH * OW)
        rows = grad[part].swapaxes(0, 1).reshape(groups, K // groups, n * OH * OW)
        total += rows @ columns.swapaxes(1, 2)
    return total.reshape(K, C // groups, R, S)
