"""Answers as GeoJSON."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import openpoint as op
from openpoint.errors import InputError, OptionError


def test_branches_open_points_and_buses_stand_where_the_buses_are(tmp_path: Path) -> None:
    grid = op.read("civanlar16")
    number = pl.int_range(pl.len()).cast(pl.Float64)
    buses = grid.buses.with_columns(x=number, y=-number)
    result = op.reconfigure(grid.with_tables(buses=buses), method=op.BranchExchange())
    features = json.loads(result.write_geojson(tmp_path / "answer.geojson").read_text())["features"]
    lines = {f["properties"]["name"]: f for f in features if f["geometry"]["type"] == "LineString"}
    assert set(lines) == set(grid.branches()["name"])
    assert {name for name, f in lines.items() if f["properties"]["state"] == "open"} == set(result.open_branches)
    assert {name for name, f in lines.items() if f["properties"]["changed"]} == set(result.changes)
    assert sum(f["properties"]["loss_kw"] for f in lines.values()) == pytest.approx(result.loss_kw)
    points = {f["properties"]["name"]: f for f in features if f["properties"]["kind"] == "open point"}
    assert set(points) == set(result.open_branches)
    place = dict(buses.select("name", "x").iter_rows())
    row = grid.lines.filter(name=result.open_branches[0]).row(0, named=True)
    middle = (place[row["from_bus"]] + place[row["to_bus"]]) / 2.0
    assert points[row["name"]]["geometry"]["coordinates"] == [middle, -middle]
    assert sum(f["properties"]["kind"] == "bus" for f in features) == grid.buses.height


def test_what_has_no_map_is_said(tmp_path: Path) -> None:
    grid = op.read("baran33")
    bare = grid.with_tables(buses=grid.buses.with_columns(x=None, y=None))
    result = op.reconfigure(bare, method=op.BranchExchange())
    with pytest.raises(InputError, match="no bus has coordinates"):
        result.write_geojson(tmp_path / "answer.geojson")
    with pytest.raises(OptionError, match="geojson"):
        result.write_geojson(tmp_path / "answer.json")
