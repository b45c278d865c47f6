"""When a study is to end: a clock, a time limit and the user's request to stop, shared by all its parts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, process_time

from openpoint.compiled.timer import TIMER
from openpoint.twostage.interrupt import Interrupt, listening
from openpoint.twostage.log import Termination


@dataclass(frozen=True)
class _Watch:
    """A clock that stands still while functions are compiled."""

    clock: Callable[[], float]

    def time(self) -> float:
        return self.clock() - TIMER.spent(self.clock)


class Deadline:
    """The time that is left of a limit, and whether the user asked to stop.

    A study makes one at its start and hands it to its method and to all that comes before and after it, so that all of
    them share the same limit. The time to compile functions, which is spent once on a machine, does not count; all else
    does.
    """

    def __init__(
        self,
        seconds: float | None = None,
        *,
        interrupt: Interrupt | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        """Count from now.

        Args:
            seconds: the limit; None = none.
            interrupt: whether the user asked to stop; None = it cannot be asked.
            clock: seconds of a clock that never goes back; None = that of the machine.
        """
        self._watch = _Watch(clock or perf_counter)
        self._interrupt = interrupt or Interrupt()
        self._began, self._seconds = self._watch.time(), math.inf if seconds is None else seconds
        self._longer: tuple[float, Callable[[], bool]] | None = None

    def passed(self) -> float:
        """Seconds since the start."""
        return self._watch.time() - self._began

    def left(self) -> float:
        """Seconds until the limit, not below 0; inf where there is none."""
        seconds = self._seconds
        if self._longer is not None and self._longer[1]():
            seconds = self._longer[0]
        return math.inf if math.isinf(seconds) else max(seconds - self.passed(), 0.0)

    def interrupted(self) -> bool:
        """Whether the user asked to stop."""
        return self._interrupt.requested

    def over(self) -> bool:
        """Whether to stop now: the time is up, the user asked, or workers are gone."""
        return self.interrupted() or self._interrupt.workers_lost or self.left() <= 0.0

    def lose_workers(self) -> None:
        """It is over, for this one and all that share its interrupt: who was to compute the rest is gone."""
        self._interrupt.workers_lost = True

    @property
    def of_processor(self) -> bool:
        """Whether the seconds are those of the processor, which a solver with a clock of its own is to count, too."""
        return self._watch.clock is process_time

    @property
    def why(self) -> Termination:
        """Why it is over."""
        if self.interrupted():
            return Termination.INTERRUPTED
        return Termination.WORKERS if self._interrupt.workers_lost else Termination.TIME

    def within(self, seconds: float) -> Deadline:
        """A deadline that ends so many seconds from now, but not after this one; clock and interrupt are shared."""
        part = Deadline.__new__(Deadline)
        part._watch, part._interrupt, part._began = self._watch, self._interrupt, self._watch.time()
        part._seconds, part._longer = min(seconds, self.left()), None
        return part

    def early(self, seconds: float, unless: Callable[[], bool]) -> Deadline:
        """As `within`; but as long as `unless` says True it ends with this one."""
        part = self.within(seconds)
        part._longer = self.left(), unless
        return part

    def after(self, seconds: float) -> Deadline:
        """A deadline that ends so many seconds after this one, or from now if this one is over; without interrupt.

        For what is done also once the time is up: the verification of the answer.
        """
        part = self.within(self.left())
        part._interrupt = Interrupt()
        part._seconds = seconds + (0.0 if self.over() else self.left())
        return part


@contextmanager
def deadline_of(seconds: float | None, given: Deadline | None = None) -> Iterator[Deadline]:
    """The deadline given; else a new one, which a Ctrl-C within the block ends."""
    if given is not None:
        yield given
        return
    with listening() as interrupt:
        yield Deadline(seconds, interrupt=interrupt)
