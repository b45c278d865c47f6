"""Regions: their bound never exceeds a completion, what they decide loses none, and searches by them answer as ever."""

import math
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from openpoint.arrays import States
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import solve
from openpoint.search import region_decomposition, regions
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, work_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.regions import Effort, by_regions
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.search.random_grids import FEATURES, judged, random_regions


def networks(first: int, count: int) -> Iterator[tuple[int, Network]]:
    """Seeds and grids that have regions."""
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        yield seed, random_regions(rng, [f for f in [*FEATURES, "dispatch"] if rng.random() < 0.2])


def inside(states: np.ndarray, status: States) -> np.ndarray:
    """(K) which states agree with what is decided."""
    return np.asarray(((status == UNDECIDED) | (states == (status == CLOSED))).all(axis=1))


class Seen:
    """What a division went by: its parts, voltages and regions."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.w: tuple[np.ndarray, np.ndarray] | None = None
        self.supplied: np.ndarray | None = None
        self.regions: list[regions.Region] = []
        ranges, region = regions.voltages, regions.Region

        def voltages(model: Any, parts: Any, *rest: Any) -> Any:
            self.w, self.supplied = ranges(model, parts, *rest), parts.supplied
            return self.w

        def remembered(*all_of: Any) -> regions.Region:
            self.regions.append(region(*all_of))
            return self.regions[-1]

        patch.setattr(regions, "voltages", voltages)
        patch.setattr(regions, "Region", remembered)


def check_node(network: Network, states: np.ndarray, value: np.ndarray, rng: np.random.Generator, seen: Seen) -> int:
    """One node somewhere between the root and a tree, with another tree known; how many regions it had."""
    fixed = ~network.switchable
    model, numbering = build_model(network)
    feasible = np.flatnonzero(np.isfinite(value))
    short = states[:, numbering.branch]
    begin = np.where((network.closed & fixed)[numbering.branch], CLOSED, UNDECIDED).astype(np.int8)
    toward, known = short[rng.integers(len(states))], rng.choice([0.0, 0.3, 0.6])
    work = work_for(model)
    work.status[:] = np.where((begin == UNDECIDED) & (rng.random(len(begin)) < known), toward, begin)
    if not propagate(model, work):
        return 0
    best = int(rng.choice(feasible))
    cutoff = float(value[best])
    begin = work.status.copy()
    seen.w, seen.regions = None, []
    found = by_regions(model, begin, short[best], cutoff, cutoff, cutoff, (Effort(200),), lambda: False)
    if found is None:
        return 0
    tries = Effort(5), Effort(200)
    again = by_regions(model, begin, short[best], cutoff, cutoff, cutoff, tries, lambda: False, -1.0)
    if again.bound < cutoff:  # searches that go on are those that never paused
        assert (again.bound, again.nodes) == (found.bound, found.nodes)
        assert np.array_equal(again.closed, found.closed)
    wanted = inside(short, begin) & (value < cutoff - 1e-9 * abs(cutoff) - 1e-12)
    assert inside(short, found.node.status)[wanted].all()
    if wanted.any():
        least = float(value[wanted].min())
        assert found.bound <= least + 1e-9 * abs(least) + 1e-12
    if seen.w is not None and wanted.any() and not network.generator_names:
        w = np.abs(solve(network, states[wanted]).v[:, numbering.bus]) ** 2
        low, high = seen.w
        assert (w >= low - 1e-9)[:, seen.supplied].all()
        assert (w <= high + 1e-9)[:, seen.supplied].all()
    return len(seen.regions)


@pytest.mark.parametrize(("first", "wide"), [(20_000, regions.WIDE), (20_300, math.inf)])
def test_no_bound_is_too_high_and_no_state_is_lost(first: int, wide: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/methods.md M13."""
    monkeypatch.setattr(regions, "WIDE", wide)
    seen = Seen(monkeypatch)
    regions_of: Counter[int] = Counter()
    for seed, network in networks(first, 25):
        states, value = judged(network, None, 0.0)
        if not np.isfinite(value).any():
            continue
        rng = np.random.default_rng(seed)
        try:
            for _ in range(3):
                regions_of[check_node(network, states, value, rng, seen)] += 1
        except OptionError:
            continue
    assert sum(n for count, n in regions_of.items() if count >= 2) >= 12


@pytest.mark.parametrize(("first", "divisions"), [(0, 3), (3, 1)])
def test_a_search_by_regions_answers_as_brute_force_does(
    first: int, divisions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(region_decomposition, "FIRST", first)
    monkeypatch.setattr(regions, "WIDE", math.inf)
    divided = 0
    seen = Seen(monkeypatch)
    for seed, network in networks(30_000, 20):
        rng = np.random.default_rng(seed)
        most, cost = (int(rng.integers(0, 7)), float(rng.choice([0.0, 1e-3]))) if seed % 2 else (None, 0.0)
        try:
            bounds: list[float] = []
            search = partial(search_topologies, progress=lambda now, to=bounds: to.append(now.lower_bound))
            found = search(network, SwitchingRules.of(network, most, cost), gap=0.0)
        except OptionError:
            continue
        assert bounds == sorted(bounds), seed
        _, value = judged(network, most, cost)
        best = float(value.min(initial=np.inf))
        if math.isinf(best) or len(network.generator_names):  # the best outputs are judged by samples alone
            assert found.lower_bound <= best + 1e-9 * abs(best) + 1e-12, seed
            continue
        assert found.termination is Termination.OPTIMAL, seed
        assert found.value == pytest.approx(best, rel=1e-8, abs=1e-12), seed
        assert found.lower_bound <= best * (1.0 + 1e-9) + 1e-12, seed
        divided += len(seen.regions) >= 2
        seen.regions = []
    assert divided >= divisions
