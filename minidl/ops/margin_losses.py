"""Losses on distances: predictions must be right by a margin, similar things closer than different ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.errors import RangeError, ShapeError
from minidl.ops.activations import logsigmoid, relu
from minidl.ops.arguments import shape_of, takes_tensors
from minidl.ops.elementwise import abs as absolute
from minidl.ops.losses import averaged, check_equal, check_reduction, on_cpu
from minidl.ops.powers import sqrt
from minidl.ops.selection import minimum, where

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "hinge_loss",
    "margin_ranking_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
]


def check_signs(target: Any, name: str) -> None:
    """Raise a RangeError unless all targets are -1 or 1."""
    values = on_cpu(target)
    if values is None:
        return
    wrong = (values != 1) & (values != -1)
    if wrong.any():
        raise RangeError(
            f"{name}: targets must be -1 or 1, found {values[wrong].flat[0]}; for labels 0 and 1 pass 2 * target - 1"
        )


def check_common(name: str, **shapes: Any) -> None:
    """Raise a ShapeError unless the arguments' shapes broadcast."""
    found = {key: shape_of(x, name, key) for key, x in shapes.items()}
    if len(set(found.values())) == 1:
        return
    try:
        np.broadcast_shapes(*found.values())
    except ValueError:
        listed = ", ".join(f"{key} {shape}" for key, shape in found.items())
        raise ShapeError(f"{name}: the shapes of {listed} do not fit each other; reshape them to be equal") from None


@takes_tensors("input", "target")
def hinge_loss(input: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Tensor:  # noqa: A002
    r"""Return the hinge loss: zero for predictions on the right side by at least the margin.

    .. math:: L = \frac{1}{n} \sum_i \max(0, m - y_i x_i)

    Parameters
    ----------
    input : Tensor, any shape
        Scores :math:`x`.
    target : Tensor or array, the shape of ``input``
        The right sides :math:`y`, -1 or 1.
    margin : float
        :math:`m`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes differ.
    RangeError
        If a target is neither -1 nor 1.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> minidl.hinge_loss(minidl.tensor([0.5, 3.0, 0.5]), minidl.tensor([1, 1, -1]), reduction="none")
    tensor([0.5000, 0.0000, 1.5000])

    References
    ----------
    Keras's ``hinge``. Cortes & Vapnik 1995, "Support-Vector Networks".
    """
    check_reduction(reduction, "hinge_loss")
    check_equal(input, target, "hinge_loss")
    check_signs(target, "hinge_loss")
    return averaged(relu(margin - input * target), reduction)


@takes_tensors("input", "target")
def hinge_embedding_loss(
    input: Any,  # noqa: A002
    target: Any,
    margin: float = 1.0,
    reduction: str = "mean",
) -> Tensor:
    r"""Return a loss on distances: those of similar pairs shall be small, those of different pairs at least a margin.

    .. math:: L = \frac{1}{n} \sum_i \begin{cases} x_i & y_i = 1 \\ \max(0, m - x_i) & y_i = -1 \end{cases}

    Parameters
    ----------
    input : Tensor, any shape
        Distances :math:`x`.
    target : Tensor or array, the shape of ``input``
        :math:`y`: 1 for similar pairs, -1 for different ones.
    margin : float
        :math:`m`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes differ.
    RangeError
        If a target is neither -1 nor 1.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> minidl.hinge_embedding_loss(minidl.tensor([0.5, 0.25]), minidl.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.7500])

    References
    ----------
    ``torch.nn.functional.hinge_embedding_loss``.
    """
    check_reduction(reduction, "hinge_embedding_loss")
    check_equal(input, target, "hinge_embedding_loss")
    check_signs(target, "hinge_embedding_loss")
    return averaged(where(target > 0, input, relu(margin - input)), reduction)


@takes_tensors("input1", "input2", "target")
def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Tensor:
    r"""Return a loss on pairs of scores: the one that should rank higher must be higher by a margin.

    .. math:: L = \frac{1}{n} \sum_i \max\big(0, m - y_i (a_i - b_i)\big)

    Parameters
    ----------
    input1, input2 : Tensor, shapes that broadcast
        Scores :math:`a` and :math:`b`.
    target : Tensor or array, a shape that broadcasts
        :math:`y`: 1 if the first should rank higher, -1 if the second.
    margin : float
        :math:`m`.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or the broadcast shape if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    RangeError
        If a target is neither -1 nor 1.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> a, b = minidl.tensor([3.0, 1.0]), minidl.tensor([1.0, 3.0])
    >>> minidl.margin_ranking_loss(a, b, minidl.tensor([1, 1]), reduction="none")
    tensor([0., 2.])

    References
    ----------
    ``torch.nn.functional.margin_ranking_loss``.
    """
    check_reduction(reduction, "margin_ranking_loss")
    check_common("margin_ranking_loss", input1=input1, input2=input2, target=target)
    check_signs(target, "margin_ranking_loss")
    return averaged(relu(margin - (input1 - input2) * target), reduction)


@takes_tensors("input", "target")
def soft_margin_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:  # noqa: A002
    r"""Return the logistic loss of scores whose right signs are known.

    .. math:: L = \frac{1}{n} \sum_i \log(1 + e^{-y_i x_i})

    Parameters
    ----------
    input : Tensor, any shape
        Scores :math:`x`.
    target : Tensor or array, the shape of ``input``
        The right signs :math:`y`, -1 or 1.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``input`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes differ.
    RangeError
        If a target is neither -1 nor 1.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> minidl.soft_margin_loss(minidl.tensor([0.0, 10000.0]), minidl.tensor([1, -1]), reduction="none")
    tensor([6.9315e-01, 1.0000e+04])

    References
    ----------
    ``torch.nn.functional.soft_margin_loss``.
    """
    check_reduction(reduction, "soft_margin_loss")
    check_equal(input, target, "soft_margin_loss")
    check_signs(target, "soft_margin_loss")
    return averaged(-logsigmoid(input * target), reduction)


@takes_tensors("input1", "input2", "target")
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean"
) -> Tensor:
    r"""Return a loss on pairs of vectors: similar pairs shall point the same way, different pairs shall not.

    .. math::

        L = \frac{1}{N} \sum_n \begin{cases} 1 - \cos(a_n, b_n) & y_n = 1 \\
        \max(0, \cos(a_n, b_n) - m) & y_n = -1 \end{cases}

    Parameters
    ----------
    input1, input2 : Tensor, shape (N, D) or (D,)
        Vectors :math:`a` and :math:`b`.
    target : Tensor or array, shape (N,) or ()
        :math:`y`: 1 for similar pairs, -1 for different ones.
    margin : float
        :math:`m`, from -1 to 1.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``target`` if the reduction is "none"

    Raises
    ------
    ShapeError
        If the vectors' shapes differ, or there is not one target a pair.
    RangeError
        If a target is neither -1 nor 1.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> a, b = minidl.tensor([[1.0, 0.0], [1.0, 0.0]]), minidl.tensor([[0.0, 2.0], [3.0, 0.0]])
    >>> minidl.cosine_embedding_loss(a, b, minidl.tensor([1, -1]), reduction="none")
    tensor([1., 1.])

    References
    ----------
    ``torch.nn.functional.cosine_embedding_loss``.
    """
    name = "cosine_embedding_loss"
    check_reduction(reduction, name)
    shape, other, labels = (
        shape_of(input1, name, "input1"),
        shape_of(input2, name, "input2"),
        shape_of(target, name, "target"),
    )
    if shape != other or len(shape) not in (1, 2) or labels != shape[:-1]:
        raise ShapeError(
            f"{name}: vectors {shape} and {other} with targets {labels} do not fit; expected "
            "(N, D), (N, D) and (N,), or (D,), (D,) and ()"
        )
    check_signs(target, name)
    eps = 1e-12  # PyTorch's: the cosine with a vector of zeros is 0
    product = (input1 * input2).sum(axis=-1)  # (N,)
    length = sqrt(((input1 * input1).sum(axis=-1) + eps) * ((input2 * input2).sum(axis=-1) + eps))  # (N,)
    cosine = product / length
    return averaged(where(target > 0, 1 - cosine, relu(cosine - margin)), reduction)


@takes_tensors("anchor", "positive", "negative")
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    r"""Return a loss on triplets: an anchor shall be closer to its like than to anything else, by a margin.

    .. math::

        L = \frac{1}{N} \sum_n \max\big(0, \|a_n - p_n + \epsilon\|_p - \|a_n - q_n + \epsilon\|_p + m\big)

    Parameters
    ----------
    anchor, positive, negative : Tensor, shape (N, D) or (D,)
        :math:`a`, what is like it (:math:`p`) and what is not (:math:`q`).
    margin : float
        :math:`m`.
    p : float
        Which norm measures distances.
    eps : float
        :math:`\epsilon`: keeps the gradient finite where two vectors are equal.
    swap : bool
        Take the distance between positive and negative where that is smaller than from the anchor.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or (N,) if the reduction is "none"

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> origin, near, far = minidl.zeros(1, 2), minidl.tensor([[3.0, 4.0]]), minidl.tensor([[0.0, 5.5]])
    >>> minidl.triplet_margin_loss(origin, near, far)
    tensor(0.5000)

    References
    ----------
    ``torch.nn.functional.triplet_margin_loss``. Balntas et al. 2016, "Learning local feature descriptors with triplets
    and shallow convolutional neural networks" (swap).
    """
    check_reduction(reduction, "triplet_margin_loss")
    check_common("triplet_margin_loss", anchor=anchor, positive=positive, negative=negative)
    close = _distance(anchor, positive, p, eps)  # (N,)
    apart = _distance(anchor, negative, p, eps)  # (N,)
    if swap:
        apart = minimum(apart, _distance(positive, negative, p, eps))
    return averaged(relu(close - apart + margin), reduction)


def _distance(a: Any, b: Any, p: float, eps: float) -> Any:
    d = a - b + eps
    if p == 2:
        return sqrt((d * d).sum(axis=-1))
    if p == 1:
        return absolute(d).sum(axis=-1)
    return (absolute(d) ** p).sum(axis=-1) ** (1 / p)
