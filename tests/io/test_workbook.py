"""Excel workbooks: grids there and back without loss, tables of every kind, and what a spreadsheet makes of cells."""

from __future__ import annotations

import datetime
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import openpoint
from openpoint import Grid, InputError, OptionError
from openpoint.errors import Problem
from openpoint.grid.schemas import SCHEMAS
from openpoint.io.workbook.read import grid_from_workbook
from openpoint.io.workbook.write import workbook_from_grid
from openpoint.studies.partition.options import read_priorities
from tests.cli.desk import tables
from tests.grid.strategies import names
from tests.grid.strategies import tables as tables_of

openpyxl = pytest.importorskip("openpyxl")


ANY_TABLE = st.sampled_from(list(SCHEMAS)).flatmap(lambda kind: st.tuples(st.just(kind), tables_of(kind)))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(ANY_TABLE, names, names)
def test_round_trip_is_lossless(drawn: tuple[str, pl.DataFrame], name: str, title: str) -> None:
    kind, frame = drawn
    kept = frame.with_columns(pl.col(pl.String).map_elements(without_controls, return_dtype=pl.String))
    original = Grid.from_tables(without_controls(name), {kind: kept}, title=without_controls(title))
    if frame.height:
        assert grid_from_workbook(workbook_from_grid(original), "grid.xlsx").equals(original)


def without_controls(text: str) -> str:
    """What a workbook can hold; the rest is refused, see below."""
    return re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_x[0-9A-Fa-f]{4}_", "", text)


@pytest.mark.parametrize("name", ["baran33", "khodr70", "ieee13-microgrids"])
def test_a_grid_is_written_and_read(name: str, tmp_path: Path) -> None:
    grid = openpoint.read(name)
    openpoint.write(grid, tmp_path / "grid.xlsx")
    assert openpoint.read(tmp_path / "grid.xlsx").equals(grid)


def test_notes_are_kept(tmp_path: Path) -> None:
    notes = [
        Problem("a.m", "line 1", "", 'a "doubt"\n', "look", "warning"),
        Problem("a.m", "", "r", "ohm", "look", "warning", changes_figures=True),
    ]
    openpoint.write(Grid.from_tables("g", tables(), notes=notes), tmp_path / "g.xlsx")
    assert openpoint.read(tmp_path / "g.xlsx").notes == tuple(notes)


def test_texts_that_a_workbook_cannot_hold_are_refused(tmp_path: Path) -> None:
    lines = tables()["lines"] | {"name": ["a\x00", "_x0041_", "c", "d" * 40_000]}
    with pytest.raises(InputError) as raised:
        openpoint.write(Grid.from_tables("g", tables(lines=lines)), tmp_path / "g.xlsx")
    assert [(p.table, p.column) for p in raised.value.problems] == [("lines", "name")] * 3
    assert not (tmp_path / "g.xlsx").exists()


def book(path: Path, **sheets: list[list[Any]]) -> Path:
    """A workbook as somebody writes it by hand."""
    made = openpyxl.Workbook()
    made.remove(made.active)
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(row)
    made.save(path)
    return path


SOUND: dict[str, list[list[Any]]] = {
    " Buses ": [["name", "vn_kv"], [1, 10], [2, 10.5], [], [None, None], ["3", 10]],
    "lines": [["name", "from_bus", "to_bus", "r_ohm", "x_ohm", "closed"], ["a", 1, 2, 0.4, 0.3, True], [7, 2, 3, 1, 1]],
    "sources": [["name", "bus"], ["grid", 1]],
    "my notes": [["call", "Ann"]],
}


def test_a_workbook_made_by_hand(tmp_path: Path) -> None:
    grid = openpoint.read(book(tmp_path / "area.xlsx", **SOUND))
    assert grid.name == "area"
    assert grid.buses["name"].to_list() == ["1", "2", "3"]
    assert grid.lines["name"].to_list() == ["a", "7"]
    assert grid.lines["r_ohm"].to_list() == [[0.4], [1.0]]
    assert [(note.table, note.message) for note in grid.notes] == [
        ("area.xlsx, sheet my notes", "this sheet is not read")
    ]


DAY = datetime.date(2026, 2, 1)
FAULTS: dict[str, tuple[dict[str, list[list[Any]]], str]] = {
    "a date": ({"buses": [["name", "vn_kv"], [DAY, 10]]}, "sheet buses, line 2, name: the spreadsheet made a date of"),
    "an error": ({"buses": [["name", "vn_kv"], ["a", "#DIV/0!"]]}, "line 2, vn_kv: #DIV/0! is an error"),
    "a formula": ({"buses": [["name", "vn_kv"], ["a", "=1+1"]]}, "line 2, vn_kv: a formula whose value is not in"),
    "a decimal comma": ({"buses": [["name", "vn_kv"], ["a", "0,4"]]}, "'a' in line 2, vn_kv: '0,4' is not a number"),
    "a cell beyond": ({"buses": [["name", "vn_kv"], ["a", 10, 7]]}, "line 2: a cell lies beyond the last column name"),
    "an unknown column": ({"buses": [["name", "kv"], ["a", 10]]}, "line 1, kv: unknown column 'kv'"),
    "no table": ({"busses": [["name", "vn_kv"], ["a", 10]]}, "no sheet of this workbook is a table of a grid"),
    "an unknown key": ({**SOUND, "grid": [["key", "value"], ["nmae", "x"]]}, "sheet grid, line 2, nmae: unknown key"),
    "another format": ({**SOUND, "grid": [["key", "value"], ["format", 2]]}, "format '2' is not known. Write 1"),
    "other notes": ({**SOUND, "notes": [["note"], ["look"]]}, "these are not the columns of notes"),
    "a sheet twice": ({**SOUND, "buses": [["name", "vn_kv"]]}, "two sheets have this name"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_a_spreadsheet_made_of_a_cell_is_refused_by_sheet_and_line(what: str, tmp_path: Path) -> None:
    sheets, told = FAULTS[what]
    with pytest.raises(InputError) as raised:
        openpoint.read(book(tmp_path / "area.xlsx", **sheets))
    assert told in str(raised.value)
    assert all(problem.remedy for problem in raised.value.problems)


@pytest.mark.parametrize(
    ("name", "told"), [("a.xlsx", "no workbook"), ("a.xls", "Save it as .xlsx"), ("a.ods", "Save")]
)
def test_what_is_no_workbook_is_refused(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(InputError, match=told):
        openpoint.read(tmp_path / name)


def test_tables_of_every_kind(tmp_path: Path) -> None:
    zhang = openpoint.read("zhang13")
    storms = openpoint.storms(zhang, count=4, seed=1)
    rows = [[*storms.table(zhang).columns], *map(list, storms.table(zhang).rows())]
    assert openpoint.read_disasters(book(tmp_path / "storms.xlsx", any=rows), zhang).equals(storms)
    futures = openpoint.grow(zhang, count=2, seed=1)
    rows = [[*futures.table().columns], *map(list, futures.table().rows())]
    read = openpoint.read_futures(book(tmp_path / "f.xlsx", other=[["a"]], futures=rows), zhang)
    assert (read.names, read.bus_names) == (futures.names, futures.bus_names)
    # The library by which this test writes gives numbers sixteen digits.
    assert np.allclose(read.p_kw, futures.p_kw, rtol=1e-15, atol=0.0)
    steps = [["step", "hours"], ["noon", 1.5]]
    day = openpoint.read_horizon(book(tmp_path / "day.xlsx", steps=steps, events=[["step", "branch", "event"]]))
    assert (day.steps.rows(), day.events.height) == ([("noon", 1.5, 1.0)], 0)
    assert openpoint.read_horizon(book(tmp_path / "one.xlsx", Sheet1=steps)).steps.equals(day.steps)
    assert read_priorities(book(tmp_path / "p.xlsx", p=[["load", "priority"], ["a", 2]])) == {"a": 2.0}


def test_faults_of_tables_name_the_row_of_the_sheet(tmp_path: Path) -> None:
    rows = [["future", "bus", "p_kw", "q_kvar"], [], ["one", "1", 2, "x"]]
    with pytest.raises(InputError, match=r"f.xlsx, line 3, future 'one', bus '1', q_kvar: 'x' is not a number"):
        openpoint.read_futures(book(tmp_path / "f.xlsx", a=rows), "civanlar16")
    rows = [["disaster", "probability", "branch"], ["a", 0.5, "1"], [], ["b", 0.5, "nowhere"]]
    with pytest.raises(InputError, match=r"d.xlsx, line 4, disaster 'b', branch: there is no branch"):
        openpoint.read_disasters(book(tmp_path / "d.xlsx", a=rows), "zhang13")
    with pytest.raises(InputError, match="none is named futures"):
        openpoint.read_futures(book(tmp_path / "f.xlsx", a=rows, b=rows), "civanlar16")
    with pytest.raises(InputError, match="there is no sheet of the steps"):
        openpoint.read_horizon(book(tmp_path / "h.xlsx", a=rows, b=rows))
    with pytest.raises(OptionError, match=r"or read from .xlsx"):
        openpoint.read_disasters("storms.ods", "zhang13")
