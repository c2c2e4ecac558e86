"""A file is written whole or not at all: beside its place first, then renamed."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["atomic_write"]

_BEING_WRITTEN: set[str] = set()  # temporary files of this very process


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Write a file so that whoever opens it, after whatever crash, finds the old content or the new one, whole.

    The block writes to a temporary file in the same folder. Once it is done, the file is flushed to the disk and takes
    the place of the old one in a single step. If the block raises anything, Ctrl-C included, the temporary file is
    removed. What a killed process left behind is removed by the next one that writes to the same path.

    Parameters
    ----------
    path : str or path
        The file to write or to replace. A symbolic link stays one: the file it points to is replaced. Permissions are
        the old file's, or those of any new file.

    Yields
    ------
    Path
        The temporary file, empty, to be opened and written by the block.

    Raises
    ------
    OSError
        If the file cannot be written: no such folder, no permission, a folder in its place, a full disk. It names
        ``path``, and the old file is untouched.

    Examples
    --------
    >>> import tempfile
    >>> from minidl.formats import atomic_write
    >>> target = Path(tempfile.mkdtemp()) / "notes.txt"
    >>> with atomic_write(target) as temporary:
    ...     _ = temporary.write_text("all of it")
    >>> target.read_text()
    'all of it'
    """
    target = Path(os.path.realpath(os.fspath(path)))
    temporary = target.with_name(f"{_family(target)}{os.getpid()}.{secrets.token_hex(4)}.partial")
    _BEING_WRITTEN.add(temporary.name)
    try:
        mode = _mode(target)
        _remove_left_overs(target)  # first: they may be what fills the disk
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # less the umask
        yield temporary
        _flush(temporary, mode)
        os.replace(temporary, target)
    except OSError as error:
        raise _explained(error, target, os.fspath(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _BEING_WRITTEN.discard(temporary.name)
    _flush_folder(target.parent)


def _family(target: Path) -> str:
    """Return how the names of a target's temporary files begin: recognisable, on this machine, and never too long."""
    key = hashlib.blake2b(f"{platform.node()}/{target.name}".encode(errors="surrogatepass"), digest_size=4)
    return f".{target.name[:40]}.{key.hexdigest()}."


def _mode(target: Path) -> int | None:
    """Return the permission bits of the file to replace, None if there is none."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(21, "a folder of that name is in its place")
    if not stat.S_ISREG(found.st_mode):
        raise FileExistsError(17, "what is in its place is not an ordinary file")
    if not os.access(target, os.W_OK):
        raise PermissionError(13, "the file in its place is read-only")
    return stat.S_IMODE(found.st_mode) & 0o777


def _flush(temporary: Path, mode: int | None) -> None:
    """Have the file's content on the disk before its name is: a rename alone may reach it first."""
    descriptor = os.open(temporary, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if mode is not None:
        temporary.chmod(mode)


def _flush_folder(folder: Path) -> None:
    """Have the new name on the disk, where the system can (Windows cannot, nor can some network disks)."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_left_overs(target: Path) -> None:
    """Remove what writers that were killed left beside the target; not what a living one is writing."""
    family = _family(target)
    with suppress(OSError):
        for name in os.listdir(target.parent):
            if name.startswith(family) and name.endswith(".partial") and not _in_use(name, name[len(family) :]):
                with suppress(OSError):
                    os.unlink(target.parent / name)


def _in_use(name: str, rest: str) -> bool:
    """Whether a process of this machine is still writing the temporary file ``.<target>.<key>.<process>.<random>``."""
    process = rest.split(".")[0]
    if not process.isdecimal():
        return True  # none of ours
    if int(process) == os.getpid():
        return name in _BEING_WRITTEN
    if os.name == "nt":
        return True  # asking after a process there (os.kill) would end it
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass  # somebody else's
    return True


def _explained(error: OSError, target: Path, path: str) -> OSError:
    """Return the same kind of error, telling which file could not be written and that nothing was lost."""
    why = error.strerror or str(error)
    if isinstance(error, FileNotFoundError) and not target.parent.is_dir():
        why = f"the folder {target.parent} does not exist; create it first"
    kept = "the file that was there is untouched" if target.is_file() else "nothing was written"
    message = f"cannot write {path}: {why} ({kept})"
    return OSError(error.errno, message) if error.errno is not None else type(error)(message)
