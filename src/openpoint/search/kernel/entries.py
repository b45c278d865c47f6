"""Compiled: the functions of the topology search that Python calls."""

from __future__ import annotations

from openpoint.arrays import Indices
from openpoint.compiled.jit import lean
from openpoint.search.kernel import devices, forest, loops
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, Work
from openpoint.search.kernel.bookkeeping import SPLIT, Counts, Pool, Record
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.loops import Loops
from openpoint.search.kernel.multipliers import equalise_zero_impedance, estimate_voltages, solve_balances
from openpoint.search.kernel.node import process, record_event, safe
from openpoint.search.kernel.vectors import copy_values
from openpoint.search.kernel.waiting import pop, push, step

EXHAUSTED, PAUSED, LEAF, FULL, WRITTEN = 0, 1, 2, 3, 4
"""Results of `explore`: no nodes left, paused, a radial state to evaluate, no room in the pool or record."""


@lean
def explore(model: Model, work: Work, pool: Pool, counts: Counts, record: Record, most: int) -> int:
    """Process up to `most` nodes, least bound first and then the closed side of each; returns why it stopped."""
    for _ in range(most):
        if 2 * record.size[0] > len(record.kind):
            return WRITTEN
        if counts.active[0] == 0:
            if counts.size[0] + counts.stack[0] == 0:
                return EXHAUSTED
            pop(model, work, pool, counts, record)
        if counts.size[0] + counts.stack[0] == len(pool.heap):
            return FULL
        counts.nodes[0] += 1
        branch = -2
        if counts.bound[0] < counts.cutoff[0] or len(record.kind) > 0:
            branch = process(model, work, counts, record)
        if branch == -1:
            return LEAF
        if branch == -2:
            if counts.bound[0] >= counts.cutoff[0]:
                counts.floor[0] = min(counts.floor[0], counts.bound[0])
            counts.active[0] = 0
            continue
        if model.devices and branch >= len(work.status):
            step(model, work, pool, counts, record, branch - len(work.status))
            continue
        record_event(record, SPLIT, branch)
        work.status[branch] = OPEN
        counts.depth[0] += 1
        push(model, work, pool, counts, max(counts.bound[0], work.value[branch]))
        work.status[branch] = CLOSED
    return PAUSED


@lean
def take(model: Model, work: Work, pool: Pool, counts: Counts, record: Record) -> None:
    """Make the next node of a pool the current one, as `explore` does where there is none."""
    pop(model, work, pool, counts, record)


@lean
def leave(model: Model, work: Work, pool: Pool, counts: Counts) -> None:
    """Put the current node back into the pool, which has room for it."""
    push(model, work, pool, counts, counts.bound[0])
    counts.active[0] = 0


@lean
def bounded(model: Model, work: Work) -> float:
    """`openpoint.search.kernel.bound.bound` at the multipliers of a node, less the margin."""
    return safe(bound(model, work, work.y, work.mu))


@lean
def iterated(model: Model, work: Work, times: int) -> float:
    """The bound after some iterations of the fixed point, better or not, with the voltages that belong to it."""
    bound(model, work, work.y, work.mu)
    for _ in range(times):
        estimate_voltages(model, work)
        solve_balances(model, work)
        equalise_zero_impedance(model, work, work.y_next, work.mu_next)
        copy_values(work.y_next, work.y)
        copy_values(work.mu_next, work.mu)
        bound(model, work, work.y, work.mu)
    estimate_voltages(model, work)
    return safe(bound(model, work, work.y, work.mu))


@lean
def propagate(model: Model, work: Work) -> bool:
    """`openpoint.search.kernel.forest.propagate`."""
    return forest.propagate(model, work)


@lean
def relaxed_positions(model: Model, work: Work) -> int:
    """`openpoint.search.kernel.devices.divide`, for the positions in `work.wanted`."""
    return devices.divide(model, work)


@lean
def span(model: Model, work: Work, order: Indices) -> bool:
    """`openpoint.search.kernel.forest.span`."""
    return forest.span(model, work, order)


@lean
def rank(model: Model, work: Work, loops_of: Loops) -> int:
    """`openpoint.search.kernel.loops.rank` of the tree in `work.status`."""
    forest.join(model, work)
    forest.root(model, work)
    return loops.rank(model, work, loops_of)
