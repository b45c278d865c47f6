"""Workbooks: grids there and back without loss, what a spreadsheet makes of cells, and workbooks of Vision."""

import datetime
import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import openpoint
from openpoint import Grid, InputError, OptionError
from openpoint.errors import MissingExtraError, Problem
from openpoint.grid.schemas import SCHEMAS
from openpoint.io.workbook.read import grid_from_workbook
from openpoint.io.workbook.write import workbook_from_grid
from openpoint.io.write_back import write_back
from openpoint.studies.partition.bounds import read_priorities
from tests.cli.desk import tables
from tests.grid.strategies import names
from tests.grid.strategies import tables as tables_of

openpyxl = pytest.importorskip("openpyxl")


ANY_TABLE = st.sampled_from(list(SCHEMAS)).flatmap(lambda kind: st.tuples(st.just(kind), tables_of(kind)))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
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
    with pytest.raises(InputError, match=r"d.xlsx, line 4, disaster 'b', branch 'nowhere', branch: there is no branch"):
        openpoint.read_disasters(book(tmp_path / "d.xlsx", a=rows), "zhang13")
    with pytest.raises(InputError, match="none is named futures"):
        openpoint.read_futures(book(tmp_path / "f.xlsx", a=rows, b=rows), "civanlar16")
    with pytest.raises(InputError, match="there is no sheet of the steps"):
        openpoint.read_horizon(book(tmp_path / "h.xlsx", a=rows, b=rows))
    with pytest.raises(OptionError, match=r"or read from .xlsx"):
        openpoint.read_disasters("storms.ods", "zhang13")


Sheet = list[tuple[Any, ...]]
"""Column names, units, and a row an element."""
ENDS = ("From.Number", "From.Switch state", "To.Number", "To.Switch state")
AT = ("Node.Number", "Subnumber", "Name", "ID", "Switch state")
CABLE = (0.4, 0.3, 2.0, 0.0, 0.0, 2.0, 300.0, 500.0)
UNIT = ("YNd5", 110, 21, 30, 12, 120, 20, 1.0, 1, 2, 9, 0, -9, 1.5, "none", "none", 0, 0, 0, 0, 0)


def sheets() -> dict[str, Sheet]:
    """A transformer, and a ring of cables that is open at one end; names missing, and given twice."""
    electric = ("R", "X", "C", "R0", "X0", "C0", "Inom'", "Length")
    unit = ("Connection", "Unom1", "Unom2", "Snom", "uk", "Pk", "Po", "Io", "Tap side", "Tap", "Tap min", "Tap nom")
    unit += ("Tap max", "Tap size", "N1", "N2", "Re1", "Xe1", "Re2", "Xe2", "Control")
    regulator = ("Measuring side", "Uset", "Uband", "Rc", "Xc")
    return {
        "Nodes": [
            ("Number", "Name", "ID", "Unom", "Simultaneity"),
            (None, None, None, "kV", None),
            (1, "Grid", None, 110, 1),
            (2, "Station", None, 20, 1),
            (3, "North", None, 20, 0.8),
            (4, None, "S7", 20, 1),
        ],
        "Cables": [
            ("Number", "Name", "ID", *ENDS, *electric),
            (*[None] * 7, "Ohm", "Ohm", "µF", "Ohm", "Ohm", "µF", "A", "m"),
            (1, "Out", None, 2, "in", 3, "in", *CABLE),
            (2, "Out", None, 3, "in", 4, "off", *CABLE),
            (3, None, None, 4, "in", 2, "in", *CABLE),
        ],
        "Transformers": [
            ("Number", "Name", "ID", *ENDS, *unit, *regulator),
            (
                *[None] * 8,
                "kV",
                "kV",
                "MVA",
                "%",
                "kW",
                "kW",
                "A",
                *[None] * 5,
                "kV",
                *[None] * 8,
                "kV",
                "kV",
                None,
                None,
            ),
            (1, "T1", None, 1, "in", 2, "in", *UNIT, 2, 20, 0.4, 0, 0),
        ],
        "Sources": [
            (*AT, "Uref", 'Sk"nom', "R/X", "Z0/Z1"),
            (*[None] * 5, "pu", "MVA", None, None),
            (1, 1, "HV", None, "in", 1.03, 2000, 0.1, 3),
        ],
        "Loads": [
            (*AT, "P", "Q", "Behaviour"),
            (*[None] * 5, "MW", "Mvar", None),
            (3, 1, "Bakery", None, "in", 2.5, 0.5, "Constant power"),
            (4, 1, "School", None, "in", 1.0, 0.2, "Constant impedance"),
        ],
    }


SHEETS = {
    "Nodes": "Knooppunten",
    "Cables": "Kabels",
    "Transformers": "Transformatoren",
    "Sources": "Netvoedingen",
    "Loads": "Belastingen",
}
HEADINGS = {"Number": "Nummer", "Name": "Naam", "Simultaneity": "Gelijktijdigheid", "Subnumber": "Subnummer"}
HEADINGS |= {"From.Number": "Van.Nummer", "To.Number": "Naar.Nummer", "Node.Number": "Knooppunt.Nummer"}
HEADINGS |= {"From.Switch state": "Van.Schakelstand", "To.Switch state": "Naar.Schakelstand"}
HEADINGS |= {"Switch state": "Schakelstand", "Length": "Lengte", "Connection": "Schakeling", "Control": "Regeling"}
HEADINGS |= {"Po": "Pnul", "Io": "Inul", "Tap side": "Trapzijde", "Tap": "Trapstand", "Tap size": "Trapgrootte"}
HEADINGS |= {"Tap min": "Trapmin", "Tap nom": "Trapnom", "Tap max": "Trapmax", "Re1": "Ra1", "Xe1": "Xa1", "Re2": "Ra2"}
HEADINGS |= {"Xe2": "Xa2", "Measuring side": "Meetzijde", "Behaviour": "Gedrag"}
WORDS = {"off": "uit", "none": "geen", "Constant power": "Constant vermogen"}
WORDS |= {"Constant impedance": "Constante impedantie"}


def in_dutch(content: dict[str, Sheet]) -> dict[str, Sheet]:
    """The same workbook with the sheets, headings and words of a Dutch export."""
    return {
        SHEETS[sheet]: [
            tuple(HEADINGS.get(cell, cell) for cell in rows[0]),
            *(tuple(WORDS.get(cell, cell) for cell in row) for row in rows[1:]),
        ]
        for sheet, rows in content.items()
    }


class Content(io.BytesIO):
    """A workbook in memory: the package would leave its file open."""

    suffix = ".xlsx"


def put(table: Sheet, column: str, value: Any, row: int = 2) -> None:
    cells = list(table[row])
    cells[table[0].index(column)] = value
    table[row] = tuple(cells)


def add(table: Sheet, column: str, *values: Any) -> None:
    """One more column: its name, its unit and a value a row."""
    table[:] = [(*cells, value) for cells, value in zip(table, (column, *values), strict=True)]


def save(folder: Path, content: dict[str, Sheet]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in content.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(folder / "vision.xlsx")
    return folder / "vision.xlsx"


@pytest.fixture
def installed() -> None:
    pytest.importorskip("power_grid_model_io")
    pytest.importorskip("power_grid_model")


@pytest.mark.usefixtures("installed")
def test_voltages_are_those_of_power_grid_model(tmp_path: Path) -> None:
    from power_grid_model import PowerGridModel
    from power_grid_model_io.converters.vision_excel_converter import VisionExcelConverter
    from power_grid_model_io.data_stores.vision_excel_file_store import VisionExcelFileStore

    path = save(tmp_path, sheets())
    source: Any = Content(path.read_bytes())
    data, _ = VisionExcelConverter().load_input_data(data=VisionExcelFileStore(source).load())
    found = PowerGridModel(data).calculate_power_flow(error_tolerance=1e-10)
    flow = openpoint.run_powerflow(openpoint.read(path))
    own = {
        name: v * np.exp(1j * np.radians(a)) for name, v, a in flow.buses.select("name", "v_pu", "angle_degree").rows()
    }
    for name, node in zip(("Grid", "Station", "North", "S7"), found["node"], strict=True):
        assert abs(own[name] - node["u_pu"] * np.exp(1j * node["u_angle"])) < 1e-7
    lost = sum(float((found[kind]["p_from"] + found[kind]["p_to"]).sum()) for kind in ("line", "transformer"))
    inner = flow.branches.filter(flow.branches["name"] != "source HV")["loss_kw"].sum()
    assert inner == pytest.approx(lost / 1e3, rel=1e-6)
    assert flow.branches["loss_kw"].min() >= 0.0


@pytest.mark.usefixtures("installed")
def test_a_dutch_workbook_is_the_same_grid_with_its_coordinates(tmp_path: Path) -> None:
    content = sheets()
    add(content["Nodes"], "GX", "m", 120_000, 120_400.5, 0, None)
    add(content["Nodes"], "GY", "m", 480_000, 480_100, 0, 7)
    english = openpoint.read(save(tmp_path, content))
    dutch = openpoint.read(save(tmp_path, in_dutch(content)))
    assert not dutch.notes
    for kind in ("buses", "transformers", "loads", "sources"):
        assert dutch.tables()[kind].equals(english.tables()[kind])
    places = [(120_000.0, 480_000.0), (120_400.5, 480_100.0), (None, None), (None, None), (None, None)]
    assert dutch.buses.select("x", "y").rows() == places
    names = ["Out (Kabels 1)", "Out (Kabels 2)", "Kabels 3", "source HV"]
    assert dutch.lines["name"].to_list() == names
    assert dutch.lines.drop("name").equals(english.lines.drop("name"))


@pytest.mark.usefixtures("installed")
def test_names_are_those_of_the_workbook(tmp_path: Path) -> None:
    grid = openpoint.read(save(tmp_path, sheets()))
    assert grid.name == "vision"
    assert grid.buses["name"].to_list() == ["Grid", "Station", "North", "S7", "source HV"]
    names = ["Out (Cables 1)", "Out (Cables 2)", "Cables 3", "source HV"]
    ends = [("Station", "North", True), ("North", "S7", False), ("S7", "Station", True), ("source HV", "Grid", True)]
    assert grid.lines.select("name", "from_bus", "to_bus", "closed").rows() == [
        (name, *end) for name, end in zip(names, ends, strict=True)
    ]
    assert grid.lines["open_end"][1] == "to"
    assert grid.loads.select("name", "bus", "p_kw", "model").rows() == [
        ("Bakery", "North", 2000.0, "power"),  # 2.5 MW times the simultaneity of its node
        ("School", "S7", 1000.0, "impedance"),
    ]
    assert not grid.notes


@pytest.mark.usefixtures("installed")
def test_what_is_left_out_or_assumed_is_a_warning_that_changes_figures(tmp_path: Path) -> None:
    content = sheets()
    content["Asynchronous motors"] = [("Node.Number", "Subnumber"), (None, None), (3, 2)]
    add(content["Loads"], "Growth", None, "2 % per year", None)
    add(content["Loads"], "Unbalanced", None, 0, None)
    add(content["Cables"], "Failure frequency", "/km/year", 0.1, 0.1, 0.1)
    put(content["Loads"], "Behaviour", "Residential")
    put(content["Transformers"], "Control", 1)
    grid = openpoint.read(save(tmp_path, content))
    assert {(note.table, note.column) for note in grid.notes} == {
        ("transformer_tap_regulator", ""),
        ("Asynchronous motors", ""),
        ("Loads", "Growth"),
        ("Loads", "Behaviour"),
    }
    assert all(note.changes_figures for note in grid.notes)


@pytest.mark.usefixtures("installed")
def test_faults_name_the_element(tmp_path: Path) -> None:
    content = sheets()
    put(content["Nodes"], "Unom", -20, row=4)
    put(content["Cables"], "X", 0)
    put(content["Cables"], "R", 0)
    with pytest.raises(InputError) as caught:
        openpoint.read(save(tmp_path, content))
    assert {(fault.table, fault.row) for fault in caught.value.problems} >= {("node", "North")}
    content = sheets()
    put(content["Cables"], "From.Switch state", None)
    with pytest.raises(InputError, match="cannot convert"):
        openpoint.read(save(tmp_path, content))
    content = sheets()
    del content["Nodes"][2:], content["Cables"][2:]
    with pytest.raises(InputError):
        openpoint.read(save(tmp_path, content))


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "power_grid_model_io.converters.vision_excel_converter", None)
    with pytest.raises(MissingExtraError, match=r"workbook of Vision.*power-grid-model-io"):
        openpoint.read(save(tmp_path, sheets()))


@pytest.mark.usefixtures("installed")
def test_states_are_not_written_back(tmp_path: Path) -> None:
    path = save(tmp_path, sheets())
    with pytest.raises(OptionError, match="are written back into"):
        write_back(path, tmp_path / "after.xlsx", {"Cables 3": False})
    assert not (tmp_path / "after.xlsx").exists()
