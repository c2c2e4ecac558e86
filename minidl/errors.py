"""The errors minidl raises. Each is also the built-in error a caller would expect to catch.

Every message names the operation, the shapes or dtypes it was given, what was expected, and how to fix it.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

_PACKAGE = str(Path(__file__).parent)


class MiniDLError(Exception):
    """The base of every error that minidl raises on purpose.

    Modules add where in the model an error happened while it passes through them, see :meth:`at_layer`.
    """

    layer: object = None  # the outermost module that the error has passed through
    _path = ""  # from there down to the innermost
    _inner: tuple[object, str]  # the message as it was raised, and a description of the innermost module

    def at_layer(self, layer: object, name: str, description: str) -> None:
        """Say where in the model it happened: ``in SimpleCNN.fc1: Linear(in_features=400, ...): ...``.

        Parameters
        ----------
        layer : Module
            The module that the error is passing through; the innermost comes first.
        name : str
            What ``layer`` calls the module that the error passed through before.
        description : str
            A line that describes ``layer``, or the empty string.
        """
        if self.layer is None:
            self._inner = (self.args[0] if self.args else "", description)
        else:
            self._path = f".{name}{self._path}"
        self.layer = layer
        message, description = self._inner
        where = type(layer).__name__ + self._path
        if description:
            where = f"{where}: {description}" if self._path else description
        self.args = (f"in {where}: {message}", *self.args[1:])


class ShapeError(MiniDLError, ValueError):
    """Shapes that do not fit each other or the operation."""


class ArgumentError(MiniDLError, ValueError):
    """An argument with a value that the function cannot use (an unknown mode, a negative size)."""


class DTypeError(MiniDLError, TypeError):
    """An argument of a type or dtype that the operation cannot take."""

    given: object  # the argument, if it was refused for being no tensor: who passed it on can tell it by its own name


class RangeError(MiniDLError, IndexError, ValueError):
    """An index, a label or an axis outside of what it selects from."""


class DeviceError(MiniDLError, RuntimeError):
    """Tensors on different devices, or a device that cannot be had."""


class GradError(MiniDLError, RuntimeError):
    """A gradient that cannot be computed as asked."""


class StateError(MiniDLError, RuntimeError):
    """A state (of a module, an optimiser, a loader) that does not fit the object it is loaded into."""


class DataError(MiniDLError, ValueError):
    """Data that cannot be used: an empty dataset, a file that is not what it should be."""


class FormatError(MiniDLError, ValueError):
    """A file whose content does not follow its format."""


class NumericalWarning(UserWarning):
    """Input that computes, but most likely not what was meant."""


def warn(message: str) -> None:
    """Issue a :class:`NumericalWarning` that points at the user's line, however deep inside minidl it was noticed."""
    depth, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, NumericalWarning, stacklevel=depth)
