"""Growth: the futures drawn are those that the assumptions describe."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.grid import Grid
from openpoint.scenarios.futures import Futures, at_buses, constant_power_kva
from openpoint.scenarios.growth import SUMMER_NOON, WINTER_EVENING, Growth, Snapshot, grow
from tests.builders.grids import FEED, RICH, grids

ALL_ON = Snapshot("all on", share=1.0, load=0.5, sun=1.0, charging=1.0, heat=1.0)
NOTHING = Growth(pv_adoption=0.0, ev_adoption=0.0, heat_pump_adoption=0.0, load_growth_spread=0.0, snapshots=(ALL_ON,))
SHARES = ("pv_adoption", "ev_adoption", "heat_pump_adoption")

some_grids = grids(RICH) | grids(FEED)
seeds = st.integers(0, 2**63)
share = st.floats(0.0, 1.0)
spread = st.floats(0.0, 0.99)


@st.composite
def growths(draw: st.DrawFn) -> Growth:
    numbers = {name: draw(share) for name in (*SHARES, "load_growth_spread", "load_growth_correlation")}
    numbers |= {"adoption_spread": draw(spread), "adoption_spread_bus": draw(spread)}
    return replace(draw(st.sampled_from((Growth(), Growth.solar()))), **numbers)


@settings(max_examples=25)
@given(some_grids, seeds, growths(), st.integers(1, 6), st.integers(0, 6))
def test_more_futures_begin_with_the_fewer(some: Grid, seed: int, growth: Growth, count: int, more: int) -> None:
    few, many = (grow(some, count=n, seed=seed, growth=growth) for n in (count, count + more))
    assert many.names[:count] == few.names
    assert many.bus_names == tuple(some.buses["name"])
    np.testing.assert_array_equal(many.p_kw[:count], few.p_kw)
    np.testing.assert_array_equal(many.q_kvar[:count], few.q_kvar)
    np.testing.assert_array_equal(many.weights, 1.0 / len(many))
    assert grow(some, count=count, seed=seed, growth=growth).equals(few)


def test_futures_do_not_depend_on_how_many_are_worked_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = grow(openpoint.read("baran33"), count=20, seed=4)
    monkeypatch.setattr("openpoint.scenarios.growth.BLOCK", 3)
    assert grow(openpoint.read("baran33"), count=20, seed=4).equals(whole)


@settings(max_examples=25)
@given(some_grids, seeds, st.floats(-0.9, 3.0), st.sampled_from((WINTER_EVENING, SUMMER_NOON)))
def test_without_adoption_loads_only_grow(some: Grid, seed: int, more: float, snapshot: Snapshot) -> None:
    growth = replace(NOTHING, load_growth=more, snapshots=(replace(snapshot, share=1.0),))
    futures = grow(some, count=2, seed=seed, growth=growth)
    load, generation = constant_power_kva(some)
    expected = load * (1.0 + more) * snapshot.load - generation
    np.testing.assert_allclose(futures.p_kw, np.tile(expected.real, (2, 1)), rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(futures.q_kvar, np.tile(expected.imag, (2, 1)), rtol=1e-12, atol=1e-9)


@settings(max_examples=25)
@given(some_grids, seeds, growths(), st.sampled_from(SHARES), share, share)
def test_more_of_a_technology_moves_every_bus_its_way(
    some: Grid, seed: int, growth: Growth, name: str, one: float, other: float
) -> None:
    few, many = (
        grow(some, count=3, seed=seed, growth=replace(growth, **{name: value})) for value in sorted((one, other))
    )
    step = many.p_kw - few.p_kw
    assert (step <= 1e-9).all() if name == "pv_adoption" else (step >= -1e-9).all()
    if name == "pv_adoption":  # of power factor one
        np.testing.assert_array_equal(many.q_kvar, few.q_kvar)
    else:
        assert (many.q_kvar - few.q_kvar >= -1e-9).all()


@settings(max_examples=25)
@given(some_grids, seeds, growths())
def test_nobody_has_more_than_one(some: Grid, seed: int, growth: Growth) -> None:
    """Between the least and the most that the customers of a bus can do."""
    growth = replace(growth, load_growth_spread=0.0, snapshots=(ALL_ON,))
    futures = grow(some, count=3, seed=seed, growth=growth)
    customers = np.round(at_buses(some, some.loads).real / growth.customer_kw)
    load, generation = constant_power_kva(some)
    base = ALL_ON.load * (1.0 + growth.load_growth) * load.real - generation.real
    assert (futures.p_kw >= base - growth.pv_kw * customers - 1e-6).all()
    assert (futures.p_kw <= base + (growth.ev_kw + growth.heat_pump_kw) * customers + 1e-6).all()


@cache
def grown(growth: Growth, count: int, seed: int) -> Futures:
    """Futures of baran33; drawn once for all that look at them."""
    return grow(openpoint.read("baran33"), count=count, seed=seed, growth=growth)


def devices(growth: Growth, name: str, mean: float, count: int = 400, seed: int = 1) -> Floats:
    """(count, buses with customers) share of the customers of baran33 that use a technology of 1 kW."""
    grid = openpoint.read("baran33")
    only = replace(growth, **{name: mean}, pv_kw=1.0, ev_kw=1.0, heat_pump_kw=1.0)
    used = np.abs(grown(only, count, seed).p_kw - grown(growth, count, seed).p_kw)
    customers = np.round(at_buses(grid, grid.loads).real / growth.customer_kw)
    return used[:, customers > 0] / customers[customers > 0]


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("mean", [0.05, 0.3, 0.9])
def test_adoption_is_as_assumed(name: str, mean: float) -> None:
    growth = replace(NOTHING, ev_coincidence=1.0)
    penetration = devices(growth, name, mean).mean(axis=1)
    deviation = growth.adoption_spread * np.sqrt(mean * (1.0 - mean))
    # Four standard errors of the mean; the buses add a little to the spread of the whole grid.
    assert abs(penetration.mean() - mean) < 4.0 * penetration.std() / np.sqrt(len(penetration))
    assert penetration.std() == pytest.approx(deviation, rel=0.15)


def test_buses_spread_around_the_penetration_of_the_grid() -> None:
    growth = replace(NOTHING, adoption_spread=0.0, customer_kw=0.01)  # so many customers that all is the beta's
    shares = devices(growth, "pv_adoption", 0.3)
    assert shares.mean() == pytest.approx(0.3, abs=4.0 * shares.std() / np.sqrt(shares.size))
    assert shares.std() == pytest.approx(growth.adoption_spread_bus * np.sqrt(0.3 * 0.7), rel=0.05)
    few = devices(replace(growth, customer_kw=1.5, adoption_spread_bus=0.0), "pv_adoption", 0.3)
    customers = np.round(openpoint.read("baran33").loads["p_kw"].to_numpy() / 1.5)
    np.testing.assert_allclose(few.std(axis=0), np.sqrt(0.3 * 0.7 / customers), rtol=0.2)


def test_vehicles_charge_by_coincidence() -> None:
    growth = replace(NOTHING, ev_coincidence=0.2)
    charging = devices(growth, "ev_adoption", 0.4).mean(axis=1)
    assert abs(charging.mean() - 0.2 * 0.4) < 4.0 * charging.std() / np.sqrt(len(charging))


@pytest.mark.parametrize("correlation", [-0.8, 0.0, 0.8])
@pytest.mark.parametrize("pair", [("pv", "ev"), ("pv", "heat_pump"), ("ev", "heat_pump")])
def test_technologies_come_together(pair: tuple[str, str], correlation: float) -> None:
    apart: dict[str, Any] = {"pv_ev_correlation": 0.0, "pv_heat_pump_correlation": 0.0, "ev_heat_pump_correlation": 0.0}
    growth = replace(NOTHING, ev_coincidence=1.0, **{**apart, f"{'_'.join(pair)}_correlation": correlation})
    one, other = (devices(growth, f"{name}_adoption", 0.5).mean(axis=1) for name in pair)
    # Fisher's z has a standard error of 1 / √(K − 3); beta marginals and buses take a little off the correlation.
    z = np.arctanh(np.corrcoef(one, other)[0, 1])
    assert abs(z - np.arctanh(correlation)) < 4.0 / np.sqrt(len(one) - 3) + 0.05


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_loads_grow_together(correlation: float) -> None:
    growth = replace(NOTHING, load_growth=0.2, load_growth_spread=0.3, load_growth_correlation=correlation)
    p = grow(openpoint.read("baran33"), count=1000, seed=3, growth=growth).p_kw[:, 1:]
    factors = p / Futures.today(openpoint.read("baran33")).p_kw[0, 1:] / ALL_ON.load
    assert factors.mean(axis=0) == pytest.approx([1.2] * 32, abs=4.0 * 0.3 * 1.2 / np.sqrt(1000))
    assert factors.std(axis=0) / factors.mean(axis=0) == pytest.approx([0.3] * 32, rel=0.15)
    between = np.corrcoef(np.log(factors).T)[np.triu_indices(32, 1)]
    assert between.mean() == pytest.approx(correlation, abs=0.06)


def test_snapshots_by_their_shares() -> None:
    growth = Growth(snapshots=(replace(WINTER_EVENING, share=0.2), replace(SUMMER_NOON, share=0.8)))
    names = grow(openpoint.read("civanlar16"), count=2000, seed=7, growth=growth).names
    assert sum(name.endswith("winter evening") for name in names) == pytest.approx(400, abs=4.0 * np.sqrt(2000 * 0.16))
    assert all(name.startswith(f"{k} ") for k, name in enumerate(names, start=1))


def test_reactive_power_follows_the_power_factors() -> None:
    grid = openpoint.read("baran33")
    for name, factor in (("pv", 0.9), ("ev", 0.98), ("heat_pump", 0.95)):
        none = replace(NOTHING, **{f"{name}_power_factor": factor})
        with_it = grow(grid, count=5, seed=2, growth=replace(none, **{f"{name}_adoption": 0.5}))
        without = grow(grid, count=5, seed=2, growth=none)
        p, q = with_it.p_kw - without.p_kw, with_it.q_kvar - without.q_kvar
        np.testing.assert_allclose(q, np.abs(p) * np.sqrt(1.0 - factor**2) / factor, rtol=1e-9, atol=1e-9)


def test_moderate_growth_feeds_back_at_few_buses_and_solar_growth_at_most() -> None:
    grid = openpoint.read("baran33")
    for growth, low, high in ((Growth(), 0.05, 0.3), (Growth.solar(), 0.7, 1.0)):
        futures = grow(grid, count=200, seed=1, growth=growth)
        noon = np.array([name.endswith("noon") for name in futures.names])
        assert low <= (futures.p_kw[noon, 1:] < 0.0).mean() <= high
        assert (futures.p_kw[~noon] >= 0.0).all()


def test_another_seed_gives_other_futures() -> None:
    one, other = (grow(openpoint.read("baran33"), count=3, seed=seed) for seed in (1, 2))
    assert not (one.p_kw[:, 1:] == other.p_kw[:, 1:]).any()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"customer_kw": 0.0}, "customer_kw=0 must be above 0"),
        ({"pv_adoption": 1.2, "ev_kw": -1.0}, "ev_kw=-1 must be 0 or more; pv_adoption=1.2 must be from 0 to 1"),
        ({"adoption_spread": 1.0}, "below 1"),
        ({"pv_kw": float("nan")}, "pv_kw=nan"),
        ({"load_growth": -1.0}, "above -1"),
        ({"ev_power_factor": 0.0}, "ev_power_factor=0"),
        ({"pv_ev_correlation": -1.0}, "contradict each other"),
        ({"snapshots": ()}, "sum to one"),
        ({"snapshots": (WINTER_EVENING,)}, "sum to one"),
        ({"snapshots": (replace(WINTER_EVENING, sun=-1.0), SUMMER_NOON)}, "sun of snapshot 'winter evening'"),
        ({"ev_coincidence": 0.6, "snapshots": (replace(ALL_ON, charging=2.0),)}, "more vehicles charge"),
    ],
)
def test_growth_out_of_range(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        Growth(**wrong)


@pytest.mark.parametrize(("count", "seed"), [(0, 1), (1, -1)])
def test_count_and_seed_out_of_range(count: int, seed: int) -> None:
    with pytest.raises(OptionError, match="count"):
        grow(openpoint.read("baran33"), count=count, seed=seed)


def test_fully_tied_technologies_are_no_contradiction() -> None:
    tied = replace(NOTHING, pv_ev_correlation=1.0, pv_heat_pump_correlation=-1.0, ev_heat_pump_correlation=-1.0)
    pv, pumps = (devices(tied, name, 0.5, count=50).mean(axis=1) for name in ("pv_adoption", "heat_pump_adoption"))
    assert np.corrcoef(pv, pumps)[0, 1] < -0.9
