"""The Tensor: a :class:`minidl.autograd.Variable` with operators and methods.

Each line of the class body names the operation behind a method: to read what ``x.exp()`` does, open ``ops`` at
``exp``. The few methods that are no operations (printing, moving to NumPy, the graph) are written out below.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import autograd, ops
from minidl.autograd import Variable, update
from minidl.autograd.variable import check_may_require_grad
from minidl.backend import Device, device_of
from minidl.errors import DTypeError, GradError, ShapeError
from minidl.formatting import format_tensor


class Tensor(Variable, root=True):
    """An array of numbers that remembers how it was computed, so that it can be differentiated.

    .. math:: y = f(x) \\;\\Rightarrow\\; \\bar x = \\bar y \\, \\frac{\\partial f}{\\partial x}

    Parameters
    ----------
    data : number, nested lists, array or Tensor, any shape
        As for :func:`minidl.tensor`.
    dtype : dtype, optional
    device : Device or str, optional
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Tensor, the shape of ``data``

    Raises
    ------
    ShapeError
        If nested lists are ragged.
    DTypeError
        If ``data`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4., 6.])

    References
    ----------
    ``torch.Tensor``, ``numpy.ndarray``.
    """

    __array_priority__ = 1000
    __array_ufunc__ = None  # array + tensor is the tensor's business
    __hash__ = Variable.__hash__  # == compares elements; identity is what hashes

    def __init__(self, data: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> None:
        self.array = ops.creation.as_array(data, dtype, device)
        self.counter = [0]
        if requires_grad:
            self.requires_grad = True

    # ------------------------------------------------------------------ operators (arithmetic)

    __add__ = ops.add
    __sub__ = ops.sub
    __mul__ = ops.mul
    __truediv__ = ops.div
    __neg__ = ops.neg

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.sub(other, self)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.mul(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.div(other, self)

    def __iadd__(self, other: Any) -> Tensor:
        return update(self, ops.add(self, other), "+=")

    def __isub__(self, other: Any) -> Tensor:
        return update(self, ops.sub(self, other), "-=")

    def __imul__(self, other: Any) -> Tensor:
        return update(self, ops.mul(self, other), "*=")

    def __itruediv__(self, other: Any) -> Tensor:
        return update(self, ops.div(self, other), "/=")

    # ------------------------------------------------------------------ arithmetic.py, elementwise.py

    add = ops.add
    sub = ops.sub
    mul = ops.mul
    div = ops.div
    neg = ops.neg

    # ------------------------------------------------------------------ activations.py

    # ------------------------------------------------------------------ reductions.py

    sum = ops.sum

    # ------------------------------------------------------------------ shape.py

    broadcast_to = ops.broadcast_to
    reshape = ops.reshape

    # ------------------------------------------------------------------ indexing.py, sorting.py

    # ------------------------------------------------------------------ linalg.py

    # ------------------------------------------------------------------ the array

    def __getitem__(self, index: Any) -> Tensor:
        return ops.getitem(self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        ops.indexing.assign(self, index, value)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis."""
        return self.array.shape

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def dtype(self) -> np.dtype:
        """The element type."""
        return self.array.dtype

    @property
    def device(self) -> Device:
        """Where the array lives."""
        return device_of(self.array)

    def __repr__(self) -> str:
        return format_tensor(self)

    astype = autograd.cast

    def detach(self) -> Tensor:
        """Return a tensor with the same memory that is cut off from the graph."""
        out = autograd.wrap(self.array)
        out.counter = self.counter
        return out

    def item(self) -> Any:
        """Return the one element as a Python number."""
        if self.array.size != 1:
            raise ShapeError(f"item: the tensor has {self.array.size} elements (shape {self.shape}), expected one")
        return self.array.item()

    # ------------------------------------------------------------------ the graph

    @property
    def requires_grad(self) -> bool:
        """Whether gradients with respect to this tensor are recorded."""
        if self._view is not None:
            self._view.refresh(self)
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if self._node is not None:
            if not value:
                raise GradError("requires_grad: only a leaf can be switched off; use x.detach() for a result")
            return
        if value:
            check_may_require_grad(self.array)
            if self.counter is None:
                raise GradError("requires_grad: a tensor made in inference mode cannot; clone() it outside first")
        self._requires_grad = bool(value)

    @property
    def grad(self) -> Tensor | None:
        """The gradient accumulated by :meth:`backward`, of this tensor's shape; None before."""
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            if not isinstance(value, Variable):
                raise DTypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
            if value.array.shape != self.array.shape:
                raise ShapeError(f"grad: a gradient of shape {value.array.shape} for a tensor of shape {self.shape}")
        self._grad = value

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> None:
        """Accumulate into every leaf's ``.grad`` the gradient of this tensor with respect to it.

        Parameters
        ----------
        gradient : Tensor or array, the shape of this tensor, optional
            What to start from; a scalar starts from 1.
        retain_graph : bool, optional
            Keep the graph for another pass. Defaults to ``create_graph``.
        create_graph : bool
            Record the computation of the gradients, so that they can be differentiated in turn.

        Raises
        ------
        GradError
            If the tensor has no graph, is no scalar and ``gradient`` is missing, or the graph was freed.
        ShapeError
            If ``gradient`` does not have this tensor's shape.
        """
        autograd.backward([self], [gradient], retain_graph=retain_graph, create_graph=create_graph)
