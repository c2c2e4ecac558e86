"""Losses on the probabilities of classes, as Keras computes them: scaled to sum to 1, and kept from 0 and 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation
from minidl.backend import quiet
from minidl.errors import ShapeError
from minidl.ops.arguments import normalize_axis, shape_of, takes_tensors
from minidl.ops.class_losses import LabelLoss, as_batch, checked_labels
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
    def forward(self, x: Any, labels: Any, counts: Any) -> Any:
        p = self.look_up(x, labels, counts, None) / x.sum(axis=1)
        self.save(x)
        return self.reduced(-self.xp.log(self.xp.clip(p, LOW, HIGH)), "none")

    def backward(self, grad: Any) -> Any:
        (x,) = self.saved
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

    Returns
    -------
    Tensor, the shape of ``target``

    Raises
    ------
    ShapeError
        If ``target`` does not fit ``input``.
    DTypeError
        If the labels are not integers.
    RangeError
        If a label is not one of the classes, or there is no axis ``dim``.

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
    axis = normalize_axis(dim, input.ndim, name)
    x = moveaxis(input, axis, 1) if axis > 1 or (axis == 0 and input.ndim > 1) else input
    labels, counts = checked_labels(x, target, name, ignore_index)
    batch, labels, counts = as_batch(x, labels, counts)
    out = SparseCategoricalCrossentropy.apply(batch, labels=labels, counts=counts)
    return out.reshape(()) if x.ndim == 1 else out
