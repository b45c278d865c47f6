"""Taps and steps that are moved in place give the flow of a circuit compiled anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.grid import Grid
from openpoint.grid.positions import at_positions, positions_of
from openpoint.powerflow.opendss import OpenDssCircuit, PhaseFlows


def tapped_on_the_to_side() -> Grid:
    """A feeder whose delta-wye transformer has its tap changer and its magnetising branch on the to side."""
    rating = {"phases": "abc", "connection": "delta-wye", "vn_from_kv": 12.47, "vn_to_kv": 4.16, "s_max_kva": 1000.0}
    changer = {"tap_side": "to", "tap_min": -8, "tap_max": 8, "tap_step_percent": 1.25, "shift_degree": -30.0}
    unit = {"name": "T", "from_bus": "A", "to_bus": "B", "r_ohm": 0.1, "x_ohm": 0.8, "g_us": 40.0, "b_us": -200.0}
    bank = {"name": "delta", "bus": "B", "phases": "abc", "connection": "delta", "q_kvar": 300.0, "steps": 3}
    return Grid.from_tables(
        "to_side",
        {
            "buses": [{"name": "A", "vn_kv": 12.47, "phases": "abc"}, {"name": "B", "vn_kv": 4.16, "phases": "abc"}],
            "sources": [{"name": "grid", "bus": "A"}],
            "transformers": [unit | rating | changer],
            "loads": [{"name": "load", "bus": "B", "phases": "abc", "p_kw": 600.0, "q_kvar": 250.0}],
            "capacitors": [bank, bank | {"name": "wye", "connection": "wye", "steps": 2}],
        },
    )


def drawn_positions(grid: Grid, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    taps = grid.transformers.select(pl.max_horizontal("tap_min", -10), pl.min_horizontal("tap_max", 10)).rows()
    return (
        np.array([rng.integers(low, high + 1) for low, high in taps], dtype=np.int64),
        rng.integers(0, grid.capacitors["steps"].to_numpy() + 1),
    )


def assert_equal(found: PhaseFlows, expected: PhaseFlows) -> None:
    assert found.converged.all()
    assert expected.converged.all()
    np.testing.assert_allclose(found.v, expected.v, atol=1e-7)
    np.testing.assert_allclose(found.s_fr_kva, expected.s_fr_kva, atol=2e-3)
    np.testing.assert_allclose(found.s_to_kva, expected.s_to_kva, atol=2e-3)
    np.testing.assert_allclose(found.source_kva, expected.source_kva, atol=2e-3)


@pytest.mark.parametrize("name", ["ieee13", "ieee37", "ieee123", "to_side"])
def test_moved_in_place_it_is_a_circuit_compiled_anew(name: str) -> None:
    grid = tapped_on_the_to_side() if name == "to_side" else openpoint.read(name)
    steps = grid.capacitors.with_columns(steps=pl.lit(3), steps_on=pl.lit(3)) if name == "ieee13" else grid.capacitors
    grid, rng = replace(grid, capacitors=steps), np.random.default_rng(3)
    circuit = OpenDssCircuit(grid)
    for _ in range(4):
        positions = drawn_positions(grid, rng)
        circuit.set_positions(*positions)
        assert_equal(circuit.solve(), OpenDssCircuit(at_positions(grid, *positions)).solve())
    circuit.set_positions(*positions_of(grid))
    assert_equal(circuit.solve(), OpenDssCircuit(grid).solve())


def test_another_topology_keeps_the_positions() -> None:
    grid = openpoint.read("ieee123")
    closed = grid.branches()["closed"].to_numpy().copy()
    names = grid.branches()["name"].to_list()
    closed[[names.index("sw4"), names.index("sw7")]] = False, True  # what is behind sw4 is fed over sw7
    positions = drawn_positions(grid, np.random.default_rng(5))
    circuit = OpenDssCircuit(grid)
    circuit.set_positions(*positions)
    circuit.rewire(closed)
    anew = at_positions(grid, *positions)
    assert_equal(circuit.solve(), OpenDssCircuit(anew, closed=closed).solve())
    dead = np.array([name != "sw1" for name in names]) & closed  # no supply behind: nothing is there to be moved
    circuit.rewire(dead)
    circuit.set_positions(*drawn_positions(grid, np.random.default_rng(6)))
    assert circuit.solve().energised.sum() < circuit.network.n_terminals
