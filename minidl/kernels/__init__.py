"""Kernels: plain arrays in, plain arrays out. Which implementation runs is decided here and nowhere else.

``reference`` says in readable NumPy what each kernel computes, and runs on CuPy arrays too. ``cpu`` has compiled
kernels of the same names and signatures. Below stand the kernels that have both, each with the file of its compiled
form and the sizes from which that wins; see ``dispatch``.
"""

from minidl.kernels.cpu.threads import get_num_threads, set_num_threads
from minidl.kernels.dispatch import active, either
from minidl.kernels.reference import *
