"""A linear recourse at one decision, its equations eliminated: a small linear program for very many realisations.

With the decision fixed, y is bound by E y = e − F u and by limits. A QR factorisation of E with column pivoting splits
y into a few free entries z and the others, which follow from them and from u:

    y = y_0 + Y_u u + Y_z z,      lower ≤ G_u u + G_z z ≤ upper

Limits that every z and every u within their bounds keep are left out. A power flow of hundreds of variables becomes a
program over the output of generators.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.errors import OptionError
from openpoint.solvers.base import StandardForm
from openpoint.solvers.bounds import bounded
from openpoint.twostage.recourse.compile import Template

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
