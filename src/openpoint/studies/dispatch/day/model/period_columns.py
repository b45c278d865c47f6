"""Column-and-constraint generation with copies by period: the day of a given topology against its worst realisations.

Where the recourse of a period knows no other period, the worst day of a plan is a choice of one vertex for every
period (`worst_day`), and a day that the master has to beat is a sum of copies (period, vertex) that days share
(`day_master`). So

    repeat:  plan ← master;  lower ← its dual value
             costs ← verified operations of the plan in all vertices of all periods (`plan_values`)
             day ← the worst choice of vertices by these costs, those in it solved by their cone programs
             upper ← min(upper, cost of the schedule + cost of the day)
             master ← the copies of this day, and of vertices in which nothing keeps the limits
    until upper − lower ≤ gap

The lower bound holds for every AC operation, as it is that of a relaxation with some of the realisations. The upper
bound is verified by exact AC flow in all vertices.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network.day import DayPlan
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import DayMaster, HourTemplates, MasterAnswer
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.plan_values import PlanValues
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.vertices import Vertices, vertices_of
from openpoint.studies.dispatch.day.model.worst_day import worst_day
from openpoint.studies.dispatch.day.outcome import DayOutcome, Operation
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination, relative_gap
from openpoint.twostage.stopping import PROVEN_GAP, check_stops

LOST = 1e12
"""$ that an operation counts that keeps no limits."""


@dataclass
class Experience:
    """What one solve leaves to the next of the same day: for another budget, or another topology.

    A day found for one topology is a realisation for every other; of another budget those count that it allows.

    Attributes:
        templates: compiled recourses. days: (T, U) worst days found.
    """

    templates: HourTemplates
    days: list[Floats] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class PeriodColumns:
    """Column-and-constraint generation with copies of the recourse by period, for a given topology.

    Attributes:
        gap: relative gap at which to stop. time_limit_s: seconds after which to stop with the best verified plan.
        max_iterations: iterations after which to stop.
    """

    gap: float = 1e-3
    time_limit_s: float | None = None
    max_iterations: int = 100

    def __post_init__(self) -> None:
        check_stops(self.gap, self.time_limit_s)

    def __str__(self) -> str:
        return f"PeriodColumns(gap={self.gap:g})"

    def solve(
        self,
        question: DayQuestion,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
        *,
        closed: Bools | None = None,
        experience: Experience | None = None,
    ) -> DayOutcome:
        """The best plan of a topology, to the gap, or until a limit or Ctrl-C; the best verified plan is kept.

        Args:
            question: of the day, its recourse as by default.
            progress: called with every line of the log. deadline: takes the place of the time limit.
            closed: (E) or (T, E) states of the branches; today's if None.
            experience: of an earlier solve of the same day, to which this one adds.

        Raises:
            OptionError: generators, stores or shifts are recourse.
        """
        if question.recourse:
            raise OptionError("copies by period need generators, stores and shifts in the first stage")
        states = np.broadcast_to(question.network.closed if closed is None else closed, self._shape(question))
        with deadline_of(self.time_limit_s, deadline) as limit:
            run = _Run(self, question, states, experience or Experience(HourTemplates(question)), progress, limit)
            return run.execute()

    @staticmethod
    def _shape(question: DayQuestion) -> tuple[int, int]:
        return question.day.periods, question.network.n_conductors


@dataclass
class _Best:
    """The best plan so far: its values, and the choice of its worst day."""

    values: PlanValues
    choice: Ints


class _Run:
    """One run: bounds, incumbent and log."""

    def __init__(
        self,
        method: PeriodColumns,
        question: DayQuestion,
        closed: Bools,
        experience: Experience,
        progress: Progress | None,
        deadline: Deadline,
    ) -> None:
        self.method, self.question, self.experience = method, question, experience
        self.progress, self.deadline, self.began = progress, deadline, deadline.passed()
        self.vertices = vertices_of(question.day)
        self.evaluator = DayEvaluator(question)
        self.master = DayMaster(question, closed.astype(np.float64), templates=experience.templates)
        self.lower, self.upper = -math.inf, math.inf
        self.best: _Best | None = None
        self.log: list[Iteration] = []
        self.value, self.violation, self.least = math.inf, 0.0, math.inf
        self.master.add_day(np.ones((question.day.periods, question.day.uncertain.count)))
        for day in experience.days:
            if allowed(self.vertices, day):
                self.master.add_day(day)

    def execute(self) -> DayOutcome:
        """Run the loop."""
        while True:
            answer = self.master.solve(self.deadline.left())
            self.lower = max(self.lower, min(answer.bound, self.upper))
            if answer.x is None:
                return self._outcome(self._without(answer.status))
            values, choice = self._judged(self.master.plan(answer), answer)
            learned = self._learn(values, choice)
            if relative_gap(self.lower, self.upper) <= self.method.gap:
                exact = relative_gap(self.lower, self.upper) <= PROVEN_GAP
                return self._outcome(Termination.OPTIMAL if exact else Termination.GAP)
            if self.deadline.over():
                return self._outcome(self.deadline.why)
            if not learned:
                return self._outcome(Termination.RELAXATION)
            if len(self.log) >= self.method.max_iterations:
                return self._outcome(Termination.ITERATIONS)

    def _judged(self, plan: DayPlan, answer: MasterAnswer) -> tuple[PlanValues, Ints]:
        """Values of a plan, and the choice of its worst day; of no more effort than the gap needs."""
        vertices = self.vertices
        values = PlanValues(self.master, answer, plan, self.evaluator, vertices.realisations)
        for t, costs in enumerate(values.costs):
            for lost in np.flatnonzero(np.isinf(costs)):
                values.solve(t, int(lost))
        while True:
            finite = [np.where(np.isinf(costs), LOST, costs) for costs in values.costs]
            total, choice = worst_day(finite, vertices.deviations, vertices.hours)
            value = values.schedule_cost + total
            open_ones = [(t, int(v)) for t, v in enumerate(choice) if not values.solved[t][v]]
            if not open_ones or relative_gap(self.lower, value) <= 0.5 * self.method.gap or self.deadline.over():
                break
            for t, v in open_ones:
                values.solve(t, v)
        broken = any(np.isinf(costs).any() for costs in values.costs)
        value = math.inf if broken else value
        violation = sum(float(part.max()) for part in values.violations)
        if value < self.upper or (math.isinf(self.upper) and violation < self.least):
            self.best, self.least = _Best(values, choice), violation
        self.upper = min(self.upper, value)
        self.value, self.violation = value, violation
        return values, choice

    def _learn(self, values: PlanValues, choice: Ints) -> bool:
        """Add the worst day, and vertices in which nothing keeps the limits; whether anything was new."""
        day = self.vertices.day(choice)
        before = len(self.master.copies)
        words = []
        for t, v in values.impossible:
            self.master.copy(t, self.vertices.realisations[t][v])
        if len(self.master.copies) > before:
            words.append("limits")
        new = self.master.add_day(day)
        if new:
            self.experience.days.append(day)
            words.append("copy")
        self._log_line(" + ".join(words) or "no copy")
        return bool(words)

    def _without(self, status: Status) -> Termination:
        """Why the run ends where the master has no solution."""
        if status is Status.INFEASIBLE and self.best is None:
            return Termination.INFEASIBLE
        return Termination.ACCURACY if status is not Status.LIMIT else self.deadline.why

    def _log_line(self, word: str) -> None:
        seconds = self.deadline.passed() - self.began
        line = Iteration(
            len(self.log) + 1, seconds, self.lower, self.upper, self.value, word, self.violation, "", interim=False
        )
        self.log.append(line)
        if self.progress is not None:
            self.progress(line)

    def _outcome(self, termination: Termination) -> DayOutcome:
        forecast = worst = None
        if self.best is not None:
            zero = np.zeros(self.question.day.periods, dtype=np.int64)
            forecast, worst = (self._operation(self.best.values, choice) for choice in (zero, self.best.choice))
        return DayOutcome(
            termination,
            None if self.best is None else self.best.values.plan,
            forecast,
            worst,
            self.lower,
            self.upper,
            tuple(self.log),
            self.deadline.passed() - self.began,
        )

    def _operation(self, values: PlanValues, choice: Ints) -> Operation:
        """The operation of a day of the plan, its cost with that of the schedule."""
        for t, v in enumerate(choice):
            if not self.deadline.over():
                values.solve(t, int(v))
        realisation, recourse = self.vertices.day(choice), values.recourse(choice)
        costs, violations = np.zeros(len(choice)), np.zeros(len(choice))
        for t in range(len(choice)):
            own = type(recourse)(*(part[t : t + 1] for part in vars(recourse).values()))
            cost, violation = self.evaluator.judge(values.plan, t, realisation[t : t + 1], own)
            costs[t], violations[t] = cost[0], violation[0]
        return Operation(realisation, recourse, costs + self.evaluator.schedule_costs(values.plan), violations)


def allowed(vertices: Vertices, day: Floats) -> bool:
    """Whether a day is a choice of vertices within the budgets."""
    used = np.zeros(len(vertices.hours), dtype=np.int64)
    for deviations, realisations, row in zip(vertices.deviations, vertices.realisations, day, strict=True):
        same = np.flatnonzero((realisations == row).all(axis=1))
        if not len(same):
            return False
        used += np.abs(deviations[same[0]])
    return bool((used <= vertices.hours).all())
