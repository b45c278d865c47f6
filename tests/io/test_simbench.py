"""SimBench CSV folders; `benchmarks.simbench_csv` compares whole grids with simbench's own converter."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import openpoint as op
from openpoint.errors import InputError, OptionError
from openpoint.io.write_back import write_back


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
        "LoadProfile": "time\n1",
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
    assert any("LoadProfile.csv" in str(note) for note in grid.notes)
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
