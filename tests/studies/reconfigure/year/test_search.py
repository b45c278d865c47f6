"""The search for a year against all radial states in all steps, and its bounds at partial nodes."""

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.network.freedom import SwitchingRules
from openpoint.network.stations import without_meshes
from openpoint.powerflow import series
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.series import StepDemand
from openpoint.powerflow.state import excesses, is_limited
from openpoint.search.futures.model import FuturesTask, group_steps, means
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.ac_evaluation import first_trees
from openpoint.studies.reconfigure.many_futures import task_of
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.year import search as year
from openpoint.studies.reconfigure.year.search import KnownFlows, YearEvaluator, YearTask, search_year
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from tests.builders.grids import all_topologies
from tests.search.random_grids import KINDS, random_grid
from tests.search.test_futures import bounds_at_random_nodes


@cache
def random_year(seed: int) -> tuple[YearTask, Bools, Floats]:
    """A small grid with 20 to 200 steps of a few profiles, its radial states, and their mean losses in all steps."""
    rng = np.random.default_rng([seed, 77])
    kind = [k for k in KINDS if "dispatch" not in k][seed % (len(KINDS) - 2)]
    network = random_grid(rng, kind)
    n, steps, d = network.n_terminals, int(rng.integers(20, 201)), int(rng.integers(1, 4))
    profile = np.abs(np.sin(np.linspace(0.0, 40.0, steps))[:, None] + rng.normal(0.0, 0.3, (steps, d)))
    bus, follows = np.tile(np.arange(n), 2), rng.integers(0, d, 2 * n)
    power = np.concatenate([network.s_power, np.where(rng.random(n) < 0.3, 0.3, 0.0) * network.s_power[::-1]])
    if "generation" in kind:
        power[n:] *= -3.0
    hours = rng.choice([0.25, 1.0, 2.0], steps)
    changes = None if seed % 5 else int(rng.integers(1, 5))
    rules = SwitchingRules.of(network, changes, 0.05 * (seed % 3) / network.s_base_kva)
    program = RadialProgram(network, rules)
    demand = StepDemand(profile, bus, follows, power, n)
    states = all_topologies(network)
    task = YearTask(program, without_meshes(network), demand, hours)
    return task, states, mean_losses(task, states)


def mean_losses(task: YearTask, states: Bools) -> Floats:
    """(C) mean loss and cost of changes, inf where a step has no flow or breaks limits; without code of the search."""
    net, switching = task.network, task.program.switching
    value = np.full(len(states), np.inf)
    for c, state in enumerate(states):
        flows = solve(net, state, s_power=task.demand.rows(slice(None)))
        good = flows.converged & flows.energised.all(axis=1)
        if good.all() and not excesses(net, flows).any() and switching.allowed(state):
            value[c] = flows.loss @ task.hours / task.hours.sum() + switching.cost(state) / net.s_base_kva
    return value


def grouped(task: YearTask, groups: int) -> FuturesTask:
    """The groups of a year as what the search for many futures takes."""
    program, _ = year.grouped(task, np.array([int(task.sizes().argmax())]), task.network.closed, groups)
    return replace(task_of(program, program.ac), span=task.span(), limits=is_limited(task.network))


@pytest.mark.parametrize("seed", range(9))
def test_the_search_finds_the_best_of_all_states_and_no_bound_exceeds_it(
    seed: int,
) -> None:
    """docs/methods.md M17."""
    groups = [2, 6, 24][seed % 3]
    task, states, values = random_year(seed)
    try:
        found = search_year(task, TopologySearch(gap=1e-6), None, Deadline(), groups=groups).outcome
    except OptionError:
        pytest.skip("nothing bounds the voltages of this grid")
    best, s = float(values.min(initial=math.inf)), task.network.s_base_kva
    if math.isinf(best):
        assert found.termination is Termination.INFEASIBLE
    else:
        assert found.upper_bound / s == pytest.approx(best, rel=1e-6, abs=1e-9)
        assert best - 2e-6 * abs(best) - 2e-9 <= found.lower_bound / s <= best * (1.0 + 1e-9) + 1e-12
        assert found.termination in (Termination.OPTIMAL, Termination.GAP)
    assert not bounds_at_random_nodes(grouped(task, groups), states, values, seed, 3)


@pytest.mark.parametrize("seed", range(9))
def test_what_the_branches_lose_is_what_is_lost(seed: int) -> None:
    task, states, _ = random_year(seed)
    for flows in (task.flows(state) for state in states[:3]):
        if np.isfinite(flows.loss).all():
            assert flows.energy.sum() == pytest.approx(flows.loss @ task.hours, rel=1e-9, abs=1e-12)


def test_limits_and_generation_and_years_without_an_answer_are_tried() -> None:
    years = [random_year(seed) for seed in range(36)]
    assert sum(bool(np.isinf(values).all()) for *_, values in years) >= 2
    assert sum(bool(np.isinf(values).any() and np.isfinite(values).any()) for *_, values in years) >= 2
    assert sum(bool((task.demand.rows(slice(None)).real < 0.0).any()) for task, *_ in years) >= 4


def test_groups_keep_the_sum_and_the_steps_that_are_alone() -> None:
    rng = np.random.default_rng(3)
    points, hours = rng.normal(size=(500, 3)), rng.uniform(0.2, 2.0, 500)
    alone = np.array([17, 3])
    label = group_steps(points, hours, 20, alone)
    mean, total = means(points, hours, label)
    assert len(total) == 22
    assert np.flatnonzero(label == 0).tolist() == [17]
    assert np.flatnonzero(label == 1).tolist() == [3]
    assert total @ mean == pytest.approx(hours @ points)
    scatter = (hours[:, None] * (points - mean[label]) ** 2).sum()
    assert scatter < 0.3 * (hours[:, None] * (points - points.mean(axis=0)) ** 2).sum()


def test_equal_steps_make_one_group() -> None:
    points = np.repeat([[1.0], [2.0]], 5, axis=0)
    assert len(set(group_steps(points, np.ones(10), 8, np.array([], dtype=np.int64)).tolist())) == 2


class Ticks:
    """A clock that goes on by one each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("seed", range(0, 18, 6))
def test_wherever_the_time_is_up_the_bound_holds_and_todays_state_is_known(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(series, "AT_ONCE", 1)
    task, states, values = random_year(seed)
    best, s, ticks = float(values.min(initial=math.inf)), task.network.s_base_kva, Ticks()
    try:
        search_year(task, TopologySearch(gap=1e-6), None, Deadline(clock=ticks), groups=4)
    except OptionError:
        pytest.skip("nothing bounds the voltages of this grid")
    first = first_trees(task.program.choices, task.program.network)[0]
    today = values[np.flatnonzero((states == first).all(axis=1))]
    for seconds in np.unique(np.linspace(0.0, ticks.now, 20).astype(int)):
        search = TopologySearch(gap=1e-6)
        found = search_year(task, search, None, Deadline(float(seconds), clock=Ticks()), groups=4)
        outcome = found.outcome
        assert first.tobytes() in found.known.of
        assert outcome.lower_bound / s <= best * (1.0 + 1e-9) + 1e-12
        assert best * (1.0 - 1e-6) - 1e-9 <= outcome.upper_bound / s
        if outcome.decision is None:
            assert outcome.termination is not Termination.OPTIMAL
            assert not np.isfinite(today).any()
            assert math.isinf(best) or outcome.termination is not Termination.INFEASIBLE
        else:
            (kept,) = np.flatnonzero((states == (outcome.decision > 0.5)).all(axis=1))
            assert outcome.upper_bound / s == pytest.approx(values[kept], rel=1e-6, abs=1e-9)


def test_a_state_that_is_not_evaluated_in_time_is_not_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "AT_ONCE", 1)
    task, states, values = random_year(0)
    kept = states[np.isfinite(values)]
    assert len(kept) > 1
    known = KnownFlows(task)
    known.always(kept[0])
    known.stop = lambda: True
    found = YearEvaluator(known, task.program.switching, 3)(kept)
    assert found.stopped
    assert np.isfinite(found.objective).tolist() == [True] + [False] * (len(kept) - 1)
    assert known.count == 1
