"""Containers: modules that hold modules or parameters by position or by name.

What a container holds are its attributes, named ``"0"``, ``"1"``, ... or by key, so all that :class:`Module` does with
attributes it does with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, cast

from minidl.autograd import Variable
from minidl.errors import DTypeError, RangeError
from minidl.nn.activation import ReLU
from minidl.nn.conv import Conv2d
from minidl.nn.linear import Linear
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter

#: Layers whose forward takes ``relu=True``.
APPLIES_RELU = (Conv2d, Linear)


class _Container(Module):
    """What the containers share: counting, looking up and checking what they hold."""

    _kind: type = Module

    def _held(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if isinstance(value, self._kind)}

    def _accept(self, value: Any) -> Any:
        if not isinstance(value, self._kind):
            hint = "; unpack it: (*layers)" if isinstance(value, (list, tuple)) else ""
            hint = hint or ("; call it: make an instance of it" if isinstance(value, type) else "")
            raise DTypeError(
                f"{type(self).__name__} holds {self._kind.__name__}s, got a {type(value).__name__}: {value!r}{hint}"
            )
        return value

    def __len__(self) -> int:
        return len(self._held())


class _Listed(_Container):
    """A container in which position counts."""

    def __iter__(self) -> Iterator[Any]:
        return iter(self._held().values())

    def _name(self, index: Any) -> str:
        names = list(self._held())
        try:
            return names[index]
        except IndexError:
            raise RangeError(f"{type(self).__name__}: index {index} is out of range, it holds {len(names)}") from None
        except TypeError:
            raise DTypeError(f"{type(self).__name__}: an index must be an integer or a slice, got {index!r}") from None

    def _replace(self, values: Iterable[Any]) -> None:
        """Hold ``values``, numbered from 0, instead of what it held."""
        values = [self._accept(value) for value in values]
        for name in self._held():
            delattr(self, name)
        for i, value in enumerate(values):
            setattr(self, str(i), value)

    def _part(self, names: list[str]) -> Any:
        """Return a container of the same kind with some of the members."""
        held, build = self._held(), cast("Any", type(self))
        return build(held[name] for name in names)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._part(list(self._held())[index])
        return self.__dict__[self._name(index)]

    def __setitem__(self, index: int, value: Any) -> None:
        setattr(self, self._name(index), self._accept(value))

    def __delitem__(self, index: Any) -> None:
        values = list(self)
        del values[index if isinstance(index, slice) else list(self._held()).index(self._name(index))]
        self._replace(values)

    def append(self, value: Any) -> Self:
        """Add one at the end."""
        setattr(self, str(len(self)), self._accept(value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add all of ``values`` at the end."""
        for value in list(values):
            self.append(value)
        return self

    __iadd__ = extend

    def insert(self, index: int, value: Any) -> Self:
        """Add one in front of position ``index``; what stands behind it is renumbered."""
        values = list(self)
        values.insert(index, value)
        self._replace(values)
        return self

    def pop(self, index: int = -1) -> Any:
        """Take one out, and return it."""
        value = self[index]
        del self[index]
        return value


class Sequential(_Listed):
    r"""A chain of modules: each gets what the one before it returned.

    .. math:: y = f_n(\dots f_2(f_1(x)))

    A :class:`Conv2d` or :class:`Linear` applies a :class:`ReLU` that follows it in its own pass over the memory, unless
    a hook wants to see what lies between them.

    Parameters
    ----------
    *layers : Module
        Or one dict (an ``OrderedDict``, say) of names to modules.

    Shape
    -----
    Input : as the first module has it
    Output : as the last module has it

    Raises
    ------
    DTypeError
        If one of them is not a Module.

    Examples
    --------
    >>> from minidl import nn
    >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> model
    Sequential(
      (0): Linear(in_features=4, out_features=8, bias=True)
      (1): ReLU()
      (2): Linear(in_features=8, out_features=2, bias=True)
    )
    >>> model[-1].out_features
    2

    References
    ----------
    ``torch.nn.Sequential``.
    """

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        named = layers[0] if len(layers) == 1 and isinstance(layers[0], Mapping) else None
        if named is None:
            self.extend(layers)
        else:
            for name, layer in named.items():
                self.register_module(name, self._accept(layer))

    def forward(self, x: Any) -> Any:
        before: Module | None = None  # a layer that waits to see whether a ReLU follows
        for layer in tuple(self.__dict__.values()):
            if not isinstance(layer, Module):
                continue
            if before is not None:
                relu = type(layer) is ReLU and layer._hooks is None
                x, before = before(x, relu=True) if relu else before(x), None
                if relu:
                    continue
            if type(layer) in APPLIES_RELU and layer._hooks is None:
                before = layer
            else:
                x = layer(x)
        return x if before is None else before(x)

    def _part(self, names: list[str]) -> Sequential:
        held = self._held()
        return Sequential({name: held[name] for name in names})

    def __add__(self, other: Any) -> Sequential:
        return Sequential(*self, *other) if isinstance(other, Sequential) else NotImplemented


class ModuleList(_Listed):
    r"""A list of modules; it has no forward of its own.

    A plain list of modules, held as an attribute, works as well.

    .. math:: (f_0, f_1, \dots, f_{n-1})

    Parameters
    ----------
    modules : iterable of Module, optional

    Shape
    -----
    Input, Output : none, its modules are called one by one

    Raises
    ------
    DTypeError
        If one of them is not a Module.

    Examples
    --------
    >>> from minidl import nn
    >>> nn.ModuleList([nn.Linear(3, 3) for _ in range(4)])
    ModuleList(
      (0-3): 4 x Linear(in_features=3, out_features=3, bias=True)
    )

    References
    ----------
    ``torch.nn.ModuleList``.
    """

    def __init__(self, modules: Iterable[Module] = ()) -> None:
        super().__init__()
        self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def _repr_members(self) -> Iterator[tuple[str, str]]:
        start = 0
        for text, group in itertools.groupby(map(repr, self)):
            end = start + len(list(group)) - 1
            yield (str(start), text) if start == end else (f"{start}-{end}", f"{end - start + 1} x {text}")
            start = end + 1


class ParameterList(_Listed):
    r"""A list of parameters; tensors become parameters.

    A plain list of parameters, held as an attribute, works as well.

    .. math:: (\theta_0, \theta_1, \dots, \theta_{n-1})

    Parameters
    ----------
    values : iterable of Parameter or Tensor, optional

    Shape
    -----
    Input, Output : none

    Raises
    ------
    DTypeError
        If one of them is not a tensor.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> weights = nn.ParameterList([minidl.ones(2), minidl.ones(3)])
    >>> [weight.shape for weight in weights]
    [(2,), (3,)]

    References
    ----------
    ``torch.nn.ParameterList``.
    """

    _kind = Parameter

    def __init__(self, values: Iterable[Any] = ()) -> None:
        super().__init__()
        self.extend(values)

    def _accept(self, value: Any) -> Any:
        return super()._accept(_as_parameter(value))

    def _repr_members(self) -> Iterator[tuple[str, str]]:
        return _describe(self._held())


class _Named(_Container):
    """A container in which names count."""

    def __iter__(self) -> Iterator[str]:
        return iter(self._held())

    def __contains__(self, name: object) -> bool:
        return name in self._held()

    def __getitem__(self, name: str) -> Any:
        held = self._held()
        if name not in held:
            raise KeyError(
                f"{type(self).__name__} holds no {name!r}; it holds {', '.join(map(repr, held)) or 'nothing'}"
            )
        return held[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._register(name, self._accept(value))

    def __delitem__(self, name: str) -> None:
        self[name]
        delattr(self, name)

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._held().keys()

    def values(self) -> Iterable[Any]:
        """Return what is held."""
        return self._held().values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """Return the pairs of name and what it names."""
        return self._held().items()

    def update(self, values: Any) -> None:
        """Add all pairs of a dict, or of an iterable of pairs."""
        for name, value in dict(values).items():
            self[name] = value

    def pop(self, name: str) -> Any:
        """Take one out, and return it."""
        value = self[name]
        del self[name]
        return value

    def clear(self) -> None:
        """Take all out."""
        for name in list(self):
            del self[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return what ``name`` names, or ``default``."""
        return self._held().get(name, default)


class ModuleDict(_Named):
    r"""A dict of modules; it has no forward of its own.

    A plain dict of modules, held as an attribute, works as well.

    .. math:: \{k_0: f_0, \dots, k_{n-1}: f_{n-1}\}

    Parameters
    ----------
    modules : dict or iterable of pairs, optional
        Names (without dots, and none that a method has) and modules.

    Shape
    -----
    Input, Output : none, its modules are called one by one

    Raises
    ------
    DTypeError
        If one of them is not a Module.
    ArgumentError
        If a name has a dot or is a method's.

    Examples
    --------
    >>> from minidl import nn
    >>> heads = nn.ModuleDict({"digit": nn.Linear(8, 10), "parity": nn.Linear(8, 2)})
    >>> heads["parity"]
    Linear(in_features=8, out_features=2, bias=True)

    References
    ----------
    ``torch.nn.ModuleDict``.
    """

    def __init__(self, modules: Any = ()) -> None:
        super().__init__()
        self.update(modules)


class ParameterDict(_Named):
    r"""A dict of parameters; tensors become parameters.

    A plain dict of parameters, held as an attribute, works as well.

    .. math:: \{k_0: \theta_0, \dots, k_{n-1}: \theta_{n-1}\}

    Parameters
    ----------
    values : dict or iterable of pairs, optional
        Names (without dots, and none that a method has) and parameters or tensors.

    Shape
    -----
    Input, Output : none

    Raises
    ------
    DTypeError
        If one of them is not a tensor.
    ArgumentError
        If a name has a dot or is a method's.

    Examples
    --------
    >>> import minidl
    >>> from minidl import nn
    >>> list(nn.ParameterDict({"scale": minidl.ones(2)}))
    ['scale']

    References
    ----------
    ``torch.nn.ParameterDict``.
    """

    _kind = Parameter

    def __init__(self, values: Any = ()) -> None:
        super().__init__()
        self.update(values)

    def _accept(self, value: Any) -> Any:
        return super()._accept(_as_parameter(value))

    def _repr_members(self) -> Iterator[tuple[str, str]]:
        return _describe(self._held())


def _as_parameter(value: Any) -> Any:
    return Parameter(value) if isinstance(value, Variable) and not isinstance(value, Parameter) else value


def _describe(held: dict[str, Any]) -> Iterator[tuple[str, str]]:
    return ((name, f"Parameter of shape {x.array.shape}, {x.array.dtype}") for name, x in held.items())
