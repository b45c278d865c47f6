"""Scenario days: the day of a given topology at the least risk of its costs, from few copies of the recourse.

With the risk ρ = max { Σ_k π_k cost_k : π allowed },

    min f(x) + θ    s.t.    θ ≥ Σ_t Σ_g Π_g q_(t, g)    for vectors π that the risk allows

has a copy of the recourse of a period for every group g of scenario days, at their mean (`future_groups`), and bounds
the risk of every plan. What bound and verified costs leave open says which vector is missing and which groups are too
coarse:

    repeat:  plan ← master;  lower ← its bound
             costs ← verified operations of the plan on all days;  upper ← min(upper, their risk)
             master ← the worst vector for these costs; parts of the groups that leave most open
    until upper − lower ≤ gap

Theory: docs/methods.md M36.

Futures of a day in groups: a bound of the risk from few copies of the recourse, however many futures there are.

For any probabilities π that the risk allows, the risk is at least Σ_k π_k cost_k. At every plan x the cost q_t of the
best recourse of a period in the cone relaxation is convex in the realisation u, which stands on the right-hand side
only. So for a group g of futures in period t with Π_g = Σ_(k in g) π_k

    Σ_(k in g) π_k q_t(x, u_k)  ≥  Π_g q_t(x, ū_g),    ū_g = Σ_(k in g) π_k u_k / Π_g                  (Jensen 1906)

A row of the master has one copy a group. A group is divided where the two sides differ most. Bounds of squared
currents depend on the realisation in another way, so the copy of a mean has none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import DayMaster, MasterAnswer, MasterDay, WholeMaster
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import TOLERANCE, HourRecourseFinder, PlanValues
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import (
    MASTER_SHARE,
    TIGHTENED,
    TIGHTENED_MOST,
    states_of,
)
from openpoint.studies.dispatch.day.model.question import DayOutcome, DayQuestion, Operation, ScenarioDays
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination, ended_by, relative_gap
from openpoint.twostage.risk import Regret

FIRST = 4
"""Groups of a period at the start."""
PARTS = 3
"""Parts into which a group is divided."""
OPEN_SHARE = 0.9
"""Share of what groups leave open that is in those that are divided."""


@dataclass
class FutureGroups:
    """Groups of K futures in every period, and the vectors of probabilities of the rows of the master.

    Attributes:
        realisations: (K, T, U). groups: of every period, each the numbers of its futures. vectors: (K) each.
    """

    realisations: Floats
    groups: list[list[Ints]]
    vectors: list[Floats]

    @staticmethod
    def of(realisations: Floats, vectors: list[Floats], first: int = FIRST) -> FutureGroups:
        """Groups of realisations that are near each other along the direction in which they differ most.

        Args:
            realisations: (K, T, U). vectors: (K) each, the first probabilities. first: number of groups of a period.
        """
        groups = list[list[Ints]]()
        for t in range(realisations.shape[1]):
            away = realisations[:, t] - realisations[:, t].mean(axis=0)
            along = away @ np.linalg.svd(away, full_matrices=False)[2][0] if away.any() else np.zeros(len(away))
            groups.append(_cut(np.arange(len(away)), along, first if away.any() else 1))
        return FutureGroups(realisations, groups, vectors)

    def fill(self, master: DayMaster, alone: Sequence[tuple[int, int]]) -> None:
        """Give a master the copies and a row for every vector.

        Args:
            master: to fill. alone: (t, k) of realisations in which the limits are to be kept besides.
        """
        master.clear()
        vectors, self.vectors = self.vectors, []
        for vector in vectors:
            copies, shares = list[int](), list[float]()
            for t, parts in enumerate(self.groups):
                for part in parts:
                    if (share := float(vector[part].sum())) > 0.0:
                        some = self.realisations[part, t]
                        same = bool((some == some[0]).all())
                        at = some[0] if same else vector[part] @ some / share
                        copies.append(master.copy(t, at, mean=not same))
                        shares.append(share)
            if master.add(MasterDay(tuple(copies), tuple(shares))):
                self.vectors.append(vector)
        for t, k in alone:
            master.copy(t, self.realisations[k, t])

    def left_open(self, master: DayMaster, answer: MasterAnswer, weights: Floats, costs: Floats) -> list[Floats]:
        """$ that each group of every period leaves open in a solution.

        Args:
            master: filled. answer: of it. weights: of its rows, their sum 1.
            costs: (K, T) of the plan of the solution in every future, by exact flow.
        """
        found = [np.zeros(len(parts)) for parts in self.groups]
        for vector, row, weight in zip(self.vectors, master.days, weights, strict=True):
            terms = iter(zip(row.copies, row.shares, strict=True))
            for t, parts in enumerate(self.groups):
                for g, part in enumerate(parts):
                    if vector[part].sum() > 0.0:
                        copy, share = next(terms)
                        found[t][g] += weight * (vector[part] @ costs[part, t] - share * answer.costs[copy])
        return found

    def divide(self, left: Sequence[Floats], costs: Floats) -> bool:
        """Divide the groups that leave most open, each by the costs in its futures; whether there is any."""
        several = [np.array([len(part) > 1 for part in parts]) for parts in self.groups]
        flat = np.maximum(np.concatenate(list(left)), 0.0) * np.concatenate(several)
        order = np.argsort(-flat, kind="stable")
        reached = np.cumsum(flat[order])
        count = int(np.searchsorted(reached, OPEN_SHARE * reached[-1])) + 1
        chosen, place, changed = set(order[:count].tolist()), 0, False
        for t, parts in enumerate(self.groups):
            every = list[Ints]()
            for part in parts:
                pieces = [part]
                if place in chosen and flat[place] > 0.0:
                    pieces = _cut(part, costs[part, t], PARTS)
                changed, place = changed or len(pieces) > 1, place + 1
                every += pieces
            self.groups[t] = every
        return changed


def _cut(some: Ints, values: Floats, parts: int) -> list[Ints]:
    """Numbers in groups of about the same size, in the order of their values."""
    return np.array_split(some[np.argsort(values, kind="stable")], min(parts, len(some)))


TOGETHER_MOST = 8
"""Most scenario days that have copies each by itself from the start."""
SHARE = 0.2
"""Share of the gap that each of several inaccuracies may leave open."""
FIRST_TOLERANCE = 3e-3
"""Tolerance of recourses, as in `finder`, for the first plan; then a share of the gap reached."""
OF_GAP = 0.05
"""This share."""
ITERATIONS_MOST = 60
"""Iterations after which to stop."""


@dataclass(frozen=True, kw_only=True)
class PeriodScenarios:
    """The plan of a given topology at the least risk of scenario days: few of them each by itself, many in groups.

    Attributes:
        gap: relative gap at which to stop.
    """

    gap: float = 1e-3

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
    ) -> DayOutcome:
        """The best plan of a topology; `worst` of the outcome is its operation on the dearest scenario day.

        Args:
            question: with scenario days. progress: called with every line of the log.
            deadline: when to stop. closed: (E) or (T, E) states of the branches; today's if None.
            templates: compiled recourses of the same question.

        Raises:
            OptionError: there are no scenario days; the risk is a regret.
        """
        states, days = states_of(question, closed), scenarios_of(question)
        with deadline_of(None, deadline) as limit:
            master = DayMaster(question, states, templates=templates)
            return _Run(self.gap, master, days, limit, progress).execute()


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


@dataclass(frozen=True)
class _Plan:
    """A plan on all days: its values, (K, T) costs of its recourse, and their risk with the schedule, in $."""

    values: PlanValues
    costs: Floats
    value: float


class _Run:
    """One run; the forecast is a further realisation of every period, after those of the scenario days."""

    def __init__(
        self,
        gap: float,
        master: DayMaster,
        days: ScenarioDays,
        deadline: Deadline,
        progress: Progress | None,
    ) -> None:
        """Nothing is known yet.

        Args:
            gap: relative, at which to stop. master: without copies. days: that may come.
            deadline: after which to stop. progress: called with every line of the log.
        """
        self.gap, self.master, self.days, self.deadline, self.progress = gap, master, days, deadline, progress
        self.began, self.finder = deadline.passed(), HourRecourseFinder(master.question)
        self.whole = WholeMaster(master, MASTER_SHARE * gap)
        shares = days.realisations
        self.rows = [np.vstack([shares[:, t], np.ones((1, shares.shape[2]))]) for t in range(shares.shape[1])]
        self.alone = set[tuple[int, int]]()
        few = len(days.names) <= TOGETHER_MOST
        vectors = [days.nominal]
        if few and days.weights.only is None:  # and each day as heavy as it may be
            vectors += [days.allowed(row) for row in np.eye(len(days.names))]
        self.groups = FutureGroups.of(shares, vectors, len(days.names) if few else FIRST)
        self.best: _Plan | None = None
        self.weights: Floats | None = None
        self.lower, self.tightened = -math.inf, 0
        self.log: list[Iteration] = []

    @property
    def upper(self) -> float:
        return math.inf if self.best is None else self.best.value

    def execute(self) -> DayOutcome:
        """Solve the master and evaluate its plan, until what it leaves open is small."""
        while True:
            self.groups.fill(self.master, sorted(self.alone))
            answer = self.whole.solve(self.deadline)
            if not self.tightened:
                self.lower = max(self.lower, answer.bound)
            if answer.x is None:
                return self._without(answer.status)
            plan = self._evaluated(answer)
            if self.best is None or plan.value <= self.best.value:
                self.best = plan
            word = self._learned(answer, plan)
            self._report(plan, word)
            if (gap := relative_gap(self.lower, self.upper)) <= self.gap:
                return self._outcome(ended_by(gap))
            if self.deadline.over():
                return self._outcome(self.deadline.why)
            if not word:
                return self._outcome(Termination.RELAXATION)
            if len(self.log) >= ITERATIONS_MOST:
                return self._outcome(Termination.ITERATIONS)

    def _evaluated(self, answer: MasterAnswer) -> _Plan:
        """Operations of the plan of a solution on all days, and their risk; inf where limits are broken in some."""
        reached = relative_gap(self.lower, self.upper) if math.isfinite(self.upper) else math.inf
        tolerance = max(min(FIRST_TOLERANCE, OF_GAP * reached), min(TOLERANCE, OF_GAP * self.gap))
        plan, guides = self.master.plan(answer), self.master.guides(answer)
        values = PlanValues(plan, self.finder, self.rows, tolerance, self.deadline.over, guides)
        costs = np.column_stack([part[:-1] for part in values.costs])  # the forecast need not keep the limits
        finite = bool(np.isfinite(costs).all())
        value = values.schedule_cost + self.days.weights.worst(costs.sum(axis=1))[0] if finite else math.inf
        return _Plan(values, costs, value)

    def _learned(self, answer: MasterAnswer, plan: _Plan) -> str:
        """What is added to the master after a plan, in words; empty where nothing is."""
        words, forecast = list[str](), len(self.days.names)
        more = {(t, v) for t, v in plan.values.impossible if v != forecast} - self.alone
        if more:
            self.alone |= more
            return "limits"
        if not math.isfinite(plan.value):
            self.tightened += 1
            tightened = self.master.tighten([part[:-1] for part in plan.values.violations])
            return "tightened" if tightened and self.tightened <= TIGHTENED_MOST else ""
        assert answer.weights is not None
        rows = np.maximum(answer.weights, 0.0)
        rows = rows / rows.sum()
        self.weights = rows @ np.array(self.groups.vectors)
        least = SHARE * self.gap * max(1.0, abs(plan.value))
        totals = plan.costs.sum(axis=1)
        left = self.groups.left_open(self.master, answer, rows, plan.costs)
        if sum(float(part.sum()) for part in left) > least and self.groups.divide(left, plan.costs):
            words.append("groups")
        risk, vector = self.days.weights.worst(totals)
        if risk - self.weights @ totals > least:
            self.groups.vectors.append(vector)
            words.append("probabilities")
        return " + ".join(words)

    def _without(self, status: Status) -> DayOutcome:
        """The end where the master has no solution."""
        if self.tightened or math.isfinite(self.upper) or status is not Status.INFEASIBLE:
            end = self.deadline.why if self.deadline.over() or status is Status.LIMIT else Termination.ACCURACY
            return self._outcome(Termination.RELAXATION if self.tightened else end)
        seconds = self.deadline.passed() - self.began
        return DayOutcome(Termination.INFEASIBLE, None, None, None, math.inf, math.inf, tuple(self.log), seconds)

    def _report(self, plan: _Plan, word: str) -> None:
        seconds, excesses = self.deadline.passed() - self.began, sum(float(p.max()) for p in plan.values.violations)
        bounds = min(self.lower, self.upper), self.upper, plan.value
        line = Iteration(len(self.log) + 1, seconds, *bounds, word or "no copy", excesses, "", interim=False)
        self.log.append(line)
        if self.progress is not None:
            self.progress(line)

    def _outcome(self, end: Termination) -> DayOutcome:
        seconds, lower = self.deadline.passed() - self.began, min(self.lower, self.upper)
        if self.best is None:
            return DayOutcome(end, None, None, None, lower, math.inf, tuple(self.log), seconds)
        *operated, forecast = operations(self.finder.evaluator, self.best.values, self.rows)
        return DayOutcome(
            end,
            self.best.values.plan,
            forecast,
            operated[int(np.argmax(self.best.costs.sum(axis=1)))],
            lower,
            self.upper,
            tuple(self.log),
            seconds,
            (TIGHTENED,) if self.tightened else (),
            scenarios=tuple(operated),
            weights=self.weights,
        )


def operations(evaluator: DayEvaluator, values: PlanValues, rows: Sequence[Floats]) -> list[Operation]:
    """The operations of a plan, by exact flow, in the same row of the realisations (K, U) of every period."""
    plan, count = values.plan, len(rows[0])
    evaluated = [evaluator.evaluate(plan, t, some, values.recourses[t]) for t, some in enumerate(rows)]
    costs = np.column_stack([cost for cost, _ in evaluated]) + evaluator.schedule_costs(plan)
    violations = np.column_stack([violation for _, violation in evaluated])
    return [
        Operation(plan, np.array([some[k] for some in rows]), values.recourse([k] * len(rows)), costs[k], violations[k])
        for k in range(count)
    ]
