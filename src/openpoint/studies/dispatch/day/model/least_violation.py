"""Where no plan keeps the limits: the plan that misses them least, and by how much in every period."""

from __future__ import annotations

import numpy as np

from openpoint.network.day import DayPlan, HourRecourse
from openpoint.studies.dispatch.day.model.day_master import DayMaster
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.plan_values import operation
from openpoint.studies.dispatch.day.model.vertices import Vertices
from openpoint.studies.dispatch.day.outcome import Operation


def least_violation(
    master: DayMaster, finder: HourRecourseFinder, vertices: Vertices
) -> tuple[DayPlan | None, Operation | None, Operation | None]:
    """The plan with the least sum of excesses in the worst of the days of a master, cones relaxed, units rounded.

    Its operation as forecast, and in the vertices of the periods where it misses the limits most. All None where the
    schedule alone has no solution.
    """
    question = master.question
    soft = DayMaster(question, master.closed, templates=HourTemplates(question, soft=True), cost=False)
    for day in master.days:
        soft.add_day(np.array([master.copies[c].realisation for c in day.copies]))
    answer = soft.solve()
    if answer.x is None:
        return None, None, None
    plan = soft.plan(answer)
    answers = [finder.best(plan, t, some) for t, some in enumerate(vertices.realisations)]
    forecast = np.zeros(len(answers), dtype=np.int64)
    worst = np.array([int(np.argmax(each.violations)) for each in answers])
    parts = []
    for choice in (forecast, worst):
        some = [(each.recourse, v) for each, v in zip(answers, choice, strict=True)]
        recourse = HourRecourse(
            np.array([r.renewable[v] for r, v in some]),
            np.array([r.shed[v] for r, v in some]),
            np.array([r.shift[v] for r, v in some]),
        )
        parts.append(operation(finder.evaluator, plan, vertices.day(choice), recourse))
    return plan, parts[0], parts[1]
