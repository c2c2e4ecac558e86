"""Which compiled kernels may run where there is a choice between speed and accuracy."""

from __future__ import annotations

import os

from minidl.errors import ArgumentError

__all__ = ["use_winograd", "uses_winograd"]

_winograd: bool | None = None  # not asked for yet


def use_winograd(wanted: bool) -> None:
    r"""Say whether compiled convolutions may use Winograd's transforms, as ``MINIDL_WINOGRAD`` does (0 or 1).

    They compute 4 x 4 pixels of a 3 x 3 convolution with 36 multiplications a channel in place of 144:

    .. math:: Y = A^T \left[ (G \, g \, G^T) \odot (B^T d \, B) \right] A

    Its two gradients are computed alike. Rounding errors are two to four times those of the direct sum, and a nan or an
    infinity in one pixel makes nan of up to 16 outputs of each tile that sees it, in place of the 9 whose windows do.
    They run for float32, 3 x 3 filters without stride, dilation and groups, from 16 channels and filters on; results
    are the same to the bit on any number of threads.

    Parameters
    ----------
    wanted : bool
        By default, yes.

    Raises
    ------
    ArgumentError
        If it is neither True nor False.

    Examples
    --------
    >>> from minidl import kernels
    >>> before = kernels.uses_winograd()
    >>> kernels.use_winograd(False)
    >>> kernels.uses_winograd()
    False
    >>> kernels.use_winograd(before)

    References
    ----------
    Lavin, Gray (2016), "Fast Algorithms for Convolutional Neural Networks".
    """
    global _winograd
    if not isinstance(wanted, bool):
        raise ArgumentError(f"use_winograd: expected True or False, got {wanted!r}")
    _winograd = wanted


def uses_winograd() -> bool:
    """Return whether compiled convolutions may use Winograd's transforms.

    Returns
    -------
    bool

    Raises
    ------
    ArgumentError
        If ``MINIDL_WINOGRAD`` is set to something else than 0 or 1.

    Examples
    --------
    >>> from minidl import kernels
    >>> kernels.uses_winograd() in (True, False)
    True

    References
    ----------
    Lavin, Gray (2016), "Fast Algorithms for Convolutional Neural Networks".
    """
    global _winograd
    if _winograd is None:
        text = os.environ.get("MINIDL_WINOGRAD", "").strip() or "1"
        if text not in ("0", "1"):
            raise ArgumentError(f"MINIDL_WINOGRAD: expected 0 or 1, got {text!r}")
        _winograd = text == "1"
    return _winograd
