"""Plans out of given states: one for each period, by dynamic programming over periods and switch operations."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints
from openpoint.compiled.jit import compiled


def operations(closed: Bools, before: Bools | None) -> Ints:
    """(T) switches that move at the beginning of each period of a plan (T, E); `before`: (E) state before the first."""
    first = closed[:1] if before is None else before[None]
    moved = np.concatenate([first, closed])
    return np.asarray((moved[1:] != moved[:-1]).sum(axis=1))


def best_plan(
    states: Bools, values: Floats, *, before: Bools | None, change: float, most: int | None
) -> tuple[float, Ints | None]:
    """The plan of least value out of K states, and its value; inf and None where there is none.

    Args:
        states: (K, E). values: (T, K), inf rules a state out in a period.
        before: (E) state before the first period; None: the first period is free.
        change: cost of an operation. most: operations, None = any number.

    Returns:
        the value, and (T) numbers of the states.
    """
    use = np.flatnonzero(np.isfinite(values).any(axis=0))
    if not len(use):
        return np.inf, None
    bits = states[use].astype(np.float64)
    ones = bits.sum(axis=1)
    distance = np.rint(ones[:, None] + ones[None] - 2.0 * bits @ bits.T).astype(np.int32)
    first = np.zeros(len(use), dtype=np.int32)
    if before is not None:
        first = (states[use] != before).sum(axis=1).astype(np.int32)
    periods = len(values)
    greatest = int(first.max() + distance.max(initial=0) * max(periods - 1, 0))
    limit = greatest if most is None else min(most, greatest)
    counted = most is not None and limit < greatest
    came = np.zeros((periods, limit + 1 if counted else 1, len(use)), dtype=np.int32)
    table = np.ascontiguousarray(values[:, use])
    value, last, used = _forward(table, distance, first, change, limit, counted, came)
    if not np.isfinite(value):
        return np.inf, None
    chosen = np.empty(periods, dtype=np.int64)
    for t in range(periods - 1, -1, -1):
        chosen[t] = last
        above = came[t, used, last]
        if t:
            used -= int(distance[above, last]) if counted else 0
            last = above
    return value, use[chosen]


@compiled
def _forward(
    values: Floats, distance: Indices, first: Indices, change: float, limit: int, counted: bool, came: Indices
) -> tuple[float, int, int]:
    """The least value, the last state and the operations used; `came` becomes the state before each."""
    periods, size = values.shape
    rows = came.shape[1]
    now, then = np.full((rows, size), np.inf), np.full((rows, size), np.inf)
    for j in range(size):
        if first[j] <= limit:
            now[first[j] if counted else 0, j] = values[0, j] + change * first[j]
    for t in range(1, periods):
        then[:] = np.inf
        for j in range(size):
            if values[t, j] == np.inf:
                continue
            for i in range(size):
                d = distance[i, j]
                if d > limit:
                    continue
                step = d if counted else 0
                for u in range(rows - step):
                    value = now[u, i] + change * d
                    if value < then[u + step, j]:
                        then[u + step, j] = value
                        came[t, u + step, j] = i
            for u in range(rows):
                then[u, j] += values[t, j]
        now, then = then, now
    best, last, used = np.inf, 0, 0
    for u in range(rows):
        for j in range(size):
            if now[u, j] < best:
                best, last, used = now[u, j], j, u
    return best, last, used
