"""Padding, turning, shifting, repeating; diagonals and windows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.errors import ArgumentError, RangeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
    torch,
)

F = torch.nn.functional if torch is not None else None

CASES = [
    Case(
        "pad",
        lambda x: minidl.pad(x, (1, 2, 0, 1), value=3.0),
        [(2, 3)],
        lambda x: np.pad(x, ((0, 1), (1, 2)), constant_values=3),
        lambda x: F.pad(x, (1, 2, 0, 1), value=3.0),
    ),
    Case("pad", lambda x: x.pad((1, -1)), [(2, 3)], None, lambda x: F.pad(x, (1, -1))),
    Case("pad", lambda x: x.pad(((1, 0), (0, 2))), [(2, 3)], lambda x: np.pad(x, ((1, 0), (0, 2)))),
    Case("pad", lambda x: x.pad(1), [(0, 2)], lambda x: np.pad(x, 1)),
    Case(
        "gather_items",
        lambda x: minidl.pad(x, (2, 1), mode="reflect"),
        [(2, 3)],
        lambda x: np.pad(x, ((0, 0), (2, 1)), "reflect"),
        lambda x: F.pad(x, (2, 1), mode="reflect"),
    ),
    Case(
        "gather_items",
        lambda x: minidl.pad(x, (2, 1, 0, 3), mode="replicate"),
        [(1, 2, 3)],
        lambda x: np.pad(x, ((0, 0), (0, 3), (2, 1)), "edge"),
        lambda x: F.pad(x, (2, 1, 0, 3), mode="replicate"),
    ),
    Case(
        "gather_items",
        lambda x: minidl.pad(x, (2, 1), mode="circular"),
        [(2, 3)],
        lambda x: np.pad(x, ((0, 0), (2, 1)), "wrap"),
        lambda x: F.pad(x, (2, 1), mode="circular"),
    ),
    Case("gather_items", lambda x: x.pad((1, -1), mode="reflect"), [(2, 3)], lambda x: x[:, [1, 0, 1]]),
    Case("flip", lambda x: x.flip(0), [(2, 3)], lambda x: x[::-1], lambda x: x.flip(0)),
    Case("flip", lambda x: minidl.flip(x, dims=(0, 1)), [(2, 3)], np.flip, lambda x: x.flip((0, 1))),
    Case("flip", lambda x: x.flip(), [()], lambda x: x),
    Case("flip", lambda x: x.fliplr(), [(2, 3)], np.fliplr),
    Case("flip", lambda x: x.flipud(), [(2, 3)], np.flipud),
    Case("roll", lambda x: x.roll(2, 1), [(2, 3)], lambda x: np.roll(x, 2, 1), lambda x: x.roll(2, 1)),
    Case("roll", lambda x: x.roll((1, -1), dims=(0, 1)), [(2, 3)], None, lambda x: x.roll((1, -1), (0, 1))),
    Case("roll", lambda x: x.roll(4), [(2, 3)], lambda x: np.roll(x, 4), lambda x: x.roll(4)),
    *(
        Case("flip", lambda x, k=k: x.rot90(k), [(2, 3)], lambda x, k=k: np.rot90(x, k), lambda x, k=k: x.rot90(k))
        for k in (-1, 0, 1, 2, 3)
    ),
    Case("flip", lambda x: x.rot90(1, (2, 0)), [(2, 3, 4)], lambda x: np.rot90(x, 1, (2, 0))),
    Case("reshape", lambda x: x.tile(2, 3), [(2, 3)], lambda x: np.tile(x, (2, 3)), lambda x: x.tile(2, 3)),
    Case("reshape", lambda x: x.tile((2,)), [(2, 3)], lambda x: np.tile(x, 2), lambda x: x.tile(2)),
    Case("reshape", lambda x: x.repeat(2, 1, 3), [(2, 3)], None, lambda x: x.repeat(2, 1, 3)),
    Case("reshape", lambda x: x.repeat(0), [(3,)], None, lambda x: x.repeat(0)),
    Case("reshape", lambda x: x.repeat_interleave(2, dim=0), [(2, 3)], lambda x: np.repeat(x, 2, 0)),
    Case("reshape", lambda x: x.repeat_interleave(2), [(2, 3)], lambda x: np.repeat(x, 2)),
    Case(
        "gather_items",
        lambda x: x.repeat_interleave(minidl.tensor([0, 2, 1]), 1),
        [(2, 3)],
        lambda x: np.repeat(x, [0, 2, 1], 1),
        lambda x: x.repeat_interleave(torch.tensor([0, 2, 1]), 1),
    ),
    Case("diagonal", lambda x: x.diagonal(), [(3, 2)], np.diagonal, lambda x: x.diagonal()),
    Case("diagonal", lambda x: x.diagonal(-1, 0, 2), [(3, 2, 4)], None, lambda x: x.diagonal(-1, 0, 2)),
    Case("diagonal", lambda x: x.diagonal(5), [(3, 3)], lambda x: np.zeros(0)),
    Case("diagonal", lambda x: x.diag(1), [(3, 3)], lambda x: np.diag(x, 1), lambda x: x.diag(1)),
    Case("diagonal_scatter", lambda x: x.diag(-1), [(3,)], lambda x: np.diag(x, -1), lambda x: x.diag(-1)),
    Case("diagonal_scatter", lambda x: x.diag_embed(1), [(2, 3)], None, lambda x: x.diag_embed(1)),
    Case("diagonal_scatter", lambda x: x.diag_embed(0, 0, 2), [(2, 3)], None, lambda x: x.diag_embed(0, 0, 2)),
    Case("unfold", lambda x: x.unfold(0, 3, 1), [(5,)], None, lambda x: x.unfold(0, 3, 1)),
    Case("unfold", lambda x: x.unfold(1, 2, 3), [(2, 6, 3)], None, lambda x: x.unfold(1, 2, 3)),
    Case("reshape", lambda x: x.unfold(0, 1, 1), [()], None, lambda x: x.unfold(0, 1, 1)),
]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(0, 7), st.integers(0, 7), st.sampled_from(["reflect", "edge", "wrap"]))
def test_padding_is_numpys(size: int, before: int, after: int, mode: str) -> None:
    x = np.arange(float(size))
    got = minidl.pad(minidl.tensor(x), (before, after), mode=mode)
    np.testing.assert_array_equal(got.numpy(), np.pad(x, (before, after), mode))


def test_padding_integers_keeps_them() -> None:
    assert minidl.pad(minidl.tensor([1, 2]), (1, 1), value=9).tolist() == [9, 1, 2, 9]


def test_a_diagonal_can_be_written() -> None:
    x = minidl.zeros(3, 3, dtype="float64")
    w = minidl.tensor([1.0, 2.0, 3.0], dtype="float64", requires_grad=True)
    x.diagonal().copy_(w * w)
    assert x.tolist() == [[1, 0, 0], [0, 4, 0], [0, 0, 9]]
    x.sum().backward()
    assert w.grad.tolist() == [2, 4, 6]


ERRORS = [
    (lambda x: x.pad((1,)), ArgumentError, "pad: 1 widths for 2 axes"),
    (lambda x: x.pad((1, 1) * 3), ArgumentError, "pad: 6 widths for 2 axes"),
    (lambda x: x.pad(((1, 1),)), ArgumentError, "for each of the 2 axes"),
    (lambda x: x.pad((1, 1), mode="mirror"), ArgumentError, "unknown mode 'mirror'"),
    (lambda x: x.pad((1, 1), mode="reflect", value=1.0), ArgumentError, "value=1.0 has no meaning"),
    (lambda x: x.pad((-2, -2)), ShapeError, r"cut off more than shape \(2, 3\) has"),
    (lambda x: x[:0].pad(1, mode="edge"), ShapeError, "has nothing to repeat"),
    (lambda x: x.flip(2), RangeError, "flip: axis 2"),
    (lambda x: x[0].fliplr(), ShapeError, "fliplr: expected at least 2 axes"),
    (lambda x: x.sum().flipud(), ShapeError, "flipud: expected at least 1 axis"),
    (lambda x: x.roll((1, 2)), ArgumentError, "need as many axes"),
    (lambda x: x.roll((1, 2), 0), ArgumentError, "for 1 axes"),
    (lambda x: x.rot90(1, (0,)), ArgumentError, "rot90: expected two axes"),
    (lambda x: x.tile(-1), ArgumentError, "negative number of times"),
    (lambda x: x.repeat(2), ShapeError, r"repeat: 1 numbers \(2,\) for a tensor of shape \(2, 3\)"),
    (lambda x: x.repeat_interleave(-1), ArgumentError, "cannot repeat -1 times"),
    (lambda x: x.repeat_interleave([1, -1], 0), ArgumentError, "not negative"),
    (lambda x: x.repeat_interleave([1, 1], 1), ShapeError, r"repeats of shape \(2,\) for axis 1 of shape \(2, 3\)"),
    (lambda x: x[0].diagonal(), ShapeError, "diagonal: expected at least two axes"),
    (lambda x: x.diagonal(0, 1, 1), ArgumentError, "names one axis twice"),
    (lambda x: x.sum().diag_embed(), ShapeError, "diag_embed: expected at least one axis"),
    (lambda x: x[None].diag(), ShapeError, "diag: expected a vector or a matrix"),
    (lambda x: x.unfold(1, 4, 1), ShapeError, r"windows of 4 elements, but axis 1 of shape \(2, 3\) has 3"),
    (lambda x: x.unfold(1, 2, 0), ArgumentError, "step at least 1"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors(call: Callable[[Any], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(minidl.ones(2, 3))


def test_flip_takes_its_axes_in_every_form() -> None:
    x = minidl.arange(6).view(2, 3)
    both = [[5, 4, 3], [2, 1, 0]]
    for y in (x.flip(0, 1), x.flip([0, 1]), x.flip((0, 1)), x.flip(), x.flip(dims=(0, 1)), minidl.flip(x, dims=[0, 1])):
        assert y.tolist() == both
    assert x.flip(0).tolist() == x.flip(axis=0).tolist() == [[3, 4, 5], [0, 1, 2]]
