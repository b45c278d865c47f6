"""Compiled: what the states of branches and paths at a node imply for each other, and the sums of its paths.

A path has an open branch, or it is closed and power runs forth or back. Each junction is fed by one path.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model
from openpoint.search.kernel.arrays import OPEN as IS_OPEN
from openpoint.search.paths.arrays import BACK, FORTH, OPEN, Paths, PathWork
from openpoint.search.paths.sweeps import ROUNDS, closed, closed_about, dangle, sent, stubs

TURNS = 2
"""Turns of dangling trees, stubs, least flows and highest voltages before the first node."""
MOST = 2.0
"""Flow about which a path is bounded at most, in all loads together: sums of much larger ones would lose digits."""
CHANGE = 1e-9
"""Change of a least flow, per unit of its own, that counts as none."""


@inlined
def feeds(mask: int, end: int) -> int:
    """The bit of a path's mask for feeding its end u (0) or v (1)."""
    return mask & (BACK if end == 0 else FORTH)


@inlined
def from_branches(paths: Paths, work: PathWork, status: Any) -> bool:
    """Restrict the states of paths by those of branches; False where none is left to a path."""
    for k in range(len(work.mask)):
        opened, undecided = 0, 0
        work.opened[k] = -1
        for position in range(paths.start[k], paths.start[k + 1]):
            state = status[paths.branch[position]]
            if state == IS_OPEN:
                opened += 1
                work.opened[k] = position
            undecided += state == UNDECIDED
        if opened > 1:
            return False
        if opened == 1:
            work.mask[k] &= OPEN
        elif undecided == 0:
            work.mask[k] &= FORTH | BACK
        if work.mask[k] == 0:
            return False
    return True


@inlined
def to_branches(paths: Paths, work: PathWork, status: Any) -> bool:
    """Decide branches by the states of paths; returns whether any was decided."""
    changed = False
    for k in range(len(work.mask)):
        one, undecided, opened = -1, 0, False
        for position in range(paths.start[k], paths.start[k + 1]):
            e = paths.branch[position]
            opened |= status[e] == IS_OPEN
            if status[e] == UNDECIDED:
                undecided += 1
                one = e
                if work.mask[k] & OPEN == 0:
                    status[e] = CLOSED
                    changed = True
        if work.mask[k] == OPEN and not opened and undecided == 1:
            status[one] = IS_OPEN
            changed = True
    return changed


@inlined
def one_feeder(paths: Paths, work: PathWork) -> bool:
    """Where only one path may feed a junction it does; where one must, no other does. False: a contradiction."""
    mask = work.mask
    again = True
    while again:
        again = False
        for j in range(paths.junctions):
            may, must, only = 0, -1, -1
            for a in range(paths.first[j], paths.first[j + 1]):
                k, end = paths.at[a] // 2, paths.at[a] % 2
                bit = feeds(mask[k], end)
                if bit != 0:
                    may += 1
                    only = a
                    if mask[k] == bit:
                        if must >= 0:
                            return False
                        must = a
            if may == 0:
                return False
            if may == 1 and must < 0:
                k, end = paths.at[only] // 2, paths.at[only] % 2
                mask[k] = feeds(mask[k], end)
                again = True
            elif may > 1 and must >= 0:
                for a in range(paths.first[j], paths.first[j + 1]):
                    k, end = paths.at[a] // 2, paths.at[a] % 2
                    if a != must and feeds(mask[k], end) != 0:
                        mask[k] &= ~feeds(mask[k], end)
                        if mask[k] == 0:
                            return False
                        again = True
    return True


@inlined
def may_open(paths: Paths, work: PathWork, status: Any, k: int, position: int) -> bool:
    """Whether path k, which may be open, may be so at a position. Requires `from_branches`."""
    may: bool = status[paths.branch[position]] == UNDECIDED if work.opened[k] < 0 else position == work.opened[k]
    return may


@inlined
def begin(model: Model, paths: Paths, work: PathWork, status: Any) -> None:
    """What holds at every node: loads of the core, upper bounds of its voltages, the least power of stubs."""
    for j in range(len(work.top)):
        work.highest[j] = model.w_max[j]
    for j in range(paths.junctions):
        work.highest[paths.bus[j]] = min(work.highest[paths.bus[j]], work.known_w[j])
    for k in range(len(work.mask)):
        work.inner[k] = 0.0
    work.most[0], work.most[1] = 0.0, 0.0
    for j in range(len(work.top)):
        work.most[0] += MOST * model.p[j]
        work.most[1] += MOST * model.q[j]
    for _ in range(TURNS):
        for j in range(len(work.top)):
            work.top[j] = work.highest[j]
        dangle(model, paths, work)
        for k in range(len(work.mask)):
            stubs(model, paths, work, k)
        sums(model, paths, work, status)
        for k in range(len(work.mask)):
            ends = max(work.top[paths.u_bus[k]], work.top[paths.v_bus[k]])
            for position in range(paths.start[k], paths.start[k + 1] - 1):
                bus = paths.beyond[position]
                work.top[bus] = min(work.top[bus], ends)
        for j in range(len(work.top)):
            work.highest[j] = work.top[j]
    for k in range(len(work.mask)):
        stubs(model, paths, work, k)
        for position in range(paths.start[k], paths.start[k + 1]):
            work.inner[k] -= model.price[paths.branch[position]]
            if position < paths.start[k + 1] - 1:
                work.inner[k] += work.nominal[paths.beyond[position]]


@inlined
def least_draws(paths: Paths, work: PathWork, status: Any) -> None:
    """Least power that paths draw at their ends where they do not feed these."""
    for k in range(len(work.mask)):
        for end in range(2):
            p, q = np.inf, np.inf
            if work.mask[k] & OPEN != 0:
                for position in range(paths.start[k], paths.start[k + 1]):
                    if may_open(paths, work, status, k, position):
                        p = min(p, work.u_p[position] if end == 0 else work.v_p[position])
                        q = min(q, work.u_q[position] if end == 0 else work.v_q[position])
            if feeds(work.mask[k], 1 - end) != 0:
                d = 2 * k + end
                p_sent, q_sent = sent(work, d, work.end_p[d], work.end_q[d])
                p, q = min(p, p_sent), min(q, q_sent)
            work.least_p[2 * k + end] = p if p < np.inf else 0.0
            work.least_q[2 * k + end] = q if q < np.inf else 0.0


@inlined
def least_flows(paths: Paths, work: PathWork) -> bool:
    """Raise the least power that arrives where a path is closed by what other paths at its far end draw.

    Returns whether any changed.
    """
    changed = False
    for j in range(paths.junctions):
        p, q = work.load_p[paths.bus[j]], work.load_q[paths.bus[j]]
        for a in range(paths.first[j], paths.first[j + 1]):
            p += work.least_p[paths.at[a]]
            q += work.least_q[paths.at[a]]
        for a in range(paths.first[j], paths.first[j + 1]):
            d = paths.at[a] ^ 1  # closed towards its end u, it is directed back
            p_here, q_here = p - work.least_p[paths.at[a]], q - work.least_q[paths.at[a]]
            changed |= p_here > work.end_p[d] * (1.0 + CHANGE) or q_here > work.end_q[d] * (1.0 + CHANGE)
            work.end_p[d] = max(work.end_p[d], p_here)
            work.end_q[d] = max(work.end_q[d], q_here)
    return changed


@inlined
def highest_voltages(paths: Paths, work: PathWork) -> None:
    """Lower the upper bounds of the voltages of junctions by the least drops of the paths that may feed them, and to
    what is known of them.
    """
    high = work.step_p
    for j in range(paths.junctions):
        high[j] = 0.0
    again = True
    while again:
        again = False
        for d in range(len(work.drop)):
            k, end = d // 2, 1 - d % 2
            if feeds(work.mask[k], end) == 0:
                continue
            near, far = (paths.u[k], paths.v[k]) if end == 1 else (paths.v[k], paths.u[k])
            bus = paths.u_bus[k] if end == 1 else paths.v_bus[k]
            w = (work.top[bus] if near == paths.junctions else high[near]) - work.drop[d]
            if far < paths.junctions:
                w = min(w, work.known_w[far])
            if far < paths.junctions and w > high[far]:
                high[far] = w
                again = True
    for j in range(paths.junctions):
        if high[j] > 0.0:
            work.top[paths.bus[j]] = min(work.top[paths.bus[j]], high[j])


@inlined
def all_closed(model: Model, paths: Paths, work: PathWork) -> None:
    """`closed` of all paths in the directions that they may have."""
    for k in range(len(work.mask)):
        if work.mask[k] & FORTH != 0:
            closed(model, paths, work, k, True)
        if work.mask[k] & BACK != 0:
            closed(model, paths, work, k, False)


@inlined
def about_flows(model: Model, paths: Paths, work: PathWork) -> None:
    """`closed_about` of all paths in the directions that they may have, about the flows of least cost last found."""
    for d in range(len(work.about_p)):
        if work.mask[d // 2] & (BACK if d % 2 else FORTH) != 0:
            work.about_p[d] = work.flow_p[d]
            work.about_q[d] = work.flow_q[d]
            closed_about(model, paths, work, d // 2, d % 2 == 0)


@inlined
def sums(model: Model, paths: Paths, work: PathWork, status: Any) -> None:
    """The least power of closed paths at the node, and the highest voltages of junctions."""
    for j in range(len(work.top)):
        work.top[j] = work.highest[j]
    for d in range(len(work.end_p)):
        work.end_p[d] = work.known_p[d]
        work.end_q[d] = work.known_q[d]
    all_closed(model, paths, work)
    for _ in range(ROUNDS):
        least_draws(paths, work, status)
        if not least_flows(paths, work):
            break
    all_closed(model, paths, work)
    highest_voltages(paths, work)
    work.priced[0] = 0
    for d in range(len(work.about_p)):
        if work.mask[d // 2] & (BACK if d % 2 else FORTH) != 0:
            closed_about(model, paths, work, d // 2, d % 2 == 0)
