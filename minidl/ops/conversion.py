"""The same numbers elsewhere: copied, on another device, contiguous in memory; and questions about a tensor's kind."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation, Variable
from minidl.autograd.operation import ToDevice
from minidl.backend import Device, device_of
from minidl.ops.arguments import shape_of, takes_tensors

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["clone", "contiguous", "is_floating_point", "is_tensor", "numel", "to_device"]


class Clone(Operation):
    def forward(self, x: Any) -> Any:
        return x.copy()

    def backward(self, grad: Any) -> Any:
        return grad


def clone(x: Any) -> Tensor:
    """Return a copy that is still part of the graph.

    .. math:: y = x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``
        Contiguous, with memory of its own.

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.zeros(2)
    >>> y = minidl.clone(x)
    >>> y[0] = 1
    >>> x
    tensor([0., 0.])

    References
    ----------
    ``torch.clone``, ``numpy.copy``.
    """
    return Clone.apply(x)


@takes_tensors("x")
def contiguous(x: Any) -> Tensor:
    """Return ``x`` if its numbers lie in memory in row-major order, else a copy for which they do.

    .. math:: y = x

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    Tensor, the shape of ``x``

    Raises
    ------
    DTypeError
        If ``x`` is not numeric.

    Examples
    --------
    >>> import minidl
    >>> minidl.contiguous(minidl.ones(2, 3).T).is_contiguous()
    True

    References
    ----------
    PyTorch's ``Tensor.contiguous``, ``numpy.ascontiguousarray``.
    """
    array = x.array if isinstance(x, Variable) else x
    return x if array.flags.c_contiguous else Clone.apply(x)


def to_device(x: Any, device: Any, non_blocking: bool = False) -> Tensor:
    """Return ``x`` on another device, differentiably.

    .. math:: y = x

    Parameters
    ----------
    x : Tensor or array, any shape
    device : Device or str
        ``"cpu"``, ``"gpu"`` or ``"gpu:N"``; ``"cuda"`` is accepted.
    non_blocking : bool
        Do not wait for a copy from pinned memory to a GPU: nothing may be written there before it is done.

    Returns
    -------
    Tensor, the shape of ``x``
        ``x`` itself if it is there already.

    Raises
    ------
    DeviceError
        If there is no such device.

    Examples
    --------
    >>> import minidl
    >>> minidl.to_device(minidl.ones(2), "cpu").device
    device('cpu')

    References
    ----------
    PyTorch's ``Tensor.to``, the array API's ``to_device``.
    """
    place = device if isinstance(device, Device) else Device(device)
    array = x.array if isinstance(x, Variable) else x
    return x if device_of(array) == place else ToDevice.apply(x, device=place, non_blocking=non_blocking)


def is_tensor(value: Any) -> bool:
    """Return whether ``value`` is a Tensor.

    Parameters
    ----------
    value : anything

    Returns
    -------
    bool

    Examples
    --------
    >>> import minidl
    >>> minidl.is_tensor(minidl.ones(2)), minidl.is_tensor([1.0, 1.0])
    (True, False)

    References
    ----------
    ``torch.is_tensor``.
    """
    return isinstance(value, Variable)


@takes_tensors("x")
def is_floating_point(x: Any) -> bool:
    """Return whether the elements are floats, so that the tensor can require gradients.

    Parameters
    ----------
    x : Tensor or array, any shape

    Returns
    -------
    bool

    Examples
    --------
    >>> import minidl
    >>> minidl.is_floating_point(minidl.arange(3))
    False

    References
    ----------
    ``torch.is_floating_point``.
    """
    return x.dtype.kind == "f"


def numel(x: Any) -> int:
    r"""Return how many elements a tensor has.

    .. math:: n = \prod_i s_i

    Parameters
    ----------
    x : Tensor or array, of shape (s_1, s_2, ...)

    Returns
    -------
    int

    Examples
    --------
    >>> import minidl
    >>> minidl.numel(minidl.ones(2, 3))
    6

    References
    ----------
    ``torch.numel``, ``numpy.size``.
    """
    return math.prod(shape_of(x, "numel", "x"))
