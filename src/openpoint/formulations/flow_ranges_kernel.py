"""Compiled: ranges of flows and voltages over a tree by interval arithmetic, see `flow_ranges`.

Branches are numbered from the sources to the leaves, and 0 and 1 are the lower and the upper end of a range. A range
that rounding leaves empty stays as it was.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.compiled.jit import compiled, inlined


class Drawing(NamedTuple):
    """What N buses draw, (2, N) active and reactive part each.

    Attributes:
        low, high: range of constant power. current: load of constant current. impedance_low, impedance_high: range of
            the load of constant impedance. hanging: of lines that are open at one end, at nominal voltage.
        room: most power that may move between what lies below a bus and the rest.
    """

    low: Floats
    high: Floats
    current: Floats
    impedance_low: Floats
    impedance_high: Floats
    hanging: Floats
    room: Floats


class Tree(NamedTuple):
    """E branches.

    Attributes:
        below, above: (E) their buses. ratio, ratio_above: (2, E) squared ratios at the lower and at the upper end.
        r, x, g, b: (E) series impedance and shunt admittance.
    """

    below: Ints
    above: Ints
    ratio: Floats
    ratio_above: Floats
    r: Floats
    x: Floats
    g: Floats
    b: Floats


@inlined
def _within(known: Floats, low: float, high: float) -> None:
    """Narrow a range (2) to what it has in common with another one, if anything."""
    low, high = max(known[0], low), min(known[1], high)
    if low <= high:
        known[0], known[1] = low, high


@inlined
def _add(total: Floats, factor: float, low: float, high: float) -> None:
    """Add a number times a range to a range (2)."""
    a, b = factor * low, factor * high
    total[0] += min(a, b)
    total[1] += max(a, b)


@inlined
def _draw(total: Floats, drawing: Drawing, part: int, n: int, w: Floats) -> None:
    """Put what bus n draws, active (0) or reactive (1), into a range (2)."""
    low, high = w[0, n], w[1, n]
    total[0], total[1] = drawing.low[part, n], drawing.high[part, n]
    _add(total, drawing.current[part, n], np.sqrt(low), np.sqrt(high))
    least, most = drawing.impedance_low[part, n], drawing.impedance_high[part, n]
    total[0] += min(least * low, least * high, most * low, most * high)
    total[1] += max(least * low, least * high, most * low, most * high)
    _add(total, drawing.hanging[part, n], low, high)


@compiled
def narrowed(
    drawing: Drawing, tree: Tree, w_known: Floats, cut: Floats, passes: int, wider: float
) -> tuple[Floats, Floats, Floats, Floats, bool]:
    """Ranges of P, Q and l (2, E), of W (2, N), and whether one of W is empty.

    Args:
        drawing: of the buses. tree: of the branches. w_known: (2, N) of the squared voltages. cut: (2, 2, E) in which P
            and Q are. passes: over the tree. wider: share, and per unit, by which ranges are wider than computed.
    """
    below, above, ratio, ratio_above, r, x, g, b = tree
    room = drawing.room
    count, buses = len(below), w_known.shape[1]
    w, flow, l = w_known.copy(), np.empty((2, 2, count)), np.zeros((2, count))
    l[1] = np.inf
    total, narrow, square = np.empty((2, 2, buses)), np.empty(2), np.empty(2)
    empty = False
    for _ in range(passes):
        for part in range(2):
            for n in range(buses):
                _draw(total[part, :, n], drawing, part, n, w)
        for e in range(count - 1, -1, -1):
            here, up = below[e], above[e]
            own = w[0, here] / ratio[1, e], w[1, here] / ratio[0, e]
            parent = w[0, up] / ratio_above[1, e], w[1, up] / ratio_above[0, e]
            square[:] = 0.0
            for part in range(2):
                shunt, own_flow = 0.5 * g[e] if part == 0 else -0.5 * b[e], flow[part, :, e]
                own_flow[:] = total[part, :, here]
                _add(own_flow, shunt, own[0], own[1])
                total[part, :, here] = own_flow
                own_flow[0] -= room[part, here]
                own_flow[1] += room[part, here]
                _within(own_flow, cut[part, 0, e], cut[part, 1, e])
                first, last = own_flow[0] ** 2, own_flow[1] ** 2
                square[0] += 0.0 if own_flow[0] <= 0.0 <= own_flow[1] else min(first, last)
                square[1] += max(first, last)
            _within(l[:, e], square[0] / own[1], square[1] / own[0])
            for part in range(2):
                z, shunt = (r[e], 0.5 * g[e]) if part == 0 else (x[e], -0.5 * b[e])
                narrow[:] = total[part, :, here]
                _within(narrow, cut[part, 0, e], cut[part, 1, e])
                total[part, :, up] += narrow
                _add(total[part, :, up], z, l[0, e], l[1, e])
                _add(total[part, :, up], shunt, parent[0], parent[1])
        for part in range(2):
            flow[part, 0] -= wider * (1.0 + np.abs(flow[part, 0]))
            flow[part, 1] += wider * (1.0 + np.abs(flow[part, 1]))
        for e in range(count):
            here, up = below[e], above[e]
            drop = narrow
            drop[:] = (r[e] ** 2 + x[e] ** 2) * l[:, e]
            _add(drop, 2.0 * r[e], flow[0, 0, e], flow[0, 1, e])
            _add(drop, 2.0 * x[e], flow[1, 0, e], flow[1, 1, e])
            least = max(w[0, up] / ratio_above[1, e] - drop[1], 0.0) * ratio[0, e]
            most = max(w[1, up] / ratio_above[0, e] - drop[0], 0.0) * ratio[1, e]
            _within(w[:, here], (1.0 - wider) * least, (1.0 + wider) * most)
        empty = empty or bool((w[0] > w[1]).any())
    return flow[0], flow[1], w, l, empty
