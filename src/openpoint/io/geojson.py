"""GeoJSON (RFC 7946) that gives the buses of a grid their coordinates and its branches their routes.

A feature belongs to what has its name: a Point to a bus, a LineString (or a MultiLineString whose parts follow each
other) to a branch. The name is the property `name`, else the `id` of the feature. Coordinates are longitude and
latitude (WGS 84); where most of them cannot be degrees, or the file names another system, they are those of a plane.
Points of kind `open point`, as openpoint writes them beside an answer, are left out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import polars as pl

from openpoint.arguments import path_of
from openpoint.errors import Faults, InputError, Problem, did_you_mean
from openpoint.grid.coordinates import MOST_DEGREES, Point, between, in_degrees
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.grid.schemas import BRANCH_TABLES
from openpoint.inputs import content_of, json_of
from openpoint.io.text import decode, fault

_DEGREES = ("CRS84", "EPSG::4326", "EPSG:4326", "EPSG:4979")
_LINES = ("LineString", "MultiLineString")


@dataclass(frozen=True)
class _Feature:
    """A bus (one point) or a branch (its line). `row` is how messages call it."""

    row: str
    name: str
    is_bus: bool
    points: tuple[Point, ...]


@dataclass
class _File:
    name: str
    features: list[_Feature] = field(default_factory=list)
    faults: list[Problem] = field(default_factory=Faults)

    def fault(self, row: str, column: str, message: str, remedy: str) -> None:
        self.faults.append(Problem(self.name, row, column, message, remedy))


def with_geojson(grid: Grid, path: str | os.PathLike[str]) -> Grid:
    """The grid with the coordinates and routes in a GeoJSON file; what the file does not name keeps its own.

    Args:
        grid: the grid. path: a FeatureCollection.

    Raises:
        InputError: with every fault: features without a name, with a name that no bus or branch has or that is given
            twice, another geometry, coordinates out of range, a line to a bus without coordinates.
    """
    place = path_of(path, "geojson")
    text = decode(content_of(place), place.name)
    file = _File(place.name)
    content = _content(text, place.name)
    _read_features(file, content["features"])
    _refuse_unknown(file, grid)
    degrees = _has_degrees(content, file.features)
    if degrees:
        _refuse_beyond(file)
    at = dict(grid.buses.select("name", pl.struct("x", "y")).iter_rows())
    placed = {one.name: one.points[0] for one in file.features if one.is_bus}
    known = {name: (old["x"], old["y"]) for name, old in at.items() if None not in old.values()} | placed
    kept = [name for name in known if name not in placed]
    if placed and kept and in_degrees(np.array([known[name] for name in kept])) != degrees:
        message = f"its coordinates are {'degrees' if degrees else 'no degrees'}, unlike those that the grid has for "
        file.fault("", "", message + names_in_words(kept), "Give these buses as points, too")
    ends = {name: (fr, to) for name, fr, to in grid.branches().select("name", "from_bus", "to_bus").iter_rows()}
    lines = [one for one in file.features if not one.is_bus and one.name in ends]
    for one in lines:
        if missing := [bus for bus in ends[one.name] if bus not in known]:
            buses = names_in_words(missing)
            file.fault(
                one.row,
                "",
                f"it leads to {buses}, without coordinates",
                "Give every bus at its ends as a Point",
            )
    if file.faults:
        raise InputError(file.faults)
    routes = {one.name: between(one.points, [known[bus] for bus in ends[one.name]]) for one in lines}
    notes = [] if degrees else [_plane(file)]
    notes += [_far(file, one) for one in lines if _is_far(one.points, [known[bus] for bus in ends[one.name]])]
    made = grid.with_tables(buses=_placed(grid.buses, placed), **_routed(grid, routes))
    return replace(made, notes=(*made.notes, *notes))


def _content(text: str, file: str) -> dict[str, Any]:
    """The FeatureCollection.

    Raises:
        InputError: it is none, or has no feature.
    """
    remedy = "Give a FeatureCollection of Points (buses) and LineStrings (branches)"
    content = json_of(text, file, remedy)
    if not isinstance(content, dict) or not isinstance(content.get("features"), list):
        raise InputError([fault(file, None, "", "the file holds no FeatureCollection", remedy)])
    if not content["features"]:
        raise InputError([fault(file, None, "features", "there is no feature", remedy)])
    return content


def _read_features(file: _File, features: Iterable[Any]) -> None:
    """Read the features one by one; names that are given twice are faults."""
    first: dict[tuple[bool, str], str] = {}
    for number, feature in enumerate(features, start=1):
        one = _feature(file, number, feature)
        if one is None:
            continue
        if (one.is_bus, one.name) in first:
            message = f"{'the bus' if one.is_bus else 'the branch'} is given already by {first[one.is_bus, one.name]}"
            file.fault(one.row, "name", message, "Keep one of them")
        else:
            first[one.is_bus, one.name] = one.row
            file.features.append(one)


def _feature(file: _File, number: int, feature: Any) -> _Feature | None:
    """A feature; None where it has a fault or is empty."""
    row = f"feature {number}"
    properties = feature.get("properties") if isinstance(feature, dict) else None
    known = properties if isinstance(properties, dict) else {}
    if known.get("kind") == "open point":
        return None
    name = known.get("name", feature.get("id") if isinstance(feature, dict) else None)
    if isinstance(name, bool) or not isinstance(name, (str, int)) or name == "":
        file.fault(row, "name", "it has no name", "Give the name of a bus or branch as the property `name`")
        return None
    row = f"{row} ({name})"
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind != "Point" and kind not in _LINES:
        message = f"its geometry is {kind or 'missing'}"
        file.fault(row, "geometry", message, "Give a Point for a bus, a LineString for a branch")
        return None
    try:
        points = tuple(_points(kind, geometry["coordinates"]))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = str(error) if isinstance(error, ValueError) else "they are no numbers in pairs"
        file.fault(
            row, "coordinates", f"its coordinates are wrong: {reason}", "Give [longitude, latitude] of each point"
        )
        return None
    return _Feature(row, str(name), kind == "Point", points)


def _points(kind: str, coordinates: Any) -> Iterator[Point]:
    """The points of a geometry.

    Raises:
        ValueError: with what is wrong. TypeError: something else than numbers.
    """
    parts = [[coordinates]] if kind == "Point" else [coordinates] if kind == "LineString" else coordinates
    last: Point | None = None
    for part in parts:
        if kind != "Point" and len(part) < 2:
            raise ValueError("a line has at least two points")
        for k, values in enumerate(part):
            if not isinstance(values, list) or len(values) < 2:
                raise ValueError("each point is a pair of numbers")
            x, y = float(values[0]), float(values[1])
            if not (math.isfinite(x) and math.isfinite(y)):
                raise ValueError("a number is not finite")
            if k == 0 and last is not None:
                if last != (x, y):
                    raise ValueError("a part does not begin where the one before it ends")
                continue
            last = (x, y)
            yield last
    if last is None:
        raise ValueError("there is no point")


def _refuse_unknown(file: _File, grid: Grid) -> None:
    """Name what is neither a bus nor a branch of the grid."""
    buses, branches = list(grid.buses["name"]), list(grid.branches()["name"])
    known = {True: set(buses), False: set(branches)}
    for one in file.features:
        if one.name not in known[one.is_bus]:
            what, all_names = ("bus", buses) if one.is_bus else ("branch", branches)
            shape = "Point" if one.is_bus else "line"
            remedy = did_you_mean(one.name, all_names, "Correct the name, or leave the feature out")
            file.fault(one.row, "name", f"it is a {shape}, and there is no {what} {one.name!r}", remedy)


def _has_degrees(content: dict[str, Any], features: Iterable[_Feature]) -> bool:
    """Whether coordinates are degrees: as the file says (`crs`), else whether those of most features can be."""
    crs = content.get("crs")
    about = crs.get("properties") if isinstance(crs, dict) else None
    system = about.get("name") if isinstance(about, dict) else None
    if isinstance(system, str):
        return system.endswith(_DEGREES)
    can_be = [not _beyond(one) for one in features]
    return 2 * sum(can_be) >= len(can_be)


def _beyond(one: _Feature) -> bool:
    return bool((np.abs(np.array(one.points)) > MOST_DEGREES).any())


def _refuse_beyond(file: _File) -> None:
    for one in file.features:
        if _beyond(one):
            message = "a point lies beyond ±180 degrees of longitude or ±90 of latitude"
            file.fault(one.row, "coordinates", message, "Give longitude first, then latitude, in degrees (WGS 84)")


def _plane(file: _File) -> Problem:
    message = "coordinates are no degrees, and taken for those of a plane, such as metres"
    remedy = "For GeoJSON that other programs place on a map write it in WGS 84 (EPSG:4326)"
    return Problem(file.name, "", "", message, remedy, "warning")


def _is_far(points: Iterable[Point], ends: list[Point]) -> bool:
    """Whether an end of a line is farther from its bus than the line is long."""
    way = np.array(list(points))
    length = float(np.hypot(*np.diff(way, axis=0).T).sum())
    off = [np.hypot(*(way[[0, -1]] - np.array(order)).T).max() for order in (ends, ends[::-1])]
    return float(min(off)) > length


def _far(file: _File, one: _Feature) -> Problem:
    message = "the line is farther from a bus at its end than it is long"
    return Problem(file.name, one.row, "", message, "Check whether it belongs to this branch", "warning")


def _placed(buses: pl.DataFrame, placed: dict[str, Point]) -> pl.DataFrame:
    rows = [placed.get(name, (x, y)) for name, x, y in buses.select("name", "x", "y").iter_rows()]
    return buses.with_columns(
        pl.Series(axis, [row[k] for row in rows], dtype=pl.Float64) for k, axis in enumerate(("x", "y"))
    )


def _routed(grid: Grid, routes: dict[str, list[float]]) -> dict[str, pl.DataFrame]:
    tables = {kind: grid.tables()[kind] for kind in BRANCH_TABLES}
    return {
        kind: table.with_columns(
            pl.Series(
                "route",
                [routes.get(name, old) for name, old in table.select("name", "route").iter_rows()],
                dtype=table.schema["route"],
            )
        )
        for kind, table in tables.items()
    }
