"""The command line: ``minidl reproduce`` trains the documents' examples, ``minidl serve`` serves a model over HTTP."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from minidl import gpu as gpus
from minidl import kernels
from minidl.backend import Device, check_available, cupy, default_device, drivers
from minidl.errors import DataError, DeviceError, MiniDLError, NumericalWarning, StateError
from minidl.examples import EXAMPLES
from minidl.examples.report import Example, Report, aligned, results
from minidl.examples.warm_up import warm_up
from minidl.training.callbacks.progress import say

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, without the program's name; those of the process by default.

    Returns
    -------
    int
        0; 1 after an error that minidl explains on one line; 130 after Ctrl-C. Wrong usage exits with 2.

    Examples
    --------
    >>> main(["reproduce", "simple-cnn", "--list"])
    simple-cnn  000 4.1  a small convolutional network reads digits, in PyTorch's dialect
    0
    """
    arguments = build_parser().parse_args(argv)
    try:
        arguments.command(arguments)
    except (MiniDLError, OSError) as error:  # of the system's, those of a full disk and the like
        print(f"minidl: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nminidl: interrupted", file=sys.stderr)
        return INTERRUPTED
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser; each command sets ``command`` to the function that runs it."""
    parser = argparse.ArgumentParser(prog="minidl", description="A deep-learning engine to read, teach with and use.")
    parser.add_argument("--version", action="version", version=f"minidl {metadata.version('minidl')}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    reproduce_parser = commands.add_parser("reproduce", help="train the documents' examples and show what they reach")
    reproduce_parser.add_argument("names", nargs="*", metavar="NAME", help="which examples (default: all)")
    how_long = reproduce_parser.add_mutually_exclusive_group()
    how_long.add_argument("--quick", action="store_true", help="train less: about a minute for all of them")
    how_long.add_argument("--epochs", type=natural(1), help="how long to train (default: as the document)")
    reproduce_parser.add_argument("--seed", type=natural(0), default=0, help="of every random number (default: 0)")
    add_device(reproduce_parser)
    reproduce_parser.add_argument(
        "--out", type=Path, default=Path("runs"), help="where models and pictures go (default: ./runs)"
    )
    reproduce_parser.add_argument("--list", action="store_true", help="list the examples and stop")
    reproduce_parser.set_defaults(command=reproduce, parser=reproduce_parser)

    add_serve(commands)

    info_parser = commands.add_parser("info", help="versions, devices and folders: what to put into a bug report")
    info_parser.add_argument(
        "--warm-up", action="store_true", help="compile the kernels now, into the cache, for every later process"
    )
    info_parser.set_defaults(command=info)
    return parser


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add ``--device``."""
    parser.add_argument("--device", metavar="NAME", help="cpu, gpu or gpu:N (default: cpu)")


def add_serve(commands: Any) -> None:
    """Add ``minidl serve``; the defaults of what is left out are those of ``minidl.serve.settings.Settings``."""
    parser = commands.add_parser(
        "serve", help="put a saved model behind an HTTP API", description="Put a saved model behind an HTTP API."
    )
    parser.add_argument("model", metavar="MODEL", help="a file: .h5 or .keras; weights alone with --factory")
    parser.add_argument("--labels", type=Path, metavar="FILE", help="names of the classes, one a line")
    parser.add_argument("--name", help="the model's, in /v2 (default: the file's)")
    parser.add_argument("--factory", metavar="MODULE:NAME", help="what makes the model that the weights are for")
    parser.add_argument("--input-shape", type=natural(1), nargs="+", metavar="N", help="of one sample, as 1 28 28")
    add_device(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    parser.add_argument("--port", type=natural(0), default=8000, help="0 for any that is free (default: 8000)")
    parser.add_argument("--workers", type=natural(1), default=1, help="processes that share the port (default: 1)")

    keys = parser.add_argument_group("keys", "in the environment variable MINIDL_API_KEYS, or in a file")
    keys.add_argument("--keys-file", type=Path, metavar="FILE", help="one a line, as it is or as sha256:HASH")
    keys.add_argument("--insecure-no-auth", action="store_true", help="let everybody in")
    keys.add_argument("--rate-limit", type=float, default=0.0, help="requests a second, for each key and process")

    images = parser.add_argument_group("images", "(pixel - MEAN) / STD goes into the model; pixels are from 0 to 1")
    images.add_argument("--mean", type=float, default=0.0)
    images.add_argument("--std", type=float, default=1.0)

    batches = parser.add_argument_group("batches")
    batches.add_argument("--max-batch", type=natural(1), default=32, help="samples; 1 for none (default: 32)")
    batches.add_argument("--max-wait-ms", type=float, default=2.0, help="for company (default: 2)")
    batches.add_argument("--max-queue", type=natural(1), default=1024, help="samples that may wait (default: 1024)")

    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-body", type=natural(1), default=4 << 20, help="bytes (default: 4194304)")
    limits.add_argument("--max-pixels", type=natural(1), default=16_000_000, help="of an image (default: 16000000)")
    limits.add_argument("--max-requests", type=natural(1), default=512, help="in flight (default: 512)")
    limits.add_argument("--max-connections", type=natural(1), default=1024, help="(default: 1024)")
    limits.add_argument("--header-timeout", type=float, default=10.0, help="seconds (default: 10)")
    limits.add_argument("--body-timeout", type=float, default=10.0, help="seconds (default: 10)")
    limits.add_argument("--request-timeout", type=float, default=30.0, help="seconds (default: 30)")
    limits.add_argument("--drain", type=float, default=1.0, help="seconds from SIGTERM to closing (default: 1)")
    parser.set_defaults(command=serve)


def serve(arguments: argparse.Namespace) -> None:
    """Serve a model over HTTP; what that takes is loaded now, and only if it is installed."""
    try:
        command = importlib.import_module("minidl.serve.command")
    except ModuleNotFoundError as error:
        raise StateError(
            f"serve: {error.name} is not installed; the service needs the extra 'serve': pip install 'minidl[serve]'"
        ) from error
    command.serve(arguments)


def natural(least: int) -> Callable[[str], int]:
    """Return an argument type: an integer that is not below ``least``."""

    def integer(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"expected at least {least}, got {text}")
        return value

    return integer


def reproduce(arguments: argparse.Namespace) -> None:
    """Train examples one after the other, then print the table of what they reached."""
    names = list(dict.fromkeys(arguments.names)) or list(EXAMPLES)
    left_out = [name for name in names if not arguments.names and not arguments.list and lacks(EXAMPLES[name])]
    unknown = [name for name in names if name not in EXAMPLES]
    if unknown:
        arguments.parser.error(f"no example is named {', '.join(unknown)}; there are: {', '.join(EXAMPLES)}")
    if arguments.list:
        rows = [(name, EXAMPLES[name].document, EXAMPLES[name].title) for name in names]
        print(aligned(rows))
        return
    device = default_device() if arguments.device is None else Device(arguments.device)
    check_available(device)
    check_writable(arguments.out)
    reports = []
    with warnings_as_lines(), device:
        for name in names:
            example = EXAMPLES[name]
            if name in left_out:
                print(f"{name}: left out: it needs more packages; pip install 'minidl[serve]'\n")
                continue
            print(f"{name}: document {example.document}: {example.title}")
            reports.append((example, Report(name, arguments.out)))
            epochs = arguments.epochs or (example.quick if arguments.quick else example.epochs)
            example.run(reports[-1][1], epochs=epochs, seed=arguments.seed)
            print()
    print(results(reports))


def lacks(example: Example) -> bool:
    """Whether something is not installed that an example needs."""
    return any(importlib.util.find_spec(name) is None for name in example.needs)


def check_writable(folder: Path) -> None:
    """Make the folder if need be, and a file in it: before hours of training, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(
            f"reproduce: cannot write to the folder {folder}: {error.strerror}; name another with --out"
        ) from error


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Print each of minidl's warnings once, as a line among the others, without the line of code that it points at."""
    said: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        if not issubclass(category, NumericalWarning):
            show_others(message, category, *where, **more)
        elif str(message) not in said:
            said.add(str(message))
            say(f"warning: {message}")

    with warnings.catch_warnings():
        show_others = warnings.showwarning
        warnings.showwarning = show
        warnings.simplefilter("always", NumericalWarning)
        yield


def info(arguments: argparse.Namespace) -> None:
    """Print versions, devices, kernels and folders."""
    rows = [(name, version(name)) for name in ("minidl", "numpy", "numba", "h5py", "tqdm", "matplotlib")]
    rows.insert(1, ("python", f"{platform.python_version()} ({platform.python_implementation()})"))
    rows += [
        ("platform", platform.platform()),
        ("processors", str(os.cpu_count())),
        ("gpu", gpu()),
        ("kernels", f"{kernels.active()}, on {kernels.get_num_threads()} threads (MINIDL_KERNELS, MINIDL_NUM_THREADS)"),
        ("data folder", os.environ.get("MINIDL_DATA", "the package's own (set MINIDL_DATA for full data sets)")),
        ("kernel cache", os.environ.get("NUMBA_CACHE_DIR", "beside each kernel (set NUMBA_CACHE_DIR to change it)")),
    ]
    width = max(len(name) for name, _ in rows)
    print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    if arguments.warm_up:
        for name, seconds in warm_up():
            print(f"warmed up: {name} ({seconds:.1f} s)")


def version(package: str) -> str:
    """Return the version of an installed package without importing it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def gpu() -> str:
    """Return what each GPU is and how full its memory, or why none can be used."""
    try:
        cupy()
    except DeviceError as error:
        return str(error)
    described = []
    for i in range(gpus.device_count()):
        (major, minor), (free, total) = gpus.get_device_capability(i), gpus.mem_get_info(i)
        described.append(
            f"gpu:{i} {gpus.get_device_name(i)}, compute capability {major}.{minor}, "
            f"{free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        )
    return "; ".join([*described, str(drivers.look())])
