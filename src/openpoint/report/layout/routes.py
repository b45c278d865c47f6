"""Ways of the branches of a schematic: elbows for the tree, lanes between rows and columns for the ties.

A tie may run in lanes between the rows and the columns of buses. For every tie some hundred ways of up to five straight
pieces are weighed, and the cheapest is taken, the shortest tie first: running over a bus or along another line is
nearly forbidden, a crossing costs more than a bend, and a bend more than a short detour.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openpoint.arrays import Floats

_OVER_BUS, _ALONG_LINE, _CROSSING, _BEND, _LENGTH = 15.0, 12.0, 1.2, 0.35, 0.22
_NEAR = 0.13  # two parallel lines closer than this are read as one
# Names stand at the upper right of a bus, so lanes keep to the right half between columns, and to the upper half
# between rows (rows count downwards here).
_LANES_X = (0.5, 0.64, 0.78)
_LANES_Y = (0.5, 0.36, 0.22)
_LEAVE = (0.5, 0.36, 0.22, -0.5, -0.64, -0.78)
_RADIUS = 0.14


def elbow(parent: Floats, child: Floats) -> Floats:
    """(k, 2) way from a bus up or down its column, then along the row of its child."""
    if parent[1] == child[1] or parent[0] == child[0]:
        return np.array([parent, child])
    return np.array([parent, [parent[0], child[1]], child])


def rounded(way: Floats, radius: float = _RADIUS) -> Floats:
    """The way with its right angles replaced by short arcs."""
    points = [way[0]]
    for before, corner, after in zip(way[:-2], way[1:-1], way[2:], strict=True):
        a, b = before - corner, after - corner
        la, lb = float(np.hypot(*a)), float(np.hypot(*b))
        if la < 1e-9 or lb < 1e-9:
            continue
        r = min(radius, la / 2, lb / 2)
        start, end = corner + a / la * r, corner + b / lb * r
        t = np.linspace(0.0, 1.0, 5)[:, None]
        points.extend((1 - t) ** 2 * start + 2 * t * (1 - t) * corner + t**2 * end)
    points.append(way[-1])
    return np.array(points)


def route_ties(xy: Floats, tree: Sequence[Floats], ties: Sequence[tuple[int, int]]) -> list[Floats]:
    """(k, 2) way of every tie between its buses, with right angles.

    Args:
        xy: (N, 2) columns and rows of the buses, whole numbers.
        tree: ways already drawn.
        ties: pairs of buses.
    """
    segments = [np.stack([way[:-1], way[1:]], axis=1) for way in tree]
    lines = np.concatenate(segments) if segments else np.zeros((0, 2, 2))
    span = [float(np.abs(xy[a] - xy[b]).sum()) for a, b in ties]
    ways: list[Floats] = [np.zeros((0, 2))] * len(ties)
    for k in sorted(range(len(ties)), key=lambda i: (span[i], i)):
        a, b = xy[ties[k][0]], xy[ties[k][1]]
        choices = _choices(a, b, len(ties))
        costs = _costs(choices, lines, xy)
        best = choices[int(np.argmin(costs))]
        keep = np.concatenate([[True], np.any(np.abs(np.diff(best, axis=0)) > 1e-9, axis=1)])
        way = _straightened(best[keep])
        if len(way) < 2:
            way = np.array([a, b])
        ways[k] = way
        lines = np.concatenate([lines, np.stack([way[:-1], way[1:]], axis=1)])
    return ways


def _straightened(way: Floats) -> Floats:
    """The way without points in the middle of a straight piece."""
    keep = [0]
    for i in range(1, len(way) - 1):
        u, v = way[i] - way[keep[-1]], way[i + 1] - way[i]
        if abs(u[0] * v[1] - u[1] * v[0]) > 1e-9:
            keep.append(i)
    return way[[*keep, len(way) - 1]] if len(way) > 1 else way


def _lanes(lo: float, hi: float, most: int, lanes: tuple[float, ...]) -> list[float]:
    """Lanes between and just around whole numbers lo … hi, evenly thinned to about `most`."""
    cells = list(range(int(lo) - 1, int(hi) + 1))
    if len(cells) > most:
        step = len(cells) / most
        cells = sorted({cells[int(i * step)] for i in range(most)} | {cells[0], cells[-1]})
    return [c + f for c in cells for f in lanes]


def _choices(a: Floats, b: Floats, n_ties: int) -> Floats:
    """(C, 6, 2) ways from a to b; shorter ones repeat their last point."""
    (xa, ya), (xb, yb) = a, b
    most = 8 if n_ties <= 60 else 3
    xs = _lanes(min(xa, xb), max(xa, xb) + 1, most, _LANES_X)
    ys = _lanes(min(ya, yb), max(ya, yb) + 1, most, _LANES_Y)
    found: list[list[tuple[float, float]]] = []
    if xa == xb or ya == yb:
        found.append([(xa, ya), (xb, yb)])
    found += [[(xa, ya), (xa, yb), (xb, yb)], [(xa, ya), (xb, ya), (xb, yb)]]
    found += [[(xa, ya), (xa, y), (xb, y), (xb, yb)] for y in ys]
    found += [[(xa, ya), (x, ya), (x, yb), (xb, yb)] for x in xs]
    for x in xs:
        # Out along a row or a lane on one side, up or down a lane between columns, in the same way on the other side.
        for fa in _LEAVE:
            found.append([(xa, ya), (xa, ya + fa), (x, ya + fa), (x, yb), (xb, yb)])
            found.append([(xa, ya), (x, ya), (x, yb + fa), (xb, yb + fa), (xb, yb)])
            found += [[(xa, ya), (xa, ya + fa), (x, ya + fa), (x, yb + fb), (xb, yb + fb), (xb, yb)] for fb in _LEAVE]
    for y in ys:
        for fa in _LANES_X:
            found.append([(xa, ya), (xa + fa, ya), (xa + fa, y), (xb, y), (xb, yb)])
            found.append([(xa, ya), (xa, y), (xb + fa, y), (xb + fa, yb), (xb, yb)])
    full = np.empty((len(found), 6, 2))
    for i, way in enumerate(found):
        full[i] = [*way, *[way[-1]] * (6 - len(way))]
    return full


def _costs(choices: Floats, lines: Floats, xy: Floats) -> Floats:
    """(C) cost of every way, given the lines already drawn and the buses."""
    start, end = choices[:, :-1], choices[:, 1:]
    lo, hi = np.minimum(start, end), np.maximum(start, end)
    length = (hi - lo).sum(axis=2)
    cost: Floats = _LENGTH * length.sum(axis=1) + _BEND * np.maximum((length > 1e-9).sum(axis=1) - 1, 0)
    box_lo, box_hi = lo.min(axis=(0, 1)) - 0.2, hi.max(axis=(0, 1)) + 0.2
    line_lo, line_hi = lines.min(axis=1), lines.max(axis=1)
    near = np.all((line_hi >= box_lo) & (line_lo <= box_hi), axis=1)
    line_lo, line_hi = line_lo[near], line_hi[near]
    buses = xy[np.all((xy >= box_lo) & (xy <= box_hi), axis=1)]
    for axis in (0, 1):
        # Pieces along `axis`: they cross lines along the other axis and must not run along lines of the same axis.
        other = 1 - axis
        rows, pieces = np.nonzero((hi - lo)[:, :, axis] > 1e-9)
        found = np.column_stack([lo[rows, pieces, axis], hi[rows, pieces, axis], lo[rows, pieces, other]])
        # Most ways share their pieces: each is weighed once.
        distinct, which = np.unique(found, axis=0, return_inverse=True)
        p_lo, p_hi, at = distinct.T
        along = (line_hi - line_lo)[:, axis] > 1e-9
        s_lo, s_hi, s_at = line_lo[along, axis], line_hi[along, axis], line_lo[along, other]
        shared = np.minimum(p_hi[:, None], s_hi) - np.maximum(p_lo[:, None], s_lo)
        shared = np.where(np.abs(at[:, None] - s_at) < _NEAR, np.maximum(shared, 0.0), 0.0).sum(axis=1)
        across = (line_hi - line_lo)[:, other] > 1e-9
        c_lo, c_hi, c_at = line_lo[across, other], line_hi[across, other], line_lo[across, axis]
        tiny = 1e-6
        crossed = (p_lo[:, None] < c_at - tiny) & (c_at + tiny < p_hi[:, None])
        crossed &= (c_lo - tiny < at[:, None]) & (at[:, None] < c_hi + tiny)
        over = np.abs(buses[:, other] - at[:, None]) < 0.2
        over &= (buses[:, axis] > p_lo[:, None] + tiny) & (buses[:, axis] < p_hi[:, None] - tiny)
        piece_cost = _ALONG_LINE * shared + _CROSSING * crossed.sum(axis=1) + _OVER_BUS * over.sum(axis=1)
        np.add.at(cost, rows, piece_cost[which.ravel()])
    return cost
