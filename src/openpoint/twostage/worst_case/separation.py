"""Affine policies: a proof that a linear recourse exists for every realisation of a polyhedral set, and a bound of its
cost.

A recourse that reacts to u = u₀ + S ζ by y(ζ) = y₀ + Y ζ (Ben-Tal et al. 2004) is one of many, so the worst cost of the
best affine one is an upper bound of the worst cost, and its existence proves that no realisation is infeasible. Where
none exists, nothing is proven. At a fixed decision the rows are A y ≤ b + B ζ. Columns with equal bounds are fixed; the
equations are solved for some of the others, so that few remain, t; and with t = t₀ + T ζ a row is

    g t₀ + max_ζ (g T − B) ζ ≤ b         max over {0 ≤ ζ ≤ 1, R ζ ≤ r} by its dual: rᵀ μ + Σ ν, ν + Rᵀ μ ≥ (g T − B)ᵀ

Rows are added when they are violated. Parts of the model that share neither columns nor ζ are solved separately.

Theory: docs/methods.md M32.

Dual separation: the worst realisation of a polyhedral set at a decision, as one mixed-integer program.

The recourse cost is convex in u, so its maximum lies at a vertex u = u₀ + S ζ, ζ binary. With the dual of a linear
recourse (Zeng and Zhao 2013, Thiele et al. 2009) it is

    max_{λ, ζ}  −(b − A_x x̂ − A_u u₀)ᵀ λ + Σ_a π_a ζ_a,    π_a = (A_u S_a)ᵀ λ,    A_yᵀ λ = −c_y,  λ ≥ 0 on inequalities

with v_a = π_a ζ_a between its McCormick bounds, which are exact at binary ζ wherever l_a ≤ π_a ≤ h_a holds. Those
bounds are computed: π_a is a linear function on the dual polyhedron, which depends neither on x̂ nor on u, and l_a and
h_a are its minimum and maximum there, each by a linear program that is solved once. They are finite if and only if no
deviation can make the recourse infeasible; otherwise the method is refused.

Climbing: local search for the worst realisation of a polyhedral set, from vertex to vertex along the slope of the
recourse cost; each step is a linear program with a warm start.

The value V(u) of a linear recourse, its cost or its least violation, is convex: V(u') ≥ V(u) + slopeᵀ(u' − u). So the
vertex that lies farthest along the slope has at least the same value, and a climb ends after finitely many steps where
no vertex lies farther along the slope. The result is a local maximum: it proves no upper bound of the value.

Theory: docs/methods.md M31.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse import csgraph

from openpoint.arrays import Floats, Ints
from openpoint.errors import OpenpointError, OptionError
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.compile import Template
from openpoint.twostage.recourse.evaluation import MARGIN, Response
from openpoint.twostage.uncertainty import Polyhedral
from openpoint.twostage.workers.pool import never

ZERO = 1e-11
"""Entries below this are rounding errors."""
SAME = 1e-9
"""Largest difference of the bounds of a column that is fixed."""
VIOLATED = 1e-6
"""Largest excess of a row, relative to 1 or its side, that is not a violation."""
ROUNDS = 60
"""Most rounds in which rows are added; then no policy is found."""


@dataclass(frozen=True)
class Reduced:
    """A recourse at a fixed decision in its free columns: G t ≤ h + H ζ, cost = constant + along ζ + c t.

    Attributes:
        g: (R, T) G. h: (R). by: (R, A) H. cost: (T) c. along: (A). constant: constant part of the cost.
    """

    g: Floats
    h: Floats
    by: Floats
    cost: Floats
    along: Floats
    constant: float


def worst_by_policy(
    template: Template, polyhedral: Polyhedral, decision: Floats, stop: Callable[[], bool] = never
) -> float | None:
    """An upper bound of the recourse cost over the whole set; None where no affine policy keeps all rows.

    Args:
        template: a linear recourse. polyhedral: the set. decision: (n).
    """
    reduced = reduce(template, polyhedral, decision)
    if reduced is None:
        return None
    total = reduced.constant
    label = _parts(reduced, polyhedral)
    n_t = len(reduced.cost)
    for part in np.unique(label):
        columns, moves = np.flatnonzero(label[:n_t] == part), np.flatnonzero(label[n_t:] == part)
        rows = np.flatnonzero(
            (np.abs(reduced.g[:, columns]).sum(axis=1) + np.abs(reduced.by[:, moves]).sum(axis=1)) > 0
        )
        piece = Reduced(
            reduced.g[np.ix_(rows, columns)],
            reduced.h[rows],
            reduced.by[np.ix_(rows, moves)],
            reduced.cost[columns],
            reduced.along[moves],
            0.0,
        )
        kept = np.flatnonzero(np.abs(polyhedral.rows[:, moves]).sum(axis=1) > 0)
        worst = _policy(piece, polyhedral.rows[np.ix_(kept, moves)], polyhedral.upper[kept], stop)
        if worst is None:
            return None
        total += worst
    return total


def reduce(template: Template, polyhedral: Polyhedral, decision: Floats) -> Reduced | None:
    """The recourse at a decision, its equations eliminated; None where these or rows without columns are infeasible."""
    form = template.form
    a = sp.csc_array(form.a)
    rows = sp.csr_array(a[:, template.y])
    b = form.b - a[:, template.x] @ decision - a[:, template.u] @ polyhedral.origin
    moved = -(a[:, template.u] @ polyhedral.steps)
    cost, low, high, single = form.c[template.y], *_ends(rows, b, moved, form.n_zero)
    fixed = high - low <= SAME
    value = np.where(fixed, low, 0.0)
    b = b - rows @ value
    free = np.flatnonzero(~fixed)
    equations, others = np.arange(form.n_zero), np.arange(form.n_zero, len(b))
    equations, others = equations[~single[equations]], others[~single[others]]
    dense = rows[:, free].toarray()
    finite = np.isfinite(low[free]) & np.isfinite(high[free])
    found = _solved(dense[equations], b[equations], moved[equations], finite)
    if found is None:
        return None
    basis, rest, solved, side, by = found.basis, found.rest, found.solved, found.side, found.by
    # Columns of the basis are side + by ζ − solved t; their bounds become rows, beside the other inequalities.
    own = np.concatenate([basis, rest])
    place = np.argsort(own)
    whole = np.vstack([-solved, np.eye(len(rest))])[place]
    start, move = (
        np.concatenate([side, np.zeros(len(rest))])[place],
        np.vstack([by, np.zeros((len(rest), by.shape[1]))])[place],
    )
    g = [dense[others] @ whole, whole[np.isfinite(high[free])], -whole[np.isfinite(low[free])]]
    h = [b[others] - dense[others] @ start, (high[free] - start)[np.isfinite(high[free])]]
    h.append((start - low[free])[np.isfinite(low[free])])
    moves = [moved[others] - dense[others] @ move, -move[np.isfinite(high[free])], move[np.isfinite(low[free])]]
    constant = form.offset + float(form.c[template.x] @ decision) + float(form.c[template.u] @ polyhedral.origin)
    constant += float(cost @ value) + float(cost[free] @ start)
    along = form.c[template.u] @ polyhedral.steps + cost[free] @ move
    reduced = Reduced(
        _clean(np.vstack(g)), np.concatenate(h), _clean(np.vstack(moves)), cost[free] @ whole, along, constant
    )
    return _without_idle(reduced)


def _ends(rows: sp.csr_array, b: Floats, moved: Floats, n_zero: int) -> tuple[Floats, Floats, np.ndarray]:
    """Bounds of columns from rows of one entry that do not depend on ζ, and the mask of these rows."""
    single = (np.diff(rows.indptr) == 1) & (np.abs(moved).sum(axis=1) == 0.0)
    low, high = np.full(rows.shape[1], -np.inf), np.full(rows.shape[1], np.inf)
    for row in np.flatnonzero(single):
        column, factor = rows.indices[rows.indptr[row]], rows.data[rows.indptr[row]]
        end = b[row] / factor
        if factor > 0 or row < n_zero:
            high[column] = min(high[column], end)
        if factor < 0 or row < n_zero:
            low[column] = max(low[column], end)
    return low, high, single


@dataclass(frozen=True)
class _Solved:
    """Equations solved for some columns: y_basis = side + by ζ − solved y_rest."""

    basis: Ints
    rest: Ints
    solved: Floats
    side: Floats
    by: Floats


def _solved(a: Floats, b: Floats, moved: Floats, finite: np.ndarray) -> _Solved | None:
    """Solve A y = b + moved ζ, for columns without bounds first; None where it is infeasible."""
    weight = np.where(finite, 1e-3, 1.0)
    _, r, order = scipy.linalg.qr(a * weight, mode="economic", pivoting=True)
    size = np.abs(np.diag(r)) if r.size else np.empty(0)
    rank = int(np.sum(size > 1e-10 * max(1.0, float(size.max(initial=0.0)))))
    basis, rest = order[:rank].astype(np.int64), order[rank:].astype(np.int64)
    both = np.column_stack([b, moved])
    sides = np.column_stack([both, a[:, rest]])
    answer = np.asarray(np.linalg.lstsq(a[:, basis], sides, rcond=None)[0], dtype=np.float64)
    k = both.shape[1]
    residual = np.abs(a[:, basis] @ answer[:, :k] - both).max(initial=0.0)
    if residual > 1e-8 * max(1.0, float(np.abs(both).max(initial=0.0))):
        return None
    return _Solved(basis, rest, _clean(answer[:, k:]), answer[:, 0], _clean(answer[:, 1:k]))


def _clean(a: Floats) -> Floats:
    return np.where(np.abs(a) < ZERO, 0.0, a)


def _without_idle(reduced: Reduced) -> Reduced | None:
    """Remove rows without columns and ζ, and rows without a bound; None where a removed row does not hold."""
    busy = (np.abs(reduced.g).sum(axis=1) + np.abs(reduced.by).sum(axis=1)) > 0.0
    if np.any(reduced.h[~busy] < -VIOLATED):
        return None
    kept = np.flatnonzero(busy & np.isfinite(reduced.h))
    return Reduced(reduced.g[kept], reduced.h[kept], reduced.by[kept], reduced.cost, reduced.along, reduced.constant)


def _parts(reduced: Reduced, polyhedral: Polyhedral) -> Ints:
    """(T + A) number of the separate part of each column and each ζ."""
    links = [np.hstack([reduced.g, reduced.by]) != 0.0]
    if len(polyhedral.upper):
        width = len(reduced.cost)
        links.append(np.hstack([np.zeros((len(polyhedral.upper), width)), polyhedral.rows]) != 0.0)
    joined = sp.csr_array(np.vstack(links).astype(np.float64))
    return np.asarray(csgraph.connected_components(joined.T @ joined, directed=False)[1], dtype=np.int64)


def _policy(piece: Reduced, rows: Floats, upper: Floats, stop: Callable[[], bool]) -> float | None:
    """The worst cost of the best policy of one part; rows are added when they are violated."""
    n_t, n_a = piece.g.shape[1], piece.by.shape[1]
    # The cost is a row like the others: c t − cap ≤ −along ζ, its cap the objective.
    g = np.vstack([piece.g, piece.cost])
    h, by = np.append(piece.h, 0.0), np.vstack([piece.by, -piece.along])
    scale = np.maximum(np.abs(g).max(axis=1, initial=0.0), np.abs(by).max(axis=1, initial=0.0))
    scale[scale == 0.0] = 1.0
    g, h, by = g / scale[:, None], h / scale, by / scale[:, None]
    cap = n_t * (1 + n_a)
    model = _start(cap + 1, float(-np.abs(piece.cost).sum() * 1e3 - 1e6))
    held = np.zeros(len(h), dtype=np.bool_)
    added = np.array([len(h) - 1])
    for _ in range(ROUNDS):
        for row in added:
            _take_in(model, g[row], h[row], by[row], rows, upper, cap if row == len(h) - 1 else -1, 1.0 / scale[row])
        held[added] = True
        answer = model.solve(integral=False, presolve=bool(held.sum() < 200), stop=stop)
        if answer.status is Status.INFEASIBLE or answer.x is None or stop():
            return None
        policy = answer.x[: n_t * (1 + n_a)].reshape(1 + n_a, n_t)
        over = g @ policy[0] + _support(g @ policy[1:].T - by, rows, upper) - h
        wrong = np.flatnonzero((over > VIOLATED * np.maximum(1.0, np.abs(h))) & ~held)
        if not len(wrong):
            return float(answer.x[cap])
        added = wrong[np.argsort(-over[wrong], kind="stable")][: max(20, len(wrong) // 3)]
    return None


def _start(columns: int, floor: float) -> HighsModel:
    """A model of free columns without rows; the last column is minimised, and bounded below until it has a row."""
    cost = np.zeros(columns)
    cost[-1] = 1.0
    bound = sp.csc_array(([-1.0], ([0], [columns - 1])), shape=(1, columns))
    none = np.empty(0, dtype=np.int64)
    return HighsModel(StandardForm(cost, 0.0, bound, np.array([-floor]), 0, 1, (), none, {}))


def _take_in(
    model: HighsModel, g: Floats, h: float, by: Floats, rows: Floats, upper: Floats, cap: int, per_cap: float
) -> None:
    """Add one robust row: g t₀ + rᵀ μ + Σ ν − cap ≤ h, ν_a + (Rᵀ μ)_a ≥ g T_a − by_a."""
    n_t, n_a, n_r = len(g), len(by), len(upper)
    extra = model.add_columns(np.zeros(n_r + n_a), np.zeros(n_r + n_a), np.full(n_r + n_a, math.inf))
    mu, nu = extra[:n_r], extra[n_r:]
    used = np.flatnonzero(g)
    row, column, value = [np.zeros(len(used))], [used], [g[used]]
    for a in range(n_a):
        row.append(np.full(len(used) + 1, a + 1.0))
        column.append(np.append((a + 1) * n_t + used, nu[a]))
        value.append(np.append(g[used], -1.0))
        touched = np.flatnonzero(rows[:, a]) if n_r else np.empty(0, dtype=np.int64)
        row.append(np.full(len(touched), a + 1.0))
        column.append(mu[touched])
        value.append(-rows[touched, a])
    row.append(np.zeros(len(extra)))
    column.append(extra)
    value.append(np.concatenate([upper, np.ones(n_a)]))
    if cap >= 0:
        row.append(np.zeros(1))
        column.append(np.array([cap]))
        value.append(np.array([-per_cap]))
    index = np.concatenate(row).astype(np.int64), np.concatenate(column).astype(np.int64)
    wide = sp.csr_array((np.concatenate(value), index), shape=(1 + n_a, model.n))
    model.add_rows(wide, np.full(1 + n_a, -math.inf), np.concatenate([[h], by]))


def _support(slopes: Floats, rows: Floats, upper: Floats) -> Floats:
    """(R) max slopes · ζ over the set: exact without budgets, else an upper bound by each budget for itself."""
    gain = np.maximum(slopes, 0.0)
    most: Floats = gain.sum(axis=1)
    for row, limit in zip(rows, upper):
        inside = gain * row
        best = -np.sort(-inside, axis=1)[:, : int(limit)]
        most = np.minimum(most, best.sum(axis=1) + (gain * (row == 0)).sum(axis=1))
    return most


PROVEN = 1e-6
"""Relative margin by which the bounds of the multipliers are widened: the tolerance of the programs that gave them."""
GAP = 1e-9
"""Relative gap to which the worst realisation is found."""


@dataclass(frozen=True)
class WorstRealisation:
    """A realisation (m), the recourse cost there by the separation, and an upper bound of the cost in all realisations.

    Where the search was stopped, the bound lies above the value.
    """

    realisation: Floats
    value: float
    bound: float


class DualSeparation:
    """The worst realisation by the dual of the recourse; compiled once, used for many decisions."""

    def __init__(self, template: Template, polyhedral: Polyhedral) -> None:
        """Prepare the dual of a linear recourse over a set.

        Raises:
            OptionError: the recourse has cones or integers.
        """
        self._template, self._set = template, polyhedral
        if template.cones or len(template.form.integers):
            raise OptionError(
                "the dual of a recourse with cones or integers is no mixed-integer linear program; separate the worst "
                "case by `vertices`"
            )
        a = sp.csc_array(template.form.a)
        self._a_x, self._a_u = sp.csr_array(a[:, template.x]), sp.csr_array(a[:, template.u])
        self._products = sp.csr_array((self._a_u @ sp.csc_array(self._set.steps)).T)
        self._model: HighsModel | None = None

    def worst(self, decision: Floats, stop: Callable[[], bool] = never) -> WorstRealisation | None:
        """The worst realisation at a decision; None where stopped before there was one.

        Raises:
            OptionError: a deviation can make the recourse infeasible.
            OpenpointError: the solver ended without an answer.
        """
        if self._model is None:
            proven = self.prove(stop)
            if proven is None:
                return None
            self._model = self._compiled(*proven)
        form, polyhedral = self._template.form, self._set
        m, k = len(form.b), self._products.shape[0]
        b = form.b - self._a_x @ decision - self._a_u @ polyhedral.origin
        extra = form.c[self._template.u] @ polyhedral.steps
        constant = form.offset + float(form.c[self._template.x] @ decision)
        constant += float(form.c[self._template.u] @ polyhedral.origin)
        self._model.set_cost(np.concatenate([b, np.full(k, -1.0), -extra]))  # over λ, v, ζ
        answer = self._model.solve(integral=True, gap=GAP, stop=stop)
        if answer.x is None:
            if answer.status is Status.LIMIT:
                return None
            raise OpenpointError(f"the worst realisation was not found: HiGHS says {answer.status.value}")
        chosen = np.round(answer.x[m + k :])
        return WorstRealisation(polyhedral.value(chosen), constant - answer.value, constant - answer.bound)

    def prove(self, stop: Callable[[], bool] = never) -> tuple[Floats, Floats] | None:
        """(A) least and greatest π on the dual polyhedron; None where stopped.

        Raises:
            OptionError: they are not bounded. OpenpointError: the solver ended without an answer.
        """
        m, count = len(self._template.form.b), self._products.shape[0]
        model = HighsModel(self._dual(m))
        ends = np.zeros((2, count))
        for a in range(count):
            slope = self._products[[a]].toarray().ravel()
            for side, sign in ((0, 1.0), (1, -1.0)):
                model.set_cost(sign * slope)
                answer = model.solve(integral=False, stop=stop)
                if answer.status is Status.LIMIT:
                    return None
                if answer.status is Status.UNBOUNDED:
                    raise OptionError(
                        "a deviation can leave the recourse without a feasible point: nothing bounds its multipliers; "
                        "give every limit a slack with a cost, or separate the worst case by `vertices`"
                    )
                if answer.status is not Status.OPTIMAL:
                    raise OpenpointError(f"the bounds of the multipliers were not found: {answer.status.value}")
                ends[side, a] = sign * answer.value
        margin = PROVEN * np.maximum(1.0, np.abs(ends))
        return ends[0] - margin[0], ends[1] + margin[1]

    def _dual(self, n: int) -> StandardForm:
        """The dual polyhedron, λ being the first of n columns, without cost."""
        form: StandardForm = self._template.form
        m = len(form.b)
        rows = sp.csc_array(form.a)[:, self._template.y].T
        signs = sp.csr_array(-sp.eye_array(m, n))[form.n_zero :]
        a = sp.vstack([sp.hstack([rows, sp.csr_array((rows.shape[0], n - m))]), signs])
        b = np.concatenate([-form.c[self._template.y], np.zeros(m - form.n_zero)])
        none = np.empty(0, dtype=np.int64)
        return StandardForm(np.zeros(n), 0.0, sp.csc_array(a), b, rows.shape[0], m - form.n_zero, (), none, {})

    def _compiled(self, low: Floats, high: Floats) -> HighsModel:
        """The program over λ, v, ζ, without its cost."""
        m, k = len(self._template.form.b), self._products.shape[0]
        polyhedral, model = self._set, HighsModel(self._dual(m))
        model.add_columns(np.zeros(k), np.full(k, -math.inf), np.full(k, math.inf))
        model.add_columns(np.zeros(k), np.zeros(k), np.ones(k), integers=np.arange(k))
        eye, zero = sp.eye_array(k), sp.csr_array((k, m))
        least, most = sp.diags_array(low), sp.diags_array(high)
        rows = [
            sp.hstack([zero, eye, -most]),  # v ≤ h ζ
            sp.hstack([zero, -eye, least]),  # v ≥ l ζ
            sp.hstack([-self._products, eye, -least]),  # v ≤ π − l (1 − ζ)
            sp.hstack([self._products, -eye, most]),  # v ≥ π − h (1 − ζ)
            sp.hstack([sp.csr_array((len(polyhedral.upper), m + k)), sp.csr_array(polyhedral.rows)]),
        ]
        upper = np.concatenate([np.zeros(2 * k), -low, high, polyhedral.upper])
        model.add_rows(sp.csr_array(sp.vstack(rows)), np.full(len(upper), -math.inf), upper)
        return model


STEPS = 50
"""Steps after which a climb ends in any case."""
BETTER = 1e-7
"""Relative gain below which a step counts as rounding."""


class LinearRecourse:
    """A recourse without cones and integers in one HiGHS model; decision and realisation change bounds only."""

    def __init__(self, template: Template, goal: Goal) -> None:
        """Load the recourse into the solver.

        Args:
            template: the recourse, without cones and integers, compiled for this goal.
            goal: cost with the limits kept, or the least violation of them.
        """
        self._coupled = np.concatenate([template.x, template.u])
        self._model, self._n, self._is_cost = HighsModel(template.form), len(template.x), goal is Goal.COST

    def at(self, decision: Floats, realisation: Floats, *, cold: bool = False) -> EvaluatedRealisation | None:
        """Value and slopes at a decision and a realisation; None where there is no point.

        A least violation is given as a feasibility cut, not as a cost. `cold`: solve without a warm start.
        """
        self._model.fix(self._coupled, np.concatenate([decision, realisation]))
        answer = self._model.solve(integral=False, presolve=False, cold=cold)
        if answer.status is not Status.OPTIMAL or answer.reduced is None:
            return None
        slope = answer.reduced[self._coupled]
        value = answer.value - MARGIN * max(1.0, abs(answer.value))
        parts = slope[: self._n], slope[self._n :]
        return EvaluatedRealisation(realisation, Response(self._is_cost, value, *parts, (), None, reached=answer.value))


@dataclass(frozen=True)
class EvaluatedRealisation:
    """A realisation (m) and the response of the recourse there."""

    realisation: Floats
    response: Response

    @property
    def value(self) -> float:
        """Value of the solver's own point."""
        return self.response.reached


def climb(
    evaluate: Callable[[Floats], EvaluatedRealisation | None],
    polyhedral: Polyhedral,
    starts: Iterable[Floats],
    stop: Callable[[], bool] = never,
) -> EvaluatedRealisation | None:
    """The worst vertex found by climbs from some starts until stopped; None where no vertex could be evaluated.

    Args:
        evaluate: value and slope at a realisation, None where there is none.
        polyhedral: the set. starts: (m) vertices.
    """
    best: EvaluatedRealisation | None = None
    known: set[bytes] = set()
    for start in starts:
        here = None
        u = start
        for _ in range(STEPS):
            if u.tobytes() in known or stop():
                break
            known.add(u.tobytes())
            there = evaluate(u)
            if there is None or (here is not None and there.value <= here.value + BETTER * max(1.0, abs(here.value))):
                break
            here = there
            if best is None or here.value > best.value:
                best = here
            u = vertex_along(polyhedral, here.response.slope_u)
    return best


def vertex_along(polyhedral: Polyhedral, slope: Floats) -> Floats:
    """(m) the vertex farthest along a slope."""
    gain = slope @ polyhedral.steps
    if not len(polyhedral.upper):
        return polyhedral.value((gain > 0.0).astype(np.float64))
    from scipy.optimize import linprog

    answer: Any = linprog(-gain, A_ub=polyhedral.rows, b_ub=polyhedral.upper, bounds=(0.0, 1.0), method="highs-ds")
    return polyhedral.value(np.round(answer.x))


def starting_points(polyhedral: Polyhedral, count: int) -> list[Floats]:
    """Vertices to start from: those of largest and smallest sum, and some along random slopes (fixed seed)."""
    m = len(polyhedral.origin)
    rng = np.random.default_rng(0)
    slopes = [np.ones(m), -np.ones(m), *rng.standard_normal((count, m))]
    found = {u.tobytes(): u for u in (vertex_along(polyhedral, slope) for slope in slopes)}
    return list(found.values())
