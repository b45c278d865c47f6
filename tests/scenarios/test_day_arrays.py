"""The arrays of a day in per unit, by hand; what is uncertain of it, and within which budget."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Grid, OptionError
from openpoint.network import build_network
from openpoint.network.day import DayArrays, Uncertain, available_power, load_factors
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.faults import grid_of_day
from openpoint.scenarios.day.tables import Day, read_day
from openpoint.scenarios.day.uncertain import Budget, Uncertainty, deviation_notes
from tests.grid import small

GAS = {"name": "gas", "bus": "D", "p_kw": 0.0, "p_min_kw": 20.0, "p_max_kw": 80.0, "may_stop": True}
TABLES: dict[str, Any] = {
    "periods": {
        "period": ["a", "b", "c"],
        "hours": [1.0, 2.0, 0.5],
        "price_usd_per_kwh": [0.1, -0.2, None],
        "export_price_usd_per_kwh": [0.05, None, None],
        "load_share": [0.5, 1.0, 2.0],
    },
    "profiles": {"period": ["c", "a", "b"], "shop": [3.0, 1.0, 2.0], "sun": [1.0, 0.0, 0.6]},
    "load_profiles": [{"load": "b", "profile": "shop"}],
    "generators": [GAS],
    "units": [
        {"generator": "gas", "ramp_up_kw_per_h": 10.0, "start_cost_usd": 7.0, "p_before_kw": 0.0, "profile": "sun"}
    ],
    "renewables": [
        {"name": "sun1", "bus": "B", "kind": "solar", "p_kw": 50.0, "profile": "sun", "s_max_kva": 40.0},
        {"name": "sun2", "bus": "D", "kind": "solar", "p_kw": 10.0, "profile": "sun"},
        {"name": "wind", "bus": "D", "kind": "wind", "p_kw": 30.0, "profile": "sun", "s_max_kva": 60.0},
    ],
    "storages": [{"name": "battery", "bus": "C", "energy_kwh": 90.0, "start_kwh": 40.0, "charge_kw": 20.0}],
    "vehicles": [
        {"name": "cars", "bus": "E", "count": 3, "arrival": "b", "energy_kwh": 50.0, "start_kwh": 10.0}
        | {"end_kwh": 20.0, "charge_kw": 7.0, "charge_efficiency": 0.9}
    ],
    "flexible_loads": [
        {"load": "e", "shift_time_share": 0.2, "shift_price_usd_per_kwh": 0.03},
        {"shift_buses_share": 0.1, "shed_share": 0.5, "shed_price_usd_per_kwh": 4.0},
    ],
}


def grid() -> Grid:
    sources = [{"name": "grid", "bus": "A", "price_usd_per_kwh": 0.3}]
    return small.grid(small.tables() | {"sources": sources})


def arrays(uncertainty: Uncertainty | None = None, **tables: Any) -> DayArrays:
    """Per unit of 100 kVA."""
    day = Day.from_tables(**{**TABLES, **tables})
    ready, _ = grid_of_day(grid(), day)
    network = build_network(ready)
    assert network.s_base_kva == 100.0
    assert network.generator_names == ("pv", "gas")
    return build_day(ready, network, day, uncertainty)[1]


def test_loads_and_prices_are_those_of_the_periods() -> None:
    day = arrays()
    assert (day.names, day.hours.tolist()) == (("a", "b", "c"), [1.0, 2.0, 0.5])
    assert day.load_power[:, 1] == pytest.approx(np.array([1.0, 2.0, 3.0]) * (1.0 + 0.3j))
    assert day.load_power[:, 4] == pytest.approx([0.25, 0.5, 1.0])
    assert not day.load_power[:, [0, 2, 3]].any()
    assert day.source_price[:, 0].tolist() == [0.1, -0.2, 0.3]
    assert day.export_price[:, 0].tolist() == [0.05, -0.2, 0.0]


def test_resources_are_in_per_unit() -> None:
    day = arrays()
    stores, renewables, units = day.stores, day.renewables, day.units
    assert (stores.names, stores.vehicle.tolist()) == (("battery", "cars"), [False, True])
    assert (stores.terminal.tolist(), stores.first.tolist(), stores.last.tolist()) == ([2, 4], [0, 1], [3, 3])
    assert stores.energy_max == pytest.approx([0.9, 1.5])
    assert stores.energy_start == pytest.approx([0.4, 0.3])
    assert stores.energy_end == pytest.approx([0.4, 0.6])
    assert stores.charge_max == pytest.approx([0.2, 0.21])
    assert stores.discharge_max == pytest.approx([0.2, 0.0])
    assert stores.charge_efficiency.tolist() == [1.0, 0.9]
    assert renewables.available == pytest.approx(np.array([[0, 0, 0], [0.3, 0.06, 0.18], [0.4, 0.1, 0.3]]))
    assert renewables.s_max == pytest.approx([0.4, 0.0, 0.6])
    assert units.ramp_up.tolist() == [math.inf, 0.1]
    assert units.ramp_down.tolist() == [math.inf, math.inf]
    assert units.start == pytest.approx([0.0, 0.07])
    assert units.on_before.tolist() == [True, False]
    assert np.isnan(units.p_before).tolist() == [True, False]
    assert day.unit_available == pytest.approx(np.array([[1, 0], [1, 0.6], [1, 1]]))


def test_what_may_be_moved_or_shed_is_that_of_the_loads_of_a_bus() -> None:
    demand = arrays().demand
    assert demand.shift_buses == pytest.approx([0, 0.1, 0, 0, 0])
    assert demand.shift_time == pytest.approx([0, 0, 0, 0, 0.2])
    assert demand.shift_price == pytest.approx([0, 0, 0, 0, 0.03])
    assert demand.shed_share == pytest.approx([0, 0.5, 0, 0, 0])
    assert demand.shed_price == pytest.approx([0, 4.0, 0, 0, 0])


def test_loads_of_a_bus_that_differ_are_weighted_and_told() -> None:
    tables = small.tables()
    tables["loads"] += [{"name": "b2", "bus": "B", "p_kw": 300.0, "q_kvar": 90.0}]
    tables["loads"] += [{"name": "d", "bus": "D", "p_kw": 10.0}]
    tables["sources"] = [{"name": "grid", "bus": "A", "price_usd_per_kwh": 0.3}]
    flexible = [
        {"bus": "B", "shed_share": 0.4, "shed_price_usd_per_kwh": 1.0},
        {"load": "b2", "shed_share": 0.8, "shed_price_usd_per_kwh": 2.0},
        {"shed_share": 1.0, "shed_price_usd_per_kwh": 5.0},
    ]
    day = Day.from_tables({"period": ["now"]}, flexible_loads=flexible)
    ready, notes = grid_of_day(small.grid(tables), day)
    assert any("at 'B' loads differ" in note.message and note.changes_figures for note in notes)
    _, built = build_day(ready, build_network(ready), day)
    assert built.demand.shed_share == pytest.approx([0, (0.4 + 3 * 0.8) / 4, 0, 1, 1])
    assert built.demand.shed_price == pytest.approx([0, (0.4 + 3 * 0.8 * 2) / (0.4 + 3 * 0.8), 0, 5, 5])


def uncertain(shares: Any, budget: Any = None) -> Uncertain:
    return arrays(Uncertainty.of(shares, budget)).uncertain


def test_groups_deviate_together_by_default() -> None:
    day = arrays(Uncertainty.of("load=0.1,wind=0.5", "hours=2"))
    found = day.uncertain
    assert (found.names, found.group, found.groups) == (("load", "wind"), ("load", "wind"), ())
    assert found.hours.tolist() == [2, 2]
    assert found.load.tolist() == [-1, 0, -1, -1, 0]
    assert found.renewable.tolist() == [-1, -1, 1]
    assert found.down == pytest.approx(np.array([[0.1, 0.0], [0.1, 0.5], [0.1, 0.5]]))
    assert found.up == pytest.approx(found.down)
    assert load_factors(day, np.array([1.1, 1.0])).tolist() == [1.0, 1.1, 1.0, 1.0, 1.1]
    assert available_power(day, 1, np.array([1.1, 0.5])) == pytest.approx([0.3, 0.06, 0.09])


def test_sites_deviate_by_themselves_where_the_budget_says_so() -> None:
    found = uncertain({"load": 0.1, "solar": 0.3}, "load=1/1,solar=2/all")
    assert found.names == ("load at B", "load at E", "sun1", "sun2")
    assert found.hours.tolist() == [1, 1, 2, 2]
    assert found.groups == (("load", 1),)
    assert found.load.tolist() == [-1, 0, -1, -1, 1]
    assert found.renewable.tolist() == [2, 3, -1]


def test_no_source_has_more_than_it_is_rated_at() -> None:
    found = uncertain("solar=0.5")
    assert found.down[:, 0].tolist() == [0.0, 0.5, 0.5]
    assert found.up[:, 0] == pytest.approx([0.0, 1 / 3, 0.0])  # 40 kVA over 30 kW, and 40 kVA at 40 kW
    assert ["in 2 periods it deviates upwards only as far as" in note for note in deviation_notes(found)] == [True]
    assert not deviation_notes(uncertain("wind=0.5"))
    apart = uncertain("solar=0.5", "1/all")
    assert apart.up[1] == pytest.approx([1 / 3, 0.5])


@pytest.mark.parametrize(
    ("shares", "budget", "hours"),
    [
        ("load=0.1", None, [3]),
        ("load=0.1", 2, [2]),
        ("load=0.1", "2", [2]),
        ("load=0.1", {"load": 1}, [1]),
        ("load=0.1,wind=0.2", {"load": 1, "hours": Budget(2)}, [1, 2]),
        ("load=0.1,wind=0.2", "hours=99", [3, 3]),
        ("load=0,wind=0.2", "1", [1]),
        ("load=0.1,wind=0.2", "load=0,wind=1", [1]),
        ("load=0.1", "1/0", []),
        (None, None, []),
    ],
)
def test_budgets(shares: Any, budget: Any, hours: list[int]) -> None:
    assert uncertain(shares, budget).hours.tolist() == hours


@pytest.mark.parametrize(
    ("shares", "budget", "told"),
    [
        ("load", None, "uncertain has 'load'; give shares of the forecast"),
        ("", None, "uncertain is empty"),
        ("load=much", None, "uncertain has 'much' for load"),
        ("load=1.1", None, "uncertain has 1.1 for load; give a share from 0 to 1"),
        ("load=nan", None, "give a share from 0 to 1"),
        ("load=-0.1", None, "give a share from 0 to 1"),
        ("load=0.1,load=0.2", None, "uncertain names load twice"),
        ("hydro=0.1", None, "uncertain names 'hydro'; the groups are load, solar, wind"),
        ("load=0.1", "load=x", "budget has 'x' for load"),
        ("load=0.1", "load=1/2/3", "budget has '1/2/3' for load"),
        ("load=0.1", "hydro=1", "budget names 'hydro'"),
        ("load=0.1", "wind=1", "budget names wind, which is not uncertain"),
        ("load=0.1", -1, "budget has -1 for hours"),
        ("load=0.1", {"load": 1.5}, "budget has 1.5 for load"),
    ],
)
def test_what_is_no_uncertainty_is_refused(shares: Any, budget: Any, told: str) -> None:
    with pytest.raises(OptionError) as caught:
        Uncertainty.of(shares, budget)
    assert told in str(caught.value)


def test_a_group_of_which_the_day_has_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="the day has no wind; leave it out"):
        arrays(Uncertainty.of("wind=0.1"), renewables=None)


def test_shiftable_demand_of_a_built_in_day_is_one_column() -> None:
    day = read_day("baran33-day")
    more = day.with_tables(flexible_loads=day.flexible_loads.with_columns(shift_buses_share=pl.lit(0.2)))
    ready, _ = grid_of_day("baran33", more)
    _, built = build_day(ready, build_network(ready), more)
    loaded = built.load_power.any(axis=0)
    assert (built.demand.shift_buses == np.where(loaded, 0.2, 0.0)).all()
    assert openpoint.read("baran33").generators.is_empty()
