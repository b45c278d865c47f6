"""A period of a plan as it comes: what is done once it is known, by exact AC power flow, and the state after it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from numbers import Real

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import OptionError, did_you_mean
from openpoint.grid.rules.problems import names_in_words
from openpoint.scenarios.day.clock import NowLike
from openpoint.scenarios.day.uncertain import GROUPS
from openpoint.studies.dispatch.day import tables
from openpoint.studies.dispatch.day.flow import day_flow, forecast_of, untouched
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.rolling import Planned, reached, state_after, state_frame
from openpoint.studies.dispatch.day.schema import PERIODS
from openpoint.studies.dispatch.day.tables import DayViolation, Shown, violations

CASE = "came"
"""Name of the case in the row of a simulated period."""


@dataclass(frozen=True)
class SimulatedPeriod:
    """A simulated period of a plan.

    Attributes:
        period: its name. cost_usd: of it, starts and switching included.
        figures: a row with the columns of the table `periods`, by exact AC power flow.
        violations: limits that it breaks.
        state: at its end, as `dispatch_day` takes it for the next period; after the last one, of the end of the day.
    """

    period: str
    cost_usd: float
    figures: pl.DataFrame
    violations: tuple[DayViolation, ...]
    state: pl.DataFrame


def simulate_period(
    plan: DispatchDayResult, came: Mapping[str, float] | None = None, *, now: NowLike | None = None
) -> SimulatedPeriod:
    """A period as it came: its schedule is kept, the recourse is decided, all by exact AC power flow.

    Args:
        plan: of `dispatch_day`.
        came: what loads, sun and wind were, as shares of their forecasts, such as `{"load": 1.05, "solar": 0.6}`,
            planned for or not; of one quantity by its name where they are uncertain each by itself. The others came as
            forecast.
        now: the period, as `dispatch_day` takes it; default: the first of the plan. Before it all came as forecast.

    Raises:
        OptionError: there is no plan; no period begins then; a name that is not known.
    """
    if plan.planned is None:
        raise OptionError("there is no plan to carry out; see `termination` and `violations`")
    return _simulator(plan.planned).simulate_period(0 if now is None else plan.period_of(now)[1], came or {})


@lru_cache(maxsize=4)
def _simulator(planned: Planned) -> _Simulator:
    """The tables of a plan are made once for all its periods."""
    return _Simulator(planned)


class _Simulator:
    """A plan whose periods are simulated."""

    def __init__(self, planned: Planned) -> None:
        self.grid, self.question, self.plan = planned.grid, planned.question, planned.plan
        self.start, self.measured = planned.start, planned.measured

    @cached_property
    def _asked(self) -> DayQuestion:
        """The question in which all that may come otherwise than forecast is a quantity."""
        day, some, names = self.question.day, self.question.day.uncertain, list(self.question.day.uncertain.names)
        load, renewable, kinds = some.load, some.renewable, np.array(day.renewables.kind, dtype=str)
        for group in (group for group in GROUPS if group not in some.group):
            if group == "load":
                load = np.full_like(load, len(names))
            elif not (kinds == group).any():
                continue
            renewable = np.where(kinds == group, len(names), renewable)
            names.append(group)
        more = names[some.count :]
        none = np.zeros((day.periods, len(more)))
        uncertain = replace(
            some,
            names=tuple(names),
            group=(*some.group, *more),
            load=load,
            renewable=renewable,
            down=np.hstack([some.down, none]),
            up=np.hstack([some.up, none]),
            hours=np.append(some.hours, np.zeros(len(more), dtype=np.int64)),
        )
        return replace(self.question, day=replace(day, uncertain=uncertain))

    @cached_property
    def _finder(self) -> HourRecourseFinder:
        return HourRecourseFinder(self._asked)

    def simulate_period(self, t: int, came: Mapping[str, float]) -> SimulatedPeriod:
        """Carry out period t; before it, all came as forecast.

        Args:
            t: number of the period. came: shares of the forecast.

        Raises:
            OptionError: a name that is not known, or no share.
        """
        question, day = self._asked, self._asked.day
        realisation = forecast_of(day)
        realisation[t] = self._realisation(came)
        answer = self._finder.best(self.plan, t, realisation[t : t + 1])
        recourse = untouched(day, realisation)
        recourse.put(np.array([t]), answer.recourse)
        whole = question.whole
        flow = day_flow(whole, question.in_whole(self.plan), realisation, recourse)
        shown = Shown(self.grid, whole, {CASE: flow})
        name = day.names[t]
        figures = shown.rows(PERIODS, [tables.period_row(shown, CASE, t)])
        more = np.zeros(day.uncertain.count - len(self.start.deviated))
        start = replace(self.start, deviated=np.concatenate([self.start.deviated, more]))
        state = state_after(question, reached(question, self.plan, start)[t], self.plan, realisation[t])
        return SimulatedPeriod(
            period=name,
            cost_usd=float(figures["cost_usd"][0] or math.nan),
            figures=figures,
            violations=tuple(each for each in violations(shown, CASE) if each.period == name),
            state=state_frame(question, [state], self.measured),
        )

    def _realisation(self, came: Mapping[str, float]) -> Floats:
        """(U)"""
        some = self._asked.day.uncertain
        values = np.ones(some.count)
        for name, value in came.items():
            mine = np.array([name in each for each in zip(some.names, some.group, strict=True)])
            if not mine.any():
                known = list(dict.fromkeys([*some.group, *some.names]))
                advice = did_you_mean(name, known, f"There are {names_in_words(known)}")
                raise OptionError(f"came has {name!r}, of which the day has none. {advice}")
            if not isinstance(value, Real) or not math.isfinite(value) or value < 0.0:
                raise OptionError(f"came has {value!r} for {name!r}; give a share of its forecast, such as 1.05")
            values[mine] = float(value)
        return values
