"""A clock that the test holds, and an executor that fails after some work in each way that executors fail."""

import signal
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from openpoint.solvers.base import Answer
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.deadline import Deadline


class Clock:
    """Seconds since 0."""

    def __init__(self, step: float) -> None:
        self.step, self.now = step, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def held(monkeypatch: pytest.MonkeyPatch, step: float) -> Clock:
    """Put a clock in the place of that of the machine, for all studies and for programs that can be stopped."""
    clock, solve = Clock(step), HighsModel.solve

    def without_own_limit(self: HighsModel, *, integral: bool, **options: Any) -> Answer:
        if options.get("stop") is not None:
            options.pop("seconds", None)  # of the machine: how busy it is would decide
        return solve(self, integral=integral, **options)

    monkeypatch.setattr("openpoint.twostage.deadline.perf_counter", clock)
    monkeypatch.setattr(HighsModel, "solve", without_own_limit)
    return clock


class Wish:
    """Ctrl-C at a certain question whether to stop, so that it comes at the same place.

    Attributes:
        at: the question. asked: questions so far.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.at, self.asked = at, 0
        over = Deadline.over

        def counted(deadline: Deadline) -> bool:
            self.asked += 1
            if self.asked == self.at:
                signal.raise_signal(signal.SIGINT)
            return over(deadline)

        monkeypatch.setattr(Deadline, "over", counted)


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
