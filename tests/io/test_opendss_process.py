"""A file that breaks the engine down, or never ends, is a fault of the file; nothing else is harmed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from openpoint.errors import InputError, Problem
from openpoint.io.opendss import process as opendss_process
from openpoint.io.opendss.read import grid_from_file
from tests.io.feeders import LINE, LOAD, SUB, script

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
