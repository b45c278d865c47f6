"""The worst realisation of a plan once more, apart from the method that made it: every vertex of every period operated.

A method may stop as soon as its bounds are close enough, and then knows the cost of some vertices by an operation that
is good enough and no better. Here each vertex of each period gets an operation whose cost is near a proven bound, all
by exact AC power flow, and the worst day is chosen among them.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.network.day import DayPlan, HourRecourse
from openpoint.studies.dispatch.day.model.finder import HourAnswers, HourRecourseFinder
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from openpoint.studies.dispatch.day.model.worst_day import WorstDays
from openpoint.studies.dispatch.day.outcome import DayOutcome, Operation
from openpoint.twostage.deadline import Deadline


def verified(question: DayQuestion, outcome: DayOutcome, deadline: Deadline) -> DayOutcome:
    """The outcome with the worst realisation of its plan, and the cost there as its upper bound.

    It stays as it is where nothing is uncertain, with futures (the method operates all of them), where the recourse
    decides of the schedule, where no plan keeps the limits, where the deadline comes first, or where a vertex gets no
    operation that keeps them here.
    """
    plan, day = outcome.plan, question.day
    other = not day.uncertain.count or question.recourse or question.scenarios is not None
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
    _, choice = WorstDays(vertices.deviations, vertices.hours).of([answer.costs for answer in answers])
    scheduled = finder.evaluator.schedule_costs(plan)
    worst = _operation(plan, answers, choice, vertices.day(choice), scheduled)
    forecast = _operation(plan, answers, choice * 0, vertices.day(choice * 0), scheduled)
    upper = float(worst.costs.sum())
    # A bound above a verified cost can only be inaccurate: the bound gives way, never the cost.
    lower = min(outcome.lower_bound, upper)
    return replace(outcome, worst=worst, forecast=forecast, lower_bound=lower, upper_bound=upper)


def _operation(
    plan: DayPlan, answers: list[HourAnswers], choice: Ints, realisation: Floats, scheduled: Floats
) -> Operation:
    """The operation in one vertex of each period."""
    parts = [
        np.array([part[v] for part, v in zip(parts, choice, strict=True)])
        for parts in (
            [answer.recourse.renewable for answer in answers],
            [answer.recourse.shed for answer in answers],
            [answer.recourse.shift for answer in answers],
            [answer.costs for answer in answers],
            [answer.violations for answer in answers],
        )
    ]
    return Operation(plan, realisation, HourRecourse(*parts[:3]), parts[3] + scheduled, parts[4])
