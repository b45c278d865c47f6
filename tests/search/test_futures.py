"""The search for many futures, and bounds by searches for each, against all radial states."""

import math
from dataclasses import replace

import numpy as np
import pytest

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import solve
from openpoint.search.futures import model as alone
from openpoint.search.futures.model import Alone, FuturesTask, Span, Verdicts, means_count
from openpoint.search.futures.node import DONE, UNKNOWN, loads_for, process_futures
from openpoint.search.futures.search import search_futures
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.result import SearchResult
from openpoint.twostage.ambiguity import exactly
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from tests.builders.grids import all_topologies
from tests.search.random_futures import RISKS, Brute, random_task
from tests.search.random_grids import random_grid

ROUNDING = 1e-9
"""Per unit: 1 mW on a base of 1 MVA."""


def wrong(found: SearchResult, best: float) -> list[str]:
    """What is wrong with a result to a gap of 1e-6 whose best value is known."""
    if math.isinf(best) or math.isinf(found.value):
        agrees = math.isinf(best) and found.termination is Termination.INFEASIBLE
        return [] if agrees else [f"{found.termination} at {found.value}, but the best is {best}"]
    told = []
    room = 1e-6 * abs(best) + ROUNDING
    if abs(found.value - best) > room:
        told.append(f"found {found.value}, the best is {best}")
    if not best - 2.0 * room <= found.lower_bound <= best + 1e-12 * abs(best) + 1e-14:
        told.append(f"bound {found.lower_bound}, the best is {best}")
    if found.termination not in (Termination.OPTIMAL, Termination.GAP):
        told.append(f"ended as {found.termination}")
    return told


def bounds_at_random_nodes(task: FuturesTask, states: Bools, values: Floats, seed: int, count: int) -> list[str]:
    """Bounds of random nodes, and of these with the branch to decide next open, above the best completion."""
    rng = np.random.default_rng([seed, 8])
    built = task.built()
    model, numbering = built.of(0), built.numbering
    work, record, told = work_for(model), record_for(model, 0), list[str]()
    inside = states[:, numbering.branch]
    for _ in range(count if len(states) else 0):
        loads = loads_for(model, built.p, built.q)
        loads.y[:, : model.n], loads.mu[:, : model.n] = rng.normal(
            0.0, rng.choice([0.01, 0.3]), (2, len(built.p), model.n)
        )
        weight = task.probabilities.worst(rng.random(len(built.p)))[1]
        loads.weight[0], loads.offset[0], loads.rows[0] = weight, weight @ task.wait_and_see, 1
        counting = np.flatnonzero(weight > 0.0)
        loads.order[: len(counting)], loads.used[0] = counting, len(counting)
        tree = inside[int(rng.integers(len(inside)))]
        decided = rng.random(len(tree)) < rng.random()
        work.status[:] = np.where(decided, np.where(tree, CLOSED, OPEN), UNDECIDED)
        work.status[task.rules.must_close[numbering.branch]] = CLOSED
        given = work.status.copy()
        branch = process_futures(model, work, loads, record, int(rng.integers(1, 3)), int(rng.integers(0, 4)), math.inf)
        completions = ((given == UNDECIDED) | (inside == (given == CLOSED))).all(axis=1)
        best = float(values[completions].min(initial=math.inf)) - numbering.fixed_cost
        if float(loads.reached[0]) > best + 1e-12 * abs(best) and branch != DONE:
            told.append(f"bound {loads.reached[0]} of a node, its best completion is {best}")
        if branch == DONE and math.isfinite(best):
            told.append(f"a node was closed that has a completion of {best}")
        if branch >= 0:
            best = float(values[completions & ~inside[:, branch]].min(initial=math.inf)) - numbering.fixed_cost
            if float(loads.opening[0]) > best + 1e-12 * abs(best):
                told.append(f"bound {loads.opening[0]} with a branch open, the best completion is {best}")
    return told


def finds_the_best(seed: int) -> tuple[FuturesTask, Bools, Floats]:
    """Check that the search ends at the best of all radial states; the task, these states, and their values."""
    task, states, _ = random_task(seed)
    try:
        built = task.built()
    except OptionError:
        pytest.skip("nothing bounds the voltages of this grid")
    values = task.evaluate(states).objective if len(states) else np.zeros(0)
    none = np.zeros((0, task.network.n_conductors), dtype=np.bool_)
    found = search_futures(task, gap=1e-6, deadline=Deadline(), starts=none, built=built)
    assert not wrong(found, float(values.min(initial=math.inf)))
    return task, states, values


@pytest.mark.parametrize("seed", range(12))
def test_the_search_finds_the_best_of_all_states_and_no_bound_exceeds_it(seed: int) -> None:
    """docs/methods.md M15."""
    task, states, values = finds_the_best(seed)
    assert not bounds_at_random_nodes(task, states, values, seed, 4)


@pytest.mark.parametrize("seed", range(0, 24, 8))
def test_without_memory_for_nodes_it_goes_depth_first_to_the_same_value(seed: int) -> None:
    task, states, _ = random_task(seed)
    best = float(task.evaluate(states).objective.min(initial=math.inf)) if len(states) else math.inf
    bounds: list[float] = []
    none = np.zeros((0, task.network.n_conductors), dtype=np.bool_)
    found = search_futures(
        task,
        gap=1e-6,
        deadline=Deadline(),
        starts=none,
        memory=0.0,
        progress=lambda now: bounds.append(now.lower_bound),
    )
    assert not wrong(found, best)
    assert bounds == sorted(bounds)


def test_every_risk_is_tried() -> None:
    assert {random_task(seed)[2] for seed in range(48)} == set(RISKS)


def test_a_search_that_is_stopped_keeps_a_valid_bound() -> None:
    task, states, _ = random_task(0)
    values = task.evaluate(states).objective
    found = search_futures(task, gap=1e-6, deadline=Deadline(0.0), starts=states[:1])
    assert found.termination is Termination.TIME
    assert found.lower_bound <= values.min() <= found.value


@pytest.mark.parametrize("seed", range(12))
def test_a_state_whose_evaluation_is_stopped_stays_open(seed: int) -> None:
    task, states, _ = random_task(seed)
    try:
        built = task.built()
    except OptionError:
        pytest.skip("nothing bounds the voltages of this grid")
    best = float(task.evaluate(states).objective.min(initial=math.inf)) if len(states) else math.inf
    none = np.zeros((0, task.network.n_conductors), dtype=np.bool_)
    for most in range(12):
        calls = 0

        def evaluate(closed: Bools, most: int = most) -> Verdicts:
            nonlocal calls
            calls += 1
            if calls <= most:
                return task.evaluate(closed)
            far = np.full(len(closed), np.inf)
            return Verdicts(far, far, np.zeros((len(closed), len(task.demands))), far, stopped=True)

        asked = replace(task, evaluate=evaluate)
        found = search_futures(asked, gap=1e-6, deadline=Deadline(), starts=none, built=built)
        if calls <= most:
            assert not wrong(found, best)
            break
        assert found.termination is Termination.TIME or not wrong(
            found, best
        )  # as its nodes may end without that state
        assert found.lower_bound <= best * (1.0 + 1e-12) + 1e-14
        assert found.value >= best


def test_a_future_without_a_bound_counts_as_none() -> None:
    assert -math.inf < UNKNOWN < 0.0


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
    allowed = changes <= (math.inf if task.rules.max_changes is None else task.rules.max_changes)
    kept = ((violation == 0.0) | (not task.limits)) & allowed[:, None]
    return np.where(kept, losses + task.rules.change_cost * changes[:, None], np.inf).min(axis=0)


@pytest.mark.parametrize("seed", range(12))
def test_no_bound_exceeds_what_a_future_loses_at_best_and_that_of_the_risk_no_state(seed: int) -> None:
    """docs/methods.md M16."""
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


@pytest.mark.parametrize("seed", range(0, 24, 4))
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


@pytest.mark.parametrize("seed", range(6))
def test_at_means_of_loads_no_state_loses_more_than_on_average(seed: int) -> None:
    """docs/methods.md M27."""
    rng = np.random.default_rng([seed, 77])
    network = random_grid(rng, ())
    states = all_topologies(network)
    steps = network.s_power * rng.uniform(-0.3, 2.0, (6, network.n_terminals))
    groups = steps.reshape(2, 3, -1)
    means = groups.mean(axis=1)
    means = np.maximum(means.real, 0.0) + 1j * np.maximum(means.imag, 0.0)
    steps = (groups + (means - groups.mean(axis=1))[:, None]).reshape(6, -1)
    losses = np.array([mean_loss(network, state, steps) for state in states])
    task = FuturesTask(
        network=network,
        demands=means,
        rules=SwitchingRules.of(network),
        probabilities=exactly(np.array([0.5, 0.5])),
        wait_and_see=np.zeros(2),
        evaluate=lambda closed: pytest.fail("the states are not evaluated here"),
        limits=False,
        span=Span.of(steps),
    )
    each = task.alone(1e-6, task.built())
    rounds(each, states, 12)
    bound = each.bound(task.probabilities, task.wait_and_see)
    assert 0.0 < bound <= losses.min() * (1.0 + 1e-9)


def test_means_that_feed_in_do_not_count() -> None:
    task, _, _ = random_task(0)
    built = task.built()
    assert not means_count(replace(built, p=built.p - 1.0))
