"""GeoJSON (RFC 7946) of a grid in a state: branches as lines, buses and open points as points, with their figures.

Coordinates are those of the buses and of the routes of branches, which GeoJSON takes for longitude and latitude.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import InputError, Problem
from openpoint.grid.coordinates import middle, routes_of
from openpoint.grid.grid import Grid


def geojson(grid: Grid, buses: pl.DataFrame, branches: pl.DataFrame, when: str) -> str:
    """The grid as a FeatureCollection.

    Args:
        grid: the grid, whose buses have coordinates; what lies at a bus without any is left out.
        buses, branches: tables of a result, of a balanced grid. when: the ending of the columns of the state that is
            shown, such as `after`.

    Raises:
        InputError: no bus has coordinates.
    """
    table = grid.buses.filter(pl.col("x").is_not_null() & pl.col("y").is_not_null())
    at = {name: [x, y] for name, x, y in table.select("name", "x", "y").iter_rows()}
    if not at:
        remedy = "Give x and y of the buses, as longitude and latitude"
        raise InputError([Problem("buses", "", "x", "no bus has coordinates, so there is nothing to draw", remedy)])
    ends = dict(grid.lines.select("name", "open_end").iter_rows())
    routes = dict(zip(grid.branches()["name"], routes_of(grid), strict=True))
    features = [*_buses(buses, at, when), *_branches(branches, at, routes, ends, when)]
    return json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False) + "\n"


def _buses(buses: pl.DataFrame, at: dict[str, list[float]], when: str) -> Iterator[dict[str, Any]]:
    for row in buses.iter_rows(named=True):
        if row["name"] in at:
            known = {"kind": "bus", "name": row["name"], "vn_kv": row["vn_kv"], "v_pu": _number(row[f"v_{when}_pu"])}
            yield _feature("Point", at[row["name"]], known)


def _branches(
    branches: pl.DataFrame, at: dict[str, list[float]], routes: dict[str, Floats], ends: dict[str, str], when: str
) -> Iterator[dict[str, Any]]:
    for row in branches.iter_rows(named=True):
        if row["from_bus"] not in at or row["to_bus"] not in at:
            continue
        fr, to = at[row["from_bus"]], at[row["to_bus"]]
        closed = row[f"closed_{when}"]
        known = {
            "kind": row["kind"],
            "name": row["name"],
            "state": "closed" if closed else "open",
            "changed": closed != row["closed_before"],
            "i_a": _number(row[f"i_{when}_a"]),
            "loading_percent": _number(row[f"loading_{when}_percent"]),
            "p_from_kw": _number(row[f"p_from_{when}_kw"]),
            "q_from_kvar": _number(row[f"q_from_{when}_kvar"]),
            "loss_kw": _number(row[f"loss_{when}_kw"]),
        }
        way = [fr, *routes[row["name"]].tolist(), to]
        yield _feature("LineString", way, known)
        if not closed:
            end = ends.get(row["name"], "both")
            place = {"from": fr, "to": to}.get(end) or middle(way)
            about = {"kind": "open point", "name": row["name"], "open_end": end, "changed": known["changed"]}
            yield _feature("Point", place, about)


def _feature(shape: str, coordinates: Any, properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": shape, "coordinates": coordinates}, "properties": properties}


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
