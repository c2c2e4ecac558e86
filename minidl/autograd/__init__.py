"""The engine: variables, operations as nodes of a graph, the backward pass, and derivatives as functions."""

from minidl.autograd.checkpoint import checkpoint
from minidl.autograd.engine import backward
from minidl.autograd.function import Function, once_differentiable
from minidl.autograd.functional import grad, hessian, jacobian, jvp, vjp
from minidl.autograd.gradcheck import gradcheck, gradgradcheck
from minidl.autograd.inplace import update
from minidl.autograd.modes import (
    detect_anomaly,
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_detect_anomaly,
    set_grad_enabled,
)
from minidl.autograd.operation import OPERATIONS, Operation, cast, guarded
from minidl.autograd.variable import Variable, wrap

__all__ = [
    "OPERATIONS",
    "Function",
    "Operation",
    "Variable",
    "backward",
    "cast",
    "checkpoint",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "guarded",
    "hessian",
    "inference_mode",
    "is_grad_enabled",
    "jacobian",
    "jvp",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
    "update",
    "vjp",
    "wrap",
]
