"""Coordinates of buses and routes of branches, for pictures: longitude and latitude (WGS 84), or a plane.

The route of a branch is kept in its table as the points between its two buses, x and y in turn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.grid.schemas import BRANCH_TABLES, Tables

Point = tuple[float, float]

MOST_DEGREES = (180.0, 90.0)
"""Largest longitude and latitude."""
WIDEST_DEGREES = 10.0
"""A grid that reaches over more than this is no distribution grid in degrees: its coordinates are those of a plane."""


def places_of(grid: Tables) -> Floats:
    """(N, 2) coordinates of the buses; nan where there are none."""
    return grid.buses.select("x", "y").cast({"x": pl.Float64, "y": pl.Float64}).to_numpy().astype(np.float64)


def routes_of(grid: Tables) -> list[Floats]:
    """E arrays (k, 2): the points of every branch between its buses, in the order of `Grid.branches`."""
    tables = grid.tables()
    return [
        np.array(route, dtype=np.float64).reshape(-1, 2) for kind in BRANCH_TABLES for route in tables[kind]["route"]
    ]


def in_degrees(places: Floats) -> bool:
    """Whether (k, 2) coordinates, nan where unknown, can be longitude and latitude of a distribution grid."""
    known = places[np.isfinite(places).all(axis=1)]
    near = bool(len(known)) and bool((np.ptp(known, axis=0) <= WIDEST_DEGREES).all())
    return near and bool((np.abs(known) <= MOST_DEGREES).all())


def between(points: Sequence[Point], ends: Sequence[Point | None]) -> list[float]:
    """What a branch keeps of the line that is drawn of it: the points between its buses, in their order.

    Args:
        points: of the line, from either end. ends: coordinates of the from and the to bus, None where unknown; the
            line is turned where that brings its ends nearer to them.

    Returns:
        x and y in turn. A point that lies at the bus itself is not repeated.
    """
    way, turned = list(points), list(reversed(points))
    if way and _off(turned, ends) < _off(way, ends):
        way = turned
    if way and way[0] == ends[0]:
        way = way[1:]
    if way and way[-1] == ends[1]:
        way = way[:-1]
    return [value for point in way for value in point]


def middle(way: Sequence[Sequence[float]]) -> list[float]:
    """The point half-way along a line of at least two points."""
    points = np.array(way, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])
    return [float(np.interp(along[-1] / 2.0, along, points[:, axis])) for axis in (0, 1)]


def _off(way: Sequence[Point], ends: Sequence[Point | None]) -> float:
    """How far the ends of a line lie from the buses that are known, added up."""
    pairs = zip((way[0], way[-1]), ends, strict=True)
    return sum(float(np.hypot(x - at[0], y - at[1])) for (x, y), at in pairs if at is not None)
