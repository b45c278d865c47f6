"""Compilation: a CVXPY model is put in standard form, once.

Models here are affine but for their cones, so that they need no reduction. Only the last step of CVXPY is used, which
makes the matrix of affine expressions: the reductions before it copy and check every expression several times, which
takes more than half of the time.

A recourse compiled once as arrays over (x, u, y): linear rows, integer columns, cones by their columns.

Copies for further realisations, and the dual of the recourse, are made from these arrays without a new compilation.

A linear recourse at one decision, its equations eliminated: a small linear program for very many realisations.

With the decision fixed, y is bound by E y = e − F u and by limits. A QR factorisation of E with column pivoting splits
y into a few free entries z and the others, which follow from them and from u:

    y = y_0 + Y_u u + Y_z z,      lower ≤ G_u u + G_z z ≤ upper

Limits that every z and every u within their bounds keep are left out. A power flow of hundreds of variables becomes a
program over the output of generators.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.errors import OptionError
from openpoint.solvers.base import StandardForm
from openpoint.solvers.bounds import bounded
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import AnyProgram, Goal, SecondStage, parts
from openpoint.twostage.uncertainty import centre


def compile_model(
    cost: cp.Expression,
    constraints: Sequence[cp.Constraint],
    integers: Iterable[cp.Variable] = (),
    also: Iterable[cp.Variable] = (),
) -> StandardForm:
    """Put a model in standard form. Integer variables must be declared as continuous ones in CVXPY.

    Args:
        cost: affine. constraints: linear, and second-order cones.
        integers: variables that are integer.
        also: variables that must have columns even where no constraint mentions them.
    """
    integers = tuple(integers)
    # A variable without constraints would have no column; a constraint without effect gives it one.
    mentioned = {v.id for c in constraints for v in c.variables()} | {v.id for v in cost.variables()}
    extra = [v == v for v in (*integers, *also) if v.id not in mentioned]
    problem = cp.Problem(cp.Minimize(cost), [*constraints, *extra])
    return _directly(problem, integers) or _by_reductions(problem, integers)


def _directly(problem: cp.Problem, integers: tuple[cp.Variable, ...]) -> StandardForm | None:
    """The form of a model of equations, inequalities and cones in plain variables; None of any other."""
    from cvxpy.constraints.nonpos import Inequality
    from cvxpy.constraints.zero import Equality

    variables = problem.variables()
    if problem.parameters() or any(any(variable.attributes.values()) for variable in variables):
        return None
    equations = [c for c in problem.constraints if isinstance(c, Equality)]
    inequalities = [c for c in problem.constraints if isinstance(c, Inequality)]
    cones = [c for c in problem.constraints if isinstance(c, cp.SOC) and c.axis == 0 and c.args[1].ndim == 2]
    if len(equations) + len(inequalities) + len(cones) < len(problem.constraints):
        return None
    starts = np.cumsum([0, *(variable.size for variable in variables)])
    offsets = {variable.id: int(start) for variable, start in zip(variables, starts[:-1])}
    expressions = [problem.objective.expr, *(c.expr for c in (*equations, *inequalities))]
    expressions += [part for c in cones for part in c.args]
    found = _matrix(expressions, offsets, int(starts[-1]))
    if found is None:
        return None
    a, b = found
    n_zero, n_nonneg = (sum(c.size for c in some) for some in (equations, inequalities))
    order, sign = [np.arange(1, 1 + n_zero + n_nonneg)], [np.ones(n_zero + n_nonneg)]
    row = 1 + n_zero + n_nonneg
    sizes: list[int] = []
    for cone in cones:  # an entry of the first part is at least the norm of a column of the second
        count, height = cone.args[0].size, cone.args[1].shape[0]
        rest = row + count + np.arange(count * height).reshape(count, height)
        order.append(np.column_stack([row + np.arange(count), rest]).ravel())
        sign.append(np.full(count * (height + 1), -1.0))
        sizes += [height + 1] * count
        row += count * (height + 1)
    rows, signs = np.concatenate(order), np.concatenate(sign)
    columns = {variable.id: np.arange(start, start + variable.size) for variable, start in zip(variables, starts)}
    return StandardForm(
        c=a[[0], :].toarray().ravel(),
        offset=float(b[0]),
        a=sp.csc_array(sp.diags_array(signs) @ a[rows, :]),
        b=-signs * b[rows],
        n_zero=n_zero,
        n_nonneg=n_nonneg,
        cones=tuple(sizes),
        integers=_columns_of(integers, columns),
        columns=columns,
    )


def _matrix(
    expressions: list[cp.Expression], offsets: dict[int, int], width: int
) -> tuple[sp.csr_array, Floats] | None:
    """(rows, width) coefficients of affine expressions, stacked, and their constants; None if one is not affine."""
    from cvxpy.cvxcore.python.canonInterface import get_problem_matrix
    from cvxpy.lin_ops.lin_op import CONSTANT_ID

    rows = sum(expression.size for expression in expressions)
    try:
        forms = [expression.canonical_form for expression in expressions]
    except NotImplementedError:
        return None
    if any(form[1] for form in forms):
        return None
    size, column = {CONSTANT_ID: 1}, {CONSTANT_ID: 0}
    flat = get_problem_matrix([form[0] for form in forms], width, offsets, size, column, rows).tocoo()
    entry, value = flat.coords[0], flat.data
    whole = sp.csc_array((value, (entry % rows, entry // rows)), shape=(rows, width + 1))
    return sp.csr_array(whole[:, :width]), whole[:, [width]].toarray().ravel()


def _by_reductions(problem: cp.Problem, integers: tuple[cp.Variable, ...]) -> StandardForm:
    """The form of any model that CVXPY can bring to it."""
    data, _, _ = problem.get_problem_data(cp.CLARABEL)
    program, dims = data["param_prob"], data["dims"]
    columns = {
        variable.id: np.arange(start, start + variable.size)
        for variable in problem.variables()
        if (start := program.var_id_to_col.get(variable.id)) is not None
    }
    return StandardForm(
        c=np.asarray(data["c"], dtype=np.float64),
        offset=float(program.apply_parameters()[1]),
        a=sp.csc_array(data["A"]),
        b=np.asarray(data["b"], dtype=np.float64),
        n_zero=int(dims.zero),
        n_nonneg=int(dims.nonneg),
        cones=tuple(int(d) for d in dims.soc),
        integers=_columns_of(integers, columns),
        columns=columns,
    )


def _columns_of(variables: tuple[cp.Variable, ...], columns: dict[int, Ints]) -> Ints:
    return np.concatenate([columns[v.id] for v in variables]) if variables else np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Template:
    """A compiled recourse: min cᵀ(x, u, y) + d over y with A (x, u, y) + s = b, s ∈ {0}ᵃ × R₊ᵇ, and cones on some y.

    Attributes:
        form: all of it but the cones. x, u, y: columns of the decision, the realisation, and all others.
        cones: columns (u…, s, t) of each vector of cones.
        limits: rows of the limits, where they are kept.
        dispatch: columns of the program's dispatch variable, if any.
    """

    form: StandardForm
    x: Ints
    u: Ints
    y: Ints
    cones: tuple[tuple[Ints, ...], ...]
    limits: Ints
    dispatch: Ints | None = None

    def at(self, realisation: Floats) -> tuple[sp.csr_array, sp.csr_array, Floats, float]:
        """Rows over x, rows over y, right-hand side and constant cost with u as numbers."""
        a = sp.csc_array(self.form.a)
        b = self.form.b - a[:, self.u] @ realisation
        return (
            sp.csr_array(a[:, self.x]),
            sp.csr_array(a[:, self.y]),
            np.asarray(b),
            self.form.offset + float(self.form.c[self.u] @ realisation),
        )

    def tolerant(self, most: float) -> Template:
        """The recourse whose limits may be exceeded by `most` in total, at no cost: with an excess e ≥ 0 for each,
        Σ e ≤ most."""
        count, form = len(self.limits), self.form
        if not count:
            return self
        m, n = form.a.shape
        less = sp.csr_array((-np.ones(count), (self.limits, np.arange(count))), shape=(m, count))
        kept = sp.vstack([-sp.eye_array(count), sp.csr_array(np.ones((1, count)))])
        rows = [sp.hstack([form.a, less]), sp.hstack([sp.csr_array((count + 1, n)), kept])]
        wider = replace(
            form,
            c=np.append(form.c, np.zeros(count)),
            a=sp.csc_array(sp.vstack(rows)),
            b=np.concatenate([form.b, np.zeros(count), [most]]),
            n_nonneg=form.n_nonneg + count + 1,
        )
        return replace(self, form=wider, y=np.append(self.y, n + np.arange(count)))


def template_of(program: AnyProgram, n: int, goal: Goal = Goal.COST) -> Template:
    """Compile the recourse of a program with a decision of length n."""
    decision = cp.Variable(n, name="decision")
    realisation = cp.Variable(len(centre(program.uncertainty)), name="realisation")
    recourse: SecondStage = program.recourse(decision, realisation, limits=goal is Goal.COST)
    match goal:
        case Goal.COST:
            stage = recourse.hard()
        case Goal.WITHOUT_LIMITS:
            stage = recourse.without_limits()
        case Goal.VIOLATION:
            stage = recourse.softened()
    constraints = [*stage.constraints, *(part >= 0 for cone in stage.cones for part in (cone.s, cone.t))]
    form = compile_model(stage.cost, constraints, stage.integers, also=(decision, realisation))
    x, u = form.of(decision), form.of(realisation)
    y = np.setdiff1d(np.arange(len(form.c)), np.concatenate([x, u]))
    cones = tuple(tuple(form.of(part) for part in parts(cone)) for cone in stage.cones)
    # Inequalities keep their order: those of the limits are the last but for the parts of cones.
    count = sum(limit.excess.size for limit in recourse.limits) if goal is Goal.COST else 0
    end = form.n_zero + form.n_nonneg - sum(part.size for cone in stage.cones for part in (cone.s, cone.t))
    dispatch = program.dispatch(recourse)
    found = None if dispatch is None else form.of(dispatch)
    return Template(form, x, u, y, cones, np.arange(end - count, end), found)


EQUAL = 1e-9
"""Largest difference of the two sides of a limit that is an equation."""
ROUNDING = 1e-12
"""Entry, relative to the largest of its row, below which it counts as 0."""
DEPENDENT = 1e-10
"""Pivot, relative to the largest, below which an equation is a linear combination of others."""
DIGITS = 10
"""Digits to which rows that are parallel agree."""
OPEN_BOUND = 1e9
"""Value in place of an infinite bound."""
RESIDUAL_MAX = 1e-6
"""Largest residual of a dependent equation that counts as rounding."""


@dataclass(frozen=True)
class Condensed:
    """Limits over the realisation u (M) and free variables z (Z), and wanted variables (W) as functions of them.

    Attributes:
        by_u, by_z: (R, M), (R, Z). lower, upper: (R) sides of by_u u + by_z z.
        z_lower, z_upper: (Z) bounds. cost: (Z) of z; the part of the cost that depends on u only is left out.
        wanted: (W) at u = 0, z = 0. wanted_by_u, wanted_by_z: (W, M), (W, Z).
    """

    by_u: Floats
    by_z: Floats
    lower: Floats
    upper: Floats
    z_lower: Floats
    z_upper: Floats
    cost: Floats
    wanted: Floats
    wanted_by_u: Floats
    wanted_by_z: Floats


def condensed(template: Template, decision: Floats, lower: Floats, upper: Floats, wanted: Ints) -> Condensed:
    """Eliminate the equations of a linear recourse at a decision.

    Args:
        template: the recourse, without cones and integers.
        decision: (n). lower, upper: (M) ends of the realisations.
        wanted: (W) columns of the template among `template.y`.

    Raises:
        OptionError: the equations contradict each other at this decision.
    """
    rows = _rows(template, decision)
    m, n = len(template.u), len(template.y)
    held = rows.y_upper - rows.y_lower <= EQUAL
    offset, by_u = np.zeros(n), np.zeros((n, m))
    offset[held] = 0.5 * (rows.y_lower + rows.y_upper)[held]
    free, equal = np.flatnonzero(~held), rows.upper - rows.lower <= EQUAL
    e = rows.y[equal][:, free]
    right = np.column_stack([rows.upper[equal] - rows.y[equal] @ offset, -rows.u[equal]])
    follows, leads, solution = _solved(e, right)
    astray = _range((right - e[:, follows] @ solution[:, : m + 1])[:, 1:], lower, upper)
    residual = right[:, 0] - e[:, follows] @ solution[:, 0]
    if max(np.max(residual + astray[1], initial=0.0), np.max(-residual - astray[0], initial=0.0)) > RESIDUAL_MAX:
        raise OptionError(
            "the equations of the recourse contradict each other at this decision; take one that is whole"
        )
    follows, leads = free[follows], free[leads]
    by_z = np.zeros((n, len(leads)))
    by_z[leads, np.arange(len(leads))] = 1.0
    offset[follows], by_u[follows], by_z[follows] = solution[:, 0], solution[:, 1 : m + 1], solution[:, m + 1 :]

    others = rows.y[~equal]
    limit_u = _clean(np.vstack([rows.u[~equal] + others @ by_u, by_u[follows]]))
    limit_z = _clean(np.vstack([others @ by_z, by_z[follows]]))
    at_zero = np.concatenate([others @ offset, offset[follows]])
    low = np.concatenate([rows.lower[~equal], rows.y_lower[follows]]) - at_zero
    high = np.concatenate([rows.upper[~equal], rows.y_upper[follows]]) - at_zero
    z_lower, z_upper = rows.y_lower[leads], rows.y_upper[leads]
    ends = np.concatenate([lower, z_lower]), np.concatenate([upper, z_upper])
    least, most = _range(np.hstack([limit_u, limit_z]), *ends)
    kept = (least < low) | (most > high)
    at, cost = np.searchsorted(template.y, wanted), template.form.c[template.y] @ by_z
    used = (limit_z[kept] != 0.0).any(axis=0) | (by_z[at] != 0.0).any(axis=0) | (cost != 0.0)
    return Condensed(
        by_u=limit_u[kept],
        by_z=limit_z[kept][:, used],
        lower=low[kept],
        upper=high[kept],
        z_lower=z_lower[used],
        z_upper=z_upper[used],
        cost=cost[used],
        wanted=offset[at],
        wanted_by_u=by_u[at],
        wanted_by_z=by_z[at][:, used],
    )


@dataclass(frozen=True)
class _Rows:
    """lower ≤ u + y ≤ upper over realisation and variables, no two rows parallel, and bounds of the variables."""

    u: Floats
    y: Floats
    lower: Floats
    upper: Floats
    y_lower: Floats
    y_upper: Floats


def _rows(template: Template, decision: Floats) -> _Rows:
    """The limits with the decision as numbers. Two inequalities that together are an equation become one row."""
    form, m = template.form, len(template.u)
    columns = np.concatenate([template.u, template.y])
    within = bounded(
        StandardForm(
            c=form.c[columns],
            offset=form.offset,
            a=sp.csc_array(form.a[:, columns]),
            b=form.b - form.a[:, template.x] @ decision,
            n_zero=form.n_zero,
            n_nonneg=form.n_nonneg,
            cones=(),
            integers=np.empty(0, dtype=np.int64),
            columns={},
        )
    )
    a = _clean(within.a.toarray())
    found = a.any(axis=1)
    a, low, high = a[found], within.row_lower[found], within.row_upper[found]
    size = np.abs(a)
    lead = a[np.arange(len(a)), np.argmax(size >= 0.5 * size.max(axis=1, keepdims=True), axis=1)]
    a /= lead[:, None]
    low, high = np.where(lead > 0.0, low, high) / lead, np.where(lead > 0.0, high, low) / lead
    _, first, same = np.unique(np.round(a, DIGITS), axis=0, return_index=True, return_inverse=True)
    lower, upper = np.full(len(first), -np.inf), np.full(len(first), np.inf)
    np.maximum.at(lower, same.ravel(), low)
    np.minimum.at(upper, same.ravel(), high)
    return _Rows(a[first, :m], a[first, m:], lower, upper, within.lower[m:], within.upper[m:])


def _solved(e: Floats, right: Floats) -> tuple[Ints, Ints, Floats]:
    """E y = right solved: dependent columns, free columns, and the coefficients of the dependent ones over `right` and
    the free ones."""
    q, r, order = scipy.linalg.qr(e, mode="economic", pivoting=True)
    pivots = np.abs(np.diag(r))
    rank = int(np.sum(pivots > DEPENDENT * pivots.max(initial=0.0)))
    known = np.column_stack([q[:, :rank].T @ right, -r[:rank, rank:]])
    columns: Ints = order.astype(np.int64)
    return columns[:rank], columns[rank:], _clean(scipy.linalg.solve_triangular(r[:rank, :rank], known))


def _clean(rows: Floats) -> Floats:
    """The rows with entries that are rounding errors set to 0."""
    size = np.abs(rows)
    return np.where(size < ROUNDING * np.maximum(size.max(axis=1, keepdims=True, initial=0.0), ROUNDING), 0.0, rows)


def _range(rows: Floats, lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Least and most of rows · x with x between its ends."""
    low, high = (np.where(np.isfinite(end), end, np.sign(end) * OPEN_BOUND) for end in (lower, upper))
    plus, minus = np.maximum(rows, 0.0), np.minimum(rows, 0.0)
    return np.asarray(plus @ low + minus @ high), np.asarray(plus @ high + minus @ low)
