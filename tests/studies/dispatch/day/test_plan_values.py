"""What a plan costs in every realisation: what keeps the limits in one is tried in others before these are solved."""

import math
from dataclasses import replace

import numpy as np

from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import DayMaster, MasterAnswer
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.plan_values import PlanValues
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from tests.studies.dispatch.day.windy import busy_plan, windy

NOTHING = MasterAnswer(Status.OPTIMAL, -math.inf, np.empty(0), np.empty(0), ())
"""Of a master without copies, so that no operation is known."""


def test_few_realisations_are_solved_and_no_cost_is_below_that_of_the_best_operation() -> None:
    question = windy([1.0, 0.7], v_min=0.8)
    question = replace(question, supply=replace(question.supply, p_max=np.full(1, 0.2)))  # binds in the first period
    master, plan = DayMaster(question, np.tile(question.network.closed, (2, 1))), busy_plan(question)
    vertices, finder = vertices_of(question.day), HourRecourseFinder(question, tolerance=1e-7)
    values = PlanValues(master, NOTHING, plan, finder, vertices.realisations)
    assert values.broken()
    values.repair()
    assert not values.broken()
    assert not any(part.any() for part in values.violations)
    solved = [int(part.sum()) for part in values.solved]
    assert vertices.count == 54
    assert 1 < solved[0] < 14  # 6 when this was written; all 27 if none helped another
    assert solved[1] == 1
    for t, some in enumerate(vertices.realisations):
        best = finder.best(plan, t, some).costs
        assert (values.costs[t] >= best - 1e-6 * np.abs(best)).all()


def test_the_guess_is_that_of_a_copy_that_counts() -> None:
    question = windy([1.0, 0.7], v_min=0.8)
    master, vertices = DayMaster(question, np.tile(question.network.closed, (2, 1))), vertices_of(question.day)
    master.add_day(np.ones((2, 3)))
    dear = np.tile([1.1, 0.7, 0.7], (2, 1))  # costs more than the forecast whatever the plan is
    master.add_day(dear)
    answer = master.solve()
    assert answer.weights[0] < 1e-6 < answer.weights[1]
    values = PlanValues(master, answer, master.plan(answer), HourRecourseFinder(question), vertices.realisations)
    guesses = [costs.copy() for costs in values.costs]
    for t, some in enumerate(vertices.realisations):
        for v in range(len(some)):
            values.solve(t, v)
        assert (guesses[t] <= values.costs[t] + 0.005 * np.abs(values.costs[t]).max()).all()
