"""OpenDSS as the exact power flow: against the balanced kernel, many loads and positions in place, islands, trouble."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import opendssdirect
import polars as pl
import pytest

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.grid import Grid
from openpoint.grid.devices import at_positions, positions_of
from openpoint.io.opendss import engine
from openpoint.network import build_network
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.opendss import OpenDssCircuit, PhaseFlows
from tests.builders.meshed import meshed


@pytest.mark.parametrize("name", ["civanlar16", "baran33", "baran69", "mantovani136"])
def test_balanced_grids_agree_with_the_own_kernel(name: str) -> None:
    grid = openpoint.read(name)
    network = build_network(grid)
    own, theirs = solve(network, network.closed), OpenDssCircuit(grid).solve()
    assert theirs.converged.all()
    np.testing.assert_allclose(theirs.v, own.v, atol=1e-6)
    kva = network.s_base_kva
    assert theirs.loss_kw[0] == pytest.approx(own.loss[0] * kva, rel=1e-5)
    np.testing.assert_allclose(theirs.s_fr_kva, own.s_fr * kva, atol=1e-4 * kva)
    np.testing.assert_allclose(theirs.s_to_kva, own.s_to * kva, atol=1e-4 * kva)
    np.testing.assert_allclose(theirs.source_kva, own.source_s * kva, atol=1e-4 * kva)
    np.testing.assert_allclose(np.abs(theirs.i_to_a), np.abs(own.i_series) * network.i_base_a, atol=0.02)


@pytest.mark.parametrize("name", ["ieee13", "ieee37", "ieee123"])
def test_loads_edited_in_place_are_those_of_a_new_circuit(name: str) -> None:
    grid = openpoint.read(name)
    rng = np.random.default_rng(7)
    s = grid.loads["p_kw"].to_numpy() + 1j * grid.loads["q_kvar"].to_numpy()
    samples = s * rng.uniform(0.5, 1.2, (4, len(s)))
    flows = OpenDssCircuit(grid).solve(loads_kva=samples)
    assert flows.converged.all()
    for k, sample in enumerate(samples):
        loads = grid.loads.with_columns(p_kw=pl.Series(sample.real), q_kvar=pl.Series(sample.imag))
        anew = OpenDssCircuit(grid.with_tables(loads=loads)).solve()
        np.testing.assert_allclose(flows.v[k], anew.v[0], atol=1e-7)
        np.testing.assert_allclose(flows.s_fr_kva[k], anew.s_fr_kva[0], atol=1e-3)
    # What the sources deliver is drawn by loads of these models, and by the branches.
    drawn = flows.source_kva.sum(axis=1).real - flows.loss_kw
    assert (np.abs(drawn / samples.real.sum(axis=1) - 1.0) < 0.05).all()


def test_a_flow_leaves_the_working_folder_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first engine of a process would go to the folder in which its library was loaded."""
    monkeypatch.setattr(engine, "_spare", [])
    opendssdirect.Basic.AllowChangeDir(True)
    monkeypatch.chdir(tmp_path)
    assert openpoint.run_powerflow("ieee13").loss_kw == pytest.approx(112.585, abs=1e-3)
    assert Path.cwd() == tmp_path


def test_a_thousand_flows_of_the_37_bus_feeder_converge() -> None:
    grid = openpoint.read("ieee37")
    s = grid.loads["p_kw"].to_numpy() + 1j * grid.loads["q_kvar"].to_numpy()
    samples = s * np.random.default_rng(1).uniform(0.8, 1.2, (1000, len(s)))
    circuit = OpenDssCircuit(grid)
    assert circuit.solve(loads_kva=samples).converged.all()


def four_buses(**changes: Any) -> Grid:
    """A - B = C - D in three phases, the middle a switch; generators at C (three phases) and D (phase b)."""
    tables: dict[str, Any] = {
        "buses": [{"name": n, "vn_kv": 4.16, "phases": "abc"} for n in "ABCD"],
        "lines": [
            {"name": n, "from_bus": n[0], "to_bus": n[1], "phases": "abc"} | {"r_ohm": matrix, "x_ohm": matrix}
            for n in ("AB", "CD")
            for matrix in [[0.3, 0.1, 0.3, 0.1, 0.1, 0.3]]
        ],
        "switches": [{"name": "BC", "from_bus": "B", "to_bus": "C", "phases": "abc"}],
        "sources": [{"name": "grid", "bus": "A", "v_pu": 1.02}],
        "loads": [
            {"name": "b", "bus": "B", "phases": "abc", "p_kw": 300.0, "q_kvar": 100.0},
            {"name": "c", "bus": "C", "phases": "bc", "connection": "delta", "p_kw": 90.0},
            {"name": "d", "bus": "D", "phases": "a", "p_kw": 60.0, "q_kvar": 30.0},
        ],
        "generators": [
            {"name": "g", "bus": "C", "phases": "abc", "p_kw": 50.0, "q_kvar": 10.0},
            {"name": "h", "bus": "D", "phases": "b", "p_kw": 20.0},
        ],
        "capacitors": [{"name": "k", "bus": "D", "phases": "abc", "q_kvar": 30.0}],
    }
    return Grid.from_tables("four", tables | changes)


def test_power_is_balanced() -> None:
    flows = OpenDssCircuit(four_buses()).solve()
    source, loss = flows.source_kva.sum().real, flows.loss_kw[0]
    assert source + 70.0 - 450.0 == pytest.approx(loss, abs=1e-4)
    assert loss > 0
    np.testing.assert_allclose(np.abs(flows.v[0, :3]), 1.02, atol=1e-7)


def test_generators_are_set_row_by_row() -> None:
    circuit = OpenDssCircuit(four_buses())
    idle = circuit.solve(generators_kva=np.zeros(2))
    more = circuit.solve(generators_kva=np.array([[0.0, 0.0], [100.0, 0.0]]))
    np.testing.assert_allclose(more.v[0], idle.v[0], atol=1e-9)
    change = more.source_kva[1].sum().real - idle.source_kva[0].sum().real
    assert change == pytest.approx(-100.0 + more.loss_kw[1] - more.loss_kw[0], abs=1e-4)


def test_an_island_without_a_source_is_dead() -> None:
    circuit = OpenDssCircuit(four_buses(), closed=np.array([True, True, False]))
    flows = circuit.solve()
    assert flows.converged.all()
    assert circuit.energised.tolist() == [True] * 6 + [False] * 6
    assert not flows.v[0, 6:].any()
    assert not flows.s_fr_kva[0, 3:].any()
    assert flows.source_kva.sum().real == pytest.approx(300.0 + flows.loss_kw[0], abs=1e-4)


def test_a_generator_forms_an_island() -> None:
    """It holds three balanced voltages and delivers what its island needs; the other generator keeps its output."""
    circuit = OpenDssCircuit(four_buses(), closed=np.array([True, True, False]), forming={"g": 1.01})
    flows = circuit.solve()
    assert flows.converged.all()
    assert flows.energised.all()
    held = flows.v[0, 6:9]
    np.testing.assert_allclose(held, 1.01 * np.exp(1j * np.radians([0.0, -120.0, 120.0])), atol=1e-7)
    loss_of_island = (flows.s_fr_kva + flows.s_to_kva)[0, 3:6].real.sum()
    assert flows.source_kva[0, 1].real == pytest.approx(90.0 + 60.0 - 20.0 + loss_of_island, abs=1e-4)


def test_a_circuit_goes_over_to_another_topology() -> None:
    circuit = OpenDssCircuit(four_buses())
    first = circuit.solve()
    circuit.rewire(np.array([True, True, False]), forming={"g": 1.01})
    apart = OpenDssCircuit(four_buses(), closed=np.array([True, True, False]), forming={"g": 1.01}).solve()
    np.testing.assert_allclose(circuit.solve().v, apart.v, atol=1e-12)
    circuit.rewire()
    np.testing.assert_allclose(circuit.solve().v, first.v, atol=1e-12)


def test_all_may_be_dead_but_the_source() -> None:
    flows = OpenDssCircuit(four_buses(), closed=np.array([False, False, False])).solve()
    assert flows.converged.all()
    assert flows.energised.sum() == 3
    assert np.abs(flows.source_kva).max() < 1e-6


def test_a_load_that_cannot_be_carried_is_told_and_leaves_no_trace() -> None:
    circuit = OpenDssCircuit(four_buses())
    usual = np.array([300.0 + 100j, 90.0, 60.0 + 30j])
    flows = circuit.solve(loads_kva=np.array([usual, 1000 * usual, usual]))
    assert flows.converged.tolist() == [True, False, True]
    assert np.isnan(flows.v[1]).all()
    assert np.isnan(flows.loss_kw[1])
    np.testing.assert_allclose(flows.v[2], flows.v[0], atol=1e-7)


@pytest.mark.parametrize("model", ["power", "current", "impedance", "cvr"])
def test_a_load_follows_the_voltage_as_its_model_says(model: str) -> None:
    """Within its band; above it is an impedance."""
    row = {"name": "b", "bus": "B", "phases": "a", "p_kw": 30.0, "q_kvar": 20.0, "model": model}
    exponents = {"power": (0, 0), "current": (1, 1), "impedance": (2, 2), "cvr": (1, 2)}[model]
    for v_pu in (0.97, 1.03):
        grid = four_buses(loads=[row], sources=[{"name": "grid", "bus": "A", "v_pu": v_pu}], generators=[])
        circuit = OpenDssCircuit(grid, closed=np.array([True, False, False]))
        flows = circuit.solve()
        v = abs(flows.v[0, 3])
        s = -flows.s_to_kva[0, 0]
        assert s.real == pytest.approx(30.0 * v ** exponents[0], rel=1e-6)
        assert s.imag == pytest.approx(20.0 * v ** exponents[1], rel=1e-6)
    banded = row | {"v_min_pu": 0.8, "v_max_pu": 0.9}
    grid = four_buses(loads=[banded], generators=[])
    flows = OpenDssCircuit(grid, closed=np.array([True, False, False])).solve()
    s, v = -flows.s_to_kva[0, 0], abs(flows.v[0, 3])
    assert s.real / s.imag == pytest.approx(1.5, rel=1e-6)
    # Power and current go over into the impedance without a jump; impedance and cvr of OpenDSS do not.
    at_end = {"power": 1.0 / 0.9**2, "current": 1.0 / 0.9, "impedance": 1.0 / 0.9**2, "cvr": 1.0 / 0.9**2}[model]
    assert s.real == pytest.approx(30.0 * at_end * v**2, rel=1e-6)


def test_bad_arguments_are_refused() -> None:
    grid = four_buses()
    with pytest.raises(OptionError, match="one a branch"):
        OpenDssCircuit(grid, closed=np.array([True]))
    with pytest.raises(OptionError, match="no generator 'x'"):
        OpenDssCircuit(grid, forming={"x": 1.0})
    with pytest.raises(OptionError, match="3 columns"):
        OpenDssCircuit(grid).solve(loads_kva=np.zeros(4))
    with pytest.raises(OptionError, match="as many or one"):
        OpenDssCircuit(grid).solve(loads_kva=np.zeros((2, 3)), generators_kva=np.zeros((3, 2)))
    twice = [{"name": n, "bus": "C", "phases": "abc", "p_kw": 1.0} for n in "gh"]
    with pytest.raises(OptionError, match="two sources hold"):
        OpenDssCircuit(four_buses(generators=twice), forming={"g": 1.0, "h": 1.0})
    leaky = grid.with_tables(lines=grid.lines.with_columns(g_us=pl.Series([[1.0] * 6, [0.0] * 6])))
    with pytest.raises(InputError, match="no conductance"):
        OpenDssCircuit(leaky)


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


def test_a_circuit_that_is_switched_gives_the_flow_of_a_new_one() -> None:
    """Also where tap changers move in between, and where parts lose their supply."""
    count = 0
    for seed in range(6):
        rng, grid = np.random.default_rng(seed), meshed(seed)
        circuit, today = OpenDssCircuit(grid), grid.branches()["closed"].to_numpy()
        free = np.flatnonzero(grid.branches()["switchable"].to_numpy())
        taps, steps = positions_of(grid)
        ends = [grid.transformers[name].fill_null(0).to_numpy() for name in ("tap_min", "tap_max")]
        for _ in range(4):
            closed = today.copy()
            some = rng.choice(free, min(len(free), int(rng.integers(0, 4))), replace=False)
            closed[some] = ~closed[some]
            circuit.set_positions(np.clip(taps + rng.integers(-3, 4, len(taps)), *ends), steps)
            circuit.rewire(closed)
            found, anew = circuit.solve(), OpenDssCircuit(circuit.grid, closed=closed).solve()
            assert np.array_equal(found.energised, anew.energised)
            for one, other in zip(
                (found.v, found.i_fr_a, found.i_to_a), (anew.v, anew.i_fr_a, anew.i_to_a), strict=True
            ):
                assert np.allclose(one, other, rtol=1e-7, atol=1e-7, equal_nan=True)
            count += 1
    assert count > 20
