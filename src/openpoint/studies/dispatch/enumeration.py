"""All radial topologies with all positions of the devices, as a method of dispatch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from openpoint.errors import OptionError
from openpoint.search.enumeration import count_topologies
from openpoint.search.operating_states import best_operating_state, count_positions
from openpoint.studies.dispatch.outcome import Found
from openpoint.studies.dispatch.question import Question
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination
from openpoint.twostage.stopping import check_stops


@dataclass(frozen=True, kw_only=True)
class Enumeration:
    """Every radial topology with every position of the devices by exact AC power flow: small grids, and to check.

    Attributes:
        most: states above which to refuse.
        time_limit_s: seconds after which to stop with the best of those tried, without a bound; None = none.
    """

    most: int = 5_000_000
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(0.0, self.time_limit_s)

    def __str__(self) -> str:
        return "Enumeration()"

    def solve(self, question: Question, progress: Progress | None = None, deadline: Deadline | None = None) -> Found:
        """Try all, or as many as fit the time limit, or until Ctrl-C.

        Raises:
            OptionError: too many states, or output of generators to be chosen within a range.
        """
        if question.dispatches:
            raise OptionError(
                "Enumeration cannot choose the output of generators within a range; use another method, or leave "
                "generators out of what is free"
            )
        with deadline_of(self.time_limit_s, deadline) as until:
            began = until.passed()
            found = best_operating_state(
                question.evaluator,
                locked_closed=question.must_close,
                locked_open=question.must_open,
                max_changes=question.max_changes,
                limit=self.most,
                stop=until.over,
            )
            seconds, best = until.passed() - began, found.best
            kept = best is not None and best.violation == 0.0
            reason = Termination.OPTIMAL if kept else Termination.INFEASIBLE
            value = best.value * question.network.s_base_kva if best is not None and kept else math.inf
            lower, words = value, f"{found.states:,} states"
            if not found.complete:
                reason, lower, words = until.why, -math.inf, f"{words} of {count_states(question):,}"
        last = Iteration(1, seconds, lower, value, value, words)
        if progress is not None:
            progress(last)
        return Found(reason, best if kept else None, None if kept else best, lower, value, (last,), seconds)


def count_states(question: Question) -> int:
    """Number of radial topologies times number of positions of all devices."""
    trees = count_topologies(question.network, locked_closed=question.must_close, locked_open=question.must_open)
    return trees * count_positions(question.devices)
