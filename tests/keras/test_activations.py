"""Activations: Keras's values and slopes, names and their nearest, what files say."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import ArgumentError, DTypeError

X = np.array([[-30.0, -4.0, -3.0, -1.0, -0.5, -0.2], [0.0, 0.3, 0.5, 1.0, 2.0, 3.0], [5.0, 5.5, 6.0, 7.0, 25.0, 90.0]])

CALLS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in keras.activations.__all__ if name not in ("get", "serialize", "deserialize", "sparsemax")),
    ("relu", {"negative_slope": 0.1}),
    ("relu", {"max_value": 5.0}),
    ("relu", {"max_value": 6}),
    ("relu", {"threshold": 0.5}),
    ("relu", {"negative_slope": 0.2, "max_value": 5.5, "threshold": 1.0}),
    ("relu", {"negative_slope": 0.2, "max_value": 6.0}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("elu", {"alpha": 0.5}),
    ("celu", {"alpha": 0.5}),
    ("gelu", {"approximate": True}),
    ("softmax", {"axis": 0}),
    ("log_softmax", {"axis": 0}),
    ("glu", {"axis": 1}),
    ("squareplus", {"b": 1.0}),
    ("soft_shrink", {"threshold": 1.5}),
    ("hard_shrink", {"threshold": 1.5}),
]
CALLS = [(name, {"threshold": 0.5, "default_value": 2.0} if name == "threshold" else kw) for name, kw in CALLS]


@pytest.mark.parametrize(("name", "settings"), CALLS, ids=[f"{name}-{kw}" for name, kw in CALLS])
def test_values_and_slopes_are_keras_s(name: str, settings: dict[str, Any]) -> None:
    from tests.keras.yardstick import keras as real
    from tests.keras.yardstick import torch

    x = minidl.tensor(X, requires_grad=True)
    t = torch.tensor(X, requires_grad=True)
    got = getattr(keras.activations, name)(x, **settings)
    want = getattr(real.activations, name)(t, **settings)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-10, atol=1e-12)
    upstream = np.random.default_rng(0).standard_normal(got.shape)
    got.backward(minidl.tensor(upstream))
    want.backward(torch.tensor(upstream))
    np.testing.assert_allclose(x.grad.numpy(), t.grad.numpy(), rtol=1e-7, atol=1e-9)
    assert getattr(keras.activations, name)(minidl.tensor(X.astype("f4")), **settings).dtype == np.float32


def test_arguments_are_keras_s() -> None:
    from tests.keras.yardstick import keras as real

    for name in keras.activations.__all__:
        theirs = inspect.signature(getattr(real.activations, name)).parameters
        mine = inspect.signature(getattr(keras.activations, name)).parameters
        assert list(mine)[: len(theirs)] == list(theirs), name
        for key, parameter in theirs.items():
            assert mine[key].default == parameter.default, (name, key)
    missing = {n for n in dir(real.activations) if not n.startswith("_")} - set(dir(keras.activations))
    assert not missing


def test_sparsemax_is_the_nearest_distribution() -> None:
    """No small move to another distribution comes nearer to x."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((6, 5)) * 2
    y = keras.activations.sparsemax(minidl.tensor(x)).numpy()
    np.testing.assert_allclose(y.sum(-1), 1)
    assert (y >= 0).all()
    assert (y == 0).any()
    others = rng.dirichlet(np.full(5, 0.5), (200, 6))
    assert (((x - y) * (others - y)).sum(-1) <= 1e-12).all()
    np.testing.assert_allclose(keras.activations.sparsemax(minidl.tensor(x.T), axis=0).numpy(), y.T)
    assert minidl.gradcheck(keras.activations.sparsemax, (minidl.tensor(x, requires_grad=True),))


def test_names() -> None:
    a = keras.activations
    assert a.get(None) is a.linear
    assert a.get("relu") is a.relu
    assert a.get("swish") is a.get("silu") is a.silu
    assert a.get("hard_swish") is a.hard_silu
    assert a.get(abs) is abs
    with pytest.raises(ArgumentError, match="activation: no activation is named 'rely'; did you mean 'relu'"):
        a.get("rely")
    with pytest.raises(DTypeError, match="activation: expected a name, a config, or something callable, got a int"):
        a.get(3)


def test_files() -> None:
    a = keras.activations
    for name in a.__all__:
        if name not in ("get", "serialize", "deserialize", "swish", "hard_swish"):
            assert a.serialize(getattr(a, name)) == name
            assert a.deserialize(name) is getattr(a, name)
    assert a.serialize(a.swish) == "silu"

    def cube(x: Any) -> Any:
        return x**3

    written = a.serialize(cube)
    assert written["config"] == "cube"
    assert a.deserialize(written, {"cube": cube}) is cube
    assert a.deserialize("cube", {"cube": cube}) is cube
    with pytest.raises(DTypeError, match="a lambda cannot be written to a file"):
        a.serialize(lambda x: x)
