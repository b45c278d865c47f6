"""Ranges of the squared voltages of the states that cost at most as much as a known one, in fractions.

`openpoint.verify.caps` bounds voltages by the loss. Where something else is minimised, the cost bounds the loss first.
With s(j) the source whose tree bus j is in, and D_j the active power that it draws less what it feeds in,

    Σ_s c_s P_s = Σ_s c_s (loss in its tree) + Σ_j c_s(j) D_j,

so with λ the price of losses, λ + c_s >= 0, c_e >= 0 that of squared currents l and branches that only lose, the cost
is at least

    κ Σ r l + base        κ = min over branches of λ + min c_s + c_e / r
    base = Σ_j min c D_j + Σ_g min [(c_g − c) p + a p² + c°_g]

each minimum taken over the prices of all sources, or of the one at the bus itself, and over the ranges of demand and
output. A generator that may stop adds 0 where it is off. A state of cost V has Σ r l <= (V − base) / κ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from math import isqrt

from openpoint.verify.caps import caps
from openpoint.verify.data import Data
from openpoint.verify.devices import Places
from openpoint.verify.graph import Graph

DIGITS = 64
"""Binary digits of rounded roots."""
ROUNDS = 3
"""How often voltages and losses bound each other."""
Ends = tuple[Fraction, Fraction]


def greatest_voltages(
    data: Data[Fraction],
    places: Places,
    graph: Graph,
    usable: list[int],
    limits: tuple[list[float], list[float]],
    value: Fraction,
) -> list[Fraction | float]:
    """By bus the limit, or an upper bound of its squared voltage in states of at most this cost; inf: unknown.

    Args:
        usable: branches that may be closed. limits: least and greatest squared voltages.
    """
    held = places.squares_of(data)
    most, top = places.highest(data), max(square for _, square in held.values())
    w_min = [held[bus][0] if bus in held else Fraction(low) for bus, low in enumerate(limits[0])]
    others = (*data.source, *data.output, *data.move, *data.current)
    lost = value if data.loss[0] == 1 and not any(others) else None
    found: list[Fraction | float] = []
    for _ in range(1 if lost is not None else ROUNDS):
        found = [
            min(cap, limit)
            for cap, limit in zip(
                caps(most, graph, usable, lost, top, moving=bool(places.tapped)), limits[1], strict=True
            )
        ]
        w_max = [held[bus][1] if bus in held else high for bus, high in enumerate(found)]
        lost = greatest_loss(data, places, usable, value, (w_min, w_max))
    return found


def greatest_loss(
    data: Data[Fraction],
    places: Places,
    usable: list[int],
    value: Fraction,
    squares: tuple[Sequence[Fraction], Sequence[Fraction | float]],
) -> Fraction | None:
    """Greatest Σ r l of the states of at most this cost; None where nothing is known.

    Args:
        usable: branches that may be closed. squares: least and greatest squared voltages, inf = unknown.
    """
    loss, prices = data.loss[0], data.source
    lossy = [loss + min(prices) + data.current[e] / data.r[e] for e in usable if data.r[e] > 0]
    if not lossy or min(lossy) <= 0 or loss + min(prices) < 0 or min(data.current) < 0:
        return None
    base = Fraction(0)
    own = dict(zip(places.sources, prices, strict=True))
    for bus, (low, high) in enumerate(zip(*squares, strict=True)):
        among = {own[bus]} if bus in own else {min(prices), max(prices)}
        if among == {0}:
            continue
        ends = _drawn(data, bus, low, high)
        if ends is None:
            return None
        base += min(price * end for price in among for end in ends)
    units = set(places.number.values())
    for n, bus in enumerate(places.fed[: places.generators]):
        among = {own[bus]} if bus in own else {min(prices), max(prices)}
        rate, square, idle = data.output[3 * n : 3 * n + 3]
        box = data.box[4 * n], data.box[4 * n + 1]
        least = idle + min(_parabola(rate - price, square, box) for price in among)
        base += min(least, Fraction(0)) if n in units else least
    return max(Fraction(0), (value - base) / min(lossy))


def _drawn(data: Data[Fraction], bus: int, w_min: Fraction, w_max: Fraction | float) -> Ends | None:
    """Least and greatest active power that a bus draws, less ordinary generation; None: without bound."""
    low, high = data.p[bus], data.p[bus] + data.p_span[bus]
    if (data.p_v[bus] or data.p_w[bus]) and math.isinf(w_max):
        return None
    if part := data.p_v[bus]:
        ends = part * _root(w_min, 0), part * _root(Fraction(w_max), 1)
        low, high = low + min(ends), high + max(ends)
    if part := data.p_w[bus]:
        ends = part * w_min, part * Fraction(w_max)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _root(square: Fraction, above: int) -> Fraction:
    """The square root, rounded down (`above` 0) or up (1)."""
    return Fraction(isqrt((square.numerator << 2 * DIGITS) // square.denominator) + above, 1 << DIGITS)


def _parabola(slope: Fraction, square: Fraction, ends: Ends) -> Fraction:
    """The least of slope x + square x² in a range."""
    low, high = ends
    x = high if slope < 0 else low
    if square > 0:
        x = min(max(-slope / (2 * square), low), high)
    return slope * x + square * x * x
