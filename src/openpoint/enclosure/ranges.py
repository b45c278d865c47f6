"""Ranges of what is measured in one part of a grid: its linear forms in the currents of ports, and their moduli."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.enclosure.bounds import Enclosure, flows_at
from openpoint.enclosure.flow import part_norms
from openpoint.enclosure.rounding import UNIT, lost, twice, up

_WORK = 3e7
"""Realisations that are computed in a part, times the square of its ports."""
_FEWEST = 16


@dataclass(frozen=True)
class Forms:
    """q complex quantities f = middle + rows · (d − r) + own · ζ, with rows real-linear.

    Attributes:
        middle: (q). rows: (q, 2 m). own: (q, n). error: (q) what rounding may add; rest: (q) what has no such form.
        loose: (q) what branches that deviate may add.
    """

    middle: Complexes
    rows: Complexes
    own: Complexes
    error: Floats
    rest: Floats
    loose: Floats

    def plus(self, more: Complexes) -> Forms:
        """The same, with something constant more."""
        error = self.error + (4 * UNIT) * (np.abs(self.middle) + np.abs(more))
        return replace(self, middle=self.middle + more, error=error)

    def turned(self) -> Forms:
        """The same, each turned so that its middle is real and not negative."""
        size = np.abs(self.middle)
        phase = np.where(size > 0.0, np.conj(self.middle) / np.where(size > 0.0, size, 1.0), 1.0)[:, None]
        return Forms(size + 0j, phase * self.rows, phase * self.own, self.error, self.rest, self.loose)


@dataclass(frozen=True)
class Measured:
    """Bounds of q quantities over a set, and what is needed to sharpen them.

    Attributes:
        low, high: (q) rigorous bounds. centre, rest: (q) where these are centre ± (width of the slopes + rest).
        gradient: (q, n) slopes in the middle. doubt: (q, n) by how much they may differ elsewhere; inf: not known.
        blur: (q) what the error of the forms themselves may add to the difference between two realisations; inf: what
            branches that deviate add is not known by realisations.
    """

    low: Floats
    high: Floats
    centre: Floats
    rest: Floats
    gradient: Floats
    doubt: Floats
    blur: Floats


def real_ranges(known: Enclosure, forms: Forms, steep: Floats | None = None) -> Measured:
    """Ranges of the real parts.

    Args:
        steep: (m, n) at least |∂e/∂ζ − B|; None: vertices are not asked for.
    """
    rows = np.ascontiguousarray(forms.rows.real)
    m = len(known.x)
    gradient = known.spread_into(rows) + forms.own.real
    width, mid, wide = _spans(known, rows, gradient, forms)
    middle = forms.middle.real
    wide = wide + (8 * UNIT) * (np.abs(middle) + width)
    centre = middle - mid
    doubt = np.full(gradient.shape, np.inf)
    if steep is not None:
        doubt = up(np.hypot(rows[:, :m], rows[:, m:]) @ steep, m) + (64 * UNIT) * np.abs(gradient)
        doubt[forms.rest > 0.0] = np.inf
    blur = np.where(forms.loose > 0.0, np.inf, up(4.0 * forms.error))
    return Measured(centre - wide, centre + wide, centre, wide - width, gradient, doubt, blur)


def _spans(known: Enclosure, rows: Floats, gradient: Floats, forms: Forms) -> tuple[Floats, Floats, Floats]:
    """(q) linear width, shift of the middle, and half width of real linear forms."""
    m, n = known.spread.shape
    width = known.set.support(gradient)
    mid = rows @ known.centre
    size = np.abs(rows)
    loss = lost(2 * m + n) * (size @ (np.abs(known.centre) + twice(known.d)))
    wide = up(width + size @ known.half + loss + forms.error + forms.rest + forms.loose, 2 * m)
    return width, mid, wide


def modulus_ranges(known: Enclosure, forms: Forms, steep: Floats | None = None) -> Measured:
    """Ranges of the moduli."""
    forms, m = forms.turned(), len(known.x)
    real = real_ranges(known, forms, steep)
    across = np.ascontiguousarray(forms.rows.imag)
    turn = known.spread_into(across) + forms.own.imag
    _, mid, wide = _spans(known, across, turn, forms)
    side = up(np.abs(mid) + wide)  # most of |Im|
    least_side = np.maximum(np.abs(mid) - wide, 0.0)
    high = up(np.hypot(np.maximum(np.abs(real.low), np.abs(real.high)), side))
    low = np.hypot(np.maximum(real.low, 0.0) + np.maximum(-real.high, 0.0), least_side) * (1.0 - 8 * UNIT)
    if steep is None:
        return replace(real, low=low, high=high)
    # ∂|f| has the sign of Re ∂f + tan θ Im ∂f, and is no larger, with θ the angle by which f turns from its middle.
    ahead = real.low > 0.0
    tangent = up(side / np.where(ahead, real.low, 1.0))[:, None]
    doubt = real.doubt + tangent * (np.abs(turn) + np.hypot(across[:, :m], across[:, m:]) @ steep)
    doubt[~ahead] = np.inf
    return Measured(low, high, real.centre, real.rest, real.gradient, up(doubt, m), real.blur)


@dataclass(frozen=True)
class Attained:
    """What exact flows attain, for q quantities.

    Attributes:
        least, greatest: (q) of the flows that were computed.
        low, high: (q) bounds by the slopes: of a box the flow at a vertex, and what uncertain signs may add. ±inf
            where there is none.
        is_exact: (q) whether all slopes have a certain sign, so that the bounds are attained.
        least_at, greatest_at: (q) numbers of the realisations of `least` and `greatest`.
    """

    least: Floats
    greatest: Floats
    low: Floats
    high: Floats
    is_exact: Bools
    least_at: Ints
    greatest_at: Ints


class Vertices:
    """Exact flows at vertices of a set, those at which linear forms are greatest and least.

    Args:
        known: of the set. gradients: (q, n) of the linear forms. more: (n, K) other realisations. first: number of the
            first realisation.

    Attributes:
        extra: columns of the other realisations.
    """

    def __init__(self, known: Enclosure, gradients: Floats, more: Floats, first: int = 0) -> None:
        self.known, self.first = known, first
        m, n = known.spread.shape
        best = known.set.vertex(gradients)
        flip = np.where(best[:, :1] < 0.0, -1.0, 1.0) if n else np.ones((len(best), 1))
        best = flip * best
        bits = np.concatenate(
            [np.packbits(each, axis=1) for each in (best > 0.0, best < 0.0, np.abs(best) == 1.0)], axis=1
        )
        _, chosen, place, count = np.unique(bits, axis=0, return_index=True, return_inverse=True, return_counts=True)
        unique = best[chosen]
        most = max(_FEWEST, int(_WORK / max(m, 1) ** 2))
        kept = np.sort(np.argsort(-count, kind="stable")[:most])
        rank = np.full(len(unique), -1)
        rank[kept] = np.arange(len(kept))
        self.points = np.concatenate([unique[kept].T, -unique[kept].T, more], axis=1)
        row = rank[place.reshape(-1)]
        ahead = np.where(flip[:, 0] > 0.0, row, row + len(kept))
        behind = np.where(flip[:, 0] > 0.0, row + len(kept), row)
        self.upper, self.lower = np.where(row >= 0, ahead, -1), np.where(row >= 0, behind, -1)
        self.extra = slice(2 * len(kept), self.points.shape[1])
        self.e, self.d, self.off, self.valid = flows_at(known, self.points)

    def values(self, forms: Forms) -> tuple[Complexes, Floats]:
        """(q, K) quantities at the realisations, and (q, K) bounds of their error."""
        m, n = self.known.spread.shape
        e = np.concatenate([self.e.real, self.e.imag])
        found = forms.middle[:, None] + forms.rows @ e + forms.own @ self.points
        norms = part_norms(forms.rows)
        error = norms @ (self.off + lost(2 * m + n) * np.abs(self.e)) + (forms.error + forms.rest)[:, None]
        error += (16 * UNIT) * (np.abs(forms.middle)[:, None] + np.abs(found))
        return found, up(error, m) + self.valid[None, :]

    def attained(self, values: Floats, errors: Floats, measured: Measured, rows: slice) -> Attained:
        """What of q quantities is attained.

        Args:
            values, errors: (q, K). measured: of these. rows: theirs among the linear forms.
        """
        surely, at_most = values - errors, values + errors
        greatest, least = surely.max(axis=1), at_most.min(axis=1)
        where = self.first + at_most.argmin(axis=1), self.first + surely.argmax(axis=1)
        q = np.arange(len(values))
        upper, lower = self.upper[rows], self.lower[rows]
        unsure = 2.0 * np.maximum(measured.doubt - np.abs(measured.gradient), 0.0).sum(axis=1) + measured.blur
        free = self.known.set.is_box(self.known.spread.shape[1])
        high = np.where((upper >= 0) & free, values[q, upper] + errors[q, upper] + unsure, np.inf)
        low = np.where((lower >= 0) & free, values[q, lower] - errors[q, lower] - unsure, -np.inf)
        exact = np.isfinite(high) & np.isfinite(low) & (unsure == measured.blur)
        return Attained(least, greatest, low, high, exact, *where)
