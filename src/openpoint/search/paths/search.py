"""Compiled: nodes of branch and bound with both bounds, and branching on paths.

A node is bounded by its paths first: multipliers of the parent, ascent, fixing, until nothing more is fixed. Then it is
bounded by `openpoint.search.kernel.bound`, with probes, as any node is. What each of the two decides, the other uses.
Branches are chosen as without paths, by gains over the bound that has no paths, though that by paths is mostly higher:
a gain over the higher one is 0, and without gains the search takes up to ninety times the nodes. Where their trials
show no gain, as on large grids, the path that the relaxation is least sure of is divided into its states instead.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import UNDECIDED, Model, Work
from openpoint.search.kernel.ascent import STEPS, ascend_limit_multipliers, dual_ascent
from openpoint.search.kernel.bookkeeping import Counts, Pool, Record
from openpoint.search.kernel.branching import IN_VAIN, PAYING, REST, choose
from openpoint.search.kernel.forest import propagate, root
from openpoint.search.kernel.node import MARGIN, probe_all, safe
from openpoint.search.kernel.vectors import copy_values, load_row, store_row
from openpoint.search.kernel.waiting import free_row, push
from openpoint.search.paths.arrays import PathPool, Paths, PathWork
from openpoint.search.paths.ascent import ascend, fix, force, tighten
from openpoint.search.paths.bound import HUGE, path_bound
from openpoint.search.paths.chains import order_decided
from openpoint.search.paths.node import about_flows, begin, from_branches, one_feeder, sums, to_branches
from openpoint.search.paths.routes import lower_voltages

DONE, LEAF = -2, -1
NOTHING, FIXED, TIGHTER = 0, 1, 2
FIRST, ANEW, NEXT, MORE = 100, 40, 4, 8
"""Evaluations of the path bound at most: at the first node, there where something was fixed, and at the others; and
each time that the costs of closed paths were improved."""
SURE = 0.98
"""Share of the most frequent state of a path above which the relaxation is sure of it."""


TURNS = 8
"""Times that the first node is bounded again because least flows rose."""


@inlined
def imply(model: Model, paths: Paths, of_paths: PathWork, work: Work) -> bool:
    """Apply the consequences of branches for paths and back; False: no radial state."""
    while True:
        if not propagate(model, work):
            return False
        if not (from_branches(paths, of_paths, work.status) and one_feeder(paths, of_paths)):
            return False
        if not to_branches(paths, of_paths, work.status):
            return True


@inlined
def bound_by_paths(model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts, most: int) -> int:
    """Raise the bound of the node by its paths, and fix what it can; returns DONE, FIXED, TIGHTER or NOTHING.

    About the flows of the first node, at the first node then about those found, and with prices of voltages on decided
    paths. Ranges of flows and routes hold for all nodes; at others than the first they are not looked for again.
    """
    cutoff, huge, first = counts.cutoff[0], HUGE * counts.cutoff[0], counts.nodes[0] == 1
    goal = cutoff * (1.0 + 2.0 * MARGIN)
    fixed, tighter, best = False, False, -np.inf
    sums(model, paths, of_paths, work.status)
    for turn in range(3):
        if turn == 1 and not first:
            continue
        if turn == 1:
            about_flows(model, paths, of_paths)
        elif turn == 2:
            order_decided(model, paths, of_paths)
            if first and of_paths.priced[0] == 0:
                break
        ascend(model, paths, of_paths, work.status, huge, goal, most if turn == 0 else MORE, np.inf)
        value = path_bound(model, paths, of_paths, work.status, huge)  # at the best multipliers again
        if value == -np.inf:
            break
        best = max(best, value)
        counts.bound[0] = max(counts.bound[0], safe(value) if value < np.inf else value)
        if counts.bound[0] >= cutoff:
            return DONE
        if turn == 0:
            continue
        force(paths, of_paths, value)
        fixed |= fix(model, paths, of_paths, work.status, cutoff, MARGIN)
        if turn == 1:
            tighter |= tighten(paths, of_paths, cutoff, MARGIN)
            tighter |= lower_voltages(paths, of_paths, value, cutoff - safe(value))
    of_paths.both[0] = best
    if best == -np.inf:
        return NOTHING
    if fixed:
        return FIXED
    return TIGHTER if tighter else NOTHING


@inlined
def process(model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts, record: Record) -> int:
    """Bound the current node; returns DONE, LEAF, a branch to decide, or m + a path to divide."""
    cutoff = counts.cutoff[0]
    if np.isnan(of_paths.y[0]):
        for j in range(paths.junctions):
            of_paths.y[j] = max(0.0, work.y[paths.bus[j]])
            of_paths.mu[j] = max(0.0, work.mu[paths.bus[j]])
        of_paths.y[paths.junctions] = 0.0
        of_paths.mu[paths.junctions] = 0.0
    most = FIRST if counts.nodes[0] == 1 else NEXT
    copy_values(of_paths.first_p, of_paths.known_p)
    copy_values(of_paths.first_q, of_paths.known_q)
    copy_values(of_paths.first_w, of_paths.known_w)
    copy_values(of_paths.first_about_p, of_paths.about_p)
    copy_values(of_paths.first_about_q, of_paths.about_q)
    first = counts.nodes[0] == 1 and counts.depth[0] == 0
    helped, turns = False, TURNS
    while True:
        if not imply(model, paths, of_paths, work):
            return DONE
        branch = LEAF
        for e in range(len(work.status)):
            if work.status[e] == UNDECIDED:
                branch = e
        if branch >= 0:
            found = bound_by_paths(model, paths, of_paths, work, counts, most)
            helped = helped or found == FIXED
            if found == DONE:
                of_paths.tally[0] += 1
                of_paths.tally[1] += 1
                return DONE
            if found == FIXED or (found == TIGHTER and turns > 0):
                turns -= found == TIGHTER
                if first:
                    begin(model, paths, of_paths, work.status)
                most = ANEW if counts.nodes[0] == 1 else NEXT
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
        if not probe_all(model, work, counts, record, value):
            break
        most = NEXT
    if first:
        copy_values(of_paths.known_p, of_paths.first_p)
        copy_values(of_paths.known_q, of_paths.first_q)
        copy_values(of_paths.known_w, of_paths.first_w)
        copy_values(of_paths.about_p, of_paths.first_about_p)
        copy_values(of_paths.about_q, of_paths.first_about_q)
    of_paths.tally[0] += 1
    of_paths.tally[1] += helped or of_paths.both[0] > of_paths.both[1]
    idle = counts.trials[0] > PAYING * (counts.gains[0] + IN_VAIN) and counts.nodes[0] % REST != 0
    k = least_sure(of_paths, len(of_paths.mask), SURE) if idle else -1
    return len(work.status) + k if k >= 0 else choose(model, work, counts, of_paths.both[1])


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


@inlined
def load(of_paths: PathWork, pool: PathPool, row: int) -> None:
    """Take the states and multipliers of paths from a row of the pool; any multipliers >= 0 are valid."""
    load_row(pool.mask, row, of_paths.mask)
    load_row(pool.y, row, of_paths.y)
    load_row(pool.mu, row, of_paths.mu)


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
