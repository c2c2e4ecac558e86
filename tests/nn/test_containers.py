"""Containers."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, DTypeError, RangeError


def layers(n: int) -> list[nn.Module]:
    return [nn.Linear(i + 1, i + 2) for i in range(n)]


def test_sequential_chains() -> None:
    a, b = nn.Linear(2, 3), nn.Linear(3, 1)
    model = nn.Sequential(a, nn.ReLU(), b)
    x = minidl.tensor(np.random.default_rng(0).standard_normal((4, 2)).astype("f4"))
    np.testing.assert_array_equal(model(x).detach().numpy(), b(minidl.relu(a(x))).detach().numpy())
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert nn.Sequential()(x) is x


@pytest.mark.parametrize("layer", [nn.Linear(6, 6), nn.Conv2d(2, 3, 3, padding=1)])
def test_a_relu_runs_in_the_pass_of_the_layer_before_it(layer: nn.Module) -> None:
    """With the numbers and gradients of two passes; and in two where a hook or a subclass stands between them."""

    class Own(nn.ReLU):
        pass

    def nodes(relu: nn.Module) -> int:
        """Check a model, and return how many operations it has."""
        model = nn.Sequential(layer, relu, nn.Flatten())
        apart = relu(layer(x))
        y = model(x)
        np.testing.assert_allclose(y.numpy(force=True), apart.flatten(1).numpy(force=True), rtol=1e-6)
        weights = minidl.arange(float(y.numel())).reshape(y.shape)
        expected = minidl.grad((apart.flatten(1) * weights).sum(), [x, *layer.parameters()])
        for got, wanted in zip(minidl.grad((y * weights).sum(), [x, *layer.parameters()]), expected, strict=True):
            np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-4, atol=1e-4)
        seen, waiting = set(), [y._node]
        while waiting:
            node = waiting.pop()
            seen.add(node)
            waiting += [edge[0] for edge in node.edges if edge is not None and hasattr(edge[0], "edges")]
        return len(seen)

    x = minidl.tensor(np.random.default_rng(0).standard_normal((4, 2, 6, 6)).astype("f4"), requires_grad=True)
    assert nodes(nn.ReLU()) == 2
    assert nodes(Own()) == 3
    outputs = []
    with layer.register_forward_hook(lambda module, args, output: outputs.append(output.numpy(force=True))):
        assert nodes(nn.ReLU()) == 3
    assert all((output < 0).any() for output in outputs)
    assert len(outputs) == 2


def test_sequential_ends_with_a_layer_that_waits_for_a_relu() -> None:
    x, layer = minidl.ones(1, 2), nn.Linear(2, 3)
    both = nn.Sequential(layer, nn.Linear(3, 3))
    np.testing.assert_array_equal(both(x).numpy(force=True), both[1](layer(x)).numpy(force=True))


def test_sequential_by_name() -> None:
    model = nn.Sequential(OrderedDict(first=nn.Linear(2, 3), act=nn.ReLU()))
    assert model.first is model[0]
    assert list(model.state_dict()) == ["first.weight", "first.bias"]
    model.first = nn.Linear(2, 5)  # its place is kept
    assert model(minidl.ones(1, 2)).shape == (1, 5)
    assert repr(model[:1]) == "Sequential(\n  (first): Linear(in_features=2, out_features=5, bias=True)\n)"


def test_sequential_is_a_list() -> None:
    a, b, c, d = layers(4)
    model = nn.Sequential(a, b, c)
    assert len(model) == 3
    assert list(model) == [a, b, c]
    assert model[-1] is c
    assert list(model[1:]) == [b, c]
    assert type(model[1:]) is nn.Sequential
    assert model.append(d) is model
    del model[1]
    assert list(model) == [a, c, d]
    assert [name for name, _ in model.named_children()] == ["0", "1", "2"]
    model.insert(1, b)
    assert list(model) == [a, b, c, d]
    assert [name for name, _ in model.named_children()] == ["0", "1", "2", "3"]
    model[0] = d
    assert model[0] is d
    del model[1:]
    assert list(model) == [d]
    model.extend([a, b])
    assert model.pop() is b
    assert list(model) == [d, a]
    assert list(nn.Sequential(a) + nn.Sequential(b)) == [a, b]
    with pytest.raises(RangeError, match="Sequential: index 2 is out of range, it holds 2"):
        model[2]
    with pytest.raises(DTypeError, match="Sequential: an index must be an integer or a slice, got 'a'"):
        model["a"]


def test_a_subclass_of_sequential_with_attributes_of_its_own() -> None:
    class Block(nn.Sequential):
        def __init__(self, size: int) -> None:
            super().__init__(nn.Linear(size, size), nn.ReLU())
            self.size = size

    block = Block(3)
    assert len(block) == 2
    assert list(block[:1]) == [block[0]]
    assert block(minidl.ones(1, 3)).shape == (1, 3)


def test_containers_refuse_what_they_cannot_hold() -> None:
    with pytest.raises(DTypeError, match=r"Sequential holds Modules, got a list: .*; unpack it: \(\*layers\)"):
        nn.Sequential([nn.ReLU()])
    with pytest.raises(DTypeError, match=r"ModuleList holds Modules, got a type: .*; call it"):
        nn.ModuleList([nn.ReLU])
    with pytest.raises(DTypeError, match="ParameterList holds Parameters, got a int: 3"):
        nn.ParameterList([3])
    with pytest.raises(DTypeError, match="ModuleDict holds Modules, got a Tensor"):
        nn.ModuleDict({"a": minidl.ones(1)})
    with pytest.raises(ArgumentError, match="ModuleDict has an attribute 'keys' already; choose another name"):
        nn.ModuleDict({"keys": nn.ReLU()})
    with pytest.raises(ArgumentError, match=r"'a\.b' cannot name a member"):
        nn.ModuleDict({"a.b": nn.ReLU()})


def test_module_list() -> None:
    a, b, c = layers(3)
    held = nn.ModuleList([a, b])
    before = held
    held += [c]
    assert held is before
    assert list(held) == [a, b, c]
    assert [type(part) for part in (held[:2], held + held)] == [nn.ModuleList] * 2
    assert list(held[::-1]) == [c, b, a]
    assert list(held.state_dict())[:2] == ["0.weight", "0.bias"]
    held.insert(0, c)
    assert held.pop(0) is c
    assert b in held
    twin = copy.deepcopy(held)
    assert twin[0] is not held[0]
    assert repr(nn.ModuleList()) == "ModuleList()"
    with pytest.raises(NotImplementedError, match="ModuleList has no forward"):
        held(minidl.ones(1))


def test_module_dict() -> None:
    a, b, c = layers(3)
    held = nn.ModuleDict({"a": a, "b": b})
    held["c"] = c
    held.update([("b", c)])
    assert list(held) == list(held.keys()) == ["a", "b", "c"]
    assert list(held.values()) == [a, c, c]
    assert dict(held.items())["b"] is c
    assert held["a"] is held.a is held.get("a") is a
    assert "a" in held
    assert "z" not in held
    assert held.get("z") is None
    assert held.pop("a") is a
    assert len(held) == 2
    with pytest.raises(KeyError, match="ModuleDict holds no 'a'; it holds 'b', 'c'"):
        held["a"]
    held.clear()
    assert len(held) == 0
    assert list(nn.ModuleDict([("x", a)])) == ["x"]


def test_parameter_list_and_dict() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.listed = nn.ParameterList([minidl.ones(2), nn.Parameter(minidl.ones(3))])
            self.named = nn.ParameterDict({"scale": minidl.ones(1)})

        def forward(self, x: Any) -> Any:
            return x * self.named["scale"] + sum(p.sum() for p in self.listed)

    model = Model()
    model.listed.append(minidl.ones(4))
    assert [name for name, _ in model.named_parameters()] == ["listed.0", "listed.1", "listed.2", "named.scale"]
    model(minidl.ones(2)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    assert "(0): Parameter of shape (2,), float32" in repr(model.listed)
    assert repr(model.named) == "ParameterDict(\n  (scale): Parameter of shape (1,), float32\n)"
