"""The worst realisation of a polyhedral set where the recourse is linear: by all vertices, or by climbing and a proof.

Violations come first, by the problem of least violation, which needs no weights and whose multipliers are bounded;
costs count where no realisation breaks a limit. By climbing: any realisation that breaks a limit gives a cut, so the
first one found is enough. Where climbs find none, an affine policy proves that there is none, and bounds the cost;
where no policy exists, the dual of the least violation decides.

Vertices are evaluated by the workers, in blocks. Climbs run in this process: with a warm start they take milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Floats
from openpoint.twostage.goal import Goal
from openpoint.twostage.recourse.evaluation import Finding, RecourseSolver
from openpoint.twostage.recourse.subproblem import VIOLATION_MIN
from openpoint.twostage.recourse.template import Template
from openpoint.twostage.uncertainty import Polyhedral
from openpoint.twostage.workers.pool import Workers, never
from openpoint.twostage.worst_case.affine import worst_by_policy
from openpoint.twostage.worst_case.climbing import EvaluatedRealisation, LinearRecourse, climb, starting_points
from openpoint.twostage.worst_case.separation import DualSeparation

STARTS = 8
"""Climbs from random vertices, besides those from bad realisations of earlier decisions."""
REMEMBERED = 32
"""Bad realisations of earlier decisions that are evaluated first."""
FOUND_MOST = 64
"""Most realisations that break limits in one answer."""
COSTLY_MOST = 4
"""Most realisations of the largest cost in one answer."""
SPLITS = 5
"""Most ζ that are set to 0 and 1 one after the other, where no affine policy keeps all rows."""

BLOCK = 64
"""Vertices in a block, which are evaluated one after the other, each with a warm start from the one before."""

WorstFindings = tuple[float, tuple[Finding, ...]]
"""An upper bound of the cost in all realisations, inf where one breaks limits, and the findings, the worst first."""


class LinearWorst:
    """Separation over one polyhedral set; compiled once, used for many decisions."""

    def __init__(self, template: Template, violation: Template | None, polyhedral: Polyhedral) -> None:
        """Load the recourse into the solver.

        Args:
            template: the recourse, without cones and integers. violation: that of least violation, if it has limits.
            polyhedral: the set.
        """
        self._template, self._least, self._set = template, violation, polyhedral
        # With the tolerance below which nothing is a violation, a decision that is just feasible in the master has a
        # cost, not a violation by rounding. Policies use the recourse without: with it, equal limits become ranges.
        cost = template.tolerant(2.0 * VIOLATION_MIN)
        self._cost = LinearRecourse(cost, Goal.COST)
        self._violation = None if violation is None else LinearRecourse(violation, Goal.VIOLATION)
        self._vertices = VertexWork(cost, violation)
        self._dual: DualSeparation | None = None
        self._bad: list[Floats] = []

    def by_vertices(
        self, decision: Floats, vertices: Floats, workers: Workers, stop: Callable[[], bool] = never
    ) -> WorstFindings | None:
        """The worst of all vertices (K, m); None where stopped, or where a vertex has neither cost nor violation."""
        blocks = [vertices[k : k + BLOCK] for k in range(0, len(vertices), BLOCK)]
        for goal in (Goal.VIOLATION, Goal.COST):
            answers = workers.run(self._vertices, [(decision, block, goal) for block in blocks], stop)
            if answers is None or any(answer is None for answer in answers):
                return None
            met = [p for answer in answers for p in answer or []]
            if met and goal is Goal.VIOLATION:
                return np.inf, _findings(_worst(met, FOUND_MOST))
        worst = _worst(met, COSTLY_MOST)
        return worst[0].value if worst[0].response.feasible else np.inf, _findings(worst)

    def by_climbing(self, decision: Floats, stop: Callable[[], bool] = never) -> WorstFindings | None:
        """The worst realisation by climbing and its proof, as the module describes; None where stopped."""
        wrong = self._climbed(lambda u: self._violated(decision, u), VIOLATION_MIN, stop)
        if wrong is not None:
            return np.inf, _findings(wrong)
        return self._costed(decision, stop, doubtful=True)

    def by_dual(self, decision: Floats, stop: Callable[[], bool] = never) -> WorstFindings | None:
        """Violations by the dual only, the cost as by climbing; the dual of the cost where there are no limits.

        None where stopped.
        """
        if self._violation is None:
            worst = self._dual_of(self._template).worst(decision, stop)
            there = None if worst is None else self._priced(decision, worst.realisation)
            return None if worst is None or there is None else (worst.bound, _findings([there]))
        wrong = self._broken(decision, stop)
        if wrong is None:
            return None
        return (np.inf, _findings(wrong)) if wrong else self._costed(decision, stop, doubtful=False)

    def _costed(self, decision: Floats, stop: Callable[[], bool], *, doubtful: bool) -> WorstFindings | None:
        """The worst cost where no violation was found; `doubtful`: it is not proven that there is none."""
        costly = self._climbed(lambda u: self._priced(decision, u), -np.inf, stop)
        if costly is None or stop():
            return None
        if not costly[0].response.feasible:
            return np.inf, _findings(costly)
        bound = worst_by_policy(self._template, self._set, decision, stop)
        if bound is None and doubtful:
            wrong = self._broken(decision, stop)
            if wrong is None:
                return None
            if wrong:
                return np.inf, _findings(wrong)
        if bound is None:
            bound = self._by_splits(decision, costly[0], stop)
        return max(bound, costly[0].value), _findings(costly)

    def violation(self, decision: Floats, stop: Callable[[], bool] = never) -> WorstFindings | None:
        """The largest of the least violations, climbed, with the bound of the dual.

        None where there are no limits, or stopped.
        """
        if self._least is None:
            return None
        climbed = self._climbed(lambda u: self._violated(decision, u), -np.inf, stop) or []
        exact = self._dual_of(self._least).worst(decision, stop)
        if exact is None:
            return None
        there = self._violated(decision, exact.realisation)
        worst = _worst([p for p in (*climbed, there) if p is not None], COSTLY_MOST)
        return max(exact.bound, 0.0), _findings(worst)

    def _violated(self, decision: Floats, realisation: Floats) -> EvaluatedRealisation | None:
        return None if self._violation is None else self._violation.at(decision, realisation)

    def _priced(self, decision: Floats, realisation: Floats) -> EvaluatedRealisation | None:
        """The cost; where even a tolerant recourse has none, the violation."""
        return self._cost.at(decision, realisation) or self._violated(decision, realisation)

    def _climbed(
        self, price: Callable[[Floats], EvaluatedRealisation | None], least: float, stop: Callable[[], bool]
    ) -> list[EvaluatedRealisation] | None:
        """Realisations that climbs found with a value above `least`, the worst first; None if there are none."""
        met: list[EvaluatedRealisation] = []

        def priced(u: Floats) -> EvaluatedRealisation | None:
            if (there := price(u)) is not None and there.value > least:
                met.append(there)
            return there

        best = climb(priced, self._set, [*self._bad, *starting_points(self._set, STARTS)], stop)
        if best is None or not met:
            return None
        self._bad = [best.realisation, *(u for u in self._bad if (u != best.realisation).any())][:REMEMBERED]
        return _worst(met, FOUND_MOST if least > 0.0 else COSTLY_MOST)

    def _broken(self, decision: Floats, stop: Callable[[], bool]) -> list[EvaluatedRealisation] | None:
        """A realisation that breaks limits, if there is one; None where stopped before that was known."""
        if self._least is None:
            return []
        worst = self._dual_of(self._least).worst(decision, stop)
        if worst is None:
            return None
        there = self._violated(decision, worst.realisation)
        if there is not None and there.value > VIOLATION_MIN:
            return [there]
        return None if worst.bound > 2.0 * VIOLATION_MIN and stop() else []

    def _dual_of(self, template: Template) -> DualSeparation:
        if self._dual is None:
            self._dual = DualSeparation(template, self._set)
        return self._dual

    def _by_splits(self, decision: Floats, costly: EvaluatedRealisation, stop: Callable[[], bool]) -> float:
        """A bound of the cost by one policy for each choice of some ζ as 0 or 1; inf if a policy does not exist."""
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
    """The face of a set where ζ_a is 0 or 1; the number of ζ is unchanged."""
    steps, rows = polyhedral.steps.copy(), polyhedral.rows.copy()
    steps[:, a], rows[:, a] = 0.0, 0.0
    upper = polyhedral.upper - way * polyhedral.rows[:, a]
    return replace(
        polyhedral, origin=polyhedral.origin + way * polyhedral.steps[:, a], steps=steps, rows=rows, upper=upper
    )


@dataclass(frozen=True)
class VertexWork:
    """Blocks of vertices, as work for other processes: those that break limits, or those that cost most.

    None where a vertex has neither cost nor violation. Each block is solved without a warm start, so that its answer
    does not depend on earlier blocks.
    """

    cost: Template
    violation: Template | None

    def prepare(
        self, stop: Callable[[], bool] = never
    ) -> Callable[[tuple[Floats, Floats, Goal]], list[EvaluatedRealisation] | None]:
        """Load the arrays into the solver."""
        cost = LinearRecourse(self.cost, Goal.COST)
        violation = None if self.violation is None else LinearRecourse(self.violation, Goal.VIOLATION)

        def violated(decision: Floats, block: Floats) -> list[EvaluatedRealisation] | None:
            if violation is None:
                return []
            found = [violation.at(decision, u, cold=k == 0) for k, u in enumerate(block)]
            known = [p for p in found if p is not None]
            return (
                _worst([p for p in known if p.value > VIOLATION_MIN], FOUND_MOST) if len(known) == len(found) else None
            )

        def priced(decision: Floats, block: Floats) -> list[EvaluatedRealisation] | None:
            known = []
            for k, u in enumerate(block):
                there = cost.at(decision, u, cold=k == 0)
                if there is None and violation is not None:
                    there = violation.at(decision, u, cold=True)
                if there is None:
                    return None
                known.append(there)
            return _worst(known, COSTLY_MOST)

        return lambda asked: (violated if asked[2] is Goal.VIOLATION else priced)(*asked[:2])


def linear_worst(recourse: RecourseSolver, n: int, polyhedral: Polyhedral) -> LinearWorst | None:
    """The separation of a program at decisions of length n, if its recourse has neither cones nor integers."""
    template = recourse.template(Goal.COST, n)
    if template.cones or len(template.form.integers):
        return None
    violation = recourse.template(Goal.VIOLATION, n) if len(template.limits) else None
    return LinearWorst(template, violation, polyhedral)


def _worst(priced: Sequence[EvaluatedRealisation], most: int) -> list[EvaluatedRealisation]:
    """The worst first, violations before costs."""
    return sorted(priced, key=lambda p: (p.response.feasible, -p.value))[:most]


def _findings(priced: Sequence[EvaluatedRealisation]) -> tuple[Finding, ...]:
    return tuple(Finding(0, p.realisation, p.response) for p in priced)
