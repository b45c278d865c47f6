"""The objective over finitely many realisations: first-stage cost, risk of the recourse costs, and the share of
realisations that must keep the limits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats
from openpoint.twostage.ambiguity import ProbabilitySet, exactly
from openpoint.twostage.program import AnyProgram, ExactEvaluation, Goal
from openpoint.twostage.risk import probability_set
from openpoint.twostage.uncertainty import Box, Budget, Certain

SHARE_TOLERANCE = 1e-9
"""Rounding of sums of probabilities."""


@dataclass(frozen=True)
class Objective:
    """The objective f(x) + ρ(Q(x, ·) − W), with ρ the worst expectation over a set of probability vectors.

    W are the wait-and-see values where the risk is regret, else 0.

    Attributes:
        realisations: (K, m).
        probabilities: the set of probability vectors.
        wait_and_see_lower, wait_and_see_upper: (K) bounds of the wait-and-see values where the risk is regret; else 0.
        weights: (K) probabilities by which the share of realisations that keep the limits is counted.
        share: share of the probability in which the limits must be kept.
        floor: a lower bound of all recourse costs.
        goal: what the recourse is solved for.
    """

    realisations: Floats
    probabilities: ProbabilitySet
    wait_and_see_lower: Floats
    wait_and_see_upper: Floats
    weights: Floats
    share: float
    floor: float
    goal: Goal

    @property
    def count(self) -> int:
        """K."""
        return len(self.realisations)

    @property
    def risk_lower_bound(self) -> float:
        """A lower bound of ρ."""
        return self.probabilities.worst(self.floor - self.wait_and_see_upper)[0]

    def first_stage_cost(self, program: AnyProgram, decision: Floats) -> float:
        """f at a decision; 0 where the violation takes the place of the cost."""
        return 0.0 if self.goal is Goal.VIOLATION else program.first_stage_cost(decision)

    def value(self, cost: float, verdict: ExactEvaluation) -> float:
        """The objective by an exact evaluation, an upper bound; `inf` where too few realisations keep the limits."""
        return float(self.many(np.array([cost]), verdict.values[None, :], verdict.violations[None, :])[0])

    def many(self, costs: Floats, values: Floats, violations: Floats) -> Floats:
        """(C) the same for C decisions: first-stage costs (C), recourse costs and violations (C, K)."""
        violated = (violations > 0.0) @ self.weights
        good = (violated <= 1.0 - self.share + SHARE_TOLERANCE) & np.isfinite(costs)
        total = np.full(len(costs), np.inf)
        finite = good & np.isfinite(values).all(axis=1)
        if self.probabilities.only is not None:
            total[finite] = costs[finite] + (values[finite] - self.wait_and_see_lower) @ self.probabilities.only
            finite = good & ~finite & np.isfinite(values[:, self.probabilities.only > 0]).all(axis=1)
        for c in np.flatnonzero(finite):
            total[c] = costs[c] + self.probabilities.worst(values[c] - self.wait_and_see_lower)[0]
        return total

    def bound(self, cost: float, values: Floats) -> float:
        """The objective of lower bounds of the recourse costs, a lower bound."""
        return cost + self.probabilities.worst(values - self.wait_and_see_upper)[0]

    def worst_probabilities(self, values: Floats) -> Floats:
        """(K) the probabilities of the set under which the expectation of these costs is greatest."""
        return self.probabilities.worst(values - self.wait_and_see_lower)[1]


def objective_of(
    program: AnyProgram,
    *,
    violation: bool = False,
    wait_and_see: tuple[Floats, Floats] | None = None,
) -> Objective:
    """The objective of a program with a finite set of realisations.

    Args:
        program: the program.
        violation: the mean violation counts in place of the cost.
        wait_and_see: lower and upper bounds of the wait-and-see values, where the risk is regret.
    """
    uncertainty = program.uncertainty
    assert not isinstance(uncertainty, Box | Budget)
    count = len(uncertainty.values)
    equal = np.full(count, 1.0 / count)
    given = None if isinstance(uncertainty, Certain) else uncertainty.probabilities
    zero = np.zeros(count)
    lower, upper = wait_and_see if wait_and_see is not None and not violation else (zero, zero)
    return Objective(
        realisations=uncertainty.values,
        probabilities=exactly(equal) if violation else probability_set(uncertainty, program.risk),
        wait_and_see_lower=lower,
        wait_and_see_upper=upper,
        weights=equal if given is None else given,
        share=0.0 if violation else program.limits_share,
        floor=0.0 if violation else program.recourse_lower_bound,
        goal=Goal.VIOLATION if violation else Goal.COST if program.limits_share >= 1.0 else Goal.WITHOUT_LIMITS,
    )
