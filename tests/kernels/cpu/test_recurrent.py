"""Compiled recurrent layers against the reference: cells, shapes, layouts, masks, extremes, threads, margins."""

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
from minidl.kernels.cpu import recurrent, recurrent_weights, threads

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Cut even the smallest work in two."""
    before = threads.get_num_threads()
    threads.set_num_threads(2)
    monkeypatch.setattr(recurrent, "LEAST", 1)
    monkeypatch.setattr(recurrent_weights, "LEAST", 1)
    yield
    threads.set_num_threads(before)


CELLS = {"lstm": 4, "gru": 3, "tanh": 1, "relu": 1}


class Case:
    """The arrays of one layer, and of the gradients that reach it."""

    def __init__(
        self, cell: str, steps: int, batch: int, features: int, units: int, dtype: str = "f4", reverse: bool = False,
        bias: bool = True, masked: bool = False,
    ) -> None:  # fmt: skip
        T, N, D, U, G = steps, batch, features, units, CELLS[cell] * units
        shapes = {
            "x": (T, N, D), "h": (N, U), "c": (N, U), "weight_ih": (G, D), "weight_hh": (G, U), "bias_ih": (G,),
            "bias_hh": (G,), "grad_output": (T, N, U), "grad_h": (N, U), "grad_c": (N, U),
        }  # fmt: skip
        self.arrays = {name: (RNG.standard_normal(shape) / 2).astype(dtype) for name, shape in shapes.items()}
        self.arrays["weight_hh"] /= np.sqrt(max(U, 1)).astype(dtype)
        self.arrays["weight_ih"] /= np.sqrt(max(D, 1)).astype(dtype)
        self.mask = RNG.random((T, N)) < 0.6 if masked else None
        self.cell, self.bias, self.reverse, self.transposed = cell, bias, reverse, False

    def results(self, module: Any = recurrent) -> dict[str, np.ndarray]:
        """Return all that the three kernels compute, as far as it is defined, by name."""
        of = dict(self.arrays)
        if not self.bias:
            of["bias_ih"] = of["bias_hh"] = None
        if self.cell != "lstm":
            of["c"] = of["grad_c"] = None
        how = self.mask, self.reverse, self.cell
        states, cells, gates = module.recurrent_forward(
            of["x"], of["h"], of["c"], of["weight_ih"], of["weight_hh"], of["bias_ih"], of["bias_hh"], *how
        )
        grad_gates, grad_h, grad_c = module.recurrent_backward(
            of["grad_output"], of["grad_h"], of["grad_c"], of["weight_hh"], states, cells, gates, *how
        )
        grads = module.recurrent_weight_grads(
            grad_gates, of["x"], states, self.reverse, self.transposed, self.cell
        )  # fmt: skip
        weights = recurrent_weights if module is recurrent else reference
        grad_x = weights.recurrent_input_grad(grad_gates, of["weight_ih"], self.cell)
        names = [
            "states",
            "cells",
            "grad_gates",
            "grad_x",
            "grad_h",
            "grad_c",
            "weight_ih",
            "weight_hh",
            "bias_ih",
            "bias_hh",
        ]
        arrays = states, cells, grad_gates, grad_x, grad_h, grad_c, *grads
        found = dict(zip(names, arrays, strict=True))
        assert [name for name, array in found.items() if array is None] == ["cells", "grad_c"] * (self.cell != "lstm")
        return {name: array for name, array in found.items() if array is not None}

    def check(self) -> None:
        wanted = self.results(reference)
        for name, got in self.results().items():
            expected = wanted[name]
            assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
            with np.errstate(all="ignore"):
                scale = float(abs(expected[np.isfinite(expected)]).max(initial=1))
            limit = (1e-5 if got.dtype == np.float32 else 1e-13) * scale
            rtol = 1e-4 if got.dtype == np.float32 else 1e-11
            np.testing.assert_allclose(got, expected, rtol=rtol, atol=limit, err_msg=name)


def same_bits(got: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> bool:
    return all(got[name].tobytes() == array.tobytes() for name, array in expected.items())


SIZES = {
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
every_size = pytest.mark.parametrize("named", SIZES)
every_cell = pytest.mark.parametrize("cell", CELLS)
both_types = pytest.mark.parametrize("dtype", ["f4", "f8"])
both_ways = pytest.mark.parametrize("reverse", [False, True])
masked_or_not = pytest.mark.parametrize("masked", [False, True])


@every_cell
def test_weights_lie_transposed_and_so_do_their_gradients(cell: str) -> None:
    case = Case(cell, 4, 9, 5, 17)
    expected = case.results()
    case.transposed = True
    for module in (recurrent, reference):
        results = case.results(module)
        assert results["weight_hh"].T.flags.c_contiguous
        assert cell == "gru" or results["weight_ih"].T.flags.c_contiguous
    assert all((case.results()[name] == array).all() for name, array in expected.items())
    case.check()


@masked_or_not
@both_ways
@every_size
@every_cell
def test_matches_the_reference(cell: str, named: str, reverse: bool, masked: bool) -> None:
    Case(cell, *SIZES[named], "f8" if masked == reverse else "f4", reverse, masked=masked).check()


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(list(CELLS)), st.integers(1, 6), st.integers(1, 60), st.integers(0, 40), st.integers(1, 70),
    st.sampled_from(["f4", "f8"]), st.booleans(), st.booleans(), st.booleans(), st.integers(1, 4),
)  # fmt: skip
def test_matches_the_reference_on_random_shapes(
    cell: str, steps: int, batch: int, features: int, units: int, dtype: str, reverse: bool, bias: bool, masked: bool,
    count: int,
) -> None:  # fmt: skip
    threads.set_num_threads(count)
    Case(cell, steps, batch, features, units, dtype, reverse, bias, masked).check()


def relayouts(a: np.ndarray) -> list[np.ndarray]:
    """Return ``a`` in Fortran order, reversed in memory, with gaps of NaN, batch first, and not to be written to."""
    gaps = np.full([2 * n for n in a.shape], np.nan, a.dtype)
    spaced = gaps[(slice(None, None, 2),) * a.ndim]
    spaced[...] = a
    flip = (slice(None, None, -1),) * a.ndim
    exchanged = np.ascontiguousarray(np.swapaxes(a, 0, a.ndim // 2)).swapaxes(0, a.ndim // 2)  # batch first
    fixed = a.copy()
    fixed.flags.writeable = False
    return [np.asfortranarray(a), np.ascontiguousarray(a[flip])[flip], spaced, exchanged, fixed]


@every_cell
@pytest.mark.parametrize("named", ["primes", "weight_ih beyond the cache"])
def test_reads_any_strides(named: str, cell: str) -> None:
    case = Case(cell, *SIZES[named])
    expected = case.results()
    layouts = {name: relayouts(array) for name, array in case.arrays.items()}
    for number in range(5):
        case.arrays = {name: arrays[number] for name, arrays in layouts.items()}
        for name, array in case.results().items():
            assert array.tobytes() == expected[name].tobytes(), name


@masked_or_not
@every_size
@every_cell
def test_same_bits_on_any_number_of_threads(cell: str, named: str, masked: bool) -> None:
    case = Case(cell, *SIZES[named], masked=masked)
    expected = case.results()
    for count in (1, 3):
        threads.set_num_threads(count)
        assert same_bits(case.results(), expected)


def test_from_several_python_threads_at_once() -> None:
    cases = [Case(cell, 6, 9, 5, 20 + k) for k, cell in enumerate(CELLS)]
    expected = [case.results() for case in cases]
    wrong = []

    def work(k: int) -> None:
        for _ in range(20):
            if not same_bits(cases[k].results(), expected[k]):
                wrong.append(k)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@both_ways
@every_cell
def test_what_is_masked_is_not_read(cell: str, reverse: bool) -> None:
    case = Case(cell, 5, 21, 6, 19, reverse=reverse, masked=True)
    expected = case.results()
    case.arrays["x"][~case.mask] = np.nan
    got = case.results()
    for name in ("states", "grad_gates", "grad_h"):
        np.testing.assert_array_equal(got[name], expected[name])


def test_walks_have_names_of_their_own() -> None:
    """Else the one of a cell would run in place of another's when both are loaded from the cache."""
    walks = [value for name, value in vars(recurrent).items() if name.startswith("walk_")]
    assert len(walks) == 2 * len(CELLS)
    assert len({walk.py_func.__qualname__ for walk in walks}) == len(walks)


def functions(z: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
    """Return the gates i, f, g, o and the state h, c of layers of one unit whose gates' inputs are all ``z``."""
    ones, zeros = np.ones((4, 1), z.dtype), np.zeros((4, 1), z.dtype)
    states, cells, gates = recurrent.recurrent_forward(
        z.reshape(1, -1, 1), zeros[:1].repeat(len(z), 0), c.reshape(-1, 1), ones, zeros, None, None, None, False, "lstm"
    )
    return [*np.moveaxis(gates[0], -1, 0), states[1, :, 0], cells[1, :, 0]]


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
@every_cell
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning", "ignore:overflow:RuntimeWarning")
def test_nan_infinity_and_huge_numbers_pass_through(cell: str, reverse: bool) -> None:
    for number in (np.nan, np.inf, -np.inf, 3e38):
        case = Case(cell, 4, 5, 3, 18, reverse=reverse)
        case.arrays["x"][2, 1, 0] = number
        if cell != "relu":  # infinities cancel in another order
            case.check()
        states = case.results()["states"]
        before, after = (states[3:], states[:3]) if reverse else (states[:3], states[3:])
        assert np.isfinite(before).all()
        assert np.isfinite(np.delete(states, 1, axis=1)).all()  # the other sequences
        if np.isnan(number) or cell != "relu":
            assert np.isnan(after[:, 1]).any() == np.isnan(number)
        case = Case(cell, 4, 5, 3, 18, reverse=reverse)
        case.arrays["grad_output"][1, 3, 7] = number
        if cell != "relu":
            case.check()
        assert np.isfinite(np.delete(case.results()["grad_gates"], 3, axis=1)).all()


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
@every_size
@every_cell
def test_writes_nothing_outside_its_arrays(
    cell: str, named: str, dtype: str, reverse: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = Case(cell, *SIZES[named], dtype, reverse, masked=reverse)
    expected = case.results()
    guarded = Guarded()
    for module in (recurrent, recurrent_weights):
        monkeypatch.setattr(module, "np", guarded)
        monkeypatch.setattr(module, "scratch", guarded.empty)
    case.arrays = {name: guarded.array(array) for name, array in case.arrays.items()}
    assert same_bits(case.results(), expected)  # and nothing that was read outside counts
    assert len(guarded.buffers) >= len(case.arrays)
    assert guarded.intact()


@both_ways
@every_size
@every_cell
def test_matches_pytorch(cell: str, named: str, reverse: bool) -> None:
    torch = pytest.importorskip("torch")
    case = Case(cell, *SIZES[named], reverse=reverse)
    of = {name: torch.tensor(array, requires_grad=True) for name, array in case.arrays.items()}
    if 0 in of["x"].shape:
        pytest.skip("PyTorch takes no empty sequences")
    order = [0] if reverse else []
    weights = [of[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    layer = {"lstm": torch.lstm, "gru": torch.gru, "tanh": torch.rnn_tanh, "relu": torch.rnn_relu}[cell]
    start = (of["h"][None], of["c"][None]) if cell == "lstm" else of["h"][None]
    output, *ends = layer(of["x"].flip(order), start, weights, True, 1, 0.0, False, False, False)
    output = output.flip(order)
    names = ["h", "c"] if cell == "lstm" else ["h"]
    torch.autograd.backward((output, *(end[0] for end in ends)), [of[f"grad_{n}"] for n in ("output", *names)])
    got = case.results()
    states = got["states"]
    pairs = [(states[:-1] if reverse else states[1:], output)]
    pairs += [(got[f"grad_{name}"], of[name].grad) for name in names]
    pairs += [(got["grad_x"], of["x"].grad)]
    pairs += [(got[name], of[name].grad) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    for mine, theirs in pairs:
        array = theirs.detach().numpy()
        np.testing.assert_allclose(mine, array, rtol=1e-4, atol=2e-5 * float(abs(array).max(initial=1)))


@pytest.mark.parametrize("cell", CELLS)
def test_a_gradient_that_vanishes_becomes_zero(cell: str) -> None:
    """And is no denormal number on the way, on which a CPU needs a hundred cycles an operation."""
    case = Case(cell, steps=300, batch=3, features=4, units=20)
    case.arrays["grad_output"][:-1] = 0
    case.arrays["bias_ih"] -= 1  # gates are rather closed, so that little of a gradient passes
    case.arrays["weight_hh"] /= 4
    of = case.arrays | ({} if cell == "lstm" else {"c": None, "grad_c": None})
    names = ("x", "h", "c", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
    states, cells, gates = recurrent.recurrent_forward(*(of[name] for name in names), None, False, cell)
    grad_gates, *_ = recurrent.recurrent_backward(
        of["grad_output"], of["grad_h"], of["grad_c"], of["weight_hh"], states, cells, gates, None, False, cell
    )
    sizes = np.abs(grad_gates)
    assert sizes[-1].any()
    assert not sizes[0].any()
    assert not ((sizes > 0) & (sizes < np.finfo("f4").smallest_normal)).any()
