"""One description of a layer's use, and the comparison with real Keras: numbers, gradients, shapes, configs, names."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minidl import Tensor, keras, tensor
from minidl.keras.layers import Input
from tests.keras.yardstick import keras as real
from tests.keras.yardstick import torch

Shape = tuple[int, ...]


@dataclass
class Case:
    """A layer with its arguments, the shapes of its inputs, and what its call is given further.

    Attributes
    ----------
    layer : str
    kwargs : dict
        The constructor's.
    inputs : shape, list of shapes, or array
        Of the batch; an array is taken as it is (indices).
    call : dict
        The call's.
    """

    layer: str
    inputs: Any
    kwargs: dict[str, Any] = field(default_factory=dict)
    call: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.layer}({', '.join(f'{k}={v}' for k, v in self.kwargs.items())})"

    def arrays(self) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        shapes = self.inputs if isinstance(self.inputs, list) else [self.inputs]
        return [x if isinstance(x, np.ndarray) else rng.standard_normal(x).astype("float32") for x in shapes]


def as_list(x: Any) -> list[Any]:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def plain(config: Any) -> Any:
    """Return a config as JSON has it."""
    return json.loads(json.dumps(config))


def unbuilt(config: Any) -> Any:
    """Return a config as JSON has it, without the shapes that inner layers were built for."""
    if isinstance(config, dict):
        return {key: unbuilt(value) for key, value in config.items() if key != "build_config"}
    return [unbuilt(x) for x in config] if isinstance(config, (list, tuple)) else config


def make(case: Case, library: Any) -> Any:
    """Return the layer of one library; an argument (name, kwargs) is a layer too."""

    def layer(name: str, kwargs: dict[str, Any]) -> Any:
        return getattr(library.layers, name)(**kwargs)

    return layer(case.layer, {k: layer(*v) if k in ("layer", "backward_layer") else v for k, v in case.kwargs.items()})


def make_pair(case: Case) -> tuple[Any, Any]:
    """Return the layer and Keras's, built, with the same random weights."""
    mine, theirs = make(case, keras), make(case, real)
    arrays = case.arrays()
    shapes = [(None, *x.shape[1:]) for x in arrays]
    shape = shapes if isinstance(case.inputs, list) else shapes[0]
    mine.build(shape)
    theirs.build(shape)
    rng = np.random.default_rng(1)
    values = [rng.uniform(0.1, 0.9, w.shape).astype("float32") for w in theirs.weights]
    theirs.set_weights(values)
    mine.set_weights(values)
    return mine, theirs


def check(case: Case, tolerance: float = 2e-5) -> None:
    """Compare everything."""
    mine, theirs = make_pair(case)
    arrays = case.arrays()
    several = isinstance(case.inputs, list)

    assert [tuple(w.shape) for w in mine.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.path.split("/", 1)[1] for w in mine.weights] == [w.path.split("/", 1)[1] for w in theirs.weights]

    xs = [tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    zs = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    call = dict(case.call)
    ys = as_list(mine(xs if several else xs[0], **call))
    ts = as_list(theirs(zs if several else zs[0], **call))
    assert len(ys) == len(ts)
    for y, t in zip(ys, ts, strict=True):
        assert isinstance(y, Tensor)
        assert y.shape == tuple(t.shape)
        assert y.dtype == np.float32
        np.testing.assert_allclose(y.detach().numpy(), t.detach().numpy(), rtol=tolerance, atol=tolerance)

    rng = np.random.default_rng(2)
    weights = [rng.standard_normal(y.shape).astype("float32") for y in ys]
    if any(y.requires_grad for y in ys):
        sum(((y * w).sum() for y, w in zip(ys, weights, strict=True)), tensor(0.0)).backward()
        sum((t * torch.tensor(w)).sum() for t, w in zip(ts, weights, strict=True)).backward()
        pairs = [(x.grad, z.grad) for x, z in zip(xs, zs, strict=True) if x.dtype == np.float32]
        pairs += [(w.grad, v.value.grad) for w, v in zip(mine.weights, theirs.weights, strict=True) if v.trainable]
        for grad, expected in pairs:
            assert (grad is None) == (expected is None)
            if grad is not None:
                scale = max(1.0, float(expected.abs().max()))
                np.testing.assert_allclose(grad.numpy(), expected.numpy(), rtol=tolerance, atol=tolerance * scale)
    for w, v in zip(mine.weights, theirs.weights, strict=True):  # moving statistics
        np.testing.assert_allclose(w.numpy(), v.value.detach().numpy(), rtol=tolerance, atol=tolerance)

    symbols = [Input(x.shape[1:]) for x in arrays]
    expected_shapes = [(None, *y.shape[1:]) for y in ys]
    assert [s.shape for s in as_list(mine(symbols if several else symbols[0]))] == expected_shapes
    check_configs(case, mine, theirs)


def check_configs(case: Case, mine: Any, theirs: Any) -> None:
    """Each library's config must be the other's, and make such a layer in both."""
    ours, other = plain(mine.get_config()), plain(theirs.get_config())
    ours["name"] = other["name"]
    assert ours == other
    assert unbuilt(type(mine).from_config(other).get_config()) == unbuilt(other)
    assert unbuilt(type(theirs).from_config(ours).get_config()) == unbuilt(other)
