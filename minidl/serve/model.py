"""A model as the service sees it: arrays in, arrays out, with names, dtypes and shapes for both."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from minidl.autograd import no_grad
from minidl.backend import to_numpy
from minidl.errors import ArgumentError, DTypeError, FormatError, MiniDLError, StateError
from minidl.formats import load
from minidl.keras.models import Model
from minidl.keras.names import clear_session
from minidl.keras.saving import load_model, load_weights
from minidl.keras.structure import flatten, map_structure
from minidl.nn.module import Module
from minidl.nn.tree import place_of
from minidl.ops import from_numpy

WEIGHTS = (".safetensors", ".weights.h5")


class Spec(NamedTuple):
    """An input or an output; in the shape, without the batch, None is any size."""

    name: str
    dtype: np.dtype
    shape: tuple[int | None, ...]


class Picture(NamedTuple):
    """How a model wants its image: the sizes, and the shape of the input that they are put into."""

    height: int
    width: int
    channels: int
    channels_first: bool
    shape: tuple[int, ...]

    def shapes(self) -> list[tuple[int, ...]]:
        """Return the shapes that are understood."""
        height, width, channels = self.height, self.width, self.channels
        plain = [(height, width)] if channels == 1 else []
        return [*plain, (height, width, channels), (channels, height, width)]

    def arranged(self, image: np.ndarray) -> np.ndarray:
        """Return an image of one of these shapes as the model's input."""
        if image.ndim == 2:
            return image.reshape(self.shape)
        is_first = image.shape == (self.channels, self.height, self.width)
        if image.shape == (self.height, self.width, self.channels):
            is_first = is_first and self.channels_first  # 3x3 pixels in 3 channels: as the model has it
        if is_first and not self.channels_first:
            image = image.transpose(1, 2, 0)
        elif not is_first and self.channels_first:
            image = image.transpose(2, 0, 1)
        return image.reshape(self.shape)


class ServedModel:
    """A model with what the service needs to know of it.

    Parameters
    ----------
    model : Module
        Of either dialect, on the CPU or a GPU. It is set to evaluation, and nobody may train it meanwhile.
    input_shape : tuple of int, optional
        Without the batch. A Keras model that begins with an ``Input`` knows it.

    Raises
    ------
    DTypeError
        If it is no model.
    ArgumentError
        If its inputs are not known, or it does not take them.
    """

    def __init__(self, model: Any, input_shape: Sequence[int | None] | None = None) -> None:
        if not isinstance(model, Module):
            raise DTypeError(f"serve: expected a model (minidl.nn.Module or keras.Model), got a {type(model).__name__}")
        self.model = model.eval()
        self.device = place_of(model)
        self.inputs, self._structure = _inputs_of(model, input_shape)
        try:
            results = self._forward(self.zeros(1))
        except MiniDLError as error:
            raise ArgumentError(f"serve: the model does not take inputs {_described(self.inputs)}: {error}") from error
        names = model.output_names if isinstance(model, Model) and model._graph is not None else []
        if len(set(names)) != len(results):
            names = ["output"] if len(results) == 1 else [f"output_{i}" for i in range(len(results))]
        self.outputs = [Spec(name, y.dtype, y.shape[1:]) for name, y in zip(names, results, strict=True)]
        if any(None in spec.shape for spec in self.inputs):  # then sizes of outputs may change with those of inputs
            longer = self._forward(self.zeros(1, any_size=3))
            self.outputs = [
                spec._replace(shape=tuple(n if n == m else None for n, m in zip(spec.shape, y.shape[1:], strict=True)))
                for spec, y in zip(self.outputs, longer, strict=True)
            ]
        if any(y.shape[:1] != (1,) for y in results):
            raise ArgumentError("serve: the model's outputs do not have the batch as their first axis")
        self.picture = picture_of(self.inputs[0]) if len(self.inputs) == 1 else None
        self.classes = self._classes()
        self.scores_are_logits = self.classes > 0 and self._gives_logits()

    # ------------------------------------------------------------------ computing

    def predict(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for a batch: an array for each input, (N, ...), to an array for each output."""
        return self._forward(arrays)

    def confidences(self, scores: np.ndarray) -> np.ndarray:
        """Return what the model says as confidences: probabilities as they are, logits through softmax."""
        if not self.scores_are_logits:
            return scores
        exps = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return exps / exps.sum(axis=-1, keepdims=True)

    def warm_up(self, largest: int) -> None:
        """Compute for batches of each power of two up to ``largest``, so that every kernel they need is compiled."""
        sizes = {min(largest, 1 << i) for i in range(largest.bit_length() + 1)}
        for size in sorted(sizes):
            self._forward(self.zeros(size))

    def zeros(self, size: int, any_size: int = 2) -> list[np.ndarray]:
        """Return a batch of zeros, with ``any_size`` for sizes that are not fixed."""
        shapes = [[any_size if n is None else n for n in spec.shape] for spec in self.inputs]
        return [np.zeros((size, *shape), spec.dtype) for spec, shape in zip(self.inputs, shapes, strict=True)]

    def agrees_with(self, other: ServedModel) -> bool:
        """Whether it can take the place of another: clients and documentation would not notice."""
        return ([s[1:] for s in self.inputs], [s[1:] for s in self.outputs]) == (
            [s[1:] for s in other.inputs],
            [s[1:] for s in other.outputs],
        )

    def _forward(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        tensors = [from_numpy(x).to(self.device) for x in arrays]
        with no_grad(), np.errstate(all="ignore"):  # what is not finite is looked for in the outputs
            if self._structure is None:
                result = self.model(*tensors)
            else:
                taken = iter(tensors)
                result = self.model(map_structure(lambda _: next(taken), self._structure))
        if isinstance(result, Mapping):
            result = list(result.values())
        return [to_numpy(y.array) for y in flatten(result)]

    # ------------------------------------------------------------------ what it is

    def _classes(self) -> int:
        """Return how many classes it tells apart; 0 if it does not look like a classifier of images."""
        if self.picture is None or len(self.outputs) != 1 or len(self.outputs[0].shape) != 1:
            return 0
        return self.outputs[0].shape[0] or 0

    def _gives_logits(self) -> bool:
        """Whether its outputs leave the range from 0 to 1: for random images, so sigmoids and softmax never do."""
        generator = np.random.default_rng(0)
        shape = self.inputs[0].shape
        images = generator.uniform(-1, 1, (8, *(n or 1 for n in shape))).astype(self.inputs[0].dtype)
        (scores,) = self._forward([images])
        return bool(scores.min() < 0 or scores.max() > 1)


def picture_of(spec: Spec) -> Picture | None:
    """Return how an input holds an image, or None if it does not look like one: a flat one must be square."""
    if None in spec.shape or spec.dtype.kind != "f" or 0 in spec.shape:
        return None
    shape = tuple(n for n in spec.shape if n is not None)
    if len(shape) == 1:
        side = math.isqrt(shape[0])
        return Picture(side, side, 1, False, shape) if side > 1 and side * side == shape[0] else None
    if len(shape) == 2:
        return Picture(*shape, 1, False, shape)
    if len(shape) == 3 and shape[2] in (1, 3):
        return Picture(shape[0], shape[1], shape[2], False, shape)
    if len(shape) == 3 and shape[0] in (1, 3):
        return Picture(shape[1], shape[2], shape[0], True, shape)
    return None


def open_model(path: str | os.PathLike[str], factory: str | None = None, *, untrusted: bool = False) -> Module:
    """Load the model in a file.

    Parameters
    ----------
    path : str or path
        Ends in ``.h5``, ``.hdf5`` or ``.keras``; or, with ``factory``, in ``.safetensors`` or ``.weights.h5``.
    factory : str, optional
        ``package.module:name`` of what makes a model, called without arguments: for files that hold weights alone.
    untrusted : bool
        Parse the file in another process.

    Raises
    ------
    FormatError, OSError
        If the file cannot be read.
    ArgumentError
        If a factory is missing, or is none.
    """
    name = os.fspath(path)
    weights_alone = name.endswith(WEIGHTS)
    if weights_alone and factory is None:
        raise ArgumentError(
            f"serve: {name} holds weights and no model; say what makes the model with --factory package.module:name"
        )
    if not weights_alone:
        if factory is not None:
            raise ArgumentError(f"serve: {name} holds a whole model; leave --factory out")
        return load_model(path, compile=False, untrusted=untrusted)
    model = _made(str(factory))
    if isinstance(model, Model):
        load_weights(model, path, untrusted=untrusted)
        return model
    if not name.endswith(".safetensors"):
        raise ArgumentError(f"serve: {name}: weights of a PyTorch-dialect model are kept in .safetensors")
    try:
        model.load_state_dict(load(path))
    except StateError as error:
        raise FormatError(f"{name}: {error}") from error
    return model


def _made(factory: str) -> Module:
    module, _, name = factory.partition(":")
    try:
        make = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ArgumentError(f"serve: --factory {factory}: expected package.module:name ({error})") from error
    clear_session()  # layers are called the same each time, as in the file with their weights
    model = make()
    if not isinstance(model, Module):
        raise ArgumentError(f"serve: --factory {factory}: made a {type(model).__name__}, not a model")
    return model


def _inputs_of(model: Module, input_shape: Sequence[int | None] | None) -> tuple[list[Spec], Any]:
    """Return the inputs, and the structure in which a Keras model wants them (None: one after the other)."""
    if input_shape is None:
        if not isinstance(model, Model) or model._graph is None:
            raise ArgumentError(
                f"serve: {type(model).__name__} does not say what it takes; give input_shape, the shape of one sample "
                "(--input-shape 1 28 28)"
            )
        specs = [
            Spec(name, np.dtype(x.dtype), tuple(x.shape[1:]))
            for name, x in zip(model.input_names, model.inputs, strict=True)
        ]
        return specs, model.input
    shape = tuple(input_shape)
    if any(n is not None and (isinstance(n, bool) or not isinstance(n, int) or n < 1) for n in shape):
        raise ArgumentError(f"serve: input_shape: expected positive integers, or None for any size, got {shape}")
    return [Spec("input", np.dtype("float32"), shape)], None


def _described(inputs: Sequence[Spec]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype} {spec.shape}" for spec in inputs)
