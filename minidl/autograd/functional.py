"""Derivatives as functions: of outputs with respect to inputs, Jacobians, Hessians, and products with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl.autograd.engine import gradients, initial_gradient
from minidl.autograd.modes import enable_grad
from minidl.autograd.variable import Variable, check_may_require_grad, wrap
from minidl.backend import is_array, namespace
from minidl.errors import ArgumentError, DTypeError, GradError, ShapeError


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    *,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    r"""Return the gradients of ``outputs`` with respect to ``inputs``, leaving every ``.grad`` alone.

    .. math:: g_j = \sum_i u_i^\top \frac{\partial y_i}{\partial x_j}

    Parameters
    ----------
    outputs : Tensor or sequence of Tensor
        What to differentiate.
    inputs : Tensor or sequence of Tensor
        With respect to what; leaves or results inside the graph.
    grad_outputs : Tensor or sequence of Tensor, optional
        The factors :math:`u`, each of its output's shape. A scalar output needs none.
    retain_graph : bool, optional
        Keep the graph for another pass. Defaults to ``create_graph``.
    create_graph : bool
        Record the computation of the gradients, so that they can be differentiated in turn.
    only_inputs : bool
        Accepted for old code's sake, without effect: it is always so.
    allow_unused : bool
        Return None for an input that the outputs do not depend on, instead of raising.

    Returns
    -------
    tuple of Tensor
        One gradient an input, of its shape.

    Raises
    ------
    GradError
        If an output has no graph, is no scalar and has no ``grad_outputs``; or if an input is unused.
    ShapeError
        If a factor's shape is not its output's.

    Examples
    --------
    >>> import minidl
    >>> x = minidl.tensor(3.0, requires_grad=True)
    >>> (slope,) = minidl.grad(x**3, x, create_graph=True)
    >>> (curvature,) = minidl.grad(slope, x)
    >>> slope.item(), curvature.item()
    (27.0, 18.0)

    References
    ----------
    PyTorch's ``torch.autograd.grad``.
    """
    outputs, inputs = _as_tuple(outputs), _as_tuple(inputs)
    factors = _as_tuple(grad_outputs) if grad_outputs is not None else (None,) * len(outputs)
    if len(factors) != len(outputs):
        raise ArgumentError(f"grad: {len(outputs)} outputs but {len(factors)} grad_outputs; give one for each")
    for position, x in enumerate(inputs):
        if isinstance(x, Variable) and x._view is not None:
            x._view.refresh(x)
        if not isinstance(x, Variable) or not x._requires_grad:
            raise GradError(
                f"grad: input {position + 1} does not require gradients; create it with requires_grad=True before "
                "the outputs are computed from it"
            )
    roots = [(y, initial_gradient(y, factor, "grad")) for y, factor in zip(outputs, factors, strict=True)]
    retain = create_graph if retain_graph is None else retain_graph
    found = gradients(roots, inputs, retain_graph=retain, create_graph=create_graph)
    results: list[Any] = []
    for position, (x, g) in enumerate(zip(inputs, found, strict=True)):
        if g is None:
            if not allow_unused:
                raise GradError(
                    f"grad: the outputs do not depend on input {position + 1} (shape {x.array.shape}); "
                    "pass allow_unused=True to get None for it"
                )
            results.append(None)
        elif create_graph:
            results.append(g)
        else:
            # the engine may hand one array to several inputs: each caller's result is its own
            shared = not is_array(g) or g.base is not None or any(g is other for other in found[:position])
            shared = shared or any(g is getattr(factor, "array", factor) for _, factor in roots)
            results.append(wrap(namespace(g).array(g) if shared else g))
    return tuple(results)


def _check_tensors(values: tuple[Any, ...], name: str, what: str) -> None:
    for position, x in enumerate(values):
        if not isinstance(x, Variable):
            raise DTypeError(f"{name}: {what} {position + 1} is a {type(x).__name__}; expected a Tensor")


def _zeros_like(x: Any) -> Any:
    return wrap(namespace(x.array).zeros_like(x.array))


def _call(func: Callable[..., Any], inputs: tuple[Any, ...], name: str) -> tuple[tuple[Any, ...], Any]:
    """Call ``func`` on fresh leaves with the values of ``inputs``; return the leaves and the result."""
    leaves = []
    _check_tensors(inputs, name, "input")
    for x in inputs:
        # an input with a graph stays connected to it, so that what is returned can be differentiated further
        if not x._requires_grad:
            check_may_require_grad(x.array)
            x = wrap(x.array[...])
            x._requires_grad = True
        leaves.append(x)
    with enable_grad():
        out = func(*leaves)
    if not isinstance(out, Variable):
        raise DTypeError(f"{name}: the function returned a {type(out).__name__}; expected one Tensor")
    return tuple(leaves), out


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False) -> tuple[Any, Any]:
    r"""Return ``func(*inputs)`` and the product of a vector with its Jacobian.

    .. math:: v^\top J, \quad J = \frac{\partial f}{\partial x}

    Parameters
    ----------
    func : callable
        Takes tensors, returns one tensor.
    inputs : Tensor or tuple of Tensor
        Where to evaluate.
    v : Tensor, optional
        Of the result's shape; may be left out for a scalar result.
    create_graph : bool
        Record the product, so that it can be differentiated.

    Returns
    -------
    (Tensor, Tensor or tuple of Tensor)
        The result, and one product an input, of its shape.

    Raises
    ------
    ShapeError
        If ``v`` does not have the result's shape.

    Examples
    --------
    >>> import minidl
    >>> y, g = minidl.vjp(lambda x: x * x, minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 10.0]))
    >>> g
    tensor([ 2., 40.])

    References
    ----------
    PyTorch's ``torch.autograd.functional.vjp``.
    """
    leaves, out = _call(func, _as_tuple(inputs), "vjp")
    if not out._requires_grad:
        products = tuple(map(_zeros_like, leaves))
    else:
        found = grad(out, leaves, v, create_graph=create_graph, allow_unused=True)
        products = tuple(_zeros_like(leaf) if g is None else g for leaf, g in zip(leaves, found, strict=True))
    out = out if create_graph else out.detach()
    return out, products if isinstance(inputs, (tuple, list)) else products[0]


def jvp(func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool = False) -> tuple[Any, Any]:
    r"""Return ``func(*inputs)`` and the product of its Jacobian with a vector: the derivative along ``v``.

    .. math:: J v, \quad J = \frac{\partial f}{\partial x}

    It is computed by two backward passes: :math:`v^\top J` is linear in its factor, and the derivative of that map
    is :math:`J v`.

    Parameters
    ----------
    func : callable
        Takes tensors, returns one tensor.
    inputs : Tensor or tuple of Tensor
        Where to evaluate.
    v : Tensor or tuple of Tensor
        One direction an input, of its shape.
    create_graph : bool
        Record the product, so that it can be differentiated.

    Returns
    -------
    (Tensor, Tensor)
        The result, and the product, of the result's shape.

    Raises
    ------
    ShapeError
        If a direction does not have its input's shape.

    Examples
    --------
    >>> import minidl
    >>> y, slope = minidl.jvp(lambda x: x**2, minidl.tensor([1.0, 2.0]), minidl.tensor([1.0, 1.0]))
    >>> slope
    tensor([2., 4.])

    References
    ----------
    J. Townsend, "A new trick for calculating Jacobian vector products", 2017;
    PyTorch's ``torch.autograd.functional.jvp``.
    """
    inputs_tuple, directions = _as_tuple(inputs), _as_tuple(v)
    _check_tensors(inputs_tuple, "jvp", "input")
    _check_tensors(directions, "jvp", "direction")
    shapes, given = [x.shape for x in inputs_tuple], [d.shape for d in directions]
    if shapes != given:
        raise ShapeError(f"jvp: the inputs have shapes {shapes}, the directions {given}; they must be equal")
    leaves, out = _call(func, inputs_tuple, "jvp")
    if not out._requires_grad:
        return out, _zeros_like(out)
    factor = _zeros_like(out).requires_grad_()
    products = grad(out, leaves, factor, create_graph=True, allow_unused=True)
    pairs = [(g, d) for g, d in zip(products, directions, strict=True) if g is not None and g._requires_grad]
    if not pairs:
        return out.detach(), _zeros_like(out)
    (result,) = grad([g for g, _ in pairs], factor, [d for _, d in pairs], create_graph=create_graph, allow_unused=True)
    out = out if create_graph else out.detach()
    return out, _zeros_like(out) if result is None else result


def jacobian(func: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    r"""Return the matrix of all first derivatives of ``func``.

    .. math:: J_{i j} = \frac{\partial f_i}{\partial x_j}

    Parameters
    ----------
    func : callable
        Takes tensors, returns one tensor.
    inputs : Tensor or tuple of Tensor
        Where to evaluate.
    create_graph : bool
        Record the Jacobian, so that it can be differentiated.

    Returns
    -------
    Tensor, the result's shape followed by the input's; or a tuple of them, one an input

    Raises
    ------
    DTypeError
        If an input is not a Tensor.

    Examples
    --------
    >>> import minidl
    >>> minidl.jacobian(lambda x: x * x, minidl.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])

    References
    ----------
    PyTorch's ``torch.autograd.functional.jacobian``.
    """
    leaves, out = _call(func, _as_tuple(inputs), "jacobian")
    xp = namespace(out.array)
    size = out.array.size
    tables = [wrap(xp.zeros((size, leaf.array.size), leaf.array.dtype)) for leaf in leaves]
    for i in range(size if out._requires_grad else 0):
        unit = xp.zeros(size, out.array.dtype)
        unit[i] = 1
        unit = wrap(unit.reshape(out.array.shape))
        rows = grad(out, leaves, unit, retain_graph=True, create_graph=create_graph, allow_unused=True)
        for table, row in zip(tables, rows, strict=True):
            if row is not None:
                table[i] = row.reshape(-1)
    results = tuple(
        table.reshape(out.array.shape + leaf.array.shape) for table, leaf in zip(tables, leaves, strict=True)
    )
    return results if isinstance(inputs, (tuple, list)) else results[0]


def hessian(func: Callable[..., Any], inputs: Any, create_graph: bool = False) -> Any:
    r"""Return the matrix of all second derivatives of a scalar function.

    .. math:: H_{i j} = \frac{\partial^2 f}{\partial x_i \partial x_j}

    Parameters
    ----------
    func : callable
        Takes tensors, returns a scalar tensor.
    inputs : Tensor or tuple of Tensor
        Where to evaluate.
    create_graph : bool
        Record the Hessian, so that it can be differentiated.

    Returns
    -------
    Tensor, the input's shape twice
        For a tuple of inputs, a tuple of tuples: entry ``[i][j]`` differentiates by input ``i``, then ``j``.

    Raises
    ------
    ShapeError
        If ``func`` does not return a scalar.

    Examples
    --------
    >>> import minidl
    >>> minidl.hessian(lambda x: (x**3).sum(), minidl.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])

    References
    ----------
    PyTorch's ``torch.autograd.functional.hessian``.
    """
    several = isinstance(inputs, (tuple, list))

    def slope(position: int) -> Callable[..., Any]:
        def of(*xs: Any) -> Any:
            out = func(*xs)
            array = getattr(out, "array", None)
            if array is None or array.size != 1:
                found = f"a {type(out).__name__}" if array is None else f"shape {array.shape}"
                raise ShapeError(f"hessian: the function must return a scalar, it returned {found}")
            if not out._requires_grad:
                return _zeros_like(xs[position])
            (g,) = grad(out.reshape(()), xs[position], create_graph=True, allow_unused=True)
            return _zeros_like(xs[position]) if g is None else g

        return of

    rows = tuple(jacobian(slope(i), _as_tuple(inputs), create_graph) for i in range(len(_as_tuple(inputs))))
    return rows if several else rows[0][0]
