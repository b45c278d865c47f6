"""The own format: lossless both ways, as Europe writes tables, and every fault with file, line and column."""

import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid import Grid
from openpoint.grid.files import files_from_grid, grid_from_files
from openpoint.grid.schemas import SCHEMAS
from openpoint.grid.table_files import no_formula, number_text, plain, table_from_csv, texts
from openpoint.results import export
from tests.grid.small import grid, tables
from tests.grid.strategies import grids
from tests.grid.strategies import tables as tables_of

HEAD = b'format = 1\nname = "g"\n'


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
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


@settings(max_examples=13, deadline=None)
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


EITHER = re.compile(r"[-+]?[1-9]\d{0,2},\d{3}")


def european(frame: pl.DataFrame, separator: str = ";") -> str:
    """The table as a European spreadsheet writes it."""
    rows = [frame.columns, *([_cell(value) for value in row] for row in frame.rows())]
    return "".join(separator.join(row) + "\n" for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, str):
        return '"' + value.replace('"', '""') + '"'
    if isinstance(value, list):
        return " ".join(_number(v) for v in value) or '""'
    return _number(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    return number_text(value).replace(".", ",")


@given(
    st.sampled_from(list(SCHEMAS)).flatmap(lambda kind: st.tuples(st.just(kind), tables_of(kind))),
    st.sampled_from(";\t"),
)
def test_a_table_in_european_style_reads_equal(drawn: tuple[str, pl.DataFrame], separator: str) -> None:
    kind, frame = drawn
    text = european(frame, separator)
    read, faults = table_from_csv(kind, text, "table.csv")
    if not faults:
        assert read.equals(frame)
        return
    # Refused only where no number tells: all with a comma could as well be thousands.
    (fault,) = faults
    assert "no number of the file tells which" in fault.message
    numbers = [v for name in frame.columns for v in frame[name].to_list() if isinstance(v, float | list)]
    parts = [_number(v) for value in numbers for v in (value if isinstance(value, list) else [value])]
    assert all(EITHER.fullmatch(part) for part in parts if "," in part)


@pytest.mark.parametrize("name", ["baran33", "ieee13-microgrids"])
def test_a_whole_grid_in_european_style_reads_equal(name: str) -> None:
    grid = openpoint.read(name)
    files = files_from_grid(grid)
    told = {f"{kind}.csv": european(frame).encode() for kind, frame in grid.tables().items() if frame.height}
    assert grid_from_files(files | told).equals(grid)


def test_a_decimal_point_goes_with_semicolons_too() -> None:
    read, faults = table_from_csv("buses", "name;vn_kv;x\nA;12.66;0.5\nB;12.66;1500\n", "buses.csv")
    assert (faults, read["vn_kv"].to_list(), read["x"].to_list()) == ([], [12.66, 12.66], [0.5, 1500.0])


BUSES: dict[str, tuple[str, str, str]] = {
    "both signs in a number": ("name;vn_kv\nA;10\nB;1.234,5\n", "'B' in line 3", "1.234,5 has a point and a comma"),
    "both signs in a file": ("name;vn_kv;x\nA;0,4;1\nB;0.4;1\n", "'B' in line 3", "0.4 has a point, but 0,4 in 'A'"),
    "fraction or thousands": ("name;vn_kv\nA;20\nB;1,234\n", "'B' in line 3", "1,234 may be 1.234 or 1234"),
    "thousands with points": ("name;vn_kv\nA;20\nB;20.000\n", "'B' in line 3", "20.000 may be 20.000 or 20000"),
    "a matrix of both": ("name;vn_kv;x\nA;10;1,5\nB;10.5;2\n", "'B' in line 3", "10.5 has a point, but 1,5 in 'A'"),
    "two signs between names": ("name;vn_kv,x\nA;10;1\n", "line 1", "commas and semicolons"),
    "commas everywhere": ("name,vn_kv\nA,0,4\n", "line 2", "3 cells, but the first line names 2 columns"),
    "a quoted decimal comma": ('name,vn_kv\nA,"0,4"\n', "'A' in line 2", "'0,4' is not a number"),
}


@pytest.mark.parametrize("what", BUSES)
def test_what_has_two_readings_is_refused_by_line(what: str) -> None:
    text, place, told = BUSES[what]
    _, faults = table_from_csv("buses", text, "buses.csv")
    assert [(fault.table, fault.row) for fault in faults] == [("buses.csv", place)]
    assert told in faults[0].message
    assert faults[0].remedy


def test_one_clear_number_tells_for_the_whole_file() -> None:
    read, faults = table_from_csv("buses", "name;vn_kv;x\nA;12,660;1,5\nB;12,660;2\n", "buses.csv")
    assert (faults, read["vn_kv"].to_list()) == ([], [12.66, 12.66])


def test_names_keep_their_commas() -> None:
    read, faults = table_from_csv("buses", "name;vn_kv\n1,5;0,4\n", "buses.csv")
    assert (faults, read.row(0)[:2]) == ([], ("1,5", 0.4))


@pytest.mark.parametrize("separator", [";", "\t"])
def test_futures_and_disasters_in_european_style(separator: str, tmp_path: Path) -> None:
    grid = openpoint.read("zhang13")
    futures = openpoint.grow(grid, count=4, seed=1)
    storms = openpoint.storms(grid, count=8, seed=1)
    (tmp_path / "futures.csv").write_text(european(futures.table(), separator))
    (tmp_path / "storms.csv").write_text(european(storms.table(grid), separator))
    assert openpoint.read_futures(tmp_path / "futures.csv", grid).equals(futures)
    assert openpoint.read_disasters(tmp_path / "storms.csv", grid).equals(storms)


def test_futures_and_disasters_with_two_readings_are_refused(tmp_path: Path) -> None:
    futures, storms = tmp_path / "futures.csv", tmp_path / "storms.csv"
    futures.write_text("future;bus;p_kw;q_kvar\na;1;1,500;2\n")
    storms.write_text("disaster;probability;branch\na;0,5;1\nb;0.5;2\n")
    with pytest.raises(InputError, match=r"futures.csv, line 2, p_kw: 1,500 may be 1.500 or 1500"):
        openpoint.read_futures(futures, "civanlar16")
    with pytest.raises(InputError, match=r"storms.csv, line 3, probability: 0.5 has a point, but 0,5 in line 2"):
        openpoint.read_disasters(storms, "zhang13")
    futures.write_text("future;bus;p_kw,q_kvar\n")
    storms.write_text("disaster;probability,branch\n")
    with pytest.raises(InputError, match=r"futures.csv, line 1: between the column names stand commas and semicolons"):
        openpoint.read_futures(futures, "civanlar16")
    with pytest.raises(InputError, match=r"storms.csv, line 1: between the column names stand commas and semicolons"):
        openpoint.read_disasters(storms, "zhang13")


def test_a_horizon_in_european_style(tmp_path: Path) -> None:
    (tmp_path / "steps.csv").write_text("step;hours;load_share\nnoon;1,5;0,75\n")
    assert openpoint.read_horizon(tmp_path).steps.row(0) == ("noon", 1.5, 0.75)


SIGNS = st.text(st.sampled_from("=+-@'\"\t\r\n;,| a1.＝"), max_size=8)
_FORMULA = re.compile(r"\"?[=+\-@\t\r＝＋－＠]")
_NUMBER = re.compile(r"-(\d+\.?\d*)(e-\d+)?")


def formulas(text: str) -> list[str]:
    """What of a CSV text a spreadsheet could take for a formula, whatever it takes for the sign between cells."""
    return [
        cell
        for sign in ",;\t|"
        for line in re.split(r"[\r\n]", text)
        for cell in line.split(sign)
        if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)
    ]


@given(SIGNS)
@settings(max_examples=50)
def test_no_text_is_a_formula_and_all_are_read_back(text: str) -> None:
    assert plain(no_formula(text)) == text
    assert no_formula(plain(no_formula(text))) == no_formula(text)
    frame = pl.DataFrame({"name": ["a", text, None], text + "x": ["b", "c", text]})
    assert texts(texts(frame, no_formula), plain).equals(frame)


NAMES = ["=cmd|' /C calc'!A0", "+x", "-x", "@SUM(A1)", "\tx", "x;=1+1", "x,=1+1", "'=a", "-5a", "-", "＝x", 'say "=1"']


def test_names_that_spreadsheets_take_for_formulas_are_written_as_texts(tmp_path: Path) -> None:
    grid = openpoint.read("baran33")
    old = grid.buses["name"].to_list()
    names = dict(zip(old, [*NAMES, *old[len(NAMES) :]]))
    rows = {kind: frame.to_dicts() for kind, frame in grid.tables().items() if not frame.is_empty()}
    for row in (row for table in rows.values() for row in table):
        row |= {key: names.get(row[key], row[key]) for key in ("bus", "from_bus", "to_bus") if key in row}
    for row in rows["buses"]:
        row["name"] = names[row["name"]]
    made = openpoint.Grid.from_tables("formulas", rows)
    openpoint.write(made, tmp_path / "tables")
    openpoint.write(made, tmp_path / "book.xlsx")
    for place in (tmp_path / "tables", tmp_path / "book.xlsx"):
        again = openpoint.read(place)
        assert all(again.tables()[kind].equals(frame) for kind, frame in made.tables().items())
    written = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "tables").glob("*.csv")}
    assert len(written) >= 4
    assert {name: formulas(text) for name, text in written.items() if formulas(text)} == {}
    results = export.to_csv(openpoint.run_powerflow(made), tmp_path / "results")
    assert [formulas(path.read_text(encoding="utf-8")) for path in results if formulas(path.read_text())] == []


def test_futures_of_such_names_are_read_back(tmp_path: Path) -> None:
    table = {"future": ["=1+1", "@a"], "bus": ["2", "2"], "p_kw": [100.0, 50.0], "q_kvar": [-1.0, 5.0]}
    futures = openpoint.read_futures(pl.DataFrame(table), "baran33")
    openpoint.write_futures(futures, tmp_path / "f.csv")
    assert formulas((tmp_path / "f.csv").read_text(encoding="utf-8")) == []
    assert openpoint.read_futures(tmp_path / "f.csv", "baran33").table().equals(futures.table())
