"""A model as the service sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras, nn
from minidl.errors import ArgumentError, DTypeError, FormatError
from minidl.serve.model import Picture, ServedModel, Spec, open_model, picture_of
from tests.serve.live import classifier


def spec(*shape: int | None, dtype: str = "float32") -> Spec:
    return Spec("x", np.dtype(dtype), shape)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((28, 20), (28, 20, 1, False)),
        ((28, 20, 1), (28, 20, 1, False)),
        ((1, 28, 20), (28, 20, 1, True)),
        ((28, 20, 3), (28, 20, 3, False)),
        ((3, 28, 20), (28, 20, 3, True)),
        ((784,), (28, 28, 1, False)),
    ],
)
def test_inputs_that_are_images(shape: tuple[int, ...], expected: tuple[int, int, int, bool]) -> None:
    assert picture_of(spec(*shape)) == Picture(*expected, shape)


@pytest.mark.parametrize("given", [spec(3), spec(None, 28), spec(5, 6, 7), spec(2, 2, 2, 2), spec(4, 4, dtype="int64")])
def test_inputs_that_are_none(given: Spec) -> None:
    assert picture_of(given) is None


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (1, 4, 5), (4, 5, 3), (3, 4, 5), (3, 3, 3), (25,)])
def test_every_form_of_an_image_is_the_same_image(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    picture = picture_of(spec(*shape))
    assert picture is not None
    image = rng.random((picture.height, picture.width, picture.channels))
    own = image.transpose(2, 0, 1) if picture.channels_first else image
    forms = [image, image.transpose(2, 0, 1)] if shape != (3, 3, 3) else [own]
    forms += [image[:, :, 0]] if picture.channels == 1 else []
    for form in forms:
        assert form.shape in picture.shapes()
        np.testing.assert_array_equal(picture.arranged(form), own.reshape(shape))


def test_a_keras_model_knows_its_inputs() -> None:
    model = ServedModel(classifier((6, 5), 3))
    assert [s[1:] for s in model.inputs] == [(np.dtype("float32"), (6, 5))]
    assert [s[1:] for s in model.outputs] == [(np.dtype("float32"), (3,))]
    assert (model.classes, model.scores_are_logits) == (3, False)


def test_a_model_of_pytorchs_dialect_is_told(rng: np.random.Generator) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.9), nn.Linear(12, 4))
    model = ServedModel(net, (1, 3, 4))
    assert (model.classes, model.scores_are_logits) == (4, True)
    x = rng.standard_normal((2, 1, 3, 4)).astype("float32")
    (scores,) = model.predict([x])
    np.testing.assert_array_equal(scores, model.predict([x])[0])  # dropout is off
    expected = nn.functional.softmax(minidl.tensor(scores), dim=1).numpy()
    np.testing.assert_allclose(model.confidences(scores), expected, rtol=1e-5)
    with pytest.raises(ArgumentError, match="Sequential does not say what it takes; give input_shape"):
        ServedModel(net)
    with pytest.raises(ArgumentError, match=r"does not take inputs input float32 \(5, 5\).*expects 12"):
        ServedModel(net, (5, 5))


def test_several_inputs_and_outputs(rng: np.random.Generator) -> None:
    a, b = keras.Input((3,), name="a"), keras.Input((2,), name="b")
    joined = keras.layers.Concatenate()([a, b])
    outputs = [keras.layers.Dense(4, name="four")(joined), keras.layers.Dense(1, name="one")(joined)]
    keras_model = keras.Model([a, b], outputs)
    model = ServedModel(keras_model)
    assert [(s.name, s.shape) for s in model.inputs] == [("a", (3,)), ("b", (2,))]
    assert [(s.name, s.shape) for s in model.outputs] == [("four", (4,)), ("one", (1,))]
    assert model.classes == 0
    x = [rng.random((5, 3)).astype("float32"), rng.random((5, 2)).astype("float32")]
    for found, expected in zip(model.predict(x), keras_model.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_model_computes_where_it_lives() -> None:
    with minidl.device("cpu"):
        model = classifier((6, 5), 3)
    x = np.random.default_rng(0).random((2, 6, 5), np.float32)
    (expected,) = ServedModel(model).predict([x])
    model.to(minidl.get_default_device())
    (found,) = ServedModel(model).predict([x])
    assert type(found) is np.ndarray
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_sizes_that_are_not_fixed() -> None:
    model = ServedModel(keras.Sequential([keras.Input((None, 4)), keras.layers.LSTM(3, return_sequences=True)]))
    assert [s.shape for s in (*model.inputs, *model.outputs)] == [(None, 4), (None, 3)]
    model.warm_up(4)


def test_one_may_take_the_place_of_another() -> None:
    model = ServedModel(classifier())
    assert ServedModel(classifier(seed=1)).agrees_with(model)  # layers are called otherwise, and that is all
    assert not ServedModel(classifier(classes=9)).agrees_with(model)
    assert not ServedModel(classifier((28, 28, 1))).agrees_with(model)


@pytest.mark.parametrize("model", [None, "model.h5", lambda x: x])
def test_what_is_no_model(model: Any) -> None:
    with pytest.raises(DTypeError, match="expected a model"):
        ServedModel(model)


# ---------------------------------------------------------------------- files


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 2))


def keras_net() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])


def no_net() -> int:
    return 5


@pytest.mark.parametrize("ending", ["h5", "hdf5", "keras"])
@pytest.mark.parametrize("untrusted", [False, True])
def test_whole_models(ending: str, untrusted: bool, tmp_path: Path) -> None:
    path, model = tmp_path / f"model.{ending}", keras_net()
    model.save(path)
    x = np.ones((1, 3), "float32")
    found = ServedModel(open_model(path, untrusted=untrusted)).predict([x])[0]
    np.testing.assert_array_equal(found, model.predict(x, verbose=0))


def test_weights_alone(tmp_path: Path) -> None:
    x = np.ones((1, 3), "float32")
    torch_like, keras_like = net(), keras_net()
    minidl.save(torch_like.state_dict(), tmp_path / "net.safetensors")
    keras_like.save_weights(tmp_path / "k.weights.h5")
    keras_like.save_weights(tmp_path / "k.safetensors")
    found = ServedModel(open_model(tmp_path / "net.safetensors", f"{__name__}:net"), (3,)).predict([x])[0]
    np.testing.assert_array_equal(found, torch_like(minidl.tensor(x)).detach().numpy())
    for name in ("k.weights.h5", "k.safetensors"):
        found = ServedModel(open_model(tmp_path / name, f"{__name__}:keras_net")).predict([x])[0]
        np.testing.assert_array_equal(found, keras_like.predict(x, verbose=0))


def test_files_that_cannot_be_served(tmp_path: Path) -> None:
    weights, whole = tmp_path / "net.safetensors", tmp_path / "model.h5"
    minidl.save(nn.Linear(4, 2).state_dict(), weights)
    keras_net().save(whole)
    with pytest.raises(ArgumentError, match="holds weights and no model; say what makes the model with --factory"):
        open_model(weights)
    with pytest.raises(ArgumentError, match="holds a whole model; leave --factory out"):
        open_model(whole, f"{__name__}:net")
    for factory in ("nothing", "no.such.module:x", f"{__name__}:missing", ":", f"{__name__}:"):
        with pytest.raises(ArgumentError, match=r"expected package\.module:name"):
            open_model(weights, factory)
    with pytest.raises(ArgumentError, match="made a int, not a model"):
        open_model(weights, f"{__name__}:no_net")
    with pytest.raises(FormatError, match=r"net\.safetensors"):
        open_model(weights, f"{__name__}:net")
    whole.write_bytes(b"no file of HDF5")
    for untrusted in (False, True):
        with pytest.raises(FormatError, match=r"model\.h5"):
            open_model(whole, untrusted=untrusted)
