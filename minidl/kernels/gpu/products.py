"""Matrix products: cuBLAS multiplies, and one launch adds the bias and cuts off what is negative."""

from __future__ import annotations

from typing import Any

from minidl.backend import namespace
from minidl.kernels.gpu.launcher import Kernel, countable, plane_grid

__all__ = ["affine", "tiled_matmul"]

TILE = 16  # as in the source

tiled_kernel = Kernel("products.cu", "tiled_matmul")
finish_kernel = Kernel("products.cu", "finish_rows")


def affine(x: Any, weight: Any, bias: Any, relu: bool = False) -> Any:
    """Multiply two matrices and add a vector to each row; replace what is negative by 0 if wanted: (N, U)."""
    if not x.dtype == weight.dtype == bias.dtype:
        return NotImplemented
    y = x @ weight
    N, U = y.shape
    if not countable(U):
        return NotImplemented
    if y.size:
        finish_kernel(*plane_grid(N, U), y, namespace(x).ascontiguousarray(bias), N, U, relu)
    return y


def tiled_matmul(x: Any, y: Any) -> Any:
    """Multiply two matrices without a library, as ``source/products.cu`` explains line by line.

    minidl itself calls cuBLAS, which is many times faster: this one is for reading and for measuring what each step
    towards it gains.

    Parameters
    ----------
    x : CuPy array (M, K)
    y : CuPy array (K, N)

    Returns
    -------
    CuPy array (M, N)
    """
    xp = namespace(x)
    (M, K), N = x.shape, y.shape[1]
    product = xp.empty((M, N), dtype=x.dtype)
    if product.size:
        grid = (-(-N // TILE), -(-M // TILE))
        tiled_kernel(grid, (TILE, TILE), xp.ascontiguousarray(x), xp.ascontiguousarray(y), product, M, N, K)
    return product
