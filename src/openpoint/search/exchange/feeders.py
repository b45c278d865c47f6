"""Compiled: the exact power flow of the feeders that an exchange changes, and the estimates of its loop.

The flow is that of `openpoint.powerflow.kernel`, on the feeders at both ends of an open branch. The rest of the grid
keeps its flow, since the voltages of sources are given.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.powerflow.arrays import Loads, Wires, Work
from openpoint.powerflow.kernel import CONVERGED, collect, hold, load, rated_square, refer, spread, sweep
from openpoint.search.exchange.arrays import Rules, Tree

ACCURACY, SWEEPS = 1e-12, 10_000
"""Largest change of any voltage in the last sweep, pu, and most sweeps: as in `openpoint.powerflow.balanced`."""


@inlined
def place(k: int, bus: int, parent: int, edge: int, work: Work) -> int:
    """Put a bus at position k; returns the next position."""
    work.position[bus] = k
    work.order[k] = bus
    work.parent[k] = parent
    work.edge[k] = edge
    return k + 1


@inlined
def grow(wires: Wires, rules: Rules, tree: Tree, e: int, work: Work) -> tuple[int, int]:
    """Order the buses of the feeders at both ends of a branch: sources first, parents before children.

    Returns the number of sources and of all buses. `forget` has to follow.
    """
    n, fr, to = 0, rules.fr, rules.to
    for side in range(2):
        bus = fr[e] if side == 0 else to[e]
        begin = tree.feeder[bus]
        if begin >= 0:
            bus = fr[begin] if rules.source[fr[begin]] >= 0 else to[begin]
        if work.position[bus] < 0:
            n = place(n, bus, -1, -1, work)
    roots = n
    for side in range(3):  # the branch itself begins a feeder where it is closed at a source
        begin = e if side == 2 else tree.feeder[fr[e] if side == 0 else to[e]]
        if begin < 0 or not tree.closed[begin]:
            continue
        held, bus = fr[begin], to[begin]
        if rules.source[held] < 0:
            held, bus = bus, held
        if rules.source[held] >= 0 and work.position[bus] < 0:
            n = place(n, bus, work.position[held], begin, work)
    n, _ = spread(wires, tree.closed, roots, n, work)
    return roots, n


@inlined
def forget(n: int, work: Work) -> None:
    """Take the positions of buses back."""
    for k in range(n):
        work.position[work.order[k]] = -1


@inlined
def excess(wires: Wires, rules: Rules, roots: int, n: int, work: Work) -> float:
    """Sum of the excesses of squared voltages and currents relative to their limits, 0 where all count as kept."""
    violation = 0.0
    for k in range(roots, n):
        bus, e = work.order[k], work.edge[k]
        w = work.size[k] * (work.u_re[k] ** 2 + work.u_im[k] ** 2)
        l = rated_square(wires, e, k, work)
        if w < rules.low[bus]:
            violation += 1.0 - w / rules.w_min[bus]
        if w > rules.high[bus]:
            violation += w / rules.w_max[bus] - 1.0
        if l > rules.most[e]:
            violation += l / max(rules.l_max[e], 1e-12) - 1.0
    return violation


@inlined
def flow(wires: Wires, loads: Loads, rules: Rules, tree: Tree, e: int, work: Work) -> tuple[int, int, float, float]:
    """Flow of the feeders at both ends of a branch: sources, buses, loss and violation; inf without a solution."""
    roots, n = grow(wires, rules, tree, e, work)
    for k in range(roots):
        hold(wires, rules.source[work.order[k]], k, work)
    refer(wires, tree.closed, n, work)
    load(n, loads, 0, work)
    tree.buses[0] += n
    tree.flows[0] += 1
    if sweep(n, roots, loads, ACCURACY, SWEEPS, work) != CONVERGED:
        return roots, n, np.inf, np.inf
    loss = collect(n, roots, loads.linear, len(wires.hung) > 0, work)
    return roots, n, loss, excess(wires, rules, roots, n, work) if rules.limited else 0.0


@inlined
def rank(rules: Rules, tree: Tree, e: int, roots: int, work: Work, promising: float) -> int:
    """The exchanges that close e, by their estimated change of the loss (Civanlar et al. 1988), least first.

    Closing e and opening k of the loop sends the current ψ of k through e. With R and S the sums around the loop of r
    and of r times the current in the direction of ψ, the same load currents then lose R |ψ|² + 2 Re(ψ* S) more. Left
    out is what is estimated to lose more by at least the share `promising` of R |ψ|² + 2 |Re(ψ* S)|.

    Requires `flow` of e. Returns the number of exchanges, in `candidate` and `change` of the tree.
    """
    count = 0
    r, s_re, s_im = rules.r[e], 0.0, 0.0
    for walk in range(2):  # sums around the loop, then the exchanges
        i, j = work.position[rules.fr[e]], work.position[rules.to[e]]
        while i != j and max(i, j) >= roots:
            k = max(i, j)
            opened, sign = work.edge[k], -1.0 if i > j else 1.0
            scale = 1.0 / np.sqrt(work.size[k])
            c, s = scale * np.cos(work.turn[k]), scale * np.sin(work.turn[k])
            i_re = sign * (work.j_re[k] * c - work.j_im[k] * s)
            i_im = sign * (work.j_re[k] * s + work.j_im[k] * c)
            if walk == 0:
                r += rules.r[opened]
                s_re += rules.r[opened] * i_re
                s_im += rules.r[opened] * i_im
            elif rules.free[opened] and may_swap(rules, tree, e, opened):
                square, product = r * (i_re**2 + i_im**2), -2.0 * (i_re * s_re + i_im * s_im)
                change = square + product
                if change <= promising * (square + abs(product)):
                    at = count
                    while at > 0 and tree.change[at - 1] > change:
                        tree.change[at] = tree.change[at - 1]
                        tree.candidate[at] = tree.candidate[at - 1]
                        at -= 1
                    tree.change[at] = change
                    tree.candidate[at] = opened
                    count += 1
            if i > j:
                i = work.parent[k]
            else:
                j = work.parent[k]
    return count


@inlined
def may_swap(rules: Rules, tree: Tree, closed: int, opened: int) -> bool:
    """Whether closing one branch and opening another leaves few enough changes."""
    few: bool = tree.closings[0] + rules.swap[closed] - rules.swap[opened] <= rules.most_closings
    return few


@inlined
def cost(rules: Rules, closed: int, opened: int) -> float:
    """Cost of the changes that closing one branch and opening another adds."""
    more = 1.0 if rules.swap[closed] else -1.0
    more -= 1.0 if rules.swap[opened] else -1.0
    return rules.change_cost * more


@inlined
def enqueue(tree: Tree, e: int) -> None:
    """Try the exchanges of an open branch later."""
    if not tree.queued[e]:
        tree.queued[e] = True
        tree.queue[(tree.first[0] + tree.waiting[0]) % len(tree.queue)] = e
        tree.waiting[0] += 1


@inlined
def dequeue(tree: Tree) -> int:
    """The next branch of the queue."""
    e: int = tree.queue[tree.first[0]]
    tree.first[0] = (tree.first[0] + 1) % len(tree.queue)
    tree.waiting[0] -= 1
    tree.queued[e] = False
    return e


@inlined
def label(wires: Wires, rules: Rules, tree: Tree, roots: int, n: int, work: Work) -> None:
    """Write down the feeders of the buses in `work`, and try all open branches at them later."""
    for k in range(roots, n):
        bus, up = work.order[k], work.parent[k]
        tree.feeder[bus] = work.edge[k] if up < roots else tree.feeder[work.order[up]]
        for a in range(wires.start[bus], wires.start[bus + 1]):
            e = wires.via[a]
            if rules.free[e] and not tree.closed[e]:
                enqueue(tree, e)
