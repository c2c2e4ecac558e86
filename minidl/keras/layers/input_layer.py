"""Input: where symbolic tensors begin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl.backend import as_dtype
from minidl.errors import ArgumentError
from minidl.keras.layer import Layer, as_shape
from minidl.keras.serialization import builtin
from minidl.keras.symbolic import KerasTensor, Node

__all__ = ["Input", "InputLayer"]


@builtin("keras.layers")
class InputLayer(Layer):
    r"""The beginning of a model: it says what shape the input has, and returns it as it is.

    .. math:: y = x

    Parameters
    ----------
    shape : tuple of int or None
        The shape of one sample.
    batch_size : int, optional
    dtype : str, optional
        Of the input; ``"int64"``, say, for labels of words.
    batch_shape : tuple of int or None, optional
        ``shape`` with the batch in front, instead of ``shape`` and ``batch_size``.
    sparse, ragged, input_tensor, optional
        Taken for Keras's sake, with their defaults alone.
    name : str, optional
    **kwargs
        Those of :class:`Layer`.

    Shape
    -----
    Input, Output : (N, \*shape)

    Raises
    ------
    ArgumentError
        If neither or both of ``shape`` and ``batch_shape`` are given.

    Examples
    --------
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.layers.InputLayer((4,)), keras.layers.Dense(2)])
    >>> model.output_shape
    (None, 2)

    References
    ----------
    ``keras.layers.InputLayer``.
    """

    _shown = ("batch_shape", "name")

    def __init__(
        self,
        shape: Sequence[int | None] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool = False,
        ragged: bool = False,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        if "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        if sparse or ragged or optional or input_tensor is not None:
            raise ArgumentError(
                "Input: sparse, ragged, optional and input_tensor do not exist in minidl; inputs are arrays"
            )
        if (shape is None) == (batch_shape is None) or (batch_shape is not None and batch_size is not None):
            raise ArgumentError(
                f"Input: give either shape= (of one sample) or batch_shape=, got shape={shape}, "
                f"batch_size={batch_size}, batch_shape={batch_shape}"
            )
        super().__init__(name=name, **kwargs)
        if batch_shape is None:
            batch_shape = (batch_size, *as_shape(shape, "Input"))
        self.batch_shape = self._batch_input_shape = as_shape(batch_shape, "Input")
        self.input_dtype = self.dtype if dtype is None else as_dtype(_plain_name(dtype)).name
        self.built = True
        Node(self, (), {}, KerasTensor(self.batch_shape, self.input_dtype, self.name))

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": list(self.batch_shape),
            "dtype": self.input_dtype,
            "sparse": False,
            "ragged": False,
            "name": self.name,
            "optional": False,
        }

    def get_build_config(self) -> None:
        return None


def _plain_name(dtype: Any) -> Any:
    return dtype.get("config", {}).get("name") if isinstance(dtype, dict) else dtype


@builtin("keras")
def Input(  # noqa: N802
    shape: Sequence[int | None] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool = False,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """Return a symbolic tensor to call the first layers with.

    Parameters
    ----------
    shape : tuple of int or None
        The shape of one sample; None where it may vary.
    batch_size : int, optional
    dtype : str, optional
        The default dtype if left out.
    batch_shape : tuple of int or None, optional
        ``shape`` with the batch in front, instead of ``shape`` and ``batch_size``.
    name : str, optional
    sparse, tensor, optional
        Taken for Keras's sake, with their defaults alone.

    Returns
    -------
    KerasTensor (N, *shape)

    Raises
    ------
    ArgumentError
        If neither or both of ``shape`` and ``batch_shape`` are given.

    Examples
    --------
    >>> from minidl import keras
    >>> x = keras.Input(shape=(28, 28, 1), name="image")
    >>> keras.Model(x, keras.layers.Flatten()(x)).output_shape
    (None, 784)

    References
    ----------
    ``keras.Input``.
    """
    return InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    ).output
