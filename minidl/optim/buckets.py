"""Which parameters a step of an optimiser updates together, and which alone.

A small network would spend its time calling NumPy rather than computing, so small parameters are gathered into one flat
array and updated together; a large parameter is updated in blocks that stay in the processor's cache from the first of
the formula's operations to the last. Every formula is elementwise, so neither changes a single bit of the result. A
compiled rule has no need of either: it takes all parameters in one call, wherever they lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl.backend import device_of, namespace, there, to_device
from minidl.errors import ShapeError

if TYPE_CHECKING:
    from minidl.optim.optimizer import Optimizer

__all__ = ["BLOCK", "SETTLING", "SMALL", "Plan", "decays", "settle"]

SMALL = 4096  # elements: up to here a parameter is gathered with others
BLOCK = 16384  # elements: of a bucket of small parameters, and of a block of a large one

# In seconds: what a compiled rule saves for each bucket, or large parameter, and for each element of it (measured: 62
# us became 31 for 4,417 parameters in one bucket, 4.0 ms became 0.8 for a million).
SAVED_A_CALL, SAVED_AN_ELEMENT = 15e-6, 3e-9

#: Each how many steps NumPy's rules replace moments that are too small for a normal number by 0: those of a unit that
#: has died shrink for ever, and a CPU takes a hundred cycles for an operation on one (001: 95 us a step, and 56 so).
SETTLING = 64


class Plan:
    """How the parameters of one group are taken through a step: which together, which alone.

    A parameter enters when it first has a gradient, which may be never. The plan is dropped, and made anew from the
    state of each parameter, as soon as an array of one is another than it was, or compiled rules are worth loading.
    """

    def __init__(self, optimizer: Optimizer, group: Mapping[str, Any], slots: Mapping[str, float]) -> None:
        self.slots = dict(slots)
        self.waiting = list(group["params"])
        self.buckets: list[Bucket] = []
        self.size = len(self.waiting)
        self.early = not optimizer._worth_loading()  # compiled rules may come later

    def fits(self, optimizer: Optimizer, group: Mapping[str, Any], slots: Mapping[str, float]) -> bool:
        """Whether the plan is still that of ``group``."""
        if len(group["params"]) != self.size or slots.keys() != self.slots.keys():
            return False
        if self.early and optimizer._worth_loading():
            return False
        for bucket in self.buckets:
            for p, array in zip(bucket.params, bucket.arrays, strict=True):
                if p.array is not array:
                    return False
        return True

    def run(self, optimizer: Optimizer, group: Mapping[str, Any]) -> None:
        if self.waiting:
            self._admit(optimizer)
        for bucket in self.buckets:
            with there(bucket.arrays[0]):
                bucket.run(optimizer, group)
            if self.early and bucket.rules is None:
                optimizer.time_lost += SAVED_A_CALL + SAVED_AN_ELEMENT * bucket.size

    def _admit(self, optimizer: Optimizer) -> None:
        """Put the parameters that have a gradient for the first time into buckets."""
        states, scratch = optimizer.state, optimizer.scratch
        open_buckets: dict[Any, list[Any]] = {}
        filled = []
        for p in self.waiting:
            if p.grad is None:
                continue
            state = states.setdefault(p, {})
            state.setdefault("step", 0)
            array = p.array
            rules = optimizer._rules_for(array)
            if rules is None and (array.size > SMALL or not array.flags.c_contiguous):
                filled.append([p])
                continue
            key = (array.dtype, device_of(array), state["step"], rules)
            members = open_buckets.setdefault(key, [])
            members.append(p)
            if rules is None and sum(q.array.size for q in members) > BLOCK - SMALL:
                filled.append(open_buckets.pop(key))
        self.waiting = [p for p in self.waiting if p.grad is None]
        gathered = [(params, None) for params in filled]
        gathered += [(params, key[-1]) for key, params in open_buckets.items()]
        for params, rules in gathered:
            with there(params[0].array):
                self.buckets.append(Bucket(params, states, self.slots, scratch, rules))


class Bucket:
    """Parameters that are updated together; the arrays of their state lie one after another in flat arrays.

    ``rules`` is the file of kernels that has the optimiser's rule, compiled for where the parameters are; None if NumPy
    or CuPy computes it.
    """

    def __init__(
        self,
        params: list[Any],
        states: dict[Any, dict[str, Any]],
        slots: Mapping[str, float],
        scratch: int,
        rules: ModuleType | None = None,
    ) -> None:
        self.params = params
        self.rules = rules
        self.arrays = [p.array for p in params]
        self.states = [states[p] for p in params]
        self.names = tuple(slots)
        self.xp = xp = namespace(self.arrays[0])
        dtype, device = self.arrays[0].dtype, device_of(self.arrays[0])
        ends = np.cumsum([0, *(a.size for a in self.arrays)]).tolist()
        self.size = ends[-1]
        self.flat = []
        for name, fill in slots.items():
            flat = to_device(np.full(ends[-1], fill, dtype), device)
            for state, array, start, end in zip(self.states, self.arrays, ends, ends[1:], strict=False):
                view = flat[start:end].reshape(array.shape)
                known = state.get(name)
                if known is not None:
                    if known.shape != array.shape:
                        raise ShapeError(
                            f"a parameter changed from shape {known.shape} to {array.shape} after a step, but its "
                            f"{name} did not; make a new optimiser for a changed model"
                        )
                    view[...] = to_device(known, device)
                state[name] = view
            self.flat.append(flat)
        self.together = rules is not None or len(params) > 1
        if rules is not None:
            self.members = rules.Members(self.arrays)
        elif self.together:
            self.p, self.g, *self.t = (xp.empty(ends[-1], dtype) for _ in range(2 + scratch))
            self.ends = ends
            self.p_views, self.g_views = self._views(self.p), self._views(self.g)
            self.t_views = {id(flat): self._views(flat) for flat in self.t}

    def _views(self, flat: Any) -> list[Any]:
        """Return the part of ``flat`` that belongs to each parameter, in its shape."""
        return [
            flat[start:end].reshape(a.shape)
            for a, start, end in zip(self.arrays, self.ends, self.ends[1:], strict=False)
        ]

    def run(self, optimizer: Optimizer, group: Mapping[str, Any]) -> None:
        grads = [p._grad.array for p in self.params if p._grad is not None]
        if len(grads) < len(self.params):
            self.together = False  # from here on they have taken different numbers of steps
        if not self.together:
            for p, state in zip(self.params, self.states, strict=True):
                if p._grad is not None:
                    optimizer._step_alone(group, state, p, self.names)
            return
        for state in self.states:
            optimizer.advance(group, state)
        if self.rules is not None:
            optimizer._run_compiled(self.rules, group, self.states[0], self.members, grads, self.flat)
        else:
            self._run_gathered(optimizer, group, grads)
        for p in self.params:
            p.bump()

    def _run_gathered(self, optimizer: Optimizer, group: Mapping[str, Any], grads: list[Any]) -> None:
        """Update all parameters by the formula on flat arrays."""
        for grad, view in zip(grads, self.g_views, strict=True):
            view[...] = grad
        coupled, shrink = decays(group)
        reads = coupled or optimizer.reads_parameter
        if reads:
            for array, view in zip(self.arrays, self.p_views, strict=True):
                view[...] = array
        delta = optimizer._delta(
            group, self.states[0], self.xp, self.p if reads else None, self.g, self.flat, self.g, *self.t
        )
        views = self.t_views.get(id(delta)) or self._views(delta)
        for array, view in zip(self.arrays, views, strict=True):
            if shrink != 1:
                array *= shrink
            array -= view
        if self.states[0]["step"] % SETTLING == 0:
            settle(self.xp, self.flat)


def settle(xp: Any, moments: Iterable[Any]) -> None:
    """Replace what is too small for a normal number by 0, in place; on the CPU alone: a GPU loses no time on it."""
    if xp is np:
        for x in moments:
            x[np.abs(x) < np.finfo(x.dtype).smallest_normal] = 0


def decays(group: Mapping[str, Any]) -> tuple[bool, float]:
    """Return whether weight decay enters the gradient, and by what factor it shrinks the parameter otherwise."""
    decay = group.get("weight_decay")
    if not decay:
        return False, 1.0
    if group.get("decoupled_weight_decay"):
        return False, 1 - group["lr"] * decay
    return True, 1.0
