"""Normalisation: activations brought to zero mean and unit variance, then scaled and shifted as is learnt."""

from __future__ import annotations

from typing import Any, ClassVar

from minidl import ops
from minidl.backend import there
from minidl.errors import ArgumentError, ShapeError
from minidl.nn import init
from minidl.nn.linear import check_counts, empty_parameter
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter


class _Affine(Module):
    """What the normalisations share: a scale that starts at one, a shift that starts at zero."""

    weight: Parameter | None
    bias: Parameter | None

    def _make_affine(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        self.weight = empty_parameter(*shape, device=device, dtype=dtype) if weight else None
        self.bias = empty_parameter(*shape, device=device, dtype=dtype) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the scale to one and the shift to zero."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)


class _BatchNorm(_Affine):
    """What the batch normalisations share."""

    ranks: ClassVar[tuple[int, ...]]
    layout: ClassVar[str]

    running_mean: Any
    running_var: Any
    num_batches_tracked: Any

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_counts(type(self).__name__, num_features=num_features)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._make_affine((num_features,), affine, affine and bias, device, dtype)
        tracked = track_running_stats
        self.register_buffer("running_mean", ops.zeros(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("running_var", ops.ones(num_features, device=device, dtype=dtype) if tracked else None)
        self.register_buffer("num_batches_tracked", ops.tensor(0, device=device) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget the running mean and variance."""
        if self.track_running_stats:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def forward(self, x: Any) -> Any:
        if x.ndim not in self.ranks or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: the input has shape {tuple(x.shape)}; expected {self.layout} with "
                f"C = {self.num_features}; give the layer as many features as the input has channels, or reshape it"
            )
        momentum = self.momentum or 0.0
        if self.training and self.track_running_stats:
            with there(self.num_batches_tracked.array):
                self.num_batches_tracked.array += 1
            if self.momentum is None:  # the plain average of all batches so far
                momentum = 1 / int(self.num_batches_tracked.array)
        return ops.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            momentum,
            self.eps,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    r"""Normalise each feature over the batch (and the time).

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta, \qquad
              \hat\mu \leftarrow (1 - m) \hat\mu + m \mu, \quad
              \hat\sigma^2 \leftarrow (1 - m) \hat\sigma^2 + m \tfrac{n}{n - 1} \sigma^2

    In training :math:`\mu` and :math:`\sigma^2` are those of the batch, in evaluation the running
    :math:`\hat\mu` and :math:`\hat\sigma^2`.

    Parameters
    ----------
    num_features : int
        :math:`C`.
    eps : float
        :math:`\epsilon`.
    momentum : float or None
        :math:`m`, the weight of the newest batch (Keras's momentum is one minus this). None averages all batches
        alike.
    affine : bool
        Whether there are a :math:`\gamma` and a :math:`\beta`.
    track_running_stats : bool
        Whether there are running statistics; without them the batch's are used in evaluation too.
    device : Device or str, optional
    dtype : dtype, optional
    bias : bool
        Whether there is a :math:`\beta`, with ``affine``.

    Attributes
    ----------
    weight, bias : Parameter, of shape (C,), or None
        :math:`\gamma` and :math:`\beta`.
    running_mean, running_var : Tensor, of shape (C,), or None
    num_batches_tracked : Tensor, a scalar, or None

    Shape
    -----
    Input, Output : (N, C) or (N, C, L), the same

    Raises
    ------
    ShapeError
        When called, if the input does not have ``num_features`` channels, or in training one number a channel.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.BatchNorm1d(2)(minidl.tensor([[1.0, 5.0], [3.0, 5.0]])).detach().round(decimals=2)
    tensor([[-1.,  0.],
            [ 1.,  0.]])

    References
    ----------
    ``torch.nn.BatchNorm1d``. Ioffe & Szegedy (2015), "Batch normalization".
    """

    ranks = (2, 3)
    layout = "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    r"""Normalise each channel over the batch and the image.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta, \qquad
              \hat\mu \leftarrow (1 - m) \hat\mu + m \mu, \quad
              \hat\sigma^2 \leftarrow (1 - m) \hat\sigma^2 + m \tfrac{n}{n - 1} \sigma^2

    In training :math:`\mu` and :math:`\sigma^2` are those of the batch, in evaluation the running
    :math:`\hat\mu` and :math:`\hat\sigma^2`.

    Parameters
    ----------
    num_features : int
        :math:`C`.
    eps : float
        :math:`\epsilon`.
    momentum : float or None
        :math:`m`, the weight of the newest batch (Keras's momentum is one minus this). None averages all batches
        alike.
    affine : bool
        Whether there are a :math:`\gamma` and a :math:`\beta`.
    track_running_stats : bool
        Whether there are running statistics; without them the batch's are used in evaluation too.
    device : Device or str, optional
    dtype : dtype, optional
    bias : bool
        Whether there is a :math:`\beta`, with ``affine``.

    Attributes
    ----------
    weight, bias : Parameter, of shape (C,), or None
        :math:`\gamma` and :math:`\beta`.
    running_mean, running_var : Tensor, of shape (C,), or None
    num_batches_tracked : Tensor, a scalar, or None

    Shape
    -----
    Input, Output : (N, C, H, W), the same

    Raises
    ------
    ShapeError
        When called, if the input does not have ``num_features`` channels, or in training one number a channel.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.BatchNorm2d(3)(minidl.zeros(4, 3, 8, 8)).shape
    (4, 3, 8, 8)

    References
    ----------
    ``torch.nn.BatchNorm2d``. Ioffe & Szegedy (2015), "Batch normalization".
    """

    ranks = (4,)
    layout = "(N, C, H, W)"


class LayerNorm(_Affine):
    r"""Normalise each example over its last axes.

    .. math:: y = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The sizes of the last axes, over which :math:`\mu` and :math:`\sigma^2` are taken.
    eps : float
        :math:`\epsilon`.
    elementwise_affine : bool
        Whether there are a :math:`\gamma` and a :math:`\beta`.
    bias : bool
        Whether there is a :math:`\beta`, with ``elementwise_affine``.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight, bias : Parameter, of ``normalized_shape``, or None
        :math:`\gamma` and :math:`\beta`.

    Shape
    -----
    Input, Output : (..., *normalized_shape), the same

    Raises
    ------
    ShapeError
        When called, if the input does not end in ``normalized_shape``.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.LayerNorm(2)(minidl.tensor([[1.0, 3.0], [5.0, 25.0]])).detach().round(decimals=2)
    tensor([[-1.,  1.],
            [-1.,  1.]])

    References
    ----------
    ``torch.nn.LayerNorm``. Ba et al. (2016), "Layer normalization".
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = normalized_sizes("LayerNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_affine(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, x: Any) -> Any:
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )


class GroupNorm(_Affine):
    r"""Normalise each example over groups of its channels.

    .. math:: y = \gamma \frac{x - \mu_g}{\sqrt{\sigma_g^2 + \epsilon}} + \beta

    Parameters
    ----------
    num_groups : int
        How many groups the channels form.
    num_channels : int
        :math:`C`.
    eps : float
        :math:`\epsilon`.
    affine : bool
        Whether there are a :math:`\gamma` and a :math:`\beta`.
    device : Device or str, optional
    dtype : dtype, optional
    bias : bool
        Whether there is a :math:`\beta`, with ``affine``.

    Attributes
    ----------
    weight, bias : Parameter, of shape (C,), or None
        :math:`\gamma` and :math:`\beta`.

    Shape
    -----
    Input, Output : (N, C, ...), the same

    Raises
    ------
    ArgumentError
        If ``num_groups`` does not divide ``num_channels``.
    ShapeError
        When called, if the input does not have ``num_channels`` channels.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.GroupNorm(2, 6)(minidl.zeros(4, 6, 8, 8)).shape
    (4, 6, 8, 8)

    References
    ----------
    ``torch.nn.GroupNorm``. Wu & He (2018), "Group normalization".
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_counts("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ArgumentError(f"GroupNorm: num_groups={num_groups} must divide num_channels={num_channels}")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._make_affine((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, x: Any) -> Any:
        if x.ndim < 2 or x.shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm: the input has shape {tuple(x.shape)}; expected (N, C, ...) with C = {self.num_channels}; "
                "give the layer as many channels as the input has"
            )
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(_Affine):
    r"""Scale each example by the root of the mean square of its last axes.

    .. math:: y = \gamma \frac{x}{\sqrt{\operatorname{mean}(x^2) + \epsilon}}

    Parameters
    ----------
    normalized_shape : int or tuple of int
        The sizes of the last axes, over which the mean is taken.
    eps : float, optional
        :math:`\epsilon`; the smallest step of the input's dtype from one, if left out.
    elementwise_affine : bool
        Whether there is a :math:`\gamma`.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter, of ``normalized_shape``, or None
        :math:`\gamma`.

    Shape
    -----
    Input, Output : (..., *normalized_shape), the same

    Raises
    ------
    ShapeError
        When called, if the input does not end in ``normalized_shape``.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.RMSNorm(2)(minidl.tensor([[3.0, 3.0]])).detach()
    tensor([[1., 1.]])

    References
    ----------
    ``torch.nn.RMSNorm``. Zhang & Sennrich (2019), "Root mean square layer normalization".
    """

    _shown = ("eps", "elementwise_affine")

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = normalized_sizes("RMSNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._make_affine(self.normalized_shape, elementwise_affine, False, device, dtype)

    def forward(self, x: Any) -> Any:
        return ops.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, {super().extra_repr()}"


def normalized_sizes(name: str, shape: Any) -> tuple[int, ...]:
    """Return the sizes of the last axes, given as one integer or several."""
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    check_counts(name, **{f"normalized_shape[{i}]": size for i, size in enumerate(sizes)})
    if not sizes:
        raise ArgumentError(f"{name}: normalized_shape={shape!r}; expected at least one size")
    return sizes
