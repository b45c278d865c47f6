"""The built-in days, and the arrays of a day against the network of the grid itself."""

from __future__ import annotations

import numpy as np
import pytest

import openpoint
from openpoint import Grid
from openpoint.network import Network, build_network
from openpoint.network.day import DayArrays, network_of_period
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.faults import grid_of_day
from openpoint.scenarios.day.tables import Day, built_in_days, read_day


def built(name: str) -> tuple[Grid, Network, DayArrays]:
    """The grid, network and arrays of a built-in day."""
    day = read_day(name)
    grid, notes = grid_of_day(name.removesuffix("-day"), day)
    assert not notes
    return grid, *build_day(grid, build_network(grid), day)


@pytest.mark.parametrize("name", built_in_days())
def test_built_in_days_are_sound(name: str) -> None:
    grid, network, arrays = built(name)
    assert arrays.periods == 24
    assert arrays.hours.sum() == 24.0
    assert not network.s_power.any()
    assert (arrays.source_price >= 0.05).all()
    assert (arrays.source_price <= 0.20).all()
    limited = ~np.isin(np.arange(network.n_terminals), network.source_terminal)
    assert network.w_min[limited] == pytest.approx(0.95**2)
    assert network.w_max[limited] == pytest.approx(1.05**2)
    assert set(arrays.uncertain.names) == set()
    assert grid.generators.height == len(network.generator_names) == len(arrays.units.start)


@pytest.mark.parametrize("name", ["baran33", "baran33-devices", "khodr70", "das70", "zhang13"])
def test_a_period_with_the_loads_of_the_grid_is_the_grid(name: str) -> None:
    """Its arrays are those of the network, bit by bit."""
    day = Day.from_tables({"period": ["now"], "price_usd_per_kwh": [0.1]})
    grid, _ = grid_of_day(name, day)
    network = build_network(grid)
    again = network_of_period(*build_day(grid, network, day), 0)
    for field in ("s_power", "s_current", "s_impedance", "p_max", "p_min"):
        assert np.array_equal(getattr(again, field), getattr(network, field))


def test_every_model_of_a_load_and_fixed_generation_are_kept() -> None:
    grid = openpoint.read("baran33")
    models = ["power", "current", "impedance", "cvr"] * 8
    loads = grid.loads.with_columns(model=np.array(models))
    wind = {"name": "wind", "bus": "7", "p_kw": 123.0, "q_kvar": 4.0}
    bank = {"name": "bank", "bus": "30", "q_kvar": 300.0}
    grid = Grid.from_tables("mixed", grid.tables() | {"loads": loads, "generators": [wind], "capacitors": [bank]})
    day = Day.from_tables({"period": ["a", "b"], "price_usd_per_kwh": [0.1, 0.1], "load_share": [1.0, 0.5]})
    ready, notes = grid_of_day(grid, day)
    assert ["the output is the same in every period" in note.message for note in notes] == [True]
    network = build_network(ready)
    bare, arrays = build_day(ready, network, day)
    whole = network_of_period(bare, arrays, 0)
    half = network_of_period(bare, arrays, 1)
    for field in ("s_power", "s_current", "s_impedance"):
        assert getattr(whole, field) == pytest.approx(getattr(network, field), abs=1e-15)
        fixed = getattr(bare, field)
        assert getattr(half, field) - fixed == pytest.approx((getattr(network, field) - fixed) / 2, abs=1e-15)
