"""Arithmetic."""

from __future__ import annotations

import minidl
from tests.ops.harness import (  # noqa: F401
    Case,
    nonzero,
    test_dtype_is_kept,
    test_gradients,
    test_memory_layout,
    test_second_gradients,
    test_torch,
    test_values,
)

CASES = [
    Case("add", lambda x, y: x + y, [(3, 4), (3, 4)], lambda x, y: x + y, lambda x, y: x + y),
    Case("add", lambda x, y: x + y, [(3, 1), (4,)], lambda x, y: x + y, lambda x, y: x + y),
    Case("add", lambda x, y: x + y, [(), (2, 3)], lambda x, y: x + y),
    Case("add", lambda x, y: x + y, [(0, 3), (3,)], lambda x, y: x + y),
    Case("add", lambda x, y: minidl.add(x, y, alpha=2), [(3,), (3,)], lambda x, y: x + 2 * y),
    Case("sub", lambda x, y: x - y, [(3, 1), (4,)], lambda x, y: x - y, lambda x, y: x - y),
    Case("sub", lambda x: 1 - x, [(3, 4)], lambda x: 1 - x),
    Case("mul", lambda x, y: x * y, [(3, 1), (4,)], lambda x, y: x * y, lambda x, y: x * y),
    Case("mul", lambda x: 3 * x, [(3, 4)], lambda x: 3 * x),
    Case("div", lambda x, y: x / y, [(3, 1), nonzero(4)], lambda x, y: x / y, lambda x, y: x / y),
    Case("div", lambda x: 2 / x, [nonzero(3, 4)], lambda x: 2 / x),
    Case("neg", lambda x: -x, [(3, 4)], lambda x: -x, lambda x: -x),
]
