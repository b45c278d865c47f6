"""Column-and-constraint generation with copies by period: the day of a given topology against its worst realisations.

Where the recourse of a period knows no other period, the worst day of a plan is a choice of one vertex for every
period (`worst_day`), and a day that the master has to beat is a sum of copies (period, vertex) that days share
(`day_master`). So

    repeat:  plan ← master;  lower ← its bound
             costs ← verified operations of the plan in all vertices of all periods (`plan_values`)
             day ← the worst choice of vertices by these costs, those in it solved by their cone programs
             upper ← min(upper, cost of the schedule + cost of the day)
             master ← the copies of this day, and of vertices in which nothing keeps the limits
    until upper − lower ≤ gap

The lower bound holds for every AC operation, as it is that of a relaxation with some of the realisations. The upper
bound is verified by exact AC flow in all vertices. Where lost energy may be worth something, secant bounds keep the
squared currents of the relaxation near those of power flows (`current_bounds`). Where the exact flow breaks limits that
the relaxation keeps, the limits of that period are tightened in the master, which from then on proves nothing any more.

Theory: docs/methods.md M35.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.flow_ranges import FlowBox
from openpoint.network.day import DayPlan
from openpoint.search.tree import Queue
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import Copy, DayMaster, MasterAnswer, WholeMaster
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder, PlanValues, operation
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.question import DayOutcome, DayQuestion, Operation
from openpoint.studies.dispatch.day.model.vertices import Vertices, WorstDays, vertices_of
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination, ended_by, relative_gap

# Branch and bound over the flows of periods in which lost energy is worth something.
#
# The bounds of squared currents leave open what the secants of P² and Q² lie above them, in proportion to the square
# of the ranges of P and Q (`formulations.flow_ranges`). So the range of one of them is divided where the solution of
# the master lies: there both secants touch the square. A node is a master whose copies are cut to such boxes; every
# plan is in one of its parts.


NEAR_END = 0.1
"""Least share of a range in either part."""
BINDING = 1e-6
"""Relative distance from the dearest day at which a day counts."""

Boxes = Mapping[int, tuple[FlowBox, ...]]
"""By the number of a copy."""


def _divide(
    queue: Queue[Boxes], master: DayMaster, answer: MasterAnswer, bound: float, boxes: Boxes, least: float
) -> None:
    """Divide a node by its solution where more than `least` $ is open in a period; else it is done."""
    found = _widest(master, answer)
    if found is None or found[0] <= least:
        queue.done(bound)
        return
    _, number, parts = found
    for part in parts:
        queue.push(bound, {**boxes, number: (*boxes.get(number, ()), part)})


def _widest(master: DayMaster, answer: MasterAnswer) -> tuple[float, int, tuple[FlowBox, FlowBox]] | None:
    """Where most $ are open between a secant and its square: how much, the copy, and the two parts of the range."""
    totals = [day.cost(answer.costs) for day in master.days]
    reached = max(totals) - BINDING * max(1.0, abs(max(totals)))
    binding = {
        number for day, total in zip(master.days, totals, strict=True) if total >= reached for number in day.copies
    }
    found = [
        (worth, number, parts)
        for number in sorted(binding)
        if (copy := master.copies[number]).ranges is not None
        for worth, parts in [_open(master, copy, answer.own[number])]
    ]
    return max(found, default=None)


def _open(master: DayMaster, copy: Copy, own: np.ndarray) -> tuple[float, tuple[FlowBox, FlowBox]]:
    """The same of a copy with its own columns."""
    question, ranges = master.question, copy.ranges
    assert ranges is not None
    day, net = question.day, question.network
    p, q, l, w_fr, w_to = (copy.block.values(own)[columns] for columns in copy.template.flows)
    e, to = ranges.branch, ranges.at_to
    at = np.array([np.where(to, p[e] - net.r[e] * l[e], -p[e]), np.where(to, q[e] - net.x[e] * l[e], -q[e])])
    low, high = np.array([ranges.p, ranges.q]).transpose(1, 0, 2)
    at = np.clip(at, low, high)
    price = float(-min(day.source_price[copy.t].min(), day.export_price[copy.t].min()) - question.cost.loss)
    lost = net.r[e] / np.where(to, w_to[e], w_fr[e])
    worth = day.hours[copy.t] * net.s_base_kva * price * lost * (high - at) * (at - low)
    part, k = np.unravel_index(int(np.argmax(worth)), worth.shape)
    width = high[part, k] - low[part, k]
    middle = float(np.clip(at[part, k], low[part, k] + NEAR_END * width, high[part, k] - NEAR_END * width))
    branch, reactive = int(e[k]), bool(part)
    parts = FlowBox(branch, reactive, -math.inf, middle), FlowBox(branch, reactive, middle, math.inf)
    return float(worth[part, k]), parts


# Where no plan keeps the limits: the plan that misses them least, and by how much in every period.


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
    values = PlanValues(plan, finder, vertices.realisations)
    choices = np.array([[0, int(np.argmax(each))] for each in values.violations]).T
    forecast, worst = (
        operation(finder.evaluator, plan, vertices.day(choice), values.recourse(choice)) for choice in choices
    )
    return plan, forecast, worst


LOST = 1e12
"""$ that an operation counts that keeps no limits."""
MORE_DAYS = 8
"""Days that each iteration adds beside the worst, of copies that the master has already."""
NEXT_DAYS = 1
"""Days that each iteration adds beside the worst, of new copies: the worst where the vertices of those before cost no
more than the forecast. On 69 buses 8 iterations in place of 12; with three a master grows by more than they save."""
LESS = 0.9
"""Share of the excess of a vertex over the forecast that is left to it when a further day is sought."""
MASTER_SHARE = 0.3
"""Share of the gap that the whole numbers of a master may leave open."""
TIGHTENED_MOST = 10
"""Iterations in which limits may be tightened."""
DIVIDED_MOST = 1_500
"""Parts into which flows are divided where losses pay."""
BINDS = 1e-3
"""Multiplier from which a day counts as binding."""
LEFT_OPEN = 0.02
"""Share of the gap that one flow may leave open without being divided."""
TIGHTENED = (
    "The exact flow broke limits that the relaxation kept, so these were tightened in some periods; plans that the "
    "tightened limits exclude may cost less, down to the lower bound, which was proven before."
)


@dataclass
class ScenarioPool:
    """Scenario pool: worst days and compiled recourses that a solve of the same day, for another budget or topology,
    adds to.

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
        gap: relative gap at which to stop. max_iterations: iterations after which to stop.
        soon: end with the first plan, its worst case by operations at hand; nothing where that breaks limits.
    """

    gap: float = 1e-3
    max_iterations: int = 100
    soon: bool = False

    def __str__(self) -> str:
        return f"PeriodColumns(gap={self.gap:g})"

    def solve(
        self,
        question: DayQuestion,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
        *,
        closed: Bools | None = None,
        pool: ScenarioPool | None = None,
        cutoff: float = math.inf,
    ) -> DayOutcome:
        """The best plan of a topology, to the gap, or until a limit or Ctrl-C; the best verified plan is kept.

        Args:
            question: of the day.
            progress: called with every line of the log. deadline: when to stop with the best verified plan.
            closed: (E) or (T, E) states of the branches; today's if None.
            pool: of an earlier solve of the same day, to which this one adds.
            cutoff: $; the run also ends where the lower bound is not less.
        """
        states = states_of(question, closed)
        with deadline_of(None, deadline) as limit:
            run = _Run(self, question, states, pool or ScenarioPool(HourTemplates(question)), progress, limit)
            return run.execute(cutoff)


def states_of(question: DayQuestion, closed: Bools | None) -> Bools:
    """(T, E) states of the branches, today's if None."""
    shape = question.day.periods, question.network.n_conductors
    return np.broadcast_to(question.network.closed if closed is None else closed, shape)


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
        pool: ScenarioPool,
        progress: Progress | None,
        deadline: Deadline,
    ) -> None:
        self.method, self.question, self.pool = method, question, pool
        self.progress, self.deadline, self.began = progress, deadline, deadline.passed()
        self.vertices = vertices_of(question.day)
        self.worst = WorstDays(self.vertices.deviations, self.vertices.hours)
        self.finder = HourRecourseFinder(question)
        self.master = DayMaster(question, closed, templates=pool.templates)
        self.whole = WholeMaster(self.master, MASTER_SHARE * method.gap)
        self.lower, self.upper = -math.inf, math.inf
        self.best: _Best | None = None
        self.value, self.violation, self.least, self.tightened = math.inf, 0.0, math.inf, 0
        self.log: list[Iteration] = []
        self.binding: tuple[tuple[Floats, float], ...] = ()
        forecast = np.ones((question.day.periods, question.day.uncertain.count))
        self.days = [forecast, *(day for day in pool.days if allowed(self.vertices, day))]
        for day in self.days:
            self.master.add_day(day)

    def execute(self, cutoff: float) -> DayOutcome:
        """Run the loop."""
        while True:
            answer = self.whole.solve(self.deadline)
            if not self.tightened:
                self.lower = max(self.lower, min(answer.bound, self.upper))
            if answer.x is None:
                return self._without(answer.status)
            self.binding = _binding(self.master, answer) or self.binding
            values, choice = self._evaluated(self.master.plan(answer), answer)
            if self.method.soon:
                return self._outcome(Termination.ITERATIONS)
            learned = self._learn(values, choice)
            if self._gap() <= self.method.gap:
                return self._outcome(ended_by(self._gap()))
            if self.deadline.over():
                return self._outcome(self.deadline.why)
            if self.lower >= cutoff:
                return self._outcome(Termination.GAP)
            if not learned:
                return self._divided(answer, cutoff)
            if len(self.log) >= self.method.max_iterations:
                return self._outcome(Termination.ITERATIONS)

    def _divided(self, answer: MasterAnswer, cutoff: float) -> DayOutcome:
        """The end where nothing is added to the master: where losses pay, flows are divided (`division`)."""
        queue, least = Queue[Boxes](), LEFT_OPEN * self.method.gap * max(1.0, abs(self.upper))
        if not self.tightened and math.isfinite(self.upper):
            _divide(queue, self.master, answer, self.lower, {}, least)
        for _ in range(DIVIDED_MOST):
            if (
                not queue.has(queue.floor)
                or self.deadline.over()
                or self.lower >= cutoff
                or self._gap() <= self.method.gap
            ):
                break
            bound, boxes = queue.pop()
            self.master.divide(boxes)
            answer = self.whole.solve(self.deadline)
            bound = max(bound, answer.bound)
            if answer.x is not None:
                _divide(queue, self.master, answer, bound, boxes, least)  # before copies that the answer does not have
                if bound < self.upper:
                    _, choice = self._evaluated(self.master.plan(answer), answer)
                    self.master.add_day(self.vertices.day(choice))
            elif answer.status is not Status.INFEASIBLE:
                queue.done(bound)
            self.lower = max(self.lower, min(queue.lowest, self.upper))
            self._log_line("division")
        if self._gap() <= self.method.gap or self.lower >= cutoff:
            return self._outcome(ended_by(self._gap()))
        return self._outcome(self.deadline.why if self.deadline.over() else Termination.RELAXATION)

    def _gap(self) -> float:
        return relative_gap(self.lower, self.upper)

    def _evaluated(self, plan: DayPlan, answer: MasterAnswer) -> tuple[PlanValues, Ints]:
        """Values of a plan, and the choice of its worst day, or of one in which it is worse than the best plan."""
        over, guides = (lambda: True) if self.method.soon else self.deadline.over, self.master.guides(answer)
        values = PlanValues(plan, self.finder, self.vertices.realisations, math.inf, over, guides)
        while True:
            total, choice = self.worst.of(_finite(values.costs))
            value = values.schedule_cost + total
            unsolved = [(t, int(v)) for t, v in enumerate(choice) if not values.solved[t][v]]
            close = self.method.soon or relative_gap(self.lower, value) <= 0.5 * self.method.gap
            if not unsolved or close or self.deadline.over():
                break
            for t, v in unsolved:
                values.solve(t, v)
            if math.isfinite(self.upper) and (seen := self._beaten(values)) is not None:
                value, choice = seen
                break
        value = math.inf if values.broken() else value
        violation = sum(float(part.max()) for part in values.violations)
        if value < self.upper or (math.isinf(self.upper) and violation < self.least):
            self.best, self.least = _Best(values, choice), violation
        self.upper = min(self.upper, value)
        self.value, self.violation = value, violation
        return values, choice

    def _beaten(self, values: PlanValues) -> tuple[float, Ints] | None:
        """A day of solved periods, apart from the forecast, in which the plan costs more than the best; its cost."""
        costs = [np.where(solved, part, -LOST) for solved, part in zip(values.solved, _finite(values.costs))]
        for part, known in zip(costs, values.costs, strict=True):
            part[0] = known[0]
        total, choice = self.worst.of(costs)
        value = values.schedule_cost + total
        return (value, choice) if self.upper < value < LOST else None

    def _learn(self, values: PlanValues, choice: Ints) -> bool:
        """Add the worst day, further ones, and vertices in which nothing keeps the limits; whether anything is new."""
        before, words = len(self.master.copies), list[str]()
        for t, v in values.impossible:
            self.master.copy(t, self.vertices.realisations[t][v])
        if len(self.master.copies) > before:
            words.append("limits")
        day = self.vertices.day(choice)
        if self.master.add_day(day):
            self.pool.days.append(day)
            self.days.append(day)
            words.append("copy")
            self._add_further(values, choice)
        if not words and self.tightened < TIGHTENED_MOST and self.master.tighten(values.violations):
            self.tightened += 1
            words.append("tightened")
        self._log_line(" + ".join(words) or "no copy")
        return bool(words)

    def _add_further(self, values: PlanValues, choice: Ints) -> None:
        """Add days that are bad for this plan: with new copies, then of copies that are there, the vertices of one
        counting less in the next."""
        realisations = self.vertices.realisations
        costs, other = _finite(values.costs), choice
        for _ in range(NEXT_DAYS):
            for part, v in zip(costs, other, strict=True):
                part[v] = part[0]
            other = self.worst.of(costs)[1]
            if self.master.add_day(day := self.vertices.day(other)):
                self.days.append(day)
        costs = _finite(values.costs)
        for t, part in enumerate(costs):
            part[~self.master.has(t, realisations[t])] = -LOST
        for _ in range(MORE_DAYS):
            for part, v in zip(costs, choice, strict=True):
                part[v] = part[0] + LESS * (part[v] - part[0])
            choice = self.worst.of(costs)[1]
            self.master.add_day(self.vertices.day(choice))

    def _without(self, status: Status) -> DayOutcome:
        """The end where the master has no solution."""
        if status is Status.INFEASIBLE and self.best is None:
            plan = forecast = worst = None
            if not self.method.soon:
                plan, forecast, worst = least_violation(self.master, self.finder, self.vertices)
            seconds = self.deadline.passed() - self.began
            end = Termination.INFEASIBLE
            return DayOutcome(end, plan, forecast, worst, math.inf, math.inf, tuple(self.log), seconds)
        if self.deadline.over():
            return self._outcome(self.deadline.why)
        return self._outcome(Termination.RELAXATION if self.tightened else Termination.ACCURACY)

    def _log_line(self, word: str) -> None:
        seconds = self.deadline.passed() - self.began
        bounds = self.lower, self.upper, self.value
        line = Iteration(len(self.log) + 1, seconds, *bounds, word, self.violation, "", interim=False)
        self.log.append(line)
        if self.progress is not None:
            self.progress(line)

    def _outcome(self, termination: Termination) -> DayOutcome:
        plan = forecast = worst = None
        if self.best is not None:
            values, zero = self.best.values, np.zeros(self.question.day.periods, dtype=np.int64)
            plan = values.plan
            for t in range(self.question.day.periods):
                if not (self.deadline.over() or self.method.soon):
                    values.solve(t, 0)
            forecast, worst = (
                operation(self.finder.evaluator, plan, self.vertices.day(choice), values.recourse(choice))
                for choice in (zero, self.best.choice)
            )
        return DayOutcome(
            termination,
            plan,
            forecast,
            worst,
            self.lower,
            self.upper,
            tuple(self.log),
            self.deadline.passed() - self.began,
            (TIGHTENED,) if self.tightened else (),
            tuple(self.days),
            binding=self.binding,
        )


def _binding(master: DayMaster, answer: MasterAnswer) -> tuple[tuple[Floats, float], ...]:
    """The days of a master that bind, and their multipliers with sum one."""
    if answer.weights is None:
        return ()
    some = [(day, float(w)) for day, w in zip(master.days, answer.weights, strict=True) if w > BINDS]
    total = sum(w for _, w in some)
    return tuple((np.array([master.copies[k].realisation for k in day.copies]), w / total) for day, w in some)


def _finite(costs: Sequence[Floats]) -> list[Floats]:
    return [np.where(np.isinf(part), LOST, part) for part in costs]


def allowed(vertices: Vertices, day: Floats) -> bool:
    """Whether a day is a choice of vertices within the budgets."""
    used = np.zeros(len(vertices.hours), dtype=np.int64)
    for deviations, realisations, row in zip(vertices.deviations, vertices.realisations, day, strict=True):
        same = np.flatnonzero((realisations == row).all(axis=1))
        if not len(same):
            return False
        used += np.abs(deviations[same[0]])
    return bool((used <= vertices.hours).all())
