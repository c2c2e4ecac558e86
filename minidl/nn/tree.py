"""Tree: the modules and parameters below a module, found once, and again only where there may be others.

A module looks for what belongs to it whenever it is asked, attribute by attribute. A loop that asks at each step would
spend more time on that than a small network takes to compute. So a tree remembers the answer until any module was given
a member, or something that can hold members; lists and dicts, which change without a module noticing, it compares.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Any

from minidl.backend import CPU, Device, default_device, device_of, gpu_in_use
from minidl.nn.module import MEMBERS, Members, Module
from minidl.nn.parameter import Parameter


class Tree:
    """The modules and parameters of a model.

    Parameters
    ----------
    root : Module
    """

    def __init__(self, root: Module) -> None:
        self.root = root
        self._known: object = None
        self._modules: list[Module] = []
        self._parameters: list[Parameter] = []
        self._containers: list[tuple[Any, list[Any]]] = []  # each with the members that were in it
        self._switched_as_one = True

    def modules(self) -> list[Module]:
        """Return the root and all modules below it, in definition order, each once."""
        self._look()
        return self._modules

    def parameters(self) -> list[Parameter]:
        """Return all parameters, in definition order, each once."""
        self._look()
        return self._parameters

    def train(self, mode: bool) -> list[tuple[Module, bool]]:
        """Do what ``train()`` or ``eval()`` of the root does; return each module with the mode it was in."""
        before = [(module, module.training) for module in self.modules()]
        if self._switched_as_one:
            for module, _ in before:
                module.__dict__["training"] = mode
        else:
            self.root.train() if mode else self.root.eval()
        return before

    def _look(self) -> None:
        if self._known is Members.moment:
            for container, held in self._containers:
                if (container or held) and not _holds(container, held):
                    break
            else:
                return
        self._known = Members.moment  # first: what changes from here on is for the next look
        below = list(self.root.below())
        self._modules = [x for x in below if isinstance(x, Module)]
        self._parameters = [x for x in below if isinstance(x, Parameter)]
        found = (c for module in self._modules for c in _containers(module.__dict__.values(), ()))
        self._containers = [(container, _held(container)) for container in found]
        # a class may say for itself what training is, that of a layer which never comes into it
        own = {(type(module).train, type(module).eval) for module in self._modules}
        self._switched_as_one = own == {(Module.train, Module.eval)}


def place_of(root: Module) -> Device:
    """Return where the parameters below a module live, and its inputs belong; the default device if it has none."""
    if not gpu_in_use():
        return CPU
    parameter = next(root.parameters(), None)
    return default_device() if parameter is None else device_of(parameter.array)


def _containers(values: Any, above: tuple[Any, ...]) -> Iterator[Any]:
    """Yield the lists and dicts among values, and those within them and within tuples."""
    for value in values:
        if isinstance(value, (list, tuple, dict)) and not any(value is other for other in above):
            if not isinstance(value, tuple):
                yield value
            yield from _containers(value.values() if isinstance(value, dict) else value, (*above, value))


def _held(container: Any) -> list[Any]:
    return [x for x in (container.values() if isinstance(container, dict) else container) if isinstance(x, MEMBERS)]


def _holds(container: Any, held: list[Any]) -> bool:
    now = _held(container)
    return len(now) == len(held) and all(map(operator.is_, now, held))
