"""Tangents of second-order cones: linear inequalities that every point of the cone keeps.

At a point (û, t̂) with t̂ > 0, a = û/t̂: for all Σ u_k² ≤ s t follows 2 aᵀu − |a|² t ≤ s, because
0 ≤ |u − a t|² / t. The tangent needs no accuracy: any point gives a valid one.

Where t̂ is nearly 0 and û is not, as of a branch that a master opens and sends power over, û/t̂ is no slope. There a is
that of the cone ‖(2u, s − t)‖ ≤ s + t, whose tangent at the same point is 4 ûᵀu + d (s − t) ≤ N (s + t) with
d = ŝ − t̂ and N = ‖(2û, d)‖, which is the inequality above with a = 2 û / (N − d).
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints

STEEP = 1e-3
"""Share of |û| below which t̂ is nearly 0."""
STEEP_LEAST = 1e-6
"""Least violation there at which a tangent is added, above the accuracy of a linear program."""


class Tangents:
    """Tangents of one vector of cones, as rows over the columns of a model."""

    def __init__(self, columns: tuple[Ints, ...], n: int) -> None:
        """Start without tangents.

        Args:
            columns: columns (u…, s, t), each (C).
            n: columns of the model.
        """
        self._u, self._s, self._t = columns[:-2], columns[-2], columns[-1]
        self._n = n
        self.slopes: list[list[Floats]] = [[] for _ in self._s]

    def rows(self, point: tuple[Floats, ...], tolerance: float, *, settled: bool) -> sp.csr_array:
        """Rows (≤ 0) that cut off `point` where it violates its cone by more than a relative tolerance.

        Args:
            point: (u…, s, t), each (C).
            tolerance: relative to the s that the cone needs.
            settled: the point lies on the cone; then s is the value by the tangents so far, and tangents are added
                where that is too small.
        """
        u, s, t = np.array(point[:-2]), point[-2], np.asarray(point[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            needed = np.where(t > 1e-9, (u**2).sum(axis=0) / t, 0.0)
            slope = np.where(t > 1e-9, u / t, 0.0)
        least = np.full(len(t), 1e-10)
        if settled:
            known = np.array([self._known(e, u[:, e], t[e]) for e in range(len(t))])
        else:
            known = s
            steep = t <= STEEP * np.sqrt((u**2).sum(axis=0))
            slope[:, steep] = _steep_slopes(u[:, steep], s[steep], t[steep])
            needed[steep] = (2.0 * slope * u - slope**2 * t).sum(axis=0)[steep]
            least[steep] = STEEP_LEAST
        chosen = np.flatnonzero(needed - known > np.maximum(tolerance * needed, least))
        for e in chosen:
            self.slopes[e].append(slope[:, e])
        return self._matrix(chosen, slope[:, chosen])

    def _known(self, e: int, u: Floats, t: float) -> float:
        return max((float(2 * a @ u - a @ a * t) for a in self.slopes[e]), default=0.0)

    def _matrix(self, chosen: Ints, slope: Floats) -> sp.csr_array:
        k, count = len(self._u), len(chosen)
        rows = np.tile(np.arange(count), k + 2)
        columns = np.concatenate([*(u[chosen] for u in self._u), self._s[chosen], self._t[chosen]])
        values = np.concatenate([(2 * slope).ravel(), -np.ones(count), -(slope**2).sum(axis=0)])
        return sp.csr_array((values, (rows, columns)), shape=(count, self._n))


def _steep_slopes(u: Floats, s: Floats, t: Floats) -> Floats:
    """(K, C) the slopes a of the tangents where t is nearly 0; 0 where u is."""
    difference = s - t
    rest = np.sqrt(4.0 * (u**2).sum(axis=0) + difference**2) - difference
    slopes: Floats = np.divide(2.0 * u, rest, out=np.zeros_like(u), where=rest > 0.0)
    return slopes
