"""Bounds of many futures by searches for each: against all radial states of random grids, and in the search for all."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.search.enumeration import topologies
from openpoint.search.futures import alone
from openpoint.search.futures.alone import Alone, means_count
from openpoint.search.futures.model import Span
from openpoint.search.futures.search import search_futures
from openpoint.search.futures.task import FuturesTask
from openpoint.twostage.ambiguity import exactly
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from tests.search.random_futures import Brute, random_task
from tests.search.random_grids import random_grid
from tests.search.test_futures import finds_the_best

NONE = np.zeros((0, 0), dtype=np.bool_)


def rounds(each: Alone, states: Bools, most: int) -> None:
    """At most so many rounds."""
    for _ in range(most):
        if not each.ended:
            each.round(states[:1], Deadline(), lambda: None)


def least_of_each(task: FuturesTask, states: Bools) -> np.ndarray:
    """(K) the least loss of every future in a state of its own, by enumeration."""
    assert isinstance(task.evaluate, Brute)
    losses, violation = task.evaluate.flows(states)
    changes = (states != task.network.closed).sum(axis=1)
    allowed = changes <= (math.inf if task.max_changes is None else task.max_changes)
    kept = ((violation == 0.0) | (not task.limits)) & allowed[:, None]
    return np.where(kept, losses + task.change_cost * changes[:, None], np.inf).min(axis=0)


@pytest.mark.parametrize("seed", range(48))
def test_no_bound_exceeds_what_a_future_loses_at_best_and_that_of_the_risk_no_state(seed: int) -> None:
    task, states, _ = random_task(seed)
    try:
        each = task.alone(1e-6, task.built())
    except OptionError:
        pytest.skip("nothing bounds the voltages of this grid")
    if each is None or not len(states):
        pytest.skip("regret, or no radial state")
    exact, best = least_of_each(task, states), float(task.evaluate(states).objective.min())
    for most in (1, 12):
        rounds(each, states, most)
        assert np.all(each.least <= exact * (1.0 + 1e-9))
        assert each.bound(task.probabilities, task.wait_and_see) <= best * (1.0 + 1e-9)
    assert each.ended
    if np.isfinite(exact).all():
        assert each.least == pytest.approx(exact, rel=1e-6)
    else:
        assert math.isinf(each.least.max())
        assert math.isinf(best)


@pytest.mark.parametrize("seed", range(0, 48, 2))
def test_a_search_with_rounds_from_the_beginning_finds_the_best(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "SETTING_UP", -1e9)
    monkeypatch.setattr(alone, "LEAST", 0)
    finds_the_best(seed)


@pytest.mark.parametrize("seed", [66, 230, 325])
def test_what_the_futures_alone_end_claims_no_more_than_they_prove(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The search for all has an open node then, which counts in its bound, beside a state that is not the best one."""
    monkeypatch.setattr(alone, "SETTING_UP", -1e9)
    monkeypatch.setattr(alone, "LEAST", 0)
    monkeypatch.setattr(alone, "FIRST", 64)
    task, states, _ = random_task(seed)
    values = task.evaluate(states).objective
    best, gap = float(values.min()), 0.3
    worse = states[values == values[values <= best * (1.0 + 0.9 * gap)].max()]
    found = search_futures(task, gap=gap, deadline=Deadline(), starts=worse)
    assert found.value > best * (1.0 + 1e-3)
    assert (1.0 - gap) * found.value <= found.lower_bound <= best * (1.0 + 1e-9)
    assert found.termination is Termination.GAP


def mean_loss(network: Network, state: Bools, demands: np.ndarray) -> float:
    flows = solve(network, state, s_power=demands)
    return float(flows.loss.mean()) if flows.converged.all() else math.inf


@pytest.mark.parametrize("seed", range(24))
def test_at_means_of_loads_no_state_loses_more_than_on_average(seed: int) -> None:
    rng = np.random.default_rng([seed, 77])
    network = random_grid(rng, ())
    states = np.concatenate(list(topologies(network)))
    steps = network.s_power * rng.uniform(-0.3, 2.0, (6, network.n_terminals))
    groups = steps.reshape(2, 3, -1)
    means = groups.mean(axis=1)
    means = np.maximum(means.real, 0.0) + 1j * np.maximum(means.imag, 0.0)
    steps = (groups + (means - groups.mean(axis=1))[:, None]).reshape(6, -1)
    losses = np.array([mean_loss(network, state, steps) for state in states])
    task = FuturesTask(
        network=network,
        demands=means,
        must_close=network.closed & ~network.switchable,
        must_open=~network.closed & ~network.switchable,
        probabilities=exactly(np.array([0.5, 0.5])),
        wait_and_see=np.zeros(2),
        evaluate=lambda closed: pytest.fail("the states are not evaluated here"),
        limits=False,
        span=Span.of(steps),
    )
    each = task.alone(1e-6, task.built())
    assert each is not None
    rounds(each, states, 12)
    bound = each.bound(task.probabilities, task.wait_and_see)
    assert 0.0 < bound <= losses.min() * (1.0 + 1e-9)


def test_means_that_feed_in_do_not_count() -> None:
    task, _, _ = random_task(0)
    built = task.built()
    assert not means_count(replace(built, p=built.p - 1.0))
