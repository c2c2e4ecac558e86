"""The layers that need no family: Dense, Activation, Embedding, Identity, Lambda."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl import ops
from minidl.errors import ArgumentError, DTypeError, ShapeError, warn
from minidl.keras import activations
from minidl.keras.layers.common import BuiltinLayer, check_features, positive, size_known
from minidl.keras.serialization import builtin

__all__ = ["Activation", "Dense", "Embedding", "Identity", "Lambda"]


@builtin("keras.layers")
class Dense(BuiltinLayer):
    r"""An affine map of the last axis, and an activation.

    .. math:: y = \operatorname{activation}(x W + b)

    Parameters
    ----------
    units : int
        U, the number of outputs.
    activation : str or callable, optional
    use_bias : bool
    kernel_initializer, bias_initializer : str or initializer
    kernel_regularizer, bias_regularizer : str or regularizer, optional
    activity_regularizer : str or regularizer, optional
        What the output adds to the loss.
    kernel_constraint, bias_constraint : str or constraint, optional
    lora_rank, lora_alpha, quantization_config : None
        Keras's; not available here.

    Shape
    -----
    Input : (N, ..., D)
    Output : (N, ..., U)

    Raises
    ------
    ArgumentError
        If ``units`` is no positive integer.
    ShapeError
        If the last axis of an input differs from what the layer was built for.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> layer = keras.layers.Dense(2, activation="relu")
    >>> layer(minidl.ones(5, 3)).shape
    (5, 2)
    >>> layer.kernel.shape, layer.bias.shape
    ((3, 2), (2,))

    References
    ----------
    ``keras.layers.Dense``.
    """

    _shown = ("units", "name")
    _optional = ("activity_regularizer", "lora_rank", "lora_alpha")

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        positive(self, units=units)
        self._refuse_given(lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        self._keep(locals())

    def build(self, input_shape: Any) -> None:
        features = size_known(self, input_shape)
        self.kernel = self.add_weight(
            (features, self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def call(self, inputs: Any) -> Any:
        relu = self.activation is activations.relu  # in the same pass
        try:
            y = ops.dense(inputs, self.kernel, self.bias, relu=relu)
        except ShapeError:
            check_features(self, inputs.shape, self.kernel.shape[0])
            raise
        return y if relu else self.activation(y)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.built:
            check_features(self, input_shape, self.kernel.shape[0])
        return (*input_shape[:-1], self.units)


@builtin("keras.layers")
class Activation(BuiltinLayer):
    r"""An activation function as a layer.

    .. math:: y = \operatorname{activation}(x)

    Parameters
    ----------
    activation : str or callable

    Shape
    -----
    Input, Output : any, the same

    Raises
    ------
    ArgumentError
        If no activation has that name.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Activation("relu")(minidl.tensor([-1.0, 2.0]))
    tensor([0., 2.])

    References
    ----------
    ``keras.layers.Activation``.
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._keep(locals())

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@builtin("keras.layers")
class Embedding(BuiltinLayer):
    r"""A row of a table of weights for each index: the usual first layer for words.

    .. math:: y_{n t d} = W_{i_{n t},\, d}

    Parameters
    ----------
    input_dim : int
        V, how many different indices there are.
    output_dim : int
        D, how many numbers stand for one.
    embeddings_initializer : str or initializer
    embeddings_regularizer : str or regularizer, optional
    embeddings_constraint : str or constraint, optional
    mask_zero : bool
        Index 0 is padding, which :meth:`compute_mask` tells; the mask is passed on by hand (``mask=``), as a warning
        says.
    weights : list of array, optional
        The table's first values, as a list of one array (V, D).
    lora_rank, lora_alpha, quantization_config : None
        Keras's; not available here.

    Shape
    -----
    Input : (N, ...), integers from 0 to V - 1
    Output : (N, ..., D)

    Raises
    ------
    ArgumentError
        If a size is no positive integer.
    RangeError
        If an index is not in the table.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Embedding(1000, 8)(minidl.tensor([[4, 20, 3]])).shape
    (1, 3, 8)

    References
    ----------
    ``keras.layers.Embedding``.
    """

    _shown = ("input_dim", "output_dim", "name")
    _optional = ("lora_rank", "lora_alpha", "weights")

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        weights: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        length = kwargs.pop("input_length", None)
        if length is not None and "input_shape" not in kwargs:
            kwargs["input_shape"] = (length,)
        super().__init__(**kwargs)
        positive(self, input_dim=input_dim, output_dim=output_dim)
        self._refuse_given(lora_rank=lora_rank, lora_alpha=lora_alpha, quantization_config=quantization_config)
        if mask_zero:
            warn(
                "Embedding: mask_zero=True, but masks do not pass from layer to layer here; give the recurrent layer "
                "mask=embedding.compute_mask(indices) in a model of your own"
            )
        self._first_values = weights
        arguments = locals()
        self._keep({name: value for name, value in arguments.items() if name not in ("weights", "length")})

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight(
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
            name="embeddings",
        )
        if self._first_values is not None:
            self.set_weights(self._first_values)

    def call(self, inputs: Any) -> Any:
        return ops.embedding(inputs if inputs.dtype.kind in "iu" else inputs.long(), self.embeddings)

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """Return where the indices are not 0, or None without ``mask_zero``."""
        return inputs != 0 if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape, self.output_dim)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("weights", None)  # they are the weights' own business
        return {**config, "activity_regularizer": config.get("activity_regularizer")}


@builtin("keras.layers")
class Identity(BuiltinLayer):
    r"""A layer that returns its input.

    .. math:: y = x

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Identity()(minidl.ones(2))
    tensor([1., 1.])

    References
    ----------
    ``keras.layers.Identity``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@builtin("keras.layers")
class Lambda(BuiltinLayer):
    r"""A function of tensors as a layer; a file cannot hold it, so a model that is to be saved needs a layer class.

    .. math:: y = f(x)

    Parameters
    ----------
    function : callable
        Of the inputs, and of ``mask`` and ``training`` if it takes them.
    output_shape : tuple of int, or callable of the input's shape, optional
        That of one sample; found by trying if left out.
    mask : None
        Keras's; not available here.
    arguments : dict, optional
        Further keyword arguments of the function.

    Shape
    -----
    Input, Output : as the function has them

    Raises
    ------
    DTypeError
        If ``function`` is not callable, or the layer is to be written to a file.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.Lambda(lambda x: x**2)(minidl.tensor([2.0, 3.0]))
    tensor([4., 9.])

    References
    ----------
    ``keras.layers.Lambda``.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise DTypeError(f"Lambda: function must be callable, got {function!r}")
        self._refuse_given(mask=mask)
        self.function = function
        self.arguments = arguments or {}
        self._output_shape = output_shape

    def call(self, inputs: Any) -> Any:
        return self.function(inputs, **self.arguments)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return tuple(self._output_shape(input_shape))
        return (input_shape[0], *self._output_shape)

    def get_config(self) -> dict[str, Any]:
        raise DTypeError(
            f"{self.name}: a Lambda layer cannot be written to a file, since reading it would mean to run code from "
            "there; write a Layer with this computation in its call, and register it with "
            "keras.saving.register_keras_serializable"
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        raise ArgumentError("Lambda: a file's Lambda layer holds code, which minidl never runs")
