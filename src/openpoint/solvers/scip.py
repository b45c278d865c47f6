"""SCIP through PySCIPOpt (extra `scip`): mixed-integer programs with second-order cones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Ints
from openpoint.solvers.base import Answer, StandardForm, Status
from openpoint.solvers.bounds import bounded

FEASIBILITY = 1e-7
"""Feasibility tolerance. With SCIP's default, 1e-6, wrong points of cones in per unit were called optimal; smaller ones
need extended precision in its linear solver."""

_STATUS = {
    "optimal": Status.OPTIMAL,
    "gaplimit": Status.OPTIMAL,
    "infeasible": Status.INFEASIBLE,
    "inforunbd": Status.UNBOUNDED,
    "unbounded": Status.UNBOUNDED,
    "timelimit": Status.LIMIT,
    "userinterrupt": Status.LIMIT,
}


def solve_scip(
    form: StandardForm,
    rotated: Sequence[tuple[Ints, ...]],
    *,
    gap: float,
    time_limit_s: float | None,
    of_processor: bool = False,
) -> Answer:
    """Solve a model with, beside its own cones, rotated cones Σ u² ≤ s t given by their columns (u…, s, t).

    Args:
        form: the model. rotated: its further cones.
        gap: relative, at which to stop. time_limit_s: seconds after which to stop.
        of_processor: whether these are seconds of the processor, not of the clock on the wall.
    """
    import pyscipopt

    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/gap", gap)
    model.setParam("numerics/feastol", FEASIBILITY)
    if time_limit_s is not None:
        model.setParam("limits/time", time_limit_s)
    if of_processor:
        model.setParam("timing/clocktype", 1)
    x = _linear_part(model, form)
    _cones(model, x, form)
    for columns in rotated:
        *u, s, t = columns
        for i in range(len(s)):
            model.addCons(pyscipopt.quicksum(x[part[i]] * x[part[i]] for part in u) <= x[s[i]] * x[t[i]])
    model.setObjective(pyscipopt.quicksum(c * x[i] for i, c in enumerate(form.c) if c) + form.offset)
    model.optimize()
    status = _STATUS.get(model.getStatus(), Status.FAILED)
    if status is Status.UNBOUNDED:  # or infeasible; without cost a model is never unbounded
        model.freeTransform()
        model.setObjective(0.0)
        model.optimize()
        feasible = _STATUS.get(model.getStatus(), Status.FAILED)
        if feasible is not Status.INFEASIBLE:
            return Answer(status if feasible is Status.OPTIMAL else feasible, None, math.nan, -math.inf)
        status = feasible
    if status is Status.INFEASIBLE:
        return Answer(status, None, math.inf, math.inf)
    infinity = model.infinity()
    bound = float(model.getDualbound())
    bound = bound if abs(bound) < infinity else math.copysign(math.inf, bound)
    if not model.getNSols():
        return Answer(status, None, math.nan, bound)
    best = model.getBestSol()
    return Answer(status, np.array([best[v] for v in x]), float(model.getObjVal()), bound)


def _linear_part(model: Any, form: StandardForm) -> list[Any]:
    """Columns with their bounds, and the linear rows of several entries."""
    import pyscipopt

    bounds = bounded(form)
    kind = np.full(len(form.c), "C")
    kind[form.integers] = "I"
    x = [model.addVar(vtype=k, lb=low, ub=high) for k, low, high in zip(kind, bounds.lower, bounds.upper)]
    for row, upper in enumerate(bounds.row_upper):
        lower = bounds.row_lower[row]
        chosen = slice(bounds.a.indptr[row], bounds.a.indptr[row + 1])
        terms = pyscipopt.quicksum(v * x[c] for c, v in zip(bounds.a.indices[chosen], bounds.a.data[chosen]))
        if bounds.a.indptr[row] == bounds.a.indptr[row + 1]:
            if lower <= 0.0 <= upper:
                continue
            terms = model.addVar(lb=0.0, ub=0.0)
        model.addCons(terms == upper if lower == upper else terms <= upper)
    return x


def _cones(model: Any, x: list[Any], form: StandardForm) -> None:
    """Add the cones of the form over columns t, u of their own: |u| ≤ t as a norm, with the tolerance of the point."""
    import pyscipopt

    a = sp.csr_array(form.a)
    at = form.n_zero + form.n_nonneg
    for size in form.cones:
        own = [model.addVar(lb=0.0 if i == 0 else None) for i in range(size)]
        for i, row in enumerate(range(at, at + size)):
            chosen = slice(a.indptr[row], a.indptr[row + 1])
            terms = pyscipopt.quicksum(v * x[c] for c, v in zip(a.indices[chosen], a.data[chosen]))
            model.addCons(terms + own[i] == form.b[row])
        if size > 1:
            model.addCons(pyscipopt.sqrt(pyscipopt.quicksum(u * u for u in own[1:])) <= own[0])
        at += size
