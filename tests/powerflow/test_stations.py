"""Power flows of random grids with stations against power-grid-model, in today's state, whatever its loops are."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint.grid.rules.wiring import meshes
from openpoint.io.pgm.read import grid_from_text
from tests.builders.station_inputs import station_input, without_links

RELATIVE = 1e-6
"""Difference of voltages in pu, of the loss, and of powers and currents by the largest of their kind."""
LINKS = 1e-4
"""Difference of the power of links, by the largest power: those of power-grid-model have 1e-8 pu of 1 MVA."""
DEVIATION = 1e-8
"""What power-grid-model may still change in its last step, pu."""


def by_power_grid_model(content: dict[str, Any]) -> Any:
    """Its results, by component; the input passes its own validation."""
    from power_grid_model import CalculationMethod, PowerGridModel
    from power_grid_model.utils import json_deserialize
    from power_grid_model.validation import assert_valid_input_data

    data = json_deserialize(json.dumps(content))
    assert_valid_input_data(data)
    method = CalculationMethod.newton_raphson
    return PowerGridModel(data).calculate_power_flow(calculation_method=method, error_tolerance=DEVIATION)


def differences(seed: int) -> tuple[float, float, int]:
    """The greatest difference of a grid, that of the powers of its links, and the number of loops of its state."""
    content = station_input(seed)
    merged, node = without_links(content)
    found = by_power_grid_model(merged)
    grid = grid_from_text(json.dumps(content), f"{seed}.json")
    flow = openpoint.run_powerflow(grid)
    size, degrees = (dict(flow.buses.select("name", column).iter_rows()) for column in ("v_pu", "angle_degree"))
    volts = {row["id"]: row["u"] * np.exp(1j * row["u_angle"]) for row in found["node"]}
    worst = 0.0
    for row in content["data"]["node"]:
        own = size[str(row["id"])] * np.exp(1j * math.radians(degrees[str(row["id"])]))
        worst = max(worst, abs(own - volts[node[row["id"]]] / row["u_rated"]))
    columns = ("name", "p_from_kw", "q_from_kvar", "loss_kw", "i_a")
    rows = {row[0]: row[1:] for row in flow.branches.select(*columns).iter_rows()}
    power, current, loss = [], [], 0.0
    for kind in ("line", "transformer"):
        for row in found[kind]:
            p, q, lost, amps = rows[str(row["id"])]
            power += [(1e3 * (p + 1j * q), row["p_from"] + 1j * row["q_from"]), (1e3 * (lost - p), row["p_to"])]
            if kind == "line":
                current.append((amps, max(row["i_from"], row["i_to"])))
            loss += row["p_from"] + row["p_to"]
    for pairs in (power, current):
        scale = max(abs(theirs) for _, theirs in pairs)
        worst = max(worst, max(abs(own - theirs) for own, theirs in pairs) / scale)
    beside = {str(row["id"]) for row in merged["data"]["shunt"]} - {str(row["id"]) for row in content["data"]["shunt"]}
    own = sum(lost for name, (*_, lost, _) in rows.items() if not name.startswith("source") and name not in beside)
    worst = max(worst, abs(1e3 * own / loss - 1.0))
    assert flow.ac_max_mismatch_pu < 1e-9
    found_meshes = meshes(grid)
    loops = [mesh for mesh in found_meshes if not mesh.is_held]
    assert bool(loops) == any("today's state is not radial" in note for note in flow.notes)
    assert all(repr(name) in " ".join(flow.notes) for mesh in loops[:1] for name in mesh.names[:3])
    return worst, _of_links(by_power_grid_model(content), rows), len(found_meshes)


def _of_links(found: Any, rows: dict[str, tuple[float, ...]]) -> float:
    pairs = []
    for link in found.get("link", ()):
        p, q, *_ = rows[str(link["id"])]
        pairs.append((1e3 * (p + 1j * q), link["p_from"] + 1j * link["q_from"]))
    scale = max((abs(theirs) for _, theirs in pairs), default=0.0)
    scale = max(scale, np.abs(found["transformer"]["p_from"] + 1j * found["transformer"]["q_from"]).max())
    return float(max((abs(own - theirs) for own, theirs in pairs), default=0.0) / scale)


@pytest.mark.parametrize("seed", range(25))
def test_the_flow_is_that_of_power_grid_model(seed: int) -> None:
    worst, links, _ = differences(seed)
    assert worst < RELATIVE
    assert links < LINKS
