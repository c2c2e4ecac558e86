"""Dense layers."""

from __future__ import annotations

import math
from typing import Any

from minidl import ops
from minidl.errors import ArgumentError
from minidl.nn import init
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter


def empty_parameter(*shape: int, device: Any = None, dtype: Any = None) -> Parameter:
    """Return a parameter for ``reset_parameters`` to fill."""
    return Parameter(ops.empty(shape, device=device, dtype=dtype))


def check_counts(name: str, **counts: Any) -> None:
    """Raise an ArgumentError unless all of ``counts`` are positive integers."""
    for argument, count in counts.items():
        if not hasattr(count, "__index__") or isinstance(count, bool) or count < 1:
            raise ArgumentError(f"{name}: {argument}={count!r}; expected a positive integer")


class Linear(Module):
    r"""A dense layer: every output is a weighted sum of all inputs, and a bias. ``Dense`` is another name for it.

    .. math:: y = x W^\top + b, \qquad W, b \sim U(-1/\sqrt D, 1/\sqrt D) \text{ at first}

    Parameters
    ----------
    in_features : int
        :math:`D`.
    out_features : int
        :math:`U`.
    bias : bool
        Whether there is a :math:`b`.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter, of shape (U, D)
    bias : Parameter, of shape (U,), or None

    Shape
    -----
    Input : (..., D), any number of axes before the features
    Output : (..., U)

    Raises
    ------
    ArgumentError
        If a number of features is not a positive integer.
    ShapeError
        When called, if the last axis of the input does not have ``in_features`` elements.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> layer = nn.Linear(3, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    >>> layer(minidl.ones(5, 3)).shape
    (5, 2)

    References
    ----------
    ``torch.nn.Linear``; Keras's ``Dense``.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        check_counts("Linear", in_features=in_features, out_features=out_features)
        self.in_features = in_features
        self.out_features = out_features
        self.weight = empty_parameter(out_features, in_features, device=device, dtype=dtype)
        self.bias = empty_parameter(out_features, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weight and the bias anew."""
        bound = 1 / math.sqrt(self.in_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Any, *, relu: bool = False) -> Any:
        return ops.linear(x, self.weight, self.bias, relu=relu)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


Dense = Linear
