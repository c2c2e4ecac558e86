"""Reductions, extremes and scans: axes in every form, two dialects, empty and extreme inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

import minidl
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError
from tests.ops.harness import (  # noqa: F401
    Case,
    distinct,
    nonzero,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
    torch,
)

inf, nan = float("inf"), float("nan")


def over_axes(op: str, maker: Any = lambda *shape: shape, with_empty: bool = True, **own: Any) -> list[Case]:
    """Cases of a reduction over all axes, one, several, with and without them kept, of matrices, scalars, nothing."""

    def numpy_call(x: np.ndarray, axis: Any = None, keepdims: bool = False) -> Any:
        return getattr(np, op)(x, axis=axis, keepdims=keepdims, **own)

    def case(shape: tuple[int, ...], axis: Any = None, keepdims: bool = False, torch_too: bool = True) -> Case:
        theirs = {} if axis is None else {"dim": axis, "keepdim": keepdims}
        return Case(
            op,
            lambda x: getattr(minidl, op)(x, axis=axis, keepdims=keepdims, **own),
            [maker(*shape)],
            lambda x: numpy_call(x, axis, keepdims),
            (lambda x: getattr(x, op)(**theirs)) if torch_too and not own and not (axis is None and keepdims) else None,
        )

    several = op != "prod"  # PyTorch's prod takes one axis
    cases = [
        case((3, 4)),
        case((3, 4), 0),
        case((2, 3, 2), -1, True),
        case((2, 3, 2), (0, 2), torch_too=several),
        case((2, 3, 2), (2, 0), True, torch_too=several),
        case((2, 3), None, True),
        case(()),
        case((1, 1)),
    ]
    return cases + ([case((0, 3)), case((0, 3), 0), case((3, 0), 0)] if with_empty else [])


def torch_norm(p: float, dim: Any = None) -> Any:
    return lambda x: torch.norm(x, p, dim=dim)


CASES = [
    *over_axes("sum"),
    *[case for case in over_axes("mean") if case.inputs[0] not in [(0, 3)]],
    Case("mean", lambda x: x.mean(1), [(0, 3)], lambda x: np.zeros(0)),
    *over_axes("amax", distinct, with_empty=False),
    *over_axes("amin", distinct, with_empty=False),
    *over_axes("prod", nonzero),
    *over_axes("var", with_empty=False, ddof=0),
    *over_axes("std", with_empty=False, ddof=0)[:6],
    Case("var", lambda x: x.var(), [(3, 4)], lambda x: np.var(x, ddof=1), lambda x: x.var()),
    Case("var", lambda x: x.var(1), [(3, 4)], lambda x: np.var(x, 1, ddof=1), lambda x: x.var(1)),
    Case("var", lambda x: x.var((0, 2), keepdim=True), [(3, 4, 2)], None, lambda x: x.var((0, 2), keepdim=True)),
    Case("var", lambda x: x.var(0, False), [(3, 4)], lambda x: np.var(x, 0), lambda x: x.var(0, False)),
    Case("var", lambda x: x.var(False), [(3, 4)], np.var, lambda x: x.var(False)),
    Case("var", lambda x: x.var(correction=2), [(3, 4)], None, lambda x: x.var(correction=2)),
    Case("std", lambda x: x.std(), [(3, 4)], lambda x: np.std(x, ddof=1), lambda x: x.std()),
    Case("std", lambda x: x.std(1, keepdim=True), [(3, 4)], None, lambda x: x.std(1, keepdim=True)),
    Case("std", lambda x: x.std(-1, unbiased=False), [(3, 4)], None, lambda x: x.std(-1, unbiased=False)),
    Case("var_mean", lambda x: minidl.var_mean(x, 1), [(3, 4)], None, lambda x: torch.var_mean(x, 1)),
    Case("std_mean", lambda x: minidl.std_mean(x, 1), [(3, 4)], None, lambda x: torch.std_mean(x, 1)),
    # one zero, two zeros, all zeros in what is multiplied
    Case("prod", lambda x: x.prod(), [np.array([2.0, 0.0, 3.0])], np.prod, lambda x: x.prod()),
    Case("prod", lambda x: x.prod(), [np.array([2.0, 0.0, 0.0, 3.0])], np.prod, lambda x: x.prod()),
    Case("prod", lambda x: x.prod(1), [np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 0.0]])], None, lambda x: x.prod(1)),
    Case("prod", lambda x: x.prod(1), [(2, 5, 3)], lambda x: x.prod(1), lambda x: x.prod(1)),
    Case("logsumexp", lambda x: x.logsumexp(1), [(3, 4)], lambda x: special.logsumexp(x, 1), lambda x: x.logsumexp(1)),
    Case("logsumexp", lambda x: x.logsumexp(), [(3, 4)], special.logsumexp, lambda x: x.logsumexp((0, 1))),
    Case("logsumexp", lambda x: x.logsumexp((0, 2), True), [(2, 3, 2)], None, lambda x: x.logsumexp((0, 2), True)),
    Case("logsumexp", lambda x: x.logsumexp(axis=None, keepdims=True), [(2, 3)]),
    Case("logsumexp", lambda x: x.logsumexp(0), [()], lambda x: x, lambda x: x.logsumexp(0)),
    Case("logsumexp", lambda x: x.logsumexp(1), [(0, 3)], lambda x: np.zeros(0), lambda x: x.logsumexp(1)),
    Case("norm", lambda x: x.norm(), [(3, 4)], np.linalg.norm, lambda x: x.norm()),
    Case("norm", lambda x: x.norm(dim=1), [(3, 4)], None, torch_norm(2, 1)),
    Case("norm", lambda x: x.norm(1, (0, 2), True), [nonzero(2, 3, 2)], None, lambda x: x.norm(1, (0, 2), True)),
    Case("norm", lambda x: x.norm(1), [nonzero(3, 4)], lambda x: np.abs(x).sum(), torch_norm(1)),
    Case("norm", lambda x: x.norm(3, axis=-1), [nonzero(3, 4)], lambda x: np.linalg.norm(x, 3, -1), torch_norm(3, -1)),
    Case("norm", lambda x: x.norm(2.5), [nonzero(5)], lambda x: np.linalg.norm(x, 2.5), torch_norm(2.5)),
    Case("norm", lambda x: x.norm(0.5), [nonzero(5)], lambda x: np.linalg.norm(x, 0.5), torch_norm(0.5)),
    Case("norm", lambda x: x.norm(0), [nonzero(5)], lambda x: np.linalg.norm(x, 0)),
    Case("norm", lambda x: x.norm("fro"), [(3, 4)], np.linalg.norm, lambda x: x.norm("fro")),
    Case("norm", lambda x: x.norm(inf, 1), [nonzero(3, 4)], lambda x: np.linalg.norm(x, inf, 1), torch_norm(inf, 1)),
    Case("norm", lambda x: x.norm(ord=-inf), [nonzero(5)], lambda x: np.linalg.norm(x, -inf), torch_norm(-inf)),
    Case("norm", lambda x: x.norm(), [()], np.abs, lambda x: x.norm()),
    Case("norm", lambda x: x.norm(), [(0,)], np.linalg.norm, lambda x: x.norm()),
    Case("cumsum", lambda x: x.cumsum(1), [(2, 5, 3)], lambda x: x.cumsum(1), lambda x: x.cumsum(1)),
    Case("cumsum", lambda x: x.cumsum(dim=-1), [(2, 4)], lambda x: x.cumsum(1), lambda x: x.cumsum(-1)),
    Case("cumsum", lambda x: x.cumsum(), [(2, 4)], np.cumsum),
    Case("cumsum", lambda x: x.cumsum(0), [()], lambda x: x, lambda x: x.cumsum(0)),
    Case("cumsum", lambda x: x.cumsum(0), [(0, 3)], lambda x: x, lambda x: x.cumsum(0)),
    Case("cumprod", lambda x: x.cumprod(1), [(2, 5, 3)], lambda x: x.cumprod(1), lambda x: x.cumprod(1)),
    Case("cumprod", lambda x: x.cumprod(0), [(1, 3)], lambda x: x, lambda x: x.cumprod(0)),
    Case("cumprod", lambda x: x.cumprod(), [(2, 4)], np.cumprod),
    Case("cumprod", lambda x: x.cumprod(0), [()], lambda x: x, lambda x: x.cumprod(0)),
    Case("cumprod", lambda x: x.cumprod(0), [(0, 3)], lambda x: x, lambda x: x.cumprod(0)),
    Case("cumprod", lambda x: x.cumprod(0), [np.array([2.0, 0.0, 3.0, 0.0, 5.0])], np.cumprod, lambda x: x.cumprod(0)),
    Case("nansum", lambda x: x.nansum(1), [(3, 4)], lambda x: np.nansum(x, 1), lambda x: x.nansum(1)),
    Case("nanmean", lambda x: x.nanmean(1), [(3, 4)], lambda x: np.nanmean(x, 1), lambda x: x.nanmean(1)),
    # extremes along an axis: values and indices
    Case(
        "take_along",
        lambda x: x.max(1),
        [distinct(2, 4, 3)],
        lambda x: (x.max(1), x.argmax(1)),
        lambda x: tuple(x.max(1)),
    ),
    Case(
        "take_along",
        lambda x: x.min(-1, True),
        [distinct(2, 4)],
        lambda x: (x.min(-1, keepdims=True), x.argmin(-1, keepdims=True)),
        lambda x: tuple(x.min(-1, True)),
    ),
    Case("take_along", lambda x: x.median(dim=1), [distinct(3, 5)], None, lambda x: tuple(x.median(1))),
    Case("take_along", lambda x: x.median(0, keepdim=True), [distinct(4, 2)], None, lambda x: tuple(x.median(0, True))),
    Case("take_along", lambda x: x.max(0), [()], None, lambda x: tuple(x.max(0))),
    Case("take_along", lambda x: x.max(1), [(0, 3)], None, lambda x: tuple(x.max(1))),
    Case(
        "put_along",
        lambda v: minidl.ops.extremes.PutAlong.apply(v, minidl.tensor([[2, 0], [1, 3]]), axis=1, size=4),
        [(2, 2)],
        lambda v: np.array([[v[0, 1], 0, v[0, 0], 0], [0, v[1, 0], 0, v[1, 1]]]),
    ),
    Case("median", lambda x: x.median(), [distinct(3, 4)], lambda x: np.sort(x.ravel())[5], lambda x: x.median()),
    Case("median", lambda x: x.median(keepdims=True), [distinct(5)], lambda x: np.median(x, keepdims=True)),
    Case("median", lambda x: x.median(), [()], lambda x: x, lambda x: x.median()),
    Case("amax", lambda x: x.max(), [distinct(3, 4)], np.max, lambda x: x.max()),
    Case("amin", lambda x: x.min(), [distinct(3, 4)], np.min, lambda x: x.min()),
    Case("amax", lambda x: x.max(axis=(0, 1)), [distinct(3, 4)], np.max, lambda x: x.amax((0, 1))),
    # no gradient
    Case("argmax", lambda x: x.argmax(), [(3, 4)], np.argmax, lambda x: x.argmax(), differentiable=False),
    Case("argmax", lambda x: x.argmax(1, True), [(3, 4)], None, lambda x: x.argmax(1, True), differentiable=False),
    Case("argmax", lambda x: x.argmax(keepdim=True), [(3, 4)], None, differentiable=False),
    Case("argmax", lambda x: x.argmax(0), [()], lambda x: np.int64(0), lambda x: x.argmax(0), differentiable=False),
    Case("argmin", lambda x: x.argmin(dim=0), [(3, 4)], lambda x: x.argmin(0), lambda x: x.argmin(0), False),
    Case("argmedian", lambda x: x.median(1).indices, [distinct(3, 5)], None, lambda x: x.median(1).indices, False),
    Case("all", lambda x: (x > 0).all(1), [(3, 2)], lambda x: (x > 0).all(1), lambda x: (x > 0).all(1), False),
    Case("all", lambda x: x.all(), [(3, 4)], lambda x: x.all(), lambda x: x.all(), False),
    Case("all", lambda x: x.all((0, 1)), [(0, 3)], lambda x: x.all(), lambda x: x.all(), False),
    Case("any", lambda x: (x > 0).any(0, True), [(3, 4)], lambda x: (x > 0).any(0, keepdims=True), None, False),
    Case("any", lambda x: x.any(), [(0,)], lambda x: x.any(), lambda x: x.any(), False),
    Case("count_nonzero", lambda x: (x > 0).count_nonzero(1), [(3, 4)], lambda x: (x > 0).sum(1), None, False),
]


shapes_and_axes = st.lists(st.integers(1, 3), max_size=4).flatmap(
    lambda shape: st.tuples(
        st.just(tuple(shape)),
        st.one_of(
            st.none(),
            st.integers(-len(shape), len(shape) - 1) if shape else st.none(),
            st.lists(st.integers(0, len(shape) - 1), unique=True, min_size=1).map(tuple) if shape else st.none(),
        ),
        st.booleans(),
    )
)


@given(shapes_and_axes)
@settings(max_examples=50, deadline=None)
def test_axes_are_numpys(drawn: tuple[tuple[int, ...], Any, bool]) -> None:
    shape, axis, keepdims = drawn
    x = np.random.default_rng(0).standard_normal(shape)
    t = minidl.tensor(x, requires_grad=True)
    for name in ("sum", "mean", "prod", "amax", "amin", "all", "any", "count_nonzero", "max", "min"):
        want = getattr(np, name)(x, axis=axis, keepdims=keepdims)
        for spelling in ({"axis": axis, "keepdims": keepdims}, {"dim": axis, "keepdim": keepdims}):
            if name in ("max", "min") and "dim" in spelling:
                continue
            got = getattr(minidl, name)(t, **spelling)
            assert got.shape == want.shape
            np.testing.assert_allclose(got.numpy(force=True), want, rtol=1e-9)
    for name in ("var", "std"):
        got = getattr(minidl, name)(t, axis=axis, keepdims=keepdims, ddof=0)
        np.testing.assert_allclose(
            got.numpy(force=True), getattr(np, name)(x, axis=axis, keepdims=keepdims), atol=1e-12
        )
    got = minidl.logsumexp(t, axis, keepdims)
    np.testing.assert_allclose(got.numpy(force=True), special.logsumexp(x, axis=axis, keepdims=keepdims), rtol=1e-9)
    assert minidl.gradcheck(lambda x: x.logsumexp(axis, keepdims), t)
    assert minidl.gradcheck(lambda x: x.prod(axis, keepdims), t)
    assert minidl.gradcheck(lambda x: x.norm(3, axis, keepdims), t)


def test_two_dialects_of_max_and_min() -> None:
    x = minidl.tensor([[1.0, 5.0, 5.0], [7.0, 3.0, 4.0]])
    assert x.max().item() == 7
    assert x.max(axis=1).numpy().tolist() == [5, 7]
    assert x.max(axis=1, keepdims=True).shape == (2, 1)
    assert x.max(axis=(0, 1)).item() == 7
    for found in (x.max(1), x.max(dim=1), minidl.max(x, -1), x.max(1, True), x.max(dim=1, keepdims=True)):
        values, indices = found
        assert values.numpy().ravel().tolist() == [5, 7]
        assert indices.numpy().ravel().tolist() == [1, 0]
        assert found.values is values
        assert found.indices is indices
        assert indices.dtype == np.int64
    assert x.max(1, True).values.shape == x.max(dim=1, keepdims=True).indices.shape == (2, 1)
    assert x.min(dim=0).indices.numpy().tolist() == [0, 1, 1]
    assert x.min(axis=0).numpy().tolist() == [1, 3, 4]
    other = minidl.full((2, 3), 4.5)
    np.testing.assert_array_equal(x.max(other).numpy(), np.maximum(x.numpy(), 4.5))
    np.testing.assert_array_equal(minidl.min(x, other=4.5).numpy(), np.minimum(x.numpy(), 4.5))
    np.testing.assert_array_equal(minidl.min(x, other.numpy()).numpy(), np.minimum(x.numpy(), 4.5))
    with pytest.raises(ArgumentError, match="got dim=1 and axis=0; give dim= for values and indices"):
        x.max(dim=1, axis=0)


def test_two_dialects_of_median() -> None:
    x = minidl.tensor([[1.0, 9.0, 2.0, 3.0], [7.0, 3.0, 4.0, 8.0]])
    assert x.median().item() == 3  # of eight elements, the fourth
    assert x.median(axis=1).numpy().tolist() == [2, 4]
    assert x.median(axis=1, keepdims=True).shape == (2, 1)
    values, indices = x.median(1)
    assert values.numpy().tolist() == [2, 4]
    assert indices.numpy().tolist() == [2, 2]


def gradient(function: Any, values: Any) -> list[float]:
    x = minidl.tensor(values, requires_grad=True)
    function(x).backward()
    return x.grad.numpy().tolist()


def test_equal_elements_share_a_gradient_unless_an_index_names_one() -> None:
    tied = [3.0, 1.0, 3.0]
    assert gradient(lambda x: x.max(), tied) == [0.5, 0, 0.5]
    assert gradient(lambda x: x.amax(0), tied) == [0.5, 0, 0.5]
    assert gradient(lambda x: x.max(axis=0), tied) == [0.5, 0, 0.5]
    assert gradient(lambda x: x.max(0).values, tied) == [1, 0, 0]
    assert gradient(lambda x: x.min(0).values, [1.0, 1.0]) == [1, 0]
    assert gradient(lambda x: x.median(), tied) == [0.5, 0, 0.5]


def test_subgradients_where_there_is_no_gradient() -> None:
    assert gradient(lambda x: x.norm(), [0.0, 0.0]) == [0, 0]
    assert gradient(lambda x: x.norm(3), [0.0, 0.0]) == [0, 0]
    assert gradient(lambda x: x.norm(1), [0.0, -2.0]) == [0, -1]
    np.testing.assert_allclose(gradient(lambda x: x.norm(0.5), [0.0, 2.0]), [0, 1], rtol=1e-6)
    assert gradient(lambda x: x.norm(inf), [3.0, -3.0]) == [0.5, -0.5]
    assert gradient(lambda x: x.norm(0), [3.0, -3.0]) == [0, 0]
    assert gradient(lambda x: x.std(), [2.0, 2.0]) == [0, 0]


def test_nan_is_larger_and_smaller_than_any_number() -> None:
    x = [1.0, nan, 2.0, nan]
    for name in ("max", "min", "amax", "amin", "median"):
        assert np.isnan(getattr(minidl, name)(minidl.tensor(x)).item())
    for name in ("max", "min", "median"):
        values, indices = getattr(minidl.tensor(x), name)(0)
        assert np.isnan(values.item())
        assert indices.item() == 1
    assert minidl.tensor(x).argmax().item() == minidl.tensor(x).argmin().item() == 1
    assert gradient(lambda x: x.amax(), x) == [0, 0.5, 0, 0.5]
    assert minidl.tensor(x).nansum().item() == 3
    assert minidl.tensor(x).nanmean().item() == 1.5
    assert gradient(lambda x: x.nansum(), x) == [1, 0, 1, 0]
    assert np.isnan(minidl.tensor([nan, nan]).nanmean().item())


@pytest.mark.parametrize(
    ("row", "value", "grad"),
    [
        ([-inf, -inf], -inf, [0, 0]),
        ([-inf, 1.0], 1.0, [0, 1]),
        ([inf, 1.0], inf, None),
        ([1e4, 1e4], 1e4 + np.log(2), [0.5, 0.5]),
        ([-1e4, -1e4], -1e4 + np.log(2), [0.5, 0.5]),
        ([3e38, -3e38], 3e38, [1, 0]),
        ([nan, 1.0], nan, None),
    ],
)
def test_logsumexp_of_extreme_rows(row: list[float], value: float, grad: list[float] | None) -> None:
    x = minidl.tensor(row, requires_grad=True)
    y = x.logsumexp(0)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.item(), value, rtol=1e-6)
    y.backward()
    if grad is not None:
        np.testing.assert_allclose(x.grad.numpy(), grad, atol=1e-3)


def test_reductions_of_nothing() -> None:
    x = minidl.zeros(0, 3)
    assert x.sum().item() == 0
    assert x.prod().item() == 1
    assert np.isnan(x.mean().item())
    assert np.isnan(x.mean(0).numpy()).all()
    assert np.isnan(x.var().item())
    assert np.isnan(x.std(0).numpy()).all()
    assert np.isneginf(x.logsumexp(0).numpy()).all()
    assert x.all().item() is True
    assert x.any().item() is False
    assert x.amax(1).shape == (0,)
    assert x.max(1).indices.shape == (0,)
    for name in ("max", "min", "amax", "amin", "argmax", "argmin", "median"):
        with pytest.raises(ShapeError, match=r"a tensor of shape \(0, 3\) has no element to choose; "):
            getattr(minidl, name)(x)
        with pytest.raises(ShapeError, match=r"a tensor of shape \(0, 3\) has no element to choose over axis 0"):
            getattr(minidl, name)(x, 0)


def test_too_few_numbers_to_vary() -> None:
    assert np.isnan(minidl.tensor([1.0]).var().item())
    assert minidl.tensor([1.0]).var(correction=0).item() == 0
    assert np.isnan(gradient(lambda x: x.std(), [1.0])).all()
    assert np.isinf(minidl.tensor([1.0, 2.0]).var(correction=2).item())


def test_dtypes() -> None:
    assert minidl.tensor([True, True]).sum().item() == 2
    for dtype in ("bool", "int8", "uint8", "int32"):
        x = minidl.tensor([[1, 0], [1, 1]], dtype=dtype)
        assert x.sum().dtype == x.sum(0).dtype == x.prod().dtype == x.cumsum(0).dtype == x.cumprod(0).dtype == np.int64
        assert x.mean().dtype == x.var().dtype == x.logsumexp(0).dtype == np.float32
        assert x.max().dtype == np.dtype(dtype)
        assert x.max(1).values.dtype == np.dtype(dtype)
    assert minidl.tensor([200, 100], dtype="uint8").sum().item() == 300
    assert minidl.tensor([1, 2]).mean().item() == 1.5
    x = minidl.tensor([1.5, 2.5])
    assert x.sum(dtype="float64").dtype == x.mean(dtype="float64").dtype == np.float64
    assert x.prod(dtype="float64").dtype == x.cumsum(0, dtype="float64").dtype == np.float64
    assert x.sum(dtype=int).item() == 3
    half = minidl.tensor(np.full(4096, 100.0, np.float16))
    assert half.mean().item() == 100  # the sum is above the largest float16
    assert half.var().item() == 0
    assert half.mean().dtype == half.var().dtype == np.float16


def test_a_mean_of_large_numbers_keeps_its_spread() -> None:
    x = minidl.tensor([1e6, 1e6 + 1, 1e6 + 2])
    assert x.var().item() == 1  # mean(x**2) - mean(x)**2 would be 0 or worse


def test_a_product_of_many_with_zeros_has_its_gradient() -> None:
    x = np.ones(1001)
    x[500] = 0
    grad = gradient(lambda x: x.prod(), x)
    assert grad[500] == 1
    assert sum(grad) == 1


def test_infinite_factors() -> None:
    np.testing.assert_array_equal(gradient(lambda x: x.prod(), [inf, 2.0]), [2, inf])
    np.testing.assert_array_equal(minidl.tensor([1e38, 1e38, 0.5]).prod().item(), inf)


@pytest.mark.parametrize("name", ["sum", "mean", "prod", "var", "logsumexp", "norm", "amax", "all", "nansum"])
def test_axes_that_do_not_exist(name: str) -> None:
    function = getattr(minidl, name)
    x = minidl.ones(2, 3)
    with pytest.raises(RangeError, match=r"axis 2 is out of range for a tensor with 2 dimensions \(expected -2 to 1\)"):
        function(x, axis=2)
    with pytest.raises(ArgumentError, match=r"names one axis twice"):
        function(x, dim=(0, -2))
    with pytest.raises(ArgumentError, match="dim= and axis= are one argument"):
        function(x, dim=0, axis=0)
    with pytest.raises(DTypeError, match="axis must be an integer, got 'rows'"):
        function(x, axis=["rows"])


def test_scans_and_positions_name_their_axis() -> None:
    x = minidl.ones(2, 3)
    for call in (
        lambda: x.cumsum(2),
        lambda: x.cumprod(-3),
        lambda: x.argmax(2),
        lambda: x.max(2),
        lambda: x.median(5),
    ):
        with pytest.raises(RangeError, match="is out of range for a tensor with 2 dimensions"):
            call()


def test_contradicting_arguments() -> None:
    x = minidl.ones(2, 3)
    with pytest.raises(ArgumentError, match="var: unbiased=, correction= and ddof= are one argument"):
        x.var(correction=1, ddof=0)
    with pytest.raises(ArgumentError, match="std: axis must be an int, a tuple of int or None, got True"):
        x.std(True, False)
    with pytest.raises(ArgumentError, match="norm: p must be a number, inf, -inf or 'fro', got 'nuc'"):
        x.norm("nuc")
