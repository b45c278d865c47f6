"""The bound by paths at all nodes of a search, from the least powers of the first one.

`openpoint.verify.paths` finds these in whole numbers of any length; `openpoint.verify.path_node` works with them in
numbers of 64 bits.
"""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np

from openpoint.arrays import Ints, States
from openpoint.verify.about import closed_about
from openpoint.verify.multipliers import MOST_BITS
from openpoint.verify.path_node import BACK, BROKEN, FORTH, NEITHER, PathRoom, PathTable, decide
from openpoint.verify.paths import FINE, ClosedPath, Swept

GREATEST = 4
"""No multiplier is greater: any are valid, and those that raise the bound are shares of the power."""
MOST_DIGITS, LEAST_DIGITS = 52, 30
"""Binary digits of numbers: fewer where powers are large; with less than the least there is no bound."""
SPARE = 8
"""By how much more than all terms together numbers may be."""


class PathNodes:
    """The bound by paths at the nodes of a search on one grid.

    Attributes:
        table: of the paths. buses: (J) of its junctions. along: by branch on a path whether it is directed as this.
    """

    def __init__(self, table: PathTable, buses: Ints, along: dict[int, bool]) -> None:
        self.table, self.buses, self.along = table, buses, along
        self.of_branch = {
            e: k for k in range(len(table.u)) for e in table.branch[table.start[k] : table.start[k + 1]].tolist()
        }
        self.room = room_for(len(buses) + 1, len(table.u))

    def __reduce__(self) -> tuple[type[PathNodes], tuple[PathTable, Ints, dict[int, bool]]]:
        return PathNodes, (replace(self.table), self.buses, self.along)

    def decided(self, status: States, mask: States, y: Ints, mu: Ints, bits: int, goal: Fraction) -> int:
        """What the bound of a node decides: `REACHED`, `EXCLUDED` or `NEITHER`.

        Args:
            status, mask: (E) states of the branches, (K) states that paths may have; what is excluded is taken out.
            y, mu: (J) multipliers, times 2^bits; what is < 0 counts as 0.
            goal: what is compared with.
        """
        table, room, one = self.table, self.room, 1 << self.table.d
        if bits not in range(min(table.d, MOST_BITS) + 1) or not abs(goal) < Fraction(1 << 60, one):
            return NEITHER
        room.y[:-1], room.mu[:-1] = self.widened(y, bits), self.widened(mu, bits)
        return int(decide(table, room, status, mask, math.ceil(goal * one)))

    def widened(self, given: Ints, bits: int) -> Ints:
        """Multipliers times 2^d, within what any may be."""
        return np.clip(given, 0, GREATEST << bits) << (self.table.d - bits)

    def way(self, branch: int, side: int) -> tuple[int, int]:
        """The path of a branch, and its state with power as from the from to the to bus (side 0), or the other way."""
        k = self.of_branch[branch]
        return k, FORTH if self.along[branch] == (side == 0) else BACK


def room_for(junctions: int, paths: int) -> PathRoom:
    """Room for so many junctions, that of the sources among them, and paths."""
    rooms: dict[str, Any] = {name: np.zeros(junctions, dtype=np.int64) for name in ("y", "mu", "paid")}
    rooms |= {name: np.zeros(2 * paths, dtype=np.int64) for name in ("cost", "rest", "beyond")}
    rooms |= {name: np.zeros(junctions, dtype=np.int32) for name in ("of", "into", "best", "seen")}
    return PathRoom(opened=np.zeros(paths, dtype=np.int64), **rooms)


def nodes_of(swept: Swept, flows: Ints | None = None, bits: int = 0) -> PathNodes:
    """The bound at the nodes of a search, by what is known of the first one.

    Args:
        flows: (2K, 2) powers forth and back on each path, times 2^bits, about which closed paths are bounded; by
            default these are bounded at the least ones.

    Raises:
        OverflowError: powers are so large that the numbers have too few digits.
    """
    fr, arcs = swept.of.graph.fr, swept.arcs
    along = {e: bus == fr[e] for path in swept.paths for bus, e in zip(path.buses[:-1], path.branches, strict=True)}
    if flows is not None:
        about = {(a // 2, 1 - a % 2): [int(v) << FINE - bits for v in row] for a, row in enumerate(flows.tolist())}
        arcs = {(k, end): closed_about(swept, k, end, *about[k, end]) for k, end in swept.arcs}
    return PathNodes(_table(swept, arcs), np.array(swept.junctions, dtype=np.int64), along)


def _table(swept: Swept, arcs: dict[tuple[int, int], ClosedPath]) -> PathTable:
    """The numbers of the paths with as many digits as fit."""
    place = {j: at for at, j in enumerate(swept.junctions)} | {-1: len(swept.junctions)}
    paths, none = swept.paths, [0] * 10
    loads = [sum(swept.nominal[bus] for bus in path.buses[1:-1]) for path in paths]
    stubs = [[p, q, p_v, q_v] for some in swept.stubs for (p, q), (p_v, q_v) in some]
    ends = [(k, end) for k in range(len(paths)) for end in (1, 0)]
    sent = [[arcs[way].f, arcs[way].g, *arcs[way].s] if way in arcs else none for way in ends]
    huge = sum(swept.of.p)
    d = min(MOST_DIGITS, 61 - _size(swept, loads, stubs, sent, huge).bit_length())
    if d < LEAST_DIGITS:
        raise OverflowError(f"{d} binary digits")

    def down(values: Any, width: int) -> Ints:
        found = np.array([[int(v) >> FINE - d for v in row] for row in values], dtype=np.int64).reshape(-1, width)
        return np.ascontiguousarray(found.T)

    junction = down([[swept.load[0][j], swept.load[1][j]] for j in swept.junctions], 2)
    drawn, closed = down(stubs, 4), down(sent, 10)
    may = [BROKEN | (FORTH if (k, 1) in arcs else 0) | (BACK if (k, 0) in arcs else 0) for k in range(len(paths))]
    return PathTable(
        d=d,
        fixed=swept.fixed() >> FINE - d,
        huge=huge >> FINE - d,
        load_p=junction[0],
        load_q=junction[1],
        u=np.array([place[path.u] for path in paths], dtype=np.int32),
        v=np.array([place[path.v] for path in paths], dtype=np.int32),
        start=np.cumsum([0, *(len(path.branches) for path in paths)]).astype(np.int32),
        branch=np.array([e for path in paths for e in path.branches], dtype=np.int32),
        load=np.array([-(-value >> FINE - d) for value in loads], dtype=np.int64),
        u_p=drawn[0],
        u_q=drawn[1],
        v_p=drawn[2],
        v_q=drawn[3],
        f=closed[0],
        g=closed[1],
        s=np.ascontiguousarray(closed[2:].T),
        may=np.array(may, dtype=np.int8),
    )


def _size(swept: Swept, loads: list[int], stubs: list[list[int]], sent: list[list[int]], huge: int) -> int:
    """More than any number in the bound, at any multipliers up to the greatest."""
    one = 1 << FINE
    y = 1 + GREATEST
    total = y * sum(swept.load[0][j] + swept.load[1][j] for j in swept.junctions)
    total += sum(loads) + len(loads) * huge + y * sum(map(sum, stubs)) + abs(swept.fixed())
    for f, g, *signed in sent:
        s = [abs(value) for value in signed]
        square, most = y * (s[1] + s[5]) + one, max(f, g, one)
        by = y * (one + s[2] + s[3] + s[6] + s[7])
        total += y * (s[0] + s[4]) + 2 * (square * most // one * most + by * most) // one + square + by
    return SPARE * total // one
