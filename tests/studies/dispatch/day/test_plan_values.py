"""What a plan costs in every realisation: what keeps the limits in one is tried in others before these are solved."""

from dataclasses import replace

import numpy as np

from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder, PlanValues
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from tests.studies.dispatch.day.windy import busy_plan, windy


def test_few_realisations_are_solved_and_no_cost_is_below_that_of_the_best_operation() -> None:
    question = windy([1.0, 0.7], v_min=0.8)
    question = replace(question, supply=replace(question.supply, p_max=np.full(1, 0.2)))  # binds in the first period
    plan = busy_plan(question)
    vertices, finder = vertices_of(question.day), HourRecourseFinder(question, tolerance=1e-7)
    values = PlanValues(plan, finder, vertices.realisations, tolerance=1e-2)
    assert not values.broken()
    assert not any(part.any() for part in values.violations)
    assert vertices.count == 54
    assert finder.solved < 27  # all of them if none helped another
    for t, some in enumerate(vertices.realisations):
        best = finder.best(plan, t, some).costs
        assert (values.costs[t] >= best - 1e-6 * np.abs(best)).all()
