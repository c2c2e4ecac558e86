"""Module: what every layer and every model derives from.

A module has no register of what belongs to it. Its parameters and submodules are ordinary attributes (or stand in
lists, tuples and dicts that are), and its ``__dict__``, which keeps the order of definition, is looked through when
somebody asks. So looking an attribute up costs what it costs in any Python object, and nothing goes wrong if a
subclass sets attributes before it calls ``super().__init__()``.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import BuiltinFunctionType, FunctionType
from typing import Any, NamedTuple, Self

import numpy as np

from minidl.autograd import Variable
from minidl.autograd.hooks import RemovableHandle
from minidl.backend import Device, as_dtype, device_of, is_array, there, to_device
from minidl.errors import ArgumentError, DTypeError, MiniDLError, StateError
from minidl.nn.hooks import Hooks
from minidl.nn.parameter import Parameter
from minidl.nn.summary import Summary, summarize

#: What most attributes are, and what holds no parameter or module: so that looking through them is quick.
_PLAIN = frozenset((bool, int, float, str, type(None), FunctionType, BuiltinFunctionType))


class LoadResult(NamedTuple):
    """What :meth:`Module.load_state_dict` found not to fit, with ``strict=False``."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"LoadResult(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


class Members:
    """When any module was last given a member, or lost one: an object of its own for each moment."""

    moment: object = object()

    @classmethod
    def changed(cls) -> None:
        """Tell those who remember what modules are made of."""
        cls.moment = object()


class NoSuchNameError(AttributeError):
    """A module has nothing of a name; similar names are looked for when the error is shown, and not for ``hasattr``."""

    def __init__(self, owner: Module, name: str, candidates: Callable[[], Iterable[str]]) -> None:
        super().__init__(f"{type(owner).__name__} has no {name!r}")
        self.missing, self.candidates = name, candidates

    def __str__(self) -> str:
        close = difflib.get_close_matches(self.missing, self.candidates(), 3)
        return super().__str__() + (f"; similar names are {', '.join(map(repr, close))}" if close else "")


class Module:
    r"""The base of all layers and models: a function with parameters.

    .. math:: y = f_\theta(x)

    A subclass sets its parameters and submodules as attributes, also inside lists, tuples and dicts, and defines
    ``forward``. Calling the module calls ``forward``; an error on the way names the layer that it came from.

    Shape
    -----
    Input, Output : as ``forward`` has them

    Raises
    ------
    AttributeError
        If an attribute does not exist; the message names those with similar names.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> class Scale(nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = nn.Parameter(minidl.tensor([2.0]))
    ...
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> Scale()(minidl.tensor([1.0, 3.0])).detach()
    tensor([2., 6.])

    References
    ----------
    ``torch.nn.Module``.
    """

    training: bool = True
    _hooks: Hooks | None = None
    _buffer_names: Mapping[str, bool] = {}  # name: whether it is part of the state
    _shown: tuple[str, ...] = ()  # the attributes that repr lists

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's result; subclasses define it."""
        raise NotImplementedError(f"{type(self).__name__} has no forward; define `def forward(self, x):` in it")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if self._hooks is None:
                return self.forward(*args, **kwargs)
            return self._hooks.call(self, args, kwargs)
        except MiniDLError as error:
            self._locate(error)
            raise

    def _locate(self, error: MiniDLError) -> None:
        """Add this module to the path of an error that passes through it."""
        inner = error.layer
        if inner is None:
            leaf = next(self.children(), None) is None
            error.at_layer(self, "", repr(self) if leaf else "")
        elif inner is not self:
            names = (name for name, module in self.named_modules() if module is inner)
            error.at_layer(self, next(names, f"<{type(inner).__name__}>"), "")

    # ------------------------------------------------------------------ attributes

    def __setattr__(self, name: str, value: Any) -> None:
        old = self.__dict__.get(name)
        if isinstance(old, Parameter) and value is not None and not isinstance(value, (Parameter, Module)):
            raise DTypeError(
                f"{type(self).__name__}.{name} is a Parameter, and a {type(value).__name__} cannot take its place "
                f"(it would no longer be trained); write nn.Parameter(...), or `with minidl.no_grad(): "
                f"{name}.copy_(...)` to change its values, or del it first"
            )
        if name in self._buffer_names and value is not None:
            if isinstance(value, (Parameter, Module)):
                self._forget_buffer(name)
            elif not isinstance(value, Variable):
                raise DTypeError(
                    f"{type(self).__name__}.{name} is a buffer, and a {type(value).__name__} cannot take its place; "
                    "make it a tensor: minidl.tensor(...), or del it first"
                )
        object.__setattr__(self, name, value)
        if isinstance(value, MEMBERS) or isinstance(old, MEMBERS):
            Members.changed()

    def __delattr__(self, name: str) -> None:
        object.__delattr__(self, name)
        self._forget_buffer(name)
        Members.changed()

    def __getattr__(self, name: str) -> Any:
        # Python comes here only for what is nowhere else
        attribute = getattr(type(self), name, None)
        if isinstance(attribute, property):  # its body raised an AttributeError: show that one
            return attribute.__get__(self)
        raise NoSuchNameError(self, name, lambda: () if name.startswith("__") else dir(self))

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Set the attribute ``name`` to a parameter (or to None: there is none)."""
        if param is not None and not isinstance(param, Parameter):
            raise DTypeError(f"register_parameter: expected a Parameter or None, got a {type(param).__name__}")
        self._register(name, param)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Set the attribute ``name`` to a tensor that moves and is saved with the module, but is not trained.

        Parameters
        ----------
        name : str
        tensor : Tensor or None
        persistent : bool
            Whether it is part of ``state_dict``.
        """
        if tensor is not None and (not isinstance(tensor, Variable) or isinstance(tensor, Parameter)):
            raise DTypeError(f"register_buffer: expected a Tensor or None, got a {type(tensor).__name__}")
        self._register(name, tensor)
        self.__dict__["_buffer_names"] = {**self._buffer_names, name: persistent}

    def register_module(self, name: str, module: Module | None) -> None:
        """Set the attribute ``name`` to a submodule."""
        if module is not None and not isinstance(module, Module):
            raise DTypeError(f"add_module: expected a Module or None, got a {type(module).__name__}")
        self._register(name, module)

    add_module = register_module

    def _register(self, name: str, value: Any) -> None:
        if not isinstance(name, str) or not name or "." in name:
            raise ArgumentError(f"{type(self).__name__}: {name!r} cannot name a member: expected a str without a dot")
        if hasattr(type(self), name) or (name in self.__dict__ and not self._is_member(name)):
            raise ArgumentError(f"{type(self).__name__} has an attribute {name!r} already; choose another name")
        setattr(self, name, value)

    def _is_member(self, name: str) -> bool:
        return self.__dict__[name] is None or isinstance(self.__dict__[name], (Variable, Module))

    def _forget_buffer(self, name: str) -> None:
        if name in self._buffer_names:
            self.__dict__["_buffer_names"] = {n: kept for n, kept in self._buffer_names.items() if n != name}

    # ------------------------------------------------------------------ what a module is made of

    def _members(self) -> Iterator[tuple[str, Any]]:
        """Yield (name, value) of each parameter, buffer and submodule this module holds, in definition order."""
        buffers = self._buffer_names
        for name, value in self.__dict__.items():
            if type(value) in _PLAIN:
                continue
            if isinstance(value, (Parameter, Module)):
                yield name, value
            elif isinstance(value, (list, tuple, dict)):
                if not _PLAIN.issuperset(map(type, value.values() if isinstance(value, dict) else value)):
                    yield from _inside(name, value, ())
            elif name in buffers:
                yield name, value

    def _tensors(
        self, prefix: str = "", recurse: bool = True, above: tuple[Module, ...] = ()
    ) -> Iterator[tuple[str, Any, bool]]:
        """Yield (name, tensor, persistent) of all parameters and buffers, a shared one under each of its names."""
        above = (*above, self)
        for name, value in self._members():
            if not isinstance(value, Module):
                yield prefix + name, value, self._buffer_names.get(name, True)
            elif recurse and not any(value is module for module in above):
                yield from value._tensors(f"{prefix}{name}.", True, above)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield (name, parameter), in definition order; one that is shared comes once, under its first name."""
        prefix = f"{prefix}." if prefix else ""
        found = ((n, x) for n, x, _ in self._tensors(prefix, recurse) if isinstance(x, Parameter))
        return _unique(found) if remove_duplicate else found

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield the parameters, in definition order, each once."""
        if not recurse:
            return (x for _, x in self.named_parameters(recurse=False))
        return (x for x in self.below() if isinstance(x, Parameter))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Yield (name, buffer), in definition order."""
        prefix = f"{prefix}." if prefix else ""
        found = ((n, x) for n, x, _ in self._tensors(prefix, recurse) if not isinstance(x, Parameter))
        return _unique(found) if remove_duplicate else found

    def buffers(self, recurse: bool = True) -> Iterator[Any]:
        """Yield the buffers, in definition order, each once."""
        return (x for _, x in self.named_buffers(recurse=recurse))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) of the modules that this one holds directly."""
        return _unique((name, value) for name, value in self._members() if isinstance(value, Module))

    def children(self) -> Iterator[Module]:
        """Yield the modules that this one holds directly."""
        return (module for _, module in self.named_children())

    def named_modules(
        self, memo: set[int] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Yield (name, module) of this module (named ``prefix``) and all below it, each before what it holds."""
        memo = set() if memo is None else memo
        if id(self) in memo:
            return
        above = memo | {id(self)}
        if remove_duplicate:
            memo.add(id(self))
            above = memo
        yield prefix, self
        for name, value in self._members():
            if isinstance(value, Module):
                yield from value.named_modules(above, f"{prefix}.{name}" if prefix else name, remove_duplicate)

    def modules(self) -> Iterator[Module]:
        """Yield this module and all below it, each once, and each before what it holds."""
        return (x for x in self.below() if isinstance(x, Module))

    def below(self) -> Iterable[Any]:
        """Return this module, its parameters and buffers, and all that is below it, in definition order, each once."""
        found: dict[int, Any] = {}
        self._collect(found)
        return found.values()

    def _collect(self, found: dict[int, Any]) -> None:
        found[id(self)] = self
        for _, value in self._members():
            if id(value) not in found:
                if isinstance(value, Module):
                    value._collect(found)
                else:
                    found[id(value)] = value

    def get_submodule(self, target: str) -> Module:
        """Return the module called ``target`` (``"features.0"``); the empty string is this module."""
        return self._get(target, dict(self.named_modules(remove_duplicate=False)))

    def get_parameter(self, target: str) -> Parameter:
        """Return the parameter called ``target`` (``"features.0.weight"``)."""
        return self._get(target, dict(self.named_parameters(remove_duplicate=False)))

    def get_buffer(self, target: str) -> Any:
        """Return the buffer called ``target``."""
        return self._get(target, dict(self.named_buffers(remove_duplicate=False)))

    def _get(self, target: str, found: dict[str, Any]) -> Any:
        if target not in found:
            raise NoSuchNameError(self, target, lambda: found)
        return found[target]

    def num_parameters(self, trainable_only: bool = False) -> int:
        """Return how many numbers the parameters hold, shared ones counted once."""
        return sum(p.array.size for p in self.parameters() if p._requires_grad or not trainable_only)

    # ------------------------------------------------------------------ state

    def state_dict(self, *, prefix: str = "", keep_vars: bool = False) -> dict[str, Any]:
        """Return every parameter and persistent buffer by name.

        The tensors share memory with the module's and have no graph; ``keep_vars=True`` returns the module's own.
        """
        return {name: x if keep_vars else x.detach() for name, x, persistent in self._tensors(prefix) if persistent}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> LoadResult:
        """Copy values into the parameters and persistent buffers: all of them, or (after an error) none.

        Parameters
        ----------
        state_dict : mapping of names to Tensors, NumPy arrays, or anything that has ``__array__`` or ``__dlpack__``
            Values take the dtype and the device of what they are loaded into.
        strict : bool
            Whether names that are missing or unexpected are an error.

        Returns
        -------
        LoadResult
            ``missing_keys`` and ``unexpected_keys``.

        Raises
        ------
        StateError
            If names (with ``strict``) or shapes do not fit; the message lists all that do not.
        """
        if not isinstance(state_dict, Mapping):
            raise StateError(f"load_state_dict: expected a dict of names to tensors, got a {type(state_dict).__name__}")
        own = self.state_dict(keep_vars=True)
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        arrays = {}
        problems = []
        if strict and missing:
            problems.append(f"missing from the state: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected in the state: {', '.join(unexpected)}")
        for name, x in own.items():
            if name in state_dict:
                try:
                    arrays[name] = array = _plain(state_dict[name])
                except (TypeError, ValueError, RuntimeError) as error:
                    problems.append(f"{name} cannot be read as numbers ({error})")
                    continue
                if array.shape != x.array.shape:
                    problems.append(f"{name} has shape {array.shape} in the state and {x.array.shape} in the model")
        if problems:
            listed = "\n  ".join(problems)
            raise StateError(
                f"load_state_dict: the state does not fit {type(self).__name__}, so nothing was loaded:\n  {listed}\n"
                "build the model with the arguments that the state was saved with"
                + ("; strict=False leaves out names that do not match" if strict and (missing or unexpected) else "")
            )
        for name, array in arrays.items():
            x = own[name]
            x.array[...] = to_device(array, device_of(x.array))
            x.bump()
        return LoadResult(missing, unexpected)

    # ------------------------------------------------------------------ modes, devices, gradients

    def train(self, mode: bool = True) -> Self:
        """Switch this module and all below it to training (dropout drops, batch norm learns its statistics)."""
        self.training = bool(mode)
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Switch to evaluation: ``train(False)``."""
        return self.train(False)

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` with every module below this one, then with this one."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Switch on or off whether gradients are wanted, for all parameters."""
        for x in self.parameters():
            x.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or fill them with zeros."""
        for x in self.parameters():
            if x._grad is not None:
                if set_to_none:
                    x._grad = None
                else:
                    x._grad.array[...] = 0
                    x._grad.bump()

    def to(self, *args: Any, device: Any = None, dtype: Any = None, non_blocking: bool = False) -> Self:
        """Move all tensors to a device, and all float tensors to a float dtype, in place.

        Parameters
        ----------
        *args : device, dtype, or a Tensor that has the wanted ones
        device : Device or str, optional
        dtype : dtype, optional
        non_blocking : bool
            Do not wait for copies from pinned memory: see ``Tensor.to``.

        Raises
        ------
        DTypeError
            If ``dtype`` is not a float type.
        DeviceError
            If there is no such device.
        """
        for wanted in args:
            if isinstance(wanted, Variable):
                device, dtype = device_of(wanted.array), wanted.array.dtype
            elif (
                isinstance(wanted, Device)
                or type(wanted) is int
                or (isinstance(wanted, str) and wanted.partition(":")[0] in ("cpu", "gpu", "cuda"))
            ):
                device = wanted
            else:
                dtype = wanted
        place = Device(device) if device is not None else None
        kind = as_dtype(dtype) if dtype is not None else None
        if kind is not None and kind.kind != "f":
            raise DTypeError(f"{type(self).__name__}.to: parameters are floats; expected a float dtype, got {kind}")

        def convert(x: Any) -> None:
            array = x.array if place is None else to_device(x.array, place, non_blocking)
            if kind is not None and array.dtype.kind == "f":
                with there(array):
                    array = array.astype(kind, copy=False)
            if array is not x.array:
                x.array, x.counter = array, [0]  # a graph that saved the old array keeps it
            if x._grad is not None:
                convert(x._grad)

        for _, x in _unique((name, x) for name, x, _ in self._tensors()):
            convert(x)
        return self

    def cpu(self) -> Self:
        """Move to the CPU."""
        return self.to("cpu")

    def gpu(self, device: Any = None) -> Self:
        """Move to a GPU: the current one, or the one that is named or numbered."""
        return self.to(device="gpu" if device is None else device)

    cuda = gpu

    def float(self) -> Self:
        """Convert float tensors to float32."""
        return self.to("float32")

    def double(self) -> Self:
        """Convert float tensors to float64."""
        return self.to("float64")

    def half(self) -> Self:
        """Convert float tensors to float16."""
        return self.to("float16")

    # ------------------------------------------------------------------ hooks

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before each forward; what it returns, if not None, replaces the arguments.

        With ``with_kwargs`` it is ``hook(module, args, kwargs)``, and returns both.
        """
        return self._own_hooks().add("before", hook, prepend, with_kwargs)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each forward; what it returns, if not None, replaces the output.

        With ``with_kwargs`` it is ``hook(module, args, kwargs, output)``.
        """
        return self._own_hooks().add("after", hook, prepend, with_kwargs)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the module's inputs are known.

        Both are tuples; what the hook returns, if not None, replaces ``grad_input``.
        """
        return self._own_hooks().add("backward", hook, prepend, False)

    def _own_hooks(self) -> Hooks:
        if self._hooks is None:
            self._hooks = Hooks()
        return self._hooks

    # ------------------------------------------------------------------ printing

    def extra_repr(self) -> str:
        """Return what stands between the parentheses of ``repr``; subclasses may say more about themselves."""
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in self._shown)

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        below = [f"({label}): {_indent(text)}" for label, text in self._repr_members()]
        name = type(self).__name__
        if not below and len(lines) <= 1:
            return f"{name}({extra})"
        return f"{name}(\n  " + "\n  ".join(lines + below) + "\n)"

    def _repr_members(self) -> Iterator[tuple[str, str]]:
        return ((name, repr(value)) for name, value in self._members() if isinstance(value, Module))

    def summary(self, *input_shapes: Any, dtype: Any = None) -> Summary:
        """Return a table of the layers: their output shapes and parameter counts for an input of zeros.

        Parameters
        ----------
        *input_shapes : tuple of int
            The shape of each argument of ``forward``, the batch included.
        dtype : dtype, optional
            The dtype of the inputs, the parameters' if left out: ``"int64"`` for a model that begins with an
            embedding.
        """
        return summarize(self, input_shapes, dtype)


#: What is a member of a module, or can hold some.
MEMBERS = (Parameter, Module, list, tuple, dict)


def _inside(name: str, held: Any, above: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of the parameters and modules inside a list, tuple or dict, and those inside it."""
    pairs = held.items() if isinstance(held, dict) else enumerate(held)
    for key, value in pairs:
        if isinstance(value, (Parameter, Module)):
            yield f"{name}.{key}", value
        elif isinstance(value, (list, tuple, dict)) and not any(value is other for other in above):
            yield from _inside(f"{name}.{key}", value, (*above, held))


def _unique(named: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Leave out what came before under another name."""
    seen = set()
    for name, value in named:
        if id(value) not in seen:
            seen.add(id(value))
            yield name, value


def _plain(value: Any) -> Any:
    """Return a loaded value as an array: a tensor of minidl's or of another library, an array, a number."""
    if isinstance(value, Variable):
        return value.array
    if is_array(value):
        return value
    if hasattr(value, "detach"):  # PyTorch refuses to convert a parameter that is not detached
        value = value.detach()
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
        return np.from_dlpack(value)
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"it is of type {array.dtype if hasattr(value, 'dtype') else type(value).__name__}")
    return array


def _indent(text: str) -> str:
    return text.replace("\n", "\n  ")
