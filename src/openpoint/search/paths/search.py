"""Compiled: nodes of branch and bound with both bounds, and branching on paths.

A node is bounded by its paths first: multipliers of the parent, ascent, fixing, until nothing more is fixed. Then it is
bounded by `openpoint.search.kernel.bound`, with probes, as any node is. What each of the two decides, the other uses.
Then a path is divided into its states, by trials (`openpoint.search.paths.trials`). Where none are made, or no path
is left, a branch is chosen as without paths, by gains over the bound that has no paths; and where trials of branches
show no gain, as on large grids, the path that the relaxation is least sure of.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import UNDECIDED, Model, Work
from openpoint.search.kernel.ascent import STEPS, ascend_limit_multipliers, dual_ascent
from openpoint.search.kernel.bookkeeping import Counts, Pool, Record
from openpoint.search.kernel.branching import IN_VAIN, PAYING, REST, choose
from openpoint.search.kernel.forest import root
from openpoint.search.kernel.node import MARGIN, probe_all, safe
from openpoint.search.kernel.vectors import copy_values, load_row, store_row
from openpoint.search.kernel.waiting import free_row, push
from openpoint.search.paths.arrays import PathPool, Paths, PathWork
from openpoint.search.paths.node import begin
from openpoint.search.paths.node_bound import DONE, FIXED, LEAF, TIGHTER, bound_by_paths, imply
from openpoint.search.paths.trials import EXCLUDED, NONE, choose_path, idle

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
def process(model: Model, paths: Paths, of_paths: PathWork, work: Work, counts: Counts, record: Record) -> int:
    """Bound the current node; returns DONE, LEAF, a branch to decide, or m + a path to divide."""
    cutoff = counts.cutoff[0]
    if np.isnan(of_paths.y[0]):
        for j in range(paths.junctions):
            of_paths.y[j] = max(0.0, work.y[paths.bus[j]])
            of_paths.mu[j] = max(0.0, work.mu[paths.bus[j]])
        of_paths.y[paths.junctions] = 0.0
        of_paths.mu[paths.junctions] = 0.0
    tries = not idle(of_paths, counts)
    deep = tries or counts.nodes[0] == 1
    most = FIRST if counts.nodes[0] == 1 else (NEXT if deep else AGAIN)
    copy_values(of_paths.first_about_p, of_paths.about_p)
    copy_values(of_paths.first_about_q, of_paths.about_q)
    first = counts.nodes[0] == 1 and counts.depth[0] == 0
    helped, turns = False, TURNS if counts.nodes[0] == 1 else 1
    while True:
        if not imply(model, paths, of_paths, work):
            return DONE
        branch = LEAF
        for e in range(len(work.status)):
            if work.status[e] == UNDECIDED:
                branch = e
        if branch >= 0:
            found = bound_by_paths(model, paths, of_paths, work, counts, most, deep)
            helped = helped or found == FIXED
            if found == DONE:
                of_paths.tally[0] += 1
                of_paths.tally[1] += 1
                return DONE
            if found == FIXED or (found == TIGHTER and turns > 0):
                turns -= found == TIGHTER
                if first:
                    begin(model, paths, of_paths, work.status)
                most = ANEW if counts.nodes[0] == 1 else AGAIN
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
            chosen = choose_path(model, paths, of_paths, work, counts)
        if chosen != EXCLUDED:
            break
        if counts.bound[0] >= cutoff:
            return DONE
        most, turns = AGAIN, turns + 1
    if first:
        copy_values(of_paths.y, of_paths.first_y)
        copy_values(of_paths.mu, of_paths.first_mu)
        copy_values(of_paths.known_p, of_paths.first_p)
        copy_values(of_paths.known_q, of_paths.first_q)
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
    for d in range(len(of_paths.known_p)):
        pool.known_p[row, d] = of_paths.known_p[d] * (1.0 - ROUNDING)
        pool.known_q[row, d] = of_paths.known_q[d] * (1.0 - ROUNDING)
    for j in range(len(of_paths.known_w)):
        pool.known_w[row, j] = of_paths.known_w[j] * (1.0 + ROUNDING)


@inlined
def load(of_paths: PathWork, pool: PathPool, row: int) -> None:
    """Take the states and multipliers of paths from a row of the pool; any multipliers >= 0 are valid."""
    load_row(pool.mask, row, of_paths.mask)
    load_row(pool.y, row, of_paths.y)
    load_row(pool.mu, row, of_paths.mu)
    load_row(pool.known_p, row, of_paths.known_p)
    load_row(pool.known_q, row, of_paths.known_q)
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
