"""Sets of deviations: a box, or a box with a budget of how many deviate at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.enclosure.rounding import UNIT, up

_DIRECTIONS = 8
"""Half of the directions in which a modulus is bounded; the first and the middle one are its two parts."""
_ANGLES = np.arange(_DIRECTIONS)[:, None, None] * np.pi / _DIRECTIONS
_COS, _SIN = np.cos(_ANGLES), np.sin(_ANGLES)
_AT_ONCE = 1 << 15
"""Most numbers of a matrix that is turned into all directions at once."""


@dataclass(frozen=True)
class DeviationSet:
    """All ζ with |ζ_i| ≤ 1 and, with a budget, Σ |ζ_i| ≤ budget.

    Attributes:
        budget: how many may deviate fully at once; None = any number.
    """

    budget: float | None = None

    def is_box(self, count: int) -> bool:
        """Whether the budget leaves `count` deviations free."""
        return self.budget is None or self.budget >= count

    def support(self, rows: Floats) -> Floats:
        """(…) the greatest value of each linear form over the set; rows: (…, n)."""
        size = np.abs(rows)
        n = size.shape[-1]
        if self.budget is None or self.budget >= n:
            return up(size.sum(axis=-1), n)
        whole = int(self.budget)
        size = np.partition(size, n - whole - 1, axis=-1)
        return up(size[..., n - whole :].sum(axis=-1) + (self.budget - whole) * size[..., n - whole - 1], n)

    def modulus(self, rows: Complexes) -> Floats:
        """(q) at least the greatest modulus of each complex linear form; rows: (q, n)."""
        re, im = np.ascontiguousarray(rows.real), np.ascontiguousarray(rows.imag)
        turns = [_COS * re + _SIN * im] if rows.size <= _AT_ONCE else (c * re + s * im for c, s in zip(_COS, _SIN))
        along = np.array([self.support(each) for each in turns]).reshape(_DIRECTIONS, len(rows))
        # The first and the middle of the directions are the real and the imaginary part.
        box = np.hypot(along[0], along[_DIRECTIONS // 2] + (64 * UNIT) * along[0])
        return up(np.minimum(box, along.max(axis=0, initial=0.0) / np.cos(np.pi / (2 * _DIRECTIONS))))

    def vertex(self, rows: Floats) -> Floats:
        """(q, n) points of the set at which the linear forms are greatest."""
        sign = np.where(rows >= 0.0, 1.0, -1.0)
        n = rows.shape[1]
        if self.budget is None or self.budget >= n:
            return sign
        order = np.argsort(-np.abs(rows), axis=1, kind="stable")
        share = np.clip(self.budget - np.arange(n), 0.0, 1.0)
        size = np.zeros(rows.shape)
        np.put_along_axis(size, order, np.broadcast_to(share, rows.shape), axis=1)
        return sign * size
