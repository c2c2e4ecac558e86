"""Views: what is written through them or to their bases reaches every graph that it concerns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import GradError


def leaf(*values: float) -> Any:
    return minidl.tensor(list(values), requires_grad=True)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[1],
        lambda x: x[:, 1:],
        lambda x: x.T[1:],
        lambda x: x.reshape(3, 2)[1:],
        lambda x: x[None].permute(2, 0, 1)[::2],
        lambda x: x.diagonal(),
        lambda x: x.unbind(1)[2],
        lambda x: x.split([1, 2], 1)[1].chunk(2, 0)[1],
        lambda x: x.T.reshape(3, 2, 1)[1],
        lambda x: x[1, 1],
    ],
)
@pytest.mark.parametrize("other", [lambda x: x.T, lambda x: x[1:], lambda x: x.reshape(-1)])
def test_a_write_through_a_view_reaches_base_and_other_views(view: Any, other: Any, rng: np.random.Generator) -> None:
    values = rng.standard_normal((2, 3))
    where = view(minidl.arange(6).reshape(2, 3)).numpy()
    mask = np.isin(np.arange(6).reshape(2, 3), where)

    def written(x: Any, w: Any) -> Any:
        h = x * 1
        before, seen = view(h), other(h)
        before *= w
        after = view(h)
        after += 1
        return (h * h).sum() + (seen.sin() * seen).sum() + before.cos().sum()

    def computed(x: Any, w: Any) -> Any:
        h = minidl.where(minidl.tensor(mask), x * w + 1, x)
        return (h * h).sum() + (other(h).sin() * other(h)).sum() + view(h).cos().sum()

    found = []
    for func in (written, computed):
        x = minidl.tensor(values, requires_grad=True)
        w = minidl.tensor(1.7, dtype="float64", requires_grad=True)
        assert minidl.gradcheck(func, (x, w))
        assert minidl.gradgradcheck(func, (x, w))
        found.append(minidl.grad(func(x, w), (x, w)))
    for mine, wanted in zip(*found, strict=True):
        np.testing.assert_allclose(mine.numpy(), wanted.numpy())


def test_a_view_taken_under_no_grad_stays_a_constant() -> None:
    w = leaf(1.0, 2.0)
    with minidl.no_grad():
        seen = w.view(-1)
        part = seen[0]
        w += 1
    assert not seen.requires_grad
    assert not (part * 2).requires_grad
    assert not seen[1:].requires_grad
    h = w * 1
    with minidl.no_grad():
        seen = h.view(-1)
    h *= w
    assert not (seen * 1).requires_grad
    np.testing.assert_array_equal(seen.numpy(), [4, 9])


@pytest.mark.parametrize("mode", [minidl.no_grad, minidl.inference_mode])
def test_a_view_taken_under_no_grad_is_no_way_around_the_graph(mode: Any) -> None:
    h = leaf(1.0, 2.0) * 1
    with mode():
        seen = h[0]
    with pytest.raises(
        GradError, match=r"mul_: this view was taken under no_grad.*outside of no_grad, or write inside"
    ):
        seen.mul_(2)
    with pytest.raises(GradError, match=r"x\[...\] = value: this view was taken under no_grad"):
        seen[...] = 2
    t = minidl.zeros(2)
    with mode():
        seen = t[0]
    with pytest.raises(GradError, match="this view was taken under no_grad"):
        seen += leaf(1.0)[0]
    seen += 1
    with minidl.no_grad():
        seen += leaf(1.0)[0]
    assert t.tolist() == [2, 0]
    assert not t.requires_grad


def test_a_view_can_become_a_leaf() -> None:
    base = minidl.ones(4)
    part = base[:2].requires_grad_()
    with pytest.raises(GradError, match="a leaf tensor that requires gradients cannot be changed in place"):
        part.mul_(2)
    base.mul_(2)
    assert part.is_leaf
    y = (part * part).sum()
    y.backward()
    np.testing.assert_array_equal(part.grad.numpy(), [4, 4])
    y = (part * part).sum()
    base.mul_(2)
    with pytest.raises(GradError, match="modified in place"):
        y.backward()


def test_requires_grad_of_a_stale_view_is_up_to_date() -> None:
    base = minidl.ones(4)
    part = base[:2]
    base *= leaf(3.0)
    part.requires_grad = True  # as it is already
    assert not part.is_leaf
    assert minidl.grad(part.sum(), part)[0].tolist() == [1, 1]


def test_the_gradient_of_a_view_that_its_base_left_behind() -> None:
    base = minidl.ones(4)
    part = base[:2]
    w = leaf(3.0)
    base *= w
    assert minidl.grad((part * 2).sum(), [part, w])[1].item() == 4


def test_a_base_that_is_a_scalar() -> None:
    x = minidl.tensor(2.0, dtype="float64", requires_grad=True)

    def func(x: Any) -> Any:
        h = x * 1
        row = h.reshape(1)
        row *= x
        row[0] += x * x
        return h

    assert minidl.gradcheck(func, x)
    assert minidl.gradgradcheck(func, x)


def test_a_detached_tensor_shares_the_version() -> None:
    x = leaf(1.0, 2.0)
    h = x * 1
    y = (h * h).sum()
    h.detach()[0] = 7
    assert h[0].item() == 7
    with pytest.raises(GradError, match="modified in place"):
        y.backward()
