"""Single operations: convolutions, products, LSTM, pooling, normalisation, losses, Adam, by public functions alone.

Each is written once, in the dialect that minidl and PyTorch share. "Forward" leaves no record; a gradient is taken
alone, from a record that is kept, so that only its own arithmetic is timed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from benchmarks.frameworks import Dialect
from benchmarks.rows import Call, Row, both


class Conv(NamedTuple):
    """A convolution of N images of C channels and H x H pixels with K filters of R x R."""

    N: int
    C: int
    H: int
    K: int
    R: int
    padding: int = 0
    stride: int = 1
    groups: int = 1


def floats(lib: Dialect, *shape: int) -> Any:
    """Return noise around 0."""
    return lib.root.tensor(np.random.default_rng(0).normal(0, 1, shape).astype(np.float32))


def conv_operands(lib: Dialect, conv: Conv) -> tuple[Any, Any, Any]:
    """Return input, weight and bias."""
    x = floats(lib, conv.N, conv.C, conv.H, conv.H)
    return x, floats(lib, conv.K, conv.C // conv.groups, conv.R, conv.R), floats(lib, conv.K)


def conv_forward(lib: Dialect, conv: Conv) -> Call:
    """Return the convolution with its bias."""
    x, weight, bias = conv_operands(lib, conv)
    stride, padding, groups = conv.stride, conv.padding, conv.groups
    return lib.root.no_grad()(lambda: lib.F.conv2d(x, weight, bias, stride, padding, 1, groups))


def conv_gradient(lib: Dialect, conv: Conv, operand: int) -> Call:
    """Return the gradient with respect to one operand."""
    operands = conv_operands(lib, conv)
    operands[operand].requires_grad_()
    y = lib.F.conv2d(*operands, conv.stride, conv.padding, 1, conv.groups)
    upstream = floats(lib, *y.shape)
    return lambda: lib.root.autograd.grad(y, operands[operand], upstream, retain_graph=True)


def matmul(lib: Dialect, m: int, k: int, n: int) -> Call:
    """Return (m, k) @ (k, n)."""
    a, b = floats(lib, m, k), floats(lib, k, n)
    return lib.root.no_grad()(lambda: a @ b)


def lstm(lib: Dialect, steps: int, units: int, batch: int = 32, features: int = 32) -> Call:
    """Return one layer, forward and backward to its input and weights."""
    layer = lib.nn.LSTM(features, units)
    x = floats(lib, steps, batch, features).requires_grad_()
    upstream = floats(lib, steps, batch, units)
    wanted = [x, *layer.parameters()]
    return lambda: lib.root.autograd.grad(layer(x)[0], wanted, upstream)


def pool_forward(lib: Dialect, kind: str, *shape: int) -> Call:
    """Return a 2x2 pooling."""
    x, pool = floats(lib, *shape), getattr(lib.F, f"{kind}_pool2d")
    return lib.root.no_grad()(lambda: pool(x, 2))


def pool_both(lib: Dialect, kind: str, *shape: int) -> Call:
    """Return a 2x2 pooling, forward and backward."""
    x, pool = floats(lib, *shape).requires_grad_(), getattr(lib.F, f"{kind}_pool2d")
    upstream = floats(lib, *pool(x, 2).shape)
    return lambda: lib.root.autograd.grad(pool(x, 2), x, upstream)


def normalization(lib: Dialect, kind: str, *shape: int) -> Call:
    """Return a layer that standardizes, forward and backward."""
    layer = lib.nn.BatchNorm2d(shape[1]) if kind == "batch" else lib.nn.LayerNorm(shape[-1])
    x, upstream = floats(lib, *shape).requires_grad_(), floats(lib, *shape)
    wanted = [x, layer.weight, layer.bias]
    return lambda: lib.root.autograd.grad(layer(x), wanted, upstream)


def cross_entropy(lib: Dialect, samples: int, classes: int) -> Call:
    """Return the loss of scores, forward and backward."""
    x = floats(lib, samples, classes).requires_grad_()
    labels = lib.root.tensor(np.random.default_rng(0).integers(0, classes, samples))
    return lambda: lib.root.autograd.grad(lib.F.cross_entropy(x, labels), x)


def adam(lib: Dialect, size: int) -> Call:
    """Return a step of Adam on one parameter."""
    parameter = floats(lib, size).requires_grad_()
    parameter.grad = floats(lib, size)
    return lib.optim.Adam([parameter]).step


#: The first layers of classrooms' networks, and some of larger ones; the first four ought to be well ahead.
CONVOLUTIONS = {
    "conv-000-first": Conv(32, 1, 32, 6, 5),
    "conv-000-second": Conv(32, 6, 14, 16, 5),
    "conv-002-first": Conv(32, 1, 28, 32, 3),
    "conv-002-second": Conv(32, 32, 13, 64, 3),
    "conv-56": Conv(8, 64, 56, 64, 3, padding=1),
    "conv-28": Conv(8, 128, 28, 128, 3, padding=1),
    "conv-14": Conv(8, 256, 14, 256, 3, padding=1),
    "conv-depthwise": Conv(8, 64, 56, 64, 3, padding=1, groups=64),
    "conv-stride-2": Conv(8, 64, 56, 128, 3, padding=1, stride=2),
    "conv-1x1": Conv(8, 64, 56, 128, 1),
}
FIRST = list(CONVOLUTIONS)[:4]
SEVEN = list(CONVOLUTIONS)[:7]
SQUARE = [16, 32, 64, 128, 256, 512, 1024, 2048]
SKINNY = [(32, 784, 128), (3, 64, 64), (1, 1024, 1024), (4096, 64, 64), (64, 8192, 64), (1024, 32, 1024)]


def conv_title(conv: Conv) -> str:
    """Return a convolution in a line."""
    said = f"conv {conv.N}x{conv.C}x{conv.H}x{conv.H}, {conv.K} of {conv.R}x{conv.R}"
    said += f", stride {conv.stride}" if conv.stride > 1 else ""
    return said + (f", {conv.groups} groups" if conv.groups > 1 else "")


def rows() -> list[Row]:
    """Return the rows of every operation."""
    made = []
    for name, conv in CONVOLUTIONS.items():
        goals = {"torch": 1.5 if name in FIRST else 1.0} if name in SEVEN else {}
        title = conv_title(conv)
        made += [
            Row(f"{name}-forward", f"{title}: forward", both(conv_forward, conv), goals),
            Row(f"{name}-input", f"{title}: gradient of the input", both(conv_gradient, conv, 0), goals),
            Row(f"{name}-filter", f"{title}: gradient of the filters", both(conv_gradient, conv, 1), goals),
        ]
    for m, k, n in [(size, size, size) for size in SQUARE] + SKINNY:
        made.append(Row(f"matmul-{m}x{k}x{n}", f"matmul {m}x{k} by {k}x{n}", both(matmul, m, k, n), {"torch": 0.9}))
    for steps in (10, 50, 500):
        for units in (32, 128, 512):
            title = f"LSTM({units}), T={steps}, batch 32: forward + backward"
            made.append(Row(f"lstm-{steps}-{units}", title, both(lstm, steps, units), {"torch": 1.5}))
    for kind, said in (("max", "max pooling"), ("avg", "average pooling")):
        shape = (32, 32, 26, 26)
        title = f"{said} 2x2 of 32x32x26x26"
        made.append(Row(f"{kind}-pool-forward", f"{title}: forward", both(pool_forward, kind, *shape)))
        made.append(Row(f"{kind}-pool", f"{title}: forward + backward", both(pool_both, kind, *shape)))
    for kind, shape in (("batch", (32, 32, 26, 26)), ("batch", (32, 64, 5, 5)), ("layer", (1600, 512))):
        size = "x".join(map(str, shape))
        title = f"{kind} normalisation of {size}: forward + backward"
        made.append(Row(f"{kind}-norm-{size}", title, both(normalization, kind, *shape)))
    for samples, classes in ((32, 10), (256, 4096)):
        title = f"cross entropy, {samples} x {classes}: forward + backward"
        made.append(Row(f"cross-entropy-{samples}x{classes}", title, both(cross_entropy, samples, classes)))
    return [*made, Row("adam-1m", "Adam on 1,000,000 parameters", both(adam, 1_000_000))]


ROWS = rows()
