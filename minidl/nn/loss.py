"""Losses as modules: what training makes small."""

from __future__ import annotations

from typing import Any

from minidl import ops
from minidl.nn.module import Module
from minidl.ops.losses import check_reduction


class _Loss(Module):
    """What the losses share: how they reduce, checked when they are made; constants that move with the model."""

    _more_reductions: tuple[str, ...] = ()

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(reduction, type(self).__name__, *self._more_reductions)
        self.reduction = reduction

    def _keep(self, **constants: Any) -> None:
        """Register constants, or None, as buffers."""
        for name, value in constants.items():
            self.register_buffer(name, None if value is None else ops.as_tensor(value))


class MSELoss(_Loss):
    r"""The mean squared error.

    .. math:: L = \frac{1}{n} \sum_i (x_i - y_i)^2

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input, target : any, the same
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.MSELoss()(minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 4.0]))
    tensor(2.)

    References
    ----------
    ``torch.nn.MSELoss``.
    """

    def forward(self, x: Any, target: Any) -> Any:
        return ops.mse_loss(x, target, reduction=self.reduction)


class L1Loss(_Loss):
    r"""The mean absolute error.

    .. math:: L = \frac{1}{n} \sum_i |x_i - y_i|

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input, target : any, the same
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.L1Loss()(minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 4.0]))
    tensor(1.)

    References
    ----------
    ``torch.nn.L1Loss``.
    """

    def forward(self, x: Any, target: Any) -> Any:
        return ops.l1_loss(x, target, reduction=self.reduction)


class HuberLoss(_Loss):
    r"""Huber's loss: quadratic near the target, linear far from it.

    .. math::
        L = \frac{1}{n} \sum_i \begin{cases} \tfrac12 d_i^2 & |d_i| \le \delta \\ \delta (|d_i| - \tfrac12
        \delta) & \text{otherwise} \end{cases}, \quad d = x - y

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.
    delta : float
        Where the line begins.

    Shape
    -----
    Input, target : any, the same
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.HuberLoss()(minidl.tensor([1.0]), minidl.tensor([4.0]))
    tensor(2.5000)

    References
    ----------
    ``torch.nn.HuberLoss``. Huber (1964), "Robust estimation of a location parameter".
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = delta

    def forward(self, x: Any, target: Any) -> Any:
        return ops.huber_loss(x, target, delta=self.delta, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    r"""The absolute error with its corner rounded off.

    .. math::
        L = \frac{1}{n} \sum_i \begin{cases} d_i^2 / (2 \beta) & |d_i| < \beta \\ |d_i| - \tfrac12 \beta &
        \text{otherwise} \end{cases}, \quad d = x - y

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.
    beta : float
        How far the rounding reaches.

    Shape
    -----
    Input, target : any, the same
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.SmoothL1Loss()(minidl.tensor([1.0]), minidl.tensor([4.0]))
    tensor(2.5000)

    References
    ----------
    ``torch.nn.SmoothL1Loss``. Girshick (2015), "Fast R-CNN".
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction)
        self.beta = beta

    def forward(self, x: Any, target: Any) -> Any:
        return ops.smooth_l1_loss(x, target, beta=self.beta, reduction=self.reduction)


class NLLLoss(_Loss):
    r"""The negative log likelihood of the right classes, given log-probabilities (a log-softmax).

    .. math:: L = -\frac{\sum_n w_{y_n} x_{n, y_n}}{\sum_n w_{y_n}}

    Parameters
    ----------
    weight : Tensor, of shape (C,), optional
        :math:`w`: how much each class counts.
    ignore_index : int
        A label that does not count.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input : (N, C), (N, C, d1, ...) or (C,)
    Target : (N,), (N, d1, ...) or (), integers
    Output : (), or the target's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.
    RangeError
        When called, if a label is not one of the classes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.NLLLoss()(minidl.log(minidl.tensor([[0.5, 0.5]])), minidl.tensor([1]))
    tensor(0.6931)

    References
    ----------
    ``torch.nn.NLLLoss``.
    """

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._keep(weight=weight)
        self.ignore_index = ignore_index

    def forward(self, x: Any, target: Any) -> Any:
        return ops.nll_loss(x, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class CrossEntropyLoss(_Loss):
    r"""The cross entropy between scores of classes (logits) and the right classes.

    .. math:: L = -\frac{1}{\sum_n w_{y_n}} \sum_n w_{y_n} \log \frac{e^{x_{n, y_n}}}{\sum_c e^{x_{n, c}}}

    Parameters
    ----------
    weight : Tensor, of shape (C,), optional
        :math:`w`: how much each class counts.
    ignore_index : int
        A label that does not count.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.
    label_smoothing : float
        From 0 to 1: how much of the wanted probability is spread evenly over all classes.

    Shape
    -----
    Input : (N, C), (N, C, d1, ...) or (C,)
    Target : (N,), (N, d1, ...) or (), integers; or the input's shape, probabilities
    Output : (), or the target's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.
    RangeError
        When called, if a label is not one of the classes.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.CrossEntropyLoss()(minidl.tensor([[0.0, 0.0]]), minidl.tensor([1]))
    tensor(0.6931)

    References
    ----------
    ``torch.nn.CrossEntropyLoss``.
    """

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        self._keep(weight=weight)
        self.ignore_index = ignore_index
        self.label_smoothing = label_smoothing

    def forward(self, x: Any, target: Any) -> Any:
        return ops.cross_entropy(
            x,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            reduction=self.reduction,
        )


class BCELoss(_Loss):
    r"""The binary cross entropy between probabilities and what was the case.

    .. math:: L = -\frac{1}{n} \sum_i w_i (y_i \log x_i + (1 - y_i) \log (1 - x_i))

    Parameters
    ----------
    weight : Tensor, a shape that broadcasts to the input's, optional
        How much each element counts.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input, target : any, the same
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.
    RangeError
        When called, if a prediction is not between 0 and 1.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.BCELoss()(minidl.tensor([0.5]), minidl.tensor([1.0]))
    tensor(0.6931)

    References
    ----------
    ``torch.nn.BCELoss``.
    """

    def __init__(self, weight: Any = None, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self._keep(weight=weight)

    def forward(self, x: Any, target: Any) -> Any:
        return ops.binary_cross_entropy(x, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_Loss):
    r"""The binary cross entropy between scores (logits) and what was the case, right for scores of any size.

    .. math:: L = -\frac{1}{n} \sum_i w_i (p_i y_i \log \sigma(x_i) + (1 - y_i) \log (1 - \sigma(x_i)))

    Parameters
    ----------
    weight : Tensor, a shape that broadcasts to the input's, optional
        How much each element counts.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.
    pos_weight : Tensor, a shape that broadcasts to the input's, optional
        :math:`p`: how much what was the case counts, beside what was not.

    Shape
    -----
    Input, target : any, the same
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.BCEWithLogitsLoss()(minidl.tensor([0.0]), minidl.tensor([1.0]))
    tensor(0.6931)

    References
    ----------
    ``torch.nn.BCEWithLogitsLoss``.
    """

    def __init__(self, weight: Any = None, reduction: str = "mean", pos_weight: Any = None) -> None:
        super().__init__(reduction)
        self._keep(weight=weight, pos_weight=pos_weight)

    def forward(self, x: Any, target: Any) -> Any:
        return ops.binary_cross_entropy_with_logits(
            x, target, weight=self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(_Loss):
    r"""The Kullback-Leibler divergence of a predicted distribution, given by its logarithm, from a target.

    .. math:: L = \frac{1}{n} \sum_i y_i (\log y_i - x_i)

    Parameters
    ----------
    reduction : {"mean", "batchmean", "sum", "none"}
        Whether to average over all elements, over the first axis ("batchmean": the divergence as defined), to add up,
        or to return each.
    log_target : bool
        Whether the target is given by its logarithm too.

    Shape
    -----
    Input, target : any, the same
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.KLDivLoss("batchmean")(minidl.log(minidl.tensor([[0.5, 0.5]])), minidl.tensor([[1.0, 0.0]]))
    tensor(0.6931)

    References
    ----------
    ``torch.nn.KLDivLoss``.
    """

    _more_reductions = ("batchmean",)

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction)
        self.log_target = log_target

    def forward(self, x: Any, target: Any) -> Any:
        return ops.kl_div(x, target, log_target=self.log_target, reduction=self.reduction)


class PoissonNLLLoss(_Loss):
    r"""The negative log likelihood of counts under Poisson distributions with predicted rates.

    .. math:: L = \frac{1}{n} \sum_i e^{x_i} - y_i x_i

    Parameters
    ----------
    log_input : bool
        Whether the prediction is the logarithm of the rate, or the rate itself.
    full : bool
        Add Stirling's approximation of the term that does not depend on the prediction.
    eps : float
        Added to a rate before its logarithm is taken.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input, target : any, the same
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.PoissonNLLLoss()(minidl.tensor([0.0]), minidl.tensor([2.0]))
    tensor(1.)

    References
    ----------
    ``torch.nn.PoissonNLLLoss``.
    """

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.log_input = log_input
        self.full = full
        self.eps = eps

    def forward(self, x: Any, target: Any) -> Any:
        return ops.poisson_nll_loss(
            x, target, log_input=self.log_input, full=self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    r"""The negative log likelihood of targets under normal distributions with predicted means and variances.

    .. math:: L = \frac{1}{2n} \sum_i \ln \max(v_i, \epsilon) + \frac{(x_i - y_i)^2}{\max(v_i, \epsilon)}

    Parameters
    ----------
    full : bool
        Add the constant term.
    eps : float
        :math:`\epsilon`, the least variance.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input, target, variances : any, the same (variances may have a last axis of 1)
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.GaussianNLLLoss()(minidl.tensor([1.0]), minidl.tensor([3.0]), minidl.tensor([1.0]))
    tensor(2.)

    References
    ----------
    ``torch.nn.GaussianNLLLoss``.
    """

    def __init__(self, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full = full
        self.eps = eps

    def forward(self, x: Any, target: Any, var: Any) -> Any:
        return ops.gaussian_nll_loss(x, target, var, full=self.full, eps=self.eps, reduction=self.reduction)


class HingeLoss(_Loss):
    r"""The hinge loss: zero for scores on the right side by at least the margin.

    .. math:: L = \frac{1}{n} \sum_i \max(0, m - y_i x_i)

    Parameters
    ----------
    margin : float
        :math:`m`.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input, target : any, the same; targets are -1 or 1
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.
    RangeError
        When called, if a target is neither -1 nor 1.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.HingeLoss()(minidl.tensor([0.5]), minidl.tensor([1]))
    tensor(0.5000)

    References
    ----------
    Keras's ``Hinge``.
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, x: Any, target: Any) -> Any:
        return ops.hinge_loss(x, target, margin=self.margin, reduction=self.reduction)


class HingeEmbeddingLoss(_Loss):
    r"""Pull distances of like pairs to zero, and push those of unlike pairs beyond the margin.

    .. math:: L = \frac{1}{n} \sum_i \begin{cases} x_i & y_i = 1 \\ \max(0, m - x_i) & y_i = -1 \end{cases}

    Parameters
    ----------
    margin : float
        :math:`m`.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input, target : any, the same; targets are -1 or 1
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.
    RangeError
        When called, if a target is neither -1 nor 1.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.HingeEmbeddingLoss()(minidl.tensor([0.25]), minidl.tensor([-1]))
    tensor(0.7500)

    References
    ----------
    ``torch.nn.HingeEmbeddingLoss``.
    """

    def __init__(self, margin: float = 1.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, x: Any, target: Any) -> Any:
        return ops.hinge_embedding_loss(x, target, margin=self.margin, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    r"""The logistic loss of scores whose right signs are known.

    .. math:: L = \frac{1}{n} \sum_i \log(1 + e^{-y_i x_i})

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Input, target : any, the same; targets are -1 or 1
    Output : (), or the input's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.
    RangeError
        When called, if a target is neither -1 nor 1.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.SoftMarginLoss()(minidl.tensor([0.0]), minidl.tensor([-1]))
    tensor(0.6931)

    References
    ----------
    ``torch.nn.SoftMarginLoss``.
    """

    def forward(self, x: Any, target: Any) -> Any:
        return ops.soft_margin_loss(x, target, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    r"""Make the first of two scores the greater (or the smaller) by at least the margin.

    .. math:: L = \frac{1}{n} \sum_i \max(0, m - y_i (a_i - b_i))

    Parameters
    ----------
    margin : float
        :math:`m`.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Inputs, target : any, the same; targets are 1 where the first is to be greater, -1 where smaller
    Output : (), or the inputs' without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.
    RangeError
        When called, if a target is neither -1 nor 1.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.MarginRankingLoss()(minidl.tensor([1.0]), minidl.tensor([3.0]), minidl.tensor([1]))
    tensor(2.)

    References
    ----------
    ``torch.nn.MarginRankingLoss``.
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, a: Any, b: Any, target: Any) -> Any:
        return ops.margin_ranking_loss(a, b, target, margin=self.margin, reduction=self.reduction)


class CosineEmbeddingLoss(_Loss):
    r"""Turn like pairs of vectors the same way, and unlike ones apart.

    .. math::
        L = \frac{1}{N} \sum_n \begin{cases} 1 - \cos(a_n, b_n) & y_n = 1 \\ \max(0, \cos(a_n, b_n) - m) & y_n =
        -1 \end{cases}

    Parameters
    ----------
    margin : float
        :math:`m`.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Inputs : (N, D) or (D,)
    Target : (N,) or (), -1 or 1
    Output : (), or the target's without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.
    RangeError
        When called, if a target is neither -1 nor 1.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.CosineEmbeddingLoss()(minidl.tensor([[1.0, 0.0]]), minidl.tensor([[0.0, 1.0]]), minidl.tensor([1]))
    tensor(1.)

    References
    ----------
    ``torch.nn.CosineEmbeddingLoss``.
    """

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def forward(self, a: Any, b: Any, target: Any) -> Any:
        return ops.cosine_embedding_loss(a, b, target, margin=self.margin, reduction=self.reduction)


class TripletMarginLoss(_Loss):
    r"""Bring an anchor nearer to a like vector than to an unlike one, by at least the margin.

    .. math:: L = \frac{1}{N} \sum_n \max(0, \|a_n - p_n\| - \|a_n - n_n\| + m)

    Parameters
    ----------
    margin : float
        :math:`m`.
    p : float
        Which norm.
    eps : float
        Added to differences, so that the norm has a slope at zero.
    swap : bool
        Take the distance of the two others where it is the smaller one.
    reduction : {"mean", "sum", "none"}
        Whether to average the losses, add them up, or return each.

    Shape
    -----
    Anchor, positive, negative : (N, D) or (D,)
    Output : (), or (N,) without reduction

    Raises
    ------
    ArgumentError
        If the reduction is unknown.
    ShapeError
        When called, if the shapes do not fit.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> nn.TripletMarginLoss()(minidl.zeros(1, 2), minidl.zeros(1, 2), minidl.tensor([[0.5, 0.0]])).round(decimals=3)
    tensor(0.5000)

    References
    ----------
    ``torch.nn.TripletMarginLoss``. Balntas et al. (2016), "Learning local feature descriptors with triplets".
    """

    def __init__(
        self, margin: float = 1.0, p: float = 2.0, eps: float = 1e-6, swap: bool = False, reduction: str = "mean"
    ) -> None:
        super().__init__(reduction)
        self.margin = margin
        self.p = p
        self.eps = eps
        self.swap = swap

    def forward(self, anchor: Any, positive: Any, negative: Any) -> Any:
        return ops.triplet_margin_loss(
            anchor,
            positive,
            negative,
            margin=self.margin,
            p=self.p,
            eps=self.eps,
            swap=self.swap,
            reduction=self.reduction,
        )
