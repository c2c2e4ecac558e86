"""What may happen around a step: gradients are summed and clipped before it, parameters averaged after it.

Plain arrays in and out; nothing here waits for a device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl.backend import device_of, namespace, quiet, to_device

__all__ = ["GradientSum", "ParameterAverage", "clip_by_global_norm", "clip_by_norm", "clip_by_value"]


@quiet
def clip_by_norm(grads: Sequence[Any], limit: float) -> list[Any]:
    r"""Return gradients of which none is longer than a limit: each is scaled by a factor of its own.

    .. math:: g_i \frac{c}{\max(\lVert g_i \rVert_2, c)}

    Parameters
    ----------
    grads : list of array, any shapes
    limit : float
        :math:`c`, more than 0.

    Returns
    -------
    list of array, the shapes of ``grads``

    Examples
    --------
    >>> import numpy as np
    >>> clip_by_norm([np.array([3.0, 4.0]), np.array([0.5])], 1.0)
    [array([0.6, 0.8]), array([0.5])]

    References
    ----------
    ``tf.clip_by_norm``.
    """
    return [g * (limit / namespace(g).maximum(_norm(g), limit)) for g in grads]


@quiet
def clip_by_global_norm(grads: Sequence[Any], limit: float) -> list[Any]:
    r"""Return gradients that together are no longer than a limit: all are scaled by one factor.

    .. math:: n = \Big( \sum_i \lVert g_i \rVert_2^2 \Big)^{1/2}, \qquad g_i \min(1, c / n)

    A norm that is inf or nan makes all of them nan.

    Parameters
    ----------
    grads : list of array, any shapes
    limit : float
        :math:`c`, more than 0.

    Returns
    -------
    list of array, the shapes of ``grads``

    Examples
    --------
    >>> import numpy as np
    >>> clip_by_global_norm([np.array([3.0]), np.array([4.0])], 1.0)
    [array([0.6]), array([0.8])]

    References
    ----------
    ``tf.clip_by_global_norm``. Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural
    networks".
    """
    xp, device = namespace(grads[0]), device_of(grads[0])
    norm = _norm(xp.stack([to_device(_norm(g), device) for g in grads]))
    factor = xp.minimum(limit / norm, 1) + (norm - norm)
    return [g * to_device(xp.asarray(factor, g.dtype), device_of(g)) for g in grads]


def clip_by_value(grads: Sequence[Any], limit: float) -> list[Any]:
    r"""Return gradients whose elements are between ``-limit`` and ``limit``.

    .. math:: \min(\max(g_i, -c), c)

    Parameters
    ----------
    grads : list of array, any shapes
    limit : float
        :math:`c`, not negative.

    Returns
    -------
    list of array, the shapes of ``grads``

    Examples
    --------
    >>> import numpy as np
    >>> clip_by_value([np.array([3.0, -0.5])], 1.0)
    [array([ 1. , -0.5])]

    References
    ----------
    ``tf.clip_by_value``.
    """
    return [namespace(g).clip(g, -limit, limit) for g in grads]


def _norm(array: Any) -> Any:
    """Return the Euclidean norm of all elements, as an array of shape ()."""
    xp, flat = namespace(array), array.reshape(-1)
    return xp.asarray(xp.sqrt(flat @ flat), array.dtype)


class GradientSum:
    r"""The sum of the gradients of several small batches, which together make the step of a large one.

    .. math:: \bar g = \frac{1}{k} \sum_{j=1}^k g_j

    Parameters
    ----------
    params : list of array
        Like what the sums are.

    Examples
    --------
    >>> import numpy as np
    >>> total = GradientSum([np.zeros(2)])
    >>> total.add(0, np.array([1.0, 2.0]))
    >>> total.mean(0, np.array([3.0, 2.0]), 2)
    array([2., 2.])

    References
    ----------
    ``keras.optimizers.Optimizer``: ``gradient_accumulation_steps``.
    """

    def __init__(self, params: Sequence[Any]) -> None:
        self.arrays = [namespace(p).zeros_like(p) for p in params]

    def add(self, index: int, g: Any) -> None:
        """Add a gradient to the sum of one parameter, on the device where the gradient is."""
        self.arrays[index] = to_device(self.arrays[index], device_of(g))
        self.arrays[index] += g

    def mean(self, index: int, g: Any, count: int) -> Any:
        """Return the mean of ``count`` gradients: ``g``, and those in the sum."""
        return (g + to_device(self.arrays[index], device_of(g))) / count

    def clear(self) -> None:
        """Begin from zero."""
        for array in self.arrays:
            array[...] = 0


class ParameterAverage:
    r"""A moving average of parameters, which is often a better model than the last parameters are.

    .. math:: a_t = \mu a_{t-1} + (1 - \mu) \theta_t

    Parameters
    ----------
    params : list of array
        Like what the averages are. They begin with zeros, so the first update should have ``momentum=0``.

    Examples
    --------
    >>> import numpy as np
    >>> average = ParameterAverage([np.zeros(1)])
    >>> average.update([np.array([1.0])], momentum=0.0)
    >>> average.update([np.array([3.0])], momentum=0.75)
    >>> average.arrays
    [array([1.5])]

    References
    ----------
    ``keras.optimizers.Optimizer``: ``use_ema``. Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by
    Averaging".
    """

    def __init__(self, params: Sequence[Any]) -> None:
        self.arrays = [namespace(p).zeros_like(p) for p in params]

    def update(self, params: Sequence[Any], momentum: float) -> None:
        """Move the averages towards the parameters."""
        for index, p in enumerate(params):
            average = self.arrays[index] = to_device(self.arrays[index], device_of(p))
            average *= momentum
            average += p * (1 - momentum)

    def copy_to(self, params: Sequence[Any]) -> None:
        """Write the averages into the parameters."""
        for average, p in zip(self.arrays, params, strict=True):
            p[...] = to_device(average, device_of(p))
