"""The recourse of a period: never above an AC operation, equal to it where nothing is free, slopes as differences."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.formulations.day_bounds import day_voltage_bounds
from openpoint.formulations.hour import HourFlow, HourSchedule, hour_flow
from openpoint.network import Network, build_network
from openpoint.network.day import DayArrays, available_power, load_factors, network_of_period
from openpoint.network.day_demand import nominal_load, tangent
from openpoint.network.devices import no_devices
from openpoint.network.operating_cost import OperatingCost, SupplyLimits, least_loss, no_supply_limits
from openpoint.powerflow.balanced import solve
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.twostage.recourse.compile import compile_model
from tests.builders.days import by_group, day_of, demand, renewables, stores
from tests.builders.grids import DISPATCH, FEED, PLAIN, RICH, all_topologies, random_grid

FLAVOURS = (PLAIN, RICH, FEED, DISPATCH)
SEEDS = range(12)


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


def solved(
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
    value, _ = solved(
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
        load = nominal_load(day, 0) * load_factors(day, realisation)
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
        value, _ = solved(model(network, day, plan, cp.Constant(network.closed.astype(float)), realisation))
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
    value, slope = solved(stage, coupled, at)
    way = np.concatenate([np.zeros(e), rng.normal(size=n) * 0.1, rng.normal(size=3)])
    step = 1e-3
    ahead, _ = solved(stage, coupled, at + step * way)
    behind, _ = solved(stage, coupled, at - step * way)
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
