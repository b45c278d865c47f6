"""Problems that say the same of many rows are told together; first comes what changes the meaning of figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openpoint.errors import MOST_LINES, InputError, Problem, grouped
from openpoint.grid import Grid
from openpoint.grid.files import files_from_grid, grid_from_files
from tests.grid.small import grid, tables

UNIT = Problem("case.m", "line 9", "mpc.bus", "one phase of three", "Multiply", "warning", changes_figures=True)


def told(number: int, *, table: str = "lines") -> list[Problem]:
    return [Problem(table, f"L{k}", "r_ohm", f"{k + 0.5:g} ohm at 'B{k}' is odd", "Check it") for k in range(number)]


def test_what_differs_in_names_and_numbers_alone_is_one_line() -> None:
    (line,) = grouped(told(38))
    assert str(line) == "lines, 38 rows (L0, L1, L2 and 35 more), r_ohm: of the first, 0.5 ohm at 'B0' is odd. Check it"
    assert line.problems == tuple(told(38))
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
    many = [replace(problem, table=f"t{k}") for k, problem in enumerate(told(1178))]
    error = InputError(many)
    assert error.problems == tuple(many)
    lines = str(error).splitlines()
    assert len(lines) == MOST_LINES + 1
    assert lines[-1] == f"and {1178 - MOST_LINES} more; `problems` holds all"
    assert len(str(InputError(told(1178))).splitlines()) == 1


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
