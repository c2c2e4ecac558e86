"""How alike two batches of vectors are, as modules."""

from __future__ import annotations

from typing import Any

from minidl.nn.module import Module
from minidl.ops import cosine_similarity, pairwise_distance


class CosineSimilarity(Module):
    r"""The cosine of the angle between the vectors along one axis.

    .. math:: z = \frac{x \cdot y}{\max(\lVert x \rVert, \epsilon) \max(\lVert y \rVert, \epsilon)}

    Parameters
    ----------
    dim : int
    eps : float
        The least length that is divided by.

    Shape
    -----
    Input : two tensors whose shapes broadcast
    Output : the broadcast shape without ``dim``

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.CosineSimilarity()(minidl.tensor([[1.0, 0.0]]), minidl.tensor([[2.0, 0.0], [-1.0, 0.0]]))
    tensor([ 1., -1.])

    References
    ----------
    ``torch.nn.CosineSimilarity``.
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x: Any, y: Any) -> Any:
        return cosine_similarity(x, y, self.dim, self.eps)


class PairwiseDistance(Module):
    r"""The distance of each vector of one batch to its counterpart in another.

    .. math:: z_n = \lVert x_n - y_n + \epsilon \rVert_p

    Parameters
    ----------
    p : float
        Which norm: 2 is the usual length.
    eps : float
        Keeps the distance above zero, so that it can be differentiated.
    keepdim : bool
        Keep the last axis, with size 1.

    Shape
    -----
    Input : two tensors of shape (..., D), which broadcast
    Output : (...), or (..., 1) with ``keepdim``

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.PairwiseDistance(p=1)(minidl.tensor([[0.0, 0.0]]), minidl.tensor([[3.0, 4.0]]))
    tensor([7.0000])

    References
    ----------
    ``torch.nn.PairwiseDistance``.
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x: Any, y: Any) -> Any:
        return pairwise_distance(x, y, self.norm, self.eps, self.keepdim)
