"""Atomic writes: the old file or the new one, whole, whatever happens in between."""

from __future__ import annotations

import errno
import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minidl.formats import atomic_write


def write(path: Path, data: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def half_written(path: Path, error: BaseException) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(b"half")
        raise error


def test_writes_and_replaces(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    write(target, b"old")
    with atomic_write(str(target)) as temporary:
        assert temporary.parent == target.parent  # a rename across disks would not be atomic
        temporary.write_bytes(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["x.bin"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(1)])
def test_an_exception_leaves_the_old_file(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "x.bin"
    write(target, b"old")
    with pytest.raises(type(error)) as caught:
        half_written(target, error)
    assert caught.value is error
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    write(target, b"old")
    message = r"cannot write .*x\.bin: No space left on device \(the file that was there is untouched\)"
    with pytest.raises(OSError, match=message) as caught:
        half_written(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert caught.value.errno == errno.ENOSPC
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_disk_that_fills_up_while_flushing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"x\.bin: No space left on device \(nothing was written\)"):
        write(tmp_path / "x.bin", b"new")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file sizes are POSIX's")
def test_a_real_limit_of_the_system(tmp_path: Path) -> None:
    """The system itself refuses to write further: beyond the largest file that the process may write."""
    (tmp_path / "x.bin").write_bytes(b"old")
    program = (
        "import resource, signal, sys\n"
        "from minidl.formats import atomic_write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with atomic_write(sys.argv[1]) as temporary:\n"
        "        temporary.write_bytes(bytes(2000))\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "x.bin")], capture_output=True, text=True, check=True
    ).stdout
    assert "x.bin: File too large (the file that was there is untouched)" in out
    assert (tmp_path / "x.bin").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot write .*x\.bin: the folder .*runs does not exist; create it"):
        write(tmp_path / "runs" / "x.bin", b"new")


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "x.bin").mkdir()
    with pytest.raises(IsADirectoryError, match=r"cannot write .*x\.bin: a folder of that name is in its place"):
        write(tmp_path / "x.bin", b"new")
    assert os.listdir(tmp_path) == ["x.bin"]


def test_a_device_in_its_place() -> None:
    with pytest.raises(FileExistsError, match=f"cannot write {os.devnull}: what is in its place is not an ordinary"):
        write(Path(os.devnull), b"new")


def test_a_read_only_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "x.bin"
    write(target, b"old")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # the superuser may write anything
    with pytest.raises(PermissionError, match="the file in its place is read-only"):
        write(target, b"new")
    assert target.read_bytes() == b"old"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_read_only_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=r"cannot write .*x\.bin: Permission denied \(nothing was written\)"):
            write(tmp_path / "x.bin", b"new")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits are POSIX's")
def test_permissions_are_those_of_any_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write(tmp_path / "new", b"")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
        (tmp_path / "new").chmod(0o604)
        write(tmp_path / "new", b"again")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604
    finally:
        os.umask(old)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    target = tmp_path / "runs" / "7.bin"
    target.write_bytes(b"old")
    (tmp_path / "latest").symlink_to(target)
    write(tmp_path / "latest", b"new")
    assert (tmp_path / "latest").is_symlink()
    assert target.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["x" * 255, "模型" * 40, "a b\n.h5"])
def test_any_name_a_file_can_have(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, b"new")
    assert os.listdir(tmp_path) == [name]


def left_overs(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".partial")]


def killed_writer(target: Path) -> subprocess.Popen[bytes]:
    """Start a process that writes half a file and waits to be killed."""
    program = (
        "import sys, time\n"
        "from minidl.formats import atomic_write\n"
        "with atomic_write(sys.argv[1]) as temporary:\n"
        "    temporary.write_bytes(b'half')\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"ready"
    return process


@pytest.mark.skipif(sys.platform == "win32", reason="left-overs of others are not removed there")
def test_what_a_killed_writer_left_is_removed_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    write(target, b"old")
    process = killed_writer(target)
    try:
        assert len(left_overs(tmp_path)) == 1
        write(target, b"new")
        assert len(left_overs(tmp_path)) == 1, "it is still being written"
        process.kill()
        process.wait()
        assert target.read_bytes() == b"new"
        write(tmp_path / "y.bin", b"another")
        assert len(left_overs(tmp_path)) == 1, "it belongs to another target"
        write(target, b"newer")
        assert left_overs(tmp_path) == []
    finally:
        process.kill()
        process.communicate()


def test_nested_and_foreign_partial_files_are_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    (tmp_path / ".x.bin.partial").write_bytes(b"not ours")
    with atomic_write(target) as outer:
        outer.write_bytes(b"outer")
        write(target, b"inner")
        assert outer.exists()
        own = outer.name
    # Left by a process that had this one's number, as in a container, where every run has the same.
    (tmp_path / own).write_bytes(b"left over")
    write(target, b"last")
    assert sorted(os.listdir(tmp_path)) == [".x.bin.partial", "x.bin"]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_killed_at_random_moments_the_file_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "x.bin"
    size = 400_000
    target.write_bytes(bytes([0]) * size)
    program = (
        "import sys\n"
        "from minidl.formats import atomic_write\n"
        "print('ready', flush=True)\n"
        "for i in range(1, 10**9):\n"
        "    with atomic_write(sys.argv[1]) as temporary:\n"
        f"        temporary.write_bytes(bytes([i % 251]) * {size})\n"
    )
    chance = random.Random(0)
    seen = set()
    for _ in range(4):
        process = subprocess.Popen([sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(chance.uniform(0, 0.05))
        process.kill()
        process.communicate()
        data = target.read_bytes()
        assert len(data) == size
        assert len(set(data)) == 1, "half of one write and half of another"
        seen.add(data[0])
    assert len(seen) > 1, "no process was killed after a write: nothing was tried"
    write(target, b"end")
    assert os.listdir(tmp_path) == ["x.bin"]
