"""Dispatch of random grids in tables finds the best of all states, and the grid after it loses what is told."""

from __future__ import annotations

import math

import numpy as np
import pytest

from openpoint import TopologySearch
from openpoint.network.devices import DeviceKind
from openpoint.search.enumeration import best_operating_state
from openpoint.studies.dispatch.study import dispatch
from openpoint.studies.powerflow.study import run_powerflow
from tests.builders.device_tables import device_grid_of, random_device_tables

DISCRETE = (0, 2, 4, 6)
"""Grids without outputs to choose."""
TAPS = DeviceKind.VOLTAGE, DeviceKind.TAP


@pytest.mark.parametrize("what", ["losses", "cost"])
@pytest.mark.parametrize("seed", DISCRETE)
def test_the_answer_is_the_best_of_all_states_and_the_grid_after_it_has_its_loss(seed: int, what: str) -> None:
    grid = random_device_tables(seed, 500)
    arrays = device_grid_of(grid, prices=what == "cost")
    best = best_operating_state(arrays.evaluator).best
    found = dispatch(grid, minimize=what)
    if best is None or best.violation > 0.0:
        assert not found.has_answer
        return
    assert found.objective == pytest.approx(best.value * arrays.network.s_base_kva, rel=2e-4, abs=1e-6)
    assert found.lower_bound <= best.value * arrays.network.s_base_kva * (1.0 + 1e-6) + 1e-6
    assert not found.violations
    after = run_powerflow(found.grid_after)
    assert after.loss_kw == pytest.approx(found.loss_kw, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("seed", DISCRETE)
def test_the_search_equals_the_enumeration_where_units_are_left_as_they_are(seed: int) -> None:
    grid = random_device_tables(seed, 500)
    kinds = device_grid_of(grid).devices.kind
    free = ["topology"] + ["taps"] * bool(np.isin(kinds, TAPS).any()) + ["capacitors"] * (DeviceKind.BANK in kinds)
    every, found = (dispatch(grid, free=free, method=method) for method in (None, TopologySearch(gap=1e-6)))
    assert found.has_answer == every.has_answer
    assert (found.objective or math.inf) == pytest.approx(every.objective or math.inf, rel=2e-4, abs=1e-6)
