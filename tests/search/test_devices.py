"""Search with devices: it answers as the enumeration of all trees and positions does, and no bound is too high."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.devices import Devices
from openpoint.search.enumeration import topologies
from openpoint.search.kernel import ascent, forest
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.model.devices import free_devices
from openpoint.search.operating_states import best_operating_state, combination, count_positions
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders.certificates import verify_network
from tests.builders.device_cases import LOSS_KW, device_case
from tests.builders.device_grids import DeviceGrid, random_device_grid
from tests.search.entered import entered

FEATURES = ("banks", "voltages", "taps", "fixed units", "limits", "ratings")


@entered
def bounds(model, work):  # type: ignore[no-untyped-def]
    """The bound of a node, and the same raised by its limits."""
    forest.root(model, work)
    plain = ascent.dual_ascent(model, work, 8, np.inf)
    raised = plain
    if model.bounded and plain > -np.inf:
        raised = ascent.ascend_limit_multipliers(model, work, plain, 2.0 * abs(plain) + 1.0)
    return plain, raised


def grids(first: int, count: int) -> list[tuple[int, DeviceGrid]]:
    """Seeds and their grids, those that have devices and a radial state."""
    some = ((seed, random_device_grid(seed, FEATURES, most=2000)) for seed in range(first, first + count))
    return [(seed, grid) for seed, grid in some if grid.devices.count]


@pytest.mark.parametrize("first", [0, 100])
def test_the_search_equals_the_enumeration(first: int) -> None:
    seen: Counter[str] = Counter()
    for seed, grid in grids(first, 100):
        try:
            found = search_topologies(grid.network, devices=grid.devices, gap=0.0)
        except OptionError:
            seen["refused"] += 1
            continue
        best = best_operating_state(grid.evaluator).best
        seen[found.termination.name] += 1
        if best is None or best.violation > 0.0:
            assert found.termination is Termination.INFEASIBLE, seed
            continue
        assert found.termination is Termination.OPTIMAL, seed
        assert found.value == pytest.approx(best.value, rel=1e-8, abs=1e-12), seed
        assert found.lower_bound <= best.value * (1.0 + 1e-9) + 1e-12, seed
        assert found.closed is not None, seed
        assert found.positions is not None, seed
        value, violation = grid.evaluator.evaluate(found.closed, found.positions)
        assert (value[0], violation[0]) == (pytest.approx(found.value, rel=1e-9, abs=1e-12), 0.0), seed
    assert seen["OPTIMAL"] > 40
    assert seen["INFEASIBLE"] > 0
    assert seen["refused"] < 5


def test_no_bound_exceeds_the_best_completion() -> None:
    checked = 0
    for seed, grid in grids(200, 120):
        checked += check_nodes(seed, grid)
    assert checked > 500


def check_nodes(seed: int, grid: DeviceGrid) -> int:
    """Nodes of random branches and intervals, at the multipliers of the search and at others."""
    rng, network = np.random.default_rng(seed), grid.network
    fixed = ~network.switchable
    free = free_devices(network, grid.devices, ~network.closed & fixed)
    devices: Devices = grid.devices.only(free)
    try:
        model, numbering = build_model(
            network, must_close=network.closed & fixed, must_open=~network.closed & fixed, devices=devices
        )
    except OptionError:
        return 0
    found = [np.empty((0, network.n_conductors), dtype=bool), *topologies(network)]
    trees = np.concatenate(found)
    if not len(trees):
        return 0
    count = count_positions(devices)
    positions = np.repeat(combination(devices, np.arange(count)), len(trees), axis=0)
    whole = np.repeat(grid.devices.today[None, :], len(positions), axis=0)
    whole[:, free] = positions
    value, violation = grid.evaluator.evaluate(np.tile(trees, (count, 1)), whole)
    value = np.where(violation == 0.0, value, np.inf)
    states = np.tile(trees, (count, 1))[:, numbering.branch]
    work, checked = work_for(model), 0
    begin = np.where((network.closed & fixed)[numbering.branch], CLOSED, UNDECIDED).astype(np.int8)
    for known in (0.0, 0.5, 1.0, 1.0):
        tree = states[rng.integers(len(states))]
        work.status[:] = np.where((begin == UNDECIDED) & (rng.random(len(begin)) < known), tree, begin)
        ends = rng.integers(0, devices.sizes, (2, devices.count))
        work.low[:], work.high[:] = ends.min(axis=0), ends.max(axis=0)
        if not propagate(model, work):
            continue
        inside = ((work.status == UNDECIDED) | (states == work.status)).all(axis=1)
        inside &= ((work.low <= positions) & (positions <= work.high)).all(axis=1)
        best = float(value[inside].min(initial=np.inf))
        for array in (work.y, work.mu, work.phi):
            array[:] = 0.0
        assert max(bounds(model, work)) <= best + 1e-9 * abs(best) + 1e-12, seed
        for scale in (0.1, 1.0):
            for array in (work.y, work.mu):
                array[: model.n] += scale * np.abs(array).max() * rng.normal(size=model.n)
            assert max(bounds(model, work)) <= best + 1e-9 * abs(best) + 1e-12, seed
        checked += 3
    return checked


@pytest.mark.parametrize("name", ["33-A", "33-B", "33-C", "33-D", "33-E", "70-B", "70-D", "118-A", "33-R1", "33-R2"])
def test_published_grids_reach_their_optima(name: str) -> None:
    network, devices = device_case(name)
    found = search_topologies(network, devices=devices, gap=1e-4)
    assert found.termination in (Termination.OPTIMAL, Termination.GAP)
    assert found.value * network.s_base_kva == pytest.approx(LOSS_KW[name], rel=1e-4)
    assert found.by_cone == 0
    assert found.lower_bound >= found.value * (1.0 - 1.01e-4)


@pytest.mark.parametrize("name", ["33-A", "33-C", "33-E", "33-R1", "33-R2", "70-B"])
def test_their_certificates_are_accepted(name: str, tmp_path: Path) -> None:
    network, devices = device_case(name)
    found = search_topologies(network, devices=devices, gap=1e-4, certificate=tmp_path / "proof")
    proven = verify_network(network, tmp_path / "proof", devices=devices)
    assert found.positions is not None
    assert [position for _, position in proven.positions] == (devices.first + found.positions).tolist()


def test_a_search_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    network, devices = device_case("70-B")
    whole = search_topologies(network, devices=devices, gap=1e-4)
    for nodes in (50, 200, 10**6):
        found = search_topologies(network, devices=devices, gap=1e-4, checkpoint=tmp_path / "open", node_limit=nodes)
    assert (found.value, found.lower_bound, found.nodes) == (whole.value, whole.lower_bound, whole.nodes)
    assert np.array_equal(found.positions, whole.positions)  # type: ignore[arg-type]
