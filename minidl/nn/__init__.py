"""Modules: layers, containers, losses, their initialisation, in PyTorch's dialect."""

from minidl.nn import init
from minidl.nn.containers import ModuleDict, ModuleList, ParameterDict, ParameterList, Sequential
from minidl.nn.linear import Dense, Linear
from minidl.nn.module import Module
from minidl.nn.parameter import Parameter
