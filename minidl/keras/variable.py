"""Variable: a weight with a name."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.autograd import wrap
from minidl.backend import as_dtype, device_of, to_numpy
from minidl.errors import ShapeError
from minidl.keras.allowance import claimed
from minidl.keras.serialization import builtin
from minidl.nn import Parameter
from minidl.ops.creation import as_array

__all__ = ["Variable"]


@builtin("keras")
class Variable(Parameter):
    """A weight: a parameter that has a name, and the path of the layers above it.

    Parameters
    ----------
    initializer : array, Tensor, or callable ``(shape, dtype)``
        Its first values.
    shape : tuple of int, optional
        Needed with a callable.
    dtype : str, optional
    trainable : bool
    name : str

    Returns
    -------
    Variable, the shape of the values

    Raises
    ------
    ShapeError
        If values of another shape are assigned.

    Examples
    --------
    >>> w = Variable([1.0, 2.0], name="scale")
    >>> w.assign([3.0, 4.0]).numpy()
    array([3., 4.], dtype=float32)

    References
    ----------
    ``keras.Variable``.
    """

    def __init__(
        self,
        initializer: Any,
        shape: tuple[int, ...] | None = None,
        dtype: Any = None,
        trainable: bool = True,
        name: str = "variable",
        path: str | None = None,
    ) -> None:
        values = initializer
        if callable(initializer) and shape is not None:
            from_file = claimed(shape, path or name)
            values = np.zeros(shape, as_dtype(dtype or float)) if from_file else initializer(tuple(shape), dtype=dtype)
        array = as_array(values, copy=True)
        if dtype is not None:
            array = array.astype(as_dtype(dtype), copy=False)
        super().__init__(wrap(array), requires_grad=trainable and array.dtype.kind == "f")
        self.name = name
        self.path = path or name
        self.regularizer: Any = None
        self.constraint: Any = None
        self._trainable = trainable

    @property
    def trainable(self) -> bool:
        """Whether it is trained."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        self.requires_grad = self._trainable and self.array.dtype.kind == "f"

    @property
    def value(self) -> Variable:
        """The tensor: the variable itself."""
        return self

    def assign(self, value: Any) -> Variable:
        """Copy values of the same shape into it, and return it."""
        array = as_array(value, device=device_of(self.array))
        if array.shape != self.array.shape:
            raise ShapeError(
                f"{self.path}: cannot assign an array of shape {array.shape} to a variable of shape {self.array.shape}"
            )
        self.array[...] = array
        self.bump()
        return self

    def assign_add(self, value: Any) -> Variable:
        """Add to the values, and return it."""
        return self.assign(self.array + as_array(value, device=device_of(self.array), copy=False))

    def assign_sub(self, value: Any) -> Variable:
        """Subtract from the values, and return it."""
        return self.assign(self.array - as_array(value, device=device_of(self.array), copy=False))

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """Return a copy of the values."""
        return to_numpy(self.array).copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.numpy().astype(dtype, copy=False) if dtype is not None else self.numpy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        copied = Variable(wrap(self.array), trainable=self._trainable, name=self.name, path=self.path)
        copied.regularizer, copied.constraint = self.regularizer, self.constraint
        memo[id(self)] = copied
        return copied

    def __repr__(self) -> str:
        return f"<Variable path={self.path}, shape={self.array.shape}, dtype={self.array.dtype}>"
