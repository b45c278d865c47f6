"""Dispatch of random grids in tables finds the best of all states, and the grid after it loses what is told."""

import math

import numpy as np
import polars as pl
import pytest

from openpoint import TopologySearch
from openpoint.network.devices import DeviceKind
from openpoint.studies.dispatch.study import dispatch
from openpoint.studies.powerflow.study import run_powerflow
from tests.builders.device_tables import device_grid_of, random_device_tables
from tests.builders.sampled_outputs import best_operating_state

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


@pytest.mark.parametrize("seed", [4, 6, 10, 12])
def test_losses_priced_by_branch_are_the_best_of_all_states_and_what_the_branches_lose(seed: int) -> None:
    grid = random_device_tables(seed, 500)
    prices = np.random.default_rng(seed).uniform(0.0, 2.0, grid.lines.height)
    priced = grid.with_tables(lines=grid.lines.with_columns(loss_price_usd_per_kwh=pl.Series(prices)))
    arrays = device_grid_of(priced, prices=True)
    best = best_operating_state(arrays.evaluator).best
    found = dispatch(priced, minimize="cost")
    if best is None or best.violation > 0.0:
        assert not found.has_answer
        return
    assert found.objective == pytest.approx(best.value * arrays.network.s_base_kva, rel=2e-4, abs=1e-6)
    assert found.lower_bound <= best.value * arrays.network.s_base_kva * (1.0 + 1e-6) + 1e-6
    after, units = run_powerflow(found.grid_after), found.grid_after.generators
    lost = after.branches.join(priced.lines, on="name").select(pl.col("loss_kw") * pl.col("loss_price_usd_per_kwh"))
    bought = after.sources.join(grid.sources, on="name").select(pl.col("p_kw") * pl.col("price_usd_per_kwh"))
    p, running = units["p_kw"], (units["p_kw"] != 0.0) | (units["q_kvar"] != 0.0)
    made = p * units["cost_usd_per_kwh"] + p**2 * units["cost_usd_per_kw2h"] + running * units["cost_on_usd_per_h"]
    total = lost.sum().item() + bought.sum().item() + made.sum()
    assert found.objective == pytest.approx(total, rel=1e-6)
    assert lost.sum().item() > 0.0
