"""The worst realisation of a plan once more, apart from the method that made it: every vertex of every period operated.

A method may stop as soon as its bounds are close enough, and then knows the cost of some vertices by an operation that
is good enough and no better. Here each vertex of each period gets an operation whose cost is near a proven bound, all
by exact AC power flow, and the worst day is chosen among them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from openpoint.errors import OptionError
from openpoint.network.day import HourRecourse
from openpoint.network.devices import DeviceKind
from openpoint.search.kernel.arrays import CLOSED, OPEN
from openpoint.studies.dispatch.day.model.finder import HourAnswers, HourRecourseFinder
from openpoint.studies.dispatch.day.model.plan_values import operation
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.model.vertices import WorstDays, vertices_of
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.topology.method import mixture, worst_mixture
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation, search_model
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import PROVEN_GAP, Termination, relative_gap


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
    answers = list[HourAnswers]()
    for t, realisations in enumerate(vertices.realisations):
        if deadline.over():
            return outcome
        answers.append(finder.best(plan, t, realisations))
    if any((answer.violations > 0.0).any() for answer in answers):
        return outcome
    proven = outcome.termination is Termination.OPTIMAL
    reached = proven or outcome.termination is Termination.GAP
    aim = min(gap, PROVEN_GAP) if proven else gap
    scheduled = finder.evaluator.schedule_costs(plan)
    days, exact = WorstDays(vertices.deviations, vertices.hours), set[tuple[int, int]]()
    while True:
        total, choice = days.of([answer.costs for answer in answers])
        left = [(t, int(v)) for t, v in enumerate(choice) if (t, int(v)) not in exact]
        within = relative_gap(outcome.lower_bound, total + float(scheduled.sum())) <= aim
        if within or not reached or not left or deadline.over():
            break
        for t, v in left:
            exact.add((t, v))
            better = finder.best(plan, t, vertices.realisations[t][v : v + 1], tolerance=0.0)
            answers[t] = _with_better(answers[t], v, better)
    worst, forecast = (
        operation(
            finder.evaluator,
            plan,
            vertices.day(some),
            HourRecourse.of(each.recourse.at([v]) for each, v in zip(answers, some, strict=True)),
        )
        for some in (choice, np.zeros_like(choice))
    )
    upper = float(worst.costs.sum())
    # A bound above a verified cost can only be inaccurate: the bound gives way, never the cost.
    lower = min(outcome.lower_bound, upper)
    why = outcome.termination
    if reached and not within:
        why = Termination.GAP if relative_gap(lower, upper) <= gap else Termination.ACCURACY
    return replace(outcome, termination=why, worst=worst, forecast=forecast, lower_bound=lower, upper_bound=upper)


def _with_better(answers: HourAnswers, v: int, better: HourAnswers) -> HourAnswers:
    """Answers with another one in vertex v, if it keeps the limits and costs less."""
    if better.violations[0] > 0.0 or better.costs[0] >= answers.costs[v]:
        return answers
    costs, recourse = answers.costs.copy(), answers.recourse.at(np.arange(len(answers.costs)))
    costs[v] = better.costs[0]
    recourse.put(np.array([v]), better.recourse)
    return replace(answers, costs=costs, recourse=recourse)


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
    once = replace(question, topology=Cadence.ONCE, max_changes=None, must_close=closed, must_open=~closed)
    _, branch, _ = search_model(once)
    status = np.where(closed[branch], CLOSED, OPEN).astype(np.int8)
    if outcome.binding:
        mixed = mixture([day for day, _ in outcome.binding], np.array([weight for _, weight in outcome.binding]))
    else:
        mixed = worst_mixture(once, status, list(outcome.days))
    relaxation = DayRelaxation(once, mixed.copies, mixed.weights, narrows=False, accuracy=ACCURACY)
    found = relaxation.bound(status, None, STEPS)
    return -np.inf if found is None else found.value
