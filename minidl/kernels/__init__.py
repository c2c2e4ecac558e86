"""Kernels: plain arrays in, plain arrays out. Which implementation runs is decided here and nowhere else.

``reference`` says in readable NumPy what each kernel computes, and runs on CuPy arrays too. ``cpu`` has compiled
kernels of the same names and signatures. Below stand the kernels that have both, each with the file of its compiled
form and the sizes from which that wins; see ``dispatch``.
"""

from typing import Any

from minidl.kernels import reference
from minidl.kernels.cpu.threads import get_num_threads, set_num_threads
from minidl.kernels.dispatch import active, either
from minidl.kernels.reference import *

# Convolutions win from a few images of a classroom's first layer on: below, calling the kernel costs as much as NumPy.
# Kernels of one pixel are a plain matrix product, which the reference does without unfolding anything (8 x 256 x 28 x
# 28 to 64: 3.1 ms against 4.4); and where a stride skips three of four pixels, their zeros cost the image's gradient
# more than unfolding (8 x 64 x 56 x 56 to 128: 36 ms against 23).
LEAST_PRODUCTS = 2**17


def large_convolution(
    x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int, size: Any
) -> bool:
    """Whether the compiled convolution wins."""
    products = x.shape[0] * weight.size * size[0] * size[1]
    return products >= LEAST_PRODUCTS and (weight.shape[2:] != (1, 1) or groups > 1)


def large_input_grad(grad: Any, weight: Any, size: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether the compiled gradient of a convolution's image wins."""
    products = grad.size // max(1, weight.shape[0]) * weight.size
    zeros = stride[0] * stride[1] >= 4 or weight.shape[2:] == (1, 1)
    return products >= LEAST_PRODUCTS and (groups > 1 or not zeros)


def large_weight_grad(x: Any, grad: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether the compiled gradient of a convolution's filters wins."""
    return grad.size * (x.shape[1] // groups) * kernel[0] * kernel[1] >= LEAST_PRODUCTS


conv2d = either(reference.conv2d, "convolution", large_convolution)
conv2d_input_grad = either(reference.conv2d_input_grad, "convolution", large_input_grad)
conv2d_weight_grad = either(reference.conv2d_weight_grad, "convolution_filters", large_weight_grad)

# A sequence costs the reference a dozen calls of NumPy a step, whatever its size: this is where 10 steps of 8 sequences
# through 16 units lie. Its three kernels are chosen alike.
LEAST_UNITS = 1000  # steps x sequences x units

lstm = either(reference.lstm, "recurrent", lambda x, h, *rest: x.shape[0] * h.shape[0] * h.shape[1] >= LEAST_UNITS)
lstm_grad = either(reference.lstm_grad, "recurrent", lambda grad_output, *rest: grad_output.size >= LEAST_UNITS)
lstm_weight_grads = either(
    reference.lstm_weight_grads, "recurrent", lambda grad_gates, *rest: grad_gates.size >= 4 * LEAST_UNITS
)

# Pooling costs the reference a pass over the image for each cell of the window; small images are soon done either way.
LEAST_PIXELS = 2**14

max_pool2d = either(reference.max_pool2d, "pooling", lambda x, *geometry: x.size >= LEAST_PIXELS)
avg_pool2d = either(reference.avg_pool2d, "pooling", lambda x, *geometry: x.size >= LEAST_PIXELS)
scatter_planes = either(
    reference.scatter_planes,
    "pooling",
    lambda grad, indices, size: grad.shape[0] * grad.shape[1] * size[0] * size[1] >= LEAST_PIXELS,
)
avg_pool2d_grad = either(
    reference.avg_pool2d_grad,
    "pooling",
    lambda grad, image, *geometry: grad.shape[0] * grad.shape[1] * image[0] * image[1] >= LEAST_PIXELS,
)

relu_grad = either(reference.relu_grad, "elementwise", lambda grad, y: grad.size >= LEAST_PIXELS)

# Matrix products of NumPy (OpenBLAS) against the compiled kernel, in us, on one core of a Xeon with AVX-512:
#
#   size of a square                 32    64    96   128   256    512    1024
#   NumPy                             3     6    17    43   286   2748   36656
#   compiled                         11    16    25    50   300   2877   37000
#   the same with a bias, NumPy       5    12    28    58   339   2845   37256
#                         compiled   11    17    25    50   289   3028   36000
#
# So without a bias both are as fast; but from 2 Mflop on OpenBLAS uses its own threads, which spin for one another and
# lose milliseconds where another process or thread is busy (256: 24,000 us instead of 150; the kernel 357).
LEAST_MULTIPLICATIONS = 10**6
LEAST_SIDE = 16  # of the result: for a few rows or columns, packing costs more than multiplying


def large_product(x: Any, y: Any, bias: Any = None) -> bool:
    """Whether compiling and packing pay for a product (..., M, K) @ (..., K, N) of arrays of one type."""
    if type(y) is not type(x) or x.dtype != y.dtype or x.ndim < 2 or y.ndim < 2:
        return False
    M, N = x.shape[-2], y.shape[-1]
    multiplications = max(x.size * N, y.size * M)
    return multiplications >= LEAST_MULTIPLICATIONS and M >= LEAST_SIDE and N >= LEAST_SIDE


affine = either(reference.affine, "gemm", large_product)
matmul = either(reference.matmul, "gemm", large_product)
