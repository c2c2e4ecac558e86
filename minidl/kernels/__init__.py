"""Kernels: plain arrays in, plain arrays out. Which implementation runs is decided here and nowhere else.

``reference`` says in readable NumPy what each kernel computes, and runs on CuPy arrays too. ``cpu`` has compiled
kernels of the same names and signatures, ``gpu`` has them in CUDA C. Below stand the kernels that have both, each with
the file of its compiled form and the sizes from which that wins, and with the GPU's file; see ``dispatch``.
"""

from typing import Any

import numpy as np

from minidl.kernels import reference
from minidl.kernels.cpu.threads import get_num_threads, set_num_threads
from minidl.kernels.dispatch import active, choice, either
from minidl.kernels.gpu import dropout as gpu_dropout
from minidl.kernels.reference import *
from minidl.kernels.settings import use_winograd, uses_winograd

# Convolutions win from a few images of a classroom's first layer on: below, calling the kernel costs as much as NumPy.
# Kernels of one pixel are a plain matrix product, which the reference does without unfolding anything (8 x 256 x 28 x
# 28 to 64: 3.1 ms against 4.4).
LEAST_PRODUCTS = 2**17


def large_convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    size: Any,
    relu: bool = False,
) -> bool:
    """Whether the compiled convolution wins."""
    products = x.shape[0] * weight.size * size[0] * size[1]
    return products >= LEAST_PRODUCTS and (weight.shape[2:] != (1, 1) or groups > 1)


def large_input_grad(grad: Any, weight: Any, size: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether the compiled gradient of a convolution's image wins."""
    products = grad.size // max(1, weight.shape[0]) * weight.size
    phases = stride[0] * stride[1]  # each is a convolution of its own
    return products >= phases * LEAST_PRODUCTS and (weight.shape[2:] != (1, 1) or groups > 1)


def large_weight_grad(x: Any, grad: Any, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> bool:
    """Whether the compiled gradient of a convolution's filters wins."""
    return grad.size * (x.shape[1] // groups) * kernel[0] * kernel[1] >= LEAST_PRODUCTS


conv2d = either(reference.conv2d, "convolution", large_convolution, gpu="convolution")
conv2d_input_grad = either(reference.conv2d_input_grad, "convolution", large_input_grad, gpu="convolution")
conv2d_weight_grad = either(reference.conv2d_weight_grad, "convolution_filters", large_weight_grad, gpu="convolution")

# A sequence costs the reference a dozen calls of NumPy a step, whatever its size: this is where 10 steps of 8 sequences
# through 16 units lie. Its kernels are chosen alike, but for the input's gradient, which is a product.
LEAST_UNITS = 1000  # steps x sequences x units

recurrent_forward = either(
    reference.recurrent_forward,
    "recurrent",
    lambda x, h, *rest: x.shape[0] * h.shape[0] * h.shape[1] >= LEAST_UNITS,
    gpu="recurrent",
)
recurrent_backward = either(
    reference.recurrent_backward,
    "recurrent",
    lambda grad_output, *rest: grad_output.size >= LEAST_UNITS,
    gpu="recurrent",
)
recurrent_input_grad = either(
    reference.recurrent_input_grad,
    "recurrent_weights",
    lambda grad_gates, weight_ih, *rest: grad_gates.size * weight_ih.shape[1] >= LEAST_MULTIPLICATIONS,
)
recurrent_weight_grads = either(
    reference.recurrent_weight_grads,
    "recurrent",
    lambda grad_gates, x, states, *rest: len(x) * states[0].size >= LEAST_UNITS,
)

# Pooling costs the reference a pass over the image for each cell of the window; small images are soon done either way.
LEAST_PIXELS = 2**14

max_pool2d = either(reference.max_pool2d, "pooling", lambda x, *geometry: x.size >= LEAST_PIXELS, gpu="pooling")
avg_pool2d = either(reference.avg_pool2d, "pooling", lambda x, *geometry: x.size >= LEAST_PIXELS, gpu="pooling")
scatter_planes = either(
    reference.scatter_planes,
    "pooling",
    lambda grad, indices, size, *windows: grad.shape[0] * grad.shape[1] * size[0] * size[1] >= LEAST_PIXELS,
    gpu="pooling",
)
avg_pool2d_grad = either(
    reference.avg_pool2d_grad,
    "pooling",
    lambda grad, image, *geometry: grad.shape[0] * grad.shape[1] * image[0] * image[1] >= LEAST_PIXELS,
    gpu="pooling",
)

relu = either(reference.relu, "elementwise", lambda x: x.size >= LEAST_PIXELS, gpu="elementwise")
relu_grad = either(reference.relu_grad, "elementwise", lambda grad, y: grad.size >= LEAST_PIXELS, gpu="elementwise")
channel_sums = either(reference.channel_sums, "elementwise", lambda grad: grad.size >= LEAST_PIXELS, gpu="elementwise")
relu_grad_and_sums = either(
    reference.relu_grad_and_sums, "elementwise", lambda grad, y: grad.size >= LEAST_PIXELS, gpu="elementwise"
)

# Matrix products of NumPy (OpenBLAS) against the compiled kernel: the least of many, in us, in turns, on one thread of
# a busy Xeon with AVX-512; a size alone is a square, "t" means that the right factor is transposed, as are weights:
#
#                64   80   96  128  32x784x128  1x1024x1024  2x1024x1024  8x1024x1024  8x1024x1024 t  1024x1024x4
#   NumPy         6   11   20   53          89          179          592          786           1209          460
#   compiled     14   18   24   42          61          358          323          357            490          474
#
# So the kernel wins from a million multiplications on, but for a vector, which NumPy multiplies with as fast as memory
# gives the matrix; and it is the safer choice: OpenBLAS has threads of its own, which spin for one another, and lose
# milliseconds where another process or thread is busy (two threads took 24,000 us for 256, the kernel's two 357).
#
# What bounds it: its tile reaches 145 GFLOP/s in a first-level cache, of 152 that the core has in registers; squares of
# 128 reach 110, of 256 to 1024 110 to 120 (each tile's sums are stored, and B comes from the second-level cache); few
# rows wait for the large factor, 16 MB of it 2.6 ms.
LEAST_MULTIPLICATIONS = 10**6
LEAST_ROWS, LEAST_COLUMNS = 2, 4


def large_product(x: Any, y: Any, bias: Any = None, relu: bool = False) -> bool:
    """Whether compiling pays for a product (..., M, K) @ (..., K, N) of arrays of one type."""
    if x.ndim == y.ndim == 2 and x.size * y.shape[1] < LEAST_MULTIPLICATIONS:  # most often, and looked up fastest
        return False
    if type(y) is not type(x) or x.dtype != y.dtype or x.ndim < 2 or y.ndim < 2:
        return False
    M, N = x.shape[-2], y.shape[-1]
    multiplications = max(x.size * N, y.size * M)
    return multiplications >= LEAST_MULTIPLICATIONS and M >= LEAST_ROWS and N >= LEAST_COLUMNS


affine = either(reference.affine, "gemm", large_product, gpu="products")
matmul = either(reference.matmul, "gemm", large_product)

# NumPy's normalisation makes a dozen passes: on one thread 32 x 32 x 26 x 26 took 2.7 ms forward and 13.5 backward, the
# compiled kernel 0.7 and 0.9; with channels last 8.1 and 23.8, and 1.6 and 3.2.
batch_norm = either(reference.batch_norm, "normalization", lambda x, *rest: x.size >= LEAST_PIXELS, gpu="normalization")
batch_norm_grad = either(
    reference.batch_norm_grad, "normalization", lambda grad, *rest: grad.size >= LEAST_PIXELS, gpu="normalization"
)

layer_norm = either(reference.layer_norm, "normalization", lambda x, *rest: x.size >= LEAST_PIXELS, gpu="normalization")
layer_norm_grad = either(
    reference.layer_norm_grad, "normalization", lambda grad, *rest: grad.size >= LEAST_PIXELS, gpu="normalization"
)

# Softmax and its kin: a pass of NumPy's for each operation, or one visit to each row. On one thread, cross entropy and
# its gradient took 91 us for 128 x 128 scores and 7.9 ms for 256 x 4096, the compiled kernel 30 us and 1.4 ms.
softmax = either(reference.softmax, "losses", lambda x, axis: x.size >= LEAST_PIXELS, gpu="losses")
softmax_grad = either(reference.softmax_grad, gpu="losses")
log_softmax = either(reference.log_softmax, "losses", lambda x, axis: x.size >= LEAST_PIXELS, gpu="losses")
log_softmax_grad = either(reference.log_softmax_grad, gpu="losses")
cross_entropy = either(reference.cross_entropy, "losses", lambda x, *rest: x.size >= LEAST_PIXELS, gpu="losses")

# On the CPU, these are a few calls of NumPy on arrays that the cache holds; a GPU pays a launch for each.
add_rows = either(reference.add_rows, gpu="scatter")
dropout = either(reference.dropout, gpu="dropout")


def random_words(  # type: ignore[no-redef]
    xp: Any, counters: int, seed: int, offset: int = 0, stream: int = 0
) -> Any:
    """Return random words of 32 bits: see the reference. A GPU computes them in one launch."""
    on_gpu = xp is not np and choice() != "reference"
    return (gpu_dropout if on_gpu else reference).random_words(xp, counters, seed, offset, stream)
