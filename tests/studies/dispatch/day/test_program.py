"""The model of a day: it keeps the contract of the engine, its methods agree, one period is one dispatch as before."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.network.devices import no_devices
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.dispatch.day.model.program import DayProgram, robust_day, stochastic_day
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion, Resource
from openpoint.studies.dispatch.day.model.realisations import budget_of, listed_days
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.risk import CVaR
from openpoint.twostage.uncertainty import Certain
from tests.builders.contract import check_program
from tests.builders.days import day_of, links
from tests.builders.random_days import FEATURES, RandomDay, random_day

SMALL = 3, 4
"""Buses of days that are small enough for a test."""


def small_day(seed: int, *wanted: str) -> RandomDay:
    """A small day of these features alone, the first from `seed` on that has a loop and three periods."""
    for number in range(seed, seed + 200):
        found = random_day(number, wanted, SMALL, chance=1.0)
        if found.question.day.periods == 3:
            return found
    raise AssertionError


def relaxed(program: DayProgram) -> float:
    """The least cost of the extensive form of a certain day, whole numbers relaxed."""
    assert isinstance(program.uncertainty, Certain)
    first = program.first_stage(with_recourse=True)
    stage = program.recourse(first.decision, cp.Constant(program.uncertainty.value), limits=True).hard()
    constraints = [*first.constraints, *stage.constraints, *(cone.constraint() for cone in stage.cones)]
    answer = ClarabelModel(compile_model(first.cost + stage.cost, constraints)).solve()
    assert answer.status is Status.OPTIMAL
    return answer.value


def test_it_keeps_the_contract_of_the_engine() -> None:
    scheduled = small_day(0, "batteries", "units", "commitment", "uncertain load", "squares", "inverters", "banks")
    check_program(robust_day(scheduled.question), count=2)


@pytest.mark.parametrize("resource", list(Resource))
def test_what_is_left_to_the_recourse_keeps_it_too_and_costs_no_more(resource: Resource) -> None:
    day = small_day(1, "batteries", "units", "ramps", "shift time", "squares", "inverters").question
    certain = robust_day(day)
    left = robust_day(replace(day, recourse=frozenset({resource})))
    assert left.layout.size < certain.layout.size
    check_program(left, count=1)
    assert relaxed(left) == pytest.approx(relaxed(certain), rel=1e-6)  # nothing is uncertain: when makes no difference


def test_all_methods_agree() -> None:
    question = small_day(2, "batteries", "uncertain load", "shed").question
    budget, listed = robust_day(question), robust_day(question, listed=True)
    assert len(listed_days(question.day.uncertain)) == budget_of(question.day.uncertain).count()  # type: ignore[union-attr]
    whole = ExtensiveForm(gap=1e-5).solve(listed)
    for found in (
        Benders(gap=1e-4).solve(budget),
        ColumnAndConstraint(gap=1e-4).solve(budget),
        ColumnAndConstraint(gap=1e-4).solve(listed),
    ):
        assert found.gap <= 1e-4
        assert found.lower_bound <= whole.upper_bound * (1.0 + 1e-4)  # as accurate as the one-piece solver
        assert found.upper_bound >= whole.lower_bound * (1.0 - 1e-4)
        assert found.decision is not None


def test_a_risk_of_scenario_days_lies_between_their_mean_and_their_worst() -> None:
    question = small_day(3, "batteries", "uncertain load").question
    days = listed_days(question.day.uncertain)[:4].reshape(4, question.day.periods, -1)
    equal = np.full(4, 0.25)
    costs = [
        ExtensiveForm(gap=1e-6).solve(program).upper_bound
        for program in (
            stochastic_day(question, days, equal, CVaR(0.0)),
            stochastic_day(question, days, equal, CVaR(0.5)),
            replace(
                robust_day(question, listed=True),
                uncertainty=stochastic_day(question, days, None, CVaR(0.0)).uncertainty,
            ),
        )
    ]
    assert costs[0] < costs[1] < costs[2]


def test_a_day_of_one_period_is_the_dispatch_of_today_and_equal_periods_cost_as_often() -> None:
    drawn = small_day(4, "units", "squares", "locks").question
    network = replace(drawn.network, s_power=drawn.day.load_power[0])
    locked = ~network.switchable
    must_close, must_open = locked & network.closed, locked & ~network.closed
    price = 0.12
    cost = replace(drawn.cost, source=np.full(1, price), change=0.0)
    today = DispatchProgram(network, no_devices(), cost, drawn.supply, must_close, must_open)
    one = Benders(gap=1e-7).solve(today).lower_bound
    costs = []
    for periods in (1, 3):
        bare, day = day_of(
            network,
            np.ones(periods),
            source_price=np.full((periods, 1), price),
            export_price=np.full((periods, 1), price),
            units=links(len(network.generator_names)),
        )
        question = DayQuestion(
            network=bare,
            devices=no_devices(),
            supply=drawn.supply,
            cost=cost,
            must_close=must_close,
            must_open=must_open,
            topology=Cadence.ONCE,
            positions=Cadence.FIXED,
            max_changes=None,
            recourse=frozenset(),
            day=day,
        )
        costs.append(ExtensiveForm(gap=1e-7).solve(robust_day(question)).upper_bound)
    assert costs == pytest.approx([one, 3.0 * one], rel=1e-5)


def test_every_feature_is_drawn() -> None:
    held = frozenset[str]().union(*(random_day(seed).held for seed in range(40)))
    assert held == frozenset(FEATURES)
