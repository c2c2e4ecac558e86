"""A whole sequence through one recurrent layer. Shapes: T time, N batch, D features in, U units."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace

__all__ = ["lstm", "lstm_grad", "lstm_weight_grads", "previous_states"]


def steps(length: int, reverse: bool) -> range:
    """Return the order in which a layer visits the steps of a sequence."""
    return range(length - 1, -1, -1) if reverse else range(length)


def previous_states(states: Any, first: Any, reverse: bool) -> Any:
    """Return, for each step, the state (N, U) it started from: ``first``, then those of the step before (T, N, U)."""
    xp = namespace(states)
    if reverse:
        return xp.concatenate([states[1:], first[None]])[: len(states)]
    return xp.concatenate([first[None], states[:-1]])[: len(states)]


def sigmoid_in_place(x: Any) -> None:
    """Replace ``x`` by its logistic function, computed as a tanh, which cannot overflow."""
    x *= 0.5
    namespace(x).tanh(x, out=x)
    x += 1
    x *= 0.5


def lstm(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias: Any, reverse: bool
) -> tuple[Any, Any, Any, Any, Any]:
    """Run a sequence through an LSTM layer.

    Parameters
    ----------
    x : array (T, N, D)
    h, c : array (N, U)
        The state to start from.
    weight_ih, weight_hh : array (4U, D) and (4U, U)
        The gates' weights, stacked in the order i, f, g, o.
    bias : array (4U,) or None
    reverse : bool
        Whether to read the sequence from its end.

    Returns
    -------
    output : array (T, N, U), the hidden state after each step
    h, c : array (N, U), the state in the end
    gates : array (T, N, 4U), what the gates let through
    cells : array (T, N, U), the cell state after each step
    """
    xp = namespace(x)
    T, N, D = x.shape
    U = h.shape[1]
    gates = (x.reshape(T * N, D) @ weight_ih.T).reshape(T, N, 4 * U)
    if bias is not None:
        gates += bias
    output = xp.empty((T, N, U), dtype=x.dtype)
    cells = xp.empty((T, N, U), dtype=x.dtype)
    for t in steps(T, reverse):
        z = gates[t]  # (N, 4U)
        z += h @ weight_hh.T
        i, f, g, o = (z[:, k * U : (k + 1) * U] for k in range(4))
        sigmoid_in_place(z[:, : 2 * U])
        xp.tanh(g, out=g)
        sigmoid_in_place(o)
        c = xp.multiply(f, c, out=cells[t])
        c += i * g
        h = xp.multiply(o, xp.tanh(c), out=output[t])
    return output, h.copy(), c.copy(), gates, cells


def lstm_grad(
    grad_output: Any, grad_h: Any, grad_c: Any, c0: Any, weight_hh: Any, gates: Any, cells: Any, reverse: bool
) -> tuple[Any, Any, Any]:
    """Walk back through the sequence.

    Parameters
    ----------
    grad_output : array (T, N, U)
    grad_h, grad_c : array (N, U), of the state in the end
    c0, weight_hh, gates, cells, reverse
        What :func:`lstm` was given and returned.

    Returns
    -------
    grad_gates : array (T, N, 4U), before the nonlinearities: every weight's gradient is a product with it
    grad_h, grad_c : array (N, U), of the state at the start
    """
    xp = namespace(gates)
    T, _, U = cells.shape
    cells_before = previous_states(cells, c0, reverse)
    grad_gates = xp.empty_like(gates)
    for t in steps(T, not reverse):
        i, f, g, o = (gates[t][:, k * U : (k + 1) * U] for k in range(4))
        tanh_c = xp.tanh(cells[t])
        grad_h = grad_h + grad_output[t]
        grad_c = grad_c + grad_h * o * (1 - tanh_c * tanh_c)
        grad_z = grad_gates[t]  # (N, 4U)
        grad_z[:, :U] = grad_c * g * i * (1 - i)
        grad_z[:, U : 2 * U] = grad_c * cells_before[t] * f * (1 - f)
        grad_z[:, 2 * U : 3 * U] = grad_c * i * (1 - g * g)
        grad_z[:, 3 * U :] = grad_h * tanh_c * o * (1 - o)
        grad_h = grad_z @ weight_hh
        grad_c = grad_c * f
    return grad_gates, grad_h, grad_c


def lstm_weight_grads(
    grad_gates: Any, x: Any, h0: Any, output: Any, reverse: bool, transposed: bool
) -> tuple[Any, Any, Any]:
    """Return the gradients of an LSTM layer's weights.

    Parameters
    ----------
    grad_gates : array (T, N, 4U)
        What :func:`lstm_grad` returned.
    x, h0, output, reverse
        What :func:`lstm` was given and returned.
    transposed : bool
        Whether the weights lie in memory as their transposes do, as Keras's; so will the gradients.

    Returns
    -------
    grad_weight_ih, grad_weight_hh, grad_bias : array (4U, D), (4U, U) and (4U,)
    """
    T, N, D = x.shape
    U = h0.shape[1]
    flat = grad_gates.reshape(T * N, 4 * U)
    rights = x.reshape(T * N, D), previous_states(output, h0, reverse).reshape(T * N, U)
    grad_weight_ih, grad_weight_hh = ((right.T @ flat).T if transposed else flat.T @ right for right in rights)
    return grad_weight_ih, grad_weight_hh, flat.sum(axis=0)
