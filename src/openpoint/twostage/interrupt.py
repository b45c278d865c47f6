"""Ctrl-C as a request, not as an exception: the method ends at the next safe place with the best answer found.

For commands SIGTERM is the same request: `timeout`, containers and batch systems send it some time before they kill. In
Python it stays what the program makes of it.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether the user asked to stop. A second Ctrl-C raises KeyboardInterrupt at once."""

    def __init__(self) -> None:
        self.requested = False

    def note(self, _signum: int, _frame: FrameType | None) -> None:
        """Signal handler."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


_early: Interrupt | None = None
_of_command = False


def install() -> None:
    """Catch Ctrl-C and SIGTERM from now on until the next `listening` is over; for commands, before slow imports.

    Every later `listening` of this process catches both, too.
    """
    global _early, _of_command
    _early, _of_command = Interrupt(), True
    signal.signal(signal.SIGINT, _early.note)
    signal.signal(signal.SIGTERM, _early.note)


@contextmanager
def listening() -> Iterator[Interrupt]:
    """Catch Ctrl-C inside the block, and SIGTERM in a command; outside the main thread nothing is caught."""
    global _early
    interrupt = _early or Interrupt()
    _early = None
    if threading.current_thread() is not threading.main_thread():
        yield interrupt
        return
    before = signal.signal(signal.SIGINT, interrupt.note)
    if _of_command:
        signal.signal(signal.SIGTERM, interrupt.note)
    try:
        yield interrupt
    finally:
        ours = before is None or getattr(before, "__self__", None) is interrupt
        signal.signal(signal.SIGINT, signal.default_int_handler if ours else before)
        if _of_command:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
