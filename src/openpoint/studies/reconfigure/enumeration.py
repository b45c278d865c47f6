"""All radial topologies by exact AC power flow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.formulations.radiality import Choices, heaviest_tree
from openpoint.network import Network
from openpoint.search.enumeration import best_topologies, count_topologies
from openpoint.studies.reconfigure.ac_evaluation import AcEvaluator
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.program import ExactEvaluation
from openpoint.twostage.risk import Regret, Risk
from openpoint.twostage.uncertainty import Finite

FLOWS = 4_000
"""Power flows between two looks at the clock."""


class SwitchedProgram(Protocol):
    """What every method needs of a program whose first stage is a radial state; see `RadialProgram`."""

    @property
    def network(self) -> Network: ...
    @property
    def must_close(self) -> Bools: ...
    @property
    def must_open(self) -> Bools: ...
    @property
    def choices(self) -> Choices: ...
    @property
    def ac(self) -> AcEvaluator: ...


class EnumeratedProgram(SwitchedProgram, Protocol):
    """What enumeration needs of it, too."""

    @property
    def risk(self) -> Risk: ...
    @property
    def uncertainty(self) -> Finite: ...
    def evaluate(self, decision: Floats, realisations: Floats, dispatch: None) -> ExactEvaluation:
        """Exact AC power flow in every future."""
        ...


def best_of_all(program: EnumeratedProgram, most: int, progress: Progress | None, deadline: Deadline) -> Outcome:
    """All topologies by their price; where none has any, by their violation.

    Raises:
        OptionError: more topologies than `most`, generators to dispatch, or regret.
    """
    net = program.network
    if len(net.generator_names):
        raise OptionError(
            "Enumeration cannot dispatch generators; use TopologySearch, or clear their limits to fix them"
        )
    if isinstance(program.risk, Regret):
        raise OptionError("Enumeration does not know what each future would cost alone; use Benders for regret")
    count = count_topologies(net, locked_closed=program.must_close, locked_open=program.must_open)
    if count > most:
        raise OptionError(
            f"{count:,} radial topologies are too many to enumerate (most {most:,}); use "
            "TopologySearch, or Benders for many futures"
        )
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
    program: EnumeratedProgram, objective: Callable[[Bools], Floats], deadline: Deadline
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
