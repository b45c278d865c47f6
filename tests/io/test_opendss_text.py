"""A .dss file is input, not a program: statements are filtered as the engine reads them, and the engine is confined."""

import contextlib
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opendssdirect import DSSException

from openpoint.errors import InputError, Problem
from openpoint.io.opendss import process as opendss_process
from openpoint.io.opendss import text as opendss_text
from openpoint.io.opendss.engine import borrow_engine, hand_back, run_statements
from openpoint.io.opendss.process import run_script
from openpoint.io.opendss.read import grid_from_file
from openpoint.io.opendss.statement import CLASSES, OPTIONS, Statement, full, parameters
from openpoint.io.opendss.text import Script, read_script
from tests.io.feeders import FEEDERS, LINE, LOAD, SERVICES, SUB, script


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


def test_files_of_several_folders_in_one_are_found_by_their_names_and_told(tmp_path: Path) -> None:
    (tmp_path / "codes.dss").write_text("New Linecode.K r1=1 x1=1\n")
    (tmp_path / "a.dss").write_text("Redirect ..\\common\\codes.dss\n")
    script = read_script(tmp_path / "a.dss")
    assert len(script.statements) == 1
    assert not script.faults
    (note,) = script.notes
    assert (note.row, note.severity) == ("line 1", "warning")
    assert "'codes.dss' in the folder of the circuit is read in its place" in note.message


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


ODD = """New Line.Pos B C , , length=9
New Line.Short bus1=B bus2=C le=2 r1=.1 x=.2 rm=9
New Line.Named B C length = 3 4 .1 , .2 .3
New 'Load.My load' bus1=B ph=1 3 7.2 kw=(2 3 *) PF=.9
New Load.Cut bus1=B kw=3, kvar=, kv=5
New Load.Q kw="4" bus1=[B] kv=12.47
New LoadShape.S 3 1 (1 2 3) act=norm
Load.Q.kw=5 kvar=2
~ model=2
Edit Load.Pos kw=1
New LoadShape.T like=S
BatchEdit Load.Q.* kw=9
"""


def properties_of(engine: Any) -> dict[str, dict[str, str]]:
    """All properties of all objects of all classes."""
    found: dict[str, dict[str, str]] = {}
    for kind in CLASSES:
        engine.Circuit.SetActiveClass(kind)
        has_next = engine.ActiveClass.First()
        while has_next:
            names = engine.Element.AllPropertyNames()
            # The engine leaves matrices of these that were not given as its memory was.
            told = [name for name in names if kind not in ("capacitor", "reactor") or "Matrix" not in name]
            found[engine.Element.Name().lower()] = {name: engine.Properties.Value(name) for name in told}
            has_next = engine.ActiveClass.Next()
    return found


@pytest.mark.parametrize("name", [*FEEDERS, "services", "odd"])
def test_both_give_the_same_objects(name: str, tmp_path: Path) -> None:
    body = {"services": SUB + LINE + LOAD + SERVICES, "odd": SUB + LINE + LOAD + ODD.replace("Load.Pos", "Load.Q")}
    path = tmp_path / "a.dss"
    path.write_text(script(FEEDERS[name] if name in FEEDERS else body[name]))
    parsed = read_script(path)
    assert parsed.faults == []
    found = []
    for texts in ([s.text for s in parsed.statements], [s.command for s in parsed.statements]):
        engine = borrow_engine()
        for text in texts:
            engine.Text.Command(text)
        found.append(properties_of(engine))
        hand_back(engine)
    differ = [
        (element, name, value, found[1][element][name])
        for element, given in found[0].items()
        for name, value in given.items()
        if found[1][element][name] != value
    ]
    assert differ == []
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) > 5


def test_the_words_are_those_of_the_engine_in_their_order() -> None:
    """A value without a name, and an abbreviation, depend on the order."""
    engine = borrow_engine()
    run_statements(engine, [])
    engine.Text.Command("new circuit.c")
    options = [engine.Executive.Option(k + 1).lower() for k in range(engine.Executive.NumOptions())]
    assert [word.lstrip("-~") for word in OPTIONS] == options
    for kind, words in CLASSES.items():
        engine.Circuit.SetActiveClass(kind)
        with contextlib.suppress(DSSException):  # some want more than a name
            engine.Text.Command(f"new {kind}.one")
        assert [word.lstrip("-~") for word in words] == [name.lower() for name in engine.Element.AllPropertyNames()]
    hand_back(engine)
    assert full(CLASSES["line"], "li") == CLASSES["line"].index("linecode")
    assert full(CLASSES["generator"], "user") == CLASSES["generator"].index("-usermodel")


BREAKING = {
    "New LineGeometry.q cncable=[1 2 3 4 5 6 7 8 9 10 11 12] reduce=(1 2 3)": "lines.dss, line 3",
    "New Sensor.s element=line.L1 terminal=1 kvbase=12.47 clear=yes kws=[1 1 1]": "lines.dss, line 3",
}
# The volt-var control of a PV system that hunts, and may do so for days.
ENDLESS = """New XYCurve.V npts=2 xarray=[.5 1.5] yarray=[1 -1]
New PVSystem.P bus1=B phases=3 kv=12.47 kva=9000 pmpp=9000
New InvControl.I mode=voltvar voltage_curvex_ref=rated vvc_curve1=V
Set MaxControlIter=2000000000
"""


def problem(path: Path) -> Problem:
    with pytest.raises(InputError) as caught:
        grid_from_file(path)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def put(folder: Path, line: str) -> Path:
    """A circuit whose lines are in a file of their own, which ends with one more line."""
    (folder / "lines.dss").write_text(f"{LINE}{LOAD}{line}\n")
    (folder / "a.dss").write_text(script(f"{SUB}Redirect lines.dss\n"))
    return folder / "a.dss"


@pytest.mark.parametrize("line", BREAKING)
def test_a_breakdown_is_told_by_statement_file_and_line(line: str, tmp_path: Path) -> None:
    found = problem(put(tmp_path, line))
    assert f"{found.table}, {found.row}" == BREAKING[line]
    assert found.message == f"OpenDSS breaks down (SIGSEGV) at this statement: {line}"
    assert grid_from_file(put(tmp_path, "! nothing")).lines.height == 2  # the next file is read by a new process


def test_a_breakdown_in_a_power_flow_is_told(tmp_path: Path) -> None:
    path = put(tmp_path, "New GenDispatcher.G element=line.L1 genlist=[no one]")
    found = problem(path)
    assert (found.table, found.message) == ("a.dss", "OpenDSS breaks down (SIGSEGV) at this statement: Solve")
    path.write_text(path.read_text().replace("Solve\n", ""))
    assert problem(path).message == "OpenDSS breaks down (SIGSEGV) at the power flow of the circuit"


def test_a_breakdown_after_faults_tells_these(tmp_path: Path) -> None:
    later = "New CapControl.C capacitor=later element=line.L1 type=kvar\nSet mode=daily"
    found = problem(put(tmp_path, later))
    assert (found.table, found.row) == ("lines.dss", "line 3")
    assert found.message == 'OpenDSS: "CapControl.c": Capacitor is not set, aborting'


def test_what_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid_from_file(put(tmp_path, "! nothing"))  # the process is there
    monkeypatch.setattr(opendss_process, "SILENCE_S", 1.0)
    path = put(tmp_path, ENDLESS)
    found = problem(path)
    assert found.message.startswith("OpenDSS hangs: it does not end within 1 s at this statement: Solve")
    assert found.row == f"line {path.read_text().split(chr(10)).index('Solve') + 1}"


def test_a_process_that_was_damaged_before_is_replaced(tmp_path: Path) -> None:
    path = put(tmp_path, "! nothing")
    grid_from_file(path)
    kept = opendss_process._kept[0]
    kept._process.kill()
    assert grid_from_file(path).lines.height == 2
    assert opendss_process._kept[0] is not kept


def test_a_script_without_a_guard_reads_too_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = put(tmp_path, "! nothing")
    code = (
        "import sys, openpoint; from openpoint.io.opendss import process as p\n"
        f"print(openpoint.read({str(path)!r}).lines.height, 'opendssdirect' in sys.modules, p._kept[0]._process.pid)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    height, loaded, number = done.stdout.split()
    assert (height, loaded, done.stderr) == ("2", "False", "")
    assert not Path(f"/proc/{number}").exists()


CIRCUIT = script(SUB + LINE + LOAD)
HOSTILE = (
    "new loadshape.s npts=3 interval=1 mult=(1 2 3)",
    "set datapath={folder}",
    "set recorder=yes",
    "loadshape.s.action=dblsave",
    "loadshape.s.action=sngsave",
    "export voltages {folder}/voltages.csv",
    "export loads",
    "save circuit dir={folder}/saved",
    "save vsource file={folder}/sources.dss",
    "dump",
    "show voltages",
    "doscmd touch {folder}/canary",
    "new generator.g bus1=b kv=12.47 kw=1 model=6 usermodel={folder}/library.so",
    "solve",
    "new monitor.m element=line.l1 mode=1",
    "solve mode=daily number=3",
    "export monitors m",
    "redirect {folder}/more.dss",
    "new loadshape.t npts=1 csvfile={folder}/secret.csv",
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a library, a script and numbers; it must look the same afterwards."""
    library = next(path for path in (Path(np.__file__).parent / "random").iterdir() if path.suffix in (".so", ".pyd"))
    shutil.copy(library, tmp_path / "library.so")
    (tmp_path / "more.dss").write_text("new load.redirected bus1=b kv=12.47 kw=5\n")
    (tmp_path / "secret.csv").write_text("123456\n")
    before = listing(tmp_path)
    yield tmp_path
    assert listing(tmp_path) == before


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def engine_process() -> opendss_process._Process:
    """A process that has read a circuit."""
    opendss_process._end_kept()
    run_script("check", "", Script())
    return opendss_process._kept[0]


def confined_or_skip() -> opendss_process._Process:
    process = engine_process()
    if not process.confined:
        pytest.skip("the system has no Landlock")
    return process


def test_a_statement_that_bypasses_the_filter_does_nothing(folder: Path) -> None:
    confined_or_skip()
    (folder.parent / "a.dss").write_text(CIRCUIT)
    for text in HOSTILE:
        hostile = read_script(folder.parent / "a.dss")
        for line in dict.fromkeys((*HOSTILE[:3], text, "solve")):
            command = line.format(folder=folder)
            hostile.statements.append(Statement(folder / "x.dss", 1, "set", command, command))
        try:
            found = run_script("grid", "a.dss", hostile, places={}, solve=True)
            assert "redirected" not in {row["name"] for row in found["tables"]["loads"]}, text
        except InputError:
            pass
        assert all(not list(Path(process.folder).iterdir()) for process in opendss_process._kept), text


def test_a_library_is_not_even_opened(folder: Path) -> None:
    """A library that is opened and is no user model is told in other words, for it lacks a function."""
    confined_or_skip()
    lines = ("new circuit.c bus1=a", f"new generator.g bus1=b kw=1 model=6 usermodel={folder}/library.so")
    hostile = Script(statements=[Statement(folder / "x.dss", 1, "set", line, line) for line in lines])
    with pytest.raises(InputError, match="Not Loaded"):
        run_script("check", "x.dss", hostile)


def test_without_landlock_no_byte_is_written_either(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    process = engine_process()
    limits = Path(f"/proc/{process._process.pid}/limits")
    if not limits.exists():
        pytest.skip("the system does not tell the limits of a process")
    found = {line.split("  ")[0]: line.split()[-3:] for line in limits.read_text().split("\n")}
    assert found["Max file size"][:2] == ["0", "0"]
    assert found["Max core file size"][:2] == ["0", "0"]


def test_the_folder_of_the_engine_ends_with_it() -> None:
    process = engine_process()
    assert Path(process.folder).is_dir()
    opendss_process._end_kept()
    assert not Path(process.folder).exists()


BAIT = (
    "new loadshape.s npts=3 interval=1 mult=(1 2 3) action=dblsave",
    "loadshape.s.action=sngsave",
    "set datapath={folder}",
    "set recorder=yes",
    "generator.g.usermodel={folder}/library.so",
    "new generator.g bus1=b kv=12.47 kw=1 model=6 usermodel={folder}/library.so",
    "edit generator.g shaftmodel={folder}/library.so",
    "new storage.g bus1=b dynadll={folder}/library.so",
    "export voltages {folder}/v.csv",
    "save circuit dir={folder}/saved",
    "new loadshape.t npts=1 mult=(file={folder}/../secret.csv)",
    "redirect {folder}/../more.dss",
)
SIGNS = (
    "'",
    '"',
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=",
    ",",
    "@",
    "!",
    "~",
    "|",
    "\t",
    "\r",
    "//",
    "/*",
    ".",
    " ",
    "^",
    "\\",
)


def mutated(text: str, draw: random.Random) -> str:
    """The text with words quoted, bracketed, shortened, in capitals, or with signs put in."""
    words = text.split(" ")
    for _ in range(draw.randint(1, 3)):
        k = draw.randrange(len(words))
        name, equals, value = words[k].partition("=")
        left, right = draw.choice(["''", '""', "()", "[]", "{}"])
        way = draw.randrange(7)
        if way == 0:
            words[k] = f"{left}{name}{right}{equals}{value}"
        elif way == 1:
            words[k] = f"{left}{words[k]}{right}"
        elif way == 2:
            words[k] = f"{name[: draw.randint(1, len(name) or 1)]}{equals}{value}"
        elif way == 3:
            place = draw.randint(0, len(words[k]))
            words[k] = words[k][:place] + draw.choice(SIGNS) + words[k][place:]
        elif way == 4:
            words[k] = f"{name} {equals} {value}".upper() if "/" not in words[k] else words[k]
        elif way == 5:
            words[k : k + 1] = [draw.choice(["~", "more", "var @x=1", "edit", "batchedit", "like=g"]), words[k]]
        else:
            words[k] = f"{name}{draw.choice(['==', '= ', ' =', '=,', ',='])}{value}"
    return " ".join(words)


def attack(count: int, seed: int, folder: Path) -> int:
    """Read so many circuits with mutated bait, the filter and the engine as they are; returns how many were refused."""
    draw, refused = random.Random(seed), 0
    path = folder / "a.dss"
    for _ in range(count):
        bait = [mutated(draw.choice(BAIT).format(folder=folder), draw) for _ in range(draw.randint(1, 2))]
        path.write_text(CIRCUIT.replace("Set VoltageBases", "\n".join([*bait, "Set VoltageBases"])))
        try:
            run_script("grid", "a.dss", read_script(path), places={}, solve=True)
        except InputError:
            refused += 1
        path.unlink()
    return refused


def test_mutated_attacks_write_nothing_and_load_nothing(folder: Path) -> None:
    engine_process()
    home = folder / "home"
    home.mkdir()
    assert attack(150, 1, home) > 100
    assert list(home.iterdir()) == []
    for process in opendss_process._kept:
        assert list(Path(process.folder).iterdir()) == []
    home.rmdir()
