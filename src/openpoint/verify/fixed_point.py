"""Compiled: the lower bound of a node in 64-bit fixed-point numbers, slightly below the exact one.

For a branch from i to j with p + jq and squared current l behind a ratio at i, w = |v|², κ = 1 / tap² at
the from bus and 1 at the other: l κ_i w_i = p² + q² and κ_j w_j = κ_i w_i − 2 (r p + x q) + |z|² l where it is closed,
all zero where open; at every bus what arrives less its loss, and what a source delivers, is what is drawn and passed
on, (g − jb) κ w at each end of a closed branch in it. Add these balances, times y and μ (0 at sources), and the voltage
laws of the closed branches, times ν, to the loss Σ r l + Σ g κ w; all added is zero, so for every state

    loss = Σ (P y + Q μ) + Σ [ρ l + α p + β q] + (terms in w)
    α = y_i − y_j + 2 r ν    β = μ_i − μ_j + 2 x ν    ρ = r (1 + y_j) + x μ_j − |z|² ν

1. The bracket is at least −κ_i w_i (α² + β²) / 4ρ if ρ > 0 (0 if all vanish). Since σ (l_max − l) >= 0 for any σ >= 0,
   ρ may be replaced by ρ + σ if σ l_max is subtracted.
2. Closed branches form trees, each is directed away from a source or any bus; undecided ones (ν = 0) may be directed at
   will, and as they add nothing if open, what each takes per w_i and w_j counts if it is positive. A price c of
   closing lessens it: min(0, c − h w) >= −max(0, h − c / w_max) w on [0, w_max]. A line open at one end only
   takes (g° − jb°) w there, g° w lost: what an undecided one takes per w is the larger of what both states take.
3. Let A_j collect what is taken per w_j. Leaves first, κ_j ν = A_j + φ_j leaves φ_j w_j at a bus with a branch above;
   −A_j w_j stays at a root. A larger A_j or ν is always a lower bound, hence the rounding. For w take the limit, or
   what no state exceeds (`openpoint.verify.caps`), that makes it least.
   A part of a grid has a cost h_j w_j in addition (`openpoint.verify.regions`), so that A_j begins with −h_j.
4. A load of constant current adds c √w, c = y p + μ q: at least c times a line below √w between the limits if c > 0,
   else c times a tangent. Where P + s may be drawn with 0 <= s <= S, y (P + s) >= y P + S min(0, y).

Every number is an integer times a power of two: data carry `d` binary digits, multipliers, A, ν and the bound `f`. A
datum that has more digits is between two such integers, and of both the one is taken that makes the bound less. A
product is formed in 128 bits and then rounded to the side that makes the bound less. A quotient is guessed in floating
point, and a product of integers shows that it is not too small. So rounding only lowers the bound, by about 1e-15. σ,
tangents and roots of trees may be anything, and are chosen in floating point.

No integer overflows: each datum and each value is at most 2^d in absolute value, d <= 58, which is checked where a
value has been added up; so a product divided by 2^d is at most 2^58, and sums of a few stay below 2^62. Where a value
is larger, or a term has no bound, there is no answer here, and the reference checker tells (`openpoint.verify.proof`).

Theory: docs/methods.md M9.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Indices, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.compiled.wide import covers, product
from openpoint.verify.data import Data
from openpoint.verify.graph import CLOSED, FREE, Graph
from openpoint.verify.lines import Multipliers
from openpoint.verify.schema import LARGE, CertificateError

COARSE, PHI, NEAR = 40, 20, 16
"""Binary digits of multipliers at sources; of φ; of the voltages that σ and tangents are best at."""
HEADROOM = 3
"""By how many digits values have fewer than data, so that they may be up to 2^3; fewer where multipliers are larger."""
ZERO: Any = np.int64(0)
"""Nothing, of the width of all numbers here."""


@dataclass(frozen=True, eq=False)
class Numbers(Table):
    """The data of a grid, each between two integers (rows 0 and 1), times 2^d.

    Attributes:
        r, x, z2, g, b, g_open_fr, b_open_fr, g_open_to, b_open_to, l_max: (2, E) as in `Data`; z2 = r² + x². square,
            inverse: (2, E) tap² and its inverse. price: (E) of closing, at least. spared_fr, spared_to: (E) the
            same by the greatest squared voltage at the from and the to bus.
        p, q, p_span, q_span, p_v, q_v, p_w, q_w, w_min, w_max, worth: (2, n) as in `Data`. chord, slope: (n) a line
            that is below √w between the limits.
        tapped, hanging, shunted, rated: (E) whether a branch has a ratio, a part that stays while it is open, a shunt,
            a limit. held: (n) whether a source holds the voltage. held_y, held_mu: (n) multipliers at sources, times
            2^COARSE, 0 at all others. firm: the largest of these. d: digits.
        fr, to: (E). begin: (n + 1) where the branches at a bus begin in `via`, and in `far`, their other ends.
    """

    fr: Indices
    to: Indices
    begin: Indices
    via: Indices
    far: Indices
    r: Ints
    x: Ints
    z2: Ints
    g: Ints
    b: Ints
    g_open_fr: Ints
    b_open_fr: Ints
    g_open_to: Ints
    b_open_to: Ints
    l_max: Ints
    square: Ints
    inverse: Ints
    price: Ints
    spared_fr: Ints
    spared_to: Ints
    p: Ints
    q: Ints
    p_span: Ints
    q_span: Ints
    p_v: Ints
    q_v: Ints
    p_w: Ints
    q_w: Ints
    w_min: Ints
    w_max: Ints
    worth: Ints
    chord: Ints
    slope: Ints
    tapped: Bools
    hanging: Bools
    shunted: Bools
    rated: Bools
    held: Bools
    held_y: Ints
    held_mu: Ints
    firm: int
    d: int


@dataclass(frozen=True, eq=False)
class Node(Table):
    """A node at its multipliers, and room to work.

    Attributes:
        status: (E). given_y, given_mu: (n) times 2^bits. given_phi: (n) times 2^PHI. near: (n) times 2^NEAR, 0 = none.
        top: (n) whether it may be the root of its part. y, mu, phi: (n) times 2^f.
        gain: (n) A. total: the bound, an array of one. order, parent, edge: (n) the trees of closed branches, parents
            first, -1 above roots. seen: (n) buses that are in them.
    """

    status: States
    given_y: Ints
    given_mu: Ints
    given_phi: Ints
    near: Ints
    y: Ints
    mu: Ints
    phi: Ints
    top: States
    gain: Ints
    total: Ints
    order: Indices
    parent: Indices
    edge: Indices
    seen: States


@inlined
def down(pair: Ints, k: int, value: int, d: int) -> int:
    """Datum k times a value, rounded downwards."""
    found: int = product(pair[0, k] if value >= 0 else pair[1, k], value, d)
    return found


@inlined
def up(pair: Ints, k: int, value: int, d: int) -> int:
    """Datum k times a value, rounded upwards."""
    found: int = -product(pair[1, k] if value >= 0 else pair[0, k], -value, d)
    return found


@inlined
def shunt(numbers: Numbers, node: Node, f: int, e: int, bus: int) -> int:
    """Term of the shunt at an end of a branch, rounded downwards."""
    if not numbers.shunted[e]:
        return 0
    d = numbers.d
    return down(numbers.g, e, (1 << f) + node.y[bus], d) - up(numbers.b, e, node.mu[bus], d)


@inlined
def seen(numbers: Numbers, e: int, bus: int, value: int) -> int:
    """κ times a value, rounded upwards."""
    return up(numbers.inverse, e, value, numbers.d) if numbers.tapped[e] and bus == numbers.fr[e] else value


@inlined
def hung(numbers: Numbers, node: Node, f: int, e: int, fr: bool) -> int:
    """What an open branch takes at its from or to bus, rounded upwards."""
    d, bus = numbers.d, numbers.fr[e] if fr else numbers.to[e]
    one = (1 << f) + node.y[bus]
    if fr:
        return up(numbers.b_open_fr, e, node.mu[bus], d) - down(numbers.g_open_fr, e, one, d)
    return up(numbers.b_open_to, e, node.mu[bus], d) - down(numbers.g_open_to, e, one, d)


@inlined
def series(numbers: Numbers, node: Node, f: int, e: int, i: int, j: int, nu: int) -> int:
    """(α² + β²) / 4 (ρ + σ) of a branch from i to j, rounded upwards, -1 where none is found; subtracts σ l_max."""
    d, y, mu, limit = numbers.d, node.y, node.mu, 1 << numbers.d
    a, b = y[i] - y[j], mu[i] - mu[j]
    alpha = max(abs(a + 2 * down(numbers.r, e, nu, d)), abs(a + 2 * up(numbers.r, e, nu, d)))
    beta = max(abs(b + 2 * down(numbers.x, e, nu, d)), abs(b + 2 * up(numbers.x, e, nu, d)))
    rho = down(numbers.r, e, (1 << f) + y[j], d) + down(numbers.x, e, mu[j], d) - up(numbers.z2, e, nu, d)
    if alpha == 0 and beta == 0 and rho >= 0:
        return 0
    square = float(alpha) * float(alpha) + float(beta) * float(beta)
    if numbers.rated[e] and node.near[i] > 0:
        w = float(node.near[i]) / 2.0**NEAR
        if numbers.tapped[e] and i == numbers.fr[e]:
            w *= numbers.inverse[0, e] / float(limit)
        best = 0.5 * np.sqrt(square * w / (numbers.l_max[0, e] / float(limit)))
        if best > float(rho):
            if not best < float(limit):
                return -1
            sigma = int(best) - rho
            if sigma > limit:
                return -1
            rho += sigma
            node.total[0] -= up(numbers.l_max, e, sigma, d)
    guess = square / (4.0 * float(rho)) if rho > 0 else -1.0
    if not 0.0 <= guess < 0.5 * float(limit) or rho > limit:
        return -1
    quotient = int(guess) + (int(guess) >> 50) + 2
    return quotient if covers(quotient, 4 * rho, alpha, beta) else -1


@inlined
def small(value: int, limit: int) -> bool:
    """Whether a value is within the limit of all values."""
    return -limit <= value <= limit


@inlined
def add_loads(numbers: Numbers, node: Node, f: int) -> bool:
    """Add the terms of loads; False where a value is too large."""
    d, limit = numbers.d, 1 << numbers.d
    total = 0
    for j in range(len(node.y)):
        y, mu = node.y[j], node.mu[j]
        total += down(numbers.p, j, y, d) + down(numbers.q, j, mu, d)
        total += down(numbers.p_span, j, min(0, y), d) + down(numbers.q_span, j, min(0, mu), d)
        gain = -down(numbers.p_w, j, y, d) - down(numbers.q_w, j, mu, d) - (numbers.worth[0, j] >> d - f)
        c = down(numbers.p_v, j, y, d) + down(numbers.q_v, j, mu, d)
        if c > 0:
            total += product(numbers.chord[j], c, d)
            gain -= product(numbers.slope[j], c, d)
        elif c < 0:  # √w <= a + b w for all w >= 0 if 4 a b >= 1, as with a = t / 2 and b = 1 / 2t
            root = np.sqrt(float(node.near[j]) / 2.0**NEAR if node.near[j] > 0 else 1.0)
            if not 0.125 < root < 2.0:
                return False
            a, b = int(0.5 * root * limit) + 2, int(0.5 / root * limit) + 2
            if product(4 * a, b, d) < limit:
                return False
            total += product(a, c, d)
            gain -= product(b, c, d)
        node.gain[j] = gain
        if not (small(total, limit) and small(gain, limit)):
            return False
    node.total[0] = total
    return True


@inlined
def add_undecided(numbers: Numbers, node: Node, f: int) -> bool:
    """Add the terms of undecided and open branches; False where one is too large or has no bound."""
    gain, limit = node.gain, 1 << numbers.d
    for e in range(len(node.status)):
        state, fr, to = node.status[e], numbers.fr[e], numbers.to[e]
        if state == CLOSED:
            continue
        at_fr, at_to = ZERO, ZERO
        if numbers.hanging[e]:
            at_fr, at_to = hung(numbers, node, f, e, True), hung(numbers, node, f, e, False)
        if state == FREE:
            forth = node.y[fr] <= node.y[to]
            steep = series(numbers, node, f, e, fr if forth else to, to if forth else fr, 0)
            if steep < 0:
                return False
            lost = seen(numbers, e, fr, (steep if forth else 0) - shunt(numbers, node, f, e, fr))
            other = seen(numbers, e, to, (0 if forth else steep) - shunt(numbers, node, f, e, to))
            shift = numbers.d - f
            at_fr = max(at_fr, lost - (numbers.spared_fr[e] >> shift if forth else 0))
            at_to = max(at_to, other - (0 if forth else numbers.spared_to[e] >> shift))
        gain[fr] += at_fr
        gain[to] += at_to
        if not (small(gain[fr], limit) and small(gain[to], limit) and small(node.total[0], limit)):
            return False
    return True


@inlined
def spread(numbers: Numbers, node: Node, first: int, count: int, mark: int) -> int:
    """Append to `order` what closed branches join to a bus, seen as `mark`; returns how many buses are in it."""
    order, begin = node.order, count
    order[count] = first
    node.parent[first], node.edge[first], node.seen[first] = -1, -1, mark
    count += 1
    while begin < count:
        bus = order[begin]
        begin += 1
        for k in range(numbers.begin[bus], numbers.begin[bus + 1]):
            e, other = numbers.via[k], numbers.far[k]
            if node.status[e] == CLOSED and node.seen[other] != mark:
                node.parent[other], node.edge[other], node.seen[other] = bus, e, mark
                order[count] = other
                count += 1
    return count


@inlined
def direct(numbers: Numbers, node: Node) -> None:
    """Direct the closed branches away from sources, and in other parts from a bus in `top` or that of least y."""
    count = ZERO
    for bus in range(len(node.y)):
        node.seen[bus] = 0
    for bus in range(len(node.y)):
        if numbers.held[bus]:
            count = spread(numbers, node, bus, count, 2)
    for bus in range(len(node.y)):
        if node.top[bus] and node.seen[bus] == 0:
            count = spread(numbers, node, bus, count, 2)
    for bus in range(len(node.y)):
        if node.seen[bus] == 0:
            lowest = bus
            for k in range(count, spread(numbers, node, bus, count, 1)):
                if node.y[node.order[k]] < node.y[lowest]:
                    lowest = node.order[k]
            count = spread(numbers, node, lowest, count, 2)


@inlined
def add_closed(numbers: Numbers, node: Node, f: int) -> bool:
    """Add the terms of closed branches, children first, and of roots; False where one is too large or has no bound."""
    gain, d, limit, shift = node.gain, numbers.d, 1 << numbers.d, numbers.d - f
    for k in range(len(node.y) - 1, -1, -1):
        j = node.order[k]
        i, e = node.parent[j], node.edge[j]
        if i < 0:
            node.total[0] -= up(numbers.w_max, j, gain[j], d) if gain[j] > 0 else up(numbers.w_min, j, gain[j], d)
        else:
            phi = node.phi[j]
            node.total[0] += down(numbers.w_min, j, phi, d) if phi > 0 else down(numbers.w_max, j, phi, d)
            node.total[0] += numbers.price[e] >> shift
            nu = gain[j] + phi
            if not small(nu, limit):
                return False
            if numbers.tapped[e] and j == numbers.fr[e]:
                nu = up(numbers.square, e, nu, d)
            nu -= shunt(numbers, node, f, e, j)
            if not small(nu, limit):
                return False
            steep = series(numbers, node, f, e, i, j, nu)
            taken = nu + steep - shunt(numbers, node, f, e, i)
            if steep < 0 or not small(taken, limit):
                return False
            gain[i] += seen(numbers, e, i, taken)
            if not small(gain[i], limit):
                return False
        if not small(node.total[0], limit):
            return False
    return True


@inlined
def digits(numbers: Numbers, node: Node, bits: int) -> int:
    """The binary digits that values have here, and the multipliers with as many; 0 where these do not fit."""
    d, largest, highest = numbers.d, ZERO, ZERO
    for j in range(len(node.y)):
        largest = max(largest, abs(node.given_y[j]), abs(node.given_mu[j]))
        highest = max(highest, abs(node.given_phi[j]))
        if min(abs(node.given_y[j]), abs(node.given_mu[j])) < 0:  # of -2^63 the absolute value is itself
            return 0
    f, most = d - HEADROOM, d - 2 if numbers.firm > 0 else d - 1
    while f >= bits and (largest >> (most - f + bits) > 0 or numbers.firm >> (most - f + COARSE) > 0):
        f -= 1
    if f < max(bits, PHI) or (numbers.firm > 0 and f < COARSE) or highest >> (d - 1 - f + PHI) > 0:
        return 0
    for j in range(len(node.y)):
        node.y[j] = node.given_y[j] << f - bits
        node.mu[j] = node.given_mu[j] << f - bits
        node.phi[j] = node.given_phi[j] << f - PHI
        if numbers.held[j]:
            if node.y[j] != 0 or node.mu[j] != 0:
                return 0
            if numbers.firm > 0:
                node.y[j] = numbers.held_y[j] << f - COARSE
                node.mu[j] = numbers.held_mu[j] << f - COARSE
    return f


@lean
def bound(numbers: Numbers, node: Node, bits: int) -> int:
    """Work out the bound of a node; returns its binary digits, 0 where it is not found."""
    f = digits(numbers, node, bits)
    if f == 0:
        return 0
    direct(numbers, node)
    found = add_loads(numbers, node, f) and add_undecided(numbers, node, f) and add_closed(numbers, node, f)
    return f if found else 0


MOST_DIGITS, LEAST_DIGITS = 58, 50
"""Binary digits of data: fewer where data are large; with less than the least there is no bound here."""
BETWEEN = (
    *("r", "x", "g", "b", "g_open_fr", "b_open_fr", "g_open_to", "b_open_to", "l_max"),
    *("p", "q", "p_span", "q_span", "p_v", "q_v", "p_w", "q_w", "w_min", "w_max", "worth"),
)
"""Data that may have more digits, and are between two integers."""
WHOLE = ("given_y", "given_mu", "given_phi", "near", "y", "mu", "phi", "gain")
"""Room of a node for numbers by bus."""


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


@dataclass(frozen=True)
class Held:
    """By bus the multipliers that a part of a grid has at its sources, times 2^`COARSE`; 0 at all others."""

    y: list[int]
    mu: list[int]


class Undecided(CertificateError):
    """A bound that is not reached in 64 bits; the reference checker, which has more, decides."""


def fixed_point(data: Data, graph: Graph, goal: Fraction, held: Held | None = None) -> FixedPoint:
    """The bound of a grid in fixed-point numbers.

    Raises:
        Undecided: its numbers are too large.
    """
    if held is not None and max(map(abs, (*held.y, *held.mu)), default=0) >= LARGE:
        raise Undecided("multipliers of a part of the grid are too large")
    most = max(float(abs(v)) for column in (vars(data)[name] for name in BETWEEN) for v in column)
    z2 = (float(r * r + x * x) for r, x in zip(data.r, data.x, strict=True))
    most = max(most, *(float(max(t, 1 / t)) ** 2 for t in data.tap), *z2, 1.0)
    low = min((float(w) for w in data.w_max), default=1.0)
    most = max([most, *((1.0 + float(price)) / low for price in data.price)]) if low > 0.0 else math.inf
    d = MOST_DIGITS - math.frexp(most)[1] if most < math.inf else 0
    if d < LEAST_DIGITS:
        raise Undecided("numbers of the grid are too large")
    return FixedPoint(_numbers(data, graph, d, held or Held([], [])), goal)


class NodeBound:
    """The bound of a node of one grid.

    Attributes:
        graph: of the grid. given: the multipliers of the last line.
    """

    def __init__(self, data: Data, graph: Graph, goal: Fraction, held: Held | None = None) -> None:
        """`goal`: the value that every bound must reach. held: multipliers of a part at its sources."""
        self.graph, self._point, self.given = graph, fixed_point(data, graph, goal, held), Multipliers(graph.n)

    def reached(self, status: States) -> bool:
        """Whether no state with these states of the branches has a value below the goal."""
        return self._point.reached(status, self.given)

    def value(self, status: States) -> Fraction | None:
        """The bound; None where it is not found."""
        return self._point.bound(status, self.given)


def _least(values: list[Fraction], d: int) -> Ints:
    return np.array([math.floor(value * (1 << d)) for value in values], dtype=np.int64)


def _pair(values: list[Fraction], d: int) -> Ints:
    return np.array([_least(values, d), [math.ceil(value * (1 << d)) for value in values]])


def _numbers(data: Data, graph: Graph, d: int, firm: Held) -> Numbers:
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
