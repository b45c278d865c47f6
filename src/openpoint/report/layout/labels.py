"""Where symbols and names go on a picture, so that they do not hide each other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from openpoint.arrays import Floats
from openpoint.report.layout.place import Layout

_SIGHT = 0.21  # inches beyond which a symbol has room enough


def shorten(name: str, most: int = 14) -> str:
    """The name, with its middle replaced by … where it is too long for a picture."""
    if len(name) <= most:
        return name
    head = (most - 1 + 1) // 2
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"


def crowding(xy: Floats) -> float:
    """A low distance between neighbouring buses (its lowest fifth), in the unit of xy; 1 for a single bus."""
    if len(xy) < 2:
        return 1.0
    # An even sample of the buses is enough, and keeps large grids cheap.
    sample = xy[:: max(1, len(xy) // 300)]
    apart = np.sort(np.hypot(*(sample[:, None] - xy[None]).transpose(2, 0, 1)), axis=1)
    return float(np.quantile(apart[:, 1], 0.2))


def symbol_spots(layout: Layout, branches: Iterable[int], scale: tuple[float, float]) -> dict[int, Floats]:
    """A spot on the way of each branch for its symbol, far from buses, other branches and earlier symbols.

    Args:
        layout: the layout.
        branches: branch numbers.
        scale: inches of a unit of x and y, so that distances are those that the eye sees.
    """
    inches = np.array(scale)
    buses, taken = layout.xy * inches, np.zeros((0, 2))
    spots: dict[int, Floats] = {}
    lines = [np.stack([way[:-1], way[1:]], axis=1) * inches for way in layout.ways]
    owner = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    every = np.concatenate(lines) if lines else np.zeros((0, 2, 2))
    low, high = every.min(axis=1), every.max(axis=1)
    for e in branches:
        way = layout.ways[e] * inches
        steps = np.hypot(*np.diff(way, axis=0).T)
        total = float(steps.sum())
        if total <= 0.0:
            spots[e] = layout.ways[e][0]
            continue
        at = np.concatenate([[0.0], np.cumsum(steps)])
        share = np.linspace(0.12, 0.88, 33)
        points = np.column_stack([np.interp(share * total, at, way[:, k]) for k in (0, 1)])
        # What lies farther than what is asked for below is left out.
        least, most = points.min(axis=0) - _SIGHT, points.max(axis=0) + _SIGHT
        near = np.concatenate([each[np.all((each >= least) & (each <= most), axis=1)] for each in (buses, taken)])
        to_taken = np.hypot(*(points[:, None] - near[None]).transpose(2, 0, 1)).min(axis=1, initial=_SIGHT)
        to_lines = _distances(points, every[np.all((high >= least) & (low <= most), axis=1) & (owner != e)])
        corners = way[1:-1]
        to_corners = np.hypot(*(points[:, None] - corners[None]).transpose(2, 0, 1)).min(axis=1, initial=0.12)
        # Clear of buses first; beyond a fifth of an inch more room is worth nothing, and the middle decides.
        room = np.minimum(to_taken, 0.2) + 2.0 * np.minimum(to_taken, 0.13) + 1.3 * np.minimum(to_lines, 0.15)
        room += to_corners - 0.08 * np.abs(share - 0.5)
        best = points[int(np.argmax(room))]
        taken = np.concatenate([taken, best[None]])
        spots[e] = best / inches
    return spots


def _distances(points: Floats, lines: Floats) -> Floats:
    """(P) distance of every point to the nearest of the straight pieces."""
    if not len(lines):
        return np.full(len(points), np.inf)
    start, along = lines[:, 0], lines[:, 1] - lines[:, 0]
    square = np.maximum((along**2).sum(axis=1), 1e-12)
    t = np.clip(((points[:, None] - start) * along).sum(axis=2) / square, 0.0, 1.0)
    foot = start + t[:, :, None] * along
    return np.asarray(np.hypot(*(points[:, None] - foot).transpose(2, 0, 1)).min(axis=1))
