"""Windings between two lines, and which phases a connection can have."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint.grid import Grid
from openpoint.grid.rules.windings import line_windings
from openpoint.grid.rules.wiring import is_radial_today, points_to_open

RATED = {"vn_from_kv": 4.8, "vn_to_kv": 4.8, "r_ohm": 0.01, "x_ohm": 0.1, "switchable": False}


def bank(units: list[tuple[str, str]], beside: str = "", **changes: Any) -> Grid:
    """Single windings between A and B, and a line beside them in some phases."""
    unit = {"from_bus": "A", "to_bus": "B", "connection": "delta-delta"} | RATED | changes
    n = len(beside)
    matrix = [1.0 * (i == j) for i in range(n) for j in range(i + 1)]
    line = {"name": "jumper", "from_bus": "B", "to_bus": "A", "phases": beside, "r_ohm": matrix, "x_ohm": matrix}
    tables: dict[str, Any] = {
        "buses": [{"name": name, "vn_kv": 4.8, "phases": "abc"} for name in "AB"],
        "lines": [line | {"switchable": False}] if beside else [],
        "transformers": [unit | {"name": name, "phases": phases} for name, phases in units],
        "sources": [{"name": "grid", "bus": "A"}],
    }
    return Grid.from_tables("bank", tables)


@pytest.mark.parametrize(
    ("units", "beside", "pairs"),
    [
        ([("u", "ab"), ("w", "bc")], "b", {"u": "ab", "w": "cb"}),
        ([("u", "ab"), ("w", "ac")], "a", {"u": "ba", "w": "ca"}),
        # One winding leans on the other.
        ([("u", "ab"), ("w", "bc")], "a", {"u": "ba", "w": "cb"}),
        ([("w", "bc"), ("u", "ab")], "a", {"u": "ba", "w": "cb"}),
        ([("u", "ac")], "ab", {"u": "ca"}),
        ([("u", "ab"), ("w", "bc"), ("x", "ac")], "", {"u": "ab", "w": "bc", "x": "ca"}),
    ],
)
def test_each_winding_feeds_one_phase(units: list[tuple[str, str]], beside: str, pairs: dict[str, str]) -> None:
    grid = bank(units, beside)
    assert line_windings(grid) == pairs
    assert not [p for p in grid.problems() if p.column != ""]


def test_a_floating_winding_is_told() -> None:
    grid = bank([("u", "ab")])
    assert line_windings(grid) == {"u": ""}
    assert [(p.row, p.column) for p in grid.problems() if "floats" in p.message] == [("u", "phases")]


def test_one_winding_too_many_closes_a_loop() -> None:
    grid = bank([("u", "ab"), ("w", "bc"), ("x", "ac")], "b")
    assert [p.row for p in grid.problems() if "loop" in p.message] == ["x"]


def test_the_37_node_feeder_is_a_tree() -> None:
    assert openpoint.read("ieee37").problems() == []


@pytest.mark.parametrize(
    ("changes", "column"),
    [
        ({"connection": "delta-wye", "phases": "ab"}, "phases"),
        ({"connection": "delta-wye", "phases": "a", "shift_degree": 30.0}, "connection"),
        ({"connection": "delta-wye", "phases": "abc", "shift_degree": 0.0}, "shift_degree"),
        ({"connection": "wye-wye", "phases": "abc", "shift_degree": 30.0}, "shift_degree"),
        ({"connection": "delta-delta", "phases": "abc", "shift_degree": 180.0}, "shift_degree"),
    ],
)
def test_connections_that_do_not_fit_are_told(changes: dict[str, Any], column: str) -> None:
    row = {"name": "t", "from_bus": "A", "to_bus": "B"} | RATED | changes
    grid = bank([]).with_tables(transformers=Grid.from_tables("t", {"transformers": [row]}).transformers)
    assert ("transformers", "t", column) in [(p.table, p.row, p.column) for p in grid.problems()]


@pytest.mark.parametrize("kind", ["loads", "generators", "capacitors"])
def test_a_delta_needs_two_phases(kind: str) -> None:
    power = {"q_kvar": 1.0} if kind == "capacitors" else {"p_kw": 50.0}
    rows = [{"name": "x", "bus": "A", "phases": phases, "connection": "delta"} | power for phases in ("a", "abc")]
    rows[1]["name"] = "y"
    table = Grid.from_tables("t", {kind: rows}).tables()[kind]
    found = bank([("u", "ab"), ("w", "bc")], "b").with_tables(**{kind: table}).problems()
    assert [(p.table, p.row, p.column) for p in found if p.severity == "error"] == [(kind, "x", "connection")]


def test_the_band_of_a_load_is_ordered() -> None:
    rows = [{"name": "x", "bus": "A", "phases": "a", "p_kw": 50.0, "v_min_pu": 1.1, "v_max_pu": 0.9}]
    loads = Grid.from_tables("t", {"loads": rows}).loads
    found = bank([("u", "ab"), ("w", "bc")], "b").with_tables(loads=loads).problems()
    assert [(p.table, p.row, p.column) for p in found] == [("loads", "x", "v_min_pu")]


@pytest.mark.parametrize(
    ("name", "points"), [("ieee13", 0), ("ieee37", 0), ("ieee123", 2), ("baran33", 5), ("das70", 8)]
)
def test_points_to_open_count_the_units_of_a_regulator_as_one(name: str, points: int) -> None:
    grid = openpoint.read(name)
    assert points_to_open(grid) == points
    assert is_radial_today(grid)
    ties = dict.fromkeys(grid.branches().filter(~pl.col("closed"))["name"], True)
    assert is_radial_today(grid.with_closed(ties)) == (points == 0)
