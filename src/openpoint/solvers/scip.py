"""SCIP through PySCIPOpt (extra `openpoint[scip]`): mixed-integer programs with second-order cones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from openpoint.errors import MissingExtraError
from openpoint.solvers.base import Answer, Capabilities, Status
from openpoint.solvers.form import Ints, StandardForm

CAPABILITIES = Capabilities(name="scip", cones=True, integers=True, duals=False, extra="scip")

FEASIBILITY = 1e-7
"""Tighter than SCIP's 1e-6, which on cones of per-unit size lets it call a wrong point optimal; the tightest that its
linear solver takes without extended precision."""

_STATUS = {
    "optimal": Status.OPTIMAL,
    "gaplimit": Status.OPTIMAL,
    "infeasible": Status.INFEASIBLE,
    "inforunbd": Status.INFEASIBLE,
    "unbounded": Status.UNBOUNDED,
    "timelimit": Status.LIMIT,
    "userinterrupt": Status.LIMIT,
}


def solve_scip(
    form: StandardForm, rotated: Sequence[tuple[Ints, ...]], *, gap: float, time_limit_s: float | None
) -> Answer:
    """Solve a model with rotated cones Σ u² ≤ s t given by their columns (u…, s, t).

    Raises:
        MissingExtraError: PySCIPOpt is not installed.
    """
    try:
        import pyscipopt
    except ImportError as error:
        raise MissingExtraError("pyscipopt", "scip", "The one-piece program") from error
    model = pyscipopt.Model()
    model.hideOutput()
    model.setParam("limits/gap", gap)
    model.setParam("numerics/feastol", FEASIBILITY)
    if time_limit_s is not None:
        model.setParam("limits/time", time_limit_s)
    kind = np.full(len(form.c), "C")
    kind[form.integers] = "B"
    x = [model.addVar(vtype=k, lb=0.0 if k == "B" else None, ub=1.0 if k == "B" else None) for k in kind]
    _add_rows(model, x, form)
    for columns in rotated:
        *u, s, t = columns
        for i in range(len(s)):
            model.addCons(pyscipopt.quicksum(x[part[i]] * x[part[i]] for part in u) <= x[s[i]] * x[t[i]])
    model.setObjective(pyscipopt.quicksum(c * x[i] for i, c in enumerate(form.c) if c) + form.offset)
    model.optimize()
    status = _STATUS.get(model.getStatus(), Status.FAILED)
    if status is Status.INFEASIBLE:
        return Answer(status, None, math.inf, math.inf)
    bound = float(model.getDualbound())
    if not model.getNSols():
        return Answer(status, None, math.nan, bound)
    best = model.getBestSol()
    return Answer(status, np.array([best[v] for v in x]), float(model.getObjVal()), bound)


def _add_rows(model: object, x: list[object], form: StandardForm) -> None:
    """Linear rows; those of one entry become bounds."""
    import pyscipopt

    assert isinstance(model, pyscipopt.Model)
    a = sp.csr_array(form.a)
    for row in range(form.n_zero + form.n_nonneg):
        columns, values = a.indices[a.indptr[row] : a.indptr[row + 1]], a.data[a.indptr[row] : a.indptr[row + 1]]
        if not len(columns) and form.b[row] >= 0 and (row >= form.n_zero or form.b[row] == 0):
            continue
        terms = pyscipopt.quicksum(v * x[c] for c, v in zip(columns, values))
        model.addCons(terms == form.b[row] if row < form.n_zero else terms <= form.b[row])
