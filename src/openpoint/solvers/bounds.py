"""Rows of one entry as bounds of their column, and the duals of the bounds as duals of those rows.

Most rows of a compiled model are 0 ≤ x ≤ u. Solvers with bounds of columns are faster with bounds in place of these
rows, but the duals are needed for the rows of the model as it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.solvers.base import StandardForm

T = TypeVar("T", bound=np.generic)

ROUNDING = 1e-9
"""Largest relative excess of a lower over an upper bound that counts as rounding, not as a contradiction."""
RAY = 1e-6
"""Largest residual of an infeasibility ray that is accepted, relative to its depth."""


@dataclass(frozen=True)
class BoundedForm:
    """The linear rows of a form: lower ≤ a · x ≤ upper over rows of several entries, and bounds of columns.

    Attributes:
        a: (k, n) rows kept. rows: (k) their numbers in the form.
        row_lower, row_upper: (k) their sides, ±inf where open.
        lower, upper: (n) bounds of columns, ±inf where open.
        lower_row, upper_row: (n) row of the form that a bound comes from, −1 if none. For an equation both are its row,
            also where an inequality has the same bound, so that its dual is the whole slope.
        equation: (n) equation of one entry, −1 if none.
        column, entry: (m) the only column and entry of a row of one entry, else −1 and 1.
    """

    a: sp.csr_array
    rows: Ints
    row_lower: Floats
    row_upper: Floats
    lower: Floats
    upper: Floats
    lower_row: Ints
    upper_row: Ints
    equation: Ints
    column: Ints
    entry: Floats

    def duals(self, y: Floats, reduced: Floats) -> Floats:
        """(m) duals z of the form's linear rows.

        Args:
            y: (k) derivative of the optimum with respect to the active side of the rows kept.
            reduced: (n) derivative with respect to the active bound of a column.
        """
        z = np.zeros(len(self.entry))
        z[self.rows] = -y
        for chosen, owner in ((reduced > 0.0, self.lower_row), (reduced < 0.0, self.upper_row)):
            columns = np.flatnonzero(chosen & (owner >= 0))
            z[owner[columns]] = -reduced[columns] / self.entry[owner[columns]]
        return z

    def with_bounds(self, columns: Ints, lower: Floats, upper: Floats) -> BoundedForm:
        """Bounds that are set from outside; they belong to the equation of the column, if it has one."""
        owner = self.equation[columns]
        return replace(
            self,
            lower=_put(self.lower, columns, lower),
            upper=_put(self.upper, columns, upper),
            lower_row=_put(self.lower_row, columns, owner),
            upper_row=_put(self.upper_row, columns, owner),
        )

    def contradiction(self, tolerance: float = 0.0) -> Floats | None:
        """(m) a ray z (Aᵀz = 0, bᵀz = −1) of two bounds, or of a row without entries, that exclude each other."""
        z = np.zeros(len(self.entry))
        excess = np.where((self.lower_row >= 0) & (self.upper_row >= 0), self.lower - self.upper, -np.inf)
        if excess.max(initial=0.0) > 0.0:
            column = int(np.argmax(excess))
            for row, sign in ((self.lower_row[column], -1.0), (self.upper_row[column], 1.0)):
                z[row] = sign / (self.entry[row] * excess[column])
            return z
        empty = np.diff(self.a.indptr) == 0
        for sides, wrong in (
            (self.row_upper, self.row_upper < -tolerance),
            (self.row_lower, self.row_lower > tolerance),
        ):
            for i in np.flatnonzero(empty & wrong):
                z[self.rows[i]] = -1.0 / sides[i]
                return z
        return None


def bounded(form: StandardForm) -> BoundedForm:
    """Separate the rows of one entry from the other linear rows of a form; its cones are left out."""
    m, n = form.n_zero + form.n_nonneg, len(form.c)
    a = sp.csr_array(form.a)[:m]
    a.eliminate_zeros()
    side = form.b[:m]
    other = np.where(np.arange(m) < form.n_zero, side, -np.inf)
    single = np.flatnonzero(np.diff(a.indptr) == 1)
    column, entry = np.full(m, -1, dtype=np.int64), np.ones(m)
    column[single], entry[single] = a.indices[a.indptr[single]], a.data[a.indptr[single]]
    ends = np.sort([side[single] / entry[single], other[single] / entry[single]], axis=0)
    lower, lower_row = _tightest(n, column[single], -ends[0], single)
    upper, upper_row = _tightest(n, column[single], ends[1], single)
    lower = -lower
    rounded = (lower > upper) & (lower - upper <= ROUNDING * np.maximum(1.0, np.abs(upper)))
    lower[rounded] = upper[rounded] = 0.5 * (lower[rounded] + upper[rounded])
    equation = np.full(n, -1, dtype=np.int64)
    own = single[single < form.n_zero]
    equation[column[own]] = own
    held = (equation >= 0) & (lower <= upper)
    lower_row[held] = upper_row[held] = equation[held]
    rows = np.flatnonzero(np.diff(a.indptr) != 1)
    return BoundedForm(
        a=sp.csr_array(a[rows]),
        rows=rows,
        row_lower=other[rows],
        row_upper=side[rows],
        lower=lower,
        upper=upper,
        lower_row=lower_row,
        upper_row=upper_row,
        equation=equation,
        column=column,
        entry=entry,
    )


def proof(a: sp.csr_array, y: Floats, rows: Floats, columns: Floats) -> tuple[Floats, Floats] | None:
    """A proof that lower ≤ a · x ≤ upper has no point within the bounds: slopes (k) of rows and (n) of columns.

    Args:
        a: (k, n). y: (k) multipliers of its rows that a solver offers, of either sign.
        rows: (2, k) sides of rows. columns: (2, n) bounds of columns.

    Returns:
        None if y proves nothing. Else the derivatives, with respect to the active sides and bounds, of a violation
        that is 1 here and 0 or less wherever the model is feasible.
    """
    for signed in (y, -y):
        slope, at_rows, _ = _active(signed, rows)
        reduced, at_columns, lost = _active(-(a.T @ slope), columns)
        depth = float(slope @ at_rows + reduced @ at_columns)
        if depth > 0.0 and lost <= RAY * depth:
            return slope / depth, reduced / depth
    return None


def _active(slope: Floats, sides: Floats) -> tuple[Floats, Floats, float]:
    """Slopes without those on an infinite side, the sides that the others act on, and the largest slope left out."""
    side = np.where(slope > 0.0, sides[0], sides[1])
    held = np.isfinite(side)
    lost = float(np.abs(slope[~held]).max(initial=0.0))
    return np.where(held, slope, 0.0), np.where(held, side, 0.0), lost


def _put(array: npt.NDArray[T], at: Ints, values: npt.NDArray[T]) -> npt.NDArray[T]:
    """A copy of an array with other values at some indices."""
    copy = array.copy()
    copy[at] = values
    return copy


def _tightest(n: int, column: Ints, at: Floats, row: Ints) -> tuple[Floats, Ints]:
    """Least bound of every column and the row that it comes from."""
    bound, owner = np.full(n, np.inf), np.full(n, -1, dtype=np.int64)
    order = np.lexsort((-at, column))  # the last of a column is the least
    order = order[np.isfinite(at[order])]
    bound[column[order]], owner[column[order]] = at[order], row[order]
    return bound, owner


SAME = 1e-11
"""Relative difference of two bounds of a column that counts as none."""
"""Excess of a row without entries that counts as rounding."""


class KnownColumns:
    """Columns as factor · free column + constant, while more and more of them are known."""

    def __init__(self, count: int) -> None:
        """All columns are free."""
        self.factor, self.origin, self.constant = np.ones(count), np.arange(count), np.zeros(count)

    @property
    def free(self) -> Bools:
        """(n) columns that are free themselves."""
        return np.asarray((self.factor == 1.0) & (self.origin == np.arange(len(self.factor))))

    def equate(self, columns: Ints, other: Ints, factor: Floats) -> None:
        """Free columns are multiples of other free ones."""
        self.factor[columns], self.origin[columns] = factor, other

    def fix(self, columns: Ints, values: Floats) -> None:
        """Free columns are numbers, and so is what is a multiple of them."""
        at = np.full(len(self.factor), np.nan)
        at[columns] = values
        value = at[self.origin]
        known = ~np.isnan(value) & (self.factor != 0.0)
        self.constant[known] += self.factor[known] * value[known]
        self.factor[known] = 0.0

    def applied(self, a: sp.csr_array) -> tuple[sp.csr_array, Floats]:
        """Rows over the free columns, and the constant of each."""
        count = len(self.factor)
        matrix = sp.csr_array((self.factor, (np.arange(count), self.origin)), shape=(count, count))
        moved = sp.csr_array(a @ matrix)
        moved.eliminate_zeros()
        return moved, np.asarray(a @ self.constant)


@dataclass(frozen=True)
class LinearRows:
    """Linear rows a x ≤ b, the first `n_zero` of them equations; whether the rows that were left out hold."""

    a: sp.csr_array
    b: Floats
    n_zero: int
    feasible: bool


def settled(form: StandardForm, columns: KnownColumns, outside: Bools | None = None) -> LinearRows:
    """The linear rows of a form over the free columns, after those of one entry have fixed what they can.

    Of the bounds of a column only the tightest stay; rows without entries are left out.

    Args:
        form: the model. columns: what is known of it; more is known afterwards.
        outside: (n) columns that are given from outside and so never fixed by a row.
    """
    m, n = form.n_zero + form.n_nonneg, len(form.c)
    linear, equation = sp.csr_array(form.a)[:m], np.arange(m) < form.n_zero
    given = np.zeros(n, dtype=np.bool_) if outside is None else outside
    while True:
        rows, constant = columns.applied(linear)
        b, size = form.b[:m] - constant, np.diff(rows.indptr)
        single = np.flatnonzero(size == 1)
        single = single[~given[rows.indices[rows.indptr[single]]]]
        low, high = _bounds(rows, b, single, equation)
        found = np.flatnonzero(np.isfinite(low) & np.isfinite(high))
        found = found[low[found] >= high[found] - SAME * np.maximum(1.0, np.abs(high[found]))]
        if not len(found):
            break
        columns.fix(found, 0.5 * (low[found] + high[found]))
    empty = size == 0
    excess = np.where(equation, np.abs(b), -b)[empty]
    left = ~empty
    left[single] = False
    order = np.concatenate([np.flatnonzero(left & equation), np.flatnonzero(left & ~equation)])
    below, above = np.flatnonzero(np.isfinite(low)), np.flatnonzero(np.isfinite(high))
    unit = sp.csr_array(sp.eye_array(n))
    return LinearRows(
        sp.csr_array(sp.vstack([rows[order], -unit[below], unit[above]])),
        np.concatenate([b[order], -low[below], high[above]]),
        int((left & equation).sum()),
        bool((excess <= ROUNDING).all()),
    )


def _bounds(rows: sp.csr_array, b: Floats, single: Ints, equation: Bools) -> tuple[Floats, Floats]:
    """(n) lower and (n) upper bounds of columns by rows of one entry."""
    column, entry = rows.indices[rows.indptr[single]], rows.data[rows.indptr[single]]
    end = b[single] / entry
    low, high = np.full(rows.shape[1], -np.inf), np.full(rows.shape[1], np.inf)
    from_below, from_above = equation[single] | (entry < 0.0), equation[single] | (entry > 0.0)
    np.maximum.at(low, column[from_below], end[from_below])
    np.minimum.at(high, column[from_above], end[from_above])
    return low, high


def settled_cones(
    cones: Sequence[tuple[Ints, ...]], columns: KnownColumns
) -> tuple[sp.csr_array, Floats, tuple[int, ...]]:
    """Rows, sides and sizes of the cones over columns (u…, s, t), Σ u² ≤ s t, where some columns are known.

    s + t ≥ ‖(2u, s − t)‖, or s ≥ ‖u‖ where s and t are the same; cones in which all is known are left out.
    """
    count = len(columns.factor)
    unit = sp.csr_array(sp.eye_array(count))
    rows, sides, sizes = [sp.csr_array((0, count))], [np.empty(0)], list[int]()
    for cone in cones:
        columns_of = np.array(cone)  # (parts, C)
        live = (columns.factor[columns_of] != 0.0).any(axis=0)
        columns_of = columns_of[:, live]
        *u, s, t = columns_of
        same = bool((s == t).all())
        heights = [unit[s]] if same else [unit[s] + unit[t]]
        heights += [(1.0 if same else 2.0) * unit[part] for part in u]
        if not same:
            heights.append(unit[s] - unit[t])
        size, number = len(heights), len(s)
        order = np.arange(size * number).reshape(size, number).T.ravel()
        moved, constant = columns.applied(-sp.csr_array(sp.vstack(heights))[order])
        rows.append(moved)
        sides.append(-constant)
        sizes += [size] * number
    return sp.csr_array(sp.vstack(rows)), np.concatenate(sides), tuple(sizes)
