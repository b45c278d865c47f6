"""The master of a day: copies equal the recourse that was written, and its bound lies below every AC operation."""

import cvxpy as cp
import numpy as np
import pytest

from openpoint.formulations.schedule import day_voltage_bounds
from openpoint.network.devices import no_devices
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import DayMaster
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from tests.builders.days import PERIODS, demand, small_day
from tests.builders.written_hours import HourSchedule, hour_flow

TREES = np.array([[1, 1, 1, 1, 1, 0], [1, 1, 0, 1, 1, 1], [1, 0, 1, 1, 1, 1]], dtype=np.bool_)


def master_of(question: DayQuestion, tree: int = 0) -> DayMaster:
    return DayMaster(question, np.tile(TREES[tree], (PERIODS, 1)))


def written(question: DayQuestion, tree: int, t: int, plan: HourSchedule, realisation: np.ndarray) -> float:
    """The recourse of a period by CVXPY, with products of states and voltages."""
    net, day = question.network, question.day
    upper = day_voltage_bounds(net, day, no_devices(), limits=True)[1]
    hour = hour_flow(
        net,
        day,
        t,
        closed=cp.Constant(TREES[tree].astype(float)),
        schedule=plan,
        realisation=realisation,
        w_upper=upper,
        supply=question.supply,
        cost=question.cost,
    ).hard()
    cones = [cone.constraint() for cone in hour.cones]
    problem = cp.Problem(cp.Minimize(hour.cost), [*hour.constraints, *cones])
    problem.solve(solver=cp.CLARABEL)
    return float(problem.value)


@pytest.mark.parametrize("tree", range(3))
def test_a_copy_costs_what_the_recourse_costs_that_was_written(tree: int) -> None:
    question = small_day()
    master = master_of(question, tree)
    rng = np.random.default_rng(tree)
    day = 1.0 + rng.uniform(-0.3, 0.3, (PERIODS, 2))
    master.add_day(day)
    answer = master.solve()
    plan = master.plan(answer)
    for t in range(PERIODS):
        output = np.array([plan.generation[t].real, plan.generation[t].imag])
        schedule = HourSchedule(output, plan.charge[t], plan.discharge[t], plan.store_q[t], plan.shift[t])
        assert answer.costs[t] == pytest.approx(written(question, tree, t, schedule, day[t]), abs=1e-4)


def test_days_share_copies_and_raise_the_bound() -> None:
    question = small_day()
    master, vertices = master_of(question), vertices_of(question.day)
    forecast = np.ones((PERIODS, 2))
    assert master.add_day(forecast)
    first = master.solve()
    worse = forecast.copy()
    worse[3] = [1.15, 1.0]
    assert master.add_day(worse)
    assert not master.add_day(worse)
    assert len(master.copies) == PERIODS + 1
    second = master.solve()
    assert second.bound > first.bound
    assert first.bound == pytest.approx(float(first.costs.sum()) + first_cost(master, first.x), rel=1e-6)
    assert vertices.count == 2 * 3 + 2 * 9


def first_cost(master: DayMaster, x: np.ndarray | None) -> float:
    """Cost of the first stage alone."""
    form = master.schedule.form
    theta = float(x[master.schedule.theta])
    return master.scale * (float(form.c @ x) + form.offset - theta)


def test_the_plan_keeps_energies_and_directions() -> None:
    question = small_day()
    master = master_of(question)
    master.add_day(np.ones((PERIODS, 2)))
    plan, stores, hours = master.plan(master.solve()), question.day.stores, question.day.hours
    assert not (plan.charge * plan.discharge).any()
    gained = hours[:, None] * (plan.charge * stores.charge_efficiency - plan.discharge / stores.discharge_efficiency)
    content = stores.energy_start + np.cumsum(gained, axis=0)
    assert (content[-1] >= stores.energy_end - 1e-6).all()
    assert (content <= stores.energy_max + 1e-6).all()
    assert np.abs(hours @ plan.shift).max() < 1e-12
    assert plan.closed.sum(axis=1).tolist() == [5] * PERIODS


def test_what_nothing_keeps_is_infeasible() -> None:
    question = small_day(v_min=0.999, demand=demand(6))
    master = master_of(question)
    master.add_day(np.ones((PERIODS, 2)))
    assert master.solve().status is Status.INFEASIBLE
