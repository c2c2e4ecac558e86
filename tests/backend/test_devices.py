from __future__ import annotations

import gc
import pickle
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import minidl
from minidl import backend
from minidl.backend import devices, drivers
from minidl.errors import DeviceError
from tests.stand_in import runtime

# ---------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (("cpu",), "cpu"),
        (("cpu:0",), "cpu"),
        (("gpu",), "gpu:0"),
        (("cuda",), "gpu:0"),
        (("gpu:3",), "gpu:3"),
        (("cuda", 2), "gpu:2"),
        ((1,), "gpu:1"),
        ((minidl.device("gpu:1"),), "gpu:1"),
        ((SimpleNamespace(__str__=None),), None),
        (("tpu",), None),
        (("gpu:",), "gpu:0"),
        (("gpu:-1",), None),
        (("gpu:one",), None),
        (("gpu:²",), None),
        (("gpu:1", 1), None),
        (("gpu", -1), None),
        ((True,), None),
        ((None,), None),
    ],
)
def test_what_names_a_device(given: tuple[Any, ...], expected: str | None) -> None:
    if expected is None:
        with pytest.raises((DeviceError, TypeError), match=r"unknown device|give one of them|not callable"):
            minidl.device(*given)
    else:
        found = minidl.device(*given)
        assert str(found) == expected
        assert repr(found) == f"device('{expected}')"
        assert found == expected
        assert found == minidl.device(expected)
        assert hash(found) == hash(minidl.device(expected))
        assert pickle.loads(pickle.dumps(found)) == found


def test_a_device_is_no_other_and_nothing_else() -> None:
    assert minidl.device("gpu:0") != minidl.device("gpu:1") != "cpu"
    assert minidl.device("cpu") != "not a device"
    assert minidl.device("cpu") != 0
    assert (minidl.device("gpu:1").type, minidl.device("gpu:1").index) == ("gpu", 1)


# ---------------------------------------------------------------------- where new tensors go

MAKERS: list[Callable[[], Any]] = [
    lambda: minidl.tensor([1.0, 2.0]),
    lambda: minidl.tensor(np.ones(2)),
    lambda: minidl.as_tensor(np.ones(2)),
    lambda: minidl.Tensor([1.0]),
    lambda: minidl.zeros(2),
    lambda: minidl.full((2,), 1.0),
    lambda: minidl.arange(3),
    lambda: minidl.linspace(0, 1, 3),
    lambda: minidl.eye(2),
    lambda: minidl.randn(2),
    lambda: minidl.randint(3, (2,)),
    lambda: minidl.randperm(3),
    lambda: minidl.nn.Linear(2, 3).weight,
    lambda: minidl.nn.BatchNorm1d(3).running_mean,
]


@pytest.mark.parametrize("make", MAKERS)
def test_new_tensors_go_where_the_default_is(make: Callable[[], Any], gpus: None) -> None:
    assert make().device == "cpu"
    with minidl.device("gpu:1"):
        assert make().device == "gpu:1"
        with minidl.device("cpu"):
            assert make().device == "cpu"
        assert make().device == "gpu:1"
    minidl.set_default_device("gpu")
    assert make().device == "gpu:0"
    minidl.set_default_device(None)
    assert make().device == "cpu"


def test_a_device_that_is_named_wins(gpus: None) -> None:
    with minidl.device("gpu"):
        assert minidl.zeros(2, device="cpu").device == "cpu"
        assert minidl.from_numpy(np.zeros(2)).device == "cpu"
        x = minidl.zeros(2, device="gpu:1")
        assert minidl.zeros_like(x).device == x.new_zeros(3).device == minidl.as_tensor(x).device == "gpu:1"
        assert minidl.tensor(x).device == "gpu:1"


def test_with_blocks_are_a_threads_own_and_the_default_is_everyones(gpus: None) -> None:
    def elsewhere() -> Any:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(minidl.get_default_device()))
        thread.start()
        thread.join()
        return found[0]

    place = minidl.device("gpu:1")
    with place, minidl.device("gpu:0"), place:  # one object may be entered again
        assert minidl.get_default_device() == "gpu:1"
        assert elsewhere() == "cpu"
    assert minidl.get_default_device() == "cpu"
    minidl.set_default_device("gpu:1")
    assert elsewhere() == "gpu:1"


def test_a_block_that_fails_is_left(gpus: None) -> None:
    with pytest.raises(KeyError), minidl.device("gpu"):
        raise KeyError
    assert minidl.get_default_device() == "cpu"
    with (
        pytest.raises(DeviceError, match="there is no gpu:7: the GPUs that can be used here are gpu:0 to gpu:1"),
        minidl.device("gpu:7"),
    ):
        pass
    with pytest.raises(DeviceError, match="there is no gpu:2"):
        minidl.set_default_device("cuda:2")
    with pytest.raises(DeviceError, match="there is no gpu:2"):
        minidl.zeros(2, device="gpu:2")
    assert minidl.get_default_device() == "cpu"


# ---------------------------------------------------------------------- moving


def test_tensors_move_and_gradients_move_back(gpus: None) -> None:
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    for move in (x.gpu, x.cuda, lambda: x.to("gpu"), lambda: x.to(minidl.device("cuda")), lambda: x.to(0)):
        assert move().device == "gpu:0"
        assert move().is_cuda
    assert x.cpu() is x
    assert x.to("gpu:1").device == x.gpu(1).device == x.cuda("cuda:1").device == x.cuda(1).device == "gpu:1"
    y = x.to("gpu:0").to("gpu:1").to("float64")
    assert (y.device, y.dtype) == ("gpu:1", minidl.float64)
    assert y.to(x).device == x.device
    (y * y).sum().backward()
    assert x.grad is not None
    assert x.grad.device == "cpu"
    assert x.grad.tolist() == [2.0, 4.0]


def test_a_module_moves_with_its_optimizer(gpus: None) -> None:
    model = minidl.nn.Sequential(minidl.nn.Linear(2, 3), minidl.nn.BatchNorm1d(3))
    optimizer = minidl.optim.Adam(model.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        place = model[0].weight.device
        model(minidl.ones(4, 2, device=place)).square().sum().backward()
        optimizer.step()

    step()
    for place in ("gpu:0", "gpu:1", "cpu"):
        assert model.to(place) is model
        assert {str(x.device) for x in (*model.parameters(), *model.buffers())} == {place}
        step()
    assert model.cuda()[0].weight.device == "gpu:0"
    assert model.cuda(1)[0].weight.device == model.gpu(1)[0].weight.device == "gpu:1"
    assert model.cpu()[0].weight.device == "cpu"


# ---------------------------------------------------------------------- devices that meet


def test_tensors_of_different_devices_do_not_meet(gpus: None) -> None:
    x, y = minidl.ones(2, 3, device="gpu:1", dtype="float64"), minidl.ones(3)
    named = r"its arguments live on different devices: argument {} \(float64\[2, 3\]\) on gpu:1, argument {} "
    fix = r"\(float32\[3\]\) on {}; move them to one, for example x.to\('gpu:1'\)"
    for other in ("cpu", "gpu:0"):
        with pytest.raises(DeviceError, match="add: " + named.format("'x'", "'y'") + fix.format(other)):
            x + y.to(other)
        with pytest.raises(DeviceError, match="concat: .* argument 1 .* on gpu:1, argument 2 .* on " + other):
            minidl.concat([x, y.to(other)[None]])
    with pytest.raises(DeviceError, match=r"x.to\('gpu:1'\)"):
        y * x  # a GPU's device is the one that is named, whatever comes first
    with pytest.raises(DeviceError, match=r"in Linear\(in_features=3, out_features=2, bias=True\): linear: "):
        minidl.nn.Linear(3, 2).to("gpu:1")(y)
    with pytest.raises(DeviceError, match="lives on another device"):
        (x * minidl.ones(2, 3, device="gpu:1").requires_grad_()).sum(axis=0).backward(y)


def test_a_number_of_the_cpu_goes_where_it_is_needed(gpus: None) -> None:
    x = minidl.ones(3, device="gpu:1", requires_grad=True)
    factor = minidl.tensor(2.0, requires_grad=True)
    y = (x * factor + factor).sum()
    assert y.device == "gpu:1"
    y.backward()
    assert factor.grad is not None
    assert factor.grad.device == "cpu"
    assert factor.grad.item() == 6
    assert x.grad is not None
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(DeviceError, match="different devices"):
        minidl.ones(3) * minidl.tensor(2.0, device="gpu")  # a number of the GPU would have to be waited for


def test_data_of_the_host_goes_where_it_is_needed(gpus: None) -> None:
    x = minidl.ones(3, device="gpu:1")
    for data in (np.arange(3), [0, 1, 2], np.float32(1), 1, True):
        assert (x + data).device == (data + x).device == "gpu:1"
    runtime.synchronizations.clear()
    minidl.where(x > 0, x, np.zeros(3))
    assert not runtime.synchronizations


# ---------------------------------------------------------------------- pinned memory


def test_pinned_memory_is_copied_without_waiting(gpus: None) -> None:
    x = minidl.arange(6).reshape(2, 3)
    assert not x.is_pinned()
    pinned = x.pin_memory()
    assert pinned.is_pinned()
    assert pinned[0].is_pinned()  # a view
    assert pinned.pin_memory() is pinned
    assert minidl.equal(pinned, x)
    runtime.synchronizations.clear()
    moved = pinned.to("gpu", non_blocking=True)
    assert not runtime.synchronizations
    assert not moved.is_pinned()
    assert minidl.equal(moved.cpu(), x)
    runtime.synchronizations.clear()
    pinned.to("gpu")  # the program may write to it at once: so the copy has to be done
    assert runtime.synchronizations
    runtime.synchronizations.clear()
    x.to("gpu")  # CuPy copies ordinary memory aside, and does not wait
    assert not runtime.synchronizations
    with pytest.raises(DeviceError, match="only memory of the CPU can be pinned, the tensor lives on gpu:0"):
        moved.pin_memory()


def test_pinned_memory_is_kept_until_it_has_been_copied(gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    done = [False]
    monkeypatch.setattr(runtime.Event, "done", property(lambda self: done[0]))
    freed: list[int] = []

    class Watched(runtime.PinnedMemoryPointer):
        def __del__(self) -> None:
            freed.append(len(self))

    monkeypatch.setattr(runtime, "PinnedMemoryPointer", Watched)
    minidl.zeros(7, dtype="float64").pin_memory().to("gpu", non_blocking=True)
    gc.collect()
    assert not freed
    minidl.zeros(1, dtype="float64").pin_memory().to("gpu", non_blocking=True)
    gc.collect()
    assert not freed
    done[0] = True
    minidl.zeros(2, dtype="float64").pin_memory().to("gpu", non_blocking=True)
    gc.collect()
    assert sorted(freed) == [8, 56]


def test_without_a_gpu_nothing_is_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    no_gpu(monkeypatch, ModuleNotFoundError("No module named 'cupy'"))
    assert not minidl.ones(2, device="cpu").is_pinned()
    with pytest.raises(DeviceError, match="no GPU can be used"):
        minidl.ones(2, device="cpu").pin_memory()


# ---------------------------------------------------------------------- a GPU that cannot be had


def no_gpu(monkeypatch: pytest.MonkeyPatch, found: Exception | int) -> None:
    """Let CuPy not load, or find no GPU."""

    def load(name: str) -> Any:
        def count() -> int:
            if isinstance(found, Exception):
                raise found
            return found

        if isinstance(found, ImportError):
            raise found
        return SimpleNamespace(cuda=SimpleNamespace(runtime=SimpleNamespace(getDeviceCount=count)))

    monkeypatch.setattr(devices, "_cupy", None)
    monkeypatch.setattr(devices, "_count", 0)
    monkeypatch.setattr(devices, "_default", devices.CPU)
    monkeypatch.setattr(devices.importlib, "import_module", load)


INSUFFICIENT = RuntimeError("cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version")
MISSING = ModuleNotFoundError("No module named 'cupy'")


def machine(**facts: Any) -> drivers.Found:
    return drivers.Found(
        **{"driver": "550.54.15", "supports": (12, 4), "packages": (), "toolkit": "", "hidden": None, **facts}
    )


@pytest.mark.parametrize(
    ("error", "found", "advice"),
    [
        (MISSING, machine(driver="", supports=None), "neither NVIDIA's driver nor CuPy is here"),
        (MISSING, machine(), r"the driver is here but CuPy is not: pip install 'minidl\[gpu-cuda12\]'"),
        (MISSING, machine(supports=(13, 0)), r"pip install 'minidl\[gpu-cuda13\]'"),
        (MISSING, machine(supports=(14, 1)), r"pip install 'minidl\[gpu-cuda13\]'"),
        (MISSING, machine(supports=None), r"pip install 'minidl\[gpu-cuda12\]'"),
        (MISSING, machine(driver="470.1", supports=(11, 4)), "the driver is older than any CUDA .* update it to 525"),
        (
            INSUFFICIENT,
            machine(driver="", supports=None, packages=("cupy-cuda12x 14.2.0",)),
            "CuPy is here but NVIDIA's driver is not",
        ),
        (
            INSUFFICIENT,
            machine(packages=("cupy-cuda13x 14.2.0",)),
            r"needs CUDA 13, which the driver does not know: update .* uninstall cupy-cuda13x and pip install "
            r"'minidl\[gpu-cuda12\]'",
        ),
        (
            ImportError("libcublas.so.12: cannot open shared object file"),
            machine(packages=("cupy-cuda12x 14.2.0",)),
            r"does not load: uninstall cupy-cuda12x, then pip install 'minidl\[gpu-cuda12\]'",
        ),
        (
            INSUFFICIENT,
            machine(packages=("cupy-cuda11x 13.0.0", "cupy-cuda12x 14.2.0")),
            "several packages of CuPy are installed and hide each other",
        ),
        (
            RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected"),
            machine(packages=("cupy-cuda12x 14.2.0",), hidden=""),
            "CUDA_VISIBLE_DEVICES='' hides every GPU: unset it",
        ),
        (0, machine(packages=("cupy-cuda12x 14.2.0",)), "the driver reports no GPU: see what `nvidia-smi` lists"),
        (
            RuntimeError("cudaErrorUnknown: unknown error"),
            machine(packages=("cupy-cuda12x 14.2.0",)),
            "after an update of the driver, restart",
        ),
    ],
)
def test_the_error_says_what_is_missing(
    error: Exception | int, found: drivers.Found, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_gpu(monkeypatch, error)
    monkeypatch.setattr(drivers, "look", lambda: found)
    monkeypatch.setattr(drivers.sys, "platform", "linux")
    cause = "the driver reports none" if error == 0 else f"{type(error).__name__}: {error}".split("(")[0]
    for ask in (
        lambda: minidl.zeros(2, device="gpu"),
        lambda: minidl.ones(2, device="cpu").cuda(),
        lambda: minidl.set_default_device("cuda"),
        lambda: minidl.device("gpu").__enter__(),
        lambda: minidl.Generator(device="gpu"),
        lambda: minidl.nn.Linear(2, 2, device="gpu"),
    ):
        with pytest.raises(DeviceError, match=advice) as raised:
            ask()
        assert cause in str(raised.value)
        assert "or stay on device='cpu'. Found: " in str(raised.value)
    assert not minidl.gpu.is_available()
    assert minidl.gpu.device_count() == 0


def test_macs_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers.sys, "platform", "darwin")
    assert drivers.advice(MISSING, machine(driver="", supports=None)) == "CUDA does not exist for macOS"


def test_what_was_found_is_told() -> None:
    assert str(machine(packages=("cupy-cuda12x 14.2.0",), toolkit="12.6")) == (
        "NVIDIA driver 550.54.15, which knows CUDA up to 12.4; cupy-cuda12x 14.2.0; CUDA toolkit 12.6"
    )
    assert str(machine(driver="", supports=None)) == "no driver; no CuPy; no CUDA toolkit (CuPy brings what it needs)"
    assert str(machine(driver="")).startswith("NVIDIA driver of unknown version, which knows CUDA up to 12.4; no CuPy")


# ---------------------------------------------------------------------- looking for the driver

LINUX = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\nGCC version:  12"
OPEN = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build  (root@x)"


@pytest.mark.parametrize(("text", "version"), [(LINUX, "550.54.15"), (OPEN, "570.124.06"), ("nonsense", "")])
def test_the_kernels_word_on_the_driver(
    text: str, version: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "version").write_text(text)
    monkeypatch.setattr(drivers, "VERSION_FILE", tmp_path / "version")
    monkeypatch.setattr(drivers, "run", lambda *command: "")
    assert drivers.driver_version() == version


@pytest.mark.parametrize(
    ("answer", "version"), [("550.54.15\n550.54.15\n", "550.54.15"), ("", ""), ("No devices were found\n", "")]
)
def test_nvidia_smis_word_on_the_driver(
    answer: str, version: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "VERSION_FILE", tmp_path / "none")
    monkeypatch.setattr(drivers, "run", lambda program, *rest: answer if program == "nvidia-smi" else "")
    assert drivers.driver_version() == version


@pytest.mark.parametrize(("number", "failed", "supports"), [(12040, 0, (12, 4)), (0, 0, None), (12040, 999, None)])
def test_the_drivers_library_says_which_cuda_it_knows(
    number: int, failed: int, supports: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(pointer: Any) -> int:
        pointer._obj.value = number
        return failed

    def library(name: str) -> Any:
        if name != "nvcuda.dll":
            raise OSError(name)
        return SimpleNamespace(cuDriverGetVersion=answer)

    monkeypatch.setattr(drivers.ctypes, "CDLL", library)
    assert drivers.supported_cuda() == supports


def test_packages_and_the_toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drivers.metadata, "packages_distributions", lambda: {"cupy": ["cupy-cuda12x", "cupy-cuda12x"]})
    monkeypatch.setattr(drivers.metadata, "version", lambda name: "14.2.0")
    assert drivers.cupy_packages() == ("cupy-cuda12x 14.2.0",)
    monkeypatch.setenv("CUDA_PATH", "/opt/cuda")
    monkeypatch.setattr(
        drivers,
        "run",
        lambda program, *rest: "release 12.6, V12.6.20" if program.replace("\\", "/") == "/opt/cuda/bin/nvcc" else "",
    )
    assert drivers.toolkit_version() == "12.6"
    monkeypatch.delenv("CUDA_PATH")
    monkeypatch.delenv("CUDA_HOME", raising=False)
    assert drivers.toolkit_version() == ""


@pytest.mark.parametrize(("visible", "hidden"), [("", ""), ("-1", "-1"), ("0", None), (None, None), ("1,0", None)])
def test_whether_the_gpus_are_hidden(visible: str | None, hidden: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert drivers.look().hidden == hidden


def test_a_program_that_is_missing_fails_or_hangs_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert drivers.run("no-such-program-of-minidls") == ""
    monkeypatch.setattr(drivers.shutil, "which", lambda program: program)
    for error in (OSError(), drivers.subprocess.TimeoutExpired("x", 2), drivers.subprocess.CalledProcessError(1, "x")):

        def fail(*args: Any, error: Exception = error, **kwargs: Any) -> Any:
            raise error

        monkeypatch.setattr(drivers.subprocess, "run", fail)
        assert drivers.run("nvidia-smi") == ""


def test_asking_for_a_gpu_never_raises_whatever_cupy_does(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (MISSING, INSUFFICIENT, OSError("x"), AttributeError("x"), SystemError("x")):
        no_gpu(monkeypatch, error)
        assert minidl.gpu.is_available() is False
        assert minidl.cuda.is_available() is False
        assert backend.gpu_count() == 0
