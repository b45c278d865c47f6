"""The two-stage program of dispatch: it keeps the contract, duals are slopes, every method finds the best state."""

import math
from dataclasses import replace

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.studies.dispatch.model.layout import DispatchState
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.methods.solving import ExtensiveForm
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.evaluation import Subproblem
from tests.builders.contract import check_program
from tests.builders.device_cases import LOSS_KW, device_case
from tests.builders.device_grids import DeviceGrid, random_device_grid
from tests.builders.sampled_outputs import best_operating_state

FIXED = ("banks", "voltages", "taps", "fixed units", "limits", "ratings", "prices", "moves")
"""No outputs to choose, so that enumeration is exact."""


def program_of(grid: DeviceGrid, max_changes: int | None = None) -> DispatchProgram:
    rules = SwitchingRules.of(grid.network, max_changes)
    return DispatchProgram(grid.network, grid.devices, grid.cost, grid.supply, rules)


def radial(grid: DeviceGrid) -> bool:
    choices = program_of(grid).radial.choices
    return not choices.loop and not choices.cut_off


def published(name: str) -> DispatchProgram:
    network, devices = device_case(name)
    sizes = len(network.generator_names), len(network.source_terminal)
    cost, supply = least_loss(*sizes, network.n_conductors), no_supply_limits(*sizes)
    return program_of(DeviceGrid(network, devices, cost, supply))


@pytest.mark.parametrize("seed", range(3, 6))
def test_it_keeps_the_contract(seed: int) -> None:
    check_program(program_of(random_device_grid(seed)), count=2, seed=seed)


def test_it_keeps_the_contract_with_a_price_of_voltages() -> None:
    grid = random_device_grid(5)
    check_program(replace(program_of(grid), cost=replace(grid.cost, deviation=0.3)), count=2, seed=5)


def test_the_deviation_of_voltages_is_that_of_the_exact_flow_where_the_cone_is_tight() -> None:
    program = published("33-A")
    program = replace(program, cost=replace(program.cost, deviation=0.01))
    for start in program.warm_starts():
        response = Subproblem(program, program.layout.size, Goal.WITHOUT_LIMITS).respond(
            start, program.uncertainty.values[0]
        )
        exact = program.evaluate(start, program.uncertainty.values, None).values[0]
        assert response.value == pytest.approx(exact, rel=1e-5)


def test_a_source_that_is_paid_for_its_power_needs_a_limit() -> None:
    program = published("33-A")
    program = replace(program, cost=replace(program.cost, source=np.array([-1.0])))
    with pytest.raises(OptionError, match="upper limit"):
        _ = program.recourse_lower_bound
    limited = replace(program, supply=replace(program.supply, p_max=np.array([2.0])))
    assert limited.recourse_lower_bound == pytest.approx(-2.0 * program.network.s_base_kva)


def test_outputs_that_miss_a_limit_are_mended_on_the_exact_flow() -> None:
    """Where power flows back the cone program may propose outputs that are not the best, or miss a limit."""
    grid = random_device_grid(23, most=3000)
    found = Benders(gap=1e-6).solve(program_of(grid))
    best = best_operating_state(grid.evaluator).best
    assert found.upper_bound == pytest.approx(best.value * grid.network.s_base_kva, rel=1e-4)


@pytest.mark.parametrize(
    ("seed", "method"),
    [(seed, Benders(gap=1e-6)) for seed in (1001, 1004, 1009, 1012)]
    + [(seed, ExtensiveForm(gap=1e-5)) for seed in (1007, 1011)],
    ids=str,
)
def test_every_method_finds_the_best_of_all_states(seed: int, method: Benders | ExtensiveForm) -> None:
    grid = random_device_grid(seed, FIXED, 2000)
    most = (None, 2)[seed % 2]
    found, best = method.solve(program_of(grid, most)), best_operating_state(grid.evaluator, most).best
    if best is None or best.violation > 0.0:
        assert found.termination is Termination.INFEASIBLE
        return
    value = best.value * grid.network.s_base_kva
    assert found.upper_bound == pytest.approx(value, rel=2e-5, abs=1e-6)
    assert found.lower_bound <= value + 1e-6 * max(1.0, abs(value))
    assert isinstance(found.state, DispatchState)
    again = grid.evaluator.evaluate(found.state.closed, found.state.positions, found.state.generation)
    assert again[0][0] * grid.network.s_base_kva == pytest.approx(found.upper_bound, rel=1e-9)


@pytest.mark.parametrize("seed", range(2000, 2003))
def test_the_slopes_of_positions_are_those_of_the_relaxed_cost(seed: int) -> None:
    """Towards another position the slope lies between the differences of the value to either side."""
    grid = random_device_grid(seed, ("banks", "voltages", "taps", "units", "prices"), 2000)
    if not grid.devices.count or not radial(grid):
        return
    program, rng = program_of(grid), np.random.default_rng(seed)
    layout, sub = program.layout, Subproblem(program, program.layout.size)
    closed = layout.closed(program.warm_starts()[0])
    ends = [layout.decision(closed, rng.integers(grid.devices.sizes)) for _ in range(4)]
    middle, demand = np.mean(ends, axis=0), program.uncertainty.values[0]
    here = sub.respond(middle, demand)
    for end in ends:
        way = 1e-3 * (end - middle)
        back, ahead = (sub.respond(middle + step, demand) for step in (-way, way))
        slack = 2e-6 * max(1.0, abs(here.value))
        assert here.value - back.value - slack <= here.slope @ way <= ahead.value - here.value + slack


@pytest.mark.parametrize("seed", range(3000, 3003))
def test_the_cone_program_bounds_every_state_of_a_tree(seed: int) -> None:
    grid = random_device_grid(seed)
    program, rng = program_of(grid), np.random.default_rng(seed)
    devices, s = grid.devices, grid.network.s_base_kva
    for start in program.warm_starts()[-1:]:
        closed = program.layout.closed(start)
        low = rng.integers(devices.sizes)
        high = rng.integers(low, devices.sizes)
        for lowest, highest in ((None, None), (low, high)):
            lower, _ = program.cone(closed, lowest, highest)
            for _ in range(20):
                positions = rng.integers(0 * low, devices.sizes) if lowest is None else rng.integers(low, high + 1)
                output = _drawn(rng, program)
                value, missed = grid.evaluator.evaluate(closed, positions, output)
                changes = grid.cost.change * np.sum(closed != grid.network.closed)
                if missed[0] == 0.0:
                    assert lower <= value[0] - changes + 1e-6 * max(1.0, abs(value[0]), 1.0 / s)


def _drawn(rng: np.random.Generator, program: DispatchProgram) -> np.ndarray:
    net = program.network
    p, q = rng.uniform(net.p_min, net.p_max), rng.uniform(net.q_min, net.q_max)
    return program.evaluator.within(p + 1j * q)


def test_the_best_state_of_a_published_grid_is_a_warm_start() -> None:
    program = published("33-A")
    best = program.warm_starts()[-1]
    found = program.evaluate(best, program.uncertainty.values, None)
    assert found.values[0] == pytest.approx(LOSS_KW["33-A"], abs=5e-4)
    assert found.violations[0] == 0.0
    assert found.final
    lower, _ = program.cone(program.layout.closed(best))
    assert lower * program.network.s_base_kva <= found.values[0] + 1e-6


def test_outputs_come_from_the_cone_program_and_keep_their_ranges() -> None:
    program = published("33-C")
    best = program.warm_starts()[-1]
    demand = program.uncertainty.values[0]
    dispatch = Subproblem(program, program.layout.size).respond(best, demand).dispatch
    assert dispatch is not None
    found = program.evaluate(best, program.uncertainty.values, [dispatch])
    assert not found.final
    assert found.values[0] == pytest.approx(LOSS_KW["33-C"], rel=0.02)
    state = found.state
    assert isinstance(state, DispatchState)
    assert np.all(state.generation.real <= program.network.p_max)
    assert math.isfinite(found.violations[0])
