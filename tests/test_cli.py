"""The command line."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

import minidl
from minidl import cli
from minidl.errors import ShapeError
from minidl.examples import EXAMPLES
from minidl.examples.report import Example


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"minidl {metadata.version('minidl')}\n"


def test_info_names_what_is_installed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/somewhere")
    monkeypatch.setenv("MINIDL_DATA", "/elsewhere")
    assert cli.main(["info"]) == 0
    rows = dict(re.split(r" {2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert rows["minidl"] == metadata.version("minidl")
    assert rows["numpy"] == metadata.version("numpy")
    assert rows["python"].startswith("{}.{}.{}".format(*sys.version_info))
    assert rows["gpu"]
    assert rows["kernel cache"] == "/somewhere"
    assert rows["data folder"] == "/elsewhere"
    assert set(rows) >= {"numba", "h5py", "tqdm", "platform", "processors", "kernels"}


def test_info_warms_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", "--warm-up"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warmed up: ")]
    assert len(lines) == 5


def test_info_names_the_gpus(capsys: pytest.CaptureFixture[str], gpus: None) -> None:
    assert cli.main(["info"]) == 0
    described = r"gpu:0 stand-in, compute capability 9\.0, \d+\.\d of 16\.0 GiB free; gpu:1 stand-in, .*; .*CUDA"
    assert re.search(rf"^gpu +{described}", capsys.readouterr().out, flags=re.MULTILINE)


def test_info_says_why_there_is_no_gpu(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if CuPy were not installed
    monkeypatch.setattr("minidl.backend.devices._cupy", None)
    assert cli.main(["info"]) == 0
    assert "pip install 'minidl[gpu-cuda12]'" in capsys.readouterr().out


def test_a_package_that_is_missing_is_no_error() -> None:
    assert cli.version("no-such-package-for-minidl") == "not installed"


@pytest.mark.parametrize("device", ["cpu", None, "default"])
def test_an_example_runs_where_it_is_told_to(
    device: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    default, seen = minidl.get_default_device(), []
    example = Example("001", "t", lambda report, epochs, seed: seen.append(minidl.zeros(1).device))
    monkeypatch.setitem(EXAMPLES, "dense-regression", example)
    monkeypatch.setattr(cli, "results", lambda reports: "")
    named = str(default) if device == "default" else device
    where = [] if named is None else ["--device", named]
    assert cli.main(["reproduce", "dense-regression", "--out", str(tmp_path), *where]) == 0
    assert seen == [named or default]
    assert minidl.get_default_device() == default


@pytest.mark.parametrize("command", [["reproduce", "dense-regression"], ["serve", "model.h5", "--insecure-no-auth"]])
def test_a_device_that_is_not_there(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "cupy", None)  # as if CuPy were not installed
    monkeypatch.setattr("minidl.backend.devices._cupy", None)
    assert cli.main([*command, "--device", "gpu"]) == 1
    assert re.fullmatch(r"minidl: .*pip install 'minidl\[gpu-cuda12\]'.*\n", capsys.readouterr().err)
    assert cli.main([*command, "--device", "tpu"]) == 1
    assert capsys.readouterr().err.startswith("minidl: unknown device 'tpu'; expected 'cpu', 'gpu' or 'gpu:N'")
    assert not any(tmp_path.iterdir())  # it was found out before anything began


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reproduce", "--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == list(EXAMPLES)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["reproduce", "lenet"], r"no example is named lenet; there are: simple-cnn"),
        (["reproduce", "--quick", "--epochs", "2"], r"argument --epochs: not allowed with argument --quick"),
        (["reproduce", "--epochs", "0"], r"argument --epochs: expected at least 1, got 0"),
        (["reproduce", "--seed", "-1"], r"argument --seed: expected at least 0, got -1"),
        (["reproduce", "--epochs", "many"], r"argument --epochs: invalid integer value: 'many'"),
        ([], r"required: COMMAND"),
        (["train"], r"invalid choice: 'train'"),
    ],
)
def test_wrong_usage_exits_with_two(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    assert stopped.value.code == 2
    assert complaint in capsys.readouterr().err


def example_that(raises: BaseException) -> Example:
    def run(report: Any, epochs: int, seed: int) -> None:
        raise raises

    return Example("000", "fails", run)


def test_an_error_of_minidl_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(EXAMPLES, "faulty", example_that(ShapeError("matmul: shapes\ndo not fit")))
    assert cli.main(["reproduce", "faulty", "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "minidl: matmul: shapes do not fit\n"


def test_control_c_is_no_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(EXAMPLES, "slow", example_that(KeyboardInterrupt()))
    assert cli.main(["reproduce", "slow", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\nminidl: interrupted\n"


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(EXAMPLES, "buggy", example_that(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["reproduce", "buggy", "--out", str(tmp_path)])


def test_python_m_minidl() -> None:
    command = [sys.executable, "-m", "minidl", "reproduce", "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "simple-cnn" in done.stdout


def test_the_exit_status_reaches_the_shell() -> None:
    done = subprocess.run([sys.executable, "-m", "minidl", "reproduce", "lenet"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
