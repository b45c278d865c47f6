"""Bounds of other criteria: the best state under them is that of all states, and a bound of a criterion that none keeps
is told."""

from dataclasses import replace

import numpy as np
import pytest

from openpoint.network.operating_cost import OperatingCost, least_loss
from openpoint.powerflow.operating_point import CriterionBound
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.methods.solving import ExtensiveForm
from tests.builders.contract import check_program
from tests.builders.device_grids import DeviceGrid, random_device_grid
from tests.builders.sampled_outputs import best_operating_state
from tests.studies.dispatch.test_model_program import FIXED, program_of, radial

KINDS = ("loss", "deviation", "moves")


def other_cost(grid: DeviceGrid, kind: str) -> OperatingCost:
    """One of the costs that is not minimised."""
    net = grid.network
    loss = least_loss(len(net.generator_names), len(net.source_terminal), net.n_conductors)
    nothing = replace(loss, loss=0.0)
    return {"loss": loss, "deviation": replace(nothing, deviation=0.1), "moves": replace(nothing, move=1e-3)}[kind]


def bound_of(grid: DeviceGrid, kind: str, share: float) -> CriterionBound | None:
    """A bound of a criterion between the least of another cost and its value at the optimum; None where they are
    one."""
    cost = other_cost(grid, kind)
    there, best = replace(grid, cost=cost), best_operating_state(grid.evaluator).best
    least = best_operating_state(there.evaluator).best
    if best is None or least is None or best.violation > 0.0:
        return None
    at_best = there.evaluator.evaluate(best.closed, best.positions, best.generation)[0][0]
    if at_best < least.value + 1e-4 * max(abs(least.value), 1e-3):
        return None
    return CriterionBound(kind, cost, least.value + share * (at_best - least.value))


CASES = [(seed, KINDS[seed % 3]) for seed in (1001, 1002, 1007, 1008, 1010, 1012)]


@pytest.mark.parametrize(("seed", "kind"), CASES)
def test_the_best_state_under_a_bound_is_that_of_all_states(seed: int, kind: str) -> None:
    grid = random_device_grid(seed, FIXED, 2000)
    bound = bound_of(grid, kind, 0.6)
    if bound is None:
        return
    program = replace(program_of(grid), criterion_bounds=(bound,))
    check_program(program, count=1, seed=seed)
    best = best_operating_state(replace(grid.evaluator, criterion_bounds=(bound,))).best
    assert best.violation == 0.0
    for method in (Benders(gap=1e-5), ExtensiveForm(gap=1e-4))[: 1 + (seed in (1007, 1010))]:
        found = method.solve(program)
        assert found.upper_bound == pytest.approx(best.value * grid.network.s_base_kva, rel=2e-4)


def test_a_bound_that_nothing_keeps_is_infeasible() -> None:
    seed = next(s for s in range(1001, 1020) if radial(random_device_grid(s, FIXED, 2000)))
    grid = random_device_grid(seed, FIXED, 2000)
    cost = other_cost(grid, "loss")
    least = best_operating_state(replace(grid, cost=cost).evaluator).best
    found = Benders().solve(
        replace(program_of(grid), criterion_bounds=(CriterionBound("loss", cost, 0.5 * least.value),))
    )
    assert found.termination is Termination.INFEASIBLE
    assert found.least_violation is not None
    assert np.isinf(found.upper_bound)
