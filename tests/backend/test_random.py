from __future__ import annotations

import copy
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minidl
from minidl import backend, kernels
from minidl.errors import DeviceError, StateError
from tests.stand_in import runtime


def test_one_seed_serves_all_devices(gpus: None) -> None:
    def draws() -> list[list[float]]:
        return [minidl.randn(5, device=device).tolist() for device in ("cpu", "gpu:0", "gpu:1")]

    minidl.manual_seed(3)
    first, second = draws(), draws()
    assert first != second
    minidl.manual_seed(3)
    assert [draws(), draws()] == [first, second]
    minidl.gpu.manual_seed_all(4)
    assert draws() != first


@pytest.mark.parametrize("seed", [0, 2**32, 2**64 - 1, 2**64, 10**30])
def test_any_seed_will_do(seed: int, gpus: None) -> None:
    minidl.manual_seed(seed)
    x = minidl.rand(3, device="gpu")
    assert minidl.equal(x, minidl.rand(3, device="gpu", generator=minidl.Generator("gpu").manual_seed(seed)))
    assert 0 <= minidl.gpu.initial_seed() < 2**64


def test_states_of_gpus_are_saved_and_restored_without_waiting(gpus: None) -> None:
    minidl.randn(7, device="gpu:1")
    runtime.synchronizations.clear()
    states = minidl.gpu.get_rng_state_all()
    everything = json.loads(json.dumps(backend.rng_states()))
    first = [minidl.randn(3, device=device) for device in ("gpu:0", "gpu:1", "cpu")]
    assert not runtime.synchronizations
    minidl.gpu.set_rng_state_all(states)
    assert [x.tolist() for x in first[:2]] == [minidl.randn(3, device=i).tolist() for i in (0, 1)]
    minidl.manual_seed(99)
    backend.set_rng_states(everything)
    assert [x.tolist() for x in first] == [minidl.randn(3, device=x.device).tolist() for x in first]
    one = minidl.gpu.get_rng_state("gpu:1")
    x = minidl.rand(2, device="gpu:1")
    minidl.cuda.set_rng_state(one, "cuda:1")
    assert minidl.equal(x, minidl.rand(2, device="gpu:1"))
    with pytest.raises(StateError, match="the random state of a GPU has a seed and an offset"):
        minidl.gpu.set_rng_state(minidl.get_rng_state())


def test_states_hold_the_gpus_only_once_one_is_used() -> None:
    assert set(backend.rng_states()) == {"cpu"} or backend.gpu_in_use()


def test_a_generator_of_a_gpu(gpus: None) -> None:
    generator = minidl.Generator(device="gpu:1")
    assert (generator.device, minidl.Generator().device) == ("gpu:1", "cpu")
    shared = minidl.gpu.get_rng_state(1)
    generator.manual_seed(5)
    copies = [copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))]
    x = minidl.rand(3, device="gpu:1", generator=generator)
    assert minidl.gpu.get_rng_state(1) == shared
    assert generator.get_state() == {"seed": 5, "offset": 1}
    for other in copies:
        assert minidl.equal(x, minidl.rand(3, device="gpu:1", generator=other))
    for place in ("cpu", "gpu:0"):
        with pytest.raises(DeviceError, match=f"the generator draws on gpu:1, the tensor is to be on {place}"):
            minidl.rand(3, device=place, generator=generator)
    a = minidl.rand(3, device="gpu:1", generator=minidl.Generator().manual_seed(1))
    assert minidl.equal(a.cpu(), minidl.rand(3, generator=minidl.Generator().manual_seed(1)))
    assert pickle.loads(pickle.dumps(minidl.Generator().manual_seed(1))).random() == np.random.default_rng(1).random()


def test_no_two_draws_use_one_counter(gpus: None) -> None:
    place = minidl.device("gpu")
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda count: (backend.philox_state(place, count)[1], count), [3] * 400))
    assert sorted(offset for offset, _ in taken) == list(range(0, 1200, 3))
    for shape, dtype, counters in [
        ((5,), "float32", 2),
        ((5,), "float64", 3),
        ((), "float32", 1),
        ((0, 3), "float32", 0),
    ]:
        before = minidl.gpu.get_rng_state()["offset"]
        assert minidl.rand(shape, dtype=dtype, device="gpu").shape == shape
        assert minidl.gpu.get_rng_state()["offset"] - before == counters


def test_the_sequence_does_not_depend_on_how_it_is_drawn(gpus: None) -> None:
    minidl.manual_seed(1)
    whole = minidl.rand(12, device="gpu").tolist()
    minidl.manual_seed(1)
    assert minidl.rand(4, device="gpu").tolist() + minidl.rand(2, 4, device="gpu").reshape(-1).tolist() == whole


def test_random_words_are_random123s() -> None:
    """Its known answers for Philox4x32-10: J. Salmon et al., Random123's kat_vectors."""
    words = kernels.random_words(np, 1, 0, 0)
    assert [f"{word:08x}" for word in words] == ["6627e8d5", "e169c58d", "bc57ac4c", "9b00dbd8"]
    words = kernels.random_words(np, 1, 2**64 - 1, 2**64 - 1, 2**64 - 1)
    assert [f"{word:08x}" for word in words] == ["408f276d", "41c83b0e", "a20bc7c6", "6d5451fd"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_numbers(dtype: str, gpus: None) -> None:
    x = minidl.rand(20001, dtype=dtype, device="gpu").numpy()
    assert x.dtype == dtype
    assert 0 <= x.min() < x.max() < 1
    np.testing.assert_allclose(np.histogram(x, 10, (0, 1))[0] / len(x), 0.1, atol=0.01)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.03
    most = np.full(4, 2**32 - 1, np.uint32)
    assert kernels.uniform(most, np.dtype(dtype)).max() == 1 - np.finfo(dtype).epsneg
    assert kernels.uniform(0 * most, np.dtype(dtype)).min() == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_numbers(dtype: str, gpus: None) -> None:
    x = minidl.randn(30001, dtype=dtype, device="gpu").numpy()
    assert x.dtype == dtype
    moments = [np.mean(x**n) for n in range(1, 5)]
    np.testing.assert_allclose(moments, [0, 1, 0, 3], atol=0.12)
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.03
    words = np.array([0, 0, 2**32 - 1, 2**32 - 1], np.uint32)
    assert np.isfinite(kernels.normal(words, np.dtype(dtype))).all()


def test_integers(gpus: None) -> None:
    x = minidl.randint(-2, 3, (20000,), device="gpu").numpy()
    np.testing.assert_allclose(np.bincount(x + 2) / len(x), 0.2, atol=0.02)
    assert minidl.randint(0, 2, (5,), dtype="uint8", device="gpu").dtype == np.uint8
    wide = minidl.randint(-(2**63), 2**63, (2000,), device="gpu").numpy()
    assert wide.min() < -(2**62)
    assert wide.max() > 2**62
    assert (minidl.randint(2**62, 2**62 + 2, (50,), device="gpu").numpy() >= 2**62).all()
    assert sorted(minidl.randperm(50, device="gpu").tolist()) == list(range(50))


def test_both_kernels_give_the_same_words(gpus: None) -> None:
    for counters, seed, offset in [(1, 0, 0), (7, 2**64 - 1, 2**64 - 3), (300, 12345, 2**33)]:
        expected = kernels.reference.random_words(np, counters, seed, offset)
        found = kernels.random_words(backend.cupy(), counters, seed, offset)
        np.testing.assert_array_equal(found.get(), expected)


def test_a_checkpointed_region_drops_the_same_elements_again_on_a_gpu(gpus: None) -> None:
    x = minidl.ones(64, device="gpu:1", requires_grad=True)
    y = minidl.checkpoint(lambda x: minidl.dropout(x * 1.0, 0.5) ** 2, x)
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 2 * y.numpy(force=True))
