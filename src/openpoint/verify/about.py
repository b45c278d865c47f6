"""Closed paths bounded about a flow, in whole numbers: what they send, at least, is best near there.

At its least flow a closed path is bounded best where little arrives, with voltages within it that are too high
elsewhere. Here the flow F₀ about which it is best is given. Let F = (p, q) be the power that arrives at the far end of
a branch and w the squared voltage there when as much as the least flow and δ >= 0 in both parts arrives at the end of
the path, and t >= 0 any two numbers. Since |F − t w|² >= 0,

    l = |F|² / w >= 2 t·F − |t|² w

So with affine functions of δ, F_ of which F is never below and w_ of which w is never above, l is never below the
affine 2 t·F_ − |t|² w_. The balances pass F_ on to the sender: F + z l arrives at the branch before it, or is sent.
With the same, from w_far = w_near − 2 (r p + x q) − |z|² l,

    w_far (1 − |z|² |t|²) <= w_near − 2 (r p_ + x q_) − 2 |z|² t·F_

passes w_ on from the sender; where 1 − |z|² |t|² is small, w is no higher than the sender. No slope of F_ is negative
and none of w_ positive, as both begin so. Where F_ >= 0 at δ = 0, and so everywhere, F >= F_ >= 0 gives

    l >= |F_|² / w_ = 2 t·F_ − |t|² w_ + |F_ − t w_|² / w_ >= 2 t·F_ − |t|² w_ + |F_ − t w_|² / w_(0)

With D the slopes of F_ − t w_, e what it is at F₀ and v = δ − δ₀ the distance from there, |F_ − t w_|² = |e + D v|² is
at least σ |v|² + 2 Dᵀe · v, where σ is the least eigenvalue of DᵀD. t = F_ / w_ at F₀ makes e all but nothing; it is
not taken for nothing. All terms of what is sent have this form. As δ >= 0, constants and slopes are rounded downwards,
those of w_ upwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from openpoint.verify.paths import FINE, ONE, SWEEPS, ClosedPath, Swept

SOUND = ONE // 10
"""Least 1 − |z|² |t|² with which a voltage is passed on."""

Affine = tuple[int, int, int]
"""A constant, and slopes by both parts of δ."""


@dataclass
class _Branch:
    """A branch of a path: impedance, load at its far end but at that of the path, and F_, t, w_ there."""

    r: int
    x: int
    z2: int
    load: tuple[int, int]
    w: Affine
    p: Affine = (0, 0, 0)
    q: Affine = (0, 0, 0)
    t: tuple[int, int] = (0, 0)


def closed_about(swept: Swept, k: int, end: int, f: int, g: int) -> ClosedPath:
    """Path k closed towards its end (0: u, 1: v), bounded about the flow f, g that arrives there; its drop is 0."""
    least, path, of = swept.arcs[k, end], swept.paths[k], swept.of
    buses, branches = (path.buses, path.branches) if end else (path.buses[::-1], path.branches[::-1])
    delta = max(f - least.f, 0), max(g - least.g, 0)
    top = swept.top[buses[0]]
    rows = [
        _Branch(of.r[e], of.x[e], of.z2[e], (swept.load[0][bus], swept.load[1][bus]), (top, 0, 0))
        for e, bus in zip(branches, buses[1:], strict=True)
    ]
    rows[-1].load = 0, 0
    begin = (least.f, ONE, 0), (least.g, 0, ONE)
    for _ in range(SWEEPS):
        _up(rows, *begin, delta)
        _down(rows, top, delta)
    return ClosedPath(
        least.f, least.g, _coefficients(*_up(rows, *begin, delta), _squares(rows, delta), least, delta), 0
    )


def _at(value: Affine, delta: tuple[int, int]) -> int:
    return value[0] + (value[1] * delta[0] + value[2] * delta[1] >> FINE)


def _up(rows: list[_Branch], p: Affine, q: Affine, delta: tuple[int, int]) -> tuple[Affine, Affine]:
    """Pass power on to the sender, with t at the flow `delta` beyond the least one; what is sent."""
    for row in reversed(rows):
        p, q = (p[0] + row.load[0], p[1], p[2]), (q[0] + row.load[1], q[1], q[2])
        row.p, row.q = p, q
        w = max(_at(row.w, delta), 1)
        row.t = a, b = tuple(max((_at(power, delta) << FINE) // w, 0) for power in (p, q))  # type: ignore[assignment]
        square = a * a + b * b
        l = [((2 * (a * p[c] + b * q[c]) << FINE) - square * row.w[c]) >> 2 * FINE for c in range(3)]
        p, q = (
            (power[0] + (z * l[0] >> FINE), power[1] + (z * l[1] >> FINE), power[2] + (z * l[2] >> FINE))
            for power, z in ((p, row.r), (q, row.x))
        )
    return p, q


def _down(rows: list[_Branch], top: int, delta: tuple[int, int]) -> None:
    """Pass voltages on from the sender."""
    near: Affine = (top, 0, 0)
    for row in rows:
        p, q = _at(row.p, delta), _at(row.q, delta)
        half = (_at(near, delta) >> 1) - (row.r * p + row.x * q >> FINE)
        rest = half * half - (row.z2 * (p * p + q * q) >> FINE)
        w = half + isqrt(rest) if half > 0 and rest > 0 and min(p, q) >= 0 else 1
        a, b = (max((power << FINE) // w, 0) for power in (p, q))
        less = row.z2 * (a * a + b * b)
        low, high = ONE - (less >> 2 * FINE) - 1, ONE - (less >> 2 * FINE)
        if low < SOUND:
            near = top, 0, 0
        else:
            by = [
                near[c]
                - (2 * (row.r * row.p[c] + row.x * row.q[c]) >> FINE)
                - (2 * row.z2 * (a * row.p[c] + b * row.q[c]) >> 2 * FINE)
                for c in range(3)
            ]
            near = _raised(by[0], low, high), _raised(by[1], low, high), _raised(by[2], low, high)
        row.w = near


def _raised(value: int, low: int, high: int) -> int:
    """At least `value` by a divisor between `low` and `high`."""
    return -(-(value << FINE) // (low if value >= 0 else high))


def _squares(rows: list[_Branch], delta: tuple[int, int]) -> list[tuple[int, Affine]]:
    """Of active and reactive power sent the factor of |v|², and an affine function of δ that is next to nothing."""
    factor, more = [0, 0], [[0, 0, 0], [0, 0, 0]]
    for row in rows:
        if min(*row.p, *row.q) < 0 or row.w[0] <= 0:
            continue
        d = [
            [(power[c] << FINE) - t * row.w[c] for c in range(3)] for power, t in ((row.p, row.t[0]), (row.q, row.t[1]))
        ]
        e = [(of[0] << FINE) + of[1] * delta[0] + of[2] * delta[1] for of in d]
        a, b, c, s = d[0][1], d[0][2], d[1][1], d[1][2]
        half, det = a * a + b * b + c * c + s * s, 2 * (a * s - b * c)
        least = max(half - isqrt(max(half * half - det * det, 0)) - 1, 0) // 2
        per = (least >> 3 * FINE) * ONE // row.w[0]
        by = [(2 * (d[0][c] * e[0] + d[1][c] * e[1]) >> 3 * FINE) // row.w[0] for c in (1, 2)]
        constant = -sum((slope + 1) * delta[c] for c, slope in enumerate(by)) >> FINE
        for at, z in enumerate((row.r, row.x)):
            factor[at] += z * per >> FINE
            for c, value in enumerate((constant, *by)):
                more[at][c] += z * value >> FINE
    return [(factor[at], (more[at][0], more[at][1], more[at][2])) for at in (0, 1)]


def _coefficients(
    p: Affine, q: Affine, squares: list[tuple[int, Affine]], least: ClosedPath, delta: tuple[int, int]
) -> list[int]:
    """`ClosedPath.s` from functions of δ."""
    about, found = (least.f + delta[0], least.g + delta[1]), list[int]()
    for at, (power, (factor, more)) in enumerate(zip((p, q), squares, strict=True)):
        constant, by_f, by_g = (a + b for a, b in zip(power, more, strict=True))
        less = by_f * least.f + by_g * least.g
        found += [
            constant + ((factor * (about[0] ** 2 + about[1] ** 2) - (less << FINE)) >> 2 * FINE),
            factor,
            by_f - (ONE if at == 0 else 0) - (2 * factor * about[0] >> FINE) - 1,
            by_g - (0 if at == 0 else ONE) - (2 * factor * about[1] >> FINE) - 1,
        ]
    return found
