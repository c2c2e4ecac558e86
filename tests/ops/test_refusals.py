"""Whatever a public operation is given, it computes, or refuses it with an error of minidl's own."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import ops
from minidl.autograd import Operation
from minidl.errors import ArgumentError, DTypeError, MiniDLError, ShapeError
from minidl.ops.arguments import takes_tensors

WRONG: dict[str, Any] = {
    "list": [1.0, 2.0],
    "nested": [["a"], [1]],
    "ragged": [[1.0], [2.0, 3.0]],
    "str": "abc",
    "None": None,
    "int": 2,
    "float": 2.0,
    "object": object(),
    "dict": {"a": 1},
    "complex": 1j,
    "complex array": np.ones((2, 3), complex),
    "array of str": np.array([["a", "b", "c"]] * 2),
    "array of objects": np.array([[None, 1, 2]] * 2),
}


def floats(*shape: int) -> minidl.Tensor:
    return minidl.full(shape, 0.5)


def ints(*shape: int) -> minidl.Tensor:
    return minidl.ones(shape, dtype="int64")


X, V, M, IMAGE, SIGNS = floats(2, 3), floats(3), floats(3, 3), floats(2, 4, 6, 6), ints(2, 3)
STEP = (floats(2, 3), floats(2, 4))  # x: (N, D), h: (N, U)


def gates(count: int) -> tuple[minidl.Tensor, ...]:
    return floats(count * 4, 3), floats(count * 4, 4), floats(count * 4), floats(count * 4)


#: A call of each operation that needs more than one or two tensors of shape (2, 3); tensors in it are replaced in turn.
CALLS: dict[str, tuple[Any, ...]] = {
    "adaptive_avg_pool1d": (floats(2, 4, 6), 2),
    "adaptive_avg_pool2d": (IMAGE, 2),
    "adaptive_max_pool2d": (IMAGE, 2),
    "addcdiv": (X, X, X),
    "addcmul": (X, X, X),
    "addmm": (M, M, M),
    "array_split": (X, 2),
    "avg_pool1d": (floats(2, 4, 6), 2),
    "avg_pool2d": (IMAGE, 2),
    "baddbmm": (floats(2, 3, 3), floats(2, 3, 3), floats(2, 3, 3)),
    "batch_norm": (X, V, V, V, V),
    "bincount": (ints(3), V),
    "binary_cross_entropy": (X, X, X),
    "binary_cross_entropy_with_logits": (X, X, X, "mean", V),
    "bitwise_and": (SIGNS, SIGNS),
    "bitwise_left_shift": (SIGNS, SIGNS),
    "bitwise_not": (SIGNS,),
    "bitwise_or": (SIGNS, SIGNS),
    "bitwise_right_shift": (SIGNS, SIGNS),
    "bitwise_xor": (SIGNS, SIGNS),
    "bmm": (floats(2, 3, 3), floats(2, 3, 3)),
    "broadcast_tensors": (X, X),
    "broadcast_to": (X, 2, 3),
    "cast": (X, "float64"),
    "cat": ([X, X],),
    "categorical_crossentropy": (X, X),
    "chunk": (X, 2),
    "clamp": (X, X, X),
    "clamp_max": (X, X),
    "clamp_min": (X, X),
    "clip": (X, X, X),
    "concat": ([X, X],),
    "concatenate": ([X, X],),
    "conv1d": (floats(2, 4, 6), floats(5, 4, 3), floats(5)),
    "conv2d": (IMAGE, floats(5, 4, 3, 3), floats(5)),
    "conv_transpose2d": (IMAGE, floats(4, 5, 3, 3), floats(5)),
    "cosine_embedding_loss": (X, X, ints(2)),
    "cross_entropy": (X, ints(2), V),
    "dense": (X, floats(3, 4), floats(4)),
    "dot": (V, V),
    "dropout1d": (floats(2, 4, 6),),
    "dropout2d": (IMAGE,),
    "einsum": ("ij,ij->i", X, X),
    "embedding": (ints(2, 3), X),
    "expand": (X, 2, 3),
    "expand_dims": (X, 0),
    "gather": (X, 1, ints(2, 3)),
    "gaussian_nll_loss": (X, X, X),
    "getitem": (X, ints(2)),
    "glu": (floats(2, 4),),
    "group_norm": (IMAGE, 2, floats(4), floats(4)),
    "gru_cell": (*STEP, *gates(3)),
    "gru_layer": (floats(5, 2, 3), floats(2, 4), *gates(3)),
    "hinge_embedding_loss": (X, SIGNS),
    "hinge_loss": (X, SIGNS),
    "histc": (X,),
    "hstack": ([X, X],),
    "index_add": (X, 1, ints(3), X),
    "index_select": (X, 1, ints(3)),
    "instance_norm": (IMAGE, floats(4), floats(4), floats(4), floats(4)),
    "kthvalue": (X, 1),
    "layer_norm": (X, (3,), V, V),
    "lerp": (X, X, X),
    "linear": (X, floats(4, 3), floats(4)),
    "lstm_cell": (*STEP, floats(2, 4), *gates(4)),
    "lstm_layer": (floats(5, 2, 3), floats(2, 4), floats(2, 4), *gates(4)),
    "margin_ranking_loss": (X, X, SIGNS),
    "masked_fill": (X, X > 0, floats()),
    "masked_select": (X, X > 0),
    "matmul": (M, M),
    "max_pool1d": (floats(2, 4, 6), 2),
    "max_pool2d": (IMAGE, 2),
    "mm": (M, M),
    "moveaxis": (X, 0, 1),
    "movedim": (X, 0, 1),
    "mv": (M, V),
    "narrow": (X, 0, 0, 1),
    "nll_loss": (-X, ints(2), V),
    "one_hot": (ints(3),),
    "pad": (X, (1, 1)),
    "permute": (X, 1, 0),
    "prelu": (X, V),
    "put_add": (X, ints(2), (4, 3)),
    "repeat": (X, 2, 2),
    "repeat_interleave": (X, ints(3), 1),
    "reshape": (X, 6),
    "rms_norm": (X, (3,), V),
    "rnn_cell": (*STEP, *gates(1)),
    "rnn_layer": (floats(5, 2, 3), floats(2, 4), *gates(1)),
    "roll": (X, 1),
    "scaled_dot_product_attention": (X, X, X, floats(2, 2)),
    "scatter": (X, 1, minidl.tensor([[2, 0, 1], [0, 1, 2]]), X),
    "scatter_add": (X, 1, ints(2, 3), X),
    "searchsorted": (V, X),
    "select": (X, 0, 0),
    "set_item": (X, X[0], ints(1)),
    "soft_margin_loss": (X, SIGNS),
    "sparse_categorical_crossentropy": (X, ints(2)),
    "split": (X, 1),
    "stack": ([X, X],),
    "swapaxes": (X, 0, 1),
    "swapdims": (X, 0, 1),
    "take": (X, ints(2)),
    "take_along_axis": (X, ints(2, 3), 1),
    "take_along_dim": (X, ints(2, 3), 1),
    "tensor_split": (X, 2),
    "tensordot": (M, M, 1),
    "threshold": (X, 0.0, 1.0),
    "tile": (X, 2, 2),
    "to_device": (X, "cpu"),
    "topk": (X, 1),
    "trace": (M,),
    "triplet_margin_loss": (X, X, X),
    "unflatten": (X, 1, (3, 1)),
    "unfold": (X, 1, 2, 1),
    "unsqueeze": (X, 0),
    "vdot": (V, V),
    "view": (X, 6),
    "vstack": ([X, X],),
    "where": (X > 0, X, X),
}

#: They make tensors from numbers, sizes and lists: below.
CREATION = {*ops.creation.__all__, "rand", "randint", "randn", "randperm", "normal", "bernoulli", "multinomial"}
CREATION -= {"zeros_like", "ones_like", "empty_like"}

PUBLIC = sorted(
    name
    for name, value in vars(ops).items()
    if inspect.isfunction(value) and not name.startswith("_") and name not in CREATION
)


def a_call(name: str) -> tuple[Any, ...]:
    """Return arguments that the operation takes."""
    if name in CALLS:
        return CALLS[name]
    parameters = inspect.signature(getattr(ops, name)).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    return (X,) * len(required)


def replaced(args: tuple[Any, ...], wrong: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the arguments with one tensor replaced by something else, with tensors and with arrays beside it."""
    for position, x in enumerate(args):
        if isinstance(x, minidl.Tensor):
            yield (*args[:position], wrong, *args[position + 1 :])
        elif isinstance(x, list):
            yield (*args[:position], [wrong, *x[1:]], *args[position + 1 :])
            yield (*args[:position], wrong, *args[position + 1 :])
    yield tuple(wrong if isinstance(x, minidl.Tensor) else x for x in args)


def arrays(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(x.numpy() if isinstance(x, minidl.Tensor) else x for x in args)


def test_the_table_lists_operations() -> None:
    assert not CALLS.keys() - set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_calls_of_the_table_are_right(name: str) -> None:
    function = getattr(ops, name)
    function(*a_call(name))
    function(*arrays(a_call(name)))


def offences(function: Callable[..., Any], call: tuple[Any, ...]) -> Iterator[str]:
    """Yield what a function does wrong with arguments some of which are no tensors."""
    for kind, wrong in WRONG.items():
        for args in replaced(call, wrong):
            for given in (args, arrays(args)):
                try:
                    function(*given)
                except MiniDLError as error:
                    if not re.match(r"[a-z_0-9]+: ", str(error)):
                        yield f"{kind}: {error}: names no operation"
                except Exception as error:
                    yield f"{kind}: {type(error).__name__}: {error}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", PUBLIC)
def test_what_is_no_tensor_computes_or_is_refused(name: str) -> None:
    found = set(offences(getattr(ops, name), a_call(name)))
    assert not found, "\n".join(sorted(found))


def test_an_offence_is_noticed() -> None:
    def careless(x: Any) -> Any:
        if x is None:
            raise ShapeError("what is this?")
        return x.shape

    found = set(offences(careless, (X,)))
    assert "list: AttributeError: 'list' object has no attribute 'shape'" in found
    assert "None: what is this?: names no operation" in found


MESSAGES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: minidl.sum([1.0]), DTypeError, r"^sum: argument 'x' is a list; .*: wrap it, minidl.tensor\(...\)$"),
    (lambda: minidl.sum(2.0), DTypeError, "sum: argument 'x' is a float; .* wrap it"),
    (lambda: minidl.sum("ab"), DTypeError, "sum: argument 'x' is a str; expected a Tensor or an array of numbers$"),
    (lambda: minidl.sum(x=None, dim=0), DTypeError, "sum: argument 'x' is None"),
    (lambda: minidl.sum(np.array(["a"])), DTypeError, "sum: argument 'x' is an array of <U1"),
    (lambda: minidl.reshape({}, 2), DTypeError, "reshape: argument 'x' is a dict"),
    (lambda: minidl.vdot([1.0], [1.0]), DTypeError, "vdot: argument 'x' is a list"),
    (lambda: minidl.broadcast_tensors(X, "a"), DTypeError, "broadcast_tensors: argument 'tensors' is a str"),
    (lambda: minidl.exp("a"), DTypeError, "exp: argument 'x' is a str"),
    (lambda: minidl.exp(np.array(["a"])), DTypeError, "exp: argument 'x' is an array of <U1"),
    (lambda: minidl.neg([1.0]), DTypeError, "neg: argument 'x' is a list"),
    (lambda: minidl.erf(1.0), DTypeError, "erf: argument 'x' is a float"),
    (lambda: minidl.add(np.ones(2), None), DTypeError, "add: argument 'y' is None"),
    (lambda: minidl.add(X, None), DTypeError, "add: argument 'y' is None"),
    (lambda: minidl.arctan2(X, None), DTypeError, "argument '.' is None"),
    (lambda: minidl.add(X, [[1.0], [2.0, 3.0]]), ShapeError, "add: argument 'y' is a ragged list"),
    (lambda: minidl.scatter(X, 0, ints(2, 3), "a"), DTypeError, "cannot make a tensor of a str"),
    (lambda: minidl.mul(np.ones(3), [1, 2]), ShapeError, r"mul: shapes \(3,\) and \(2,\) do not broadcast"),
    (lambda: minidl.bitwise_and(2.0, 1.0), DTypeError, "bitwise_and: expected integers or booleans, got float"),
    (lambda: minidl.fmod(np.ones(3), np.ones(2)), ShapeError, "fmod: shapes"),
    (lambda: minidl.matmul(None, X), DTypeError, "matmul: argument 'x' is None"),
    (lambda: minidl.matmul([[1.0], [2.0, 3.0]], X), ShapeError, "matmul: argument 'x' is a ragged list"),
    (lambda: minidl.linear(X, "a"), DTypeError, "linear: argument 'weight' is a str"),
    (lambda: minidl.einsum("i,i->i", [1.0], V), DTypeError, r"einsum: argument 'operands\[0\]' is a list"),
    (lambda: minidl.conv2d(IMAGE, [1.0]), DTypeError, "conv2d: argument 'weight' is a list"),
    (lambda: minidl.mse_loss(X, None), DTypeError, "mse_loss: argument 'target' is None"),
    (lambda: minidl.cross_entropy("a", ints(2)), DTypeError, "cross_entropy: argument 'input' is a str"),
    (lambda: minidl.cross_entropy(X, "a"), DTypeError, "cross_entropy: cannot make a tensor of a str"),
    (lambda: minidl.gather(X, 1, [[0], [0, 1]]), ShapeError, "gather: the nested lists are ragged"),
    (lambda: minidl.cast("a", "float32"), DTypeError, "cast: argument 'x' is a str"),
    (lambda: minidl.where("a"), DTypeError, "where: cannot make a tensor of a str"),
    (lambda: minidl.rms_norm(ints(2), 2), DTypeError, r"rms_norm: expected a float tensor, got int64.*x.float\(\)"),
    (lambda: minidl.sum(X, np.ones(2)), DTypeError, "sum: axis must be an integer"),
    (lambda: minidl.flip(X, "a"), DTypeError, "flip: axis must be an integer, got 'a'"),
    # creation
    (lambda: minidl.tensor(None), DTypeError, "tensor: cannot make a tensor of None; expected numbers"),
    (lambda: minidl.tensor("abc"), DTypeError, "tensor: cannot make a tensor of a str"),
    (lambda: minidl.tensor({"a": 1}), DTypeError, "tensor: cannot make a tensor of a dict"),
    (lambda: minidl.tensor([1, None]), DTypeError, "tensor: cannot make a tensor of object"),
    (lambda: minidl.tensor(2**70), DTypeError, "cannot make a tensor of an int of more than 64 bits"),
    (lambda: minidl.tensor([[1], [2, 3]]), ShapeError, "tensor: the nested lists are ragged"),
    (lambda: minidl.tensor(1, dtype={"a": 1}), DTypeError, "unknown dtype {'a': 1}"),
    (lambda: minidl.Tensor("abc"), DTypeError, "cannot make a tensor of a str"),
    (lambda: minidl.as_tensor(object()), DTypeError, "cannot make a tensor of an object"),
    (lambda: minidl.zeros("a"), DTypeError, r"zeros: sizes must be integers, got \('a',\)"),
    (lambda: minidl.zeros(None), DTypeError, "zeros: sizes must be integers"),
    (lambda: minidl.zeros(np.ones(2)), DTypeError, "zeros: sizes must be integers"),
    (lambda: minidl.ones([2.5]), DTypeError, "ones: sizes must be integers"),
    (lambda: minidl.empty((2, -1)), ShapeError, "empty: sizes must not be negative"),
    (lambda: minidl.full(2, "a"), DTypeError, "full: cannot make a tensor of a str"),
    (lambda: minidl.full("ab", 1), DTypeError, "full: sizes must be integers"),
    (lambda: minidl.zeros_like("a"), DTypeError, "zeros_like: cannot make a tensor of a str"),
    (lambda: minidl.full_like(None, 1), DTypeError, "full_like: cannot make a tensor of None"),
    (lambda: minidl.rand_like(1j * np.ones(2)), DTypeError, "rand_like: argument 'x' is an array of complex128"),
    (lambda: minidl.masked_fill([1.0], [0.5], 1), DTypeError, "masked_fill: the mask must hold booleans, got float32"),
    (lambda: minidl.masked_fill(X, X > 0, "a"), DTypeError, "masked_fill: argument 'value' is a str; .* a number, or"),
    (lambda: minidl.rand_like([1.0]), DTypeError, "rand_like: argument 'x' is a list"),
    (lambda: minidl.arange([1.0]), DTypeError, r"arange: end must be a number, got \[1.0\]"),
    (lambda: minidl.arange("a"), DTypeError, "arange: end must be a number, got 'a'"),
    (lambda: minidl.arange(0, np.ones(2)), DTypeError, "arange: end must be a number"),
    (lambda: minidl.arange(0, 5, None), DTypeError, "arange: step must be a number, got None"),
    (lambda: minidl.arange(0, 5, float("nan")), ArgumentError, "arange: no numbers lead from 0 to 5 in steps of nan"),
    (lambda: minidl.linspace(0, 1, 2.5), DTypeError, "linspace: the number of steps must be an integer, got 2.5"),
    (lambda: minidl.linspace(0, 1, "a"), DTypeError, "linspace: the number of steps must be an integer"),
    (lambda: minidl.linspace("a", 1, 2), DTypeError, "linspace: start must be a number"),
    (lambda: minidl.linspace(0, [1], 2), DTypeError, "linspace: end must be a number"),
    (lambda: minidl.logspace(0, 1, 2, "e"), DTypeError, "logspace: base must be a number, got 'e'"),
    (lambda: minidl.logspace(0, None, 2), DTypeError, "logspace: end must be a number"),
    (lambda: minidl.eye(-1), ShapeError, "eye: sizes must not be negative"),
    (lambda: minidl.eye("a"), DTypeError, "eye: sizes must be integers"),
    (lambda: minidl.tril_indices(2, 2, "a"), DTypeError, "tril_indices: offset must be an integer"),
    (lambda: minidl.triu_indices(2, 2, 0.5), DTypeError, "triu_indices: offset must be an integer"),
    (lambda: minidl.meshgrid("abc"), DTypeError, "cannot make a tensor of a str"),
    (lambda: minidl.from_dlpack(np.array(["a"])), DTypeError, "from_dlpack: an array of <U1 cannot be exchanged"),
    (lambda: minidl.from_dlpack([1.0]), DTypeError, "from_dlpack: list has no __dlpack__"),
    (lambda: minidl.rand("a"), DTypeError, "rand: sizes must be integers"),
    (lambda: minidl.randn(None), DTypeError, "randn: sizes must be integers"),
    (lambda: minidl.randint(5, 2, (3,)), ArgumentError, "randint: high must be above low, got low=5 and high=2"),
    (lambda: minidl.randint("a", "b", (3,)), DTypeError, "randint: low must be an integer, got 'a'"),
    (lambda: minidl.randint(0, 2.5, (3,)), DTypeError, "randint: high must be an integer, got 2.5"),
    (lambda: minidl.randint(0, 5, "a"), DTypeError, "randint: sizes must be integers"),
    (lambda: minidl.randperm("a"), DTypeError, "randperm: sizes must be integers"),
    (lambda: minidl.normal("a", 1.0, 2), DTypeError, "normal: cannot make a tensor of a str"),
    (lambda: minidl.normal(0.0, None, 2), DTypeError, "normal: cannot make a tensor of None"),
    (lambda: minidl.bernoulli("a"), DTypeError, "bernoulli: cannot make a tensor of a str"),
    (lambda: minidl.multinomial(None, 1), DTypeError, "multinomial: cannot make a tensor of None"),
    (lambda: minidl.multinomial(X, "a"), DTypeError, "multinomial: num_samples must be an integer, got 'a'"),
]


@pytest.mark.parametrize(("call", "error", "message"), MESSAGES)
def test_messages(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(CREATION))
def test_what_makes_no_tensor_is_refused(name: str) -> None:
    function = getattr(ops, name)
    for wrong in WRONG.values():
        for args in ((wrong,), (2, wrong), (wrong, 2), (2, 3, wrong), (wrong,) * 3):
            try:
                inspect.signature(function).bind(*args)
            except TypeError:
                continue
            with contextlib.suppress(MiniDLError):
                function(*args)


def test_another_library_is_named() -> None:
    torch = pytest.importorskip("torch")
    with pytest.raises(DTypeError, match=r"add: argument 'y' is a torch.Tensor; expected .*: wrap it, minidl.tensor"):
        minidl.ones(2) + torch.ones(2)


def test_numbers_and_lists_stay_operands() -> None:
    assert minidl.add(2, 3) == 5
    assert minidl.where(X > 0, 1.0, [0.0] * 3).shape == (2, 3)
    assert minidl.maximum(X, [0.0, 1.0, 0.0]).tolist() == [[0.5, 1.0, 0.5]] * 2
    assert minidl.matmul([[1.0, 2.0]], M[:2]).shape == (1, 3)
    assert minidl.arange(minidl.tensor(3)).tolist() == [0, 1, 2]
    assert [x.tolist() for x in minidl.where(minidl.tensor(3.0))] == [[0]]


def test_none_is_what_an_optional_tensor_may_be() -> None:
    assert minidl.layer_norm(X, (3,), None, None).shape == (2, 3)
    with pytest.raises(DTypeError, match="layer_norm: argument 'bias' is a list"):
        minidl.layer_norm(X, (3,), None, [0.0] * 3)


def test_wrong_calls_stay_pythons_errors() -> None:
    for call, message in (
        (lambda: minidl.sum(X, axes=0), "unexpected keyword argument 'axes'"),
        (lambda: minidl.sum([1.0], axes=0), "unexpected keyword argument 'axes'"),
        (lambda: minidl.sum(), "missing 1 required positional argument: 'x'"),
        (lambda: minidl.ravel("a", "b"), "takes 1 positional argument but 2 were given"),
    ):
        with pytest.raises(TypeError, match=message) as caught:
            call()
        assert not isinstance(caught.value, MiniDLError)
    with pytest.raises(ArgumentError, match="sum: dim= and axis= are one argument"):
        minidl.sum(X, dim=0, axis=0)


def test_a_fault_of_the_operation_is_not_hidden() -> None:
    @takes_tensors("x")
    def faulty(x: Any, bias: Any = None) -> Any:
        return x.nonexistent

    with pytest.raises(AttributeError, match="nonexistent"):
        faulty(X)

    class Faulty(Operation, register=False):
        def forward(self, x: Any, y: Any = None) -> Any:
            return self.nonexistent  # type: ignore[attr-defined]

    for args in ((X,), (X.numpy(),), (X, None), (X.numpy(), 2.0)):
        with pytest.raises(AttributeError, match="'Faulty' object has no attribute 'nonexistent'"):
            Faulty.apply(*args)


def test_functions_keep_their_signatures() -> None:
    assert list(inspect.signature(minidl.sum).parameters) == ["x", "axis", "keepdims", "dtype"]
    assert minidl.sum.__name__ == "sum"
    assert minidl.sum.__doc__.startswith("Return the sum")
