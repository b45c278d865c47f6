"""The master of Benders decomposition: first stage, θ for the recourse, cuts, and a relaxation of the recourse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.solvers.base import Answer, Status
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.compile import compile_model
from openpoint.twostage.program import Floats, Stage, TwoStageProgram, Verdict, no_good, parts
from openpoint.twostage.subproblem import Response
from openpoint.twostage.tangents import Tangents

ROOT_ROUNDS = 40
"""Rounds of tangents at the root; each is one warm-started linear program."""
ROOT_TOLERANCE = 1e-3
"""Relative error of the cones that the root's tangents may leave. Few good tangents beat many: rows slow every node."""


@dataclass(frozen=True)
class Proposal:
    """What the master says: a decision (None if there is none) and a proven bound of the whole objective."""

    status: Status
    decision: Floats | None
    bound: float
    point: Floats | None


class Master:
    """A persistent mixed-integer model that learns.

    With `relaxation` it holds the linear part of the recourse, and tangents of its cones take the place of the cones;
    without, it knows of the recourse only what the cuts say.
    """

    def __init__(self, program: TwoStageProgram[Any, Any], *, relaxation: bool, violation: bool) -> None:
        """Compile once.

        Args:
            program: the two-stage program.
            relaxation: whether the model holds a relaxation of the recourse.
            violation: minimise the least violation in place of the cost.
        """
        first = program.first_stage(physics=relaxation)
        theta = cp.Variable(name="theta")
        floor = 0.0 if violation else program.recourse_floor
        constraints = [*first.constraints, theta >= floor]
        stage: Stage | None = None
        if relaxation:
            recourse = program.recourse(first.decision, limits=not violation)
            stage = recourse.softened() if violation else recourse.hard()
            constraints += [*stage.constraints, *program.tighten(first, recourse, limits=not violation)]
            # A rotated cone lies in s, t ≥ 0, which its variables must say themselves.
            constraints += [part >= 0 for cone in stage.cones for part in (cone.s, cone.t)]
            constraints.append(theta >= stage.cost)
        cost = theta if violation else first.cost + theta
        form = compile_model(cost, constraints, first.integers)
        self._model = HighsModel(form)
        self._floor, self._distance = floor, program.distance_min
        self._columns, self._theta, self._n = form.of(first.decision), int(form.of(theta)[0]), len(form.c)
        cones = stage.cones if stage else ()
        self._cone_columns = [tuple(form.of(part) for part in parts(cone)) for cone in cones]
        self._tangents = [Tangents(columns, self._n) for columns in self._cone_columns]

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns now."""
        return self._model.n_rows, self._n

    def root(self, stop: Callable[[], bool]) -> Proposal:
        """Solve the linear relaxation, tangents added round by round; its decision is fractional."""
        answer = self._model.solve(integral=False)
        for _ in range(ROOT_ROUNDS):
            if answer.x is None or stop() or not self._refine(answer.x, ROOT_TOLERANCE):
                break
            answer = self._model.solve(integral=False)
        return self._proposal(answer, fractional=True)

    def propose(
        self,
        *,
        gap: float,
        seconds: float,
        stop: Callable[[], bool],
        watch: Callable[[float], None] | None = None,
        presolve: bool = True,
    ) -> Proposal:
        """The decision that looks best, and the bound it proves."""
        answer = self._model.solve(integral=True, gap=gap, presolve=presolve, seconds=seconds, stop=stop, watch=watch)
        return self._proposal(answer, fractional=False)

    def learn_point(self, response: Response) -> None:
        """Tangents at the recourse's point: where the master holds the recourse, they say all that its cut says."""
        for tangents, point in zip(self._tangents, response.point):
            self._add(tangents.rows(point, 1e-6, settled=True))

    def learn_recourse(self, decision: Floats, response: Response) -> str:
        """Optimality or feasibility cut, and tangents at the recourse's point."""
        self.learn_point(response)
        constant = response.value - float(response.slope @ decision)
        row = np.zeros(self._n)
        row[self._columns] = response.slope
        if not response.feasible:
            scale = max(1.0, float(np.abs(response.slope).max(initial=0.0)), abs(constant))
            self._add(sp.csr_array(row[None, :] / scale), upper=-constant / scale)
            return "feasibility"
        row[self._theta] = -1.0
        scale = max(1.0, float(np.abs(response.slope).max(initial=0.0)))
        self._add(sp.csr_array(row[None, :] / scale), upper=-constant / scale)
        return "optimality"

    def learn_verdict(self, decision: Floats, verdict: Verdict, price: float) -> str:
        """No-good cut: this decision costs `price` in recourse; with inf it may not be chosen."""
        slope, on_theta, upper = no_good(decision, price, floor=self._floor, distance_min=self._distance)
        row = np.zeros(self._n)
        row[self._columns], row[self._theta] = slope, on_theta
        self._add(sp.csr_array(row[None, :]), upper)
        return "no-good"

    def refine(self, point: Floats) -> None:
        """Tangents at a point of the master itself."""
        self._refine(point, ROOT_TOLERANCE)

    def _refine(self, x: Floats, tolerance: float) -> bool:
        added = False
        for tangents, columns in zip(self._tangents, self._cone_columns):
            rows = tangents.rows(tuple(x[c] for c in columns), tolerance, settled=False)
            self._add(rows)
            added |= rows.shape[0] > 0
        return added

    def _add(self, rows: sp.csr_array, upper: float = 0.0) -> None:
        self._model.add_rows(rows, np.full(rows.shape[0], -np.inf), np.full(rows.shape[0], upper))

    def _proposal(self, answer: Answer, *, fractional: bool) -> Proposal:
        decision = None
        if answer.x is not None:
            decision = answer.x[self._columns]
            decision = decision if fractional else np.round(decision)
        return Proposal(answer.status, decision, answer.bound, answer.x)
