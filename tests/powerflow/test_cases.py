"""The built-in grids: published losses; the same voltages as pandapower and power-grid-model, to 1e-8 pu."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import FlowStatus, losses, solve
from openpoint.powerflow.check import check_flow
from tests.powerflow.oracles import pandapower_voltages, power_grid_model_voltages
from tests.powerflow.small_networks import Branch, make_network, random_network

# name: (loss today kW, least voltage today, least loss known kW, its least voltage, its open branches as rows or buses)
# Minimum-loss reconfiguration with sources at 1.0 pu, constant power, no limits, every branch switchable.
CASES = {
    "zhang13": (13.483, 0.98533, 12.656, 0.98669, [7, 9, 14]),
    "civanlar16": (511.436, 0.96927, 466.127, 0.97158, ["9-11", "8-10", "7-16"]),
    "baran33": (202.677, 0.91309, 139.551, 0.93782, [7, 9, 14, 32, 37]),
    "baran69": (224.992, 0.90919, 98.605, 0.94947, ["14-15", "55-56", "61-62", "11-43", "13-21"]),
    "baran69-x": (224.992, 0.90919, 99.619, 0.94275, ["14-15", "55-56", "61-62", "11-43", "13-21"]),
    "das70": (341.427, 0.88389, 301.645, 0.91551, [30, 39, 45, 51, 66, 70, 71, 76]),
    "zhang118": (1298.092, 0.86880, 869.730, 0.93229, [23, 26, 34, 39, 42, 51, 58, 71, 74, 95, 97, 109, 122, 129, 130]),
    "mantovani136": (
        320.364,
        0.93065,
        280.193,
        0.95891,
        [7, 35, 51, 90, 96, 106, 118, 126, 135, 137, 138, 141, 142, 144, 145, 146, 147, 148, 150, 151, 155],
    ),
}


@cache
def network_of(name: str) -> Network:
    return build_network(files.load(name))


def with_open(network: Network, rows: list[int] | list[str]) -> np.ndarray:
    """State in which only the given branches are open: rows from 1, or pairs of bus names."""
    fr = [network.bus_names[i] for i in network.terminal_fr]
    to = [network.bus_names[i] for i in network.terminal_to]
    row_of = {frozenset(ends): row for row, ends in enumerate(zip(fr, to, strict=True))}
    closed = np.ones(network.n_conductors, dtype=bool)
    for row in rows:
        closed[row - 1 if isinstance(row, int) else row_of[frozenset(row.split("-"))]] = False
    return closed


@pytest.mark.parametrize("name", CASES)
def test_losses_and_voltages_are_the_published_ones(name: str) -> None:
    network = network_of(name)
    loss_today, v_today, loss_best, v_best, opened = CASES[name]
    for closed, loss, v_min in ((network.closed, loss_today, v_today), (with_open(network, opened), loss_best, v_best)):
        flow = solve(network, closed)
        assert flow.status[0] == FlowStatus.CONVERGED
        assert flow.energised.all()
        assert flow.loss[0] * network.s_base_kva == pytest.approx(loss, abs=6e-4)
        assert np.abs(flow.v).min() == pytest.approx(v_min, abs=6e-6)
        assert losses(network, closed)[0][0] == flow.loss[0]
        check = check_flow(network, closed, flow.v[0])
        assert check.max_mismatch < 1e-9
        assert check.loss == pytest.approx(flow.loss[0], rel=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_voltages_are_those_of_pandapower_and_power_grid_model(name: str) -> None:
    network = network_of(name)
    for closed in (network.closed, with_open(network, CASES[name][4])):
        v = solve(network, closed).v[0]
        np.testing.assert_allclose(v, pandapower_voltages(network, closed), atol=1e-8)
        np.testing.assert_allclose(v, power_grid_model_voltages(network, closed), atol=1e-8)


def test_every_balanced_built_in_grid_without_devices_is_tested_here() -> None:
    """Those with devices have a state that tells more than its open branches: `tests/cases`."""
    balanced = [files.load(name) for name in files.cases().filter(phases="1")["name"]]
    assert {grid.name for grid in balanced if grid.generators.is_empty()} == set(CASES)


def own(network: Network) -> np.ndarray:
    flow = solve(network, network.closed)
    assert flow.status[0] == FlowStatus.CONVERGED
    return flow.v[0]


def without_current(network: Network) -> Network:
    """Constant current as constant power: pandapower cannot hold it beside a generator at the same bus."""
    return replace(network, s_power=network.s_power + network.s_current, s_current=0.0 * network.s_current)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n_source", [1, 2, 3])
def test_random_grids_against_power_grid_model(seed: int, n_source: int) -> None:
    network = random_network(seed, 18 + n_source, n_source=n_source, n_tie=3, ideal=False, load=2.0)
    np.testing.assert_allclose(own(network), power_grid_model_voltages(network, network.closed), atol=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_random_grids_against_pandapower(seed: int) -> None:
    network = random_network(seed, 20, n_source=1 + seed % 3, n_tie=3, load=2.0)
    network = without_current(network)
    np.testing.assert_allclose(own(network), pandapower_voltages(network, network.closed), atol=1e-8)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("shift", [0.0, np.pi / 6])
def test_all_models_of_load_behind_a_transformer_against_both(turned: bool, shift: float) -> None:
    transformer = Branch(0, 1, z=0.01 + 0.04j, y=0.002 - 0.01j, tap=0.95, shift=shift)
    if turned:
        transformer = replace(transformer, fr=1, to=0)
    branches = [
        transformer,
        Branch(1, 2, y=0.02j),
        Branch(3, 2, y=0.01 + 0.01j),
        Branch(1, 3, closed=False),
        Branch(4, 5),
    ]
    network = make_network(
        6,
        branches,
        {0: 1.02 * np.exp(0.1j)},
        power=[0.0, 0.3 + 0.1j, 0.0, 0.0, 0.1, 0.1],
        current=[0.0, 0.0, 0.2 + 0.1j, 0.0, 0.0, 0.0],
        impedance=[0.0, 0.0, 0.0, 0.3 - 0.2j, 0.0, 0.0],
        generators=[(1, 0.1 + 0.05j)],
    )
    mine = own(network)
    assert (mine[4:] == 0.0).all()
    np.testing.assert_allclose(mine, power_grid_model_voltages(network, network.closed), atol=1e-8)
    np.testing.assert_allclose(mine, pandapower_voltages(network, network.closed), atol=1e-8)
