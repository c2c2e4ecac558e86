"""Every source compiled for GPUs: no registers spilled, no double precision by accident, room for several blocks."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest

from minidl.kernels.gpu import convolution, launcher, products
from tests.cuda_on_cpu.compiler import Compiled, CompileError, available, compile_source
from tests.cuda_on_cpu.executor import MOST_SHARED, kernels_of, launch_bounds

pytestmark = pytest.mark.skipif(
    not available(), reason="no compiler for GPUs: pip install nvidia-cuda-nvrtc-cu12, or install nvcc"
)

FILES = sorted(path.name for path in launcher.SOURCES.glob("*.cu"))
ARCHITECTURES = (80, 90)  # A100, H100
REGISTERS = 2**16  # of a multiprocessor
SHARED = 164 * 1024  # bytes of a multiprocessor of an A100
LEAST_BLOCKS = {"float": 4, "double": 2}  # on one: while some wait for memory, others compute


def check(source: str, real: str, architecture: int) -> None:
    """Compile, and look at what comes out."""
    compiled = compile_source(source, real, architecture)
    assert set(compiled.usage) == set(kernels_of(source))
    if real == "float":
        doubles = [line for line in compiled.ptx.splitlines() if ".f64" in line]
        assert not doubles, f"double precision: {doubles[0].strip()}"
    for name, usage in compiled.usage.items():
        threads = launch_bounds(source, name) or launcher.BLOCK
        assert usage.local == 0, f"{name} keeps {usage.local} bytes in memory that registers should hold"
        blocks = REGISTERS // (usage.registers * threads)
        assert blocks >= LEAST_BLOCKS[real], f"{name}: {usage.registers} registers leave room for {blocks} blocks"
        assert usage.shared <= min(MOST_SHARED, SHARED // LEAST_BLOCKS[real]), (
            f"{name}: {usage.shared} bytes are shared"
        )


@pytest.mark.parametrize("file", FILES)
def test_every_source(file: str) -> None:
    builds = [(real, architecture) for real in ("float", "double") for architecture in ARCHITECTURES]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda build: check(launcher.read(file), *build), builds))


SOURCE = """
extern "C" __global__ void scale(const REAL* __restrict__ x, REAL* __restrict__ y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) y[i] = x[i] * (REAL)0.3;
}
"""


KEPT = """REAL kept[64];
    for (int k = 0; k < 64; k++) kept[(k * n) % 64] = x[k];
    if (i < n) y[n] = kept[n % 64];
    if (i < n)"""
HELD = """{
    __shared__ REAL held[12000];
    held[n] = x[n];
    __syncthreads();
    y[n] = held[0];
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(REAL)0.3", "0.3", "double precision"),
        ("x[i] *", "sin(x[i]) * sqrt(2.0 * i) *", "double precision"),
        ("x[i] *", "exp(-0.5 * x[i]) *", "double precision"),
        ("if (i < n)", KEPT, "in memory that registers should hold"),
        ("{\n", HELD, "bytes are shared"),
    ],
)
def test_what_a_check_finds(old: str, new: str, message: str) -> None:
    check(SOURCE, "float", 80)
    assert old in SOURCE
    with pytest.raises(AssertionError, match=message):
        check(SOURCE.replace(old, new), "float", 80)


def test_what_does_not_compile_says_why() -> None:
    with pytest.raises(CompileError, match='identifier "y" is undefined'):
        compile_source(SOURCE.replace(", REAL* __restrict__ y", ""), "float", 80)


def test_too_many_registers_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    result = Compiled("", {"scale": compile_source(SOURCE, "float", 80).usage["scale"]._replace(registers=65)})
    monkeypatch.setattr("tests.kernels.gpu.test_compilation.compile_source", lambda *build: result)
    with pytest.raises(AssertionError, match="65 registers leave room for 3 blocks"):
        check(SOURCE, "float", 80)


@pytest.mark.parametrize(
    ("module", "file", "names"),
    [
        (convolution, "convolution.cu", ("TILE_FILTERS", "TILE_PIXELS", "TILE_THREADS", "SUM_THREADS")),
        (products, "products.cu", ("TILE",)),
    ],
)
def test_the_tiles_of_python_are_those_of_the_source(module: ModuleType, file: str, names: tuple[str, ...]) -> None:
    defined = dict(re.findall(r"^#define (\w+) (\d+)", launcher.read(file), flags=re.MULTILINE))
    assert {name: getattr(module, name) for name in names} == {name: int(defined[name]) for name in names}
