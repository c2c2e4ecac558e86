"""Datasets: samples, cutting, joining."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.data import ArrayDataset, ConcatDataset, Dataset, IterableDataset, Subset, TensorDataset, random_split
from minidl.errors import ArgumentError, DataError, DTypeError, RangeError, ShapeError


class Squares(Dataset):
    def __getitem__(self, index):
        return index**2

    def __len__(self):
        return 5


def test_tensor_dataset_gives_rows_as_tensors():
    x, y = np.arange(6, dtype=np.float32).reshape(3, 2), [5, 6, 7]
    dataset = TensorDataset(minidl.tensor(x), y)
    a, b = dataset[1]
    assert isinstance(a, minidl.Tensor)
    np.testing.assert_array_equal(a.numpy(force=True), [2, 3])
    assert b.shape == ()
    assert b.item() == 6
    assert b.dtype == np.int64
    assert dataset[-1][1].item() == 7
    assert dataset[np.int64(0)][1].item() == 5
    assert [row[1].item() for row in dataset] == [5, 6, 7]  # an IndexError ends the loop


def test_tensor_dataset_keeps_the_tensors_and_does_not_copy_arrays():
    tensor, array = minidl.tensor([1.0, 2.0]), np.zeros(2, np.float32)
    with minidl.device("cpu"):
        dataset = TensorDataset(tensor, array)
    assert dataset.tensors[0] is tensor
    assert np.shares_memory(dataset.tensors[1].array, array)


def test_tensor_dataset_of_float64_keeps_its_dtype():
    assert TensorDataset(np.zeros(2))[0][0].dtype == np.float64


def test_tensor_dataset_errors():
    with pytest.raises(ShapeError, match=r"\(3,\), \(2, 2\).*same first size"):
        TensorDataset([1, 2, 3], [[1, 2], [3, 4]])
    with pytest.raises(ShapeError, match="same first size"):
        TensorDataset(3.0)
    with pytest.raises(ArgumentError, match="at least one tensor"):
        TensorDataset()
    for index in (2, -3):
        with pytest.raises(RangeError, match=f"no sample {index} among 2"):
            TensorDataset([1, 2])[index]


def test_array_dataset_has_names_and_transforms():
    plain = ArrayDataset([[1.0], [2.0]], [0, 1], classes=["a", "b"], name="two")
    assert plain.classes == ("a", "b")
    assert plain.data.shape == (2, 1)
    assert plain.targets.shape == (2,)
    assert repr(plain) == "ArrayDataset('two': 2 samples of shape (1,), float32; 2 classes)"
    assert plain.gatherer() is not None
    changed = ArrayDataset([[1.0], [2.0]], [0, 1], transform=lambda x: x * 10, target_transform=lambda y: y.item() + 5)
    x, y = changed[1]
    assert x.item() == 20
    assert y == 6
    assert changed.gatherer() is None


def test_a_subclass_that_makes_its_samples_is_not_bypassed():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            return super().__getitem__(index)[0] * 2

    assert TensorDataset([1, 2]).gatherer() is not None
    assert Doubled([1, 2]).gatherer() is None
    assert Subset(Doubled([1, 2]), [0]).gatherer() is None
    assert Subset([1, 2], [0]).gatherer() is None


def test_subset():
    subset = Subset(Squares(), [4, 0])
    assert len(subset) == 2
    assert [subset[0], subset[1], subset[-1]] == [16, 0, 0]
    assert list(subset) == [16, 0]
    with pytest.raises(RangeError, match="no sample 2 among 2"):
        subset[2]
    nested = Subset(Subset(TensorDataset([10, 20, 30]), [2, 1]), [1, 0])
    np.testing.assert_array_equal(nested.gatherer()(np.array([0, 1]))[0].numpy(force=True), [20, 30])
    with pytest.raises(RangeError, match="Subset: there is no sample 2 among 2"):
        nested.gatherer()(np.array([2]))
    with pytest.raises(RangeError, match="TensorDataset: there is no sample 7 among 3"):
        Subset(TensorDataset([10, 20, 30]), [7]).gatherer()(np.array([0]))


def test_concat():
    joined = Squares() + Squares()
    assert isinstance(joined, ConcatDataset)
    assert len(joined) == 10
    assert list(joined) == [0, 1, 4, 9, 16] * 2
    assert joined[-1] == 16
    assert joined[5] == 0
    assert len(ConcatDataset([Subset(Squares(), []), Squares()])) == 5
    assert ConcatDataset([Subset(Squares(), []), Squares()])[0] == 0
    with pytest.raises(RangeError, match="no sample 10 among 10"):
        joined[10]
    with pytest.raises(ArgumentError, match="at least one dataset"):
        ConcatDataset([])
    with pytest.raises(ArgumentError, match="IterableDataset has no numbered samples"):
        ConcatDataset([IterableDataset()])


def test_bases_say_what_is_missing():
    with pytest.raises(DataError, match="must define __getitem__"):
        Dataset()[0]
    with pytest.raises(DataError, match="must define __iter__"):
        iter(IterableDataset())
    with pytest.raises(DTypeError, match="iterate over it"):
        IterableDataset()[0]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 20), min_size=1, max_size=5), st.integers(0, 100))
def test_random_split_is_a_partition(lengths, seed):
    total = sum(lengths)
    parts = random_split(range(total), lengths, seed=seed)
    assert [len(part) for part in parts] == lengths
    assert sorted(x for part in parts for x in part) == list(range(total))


def test_random_split_by_fractions():
    parts = random_split(range(10), [0.5, 0.3, 0.2], seed=0)
    assert [len(part) for part in parts] == [5, 3, 2]
    assert [len(part) for part in random_split(range(11), [1 / 3] * 3, seed=0)] == [4, 4, 3]
    assert [len(part) for part in random_split(range(100), [0.29, 0.71], seed=0)] == [29, 71]
    assert sum(len(part) for part in random_split(range(7), [0.1] * 10)) == 7


def test_random_split_is_reproducible():
    def split(**kwargs):
        return [list(part) for part in random_split(range(50), [25, 25], **kwargs)]

    assert split(seed=1) == split(seed=1) != split(seed=2)
    assert split(generator=np.random.default_rng(1)) == split(seed=1)
    minidl.manual_seed(3)
    first = split()
    assert first != split()
    minidl.manual_seed(3)
    assert first == split()


def test_random_split_errors():
    with pytest.raises(ArgumentError, match="add up to 9, but the dataset has 10"):
        random_split(range(10), [4, 5])
    with pytest.raises(ArgumentError, match=r"add up to 0\.9.*fractions that add up to 1"):
        random_split(range(10), [0.4, 0.5])
    with pytest.raises(ArgumentError, match="must not be negative"):
        random_split(range(10), [11, -1])
    with pytest.raises(ArgumentError, match="generator= and seed="):
        random_split(range(10), [10], generator=np.random.default_rng(), seed=1)
    with pytest.raises(DTypeError, match="for a number write seed="):
        random_split(range(10), [10], generator=1)
