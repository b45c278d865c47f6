"""The worst realisation of a polyhedral set where the recourse is linear: by all vertices, or by climbing with proof.

Violated limits come first, by the problem of least violation, which has no weights and whose multipliers the limits
themselves bound; costs count where no realisation breaks a limit. By climbing: what a climb finds is handed over, as
any realisation that breaks a limit teaches the master enough. Where climbs find none, an affine policy is the
certificate that there is none, and bounds the cost; where no policy exists, the dual of the least violation says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import cvxpy as cp
import numpy as np

from openpoint.twostage.affine import worst_by_policy
from openpoint.twostage.appraisal import MISSED, Finding
from openpoint.twostage.climbing import LinearRecourse, Priced, climb, starts_of
from openpoint.twostage.pool import never
from openpoint.twostage.program import Floats, Stage, TwoStageProgram
from openpoint.twostage.separation import DualSeparation
from openpoint.twostage.subproblem import Price
from openpoint.twostage.template import Template, template_of
from openpoint.twostage.uncertainty import Polyhedral, Uncertainty

STARTS = 8
"""Climbs from vertices at random, beside those from realisations that were bad before."""
REMEMBERED = 32
"""Bad realisations of earlier decisions that are tried first."""
FOUND_MOST = 64
"""Realisations that break limits and are handed over at once."""
COSTLY_MOST = 4
"""Realisations that cost most and are handed over at once."""
SPLITS = 5
"""Deviations that are decided one by one, both ways, where no affine policy serves all realisations."""

Found = tuple[float, tuple[Finding, ...]]
"""A bound that no realisation exceeds, inf where one breaks limits, and what was found, the worst first."""


class LinearWorst:
    """Separation over one polyhedral set; compiled once, asked for many decisions."""

    def __init__(self, program: TwoStageProgram[Any, Any], template: Template, polyhedral: Polyhedral, n: int) -> None:
        """Compile.

        Args:
            program: the program. template: its recourse, without cones and integers.
            polyhedral: the set. n: length of the decision.
        """
        self._program, self._template, self._set, self._n = program, template, polyhedral, n
        tolerant: Any = _Tolerant(program, program.uncertainty)
        self._cost = LinearRecourse(template_of(tolerant, n), Price.COST)
        realisation = cp.Constant(polyhedral.origin)
        limits = program.recourse(cp.Variable(n), realisation, limits=False).limits
        self._violation = LinearRecourse(template_of(program, n, Price.VIOLATION), Price.VIOLATION) if limits else None
        self._dual: DualSeparation | None = None
        self._bad: list[Floats] = []

    def by_vertices(
        self, decision: Floats, vertices: Sequence[Floats], stop: Callable[[], bool] = never
    ) -> Found | None:
        """All vertices tried; None where stopped, or where a vertex has neither cost nor violation."""
        if self._violation is not None:
            broken = _all(lambda u: self._violated(decision, u), vertices, stop)
            if broken is None:
                return None
            if wrong := _worst([p for p in broken if p.value > MISSED], FOUND_MOST):
                return np.inf, _findings(wrong)
        costs = _all(lambda u: self._priced(decision, u), vertices, stop)
        if costs is None:
            return None
        worst = _worst(costs, COSTLY_MOST)
        return _bound(worst), _findings(worst)

    def by_climbing(self, decision: Floats, stop: Callable[[], bool] = never) -> Found | None:
        """See the module; None where stopped."""
        wrong = self._climbed(lambda u: self._violated(decision, u), MISSED)
        if wrong is not None:
            return np.inf, _findings(wrong)
        costly = self._climbed(lambda u: self._priced(decision, u), -np.inf)
        if costly is None or stop():
            return None
        if not costly[0].response.feasible:
            return np.inf, _findings(costly)
        bound = worst_by_policy(self._template, self._set, decision, stop)
        if bound is None:
            wrong = self._by_dual(decision)
            if wrong is not None:
                return np.inf, _findings(wrong)
            bound = self._by_splits(decision, costly[0], stop)
        return max(bound, costly[0].value), _findings(costly)

    def violation(self, decision: Floats) -> Found | None:
        """The largest of the least violations, climbed, with the bound of the dual; None where there are no limits."""
        if self._violation is None:
            return None
        climbed = self._climbed(lambda u: self._violated(decision, u), -np.inf) or []
        exact = self._dual_of_violation().worst(decision)
        there = self._violated(decision, exact.realisation)
        worst = _worst([p for p in (*climbed, there) if p is not None], COSTLY_MOST)
        return max(exact.bound, 0.0), _findings(worst)

    def _violated(self, decision: Floats, realisation: Floats) -> Priced | None:
        return None if self._violation is None else self._violation.at(decision, realisation)

    def _priced(self, decision: Floats, realisation: Floats) -> Priced | None:
        """The cost; where even a tolerant recourse has none, the violation."""
        return self._cost.at(decision, realisation) or self._violated(decision, realisation)

    def _climbed(self, price: Callable[[Floats], Priced | None], least: float) -> list[Priced] | None:
        """What climbs met above `least`, the worst first; None if nothing."""
        met: list[Priced] = []

        def priced(u: Floats) -> Priced | None:
            if (there := price(u)) is not None and there.value > least:
                met.append(there)
            return there

        best = climb(priced, self._set, [*self._bad, *starts_of(self._set, STARTS)])
        if best is None or not met:
            return None
        self._bad = [best.realisation, *(u for u in self._bad if (u != best.realisation).any())][:REMEMBERED]
        return _worst(met, FOUND_MOST if least > 0.0 else COSTLY_MOST)

    def _by_dual(self, decision: Floats) -> list[Priced] | None:
        """A realisation that breaks limits, if there is one."""
        if self._violation is None:
            return None
        there = self._violated(decision, self._dual_of_violation().worst(decision).realisation)
        return [there] if there is not None and there.value > MISSED else None

    def _dual_of_violation(self) -> DualSeparation:
        if self._dual is None:
            self._dual = DualSeparation(_Softened(self._program, self._program.uncertainty), self._n)  # type: ignore[arg-type]
        return self._dual

    def _by_splits(self, decision: Floats, costly: Priced, stop: Callable[[], bool]) -> float:
        """A bound of the cost by one policy for each way in which some deviations are decided; inf if that fails."""
        order = np.argsort(-np.abs(costly.response.slope_u @ self._set.steps), kind="stable")[:SPLITS]

        def bounded(polyhedral: Polyhedral, left: Sequence[int]) -> float:
            value = worst_by_policy(self._template, polyhedral, decision, stop)
            if value is not None:
                return value
            if not left or stop():
                return np.inf
            return max(bounded(decided(polyhedral, left[0], way), left[1:]) for way in (0.0, 1.0))

        return max(bounded(decided(self._set, int(order[0]), way), [int(a) for a in order[1:]]) for way in (0.0, 1.0))


def decided(polyhedral: Polyhedral, a: int, way: float) -> Polyhedral:
    """The face of a set where ζ_a is 0 or 1; its number stays, without effect."""
    steps, rows = polyhedral.steps.copy(), polyhedral.rows.copy()
    steps[:, a], rows[:, a] = 0.0, 0.0
    upper = polyhedral.upper - way * polyhedral.rows[:, a]
    return replace(
        polyhedral, origin=polyhedral.origin + way * polyhedral.steps[:, a], steps=steps, rows=rows, upper=upper
    )


@dataclass(frozen=True)
class _Softened:
    """A program whose recourse is the problem of least violation."""

    program: TwoStageProgram[Any, Any]
    uncertainty: Uncertainty

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> Stage:
        stage: Stage = self.program.recourse(decision, realisation, limits=False)
        return stage.softened()

    def dispatch(self, recourse: Stage) -> cp.Variable | None:
        return None


@dataclass(frozen=True)
class _Tolerant:
    """A program whose recourse keeps its limits up to what no violation is.

    A decision that the master holds to be just feasible has a cost then, not a violation of the last digit.
    """

    program: TwoStageProgram[Any, Any]
    uncertainty: Uncertainty

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> Stage:
        stage: Stage = self.program.recourse(decision, realisation, limits=limits)
        if not stage.limits:
            return stage
        soft = stage.softened()
        kept = [*soft.constraints, soft.cost <= 2.0 * MISSED]
        return Stage(kept, stage.cones, (), stage.cost, integers=stage.integers)

    def dispatch(self, recourse: Stage) -> cp.Variable | None:
        return None


def linear_worst(program: TwoStageProgram[Any, Any], n: int, polyhedral: Polyhedral) -> LinearWorst | None:
    """The separation of a program, if its recourse has neither cones nor integers."""
    template = template_of(program, n)
    if template.cones or len(template.form.integers):
        return None
    return LinearWorst(program, template, polyhedral, n)


def _all(
    price: Callable[[Floats], Priced | None], vertices: Sequence[Floats], stop: Callable[[], bool]
) -> list[Priced] | None:
    found = []
    for u in vertices:
        if stop() or (there := price(u)) is None:
            return None
        found.append(there)
    return found


def _worst(priced: Sequence[Priced], most: int) -> list[Priced]:
    """The worst first, violations before costs."""
    return sorted(priced, key=lambda p: (p.response.feasible, -p.value))[:most]


def _bound(worst: Sequence[Priced]) -> float:
    return worst[0].value if worst[0].response.feasible else np.inf


def _findings(priced: Sequence[Priced]) -> tuple[Finding, ...]:
    return tuple(Finding(0, p.realisation, p.response) for p in priced)
