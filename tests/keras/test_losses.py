"""Losses: Keras's values, slopes, weights, reductions and configs; shapes that do not fit; names."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import keras
from minidl.errors import ArgumentError, DTypeError, NumericalWarning, RangeError, ShapeError, StateError
from minidl.keras import losses

RNG = np.random.default_rng(0)
N, C = 6, 4
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def numbers() -> tuple[np.ndarray, np.ndarray]:
    y, x = RNG.standard_normal((2, N, C))
    x[0, 0] = y[0, 0]  # no difference
    x[0, 1] = y[0, 1] + 1  # Huber's corner
    return y, x


def counts() -> tuple[np.ndarray, np.ndarray]:
    y = RNG.poisson(2, (N, C)).astype(float)
    return y, RNG.uniform(0.1, 4, (N, C))


def binary() -> tuple[np.ndarray, np.ndarray]:
    y = RNG.integers(0, 2, (N, C)).astype(float)
    x = RNG.uniform(0, 1, (N, C))
    x[0] = [0, 1, 1e-8, 1 - 1e-8]  # at the bounds and beyond them
    return y, x


def logits() -> tuple[np.ndarray, np.ndarray]:
    return RNG.integers(0, 2, (N, C)).astype(float), RNG.standard_normal((N, C)) * 5


def one_hot() -> tuple[np.ndarray, np.ndarray]:
    y = np.eye(C)[[0, 3, 1, 1, 2, 0]]
    x = RNG.dirichlet(np.ones(C), N)
    x[0], x[1], x[2] = [1, 0, 0, 0], [1, 0, 0, 0], [0.3, 0.6, 0.9, 0.1]  # certain, mistaken, and not of sum 1
    return y, x


def one_hot_logits() -> tuple[np.ndarray, np.ndarray]:
    return np.eye(C)[[0, 3, 1, 1, 2, 0]], RNG.standard_normal((N, C)) * 5


def labels() -> tuple[np.ndarray, np.ndarray]:
    y, x = one_hot()
    return y.argmax(1), x


def label_logits() -> tuple[np.ndarray, np.ndarray]:
    y, x = one_hot_logits()
    return y.argmax(1), x


def pictures() -> tuple[np.ndarray, np.ndarray]:
    return RNG.integers(0, C, (N, 2, 3)), RNG.dirichlet(np.ones(C), (N, 2, 3))


def picture_logits() -> tuple[np.ndarray, np.ndarray]:
    return RNG.integers(0, C, (N, 2, 3)), RNG.standard_normal((N, 2, 3, C))


def classes_first() -> tuple[np.ndarray, np.ndarray]:
    y, x = RNG.dirichlet(np.ones(C), (2, N, 3))
    return y.transpose(0, 2, 1), x.transpose(0, 2, 1)


def signs() -> tuple[np.ndarray, np.ndarray]:
    return RNG.choice([-1.0, 1.0], (N, C)), RNG.standard_normal((N, C))


Maker = Callable[[], tuple[np.ndarray, np.ndarray]]

CASES: list[tuple[str, Maker, dict[str, Any]]] = [
    ("MeanSquaredError", numbers, {}),
    ("MeanAbsoluteError", numbers, {}),
    ("MeanAbsolutePercentageError", numbers, {}),
    ("MeanSquaredLogarithmicError", counts, {}),
    ("MeanSquaredLogarithmicError", numbers, {}),
    ("CosineSimilarity", numbers, {}),
    ("CosineSimilarity", numbers, {"axis": 0}),
    ("Huber", numbers, {}),
    ("Huber", numbers, {"delta": 0.5}),
    ("LogCosh", numbers, {}),
    ("Poisson", counts, {}),
    ("KLDivergence", one_hot, {}),
    ("Hinge", signs, {}),
    ("Hinge", logits, {}),
    ("SquaredHinge", signs, {}),
    ("SquaredHinge", logits, {}),
    ("CategoricalHinge", one_hot_logits, {}),
    ("BinaryCrossentropy", binary, {}),
    ("BinaryCrossentropy", binary, {"label_smoothing": 0.2, "axis": 0}),
    ("BinaryCrossentropy", logits, {"from_logits": True}),
    ("BinaryCrossentropy", logits, {"from_logits": True, "label_smoothing": 0.2}),
    ("BinaryFocalCrossentropy", binary, {}),
    ("BinaryFocalCrossentropy", binary, {"apply_class_balancing": True, "alpha": 0.4, "gamma": 1.0}),
    ("BinaryFocalCrossentropy", logits, {"from_logits": True, "label_smoothing": 0.1}),
    ("CategoricalCrossentropy", one_hot, {}),
    ("CategoricalCrossentropy", one_hot, {"label_smoothing": 0.3}),
    ("CategoricalCrossentropy", one_hot_logits, {"from_logits": True}),
    ("CategoricalCrossentropy", one_hot_logits, {"from_logits": True, "label_smoothing": 0.3}),
    ("CategoricalCrossentropy", classes_first, {"axis": 1}),
    ("CategoricalFocalCrossentropy", one_hot, {}),
    ("CategoricalFocalCrossentropy", one_hot, {"alpha": [0.1, 0.2, 0.3, 0.4], "gamma": 1.0, "label_smoothing": 0.1}),
    ("CategoricalFocalCrossentropy", one_hot_logits, {"from_logits": True}),
    ("SparseCategoricalCrossentropy", labels, {}),
    ("SparseCategoricalCrossentropy", label_logits, {"from_logits": True}),
    ("SparseCategoricalCrossentropy", labels, {"ignore_class": 1}),
    ("SparseCategoricalCrossentropy", label_logits, {"from_logits": True, "ignore_class": 0}),
    ("SparseCategoricalCrossentropy", pictures, {}),
    ("SparseCategoricalCrossentropy", pictures, {"ignore_class": 2}),
    ("SparseCategoricalCrossentropy", picture_logits, {"from_logits": True}),
    ("Dice", binary, {}),
    ("Dice", binary, {"axis": 1}),
    ("Tversky", binary, {"alpha": 0.3, "beta": 0.6, "axis": [1]}),
    ("Tversky", binary, {}),
]
IDS = [f"{name}-{make.__name__}-{kw}" for name, make, kw in CASES]
CLASSES = sorted({name for name, _, _ in CASES})


def compare(mine: Any, theirs: Any, y: np.ndarray, x: np.ndarray, weight: Any = None, **settings: Any) -> None:
    """The same value, and the same gradient, as Keras on PyTorch."""
    from tests.keras.yardstick import torch

    x = x.astype("f4")
    y = y.astype("f4") if y.dtype.kind == "f" else y
    given = {} if weight is None else {"sample_weight": weight}
    a, b = minidl.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    got, want = mine(y, a, **given, **settings), theirs(y, b, **given, **settings)
    assert got.dtype == np.float32
    assert got.shape == tuple(want.shape)
    np.testing.assert_allclose(got.detach().numpy(), want.detach().numpy(), rtol=1e-5, atol=1e-6)
    upstream = np.linspace(0.5, 1.5, int(np.prod(got.shape))).reshape(got.shape).astype("f4")
    got.backward(minidl.tensor(upstream))
    if y.ndim == 3 and not getattr(mine, "settings", settings).get("from_logits"):
        return  # PyTorch cannot do what Keras asks of it here: "grad_input must be contiguous"
    want.backward(torch.tensor(upstream))
    # where a float32 was cancelled, both are as right as it is
    np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-4, atol=1e-6 * max(1, abs(b.grad.numpy()).max()))


def pair(name: str, **settings: Any) -> tuple[Any, Any]:
    from tests.keras.yardstick import keras as real

    return getattr(losses, name)(**settings), getattr(real.losses, name)(**settings)


# ---------------------------------------------------------------------- numbers


@pytest.mark.parametrize(("name", "make", "settings"), CASES, ids=IDS)
def test_values_and_slopes_are_keras_s(name: str, make: Maker, settings: dict[str, Any]) -> None:
    y, x = make()
    for reduction in REDUCTIONS:
        compare(*pair(name, reduction=reduction, **settings), y, x)


@pytest.mark.parametrize(("name", "make", "settings"), CASES, ids=IDS)
def test_weights_are_keras_s(name: str, make: Maker, settings: dict[str, Any]) -> None:
    y, x = make()
    shape = losses.get(name).from_config({**settings, "reduction": "none"})(y, x.astype("f4")).shape
    weight = RNG.uniform(0, 2, shape).astype("f4")
    for reduction in REDUCTIONS:
        compare(*pair(name, reduction=reduction, **settings), y, x, weight)


@pytest.mark.parametrize(("name", "make", "settings"), CASES, ids=IDS)
def test_functions_are_keras_s(name: str, make: Maker, settings: dict[str, Any]) -> None:
    from tests.keras.yardstick import keras as real

    function = real.src.utils.naming.to_snake_case(name).replace("kldivergence", "kl_divergence")
    mine, theirs = getattr(losses, function), getattr(real.losses, function)
    compare(mine, theirs, *make(), **settings)
    parameters = inspect.signature(theirs).parameters
    assert list(inspect.signature(mine).parameters) == list(parameters)
    assert all(inspect.signature(mine).parameters[key].default == p.default for key, p in parameters.items())


@pytest.mark.parametrize("shapes", [((N,), (N, 1)), ((N, 1), (N,)), ((N, 1), (N, 1)), ((N, 3), (N, 3, 1))])
@pytest.mark.parametrize("name", ["MeanSquaredError", "Huber", "BinaryCrossentropy", "Poisson"])
def test_ranks_are_made_equal_as_keras_does(name: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    y, x = RNG.integers(0, 2, shapes[0]).astype(float), RNG.uniform(0.1, 0.9, shapes[1])
    compare(*pair(name), y, x)
    if x.ndim == 2 and y.ndim == 2:
        compare(*pair(name), y, x, RNG.uniform(0, 2, (N, 1)).astype("f4"))


def test_labels_in_columns_and_as_floats() -> None:
    y, x = labels()
    want = losses.sparse_categorical_crossentropy(y, x).numpy()
    for form in (y[:, None], y.astype(float), list(map(int, y)), minidl.tensor(y)):
        np.testing.assert_array_equal(losses.sparse_categorical_crossentropy(form, x).numpy(), want)
        np.testing.assert_allclose(losses.SparseCategoricalCrossentropy()(form, x).numpy(), want.mean(), rtol=1e-6)
    compare(*pair("SparseCategoricalCrossentropy"), y[:, None], x)


def test_weights_of_samples_apply_to_all_their_values() -> None:
    """Keras would multiply along the last axis, which fits only by chance."""
    y, x = RNG.integers(0, 3, (2, 2)), RNG.dirichlet(np.ones(3), (2, 2))
    values = losses.sparse_categorical_crossentropy(y, x).numpy()
    got = losses.SparseCategoricalCrossentropy(reduction="sum")(y, x, [1.0, 0.0])
    np.testing.assert_allclose(got.item(), values[0].sum(), rtol=1e-6)
    for weight in ([1.0, 0.0], [[1.0], [0.0]]):
        mean = losses.MeanSquaredError()(np.eye(2), np.zeros((2, 2)), np.array(weight))
        assert mean.item() == pytest.approx(0.25)
    with pytest.raises(
        ShapeError, match=r"sample_weight \(3,\) does not fit the loss \(2,\); give one weight for each"
    ):
        losses.MeanSquaredError()(np.eye(2), np.zeros((2, 2)), np.ones(3))


def test_no_weight_and_no_sample_make_no_nan() -> None:
    zero = losses.MeanSquaredError(reduction="mean_with_sample_weight")(np.eye(2), np.zeros((2, 2)), np.zeros(2))
    assert zero.item() == 0
    assert losses.MeanSquaredError()(np.ones((0, 2)), np.ones((0, 2))).item() == 0
    ignored = losses.SparseCategoricalCrossentropy(ignore_class=0)([0, 0], [[0.5, 0.5], [0.5, 0.5]])
    assert ignored.item() == 0


def test_dtypes() -> None:
    y, x = numbers()
    assert (
        losses.MeanSquaredError()(y, x).dtype == np.float32
    )  # NumPy's float64 is what people have, not what they want
    assert losses.MeanSquaredError()(y, minidl.tensor(x)).dtype == np.float64
    assert losses.MeanSquaredError(dtype="float64")(y, x).dtype == np.float64
    assert losses.MeanSquaredError()([[1, 2]], [[1, 3]]).item() == 0.5
    assert losses.mean_squared_error([[1, 2]], minidl.tensor([[1.0, 3.0]])).dtype == np.float32


def test_labels_of_cells_are_those_of_so_many_samples() -> None:
    y, x = pictures()
    a, b = (minidl.tensor(x.reshape(shape), requires_grad=True) for shape in ((N, 2, 3, C), (N * 6, C)))
    got, want = losses.sparse_categorical_crossentropy(y, a), losses.sparse_categorical_crossentropy(y.ravel(), b)
    np.testing.assert_allclose(got.detach().numpy().ravel(), want.detach().numpy())
    got.sum().backward()
    want.sum().backward()
    np.testing.assert_allclose(a.grad.numpy().reshape(-1, C), b.grad.numpy())


# ---------------------------------------------------------------------- one's own


class Quartic(losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ((y_pred - y_true) ** 4).mean(-1)


def test_a_loss_of_ones_own() -> None:
    loss = Quartic()
    assert loss.name == "quartic"
    y, x = np.array([[0, 0], [1, 1]]), minidl.tensor([[2.0, 0.0], [1.0, 1.0]])
    assert loss(y, x).item() == 4
    assert loss(y, x, sample_weight=[0.5, 1.0]).item() == 2
    assert loss.weighted(x, y, minidl.tensor([0.5, 1.0])).item() == 2
    assert Quartic(reduction=None)(y, x).tolist() == [8, 0]
    assert Quartic.from_config(Quartic("mine", "sum").get_config()).get_config() == {"name": "mine", "reduction": "sum"}
    with pytest.raises(StateError, match=r"Loss: a loss must define call\(self, y_true, y_pred\)"):
        losses.Loss()(y, x)


def test_a_function_of_ones_own() -> None:
    def cubic(y_true: Any, y_pred: Any, factor: float = 1.0) -> Any:
        return factor * ((y_pred - y_true) ** 3).mean(-1)

    loss = losses.as_loss(cubic)
    assert loss.name == "cubic"
    assert loss([[0.0]], [[2.0]]).item() == 8
    with keras_scope(cubic):
        config = losses.serialize(losses.LossFunctionWrapper(cubic, factor=2.0))
        again = losses.deserialize(config)
    assert again([[0.0]], [[2.0]]).item() == 16
    assert losses.as_loss("mse").name == "mse"
    assert losses.as_loss(None) is None
    assert losses.as_loss(losses.Huber).name == "huber_loss"


def keras_scope(function: Any) -> Any:
    from minidl.keras.serialization import custom_object_scope

    return custom_object_scope({function.__name__: function})


# ---------------------------------------------------------------------- names and files


@pytest.mark.parametrize("name", CLASSES)
def test_configs_and_arguments_are_keras_s(name: str) -> None:
    from tests.keras.yardstick import keras as real

    mine, theirs = pair(name)
    assert mine.get_config() == theirs.get_config()
    assert losses.serialize(mine) == real.losses.serialize(theirs)
    parameters = inspect.signature(type(theirs)).parameters
    assert list(inspect.signature(type(mine)).parameters) == list(parameters)
    assert all(inspect.signature(type(mine)).parameters[key].default == p.default for key, p in parameters.items())
    assert losses.deserialize(real.losses.serialize(theirs)).get_config() == mine.get_config()


@pytest.mark.parametrize(("name", "make", "settings"), CASES, ids=IDS)
def test_files_keep_every_argument(name: str, make: Maker, settings: dict[str, Any]) -> None:
    """Even those that Keras forgets; and Keras reads them."""
    from tests.keras.yardstick import keras as real

    y, x = make()
    loss = getattr(losses, name)(reduction="none", **settings)
    again, theirs = losses.deserialize(losses.serialize(loss)), real.losses.deserialize(losses.serialize(loss))
    np.testing.assert_array_equal(again(y, x).numpy(), loss(y, x).numpy())
    np.testing.assert_allclose(theirs(y, x).detach().numpy(), loss(y, x).numpy(), rtol=1e-5, atol=1e-6)
    for key, value in settings.items():
        assert getattr(loss, key) == getattr(again, key) == value


def test_names() -> None:
    from tests.keras.yardstick import keras as real

    for alias in ("mse", "MSE", "mae", "mape", "msle", "bce", "BCE", "kld", "KLD", "mean_squared_error", "huber"):
        assert losses.get(alias).__name__ == real.losses.get(alias).__name__
    for name in CLASSES:
        assert type(losses.get(name)) is getattr(losses, name)
    assert losses.mse is losses.MSE is losses.get("mse")
    assert losses.get(None) is None
    assert losses.deserialize("mae") is losses.mean_absolute_error
    missing = {"CTC", "ctc", "Circle", "circle", "CategoricalGeneralizedCrossEntropy"}
    missing |= {"categorical_generalized_cross_entropy"}
    assert {n for n in dir(real.losses) if not n.startswith("_")} - missing <= set(dir(losses))
    with pytest.raises(
        ArgumentError, match="loss: no loss is named 'mean_square_error'; did you mean 'mean_squared_err"
    ):
        losses.get("mean_square_error")
    with pytest.raises(
        ArgumentError, match="loss: no loss is named 'categorical_cross_entropy'; did you mean 'categor"
    ):
        losses.get("categorical_cross_entropy")
    with pytest.raises(ArgumentError, match=r"reduction must be one of 'sum_over_batch_size', .*; got 'average'"):
        losses.MeanSquaredError(reduction="average")
    with pytest.raises(AttributeError, match="Huber has no attribute 'gamma'"):
        losses.Huber().gamma  # noqa: B018


# ---------------------------------------------------------------------- what does not fit


def test_one_unit_for_two_targets_warns() -> None:
    """The fault of document 001: the best that Dense(1) can do is the mean of both targets."""
    y, x = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]), np.array([[0.5], [1.5], [2.5]])
    message = (
        r"mean_squared_error: prediction \(3, 1\) and target \(3, 2\) have different shapes and broadcast to \(3, 2\); "
        "most likely that is not meant: each prediction is compared with 2 targets, and the loss cannot fall below "
        "what these differ by"
    )
    with pytest.warns(NumericalWarning, match=message) as caught:
        assert losses.MeanSquaredError()(y, x).item() == 0.25
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        for name in ("MeanSquaredError", "MeanAbsoluteError", "Huber", "LogCosh", "MeanAbsolutePercentageError"):
            compare(*pair(name), y + 0.1, x)
    with pytest.raises(ShapeError, match=r"prediction \(3, 4\) and target \(3, 2\) .* do not broadcast either"):
        losses.MeanSquaredError()(y, np.ones((3, 4)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: losses.CategoricalCrossentropy()([0, 1], np.full((2, 3), 1 / 3)),
            ShapeError,
            r"categorical_crossentropy: prediction \(2, 3\) is for 3 classes, and the target has shape \(2,\); it "
            r"looks like labels, one number a sample: use sparse_categorical_crossentropy, or .*to_categorical\(y, 3\)",
        ),
        (
            lambda: losses.categorical_crossentropy([[0], [1]], np.full((2, 3), 1 / 3)),
            ShapeError,
            r"target has shape \(2, 1\); it looks like labels",
        ),
        (
            lambda: losses.CategoricalCrossentropy()(np.eye(4)[:2], np.full((2, 3), 1 / 3)),
            ShapeError,
            r"target has shape \(2, 4\); give the last layer 4 units, or the target 3 columns",
        ),
        (
            lambda: losses.CategoricalFocalCrossentropy()(np.eye(3), np.full((2, 3), 1 / 3)),
            ShapeError,
            r"categorical_focal_crossentropy: .* target has shape \(3, 3\); both must have the same shape",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy()([0, 3], np.full((2, 3), 1 / 3)),
            RangeError,
            "sparse_categorical_crossentropy: label 3 at position 1 is out of range for 3 classes; labels count from 0",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy(from_logits=True)([0, -100], np.zeros((2, 3))),
            RangeError,
            "label -100 at position 1 is out of range for 3 classes",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy()(np.eye(3), np.full((3, 3), 1 / 3)),
            ShapeError,
            r"needs labels of shape \(3,\), got \(3, 3\); it looks one-hot: use categorical_crossentropy, or labels",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy()([0, 1, 2], np.full((2, 3), 1 / 3)),
            ShapeError,
            r"needs labels of shape \(2,\), got \(3,\); the batch sizes must be equal",
        ),
        (
            lambda: losses.SparseCategoricalCrossentropy()([0.0, 0.5], np.full((2, 3), 1 / 3)),
            DTypeError,
            "labels are the numbers of classes, 0 to 2, found 0.5; for probabilities of classes use categorical",
        ),
        (
            lambda: losses.BinaryCrossentropy()(np.ones((2, 2)), np.full((2, 1), 0.5)),
            ShapeError,
            r"binary_crossentropy: prediction \(2, 1\) and target \(2, 2\) must have the same shape",
        ),
    ],
)
def test_targets_that_do_not_fit(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    # shapes are looked at everywhere, values on the CPU alone: nobody waits for a GPU
    place = "cpu" if error is RangeError or "found 0.5" in message else minidl.get_default_device()
    with minidl.device(place), pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("name", "y", "x", "activation"),
    [
        ("BinaryCrossentropy", [[1.0]], [[2.5]], "sigmoid"),
        ("BinaryCrossentropy", [[1.0]], [[-0.5]], "sigmoid"),
        ("CategoricalCrossentropy", [[1.0, 0.0]], [[2.5, -1.0]], "softmax"),
        ("SparseCategoricalCrossentropy", [0], [[2.5, -1.0]], "softmax"),
    ],
)
def test_logits_for_probabilities_warn(name: str, y: Any, x: Any, activation: str) -> None:
    message = f"predictions are not probabilities: .*; end the model with a {activation}, or pass from_logits=True"
    with minidl.device("cpu"), pytest.warns(NumericalWarning, match=message):  # a GPU's values nobody looks at
        getattr(losses, name)()(y, x)
    getattr(losses, name)(from_logits=True)(y, x)


def test_one_class_warns() -> None:
    with pytest.warns(
        NumericalWarning, match=r"the prediction \(2, 1\) has one class, which is always right; .* binary"
    ):
        keras.losses.CategoricalCrossentropy()([1, 0], np.full((2, 1), 0.5))


# ---------------------------------------------------------------------- training


@pytest.mark.parametrize("name", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_second_order(name: str) -> None:
    y, x = one_hot()
    target = minidl.tensor(y.argmax(1) if name.startswith("sparse") else y)
    x = np.clip(x, 0.05, 1)
    assert minidl.gradgradcheck(lambda p: getattr(losses, name)(target, p), (minidl.tensor(x, requires_grad=True),))


def test_a_step_of_training_is_few_operations() -> None:
    """Softmax, cross entropy and its mean: what every batch pays for."""
    x = minidl.tensor(RNG.standard_normal((N, C)).astype("f4"), requires_grad=True)
    for loss, y in (
        (losses.CategoricalCrossentropy(), np.eye(C, dtype="f4")[[0, 3, 1, 1, 2, 0]]),
        (losses.SparseCategoricalCrossentropy(), np.array([0, 3, 1, 1, 2, 0])),
    ):
        value = loss(minidl.tensor(y), minidl.softmax(x, dim=1))
        seen, stack = set(), [value._node]
        while stack:
            node = stack.pop()
            if node is not None and node not in seen and hasattr(node, "edges"):
                seen.add(node)
                stack += [edge[0] for edge in node.edges if edge is not None]
        assert len(seen) <= 4, [node.name for node in seen]
