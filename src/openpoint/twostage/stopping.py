"""Stopping rules: pure functions of the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from openpoint.errors import OptionError
from openpoint.twostage.log import Iteration, Termination

StoppingRule = Callable[[Sequence[Iteration]], Termination | None]

PROVEN_GAP = 1e-4
"""Largest gap at which an answer is called optimal: far below the accuracy of data of grids."""


def check_stops(gap: float, time_limit_s: float | None) -> None:
    """Refuse a gap or a time limit that is out of range.

    Raises:
        OptionError: saying which.
    """
    if not 0.0 <= gap < 1.0:
        raise OptionError(f"gap is {gap:g}; give a relative gap from 0 to below 1, such as 1e-4")
    if time_limit_s is not None and not time_limit_s > 0.0:
        raise OptionError(f"time limit is {time_limit_s:g}; give seconds above 0")


def gap_reached(gap: float) -> StoppingRule:
    """Stop at a relative gap: optimal if it is at most PROVEN_GAP."""

    def rule(log: Sequence[Iteration]) -> Termination | None:
        if not log or log[-1].gap > gap:
            return None
        return Termination.OPTIMAL if log[-1].gap <= PROVEN_GAP else Termination.GAP

    return rule


def iterations_reached(most: int) -> StoppingRule:
    """Stop after a number of iterations."""
    return lambda log: Termination.ITERATIONS if sum(not line.interim for line in log) >= most else None


def seconds_reached(most: float | None) -> StoppingRule:
    """Stop after a time."""
    return lambda log: Termination.TIME if log and most is not None and log[-1].seconds >= most else None


def first_of(*rules: StoppingRule) -> StoppingRule:
    """The first rule that stops."""

    def rule(log: Sequence[Iteration]) -> Termination | None:
        return next((reason for each in rules if (reason := each(log)) is not None), None)

    return rule
