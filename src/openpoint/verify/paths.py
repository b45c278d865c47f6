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
which give less power: from upper bounds of w follow lower bounds of power, and from these upper bounds of w. At least
the load of its end arrives at the end of a closed path, from which follows how much the voltage falls on it at least.

What closed paths cost, and how much more is lost where voltages are lower, is in `openpoint.verify.path_cost`. There w
and r, x are divided by the highest squared voltage of all sources, which leaves all equations as they are (with l times
that). All is rounded to the safe side: power, r, x and costs downwards, voltages and `load` upwards.

Theory: docs/methods.md M14.

The paths of a grid in numbers of 64 bits, in which their parts are bounded.

`openpoint.verify.paths` finds what they draw in whole numbers of any length; `openpoint.verify.part_node` works with
the table of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from openpoint.arrays import Ints
from openpoint.verify.data import Data
from openpoint.verify.graph import OPEN, Graph
from openpoint.verify.path_cost import BACK, BROKEN, FORTH, GREATEST, PathRoom, PathTable

FINE = 96
"""Binary digits of all numbers."""
ONE = 1 << FINE
SWEEPS = 3
"""Sweeps along a dangling tree, and along an open path."""

Pair = tuple[int, int]
Stub = tuple[Pair, Pair, int]
"""Power drawn; what of it is lost; and the squared voltage at the end."""


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


def swept(data: Data, graph: Graph, squares: dict[int, Fraction], status: list[int]) -> Swept:
    """The paths of a grid without `obstacles`, and what they draw at least.

    Args:
        squares: squared voltages of the sources; no other bus is above the highest one. status: of every branch.
    """
    most = max(squares.values())
    high = [_up(squares.get(bus, most) / most) for bus in range(graph.n)]
    r, x = ([value / most for value in part] for part in (data.r, data.x))
    numbers = [*(_down(part) for part in (r, x, data.p, data.q)), [_up(value) for value in data.p]]
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
        arcs: paths with the ends (0: u, 1: v) at junctions that they may feed.
    """

    def __init__(self, graph: Graph, numbers: list[list[int]], high: list[int], status: list[int]) -> None:
        """`numbers`: r, x by branch; p, q by bus; p rounded upwards. high: w that no bus is above, 1 at most."""
        self.graph, self.status, self.top = graph, status, list(high)
        self.r, self.x, self.p, self.q, self.nominal = numbers
        self.trees: list[tuple[int, int, int]] = []
        self.paths: list[_Path] = []
        self._prune()
        self.q_nominal = [q + 1 for q in self.q]  # upwards
        for bus, above, _ in self.trees:
            self.nominal[above] += self.nominal[bus]
            self.q_nominal[above] += self.q_nominal[bus]
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

    def square(self, e: int) -> int:
        """r² + x² of a branch, rounded upwards."""
        return ((self.r[e] + 1) ** 2 + (self.x[e] + 1) ** 2 >> FINE) + 1

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
        return (p, q), (p - sum(self.nominal[b] for b in buses[1:]), q - sum(self.q_nominal[b] for b in buses[1:])), w

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

    def sent(self, k: int, end: int) -> Pair:
        """Least power sent into a path that is closed towards its end."""
        path = self.paths[k]
        return self._stub(*((path.buses, path.branches) if end else (path.buses[::-1], path.branches[::-1])))[0]

    def fixed(self) -> int:
        """Least loss of the trees that dangle from junctions and sources."""
        return sum(self.load[0][bus] - self.nominal[bus] for bus in (*self.junctions, *self.graph.sources))


MOST_DIGITS, LEAST_DIGITS = 52, 30
"""Binary digits of numbers: fewer where powers are large; with less than the least there is no bound."""
MARGIN = 8
"""By how much more than all terms together numbers may be."""


@dataclass(frozen=True, eq=False)
class PathNodes:
    """The paths of a grid.

    Attributes:
        table: of the paths. buses: (J) of its junctions. of_branch: path of a branch.
    """

    table: PathTable
    buses: Ints
    of_branch: dict[int, int]

    def widened(self, given: Ints, bits: int) -> Ints:
        """Multipliers times 2^d, within what any may be."""
        return np.clip(given, 0, GREATEST << bits) << (self.table.d - bits)


OF_JUNCTION = ("y", "mu", "high", "price", "theta", "times", "sum_p", "sum_q")
OF_ARC = ("rest", "stub", "cost", "taken", "f", "g", "fall", "draw_p", "draw_q")


def room_for(table: PathTable) -> PathRoom:
    """Room for the paths of a table."""
    junctions, paths, branches = len(table.load_p) + 1, len(table.u), len(table.branch)
    room: dict[str, Any] = {name: np.zeros(junctions, dtype=np.int64) for name in OF_JUNCTION}
    room |= {name: np.zeros(2 * paths, dtype=np.int64) for name in OF_ARC}
    room |= {name: np.zeros(branches, dtype=np.int64) for name in ("least_p", "least_q", "top")}
    room |= {name: np.zeros(branches) for name in ("p", "q", "w", "nu", "of_y", "of_mu")}
    room |= {name: np.zeros(junctions, dtype=np.int32) for name in ("of", "entry", "leaving")}
    return PathRoom(about=np.zeros(junctions), order=np.zeros(paths, dtype=np.int32), **room)


def nodes_of(swept: Swept) -> PathNodes:
    """The table of the paths.

    Raises:
        OverflowError: powers are so large that the numbers have too few digits.
    """
    of_branch = {e: k for k, path in enumerate(swept.paths) for e in path.branches}
    return PathNodes(_table(swept), np.array(swept.junctions, dtype=np.int64), of_branch)


def _table(swept: Swept) -> PathTable:
    """The numbers of the paths with as many digits as fit."""
    place = {j: at for at, j in enumerate(swept.junctions)} | {-1: len(swept.junctions)}
    paths, load = swept.paths, swept.load
    loads = [sum(swept.nominal[bus] for bus in path.buses[1:-1]) for path in paths]
    stubs = [[*at_u[0], *at_v[0], *at_u[1], *at_v[1]] for some in swept.stubs for at_u, at_v in some]
    begins = [path.buses[at] for path in paths for at in (0, -1)]
    sent = [swept.sent(k, end) for k in range(len(paths)) for end in (1, 0)]
    d = min(MOST_DIGITS, 61 - _size(swept, loads, stubs).bit_length())
    if d < LEAST_DIGITS:
        raise OverflowError(f"{d} binary digits")

    def down(values: Any, width: int) -> Ints:
        found = np.array([[int(v) >> FINE - d for v in row] for row in values], dtype=np.int64).reshape(-1, width)
        return np.ascontiguousarray(found.T)

    at = [e for path in paths for e in path.branches]
    within = [bus for path in paths for bus in (*path.buses[1:-1], -1)]
    rated = [(swept.r[e], swept.x[e], -(swept.square(e))) for e in at]

    def drawn(bus: int) -> list[int]:
        """Load of a bus, and what of it is lost in the trees that dangle from it."""
        power = load[0][bus], load[1][bus]
        return [*power, power[0] - swept.nominal[bus], power[1] - swept.q_nominal[bus]]

    beyond = [drawn(bus) if bus >= 0 else [0] * 4 for bus in within]
    lost = [drawn(j) for j in swept.junctions]
    arcs = [(*power, -swept.top[begun]) for power, begun in zip(sent, begins, strict=True)]
    junction, branch, inner, closed = down(lost, 4), down(rated, 3), down(beyond, 4), down(arcs, 3)
    may = [
        BROKEN | (FORTH if (k, 1) in swept.arcs else 0) | (BACK if (k, 0) in swept.arcs else 0)
        for k in range(len(paths))
    ]
    return PathTable(
        d=d,
        fixed=swept.fixed() >> FINE - d,
        load_p=junction[0],
        load_q=junction[1],
        lost_p=junction[2],
        lost_q=junction[3],
        u=np.array([place[path.u] for path in paths], dtype=np.int32),
        v=np.array([place[path.v] for path in paths], dtype=np.int32),
        start=np.cumsum([0, *(len(path.branches) for path in paths)]).astype(np.int32),
        branch=np.array(at, dtype=np.int32),
        r=branch[0],
        x=branch[1],
        z2=-branch[2],
        within_p=inner[0],
        within_q=inner[1],
        trees_p=inner[2],
        trees_q=inner[3],
        load=-down([[-value] for value in loads], 1)[0],
        drawn=np.ascontiguousarray(down(stubs, 8).T),
        high=-closed[2],
        sent_p=closed[0],
        sent_q=closed[1],
        may=np.array(may, dtype=np.int8),
    )


def _size(swept: Swept, loads: list[int], stubs: list[list[int]]) -> int:
    """More than any number in the bound, at any multipliers up to the greatest."""
    total = sum(swept.load[0]) + sum(swept.load[1]) + sum(loads) + sum(map(sum, stubs)) + abs(swept.fixed())
    total += max([*swept.r, *swept.x, ONE])
    return MARGIN * (1 + 2 * GREATEST) * total >> FINE
