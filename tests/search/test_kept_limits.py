"""A bound is that of all states whose limits count as kept: none that is accepted lies below it.

The best state of a random grid is taken, and a limit is put so near that the state exceeds it by less than the
tolerance. Then it is still accepted, it is still the best, and a bound that took the limit exactly would lie above it.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint.arrays import Bools, Complexes, Ints
from openpoint.grid.grid import Grid
from openpoint.network.devices import no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import LEAST_POWER, LIMIT_TOLERANCE
from openpoint.search.enumeration import topologies
from openpoint.search.topology import search_topologies
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.studies.dispatch.options import DispatchOptions
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.dispatch.study import question_of
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.decomposition import Benders
from tests.builders.device_grids import DeviceGrid, free_of_charge, random_device_grid

State = tuple[Bools, Ints, Complexes]
BY = 0.99 * LIMIT_TOLERANCE
FEATURES = "units", "voltages", "banks", "prices"


def program_of(grid: DeviceGrid) -> DispatchProgram:
    return DispatchProgram(grid.network, grid.devices, grid.cost, grid.supply, SwitchingRules.of(grid.network))


def best_state(grid: DeviceGrid, gap: float = 1e-6) -> tuple[float, State | None, float]:
    """Bound, best state and its value by the topology search."""
    found = search_topologies(
        grid.network,
        devices=grid.devices,
        cost=grid.cost,
        supply=grid.supply,
        gap=gap,
        cone=program_of(grid).cone.at if len(grid.network.generator_terminal) else None,
    )
    if found.closed is None or found.generation is None:
        return found.lower_bound, None, found.value
    positions = grid.devices.today if found.positions is None else found.positions
    return found.lower_bound, (found.closed, positions, found.generation), found.value


def narrowed(grid: DeviceGrid, state: State) -> Iterator[tuple[str, DeviceGrid]]:
    """The grid with one more limit each, which the state exceeds by less than the tolerance."""
    net, supply = grid.network, grid.supply
    flows = grid.evaluator.flows(*state)
    inner = np.setdiff1d(np.arange(net.n_terminals), net.source_terminal)
    v, i, p = np.abs(flows.v[0]), flows.i_rated[0], flows.source_s[0].real
    high, low, hot = inner[v[inner].argmax()], inner[v[inner].argmin()], int(i.argmax())
    at_high, at_low, at_hot = np.arange(len(v)) == high, np.arange(len(v)) == low, np.arange(len(i)) == hot
    w_max = np.where(at_high, (v / (1.0 + BY)) ** 2, net.w_max)
    w_min = np.where(at_low, (v / (1.0 - BY)) ** 2, net.w_min)
    l_max = np.where(at_hot, (i / (1.0 + BY)) ** 2, net.l_max)
    yield "voltage high", replace(grid, network=replace(net, w_max=w_max))
    yield "voltage low", replace(grid, network=replace(net, w_min=w_min))
    yield "current", replace(grid, network=replace(net, l_max=l_max))
    least = p + BY * np.maximum(np.abs(p), LEAST_POWER)
    yield "power", replace(grid, supply=replace(supply, p_min=np.maximum(least, supply.p_min)))
    most = p - BY * np.maximum(np.abs(p), LEAST_POWER)
    yield "power", replace(grid, supply=replace(supply, p_max=np.minimum(most, supply.p_max)))


@pytest.mark.parametrize("seed", range(0, 20, 4))
def test_no_state_that_is_accepted_lies_below_the_bound_of_the_search(seed: int) -> None:
    grid = random_device_grid(seed, FEATURES, 200)
    _, state, value = best_state(grid)
    if state is None:
        pytest.skip("no answer")
    for kind, tight in narrowed(grid, state):
        found, violation = (float(part[0]) for part in tight.evaluator.evaluate(*state))
        assert violation == 0.0, kind
        assert found == pytest.approx(value, rel=1e-9)
        lower, again, reached = best_state(tight)
        assert lower <= found + 1e-9 * abs(found) + 1e-12, kind
        assert again is not None, kind
        assert reached <= found + 3e-6 * abs(found) + 1e-9 or lower < reached * (1.0 - 1e-6), kind


def lever(seed: int) -> Grid:
    """Three buses in a ring. A generator covers nearly all load beside it, and is held back by a voltage limit alone: a
    loss of the rest squared, which changes some thousand times as much as the limit."""
    rng = np.random.default_rng([seed, 31])
    ohm = rng.uniform(0.2, 2.0, (2, 3))
    load = rng.uniform(3000.0, 6000.0)
    limit = 1.0 - 10.0 ** rng.uniform(-3.5, -2.5)
    tables = {
        "buses": {"name": ["S", "A", "B"], "vn_kv": [20.0] * 3, "v_max_pu": [None, limit, None]},
        "lines": {
            "name": ["a", "b", "c"],
            "from_bus": ["S", "A", "S"],
            "to_bus": ["A", "B", "B"],
            "r_ohm": ohm[0],
            "x_ohm": ohm[1],
            "closed": [True, True, False],
        },
        "sources": {"name": ["s"], "bus": ["S"]},
        "loads": {"name": ["a", "b"], "bus": ["A", "B"], "p_kw": [load, rng.uniform(50.0, 200.0)]},
        "generators": {
            "name": ["g"],
            "bus": ["A"],
            "p_kw": [0.0],
            "q_kvar": [0.0],
            "p_min_kw": [0.0],
            "p_max_kw": [1.5 * load],
            "q_min_kvar": [0.0],
            "q_max_kvar": [0.0],
        },
    }
    return Grid.from_tables("lever", tables)


@cache
def least_accepted(seed: int) -> float:
    """The least loss in kW of a radial state that is accepted, by bisection of the output in every topology."""
    arrays = question_of(lever(seed), DispatchOptions()).network
    evaluator = DeviceGrid(arrays, no_devices(), *free_of_charge(arrays)).evaluator
    least = math.inf
    for closed in topologies(arrays):
        for state in closed:

            def at(p: float, state: Bools = state) -> tuple[float, float]:
                value, excess = evaluator.evaluate(state, np.empty(0, dtype=np.int64), np.array([p + 0j]))
                return float(value[0]), float(excess[0])

            low, high = 0.0, float(arrays.p_max[0])
            for _ in range(60):  # the greatest output that keeps the limit, below which more is better
                middle = 0.5 * (low + high)
                low, high = (middle, high) if at(middle)[1] == 0.0 else (low, middle)
            span = np.linspace(0.0, low, 200)
            least = min([least, *(at(p)[0] for p in span if at(p)[1] == 0.0)])
    return least * arrays.s_base_kva


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("method", [openpoint.TopologySearch(gap=1e-6), Benders(gap=1e-6)])
def test_where_a_limit_is_a_lever_bound_and_answer_meet_at_what_is_accepted(seed: int, method: Any) -> None:
    grid = lever(seed)
    least = least_accepted(seed)
    for found in (openpoint.dispatch(grid, method=method), openpoint.reconfigure(grid, method=method)):
        lower = found.lower_bound if isinstance(found, DispatchResult) else found.lower_bound_kw
        assert lower <= least * (1.0 + 1e-7) + 1e-7
        assert not found.violations


@pytest.mark.parametrize("seed", range(3))
def test_where_a_limit_is_a_lever_the_search_is_proven_optimal(seed: int) -> None:
    grid = lever(seed)
    found = openpoint.dispatch(grid, method=openpoint.TopologySearch(gap=1e-6))
    assert found.termination is Termination.OPTIMAL
    assert found.objective == pytest.approx(least_accepted(seed), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 4, 10])
def test_nor_below_that_of_benders_method(seed: int) -> None:
    grid = random_device_grid(seed, FEATURES, 60)
    _, state, _ = best_state(grid)
    assert state is not None
    for kind, tight in narrowed(grid, state):
        found, violation = (float(part[0]) for part in tight.evaluator.evaluate(*state))
        assert violation == 0.0, kind
        outcome = Benders(gap=1e-6, max_iterations=200).solve(program_of(tight))
        assert outcome.lower_bound / tight.network.s_base_kva <= found + 1e-7 * abs(found) + 1e-9, kind
