"""The bound by paths, branching with it, and trials of paths, against all radial states of random grids."""

import itertools
from typing import Any

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network import build_network
from openpoint.search import topology
from openpoint.search.paths import bound as path_bounds
from openpoint.search.paths import entries, explorer
from openpoint.search.paths.arrays import BACK, FORTH, Paths, PathWork, path_work_for
from openpoint.search.paths.explorer import PathExplorer
from openpoint.search.sharing import SearchState
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.search.entered import entered
from tests.search.paths.agree import case_of, faults, faults_of_parts, lost, rounds_of_two_parts
from tests.search.random_grids import random_grid
from tests.search.test_topology import loaded

KINDS = [(), ("locks",), ("stiff",), ("ratings", "low", "locks")]


@pytest.mark.parametrize("seed", range(10))
def test_no_bound_is_above_the_best_completion(seed: int) -> None:
    """docs/methods.md M14."""
    rng = np.random.default_rng([seed, 16])
    case = case_of(random_grid(rng, KINDS[seed % len(KINDS)]), change_cost=1e-3 * (seed % 3 == 0))
    if case is not None:
        bounds, found = faults(case, rng, 8)
        assert bounds == 160
        assert found == []


@pytest.mark.parametrize("seed", [*range(10), 834])
def test_no_bound_by_parts_is_above_the_best_completion(seed: int) -> None:
    rng = np.random.default_rng([seed, 21])
    case = case_of(random_grid(rng, KINDS[seed % len(KINDS)]), change_cost=1e-3 * (seed % 3 == 0))
    if case is not None:
        assert faults_of_parts(case, rng, 8)[1] == []


def test_prices_at_the_border_raise_the_bound() -> None:
    risen = 0
    for seed in range(20):
        rng = np.random.default_rng([seed, 22])
        case = case_of(random_grid(rng, KINDS[seed % len(KINDS)]))
        if case is not None and len(case.paths.u) > 3:
            values = rounds_of_two_parts(case, rng)
            risen += max(values) > values[0] * 1.001
            assert max(values) <= case.value.min() * (1.0 + 1e-9)
    assert risen >= 2


@pytest.mark.parametrize("share", [1e-4, 0.05, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_no_state_below_the_cutoff_is_lost(seed: int, share: float) -> None:
    rng = np.random.default_rng([seed, 17])
    case = case_of(random_grid(rng, KINDS[seed % len(KINDS)]))
    assert case is None or lost(case, share) == 0


@pytest.mark.parametrize("seed", range(5))
def test_no_state_is_lost_where_the_first_node_is_bounded_by_parts(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.search.paths.explorer.LEAST", 1)
    monkeypatch.setattr("openpoint.search.paths.explorer.ROUNDS", ((1, 2, 100, 0.1), (2, 3, 100, 0.05)))
    rng = np.random.default_rng([seed, 18])
    case = case_of(random_grid(rng, KINDS[seed % len(KINDS)]))
    assert case is None or lost(case, 0.05) == 0


@pytest.mark.parametrize("seed", range(8))
def test_the_arborescence_is_the_cheapest_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    paths, work = _random_junctions(rng)
    root, arcs = paths.junctions, np.flatnonzero(np.isfinite(work.cost))
    of = {j: [a for a in arcs if _head(paths, a) == j] for j in range(root)}
    trees = [chosen for chosen in itertools.product(*of.values()) if _reaches_all(paths, chosen)]
    total = entered(path_bounds.arborescence)(paths, work)
    if not trees:
        assert total == np.inf
        return
    totals = np.array([work.cost[list(chosen)].sum() for chosen in trees])
    assert total == pytest.approx(totals.min(), abs=1e-12)
    chosen = work.arc[:root]
    assert _reaches_all(paths, chosen)
    assert work.cost[chosen].sum() == pytest.approx(total, abs=1e-12)
    for a in arcs:
        with_it = [worth for worth, some in zip(totals, trees, strict=True) if a in some]
        rest = entries.reduced(paths, work, a)
        assert total + rest <= min(with_it, default=np.inf) + 1e-12
        if a in chosen:
            assert rest == pytest.approx(0.0, abs=1e-12)


def _random_junctions(rng: np.random.Generator) -> tuple[Paths, PathWork]:
    """Paths without branches between 2 to 6 junctions, and random costs of most arcs."""
    size, count = int(rng.integers(2, 7)), int(rng.integers(4, 10))
    u, v = rng.integers(size, size=(2, count)).astype(np.int32)
    none = np.zeros(0, dtype=np.int32)
    fields = ("bus", "branch", "beyond", "u_bus", "v_bus", "first", "at", "pruned", "above", "by")
    start = np.zeros(count + 1, dtype=np.int32)
    empty = dict.fromkeys(fields, none)
    empty |= {"r": np.zeros(count), "x": np.zeros(count)}
    paths = Paths(junctions=size - 1, start=start, u=u, v=v, metric=np.zeros((size - 1, size - 1)), **empty)
    work = path_work_for(paths, 1)
    work.cost[:] = np.round(rng.normal(0.0, 1.0, 2 * count), int(rng.integers(1, 4)))
    for a in range(2 * count):
        if not work.mask[a // 2] & (BACK if a % 2 else FORTH) or rng.random() < 0.1:
            work.cost[a] = np.inf
    return paths, work


def _head(paths: Paths, a: int) -> int:
    return int(paths.u[a // 2] if a % 2 else paths.v[a // 2])


def _reaches_all(paths: Paths, chosen: tuple[int, ...]) -> bool:
    """Whether these arcs, one into each junction, are an arborescence: no cycle."""
    tail = [int(paths.v[a // 2] if a % 2 else paths.u[a // 2]) for a in chosen]
    for j in range(paths.junctions):
        for _ in range(paths.junctions + 1):
            if j != paths.junctions:
                j = tail[j]
        if j != paths.junctions:
            return False
    return True


def searched(name: str, gap: float, certifiable: bool, monkeypatch: pytest.MonkeyPatch) -> SearchState:
    seen: list[SearchState] = []

    def remembered(*parts: Any, **more: Any) -> SearchState:
        seen.append(SearchState(*parts, **more))
        return seen[-1]

    monkeypatch.setattr(topology, "SearchState", remembered)
    found = topology.search_topologies(loaded(name), gap=gap, certifiable=certifiable)
    assert found.gap <= 1.001 * gap
    (state,) = seen
    return state


@pytest.mark.parametrize("name", ["zhang118", "mantovani136"])
def test_trials_show_gains(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    state = searched(name, 1e-4, False, monkeypatch)
    nodes, helped = state.tree.explorer.of_paths.tally
    assert helped > nodes / 2
    assert 10 * state.tree.counts.gains[0] > state.tree.counts.trials[0] > 0


def test_trials_show_gains_where_nodes_are_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = searched("baran69", 1e-6, True, monkeypatch).tree.counts
    assert 40 * counts.gains[0] > counts.trials[0] > 0


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[PathExplorer]:
    """Searches begin anew with trials after their second node; those that did."""
    found: list[PathExplorer] = []
    monkeypatch.setattr(topology, "SMALL", 0)  # no grid begins without paths
    monkeypatch.setattr(explorer, "ANEW_AFTER", 2)
    monkeypatch.setattr(explorer, "WAITING", 1e9)
    anew = explorer.begin_anew
    try_paths = PathExplorer._try_paths

    def seen(self: PathExplorer, *given: object) -> None:
        monkeypatch.setattr(explorer, "begin_anew", lambda *asked: (found.append(self), anew(*asked)))
        before, of = len(found), self.of_paths
        try_paths(self, *given)
        if len(found) > before:
            for now, first in ((of.y, of.first_y), (of.mu, of.first_mu), (of.known_w, of.first_w)):
                np.testing.assert_array_equal(now, first)

    monkeypatch.setattr(PathExplorer, "_try_paths", seen)
    return found


@pytest.mark.parametrize("share", [1e-4, 0.05, 0.5])
def test_no_state_below_the_cutoff_is_lost_by_trials(begun: list[PathExplorer], share: float) -> None:
    for seed in range(20):
        rng = np.random.default_rng([seed, 41])
        case = case_of(random_grid(rng, KINDS[seed % len(KINDS)]))
        assert case is None or lost(case, share) == 0, seed
    tried = sum(bool(each.of_paths.trials[0]) for each in begun)
    assert share < 0.01 or tried > 2  # with the smallest share searches end at the first node


@pytest.mark.parametrize("name", ["baran33", "zhang118", "mantovani136"])
def test_a_search_that_begins_anew_ends_at_the_same_optimum(begun: list[PathExplorer], name: str) -> None:
    network = build_network(files.load(name))
    bounds: list[float] = []
    found = search_topologies(network, gap=1e-4, progress=lambda now: bounds.append(now.lower_bound))
    assert begun
    assert bounds == sorted(bounds)
    assert found.termination in (Termination.OPTIMAL, Termination.GAP)
    best = {"baran33": 139.551, "zhang118": 869.730, "mantovani136": 280.193}[name]
    assert found.value * network.s_base_kva == pytest.approx(best, rel=1e-5)
    assert found.lower_bound >= found.value * (1.0 - 1.001e-4)
