"""What planning against the worst case buys: plans of a day in and out of sample, each operated as days come.

Compared are the day as it is today, the plan that would be best if all came as forecast, and the answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.network.day import DayPlan, Uncertain
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.studies.dispatch.day.flow import as_today
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.question import DayQuestion
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


def as_forecast(question: DayQuestion) -> DayQuestion:
    """The question with nothing uncertain."""
    day = question.day
    none = np.zeros((day.periods, 0))
    certain = Uncertain(
        names=(),
        group=(),
        load=np.full(len(day.uncertain.load), -1, dtype=np.int64),
        renewable=np.full(day.renewables.count, -1, dtype=np.int64),
        down=none,
        up=none,
        hours=np.empty(0, dtype=np.int64),
    )
    return replace(question, day=replace(day, uncertain=certain), scenarios=None)


def compare(question: DayQuestion, plans: dict[str, DayPlan], sampling: Sampling, deadline: Deadline) -> pl.DataFrame:
    """A row a plan; of no plans where the deadline came first.

    Args:
        question: whose quantities are drawn. plans: by name. sampling: of the days. deadline: of the run.
    """
    days = sample_days(question.day.uncertain, sampling.count, seed=sampling.seed, correlation=sampling.correlation)
    finder = HourRecourseFinder(question, SAMPLED)
    rows = list(_rows(finder, {"today": as_today(question), **plans}, days, deadline))
    return pl.DataFrame(rows, schema=c.dtypes(SAMPLES), orient="row")


def _rows(
    finder: HourRecourseFinder, plans: dict[str, DayPlan], days: np.ndarray, deadline: Deadline
) -> Iterator[tuple[object, ...]]:
    for name, plan in plans.items():
        operated = operate_days(finder, plan, days, deadline.over)
        if operated is None:
            return
        yield (name, *_figures(operated))


def _figures(days: OperatedDays) -> tuple[object, ...]:
    """The row of a plan; costs of days that have a power flow."""
    known = np.isfinite(days.costs)
    costs = days.costs[known]
    some = len(costs) > 0
    return (
        len(days.costs),
        finite(float(costs.mean())) if some else None,
        finite(float(np.quantile(costs, 0.95))) if some else None,
        finite(float(costs.max())) if some else None,
        int(days.with_shedding.sum()),
        float(days.shed[known].mean()) if some else None,
        float(days.curtailed[known].mean()) if some else None,
        int(days.outside.sum()),
    )
