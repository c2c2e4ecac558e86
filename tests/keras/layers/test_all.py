"""Every layer against real Keras: outputs, gradients, shapes, weights, configs."""

from __future__ import annotations

import numpy as np
import pytest

from tests.keras.layers.comparison import Case, check

IMAGES = (2, 7, 8, 4)
FIRST = (2, 4, 7, 8)
STEPS = (3, 5, 4)
MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 0, 1], [1, 1, 1, 1, 1]], bool)
rng = np.random.default_rng(5)
H, C = (rng.standard_normal((3, 3)).astype("float32") for _ in "hc")
FIRSTS = {"data_format": "channels_first"}

CASES = [
    Case("Dense", (3, 4), {"units": 5}),
    Case("Dense", (3, 4), {"units": 5, "activation": "relu", "use_bias": False}),
    Case("Dense", (3, 2, 4), {"units": 5, "activation": "softmax", "kernel_regularizer": "l2"}),
    Case("Activation", (3, 4), {"activation": "tanh"}),
    Case("Embedding", np.array([[0, 3, 1], [4, 4, 0]]), {"input_dim": 5, "output_dim": 3}),
    Case("Identity", (3, 4)),
    Case("Conv2D", IMAGES, {"filters": 3, "kernel_size": 3}),
    Case("Conv2D", IMAGES, {"filters": 6, "kernel_size": (2, 3), "strides": (2, 3), "padding": "same", "groups": 2}),
    Case("Conv2D", IMAGES, {"filters": 3, "kernel_size": 2, "padding": "same", "dilation_rate": 2, "use_bias": False}),
    Case("Conv2D", FIRST, {"filters": 3, "kernel_size": 3, "activation": "relu", **FIRSTS}),
    Case("Conv1D", STEPS, {"filters": 3, "kernel_size": 3}),
    Case("Conv1D", STEPS, {"filters": 3, "kernel_size": 2, "strides": 2, "padding": "same"}),
    Case("Conv1D", STEPS, {"filters": 4, "kernel_size": 3, "padding": "causal", "dilation_rate": 2, "groups": 2}),
    Case("Conv1D", STEPS, {"filters": 3, "kernel_size": 2, **FIRSTS}),
    Case("DepthwiseConv2D", IMAGES, {"kernel_size": 3, "depth_multiplier": 2}),
    Case("DepthwiseConv2D", IMAGES, {"kernel_size": (3, 2), "strides": 2, "padding": "same", "activation": "relu"}),
    Case("DepthwiseConv2D", FIRST, {"kernel_size": 3, "use_bias": False, **FIRSTS}),
    Case("SeparableConv2D", IMAGES, {"filters": 3, "kernel_size": 3, "depth_multiplier": 2}),
    Case("SeparableConv2D", IMAGES, {"filters": 3, "kernel_size": 2, "strides": 2, "padding": "same"}),
    Case("Conv2DTranspose", IMAGES, {"filters": 3, "kernel_size": 3}),
    Case("Conv2DTranspose", IMAGES, {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"}),
    Case("Conv2DTranspose", IMAGES, {"filters": 3, "kernel_size": (2, 4), "strides": 2, "padding": "valid"}),
    Case("Conv2DTranspose", IMAGES, {"filters": 3, "kernel_size": 2, "strides": 3, "use_bias": False}),
    Case("Conv2DTranspose", IMAGES, {"filters": 3, "kernel_size": 3, "strides": 2, "output_padding": 1}),
    Case("Conv2DTranspose", FIRST, {"filters": 3, "kernel_size": 3, "strides": 2, **FIRSTS}),
    Case("MaxPooling2D", IMAGES),
    Case("MaxPooling2D", IMAGES, {"pool_size": (3, 2), "strides": (1, 2), "padding": "same"}),
    Case("MaxPooling2D", FIRST, {"pool_size": 3, **FIRSTS}),
    Case("AveragePooling2D", IMAGES, {"pool_size": 2}),
    Case("AveragePooling2D", IMAGES, {"pool_size": (3, 2), "strides": (1, 2), "padding": "same"}),
    Case("AveragePooling2D", FIRST, {"pool_size": 3, "strides": (2, 1), "padding": "same", **FIRSTS}),
    Case("MaxPooling1D", STEPS),
    Case("MaxPooling1D", STEPS, {"pool_size": 3, "strides": 2, "padding": "same"}),
    Case("AveragePooling1D", STEPS, {"pool_size": 3, "strides": 2, "padding": "same"}),
    Case("AveragePooling1D", STEPS, {"pool_size": 2, **FIRSTS}),
    Case("GlobalAveragePooling2D", IMAGES),
    Case("GlobalAveragePooling2D", FIRST, {"keepdims": True, **FIRSTS}),
    Case("GlobalMaxPooling2D", IMAGES, {"keepdims": True}),
    Case("GlobalAveragePooling1D", STEPS),
    Case("GlobalMaxPooling1D", STEPS, FIRSTS),
    Case("Flatten", IMAGES),
    Case("Flatten", FIRST, FIRSTS),
    Case("Flatten", (3,)),
    Case("Reshape", (2, 12), {"target_shape": (3, -1)}),
    Case("Reshape", (2, 3, 4), {"target_shape": (12,)}),
    Case("Permute", (2, 3, 4), {"dims": (2, 1)}),
    Case("RepeatVector", (2, 3), {"n": 4}),
    Case("ZeroPadding2D", IMAGES),
    Case("ZeroPadding2D", FIRST, {"padding": ((1, 0), (2, 3)), **FIRSTS}),
    Case("Cropping2D", IMAGES, {"cropping": ((1, 0), (2, 3))}),
    Case("Cropping2D", FIRST, {"cropping": 1, **FIRSTS}),
    Case("UpSampling2D", IMAGES, {"size": (2, 3)}),
    Case("UpSampling2D", FIRST, FIRSTS),
    Case("ReLU", (3, 4)),
    Case("ReLU", (3, 40), {"max_value": 1.0, "negative_slope": 0.2, "threshold": 0.1}),
    Case("LeakyReLU", (3, 4)),
    Case("ELU", (3, 4), {"alpha": 0.5}),
    Case("PReLU", (2, 3, 4)),
    Case("PReLU", IMAGES, {"shared_axes": [1, 2]}),
    Case("Softmax", (3, 4)),
    Case("Softmax", (3, 4, 2), {"axis": [1, 2]}),
    Case("Softmax", (3, 5), {}, {"mask": MASK}),
    Case("Dropout", (3, 4), {"rate": 0.5}),
    Case("Dropout", (3, 4), {"rate": 0.5, "noise_shape": (None, 1), "seed": 3}),
    Case("SpatialDropout2D", IMAGES, {"rate": 0.5}),
    Case("GaussianNoise", (3, 4), {"stddev": 0.5, "seed": 3}),
    Case("Rescaling", (3, 4), {"scale": 2.0, "offset": -1.0}),
    Case("Normalization", (3, 4)),
    Case("Normalization", (3, 4), {"mean": 2.0, "variance": 4.0, "axis": None}),
    Case("Normalization", (3, 4), {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [1.0, 2.0, 3.0, 4.0], "invert": True}),
    Case("Normalization", IMAGES, {"axis": (1, 3)}),
    Case("BatchNormalization", (6, 4)),
    Case("BatchNormalization", (6, 4), {}, {"training": True}),
    Case("BatchNormalization", IMAGES, {"momentum": 0.5, "scale": False}, {"training": True}),
    Case("BatchNormalization", FIRST, {"axis": 1, "center": False}, {"training": True}),
    Case("BatchNormalization", (1, 4), {}, {"training": True}),
    Case("LayerNormalization", STEPS),
    Case("LayerNormalization", IMAGES, {"axis": [2, 3], "epsilon": 0.1, "center": False}),
    Case("Add", [(3, 4), (3, 4), (3, 4)]),
    Case("Add", [(3, 2, 4), (3, 1, 4)]),
    Case("Add", [(3, 2, 4), (3, 4)]),
    Case("Subtract", [(3, 4), (3, 4)]),
    Case("Multiply", [(3, 4), (3, 1)]),
    Case("Average", [(3, 4), (3, 4), (3, 4)]),
    Case("Maximum", [(3, 4), (3, 4)]),
    Case("Minimum", [(3, 4), (3, 4)]),
    Case("Concatenate", [(3, 4), (3, 2)]),
    Case("Concatenate", [(3, 4, 2), (3, 1, 2)], {"axis": 1}),
    Case("Dot", [(3, 4), (3, 4)], {"axes": 1}),
    Case("Dot", [(3, 4, 2), (3, 5, 4)], {"axes": (1, 2)}),
    Case("Dot", [(3, 4), (3, 4)], {"axes": -1, "normalize": True}),
    *(
        Case(layer, STEPS, {"units": 3, **kwargs}, call)
        for layer in ("LSTM", "GRU", "SimpleRNN")
        for kwargs, call in [
            ({}, {}),
            ({"return_sequences": True, "return_state": True}, {}),
            ({"return_sequences": True, "go_backwards": True, "use_bias": False}, {}),
            ({"go_backwards": True, "activation": "relu", "return_state": True}, {}),
            ({"return_sequences": True}, {"mask": MASK}),
            ({"return_state": True, "zero_output_for_mask": True}, {"mask": MASK}),
            ({"return_sequences": True, "go_backwards": True}, {"mask": MASK}),
        ]
    ),
    Case("TimeDistributed", STEPS, {"layer": ("Dense", {"units": 3, "name": "inner"})}),
    Case("TimeDistributed", (2, 3, 7, 8, 2), {"layer": ("Conv2D", {"filters": 2, "kernel_size": 3, "name": "inner"})}),
    *(
        Case("Bidirectional", STEPS, {"layer": ("LSTM", {"units": 3, "name": "inner", **inner}), **kwargs}, call)
        for inner, kwargs, call in [
            ({}, {}, {}),
            ({"return_sequences": True}, {"merge_mode": "sum"}, {}),
            ({"return_sequences": True}, {"merge_mode": "ave"}, {"mask": MASK}),
            ({"return_state": True}, {"merge_mode": "mul"}, {}),
            ({"return_state": True, "return_sequences": True}, {"merge_mode": None}, {"mask": MASK}),
            ({}, {"backward_layer": ("GRU", {"units": 3, "go_backwards": True, "name": "back"})}, {}),
        ]
    ),
    Case("LSTM", STEPS, {"units": 3, "recurrent_activation": "hard_sigmoid", "return_sequences": True}),
    Case("LSTM", STEPS, {"units": 3, "unit_forget_bias": False}, {"initial_state": [H, C]}),
    Case("GRU", STEPS, {"units": 3}, {"initial_state": H}),
    Case("GRU", STEPS, {"units": 3, "reset_after": False}),
    Case("GRU", STEPS, {"units": 3, "reset_after": False, "use_bias": False, "return_sequences": True}),
]


@pytest.mark.parametrize("use", CASES, ids=str)
def test_as_in_keras(use: Case) -> None:
    check(use)
