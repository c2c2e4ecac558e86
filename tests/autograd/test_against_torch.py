"""Random programs beside PyTorch: views, writes and switches in any order.

Each program runs twice. In minidl tensors alias each other, as they do for a user. In the reference nothing does:
every tensor is a :class:`Region` of a :class:`Root`, whose value PyTorch computes without a view or a write, so its
gradients are right whatever the program does. minidl must have the same values after each step, and in the end the
same gradients of first and second order, or refuse with a GradError.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl
from minidl.errors import GradError

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


class Overwrite(torch.autograd.Function):
    """Other numbers in the same place of the graph: what a write under no_grad does."""

    @staticmethod
    def forward(ctx: Any, old: Any, new: Any) -> Any:
        return new.detach().clone()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return grad, None


class Root:
    """A tensor that is no view. Those that ``detach()`` made of one another lie at ``places`` of one ``memory``."""

    def __init__(self, value: Any, memory: Any = None, places: Any = None) -> None:
        self.value = value
        self.memory = memory or {"numbers": value.detach().reshape(-1).clone(), "roots": []}
        self.places = torch.arange(value.numel()).reshape(value.shape) if places is None else places
        self.memory["roots"].append(self)


class Region:
    """What a tensor sees of its root: the elements at ``places``, without their graph if not ``recorded``."""

    def __init__(self, root: Root, places: Any = None, recorded: bool = True) -> None:
        self.root, self.recorded = root, recorded
        self.places = torch.arange(root.value.numel()).reshape(root.value.shape) if places is None else places

    def read(self) -> Any:
        value = self.root.value.reshape(-1)[self.places.reshape(-1)].reshape(self.places.shape)
        return value if self.recorded else value.detach()

    @torch.enable_grad()
    def write(self, value: Any, recorded: bool) -> None:
        root, memory = self.root, self.root.memory
        flat = root.value.reshape(-1).index_put((self.places.reshape(-1),), value.reshape(-1))
        written = flat.reshape(root.value.shape)
        root.value = written if recorded else Overwrite.apply(root.value, written)
        memory["numbers"][root.places.reshape(-1)] = root.value.detach().reshape(-1)
        for other in memory["roots"]:
            if other is not root:
                other.value = Overwrite.apply(other.value, memory["numbers"][other.places])

    def detached(self) -> Region:
        places = self.root.places.reshape(-1)[self.places]
        return Region(Root(self.read().detach().clone(), self.root.memory, places))


# Each takes the library first, minidl or torch.
ONE: dict[str, Callable[..., Any]] = {
    "sin": lambda lib, x: x.sin(),
    "tanh": lambda lib, x: x.tanh(),
    "sigmoid": lambda lib, x: x.sigmoid(),
    "relu": lambda lib, x: x.relu(),
    "abs": lambda lib, x: x.abs(),
    "neg": lambda lib, x: -x,
    "square": lambda lib, x: x * x,
    "cube": lambda lib, x: 0.1 * x**3,
    "log": lambda lib, x: (x * x + 1).log(),
    "sqrt": lambda lib, x: (x * x + 1).sqrt(),
    "clone": lambda lib, x: x.clone(),
    "checkpoint": lambda lib, x: (
        minidl.checkpoint(lambda z: (z.sin() * z).tanh(), x) if lib is minidl else (x.sin() * x).tanh()
    ),
    "sum": lambda lib, x: x.sum(0) if x.ndim else x * 2,
    "mean": lambda lib, x: x.mean(-1, keepdim=True) if x.ndim else x * 2,
    "logsumexp": lambda lib, x: x.logsumexp(0) if x.ndim else x * 2,
    "cumsum": lambda lib, x: x.cumsum(-1) if x.ndim else x * 2,
    "softmax": lambda lib, x: x.softmax(0) if x.ndim else x * 2,
    "var": lambda lib, x: x.var(-1, correction=0) if x.ndim else x * 2,
    "gather": lambda lib, x: x[[0, -1, 0]] if x.ndim else x * 2,
    "gram": lambda lib, x: x @ x.mT * 0.3 if x.ndim > 1 else x * 2,
}
TWO: dict[str, Callable[..., Any]] = {
    "add": lambda lib, x, y: x + y,
    "sub": lambda lib, x, y: x - y,
    "mul": lambda lib, x, y: x * y,
    "div": lambda lib, x, y: x / (y * y + 1.3),
    "where": lambda lib, x, y: lib.where(x > 0.1, y, x * 2),
    "lerp": lambda lib, x, y: x + 0.3 * (y - x),
    "atan2": lambda lib, x, y: lib.atan2(x, y * y + 1),
}
JOIN: dict[str, Callable[..., Any]] = {
    "cat": lambda lib, x, y: lib.cat([x, y], 0) if x.ndim else x + y,
    "stack": lambda lib, x, y: lib.stack([x, y], -1),
    "matmul": lambda lib, x, y: x.reshape(-1) @ y.reshape(-1),
}
# In place, and what is written.
WRITE_ONE: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "sin_": (lambda x: x.sin_(), lambda x: x.sin()),
    "tanh_": (lambda x: x.tanh_(), lambda x: x.tanh()),
    "mul_": (lambda x: x.mul_(0.5), lambda x: x * 0.5),
    "add_": (lambda x: x.add_(1), lambda x: x + 1),
    "square_": (lambda x: x.clamp_(-1, 1).square_(), lambda x: x.clamp(-1, 1) ** 2),
    "relu_": (lambda x: x.relu_(), lambda x: x.relu()),
    "zero_": (lambda x: x.zero_(), lambda x: x * 0),
    "masked_fill_": (lambda x: x.masked_fill_(x > 0.4, 0.2), lambda x: x.masked_fill(x > 0.4, 0.2)),
    "mask": (lambda x: x.__setitem__(x < 0.1, 0.3), lambda x: torch.where(x < 0.1, 0.3, x)),
}
WRITE_TWO: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "add_": (lambda x, y: x.add_(y), lambda x, y: x + y),
    "mul_": (lambda x, y: x.mul_(y.tanh()), lambda x, y: x * y.tanh()),
    "sub_": (lambda x, y: x.sub_(y, alpha=0.5), lambda x, y: x - 0.5 * y),
    "div_": (lambda x, y: x.div_(y * y + 1.4), lambda x, y: x / (y * y + 1.4)),
    "copy_": (lambda x, y: x.copy_(y), lambda x, y: y.expand(x.shape)),
    "addcmul_": (lambda x, y: x.addcmul_(y, y, value=0.1), lambda x, y: x + 0.1 * y * y),
}


def views(shape: tuple[int, ...], rng: random.Random) -> Callable[[Any], Any]:
    """Return a function that takes a view, or several, of a tensor of that shape."""
    if not shape:
        return rng.choice([lambda x: x.reshape(1), lambda x: x[None, ...], lambda x: x.expand(2)])
    axis = rng.randrange(len(shape))
    before = (slice(None),) * axis
    order = rng.sample(range(len(shape)), len(shape))
    choices = [lambda x: x.permute(order), lambda x: x.unsqueeze(axis), lambda x: x[None], lambda x: x.squeeze()]
    if shape[axis]:
        first = rng.randrange(shape[axis])
        choices += [
            lambda x: x.select(axis, first),
            lambda x: x[(*before, slice(first, None))],
            lambda x: x[(*before, slice(None, first + 1, 2))],
            lambda x: x.unbind(axis),
            lambda x: x.split(2, axis),
        ]
    if len(shape) > 1:
        choices.append(lambda x: x.diagonal())
    return rng.choice(choices)


class Program:
    """A random sequence of steps, taken in minidl and in the reference."""

    def __init__(self, seed: int) -> None:
        self.rng, self.numbers = random.Random(seed), np.random.default_rng(seed)
        self.tensors: list[tuple[Any, Region]] = []  # minidl's, and the reference's
        self.leaves: list[tuple[Any, Any]] = []
        self.steps = [
            self.compute,
            self.compute,
            self.compute,
            self.view,
            self.view,
            self.write,
            self.write,
            self.detach,
        ]
        for shape in self.rng.sample([(2, 3), (3,), (3, 3), (1, 3), (2, 1, 3), ()], 3):
            values = self.numbers.uniform(-1.2, 1.2, shape)
            leaf = minidl.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
            self.leaves.append(leaf)
            self.tensors.append((leaf[0], Region(Root(leaf[1]))))
            self.tensors.append((leaf[0] * 1, Region(Root(leaf[1] * 1))))

    def pick(self, fits: Callable[[tuple[int, ...]], bool] = lambda shape: True) -> tuple[Any, Region]:
        return self.rng.choice([pair for pair in self.tensors if fits(pair[0].shape)])

    def compute(self, recorded: bool) -> None:
        x, region = self.pick()
        kind = self.rng.choice([ONE, TWO, JOIN])
        operation = self.rng.choice(list(kind.values()))
        if kind is ONE:
            mine, theirs = operation(minidl, x), operation(torch, region.read())
        else:
            y, other = self.pick(lambda shape: shape == x.shape if kind is JOIN else broadcasts(shape, x.shape))
            mine, theirs = operation(minidl, x, y), operation(torch, region.read(), other.read())
        if mine.numel() < 50:
            self.tensors.append((mine, Region(Root(theirs if recorded else theirs.detach()))))

    def view(self, recorded: bool) -> None:
        x, region = self.pick()
        take = views(x.shape, self.rng)
        mine, places = take(x), take(region.places)
        for view, place in zip(mine, places, strict=True) if isinstance(mine, tuple) else [(mine, places)]:
            self.tensors.append((view, Region(region.root, place, recorded and region.recorded)))

    def write(self, recorded: bool) -> None:
        x, region = self.pick()
        if self.rng.random() < 0.4:
            write, compute = self.rng.choice(list(WRITE_ONE.values()))
            write(x)
            value = compute(region.read())
        else:
            write, compute = self.rng.choice(list(WRITE_TWO.values()))
            y, other = self.pick(lambda shape: broadcasts(shape, x.shape) and len(shape) <= len(x.shape))
            value = compute(region.read(), other.read())  # first: the two may overlap
            write(x, y)
        region.write(value if recorded else value.detach(), recorded)

    def detach(self, recorded: bool) -> None:
        x, region = self.pick(lambda shape: shape != ())
        if region.places.unique().numel() == region.places.numel():
            self.tensors.append((x.detach(), region.detached()))

    def step(self) -> None:
        recorded = self.rng.random() > 0.07
        before = [x.numpy(force=True).copy() for x, _ in self.tensors]
        with minidl.set_grad_enabled(recorded), torch.set_grad_enabled(recorded):
            try:
                self.rng.choice(self.steps)(recorded)
            except GradError:  # a write to a leaf, to what expand made, or through a view taken under no_grad
                for (x, _), values in zip(self.tensors, before, strict=True):
                    np.testing.assert_array_equal(x.numpy(force=True), values)
        for x, region in self.tensors:
            np.testing.assert_allclose(x.numpy(force=True), region.read().detach().numpy(), rtol=1e-9, atol=1e-10)

    def check(self, order: int, outcomes: Counter[str]) -> None:
        """Compare the gradients of each tensor."""
        leaves, wanted = zip(*self.leaves, strict=True)
        for x, region in self.tensors:
            if not (x.requires_grad and region.read().requires_grad):
                continue
            factor = self.numbers.uniform(-1, 1, x.shape)
            directions = [self.numbers.uniform(-1, 1, leaf.shape) for leaf in leaves]
            theirs = (region.read() * torch.tensor(factor)).sum()
            want = torch.autograd.grad(theirs, wanted, create_graph=True, allow_unused=True, materialize_grads=True)
            try:
                for leaf in leaves:
                    leaf.grad = None
                (x * factor).sum().backward(retain_graph=True)
                found = [leaf.grad for leaf in leaves]
                same(found, want)
                unshared([g.array for g in found if g is not None], [y.array for y, _ in self.tensors])
                outcomes["first"] += 1
                if order == 2:
                    found = minidl.grad((x * factor).sum(), leaves, create_graph=True, allow_unused=True)
                    pairs = [
                        (g, d) for g, d in zip(found, directions, strict=True) if g is not None and g.requires_grad
                    ]
                    if pairs:
                        products = sum((g * d).sum() for g, d in pairs)
                        found = minidl.grad(products, leaves, allow_unused=True, retain_graph=True)
                        products = sum((g * torch.tensor(d)).sum() for g, d in zip(want, directions, strict=True))
                        same(found, torch.autograd.grad(products, wanted, materialize_grads=True, retain_graph=True))
                        outcomes["second"] += 1
            except GradError as error:
                assert "modified in place" in str(error)  # noqa: PT017
                outcomes["refused"] += 1


def broadcasts(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, other) == other
    except ValueError:
        return False


def same(found: Any, want: Any) -> None:
    for mine, theirs in zip(found, want, strict=True):
        theirs = theirs.detach().numpy()
        if np.isfinite(theirs).all():
            np.testing.assert_allclose(
                np.zeros(theirs.shape) if mine is None else mine.numpy(force=True), theirs, rtol=1e-6, atol=1e-8
            )


def unshared(grads: list[Any], others: list[Any]) -> None:
    for position, grad in enumerate(grads):
        assert not any(np.shares_memory(grad, other) for other in (*grads[:position], *others))


@pytest.mark.parametrize("first", range(0, 60, 10))
def test_random_programs(first: int) -> None:
    outcomes: Counter[str] = Counter()
    for seed in range(first, first + 10):
        program = Program(seed)
        for _ in range(25):
            program.step()
        program.check(1 + seed % 2, outcomes)
    assert outcomes["first"] > 100
    assert outcomes["second"] > 10
    assert outcomes["refused"] < 50
