"""The day of a given topology by the methods as textbooks have them, beside which `benchmarks.day_speed` stands.

The lower bounds are those of cone programs over the whole set or some of its days, the upper bounds are worst cases
over all of its vertices by exact AC power flow, as everywhere. What `PeriodColumns` leaves out is done here:

    column-and-constraint generation    (Zeng and Zhao 2013) every iteration solves the recourse of the plan in every
        vertex of every period, and adds one copy of the whole day: the worst
    extensive form                      a copy of the recourse in every vertex of every period, all days of the set in
        one program. Their rows are those of the longest path W_t(s) >= cost_tv + W_(t+1)(s + |ζ_v|) over the budgets s
        that are used up: 64,827 days on `baran33`, 4.5·10⁸ with two hours, and as many rows as periods times budgets
        times vertices
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats
from openpoint.solvers.base import StandardForm
from openpoint.studies.dispatch.day.model.day_master import DayMaster, MasterAnswer
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.period_columns import LOST, MASTER_SHARE, states_of
from openpoint.studies.dispatch.day.model.plan_values import PlanValues
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from openpoint.studies.dispatch.day.model.whole_master import WholeMaster
from openpoint.studies.dispatch.day.model.worst_day import WorstDays
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import relative_gap


@dataclass(frozen=True)
class Whole:
    """How one run ended: bounds in $, masters that were solved, copies of the recourse of a period in the last."""

    lower_bound: float
    upper_bound: float
    masters: int
    copies: int

    @property
    def gap(self) -> float:
        """Relative."""
        return relative_gap(self.lower_bound, self.upper_bound)


class _OwnCopies(DayMaster):
    """A master whose days share no copies."""

    def copy(self, t: int, realisation: Floats, *, mean: bool = False) -> int:
        self.copies.append(self._copy(t, realisation.copy(), mean))
        return len(self.copies) - 1


class _AllDays(DayMaster):
    """A master over all days of the set, by the most that is still to come where a budget is used up so far."""

    def _form(self, layout: Sequence[tuple[int, int]], fixed: Mapping[int, float]) -> StandardForm:
        form = super()._form(layout, fixed)
        vertices = vertices_of(self.question.day)
        states = list(itertools.product(*(range(most + 1) for most in vertices.hours.tolist())))
        number, left = {state: k for k, state in enumerate(states)}, len(states)
        last, at_cost = len(form.c) + self.question.day.periods * left, self._first_cost(layout)
        rows = [[(number[states[0]] + len(form.c), 1.0), (int(self.schedule.theta[0]), -1.0)]]
        copy = itertools.count(at_cost)
        for t, deviations in enumerate(vertices.deviations):
            for used in np.abs(deviations):
                cost = next(copy)
                for k, state in enumerate(states):
                    after = number.get(tuple((state + used).tolist()))
                    if after is None:
                        continue
                    row = [(cost, 1.0), (len(form.c) + t * left + k, -1.0)]
                    if t + 1 < self.question.day.periods:
                        row.append((len(form.c) + (t + 1) * left + after, 1.0))
                    rows.append(row)
        entries = [(r, column, value) for r, row in enumerate(rows) for column, value in row]
        r, column, value = (np.array(part) for part in zip(*entries, strict=True))
        more = last - len(form.c)
        wide = replace(
            form,
            c=np.concatenate([form.c, np.zeros(more)]),
            a=sp.csc_array(sp.hstack([form.a, sp.csc_array((form.a.shape[0], more))])),
        )
        return wide.with_inequalities(sp.csr_array((value, (r, column)), shape=(len(rows), last)), np.zeros(len(rows)))


class _Judge:
    """Plans of a question in all vertices, each solved."""

    def __init__(self, question: DayQuestion) -> None:
        self.vertices, self.finder = vertices_of(question.day), HourRecourseFinder(question)
        self._worst = WorstDays(self.vertices.deviations, self.vertices.hours)

    def of(self, master: DayMaster, answer: MasterAnswer, deadline: Deadline) -> tuple[float, Floats] | None:
        """The cost of the plan on its worst day, inf where none keeps the limits, and that day; None: no time."""
        values = PlanValues(master, answer, master.plan(answer), self.finder, self.vertices.realisations)
        values.mend()
        for t, some in enumerate(self.vertices.realisations):
            for v in range(len(some)):
                if deadline.over():
                    return None
                values.solve(t, v)
        costs = [np.where(np.isinf(part), LOST, part) for part in values.costs]
        total, choice = self._worst.of(costs)
        return math.inf if values.broken() else values.schedule_cost + total, self.vertices.day(choice)


def column_and_constraint(question: DayQuestion, gap: float, deadline: Deadline) -> Whole:
    """Column-and-constraint generation with a copy of the whole day for each worst day."""
    master, judge = _OwnCopies(question, states_of(question, None)), _Judge(question)
    master.add_day(np.ones((question.day.periods, question.day.uncertain.count)))
    whole, lower, upper, masters = WholeMaster(master, MASTER_SHARE * gap), -math.inf, math.inf, 0
    while True:
        answer = whole.solve(deadline)
        masters += 1
        lower = max(lower, min(answer.bound, upper))
        judged = None if answer.x is None else judge.of(master, answer, deadline)
        if judged is not None:
            upper = min(upper, judged[0])
        if judged is None or deadline.over() or relative_gap(lower, upper) <= gap:
            return Whole(lower, upper, masters, len(master.copies))
        master.add_day(judged[1])


def extensive(question: DayQuestion, gap: float, deadline: Deadline) -> Whole:
    """All days of the set in one cone program; a solver that is stopped has no bound."""
    master, judge = _AllDays(question, states_of(question, None)), _Judge(question)
    for t, some in enumerate(judge.vertices.realisations):
        for row in some:
            master.copy(t, row)
    answer = WholeMaster(master, MASTER_SHARE * gap).solve(deadline)
    judged = None if answer.x is None else judge.of(master, answer, Deadline())
    return Whole(answer.bound, math.inf if judged is None else judged[0], 1, len(master.copies))
