"""The base of Keras's layers: weights made for the first shape, paths, configs, losses, training, symbolic calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import ArgumentError, DTypeError, FormatError, ShapeError, StateError
from minidl.keras.layer import Layer
from minidl.keras.symbolic import KerasTensor


class Scale(Layer):
    """Multiplies by a weight for each feature, plus an offset that is not trained."""

    def __init__(self, start: float = 2.0, regularizer: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.regularizer = regularizer

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight(
            (input_shape[-1],), keras.initializers.Constant(self.start), regularizer=self.regularizer, name="factor"
        )
        self.offset = self.add_weight((1,), "zeros", trainable=False, name="offset")

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor + self.offset


class Noisy(Layer):
    """Doubles what it gets in training."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        return inputs * 2 if training else inputs


class Pair(Layer):
    """A layer of layers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = Scale()
        self.second = Noisy()

    def call(self, inputs: Any) -> Any:
        return self.second(self.first(inputs))


def test_weights_are_made_for_the_first_input() -> None:
    layer = Scale()
    assert not layer.built
    assert layer.weights == []
    assert layer(np.ones((4, 3))).shape == (4, 3)
    assert layer.built
    assert [w.shape for w in layer.weights] == [(3,), (1,)]
    assert [w.name for w in layer.trainable_weights] == ["factor"]
    assert [w.path for w in layer.weights] == [f"{layer.name}/factor", f"{layer.name}/offset"]
    assert layer.get_build_config() == {"input_shape": (None, 3)}
    assert layer.count_params() == 4


def test_arrays_are_taken_in_the_layers_dtype_and_integers_stay() -> None:
    assert Scale()(np.ones((2, 3), np.float64)).dtype == np.float32
    assert Scale(dtype="float64")(np.ones((2, 3), np.float32)).dtype == np.float64
    assert Noisy()(np.ones((2, 3), np.int64)).dtype == np.int64
    with pytest.raises(DTypeError, match="'int8' is none that layers can compute in; expected 'float32'"):
        Scale(dtype="int8")


def test_names_are_counted_up_and_can_be_chosen() -> None:
    keras.utils.clear_session()
    assert [Scale().name, Scale().name, Noisy().name, Scale(name="mine").name] == ["scale", "scale_1", "noisy", "mine"]
    with pytest.raises(ArgumentError, match="has no '/' in it, got 'a/b'"):
        Scale(name="a/b")
    with pytest.raises(ArgumentError, match="Noisy: unknown argument 'unit'"):
        Noisy(unit=3)


def test_a_weight_needs_a_known_shape() -> None:
    with pytest.raises(ShapeError, match=r"a weight of shape \(None,\) cannot be made"):
        Scale().build((None, None))


def test_training_reaches_every_layer_inside() -> None:
    pair, x = Pair(), np.ones((1, 2))
    assert pair(x).detach().numpy().tolist() == [[2.0, 2.0]]
    assert pair(x, training=True).detach().numpy().tolist() == [[4.0, 4.0]]
    assert pair(x).detach().numpy().tolist() == [[2.0, 2.0]]
    assert pair.train()(x).detach().numpy().tolist() == [[4.0, 4.0]]
    assert pair.eval()(x, training=True).detach().numpy().tolist() == [[4.0, 4.0]]


def test_trainable_freezes_all_below_and_thaws_what_was_trained() -> None:
    pair = Pair()
    pair(np.ones((1, 2)))
    pair.trainable = False
    assert pair.trainable_weights == []
    assert [w.name for w in pair.non_trainable_weights] == ["factor", "offset"]
    assert not pair(np.ones((1, 2))).requires_grad
    pair.trainable = True
    assert [w.name for w in pair.trainable_weights] == ["factor"]
    assert not Scale(trainable=False)(np.ones((1, 2))).requires_grad


def test_get_and_set_weights() -> None:
    layer = Scale()
    with pytest.raises(ShapeError, match="the layer is not built yet"):
        layer.set_weights([np.ones(3), np.ones(1)])
    layer.build((None, 3))
    before = layer.get_weights()
    layer.set_weights([np.arange(3.0), [5.0]])
    assert before[0].tolist() == [2.0, 2.0, 2.0]  # copies
    assert layer(np.ones((1, 3))).detach().numpy().tolist() == [[5.0, 6.0, 7.0]]
    with pytest.raises(ShapeError, match=r"expected 2 arrays of the shapes \[\(3,\), \(1,\)\], got 1"):
        layer.set_weights([np.ones(3)])
    with pytest.raises(ShapeError, match=r"shapes \[\(2,\), \(1,\)\]"):
        layer.set_weights([np.ones(2), np.ones(1)])
    assert layer.get_weights()[0].tolist() == [0.0, 1.0, 2.0]
    with pytest.raises(StateError, match="has no weights yet"):
        Scale().count_params()


def test_a_variable_is_assigned_in_place() -> None:
    w = keras.Variable(np.zeros((2, 2)), name="w")
    assert w.assign(np.eye(2)) is w
    assert w.numpy().tolist() == np.eye(2).tolist()
    assert np.asarray(w).tolist() == np.eye(2).tolist()
    with pytest.raises(ShapeError, match=r"cannot assign an array of shape \(3,\) to a variable of shape \(2, 2\)"):
        w.assign([1, 2, 3])


def test_a_config_makes_the_layer_again() -> None:
    layer = Scale(3.0, name="three")
    config = layer.get_config()
    assert (config["name"], config["start"], config["regularizer"]) == ("three", 3.0, None)
    again = Scale.from_config(config)
    assert (again.name, again.start) == ("three", 3.0)


def test_arguments_not_kept_as_attributes_are_known_all_the_same() -> None:
    class Forgetful(Layer):
        def __init__(self, size: int, shift: int = 1, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.total = size + shift

    assert Forgetful.from_config(Forgetful(3).get_config()).total == 4
    assert Forgetful(3, shift=5).get_config()["shift"] == 5


def test_unknown_classes_and_code_in_configs_are_refused() -> None:
    config = keras.saving.serialize_keras_object(Scale())
    with pytest.raises(FormatError, match=r"Scale is not a class that minidl knows; if it is yours, pass custom_obj"):
        keras.saving.deserialize_keras_object(config)
    made = keras.saving.deserialize_keras_object(config, custom_objects={"Scale": Scale})
    assert isinstance(made, Scale)
    for name in ("__lambda__", "Lambda"):
        with pytest.raises(FormatError, match="it holds code"):
            keras.saving.deserialize_keras_object({"class_name": name, "config": {"value": ["x"]}})
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(FormatError, match="nested deeper"):
        keras.saving.deserialize_keras_object(deep)


def test_regularizers_and_added_losses() -> None:
    class Costly(Layer):
        def call(self, inputs: Any) -> Any:
            self.add_loss(inputs.sum())
            return inputs

    layer = Scale(regularizer=keras.regularizers.L2(0.5))
    layer(np.ones((1, 3)))
    assert [loss.item() for loss in layer.losses] == [0.5 * 3 * 4]
    layer.trainable = False
    assert layer.losses == []
    costly = Costly()
    for _ in range(2):  # the last call alone counts
        costly(np.ones((2, 2)))
    assert [loss.item() for loss in costly.losses] == [4.0]
    active = Noisy(activity_regularizer="l1")
    active(np.ones((4, 3)))
    assert [round(loss.item(), 6) for loss in active.losses] == [0.03]  # 0.01 * 12 / 4 samples


def test_symbolic_calls_leave_shapes_and_a_history() -> None:
    x = keras.Input((None, 3), name="steps")
    layer = Pair()
    y = layer(x)
    assert isinstance(y, KerasTensor)
    assert y.shape == (None, None, 3)
    assert y.history.layer is layer
    assert layer.input is x
    assert layer.output is y
    with pytest.raises(StateError, match="has no input and output"):
        _ = Noisy().output


def test_shapes_are_found_by_trial() -> None:
    class Pairs(Layer):
        def call(self, inputs: Any) -> Any:
            return inputs[:, ::2], inputs.reshape(inputs.shape[0], -1)

    half, flat = Pairs()(keras.Input((None, 4)))
    assert half.shape == (None, None, 4)  # 2 // 2 and 3 // 2: the trial tells them apart
    assert flat.shape == (None, None)


@pytest.mark.parametrize(
    "use",
    [lambda x: x + 1, lambda x: np.ones(3) * x, lambda x: x[0], np.asarray, bool, float, list, lambda x: 2 - x],
)
def test_symbolic_tensors_have_no_values(use: Any) -> None:
    with pytest.raises(DTypeError, match="has no values yet"):
        use(keras.Input((3,)))


def test_errors_name_the_layer() -> None:
    pair = Pair(name="pair")
    pair(np.ones((1, 3)))
    with pytest.raises(ShapeError, match=r"Pair\.first"):
        pair(np.ones((1, 4)))


def test_a_layer_without_call() -> None:
    with pytest.raises(NotImplementedError, match="Layer has no call"):
        Layer()(np.ones(3))


def test_inputs() -> None:
    assert keras.Input((3,), batch_size=2).shape == (2, 3)
    assert keras.Input(batch_shape=(None, 5)).shape == (None, 5)
    assert keras.Input((), dtype="int64").dtype == "int64"
    with pytest.raises(ArgumentError, match="give either shape="):
        keras.Input()
    with pytest.raises(ArgumentError, match="sparse, ragged, optional and input_tensor do not exist"):
        keras.Input((3,), sparse=True)
    with pytest.raises(ShapeError, match=r"expected a tuple of sizes such as \(28, 28, 1\), got 'wide'"):
        keras.Input("wide")  # type: ignore[arg-type]


def test_one_gradient_step() -> None:
    layer = Scale()
    loss = layer(minidl.ones(2, 3)).sum()
    loss.backward()
    assert layer.factor.grad.numpy().tolist() == [2.0, 2.0, 2.0]
    assert layer.offset.grad is None
