"""Activations as modules: what stands between the layers that learn."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.nn import init as initialisation
from minidl.nn.linear import check_counts, empty_parameter
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter


class _InPlace(Module):
    """What the activations share that can write their result into their input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        shown = super().extra_repr()
        return ", ".join(filter(None, [shown, "inplace=True" if self.inplace else ""]))


class ReLU(_InPlace):
    r"""Keep what is positive, and put zero for the rest.

    .. math:: y = \max(x, 0)

    Parameters
    ----------
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.ReLU()(minidl.tensor([-1.0, 0.0, 2.0]))
    tensor([0., 0., 2.])

    References
    ----------
    ``torch.nn.ReLU``. Nair & Hinton (2010), "Rectified linear units improve restricted Boltzmann machines".
    """

    def forward(self, x: Any) -> Any:
        return ops.relu(x, self.inplace)


class ReLU6(_InPlace):
    r"""Keep what lies between 0 and 6, and cut off the rest.

    .. math:: y = \min(\max(x, 0), 6)

    Parameters
    ----------
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.ReLU6()(minidl.tensor([-1.0, 2.0, 9.0]))
    tensor([0., 2., 6.])

    References
    ----------
    ``torch.nn.ReLU6``. Howard et al. (2017), "MobileNets".
    """

    def forward(self, x: Any) -> Any:
        return ops.relu6(x, inplace=self.inplace)


class LeakyReLU(_InPlace):
    r"""Keep what is positive, and scale down the rest.

    .. math:: y = \max(x, 0) + a \min(x, 0)

    Parameters
    ----------
    negative_slope : float
        :math:`a`.
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.LeakyReLU(0.5)(minidl.tensor([-1.0, 2.0]))
    tensor([-0.5000,  2.0000])

    References
    ----------
    ``torch.nn.LeakyReLU``. Maas et al. (2013), "Rectifier nonlinearities improve neural network acoustic models".
    """

    _shown = ("negative_slope",)

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, x: Any) -> Any:
        return ops.leaky_relu(x, self.negative_slope, inplace=self.inplace)


class ELU(_InPlace):
    r"""Keep what is positive, and bend the rest smoothly towards a constant.

    .. math:: y = x \text{ for } x > 0, \quad \alpha (e^x - 1) \text{ otherwise}

    Parameters
    ----------
    alpha : float
        :math:`\alpha`.
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.ELU()(minidl.tensor([0.0, 2.0]))
    tensor([0., 2.])

    References
    ----------
    ``torch.nn.ELU``. Clevert et al. (2015), "Fast and accurate deep network learning by exponential linear units".
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return ops.elu(x, self.alpha, inplace=self.inplace)


class CELU(_InPlace):
    r"""Keep what is positive, and bend the rest towards a constant, with a slope that is continuous for any of them.

    .. math:: y = \max(x, 0) + \min(0, \alpha (e^{x / \alpha} - 1))

    Parameters
    ----------
    alpha : float
        :math:`\alpha`.
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.CELU()(minidl.tensor([0.0, 2.0]))
    tensor([0., 2.])

    References
    ----------
    ``torch.nn.CELU``. Barron (2017), "Continuously differentiable exponential linear units".
    """

    _shown = ("alpha",)

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, x: Any) -> Any:
        return ops.celu(x, self.alpha, inplace=self.inplace)


class SELU(_InPlace):
    r"""An ELU scaled so that deep networks keep zero mean and unit variance by themselves.

    .. math:: y = s \, (\max(x, 0) + \min(0, \alpha (e^x - 1))), \quad s \approx 1.0507, \; \alpha \approx 1.6733

    Parameters
    ----------
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.SELU()(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 1.0507])

    References
    ----------
    ``torch.nn.SELU``. Klambauer et al. (2017), "Self-normalizing neural networks".
    """

    def forward(self, x: Any) -> Any:
        return ops.selu(x, inplace=self.inplace)


class GELU(Module):
    r"""Weight the input by the probability that a standard normal number is less than it.

    .. math:: y = x \, \Phi(x)

    Parameters
    ----------
    approximate : {"none", "tanh"}
        Whether to compute it exactly, or the approximation by a tanh.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.GELU()(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8413])

    References
    ----------
    ``torch.nn.GELU``. Hendrycks & Gimpel (2016), "Gaussian error linear units".
    """

    _shown = ("approximate",)

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, x: Any) -> Any:
        return ops.gelu(x, approximate=self.approximate)


class SiLU(_InPlace):
    r"""Weight the input by its sigmoid; also called swish.

    .. math:: y = x \, \sigma(x)

    Parameters
    ----------
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.SiLU()(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])

    References
    ----------
    ``torch.nn.SiLU``. Ramachandran et al. (2017), "Searching for activation functions".
    """

    def forward(self, x: Any) -> Any:
        return ops.silu(x, inplace=self.inplace)


class Mish(_InPlace):
    r"""Weight the input by the tanh of its softplus.

    .. math:: y = x \tanh(\ln(1 + e^x))

    Parameters
    ----------
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Mish()(minidl.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8651])

    References
    ----------
    ``torch.nn.Mish``. Misra (2019), "Mish: a self regularized non-monotonic activation function".
    """

    def forward(self, x: Any) -> Any:
        return ops.mish(x, inplace=self.inplace)


class Softplus(Module):
    r"""A smooth ReLU.

    .. math:: y = \tfrac{1}{\beta} \ln(1 + e^{\beta x})

    Parameters
    ----------
    beta : float
        :math:`\beta`.
    threshold : float
        Where :math:`\beta x` is greater, the input is returned as it is.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Softplus()(minidl.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])

    References
    ----------
    ``torch.nn.Softplus``. Dugas et al. (2001), "Incorporating second-order functional knowledge for better option
    pricing".
    """

    _shown = (
        "beta",
        "threshold",
    )

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, x: Any) -> Any:
        return ops.softplus(x, self.beta, self.threshold)


class Softsign(Module):
    r"""Squash into (-1, 1), polynomially.

    .. math:: y = \frac{x}{1 + |x|}

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Softsign()(minidl.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])

    References
    ----------
    ``torch.nn.Softsign``. Turian et al. (2009), "Quadratic features and deep architectures for chunking".
    """

    def forward(self, x: Any) -> Any:
        return ops.softsign(x)


class Sigmoid(Module):
    r"""Squash into (0, 1).

    .. math:: y = \frac{1}{1 + e^{-x}}

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Sigmoid()(minidl.tensor([0.0]))
    tensor([0.5000])

    References
    ----------
    ``torch.nn.Sigmoid``.
    """

    def forward(self, x: Any) -> Any:
        return ops.sigmoid(x)


class LogSigmoid(Module):
    r"""The logarithm of the sigmoid, computed without overflow.

    .. math:: y = -\ln(1 + e^{-x})

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.LogSigmoid()(minidl.tensor([0.0]))
    tensor([-0.6931])

    References
    ----------
    ``torch.nn.LogSigmoid``.
    """

    def forward(self, x: Any) -> Any:
        return ops.logsigmoid(x)


class Hardsigmoid(_InPlace):
    r"""A sigmoid made of straight lines.

    .. math:: y = \min(\max(x + 3, 0), 6) / 6

    Parameters
    ----------
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Hardsigmoid()(minidl.tensor([-3.0, 0.0, 3.0]))
    tensor([0.0000, 0.5000, 1.0000])

    References
    ----------
    ``torch.nn.Hardsigmoid``. Howard et al. (2019), "Searching for MobileNetV3".
    """

    def forward(self, x: Any) -> Any:
        return ops.hardsigmoid(x, inplace=self.inplace)


class Hardswish(_InPlace):
    r"""A swish made of a straight-lined sigmoid.

    .. math:: y = x \min(\max(x + 3, 0), 6) / 6

    Parameters
    ----------
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Hardswish()(minidl.tensor([0.0, 3.0, 5.0]))
    tensor([0., 3., 5.])

    References
    ----------
    ``torch.nn.Hardswish``. Howard et al. (2019), "Searching for MobileNetV3".
    """

    def forward(self, x: Any) -> Any:
        return ops.hardswish(x, inplace=self.inplace)


class Tanh(Module):
    r"""Squash into (-1, 1).

    .. math:: y = \tanh x

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Tanh()(minidl.tensor([0.0]))
    tensor([0.])

    References
    ----------
    ``torch.nn.Tanh``.
    """

    def forward(self, x: Any) -> Any:
        return ops.tanh(x)


class Tanhshrink(Module):
    r"""What the tanh takes away.

    .. math:: y = x - \tanh x

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Tanhshrink()(minidl.tensor([0.0]))
    tensor([0.])

    References
    ----------
    ``torch.nn.Tanhshrink``.
    """

    def forward(self, x: Any) -> Any:
        return ops.tanhshrink(x)


class Hardtanh(_InPlace):
    r"""Keep what lies between two bounds, and cut off the rest.

    .. math:: y = \min(\max(x, a), b)

    Parameters
    ----------
    min_val, max_val : float
        :math:`a` and :math:`b`.
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Hardtanh()(minidl.tensor([-3.0, 0.5]))
    tensor([-1.0000,  0.5000])

    References
    ----------
    ``torch.nn.Hardtanh``. Collobert (2004), "Large scale machine learning".
    """

    _shown = (
        "min_val",
        "max_val",
    )

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, x: Any) -> Any:
        return ops.hardtanh(x, self.min_val, self.max_val, inplace=self.inplace)


class Softshrink(Module):
    r"""Pull towards zero by a constant.

    .. math:: y = \operatorname{sign}(x) \max(|x| - \lambda, 0)

    Parameters
    ----------
    lambd : float
        :math:`\lambda`.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Softshrink()(minidl.tensor([0.2, 2.0]))
    tensor([0.0000, 1.5000])

    References
    ----------
    ``torch.nn.Softshrink``.
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        return ops.softshrink(x, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Hardshrink(Module):
    r"""Put zero for what is small.

    .. math:: y = x \text{ for } |x| > \lambda, \quad 0 \text{ otherwise}

    Parameters
    ----------
    lambd : float
        :math:`\lambda`.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Hardshrink()(minidl.tensor([0.2, 2.0]))
    tensor([0., 2.])

    References
    ----------
    ``torch.nn.Hardshrink``.
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, x: Any) -> Any:
        return ops.hardshrink(x, self.lambd)

    def extra_repr(self) -> str:
        return str(self.lambd)


class Threshold(_InPlace):
    r"""Keep what is greater than a threshold, and put a constant for the rest.

    .. math:: y = x \text{ for } x > t, \quad v \text{ otherwise}

    Parameters
    ----------
    threshold : float
        :math:`t`.
    value : float
        :math:`v`.
    inplace : bool
        Write the result into the input.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Threshold(0.5, 9.0)(minidl.tensor([0.2, 2.0]))
    tensor([9., 2.])

    References
    ----------
    ``torch.nn.Threshold``.
    """

    _shown = (
        "threshold",
        "value",
    )

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, x: Any) -> Any:
        return ops.threshold(x, self.threshold, self.value, inplace=self.inplace)


class Softmax(Module):
    r"""Turn scores into probabilities along an axis.

    .. math:: y_i = \frac{e^{x_i}}{\sum_j e^{x_j}}

    Parameters
    ----------
    dim : int
        The axis along which the results sum to one.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Softmax(dim=-1)(minidl.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])

    References
    ----------
    ``torch.nn.Softmax``.
    """

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.softmax(x, self.dim)


class Softmin(Module):
    r"""Turn scores into probabilities along an axis, the least score getting the most.

    .. math:: y_i = \frac{e^{-x_i}}{\sum_j e^{-x_j}}

    Parameters
    ----------
    dim : int
        The axis along which the results sum to one.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.Softmin(dim=-1)(minidl.tensor([0.0, 0.0]))
    tensor([0.5000, 0.5000])

    References
    ----------
    ``torch.nn.Softmin``.
    """

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.softmin(x, self.dim)


class LogSoftmax(Module):
    r"""Turn scores into logarithms of probabilities along an axis: what the NLL loss expects.

    .. math:: y_i = x_i - \ln \sum_j e^{x_j}

    Parameters
    ----------
    dim : int
        The axis along which the results sum to one.

    Shape
    -----
    Input, Output : any, the same

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.LogSoftmax(dim=-1)(minidl.tensor([0.0, 0.0]))
    tensor([-0.6931, -0.6931])

    References
    ----------
    ``torch.nn.LogSoftmax``.
    """

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.log_softmax(x, self.dim)


class GLU(Module):
    r"""Gate the first half of an axis by the sigmoid of the second.

    .. math:: y = a \, \sigma(b), \quad x = [a, b]

    Parameters
    ----------
    dim : int
        The axis to halve.

    Shape
    -----
    Input : (..., 2 D, ...)
    Output : (..., D, ...)

    Raises
    ------
    ShapeError
        When called, if the axis has an odd number of elements.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.GLU()(minidl.tensor([4.0, 0.0]))
    tensor([2.])

    References
    ----------
    ``torch.nn.GLU``. Dauphin et al. (2017), "Language modeling with gated convolutional networks".
    """

    _shown = ("dim",)

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, x: Any) -> Any:
        return ops.glu(x, self.dim)


class PReLU(Module):
    r"""Keep what is positive, and scale the rest by a slope that is learnt.

    .. math:: y = \max(x, 0) + a \min(x, 0)

    Parameters
    ----------
    num_parameters : int
        How many slopes: 1, or one a channel (axis 1 of the input).
    init : float
        What the slopes are at first.
    device : Device or str, optional
    dtype : dtype, optional

    Attributes
    ----------
    weight : Parameter, of shape (num_parameters,)
        :math:`a`.

    Shape
    -----
    Input, Output : any, the same; with several slopes (N, C, ...)

    Raises
    ------
    ShapeError
        When called, if there are several slopes, and not as many channels.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.PReLU()(minidl.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])

    References
    ----------
    ``torch.nn.PReLU``. He et al. (2015), "Delving deep into rectifiers".
    """

    weight: Parameter

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        check_counts("PReLU", num_parameters=num_parameters)
        self.init = init
        self.weight = empty_parameter(num_parameters, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the slopes to what they are at first."""
        initialisation.constant_(self.weight, self.init)

    def forward(self, x: Any) -> Any:
        return ops.prelu(x, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.weight.array.size}"
