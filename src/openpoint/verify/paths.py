"""A second lower bound of the loss of all radial states of a node, by paths between junctions, in integers.

Where all loads are constant and take power, and nothing feeds, power runs away from the sources in every radial state.
Without the open branches and the trees that dangle, a grid consists of *junctions*, which are its buses with three or
more branches, and of *paths* of branches between two of these or sources. In a radial state a path is open at one of
its branches, or closed with power from u to v, or from v to u, and the closed paths are an arborescence from the
sources: each junction is entered by one. With y, μ >= 0 at junctions, 0 at sources, for the balances of these (what
arrives is what is drawn and sent on), which are zero in every state,

    loss = Σ_j (P_j y_j + Q_j μ_j) + loss of trees that dangle from junctions and sources + Σ_k cost_k
    open:              (1 + y_u) p_u + μ_u q_u + (1 + y_v) p_v + μ_v q_v − load     drawn by the rest at either end
    closed, u to v:    (1 + y_u) p + μ_u q − (1 + y_v) f − μ_v g − load             p, q sent; f, g arrive

`load` is the load of the buses within the path. P, p, q have factors >= 0, so that lower bounds may take their place:

1. Where f, g arrive at the far end of a branch, l = (f² + g²) / w_far, f + r l and g + x l are sent, and
   w_far = w_near − 2 (r f + x g) − |z|² l. Less power beyond gives less power here and higher voltages, which give less
   power: from upper bounds of w follow lower bounds of power, and from these upper bounds of w.
2. On a closed path f + a, g + b arrive at a branch, a and b at least what they are at the least f, g. So it sends at
   least f + Σ (load + (r / w) ((f + a)² + (g + b)²)), quadratic in f and g, as is q: its cost has a
   least value in closed form.
3. At a junction at least its load arrives and the least that each other path there draws in a state in which that path
   does not feed the junction. It is no higher than a route of least drops from a source makes it.

What is left is the sum of the costs of open paths and the least arborescence (Chu and Liu 1965, Edmonds 1967) at the
costs of closed paths above these. A path that cannot be open costs so much open that this is not the least.
All is rounded to the safe side: power, r, x and costs downwards, voltages and `load` upwards.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

from openpoint.verify.arborescence import Arc, arborescence
from openpoint.verify.data import Data
from openpoint.verify.graph import Graph
from openpoint.verify.wires import FREE, OPEN

FINE = 96
"""Binary digits of all numbers."""
ONE = 1 << FINE
HUGE = 1000
"""What a path costs open that cannot be so, in units of the bound that is to be reached; any number is valid."""
SWEEPS, ROUNDS, TURNS = 3, 8, 3
"""Sweeps along a path; rounds of least flows over all paths; turns of both, and of voltages."""

Pair = tuple[int, int]


def obstacles(data: Data[Fraction]) -> list[str]:
    """Why the bound does not hold for a grid; empty where it does."""
    columns = (data.g, data.b, data.g_open_fr, data.b_open_fr, data.g_open_to, data.b_open_to)
    found = {
        "generation": min([*data.p, *data.q]) < 0 or any([*data.p_span, *data.q_span]),
        "loads that depend on the voltage": any([*data.p_v, *data.q_v, *data.p_w, *data.q_w]),
        "shunts": any(value for column in columns for value in column),
        "ratios": any(tap != 1 for tap in data.tap),
        "negative impedances": min([*data.r, *data.x]) < 0,
        "devices, prices or limits of supply": bool(data.value) or bool(data.box) or data.loss != [1],
        "prices of closings, currents or sources": any([*data.price, *data.current, *data.source]),
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
    """A closed path: least arrivals f, g, the coefficients of what it sends, and its least drop of squared voltage.

    p = f + s[0] + s[1] (f² + g²) + s[2] f + s[3] g, and q likewise with s[4] to s[7].
    """

    f: int
    g: int
    s: list[int]
    drop: int

    def sent(self) -> Pair:
        """Least power that it sends."""
        s, squares = self.s, self.f * self.f + self.g * self.g >> FINE
        more = [s[c] + (s[c + 1] * squares + s[c + 2] * self.f + s[c + 3] * self.g >> FINE) for c in (0, 4)]
        return self.f + more[0], self.g + more[1]

    def cost(self, tail: Pair, head: Pair, load: int) -> int | None:
        """Least cost between multipliers at both ends; None where it has no bound."""
        s, (y, mu), (y_far, mu_far) = self.s, (ONE + tail[0], tail[1]), (ONE + head[0], head[1])
        square, constant = (y * s[c] + mu * s[c + 4] >> FINE for c in (1, 0))
        by_f = y - y_far + (y * s[2] + mu * s[6] >> FINE)
        by_g = mu - mu_far + (y * s[3] + mu * s[7] >> FINE)
        total = constant - load
        for least, by in ((self.f, by_f), (self.g, by_g)):
            if by >= 0 or -by <= 2 * (square * least >> FINE):
                total += (square * (least * least >> FINE) + by * least) >> FINE
            elif square > 0:
                total -= -(-by * by // (4 * square))
            else:
                return None
        return total


class PathBound:
    """The bound on one grid without `obstacles`."""

    def __init__(self, data: Data[Fraction], graph: Graph, squares: dict[int, Fraction]) -> None:
        """`squares`: squared voltages of the sources; no other bus is above the highest one."""
        self.graph = graph
        self.r, self.x, self.p, self.q = (_down(part) for part in (data.r, data.x, data.p, data.q))
        self.z2 = [r * r + x * x >> FINE for r, x in zip(self.r, self.x, strict=True)]
        self.nominal = [-((-value.numerator << FINE) // value.denominator) for value in data.p]
        high = [squares.get(bus, max(squares.values())) for bus in range(graph.n)]
        self.w_max = [-((-value.numerator << FINE) // value.denominator) for value in high]

    def bound(self, status: list[int], y: list[int], mu: list[int], bits: int, goal: Fraction) -> Fraction | None:
        """A lower bound of the loss of the radial states of a node; None where there is none.

        Args:
            status: of every branch; those that are not open join all buses to the sources.
            y, mu: by bus, times 2^bits; what is < 0, or is at no junction, counts as 0.
            goal: a loss; a path that cannot be open costs `HUGE` times that open.
        """
        node = self.swept(status)
        of = {-1: (0, 0)} | {j: (max(y[j], 0) << FINE - bits, max(mu[j], 0) << FINE - bits) for j in node.junctions}
        found = node.cost(of, math.floor(HUGE * goal * ONE))
        return None if found is None else Fraction(found, ONE)

    def swept(self, status: list[int]) -> Swept:
        """The paths of a node, with what is known of all of its radial states; `status`: of every branch."""
        node = Swept(self, status)
        node.sweep()
        return node


def _down(values: list[Fraction]) -> list[int]:
    return [(value.numerator << FINE) // value.denominator for value in values]


class Swept:
    """The paths of a node, and what is known of all of its radial states.

    Attributes:
        junctions, paths: of the grid. load: (2) by bus, with the least that dangling trees draw; nominal: of active
            power without losses. stubs: by path and branch at which it is open, least power drawn at both ends.
        arcs: by path and end (0: u, 1: v) that it feeds.
    """

    def __init__(self, of: PathBound, status: list[int]) -> None:
        self.of, self.status, self.graph = of, status, of.graph
        self.top = list(of.w_max)
        self.load = list(of.p), list(of.q)
        self.nominal = list(of.nominal)
        self.trees: list[tuple[int, int, int]] = []
        self.paths: list[_Path] = []
        self._prune()
        self.at: dict[int, list[tuple[int, int]]] = {j: [] for j in self.junctions}
        for k, path in enumerate(self.paths):
            for end, j in enumerate((path.u, path.v)):
                if j >= 0:
                    self.at[j].append((k, end))
        for bus, above, _ in self.trees:
            self.nominal[above] += self.nominal[bus]
        self.stubs: list[list[tuple[Pair, Pair]]] = []
        self.arcs: dict[tuple[int, int], ClosedPath] = {}

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
        half = (w - (2 * (self.of.r[e] * p + self.of.x[e] * q) >> FINE) + 1) // 2 + 1
        if half <= 0:
            return 1
        rest = half * half - (self.of.z2[e] * (p * p + q * q) >> FINE)
        return half + (isqrt(rest) + 1 if rest > 0 else 0)

    def _dangle(self) -> None:
        """Loads with what trees that dangle draw, and the greatest voltages in these."""
        of, top = self.of, self.top
        for bus, above, _ in reversed(self.trees):
            top[bus] = min(top[bus], top[above])
        for _ in range(SWEEPS):
            p, q = self.load = list(of.p), list(of.q)
            for bus, above, e in self.trees:
                l = (p[bus] * p[bus] + q[bus] * q[bus]) // top[bus]
                p[above] += p[bus] + (of.r[e] * l >> FINE)
                q[above] += q[bus] + (of.x[e] * l >> FINE)
            for bus, above, e in reversed(self.trees):
                top[bus] = min(top[bus], self._far(top[above], e, p[bus], q[bus]))

    def _along(self, buses: list[int], branches: list[int], f: int, g: int) -> tuple[Pair, list[Pair], list[int]]:
        """Least power sent from the first bus of a chain at whose last f, g arrive; what arrives at each, voltages."""
        of, (load_p, load_q) = self.of, self.load
        high = [self.top[buses[0]]] * len(branches)
        here: list[Pair] = [(0, 0)] * len(branches)
        p, q = f, g
        for _ in range(SWEEPS):
            p, q = f, g
            for at in range(len(branches) - 1, -1, -1):
                e, bus = branches[at], buses[at + 1]
                if at < len(branches) - 1:
                    p, q = p + load_p[bus], q + load_q[bus]
                here[at] = p, q
                l = (p * p + q * q) // high[at]
                p, q = p + (of.r[e] * l >> FINE), q + (of.x[e] * l >> FINE)
            w = self.top[buses[0]]
            for at, e in enumerate(branches):
                w = high[at] = self._far(w, e, *here[at])
        return (p, q), here, high

    def _stub(self, buses: list[int], branches: list[int]) -> Pair:
        """Least power drawn by a chain that ends at its last bus."""
        if not branches:
            return 0, 0
        last = buses[-1]
        return self._along(buses, branches, self.load[0][last], self.load[1][last])[0]

    def _stubs(self, path: _Path) -> list[tuple[Pair, Pair]]:
        """By branch at which the path is open, the least power drawn at both ends."""
        back, ways, count = path.buses[::-1], path.branches[::-1], len(path.branches)
        return [
            (
                self._stub(path.buses[: at + 1], path.branches[:at]),
                self._stub(back[: count - at], ways[: count - 1 - at]),
            )
            for at in range(count)
        ]

    def _closed(self, k: int, end: int, f: int, g: int) -> ClosedPath:
        """Path k closed towards its end (0: u, 1: v), where at least f, g arrive."""
        path, of = self.paths[k], self.of
        buses, branches = (path.buses, path.branches) if end else (path.buses[::-1], path.branches[::-1])
        _, here, high = self._along(buses, branches, f, g)
        s, drop = [0] * 8, 0
        for bus in buses[1:-1]:
            s[0] += self.load[0][bus]
            s[4] += self.load[1][bus]
        for e, (p, q), w in zip(branches, here, high, strict=True):
            a, b = p - f, q - g
            for c, z in ((0, of.r[e]), (4, of.x[e])):
                per = z << FINE
                s[c] += z * (a * a + b * b) // w >> FINE
                s[c + 1] += per // w
                s[c + 2] += 2 * z * a // w
                s[c + 3] += 2 * z * b // w
            l = (p * p + q * q) // w
            drop += (2 * (of.r[e] * p + of.x[e] * q) >> FINE) + (of.z2[e] * l >> FINE)
        return ClosedPath(f, g, s, drop)

    def sweep(self) -> None:
        """Find the least power of all states of the paths, and the greatest voltages."""
        for turn in range(TURNS):
            self._dangle()
            self.stubs = [self._stubs(path) for path in self.paths]
            for k, end in self._directions():
                arc = self.arcs.get((k, end))
                self.arcs[k, end] = self._closed(k, end, *((arc.f, arc.g) if arc else (0, 0)))
            for _ in range(ROUNDS):
                if not self._least_flows():
                    break
            if turn < TURNS - 1:
                self._lower_voltages()

    def _directions(self) -> list[tuple[int, int]]:
        """Paths with the ends at junctions that they may feed."""
        apart = (k for k, path in enumerate(self.paths) if path.u != path.v)
        return [(k, end) for k in apart for end in (0, 1) if self._to(k, end) >= 0]

    def _to(self, k: int, end: int) -> int:
        return self.paths[k].v if end else self.paths[k].u

    def _open_at(self, k: int) -> list[tuple[Pair, Pair]]:
        """What stubs of a path draw at the branches at which it may be open."""
        path = self.paths[k]
        return [some for some, e in zip(self.stubs[k], path.branches, strict=True) if self.status[e] == FREE]

    def _least_draw(self, k: int, end: int) -> Pair:
        """Least power that a path draws at an end which it does not feed."""
        drawn = [both[end] for both in self._open_at(k)]
        drawn += [self.arcs[k, 1 - end].sent()] if (k, 1 - end) in self.arcs else []
        return min((p for p, _ in drawn), default=0), min((q for _, q in drawn), default=0)

    def _least_flows(self) -> bool:
        """Raise least arrivals by what other paths at a junction draw; whether any rose by more than 10^-9 of it."""
        draws = {(k, end): self._least_draw(k, end) for some in self.at.values() for k, end in some}
        raised = False
        for j, some in self.at.items():
            p, q = (load[j] + sum(draws[way][c] for way in some) for c, load in enumerate(self.load))
            for way in some:
                arc = self.arcs.get(way)
                if arc is None:
                    continue
                f, g = max(arc.f, p - draws[way][0]), max(arc.g, q - draws[way][1])
                if f - arc.f > arc.f >> 30 or g - arc.g > arc.g >> 30:
                    self.arcs[way] = self._closed(*way, f, g)
                    raised = True
        return raised

    def _lower_voltages(self) -> None:
        """Lower the voltages of junctions to those by routes of least drops, and of the buses within paths."""
        found: dict[int, int] = {}
        waiting: list[Pair] = []
        for (k, end), arc in self.arcs.items():
            if self._to(k, 1 - end) < 0:
                source = self.paths[k].buses[0 if end else -1]
                heapq.heappush(waiting, (arc.drop - self.top[source], self._to(k, end)))
        while waiting:
            w, j = heapq.heappop(waiting)
            if j in found:
                continue
            found[j] = -w
            for k, end in self.at[j]:
                if (k, 1 - end) in self.arcs:
                    heapq.heappush(waiting, (w + self.arcs[k, 1 - end].drop, self._to(k, 1 - end)))
        for j, w in found.items():
            self.top[j] = max(min(self.top[j], w), 1)
        for path in self.paths:
            ends = max(self.top[path.buses[0]], self.top[path.buses[-1]])
            for bus in path.buses[1:-1]:
                self.top[bus] = min(self.top[bus], ends)

    def fixed(self) -> int:
        """Least loss of the trees that dangle from junctions and sources."""
        return sum(self.load[0][bus] - self.nominal[bus] for bus in (*self.junctions, *self.graph.sources))

    def cost(self, of: dict[int, Pair], huge: int) -> int | None:
        """The bound at multipliers by junction, -1 for sources."""
        load_p, load_q = self.load
        total = self.fixed()
        total += sum(load_p[j] * of[j][0] + load_q[j] * of[j][1] for j in self.junctions) >> FINE
        arcs: list[Arc] = []
        for k, path in enumerate(self.paths):
            (y_u, mu_u), (y_v, mu_v) = of[path.u], of[path.v]
            load = sum(self.nominal[bus] for bus in path.buses[1:-1])
            opened = [
                ((ONE + y_u) * p_u + mu_u * q_u + (ONE + y_v) * p_v + mu_v * q_v >> FINE) - load
                for (p_u, q_u), (p_v, q_v) in self._open_at(k)
            ]
            least = min(opened, default=huge)
            total += least
            for end in (0, 1):
                if (k, end) in self.arcs:
                    tail, head = self._to(k, 1 - end), self._to(k, end)
                    cost = self.arcs[k, end].cost(of[tail], of[head], load)
                    if cost is None:
                        return None
                    arcs.append((cost - least, tail, head))
        more = arborescence(arcs, self.junctions)
        return None if more is None else total + more
