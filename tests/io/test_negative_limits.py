"""A limit that is negative in a file is named, whatever the format; it is never taken for no limit."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

import openpoint
from openpoint import InputError
from openpoint.io.matpower.read import grid_from_text as from_matpower
from openpoint.io.pgm import grid_from_text as from_pgm
from tests.io.feeders import LINE, LOAD, SUB, script
from tests.io.test_pandapower import TEXT as NET
from tests.io.test_pgm import content

CASE = (Path(__file__).parent / "data" / "small.m").read_text()


def pgm(table: str, column: str, value: float) -> openpoint.Grid:
    data = content()
    data["data"][table][0][column] = value
    return from_pgm(json.dumps(data), "a.json")


def pandapower(table: str, column: str, value: float) -> openpoint.Grid:
    from openpoint.io.pandapower.read import grid_from_text

    net = json.loads(NET)
    rows = net["_object"][table]["_object"]
    frame = json.loads(rows) if isinstance(rows, str) else rows
    place = frame["columns"].index(column)
    for row in frame["data"]:
        row[place] = value
    net["_object"][table]["_object"] = json.dumps(frame)
    return grid_from_text(json.dumps(net), "net.json")


def tables(kind: str, column: str, value: float) -> openpoint.Grid:
    grid = openpoint.read("baran33")
    rows = {name: frame.to_dicts() for name, frame in grid.tables().items() if not frame.is_empty()}
    rows[kind][5][column] = value
    return openpoint.Grid.from_tables("g", rows)


def opendss(folder: Path, body: str) -> openpoint.Grid:
    (folder / "a.dss").write_text(script(body))
    return openpoint.read(folder / "a.dss")


NEGATIVE: dict[str, Callable[[Path], openpoint.Grid]] = {
    "MATPOWER VMAX": lambda folder: from_matpower(
        CASE.replace("1	1.1	0.9	%", "1	-1	0.9	%"), "small.m"
    ),
    "MATPOWER RATE_A": lambda folder: from_matpower(
        CASE.replace("0.4	0	6	0", "0.4	0	-6	0"), "small.m"
    ),
    "OpenDSS NormAmps": lambda folder: opendss(folder, SUB + LOAD + LINE.replace("length", "normamps=-20 length")),
    "OpenDSS NormHkVA": lambda folder: opendss(folder, SUB + "~ normhkva=-5\n" + LOAD + LINE),
    "OpenDSS Vmaxpu": lambda folder: opendss(folder, SUB + LINE + LOAD.replace("kw=900", "vmaxpu=-1.1 kw=900")),
    "power-grid-model i_n": lambda folder: pgm("line", "i_n", -300.0),
    "power-grid-model sn": lambda folder: pgm("transformer", "sn", -30e6),
    "power-grid-model nan": lambda folder: pgm("line", "i_n", math.nan),
    "pandapower max_vm_pu": lambda folder: pandapower("bus", "max_vm_pu", -1.0),
    "pandapower min_vm_pu": lambda folder: pandapower("bus", "min_vm_pu", -1.0),
    "pandapower max_i_ka": lambda folder: pandapower("line", "max_i_ka", -0.3),
    "pandapower sn_mva": lambda folder: pandapower("trafo", "sn_mva", -1.0),
    "tables v_max_pu": lambda folder: tables("buses", "v_max_pu", -1.0),
    "tables v_min_pu": lambda folder: tables("buses", "v_min_pu", 2.0),
    "tables i_max_a": lambda folder: tables("lines", "i_max_a", -1.0),
    "tables nan": lambda folder: tables("lines", "i_max_a", math.nan),
}


@pytest.mark.parametrize("name", NEGATIVE)
def test_it_is_named(name: str, tmp_path: Path) -> None:
    try:
        told = [problem for problem in NEGATIVE[name](tmp_path).problems() if problem.severity == "error"]
    except InputError as error:
        told = list(error.problems)
    assert told
    assert all(problem.message and problem.remedy for problem in told)
