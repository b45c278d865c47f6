"""Compiled: the functions of the path bound that Python calls."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import States
from openpoint.compiled.jit import lean
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, Work
from openpoint.search.kernel.bookkeeping import Counts, Pool, Record
from openpoint.search.kernel.entries import EXHAUSTED, FULL, LEAF, PAUSED, free_row, next_row, pop, push
from openpoint.search.paths import ascent, bound, search, sweeps
from openpoint.search.paths.arrays import PathPool, Paths, PathWork
from openpoint.search.paths.ascent import DONE
from openpoint.search.paths.ascent import LEAF as AT_LEAF

FAR = 1e9
"""More than any loss: steps aim at the goal."""


@lean
def begin(model: Model, paths: Paths, of_paths: PathWork, work: Work) -> None:
    """What holds at every node, from the branches that are decided at all."""
    if sweeps.from_branches(paths, of_paths, work.status):
        sweeps.one_feeder(paths, of_paths)
    sweeps.begin(model, paths, of_paths, work.status)


@lean
def prepared(model: Model, paths: Paths, of_paths: PathWork, work: Work) -> bool:
    """Imply the states of paths and compute their sums at a node; False where it has no completion."""
    if not (sweeps.from_branches(paths, of_paths, work.status) and sweeps.one_feeder(paths, of_paths)):
        return False
    sweeps.sums(model, paths, of_paths, work.status)
    return True


@lean
def path_bound(model: Model, paths: Paths, of_paths: PathWork, work: Work, huge: float) -> float:
    """`openpoint.search.paths.bound.path_bound`, with the residuals of its balances."""
    value = bound.path_bound(model, paths, of_paths, work.status, huge)
    bound.residuals(paths, of_paths)
    return value


@lean
def raised(model: Model, paths: Paths, of_paths: PathWork, work: Work, huge: float, cutoff: float, most: int) -> float:
    """The path bound after at most `most` steps to better multipliers, at the best ones."""
    ascent.ascend(model, paths, of_paths, work.status, huge, cutoff, most, np.inf)
    return bound.path_bound(model, paths, of_paths, work.status, huge)


@lean
def reduced(paths: Paths, of_paths: PathWork, arc: int) -> float:
    """`openpoint.search.paths.bound.reduced`."""
    return bound.reduced(paths, of_paths, arc)


@lean
def store(of_paths: PathWork, more: PathPool, row: int) -> None:
    """`openpoint.search.paths.search.store`."""
    search.store(of_paths, more, row)


@lean
def explore(
    model: Model,
    drawing: Model,
    paths: Paths,
    of_paths: PathWork,
    work: Work,
    pool: Pool,
    more: PathPool,
    counts: Counts,
    record: Record,
    most: int,
) -> int:
    """As `openpoint.search.kernel.entries.explore`, with both bounds; `record` is empty.

    It pauses where so many more nodes are counted in `tally`, trials among them, too.
    """
    enough = of_paths.tally[0] + most
    for _ in range(most):
        if of_paths.tally[0] >= enough:
            return PAUSED
        if counts.active[0] == 0:
            if counts.size[0] + counts.stack[0] == 0:
                return EXHAUSTED
            search.load(of_paths, more, next_row(pool, counts))
            pop(model, work, pool, counts, record)
        if counts.size[0] + counts.stack[0] + 2 >= len(pool.heap):
            return FULL
        counts.nodes[0] += 1
        chosen = DONE
        if counts.bound[0] < counts.cutoff[0]:
            chosen = search.process(model, drawing, paths, of_paths, work, counts, record)
        if chosen == AT_LEAF:
            return LEAF
        if chosen == DONE:
            if counts.bound[0] >= counts.cutoff[0]:
                counts.floor[0] = min(counts.floor[0], counts.bound[0])
            counts.active[0] = 0
            continue
        if chosen >= len(work.status):
            search.divide(model, of_paths, work, pool, more, counts, chosen - len(work.status))
            continue
        work.status[chosen] = OPEN
        counts.depth[0] += 1
        search.store(of_paths, more, free_row(pool, counts))
        push(model, work, pool, counts, max(counts.bound[0], work.value[chosen]))
        work.status[chosen] = CLOSED
    return PAUSED


@lean
def part_node(
    model: Model, paths: Paths, work: PathWork, status: States, huge: float, goal: float, most: int, forced: bool
) -> float:
    """The bound of a node of a part, inf where it has no state, by at most so many evaluations, twice.

    First about the flows that are given, then about those found. Where it is `forced`, writes the bounds with each path
    in each state, too.
    """
    if not sweeps.one_feeder(paths, work):
        return np.inf
    sweeps.sums(model, paths, work, status)
    bound.order_decided(model, paths, work)
    best = ascent.ascend(model, paths, work, status, huge, goal, most, FAR)
    if -np.inf < best < goal:
        bound.path_bound(model, paths, work, status, huge)  # the flows at the best multipliers
        sweeps.about_flows(model, paths, work)
        bound.order_decided(model, paths, work)
        ascent.ascend(model, paths, work, status, huge, goal, most, FAR)
    best = bound.path_bound(model, paths, work, status, huge)
    if forced and -np.inf < best < np.inf:
        ascent.force(paths, work, best)
    return best
