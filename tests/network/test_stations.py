"""Held meshes opened: the same power flow, the same limits, and the same least loss as all states tried by Newton."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

import openpoint
from openpoint import TopologySearch
from openpoint.network import build_network
from openpoint.network.limits import Limits
from openpoint.network.stations import open_held_meshes
from openpoint.powerflow.balanced import FlowStatus, solve
from openpoint.powerflow.state import ac_state
from openpoint.verify import verify
from tests.builders.stations import states, station_grid


@pytest.mark.parametrize("seed", range(10))
def test_the_opened_network_has_the_same_flow_and_limits(seed: int) -> None:
    stations = open_held_meshes(build_network(station_grid(seed, limited=True)))
    whole, opened = stations.whole, stations.opened
    assert stations.dropped.any()
    for closed in itertools.islice(states(whole), 12):
        state, flow = ac_state(whole, closed), solve(opened, closed & ~stations.dropped)
        assert state is not None
        assert flow.status[0] == FlowStatus.CONVERGED
        np.testing.assert_allclose(flow.v[0], state.v, atol=1e-10)
        assert flow.loss[0] == pytest.approx(state.loss, rel=1e-9)
        # Of branches in parallel, the fullest is as full as the one that stands for them.
        full, full_opened = (i / np.sqrt(net.l_max) for i, net in ((state.i, whole), (flow.i_rated[0], opened)))
        units = np.array([name.startswith("T") for name in whole.branch_names])
        apart = stations.wider.any()  # shunts that are not shared as currents make its limit wider
        assert full[units].max() == pytest.approx(full_opened[units].max(), rel=1e-2 if apart else 1e-8)
        assert full_opened[units].max() <= full[units].max() * (1.0 + 1e-8)
        np.testing.assert_allclose(
            full_opened[~units], np.where(stations.dropped & stations.couplers, 0.0, full)[~units], atol=1e-8
        )


@pytest.mark.parametrize("limited", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_least_loss_is_that_of_all_states(seed: int, limited: bool, tmp_path: Path) -> None:
    grid = station_grid(seed, limited=limited)
    network = Limits(v_min_pu=0.9).applied(build_network(grid))
    best, least = math.inf, None
    for closed in states(network):
        state = ac_state(network, closed)
        kept = state is not None and not any(map(len, (state.check.v_low, state.check.v_high, state.check.overloaded)))
        if kept and state.loss < best:
            best, least = state.loss, closed
    file = tmp_path / "proof"
    method = TopologySearch(certificate=file, gap=1e-7)
    answer = openpoint.reconfigure(grid, limits=Limits(v_min_pu=0.9), method=method)
    if least is None:
        assert answer.loss_kw is None
        return
    assert answer.loss_kw == pytest.approx(best * network.s_base_kva, rel=1e-7)
    assert answer.lower_bound_kw <= answer.loss_kw * (1 + 1e-9)
    assert {e for e in answer.open_branches if e.startswith(("C", "T"))} == set()
    assert verify(grid, file).loss_kw == pytest.approx(answer.loss_kw, rel=1e-9)


def test_a_grid_without_held_meshes_stays_as_it_is() -> None:
    network = build_network(openpoint.read("baran33"))
    assert open_held_meshes(network).opened is network
