"""A small two-stage program that is no grid: depots are opened, then towns with uncertain demand are served.

    min Σ f_i x_i + ρ_u[ min Σ c_ij y_ij + penalty Σ s_j ],   Σ_i y_ij + s_j ≥ u_j,   Σ_j y_ij ≤ capacity_i x_i

`cones` adds a congestion cost Σ_i (Σ_j y_ij)², `trucks` lets goods leave a depot only in whole truckloads.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from functools import cache

import cvxpy as cp
import numpy as np
import scipy.optimize
import scipy.sparse as sp

from openpoint.arrays import Floats
from openpoint.twostage.program import Cone, FirstStage, Limit, PlainProgram, SecondStage
from openpoint.twostage.risk import Expectation, Risk
from openpoint.twostage.uncertainty import Scenarios, Uncertainty

TRUCK = 1.5

_KNOWN: dict[tuple[object, ...], float] = {}
"""Costs of `Depots.exact` that are known, by all that they depend on."""


@dataclass(frozen=True)
class Depots(PlainProgram[FirstStage, SecondStage]):
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
        return float(self.exact_all(decision, u[None, :])[0])

    def exact_all(self, decision: Floats, values: Floats) -> Floats:
        """(K) the exact recourse costs at realisations (K, m).

        Linear recourses that always exist are blocks of one program, which share no variable: each is at its optimum
        where their sum is.
        """
        arrays = (self.capacity, self.transport, decision)
        about = (self.penalty, self.cones, self.trucks, self.short_most, *(array.tobytes() for array in arrays))
        new = {(about, u.tobytes()): u for u in values if (about, u.tobytes()) not in _KNOWN}
        if self.cones:
            _KNOWN.update((key, self._with_cones(decision, u)) for key, u in new.items())
        elif self.trucks or self.short_most is not None:
            _KNOWN.update((key, float(self._linear(decision, u[None, :])[0])) for key, u in new.items())
        elif new:
            _KNOWN.update(zip(new, self._linear(decision, np.array(list(new.values()))).tolist()))
        return np.array([_KNOWN[about, u.tobytes()] for u in values])

    def _with_cones(self, decision: Floats, u: Floats) -> float:
        problem, x, realisation = _parametric(
            self.capacity.tobytes(), self.transport.tobytes(), self.penalty, self.short_most
        )
        x.value, realisation.value = decision, u
        return float(problem.solve(solver=cp.CLARABEL))

    def _linear(self, decision: Floats, values: Floats) -> Floats:
        """(K) costs by SciPy; with K = 1 all inf where there is no solution."""
        n, m = self.transport.shape
        count = len(values)
        most = np.inf if self.short_most is None else self.short_most
        cost = np.concatenate([self.transport.ravel(), np.full(m, self.penalty), np.full(n, 2.0 * self.trucks)])
        served = np.hstack([np.tile(np.eye(m), n), np.eye(m), np.zeros((m, n))])
        leaving = np.hstack([np.kron(np.eye(n), np.ones(m)), np.zeros((n, m))])
        rows = [served, np.hstack([leaving, np.zeros((n, n))])]
        lower = [values, np.full((count, n), -np.inf)]
        upper = [np.full((count, m), np.inf), np.tile(self.capacity * decision, (count, 1))]
        if self.trucks:
            rows.append(np.hstack([leaving, -TRUCK * np.eye(n)]))
            lower.append(np.full((count, n), -np.inf))
            upper.append(np.zeros((count, n)))
        highest = np.concatenate([np.full(n * m, np.inf), np.full(m, most), np.full(n, 99.0)])
        answer = scipy.optimize.milp(
            np.tile(cost, count),
            constraints=scipy.optimize.LinearConstraint(
                sp.kron(sp.eye_array(count), np.vstack(rows), format="csc"),
                np.hstack(lower).ravel(),
                np.hstack(upper).ravel(),
            ),
            bounds=scipy.optimize.Bounds(0.0, np.tile(highest, count)),
            integrality=np.tile(np.concatenate([np.zeros(n * m + m), np.full(n, int(self.trucks))]), count),
        )
        return np.asarray(answer.x.reshape(count, -1) @ cost) if answer.success else np.full(count, np.inf)


@cache
def _parametric(
    capacity: bytes, transport: bytes, penalty: float, short_most: float | None
) -> tuple[cp.Problem, cp.Parameter, cp.Parameter]:
    """The recourse with cones, its decision and its realisation; CVXPY compiles it once."""
    sizes = np.frombuffer(capacity)
    n = len(sizes)
    costs = np.frombuffer(transport).reshape(n, -1)
    x, realisation = cp.Parameter(n), cp.Parameter(costs.shape[1])
    nothing = Scenarios(np.zeros((1, costs.shape[1])))
    program = Depots(np.zeros(n), sizes, costs, nothing, penalty=penalty, cones=True, short_most=short_most)
    stage = program.recourse(x, realisation, limits=True).hard()
    cones = [cone.constraint() for cone in stage.cones]
    return cp.Problem(cp.Minimize(stage.cost), [*stage.constraints, *cones]), x, realisation


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
