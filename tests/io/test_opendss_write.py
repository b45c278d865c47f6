"""A grid as .dss text: names, states, and everything that comes back."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import opendssdirect
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.grid import Grid
from openpoint.io.opendss.read import grid_from_file
from openpoint.io.opendss.write import circuit_text, safe_names
from tests.io.feeders import FEEDERS, script

MATRIX = [0.3, 0.1, 0.3, 0.1, 0.1, 0.3]


def named(names: list[str]) -> Grid:
    """A chain of buses under these names."""
    tables: dict[str, Any] = {
        "buses": [{"name": n, "vn_kv": 10.0, "phases": "abc"} for n in names],
        "lines": [
            {"name": f"{a}-{b}", "from_bus": a, "to_bus": b, "phases": "abc", "r_ohm": MATRIX, "x_ohm": MATRIX}
            for a, b in pairwise(names)
        ],
        "sources": [{"name": "grid", "bus": names[0]}],
        "loads": [{"name": n, "bus": n, "phases": "a", "p_kw": 1.0} for n in names],
    }
    return Grid.from_tables("any name", tables)


@given(names=st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5, unique=True))
def test_any_name_becomes_one_that_opendss_takes(names: list[str]) -> None:
    safe = safe_names(named(names))
    for table in (safe.bus, safe.branch, safe.load):
        assert len(set(table.values())) == len(table)
        assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in table.values())


@given(names=st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=4, unique=True))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_grid_of_any_names_is_read_again(names: list[str], tmp_path: Path) -> None:
    grid = named(names)
    if len(set(grid.lines["name"])) < grid.lines.height:
        return
    (tmp_path / "a.dss").write_text(circuit_text(grid))
    again = grid_from_file(tmp_path / "a.dss")
    assert again.buses.height == len(names)
    assert again.lines["r_ohm"].to_list() == grid.lines["r_ohm"].to_list()
    assert again.loads["p_kw"].to_list() == [1.0] * len(names)


@pytest.mark.parametrize(("on", "kvar"), [(0, 0.0), (1, 150.0), (2, 450.0), (3, 1050.0)])
def test_levels_of_unequal_size_are_one_step_of_what_is_on(on: int, kvar: float, tmp_path: Path) -> None:
    """OpenDSS takes every step to be as large as the first."""
    bank = {"q_kvar": 1050.0, "steps": 3, "steps_on": on, "levels_kvar": [150.0, 450.0, 1050.0]}
    table = Grid.from_tables("", {"capacitors": [{"name": "c", "bus": "B", "phases": "abc"} | bank]}).capacitors
    (tmp_path / "a.dss").write_text(circuit_text(named(["A", "B"]).with_tables(capacitors=table)))
    again = grid_from_file(tmp_path / "a.dss").capacitors
    assert (again["q_kvar"] * again["steps_on"] / again["steps"]).item() == pytest.approx(kvar)


def by_safe_name(table: pl.DataFrame) -> pl.DataFrame:
    return table.sort(pl.col("name").str.replace_all("[^a-z0-9_-]", "_"))


@pytest.mark.parametrize("name", ["geometry with a neutral", "load models", "capacitors", "regulators", "open delta"])
def test_tables_come_back(name: str, tmp_path: Path) -> None:
    """Read, written and read again, every number is the same to rounding; names become safe ones."""
    (tmp_path / "a.dss").write_text(script(FEEDERS[name]))
    first = grid_from_file(tmp_path / "a.dss")
    (tmp_path / "b.dss").write_text(circuit_text(first))
    second = grid_from_file(tmp_path / "b.dss")
    for kind in ("buses", "lines", "transformers", "loads", "capacitors"):
        one, two = (by_safe_name(grid.tables()[kind]) for grid in (first, second))
        assert one.height == two.height
        for column in one.columns:
            if column in ("name", "bus", "from_bus", "to_bus", "x", "y", "length_km"):
                continue  # lines are written as a whole, without a length
            for a, b in zip(one[column].to_list(), two[column].to_list()):
                is_number = isinstance(a, (float, list))
                assert a == (pytest.approx(b, rel=1e-9, abs=1e-12) if is_number and b is not None else b), column


def test_open_branches_and_switchable_lines_come_back(tmp_path: Path) -> None:
    grid = openpoint.read("ieee123")
    lines = grid.lines.with_columns(switchable=grid.lines["name"].is_in(["l10", "l11"]))
    changed = grid.with_tables(lines=lines).with_closed({"sw2": False, "sw8": True})
    (tmp_path / "a.dss").write_text(circuit_text(changed))
    again = grid_from_file(tmp_path / "a.dss")
    states = {
        name: closed for name, closed, may in again.branches().select("name", "closed", "switchable").rows() if may
    }
    expected = {
        name: closed for name, closed, may in changed.branches().select("name", "closed", "switchable").rows() if may
    }
    assert states == expected


@pytest.mark.parametrize("end", ["from", "to", "both"])
def test_a_line_that_is_open_at_one_end_keeps_its_charging(end: str, tmp_path: Path) -> None:
    """OpenDSS loses with the circuit written what the grid loses here; read again, what is left out is told."""
    tables: dict[str, object] = {
        "buses": [{"name": name, "vn_kv": 20.0} for name in ("s", "a", "b")],
        "sources": [{"name": "grid", "bus": "s"}],
        "loads": [{"name": "load", "bus": "a", "p_kw": 900.0, "q_kvar": 500.0}],
        "lines": [
            {"name": "sa", "from_bus": "s", "to_bus": "a", "r_ohm": [2.0], "x_ohm": [3.0], "b_us": [60.0]},
            {"name": "sb", "from_bus": "s", "to_bus": "b", "r_ohm": [2.0], "x_ohm": [3.0]},
            {"name": "ab", "from_bus": "a", "to_bus": "b", "r_ohm": [8.0], "x_ohm": [9.0], "b_us": [700.0]}
            | {"closed": False, "open_end": end},
        ],
    }
    grid = Grid.from_tables("ends", tables)
    (tmp_path / "a.dss").write_text(circuit_text(grid))
    engine = opendssdirect.NewContext()
    engine.Text.Command(f"compile [{tmp_path / 'a.dss'}]")
    assert engine.Solution.Converged()
    assert engine.Circuit.Losses()[0] / 1000.0 == pytest.approx(openpoint.run_powerflow(grid).loss_kw, abs=2e-3)
    again = grid_from_file(tmp_path / "a.dss")
    assert again.lines["closed"].to_list() == [True, True, False]
    assert any("charging" in note.message for note in again.notes) == (end != "both")
