"""Plans by exact AC flow: energy balances, costs by hand, and recourses that no other operation is far below."""

import itertools
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.arrays import Floats
from openpoint.formulations.schedule import day_voltage_bounds
from openpoint.network import build_network
from openpoint.network.day import (
    DayPlan,
    HourRecourse,
    available_power,
    load_factors,
    network_of_period,
    nominal_load,
    tangent,
)
from openpoint.network.devices import DeviceKind, Devices
from openpoint.powerflow.balanced import solve
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator, recourse_excess
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder, RecourseRule
from openpoint.studies.dispatch.day.model.hour_block import HourCone, slice_at
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.twostage.recourse.compile import compile_model
from tests.builders.days import day_of, idle_plan, links, question_of
from tests.builders.grids import DISPATCH, all_topologies, random_grid
from tests.builders.written_hours import HourSchedule, hour_flow
from tests.studies.dispatch.day.windy import SPREAD, busy_plan, windy

VERTICES = 1.0 + np.array(list(itertools.product([-1.0, 0.0, 1.0], repeat=3))) * SPREAD


def anything(question: DayQuestion, plan: DayPlan, t: int, realisations: Floats, seed: int) -> HourRecourse:
    """Recourses within their limits."""
    rng, day = np.random.default_rng(seed), question.day
    active = np.maximum(nominal_load(day, t).real, 0.0)
    some = rng.uniform(-0.05, 0.05, len(active)) * active
    rule = RecourseRule(
        most=rng.uniform(0, 2, day.renewables.count) * day.renewables.available[t],
        q=rng.uniform(-1, 1, day.renewables.count),
        shed=rng.choice([0.0, 0.02]) * active,
        shift=(some - active * some.sum() / active.sum()) * (1 + 0j),
    )
    return rule.at(question, plan, t, realisations)


def test_a_period_balances_and_costs_what_it_draws() -> None:
    """Power of the source = what every bus draws + losses, one realisation at a time and by other arrays."""
    question = windy([0.6, 0.9])
    feed = replace(question.day.renewables, curtailment=np.full(6, 0.005))
    question = replace(question, day=replace(question.day, renewables=feed))
    plan, day, base = busy_plan(question), question.day, question.network.s_base_kva
    evaluator = DayEvaluator(question)
    recourse = anything(question, plan, 1, VERTICES, 0)
    costs, violations = evaluator.evaluate(plan, 1, VERTICES, recourse)
    flows = evaluator.flows(plan, 1, VERTICES, recourse)
    for k in range(0, len(VERTICES), 5):
        net = network_of_period(question.network, day, 1, VERTICES[k])
        load = net.s_power.real.sum() + plan.shift[1].sum() - recourse.shed[k].real.sum()
        load += (plan.charge - plan.discharge)[1].sum() - recourse.renewable[k].real.sum()
        assert flows.source_s[k].real.sum() == pytest.approx(load + flows.loss[k], abs=1e-9)
        lost = available_power(day, 1, VERTICES[k]) - recourse.renewable[k].real
        by_hand = max(0.16 * (bought := flows.source_s[k].real.sum()), 0.04 * bought)
        by_hand += 0.005 * lost.sum()
        by_hand += 2.0 * recourse.shed[k].real.sum() + 0.01 * np.maximum(-recourse.shift[k].real, 0.0).sum()
        assert costs[k] == pytest.approx(base * by_hand, rel=1e-9)
    assert (violations >= 0).all()


def test_the_schedule_costs_its_parts() -> None:
    network = build_network(random_grid(3, DISPATCH))
    g = len(network.generator_names)
    unit = Devices(
        ("unit",), np.array([DeviceKind.UNIT]), np.array([0]), (np.array([0.0, 1.0]),), np.array([0]), np.array([1])
    )
    network, day = day_of(network, np.ones(3), units=links(g, start=np.full(g, 0.2)))
    day = replace(day, hours=np.array([1.0, 0.5, 2.0]))
    question = question_of(network, day, devices=unit)
    cost = replace(question.cost, generator=np.full(g, 0.1), square=np.full(g, 0.02), idle=np.full(g, 0.05), change=0.3)
    question = replace(question, cost=cost)
    plan = idle_plan(question)
    positions, closed = plan.positions.copy(), plan.closed.copy()
    positions[1, 0] = 0
    output = np.where(positions == 1, 0.4, 0.0) * (np.arange(g) == 0)
    closed[2, :2] = ~closed[2, :2]
    plan = replace(plan, positions=positions, closed=closed, generation=output + 0j)
    idle = 0.05 * (g - 1)
    on = 0.1 * 0.4 + 0.02 * 0.16 + 0.05 + idle
    expected = np.array([on, 0.5 * idle, 2 * on + 0.2 + 2 * 0.3]) * network.s_base_kva
    np.testing.assert_allclose(DayEvaluator(question).schedule_costs(plan), expected)


def test_the_compiled_recourse_is_the_model_of_the_hour() -> None:
    """Values of periods that share a structure, and slopes in all numbers, against the model built anew."""
    question = windy([0.6, 0.9, 0.7])
    question = replace(question, day=replace(question.day, hours=np.array([1.0, 0.5, 2.0])))
    plan, cone, net, day = busy_plan(question), HourCone(question), question.network, question.day
    upper = day_voltage_bounds(net, day, question.devices, limits=False)[1]
    for t in range(3):
        given = HourSchedule(np.zeros((2, 0)), plan.charge[t], plan.discharge[t], plan.store_q[t], plan.shift[t])
        stage = hour_flow(
            net,
            day,
            t,
            closed=cp.Constant(plan.closed[t].astype(float)),
            schedule=given,
            realisation=VERTICES[5],
            w_upper=upper,
            supply=question.supply,
            cost=question.cost,
        ).hard()
        form = compile_model(stage.cost, [*stage.constraints, *(part.constraint() for part in stage.cones)])
        seen = slice_at(question, plan, t)
        found = cone.solve(t, seen, VERTICES[5])
        assert found.value == pytest.approx(ClarabelModel(form).solve().value, rel=1e-5)
        way = np.array([0.01, -0.02, 0.01])
        there, back = (cone.solve(t, seen, VERTICES[5] + sign * way) for sign in (1, -1))
        slope = float(found.slope @ way)
        assert there.value - found.value >= slope - 1e-5 * abs(found.value)
        assert (there.value - back.value) / 2 == pytest.approx(slope, rel=0.02)
    assert len(cone._templates._structures) == 1


@pytest.mark.parametrize(("v_min", "level"), [(0.9, 0.6), (0.95, 1.3)])
def test_recourses_are_proven_good(v_min: float, level: float) -> None:
    """Limits kept, cost within the tolerance of a bound that no operation at random is below."""
    question = windy([0.6, level], v_min=v_min, feed_share=1.0 if v_min == 0.9 else 0.2)
    plan, finder = busy_plan(question), HourRecourseFinder(question)
    answers = finder.best(plan, 1, VERTICES)
    costs, violations = finder.evaluator.evaluate(plan, 1, VERTICES, answers.recourse)
    np.testing.assert_allclose(costs, answers.costs)
    assert violations.max() == 0.0
    gap = answers.costs - answers.lower
    assert gap.min() >= 0.0
    assert gap.max() <= 3e-4 * finder.cone.scale(1)
    assert finder.solved < 2 * len(VERTICES)
    for seed in range(10):
        costs, violations = finder.evaluator.evaluate(plan, 1, VERTICES, anything(question, plan, 1, VERTICES, seed))
        kept = violations == 0.0
        assert (costs >= answers.lower)[kept].all()
    if v_min == 0.95:
        assert answers.recourse.shed.real.sum(axis=1).max() > 0.01
    again = finder.solved
    finder.best(plan, 1, VERTICES)
    assert finder.solved <= again + 3  # what is known is used again


def test_bounds_of_other_realisations_hold() -> None:
    """The bound by slopes is below the value of the realisation itself."""
    question = windy([0.6, 1.3], v_min=0.95, feed_share=0.2)
    plan, finder = busy_plan(question), HourRecourseFinder(question, tolerance=1e-2)
    inside = 1.0 + np.random.default_rng(0).uniform(-1, 1, (8, 3)) * SPREAD
    answers, seen = finder.best(plan, 1, inside), slice_at(question, plan, 1)
    for k, realisation in enumerate(inside):
        own = finder.cone.solve(1, seen, realisation)
        assert answers.lower[k] <= own.value + 1e-6 * abs(own.value)
        assert answers.costs[k] >= own.value


def test_limits_that_nothing_keeps_are_told() -> None:
    question = windy([1.0, 1.3], v_min=0.95, shed=0.0, feed_share=0.1)
    answers = HourRecourseFinder(question).best(busy_plan(question), 1, VERTICES[9::9])
    assert (answers.violations > 0.0).all()
    assert np.isfinite(answers.costs).all()


def test_what_is_beyond_the_limits_of_the_recourse_is_a_violation() -> None:
    question = windy([0.6, 0.9])
    plan, one = busy_plan(question), np.ones((1, 3))
    fine = anything(question, plan, 1, one, 3)
    assert recourse_excess(question, plan, 1, one, fine)[0] == 0.0
    active = nominal_load(question.day, 1).real * load_factors(question.day, one[0]).real
    for worse in (
        replace(fine, renewable=fine.renewable + 0.5),
        replace(fine, renewable=fine.renewable + 3j),
        replace(fine, shed=fine.shed - 0.01),
        replace(fine, shed=(0.6 * active * (1.0 + 1j * tangent(question.day, 1)))[None, :]),
        replace(fine, shed=fine.shed + 0.01j),
        replace(fine, shift=fine.shift + 0.01),
        replace(fine, shift=fine.shift * 10.0),
    ):
        assert recourse_excess(question, plan, 1, one, worse)[0] > 1e-3


def test_generators_and_positions_are_those_of_the_period() -> None:
    """A source with two voltages and a generator: a flow of the period is that of the network set by hand."""
    network = build_network(random_grid(7, DISPATCH)).dead_when_open()
    network = replace(network, closed=all_topologies(network)[0])
    held = abs(network.source_v[0])
    source = Devices(
        ("source",),
        np.array([DeviceKind.VOLTAGE]),
        np.array([0]),
        (np.array([held, held * 1.02]),),
        np.array([0]),
        np.array([0]),
    )
    network, day = day_of(network, np.array([0.5, 0.4]))
    question = question_of(network, day, devices=source)
    plan = replace(idle_plan(question), positions=np.array([[0], [1]]))
    nothing = HourRecourse(
        np.zeros((1, 0)) + 0j, *(np.zeros((1, network.n_terminals), dtype=np.complex128) for _ in range(2))
    )
    flows = DayEvaluator(question).flows(plan, 1, np.ones((1, 0)), nothing)
    by_hand = network_of_period(network, day, 1)
    source_v = by_hand.source_v.copy()
    source_v[0] *= 1.02
    expected = solve(replace(by_hand, source_v=source_v), network.closed)
    np.testing.assert_allclose(flows.v, expected.v)


def test_shedding_is_found_between_two_realisations() -> None:
    """A limit of the source makes load be shed in proportion: few of many realisations are solved."""
    question = windy([0.3, 1.0], feed_share=0.2)
    supply = replace(question.supply, p_max=np.array([0.17]))
    question = replace(question, supply=supply)
    plan, finder = busy_plan(question), HourRecourseFinder(question, tolerance=1e-3)
    many = 1.0 + np.random.default_rng(2).uniform(-1, 1, (300, 3)) * SPREAD
    answers = finder.best(plan, 1, many)
    assert answers.violations.max() == 0.0
    assert (answers.costs >= answers.lower).all()
    assert (answers.costs - answers.lower).max() <= 1e-3 * finder.cone.scale(1)
    shed = answers.recourse.shed.real.sum(axis=1)
    assert 0 < (shed > 1e-3).sum() < len(many)
    assert finder.solved < 60
