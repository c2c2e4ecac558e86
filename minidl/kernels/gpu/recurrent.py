"""Whole sequences through one recurrent layer: a step is one product of cuBLAS and one launch for all its gates.

The reference takes some fifteen launches a step for the gates of an LSTM, each of which reads and writes memory again.
Steps follow one another on the GPU without the host in between: 28 steps are 56 launches, queued and not waited for.
"""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import BLOCK, Kernel, grid
from minidl.kernels.reference.recurrent import CELLS, rolled, steps

__all__ = ["recurrent_backward", "recurrent_forward"]

STEPS = {name: Kernel("recurrent.cu", f"{name}_step") for name in ("lstm", "gru", "rnn")}
STEP_GRADS = {name: Kernel("recurrent.cu", f"{name}_step_grad") for name in ("lstm", "gru", "rnn")}


def recurrent_forward(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, mask: Any, reverse: bool,
    cell: str,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Run sequences through a recurrent layer: see the reference."""
    xp = namespace(x)
    T, N, D = x.shape
    U = h.shape[1]
    width, shift = CELLS[cell].weights * U, CELLS[cell].shift * U
    first = T if reverse else 0
    states = xp.empty((T + 1, N, U), x.dtype)
    states[first] = h
    cells = None if c is None else xp.empty((T + 1, N, U), x.dtype)
    if cells is not None:
        cells[first] = c
    if not T * N * U:
        return states, cells, xp.empty((T, N, width + shift), x.dtype)
    of_x = xp.matmul(x.reshape(T * N, D), rolled(weight_ih, shift).T).reshape(T, N, width)
    gates = of_x
    if shift:
        gates = xp.empty((T, N, width + shift), x.dtype)
        gates[:, :, :width] = of_x
    bias = xp.zeros(width + shift, x.dtype)
    if bias_ih is not None:
        bias[:width] = rolled(bias_ih, shift)
    if bias_hh is not None:
        bias[shift:] += bias_hh
    mask = None if mask is None else xp.ascontiguousarray(mask)
    products = xp.empty((N, width), x.dtype)
    given = gates, products, bias, mask, states
    blocks, weight = grid(N * U), weight_hh.T
    for t in steps(T, reverse):
        before, after = (t + 1, t) if reverse else (t, t + 1)
        xp.matmul(states[before], weight, out=products)
        where = N, U, t, before, after
        if cells is not None:
            STEPS["lstm"](blocks, BLOCK, *given, cells, *where)
        elif cell == "gru":
            STEPS["gru"](blocks, BLOCK, *given, *where)
        else:
            STEPS["rnn"](blocks, BLOCK, *given, *where, cell == "relu")
    return states, cells, gates


def recurrent_backward(
    grad_output: Any, grad_h: Any, grad_c: Any, weight_hh: Any, states: Any, cells: Any, gates: Any, mask: Any,
    reverse: bool, cell: str,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Walk back through the sequences: see the reference."""
    xp = namespace(gates)
    T, N, U = grad_output.shape
    grad_gates = xp.empty_like(gates)
    if not gates.size:
        return grad_gates, grad_h, grad_c
    grad_output = xp.ascontiguousarray(grad_output)
    mask = None if mask is None else xp.ascontiguousarray(mask)
    through = xp.array(grad_h, order="C")  # what comes back through a step's product; copies, because they change
    direct = xp.zeros((N, U), gates.dtype)  # and past it
    grad_c = None if grad_c is None else xp.array(grad_c, order="C")
    of_state = xp.empty((N, 3 * U), gates.dtype) if cell == "gru" else None
    given = grad_output, mask, through, direct
    blocks = grid(N * U)
    for t in steps(T, not reverse):
        before, after = (t + 1, t) if reverse else (t, t + 1)
        if cells is not None:
            STEP_GRADS["lstm"](blocks, BLOCK, gates, cells, *given, grad_c, grad_gates, N, U, t, before, after)
        elif cell == "gru":
            STEP_GRADS["gru"](blocks, BLOCK, gates, states, *given, grad_gates, of_state, N, U, t, before)
        else:
            STEP_GRADS["rnn"](blocks, BLOCK, states, *given, grad_gates, N, U, t, after, cell == "relu")
        xp.matmul(grad_gates[t] if of_state is None else of_state, weight_hh, out=through)
    return grad_gates, through + direct, grad_c
