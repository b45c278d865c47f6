"""The built-in grids that can be enumerated: how many topologies they have, and the proven optimum."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.grid import builtin
from openpoint.network import build_network
from openpoint.powerflow.balanced import losses
from openpoint.search.enumeration import best_topologies, count_topologies

# name: (topologies, least loss kW, how many topologies share it)
ENUMERATED = {
    "zhang13": (134, 12.656, 2),
    "civanlar16": (190, 466.127, 1),
    "baran33": (50_751, 139.551, 1),
    "baran69": (407_924, 98.605, 4),
}


@pytest.mark.parametrize("name", ENUMERATED)
def test_brute_force_finds_the_least_loss(name: str) -> None:
    network = build_network(builtin.load(name))
    number, loss_kw, ties = ENUMERATED[name]
    assert count_topologies(network) == number
    seen = 0

    def objective(closed: np.ndarray) -> np.ndarray:
        nonlocal seen
        seen += len(closed)
        return losses(network, closed, tolerance=1e-10)[0]

    values, states = best_topologies(network, objective, keep=5)
    assert seen == number
    np.testing.assert_allclose(values[:ties] * network.s_base_kva, loss_kw, atol=6e-4)
    assert values[ties] * network.s_base_kva > loss_kw + 0.01
    assert len(np.unique(states, axis=0)) == 5


def test_large_grids_are_counted_exactly() -> None:
    assert count_topologies(build_network(builtin.load("das70"))) == 383_204_016
    assert count_topologies(build_network(builtin.load("zhang118"))) == 4_460_226_199_546_680
    assert count_topologies(build_network(builtin.load("mantovani136"))) == 2_268_613_367_486_060_112
