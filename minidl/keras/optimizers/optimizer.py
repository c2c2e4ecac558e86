"""Optimizer: a rule of :mod:`minidl.optim` under Keras's name, with what Keras lets happen around a step.

It is made without parameters; ``build`` binds it to them. What it keeps between steps is a list of variables in
Keras's order, which is what files hold: reading them back is reading the whole state.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np

from minidl.autograd import Variable as Recorded
from minidl.autograd import no_grad, wrap
from minidl.backend import default_dtype, device_of, to_device, to_numpy
from minidl.errors import ArgumentError, DTypeError, GradError, ShapeError, StateError, warn
from minidl.keras.names import auto_name, checked_name
from minidl.keras.optimizers.schedules import LearningRateSchedule
from minidl.keras.optimizers.values import (
    OptimizerVariable,
    Slot,
    as_read,
    as_stored,
    as_values,
    check_count,
    check_number,
)
from minidl.keras.serialization import builtin, deserialize_keras_object, serialize_keras_object, snake_case
from minidl.ops.creation import as_array
from minidl.optim.optimizer import Optimizer as Rule
from minidl.optim.transforms import GradientSum, ParameterAverage, clip_by_global_norm, clip_by_norm, clip_by_value

__all__ = ["Optimizer"]

MODULE = "keras.optimizers"

#: What configs of Keras 2 hold besides, and what has no meaning here.
_FORGOTTEN = ("jit_compile", "is_legacy_optimizer")


@builtin(MODULE)
class Optimizer:
    r"""The base of all optimisers in Keras's dialect: learning rate, clipping, weight decay, averages, accumulation.

    .. math::

        \theta_t = (1 - \gamma_t \lambda) \theta_{t-1} - \Delta_t

    where :math:`\Delta_t` is the step of the optimiser's rule, from the clipped gradients.

    Parameters
    ----------
    learning_rate : float, LearningRateSchedule, or callable
        :math:`\gamma`. A schedule is called with the number of steps taken, anything else callable with nothing.
    weight_decay : float, optional
        :math:`\lambda`: the share of itself, times the learning rate, that a variable loses a step.
    clipnorm : float, optional
        The most that the norm of each variable's gradient may be.
    clipvalue : float, optional
        The most that the size of each element of a gradient may be.
    global_clipnorm : float, optional
        The most that the norm of all gradients together may be.
    use_ema : bool
        Keep a moving average of the variables, which takes their place when ``fit`` ends.
    ema_momentum : float
        How much of the average is kept a step.
    ema_overwrite_frequency : int, optional
        After how many steps, again and again, the average takes the place of the variables.
    loss_scale_factor : None
        minidl trains in float32, where losses need no scaling.
    gradient_accumulation_steps : int, optional
        How many batches make one step, with the mean of their gradients; 2 or more.
    name : str, optional
    **unknown
        For errors that help: what Keras 3 does not take either.

    Raises
    ------
    ArgumentError
        If an argument is unknown, out of its range, or one of several of which there may be one.

    Examples
    --------
    >>> import minidl
    >>> from minidl import keras
    >>> w = keras.Variable([1.0, 2.0], name="w")
    >>> optimizer = keras.optimizers.SGD(learning_rate=0.5, clipvalue=1.0)
    >>> optimizer.apply_gradients([(minidl.tensor([1.0, 4.0]), w)])
    1
    >>> w.numpy()
    array([0.5, 1.5], dtype=float32)

    References
    ----------
    ``keras.optimizers.Optimizer``.
    """

    #: The arguments of the subclass's own that stand in its config, in order.
    settings: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **unknown: Any,
    ) -> None:
        self._refuse(unknown)
        kind = type(self).__name__
        if loss_scale_factor is not None:
            raise ArgumentError(
                f"{kind}: loss_scale_factor must be None, got {loss_scale_factor}; minidl trains in float32, where "
                "gradients are not lost for being small"
            )
        clips = {"clipnorm": clipnorm, "clipvalue": clipvalue, "global_clipnorm": global_clipnorm}
        given = {key: value for key, value in clips.items() if value is not None}
        if len(given) > 1:
            raise ArgumentError(
                f"{kind}: only one of clipnorm, clipvalue and global_clipnorm may be given, got "
                + " and ".join(f"{key}={value}" for key, value in given.items())
            )
        for key, value in {**given, **({} if weight_decay is None else {"weight_decay": weight_decay})}.items():
            check_number(kind, key, value)
        check_number(kind, "ema_momentum", ema_momentum, most=1.0)
        check_count(kind, "ema_overwrite_frequency", ema_overwrite_frequency, 1)
        check_count(kind, "gradient_accumulation_steps", gradient_accumulation_steps, 2)
        self.name = auto_name(snake_case(kind)) if name is None else checked_name(name)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._learning_rate: Any = None
        self.learning_rate = learning_rate
        self._iterations = 0  # calls; with accumulation, several make one step
        self._params: list[Any] = []
        self._paths: list[str] = []
        self._positions: dict[int, int] = {}
        self._rule: Rule | None = None
        self._average: ParameterAverage | None = None
        self._sum: GradientSum | None = None
        self._undecayed: tuple[set[int], re.Pattern[str] | None] = (set(), None)
        self._warned = False

    def _refuse(self, unknown: dict[str, Any]) -> None:
        """Raise an error that helps if arguments are left over."""
        decay = unknown.pop("decay", None)
        if decay:
            raise ArgumentError(
                f"{type(self).__name__}: decay={decay} is Keras 2's; pass learning_rate=keras.optimizers.schedules."
                f"InverseTimeDecay(learning_rate, decay_steps=1, decay_rate={decay}), which is the same"
            )
        for key in unknown:
            hint = {"lr": "; it is called learning_rate", "momentums": "; it is called momentum"}.get(key, "")
            raise ArgumentError(f"{type(self).__name__}: unknown argument {key!r}{hint}")

    # ------------------------------------------------------------------ what a subclass defines

    def rule(self, groups: list[dict[str, Any]]) -> Rule:
        """Return the rule of :mod:`minidl.optim` that changes groups of parameters."""
        raise NotImplementedError(f"{type(self).__name__} has no rule; define `def rule(self, groups):` in it")

    def slots(self) -> tuple[tuple[Slot, ...], ...]:
        """Return what is kept for each parameter; in a file, those of one tuple stand together, by parameter."""
        return ()

    def numbers(self) -> tuple[str, ...]:
        """Return the numbers of the rule's state that stand at the end of a file."""
        return ()

    # ------------------------------------------------------------------ variables

    def build(self, variables: Iterable[Any]) -> None:
        """Bind the optimiser to the variables that it will change.

        Parameters
        ----------
        variables : iterable of Tensor, or of (path, Tensor) pairs
            A path names a variable in files; one that has a ``path`` of its own need not be paired.

        Raises
        ------
        StateError
            If it is bound to others already.
        """
        pairs = [pair if isinstance(pair, tuple) else (getattr(pair, "path", None), pair) for pair in variables]
        if self.built:
            if not self.knows(p for _, p in pairs):
                raise StateError(
                    f"{self.name}: it was built for other variables; make a new optimizer for a new or changed model"
                )
            return
        self._params = [p for _, p in pairs]
        self._paths = [path or f"variable_{i}" for i, (path, _) in enumerate(pairs)]
        self._positions = {id(p): i for i, p in enumerate(self._params)}
        if self._params:
            self._rule = self.rule(self._groups())
            arrays = [p.array for p in self._params]
            self._average = ParameterAverage(arrays) if self.use_ema else None
            self._sum = GradientSum(arrays) if self.gradient_accumulation_steps else None
        self.built = True

    def knows(self, variables: Iterable[Any]) -> bool:
        """Return whether it was built for all of these variables."""
        positions = self._positions
        return all(id(p) in positions for p in variables)

    def _groups(self) -> list[dict[str, Any]]:
        """Return the parameters that weight decay shrinks, and those that it leaves alone."""
        if self.weight_decay is None:
            return [{"params": self._params}]
        excluded, pattern = self._undecayed
        groups: list[dict[str, Any]] = [
            {"params": [], "weight_decay": self.weight_decay},
            {"params": [], "weight_decay": 0.0},
        ]
        for p, path in zip(self._params, self._paths, strict=True):
            name = path.rpartition("/")[2]
            groups[id(p) in excluded or bool(pattern and pattern.search(name))]["params"].append(p)
        return [group for group in groups if group["params"]]

    def exclude_from_weight_decay(
        self, var_list: Iterable[Any] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Let weight decay leave some variables alone; to be called before ``build``.

        Parameters
        ----------
        var_list : iterable of Tensor, optional
            These variables.
        var_names : iterable of str, optional
            Those in whose name one of these is found: ``["bias"]``.

        Raises
        ------
        StateError
            If the optimiser is built already.
        """
        if self.built:
            raise StateError(f"{self.name}: exclude_from_weight_decay comes too late, it is built; call it before")
        names = list(var_names or ())
        self._undecayed = ({id(p) for p in var_list or ()}, re.compile("|".join(names)) if names else None)

    # ------------------------------------------------------------------ the learning rate

    @property
    def iterations(self) -> int:
        """How many steps it has taken."""
        return self._iterations // (self.gradient_accumulation_steps or 1)

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step; it can be set, except to a number where there is a schedule."""
        if isinstance(self._learning_rate, float):
            return self._learning_rate
        if isinstance(self._learning_rate, LearningRateSchedule):
            return float(self._learning_rate(self._iterations))
        return float(self._learning_rate())

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        kind = type(self).__name__
        if isinstance(value, (Recorded, np.ndarray)):
            value = as_values(value).item()
        if callable(value):
            self._learning_rate = value
        elif isinstance(self._learning_rate, LearningRateSchedule):
            raise DTypeError(
                f"{kind}: the learning rate follows {type(self._learning_rate).__name__}, so it cannot be set to "
                f"{value!r}; make the optimizer with a number to set it on the way"
            )
        else:
            self._learning_rate = check_number(kind, "learning_rate", value)

    # ------------------------------------------------------------------ steps

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all variables."""
        if self._rule is not None:
            self._rule.zero_grad(set_to_none)

    def step(self) -> None:
        """Change each variable that has a gradient, in place.

        Raises
        ------
        StateError
            If the optimiser is not built.
        GradError
            If no variable has a gradient.
        """
        if not self.built:
            raise StateError(f"{self.name}: it has no variables yet; call build(model.trainable_variables) first")
        given = [p for p in self._params if p.grad is not None]
        if len(given) < len(self._params):
            self._note_missing([p for p in self._params if p.grad is None and p.requires_grad], given)
        self._step(given)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Any]]) -> int:
        """Change variables by given gradients.

        Parameters
        ----------
        grads_and_vars : iterable of (gradient, variable) pairs
            A gradient may be None: its variable stays as it is.

        Returns
        -------
        int
            How many steps were taken, this one included.

        Raises
        ------
        ArgumentError, StateError, ShapeError, GradError
            As for :meth:`apply`.
        """
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [p for _, p in pairs])
        return self._iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Iterable[Any] | None = None) -> None:
        """Change variables by given gradients.

        Parameters
        ----------
        grads : list of Tensor, array or None
            One a variable.
        trainable_variables : iterable of Tensor, optional
            Those of ``build`` if left out; given to an optimiser that is not built, they build it.

        Raises
        ------
        ArgumentError
            If there is not one gradient a variable.
        StateError
            If the optimiser is built, and not for these variables; or if it is not, and there are none.
        ShapeError
            If a gradient has another shape than its variable.
        GradError
            If all gradients are None.
        """
        grads = list(grads)
        if not grads:
            return
        if trainable_variables is None:
            if not self.built:
                raise StateError(f"{self.name}: it has no variables yet; pass trainable_variables, or call build first")
            variables = self._params
        else:
            variables = list(trainable_variables)
        if len(grads) != len(variables):
            raise ArgumentError(
                f"{self.name}.apply: {len(grads)} gradients for {len(variables)} variables; pass one each, or None"
            )
        self.build(variables)
        pairs = []
        for g, p in zip(grads, variables, strict=True):
            if g is None:
                continue
            array = g.array if isinstance(g, Recorded) else as_array(g, copy=False)
            if array.shape != p.array.shape:
                raise ShapeError(
                    f"{self.name}.apply: the gradient of {self._path(p)} has shape {array.shape}, the variable "
                    f"{p.array.shape}"
                )
            pairs.append((p, to_device(array.astype(p.array.dtype, copy=False), device_of(p.array))))
        given = [p for p, _ in pairs]
        self._note_missing([p for g, p in zip(grads, variables, strict=True) if g is None], given)
        kept = [p.grad for p in self._params]
        try:
            for p in self._params:
                p.grad = None
            for p, array in pairs:
                p.grad = wrap(array)
            self._step(given)
        finally:
            for p, grad in zip(self._params, kept, strict=True):
                p.grad = grad

    def _note_missing(self, missing: list[Any], given: list[Any]) -> None:
        """Complain if variables have no gradient: once if they are some, always if they are all."""
        if not missing:
            return
        if not given:
            raise GradError(
                f"{self.name}: no variable has a gradient; call loss.backward() before, and see that the loss depends "
                "on the variables"
            )
        if not self._warned:
            self._warned = True
            names = ", ".join(map(self._path, missing[:5]))
            warn(f"{self.name}: no gradient for {names}: the loss does not depend on them, so they are not trained")

    def _path(self, p: Any) -> str:
        return self._paths[self._positions[id(p)]]

    def _step(self, given: list[Any]) -> None:
        """Take the step of one batch; ``given`` are the variables that have a gradient."""
        if not given:
            return
        if self._sum is None and not (self.clipnorm or self.clipvalue or self.global_clipnorm):
            self._update(given)
        else:
            kept = [p.grad for p in given]
            arrays = self._accumulated(given, [g.array for g in kept])
            if arrays is not None:
                try:
                    for p, array in zip(given, self._clipped(arrays), strict=True):
                        p.grad = wrap(array)
                    self._update(given)
                finally:
                    for p, g in zip(given, kept, strict=True):
                        p.grad = g
        if self._average is not None:
            self._average_parameters(self._average)
        for p in given:
            if getattr(p, "constraint", None) is not None:
                with no_grad():
                    p.assign(p.constraint(p))
        self._iterations += 1

    def _accumulated(self, given: list[Any], arrays: list[Any]) -> list[Any] | None:
        """Return the gradients to step with, or None if they wait for those of further batches."""
        total, steps = self._sum, self.gradient_accumulation_steps
        if total is None or steps is None:
            return arrays
        positions = [self._positions[id(p)] for p in given]
        if (self._iterations + 1) % steps:
            for i, g in zip(positions, arrays, strict=True):
                total.add(i, g)
            return None
        means = [total.mean(i, g, steps) for i, g in zip(positions, arrays, strict=True)]
        total.clear()
        return means

    def _clipped(self, arrays: list[Any]) -> list[Any]:
        if self.clipnorm:
            return clip_by_norm(arrays, self.clipnorm)
        if self.global_clipnorm:
            return clip_by_global_norm(arrays, self.global_clipnorm)
        if self.clipvalue:
            return clip_by_value(arrays, self.clipvalue)
        return arrays

    def _update(self, given: list[Any]) -> None:
        rule = self._bound()
        rate = as_stored(self.learning_rate)
        for group in rule.param_groups:
            group["lr"] = rate
        rule.step()
        if len(given) < len(self._params):  # Keras counts one time for all, so it goes on for those left out, too
            moved = set(map(id, given))
            for group in rule.param_groups:
                for p in group["params"]:
                    if id(p) not in moved:
                        rule.advance(group, rule.state.setdefault(p, {"step": 0}))

    def _average_parameters(self, average: ParameterAverage) -> None:
        arrays = [p.array for p in self._params]
        average.update(arrays, self.ema_momentum if self.iterations else 0.0)
        frequency = self.ema_overwrite_frequency
        if frequency and (self.iterations + 1) % frequency == 0:
            self._overwrite(average)

    def finalize_variable_values(self, var_list: Iterable[Any] | None = None) -> None:
        """Let the moving average, if there is one, take the place of the variables; ``fit`` calls it when it ends.

        Parameters
        ----------
        var_list : iterable of Tensor, optional
            Taken for Keras's sake: it is the variables of ``build``.
        """
        if self._average is not None:
            self._overwrite(self._average)

    def _overwrite(self, average: ParameterAverage) -> None:
        average.copy_to([p.array for p in self._params])
        for p in self._params:
            p.bump()

    def _bound(self) -> Rule:
        if self._rule is None:
            raise StateError(f"{self.name}: it has no variables yet; call build(model.trainable_variables) first")
        return self._rule

    # ------------------------------------------------------------------ state

    @property
    def variables(self) -> list[OptimizerVariable]:
        """What it keeps between steps, as Keras has it in files: copies, in Keras's order, under Keras's names."""
        found = [OptimizerVariable(f"{self.name}/iteration", np.asarray(self._iterations, np.int32))]
        if isinstance(self._learning_rate, float):
            rate = np.asarray(self._learning_rate, default_dtype())
            found.append(OptimizerVariable(f"{self.name}/learning_rate", rate))
        if self._rule is None:
            return found
        if self._average is not None:
            found += self._listed("average", self._average.arrays)
        if self._sum is not None:
            found += self._listed("gradient_accumulator", self._sum.arrays)
        group = self._rule.param_groups[0]
        fills = self._rule.slots(group)
        for together in self.slots():
            listed = [self._listed(slot.name, [self._kept(p, slot, fills) for p in self._params]) for slot in together]
            found += [variable for of_one in zip(*listed, strict=True) for variable in of_one]
        for key in self.numbers():
            number = self._rule.numbers_after(group, self.iterations)[key]
            found.append(OptimizerVariable("variable", np.asarray(number, self._params[0].array.dtype)))
        return found

    def _listed(self, name: str, arrays: Iterable[Any]) -> list[OptimizerVariable]:
        return [
            OptimizerVariable(f"{self.name}/{path.replace('/', '_')}_{name}", to_numpy(array).copy())
            for path, array in zip(self._paths, arrays, strict=True)
        ]

    def _kept(self, p: Any, slot: Slot, fills: Mapping[str, float]) -> Any:
        """Return what is kept for a parameter under one name, or what that begins with."""
        array = self._bound().state.get(p, {}).get(slot.key)
        if array is None:
            array = np.full(p.array.shape, fills[slot.key], p.array.dtype)
        return 0 - array if slot.sign < 0 else array  # not -array: 0 must not become -0

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Continue from the values of ``variables``, of minidl or of Keras, in the same order.

        Parameters
        ----------
        weights : list of array, Tensor or OptimizerVariable

        Raises
        ------
        StateError
            If their number or a shape differs: another optimiser's, or another model's.
        """
        own = self.variables
        given = [as_values(x) for x in weights]
        if len(given) != len(own):
            raise StateError(
                f"{self.name}: {len(given)} arrays for {len(own)} variables; they are of another optimizer or model"
                + ("" if self.built else ", or this one is not built yet: call build(model.trainable_variables) first")
            )
        for variable, array in zip(own, given, strict=True):
            if array.shape != variable.shape:
                raise StateError(
                    f"{self.name}: {variable.path} has shape {variable.shape}, and was given an array of shape "
                    f"{array.shape}"
                )
        values = iter(given)
        self._iterations = int(next(values))
        if isinstance(self._learning_rate, float):
            self._learning_rate = as_read(next(values))
        if self._rule is None:
            return
        for kept in (self._average, self._sum):
            if kept is not None:
                kept.arrays = [self._beside(p, next(values)) for p in self._params]
        state: list[dict[str, Any]] = [{} for _ in self._params]
        for together in self.slots():
            for own_state in state:
                for slot in together:
                    array = next(values)
                    own_state[slot.key] = 0 - array if slot.sign < 0 else array
        self._load(self._rule, state)

    set_variables = set_weights

    def _load(self, rule: Rule, state: list[dict[str, Any]]) -> None:
        """Give the rule the state of each parameter, with the numbers that it has after so many steps."""
        entries, index = {}, 0
        for group in rule.param_groups:
            numbers = rule.numbers_after(group, self.iterations)
            for p in group["params"]:
                entries[index] = {**numbers, **state[self._positions[id(p)]]}
                index += 1
        rule.load_state_dict({"state": entries, "param_groups": rule.state_dict()["param_groups"]})

    @staticmethod
    def _beside(p: Any, array: np.ndarray) -> Any:
        return to_device(array.astype(p.array.dtype), device_of(p.array))

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Write the variables into a mapping, under ``"0"``, ``"1"``, ..., as a .keras file has them."""
        for index, variable in enumerate(self.variables):
            store[str(index)] = variable.value

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Continue from what :meth:`save_own_variables` (minidl's or Keras's) wrote.

        Parameters
        ----------
        store : mapping of str to array

        Raises
        ------
        StateError
            If it does not fit.
        """
        keys = sorted(store.keys(), key=lambda key: (len(key), key))
        if keys != [str(index) for index in range(len(keys))]:
            raise StateError(f"{self.name}: expected the variables '0', '1', ..., got {', '.join(map(repr, keys[:5]))}")
        self.set_weights([store[key] for key in keys])

    def state_dict(self) -> dict[str, Any]:
        """Return everything that training needs to continue to the same bits.

        Returns
        -------
        dict
            ``"learning_rate"``: the number, or None if it follows a schedule. ``"variables"``: a list of arrays.
        """
        rate = self._learning_rate if isinstance(self._learning_rate, float) else None
        return {"learning_rate": rate, "variables": [variable.value for variable in self.variables]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned.

        Parameters
        ----------
        state_dict : dict

        Raises
        ------
        StateError
            If it does not fit.
        """
        if not isinstance(state_dict, Mapping) or not {"learning_rate", "variables"} <= state_dict.keys():
            raise StateError(f"{self.name}: a state must be a dict with the keys 'learning_rate' and 'variables'")
        self.set_weights(state_dict["variables"])
        if isinstance(self._learning_rate, float):
            self._learning_rate = float(state_dict["learning_rate"])

    # ------------------------------------------------------------------ configs

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this optimiser again, as JSON can hold them."""
        rate = self._learning_rate
        return {
            "name": self.name,
            "learning_rate": rate if isinstance(rate, float) else serialize_keras_object(rate),
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            **{key: getattr(self, key) for key in self.settings},
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Self:
        """Make an optimiser from what ``get_config`` (minidl's or Keras's) returned.

        Parameters
        ----------
        config : dict
        custom_objects : dict of str to class or function, optional
            The user's own schedules.
        """
        arguments = {key: value for key, value in config.items() if key not in _FORGOTTEN}
        if isinstance(arguments.get("learning_rate"), Mapping):
            arguments["learning_rate"] = deserialize_keras_object(
                arguments["learning_rate"], custom_objects, module=f"{MODULE}.schedules"
            )
        return cls(**arguments)

    def __repr__(self) -> str:
        shown = {"learning_rate": self._learning_rate, **{key: getattr(self, key) for key in self.settings}}
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in shown.items())})"
