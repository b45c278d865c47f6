"""No state that keeps the limits loses more than the bound says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.model.voltage_bounds import demand, loss_upper_bound, loss_upper_bound_by_limits
from tests.search.random_grids import random_grid


def by_limits(network: Network, w_min: np.ndarray, l_max: np.ndarray) -> float:
    every = np.ones(network.n_conductors, dtype=bool)
    return loss_upper_bound_by_limits(network, every, demand(network), w_min, l_max)


@pytest.mark.parametrize("features", [(), ("stiff",), ("impedance",), ("stiff", "impedance", "generation")])
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_no_state_loses_more_than_its_own_limits_allow(features: tuple[str, ...], seed: int) -> None:
    """The limits are set to what a state just keeps, so that it must not lose more than they allow."""
    network = random_grid(np.random.default_rng(seed), features)
    n, m = network.n_terminals, network.n_conductors
    inner = np.setdiff1d(np.arange(n), network.source_terminal)
    for states in topologies(network):
        flows = solve(network, states)
        for v, i, loss in zip(*(each[flows.converged] for each in (flows.v, flows.i_series, flows.loss)), strict=True):
            w, l = np.abs(v) ** 2, np.abs(i) ** 2
            assert loss <= loss_upper_bound(network) or w[inner].min() < 0.3
            assert loss <= by_limits(network, np.zeros(n), l) * (1.0 + 1e-9) + 1e-15
            low = np.full(n, w[inner].min())
            assert loss <= by_limits(network, low, np.full(m, np.inf)) * (1.0 + 1e-9) + 1e-15


@pytest.mark.parametrize(("name", "v_min", "most_kw"), [("baran33", 0.95, 357.0), ("das70", 0.92, 573.0)])
def test_a_voltage_limit_caps_the_loss(name: str, v_min: float, most_kw: float) -> None:
    """docs/methods.md M12."""
    network = build_network(files.load(name))
    low, none = np.full(network.n_terminals, v_min**2), np.full(network.n_conductors, np.inf)
    assert by_limits(network, low, none) * network.s_base_kva == pytest.approx(most_kw, abs=1.0)


def test_what_feeds_is_not_capped_by_voltages() -> None:
    network = random_grid(np.random.default_rng(3), ("generation",))
    assert (demand(network).power.real < 0.0).any()
    assert np.isinf(by_limits(network, np.full(network.n_terminals, 0.9), np.full(network.n_conductors, np.inf)))
