"""Days of a plan as they come, each operated period by period: costs and limits by exact AC power flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.network.day import DayPlan, HourRecourse
from openpoint.studies.dispatch.day.model.finder import HourAnswers, HourRecourseFinder
from openpoint.studies.dispatch.day.outcome import Operation
from openpoint.twostage.workers.pool import never


@dataclass(frozen=True)
class EvaluatedDays:
    """K days with their operations.

    Attributes:
        plans: (K) what is scheduled, with what the recourse of the day decides of it. realisations: (K, T, U).
        renewable: (K, T, R), shed: (K, T, N) and shift: (K, T, N) as in `HourRecourse`.
        costs: (K, T) in $, first stage included. violations: (K, T) of the limits.
    """

    plans: tuple[DayPlan, ...]
    realisations: Floats
    renewable: Complexes
    shed: Floats
    shift: Complexes
    costs: Floats
    violations: Floats

    @property
    def worst(self) -> int:
        """The day that costs most; where limits are broken, the one that breaks them most."""
        broken = self.violations.sum(axis=1)
        return int(np.argmax(broken if broken.any() else self.costs.sum(axis=1)))

    def operation(self, k: int) -> Operation:
        """Day k."""
        recourse = HourRecourse(self.renewable[k], self.shed[k], self.shift[k])
        return Operation(self.plans[k], self.realisations[k], recourse, self.costs[k], self.violations[k])


def evaluated_days(
    finder: HourRecourseFinder,
    plans: Sequence[DayPlan],
    realisations: Floats,
    stop: Callable[[], bool] = never,
) -> EvaluatedDays | None:
    """The best operation found in each of the days (K, T, U); None where stopped before all were found.

    Args:
        finder: of recourses. plans: one for each day, or one for all. stop: asked between periods.
    """
    if len(plans) == 1:
        return _of_one_plan(finder, plans[0], realisations, stop)
    days = list[EvaluatedDays]()
    for plan, realisation in zip(plans, realisations, strict=True):
        if (day := _of_one_plan(finder, plan, realisation[None], stop)) is None:
            return None
        days.append(day)
    return EvaluatedDays(
        tuple(plans),
        realisations,
        renewable=np.concatenate([day.renewable for day in days]),
        shed=np.concatenate([day.shed for day in days]),
        shift=np.concatenate([day.shift for day in days]),
        costs=np.concatenate([day.costs for day in days]),
        violations=np.concatenate([day.violations for day in days]),
    )


def _of_one_plan(
    finder: HourRecourseFinder, plan: DayPlan, realisations: Floats, stop: Callable[[], bool]
) -> EvaluatedDays | None:
    """Realisations that share that of a period share its recourse."""
    answers, rows = list[HourAnswers](), list[Ints]()
    for t in range(realisations.shape[1]):
        if stop():
            return None
        some, at = np.unique(realisations[:, t], axis=0, return_inverse=True)
        answers.append(finder.best(plan, t, some))
        rows.append(at)
    periods = list(zip(answers, rows, strict=True))
    costs = np.stack([answer.costs[at] for answer, at in periods], axis=1)
    return EvaluatedDays(
        (plan,) * len(realisations),
        realisations,
        renewable=np.stack([answer.recourse.renewable[at] for answer, at in periods], axis=1),
        shed=np.stack([answer.recourse.shed[at] for answer, at in periods], axis=1),
        shift=np.stack([answer.recourse.shift[at] for answer, at in periods], axis=1),
        costs=costs + finder.evaluator.schedule_costs(plan),
        violations=np.stack([answer.violations[at] for answer, at in periods], axis=1),
    )
