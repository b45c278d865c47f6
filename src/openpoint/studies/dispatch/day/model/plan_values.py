"""Costs of a plan in every realisation of every period: an operation, verified by exact AC flow, and a lower bound.

An operation is first guessed by that of another realisation of the period, of the copy that counts most in the master:
nothing more is curtailed or shed, the reactive power stays. A guess is an upper bound of the cost, good enough wherever
it does not decide. What may decide is solved by the cone program of the period, with the plan as numbers; its recourse
is an operation, and its dual value a bound. Which realisations these are, the caller knows: those of the worst day by
the bounds at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.network.day import DayPlan, HourRecourse, available_power, load_factors, shed_power
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import DayMaster, MasterAnswer
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.hour_block import no_recourse, recourse_of, slice_at
from openpoint.studies.dispatch.day.model.question import DayQuestion, Operation

SHARES = 21
"""Shares of the available power that are tried where the recourse of the cone program breaks limits."""


class PlanValues:
    """Costs of a plan in V_t realisations of every period t.

    Attributes:
        costs: T arrays (V_t) in $ of verified operations, schedule apart; inf where none is known to keep the limits.
        violations: T arrays (V_t) of the best operation known. solved: T arrays (V_t) whether the cone program was.
        impossible: (t, v) where even the cone program keeps no limits.
    """

    def __init__(
        self,
        master: DayMaster,
        answer: MasterAnswer,
        plan: DayPlan,
        finder: HourRecourseFinder,
        realisations: Sequence[Floats],
    ) -> None:
        """Guess an operation for every realisation.

        Args:
            master: with its copies. answer: its solution. plan: of it.
            finder: of recourses where those of the cone program break limits. realisations: T arrays (V_t, U).
        """
        self.plan, self._master, self._realisations = plan, master, realisations
        self._finder, self._evaluator = finder, finder.evaluator
        self._slices = [slice_at(master.question, plan, t) for t in range(len(realisations))]
        self.costs = [np.full(len(some), np.inf) for some in realisations]
        self.violations = [np.full(len(some), np.inf) for some in realisations]
        self.solved = [np.zeros(len(some), dtype=np.bool_) for some in realisations]
        self.recourses = [no_recourse(master.question, len(some)) for some in realisations]
        self.impossible: list[tuple[int, int]] = []
        self.schedule_cost = float(finder.evaluator.schedule_costs(plan).sum())
        guides: dict[int, tuple[Floats, HourRecourse]] = {}
        binding, best = _binding(master, answer), dict[int, float]()
        for copy, own, weight in zip(master.copies, answer.own, binding, strict=True):
            recourse = recourse_of(master.question, copy.t, copy.template, copy.block, own)
            if weight > best.get(copy.t, -1.0):
                best[copy.t], guides[copy.t] = float(weight), (copy.realisation, recourse)
            same = np.flatnonzero((realisations[copy.t] == copy.realisation).all(axis=1))
            self._offer(copy.t, same, recourse.at(np.zeros(len(same), dtype=np.int64)))
        for t, some in enumerate(realisations):
            if t in guides:
                every = np.arange(len(some))
                self._offer(t, every, _guess(master.question, t, *guides[t], some))

    def solve(self, t: int, v: int) -> None:
        """Solve the cone program of a realisation and offer its recourse."""
        if self.solved[t][v]:
            return
        self.solved[t][v] = True
        realisation = self._realisations[t][v]
        template, block = self._master.block(t, inside=True)
        parts = t, realisation, self.plan, self._slices[t]
        answer = self._master.solve_hour(*parts, inside=True)
        if answer.status is Status.INFEASIBLE:
            if self._master.solve_hour(*parts, inside=False).status is Status.INFEASIBLE:
                self.impossible.append((t, v))
        elif answer.x is not None:
            recourse = recourse_of(self._master.question, t, template, block, answer.x)
            self._offer(t, np.array([v]), recourse)

    def improve(self, t: int, over: Callable[[], bool], tolerance: float | None = None) -> None:
        """Offer what the finder does in every realisation of a period, to its tolerance or to another; `over`: as of
        the finder."""
        found = self._finder.best(self.plan, t, self._realisations[t], tolerance, over)
        self._offer(t, np.arange(len(self._realisations[t])), found.recourse)

    def repair(self) -> None:
        """Solve realisations in which no operation is known to keep the limits, tightened where the exact flow asks for
        it; what keeps them in one is tried in the others."""
        for t, costs in enumerate(self.costs):
            for v in np.flatnonzero(np.isinf(costs)):
                if np.isinf(costs[v]):
                    self.solve(t, int(v))
                    self._try_elsewhere(t, int(v))
            impossible = [v for at, v in self.impossible if at == t]
            left = np.setdiff1d(np.flatnonzero(np.isinf(self.costs[t])), impossible)
            if len(left):
                found = self._finder.best(self.plan, t, self._realisations[t][left])
                self._offer(t, left, found.recourse)
            for v in left[np.isinf(self.costs[t][left])]:
                self._curtail(t, int(v))

    def _try_elsewhere(self, t: int, v: int) -> None:
        """Offer what keeps the limits in a realisation in all those where nothing is known to."""
        lost = np.flatnonzero(np.isinf(self.costs[t]))
        if len(lost) and np.isfinite(self.costs[t][v]):
            own = self.recourses[t].at([v])
            known, some = self._realisations[t][v], self._realisations[t][lost]
            self._offer(t, lost, _guess(self._master.question, t, known, own, some))

    def _curtail(self, t: int, v: int) -> None:
        """Try the same share of what is available at all renewable sources, with reactive power taken in or none.

        Where an upper limit of voltage binds, the cone program keeps it by losses that the exact flow does not have,
        and its recourse is of no use.
        """
        day, realisation = self._master.question.day, self._realisations[t][v]
        available, s_max = available_power(day, t, realisation), day.renewables.s_max
        most = np.where(s_max > 0.0, np.minimum(available, s_max), available)
        low, high = 0.0, 1.0
        for _ in range(2):
            shares = np.linspace(low, high, SHARES)
            p = np.repeat(shares[:, None] * most, 3, axis=0)
            taken = np.tile(np.array([0.0, 0.5, 1.0]), SHARES)[:, None]
            q = -taken * np.sqrt(np.maximum(s_max**2 - p**2, 0.0))
            recourse = no_recourse(self._master.question, len(p))
            recourse.renewable[:] = p + 1j * q
            rows = np.repeat(realisation[None, :], len(p), axis=0)
            costs, violations = self._evaluator.evaluate(self.plan, t, rows, recourse)
            best = int(np.argmin(np.where(violations > 0.0, np.inf, costs)))
            self._offer(t, np.array([v]), recourse.at([best]))
            step = (high - low) / (SHARES - 1)
            low, high = max(shares[best // 3] - step, 0.0), min(shares[best // 3] + step, 1.0)

    def broken(self) -> bool:
        """Whether in some realisation no operation is known to keep the limits."""
        return any(bool(np.isinf(costs).any()) for costs in self.costs)

    def recourse(self, choice: Ints | Sequence[int]) -> HourRecourse:
        """Of a day, by the number of its realisation in every period."""
        return HourRecourse.of(self.recourses[t].at([int(v)]) for t, v in enumerate(choice))

    def _offer(self, t: int, some: Ints, recourse: HourRecourse) -> None:
        """Keep operations of realisations where they are the best known."""
        if not len(some):
            return
        costs, violations = self._evaluator.evaluate(self.plan, t, self._realisations[t][some], recourse)
        kept = np.where(violations > 0.0, np.inf, costs)
        lost = np.isinf(self.costs[t][some])
        better = (kept < self.costs[t][some]) | (lost & (violations < self.violations[t][some]))
        at = some[better]
        self.costs[t][at], self.violations[t][at] = kept[better], violations[better]
        self.recourses[t].put(at, recourse.at(np.flatnonzero(better)))


def operation(evaluator: DayEvaluator, plan: DayPlan, realisation: Floats, recourse: HourRecourse) -> Operation:
    """The operation of a plan on a day (T, U), by exact flow."""
    costs, violations = evaluator.schedule_costs(plan), np.zeros(len(realisation))
    for t, row in enumerate(realisation):
        cost, violation = evaluator.evaluate(plan, t, row[None, :], recourse.at([t]))
        costs[t], violations[t] = costs[t] + cost[0], violation[0]
    return Operation(plan, realisation, recourse, costs, violations)


def _binding(master: DayMaster, answer: MasterAnswer) -> Floats:
    """How much each copy counts in a solution of the master: the weights of the days that have it.

    What a copy that does not count has for a recourse is not its best, only one that costs no more than is allowed.
    """
    weights = np.zeros(len(answer.own))
    if answer.weights is not None:
        for day, weight in zip(master.days, answer.weights, strict=True):
            weights[list(day.copies)] += max(float(weight), 0.0) * np.array(day.shares)
    return weights


def _guess(
    question: DayQuestion, t: int, realisation: Floats, recourse: HourRecourse, realisations: Floats
) -> HourRecourse:
    """The recourse of one realisation for others: shares of what is available and of the load, reactive power as far as
    the inverters allow."""
    day, s_max = question.day, question.day.renewables.s_max
    available = available_power(day, t, realisations)
    was = available_power(day, t, realisation[None, :])
    used = np.where(was > 0.0, recourse.renewable.real / np.where(was > 0.0, was, 1.0), 1.0)
    p = np.minimum(available * np.clip(used, 0.0, 1.0), np.where(s_max > 0.0, s_max, np.inf))
    room = np.sqrt(np.maximum(s_max**2 - p**2, 0.0))
    q = np.clip(recourse.renewable.imag, -room, room)
    here, there = load_factors(day, realisation[None, :]), load_factors(day, realisations)
    active, reactive = there.real / np.maximum(here.real, 1e-9), there.imag / np.maximum(here.imag, 1e-9)
    share = np.minimum(np.minimum(active, reactive).min(axis=1, keepdims=True), 1.0)
    shed = shed_power(day, t, active * recourse.shed.real, reactive * np.abs(recourse.shed.imag))
    return HourRecourse(p + 1j * q, shed, share * recourse.shift)
