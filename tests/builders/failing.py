"""An executor that fails after some work, in each of the ways that executors fail."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

FAILURES: dict[str, Exception] = {
    "broken": BrokenExecutor("a worker ended"),
    "pool killed": BrokenProcessPool("a process was killed"),
    "cancelled": CancelledError("scheduler-connection-lost"),
    "connection": ConnectionResetError("the scheduler is gone"),
    "timeout": TimeoutError("no answer"),
    "memory": MemoryError(),
}


class FailingExecutor(Executor):
    """Works in this process until it has done so many chunks; from then on it fails.

    Args:
        chunks: that it does. error: what it ends with. at_once: when work is handed in, and not in its future.
    """

    def __init__(self, chunks: int, error: Exception, *, at_once: bool) -> None:
        self.left, self.error, self.at_once = chunks, error, at_once

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.left -= 1
        if self.left >= 0:
            future.set_result(fn(*args, **kwargs))
        elif self.at_once:
            raise self.error
        else:
            future.set_exception(self.error)
        return future
