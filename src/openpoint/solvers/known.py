"""Columns of a model that are known, or a multiple of another one, and what is left of its rows without them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.solvers.base import StandardForm

SAME = 1e-11
"""Relative difference of two bounds of a column that counts as none."""
ROUNDING = 1e-9
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
