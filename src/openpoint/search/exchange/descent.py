"""The arrays of branch exchange with incremental flows.

A **feeder** is a branch closed at a source, with all that it supplies. The voltage of the source is given, so that
feeders do not influence each other: an exchange changes the flow in at most two of them.

The exact power flow of the feeders that an exchange changes, and the estimates of its loop.

The flow is that of `openpoint.powerflow.kernel`, on the feeders at both ends of an open branch. The rest of the grid
keeps its flow, since the voltages of sources are given.

Branch exchange with incremental flows, to a local optimum and on from there by kicks.

**Descent.** An open branch is tried: the exchanges of its loop, best estimate first, each by the exact flow of the
feeders concerned. If one is better, it is made, and all open branches at these feeders are tried again. Where none is
left to try, no exchange that is promising by its estimate is better: a local optimum.

**Kicks** (iterated local search; Lourenço, Martin and Stützle 2003). Some exchanges at random, near each other, then a
descent, which tries only what they changed; if the end is no better than the beginning, it is taken back.

Branch exchange with incremental flows: what `openpoint.search.exchange.descent` computes, for one grid.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.network import Network
from openpoint.network.limits import greatest_square, least_square
from openpoint.powerflow import kernel
from openpoint.powerflow.arrays import Loads, Wires, Work, work_for
from openpoint.powerflow.balanced import kernel_input
from openpoint.powerflow.kernel import CONVERGED, collect, hold, load, rated_square, refer, spread, sweep
from openpoint.search.kernel.arrays import UNDECIDED, Model
from openpoint.search.kernel.bookkeeping import copy_values
from openpoint.search.model.build import Numbering


@dataclass(frozen=True, eq=False)
class Rules(Table):
    """The exchanges possible on a grid of N buses and E branches, and by what states are evaluated.

    Attributes:
        fr, to: (E) ends. source: (N) number of the source that holds the bus, -1 = none. free: (E) may be exchanged.
        r: (E) resistance by which exchanges are ranked. swap: (E) open today, so that closing the branch is a change.
        change_cost: per change, per unit. most_closings: how many branches that are open today may be closed.
        low, high: (N) squared voltages that count as kept. most: (E) the same for squared currents.
        w_min, w_max, l_max: the limits by which a violation is measured. limited: whether there are any limits.
    """

    fr: Indices
    to: Indices
    source: Indices
    free: Bools
    r: Floats
    swap: Bools
    change_cost: float
    most_closings: int
    low: Floats
    high: Floats
    most: Floats
    w_min: Floats
    w_max: Floats
    l_max: Floats
    limited: bool


@dataclass(frozen=True, eq=False)
class Tree(Table):
    """A radial state, the best one that is kept, and what is left to try.

    Attributes:
        closed: (E) branches. feeder: (N) first branch of the feeder that supplies a bus, -1 at sources.
        queue, queued: (E) open branches whose exchanges are to be tried, a ring, and which ones are in it. first,
            waiting: (1) its first place and its length.
        candidate, change: (N) branches to open and the estimated change of the loss, of the loop at hand.
        loss, violation, closings: (2) changes of loss and of violation so far, and branches closed that are open
            today; of the state and of that kept. kept: (1) whether one is. closed_kept, feeder_kept: the state kept.
        buses, flows: (1) buses of all flows computed, and their number. found: (1) buses when a state was kept.
        random: (1) the last random number.
    """

    closed: Bools
    feeder: Indices
    queue: Indices
    queued: Bools
    first: Ints
    waiting: Ints
    candidate: Indices
    change: Floats
    loss: Floats
    violation: Floats
    closings: Ints
    kept: Ints
    closed_kept: Bools
    feeder_kept: Indices
    buses: Ints
    flows: Ints
    found: Ints
    random: Ints


def accepted(network: Network) -> tuple[Floats, Floats, Floats]:
    """(N) least and (N) greatest squared voltages and (E) squared currents that count as kept; any at sources."""
    low, high = least_square(network.w_min), greatest_square(network.w_max)
    low[network.source_terminal], high[network.source_terminal] = 0.0, np.inf
    return low, high, greatest_square(network.l_max)


def rules_for(network: Network, model: Model, numbering: Numbering, status: States, change_cost: float) -> Rules:
    """The rules of a grid. status: (m) what is decided in every state, as `propagate` leaves it."""
    size, branch = network.n_conductors, numbering.branch
    source = np.full(network.n_terminals, -1, dtype=np.int32)
    source[network.source_terminal] = np.arange(len(network.source_terminal))
    free, swap, r = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_), np.zeros(size)
    free[branch], swap[branch], r[branch] = status == UNDECIDED, model.swap, model.r
    low, high, most = accepted(network)
    return Rules(
        fr=network.terminal_fr.astype(np.int32),
        to=network.terminal_to.astype(np.int32),
        source=source,
        free=free,
        r=r,
        swap=swap,
        change_cost=change_cost,
        most_closings=model.most_closings,
        low=low,
        high=high,
        most=most,
        w_min=network.w_min.copy(),
        w_max=network.w_max.copy(),
        l_max=network.l_max.copy(),
        limited=bool(np.any(low > 0.0) or np.any(high < np.inf) or np.any(most < np.inf)),
    )


def tree_for(rules: Rules) -> Tree:
    """New arrays for a radial state."""
    n_bus, size = len(rules.source), len(rules.fr)
    arrays: dict[str, Any] = {name: np.zeros(size, dtype=np.bool_) for name in ("closed", "queued", "closed_kept")}
    arrays |= {name: np.zeros(n_bus, dtype=np.int32) for name in ("feeder", "feeder_kept", "candidate")}
    numbers = ("first", "waiting", "kept", "buses", "flows", "found")
    arrays |= {name: np.zeros(1, dtype=np.int64) for name in numbers}
    arrays |= {"queue": np.zeros(size, dtype=np.int32), "change": np.zeros(n_bus), "closings": np.zeros(2, np.int64)}
    return Tree(loss=np.zeros(2), violation=np.zeros(2), random=np.ones(1, dtype=np.int64), **arrays)


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


ALL = 3.0
"""Share that leaves no exchange out, see `openpoint.search.exchange.descent.rank`."""
IN_VAIN = 3
"""Exchanges of a loop that are evaluated after the best one."""
KICK = 3
"""Exchanges of a kick, at most."""
ROUNDING = 1e-9
"""Relative difference of violations that does not count."""


@lean
def begin(wires: Wires, rules: Rules, tree: Tree, work: Work) -> bool:
    """Find the feeders of the state in `tree.closed`, and try all its open branches; False where it is not radial."""
    for bus in range(len(tree.feeder)):
        tree.feeder[bus] = -1
    tree.closings[0], tree.first[0], tree.waiting[0], tree.kept[0] = 0, 0, 0, 0
    for now in (0, 1):
        tree.loss[now] = 0.0
        tree.violation[now] = 0.0
    n, radial = kernel.grow(wires, tree.closed, work)
    if radial:
        label(wires, rules, tree, len(wires.source), n, work)
    forget(n, work)
    for e in range(len(tree.closed)):
        tree.queued[e] = False
        tree.closings[0] += tree.closed[e] and rules.swap[e]
    tree.waiting[0] = 0
    for e in range(len(tree.closed)):
        if rules.free[e] and not tree.closed[e]:
            enqueue(tree, e)
    return radial


@lean
def improve(
    wires: Wires,
    loads: Loads,
    rules: Rules,
    tree: Tree,
    work: Work,
    promising: float,
    least: float,
    most: int,
    patience: int,
) -> bool:
    """Descend, and kick where nothing is left to try; False: stopped after flows of `most` buses.

    The best local optimum is kept, if there is one (`tree.kept`); otherwise `tree.closed` is the state reached.

    Args:
        promising: see `openpoint.search.exchange.descent.rank`. least: change of the loss that counts.
        patience: buses of flows without a better local optimum after which to stop; 0: at the first one.
    """
    until = tree.buses[0] + most
    while tree.buses[0] < until:
        if tree.waiting[0] > 0:
            try_loop(wires, loads, rules, tree, work, promising, least)
            continue
        accept(tree, least)
        if tree.buses[0] - tree.found[0] >= patience:
            return True
        kick(wires, loads, rules, tree, work)
    return False


@inlined
def try_loop(wires: Wires, loads: Loads, rules: Rules, tree: Tree, work: Work, promising: float, least: float) -> None:
    """Make the best exchange that closes the next open branch of the queue, if one is better than none."""
    e = dequeue(tree)
    if tree.closed[e]:
        return
    roots, n, loss, violation = flow(wires, loads, rules, tree, e, work)
    count = rank(rules, tree, e, roots, work, ALL if violation > 0.0 or rules.change_cost > 0.0 else promising)
    forget(n, work)
    best, lowest, chosen, in_vain = loss - least, violation, -1, 0
    tree.closed[e] = True
    for c in range(count):
        k = tree.candidate[c]
        tree.closed[k] = False
        roots, n, other, over = flow(wires, loads, rules, tree, e, work)
        forget(n, work)
        tree.closed[k] = True
        other += cost(rules, e, k)
        if over < lowest * (1.0 - ROUNDING) or (over <= lowest and other < best):
            best, lowest, chosen, in_vain = other, over, k, 0
        elif chosen >= 0:
            in_vain += 1
            if in_vain == IN_VAIN:
                break
    tree.closed[e] = False
    if chosen >= 0:
        exchange(wires, loads, rules, tree, work, e, chosen, loss, violation)


@inlined
def exchange(
    wires: Wires,
    loads: Loads,
    rules: Rules,
    tree: Tree,
    work: Work,
    close: int,
    away: int,
    loss: float,
    violation: float,
) -> None:
    """Close one branch and open another, unless there is no flow then.

    loss, violation: of the feeders at both ends of the first one before.
    """
    tree.closed[close] = True
    tree.closed[away] = False
    roots, n, other, over = flow(wires, loads, rules, tree, close, work)
    if other < np.inf:
        label(wires, rules, tree, roots, n, work)
        tree.loss[0] += other + cost(rules, close, away) - loss
        tree.violation[0] += over - violation
        tree.closings[0] += int(rules.swap[close]) - int(rules.swap[away])
    else:
        tree.closed[close] = False
        tree.closed[away] = True
    forget(n, work)


@inlined
def accept(tree: Tree, least: float) -> None:
    """Keep a local optimum if it is better than the one kept, else return to that one."""
    slack = ROUNDING * abs(tree.violation[1])
    lower = tree.violation[0] < tree.violation[1] - slack
    better = lower or (tree.violation[0] <= tree.violation[1] + slack and tree.loss[0] < tree.loss[1] - least)
    if tree.kept[0] == 0 or better:
        tree.found[0] = tree.buses[0]
        copy_values(tree.closed, tree.closed_kept)
        copy_values(tree.feeder, tree.feeder_kept)
        tree.loss[1], tree.violation[1] = tree.loss[0], tree.violation[0]
        tree.kept[0], tree.closings[1] = 1, tree.closings[0]
    else:
        copy_values(tree.closed_kept, tree.closed)
        copy_values(tree.feeder_kept, tree.feeder)
        tree.loss[0], tree.violation[0] = tree.loss[1], tree.violation[1]
        tree.closings[0] = tree.closings[1]


@inlined
def kick(wires: Wires, loads: Loads, rules: Rules, tree: Tree, work: Work) -> None:
    """Some exchanges at random, the first at any open branch, the others at feeders that were changed."""
    e = draw(tree, len(tree.closed))
    while tree.closed[e] or not rules.free[e]:
        e = draw(tree, len(tree.closed))
    for _ in range(1 + draw(tree, KICK)):
        roots, n, loss, violation = flow(wires, loads, rules, tree, e, work)
        count = rank(rules, tree, e, roots, work, ALL)
        forget(n, work)
        if count == 0:
            break
        away = tree.candidate[min(draw(tree, count), draw(tree, count))]
        exchange(wires, loads, rules, tree, work, e, away, loss, violation)
        if tree.waiting[0] == 0:
            break
        e = tree.queue[(tree.first[0] + draw(tree, tree.waiting[0])) % len(tree.queue)]
        if tree.closed[e]:
            break


@inlined
def draw(tree: Tree, count: int) -> int:
    """A number below `count` at random (Park and Miller 1988)."""
    tree.random[0] = tree.random[0] * 48271 % 2147483647
    number: int = tree.random[0] % count
    return number


AT_ONCE = 1_000_000
"""Buses of the flows of one call: at most a tenth of a second, so that time limits are met."""
PROMISING = 0.5
"""Exchanges that are estimated to lose more are tried up to this share of what they move, see `rank`."""
ENDLESS = 2**62
LEAST = 1e-9
"""Relative change of the objective value that counts."""


class IncrementalExchange:
    """Branch exchange from one radial state after another.

    Attributes:
        buses: of all power flows so far; the work done.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules, self.tree = rules, tree_for(rules)
        self.work = work_for(len(rules.source))
        self.work.position[:] = -1

    @property
    def buses(self) -> int:
        return int(self.tree.buses[0])

    def states(
        self, network: Network, closed: Bools, value: float, effort_limit: float, seed: int = 0
    ) -> Iterator[Bools]:
        """The best (E) state so far, after every piece of work, the last one at the end.

        Args:
            network: with the loads. closed: (E) a radial state whose flow has a solution. value: its objective value.
            effort_limit: buses of flows without a better local optimum after which to stop; 0: at the first one.
            seed: of the random numbers.
        """
        tree, wires, loads = self.tree, *kernel_input(network)
        tree.closed[:] = closed
        tree.random[0] = 1 + seed % 2147483646
        done = not begin(wires, self.rules, tree, self.work)
        effort_limit = min(effort_limit, ENDLESS) if tree.waiting[0] > 0 else 0  # a perturbation needs an open branch
        while not done:
            fixed = wires, loads, self.rules, tree, self.work
            done = improve(*fixed, PROMISING, LEAST * abs(value), AT_ONCE, int(effort_limit))
            yield (tree.closed_kept if tree.kept[0] else tree.closed).copy()
