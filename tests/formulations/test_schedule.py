"""Blocks of the schedule of a day, each against what it says in words, at points drawn and at points enumerated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.arrays import Bools, Floats
from openpoint.formulations import schedule
from openpoint.network.day import Stores, UnitLinks
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.recourse.compile import compile_model
from tests.powerflow.small_networks import Branch, make_network

HOURS = np.array([1.0, 0.5, 2.0, 1.0])
PERIODS = len(HOURS)


def stores_of(rng: np.random.Generator) -> Stores:
    """A battery, one that only discharges, and a vehicle that is there in periods 1 and 2."""
    count = 3
    start = rng.uniform(0.4, 0.8, count)
    return Stores(
        names=("battery", "reserve", "vehicle"),
        vehicle=np.array([False, False, True]),
        terminal=np.arange(count),
        first=np.array([0, 0, 1]),
        last=np.array([PERIODS, PERIODS, 3]),
        energy_min=np.full(count, 0.1),
        energy_max=np.full(count, 1.0),
        energy_start=start,
        energy_end=np.array([start[0], 0.1, 0.95]),
        charge_max=np.array([0.3, 0.0, 0.4]),
        discharge_max=np.array([0.4, 0.3, 0.0]),
        charge_efficiency=rng.uniform(0.8, 1.0, count),
        discharge_efficiency=rng.uniform(0.8, 1.0, count),
        s_max=np.array([0.5, 0.0, 0.0]),
        wear=np.zeros(count),
    )


def solved(cost: cp.Expression, constraints: Sequence[cp.Constraint], *parts: cp.Variable) -> list[Floats] | None:
    """Values of variables at the least cost; None where there is nothing."""
    form = compile_model(cost, constraints, also=parts)
    answer = HighsModel(form).solve(integral=False)
    if answer.x is None:
        return None
    return [answer.x[form.of(part)].reshape(part.shape, order="F") for part in parts]


def holds(constraints: Sequence[cp.Constraint]) -> bool:
    """Whether constraints without variables that are free hold, or can be made to."""
    return solved(cp.Constant(0.0), constraints) is not None


@pytest.mark.parametrize("seed", range(4))
def test_the_contents_of_stores_are_what_they_took_and_gave(seed: int) -> None:
    rng = np.random.default_rng(seed)
    stores = stores_of(rng)
    charge, discharge = (cp.Variable((PERIODS, stores.count)) for _ in range(2))
    content, linked = schedule.store_contents(stores, HOURS, charge, discharge)
    price = rng.uniform(-1.0, 1.0, (2, PERIODS, stores.count))
    cost = cp.sum(cp.multiply(price[0], charge)) + cp.sum(cp.multiply(price[1], discharge))
    found = solved(cost, [*linked, *schedule.store_powers(stores, charge, discharge)], charge, discharge, content)
    assert found is not None
    c, d, e = found
    held = stores.energy_start.copy()
    for t, hours in enumerate(HOURS):
        held = held + hours * (stores.charge_efficiency * c[t] - d[t] / stores.discharge_efficiency)
        assert np.abs(held - e[t]).max() <= 1e-9
        there = stores.present(PERIODS)[t]
        assert not c[t][~there].any()
        assert not d[t][~there].any()
        assert (e[t][there] >= stores.energy_min[there] - 1e-9).all()
        assert (e[t][there] <= stores.energy_max[there] + 1e-9).all()
    assert (e[-1] >= stores.energy_end - 1e-9).all()


def test_in_one_direction_the_product_of_charge_and_discharge_is_nothing() -> None:
    stores = stores_of(np.random.default_rng(0))
    charge, discharge = (cp.Variable((1, stores.count)) for _ in range(2))
    for charging in np.ndindex(2, 2, 2):
        way = schedule.one_direction(stores, charge, discharge, cp.Constant(np.array([charging], dtype=np.float64)))
        found = solved(-cp.sum(charge) - cp.sum(discharge), way, charge, discharge)
        assert found is not None
        assert np.allclose(found[0][0], np.where(np.array(charging) == 1, stores.charge_max, 0.0))
        assert np.allclose(found[1][0], np.where(np.array(charging) == 0, stores.discharge_max, 0.0))


def test_starts_are_those_of_the_states() -> None:
    count = 2
    units = UnitLinks(
        ramp_up=np.full(count, 0.1),
        ramp_down=np.full(count, np.inf),
        start=np.zeros(count),
        on_before=np.zeros(count, dtype=np.bool_),
        p_before=np.zeros(count),
    )
    for on in itertools.product((0.0, 1.0), repeat=PERIODS):
        states = np.repeat(np.array(on)[:, None], count, axis=1)
        start, stop, linked = schedule.starts(units, cp.Constant(states))
        for sign in (1.0, -1.0):  # they follow from the states, whatever is wanted of them
            found = solved(sign * cp.sum(start), linked, start)
            assert found is not None
            rise = np.diff(np.vstack([np.zeros(count), states]), axis=0)
            assert np.allclose(found[0], rise > 0)
    assert stop.shape == states.shape


def test_ramps_bind_where_a_unit_stays_on_and_nowhere_else() -> None:
    count, rng = 2, np.random.default_rng(3)
    network = make_network(2, [Branch(0, 1, 0.01 + 0.01j)], {0: 1.0}, generators=[(1, 0.0j)] * count)
    network = replace(network, p_min=np.zeros(count), p_max=np.ones(count))
    between = 0.5 * (HOURS + np.concatenate([HOURS[:1], HOURS[:-1]]))
    seen = set()
    for _ in range(60):
        units = UnitLinks(
            ramp_up=rng.choice([0.2, 0.5, np.inf], count),
            ramp_down=rng.choice([0.2, 0.5, np.inf], count),
            start=np.zeros(count),
            on_before=(before := rng.random(count) < 0.5),
            p_before=np.where(before, rng.choice([0.3, 0.7, np.nan], count), 0.0),
        )
        on = rng.random((PERIODS, count)) < 0.7
        p = np.where(on, np.clip(0.5 + rng.normal(0.0, 0.15, (PERIODS, count)).cumsum(axis=0), 0.0, 1.0), 0.0)
        start, stop, linked = schedule.starts(units, cp.Constant(on.astype(np.float64)))
        linked = linked + schedule.ramps(network, units, HOURS, cp.Constant(p), start, stop)
        before_on = np.vstack([units.on_before, on[:-1]])
        before_p = np.vstack([units.p_before, p[:-1]])
        stays = on & before_on & np.isfinite(before_p)
        rise = np.where(stays, p - np.nan_to_num(before_p), 0.0)
        right = (rise <= units.ramp_up * between[:, None] + 1e-12).all()
        right = right and (-rise <= units.ramp_down * between[:, None] + 1e-12).all()
        seen.add(bool(right))
        assert holds(linked) == right
    assert seen == {True, False}


def test_what_moves_in_time_is_neither_gained_nor_lost() -> None:
    load = np.array([[0.5, 1.0, 0.0], [1.0, 0.5, -0.2], [0.2, 0.3, 0.1], [0.9, 0.4, 0.2]])
    share = np.array([0.2, 0.0, 0.5])
    shift = cp.Variable((PERIODS, 3))
    moved, counted = schedule.moved_away(shift)
    price = np.random.default_rng(0).normal(size=(PERIODS, 3))
    found = solved(
        cp.sum(cp.multiply(price, shift)) + 1e-3 * cp.sum(moved),
        [*schedule.shifts_in_time(share, load, HOURS, shift), *counted],
        shift,
        moved,
    )
    assert found is not None
    assert np.abs(HOURS @ found[0]).max() <= 1e-9
    assert (np.abs(found[0]) <= share * np.maximum(load, 0.0) + 1e-9).all()
    assert np.abs(found[0]).max() > 0.01
    assert np.allclose(found[1], np.maximum(-found[0], 0.0))


def test_operations_are_counted_from_today_on() -> None:
    today = np.array([True, False, True])
    states: Bools = np.array([[1, 0, 1], [0, 1, 1], [0, 1, 1], [1, 0, 1]], dtype=np.bool_)
    operated, linked = schedule.operations(today, cp.Constant(states.astype(np.float64)))
    found = solved(cp.sum(operated), linked, operated)
    assert found is not None
    assert np.array_equal(found[0].sum(axis=1), [0.0, 2.0, 0.0, 2.0])


@pytest.mark.parametrize("seed", range(3))
def test_the_polygon_encloses_the_circle_and_the_square_is_priced(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rating, on = np.array([0.7, np.inf, 1.2]), np.array([[1.0, 1.0, 0.5], [0.0, 1.0, 1.0]])
    p, q, way = cp.Variable((2, 3)), cp.Variable((2, 3)), rng.normal(size=(2, 2, 3)) * np.isfinite(rating)
    cost = cp.sum(cp.multiply(way[0], p)) + cp.sum(cp.multiply(way[1], q))
    around = schedule.polygon(p, q, rating, cp.Constant(on))
    inside = schedule.circle(p, q, rating, cp.Constant(on))
    outer = ClarabelModel(compile_model(cost, around)).solve()
    inner = ClarabelModel(
        compile_model(cost, [*inside.constraints, inside.cone.constraint(), inside.excess <= 0])
    ).solve()
    assert outer.status is inner.status is Status.OPTIMAL
    exact = -float((np.hypot(*way) * on * np.where(np.isfinite(rating), rating, 0.0)).sum())
    assert inner.value == pytest.approx(exact, rel=1e-6)
    assert exact / np.cos(np.pi / schedule.SIDES) - 1e-7 <= outer.value <= exact + 1e-7
    cone, priced, total = schedule.squares(p, np.array([0.0, 2.0, 3.0]), cp.Constant(on))
    fixed = rng.uniform(-1.0, 1.0, (2, 3)) * (on > 0)
    answer = ClarabelModel(compile_model(cp.sum(total), [*priced, cone.constraint(), p == fixed])).solve()
    expected = (fixed**2 * [0.0, 2.0, 3.0] / np.where(on > 0, on, 1.0)).sum()
    assert answer.value == pytest.approx(expected, rel=1e-6, abs=1e-7)
