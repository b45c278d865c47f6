"""Existence, uniqueness and the second-order remainder of the flows of a whole set.

For d = B ζ with ζ in a `DeviationSet` all voltages are u* (1 + x) with |x| ≤ X, if X⁰ + N R(X) + t ≤ X: there the map
x ↦ J (d − r(x)) + τ takes the polydisc into itself, and with λ < 1 contracts it. Then r lies in a box that products of
affine forms give, and each quantity that is linear in currents is its linearisation at d − r. Theory:
docs/every_load.md E2 to E4.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.flow import PortFlow
from openpoint.enclosure.models import Models
from openpoint.enclosure.rounding import TINY, UNIT, lost, twice, up
from openpoint.enclosure.sets import DeviationSet

_LARGEST = 0.95
"""Largest |x| that is tried."""
_ITERATIONS = 300
_WEIGHINGS = 30
_ROUNDS = 4
_SETTLED = 1e-4
"""Share of the second order below which another round is not worth it."""
_FEW = 8
"""Ports of a deviation up to which they are added one by one, and not as a product of matrices."""
_ASTRAY = 1e-9
"""How far a computed |x| may lie outside its bound."""

_Rows = TypeVar("_Rows", Floats, Complexes)


class NotEnclosed(Exception):
    """That the flows of the whole set exist and are unique could not be proved."""


@dataclass(frozen=True)
class Enclosure:
    """Bounds of the flows of a set, all of m ports.

    Attributes:
        flow: the flow in its middle. set: of the deviations. spread: (m, n) B.
        first: (m, n) J B. x: at least |x|. d: at least |d|. slack: at least |τ|. drift: at least what branches that
            deviate add to x.
        centre: (2 m) of the box that r lies in, real parts first; half: (2 m). r: at least |r|.
        slope: at least |∂r/∂x|. weight, contraction: the norm in which the map contracts, and by how much at least.
    """

    flow: PortFlow
    set: DeviationSet
    spread: Complexes
    first: Complexes
    x: Floats
    d: Floats
    slack: Floats
    centre: Floats
    half: Floats
    r: Floats
    slope: Floats
    weight: Floats
    contraction: float
    drift: Floats

    def spread_into(self, rows: _Rows) -> _Rows:
        """(q, n) rows · B of real-linear forms, (q, 2 m)."""
        return spread_into(rows, self.spread, self._entries)

    @cached_property
    def _entries(self) -> list[_Entries] | None:
        return _entries(self.spread)


_Entries = tuple[Ints, Ints, Complexes]
"""Ports, deviations, and what these add there."""


def _entries(spread: Complexes) -> list[_Entries] | None:
    """The first, second, … port of each deviation; None where they are many."""
    if np.count_nonzero(spread, axis=0).max(initial=0) > _FEW:
        return None
    column, port = np.nonzero(spread.T)
    turn = np.arange(len(column)) - np.searchsorted(column, column)
    turns = ((port[turn == k], column[turn == k]) for k in range(int(turn.max(initial=-1)) + 1))
    return [(at, of, spread[at, of]) for at, of in turns]


def spread_into(rows: _Rows, spread: Complexes, entries: list[_Entries] | None = None) -> _Rows:
    """(q, n) rows · B; B has few entries a column, as a load is at few ports.

    Args:
        rows: (q, 2 m), what the forms make of real and of imaginary parts. spread: (m, n) B. entries: of B, if known.
    """
    m, n = spread.shape
    entries = _entries(spread) if entries is None else entries
    if entries is None:
        return rows[:, :m] @ spread.real + rows[:, m:] @ spread.imag
    found: _Rows = np.zeros((len(rows), n), dtype=rows.dtype)
    for k, (at, of, value) in enumerate(entries):
        part = rows[:, at] * value.real + rows[:, m + at] * value.imag
        if len(of) == n:
            found = found + part if k else part
        else:
            found[:, of] += part
    return found


def first_order(flow: PortFlow, spread: sp.csr_array | Complexes) -> tuple[Complexes, Complexes]:
    """(m, n) deviations of power at the flow's voltages, and J of these."""
    dense = spread.toarray() if sp.issparse(spread) else spread
    b = np.asarray(dense * flow.scale[:, None], dtype=np.complex128)
    entries = _entries(b)
    return b, flow.apply_jacobian(b) if entries is None else spread_into(flow.jacobian, b, entries)


class Slack:
    """At least |τ| where |r| and |x| are at most these; called with (m) both."""

    def __init__(self, flow: PortFlow, spread: Complexes, d: Floats) -> None:
        self.flow, self.d = flow, d
        # What J B loses in floating point, and s and d by the power of the voltage that they go with.
        self.rounding = up(flow.norms @ up(d + np.abs(spread).sum(axis=1)), len(d)) * (64 * UNIT)

    def __call__(self, r: Floats, x: Floats) -> Floats:
        flow = self.flow
        reach = np.max(self.d + r + flow.models.size * x, initial=0.0)
        return up(flow.loss + flow.defect * reach + self.rounding, 8)


def enclose(
    flow: PortFlow, spread: Complexes, first: Complexes, among: DeviationSet, drift: Floats | None = None
) -> Enclosure:
    """The enclosure of a set.

    Args:
        flow: in its middle. spread, first: of `first_order`. among: where ζ lies. drift: (m) as of `Enclosure`.

    Raises:
        NotEnclosed: existence or uniqueness is not proved.
    """
    models, size, norms = flow.models, flow.models.size, flow.norms
    m = len(size)
    d, x0 = among.modulus(spread), among.modulus(first)
    slack, drift = Slack(flow, spread, d), np.zeros(m) if drift is None else drift
    x = x0.copy()
    for _ in range(_ITERATIONS):
        if np.max(x, initial=0.0) >= _LARGEST:
            raise NotEnclosed
        r = models.remainder(x, d)
        new = x0 + norms @ r + slack(r, x) + drift
        if np.all(new <= x * (1.0 + 1e-9)):
            break
        x = np.maximum(x, new)
    x = x * (1.0 + 1e-8) + 1e-14
    if np.max(x, initial=0.0) >= _LARGEST:
        raise NotEnclosed
    r = models.remainder(x, d)
    t = slack(r, x)
    if (
        not np.all(up(x0 + up(norms @ r, m) + t + drift) <= x)
        or np.max(flow.defect, initial=0.0) * np.max(size, initial=0.0) >= 0.5
    ):
        raise NotEnclosed
    slope = models.slope(x + 2.0 * _ASTRAY, d)
    weight, contraction = _contraction(flow, slope, x)
    centre, half, r, x = _refined(flow, among, spread, first, (x0, x, d, r, up(t + drift)))
    slope = models.slope(x + 2.0 * _ASTRAY, d)
    return Enclosure(flow, among, spread, first, x, d, t, centre, half, r, slope, weight, contraction, drift)


def _contraction(flow: PortFlow, slope: Floats, x: Floats) -> tuple[Floats, float]:
    """A weight w and λ < 1 with N diag(slope) w ≤ λ w, rounding included.

    Raises:
        NotEnclosed: none was found.
    """
    norms, size, m = flow.norms, flow.models.size, len(x)
    if not m:
        return x, 0.0
    w, last = x / x.max(), np.inf
    for _ in range(_WEIGHINGS):
        new = norms @ (slope * w)
        most = float(new.max())
        if abs(most - last) <= 1e-3 * most:
            break
        w, last = 0.5 * w + 0.5 * new / max(most, TINY), most
    best, share = w, np.inf
    for floor in (0.0, 1e-6, 1e-3):  # a small weight makes little of the map, and much of rounding
        raised = np.maximum(w, floor * w.max())
        most = np.max((size + slope) * raised)
        found = float(up((up(norms @ up(slope * raised), m) + flow.defect * most) / raised, 8).max())
        if found < share:
            best, share = raised, found
    if not share < 1.0:
        raise NotEnclosed
    return best, share


def _refined(
    flow: PortFlow,
    among: DeviationSet,
    spread: Complexes,
    first: Complexes,
    rough: tuple[Floats, Floats, Floats, Floats, Floats],
) -> tuple[Floats, Floats, Floats, Floats]:
    """Centre and half width of the box of r, bounds of |r| and of |x|: r is a product of two affine forms, and more."""
    x0, x, d, r, t = rough
    m, norms = len(x), flow.norms
    second = spread - flow.s[:, None] * first
    g = among.modulus(second)
    low, high = _product(first, second, among)
    real = np.abs(flow.real)
    h = up(norms @ r + t, m)
    centre, half = np.zeros(2 * m), twice(r)
    for _ in range(_ROUNDS):
        lo, hi = _box(x0, x, d, r, h, g, low, high, flow.models)
        centre, half = _about(lo, hi, r)
        sizes = np.maximum(np.abs(lo), np.abs(hi))
        r = np.minimum(r, up(np.hypot(sizes[:m], sizes[m:])))
        moved = up(np.abs(flow.real @ centre) + lost(2 * m) * (real @ np.abs(centre)) + real @ half, 2 * m)
        last, h = h, np.minimum(h, up(np.minimum(norms @ r, np.hypot(moved[:m], moved[m:])) + t, m))
        x = np.minimum(x, up(x0 + h))
        if np.all(h >= (1.0 - _SETTLED) * last):
            break
    return centre, half, r, x


def box_of(
    first: Complexes, second: Complexes, among: DeviationSet, x: Floats, d: Floats, h: Floats, models: Models
) -> tuple[Floats, Floats, Floats]:
    """(2 m) centre and half width of the box of r, and (m) at least |r|, where x = first · ζ + η, |η| ≤ h.

    Args:
        second: d − s · first at constant power. x, d: (m) at least |x| and |d|.
    """
    r = models.remainder(x, d)
    low, high = _product(first, second, among)
    lo, hi = _box(among.modulus(first), x, d, r, h, among.modulus(second), low, high, models)
    m, sizes = len(x), np.maximum(np.abs(lo), np.abs(hi))
    return *_about(lo, hi, r), np.minimum(r, up(np.hypot(sizes[:m], sizes[m:])))


def _box(
    x0: Floats, x: Floats, d: Floats, r: Floats, h: Floats, g: Floats, low: Floats, high: Floats, models: Models
) -> tuple[Floats, Floats]:
    """(2 m) bounds of the parts of r, where P lies between low and high but for what h makes of it."""
    size = models.size
    rest = up(x0 * size * h + h * (g + size * h) + (128 * UNIT) * (d + size * x))
    most = np.minimum(up(x0 * g + rest), up(x * (d + size * x)))
    rest, cap = twice(up(rest + most * x / (1.0 - x), 16)), twice(r)
    power = twice(models.is_power)
    lo = np.maximum(np.where(power, low - rest, -cap), -cap)
    return lo, np.minimum(np.where(power, high + rest, cap), cap)


def _about(lo: Floats, hi: Floats, r: Floats) -> tuple[Floats, Floats]:
    """Centre and half width."""
    centre = 0.5 * (lo + hi)
    return centre, up(np.maximum(hi - centre, centre - lo) + 4 * UNIT * twice(r))


def _product(a: Complexes, b: Complexes, among: DeviationSet) -> tuple[Floats, Floats]:
    """(2 m) bounds of real and imaginary parts of the products of two affine forms in ζ."""

    p, q = np.stack([a.real, a.imag, a.real, a.imag]), np.stack([b.real, b.imag, b.imag, b.real])
    of_p, of_q = among.support(p), among.support(q)
    ratio = np.sqrt(np.maximum(of_q, TINY) / np.maximum(of_p, TINY))[..., None]
    p, q, cap = ratio * p, q / ratio, up(of_p * of_q)
    rounded, extra = 1.0 + 64 * UNIT, (64 * UNIT) * cap
    most, least = (up(0.25 * (among.support(each) * rounded) ** 2 + extra) for each in (p + q, p - q))
    (rr, ii, ri, ir), (rr_low, ii_low, ri_low, ir_low) = np.minimum(most, cap), np.maximum(-least, -cap)
    low, high = np.concatenate([rr_low - ii, ri_low + ir_low]), np.concatenate([rr - ii_low, ri + ir])
    error = (4 * UNIT) * (np.abs(low) + np.abs(high)) + TINY
    return low - error, high + error


def slopes(known: Enclosure) -> Floats:
    """(m, n) at least |∂(d − r)/∂ζ − B|, over the whole set."""
    flow, m = known.flow, len(known.x)
    spread, size = np.abs(known.spread), np.abs(known.first)
    base = (flow.models.gain(known.x)[:, None] + 64 * UNIT) * spread
    if not m:
        return base
    whole = spread + base + (known.slope + flow.models.size)[:, None] * size
    started = up(flow.norms @ (base + known.slope[:, None] * size) + flow.defect[:, None] * whole.max(axis=0), m + 16)
    # What x moves beyond J B is at most this and what the map, which contracts, makes of itself.
    grown = known.contraction / (1.0 - known.contraction) * (1.0 + 8 * UNIT)
    weight = known.weight[:, None]
    moved = up(started + weight * up(grown * (started / weight).max(axis=0)), 32)
    return up(base + known.slope[:, None] * (size + moved), 16)


def flows_at(known: Enclosure, points: Floats) -> tuple[Complexes, Complexes, Floats, Floats]:
    """Exact flows at realisations: what the vertices of a set attain.

    Args:
        points: (n, K) realisations ζ.

    Returns:
        (m, K) d − r, (m, K) d, (m, K) bounds of the error of d − r, and (K) whether the flow is proven to be that of
        the set, as 0 or inf.
    """
    flow, m = known.flow, len(known.x)
    d = known.spread @ points
    x = np.zeros(d.shape, dtype=np.complex128)
    s = flow.s
    for _ in range(100):
        r = flow.models.value(x, d, s)
        new = flow.apply_jacobian(d - r)
        step = np.abs(new - x).max(initial=0.0)
        x = new
        if step < 1e-15:
            break
    r = flow.models.value(x, d, s)
    e = d - r
    residual = np.abs(flow.apply_jacobian(e) - x)
    residual += known.slack[:, None] + lost(4 * m + known.spread.shape[1]) * (flow.norms @ (known.d + known.r))[:, None]
    astray = np.max((np.abs(x) - known.x[:, None]), axis=0, initial=-1.0) > _ASTRAY
    if not m:
        return e, d, np.zeros(d.shape), np.where(astray, np.inf, 0.0)
    off = known.weight[:, None] * ((residual / known.weight[:, None]).max(axis=0) / (1.0 - known.contraction))
    size = flow.models.size[:, None]
    error = known.slope[:, None] * off + lost(known.spread.shape[1]) * (known.d[:, None] + size * (np.abs(x) + UNIT))
    if not flow.models.is_power.all():
        error = error + (64 * UNIT) * (known.d[:, None] + size)
    return e, d, up(error, m), np.where(astray, np.inf, 0.0)
