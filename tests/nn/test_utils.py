"""Gradient clipping; parameters as one vector."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, DTypeError, GradError, ShapeError
from minidl.nn.utils import clip_grad_norm_, clip_grad_value_, parameters_to_vector, vector_to_parameters

try:
    import torch
except ImportError:
    torch = None


def with_gradients(*grads: np.ndarray) -> list:
    params = []
    for grad in grads:
        p = minidl.zeros(*grad.shape, dtype=str(grad.dtype), requires_grad=True)
        p.grad = minidl.tensor(grad)
        params.append(p)
    return params


def test_norm_by_hand() -> None:
    params = with_gradients(np.array([3.0, 0.0]), np.array([[4.0]]))
    params.append(minidl.zeros(3, requires_grad=True))  # it has no gradient
    norm = clip_grad_norm_(params, 2.5)
    assert norm.shape == ()
    assert norm.item() == 5.0
    np.testing.assert_allclose(params[0].grad.numpy(force=True), [1.5, 0.0], rtol=1e-6)
    np.testing.assert_allclose(params[1].grad.numpy(force=True), [[2.0]], rtol=1e-6)
    assert params[2].grad is None


def test_small_gradients_are_not_scaled() -> None:
    (p,) = with_gradients(np.array([0.3, 0.4]))
    version = p.grad.version
    assert clip_grad_norm_(p, 1.0).item() == 0.5
    assert p.grad.array.tolist() == [0.3, 0.4]
    assert p.grad.version > version


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 0.5, float("inf")])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_norm_is_pytorchs(norm_type: float, max_norm: float, dtype: str) -> None:
    if torch is None:
        pytest.skip("compares with PyTorch, which is not installed")
    rng = np.random.default_rng(0)
    grads = [np.asarray(rng.standard_normal(shape), dtype) for shape in ((3, 4), (), (5,), (0, 2))]
    if norm_type == float("inf"):
        grads.pop()  # PyTorch has no largest element of none
    params = with_gradients(*grads)
    theirs = [torch.zeros(g.shape, dtype=getattr(torch, dtype), requires_grad=True) for g in grads]
    for p, g in zip(theirs, grads, strict=True):
        p.grad = torch.tensor(g)
    want = torch.nn.utils.clip_grad_norm_(theirs, max_norm, norm_type)
    got = clip_grad_norm_(params, max_norm, norm_type)
    rtol = 1e-5 if dtype == "float32" else 1e-12
    assert got.dtype == dtype
    assert got.item() == pytest.approx(want.item(), rel=rtol)
    for p, q in zip(params, theirs, strict=True):
        assert p.grad.dtype == dtype
        np.testing.assert_allclose(p.grad.numpy(force=True), q.grad.numpy(), rtol=rtol)


def test_norms_by_formula() -> None:
    values = np.array([1.0, -2.0, 3.0])
    # PyTorch's 0-norm counts the parameters that have a gradient other than zero, not the elements
    for norm_type, want in ((1, 6.0), (2, math.sqrt(14)), (3, 36 ** (1 / 3)), (0, 3.0), (math.inf, 3.0)):
        (p,) = with_gradients(values)
        assert clip_grad_norm_([p], 1e9, norm_type).item() == pytest.approx(want)


def test_mixed_dtypes_keep_theirs() -> None:
    a, b = with_gradients(np.array([3.0], "float32"), np.array([4.0]))
    assert clip_grad_norm_([a, b], 1.0).item() == 5.0
    assert (a.grad.dtype, b.grad.dtype) == ("float32", "float64")


def test_nothing_to_clip() -> None:
    assert clip_grad_norm_([minidl.zeros(2, requires_grad=True)], 1.0).item() == 0.0
    assert clip_grad_norm_([], 1.0).item() == 0.0
    assert clip_grad_norm_((p for p in ()), 1.0).item() == 0.0


def test_nonfinite() -> None:
    (p,) = with_gradients(np.array([1.0, np.nan]))
    with pytest.raises(GradError, match="the total norm of the gradients is nan"):
        clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
    assert p.grad.array[0] == 1.0
    assert math.isnan(clip_grad_norm_([p], 1.0).item())
    (p,) = with_gradients(np.array([1.0, np.inf]))
    assert clip_grad_norm_([p], 1.0).item() == math.inf
    assert p.grad.array[0] == 0.0


def test_value() -> None:
    (p,) = with_gradients(np.array([-3.0, -0.5, 0.0, 2.0], "float32"))
    array, version = p.grad.array, p.grad.version
    clip_grad_value_(p, 1.0)
    assert p.grad.array.tolist() == [-1.0, -0.5, 0.0, 1.0]
    assert p.grad.array is array
    assert p.grad.dtype == np.float32
    assert p.grad.version > version


def test_errors() -> None:
    with pytest.raises(ArgumentError, match=r"must not be negative, got -1.0 and 2.0"):
        clip_grad_norm_([], -1.0)
    with pytest.raises(ArgumentError, match="must not be negative"):
        clip_grad_norm_([], 1.0, norm_type=-2)
    with pytest.raises(ArgumentError, match=r"clip_value must not be negative, got -1.0"):
        clip_grad_value_([], -1.0)
    with pytest.raises(DTypeError, match="parameter 0 is of type int; expected tensors"):
        clip_grad_value_([3], 1.0)


def test_parameters_as_one_vector() -> None:
    layer = nn.Linear(3, 2)
    weight, bias = (x.detach().numpy().copy() for x in layer.parameters())
    vector = parameters_to_vector(layer.parameters())
    np.testing.assert_array_equal(vector.detach().numpy(), np.concatenate([weight.ravel(), bias]))
    (vector * vector).sum().backward()
    np.testing.assert_allclose(layer.weight.grad.numpy(), 2 * weight, rtol=1e-6)
    kept = layer.weight
    vector_to_parameters(vector.detach() * 3, layer.parameters())
    assert layer.weight is kept
    np.testing.assert_allclose(layer.weight.detach().numpy(), 3 * weight, rtol=1e-6)
    np.testing.assert_allclose(layer.bias.detach().numpy(), 3 * bias, rtol=1e-6)
    with pytest.raises(ShapeError, match=r"the vector has shape \(7,\), expected \(8,\)"):
        vector_to_parameters(minidl.zeros(7), layer.parameters())
    with pytest.raises(ArgumentError, match="there are no parameters"):
        parameters_to_vector([])


def test_a_model_is_no_list_of_parameters() -> None:
    with pytest.raises(DTypeError, match=r"clip_grad_norm_: expected tensors, got a Linear; pass model.parameters\(\)"):
        nn.utils.clip_grad_norm_(nn.Linear(1, 1), 1.0)
