"""Affine policies: a proof that a linear recourse exists for every realisation of a polyhedral set, and a bound of its
cost.

A recourse that reacts to u = u₀ + S ζ by y(ζ) = y₀ + Y ζ (Ben-Tal et al. 2004) is one of many, so the worst cost of the
best affine one is an upper bound of the worst cost, and its existence proves that no realisation is infeasible. Where
none exists, nothing is proven. At a fixed decision the rows are A y ≤ b + B ζ. Columns with equal bounds are fixed; the
equations are solved for some of the others, so that few remain, t; and with t = t₀ + T ζ a row is

    g t₀ + max_ζ (g T − B) ζ ≤ b         max over {0 ≤ ζ ≤ 1, R ζ ≤ r} by its dual: rᵀ μ + Σ ν, ν + Rᵀ μ ≥ (g T − B)ᵀ

Rows are added when they are violated. Parts of the model that share neither columns nor ζ are solved separately.

Theory: docs/methods.md M32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from scipy.sparse import csgraph

from openpoint.arrays import Floats, Ints
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.recourse.compile import Template
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
