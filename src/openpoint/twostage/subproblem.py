"""The recourse at a fixed decision, with the exact slope of its value: what Benders cuts are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np

from openpoint.solvers.base import Answer, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.form import Ints, StandardForm
from openpoint.twostage.compile import compile_model
from openpoint.twostage.program import Floats, Stage, TwoStageProgram, parts

RAY = 1e-5
"""Residual of an infeasibility ray, relative to its depth, up to which it is believed: a point that it wrongly cuts off
would have to be of size 1/RAY per unit."""
MARGIN = 1e-7
"""Relative margin by which cuts are lowered: the duals are exact up to the tolerance of the cone solver."""


@dataclass(frozen=True)
class Response:
    """What the recourse says of a decision x̂. For every decision x, with t = value + slopeᵀ(x − x̂):

    feasible: recourse cost at x ≥ t.  Not feasible: x keeps the limits only if t ≤ 0.

    Attributes:
        feasible: whether the limits can be kept.
        value: recourse cost, else the least violation (or a certificate of infeasibility, scaled to 1).
        slope: (n) exact dual of x = x̂.
        point: per cone the values (u…, s, t) at the optimum; empty where there is none.
        dispatch: values of the program's dispatch variable, if any.
        rough: whether the solver reached only a reduced accuracy.
    """

    feasible: bool
    value: float
    slope: Floats
    point: tuple[tuple[Floats, ...], ...]
    dispatch: Floats | None
    rough: bool = False


@dataclass(frozen=True)
class _Compiled:
    """A recourse compiled once, coupled to the decision by its first equations."""

    model: ClarabelModel
    form: StandardForm
    cones: tuple[tuple[Ints, ...], ...]
    dispatch: Ints | None

    @classmethod
    def of(cls, stage: Stage, decision: cp.Variable, dispatch: cp.Variable | None) -> _Compiled:
        coupled = compile_model(stage.cost, [*stage.constraints, *(cone.constraint() for cone in stage.cones)])
        form = coupled.with_coupling(coupled.of(decision))
        cones = tuple(tuple(form.of(part) for part in parts(cone)) for cone in stage.cones)
        return cls(ClarabelModel(form), form, cones, None if dispatch is None else form.of(dispatch))

    def point(self, answer: Answer) -> tuple[tuple[Floats, ...], ...]:
        return (
            tuple(tuple(answer.x[columns] for columns in cone) for cone in self.cones) if answer.x is not None else ()
        )


class Subproblem:
    """The recourse of a program, compiled once; `respond` only changes right-hand sides."""

    def __init__(self, program: TwoStageProgram[Any, Any], n: int, *, violation: bool = False) -> None:
        """Compile.

        Args:
            program: the two-stage program.
            n: length of the decision.
            violation: price decisions by their least violation in place of their cost.
        """
        self._program, self._n, self._violation = program, n, violation
        self._floor = 0.0 if violation else program.recourse_floor
        self._hard = None if violation else self._compile(soft=False)
        self._soft = self._compile(soft=True) if violation else None

    def respond(self, decision: Floats) -> Response:
        """Value and slope at a decision; where the cone solver fails, the floor, marked as rough."""
        ray: Answer | None = None
        if self._hard is not None:
            answer = self._hard.model.solve(decision)
            if answer.status is Status.OPTIMAL:
                return self._response(self._hard, answer, decision, feasible=True)
            ray = answer if answer.status is Status.INFEASIBLE else None
        if self._soft is None:
            self._soft = self._compile(soft=True)
        answer = self._soft.model.solve(decision)
        if answer.status is Status.OPTIMAL:
            response = self._response(self._soft, answer, decision, feasible=self._violation)
            if self._violation or response.value > 0.0:
                return response
        ray = answer if answer.status is Status.INFEASIBLE else ray
        if ray is None or ray.z is None:
            return self._unknown()
        compiled = self._soft if ray is answer else self._hard
        assert compiled is not None
        b = compiled.form.b.copy()
        b[: self._n] = decision
        depth = -float(b @ ray.z)
        if np.abs(compiled.form.a.T @ ray.z).max() > RAY * depth:
            return self._unknown()
        return Response(False, 1.0 - MARGIN, -ray.z[: self._n] / depth, (), None)

    def _unknown(self) -> Response:
        """All that is known without a solution is the floor; the exact verdict has the word."""
        return Response(True, self._floor, np.zeros(self._n), (), None, rough=True)

    def _compile(self, *, soft: bool) -> _Compiled:
        decision = cp.Variable(self._n, name="decision")
        stage = self._program.recourse(decision, limits=not soft)
        return _Compiled.of(stage.softened() if soft else stage.hard(), decision, self._program.dispatch(stage))

    def _response(self, compiled: _Compiled, answer: Answer, decision: Floats, *, feasible: bool) -> Response:
        assert answer.x is not None and answer.z is not None
        value = min(answer.bound, answer.value)
        value -= MARGIN * max(1.0, abs(value))
        return Response(
            feasible=feasible,
            value=value,
            slope=-answer.z[: self._n],
            point=compiled.point(answer),
            dispatch=None if compiled.dispatch is None else answer.x[compiled.dispatch],
            rough=abs(answer.value - answer.bound) > 1e-6 * max(1.0, abs(answer.value)),
        )
