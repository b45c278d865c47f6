"""The expected figures of every case folder, recomputed with pandapower and with the own power flow."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.powerflow.balanced import solve
from tests.cases.oracle import pandapower_loss

FOLDERS = sorted(p.parent for p in Path(__file__).parent.glob("*/expected.json"))


def own_loss(grid: Grid) -> tuple[float, float]:
    network = build_network(grid)
    flows = solve(network, network.closed)
    assert flows.converged.all()
    return float(flows.loss[0]) * network.s_base_kva, float(np.abs(flows.v[0]).min())


def expected(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "expected.json").read_text())


def with_settings(grid: Grid, settings: dict[str, dict[str, dict[str, float]]]) -> Grid:
    """The grid with other values in cells, by table, column and name of the row."""
    tables = {}
    for kind, columns in settings.items():
        rows = grid.tables()[kind].to_dicts()
        for column, by_name in columns.items():
            rows = [{**row, column: by_name.get(row["name"], row[column])} for row in rows]
        tables[kind] = Grid.from_tables("", {kind: rows}).tables()[kind]
    return grid.with_tables(**tables)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda p: p.name)
@pytest.mark.parametrize(("state", "loss"), [("before", own_loss), ("best", own_loss), ("best", pandapower_loss)])
def test_loss_and_lowest_voltage(folder: Path, state: str, loss: Any) -> None:
    case = expected(folder)
    grid = openpoint.read(case["input"])
    if state == "best":
        opened = set(case["best"]["open_branches"])
        grid = grid.with_closed({name: name not in opened for name in grid.branches()["name"]})
        grid = with_settings(grid, case["best"].get("settings", {}))
    loss_kw, v_min = loss(grid)
    assert loss_kw == pytest.approx(case[state]["loss_kw"], abs=case["tolerance"]["loss_kw"])
    assert v_min == pytest.approx(case[state]["v_min_pu"], abs=case["tolerance"]["v_pu"])


def test_every_built_in_case_has_expected_figures() -> None:
    assert {f.name for f in FOLDERS} == set(openpoint.cases().filter(phases="1")["name"])
