"""Compiled: nodes of branch and bound with both bounds, and branching on paths.

A node is bounded by its paths first: multipliers of the parent, ascent, fixing, until nothing more is fixed. Then it is
bounded by `openpoint.search.kernel.bound`, with probes, as any node is. What each of the two decides, the other uses.
Then a path is divided into its states, by trials (`openpoint.search.paths.ascent`). Where none are made, or no path
is left, a branch is chosen as without paths, by gains over the bound that has no paths; and where trials of branches
show no gain, as on large grids, the path that the relaxation is least sure of.

The least cost of a part of the paths, by branch and bound on their states and the places where they open.

Nodes are bounded as those of the whole grid are (`openpoint.search.paths.ascent`), and the node of least bound is taken
first: its bound is one of the part, however few nodes there were. The multipliers at the border of the part are never
changed, as its metric is 0 there; they are kept with all their digits, since the bound of the whole grid counts on
exactly these.

Let G be any number, the *goal*. At a node, states of a path and places where it may be open are excluded if the bound
with them reaches G (`openpoint.search.paths.ascent.fix`); nodes whose bound reaches G are not divided. A state of the
part is in a node that is left, or it costs at least G. So min(G, least bound of the nodes that are left) is a bound of
the part. G is the bound of one state of the part, at the best multipliers found for it: of that which was best at the
last prices, or which the relaxation chose at a node on the way. So it is about as high as the least cost, and the lower
it is, the more is excluded. In a certificate nothing is excluded, since its lines have all states of a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Indices, Ints, States
from openpoint.compiled.jit import inlined, lean
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work
from openpoint.search.kernel.bookkeeping import Counts, Pool, Record, copy_values, load_row, store_row
from openpoint.search.kernel.entries import free_row, push
from openpoint.search.kernel.forest import root
from openpoint.search.kernel.multipliers import STEPS, ascend_limit_multipliers, dual_ascent
from openpoint.search.kernel.node import IN_VAIN, MARGIN, PAYING, REST, choose, probe_all, safe
from openpoint.search.paths.arrays import OPEN, PathPool, Paths, PathWork
from openpoint.search.paths.ascent import (
    DONE,
    EXCLUDED,
    FIXED,
    LEAF,
    NONE,
    TIGHTER,
    ascend,
    bound_by_paths,
    choose_path,
    fix,
    force,
    idle,
    imply,
)
from openpoint.search.paths.bound import order_decided, path_bound, residuals
from openpoint.search.paths.sweeps import begin, may_open, one_feeder, sums

FIRST, ANEW, NEXT, AGAIN = 100, 40, 12, 4
"""Evaluations of the path bound at most: at the first node, there where something was fixed, at others whose paths are
tried, and at all others and where something was fixed."""
ROUNDING = 2e-7
"""Share of a value by which it is moved away before it is rounded to half of its digits."""
SURE = 0.98
"""Share of the most frequent state of a path above which the relaxation is sure of it."""
TURNS = 8
"""Times that the first node is bounded again because least flows rose; other nodes are so once."""


@inlined
def process(
    model: Model, drawing: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts, record: Record
) -> int:
    """Bound the current node; returns DONE, LEAF, a branch to decide, or m + a path to divide.

    `drawing`: the grid of which the path bound holds (`openpoint.search.paths.drawn`).
    """
    cutoff = counts.cutoff[0]
    if np.isnan(of_paths.y[0]):
        for j in range(paths.junctions):
            of_paths.y[j] = max(0.0, work.y[paths.bus[j]])
            of_paths.mu[j] = max(0.0, work.mu[paths.bus[j]])
        of_paths.y[paths.junctions] = 0.0
        of_paths.mu[paths.junctions] = 0.0
    tries = not idle(of_paths, counts)
    # The first one with paths, also of a search that began anew for them.
    first = np.isnan(of_paths.first_y[0]) and counts.depth[0] == 0
    deep = tries or first
    most = FIRST if first else (NEXT if deep else AGAIN)
    copy_values(of_paths.first_about_p, of_paths.about_p)
    copy_values(of_paths.first_about_q, of_paths.about_q)
    helped, turns = False, TURNS if first else 1
    while True:
        if not imply(model, paths, of_paths, work):
            return DONE
        branch = LEAF
        for e in range(len(work.status)):
            if work.status[e] == UNDECIDED:
                branch = e
        if branch >= 0:
            found = bound_by_paths(drawing, paths, of_paths, work, counts, most, deep)
            helped = helped or found == FIXED
            if found == DONE:
                of_paths.tally[0] += 1
                of_paths.tally[1] += 1
                return DONE
            if found == FIXED or (found == TIGHTER and turns > 0):
                turns -= found == TIGHTER
                if first:
                    begin(drawing, paths, of_paths, work.status)
                most = ANEW if first else AGAIN
                continue
        root(model, work)
        value = dual_ascent(model, work, 20 if branch < 0 else STEPS, cutoff)
        if model.bounded and value > -np.inf:
            value = ascend_limit_multipliers(model, work, value, cutoff)
        of_paths.both[1] = value
        reached = max(counts.bound[0], safe(value))
        if branch < 0:
            counts.bound[0] = reached
            return DONE if reached >= cutoff else LEAF
        counts.bound[0] = reached
        if reached >= cutoff:
            return DONE
        if probe_all(model, work, counts, record, value):
            most = AGAIN
            continue
        chosen = NONE
        if tries:
            chosen = choose_path(drawing, paths, of_paths, work, counts)
        if chosen != EXCLUDED:
            break
        if counts.bound[0] >= cutoff:
            return DONE
        most, turns = AGAIN, turns + 1
    if first:
        copy_values(of_paths.y, of_paths.first_y)
        copy_values(of_paths.mu, of_paths.first_mu)
        copy_values(of_paths.known_w, of_paths.first_w)
        copy_values(of_paths.about_p, of_paths.first_about_p)
        copy_values(of_paths.about_q, of_paths.first_about_q)
    of_paths.tally[0] += 1
    of_paths.tally[1] += helped or of_paths.both[0] > of_paths.both[1]
    if chosen < 0 and counts.trials[0] > PAYING * (counts.gains[0] + IN_VAIN) and counts.nodes[0] % REST != 0:
        chosen = least_sure(of_paths, len(of_paths.mask), SURE)
    return len(work.status) + chosen if chosen >= 0 else choose(model, work, counts, of_paths.both[1])


@inlined
def least_sure(of_paths: PathWork, first: int, sure: float) -> int:
    """Of the first paths that to divide: with the least share of its most frequent state; −1 where all are sure."""
    chosen, least = -1, sure
    for k in range(first):
        most, count = 0.0, 0
        for s in range(3):
            most = max(most, of_paths.share[k, s])
            count += of_paths.mask[k] & (1 << s) != 0
        if count > 1 and most < least:
            chosen, least = k, most
    return chosen


@inlined
def store(of_paths: PathWork, pool: PathPool, row: int) -> None:
    """Keep the states and multipliers of paths with a row of the pool."""
    store_row(of_paths.mask, pool.mask, row)
    store_row(of_paths.y, pool.y, row)
    store_row(of_paths.mu, pool.mu, row)
    for j in range(len(of_paths.known_w)):
        pool.known_w[row, j] = of_paths.known_w[j] * (1.0 + ROUNDING)


@inlined
def load(of_paths: PathWork, pool: PathPool, row: int) -> None:
    """Take the states and multipliers of paths from a row of the pool; any multipliers >= 0 are valid."""
    load_row(pool.mask, row, of_paths.mask)
    load_row(pool.y, row, of_paths.y)
    load_row(pool.mu, row, of_paths.mu)
    load_row(pool.known_w, row, of_paths.known_w)


@inlined
def divide(model: Model, of_paths: PathWork, work: Work, pool: Pool, more: PathPool, counts: Counts, k: int) -> None:
    """Put the states of a path but that of least bound into the pool; that one becomes the current node."""
    mask, best, count = of_paths.mask[k], -1, 0
    for s in range(3):
        if mask & (1 << s) != 0:
            count += 1
            if best < 0 or of_paths.forced[k, s] < of_paths.forced[k, best]:
                best = s
    depth = counts.depth[0]
    counts.depth[0] = depth + count - 1  # of three states one counts as half of the node, the others as a quarter
    for s in range(3):
        if s != best and mask & (1 << s) != 0:
            of_paths.mask[k] = 1 << s
            store(of_paths, more, free_row(pool, counts))
            value = of_paths.forced[k, s]
            push(model, work, pool, counts, max(counts.bound[0], value - MARGIN * abs(value)))
    counts.depth[0] = depth + 1
    of_paths.mask[k] = 1 << best


FIRST_OF_PART, NEXT_OF_PART = 100, 16
"""Evaluations of the first node and of others, at most."""
NO_STATE = -2
"""What a node without any state has for a path on which it is branched."""
AGREED = 0.02
"""Mean distance of the places where a path was open lately, in branches, below which they agree."""


@dataclass(frozen=True, eq=False)
class PartNodes(Table):
    """The nodes of a part.

    Attributes:
        mask: (C, K) states that paths may have. y, mu: (C, J + 1). bound: (C), inf where the node is branched.
        split: (C) path on which it is branched, −1 = none, or `NO_STATE`. below: (C) first of the nodes that it was
            branched into, one for each state of this path, or two; −1 = none. at: (C) −1 where that is by its states,
            else the last place of the first of two nodes, by where it is open. low, high: (C, K) first and last place
            where a path may be open. status: states of the branches at the current node, which is closed beyond these.
        state, place: (K) of the state in which the part was least last, 0 = none, and the places where it is open.
    """

    mask: States
    y: Floats
    mu: Floats
    bound: Floats
    split: Ints
    below: Ints
    at: Ints
    low: Indices
    high: Indices
    status: States
    state: States
    place: Indices


def part_nodes(paths: Paths, work: PathWork, capacity: int) -> PartNodes:
    """Memory for so many nodes; the first one may have all places."""
    shape = capacity, len(work.y)
    mask = np.zeros((capacity, len(work.mask)), dtype=np.int8)
    low, high = np.zeros((2, *mask.shape), dtype=np.int32)
    low[0], high[0] = paths.start[:-1], paths.start[1:] - 1
    split, below, at = np.zeros((3, capacity), dtype=np.int64)
    status = np.zeros(len(paths.branch), dtype=np.int8)
    state, place = np.zeros(len(work.mask), dtype=np.int8), np.zeros(len(work.mask), dtype=np.int32)
    found = np.zeros(shape), np.zeros(shape), np.zeros(capacity), split, below, at
    return PartNodes(mask, *found, low, high, status, state, place)


@inlined
def restrict_places(paths: Paths, work: PathWork, status: Any, nodes: PartNodes, own: int, row: int) -> bool:
    """Close the branches where paths may not be open at a node; False where a path has no state left."""
    for k in range(own):
        left = False
        for position in range(paths.start[k], paths.start[k + 1]):
            e = paths.branch[position]
            within = nodes.low[row, k] <= position <= nodes.high[row, k]
            nodes.status[e] = status[e] if within else CLOSED
            left |= may_open(paths, work, nodes.status, k, position)
        if not left:
            work.mask[k] &= ~OPEN
        if work.mask[k] == 0:
            return False
    return True


@inlined
def divide_by(work: PathWork, nodes: PartNodes, own: int, row: int) -> None:
    """What to divide a node by: the states of a path, and where all are decided, the places where one is open."""
    nodes.at[row] = -1
    nodes.split[row] = least_sure(work, own, np.inf)
    if nodes.split[row] >= 0:
        return
    farthest = AGREED
    for k in range(own):
        if work.mask[k] & OPEN != 0 and work.opened[k] < 0 and work.apart[k] > farthest:
            farthest = work.apart[k]
            nodes.split[row] = k
            nodes.at[row] = int(np.floor(work.middle[k]))


@inlined
def load_node(work: PathWork, nodes: PartNodes, row: int) -> None:
    """Take the states and multipliers of a node."""
    load_row(nodes.mask, row, work.mask)
    load_row(nodes.y, row, work.y)
    load_row(nodes.mu, row, work.mu)


@inlined
def add_node(
    model: Model,
    paths: Paths,
    work: PathWork,
    status: Any,
    nodes: PartNodes,
    own: int,
    row: int,
    least: float,
    huge: float,
    ahead: float,
    most: int,
    goal: float,
) -> None:
    """Bound the current node, which lies in one of bound `least`, and keep it in a row, which has its places already.

    Its bound is inf where it has no state. `own`: the number of paths that may be divided, the first ones.
    `goal`: what reaches it is not divided.
    """
    nodes.bound[row] = np.inf
    nodes.split[row] = NO_STATE
    nodes.below[row] = -1
    if restrict_places(paths, work, status, nodes, own, row) and one_feeder(paths, work):
        sums(model, paths, work, nodes.status)
        order_decided(model, paths, work)
        value = ascend(model, paths, work, nodes.status, huge, goal, most, ahead)
        nodes.bound[row] = max(least, value)
        if -np.inf < value < goal < np.inf:
            exclude(model, paths, work, nodes, own, row, huge, goal)
        divide_by(work, nodes, own, row)
    store_row(work.mask, nodes.mask, row)
    store_row(work.y, nodes.y, row)
    store_row(work.mu, nodes.mu, row)


@inlined
def exclude(
    model: Model, paths: Paths, work: PathWork, nodes: PartNodes, own: int, row: int, huge: float, goal: float
) -> None:
    """Exclude states and places of the current node that reach the goal; its bound is the goal if none is left."""
    value = path_bound(model, paths, work, nodes.status, huge)  # at the best multipliers again
    if not -np.inf < value < np.inf:
        return
    force(paths, work, value)
    fix(model, paths, work, nodes.status, goal, MARGIN)
    for k in range(own):
        low, high = nodes.low[row, k], nodes.high[row, k]
        while low < high and nodes.status[paths.branch[low]] == CLOSED:
            low += 1
        while low < high and nodes.status[paths.branch[high]] == CLOSED:
            high -= 1
        nodes.low[row, k], nodes.high[row, k] = low, high
        if work.mask[k] == 0:
            nodes.bound[row] = max(nodes.bound[row], goal)


@inlined
def state_bound(
    model: Model,
    paths: Paths,
    work: PathWork,
    status: Any,
    nodes: PartNodes,
    own: int,
    row: int,
    huge: float,
    ahead: float,
) -> float:
    """The bound of the state in `kept_state` and `kept_place`, which becomes a row; inf where the part has it not."""
    load_node(work, nodes, 0)
    for k in range(own):
        nodes.low[row, k], nodes.high[row, k] = nodes.low[0, k], nodes.high[0, k]
        work.mask[k] &= work.kept_state[k]
        if work.kept_state[k] == OPEN:
            nodes.low[row, k], nodes.high[row, k] = work.kept_place[k], work.kept_place[k]
    add_node(model, paths, work, status, nodes, own, row, -np.inf, huge, ahead, FIRST_OF_PART, np.inf)
    value: float = nodes.bound[row]
    return value if value > -np.inf else np.inf


@inlined
def choose_state(
    model: Model, paths: Paths, work: PathWork, status: Any, nodes: PartNodes, own: int, row: int, huge: float
) -> None:
    """Write the state of the part that the relaxation chooses at a node to `kept_state` and `kept_place`."""
    load_node(work, nodes, row)
    if restrict_places(paths, work, status, nodes, own, row) and one_feeder(paths, work):
        sums(model, paths, work, nodes.status)
        order_decided(model, paths, work)
        path_bound(model, paths, work, nodes.status, huge)
    copy_values(work.state, work.kept_state)
    copy_values(work.place, work.kept_place)


@lean
def search_part(
    model: Model,
    paths: Paths,
    work: PathWork,
    status: Any,
    nodes: PartNodes,
    huge: float,
    ahead: float,
) -> float:
    """Lower bound of the least cost of a part, inf where it has no state.

    It ends where nothing is left to divide of the node of least bound, where none is left below the goal, or where the
    memory of nodes is full. The states and residuals of that node are left in `work`. `ahead`: see `ascend`.
    """
    own = 0
    while own < len(work.mask) and paths.start[own] < paths.start[own + 1]:
        own += 1
    add_node(model, paths, work, status, nodes, own, 0, -np.inf, huge, ahead, FIRST_OF_PART, np.inf)
    # The last two rows have the state whose bound is the goal, and another one.
    rows, due, room, of_goal, goal = 1, 1, len(nodes.bound) - 2, len(nodes.bound) - 1, np.inf
    if nodes.state[0] != 0:
        copy_values(nodes.state, work.kept_state)
        copy_values(nodes.place, work.kept_place)
        goal = state_bound(model, paths, work, status, nodes, own, of_goal, huge, ahead)
    while True:
        best = 0
        for row in range(rows):
            if nodes.bound[row] < nodes.bound[best]:
                best = row
        if rows >= due and nodes.bound[best] < goal:
            due *= 2
            choose_state(model, paths, work, status, nodes, own, best, huge)
            other = 2 * room + 1 - of_goal
            value = state_bound(model, paths, work, status, nodes, own, other, huge, ahead)
            if value < goal:
                goal, of_goal = value, other
                copy_values(work.kept_state, nodes.state)
                copy_values(work.kept_place, nodes.place)
        least: float = min(nodes.bound[best], goal)
        if least >= goal:
            best = of_goal
            break
        k = nodes.split[best]
        if k < 0 or rows + 3 > room:
            break
        nodes.bound[best] = np.inf
        nodes.below[best] = rows
        for s in range(3):
            by_place = nodes.at[best] >= 0
            if s < 2 if by_place else nodes.mask[best, k] & (1 << s) != 0:
                load_node(work, nodes, best)
                for i in range(own):
                    nodes.low[rows, i] = nodes.low[best, i]
                    nodes.high[rows, i] = nodes.high[best, i]
                if not by_place:
                    work.mask[k] = 1 << s
                elif s == 0:
                    nodes.high[rows, k] = nodes.at[best]
                else:
                    nodes.low[rows, k] = nodes.at[best] + 1
                add_node(model, paths, work, status, nodes, own, rows, least, huge, ahead, NEXT_OF_PART, goal)
                rows += 1
    load_node(work, nodes, best)
    if least < np.inf and restrict_places(paths, work, status, nodes, own, best) and one_feeder(paths, work):
        sums(model, paths, work, nodes.status)
        order_decided(model, paths, work)
        path_bound(model, paths, work, nodes.status, huge)
        residuals(paths, work)
        if nodes.split[best] < 0:
            copy_values(work.state, nodes.state)
            copy_values(work.place, nodes.place)
    return least
