"""Layers that make one tensor of several."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from minidl import ops
from minidl.errors import ArgumentError, ShapeError
from minidl.keras.layers.common import BuiltinLayer
from minidl.keras.serialization import builtin
from minidl.keras.structure import is_shape

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

Shape = Sequence[int | None]


class _Merge(BuiltinLayer):
    """A layer that takes a list of tensors."""

    _least = 1

    def build(self, input_shape: Any) -> None:
        self._check_list(input_shape)

    def _check_list(self, shapes: Any) -> None:
        if is_shape(shapes) or isinstance(shapes, dict) or len(shapes) < self._least:
            raise ArgumentError(
                f"{self.name}: expected a list of at least {self._least} tensor{'s' * (self._least > 1)}, got "
                f"{'one tensor of shape' if is_shape(shapes) else 'the shapes'} {shapes}"
            )

    def _shapes(self, inputs: Any) -> list[tuple[int, ...]]:
        if not isinstance(inputs, (list, tuple)):
            self._check_list(inputs.shape)
        return [tuple(x.shape) for x in inputs]


class _Elementwise(_Merge):
    """A layer that merges element by element; the shapes broadcast behind the batch."""

    def call(self, inputs: Any) -> Any:
        shapes = self._shapes(inputs)
        if any(shape != shapes[0] for shape in shapes):
            self.compute_output_shape(shapes)
            rank = max(map(len, shapes))
            inputs = [
                x if x.ndim == rank else x.reshape(x.shape[0], *(1,) * (rank - x.ndim), *x.shape[1:]) for x in inputs
            ]
        return self._merge(list(inputs))

    def _merge(self, inputs: list[Any]) -> Any:
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check_list(input_shape)
        rank = max(map(len, input_shape))
        aligned = [(shape[0], *(1,) * (rank - len(shape)), *shape[1:]) for shape in input_shape]
        merged = []
        for axis, found in enumerate(zip(*aligned, strict=True)):
            known = {n for n in found if n is not None and (n != 1 or axis == 0)}
            if len(known) > 1:
                raise ShapeError(
                    f"{self.name}: the inputs have the shapes {[tuple(shape) for shape in input_shape]}, which differ "
                    f"along axis {axis - rank}; each pair of sizes must be equal, or one of them 1"
                )
            merged.append(next(iter(known)) if known else None if None in found else 1)
        return tuple(merged)


@builtin("keras.layers")
class Add(_Elementwise):
    r"""The sum of several tensors.

    .. math:: y = x^{(1)} + x^{(2)} + \dots

    Shape
    -----
    Input : a list of tensors (N, ...) that broadcast
    Output : (N, ...)

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Add()([minidl.ones(2, 3), minidl.ones(2, 1)]).shape
    (2, 3)

    References
    ----------
    ``keras.layers.Add``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.add, inputs)


@builtin("keras.layers")
class Subtract(_Elementwise):
    r"""The difference of two tensors.

    .. math:: y = x^{(1)} - x^{(2)}

    Shape
    -----
    Input : a list of two tensors (N, ...) that broadcast
    Output : (N, ...)

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.
    ArgumentError
        If there are not two.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Subtract()([minidl.ones(1, 2), minidl.ones(1, 2)])
    tensor([[0., 0.]])

    References
    ----------
    ``keras.layers.Subtract``.
    """

    _least = 2

    def _check_list(self, shapes: Any) -> None:
        super()._check_list(shapes)
        if len(shapes) != 2:
            raise ArgumentError(f"{self.name}: expected two tensors, got {len(shapes)}")

    def _merge(self, inputs: list[Any]) -> Any:
        return ops.sub(*inputs)


@builtin("keras.layers")
class Multiply(_Elementwise):
    r"""The product of several tensors, element by element.

    .. math:: y = x^{(1)} \odot x^{(2)} \odot \dots

    Shape
    -----
    Input : a list of tensors (N, ...) that broadcast
    Output : (N, ...)

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Multiply()([minidl.tensor([[1.0, 2.0]]), minidl.tensor([[3.0, 4.0]])])
    tensor([[3., 8.]])

    References
    ----------
    ``keras.layers.Multiply``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.mul, inputs)


@builtin("keras.layers")
class Average(_Elementwise):
    r"""The average of several tensors.

    .. math:: y = \frac{1}{n} \big(x^{(1)} + \dots + x^{(n)}\big)

    Shape
    -----
    Input : a list of tensors (N, ...) that broadcast
    Output : (N, ...)

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Average()([minidl.zeros(1, 2), minidl.ones(1, 2)])
    tensor([[0.5000, 0.5000]])

    References
    ----------
    ``keras.layers.Average``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.add, inputs) / len(inputs)


@builtin("keras.layers")
class Maximum(_Elementwise):
    r"""The larger of the elements of several tensors.

    .. math:: y_i = \max(x^{(1)}_i, x^{(2)}_i, \dots)

    Shape
    -----
    Input : a list of tensors (N, ...) that broadcast
    Output : (N, ...)

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Maximum()([minidl.zeros(1, 2), minidl.ones(1, 2)])
    tensor([[1., 1.]])

    References
    ----------
    ``keras.layers.Maximum``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.maximum, inputs)


@builtin("keras.layers")
class Minimum(_Elementwise):
    r"""The smaller of the elements of several tensors.

    .. math:: y_i = \min(x^{(1)}_i, x^{(2)}_i, \dots)

    Shape
    -----
    Input : a list of tensors (N, ...) that broadcast
    Output : (N, ...)

    Raises
    ------
    ShapeError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Minimum()([minidl.zeros(1, 2), minidl.ones(1, 2)])
    tensor([[0., 0.]])

    References
    ----------
    ``keras.layers.Minimum``.
    """

    def _merge(self, inputs: list[Any]) -> Any:
        return reduce(ops.minimum, inputs)


@builtin("keras.layers")
class Concatenate(_Merge):
    r"""Several tensors joined along one of their axes.

    .. math:: y = [x^{(1)}; x^{(2)}; \dots]

    Parameters
    ----------
    axis : int
        Not 0, the batch.

    Shape
    -----
    Input : a list of tensors (N, ...) of one shape but for that axis
    Output : (N, ...), the sizes along the axis added up

    Raises
    ------
    ShapeError
        If shapes differ along another axis, or there is no such axis.
    ArgumentError
        If the axis is the batch's.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Concatenate()([minidl.ones(2, 3), minidl.ones(2, 4)]).shape
    (2, 7)

    References
    ----------
    ``keras.layers.Concatenate``.
    """

    _shown = ("axis", "name")

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if axis == 0:
            raise ArgumentError("Concatenate: axis=0 is the batch, which stays as it is; expected another axis")
        self.axis = axis

    def call(self, inputs: Any) -> Any:
        self.compute_output_shape(self._shapes(inputs))
        return ops.concat(inputs, self.axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check_list(input_shape)
        shapes = [tuple(shape) for shape in input_shape]
        rank = len(shapes[0])
        axis = self.axis + rank if self.axis < 0 else self.axis
        for shape in shapes:
            others = [n is None or shape[i] in (n, None) for i, n in enumerate(shapes[0][: len(shape)]) if i != axis]
            if len(shape) != rank or not 0 < axis < rank or not all(others):
                raise ShapeError(
                    f"{self.name}: the inputs have the shapes {shapes}; they must have axis {self.axis} and be equal "
                    "along all others"
                )
        joined = [shape[axis] for shape in shapes]
        total = None if None in joined else sum(joined)
        merged = [next((n for n in sizes if n is not None), None) for sizes in zip(*shapes, strict=True)]
        return (*merged[:axis], total, *merged[axis + 1 :])


@builtin("keras.layers")
class Dot(_Merge):
    r"""The products of two tensors, summed along one axis of each.

    .. math:: y_{n \dots} = \sum_k x^{(1)}_{n \dots k \dots} \, x^{(2)}_{n \dots k \dots}

    Parameters
    ----------
    axes : int or (int, int)
        The axis of each, not the batch's.
    normalize : bool
        Divide by the vectors' lengths first, so that the products are cosines.

    Shape
    -----
    Input : a list of two tensors (N, ...)
    Output : (N, ...): the other axes of both, or (N, 1) if there are none

    Raises
    ------
    ArgumentError
        If there are not two tensors.
    ShapeError
        If the axes' sizes differ.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Dot(axes=1)([minidl.ones(2, 3), minidl.ones(2, 3)])
    tensor([[3.],
            [3.]])

    References
    ----------
    ``keras.layers.Dot``.
    """

    _least = 2

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axes, int) and (len(axes) != 2 or not all(isinstance(axis, int) for axis in axes)):
            raise ArgumentError(f"Dot: axes={axes!r}; expected an int, or two")
        self.axes = axes if isinstance(axes, int) else list(axes)
        self.normalize = normalize

    def _contracted(self, shapes: Any) -> tuple[int, int]:
        """Return the axis of each of the two inputs, counted from the front."""
        self._check_list(shapes)
        if len(shapes) != 2:
            raise ArgumentError(f"{self.name}: expected two tensors, got {len(shapes)}")
        given = (self.axes, self.axes) if isinstance(self.axes, int) else self.axes
        first, second = (axis % len(shape) for axis, shape in zip(given, shapes, strict=True))
        sizes = shapes[0][first], shapes[1][second]
        if 0 in (first, second) or (sizes[0] != sizes[1] and None not in sizes):
            raise ShapeError(
                f"{self.name}: axes={self.axes} of the inputs of shapes {tuple(shapes[0])} and {tuple(shapes[1])} must "
                "have the same size, and not be the batch's"
            )
        return first, second

    def call(self, inputs: Any) -> Any:
        axes = self._contracted(self._shapes(inputs))
        if self.normalize:
            inputs = [ops.normalize(x, axis=axis, eps=1e-6) for x, axis in zip(inputs, axes, strict=True)]
        letters = iter("abcdefghijklmopqrstuvwxyz")
        terms = [
            "n" + "".join("z" if i == axis else next(letters) for i in range(1, x.ndim))
            for x, axis in zip(inputs, axes, strict=True)
        ]
        result = "n" + "".join(c for term in terms for c in term[1:] if c != "z")
        y = ops.einsum(f"{terms[0]},{terms[1]}->{result}", *inputs)
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def compute_output_shape(self, input_shape: Any) -> Any:
        first, second = self._contracted(input_shape)
        x, y = (tuple(shape) for shape in input_shape)
        rest = (*x[1:first], *x[first + 1 :], *y[1:second], *y[second + 1 :])
        return (x[0], *(rest or (1,)))


def add(inputs: Any, **kwargs: Any) -> Any:
    r"""Return the sum of several tensors: :class:`Add` as a function.

    .. math:: y = x^{(1)} + x^{(2)} + \dots

    Parameters
    ----------
    inputs : list of Tensor or KerasTensor
    **kwargs
        The layer's.

    Returns
    -------
    Tensor or KerasTensor

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.add([minidl.ones(1, 2), minidl.ones(1, 2)])
    tensor([[2., 2.]])

    References
    ----------
    ``keras.layers.add``.
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Any, **kwargs: Any) -> Any:
    r"""Return the difference of two tensors: :class:`Subtract` as a function.

    .. math:: y = x^{(1)} - x^{(2)}

    Parameters
    ----------
    inputs : list of two Tensor or KerasTensor
    **kwargs
        The layer's.

    Returns
    -------
    Tensor or KerasTensor

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.subtract([minidl.ones(1, 2), minidl.ones(1, 2)])
    tensor([[0., 0.]])

    References
    ----------
    ``keras.layers.subtract``.
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Any, **kwargs: Any) -> Any:
    r"""Return the product of several tensors, element by element: :class:`Multiply` as a function.

    .. math:: y = x^{(1)} \odot x^{(2)} \odot \dots

    Parameters
    ----------
    inputs : list of Tensor or KerasTensor
    **kwargs
        The layer's.

    Returns
    -------
    Tensor or KerasTensor

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.multiply([minidl.ones(1, 2), minidl.ones(1, 2)])
    tensor([[1., 1.]])

    References
    ----------
    ``keras.layers.multiply``.
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Any, **kwargs: Any) -> Any:
    r"""Return the average of several tensors: :class:`Average` as a function.

    .. math:: y = \frac{1}{n} \big(x^{(1)} + \dots + x^{(n)}\big)

    Parameters
    ----------
    inputs : list of Tensor or KerasTensor
    **kwargs
        The layer's.

    Returns
    -------
    Tensor or KerasTensor

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.average([minidl.zeros(1, 2), minidl.ones(1, 2)])
    tensor([[0.5000, 0.5000]])

    References
    ----------
    ``keras.layers.average``.
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Any, **kwargs: Any) -> Any:
    r"""Return the larger of the elements of several tensors: :class:`Maximum` as a function.

    .. math:: y_i = \max(x^{(1)}_i, x^{(2)}_i, \dots)

    Parameters
    ----------
    inputs : list of Tensor or KerasTensor
    **kwargs
        The layer's.

    Returns
    -------
    Tensor or KerasTensor

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.maximum([minidl.zeros(1, 2), minidl.ones(1, 2)])
    tensor([[1., 1.]])

    References
    ----------
    ``keras.layers.maximum``.
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Any, **kwargs: Any) -> Any:
    r"""Return the smaller of the elements of several tensors: :class:`Minimum` as a function.

    .. math:: y_i = \min(x^{(1)}_i, x^{(2)}_i, \dots)

    Parameters
    ----------
    inputs : list of Tensor or KerasTensor
    **kwargs
        The layer's.

    Returns
    -------
    Tensor or KerasTensor

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.minimum([minidl.zeros(1, 2), minidl.ones(1, 2)])
    tensor([[0., 0.]])

    References
    ----------
    ``keras.layers.minimum``.
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Any, axis: int = -1, **kwargs: Any) -> Any:
    r"""Return several tensors joined along one of their axes: :class:`Concatenate` as a function.

    .. math:: y = [x^{(1)}; x^{(2)}; \dots]

    Parameters
    ----------
    inputs : list of Tensor or KerasTensor
    axis : int
    **kwargs
        The layer's.

    Returns
    -------
    Tensor or KerasTensor

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.concatenate([minidl.zeros(1, 2), minidl.ones(1, 2)])
    tensor([[0., 0., 1., 1.]])

    References
    ----------
    ``keras.layers.concatenate``.
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Any, axes: int | Sequence[int] = -1, normalize: bool = False, **kwargs: Any) -> Any:
    r"""Return the products of two tensors, summed along one axis of each: :class:`Dot` as a function.

    .. math:: y_{n \dots} = \sum_k x^{(1)}_{n \dots k \dots} \, x^{(2)}_{n \dots k \dots}

    Parameters
    ----------
    inputs : list of two Tensor or KerasTensor
    axes : int or (int, int)
    normalize : bool
    **kwargs
        The layer's.

    Returns
    -------
    Tensor or KerasTensor

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.dot([minidl.ones(1, 2), minidl.ones(1, 2)])
    tensor([[2.]])

    References
    ----------
    ``keras.layers.dot``.
    """
    return Dot(axes=axes, normalize=normalize, **kwargs)(inputs)
