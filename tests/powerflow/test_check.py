"""The check of a power flow, balanced or of several phases, finds what is put wrong."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import openpoint
from openpoint.errors import OptionError
from openpoint.network import Network, build_network
from openpoint.powerflow import check
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flow, check_flows
from openpoint.powerflow.check_phases import balances, max_mismatch
from openpoint.powerflow.opendss import OpenDssCircuit
from tests.io.feeders import FEEDERS, script
from tests.network.physics import missing_power
from tests.powerflow.small_networks import Branch, make_network, random_network
from tests.powerflow.test_opendss import four_buses


def chain(**options: object) -> Network:
    branches = [Branch(0, 1, i_max=0.5), Branch(1, 2, z=0.0j, i_max=0.2), Branch(2, 3, i_max=0.2)]
    return make_network(4, branches, {0: 1.0 + 0.0j}, power=[0.0, 0.1, 0.1, 0.2], **options)  # type: ignore[arg-type]


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 1e-2))
def test_a_wrong_voltage_is_seen(seed: int, error: float) -> None:
    network = random_network(seed, 15, n_source=2)
    v = solve(network, network.closed).v[0]
    for bus in range(15):
        wrong = v.copy()
        wrong[bus] += error
        assert check_flow(network, network.closed, wrong).max_mismatch > 0.1 * error


def test_a_wrong_load_or_topology_is_seen() -> None:
    network = chain()
    v = solve(network, network.closed).v[0]
    assert check_flow(network, network.closed, v).max_mismatch < 1e-13
    assert check_flow(network, network.closed, v, s_power=network.s_power * 1.01).max_mismatch > 1e-3
    assert check_flow(network, np.array([True, True, False]), v).max_mismatch > 0.1
    dark = np.array([True, False, True])
    assert check_flow(network, dark, v).max_mismatch > 0.9  # voltage at buses without a source
    assert check_flow(network, dark, solve(network, dark).v[0]).max_mismatch < 1e-13
    assert check_flow(network, network.closed, np.full(4, np.nan + 0j)).max_mismatch == np.inf
    assert check_flow(network, network.closed, np.array([1.0, 1.0, 0.0, 0.0]) + 0j).max_mismatch > 0.1


@pytest.mark.parametrize("at_once", [1, 10**6])
def test_many_states_are_checked_as_each_by_itself(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right and wrong voltages, those of a flow that did not converge, own loads, in blocks of any size."""
    monkeypatch.setattr(check, "ENTRIES_AT_ONCE", at_once)
    rng = np.random.default_rng(5)
    for network in (chain(v_limits=(0.95, 1.01)), random_network(7, 15, n_source=2)):
        loads = network.s_power * rng.uniform(0.5, 1.5, (6, 1))
        v = solve(network, network.closed, s_power=loads).v.copy()
        v[1] *= 1.0 + 0.01 * rng.normal(size=v.shape[1])
        v[2, -1], v[3] = 0.0, np.nan
        together = check_flows(network, network.closed, v, loads, tolerance=1e-4)
        for k, found in enumerate(together):
            alone = check_flow(network, network.closed, v[k], s_power=loads[k], tolerance=1e-4)
            assert found.max_mismatch == pytest.approx(alone.max_mismatch, rel=1e-12, abs=1e-13)
            assert found.loss == pytest.approx(alone.loss, rel=1e-12, nan_ok=True)
            for name in ("v_low", "v_high", "overloaded", "current"):
                np.testing.assert_allclose(getattr(found, name), getattr(alone, name), rtol=1e-12, atol=1e-14)
        assert [found.max_mismatch < 1e-12 for found in together] == [True, False, False, False, True, True]


def test_a_mismatch_hidden_by_a_switch_is_seen() -> None:
    """Buses 1 and 2 are one node electrically: their powers are judged together, and their voltages must agree."""
    network = chain()
    v = solve(network, network.closed).v[0]
    load = network.s_power + np.array([0.0, 0.05, -0.05, 0.0])
    assert check_flow(network, network.closed, v, s_power=load).max_mismatch < 1e-13
    load[2] -= 0.05
    assert check_flow(network, network.closed, v, s_power=load).max_mismatch == pytest.approx(0.05, abs=1e-9)


def test_limits_are_judged_with_a_tolerance() -> None:
    network = chain(v_limits=(0.999, 1.01))
    v = solve(network, network.closed).v[0]
    check = check_flow(network, network.closed, v)
    assert check.v_low.tolist() == [1, 2, 3]
    assert check.v_high.tolist() == []
    # 0.4 of 0.5, then 0.3 and 0.2 of 0.2: the last one is exceeded because the voltage is below 1.
    assert check.overloaded.tolist() == [1, 2]
    assert check_flow(network, network.closed, v, tolerance=0.01).overloaded.tolist() == [1]
    assert check_flow(network, network.closed, v, tolerance=0.02).v_low.tolist() == []
    raised = replace(network, source_v=np.array([1.05 + 0.0j]), w_min=np.zeros(4))
    assert check_flow(raised, raised.closed, solve(raised, raised.closed).v[0]).v_high.tolist() == [1, 2, 3]


def test_the_state_of_an_island_breaks_no_limit() -> None:
    network = chain(v_limits=(0.9, 1.1))
    dark = np.array([False, True, True])
    check = check_flow(network, dark, solve(network, dark).v[0])
    assert check.max_mismatch == 0.0
    assert check.v_low.tolist() == []


def test_shapes_are_checked() -> None:
    network = chain()
    with pytest.raises(OptionError, match="one state"):
        check_flow(network, network.closed, np.ones(3, dtype=complex))


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


SPLIT = ("l35", "l6", "l24")


@pytest.mark.parametrize("seed", range(3))
def test_islands_with_other_loads_and_generators_are_solved(seed: int) -> None:
    """Switches as one likes, two generators that form grids, K cases at once; OpenDSS says how much those deliver."""
    grid = openpoint.read("ieee37-microgrids")
    closed = ~grid.branches()["name"].is_in([*SPLIT, "tie1", "tie2", "tie3"]).to_numpy()
    forming = {"g713": 1.0, "g738": 1.02}
    circuit = OpenDssCircuit(grid, closed=closed, forming=forming)
    assert not circuit.energised.all()
    rng = np.random.default_rng(seed)
    table = grid.loads["p_kw"].to_numpy() + 1j * grid.loads["q_kvar"].to_numpy()
    loads = table * rng.uniform(0.2, 0.6, (4, grid.loads.height))
    made = rng.uniform(10.0, 80.0, (4, grid.generators.height)) * np.complex128(1.0 + 0.2j)
    flows = circuit.solve(loads_kva=loads, generators_kva=made)
    asked: dict[str, Any] = {"closed": closed, "energised": circuit.energised, "forming": forming}
    asked |= {"loads_kva": loads, "generators_kva": made}
    said = balances(grid, circuit.network, flows.v, **asked)
    assert said.mismatch.max() < 5e-6
    network = circuit.network
    at = {network.bus_names[b] for b in network.terminal_bus[network.source_terminal]}
    for k, name in enumerate(forming):
        bus = dict(grid.generators.select("name", "bus").iter_rows())[name]
        here = [t for t, b in enumerate(network.terminal_bus) if network.bus_names[b] == bus]
        delivered = said.missing[:, here].sum(axis=1) * network.s_base_kva / 3.0
        assert delivered == pytest.approx(flows.source_kva[:, len(at) + k], abs=5e-3)
    wrong = (
        {"closed": ~closed},
        {"forming": {"g713": 1.0, "g738": 1.03}},
        {"forming": {"g713": 1.0}},
        {"loads_kva": 1.01 * loads},
        {"generators_kva": 1.05 * made},
    )
    for other in wrong:
        assert balances(grid, network, flows.v, **{**asked, **other}).mismatch.min() > 1e-4, other
    v = flows.v.copy()
    v[1] = np.nan
    told = balances(grid, network, v, **asked).mismatch
    assert np.isnan(told).tolist() == [False, True, False, False]


@pytest.mark.parametrize("model", ["power", "current", "impedance", "cvr"])
def test_loads_that_differ_from_the_table_keep_their_model(model: str) -> None:
    """Many at once say what one by one in tables of their own do."""
    row: dict[str, Any] = {"name": "b", "bus": "B", "phases": "a", "p_kw": 30.0, "q_kvar": 20.0, "model": model}
    rows = [row | {"v_min_pu": 0.99, "v_max_pu": 1.0}, row | {"name": "bc", "phases": "bc", "connection": "delta"}]
    grid = four_buses(loads=rows)
    factors = np.array([[1.0, 1.0], [2.0, 0.5], [0.0, 3.0]])
    loads = factors * (30.0 + 20.0j)
    circuit = OpenDssCircuit(grid)
    flows = circuit.solve(loads_kva=loads)
    together = balances(grid, circuit.network, flows.v, loads_kva=loads).mismatch
    assert together.max() < 1e-6
    for k, factor in enumerate(factors):
        own = [each | {"p_kw": 30.0 * f, "q_kvar": 20.0 * f} for each, f in zip(rows, factor)]
        alone = four_buses(loads=own)
        network = build_network(alone)
        assert max_mismatch(alone, network, flows.v[k]) * network.s_base_kva < 1e-3
