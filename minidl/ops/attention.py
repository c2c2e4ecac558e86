"""Attention: a weighted average of values, by how well each key answers each query."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Variable
from minidl.backend import namespace
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.ops.activations import softmax
from minidl.ops.arguments import takes_tensors
from minidl.ops.linalg import matmul
from minidl.ops.masking import dropout
from minidl.ops.selection import where
from minidl.ops.shape import swapaxes

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["scaled_dot_product_attention"]


@takes_tensors("query", "key", "value", "attn_mask")
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    r"""Return, for each query, the average of the values weighted by how well their keys answer it.

    .. math:: Y = \operatorname{softmax}\left(\frac{Q K^\top}{\sqrt{D}} + M\right) V

    Parameters
    ----------
    query : Tensor (..., L, D)
    key : Tensor (..., S, D)
    value : Tensor (..., S, E)
    attn_mask : Tensor, a shape that broadcasts to (..., L, S), optional
        Booleans: True where a query may look. Floats: :math:`M`, added to the scores.
    dropout_p : float
        The share of weights that is dropped. There is no ``training`` here: pass 0 in evaluation.
    is_causal : bool
        Let the query at position i look at keys up to position i only.
    scale : float, optional
        The factor of the scores, :math:`1 / \sqrt{D}` if None.

    Returns
    -------
    Tensor (..., L, E)
        Zeros for a query that may look nowhere.

    Raises
    ------
    ShapeError
        If the shapes do not fit.
    ArgumentError
        If a mask is given and ``is_causal`` too.
    DTypeError
        If the mask is neither of booleans nor of floats.

    Examples
    --------
    >>> import minidl
    >>> q = minidl.zeros(1, 2)
    >>> k = minidl.ones(2, 2)
    >>> minidl.scaled_dot_product_attention(q, k, minidl.tensor([[1.0], [3.0]]))
    tensor([[2.]])

    References
    ----------
    ``torch.nn.functional.scaled_dot_product_attention``. Vaswani et al. (2017), "Attention is all you need".
    """
    name = "scaled_dot_product_attention"
    shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
    if min(query.ndim, key.ndim, value.ndim) < 2:
        raise ShapeError(f"{name}: expected query (..., L, D), key (..., S, D), value (..., S, E), got {shapes}")
    if query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        raise ShapeError(
            f"{name}: {shapes}: query and key must agree in their last axis (features), key and value in the one "
            "before it (positions)"
        )
    L, S = query.shape[-2], key.shape[-2]
    if is_causal:
        if attn_mask is not None:
            raise ArgumentError(f"{name}: is_causal=True is a mask itself; give it or attn_mask, not both")
        attn_mask = namespace(query.array if isinstance(query, Variable) else query).tri(L, S, dtype="bool")
    factor = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores: Any = matmul(query * factor, swapaxes(key, -1, -2))  # (..., L, S)
    sighted = None
    if attn_mask is not None:
        mask = attn_mask.array if isinstance(attn_mask, Variable) else attn_mask
        if mask.dtype.kind == "b":
            # a finite number, so that a query that may look nowhere gets no NaN
            scores = where(mask, scores, float(np.finfo(scores.dtype).min))
            sighted = None if is_causal else mask.any(axis=-1, keepdims=True)
        elif mask.dtype.kind == "f":
            scores = scores + attn_mask
        else:
            raise DTypeError(f"{name}: attn_mask must hold booleans or floats, got {mask.dtype}; use mask.bool()")
    weights = dropout(softmax(scores, -1), dropout_p)
    y: Any = matmul(weights, value)  # (..., L, E)
    return y if sighted is None else where(sighted, y, 0.0)
