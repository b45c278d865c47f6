"""The least that an output can add to the bound of `openpoint.verify.bound`, in integers.

A generator at bus j that feeds in p + jq adds c p + a p² + c° − y_j p − μ_j q, with c its price, a >= 0 that of the
squared output and c° what it costs while it is on. It lies in a box, and p² + q² <= s² where it has a greatest apparent
power s. For any κ >= 0

    min (c − y) p + a p² − μ q  >=  min [(c − y) p + (a + κ) p²] + min [κ q² − μ q] − κ s²

with p and q in their ranges: two parabolas, each least at its vertex or at an end. The right side is concave in κ, and
best where the p and q at which it is least have p² + q² = s²: this κ is found by bisection. As any κ is valid, it needs
no care; the value at it is rounded downwards.

A source with limits is such a generator, of price c_s at a bus whose multipliers are free: what it delivers, the load
at its own bus included, adds (c_s − y_s) P − μ_s Q. Without a limit on the side where this falls there is no bound; so
a source without limits has y_s = c_s and μ_s = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

DIGITS = 28
"""Binary digits to which p² + q² = s² is solved, at most; the value then has twice as many."""
WIDER = 40
"""How often the greatest κ that is tried is doubled, at most."""

Ends = tuple[int | None, int | None]
"""Least and greatest value; None where there is none."""


@dataclass(frozen=True)
class Output:
    """A generator, or a source with limits, in integers times 2^k.

    Attributes:
        bus: where it is. p, q: ranges. most: greatest apparent power; None = none.
        price, square, idle: what its active power, its square, and to be on cost.
    """

    bus: int
    p: Ends
    q: Ends
    most: int | None
    price: int
    square: int
    idle: int

    def least(self, y: int, mu: int, digits: int, k: int) -> int | None:
        """The least that it can add while it is on, times 2^(3 k + digits); None where there is no bound.

        Args:
            y, mu: multipliers at its bus, times 2^digits.
        """
        if self.most == 0:
            return self.idle << 2 * k + digits
        least = _Least(self, (self.price << digits) - (y << k), -(mu << k), digits, k)
        found = least.at(0)
        best = None if found is None else found[0]
        if self.most is not None and (found is None or found[1] > self.most**2):
            best = least.on_circle(best)
        return None if best is None else best + (self.idle << 2 * k + digits)


class _Least:
    """The least of an output at multipliers of its circle; slopes are times 2^(k + digits)."""

    def __init__(self, output: Output, slope: int, tilt: int, digits: int, k: int) -> None:
        self.output, self.slope, self.tilt, self.digits, self.k = output, slope, tilt, digits, k
        self.most = output.most or 0

    def at(self, kappa: int) -> tuple[int, int] | None:
        """The value with this κ, times 2^(3 k + digits), and p² + q² where it is, times 2^2k; None: without end."""
        active = self._parabola(self.slope, self.output.square + kappa, self.output.p)
        reactive = self._parabola(self.tilt, kappa, self.output.q)
        if active is None or reactive is None:
            return None
        (value, p), (other, q) = active, reactive
        return value + other - (kappa * self.most**2 << self.digits), p * p + q * q

    def on_circle(self, best: int | None) -> int | None:
        """The best value of all κ that are tried; `best`: with κ = 0."""
        radius = self.most**2
        near = radius - (radius >> DIGITS)
        # Where neither output is at an end and a = 0, this κ is the best one.
        low, high = 0, 1 + (isqrt(self.slope**2 + self.tilt**2) << self.k >> self.digits) // (2 * self.most)
        wider, kappa = WIDER, high
        while wider and (found := self.at(kappa)) is not None:
            value, size = found
            best = value if best is None else max(best, value)
            if near <= size <= radius:
                break
            if size > radius and kappa == high:
                low, high, wider = high, 2 * high, wider - 1
                kappa = high
                continue
            low, high = (kappa, high) if size > radius else (low, kappa)
            kappa = (low + high) // 2
            if high - low <= max(1, high >> DIGITS):
                break
        return best

    def _parabola(self, slope: int, square: int, ends: Ends) -> tuple[int, int] | None:
        """The least of slope x + square x², times 2^(3 k + digits), and the x of it, times 2^k; None: without end."""
        low, high = ends
        k, digits = self.k, self.digits
        if square == 0:
            if slope == 0:
                return 0, min(max(0, low if low is not None else 0), high if high is not None else 0)
            x = low if slope > 0 else high
            return None if x is None else (slope * x << k, x)
        turn = -slope << k
        if low is not None and turn <= 2 * square * low << digits:
            x = low
        elif high is not None and turn >= 2 * square * high << digits:
            x = high
        else:
            return -(slope * slope << 2 * k - digits) // (4 * square), turn // (2 * square) >> digits
        return (slope * x << k) + (square * x * x << digits), x
