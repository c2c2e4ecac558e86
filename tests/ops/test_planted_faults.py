"""Can the checks fail? Each operation's backward is broken on purpose, and some case must notice.

For every operation in the registry, for every input it differentiates: the sign flipped, the size changed by a
tenth, and one element changed. A fault that no case notices means that the cases of that operation prove nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

import pytest

import minidl
import tests.ops
from minidl.autograd import OPERATIONS
from minidl.backend import namespace
from tests.ops.harness import Case, floats


def all_cases() -> dict[str, list[Case]]:
    """Return the cases of every module of this folder, by operation."""
    found: dict[str, list[Case]] = {}
    for module in pkgutil.iter_modules(tests.ops.__path__):
        for case in getattr(importlib.import_module(f"tests.ops.{module.name}"), "CASES", []):
            found.setdefault(case.op, []).append(case)
    return found


CASES_BY_OPERATION = all_cases()


def flip_sign(grad: Any) -> Any:
    return -grad


def change_size(grad: Any) -> Any:
    return grad * 1.1


def change_one_element(grad: Any) -> Any:
    middle = namespace(grad).arange(grad.size).reshape(grad.shape) == grad.size // 2
    return grad + 0.5 * middle


def is_caught(case: Case, broken: type, position: int, fault: Callable[..., Any], monkeypatch: Any) -> bool:
    """Whether the gradient check of ``case`` fails while the rule of ``broken`` has a fault in one input."""
    right = broken.backward
    reached = False

    def wrong(self: Any, *grads: Any) -> Any:
        nonlocal reached
        results = right(self, *grads)
        several = isinstance(results, tuple)
        results = list(results) if several else [results]
        grad = results[position] if position < len(results) else None
        if grad is not None and self.edges[position] is not None and grad.size:
            reached = True
            results[position] = fault(grad)
        return tuple(results) if several else results[0]

    with monkeypatch.context() as patch:
        patch.setattr(broken, "backward", wrong)
        good = minidl.gradcheck(case.call, tuple(case.tensors()), raise_exception=False)
    return reached and not good


def differentiated_positions(operation: type, cases: list[Case]) -> list[int]:
    """Return which inputs of the operation its cases take gradients of."""
    positions: set[int] = set()
    for case in cases:
        stack = [y._node for y in floats(case.call(*case.tensors())) if y._node is not None]
        seen = set()
        while stack:
            node = stack.pop()
            if node in seen:
                continue
            seen.add(node)
            if type(node) is operation:
                positions |= {i for i, edge in enumerate(node.edges) if edge is not None}
            stack.extend(edge[0] for edge in node.edges if edge is not None and hasattr(edge[0], "edges"))
    return sorted(positions)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_fault_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = OPERATIONS[name]
    cases = CASES_BY_OPERATION.get(name, [])
    assert cases, f"operation {name!r} has no case in tests/ops"
    if not operation.differentiable:
        return
    cases = [case for case in cases if case.differentiable]
    positions = differentiated_positions(operation, cases)
    assert positions, f"no case differentiates {name!r}"
    for position in positions:
        for fault in (flip_sign, change_size, change_one_element):
            assert any(is_caught(case, operation, position, fault, monkeypatch) for case in cases), (
                f"{fault.__name__} in the gradient of input {position + 1} of {name!r} goes unnoticed"
            )
