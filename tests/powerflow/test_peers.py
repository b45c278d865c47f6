"""The same voltages as pandapower and power-grid-model, to 1e-8 pu."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openpoint.network import Network
from openpoint.powerflow.balanced import FlowStatus, solve
from tests.powerflow.oracles import pandapower_voltages, power_grid_model_voltages
from tests.powerflow.small_networks import Branch, make_network, random_network


def own(network: Network) -> np.ndarray:
    flow = solve(network, network.closed)
    assert flow.status[0] == FlowStatus.CONVERGED
    return flow.v[0]


def without_current(network: Network) -> Network:
    """Constant current as constant power: pandapower cannot hold it beside a generator at the same bus."""
    return replace(network, s_power=network.s_power + network.s_current, s_current=0.0 * network.s_current)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("n_source", [1, 2, 3])
def test_random_grids_against_power_grid_model(seed: int, n_source: int) -> None:
    network = random_network(seed, 18 + n_source, n_source=n_source, n_tie=3, ideal=False, load=2.0)
    np.testing.assert_allclose(own(network), power_grid_model_voltages(network, network.closed), atol=1e-8)


@pytest.mark.parametrize("seed", range(6))
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
