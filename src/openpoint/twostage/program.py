"""The two-stage program that a study gives to the methods: first stage, recourse, uncertainty.

A study gives a `TwoStageProgram`, and every method works on any such program. Models are written in CVXPY once and put
in standard form once; no method rebuilds them in its loop.

The objective over finitely many realisations: first-stage cost, risk of the recourse costs, and the share of
realisations that must keep the limits.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self, TypeAlias, TypeVar

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.solvers.modelling import cp
from openpoint.twostage.ambiguity import ProbabilitySet, exactly
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.risk import Risk, probability_set
from openpoint.twostage.uncertainty import Box, Budget, Certain, Uncertainty
from openpoint.twostage.workers.pool import never


@dataclass(frozen=True)
class Cone:
    """Rotated second-order cones, one for each entry: Σ_k u_k[i]² ≤ s[i] t[i], s, t ≥ 0. All parts are variables."""

    u: tuple[cp.Variable, ...]
    s: cp.Variable
    t: cp.Variable

    def constraint(self) -> cp.Constraint:
        """The cones as one CVXPY constraint."""
        return cp.SOC(self.s + self.t, cp.vstack([*(2 * u for u in self.u), self.s - self.t]), axis=0)


@dataclass(frozen=True)
class Limit:
    """Soft limits: excess[i] ≤ 0, where a positive excess is a violation and 1 is as much as the limit itself.

    Attributes:
        name: kind of limit.
        excess: affine vector.
    """

    name: str
    excess: cp.Expression


@dataclass(frozen=True)
class FirstStage:
    """The first stage: what is decided before the realisation is known.

    Attributes:
        decision: (n) vector x that couples the stages.
        integers: the integer variables.
        constraints: linear.
        cost: f(x), affine.
        binary: whether the decision is binary wherever the integers are integer.
    """

    decision: cp.Variable
    integers: tuple[cp.Variable, ...]
    constraints: Sequence[cp.Constraint]
    cost: cp.Expression
    binary: bool = field(default=True, kw_only=True)


@dataclass(frozen=True)
class SecondStage:
    """The recourse: what is done once decision and realisation are known.

    All of it is affine in decision, realisation and own variables together, cones apart. So its value, integers
    relaxed, is convex in decision and realisation together: a cut found at one realisation holds at every other, and
    the value at a mean realisation is at most the mean of the values (Jensen).

    Attributes:
        constraints: linear.
        cones: second-order cones.
        limits: limits that some decisions may not keep.
        cost: g(y), affine.
        integers: the integer variables.
    """

    constraints: Sequence[cp.Constraint]
    cones: tuple[Cone, ...]
    limits: tuple[Limit, ...]
    cost: cp.Expression
    integers: tuple[cp.Variable, ...] = field(default=(), kw_only=True)

    def hard(self) -> SecondStage:
        """The stage with its limits as constraints."""
        kept = [*self.constraints, *(limit.excess <= 0 for limit in self.limits)]
        return SecondStage(kept, self.cones, (), self.cost, integers=self.integers)

    def without_limits(self) -> SecondStage:
        """The stage without its limits."""
        return SecondStage(self.constraints, self.cones, (), self.cost, integers=self.integers)

    def softened(self) -> SecondStage:
        """The least-violation problem: limits may be exceeded, the sum of the excesses is the cost."""
        slacks = [cp.Variable(limit.excess.shape) for limit in self.limits]
        kept = [limit.excess <= slack for limit, slack in zip(self.limits, slacks, strict=True)]
        kept += [slack >= 0 for slack in slacks]
        cost = cp.sum([cp.sum(slack) for slack in slacks]) if slacks else cp.Constant(0.0)
        return SecondStage([*self.constraints, *kept], self.cones, (), cost, integers=self.integers)

    def tolerant(self, most: float) -> SecondStage:
        """The stage whose limits may be exceeded by `most` in total, at no cost."""
        if not self.limits:
            return self
        soft = self.softened()
        return SecondStage([*soft.constraints, soft.cost <= most], self.cones, (), self.cost, integers=self.integers)


@dataclass(frozen=True)
class ExactEvaluation:
    """Cost and violation of a decision in K realisations by the exact model, where the recourse is a relaxation.

    Attributes:
        values: (K) exact recourse cost, limits kept or not; `inf` where no state exists.
        violations: (K) sum of the excesses of the limits, 0 where they are kept, `inf` where no state exists.
        state: data of the study's own, returned with the best decision.
        final: True if no other recourse can be better at this decision (nothing is dispatchable), so that a no-good
            cut with this cost is valid.
    """

    values: Floats
    violations: Floats
    state: object
    final: bool


EXACT = 1e-6
"""Relative difference of exact evaluation and recourse above which a no-good cut is added."""


def parts(cone: Cone) -> tuple[cp.Variable, ...]:
    """The variables of a cone in the order (u…, s, t)."""
    return (*cone.u, cone.s, cone.t)


def no_good(decision: Floats, cost: float, *, floor: float, distance_min: int) -> tuple[Floats, float, float]:
    """The no-good cut slopeᵀx + factor θ ≤ upper: at this decision θ ≥ cost, at every other only θ ≥ floor.

    With distance(x) = Σ_{x̂=0} x + Σ_{x̂=1} (1 − x), 0 here and at least `distance_min` at every other decision, it is
    θ ≥ cost − (cost − floor) distance / distance_min; a cost of inf forbids the decision.

    Returns:
        slope (n), factor of θ, upper.

    Theory: docs/methods.md M22.
    """
    away = np.where(decision > 0.5, -1.0, 1.0)
    ones = float((decision > 0.5).sum())
    if not np.isfinite(cost):
        return -away, 0.0, ones - distance_min
    steep = (cost - floor) / distance_min
    return -steep * away, -1.0, steep * ones - cost


@dataclass(frozen=True)
class RecourseBounds:
    """Bounds of the recourse cost at one binary decision x̂ in K realisations, known without solving the recourse.

    Attributes:
        lower: (K) lower bounds of the cost.
        slope: (K, n): at every decision x the cost is at least lower + slopeᵀ(x − x̂).
        least: (K) lower bounds of the cost at x̂ alone, at least `lower`.
        upper: (K) costs of recourses that are known; `inf` where none is.
        may_improve: (K, n) entries that, where they become one, may lower the cost at x̂ by more than their slope.
        cost_keys: (K) keys; equal keys, at whatever decisions and in whatever realisations, mean equal costs.
    """

    lower: Floats
    slope: Floats
    least: Floats
    upper: Floats
    may_improve: Bools
    cost_keys: tuple[bytes, ...]


@dataclass(frozen=True)
class ReducedProgram:
    """A smaller program with the same recourse cost at one decision: without variables that must be 0 there.

    Attributes:
        key: equal keys mean equal programs. program, decision: the program, and the decision in it.
    """

    key: bytes
    program: AnyProgram
    decision: Floats


@dataclass(frozen=True)
class AddedBounds:
    """Lower bounds where deferred entries are added to a decision x̂ that has none of them.

    Attributes:
        entries: (J) numbers of the deferred entries.
        cost: (J, J) first-stage cost with two of them, on the diagonal with one; inf where they may not be added.
        recourse: (K, J, J) lower bounds of the recourse cost with them.
        more_cost: (M + 1) least first-stage cost with so many of them, whichever they are, up to the most that may be
            added; more: (K, M + 1) lower bounds of the recourse cost with so many.
    """

    entries: Ints
    cost: Floats
    recourse: Floats
    more_cost: Floats
    more: Floats

    def savings(self, least: Floats) -> Floats:
        """(K, J) savings below `least` (K), lower bounds of the recourse cost at x̂, such that any number of the entries
        saves no more than the sum of theirs."""
        saved = np.maximum(least[:, None, None] - self.recourse, 0.0)
        one = np.einsum("kjj->kj", saved)
        beyond = saved - one[:, :, None] - one[:, None, :]  # of two, beyond what each saves alone
        found = one + 0.5 * np.maximum(beyond.max(axis=2, initial=0.0), 0.0)
        for number in range(3, self.more.shape[1]):
            each = np.maximum(least - self.more[:, number], 0.0) / number
            found = np.maximum(found, each[:, None])
        return np.asarray(found)


F = TypeVar("F", bound=FirstStage)
S = TypeVar("S", bound=SecondStage)
F_contra = TypeVar("F_contra", bound=FirstStage, contravariant=True)
S_contra = TypeVar("S_contra", bound=SecondStage, contravariant=True)


class PlainProgram(Protocol[F_contra, S_contra]):
    """What a program may leave out, with what holds then. A study derives its program from it.

    A study may subclass FirstStage and SecondStage to find its own variables again in `valid_inequalities`.
    """

    @property
    def limits_share(self) -> float:
        """Share of the probability in which the limits must be kept, 1 = always; of the realisations without one."""
        return 1.0

    @property
    def distance_min(self) -> int:
        """Least number of entries in which two decisions differ (2 for exchanges); makes no-good cuts stronger."""
        return 1

    @property
    def integer_recourse(self) -> bool | None:
        """Whether the recourse has integers; None: it is not declared, and the model is built once to ask it."""
        return None

    def valid_inequalities(
        self, first: F_contra, recourse: S_contra, realisation: Floats, *, most: float, limits: bool
    ) -> Sequence[cp.Constraint]:
        """Inequalities that every decision of interest and its recourse keep, for models that contain both.

        With `limits` they may cut off decisions that break limits, and those where f + recourse cost exceeds `most`.
        """
        return []

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """Decisions that are evaluated before anything is solved, today's first; fewer where it is stopped."""
        return []

    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """Up to `count` different decisions of the first stage near a fractional one; fewer where it is stopped."""
        return []

    def evaluate(
        self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None
    ) -> ExactEvaluation | None:
        """The exact evaluation of a decision; None where the recourse, with its integers, is itself exact.

        Args:
            decision: (n).
            realisations: (K, m).
            dispatch: for each realisation what `dispatch` names, at the recourse's optimum; None where there is none.
        """
        return None

    def dispatch(self, recourse: S_contra) -> cp.Variable | None:
        """The variables of the recourse that the exact evaluation needs, if any."""
        return None

    def recourse_bounds(
        self, decision: Floats, realisations: Floats, stop: Callable[[], bool] = never
    ) -> RecourseBounds | None:
        """Bounds of the cost of a recourse with integers that need no solve; None where the study has none.

        They require that the recourse never costs more where a binary decision has more ones.
        """
        return None

    def relaxed_cuts(
        self, decision: Floats, realisations: Floats, stop: Callable[[], bool] = never
    ) -> tuple[Floats, Floats] | None:
        """Cuts of a convex relaxation of the recourse: (K) values at a decision, which may be fractional, and (K, n)
        slopes, such that the cost at every x is at least value + slopeᵀ(x − decision); None where there are none."""
        return None

    def better_bounds(
        self,
        decision: Floats,
        realisation: Floats,
        programs: float = 0,
        gap: float = 0.0,
        stop: Callable[[], bool] = never,
    ) -> tuple[float, float]:
        """Bounds of the cost that take longer than those of `recourse_bounds`.

        Args:
            programs: 0, or most linear programs of a search that takes the place of the recourse and goes on where it
                ended; the upper bound is inf where there is none. gap: relative one to which it is solved.
        """
        return -np.inf, np.inf

    def reduced_program(self, decision: Floats) -> ReducedProgram | None:
        """A smaller program with the same recourse cost at a decision; None where there is none."""
        return None

    def deferred_entries(self) -> Bools | None:
        """(n) entries that are fixed at 0 until the best decision without them is found; None where there are none."""
        return None

    def added_bounds(self, decision: Floats, realisations: Floats, least: Floats) -> AddedBounds | None:
        """Bounds where deferred entries are added to a decision; None where nothing is known, or it has any of them.

        Args:
            least: (K) lower bounds of the recourse cost at the decision.
        """
        return None

    def deterministic_bounds(self, gap: float, deadline: Deadline | None = None) -> tuple[float, float] | None:
        """Lower and upper bound of the optimum where the only realisation is certain, to a relative gap.

        They are valid also where the deadline comes before they reach the gap. A gap of inf asks for any bounds, at
        once. None where the study has no method that is faster than the general ones.
        """
        return None


class TwoStageProgram(PlainProgram[F, S], Protocol[F, S]):
    """The two-stage program min f(x) + ρ_u [ Q(x, u) ], with Q the exact recourse cost.

    `recourse` gives Q, or a relaxation of it whose cost is not above Q. A program that derives from `PlainProgram` has
    all of this once it has what stands here.
    """

    @property
    def uncertainty(self) -> Uncertainty:
        """What is uncertain: the realisations u, (m) each."""
        ...

    @property
    def risk(self) -> Risk:
        """How the costs of the realisations become one."""
        ...

    @property
    def recourse_lower_bound(self) -> float:
        """A lower bound of all recourse costs; with it the first master is bounded."""
        ...

    def first_stage(self, *, with_recourse: bool) -> F:
        """Variables, constraints and cost of the decision; `with_recourse`: the same model contains a recourse."""
        ...

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> S:
        """The recourse at a decision (n) and a realisation (m), variables or numbers.

        With `limits`, only points that keep the limits are of interest.
        """
        ...

    def first_stage_cost(self, decision: Floats) -> float:
        """f at a decision."""
        ...

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> Self:
        """The same program with another uncertainty set and risk."""
        ...


AnyProgram: TypeAlias = TwoStageProgram[Any, Any]
"""A program of any type of first stage and recourse."""


class Goal(enum.Enum):
    """The objective of the recourse: cost with the limits kept, cost with the limits left out, or their violation."""

    COST = "cost"
    WITHOUT_LIMITS = "without limits"
    VIOLATION = "violation"


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
