"""What all optimisers share: groups of parameters, their state, and how a step walks over them.

An optimiser is one method, :meth:`Optimizer.update`, which holds the formula and sees plain arrays; ``buckets.py``
decides which arrays it sees.

The commonest rules have a compiled twin that makes one pass, with the same bits. Numba, which compiles it, takes most
of a second to load, and a short training of a small model is over before that. So NumPy runs until the twin would have
saved as much time as loading it takes, and the twin from then on: whenever training ends, what was lost is at most
twice what knowing so beforehand would have lost. On a GPU, where NumPy's place is CuPy's, they have a kernel from the
first step on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from minidl.autograd import Variable, enable_grad
from minidl.backend import device_of, is_array, namespace, quiet, to_device, to_numpy
from minidl.errors import ArgumentError, DTypeError, GradError, StateError
from minidl.kernels.dispatch import launchable, load, load_gpu, usable
from minidl.optim import buckets
from minidl.optim.buckets import Plan, decays, settle

if TYPE_CHECKING:
    from minidl._tensor import Tensor

#: In seconds: what it takes to load a compiled rule with Numba, or where another kernel has loaded that.
LOADING, LOADED = 0.8, 0.02

#: What each hyperparameter may be: from where, up to where, and whether that end is excluded.
LIMITS: dict[str, tuple[float, float, bool]] = {
    "lr": (0.0, float("inf"), False),
    "eps": (0.0, float("inf"), False),
    "weight_decay": (0.0, float("inf"), False),
    "momentum": (0.0, float("inf"), False),
    "momentum_decay": (0.0, float("inf"), False),
    "lr_decay": (0.0, float("inf"), False),
    "initial_accumulator_value": (0.0, float("inf"), False),
    "alpha": (0.0, float("inf"), False),
    "l1": (0.0, float("inf"), False),
    "l2": (0.0, float("inf"), False),
    "l2_shrinkage": (0.0, float("inf"), False),
    "beta": (0.0, float("inf"), False),
    "rho": (0.0, 1.0, False),
    "beta1": (0.0, 1.0, True),
    "beta2": (0.0, 1.0, True),
}

#: Keys of a group that are no hyperparameter of the optimiser: names, and what schedules keep there.
NOTES = ("params", "name", "param_names", "initial_lr", "max_lr", "min_lr", "max_momentum", "base_momentum")


class Optimizer:
    r"""The base of all optimisers: it holds groups of parameters, and the state of each parameter.

    .. math:: \theta_t = \theta_{t-1} - \Delta(\nabla f(\theta_{t-1}), \text{state}_{t-1})

    Subclasses name their state in :meth:`slots` and define :meth:`update`.

    Parameters
    ----------
    params : iterable of Tensor, of (name, Tensor) pairs, or of dict
        What to optimise. A dict is a group: its ``"params"``, and the hyperparameters that differ for them.
    defaults : dict
        The hyperparameters of groups that do not name their own.

    Raises
    ------
    ArgumentError
        If there are no parameters, one is given twice, or a hyperparameter is unknown or out of its range.
    DTypeError
        If something else than tensors is given.
    GradError
        If a tensor is no leaf, but the result of an operation.

    Examples
    --------
    >>> import minidl
    >>> w = minidl.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = minidl.optim.SGD([w], lr=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0., 0.], requires_grad=True)

    References
    ----------
    ``torch.optim.Optimizer``.
    """

    #: What a parameter's state holds besides arrays.
    numbers: ClassVar[tuple[str, ...]] = ("step",)
    #: How many scratch arrays :meth:`update` is handed.
    scratch: ClassVar[int] = 1
    #: Whether the rule depends on the parameter itself, which :meth:`_delta` is handed then.
    reads_parameter: ClassVar[bool] = False
    #: The function of ``minidl.kernels.cpu.optimizers``, and of ``gpu``, that does what :meth:`update` does, if any.
    compiled: ClassVar[str | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__dict__.keys().isdisjoint(("update", "_delta")) and "compiled" not in cls.__dict__:
            cls.compiled = None  # its base's twin computes another formula

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.name = type(self).__name__
        self.defaults = dict(defaults)
        self.state: dict[Tensor, dict[str, Any]] = {}
        self.param_groups: list[dict[str, Any]] = []
        self.steps_taken = 0
        self._plans: list[Plan | None] = []
        self._kept_scratch: dict[Any, Any] = {}
        self.time_lost = 0.0  # in seconds: how much a compiled rule would have saved so far
        if isinstance(params, Variable) or hasattr(params, "parameters"):
            raise DTypeError(
                f"{self.name}: params must be an iterable of tensors, got one {type(params).__name__}; pass "
                + ("[x]" if isinstance(params, Variable) else "model.parameters()")
            )
        listed = list(params)
        if not listed:
            raise ArgumentError(
                f"{self.name}: the list of parameters is empty; pass model.parameters() of a model that has layers "
                "(a generator that was consumed before is empty, too)"
            )
        for group in listed if isinstance(listed[0], dict) else [{"params": listed}]:
            self.add_param_group(group)

    # ------------------------------------------------------------------ what a subclass defines

    def slots(self, group: Mapping[str, Any]) -> Mapping[str, float]:
        """Return which arrays a parameter of ``group`` keeps between steps, and what they are filled with at first."""
        return {}

    def check(self, group: Mapping[str, Any]) -> None:
        """Raise an ArgumentError if hyperparameters of ``group`` do not go together."""

    def advance(self, group: Mapping[str, Any], state: dict[str, Any]) -> None:
        """Move the numbers of one parameter's state (not the arrays) on by a step."""
        state["step"] += 1

    def numbers_after(self, group: Mapping[str, Any], steps: int) -> dict[str, Any]:
        """Return the numbers of the state of a parameter of ``group`` that has taken so many steps."""
        return {"step": steps}

    def update(self, group: Mapping[str, Any], state: Mapping[str, Any], xp: Any, g: Any, slots: Any, *t: Any) -> Any:
        """Change ``slots`` in place, element by element, and return the step to subtract from the parameter.

        Parameters
        ----------
        group : dict
            The hyperparameters.
        state : dict
            The numbers of the state, ``state["step"]`` counting from 1.
        xp : module
            ``numpy`` or ``cupy``.
        g : array
            The gradient; it must not be written to.
        slots : sequence of arrays
            The arrays named by :meth:`slots`, in that order.
        *t : arrays
            :attr:`scratch` arrays of the same shape, with anything in them.

        Returns
        -------
        array
            The step, best in one of the scratch arrays.
        """
        raise NotImplementedError(f"{self.name} has no update")

    def constants(self, group: Mapping[str, Any], state: Mapping[str, Any]) -> tuple[float, ...]:
        """Return the numbers of the formula that the compiled rule takes, beside those of weight decay."""
        raise NotImplementedError(f"{self.name} has no compiled rule")

    # ------------------------------------------------------------------ groups

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with hyperparameters of their own, as when layers are unfrozen during training.

        Parameters
        ----------
        group : dict
            ``"params"``, and the hyperparameters that differ from the defaults.

        Raises
        ------
        ArgumentError, DTypeError, GradError
            As for the optimiser itself.
        """
        if not isinstance(group, Mapping) or "params" not in group:
            raise DTypeError(f"{self.name}: a parameter group must be a dict with a key 'params', got {group!r}")
        group = dict(group)
        group["params"], names = self._as_params(group["params"])
        if names:
            group["param_names"] = names
        unknown = [key for key in group if key not in self.defaults and key not in NOTES]
        if unknown:
            raise ArgumentError(
                f"{self.name}: unknown hyperparameter {unknown[0]!r} in a parameter group; it has "
                + ", ".join(self.defaults)
            )
        for key, value in self.defaults.items():
            group.setdefault(key, value)
        self._check_limits(group)
        self.check(group)
        taken = {id(p) for other in self.param_groups for p in other["params"]}
        for position, p in enumerate(group["params"]):
            if id(p) in taken:
                raise ArgumentError(
                    f"{self.name}: parameter {position} of group {len(self.param_groups)} (shape {p.shape}) was given "
                    "before; each parameter may be given once, in one group"
                )
            taken.add(id(p))
        self.param_groups.append(group)
        self._plans.append(None)

    def _as_params(self, params: Any) -> tuple[list[Any], list[str]]:
        """Return the tensors of a group as a list, and their names if they came in pairs."""
        if isinstance(params, (set, frozenset)):
            raise DTypeError(f"{self.name}: parameters must come in an order that repeats; a set has none, use a list")
        listed: list[Any] = [params] if isinstance(params, Variable) else list(params)
        names = [pair[0] for pair in listed if isinstance(pair, tuple) and len(pair) == 2]
        if names:
            if len(names) != len(listed):
                raise DTypeError(f"{self.name}: either all parameters have a name or none")
            listed = [pair[1] for pair in listed]
        for position, p in enumerate(listed):
            if not isinstance(p, Variable):
                raise DTypeError(
                    f"{self.name}: parameter {position} is of type {type(p).__name__}; an optimiser takes tensors"
                )
            if p._node is not None:
                raise GradError(
                    f"{self.name}: parameter {position} (shape {p.array.shape}) is no leaf but the result of "
                    f"{p._node.name}, so changing it would change nothing; pass the tensors it was computed from, or "
                    "x.detach().requires_grad_()"
                )
        return listed, names

    def _check_limits(self, group: dict[str, Any]) -> None:
        if "betas" in group:
            betas = group["betas"]
            if not isinstance(betas, (tuple, list)) or len(betas) != 2:
                raise ArgumentError(f"{self.name}: betas must be a pair (beta1, beta2), got {betas!r}")
            group["betas"] = tuple(betas)
        numbers = dict(group, **dict(zip(("beta1", "beta2"), group.get("betas", ()), strict=False)))
        for key, (low, high, open_end) in LIMITS.items():
            if key not in numbers:
                continue
            value = numbers[key]
            if hasattr(value, "item") and key in group:
                value = group[key] = value.item()
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise DTypeError(f"{self.name}: {key} must be a number, got {value!r}")
            if not low <= value <= high or (open_end and value == high):
                wanted = (
                    "must not be negative"
                    if high == float("inf")
                    else f"must be in [{low}, {high}{')' if open_end else ']'}"
                )
                raise ArgumentError(f"{self.name}: {key} {wanted}, got {value}")

    # ------------------------------------------------------------------ steps

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters: ``backward`` adds to what is there.

        Parameters
        ----------
        set_to_none : bool
            Drop them (a parameter without gradient is then left alone by :meth:`step`) rather than fill with zeros.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none or p._grad is None:
                    p._grad = None
                else:
                    p.grad = p.grad.detach()
                    p.grad.array[...] = 0
                    p.grad.bump()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change each parameter that has a gradient, in place.

        Parameters
        ----------
        closure : callable, optional
            Computes the loss and its gradients anew and returns the loss; called first.

        Returns
        -------
        What ``closure`` returned, or None
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        self._step()
        return loss

    @quiet
    def _step(self) -> None:
        self.steps_taken += 1
        for index, group in enumerate(self.param_groups):
            plan = self._plans[index]
            slots = self.slots(group)
            if plan is None or not plan.fits(self, group, slots):
                plan = self._plans[index] = Plan(self, group, slots)
            plan.run(self, group)

    def _delta(self, group: Any, state: Any, xp: Any, p: Any, g: Any, slots: Any, own: Any, *t: Any) -> Any:
        """Return what to subtract from ``p``; ``own`` is where a changed gradient may be written."""
        if group["maximize"]:
            g = xp.negative(g, out=own)
        if p is not None:
            xp.multiply(p, group["weight_decay"], out=t[0])
            g = xp.add(g, t[0], out=own)
        return self.update(group, state, xp, g, slots, *t)

    def _worth_loading(self) -> bool:
        """Whether a compiled rule would have saved by now what it takes to load it."""
        return self.time_lost >= (LOADED if "minidl.kernels.cpu.compiler" in sys.modules else LOADING)

    def _rules_for(self, array: Any) -> ModuleType | None:
        """Return the file of compiled rules for a parameter that lies in one piece, if there is one and it is worth it.

        On the GPU it is from the beginning.
        """
        if self.compiled is None or not array.flags.c_contiguous:
            return None
        if type(array) is np.ndarray:
            return load("optimizers") if array.flags.carray and self._worth_loading() and usable(array) else None
        return load_gpu("optimizers") if launchable(array) else None

    def _run_compiled(
        self, rules: ModuleType, group: Any, state: Any, members: Any, grads: list[Any], slots: list[Any]
    ) -> None:
        """Change parameters and flat slots in place by the compiled rule."""
        coupled, shrink = decays(group)
        decay = group["weight_decay"] if coupled else 0.0
        numbers = (-1.0 if group["maximize"] else 1.0, decay, shrink, *self.constants(group, state))
        getattr(rules, str(self.compiled))(members, grads, slots, numbers)

    def _step_alone(self, group: Any, state: Any, param: Any, names: Iterable[str]) -> None:
        """Update one parameter: block by block if it is large and lies in one piece."""
        self.advance(group, state)
        p, g = param.array, param.grad.array
        slots = [state[name] for name in names]
        xp = namespace(p)
        rules = self._rules_for(p)
        if rules is not None:
            self._run_compiled(rules, group, state, rules.Members([p]), [g], [x.reshape(-1) for x in slots])
            param.bump()
            return
        coupled, shrink = decays(group)
        reads = coupled or self.reads_parameter
        size = p.size
        if xp is np and size > buckets.BLOCK and p.flags.c_contiguous and g.flags.c_contiguous:
            p, g = p.reshape(-1), g.reshape(-1)
            slots = [x.reshape(-1) for x in slots]
            scratch = self._scratch_arrays(xp, p, buckets.BLOCK)
            for start in range(0, size, buckets.BLOCK):
                at = slice(start, start + buckets.BLOCK)
                n = min(buckets.BLOCK, size - start)
                block = p[at]
                delta = self._delta(
                    group,
                    state,
                    xp,
                    block if reads else None,
                    g[at],
                    [x[at] for x in slots],
                    *(x[:n] for x in scratch),
                )
                if shrink != 1:
                    block *= shrink
                block -= delta
        else:
            scratch = [x[:size].reshape(p.shape) for x in self._scratch_arrays(xp, p, size)]
            delta = self._delta(group, state, xp, p if reads else None, g, slots, *scratch)
            if shrink != 1:
                p *= shrink
            p -= delta
        if state["step"] % buckets.SETTLING == 0:
            settle(xp, slots)
        param.bump()

    def _scratch_arrays(self, xp: Any, like: Any, size: int) -> Any:
        """Return flat arrays of at least ``size``, kept from step to step: for a changed gradient, and for update."""
        key = (like.dtype, device_of(like)) if xp is not np else like.dtype
        kept = self._kept_scratch.get(key)
        if kept is None or kept[0].size < size:
            kept = self._kept_scratch[key] = [xp.empty(size, like.dtype) for _ in range(1 + self.scratch)]
        return kept

    # ------------------------------------------------------------------ saving

    def state_dict(self) -> dict[str, Any]:
        """Return everything that training needs to continue, in PyTorch's layout.

        Returns
        -------
        dict
            ``"state"``: per parameter, by index, its numbers and (copies of) its arrays. ``"param_groups"``: the
            hyperparameters of each group, with the indices of its parameters as ``"params"``.
        """
        index: dict[Any, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                index[p] = len(index)
            packed = {key: value for key, value in group.items() if key != "params"}
            groups.append({**packed, "params": [index[p] for p in group["params"]]})
        state = {
            index[p]: {key: x.copy() if is_array(x) else x for key, x in self.state[p].items()}
            for p in index
            if p in self.state
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` returned, of minidl or of PyTorch.

        Parameters
        ----------
        state_dict : dict
            Its arrays (NumPy's, or of anything NumPy can read) are copied, to each parameter's dtype and device.

        Raises
        ------
        StateError
            If groups, their sizes or the shapes of arrays differ from this optimiser's.
        """
        if not isinstance(state_dict, Mapping) or not {"state", "param_groups"} <= state_dict.keys():
            raise StateError(f"{self.name}: a state must be a dict with the keys 'state' and 'param_groups'")
        saved_groups = state_dict["param_groups"]
        sizes = [len(group["params"]) for group in self.param_groups]
        saved_sizes = [len(group["params"]) for group in saved_groups]
        if sizes != saved_sizes:
            raise StateError(
                f"{self.name}: the state has groups of {saved_sizes} parameters, this optimiser of {sizes}; make it "
                "for the same model, with the same groups"
            )
        own = [p for group in self.param_groups for p in group["params"]]
        indices = [i for group in saved_groups for i in group["params"]]
        by_index = dict(zip(indices, own, strict=True))
        state = {}
        for key, saved in state_dict["state"].items():
            index = int(key)
            if index not in by_index:
                raise StateError(f"{self.name}: the state has an entry for parameter {index}, which is in no group")
            state[by_index[index]] = self._load_one(index, by_index[index], saved)
        self.state = state
        for group, saved_group in zip(self.param_groups, saved_groups, strict=True):
            known = {key: x for key, x in saved_group.items() if key in self.defaults or key in NOTES}
            group.update({**known, "params": group["params"]})
            if "betas" in group:
                group["betas"] = tuple(group["betas"])
        self._plans = [None] * len(self.param_groups)

    def _load_one(self, index: int, p: Any, saved: Mapping[str, Any]) -> dict[str, Any]:
        """Return the state of one parameter, copied to where the parameter lives."""
        loaded: dict[str, Any] = {"step": 0}
        for key, value in saved.items():
            if value is None:
                continue
            value = value.array if isinstance(value, Variable) else value
            array = to_numpy(value) if is_array(value) else np.asarray(value)
            if key in self.numbers:
                loaded[key] = array.item()
            elif array.shape != p.array.shape:
                raise StateError(
                    f"{self.name}: {key} of parameter {index} has shape {array.shape} in the state, the parameter "
                    f"{p.array.shape}; make the optimiser for the same model"
                )
            else:
                loaded[key] = to_device(array.astype(p.array.dtype), device_of(p.array))
        loaded["step"] = int(loaded["step"])
        return loaded

    def __repr__(self) -> str:
        lines = [f"{self.name} ("]
        for index, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {index}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key not in ("params", "param_names")]
        return "\n".join([*lines, ")"])
