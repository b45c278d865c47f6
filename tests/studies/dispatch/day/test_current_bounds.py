"""Bounds of the squared currents of a day: every operation by exact AC flow is below them, and they close the gap."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from openpoint.network.day import DayPlan, HourRecourse, available_power, load_factors, nominal_load, tangent
from openpoint.studies.dispatch.day.model.current_bounds import DayCurrentBounds
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.first_stage import one_way
from openpoint.studies.dispatch.day.model.hour_block import no_recourse
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from tests.builders.days import idle_plan
from tests.builders.random_days import random_day

SAMPLES = 25
NEGATIVE = (5, 10, 39, 70)
"""Random days with a negative price and no price of losses: stores, units, banks, inverters and shifts among them."""
PROVEN = (77, 81)
"""The same: the bounds close the gap at once, and after their flows are divided."""


def fixed(seed: int) -> DayQuestion:
    return replace(random_day(seed).question, topology=Cadence.FIXED)


def some_plan(question: DayQuestion, rng: np.random.Generator) -> DayPlan:
    """A plan that keeps every limit of a period by itself; what links periods is not asked here."""
    day, net, t = question.day, question.network, question.day.periods
    stores, present = day.stores, day.stores.present(day.periods)

    def share(shape: tuple[int, ...]) -> np.ndarray:
        return np.where(rng.random(shape) < 0.5, rng.random(shape).round(), rng.random(shape))

    shape = t, stores.count
    charge, discharge = share(shape) * stores.charge_max, share(shape) * stores.discharge_max
    charge, discharge = (present * part for part in one_way(question, charge, discharge))
    room = np.sqrt(np.maximum(stores.s_max**2 - (charge - discharge) ** 2, 0.0))
    p_max = np.maximum(net.p_min, net.p_max * day.unit_available)
    size = p_max.shape
    positions = np.array([[rng.integers(k) for k in question.devices.sizes] for _ in range(t)], dtype=np.int64)
    positions = positions.reshape(t, question.devices.count)
    if question.positions is Cadence.FIXED:
        positions = np.tile(question.devices.today, (t, 1))
    s_max = question.supply.generator_s_max
    p = np.minimum(net.p_min + share(size) * (p_max - net.p_min), s_max)
    most = np.minimum(net.q_max, np.sqrt(np.maximum(s_max**2 - p**2, 0.0)))
    generation = p + 1j * (net.q_min + share(size) * (np.maximum(most, net.q_min) - net.q_min))
    load = np.array([np.maximum(nominal_load(day, k).real, 0.0) for k in range(t)])
    return DayPlan(
        closed=np.tile(net.closed, (t, 1)),
        positions=positions,
        generation=generation * DayEvaluator(question).on(replace(idle_plan(question), positions=positions)),
        charge=charge,
        discharge=discharge,
        store_q=present * (2.0 * share(shape) - 1.0) * room,
        shift=day.demand.shift_time * load * (2.0 * share(load.shape) - 1.0),
    )


def some_recourse(question: DayQuestion, t: int, realisation: np.ndarray, rng: np.random.Generator) -> HourRecourse:
    """Feed-in, shedding and moves between buses within their own limits."""
    day = question.day
    found = no_recourse(question, 1)
    available, s_max = available_power(day, t, realisation), day.renewables.s_max
    p = rng.random(len(s_max)).round() * np.where(s_max > 0.0, np.minimum(available, s_max), available)
    q = rng.choice([-1.0, 1.0], len(s_max)) * np.sqrt(np.maximum(s_max**2 - p**2, 0.0))
    found.renewable[0] = p + 1j * np.where(s_max > 0.0, q, 0.0)
    active = np.maximum(nominal_load(day, t).real, 0.0) * load_factors(day, realisation).real
    some = np.flatnonzero(active > 0.0)
    if day.demand.shift_buses.any() and len(some) > 1:
        a, b = rng.choice(some, 2, replace=False)
        moved = min((day.demand.shift_buses * active)[[a, b]])
        found.shift[0, a], found.shift[0, b] = moved, -moved
    if rng.random() < 0.5:
        shed = 0.3 * day.demand.shed_share * active * rng.random(len(active))
        found.shed[0] = shed * (1.0 + 1j * tangent(day, t))
    return found


@pytest.mark.parametrize("seed", NEGATIVE)
def test_every_operation_is_below_the_bounds(seed: int) -> None:
    """docs/methods.md M37."""
    question, rng = fixed(seed), np.random.default_rng(seed)
    current_bounds, evaluator, net = DayCurrentBounds(question), DayEvaluator(question), question.network
    kept = 0
    for _ in range(SAMPLES):
        plan, t = some_plan(question, rng), int(rng.integers(question.day.periods))
        down, up = question.day.uncertain.down[t], question.day.uncertain.up[t]
        realisation = 1.0 + np.where(rng.random(len(up)) < 0.5, up, -down) * rng.random(len(up)).round()
        recourse = some_recourse(question, t, realisation, rng)
        flows = evaluator.flows(plan, t, realisation[None, :], recourse)
        if not flows.converged.all() or evaluator.limit_excess(flows).max() > 0.0:
            continue
        kept += 1
        inner = flows.v[:, net.terminal_fr] / net.tap
        s, w_to = inner * np.conj(flows.i_series), np.abs(flows.v[:, net.terminal_to]) ** 2
        parts = s.real, s.imag, np.abs(flows.i_series) ** 2, np.abs(inner) ** 2, w_to
        point = np.concatenate([np.where(net.closed, part, 0.0)[0] for part in parts])
        for given in (None, plan):
            found = current_bounds.at(t, net.closed, realisation, given)
            assert (found.a @ point <= found.b + 1e-9).all()
    assert kept > SAMPLES // 4


@pytest.mark.parametrize("seed", PROVEN)
def test_a_day_with_a_negative_price_is_proven(seed: int) -> None:
    question = fixed(seed)
    assert any(DayCurrentBounds(question).pays(t) for t in range(question.day.periods))
    outcome = PeriodColumns(gap=1e-4).solve(question)
    assert outcome.termination in (Termination.OPTIMAL, Termination.GAP)
    assert outcome.plan is not None
    finder = HourRecourseFinder(question)
    for t in range(question.day.periods):
        answer = finder.best(outcome.plan, t, np.ones((1, question.day.uncertain.count)))
        assert answer.costs[0] >= answer.lower[0]
        assert answer.costs[0] == pytest.approx(answer.lower[0], abs=2e-4 * abs(outcome.upper_bound))


@pytest.mark.parametrize("ticks", [260, 400, 700])
def test_time_that_is_up_while_flows_are_divided_leaves_the_best_verified_plan(ticks: int) -> None:
    question = replace(random_day(10).question, topology=Cadence.FIXED)
    clock = itertools.count()
    deadline = Deadline(ticks, clock=lambda: float(next(clock)))
    found = PeriodColumns(gap=1e-4).solve(question, None, deadline)
    assert found.termination is Termination.TIME
    assert found.log[-1].verdict == "division"
    assert found.lower_bound <= found.upper_bound
    assert np.isfinite(found.upper_bound)
