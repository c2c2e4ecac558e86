"""One process of several: ``python -m minidl.serve.worker DESCRIPTOR``, its plan the first line of its stdin."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence

from minidl.errors import MiniDLError
from minidl.serve.command import READY, plan_from, run


def main(argv: Sequence[str] | None = None) -> int:
    """Serve from a socket that another process opened; return the exit status."""
    (descriptor,) = sys.argv[1:] if argv is None else argv
    plan = plan_from(sys.stdin.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    with socket.socket(fileno=int(descriptor)) as listener:
        try:
            run(plan, listener, lambda: print(READY, flush=True))
        except (MiniDLError, OSError) as error:
            print(f"minidl: {' '.join(str(error).split())}", file=sys.stderr)
            return 1
    return 0


def end_with_parent() -> None:
    """End this process once the other end of its stdin is gone: with the parent, however that came to its end."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    raise SystemExit(main())
