"""Modules that change the shape, or nothing."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.nn.module import Module


class Identity(Module):
    r"""Return the input: a placeholder where a module is expected.

    .. math:: y = x

    Parameters
    ----------
    *args, **kwargs
        Taken and ignored, so that it can stand for any module.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Identity()(minidl.ones(2))
    tensor([1., 1.])

    References
    ----------
    ``torch.nn.Identity``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, x: Any) -> Any:
        return x


class Flatten(Module):
    r"""Join neighbouring axes into one; by default all but the first, which is the batch.

    .. math:: y_{n,\, cHW + hW + w} = x_{nchw}

    Parameters
    ----------
    start_dim, end_dim : int
        The first and the last axis to join.

    Shape
    -----
    Input : (N, ...)
    Output : (N, the product of the others), by default

    Raises
    ------
    RangeError
        When called, if the input does not have these axes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Flatten()(minidl.zeros(32, 16, 5, 5)).shape
    (32, 400)

    References
    ----------
    ``torch.nn.Flatten``.
    """

    _shown = ("start_dim", "end_dim")

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, x: Any) -> Any:
        return ops.flatten(x, self.start_dim, self.end_dim)


class Unflatten(Module):
    r"""Split one axis into several.

    .. math:: y_{nchw} = x_{n,\, cHW + hW + w}

    Parameters
    ----------
    dim : int
        The axis to split.
    unflattened_size : tuple of int
        The sizes it becomes; one may be -1.

    Shape
    -----
    Input : (..., the product of the sizes, ...)
    Output : (..., the sizes, ...)

    Raises
    ------
    ShapeError
        When called, if the product of the sizes is not the size of the axis.
    RangeError
        When called, if there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Unflatten(1, (16, 5, 5))(minidl.zeros(32, 400)).shape
    (32, 16, 5, 5)

    References
    ----------
    ``torch.nn.Unflatten``.
    """

    _shown = ("dim", "unflattened_size")

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, x: Any) -> Any:
        return ops.unflatten(x, self.dim, self.unflattened_size)
