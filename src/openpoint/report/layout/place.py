"""Where every bus and branch lies in a picture: a map if the grid has coordinates, else a schematic of its feeders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.grid.coordinates import in_degrees, places_of, routes_of
from openpoint.grid.grid import Grid
from openpoint.report.layout.feeders import elbow, ends, place_rows, rounded, route_ties, source_buses, spanning_forest

_SIGHT = 0.21  # inches beyond which a symbol has room enough


def shorten(name: str, most: int = 14) -> str:
    """The name, with its middle replaced by … where it is too long for a picture."""
    if len(name) <= most:
        return name
    head = (most - 1 + 1) // 2
    return f"{name[:head]}…{name[len(name) - (most - 1 - head) :]}"


def shortened(names: Iterable[str]) -> dict[str, str]:
    """The name by what hovering calls a branch, where that is of one alone."""
    short = {name: shorten(name, 40) for name in names}
    used = Counter(short.values())
    return {text: name for name, text in short.items() if used[text] == 1}


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


_ENOUGH = 0.6  # share of buses that must have coordinates for a map


@dataclass(frozen=True)
class Layout:
    """Places of N buses and ways of E branches; y grows upwards.

    Attributes:
        xy: (N, 2) place of every bus, in the order of `Grid.buses`; no two alike.
        ways: E arrays (k, 2), the points of every branch from its from bus to its to bus, in the order of
            `Grid.branches`.
        is_map: whether the places are the grid's own coordinates (equal scales on both axes); a schematic has whole
            numbers: x counts the branches to the source.
    """

    xy: Floats
    ways: tuple[Floats, ...]
    is_map: bool

    @cached_property
    def extent(self) -> tuple[float, float, float, float]:
        """Smallest and largest x, smallest and largest y of all buses and ways."""
        points = np.concatenate([self.xy, *self.ways]) if len(self.xy) else np.zeros((1, 2))
        (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
        return float(x0), float(x1), float(y0), float(y1)


def compute_layout(grid: Grid, closed: Sequence[bool] | None = None) -> Layout:
    """The layout of a grid. Deterministic; one layout serves today's state and the answer alike.

    A grid whose buses have coordinates (most of them; the others are put between their neighbours) is drawn as a map,
    its branches along their routes or straight; longitudes are shortened as they are at the latitude of the grid.
    Otherwise a schematic is computed from the tree of closed branches: sources at the left,
    feeders straight to the right, laterals above and below, the other branches in lanes in between.

    Args:
        grid: the grid.
        closed: (E) state of the branches that makes the tree, in the order of `Grid.branches`; default today's.
    """
    branches = ends(grid)
    given = places_of(grid)
    known = np.asarray(np.isfinite(given).all(axis=1), dtype=np.bool_)
    if len(given) and known.mean() >= _ENOUGH and len(np.unique(given[known], axis=0)) > 0.5 * known.sum():
        scale = np.array([np.cos(np.radians(given[known, 1].mean())) if in_degrees(given) else 1.0, 1.0])
        xy = _apart(_filled(given * scale, known, branches))
        return Layout(xy, _ways(xy, branches, [route * scale for route in routes_of(grid)]), is_map=True)
    state = grid.branches()["closed"].to_list() if closed is None else list(closed)
    return _schematic(len(given), branches, source_buses(grid), state)


def _schematic(n: int, branches: Sequence[tuple[int, int]], sources: Sequence[int], closed: Sequence[bool]) -> Layout:
    forest = spanning_forest(n, branches, sources, closed)
    in_tree = set(forest.parent_branch) - {-1}
    loose = [e for e in range(len(branches)) if e not in in_tree]
    ties = [branches[e] for e in loose]
    row = place_rows(forest, ties)
    # Rows count downwards while the lanes are sought (the first source on top), y grows upwards in the end.
    grid_xy = np.column_stack([np.array(forest.hops, dtype=np.float64), row.astype(np.float64)]).reshape(n, 2)
    ways: dict[int, Floats] = {}
    for bus, e in enumerate(forest.parent_branch):
        if e >= 0:
            way = elbow(grid_xy[forest.parent[bus]], grid_xy[bus])
            ways[e] = way if branches[e][1] == bus else way[::-1]
    tree = [ways[e] for e in sorted(ways)]
    ways.update(zip(loose, route_ties(grid_xy, tree, ties), strict=True))
    turn = np.array([1.0, -1.0])
    # Adding 0 turns -0.0 into 0.0.
    return Layout(
        grid_xy * turn + 0.0, tuple(rounded(ways[e]) * turn + 0.0 for e in range(len(branches))), is_map=False
    )


def _filled(given: Floats, known: Bools, branches: Sequence[tuple[int, int]]) -> Floats:
    """Coordinates for all: a bus without any lies between its neighbours (a few rounds of averages)."""
    xy = given.copy()
    xy[~known] = given[known].mean(axis=0)
    if known.all():
        return xy
    neighbours: list[list[int]] = [[] for _ in given]
    for a, b in branches:
        neighbours[a].append(b)
        neighbours[b].append(a)
    unknown = np.flatnonzero(~known)
    for _ in range(100):
        for bus in unknown:
            if neighbours[bus]:
                xy[bus] = xy[neighbours[bus]].mean(axis=0)
    return xy


def _apart(xy: Floats) -> Floats:
    """Places in which no two buses share a spot: those that do are put on a small circle around it."""
    size = float(np.ptp(xy, axis=0).max(initial=0.0)) or 1.0
    spot: dict[tuple[int, int], list[int]] = {}
    for bus, (x, y) in enumerate(xy):
        spot.setdefault((round(x / size * 1e5), round(y / size * 1e5)), []).append(bus)
    result = xy.copy()
    step = size * 0.6 / max(4.0, np.sqrt(len(xy))) * 0.5
    for together in spot.values():
        for k, bus in enumerate(together[1:]):
            # A spiral by the golden angle never meets itself.
            turn, radius = 2.399963 * k, step * np.sqrt(k + 1.0)
            result[bus] += radius * np.array([np.cos(turn), np.sin(turn)])
    return result


def _ways(xy: Floats, branches: Sequence[tuple[int, int]], routes: Sequence[Floats]) -> tuple[Floats, ...]:
    """Ways along routes, else straight; further ones between the same two buses bow out, so that each can be seen."""
    met: dict[tuple[int, int], int] = {}
    ways = []
    for (a, b), route in zip(branches, routes, strict=True):
        if len(route):
            ways.append(np.concatenate([xy[[a]], route, xy[[b]]]))
            continue
        pair = (min(a, b), max(a, b))
        k = met.get(pair, 0)
        met[pair] = k + 1
        start, end = xy[a], xy[b]
        if k == 0:
            ways.append(np.array([start, end]))
            continue
        across = np.array([xy[pair[0]][1] - xy[pair[1]][1], xy[pair[1]][0] - xy[pair[0]][0]])
        bow = (start + end) / 2 + across * 0.25 * (k + 1) / 2 * (-1) ** k
        t = np.linspace(0.0, 1.0, 9)[:, None]
        ways.append((1 - t) ** 2 * start + 2 * t * (1 - t) * bow + t**2 * end)
    return tuple(ways)
