"""Where the pixels of an image stand in a thread's memory: padded, in phases, and some rows at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from minidl.kernels.cpu.compiler import inlined
from minidl.kernels.cpu.copies import copy_number, copy_rows
from minidl.kernels.reference.windows import Pair

__all__ = [
    "Layout",
    "cell_offsets",
    "contiguous",
    "layout",
    "needed_pixels",
    "numbers_of",
    "pad_image",
    "place_of",
    "up",
]


def up(count: int, step: int) -> int:
    """Round up to a multiple."""
    return -(-count // step) * step


class Layout(NamedTuple):
    """Where the pixels of a padded image, or of a band of its rows, stand in a thread's memory."""

    lines: np.ndarray  # (H,): in which line of its phase each row of the image stands
    phases: np.ndarray  # (H,): and where the phase begins in the channel's plane
    columns: np.ndarray  # (W,): where each column stands in its row; -1: nowhere, it is not needed
    plane: int  # numbers of a channel
    width: int  # numbers from an output row to the next
    height: int  # lines of a phase
    stride: Pair
    whole_rows: bool  # whether the columns are neighbours there, and the rows one ``width`` apart


def layout(image: Pair, needed: Pair, stride: Pair, before: Pair) -> Layout:
    """Lay out planes of ``needed`` pixels that begin with ``before`` zeros; fewer than 0: that much is cut off."""
    height, width = (-(-needed[axis] // stride[axis]) for axis in (0, 1))
    row, column = (before[axis] + np.arange(image[axis]) for axis in (0, 1))
    columns = column % stride[1] * height * width + column // stride[1]
    columns = np.where((column >= 0) & (column < needed[1]), columns, -1)
    phases = row % stride[0] * (stride[1] * height * width)
    plane = stride[0] * stride[1] * height * width
    return Layout(row // stride[0], phases, columns, plane, width, height, stride, stride == (1, 1))


def needed_pixels(size: Pair, stride: Pair, kernel: Pair, dilation: Pair) -> Pair:
    """Return how many rows and columns all windows cover together."""
    rows, columns = (stride[axis] * (size[axis] - 1) + dilation[axis] * (kernel[axis] - 1) + 1 for axis in (0, 1))
    return rows, columns


def cell_offsets(channels: int, kernel: Pair, dilation: Pair, place: Layout) -> np.ndarray:
    """Return how far each cell (c, r, s) of a window stands from the window's beginning."""
    (vertical, horizontal), height, width = place.stride, place.height, place.width
    r = np.arange(kernel[0]) * dilation[0]
    s = np.arange(kernel[1]) * dilation[1]
    down = r % vertical * horizontal * height * width + r // vertical * width
    right = s % horizontal * height * width + s // horizontal
    channel = np.arange(channels) * place.plane
    return (channel[:, None, None] + down[:, None] + right).ravel()


def place_of(layout: Layout) -> tuple[Any, ...]:
    """Return what :func:`pad_image` needs to know."""
    return (*layout[:6], layout.whole_rows)


def numbers_of(x: Any) -> tuple[int, ...]:
    """Return the address of an array, its shape and its strides in numbers: to Numba, all layouts are one type."""
    address: int = x.__array_interface__["data"][0]
    return (address, *x.shape, *[stride // x.itemsize for stride in x.strides])


def contiguous(x: Any) -> tuple[Any, int]:
    """Return an array, copied if it is not whole numbers in C order, and its address."""
    if not (x.flags.c_contiguous and x.flags.aligned):
        x = x.copy()
    return x, x.__array_interface__["data"][0]


@inlined
def pad_image(x, n, place, line, padded, begin):  # type: ignore[no-untyped-def]
    """Copy what is needed of image n, from output row ``line`` on, between the zeros of ``padded``."""
    address, _, C, H, W, image, channel, row, column = x
    lines, phases, columns, plane, width, height, whole_rows = place
    first, last = 0, H
    while first < H and lines[first] < line:
        first += 1
    while last > first and lines[last - 1] >= line + height:
        last -= 1
    left, right = 0, W
    while left < W and columns[left] < 0:
        left += 1
    while right > left and columns[right - 1] < 0:
        right -= 1
    if first == last or left == right:
        return
    count = right - left
    for c in range(C):
        source = n * image + c * channel + first * row + left * column
        at = begin + c * plane + phases[first] + (lines[first] - line) * width + columns[left]
        if whole_rows and column == 1 and row == width and count == width:
            copy_rows(padded, at, 0, address, source, 0, 1, (last - first) * width)
        elif whole_rows and column == 1:
            copy_rows(padded, at, width, address, source, row, last - first, count)
        else:
            for i in range(first, last):
                at = begin + c * plane + phases[i] + (lines[i] - line) * width
                if whole_rows:
                    copy_rows(padded, at + columns[left], 1, address, source, column, count, 1)
                else:
                    for j in range(left, right):
                        copy_number(padded, at + columns[j], address, source + (j - left) * column)
                source += row
