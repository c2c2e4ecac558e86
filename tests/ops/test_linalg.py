"""Linear algebra: every combination of ranks, einsum's notation, and errors that name what does not fit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl.errors import ArgumentError, DTypeError, RangeError, ShapeError
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


def product(*shapes: tuple[int, ...]) -> Case:
    return Case("matmul", lambda x, y: x @ y, list(shapes), lambda x, y: x @ y, lambda x, y: x @ y)


def dense(*shapes: tuple[int, ...]) -> Case:
    return Case(
        "linear",
        minidl.dense,
        list(shapes),
        lambda x, w, *b: x @ w + (b[0] if b else 0),
        lambda x, w, *b: torch.nn.functional.linear(x, w.T, *b),
    )


def linear_relu(*shapes: tuple[int, ...]) -> Case:
    return Case(
        "linear",
        lambda *xs: minidl.linear(*xs, relu=True),
        list(shapes),
        torch=lambda *xs: torch.nn.functional.linear(*xs).relu(),
    )


def linear(*shapes: tuple[int, ...]) -> Case:
    return Case(
        "linear",
        minidl.linear,
        list(shapes),
        lambda x, w, b=0.0: x @ w.T + b,
        lambda *xs: torch.nn.functional.linear(*xs),
    )


def sum_of_products(equation: str, *shapes: tuple[int, ...], with_torch: bool = True) -> Case:
    return Case(
        "einsum",
        lambda *xs: minidl.einsum(equation, *xs),
        list(shapes),
        lambda *xs: np.einsum(equation, *xs),
        (lambda *xs: torch.einsum(equation, *xs)) if with_torch else None,
    )


CASES = [
    product((3, 4), (4, 5)),
    product((4,), (4,)),
    product((4,), (4, 5)),
    product((3, 4), (4,)),
    product((4,), (2, 4, 5)),
    product((2, 3, 4), (4,)),
    product((2, 3, 4), (4, 5)),
    product((3, 4), (2, 4, 5)),
    product((2, 3, 4), (2, 4, 5)),
    product((2, 1, 3, 4), (5, 4, 2)),
    product((1, 3, 4), (2, 4, 5)),
    product((0, 4), (4, 5)),
    product((3, 0), (0, 5)),
    product((2, 0, 4), (4, 5)),
    product((2, 3, 0), (0,)),
    product((0,), (0,)),
    linear((3, 4), (5, 4)),
    linear((3, 4), (5, 4), (5,)),
    linear((4,), (5, 4), (5,)),
    linear((2, 3, 4), (5, 4), (5,)),
    linear_relu((3, 4), (5, 4)),
    linear_relu((4,), (5, 4), (5,)),
    linear_relu((2, 3, 4), (5, 4), (5,)),
    linear((2, 3, 4), (5, 4)),
    linear((0, 4), (5, 4), (5,)),
    dense((3, 4), (4, 5)),
    dense((2, 3, 4), (4, 5), (5,)),
    linear((2, 0, 4), (5, 4), (5,)),
    linear((3, 0), (5, 0), (5,)),
    sum_of_products("ij,jk->ik", (3, 4), (4, 5)),
    sum_of_products("ij,jk", (3, 4), (4, 5)),
    sum_of_products("ba,cb", (3, 4), (5, 3)),
    sum_of_products("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    sum_of_products("ij->ji", (3, 4)),
    sum_of_products("ij->", (3, 4)),
    sum_of_products("i->", (3,)),
    sum_of_products("ij->i", (3, 4)),
    sum_of_products("ii", (3, 3)),
    sum_of_products("ii->i", (3, 3)),
    sum_of_products("iji->ij", (3, 2, 3)),
    sum_of_products("iii->i", (3, 3, 3)),
    sum_of_products("bii->b", (2, 3, 3)),
    sum_of_products("ii,ij->j", (3, 3), (3, 4)),
    sum_of_products("i,j->ij", (3,), (4,)),
    sum_of_products("i,i->i", (3,), (3,)),
    sum_of_products("ij,ij->", (3, 4), (3, 4)),
    sum_of_products("ij,k->", (3, 4), (5,)),
    sum_of_products("...ij,...jk->...ik", (2, 3, 4), (2, 4, 5)),
    sum_of_products("...ij,jk", (2, 2, 3, 4), (4, 5)),
    sum_of_products("i...,...->...i", (3, 2, 1), (4,)),
    sum_of_products("...,...", (3, 1), (2,)),
    sum_of_products("ij,ij->ij", (3, 1), (3, 4)),
    sum_of_products("ij,ij->i", (1, 4), (3, 1)),
    sum_of_products("ij,jk,kl,lm->im", (2, 3), (3, 4), (4, 2), (2, 3)),
    sum_of_products("a,a,ab,b->a", (3,), (3,), (3, 2), (2,)),
    sum_of_products(",ij->ij", (), (2, 3)),
    sum_of_products("->", ()),
    sum_of_products("ij,jk->ik", (0, 3), (3, 2)),
    sum_of_products("ij,jk->ik", (2, 0), (0, 3)),
    Case("einsum", lambda x, y: minidl.tensordot(x, y), [(2, 3, 4), (3, 4, 5)], np.tensordot),
    Case(
        "einsum",
        lambda x, y: minidl.tensordot(x, y, axes=([0, 2], [1, 0])),
        [(2, 3, 4), (4, 2, 5)],
        lambda x, y: np.tensordot(x, y, axes=([0, 2], [1, 0])),
        lambda x, y: torch.tensordot(x, y, dims=([0, 2], [1, 0])),
    ),
    Case("einsum", lambda x, y: minidl.tensordot(x, y, 0), [(2,), (3,)], lambda x, y: np.tensordot(x, y, 0)),
    Case("einsum", minidl.dot, [(2, 3, 4), (5, 4, 2)], np.dot),
    Case("einsum", minidl.inner, [(2, 4), (3, 4)], np.inner, lambda x, y: torch.inner(x, y)),
    Case("einsum", lambda x: x.trace(), [(3, 4)], np.trace, lambda x: x.trace()),
]

TORCH_CASES = [
    Case("mm", minidl.mm, [(3, 4), (4, 5)], np.matmul, lambda x, y: x.mm(y)),
    Case("mv", minidl.mv, [(3, 4), (4,)], np.matmul, lambda x, y: x.mv(y)),
    Case("bmm", minidl.bmm, [(2, 3, 4), (2, 4, 5)], np.matmul, lambda x, y: x.bmm(y)),
    Case("dot", minidl.dot, [(4,), (4,)], np.dot, lambda x, y: x.dot(y)),
    Case("dot", minidl.dot, [(3, 4), (4, 2)], np.dot),
    Case("dot", minidl.dot, [(3, 4), (4,)], np.dot),
    Case("dot", minidl.dot, [(), (4,)], np.dot),
    Case("inner", minidl.inner, [(4,), (4,)], np.inner, lambda x, y: torch.inner(x, y)),
    Case("inner", minidl.inner, [(4,), ()], np.inner),
    Case("outer", minidl.outer, [(3,), (4,)], np.outer, lambda x, y: torch.outer(x, y)),
    Case("outer", minidl.outer, [(2, 2), (0,)], np.outer),
    Case("vdot", minidl.vdot, [(4,), (4,)], np.vdot, lambda x, y: torch.vdot(x, y)),
    Case("kron", minidl.kron, [(2, 3), (4, 2)], np.kron, lambda x, y: torch.kron(x, y)),
    Case("kron", minidl.kron, [(3,), (2, 2)], np.kron, lambda x, y: torch.kron(x, y)),
    Case("kron", minidl.kron, [(2, 2, 3), (2,)], np.kron, lambda x, y: torch.kron(x, y)),
    Case(
        "addmm",
        lambda c, x, y: minidl.addmm(c, x, y, beta=0.5, alpha=2),
        [(5,), (3, 4), (4, 5)],
        lambda c, x, y: 0.5 * c + 2 * x @ y,
        lambda c, x, y: torch.addmm(c, x, y, beta=0.5, alpha=2),
    ),
    Case(
        "baddbmm",
        lambda c, x, y: c.baddbmm(x, y, beta=2, alpha=3),
        [(2, 3, 5), (2, 3, 4), (2, 4, 5)],
        lambda c, x, y: 2 * c + 3 * x @ y,
        lambda c, x, y: c.baddbmm(x, y, beta=2, alpha=3),
    ),
]


@pytest.mark.parametrize("composed", TORCH_CASES, ids=lambda case: case.op)
def test_composed_of_other_operations(composed: Case) -> None:
    test_values(composed)
    test_gradients(composed)
    if torch is not None:
        test_torch(composed)


@given(
    batch=st.lists(st.integers(0, 3), max_size=2),
    stretch=st.lists(st.booleans(), min_size=4, max_size=4),
    core=st.tuples(*[st.integers(0, 4)] * 3),
    ranks=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
@settings(max_examples=50, deadline=None)
def test_matmul_broadcasts_as_numpy(
    batch: list[int], stretch: list[bool], core: tuple[int, int, int], ranks: tuple[int, int]
) -> None:
    n, d, u = core

    def shape(rank: int, last: tuple[int, ...], flags: list[bool]) -> tuple[int, ...]:
        sizes = (*(1 if flag else size for size, flag in zip(batch, flags, strict=False)), *last)
        return sizes[-rank:]

    x_shape = (d,) if ranks[0] == 1 else shape(ranks[0], (n, d), stretch[:2])
    y_shape = (d,) if ranks[1] == 1 else shape(ranks[1], (d, u), stretch[2:])
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(x_shape), rng.standard_normal(y_shape)
    a, b = minidl.tensor(x, requires_grad=True), minidl.tensor(y, requires_grad=True)
    z = a @ b
    np.testing.assert_allclose(z.numpy(force=True), x @ y, atol=1e-12)
    z.sum().backward()
    assert a.grad.shape == x_shape
    assert b.grad.shape == y_shape
    assert minidl.gradcheck(lambda x, y: x @ y, (a, b))


def test_integers_multiply_exactly() -> None:
    x = minidl.tensor([[1, 2], [3, 4]])
    assert (x @ x).numpy().tolist() == [[7, 10], [15, 22]]
    assert (x @ x).dtype == np.int64
    assert (x @ minidl.tensor([1.0, 0.5])).dtype == np.float32
    assert minidl.einsum("ij->i", minidl.tensor(np.ones((2, 2), np.int32))).dtype == np.int32
    assert minidl.linear(x, x).numpy().tolist() == [[5, 11], [11, 25]]


def test_operators_take_arrays_on_either_side() -> None:
    x, y = np.ones((2, 3), np.float32), minidl.ones(3, 4)
    assert (x @ y).shape == (2, 4)
    assert (y.T @ np.ones(3, np.float32)).shape == (4,)
    z = minidl.ones(2, 2, device="cpu")
    memory = z.numpy()
    z @= z
    assert memory.tolist() == [[2, 2], [2, 2]]


def test_linear_keeps_only_what_backward_needs() -> None:
    weight = minidl.ones(3, 2, requires_grad=True)
    y = minidl.linear(minidl.ones(4, 2), weight)
    assert [saved is None for saved in y._node.saved] == [False, True, True]


def test_a_product_of_float16_and_float32_is_float32() -> None:
    x = minidl.tensor(np.ones((2, 2), np.float16), requires_grad=True)
    y = x @ minidl.ones(2, 2)
    assert y.dtype == np.float32
    y.sum().backward()
    assert x.grad.dtype == np.float16


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            (2, 3),
            (4, 5),
            r"\(2, 3\) and \(4, 5\) do not fit: the last axis of the first has size 3, the second-to-last",
        ),
        ((2, 3), (4, 3), r"transposing the second, to \(3, 4\)"),
        ((3, 2), (3, 4), r"transposing the first, to \(2, 3\)"),
        ((3,), (4,), r"size 3, the only axis of the second 4; they must be equal"),
        ((), (4,), r"a scalar has no axis to sum over; multiply with \*"),
        (
            (2, 3, 4),
            (3, 4, 5),
            r"the batches of shapes \(2, 3, 4\) and \(3, 4, 5\) do not broadcast: \(2,\) and \(3,\)",
        ),
    ],
)
def test_matmul_says_what_does_not_fit(x: tuple[int, ...], y: tuple[int, ...], message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        minidl.matmul(minidl.zeros(x), minidl.zeros(y))


def test_linear_says_what_does_not_fit() -> None:
    x, weight = minidl.zeros(32, 256), minidl.zeros(120, 400)
    with pytest.raises(
        ShapeError,
        match=r"linear: input \(32, 256\) has 256 features, weight \(120, 400\) expects 400; give the layer "
        r"in_features=256, or reshape the input so that its last axis has size 400",
    ):
        minidl.linear(x, weight)
    with pytest.raises(ShapeError, match="has no axis of features"):
        minidl.linear(minidl.tensor(1.0), weight)
    with pytest.raises(ShapeError, match=r"weight must have shape \(units, features\), got \(3,\)"):
        minidl.linear(x, minidl.zeros(3))
    with pytest.raises(ShapeError, match=r"bias has shape \(400,\), weight \(120, 400\) expects \(120,\)"):
        minidl.linear(minidl.zeros(2, 400), weight, minidl.zeros(400))


def test_strict_products_refuse_other_ranks() -> None:
    x = minidl.zeros(2, 3)
    with pytest.raises(ShapeError, match=r"mm: expected tensors with 2 and 2 axes, got shapes \(2, 3\) and \(3,\)"):
        minidl.mm(x, minidl.zeros(3))
    with pytest.raises(ShapeError, match="mm: shapes"):
        minidl.mm(x, x)
    with pytest.raises(ShapeError, match="mv: expected"):
        minidl.mv(x, x)
    with pytest.raises(ShapeError, match="bmm: expected"):
        minidl.bmm(x, x)
    with pytest.raises(ShapeError, match="have 2 and 3 matrices"):
        minidl.bmm(minidl.zeros(2, 3, 4), minidl.zeros(3, 4, 5))
    with pytest.raises(ShapeError, match="dot: shapes"):
        minidl.dot(x, x)
    with pytest.raises(ShapeError, match=r"inner: the last axes .* have sizes 3 and 2"):
        minidl.inner(x, minidl.zeros(2))
    with pytest.raises(ShapeError, match=r"vdot: .* have 6 and 2 elements"):
        minidl.vdot(x, minidl.zeros(2))
    with pytest.raises(ShapeError, match="trace: expected a matrix"):
        minidl.trace(minidl.zeros(3))
    with pytest.raises(ShapeError, match=r"addmm: input of shape \(4, 2\) does not broadcast .* \(2, 2\)"):
        minidl.addmm(minidl.zeros(4, 2), x, x.T)


def test_beta_zero_ignores_the_addend() -> None:
    y = minidl.addmm(minidl.full((2, 2), float("nan")), minidl.ones(2, 2), minidl.ones(2, 2), beta=0)
    assert y.numpy().tolist() == [[2, 2], [2, 2]]


def test_einsum_takes_operands_in_a_list_and_labels_in_lists() -> None:
    x, y = minidl.ones(2, 3), minidl.ones(3, 4)
    want = (x @ y).numpy()
    for got in (
        minidl.einsum("ij,jk->ik", [x, y]),
        minidl.einsum(" i j , j k -> i k ", x, y),
        minidl.einsum(x, [0, 1], y, [1, 2], [0, 2]),
        minidl.einsum(x, [0, 1], y, [1, 2]),
        minidl.einsum(x, [..., 1], y, [1, 2], [..., 2]),
    ):
        np.testing.assert_array_equal(got.numpy(), want)


def test_einsum_sums_over_an_ellipsis_that_the_result_lacks() -> None:
    assert minidl.einsum("...ij->ij", minidl.ones(5, 2, 3)).numpy().tolist() == [[5] * 3] * 2


def test_einsum_never_returns_a_view() -> None:
    x = minidl.ones(2, 3)
    for equation in ("ij->ij", "ij->ji"):
        y = minidl.einsum(equation, x)
        y += 1
    z = minidl.einsum("ii->i", minidl.ones(3, 3))
    z += 1
    assert x.numpy().max() == 1


def test_einsum_orders_products_by_their_size() -> None:
    # from left to right, the first product would have 10**12 elements
    x = minidl.ones(10**6, dtype="float64")
    assert minidl.einsum("i,j,i,j->", x, x, x, x).item() == 10**12


@pytest.mark.parametrize(
    ("equation", "shapes", "error", "message"),
    [
        ("ij,jk->ik", [(2, 3)], ArgumentError, "has 2 terms for 1 operands"),
        ("ij->i", [(2, 3, 4)], ShapeError, "names 2 axes, its operand has 3"),
        ("ijk->i", [(2, 3)], ShapeError, "names 3 axes, its operand has 2"),
        ("i1->i", [(2, 3)], ArgumentError, "cannot read the term 'i1'"),
        ("i....->i", [(2, 3)], ArgumentError, "cannot read the term"),
        ("ij->k", [(2, 3)], ArgumentError, "has 'k', which no operand has"),
        ("ij->ii", [(2, 3)], ArgumentError, "has 'i', twice"),
        (
            "ij,jk->ik",
            [(2, 3), (4, 5)],
            ShapeError,
            r"'j' has size 3 in operand 1 \(2, 3\) but 4 in operand 2 \(4, 5\)",
        ),
        ("ii->i", [(2, 3)], ShapeError, "the diagonal 'i' of operand 1.* sizes 2 and 3"),
        ("...,...->...", [(2,), (3,)], ShapeError, "an axis of '...' has size 2"),
    ],
)
def test_einsum_says_what_it_cannot_read(
    equation: str, shapes: list[tuple[int, ...]], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        minidl.einsum(equation, *[minidl.zeros(shape) for shape in shapes])


def test_einsum_and_tensordot_refuse_what_is_no_axis() -> None:
    x = minidl.zeros(2, 3)
    with pytest.raises(DTypeError, match="expected an equation such as 'ij,jk->ik'"):
        minidl.einsum(x, [0, 99])
    with pytest.raises(ArgumentError, match="tensordot: cannot sum over 3 axes"):
        minidl.tensordot(x, x, 3)
    with pytest.raises(ShapeError, match=r"axes \(1,\) of shape \(2, 3\) have sizes \(3,\), axes \(0,\)"):
        minidl.tensordot(x, x, 1)
    with pytest.raises(ArgumentError, match="2 axes of the first meet 1 of the second"):
        minidl.tensordot(x, x, ([0, 1], [0]))
    with pytest.raises(RangeError, match="axis 5 is out of range"):
        minidl.tensordot(x, x, ([5], [0]))


def test_einsum_agrees_with_numpy_on_every_equation_of_two_small_terms() -> None:
    rng = np.random.default_rng(0)
    sizes = {"a": 2, "b": 3, "c": 1}
    terms = [*map("".join, itertools.permutations("abc", 2)), "a", "abc"]
    for first, second in itertools.product(terms, terms):
        x = rng.standard_normal([sizes[label] for label in first])
        y = rng.standard_normal([sizes[label] for label in second])
        known = sorted({*first, *second})
        for size in range(len(known) + 1):
            equation = f"{first},{second}->{''.join(reversed(known[:size]))}"
            got = minidl.einsum(equation, minidl.tensor(x), minidl.tensor(y))
            np.testing.assert_allclose(got.numpy(), np.einsum(equation, x, y), atol=1e-12, err_msg=equation)


@pytest.mark.parametrize(
    ("x", "kernel", "bias", "message"),
    [
        ((3, 4), (5, 6), None, r"dense: x has shape \(3, 4\), kernel \(5, 6\); expected \(\.\.\., features\)"),
        ((), (5, 6), None, r"dense: x has shape \(\)"),
        ((3, 4), (4,), None, r"kernel \(4,\); expected"),
        ((3, 4), (4, 2), (4,), r"dense: bias has shape \(4,\), kernel \(4, 2\) expects \(2,\)"),
    ],
)
def test_dense_errors(x: tuple[int, ...], kernel: tuple[int, ...], bias: tuple[int, ...] | None, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        minidl.dense(minidl.ones(*x), minidl.ones(*kernel), None if bias is None else minidl.ones(*bias))
