"""Recurrent cells and the fused LSTM."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

try:
    import torch
except ImportError:
    torch = None

D, U = 3, 2


def weights(gates: int, bias: bool = True) -> list[Any]:
    shapes = [(gates * U, D), (gates * U, U)]
    return [*shapes, (gates * U,), (gates * U,)] if bias else shapes


def layer(reverse: bool = False) -> Any:
    return lambda *a: minidl.lstm_layer(*a, reverse=reverse)


def their_layer(x: Any, h: Any, c: Any, *weights: Any) -> Any:
    state = (h[None], c[None])
    output, h, c = torch.lstm(x, state, weights, len(weights) == 4, 1, 0.0, False, False, False)
    return output, h[0], c[0]


def their_reversed_layer(x: Any, *rest: Any) -> Any:
    output, h, c = their_layer(x.flip(0), *rest)
    return output.flip(0), h, c


def only(slots: tuple[int, ...]) -> Any:
    """Let gradients arrive at some of the outputs of the layer alone."""
    return lambda *a: tuple(minidl.lstm_layer(*a)[slot] for slot in slots)


INPUTS = [(3, 2, D), (2, U), (2, U)]
LAYERS = {
    "gru_layer": (minidl.gru_layer, 3, "gru"),
    "rnn_layer": (minidl.rnn_layer, 1, "rnn_tanh"),
    "rnn_layer with relu": (functools.partial(minidl.rnn_layer, nonlinearity="relu"), 1, "rnn_relu"),
}
MASK = np.array([[1, 0], [0, 1], [1, 1]], bool)


def cases_of(name: str) -> list[Case]:
    """Return the cases of a layer with one state."""
    mine, gates, called = LAYERS[name]
    op = name.split()[0]

    def theirs(x: Any, h: Any, *weights: Any, reverse: bool = False) -> Any:
        order = [0] if reverse else []
        output, h = getattr(torch, called)(x.flip(order), h[None], weights, len(weights) == 4, 1, 0.0, *[False] * 3)
        return output.flip(order), h[0]

    full = [(3, 2, D), (2, U), *weights(gates)]
    return [
        Case(op, mine, full, torch=theirs),
        Case(op, mine, full[:-2], torch=theirs),
        Case(op, mine, full[:-1], torch=lambda *a: theirs(*a, torch.zeros_like(a[-1]))),
        Case(op, lambda *a: mine(*a, reverse=True), full, torch=lambda *a: theirs(*a, reverse=True)),
        Case(op, lambda *a: mine(*a, mask=MASK), full),
        Case(op, lambda *a: mine(*a, mask=MASK, reverse=True), full),
        Case(op, lambda *a: mine(*a)[1], full, torch=lambda *a: theirs(*a)[1]),
        Case(op, mine, [(0, 2, D), (2, U), *weights(gates)]),
        Case(op, mine, [(3, 0, D), (0, U), *weights(gates)]),
    ]


CASES = [
    Case(
        "tanh",
        minidl.rnn_cell,
        [(2, D), (2, U), *weights(1)],
        torch=torch and torch.rnn_tanh_cell,
    ),
    Case(
        "relu",
        lambda *a: minidl.rnn_cell(*a, nonlinearity="relu"),
        [(2, D), (2, U), *weights(1, bias=False)],
        torch=torch and torch.rnn_relu_cell,
    ),
    Case("sigmoid", minidl.gru_cell, [(2, D), (2, U), *weights(3)], torch=torch and torch.gru_cell),
    Case("sigmoid", minidl.gru_cell, [(2, D), (2, U), *weights(3, bias=False)], torch=torch and torch.gru_cell),
    Case("sigmoid", minidl.gru_cell, [(D,), (U,), *weights(3)]),
    Case(
        "sigmoid",
        minidl.lstm_cell,
        [(2, D), (2, U), (2, U), *weights(4)],
        torch=lambda x, h, c, *w: torch.lstm_cell(x, (h, c), *w),
    ),
    Case(
        "sigmoid",
        minidl.lstm_cell,
        [(2, D), (2, U), (2, U), *weights(4, bias=False)],
        torch=lambda x, h, c, *w: torch.lstm_cell(x, (h, c), *w),
    ),
    Case("sigmoid", minidl.lstm_cell, [(D,), (U,), (U,), *weights(4)]),
    Case("lstm_layer", layer(), [*INPUTS, *weights(4)], torch=their_layer),
    Case("lstm_layer", layer(), [*INPUTS, *weights(4, bias=False)], torch=their_layer),
    Case(
        "lstm_layer",
        layer(),
        [*INPUTS, *weights(4)[:-1]],
        torch=lambda *a: their_layer(*a, torch.zeros_like(a[-1])),
    ),
    Case("lstm_layer", layer(reverse=True), [*INPUTS, *weights(4)], torch=their_reversed_layer),
    Case("lstm_layer", layer(), [(1, 2, D), (2, U), (2, U), *weights(4)], torch=their_layer),
    Case("lstm_layer", layer(), [(0, 2, D), (2, U), (2, U), *weights(4)]),
    Case("lstm_layer", layer(), [(3, 0, D), (0, U), (0, U), *weights(4)]),
    *[
        Case(
            "lstm_layer",
            only(slots),
            [*INPUTS, *weights(4)],
            torch=lambda *a, slots=slots: tuple(their_layer(*a)[slot] for slot in slots),
        )
        for slots in ((0,), (1,), (2,), (0, 2), (1, 2))
    ],
    Case("lstm_layer", lambda *a: minidl.lstm_layer(*a, mask=MASK), [*INPUTS, *weights(4)]),
    Case("lstm_layer", lambda *a: minidl.lstm_layer(*a, mask=MASK, reverse=True), [*INPUTS, *weights(4)]),
    *[case for name in LAYERS for case in cases_of(name)],
]


def test_the_layer_is_the_cell_in_a_loop(rng: np.random.Generator) -> None:
    x, h0, c0, *w = (minidl.tensor(rng.standard_normal(shape)) for shape in [*INPUTS, *weights(4)])
    for reverse in (False, True):
        output, h, c = minidl.lstm_layer(x, h0, c0, *w, reverse=reverse)
        want_h, want_c = h0, c0
        for t in reversed(range(3)) if reverse else range(3):
            want_h, want_c = minidl.lstm_cell(x[t], want_h, want_c, *w)
            np.testing.assert_allclose(output.numpy()[t], want_h.numpy(), rtol=1e-12)
        np.testing.assert_allclose(h.numpy(), want_h.numpy(), rtol=1e-12)
        np.testing.assert_allclose(c.numpy(), want_c.numpy(), rtol=1e-12)


def test_float32_agrees_with_torch_to_rounding(rng: np.random.Generator) -> None:
    pytest.importorskip("torch")
    T, N, features, units = 20, 4, 16, 32
    shapes = [(T, N, features), (N, units), (N, units), (4 * units, features), (4 * units, units), *[(4 * units,)] * 2]
    arrays = [(rng.standard_normal(shape) * 0.3).astype(np.float32) for shape in shapes]
    mine = [minidl.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    output, want = minidl.lstm_layer(*mine)[0], their_layer(*theirs)[0]
    np.testing.assert_allclose(output.numpy(force=True), want.detach().numpy(), rtol=1e-5, atol=1e-6)
    upstream = rng.standard_normal(output.shape, dtype=np.float32)
    output.backward(upstream)
    want.backward(torch.tensor(upstream))
    for a, b in zip(mine, theirs, strict=True):
        assert a.grad.dtype == np.float32
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-3, atol=1e-5 * abs(b.grad.numpy()).max())


def test_the_final_state_does_not_share_memory_with_the_output() -> None:
    state = minidl.zeros(1, U)
    output, h, _ = minidl.lstm_layer(minidl.ones(2, 1, D), state, state, minidl.ones(4 * U, D), minidl.ones(4 * U, U))
    h *= 0
    assert output.numpy()[-1].all()


def test_saturated_gates_raise_no_warning() -> None:
    state = minidl.zeros(1, U)
    x = minidl.full((3, 1, D), 1e30, requires_grad=True)
    output, _, _ = minidl.lstm_layer(x, state, state, minidl.ones(4 * U, D), minidl.ones(4 * U, U))
    output.sum().backward()
    assert np.isfinite(output.numpy(force=True)).all()
    assert np.isfinite(x.grad.numpy()).all()


def in_a_loop(cell: Any, x: Any, states: Any, weights: Any, mask: Any, reverse: bool) -> Any:
    """Return what a layer is: its cell, step after step, where the mask has one."""
    outputs = []
    for t in range(len(x))[:: -1 if reverse else 1]:
        new = cell(x[t], *states, *weights)
        present = minidl.tensor(mask[t][:, None])
        pairs = zip(new if isinstance(new, tuple) else (new,), states, strict=True)
        states = [minidl.where(present, after, before) for after, before in pairs]
        outputs.append(states[0])
    return minidl.stack(outputs[:: -1 if reverse else 1]), *states


MASKED = {
    "lstm": (minidl.lstm_layer, minidl.lstm_cell, 4),
    "gru": (minidl.gru_layer, minidl.gru_cell, 3),
    "tanh": (minidl.rnn_layer, minidl.rnn_cell, 1),
}


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", MASKED)
def test_masked_steps_change_nothing(name: str, reverse: bool, rng: np.random.Generator) -> None:
    layer, cell, gates = MASKED[name]
    states = [(2, U)] * (2 if name == "lstm" else 1)
    given = [rng.standard_normal(shape) for shape in [(3, 2, D), *states, *weights(gates)]]
    found = []
    for how in ("at once", "recorded", "in a loop"):  # recorded: so that they can be differentiated again
        x, *rest = (minidl.tensor(a, requires_grad=True) for a in given)
        start, w = rest[: len(states)], rest[len(states) :]
        if how != "in a loop":
            results = layer(x, *start, *w, reverse=reverse, mask=minidl.tensor(MASK))
        else:
            results = in_a_loop(cell, x, start, w, MASK, reverse)
        loss = sum((y * (k + 1)).sin().sum() for k, y in enumerate(results))
        found.append([*results, *minidl.grad(loss, [x, *rest], create_graph=how == "recorded")])
    for mine, recorded, expected in zip(*found, strict=True):
        for got in (mine, recorded):
            np.testing.assert_allclose(got.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_padding_may_be_anything() -> None:
    x = minidl.ones(3, 2, D)
    x[2, 0] = float("nan")
    mask = np.array([[1, 1], [1, 1], [0, 1]], bool)
    output, h = minidl.gru_layer(x, minidl.zeros(2, U), minidl.ones(3 * U, D), minidl.ones(3 * U, U), mask=mask)
    assert np.isfinite(output.numpy()).all()
    np.testing.assert_array_equal(h.numpy()[0], output.numpy()[1, 0])


def test_a_second_derivative_does_not_count_one_input_as_another() -> None:
    """The state depends on the input here, and the weights on each other."""

    def first(x: Any, w: Any, fused: bool) -> Any:
        weights, h = (w, w[:, :U] * 2), x[0, :, :U] ** 2
        if fused:
            output, _ = minidl.rnn_layer(x, h, *weights)
        else:
            output, _ = in_a_loop(minidl.rnn_cell, x, [h], weights, np.ones((3, 2), bool), False)
        grads = minidl.grad((output**2).sum(), [x, w], create_graph=True)
        return minidl.grad(sum((g**2).sum() for g in grads), [x, w])

    rng = np.random.default_rng(1)
    x, w = (minidl.tensor(rng.standard_normal(shape), requires_grad=True) for shape in ((3, 2, D), (U, D)))
    for mine, expected in zip(first(x, w, True), first(x, w, False), strict=True):
        np.testing.assert_allclose(mine.numpy(), expected.numpy(), rtol=1e-9)


def call(name: str, gates: int, *shapes: tuple[int, ...], **replaced: Any) -> Any:
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    arguments = {key: minidl.ones(*shape) for key, shape in zip(names, weights(gates), strict=True)}
    return getattr(minidl, name)(*(minidl.ones(*shape) for shape in shapes), **arguments | replaced)


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (
            lambda: call("lstm_cell", 4, (2, 5), (2, U), (2, U)),
            ShapeError,
            r"lstm_cell: weight_ih has shape \(8, 3\); an input of shape \(2, 5\) \(5 features\) and a state of 2 "
            r"units need \(8, 5\) \(4 gates\)",
        ),
        (lambda: call("lstm_cell", 3, (2, D), (2, U), (2, U)), ShapeError, r"weight_ih has shape \(6, 3\)"),
        (lambda: call("lstm_cell", 4, (2, D), (2, U), (3, U)), ShapeError, r"c has shape \(3, 2\); .* needs \(2, 2\)"),
        (lambda: call("gru_cell", 3, (2, D), (4, U)), ShapeError, r"gru_cell: h has shape \(4, 2\)"),
        (lambda: call("gru_cell", 3, (2, D), (2, U), bias_ih=None), ArgumentError, "bias_hh without bias_ih"),
        (lambda: call("rnn_cell", 1, (2, D), (2, U), bias_ih=minidl.ones(3)), ShapeError, r"bias_ih has shape \(3,\)"),
        (lambda: call("rnn_cell", 1, (2, D), (2, U), nonlinearity="gelu"), ArgumentError, "expected 'tanh' or 'relu'"),
        (lambda: call("lstm_layer", 4, (2, D), (2, U), (2, U)), ShapeError, r"lstm_layer: .* expected \(T, N, D\)"),
        (lambda: call("lstm_layer", 4, (5, 2, D), (3, U), (2, U)), ShapeError, r"lstm_layer: h0 has shape \(3, 2\)"),
        (lambda: call("gru_layer", 3, (5, 2, D), (3, U)), ShapeError, r"gru_layer: h0 has shape \(3, 2\)"),
        (lambda: call("rnn_layer", 1, (5, 2, D), (2, U), nonlinearity="elu"), ArgumentError, "rnn_layer: .*'elu'"),
        (
            lambda: call("gru_layer", 3, (5, 2, D), (2, U), mask=np.ones((2, 5), bool)),
            ShapeError,
            r"gru_layer: the mask has shape \(2, 5\) and dtype bool; .* needs booleans of shape \(5, 2\)",
        ),
        (
            lambda: call("lstm_layer", 4, (5, 2, D), (2, U), (2, U), mask=[[1, 1]] * 5),
            ShapeError,
            r"lstm_layer: the mask has shape \(5, 2\) and dtype int64",
        ),
        (
            lambda: call("lstm_layer", 4, (5, 2, D), (2, U), (2, U), weight_hh=minidl.ones(8, 3)),
            ShapeError,
            r"lstm_layer: weight_hh has shape \(8, 3\)",
        ),
    ],
)
def test_errors(make: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        make()
