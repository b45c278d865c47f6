"""Solve a program by a method: checks, wait-and-see values, the evaluator, and the least violation at the end."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import Any

import cvxpy as cp

from openpoint.errors import OptionError
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.methods.run import Learning, Run, Settings
from openpoint.twostage.methods.wait_and_see import WAIT_AND_SEE_GAP, StoppedError, nothing_yet, wait_and_see_bounds
from openpoint.twostage.objective import objective_of
from openpoint.twostage.program import AnyProgram
from openpoint.twostage.recourse.evaluation import FiniteSetEvaluator, RecourseEvaluator, RecourseSolver
from openpoint.twostage.recourse.mixed import MixedIntegerEvaluator
from openpoint.twostage.risk import check_risk
from openpoint.twostage.uncertainty import Box, Budget, Scenarios, centre, listed
from openpoint.twostage.workers.executors import Lasting
from openpoint.twostage.workers.pool import Workers
from openpoint.twostage.worst_case.worst import WorstCaseEvaluator, worst_objective

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
