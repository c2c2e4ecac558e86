"""What layers do beyond one call: states, random numbers, statistics, first values, and what is shared."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minidl
from minidl import keras
from minidl.keras.layers import Input
from tests.keras.layers.comparison import Case, check, make_pair, plain
from tests.keras.yardstick import keras as real
from tests.keras.yardstick import torch

L = keras.layers


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).standard_normal(shape).astype("float32")


# ------------------------------------------------------------------ first values


def test_first_values_are_keras_distributions() -> None:
    dense, lstm, embedding = L.Dense(200), L.LSTM(50), L.Embedding(200, 50)
    dense.build((None, 100))
    lstm.build((None, 5, 100))
    embedding.build((None, 5))
    for weight, bound in (
        (dense.kernel, np.sqrt(6 / 300)),
        (lstm.kernel, np.sqrt(6 / 300)),
        (embedding.embeddings, 0.05),
    ):
        values = weight.numpy()
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.95 * bound
        assert abs(values.std() - bound / np.sqrt(3)) < 0.05 * bound
    recurrent = lstm.recurrent_kernel.numpy()
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(50), atol=1e-5)
    assert lstm.bias.numpy().reshape(4, 50).mean(1).tolist() == [0, 1, 0, 0]
    assert not dense.bias.numpy().any()


def test_the_forget_gate_may_start_at_the_initializers_value() -> None:
    layer = L.LSTM(2, unit_forget_bias=False, bias_initializer="ones")
    layer.build((None, 3, 4))
    assert layer.bias.numpy().tolist() == [1] * 8
    layer = L.LSTM(2, bias_initializer=keras.initializers.Constant(3.0))
    layer.build((None, 3, 4))
    assert layer.bias.numpy().tolist() == [3, 3, 1, 1, 3, 3, 3, 3]


@pytest.mark.parametrize(
    ("layer", "paths"),
    [
        (L.LSTM(2, name="a"), ["a/lstm_cell/kernel", "a/lstm_cell/recurrent_kernel", "a/lstm_cell/bias"]),
        (L.Dense(2, name="b"), ["b/kernel", "b/bias"]),
    ],
)
def test_paths(layer: Any, paths: list[str]) -> None:
    layer(Input((3, 4)))
    assert [w.path for w in layer.weights] == paths


# ------------------------------------------------------------------ random numbers


def test_dropout_scales_what_stays_and_forgets_in_evaluation() -> None:
    x = minidl.ones(100, 50)
    y = L.Dropout(0.2)(x, training=True).array
    assert set(np.unique(y).tolist()) == {0.0, 1.25}
    assert abs((y == 0).mean() - 0.2) < 0.03
    assert L.Dropout(0.2)(x) is x
    assert L.Dropout(0.0)(x, training=True) is x
    assert not L.Dropout(1.0)(x, training=True).array.any()


def test_dropout_has_gradients_where_it_kept() -> None:
    x = minidl.ones(20, 20, requires_grad=True)
    y = L.Dropout(0.5)(x, training=True)
    y.sum().backward()
    assert (x.grad.array == y.array).all()


def test_noise_shape_drops_together() -> None:
    y = L.Dropout(0.5, noise_shape=(None, 1, None))(minidl.ones(8, 9, 10), training=True).array
    assert (y == y[:, :1]).all()
    assert 0 < (y == 0).mean() < 1


def test_spatial_dropout_drops_channels() -> None:
    y = L.SpatialDropout2D(0.5, "channels_first")(minidl.ones(4, 30, 3, 3), training=True).array
    assert (y == y[:, :, :1, :1]).all()
    assert 0 < (y == 0).mean() < 1


@pytest.mark.parametrize("make", [lambda s: L.Dropout(0.5, seed=s), lambda s: L.GaussianNoise(1.0, seed=s)])
def test_a_seed_is_a_layers_own_sequence(make: Any) -> None:
    x = minidl.ones(40)
    layer = make(3)
    first, second = layer(x, training=True), layer(x, training=True)
    assert not minidl.equal(first, second)
    again = make(3)
    assert minidl.equal(first, again(x, training=True))
    state = again.state_dict()  # a checkpoint goes on where it was
    resumed = make(3)
    resumed.load_state_dict(state)
    assert minidl.equal(second, resumed(x, training=True))
    assert layer.weights == []


def test_gaussian_noise() -> None:
    x = minidl.zeros(200, 200)
    y = L.GaussianNoise(0.5)(x, training=True).array
    assert abs(y.mean()) < 0.02
    assert abs(y.std() - 0.5) < 0.02
    assert L.GaussianNoise(0.5)(x) is x


@pytest.mark.parametrize("kind", [L.LSTM, L.GRU, L.SimpleRNN])
@pytest.mark.parametrize("option", ["dropout", "recurrent_dropout"])
def test_recurrent_dropout_is_one_mask_for_all_steps(kind: Any, option: str) -> None:
    x = normal(2, 6, 4)
    layer = kind(5, seed=1, return_sequences=True, **{option: 0.5})
    plain_layer = kind(5, return_sequences=True)
    plain_layer.build(x.shape)
    layer.build(x.shape)
    layer.set_weights(plain_layer.get_weights())
    expected = plain_layer(x).detach().numpy()
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-5, atol=1e-6)
    dropped = layer(x, training=True)
    assert np.abs(dropped.detach().numpy() - expected).max() > 1e-3
    if option == "dropout":  # what a mask for all steps, by hand, gives
        mask = np.random.default_rng([1, 0]).random((2, 1, 4), dtype="float32") >= 0.5
        by_hand = plain_layer(x * mask * np.float32(2))
        np.testing.assert_allclose(dropped.detach().numpy(), by_hand.detach().numpy(), rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------ states


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "SimpleRNN"])
def test_a_stateful_layer_goes_on(kind: str) -> None:
    x = normal(2, 6, 4)
    whole, parts = getattr(L, kind)(3, return_sequences=True), getattr(L, kind)(3, return_sequences=True, stateful=True)
    whole.build(x.shape)
    parts.build(x.shape)
    parts.set_weights(whole.get_weights())
    expected = whole(x).detach().numpy()
    for _ in range(2):
        y = np.concatenate([parts(x[:, :2]).detach().numpy(), parts(x[:, 2:]).detach().numpy()], axis=1)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
        parts.reset_state()
    assert plain(parts.get_config())["stateful"] is True


def test_states_can_be_inputs() -> None:
    x, h, c = normal(2, 5, 4), minidl.ones(2, 3), minidl.zeros(2, 3)
    layer = L.LSTM(3)
    by_keyword = layer(x, initial_state=[h, c])
    assert minidl.equal(by_keyword, layer([minidl.tensor(x), h, c]))
    assert not minidl.equal(by_keyword, layer(x))
    assert layer([Input((5, 4)), Input((3,)), Input((3,))]).shape == (None, 3)


RECURRENT = {
    "LSTM": {},
    "GRU": {},
    "SimpleRNN": {},
    "SimpleRNN with relu": {"activation": "relu"},
}


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("named", RECURRENT)
def test_all_steps_at_once_are_what_they_are_one_by_one(named: str, backwards: bool, zeros: bool) -> None:
    """With and without a mask that begins and ends with gaps, from a state that is not zero."""
    x, states = normal(3, 6, 4), [normal(3, 5) * (k + 1) for k in range(2 if named == "LSTM" else 1)]
    mask = np.array([[0, 1, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0]], bool)
    for present, sequences in itertools.product((None, mask), (False, True)):
        layer = getattr(L, named.split()[0])(
            5, return_sequences=sequences, return_state=True, go_backwards=backwards, zero_output_for_mask=zeros,
            **RECURRENT[named],
        )  # fmt: skip
        layer.build(x.shape)
        found = []
        for fused in (True, False):
            leaves = [minidl.tensor(a, requires_grad=True) for a in (x, *states)]
            if not fused:
                layer._layer = lambda *args: None
            results = layer(leaves[0], initial_state=leaves[1:], mask=present)
            loss = sum(((k + 1) * y).sin().sum() for k, y in enumerate(results))
            found.append([*results, *minidl.grad(loss, [*leaves, *layer.trainable_variables])])
        for mine, expected in zip(*found, strict=True):
            np.testing.assert_allclose(mine.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_a_recurrent_layer_can_be_differentiated_twice() -> None:
    x = minidl.tensor(normal(2, 5, 4), requires_grad=True)
    (grad,) = minidl.grad(L.GRU(3)(x).sum(), x, create_graph=True)
    (second,) = minidl.grad((grad**2).sum(), x)
    assert second.shape == x.shape
    assert abs(second.numpy()).max() > 0


# ------------------------------------------------------------------ statistics


def test_normalization_adapts_to_arrays_and_batches() -> None:
    data = normal(2500, 3) * [1, 2, 3] + [5, 6, 7]
    layer = L.Normalization()
    layer.adapt(data)
    np.testing.assert_allclose(layer.adapt_mean.numpy(), data.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.adapt_variance.numpy(), data.var(0), rtol=1e-5)
    y = layer(data.astype("float32")).numpy()
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(y.std(0), 1, atol=1e-4)
    batches = L.Normalization()
    batches.adapt((data[i : i + 700], None) for i in range(0, 2500, 700))  # as a DataLoader yields them
    for mine, other in zip(batches.weights, layer.weights, strict=True):
        np.testing.assert_allclose(mine.numpy(), other.numpy(), rtol=1e-5)
    theirs = real.layers.Normalization()
    theirs.adapt(data)
    np.testing.assert_allclose(layer.get_weights()[0], theirs.weights[0].value.numpy(), rtol=1e-5)
    np.testing.assert_allclose(layer.get_weights()[1], theirs.weights[1].value.numpy(), rtol=1e-5)


def test_normalization_has_one_pair_without_an_axis() -> None:
    layer = L.Normalization(axis=None)
    layer.adapt(np.array([[0, 255], [255, 0]], "uint8"))
    assert layer.adapt_mean.numpy() == 127.5
    assert layer(np.array([[0, 255]], "uint8")).tolist() == [[-1, 1]]
    back = L.Normalization(axis=None, mean=127.5, variance=127.5**2, invert=True)
    assert back(minidl.tensor([[-1.0, 1.0]])).tolist() == [[0, 255]]


def test_a_frozen_batch_normalization_uses_its_averages() -> None:
    layer = L.BatchNormalization()
    layer.trainable = False
    x = minidl.tensor(normal(6, 4) + 3)
    np.testing.assert_allclose(layer(x, training=True).numpy(), x.numpy() / np.sqrt(1.001), rtol=1e-5)
    assert not layer.moving_mean.numpy().any()


def test_layer_normalization_of_an_inner_axis() -> None:
    x = normal(2, 3, 4)
    layer = L.LayerNormalization(axis=1, epsilon=0.1)
    y = layer(x)
    layer.set_weights([np.array([1, 2, 3], "f4"), np.array([0, 1, 2], "f4")])
    y = layer(x).detach().numpy()
    standard = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 0.1)
    np.testing.assert_allclose(y, standard * [[1], [2], [3]] + [[0], [1], [2]], rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------------ the rest


def test_average_pooling_does_not_count_padding() -> None:
    """TensorFlow's numbers; on PyTorch, Keras repeats the edge where the padding is uneven."""
    y = L.AveragePooling1D(2, strides=1, padding="same")(minidl.tensor([[[1.0], [3.0], [5.0]]]))
    assert y.ravel().tolist() == [2, 4, 5]


def test_lambda_computes_and_finds_its_shape() -> None:
    layer = L.Lambda(lambda x, k: x.sum(axis=1) * k, arguments={"k": 2})
    assert layer(minidl.ones(2, 3, 4)).tolist() == [[6.0] * 4] * 2
    assert layer(Input((3, 4))).shape == (None, 4)
    assert L.Lambda(lambda x: x, output_shape=(7,))(Input((3,))).shape == (None, 7)
    assert L.Lambda(lambda x: x, output_shape=lambda shape: shape[:2])(Input((3, 4))).shape == (None, 3)


def test_the_functional_forms() -> None:
    a, b = minidl.tensor([[1.0, 2.0]]), minidl.tensor([[3.0, 5.0]])
    for name, expected in {
        "add": [[4, 7]],
        "subtract": [[-2, -3]],
        "multiply": [[3, 10]],
        "average": [[2, 3.5]],
        "maximum": [[3, 5]],
        "minimum": [[1, 2]],
        "concatenate": [[1, 2, 3, 5]],
        "dot": [[13]],
    }.items():
        assert getattr(L, name)([a, b]).tolist() == expected
        assert getattr(L, name)([Input((2,)), Input((2,))]).shape == (None, len(expected[0]))


def test_embedding() -> None:
    table = normal(5, 2)
    with pytest.warns(minidl.errors.NumericalWarning, match="masks do not pass from layer to layer"):
        layer = L.Embedding(5, 2, weights=[table], mask_zero=True, input_length=3)
    assert (layer(np.array([[1, 0]])).detach().numpy() == table[[[1, 0]]]).all()
    assert (layer(np.array([[1.0, 0.0]], "f4")).detach().numpy() == table[[[1, 0]]]).all()
    assert layer.compute_mask(minidl.tensor([[1, 0]])).tolist() == [[True, False]]
    assert "weights" not in layer.get_config()


def test_old_names_of_arguments() -> None:
    assert L.LeakyReLU(alpha=0.1).get_config()["negative_slope"] == 0.1
    assert L.MaxPool2D is L.MaxPooling2D
    assert L.Conv2D is L.Convolution2D


def test_activity_regularizers_add_to_the_loss() -> None:
    layer = L.Dense(3, activity_regularizer="l2", kernel_regularizer="l1")
    y = layer(minidl.ones(2, 4))
    expected = 0.01 * (y.array**2).sum() / 2 + 0.01 * np.abs(layer.kernel.array).sum()
    assert abs(sum(float(x) for x in layer.losses) - expected) < 1e-5
    assert layer.get_config()["activity_regularizer"]["class_name"] == "L2"


def test_masks_of_pooling() -> None:
    x, mask = minidl.tensor(normal(2, 3, 4)), minidl.tensor([[True, False, True], [True, True, True]])
    y = L.GlobalAveragePooling1D()(x, mask=mask).numpy()
    np.testing.assert_allclose(y[0], x.numpy()[0, [0, 2]].mean(0), rtol=1e-5)
    np.testing.assert_allclose(y[1], x.numpy()[1].mean(0), rtol=1e-5)


def test_numbers_of_other_types() -> None:
    pixels = np.arange(12, dtype="uint8").reshape(1, 2, 2, 3)
    assert L.Rescaling(1 / 255)(pixels).dtype == np.float32
    assert L.Flatten()(pixels).dtype == np.uint8
    assert L.Dense(2)(np.ones((2, 3), "float64")).dtype == np.float32
    assert L.Dense(2)(np.ones((2, 3), "int64")).dtype == np.float32
    assert L.Conv2D(2, 2)(pixels).dtype == np.float32
    assert L.Dense(2, dtype="float64")(np.ones((2, 3), "float32")).dtype == np.float64


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    layer=st.sampled_from(["Conv2D", "MaxPooling2D"]),
    window=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    strides=PAIRS,
    dilation=PAIRS,
    image=st.tuples(st.integers(4, 9), st.integers(4, 9)),
    padding=st.sampled_from(["valid", "same"]),
)
@settings(max_examples=25, deadline=None, derandomize=True)
def test_any_geometry(layer: str, window: Any, strides: Any, dilation: Any, image: Any, padding: str) -> None:
    options: dict[str, Any] = {"strides": strides, "padding": padding}
    if layer == "Conv2D":
        options |= {"filters": 2, "kernel_size": window}
        if strides == (1, 1):
            options["dilation_rate"] = dilation
    else:
        options["pool_size"] = window
    rates = options.get("dilation_rate", (1, 1))
    assume(padding == "same" or all(d * (w - 1) < n for d, w, n in zip(rates, window, image, strict=True)))
    check(Case(layer, (2, *image, 3), options))


def test_a_layer_called_twice_shares_its_weights() -> None:
    mine, theirs = make_pair(Case("Dense", (2, 4), {"units": 4}))
    x = normal(2, 4)
    mine(mine(x)).sum().backward()
    theirs(theirs(torch.tensor(x))).sum().backward()
    np.testing.assert_allclose(mine.kernel.grad.numpy(), theirs.kernel.value.grad.numpy(), rtol=1e-4)
