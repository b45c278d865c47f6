"""Compiled: branch exchange with incremental flows, to a local optimum and on from there by kicks.

**Descent.** An open branch is tried: the exchanges of its loop, best estimate first, each by the exact flow of the
feeders concerned. If one is better, it is made, and all open branches at these feeders are tried again. Where none is
left to try, no exchange that is promising by its estimate is better: a local optimum.

**Kicks** (iterated local search; Lourenço, Martin and Stützle 2003). Some exchanges at random, near each other, then a
descent, which tries only what they changed; if the end is no better than the beginning, it is taken back.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined, lean
from openpoint.powerflow import kernel
from openpoint.powerflow.arrays import Loads, Wires, Work
from openpoint.search.exchange.arrays import Rules, Tree
from openpoint.search.exchange.feeders import cost, dequeue, enqueue, flow, forget, label, rank
from openpoint.search.kernel.vectors import copy_values

ALL = 3.0
"""Share that leaves no exchange out, see `openpoint.search.exchange.feeders.rank`."""
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
        promising: see `openpoint.search.exchange.feeders.rank`. least: change of the loss that counts.
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
