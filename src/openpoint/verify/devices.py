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

The terms that devices add to the bound of `openpoint.verify.bound` at a node where each has an interval of
positions.

A position sets what a bank feeds in, the voltage that a source holds, the ratio of a tap changer, or whether a unit is
on. A bound for a node must hold at every position of its intervals. In the words of `openpoint.verify.bound`:

- **Bank** at bus j that feeds in b w_j: it adds −μ_j b w_j, so A_j has μ_j b more. That is linear in b and w_j >= 0, so
  the larger of the values at the least and the greatest b of the interval is valid for all.
- **Source voltage**: A_j does not depend on w_j of the source, and −A_j w_j is least at the greatest square of the
  interval if A_j > 0, else at the least. The multipliers of sources are 0.
- **Unit** at bus j: on, its outputs add at least what `openpoint.verify.devices` says; off, they add 0. Where both are
  possible, the lesser of the two is valid.
- **Ratio**, at the from end of a branch, κ = 1 / tap². While the branch is undecided, or the from end is the upper one,
  ν and s = (α² + β²) / 4 (ρ + σ) do not depend on κ, and what is taken at the from end is κ c w with some c: linear in
  κ, so the larger of the values at both ends of the interval is valid.
  Where the from end j is below, let t = tap². Without the shunt of this branch A_j is A', with it A' − h / t, so
  κ_j ν = A_j + φ_j means ν = (A' + φ_j) t − h: affine in t. So are α, β and ρ + σ, with one σ for all t. Where
  ρ + σ > 0 at both ends it is so between them, and s, the square of an affine vector over a positive affine function,
  is convex in t (the perspective of a square); an end at which α, β and ρ + σ vanish is the limit of this. So ν + s is
  convex in t, and the larger of its values at both ends, which A_i takes, is valid. Rounding ν upwards at both ends
  leaves it affine in t and at least what it was, as with a larger A_j (step 3 there).
- **Moves.** A device in another position than today's may cost m. This is added where today's is not in the interval.
  Where it is, the lesser of staying and of moving for m is valid: of a source's voltage A w₀ or A w + m, of a unit on
  or off, each with its price. A bank, which feeds in b = 0 more today, adds −max(0, h w − m) with h = max μ b >= 0, and
  h w − m <= w max(0, h − m / w_max) on [0, w_max], since its left side is convex and 0 at w = 0. Tap changers in
  branches are taken to move for nothing there.
- **Greatest voltages** (`openpoint.verify.caps`) rise with what is fed in, with the voltages of sources and with
  max(tap, 1 / tap), so they are computed once, at the greatest of each.

The least and greatest values are those of all positions in an interval; they need not be at its ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import accumulate
from math import isqrt

import numpy as np

from openpoint.arrays import Bools, Complexes
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.verify.data import Data, Objective, least_losses

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


Span = tuple[int, int]
"""First and last position of an interval."""


@dataclass(frozen=True)
class Reach:
    """What devices may be at a node, in integers times 2^k.

    Attributes:
        banks: bus, least and greatest of what it feeds in beyond today, what it costs to leave 0. held: by bus of a
            source its least and greatest squared voltage, that of today, and what it costs to leave it. squares: by
            branch its least and greatest squared ratio, times 2^2k; one if they are equal.
        units: by number of its output what it costs to be off, and to be on beside its outputs; None: not possible.
        moved: what the devices cost that are not as today at any position.
    """

    banks: list[tuple[int, int, int, int]]
    held: dict[int, tuple[int, int, int, int]]
    squares: dict[int, list[int]]
    units: dict[int, tuple[int | None, int | None]]
    moved: int


class Places:
    """The devices of a certificate, and where they are in its grid.

    Attributes:
        bus: by device its bus, or its branch if it is a tap changer. tapped: branches with tap changers. begin: where
            the positions of a device begin in `Data.value`. whole: all positions, by device. today: by device. sources:
            buses of sources. squares: by bus of a source its squared voltage today.
        fed: by number of an output its bus; sources with limits follow after the generators. limited: by output whether
            it has each of its limits: the ends of its box, and a greatest apparent power. number: by device that is a
            unit the number of its output.
    """

    def __init__(self, net: Network, devices: Devices, objective: Objective | None = None) -> None:
        objective = least_losses(net) if objective is None else objective
        self.kinds = [DeviceKind(kind) for kind in devices.kind]
        places = devices.place.tolist()
        sources, generators = net.source_terminal.tolist(), net.generator_terminal.tolist()
        at = {DeviceKind.VOLTAGE: sources, DeviceKind.UNIT: generators}
        self.bus = [at[kind][n] if kind in at else n for kind, n in zip(self.kinds, places, strict=True)]
        self.tapped = {bus for kind, bus in zip(self.kinds, self.bus, strict=True) if kind == DeviceKind.TAP}
        self.begin = [0, *accumulate(devices.sizes.tolist())]
        self.whole: list[Span] = [(0, size - 1) for size in devices.sizes.tolist()]
        self.today, self.sources = devices.today.tolist(), sources
        voltages = zip(sources, net.source_v.tolist(), strict=True)
        self.squares = {bus: Fraction(v.real) ** 2 + Fraction(v.imag) ** 2 for bus, v in voltages}
        alone, limited, supply = objective.alone(net, devices), objective.limited(), objective.supply
        self.fed = [generators[g] for g in alone] + [sources[s] for s in limited]
        ends = supply.p_min, supply.p_max, supply.q_min, supply.q_max, supply.s_max
        self.limited = [[True] * 4 + [math.isfinite(supply.generator_s_max[g])] for g in alone]
        self.limited += [[math.isfinite(limit[s]) for limit in ends] for s in limited]
        self.generators = len(alone)
        self.number = {d: alone.index(places[d]) for d, kind in enumerate(self.kinds) if kind == DeviceKind.UNIT}

    def outputs(self, at: Data[int]) -> list[Output]:
        """The generators that count by themselves, and the sources with limits."""
        found = []
        for n, (bus, has) in enumerate(zip(self.fed, self.limited, strict=True)):
            values = [*at.box[4 * n : 4 * n + 4], at.circle[n]]
            p_min, p_max, q_min, q_max, most = (v if there else None for v, there in zip(values, has, strict=True))
            found.append(Output(bus, (p_min, p_max), (q_min, q_max), most, *at.output[3 * n : 3 * n + 3]))
        return found

    def reach(self, at: Data[int], spans: list[Span]) -> Reach:
        """What the devices may be; `spans`: by device."""
        banks, held, squares, units, moved = [], {}, {}, {}, 0
        for d, (kind, bus, (first, last)) in enumerate(zip(self.kinds, self.bus, spans, strict=True)):
            begin, today = self.begin[d], self.today[d]
            some, now = at.value[begin + first : begin + last + 1], at.value[begin + today]
            low, high = min(some), max(some)
            stays = first <= today <= last
            move = at.move[0] if stays else 0
            moved += 0 if stays else at.move[0]
            if kind == DeviceKind.BANK:
                banks.append((bus, low, high, move))
            elif kind == DeviceKind.VOLTAGE:
                held[bus] = low, high, now, move
            elif kind == DeviceKind.TAP:
                squares[bus] = sorted({low * low, high * high})
            else:
                off, on = (move, 0) if now > 0 else (0, move)
                units[self.number[d]] = off if low == 0 else None, on if high > 0 else None
        return Reach(banks, held, squares, units, moved)

    def highest(self, data: Data[Fraction]) -> Data[Fraction]:
        """The data with as much fed in as at any position, and with ratios farthest from 1."""
        p, q, q_w, tap = data.p.copy(), data.q.copy(), data.q_w.copy(), data.tap.copy()
        for d, (kind, bus) in enumerate(zip(self.kinds, self.bus, strict=True)):
            some = data.value[self.begin[d] : self.begin[d + 1]]
            if kind == DeviceKind.TAP:
                tap[bus] = max(some, key=lambda t: max(t, 1 / t))
            if kind == DeviceKind.BANK:
                q_w[bus] -= max(some)
        units = set(self.number.values())
        for n, bus in enumerate(self.fed[: self.generators]):
            _, p_max, _, q_max = data.box[4 * n : 4 * n + 4]
            p[bus] -= max(Fraction(0), p_max) if n in units else p_max
            q[bus] -= max(Fraction(0), q_max) if n in units else q_max
        return replace(data, p=p, q=q, q_w=q_w, tap=tap)

    def squares_of(self, data: Data[Fraction]) -> dict[int, tuple[Fraction, Fraction]]:
        """By bus of a source its least and greatest squared voltage at any position."""
        found = {bus: (square, square) for bus, square in self.squares.items()}
        for d, (kind, bus) in enumerate(zip(self.kinds, self.bus, strict=True)):
            if kind == DeviceKind.VOLTAGE:
                some = data.value[self.begin[d] : self.begin[d + 1]]
                found[bus] = min(some), max(some)
        return found


def running(net: Network, devices: Devices, positions: list[int]) -> Bools:
    """(G) whether each generator is on."""
    on = np.ones(len(net.generator_terminal), dtype=np.bool_)
    for d in devices.of(DeviceKind.UNIT):
        on[devices.place[d]] = devices.values[d][positions[d]] != 0.0
    return on


def within(net: Network, on: Bools, output: Complexes) -> bool:
    """Whether the (G) outputs lie in their ranges, and are 0 where a generator is off."""
    p, q = np.clip(output.real, net.p_min, net.p_max), np.clip(output.imag, net.q_min, net.q_max)
    return bool(np.all(np.where(on, p + 1j * q, 0.0) == output))
