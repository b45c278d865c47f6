"""Doubts: loads that are missing, figures in the wrong unit, windings, and how many of a kind are told together."""

from dataclasses import replace
from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint.errors import MOST_LINES, InputError, Problem, grouped
from openpoint.grid import Grid
from openpoint.grid.files import files_from_grid, grid_from_files
from openpoint.grid.rules.doubts import load_doubts
from openpoint.grid.rules.windings import line_windings
from openpoint.grid.rules.wiring import is_radial_today, points_to_open
from tests.grid.small import grid, tables

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


def places(grid: Grid) -> list[tuple[str, str, str]]:
    found: list[Problem] = grid.problems()
    assert {p.severity for p in found} <= {"warning"}
    return [(p.table, p.row, p.column) for p in found]


def with_column_times(kind: str, column: str, name: str | None, factor: float) -> Grid:
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
    assert places(with_column_times("loads", "p_kw", "7", kw / 200.0)) == [("loads", "7", "p_kw")]


def test_two_loads_that_are_too_large_are_both_named() -> None:
    grid = with_column_times("loads", "p_kw", "7", 1e6)
    both = grid.with_tables(loads=grid.loads.with_columns(q_kvar=pl.when(name="30").then(1e7).otherwise("q_kvar")))
    assert places(both) == [("loads", "7", "p_kw"), ("loads", "30", "p_kw")]


def test_a_generator_that_is_too_large_is_named() -> None:
    grid = openpoint.read("baran33")
    unit = pl.DataFrame({"name": ["pv"], "bus": ["5"], "p_kw": [1e8]})
    assert places(grid.with_tables(generators=unit)) == [("generators", "pv", "p_kw")]


def test_a_line_that_is_too_long_is_the_only_one_named() -> None:
    assert places(with_column_times("lines", "r_ohm", "7", 1e3)) == [("lines", "7", "r_ohm")]


@pytest.mark.parametrize(
    "grid",
    [
        with_column_times("loads", "p_kw", None, 1e3),
        with_column_times("lines", "r_ohm", None, 1e3),
        with_column_times("lines", "r_ohm", None, 1e-9).with_tables(
            lines=openpoint.read("baran33").lines.with_columns(r_ohm=pl.lit([1e-6]), x_ohm=pl.lit([1e-6]))
        ),
        with_column_times("buses", "vn_kv", None, 0.03),
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


UNIT = Problem("case.m", "line 9", "mpc.bus", "one phase of three", "Multiply", "warning", changes_figures=True)


def odd_lines(number: int, *, table: str = "lines") -> list[Problem]:
    return [Problem(table, f"L{k}", "r_ohm", f"{k + 0.5:g} ohm at 'B{k}' is odd", "Check it") for k in range(number)]


def test_what_differs_in_names_and_numbers_alone_is_one_line() -> None:
    (line,) = grouped(odd_lines(38))
    assert str(line) == "lines, 38 rows (L0, L1, L2 and 35 more), r_ohm: of the first, 0.5 ohm at 'B0' is odd. Check it"
    assert line.problems == tuple(odd_lines(38))
    same = [Problem("loads", name, "bus", "there is no bus", "Add it") for name in "xy"]
    assert [str(line) for line in grouped(same)] == ["loads, 2 rows (x, y), bus: there is no bus. Add it"]
    lines = [Problem("case.m", f"line {k}", "", "odd", "Look") for k in (3, 8)]
    assert [str(line) for line in grouped(lines)] == ["case.m, 2 lines (3, 8): odd. Look"]


def test_what_differs_otherwise_stays_apart() -> None:
    first = Problem("lines", "a", "r_ohm", "the impedance is zero", "Give it")
    others = [
        replace(first, table="loads"),
        replace(first, column="x_ohm"),
        replace(first, message="the impedance is odd"),
        replace(first, remedy="Look"),
        replace(first, severity="warning"),
        replace(first, row=""),
        replace(first, row=""),
    ]
    assert [str(line) for line in grouped([first, *others])] == [str(p) for p in (first, *others)]


def test_the_text_of_an_error_has_few_lines_and_its_problems_are_all() -> None:
    many = [replace(problem, table=f"t{k}") for k, problem in enumerate(odd_lines(1178))]
    error = InputError(many)
    assert error.problems == tuple(many)
    lines = str(error).splitlines()
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == f"and {1178 - MOST_LINES} more; `problems` holds all"
    assert len(str(InputError(odd_lines(1178))).splitlines()) == 1


def test_what_changes_figures_comes_before_other_doubts() -> None:
    doubt = Problem("case.m", "line 2", "", "odd", "Look", "warning")
    noted = Grid.from_tables("noted", tables(), notes=[doubt, UNIT])
    assert noted.problems() == [UNIT, doubt]
    assert noted.figure_notes == (str(UNIT),)
    faulty = noted.with_tables(loads=noted.loads.with_columns(p_kw=-1.0))
    assert [p.severity for p in faulty.problems()] == ["error", "error", "warning", "warning"]
    assert faulty.figure_notes == (str(UNIT),)


def test_files_keep_what_changes_figures() -> None:
    doubt = Problem("case.m", "line 2", "", "odd", "Look", "warning")
    files = files_from_grid(Grid.from_tables("noted", tables(), notes=[doubt, UNIT]))
    assert grid_from_files(files).notes == (doubt, UNIT)
    files["load.csv"] = b"name,bus,p_kw\n"
    assert "load.csv: this file is not read" in grid_from_files(files).figure_notes[-1]


@pytest.mark.parametrize("column", ["r_ohm", "x_ohm"])
def test_a_grid_of_faults_is_told_in_one_line(column: str) -> None:
    with pytest.raises(InputError) as caught:
        grid(tables() | {"lines": [row | {column: -1.0} for row in tables()["lines"]]}).check()
    assert len(caught.value.problems) == 3
    assert str(caught.value).startswith(f"lines, 3 rows (ab, bc, ad), {column}: ")


def test_a_problem_without_a_place_is_told_without_one() -> None:
    assert str(Problem("", "", "", "reading stopped here", "Correct it")) == "reading stopped here. Correct it"
