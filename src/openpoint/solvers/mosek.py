"""MOSEK (extra `mosek`): mixed-integer programs with second-order cones, without duals. It needs a licence.

Linear rows are passed as they are, cones as F x + g with F = −A, g = b (Optimizer API, chapter "Conic Optimization").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.errors import OptionError
from openpoint.solvers.base import MOSEK, Answer, StandardForm, Status, require_package, way_out

TOLERANCE = 1e-9
"""Feasibility and gap of the interior point method, relative; the least of its mixed-integer optimizer."""


def solve(form: StandardForm, *, gap: float = 0.0, seconds: float = math.inf, tolerance: float | None = None) -> Answer:
    """Solve once; see `base.Solve`.

    Raises:
        MissingExtraError: mosek is not installed.
        OptionError: there is no licence.
    """
    require_package(MOSEK)
    import mosek

    with mosek.Env() as env, env.Task() as task:
        load(task, form)
        set_options(task, gap=gap, seconds=seconds, tolerance=TOLERANCE if tolerance is None else tolerance)
        try:
            limited = task.optimize() == mosek.rescode.trm_max_time
            answer = read(task, form, limited=limited)
            if answer.status is Status.UNBOUNDED:  # or infeasible; without cost a model is never unbounded
                task.putcslice(0, len(form.c), np.zeros(len(form.c)))
                limited = task.optimize() == mosek.rescode.trm_max_time
                feasible = read(task, form, limited=limited)
                return answer if feasible.status is Status.OPTIMAL else feasible
        except mosek.Error as error:
            others = way_out(cones=bool(form.cones), integers=bool(len(form.integers)), other_than=MOSEK.name)
            raise OptionError(
                f"mosek has no licence ({error.errno}); get one at https://www.mosek.com/products/academic-licenses "
                "or https://www.mosek.com/try and save it as mosek/mosek.lic in your home folder, or name its place in "
                f"MOSEKLM_LICENSE_FILE, or {others}"
            ) from error
        return answer


def load(task: Any, form: StandardForm) -> None:
    """Write a model into an empty task."""
    import mosek

    n, at = len(form.c), form.n_zero + form.n_nonneg
    a = sp.csr_array(form.a)
    task.appendvars(n)
    task.putvarboundsliceconst(0, n, mosek.boundkey.fr, -math.inf, math.inf)
    task.putcslice(0, n, form.c)
    task.putcfix(form.offset)
    task.putvartypelist(form.integers.astype(np.int32), [mosek.variabletype.type_int] * len(form.integers))
    task.appendcons(at)
    linear = sp.coo_array(a[:at])
    task.putaijlist(*(part.astype(np.int32) for part in linear.coords), linear.data)
    keys = [mosek.boundkey.fx] * form.n_zero + [mosek.boundkey.up] * form.n_nonneg
    lower = np.concatenate([form.b[: form.n_zero], np.full(form.n_nonneg, -math.inf)])
    task.putconboundslice(0, at, keys, lower, form.b[:at])
    if not form.cones:
        return
    conic = sp.coo_array(-a[at:])
    task.appendafes(conic.shape[0])
    rows, columns = conic.coords
    task.putafefentrylist(rows.astype(np.int64), columns.astype(np.int32), conic.data)
    task.putafegslice(0, conic.shape[0], form.b[at:])
    domains = [task.appendquadraticconedomain(size) for size in form.cones]
    task.appendaccsseq(domains, conic.shape[0], 0, None)


def set_options(task: Any, *, gap: float, seconds: float, tolerance: float) -> None:
    """Set the limits and tolerances of a task."""
    import mosek

    parameter = mosek.dparam
    if math.isfinite(seconds):
        task.putdouparam(parameter.optimizer_max_time, max(seconds, 0.0))
    task.putdouparam(parameter.mio_tol_rel_gap, gap)
    task.putdouparam(parameter.mio_tol_feas, max(tolerance, TOLERANCE))
    for each in (
        parameter.intpnt_co_tol_pfeas,
        parameter.intpnt_co_tol_dfeas,
        parameter.intpnt_co_tol_rel_gap,
        parameter.intpnt_tol_pfeas,
        parameter.intpnt_tol_dfeas,
        parameter.intpnt_tol_rel_gap,
    ):
        task.putdouparam(each, tolerance)


def read(task: Any, form: StandardForm, *, limited: bool) -> Answer:
    """The answer in a task; `limited` if it was stopped by its time limit."""
    import mosek

    state, problem = mosek.solsta, mosek.prosta
    whole = bool(len(form.integers))
    kind, bound = mosek.soltype.itg, -math.inf
    if not whole:
        kind = mosek.soltype.bas if task.solutiondef(mosek.soltype.bas) else mosek.soltype.itr
    elif task.getintinf(mosek.iinfitem.mio_obj_bound_defined):
        bound = float(task.getdouinf(mosek.dinfitem.mio_obj_bound))
    if not task.solutiondef(kind):
        return Answer(Status.LIMIT if limited else Status.FAILED, None, math.nan, bound)
    found, ended = task.getsolsta(kind), task.getprosta(kind)
    if found == state.prim_infeas_cer or ended == problem.prim_infeas:
        return Answer(Status.INFEASIBLE, None, math.inf, math.inf)
    if found == state.dual_infeas_cer or ended in (problem.dual_infeas, problem.prim_infeas_or_unbounded):
        return Answer(Status.UNBOUNDED, None, math.nan, -math.inf)
    solved = found in (state.optimal, state.integer_optimal)
    has_point = solved or (found in (state.prim_feas, state.prim_and_dual_feas))
    x = np.array(task.getxx(kind)) if has_point else None
    value = float(task.getprimalobj(kind)) if has_point else math.nan
    if not solved:
        return Answer(Status.LIMIT if limited else Status.FAILED, x, value, bound)
    return Answer(Status.OPTIMAL, x, value, bound if whole else float(task.getdualobj(kind)))
