"""Drops of voltage: their least sum over all trees is that of enumeration, and bounds the deviation of exact flows."""

import numpy as np
import pytest

import openpoint
from openpoint import OptionError
from openpoint.arrays import Bools
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.search.deviation import DropTrees, _below
from openpoint.twostage.deadline import Deadline
from tests.builders.grids import PLAIN, all_topologies, random_grid

GAP = 5e-3


def drops(network: Network, closed: Bools) -> float:
    """Σ n s of a tree, by walking from every bus to its source."""
    near: dict[int, list[tuple[int, int]]] = {i: [] for i in range(network.n_terminals)}
    for e in np.flatnonzero(closed):
        a, b = int(network.terminal_fr[e]), int(network.terminal_to[e])
        near[a].append((b, int(e)))
        near[b].append((a, int(e)))
    paths: dict[int, list[int]] = {int(s): [] for s in network.source_terminal}
    waiting = list(paths)
    for i in waiting:
        for j, e in near[i]:
            if j not in paths:
                paths[j] = [*paths[i], e]
                waiting.append(j)
    load = network.s_power
    return float(
        sum(
            2.0 * (network.r[e] * load[j].real + network.x[e] * load[j].imag)
            for i in network.inner.tolist()
            for j in network.inner.tolist()
            for e in set(paths[i]) & set(paths[j])
        )
    )


@pytest.mark.parametrize("seed", range(10))
def test_the_least_drops_are_those_of_all_trees(seed: int) -> None:
    network = build_network(random_grid(seed, PLAIN))
    every = all_topologies(network)
    if not len(every):
        return
    sums = np.array([drops(network, closed) for closed in every])
    trees = DropTrees(network, SwitchingRules.of(network))
    found = list(trees.solve(1e-6, Deadline()))
    least = float(sums.min())
    bounds = [bound for bound, _ in found]
    assert max(bounds) <= least * (1.0 + 1e-6) + 1e-12
    assert max(bounds) >= least * (1.0 - 2.0 * GAP) - 1e-9
    assert all(any(np.array_equal(closed, one) for one in every) for _, closed in found)


@pytest.mark.parametrize("seed", range(3))
def test_no_exact_state_deviates_less_than_the_bound(seed: int) -> None:
    grid = random_grid(seed, PLAIN)
    asked = {"free": "topology", "minimize": "deviation"}
    searched, tried = (openpoint.dispatch(grid, **asked, method=name) for name in ("search", "enumeration"))  # type: ignore[arg-type]
    assert searched.lower_bound <= tried.objective * (1.0 + 1e-9)
    assert searched.objective >= tried.objective * (1.0 - 1e-9)


def test_planes_lie_below_the_product() -> None:
    rng = np.random.default_rng(0)
    n, loads = np.arange(3.0, 9.0), np.sort(rng.random(8))
    light, heavy = (1.0 + np.cumsum(each)[:6] for each in (loads, loads[::-1]))
    planes = _below(n, light, heavy)
    k = rng.integers(6, size=200)
    s = light[k] + rng.random(200) * (heavy - light)[k]
    values = n[k, None] * planes[:, 0] + s[:, None] * planes[:, 1] + planes[:, 2]
    assert np.all(values <= (n[k] * s)[:, None] + 1e-9)
    corners = np.concatenate([np.stack([n, each], axis=1) for each in (light, heavy)])
    at = (corners @ planes[:, :2].T + planes[:, 2]).max(axis=1)
    assert np.count_nonzero(np.isclose(at, corners.prod(axis=1), rtol=1e-6)) >= 4


def test_33_buses_are_proven_to_three_per_cent(tmp_path: object) -> None:
    question = {"free": "topology", "minimize": "deviation", "method": "search"}
    found = openpoint.dispatch("baran33", **question, gap=0.05)  # type: ignore[arg-type]
    assert found.deviation_pu == pytest.approx(0.03216982, abs=1e-7)  # the least of all 50,751 trees
    assert 0.0301 < found.lower_bound <= found.deviation_pu
    with pytest.raises(OptionError, match="neither certificate nor checkpoint"):
        openpoint.dispatch("baran33", **question, certificate="proof")  # type: ignore[arg-type]
