"""Small models in which every layer stands, made by minidl's Keras dialect or by Keras itself."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Make = Callable[[Any], list[Any]]

#: For each layer (and some of its variants): the shape of a sample, and what makes the layers from ``keras.layers``.
CHAINS: dict[str, tuple[tuple[int, ...], Make]] = {
    "Activation": ((4,), lambda k: [k.Activation("tanh"), k.Dense(2)]),
    "AveragePooling1D": ((6, 2), lambda k: [k.AveragePooling1D(2)]),
    "AveragePooling2D": ((6, 6, 2), lambda k: [k.AveragePooling2D(3, strides=2)]),
    "BatchNormalization": ((4,), lambda k: [k.BatchNormalization(momentum=0.5), k.Dense(2)]),
    "BatchNormalization plain": ((4, 4, 2), lambda k: [k.BatchNormalization(center=False, scale=False)]),
    "Conv1D": ((6, 2), lambda k: [k.Conv1D(3, 2, padding="causal", activation="elu")]),
    "Conv2D": ((6, 6, 2), lambda k: [k.Conv2D(4, (3, 2), strides=2, padding="same", activation="relu")]),
    "Conv2D dilated": ((7, 7, 2), lambda k: [k.Conv2D(4, 2, dilation_rate=2, groups=2, use_bias=False)]),
    "Conv2DTranspose": ((4, 4, 2), lambda k: [k.Conv2DTranspose(3, 3, strides=2)]),
    "Bidirectional": ((5, 3), lambda k: [k.Bidirectional(k.LSTM(4, return_sequences=True)), k.Dense(2)]),
    "Bidirectional sum": ((5, 3), lambda k: [k.Bidirectional(k.GRU(4), merge_mode="sum"), k.Dense(2)]),
    "Cropping2D": ((5, 5, 1), lambda k: [k.Cropping2D(((1, 0), (1, 1)))]),
    "Dense": ((4,), lambda k: [k.Dense(5, "relu", kernel_initializer="he_normal"), k.Dense(2, "softmax")]),
    "Dense regularized": ((4,), lambda k: [k.Dense(2, kernel_regularizer="l2", bias_constraint="non_neg")]),
    "DepthwiseConv2D": ((5, 5, 2), lambda k: [k.DepthwiseConv2D(3, depth_multiplier=2)]),
    "Dropout": ((4,), lambda k: [k.Dropout(0.4), k.Dense(2)]),
    "ELU": ((4,), lambda k: [k.ELU(0.7)]),
    "Embedding": ((3,), lambda k: [k.Embedding(7, 4), k.Flatten(), k.Dense(2)]),
    "Flatten": ((3, 2, 2), lambda k: [k.Flatten(), k.Dense(2)]),
    "GRU": ((5, 3), lambda k: [k.GRU(4), k.Dense(2)]),
    "GRU before": ((5, 3), lambda k: [k.GRU(4, reset_after=False, return_sequences=True)]),
    "GaussianNoise": ((4,), lambda k: [k.GaussianNoise(0.3), k.Dense(1)]),
    "GlobalAveragePooling1D": ((6, 2), lambda k: [k.GlobalAveragePooling1D()]),
    "GlobalAveragePooling2D": ((6, 6, 2), lambda k: [k.GlobalAveragePooling2D(keepdims=True)]),
    "GlobalMaxPooling1D": ((6, 2), lambda k: [k.GlobalMaxPooling1D()]),
    "GlobalMaxPooling2D": ((6, 6, 2), lambda k: [k.GlobalMaxPooling2D()]),
    "Identity": ((4,), lambda k: [k.Identity(), k.Dense(1)]),
    "LSTM": ((5, 3), lambda k: [k.LSTM(4, return_sequences=True), k.LSTM(3), k.Dense(2)]),
    "LSTM backwards": ((5, 3), lambda k: [k.LSTM(4, go_backwards=True, use_bias=False)]),
    "LayerNormalization": ((4,), lambda k: [k.LayerNormalization(), k.Dense(2)]),
    "LeakyReLU": ((4,), lambda k: [k.LeakyReLU(0.2)]),
    "MaxPooling1D": ((6, 2), lambda k: [k.MaxPooling1D(2)]),
    "MaxPooling2D": ((6, 6, 2), lambda k: [k.MaxPooling2D(), k.Flatten(), k.Dense(2)]),
    "Normalization": ((4,), lambda k: [k.Normalization(mean=1.5, variance=4.0), k.Dense(2)]),
    "Normalization adapted": ((4,), lambda k: [k.Normalization(), k.Dense(2)]),
    "PReLU": ((4, 3), lambda k: [k.PReLU(shared_axes=[1])]),
    "Permute": ((4, 3), lambda k: [k.Permute((2, 1)), k.Dense(2)]),
    "ReLU": ((4,), lambda k: [k.ReLU(max_value=1.0, negative_slope=0.1)]),
    "RepeatVector": ((4,), lambda k: [k.RepeatVector(3), k.LSTM(2)]),
    "Rescaling": ((4,), lambda k: [k.Rescaling(0.5, offset=-1.0), k.Dense(1)]),
    "Reshape": ((4,), lambda k: [k.Reshape((2, -1)), k.Dense(1)]),
    "SeparableConv2D": ((5, 5, 2), lambda k: [k.SeparableConv2D(3, 3, padding="same")]),
    "SimpleRNN": ((5, 3), lambda k: [k.SimpleRNN(4)]),
    "Softmax": ((4,), lambda k: [k.Dense(3), k.Softmax()]),
    "SpatialDropout2D": ((4, 4, 2), lambda k: [k.SpatialDropout2D(0.2), k.Conv2D(1, 2)]),
    "TimeDistributed": ((4, 3), lambda k: [k.TimeDistributed(k.Dense(2, "relu")), k.Flatten()]),
    "UpSampling2D": ((3, 3, 1), lambda k: [k.UpSampling2D((2, 3))]),
    "ZeroPadding2D": ((3, 3, 1), lambda k: [k.ZeroPadding2D(((1, 0), (2, 1)))]),
}


def chain(keras: Any, name: str) -> Any:
    """Return the Sequential of one of the cases."""
    shape, make = CHAINS[name]
    return keras.Sequential([keras.Input(shape), *make(keras.layers)])


def branched(keras: Any) -> Any:
    """Two inputs, a shared layer, merges of each kind, a model within, two outputs."""
    k = keras.layers
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = k.Dense(4, activation="tanh", name="shared")
    inner = keras.Sequential([keras.Input((4,)), k.Dense(3), k.BatchNormalization(), k.Dense(4)], name="inner")
    x, y = shared(a), shared(b)
    x = k.Concatenate()([k.Add()([x, y]), k.Multiply()([x, y]), k.Maximum()([x, y]), k.Minimum()([x, inner(y)])])
    z = k.Subtract()([k.Average()([a, b]), inner(a)])
    z = k.Dot(axes=1)([z, y])
    return keras.Model([a, b], [k.Dense(2, name="first")(x), k.Dense(1, name="second")(z)], name="branched")


def nested(keras: Any) -> Any:
    """A graph in a chain in a graph, one part frozen."""
    k = keras.layers
    image = keras.Input((6, 6, 1))
    features = keras.Model(image, k.Flatten()(k.BatchNormalization()(k.Conv2D(2, 3)(image))), name="features")
    features.trainable = False
    top = keras.Sequential([features, k.Dense(4, activation="relu")], name="top")
    x = keras.Input((6, 6, 1))
    return keras.Model(x, k.Dense(2)(top(x)), name="nested")


GRAPHS = {"branched": branched, "nested": nested}


def samples(model: Any, count: int = 3, seed: int = 0) -> Any:
    """Return inputs for a model: an array, or a list of them."""
    rng = np.random.default_rng(seed)
    shapes = [tuple(n for n in x.shape[1:]) for x in model.inputs]
    if any(type(layer).__name__ == "Embedding" for layer in model.layers):
        return rng.integers(0, 7, (count, *shapes[0])).astype("float32")
    arrays = [rng.normal(size=(count, *shape)).astype("float32") for shape in shapes]
    return arrays if len(arrays) > 1 else arrays[0]


def predicted(model: Any, x: Any) -> list[np.ndarray]:
    """Return the outputs for inputs, as a list of arrays."""
    outputs = model(x, training=False)
    return [y.detach().numpy() for y in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]


def assert_predicts_like(model: Any, other: Any, x: Any, exactly: bool = False) -> None:
    """Fail unless two models give the same for the same inputs."""
    for ours, theirs in zip(predicted(model, x), predicted(other, x), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0 if exactly else 1e-5, atol=0 if exactly else 1e-5)


def stir(model: Any, seed: int = 1) -> None:
    """Give all weights values that differ from those of a new model, variances positive."""
    rng = np.random.default_rng(seed)
    model.set_weights(
        [
            w if w.dtype.kind in "iu" else (np.abs(w) + rng.uniform(0.1, 0.6, w.shape)).astype(w.dtype)
            for w in model.get_weights()
        ]
    )


def zip_member(path: Path, name: str) -> bytes:
    """Return one file of an archive."""
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)


def rezipped(path: Path, **members: bytes) -> bytes:
    """Return an archive's bytes with some members replaced: ``config_json=b"{}"``."""
    changed = {name.replace("_json", ".json").replace("_h5", ".weights.h5"): data for name, data in members.items()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(buffer, "w") as target:
        for name in source.namelist():
            target.writestr(name, changed.get(name, source.read(name)))
    return buffer.getvalue()
