"""REDS files, SimBench folders, and input of power-grid-model: units, faults, the voltages that others compute."""

import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
import openpoint as op
from openpoint import InputError
from openpoint.errors import OptionError
from openpoint.grid import Grid
from openpoint.io.pgm import grid_from_text
from openpoint.io.reds import grid_from_text as reds_from_text
from openpoint.io.write_back import write_back


def content() -> dict[str, Any]:
    """Two parallel transformers on coupled busbars, a ring of cables open at one end, all kinds of loads."""
    both = {"from_status": 1, "to_status": 1}
    unit = {"from_node": 1, "to_node": 2, **both, "u1": 110e3, "u2": 21e3, "sn": 30e6, "uk": 0.12, "pk": 120e3}
    unit |= {"i0": 0.002, "p0": 20e3, "winding_from": 1, "winding_to": 2, "clock": 5, "tap_side": 0, "tap_pos": 2}
    unit |= {"tap_min": 9, "tap_max": -9, "tap_nom": 0, "tap_size": 1500.0}
    cable = {"r1": 0.4, "x1": 0.3, "c1": 2e-6, "tan1": 0.01, "i_n": 300.0}
    nodes = [{"id": 1, "u_rated": 110e3}, *({"id": k, "u_rated": 20e3} for k in (2, 3, 4, 5, 6))]
    lines = [(20, 2, 4, 1, 1), (21, 4, 5, 1, 1), (22, 3, 6, 1, 1), (23, 6, 5, 0, 1)]
    return {
        "version": "1.0",
        "type": "input",
        "is_batch": False,
        "attributes": {"sym_load": ["id", "node", "status", "type", "p_specified", "q_specified"]},
        "data": {
            "node": nodes,
            "line": [
                {"id": k, "from_node": a, "to_node": b, "from_status": s, "to_status": t, **cable}
                for k, a, b, s, t in lines
            ],
            "link": [{"id": 30, "from_node": 2, "to_node": 3, **both}],
            "transformer": [{"id": 40, **unit}, {"id": 41, **unit, "to_node": 3, "uk": 0.1, "pk": 90e3}],
            "generic_branch": [
                {"id": 42, "from_node": 4, "to_node": 6, "from_status": 0, "to_status": 0, "r1": 0.5, "x1": 0.2}
                | {"g1": 0.0, "b1": 1e-4, "k": 1.0, "theta": 0.0, "sn": 1e7}
            ],
            "source": [{"id": 50, "node": 1, "status": 1, "u_ref": 1.04, "u_ref_angle": 0.1, "sk": 2e9}],
            "shunt": [{"id": 60, "node": 4, "status": 1, "g1": 1e-5, "b1": 5e-4}],
            "sym_load": [
                [70, 4, 1, 0, 2e6, 5e5],
                [71, 5, 1, 1, 1e6, 2e5],
                [72, 6, 1, 2, 3e6, 1e6],
                [73, 6, 0, 0, 9e9, 0],
            ],
            "sym_gen": [{"id": 80, "node": 5, "status": 1, "type": 0, "p_specified": 5e5, "q_specified": 0.0}],
        },
    }


def model_of(text: str) -> Any:
    from power_grid_model import CalculationMethod, PowerGridModel
    from power_grid_model.utils import json_deserialize
    from power_grid_model.validation import assert_valid_input_data

    data = json_deserialize(text)
    assert_valid_input_data(data)
    method = CalculationMethod.newton_raphson
    return PowerGridModel(data).calculate_power_flow(calculation_method=method, error_tolerance=1e-10)


def loss_kw(found: Any) -> float:
    return sum(float((found[kind]["p_from"] + found[kind]["p_to"]).sum()) for kind in BRANCHES if kind in found) / 1e3


BRANCHES = ("line", "link", "transformer", "generic_branch")
LINK = 1e-7
"""Voltage in pu that a link may take: power-grid-model gives it a small impedance."""


def agree(text: str, most: float = LINK) -> openpoint.Grid:
    """Voltages and losses are those of power-grid-model; the losses of the source's impedance are none of its."""
    grid = grid_from_text(text, "net.json")
    flow, found = openpoint.run_powerflow(grid), model_of(text)
    own = {
        name: v * np.exp(1j * math.radians(a))
        for name, v, a in flow.buses.select("name", "v_pu", "angle_degree").rows()
    }
    for node in found["node"]:
        assert abs(own[str(node["id"])] - node["u_pu"] * np.exp(1j * node["u_angle"])) < most
    inner = flow.branches.filter(~flow.branches["name"].str.starts_with("source"))["loss_kw"].sum()
    assert inner == pytest.approx(loss_kw(found), rel=1e-6)
    return grid


def test_voltages_and_losses_are_those_of_power_grid_model() -> None:
    made = content()
    grid = agree(json.dumps(made))
    assert grid.problems() == []
    states = {
        name: (may, closed) for name, may, closed in grid.branches().select("name", "switchable", "closed").rows()
    }
    assert states["20"] == (True, True)
    assert states["23"] == (True, False)
    assert states["30"] == states["40"] == states["source 50"] == (False, True)
    assert dict(grid.lines.select("name", "open_end").rows())["23"] == "from"
    for unit in made["data"]["transformer"]:
        unit |= {"to_node": 2, "tap_side": 1, "tap_size": 300.0, "tap_min": -9, "tap_max": 9}
    made["data"]["line"][2]["from_node"] = 2
    made["data"]["link"], made["data"]["node"] = [], [row for row in made["data"]["node"] if row["id"] != 3]
    agree(json.dumps(made), 1e-9)
    made["data"]["generic_branch"][0] |= {"from_status": 1, "to_status": 1, "k": 1.02, "theta": 0.0}
    agree(json.dumps(made), 1e-9)


@pytest.mark.parametrize("indent", [None, 2])
def test_states_are_written_back_into_the_file(indent: int | None, tmp_path: Path) -> None:
    source, copy = tmp_path / "net.json", tmp_path / "copy.json"
    source.write_text(json.dumps(content(), indent=indent))
    answer = openpoint.reconfigure(source, locked_open="21")
    changes = write_back(source, copy, dict(answer.branches.select("name", "closed_after").iter_rows()))
    assert {change.branch for change in changes} == {"21", "23"}
    pairs = [(a, b) for a, b in zip(source.read_bytes(), copy.read_bytes(), strict=True) if a != b]
    assert len(pairs) == 2
    source_loss = answer.branches.filter(answer.branches["name"] == "source 50")["loss_after_kw"].item()
    assert loss_kw(model_of(copy.read_text())) == pytest.approx(answer.loss_kw - source_loss, rel=1e-6)


def test_what_is_not_read_is_named_at_once() -> None:
    made = content()
    made["data"]["asym_load"] = [{"id": 90, "node": 4}]
    made["data"]["line"][0]["to_node"] = 99
    made["data"]["line"][1]["r1"] = None
    made["data"]["sym_gen"][0]["type"] = 2
    with pytest.raises(InputError) as caught:
        grid_from_text(json.dumps(made), "net.json")
    rows = {(problem.table, problem.row, problem.column) for problem in caught.value.problems}
    assert rows == {("asym_load", "90", ""), ("line", "20", "to_node"), ("line", "21", "r1"), ("sym_gen", "80", "type")}
    for text in ('{"type": "input", "is_batch": true, "data": {}}', '{"is_batch": false, "data": [', '{"is_batch": 0}'):
        with pytest.raises(InputError):
            grid_from_text(text, "net.json")


TEXT = (Path(__file__).parent / "data" / "small.pos").read_text()


def read(text: str) -> Grid:
    return reds_from_text(text, "small.pos")


def changed(old: str, new: str) -> str:
    assert TEXT.count(old) == 1
    return TEXT.replace(old, new)


def test_tables() -> None:
    grid = read(TEXT)
    assert grid.buses["name"].to_list() == ["0", "1", "2", "3", "4", "5"]
    assert grid.buses.select("vn_kv", "x", "y").row(3) == (10, 0, 2)
    assert grid.sources["bus"].to_list() == ["0", "1"]
    assert grid.lines["name"].to_list() == ["0", "1", "2", "3", "4"]
    assert grid.lines["closed"].to_list() == [True] * 4 + [False]
    assert grid.lines["r_ohm"].to_list() == [[0.5], [0.5], [0.25], [0.25], [1.0]]
    # The load belongs to the receiving bus.
    assert grid.loads.select("bus", "p_kw", "q_kvar").rows() == [("2", 100, 40), ("3", 200, -80), ("4", 50, 20)]
    assert grid.problems() == []


def test_per_unit() -> None:
    grid = read(changed(".PU 0", ".PU 1"))
    assert grid.lines["r_ohm"].to_list()[0] == [10.0]
    assert grid.loads["p_kw"][0] == 500_000


def test_loads_too_small_for_the_base_are_megawatts_with_a_note() -> None:
    grid = read(changed(".S_base 5", ".S_base 1000"))
    assert grid.loads["p_kw"].sum() == 350_000
    assert grid.lines["r_ohm"].to_list()[0] == [0.05]
    assert [n.column for n in grid.notes] == [".PU"]


def test_coordinates_beyond_the_grid_are_placeholders() -> None:
    assert read(changed(".Grid_size 3 2", ".Grid_size 2 2")).buses["x"].null_count() == 6


@pytest.mark.parametrize(
    ("old", "new", "row", "column"),
    [
        (".PU 0", ".PU 2", "line 1", ".PU"),
        (".PU 0", "", "", ".PU"),
        (".V_base 10.00", ".V_base 0", "line 2", ".V_base"),
        (".V_base 10.00", ".V_base nan", "line 2", ".V_base"),
        (".S_base 5", "", "", ".S_base"),
        (".Feder_node_ids 0 1", ".Feder_node_ids", "line 9", ".Feeder_node_ids"),
        (".Feder_node_ids 0 1", ".Feder_node_ids 0 9", "line 9", ".Feeder_node_ids"),
        (".Branch_count 5", ".Branch_count 6", "line 4", ".Branch_count"),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 2 0.5 0.4 100 40", "line 11", ""),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 2 0.5 x 100 40 S", "line 11", ""),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 2 0.5 1e999 100 40 S", "line 11", ""),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 2 0.5 0.4 100 40 X", "line 11", ""),
        ("0 0 2 0.5 0.4 100 40 S", "0 0 two 0.5 0.4 100 40 S", "line 11", ""),
        ("1 2 3 0.5 0.4 200", "1 3 2 0.5 0.4 200", "line 12", "to"),
        ("4 3 5 1.0 0.8", "4 3 5 1.0", "line 17", ""),
        ("5 3 2", "5 3", "line 25", ""),
        (".PU 0", "hello", "line 1", ""),
    ],
)
def test_faults_are_named(old: str, new: str, row: str, column: str) -> None:
    with pytest.raises(InputError) as caught:
        read(changed(old, new))
    assert (row, column) in [(p.row, p.column) for p in caught.value.problems]


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.6])
def test_a_file_that_was_cut_off_is_refused(share: float) -> None:
    with pytest.raises(InputError):
        read(TEXT[: int(share * len(TEXT))])


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read_and_never_fail(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.one_of(st.just(len(TEXT)), st.integers(at, min(at + 12, len(TEXT)))))
    junk = data.draw(st.text(max_size=5))
    with suppress(InputError):
        read(TEXT[:at] + junk + TEXT[end:]).problems()


def test_faults_are_named_by_table_id_and_column_all_at_once(tmp_path: Path) -> None:
    tables = {
        "Node": "id;type;vmSetp;vaSetp;vmR\nA;busbar;1.02;0;20\nB;node;NULL;NULL;20",
        "ExternalNet": "id;node;calc_type\ngrid;A;vavm\nequivalent;B;xWard",
        "Line": "id;nodeA;nodeB;type;length\nAB;A;B;cable;far\nBC;B;C;cabel;1",
        "LineType": "id;r;x;b;iMax\ncable;0.2;0.1;50;300",
        "Load": "id;node;pLoad;qLoad\nload;Z;0.2;0.05",
        "Transformer3W": "id;nodeHV\nthree;A",
    }
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text + "\n")
    with pytest.raises(InputError) as found:
        op.read(tmp_path)
    told = {(problem.table, problem.row, problem.column) for problem in found.value.problems}
    assert told == {
        ("Transformer3W.csv", "three", ""),
        ("Line.csv", "AB", "length"),
        ("Line.csv", "BC", "type"),
        ("Line.csv", "BC", "nodeB"),
        ("ExternalNet.csv", "equivalent", "calc_type"),
        ("Load.csv", "load", "node"),
    }
    (tmp_path / "Line.csv").write_text("id;nodeA;nodeB;type\nAB;A;B;cable\n\n;A;B;cable\n")
    with pytest.raises(InputError, match=r"Line\.csv.*length"):
        op.read(tmp_path)


def small(folder: Path) -> Path:
    """A folder with a cable behind a switch and a transformer without one, in a new folder."""
    tables = {
        "Node": "id;type;vmSetp;vaSetp;vmR\nA;busbar;1.02;0;20\nx;auxiliary;NULL;NULL;20\nB;node;NULL;NULL;20\n"
        "L;node;NULL;NULL;0.4",
        "ExternalNet": "id;node;calc_type\ngrid;A;vavm",
        "Line": "id;nodeA;nodeB;type;length\nAB;x;B;cable;2",
        "LineType": "id;r;x;b;iMax\ncable;0.2;0.1;50;300",
        "Switch": "id;nodeA;nodeB;type;cond\nS;A;x;LBS;1",
        "Load": "id;node;pLoad;qLoad\nload;B;0.2;0.05",
        "Transformer": "id;nodeHV;nodeLV;type;tappos;autoTap\nT;B;L;unit;1;1",
        "TransformerType": "id;sR;vmHV;vmLV;va0;vmImp;pCu;pFe;iNoLoad;tapable;tapside;dVm;dVa;tapNeutr;tapMin;tapMax\n"
        "unit;0.4;20;0.4;150;6;4.6;0;0;1;HV;2.5;0;0;-2;2",
        "LoadProfile": "time;H0_pload\n01.01.2016 00:00;1",
        "StudyCases": "Study Case\nbc",
    }
    folder.mkdir()
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text + "\n")
    return folder


def test_a_small_folder(tmp_path: Path) -> None:
    grid = op.read(small(tmp_path / "small"))
    assert grid.buses["name"].to_list() == ["A", "B", "L"]
    unit = grid.transformers.row(0, named=True)
    z = 0.4**2 / 0.4
    assert (unit["tap_pos"], unit["tap_side"], unit["tap_step_percent"]) == (1, "from", 2.5)
    assert unit["r_ohm"] == pytest.approx(4.6 / 400.0 * z)
    assert math.hypot(unit["r_ohm"], unit["x_ohm"]) == pytest.approx(0.06 * z)
    assert any("StudyCases.csv" in str(note) for note in grid.notes)
    assert any("autoTap" in str(note) for note in grid.notes)
    row = grid.lines.row(0, named=True)
    assert (row["from_bus"], row["to_bus"], row["open_end"], row["switchable"]) == ("A", "B", "from", True)
    assert row["b_us"] == pytest.approx([100.0])
    assert grid.sources["v_pu"].to_list() == [1.02]


@pytest.mark.parametrize(
    "switches",
    [
        b"id;nodeA;nodeB;type;cond\nS;A;x;LBS;1\n",
        b'\xef\xbb\xbf"cond";id;"nodeA";nodeB;type\r\n"1.0" ; S ;A;x;"Stra\xc3\x9fe; ""1"""\r\n',
        b"id;nodeA;cond;nodeB;type\rS;A; True;x;Stra\xdfe",
    ],
)
def test_only_the_cell_of_the_switch_changes(switches: bytes, tmp_path: Path) -> None:
    source, copy = small(tmp_path / "small"), tmp_path / "copy"
    (source / "Switch.csv").write_bytes(switches)
    (source / "notes.bin").write_bytes(b"\0\xff")
    changes = write_back(source, copy, {"AB": False, "T": True})
    assert [str(change).rpartition(" =")[0] for change in changes] == ["open AB: switch S, cond"]
    assert op.read(copy).lines["closed"].to_list() == [False]
    assert {path.name for path in copy.iterdir()} == {path.name for path in source.iterdir()}
    for path in source.iterdir():
        before, after = path.read_bytes(), (copy / path.name).read_bytes()
        if path.name == "Switch.csv":
            was = next(value for value in (b"1.0", b"True", b";1\n") if value in before)
            made = {b"1.0": b"0.0", b"True": b"False", b";1\n": b";0\n"}[was]
            assert after == before.replace(was, made)
        else:
            assert after == before
    (copy / "folder").mkdir()
    write_back(copy, copy, {"AB": True})
    (copy / "folder").rmdir()
    assert (copy / "Switch.csv").read_bytes() == switches
    (copy / "more").write_text("")
    with pytest.raises(OptionError, match="other files, such as more"):
        write_back(source, copy, {})


def test_a_branch_without_a_switch_is_refused_and_nothing_written(tmp_path: Path) -> None:
    source = small(tmp_path / "small")
    with pytest.raises(InputError, match="no switch stands at this branch"):
        write_back(source, tmp_path / "copy", {"T": False})
    assert not (tmp_path / "copy").exists()
