"""Trees with generators to dispatch on which limits bind: what is proven by the bound, and what a cone solver says."""

import numpy as np
import pytest

import openpoint
from openpoint import TopologySearch
from openpoint.arrays import Bools, Complexes, Ints
from openpoint.search.dispatch import Threshold
from openpoint.search.topology import search_topologies
from openpoint.twostage.log import Termination
from tests.builders.grids import DISPATCH, random_grid
from tests.builders.programs import Today, program_of


@pytest.mark.parametrize("seed", [1027, 1036, 1039, 1046, 1050])
def test_that_nothing_keeps_the_limits_is_proven_without_a_cone_solver(seed: int) -> None:
    network = program_of(random_grid(seed, DISPATCH)).network
    found = search_topologies(network)
    assert found.leaves > 0
    assert found.termination is Termination.INFEASIBLE
    assert found.by_cone == 0


def test_trees_whose_bound_is_that_of_a_cone_solver_are_counted_and_told() -> None:
    """Without the cone program the bound is lower by a few per cent."""
    grid = random_grid(1095, DISPATCH)
    program = program_of(grid)
    sub = Today(program)
    asked: list[Bools] = []

    def cone(closed: Bools, _: Ints, most: Threshold | None) -> tuple[float, Complexes | None]:
        if most is not None:
            return -np.inf, None
        asked.append(closed)
        response = sub.respond(closed.astype(float))
        return response.value / program.network.s_base_kva, response.dispatch[0::2] + 1j * response.dispatch[1::2]

    alone = search_topologies(program.network, gap=1e-4)
    found = search_topologies(program.network, gap=1e-4, cone=cone)
    assert alone.by_cone == 0
    assert 0 < found.by_cone <= len(asked)
    assert alone.lower_bound < found.lower_bound <= found.value
    assert len(np.unique(asked, axis=0)) == len(asked)
    result = openpoint.reconfigure(grid, method=TopologySearch(gap=1e-4))
    assert str(result.iterations["verdict"][-1]).endswith(f"trees bounded by the cone program: {found.by_cone}")
