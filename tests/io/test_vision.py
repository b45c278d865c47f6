"""Workbooks of Vision: the voltages that power-grid-model computes, the user's names, and what is left out is said."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint import InputError, OptionError
from openpoint.errors import MissingExtraError
from openpoint.io.write_back import write_back

openpyxl = pytest.importorskip("openpyxl")

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
