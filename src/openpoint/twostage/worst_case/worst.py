"""Evaluation over a polyhedral set: the worst realisation at a decision, by a separation chosen by its size.

`vertices` evaluates all vertices: for few of them, and for a recourse with cones. `climb` is for many, where the
recourse is linear. `dual` solves one mixed-integer program, the dual of the violation, or of the
cost where no limit can be violated.

Where the recourse is linear, violations come first, by the problem of least violation, which needs no weights and whose
multipliers are bounded; costs count where no realisation breaks a limit. By climbing: any realisation that breaks a
limit gives a cut, so the first one found is enough. Where climbs find none, an affine policy proves that there is none,
and bounds the cost; where no policy exists, the dual of the least violation decides.

Vertices are evaluated by the workers, in blocks. Climbs run in this process: with a warm start they take milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.twostage.ambiguity import all_of
from openpoint.twostage.program import AnyProgram, ExactEvaluation, Goal, Objective
from openpoint.twostage.recourse.compile import Template
from openpoint.twostage.recourse.evaluation import (
    VIOLATION_MIN,
    Evaluation,
    Finding,
    RecourseSolver,
    evaluation_of,
)
from openpoint.twostage.uncertainty import BLOCK, Box, Budget, Polyhedral, centre, listed_until
from openpoint.twostage.workers.pool import Workers, never
from openpoint.twostage.worst_case.separation import (
    DualSeparation,
    EvaluatedRealisation,
    LinearRecourse,
    climb,
    starting_points,
    worst_by_policy,
)

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

VERTICES_AT_ONCE = 64
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
        blocks = [vertices[k : k + VERTICES_AT_ONCE] for k in range(0, len(vertices), VERTICES_AT_ONCE)]
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


VERTICES_FEW = 64
"""Most vertices of which all are evaluated by default: below it, the dual program takes as long to set up."""
Separation = Literal["vertices", "dual", "climb"]


def worst_objective(program: AnyProgram, *, violation: bool = False) -> Objective:
    """The objective over a polyhedral set: one θ, for the worst realisation."""
    if program.limits_share < 1.0:
        raise OptionError("over a polyhedral set the limits are kept in every realisation; give scenarios for a share")
    zero = np.zeros(1)
    return Objective(
        realisations=centre(program.uncertainty)[None, :],
        probabilities=all_of(1),
        wait_and_see_lower=zero,
        wait_and_see_upper=zero,
        weights=np.ones(1),
        share=0.0 if violation else 1.0,
        floor=0.0 if violation else program.recourse_lower_bound,
        goal=Goal.VIOLATION if violation else Goal.COST,
    )


@dataclass
class WorstCaseEvaluator:
    """Evaluates decisions in the worst realisation of a polyhedral set.

    Attributes:
        separation: how it is found; None chooses by the number of vertices and the kind of recourse.
    """

    program: AnyProgram
    objective: Objective
    recourse: RecourseSolver
    separation: Separation | None = None
    _vertices: Floats | None = field(default=None, init=False)
    _linear: LinearWorst | None = field(default=None, init=False)
    _asked: bool = field(default=False, init=False)

    def evaluate_exactly(self, decision: Floats, dispatch: Floats | None = None) -> Evaluation | None:
        return None

    def evaluate(
        self,
        decision: Floats,
        stop: Callable[[], bool] = never,
        *,
        enough: float = math.inf,
        again: bool = False,
    ) -> Evaluation | None:
        found = self._found(decision, stop)
        if found is None:
            return None
        bound, findings = found
        values = np.array([bound])
        violations = np.where(np.isfinite(values), 0.0, np.inf)
        verdict = ExactEvaluation(values, violations, findings[0].realisation, False)
        if self.objective.goal is Goal.VIOLATION:
            verdict = ExactEvaluation(np.zeros(1), values, findings[0].realisation, False)
        return evaluation_of(self.program, self.objective, decision, verdict, findings, exact=True)

    def _found(self, decision: Floats, stop: Callable[[], bool]) -> WorstFindings | None:
        uncertainty, cost = self.program.uncertainty, self.objective.goal is Goal.COST
        assert isinstance(uncertainty, Box | Budget)
        few = uncertainty.count() <= VERTICES_FEW
        way = self.separation or ("vertices" if few else "climb")
        if (cost or not (way == "vertices" or few)) and (linear := self._linear_of(len(decision))) is not None:
            found: WorstFindings | None
            if not cost:
                found = linear.violation(decision, stop)
            elif way == "vertices":
                vertices = self._listed(stop)
                workers = self.recourse.workers
                found = None if vertices is None else linear.by_vertices(decision, vertices, workers, stop)
            else:
                found = linear.by_dual(decision, stop) if way == "dual" else linear.by_climbing(decision, stop)
            if found is not None or stop():
                return found
        elif way == "dual" and cost:
            raise OptionError(
                "the dual of a recourse with cones or integers is no mixed-integer linear program; separate the worst "
                "case by `vertices`"
            )
        return self._by_vertices(decision, stop)

    def _linear_of(self, n: int) -> LinearWorst | None:
        """The separation of a linear recourse, compiled at the first use."""
        if not self._asked:
            self._asked = True
            uncertainty = self.program.uncertainty
            assert isinstance(uncertainty, Box | Budget)
            self._linear = linear_worst(self.recourse, n, uncertainty.polyhedral())
        return self._linear

    def _listed(self, stop: Callable[[], bool]) -> Floats | None:
        """(K, m) all vertices; None where stopped."""
        if self._vertices is None:
            self._vertices = listed_until(self.program.uncertainty, stop)
        return self._vertices

    def _by_vertices(self, decision: Floats, stop: Callable[[], bool]) -> WorstFindings | None:
        """The worst of all vertices, block by block: what all of them answer may not fit into memory."""
        vertices, worst, most = self._listed(stop), None, -math.inf
        for first in range(0, 0 if vertices is None else len(vertices), BLOCK):
            assert vertices is not None
            some = list(vertices[first : first + BLOCK])
            answers = self.recourse.solve(self.objective.goal, decision, some, stop)
            if answers is None:
                return None
            # A realisation that the cone solver could not solve has no known upper bound.
            values = [math.inf if not r.feasible or math.isnan(r.reached) else r.reached for r in answers]
            k = int(np.argmax(values))
            if worst is None or values[k] > most:
                worst, most = Finding(0, some[k], answers[k]), float(values[k])
        return None if worst is None else (most, (worst,))
