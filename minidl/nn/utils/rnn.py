"""Sequences of several lengths in one batch: padded to one length, or packed without the padding.

Packed, the steps stand behind one another: the first of all sequences, then the second of all that have one, and so
on. Sequences are sorted by length, the longest first, so that those which go on are always the first ones::

    a0 a1 a2                      data         a0 b0 c0  a1 b1  a2
    b0 b1         ->              batch_sizes     3        2    1
    c0
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minidl import ops
from minidl.errors import ArgumentError, DTypeError, ShapeError

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Packed(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Packed):
    """Sequences of several lengths without padding, as :func:`pack_padded_sequence` makes them; a named tuple.

    Recurrent layers take it in place of a tensor, and return one.

    Attributes
    ----------
    data : Tensor (sum of lengths, ...)
        The steps: the first of all sequences, the second of all that have one, and so on.
    batch_sizes : Tensor of int64 (T,)
        How many sequences have each step.
    sorted_indices : Tensor of int64 (N,), or None
        Which of the caller's sequences are the longest, the second longest, ...; None if they came in that order.
    unsorted_indices : Tensor of int64 (N,), or None
        The inverse: where each of the caller's sequences stands.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> packed = nn.utils.rnn.pack_sequence([minidl.tensor([1, 2, 3]), minidl.tensor([4])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 3]), tensor([2, 1, 1]))

    References
    ----------
    ``torch.nn.utils.rnn.PackedSequence``.
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        if batch_sizes is None:
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Return the sequences with data of another dtype or on another device: see ``Tensor.to``."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        orders = [x if x is None else x.to(data.device) for x in (self.sorted_indices, self.unsorted_indices)]
        return PackedSequence(data, self.batch_sizes, *orders)

    def double(self) -> PackedSequence:
        """Return the sequences with data of float64."""
        return self.to("float64")

    def float(self) -> PackedSequence:
        """Return the sequences with data of float32."""
        return self.to("float32")


def invert_permutation(permutation: Any) -> Any:
    r"""Return the permutation that undoes another one.

    .. math:: q_{p_i} = i

    Parameters
    ----------
    permutation : Tensor of int64 (N,), or None

    Returns
    -------
    Tensor of int64 (N,), or None for None

    Raises
    ------
    DTypeError
        If it does not hold integers.

    Examples
    --------
    >>> import minidl
    >>> minidl.nn.utils.rnn.invert_permutation(minidl.tensor([2, 0, 1]))
    tensor([1, 2, 0])

    References
    ----------
    ``torch.nn.utils.rnn.invert_permutation``.
    """
    return None if permutation is None else ops.argsort(permutation)


def steps_present(batch_sizes: Any) -> np.ndarray:
    """Return which of the sequences (N) of a packed batch have which step (T): bool (T, N)."""
    sizes = batch_sizes.numpy()
    return np.arange(sizes[0] if sizes.size else 0) < sizes[:, None]


def packed(x: Any, present: np.ndarray) -> Any:
    """Return the steps of ``x`` (T, N, ...) that are present, one behind the other."""
    T, N = present.shape
    return ops.index_select(ops.reshape(x[:T], (T * N, *x.shape[2:])), 0, np.flatnonzero(present))


def padded(data: Any, present: np.ndarray, value: float = 0.0) -> Any:
    """Return steps that stand one behind the other at their places (T, N, ...), and ``value`` where there is none."""
    count = len(data)
    places = np.full(present.shape, count)  # behind the last one: a row of padding
    places[present] = np.arange(count)
    rows = ops.concat([data, ops.full((1, *data.shape[1:]), value, dtype=data.dtype, device=data.device)])
    return ops.reshape(ops.index_select(rows, 0, places.ravel()), (*present.shape, *data.shape[1:]))


def _lengths(lengths: Any, batch: int, steps: int, name: str) -> np.ndarray:
    """Return the lengths of sequences as int64 (N,), each from 1 to T."""
    array = ops.as_tensor(lengths).numpy()
    if array.dtype.kind not in "iu":
        raise DTypeError(f"{name}: lengths are of {array.dtype}; expected integers")
    if array.shape != (batch,):
        raise ShapeError(f"{name}: lengths have shape {array.shape}; expected ({batch},), one for each sequence")
    if array.size and (array.min() < 1 or array.max() > steps):
        raise ArgumentError(
            f"{name}: lengths reach from {array.min()} to {array.max()}; expected 1 to {steps}, the steps there are: "
            "leave empty sequences out"
        )
    return array.astype(np.int64)


def pack_padded_sequence(
    input: Any,  # noqa: A002
    lengths: Any,
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack sequences that are padded to one length.

    Parameters
    ----------
    input : Tensor (T, N, ...)
        Or (N, T, ...) with ``batch_first``.
    lengths : sequence of int, or Tensor (N,)
        How many steps of each sequence are real.
    batch_first : bool
    enforce_sorted : bool
        Whether it is an error if the sequences don't come in order, the longest first; otherwise they are sorted.

    Returns
    -------
    PackedSequence

    Raises
    ------
    ShapeError
        If the lengths don't fit the batch.
    ArgumentError
        If a length is out of range, or the sequences are not in order.
    DTypeError
        If the lengths are not integers.

    Examples
    --------
    >>> import minidl
    >>> from minidl.nn.utils.rnn import pack_padded_sequence
    >>> x = minidl.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    >>> pack_padded_sequence(x, [2, 1, 3], batch_first=True, enforce_sorted=False).data
    tensor([4, 1, 3, 5, 2, 6])

    References
    ----------
    ``torch.nn.utils.rnn.pack_padded_sequence``.
    """
    x = ops.as_tensor(input)
    if x.ndim < 2:
        raise ShapeError(f"pack_padded_sequence: the input has shape {tuple(x.shape)}; expected (T, N, ...)")
    if batch_first:
        x = ops.swapaxes(x, 0, 1)
    sizes = _lengths(lengths, x.shape[1], x.shape[0], "pack_padded_sequence")
    order = None
    if not enforce_sorted:
        descending = np.argsort(-sizes, kind="stable")
        sizes, order = sizes[descending], ops.tensor(descending, device=x.device)
        x = ops.index_select(x, 1, order)
    elif (np.diff(sizes) > 0).any():
        raise ArgumentError(
            f"pack_padded_sequence: lengths {sizes.tolist()} are not in order, the longest first; pass "
            "enforce_sorted=False, or sort the sequences"
        )
    present = np.arange(sizes[0] if sizes.size else 0)[:, None] < sizes
    return PackedSequence(packed(x, present), ops.tensor(present.sum(axis=1)), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """Pad sequences that were packed, in the order in which they came.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool
    padding_value : float
    total_length : int, optional
        To how many steps; by default as many as the longest sequence has.

    Returns
    -------
    Tensor (T, N, ...), or (N, T, ...) with ``batch_first``
    Tensor of int64 (N,), the lengths

    Raises
    ------
    ArgumentError
        If ``total_length`` is less than the longest sequence.

    Examples
    --------
    >>> import minidl
    >>> from minidl.nn.utils.rnn import pack_sequence, pad_packed_sequence
    >>> pad_packed_sequence(pack_sequence([minidl.tensor([1, 2, 3]), minidl.tensor([4])]), batch_first=True)
    (tensor([[1, 2, 3],
            [4, 0, 0]]), tensor([3, 1]))

    References
    ----------
    ``torch.nn.utils.rnn.pad_packed_sequence``.
    """
    present = steps_present(sequence.batch_sizes)
    lengths = ops.tensor(present.sum(axis=0))
    steps = len(present)
    if total_length is not None:
        if total_length < steps:
            raise ArgumentError(
                f"pad_packed_sequence: total_length={total_length}; the longest sequence has {steps} steps, so "
                "expected at least that"
            )
        present = np.concatenate([present, np.zeros((total_length - steps, present.shape[1]), bool)])
    x = padded(sequence.data, present, padding_value)
    if sequence.unsorted_indices is not None:
        x = ops.index_select(x, 1, sequence.unsorted_indices)
        lengths = lengths[sequence.unsorted_indices.cpu()]
    return (ops.swapaxes(x, 0, 1) if batch_first else x), lengths


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Stack sequences of several lengths, padded to that of the longest one.

    Parameters
    ----------
    sequences : list of Tensor (length, ...)
    batch_first : bool
    padding_value : float
    padding_side : {"right", "left"}

    Returns
    -------
    Tensor (T, N, ...), or (N, T, ...) with ``batch_first``

    Raises
    ------
    ShapeError
        If the sequences differ in another axis than the first, or there are none.
    ArgumentError
        If the side is unknown.

    Examples
    --------
    >>> import minidl
    >>> from minidl.nn.utils.rnn import pad_sequence
    >>> pad_sequence([minidl.tensor([1, 2, 3]), minidl.tensor([4])], batch_first=True, padding_value=-1)
    tensor([[ 1,  2,  3],
            [ 4, -1, -1]])

    References
    ----------
    ``torch.nn.utils.rnn.pad_sequence``.
    """
    if padding_side not in ("right", "left"):
        raise ArgumentError(f"pad_sequence: padding_side={padding_side!r}; expected 'right' or 'left'")
    if not isinstance(sequences, Iterable):
        raise DTypeError(f"pad_sequence: expected a list of tensors, got a {type(sequences).__name__}")
    listed = [ops.as_tensor(sequence) for sequence in sequences]
    shapes = [tuple(x.shape) for x in listed]
    if not shapes or () in shapes or len({shape[1:] for shape in shapes}) > 1:
        raise ShapeError(f"pad_sequence: got shapes {shapes}; expected sequences (length, ...) that differ in length")
    longest = max(map(len, listed))
    whole = []
    for x in listed:
        padding = ops.full((longest - len(x), *x.shape[1:]), padding_value, dtype=x.dtype, device=x.device)
        whole.append(ops.concat([x, padding] if padding_side == "right" else [padding, x]))
    return ops.stack(whole, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """Take a padded batch apart into sequences of their own lengths.

    Parameters
    ----------
    padded_sequences : Tensor (T, N, ...)
        Or (N, T, ...) with ``batch_first``.
    lengths : sequence of int, or Tensor (N,)
    batch_first : bool

    Returns
    -------
    list of Tensor (length, ...)

    Raises
    ------
    ShapeError
        If the lengths don't fit the batch.
    ArgumentError
        If a length is out of range.

    Examples
    --------
    >>> import minidl
    >>> minidl.nn.utils.rnn.unpad_sequence(minidl.tensor([[1, 2, 3], [4, 0, 0]]), [3, 1], batch_first=True)
    [tensor([1, 2, 3]), tensor([4])]

    References
    ----------
    ``torch.nn.utils.rnn.unpad_sequence``.
    """
    x = padded_sequences if batch_first else ops.swapaxes(padded_sequences, 0, 1)
    sizes = _lengths(lengths, x.shape[0], x.shape[1], "unpad_sequence")
    return [x[n, :size] for n, size in enumerate(sizes.tolist())]


def pack_sequence(sequences: Any, enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of several lengths.

    Parameters
    ----------
    sequences : list of Tensor (length, ...)
    enforce_sorted : bool
        Whether it is an error if they don't come in order, the longest first; otherwise they are sorted.

    Returns
    -------
    PackedSequence

    Raises
    ------
    ShapeError
        If the sequences differ in another axis than the first, or there are none.
    ArgumentError
        If they are not in order, or one is empty.

    Examples
    --------
    >>> import minidl
    >>> minidl.nn.utils.rnn.pack_sequence([minidl.tensor([1, 2, 3]), minidl.tensor([4, 5])]).data
    tensor([1, 4, 2, 5, 3])

    References
    ----------
    ``torch.nn.utils.rnn.pack_sequence``.
    """
    listed = [ops.as_tensor(sequence) for sequence in sequences]
    x = pad_sequence(listed)
    return pack_padded_sequence(x, [len(sequence) for sequence in listed], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Take packed sequences apart, in the order in which they came.

    Parameters
    ----------
    packed_sequences : PackedSequence

    Returns
    -------
    list of Tensor (length, ...)

    Raises
    ------
    ShapeError
        If its parts don't fit each other.

    Examples
    --------
    >>> import minidl
    >>> from minidl.nn.utils.rnn import pack_sequence, unpack_sequence
    >>> unpack_sequence(pack_sequence([minidl.tensor([1, 2, 3]), minidl.tensor([4, 5])]))
    [tensor([1, 2, 3]), tensor([4, 5])]

    References
    ----------
    ``torch.nn.utils.rnn.unpack_sequence``.
    """
    x, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(x, lengths, batch_first=True)
