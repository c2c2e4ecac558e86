"""The DataLoader: batches, order, worker threads."""

from __future__ import annotations

import collections
import gc
import threading
import traceback

import numpy as np
import pytest

import minidl
from minidl import backend
from minidl.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
)
from minidl.data.workers import PREFIX
from minidl.errors import ArgumentError, DataError, DTypeError, RangeError, ShapeError
from minidl.training import Trainer
from tests.stand_in import runtime

WAIT = 30  # seconds until a test that hangs fails


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(PREFIX)]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    gc.collect()
    assert workers() == []


class Numbers(Dataset):
    """Samples that tell their index, made one by one."""

    def __init__(self, size, hook=lambda index: None):
        self.size, self.hook = size, hook

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        self.hook(index)
        return np.float32(index)


class Stream(IterableDataset):
    def __init__(self, size, hook=lambda index: None):
        self.size, self.hook = size, hook

    def __iter__(self):
        for i in range(self.size):
            self.hook(i)
            yield np.float32(i)


def lists(loader):
    return [batch.array.astype(int).tolist() for batch in loader]


# ---------------------------------------------------------------------- batches


@pytest.mark.parametrize("num_workers", [0, 1, 3])
@pytest.mark.parametrize("make", [Numbers, Stream])
def test_batches_in_order(make, num_workers):
    loader = DataLoader(make(7), batch_size=3, num_workers=num_workers)
    assert lists(loader) == lists(loader) == [[0, 1, 2], [3, 4, 5], [6]]
    assert lists(DataLoader(make(7), 3, drop_last=True, num_workers=num_workers)) == [[0, 1, 2], [3, 4, 5]]
    assert lists(DataLoader(make(6), 3, drop_last=True, num_workers=num_workers)) == [[0, 1, 2], [3, 4, 5]]


def test_length():
    for size, drop, expected in [(7, False, 3), (7, True, 2), (6, False, 2), (6, True, 2)]:
        loader = DataLoader(Numbers(size), 3, drop_last=drop)
        assert len(loader) == len(list(loader)) == expected
    with pytest.raises(TypeError):
        len(DataLoader(Stream(3)))
    Sized = type("Sized", (Stream,), {"__len__": lambda self: self.size})
    assert len(DataLoader(Sized(7), 3)) == 3
    assert len(DataLoader(Sized(7), None)) == 7


def test_tensor_dataset_takes_the_fast_path_with_the_same_result(monkeypatch):
    x, y = np.random.rand(10, 2, 3).astype(np.float32), np.arange(10)
    fast, slow = TensorDataset(x, y), [(x[i], int(y[i])) for i in range(10)]

    for dataset, other in [(fast, slow), (Subset(fast, [7, 1, 4, 4]), [slow[i] for i in (7, 1, 4, 4)])]:
        expected = list(DataLoader(other, 3, shuffle=True, seed=1))
        loader = DataLoader(dataset, 3, shuffle=True, seed=1)
        with monkeypatch.context() as patch:
            patch.setattr(minidl.data.dataset, "wrap", CountingWrap(minidl.data.dataset.wrap))
            found = list(loader)
            assert minidl.data.dataset.wrap.calls == 2 * len(found)  # one for x, one for y of each batch
        assert len(found) == len(expected)
        for (a, b), (c, d) in zip(found, expected, strict=True):
            assert (a.dtype, b.dtype) == (c.dtype, d.dtype) == (np.float32, np.int64)
            np.testing.assert_array_equal(a.numpy(force=True), c.numpy(force=True))
            np.testing.assert_array_equal(b.numpy(force=True), d.numpy(force=True))


class CountingWrap:
    def __init__(self, wrap):
        self.wrap, self.calls = wrap, 0

    def __call__(self, array):
        self.calls += 1
        return self.wrap(array)


def test_a_batch_does_not_share_memory_with_the_dataset():
    x = np.zeros((4, 2), np.float32)
    (batch,) = next(iter(DataLoader(TensorDataset(x), 4)))
    batch.array[:] = 1
    assert (x == 0).all()


def test_a_transformed_dataset_is_asked_sample_by_sample():
    dataset = minidl.data.ArrayDataset(np.arange(4.0, dtype=np.float32), np.arange(4), transform=lambda x: -x)
    x, y = next(iter(DataLoader(dataset, 4)))
    assert x.array.tolist() == [0, -1, -2, -3]
    assert y.array.tolist() == [0, 1, 2, 3]


def test_without_batches():
    assert lists(DataLoader(Numbers(3), batch_size=None)) == [0, 1, 2]
    assert lists(DataLoader(Stream(3), batch_size=None)) == [0, 1, 2]
    assert list(DataLoader(["a", "b"], batch_size=None)) == ["a", "b"]
    assert len(DataLoader(Numbers(3), batch_size=None)) == 3
    assert lists(DataLoader(Numbers(3), batch_size=None, collate_fn=lambda x: minidl.tensor(x * 2))) == [0, 2, 4]


def test_a_list_is_a_dataset():
    x, name = next(iter(DataLoader([(1.0, "a"), (2.0, "b")], 2)))
    assert x.array.tolist() == [1, 2]
    assert name == ["a", "b"]


def test_collate_fn():
    assert list(DataLoader(Numbers(4), 2, collate_fn=sum)) == [1, 5]
    assert list(DataLoader(TensorDataset([1, 2]), 2, collate_fn=len)) == [2]
    assert list(DataLoader(Stream(4), 2, collate_fn=sum)) == [1, 5]


# ---------------------------------------------------------------------- order


def flat(batch):
    return (batch[0] if isinstance(batch, list) else batch).array.ravel().tolist()


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("make", [Numbers, lambda n: TensorDataset(np.arange(n))])
def test_shuffle(make, num_workers):
    def epochs(**kwargs):
        loader = DataLoader(make(20), 20, shuffle=True, num_workers=num_workers, **kwargs)
        return [flat(batch) for _ in range(2) for batch in loader]

    first = epochs(seed=1)
    assert first[0] != first[1]
    assert sorted(first[0]) == sorted(first[1]) == list(range(20))
    assert first == epochs(seed=1) == epochs(generator=np.random.default_rng(1)) != epochs(seed=2)
    minidl.manual_seed(5)
    with_global = epochs()
    assert with_global != epochs()
    minidl.manual_seed(5)
    assert with_global == epochs()


def test_a_seed_of_its_own_leaves_the_global_generator_alone():
    before = backend.get_rng_state()
    list(DataLoader(Numbers(5), 2, shuffle=True, seed=1))
    assert backend.get_rng_state() == before


def test_samplers():
    assert lists(DataLoader(Numbers(5), 2, sampler=[4, 2, 0])) == [[4, 2], [0]]
    assert lists(DataLoader(Numbers(5), batch_sampler=[[4], [0, 1]])) == [[4], [0, 1]]
    assert lists(DataLoader(Numbers(5), batch_sampler=BatchSampler(range(5), 2, True))) == [[0, 1], [2, 3]]
    assert sorted(*lists(DataLoader(Numbers(9), 2, sampler=SubsetRandomSampler([1, 8])))) == [1, 8]
    endless = DataLoader(Numbers(9), 2, sampler=iter([3, 4, 5]))
    assert lists(endless) == [[3, 4], [5]]
    assert len(DataLoader(Numbers(9), 2, sampler=RandomSampler(Numbers(9), num_samples=5))) == 3


@pytest.mark.parametrize("make", [Numbers, Stream])
def test_random_transforms_do_not_depend_on_the_number_of_workers(make):
    class Noisy(make):
        def __getitem__(self, index):
            return super().__getitem__(index) + backend.generator().random()

        def __iter__(self):
            for x in super().__iter__():
                yield x + backend.generator().random()

    def run(num_workers):
        minidl.manual_seed(3)
        loader = DataLoader(Noisy(12), 2, num_workers=num_workers)
        return np.array([[batch.array for batch in loader] for _ in range(2)])

    alone = run(0)
    assert (alone[0] != alone[1]).all()
    noise = alone[0] % 1
    assert len(np.unique(noise)) == 12
    for num_workers in (1, 2, 5):
        np.testing.assert_array_equal(alone, run(num_workers))


def test_seeding_inside_a_dataset_concerns_its_batch_alone():
    def seed(index):
        minidl.manual_seed(index)

    minidl.manual_seed(0)
    expected = backend.generator().random(5).tolist()
    for num_workers in (0, 2):
        minidl.manual_seed(0)
        list(DataLoader(Numbers(4, seed), 2, num_workers=num_workers, seed=1))
        assert backend.generator().random(5).tolist() == expected


# ---------------------------------------------------------------------- worker threads


def test_batches_that_finish_out_of_order_come_in_order():
    later = threading.Event()

    def hook(index):
        if index == 0:
            assert later.wait(WAIT)  # batch 0 waits until batch 1 was loaded
        if index == 3:
            later.set()

    assert lists(DataLoader(Numbers(8, hook), 2, num_workers=2)) == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_two_workers_load_at_the_same_time():
    barrier = threading.Barrier(2, timeout=WAIT)
    assert len(list(DataLoader(Numbers(4, lambda index: barrier.wait()), 1, num_workers=2))) == 4


@pytest.mark.parametrize(("num_workers", "prefetch"), [(1, 2), (2, 3)])
@pytest.mark.parametrize("make", [Numbers, Stream])
def test_prefetching_is_bounded(make, num_workers, prefetch):
    started, reached = [], threading.Event()
    ahead = num_workers * prefetch

    def hook(index):
        started.append(index)
        if len(started) == 1 + ahead:
            reached.set()

    iterator = iter(DataLoader(make(100, hook), 1, num_workers=num_workers, prefetch_factor=prefetch))
    next(iterator)
    assert reached.wait(WAIT)  # without being asked, that many more are loaded
    for i in range(2, 20):
        next(iterator)
        assert max(started) < i + ahead
    iterator.close()
    assert max(started) < 20 + ahead


@pytest.mark.parametrize(("num_workers", "prefetch"), [(1, 1), (1, 2), (2, 3)])
def test_no_more_indices_are_drawn_than_are_loaded_ahead(num_workers, prefetch):
    drawn = []

    def indices():
        for i in range(100):
            drawn.append(i)
            yield i

    iterator = iter(DataLoader(Numbers(100), 1, sampler=indices(), num_workers=num_workers, prefetch_factor=prefetch))
    for i in range(1, 20):
        next(iterator)
        assert len(drawn) == i + num_workers * prefetch


def test_the_sampler_runs_in_the_callers_thread():
    seen = set()

    def indices():
        for i in range(4):
            seen.add(threading.current_thread())
            yield i

    list(DataLoader(Numbers(4), 2, sampler=indices(), num_workers=2))
    assert seen == {threading.main_thread()}


@pytest.mark.parametrize("num_workers", [0, 2])
@pytest.mark.parametrize("make", [Numbers, Stream])
def test_an_exception_reaches_the_caller_with_traceback_and_index(make, num_workers):
    def explode(index):
        if index == 5:
            raise KeyError("broken file")

    seen = []
    with pytest.raises(KeyError, match="broken file") as caught:
        seen.extend(DataLoader(make(8, explode), 2, num_workers=num_workers))
    assert len(seen) == 2  # the batches before it have come
    text = "".join(traceback.format_exception(caught.value))
    assert "in explode" in text
    assert ("sample 5 of Numbers for batch 2" if make is Numbers else "reading Stream for batch 2") in text
    assert workers() == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_stop_iteration_in_a_dataset_does_not_end_the_loop_silently(num_workers):
    def stop(index):
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Numbers(4, stop), 2, num_workers=num_workers))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_shapes_that_differ_name_the_samples(num_workers):
    dataset = [np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 4))]
    loader = DataLoader(dataset, 2, sampler=[0, 1, 3, 2], num_workers=num_workers)
    with pytest.raises(ShapeError, match=r"samples 3 and 2 have shapes \(2, 4\) and \(2, 3\)"):
        list(loader)


def test_a_failing_collate_fn_names_the_samples():
    def fail(batch):
        raise ValueError("no")

    for size, names in [(2, r"\[0, 1\]"), (None, r"\[0\]")]:
        with pytest.raises(ValueError, match="no") as caught:
            list(DataLoader(Numbers(4), size, collate_fn=fail))
        assert caught.value.__notes__ == [f"raised while collating the samples {names}".replace("\\", "")]


def test_an_index_outside_of_the_dataset():
    with pytest.raises(RangeError, match="no sample 9 among 3"):
        list(DataLoader(TensorDataset([1, 2, 3]), 2, sampler=[0, 9]))


def test_break_leaves_no_thread():
    for make in (Numbers, Stream):
        for batch in DataLoader(make(100), 2, num_workers=3):
            assert len(workers()) == (3 if make is Numbers else 1)
            assert batch.shape == (2,)
            break
        assert workers() == []


def test_an_error_in_the_loop_leaves_no_thread():
    def train():
        for _ in DataLoader(Numbers(100), 2, num_workers=3):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
    assert workers() == []


def test_breaking_off_waits_for_what_is_being_loaded():
    busy, go, loaded = threading.Event(), threading.Event(), []

    def hook(index):
        if index == 1:
            busy.set()
            assert go.wait(WAIT)
        loaded.append(index)

    iterator = iter(DataLoader(Numbers(100, hook), 1, num_workers=1, prefetch_factor=10))
    next(iterator)
    assert busy.wait(WAIT)
    closer = threading.Thread(target=iterator.close)
    closer.start()
    go.set()
    closer.join(WAIT)
    assert not closer.is_alive()
    assert workers() == []
    assert loaded[:2] == [0, 1]
    assert len(loaded) <= 11


def test_two_loops_over_one_loader():
    loader = DataLoader(Numbers(3), 1, num_workers=2)
    pairs = [(int(a.item()), int(b.item())) for a in loader for b in loader]
    assert pairs == [(i, j) for i in range(3) for j in range(3)]


def test_timeout():
    go = threading.Event()
    loader = DataLoader(Numbers(2, lambda index: go.wait(WAIT)), 1, num_workers=1, timeout=0.01)
    try:
        with pytest.raises(DataError, match=r"batch 0 was not there after timeout=0\.01 seconds"):
            next(iter(loader))
    finally:
        go.set()
    for thread in threading.enumerate():
        if thread.name.startswith(PREFIX):
            thread.join(WAIT)


def test_an_iterator_in_a_cycle_is_collected():
    iterator = iter(DataLoader(Numbers(100), 1, num_workers=2))
    next(iterator)
    cycle = [iterator]
    cycle.append(cycle)
    del iterator, cycle
    gc.collect()
    assert workers() == []


# ---------------------------------------------------------------------- arguments


def test_an_empty_loader_is_an_error():
    for shuffle in (False, True):
        with pytest.raises(DataError, match=r"the dataset \(Numbers\) is empty"):
            DataLoader(Numbers(0), shuffle=shuffle)
    with pytest.raises(DataError, match="3 samples make no batch of 4"):
        DataLoader(Numbers(3), 4, drop_last=True)
    with pytest.raises(DataError, match="the sampler gives no samples"):
        DataLoader(Numbers(3), sampler=[])
    with pytest.raises(DataError, match="the sampler gives no samples"):
        DataLoader(Numbers(3), batch_sampler=[])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a positive integer, got 0"),
        ({"batch_size": -1}, "batch_size must be a positive integer, got -1"),
        ({"batch_size": 1.5}, "batch_size must be a positive integer"),
        ({"num_workers": -1}, "num_workers must be an integer, 0 or above"),
        ({"num_workers": 1.0}, "num_workers must be an integer"),
        ({"timeout": -1}, "timeout must be 0"),
        ({"prefetch_factor": 0}, "prefetch_factor must be a positive integer"),
        ({"shuffle": True, "sampler": [0]}, "both set the order"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler= sets order and batches"),
        ({"batch_sampler": [[0]], "drop_last": True}, "batch_sampler= sets order and batches"),
        ({"batch_sampler": [[0]], "shuffle": True}, "batch_sampler= sets order and batches"),
        ({"batch_size": None, "drop_last": True}, "drop_last=True needs a batch_size"),
        ({"seed": 1, "generator": np.random.default_rng()}, "generator= and seed="),
    ],
)
def test_arguments_out_of_range(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        DataLoader(Numbers(3), **arguments)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_stream_may_turn_out_to_be_empty(num_workers):
    assert list(DataLoader(Stream(0), 2, num_workers=num_workers)) == []
    assert list(DataLoader(Stream(1), 2, drop_last=True, num_workers=num_workers)) == []


def test_streams_have_their_own_order():
    for arguments in ({"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}):
        with pytest.raises(ArgumentError, match="comes in its own order"):
            DataLoader(Stream(3), **arguments)


def test_no_dataset():
    with pytest.raises(DTypeError, match="int is no dataset"):
        DataLoader(3)
    with pytest.raises(DTypeError, match="generator is no dataset"):
        DataLoader(x for x in [1])


def test_pytorchs_other_arguments_are_accepted():
    loader = DataLoader(Numbers(2), 2, pin_memory=True, persistent_workers=True, prefetch_factor=None)
    assert lists(loader) == [[0, 1]]


# ---------------------------------------------------------------------- devices


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_pinned_for_a_gpu(workers, gpus):
    pair = collections.namedtuple("pair", "image label")

    class Mixed(Dataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return {"pair": pair(np.full(3, index, np.float32), index), "name": str(index)}

    for batch in DataLoader(Mixed(), 2, num_workers=workers, pin_memory=True):
        assert batch["pair"].image.is_pinned()
        assert batch["pair"].label.is_pinned()
        assert type(batch["pair"]) is pair
        assert isinstance(batch["name"][0], str)
        runtime.synchronizations.clear()
        moved = batch["pair"].image.to("gpu", non_blocking=True)
        assert not runtime.synchronizations
        assert minidl.equal(moved.cpu(), batch["pair"].image)
    x = TensorDataset(minidl.arange(4))
    assert all(batch[0].is_pinned() for batch in DataLoader(x, 2, num_workers=workers, pin_memory=True))
    assert not any(batch[0].is_pinned() for batch in DataLoader(x, 2, num_workers=workers))
    on_gpu = TensorDataset(minidl.arange(4, device="gpu"))
    assert [b[0].device for b in DataLoader(on_gpu, 2, num_workers=workers, pin_memory=True)] == ["gpu:0"] * 2


def test_a_gpu_trains_from_pinned_batches_without_waiting(gpus):
    x, y = np.ones((8, 3), np.float32), np.zeros((8, 1), np.float32)
    with minidl.device("cpu"):
        loader = DataLoader(TensorDataset(x, y), 4, pin_memory=True)
    model = minidl.nn.Linear(3, 1).to("gpu")
    trainer = Trainer(model, minidl.nn.MSELoss(), minidl.optim.SGD(model.parameters(), lr=0.1))
    trainer.fit(loader, epochs=1, verbose=0)
    assert "a blocking copy to the device" not in runtime.synchronizations
    assert model.weight.device == "gpu:0"


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_workers_make_batches_where_the_loop_would(workers, gpus):
    seen = set()
    with minidl.device("gpu:1"):
        made = list(DataLoader(Numbers(4, lambda index: seen.add(minidl.get_default_device())), 2, num_workers=workers))
    assert seen == {minidl.device("gpu:1")}
    assert [x.device for x in made] == ["cpu", "cpu"]  # NumPy's numbers are stacked where they are
    with minidl.device("gpu:1"):
        made = list(DataLoader(range(4), 2, num_workers=workers))
    assert [x.device for x in made] == ["gpu:1", "gpu:1"]
