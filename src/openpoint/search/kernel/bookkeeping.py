"""The arrays in which the compiled topology search keeps its open nodes, the lines of its record, and its counts."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Floats, Indices, Ints, Singles, States
from openpoint.compiled.table import Table
from openpoint.search.kernel.arrays import Model, Work


@dataclass(frozen=True, eq=False)
class Pool(Table):
    """Open nodes: a heap of rows by bound.

    Attributes:
        status: (C, m). low, high: (C, D). y, mu, phi: (C, N); any multipliers are valid, so half the digits do.
        bound: (C). origin: (C) number of the node that was branched. depth: (C) branchings above.
        heap: (C) rows in use first, as a heap; the others are free.
    """

    status: States
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
        y, mu: (C, N) multipliers of PROBE and BOUND, times 2^bits, y less `base`. phi: (C, N) times 2^PHI_BITS.
        w: (C, N) squared voltages that the bound uses, times 2^W_BITS, else 0.
        top: (C, N) whether the bus is the root of a part of several buses without a source.
        base: (N) price of the source that is at the bus, or joined to it without impedance, else 0.
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
    size: Ints


@dataclass(frozen=True, eq=False)
class Counts(Table):
    """Counters and bounds of the search, in arrays of length 1.

    Attributes:
        size: rows of the heap in use. nodes, probes: done so far. active: whether the current node is to be processed.
        trials, gains: branches tried, and those of them with a gain, see `openpoint.search.kernel.branching`.
        depth, bound: of the current node. cutoff: bound at which a node is done. floor: least bound of the nodes done.
    """

    size: Ints
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
        status=np.zeros((capacity, m), dtype=np.int8),
        phi=np.zeros((capacity, size if model.bounded else 0), dtype=np.float32),
        bound=np.zeros(capacity),
        heap=np.arange(capacity, dtype=np.int32),
        **arrays,
    )


def enlarged(pool: Pool) -> Pool:
    """The pool with twice the capacity."""
    rows = len(pool.heap)
    arrays: dict[str, npt.NDArray[Any]] = {f.name: getattr(pool, f.name) for f in fields(pool)}
    arrays = {name: np.concatenate([a, np.zeros_like(a)]) for name, a in arrays.items()}
    arrays["heap"] = np.concatenate([pool.heap, np.arange(rows, 2 * rows, dtype=np.int32)])
    return Pool(**arrays)


def counts() -> Counts:
    """Counts of a search that has not begun."""
    whole = {
        name: np.zeros(1, dtype=np.int64) for name in ("size", "nodes", "probes", "active", "trials", "gains", "depth")
    }
    return Counts(**whole, bound=np.full(1, -np.inf), cutoff=np.full(1, np.inf), floor=np.full(1, np.inf))


def take(model: Model, work: Work, pool: Pool, counts: Counts) -> None:
    """Make the node of least bound in a pool the current one, as compiled code does where there is none."""
    rows = pool.heap[: counts.size[0]]
    row = int(rows[0])
    for name in ("status", "low", "high", "phi"):
        if (its := getattr(pool, name)).shape[1]:
            getattr(work, name)[:] = its[row]
    for mine, its in ((work.y, pool.y), (work.mu, pool.mu)):  # those of sources are given
        mine[: model.n] = its[row, : model.n]
        limited = model.generator_at[model.first_source :]
        first = model.y_first[limited] if mine is work.y else np.zeros(len(limited))
        mine[limited] = first + (its[row, limited] - first.astype(np.float32))
    counts.bound[0], counts.depth[0], counts.active[0] = pool.bound[row], pool.depth[row], 1
    rest = rows[1:].copy()
    rows[:-1] = rest[np.argsort(pool.bound[rest], kind="stable")]  # a sorted array is a heap
    rows[-1] = row
    counts.size[0] -= 1


def lowest(counts: Counts, pool: Pool) -> float:
    """Least bound of the nodes that are done or open."""
    bound = counts.floor[0]
    if counts.size[0]:
        bound = min(bound, pool.bound[pool.heap[0]])
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
        size=np.zeros(1, dtype=np.int64),
    )
