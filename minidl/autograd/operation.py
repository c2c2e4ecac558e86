"""The one door through which every operation goes: :meth:`Operation.apply`.

An operation is a class with two methods that stand one below the other, and a public function below that::

    class Exp(Operation):
        casting = "float"

        def forward(self, x):
            y = self.xp.exp(x)
            self.save(y)
            return y

        def backward(self, grad):
            (y,) = self.saved
            return grad * y

``forward`` sees plain arrays. ``backward`` is written once, with ordinary operators and minidl's public functions,
and serves both orders: on a first-order backward pass it is handed plain arrays and runs at NumPy's speed; under
``create_graph=True`` it is handed tensors, so what it computes is recorded and can be differentiated again.

Everything that all operations need happens here, once: dtype promotion, device checks, recording the graph,
un-broadcasting gradients (in ``engine.py``), and turning an array library's complaint into an error that teaches.
"""

from __future__ import annotations

import inspect
import itertools
import re
import traceback
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from minidl.autograd.modes import modes
from minidl.autograd.variable import Variable, View, wrap
from minidl.backend import (
    CPU,
    Device,
    as_dtype,
    common_dtype,
    default_dtype,
    device_of,
    devices,
    is_array,
    namespace,
    quiet,
    to_device,
)
from minidl.errors import ArgumentError, DeviceError, DTypeError, GradError, MiniDLError, RangeError, ShapeError

#: Every operation there is, by name. Tests walk it, so that none goes unchecked.
OPERATIONS: dict[str, type[Operation]] = {}

_FREED: Any = object()
_next_number = itertools.count(1).__next__

#: What an array library raises at arguments that it cannot take.
_COMPLAINTS = AttributeError, IndexError, OverflowError, TypeError, ValueError


class Operation:
    """One operation, and, once applied, one node of the graph.

    Subclasses define ``forward(self, *arrays, **parameters)`` and ``backward(self, *grads)``. Positional arguments
    are what can be differentiated; keyword arguments are parameters and pass through untouched. ``backward`` gets
    the gradient of each output and returns one of each positional input, or None where there is none. Gradients of
    broadcast inputs come back in the broadcast shape: the engine sums them down. ``backward`` may return ``grad``
    itself, or a view of it, but never an array it saved.

    Attributes
    ----------
    casting : {None, "common", "float"}
        What happens to dtypes first: nothing; all inputs to their common dtype; that, and at least to a float.
    is_view : bool
        Whether the result may share memory with the first input (a reshape, a slice).
    differentiable : bool
        False for operations such as a comparison, which have no gradient.
    xp : module
        ``numpy``, or ``cupy`` where the inputs live on a GPU.
    needs : tuple of bool
        Which inputs require gradients: ``forward`` need save, and ``backward`` compute, only what these call for.
    """

    name: ClassVar[str] = ""
    casting: ClassVar[str | None] = None
    is_view: ClassVar[bool] = False
    differentiable: ClassVar[bool] = True
    __array_ufunc__ = None

    xp: Any = np
    needs: Sequence[bool] = ()
    number = 0  # when it was applied; backward visits nodes by descending number
    edges: Sequence[Any] = ()  # one an input: (node or leaf, slot, shape, dtype), or None
    outputs: list[tuple[Any, ...]] | None = None  # shape and dtype of each, if there are several
    hooks: dict[int, dict[float, Callable[..., Any]]] | None = None  # by slot
    freed = False
    recording = False  # whether backward is being asked for a graph (create_graph)
    origin: str | None = None  # the line that called it, under detect_anomaly

    _saved: Any = ()
    #: Per saved array its counter, what that read, and where it stands among inputs and outputs; or None.
    _moments: Sequence[Any] = ()

    def __init_subclass__(cls, register: bool = True, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            cls.name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
        if register:
            if cls.name in OPERATIONS:
                raise TypeError(f"two operations are named {cls.name!r}")
            OPERATIONS[cls.name] = cls

    def forward(self, *arrays: Any, **parameters: Any) -> Any:
        """Compute the result from plain arrays, saving what backward will need."""
        raise NotImplementedError(f"{self.name} has no forward")

    def backward(self, *grads: Any) -> Any:
        """Return the gradient of each input, given the gradient of each output."""
        raise GradError(f"{self.name} has no gradient; detach() its input if none is wanted")

    # ------------------------------------------------------------------ called by forward and backward

    def save(self, *arrays: Any) -> None:
        """Keep arrays (inputs, outputs, constants or None) for backward, which finds them in ``self.saved``."""
        self._saved = arrays

    @property
    def saved(self) -> tuple[Any, ...]:
        """What forward saved: plain arrays, or tensors where backward is being recorded.

        A recorded input or output comes back with its place in the graph. Anything else that was saved is a
        constant to the second derivative, so a rule must not save what depends on its inputs otherwise.
        """
        if self._saved is _FREED:
            raise GradError(
                f"{self.name}: backward a second time through a graph that the first one freed; "
                "pass retain_graph=True to the first backward, or compute the forward again"
            )
        for moment in self._moments:
            if moment is not None and moment[0][0] != moment[1]:
                raise GradError(
                    f"{self.name}: a tensor it needs for its gradient was modified in place afterwards "
                    f"(version {moment[0][0]}, expected {moment[1]}); use the out-of-place form, or clone() the "
                    "tensor before writing to it"
                    + (f"\n{self.name} was called at\n{self.origin}" if self.origin else "")
                )
        if type(self._saved) is not tuple:
            self._saved.fill()  # checkpoint.py dropped the arrays: its region computes them again
        if not self.recording:
            return self._saved
        return tuple(map(self._restore, self._saved, self._moments))

    def _restore(self, array: Any, moment: tuple[list[int], int, int] | None) -> Any:
        if moment is None or array.dtype.kind != "f":
            return array
        out = wrap(array)
        out.counter, _, place = moment  # a write to the original makes the recorded gradient stale, too
        if place >= len(self.edges):
            out._requires_grad, out._node, out._slot = True, self, place - len(self.edges)
        elif self.edges[place] is not None:
            node, slot = self.edges[place][:2]
            if isinstance(node, Variable):
                if node.array is not array:
                    raise GradError(
                        f"{self.name}: cannot be differentiated twice: the numbers of a leaf it needs were replaced"
                    )
                return node
            out._requires_grad, out._node, out._slot = True, node, slot
        return out

    # ------------------------------------------------------------------ the door

    @classmethod
    def apply(cls, *inputs: Any, **parameters: Any) -> Any:
        """Run the operation: on plain arrays directly, on tensors with promotion, checks and recording.

        Parameters
        ----------
        *inputs : Tensor, array, Python number or None
            What can be differentiated. If no Tensor is among them, plain arrays come back.
        **parameters
            Passed to ``forward`` as they are.

        Returns
        -------
        Tensor, array, or a tuple of them
        """
        arrays = []
        needs = []
        traced = False
        dtype: Any = None
        plain = devices._cupy is None  # whether nothing is left to prepare: numbers, and arrays of one dtype
        for x in inputs:
            if isinstance(x, Variable):
                traced = True
                array = x.array
                arrays.append(array)
                if x._view is not None:
                    x._view.refresh(x)
                needs.append(x._requires_grad)
                if dtype is None:
                    dtype = array.dtype
                elif array.dtype is not dtype:
                    plain = False
            else:
                arrays.append(x)
                needs.append(False)
                if x is not None and type(x) is not float and type(x) is not int:
                    plain = False
        node = cls()
        node.needs = needs
        if not traced:
            if devices._cupy is not None:
                away = devices.elsewhere(arrays)
                if away is not None:
                    with away:
                        return cls.apply(*inputs, **parameters)
                node.xp = namespace(next(filter(is_array, arrays), None))
            try:
                return node.forward(*arrays, **parameters)
            except MiniDLError:
                raise
            except _COMPLAINTS as error:
                raise node._answer(error, arrays) from error
        if not plain or (cls.casting is not None and dtype.kind != "f"):
            away = devices.elsewhere(arrays)
            if away is not None:  # what is computed on a GPU stays on it, whichever is in use
                with away:
                    return cls.apply(*inputs, **parameters)
            inputs, arrays = node._prepare(inputs)
        now = modes.now
        record = now.grad and cls.differentiable and True in needs
        try:
            out = node.forward(*arrays, **parameters)
        except MiniDLError:
            raise
        except _COMPLAINTS as error:
            raise node._answer(error, arrays) from error
        if now.anomaly:
            node._check_forward(arrays, out)
        if type(out) is tuple:
            return node._finish_many(inputs, arrays, out, record, parameters)
        if type(out) is not np.ndarray and not is_array(out):
            scalar, out = out, np.asarray(out)  # NumPy hands 0-d results out as scalars
            for saved in node._saved:
                if saved is scalar:
                    node._saved = tuple([out if array is scalar else array for array in node._saved])
                    break
        result = wrap(out)
        if record and out.dtype.kind == "f":
            node._record(inputs, arrays, (result,))
            result._requires_grad = True
            result._node = node
        if cls.is_view or out is arrays[0]:
            node._link_view(inputs[0], result, None, parameters, now.grad)
        return result

    def _finish_many(
        self, inputs: Any, arrays: list[Any], outs: tuple[Any, ...], record: bool, parameters: dict[str, Any]
    ) -> tuple[Any, ...]:
        """Wrap the results of an operation that has several."""
        results = tuple(wrap(out if is_array(out) else np.asarray(out)) for out in outs)
        for out, result in zip(outs, results, strict=True):
            if out is not result.array:  # a scalar of NumPy's
                self._saved = tuple(result.array if array is out else array for array in self._saved)
        if record:
            self.outputs = [(out.array.shape, out.array.dtype) for out in results]
            self._record(inputs, arrays, results)
            for slot, result in enumerate(results):
                if result.array.dtype.kind == "f":
                    result._requires_grad, result._node, result._slot = True, self, slot
        if self.is_view:
            for slot, result in enumerate(results):
                self._link_view(inputs[0], result, slot, parameters, modes.now.grad)
        return results

    def _prepare(self, inputs: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Refuse what is no operand, check devices, and bring the rest to the dtype that ``casting`` asks for."""
        inputs = [self._coerce(x, position) for position, x in enumerate(inputs)]
        arrays = [x.array if isinstance(x, Variable) else x for x in inputs]
        if devices._cupy is not None:
            self._choose_device(inputs, arrays)
        if self.casting is not None:
            known = [a.dtype for a in arrays if is_array(a)]
            dtype = common_dtype(known, [a for a in arrays if isinstance(a, (bool, int, float))])
            if self.casting == "float" and dtype.kind != "f":
                dtype = default_dtype()
            for i, x in enumerate(inputs):
                if is_array(arrays[i]) and arrays[i].dtype != dtype:
                    inputs[i] = Cast.apply(x, dtype=dtype) if isinstance(x, Variable) else x.astype(dtype)
                    arrays[i] = inputs[i].array if isinstance(x, Variable) else inputs[i]
        return inputs, arrays

    def _coerce(self, x: Any, position: int) -> Any:
        """Accept what has an obvious meaning as an operand; refuse the rest by name."""
        if isinstance(x, Variable) or x is None or type(x) in (bool, int, float):
            return x
        if isinstance(x, np.generic) and x.dtype.kind in "fiub":
            return x.item()  # NumPy's scalars act as Python's: they never widen a tensor
        if isinstance(x, (list, tuple)):
            try:
                x = np.asarray(x)
            except ValueError:
                raise ragged(self.name, self._called(position)) from None
            if x.dtype == np.float64:
                x = x.astype(default_dtype())
        if not is_array(x) or x.dtype.kind not in "fiub":
            raise refusal(self.name, self._called(position), x, "a Tensor, an array of numbers, or a number")
        return x[...]  # if it is the array of a tensor, another object, see Variable

    def _called(self, position: int) -> str:
        """Return what forward calls an input; where it takes any number of them, which one it is."""
        parameters = list(inspect.signature(self.forward).parameters.values())
        named = parameters[position : position + 1]
        return repr(named[0].name) if named and named[0].kind is named[0].POSITIONAL_OR_KEYWORD else str(position + 1)

    def _choose_device(self, inputs: list[Any], arrays: list[Any]) -> None:
        """Take the array library of the device that the tensors live on, and bring the host's data there.

        That is NumPy's arrays and, as in PyTorch, tensors of the CPU without axes; any other tensor stays where it is.
        """
        found = {position: device_of(x.array) for position, x in enumerate(inputs) if isinstance(x, Variable)}
        place = next((device for device in found.values() if device.type == "gpu"), CPU)
        for position, array in enumerate(arrays):
            if position not in found and is_array(array):
                inputs[position] = arrays[position] = to_device(array, place)
            elif position in found and found[position] != place:
                if found[position] != CPU or array.ndim:
                    raise self._far_apart(arrays, found, place)
                inputs[position] = ToDevice.apply(inputs[position], device=place)
                arrays[position] = inputs[position].array
        self.xp = namespace(arrays[next(iter(found))])

    def _far_apart(self, arrays: list[Any], found: dict[int, Device], place: Device) -> DeviceError:
        """Return the error that names the tensors that live on different devices."""
        listed = ", ".join(
            f"argument {self._called(position)} ({arrays[position].dtype}{list(arrays[position].shape)}) on {device}"
            for position, device in found.items()
        )
        return DeviceError(
            f"{self.name}: its arguments live on different devices: {listed}; move them to one, for example "
            f"x.to({str(place)!r})"
        )

    def _answer(self, error: Exception, arrays: Sequence[Any]) -> MiniDLError:
        """Say which input was no array if that is what an array library complained of, and else what it did."""
        complaint = str(error)
        # NumPy asks numbers, and the elements of None made an array, for attributes that arrays have
        of_number = isinstance(error, AttributeError) and isinstance(error.obj, (bool, int, float))
        for position, x in enumerate(arrays):
            if isinstance(x, np.generic) or is_array(x):
                unfit = x.dtype.kind not in "fiub"
            elif isinstance(x, (bool, int, float)):
                unfit = of_number
            else:
                unfit = x is not None or of_number or "NoneType" in complaint
            if unfit and "broadcast" not in complaint:
                return refusal(self.name, self._called(position), x)
        if isinstance(error, AttributeError):
            raise error  # a fault of the operation's own
        return self.explain(error, arrays)

    def explain(self, error: Exception, arrays: Sequence[Any]) -> MiniDLError:
        """Turn what the array library complained of into an error of minidl's; operations refine it."""
        shapes = [np.shape(a) for a in arrays if is_array(a) or isinstance(a, (list, tuple))]
        listed = " and ".join(map(str, shapes))
        if "broadcast" in str(error):
            return ShapeError(
                f"{self.name}: shapes {listed} do not broadcast; aligned from the right, each pair of sizes must be "
                "equal or 1: reshape, unsqueeze or transpose one of them"
            )
        dtypes = " and ".join(str(a.dtype) for a in arrays if is_array(a))
        kinds = (TypeError, DTypeError), (IndexError, RangeError), (OverflowError, ArgumentError)
        kind = next((mine for theirs, mine in kinds if isinstance(error, theirs)), ShapeError)
        if not shapes:
            listed, dtypes = "()", ", ".join(type(a).__name__ for a in arrays)
        return kind(f"{self.name}: cannot take arguments of shape {listed} ({dtypes}): {error}")

    # ------------------------------------------------------------------ the graph

    def _record(self, inputs: Sequence[Any], arrays: list[Any], outs: Sequence[Variable]) -> None:
        """Enter the node into the graph: an edge to where each input came from, and what the saved arrays are."""
        self.number = _next_number()
        self.edges = [
            (x._node or x, x._slot, array.shape, array.dtype) if needed else None
            for x, array, needed in zip(inputs, arrays, self.needs, strict=True)
        ]
        if not self._saved:
            return
        moments: list[Any] = []
        for saved in self._saved:
            owner = None
            place = 0
            for array in arrays:
                if array is saved:
                    owner = inputs[place]
                    break
                place += 1
            else:
                for out in outs:
                    if out.array is saved:
                        owner = out
                        break
                    place += 1
            if not isinstance(owner, Variable):
                moments.append(None)
            elif owner.counter is None:
                raise GradError(
                    f"{self.name}: a tensor made in inference mode cannot be saved for backward; "
                    "clone() it outside of inference_mode first"
                )
            else:
                moments.append((owner.counter, owner.counter[0], place))
        self._moments = moments

    def _link_view(
        self, base: Any, result: Variable, slot: int | None, parameters: dict[str, Any], recorded: bool
    ) -> None:
        """Let a result that shares its base's memory share its version, and know how to be taken again."""
        if not isinstance(base, Variable):
            return
        mine, theirs = result.array, base.array
        if mine is not theirs and mine.base is not theirs:
            # a copy has no base; a view's may be its base's base, or (of broadcast_to, as_strided) no array at all
            whole = mine.base
            if whole is None and type(mine) is np.ndarray:
                return
            # (of what as_strided makes, CuPy keeps no base at all)
            if (whole is None or whole is not theirs.base) and not namespace(mine).may_share_memory(mine, theirs):
                return
        if mine is theirs:
            result.array = mine[...]
        result.counter = base.counter
        if base.counter is not None:
            result._view = View.of(base, (type(self), parameters, slot), recorded)

    def free(self) -> None:
        """Let go of the saved arrays: this node's backward is done."""
        self.freed = True
        if self._saved:
            self._saved = _FREED
            self._moments = ()

    # ------------------------------------------------------------------ detect_anomaly

    def _check_forward(self, arrays: Sequence[Any], out: Any) -> None:
        self.origin = caller_line()
        outs = out if type(out) is tuple else (out,)
        if any(has_nan(o) for o in outs) and not any(has_nan(a) for a in arrays):
            raise GradError(f"{self.name}: the first NaN appears in its result; it was called at\n{self.origin}")

    def __repr__(self) -> str:
        return f"<{self.name} backward>"


def described(x: Any) -> str:
    """Return what a wrong argument is, for a message: ``a list``, ``a torch.Tensor``, ``an array of complex128``."""
    if x is None:
        return "None"
    library = type(x).__module__.partition(".")[0]
    given = type(x).__name__ if library == "builtins" else f"{library}.{type(x).__name__}"
    given = f"array of {x.dtype}" if is_array(x) else given
    return f"{'an' if given[0] in 'aeiou' else 'a'} {given}"


def guarded(result: Any, *parameters: Any) -> Any:
    """Return ``result``, whose gradient is refused once one of ``parameters`` was written to.

    For tensors whose arrays an operation takes as keyword arguments, and whose rule reads ``self.saved``: what is
    no input has no version there.
    """
    node = result._node if isinstance(result, Variable) else None
    if node is not None:
        moments = [(x.counter, x.counter[0]) for x in parameters if isinstance(x, Variable) and x.counter is not None]
        node._moments = (*node._moments, *moments)
    return result


def refusal(name: str, argument: str, x: Any, expected: str = "a Tensor or an array of numbers") -> DTypeError:
    """Return the error that says that an argument is of a type which the operation ``name`` cannot take."""
    convertible = isinstance(x, (bool, int, float, list, tuple)) or (hasattr(x, "__array__") and not is_array(x))
    fix = ": wrap it, minidl.tensor(...)" if convertible else ""
    error = DTypeError(f"{name}: argument {argument} is {described(x)}; expected {expected}{fix}")
    error.given = x
    return error


def ragged(name: str, argument: str) -> ShapeError:
    """Return the error that says that nested lists are no array."""
    return ShapeError(f"{name}: argument {argument} is a ragged list: all lists at one depth must have the same length")


def has_nan(value: Any) -> bool:
    """Whether an array (or an array's tensor) of floats holds a NaN."""
    value = value.array if isinstance(value, Variable) else value
    return is_array(value) and value.dtype.kind == "f" and bool(namespace(value).isnan(value).any())


def caller_line() -> str:
    """Return the innermost line outside of minidl on the stack, as a traceback prints it."""
    package = __file__.rsplit("autograd", 1)[0]
    stack = traceback.extract_stack()
    outside = [frame for frame in stack if not frame.filename.startswith(package)]
    return "".join(traceback.format_list([(outside or stack)[-1]])).rstrip()


class Cast(Operation):
    """Another dtype for the same values; the gradient returns in the old one."""

    @quiet
    def forward(self, x: Any, dtype: Any) -> Any:
        self.before = x.dtype
        return x.astype(dtype)

    def backward(self, grad: Any) -> Any:
        return grad.astype(self.before)


class ToDevice(Operation):
    """The same values on another device; the gradient moves back to where the input was."""

    def forward(self, x: Any, device: Device, non_blocking: bool = False) -> Any:
        self.before = device_of(x)
        return to_device(x, device, non_blocking)

    def backward(self, grad: Any) -> Any:
        back = device_of(grad.array if isinstance(grad, Variable) else grad) == self.before
        return grad if back else ToDevice.apply(grad, device=self.before)


def cast(x: Any, dtype: Any) -> Any:
    """Return ``x`` in another dtype, differentiably.

    .. math:: y = x

    Parameters
    ----------
    x : Tensor, any shape
    dtype : dtype, its name, or ``float``, ``int``, ``bool``

    Returns
    -------
    Tensor, the shape of ``x``
        ``x`` itself if it has that dtype already.

    Raises
    ------
    DTypeError
        If ``dtype`` is not one that minidl has, or ``x`` no tensor.

    Examples
    --------
    >>> import minidl
    >>> minidl.cast(minidl.tensor([1, 2]), "float32")
    tensor([1., 2.])

    References
    ----------
    PyTorch's ``Tensor.to``, NumPy's ``ndarray.astype``.
    """
    dtype = as_dtype(dtype)
    try:
        return x if x.dtype == dtype else Cast.apply(x, dtype=dtype)
    except AttributeError:
        raise refusal("cast", "'x'", x) from None
