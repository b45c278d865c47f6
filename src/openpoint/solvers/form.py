"""Standard form: the arrays that every solver takes.

min cᵀx + d   s.t.   A x + s = b,   s ∈ {0}ᵃ × R₊ᵇ × SOC × …,   x_i integer for i in `integers`
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints


class Identified(Protocol):
    """A variable of a model: an object with an id and a number of entries."""

    id: int
    size: int


@dataclass(frozen=True)
class StandardForm:
    """A compiled model.

    Attributes:
        c: (n) cost. offset: constant of the cost.
        a: (m, n) rows, first the `n_zero` equations, then `n_nonneg` inequalities, then the cones.
        b: (m) right-hand side.
        cones: dimensions of the second-order cones, first row ≥ norm of the others.
        integers: columns that are integer.
        columns: columns of each variable of the model, by the variable's id.
    """

    c: Floats
    offset: float
    a: sp.csc_array
    b: Floats
    n_zero: int
    n_nonneg: int
    cones: tuple[int, ...]
    integers: Ints
    columns: dict[int, Ints]

    def of(self, variable: Identified) -> Ints:
        """Columns of a variable, in Fortran order of its entries."""
        return self.columns[variable.id] if variable.size else np.arange(0)

    def with_coupling(self, columns: Ints) -> StandardForm:
        """The model with x[columns] = x̂ as its first equations, b[:len(columns)] = x̂ to be set (0 here)."""
        n = len(columns)
        rows = sp.csc_array((np.ones(n), (np.arange(n), columns)), shape=(n, self.a.shape[1]))
        return replace(
            self,
            a=sp.csc_array(sp.vstack([rows, self.a])),
            b=np.concatenate([np.zeros(n), self.b]),
            n_zero=self.n_zero + n,
        )

    def with_inequalities(self, a: sp.csr_array, b: Floats) -> StandardForm:
        """The model with a x ≤ b as its last inequalities."""
        m = self.n_zero + self.n_nonneg
        own = sp.csr_array(self.a)
        return replace(
            self,
            a=sp.csc_array(sp.vstack([own[:m], a, own[m:]])),
            b=np.concatenate([self.b[:m], b, self.b[m:]]),
            n_nonneg=self.n_nonneg + len(b),
        )
