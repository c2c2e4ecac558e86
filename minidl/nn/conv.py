"""Convolutions."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from minidl import ops
from minidl.errors import ArgumentError
from minidl.nn import init
from minidl.nn.linear import check_counts, empty_parameter
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter
from minidl.ops.convolution import named_padding, sizes

#: What the padding modes of a layer are called by ``ops.pad``.
PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class _Conv(Module):
    """What the convolutions share: arguments, weights, how they print."""

    rank: ClassVar[int]
    transposed: ClassVar[bool] = False

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        output_padding: Any = 0,
    ) -> None:
        super().__init__()
        name, rank = type(self).__name__, self.rank
        check_counts(name, in_channels=in_channels, out_channels=out_channels, groups=groups)
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"{name}: groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}"
            )
        if padding_mode not in PADDING_MODES:
            raise ArgumentError(f"{name}: padding_mode={padding_mode!r}; expected {', '.join(PADDING_MODES)}")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = sizes(kernel_size, rank, 1, name, "kernel_size")
        self.stride = sizes(stride, rank, 1, name, "stride")
        self.dilation = sizes(dilation, rank, 1, name, "dilation")
        self.padding: Any = padding if isinstance(padding, str) else sizes(padding, rank, 0, name, "padding")
        if isinstance(padding, str):
            self.sides = named_padding(padding, self.kernel_size, self.stride, self.dilation, name)
        else:
            self.sides = tuple((int(p), int(p)) for p in self.padding)
        self.output_padding = sizes(output_padding, rank, 0, name, "output_padding")
        self.groups = groups
        self.padding_mode = padding_mode
        ends = (out_channels, in_channels)
        shape = (*reversed(ends),) if self.transposed else ends
        self.weight = empty_parameter(
            shape[0], shape[1] // groups, *self.kernel_size, device=device, dtype=dtype
        )  # (K, C / groups, R, S), transposed (C, K / groups, R, S)
        self.bias = empty_parameter(out_channels, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        bound = 1 / math.sqrt(init.calculate_fan_in_and_fan_out(self.weight)[0])
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def _padded(self, x: Any) -> tuple[Any, Any]:
        """Return the input and the padding that is left for the convolution to add."""
        if self.padding_mode == "zeros":
            return x, self.padding
        widths = [width for side in reversed(self.sides) for width in side]  # the last axis first
        return ops.pad(x, widths, mode=PADDING_MODES[self.padding_mode]), 0

    def extra_repr(self) -> str:
        ones, zeros = (1,) * self.rank, (0,) * self.rank
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}",
            f"padding={self.padding}" if self.padding != zeros else "",
            f"dilation={self.dilation}" if self.dilation != ones else "",
            f"output_padding={self.output_padding}" if self.output_padding != zeros else "",
            f"groups={self.groups}" if self.groups != 1 else "",
            "bias=False" if self.bias is None else "",
            f"padding_mode={self.padding_mode}" if self.padding_mode != "zeros" else "",
        ]
        return ", ".join(filter(None, parts))


class Conv1d(_Conv):
    r"""Slide filters over sequences.

    .. math:: y_{nki} = b_k + \sum_{c, r} w_{kcr} \, x_{n,\, c,\, i \cdot stride + r \cdot dilation - padding}, \qquad
              w, b \sim U(-1/\sqrt{CR}, 1/\sqrt{CR}) \text{ at first}

    Parameters
    ----------
    in_channels, out_channels : int
        :math:`C` and :math:`K`.
    kernel_size : int
        :math:`R`.
    stride : int
        Steps from one window to the next.
    padding : int, "valid" or "same"
        How much is added on each side; "same" keeps the length, for stride 1.
    dilation : int
        Steps from one cell of the kernel to the next.
    groups : int
        Cut channels and filters into this many groups that do not see each other.
    bias : bool
        Whether there is a :math:`b`.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What is added.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter, of shape (K, C / groups, R)
    bias : Parameter, of shape (K,), or None

    Shape
    -----
    Input : (N, C, L) or (C, L)
    Output : (N, K, OL) or (K, OL), OL = (L + 2 padding - dilation (R - 1) - 1) // stride + 1

    Raises
    ------
    ArgumentError
        If an argument is out of range, or ``groups`` does not divide the channels.
    ShapeError
        When called, if the input does not have ``in_channels`` channels or is shorter than the kernel.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Conv1d(4, 8, 3, padding=1)(minidl.zeros(2, 4, 10)).shape
    (2, 8, 10)

    References
    ----------
    ``torch.nn.Conv1d``.
    """

    rank = 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )

    def forward(self, x: Any) -> Any:
        x, padding = self._padded(x)
        return ops.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Conv):
    r"""Slide filters over images (a cross-correlation, as everywhere in deep learning).

    .. math:: y_{nkij} = b_k + \sum_{c, r, s} w_{kcrs} \,
              x_{n,\, c,\, i \cdot stride + r \cdot dilation - padding,\, j \ldots}, \qquad
              w, b \sim U(-1/\sqrt{CRS}, 1/\sqrt{CRS}) \text{ at first}

    Parameters
    ----------
    in_channels, out_channels : int
        :math:`C` and :math:`K`.
    kernel_size : int or (vertical, horizontal)
        :math:`R` and :math:`S`.
    stride : int or (vertical, horizontal)
        Pixels from one window to the next.
    padding : int, (vertical, horizontal), "valid" or "same"
        How much is added on each side; "same" keeps H and W, for stride 1.
    dilation : int or (vertical, horizontal)
        Pixels from one cell of the kernel to the next.
    groups : int
        Cut channels and filters into this many groups that do not see each other.
    bias : bool
        Whether there is a :math:`b`.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What is added.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter, of shape (K, C / groups, R, S)
    bias : Parameter, of shape (K,), or None

    Shape
    -----
    Input : (N, C, H, W) or (C, H, W)
    Output : (N, K, OH, OW) or (K, OH, OW), OH = (H + 2 padding - dilation (R - 1) - 1) // stride + 1, OW likewise

    Raises
    ------
    ArgumentError
        If an argument is out of range, or ``groups`` does not divide the channels.
    ShapeError
        When called, if the input does not have ``in_channels`` channels or is smaller than the kernel.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> layer = nn.Conv2d(1, 6, 5)
    >>> layer
    Conv2d(1, 6, kernel_size=(5, 5), stride=(1, 1))
    >>> layer(minidl.zeros(32, 1, 28, 28)).shape
    (32, 6, 24, 24)

    References
    ----------
    ``torch.nn.Conv2d``. LeCun et al. (1998), "Gradient-based learning applied to document recognition".
    """

    rank = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype
        )

    def forward(self, x: Any, *, relu: bool = False) -> Any:
        x, padding = self._padded(x)
        return ops.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups, relu=relu)


class ConvTranspose2d(_Conv):
    r"""Spread each pixel through the filters: the transpose of :class:`Conv2d`, which upsamples by ``stride``.

    .. math:: y_{n,\, k,\, i \cdot stride + r \cdot dilation - padding,\, j \ldots} =
              b_k + \sum_{c, r, s} w_{ckrs} \, x_{ncij}, \qquad
              w, b \sim U(-1/\sqrt{KRS}, 1/\sqrt{KRS}) \text{ at first}

    Parameters
    ----------
    in_channels, out_channels : int
        :math:`C` and :math:`K`.
    kernel_size : int or (vertical, horizontal)
        :math:`R` and :math:`S`.
    stride : int or (vertical, horizontal)
        By how much the image grows.
    padding : int or (vertical, horizontal)
        Pixels cut off each side.
    output_padding : int or (vertical, horizontal)
        Rows and columns added at the bottom and right: of the sizes that a strided convolution maps to one, which to
        return.
    groups : int
        Cut channels and filters into this many groups that do not see each other.
    bias : bool
        Whether there is a :math:`b`.
    dilation : int or (vertical, horizontal)
        Pixels from one cell of the kernel to the next.
    padding_mode : {"zeros"}
        There is no other.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter, of shape (C, K / groups, R, S)
    bias : Parameter, of shape (K,), or None

    Shape
    -----
    Input : (N, C, H, W) or (C, H, W)
    Output : (N, K, OH, OW) or (K, OH, OW),
        OH = (H - 1) stride - 2 padding + dilation (R - 1) + output_padding + 1, OW likewise

    Raises
    ------
    ArgumentError
        If an argument is out of range, or ``groups`` does not divide the channels.
    ShapeError
        When called, if the input does not have ``in_channels`` channels.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.ConvTranspose2d(8, 3, 2, stride=2)(minidl.zeros(1, 8, 7, 7)).shape
    (1, 3, 14, 14)

    References
    ----------
    ``torch.nn.ConvTranspose2d``. Zeiler et al. (2010), "Deconvolutional networks".
    """

    rank = 2
    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if padding_mode != "zeros" or isinstance(padding, str):
            raise ArgumentError("ConvTranspose2d: its padding cuts pixels off; expected integers, padding_mode='zeros'")
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
            output_padding,
        )

    def forward(self, x: Any) -> Any:
        return ops.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )
