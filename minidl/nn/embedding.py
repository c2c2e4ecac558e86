"""Embedding: a vector for each index."""

from __future__ import annotations

from typing import Any, Self

from minidl import ops
from minidl.errors import RangeError, ShapeError
from minidl.nn import init
from minidl.nn.linear import check_counts, empty_parameter
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter


class Embedding(Module):
    r"""Look up the vector of each index in a table that is learnt.

    .. math:: y_{\ldots d} = w_{x_{\ldots},\, d}, \qquad w \sim N(0, 1) \text{ at first}

    Parameters
    ----------
    num_embeddings : int
        How many indices there are, :math:`V`.
    embedding_dim : int
        How long a vector is, :math:`D`.
    padding_idx : int, optional
        The index that stands for padding: its vector is zero at first, and gets no gradient.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter, of shape (V, D)

    Shape
    -----
    Input : (...), integers from 0 to V - 1
    Output : (..., D)

    Raises
    ------
    ArgumentError
        If a size is not a positive integer.
    RangeError
        If ``padding_idx``, or when called an index, is out of range.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> words = nn.Embedding(1000, 16, padding_idx=0)
    >>> words(minidl.tensor([[4, 7, 0]])).shape
    (1, 3, 16)

    References
    ----------
    ``torch.nn.Embedding``. Bengio et al. (2003), "A neural probabilistic language model".
    """

    weight: Parameter

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        check_counts("Embedding", num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise RangeError(f"Embedding: padding_idx={padding_idx} is out of range for {num_embeddings} indices")
            padding_idx %= num_embeddings
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = padding_idx
        self.weight = empty_parameter(num_embeddings, embedding_dim, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table anew; the vector of ``padding_idx`` becomes zero."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.array[self.padding_idx] = 0

    @classmethod
    def from_pretrained(cls, embeddings: Any, freeze: bool = True, padding_idx: int | None = None) -> Self:
        """Return a layer with a given table.

        Parameters
        ----------
        embeddings : Tensor, of shape (V, D)
        freeze : bool
            Whether the table stays as it is in training.
        padding_idx : int, optional
            The index that gets no gradient; its vector is left as it is.
        """
        if embeddings.ndim != 2:
            raise ShapeError(f"from_pretrained: expected (indices, features), got shape {tuple(embeddings.shape)}")
        rows, features = embeddings.shape
        layer = cls(rows, features, padding_idx)
        layer.weight = Parameter(embeddings, requires_grad=not freeze)
        return layer

    def forward(self, x: Any) -> Any:
        return ops.embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"
