"""Whole sequences through one recurrent layer. Shapes: T time, N batch, D features in, U units.

A layer is a walk along the steps, and a cell, which says what one step does between its matrix products. The products
of a step stand side by side in its ``gates``, in blocks of U columns: those with the input fill the first columns, and
those with the state the last ones, and where they overlap they are summed. A GRU needs one block of each apart::

    LSTM, RNN   x: [ all blocks ]            GRU   x: [ n | r | z ]
                h: [ all blocks ]                  h:     [ r | z | n ]
                   sum = gates                        [ n | r+z | n ] = gates

A step of a sequence that is masked changes nothing: the state of the step before stays, and all gradients pass by.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from minidl.backend import namespace

__all__ = ["recurrent_backward", "recurrent_forward", "recurrent_input_grad", "recurrent_weight_grads"]


class Blocks(NamedTuple):
    """How a cell's gates are laid out, in blocks of U columns."""

    weights: int  # the rows of weights
    shift: int  # how many blocks of the gates only the input, and how many only the state, contributes to


CELLS = {"lstm": Blocks(4, 0), "gru": Blocks(3, 1), "tanh": Blocks(1, 0), "relu": Blocks(1, 0)}


def steps(length: int, reverse: bool) -> range:
    """Return the order in which a layer visits the steps of a sequence."""
    return range(length - 1, -1, -1) if reverse else range(length)


def blocks_of(x: Any, units: int) -> list[Any]:
    """Cut the columns of ``x`` (..., blocks * U) into blocks."""
    return [x[..., k : k + units] for k in range(0, x.shape[-1], units)]


def sigmoid_in_place(x: Any) -> None:
    """Replace ``x`` by its logistic function, computed as a tanh, which cannot overflow."""
    x *= 0.5
    namespace(x).tanh(x, out=x)
    x += 1
    x *= 0.5


# ---------------------------------------------------------------------- cells: z (N, blocks * U), states (N, U)


def lstm_step(z: Any, h: Any, c: Any) -> tuple[Any, Any]:
    xp, U = namespace(z), h.shape[1]
    i, f, g, o = blocks_of(z, U)
    sigmoid_in_place(z[:, : 2 * U])
    xp.tanh(g, out=g)
    sigmoid_in_place(o)
    c = f * c + i * g
    return o * xp.tanh(c), c


def lstm_step_grad(
    gates: Any, h_before: Any, h: Any, c_before: Any, c: Any, grad_h: Any, grad_c: Any
) -> tuple[list[Any], Any, Any]:
    i, f, g, o = blocks_of(gates, h.shape[1])
    tanh_c = namespace(c).tanh(c)
    grad_c = grad_c + grad_h * o * (1 - tanh_c * tanh_c)
    grad_z = [
        grad_c * g * i * (1 - i),
        grad_c * c_before * f * (1 - f),
        grad_c * i * (1 - g * g),
        grad_h * tanh_c * o * (1 - o),
    ]
    return grad_z, 0, grad_c * f


def gru_step(z: Any, h: Any, c: None) -> tuple[Any, None]:
    n, r, u, n_of_h = blocks_of(z, h.shape[1])
    sigmoid_in_place(r)
    sigmoid_in_place(u)
    n += r * n_of_h
    namespace(z).tanh(n, out=n)
    return n + u * (h - n), None


def gru_step_grad(
    gates: Any, h_before: Any, h: Any, c_before: None, c: None, grad_h: Any, grad_c: None
) -> tuple[list[Any], Any, None]:
    n, r, u, n_of_h = blocks_of(gates, h.shape[1])
    grad_n = grad_h * (1 - u) * (1 - n * n)
    grad_z = [grad_n, grad_n * n_of_h * r * (1 - r), grad_h * (h_before - n) * u * (1 - u), grad_n * r]
    return grad_z, grad_h * u, None


def tanh_step(z: Any, h: Any, c: None) -> tuple[Any, None]:
    return namespace(z).tanh(z), None


def tanh_step_grad(
    gates: Any, h_before: Any, h: Any, c_before: None, c: None, grad_h: Any, grad_c: None
) -> tuple[list[Any], Any, None]:
    return [grad_h * (1 - h * h)], 0, None


def relu_step(z: Any, h: Any, c: None) -> tuple[Any, None]:
    return namespace(z).maximum(z, 0), None


def relu_step_grad(
    gates: Any, h_before: Any, h: Any, c_before: None, c: None, grad_h: Any, grad_c: None
) -> tuple[list[Any], Any, None]:
    return [namespace(h).where(h <= 0, 0, grad_h)], 0, None


STEPS = {
    "lstm": (lstm_step, lstm_step_grad),
    "gru": (gru_step, gru_step_grad),
    "tanh": (tanh_step, tanh_step_grad),
    "relu": (relu_step, relu_step_grad),
}


# ---------------------------------------------------------------------- walks


def recurrent_forward(
    x: Any, h: Any, c: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, mask: Any, reverse: bool,
    cell: str,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Run sequences through a recurrent layer.

    Parameters
    ----------
    x : array (T, N, D)
    h, c : array (N, U)
        The state to start from; ``c`` is None but for an LSTM.
    weight_ih, weight_hh : array (blocks * U, D) and (blocks * U, U)
        Stacked as PyTorch does: i, f, g, o for an LSTM, r, z, n for a GRU.
    bias_ih, bias_hh : array (blocks * U,) or None
    mask : bool array (T, N) or None
        Where it is False, a step changes nothing.
    reverse : bool
        Whether to read the sequences from their ends.
    cell : {"lstm", "gru", "tanh", "relu"}

    Returns
    -------
    states : array (T + 1, N, U)
        The hidden states, the one to start from included: in the order of time, so with ``reverse`` it is the last.
    cells : array (T + 1, N, U) or None, likewise
    gates : array (T, N, (blocks + shift) * U), what :func:`recurrent_backward` needs to know of each step
    """
    xp = namespace(x)
    T, N, D = x.shape
    U = h.shape[1]
    width, shift = CELLS[cell].weights * U, CELLS[cell].shift * U
    step, _ = STEPS[cell]
    gates = xp.zeros((T, N, width + shift), x.dtype)
    products = x.reshape(T * N, D) @ rolled(weight_ih, shift).T
    gates[:, :, :width] = (products if bias_ih is None else products + rolled(bias_ih, shift)).reshape(T, N, width)
    states = xp.empty((T + 1, N, U), x.dtype)
    cells = None if c is None else xp.empty((T + 1, N, U), x.dtype)
    first = T if reverse else 0
    states[first] = h
    if cells is not None:
        cells[first] = c
    for t in steps(T, reverse):
        z = gates[t]  # (N, blocks * U)
        z[:, shift:] += h @ weight_hh.T if bias_hh is None else h @ weight_hh.T + bias_hh
        new_h, new_c = step(z, h, c)
        if mask is not None:
            present = mask[t][:, None]
            new_h = xp.where(present, new_h, h)
            new_c = None if c is None else xp.where(present, new_c, c)
        h, c = new_h, new_c
        after = t if reverse else t + 1
        states[after] = h
        if cells is not None:
            cells[after] = c
    return states, cells, gates


def rolled(weight: Any, shift: int) -> Any:
    """Return the rows of the input's weight in the order of the gates: a GRU's n, r, z."""
    return namespace(weight).roll(weight, shift, axis=0) if shift else weight


def recurrent_backward(
    grad_output: Any, grad_h: Any, grad_c: Any, weight_hh: Any, states: Any, cells: Any, gates: Any, mask: Any,
    reverse: bool, cell: str,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Walk back through the sequences.

    Parameters
    ----------
    grad_output : array (T, N, U)
    grad_h, grad_c : array (N, U), of the state in the end; ``grad_c`` is None but for an LSTM
    weight_hh, states, cells, gates, mask, reverse, cell
        What :func:`recurrent_forward` was given and returned.

    Returns
    -------
    grad_gates : array (T, N, (blocks + shift) * U), of the products: every weight's gradient is a product with it
    grad_h, grad_c : array (N, U), of the state at the start
    """
    xp = namespace(gates)
    T = len(gates)
    U = states.shape[2]
    shift = CELLS[cell].shift * U
    _, step_grad = STEPS[cell]
    grad_gates = xp.zeros_like(gates)
    for t in steps(T, not reverse):
        before, after = (t + 1, t) if reverse else (t, t + 1)
        c_before, c = (None, None) if cells is None else (cells[before], cells[after])
        grad_h = grad_h + grad_output[t]
        grads, direct, new_grad_c = step_grad(gates[t], states[before], states[after], c_before, c, grad_h, grad_c)
        grad_z = grad_gates[t]  # (N, blocks * U)
        for block, grad in zip(blocks_of(grad_z, U), grads, strict=True):
            block[...] = grad
        if mask is not None:
            present = mask[t][:, None]
            grad_z[~mask[t]] = 0
            direct = xp.where(present, direct, grad_h)
            new_grad_c = None if grad_c is None else xp.where(present, new_grad_c, grad_c)
        grad_h = grad_z[:, shift:] @ weight_hh + direct
        grad_c = new_grad_c
    return grad_gates, grad_h, grad_c


def recurrent_input_grad(grad_gates: Any, weight_ih: Any, cell: str) -> Any:
    """Return the gradient (T, N, D) of a recurrent layer's input, from what :func:`recurrent_backward` returned."""
    T, N, G = grad_gates.shape
    width, D = weight_ih.shape
    of_x = grad_gates.reshape(T * N, G)[:, :width]
    return (of_x @ rolled(weight_ih, G - width)).reshape(T, N, D)


def recurrent_weight_grads(
    grad_gates: Any, x: Any, states: Any, reverse: bool, transposed: bool, cell: str
) -> tuple[Any, Any, Any, Any]:
    """Return the gradients of a recurrent layer's weights.

    Parameters
    ----------
    grad_gates : array (T, N, (blocks + shift) * U)
        What :func:`recurrent_backward` returned.
    x, states, reverse, cell
        What :func:`recurrent_forward` was given and returned.
    transposed : bool
        Whether the weights lie in memory as their transposes do, as Keras's; so will the gradients.

    Returns
    -------
    grad_weight_ih, grad_weight_hh : array (blocks * U, D) and (blocks * U, U)
    grad_bias_ih, grad_bias_hh : array (blocks * U,)
    """
    T, N, D = x.shape
    U = states.shape[2]
    width, shift = CELLS[cell].weights * U, CELLS[cell].shift * U
    flat = grad_gates.reshape(T * N, width + shift)
    before = states[1:] if reverse else states[:-1]
    sides = (flat[:, :width], x.reshape(T * N, D)), (flat[:, shift:], before.reshape(T * N, U))
    of_x, of_h = ((right.T @ left).T if transposed else left.T @ right for left, right in sides)
    bias_x, bias_h = (left.sum(axis=0) for left, _ in sides)
    return rolled(of_x, -shift), of_h, rolled(bias_x, -shift), bias_h
