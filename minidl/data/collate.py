"""Collating: making one batch of a list of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidl.autograd import Variable, wrap
from minidl.backend import common_dtype, is_array, namespace, pinned
from minidl.errors import DataError, DTypeError, ShapeError
from minidl.ops.creation import as_array

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Sequence[Any], indices: Sequence[int] | None = None) -> Any:
    """Make one batch of a list of samples that are built alike.

    Parameters
    ----------
    batch : sequence of samples
        Tensors, arrays and numbers are stacked to a tensor with the batch as its first axis, outside of any graph
        (Python floats become the default float dtype, ints int64). Tuples and lists of them become a list, named
        tuples and dicts stay what they are; each entry is collated. Strings and bytes stay a list.
    indices : sequence of int, optional
        What to call the samples in an error.

    Returns
    -------
    Tensor, list, dict or named tuple
        Tensors of shape (N, ...) for N samples.

    Raises
    ------
    ShapeError
        If arrays differ in shape, or tuples in length.
    DataError
        If the batch is empty, or the keys of dicts differ.
    DTypeError
        If samples differ in kind, or are of a kind that can't be batched.

    Examples
    --------
    >>> default_collate([([1.0, 2.0], 0), ([3.0, 4.0], 1)])
    [[tensor([1., 3.]), tensor([2., 4.])], tensor([0, 1])]
    >>> default_collate([{"x": 1, "name": "a"}, {"x": 2, "name": "b"}])
    {'x': tensor([1, 2]), 'name': ['a', 'b']}

    References
    ----------
    ``torch.utils.data.default_collate``.
    """
    if not len(batch):
        raise DataError("collate: there are no samples to make a batch of")
    return _collate(batch, range(len(batch)) if indices is None else indices, "")


def _collate(batch: Sequence[Any], names: Sequence[Any], where: str) -> Any:
    """Collate what stands at ``where`` (``[0]['image']``) in the samples called ``names``."""
    first = batch[0]
    if isinstance(first, Variable) or is_array(first):
        _check_kind(batch, names, where, lambda x: isinstance(x, Variable) or is_array(x))
        return _stack([x.array if isinstance(x, Variable) else x for x in batch], names, where)
    if isinstance(first, (str, bytes)):
        return list(batch)
    if isinstance(first, (int, float, np.generic)):
        _check_kind(batch, names, where, lambda x: isinstance(x, (int, float, np.generic)))
        if all(isinstance(x, np.generic) for x in batch):
            return _stack([np.asarray(x) for x in batch], names, where)
        return wrap(as_array(list(batch)))  # (N,)
    if isinstance(first, Mapping):
        _check_kind(batch, names, where, lambda x: isinstance(x, Mapping))
        for x, name in zip(batch, names, strict=True):
            if x.keys() != first.keys():
                raise DataError(
                    f"collate: samples {names[0]} and {name} have different keys{where and ' at ' + where}: "
                    f"{sorted(map(str, first))} and {sorted(map(str, x))}"
                )
        return {key: _collate([x[key] for x in batch], names, f"{where}[{key!r}]") for key in first}
    if isinstance(first, Sequence):
        _check_kind(batch, names, where, lambda x: isinstance(x, Sequence))
        for x, name in zip(batch, names, strict=True):
            if len(x) != len(first):
                raise ShapeError(
                    f"collate: samples {names[0]} and {name} have {len(first)} and {len(x)} entries"
                    f"{where and ' at ' + where}; all need the same number, or give the loader a collate_fn that pads"
                )
        entries = [_collate(x, names, f"{where}[{i}]") for i, x in enumerate(zip(*batch, strict=True))]
        return type(first)(*entries) if hasattr(first, "_fields") else entries
    raise DTypeError(
        f"collate: cannot make a batch of {type(first).__name__}{where and ' at ' + where} (sample {names[0]}); "
        "expected tensors, arrays, numbers, strings, or tuples, lists and dicts of these; give the loader a collate_fn"
    )


def _check_kind(batch: Sequence[Any], names: Sequence[Any], where: str, fits: Any) -> None:
    for x, name in zip(batch, names, strict=True):
        if not fits(x):
            raise DTypeError(
                f"collate: sample {names[0]} is a {type(batch[0]).__name__} but sample {name} a {type(x).__name__}"
                f"{where and ' at ' + where}; all samples must be built alike"
            )


def _stack(arrays: Sequence[Any], names: Sequence[Any], where: str) -> Any:
    first = arrays[0]
    mixed = False
    for array, name in zip(arrays, names, strict=True):
        if array.shape != first.shape:
            raise ShapeError(
                f"collate: samples {names[0]} and {name} have shapes {tuple(first.shape)} and {tuple(array.shape)}"
                f"{where and ' at ' + where}; all need one shape to be stacked: crop, resize or pad them, or give the "
                "loader a collate_fn"
            )
        mixed = mixed or array.dtype != first.dtype
    if first.dtype.kind not in "fiub":
        raise DTypeError(f"collate: cannot make a tensor of {first.dtype} (sample {names[0]}); expected numbers")
    if mixed:
        wanted = common_dtype(array.dtype for array in arrays)
        arrays = [array.astype(wanted, copy=False) for array in arrays]
    return wrap(namespace(first).stack(arrays))  # (N, ...)


def default_convert(data: Any) -> Any:
    """Turn the arrays in one sample into tensors, and leave the rest as it is: what a loader without batches does.

    Parameters
    ----------
    data : a sample
        Arrays in tuples, lists and dicts are found.

    Returns
    -------
    the same sample, with tensors

    Examples
    --------
    >>> default_convert((np.zeros(2, np.float32), "zero"))
    [tensor([0., 0.]), 'zero']

    References
    ----------
    ``torch.utils.data.default_convert``.
    """
    if is_array(data) or (isinstance(data, np.generic) and data.dtype.kind in "fiub"):
        return wrap(as_array(data, copy=False)) if data.dtype.kind in "fiub" else data
    if isinstance(data, Mapping):
        return {key: default_convert(value) for key, value in data.items()}
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        entries = [default_convert(x) for x in data]
        return type(data)(*entries) if hasattr(data, "_fields") else entries
    return data


def pin(batch: Any) -> Any:
    """Return a batch with its CPU tensors in pinned memory, from which a GPU copies without the CPU's help."""
    if isinstance(batch, Variable):
        return wrap(pinned(batch.array)) if isinstance(batch.array, np.ndarray) else batch
    if isinstance(batch, Mapping):
        return {key: pin(value) for key, value in batch.items()}
    if isinstance(batch, Sequence) and not isinstance(batch, (str, bytes)):
        entries = [pin(x) for x in batch]
        return type(batch)(*entries) if hasattr(batch, "_fields") else type(batch)(entries)  # type: ignore[call-arg]
    return batch
