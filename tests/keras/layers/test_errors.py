"""What layers refuse: with symbolic inputs as well as with data, and in words that say what to do."""

from __future__ import annotations

from typing import Any

import pytest

import minidl
from minidl import keras, ones
from minidl.errors import ArgumentError, DataError, DTypeError, RangeError, ShapeError
from minidl.keras.layers import Input

L = keras.layers


def built(layer: Any, *shape: int | None) -> Any:
    layer.build(shape)
    return layer


SHAPES = [
    (lambda: L.Conv2D(3, 3), (8, 8), r"expected an input of shape \(N, H, W, C\), got .*add it: x\[\.\.\., None\]"),
    (lambda: L.MaxPooling2D(), (8, 8), r"expected an input of shape \(N, H, W, C\), got .*x\[\.\.\., None\]"),
    (
        lambda: L.GlobalAveragePooling2D("channels_first"),
        (8, 8),
        r"expected an input of shape \(N, C, H, W\), got .*add it: x\[:, None\]",
    ),
    (lambda: L.Conv1D(3, 3), (8,), r"expected an input of shape \(N, T, C\), got"),
    (lambda: L.ZeroPadding2D(), (8,), r"expected an input of shape \(N, H, W, C\)"),
    (lambda: L.Conv2D(3, 5), (4, 4, 1), r"a window of size \(5, 5\) covers 5 pixels along axis 0 .* size \(4, 4\)"),
    (lambda: L.Conv2D(3, 3, dilation_rate=2), (8, 4, 1), "covers 5 pixels along axis 1"),
    (lambda: L.MaxPooling2D(3), (2, 2, 1), r"a window of size \(3, 3\) covers 3 pixels .* fewer poolings"),
    (lambda: L.Conv2D(4, 3, groups=2), (8, 8, 3), r"has 3 channels, which must be a multiple of groups=2"),
    (
        lambda: built(L.Conv2D(3, 3), None, 8, 8, 1),
        (8, 8, 3),
        r"conv2d\w*: the input has shape .*, with 3 along axis -1, but the layer was built for 1",
    ),
    (lambda: built(L.Dense(3), None, 4), (5,), r"dense\w*: .* 5 along axis -1, but the layer was built for 4; give"),
    (lambda: built(L.BatchNormalization(), None, 4), (5,), "5 along axis -?1, but the layer was built for 4"),
    (lambda: L.LSTM(3), (4,), r"expected sequences of shape \(N, T, D\).*return_sequences=True"),
    (lambda: L.LSTM(3), (28, 28, 1), r"expected sequences .* put a Reshape in front"),
    (lambda: built(L.GRU(3), None, 5, 4), (5, 6), "6 along axis -1, but the layer was built for 4"),
    (lambda: L.TimeDistributed(L.Dense(3)), (4,), r"expected an input of shape \(N, T, \.\.\.\)"),
    (lambda: L.Reshape((3, 5)), (16,), r"16 numbers a sample, and target_shape \(3, 5\) has 15; change"),
    (lambda: L.Reshape((3, -1)), (16,), r"target_shape \(3, -1\) needs a multiple of 3"),
    (lambda: L.Permute((2, 1)), (3, 4, 5), r"dims=\(2, 1\) takes inputs of 3 axes"),
    (lambda: L.RepeatVector(2), (3, 4), r"expected an input of shape \(N, D\)"),
    (lambda: L.Cropping2D(2), (4, 9, 1), r"leaves nothing of images of size \(4, 9\)"),
]


@pytest.mark.parametrize(("make", "shape", "match"), SHAPES)
@pytest.mark.parametrize("symbolic", [True, False])
def test_shapes(make: Any, shape: Any, match: str, symbolic: bool) -> None:
    with pytest.raises(ShapeError, match=match):
        make()(Input(shape) if symbolic else ones(2, *shape))


LISTS = [
    (lambda: L.Add(), [(4,), (5,)], ShapeError, r"\(\w+, 4\), \(\w+, 5\)\], which differ along axis -1"),
    (lambda: L.Multiply(), [(3, 4), (2, 4)], ShapeError, "differ along axis -2"),
    (lambda: L.Subtract(), [(4,)], ArgumentError, "a list of at least 2 tensors"),
    (lambda: L.Subtract(), [(4,), (4,), (4,)], ArgumentError, "expected two tensors, got 3"),
    (lambda: L.Concatenate(), [(3, 4), (2, 4)], ShapeError, "must have axis -1 and be equal along all others"),
    (lambda: L.Concatenate(), [(3, 4), (4,)], ShapeError, "must have axis -1 and be equal"),
    (lambda: L.Concatenate(5), [(3, 4), (3, 4)], ShapeError, "must have axis 5"),
    (lambda: L.Dot(1), [(3,), (4,)], ShapeError, "axes=1 of the inputs .* must have the same size"),
    (lambda: L.Dot(1), [(3,), (3,), (3,)], ArgumentError, "expected two tensors, got 3"),
]


@pytest.mark.parametrize(("make", "shapes", "error", "match"), LISTS)
@pytest.mark.parametrize("symbolic", [True, False])
def test_lists(make: Any, shapes: Any, error: type, match: str, symbolic: bool) -> None:
    with pytest.raises(error, match=match):
        make()([Input(shape) if symbolic else ones(2, *shape) for shape in shapes])


@pytest.mark.parametrize("symbolic", [True, False])
@pytest.mark.parametrize("layer", [L.Add, L.Concatenate])
def test_one_tensor_is_no_list(layer: Any, symbolic: bool) -> None:
    with pytest.raises(ArgumentError, match="expected a list of at least 1 tensor, got one tensor of shape"):
        layer()(Input((3,)) if symbolic else ones(2, 3))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: L.Dense(0), ArgumentError, "Dense: units=0; expected a positive integer"),
        (lambda: L.Dense(3.0), ArgumentError, "Dense: units=3.0; expected a positive integer"),
        (lambda: L.Dense(3, lora_rank=2), ArgumentError, "Dense: lora_rank=2 is not available in minidl; leave it out"),
        (lambda: L.Dense(3, activation="rulu"), ArgumentError, "did you mean 'relu'"),
        (lambda: L.Dense(3, unit=4), ArgumentError, "Dense: unknown argument 'unit'"),
        (lambda: L.Embedding(0, 3), ArgumentError, "Embedding: input_dim=0; expected a positive integer"),
        (lambda: L.Conv2D(0, 3), ArgumentError, "Conv2D: filters=0"),
        (lambda: L.Conv2D(3, 3, groups=2), ArgumentError, "filters=3 must be a multiple of groups=2"),
        (lambda: L.Conv2D(3, (3, 3, 3)), ArgumentError, r"Conv2D: kernel_size=\(3, 3, 3\); expected"),
        (lambda: L.Conv2D(3, 3, padding="causal"), ArgumentError, "padding='causal'; expected 'valid' or 'same'"),
        (lambda: L.Conv2D(3, 3, padding=1), ArgumentError, "padding=1; expected .* put a ZeroPadding2D layer in front"),
        (lambda: L.Conv2D(3, 3, data_format="NHWC"), ArgumentError, "data_format='NHWC'; expected 'channels_last'"),
        (lambda: L.Conv2D(3, 3, strides=2, dilation_rate=2), ArgumentError, "only one of them larger than 1"),
        (lambda: L.Conv2DTranspose(3, 3, strides=2, output_padding=2), ArgumentError, "output_padding=2; expected"),
        (lambda: built(L.DepthwiseConv2D(3, depth_multiplier=0), None, 4, 4, 1), ArgumentError, "depth_multiplier=0"),
        (lambda: L.MaxPooling2D(0), ArgumentError, "MaxPooling2D: pool_size=0"),
        (lambda: L.UpSampling2D(interpolation="bilinear"), ArgumentError, "minidl has 'nearest' only"),
        (lambda: L.ZeroPadding2D(-1), ArgumentError, "padding=-1; expected an int of at least 0"),
        (lambda: L.ZeroPadding2D((1, 2, 3)), ArgumentError, r"padding=\(1, 2, 3\); expected"),
        (lambda: L.Reshape((-1, -1)), ArgumentError, "one size may be -1"),
        (lambda: L.Permute((0, 1)), ArgumentError, "each axis from 1 to 2 once"),
        (lambda: L.RepeatVector(0), ArgumentError, "RepeatVector: n=0"),
        (lambda: L.Dropout(1.5), ArgumentError, "Dropout: rate=1.5; expected the share that is dropped, from 0 to 1"),
        (lambda: L.Dropout(0.5, seed=-1), ArgumentError, "seed=-1; expected a non-negative integer"),
        (lambda: L.SpatialDropout2D(-1), ArgumentError, "rate=-1"),
        (lambda: L.GaussianNoise(-1), ArgumentError, "stddev=-1; expected a number of at least 0"),
        (lambda: L.LSTM(3, dropout=2), ArgumentError, "LSTM: dropout=2"),
        (lambda: L.ReLU(negative_slope=-1), ArgumentError, "ReLU: negative_slope=-1; expected a number of at least 0"),
        (lambda: L.Concatenate(axis=0), ArgumentError, "axis=0 is the batch"),
        (lambda: L.Dot((1, 2, 3)), ArgumentError, "expected an int, or two"),
        (lambda: L.BatchNormalization(renorm=True), ArgumentError, "renorm=True is not available"),
        (
            lambda: built(L.BatchNormalization(axis=4), None, 3),
            ArgumentError,
            "axis=4 is none of an input's with 2 axes",
        ),
        (lambda: L.LayerNormalization(rms_scaling=True), ArgumentError, "rms_scaling=True is not available"),
        (lambda: L.Normalization(mean=1.0), ArgumentError, "give mean and variance both, or neither"),
        (lambda: L.Normalization(mean=1.0, variance=1.0).adapt(ones(2, 3)), ArgumentError, "adapt: mean and variance"),
        (lambda: L.TimeDistributed(3), DTypeError, "TimeDistributed: layer must be a layer, got 3"),
        (lambda: L.Bidirectional(L.Dense(3)), ArgumentError, "layer must be a recurrent one such as LSTM"),
        (lambda: L.Bidirectional(L.LSTM(3), merge_mode="add"), ArgumentError, "merge_mode='add'; expected one of"),
        (lambda: L.Bidirectional(L.LSTM(3), backward_layer=L.LSTM(3)), ArgumentError, "both layers read in one direct"),
        (
            lambda: L.Bidirectional(L.LSTM(3), backward_layer=L.LSTM(3, go_backwards=True, return_state=True)),
            ArgumentError,
            "both layers must have the same return_state",
        ),
        (lambda: L.Lambda(3), DTypeError, "Lambda: function must be callable, got 3"),
    ],
)
def test_arguments(make: Any, error: type, match: str) -> None:
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: L.Dense(3)(Input((None,))),
            ShapeError,
            r"depend on the size of axis -1 of the input, .* \(None, None\)",
        ),
        (lambda: L.Dense(3)(ones(4)), ShapeError, "depend on the size of axis -1"),
        (lambda: L.Embedding(5, 2)(ones(2, 3).long() * 5), RangeError, "embedding: index 5 is not in the table"),
        (
            lambda: L.LSTM(3)(ones(2, 5, 4), initial_state=[ones(2, 3)]),
            ShapeError,
            r"initial_state must be 2 tensors of shape \(2, 3\), got \[\(2, 3\)\]",
        ),
        (lambda: L.GRU(3)(ones(2, 5, 4), initial_state=ones(1, 3)), ShapeError, r"1 tensor of shape \(2, 3\), got"),
        (lambda: L.Normalization().adapt(ones(0, 3)), DataError, "there is no data; give at least one sample"),
        (lambda: L.Normalization().adapt(3), DataError, "expected an array or batches of them, got a int"),
        (lambda: L.Normalization().adapt([ones(2, 3), ones(2, 4)]), ShapeError, r"a batch has shape \(2, 4\)"),
        (
            lambda: L.Normalization(mean=[1.0, 2.0], variance=[1.0, 1.0])(ones(2, 3)),
            ShapeError,
            r"the statistics have shape \(2,\), where an input of shape \(None, 3\)",
        ),
        (lambda: L.Lambda(lambda x: x).get_config(), DTypeError, "a Lambda layer cannot be written to a file"),
        (lambda: L.Lambda.from_config({}), ArgumentError, "which minidl never runs"),
    ],
)
def test_calls(call: Any, error: type, match: str) -> None:
    # shapes are looked at everywhere, indices on the CPU alone: nobody waits for a GPU
    place = "cpu" if error is RangeError else minidl.get_default_device()
    with minidl.device(place), pytest.raises(error, match=match):
        call()


def test_a_stateful_layer_refuses_another_batch() -> None:
    layer = L.LSTM(3, stateful=True)
    layer(ones(2, 5, 4))
    with pytest.raises(ShapeError, match=r"holds the states of 2 sequences, but was given 3; .* reset_state"):
        layer(ones(3, 5, 4))
    layer.reset_state()
    layer(ones(3, 5, 4))
