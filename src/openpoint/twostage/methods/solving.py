"""Solve a program by a method: checks, wait-and-see values, the evaluator, and the least violation at the end."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OpenpointError, OptionError
from openpoint.solvers.modelling import cp
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import CUT_SHORT, Iteration, Outcome, Progress, Termination
from openpoint.twostage.methods.run import Learning, Run, Settings
from openpoint.twostage.program import AnyProgram, objective_of
from openpoint.twostage.recourse.evaluation import FiniteSetEvaluator, RecourseEvaluator, RecourseSolver
from openpoint.twostage.recourse.mixed import MixedIntegerEvaluator
from openpoint.twostage.risk import Expectation, Regret, check_risk
from openpoint.twostage.uncertainty import Box, Budget, Certain, Scenarios, centre, listed
from openpoint.twostage.workers.executors import Lasting
from openpoint.twostage.workers.pool import Workers
from openpoint.twostage.worst_case.worst import WorstCaseEvaluator, worst_objective

WAIT_AND_SEE_GAP = 0.1
"""Gap of the wait-and-see values, relative to the gap asked for: regret is a small difference of large numbers."""

WAIT_AND_SEE_SHARE = 0.5
"""Share of the time left for the wait-and-see values."""

Solve = Callable[[AnyProgram], Outcome]
SolveWithin = Callable[[AnyProgram, Deadline], Outcome]


class StoppedError(Exception):
    """The time was up, or the user asked to stop, before every realisation had a wait-and-see value."""


class NoSolutionError(OpenpointError):
    """A realisation has no solution even where it is known in advance.

    Attributes:
        realisation: its number, from 0. termination: how the search for one ended.
    """

    def __init__(self, realisation: int, termination: Termination, name: str = "") -> None:
        self.realisation, self.termination = realisation, termination
        super().__init__(
            f"{name or f'realisation {realisation + 1}'} has no solution even where it is known in advance "
            f"({termination}), so that there is no regret: leave it out, relax the limits, or take another risk"
        )


def nothing_yet(deadline: Deadline) -> Outcome:
    """The outcome of a run that was stopped before there was any answer."""
    return Outcome(deadline.why, None, None, -math.inf, math.inf, (), deadline.passed())


def wait_and_see(program: AnyProgram, solve: Solve) -> list[Outcome]:
    """The program solved for every realisation by itself (Madansky 1960).

    Raises:
        NoSolutionError: a realisation has no solution even by itself.
    """
    return [_with_solution(k, solve(single)) for k, single in enumerate(_each_realisation(program))]


def wait_and_see_bounds(
    program: AnyProgram,
    solve: SolveWithin,
    deadline: Deadline,
    gap: float | None = None,
    any_bounds: Callable[[], tuple[Floats, Floats]] | None = None,
) -> tuple[Floats, Floats] | None:
    """Lower and upper bounds of the wait-and-see values, where the risk is regret; else None.

    None, too, where it is proven that a realisation has no solution by itself, and all need one: then no decision has
    one, whatever the risk, which the method proves as for any other risk.

    With a gap, the study may compute the bounds (`TwoStageProgram.deterministic_bounds`); where it does not, `solve`
    does. Every realisation gets a part of the time left, and all of it where it has no answer after its part; bounds
    that do not reach the gap are still valid. After the deadline `any_bounds` gives valid bounds of all realisations at
    once, inf where it has none; without it the study is asked for those of one after another.

    Raises:
        NoSolutionError: a realisation has no solution even by itself.
        StoppedError: the deadline came before every realisation had bounds.
    """
    if not isinstance(program.risk, Regret):
        return None
    bounds: list[tuple[float, float]] = []
    singles = list(_each_realisation(program))
    whole = deadline.within(WAIT_AND_SEE_SHARE * deadline.left())
    spare: tuple[Floats, Floats] | None = None
    for k, single in enumerate(singles):
        if any_bounds is not None and deadline.over():
            spare = any_bounds() if spare is None else spare
            if np.isfinite(spare[1][k]):
                bounds.append((float(spare[0][k]), float(spare[1][k])))
                continue
        part = whole.within(whole.left() / (len(singles) - k))
        least = gap if gap is None or not deadline.over() else math.inf
        if least is None or (known := single.deterministic_bounds(least, part)) is None:
            outcome = solve(single, part)
            if _is_stopped(outcome) and not deadline.over():
                outcome = solve(single, deadline)  # its part was too short for any answer, and there is time left
            if _is_stopped(outcome):
                raise StoppedError
            if outcome.termination is Termination.INFEASIBLE and program.limits_share >= 1.0:
                return None
            outcome = _with_solution(k, outcome)
            known = outcome.lower_bound, outcome.upper_bound
        bounds.append(known)
    lower, upper = np.array(bounds).T
    return lower, upper


def _is_stopped(outcome: Outcome) -> bool:
    return outcome.decision is None and outcome.termination in CUT_SHORT


def _each_realisation(program: AnyProgram) -> Iterator[AnyProgram]:
    """The program with each of its realisations as the only one."""
    uncertainty = program.uncertainty
    assert not isinstance(uncertainty, Box | Budget)
    return (program.with_uncertainty(Certain(u), Expectation()) for u in uncertainty.values)


def _with_solution(k: int, outcome: Outcome) -> Outcome:
    if outcome.decision is None:
        raise NoSolutionError(k, outcome.termination)
    return outcome


def as_finite(program: AnyProgram) -> AnyProgram:
    """The program with the vertices of a polyhedral set in place of the set.

    Raises:
        OptionError: there are too many.
    """
    if not isinstance(program.uncertainty, Box | Budget):
        return program
    return program.with_uncertainty(Scenarios(listed(program.uncertainty)), program.risk)


_LOG = logging.getLogger(__name__)

EXPLAIN_GAP = 0.01
"""Relative gap of the least violation, which only explains why no decision keeps the limits."""
EXPLAIN_S = 20.0
"""Seconds for the least violation, or twice those of the proof of infeasibility."""


def solve(
    program: AnyProgram,
    settings: Settings,
    learning: Learning,
    progress: Progress | None,
    deadline: Deadline | None = None,
) -> Outcome:
    """Solve a program to the gap, or until a limit or Ctrl-C; the best verified answer is kept.

    Where no decision keeps the limits, the outcome names the decision of least violation.

    Args:
        program: what to solve. settings: when to stop. learning: the rule of the method.
        progress: called with every line of the log. deadline: in place of the time limit of the settings.
    """
    check_risk(program.uncertainty, program.risk)
    integers = _has_integers(program)
    if integers and isinstance(program.uncertainty, Box | Budget):
        if isinstance(program.uncertainty, Box):
            raise OptionError("the worst case of a recourse with integers need not be a vertex of a box; use Budget")
        program = program.with_uncertainty(Scenarios(listed(program.uncertainty)), program.risk)
    finer = replace(settings, gap=WAIT_AND_SEE_GAP * settings.gap)
    with settings.executor.open() as opened, deadline_of(settings.time_limit_s, deadline) as until:
        workers = Lasting(opened, until)
        try:
            wait_and_see = wait_and_see_bounds(
                program, lambda single, part: solve(single, finer, learning, None, part), until, finer.gap
            )
        except StoppedError:
            return nothing_yet(until)
        evaluator = _evaluator(program, settings, workers, wait_and_see, integers=integers, violation=False)
        _LOG.info("compiled the recourse")
        outcome = Run(settings, learning, program, evaluator, progress or _silent, until).execute()
        if outcome.termination is not Termination.INFEASIBLE or until.over():
            return outcome
        if progress is not None:
            progress(replace(outcome.log[-1], verdict="infeasible; looking for the least violation", interim=True))
        explain, part = replace(settings, gap=EXPLAIN_GAP), until.within(max(EXPLAIN_S, 2.0 * outcome.seconds))
        evaluator = _evaluator(program, settings, workers, None, integers=integers, violation=True)
        least = Run(explain, learning, program, evaluator, _silent, part).execute()
    return Outcome(
        Termination.INFEASIBLE,
        None,
        least.state,
        outcome.lower_bound,
        math.inf,
        outcome.log,
        outcome.seconds + least.seconds,
        least_violation=least.decision,
    )


def _evaluator(
    program: AnyProgram,
    settings: Settings,
    workers: Workers,
    wait_and_see: tuple[Any, Any] | None,
    *,
    integers: bool,
    violation: bool,
) -> RecourseEvaluator:
    recourse = RecourseSolver(program, workers)
    if isinstance(program.uncertainty, Box | Budget):
        return WorstCaseEvaluator(program, worst_objective(program, violation=violation), recourse, settings.separation)
    objective = objective_of(program, violation=violation, wait_and_see=wait_and_see)
    if integers:
        return MixedIntegerEvaluator(program, objective, recourse, 0.1 * settings.gap)
    return FiniteSetEvaluator(program, objective, recourse)


def _has_integers(program: AnyProgram) -> bool:
    if program.integer_recourse is not None:
        return program.integer_recourse
    first = program.first_stage(with_recourse=False)
    realisation = cp.Constant(centre(program.uncertainty))
    return bool(program.recourse(first.decision, realisation, limits=True).integers)


def _silent(_: Iteration) -> None:
    """Ignore the progress."""
