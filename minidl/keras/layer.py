"""Layer: a module in Keras's manner, with a name, weights that come with the first input shape, and a config."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from functools import wraps
from typing import Any, ClassVar, Self

import numpy as np

from minidl._tensor import Tensor
from minidl.autograd import Variable as Recorded
from minidl.autograd import no_grad, wrap
from minidl.backend import CPU, as_dtype, default_dtype, device_of, is_array
from minidl.errors import ArgumentError, DTypeError, ShapeError, StateError
from minidl.keras import constraints, initializers, regularizers
from minidl.keras.allowance import check_trial
from minidl.keras.names import SCOPE, auto_name, checked_name, refuse_unknown, scope
from minidl.keras.serialization import builtin, deserialize_keras_object, serialize_keras_object, snake_case
from minidl.keras.structure import Sizes, flatten, is_shape, map_shapes, map_structure
from minidl.keras.symbolic import KerasTensor, Node, any_symbolic
from minidl.keras.variable import Variable
from minidl.nn import Module
from minidl.nn.tree import place_of
from minidl.ops import zeros
from minidl.ops.creation import as_array

__all__ = ["Layer"]


class Call:
    """What the layers inside of one outermost call have in common."""

    __slots__ = ("losses", "training")

    def __init__(self, training: bool, losses: list[Any]) -> None:
        self.training = training
        self.losses = losses  # what layers added to the loss


_CALL: ContextVar[Call | None] = ContextVar("call", default=None)


@builtin("keras")
@builtin("keras.layers")
class Layer(Module):
    r"""The base of all layers in Keras's dialect: a function with weights, which it makes when it sees its first input.

    .. math:: y = f_\theta(x)

    A subclass makes its weights in ``build(input_shape)`` with :meth:`add_weight`, and computes in ``call(inputs)``.
    What its ``__init__`` takes should be kept in attributes of the same names: :meth:`get_config` reads them there.

    Parameters
    ----------
    activity_regularizer : str, regularizer or callable, optional
        What the output adds to the loss.
    trainable : bool
        Whether its weights are trained.
    dtype : str, optional
        Of its weights, and what float inputs are converted to; the default dtype if left out.
    name : str, optional
        Unique in a model; made from the class's name if left out.
    input_shape : tuple of int, optional
        The shape of one sample: with it a ``Sequential`` that begins with this layer is built at once.
    input_dim : int, optional
        ``input_shape=(input_dim,)``
    batch_input_shape : tuple of int or None, optional
        ``input_shape`` with the batch in front.
    autocast : bool
        Whether float inputs are converted to ``dtype``.
    **unknown
        Anything else is an error.

    Shape
    -----
    Input, Output : as ``call`` has them

    Raises
    ------
    ArgumentError
        If an argument is unknown.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> class Scale(keras.layers.Layer):
    ...     def build(self, input_shape):
    ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")
    ...
    ...     def call(self, inputs):
    ...         return inputs * self.factor
    >>> Scale()(minidl.ones(2, 3)).shape
    (2, 3)

    References
    ----------
    ``keras.layers.Layer``.
    """

    training = False
    _shown: tuple[str, ...] = ("name",)
    _call_takes_training: ClassVar[bool] = False
    _cell: ClassVar[str] = ""  # what Keras calls the layer within this one that has the weights, if there is one
    __signature__: ClassVar[inspect.Signature]
    _given: _Given
    _call_losses: Sequence[Any] = ()  # what layers added to the loss in the last call of this one

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self = object.__new__(cls)
        try:
            given = inspect.signature(cls.__init__).bind(self, *args, **kwargs).arguments
        except TypeError:
            given = {}  # __init__ raises the error itself
        self.__dict__["_given"] = _Given(given)
        return self

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        input_shape: Sequence[int | None] | None = None,
        input_dim: int | None = None,
        batch_input_shape: Sequence[int | None] | None = None,
        **unknown: Any,
    ) -> None:
        refuse_unknown(type(self).__name__, unknown, type(self).__init__, Layer.__init__)
        super().__init__()
        self.name = checked_name(name) if name is not None else auto_name(snake_case(type(self).__name__))
        self.built = False
        self.autocast = autocast
        self.dtype: str = _dtype_name(dtype)
        self._numpy_dtype = np.dtype(self.dtype)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self._trainable = bool(trainable)
        self._build_shape: Any = None
        if input_dim is not None:
            input_shape = (input_dim,)
        if input_shape is not None:
            batch_input_shape = (None, *as_shape(input_shape, f"{type(self).__name__}: input_shape"))
        self._batch_input_shape = None if batch_input_shape is None else tuple(batch_input_shape)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.__signature__ = _without_self(cls.__init__)  # what help() shows: not that of __new__
        if "build" in cls.__dict__:
            cls.build = _as_built(cls.__dict__["build"])  # type: ignore[method-assign]
        if "call" in cls.__dict__:
            cls.forward = cls.__dict__["call"]
            parameters = inspect.signature(cls.__dict__["call"]).parameters.values()
            cls._call_takes_training = any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)

    @property
    def nodes(self) -> list[Node]:
        """Its symbolic calls."""
        return self._given.nodes

    # ------------------------------------------------------------------ what subclasses define

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of a shape ``(None, ...)``; for several inputs, a list or dict of shapes."""
        self.built = True
        self._build_shape = input_shape

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the layer's result; subclasses define it, and may take ``training``."""
        raise NotImplementedError(f"{type(self).__name__} has no call; define `def call(self, inputs):` in it")

    forward = call  # what a Module computes; a subclass's call takes its place in __init_subclass__

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of the result for inputs of a shape, in which None is a size not known.

        Unless a subclass knows better, it is found by trying with zeros, once with 2 for each None and once with 3.
        """

        def tried(size: int) -> Any:
            def filled(shape: tuple[int | None, ...]) -> Any:
                sizes = [size if n is None else n for n in shape]
                check_trial(sizes, self.name)
                return zeros(*sizes, device=place_of(self))

            inputs = map_shapes(filled, input_shape)
            with no_grad():
                return map_structure(lambda x: Sizes(x.shape), self(inputs))

        twos, threes = tried(2), flatten(tried(3))
        sizes = iter(threes)
        return map_structure(
            lambda shape: tuple(n if n == m else None for n, m in zip(shape.shape, next(sizes).shape, strict=True)),
            twos,
        )

    # ------------------------------------------------------------------ weights

    def add_weight(
        self,
        shape: Sequence[int] | int = (),
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
        *,
        prefix: Sequence[str] = (),
    ) -> Variable:
        """Make a weight, which belongs to the layer from then on.

        Parameters
        ----------
        shape : tuple of int
        initializer : str, initializer or callable, optional
            ``"glorot_uniform"`` if left out.
        dtype : str, optional
            The layer's if left out.
        trainable : bool
        regularizer : str, regularizer or callable, optional
            What the weight adds to the loss.
        constraint : str, constraint or callable, optional
            What it is put through after each step.
        name : str, optional
        prefix : sequence of str
            What stands between the layer and the weight in its path: ``("lstm_cell",)``.

        Returns
        -------
        Variable
        """
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        if any(not isinstance(n, (int, np.integer)) for n in shape):
            raise ShapeError(
                f"{self.name}: a weight of shape {shape} cannot be made; every size it depends on must be known, so "
                "give the input a shape without None there"
            )
        initializer = initializers.get("glorot_uniform" if initializer is None else initializer)
        name = name or auto_name("variable")
        path = "/".join((*(SCOPE.get() or (self.name,)), *prefix, name))
        weight = Variable(initializer, shape, dtype or self.dtype, trainable, name, path)
        weight.regularizer = regularizers.get(regularizer)
        weight.constraint = constraints.get(constraint)
        if not self._trainable:
            weight.requires_grad = False
        if self.__dict__.get(name) is None and getattr(type(self), name, None) is None:
            setattr(self, name, weight)
        else:
            self._further_weights = [*self.__dict__.get("_further_weights", ()), weight]
        return weight

    def _layers_below(self) -> Iterator[Layer]:
        """Yield this layer and all below it, each once."""
        return (module for module in self.modules() if isinstance(module, Layer))

    def _own_variables(self) -> list[Variable]:
        """Return the variables of this layer alone, each once: those made to be trained, then the others."""
        own = {id(x): x for _, x in self._members() if isinstance(x, Variable)}
        return sorted(own.values(), key=lambda x: not x.trainable)

    @property
    def variables(self) -> list[Variable]:
        """All variables, layer after layer; of each, those made to be trained, then the others."""
        found = {id(x): x for layer in self._layers_below() for x in layer._own_variables()}
        return list(found.values())

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes; none where ``trainable`` is False."""
        return [x for x in self.variables if x._requires_grad]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone."""
        return [x for x in self.variables if not x._requires_grad]

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer after layer, whatever is frozen."""
        return self.variables

    trainable_variables = trainable_weights
    non_trainable_variables = non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether the weights are trained; setting it sets it for all layers below."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for layer in self._layers_below():
            layer._trainable = bool(value)
            for x in layer._own_variables():
                x.requires_grad = bool(value) and x.trainable and x.array.dtype.kind == "f"

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights as NumPy arrays, in the order of ``weights``."""
        return [x.numpy() for x in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Copy values into all weights (or, after an error, none), in the order of ``weights``."""
        own = self.weights
        arrays = [as_array(x) for x in weights]
        if len(arrays) != len(own) or any(a.shape != x.array.shape for a, x in zip(arrays, own, strict=True)):
            raise ShapeError(
                f"{self.name}.set_weights: expected {len(own)} arrays of the shapes {[x.array.shape for x in own]}, "
                f"got {len(arrays)} of the shapes {[a.shape for a in arrays]}"
                + ("" if self.built else "; the layer is not built yet: call it, or its build, first")
            )
        for x, array in zip(own, arrays, strict=True):
            x.assign(array)

    def count_params(self) -> int:
        """Return how many numbers the weights hold."""
        if not self.built:
            raise StateError(f"{self.name} has no weights yet: call it, or its build(input_shape), first")
        return sum(x.array.size for x in self.variables)

    # ------------------------------------------------------------------ losses

    @property
    def losses(self) -> list[Any]:
        """What is added to the loss: by the regularisers of weights, and by the layers in the last call of this one."""
        regularized = (x for x in self.trainable_weights if x.regularizer is not None)
        return [*(x.regularizer(x) for x in regularized), *self._call_losses]

    def add_loss(self, loss: Any) -> None:
        """Add a scalar to the loss of the step; to be called in ``call``."""
        call = _CALL.get()
        if call is None:
            raise StateError(f"{self.name}.add_loss: there is no call under way; use it in the layer's call")
        call.losses.append(loss)

    # ------------------------------------------------------------------ calling

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        x = args[0] if len(args) == 1 and not kwargs else None
        if not (self.built and isinstance(x, Tensor) and x.array.dtype == self._numpy_dtype):  # else nothing to prepare
            if any_symbolic(args) or any_symbolic(tuple(kwargs.values())):
                return self._symbolic_call(args, kwargs)
            args = tuple(map_structure(self._converted, x) for x in args)
            if not self.built:
                self._build_for(args[0] if args else None)
        training = kwargs.pop("training", None)
        outer = _CALL.get()
        if outer is not None and (training is None or training == outer.training):
            return self._called(outer, args, kwargs)
        call = Call(self.training if training is None else bool(training), [] if outer is None else outer.losses)
        token = _CALL.set(call)
        try:
            return self._called(call, args, kwargs)
        finally:
            _CALL.reset(token)
            if outer is None and (call.losses or self._call_losses):
                self._call_losses = call.losses

    def _called(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._call_takes_training:
            kwargs["training"] = call.training
        outputs = super().__call__(*args, **kwargs)
        if self.activity_regularizer is not None:
            call.losses += [self.activity_regularizer(x) / x.shape[0] for x in flatten(outputs)]
        return outputs

    def _converted(self, x: Any) -> Any:
        """Return an input as a tensor, floats in the layer's dtype."""
        if not isinstance(x, Recorded):
            if not (is_array(x) or isinstance(x, (int, float, np.generic)) or hasattr(x, "__array__")):
                return x
            here = device_of(x)  # data of the host goes to where the weights are
            x = wrap(as_array(x, device=place_of(self) if here == CPU else here, copy=False))
        if self.autocast and x.array.dtype.kind == "f" and x.array.dtype != self._numpy_dtype:
            x = x.to(self.dtype)
        return x

    def _build_for(self, inputs: Any) -> None:
        """Build for the first input seen, whatever the size of its batch."""
        self.build(map_structure(lambda x: (None, *x.shape[1:]) if getattr(x, "shape", ()) else (), inputs))

    def _symbolic_call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Return symbolic tensors for symbolic inputs, and remember the call."""
        inputs = args[0] if args else next(iter(kwargs.values()))
        input_shape = map_structure(lambda x: tuple(x.shape), inputs)
        try:
            if not self.built:
                self.build(input_shape)
            output_shape = self.compute_output_shape(input_shape)
        except (ArgumentError, ShapeError) as error:
            if error.layer is None:
                self._locate(error)
            raise
        outputs = map_shapes(lambda shape: KerasTensor(shape, self._output_dtype(args)), output_shape)
        Node(self, args, kwargs, outputs)
        return outputs

    def _output_dtype(self, args: tuple[Any, ...]) -> str:
        return self.dtype

    @property
    def _serialized_name(self) -> str:
        """What files and tables call the class."""
        return type(self).__name__

    @property
    def _history_input(self) -> Node:
        if not self.nodes:
            raise StateError(f"{self.name} has not been called with symbolic tensors, so it has no input and output")
        return self.nodes[0]

    @property
    def input(self) -> Any:
        """The symbolic input of the layer's first symbolic call."""
        return self._history_input.args[0]

    @property
    def output(self) -> Any:
        """The symbolic output of the layer's first symbolic call."""
        return self._history_input.outputs

    # ------------------------------------------------------------------ configs

    def get_config(self) -> dict[str, Any]:
        """Return what the layer was made with, as JSON can hold it: ``from_config`` makes such a layer again."""
        config: dict[str, Any] = {"name": self.name, "trainable": self._trainable, "dtype": dtype_config(self.dtype)}
        for cls in reversed(type(self).__mro__):
            if issubclass(cls, Layer) and cls is not Layer and "__init__" in cls.__dict__:
                for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
                    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                        continue
                    if parameter.name not in config:
                        config[parameter.name] = serialize_keras_object(self._argument(parameter))
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = serialize_keras_object(self.activity_regularizer)
        return config

    def _argument(self, parameter: inspect.Parameter) -> Any:
        """Return what a parameter of ``__init__`` was set to."""
        if parameter.name in self.__dict__:
            return self.__dict__[parameter.name]
        if parameter.name in self._given.arguments:
            return self._given.arguments[parameter.name]
        return None if parameter.default is parameter.empty else parameter.default

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Make a layer from what ``get_config`` returned."""
        return cls(**{key: _ready(key, value) for key, value in config.items()})

    def get_build_config(self) -> dict[str, Any] | None:
        """Return the shape that the layer was built for, or None."""
        return {"input_shape": self._build_shape} if self._build_shape is not None else None

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Build for the shape that ``get_build_config`` returned."""
        shape = config.get("input_shape")
        if shape is not None and not self.built:
            self.build(map_shapes(tuple, shape))


class _Given:
    """What the layer was made with and called with; no dict, since a module looks into dicts for what belongs to it."""

    __slots__ = ("arguments", "nodes")

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments = arguments  # of __init__
        self.nodes: list[Node] = []  # the symbolic calls


def _without_self(init: Callable[..., None]) -> inspect.Signature:
    signature = inspect.signature(init)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


Layer.__signature__ = _without_self(Layer.__init__)


def _as_built(build: Callable[..., None]) -> Callable[..., None]:
    """Return a subclass's ``build`` such that weights get their paths, and the layer knows that it is built."""

    @wraps(build)
    def wrapped(self: Layer, input_shape: Any = None) -> None:
        with scope(self.name):
            build(self, input_shape)
        Layer.build(self, input_shape)

    return wrapped


def as_shape(shape: Any, what: str) -> tuple[int | None, ...]:
    """Return a shape as a tuple of int or None."""
    if isinstance(shape, (int, np.integer)):
        shape = (shape,)
    sizes = tuple(None if n is None else int(n) for n in shape) if isinstance(shape, (tuple, list)) else None
    if sizes is None or not is_shape(sizes) or any(n is not None and n < 0 for n in sizes):
        raise ShapeError(f"{what}: expected a tuple of sizes such as (28, 28, 1), got {shape!r}")
    return sizes


def _dtype_name(dtype: Any) -> str:
    """Return the name of a float dtype, given as Keras's configs may: a name, or a policy with one."""
    if dtype is None:
        return str(default_dtype())
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    name = str(getattr(dtype, "name", dtype))
    try:
        found = as_dtype(name)
    except (DTypeError, ArgumentError):
        found = None
    if found is None or found.kind != "f":
        raise DTypeError(
            f"dtype: {name!r} is none that layers can compute in; expected 'float32', 'float64' or 'float16'"
        )
    return found.name


def dtype_config(name: str) -> dict[str, Any]:
    """Return a dtype as configs have it."""
    return {"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}, "registered_name": None}


def _ready(key: str, value: Any) -> Any:
    if isinstance(value, dict) and "class_name" in value and key != "dtype":
        # a layer within this one is built by this one
        return deserialize_keras_object({name: x for name, x in value.items() if name != "build_config"})
    return value
