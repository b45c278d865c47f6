"""Compiled: propagation, the consequences of branch states that follow from the graph alone.

A radial state is a spanning tree of the graph in which all sources are one bus. So an undecided branch must open if
closed branches already connect its ends, and it must close if without it a bus would be disconnected.

What every exchange of branches would change, estimated from the currents of one tree.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, States
from openpoint.compiled.jit import inlined
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, Work


@inlined
def find(leader: Indices, bus: int) -> int:
    """Representative of a bus in the union-find structure, with path halving."""
    while leader[bus] != bus:
        leader[bus] = leader[leader[bus]]
        bus = leader[bus]
    return bus


@inlined
def join(model: Model, work: Work) -> int:
    """Union-find of the closed branches in `leader`; returns how many of them are changes, -1 where there is a loop."""
    n, leader = model.n, work.leader
    for bus in range(n + 1):
        leader[bus] = bus
    closings = 0
    for e in range(len(work.status)):
        if work.status[e] == CLOSED:
            u, v = find(leader, min(model.fr[e], n)), find(leader, min(model.to[e], n))
            if u == v:
                return -1
            leader[min(u, v)] = max(u, v)  # a source represents its part
            closings += model.swap[e]
    return closings


@inlined
def propagate(model: Model, work: Work) -> bool:
    """Open branches that would close a loop or exceed the number of changes, close bridges; False: no radial state.

    A radial state closes n branches. At most `most_closings` of them are open today, so at least n − `most_closings`
    are closed today. Where no more than these are left, they stay closed.

    On return `leader` joins the buses of every closed part; a source represents its part.
    """
    n, status, leader = model.n, work.status, work.leader
    before, again = -1, True
    while True:
        closings = join(model, work)
        if closings < 0 or closings > model.most_closings:
            return False
        if closings == before and not again:  # closing bridges added no change
            return True
        before, again = closings, False
        full = closings == model.most_closings
        spare = model.most_closings - n
        for e in range(len(status)):
            if status[e] == UNDECIDED:
                u, v = find(leader, min(model.fr[e], n)), find(leader, min(model.to[e], n))
                if u == v or (full and model.swap[e]):
                    status[e] = OPEN
            spare += status[e] != OPEN and not model.swap[e]
        if spare < 0:
            return False
        if spare == 0:
            for e in range(len(status)):
                if status[e] == UNDECIDED and not model.swap[e]:
                    status[e] = CLOSED
                    again = True
        memory = work.rank, work.lowest, work.came, work.at
        if not close_bridges(model.fr, model.to, model.start, model.neighbour, model.via, status, status, memory):
            return False


@inlined
def close_bridges(
    fr: Indices,
    to: Indices,
    start: Indices,
    neighbour: Indices,
    via: Indices,
    status: States,
    mark: States,
    memory: tuple[Indices, Indices, Indices, Indices],
) -> bool:
    """Mark bridges as CLOSED (Tarjan 1974); False where a bus is disconnected.

    Args:
        fr, to: (m) ends; the sources, one bus, are the last one and any number beyond.
        start, neighbour, via: adjacency.
        status: (m) states; OPEN branches are not in the graph. mark: (m) may be the same array.
        memory: four times a number for every bus.
    """
    rank, low, came, at = memory
    last = len(start) - 2
    for bus in range(last + 1):
        rank[bus] = -1
    bus, count, above = last, 1, -1
    rank[last] = 0
    low[last] = 0
    came[last] = -1
    at[last] = start[last]
    while True:
        a = at[bus]
        if a < start[bus + 1]:
            at[bus] = a + 1
            e = via[a]
            if e == above or status[e] == OPEN:
                continue
            other = neighbour[a]
            if rank[other] < 0:
                rank[other] = count
                low[other] = count
                count += 1
                came[other] = e
                at[other] = start[other]
                bus, above = other, e
            elif rank[other] < low[bus]:
                low[bus] = rank[other]
            continue
        if above < 0:
            return count == last + 1
        u, v = min(fr[above], last), min(to[above], last)
        up = u if v == bus else v
        if low[bus] > rank[up]:
            mark[above] = CLOSED
        low[up] = min(low[up], low[bus])
        bus, above = up, came[up]


@inlined
def reach_from(model: Model, work: Work, above: int, order: Indices, edge: Indices, parent: Indices, count: int) -> int:
    """Append the buses that closed branches join to one bus, but that above it; returns how many are in `order`."""
    bus = min(above, model.n)
    for a in range(model.start[bus], model.start[bus + 1]):
        e = model.via[a]
        ours = bus < model.n or model.fr[e] == above or model.to[e] == above  # not another source's branch
        if work.status[e] == CLOSED and e != edge[above] and ours:
            other = model.neighbour[a]
            order[count] = other
            edge[other] = e
            parent[other] = above
            count += 1
    return count


@inlined
def root(model: Model, work: Work) -> None:
    """Direct the closed branches away from the sources; in a part without a source, from its bus of least y.

    Requires the `leader` of `propagate`.
    """
    n, order, edge, parent, leader, top = model.n, work.order, work.edge, work.parent, work.leader, work.lowest
    for bus in range(n):
        top[bus] = bus
    for bus in range(n):
        part = find(leader, bus)
        if part < n and work.y[bus] < work.y[top[part]]:
            top[part] = bus
    count = 0
    for bus in range(len(order)):
        if bus >= n or leader[bus] == bus:
            first = bus if bus >= n else top[bus]
            order[count] = first
            edge[first] = -1
            parent[first] = -1
            count += 1
    head = 0
    while count < len(order):
        count = reach_from(model, work, order[head], order, edge, parent, count)
        head += 1


@inlined
def span(model: Model, work: Work, order: Indices) -> bool:
    """Decide the undecided branches in this order: close each that makes no loop. False: a bus is disconnected."""
    n = model.n
    if join(model, work) < 0:
        return False
    for k in range(len(order)):
        e = order[k]
        if work.status[e] == UNDECIDED:
            u, v = find(work.leader, min(model.fr[e], n)), find(work.leader, min(model.to[e], n))
            work.status[e] = OPEN if u == v else CLOSED
            work.leader[min(u, v)] = max(u, v)
    joined = True
    for bus in range(n):
        joined &= find(work.leader, bus) == n
    return joined


@dataclass(frozen=True, eq=False)
class Loops(Table):
    """Input and output arrays of `rank`, in addition to the tree.

    Attributes:
        free: (m) branches that may change. i_re, i_im: (m) current from fr to to.
        close, away, change: of each exchange the branch to close, that to open, the estimated change of the loss.
    """

    free: Bools
    i_re: Floats
    i_im: Floats
    close: Indices
    away: Indices
    change: Floats


def loops_for(free: Bools, room: int) -> Loops:
    """Empty arrays with room for `room` exchanges."""
    m = len(free)
    close, away = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    return Loops(free, np.zeros(m), np.zeros(m), close, away, np.empty(room))


@inlined
def rank(model: Model, work: Work, loops: Loops) -> int:
    """Estimated change of the loss by every exchange (Civanlar et al. 1988, with the currents of an exact flow).

    Closing e and opening k of the loop sends the current ψ of k through e. With R and S the sums around the loop of r
    and of r times the current in the direction of ψ, the same load currents then lose R |ψ|² + 2 Re(ψ* S) more.

    Requires the tree in `work`, directed by `root`. Returns the number of exchanges; those that do not fit in the
    arrays are not written.
    """
    free, i_re, i_im, change = loops.free, loops.i_re, loops.i_im, loops.change
    depth = work.rank
    for k in range(len(work.order)):
        j = work.order[k]
        depth[j] = 0 if work.edge[j] < 0 else depth[work.parent[j]] + 1
    count = 0
    for e in range(len(free)):
        if work.status[e] != OPEN or not free[e]:
            continue
        r = model.r[e]
        s_re, s_im = 0.0, 0.0
        for walk in range(2):  # sums around the loop, then the exchanges
            i, j = model.fr[e], model.to[e]
            while i != j and (work.edge[i] >= 0 or work.edge[j] >= 0):
                at_fr = work.edge[j] < 0 or (work.edge[i] >= 0 and depth[i] >= depth[j])
                bus = i if at_fr else j
                k = work.edge[bus]
                # The current down to the bus, counted with ψ > 0 where ψ runs from `to` to `fr` through e.
                sign = (1.0 if model.to[k] == bus else -1.0) * (-1.0 if at_fr else 1.0)
                if walk == 0:
                    r += model.r[k]
                    s_re += sign * model.r[k] * i_re[k]
                    s_im += sign * model.r[k] * i_im[k]
                elif free[k]:
                    if count < len(change):
                        psi_re, psi_im = -sign * i_re[k], -sign * i_im[k]
                        loops.close[count] = e
                        loops.away[count] = k
                        change[count] = r * (psi_re**2 + psi_im**2) + 2.0 * (psi_re * s_re + psi_im * s_im)
                    count += 1
                if at_fr:
                    i = work.parent[bus]
                else:
                    j = work.parent[bus]
    return count
