"""Saving and loading: the format follows from how the file's name ends."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError, FormatError, StateError
from minidl.formats import load_safetensors, save_safetensors
from minidl.formats.archive import read_zip, write_zip
from minidl.formats.hdf5 import Group, read_hdf5, write_hdf5
from minidl.formats.isolated import read_isolated
from minidl.keras.saving import keras_archive, legacy_h5, store
from minidl.keras.saving.weights import located

__all__ = ["load_model", "load_weights", "save_model", "save_weights"]

_WHOLE = {".keras": "Keras 3's format", ".h5": "Keras's older format", ".hdf5": "the same"}
_WEIGHTS = {
    ".weights.h5": "weights in Keras 3's layout",
    ".safetensors": "weights as a flat dict",
    ".h5": "weights in the older layout",
    ".hdf5": "the same",
}


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, zipped: bool | None = None, include_optimizer: bool = True
) -> None:
    """Save a model: its config, its weights, what it was compiled with and the state of its optimizer.

    Parameters
    ----------
    model : keras.Model
    filepath : str or path
        Ends in ``.keras`` or ``.h5``; in ``.weights.h5`` or ``.safetensors`` for the weights alone.
    overwrite : bool
        Whether a file of that name may be replaced.
    zipped : bool, optional
        Taken for Keras's sake: a ``.keras`` file is always one zip archive.
    include_optimizer : bool
        Whether ``load_model`` is to return a compiled model that goes on training as this one would.

    Raises
    ------
    ArgumentError
        If the name ends in none of these, or an ``.h5`` file cannot describe the model.
    StateError
        If the model is not built yet.
    OSError
        If the file cannot be written, or exists and ``overwrite`` is False; the one that was there is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> path = tempfile.mkdtemp() + "/model.keras"
    >>> keras.saving.save_model(model, path)
    >>> keras.saving.load_model(path).count_params()
    15

    References
    ----------
    ``keras.saving.save_model``.
    """
    if zipped is False:
        raise ArgumentError("save: zipped=False, a folder instead of a file, does not exist in minidl; leave it out")
    suffix = _suffix(filepath, "save", {**_WHOLE, **_WEIGHTS})
    if suffix not in _WHOLE:
        save_weights(model, filepath, overwrite)
        return
    _check_target(model, filepath, overwrite, "save")
    if suffix == ".keras":
        write_zip(filepath, keras_archive.written(model, include_optimizer))
    else:
        write_hdf5(legacy_h5.written(model, include_optimizer), filepath)


def load_model(
    filepath: Any,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002
    safe_mode: bool = True,
    *,
    untrusted: bool = False,
) -> Any:
    """Load a model that minidl or Keras saved. Nothing in the file is executed.

    Parameters
    ----------
    filepath : str or path
        Ends in ``.keras`` or ``.h5``.
    custom_objects : dict of str to class or function, optional
        The user's own layers, losses and so on, by name.
    compile : bool
        Whether to compile it as it was when it was saved, with the state of its optimizer.
    safe_mode : bool
        Must be True: minidl never runs code from a file.
    untrusted : bool
        Parse the file in another process, so that one made to crash the HDF5 library does no harm.

    Returns
    -------
    keras.Model

    Raises
    ------
    FormatError
        If the file is not what it should be, or holds code, or a class that is not known; the message names the file
        and the place.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from minidl import keras
    >>> path = tempfile.mkdtemp() + "/model.h5"
    >>> keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save(path)
    >>> keras.saving.load_model(path).output_shape
    (None, 3)

    References
    ----------
    ``keras.saving.load_model``.
    """
    if not safe_mode:
        raise ArgumentError("load_model: minidl never runs code from a file, so safe_mode=False does not exist here")
    suffix = _suffix(filepath, "load_model", _WHOLE)
    place = os.fspath(filepath)
    if suffix == ".keras":
        members, weights = _read_archive(filepath, untrusted)
        return keras_archive.load(members, weights, place, custom_objects, compile)
    return legacy_h5.load(_read_hdf5(filepath, untrusted), place, custom_objects, compile)


def save_weights(model: Any, filepath: Any, overwrite: bool = True) -> None:
    """Save the weights of a model.

    Parameters
    ----------
    model : keras.Model
    filepath : str or path
        Ends in ``.weights.h5``, ``.safetensors`` or, for Keras's older layout, ``.h5``.
    overwrite : bool
        Whether a file of that name may be replaced.

    Raises
    ------
    ArgumentError
        If the name ends in none of these.
    StateError
        If the model is not built yet.
    OSError
        If the file cannot be written, or exists and ``overwrite`` is False; the one that was there is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> path = tempfile.mkdtemp() + "/model.weights.h5"
    >>> keras.saving.save_weights(model, path)
    >>> keras.saving.load_weights(model, path)

    References
    ----------
    ``keras.saving.save_weights``.
    """
    suffix = _suffix(filepath, "save_weights", _WEIGHTS)
    _check_target(model, filepath, overwrite, "save_weights")
    if suffix == ".safetensors":
        save_safetensors(model.state_dict(), filepath)
    elif suffix == ".weights.h5":
        write_hdf5(store.written(model), filepath)
    else:
        write_hdf5(legacy_h5.written_weights(model), filepath)


def load_weights(
    model: Any,
    filepath: Any,
    skip_mismatch: bool = False,
    by_name: bool = False,
    *,
    untrusted: bool = False,
) -> None:
    """Load weights into a model: all of them or, after an error, none.

    Parameters
    ----------
    model : keras.Model
        Built: its weights exist.
    filepath : str or path
        Ends in ``.weights.h5``, ``.safetensors``, ``.h5`` (weights alone, or a whole model) or ``.keras``.
    skip_mismatch : bool
        Whether weights that are missing or have other shapes are left as they are, with a warning.
    by_name : bool
        Whether layers get the weights of their own names, in an ``.h5`` file of the older layout.
    untrusted : bool
        Parse the file in another process.

    Raises
    ------
    FormatError
        If the file is not what it should be, or the weights do not fit; the message names the file and the place.
    StateError
        If the model is not built yet.
    OSError
        If it cannot be opened.

    Examples
    --------
    >>> import tempfile
    >>> from minidl import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    >>> path = tempfile.mkdtemp() + "/model.safetensors"
    >>> keras.saving.save_weights(model, path)
    >>> keras.saving.load_weights(model, path)

    References
    ----------
    ``keras.saving.load_weights``.
    """
    suffix = _suffix(filepath, "load_weights", {**_WEIGHTS, ".keras": "a whole model"})
    if not model.built:
        raise StateError(
            f"load_weights: {model.name!r} has no weights yet; build it first: begin with keras.Input, call "
            "build(input_shape), or call it with data"
        )
    place = os.fspath(filepath)
    if suffix == ".safetensors":
        tensors = _read_tensors(filepath, untrusted)
        with located(place):
            model.load_state_dict(tensors, strict=not skip_mismatch)
        return
    root = _read_archive(filepath, untrusted)[1] if suffix == ".keras" else _read_hdf5(filepath, untrusted)
    if legacy_h5.is_legacy(root):
        weights = root.members.get("model_weights", root)
        if not isinstance(weights, Group):
            raise FormatError(f"{place}: model_weights: expected a group")
        legacy_h5.load_weights(model, weights, place, skip_mismatch, by_name)
        return
    if by_name:
        raise ArgumentError(
            f"load_weights: {place} lists weights by their place in the model; by_name=True is for .h5 files of the "
            "older layout"
        )
    with located(place):
        store.load(model, root, skip_mismatch=skip_mismatch)


# ---------------------------------------------------------------------- underneath


def _suffix(filepath: Any, what: str, known: Mapping[str, str]) -> str:
    if not isinstance(filepath, (str, os.PathLike)):
        raise ArgumentError(f"{what}: expected the path of a file, got a {type(filepath).__name__}")
    name = os.fsdecode(filepath)
    for suffix in (".weights.h5", ".h5", ".hdf5", ".keras", ".safetensors"):
        if name.endswith(suffix) and suffix in known:
            return suffix
    endings = ", ".join(f"{suffix} ({meaning})" for suffix, meaning in known.items())
    raise ArgumentError(f"{what}: {name!r}: the format follows from how the name ends; expected one of {endings}")


def _check_target(model: Any, filepath: Any, overwrite: bool, what: str) -> None:
    if not model.built:
        raise StateError(
            f"{what}: {model.name!r} has no weights yet, so there is little to save; begin with keras.Input, call "
            "build(input_shape), or call it with data first"
        )
    if not overwrite and Path(filepath).exists():
        raise FileExistsError(f"{what}: {os.fspath(filepath)} exists, and overwrite=False was given")


def _read_hdf5(filepath: Any, untrusted: bool) -> Group:
    return read_isolated(filepath, "hdf5") if untrusted else read_hdf5(filepath)


def _read_tensors(filepath: Any, untrusted: bool) -> Mapping[str, Any]:
    return read_isolated(filepath, "safetensors")[0] if untrusted else load_safetensors(filepath)


def _read_archive(filepath: Any, untrusted: bool) -> tuple[dict[str, bytes], Group]:
    """Return the members of a ``.keras`` file, and its weights."""
    place = os.fspath(filepath)
    members = read_isolated(filepath, "zip") if untrusted else read_zip(filepath)
    if keras_archive.WEIGHTS not in members:
        raise FormatError(f"{place}: there is no {keras_archive.WEIGHTS} in it")
    data = members[keras_archive.WEIGHTS]
    try:
        return members, read_isolated(data, "hdf5") if untrusted else read_hdf5(data)
    except FormatError as error:
        raise FormatError(f"{place}: {keras_archive.WEIGHTS}: {error}") from error
