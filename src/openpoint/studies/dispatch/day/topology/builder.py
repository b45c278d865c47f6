"""Columns and rows of a day's program while they are put together."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints

ANGLES = np.deg2rad([-67.5, -45.0, 45.0, 67.5])
"""Sides of the polygon around the circle of an inverter, beside the limits of p and q."""


Terms = list[tuple[Ints, Floats | float]]
"""Columns, and the coefficient of each or of all."""


@dataclass
class Builder:
    """Columns and rows while they are put together."""

    n_bus: int
    parts: dict[str, list[Floats]] = field(
        default_factory=lambda: {k: [] for k in ("cost", "square", "lower", "upper", "owner")}
    )
    size: int = 0
    zero: list[tuple[Ints, Ints, Floats, Floats]] = field(default_factory=list)
    less: list[tuple[Ints, Ints, Floats, Floats]] = field(default_factory=list)
    drawn: list[tuple[Ints, Ints, Floats]] = field(default_factory=list)
    moves: tuple[list[tuple[int, Ints, Floats]], ...] = field(default_factory=lambda: ([], []))

    def add(
        self, lower: Floats, upper: Floats, cost: Floats | float = 0.0, square: Floats | float = 0.0, owner: int = -1
    ) -> Ints:
        """Numbers of new columns, in the shape of `lower`."""
        shape = np.broadcast_shapes(np.shape(lower), np.shape(upper))
        values = (cost, square, lower, upper, float(owner))
        for part, value in zip(self.parts.values(), values, strict=True):
            part.append(np.broadcast_to(np.asarray(value, dtype=np.float64), shape).ravel())
        count = int(np.prod(shape))
        self.size += count
        return np.arange(self.size - count, self.size).reshape(shape)

    def rows(self, terms: Terms, side: Floats | float, *, equal: bool = False) -> None:
        """Rows Σ coefficient · column = or ≤ side, one for every entry of the columns of all terms."""
        count = terms[0][0].size
        number = np.tile(np.arange(count), len(terms))
        column = np.concatenate([c.ravel() for c, _ in terms])
        value = np.concatenate([np.broadcast_to(np.asarray(v, dtype=np.float64), c.shape).ravel() for c, v in terms])
        b = np.broadcast_to(np.asarray(side, dtype=np.float64), terms[0][0].shape).ravel()
        (self.zero if equal else self.less).append((number, column, value, b))

    def sums(self, columns: Ints, values: Floats, side: float | Floats, *, equal: bool = False) -> None:
        """One row for every column of the (R, C) arrays: Σ over R."""
        number = np.tile(np.arange(columns.shape[1]), columns.shape[0])
        b = np.broadcast_to(np.asarray(side, dtype=np.float64), columns.shape[1:]).ravel()
        value = np.broadcast_to(values, columns.shape).ravel()
        (self.zero if equal else self.less).append((number, columns.ravel(), np.asarray(value), b))

    def even(self, columns: Ints, sign: Floats, *, reactive: bool) -> None:
        """A row Σ sign x = 0 of columns that are in no other row."""
        row = sum(len(b) for *_, b in self.zero)
        self.moves[reactive].append((row, columns, sign))
        self.sums(columns[:, None], sign[:, None], 0.0, equal=True)

    def draw(self, copy: int, buses: Ints, columns: Ints, factor: Floats | float, *, reactive: bool = False) -> None:
        """Power that columns draw at buses in a copy."""
        rows = (2 * copy + reactive) * self.n_bus + buses
        self.drawn.append((rows, columns, np.broadcast_to(np.asarray(factor, dtype=np.float64), columns.shape)))

    def matrix(self) -> tuple[sp.csr_array, Floats, int]:
        """Rows and sides, equations first, and their number."""
        found, sides, count = list[sp.csr_array](), [np.empty(0)], 0
        for kind in (self.zero, self.less):
            for number, column, value, b in kind:
                found.append(sp.csr_array((value, (number, column)), shape=(len(b), self.size)))
                sides.append(b)
            if kind is self.zero:
                count = sum(len(b) for *_, b in kind)
        a = sp.csr_array(sp.vstack(found)) if found else sp.csr_array((0, self.size))
        return a, np.concatenate(sides), count
