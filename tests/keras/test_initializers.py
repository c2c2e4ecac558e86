"""Initialisers: ranges and moments, fans, seeds, configs, names."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import ArgumentError, DTypeError, ShapeError, StateError
from minidl.keras import initializers
from minidl.keras.initializers import compute_fans

CLASSES = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
]
RANDOM = [name for name in CLASSES if name not in ("Constant", "Identity", "Ones", "Zeros")]

#: The deviation of weights (200, 300), or (3, 3, 40, 50), and the bound beyond which there is none.
CUT = 2 / 0.87962566103423978
SPREAD: list[tuple[Any, tuple[int, ...], float, float]] = [
    (initializers.GlorotUniform(), (200, 300), math.sqrt(2 / 500), math.sqrt(6 / 500)),
    (initializers.GlorotNormal(), (200, 300), math.sqrt(2 / 500), CUT * math.sqrt(2 / 500)),
    (initializers.HeUniform(), (200, 300), math.sqrt(2 / 200), math.sqrt(6 / 200)),
    (initializers.HeNormal(), (200, 300), math.sqrt(2 / 200), CUT * math.sqrt(2 / 200)),
    (initializers.LecunUniform(), (200, 300), math.sqrt(1 / 200), math.sqrt(3 / 200)),
    (initializers.LecunNormal(), (200, 300), math.sqrt(1 / 200), CUT * math.sqrt(1 / 200)),
    (initializers.GlorotUniform(), (3, 3, 40, 50), math.sqrt(2 / 810), math.sqrt(6 / 810)),
    (initializers.HeNormal(), (3, 3, 40, 50), math.sqrt(2 / 360), CUT * math.sqrt(2 / 360)),
    (initializers.VarianceScaling(3.0, "fan_out", "untruncated_normal"), (200, 300), 0.1, 1.0),
    (initializers.VarianceScaling(1.0, "fan_in", "normal", None, [1], [0]), (200, 300), 300**-0.5, CUT * 300**-0.5),
    (initializers.RandomNormal(0.0, 2.0), (200, 300), 2.0, 20.0),
    (initializers.RandomUniform(-3.0, 3.0), (200, 300), math.sqrt(3), 3.0),
    (initializers.TruncatedNormal(0.0, 2.0), (200, 300), 2 * 0.87962566103423978, 4.0),
]


@pytest.mark.parametrize(("initializer", "shape", "std", "bound"), SPREAD)
def test_moments_and_ranges(initializer: Any, shape: tuple[int, ...], std: float, bound: float) -> None:
    minidl.manual_seed(0)
    w = initializer(shape)
    assert w.shape == shape
    assert w.dtype == np.float32
    w = w.numpy()
    assert abs(w.std() / std - 1) < 0.02
    assert abs(w.mean()) < 0.02 * std
    assert abs(w).max() <= bound * (1 + 1e-6)
    if bound < 4 * std:
        assert abs(w).max() > bound * 0.97


@pytest.mark.parametrize("name", RANDOM)
def test_distributions_are_keras_s(name: str) -> None:
    """Two samples, one of each library, are too alike to be told apart."""
    from tests.keras.yardstick import keras as real

    ks_2samp = pytest.importorskip("scipy.stats").ks_2samp
    shape = (3, 3, 20, 30)
    mine = getattr(initializers, name)(seed=1)(shape).numpy().ravel()
    theirs = getattr(real.initializers, name)(seed=1)(shape).detach().numpy().ravel()
    assert ks_2samp(mine, theirs).statistic < 0.03


@pytest.mark.parametrize("shape", [(), (7,), (3, 5), (4, 3, 5), (2, 4, 3, 5)])
def test_fans_are_keras_s(shape: tuple[int, ...]) -> None:
    from tests.keras.yardstick import keras as real

    theirs = real.src.initializers.random_initializers.compute_fans
    assert compute_fans(shape) == theirs(shape)
    if len(shape) > 2:
        assert compute_fans(shape, [0, 1], [-1]) == theirs(shape, [0, 1], [-1])


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4), (2, 3, 4, 5), (2, 2, 2, 20)])
def test_orthogonal(shape: tuple[int, ...]) -> None:
    w = keras.initializers.Orthogonal(gain=2.0)(shape, dtype="float64").numpy().reshape(-1, shape[-1])
    product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-10)
    with pytest.raises(ShapeError, match=r"Orthogonal: expected at least two axes, got shape \(3,\)"):
        keras.initializers.Orthogonal()((3,))


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name: str) -> None:
    cls, shape = getattr(initializers, name), (4, 5)
    seeded = cls(seed=3)
    first = seeded(shape).numpy()
    np.testing.assert_array_equal(seeded(shape).numpy(), first)
    np.testing.assert_array_equal(cls(seed=3)(shape).numpy(), first)
    assert (cls(seed=4)(shape).numpy() != first).any()
    minidl.manual_seed(7)
    before = minidl.rand(1).item()
    minidl.manual_seed(7)
    seeded(shape)
    assert minidl.rand(1).item() == before  # a seeded one takes no number from the others
    keras.utils.set_random_seed(7)
    free = [cls()(shape).numpy() for _ in range(2)]
    assert (free[0] != free[1]).any()
    keras.utils.set_random_seed(7)
    np.testing.assert_array_equal(cls()(shape).numpy(), free[0])
    for seed, error, message in ((-1, ArgumentError, "must not be negative"), ("a", DTypeError, "must be an int or")):
        with pytest.raises(error, match=f"{name}: seed {message}"):
            cls(seed=seed)
    with pytest.raises(DTypeError, match=f"{name}: random weights are floats, got dtype=int32"):
        cls()(shape, dtype="int32")


def test_constants() -> None:
    assert initializers.Zeros()((2,)).tolist() == [0, 0]
    assert initializers.Ones()((2,), dtype="int64").tolist() == [1, 1]
    assert initializers.Constant(3)((2,)).dtype == np.float32
    assert initializers.Constant(np.array([1, 2]))((2, 2)).tolist() == [[1, 2], [1, 2]]
    assert initializers.Identity(2.0)((2, 3)).tolist() == [[2, 0, 0], [0, 2, 0]]
    with pytest.raises(ShapeError, match=r"Identity: expected the shape of a matrix, got \(2,\)"):
        initializers.Identity()((2,))
    given = np.arange(6.0).reshape(2, 3)
    assert initializers.get(given)((2, 3)).tolist() == given.tolist()
    with pytest.raises(ShapeError, match=r"the array \(2, 3\) is for a weight of shape \(3, 2\)"):
        initializers.get(given)((3, 2))
    assert initializers.TruncatedNormal(1.0, 0.0)((2,)).tolist() == [1, 1]


@pytest.mark.parametrize("name", CLASSES)
def test_configs_and_arguments_are_keras_s(name: str) -> None:
    from tests.keras.yardstick import keras as real

    mine, theirs = getattr(initializers, name), getattr(real.initializers, name)
    assert mine().get_config() == theirs().get_config()
    assert list(inspect.signature(mine).parameters) == list(inspect.signature(theirs).parameters)
    for key, parameter in inspect.signature(theirs).parameters.items():
        assert inspect.signature(mine).parameters[key].default == parameter.default
    assert initializers.serialize(mine()) == real.initializers.serialize(theirs())
    if name in RANDOM:
        assert mine(seed=5).get_config() == theirs(seed=5).get_config()
        assert initializers.deserialize(real.initializers.serialize(theirs(seed=5))).seed == 5
    snake = real.src.utils.naming.to_snake_case(name)
    assert type(initializers.get(snake)) is mine is getattr(initializers, snake)
    assert type(initializers.get(name)) is mine
    clone = mine().clone()
    assert type(clone) is mine
    assert clone.get_config() == mine().get_config()


def test_a_gain_is_not_lost() -> None:
    """Keras forgets it; minidl writes one that is not 1, and Keras reads it."""
    from tests.keras.yardstick import keras as real

    assert real.initializers.deserialize(initializers.serialize(initializers.Identity(2.0))).gain == 2


def test_names_and_errors() -> None:
    get = initializers.get
    assert get(None) is None
    assert type(get("normal")) is type(get("RandomNormal")) is initializers.RandomNormal
    assert type(get("uniform")) is initializers.RandomUniform
    assert type(get("zero")) is type(get(initializers.Zeros)) is initializers.Zeros
    with pytest.raises(ArgumentError, match="no initializer is named 'glorot_unifrom'; did you mean 'glorot_uniform'"):
        get("glorot_unifrom")
    for call, message in (
        (lambda: initializers.VarianceScaling(0.0), "scale must be positive, got 0.0"),
        (lambda: initializers.VarianceScaling(mode="in"), "mode must be 'fan_in', 'fan_out' or 'fan_avg', got 'in'"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "distribution must be .* got 'cauchy'"),
        (lambda: initializers.RandomNormal(stddev=-1), "RandomNormal: stddev must not be negative, got -1"),
        (lambda: initializers.RandomUniform(1, 0), "expected minval <= maxval, got minval=1, maxval=0"),
    ):
        with pytest.raises(ArgumentError, match=message):
            call()
    with pytest.raises(StateError, match=r"Initializer: an initialiser must define __call__"):
        initializers.Initializer()((2,))
