"""What is done in a period once the realisation is known: recourses found for many realisations, with proven bounds.

The cost of the best recourse is convex in the realisation. So a convex recourse that was solved in one realisation
bounds the cost in every other from below, by its slope; and what it does there, cut to what is available elsewhere,
is an operation that the exact power flow evaluates. Only realisations where these bounds do not meet are solved
themselves.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network.day import DayPlan, HourRecourse
from openpoint.network.limits import LEAST_POWER, LIMIT_TOLERANCE
from openpoint.studies.dispatch.day.model.answers import Answers
from openpoint.studies.dispatch.day.model.evaluation import LIMITS, DayEvaluator
from openpoint.studies.dispatch.day.model.hour_cone import INSIDE, HourCone, HourNumbers, hour_numbers
from openpoint.studies.dispatch.day.model.loss_ceiling import LossCeilings
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.rules import RecourseRule, rule_of

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


@dataclass(frozen=True)
class HourAnswers:
    """Recourses of a period in K realisations.

    Attributes:
        costs: (K) in $ by exact AC power flow, the schedule's own cost apart; inf where no flow exists.
        violations: (K) see `DayEvaluator.evaluate`. lower: (K) no recourse that keeps the limits costs less, in $.
        recourse: what is done.
    """

    costs: Floats
    violations: Floats
    lower: Floats
    recourse: HourRecourse


@dataclass
class _Known:
    """The recourses of a period of a plan that were solved: realisations (M, U), bounds and what is done.

    Attributes:
        numbers: of the period. realisations, slopes: (U) each. values: lower bounds in $. rules: what is done.
        own: bounds in $ of the realisations alone.
    """

    numbers: HourNumbers
    realisations: list[Floats] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    slopes: list[Floats] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    rules: list[RecourseRule] = field(default_factory=list)

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

    def holds(self, realisations: Floats) -> Bools:
        """(K) whether a realisation itself was solved."""
        solved = np.zeros(len(realisations), dtype=np.bool_)
        for at in self.realisations:
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
        self._ceilings = LossCeilings(question)
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
        return HourAnswers(answers.costs, answers.violations, answers.lower, answers.recourse)

    def _of(self, plan: DayPlan, t: int) -> _Known:
        parts = plan.closed, plan.positions, plan.generation, plan.charge, plan.discharge, plan.store_q, plan.shift
        key = t.to_bytes(4, "little") + b"".join(part[t].tobytes() for part in parts)
        if key not in self._known:
            self._known[key] = _Known(hour_numbers(self.question, plan, t))
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
        numbers, names = known.numbers.at(realisation), self.cone.limits(t)
        ceiling = self._ceilings.at(t, plan.closed[t], realisation, plan) if self._ceilings.pays(t) else None
        first = None if ceiling is None else self.cone.solve(t, numbers)
        own, best, least, tight = -np.inf, None, np.inf, np.zeros(len(names))
        for _ in range(TIGHTENED):
            solution = self.cone.solve(t, numbers, tight, ceiling)
            self.solved += 1
            if solution is None and ceiling is not None:  # it holds only for what keeps the limits
                ceiling = None
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
        known.slopes.append(np.asarray(known.numbers.by_realisation.T @ first.slope))
        known.rules.append(best)
        return True
