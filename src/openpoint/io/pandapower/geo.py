"""Coordinates in pandapower nets: GeoJSON in `geo`, or rows of the older tables `bus_geodata` and `line_geodata`.

Pictures do not need all of them, so what cannot be read is none.
"""

from __future__ import annotations

import json
from typing import Any

from openpoint.grid.coordinates import Point, between
from openpoint.io.pandapower.json import Row, is_missing

FARTHEST = 1e300


def place_of(geo: object, old: Row | None) -> Point | None:
    """Where a bus lies. `geo`: its cell; `old`: its row of `bus_geodata`."""
    point = _coordinates(geo, "Point")
    place = _points([point if point is not None or old is None else [old.get("x"), old.get("y")]])
    return place[0] if place else None


def route_of(geo: object, old: Row | None, ends: tuple[Point | None, Point | None]) -> list[float]:
    """The points of a line between its buses, x and y in turn. `old`: its row of `line_geodata`; `ends`: the buses."""
    line = _coordinates(geo, "LineString")
    points = _points(line if line is not None or old is None else old.get("coords"))
    return between(points, ends) if None not in ends else []


def _coordinates(geo: object, kind: str) -> Any:
    try:
        shape = json.loads(geo) if isinstance(geo, str) else geo
    except (ValueError, RecursionError):
        return None
    return shape.get("coordinates") if isinstance(shape, dict) and shape.get("type") == kind else None


def _points(given: object) -> list[Point]:
    """Points of at least two finite numbers each; none at all where one of them is something else."""
    found = []
    for values in given if isinstance(given, (list, tuple)) else ():
        if not isinstance(values, (list, tuple)) or len(values) < 2 or not all(map(_is_sound, values[:2])):
            return []
        found.append((float(values[0]), float(values[1])))
    return found


def _is_sound(value: object) -> bool:
    return isinstance(value, (int, float)) and not is_missing(value) and abs(value) < FARTHEST
