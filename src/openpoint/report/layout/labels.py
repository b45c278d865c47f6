"""Where symbols and names go on a picture, so that they do not hide each other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from openpoint.arrays import Floats
from openpoint.report.layout.place import Layout

NAMED_BUSES = 180  # beyond it only what matters is named: more names would be ink
_SIGHT = 0.21  # inches beyond which a symbol has room enough
# Preferred first: (horizontal, vertical) shift of the label's nearest side from the symbol.
COMPASS: dict[str, tuple[int, int]] = {
    "top center": (0, 1),
    "bottom center": (0, -1),
    "middle right": (1, 0),
    "middle left": (-1, 0),
    "top right": (1, 1),
    "bottom right": (1, -1),
    "top left": (-1, 1),
    "bottom left": (-1, -1),
}


def shorten(name: str, most: int = 14) -> str:
    """The name, with its middle replaced by … where it is too long for a picture."""
    if len(name) <= most:
        return name
    head = (most - 1 + 1) // 2
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"


def name_boxes(names: Sequence[str], xy: Floats, corner: float, letter: float, height: float) -> Floats:
    """(N, 4) boxes left, bottom, right, top of names at the upper right of their buses; all in inches."""
    width = np.array([letter * len(shorten(name)) for name in names])
    low = xy + corner
    return np.column_stack([low, low[:, 0] + width, low[:, 1] + height])


def names_that_fit(boxes: Floats, xy: Floats, wanted: Iterable[int], dot: float) -> list[int]:
    """The buses whose names hide neither a bus nor a name before them, in the order wanted.

    Args:
        boxes: (N, 4) boxes of the names. xy: (N, 2) buses, in inches. dot: radius of a bus.
        wanted: buses to name, the most important first.
    """
    taken = np.column_stack([xy - dot, xy + dot])
    fitting: list[int] = []
    for bus in wanted:
        if _overlap(boxes[bus], taken) < 1e-4:
            fitting.append(bus)
            taken = np.concatenate([taken, boxes[bus][None]])
    return fitting


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


def place_labels(
    anchors: Floats,
    sizes: Floats,
    obstacles: Floats,
    lines: Floats,
    within: tuple[float, float],
    *,
    gap: float = 0.07,
) -> list[str]:
    """A side of each anchor (a key of COMPASS) for its label; all in inches.

    Args:
        anchors: (L, 2) symbols that are named.
        sizes: (L, 2) width and height of the labels.
        obstacles: (O, 4) boxes left, bottom, right, top that should stay free (bus names, buses).
        lines: (S, 2, 2) straight pieces of branches: better not covered.
        within: left and right edge of the panel.
        gap: space between the symbol's centre and the label.
    """
    boxes = obstacles.reshape(-1, 4)
    around = np.column_stack([anchors - gap, anchors + gap])
    boxes = np.concatenate([boxes, around])
    chosen: list[str] = []
    for (x, y), (w, h) in zip(anchors, sizes, strict=True):
        best, side = np.inf, "top center"
        for k, (name, (dx, dy)) in enumerate(COMPASS.items()):
            left = x - w / 2 + dx * (w / 2 + gap)
            bottom = y - h / 2 + dy * (h / 2 + gap)
            box = np.array([left, bottom, left + w, bottom + h])
            cost = 40.0 * _hidden(box, boxes) + 0.05 * k + 3.0 * _covered(box, lines)
            cost += 60.0 * (box[0] < within[0] or box[2] > within[1])
            if cost < best:
                best, side, kept = cost, name, box
        chosen.append(side)
        boxes = np.concatenate([boxes, kept[None]])
    return chosen


def _hidden(box: Floats, boxes: Floats) -> float:
    """What the box shares with others, in parts of the smaller one of each pair."""
    sides = boxes[:, 2:] - boxes[:, :2]
    smaller = np.minimum((box[2] - box[0]) * (box[3] - box[1]), np.maximum(sides, 1e-6).prod(axis=1))
    return float((_shared(box, boxes) / smaller).sum())


def _overlap(box: Floats, boxes: Floats) -> float:
    return float(_shared(box, boxes).sum())


def _shared(box: Floats, boxes: Floats) -> Floats:
    wide = np.minimum(box[2], boxes[:, 2]) - np.maximum(box[0], boxes[:, 0])
    high = np.minimum(box[3], boxes[:, 3]) - np.maximum(box[1], boxes[:, 1])
    return np.asarray(np.maximum(wide, 0.0) * np.maximum(high, 0.0))


def _covered(box: Floats, lines: Floats) -> float:
    """How many pieces have their bounding box in the label (exact for the right angles of a schematic)."""
    lo, hi = lines.min(axis=1), lines.max(axis=1)
    inside = (hi[:, 0] > box[0]) & (lo[:, 0] < box[2]) & (hi[:, 1] > box[1]) & (lo[:, 1] < box[3])
    return float(inside.sum())


def pieces(ways: Sequence[Floats], scale: tuple[float, float]) -> Floats:
    """(S, 2, 2) straight pieces of all ways in inches."""
    inches = np.array(scale)
    found = [np.stack([way[:-1], way[1:]], axis=1) * inches for way in ways]
    return np.concatenate(found) if found else np.zeros((0, 2, 2))
