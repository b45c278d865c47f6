"""A clock that the test holds: it goes on by the same amount at every look, so that limits come at the same place."""

from __future__ import annotations

import signal

import pytest

from openpoint.twostage.deadline import Deadline


class Clock:
    """Seconds since 0."""

    def __init__(self, step: float) -> None:
        self.step, self.now = step, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def held(monkeypatch: pytest.MonkeyPatch, step: float) -> Clock:
    """Put a clock in the place of that of the machine, for all studies."""
    clock = Clock(step)
    monkeypatch.setattr("openpoint.twostage.deadline.perf_counter", clock)
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
