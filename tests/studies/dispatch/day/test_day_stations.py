"""A day keeps loops of stations closed: its plans are those of all states, each solved with its loops by Newton."""

import math
from dataclasses import replace

import numpy as np
import pytest

import openpoint
from openpoint.errors import InputError
from openpoint.network import build_network
from openpoint.network.limits import Limits
from openpoint.powerflow.state import ac_state
from tests.builders.stations import states, station_grid

LIMITS = Limits(v_min_pu=0.9)
SHARES, HOURS, PRICES = np.array([1.0, 0.6]), np.array([1.0, 2.0]), np.array([0.1, 0.2])


def plain_day(**more: object) -> openpoint.Day:
    """Two periods with the loads of the grid in shares, and what else is given."""
    periods = {"period": ["a", "b"], "hours": HOURS, "price_usd_per_kwh": PRICES, "load_share": SHARES}
    return openpoint.Day.from_tables(periods, **more)


def least_cost(grid: openpoint.Grid) -> float:
    """Of all states, one for the day, by power flows with the loops closed; in $."""
    network = LIMITS.applied(build_network(grid))
    best = math.inf
    for closed in states(network):
        cost = 0.0
        for share, hours, price in zip(SHARES, HOURS, PRICES, strict=True):
            state = ac_state(replace(network, s_power=share * network.s_power), closed)
            if state is None or any(map(len, (state.check.v_low, state.check.v_high, state.check.overloaded))):
                cost = math.inf
                break
            cost += hours * price * float(state.source_s.real.sum()) * network.s_base_kva
        best = min(best, cost)
    return best


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_the_plan_is_the_best_of_all_states(seed: int) -> None:
    grid = station_grid(seed, limited=True)
    found = openpoint.dispatch_day(grid, plain_day(), limits=LIMITS, gap=1e-5)
    assert found.objective_usd == pytest.approx(least_cost(grid), rel=2e-5)
    assert found.lower_bound_usd <= found.objective_usd * (1.0 + 1e-9)
    assert not found.violations
    assert found.balance_max_kw < 1e-9 * build_network(grid).s_base_kva
    assert not {name for name in found.open_branches if name.startswith(("C", "T"))}
    held = found.branches.filter(~found.branches["switchable"] & found.branches["closed_today"])
    assert held["closed_hours"].to_list() == [HOURS.sum()] * held.height
    assert held["operations"].sum() == 0


@pytest.mark.parametrize("seed", [0, 2])
def test_a_period_with_all_its_load_is_the_hour_that_dispatch_knows(seed: int) -> None:
    grid = station_grid(seed, limited=True)
    hour = openpoint.dispatch(grid, limits=LIMITS)
    table = {"period": ["a"], "hours": [1.0], "price_usd_per_kwh": [0.1], "load_share": [1.0]}
    day = openpoint.dispatch_day(grid, openpoint.Day.from_tables(table), limits=LIMITS, gap=1e-6)
    assert day.total("loss_kwh", "forecast") == pytest.approx(hour.loss_kw, rel=1e-6)
    currents = day.branches.join(hour.branches, on=["kind", "name"], suffix="_hour")
    assert currents["i_forecast_a"].to_numpy() == pytest.approx(currents["i_after_a"].to_numpy(), rel=1e-6, abs=1e-6)


def test_the_rest_of_a_day_and_a_period_carried_out_keep_the_loops() -> None:
    grid = station_grid(0, limited=True)
    battery = {"name": "battery", "bus": "F00", "energy_kwh": 400.0, "start_kwh": 100.0, "charge_kw": 200.0}
    day = plain_day(storages=[battery])
    whole = openpoint.dispatch_day(grid, day, limits=LIMITS, uncertain="load=0.1", budget=1)
    step = openpoint.simulate_period(whole, {"load": 1.05})
    assert not step.violations
    assert abs(step.figures["balance_kw"][0]) < 1e-6
    rest = openpoint.dispatch_day(grid, day, limits=LIMITS, now="b", state=step.state)
    assert rest.has_answer
    assert not rest.violations
    assert rest.operations == 0
    assert not {name for name in rest.open_branches if name.startswith(("C", "T"))}


def test_taps_in_parallel_do_not_move() -> None:
    grid = station_grid(0)
    units = grid.transformers.with_columns(controllable=True, tap_min=-4, tap_max=4, tap_step_percent=1.5)
    grid = grid.with_tables(transformers=units)
    with pytest.raises(InputError, match="stands in parallel") as caught:
        openpoint.dispatch_day(grid, plain_day(), positions="once")
    assert "--positions fixed" in str(caught.value)
    assert openpoint.dispatch_day(grid, plain_day()).has_answer
