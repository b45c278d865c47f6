"""The exact flow of a day: energy balances, costs part by part, today's plan, and limits by name."""

from dataclasses import replace

import numpy as np
import pytest

import openpoint
from openpoint.arrays import Floats
from openpoint.network.day import DayPlan, HourRecourse, tangent
from openpoint.studies.dispatch.day.flow import (
    DayFlow,
    as_today,
    available_all,
    contents,
    day_flow,
    forecast_of,
    untouched,
)
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.question import DayOutcome, DayQuestion, Operation
from openpoint.studies.dispatch.day.tables import Shown, future_flows, violations
from openpoint.twostage.log import Termination
from tests.builders.days import HOURS, PROFILE, prepared
from tests.builders.dispatch_grids import ring


@pytest.fixture(scope="module")
def question() -> DayQuestion:
    return prepared().question


def scheduled(question: DayQuestion, rng: np.random.Generator) -> tuple[DayPlan, Floats, HourRecourse]:
    """A plan in which everything is used, whatever it costs, a realisation and a recourse."""
    day, net = question.day, question.network
    T, n = day.periods, net.n_terminals
    plan = as_today(question)
    charge, discharge = np.zeros((2, T, day.stores.count))
    charge[0, 0], discharge[2, 0] = 0.04, 0.03
    shift = np.zeros((T, n))
    shift[1, 1], shift[2, 1] = 0.01, -0.01
    unit = np.flatnonzero(np.array(question.devices.names) == "unit")
    positions = plan.positions.copy()
    positions[2:, unit] = 1
    generation = np.where(np.arange(T)[:, None] >= 2, 300.0 / net.s_base_kva, 0.0) + 0j
    plan = replace(plan, positions=positions, generation=generation, charge=charge, discharge=discharge, shift=shift)
    realisation = forecast_of(day)
    some = available_all(day, realisation) * rng.uniform(0.5, 1.0, (T, day.renewables.count))
    moved = np.zeros((T, n), dtype=np.complex128)
    moved[:, 1], moved[:, 2] = 0.02 + 0.01j, -0.02 - 0.01j
    angle = 1.0 + 1j * np.array([tangent(day, t) for t in range(T)])
    return plan, realisation, HourRecourse(some + 0j, np.tile([0.0, 0.0, 0.01, 0.0], (T, 1)) * angle, moved)


def used(question: DayQuestion) -> DayFlow:
    return day_flow(question, *scheduled(question, np.random.default_rng(1)))


def test_energy_balances_in_every_period(question: DayQuestion) -> None:
    flow = used(question)
    assert flow.is_complete
    assert np.abs(flow.balance(question)).max() < 1e-9
    assert max(check.max_mismatch for check in flow.checks if check is not None) < 1e-9


def test_many_days_at_once_are_each_day_by_itself(question: DayQuestion) -> None:
    plan, realisation, recourse = scheduled(question, np.random.default_rng(2))
    other = replace(plan, positions=plan.positions.copy())
    operations, none = list[Operation](), np.zeros(len(realisation))
    for each, factor in ((plan, 0.0), (other, 1.0), (plan, 2.0), (plan, -1e5)):  # the last draws what no grid carries
        operations.append(Operation(each, realisation, replace(recourse, shed=factor * recourse.shed), none, none))
    days = DayOutcome(Termination.GAP, plan, None, None, 0.0, 0.0, (), 0.0, scenarios=tuple(operations))
    found = future_flows(question, days)
    assert not found[-1].is_complete
    assert found[0].is_complete
    for each, flow in zip(operations, found, strict=True):
        alone = day_flow(question, each.plan, each.realisation, each.recourse)
        assert flow.plan is each.plan
        for name in ("v", "i", "losses", "source_s", "load", "shed", "fixed", "costs"):
            np.testing.assert_array_equal(getattr(flow, name), getattr(alone, name))
        for check, own in zip(flow.checks, alone.checks, strict=True):
            assert (check is None) == (own is None)
            assert check is None or own is None or check.max_mismatch == pytest.approx(own.max_mismatch, abs=1e-15)


def test_a_period_is_the_power_flow_of_the_grid_with_all_that_is_decided(question: DayQuestion) -> None:
    """The same state as a grid of its own, whose loads hold what stores, sun and moves draw."""
    plan, realisation, recourse = scheduled(question, np.random.default_rng(2))
    flow, s = day_flow(question, plan, realisation, recourse), question.network.s_base_kva
    t = 2
    grid = ring()
    order = {bus: n for n, bus in enumerate(question.network.bus_names)}
    at = [order[bus] for bus in grid.loads["bus"]]
    nominal = np.array([complex(p, q) for p, q in grid.loads.select("p_kw", "q_kvar").iter_rows()]) / s
    drawn = np.zeros(question.network.n_terminals, dtype=np.complex128)
    drawn[at] = nominal * PROFILE[t]
    tan = np.divide(drawn.imag, drawn.real, out=np.zeros(len(drawn)), where=drawn.real > 0)
    drawn += plan.shift[t] * (1.0 + 1j * tan) - recourse.shed[t] + recourse.shift[t]
    for b, terminal in enumerate(question.day.stores.terminal):
        drawn[terminal] += plan.charge[t, b] - plan.discharge[t, b]
    for r, terminal in enumerate(question.day.renewables.terminal):
        drawn[terminal] -= recourse.renewable[t, r]
    drawn[question.network.generator_terminal] -= plan.generation[t]
    names = list(order)
    loads = {"name": names, "bus": names, "p_kw": drawn.real * s, "q_kvar": drawn.imag * s}
    alone = openpoint.run_powerflow(grid.with_tables(loads=loads, generators=grid.generators.clear()))
    assert flow.losses[t].sum() * s == pytest.approx(alone.loss_kw, rel=1e-9)
    v = dict(alone.buses.select("name", "v_pu").iter_rows())
    assert np.abs(flow.v[t]) == pytest.approx([v[name] for name in names], abs=1e-10)


def test_costs_are_the_sum_of_their_parts_by_hand(question: DayQuestion) -> None:
    flow, s = used(question), question.network.s_base_kva
    price = question.day.source_price[:, 0]
    bought = flow.source_s[:, 0].real * s
    assert bought.min() > 0.0
    assert flow.parts["purchase"] == pytest.approx(HOURS * price * bought)
    assert flow.parts["generators"] == pytest.approx(HOURS * np.where(np.arange(4) >= 2, 0.09 * 300.0 + 5.0, 0.0))
    assert flow.parts["starts"] == pytest.approx([0.0, 0.0, 20.0, 0.0])
    assert flow.parts["stores"] == pytest.approx([0.0, 0.0, 6.0 * 0.01 * 0.03 * s, 0.0])
    assert flow.parts["shedding"] == pytest.approx(HOURS * 3.0 * 0.01 * s)
    in_time = np.array([0.0, 0.0, 0.01, 0.0])
    assert flow.parts["moved load"] == pytest.approx(HOURS * 0.02 * (0.02 + in_time) * s)
    there = available_all(question.day, flow.realisation)
    left = (there - flow.recourse.renewable.real).sum(axis=1)
    assert flow.parts["curtailment"] == pytest.approx(HOURS * 0.03 * left * s)
    assert flow.costs == pytest.approx(sum(flow.parts.values()))


def test_costs_are_those_by_which_plans_are_judged(question: DayQuestion) -> None:
    """The evaluation of the methods counts schedule and recourse by itself."""
    flow, evaluator = used(question), DayEvaluator(question)
    scheduled = evaluator.schedule_costs(flow.plan)
    for t in range(question.day.periods):
        part = HourRecourse(flow.recourse.renewable[[t]], flow.recourse.shed[[t]], flow.recourse.shift[[t]])
        cost, _ = evaluator.evaluate(flow.plan, t, flow.realisation[[t]], part)
        assert flow.costs[t] == pytest.approx(scheduled[t] + cost[0], rel=1e-9)


def test_stores_hold_what_they_take_less_what_they_give(question: DayQuestion) -> None:
    plan, _, _ = scheduled(question, np.random.default_rng(0))
    held = contents(question.day, plan)[:, 0] - question.day.stores.energy_start[0]
    taken = 6.0 * 0.95 * 0.04
    assert held == pytest.approx([0.0, taken, taken, taken - 6.0 * 0.03 / 0.9, taken - 6.0 * 0.03 / 0.9])


def test_today_charges_what_must_be_charged_at_once_and_nothing_else(question: DayQuestion) -> None:
    """The car comes in the second period and needs 60 kWh: 11 kW for 5.74 h of the 6 h that it is there first."""
    plan, s = as_today(question), question.network.s_base_kva
    assert plan.charge[:, 0].max() == 0.0
    assert plan.charge[:, 1] * s == pytest.approx([0.0, 60.0 / 0.95 / 6.0, 0.0, 0.0])
    assert contents(question.day, plan)[[1, 3], 1] * s == pytest.approx([20.0, 80.0])
    assert np.isnan(contents(question.day, plan)[[0, 4], 1]).all()
    assert (plan.generation == 0).all()


def test_what_is_broken_is_named_with_its_period(question: DayQuestion) -> None:
    """Too much taken from the battery, a vehicle that leaves early, a unit that jumps, a voltage below its limit."""
    plan, realisation, recourse = scheduled(question, np.random.default_rng(3))
    discharge = plan.discharge.copy()
    discharge[3, 0] = 0.2
    units = replace(question.day.units, ramp_up=np.array([0.01]), ramp_down=np.array([0.01]))
    tight = replace(question, day=replace(question.day, units=units))
    tight = replace(tight, network=replace(tight.network, w_min=np.full(4, 0.97**2)))
    flow = day_flow(tight, replace(plan, discharge=discharge), realisation, recourse)
    found = violations(Shown(ring(), tight, {"forecast": flow}), "forecast")
    kinds = {(each.kind, each.name) for each in found}
    assert ("energy in store", "battery") in kinds
    assert ("energy in store", "car") in kinds
    assert ("active power", "battery") in kinds
    assert ("voltage low", "C") in kinds or ("voltage low", "B") in kinds
    assert not {kind for kind, _ in kinds} & {"ramp", "energy balance"}  # it starts, which no ramp binds
    assert all(each.case == "forecast" for each in found)
    assert "energy in store at battery" in str(next(each for each in found if each.name == "battery"))


def test_a_ramp_binds_a_unit_that_is_on(question: DayQuestion) -> None:
    plan, realisation, recourse = scheduled(question, np.random.default_rng(3))
    generation = plan.generation.copy()
    generation[3] *= 0.5
    ramps = replace(question.day.units, ramp_down=np.array([0.001]))
    tight = replace(question, day=replace(question.day, units=ramps))
    flow = day_flow(tight, replace(plan, generation=generation), realisation, recourse)
    found = [each for each in violations(Shown(ring(), tight, {"forecast": flow}), "forecast") if each.kind == "ramp"]
    assert [(each.period, each.name) for each in found] == [(question.day.names[3], "unit")]
    assert found[0].value == pytest.approx(-150.0 / 5.5)


def test_a_load_that_no_flow_carries_is_told_and_costs_are_not_known(question: DayQuestion) -> None:
    heavy = replace(question, day=replace(question.day, load_power=question.day.load_power * 1e4))
    plan, forecast = as_today(heavy), forecast_of(heavy.day)
    flow = day_flow(heavy, plan, forecast, untouched(heavy.day, forecast))
    assert not flow.is_complete
    found = violations(Shown(ring(), heavy, {"today": flow}), "today")
    assert {each.kind for each in found} == {"no power flow"}
