"""Loads that are missing, or in megawatts, are told; those of no known grid are."""

from __future__ import annotations

import polars as pl
import pytest

import openpoint
from openpoint.errors import Problem
from openpoint.grid import Grid
from openpoint.grid.rules.load_doubts import load_doubts

CASES = list(openpoint.cases()["name"])


def scaled(name: str, factor: float) -> Grid:
    """A built-in grid, all its loads times a factor."""
    grid = openpoint.read(name)
    return grid.with_tables(loads=grid.loads.with_columns(pl.col("p_kw", "q_kvar") * factor))


def told(grid: Grid) -> list[Problem]:
    """The doubts about loads; each stands beside the figures of every result, and is a warning."""
    found = list(load_doubts(grid))
    assert [p for p in grid.problems() if p in found] == found
    assert all(p.changes_figures and p.severity == "warning" for p in found)
    assert all(str(p) in grid.figure_notes for p in found)
    return found


@pytest.mark.parametrize("name", CASES)
def test_loads_in_megawatts_are_told_and_no_others(name: str) -> None:
    assert told(openpoint.read(name)) == []
    (doubt,) = told(scaled(name, 1e-3))
    assert (doubt.table, doubt.column) == ("loads", "p_kw")
    assert "multiply p_kw and q_kvar by 1000" in doubt.remedy


def test_loads_in_megawatts_at_low_voltage_are_told() -> None:
    """Two houses of 2 kW, 100 and 200 m from their transformer, in kW and in MW."""
    doubts = []
    for kw in (2.0, 0.002):
        tables = {
            "buses": [{"name": name, "vn_kv": 0.4} for name in "abc"],
            "lines": [
                {"name": f"{fr}{to}", "from_bus": fr, "to_bus": to, "r_ohm": 0.064, "x_ohm": 0.008}
                for fr, to in ("ab", "bc")
            ],
            "sources": [{"name": "s", "bus": "a"}],
            "loads": [{"name": name, "bus": name, "p_kw": kw} for name in "bc"],
        }
        doubts.append(told(Grid.from_tables("street", tables)))
    assert (len(doubts[0]), len(doubts[1])) == (0, 1)


@pytest.mark.parametrize(("factor", "column"), [(None, ""), (0.0, "p_kw")], ids=["no rows", "all 0"])
def test_a_grid_without_load_is_told(factor: float | None, column: str) -> None:
    grid = openpoint.read("baran33")
    grid = grid.with_tables(loads=grid.loads.clear()) if factor is None else scaled("baran33", factor)
    (doubt,) = told(grid)
    assert (doubt.column, "of a grid without load" in doubt.message) == (column, True)
