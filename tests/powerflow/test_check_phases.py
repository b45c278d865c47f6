"""The check of several phases finds what OpenDSS leaves over, and what is put wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint.network import build_network
from openpoint.powerflow.check_phases import max_mismatch
from openpoint.powerflow.opendss import OpenDssCircuit
from tests.io.feeders import FEEDERS, script
from tests.network.physics import missing_power

from .test_opendss import four_buses


@pytest.mark.parametrize("name", ["ieee13", "ieee37", "ieee123"])
def test_the_feeders_are_solved_by_the_equations_of_the_network(name: str) -> None:
    grid = openpoint.read(name)
    circuit = OpenDssCircuit(grid)
    assert max_mismatch(grid, circuit.network, circuit.solve().v[0]) < 5e-6


@pytest.mark.parametrize("name", FEEDERS)
def test_every_kind_of_transformer_load_and_source_is_known(name: str, tmp_path: Path) -> None:
    """What is left over is the susceptance that OpenDSS adds to transformers, a millionth of their rating."""
    (tmp_path / "feeder.dss").write_text(script(FEEDERS[name]))
    grid = openpoint.read(tmp_path / "feeder.dss")
    circuit = OpenDssCircuit(grid)
    rating = 1e-6 * grid.transformers["s_max_kva"].sum()
    left = max_mismatch(grid, circuit.network, circuit.solve().v[0]) * circuit.network.s_base_kva / 3.0
    assert left < 1.01 * rating


@pytest.mark.parametrize("model", ["power", "current", "impedance", "cvr"])
@pytest.mark.parametrize("band", [(None, None), (0.8, 0.9), (1.05, 1.2), (1.5, 2.0), (2.5, 3.0)])
def test_a_load_out_of_its_band_is_an_impedance(model: str, band: tuple[float | None, float | None]) -> None:
    row: dict[str, Any] = {"name": "b", "bus": "B", "phases": "a", "p_kw": 30.0, "q_kvar": 20.0, "model": model}
    row |= {"v_min_pu": band[0], "v_max_pu": band[1]}
    others = [row | {"name": phases, "phases": phases, "connection": "delta"} for phases in ("bc", "abc")]
    grid = four_buses(loads=[row, *others])
    circuit = OpenDssCircuit(grid)
    assert max_mismatch(grid, circuit.network, circuit.solve().v[0]) < 1e-6


def test_it_is_the_mismatch_of_the_equations_written_out() -> None:
    alone = [0.1, 0, 0.1, 0, 0, 0.1]
    middle = {"name": "BC", "from_bus": "B", "to_bus": "C", "phases": "abc", "r_ohm": alone, "x_ohm": alone}
    grid = four_buses(switches=[], lines=[*four_buses().lines.to_dicts(), middle])
    network = build_network(grid)
    rng = np.random.default_rng(3)
    v = OpenDssCircuit(grid).solve().v[0] + 0.01 * rng.standard_normal(network.n_terminals)
    expected = missing_power(network, v)
    expected[network.source_terminal] = v[network.source_terminal] - network.source_v
    assert max_mismatch(grid, network, v) == pytest.approx(np.abs(expected).max(), rel=1e-9)


@pytest.mark.parametrize("terminal", [0, 4, 7, 10])
def test_a_voltage_put_wrong_is_found(terminal: int) -> None:
    """At the source, at both ends of a switch, and at a load."""
    grid = four_buses()
    circuit = OpenDssCircuit(grid)
    v = circuit.solve().v[0]
    assert max_mismatch(grid, circuit.network, v) < 1e-6
    v[terminal] *= 1.001
    assert max_mismatch(grid, circuit.network, v) > 5e-4
