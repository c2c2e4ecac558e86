"""Arrays made ready for a model: labels as rows of 0 and 1, vectors of length 1, sequences of one length."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl import ops
from minidl.autograd import Variable
from minidl.backend import default_dtype, device_of, manual_seed, to_numpy
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError

__all__ = ["normalize", "pad_sequences", "set_random_seed", "to_categorical"]


def set_random_seed(seed: int) -> None:
    """Seed the random numbers of minidl, NumPy and Python, so that a program repeats exactly.

    Parameters
    ----------
    seed : int
        From 0 to 4294967295.

    Raises
    ------
    DTypeError
        If it is not an integer.
    ArgumentError
        If it is out of range.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.utils.set_random_seed(0)
    >>> a = minidl.rand(2)
    >>> keras.utils.set_random_seed(0)
    >>> minidl.equal(a, minidl.rand(2))
    True

    References
    ----------
    ``keras.utils.set_random_seed``.
    """
    manual_seed(seed)
    if seed >= 2**32:
        raise ArgumentError(f"set_random_seed: the seed must be less than 2**32, as NumPy wants it; got {seed}")
    random.seed(int(seed))
    np.random.seed(int(seed))


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    r"""Return labels one-hot: a row for each, 1 at its class and 0 elsewhere.

    .. math:: y_{nc} = [x_n = c]

    Parameters
    ----------
    x : array of ints, shape (...) or (..., 1)
        Labels, counted from 0.
    num_classes : int, optional
        C; the largest label and one, if left out.

    Returns
    -------
    array, shape (..., C)
        A NumPy array of float64, as in Keras; a Tensor of the default dtype if ``x`` is a Tensor.

    Raises
    ------
    RangeError
        If a label is negative, or not less than ``num_classes``.
    DTypeError
        If the labels are not whole numbers.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.utils.to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])

    References
    ----------
    ``keras.utils.to_categorical``.
    """
    labels = to_numpy(x.array) if isinstance(x, Variable) else np.asarray(x)
    if labels.dtype.kind not in "biu":
        if labels.dtype.kind != "f" or (labels != np.floor(labels)).any():
            raise DTypeError(f"to_categorical: expected labels, which are whole numbers, got {labels.dtype}")
        labels = labels.astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    classes = num_classes or (int(labels.max()) + 1 if labels.size else 0)
    if labels.size and (labels.min() < 0 or labels.max() >= classes):
        wrong = int(labels.min()) if labels.min() < 0 else int(labels.max())
        raise RangeError(
            f"to_categorical: label {wrong} is out of range for {classes} classes; labels count from 0 to {classes - 1}"
        )
    one_hot = np.zeros((labels.size, classes))
    one_hot[np.arange(labels.size), labels.reshape(-1).astype(np.int64)] = 1
    one_hot = one_hot.reshape((*labels.shape, classes))
    return ops.tensor(one_hot, default_dtype(), device_of(x.array)) if isinstance(x, Variable) else one_hot


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    r"""Return vectors divided by their norm.

    .. math:: y = \frac{x}{\|x\|_p}

    Parameters
    ----------
    x : array or Tensor
    axis : int
        The axis of the vectors.
    order : int
        :math:`p`.

    Returns
    -------
    array or Tensor, the shape of ``x``
        A vector of zeros stays as it is.

    Examples
    --------
    >>> import numpy as np
    >>> from minidl import keras
    >>> keras.utils.normalize(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])

    References
    ----------
    ``keras.utils.normalize``.
    """
    if isinstance(x, Variable):
        return ops.normalize(x, order, axis, 1e-7)
    x = np.asarray(x)
    norm = np.linalg.norm(x, order, axis, keepdims=True)
    return x / np.where(norm == 0, 1, norm)


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Return sequences of different lengths as one array, filled up and cut to one length.

    Parameters
    ----------
    sequences : sequence of N sequences
        Of numbers, or of arrays of one shape.
    maxlen : int, optional
        The length; that of the longest, if left out.
    dtype : dtype
        Of the result.
    padding, truncating : {"pre", "post"}
        Whether to fill up, and to cut, at the beginning or at the end.
    value : float or str
        What to fill up with.

    Returns
    -------
    NumPy array, shape (N, maxlen, ...)

    Raises
    ------
    ArgumentError
        If ``padding`` or ``truncating`` is unknown.
    ShapeError
        If a sequence has no length, or elements of different shapes.

    Examples
    --------
    >>> from minidl import keras
    >>> keras.utils.pad_sequences([[1], [2, 3, 4]], maxlen=2)
    array([[0, 1],
           [3, 4]], dtype=int32)

    References
    ----------
    ``keras.utils.pad_sequences``.
    """
    for name, where in (("padding", padding), ("truncating", truncating)):
        if where not in ("pre", "post"):
            raise ArgumentError(f"pad_sequences: {name} must be 'pre' or 'post', got {where!r}")
    for i, sequence in enumerate(sequences):
        if not hasattr(sequence, "__len__"):
            raise ShapeError(f"pad_sequences: element {i} is no sequence, but a {type(sequence).__name__}: {sequence}")
    length = max(map(len, sequences), default=0) if maxlen is None else maxlen
    shape = next((np.shape(sequence)[1:] for sequence in sequences if len(sequence)), ())
    padded = np.full((len(sequences), length, *shape), value, dtype)
    for i, (row, sequence) in enumerate(zip(padded, sequences, strict=True)):
        cut = np.asarray(
            sequence[:length] if truncating == "post" else sequence[max(len(sequence) - length, 0) :], dtype
        )
        if not len(cut):
            continue
        if cut.shape[1:] != shape:
            raise ShapeError(f"pad_sequences: elements have shape {shape}, but those of sequence {i} {cut.shape[1:]}")
        row[slice(None, len(cut)) if padding == "post" else slice(length - len(cut), None)] = cut
    return padded
