"""Gurobi through gurobipy (extra `gurobi`): mixed-integer programs with second-order cones, without duals.

The licence that comes with the package takes small models only: 2,000 rows and columns, 200 columns where there are
cones (version 13.0).
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.errors import OptionError
from openpoint.solvers.base import GUROBI, Answer, StandardForm, Status, require_package, way_out
from openpoint.solvers.bounds import bounded

TOLERANCE = 1e-8
"""Of rows. Gurobi takes 1e-9 at least."""

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
    """Solve once; see `base.Solve`.

    Raises:
        MissingExtraError: gurobipy is not installed.
        OptionError: the licence is missing or too small.
    """
    require_package(GUROBI)
    import gurobipy

    tolerance = TOLERANCE if tolerance is None else tolerance
    parameters = {"OutputFlag": 0, "FeasibilityTol": tolerance, "OptimalityTol": tolerance, "MIPGap": gap}
    parameters |= {"BarQCPConvTol": 0.01 * tolerance, "MIPGapAbs": 0.0}
    parameters |= {"TimeLimit": max(seconds, 0.0)} if math.isfinite(seconds) else {}
    try:
        with gurobipy.Env(params=parameters) as env, gurobipy.Model(env=env) as model:
            return _answer(model, _load(model, form), form)
    except gurobipy.GurobiError as error:
        others = way_out(cones=bool(form.cones), integers=bool(len(form.integers)), other_than=GUROBI.name)
        raise OptionError(
            f"gurobi: {error}; install a licence (https://www.gurobi.com/solutions/licensing), or {others}"
        ) from error


def _load(model: Any, form: StandardForm) -> Any:
    """Write a form into a model; its columns. Cones get columns of their own, b − A x."""
    import gurobipy

    bounds, kind = bounded(form), np.full(len(form.c), "C")
    kind[form.integers] = "I"
    x = model.addMVar(len(form.c), lb=bounds.lower, ub=bounds.upper, vtype=kind)
    model.setObjective(form.c @ x + form.offset)
    sense = np.where(bounds.row_lower == bounds.row_upper, "=", "<")
    if len(sense):
        model.addMConstr(bounds.a, x, sense, bounds.row_upper)
    if form.cones:
        at, first = form.n_zero + form.n_nonneg, np.cumsum([0, *form.cones])
        lower = np.full(first[-1], -math.inf)
        lower[first[:-1]] = 0.0
        own = model.addMVar(int(first[-1]), lb=lower)
        both = gurobipy.MVar.fromlist([*x.tolist(), *own.tolist()])
        model.addMConstr(sp.hstack([sp.csr_array(form.a)[at:], sp.eye_array(own.size)]), both, "=", form.b[at:])
        for start, end in pairwise(first):
            model.addConstr(own[start + 1 : end] @ own[start + 1 : end] <= own[start] * own[start])
    return x


def _answer(model: Any, x: Any, form: StandardForm) -> Answer:
    status = _solved(model)
    if status is Status.UNBOUNDED:  # or infeasible; without cost a model is never unbounded
        model.setObjective(0.0)
        status = _solved(model)
        if status is not Status.INFEASIBLE:
            return Answer(Status.UNBOUNDED if status is Status.OPTIMAL else status, None, math.nan, -math.inf)
    if status is Status.INFEASIBLE:
        return Answer(status, None, math.inf, math.inf)
    bound = float(model.ObjBound) if len(form.integers) or status is Status.OPTIMAL else -math.inf
    bound = bound if abs(bound) < 1e100 else math.copysign(math.inf, bound)
    if not model.SolCount:
        return Answer(status, None, math.nan, bound)
    value = float(model.ObjVal)
    return Answer(status, np.array(x.X), value, min(bound, value))


def _solved(model: Any) -> Status:
    model.optimize()
    return _STATUS.get(model.Status, Status.FAILED)
