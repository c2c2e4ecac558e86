"""The networks of ``steps.py`` in plain JAX, a whole step under one ``jax.jit``. Loaded where JAX is, and by name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.rows import Call
from benchmarks.steps import points

Tree = Any
LAYOUT = ("NHWC", "HWIO", "NHWC")  # the one that JAX is fastest in on CPUs


def dense(params: Tree, x: jax.Array) -> jax.Array:
    """x W + b."""
    weight, bias = params
    return x @ weight + bias


def conv(params: Tree, x: jax.Array) -> jax.Array:
    """A convolution without padding, ReLU, and the largest of each 2x2 window."""
    weight, bias = params
    x = lax.conv_general_dilated(x, weight, (1, 1), "VALID", dimension_numbers=LAYOUT) + bias
    return lax.reduce_window(jax.nn.relu(x), -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def mlp(params: list[Tree], x: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """Dense layers with ReLU between."""
    for layer in params[:-1]:
        x = jax.nn.relu(dense(layer, x))
    return dense(params[-1], x)


def cnn(params: list[Tree], x: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """Two convolutions, then dense layers."""
    for layer in params[:2]:
        x = conv(layer, x)
    return mlp(params[2:], x.reshape(len(x), -1))


def lstm(params: list[Tree], x: jax.Array, key: jax.Array | None = None) -> jax.Array:
    """One LSTM layer by ``lax.scan``, dropout where a key is given, and a dense layer on the last state."""
    (input_weight, recurrent, bias), output = params

    def step(state: Tree, projected: jax.Array) -> tuple[Tree, None]:
        h, c = state
        i, f, g, o = jnp.split(projected + h @ recurrent, 4, axis=1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((len(x), len(recurrent)))
    (h, _), _ = lax.scan(step, (zeros, zeros), jnp.swapaxes(x @ input_weight + bias, 0, 1))
    if key is not None:
        h = h * jax.random.bernoulli(key, 0.8, h.shape) / 0.8
    return dense(output, h)


def cross_entropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """The mean negative log-probability of the right class."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1).mean()


def mse(prediction: jax.Array, y: jax.Array) -> jax.Array:
    """The mean squared difference."""
    return ((prediction - y) ** 2).mean()


def sgd(params: Tree, grads: Tree, state: Tree) -> tuple[Tree, Tree]:
    """The step of plain gradient descent."""
    return jax.tree.map(lambda p, g: p - 0.01 * g, params, grads), state


def adam(params: Tree, grads: Tree, state: Tree) -> tuple[Tree, Tree]:
    """The step of Adam (Kingma and Ba 2015)."""
    t, m, v = state
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    rate = 0.001 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, m, v), (t, m, v)


#: Each network: its forward pass, the shapes of its weights, the shape of a sample, the optimiser.
NETWORKS: dict[str, tuple[Callable[..., Any], list[list[tuple[int, ...]]], tuple[int, ...], Callable[..., Any]]] = {
    "cnn_000": (
        cnn,
        [[(5, 5, 1, 6), (6,)], [(5, 5, 6, 16), (16,)], [(400, 120), (120,)], [(120, 84), (84,)], [(84, 10), (10,)]],
        (32, 32, 1),
        sgd,
    ),
    "lstm_000": (lstm, [[(28, 512), (128, 512), (512,)], [(128, 10), (10,)]], (28, 28), adam),
    "dense_001": (mlp, [[(2, 64), (64,)], [(64, 64), (64,)], [(64, 1), (1,)]], (2,), adam),
    "cnn_002": (
        cnn,
        [[(3, 3, 1, 32), (32,)], [(3, 3, 32, 64), (64,)], [(1600, 64), (64,)], [(64, 10), (10,)]],
        (28, 28, 1),
        adam,
    ),
    "dense_003": (mlp, [[(784, 128), (128,)], [(128, 10), (10,)]], (784,), adam),
}


def made(network: str, batch: int) -> tuple[Callable[..., Any], Tree, jax.Array, jax.Array]:
    """Return a network's forward pass, its parameters, and a batch."""
    apply, shapes, sample, _ = NETWORKS[network]
    rng = np.random.default_rng(0)
    params = [[jnp.asarray(rng.normal(0, 0.05, shape), jnp.float32) for shape in layer] for layer in shapes]
    if sample == (2,):
        x, y = points(batch)
    else:
        x, y = rng.random((batch, *sample), np.float32), rng.integers(0, 10, batch)
    return apply, params, jnp.asarray(x), jnp.asarray(y)


def training(network: str, batch: int) -> Call:
    """Return the training step, its parameters carried from one call to the next."""
    apply, params, x, y = made(network, batch)
    update = NETWORKS[network][3]
    criterion = mse if y.ndim == 2 else cross_entropy

    @functools.partial(jax.jit, donate_argnums=(0, 1))
    def step(params: Tree, state: Tree, key: jax.Array, x: jax.Array, y: jax.Array) -> Tree:
        key, used = jax.random.split(key) if apply is lstm else (key, None)
        loss, grads = jax.value_and_grad(lambda p: criterion(apply(p, x, used), y))(params)
        return *update(params, grads, state), key, loss

    zeros = functools.partial(jax.tree.map, jnp.zeros_like)
    carried = params, (jnp.zeros(()), zeros(params), zeros(params)), jax.random.key(0)

    def call() -> jax.Array:
        nonlocal carried
        *carried, loss = step(*carried, x, y)
        return loss.block_until_ready()

    return call


def inference(network: str, batch: int) -> Call:
    """Return the forward pass."""
    apply, params, x, _ = made(network, batch)
    forward = jax.jit(apply)
    return lambda: forward(params, x).block_until_ready()
