"""Compiled: waiting nodes, on their way into the pool and out of it.

The node of least bound is taken first. At the limit of memory (`Counts.room`) the heap takes no more nodes: those that
branching then leaves wait on a stack, the last one is taken first, and no node leaves the heap until the stack is
empty. So the search goes on depth-first from the node taken last, and needs no more rows than that has undecided
branches.

The functions of the topology search that Python calls.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Indices
from openpoint.compiled.jit import inlined, lean
from openpoint.search.kernel import devices, forest
from openpoint.search.kernel.arrays import CLOSED, OPEN, Model, Work
from openpoint.search.kernel.bookkeeping import (
    FROM,
    SPLIT,
    STEP,
    Counts,
    Pool,
    Record,
    copy_values,
    load_row,
    load_states,
    store_row,
    store_states,
)
from openpoint.search.kernel.bound import bound
from openpoint.search.kernel.devices import last_of_lower_side
from openpoint.search.kernel.forest import Loops
from openpoint.search.kernel.multipliers import equalise_zero_impedance, estimate_voltages, solve_balances
from openpoint.search.kernel.node import process, record_event, safe


@inlined
def free_row(pool: Pool, counts: Counts) -> int:
    """The row of a pool into which the next node goes."""
    row: int = pool.heap[counts.size[0] + counts.stack[0]]
    return row


@inlined
def next_row(pool: Pool, counts: Counts) -> int:
    """The row of a pool that is taken next: the last one of the stack, else that of least bound."""
    row: int = pool.heap[counts.size[0] + counts.stack[0] - 1] if counts.stack[0] > 0 else pool.heap[0]
    return row


@inlined
def push(model: Model, work: Work, pool: Pool, counts: Counts, value: float) -> None:
    """Put the current node into the pool with this bound."""
    heap, bounds, k = pool.heap, pool.bound, counts.size[0]
    row = free_row(pool, counts)
    store_states(work.status, pool.status, row)
    if model.devices:
        store_row(work.low, pool.low, row)
        store_row(work.high, pool.high, row)
    store_row(work.y, pool.y, row)
    store_row(work.mu, pool.mu, row)
    if model.bounded:
        store_row(work.phi, pool.phi, row)
    bounds[row] = value
    pool.origin[row] = counts.nodes[0]
    pool.depth[row] = counts.depth[0]
    if counts.stack[0] > 0 or k >= counts.room[0]:
        counts.stack[0] += 1
        return
    while k > 0 and bounds[heap[(k - 1) // 2]] > value:
        heap[k] = heap[(k - 1) // 2]
        k = (k - 1) // 2
    heap[k] = row
    counts.size[0] += 1


@inlined
def pop(model: Model, work: Work, pool: Pool, counts: Counts, record: Record) -> None:
    """Take a node from the pool: the last one of the stack, else that of least bound."""
    heap, bounds = pool.heap, pool.bound
    row = next_row(pool, counts)
    record_event(record, FROM, pool.origin[row])
    load_states(pool.status, row, work.status)
    if model.devices:
        load_row(pool.low, row, work.low)
        load_row(pool.high, row, work.high)
    for k in range(model.n):  # those of sources are given, and the pool has half their digits
        work.y[k] = pool.y[row, k]
        work.mu[k] = pool.mu[row, k]
    for g in range(model.first_source, len(model.generator_at)):
        k = model.generator_at[g]
        work.y[k] = model.y_first[k] + (pool.y[row, k] - np.float32(model.y_first[k]))  # the sign is kept
        work.mu[k] = pool.mu[row, k]
    if model.bounded:
        load_row(pool.phi, row, work.phi)
    counts.bound[0] = bounds[row]
    counts.depth[0] = pool.depth[row]
    counts.active[0] = 1
    if counts.stack[0] > 0:
        counts.stack[0] -= 1
        return
    counts.size[0] -= 1
    size = counts.size[0]
    last = heap[size]
    k = 0
    while 2 * k + 1 < size:
        child = 2 * k + 1
        if child + 1 < size and bounds[heap[child + 1]] < bounds[heap[child]]:
            child += 1
        if bounds[heap[child]] >= bounds[last]:
            break
        heap[k] = heap[child]
        k = child
    heap[k] = last
    heap[size] = row


@inlined
def step(model: Model, work: Work, pool: Pool, counts: Counts, record: Record, d: int) -> None:
    """Divide the positions of a device: put the farther side into the pool; the nearer one becomes the current node."""
    low, high = work.low[d], work.high[d]
    last, side = last_of_lower_side(model, work, d)
    if len(record.kind) > 0:
        record.last[record.size[0]] = last
        record.bits[record.size[0]] = side
        record_event(record, STEP, d)
    counts.depth[0] += 1
    if side == 0:
        work.low[d] = last + 1
    else:
        work.high[d] = last
    push(model, work, pool, counts, counts.bound[0])
    work.low[d] = low if side == 0 else last + 1
    work.high[d] = last if side == 0 else high


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
    """`openpoint.search.kernel.forest.rank` of the tree in `work.status`."""
    forest.join(model, work)
    forest.root(model, work)
    return forest.rank(model, work, loops_of)
