"""Soft limits of a balanced grid: relaxed limits are put to the method that was asked for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from openpoint.arrays import Floats
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.studies.reconfigure.ac_evaluation import states_of
from openpoint.studies.reconfigure.methods import BranchExchange, Method
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.result import SoftLimits
from openpoint.studies.reconfigure.soft.limits import (
    Reply,
    Softened,
    as_met,
    as_soft_limits,
    relaxed,
    shares_of,
    soften,
)
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination

ANY = 0.99
"""Gap at which a method that is asked for any state stops at the first."""
ASK_S = 30.0
"""Seconds of a question at most: near the least violation the proof may take far longer than the answer is worth."""
ASKING = 0.6
"""Share of a limit of time that questions may take; the rest is for the least loss."""
FIRST = 0.4
"""Share of a limit of time after which states that break limits are asked for, where none that keeps them is known."""
SOLVED = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY)


def solve_softly(
    program: RadialProgram, method: Method, progress: Progress | None, deadline: Deadline
) -> tuple[Outcome, SoftLimits | None]:
    """What a method finds; with the state of least violation where it finds none that keeps the limits.

    Within a limit of time the method has all of it as soon as it knows a state that keeps them, else `FIRST` of it.
    """
    seen = Seen(progress)
    limit = deadline.left()
    first = deadline if math.isinf(limit) else deadline.early(FIRST * limit, unless=lambda: seen.any)
    return soften_radial(program, method, method.solve(program, seen, first), progress, deadline)


class Seen:
    """Progress that is passed on, and whether a state that keeps the limits is known."""

    def __init__(self, progress: Progress | None) -> None:
        self.any, self._progress = False, progress

    def __call__(self, line: Iteration) -> None:
        self.any |= math.isfinite(line.upper_bound)
        if self._progress is not None:
            self._progress(line)


def soften_radial(
    program: RadialProgram, method: Method, outcome: Outcome, progress: Progress | None, deadline: Deadline
) -> tuple[Outcome, SoftLimits | None]:
    """The outcome with the state of least violation as its decision, where no state was found that keeps the limits.

    Args:
        program: with the limits to keep. method: by which `outcome` came. progress: called in the last question.
        deadline: of the study.
    """
    first = _shares(program, outcome)
    if outcome.decision is not None or first is None:
        return outcome, None
    began = deadline.passed()

    def ask(shares: Floats, least_loss: bool) -> Reply[Outcome]:
        until = deadline if least_loss else _for_a_question(deadline)
        if until.over():
            return Reply(until.why, None, outcome)
        within = replace(program, network=relaxed(program.network, shares))
        asked = method if least_loss else _any(method)
        found = asked.solve(within, progress if least_loss else None, until)
        return Reply(found.termination, None if found.decision is None else _shares(program, found), found)

    reply = Reply(outcome.termination, first, outcome)
    undecided = outcome.termination in (Termination.TIME, Termination.WORKERS)
    asks = outcome.termination is Termination.INFEASIBLE or (undecided and not deadline.over())
    softened = soften(reply, ask) if asks else as_met(reply)
    kept = softened.reply.payload
    if not softened.relaxed.any() and kept.decision is not None:  # a state that keeps them, met by the questions
        kept = kept if softened.least_lost else replace(kept, termination=softened.stopped or deadline.why)
        return replace(kept, seconds=outcome.seconds + deadline.passed() - began), None
    best = _outcome(program, softened)
    if undecided:  # that nothing keeps the limits is not known
        best = replace(best, termination=outcome.termination)
    return replace(best, seconds=outcome.seconds + deadline.passed() - began), as_soft_limits(program.network, softened)


def _shares(program: RadialProgram, outcome: Outcome) -> Floats | None:
    """(2 + E) shares by which the state of an outcome exceeds the limits; None where it has none."""
    state = states_of(outcome)
    if state is None or not np.isfinite(state.loss[0]):
        return None
    return shares_of(program.network, np.abs(state.v[0]), state.i[0])


def _for_a_question(deadline: Deadline) -> Deadline:
    """What a question may take of the time that is left."""
    if math.isinf(deadline.left()):
        return deadline.within(ASK_S)
    passed = deadline.passed()
    asking = ASKING * (passed + deadline.left()) - passed
    return deadline.within(max(min(asking / 3.0, ASK_S), 0.0))


def _any(method: Method) -> Method:
    """The method where any state will do."""
    if isinstance(method, Enumeration | BranchExchange):
        return method
    if isinstance(method, TopologySearch):
        return replace(method, gap=ANY, certificate=None)
    return replace(method, gap=ANY)


def _outcome(program: RadialProgram, softened: Softened[Outcome]) -> Outcome:
    """What was found, as an outcome whose decision breaks limits."""
    found = softened.reply.payload
    if softened.least_lost:
        return replace(found, termination=Termination.SOFT) if found.termination in SOLVED else found
    decision = found.least_violation if found.decision is None else found.decision
    assert decision is not None
    state = states_of(found)
    assert state is not None
    value = program.first_stage_cost(decision) + float(state.loss[0]) * program.network.s_base_kva
    why = softened.stopped or Termination.SOFT
    return replace(
        found,
        termination=Termination.SOFT if why is Termination.INFEASIBLE else why,
        decision=decision,
        least_violation=None,
        lower_bound=-math.inf,
        upper_bound=value,
    )
