"""Pooling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.ops.pooling import GatherPlanes
from tests.ops.harness import (  # noqa: F401
    Case,
    distinct,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    torch = None


def case(op: str, name: str, x: Any, *args: Any, **kwargs: Any) -> Case:
    return Case(
        op,
        lambda x: getattr(minidl, name)(x, *args, **kwargs),
        [distinct(*x)],
        torch=lambda x: getattr(F, name)(x, *args, **kwargs),
    )


def gradient_of(pool: Any) -> Any:
    """Return a function whose result is linear in its second argument, the upstream gradient."""

    def call(x: Any, upstream: Any) -> Any:
        with minidl.enable_grad():
            x = x.detach()
            x.requires_grad = True
            return minidl.grad(pool(x), x, upstream, create_graph=True)

    return call


CASES = [
    case("max_pool2d", "max_pool2d", (2, 3, 6, 4), 2),
    case("max_pool2d", "max_pool2d", (3, 7, 6), (3, 2), stride=2, padding=1),
    case("max_pool2d", "max_pool2d", (2, 2, 7, 9), 3, stride=(1, 2), padding=(0, 1), dilation=(2, 1)),
    case("max_pool2d", "max_pool2d", (1, 2, 6, 7), 3, stride=2, ceil_mode=True),
    case("max_pool2d", "max_pool2d", (1, 2, 5, 5), 2, stride=3, padding=1, ceil_mode=True),
    case("max_pool2d", "max_pool2d", (1, 2, 6, 7), 3, return_indices=True),
    # "same" pads at the end first: by one row here, and by one column on each side
    Case(
        "max_pool2d",
        lambda x: minidl.max_pool2d(x, (2, 3), stride=(2, 1), padding="same"),
        [distinct(2, 2, 5, 4)],
        torch=lambda x: F.max_pool2d(F.pad(x, (1, 1, 0, 1), value=-torch.inf), (2, 3), (2, 1)),
    ),
    Case(
        "avg_pool2d",
        lambda x: minidl.avg_pool2d(x, (2, 3), stride=(2, 1), padding="same"),
        [distinct(2, 2, 5, 4)],
        torch=lambda x: F.avg_pool2d(x, (2, 3), (2, 1), (0, 1), ceil_mode=True, count_include_pad=False),
    ),
    Case(
        "max_pool2d",
        lambda x: minidl.max_pool1d(x, 4, stride=5, padding="same"),
        [distinct(2, 6)],
        torch=lambda x: F.max_pool1d(F.pad(x, (1, 2), value=-torch.inf), 4, 5),
    ),
    case("max_pool2d", "max_pool2d", (0, 2, 4, 4), 2),
    case("max_pool2d", "max_pool1d", (2, 3, 7), 3, stride=2, padding=1),
    case("max_pool2d", "max_pool1d", (3, 7), 2, ceil_mode=True, return_indices=True),
    case("avg_pool2d", "avg_pool2d", (2, 3, 6, 4), 2),
    case("avg_pool2d", "avg_pool2d", (3, 7, 6), (3, 2), stride=2, padding=1),
    case("avg_pool2d", "avg_pool2d", (1, 2, 7, 6), 3, stride=2, padding=1, count_include_pad=False),
    case("avg_pool2d", "avg_pool2d", (1, 2, 6, 8), 3, stride=2, padding=1, ceil_mode=True),
    case("avg_pool2d", "avg_pool2d", (1, 2, 6, 8), 3, stride=2, ceil_mode=True, count_include_pad=False),
    case("avg_pool2d", "avg_pool2d", (1, 2, 6, 8), 3, divisor_override=5),
    case("avg_pool2d", "avg_pool2d", (0, 2, 4, 4), 2),
    case("avg_pool2d", "avg_pool1d", (2, 3, 7), 3, stride=2, padding=1),
    case("avg_pool2d", "avg_pool1d", (3, 7), 2, ceil_mode=True, count_include_pad=False),
    case("adaptive_avg_pool2d", "adaptive_avg_pool2d", (2, 3, 6, 4), (3, 2)),
    case("adaptive_avg_pool2d", "adaptive_avg_pool2d", (2, 5, 7), (3, 4)),
    case("adaptive_avg_pool2d", "adaptive_avg_pool2d", (1, 2, 3, 5), (4, None)),
    case("adaptive_avg_pool2d", "adaptive_avg_pool2d", (2, 3, 6, 4), 1),
    case("adaptive_avg_pool2d", "adaptive_avg_pool1d", (2, 3, 7), 3),
    case("adaptive_max_pool2d", "adaptive_max_pool2d", (2, 3, 6, 4), (3, 2)),
    case("adaptive_max_pool2d", "adaptive_max_pool2d", (2, 5, 7), (3, 4), return_indices=True),
    case("adaptive_max_pool2d", "adaptive_max_pool2d", (1, 2, 3, 5), (4, None)),
    Case("scatter_planes", gradient_of(lambda x: minidl.max_pool2d(x, 3, 2)), [distinct(1, 2, 7, 5), (1, 2, 3, 2)]),
    Case("avg_pool2d_grad", gradient_of(lambda x: minidl.avg_pool2d(x, 3, 2)), [(1, 2, 7, 5), (1, 2, 3, 2)]),
    Case(
        "adaptive_avg_pool2d_grad",
        gradient_of(lambda x: minidl.adaptive_avg_pool2d(x, (3, 2))),
        [(1, 2, 7, 5), (1, 2, 3, 2)],
    ),
    Case(
        "gather_planes",
        lambda x: GatherPlanes.apply(x, indices=minidl.tensor([[[[0, 5]], [[3, 3]]]]).array),
        [(1, 2, 2, 3)],
        lambda x: np.array([[[[x[0, 0, 0, 0], x[0, 0, 1, 2]]], [[x[0, 1, 1, 0], x[0, 1, 1, 0]]]]]),
    ),
]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_configurations_agree_with_torch(data: st.DataObject) -> None:
    pytest.importorskip("torch")
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    kernel, stride, dilation = ((draw(1, 4), draw(1, 4)) for _ in range(3))
    extent = [dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
    padding = tuple(min(draw(0, 2), kernel[i] // 2) for i in (0, 1))
    # no smaller than the dilation: else a window may see padding alone, of which PyTorch returns no valid index
    image = [max(extent[i] - 2 * padding[i], dilation[i]) + draw(0, 5) for i in (0, 1)]
    ceil_mode = data.draw(st.booleans())
    x = np.random.default_rng(draw(0, 1000)).integers(-3, 3, (2, 2, *image)).astype(np.float32)  # many ties
    got = minidl.max_pool2d(minidl.tensor(x), kernel, stride, padding, dilation, ceil_mode, True)
    want = F.max_pool2d(torch.tensor(x), kernel, stride, padding, dilation, ceil_mode, True)
    got += (minidl.avg_pool2d(minidl.tensor(x), kernel, stride, padding, ceil_mode, not ceil_mode),)
    want += (F.avg_pool2d(torch.tensor(x), kernel, stride, padding, ceil_mode, not ceil_mode),)
    for y, w in zip(got, want, strict=True):
        assert y.array.dtype in (np.float32, np.int64)
        np.testing.assert_allclose(y.numpy(), w.numpy(), rtol=1e-6, atol=1e-6)


def test_nan_is_the_largest() -> None:
    x = minidl.tensor([[[1.0, float("nan")], [3.0, 2.0]]], requires_grad=True)
    y = minidl.max_pool2d(x, 2)
    assert np.isnan(y.numpy(force=True)).all()
    y.sum().backward()
    assert x.grad.numpy().tolist() == [[[0, 1], [0, 0]]]


def test_a_window_of_minus_infinity_names_a_pixel_of_the_image() -> None:
    x = minidl.full((1, 3, 3), float("-inf"))
    values, indices = minidl.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
    assert np.isneginf(values.numpy()).all()
    assert indices.numpy().tolist() == [[[0, 1], [3, 4]]]


def test_of_equal_elements_the_first_gets_the_gradient() -> None:
    x = minidl.ones(1, 2, 4, requires_grad=True)
    minidl.max_pool2d(x, 2).sum().backward()
    assert x.grad.numpy().tolist() == [[[1, 0, 1, 0], [0, 0, 0, 0]]]


def test_integers_pool_to_their_largest() -> None:
    x = minidl.tensor([[[1, 9], [-4, 3]]])
    y = minidl.max_pool2d(x, 2, stride=2, padding=1)
    assert y.dtype == np.int64
    assert y.numpy().tolist() == [[[1, 9], [-4, 3]]]


def test_adaptive_pooling_keeps_infinity_where_it_is() -> None:
    x = minidl.tensor([[[1.0, 2.0, float("inf"), 4.0]]])
    assert minidl.adaptive_avg_pool2d(x, (1, 2)).numpy().tolist() == [[[1.5, float("inf")]]]


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda x: minidl.max_pool2d(x, 7),
            ShapeError,
            r"max_pool2d: a window of size \(7, 7\) .* covers 7 pixels along axis -2, where .*\(1, 2, 5, 6\) has 5",
        ),
        (lambda x: minidl.max_pool2d(x, (2, 7), ceil_mode=True, stride=1), ShapeError, "along axis -1"),
        (
            lambda x: minidl.max_pool2d(x, 2, padding=2),
            ArgumentError,
            r"padding=\(2, 2\) must be at most half of the window",
        ),
        (lambda x: minidl.max_pool2d(x, 0), ArgumentError, "kernel_size=0; expected an integer of at least 1"),
        (lambda x: minidl.max_pool2d(x, "2"), DTypeError, "kernel_size must be an integer or 2 of them, got '2'"),
        (lambda x: minidl.max_pool2d(x[0, 0], 2), ShapeError, r"shape \(5, 6\); expected \(N, C, H, W\)"),
        (lambda x: minidl.max_pool2d(x[:, :, :0], 1), ShapeError, "with positive sizes"),
        (lambda x: minidl.max_pool1d(x, 2), ShapeError, r"max_pool1d: .* expected \(N, C, L\)"),
        (lambda x: minidl.avg_pool2d(x, 2, divisor_override=0), ArgumentError, "divisor_override must not be 0"),
        (lambda x: minidl.avg_pool1d(x[0], 7), ShapeError, r"avg_pool1d: a window of size \(7,\)"),
        (lambda x: minidl.adaptive_avg_pool2d(x, 0), ArgumentError, "output_size="),
        (lambda x: minidl.adaptive_avg_pool2d(x, (1, 2, 3)), ArgumentError, r"output_size=\(1, 2, 3\)"),
        (lambda x: minidl.adaptive_max_pool2d(x[0, 0], 2), ShapeError, "adaptive_max_pool2d: the input has shape"),
        (lambda x: minidl.adaptive_avg_pool1d(x, 2), ShapeError, "adaptive_avg_pool1d: the input has shape"),
    ],
)
def test_errors(call: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        call(minidl.ones(1, 2, 5, 6))
