"""Losses on the probabilities of classes, as Keras computes them: scaled to sum to 1, and kept from 0 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.autograd import Operation
from minidl.backend import quiet
from minidl.errors import ShapeError
from minidl.ops.arguments import normalize_axis, shape_of, takes_tensors
from minidl.ops.class_losses import LabelLoss, as_batch, checked_labels
from minidl.ops.losses import check_reduction
from minidl.ops.powers import log
from minidl.ops.selection import clip, where
from minidl.ops.shape import moveaxis, unsqueeze

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["categorical_crossentropy", "sparse_categorical_crossentropy"]

#: How near a probability may come to 0 and to 1: what lies outside costs as much as the bound, and its slope is 0.
LOW, HIGH = 1e-7, 1 - 1e-7


class CategoricalCrossentropy(Operation):
    casting = "float"

    @quiet
    def forward(self, x: Any, target: Any, axis: int) -> Any:
        self.axis = axis
        total = x.sum(axis=axis, keepdims=True)
        p = x / total
        self.save(x, target, p, total)
        return -(target * self.xp.log(self.xp.clip(p, LOW, HIGH))).sum(axis=axis)

    def backward(self, grad: Any) -> Any:
        x, target, p, total = self.saved
        if self.recording:  # what forward kept are constants; these depend on x
            total = x.sum(axis=self.axis, keepdims=True)
            p = x / total
        grad = unsqueeze(grad, self.axis)
        inner = clip(p, LOW, HIGH)
        grad_x = grad_target = None
        if self.needs[0]:
            felt = target * ((p >= LOW) & (p <= HIGH))
            grad_x = (felt.sum(axis=self.axis, keepdims=True) - felt / inner) * (grad / total)
        if self.needs[1]:
            grad_target = -log(inner) * grad
        return grad_x, grad_target


@takes_tensors("input", "target")
def categorical_crossentropy(input: Any, target: Any, dim: int = -1) -> Tensor:  # noqa: A002
    r"""Return the cross entropy between predicted and wanted probabilities of classes, for each sample.

    .. math:: L = -\sum_c y_c \log \min\Big(\max\Big(\frac{x_c}{\sum_{c'} x_{c'}}, \epsilon\Big), 1 - \epsilon\Big),
              \qquad \epsilon = 10^{-7}

    From logits (scores before the softmax), :func:`cross_entropy` computes it without a bound.

    Parameters
    ----------
    input : Tensor, any shape
        Probabilities :math:`x`, as the softmax gives them; they are scaled to sum to 1.
    target : Tensor or array, the shape of ``input``
        :math:`y`: one-hot, or probabilities.
    dim : int
        The axis of the classes. NumPy's ``axis`` is accepted.

    Returns
    -------
    Tensor, the shape of ``input`` without ``dim``

    Raises
    ------
    ShapeError
        If the shapes differ.
    RangeError
        If there is no such axis.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[0.5, 0.5], [0.0, 1.0]])
    >>> minidl.categorical_crossentropy(x, minidl.tensor([[1.0, 0.0], [0.0, 1.0]]))
    tensor([6.9315e-01, 1.1921e-07])

    References
    ----------
    ``keras.ops.categorical_crossentropy``.
    """
    shape = shape_of(input, "categorical_crossentropy", "input")
    if shape != (found := shape_of(target, "categorical_crossentropy", "target")):
        raise ShapeError(f"categorical_crossentropy: prediction {shape} and target {found} must have the same shape")
    return CategoricalCrossentropy.apply(
        input, target, axis=normalize_axis(dim, len(shape), "categorical_crossentropy")
    )


class SparseCategoricalCrossentropy(LabelLoss):
    @quiet
    def forward(self, x: Any, labels: Any, counts: Any, reduction: str = "none") -> Any:
        xp = self.xp
        right, total = self.look_up(x, labels, counts, None), x.sum(axis=1)  # (N, d1, ...)
        p = right / total
        bounded = xp.minimum(xp.maximum(p, LOW), HIGH)
        inside = p == bounded  # elsewhere the slope is 0
        if counts is not None:
            inside &= counts
        self.save(x)
        self.parts = right, total, inside
        return self.reduced(*self.of_counted(-xp.log(bounded)), reduction)

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
        return self._recorded(x, grad) if self.recording else self._plain(x, grad)

    def _plain(self, x: Any, grad: Any) -> Any:
        """Return the gradient, of which only the labels' own entries differ from sample to sample."""
        xp, (right, total, inside) = self.xp, self.parts
        grad = grad / self.divisor
        if xp is not np or not inside.all():  # on a GPU, to look would be to wait
            grad = grad * inside
            right, total = xp.where(inside, right, 1), xp.where(inside, total, 1)
        grad_x = xp.empty_like(x)
        grad_x[...] = (grad / total)[:, None]
        grad_x[self.at] -= grad / right
        return grad_x

    def _recorded(self, x: Any, grad: Any) -> Any:
        """Return the same, by operations that can be differentiated."""
        chosen = self.wanted()
        right = (x * chosen).sum(axis=1, keepdims=True)
        total = x.sum(axis=1, keepdims=True)
        p = right / total
        inside = (p >= LOW) & (p <= HIGH)
        right, total = where(inside, right, 1.0), where(inside, total, 1.0)  # elsewhere the slope is 0
        return (1 / total - chosen / right) * (self.spread(grad) * inside)


@takes_tensors("input")
def sparse_categorical_crossentropy(
    input: Any,  # noqa: A002
    target: Any,
    dim: int = -1,
    ignore_index: int | None = None,
    reduction: str = "none",
) -> Tensor:
    r"""Return the cross entropy between predicted probabilities of classes and the right classes, for each sample.

    .. math:: L = -\log \min\Big(\max\Big(\frac{x_y}{\sum_c x_c}, \epsilon\Big), 1 - \epsilon\Big),
              \qquad \epsilon = 10^{-7}

    From logits (scores before the softmax), :func:`cross_entropy` computes it without a bound.

    Parameters
    ----------
    input : Tensor, any shape
        Probabilities :math:`x`, as the softmax gives them; they are scaled to sum to 1.
    target : Tensor or array of ints, the shape of ``input`` without ``dim``
        The right classes :math:`y`, counted from 0.
    dim : int
        The axis of the classes. NumPy's ``axis`` is accepted.
    ignore_index : int, optional
        A label that does not count: its loss is 0.
    reduction : {"none", "mean", "sum"}
        ``"mean"`` is over the labels that count.

    Returns
    -------
    Tensor, the shape of ``target``, or () if reduced

    Raises
    ------
    ShapeError
        If ``target`` does not fit ``input``.
    DTypeError
        If the labels are not integers.
    RangeError
        If a label is not one of the classes, or there is no axis ``dim``.
    ArgumentError
        If the reduction is unknown.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor([[0.5, 0.5], [0.0, 1.0]])
    >>> minidl.sparse_categorical_crossentropy(x, minidl.tensor([0, 1]))
    tensor([6.9315e-01, 1.1921e-07])

    References
    ----------
    ``keras.ops.sparse_categorical_crossentropy``.
    """
    name = "sparse_categorical_crossentropy"
    check_reduction(reduction, name)
    axis = normalize_axis(dim, input.ndim, name)
    x = moveaxis(input, axis, 1) if axis > 1 or (axis == 0 and input.ndim > 1) else input
    labels, counts = checked_labels(x, target, name, ignore_index)
    batch, labels, counts = as_batch(x, labels, counts)
    out = SparseCategoricalCrossentropy.apply(batch, labels=labels, counts=counts, reduction=reduction)
    return out.reshape(()) if x.ndim == 1 and reduction == "none" else out
