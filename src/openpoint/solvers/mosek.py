"""MOSEK (extra `mosek`): mixed-integer programs with second-order cones, duals. It needs a licence.

In MOSEK's terms l ≤ A x ≤ u has the multiplier y and F x + g ∈ D the multiplier ẏ ∈ D*, with Aᵀy + Fᵀẏ = c. Linear rows
are passed as they are, cones as F = −A, g = b, so that z = (−y, ẏ); a certificate of infeasibility has the same form
with c = 0 (Optimizer API, chapter "Conic Optimization").
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.solvers.base import MOSEK, Answer, StandardForm, Status, require_package, way_out

CAPABILITIES = MOSEK

TOLERANCE = 1e-9
"""Feasibility and gap of the interior point method, relative."""
MIO_LEAST = 1e-9
"""Least feasibility tolerance that its mixed-integer optimizer takes."""


def solve(form: StandardForm, *, gap: float = 0.0, seconds: float = math.inf, tolerance: float | None = None) -> Answer:
    """Solve once; see `base.Solve`.

    Raises:
        MissingExtraError: mosek is not installed.
        OptionError: there is no licence.
    """
    check_licence(form)
    import mosek

    with mosek.Env() as env, env.Task() as task:
        load(task, form)
        set_options(task, gap=gap, seconds=seconds, tolerance=TOLERANCE if tolerance is None else tolerance)
        limited = task.optimize() == mosek.rescode.trm_max_time
        answer = read(task, form, limited=limited)
        if answer.status is Status.UNBOUNDED:  # or infeasible; without cost a model is never unbounded
            task.putcslice(0, len(form.c), np.zeros(len(form.c)))
            limited = task.optimize() == mosek.rescode.trm_max_time
            feasible = read(task, form, limited=limited)
            return answer if feasible.status is Status.OPTIMAL else feasible
        return answer


def check_licence(form: StandardForm) -> None:
    """Refuse where there is no licence.

    Raises:
        MissingExtraError: mosek is not installed.
        OptionError: naming where to get a licence, and solvers that need none.
    """
    require_package(CAPABILITIES)
    import mosek

    cones, integers = bool(form.cones), bool(len(form.integers))
    feature = mosek.feature.pton if cones or integers else mosek.feature.pts
    with mosek.Env() as env:
        try:
            env.checkoutlicense(feature)
        except mosek.Error as error:
            raise OptionError(
                f"mosek has no licence ({error.errno}); get one at https://www.mosek.com/products/academic-licenses "
                "or https://www.mosek.com/try and save it as mosek/mosek.lic in your home folder, or name its place in "
                f"MOSEKLM_LICENSE_FILE, or {way_out(cones=cones, integers=integers, other_than=CAPABILITIES.name)}"
            ) from error


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
    task.putdouparam(parameter.mio_tol_feas, max(tolerance, MIO_LEAST))
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
    linear = not len(form.integers)
    kind = mosek.soltype.itg
    if linear:
        kind = mosek.soltype.bas if task.solutiondef(mosek.soltype.bas) else mosek.soltype.itr
    bound = -math.inf if linear else _bound(task)
    if not task.solutiondef(kind):
        return Answer(Status.LIMIT if limited else Status.FAILED, None, math.nan, bound)
    found = task.getsolsta(kind)
    if found == state.prim_infeas_cer:
        return Answer(Status.INFEASIBLE, None, math.inf, math.inf, dual(task, form, kind))
    if task.getprosta(kind) == problem.prim_infeas:
        return Answer(Status.INFEASIBLE, None, math.inf, math.inf)
    if found == state.dual_infeas_cer or task.getprosta(kind) in (
        problem.dual_infeas,
        problem.prim_infeas_or_unbounded,
    ):
        return Answer(Status.UNBOUNDED, None, math.nan, -math.inf)
    solved = found in (state.optimal, state.integer_optimal)
    has_point = solved or (found in (state.prim_feas, state.prim_and_dual_feas))
    x = np.array(task.getxx(kind)) if has_point else None
    value = float(task.getprimalobj(kind)) if has_point else math.nan
    if not solved:
        return Answer(Status.LIMIT if limited else Status.FAILED, x, value, bound)
    if not linear:
        return Answer(Status.OPTIMAL, x, value, bound)
    return Answer(Status.OPTIMAL, x, value, float(task.getdualobj(kind)), dual(task, form, kind))


def dual(task: Any, form: StandardForm, kind: Any) -> Floats:
    """(m) the multipliers in a task for the rows of the form."""
    z = -np.array(task.gety(kind))
    return np.concatenate([z, np.array(task.getaccdotys(kind))]) if form.cones else z


def _bound(task: Any) -> float:
    import mosek

    if not task.getintinf(mosek.iinfitem.mio_obj_bound_defined):
        return -math.inf
    return float(task.getdouinf(mosek.dinfitem.mio_obj_bound))
