"""Evaluation over a polyhedral set: the worst realisation at a decision, by a separation chosen by its size.

`vertices` evaluates all vertices: for few of them, and for a recourse with cones. `climb` is for many, where the
recourse is linear, see `linear_worst`. `dual` solves one mixed-integer program, the dual of the violation, or of the
cost where no limit can be violated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.twostage.ambiguity import all_of
from openpoint.twostage.goal import Goal
from openpoint.twostage.objective import Objective
from openpoint.twostage.program import AnyProgram, ExactEvaluation
from openpoint.twostage.recourse.evaluation import Evaluation, Finding, RecourseSolver, evaluation_of
from openpoint.twostage.recourse.subproblem import Response
from openpoint.twostage.uncertainty import BLOCK, Box, Budget, centre, listed_until
from openpoint.twostage.workers.pool import never
from openpoint.twostage.worst_case.linear_worst import LinearWorst, WorstFindings, linear_worst

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
        self, decision: Floats, stop: Callable[[], bool] = never, *, with_savings: bool = False
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

    def recourse_at(self, decision: Floats, realisations: Sequence[Floats]) -> list[Response] | None:
        return self.recourse.solve(self.objective.goal, decision, realisations)

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
