"""Gurobi through gurobipy (extra `gurobi`): mixed-integer programs with second-order cones, duals.

The licence that comes with the package allows 2,000 rows (cones counted) and 2,000 columns, but 200 columns where there
are cones (tested with version 13.0); most rows of cones become one column more.
"""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.solvers.base import GUROBI, Answer, StandardForm, Status, require_package, way_out
from openpoint.solvers.bounds import bounded, proof

CAPABILITIES = GUROBI

TOLERANCE = 1e-8
"""Of rows and duals. Gurobi takes 1e-9 at least."""
CONE_GAP = 1e-2
"""Gap of cone programs, as a share of the tolerance: with Gurobi's 1e-6 their duals are too inaccurate for cuts, and
with 1e-12 it fails."""
ROUGH = 1e-5
"""Relative residual of duals above which they are wrong. Gurobi writes a cone as u·u ≤ t², whose gradient vanishes at
the apex; where the optimum lies there, its multipliers do not add up."""

_STATUS = {
    2: Status.OPTIMAL,
    3: Status.INFEASIBLE,
    4: Status.UNBOUNDED,  # or infeasible
    5: Status.UNBOUNDED,
    7: Status.LIMIT,
    8: Status.LIMIT,
    9: Status.LIMIT,
    10: Status.LIMIT,
    11: Status.LIMIT,
}
"""By GRB.Status: optimal, infeasible, either, unbounded; limits of iterations, nodes, time, solutions; interrupted."""


def solve(form: StandardForm, *, gap: float = 0.0, seconds: float = math.inf, tolerance: float | None = None) -> Answer:
    """Solve once; see `base.Solve`. Duals of a cone program are left out where they do not add up.

    Raises:
        MissingExtraError: gurobipy is not installed.
        OptionError: the licence is missing or too small.
    """
    check_licence(form)
    tolerance = TOLERANCE if tolerance is None else tolerance
    with _environment() as env:
        env.setParam("FeasibilityTol", tolerance)
        env.setParam("OptimalityTol", tolerance)
        env.setParam("BarQCPConvTol", CONE_GAP * tolerance)
        env.setParam("MIPGap", gap)
        env.setParam("MIPGapAbs", 0.0)
        if math.isfinite(seconds):
            env.setParam("TimeLimit", max(seconds, 0.0))
        if not len(form.integers):
            env.setParam("QCPDual", 1)
            env.setParam("InfUnbdInfo", 1)
        with _Task(form, env) as task:
            return task.answer()


def check_licence(form: StandardForm) -> None:
    """Refuse a model that is too large for the licence.

    Raises:
        MissingExtraError: gurobipy is not installed.
        OptionError: naming the sizes, and solvers without this limit.
    """
    require_package(CAPABILITIES)
    free = CAPABILITIES.free
    assert free is not None
    rows = len(bounded(form).rows) + sum(form.cones) + len(form.cones)
    columns = len(form.c) + int(_own_columns(form).sum())
    most = free.columns_with_cones if form.cones else free.columns
    if (rows > free.rows or columns > most) and _only_free():
        others = way_out(cones=bool(form.cones), integers=bool(len(form.integers)), other_than=CAPABILITIES.name)
        raise OptionError(
            f"gurobi: the licence that comes with gurobipy takes {free.rows} rows and {most} columns, the model has "
            f"{rows} and {columns}; install a licence (https://www.gurobi.com/solutions/licensing), or {others}"
        )


class _Task:
    """A model in Gurobi. Cones get columns of their own, b − A x, whose equations carry the duals."""

    def __init__(self, form: StandardForm, env: Any) -> None:
        import gurobipy

        n = len(form.c)
        self._form, self._bounds = form, bounded(form)
        bounds = self._bounds
        model: Any = gurobipy.Model(env=env)
        self._model = model
        kind = np.full(n, "C")
        kind[form.integers] = "I"
        self._x = model.addMVar(n, lb=bounds.lower, ub=bounds.upper, vtype=kind)
        model.setObjective(form.c @ self._x + form.offset)
        sense = np.where(bounds.row_lower == bounds.row_upper, "=", "<")
        self._rows = model.addMConstr(bounds.a, self._x, sense, bounds.row_upper) if len(sense) else None
        self._equations: Any = None
        if form.cones:
            self._add_cones()

    def _add_cones(self) -> None:
        import gurobipy

        form, at = self._form, self._form.n_zero + self._form.n_nonneg
        a, first, columns = sp.csr_array(form.a)[at:], np.cumsum([0, *form.cones]), _own_columns(form)
        lower = np.full(first[-1], -math.inf)
        lower[first[:-1]] = 0.0
        own = self._model.addMVar(int(columns.sum()), lb=lower[columns])
        rows = sp.hstack([a[columns], sp.eye_array(own.size)])
        every = gurobipy.MVar.fromlist([*self._x.tolist(), *own.tolist()])
        self._equations = self._model.addMConstr(rows, every, "=", form.b[at:][columns])
        parts, place, x = [], iter(own.tolist()), self._x.tolist()
        for i in range(first[-1]):
            parts.append(next(place) if columns[i] else a.data[a.indptr[i]] * x[a.indices[a.indptr[i]]])
        for start, end in pairwise(first):
            if end - start > 1:
                norm = gurobipy.quicksum(part * part for part in parts[start + 1 : end])
                self._model.addConstr(norm <= parts[start] * parts[start])

    def __enter__(self) -> _Task:
        return self

    def __exit__(self, *_: object) -> None:
        self._model.dispose()

    def answer(self) -> Answer:
        """Solve the model and read the answer."""
        status = self._status()
        if status is Status.UNBOUNDED:  # or infeasible; without cost a model is never unbounded
            self._model.setObjective(0.0)
            status = self._status()
            if status is not Status.INFEASIBLE:
                return Answer(Status.UNBOUNDED if status is Status.OPTIMAL else status, None, math.nan, -math.inf)
        linear = not len(self._form.integers)
        if status is Status.INFEASIBLE:
            ray = self._ray() if linear and not self._form.cones else None
            return Answer(status, None, math.inf, math.inf, *(ray or ()))
        if not self._model.SolCount:
            return Answer(status, None, math.nan, -math.inf if linear else self._bound())
        x, value = np.array(self._x.X), float(self._model.ObjVal)
        if not linear:
            return Answer(status, x, value, self._bound())
        if status is not Status.OPTIMAL:
            return Answer(status, x, value, -math.inf)
        reduced = np.array(self._x.RC)
        z = self._bounds.duals(np.empty(0) if self._rows is None else np.array(self._rows.Pi), reduced)
        if self._equations is None:
            return Answer(status, x, value, value, z, reduced)
        z = np.concatenate([z, -np.array(self._equations.Pi)])
        residual = float(np.abs(self._form.a.T @ z + self._form.c).max(initial=0.0))
        bound = min(self._bound(), value)
        if residual > ROUGH * max(1.0, float(np.abs(z).max(initial=0.0))):
            return Answer(status, x, value, bound)
        return Answer(status, x, value, bound, z, reduced)

    def _status(self) -> Status:
        self._model.optimize()
        return _STATUS.get(self._model.Status, Status.FAILED)

    def _bound(self) -> float:
        bound = float(self._model.ObjBound)
        return bound if abs(bound) < 1e100 else math.copysign(math.inf, bound)

    def _ray(self) -> tuple[Floats, Floats] | None:
        bounds = self._bounds
        z = bounds.contradiction(TOLERANCE)
        if z is not None:
            return z, np.zeros(len(self._form.c))
        if self._rows is None:
            return None
        sides = np.array([bounds.row_lower, bounds.row_upper]), np.array([bounds.lower, bounds.upper])
        found = proof(bounds.a, np.array(self._rows.FarkasDual), *sides)
        return None if found is None else (bounds.duals(*found), found[1])


def _own_columns(form: StandardForm) -> Bools:
    """(rows of cones) whether a row becomes a column of its own.

    All do where duals are wanted. With integers, a row that is a multiple of one column uses that column, unless it is
    the first row of its cone.
    """
    at = form.n_zero + form.n_nonneg
    own = np.ones(sum(form.cones), dtype=bool)
    if form.cones and len(form.integers):
        own = (np.diff(sp.csr_array(form.a)[at:].indptr) != 1) | (form.b[at:] != 0.0)
        own[np.cumsum([0, *form.cones[:-1]])] = True
    return own


@cache
def _only_free() -> bool:
    """Whether the only licence is the one that comes with the package."""
    import gurobipy

    free = CAPABILITIES.free
    assert free is not None
    with _environment() as env, gurobipy.Model(env=env) as model:
        model.addMVar(free.columns + 1)
        try:
            model.optimize()
        except gurobipy.GurobiError as error:
            if error.errno != gurobipy.GRB.Error.SIZE_LIMIT_EXCEEDED:
                raise
            return True
    return False


def _environment() -> Any:
    import gurobipy

    try:
        return gurobipy.Env(params={"OutputFlag": 0})
    except gurobipy.GurobiError as error:
        raise OptionError(
            f"gurobi has no valid licence ({error}); get one at https://www.gurobi.com/solutions/licensing, or take "
            "gurobipy's newest version, whose own licence takes small models"
        ) from error
