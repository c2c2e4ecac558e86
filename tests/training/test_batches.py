"""What a training loop takes: arrays, loaders, datasets, generators, and what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.data import DataLoader, IterableDataset, TensorDataset
from minidl.errors import ArgumentError, DataError, DTypeError, ShapeError
from minidl.training import Trainer
from minidl.training.batches import Arrays, Batch, Loader, Once, make_source, split

X, Y = np.arange(10, dtype=np.float32)[:, None], np.arange(10)


def taken(x: Any, y: Any = None, weight: Any = None, *, epoch: int = 0, start: int = 0, **kwargs: Any) -> list[Batch]:
    return list(make_source(x, y, weight, name="fit", **kwargs).epoch(epoch, start))


def rows(batches: list[Batch]) -> list[list[int]]:
    return [batch.x.numpy().ravel().astype(int).tolist() for batch in batches]


def flat(lists: list[list[int]]) -> list[int]:
    return [entry for entries in lists for entry in entries]


# ---------------------------------------------------------------------- arrays


def test_arrays_are_cut_into_batches() -> None:
    batches = taken(X, Y, np.ones(10), batch_size=4)
    assert rows(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert [batch.size for batch in batches] == [4, 4, 2]
    assert [batch.y.tolist() for batch in batches] == rows(batches)
    assert all(isinstance(part, minidl.Tensor) for batch in batches for part in batch[:3])
    assert make_source(X, name="fit").steps == 1
    assert make_source(X, name="fit", batch_size=3).steps == 4


def test_rows_in_their_order_are_not_copied() -> None:
    (batch,) = taken(X, Y)
    assert np.shares_memory(batch.x.numpy(), X)
    assert not np.shares_memory(taken(X, Y, shuffle=True, seed=0)[0].x.numpy(), X)


def test_shuffling_depends_on_the_seed_and_the_epoch_alone() -> None:
    def order(seed: int, epoch: int, start: int = 0) -> list[list[int]]:
        return rows(taken(X, Y, batch_size=4, shuffle=True, seed=seed, epoch=epoch, start=start))

    minidl.manual_seed(1)
    first = order(0, 0)
    minidl.manual_seed(2)
    assert order(0, 0) == first
    assert sorted(flat(first)) == list(range(10))
    assert len({str(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    assert order(0, 0, start=1) == first[1:]
    for batch in taken(X, Y, shuffle=True, seed=3):
        assert rows([batch]) == [batch.y.tolist()]


def test_dtypes() -> None:
    def dtype(x: Any) -> np.dtype:
        return taken(x)[0].x.dtype

    assert dtype(X.astype(np.float64)) == np.float32
    assert dtype(X.astype(np.float16)) == np.float16
    assert dtype(X.astype(np.uint8)) == np.uint8
    assert dtype(X.astype(bool)) == np.bool_
    assert dtype(minidl.tensor(X).double()) == np.float64  # who makes such a tensor means it
    assert dtype([[1.0], [2.0]]) == np.float32
    assert dtype([[1], [2]]) == np.int64
    minidl.set_default_dtype("float64")
    try:
        assert dtype(X.astype(np.float64)) == np.float64
    finally:
        minidl.set_default_dtype("float32")


def test_nested_arrays_keep_their_structure() -> None:
    x = {"image": X, "words": [Y, (Y, X)]}
    (first, *_) = taken(x, [Y, Y], batch_size=4, shuffle=True, seed=0)
    assert list(first.x) == ["image", "words"]
    image, (words, (again, last)) = first.x["image"], first.x["words"]
    assert words.tolist() == again.tolist() == rows([Batch(last, None, None, 4)])[0] == first.y[0].tolist()
    assert image.shape == (4, 1)


def test_tensors_are_taken_out_of_their_graph() -> None:
    (batch,) = taken(minidl.tensor(X, requires_grad=True) * 2)
    assert not batch.x.requires_grad


def test_things_that_can_become_arrays() -> None:
    class Frame:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return X.astype(np.float64)

    (batch,) = taken(Frame())
    assert batch.x.dtype == np.float32


def test_a_split_takes_the_last_share() -> None:
    (x, y, weight), (last_x, last_y, last_weight) = split({"a": X}, Y, None, 0.25, "fit")
    assert (y.tolist(), last_y.tolist()) == ([0, 1, 2, 3, 4, 5, 6], [7, 8, 9])
    assert x["a"].shape == (7, 1)
    assert last_x["a"].shape == (3, 1)
    assert weight is last_weight is None


# ---------------------------------------------------------------------- what yields batches


def test_loaders_and_datasets() -> None:
    dataset = TensorDataset(X, Y)
    assert rows(taken(DataLoader(dataset, 4))) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert rows(taken(dataset, batch_size=4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert make_source(DataLoader(dataset, 4), name="fit").steps == 3
    shuffled = taken(dataset, batch_size=4, shuffle=True, seed=0)
    assert sorted(flat(rows(shuffled))) == list(range(10)) != flat(rows(shuffled))
    minidl.manual_seed(5)
    assert rows(taken(dataset, batch_size=4, shuffle=True, seed=0)) == rows(shuffled)
    assert rows(taken(dataset, batch_size=4, shuffle=True, seed=0, start=2)) == rows(shuffled)[2:]


def test_streams() -> None:
    class Countdown(IterableDataset):
        def __iter__(self) -> Iterator[Any]:
            return iter([(np.float32(i), i) for i in (3, 2, 1)])

    assert rows(taken(Countdown(), batch_size=2)) == [[3, 2], [1]]
    assert make_source(Countdown(), name="fit").steps is None


def test_batches_with_numbers() -> None:
    class Numbered:
        def __len__(self) -> int:
            return 2

        def __getitem__(self, index: int) -> Any:
            return X[index * 5 : index * 5 + 5], Y[index * 5 : index * 5 + 5]

    assert rows(taken(Numbered())) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]
    assert make_source(Numbered(), name="fit").steps == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (X, (True, False, False)),
        ((X,), (True, False, False)),
        ([X, Y], (True, True, False)),
        ((X, Y, np.ones(10)), (True, True, True)),
        ({"x": X}, (True, False, False)),
    ],
)
def test_what_a_batch_may_be(given: Any, expected: tuple[bool, ...]) -> None:
    for source in (iter([given]), lambda: [given]):
        (batch,) = taken(source)
        assert tuple(part is not None for part in batch[:3]) == expected
        assert batch.size == 10


def test_iterators_go_on_and_iterables_start_anew() -> None:
    once = make_source(iter([X[:2], X[2:4], X[4:6]]), name="fit")
    assert isinstance(once, Once)
    first = once.epoch(0)
    assert rows([next(first)]) == [[0, 1]]
    first.close()  # type: ignore[attr-defined]
    assert rows(list(once.epoch(1))) == [[2, 3], [4, 5]]
    again = make_source(DataLoader(TensorDataset(X), 5), name="fit")
    assert isinstance(again, Loader)
    assert rows(list(again.epoch(0))) == rows(list(again.epoch(1)))


def test_weights_of_classes_in_a_stream() -> None:
    (batch,) = taken(lambda: [(X, Y, np.full(10, 2.0))], class_weight={9: 5.0})
    assert batch.weight.tolist() == [2.0] * 9 + [10.0]
    (batch,) = taken(X, Y, class_weight={0: 0.0})
    assert batch.weight.tolist() == [0.0] + [1.0] * 9


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((X, Y[:9]), ShapeError, r"different numbers of samples, their first sizes: x \(10, 1\), y \(9,\)"),
        (
            ({"a": X, "b": [Y, X[:3]]},),
            ShapeError,
            r"x\['a'\] \(10, 1\), x\['b'\]\[0\] \(10,\), x\['b'\]\[1\] \(3, 1\)",
        ),
        ((X, Y, np.ones(3)), ShapeError, r"sample_weight \(3,\)"),
        ((X[:0], Y[:0]), DataError, r"there is no data: x \(0, 1\), y \(0,\)"),
        (([],), DataError, r"there is no data: x \(0,\)"),
        (({},), DataError, "x has no arrays"),
        ((np.float32(3), 1), ShapeError, r"each array needs an axis of samples.*got x \(\), y \(\)"),
        ((np.array(["a", "b"]),), DTypeError, "fit: x: cannot make a tensor of <U1"),
        (("mnist",), DTypeError, "fit: x: cannot make a tensor of"),
        ((np.array([{}, {}]),), DTypeError, "fit: x: cannot make a tensor of object"),
        ((iter([]), Y), ArgumentError, "y= goes with arrays; a list_iterator yields its targets itself"),
        ((DataLoader(TensorDataset(X)), None, Y), ArgumentError, "sample_weight= goes with arrays; a DataLoader"),
        ((object(),), DTypeError, "cannot take batches from a object; expected arrays or tensors"),
    ],
)
def test_data_that_cannot_be_used(arguments: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make_source(*arguments, name="fit")


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "32"])
def test_batch_sizes(size: Any) -> None:
    with pytest.raises(ArgumentError, match="batch_size must be a positive integer, got"):
        make_source(X, name="fit", batch_size=size)


def test_sizes_of_batches_that_are_made_already() -> None:
    with pytest.raises(
        ArgumentError, match="batch_size= goes with arrays; a DataLoader yields batches of its own size"
    ):
        make_source(DataLoader(TensorDataset(X)), name="fit", batch_size=3)
    assert isinstance(make_source(X, name="fit", default_size=3), Arrays)


def test_batches_that_cannot_be_used() -> None:
    with pytest.raises(DataError, match=r"a batch of 4 entries; expected x, \(x, y\) or"):
        taken(iter([(X, X, X, X)]))
    with pytest.raises(ShapeError, match=r"x \(10, 1\), y \(9,\)"):
        taken(iter([(X, Y[:9])]))


@pytest.mark.parametrize("share", [-0.1, 1.0, 7])
def test_shares(share: float) -> None:
    with pytest.raises(ArgumentError, match="validation_split must be between 0 and 1, got"):
        split(X, Y, None, share, "fit")


def test_splits_that_cannot_be_made() -> None:
    with pytest.raises(ArgumentError, match=r"0\.01 of 1 samples leaves 0 for training and 1 for validation"):
        split(X[:1], Y[:1], None, 0.01, "fit")
    with pytest.raises(ArgumentError, match="needs arrays, a DataLoader cannot be split; pass validation_data="):
        split(DataLoader(TensorDataset(X)), None, None, 0.5, "fit")
    with pytest.raises(ShapeError, match="different numbers of samples"):
        split(X, Y[:3], None, 0.5, "fit")


def test_nothing_to_train_on() -> None:
    model = nn.Linear(1, 1)
    trainer = Trainer(model, nn.MSELoss(), minidl.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(DataError, match="fit: the generator gave no batches: there is nothing to train on"):
        trainer.fit(iter([]), verbose=0)
    with pytest.raises(DataError, match="fit: the data gave no batches"):
        trainer.fit(lambda: iter(()), verbose=0)
    with pytest.raises(DataError, match="evaluate: the data gave no batches"):
        trainer.evaluate(iter([]), verbose=0)
