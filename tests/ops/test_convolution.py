"""Convolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl import kernels
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.kernels.reference import convolution
from minidl.ops.convolution import Conv2dWeightGrad
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
    import torch.nn.functional as F
except ImportError:
    torch = None

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")  # PyTorch's


def conv2d_case(x: Any, weight: Any, bias: Any = (), **kwargs: Any) -> Case:
    return Case(
        "conv2d",
        lambda *a: minidl.conv2d(*a, **kwargs),
        [x, weight, *([bias] if bias else [])],
        torch=lambda *a: F.conv2d(*a, **kwargs),
    )


def transposed_case(x: Any, weight: Any, bias: Any = (), **kwargs: Any) -> Case:
    return Case(
        "conv2d_input_grad",
        lambda *a: minidl.conv_transpose2d(*a, **kwargs),
        [x, weight, *([bias] if bias else [])],
        torch=lambda *a: F.conv_transpose2d(*a, **kwargs),
    )


CASES = [
    conv2d_case((2, 3, 5, 4), (4, 3, 3, 2), (4,)),
    conv2d_case((2, 3, 5, 4), (4, 3, 1, 1)),
    conv2d_case((3, 5, 4), (4, 3, 3, 2), (4,), padding=(1, 0)),
    conv2d_case((2, 4, 7, 8), (6, 2, 3, 3), (6,), stride=(2, 3), padding=(1, 2), groups=2),
    conv2d_case((2, 2, 9, 7), (2, 2, 2, 3), stride=2, dilation=(3, 2), padding=2),
    conv2d_case((2, 4, 5, 5), (8, 1, 3, 3), groups=4, padding=1),
    conv2d_case((1, 2, 4, 5), (2, 2, 2, 4), padding="same"),
    conv2d_case((1, 2, 6, 5), (2, 2, 2, 3), padding="same", dilation=(3, 1)),
    conv2d_case((1, 2, 4, 5), (2, 2, 2, 4), padding="valid"),
    conv2d_case((0, 2, 4, 5), (3, 2, 2, 2), (3,)),
    *[
        Case(
            "conv2d",
            lambda *a: minidl.conv2d(*a, stride=(1, 2), relu=True),
            [(2, 2, 5, 6), (3, 2, 2, 3), *bias],
            torch=lambda *a: F.relu(F.conv2d(*a, stride=(1, 2))),
        )
        for bias in ([], [(3,)])
    ],
    Case(
        "conv2d",
        lambda *a: minidl.conv1d(*a, relu=True),
        [(2, 5), (3, 2, 3), (3,)],
        torch=lambda *a: F.relu(F.conv1d(*a)),
    ),
    Case(
        "conv2d",
        lambda *a: minidl.conv2d(*a, stride=2, padding=((0, 1), (2, 1))),
        [(2, 2, 4, 5), (3, 2, 3, 3), (3,)],
        torch=lambda x, *a: F.conv2d(F.pad(x, (2, 1, 0, 1)), *a, stride=2),
    ),
    Case(
        "conv2d",
        lambda *a: minidl.conv1d(*a, padding=((2, 0),)),
        [(2, 2, 4), (3, 2, 3)],
        torch=lambda x, *a: F.conv1d(F.pad(x, (2, 0)), *a),
    ),
    Case(
        "conv2d_input_grad",
        lambda *a: minidl.conv_transpose2d(*a, stride=2, padding=((0, 1), (2, 1))),
        [(2, 2, 4, 5), (2, 3, 3, 3), (3,)],
        torch=lambda *a: F.conv_transpose2d(*a, stride=2)[:, :, :-1, 2:-1],
    ),
    Case("conv2d", lambda *a: minidl.conv1d(*a), [(2, 3, 6), (4, 3, 3), (4,)], torch=lambda *a: F.conv1d(*a)),
    Case(
        "conv2d",
        lambda *a: minidl.conv1d(*a, stride=2, padding=1, dilation=2, groups=2),
        [(4, 9), (2, 2, 3)],
        torch=lambda *a: F.conv1d(*a, stride=2, padding=1, dilation=2, groups=2),
    ),
    Case(
        "conv2d",
        lambda *a: minidl.conv1d(*a, padding="same"),
        [(1, 2, 6), (2, 2, 4)],
        torch=lambda *a: F.conv1d(*a, padding="same"),
    ),
    transposed_case((2, 3, 4, 3), (3, 2, 3, 2), (2,)),
    transposed_case((3, 4, 3), (3, 2, 3, 2), (2,), stride=(2, 1)),
    transposed_case((2, 4, 3, 4), (4, 3, 3, 3), (6,), stride=2, padding=1, output_padding=1, groups=2),
    transposed_case((1, 2, 3, 3), (2, 2, 2, 2), dilation=3, padding=1, output_padding=(2, 1)),
    Case(
        "conv2d_weight_grad",
        lambda x, y: Conv2dWeightGrad.apply(
            x, y, kernel=(3, 2), stride=(2, 1), padding=((1, 1), (0, 1)), dilation=(1, 1), groups=2
        ),
        [(2, 4, 5, 4), (2, 2, 3, 4)],
    ),
]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_random_configurations_agree_with_torch(data: st.DataObject) -> None:
    pytest.importorskip("torch")
    draw = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    groups, kernel = draw(1, 3), (draw(1, 4), draw(1, 4))
    channels, filters = groups * draw(1, 3), groups * draw(1, 3)
    stride, dilation, padding = ((draw(low, high), draw(low, high)) for low, high in ((1, 3), (1, 3), (0, 3)))
    image = [max(dilation[i] * (kernel[i] - 1) + 1 - 2 * padding[i], 1) + draw(0, 4) for i in (0, 1)]
    rng = np.random.default_rng(draw(0, 1000))
    arrays = [
        rng.standard_normal(shape, dtype=np.float32)
        for shape in ((draw(1, 3), channels, *image), (filters, channels // groups, *kernel), (filters,))
    ]
    mine = [minidl.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y = minidl.conv2d(*mine, stride, padding, dilation, groups)
    want = F.conv2d(*theirs, stride, padding, dilation, groups)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.numpy(force=True), want.detach().numpy(), rtol=1e-4, atol=1e-5)
    upstream = rng.standard_normal(y.shape, dtype=np.float32)
    y.backward(upstream)
    want.backward(torch.tensor(upstream))
    for a, b in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-4)


def test_only_the_gradients_that_are_wanted_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> None:
        raise AssertionError("computed in vain")

    monkeypatch.setattr(kernels, "conv2d_input_grad", refuse)
    weight = minidl.ones(2, 1, 2, 2, requires_grad=True)
    minidl.conv2d(minidl.ones(1, 1, 3, 3), weight).sum().backward()
    assert weight.grad.numpy().tolist() == [[[[4, 4], [4, 4]]]] * 2


def test_large_batches_are_convolved_in_blocks(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    x, weight = rng.standard_normal((5, 2, 6, 6)), rng.standard_normal((3, 2, 3, 3))

    def all_three() -> list[np.ndarray]:
        a, b = (minidl.tensor(v, requires_grad=True) for v in (x, weight))
        y = minidl.conv2d(a, b, padding=1)
        (y * y).sum().backward()
        return [y.numpy(force=True), a.grad.numpy(), b.grad.numpy()]

    whole = all_three()
    monkeypatch.setattr(convolution, "BLOCK_BYTES", 2 * 8 * 18 * 36)  # two images at a time
    assert [n for _, n in convolution.blocks(5, 18 * 36, 8)] == [2, 2, 1]
    for got, want in zip(all_three(), whole, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def ones(*shape: int) -> Any:
    return minidl.ones(*shape)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: minidl.conv2d(ones(2, 1, 8, 8), ones(6, 3, 5, 5)),
            ShapeError,
            r"conv2d: the input has 1 channels \(shape \(2, 1, 8, 8\)\), but weight .* \(6, 3, 5, 5\) .* expects 3",
        ),
        (lambda: minidl.conv2d(ones(2, 8, 8, 3), ones(6, 3, 5, 5)), ShapeError, "expects 3; .*move the channels first"),
        (lambda: minidl.conv2d(ones(3, 3), ones(6, 3, 5, 5)), ShapeError, r"shape \(3, 3\); expected \(N, C, H, W\)"),
        (lambda: minidl.conv2d(ones(1, 3, 3, 3), ones(3, 3)), ShapeError, r"weight has shape \(3, 3\)"),
        (
            lambda: minidl.conv2d(ones(1, 3, 3, 3), ones(4, 1, 1, 1), groups=2),
            ShapeError,
            "groups=2 must divide the 3 channels",
        ),
        (
            lambda: minidl.conv2d(ones(1, 4, 3, 3), ones(3, 2, 1, 1), groups=2),
            ShapeError,
            "and the 3 filters of weight",
        ),
        (
            lambda: minidl.conv2d(ones(1, 4, 3, 3), ones(3, 4, 1, 1), groups=0),
            ArgumentError,
            "groups=0; expected a pos",
        ),
        (
            lambda: minidl.conv2d(ones(1, 1, 3, 3), ones(2, 1, 1, 1), ones(3)),
            ShapeError,
            r"bias has shape \(3,\); expected \(2,\)",
        ),
        (
            lambda: minidl.conv2d(ones(1, 1, 3, 3), ones(1, 1, 3, 5)),
            ShapeError,
            r"covers 5 pixels along axis -1, where the input of shape \(1, 1, 3, 3\) has 3 with its padding",
        ),
        (lambda: minidl.conv2d(ones(1, 1, 3, 3), ones(1, 1, 1, 1), stride=0), ArgumentError, "stride=0; .*at least 1"),
        (
            lambda: minidl.conv2d(ones(1, 1, 3, 3), ones(1, 1, 1, 1), stride=1.5),
            DTypeError,
            "stride must be an integer",
        ),
        (
            lambda: minidl.conv2d(ones(1, 1, 3, 3), ones(1, 1, 1, 1), padding=(1, 2, 3)),
            ArgumentError,
            r"padding=\(1, 2, 3\); .* 2 of them",
        ),
        (lambda: minidl.conv2d(ones(1, 1, 3, 3), ones(1, 1, 1, 1), padding="full"), ArgumentError, "'valid' or 'same'"),
        (
            lambda: minidl.conv2d(ones(1, 1, 3, 3), ones(1, 1, 1, 1), padding="same", stride=2),
            ArgumentError,
            "padding='same' needs stride 1",
        ),
        (lambda: minidl.conv1d(ones(1, 2, 3), ones(1, 3, 3)), ShapeError, "conv1d: the input has 2 channels"),
        (lambda: minidl.conv1d(ones(1, 2, 3), ones(1, 2, 4)), ShapeError, r"conv1d: a kernel of size \(4,\)"),
        (
            lambda: minidl.conv_transpose2d(ones(1, 2, 3, 3), ones(3, 2, 2, 2)),
            ShapeError,
            "conv_transpose2d: the input has 2 channels .* expects 3",
        ),
        (
            lambda: minidl.conv_transpose2d(ones(1, 2, 3, 3), ones(2, 2, 2, 2), output_padding=1),
            ArgumentError,
            r"output_padding \(1, 1\) must be smaller than stride",
        ),
        (
            lambda: minidl.conv_transpose2d(ones(1, 2, 2, 2), ones(2, 2, 2, 2), padding=2),
            ShapeError,
            r"give an output of size \(-1, -1\); use less padding",
        ),
    ],
)
def test_errors(call: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        call()
