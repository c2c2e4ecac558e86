"""minidl: a deep-learning engine to read, to teach with, and to use."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from minidl import autograd, cuda, data, datasets, formats, gpu, linalg, nn, optim, utils
from minidl._tensor import Tensor
from minidl._tensor_types import *
from minidl.autograd import (
    checkpoint,
    detect_anomaly,
    enable_grad,
    grad,
    gradcheck,
    gradgradcheck,
    hessian,
    inference_mode,
    is_grad_enabled,
    jacobian,
    jvp,
    no_grad,
    set_grad_enabled,
    vjp,
)
from minidl.backend import Device as device  # noqa: N813
from minidl.backend import (
    Generator,
    get_rng_state,
    manual_seed,
    set_default_device,
    set_default_dtype,
    set_rng_state,
)
from minidl.backend import default_device as get_default_device
from minidl.backend import default_dtype as get_default_dtype
from minidl.dtypes import *
from minidl.formats import load, save
from minidl.formatting import printoptions, set_printoptions
from minidl.kernels import get_num_threads, set_num_threads
from minidl.ops import *

if _TYPE_CHECKING:
    from minidl import keras, training


def __getattr__(name: str) -> _Any:
    """Load the training loop and the Keras dialect when they are first asked for: not every script needs them."""
    if name in ("keras", "training"):
        return _import_module(f"minidl.{name}")
    raise AttributeError(f"module 'minidl' has no attribute {name!r}")
