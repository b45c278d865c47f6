"""The primal heuristic of hardening: a fractional plan is rounded within numbers and money."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import final

import numpy as np

from openpoint.arrays import Floats

NOISE = 0.3
"""Most that is added to an entry before it is rounded again."""
THRESHOLDS = 0.5, 0.25
"""Entries below are not bought, in turn."""


@final
@dataclass(frozen=True)
class BudgetRounding:
    """Rounding as in the greedy heuristic of the knapsack problem (Dantzig 1957): the largest entries first.

    Attributes:
        costs: (H + G) cost of each entry, lines before generators. n_lines: H.
        max_lines, max_generators, budget_usd: most to buy; None = any number.
    """

    costs: Floats
    n_lines: int
    max_lines: int | None
    max_generators: int | None
    budget_usd: float | None

    def plans(self, decision: Floats, count: int) -> Iterable[Floats]:
        """Up to `count` different plans, after the first with noise added."""
        rng = np.random.default_rng(0)
        seen: set[bytes] = set()
        for k in range(count):
            weight = decision + (NOISE * rng.random(len(decision)) if k else 0.0)
            rounded = self._rounded(weight, threshold=THRESHOLDS[k % 2])
            if (key := rounded.tobytes()) not in seen:
                seen.add(key)
                yield rounded

    def _rounded(self, weight: Floats, *, threshold: float) -> Floats:
        """What is at or above the threshold, the heaviest first, within numbers and money."""
        left = [len(weight) if most is None else most for most in (self.max_lines, self.max_generators)]
        money = np.inf if self.budget_usd is None else self.budget_usd
        rounded = np.zeros(len(weight))
        for k in np.argsort(-weight, kind="stable"):
            kind = int(k >= self.n_lines)
            if weight[k] >= threshold and left[kind] > 0 and self.costs[k] <= money:
                rounded[k] = 1.0
                left[kind] -= 1
                money -= float(self.costs[k])
        return rounded
