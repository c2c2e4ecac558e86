"""The stand-in is as strict as CuPy: what CuPy lacks, refuses or leaves undefined does not pass here either."""

from __future__ import annotations

import copy
import gc
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tests import stand_in
from tests.stand_in import api, arrays, functions, runtime

cupy: Any = stand_in._installed["cupy"]
cupyx: Any = stand_in._installed["cupyx"]


@pytest.fixture(autouse=True)
def _counted() -> Iterator[None]:
    """Start from no synchronisation, and leave none behind."""
    before = runtime.synchronizations.copy()
    runtime.synchronizations.clear()
    yield
    runtime.synchronizations.clear()
    runtime.synchronizations.update(before)


@pytest.fixture
def a() -> Any:
    return cupy.asarray(np.arange(12, dtype="f4").reshape(3, 4))


HOST = np.ones(4, "f4")


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a + HOST,
        lambda a: HOST + a,
        lambda a: np.add(HOST, a),
        lambda a: a.__iadd__(HOST),
        lambda a: cupy.add(a, HOST),
        lambda a: cupy.add(a, [1, 2, 3, 4]),
        lambda a: cupy.maximum(a, HOST, out=a),
        lambda a: cupy.add(a, 1, out=HOST),
        lambda a: a @ HOST,
        lambda a: cupy.concatenate([a, HOST[None]]),
        lambda a: cupy.where(a > 1, a, HOST),
        lambda a: cupy.where(True, a, a),
        lambda a: cupy.sum(HOST),
        lambda a: cupy.take_along_axis(a, np.zeros((3, 1), int), 1),
        lambda a: a[np.array([0, 1])],
        lambda a: a[[0, 1]],
        lambda a: np.asarray(a),
        lambda a: np.array(a),
        lambda a: cupy.copyto(a, HOST),
        lambda a: cupy.add(1, 2),
        lambda a: a.set([1]),
    ],
)
def test_data_of_the_host_is_refused(a: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        call(a)


def test_a_host_array_cannot_be_assigned(a: Any) -> None:
    with pytest.raises(ValueError, match="non-scalar"):
        a[0] = HOST
    a[0] = np.float32(2)
    a[1] = 3
    assert a[:2, 0].tolist() == [2, 3]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda a: cupy.sum(a, where=a > 0), TypeError),
        (lambda a: a.max(initial=0), TypeError),
        (lambda a: cupy.exp(a, order="C"), TypeError),
        (lambda a: cupy.sum(a, 0, None, None, True, 1), TypeError),
        (lambda a: a.item(0), TypeError),
        (lambda a: a.astype("f8", casting="no", nosuch=1), TypeError),
        (lambda a: cupy.errstate, AttributeError),
        (lambda a: cupy.insert, AttributeError),
        (lambda a: cupy.block, AttributeError),
        (lambda a: cupy.nditer, AttributeError),
        (lambda a: cupy.linalg.nosuch, AttributeError),
        (lambda a: cupy.cuda.runtime.nosuch, AttributeError),
        (lambda a: a.ctypes, AttributeError),
        (lambda a: a.flags.writeable, AttributeError),
        (lambda a: a.setflags(write=False), AttributeError),
        (lambda a: cupy.random.default_rng(0).normal(), AttributeError),
        (lambda a: cupy.random.default_rng(0).shuffle(a), AttributeError),
        (lambda a: cupy.random.default_rng(0).random(3, dtype="f2"), TypeError),
        (lambda a: cupy.maximum.reduce(a), NotImplementedError),
        (lambda a: cupy.subtract.at(a, cupy.asarray([0]), 1.0), TypeError),
        (lambda a: cupy.multiply.at(a, cupy.asarray([0]), 1.0), NotImplementedError),
        (lambda a: cupy.bitwise_and(a, a), TypeError),
        (lambda a: a.base.base.base, AttributeError),
    ],
)
def test_what_cupy_lacks_is_refused(a: Any, call: Callable[[Any], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        call(a)


@pytest.mark.parametrize(
    "call",
    [
        lambda a: a.get(),
        lambda a: a.tolist(),
        lambda a: a[0, 0].item(),
        lambda a: float(a[0, 0]),
        lambda a: int(a[0, 0]),
        lambda a: bool(a.any()),
        lambda a: 3 in a,
        lambda a: [0, 1, 2][cupy.asarray(1)],
        lambda a: repr(a),
        lambda a: f"{a.sum():.2f}",
        lambda a: cupy.asnumpy(a),
        lambda a: cupy.nonzero(a),
        lambda a: cupy.where(a > 1),
        lambda a: cupy.unique(a),
        lambda a: cupy.bincount(cupy.asarray([1, 2])),
        lambda a: a[a > 3],
        lambda a: a.nonzero(),
        lambda a: cupy.cuda.Device(0).synchronize(),
        lambda a: cupy.cuda.Stream.null.synchronize(),
        lambda a: cupy.cuda.runtime.deviceSynchronize(),
    ],
)
def test_what_waits_for_the_device_is_counted_and_can_be_refused(a: Any, call: Callable[[Any], Any]) -> None:
    call(a)
    assert sum(stand_in.synchronizations.values()) == 1
    with cupyx.allow_synchronize(False), pytest.raises(cupyx.DeviceSynchronized):
        call(a)
    call(a)


def test_computing_waits_for_nothing(a: Any) -> None:
    with cupyx.allow_synchronize(False):
        b = (a @ a.T).sum(axis=1, keepdims=True) / 3
        b[b > 2] = 0
        b[cupy.asarray([0, 1])] += cupy.exp(b[:2])
        cupy.add.at(b, cupy.asarray([0, 0]), 1.0)
        copy.deepcopy(b).astype("f8").reshape(-1)
        cupy.where(b > 0, b, 0.0)
    assert not stand_in.synchronizations


def test_memory_that_nobody_wrote_is_poisoned(a: Any) -> None:
    for array in (cupy.empty((2, 2), "f4"), cupy.empty_like(a), cupy.ndarray((3,), "f8")):
        assert np.isnan(array.get()).all()
    assert (cupy.empty(3, "i4").get() == np.iinfo("i4").max).all()
    assert not cupy.zeros(3).get().any()


def test_results_are_cupys_where_numpys_differ(a: Any) -> None:
    assert isinstance(a.sum(), cupy.ndarray)
    assert isinstance(a[0, 0], cupy.ndarray)
    assert a.sum().shape == a[0, 0].shape == ()
    assert (a.T + 1).flags.c_contiguous  # NumPy keeps the order of the operand
    assert cupy.asarray(HOST).get() is not HOST
    assert a[cupy.asarray([3, -4])].get()[:, 0].tolist() == [0, 8]  # an index wraps around
    assert cupy.take(a, cupy.asarray([12])).tolist() == [0]
    x = cupy.zeros(2)
    assert (1 / x).tolist() == [np.inf, np.inf]  # and nothing warns
    a[0, 0] += 5  # a view of one element, not a copy of it
    assert a[0, 0].item() == 5


def test_writing_twice_to_one_place_is_refused(a: Any) -> None:
    twice = cupy.asarray([0, 0])
    a[twice] = 1.0  # one value
    with pytest.raises(ValueError, match="duplicate"):
        a[twice] = cupy.ones((2, 4), "f4")
    with pytest.raises(ValueError, match="read-only"):
        cupy.broadcast_to(a[0], (3, 4))[...] = 0


def test_a_view_knows_its_base(a: Any) -> None:
    assert a.base is None
    assert a.flags.owndata
    assert a.T.base is a[1:].base is a.reshape(-1).base is cupy.broadcast_to(a, (2, 3, 4)).base is a
    assert a[1:][1:].base is a
    assert (a + 1).base is a.copy().base is a[cupy.asarray([0])].base is None
    assert cupy.lib.stride_tricks.as_strided(a, (2,), (4,)).base is None  # CuPy's has none
    assert cupy.may_share_memory(a, cupy.lib.stride_tricks.as_strided(a, (2,), (4,)))


def test_memory_is_counted() -> None:
    gc.collect()
    pool = cupy.get_default_memory_pool()
    before = pool.used_bytes()
    x = cupy.zeros(1000, "f4")
    view = x[1:]
    assert pool.used_bytes() - before == 4096  # CuPy hands out blocks of 512 bytes
    del x
    assert pool.used_bytes() - before == 4096
    del view
    assert pool.used_bytes() == before
    pool.free_all_blocks()
    assert pool.total_bytes() == pool.used_bytes()


def test_an_array_of_another_device_is_refused(a: Any) -> None:
    with cupy.cuda.Device(1):
        b = cupy.ones((3, 4), "f4")
        assert b.device.id == 1
        with pytest.raises(ValueError, match="array device = 0 while current = 1"):
            a + b
    with pytest.raises(ValueError, match="array device = 1 while current = 0"):
        b.sum()
    with pytest.raises(RuntimeError, match="invalid device ordinal"):
        cupy.cuda.Device(2)


def parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters) - {"self"}


def taken(owner: str, name: str) -> set[str]:
    """Return the parameters of CuPy's."""
    return {parameter.lstrip("*") for parameter in api.entry(owner, name)} - {""}


@pytest.mark.parametrize("name", sorted(functions.OWN))
def test_own_functions_take_what_cupys_take(name: str) -> None:
    assert parameters(functions.OWN[name]) == taken("cupy", name)


@pytest.mark.parametrize(
    ("owner", "kind"),
    [
        ("cupy.ndarray", arrays.ndarray),
        ("cupy.cuda.Device", runtime.Device),
        ("cupy.cuda.Event", runtime.Event),
        ("cupy.cuda.MemoryPool", runtime.MemoryPool),
        ("cupy.cuda.PinnedMemoryPool", runtime.PinnedMemoryPool),
        ("cupy.cuda.Stream", runtime.Stream),
    ],
)
def test_own_classes_have_what_cupys_have(owner: str, kind: type) -> None:
    for name, value in vars(kind).items():
        if name.startswith("_"):
            continue
        api.entry(owner, name)
        if inspect.isfunction(value) and value.__qualname__.startswith(kind.__name__):  # written out, not made
            assert parameters(value) == taken(owner, name), name


def test_modules_have_what_cupys_have() -> None:
    for module, names in {"cupy.cuda": runtime.CUDA, "cupy.cuda.runtime": runtime.RUNTIME}.items():
        for name in names:
            api.entry(module, name)
