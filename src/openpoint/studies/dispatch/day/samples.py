"""Plans of a day out of sample: days drawn at random, each operated as it comes, evaluated by exact AC power flow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import ndtr

from openpoint.arrays import Bools, Floats
from openpoint.network.day import DayPlan, Uncertain, available_power, nominal_load
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.studies.dispatch.day.flow import as_today
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder, PlanValues
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.vertices import WorstDays, vertices_of
from openpoint.studies.dispatch.day.schema import SAMPLES
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.workers.pool import never

SHED = 1e-4
"""A day with less shed energy than this share of its load counts as one without."""
SAMPLED = 1e-3
"""Tolerance of the recourses of sampled days: they then cost less than 0.1 % more than the best ones on average."""


def sample_days(uncertain: Uncertain, count: int, *, seed: int = 0) -> Floats:
    """(K, T, U) realisations drawn at random, whatever the budgets are.

    Each deviation is uniform from its lowest to its highest in parts: as likely up as down, uniform on either side.
    Quantities, periods and days are independent.

    Args:
        uncertain: quantities and deviations. count: K. seed: equal seeds give equal days.
    """
    periods, rng = len(uncertain.down), np.random.default_rng(seed)
    deviation = 2.0 * ndtr(rng.standard_normal((count, periods, uncertain.count))) - 1.0
    return np.asarray(1.0 + deviation * np.where(deviation < 0.0, uncertain.down, uncertain.up))


@dataclass(frozen=True)
class OperatedDays:
    """K days of a plan, operated as they came.

    Attributes:
        realisations: (K, T, U).
        costs: (K) in $ by exact AC power flow, schedule included. lower: (K) no operation that keeps the limits costs
            less, in $. Both are inf where no flow exists.
        shed, curtailed: (K) energy in kWh. violations: (K, T) see `DayEvaluator.evaluate`.
        load: energy of the forecast load in kWh.
    """

    realisations: Floats
    costs: Floats
    lower: Floats
    shed: Floats
    curtailed: Floats
    violations: Floats
    load: float

    @property
    def with_shedding(self) -> Bools:
        """(K) days on which load was shed."""
        return np.asarray(self.shed > SHED * self.load)

    @property
    def outside(self) -> Bools:
        """(K) days on which some limit was not kept."""
        return np.asarray((self.violations > 0.0).any(axis=1))

    @property
    def gap(self) -> float:
        """By how much the mean cost may be above that of the best operation, relative."""
        kept = ~self.outside
        saved = float((self.costs - self.lower)[kept].sum())
        return saved / max(abs(float(self.costs[kept].sum())), 1e-9) if kept.any() else 0.0


def operate_days(
    finder: HourRecourseFinder, plan: DayPlan, realisations: Floats, stop: Callable[[], bool] = never
) -> OperatedDays | None:
    """Operate a plan in days as they come: what is scheduled stands, the rest follows the realisation.

    Args:
        finder: of the question whose quantities are realised; `SAMPLED` is a fit tolerance for thousands of days.
        plan: what is scheduled. realisations: (K, T, U).
        stop: whether to stop.

    Returns:
        The days; None where it was stopped.
    """
    question, day = finder.question, finder.question.day
    base, count = question.network.s_base_kva, len(realisations)
    scheduled = float(finder.evaluator.schedule_costs(plan).sum())
    costs, lower = np.full(count, scheduled), np.full(count, scheduled)
    shed, curtailed = np.zeros(count), np.zeros(count)
    violations = np.zeros((count, day.periods))
    for t in range(day.periods):
        if stop():
            return None
        answers = finder.best(plan, t, np.ascontiguousarray(realisations[:, t]))
        costs += answers.costs
        lower += answers.lower
        violations[:, t] = answers.violations
        energy = base * day.hours[t]
        shed += energy * answers.recourse.shed.real.sum(axis=1)
        unused = available_power(day, t, realisations[:, t]) - answers.recourse.renewable.real
        curtailed += energy * unused.sum(axis=1)
    load = sum(float(day.hours[t] * nominal_load(day, t).real.sum()) for t in range(day.periods))
    return OperatedDays(realisations, costs, lower, shed, curtailed, violations, base * load)


# What planning against the worst case buys: plans of a day in and out of sample, each operated as days come.


@dataclass(frozen=True)
class Sampling:
    """Days drawn at random, whatever the budgets are.

    Attributes:
        count: number of days; 0 = none. seed: equal seeds give equal days.
    """

    count: int = 0
    seed: int = 0


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
    days = sample_days(question.day.uncertain, sampling.count, seed=sampling.seed)
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
    values = PlanValues(plan, finder, vertices.realisations)
    if values.broken():
        return np.inf
    return values.schedule_cost + WorstDays(vertices.deviations, vertices.hours).of(values.costs)[0]


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
