"""Ctrl-C: asked for once, training stops after the step it is in; asked for twice, at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupts:
    """Within a ``with`` block, the first Ctrl-C sets :attr:`asked`, the second raises KeyboardInterrupt.

    Python raises KeyboardInterrupt between any two operations, also between the updates of two parameters. So the loop
    looks at ``asked`` between steps instead. Outside of the main thread, or where the program handles Ctrl-C in its own
    way, nothing changes.
    """

    asked = False

    def __enter__(self) -> Interrupts:
        self._installed = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if self._installed:
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
