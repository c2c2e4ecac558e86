"""Einstein summation: any product of tensors, summed over any of its axes, from one line of notation.

The operation :class:`Einsum` knows labels, one an axis, none twice in a term. The public function reads the notation:
repeated labels become diagonals and an ellipsis becomes labels before it applies the operation.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any

from minidl.autograd import Operation, Variable
from minidl.autograd.operation import refusal
from minidl.backend import is_array
from minidl.errors import ArgumentError, DTypeError, ShapeError
from minidl.ops.arguments import normalize_axes, shape_of, takes_tensors
from minidl.ops.shape import broadcast_to, movedim, reshape

if TYPE_CHECKING:
    from minidl._tensor import Tensor

__all__ = ["einsum", "tensordot"]

Term = tuple[Hashable, ...]  # the label of each axis of an operand


class Einsum(Operation):
    casting = "common"

    def forward(self, *xs: Any, terms: tuple[Term, ...], output: Term) -> Any:
        self.terms, self.output, self.shapes = terms, output, [x.shape for x in xs]
        wanted = sum(self.needs)
        self.save(*(x if wanted > need else None for x, need in zip(xs, self.needs, strict=True)))
        y = _contract(xs, terms, output)
        return y.copy() if y.base is not None and len(xs) == 1 else y  # permuted axes alone would be a view of x

    def backward(self, grad: Any) -> Any:
        xs = self.saved
        grads: list[Any] = []
        for i, term in enumerate(self.terms):
            if not self.needs[i]:
                grads.append(None)
                continue
            # the sum is linear in each operand, so its gradient is the product of all else, summed to its labels
            others = (self.output, *self.terms[:i], *self.terms[i + 1 :])
            known = tuple(label for label in term if any(label in other for other in others))
            part = Einsum.apply(grad, *xs[:i], *xs[i + 1 :], terms=others, output=known)
            sizes = dict(zip(known, part.shape, strict=True))
            part = part.reshape(tuple(sizes.get(label, 1) for label in term))
            pairs = zip(self.shapes[i], part.shape, strict=True)
            grads.append(broadcast_to(part, tuple(own if own != 1 else other for own, other in pairs)))
        return tuple(grads)


def _contract(xs: Sequence[Any], terms: Sequence[Term], output: Term) -> Any:
    """Multiply arrays pair by pair, the pair with the smallest product first, and sum as early as possible."""
    sizes: dict[Hashable, int] = {}
    for x, term in zip(xs, terms, strict=True):
        for label, size in zip(term, x.shape, strict=True):
            if sizes.get(label, 1) == 1:
                sizes[label] = size
    left = [_drop_stretched(x, term, sizes) for x, term in zip(xs, terms, strict=True)]
    while len(left) > 1:

        def cost(pair: tuple[int, int]) -> int:
            return math.prod(sizes[label] for label in {*left[pair[0]][1], *left[pair[1]][1]})

        i, j = min(itertools.combinations(range(len(left)), 2), key=cost) if len(left) > 2 else (0, 1)
        (x, x_term), (y, y_term) = left[i], left[j]
        del left[j], left[i]
        keep = {*output, *(label for _, term in left for label in term)}
        left.insert(0, _multiply(x, x_term, y, y_term, keep, sizes))
    x, term = _sum_out(*left[0], set(output))
    return x.transpose([term.index(label) for label in output])


def _drop_stretched(x: Any, term: Term, sizes: dict[Hashable, int]) -> tuple[Any, Term]:
    """Drop axes of size 1 that broadcast against another operand: their label stands there already."""
    term_sizes = [(label, size) for label, size in zip(term, x.shape, strict=True) if size == sizes[label]]
    if len(term_sizes) == len(term):
        return x, term
    return x.reshape([size for _, size in term_sizes]), tuple(label for label, _ in term_sizes)


def _sum_out(x: Any, term: Term, keep: set[Hashable]) -> tuple[Any, Term]:
    """Sum over the axes whose labels nothing else has."""
    gone = tuple(axis for axis, label in enumerate(term) if label not in keep)
    return (x.sum(axis=gone, dtype=x.dtype), tuple(label for label in term if label in keep)) if gone else (x, term)


def _multiply(
    x: Any, x_term: Term, y: Any, y_term: Term, keep: set[Hashable], sizes: dict[Hashable, int]
) -> tuple[Any, Term]:
    """Return the product of two operands, summed over the labels that nothing else has, as a batch of matmuls."""
    x, x_term = _sum_out(x, x_term, keep.union(y_term))
    y, y_term = _sum_out(y, y_term, keep.union(x_term))
    shared = [label for label in x_term if label in y_term]
    batch = [label for label in shared if label in keep]
    summed = [label for label in shared if label not in keep]
    x_free = [label for label in x_term if label not in shared]
    y_free = [label for label in y_term if label not in shared]

    def arrange(array: Any, term: Term, *groups: list[Hashable]) -> Any:
        array = array.transpose([term.index(label) for group in groups for label in group])
        return array.reshape([math.prod(sizes[label] for label in group) for group in groups])

    if summed:
        rows = arrange(x, x_term, batch, x_free, summed)  # (B, N, D)
        columns = arrange(y, y_term, batch, summed, y_free)  # (B, D, U)
        product = rows @ columns if batch else rows[0] @ columns[0]  # (B, N, U)
    else:
        product = arrange(x, x_term, batch, x_free, []) * arrange(y, y_term, batch, [], y_free)  # (B, N, U)
    term = (*batch, *x_free, *y_free)
    return product.reshape([sizes[label] for label in term]), term


def einsum(equation: Any, *operands: Any) -> Tensor:
    r"""Return a sum of products of tensors, written in Einstein's notation.

    .. math:: \text{"nd,du->nu"}: \quad z_{n u} = \sum_d x_{n d} y_{d u}

    Parameters
    ----------
    equation : str
        A term of letters for each operand, one letter an axis, and after ``->`` the letters of the result. Axes with
        one letter are multiplied with each other; letters that the result lacks are summed over; a letter twice in a
        term takes the diagonal. ``...`` stands for the axes left over, which broadcast. Without ``->`` the result has
        the axes of ``...`` and, in alphabetical order, the letters that occur once.
    *operands : Tensor or array, or one sequence of them
        In place of letters, lists of numbers may follow each operand: ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.

    Returns
    -------
    Tensor, the axes after ``->``

    Raises
    ------
    ArgumentError
        If the equation cannot be read or has another number of terms than there are operands.
    ShapeError
        If a term does not have an operand's number of axes, or axes with one letter have different sizes.

    Examples
    --------
    >>> import minidl
    >>> minidl.einsum("nd,du->nu", minidl.ones(2, 3), minidl.ones(3, 4)).shape
    (2, 4)
    >>> minidl.einsum("ii", minidl.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)

    References
    ----------
    ``numpy.einsum``, ``torch.einsum``.
    """
    if not isinstance(equation, str):
        equation, operands = _from_lists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    for position, x in enumerate(operands):
        if not isinstance(x, Variable) and not is_array(x):
            raise refusal("einsum", f"'operands[{position}]'", x)
    shapes = [tuple(x.shape) for x in operands]
    terms, output = _parse(equation, tuple(map(len, shapes)))
    xs, unique = [], []
    for position, (x, term) in enumerate(zip(operands, terms, strict=True)):
        while len(set(term)) < len(term):
            label = next(label for label, count in Counter(term).items() if count > 1)
            first, second = (axis for axis in range(len(term)) if term[axis] == label and term[:axis].count(label) < 2)
            if x.shape[first] != x.shape[second]:
                raise ShapeError(
                    f"einsum: {equation!r} takes the diagonal {label!r} of operand {position + 1}, whose shape "
                    f"{shapes[position]} has sizes {x.shape[first]} and {x.shape[second]} there; they must be equal"
                )
            n = x.shape[first]
            x = movedim(x, (first, second), (-2, -1))  # (..., N, N)
            x = reshape(x, (*x.shape[:-2], n * n))[..., :: n + 1]  # (..., N): the diagonal
            term = (*term[:first], *term[first + 1 : second], *term[second + 1 :], label)
        xs.append(x)
        unique.append(term)
    _check_sizes(equation, [tuple(x.shape) for x in xs], unique)
    return Einsum.apply(*xs, terms=tuple(unique), output=output)


def _check_sizes(equation: str, shapes: list[tuple[int, ...]], terms: list[Term]) -> None:
    """Raise a ShapeError unless all axes with one label have one size, or 1."""
    seen: dict[Hashable, tuple[int, int]] = {}
    for position, (shape, term) in enumerate(zip(shapes, terms, strict=True)):
        for label, size in zip(term, shape, strict=True):
            known, where = seen.get(label, (1, 0))
            if known == 1:
                seen[label] = (size, position)
            elif size not in (1, known):
                what = repr(label) if isinstance(label, str) else "an axis of '...'"
                raise ShapeError(
                    f"einsum: in {equation!r}, {what} has size {known} in operand {where + 1} {shapes[where]} but "
                    f"{size} in operand {position + 1} {shape}; axes with one letter must have equal sizes, or 1"
                )


@functools.lru_cache(maxsize=256)
def _parse(equation: str, ranks: tuple[int, ...]) -> tuple[tuple[Term, ...], Term]:
    """Return the labels of each operand and of the result; those of ``...`` are 1, 2, ... from the right."""
    inputs, arrow, wanted = equation.replace(" ", "").partition("->")
    specs = inputs.split(",")
    if len(specs) != len(ranks):
        raise ArgumentError(
            f"einsum: {equation!r} has {len(specs)} terms for {len(ranks)} operands; write one for each, between commas"
        )
    terms = tuple(_labels(equation, spec, rank) for spec, rank in zip(specs, ranks, strict=True))
    every = Counter(itertools.chain.from_iterable(terms))
    stretched = tuple(sorted((label for label in every if isinstance(label, int)), reverse=True))
    if not arrow:
        once = sorted(label for label, count in every.items() if count == 1 and isinstance(label, str))
        return terms, (*stretched, *once)
    output = _labels(equation, wanted, len(wanted.replace("...", "")) + (len(stretched) if "..." in wanted else 0))
    for label in output:
        if label not in every or output.count(label) > 1:
            why = "which no operand has" if label not in every else "twice"
            raise ArgumentError(f"einsum: the result of {equation!r} has {label!r}, {why}; take it out after '->'")
    return terms, output


def _labels(equation: str, spec: str, rank: int) -> Term:
    """Return the labels that a term gives an operand of ``rank`` axes."""
    before, ellipsis, after = spec.partition("...")
    letters = before + after
    if letters and not (letters.isascii() and letters.isalpha()):
        raise ArgumentError(
            f"einsum: cannot read the term {spec!r} of {equation!r}; a term is letters, one an axis, with at most one "
            "'...' for the axes left over"
        )
    extra = rank - len(letters)
    if extra < 0 or (extra and not ellipsis):
        raise ShapeError(
            f"einsum: the term {spec!r} of {equation!r} names {len(letters)} axes, its operand has {rank}; write one "
            "letter an axis, or '...' for those left over"
        )
    return (*before, *range(extra, 0, -1), *after) if ellipsis else tuple(letters)


def _from_lists(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """Turn ``einsum(x, [0, 1], y, [1, 2], [0, 2])`` into an equation and its operands."""

    def spell(labels: Any) -> str:
        try:
            return "".join("..." if label is Ellipsis else "abcdefghijklmnopqrstuvwxyz"[label] for label in labels)
        except (TypeError, IndexError):
            raise DTypeError(
                f"einsum: expected an equation such as 'ij,jk->ik', or after each operand a list of labels from 0 to "
                f"25; got {labels!r}"
            ) from None

    count = len(arguments) // 2
    equation = ",".join(spell(arguments[2 * i + 1]) for i in range(count))
    if len(arguments) % 2:
        equation += "->" + spell(arguments[-1])
    return equation, arguments[: 2 * count : 2]


@takes_tensors("x", "y", axes="dims")
def tensordot(x: Any, y: Any, dims: Any = 2) -> Tensor:
    r"""Return the sum of products of two tensors over pairs of their axes.

    .. math:: z_{i j} = \sum_{d e} x_{i d e} \, y_{d e j}

    Parameters
    ----------
    x, y : Tensor or array
    dims : int, or a pair of ints or sequences of ints
        How many of the last axes of ``x`` meet the first of ``y``; or which axes of ``x`` meet which of ``y``, in
        order. NumPy's ``axes`` is accepted.

    Returns
    -------
    Tensor
        The other axes of ``x``, then those of ``y``.

    Raises
    ------
    ShapeError
        If axes that meet have different sizes.
    RangeError
        If there is no such axis.
    ArgumentError
        If the numbers of axes differ.

    Examples
    --------
    >>> import minidl
    >>> minidl.tensordot(minidl.ones(2, 3, 4), minidl.ones(3, 4, 5)).shape
    (2, 5)

    References
    ----------
    ``numpy.tensordot``, ``torch.tensordot``.
    """
    x_shape, y_shape = shape_of(x, "tensordot", "x"), shape_of(y, "tensordot", "y")
    if isinstance(dims, int):
        if not 0 <= dims <= min(len(x_shape), len(y_shape)):
            raise ArgumentError(
                f"tensordot: cannot sum over {dims} axes of shapes {x_shape} and {y_shape}; dims must be from 0 to "
                f"{min(len(x_shape), len(y_shape))}, or two lists of axes"
            )
        dims = (range(len(x_shape) - dims, len(x_shape)), range(dims))
    x_axes = normalize_axes(dims[0], len(x_shape), "tensordot")
    y_axes = normalize_axes(dims[1], len(y_shape), "tensordot")
    x_sizes, y_sizes = tuple(x_shape[axis] for axis in x_axes), tuple(y_shape[axis] for axis in y_axes)
    if len(x_axes) != len(y_axes):
        raise ArgumentError(
            f"tensordot: {len(x_axes)} axes of the first meet {len(y_axes)} of the second; pair them up"
        )
    if x_sizes != y_sizes:
        raise ShapeError(
            f"tensordot: axes {x_axes} of shape {x_shape} have sizes {x_sizes}, axes {y_axes} of shape {y_shape} have "
            f"{y_sizes}; axes that meet must be equally long: choose others, or transpose"
        )
    x_term = tuple(range(len(x_shape)))
    partner = dict(zip(y_axes, x_axes, strict=True))
    y_term = tuple(partner.get(axis, len(x_shape) + axis) for axis in range(len(y_shape)))
    output = tuple(label for label in (*x_term, *y_term) if label not in x_axes)
    return Einsum.apply(x, y, terms=(x_term, y_term), output=output)
