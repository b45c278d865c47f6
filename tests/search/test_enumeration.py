"""Enumeration of radial and of operating states against loops, subsets of branches and Kirchhoff's determinant."""

from dataclasses import replace
from itertools import combinations, product

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, no_devices, with_positions
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import losses, solve
from openpoint.powerflow.state import excesses
from openpoint.search.enumeration import (
    best_operating_state,
    combination,
    count_positions,
    count_topologies,
    topologies,
)
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders import sampled_outputs
from tests.builders.device_grids import FEATURES, DeviceGrid, free_of_charge, random_device_grid
from tests.powerflow.small_networks import Branch, make_network
from tests.search.random_grids import random_grid

SEEDS = st.integers(0, 2**32 - 1)
# 33 buses of Baran and Wu, 1989: the chain, its three laterals, and five ties.
PATHS = [
    range(18),
    [1, 18, 19, 20, 21],
    [2, 22, 23, 24],
    [5, *range(25, 33)],
    [20, 7],
    [8, 14],
    [11, 21],
    [17, 32],
    [24, 28],
]


def random_graph(seed: int, n_bus: int, n_branch: int, n_source: int) -> Network:
    """Any graph: also not connected, with branches side by side, from a bus to itself, or between sources."""
    rng = np.random.default_rng(seed)
    tree = [Branch(int(rng.integers(0, bus)), bus) for bus in range(1, n_bus)]
    ties = [Branch(*(int(i) for i in rng.integers(0, n_bus, 2))) for _ in range(max(0, n_branch - len(tree)))]
    branches = [(tree + ties)[i] for i in rng.permutation(len(tree + ties))][:n_branch]
    states = [(bool(rng.random() < 0.85), bool(rng.random() < 0.6)) for _ in branches]
    branches = [Branch(b.fr, b.to, switchable=s, closed=c) for b, (s, c) in zip(branches, states, strict=True)]
    return make_network(n_bus, branches, dict.fromkeys(range(n_source), 1.0 + 0.0j))


def is_radial(network: Network, closed: np.ndarray) -> bool:
    """Every bus has exactly one source and there is no loop, by networkx."""
    graph = nx.MultiGraph()
    graph.add_nodes_from(range(network.n_terminals))
    ends = zip(network.terminal_fr[closed].tolist(), network.terminal_to[closed].tolist(), strict=True)
    graph.add_edges_from(ends)
    sources = set(network.source_terminal.tolist())
    return nx.is_forest(graph) and all(len(part & sources) == 1 for part in nx.connected_components(graph))


def by_subsets(network: Network) -> set[tuple[bool, ...]]:
    """All radial states, by trying every set of closed branches of the right size that respects the locks."""
    size = network.n_terminals - len(network.source_terminal)
    found = set()
    for chosen in combinations(range(network.n_conductors), size):
        closed = np.zeros(network.n_conductors, dtype=bool)
        closed[list(chosen)] = True
        locks = network.switchable | (closed == network.closed)
        if locks.all() and is_radial(network, closed):
            found.add(tuple(closed.tolist()))
    return found


def listed(network: Network, **options: object) -> list[tuple[bool, ...]]:
    return [tuple(row.tolist()) for chunk in topologies(network, **options) for row in chunk]  # type: ignore[arg-type]


@given(SEEDS, st.integers(2, 7), st.integers(1, 11), st.integers(1, 3), st.integers(1, 9))
@settings(max_examples=25, deadline=None)
def test_enumeration_equals_brute_force(seed: int, n_bus: int, n_branch: int, n_source: int, chunk: int) -> None:
    network = random_graph(seed, n_bus, n_branch, min(n_source, n_bus))
    found = listed(network, chunk=chunk)
    assert len(found) == len(set(found))
    assert set(found) == by_subsets(network)
    assert count_topologies(network) == len(found)


@given(SEEDS, st.integers(2, 30), st.integers(0, 25))
@settings(max_examples=15, deadline=None)
def test_count_equals_the_determinant(seed: int, n_bus: int, n_tie: int) -> None:
    rng = np.random.default_rng(seed)
    branches = [Branch(int(rng.integers(0, bus)), bus) for bus in range(1, n_bus)]
    branches += [Branch(*(int(i) for i in rng.integers(0, n_bus, 2))) for _ in range(n_tie)]
    network = make_network(n_bus, branches, {0: 1.0 + 0.0j})
    laplacian = np.zeros((n_bus, n_bus))
    for b in branches:
        if b.fr != b.to:
            laplacian[[b.fr, b.to], [b.fr, b.to]] += 1.0
            laplacian[[b.fr, b.to], [b.to, b.fr]] -= 1.0
    assert count_topologies(network) == pytest.approx(np.linalg.det(laplacian[1:, 1:]), rel=1e-9)


def test_complete_graphs_have_cayleys_number_of_trees() -> None:
    for n in (3, 4, 5, 6, 7):
        network = make_network(n, [Branch(i, j) for i, j in combinations(range(n), 2)], {0: 1.0 + 0.0j})
        assert count_topologies(network) == n ** (n - 2)
        assert len(set(listed(network, chunk=7))) == n ** (n - 2)
    large = make_network(40, [Branch(i, j) for i, j in combinations(range(40), 2)], {0: 1.0 + 0.0j})
    assert count_topologies(large) == 40**38


def test_the_33_bus_grid_has_50751_topologies() -> None:
    edges = [edge for path in PATHS for edge in zip(list(path)[:-1], list(path)[1:], strict=True)]
    network = make_network(33, [Branch(*edge) for edge in edges], {0: 1.0 + 0.0j})
    chunks = list(topologies(network))
    assert count_topologies(network) == 50_751
    assert sum(map(len, chunks)) == 50_751
    assert len(np.unique(np.concatenate(chunks), axis=0)) == 50_751
    assert all((chunk.sum(axis=1) == 32).all() for chunk in chunks)
    assert (losses(network, chunks[0])[1] == 0).all()  # no load: all that is radial converges


def test_locks_replace_what_is_not_switchable() -> None:
    ring = [Branch(0, 1), Branch(1, 2), Branch(2, 0, switchable=False, closed=False)]
    network = make_network(3, ring, {0: 1.0 + 0.0j})
    none = np.zeros(3, dtype=bool)
    first = np.array([True, False, False])
    assert listed(network) == [(True, True, False)]
    assert len(listed(network, rules=SwitchingRules(none, none))) == 3
    assert set(listed(network, rules=SwitchingRules(first, none))) == {(True, True, False), (True, False, True)}
    assert listed(network, rules=SwitchingRules(none, first)) == [(False, True, True)]
    assert count_topologies(network, SwitchingRules(~none, none)) == 0
    assert listed(network, rules=SwitchingRules(~none, none)) == []
    with pytest.raises(OptionError, match="locked both open and closed: e0"):
        count_topologies(network, SwitchingRules(first, first))


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
    for seed in range(20):
        grid = random_device_grid(seed, features, most=FEW)
        if not grid.devices.count or not count_topologies(grid.network):
            continue
        found = best_operating_state(grid.evaluator)
        assert found.complete
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
    assert checked >= 10


def test_sampled_outputs_come_close_to_the_optimum_of_the_search_from_above() -> None:
    checked = 0
    for seed in range(4):
        network = random_grid(np.random.default_rng(seed), ("dispatch", "shunts"))
        grid = DeviceGrid(network, no_devices(), *free_of_charge(network))
        found, enumerated = search_topologies(network, gap=1e-9), sampled_outputs.best_operating_state(grid.evaluator)
        if enumerated.best is None:
            continue
        assert sampled_outputs.has_outputs_to_choose(network)
        assert enumerated.best.value >= found.lower_bound * (1.0 - 1e-9)
        assert enumerated.best.value == pytest.approx(found.value, rel=1e-5, abs=1e-9)
        checked += 1
    assert checked >= 2


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
    fixed = best_operating_state(grid.evaluator, SwitchingRules(tree, ~tree))
    assert (fixed.best.closed == tree).all()
    there = replace(network, closed=tree)
    few = best_operating_state(replace(grid.evaluator, network=there), SwitchingRules.of(there, 0))
    assert few.states == count_positions(grid.devices)


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
