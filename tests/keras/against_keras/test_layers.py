"""Every layer in a small model: its outputs, its loss and the weights after 20 steps are real Keras's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minidl import keras
from tests.keras.against_keras.twins import fitted, numbers, twins

N = 58  # two epochs of batches of 6, the last of which has 4, are 20 steps
IMAGE, STEPS, ROW = (5, 6, 3), (5, 3), (4,)
WORDS = np.random.default_rng(1).integers(0, 7, (N, 5))

# the layer, the shape of a sample (or several, or whole inputs), its arguments
CASES: list[tuple[str, Any, dict[str, Any]]] = [
    ("Activation", ROW, {"activation": "tanh"}),
    ("Add", [ROW, ROW], {}),
    ("Average", [ROW, ROW], {}),
    ("AveragePooling1D", STEPS, {"pool_size": 2}),
    ("AveragePooling2D", IMAGE, {"pool_size": 2, "padding": "same"}),
    ("BatchNormalization", IMAGE, {"momentum": 0.9}),
    ("BatchNormalization", ROW, {}),
    ("Bidirectional", STEPS, {"layer": lambda k: k.layers.LSTM(2, return_sequences=True)}),
    ("Concatenate", [ROW, (3,)], {}),
    ("Conv1D", STEPS, {"filters": 4, "kernel_size": 2, "padding": "causal", "activation": "relu"}),
    ("Conv2D", IMAGE, {"filters": 4, "kernel_size": 3, "activation": "relu"}),
    ("Conv2D", IMAGE, {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "use_bias": False}),
    ("Conv2DTranspose", IMAGE, {"filters": 2, "kernel_size": 3, "strides": 2}),
    ("Cropping2D", IMAGE, {"cropping": 1}),
    ("Dense", STEPS, {"units": 5, "activation": "gelu"}),
    ("DepthwiseConv2D", IMAGE, {"kernel_size": 3}),
    ("Dot", [ROW, ROW], {"axes": 1}),
    ("Dropout", ROW, {"rate": 0.0}),
    ("ELU", ROW, {}),
    ("Embedding", WORDS, {"input_dim": 7, "output_dim": 3}),
    ("Flatten", IMAGE, {}),
    ("GRU", STEPS, {"units": 3}),
    ("GaussianNoise", ROW, {"stddev": 0.0}),
    ("GlobalAveragePooling1D", STEPS, {}),
    ("GlobalAveragePooling2D", IMAGE, {}),
    ("GlobalMaxPooling1D", STEPS, {}),
    ("GlobalMaxPooling2D", IMAGE, {}),
    ("Identity", ROW, {}),
    ("LSTM", STEPS, {"units": 3}),
    ("LSTM", STEPS, {"units": 3, "return_sequences": True, "go_backwards": True}),
    ("Lambda", ROW, {"function": lambda x: x * 2.0 + 1.0}),
    ("LayerNormalization", STEPS, {}),
    ("LeakyReLU", ROW, {}),
    ("MaxPooling1D", STEPS, {}),
    ("MaxPooling2D", IMAGE, {}),
    ("Maximum", [ROW, ROW], {}),
    ("Minimum", [ROW, ROW], {}),
    ("Multiply", [ROW, ROW], {}),
    ("Normalization", ROW, {"mean": [0.1, 0.2, 0.3, 0.4], "variance": [1.0, 2.0, 3.0, 4.0]}),
    ("PReLU", ROW, {}),
    ("Permute", STEPS, {"dims": (2, 1)}),
    ("ReLU", ROW, {"negative_slope": 0.1}),
    ("RepeatVector", ROW, {"n": 2}),
    ("Rescaling", ROW, {"scale": 0.5, "offset": 1.0}),
    ("Reshape", STEPS, {"target_shape": (3, -1)}),
    ("SeparableConv2D", IMAGE, {"filters": 4, "kernel_size": 2}),
    ("SimpleRNN", STEPS, {"units": 3}),
    ("Softmax", ROW, {}),
    ("SpatialDropout2D", IMAGE, {"rate": 0.0}),
    ("Subtract", [ROW, ROW], {}),
    ("TimeDistributed", STEPS, {"layer": lambda k: k.layers.Dense(2)}),
    ("UpSampling2D", IMAGE, {}),
    ("ZeroPadding2D", IMAGE, {}),
]


def inputs_of(given: Any) -> list[np.ndarray]:
    if isinstance(given, np.ndarray):
        return [given]
    return [numbers(N, *shape, seed=i) for i, shape in enumerate(given if isinstance(given, list) else [given])]


@pytest.mark.parametrize(("layer", "given", "kwargs"), CASES, ids=[f"{i}-{case[0]}" for i, case in enumerate(CASES)])
def test_trains_as_in_keras(layer: str, given: Any, kwargs: dict[str, Any]) -> None:
    """The layer stands between two others, so that its gradient counts."""
    arrays = inputs_of(given)

    def make(k: Any) -> Any:
        inputs = [k.Input(x.shape[1:], dtype=str(x.dtype)) for x in arrays]
        hidden = [k.layers.Dense(x.shape[-1])(x) if x.dtype == "float32" else x for x in inputs]
        several = isinstance(given, list)
        options = {key: x(k) if key == "layer" else x for key, x in kwargs.items()}
        middle = getattr(k.layers, layer)(**options)(hidden if several else hidden[0])
        model = k.Model(inputs if several else inputs[0], k.layers.Dense(2)(k.layers.Flatten()(middle)))
        model.compile(k.optimizers.SGD(0.02), "mse")
        return model

    twins(make).agree_on(fitted(arrays if isinstance(given, list) else arrays[0], numbers(N, 2)))


def test_none_is_left_out() -> None:
    others = {"Layer", "InputLayer"}  # what does not stand in the middle of a model
    layers = {
        cls.__name__
        for cls in vars(keras.layers).values()
        if isinstance(cls, type) and issubclass(cls, keras.layers.Layer)
    }
    assert layers - others == {layer for layer, _, _ in CASES}
