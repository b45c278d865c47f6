"""Compiled: copies of vectors and rows; slice assignments would take long to compile.

The arrays in which the compiled topology search keeps its open nodes, the lines of its record, and its counts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Bytes, Floats, Indices, Ints, Singles, States
from openpoint.compiled.jit import inlined
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import Model


@inlined
def copy_values(values: Any, into: Any) -> None:
    """Copy a vector."""
    for k in range(len(values)):
        into[k] = values[k]


@inlined
def store_row(values: Any, into: Any, row: int) -> None:
    """Copy a vector into a row of a table."""
    for k in range(len(values)):
        into[row, k] = values[k]


@inlined
def load_row(table: Any, row: int, into: Any) -> None:
    """Copy a row of a table into a vector."""
    for k in range(len(into)):
        into[k] = table[row, k]


@inlined
def store_states(values: Any, into: Any, row: int) -> None:
    """Copy states of branches, 0 to 3, into a row of a table with four of them in a byte."""
    for k in range(0, len(values), 4):
        four = 0
        for part in range(min(4, len(values) - k)):
            four |= values[k + part] << (2 * part)
        into[row, k // 4] = four


@inlined
def load_states(table: Any, row: int, into: Any) -> None:
    """Copy states of branches from such a row."""
    for k in range(len(into)):
        into[k] = (table[row, k // 4] >> (2 * (k % 4))) & 3


@dataclass(frozen=True, eq=False)
class Pool(Table):
    """Open nodes: a heap of rows by bound, and at the limit of memory a stack of further rows.

    Any multipliers are valid, so that single precision costs a little of the first bound of a node and nothing of its
    validity.

    Attributes:
        status: (C, ⌈m/4⌉) states of four branches in a byte. low, high: (C, D). y, mu: (C, N).
        phi: (C, N), of no width without voltage limits.
        bound: (C). origin: (C) number of the node that was branched. depth: (C) branchings above.
        heap: (C) rows in use first: `Counts.size` of the heap, `Counts.stack` of the stack; the others are free.
    """

    status: Bytes
    low: Indices
    high: Indices
    y: Singles
    mu: Singles
    phi: Singles
    bound: Floats
    origin: Indices
    depth: Indices
    heap: Indices


PROBE, APPLY, BOUND, NONE, SPLIT, JUDGED, FROM, STEP = 1, 2, 3, 4, 5, 6, 7, 8
"""Lines of a record: a branch cannot be open; close all such branches; the bound of the node reaches the cutoff; the
node has no radial state; a branch is decided, its closed side first; a radial state for the power flow; the other side
of an earlier branching follows; the positions of a device are divided."""


@dataclass(frozen=True, eq=False)
class Record(Table):
    """The lines of a certificate that are not written yet; with no rows, nothing is recorded.

    Attributes:
        kind: (C) PROBE … STEP. branch: (C) of PROBE and SPLIT; of FROM the number of the node; of STEP the device.
        bits: (C) of y and mu; of STEP the side that follows, 0 for the lower one.
        last: (C) of STEP, the last position of the lower side.
        y, mu: (C, N) multipliers of PROBE and BOUND, times 2^bits, less `base` and `base_mu`. phi: (C, N) times
            2^PHI_BITS.
        w: (C, N) squared voltages that the bound uses, times 2^W_BITS, else 0.
        top: (C, N) whether the bus is the root of a part of several buses without a source.
        base: (N) price of the source that is at the bus, or joined to it without impedance, else 0; in a region the
            multiplier at a hub. base_mu: (N) in a region the same, else 0.
        size: lines in use, an array of one.
    """

    kind: States
    branch: Indices
    last: Indices
    bits: States
    y: Ints
    mu: Ints
    phi: Ints
    w: Ints
    top: States
    base: Floats
    base_mu: Floats
    size: Ints


@dataclass(frozen=True, eq=False)
class Counts(Table):
    """Counters and bounds of the search, in arrays of length 1.

    Attributes:
        size, stack: rows of the heap and of the stack in use. room: rows of the heap at which nodes go to the stack, so
            that the search goes on depth-first from the node taken last.
        nodes, probes: done so far. active: whether the current node is to be processed.
        trials, gains: branches tried, and those of them with a gain, see `openpoint.search.kernel.node`.
        depth, bound: of the current node. cutoff: bound at which a node is done. floor: least bound of the nodes done.
    """

    size: Ints
    stack: Ints
    room: Ints
    nodes: Ints
    probes: Ints
    active: Ints
    trials: Ints
    gains: Ints
    depth: Ints
    bound: Floats
    cutoff: Floats
    floor: Floats


def pool_for(model: Model, capacity: int) -> Pool:
    """An empty pool."""
    m, size, devices = len(model.fr), len(model.p), len(model.device_kind)
    arrays: dict[str, Any] = {name: np.zeros((capacity, devices), dtype=np.int32) for name in ("low", "high")}
    arrays |= {name: np.zeros((capacity, size), dtype=np.float32) for name in ("y", "mu")}
    arrays |= {name: np.zeros(capacity, dtype=np.int32) for name in ("origin", "depth")}
    return Pool(
        status=np.zeros((capacity, -(-m // 4)), dtype=np.uint8),
        phi=np.zeros((capacity, size if model.bounded else 0), dtype=np.float32),
        bound=np.zeros(capacity),
        heap=np.arange(capacity, dtype=np.int32),
        **arrays,
    )


def row_bytes(pool: Pool) -> int:
    """Memory of a waiting node."""
    return sum(array.nbytes // len(pool.heap) for array in _arrays(pool).values())


def enlarged(pool: Pool) -> Pool:
    """The pool with twice the capacity. Rows that were never in use take no memory yet."""
    rows = len(pool.heap)
    arrays = _arrays(pool)
    for name, values in arrays.items():
        arrays[name] = np.zeros((2 * rows, *values.shape[1:]), dtype=values.dtype)
        arrays[name][:rows] = values
    arrays["heap"][rows:] = np.arange(rows, 2 * rows)
    return Pool(**arrays)


def _arrays(pool: Pool) -> dict[str, npt.NDArray[Any]]:
    return {f.name: getattr(pool, f.name) for f in fields(pool)}


def waiting(pool: Pool, counts: Counts) -> Indices:
    """Rows of the waiting nodes: those of the heap, then those of the stack."""
    return pool.heap[: counts.size[0] + counts.stack[0]]


def states_of(pool: Pool, row: int, branches: int) -> States:
    """(m) states of the branches in a row of a pool."""
    four = (pool.status[row, :, None] >> np.arange(0, 8, 2, dtype=np.uint8)) & 3
    return four.reshape(-1)[:branches].astype(np.int8)


def counts() -> Counts:
    """Counts of a search that has not begun."""
    names = ("size", "stack", "nodes", "probes", "active", "trials", "gains", "depth")
    whole = {name: np.zeros(1, dtype=np.int64) for name in names}
    whole["room"] = np.full(1, np.iinfo(np.int64).max)
    return Counts(**whole, bound=np.full(1, -np.inf), cutoff=np.full(1, np.inf), floor=np.full(1, np.inf))


def operations(model: Model, count: Counts, nodes: int) -> int:
    """About how many operations so many nodes took with the first bound: three bounds of each, and what it tried."""
    return (3 * nodes + int(count.probes[0]) + int(count.trials[0])) * (len(model.p) + len(model.fr))


def without_done(pool: Pool, counts: Counts) -> None:
    """Free the rows of the heap whose bounds reach the cutoff."""
    rows, stack = np.split(waiting(pool, counts).copy(), [counts.size[0]])
    bounds = pool.bound[rows]
    done = bounds >= counts.cutoff[0]
    counts.floor[0] = min(counts.floor[0], bounds[done].min(initial=np.inf))
    left = rows[~done]
    left = left[np.argsort(bounds[~done], kind="stable")]  # a sorted array is a heap
    waiting(pool, counts)[:] = np.concatenate([left, stack, rows[done]])
    counts.size[0] = len(left)


def begin_anew(counts: Counts, bound: float) -> None:
    """Drop all nodes for the root, whose states of branches and multipliers are then to be set; `bound`: of it."""
    counts.size[0] = counts.stack[0] = counts.depth[0] = 0
    counts.active[0] = 1
    counts.bound[0], counts.floor[0] = bound, counts.cutoff[0]


def raise_to(value: float, pool: Pool, counts: Counts) -> None:
    """Raise the bounds of all nodes that are open to one that holds for all; the order of the heap stays."""
    rows = waiting(pool, counts)
    pool.bound[rows] = np.maximum(pool.bound[rows], value)
    counts.bound[0] = max(counts.bound[0], value)


def lowest(counts: Counts, pool: Pool) -> float:
    """Least bound of the nodes that are done or open."""
    bound = counts.floor[0]
    if counts.size[0]:
        bound = min(bound, pool.bound[pool.heap[0]])
    if counts.stack[0]:
        bound = min(bound, pool.bound[waiting(pool, counts)[counts.size[0] :]].min())
    if counts.active[0]:
        bound = min(bound, counts.bound[0])
    return float(bound)


def prices_at_buses(model: Model) -> Floats:
    """(N) price of the source at each bus, or of one that branches without impedance join to it; 0 without one."""
    found = np.where(np.arange(len(model.p)) < model.n, 0.0, model.y_first)
    of = np.where(np.arange(len(model.p)) < model.n, -1, np.arange(len(model.p)))
    again = True
    while again:
        again = False
        for e in model.zero_impedance:
            ends = model.fr[e], model.to[e]
            for here, there in (ends, ends[::-1]):
                if of[here] >= 0 > of[there]:
                    of[there], found[there], again = of[here], found[here], True
    return found


def record_for(model: Model, capacity: int) -> Record:
    """An empty record; a capacity of 0 records nothing."""
    size = len(model.p)
    wide = {name: np.zeros((capacity, size), dtype=np.int64) for name in ("y", "mu", "phi", "w")}
    return Record(
        kind=np.zeros(capacity, dtype=np.int8),
        branch=np.zeros(capacity, dtype=np.int32),
        last=np.zeros(capacity, dtype=np.int32),
        bits=np.zeros(capacity, dtype=np.int8),
        **wide,
        top=np.zeros((capacity, size), dtype=np.int8),
        base=prices_at_buses(model),
        base_mu=np.zeros(size),
        size=np.zeros(1, dtype=np.int64),
    )
