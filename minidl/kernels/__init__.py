"""Kernels: plain arrays in, plain arrays out. Which implementation runs is decided here and nowhere else.

``reference`` says in readable NumPy what each kernel computes, and runs on CuPy arrays too. ``cpu`` has compiled
kernels of the same names and signatures. Below stand the kernels that have both, each with the file of its compiled
form and the sizes from which that wins; see ``dispatch``.
"""

from minidl.kernels import reference
from minidl.kernels.cpu.threads import get_num_threads, set_num_threads
from minidl.kernels.dispatch import active, either
from minidl.kernels.reference import *

# Convolutions win from a few images of a classroom's first layer on: below, calling the kernel costs as much as NumPy.
LEAST_PRODUCTS = 2**17

conv2d = either(
    reference.conv2d,
    "convolution",
    lambda x, weight, bias, stride, padding, dilation, groups, size: (
        x.shape[0] * weight.size * size[0] * size[1] >= LEAST_PRODUCTS
    ),
)
conv2d_input_grad = either(
    reference.conv2d_input_grad,
    "convolution",
    lambda grad, weight, *geometry: grad.size // max(1, weight.shape[0]) * weight.size >= LEAST_PRODUCTS,
)
conv2d_weight_grad = either(
    reference.conv2d_weight_grad,
    "convolution_filters",
    lambda x, grad, kernel, stride, padding, dilation, groups: (
        grad.size * (x.shape[1] // groups) * kernel[0] * kernel[1] >= LEAST_PRODUCTS
    ),
)

# A sequence costs the reference a dozen calls of NumPy a step, whatever its size: this is where 10 steps of 8 sequences
# through 16 units lie. Its three kernels are chosen alike.
LEAST_UNITS = 1000  # steps x sequences x units

lstm = either(
    reference.lstm, "recurrent", lambda x, h, *rest: x.shape[0] * h.shape[0] * h.shape[1] >= LEAST_UNITS
)
lstm_grad = either(reference.lstm_grad, "recurrent", lambda grad_output, *rest: grad_output.size >= LEAST_UNITS)
lstm_weight_grads = either(
    reference.lstm_weight_grads, "recurrent", lambda grad_gates, *rest: grad_gates.size >= 4 * LEAST_UNITS
)
