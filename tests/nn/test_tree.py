"""Tree: what it remembers of a model is never another than what the model would answer itself."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

import minidl
from minidl import keras, nn
from minidl.nn.tree import Tree


class Holder(nn.Module):
    """Members in every place where they may stand."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.listed = [nn.Linear(2, 3), {"inner": [nn.Parameter(minidl.zeros(2))]}]
        self.named: dict[str, Any] = {}
        self.pair = (nn.Linear(1, 1), [nn.Linear(1, 2)])
        self.sequence = nn.Sequential(nn.ReLU(), nn.Linear(3, 3))
        self.loop: list[Any] = [self]
        self.loop.append(self.loop)


CHANGES: dict[str, Callable[[Holder], Any]] = {
    "an attribute is set": lambda m: setattr(m, "another", nn.Linear(1, 1)),
    "an attribute is replaced": lambda m: setattr(m, "layer", nn.Linear(3, 3)),
    "a parameter is replaced": lambda m: setattr(m.layer, "weight", nn.Parameter(minidl.ones(2, 2))),
    "an attribute is set to None": lambda m: setattr(m.layer, "bias", None),
    "an attribute is deleted": lambda m: delattr(m, "layer"),
    "a list is set": lambda m: setattr(m, "more", [nn.Linear(1, 1)]),
    "a list is appended to": lambda m: m.listed.append(nn.Linear(1, 1)),
    "an entry of a list is replaced": lambda m: m.listed.__setitem__(0, nn.Linear(2, 3)),
    "an entry of a list gives its place to a new one": lambda m: (m.listed.pop(0), m.listed.insert(0, nn.Linear(2, 3))),
    "a list within a dict within a list": lambda m: m.listed[1]["inner"].append(nn.Parameter(minidl.zeros(1))),
    "a list within a tuple": lambda m: m.pair[1].clear(),
    "a list within a new list": lambda m: m.listed.append([nn.Linear(1, 1)]),
    "an empty dict": lambda m: m.named.update(first=nn.Linear(1, 1)),
    "a module below": lambda m: m.pair[0].register_module("inner", nn.Linear(1, 1)),
    "a container": lambda m: m.sequence.append(nn.Linear(3, 1)),
    "a container loses all": lambda m: m.sequence.__delitem__(slice(None)),
    "the order": lambda m: m.listed.reverse(),
    "nothing": lambda m: None,
}


def agrees(tree: Tree, model: nn.Module) -> bool:
    modules, parameters = tree.modules(), tree.parameters()
    known = [id(x) for x in (*modules, *parameters)]
    return known == [id(x) for x in (*model.modules(), *model.parameters())]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_tree_knows_of_every_change(change: Callable[[Holder], Any]) -> None:
    model = Holder()
    tree = Tree(model)
    assert agrees(tree, model)
    before = [*tree.modules(), *tree.parameters()]
    change(model)
    assert agrees(tree, model)
    now = [*tree.modules(), *tree.parameters()]
    same = len(now) == len(before) and all(a is b for a, b in zip(now, before, strict=True))
    assert same == (change is CHANGES["nothing"])


def test_a_tree_looks_again_only_after_a_change() -> None:
    model = Holder()
    tree = Tree(model)
    found = tree.modules()
    model.count = 3  # type: ignore[assignment]
    model.layer.weight.grad = minidl.ones(2, 2)
    assert tree.modules() is found
    model.listed.append(nn.ReLU())
    assert tree.modules() is not found


def test_a_copy_of_a_model_has_a_tree_of_its_own() -> None:
    model = Holder()
    tree = Tree(model)
    tree.modules()
    copied = copy.deepcopy(model)
    assert agrees(Tree(copied), copied)
    assert agrees(tree, model)


KERAS_CHANGES: dict[str, Callable[[Any], Any]] = {
    "add": lambda m: m.add(keras.layers.Dense(2)),
    "pop": lambda m: m.pop(),
    "build": lambda m: m.build((None, 3)),
    "a weight more": lambda m: m.layers[0].add_weight((2,), name="name"),  # a name that is taken
    "and one more": lambda m: [m.layers[0].add_weight((2,), name="name") for _ in range(2)],
}


@pytest.mark.parametrize("change", KERAS_CHANGES.values(), ids=KERAS_CHANGES.keys())
def test_a_tree_knows_of_changes_of_a_sequential(change: Callable[[Any], Any]) -> None:
    model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dropout(0.5)])
    tree = Tree(model)
    assert agrees(tree, model)
    change(model)
    assert agrees(tree, model)


class Frozen(nn.BatchNorm1d):
    """The usual way to keep a layer out of training."""

    def train(self, mode: bool = True) -> Any:
        return super().train(False)


@pytest.mark.parametrize("mode", [True, False])
def test_modes_are_what_train_and_eval_make_them(mode: bool) -> None:
    for layer in (Frozen(2), nn.BatchNorm1d(2)):
        model, twin = (nn.Sequential(nn.Linear(2, 2), copy.deepcopy(layer), nn.Dropout(0.5)) for _ in range(2))
        tree = Tree(model)
        assert [was for _, was in tree.train(mode)] == [True] * 4
        twin.train() if mode else twin.eval()
        assert [m.training for m in model.modules()] == [m.training for m in twin.modules()]
