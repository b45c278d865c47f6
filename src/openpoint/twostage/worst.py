"""Appraisal over a polyhedral set: the worst realisation at a decision, by the separation that suits its size."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from openpoint.errors import OptionError
from openpoint.twostage.ambiguity import all_of
from openpoint.twostage.appraisal import Appraisal, Finding, Recourse, appraise
from openpoint.twostage.objective import Objective
from openpoint.twostage.pool import never
from openpoint.twostage.program import Floats, TwoStageProgram, Verdict
from openpoint.twostage.separation import DualSeparation, Worst
from openpoint.twostage.subproblem import Price, Response
from openpoint.twostage.uncertainty import Box, Budget, centre, listed

VERTICES_FEW = 64
"""Vertices up to which trying all is chosen: below it, the dual program takes as long to set up."""

Separation = Literal["vertices", "dual"]


def worst_objective(program: TwoStageProgram[Any, Any], *, violation: bool = False) -> Objective:
    """The objective over a polyhedral set: one θ, for the worst realisation."""
    if program.limits_share < 1.0:
        raise OptionError("over a polyhedral set the limits are kept in every realisation; give scenarios for a share")
    zero = np.zeros(1)
    return Objective(
        realisations=centre(program.uncertainty)[None, :],
        odds=all_of(1),
        alone_lower=zero,
        alone_upper=zero,
        weights=np.ones(1),
        share=0.0 if violation else 1.0,
        floor=0.0 if violation else program.recourse_floor,
        price=Price.VIOLATION if violation else Price.COST,
    )


@dataclass
class WorstAppraiser:
    """The worst realisation of a polyhedral set.

    Attributes:
        separation: how it is found; None chooses by the number of vertices.
    """

    program: TwoStageProgram[Any, Any]
    objective: Objective
    recourse: Recourse
    separation: Separation | None = None
    _vertices: Floats | None = field(default=None, init=False)
    _dual: DualSeparation | None = field(default=None, init=False)

    def quick(self, decision: Floats, dispatch: Floats | None = None) -> Appraisal | None:
        return None

    def full(self, decision: Floats, stop: Callable[[], bool] = never) -> Appraisal | None:
        found = self._by_vertices(decision, stop) if self._lists() else self._by_dual(decision)
        if found is None:
            return None
        worst, response = found
        values = np.array([worst.bound])
        missed = np.where(np.isfinite(values), 0.0, np.inf)
        verdict = Verdict(values, missed, worst.realisation, False)
        if self.objective.price is Price.VIOLATION:
            verdict = Verdict(np.zeros(1), values, worst.realisation, False)
        findings = (Finding(0, worst.realisation, response),)
        return appraise(self.program, self.objective, decision, verdict, findings, exact=True)

    def at(self, decision: Floats, realisations: Sequence[Floats]) -> list[Response]:
        return self.recourse.ask(self.objective.price, decision, realisations) or []

    def _lists(self) -> bool:
        if self.objective.price is Price.VIOLATION:
            return True  # the softened recourse is another program than the one whose dual is at hand
        if self.separation is not None:
            return self.separation == "vertices"
        uncertainty = self.program.uncertainty
        assert isinstance(uncertainty, Box | Budget)
        return uncertainty.count() <= VERTICES_FEW

    def _by_vertices(self, decision: Floats, stop: Callable[[], bool]) -> tuple[Worst, Response] | None:
        if self._vertices is None:
            self._vertices = listed(self.program.uncertainty)
        answers = self.recourse.ask(self.objective.price, decision, list(self._vertices), stop)
        if answers is None:
            return None
        values = np.array([max(r.value, r.reached) if r.feasible else math.inf for r in answers])
        k = int(np.argmax(values))
        return Worst(self._vertices[k], float(values[k]), float(values[k])), answers[k]

    def _by_dual(self, decision: Floats) -> tuple[Worst, Response]:
        if self._dual is None:
            self._dual = DualSeparation(self.program, len(decision))
        worst = self._dual.worst(decision)
        return worst, self.at(decision, [worst.realisation])[0]
