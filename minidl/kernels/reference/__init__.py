"""The reference kernels: what each kernel computes, in array operations, on NumPy and CuPy arrays alike.

They loop over the few cells of a kernel window or the steps of a sequence, never over pixels. Each expects arrays of
one float type, in any memory layout, and arguments that the operations above have checked.
"""

from minidl.kernels.reference.convolution import *
from minidl.kernels.reference.dropout import *
from minidl.kernels.reference.elementwise import *
from minidl.kernels.reference.losses import *
from minidl.kernels.reference.normalization import *
from minidl.kernels.reference.pooling import *
from minidl.kernels.reference.products import *
from minidl.kernels.reference.random import *
from minidl.kernels.reference.recurrent import *
from minidl.kernels.reference.scatter import *
