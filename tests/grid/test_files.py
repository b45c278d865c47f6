"""The own format: lossless both ways, and every fault with file, line and column."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid import Grid
from openpoint.grid.files import files_from_grid, grid_from_files
from openpoint.grid.table_text import number_text, table_from_csv
from tests.grid.small import grid, tables
from tests.grid.strategies import grids

HEAD = b'format = 1\nname = "g"\n'


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(grids(), st.sampled_from(["csv", "parquet"]))
def test_round_trip_is_lossless(original: Grid, tables: str) -> None:
    assert grid_from_files(files_from_grid(original, tables=tables)).equals(original)  # type: ignore[arg-type]


@given(st.floats())
def test_numbers_keep_every_bit(value: float) -> None:
    back = float(number_text(value))
    assert (math.isnan(back) and math.isnan(value)) or (
        back == value and math.copysign(1, back) == math.copysign(1, value)
    )


def test_notes_are_kept() -> None:
    note = Problem("a.m", "line 1", "", 'a "doubt"\n', "look", "warning")
    original = Grid.from_tables("g", tables(), notes=[note])
    assert grid_from_files(files_from_grid(original)).notes == (note,)


def test_csv_is_plain() -> None:
    files = files_from_grid(grid(tables()))
    assert files["sources.csv"] == b"name,bus\ngrid,A\n"
    assert files["lines.csv"].splitlines()[1] == b"ab,A,B,0.5,0.4,200,true"


def test_empty_text_is_not_null() -> None:
    frame, faults = table_from_csv("buses", 'name,vn_kv,v_min_pu\n"",10,\n', "buses.csv")
    assert not faults
    assert frame.select("name", "v_min_pu").row(0) == ("", None)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_blank_lines_and_byte_order_mark(end: str) -> None:
    text = end.join(["\ufeffname,vn_kv", "", "1,10", "", "007,1e1", ""])
    frame, faults = table_from_csv("buses", text, "buses.csv")
    assert not faults
    assert frame["name"].to_list() == ["1", "007"]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        (
            "name,vn_kv\n1,x\n2,1_0\n3,0x1\n",
            [("'1' in line 2", "vn_kv"), ("'2' in line 3", "vn_kv"), ("'3' in line 4", "vn_kv")],
        ),
        ("name,vn_kv\n1\n2,3,4\n", [("line 2", ""), ("line 3", "")]),
        ("name,volt\n1,2\n", [("line 1", "volt"), ("", "vn_kv")]),
        ("name,name,vn_kv\n1,1,1\n", [("line 1", "name")]),
        ('name,vn_kv\n"1,10\n', [("line 2", "")]),
        ('name,vn_kv\na"b,10\n', [("line 2", "")]),
        ("name,vn_kv\n,10\n", [("line 2", "name")]),
        ("name,vn_kv\n1,\n", [("'1' in line 2", "vn_kv")]),
        ('name,vn_kv\n"two\nlines",10\n3,x\n', [("'3' in line 4", "vn_kv")]),
        ("name\n1\n", [("", "vn_kv")]),
        ("\x00\x01", [("line 1", "\x00\x01")]),
    ],
)
def test_faults_of_csv_name_line_and_column(text: str, places: list[tuple[str, str]]) -> None:
    _, faults = table_from_csv("buses", text, "buses.csv")
    assert [(p.row, p.column) for p in faults] == places
    assert {p.table for p in faults} == {"buses.csv"}


def test_flags_whole_numbers_and_matrices() -> None:
    text = "name,bus,q_kvar,steps,steps_on\n1,b,10,2.5,yes\n"
    _, faults = table_from_csv("capacitors", text, "c.csv")
    assert [p.column for p in faults] == ["steps", "steps_on"]
    text = "name,from_bus,to_bus,r_ohm,x_ohm,closed\n1,a,b,0.1 0.2 0.3,1,no\n2,a,b,0.1 x,1,perhaps\n"
    _, faults = table_from_csv("lines", text, "lines.csv")
    assert [p.column for p in faults] == ["r_ohm", "closed"]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"format = 2",
        b"format = true",
        b'format = "1"',
        b"format = 1\nname = 5",
        b"format = 1\ncolour = 1",
        b"format = 1\nnotes = 3",
        b'format = 1\n[[notes]]\ntable = "a"',
        b"format = ",
        b"\xff\xfe",
    ],
)
def test_faults_of_the_head(head: bytes) -> None:
    with pytest.raises(InputError) as caught:
        grid_from_files({"grid.toml": head, "buses.csv": b"name,vn_kv\nA,10\n", "sources.csv": b"name,bus\ns,A\n"})
    assert {p.table for p in caught.value.problems} == {"grid.toml"}


def test_faults_of_files() -> None:
    with pytest.raises(InputError, match="missing"):
        grid_from_files({})
    both = {"grid.toml": HEAD, "buses.csv": b"", "buses.parquet": b""}
    with pytest.raises(InputError, match="twice"):
        grid_from_files(both)
    with pytest.raises(InputError, match=r"buses\.parquet"):
        grid_from_files({"grid.toml": HEAD, "buses.parquet": b"PAR1 junk"})
    with pytest.raises(InputError, match=r"line 2.*UTF-8"):
        grid_from_files({"grid.toml": HEAD, "buses.csv": b"name,vn_kv\n\xff,1\n"})


def test_unknown_files_are_doubted() -> None:
    read = grid_from_files({"grid.toml": HEAD, "bus.csv": b"name\n1\n"})
    assert [(n.table, n.severity) for n in read.notes] == [("bus.csv", "warning")]


def test_unknown_table_format() -> None:
    with pytest.raises(OptionError, match="csv"):
        files_from_grid(grid(tables()), tables="xlsx")  # type: ignore[arg-type]


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_damaged_text_is_refused_and_never_fails(data: st.DataObject) -> None:
    files = files_from_grid(grid(tables()))
    name = data.draw(st.sampled_from(sorted(files)))
    content = files[name]
    at = data.draw(st.integers(0, len(content)))
    junk = data.draw(st.binary(max_size=6))
    files[name] = content[:at] + junk + content[data.draw(st.integers(at, len(content))) :]
    with suppress(InputError):
        grid_from_files(files).problems()


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.99])
def test_parquet_that_was_cut_off_is_refused(share: float) -> None:
    files = files_from_grid(grid(tables()), tables="parquet")
    whole = files["lines.parquet"]
    files["lines.parquet"] = whole[: int(share * len(whole))]
    with pytest.raises(InputError, match=r"lines\.parquet"):
        grid_from_files(files)
