"""The compiled LSTM against the reference: shapes, layouts, directions, extremes, threads, margins, precision."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("numba")

from minidl.kernels import reference
from minidl.kernels.cpu import recurrent, threads

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    monkeypatch.setattr(recurrent, "LEAST", 1)
    yield
    threads.set_num_threads(before)


class Case:
    """The arrays of one layer, and of the gradients that reach it."""

    def __init__(
        self, steps: int, batch: int, features: int, units: int, dtype: str = "f4", reverse: bool = False,
        bias: bool = True,
    ) -> None:  # fmt: skip
        T, N, D, U = steps, batch, features, units
        shapes = {
            "x": (T, N, D), "h": (N, U), "c": (N, U), "weight_ih": (4 * U, D), "weight_hh": (4 * U, U),
            "bias": (4 * U,), "grad_output": (T, N, U), "grad_h": (N, U), "grad_c": (N, U),
        }  # fmt: skip
        self.arrays = {name: (RNG.standard_normal(shape) / 2).astype(dtype) for name, shape in shapes.items()}
        self.arrays["weight_hh"] /= np.sqrt(max(U, 1)).astype(dtype)
        self.bias, self.reverse, self.transposed = bias, reverse, False

    def results(self, module: Any = recurrent) -> list[np.ndarray]:
        """Return all that the three kernels compute."""
        of = self.arrays
        bias = of["bias"] if self.bias else None
        forward = module.lstm(of["x"], of["h"], of["c"], of["weight_ih"], of["weight_hh"], bias, self.reverse)
        output, _, _, gates, cells = forward
        back = module.lstm_grad(
            of["grad_output"], of["grad_h"], of["grad_c"], of["c"], of["weight_hh"], gates, cells, self.reverse
        )
        return [
            *forward,
            *back,
            *module.lstm_weight_grads(back[0], of["x"], of["h"], output, self.reverse, self.transposed),
        ]

    def check(self) -> None:
        for got, expected in zip(self.results(), self.results(reference), strict=True):
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
            with np.errstate(all="ignore"):
                scale = float(abs(expected[np.isfinite(expected)]).max(initial=1))
            limit = (1e-5 if got.dtype == np.float32 else 1e-13) * scale
            np.testing.assert_allclose(got, expected, rtol=1e-4 if got.dtype == np.float32 else 1e-11, atol=limit)


CASES = {
    "one unit": (1, 1, 1, 1),
    "document 000": (28, 32, 28, 128),
    "primes": (5, 13, 7, 11),
    "one step": (1, 6, 5, 20),
    "one sequence": (9, 1, 3, 33),
    "no features": (4, 3, 0, 17),
    "no steps": (0, 3, 2, 5),
    "no sequences": (3, 0, 2, 5),
    "more sequences than a block": (3, 131, 5, 9),
    "whole tiles": (3, 16, 16, 48),
    "weight_ih beyond the cache": (3, 5, 500, 140),
}
every_case = pytest.mark.parametrize("named", CASES)
both_types = pytest.mark.parametrize("dtype", ["f4", "f8"])
both_ways = pytest.mark.parametrize("reverse", [False, True])


def test_weights_lie_transposed_and_so_do_their_gradients() -> None:
    case = Case(4, 9, 5, 17)
    expected = case.results()
    case.transposed = True
    for module in (recurrent, reference):
        results = case.results(module)
        assert all(grad.T.flags.c_contiguous for grad in results[-3:-1])
    for got, result in zip(case.results(), expected, strict=True):
        np.testing.assert_array_equal(got, result)
    case.check()


@both_ways
@both_types
@every_case
def test_matches_the_reference(named: str, dtype: str, reverse: bool) -> None:
    Case(*CASES[named], dtype, reverse).check()


@settings(max_examples=80, deadline=None)
@given(
    st.integers(1, 6), st.integers(1, 40), st.integers(0, 40), st.integers(1, 70), st.sampled_from(["f4", "f8"]),
    st.booleans(), st.booleans(), st.integers(1, 4),
)  # fmt: skip
def test_matches_the_reference_on_random_shapes(
    steps: int, batch: int, features: int, units: int, dtype: str, reverse: bool, bias: bool, count: int
) -> None:
    threads.set_num_threads(count)
    Case(steps, batch, features, units, dtype, reverse, bias).check()


def relayouts(a: np.ndarray) -> list[np.ndarray]:
    """Return ``a`` in Fortran order, reversed in memory, with gaps of NaN, and with its first axes exchanged."""
    gaps = np.full([2 * n for n in a.shape], np.nan, a.dtype)
    spaced = gaps[(slice(None, None, 2),) * a.ndim]
    spaced[...] = a
    flip = (slice(None, None, -1),) * a.ndim
    exchanged = np.swapaxes(np.ascontiguousarray(np.swapaxes(a, 0, -1)), 0, -1)
    return [np.asfortranarray(a), np.ascontiguousarray(a[flip])[flip], spaced, exchanged]


@pytest.mark.parametrize("named", ["primes", "weight_ih beyond the cache"])
def test_reads_any_strides(named: str) -> None:
    case = Case(*CASES[named])
    expected = case.results()
    layouts = {name: relayouts(array) for name, array in case.arrays.items()}
    for number in range(4):
        case.arrays = {name: arrays[number] for name, arrays in layouts.items()}
        for got, result in zip(case.results(), expected, strict=True):
            assert got.tobytes() == result.tobytes()


@both_ways
@every_case
def test_same_bits_on_any_number_of_threads(named: str, reverse: bool) -> None:
    case = Case(*CASES[named], reverse=reverse)
    expected = case.results()
    for count in (1, 3):
        threads.set_num_threads(count)
        for got, result in zip(case.results(), expected, strict=True):
            assert got.tobytes() == result.tobytes()


def test_from_several_python_threads_at_once() -> None:
    cases = [Case(6, 9, 5, 20 + k) for k in range(4)]
    expected = [case.results() for case in cases]
    wrong = []

    def work(k: int) -> None:
        for _ in range(20):
            for got, result in zip(cases[k].results(), expected[k], strict=True):
                if got.tobytes() != result.tobytes():
                    wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


def functions(z: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
    """Return the gates i, f, g, o and the state h, c of layers of one unit whose gates' inputs are all ``z``."""
    ones, zeros = np.ones((4, 1), z.dtype), np.zeros((4, 1), z.dtype)
    output, _, _, gates, cells = recurrent.lstm(
        z.reshape(1, -1, 1), np.zeros((len(z), 1), z.dtype), c.reshape(-1, 1), ones, zeros, None, False
    )
    return [*np.moveaxis(gates[0], -1, 0), output[0, :, 0], cells[0, :, 0]]


def everywhere(dtype: str) -> np.ndarray:
    """Return numbers of all magnitudes, both signs, dense where the functions bend."""
    info = np.finfo(dtype)
    magnitudes = np.exp(np.linspace(np.log(float(info.tiny)), np.log(float(info.max)), 20_000))
    dense = np.linspace(0, 40, 40_000)
    edges = np.array([0, info.smallest_subnormal, info.tiny, info.max, 86, 87, 87.33, 88, 88.4, 88.72, 88.8, 89, 104,
                      708, 709, 709.7, 709.9, 710, 745, 746, np.log(2) / 2, np.log(2) / 4])  # fmt: skip
    numbers = np.concatenate([magnitudes, dense, edges]).astype(dtype)
    return np.concatenate([numbers, -numbers])


@both_types
def test_functions_are_precise_over_the_whole_range(dtype: str) -> None:
    z = everywhere(dtype)
    i, f, g, o, _, _ = functions(z, np.zeros_like(z))
    assert i.tobytes() == f.tobytes() == o.tobytes()
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        wide = z.astype(np.longdouble)
        for got, exact in ((i, 1 / (1 + np.exp(-wide))), (g, np.tanh(wide))):
            unit = np.maximum(np.spacing(abs(exact).astype(dtype)), info.smallest_subnormal).astype(np.longdouble)
            error = abs(got.astype(np.longdouble) - exact) / unit
            normal = abs(exact) >= float(info.tiny) * 4 if got is i else abs(exact) >= 0
            assert float(error[normal].max()) < 2.6
            assert (abs(got - exact)[~normal] <= info.tiny).all()  # there, all bits may be lost
    assert (np.sign(g) == np.sign(z)).all()
    assert ((i >= 0) & (i <= 1) & (abs(g) <= 1)).all()


@both_types
def test_functions_at_infinity_and_nan(dtype: str) -> None:
    z = np.array([np.inf, -np.inf, np.nan, 0.0], dtype)
    i, _, g, _, h, c = functions(z, np.ones_like(z))
    np.testing.assert_array_equal(i, [1, 0, np.nan, 0.5])
    np.testing.assert_array_equal(g, [1, -1, np.nan, 0])
    np.testing.assert_allclose(c, [2, 0, np.nan, 0.5])
    np.testing.assert_allclose(h, [np.tanh(2), 0, np.nan, np.tanh(0.5) / 2], rtol=1e-6)


@both_ways
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
def test_nan_infinity_and_huge_numbers_pass_through(reverse: bool) -> None:
    for number in (np.nan, np.inf, -np.inf, 3e38):
        case = Case(4, 5, 3, 18, reverse=reverse)
        case.arrays["x"][2, 1, 0] = number
        case.check()
        outputs = case.results()
        before, after = (outputs[0][3:], outputs[0][:3]) if reverse else (outputs[0][:2], outputs[0][2:])
        assert np.isfinite(before).all()
        assert np.isfinite(np.delete(outputs[0], 1, axis=1)).all()  # the other sequences
        assert np.isnan(after[:, 1]).any() == np.isnan(number)
        case = Case(4, 5, 3, 18, reverse=reverse)
        case.arrays["grad_output"][1, 3, 7] = number
        case.check()
        assert np.isfinite(np.delete(case.results()[5], 3, axis=1)).all()


class Guarded:
    """NumPy, whose ``empty`` returns arrays inside larger ones: their margins must stay as they are."""

    MARGIN, POISON = 1024, 1e30

    def __init__(self) -> None:
        self.buffers: list[np.ndarray] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: Any, dtype: Any) -> np.ndarray:
        count = int(np.prod(shape))
        self.buffers.append(np.full(count + 2 * self.MARGIN, self.POISON, dtype))
        return self.buffers[-1][self.MARGIN : self.MARGIN + count].reshape(shape)

    def array(self, values: Any, dtype: Any = None, order: str = "K") -> np.ndarray:
        copy = np.array(values, dtype)
        if copy.dtype.kind != "f":
            return copy
        result = self.empty(copy.shape, copy.dtype)
        result[...] = copy
        return result

    def intact(self) -> bool:
        margins = [(buffer[: self.MARGIN], buffer[-self.MARGIN :]) for buffer in self.buffers]
        return all((margin == margin[:1]).all() for pair in margins for margin in pair)


@both_ways
@both_types
@every_case
def test_writes_nothing_outside_its_arrays(
    named: str, dtype: str, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(*CASES[named], dtype, reverse)
    expected = case.results()
    guarded = Guarded()
    monkeypatch.setattr(recurrent, "np", guarded)
    monkeypatch.setattr(recurrent, "scratch", guarded.empty)
    case.arrays = {name: guarded.array(array) for name, array in case.arrays.items()}
    for got, result in zip(case.results(), expected, strict=True):
        assert got.tobytes() == result.tobytes()  # and nothing that was read outside counts
    assert len(guarded.buffers) >= len(case.arrays)
    assert guarded.intact()


@both_ways
@every_case
def test_matches_pytorch(named: str, reverse: bool) -> None:
    torch = pytest.importorskip("torch")
    case = Case(*CASES[named], reverse=reverse)
    of = {name: torch.tensor(array, requires_grad=True) for name, array in case.arrays.items()}
    if 0 in of["x"].shape:
        pytest.skip("PyTorch takes no empty sequences")
    order = [0] if reverse else []
    weights = [of["weight_ih"], of["weight_hh"], of["bias"], torch.zeros_like(of["bias"])]
    output, h, c = torch.lstm(
        of["x"].flip(order), (of["h"][None], of["c"][None]), weights, True, 1, 0.0, False, False, False
    )
    output = output.flip(order)
    ends = (output, h[0], c[0])
    torch.autograd.backward(ends, [of[name].detach() for name in ("grad_output", "grad_h", "grad_c")])
    wanted = [*ends, *(of[name].grad for name in ("h", "c", "weight_ih", "weight_hh", "bias"))]
    results = case.results()
    for got, expected in zip([*results[:3], *results[6:]], wanted, strict=True):
        array = expected.detach().numpy()
        np.testing.assert_allclose(got, array, rtol=1e-4, atol=2e-5 * float(abs(array).max(initial=1)))
