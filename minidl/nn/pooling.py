"""Pooling: one number for each window."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.nn.module import Module
from minidl.ops.convolution import sizes


class _MaxPool(Module):
    """What the maximum poolings share."""

    _shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _arguments(self) -> tuple[Any, ...]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices


class MaxPool1d(_MaxPool):
    r"""Keep the greatest number of each window of a sequence.

    .. math:: y_{nci} = \max_r x_{n,\, c,\, i \cdot stride + r \cdot dilation - padding}

    Parameters
    ----------
    kernel_size : int
        How long a window is.
    stride : int, optional
        Steps from one window to the next; ``kernel_size`` if left out.
    padding : int
        How much is added on each side, at most half a kernel; what is added is never the greatest.
    dilation : int
        Steps from one cell of the window to the next.
    return_indices : bool
        Return where the greatest stood too.
    ceil_mode : bool
        Keep a last window that leaves the sequence.

    Shape
    -----
    Input : (N, C, L) or (C, L)
    Output : (N, C, OL) or (C, OL), OL = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1

    Raises
    ------
    ShapeError, ArgumentError
        When called, if the input has another number of axes, or the window does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.MaxPool1d(2)(minidl.tensor([[1.0, 3.0, 2.0, 5.0]]))
    tensor([[3., 5.]])

    References
    ----------
    ``torch.nn.MaxPool1d``.
    """

    def forward(self, x: Any) -> Any:
        return ops.max_pool1d(x, *self._arguments())


class MaxPool2d(_MaxPool):
    r"""Keep the greatest number of each window of an image.

    .. math:: y_{ncij} = \max_{r, s} x_{n,\, c,\, i \cdot stride + r \cdot dilation - padding,\, j \ldots}

    Parameters
    ----------
    kernel_size : int or (vertical, horizontal)
        How large a window is.
    stride : int or (vertical, horizontal), optional
        Pixels from one window to the next; ``kernel_size`` if left out.
    padding : int or (vertical, horizontal)
        How much is added on each side, at most half a kernel; what is added is never the greatest.
    dilation : int or (vertical, horizontal)
        Pixels from one cell of the window to the next.
    return_indices : bool
        Return where the greatest stood too.
    ceil_mode : bool
        Keep last windows that leave the image.

    Shape
    -----
    Input : (N, C, H, W) or (C, H, W)
    Output : (N, C, OH, OW) or (C, OH, OW), OH = (H + 2 padding - dilation (R - 1) - 1) // stride + 1, OW likewise

    Raises
    ------
    ShapeError, ArgumentError
        When called, if the input has another number of axes, or the window does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.MaxPool2d(2, 2)(minidl.zeros(32, 6, 24, 24)).shape
    (32, 6, 12, 12)

    References
    ----------
    ``torch.nn.MaxPool2d``.
    """

    def forward(self, x: Any) -> Any:
        return ops.max_pool2d(x, *self._arguments())


class AvgPool1d(Module):
    r"""Average each window of a sequence.

    .. math:: y_{nci} = \frac{1}{R} \sum_r x_{n,\, c,\, i \cdot stride + r - padding}

    Parameters
    ----------
    kernel_size : int
        How long a window is.
    stride : int, optional
        Steps from one window to the next; ``kernel_size`` if left out.
    padding : int
        How many zeros are added on each side, at most half a kernel.
    ceil_mode : bool
        Keep a last window that leaves the sequence.
    count_include_pad : bool
        Whether the zeros that were added count in the average.

    Shape
    -----
    Input : (N, C, L) or (C, L)
    Output : (N, C, OL) or (C, OL), OL = (L + 2 padding - kernel_size) // stride + 1

    Raises
    ------
    ShapeError, ArgumentError
        When called, if the input has another number of axes, or the window does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.AvgPool1d(2)(minidl.tensor([[1.0, 3.0, 2.0, 5.0]]))
    tensor([[2.0000, 3.5000]])

    References
    ----------
    ``torch.nn.AvgPool1d``.
    """

    _shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = sizes(kernel_size, 1, 1, "AvgPool1d", "kernel_size")
        self.stride = self.kernel_size if stride is None else sizes(stride, 1, 1, "AvgPool1d", "stride")
        self.padding = sizes(padding, 1, 0, "AvgPool1d", "padding")
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, x: Any) -> Any:
        return ops.avg_pool1d(x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool2d(Module):
    r"""Average each window of an image.

    .. math:: y_{ncij} = \frac{1}{RS} \sum_{r, s} x_{n,\, c,\, i \cdot stride + r - padding,\, j \ldots}

    Parameters
    ----------
    kernel_size : int or (vertical, horizontal)
        How large a window is.
    stride : int or (vertical, horizontal), optional
        Pixels from one window to the next; ``kernel_size`` if left out.
    padding : int or (vertical, horizontal)
        How many zeros are added on each side, at most half a kernel.
    ceil_mode : bool
        Keep last windows that leave the image.
    count_include_pad : bool
        Whether the zeros that were added count in the average.
    divisor_override : int, optional
        Divide by this instead of the number of pixels.

    Shape
    -----
    Input : (N, C, H, W) or (C, H, W)
    Output : (N, C, OH, OW) or (C, OH, OW), OH = (H + 2 padding - R) // stride + 1, OW likewise

    Raises
    ------
    ShapeError, ArgumentError
        When called, if the input has another number of axes, or the window does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.AvgPool2d(2)(minidl.ones(1, 3, 8, 8)).shape
    (1, 3, 4, 4)

    References
    ----------
    ``torch.nn.AvgPool2d``.
    """

    _shown = ("kernel_size", "stride", "padding")

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, x: Any) -> Any:
        return ops.avg_pool2d(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AdaptiveAvgPool2d(Module):
    r"""Average an image down to a given size, whatever its own.

    .. math:: y_{ncij} = \operatorname{mean} x_{n,\, c,\, \lfloor iH/OH \rfloor : \lceil (i+1)H/OH \rceil,\, j \ldots}

    Parameters
    ----------
    output_size : int, (OH, OW), or None for either
        The size to reach; None keeps the input's.

    Shape
    -----
    Input : (N, C, H, W) or (C, H, W)
    Output : (N, C, OH, OW) or (C, OH, OW)

    Raises
    ------
    ShapeError, ArgumentError
        When called, if the input has another number of axes, or the size is not positive.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.AdaptiveAvgPool2d(1)(minidl.ones(1, 3, 7, 5)).shape
    (1, 3, 1, 1)

    References
    ----------
    ``torch.nn.AdaptiveAvgPool2d``.
    """

    _shown = ("output_size",)

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, x: Any) -> Any:
        return ops.adaptive_avg_pool2d(x, self.output_size)
