"""Loads that no state carries: the proof never speaks where a state exists, and finds lengths that are × 1000."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.model.build import build_model
from openpoint.search.no_flow import cannot_carry
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.powerflow.small_networks import Branch, make_network
from tests.search.random_grids import KINDS, random_grid


def longer(network: Network, factor: float) -> Network:
    """The network with impedances and shunts of longer lines."""
    z, y = (sp.csr_array(factor * part) for part in (network.z, network.y_shunt))
    return replace(network, z=z, y_shunt=y)


def says(network: Network) -> bool:
    model, _ = build_model(network)
    return cannot_carry(model)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_it_never_speaks_where_a_state_exists(seed: int, kind: tuple[str, ...]) -> None:
    rng = np.random.default_rng([seed, 5])
    network = random_grid(rng, kind)
    network = network.with_limits(
        w_min=np.zeros(network.n_terminals), w_max=np.full(network.n_terminals, 4.0), l_max=network.l_max + np.inf
    )
    states = [*topologies(network)]
    for factor in (1.0, 5.0, 20.0, 100.0):
        made = longer(network, factor)
        flows = [solve(made, some) for some in states]
        kept = any(bool((each.converged & (np.abs(each.v) <= 2.0).all(axis=1)).any()) for each in flows)
        assert not (kept and says(made)), factor


def test_lengths_a_thousand_times_too_long_are_known_at_once() -> None:
    found = 0
    for seed in range(10):
        network = random_grid(np.random.default_rng(seed), ("shunts",))
        limits = np.zeros(network.n_terminals), np.full(network.n_terminals, 1.21)
        network = network.with_limits(w_min=limits[0], w_max=limits[1], l_max=network.l_max + np.inf)
        made = longer(network, 1000.0)
        if says(made):
            found += 1
            result = search_topologies(made)
            assert (result.termination, result.nodes) == (Termination.INFEASIBLE, 0)
    assert found >= 5


def test_without_upper_limits_such_a_grid_is_refused_with_what_to_do() -> None:
    z, y = 5.0 + 5.0j, 0.2j
    far = [Branch(1, 2, z, y), Branch(2, 3, z, y), Branch(1, 3, z, y, closed=False)]
    network = make_network(4, [Branch(0, 1, switchable=False), *far], {0: 1.0 + 0.0j}, power=[0.0, 0.0, 0.4, 0.4])
    with pytest.raises(OptionError, match=r"carries the loads at voltages up to 2 pu.*--v-max"):
        search_topologies(network)
    limited = network.with_limits(w_min=network.w_min, w_max=np.full(4, 1.21), l_max=network.l_max)
    assert search_topologies(limited).termination is Termination.INFEASIBLE
