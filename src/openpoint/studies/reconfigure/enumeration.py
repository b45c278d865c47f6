"""All radial topologies by exact AC power flow, as a method of reconfigure."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.formulations.radiality import heaviest_tree
from openpoint.search.enumeration import best_topologies, count_topologies
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.risk import Regret
from openpoint.twostage.stopping import check_stops

FLOWS = 4_000
"""Power flows between two looks at the clock."""


@dataclass(frozen=True, kw_only=True)
class Enumeration:
    """Every radial topology by exact AC power flow. For grids with few loops, and to check other methods.

    Attributes:
        most: topologies above which to refuse; on grids of several phases, after which to stop with the best.
        time_limit_s: seconds after which to stop with the best of those tried, without a bound; None = none.
    """

    most: int = 5_000_000
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(0.0, self.time_limit_s)

    def __str__(self) -> str:
        return "Enumeration()"

    def solve(
        self, program: RadialProgram, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> Outcome:
        """Try all, or as many as fit the time limit, or until Ctrl-C.

        Args:
            program: what to solve. progress: told of the end. deadline: in place of the time limit.

        Raises:
            OptionError: too many topologies, or generators to dispatch, which a power flow cannot do.
        """
        net = program.network
        if len(net.generator_names):
            raise OptionError(
                "Enumeration cannot dispatch generators; use TopologySearch, or clear their limits to fix them"
            )
        if isinstance(program.risk, Regret):
            raise OptionError("Enumeration does not know what each future would cost alone; use Benders for regret")
        count = count_topologies(net, locked_closed=program.must_close, locked_open=program.must_open)
        if count > self.most:
            raise OptionError(
                f"{count:,} radial topologies are too many to enumerate (most {self.most:,}); use "
                "TopologySearch, or Benders for many futures"
            )
        with deadline_of(self.time_limit_s, deadline) as until:
            return _enumerated(program, count, until, progress)


def _enumerated(program: RadialProgram, count: int, deadline: Deadline, progress: Progress | None) -> Outcome:
    """All topologies by their price; where none has any, by their violation."""
    began, futures = deadline.passed(), program.uncertainty.values
    best, value, tried = _best(program, program.ac.objectives, deadline)
    found, decision = math.isfinite(value), best
    if not found:
        least, violation, met = _best(program, program.ac.violations, deadline)
        decision = least if math.isfinite(violation) else None
        tried = min(tried, met)
    shown = None if decision is None else decision.astype(float)
    verdict = None if shown is None else program.evaluate(shown, futures, None)
    complete, seconds = tried >= count, deadline.passed() - began
    reason = Termination.OPTIMAL if found else Termination.INFEASIBLE
    lower = value
    words = f"{count:,} topologies"
    if not complete:
        reason, lower, words = deadline.why, -math.inf, f"{tried:,} of {words}"
    last = Iteration(1, seconds, lower, value, value, words)
    if progress is not None:
        progress(last)
    return Outcome(
        reason,
        shown if found else None,
        None if verdict is None else verdict.state,
        lower,
        value,
        (last,),
        seconds,
        least_violation=None if found else shown,
        values=verdict.values if found and verdict is not None else None,
    )


def _best(
    program: RadialProgram, objective: Callable[[Bools], Floats], deadline: Deadline
) -> tuple[Bools | None, float, int]:
    """The topology (E) of least objective, its value, and how many were tried.

    Where some were not, the one nearest to today's state is among those that were.
    """
    net, tried = program.network, 0

    def counted(closed: Bools) -> Floats:
        nonlocal tried
        tried += len(closed)
        return objective(closed)

    values, best = best_topologies(
        net,
        counted,
        locked_closed=program.must_close,
        locked_open=program.must_open,
        chunk=max(1, min(4096, FLOWS // len(program.uncertainty.values))),
        stop=deadline.over,
    )
    found, value = (best[0], float(values[0])) if len(values) else (None, math.inf)
    if deadline.over():
        today = heaviest_tree(program.choices, net.closed.astype(float)) > 0.5
        if (known := float(objective(today[None, :])[0])) < value:
            found, value = today, known
    return found, value, tried
