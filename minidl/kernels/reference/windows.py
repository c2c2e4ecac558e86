"""What convolution and pooling share: padded planes, and the windows that slide over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidl.backend import namespace

Pair = tuple[int, int]
Sides = tuple[Pair, Pair]  # ((top, bottom), (left, right))
Windows = tuple[Pair, Pair, Pair, Pair]  # kernel, stride, padding, dilation


def pad_planes(x: Any, padding: Sides, fill: float = 0) -> Any:
    """Return ``x`` (N, C, H, W) with ``fill`` around each plane; ``x`` itself if there is nothing to add."""
    (top, bottom), (left, right) = padding
    if not (top or bottom or left or right):
        return x
    N, C, H, W = x.shape
    padded = namespace(x).full((N, C, H + top + bottom, W + left + right), fill, dtype=x.dtype)
    padded[:, :, top : top + H, left : left + W] = x
    return padded


def windows(x: Any, kernel: Pair, stride: Pair, dilation: Pair, size: Pair) -> Any:
    """Return a view (N, C, R, S, OH, OW) of padded planes: element ``r, s`` of the window of each output pixel."""
    n, c, h, w = x.strides
    strides = (n, c, dilation[0] * h, dilation[1] * w, stride[0] * h, stride[1] * w)
    return namespace(x).lib.stride_tricks.as_strided(x, (*x.shape[:2], *kernel, *size), strides)


def slabs(kernel: Pair, stride: Pair, dilation: Pair, size: Pair) -> Iterator[tuple[int, int, Any]]:
    """Walk over the cells of a window: yield ``r``, ``s`` and the index that takes this cell of all windows at once.

    Applied to padded planes, the index gives a view (N, C, OH, OW).
    """
    for r in range(kernel[0]):
        top = r * dilation[0]
        rows = slice(top, top + stride[0] * (size[0] - 1) + 1, stride[0])
        for s in range(kernel[1]):
            left = s * dilation[1]
            yield r, s, (slice(None), slice(None), rows, slice(left, left + stride[1] * (size[1] - 1) + 1, stride[1]))
