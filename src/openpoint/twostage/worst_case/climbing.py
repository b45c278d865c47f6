"""Climbing: local search for the worst realisation of a polyhedral set, from vertex to vertex along the slope of the
recourse cost; each step is a linear program with a warm start.

The value V(u) of a linear recourse, its cost or its least violation, is convex: V(u') ≥ V(u) + slopeᵀ(u' − u). So the
vertex that lies farthest along the slope has at least the same value, and a climb ends after finitely many steps where
no vertex lies farther along the slope. The result is a local maximum: it proves no upper bound of the value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize

from openpoint.arrays import Floats
from openpoint.solvers.base import Status
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.goal import Goal
from openpoint.twostage.recourse.subproblem import MARGIN, Response
from openpoint.twostage.recourse.template import Template
from openpoint.twostage.uncertainty import Polyhedral
from openpoint.twostage.workers.pool import never

STEPS = 50
"""Steps after which a climb ends in any case."""
BETTER = 1e-7
"""Relative gain below which a step counts as rounding."""


class LinearRecourse:
    """A recourse without cones and integers in one HiGHS model; decision and realisation change bounds only."""

    def __init__(self, template: Template, goal: Goal) -> None:
        """Load the recourse into the solver.

        Args:
            template: the recourse, without cones and integers, compiled for this goal.
            goal: cost with the limits kept, or the least violation of them.
        """
        self._coupled = np.concatenate([template.x, template.u])
        self._model, self._n, self._is_cost = HighsModel(template.form), len(template.x), goal is Goal.COST

    def at(self, decision: Floats, realisation: Floats, *, cold: bool = False) -> EvaluatedRealisation | None:
        """Value and slopes at a decision and a realisation; None where there is no point.

        A least violation is given as a feasibility cut, not as a cost. `cold`: solve without a warm start.
        """
        self._model.fix(self._coupled, np.concatenate([decision, realisation]))
        answer = self._model.solve(integral=False, presolve=False, cold=cold)
        if answer.status is not Status.OPTIMAL or answer.reduced is None:
            return None
        slope = answer.reduced[self._coupled]
        value = answer.value - MARGIN * max(1.0, abs(answer.value))
        parts = slope[: self._n], slope[self._n :]
        return EvaluatedRealisation(realisation, Response(self._is_cost, value, *parts, (), None, reached=answer.value))


@dataclass(frozen=True)
class EvaluatedRealisation:
    """A realisation (m) and the response of the recourse there."""

    realisation: Floats
    response: Response

    @property
    def value(self) -> float:
        """Value of the solver's own point."""
        return self.response.reached


def climb(
    evaluate: Callable[[Floats], EvaluatedRealisation | None],
    polyhedral: Polyhedral,
    starts: Iterable[Floats],
    stop: Callable[[], bool] = never,
) -> EvaluatedRealisation | None:
    """The worst vertex found by climbs from some starts until stopped; None where no vertex could be evaluated.

    Args:
        evaluate: value and slope at a realisation, None where there is none.
        polyhedral: the set. starts: (m) vertices.
    """
    best: EvaluatedRealisation | None = None
    known: set[bytes] = set()
    for start in starts:
        here = None
        u = start
        for _ in range(STEPS):
            if u.tobytes() in known or stop():
                break
            known.add(u.tobytes())
            there = evaluate(u)
            if there is None or (here is not None and there.value <= here.value + BETTER * max(1.0, abs(here.value))):
                break
            here = there
            if best is None or here.value > best.value:
                best = here
            u = vertex_along(polyhedral, here.response.slope_u)
    return best


def vertex_along(polyhedral: Polyhedral, slope: Floats) -> Floats:
    """(m) the vertex farthest along a slope."""
    gain = slope @ polyhedral.steps
    if not len(polyhedral.upper):
        return polyhedral.value((gain > 0.0).astype(np.float64))
    answer: Any = scipy.optimize.linprog(
        -gain, A_ub=polyhedral.rows, b_ub=polyhedral.upper, bounds=(0.0, 1.0), method="highs-ds"
    )
    return polyhedral.value(np.round(answer.x))


def starting_points(polyhedral: Polyhedral, count: int) -> list[Floats]:
    """Vertices to start from: those of largest and smallest sum, and some along random slopes (fixed seed)."""
    m = len(polyhedral.origin)
    rng = np.random.default_rng(0)
    slopes = [np.ones(m), -np.ones(m), *rng.standard_normal((count, m))]
    found = {u.tobytes(): u for u in (vertex_along(polyhedral, slope) for slope in slopes)}
    return list(found.values())
