"""Rules of gradients that go element by element, in one pass; for NumPy a comparison and a product are two, and a third
casts what was compared.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.kernels import reference
from minidl.kernels.cpu.compiler import kernel
from minidl.kernels.cpu.threads import parts_for, run

__all__ = ["relu_grad"]

LEAST_WORK = 2**17  # elements that are worth a thread


@kernel
def relu_grad_share(part: int, parts: int, grad: Any, y: Any, out: Any) -> None:
    """Compute share ``part`` of :func:`relu_grad` of flat arrays."""
    start, stop = out.size * part // parts, out.size * (part + 1) // parts
    grad, y, out = grad[start:stop], y[start:stop], out[start:stop]
    one, zero = out.dtype.type(1), out.dtype.type(0)
    for i in range(out.size):
        out[i] = grad[i] * (one if y[i] > 0 else zero)  # a product: NaN stays NaN, as in the reference


def relu_grad(grad: Any, y: Any) -> Any:
    """Let the gradient of ``y = max(x, 0)`` through where y is positive.

    Parameters
    ----------
    grad, y : arrays of one shape
        Of any layout, if it is that of both and has no gaps; else the reference does it.

    Returns
    -------
    array of that shape
    """
    out = np.empty_like(grad)
    if grad.shape != y.shape or grad.dtype != y.dtype or not out.strides == grad.strides == y.strides:
        return reference.relu_grad(grad, y)
    # in the order of memory, so these are views
    flat = grad.ravel("K"), y.ravel("K"), out.ravel("K")
    run(relu_grad_share, parts_for(out.size, LEAST_WORK), *flat)
    return out
