"""Power flow with loops and joined sources: the same voltages as pandapower, power-grid-model and the sweep."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flow
from openpoint.powerflow.meshed import MeshedFlow, solve_meshed
from openpoint.powerflow.state import ac_state
from tests.powerflow.oracles import pandapower_voltages, power_grid_model_voltages
from tests.powerflow.small_networks import Branch, make_network, random_network


def meshed(network: Network) -> tuple[Network, MeshedFlow]:
    """The network with all branches closed, and its flow."""
    network = replace(network, closed=np.ones(network.n_conductors, dtype=np.bool_))
    flow = solve_meshed(network, network.closed)
    assert flow is not None
    check = check_flow(network, network.closed, flow.v)
    assert check.max_mismatch < 1e-10
    assert flow.loss == pytest.approx(check.loss, rel=1e-9)
    np.testing.assert_allclose(flow.i_rated, check.current, atol=1e-9)
    return network, flow


@pytest.mark.parametrize("seed", range(8))
def test_random_grids_against_power_grid_model(seed: int) -> None:
    network, flow = meshed(random_network(seed, 22, n_source=1 + seed % 3, n_tie=4, ideal=False, load=2.0))
    np.testing.assert_allclose(flow.v, power_grid_model_voltages(network, network.closed), atol=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_random_grids_with_couplers_against_pandapower(seed: int) -> None:
    network = random_network(seed, 20, n_tie=3, load=2.0)
    network = replace(network, s_power=network.s_power + network.s_current, s_current=0.0 * network.s_current)
    network, flow = meshed(network)
    np.testing.assert_allclose(flow.v, pandapower_voltages(network, network.closed), atol=1e-8)


@pytest.mark.parametrize("seed", range(6))
def test_a_radial_state_is_that_of_the_sweep(seed: int) -> None:
    network = random_network(seed, 25, n_source=1 + seed % 2, n_tie=3)
    network = replace(network, y_open_to=np.where(network.closed, 0.0, 0.02j))
    sweep, newton = solve(network, network.closed), solve_meshed(network, network.closed)
    assert newton is not None
    for field in ("v", "i_series", "s_fr", "s_to", "source_s"):
        np.testing.assert_allclose(getattr(newton, field), getattr(sweep, field)[0], atol=1e-10, err_msg=field)
    assert newton.loss == pytest.approx(sweep.loss[0], abs=1e-11)


def test_a_loop_of_couplers_shares_the_current_equally() -> None:
    ring = [Branch(1, 2, z=0j), Branch(1, 2, z=0j), Branch(1, 3, z=0j), Branch(3, 2, z=0j)]
    _, flow = meshed(make_network(4, [Branch(0, 1), *ring], {0: 1.0}, power=[0, 0, 0.5, 0]))
    total = abs(flow.i_series[0])
    np.testing.assert_allclose(np.abs(flow.i_series[1:]), np.array([0.4, 0.4, 0.2, 0.2]) * total)


def test_what_has_no_flow_has_none() -> None:
    loop = [Branch(0, 1), Branch(0, 1), Branch(1, 2)]
    dark = make_network(4, loop, {0: 1.0}, power=[0, 0, 0.1, 0])
    assert ac_state(dark, dark.closed) is None
    heavy = make_network(3, loop, {0: 1.0}, power=[0, 0, 100.0])
    assert ac_state(heavy, heavy.closed) is None
    joined = make_network(3, [Branch(0, 1, z=0j), Branch(1, 2, z=0j)], {0: 1.0, 2: 1.0}, power=[0, 0.1, 0])
    assert ac_state(joined, joined.closed) is None
