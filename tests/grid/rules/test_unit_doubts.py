"""Figures in the wrong unit are told by the row that is wrong, and none where nothing is."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint.errors import Problem
from openpoint.grid import Grid


def places(grid: Grid) -> list[tuple[str, str, str]]:
    found: list[Problem] = grid.problems()
    assert {p.severity for p in found} <= {"warning"}
    return [(p.table, p.row, p.column) for p in found]


def scaled(kind: str, column: str, name: str | None, factor: float) -> Grid:
    """baran33 with a column, in one row or in all, times a factor."""
    grid = openpoint.read("baran33")
    frame = grid.tables()[kind]
    rows = [
        row | ({column: _times(row[column], factor)} if name in (None, row["name"]) else {})
        for row in frame.iter_rows(named=True)
    ]
    return grid.with_tables(**{kind: pl.DataFrame(rows, schema=frame.schema)})


def _times(value: Any, factor: float) -> Any:
    return [v * factor for v in value] if isinstance(value, list) else value * factor


@pytest.mark.parametrize("kw", [1e5, 1e6, 1e9])
def test_a_load_that_is_too_large_is_the_only_one_named(kw: float) -> None:
    assert places(scaled("loads", "p_kw", "7", kw / 200.0)) == [("loads", "7", "p_kw")]


def test_two_loads_that_are_too_large_are_both_named() -> None:
    grid = scaled("loads", "p_kw", "7", 1e6)
    both = grid.with_tables(loads=grid.loads.with_columns(q_kvar=pl.when(name="30").then(1e7).otherwise("q_kvar")))
    assert places(both) == [("loads", "7", "p_kw"), ("loads", "30", "p_kw")]


def test_a_generator_that_is_too_large_is_named() -> None:
    grid = openpoint.read("baran33")
    unit = pl.DataFrame({"name": ["pv"], "bus": ["5"], "p_kw": [1e8]})
    assert places(grid.with_tables(generators=unit)) == [("generators", "pv", "p_kw")]


def test_a_line_that_is_too_long_is_the_only_one_named() -> None:
    assert places(scaled("lines", "r_ohm", "7", 1e3)) == [("lines", "7", "r_ohm")]


@pytest.mark.parametrize(
    "grid",
    [
        scaled("loads", "p_kw", None, 1e3),
        scaled("lines", "r_ohm", None, 1e3),
        scaled("lines", "r_ohm", None, 1e-9).with_tables(
            lines=openpoint.read("baran33").lines.with_columns(r_ohm=pl.lit([1e-6]), x_ohm=pl.lit([1e-6]))
        ),
        scaled("buses", "vn_kv", None, 0.03),
    ],
    ids=["loads in W", "impedances in milliohm", "impedances in per unit", "volts in other units"],
)
def test_a_unit_that_is_wrong_throughout_is_one_doubt(grid: Grid) -> None:
    assert places(grid) == [("lines", "1", "r_ohm")]


@pytest.mark.parametrize("joined", [False, True], ids=["open ties", "closed ties"])
def test_many_sources_carry_a_load_together(joined: bool) -> None:
    """Fifty sound feeders side by side, tied to each other, are as sound as one."""
    grid = openpoint.read("baran33")
    parts: dict[str, list[pl.DataFrame]] = {kind: [] for kind in ("buses", "lines", "loads", "sources")}
    for k in range(50):
        for kind, frames in parts.items():
            named = [c for c in ("name", "bus", "from_bus", "to_bus") if c in grid.tables()[kind].columns]
            frames.append(grid.tables()[kind].with_columns(pl.col(named) + f"-{k}"))
    tie = grid.lines.filter(name="37").with_columns(closed=pl.lit(joined))
    parts["lines"] += [
        tie.with_columns(name=pl.lit(f"tie {k}"), from_bus=pl.lit(f"18-{k}"), to_bus=pl.lit(f"18-{k + 1}"))
        for k in range(49)
    ]
    many = Grid.from_tables("many", {kind: pl.concat(frames) for kind, frames in parts.items()})
    assert not [p for p in many.problems() if p.column == "r_ohm" or p.table == "loads"]
