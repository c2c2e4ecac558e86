"""One model and everything around it that answers requests, whatever their form."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, MiniDLError
from minidl.serve.batching import Batcher
from minidl.serve.decoding import as_array, check_shape, kind_of, shown
from minidl.serve.gate import State
from minidl.serve.images import fitted, from_base64, open_picture
from minidl.serve.metrics import Metrics
from minidl.serve.model import ServedModel, Spec
from minidl.serve.problems import Problem, invalid
from minidl.serve.settings import Settings

log = logging.getLogger("minidl.serve")


class Service:
    """A model, its labels and its queue.

    Parameters
    ----------
    model : ServedModel
    labels : sequence of str, optional
        The names of the classes; their numbers if left out.
    name : str
        The model's, in ``/v2``.
    settings : Settings

    Raises
    ------
    ArgumentError
        If there are not as many labels as classes.
    """

    def __init__(self, model: ServedModel, labels: Sequence[str] | None, name: str, settings: Settings) -> None:
        if labels is not None and len(labels) != model.classes:
            raise ArgumentError(
                f"serve: there are {len(labels)} labels, and the model has "
                + (f"{model.classes} classes" if model.classes else "no classes: it is no classifier of images")
            )
        self.model = model
        self.labels = [str(i) for i in range(model.classes)] if labels is None else list(labels)
        self.name, self.settings = name, settings
        self.metrics, self.state = Metrics(), State()
        self.batcher = Batcher(
            lambda arrays: self.model.predict(arrays),  # the model of the moment: a reload may exchange it
            settings.max_batch,
            settings.max_wait_ms / 1e3,
            settings.max_queue,
            self.metrics.queue.set,
            self._ran,
        )

    def replace(self, model: ServedModel) -> None:
        """Let another model answer from now on; a batch that is being computed is computed to its end.

        Raises
        ------
        ArgumentError
            If its inputs or outputs are others: clients would have to know.
        """
        if not model.agrees_with(self.model):
            raise ArgumentError("serve: the new model has other inputs or outputs than the one it should replace")
        self.model = model

    # ------------------------------------------------------------------ answers

    async def compute(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Return the outputs for checked inputs.

        Raises
        ------
        Problem
            422 if the model refuses them, or its outputs are not finite; 503 if too much waits.
        """
        try:
            outputs = await self.batcher.submit(arrays)
        except MiniDLError as error:
            if not isinstance(error, (ValueError, TypeError, IndexError)):
                raise
            raise invalid(f"the model refuses these inputs: {error}") from error
        if not all(np.isfinite(y).all() for y in outputs):
            raise invalid("the model's outputs for these inputs are not finite", "not_finite_output")
        return outputs

    async def classify(self, image: np.ndarray, top_k: int | None = None) -> dict[str, Any]:
        """Return labels and confidences of an image in the model's form, pixels from 0 to 1; the best come first."""
        settings = self.settings
        if settings.mean or settings.std != 1:
            image = (image - np.float32(settings.mean)) / np.float32(settings.std)
        (scores,) = await self.compute([np.ascontiguousarray(image[None], self.model.inputs[0].dtype)])
        confidences = self.model.confidences(scores[0])
        order = np.argsort(-confidences, kind="stable")[:top_k]
        return {"labels": [self.labels[i] for i in order.tolist()], "confidences": confidences[order]}

    # ------------------------------------------------------------------ inputs

    def image_from_lists(self, lists: Any) -> np.ndarray:
        """Return an image that came as nested lists, in the model's form."""
        picture = self._picture
        image = as_array(lists, np.dtype("float32"), "image")
        understood = list(dict.fromkeys([*picture.shapes(), picture.shape]))
        if image.shape not in understood:
            shapes = " or ".join(map(shown, understood))
            raise invalid(f"image: has the shape {shown(image.shape)}; expected {shapes}")
        if image.min() < 0 or image.max() > 1:
            raise invalid(
                f"image: expected pixels from 0 to 1, got {image.min():g} to {image.max():g}; divide by 255, or use "
                "minidl.serve.preprocess_image (/v1/predict takes whatever numbers the model does)"
            )
        return image.reshape(picture.shape) if image.shape == picture.shape else picture.arranged(image)

    def image_from_text(self, text: str) -> np.ndarray:
        """Return an image that came as a PNG or JPEG file in base64, in the model's form. It takes a while."""
        try:
            data = from_base64(text)
        except MiniDLError as error:
            raise invalid(str(error), "invalid_image") from error
        return self.image_from_file(data)

    def image_from_file(self, data: bytes) -> np.ndarray:
        """Return an image that came as a PNG or JPEG file, in the model's form. It takes a while."""
        picture = self._picture
        try:
            opened = open_picture(data, self.settings.max_pixels)
            return picture.arranged(fitted(opened, picture.height, picture.width, picture.channels))
        except MiniDLError as error:
            code = "image_too_large" if hasattr(error, "__notes__") else "invalid_image"
            raise invalid(str(error), code) from error

    def inputs_from_lists(self, given: Any) -> list[np.ndarray]:
        """Return the model's inputs from nested lists: of its only input, or by the names of several."""
        specs = self.model.inputs
        if not isinstance(given, Mapping):
            if len(specs) > 1:
                names = ", ".join(spec.name for spec in specs)
                raise invalid(f"inputs: the model has several ({names}); expected an object with a list for each name")
            given = {specs[0].name: given}
        missing = [spec.name for spec in specs if spec.name not in given]
        if missing or len(given) > len(specs):
            raise invalid(f"inputs: expected an object with exactly these: {', '.join(spec.name for spec in specs)}")
        return self.checked([as_array(given[spec.name], spec.dtype, spec.name) for spec in specs])

    def checked(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Return arrays after a look at their shapes: as the model's inputs have them, all with the same batch."""
        for array, spec in zip(arrays, self.model.inputs, strict=True):
            check_shape(array, (None, *spec.shape), f"{spec.name} (the batch first)")
        if len({len(array) for array in arrays}) > 1:
            raise invalid(f"inputs: have different batches: {', '.join(str(len(array)) for array in arrays)}")
        return arrays

    def outputs_as_lists(self, outputs: list[np.ndarray]) -> Any:
        """Return outputs as JSON has them: the only one, or several by name."""
        if len(outputs) == 1:
            return np.ascontiguousarray(outputs[0])
        specs: list[Spec] = self.model.outputs
        return {spec.name: np.ascontiguousarray(y) for spec, y in zip(specs, outputs, strict=True)}

    @property
    def _picture(self) -> Any:
        if self.model.picture is None:
            raise Problem(404, "not_found", "this model does not take images; use /v1/predict")
        return self.model.picture

    def _ran(self, rows: int, seconds: float) -> None:
        self.metrics.batch.observe(rows)
        self.metrics.forward.observe(seconds)


def top_k_of(value: Any) -> int | None:
    """Return a ``top_k`` after a look at it."""
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        return top_k_of(int(value))  # to JSON 3.0 is an integer
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        what = value if isinstance(value, int) else kind_of(value)
        raise invalid(f"top_k: expected an integer from 1 up, got {what}")
    return value
