"""The backward pass: order, accumulation, depth, memory, hooks, and what it refuses."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.autograd import Operation
from minidl.autograd.engine import unbroadcast
from minidl.errors import ArgumentError, DTypeError, GradError, ShapeError


def leaf(*values: float) -> Any:
    return minidl.tensor(list(values), requires_grad=True)


def test_a_diamond_is_visited_once() -> None:
    calls = []
    x = leaf(3.0)
    y = x * 2
    y.register_hook(lambda g: calls.append(g.item()))
    (y * y + y).sum().backward()
    assert calls == [2 * 6 + 1]
    assert x.grad.item() == 2 * 13


def test_gradients_accumulate_over_passes() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5, 7])


def test_one_gradient_is_not_shared_by_two_leaves() -> None:
    x, y = leaf(1.0), leaf(2.0)
    (x + y).sum().backward()
    x.grad.array += 10
    assert y.grad.item() == 1


def test_a_leaf_may_meet_its_gradient_again_in_the_same_pass() -> None:
    class Both(Operation, register=False):
        """Hands one array to both inputs, and a view of it on."""

        name = "both"

        def forward(self, x: Any, y: Any) -> Any:
            return x + y.sum()

        def backward(self, grad: Any) -> Any:
            g = grad * 2
            return g, g[:]

    x, y = leaf(1.0, 2.0), leaf(1.0, 2.0)
    early = x * 3  # its gradient reaches x after that of Both
    out = Both.apply(x, y * 1) + early
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [5, 5])
    np.testing.assert_array_equal(y.grad.numpy(), [2, 2])


def test_a_leaf_may_get_both_gradients_of_one_operation() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4])


def test_what_a_rule_returns_broadcast_is_summed_into_the_leafs_own_array() -> None:
    x = leaf(1.0, 2.0)
    y = x + minidl.ones(3, 2)
    y.retain_grad()
    y.backward(minidl.ones(3, 2))
    x.grad.array += 1
    np.testing.assert_array_equal(x.grad.numpy(), [4, 4])
    np.testing.assert_array_equal(y.grad.numpy(), np.ones((3, 2)))


def test_recorded_gradients_are_not_shared_either() -> None:
    x, y, start = leaf(1.0), leaf(2.0), minidl.ones(1)
    (x + y).backward(start, create_graph=True)
    assert x.grad is not y.grad
    x.grad.array += 10
    assert y.grad.item() == start.item() == 1


def test_a_recorded_gradient_has_the_dtype_of_its_leaf() -> None:
    x = leaf(1.0)
    x.backward(minidl.ones(1, dtype="float64"), create_graph=True)
    assert x.grad.dtype == np.float32


def test_a_given_gradient_is_copied() -> None:
    x = leaf(1.0, 2.0)
    start = minidl.tensor([1.0, 1.0])
    x.backward(start)
    x.grad.array += 1
    np.testing.assert_array_equal(start.numpy(), [1, 1])


def test_100_000_operations_in_a_row() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    y.sum().backward()
    assert x.grad.item() == 1
    del y  # the graph is taken down again without recursion, too


def test_100_000_operations_for_grad() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1
    (g,) = minidl.grad(y.sum(), x)
    assert g.item() == 1


def test_gradients_have_the_dtype_of_their_tensor() -> None:
    x = minidl.tensor([1.0], dtype="float32", requires_grad=True)
    y = minidl.tensor([1.0], dtype="float64", requires_grad=True)
    z = x * y
    assert z.dtype == np.float64
    z.backward()
    assert x.grad.dtype == np.float32
    assert y.grad.dtype == np.float64


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ((3, 4), (4,)),
        ((3, 4), (1, 4)),
        ((3, 4), (3, 1)),
        ((3, 4), ()),
        ((2, 3, 4), (3, 1)),
        ((0, 3), (3,)),
        ((1, 3), (3,)),
    ],
)
def test_unbroadcast_is_the_transpose_of_broadcasting(start: Any, end: Any, rng: np.random.Generator) -> None:
    u, v = rng.standard_normal(start), rng.standard_normal(end)
    summed = unbroadcast(u, end)
    assert summed.shape == end
    np.testing.assert_allclose((summed * v).sum(), (u * np.broadcast_to(v, start)).sum())


# ---------------------------------------------------------------------- what it refuses


def test_a_second_backward_is_refused() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(GradError, match=r"second time.*retain_graph=True"):
        y.backward()


def test_a_second_backward_through_a_shared_part_is_refused() -> None:
    x = leaf(2.0)
    y = x * x
    (y * 2).sum().backward()
    with pytest.raises(GradError, match=r"mul: backward a second time.*retain_graph=True"):
        (y * 3).sum().backward()


def test_retain_graph_allows_it() -> None:
    x = leaf(2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 8


def test_a_non_scalar_needs_a_gradient() -> None:
    with pytest.raises(GradError, match=r"from a scalar only, this tensor has shape \(2,\).*gradient="):
        (leaf(1.0, 2.0) * 2).backward()


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"gradient has shape \(3,\), the tensor \(2,\)"):
        (leaf(1.0, 2.0) * 2).backward(minidl.tensor([1.0, 1.0, 1.0]))


def test_a_gradient_that_is_no_number_is_refused() -> None:
    with pytest.raises(DTypeError, match="expected floats"):
        (leaf(1.0) * 2).backward(np.array(["a"]))


def test_a_tensor_without_graph_is_refused() -> None:
    with pytest.raises(GradError, match="does not require gradients"):
        minidl.tensor([1.0]).sum().backward()


def test_integers_cannot_require_gradients() -> None:
    with pytest.raises(GradError, match=r"only float tensors can require gradients, this one is int64.*float\(\)"):
        minidl.tensor([1, 2], requires_grad=True)


def test_rules_are_held_to_their_shapes() -> None:
    class Wrong(Operation, register=False):
        name = "wrong"

        def forward(self, x: Any) -> Any:
            return x * 2

        def backward(self, grad: Any) -> Any:
            return self.answer(grad)

    def run(answer: Any) -> None:
        Wrong.answer = staticmethod(answer)
        Wrong.apply(leaf(1.0, 2.0)).sum().backward()

    with pytest.raises(GradError, match="wrong: backward returned 2 gradients for 1 inputs"):
        run(lambda grad: (grad, grad))
    with pytest.raises(GradError, match=r"wrong: backward returned a gradient of shape \(3,\) for input 1.*\(2,\)"):
        run(lambda grad: np.ones(3))


def test_writing_to_what_backward_needs_is_refused() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    z = y * y
    with minidl.no_grad():
        y += 1
    with pytest.raises(GradError, match=r"mul: a tensor it needs.*modified in place.*version 1, expected 0.*clone"):
        z.sum().backward()


def test_writing_to_a_view_of_what_backward_needs_is_refused() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    z = (y * y).sum()
    with minidl.no_grad():
        row = y.reshape(1, 2)
        row += 1
    with pytest.raises(GradError, match="modified in place"):
        z.backward()


def test_writing_to_a_leaf_is_refused_while_recording() -> None:
    x = leaf(1.0)
    with pytest.raises(GradError, match=r"\+=: a leaf tensor that requires gradients.*no_grad"):
        x += 1
    y = x.reshape(1)
    with pytest.raises(GradError, match="a view of a leaf"):
        y += 1
    with minidl.no_grad():
        x += 1
    assert x.item() == 2
    assert x.version == 1


def test_writing_after_a_recorded_pass_is_refused_in_the_second() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    (g,) = minidl.grad((y**3).sum(), x, create_graph=True)
    with minidl.no_grad():
        y.add_(1)
    with pytest.raises(GradError, match="modified in place"):
        g.sum().backward()


def test_replacing_the_numbers_of_a_leaf_is_refused_in_a_recorded_pass() -> None:
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    x.data = minidl.tensor([5.0, 6.0])
    with pytest.raises(
        GradError, match="mul: cannot be differentiated twice: the numbers of a leaf it needs were replaced"
    ):
        minidl.grad(y, x, create_graph=True)
    y.backward()  # has what it needs
    np.testing.assert_array_equal(x.grad.numpy(), [2, 4])


def test_a_gradient_that_cannot_be_accumulated_into_is_refused() -> None:
    x = leaf(1.0, 2.0)
    with pytest.raises(DTypeError, match=r"grad: a gradient of int64 for a tensor of float32.*value.to\(x.dtype\)"):
        x.grad = minidl.tensor([1, 2])
    with pytest.raises(GradError, match=r"grad: a read-only view .*clone\(\)"):
        x.grad = minidl.ones(1).expand(2)


def test_a_leaf_that_wants_no_gradient_any_more_gets_none() -> None:
    x, w = leaf(1.0), leaf(2.0)
    y = (x * w).sum()
    w.requires_grad_(False)
    y.backward()
    assert x.grad.item() == 2
    assert w.grad is None


# ---------------------------------------------------------------------- memory


def test_a_graph_is_freed_with_its_last_reference() -> None:
    gc.collect()
    gc.disable()
    try:
        x = minidl.ones(1000, requires_grad=True)
        y = x * x
        row = y.reshape(10, 100)
        row += 1
        row.retain_grad()
        row.register_hook(lambda g: g)
        z = row.sum()
        watched = [weakref.ref(t._node) for t in (y, row, z)] + [weakref.ref(y), weakref.ref(z)]
        z.backward(retain_graph=True)
        del y, z, row
        assert [w() for w in watched] == [None] * len(watched)
    finally:
        gc.enable()


def test_a_recorded_gradient_leaves_no_cycle() -> None:
    gc.collect()
    gc.disable()
    try:
        x = leaf(2.0)
        y = (x * x * x).sum()
        (g,) = minidl.grad(y, x, create_graph=True)
        (h,) = minidl.grad(g.sum(), x, create_graph=True)
        watched = [weakref.ref(t._node) for t in (y, g, h)]
        del y, g, h
        assert [w() for w in watched] == [None] * 3
    finally:
        gc.enable()


def test_saved_arrays_are_freed_as_backward_passes() -> None:
    x = leaf(1.0, 2.0)
    y = x * 1
    z = (y * y).sum()
    watched = weakref.ref(y.array)
    del y
    assert watched() is not None
    z.backward()
    assert watched() is None


def test_what_is_not_saved_is_not_kept() -> None:
    x = leaf(1.0, 2.0)
    y = x + 1
    watched = weakref.ref(y.array)
    z = y + 1
    del y
    assert watched() is None
    z.sum().backward()


# ---------------------------------------------------------------------- hooks


def test_a_hook_on_a_leaf_replaces_its_gradient() -> None:
    x = leaf(1.0, 2.0)
    handle = x.register_hook(lambda g: g * 10)
    (x * 1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [10, 10])
    handle.remove()
    x.grad = None
    (x * 1).sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [1, 1])


def test_a_hook_on_a_result_replaces_what_flows_on() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), [30, 30])


def test_a_hook_must_keep_the_shape() -> None:
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(GradError, match=r"hook returned \(\); expected None or a tensor of shape \(2,\)"):
        (x * 1).sum().backward()


def test_a_hook_on_a_leaf_sees_its_whole_gradient_once() -> None:
    x = leaf(1.0, 2.0)
    seen = []
    x.register_hook(lambda g: seen.append(g.tolist()) or g.clip(None, 4.0))
    y = (x * 2 + x * 3).sum()
    y.backward(retain_graph=True)
    assert seen == [[5, 5]]
    np.testing.assert_array_equal(x.grad.numpy(), [4, 4])
    (g,) = minidl.grad(y, x, create_graph=True)
    np.testing.assert_array_equal(g.numpy(), [4, 4])


def test_grad_calls_no_hook_of_other_leaves() -> None:
    x, w = leaf(1.0), leaf(1.0)
    calls = []
    w.register_hook(calls.append)
    minidl.grad((x * w).sum(), x)
    assert calls == []


def test_a_hook_that_keeps_its_gradient_keeps_a_copy_of_the_leafs() -> None:
    x = leaf(1.0)
    kept = []
    x.register_hook(kept.append)
    (x * 2).sum().backward()
    (x * 2).sum().backward()
    assert [g.item() for g in kept] == [2, 2]
    assert x.grad.item() == 4


def test_a_hook_that_fails_leaves_the_modes_as_they_were() -> None:
    x = leaf(1.0)
    y = x * x

    def fail(g: Any) -> None:
        raise RuntimeError("no")

    handle = y.register_hook(fail)
    for create_graph in (False, True):
        with pytest.raises(RuntimeError, match="no"):
            (y * y).sum().backward(create_graph=create_graph)
        assert minidl.is_grad_enabled()
    handle.remove()
    (y * y).sum().backward()
    assert x.grad.item() == 4
    assert not x.grad.requires_grad


def test_retain_grad_comes_after_all_hooks() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y.retain_grad()
    y.register_hook(lambda g: g * 10)
    y.sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), [10, 10])


def test_retain_grad_follows_the_tensor_through_writes() -> None:
    x = leaf(1.0, 2.0)
    base = x * 2
    row = base[0]
    seen = []
    base.retain_grad()
    base.register_hook(lambda g: seen.append(g.tolist()))
    row.retain_grad()
    base *= 3
    assert base.retains_grad
    assert row.retains_grad
    (base.sum() + 4 * row).backward()
    np.testing.assert_array_equal(base.grad.numpy(), [5, 1])
    assert row.grad.item() == 4
    assert seen == [[15, 3]]  # a hook stays with the value it was registered on
    np.testing.assert_array_equal(x.grad.numpy(), [30, 6])


def test_retain_grad() -> None:
    x = leaf(1.0, 2.0)
    y = x * 3
    y.retain_grad()
    (y * y).sum().backward()
    np.testing.assert_array_equal(y.grad.numpy(), [6, 12])


# ---------------------------------------------------------------------- threads


def test_modes_belong_to_their_thread() -> None:
    seen = []
    with minidl.no_grad():
        thread = threading.Thread(target=lambda: seen.append(minidl.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_threads_lose_no_gradient_of_a_leaf_they_share() -> None:
    x = minidl.zeros(100_000, requires_grad=True)
    threads = [
        threading.Thread(target=lambda: [(x * 2).sum().backward() for _ in range(5)])  # NumPy releases the GIL in it
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(x.grad.tolist()) == {40.0}


def test_threads_differentiate_at_once() -> None:
    results: list[float] = []

    def work(k: int) -> None:
        x = leaf(float(k))
        y = x
        for _ in range(200):
            y = y * 1.0 + x
        y.sum().backward()
        results.append(x.grad.item())

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [201.0] * 8


def test_several_tensors_at_once() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    minidl.autograd.backward([(x * 2).sum(), x * 3], [None, minidl.tensor([1.0, 10.0])])
    assert x.grad.tolist() == [5, 32]
    minidl.autograd.backward([(x * 2).sum(), x.sum()])
    assert x.grad.tolist() == [8, 35]
    minidl.autograd.backward(x.sum())
    assert x.grad.tolist() == [9, 36]
    with pytest.raises(ArgumentError, match="backward: 2 tensors but 1 grad_tensors; give one for each"):
        minidl.autograd.backward([x, x], [None])


def test_a_pass_meets_overflow_and_nan_without_a_warning() -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    y = x * 10
    y.backward(minidl.tensor([3e38, float("inf")]), retain_graph=True)
    assert x.grad.tolist() == [float("inf")] * 2
    y.register_hook(lambda grad: grad * 0 * float("inf"))
    y.sum().backward(create_graph=True)
    assert x.grad.isnan().all()
