"""A small two-stage program that is no grid: depots are opened, then towns with uncertain demand are served.

    min Σ f_i x_i + ρ_u[ min Σ c_ij y_ij + penalty Σ s_j ],   Σ_i y_ij + s_j ≥ u_j,   Σ_j y_ij ≤ capacity_i x_i

`cones` adds a congestion cost Σ_i (Σ_j y_ij)², `trucks` lets goods leave a depot only in whole truckloads.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace

import cvxpy as cp
import numpy as np
import scipy.optimize

from openpoint.arrays import Floats
from openpoint.twostage.program import Cone, FirstStage, Limit, PlainProgram, SecondStage
from openpoint.twostage.risk import Expectation, Risk
from openpoint.twostage.uncertainty import Scenarios, Uncertainty

TRUCK = 1.5

_KNOWN: dict[tuple[object, ...], float] = {}
"""Costs of `Depots.exact` that are known, by all that they depend on."""


@dataclass(frozen=True)
class Depots(PlainProgram):
    """See the module. fixed, capacity: (n); transport: (n, m); shortage above `short_most` in a town breaks a limit."""

    fixed: Floats
    capacity: Floats
    transport: Floats
    uncertainty: Uncertainty
    risk: Risk = field(default_factory=Expectation)
    penalty: float = 20.0
    cones: bool = False
    trucks: bool = False
    short_most: float | None = None
    open_most: int | None = None
    limits_share: float = 1.0

    recourse_lower_bound = 0.0

    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        x = cp.Variable(len(self.fixed))
        constraints = [x >= 0, x <= 1]
        if self.open_most is not None:
            constraints.append(cp.sum(x) <= self.open_most)
        return FirstStage(x, (x,), constraints, self.fixed @ x)

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        n, m = self.transport.shape
        y, short = cp.Variable((n, m)), cp.Variable(m)
        leaving = cp.sum(y, axis=1)
        constraints = [y >= 0, short >= 0, cp.sum(y, axis=0) + short >= realisation]
        constraints.append(leaving <= cp.multiply(self.capacity, decision))
        cost = cp.sum(cp.multiply(self.transport, y)) + self.penalty * cp.sum(short)
        cones: tuple[Cone, ...] = ()
        integers: tuple[cp.Variable, ...] = ()
        if self.cones:
            load, square, one = cp.Variable(n), cp.Variable(n), cp.Variable(n)
            constraints += [load == leaving, one == 1]
            cones, cost = (Cone((load,), square, one),), cost + cp.sum(square)
        if self.trucks:
            trucks = cp.Variable(n)
            constraints += [trucks >= 0, leaving <= TRUCK * trucks]
            integers, cost = (trucks,), cost + 2.0 * cp.sum(trucks)
        kept = () if self.short_most is None else (Limit("short", short - self.short_most),)
        return SecondStage(constraints, cones, kept, cost, integers=integers)

    def first_stage_cost(self, decision: Floats) -> float:
        return float(self.fixed @ decision)

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> Depots:
        return replace(self, uncertainty=uncertainty, risk=risk)

    def decisions(self) -> list[Floats]:
        """All of the first stage."""
        most = len(self.fixed) if self.open_most is None else self.open_most
        return [np.array(x) for x in itertools.product((0.0, 1.0), repeat=len(self.fixed)) if sum(x) <= most]

    def exact(self, decision: Floats, u: Floats) -> float:
        """The recourse cost by another road: SciPy for linear ones, CVXPY's own compiling for cones; inf where none.

        It knows neither the risk nor the other realisations, so that programs that differ in these share what is known.
        """
        arrays = (self.capacity, self.transport, decision, u)
        key = (self.penalty, self.cones, self.trucks, self.short_most, *(array.tobytes() for array in arrays))
        if key not in _KNOWN:
            _KNOWN[key] = self._solved(decision, u)
        return _KNOWN[key]

    def _solved(self, decision: Floats, u: Floats) -> float:
        n, m = self.transport.shape
        if self.cones:
            stage = self.recourse(cp.Constant(decision), cp.Constant(u), limits=True).hard()
            cones = [cone.constraint() for cone in stage.cones]
            problem = cp.Problem(cp.Minimize(stage.cost), [*stage.constraints, *cones])
            return float(problem.solve(solver=cp.CLARABEL))
        most = np.inf if self.short_most is None else self.short_most
        cost = np.concatenate([self.transport.ravel(), np.full(m, self.penalty), np.full(n, 2.0 * self.trucks)])
        served = np.hstack([np.tile(np.eye(m), n), np.eye(m), np.zeros((m, n))])
        leaving = np.hstack([np.kron(np.eye(n), np.ones(m)), np.zeros((n, m))])
        rows = [served, np.hstack([leaving, np.zeros((n, n))])]
        lower = [u, np.full(n, -np.inf)]
        upper = [np.full(m, np.inf), self.capacity * decision]
        if self.trucks:
            rows.append(np.hstack([leaving, -TRUCK * np.eye(n)]))
            lower.append(np.full(n, -np.inf))
            upper.append(np.zeros(n))
        answer = scipy.optimize.milp(
            cost,
            constraints=scipy.optimize.LinearConstraint(np.vstack(rows), np.concatenate(lower), np.concatenate(upper)),
            bounds=scipy.optimize.Bounds(
                0.0, np.concatenate([np.full(n * m, np.inf), np.full(m, most), np.full(n, 99.0)])
            ),
            integrality=np.concatenate([np.zeros(n * m + m), np.ones(n)]),
        )
        return float(answer.fun) if answer.success else np.inf


def depots(seed: int, *, n: int = 4, m: int = 3, k: int = 5, **options: object) -> Depots:
    """A random program with K scenarios."""
    rng = np.random.default_rng(seed)
    odds = rng.dirichlet(np.ones(k))
    return Depots(
        fixed=rng.uniform(1.0, 8.0, n),
        capacity=rng.uniform(1.0, 4.0, n),
        transport=rng.uniform(0.5, 5.0, (n, m)),
        uncertainty=Scenarios(rng.uniform(0.0, 3.0, (k, m)), odds),
        **options,  # type: ignore[arg-type]
    )
