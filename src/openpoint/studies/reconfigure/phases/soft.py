"""Soft limits of a grid of any phases: relaxed limits are put to all topologies, or once to the linear model."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from openpoint.arrays import Floats
from openpoint.studies.reconfigure.phases.answer import PhasesAnswer
from openpoint.studies.reconfigure.phases.exchange import PhasesAcEvaluator
from openpoint.studies.reconfigure.soft import Reply, Softened, as_met, as_soft_limits, relaxed, shares_of, soften
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

SOLVED = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY, Termination.LINEAR)

Solve = Callable[[PhasesAcEvaluator], PhasesAnswer]


def soften_phases(evaluator: PhasesAcEvaluator, answer: PhasesAnswer, solve: Solve, deadline: Deadline) -> PhasesAnswer:
    """The answer with the state of least violation as its best, where none was found that keeps the limits.

    That limits cannot be kept is proven only where all topologies are tried by exact power flow; else the limits are
    relaxed as the best that was met needs it, and the question is put once more.

    Args:
        evaluator: with the limits to keep. answer: of the search with these limits.
        solve: by the same method, with other limits. deadline: of the study.
    """
    if answer.best is None or answer.best.violation == 0.0:
        return answer
    network = evaluator.program.network

    def ask(shares: Floats, _: bool) -> Reply[PhasesAnswer]:
        if deadline.over():
            return Reply(deadline.why, None, answer)
        found = solve(evaluator.with_limits(relaxed(network, shares)))
        good = found.best is not None and found.best.violation == 0.0
        return Reply(found.outcome.termination, _shares(evaluator, found) if good else None, found)

    first = Reply(answer.outcome.termination, _shares(evaluator, answer), answer)
    if answer.exact and answer.outcome.termination is Termination.INFEASIBLE:
        softened = soften(first, ask)
    else:
        softened = as_met(first)
        if answer.outcome.termination in (Termination.INFEASIBLE, Termination.LIMITS):
            again = ask(softened.relaxed, True)
            if again.shares is not None:
                softened = Softened(again, softened.relaxed, False, 0.0, None, True)
    return _answer(evaluator, answer, softened, deadline.passed())


def _shares(evaluator: PhasesAcEvaluator, answer: PhasesAnswer) -> Floats:
    """(2 + E) shares by which the best state exceeds the limits of the grid."""
    assert answer.best is not None
    state = evaluator.state(answer.best.closed)
    return shares_of(evaluator.program.network, np.abs(state.v), state.i_a / evaluator.program.network.i_base_a)


def _answer(
    evaluator: PhasesAcEvaluator, first: PhasesAnswer, softened: Softened[PhasesAnswer], seconds: float
) -> PhasesAnswer:
    found = softened.reply.payload
    why = found.outcome.termination
    if softened.least_lost:
        why = Termination.SOFT if why in SOLVED else why
        outcome = replace(found.outcome, termination=why, seconds=seconds)
    else:
        why = softened.stopped or Termination.SOFT
        assert found.best is not None
        outcome = replace(
            found.outcome,
            termination=Termination.SOFT if why in (Termination.INFEASIBLE, Termination.LIMITS) else why,
            lower_bound=-math.inf,
            upper_bound=found.best.value_kw if found.exact else math.inf,
            seconds=seconds,
        )
    return replace(found, outcome=outcome, notes=first.notes, soft=as_soft_limits(evaluator.program.network, softened))
