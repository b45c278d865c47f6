"""Loads of constant current: narrower ranges of the voltages prove what a wide chord leaves open."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openpoint.search.topology import search_topologies
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.twostage.log import Termination
from tests.builders.device_grids import DeviceGrid, random_device_grid

FEATURES = "units", "voltages", "banks", "limits", "prices", "supply"


def grid_of(seed: int) -> DeviceGrid:
    """A random grid with outputs to choose, nearly all of whose load is of constant current."""
    grid = random_device_grid(seed, FEATURES, 400)
    net = grid.network
    return replace(grid, network=replace(net, s_current=0.9 * net.s_power + net.s_current, s_power=0.1 * net.s_power))


@pytest.mark.parametrize("seed", [2, 14, 23, 30, 62, 80])
def test_the_search_is_proven_where_one_chord_leaves_percents(seed: int) -> None:
    grid = grid_of(seed)
    net, fixed = grid.network, ~grid.network.switchable
    cone = DispatchProgram(net, grid.devices, grid.cost, grid.supply, fixed & net.closed, fixed & ~net.closed).cone
    found = search_topologies(net, devices=grid.devices, cost=grid.cost, supply=grid.supply, gap=1e-6, cone=cone.at)
    assert found.termination is Termination.OPTIMAL
    assert found.closed is not None
    assert found.positions is not None
    assert found.generation is not None
    value, violation = grid.evaluator.evaluate(found.closed, found.positions, found.generation)
    assert violation[0] == 0.0
    assert value[0] == pytest.approx(found.value, rel=1e-9)
    wide = cone.at(found.closed, found.positions)[0]
    assert wide < found.value - 1e-3 * abs(found.value)
