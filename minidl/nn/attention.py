"""Attention with several heads, and the Transformer's encoder made of it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minidl import ops
from minidl.autograd import Variable
from minidl.backend import namespace
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.nn import init
from minidl.nn.containers import ModuleList
from minidl.nn.dropout import Dropout
from minidl.nn.linear import Linear, check_counts, empty_parameter
from minidl.nn.module import Module
from minidl.nn.normalization import LayerNorm


class MultiheadAttention(Module):
    r"""Let each position of a sequence gather from the positions of another, several ways at once.

    .. math:: y = \operatorname{concat}(\text{head}_1, \dots, \text{head}_h) W_o^\top + b_o, \qquad
              \text{head}_i = \operatorname{softmax}\left(\frac{q_i k_i^\top}{\sqrt{E / h}} + m\right) v_i

    Parameters
    ----------
    embed_dim : int
        :math:`E`, the features of queries, keys, values and results.
    num_heads : int
        :math:`h`, which must divide E.
    dropout : float
        The probability with which a weight is dropped in training.
    bias : bool
        Whether the four projections have biases.
    batch_first : bool
        Whether the batch comes before the positions.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    in_proj_weight : Parameter, of shape (3E, E)
        The projections to queries, keys and values, in this order.
    in_proj_bias : Parameter, of shape (3E,), or None
    out_proj : Linear
        From the concatenated heads to the result.

    Shape
    -----
    Input : query (L, N, E), key and value (S, N, E); with ``batch_first`` (N, L, E) and (N, S, E); or without N.
        Masks are True where nothing may be gathered from, or are added to the scores: ``key_padding_mask`` (N, S),
        ``attn_mask`` (L, S) or (N * h, L, S)
    Output : the result, as the query; and the weights, averaged over the heads, (N, L, S), or None

    Raises
    ------
    ArgumentError
        If ``num_heads`` does not divide ``embed_dim``.
    ShapeError
        When called, if the sequences or the masks do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> x = minidl.zeros(4, 10, 16)
    >>> y, weights = nn.MultiheadAttention(16, 2, batch_first=True)(x, x, x)
    >>> y.shape, weights.shape
    ((4, 10, 16), (4, 10, 10))

    References
    ----------
    ``torch.nn.MultiheadAttention``. Vaswani et al. (2017), "Attention is all you need".
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_counts("MultiheadAttention", embed_dim=embed_dim, num_heads=num_heads)
        if embed_dim % num_heads:
            raise ArgumentError(f"MultiheadAttention: num_heads={num_heads} must divide embed_dim={embed_dim}")
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.in_proj_weight = empty_parameter(3 * embed_dim, embed_dim, device=device, dtype=dtype)
        self.in_proj_bias = empty_parameter(3 * embed_dim, device=device, dtype=dtype) if bias else None
        self.out_proj = Linear(embed_dim, embed_dim, bias, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the projections anew: the first three by Xavier's rule, biases zero."""
        init.xavier_uniform_(self.in_proj_weight)
        self.out_proj.reset_parameters()
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Any, Any]:
        batched = query.ndim == 3
        self._check(query, key, value)
        same = query is key is value
        parts = [query] if same else [query, key, value]
        if not batched:
            parts = [ops.unsqueeze(x, 0) for x in parts]  # (L, E) -> (1, L, E)
        elif not self.batch_first:
            parts = [ops.swapaxes(x, 0, 1) for x in parts]  # (L, N, E) -> (N, L, E)
        q, k, v = self._project(parts)  # each (N, h, L or S, E / h)
        scores = ops.matmul(q * (1 / math.sqrt(q.shape[-1])), ops.swapaxes(k, -1, -2))  # (N, h, L, S)
        scores = self._mask(scores, key_padding_mask, attn_mask, is_causal)
        weights = ops.softmax(scores, -1)
        if self.dropout and self.training:
            weights = ops.dropout(weights, self.dropout)
        N, h, L, D = q.shape
        heads = ops.reshape(ops.swapaxes(ops.matmul(weights, v), 1, 2), (N, L, h * D))  # (N, h, L, D) -> (N, L, E)
        y = self.out_proj(heads)
        if not batched:
            y = ops.squeeze(y, 0)  # (1, L, E) -> (L, E)
        elif not self.batch_first:
            y = ops.swapaxes(y, 0, 1)  # (N, L, E) -> (L, N, E)
        if not need_weights:
            return y, None
        if average_attn_weights:
            weights = ops.mean(weights, 1)  # (N, h, L, S) -> (N, L, S)
        return y, weights if batched else ops.squeeze(weights, 0)

    def _check(self, query: Any, key: Any, value: Any) -> None:
        shapes = f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}"
        fit = query.ndim in (2, 3) and query.ndim == key.ndim and tuple(key.shape) == tuple(value.shape)
        fit = fit and query.shape[-1] == key.shape[-1] == self.embed_dim
        batch_axis = 0 if self.batch_first else 1
        if not fit or (query.ndim == 3 and query.shape[batch_axis] != key.shape[batch_axis]):
            layout = "(N, L, E) and (N, S, E)" if self.batch_first else "(L, N, E) and (S, N, E)"
            raise ShapeError(
                f"MultiheadAttention: {shapes}; expected {layout}, or (L, E) and (S, E), with E = {self.embed_dim} and "
                "key and value alike; batch_first= says which axis is the batch"
            )

    def _project(self, parts: list[Any]) -> list[Any]:
        """Return queries, keys and values, split into heads."""
        E, h = self.embed_dim, self.num_heads
        weight, bias = self.in_proj_weight, self.in_proj_bias
        if len(parts) == 1:
            projected = ops.chunk(ops.linear(parts[0], weight, bias), 3, -1)
        else:
            biases = (None,) * 3 if bias is None else ops.chunk(bias, 3)
            projected = tuple(map(ops.linear, parts, ops.chunk(weight, 3), biases))
        return [
            ops.swapaxes(ops.reshape(x, (*x.shape[:2], h, E // h)), 1, 2)  # (N, L, E) -> (N, h, L, E / h)
            for x in projected
        ]

    def _mask(self, scores: Any, key_padding_mask: Any, attn_mask: Any, is_causal: bool) -> Any:
        """Return the scores (N, h, L, S) with what may not be gathered from far below the rest."""
        N, h, L, S = scores.shape
        masks = []
        if key_padding_mask is not None:
            shape = tuple(key_padding_mask.shape)
            if shape not in ((N, S), (S,) if N == 1 else (N, S)):
                raise ShapeError(f"MultiheadAttention: key_padding_mask has shape {shape}; expected {(N, S)}")
            masks.append((key_padding_mask, (N, 1, 1, S)))
        if attn_mask is not None:
            shape = tuple(attn_mask.shape)
            if shape not in ((L, S), (N * h, L, S)):
                raise ShapeError(
                    f"MultiheadAttention: attn_mask has shape {shape}; expected {(L, S)} or {(N * h, L, S)}"
                )
            masks.append((attn_mask, (1, 1, L, S) if len(shape) == 2 else (N, h, L, S)))
        elif is_causal:
            xp = namespace(scores.array)
            masks.append((~xp.tri(L, S, dtype=bool), (1, 1, L, S)))
        lowest = float(np.finfo(scores.dtype).min)  # finite: where nothing is left to gather from, there is no NaN
        for given, shape in masks:
            mask = ops.reshape(given, shape)
            kind = (mask.array if isinstance(mask, Variable) else mask).dtype.kind
            if kind not in "bf":
                raise DTypeError("MultiheadAttention: masks hold booleans (True: do not look there) or floats (added)")
            scores = ops.masked_fill(scores, mask, lowest) if kind == "b" else scores + mask
        return scores


class TransformerEncoderLayer(Module):
    r"""One layer of a Transformer's encoder: attention to itself, then a network at each position.

    .. math:: z = \operatorname{norm}(x + \operatorname{attention}(x, x, x)), \qquad
              y = \operatorname{norm}(z + W_2 \, a(W_1 z + b_1) + b_2)

    Parameters
    ----------
    d_model : int
        :math:`E`, the features of each position.
    nhead : int
        The heads of the attention.
    dim_feedforward : int
        The units between :math:`W_1` and :math:`W_2`.
    dropout : float
        The probability of dropout, on the attention's weights and after each part.
    activation : {"relu", "gelu"} or callable
        :math:`a`.
    layer_norm_eps : float
        The epsilon of the layer norms.
    batch_first : bool
        Whether the batch comes before the positions.
    norm_first : bool
        Whether each part normalises its input, instead of the sum after it.
    bias : bool
        Whether there are biases.
    device : Device or str, optional
    dtype : dtype, optional

    Shape
    -----
    Input : (L, N, E), or (N, L, E) with ``batch_first``, or (L, E); masks as in :class:`MultiheadAttention`
    Output : the same

    Raises
    ------
    ArgumentError
        If the activation is unknown, or ``nhead`` does not divide ``d_model``.
    ShapeError
        When called, if the input or a mask does not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> layer = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32, batch_first=True)
    >>> layer(minidl.zeros(4, 10, 16)).shape
    (4, 10, 16)

    References
    ----------
    ``torch.nn.TransformerEncoderLayer``. Vaswani et al. (2017), "Attention is all you need".
    """

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: str | Callable[[Any], Any] = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        known: dict[Any, Callable[[Any], Any]] = {"relu": ops.relu, "gelu": ops.gelu}
        if activation not in known and not callable(activation):
            raise ArgumentError(
                f"TransformerEncoderLayer: activation={activation!r}; expected 'relu', 'gelu' or a function"
            )
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first, device, dtype)
        self.linear1 = Linear(d_model, dim_feedforward, bias, device, dtype)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, device, dtype)
        self.norm_first = norm_first
        self.norm1 = LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)
        self.norm2 = LayerNorm(d_model, layer_norm_eps, bias=bias, device=device, dtype=dtype)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation: Any = known.get(activation, activation)

    def forward(self, src: Any, src_mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        masks = {"attn_mask": src_mask, "key_padding_mask": src_key_padding_mask, "is_causal": is_causal}
        if self.norm_first:
            x = src + self._gather(self.norm1(src), masks)
            return x + self._feed_forward(self.norm2(x))
        x = self.norm1(src + self._gather(src, masks))
        return self.norm2(x + self._feed_forward(x))

    def _gather(self, x: Any, masks: dict[str, Any]) -> Any:
        return self.dropout1(self.self_attn(x, x, x, need_weights=False, **masks)[0])

    def _feed_forward(self, x: Any) -> Any:
        return self.dropout2(self.linear2(self.dropout(self.activation(self.linear1(x)))))


class TransformerEncoder(Module):
    r"""A stack of encoder layers.

    .. math:: y = \operatorname{norm}(f_n(\dots f_1(x)))

    Parameters
    ----------
    encoder_layer : TransformerEncoderLayer
        The layer to copy; all copies start from its weights.
    num_layers : int
        How many.
    norm : Module, optional
        What to apply in the end.

    Shape
    -----
    Input, Output : as the layer has them

    Raises
    ------
    ArgumentError
        If ``num_layers`` is not a positive integer.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> layer = nn.TransformerEncoderLayer(16, 2, dim_feedforward=32)
    >>> nn.TransformerEncoder(layer, 3)(minidl.zeros(10, 4, 16)).shape
    (10, 4, 16)

    References
    ----------
    ``torch.nn.TransformerEncoder``. Vaswani et al. (2017), "Attention is all you need".
    """

    def __init__(self, encoder_layer: Module, num_layers: int, norm: Module | None = None) -> None:
        super().__init__()
        check_counts("TransformerEncoder", num_layers=num_layers)
        self.layers = ModuleList(copy.deepcopy(encoder_layer) for _ in range(num_layers))
        self.num_layers = num_layers
        self.norm = norm

    def forward(self, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: bool = False) -> Any:
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, is_causal)
        return src if self.norm is None else self.norm(src)
