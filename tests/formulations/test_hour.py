"""The schedule of a day by blocks, the recourse of a period, the number of changes, narrower ranges of voltages."""

import itertools
from collections.abc import Sequence
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.formulations import schedule
from openpoint.formulations.hour import HourFlow
from openpoint.formulations.radiality import Switching
from openpoint.formulations.schedule import day_voltage_bounds
from openpoint.network import Network, build_network
from openpoint.network.day import (
    DayArrays,
    Stores,
    UnitLinks,
    available_power,
    load_factors,
    network_of_period,
    nominal_load,
    scaled,
    tangent,
)
from openpoint.network.devices import no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost, SupplyLimits, least_loss, no_supply_limits
from openpoint.powerflow.balanced import solve
from openpoint.search.topology import search_topologies
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.highs import HighsModel
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.twostage.log import Termination
from openpoint.twostage.recourse.compile import compile_model
from tests.builders.days import by_group, day_of, demand, renewables, stores
from tests.builders.device_grids import DeviceGrid, random_device_grid
from tests.builders.grids import DISPATCH, FEED, PLAIN, RICH, all_topologies, random_grid
from tests.builders.written_hours import HourSchedule, hour_flow
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
    assert np.abs(HOURS @ found[0]).max() <= 1e-9
    assert (np.abs(found[0]) <= share * np.maximum(load, 0.0) + 1e-9).all()
    assert np.abs(found[0]).max() > 0.01
    assert np.allclose(found[1], np.maximum(-found[0], 0.0))


def test_operations_are_counted_from_today_on() -> None:
    today = np.array([True, False, True])
    states: Bools = np.array([[1, 0, 1], [0, 1, 1], [0, 1, 1], [1, 0, 1]], dtype=np.bool_)
    operated, linked = schedule.operations(today, cp.Constant(states.astype(np.float64)))
    found = solved(cp.sum(operated), linked, operated)
    assert np.array_equal(found[0].sum(axis=1), [0.0, 2.0, 0.0, 2.0])


@pytest.mark.parametrize("seed", range(3))
def test_the_disc_is_the_circle_and_the_square_is_priced(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rating, on = np.array([0.7, np.inf, 1.2]), np.array([[1.0, 1.0, 0.5], [0.0, 1.0, 1.0]])
    p, q, way = cp.Variable((2, 3)), cp.Variable((2, 3)), rng.normal(size=(2, 2, 3)) * np.isfinite(rating)
    cost = cp.sum(cp.multiply(way[0], p)) + cp.sum(cp.multiply(way[1], q))
    inner = ClarabelModel(compile_model(cost, schedule.disc(p, q, rating, cp.Constant(on)))).solve()
    assert inner.status is Status.OPTIMAL
    exact = -float((np.hypot(*way) * on * np.where(np.isfinite(rating), rating, 0.0)).sum())
    assert inner.value == pytest.approx(exact, rel=1e-6)
    cone, priced, total = schedule.squares(p, np.array([0.0, 2.0, 3.0]), cp.Constant(on))
    fixed = rng.uniform(-1.0, 1.0, (2, 3)) * (on > 0)
    answer = ClarabelModel(compile_model(cp.sum(total), [*priced, cone.constraint(), p == fixed])).solve()
    expected = (fixed**2 * [0.0, 2.0, 3.0] / np.where(on > 0, on, 1.0)).sum()
    assert answer.value == pytest.approx(expected, rel=1e-6, abs=1e-7)


FLAVOURS = (PLAIN, RICH, FEED, DISPATCH)
SEEDS = range(6)


def radial(seed: int) -> Network:
    """A random network in one of its topologies."""
    network = build_network(random_grid(seed, FLAVOURS[seed % 4])).dead_when_open()
    return replace(network, closed=all_topologies(network)[seed % 3])


def nothing(network: Network, day: DayArrays) -> HourSchedule:
    zero = np.zeros(day.stores.count)
    generation = np.array([network.generator_s.real, network.generator_s.imag])
    return HourSchedule(generation, zero, zero, zero, np.zeros(network.n_terminals))


def prices(network: Network) -> tuple[SupplyLimits, OperatingCost]:
    g, s, e = len(network.generator_names), len(network.source_terminal), network.n_conductors
    return no_supply_limits(g, s), replace(least_loss(g, s, e), loss=0.02)


def model(
    network: Network, day: DayArrays, schedule: HourSchedule, closed: cp.Expression, realisation: cp.Expression
) -> HourFlow:
    supply, cost = prices(network)
    upper = day_voltage_bounds(network, day, no_devices(), limits=False)[1]
    return hour_flow(
        network,
        day,
        0,
        closed=closed,
        schedule=schedule,
        realisation=realisation,
        w_upper=upper,
        supply=supply,
        cost=cost,
    )


def value_and_slopes(
    stage: HourFlow, coupled: tuple[cp.Variable, ...] = (), at: np.ndarray | None = None
) -> tuple[float, np.ndarray]:
    """Value without the limits, and its slopes in the coupled variables."""
    constraints = [*stage.constraints, *(cone.constraint() for cone in stage.cones)]
    form = compile_model(stage.cost, constraints, also=coupled)
    if not coupled:
        answer = ClarabelModel(form).solve()
        assert answer.status is Status.OPTIMAL
        return answer.value, np.empty(0)
    form = form.with_coupling(np.concatenate([form.of(variable) for variable in coupled]))
    answer = ClarabelModel(form).solve(at)
    assert answer.status is Status.OPTIMAL
    return answer.value, -answer.z[: len(at)]


def ac_cost(network: Network, day: DayArrays, drawn: np.ndarray, realisation: np.ndarray, price: float) -> float | None:
    """Cost in $ by the exact flow of today's topology, `drawn` beside the loads; None where none exists."""
    net = network_of_period(network, day, 0, realisation)
    flows = solve(net, net.closed, s_power=net.s_power + drawn, generation=net.generator_s)
    if not (flows.converged[0] and flows.energised[0].all()):
        return None
    p = flows.source_s[0].real
    paid = np.maximum(day.source_price[0] * p, day.export_price[0] * p).sum()
    return float(day.hours[0] * net.s_base_kva * (paid + 0.02 * flows.loss[0] + price))


@pytest.mark.parametrize("seed", SEEDS)
def test_where_nothing_is_free_it_is_the_ac_flow(seed: int) -> None:
    network, day = day_of(radial(seed), np.array([0.7, 1.0]))
    day = replace(day, hours=np.array([0.5, 1.0]))
    value, _ = value_and_slopes(
        model(network, day, nothing(network, day), cp.Constant(network.closed.astype(float)), np.empty(0))
    )
    exact = ac_cost(network, day, np.zeros(network.n_terminals), np.empty(0), 0.0)
    if exact is not None:
        assert value <= exact + 1e-6 * max(1.0, abs(exact))
        if seed % 4 == 0:  # only plain loads: the cone is tight
            assert value == pytest.approx(exact, rel=1e-5)


def rich_day(seed: int) -> tuple[Network, DayArrays, np.random.Generator]:
    network = radial(seed)
    rng, n = np.random.default_rng(seed), network.n_terminals
    inner = np.setdiff1d(np.arange(n), network.source_terminal)
    size = 0.3 * float(np.abs(network.s_power).sum())
    suns = renewables(
        [int(k) for k in rng.choice(inner, 2)], rng.uniform(0, size, (2, 2)), s_max=1.1 * size, curtailment=0.01
    )
    network, day = day_of(
        network,
        np.array([0.8, 1.0]),
        renewables=suns,
        stores=stores([int(inner[0])], s_max=0.1),
        demand=demand(n, shift_buses=0.2, shift_time=0.1, shed_share=0.8, shed_price=1.0, shift_price=0.005),
        export_price=np.full((2, len(network.source_terminal)), 0.03),
        uncertain=by_group(n, ("solar", "solar"), 2, load=0.1, solar=0.3, hours=1),
    )
    return network, day, rng


@pytest.mark.parametrize("seed", SEEDS)
def test_no_ac_operation_costs_less(seed: int) -> None:
    network, day, rng = rich_day(seed)
    n, found = network.n_terminals, 0
    for _ in range(3):
        realisation = 1.0 + rng.uniform(-1, 1, 2) * day.uncertain.up[0]
        load = scaled(nominal_load(day, 0), load_factors(day, realisation))
        active = np.maximum(load.real, 0.0)
        charge, discharge, store_q = rng.choice([0.0, 0.08]), 0.0, rng.uniform(-0.05, 0.05)
        shift = rng.uniform(-0.1, 0.1, n) * np.maximum(nominal_load(day, 0).real, 0.0)
        moved = rng.uniform(-0.1, 0.1, n) * active
        moved -= active * moved.sum() / max(active.sum(), 1e-9)
        shed = rng.choice([0.0, 0.3]) * active
        p = rng.uniform(0, 1, 2) * np.minimum(available_power(day, 0, realisation), day.renewables.s_max)
        q = rng.uniform(-1, 1, 2) * np.sqrt(day.renewables.s_max**2 - p**2)
        drawn = (shift - shed) * (1 + 1j * tangent(day, 0)) + moved
        np.subtract.at(drawn, day.renewables.terminal, p + 1j * q)
        drawn[day.stores.terminal[0]] += charge - 1j * store_q
        price = (
            0.01 * (available_power(day, 0, realisation) - p).sum() + shed.sum() - 0.005 * np.minimum(moved, 0).sum()
        )
        exact = ac_cost(network, day, drawn, realisation, price)
        plan = replace(
            nothing(network, day),
            charge=np.array([charge]),
            discharge=np.array([discharge]),
            store_q=np.array([store_q]),
            shift=shift,
        )
        value, _ = value_and_slopes(model(network, day, plan, cp.Constant(network.closed.astype(float)), realisation))
        if exact is not None:
            found += 1
            assert value <= exact + 1e-6 * max(1.0, abs(exact))
    assert found or seed % 4 == 3


@pytest.mark.parametrize("seed", range(0, 20, 4))
def test_slopes_are_differences(seed: int) -> None:
    """The duals of decision, schedule and realisation are the derivatives of the value."""
    network, day, rng = rich_day(seed)
    e, n = network.n_conductors, network.n_terminals
    closed, shift, realisation, charge = cp.Variable(e), cp.Variable(n), cp.Variable(2), cp.Variable(1)
    plan = replace(nothing(network, day), shift=shift, charge=charge)
    coupled = (closed, shift, charge, realisation)
    stage = model(network, day, plan, closed, realisation)
    at = np.concatenate([network.closed.astype(float), np.zeros(n), [0.03], [1.02, 0.9]])
    value, slope = value_and_slopes(stage, coupled, at)
    way = np.concatenate([np.zeros(e), rng.normal(size=n) * 0.1, rng.normal(size=3)])
    step = 1e-3
    ahead, _ = value_and_slopes(stage, coupled, at + step * way)
    behind, _ = value_and_slopes(stage, coupled, at - step * way)
    along = float(slope @ way)
    margin = 1e-6 * max(1.0, abs(value))
    assert ahead >= value + step * along - margin  # convex
    assert behind >= value - step * along - margin
    assert (ahead - behind) / (2 * step) == pytest.approx(along, rel=0.02, abs=1e-3 * abs(value))


def test_uncertain_loads_of_other_models_are_refused_by_name() -> None:
    network = build_network(random_grid(1, RICH))
    n = network.n_terminals
    network, day = day_of(network, np.ones(1), uncertain=by_group(n, (), 1, load=0.1, solar=0.0, hours=1))
    terminal = int(np.flatnonzero(np.abs(day.load_power[0]))[0])
    current = np.zeros((1, n), dtype=np.complex128)
    current[0, terminal] = 0.1
    day = replace(day, load_current=current, load_impedance=np.zeros_like(current))
    closed = cp.Constant(network.closed.astype(float))
    with pytest.raises(OptionError, match=network.bus_names[network.terminal_bus[terminal]]):
        model(network, day, nothing(network, day), closed, cp.Variable(2))
    model(network, day, nothing(network, day), closed, np.ones(2))


@pytest.mark.parametrize("most", [None, 0, 2, 7])
def test_the_expression_counts_what_differs(most: int | None) -> None:
    rng = np.random.default_rng(7)
    switching = Switching(rng.random(7) < 0.6, most, 1.5)
    states = rng.random((50, 7)) < 0.5
    closed = cp.Variable(7)
    for state, cost, allowed in zip(states, switching.cost(states), switching.allowed(states)):
        closed.value = state.astype(float)
        changed = int(np.sum(state != switching.today))
        assert switching.changes(closed).value == pytest.approx(changed)
        assert cost == pytest.approx(1.5 * changed)
        assert switching.cost(state) == pytest.approx(cost)
        assert all(bound.value() for bound in switching.limit(closed)) == allowed == bool(switching.allowed(state))
        assert allowed == (most is None or changed <= most)


FEATURES = "units", "voltages", "banks", "limits", "prices", "supply"


def grid_of(seed: int) -> DeviceGrid:
    """A random grid with outputs to choose, nearly all of whose load is of constant current."""
    grid = random_device_grid(seed, FEATURES, 400)
    net = grid.network
    return replace(grid, network=replace(net, s_current=0.9 * net.s_power + net.s_current, s_power=0.1 * net.s_power))


@pytest.mark.parametrize("seed", [2, 23, 62])
def test_the_search_is_proven_where_one_secant_leaves_percents(seed: int) -> None:
    grid = grid_of(seed)
    net = grid.network
    cone = DispatchProgram(net, grid.devices, grid.cost, grid.supply, SwitchingRules.of(net)).cone
    found = search_topologies(net, devices=grid.devices, cost=grid.cost, supply=grid.supply, gap=1e-6, cone=cone.at)
    assert found.termination is Termination.OPTIMAL
    assert found.closed is not None
    assert found.positions is not None
    assert found.generation is not None
    value, violation = grid.evaluator.evaluate(found.closed, found.positions, found.generation)
    assert violation[0] == 0.0
    assert value[0] == pytest.approx(found.value, rel=1e-9)
    wide = cone.at(found.closed, found.positions)[0]
    assert wide < found.value - 1e-3 * abs(found.value)
