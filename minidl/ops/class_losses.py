"""Losses on classes: how much probability a prediction gave to the right one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import kernels
from minidl.autograd import Operation, Variable
from minidl.backend import CPU, device_of, gpu_in_use, is_array, quiet, to_device
from minidl.errors import ArgumentError, DeviceError, DTypeError, RangeError, ShapeError, warn
from minidl.kernels.reference.losses import places
from minidl.ops.activations import log_softmax, softmax
from minidl.ops.arguments import shape_of, takes_tensors
from minidl.ops.creation import as_array
from minidl.ops.losses import averaged, check_reduction, constant, on_cpu

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["cross_entropy", "nll_loss"]


def checked_labels(x: Any, target: Any, name: str, ignore_index: int | None) -> tuple[Any, Any]:
    """Return the labels as an array, and which of them count (None if all do).

    Raises
    ------
    ShapeError, DTypeError, RangeError, DeviceError
        If they do not fit the predictions ``x``; the message says how to make them.
    """
    shape = shape_of(x, name, "input")
    classes = shape[1] if len(shape) > 1 else shape[0]
    wanted = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    labels = target.array if isinstance(target, Variable) else target
    own = x.array if isinstance(x, Variable) else x
    if not is_array(labels):
        labels = as_array(labels, device=CPU, copy=False, name=name)
    if labels.shape != wanted:
        _explain_shape(shape, labels, wanted, classes, name)
    if labels.dtype.kind not in "iu":
        raise DTypeError(
            f"{name}: labels must be integers from 0 to {classes - 1}, got {labels.dtype}; convert them with "
            "target.long()"
        )
    home = device_of(own) if gpu_in_use() else None
    if home is not None and isinstance(target, Variable) and device_of(labels) != home:
        raise DeviceError(
            f"{name}: the labels live on {device_of(labels)}, the predictions on {home}; move them there first"
        )
    if on_cpu(labels) is None:
        labels = _at(home, labels)
        return labels, _counted(labels, ignore_index) if labels.size else None
    # read as unsigned numbers, negative labels are the largest: one look finds labels out of range on either side
    if labels.view(f"u{labels.itemsize}").max() >= classes:
        wrong, counts = (labels < 0) | (labels >= classes), _counted(labels, ignore_index)
        if counts is not None:
            wrong &= counts
        if wrong.any():
            where = tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
            place = where[0] if len(where) == 1 else where
            found = f"label {labels[where]}" + (f" at position {place}" if where else "")
            raise RangeError(
                f"{name}: {found} is out of range for {classes} classes; labels count from 0 to {classes - 1} "
                "(subtract 1 if they count from 1), or give the model more outputs"
            )
        return _at(home, labels), _at(home, counts)
    ignored = ignore_index is not None and 0 <= ignore_index < classes
    labels = _at(home, labels)
    return labels, _counted(labels, ignore_index) if ignored else None


def _at(home: Any, array: Any) -> Any:
    """Return an array on the device of the predictions, once it was looked at; None stays None."""
    return array if home is None or array is None else to_device(array, home)


def _counted(labels: Any, ignore_index: int | None) -> Any:
    """Return which labels count; None if all do."""
    return None if ignore_index is None else labels != ignore_index


def _explain_shape(shape: tuple[int, ...], labels: Any, wanted: tuple[int, ...], classes: int, name: str) -> None:
    """Raise a ShapeError (or, for one-hot integers, a DTypeError) that says how to make the labels fit."""
    found = labels.shape
    message = f"{name}: predictions {shape} are for {classes} classes and need labels of shape {wanted}, got {found}; "
    if found == shape and labels.dtype.kind in "iub":
        raise DTypeError(message + "these look one-hot: pass target.argmax(1), or, as probabilities, target.float()")
    if found == (*wanted, 1):
        raise ShapeError(message + "pass target.squeeze(-1)")
    if found and wanted and found[0] != wanted[0]:
        raise ShapeError(message + f"the batch sizes, {shape[0]} and {found[0]}, must be equal")
    raise ShapeError(message + "the classes are axis 1 of the predictions, and no axis of the labels")


class LabelLoss(Operation, register=False):
    """A loss of one label each: weighted by class, without those that do not count, summed or averaged."""

    casting = "float"

    def look_up(self, x: Any, labels: Any, counts: Any, weight: Any) -> Any:
        """Find each label's place in ``x``, and its weight; return what ``x`` holds there."""
        xp = self.xp
        self.shape, self.dtype = x.shape, x.dtype
        self.classes = x.shape[1]
        self.counts, self.class_weight = counts, None if weight is None else weight.copy()
        self.outside = None
        if xp is not np:  # nobody looked at the labels, to not wait for the GPU: wrong ones give nan
            self.outside = (labels < 0) | (labels >= self.classes)
            if counts is not None:
                self.outside &= counts
            labels = xp.where(self.outside, 0, labels)
        # never the user's own array, which may hold the next batch before backward runs
        self.at = places(xp, labels.copy() if counts is None else xp.where(counts, labels, 0))
        self.weight = None if weight is None else weight[self.at[1]]
        return x[self.at]

    def of_counted(self, losses: Any) -> tuple[Any, Any]:
        """Return the losses, 0 where a label does not count, and what each counts in a mean (None if all count 1)."""
        if self.outside is not None:
            losses = self.xp.where(self.outside, math.nan, losses)
        if self.counts is None:
            return losses, self.weight
        shares = self.counts.astype(self.dtype) if self.weight is None else self.weight * self.counts
        return self.xp.where(self.counts, losses, 0), shares

    def reduced(self, losses: Any, shares: Any, reduction: str) -> Any:
        """Reduce the losses, of which each counts its share."""
        self.divisor: Any = 1
        self.reduction = reduction
        if reduction == "none":
            return losses
        total = losses.sum()
        if reduction == "mean":
            self.divisor = (losses.size or math.nan) if shares is None else shares.sum()
            total = total / self.divisor
            if self.counts is not None:  # where no label counts, the mean is nan but the gradient 0
                self.divisor = self.xp.where(self.divisor == 0, 1, self.divisor).astype(losses.dtype)
        return total

    def spread(self, grad: Any) -> Any:
        """Return what the gradient of each prediction is to be multiplied by."""
        if self.reduction == "none":
            n, *rest = grad.shape
            return grad.reshape((n, 1, *rest))
        return grad / self.divisor if self.reduction == "mean" else grad

    def wanted(self, smoothing: float = 0.0) -> Any:
        """Return how much of each class is wanted, weighted: (N, C, d1, ...), a constant."""
        xp = self.xp
        if smoothing:
            q = xp.empty(self.shape, self.dtype)
            each = smoothing / self.classes
            q[...] = each if self.class_weight is None else _by_class(self.class_weight, len(self.shape)) * each
            q[self.at] += (1 - smoothing) * (1 if self.weight is None else self.weight)
        else:
            q = xp.zeros(self.shape, self.dtype)
            q[self.at] = 1 if self.weight is None else self.weight
        if self.counts is not None:
            q *= xp.expand_dims(self.counts, 1)
        return q


def _by_class(weight: Any, ndim: int) -> Any:
    """Return weights (C,) so that they broadcast over predictions (N, C, d1, ...)."""
    return weight.reshape((1, -1) + (1,) * (ndim - 2))


class NllLoss(LabelLoss):
    @quiet
    def forward(self, x: Any, labels: Any, counts: Any, weight: Any, reduction: str) -> Any:
        losses = -self.look_up(x, labels, counts, weight)
        if self.weight is not None:
            losses = losses * self.weight
        return self.reduced(*self.of_counted(losses), reduction)

    def backward(self, grad: Any) -> Any:
        return self.wanted() * -self.spread(grad)


@takes_tensors("input")
def nll_loss(
    input: Any,  # noqa: A002
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
) -> Tensor:
    r"""Return the negative log-likelihood: the logarithm of the probability that the right class was given, negated.

    .. math:: L = -\frac{1}{\sum_n w_{y_n}} \sum_n w_{y_n} x_{n, y_n}

    Parameters
    ----------
    input : Tensor, shape (N, C), (N, C, d1, ...) or (C,)
        Logarithms of probabilities :math:`x`, as :func:`log_softmax` gives them.
    target : Tensor or array of ints, shape (N,), (N, d1, ...) or ()
        The right classes :math:`y`, from 0 to C - 1.
    weight : Tensor or array, shape (C,), optional
        :math:`w`: how much each class counts, a constant.
    ignore_index : int
        A label that does not count.
    reduction : {"mean", "sum", "none"}

    Returns
    -------
    Tensor, shape (), or that of ``target`` if the reduction is "none"
        nan if there is no label to average over.

    Raises
    ------
    ShapeError
        If ``target`` or ``weight`` does not fit ``input``.
    DTypeError
        If the labels are not integers.
    RangeError
        If a label is not one of the classes.
    ArgumentError
        If the reduction is unknown.

    Warns
    -----
    NumericalWarning
        If ``input`` has positive values: no probability has a positive logarithm.

    Examples
    --------
    >>> import minidl
    >>> logits = minidl.tensor([[1.0, 1.0], [0.0, 10000.0]])
    >>> minidl.nll_loss(minidl.log_softmax(logits, dim=1), minidl.tensor([0, 1]))
    tensor(0.3466)

    References
    ----------
    ``torch.nn.functional.nll_loss``.
    """
    check_reduction(reduction, "nll_loss")
    _check_predictions(input, "nll_loss")
    labels, counts = checked_labels(input, target, "nll_loss", ignore_index)
    values = on_cpu(input)
    # rounding may leave log(1) a few units of the last place above 0
    if values is not None and values.size and values.max() > 1e-6:
        # the text is the same each time, so that a training loop shows it once
        warn(
            "nll_loss expects log-probabilities, but its input has positive values; apply log_softmax first, or use "
            "cross_entropy on the logits"
        )
    weight = _checked_weight(weight, input, "nll_loss")
    x, labels, counts = as_batch(input, labels, counts)
    out = NllLoss.apply(x, labels=labels, counts=counts, weight=weight, reduction=reduction)
    return out.reshape(()) if x is not input and reduction == "none" else out


class CrossEntropy(LabelLoss):
    @quiet
    def forward(self, x: Any, labels: Any, counts: Any, weight: Any, smoothing: float, reduction: str) -> Any:
        losses, shares, gradient = kernels.cross_entropy(x, labels, counts, weight, smoothing, self.needs[0])
        self.counts = counts
        if self.needs[0]:
            self.save(x, gradient)
            # never the user's own arrays, which may hold the next batch before backward runs
            self.target = labels.copy(), counts, None if weight is None else weight.copy(), smoothing
        return self.reduced(losses, shares, reduction)

    def backward(self, grad: Any) -> Any:
        x, gradient = self.saved
        if self.recording:  # what forward kept is a constant; this depends on x
            labels, counts, weight, smoothing = self.target
            self.look_up(x.array, labels, counts, weight)
            q = self.wanted(smoothing)
            gradient = softmax(x, 1) * q.sum(axis=1, keepdims=True) - q
        return gradient * self.spread(grad)


def cross_entropy(
    input: Any,  # noqa: A002
    target: Any,
    weight: Any = None,
    ignore_index: int | None = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    r"""Return the cross entropy between scores of classes and the right classes; right for scores of any size.

    .. math::

        L &= -\frac{1}{\sum_n w_{y_n}} \sum_n w_{y_n} \log \frac{e^{x_{n, y_n}}}{\sum_c e^{x_{n, c}}}
        \qquad \text{(classes)} \\
        L &= -\frac{1}{N} \sum_n \sum_c w_c y_{n, c} \log \frac{e^{x_{n, c}}}{\sum_{c'} e^{x_{n, c'}}}
        \qquad \text{(probabilities)}

    Parameters
    ----------
    input : Tensor, shape (N, C), (N, C, d1, ...) or (C,)
        Logits :math:`x`, before the softmax.
    target : Tensor or array of ints, shape (N,), (N, d1, ...) or (); or of floats, the shape of ``input``
        The right classes :math:`y`, from 0 to C - 1, or their probabilities.
    weight : Tensor or array, shape (C,), optional
        :math:`w`: how much each class counts, a constant.
    ignore_index : int or None
        A label that does not count; with None, all do.
    reduction : {"mean", "sum", "none"}
    label_smoothing : float
        From 0 to 1: how much of the wanted probability is spread evenly over all classes.

    Returns
    -------
    Tensor, shape (), or (N,), (N, d1, ...) if the reduction is "none"
        nan if there is no label to average over.

    Raises
    ------
    ShapeError
        If ``target`` or ``weight`` does not fit ``input``.
    DTypeError
        If the labels are neither integers nor probabilities.
    RangeError
        If a label is not one of the classes.
    ArgumentError
        If the reduction is unknown, or ``label_smoothing`` is not between 0 and 1.

    Examples
    --------
    >>> import minidl
    >>> logits = minidl.tensor([[1.0, 1.0], [0.0, 10000.0]])
    >>> minidl.cross_entropy(logits, minidl.tensor([0, 1]))
    tensor(0.3466)
    >>> minidl.cross_entropy(logits, minidl.tensor([[0.5, 0.5], [0.0, 1.0]]))
    tensor(0.3466)

    References
    ----------
    ``torch.nn.functional.cross_entropy``. Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer
    Vision" (label smoothing).
    """
    name = "cross_entropy"
    check_reduction(reduction, name)
    _check_predictions(input, name)
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(f"{name}: label_smoothing must be between 0 and 1, got {label_smoothing}")
    dtype = getattr(target, "dtype", None)
    if dtype is not None and dtype.kind == "f" and target.shape == input.shape:
        if ignore_index is not None and ignore_index >= 0:
            raise ArgumentError(f"{name}: ignore_index is for labels; the target holds probabilities")
        weight = _checked_weight(weight, input, name)
        return _of_probabilities(input, target, weight, reduction, label_smoothing)
    labels, counts = checked_labels(input, target, name, ignore_index)
    weight = _checked_weight(weight, input, name)
    x, labels, counts = as_batch(input, labels, counts)
    out = CrossEntropy.apply(
        x, labels=labels, counts=counts, weight=weight, smoothing=float(label_smoothing), reduction=reduction
    )
    return out.reshape(()) if x is not input and reduction == "none" else out


def _of_probabilities(x: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    axis = 1 if x.ndim > 1 else 0
    classes = x.shape[axis]
    if smoothing:
        target = target * (1 - smoothing) + smoothing / classes
    if weight is not None:
        target = target * (_by_class(weight, x.ndim) if axis else weight)
    return averaged(-(target * log_softmax(x, axis)).sum(axis=axis), reduction)


def _check_predictions(x: Any, name: str) -> None:
    shape = shape_of(x, name, "input")
    if not shape or (shape[1] if len(shape) > 1 else shape[0]) == 0:
        raise ShapeError(
            f"{name}: predictions {shape} have no classes; expected (N, C), (N, C, d1, ...) or (C,), with C classes"
        )


def _checked_weight(weight: Any, x: Any, name: str) -> Any:
    if weight is None:
        return None
    shape = shape_of(x, name, "input")
    classes = shape[1] if len(shape) > 1 else shape[0]
    given = shape_of(weight, name, "weight")
    if given != (classes,):
        raise ShapeError(f"{name}: weight {given} must have one number for each of the {classes} classes: ({classes},)")
    return constant(weight, x, name, "weight")


def as_batch(x: Any, labels: Any, counts: Any) -> tuple[Any, Any, Any]:
    """Make a batch of one of a single prediction (C,)."""
    if x.ndim > 1:
        return x, labels, counts
    return x.reshape((1, *x.shape)), labels.reshape(1), None if counts is None else counts.reshape(1)
