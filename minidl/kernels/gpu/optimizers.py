"""Steps of optimisers: one launch for all parameters of a group.

An optimiser made of array operations takes a dozen launches a parameter. Here is one, whatever the number of parameters
is: the kernel is told by a table where each of them and its gradient lie, and reads and writes them there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import BLOCK, Kernel, grid

__all__ = ["Members", "adam", "keras_sgd", "rmsprop", "sgd"]

KERNELS = {name: Kernel("optimizers.cu", name) for name in ("adam", "sgd", "keras_sgd", "rmsprop")}


class Members:
    """Parameters that are updated together, wherever in memory each of them lies.

    Parameters
    ----------
    arrays : sequence of arrays
        In one piece each, of one dtype and on one device.
    """

    def __init__(self, arrays: Sequence[Any]) -> None:
        self.arrays = list(arrays)
        self.ends = np.cumsum([array.size for array in arrays])
        self.size = int(self.ends[-1])
        self._addresses: list[int] = []
        self._table: Any = None

    def table(self, grads: Sequence[Any]) -> Any:
        """Return the addresses of the parameters, of their gradients, and where each begins, on the GPU.

        Gradients of one step most often lie where those of the step before did, whose memory was given back in between:
        then nothing is sent.
        """
        addresses = [array.data.ptr for array in (*self.arrays, *grads)]
        if addresses != self._addresses:
            starts = self.ends - [array.size for array in self.arrays]
            self._table = namespace(self.arrays[0]).asarray(np.array([*addresses, *starts], np.int64))
            self._addresses = addresses
        return self._table


def run(name: str, members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Launch a rule on flat slots (or None for those that there are not)."""
    if not members.size:
        return
    first, module = members.arrays[0], namespace(members.arrays[0])
    with first.device:
        # whatever the layout of a gradient, it is read in the parameter's order; the list keeps copies until the launch
        grads = [module.ascontiguousarray(grad, first.dtype) for grad in grads]
        table = members.table(grads)
        KERNELS[name](
            grid(members.size), BLOCK, table, len(grads), *slots, members.size, *numbers, dtype=first.dtype
        )  # fmt: skip


def adam(members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Change parameters and their moments in place, as :class:`minidl.optim.Adam` does.

    Parameters
    ----------
    members : Members
    grads : sequence of arrays, one a parameter, of its shape
    slots, numbers
        Those of the CPU's kernel of the same name; what a slot holds of each parameter lies in its C order.
    """
    run("adam", members, grads, (*slots, None)[:3], numbers)


def sgd(members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Change parameters and their velocity in place, as :class:`minidl.optim.SGD` does: see :func:`adam`."""
    run("sgd", members, grads, (*slots, None)[:1], numbers)


def keras_sgd(members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Change parameters and their velocity in place, as ``KerasSGD`` of ``minidl.optim`` does: see :func:`adam`."""
    run("keras_sgd", members, grads, (*slots, None)[:1], numbers)


def rmsprop(members: Members, grads: Sequence[Any], slots: Sequence[Any], numbers: Sequence[float]) -> None:
    """Change parameters and their means in place, as RMSprop of either dialect does: see :func:`adam`."""
    *rates, momentum, centered, rate_first = numbers
    mean = slots[1] if centered else None
    velocity = slots[-1] if momentum else None
    run("rmsprop", members, grads, (slots[0], mean, velocity), (*rates, momentum, rate_first))
