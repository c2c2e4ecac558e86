"""What recurrent cells do between the products of a step, in vector registers; forward and backward, cell by cell.

A cell is two functions, each of one vector of units of one sequence at one step. They say what they read and write by
name (:class:`Step`, :class:`StepBack`), and become intrinsics that the walks of ``recurrent`` call: Numba wouldn't
vectorise a loop over so many arrays. Each is the twin of a function in ``reference.recurrent``, which has the formulas.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from minidl.kernels.cpu.compiler import intrinsic
from minidl.kernels.cpu.nonlinear import NonlinearEmitter

__all__ = ["gru", "gru_back", "lstm", "lstm_back", "relu", "relu_back", "tanh", "tanh_back"]

GATES, GATES_AT, UNITS, STATES, CELLS, BEFORE, AFTER, LEFT = range(8)
TABLE, TABLE_AT = 8, 9  # of a step
ABOVE, ABOVE_AT, GRAD_H, GRAD_C, GRAD_AT, GRAD_GATES = range(8, 14)  # of a step back


class Step(NonlinearEmitter):
    """A vector of units at one step: their gates, the states before it, and the states after it."""

    def __init__(self, context: Any, builder: Any, kinds: Any, args: Any) -> None:
        super().__init__(context, builder, kinds[GATES].dtype)
        self.kinds, self.args = kinds, args
        self.present = self.below(args[LEFT], 0)  # the lanes that exist

    def place(self, array: int, at: int, block: int = 0) -> Any:
        """Return where the vector lies in an array, ``block`` blocks of units further on."""
        first = self.data(self.kinds[array], self.args[array], self.args[at])
        for _ in range(block):
            first = self.at(first, self.args[UNITS])
        return first

    def read(self, array: int, at: int, block: int = 0) -> Any:
        return self.masked_load(self.place(array, at, block), self.present)

    def write(self, value: Any, array: int, at: int, block: int = 0) -> None:
        self.masked_store(value, self.place(array, at, block), self.present)

    def gates(self, count: int) -> list[Any]:
        return [self.read(GATES, GATES_AT, block) for block in range(count)]

    def keep(self, *gates: Any) -> None:
        """Write what the backward step needs to know in place of the gates."""
        for block, value in enumerate(gates):
            self.write(value, GATES, GATES_AT, block)

    def finish(self, h: Any) -> None:
        """Write the state, for the output and for the product of the next step."""
        self.write(h, STATES, AFTER)
        self.write(h, TABLE, TABLE_AT)

    def less(self, x: Any, y: Any) -> Any:
        """Return x - x y, as x (1 - y) without rounding twice."""
        return self.multiply_add(self.builder.fneg(x), y, x)


class StepBack(Step):
    """The same on the way back: from the gradient of the state after the step to those of the gates."""

    def grad_h(self) -> Any:
        """Return the gradient of the state after the step: what comes from above, and from the step after."""
        return self.builder.fadd(self.read(ABOVE, ABOVE_AT), self.read(GRAD_H, GRAD_AT))

    def normal(self, x: Any) -> Any:
        """Return x, or 0 where it is too small for a normal number; nan stays.

        A gradient that vanishes over hundreds of steps would take each of them through denormal numbers, on which a CPU
        needs a hundred cycles an operation: 512 steps of 128 units then took ten times as long.
        """
        least = self.number(float(np.finfo(f"f{self.align}").smallest_normal))
        return self.builder.select(self.builder.fcmp_ordered("<", self.call("fabs", x), least), self.zero, x)

    def finish_back(self, direct: Any, *grads: Any) -> None:
        """Write the gates' gradients, and that of the state before but for its product with the weights."""
        self.write(direct if direct is self.zero else self.normal(direct), GRAD_H, GRAD_AT)
        for block, value in enumerate(grads):
            self.write(self.normal(value), GRAD_GATES, GATES_AT, block)


STEP = ["gates", "gates_at", "units", "states", "cells", "before", "after", "left"]
FORWARD = [*STEP, "table", "table_at"]
BACK = [*STEP, "above", "above_at", "grad_h", "grad_c", "grad_at", "grad_gates"]


def cell(emitter: type[Step], names: list[str]) -> Callable[[Callable[..., None]], Any]:
    """Make an intrinsic of a function of an emitter; its arguments are arrays and places in them, by these names."""

    def make(write: Callable[..., None]) -> Any:
        def functions(typingctx: Any, *kinds: Any) -> Any:
            signature = types.void(*(kind if isinstance(kind, types.Array) else types.intp for kind in kinds))

            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                write(emitter(context, builder, signature.args, args))
                return context.get_dummy_value()

            return signature, codegen

        kind = inspect.Parameter.POSITIONAL_ONLY
        parameters = [inspect.Parameter(name, kind) for name in ("typingctx", *names)]
        functions.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        functions.__name__ = functions.__qualname__ = write.__name__
        return intrinsic(functions)

    return make


forward, back = cell(Step, FORWARD), cell(StepBack, BACK)


# ---------------------------------------------------------------------- LSTM: gates i, f, g, o


@forward
def lstm(at: Step) -> None:
    i, f, g, o = at.gates(4)
    i, f, g, o = at.sigmoid(i), at.sigmoid(f), at.tanh(g), at.sigmoid(o)
    at.keep(i, f, g, o)
    c = at.multiply_add(f, at.read(CELLS, BEFORE), at.builder.fmul(i, g))
    at.write(c, CELLS, AFTER)
    at.finish(at.builder.fmul(o, at.tanh(c)))


@back
def lstm_back(at: StepBack) -> None:
    one, add, sub, mul = at.number(1), at.builder.fadd, at.builder.fsub, at.builder.fmul
    i, f, g, o = at.gates(4)
    tanh_c = at.tanh(at.read(CELLS, AFTER))
    grad_h = at.grad_h()
    grad_c = add(at.read(GRAD_C, GRAD_AT), mul(mul(grad_h, o), sub(one, mul(tanh_c, tanh_c))))
    at.finish_back(
        at.zero,
        mul(mul(grad_c, g), at.less(i, i)),
        mul(mul(grad_c, at.read(CELLS, BEFORE)), at.less(f, f)),
        mul(mul(grad_c, i), sub(one, mul(g, g))),
        mul(mul(grad_h, tanh_c), at.less(o, o)),
    )
    at.write(at.normal(mul(grad_c, f)), GRAD_C, GRAD_AT)


# ---------------------------------------------------------------------- GRU: gates n (of x), r, z, n (of h)


@forward
def gru(at: Step) -> None:
    n, r, z, n_of_h = at.gates(4)
    r, z = at.sigmoid(r), at.sigmoid(z)
    n = at.tanh(at.multiply_add(r, n_of_h, n))
    at.keep(n, r, z)
    at.finish(at.multiply_add(z, at.builder.fsub(at.read(STATES, BEFORE), n), n))


@back
def gru_back(at: StepBack) -> None:
    one, sub, mul = at.number(1), at.builder.fsub, at.builder.fmul
    n, r, z, n_of_h = at.gates(4)
    grad_h = at.grad_h()
    grad_n = mul(mul(grad_h, sub(one, z)), sub(one, mul(n, n)))
    at.finish_back(
        mul(grad_h, z),
        grad_n,
        mul(mul(grad_n, n_of_h), at.less(r, r)),
        mul(mul(grad_h, sub(at.read(STATES, BEFORE), n)), at.less(z, z)),
        mul(grad_n, r),
    )


# ---------------------------------------------------------------------- simple RNN, with tanh and with ReLU


@forward
def tanh(at: Step) -> None:
    at.finish(at.tanh(at.gates(1)[0]))


@back
def tanh_back(at: StepBack) -> None:
    h = at.read(STATES, AFTER)
    at.finish_back(at.zero, at.builder.fmul(at.grad_h(), at.builder.fsub(at.number(1), at.builder.fmul(h, h))))


@forward
def relu(at: Step) -> None:
    at.finish(at.relu(at.gates(1)[0]))


@back
def relu_back(at: StepBack) -> None:
    off = at.builder.fcmp_ordered("<=", at.read(STATES, AFTER), at.zero)
    at.finish_back(at.zero, at.builder.select(off, at.zero, at.grad_h()))
