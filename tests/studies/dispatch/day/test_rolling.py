"""The rest of a day from its state, and a day that is planned anew in every period."""

from dataclasses import fields, replace

import numpy as np
import pytest

from openpoint.network import build_network
from openpoint.network.day import DayPlan
from openpoint.network.devices import DeviceKind, Devices
from openpoint.studies.dispatch.day.model.day_master import DayMaster
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.rolling import DayState, rest_of_question, start_of, state_after
from tests.builders.days import day_of, idle_plan, links, question_of, stores
from tests.builders.grids import DISPATCH, random_grid
from tests.studies.dispatch.day.windy import SPREAD, busy_plan, windy


def as_forecast(question: DayQuestion) -> DayPlan:
    """The best plan of a question with a fixed topology, if the day comes as forecast, by the cone program."""
    day = question.day
    master = DayMaster(question, np.tile(question.network.closed, (day.periods, 1)))
    master.add_day(np.ones((day.periods, day.uncertain.count)))
    return master.plan(master.solve())


def with_vehicle(question: DayQuestion) -> DayQuestion:
    """A battery over the whole day, and a vehicle that comes in the second period and leaves before the last."""
    few = stores([5, 30], energy_max=0.5, energy_start=np.array([0.2, 0.05]), energy_end=np.array([0.2, 0.15]))
    last = question.day.periods - 1
    few = replace(few, vehicle=np.array([False, True]), first=np.array([0, 1]), last=np.array([last + 1, last]))
    return replace(question, day=replace(question.day, stores=few))


def rolled(question: DayQuestion, realisation: np.ndarray) -> tuple[DayPlan, DayState]:
    """What is carried out where every period is planned anew for the forecast, and the state at the end."""
    state, rows = start_of(question), list[DayPlan]()
    for t in range(question.day.periods):
        plan = as_forecast(rest_of_question(question, state))
        rows.append(plan)
        state = state_after(question, state, plan, realisation[t])
    names = [field.name for field in fields(DayPlan)]
    return DayPlan(*(np.array([getattr(row, name)[0] for row in rows]) for name in names)), state


def test_a_day_as_forecast_is_not_changed_by_planning_it_anew() -> None:
    """A best plan has a best rest: planned anew in every period the day costs the same, and its energies balance."""
    question = with_vehicle(windy([0.4, 0.7, 1.0, 0.8]))
    plan, days = as_forecast(question), np.ones((4, 3))
    anew, state = rolled(question, days)
    finder, costs = HourRecourseFinder(question), []
    for done in (plan, anew):
        answers = [finder.best(done, t, days[t][None, :]) for t in range(4)]
        assert max(a.violations[0] for a in answers) == 0.0
        costs.append(DayEvaluator(question).schedule_costs(done).sum() + sum(a.costs[0] for a in answers))
        held, day = question.day.stores, question.day
        change = held.charge_efficiency * done.charge - done.discharge / held.discharge_efficiency
        content = held.energy_start + np.cumsum(day.hours[:, None] * change, axis=0)
        assert (content >= held.energy_min - 1e-7).all()
        assert (content[-1] >= held.energy_end - 1e-7).all()
        np.testing.assert_allclose(day.hours @ done.shift, 0.0, atol=1e-6)
    assert costs[1] == pytest.approx(costs[0], rel=1e-3)
    np.testing.assert_allclose(state.moved, question.day.hours @ anew.shift, atol=1e-9)
    assert state.period == 4


def test_a_day_that_comes_otherwise_ends_with_its_energies() -> None:
    question = with_vehicle(windy([0.4, 0.7, 1.0, 0.8]))
    worse = 1.0 + np.array([[1, -1, 0], [0, -1, 1], [1, 0, 0], [0.5, 0, -1]]) * SPREAD
    plan, state = rolled(question, worse)
    held = question.day.stores
    assert (state.contents >= held.energy_end - 1e-7).all()
    assert (plan.charge[0, 1], plan.charge[3, 1]) == pytest.approx((0.0, 0.0), abs=1e-9)
    np.testing.assert_allclose(state.moved, 0.0, atol=1e-6)
    np.testing.assert_allclose(state.deviated, [2.5, 2.0, 2.0])


def test_budgets_are_used_up() -> None:
    question = windy([0.4, 0.7, 1.0, 0.8])
    plan, state = busy_plan(question), start_of(question)
    bad = 1.0 + np.array([[1, -0.5, 0], [0, -0.25, 0.0], [1, 1, 1]]) * SPREAD
    left = []
    for t in range(3):
        state = state_after(question, state, plan, bad[t])
        left.append(rest_of_question(question, state).day.uncertain.hours.tolist())
    assert left == [[1, 2, 2], [1, 2, 2], [0, 1, 1]]  # 2 hours each, less what deviated, rounded up
    assert rest_of_question(question, state).day.uncertain.down.shape == (1, 3)


def test_vehicles_come_leave_and_miss_what_is_out_of_reach() -> None:
    question = with_vehicle(windy([0.4, 0.7, 1.0, 0.8]))
    state = start_of(question)
    before = rest_of_question(question, state).day.stores
    np.testing.assert_array_equal(before.present(4), question.day.stores.present(4))
    on_arrival = rest_of_question(question, replace(state, period=1)).day.stores
    assert (on_arrival.first[1], on_arrival.last[1], on_arrival.energy_start[1]) == (0, 2, 0.05)
    late = replace(state, period=2, contents=np.array([0.3, 0.01]))
    stays = rest_of_question(question, late).day.stores
    assert stays.energy_start.tolist() == [0.3, 0.01]
    assert stays.energy_end[1] == pytest.approx(0.01 + 0.95 * 0.1)  # one period of charging, not 0.15
    gone = rest_of_question(question, replace(late, period=3)).day.stores
    assert not gone.present(1)[0, 1]
    assert gone.energy_end[1] == gone.energy_start[1]


def test_what_was_decided_for_the_day_stays() -> None:
    """Hourly switching counts what it did, and units ramp from where they are."""
    network = build_network(random_grid(3, DISPATCH))
    g = len(network.generator_names)
    unit = Devices(
        ("unit",), np.array([DeviceKind.UNIT]), np.array([0]), (np.array([0.0, 1.0]),), np.array([0]), np.array([1])
    )
    before = links(g, p_before=np.full(g, 0.1), on_before=np.zeros(g, dtype=np.bool_))
    network, day = day_of(network, np.ones(3), units=before)
    question = question_of(network, day, devices=unit, topology=Cadence.HOURLY, positions=Cadence.ONCE)
    question = replace(question, rules=replace(question.rules, max_changes=5))
    assert start_of(question).positions.tolist() == [0]
    plan = idle_plan(question)
    closed = plan.closed.copy()
    closed[:, :2] = ~closed[:, :2]
    output = np.full(plan.generation.shape, 0.3 + 0.1j)
    plan = replace(plan, closed=closed, generation=output)
    rest = rest_of_question(question, state_after(question, start_of(question), plan, np.empty(0)))
    assert (rest.topology, rest.positions, rest.rules.max_changes) == (Cadence.HOURLY, Cadence.ONCE, 3)
    np.testing.assert_array_equal(rest.network.closed, closed[0])
    np.testing.assert_array_equal(rest.network.p_max, network.p_max)
    assert rest.devices.today.tolist() == [1]
    assert rest.day.units.on_before.all()
    np.testing.assert_allclose(rest.day.units.p_before, 0.3)
