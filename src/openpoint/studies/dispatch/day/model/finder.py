"""The recourse of a period, once the realisation is known: operations found for many realisations, with proven bounds.

The cost of the best recourse is convex in the realisation. So a convex recourse that was solved in one realisation
bounds the cost in every other from below, by its slope; and what it does there, cut to what is available elsewhere,
is an operation that the exact power flow evaluates. Only realisations where these bounds do not meet are solved
themselves.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network.day import (
    DayPlan,
    HourRecourse,
    available_power,
    load_factors,
    nominal_load,
    shed_power,
    tangent,
)
from openpoint.network.limits import LEAST_POWER, LIMIT_TOLERANCE
from openpoint.studies.dispatch.day.model.current_bounds import DayCurrentBounds
from openpoint.studies.dispatch.day.model.evaluation import LIMITS, DayEvaluator, HourEvaluation
from openpoint.studies.dispatch.day.model.hour_block import INSIDE, HourCone, no_recourse, slice_at
from openpoint.studies.dispatch.day.model.question import DayQuestion, Operation
from openpoint.twostage.workers.pool import never

TOLERANCE = 1e-4
"""Difference of the bounds at which a recourse is good enough, relative to the cost of the load of the period."""
NEAREST = 3
"""Recourses of other realisations that are tried before one is solved."""
TIGHTENED = 6
"""Times that limits are tightened until the exact flow keeps them."""
BETWEEN = 3
"""Times that a recourse is looked for between one that keeps the limits and one that does not."""
KEPT = 1024
"""Periods of plans of which the recourses are kept."""
CURTAILED = 1e-6
"""A source that feeds in less than it could by more than this, per unit, is curtailed."""
NOTHING = 1e-8
"""Power, per unit, that a solver leaves where nothing is shed or moved."""
IMPOSSIBLE = 1e-6
"""Sum of the excesses, relative, from which on a convex recourse misses limits beyond the accuracy of its solver."""
END = 0.98 * LIMIT_TOLERANCE
"""Excess at which the way between two recourses ends."""


# What a recourse that is known for one realisation does in others


@dataclass(frozen=True)
class RecourseRule:
    """What is done in a period, cut to what each realisation allows.

    Attributes:
        most: (R) most active power that a renewable source feeds in, inf where it is not curtailed.
        q: (R) its reactive power. shed: (N) and shift: (N) as in `HourRecourse`.
    """

    most: Floats
    q: Floats
    shed: Complexes
    shift: Complexes

    def at(self, question: DayQuestion, plan: DayPlan, t: int, realisations: Floats) -> HourRecourse:
        """The recourse in realisations (K, U) of period t of a plan; it keeps its own limits."""
        day, demand, s_max = question.day, question.day.demand, question.day.renewables.s_max
        load, factor = nominal_load(day, t), load_factors(day, realisations)
        active, reactive = np.maximum(load.real, 0.0) * factor.real, np.abs(load.imag) * factor.imag
        sign, angle, uncertain = np.sign(load.imag), np.abs(tangent(day, t)), day.uncertain
        p = np.maximum(np.minimum(_possible(question, t, realisations), self.most), 0.0)
        room = np.sqrt(np.maximum(s_max**2 - p**2, 0.0))
        q = np.where(s_max > 0.0, np.clip(self.q, -room, room), 0.0)
        moved = _scaled(self.shift.real, demand.shift_buses * active)
        moved_q = _scaled(self.shift.imag, demand.shift_buses * reactive)
        left = np.minimum(demand.shed_share * active, active + plan.shift[t] + moved)
        consumed = reactive + angle * plan.shift[t] + sign * moved_q
        alone = (uncertain.load != uncertain.of_reactive) & ~demand.sheds_apart & (angle > 0.0)
        left = np.where(alone, np.minimum(left, consumed / np.where(alone, angle, 1.0)), left)
        left_q = np.minimum(demand.shed_share * reactive, consumed)
        shed, shed_q = (
            np.clip(part, 0.0, np.maximum(most, 0.0))
            for part, most in ((self.shed.real, left), (sign * self.shed.imag, left_q))
        )
        return HourRecourse(p + 1j * q, shed_power(day, t, shed, shed_q), moved + 1j * moved_q)


def rule_of(question: DayQuestion, t: int, recourse: HourRecourse, realisation: Floats) -> RecourseRule:
    """The rule of a recourse (K = 1) that was found in a realisation (U) of period t."""
    fed = recourse.renewable[0]
    free = fed.real >= _possible(question, t, realisation[None, :])[0] - CURTAILED
    shed, shift = recourse.shed[0], recourse.shift[0]
    some = np.abs(shift) > NOTHING  # what is left over is spread, so that the sum is 0
    shift = np.where(some, shift - np.where(some, shift, 0.0).sum() / max(int(some.sum()), 1), 0.0)
    kept = _where_much(shed.real) + 1j * np.sign(shed.imag) * _where_much(np.abs(shed.imag))
    return RecourseRule(np.where(free, np.inf, fed.real), fed.imag, kept, shift)


def _where_much(shed: Floats) -> Floats:
    """What is shed, without what a solver leaves: that is shed where much is, so that the sum stays."""
    kept = np.where(shed > NOTHING, shed, 0.0)
    return kept * np.maximum(shed, 0.0).sum() / kept.sum() if kept.any() else kept


def _possible(question: DayQuestion, t: int, realisations: Floats) -> Floats:
    """(K, R) most active power by what is available and by the inverter."""
    s_max = question.day.renewables.s_max
    return np.minimum(available_power(question.day, t, realisations), np.where(s_max > 0.0, s_max, np.inf))


def _scaled(moved: Floats, most: Floats) -> Floats:
    """(K, N) `moved` (N) by one factor a row, so that it is at most `most` (K, N) and still sums to 0."""
    size = np.abs(moved)
    some = size > 0.0
    if not some.any():
        return np.zeros_like(most)
    share = (most[:, some] / size[some]).min(axis=1, initial=1.0)
    return np.asarray(share[:, None] * moved)


# The best recourses that are known while they are looked for


class Answers:
    """Operations in K realisations: the best one each, and the one that misses the limits least.

    Attributes:
        realisations: (K, U). lower: (K) bounds of the costs in $.
        recourse, costs, violations: the best, by violation, then by cost; inf before there is any.
    """

    def __init__(self, question: DayQuestion, realisations: Floats, lower: Floats, enough: float) -> None:
        """Nothing is known but the bounds.

        Args:
            question: of the day. realisations, lower: see the class. enough: difference of the bounds in $ that is
                good enough.
        """
        self.realisations, self.lower, self._enough = realisations, lower.copy(), enough
        count = len(realisations)
        self.recourse, self._missing = no_recourse(question, count), no_recourse(question, count)
        self.costs, self.violations, self._missed, self._missed_cost = (np.full(count, np.inf) for _ in range(4))
        self._excess, self._missed_excess = (np.full((count, len(LIMITS)), -1.0) for _ in range(2))

    @property
    def open(self) -> Bools:
        """(K) where limits are missed, or the bounds differ by more than is good enough."""
        return np.asarray((self.violations > 0.0) | ~(self.costs - self.lower <= self._enough))

    @property
    def gaps(self) -> Floats:
        """(K) differences of the bounds, inf where limits are missed."""
        return np.where(self.violations > 0.0, np.inf, self.costs - self.lower)

    def raise_lower(self, bounds: Floats) -> None:
        """Take over bounds (K) where they are higher."""
        np.maximum(self.lower, bounds, out=self.lower)

    def improve(self, rows: Ints, evaluation: HourEvaluation, recourse: HourRecourse) -> None:
        """Take over what misses limits less, or costs less at the same violation."""
        costs, violations = evaluation.costs, evaluation.violations
        before = self.violations[rows]
        better = (violations < before) | ((violations == before) & (costs < self.costs[rows]))
        taken = rows[better]
        self.costs[taken], self.violations[taken] = costs[better], violations[better]
        self._excess[taken] = evaluation.excess[better]
        self.recourse.put(taken, recourse.at(np.flatnonzero(better)))
        missing = (violations > 0.0) & (violations < self._missed[rows])
        taken = rows[missing]
        self._missed[taken], self._missed_cost[taken] = violations[missing], costs[missing]
        self._missed_excess[taken] = evaluation.excess[missing]
        self._missing.put(taken, recourse.at(np.flatnonzero(missing)))

    def between(self) -> tuple[Ints, HourRecourse]:
        """Rows where one recourse keeps the limits and a cheaper one does not, and what lies between them there.

        The excesses of limits change nearly in proportion along the way, so that it ends where they still count as
        kept.
        """
        cheaper = np.isfinite(self._missed) & (self._missed_cost < self.costs) & (self.violations == 0.0)
        rows = np.flatnonzero(self.open & cheaper)
        kept, violated = self._excess[rows] - END, self._missed_excess[rows] - END
        over = np.maximum(violated, 0.0)
        way = np.divide(over, over - kept, out=np.zeros_like(over), where=over > LIMIT_TOLERANCE).max(
            axis=1, initial=0.0
        )
        rows, way = rows[way < 1.0], way[way < 1.0, None]
        a, b = self.recourse, self._missing
        return rows, HourRecourse(
            way * a.renewable[rows] + (1.0 - way) * b.renewable[rows],
            way * a.shed[rows] + (1.0 - way) * b.shed[rows],
            way * a.shift[rows] + (1.0 - way) * b.shift[rows],
        )


# Recourses of many realisations


@dataclass(frozen=True)
class HourAnswers:
    """Recourses of a period in K realisations.

    Attributes:
        costs: (K) in $ by exact AC power flow, the schedule's own cost apart; inf where no flow exists.
        violations: (K) see `DayEvaluator.evaluate`. lower: (K) no recourse that keeps the limits costs less, in $.
        recourse: what is done. impossible: (K) where even the convex recourse keeps no limits, as far as it was solved.
    """

    costs: Floats
    violations: Floats
    lower: Floats
    recourse: HourRecourse
    impossible: Bools


@dataclass
class _Known:
    """The recourses of a period of a plan that were solved: realisations (M, U), bounds and what is done.

    Attributes:
        seen: slice of the plan. realisations, slopes: (U) each. values: lower bounds in $. rules: what is done.
        own: bounds in $ of the realisations alone. missed: sums of the excesses of the convex recourse.
    """

    seen: Floats
    realisations: list[Floats] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    slopes: list[Floats] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    rules: list[RecourseRule] = field(default_factory=list)
    missed: list[float] = field(default_factory=list)

    def lower(self, realisations: Floats) -> Floats:
        """(K) the highest of the known bounds."""
        best = np.full(len(realisations), -np.inf)
        for m in range(len(self.values)):
            np.maximum(best, self.bound(realisations, m), out=best)
        return best

    def bound(self, realisations: Floats, m: int) -> Floats:
        """(K) the bound by the slope at known realisation m."""
        away = realisations - self.realisations[m]
        bounds = self.values[m] + away @ self.slopes[m]
        return np.where((away == 0.0).all(axis=1), np.maximum(bounds, self.own[m]), bounds)

    def holds(self, realisations: Floats, missed: float = -np.inf) -> Bools:
        """(K) whether a realisation itself was solved, and then missed limits by more than so much."""
        solved = np.zeros(len(realisations), dtype=np.bool_)
        for at, by in zip(self.realisations, self.missed, strict=True):
            if by > missed:
                solved |= (realisations == at).all(axis=1)
        return solved

    def nearest(self, realisations: Floats) -> Ints:
        """(K, up to NEAREST) numbers of the known realisations, the nearest first."""
        away = [np.abs(realisations - at).sum(axis=1) for at in self.realisations]
        return np.argsort(np.column_stack(away), axis=1, kind="stable")[:, :NEAREST]


class HourRecourseFinder:
    """Finds recourses for the plans of a question; it keeps what it has solved."""

    def __init__(self, question: DayQuestion, tolerance: float = TOLERANCE) -> None:
        """Nothing is solved yet.

        Raises:
            OptionError: an uncertain load of constant current or impedance.
        """
        self.question, self.evaluator, self.cone = question, DayEvaluator(question), HourCone(question)
        self.solved = 0
        self._current_bounds = DayCurrentBounds(question)
        self._tolerance = tolerance
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    def best(
        self,
        plan: DayPlan,
        t: int,
        realisations: Floats,
        tolerance: float | None = None,
        over: Callable[[], bool] | None = None,
    ) -> HourAnswers:
        """Recourses of period t of a plan in K realisations (K, U) of that period.

        Args:
            plan: of the day. t: period. realisations: (K, U). tolerance: in place of the finder's; 0 solves each.
            over: asked before each realisation that is solved; True ends with what is known.
        """
        known = self._of(plan, t)
        if not known.realisations:
            self._solve(known, plan, t, np.ones(self.question.day.uncertain.count))
        enough = (self._tolerance if tolerance is None else tolerance) * self.cone.scale(t)
        answers = Answers(self.question, realisations, known.lower(realisations), enough)
        if known.realisations:
            order = known.nearest(realisations)
            for rank in range(order.shape[1]):
                rows = np.flatnonzero(answers.open)
                for m in np.unique(order[rows, rank]):
                    self._try(answers, known.rules[m], plan, t, rows[order[rows, rank] == m])
            self._between(answers, plan, t)
        own = known.holds(realisations)
        while (left := answers.open & ~own).any() and not (over is not None and over()):
            k = int(np.argmax(np.where(left, answers.gaps, -np.inf)))
            own[k] = True
            if self._solve(known, plan, t, realisations[k]):
                answers.raise_lower(known.bound(realisations, -1))
                self._try(answers, known.rules[-1], plan, t, np.flatnonzero(left))
                self._between(answers, plan, t)
        impossible = known.holds(realisations, IMPOSSIBLE) & (answers.violations > 0.0)
        return HourAnswers(answers.costs, answers.violations, answers.lower, answers.recourse, impossible)

    def guide(self, plan: DayPlan, t: int, realisation: Floats, recourse: HourRecourse) -> None:
        """Take a recourse (K = 1) of a realisation (U) as one to try in others, of which no bound is known."""
        known = self._of(plan, t)
        known.realisations.append(realisation)
        known.rules.append(rule_of(self.question, t, recourse, realisation))
        known.slopes.append(np.zeros(len(realisation)))
        for bounds in (known.values, known.own, known.missed):
            bounds.append(-np.inf)

    def _of(self, plan: DayPlan, t: int) -> _Known:
        parts = plan.closed, plan.positions, plan.generation, plan.charge, plan.discharge, plan.store_q, plan.shift
        key = t.to_bytes(4, "little") + b"".join(part[t].tobytes() for part in parts)
        if key not in self._known:
            self._known[key] = _Known(slice_at(self.question, plan, t))
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]

    def _try(self, answers: Answers, rule: RecourseRule, plan: DayPlan, t: int, rows: Ints) -> None:
        """Evaluate what a rule does in the realisations of these rows, and keep it where it is better."""
        realisations = answers.realisations[rows]
        recourse = rule.at(self.question, plan, t, realisations)
        answers.improve(rows, self.evaluator.evaluation(plan, t, realisations, recourse), recourse)

    def _between(self, answers: Answers, plan: DayPlan, t: int) -> None:
        """Where a recourse keeps the limits and another one is cheaper and does not, look between them."""
        for _ in range(BETWEEN):
            rows, recourse = answers.between()
            if not len(rows):
                return
            answers.improve(rows, self.evaluator.evaluation(plan, t, answers.realisations[rows], recourse), recourse)

    def _solve(self, known: _Known, plan: DayPlan, t: int, realisation: Floats) -> bool:
        """Solve a realisation and tighten its limits until the exact flow keeps them; False where the solver fails."""
        names = self.cone.limits(t)
        current_bounds = (
            self._current_bounds.at(t, plan.closed[t], realisation, plan) if self._current_bounds.pays(t) else None
        )
        first = None if current_bounds is None else self.cone.solve(t, known.seen, realisation)
        own, best, least, tight = -np.inf, None, np.inf, np.zeros(len(names))
        for _ in range(TIGHTENED):
            solution = self.cone.solve(t, known.seen, realisation, tight, current_bounds)
            self.solved += 1
            if solution is None and current_bounds is not None:  # it holds only for what keeps the limits
                current_bounds = None
                continue
            if solution is None:
                break
            first = first or solution
            own = solution.value if best is None else own
            rule = rule_of(self.question, t, solution.recourse, realisation)
            recourse = rule.at(self.question, plan, t, realisation[None, :])
            evaluation = self.evaluator.evaluation(plan, t, realisation[None, :], recourse)
            violation = float(evaluation.violations[0])
            if violation < least or best is None:
                best, least = rule, violation
            if violation == 0.0 or first.excess > LEAST_POWER * 1e-2:
                break
            beyond = evaluation.excess[0, [LIMITS.index(name) for name in names]] - LIMIT_TOLERANCE
            tight = tight + np.where(beyond > 0.0, beyond + INSIDE, 0.0)
        if first is None or best is None:
            return False
        known.realisations.append(realisation)
        known.values.append(first.value)
        known.own.append(own)
        known.slopes.append(first.slope)
        known.rules.append(best)
        known.missed.append(first.excess)
        return True


# Costs of a plan in every realisation of every period. All operations are found to a tolerance, good enough wherever
# one does not decide; what may decide, the realisations of the worst day by the costs at hand, is solved to the end.


class PlanValues:
    """Costs of a plan in V_t realisations of every period t.

    Attributes:
        costs: T arrays (V_t) in $ of verified operations, schedule apart; inf where none is known to keep the limits.
        violations: T arrays (V_t) of the best operation known. solved: T arrays (V_t) whether the cone program was.
        impossible: (t, v) where even the cone program keeps no limits.
    """

    def __init__(
        self,
        plan: DayPlan,
        finder: HourRecourseFinder,
        realisations: Sequence[Floats],
        tolerance: float | None = None,
        over: Callable[[], bool] = never,
        guides: Mapping[int, tuple[Floats, HourRecourse]] | None = None,
    ) -> None:
        """Operations to a tolerance, see `HourRecourseFinder.best`.

        Args:
            plan: of the day. finder: of its recourses. realisations: T arrays (V_t, U). tolerance, over: of `best`.
            guides: by period a realisation and what may be done in it, so that something is known whatever the time.
        """
        self.plan, self._realisations, self._finder = plan, realisations, finder
        for t, (realisation, recourse) in (guides or {}).items():
            finder.guide(plan, t, realisation, recourse)
        found = [finder.best(plan, t, some, tolerance, over) for t, some in enumerate(realisations)]
        self.costs = [np.where(each.violations > 0.0, np.inf, each.costs) for each in found]
        self.violations, self.recourses = [each.violations for each in found], [each.recourse for each in found]
        self.solved = [np.zeros(len(some), dtype=np.bool_) for some in realisations]
        self.impossible = [(t, int(v)) for t, each in enumerate(found) for v in np.flatnonzero(each.impossible)]
        self.schedule_cost = float(finder.evaluator.schedule_costs(plan).sum())

    def solve(self, t: int, v: int) -> None:
        """Solve the cone program of a realisation and take its recourse if it is better."""
        if self.solved[t][v]:
            return
        self.solved[t][v] = True
        found = self._finder.best(self.plan, t, self._realisations[t][v : v + 1], 0.0)
        if found.violations[0] == 0.0 and found.costs[0] < self.costs[t][v]:
            self.costs[t][v], self.violations[t][v] = found.costs[0], 0.0
            self.recourses[t].put(np.array([v]), found.recourse)

    def broken(self) -> bool:
        """Whether in some realisation no operation is known to keep the limits."""
        return any(bool(np.isinf(costs).any()) for costs in self.costs)

    def recourse(self, choice: Ints | Sequence[int]) -> HourRecourse:
        """Of a day, by the number of its realisation in every period."""
        return HourRecourse.of(self.recourses[t].at([int(v)]) for t, v in enumerate(choice))


def operation(evaluator: DayEvaluator, plan: DayPlan, realisation: Floats, recourse: HourRecourse) -> Operation:
    """The operation of a plan on a day (T, U), by exact flow."""
    costs, violations = evaluator.schedule_costs(plan), np.zeros(len(realisation))
    for t, row in enumerate(realisation):
        cost, violation = evaluator.evaluate(plan, t, row[None, :], recourse.at([t]))
        costs[t], violations[t] = costs[t] + cost[0], violation[0]
    return Operation(plan, realisation, recourse, costs, violations)
