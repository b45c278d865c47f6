"""Scenario days in one cone program: the day of a given topology at the least risk of its costs.

    min f(x) + ρ(θ)    s.t.    θ_k ≥ Σ_t q_(t, u_tk) for every scenario day k

with copies by period and realisation, which scenario days that agree in a period share. The bound is that of the
relaxation; the costs are verified by exact AC flow on every scenario day. Where there are many, they are put into
groups (`grouped_scenarios`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import DayMaster, MasterAnswer, WholeMaster
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.grouped_scenarios import GroupedScenarios, operations
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import (
    MARGIN_LEAST,
    MASTER_SHARE,
    TIGHTENED,
    TIGHTENED_MOST,
    states_of,
)
from openpoint.studies.dispatch.day.model.plan_values import PlanValues
from openpoint.studies.dispatch.day.model.question import DayQuestion, ScenarioDays
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import PROVEN_GAP, Iteration, Progress, Termination, check_stops, relative_gap
from openpoint.twostage.risk import Regret

TOGETHER_MOST = 40
"""Most scenario days that are in one program, each with copies of its own."""
EARLY_GAP, EARLY_SHARE = 0.5, 0.5
"""Gap of the plan that is found first where there is a time limit, and the share of the time after which it need not be
that small."""


@dataclass(frozen=True, kw_only=True)
class PeriodScenarios:
    """The extensive form of scenario days, or of groups of them, for a given topology.

    Attributes:
        gap: relative gap at which to stop. time_limit_s: seconds after which to stop.
    """

    gap: float = 1e-3
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(self.gap, self.time_limit_s)

    def __str__(self) -> str:
        return f"PeriodScenarios(gap={self.gap:g})"

    def solve(
        self,
        question: DayQuestion,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
        *,
        closed: Bools | None = None,
        templates: HourTemplates | None = None,
        early: bool = True,
    ) -> DayOutcome:
        """The best plan of a topology; `worst` of the outcome is its operation on the dearest scenario day.

        Args:
            question: with scenario days. progress: called with every line of the log.
            deadline: takes the place of the time limit. closed: (E) or (T, E) states of the branches; today's if None.
            templates: compiled recourses of the same question.
            early: whether a plan for groups of the days comes first where there is a limit: the program of all of them
                may have none when the time is up. That is not begun where the plan took longer than is left: it has
                more copies, and evaluates the same days.

        Raises:
            OptionError: there are no scenario days; the risk is a regret.
        """
        states, days = states_of(question, closed), scenarios_of(question)
        templates = templates or HourTemplates(question)
        with deadline_of(self.time_limit_s, deadline) as limit:
            if len(days.names) > TOGETHER_MOST:
                master = DayMaster(question, states, templates=templates)
                return GroupedScenarios(self.gap, master, days, limit, progress).execute()
            first: DayOutcome | None = None
            if early and math.isfinite(limit.left()):
                master = DayMaster(question, states, templates=templates)
                left = limit.left()
                part = limit.within(EARLY_SHARE * left)
                first = GroupedScenarios(max(EARLY_GAP, self.gap), master, days, limit, None, enough=part).execute()
                if first.termination is Termination.INFEASIBLE or first.gap <= self.gap:
                    return first
                if limit.over() or limit.left() < left - limit.left():
                    return replace(first, termination=limit.why)  # not that of the early gap
            master = DayMaster(question, states, risk=days.weights, days=len(days.names), templates=templates)
            for day in days.realisations:
                master.add_day(day)
            found = _Run(self, master, days, limit).execute(progress)
            return found if first is None else _better(found, first, self.gap)


def _better(found: DayOutcome, first: DayOutcome, gap: float) -> DayOutcome:
    """The plan of all days, or that of their groups where it costs less; both bounds hold for the same question."""
    seconds, log = first.seconds + found.seconds, found.log or first.log
    if found.upper_bound <= first.upper_bound:
        return replace(found, seconds=seconds)
    lower = min(max(found.lower_bound, first.lower_bound), first.upper_bound)
    why = Termination.GAP if relative_gap(lower, first.upper_bound) <= gap else found.termination
    return replace(first, termination=why, lower_bound=lower, log=log, seconds=seconds)


class _Run:
    """One run; the forecast is a further realisation of every period, after those of the scenario days."""

    def __init__(self, method: PeriodScenarios, master: DayMaster, days: ScenarioDays, deadline: Deadline) -> None:
        self.method, self.master, self.days, self.deadline = method, master, days, deadline
        self.began, self.finder = deadline.passed(), HourRecourseFinder(master.question)
        shares = days.realisations
        self.rows = [np.vstack([shares[:, t], np.ones((1, shares.shape[2]))]) for t in range(shares.shape[1])]
        self.values: PlanValues | None = None
        self.weights: Floats | None = None
        self.lower, self.upper, self.tightened = -math.inf, math.inf, 0

    def execute(self, progress: Progress | None) -> DayOutcome:
        """Solve; where the exact flow breaks limits that the relaxation keeps, tighten these and solve again."""
        while True:
            answer = WholeMaster(self.master, MASTER_SHARE * self.method.gap).solve(self.deadline)
            if not self.tightened:
                self.lower = answer.bound
            if answer.x is None:
                return self._outcome(progress, answer.status)
            self._evaluate(answer)
            if math.isfinite(self.upper) or self.deadline.over() or not self._tighten():
                return self._outcome(progress)

    def _evaluate(self, answer: MasterAnswer) -> None:
        """Operations of the plan of a solution on all days, and their risk."""
        values = PlanValues(self.master, answer, self.master.plan(answer), self.finder, self.rows)
        values.repair()
        self.values, self.weights, forecast = values, answer.weights, len(self.days.names)
        for t in range(len(self.rows)):
            if self.deadline.over():
                break
            values.solve(t, forecast)
            if self.days.weights.only is None:  # the program is careless with days that do not count
                values.improve(t, self.deadline.over)
        self.upper = self._risk(values)
        if relative_gap(self.lower, self.upper) > self.method.gap:
            for t, v in np.ndindex(len(self.rows), forecast):
                if not self.deadline.over():
                    values.solve(t, v)
            self.upper = self._risk(values)

    def _risk(self, values: PlanValues) -> float:
        """The risk of the costs; inf where limits are broken in some future. The forecast need not keep them."""
        costs = day_costs(values)
        return values.schedule_cost + self.days.weights.worst(costs)[0] if np.isfinite(costs).all() else math.inf

    def _tighten(self) -> bool:
        """Tighten the limits of periods in which some operation breaks them."""
        assert self.values is not None
        excesses = [float(part[np.isfinite(part)].max(initial=0.0)) for part in self.values.violations]
        self.tightened += 1
        for t, excess in enumerate(excesses):
            if excess > 0.0:
                self.master.tighten(t, max(1.5 * excess, MARGIN_LEAST))
        return self.tightened <= TIGHTENED_MOST and max(excesses) > 0.0

    def _outcome(self, progress: Progress | None, status: Status | None = None) -> DayOutcome:
        """status: of the program, where it has no solution."""
        seconds, infeasible = self.deadline.passed() - self.began, status is Status.INFEASIBLE
        if self.values is None:
            end = self.deadline.why if self.deadline.over() or status is Status.LIMIT else Termination.ACCURACY
            bounds = (math.inf, math.inf) if infeasible else (self.lower, math.inf)
            return DayOutcome(Termination.INFEASIBLE if infeasible else end, None, None, None, *bounds, (), seconds)
        values, lower = self.values, min(self.lower, self.upper)
        *operated, forecast = operations(self.finder.evaluator, values, self.rows)
        gap, excesses = relative_gap(lower, self.upper), sum(float(part.max()) for part in values.violations)
        line = Iteration(1, seconds, lower, self.upper, self.upper, "copy", excesses, "", interim=False)
        if progress is not None:
            progress(line)
        end = Termination.OPTIMAL if gap <= PROVEN_GAP else Termination.GAP
        if gap > self.method.gap:
            end = self.deadline.why if self.deadline.over() else Termination.RELAXATION
        return DayOutcome(
            end,
            values.plan,
            forecast,
            operated[int(np.argmax(day_costs(values)))],
            lower,
            self.upper,
            (line,),
            seconds,
            (TIGHTENED,) if self.tightened else (),
            scenarios=tuple(operated),
            weights=self.weights,
        )


def day_costs(values: PlanValues) -> Floats:
    """(K) cost of the recourse of every scenario day; the forecast comes last and is left out."""
    return np.asarray(np.sum(values.costs, axis=0)[:-1])


def scenarios_of(question: DayQuestion) -> ScenarioDays:
    """The scenario days of a question.

    Raises:
        OptionError: there are none, or their regret is asked for.
    """
    if question.scenarios is None:
        raise OptionError("this method plans for scenario days, and none are given; give futures")
    if isinstance(question.scenarios.risk, Regret):
        raise OptionError("the regret of scenario days is not counted; use Expectation(), CVaR() or WorstCase()")
    return question.scenarios
