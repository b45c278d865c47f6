"""The paths of a grid between junctions, and what they draw and send at least, in integers.

Where all loads are constant and take power, and nothing feeds, power runs away from the sources in every radial state.
Without the open branches and the trees that dangle, a grid consists of *junctions*, which are its buses with three or
more branches, and of *paths* of branches between two of these or sources. In a radial state a path is open at one of
its branches, or closed with power from u to v, or from v to u, and each junction is entered by one closed path. With
y, μ >= 0 at junctions, 0 at sources, for the balances of these (what arrives is what is drawn and sent on), which are
zero in every state,

    loss = Σ_j (P_j y_j + Q_j μ_j) + loss of trees that dangle from junctions and sources + Σ_k cost_k
    open:              (1 + y_u) p_u + μ_u q_u + (1 + y_v) p_v + μ_v q_v − load     drawn by the rest at either end
    closed, u to v:    (1 + y_u) p + μ_u q − (1 + y_v) f − μ_v g − load             p, q sent; f, g arrive

`load` is the load of the buses within the path. P, p, q have factors >= 0, so that lower bounds may take their place.

*Trees that dangle, and open paths.* Where f, g arrive at the far end of a branch, l = (f² + g²) / w_far, f + r l and
g + x l are sent, and w_far <= w_near − 2 (r f + x g). Less power beyond gives less power here and higher voltages,
which give less power: from upper bounds of w follow lower bounds of power, and from these upper bounds of w.

*Closed paths* are bounded about a flow F₀ that is given: near it the bound is best. At least the load of its end
arrives at the end of a path. Let F = (p, q) be the power that arrives at the far end of a branch and w the squared
voltage there when δ >= 0 more arrives at the end of the path than at least, F_ an affine function of δ that F is never
below, and w_ one that w is never above. Where F_ >= 0, as w falls with δ,

    l >= |F_|² / w_ = 2 t·F_ − |t|² w_ + |F_ − t w_|² / w_ >= 2 t·F_ − |t|² w_ + |F_ − t w_|² / w_(0)

for any t >= 0, of which t = F_ / w_ at F₀ is taken; without the last term that is true of any F_, as |F − t w|² >= 0.
F + z l is passed on to the sender, w_ − 2 (r p_ + x q_) from it, once with w at the sender for all w_, then again.
With D the slopes of F_ − t w_, none of them below those of the unit matrix, e what rounding leaves of it at F₀ and
v = δ − δ₀ the distance from there, |e + D v|² >= (1 − ε) |D v|² − |e|² / ε, where ε = 2⁻⁴⁰ makes the last part less
than a unit of the last digit, and

    |D v|² >= |v|² + v·(D − 1 + (D − 1)ᵀ) v >= (D₁₁ + D₂₂ − 1 − √((D₁₁ − D₂₂)² + (D₁₂ + D₂₁)²)) |v|²

What is sent is a quadratic function of what arrives, and so is the cost, whose least value is known in closed form.
All is rounded to the safe side: power, r, x and costs downwards, voltages and `load` upwards.

Theory: docs/methods.md M14.

The paths of a grid in numbers of 64 bits, in which their parts are bounded.

`openpoint.verify.paths` finds what they draw and send in whole numbers of any length; `openpoint.verify.part_node`
works with the table of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any

import numpy as np

from openpoint.arrays import Ints
from openpoint.verify.data import Data
from openpoint.verify.graph import OPEN, Graph
from openpoint.verify.part_node import BACK, BROKEN, FORTH, LEAST_VOLTAGE, PathRoom, PathTable

FINE = 96
"""Binary digits of all numbers."""
ONE = 1 << FINE
SWEEPS = 3
"""Sweeps along a dangling tree, and along an open path."""
SOUND = ONE >> 10
"""Least squared voltage about which closed paths are bounded."""
STEEP = ONE << 10
"""Greatest t with which they are."""
SPARE = 40
"""Binary digits of 1 / ε."""

Pair = tuple[int, int]
Stub = tuple[Pair, Pair, int]
Affine = tuple[int, int, int]
"""A constant, and slopes by both parts of δ."""


def obstacles(data: Data) -> list[str]:
    """Why the bound does not hold for a grid; empty where it does."""
    columns = (data.g, data.b, data.g_open_fr, data.b_open_fr, data.g_open_to, data.b_open_to)
    found = {
        "generation": min([*data.p, *data.q]) < 0 or any([*data.p_span, *data.q_span]),
        "loads that depend on the voltage": any([*data.p_v, *data.q_v, *data.p_w, *data.q_w]),
        "shunts": any(value for column in columns for value in column),
        "ratios": any(tap != 1 for tap in data.tap),
        "negative impedances": min([*data.r, *data.x]) < 0,
        "prices of closings": any(data.price),
    }
    return [name for name, there in found.items() if there]


@dataclass(frozen=True)
class _Path:
    """Ends u and v, -1 for sources; `buses`, from that at u to that at v, and the branches between them."""

    u: int
    v: int
    buses: list[int]
    branches: list[int]


@dataclass(frozen=True)
class ClosedPath:
    """A closed path: least arrivals f, g, and the coefficients of what it sends.

    p = f + s[0] + s[1] (f² + g²) + s[2] f + s[3] g, and q likewise with s[4] to s[7].
    """

    f: int
    g: int
    s: list[int]


def swept(data: Data, graph: Graph, squares: dict[int, Fraction], status: list[int]) -> Swept:
    """The paths of a grid without `obstacles`, and what they draw at least.

    Args:
        squares: squared voltages of the sources; no other bus is above the highest one. status: of every branch.
    """
    most = max(squares.values())
    high = [_up(squares.get(bus, most)) for bus in range(graph.n)]
    numbers = [*(_down(part) for part in (data.r, data.x, data.p, data.q)), [_up(value) for value in data.p]]
    return Swept(graph, numbers, high, status)


def _up(value: Fraction) -> int:
    return -((-value.numerator << FINE) // value.denominator)


def _down(values: list[Fraction]) -> list[int]:
    return [(value.numerator << FINE) // value.denominator for value in values]


class Swept:
    """The paths of a node, and what is known of all of its radial states.

    Attributes:
        junctions, paths: of the grid. load: (2) by bus, with the least that dangling trees draw; nominal: of active
            power without losses. stubs: by path and branch at which it is open, least power drawn at both ends, and how
            much of that is lost.
        arcs: paths with the ends (0: u, 1: v) at junctions that they may feed. most: no squared voltage is greater.
    """

    def __init__(self, graph: Graph, numbers: list[list[int]], high: list[int], status: list[int]) -> None:
        """`numbers`: r, x by branch; p, q by bus; p rounded upwards. high: squared voltages that no bus is above."""
        self.graph, self.status, self.top, self.most = graph, status, list(high), max(high)
        self.r, self.x, self.p, self.q, self.nominal = numbers
        self.trees: list[tuple[int, int, int]] = []
        self.paths: list[_Path] = []
        self._prune()
        for bus, above, _ in self.trees:
            self.nominal[above] += self.nominal[bus]
        apart = (k for k, path in enumerate(self.paths) if path.u != path.v)
        self.arcs = [(k, end) for k in apart for end in (0, 1) if self.to(k, end) >= 0]
        self._dangle()
        self.stubs = [self._stubs(path) for path in self.paths]

    def _prune(self) -> None:
        """Find trees that dangle, farthest buses first, junctions, and the paths between these."""
        graph, sources = self.graph, self.graph.sources
        ends = graph.around([e for e, state in enumerate(self.status) if state != OPEN])
        left = [dict(some) for some in ends]
        waiting = [bus for bus in range(graph.n) if bus not in sources and len(left[bus]) == 1]
        while waiting:
            bus = waiting.pop()
            e, above = left[bus].popitem()
            del left[above][e]
            self.trees.append((bus, above, e))
            if above not in sources and len(left[above]) == 1:
                waiting.append(above)
        self.junctions = [bus for bus in range(graph.n) if bus not in sources and len(left[bus]) > 2]
        stops, seen = {*self.junctions, *sources}, set()
        for begin in sorted(stops):
            for first in left[begin]:
                if first in seen:
                    continue
                buses, branches, e = [begin], [], first
                while True:
                    seen.add(e)
                    branches.append(e)
                    buses.append(left[buses[-1]][e])
                    if buses[-1] in stops:
                        break
                    e = next(other for other in left[buses[-1]] if other != e)
                u, v = (-1 if bus in sources else bus for bus in (buses[0], buses[-1]))
                self.paths.append(_Path(u, v, buses, branches))

    def _far(self, w: int, e: int, p: int, q: int) -> int:
        """Greatest squared voltage at the far end of a branch, where at least p, q arrive."""
        return max(w - (2 * (self.r[e] * p + self.x[e] * q) >> FINE), 1)

    def _sent(self, e: int, p: int, q: int, w: int) -> Pair:
        """What is sent at least where at least p, q arrive, at a squared voltage of at most w."""
        l = (p * p + q * q) // w
        return p + (self.r[e] * l >> FINE), q + (self.x[e] * l >> FINE)

    def _dangle(self) -> None:
        """Loads with what trees that dangle draw, and the greatest voltages in these."""
        top = self.top
        for _ in range(SWEEPS):
            p, q = self.load = list(self.p), list(self.q)
            for bus, above, e in self.trees:
                more = self._sent(e, p[bus], q[bus], top[bus])
                p[above], q[above] = p[above] + more[0], q[above] + more[1]
            for bus, above, e in reversed(self.trees):
                top[bus] = self._far(top[above], e, p[bus], q[bus])

    def _stub(self, buses: list[int], branches: list[int]) -> Stub:
        """Least power drawn by a chain that ends at its last bus, what of it is lost, and the highest voltage there."""
        load_p, load_q = self.load
        high = [self.top[buses[0]]] * len(branches)
        here: list[Pair] = [(0, 0)] * len(branches)
        p, q, w = 0, 0, self.top[buses[0]]
        for _ in range(SWEEPS):
            p, q, w = 0, 0, self.top[buses[0]]
            for at in range(len(branches) - 1, -1, -1):
                here[at] = p, q = p + load_p[buses[at + 1]], q + load_q[buses[at + 1]]
                p, q = self._sent(branches[at], p, q, high[at])
            for at, e in enumerate(branches):
                high[at] = w = self._far(w, e, *here[at])
        return (p, q), (p - sum(self.nominal[b] for b in buses[1:]), q - sum(load_q[b] for b in buses[1:])), w

    def _stubs(self, path: _Path) -> list[tuple[Stub, Stub]]:
        """By branch at which the path is open, the least power drawn at both ends."""
        back, ways, count = path.buses[::-1], path.branches[::-1], len(path.branches)
        return [
            (
                self._stub(path.buses[: at + 1], path.branches[:at]),
                self._stub(back[: count - at], ways[: count - 1 - at]),
            )
            for at in range(count)
        ]

    def to(self, k: int, end: int) -> int:
        """The junction at an end of a path, -1 for sources."""
        return self.paths[k].v if end else self.paths[k].u

    def fall(self, k: int, end: int) -> int:
        """Least fall of the squared voltage from `most`, or from that of a source, on a path that feeds its end."""
        path = self.paths[k]
        buses, branches = (path.buses, path.branches) if end else (path.buses[::-1], path.branches[::-1])
        return self.most - self._stub(buses, branches)[2]

    def closed(self, k: int, end: int, f: int, g: int) -> ClosedPath:
        """Path k closed towards its end (0: u, 1: v), bounded about the flow f, g that arrives there."""
        path = self.paths[k]
        buses, branches = (path.buses, path.branches) if end else (path.buses[::-1], path.branches[::-1])
        least = self.load[0][buses[-1]], self.load[1][buses[-1]]
        delta = max(f - least[0], 0), max(g - least[1], 0)
        high, top = [(self.top[buses[0]], 0, 0)] * len(branches), self.top[buses[0]]
        power, *_ = self._passed_up(buses, branches, high, delta)
        near: Affine = (top, 0, 0)
        for at, e in enumerate(branches):
            (p, q), r, x = power[at], self.r[e], self.x[e]
            fall = [2 * (r * a + x * b) >> FINE for a, b in zip(p, q, strict=True)]
            high[at] = near = near[0] - fall[0], near[1] - fall[1], near[2] - fall[2]
        _, sent, factors = self._passed_up(buses, branches, high, delta)
        middle, s = (least[0] + delta[0], least[1] + delta[1]), list[int]()
        for at, (power_sent, factor) in enumerate(zip(sent, factors, strict=True)):
            slopes = power_sent[1:]
            s.append(
                _at(power_sent, delta)
                + (factor * (middle[0] ** 2 + middle[1] ** 2) >> 2 * FINE)
                + (-(slopes[0] * middle[0] + slopes[1] * middle[1]) >> FINE)
            )
            s.append(factor)
            for c, slope in enumerate(slopes):
                s.append(slope - (ONE if c == at else 0) + (-2 * factor * middle[c] >> FINE))
        return ClosedPath(*least, s)

    def _passed_up(
        self, buses: list[int], branches: list[int], high: list[Affine], delta: Pair
    ) -> tuple[list[tuple[Affine, Affine]], tuple[Affine, Affine], Pair]:
        """Power passed on to the sender with squared voltages up to `high`.

        Returns what arrives at each branch, what is sent, and the factors of |v|² in that.
        """
        load_p, load_q = self.load
        p: Affine = (load_p[buses[-1]], ONE, 0)
        q: Affine = (load_q[buses[-1]], 0, ONE)
        power, factor = [(p, q)] * len(branches), [0, 0]
        for at in range(len(branches) - 1, -1, -1):
            if at < len(branches) - 1:
                p, q = (p[0] + load_p[buses[at + 1]], *p[1:]), (q[0] + load_q[buses[at + 1]], *q[1:])
            power[at], w, low = (p, q), high[at], _at(high[at], delta)
            a, b = (max((_at(some, delta) << FINE) // low, 0) if low > SOUND else 0 for some in (p, q))
            curve = 0
            if low > SOUND and min(*p, *q) >= 0 and max(a, b) < STEEP:
                d11, d12, d21, d22 = (some[c] - (t * w[c] >> FINE) for some, t in ((p, a), (q, b)) for c in (1, 2))
                bend = max(d11 + d22 - ONE - isqrt((d11 - d22) ** 2 + (d12 + d21) ** 2) - 1, 0)
                curve = (bend - (bend >> SPARE) << FINE) // w[0]
            square = a * a + b * b
            l = [((2 * (a * p[c] + b * q[c]) << FINE) - square * w[c]) >> 2 * FINE for c in range(3)]
            l[0] -= 2
            r, x = self.r[branches[at]], self.x[branches[at]]
            factor = [factor[0] + (r * curve >> FINE), factor[1] + (x * curve >> FINE)]
            p = p[0] + (r * l[0] >> FINE), p[1] + (r * l[1] >> FINE), p[2] + (r * l[2] >> FINE)
            q = q[0] + (x * l[0] >> FINE), q[1] + (x * l[1] >> FINE), q[2] + (x * l[2] >> FINE)
        return power, (p, q), (factor[0], factor[1])

    def fixed(self) -> int:
        """Least loss of the trees that dangle from junctions and sources."""
        return sum(self.load[0][bus] - self.nominal[bus] for bus in (*self.junctions, *self.graph.sources))


def _at(value: Affine, delta: Pair) -> int:
    return value[0] + (value[1] * delta[0] + value[2] * delta[1] >> FINE)


GREATEST = 4
"""No multiplier is greater: any are valid, and those that raise the bound are shares of the power."""
MOST_DIGITS, LEAST_DIGITS = 52, 30
"""Binary digits of numbers: fewer where powers are large; with less than the least there is no bound."""
MARGIN = 8
"""By how much more than all terms together numbers may be."""


@dataclass(frozen=True, eq=False)
class PathNodes:
    """The paths of a grid, closed ones bounded about flows.

    Attributes:
        table: of the paths. buses: (J) of its junctions. of_branch: path of a branch.
    """

    table: PathTable
    buses: Ints
    of_branch: dict[int, int]

    def widened(self, given: Ints, bits: int) -> Ints:
        """Multipliers times 2^d, within what any may be."""
        return np.clip(given, 0, GREATEST << bits) << (self.table.d - bits)


def room_for(junctions: int) -> PathRoom:
    """Room for so many junctions, that of the sources among them."""
    y, mu, more, high, times = np.zeros((5, junctions), dtype=np.int64)
    return PathRoom(y=y, mu=mu, more=more, high=high, times=times, of=np.zeros(junctions, dtype=np.int32))


def nodes_of(swept: Swept, flows: Ints, bits: int = 0) -> PathNodes:
    """The table of the paths.

    Args:
        flows: (2K, 2) powers forth and back on each path, times 2^bits, about which closed paths are bounded.

    Raises:
        OverflowError: powers are so large that the numbers have too few digits.
    """
    about = {(a // 2, 1 - a % 2): [int(v) << FINE - bits for v in row] for a, row in enumerate(flows.tolist())}
    arcs = {(k, end): swept.closed(k, end, *about[k, end]) for k, end in swept.arcs}
    of_branch = {e: k for k, path in enumerate(swept.paths) for e in path.branches}
    return PathNodes(_table(swept, arcs), np.array(swept.junctions, dtype=np.int64), of_branch)


def _table(swept: Swept, arcs: dict[tuple[int, int], ClosedPath]) -> PathTable:
    """The numbers of the paths with as many digits as fit."""
    place = {j: at for at, j in enumerate(swept.junctions)} | {-1: len(swept.junctions)}
    paths, none = swept.paths, [0] * 10
    loads = [[sum(some[bus] for bus in path.buses[1:-1]) for some in (swept.nominal, swept.load[1])] for path in paths]
    stubs = [[*at_u[0], *at_v[0], *at_u[1], *at_v[1]] for some in swept.stubs for at_u, at_v in some]
    ends = [(k, end) for k in range(len(paths)) for end in (1, 0)]
    sent = [[arcs[way].f, arcs[way].g, *arcs[way].s] if way in arcs else none for way in ends]
    falls = [[(swept.fall(*way) << FINE) // swept.most if way in arcs else 0] for way in ends]
    d = min(MOST_DIGITS, 61 - _size(swept, loads, stubs, sent).bit_length())
    if d < LEAST_DIGITS:
        raise OverflowError(f"{d} binary digits")

    def down(values: Any, width: int) -> Ints:
        found = np.array([[int(v) >> FINE - d for v in row] for row in values], dtype=np.int64).reshape(-1, width)
        return np.ascontiguousarray(found.T)

    junction = down([[swept.load[0][j], swept.load[1][j]] for j in swept.junctions], 2)
    drawn, closed, load = down(stubs, 8).T.copy(), down(sent, 10), [[-value for value in row] for row in loads]
    may = [BROKEN | (FORTH if (k, 1) in arcs else 0) | (BACK if (k, 0) in arcs else 0) for k in range(len(paths))]
    return PathTable(
        d=d,
        fixed=swept.fixed() >> FINE - d,
        load_p=junction[0],
        load_q=junction[1],
        u=np.array([place[path.u] for path in paths], dtype=np.int32),
        v=np.array([place[path.v] for path in paths], dtype=np.int32),
        start=np.cumsum([0, *(len(path.branches) for path in paths)]).astype(np.int32),
        branch=np.array([e for path in paths for e in path.branches], dtype=np.int32),
        load=np.ascontiguousarray(-down(load, 2).T),
        drawn=drawn,
        fall=down(falls, 1)[0],
        f=closed[0],
        g=closed[1],
        s=np.ascontiguousarray(closed[2:].T),
        may=np.array(may, dtype=np.int8),
    )


def _size(swept: Swept, loads: list[list[int]], stubs: list[list[int]], sent: list[list[int]]) -> int:
    """More than any number in the bound, at any multipliers up to the greatest."""
    one = 1 << FINE
    y = 1 + GREATEST
    total = y * sum(swept.load[0][j] + swept.load[1][j] for j in swept.junctions)
    total += sum(map(sum, loads)) + y * sum(map(sum, stubs)) + abs(swept.fixed())
    for f, g, *signed in sent:
        s = [abs(value) for value in signed]
        square, most = y * (s[1] + s[5]) + one, max(f, g, one)
        by = y * (one + s[2] + s[3] + s[6] + s[7])
        total += y * (s[0] + s[4]) + 2 * (square * most // one * most + by * most) // one + square + by
    return MARGIN * LEAST_VOLTAGE * total // one
