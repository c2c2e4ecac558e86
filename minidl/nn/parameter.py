"""Parameters: the tensors that a module learns."""

from __future__ import annotations

from typing import Any

from minidl._tensor import Tensor
from minidl.autograd import Variable
from minidl.ops.creation import as_array


class Parameter(Tensor):
    """A tensor that a module finds among its attributes and hands to the optimiser.

    Its memory is that of ``data``: nothing is copied, and no graph leads back to where ``data`` was computed.

    Parameters
    ----------
    data : Tensor, array, number or nested lists, any shape
    requires_grad : bool
        Whether gradients with respect to it are wanted.

    Returns
    -------
    Parameter, the shape of ``data``

    Raises
    ------
    GradError
        If ``data`` holds integers and ``requires_grad`` is True.

    Examples
    --------
    >>> from minidl import nn
    >>> nn.Parameter([1.0, 2.0])
    Parameter containing:
    tensor([1., 2.], requires_grad=True)

    References
    ----------
    ``torch.nn.Parameter``.
    """

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        if isinstance(data, Variable):
            self.array, self.counter = data.array, data.counter or [0]
        else:
            self.array, self.counter = as_array(data, copy=False), [0]
        if requires_grad:
            self.requires_grad = True

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        memo[id(self)] = copied = Parameter(self.array.copy(), self._requires_grad)
        return copied  # without the gradient, as in PyTorch: a copied model starts afresh
