"""minidl: a deep-learning engine to read, to teach with, and to use."""

from minidl import autograd, data, datasets, nn
from minidl._tensor import Tensor
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
from minidl.backend import manual_seed
from minidl.ops import *
