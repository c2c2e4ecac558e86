"""Samplers: orders, and how they are grouped."""

from __future__ import annotations

import numpy as np
import pytest

import minidl
from minidl.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from minidl.errors import ArgumentError, DataError, DTypeError


def test_sequential():
    sampler = SequentialSampler("abc")
    assert list(sampler) == list(sampler) == [0, 1, 2]
    assert len(sampler) == 3


def test_random_is_a_new_permutation_each_time():
    sampler = RandomSampler(range(50))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert all(type(i) is int for i in first)


def test_random_follows_the_seed():
    def two_epochs():
        sampler = RandomSampler(range(20))
        return [list(sampler), list(sampler)]

    minidl.manual_seed(1)
    first = two_epochs()
    minidl.manual_seed(1)
    assert two_epochs() == first
    own = [list(RandomSampler(range(20), generator=np.random.default_rng(5))) for _ in range(2)]
    assert own[0] == own[1]


def test_random_with_replacement_and_number():
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=100))
    assert len(drawn) == 100
    assert set(drawn) == {0, 1, 2}
    twice = list(RandomSampler(range(4), num_samples=10))
    assert sorted(twice[:4]) == sorted(twice[4:8]) == [0, 1, 2, 3]
    assert len(twice) == 10 == len(RandomSampler(range(4), num_samples=10))
    assert len(list(RandomSampler(range(10), num_samples=3))) == 3


def test_random_errors():
    with pytest.raises(DataError, match="empty"):
        RandomSampler([])
    for number in (0, -1, 1.5, True):
        with pytest.raises(ArgumentError, match="num_samples must be a positive integer"):
            RandomSampler([1], num_samples=number)
    with pytest.raises(DTypeError, match=r"minidl.Generator"):
        RandomSampler([1], generator=5)


def test_subset_random():
    sampler = SubsetRandomSampler([7, 3, 9])
    assert sorted(sampler) == [3, 7, 9]
    assert len(sampler) == 3
    orders = {tuple(sampler) for _ in range(100)}
    assert len(orders) == 6


def test_weighted():
    sampler = WeightedRandomSampler([0, 3, 1], 4000)
    counts = np.bincount(list(sampler), minlength=3)
    assert counts[0] == 0
    assert counts.sum() == 4000 == len(sampler)
    assert abs(counts[1] - 3000) < 200  # 7 standard deviations
    assert sorted(WeightedRandomSampler(minidl.tensor([1.0, 0.0, 2.0]), 2, replacement=False)) == [0, 2]


def test_weighted_errors():
    for weights in ([-1, 2], [np.nan, 1], [[1, 2]]):
        with pytest.raises(ArgumentError, match="finite numbers, none below 0"):
            WeightedRandomSampler(weights, 1)
    with pytest.raises(ArgumentError, match="all weights are zero"):
        WeightedRandomSampler([0, 0], 1)
    with pytest.raises(ArgumentError, match="3 samples without replacement out of 2"):
        WeightedRandomSampler([1, 0, 1], 3, replacement=False)
    with pytest.raises(ArgumentError, match="num_samples must be a positive integer"):
        WeightedRandomSampler([1], 0)


def test_batch():
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert list(BatchSampler(range(4), 2, True)) == [[0, 1], [2, 3]]
    for size in range(7):
        for drop in (False, True):
            sampler = BatchSampler(range(size), 3, drop)
            assert len(sampler) == len(list(sampler))
    with pytest.raises(ArgumentError, match="batch_size must be a positive integer, got 0"):
        BatchSampler(range(5), 0, False)


def test_base_says_what_is_missing():
    with pytest.raises(DataError, match="must define __iter__"):
        iter(Sampler())
