"""Time that this process has spent compiling functions, which no limit of time counts: it is spent once on a machine.

`openpoint.compiled.compiler` reports to `TIMER` and `LISTENERS` where compiling begins and ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter, process_time


class CompileTimer:
    """Seconds between the beginning and the end of compiling, by some clocks."""

    def __init__(self, clocks: tuple[Callable[[], float], ...]) -> None:
        self._depth = 0
        self._began: dict[Callable[[], float], float] = {}
        self._spent = dict.fromkeys(clocks, 0.0)

    def begin(self) -> bool:
        """A function is being compiled, perhaps within another one; returns whether it is the outermost one."""
        if self._depth == 0:
            self._began = {clock: clock() for clock in self._spent}
        self._depth += 1
        return self._depth == 1

    def end(self) -> bool:
        """The function compiled last is ready; returns whether it is the outermost one."""
        self._depth -= 1
        if self._depth == 0:
            for clock, began in self._began.items():
                self._spent[clock] += clock() - began
        return self._depth == 0

    def spent(self, clock: Callable[[], float]) -> float:
        """Seconds so far by a clock; 0 by one that it does not keep."""
        if clock not in self._spent:
            return 0.0
        return self._spent[clock] + (clock() - self._began[clock] if self._depth else 0.0)


TIMER = CompileTimer((perf_counter, process_time))
LISTENERS: list[Callable[[str, bool], None]] = []
"""Functions of the name of a function and of whether it is ready; see `while_compiling`."""


@contextmanager
def while_compiling(tell: Callable[[str, bool], None]) -> Iterator[None]:
    """Within this context, `tell(name, False)` is called before a function is compiled and `tell(name, True)` after.

    There is no call for a function whose machine code is read from the cache, or that is only inserted into others.
    """
    LISTENERS.append(tell)
    try:
        yield
    finally:
        LISTENERS.remove(tell)
