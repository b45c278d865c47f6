"""What planning against the worst case buys: plans of a day in and out of sample, each operated as days come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.network.day import DayPlan
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.studies.dispatch.day.flow import as_today
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from openpoint.studies.dispatch.day.model.worst_day import WorstDays
from openpoint.studies.dispatch.day.samples import SAMPLED, OperatedDays, operate_days, sample_days
from openpoint.studies.dispatch.day.schema import SAMPLES
from openpoint.twostage.deadline import Deadline


@dataclass(frozen=True)
class Sampling:
    """Days drawn at random, whatever the budgets are.

    Attributes:
        count: number of days; 0 = none. seed: equal seeds give equal days. correlation: from period to period, 0 to 1.
    """

    count: int = 0
    seed: int = 0
    correlation: float = 0.0


@dataclass(frozen=True)
class Planned:
    """A plan by its name, and the cost in $ at which it was planned; nan where it was not."""

    name: str
    plan: DayPlan
    objective: float = np.nan


def compare(
    question: DayQuestion,
    plans: Sequence[Planned],
    sampling: Sampling,
    bounded: DayQuestion | None,
    deadline: Deadline,
    *,
    today: bool = True,
) -> pl.DataFrame:
    """A row a plan; of no plans where the deadline came first.

    Args:
        question: whose quantities are drawn. plans: to compare. sampling: of the days.
        bounded: the same with the budgeted set in which the worst case of each plan is found; None = none.
        deadline: of the run. today: whether the day as it is today comes first.
    """
    days = sample_days(question.day.uncertain, sampling.count, seed=sampling.seed, correlation=sampling.correlation)
    finder = HourRecourseFinder(question, SAMPLED)
    every = [*([Planned("today", as_today(question))] if today else []), *plans]
    return c.frame(SAMPLES, list(_rows(finder, every, days, bounded, deadline)))


def _rows(
    finder: HourRecourseFinder,
    plans: Sequence[Planned],
    days: np.ndarray,
    bounded: DayQuestion | None,
    deadline: Deadline,
) -> Iterator[tuple[object, ...]]:
    for each in plans:
        operated = operate_days(finder, each.plan, days, deadline.over)
        if operated is None or deadline.over():
            return
        worst = np.nan if bounded is None else worst_cost(finder, each.plan, bounded)
        yield (each.name, finite(each.objective), finite(worst), *_figures(operated))


def worst_cost(finder: HourRecourseFinder, plan: DayPlan, bounded: DayQuestion) -> float:
    """Cost in $ of a plan in the worst realisation of a budgeted set; inf where limits are broken in some."""
    vertices = vertices_of(bounded.day)
    answers = [finder.best(plan, t, realisations) for t, realisations in enumerate(vertices.realisations)]
    if any((answer.violations > 0.0).any() for answer in answers):
        return np.inf
    total, _ = WorstDays(vertices.deviations, vertices.hours).of([answer.costs for answer in answers])
    return float(finder.evaluator.schedule_costs(plan).sum()) + total


def _figures(days: OperatedDays) -> tuple[object, ...]:
    """The row of a plan; costs of days that have a power flow."""
    known = np.isfinite(days.costs)
    costs = np.sort(days.costs[known])
    some = len(costs) > 0
    tail = costs[int(np.floor(0.95 * len(costs))) :]
    return (
        len(days.costs),
        finite(float(costs.mean())) if some else None,
        finite(float(np.quantile(costs, 0.95))) if some else None,
        finite(float(tail.mean())) if some else None,
        finite(float(costs.max())) if some else None,
        int(days.with_shedding.sum()),
        float(days.shed[known].mean()) if some else None,
        float(days.curtailed[known].mean()) if some else None,
        int(days.outside.sum()),
    )
