"""Ctrl-C as a request, not as an exception: the method ends at the next safe place with the best answer found.

For commands SIGTERM is the same request: `timeout`, containers and batch systems send it some time before they kill. So
is SIGHUP, the end of the terminal, unless it is ignored, as `nohup` has it. In Python both stay what the program makes
of them.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interrupt:
    """Whether the user asked to stop. A second Ctrl-C raises KeyboardInterrupt at once.

    Attributes:
        requested: by the user. workers_lost: whether the processes that were to compute the rest are gone.
    """

    def __init__(self) -> None:
        self.requested = self.workers_lost = False

    def note(self, _signum: int, _frame: FrameType | None) -> None:
        """Signal handler."""
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if name in dir(signal)]
_early: Interrupt | None = None
_heard: Interrupt | None = None
_of_command = False


def install() -> None:
    """Catch signals outside of `listening` for the next one, which then ends at once; for commands, at their start."""
    global _early, _of_command
    _early, _of_command = Interrupt(), True
    _noted_by(_early, _ENDING)


@contextmanager
def listening() -> Iterator[Interrupt]:
    """Catch Ctrl-C inside the block, and in a command SIGTERM and SIGHUP; outside the main thread nothing is caught.

    What a block within another one was asked, the outer one was asked, too.
    """
    global _early, _heard
    first, _early = _early, None
    interrupt = first or Interrupt()
    outer, _heard = _heard, interrupt
    try:
        with _catching(interrupt, _ENDING if _of_command else ()):
            yield interrupt
    finally:
        _heard = outer
        if outer is not None and interrupt.requested:
            outer.requested = True
        if first is not None:
            install()


@contextmanager
def finishing() -> Iterator[None]:
    """Let no first signal end the block, in which what was found is written."""
    with _catching(Interrupt(), _ENDING):
        yield


@contextmanager
def _catching(interrupt: Interrupt, more: Iterable[signal.Signals]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = _noted_by(interrupt, more)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, signal.SIG_DFL if handler is None else handler)


def _noted_by(interrupt: Interrupt, more: Iterable[signal.Signals]) -> dict[signal.Signals, Any]:
    """Hand Ctrl-C and `more`, where they are not ignored, to a request; what was done with them before."""
    caught = [each for each in more if signal.getsignal(each) is not signal.SIG_IGN]
    return {each: signal.signal(each, interrupt.note) for each in (signal.SIGINT, *caught)}
