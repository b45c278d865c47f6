"""Input data of power-grid-model: the same voltages as it computes, and states written back into the file."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint import InputError
from openpoint.io.pgm import grid_from_text
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
