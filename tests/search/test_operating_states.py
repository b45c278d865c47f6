"""The enumeration of operating states against loops over them, one state after another, and against the search."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.devices import DeviceKind, no_devices, with_positions
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.state import excesses
from openpoint.search.enumeration import count_topologies, topologies
from openpoint.search.operating_states import best_operating_state, combination, count_positions
from openpoint.search.topology import search_topologies
from tests.builders.device_grids import DeviceGrid, free_of_charge, random_device_grid
from tests.search.random_grids import random_grid

FEW = 300
"""States of a grid that a loop visits one by one."""


def one_by_one(grid: DeviceGrid) -> tuple[float, float]:
    """Least violation, and least loss with it, of a grid without prices and with limits of the network alone."""
    network, devices = grid.network, grid.devices
    found = [(np.inf, np.inf)]
    for closed in np.concatenate(list(topologies(network))):
        for chosen in product(*(range(size) for size in devices.sizes)):
            positions = np.array(chosen, dtype=np.int64)
            placed = with_positions(network, devices, positions)
            on = np.ones(len(network.generator_s))
            for d in devices.of(DeviceKind.UNIT):
                on[devices.place[d]] = devices.values[d][positions[d]]
            flows = solve(placed, closed, generation=network.generator_s * on)
            if flows.converged[0] and flows.energised[0].all():
                found.append((float(excesses(placed, flows)[0]), float(flows.loss[0])))
    return min(found)


def test_enumeration_equals_a_loop_over_all_states() -> None:
    features = ("banks", "voltages", "taps", "fixed units", "limits", "ratings")
    checked = 0
    for seed in range(40):
        grid = random_device_grid(seed, features, most=FEW)
        if not grid.devices.count or not count_topologies(grid.network):
            continue
        found = best_operating_state(grid.evaluator)
        assert found.complete
        assert found.exact
        assert found.states == count_topologies(grid.network) * count_positions(grid.devices)
        violation, value = one_by_one(grid)
        if found.best is None:
            assert value == np.inf
            continue
        assert (found.best.violation, found.best.value) == pytest.approx((violation, value), rel=1e-9, abs=1e-12), seed
        best = found.best
        again = grid.evaluator.evaluate(best.closed, best.positions, best.generation)
        assert (again[0][0], again[1][0]) == pytest.approx((best.value, best.violation), rel=1e-12)
        checked += 1
    assert checked >= 20


def test_sampled_outputs_come_close_to_the_optimum_of_the_search_from_above() -> None:
    checked = 0
    for seed in range(7):
        network = random_grid(np.random.default_rng(seed), ("dispatch", "shunts"))
        grid = DeviceGrid(network, no_devices(), *free_of_charge(network))
        found, enumerated = search_topologies(network, gap=1e-9), best_operating_state(grid.evaluator)
        if enumerated.best is None:
            continue
        assert not enumerated.exact
        assert enumerated.best.value >= found.lower_bound * (1.0 - 1e-9)
        assert enumerated.best.value == pytest.approx(found.value, rel=1e-5, abs=1e-9)
        checked += 1
    assert checked >= 5


def test_combinations_are_all_combinations_once() -> None:
    devices = next(
        grid.devices for seed in range(99) if len(np.unique((grid := random_device_grid(seed)).devices.kind)) >= 4
    )
    rows = combination(devices, np.arange(count_positions(devices)))
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert (rows.min(axis=0) == 0).all()
    assert (rows.max(axis=0) == devices.sizes - 1).all()


def test_locks_changes_limits_and_stops_are_kept() -> None:
    grid = next(g for seed in range(99) if count_topologies((g := random_device_grid(seed)).network) > 4)
    network, trees = grid.network, count_topologies(grid.network)
    with pytest.raises(OptionError, match=f"there are {trees} radial topologies with"):
        best_operating_state(grid.evaluator, limit=1)
    stopped = best_operating_state(grid.evaluator, stop=lambda: True)
    assert (stopped.best, stopped.states, stopped.complete) == (None, 0, False)
    tree = np.concatenate(list(topologies(network)))[-1]
    fixed = best_operating_state(grid.evaluator, locked_closed=tree, locked_open=~tree)
    assert fixed.best is not None
    assert (fixed.best.closed == tree).all()
    few = best_operating_state(replace(grid.evaluator, network=replace(network, closed=tree)), max_changes=0)
    assert few.states == count_positions(grid.devices)
