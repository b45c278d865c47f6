"""Hundreds of grids counted by seed: the search answers as brute force does, and no bound on the way is too high.

`python -m benchmarks.search_agree` has 1,300 of them and more. Most grids are built in per unit, of features drawn
one by one (`random_grids`); every eighth through engineering units, with limits between the figures of two trees. Four
in ten may change little from today, and as many pay for changes.
"""

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.search.kernel import forest, multipliers, node
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.kernel.entries import propagate
from openpoint.search.model.build import build_model
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders.grids import fixed_grid
from tests.search.entered import entered
from tests.search.random_grids import FEATURES, judged, random_grid


@entered
def put_bounds(model, work, record, found, opened):  # type: ignore[no-untyped-def]
    """The bound of a node and the same raised by its limits into `found`, into `opened` those with one branch open."""
    forest.root(model, work)
    plain = multipliers.dual_ascent(model, work, 8, np.inf)
    raised = plain
    if model.bounded and plain > -np.inf:
        raised = multipliers.ascend_limit_multipliers(model, work, plain, 2.0 * abs(plain) + 1.0)
    for e in range(len(work.status)):
        opened[e] = node.probe(model, work, record, e, np.inf) if work.status[e] == UNDECIDED else -np.inf
    found[0], found[1] = plain, raised


def networks(first: int, count: int) -> Iterator[tuple[int, Network]]:
    """Seeds and their grids, of one kind and the other in turn."""
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        if seed % 8 == 0:
            yield seed, build_network(fixed_grid(seed))
        else:
            yield seed, random_grid(rng, [feature for feature in FEATURES if rng.random() < 0.35])


def changes(seed: int) -> tuple[int | None, float]:
    """Most changes, and what each costs."""
    rng = np.random.default_rng([seed, 1])
    most = int(rng.integers(0, 6)) if rng.random() < 0.4 else None
    return most, float(rng.uniform(0.0, 0.01)) if rng.random() < 0.4 else 0.0


def check_nodes(network: Network, states: np.ndarray, value: np.ndarray, seed: int) -> int:
    """Nodes between the root and a tree: bounds at their own multipliers, lifted ones, and probes."""
    rng, fixed, (most_changes, cost) = np.random.default_rng(seed), ~network.switchable, changes(seed)
    model, numbering = build_model(network, SwitchingRules.of(network, most_changes, cost))
    value = value - numbering.fixed_cost
    work, record = work_for(model), record_for(model, 0)
    states = states[:, numbering.branch]
    begin = np.where((network.closed & fixed)[numbering.branch], CLOSED, UNDECIDED).astype(np.int8)
    checked, found, opened = 0, np.zeros(2), np.zeros(len(begin))

    def most(status: np.ndarray) -> float:
        inside = ((status == UNDECIDED) | (states == status)).all(axis=1)
        best = float(value[inside].min(initial=np.inf))
        return best + 1e-9 * abs(best) + 1e-12

    for known in (0.0, 0.4, 0.8, 1.0):
        tree = states[rng.integers(len(states))]
        work.status[:] = np.where((begin == UNDECIDED) & (rng.random(len(begin)) < known), tree, begin)
        before = most(work.status)
        if not propagate(model, work):
            assert math.isinf(before)
            continue
        assert most(work.status) == before
        for array in (work.y, work.mu, work.phi):
            array[:] = 0.0
        put_bounds(model, work, record, found, opened)
        assert (found <= before).all()
        for e in np.flatnonzero(work.status == UNDECIDED):
            work.status[e] = OPEN
            assert opened[e] <= most(work.status)
            work.status[e] = UNDECIDED
        checked += 2 + int(np.sum(work.status == UNDECIDED))
    return checked


def compare(first: int, count: int) -> Counter[str]:
    """Search and bounds of random grids beside all of their states; how many grids were of which sort."""
    seen: Counter[str] = Counter()
    for seed, network in networks(first, count):
        most_changes, cost = changes(seed)
        seen["changes"] += most_changes is not None
        seen["costs"] += cost > 0.0
        try:
            found = search_topologies(
                network,
                SwitchingRules.of(network, most_changes, cost),
                gap=0.0,
            )
        except OptionError:
            seen["refused"] += 1
            continue
        states, value = judged(network, most_changes, cost)
        best = float(value.min(initial=np.inf))
        seen[found.termination.name] += 1
        seen["choices"] += len(states) > 1
        if math.isinf(best):
            assert found.termination is Termination.INFEASIBLE, seed
            assert found.closed is None, seed
        else:
            assert found.termination is Termination.OPTIMAL, seed
            assert found.value == pytest.approx(best, rel=1e-8, abs=1e-12), seed
            assert found.closed is not None, seed
            assert value[(states == found.closed).all(axis=1)][0] == pytest.approx(best, rel=1e-8, abs=1e-12), seed
            assert found.lower_bound <= best * (1.0 + 1e-9) + 1e-12, seed
        if len(states):
            seen["bounds"] += check_nodes(network, states, value, seed)
    return seen


def test_search_equals_brute_force_on_fifty_grids() -> None:
    seen = compare(0, 50)
    assert seen["refused"] <= 5  # nothing bounds a voltage; nine in ten are searched
    assert seen["INFEASIBLE"] >= 1
    assert min(seen["changes"], seen["costs"]) >= 12
    assert seen["choices"] >= 30
    assert seen["bounds"] >= 500
