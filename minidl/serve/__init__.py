"""The HTTP service: a trained model behind an API. ``minidl serve model.h5`` starts it.

It needs the extra ``serve`` (``pip install 'minidl[serve]'``), and nothing of it is imported before it is asked for: a
client that only prepares its images needs no web server.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minidl.serve.app import create_app as create_app
    from minidl.serve.images import preprocess_image as preprocess_image

__all__ = ["create_app", "preprocess_image"]

_HOMES = {"create_app": "minidl.serve.app", "preprocess_image": "minidl.serve.images"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    try:
        return getattr(importlib.import_module(_HOMES[name]), name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"minidl.serve.{name} needs {error.name}, which is not installed; pip install 'minidl[serve]'",
            name=error.name,
        ) from error
