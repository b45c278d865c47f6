"""Moves of devices, and the end of a search whose cost is negative."""

from __future__ import annotations

from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders.device_grids import FEATURES, random_device_grid


def test_a_negative_cost_does_not_let_equal_moves_go_on_for_ever() -> None:
    """The generator of this grid earns more than all else costs; moves that gain nothing used to alternate."""
    grid = random_device_grid(238, FEATURES, 2000)
    looks = [0]

    def stop() -> bool:
        looks[0] += 1
        return looks[0] > 2000

    found = search_topologies(grid.network, devices=grid.devices, cost=grid.cost, supply=grid.supply, stop=stop)
    assert found.termination is Termination.OPTIMAL
    assert found.value < 0.0
