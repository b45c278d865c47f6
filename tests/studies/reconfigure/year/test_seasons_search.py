"""A year in blocks against all plans of small grids, and what follows from it: no operation, any number of them."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.state import excesses
from openpoint.scenarios.year.read import Blocks
from openpoint.search.methods import TopologySearch
from openpoint.search.switching.problem import SwitchingOutcome, SwitchingProblem
from openpoint.search.switching.solve import solve_switching
from openpoint.search.switching.states import operations
from openpoint.studies.reconfigure.year.search import YearFound, search_year
from openpoint.studies.reconfigure.year.seasons.search import BlockPeriods, PlanTask, search_plan
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from tests.studies.reconfigure.year.test_search import random_year

GAP = 1e-6


def random_plan(seed: int) -> tuple[PlanTask, Bools, Floats]:
    """A small year in one to four blocks, its radial states, and (B, K) their shares of the mean loss."""
    rng = np.random.default_rng([seed, 5])
    task, states, _ = random_year(seed)
    task = replace(task, program=replace(task.program, rules=SwitchingRules.of(task.network)))
    count = int(rng.integers(2, 5)) if seed % 10 else 1
    cuts = np.sort(rng.choice(np.arange(1, len(task.hours)), count - 1, replace=False))
    of = np.searchsorted(cuts, np.arange(len(task.hours)), side="right")
    sizes = rng.choice([0.05, 1.3], (count, 4))  # loads that have their season, or every block has the same best state
    noise = np.abs(1.0 + 0.3 * np.sin(np.linspace(0.0, 40.0, len(of)))[:, None] + rng.normal(0.0, 0.1, (len(of), 4)))
    follows = rng.integers(0, 4, len(task.demand.follows))
    task = replace(task, demand=replace(task.demand, profile=sizes[of] * noise, follows=follows))
    most = None if seed % 7 == 0 else int(rng.integers(0, 7))
    blocks = Blocks(tuple(f"block {n}" for n in range(count)), of)
    plan = PlanTask(task, blocks, most, 0.0, from_today=bool(seed % 3 == 0))
    value = shares(plan, states)
    typical = float(np.median(value[np.isfinite(value)])) if np.isfinite(value).any() else 1.0
    return replace(plan, change=float(rng.choice([0.0, 0.0, 0.01, 0.05])) * typical), states, value


def shares(plan: PlanTask, states: Bools) -> Floats:
    """(B, K) parts of the blocks in the mean losses of the states, inf where limits break; no code of the search."""
    net, hours = plan.task.network, plan.task.hours
    demands = plan.task.demand.rows(slice(None))
    value = np.full((len(plan.blocks), len(states)), np.inf)
    for k, state in enumerate(states):
        flows = solve(net, state, s_power=demands)
        broken = ~flows.converged | ~flows.energised.all(axis=1) | (excesses(net, flows) > 0.0)
        for b in range(len(plan.blocks)):
            here = plan.blocks.of == b
            if not broken[here].any():
                value[b, k] = flows.loss[here] @ hours[here] / hours.sum()
    return value


def least_of_all(plan: PlanTask, states: Bools, value: Floats) -> float:
    """The least value of all plans, by every state before every state with every number of operations."""
    if not len(states):
        return math.inf
    distance = (states[:, None] != states[None]).sum(axis=2)
    today = (states != plan.task.network.closed).sum(axis=1)
    most = plan.most if plan.most is not None else int(distance.max() * len(value) + today.max())
    best = np.full((most + 1, len(states)), np.inf)
    for k in range(len(states)):
        done = int(today[k]) if plan.from_today else 0
        if done <= most:
            best[done, k] = value[0, k] + plan.change * done
    for row in value[1:]:
        after = np.full_like(best, np.inf)
        for used in range(most + 1):
            for k in range(len(states)):
                if np.isfinite(best[used, k]):
                    for j in np.flatnonzero(distance[k] <= most - used):
                        u = used + int(distance[k, j])
                        after[u, j] = min(after[u, j], best[used, k] + plan.change * distance[k, j] + row[j])
        best = after
    return float(best.min())


def check(plan: PlanTask, states: Bools, value: Floats, found: SwitchingOutcome) -> None:
    """A plan is what it says to be, and the best of all."""
    best = least_of_all(plan, states, value)
    assert found.lower_bound <= best * (1.0 + 1e-9) + 1e-12
    if math.isinf(best):
        assert found.closed is None
        assert found.termination is Termination.INFEASIBLE
        return
    assert found.upper_bound == pytest.approx(best, rel=2.0 * GAP, abs=1e-9)
    assert found.termination in (Termination.GAP, Termination.OPTIMAL)
    assert best - found.lower_bound <= 2.0 * GAP * abs(best) + 1e-9
    assert found.closed is not None
    number = {state.tobytes(): k for k, state in enumerate(states)}
    mine = [value[b, number[state.tobytes()]] for b, state in enumerate(found.closed)]
    done = operations(found.closed, plan.task.network.closed if plan.from_today else None)
    assert done.tolist() == found.operations.tolist()
    assert sum(mine) + plan.change * done.sum() == pytest.approx(found.upper_bound, rel=1e-8, abs=1e-11)
    assert plan.most is None or done.sum() <= plan.most


@pytest.mark.parametrize("seed", range(4))
def test_equals_all_plans(seed: int) -> None:
    plan, states, value = random_plan(seed)
    try:
        found = search_plan(plan, GAP, None, Deadline(), groups=[1, 4, 24][seed % 3]).outcome
    except OptionError:
        pytest.skip("nothing bounds the voltages of this grid")
    check(plan, states, value, found)


@pytest.mark.parametrize("seed", [2, 4, 8])
def test_blocks_are_not_searched_once_the_time_is_up(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, states, value = random_plan(seed)
    best, clock, searched = least_of_all(plan, states, value), [0.0], [0]

    def slow(*args: Any, **options: Any) -> YearFound:
        searched[0] += 1
        clock[0] += 1.0
        return search_year(*args, **options)

    monkeypatch.setattr("openpoint.studies.reconfigure.year.seasons.search.search_year", slow)
    found = search_plan(plan, GAP, None, Deadline(0.5, clock=lambda: clock[0])).outcome
    assert (found.termination, searched[0]) == (Termination.TIME, 1)
    assert len(plan.blocks) > 1
    assert 0.0 <= found.lower_bound <= best
    assert best * (1.0 - 1e-9) <= found.upper_bound < math.inf
    assert found.closed is not None
    number = {state.tobytes(): k for k, state in enumerate(states)}
    mine = [value[b, number[state.tobytes()]] for b, state in enumerate(found.closed)]
    assert sum(mine) <= found.upper_bound * (1.0 + 1e-9)


def test_the_method_itself_finds_one_state_for_all_blocks() -> None:
    plan, states, value = random_plan(1)
    plan = replace(plan, most=0, from_today=False)
    blocks = len(plan.blocks)
    periods = BlockPeriods(plan.task, plan.blocks)
    rules = replace(plan.task.program.rules, max_changes=0)
    problem = SwitchingProblem((plan.task.network,) * blocks, periods.weights, rules)
    found = solve_switching(problem, periods=periods, gap=GAP)
    check(plan, states, value, found)
    whole = search_year(plan.task, TopologySearch(gap=GAP), None, Deadline()).outcome
    assert found.upper_bound * plan.task.network.s_base_kva == pytest.approx(whole.upper_bound, rel=2.0 * GAP)


def test_without_a_limit_each_block_has_its_own_best_state() -> None:
    plan, _, _ = random_plan(7)
    plan = replace(plan, most=None, change=0.0, from_today=False)
    found = search_plan(plan, GAP, None, Deadline()).outcome
    task, s = plan.task, plan.task.network.s_base_kva
    total = 0.0
    for b in range(len(plan.blocks)):
        steps = np.flatnonzero(plan.blocks.of == b)
        part = replace(task, demand=task.demand.take(steps), hours=task.hours[steps])
        best = search_year(part, TopologySearch(gap=GAP), None, Deadline()).outcome.upper_bound / s
        total += best * task.hours[steps].sum() / task.hours.sum()
    assert found.upper_bound == pytest.approx(total, rel=2.0 * GAP)
