"""Scenario days in one cone program: the day of a given topology at the least risk of its costs.

    min f(x) + ρ(θ)    s.t.    θ_k ≥ Σ_t q_(t, u_tk) for every scenario day k

with copies by period and realisation, which scenario days that agree in a period share. The bound is that of the
relaxation; the costs are verified by exact AC flow on every scenario day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.network.day import Uncertain
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import DayMaster
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.period_columns import MASTER_SHARE, states_of
from openpoint.studies.dispatch.day.model.plan_values import PlanValues, operation
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.whole_master import WholeMaster
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination, relative_gap
from openpoint.twostage.risk import Expectation, Regret, Risk, probability_set
from openpoint.twostage.stopping import PROVEN_GAP, check_stops
from openpoint.twostage.uncertainty import Finite


@dataclass(frozen=True, kw_only=True)
class PeriodScenarios:
    """The extensive form of scenario days, for a given topology.

    Attributes:
        days: scenario days, realisations (T · U), the quantities period by period, with their probabilities.
        risk: of their costs.
        gap: relative gap at which to stop. time_limit_s: seconds after which to stop.
    """

    days: Finite
    risk: Risk = field(default_factory=Expectation)
    gap: float = 1e-3
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(self.gap, self.time_limit_s)
        if isinstance(self.risk, Regret):
            raise OptionError("the regret of scenario days is not counted; use Expectation(), CVaR() or WorstCase()")

    def __str__(self) -> str:
        return f"PeriodScenarios({len(self.days.values)} days, {self.risk}, gap={self.gap:g})"

    def solve(
        self,
        question: DayQuestion,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
        *,
        closed: Bools | None = None,
    ) -> DayOutcome:
        """The best plan of a topology; `worst` of the outcome is its operation on the dearest scenario day.

        Args:
            question: of the day, its recourse as by default. progress: called with every line of the log.
            deadline: takes the place of the time limit. closed: (E) or (T, E) states of the branches; today's if None.

        Raises:
            OptionError: generators, stores or shifts are recourse; scenario days that are not (K, T · U).
        """
        states, values = states_of(question, closed), self._values(question)
        question = replace(question, day=replace(question.day, uncertain=_spread(question, values)))
        with deadline_of(self.time_limit_s, deadline) as limit:
            return self._solve(question, states, values, progress, limit)

    def _values(self, question: DayQuestion) -> Floats:
        """(K, T, U) scenario days."""
        shape = question.day.periods, question.day.uncertain.count
        if self.days.values.shape[1] != shape[0] * shape[1]:
            raise OptionError(
                f"scenario days have {self.days.values.shape[1]} entries; this day has {shape[0]} periods of "
                f"{shape[1]} uncertain quantities"
            )
        return self.days.values.reshape(len(self.days.values), *shape)

    def _solve(
        self, question: DayQuestion, states: Bools, days: Floats, progress: Progress | None, deadline: Deadline
    ) -> DayOutcome:
        began = deadline.passed()
        probabilities = probability_set(self.days, self.risk)
        finder = HourRecourseFinder(question)
        master = DayMaster(question, states.astype(np.float64), risk=probabilities, days=len(days))
        for day in days:
            master.add_day(day)
        answer = WholeMaster(master, MASTER_SHARE * self.gap).solve(deadline)
        if answer.x is None:
            infeasible = answer.status is Status.INFEASIBLE
            end = Termination.INFEASIBLE if infeasible else deadline.why if deadline.over() else Termination.ACCURACY
            bounds = math.inf if infeasible else answer.bound, math.inf
            return DayOutcome(end, None, None, None, *bounds, (), deadline.passed() - began)
        plan = master.plan(answer)
        rows = [np.vstack([days[:, t], np.ones((1, days.shape[2]))]) for t in range(days.shape[1])]
        values = PlanValues(master, answer, plan, finder, rows)
        values.mend()
        costs = self._costs(values)
        upper = values.schedule_cost + probabilities.worst(costs)[0] if np.isfinite(costs).all() else math.inf
        if relative_gap(answer.bound, upper) > self.gap:
            for t, v in np.ndindex(days.shape[1], len(days)):
                if not deadline.over():
                    values.solve(t, v)
            costs = self._costs(values)
            upper = values.schedule_cost + probabilities.worst(costs)[0] if np.isfinite(costs).all() else math.inf
        lower = min(answer.bound, upper)
        forecast, worst = (
            operation(finder.evaluator, plan, np.array([part[k] for part in rows]), values.recourse([k] * len(rows)))
            for k in (len(days), int(np.argmax(costs)))
        )
        gap, seconds = relative_gap(lower, upper), deadline.passed() - began
        missed = sum(float(part.max()) for part in values.violations)
        line = Iteration(1, seconds, lower, upper, upper, "copy", missed, "", interim=False)
        if progress is not None:
            progress(line)
        end = Termination.OPTIMAL if gap <= PROVEN_GAP else Termination.GAP
        if gap > self.gap:
            end = deadline.why if deadline.over() else Termination.RELAXATION
        return DayOutcome(end, plan, forecast, worst, lower, upper, (line,), seconds)

    @staticmethod
    def _costs(values: PlanValues) -> Floats:
        """(K) cost of the recourse of every scenario day; the forecast comes last and is left out."""
        return np.asarray(np.sum(values.costs, axis=0)[:-1])


def _spread(question: DayQuestion, days: Floats) -> Uncertain:
    """The uncertain quantities with deviations that hold all scenario days, from which bounds of powers follow."""
    uncertain = question.day.uncertain
    up, down = np.maximum(days - 1.0, 0.0).max(axis=0), np.maximum(1.0 - days, 0.0).max(axis=0)
    return replace(uncertain, up=np.maximum(uncertain.up, up), down=np.maximum(uncertain.down, down))
