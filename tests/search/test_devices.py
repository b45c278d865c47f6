"""Search with devices answers as the enumeration does; no bound is too high; certificates are accepted."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.devices import DeviceKind, Devices
from openpoint.search.enumeration import combination, count_positions, topologies
from openpoint.search.kernel import forest, multipliers
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.model.objective import free_devices
from openpoint.search.result import SearchResult
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders.certificates import verify_network
from tests.builders.device_cases import LOSS_KW, device_case
from tests.builders.device_grids import DeviceGrid, free_of_charge, random_device_grid
from tests.builders.sampled_outputs import best_operating_state, has_outputs_to_choose
from tests.powerflow.small_networks import Branch, make_network
from tests.powerflow.test_operating_point import devices_of
from tests.search.entered import entered

FEATURES = ("banks", "voltages", "taps", "fixed units", "limits", "ratings")


@entered
def put_bounds(model, work, found):  # type: ignore[no-untyped-def]
    """The bound of a node into `found`, and the same raised by its limits."""
    forest.root(model, work)
    plain = multipliers.dual_ascent(model, work, 8, np.inf)
    raised = plain
    if model.bounded and plain > -np.inf:
        raised = multipliers.ascend_limit_multipliers(model, work, plain, 2.0 * abs(plain) + 1.0)
    found[0], found[1] = plain, raised


def greatest_bound(model: Model, work: Work) -> float:
    """The greater of the two."""
    found = np.zeros(2)
    put_bounds(model, work, found)
    return float(found.max())


def grids(first: int, count: int) -> list[tuple[int, DeviceGrid]]:
    """Seeds and their grids, those that have devices and a radial state."""
    some = ((seed, random_device_grid(seed, FEATURES, most=2000)) for seed in range(first, first + count))
    return [(seed, grid) for seed, grid in some if grid.devices.count]


def test_the_search_equals_the_enumeration() -> None:
    seen: Counter[str] = Counter()
    for seed, grid in grids(0, 18):
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
    assert seen["OPTIMAL"] > 7
    assert seen["INFEASIBLE"] > 0
    assert seen["refused"] < 5


def test_no_bound_exceeds_the_best_completion() -> None:
    checked = 0
    for seed, grid in grids(200, 15):
        checked += check_nodes(seed, grid)
    assert checked > 60


def check_nodes(seed: int, grid: DeviceGrid) -> int:
    """Nodes of random branches and intervals, at the multipliers of the search and at others."""
    rng, network = np.random.default_rng(seed), grid.network
    fixed = ~network.switchable
    free = free_devices(network, grid.devices, ~network.closed & fixed)
    devices: Devices = grid.devices.only(free)
    try:
        model, numbering = build_model(network, devices=devices)
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
        assert greatest_bound(model, work) <= best + 1e-9 * abs(best) + 1e-12, seed
        for scale in (0.1, 1.0):
            for array in (work.y, work.mu):
                array[: model.n] += scale * np.abs(array).max() * rng.normal(size=model.n)
            assert greatest_bound(model, work) <= best + 1e-9 * abs(best) + 1e-12, seed
        checked += 3
    return checked


PROVEN = ("33-A", "33-C", "33-E", "33-R1", "33-R2", "70-B")
"""Grids whose certificates are short enough for a test."""


@pytest.mark.parametrize("name", ["33-A", "33-D", "70-B", "118-A", "33-R2"])
def test_published_grids_reach_their_optima_and_certificates_are_accepted(name: str, tmp_path: Path) -> None:
    network, devices = device_case(name)
    found = search_topologies(
        network, devices=devices, gap=1e-4, certificate=tmp_path / "proof" if name in PROVEN else None
    )
    assert found.termination in (Termination.OPTIMAL, Termination.GAP)
    assert found.value * network.s_base_kva == pytest.approx(LOSS_KW[name], rel=1e-4)
    assert found.by_cone == 0
    assert found.lower_bound >= found.value * (1.0 - 1.01e-4)
    if name not in PROVEN:
        return
    proven = verify_network(network, tmp_path / "proof", devices=devices)
    assert [position for _, position in proven.positions] == (devices.first + found.positions).tolist()


def test_a_search_goes_on_from_a_checkpoint(tmp_path: Path) -> None:
    network, devices = device_case("70-B")
    whole = search_topologies(network, devices=devices, gap=1e-4)
    for nodes in (50, 200, 10**6):
        found = search_topologies(network, devices=devices, gap=1e-4, checkpoint=tmp_path / "open", node_limit=nodes)
    assert (found.value, found.lower_bound, found.nodes) == (whole.value, whole.lower_bound, whole.nodes)
    assert np.array_equal(found.positions, whole.positions)  # type: ignore[arg-type]


KINDS_OF_DEVICES = ("banks", "voltages", "taps", "fixed units", "units", "limits", "ratings")
COUNT = 12


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
        asked = searched(random_device_grid(seed, KINDS_OF_DEVICES, 1000), file)
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
        chosen = has_outputs_to_choose(grid.network)
        if not chosen:
            assert found.value >= least * (1.0 - 1e-9) - 1e-12, seed
        if file.exists():
            proven = verify_network(grid.network, file, devices=grid.devices)
            assert proven.bound_kw <= min(least, found.value) * grid.network.s_base_kva * (1.0 + 1e-9) + 1e-9, seed
            seen["verified"] += 1
            seen["with devices"] += len(proven.positions) > 0
            seen["with outputs"] += chosen
    assert seen["verified"] >= 6
    assert min(seen["with devices"], seen["with outputs"]) >= 2


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
    assert (best.violation, best.positions.tolist()) == (0.0, [0])
    assert found.positions.tolist() == [0]
    assert found.value == pytest.approx(best.value, rel=1e-8)


def test_moves_with_a_price_are_made_where_enumeration_makes_them() -> None:
    seen: Counter[int] = Counter()
    for seed in range(7):
        grid = random_device_grid(seed, ("banks", "voltages", "taps", "fixed units", "limits"), 500)
        still = best_operating_state(replace(grid, devices=grid.devices.only(np.empty(0, dtype=np.int64))).evaluator)
        free = best_operating_state(grid.evaluator)
        if free.best is None or free.best.violation > 0.0 or still.best is None:
            continue
        price = 0.1 * max(still.best.value - free.best.value, 1e-6)
        grid = replace(grid, cost=replace(grid.cost, move=price))
        best = best_operating_state(grid.evaluator).best
        found = search_topologies(grid.network, devices=grid.devices, cost=grid.cost, supply=grid.supply)
        assert found.positions is not None, seed
        assert found.termination is Termination.OPTIMAL, seed
        assert found.value == pytest.approx(best.value, rel=2e-6), seed
        seen[int(np.sum(found.positions != grid.devices.today))] += 1
    assert len(seen) >= 2, seen
