"""The best recourses that are known of a period in many realisations, while they are looked for."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network.day import HourRecourse
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.studies.dispatch.day.model.evaluation import LIMITS, HourEvaluation
from openpoint.studies.dispatch.day.model.question import DayQuestion


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
        _put(self.recourse, taken, recourse, better)
        missing = (violations > 0.0) & (violations < self._missed[rows])
        taken = rows[missing]
        self._missed[taken], self._missed_cost[taken] = violations[missing], costs[missing]
        self._missed_excess[taken] = evaluation.excess[missing]
        _put(self._missing, taken, recourse, missing)

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


END = 0.98 * LIMIT_TOLERANCE
"""Excess at which the way between two recourses ends."""


def no_recourse(question: DayQuestion, count: int) -> HourRecourse:
    """Nothing is fed in, shed or moved, `count` times."""
    n, r = question.network.n_terminals, question.day.renewables.count
    fed, moved = (np.zeros((count, size), dtype=np.complex128) for size in (r, n))
    return HourRecourse(fed, np.zeros((count, n)), moved)


def _put(whole: HourRecourse, rows: Ints, part: HourRecourse, chosen: Bools) -> None:
    """Put the chosen rows of a recourse where `rows` says."""
    whole.renewable[rows] = part.renewable[chosen]
    whole.shed[rows] = part.shed[chosen]
    whole.shift[rows] = part.shift[chosen]
