"""Sparsity pattern of the Laplacian's factor: an order of elimination, and the entries that fill-in makes nonzero."""

from __future__ import annotations

import heapq

import numpy as np

from openpoint.arrays import Bools, Indices, Ints


def eliminate(fr: Ints, to: Ints, source: Bools) -> tuple[list[int], list[list[int]]]:
    """Buses without a source in the order of least degree, and the neighbours of each when it is eliminated."""
    around: list[set[int]] = [set() for _ in source]
    for a, b in zip(fr.tolist(), to.tolist()):
        if not source[a] and not source[b]:
            around[a].add(b)
            around[b].add(a)
    queue = [(len(around[bus]), bus) for bus in np.flatnonzero(~source).tolist()]
    heapq.heapify(queue)
    gone = source.copy()
    order: list[int] = []
    columns: list[list[int]] = []
    while queue:
        degree, bus = heapq.heappop(queue)
        if gone[bus] or degree != len(around[bus]):
            continue
        gone[bus] = True
        order.append(bus)
        columns.append(list(around[bus]))
        for other in around[bus]:
            around[other] |= around[bus]
            around[other] -= {bus, other}
        for other in around[bus]:
            heapq.heappush(queue, (len(around[other]), other))
    return order, columns


def pattern(fr: Indices, to: Indices, columns: list[Indices]) -> dict[str, Indices]:
    """Fields of the model that describe the factor."""
    n = len(columns)
    start = np.concatenate([[0], np.cumsum([len(c) for c in columns])])
    rows = [c.tolist() for c in columns]
    place = {(i, k): int(start[k]) + a for k, column in enumerate(rows) for a, i in enumerate(column)}
    ends = zip(np.maximum(fr, to).tolist(), np.minimum(fr, to).tolist())
    found = {
        "column": start,
        "row": [i for column in rows for i in column],
        "target": [place[column[a], column[b]] for column in rows for a in range(len(column)) for b in range(a)],
        "up": [column[0] if column else n for column in rows],
        "slot": [place[i, k] if i < n else -1 for i, k in ends],
    }
    return {name: np.array(values, dtype=np.int32) for name, values in found.items()}


def adjacency(fr: Indices, to: Indices, n: int) -> dict[str, Indices]:
    """Fields of the model that describe the graph of n buses and of all sources as one."""
    ends, others = np.concatenate([fr, to]), np.concatenate([to, fr])
    by_bus = np.argsort(ends, kind="stable")
    found = {
        "start": np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=n + 1))]),
        "neighbour": others[by_bus],
        "via": np.tile(np.arange(len(fr)), 2)[by_bus],
    }
    return {name: values.astype(np.int32) for name, values in found.items()}
