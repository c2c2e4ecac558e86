"""Module: what it finds, how it saves, how it fails, how it prints."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.autograd.hooks import RemovableHandle
from minidl.errors import ArgumentError, DTypeError, ShapeError, StateError
from tests.nn.harness import normal, torch


class Nested(nn.Module):
    """Parameters and modules wherever they may stand."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.scale = nn.Parameter(minidl.ones(1))
        self.layers = [nn.Linear(3, 3), {"deep": nn.Linear(3, 1), "list": [nn.Parameter(minidl.zeros(2))]}]
        self.pair = (nn.Parameter(minidl.zeros(3)), "a string", 7)
        self.register_buffer("steps", minidl.tensor(0))
        self.register_buffer("scratch", minidl.zeros(2), persistent=False)
        self.last = nn.Linear(1, 1, bias=False)
        self.plain = minidl.zeros(3)  # a tensor that is neither parameter nor buffer

    def forward(self, x: Any) -> Any:
        x = self.layers[0](self.first(x)) * self.scale
        return self.last(self.layers[1]["deep"](x))


NAMES = [
    "first.weight",
    "first.bias",
    "scale",
    "layers.0.weight",
    "layers.0.bias",
    "layers.1.deep.weight",
    "layers.1.deep.bias",
    "layers.1.list.0",
    "pair.0",
    "last.weight",
]


def test_parameters_are_found_in_attributes_lists_tuples_and_dicts_in_definition_order() -> None:
    model = Nested()
    assert [name for name, _ in model.named_parameters()] == NAMES
    assert all(isinstance(p, nn.Parameter) for p in model.parameters())
    assert [name for name, _ in model.named_parameters(recurse=False)] == ["scale", "layers.1.list.0", "pair.0"]
    assert [name for name, _ in model.named_parameters("model")] == [f"model.{name}" for name in NAMES]
    assert [name for name, _ in model.named_buffers()] == ["steps", "scratch"]
    assert [name for name, _ in model.named_children()] == ["first", "layers.0", "layers.1.deep", "last"]
    assert [name for name, _ in model.named_modules()] == ["", "first", "layers.0", "layers.1.deep", "last"]
    assert next(model.modules()) is model
    assert model.num_parameters() == sum(p.array.size for p in model.parameters()) == 9 + 1 + 12 + 4 + 2 + 3 + 1


def test_reassigning_keeps_the_place_and_deleting_removes_it() -> None:
    model = Nested()
    model.scale = nn.Parameter(minidl.zeros(1))
    assert [name for name, _ in model.named_parameters()] == NAMES
    del model.scale
    assert "scale" not in dict(model.named_parameters())
    del model.steps
    assert [name for name, _ in model.named_buffers()] == ["scratch"]
    model.steps = minidl.tensor(0)  # an ordinary attribute now
    assert [name for name, _ in model.named_buffers()] == ["scratch"]


def test_setting_attributes_before_super_init_works() -> None:
    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 2)
            self.register_buffer("mean", minidl.zeros(2))
            self.training = False
            super().__init__()

    class Never(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            return self.layer(x)

    early = Early()
    assert list(early.state_dict()) == ["layer.weight", "layer.bias", "mean"]
    assert not early.training
    assert Never()(minidl.ones(1, 2)).shape == (1, 2)
    assert Never().train().training


def test_a_typo_raises_and_names_what_is_similar() -> None:
    model = Nested()
    with pytest.raises(AttributeError, match=r"^Nested has no 'frist'; similar names are 'first'"):
        _ = model.frist
    with pytest.raises(AttributeError, match=r"^Linear has no 'wieght'; similar names are 'weight'"):
        _ = model.first.wieght
    with pytest.raises(AttributeError, match=r"^Nested has no 'xyzzy'$"):
        _ = model.xyzzy
    assert not hasattr(model, "bias")
    assert "first" in dir(model)


def test_an_attribute_error_inside_a_property_is_not_hidden() -> None:
    class Broken(nn.Module):
        @property
        def size(self) -> int:
            return None.missing  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'missing'"):
        _ = Broken().size


def test_a_parameter_is_not_replaced_by_something_that_would_not_be_trained() -> None:
    layer = nn.Linear(2, 2)
    for value in (minidl.zeros(2, 2), np.zeros((2, 2)), 3):
        with pytest.raises(DTypeError, match=r"Linear.weight is a Parameter, and a \w+ cannot take its place"):
            layer.weight = value
    layer.bias = None
    assert [name for name, _ in layer.named_parameters()] == ["weight"]
    model = Nested()
    with pytest.raises(DTypeError, match=r"Nested.steps is a buffer, and a int cannot take its place"):
        model.steps = 3
    model.steps = minidl.tensor(5)
    assert model.state_dict()["steps"].item() == 5
    model.steps = nn.Parameter(minidl.zeros(1))  # no longer a buffer
    assert "steps" in dict(model.named_parameters())
    assert "steps" not in dict(model.named_buffers())


def test_registering() -> None:
    model = nn.Module()
    model.register_parameter("w", nn.Parameter(minidl.zeros(2)))
    model.register_parameter("none", None)
    model.register_module("child", nn.Linear(1, 1))
    model.add_module("other", nn.Linear(1, 1))
    assert list(model.state_dict()) == ["w", "child.weight", "child.bias", "other.weight", "other.bias"]
    assert model.none is None
    model.count = 3
    with pytest.raises(ArgumentError, match="has an attribute 'count' already"):
        model.register_buffer("count", minidl.zeros(1))
    with pytest.raises(ArgumentError, match="has an attribute 'forward' already"):
        model.add_module("forward", nn.Linear(1, 1))
    with pytest.raises(ArgumentError, match=r"'a\.b' cannot name a member: expected a str without a dot"):
        model.register_buffer("a.b", minidl.zeros(1))
    with pytest.raises(DTypeError, match="register_parameter: expected a Parameter or None, got a Tensor"):
        model.register_parameter("v", minidl.zeros(1))
    with pytest.raises(DTypeError, match="register_buffer: expected a Tensor or None, got a Parameter"):
        model.register_buffer("v", nn.Parameter(minidl.zeros(1)))
    with pytest.raises(DTypeError, match="add_module: expected a Module or None, got a int"):
        model.add_module("v", 3)


def test_get_submodule_and_get_parameter() -> None:
    model = Nested()
    assert model.get_submodule("layers.1.deep") is model.layers[1]["deep"]
    assert model.get_submodule("") is model
    assert model.get_parameter("layers.0.bias") is model.layers[0].bias
    assert model.get_buffer("steps") is model.steps
    with pytest.raises(AttributeError, match=r"Nested has no 'layers.0.baas'; similar names are 'layers.0.bias'"):
        model.get_parameter("layers.0.baas")
    with pytest.raises(AttributeError, match=r"Nested has no 'layers\.7'"):
        model.get_submodule("layers.7")


def test_a_module_without_forward_says_so() -> None:
    with pytest.raises(NotImplementedError, match="Nothing has no forward; define"):
        type("Nothing", (nn.Module,), {})()(1)


# ---------------------------------------------------------------------- sharing


def test_shared_parameters_come_once_but_keep_all_their_names_in_the_state() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encode = nn.Linear(3, 3, bias=False)
            self.decode = nn.Linear(3, 3, bias=False)
            self.decode.weight = self.encode.weight
            self.again = self.encode

    model = Tied()
    assert [name for name, _ in model.named_parameters()] == ["encode.weight"]
    assert len(list(model.named_parameters(remove_duplicate=False))) == 3
    assert [name for name, _ in model.named_modules()] == ["", "encode", "decode"]
    assert list(model.state_dict()) == ["encode.weight", "decode.weight", "again.weight"]
    assert model.num_parameters() == 9
    twin = copy.deepcopy(model)
    assert twin.decode.weight is twin.encode.weight
    assert twin.again is twin.encode
    model.load_state_dict(model.state_dict())


def test_a_module_that_holds_its_parent_is_walked_once() -> None:
    parent, child = nn.Module(), nn.Linear(1, 1)
    parent.child = child
    child.parent = [parent]
    assert list(parent.state_dict()) == ["child.weight", "child.bias"]
    assert [name for name, _ in parent.named_modules()] == ["", "child"]
    endless: list[Any] = [nn.Parameter(minidl.zeros(1))]
    endless.append(endless)
    parent.endless = endless
    assert "endless.0" in parent.state_dict()


# ---------------------------------------------------------------------- state


def test_state_dict_shares_memory_and_has_no_graph() -> None:
    model = Nested()
    state = model.state_dict()
    assert list(state) == [*NAMES[:-1], "steps", "last.weight"]
    assert np.shares_memory(state["scale"].array, model.scale.array)
    assert not state["scale"].requires_grad
    assert type(state["scale"]) is minidl.Tensor
    assert model.state_dict(keep_vars=True)["scale"] is model.scale
    assert all(name.startswith("m.") for name in model.state_dict(prefix="m."))


@pytest.mark.parametrize(
    "convert",
    [
        lambda x: x,
        lambda x: x.numpy(),
        lambda x: pytest.importorskip("torch").from_numpy(np.array(x.numpy(), dtype=np.float64)),
        lambda x: pytest.importorskip("torch").tensor(x.numpy(), requires_grad=x.dtype.kind == "f"),
        lambda x: x.numpy().tolist(),
        lambda x: _DLPackOnly(x.numpy().copy()),
    ],
    ids=["minidl", "numpy", "torch-float64", "torch-requires-grad", "lists", "dlpack"],
)
def test_load_state_dict_takes_any_array(convert: Any) -> None:
    source, target = Nested(), Nested()
    source.steps = minidl.tensor(3)
    before = target.first.weight
    version = before.version
    result = target.load_state_dict({name: convert(x) for name, x in source.state_dict().items()})
    assert result == ([], [])
    assert target.first.weight is before
    for (name, x), (_, y) in zip(source.state_dict().items(), target.state_dict().items(), strict=True):
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(x.numpy(), y.numpy(), err_msg=name)
    assert before.version == version + 1  # a graph that saved the old values is told


class _DLPackOnly:
    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **kwargs: Any) -> Any:
        return self._array.__dlpack__(**kwargs)

    def __dlpack_device__(self) -> Any:
        return self._array.__dlpack_device__()


def test_a_state_that_does_not_fit_is_described_and_not_loaded() -> None:
    model = Nested()
    before = {name: x.numpy().copy() for name, x in model.state_dict().items()}
    state: dict[str, Any] = {name: x.numpy() + 1 for name, x in model.state_dict().items()}
    del state["scale"]
    state["surplus"] = np.zeros(2)
    state["first.weight"] = np.zeros((2, 3))
    state["pair.0"] = "words"
    with pytest.raises(StateError) as caught:
        model.load_state_dict(state)
    message = str(caught.value)
    assert "does not fit Nested, so nothing was loaded" in message
    assert "missing from the state: scale" in message
    assert "unexpected in the state: surplus" in message
    assert "first.weight has shape (2, 3) in the state and (3, 2) in the model" in message
    assert "pair.0 cannot be read as numbers" in message
    assert "strict=False leaves out names that do not match" in message
    for name, x in model.state_dict().items():
        np.testing.assert_array_equal(x.numpy(), before[name])
    with pytest.raises(StateError, match=r"first\.weight has shape"):
        model.load_state_dict({"first.weight": np.zeros((2, 3))}, strict=False)
    result = model.load_state_dict({"scale": [9.0], "surplus": 1}, strict=False)
    assert result.missing_keys == [name for name in before if name != "scale"]
    assert result.unexpected_keys == ["surplus"]
    assert model.scale.item() == 9
    with pytest.raises(StateError, match="expected a dict of names to tensors, got a list"):
        model.load_state_dict([1, 2])  # type: ignore[arg-type]


# ---------------------------------------------------------------------- modes, dtypes, gradients


def test_train_and_eval_reach_all_modules() -> None:
    model = Nested()
    assert all(not module.training for module in model.eval().modules())
    assert all(module.training for module in model.train().modules())


def test_train_may_be_overridden_by_a_submodule() -> None:
    class Frozen(nn.Linear):
        def train(self, mode: bool = True) -> Any:
            return super().train(False)

    model = nn.Sequential(Frozen(1, 1), nn.Linear(1, 1)).train()
    assert [module.training for module in model] == [False, True]


def test_to_converts_floats_in_place_and_their_gradients() -> None:
    model = Nested()
    model(minidl.ones(1, 2)).sum().backward()
    weight = model.first.weight
    assert model.double() is model
    assert model.first.weight is weight
    assert weight.dtype == weight.grad.dtype == np.float64
    assert model.steps.dtype == np.int64
    assert model.scratch.dtype == np.float64
    assert model.half().scale.dtype == np.float16
    assert model.float().scale.dtype == np.float32
    assert model.to(minidl.zeros(1, dtype="float64")).scale.dtype == np.float64
    assert model.to("cpu", "float32").scale.dtype == np.float32
    assert model.to(dtype=np.float64).cpu().scale.dtype == np.float64
    with pytest.raises(DTypeError, match=r"Nested.to: parameters are floats; expected a float dtype, got int64"):
        model.to("int64")


def test_zero_grad_requires_grad_and_apply() -> None:
    model = Nested()
    model(minidl.ones(1, 2)).sum().backward()
    grad = model.scale.grad
    model.zero_grad(set_to_none=False)
    assert model.scale.grad is grad
    assert grad.item() == 0
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert not any(p.requires_grad for p in model.requires_grad_(False).parameters())
    assert model.num_parameters(trainable_only=True) == 0
    seen: list[str] = []
    assert model.apply(lambda module: seen.append(type(module).__name__)) is model
    assert seen == ["Linear"] * 4 + ["Nested"]


def test_deepcopy_is_independent() -> None:
    model = Nested()
    model(minidl.ones(1, 2)).sum().backward()
    model.eval()
    twin = copy.deepcopy(model)
    assert not twin.training
    assert isinstance(twin.scale, nn.Parameter)
    assert model.scale.grad is not None
    assert twin.scale.grad is None
    with minidl.no_grad():
        twin.scale += 1
        twin.layers[0].weight *= 0
        twin.steps += 1
    assert model.scale.item() == 1
    assert abs(model.layers[0].weight.detach().numpy()).max() > 0
    assert model.steps.item() == 0
    assert copy.deepcopy(twin).requires_grad_(False).scale.requires_grad is False
    assert twin.scale.requires_grad


# ---------------------------------------------------------------------- hooks


def test_forward_hooks_see_and_replace() -> None:
    layer = nn.Linear(2, 2)
    calls: list[Any] = []
    x = minidl.ones(1, 2)
    first = layer.register_forward_pre_hook(lambda module, args: calls.append(("before", module, args)))
    second = layer.register_forward_hook(lambda module, args, output: calls.append(("after", args, output)))
    assert isinstance(first, RemovableHandle)
    y = layer(x)
    assert [call[0] for call in calls] == ["before", "after"]
    assert calls[0][1] is layer
    assert calls[0][2][0] is x
    assert calls[1][2] is y
    first.remove()
    second.remove()
    second.remove()
    layer(x)
    assert len(calls) == 2

    with layer.register_forward_pre_hook(lambda module, args: args[0] * 0):
        np.testing.assert_array_equal(layer(x).detach().numpy()[0], layer.bias.detach().numpy())
    with layer.register_forward_hook(lambda module, args, output: output * 0):
        assert layer(x).sum().item() == 0
    order: list[int] = []
    layer.register_forward_hook(lambda *_: order.append(1))
    layer.register_forward_hook(lambda *_: order.append(2))
    layer.register_forward_hook(lambda *_: order.append(0), prepend=True)
    layer(x)
    assert order == [0, 1, 2]


def test_forward_hooks_with_kwargs() -> None:
    class Power(nn.Module):
        def forward(self, x: Any, *, times: int = 1) -> Any:
            return x * times

    module = Power()
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"times": kwargs["times"] + 1}), with_kwargs=True)
    seen: list[Any] = []
    module.register_forward_hook(lambda m, args, kwargs, output: seen.append(kwargs), with_kwargs=True)
    assert module(minidl.ones(1), times=2).item() == 3
    assert seen == [{"times": 3}]


def test_backward_hooks_see_and_replace_gradients() -> None:
    pytest.importorskip("torch")
    theirs, ours = torch.nn.Linear(3, 2), nn.Linear(3, 2)
    ours.load_state_dict(theirs.state_dict())
    x = normal(4, 3)
    seen: list[Any] = []
    recorded: list[Any] = []
    ours.register_full_backward_hook(lambda module, grad_in, grad_out: seen.append((module, grad_in, grad_out)))
    theirs.register_full_backward_hook(lambda module, grad_in, grad_out: recorded.append((grad_in, grad_out)))
    (ours(minidl.tensor(x, requires_grad=True)) ** 2).sum().backward()
    (theirs(torch.tensor(x, requires_grad=True)) ** 2).sum().backward()
    assert seen[0][0] is ours
    np.testing.assert_allclose(seen[0][1][0].numpy(), recorded[0][0][0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(seen[0][2][0].numpy(), recorded[0][1][0].numpy(), rtol=1e-5)
    np.testing.assert_allclose(ours.weight.grad.numpy(), theirs.weight.grad.numpy(), rtol=1e-5)

    plain = nn.Linear(3, 2)
    handle = plain.register_full_backward_hook(lambda module, grad_in, grad_out: (grad_in[0] * 2,))
    z = minidl.tensor(x, requires_grad=True)
    plain(z).sum().backward()
    doubled = z.grad.numpy().copy()
    handle.remove()
    z.grad = None
    plain(z).sum().backward()
    np.testing.assert_allclose(doubled, 2 * z.grad.numpy(), rtol=1e-6)

    bad = nn.Linear(3, 2)
    bad.register_full_backward_hook(lambda module, grad_in, grad_out: (None, None, None))
    with pytest.raises(ArgumentError, match="a backward hook of Linear returned 3 gradients for 1 inputs"):
        bad(z).sum().backward()
    outputs: list[Any] = []
    first = nn.Linear(3, 2)  # its input needs no gradient
    first.register_full_backward_hook(lambda module, grad_in, grad_out: outputs.append((grad_in, grad_out)))
    first(minidl.tensor(x)).sum().backward()
    np.testing.assert_array_equal(outputs[0][1][0].numpy(), np.ones((4, 2)))

    class Dicts(nn.Module):
        def forward(self, x: Any) -> Any:
            return {"y": x}

    module = Dicts()
    module.register_full_backward_hook(lambda *_: None)
    with pytest.raises(ArgumentError, match="Dicts returned a dict"):
        module(z)


def test_backward_hooks_serve_the_second_order() -> None:
    layer = nn.Linear(2, 1)
    layer.register_full_backward_hook(lambda module, grad_in, grad_out: (grad_in[0] * 3,))
    x = minidl.tensor([[1.0, 2.0]], requires_grad=True)
    (grad,) = minidl.grad((layer(x) ** 2).sum(), [x], create_graph=True)
    (second,) = minidl.grad(grad.sum(), [x])
    weight = layer.weight.detach().numpy()
    np.testing.assert_allclose(second.numpy(), 9 * 2 * weight * weight.sum(), rtol=1e-5)


# ---------------------------------------------------------------------- errors name the layer


class SimpleCNN(nn.Module):
    """The network of document 000, which is written for images of 32 x 32."""

    def __init__(self) -> None:
        super(SimpleCNN, self).__init__()  # noqa: UP008  (as in the document)
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Any) -> Any:
        x = self.pool(minidl.relu(self.conv1(x)))
        x = self.pool(minidl.relu(self.conv2(x)))
        x = self.flatten(x)
        x = minidl.relu(self.fc1(x))
        x = minidl.relu(self.fc2(x))
        return self.fc3(x)

    def flatten(self, x: Any) -> Any:
        return x.view(-1, 16 * 5 * 5)


class Flattening(SimpleCNN):
    def flatten(self, x: Any) -> Any:
        return x.flatten(1)


def test_the_network_of_the_document() -> None:
    assert SimpleCNN()(minidl.zeros(2, 1, 32, 32)).shape == (2, 10)
    with pytest.raises(ShapeError) as caught:
        SimpleCNN()(minidl.zeros(32, 1, 28, 28))
    message = str(caught.value)
    assert message.startswith("in SimpleCNN: ")
    assert message == (
        "in SimpleCNN: reshape: a tensor of shape (32, 16, 4, 4) has 8192 elements, which do not fit shape (-1, 400) "
        "(8192 is not a multiple of 400); x.flatten(1) joins all axes but the batch: (32, 256)"
    )

    with pytest.raises(ShapeError) as caught:
        Flattening()(minidl.zeros(32, 1, 28, 28))
    message = str(caught.value)
    assert message.startswith("in Flattening.fc1: Linear(in_features=400, out_features=120, bias=True): linear: ")
    assert "256" in message
    assert "in_features=256" in message  # the fix


def test_errors_name_the_path_to_the_layer() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Linear(4, 2)))
    with pytest.raises(ShapeError, match=r"^in Sequential\.1\.1: Linear\(in_features=4, out_features=2, bias=True\): "):
        model(minidl.ones(1, 2))
    with pytest.raises(ShapeError, match=r"^in Linear\(in_features=4, out_features=2, bias=True\): linear"):
        model[1][1](minidl.ones(1, 2))

    class Direct(nn.Module):
        """Calls a grandchild, and a module that it does not hold."""

        def __init__(self) -> None:
            super().__init__()
            self.blocks = [model]

        def forward(self, x: Any) -> Any:
            if x.ndim == 1:
                return nn.Linear(7, 1)(x)
            return self.blocks[0][1][1](x)

    with pytest.raises(ShapeError, match=r"^in Direct\.blocks\.0\.1\.1: Linear\(in_features=4"):
        Direct()(minidl.ones(1, 2))
    with pytest.raises(ShapeError, match=r"^in Direct\.<Linear>: Linear\(in_features=7"):
        Direct()(minidl.ones(2))


def test_other_errors_pass_unchanged() -> None:
    class Fails(nn.Module):
        def forward(self, x: Any) -> Any:
            raise KeyError("mine")

    with pytest.raises(KeyError, match=r"^'mine'$"):
        nn.Sequential(Fails())(1)


# ---------------------------------------------------------------------- printing


def test_repr_is_pytorchs() -> None:
    pytest.importorskip("torch")

    def build(n: Any) -> Any:
        class Net(n.Module):
            def __init__(self) -> None:
                super().__init__()
                self.features = n.Sequential(n.Conv2d(1, 6, 5), n.ReLU(), n.MaxPool2d(2))
                self.blocks = n.ModuleList([n.Linear(2, 2), n.Linear(2, 2), n.Dropout(0.1)])
                self.heads = n.ModuleDict({"a": n.Linear(3, 1), "b": n.Identity()})
                self.empty = n.Sequential()

            def extra_repr(self) -> str:
                return "two\nlines"

        return Net()

    assert repr(build(nn)) == repr(build(torch.nn))


def test_repr_shows_modules_in_plain_lists() -> None:
    assert "(layers.1.deep): Linear(in_features=3, out_features=1, bias=True)" in repr(Nested())


def test_parameter() -> None:
    x = minidl.ones(2)
    p = nn.Parameter(x)
    assert p.requires_grad
    assert not x.requires_grad
    assert p.array is x.array
    assert isinstance(p, minidl.Tensor)
    assert repr(p) == f"Parameter containing:\n{minidl.ones(2, requires_grad=True)!r}"
    assert not nn.Parameter(x, requires_grad=False).requires_grad
    y = minidl.ones(2, requires_grad=True) * 2
    leaf = nn.Parameter(y)
    leaf.sum().backward()
    assert leaf.grad is not None
    with pytest.raises(minidl.errors.GradError, match="only float tensors can require gradients"):
        nn.Parameter(minidl.tensor([1]))
    assert nn.Parameter(minidl.tensor([1]), requires_grad=False).dtype == np.int64


# ---------------------------------------------------------------------- summary


def test_summary() -> None:
    model = SimpleCNN()
    model.fc3.requires_grad_(False)
    model.pool.eval()
    table = model.summary((4, 1, 32, 32))
    assert [(row.name, row.kind, row.output_shape, row.parameters) for row in table.rows] == [
        ("conv1", "Conv2d", (4, 6, 28, 28), 156),
        ("pool", "MaxPool2d", (4, 16, 5, 5), 0),
        ("conv2", "Conv2d", (4, 16, 10, 10), 2416),
        ("fc1", "Linear", (4, 120), 48120),
        ("fc2", "Linear", (4, 84), 10164),
        ("fc3", "Linear", (4, 10), 850),
    ]
    assert (table.total, table.trainable, table.size) == (61706, 60856, 61706 * 4)
    text = str(table)
    assert text == repr(table)
    assert "conv2 (Conv2d)" in text
    assert "(4, 16, 10, 10)" in text
    assert "Total parameters: 61,706" in text
    assert "Trainable parameters: 60,856" in text
    assert "Size: 241.04 KiB" in text
    assert len({len(line) for line in text.splitlines()[1:5]}) == 1  # aligned
    assert [module.training for module in model.modules()] == [True, True, False, True, True, True, True]
    assert model.conv1._hooks.after == {}


def test_summary_of_nested_modules_several_inputs_and_integers() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 3)
            self.block = nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2))

        def forward(self, x: Any, y: Any) -> Any:
            return self.block(self.table(x) + self.table(y))

    table = Two().summary((5,), (5,), dtype="int64")
    assert [(row.name, row.output_shape) for row in table.rows] == [
        ("table", (5, 3)),
        ("block", (5, 2)),
        ("block.0", (5, 3)),
        ("block.1", (5, 2)),
    ]
    assert nn.Linear(2, 3).summary(4, 2).rows[0].output_shape == (4, 3)
    with pytest.raises(ArgumentError, match="summary: expected the shape of each input"):
        Two().summary("a")


def test_summary_restores_the_modes_when_the_model_fails() -> None:
    model = SimpleCNN()
    with pytest.raises(ShapeError):
        model.summary((1, 1, 28, 28, 1))
    assert all(module.training for module in model.modules())
    assert all(not module._hooks.after for module in model.modules())
