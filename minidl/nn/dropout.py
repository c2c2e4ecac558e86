"""Dropout."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.errors import ArgumentError
from minidl.nn.module import Module


class _Dropout(Module):
    """What the dropouts share."""

    _shown = ("p", "inplace")

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ArgumentError(f"{type(self).__name__}: p={p!r}; expected a probability from 0 to 1")
        self.p = p
        self.inplace = inplace


class Dropout(_Dropout):
    r"""In training, set each number to zero with probability ``p``, and scale up the others.

    .. math:: y_i = \frac{m_i x_i}{1 - p}, \quad m_i \sim \text{Bernoulli}(1 - p)

    Parameters
    ----------
    p : float
        The probability of being dropped.
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Raises
    ------
    ArgumentError
        If ``p`` is no probability.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Dropout(0.2).eval()(minidl.ones(3))
    tensor([1., 1., 1.])

    References
    ----------
    ``torch.nn.Dropout``. Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from overfitting".
    """

    def forward(self, x: Any) -> Any:
        return ops.dropout(x, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    r"""In training, set whole channels to zero with probability ``p``, and scale up the others.

    .. math:: y_{nchw} = \frac{m_{nc} x_{nchw}}{1 - p}, \quad m_{nc} \sim \text{Bernoulli}(1 - p)

    Parameters
    ----------
    p : float
        The probability of being dropped.
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : (N, C, H, W) or (C, H, W), the same

    Raises
    ------
    ArgumentError
        If ``p`` is no probability.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> y = nn.Dropout2d(0.5)(minidl.ones(1, 8, 2, 2)).numpy()
    >>> set(y.reshape(8, 4).sum(axis=1).tolist()) <= {0.0, 8.0}
    True

    References
    ----------
    ``torch.nn.Dropout2d``. Tompson et al. (2015), "Efficient object localization using convolutional networks".
    """

    def forward(self, x: Any) -> Any:
        return ops.dropout2d(x, self.p, self.training, self.inplace)
