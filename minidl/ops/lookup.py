"""Embedding: a table with a row for each word, and its look-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import kernels
from minidl.autograd import Operation, Variable
from minidl.backend import is_array
from minidl.errors import DTypeError, RangeError, ShapeError
from minidl.ops.arguments import takes_tensors
from minidl.ops.creation import as_array

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["embedding"]


class Embedding(Operation):
    def forward(self, indices: Any, weight: Any, padding_idx: int | None = None) -> Any:
        self.length, self.padding_idx = weight.shape[0], padding_idx
        self.save(indices)
        return self.xp.take(weight, indices, axis=0)  # (...) -> (..., D)

    def backward(self, grad: Any) -> Any:
        (indices,) = self.saved
        return None, EmbeddingGrad.apply(grad, indices=indices, length=self.length, padding_idx=self.padding_idx)


class EmbeddingGrad(Operation):
    """Add each row to the row of a table of zeros that its index names, except to that of the padding."""

    def forward(self, grad: Any, indices: Any, length: int, padding_idx: int | None) -> Any:
        self.padding_idx = padding_idx
        self.save(indices)
        table = kernels.add_rows(grad, indices, length)  # (..., D) -> (V, D)
        if padding_idx is not None:
            table[padding_idx] = 0
        return table

    def backward(self, grad: Any) -> Any:
        (indices,) = self.saved
        rows = Embedding.apply(indices, grad)
        if self.padding_idx is not None:
            rows = rows * (indices != self.padding_idx)[..., None].astype(rows.dtype)
        return rows


@takes_tensors("weight")
def embedding(indices: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    r"""Return a row of a table for each index.

    .. math:: y_{n \ldots d} = W_{i_{n \ldots},\, d}

    Parameters
    ----------
    indices : integer Tensor, any shape
        From 0 to V - 1.
    weight : Tensor (V, D)
        The table: V rows of D numbers.
    padding_idx : int, optional
        A row that gets no gradient; it may count from the end.

    Returns
    -------
    Tensor (..., D), the shape of ``indices`` and D

    Raises
    ------
    RangeError
        If an index is not in the table; the message names it.
    ShapeError
        If ``weight`` has not two axes.
    DTypeError
        If the indices are no integers.

    Examples
    --------
    >>> import minidl
    >>> weight = minidl.tensor([[0.0, 0.1], [1.0, 1.1], [2.0, 2.1]])
    >>> minidl.embedding(minidl.tensor([2, 0]), weight)
    tensor([[2.0000, 2.1000],
            [0.0000, 0.1000]])

    References
    ----------
    ``torch.nn.functional.embedding``.
    """
    array = indices.array if isinstance(indices, Variable) else indices
    if not is_array(array):
        array = indices = as_array(array, copy=False, name="embedding")
    if array.dtype.kind not in "iu":
        raise DTypeError(f"embedding: indices must be integers, got {array.dtype}; convert them first: x.long()")
    if weight.ndim != 2:
        raise ShapeError(f"embedding: weight has shape {tuple(weight.shape)}; expected (V, D), a row for each index")
    length = weight.shape[0]
    if padding_idx is not None:
        if not -length <= padding_idx < length:
            raise RangeError(f"embedding: padding_idx={padding_idx} is not a row of the table, which has {length}")
        padding_idx %= length
    # to look at indices on a GPU would wait for it; there, take() wraps around what is out of range
    if isinstance(array, np.ndarray) and array.size:
        low, high = int(array.min()), int(array.max())
        if low < 0 or high >= length:
            raise RangeError(
                f"embedding: index {low if low < 0 else high} is not in the table, which has {length} rows (weight of "
                f"shape {tuple(weight.shape)}): indices go from 0 to {length - 1}; use a larger table "
                "(num_embeddings) or map unknown words to a row of their own"
            )
    return Embedding.apply(indices, weight, padding_idx=padding_idx)
