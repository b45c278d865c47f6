"""The paths of a grid in numbers of 64 bits, in which their parts are bounded.

`openpoint.verify.paths` finds what they draw and send in whole numbers of any length; `openpoint.verify.part_node`
works with the table of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Ints
from openpoint.verify.part_node import BACK, BROKEN, FORTH, PathRoom, PathTable
from openpoint.verify.paths import FINE, ClosedPath, Swept

GREATEST = 4
"""No multiplier is greater: any are valid, and those that raise the bound are shares of the power."""
MOST_DIGITS, LEAST_DIGITS = 52, 30
"""Binary digits of numbers: fewer where powers are large; with less than the least there is no bound."""
SPARE = 8
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
    y, mu, more = np.zeros((3, junctions), dtype=np.int64)
    return PathRoom(y=y, mu=mu, more=more, of=np.zeros(junctions, dtype=np.int32))


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
    loads = [sum(swept.nominal[bus] for bus in path.buses[1:-1]) for path in paths]
    stubs = [[p, q, p_v, q_v] for some in swept.stubs for (p, q), (p_v, q_v) in some]
    ends = [(k, end) for k in range(len(paths)) for end in (1, 0)]
    sent = [[arcs[way].f, arcs[way].g, *arcs[way].s] if way in arcs else none for way in ends]
    d = min(MOST_DIGITS, 61 - _size(swept, loads, stubs, sent).bit_length())
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


def _size(swept: Swept, loads: list[int], stubs: list[list[int]], sent: list[list[int]]) -> int:
    """More than any number in the bound, at any multipliers up to the greatest."""
    one = 1 << FINE
    y = 1 + GREATEST
    total = y * sum(swept.load[0][j] + swept.load[1][j] for j in swept.junctions)
    total += sum(loads) + y * sum(map(sum, stubs)) + abs(swept.fixed())
    for f, g, *signed in sent:
        s = [abs(value) for value in signed]
        square, most = y * (s[1] + s[5]) + one, max(f, g, one)
        by = y * (one + s[2] + s[3] + s[6] + s[7])
        total += y * (s[0] + s[4]) + 2 * (square * most // one * most + by * most) // one + square + by
    return SPARE * total // one
