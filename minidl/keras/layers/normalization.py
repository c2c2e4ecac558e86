"""Normalisation that is trained: over the batch, or over each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minidl import ops
from minidl.errors import ArgumentError
from minidl.keras.layers.common import BuiltinLayer, check_features, size_known
from minidl.keras.serialization import builtin

__all__ = ["BatchNormalization", "LayerNormalization"]


class _Normalization(BuiltinLayer):
    """What trained normalisations share: a factor and an offset."""

    def _add_scale_and_center(self, shape: tuple[int, ...]) -> None:
        self.gamma = self.beta = None
        if self.scale:
            self.gamma = self.add_weight(
                shape,
                self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                name="gamma",
            )
        if self.center:
            self.beta = self.add_weight(
                shape,
                self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                name="beta",
            )

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def axis_of(layer: BuiltinLayer, axis: Any, rank: int) -> int:
    """Return an axis counted from the front."""
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise ArgumentError(f"{layer.name}: axis={axis!r} is none of an input's with {rank} axes")
    return axis % rank


@builtin("keras.layers")
class BatchNormalization(_Normalization):
    r"""In training, mean 0 and variance 1 for each channel of a batch; afterwards, by the averages of those.

    .. math:: y = \gamma \, \frac{x - \operatorname{E}[x]}{\sqrt{\operatorname{Var}[x] + \epsilon}} + \beta

    Parameters
    ----------
    axis : int
        That of the channels.
    momentum : float
        How much of the moving averages stays in a step.
    epsilon : float
    center, scale : bool
        Whether there is :math:`\beta`, and :math:`\gamma`.
    beta_initializer, gamma_initializer : str or initializer
    moving_mean_initializer, moving_variance_initializer : str or initializer
    beta_regularizer, gamma_regularizer : str or regularizer, optional
    beta_constraint, gamma_constraint : str or constraint, optional
    renorm, renorm_clipping, renorm_momentum
        Keras's; not available here.
    synchronized : bool
        Keras's; without effect on one device.

    Shape
    -----
    Input, Output : (N, ..., C), the same

    Raises
    ------
    ArgumentError
        If there is no such axis.
    ShapeError
        If the input has other channels than the layer was built for.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> layer = keras.layers.BatchNormalization(epsilon=0)
    >>> layer(minidl.tensor([[1.0], [3.0]]), training=True).detach()
    tensor([[-1.],
            [ 1.]])
    >>> [w.name for w in layer.weights]
    ['gamma', 'beta', 'moving_mean', 'moving_variance']

    References
    ----------
    ``keras.layers.BatchNormalization``. Ioffe & Szegedy (2015), "Batch normalization: accelerating deep network
    training by reducing internal covariate shift".
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._refuse_given(renorm=renorm, renorm_clipping=renorm_clipping)
        self._keep(locals())

    def build(self, input_shape: Any) -> None:
        axis = axis_of(self, self.axis, len(input_shape))
        shape = (size_known(self, input_shape, axis),)
        self._add_scale_and_center(shape)
        for name, initializer in (
            ("moving_mean", self.moving_mean_initializer),
            ("moving_variance", self.moving_variance_initializer),
        ):
            setattr(self, name, self.add_weight(shape, initializer, trainable=False, name=name))

    def call(self, inputs: Any, training: bool = False) -> Any:
        axis = axis_of(self, self.axis, inputs.ndim)
        if inputs.shape[axis] != self.moving_mean.shape[0]:
            check_features(self, inputs.shape, self.moving_mean.shape[0], axis)
        y = ops.batch_norm(
            inputs if axis == 1 else ops.movedim(inputs, axis, 1),
            self.moving_mean,
            self.moving_variance,
            self.gamma,
            self.beta,
            training and self.trainable,
            1 - self.momentum,
            self.epsilon,
            correction=0,
        )
        return y if axis == 1 else ops.movedim(y, 1, axis)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.built:
            check_features(self, input_shape, self.moving_mean.shape[0], axis_of(self, self.axis, len(input_shape)))
        return input_shape


@builtin("keras.layers")
class LayerNormalization(_Normalization):
    r"""Mean 0 and variance 1 for each sample, along one axis or several.

    .. math:: y = \gamma \odot \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Parameters
    ----------
    axis : int or list of int
    epsilon : float
    center, scale : bool
        Whether there is :math:`\beta`, and :math:`\gamma`.
    beta_initializer, gamma_initializer : str or initializer
    beta_regularizer, gamma_regularizer : str or regularizer, optional
    beta_constraint, gamma_constraint : str or constraint, optional

    Shape
    -----
    Input, Output : (N, ...), the same

    Raises
    ------
    ArgumentError
        If there is no such axis.
    ShapeError
        If the input has other sizes there than the layer was built for.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> keras.layers.LayerNormalization(epsilon=0)(minidl.tensor([[1.0, 3.0], [10.0, 30.0]])).detach()
    tensor([[-1.,  1.],
            [-1.,  1.]])

    References
    ----------
    ``keras.layers.LayerNormalization``. Ba, Kiros, Hinton (2016), "Layer normalization".
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        rms_scaling = kwargs.pop("rms_scaling", False)
        super().__init__(**kwargs)
        self._refuse_given(rms_scaling=rms_scaling)
        self._keep({name: value for name, value in locals().items() if name != "rms_scaling"})
        self.axis = [axis] if isinstance(axis, int) else list(axis)

    def _axes(self, rank: int) -> tuple[int, ...]:
        return tuple(sorted(axis_of(self, axis, rank) for axis in self.axis))

    def build(self, input_shape: Any) -> None:
        axes = self._axes(len(input_shape))
        self._normalized = tuple(size_known(self, input_shape, axis) for axis in axes)
        self._add_scale_and_center(self._normalized)

    def call(self, inputs: Any) -> Any:
        rank = inputs.ndim
        axes = self._axes(rank)
        for axis, size in zip(axes, self._normalized, strict=True):
            if inputs.shape[axis] != size:
                check_features(self, inputs.shape, size, axis)
        last = tuple(range(rank - len(axes), rank))
        x = inputs if axes == last else ops.movedim(inputs, axes, last)
        y = ops.layer_norm(x, self._normalized, self.gamma, self.beta, self.epsilon)
        return y if axes == last else ops.movedim(y, last, axes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rms_scaling": False}
