"""A .dss file is input, not a program: what it may not do is refused by file and line, before the engine runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openpoint.errors import InputError
from openpoint.io.opendss import text as opendss_text
from openpoint.io.opendss.read import grid_from_file
from openpoint.io.opendss.statement import parameters
from openpoint.io.opendss.text import read_script
from tests.io.feeders import LINE, LOAD, SUB, script


def statements(folder: Path, text: str) -> list[str]:
    (folder / "a.dss").write_text(text)
    script = read_script(folder / "a.dss")
    assert script.faults == []
    return [s.command for s in script.statements]


FORBIDDEN = [
    "DOScmd touch canary",
    "doscmd=touch canary",
    "cd /",
    "FileEdit a.dss",
    "Set DataPath=/",
    "set data=/",
    "Set Editor=vi",
    "Set Recorder=yes",
    "New Generator.G bus1=B kv=12.47 kw=1 UserModel=evil.so",
    "New Generator.G bus1=B kv=12.47 kw=1 user=evil.so",
    "New Generator.G B 12.47 1",
    "New object=Generator.G bus1=B kv=12.47 kw=1 usermodel=evil.so",
    "New Generator.G bus1=B kv=12.47 kw=1\n~ shaftmodel=evil.so",
    "New Generator.G bus1=B kv=12.47 kw=1\nGenerator.G.UserModel=evil.so",
    "Edit Generator.G UserModel=evil.so",
    "New Storage.S bus1=B dynadll=evil.so",
    "New CapControl.C capacitor=x usermodel=evil.so",
    "New LoadShape.S npts=2 mult=[1 2] action=dblsave",
    "LoadShape.S.action=dblsave",
    "Set class=generator",
    "Set Object=x",
    "Set TraceControl=yes",
    "New Generator.G bus1=B kv=12.47 kw=1\nRedirect more.dss\n~ usermodel=evil.so",
    "New XYCurve.X npts=2 xarray=[0 1] yarray=[0 1] action=dblsave",
    "New EnergyMeter.M element=line.L1 action=reduce",
    "var @lib=evil.so @more=(@lib)\nNew Generator.G bus1=B kv=12.47 kw=1 usermodel=@more",
    "var @name=usermodel\nNew Generator.G bus1=B kv=12.47 kw=1 @name=evil.so",
    "Set AllowForms=yes",
    "Rotate",
    "Cleanup",
    "whatever else",
    "s",
    # A word in quotation marks or brackets is a name to the engine.
    'New LoadShape.S npts=3 interval=1 mult=(1 2 3) "action"=dblsave',
    "New LoadShape.S npts=3 interval=1 mult=(1 2 3) [action]=dblsave",
    "New LoadShape.S npts=3 interval=1 mult=(1 2 3) {action} = dblsave",
    'set "datapath"=/tmp',
    "set (recorder)=yes",
    '"generator.g.usermodel"=evil.so',
    "'loadshape.s.action'=dblsave",
    "(generator.g.usermodel)=evil.so",
    'generator."g".usermodel=evil.so',
    '"set" datapath=/tmp',
    "New Generator.G bus1=B 'usermodel'=evil.so",
    "New Generator.G bus1=B kw= usermodel=evil.so",
    "New Generator.G bus1=B kw==usermodel=evil.so",
    'New Generator.G bus1=B kw="1"usermodel=evil.so',
    "New Generator.G bus1=B kw=(1 usermodel=evil.so",
    "New Generator.G bus1=B kw=(1 usermodel=evil.so)",
    "New Generator.G bus1=B like=x\x0busermodel=evil.so",
    "New Generator.G 3 B 12.47 1 .9 .5 1 .9 1.1 x x x default 0 wye fixed 1 1 9 9 1 no 9 9 1 1 1 1 1 evil.so",
    "BatchEdit Generator..* usermodel=evil.so",
    "BatchEdit Generator..* user=evil.so",
    "New DynamicExp.D nvariables=1 expression=[x = 1]",
    "New LoadShape.S npts=2 sngfile=a.sng",
    "New LoadShape.S npts=2 mult=[sngfile=a.dss]",
    "New LoadShape.S npts=2 mult=['file'=a.dss]",
    "New LoadShape.S npts=2 csvfile=/etc/passwd",
    "New LoadShape.S npts=2 csvfile=../../../../../etc/passwd",
    "New LoadShape.S npts=2 mult=(file=/etc/passwd)",
    "New Load.X bus1=B kw=@lib",
    "New Load.X bus1=B zipv=[1 @lib]",
    "Redirect /etc/passwd",
    "Redirect ../../../../../../../../etc/passwd",
    "Solve mode=snap datapath=/tmp",
    "~ kw=1 (usermodel)=evil.so",
]


@pytest.mark.parametrize("line", FORBIDDEN)
def test_nothing_is_run_opened_or_written(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.dss"
    (tmp_path / "more.dss").write_text("! nothing\n")
    path.write_text(script(SUB + LINE + LOAD + line + "\n"))
    with pytest.raises(InputError) as caught:
        grid_from_file(path)
    last = caught.value.problems[-1]
    number = path.read_text().split("\n").index(line.split("\n")[-1]) + 1
    assert (last.table, last.row) == ("a.dss", f"line {number}")
    assert last.remedy
    assert sorted(os.listdir(tmp_path)) == ["a.dss", "more.dss"]
    assert Path.cwd() == tmp_path


def test_reports_are_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.dss"
    reports = "Show Voltages LN Nodes\nExport Voltages\nPlot circuit\nSave Circuit\nDump\n? Line.L1.r1\nSummary\n"
    path.write_text(script(SUB + LINE + LOAD) + reports)
    assert grid_from_file(path).lines.height == 2
    assert os.listdir(tmp_path) == ["a.dss"]
    assert len(read_script(path).left_out) == 7


def test_traces_are_switched_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.dss"
    trace = "New RegControl.R transformer=Sub winding=2 vreg=120 ptratio=60 debugtrace=Yes delay=5\n"
    path.write_text(script(SUB + LINE + LOAD + trace + "RegControl.R.DebugTrace=true\n"))
    assert grid_from_file(path).lines.height == 2
    assert os.listdir(tmp_path) == ["a.dss"]


def test_what_only_records_or_reports_is_counted_in_one_note(tmp_path: Path) -> None:
    path = tmp_path / "a.dss"
    recorder = "New Monitor.M element=line.nowhere mode=1\n~ ppolar=no\nMonitor.M.mode=2\nShow Voltages\nPlot Circuit\n"
    path.write_text(script(SUB + LINE + LOAD + recorder))
    told = [note.message for note in grid_from_file(path).notes if "left out" in note.message]
    assert told == ["5 statements that only record, report or draw are left out: monitor, plot, show"]


def test_variables_are_put_in_before_the_statement_is_judged(tmp_path: Path) -> None:
    text = "var @kw=20 @half=(@kw 2 /)\nVar @Bus=B\nNew Load.A bus1=@bus.1 kw=@KW kvar=@half yearly=x@kw"
    assert statements(tmp_path, text) == ['new "load.a" bus1=B.1 kw=20 kvar=(20 2 /) yearly="x@kw"']


def test_tabs_inline_arithmetic_and_shapes_before_the_circuit(tmp_path: Path) -> None:
    path = tmp_path / "a.dss"
    (tmp_path / "my day.csv").write_text("1\n2\n4\n")
    shape = 'New\tLoadshape.day\tnpts=3 interval=1 mult=(file="my day.csv") action=Normalize\nClear\n'
    meter = "New energymeter.m element=line.L1 terminal=1 option=R action=C PhaseVolt=yes peakcurrent=(9,9,9)\n"
    body = script(SUB + LINE + "New\tLoad.T\tbus1=B\tphases=3 kv=12.47 kw=(10 20 +) kvar={3 sqr}\n" + meter)
    path.write_text(shape.replace("Clear\n", "") + body.removeprefix("Clear\n"))
    assert grid_from_file(path).loads.select("p_kw", "q_kvar").row(0) == (30.0, 9.0)


def test_a_stray_zero_byte_is_a_blank_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "a.dss"
    text = script(SUB + LINE + LOAD + "New Load.Z bus1=B\0 phases=3 kv=12.47 kw=7\n")
    path.write_bytes(text.encode())
    grid = grid_from_file(path)
    assert grid.loads.filter(name="z")["p_kw"].item() == 7.0
    line = text.split("\n").index(next(row for row in text.split("\n") if "\0" in row)) + 1
    assert [note.row for note in grid.notes if "zero" in note.message] == [f"line {line}"]
    path.write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match="UTF-16"):
        grid_from_file(path)


def test_redirects_are_followed_from_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "Lines.DSS").write_text("! wires\nRedirect ../codes.dss\n" + LINE)
    (tmp_path / "codes.dss").write_text("New Linecode.K r1=1 x1=1\n")
    found = statements(tmp_path, "Redirect deep\\lines.dss  ! as on Windows\nCompile (codes.dss)\nNew Load.x bus1=B")
    assert [text.split()[1] for text in found] == ['"linecode.k"', '"line.l1"', '"linecode.k"', '"load.x"']


def test_missing_and_circular_files_are_told_by_line(tmp_path: Path) -> None:
    (tmp_path / "b.dss").write_text("\nRedirect a.dss\n")
    (tmp_path / "a.dss").write_text("Redirect b.dss\nRedirect nowhere.dss\nCompile\n")
    found = [(p.table, p.row) for p in read_script(tmp_path / "a.dss").faults]
    assert found == [("b.dss", "line 2"), ("a.dss", "line 2"), ("a.dss", "line 3")]


def test_files_of_curves_are_read_here_from_the_folder_of_the_circuit(tmp_path: Path) -> None:
    home = tmp_path / "utility" / "feeder"
    home.mkdir(parents=True)
    (home / "Curve.csv").write_text("1\n2\n")
    (home.parent / "other.csv").write_text("1\n2\n")
    (home / "library.csv").write_bytes(b"\x7fELF\x02\x01\x01\0\0\0")
    body = "New LoadShape.S npts=2 mult=(file=curve.csv, column=2 header=yes)\nNew LoadShape.T npts=2 csvfile=Curve.csv"
    assert statements(home, body) == [
        'new "loadshape.s" npts=2 mult=(file=numbers-1.csv column=2 header=yes)',
        'new "loadshape.t" npts=2 csvfile=numbers-1.csv',
    ]
    assert read_script(home / "a.dss").data == {"numbers-1.csv": "1\n2\n"}
    for name, words in {"../other.csv": "no file", "library.csv": "binary"}.items():
        (home / "a.dss").write_text(f"New LoadShape.S npts=2 csvfile={name}")
        assert words in read_script(home / "a.dss").faults[0].message


def test_files_are_drawn_in_from_the_folder_of_the_circuit_and_those_beside_it(tmp_path: Path) -> None:
    home = tmp_path / "utility" / "feeder"
    home.mkdir(parents=True)
    (home.parent / "common").mkdir()
    (home.parent / "common" / "codes.dss").write_text("New Linecode.K r1=1 x1=1\n")
    (tmp_path / "far.dss").write_text("New Linecode.K r1=1 x1=1\n")
    (home / "link.dss").symlink_to(tmp_path / "far.dss")
    assert len(statements(home, "Redirect ../common/codes.dss")) == 1
    (home / "a.dss").write_text(f"Redirect ../../far.dss\nRedirect {tmp_path}/far.dss\nRedirect link.dss\n")
    assert [p.row for p in read_script(home / "a.dss").faults] == ["line 1", "line 2", "line 3"]


def test_variables_and_files_do_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    double = "".join(f"var @v{k + 1}=(@v{k} @v{k})\n".replace("(@v0 @v0)", "aaaaaaaaaa") for k in range(60))
    (tmp_path / "a.dss").write_text(double)
    assert "10,000" in read_script(tmp_path / "a.dss").faults[0].message
    monkeypatch.setattr(opendss_text, "MOST_BYTES", 1000)
    (tmp_path / "b.dss").write_text("! nothing\n" * 40)
    (tmp_path / "a.dss").write_text("Redirect b.dss\n" * 9)
    (found,) = {p.table for p in read_script(tmp_path / "a.dss").faults}
    assert found == "b.dss"


def test_nothing_counts_after_an_empty_value_as_in_the_engine_and_a_note_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.dss"
    path.write_text(script(SUB + LINE + "New Load.Z bus1=B phases=3 kv=12.47 kw=7, pf=,model=2\n"))
    grid = grid_from_file(path)
    assert grid.loads.select("p_kw", "model").row(0) == (7.0, "power")
    assert any("left empty" in note.message and "(1 line)" in note.message for note in grid.notes)


def test_comments_and_abbreviations(tmp_path: Path) -> None:
    text = """! first
// second
/* a block
New Load.no bus1=x
*/
New Load.A bus1=B.1 // tail
~ kw=10 ! another
Sol
Load.A.kW=20
"""
    assert statements(tmp_path, text) == [
        'new "load.a" bus1=B.1',
        'edit "load.a" kw=10',
        "solve",
        'edit "load.a" kw=20',
    ]
    verbs = [s.verb for s in read_script(tmp_path / "a.dss").statements]
    assert verbs == ["new", "~", "solve", "property"]


def test_parameters() -> None:
    line = """Load.X bus1=B.1 kV = 7.2, rmatrix=(1 | 2 3) name='a b' "c d" [1, 2]"""
    assert parameters(line) == (
        [
            ("", "Load.X"),
            ("bus1", "B.1"),
            ("kv", "7.2"),
            ("rmatrix", "(1 | 2 3)"),
            ("name", "'a b'"),
            ("", '"c d"'),
            ("", "[1, 2]"),
        ],
        "",
    )
    assert parameters("kw=3, kvar=, model=2") == ([("kw", "3")], "kvar=, model=2")
