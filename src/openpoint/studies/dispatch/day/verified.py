"""The worst realisation of a plan once more, apart from the method that made it: every vertex of every period operated.

A method may stop as soon as its bounds are close enough, and then knows the cost of some vertices by an operation that
is good enough and no better. Here each vertex of each period gets an operation whose cost is near a proven bound, all
by exact AC power flow, and the worst day is chosen among them.

A plan whose periods are proved: where some are open, plans for stricter limits are made until none is.

What a period misses is by how much bounds of its voltages, currents and powers of sources lie beyond their limits. With
limits that are stricter by as much, in all periods, the method finds another plan, of which is proved what was asked
for. The lower bound stays that of the question without proofs. Theory: docs/every_load.md E9.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.network.devices import DeviceKind
from openpoint.network.freedom import SwitchingRules
from openpoint.search.kernel.arrays import CLOSED, OPEN
from openpoint.studies.dispatch.day.methods import DayMethod
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder, PlanValues, operation
from openpoint.studies.dispatch.day.model.question import Cadence, DayOutcome, DayQuestion
from openpoint.studies.dispatch.day.model.vertices import WorstDays, vertices_of
from openpoint.studies.dispatch.day.proofs import DayProof, proof_of
from openpoint.studies.dispatch.day.topology.method import mixture, worst_mixture
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation, search_model
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import PROVEN_GAP, Progress, Termination, relative_gap


def verified(question: DayQuestion, outcome: DayOutcome, deadline: Deadline, gap: float = math.inf) -> DayOutcome:
    """The outcome with the worst realisation of its plan, and the cost there as its upper bound.

    Operations of the worst day are solved to the end where else the gap that the method reached would not be that of
    the answer. If it is not even then, the answer says so.

    It stays as it is where nothing is uncertain, with futures (the method operates all of them), where no plan keeps
    the limits, where the deadline comes first, or where a vertex gets no operation that keeps them here.

    Args:
        question: of the day. outcome: of a method. deadline: of the run. gap: that was asked for.
    """
    plan, day = outcome.plan, question.day
    other = not day.uncertain.count or question.scenarios is not None
    if plan is None or other or not np.isfinite(outcome.upper_bound):
        return outcome
    finder, vertices = HourRecourseFinder(question), vertices_of(question.day)
    values = PlanValues(plan, finder, vertices.realisations, over=deadline.over)
    if deadline.over() or values.broken():
        return outcome
    proven = outcome.termination is Termination.OPTIMAL
    reached = proven or outcome.termination is Termination.GAP
    aim = min(gap, PROVEN_GAP) if proven else gap
    days = WorstDays(vertices.deviations, vertices.hours)
    while True:
        total, choice = days.of(values.costs)
        left = [(t, int(v)) for t, v in enumerate(choice) if not values.solved[t][v]]
        within = relative_gap(outcome.lower_bound, total + values.schedule_cost) <= aim
        if within or not reached or not left or deadline.over():
            break
        for t, v in left:
            values.solve(t, v)
    worst, forecast = (
        operation(finder.evaluator, plan, vertices.day(some), values.recourse(some))
        for some in (choice, np.zeros_like(choice))
    )
    upper = float(worst.costs.sum())
    # A bound above a verified cost can only be inaccurate: the bound gives way, never the cost.
    lower = min(outcome.lower_bound, upper)
    why = outcome.termination
    if reached and not within:
        why = Termination.GAP if relative_gap(lower, upper) <= gap else Termination.ACCURACY
    return replace(outcome, termination=why, worst=worst, forecast=forecast, lower_bound=lower, upper_bound=upper)


# A lower bound of a day with a given topology that rests on arithmetic alone, whatever the accuracy of a solver.
#
# It is the closed-form bound of the search for the topology (`topology.relaxation`) where all branches are decided,
# on a mixture of the days that the method found to be bad. Its multipliers and weights come from solvers, but it
# holds for any of them. Limits of voltages and currents are not in it, nor that losses are not free where they pay,
# so it can be lower than the bound of the cone program, which is the dual value of a solver less what its residual
# can cost.


ACCURACY = 1e-8
"""Relative, of the program of the multipliers: one bound is computed, where a search has thousands."""
STEPS = 5
"""Times that the multipliers are found from the terms of the last bound."""


def with_closed_bound(question: DayQuestion, outcome: DayOutcome, deadline: Deadline) -> DayOutcome:
    """The outcome with its `closed_bound`, as which its lower bound is at least.

    It stays as it is without days or with a topology or positions that this bound is not made for.
    """
    moves = question.devices.count > len(question.devices.of(DeviceKind.UNIT))
    given = question.topology is Cadence.FIXED and not (moves and question.positions is not Cadence.FIXED)
    if not given or not outcome.days or outcome.plan is None or deadline.over():
        return outcome
    try:
        bound = min(closed_bound(question, outcome), outcome.upper_bound)
    except OptionError:  # nothing bounds a voltage from above
        return outcome
    return replace(outcome, closed_bound=bound, lower_bound=max(bound, outcome.lower_bound))


def closed_bound(question: DayQuestion, outcome: DayOutcome) -> float:
    """No plan with today's topology costs less in the worst of the days of an outcome; $.

    They have the weights that the method found where it found any; else these are sought.

    Raises:
        OptionError: nothing bounds a voltage from above.
    """
    closed = question.network.closed
    once = replace(question, topology=Cadence.ONCE, rules=SwitchingRules(closed, ~closed))
    _, branch, _ = search_model(once)
    status = np.where(closed[branch], CLOSED, OPEN).astype(np.int8)
    if outcome.binding:
        mixed = mixture([day for day, _ in outcome.binding], np.array([weight for _, weight in outcome.binding]))
    else:
        mixed = worst_mixture(once, status, list(outcome.days))
    relaxation = DayRelaxation(once, mixed.copies, mixed.weights, narrows=False, accuracy=ACCURACY)
    found = relaxation.bound(status, None, STEPS)
    return -np.inf if found is None else found.value


ROUNDS = 3
"""Plans that are made anew at most."""
_FURTHER = 1.1
"""Times what is missed by which limits are stricter: other plans miss others."""


def proved(
    grid: Grid,
    question: DayQuestion,
    method: DayMethod,
    gap: float,
    first: DayOutcome,
    progress: Progress | None,
    deadline: Deadline,
) -> tuple[DayOutcome, DayProof | None]:
    """The plan of most proved periods, of an outcome or made anew, and what is proved of it.

    Args:
        gap: that was asked for. first: the verified outcome of the method.
    """
    outcome, proof, strict = first, proof_of(grid, question, first, deadline), question
    last = proof
    for _ in range(ROUNDS):
        if last is None or all(last.is_proved) or deadline.over():
            break
        stricter = _stricter(strict, last)
        if stricter is None:  # no limit is what is missing
            break
        strict = stricter
        anew = method.solve(strict, progress, deadline)
        if anew.plan is None or not math.isfinite(anew.upper_bound):
            break
        anew = _of_question(first, verified(strict, anew, deadline, gap), gap)
        last = proof_of(grid, question, anew, deadline)
        if last is not None and proof is not None and sum(last.is_proved) > sum(proof.is_proved):
            outcome, proof = anew, last
    return outcome, proof


def _stricter(question: DayQuestion, proof: DayProof) -> DayQuestion | None:
    """The question with limits that are stricter by what the open periods miss; None where that is nothing."""
    net, supply, base = question.network, question.supply, question.network.s_base_kva
    low, high, most = np.sqrt(net.w_min), np.sqrt(net.w_max), np.sqrt(net.l_max)
    powers = {name: getattr(supply, name).copy() for name in ("p_min", "p_max", "q_min", "q_max")}
    bus, branch = np.array(net.bus_names)[net.terminal_bus], np.array(net.branch_names)[net.conductor_branch]
    count, missed = len(net.source_terminal), False
    found = (part.proof for parts in proof.periods for part in parts if part.why)
    for rows in (each.rows for each in found if each is not None):
        short = _FURTHER * np.maximum(-rows.margins[:, :2], 0.0)
        for k in np.flatnonzero(short.any(axis=1)):
            kind, name = rows.what[k][:2]
            below, above = short[k]
            if kind == "voltage":
                low[bus == name] += below
                high[bus == name] -= above
            elif kind == "current":
                most[branch == name] -= above / net.i_base_a[branch == name]
            elif kind in ("active power", "reactive power"):
                letter, source = kind[0].replace("a", "p").replace("r", "q"), k % count
                powers[f"{letter}_min"][source] += below / base
                powers[f"{letter}_max"][source] -= above / base
            else:
                continue
            missed = True
    if not missed:
        return None
    network = replace(net, w_min=low**2, w_max=high**2, l_max=np.maximum(most, 0.0) ** 2)
    return replace(question, network=network, supply=replace(supply, **powers))


def _of_question(first: DayOutcome, anew: DayOutcome, gap: float) -> DayOutcome:
    """An outcome for stricter limits as one of the question: with the bounds of the first, and what it costs more."""
    away = relative_gap(first.lower_bound, anew.upper_bound)
    ended = anew.termination
    if ended in (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY):
        ended = Termination.GAP if away <= gap else Termination.RELAXATION
    more = anew.upper_bound - first.upper_bound
    note = f"made anew so that its periods are proved, the plan costs ${more:,.2f} more in its worst case; the lower "
    note += "bound is that of plans that need no proof"
    kept = {name: getattr(first, name) for name in ("lower_bound", "closed_bound", "days", "binding", "log")}
    notes = (*anew.notes, note)
    return replace(anew, termination=ended, seconds=first.seconds + anew.seconds, notes=notes, **kept)
