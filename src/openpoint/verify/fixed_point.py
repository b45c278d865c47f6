"""The bound of a node at the multipliers of a line of a certificate.

It is worked out in 64-bit fixed-point numbers (`openpoint.verify.fixed_bound`), and in whole numbers of any length
(`openpoint.verify.bound`) where these do not tell. The multipliers of a line are written as differences from those of
an earlier line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isqrt
from typing import Any

import numba
import numpy as np

from openpoint.arrays import Ints, States
from openpoint.verify.bound import Exact, Held
from openpoint.verify.data import Data
from openpoint.verify.devices import Places, Span
from openpoint.verify.fixed_bound import Node, Numbers, bound
from openpoint.verify.graph import Graph
from openpoint.verify.schema import LARGE

MOST_BITS = 40
"""Binary digits of multipliers, at most."""
GREATEST = 1 << 61
"""Multipliers that others are differences from are not larger, so that all fit in 64 bits."""
MOST_DIGITS, LEAST_DIGITS = 58, 50
"""Binary digits of data: fewer where data are large; with less than the least there is no bound here."""
BETWEEN = (
    *("r", "x", "g", "b", "g_open_fr", "b_open_fr", "g_open_to", "b_open_to", "l_max"),
    *("p", "q", "p_span", "q_span", "p_v", "q_v", "p_w", "q_w", "w_min", "w_max", "worth"),
)
"""Data that may have more digits, and are between two integers."""
WHOLE = ("given_y", "given_mu", "given_phi", "near", "y", "mu", "phi", "gain")
"""Room of a node for numbers by bus."""


@dataclass(frozen=True, eq=False)
class Given:
    """The multipliers of a line.

    Attributes:
        bits: digits. y, mu: (n) differences from earlier ones, times 2^bits. tops: buses from which parts without a
            source are directed. phi: by bus, times 2^`PHI`. near: by bus, times 2^`NEAR`, > 0.
    """

    bits: int
    y: Ints
    mu: Ints
    tops: list[int] = field(default_factory=list)
    phi: dict[int, int] = field(default_factory=dict)
    near: dict[int, int] = field(default_factory=dict)


class Multipliers:
    """Multipliers of the balances and limits.

    Attributes:
        bits, tops, phi, near: as in `Given`. y, mu: (n) times 2^bits.
    """

    def __init__(self, n: int) -> None:
        self.bits = 0
        self.y: Ints = np.zeros(n, dtype=np.int64)
        self.mu: Ints = np.zeros(n, dtype=np.int64)
        self.tops: list[int] = []
        self.phi: dict[int, int] = {}
        self.near: dict[int, int] = {}

    def take(self, given: Given) -> None:
        """Go on to the multipliers of a line."""
        up = given.bits - self.bits
        self.y, self.mu = shifted(self.y, up) + given.y, shifted(self.mu, up) + given.mu
        self.bits, self.tops, self.phi, self.near = given.bits, given.tops, given.phi, given.near


def shifted(values: Ints, up: int) -> Ints:
    """Values times 2^up, rounded down, none of them larger than `GREATEST`."""
    most = GREATEST >> max(up, 0)
    found: Ints = np.clip(values >> max(-up, 0), -most, most) << max(up, 0)
    return found


class FixedPoint:
    """The bound on one grid in fixed-point numbers."""

    def __init__(self, numbers: Numbers, goal: Fraction) -> None:
        """`goal`: the value that every bound must reach."""
        n, m = len(numbers.held), len(numbers.fr)
        self.goal, self.numbers = goal, numbers
        rooms: dict[str, Any] = {name: np.zeros(n, dtype=np.int64) for name in WHOLE}
        rooms |= {name: np.zeros(n, dtype=np.int32) for name in ("order", "parent", "edge")}
        rooms |= {name: np.zeros(n, dtype=np.int8) for name in ("top", "seen")}
        state, total = np.zeros(m, dtype=np.int8), np.zeros(1, dtype=np.int64)
        self.node = Node(status=state, total=total, **rooms)

    def with_demands(self, p: list[Fraction], q: list[Fraction]) -> FixedPoint:
        """The same grid under other demands, none greater than those that it was made for."""
        numbers = replace(self.numbers, p=_pair(p, self.numbers.d), q=_pair(q, self.numbers.d))
        return FixedPoint(numbers, self.goal)

    def reached(self, status: States, given: Multipliers) -> bool:
        """Whether the bound of a node with these states of the branches is found and reaches the goal."""
        f = self._work_out(status, given)
        return f > 0 and int(self.node.total[0]) * self.goal.denominator >= self.goal.numerator << f

    def bound(self, status: States, given: Multipliers) -> Fraction | None:
        """The bound of a node; None where it is not found."""
        f = self._work_out(status, given)
        return Fraction(int(self.node.total[0]), 1 << f) if f > 0 else None

    def _work_out(self, status: States, given: Multipliers) -> int:
        """The binary digits of the bound, which is left in `node.total`; 0 where it is not found."""
        node = self.node
        node.status[:], node.given_y[:], node.given_mu[:] = status, given.y, given.mu
        for part, pairs in ((node.given_phi, given.phi), (node.near, given.near)):
            part[:] = 0
            for bus, k in pairs.items():
                part[bus] = k
        node.top[:] = 0
        node.top[given.tops] = 1
        return bound(self.numbers, node, given.bits)


def fixed_point(
    data: Data[Fraction], graph: Graph, goal: Fraction, places: Places, held: Held | None = None
) -> FixedPoint | None:
    """The bound in fixed-point numbers; None where it does not cover a grid, or where numba does not compile."""
    plain = data.loss == [1] and not any((*data.source, *data.current, *data.output))
    if numba.config.DISABLE_JIT or not plain or places.kinds or places.fed:
        return None
    if held is not None and max(map(abs, (*held.y, *held.mu)), default=0) >= LARGE:
        return None
    most = max(float(abs(v)) for column in (vars(data)[name] for name in BETWEEN) for v in column)
    z2 = (float(r * r + x * x) for r, x in zip(data.r, data.x, strict=True))
    most = max(most, *(float(max(t, 1 / t)) ** 2 for t in data.tap), *z2, 1.0)
    low = min((float(w) for w in data.w_max), default=1.0)
    most = max([most, *((1.0 + float(price)) / low for price in data.price)]) if low > 0.0 else math.inf
    d = MOST_DIGITS - math.frexp(most)[1] if most < math.inf else 0
    return FixedPoint(_numbers(data, graph, d, held or Held([], [])), goal) if d >= LEAST_DIGITS else None


class NodeBound:
    """The bound in fixed-point numbers, and in whole numbers of any length where that does not tell.

    Attributes:
        given: the multipliers of the last line. base: by bus what its multiplier of active power is given in addition
            to, times 2^`coarse` of the exact bound.
    """

    def __init__(
        self, data: Data[Fraction], graph: Graph, goal: Fraction, places: Places, held: Held | None = None
    ) -> None:
        """`goal`: the value that every bound must reach. held: multipliers of a part at its sources."""
        self.graph, self.exact = graph, Exact(data, graph, goal, places, held)
        self.quick = fixed_point(data, graph, goal, places, held)
        self.given = Multipliers(graph.n)
        self.base, self.base_mu = ([0] * graph.n, [0] * graph.n) if held is None else (held.y, held.mu)

    def reached(self, status: States, spans: list[Span]) -> bool:
        """Whether no state with these states of the branches has a value below the goal."""
        if self.quick is not None and self.quick.reached(status, self.given):
            return True
        found = self._exactly(status, spans)
        return found is not None and found >= self.exact.goal

    def value(self, status: States) -> Fraction | None:
        """The bound without devices, in whole numbers of any length; None where there is none."""
        found = self._exactly(status, [])
        return None if found is None else Fraction(found, 1 << self.exact.k + self.exact.fine)

    def _exactly(self, status: States, spans: list[Span]) -> int | None:
        given, exact = self.given, self.exact
        up = exact.coarse - given.bits
        y, mu = (
            [(k << up) + more for k, more in zip(part.tolist(), base, strict=True)]
            for part, base in ((given.y, self.base), (given.mu, self.base_mu))
        )
        states = status.tolist()
        order = self.graph.directed(states, set(given.tops), y)
        return exact.bound(states, order, y, mu, given.phi, given.near, spans)


def _least(values: list[Fraction], d: int) -> Ints:
    return np.array([math.floor(value * (1 << d)) for value in values], dtype=np.int64)


def _pair(values: list[Fraction], d: int) -> Ints:
    return np.array([_least(values, d), [math.ceil(value * (1 << d)) for value in values]])


def _numbers(data: Data[Fraction], graph: Graph, d: int, firm: Held) -> Numbers:
    one = 1 << d

    n, m = graph.n, len(graph.fr)
    around = graph.around(list(range(m)))
    flat = np.array([pair for pairs in around for pair in pairs], dtype=np.int32).reshape(-1, 2)
    parts = (data.g_open_fr, data.b_open_fr, data.g_open_to, data.b_open_to)
    roots = [[isqrt(math.floor(w * one * one)) for w in ends] for ends in (data.w_min, data.w_max)]
    slope = [one * one // max(low + high, 1) for low, high in zip(*roots, strict=True)]
    chord = [
        min(low - math.ceil(k * w_min), high - math.ceil(k * w_max))
        for k, low, high, w_min, w_max in zip(slope, *roots, data.w_min, data.w_max, strict=True)
    ]
    spared = [
        _least(
            [price / data.w_max[bus] if data.w_max[bus] > 0 else Fraction(0) for price, bus in zip(data.price, ends)], d
        )
        for ends in (graph.fr, graph.to)
    ]
    between: dict[str, Any] = {name: _pair(vars(data)[name], d) for name in BETWEEN}
    return Numbers(
        fr=np.array(graph.fr, dtype=np.int32),
        to=np.array(graph.to, dtype=np.int32),
        begin=np.concatenate([[0], np.cumsum([len(pairs) for pairs in around])]).astype(np.int32),
        via=np.ascontiguousarray(flat[:, 0]),
        far=np.ascontiguousarray(flat[:, 1]),
        **between,
        z2=_pair([r * r + x * x for r, x in zip(data.r, data.x, strict=True)], d),
        square=_pair([t * t for t in data.tap], d),
        inverse=_pair([1 / (t * t) for t in data.tap], d),
        price=_least(data.price, d),
        spared_fr=spared[0],
        spared_to=spared[1],
        chord=np.array(chord, dtype=np.int64),
        slope=np.array(slope, dtype=np.int64),
        tapped=np.array([t != 1 for t in data.tap]),
        hanging=np.array([any(part[e] for part in parts) for e in range(m)], dtype=np.bool_),
        shunted=np.array([bool(g or b) for g, b in zip(data.g, data.b, strict=True)]),
        rated=np.array([l > 0 for l in data.l_max]),
        held=np.array([bus in graph.sources for bus in range(n)]),
        held_y=np.array(firm.y or [0] * n, dtype=np.int64),
        held_mu=np.array(firm.mu or [0] * n, dtype=np.int64),
        firm=max((abs(value) for value in (*firm.y, *firm.mu)), default=0),
        d=d,
    )
