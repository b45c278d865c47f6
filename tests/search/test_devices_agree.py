"""Search with devices on random grids: its answer keeps the limits in the exact flow, no state that the enumeration
visits is better, and its certificate is accepted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.devices import DeviceKind
from openpoint.search.operating_states import best_operating_state
from openpoint.search.result import SearchResult
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders.certificates import verify_network
from tests.builders.device_grids import DeviceGrid, free_of_charge, random_device_grid
from tests.powerflow.small_networks import Branch, make_network
from tests.powerflow.test_operating_point import devices_of

FEATURES = ("banks", "voltages", "taps", "fixed units", "units", "limits", "ratings")
COUNT = 36


def searched(grid: DeviceGrid, file: Path) -> tuple[DeviceGrid, SearchResult] | None:
    """The grid and the answer; devices that the search does not set are held; None where it refuses the grid."""
    some = grid.devices.only(np.flatnonzero(grid.devices.kind != DeviceKind.UNIT))
    for devices in (grid.devices, some):
        try:
            found = search_topologies(grid.network, devices=devices, gap=1e-6, certificate=file)
        except OptionError:
            continue
        return replace(grid, devices=devices), found
    return None


def test_the_answer_is_proven_best_by_enumeration_and_by_its_certificate(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(COUNT):
        file = tmp_path / str(seed)
        asked = searched(random_device_grid(seed, FEATURES, 1000), file)
        if asked is None:
            continue
        grid, found = asked
        every = best_operating_state(grid.evaluator)
        least = every.best.value if every.best is not None and every.best.violation == 0.0 else np.inf
        seen[found.termination.name] += 1
        assert found.lower_bound <= least * (1.0 + 1e-9) + 1e-12, seed
        if found.closed is None:
            assert found.termination is Termination.INFEASIBLE, seed
            assert least == np.inf, seed
            continue
        positions = grid.devices.today if found.positions is None else found.positions
        value, violation = grid.evaluator.evaluate(found.closed, positions, found.generation)
        assert violation[0] == 0.0, seed
        assert value[0] == pytest.approx(found.value, rel=1e-9, abs=1e-12), seed
        if found.termination is Termination.OPTIMAL:
            assert found.value <= least * (1.0 + 1e-5) + 1e-9, seed
        if every.exact:
            assert found.value >= least * (1.0 - 1e-9) - 1e-12, seed
        if file.exists():
            proven = verify_network(grid.network, file, devices=grid.devices)
            assert proven.bound_kw <= min(least, found.value) * grid.network.s_base_kva * (1.0 + 1e-9) + 1e-9, seed
            seen["verified"] += 1
            seen["with devices"] += len(proven.positions) > 0
            seen["with outputs"] += not every.exact
    assert seen["verified"] >= 25
    assert min(seen["with devices"], seen["with outputs"]) >= 8


def feeder() -> DeviceGrid:
    """A ring of three buses with a bank at its source, which is on and feeds too much into the grid above."""
    branches = [Branch(0, 1), Branch(1, 2), Branch(2, 0, closed=False)]
    network = make_network(3, branches, {0: 1.0 + 0.0j}, power=[0.0, 0.2, 0.3], impedance=[-0.5j, 0.0, 0.0])
    devices = devices_of((DeviceKind.BANK, 0, [0.0, 0.5], 1))
    cost, free = free_of_charge(network)
    return DeviceGrid(network, devices, cost, replace(free, q_min=np.array([-0.1])))


def test_a_bank_at_a_source_counts_where_the_power_of_the_source_is_limited() -> None:
    grid = feeder()
    best = best_operating_state(grid.evaluator).best
    found = search_topologies(grid.network, devices=grid.devices, supply=grid.supply)
    assert best is not None
    assert (best.violation, best.positions.tolist()) == (0.0, [0])
    assert found.positions is not None
    assert found.positions.tolist() == [0]
    assert found.value == pytest.approx(best.value, rel=1e-8)


def test_moves_with_a_price_are_made_where_enumeration_makes_them() -> None:
    seen: Counter[int] = Counter()
    for seed in range(14):
        grid = random_device_grid(seed, ("banks", "voltages", "taps", "fixed units", "limits"), 500)
        still = best_operating_state(replace(grid, devices=grid.devices.only(np.empty(0, dtype=np.int64))).evaluator)
        free = best_operating_state(grid.evaluator)
        if free.best is None or free.best.violation > 0.0 or still.best is None:
            continue
        price = 0.1 * max(still.best.value - free.best.value, 1e-6)
        grid = replace(grid, cost=replace(grid.cost, move=price))
        best = best_operating_state(grid.evaluator).best
        found = search_topologies(grid.network, devices=grid.devices, cost=grid.cost, supply=grid.supply)
        assert best is not None
        assert found.positions is not None, seed
        assert found.termination is Termination.OPTIMAL, seed
        assert found.value == pytest.approx(best.value, rel=2e-6), seed
        seen[int(np.sum(found.positions != grid.devices.today))] += 1
    assert len(seen) >= 2, seen
