"""Methods of two-stage programs for a day: they agree with each other, with copies by period and with the oracle."""

from __future__ import annotations

import pickle
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.studies.dispatch.day import two_stage
from openpoint.studies.dispatch.day.methods import MethodName, choose, method_of
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.program import DayProgram, robust_day
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion, Resource, ScenarioDays, with_scenarios
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.two_stage import TwoStageDay
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.risk import Expectation
from openpoint.twostage.uncertainty import Scenarios
from tests.builders.day_oracle import imbalance_of, oracle, schedule_faults
from tests.builders.random_days import random_day

PLAIN = ("batteries", "renewables", "uncertain load", "shift time", "shed")
SMALL = 3, 4


def small_day(*recourse: Resource, hours: int = 1) -> DayQuestion:
    """A day whose load is uncertain, with today's topology."""
    question = random_day(6, PLAIN, SMALL, chance=1.0).question
    uncertain = replace(question.day.uncertain, hours=np.full(1, hours))
    day = replace(question.day, uncertain=uncertain)
    return replace(question, topology=Cadence.FIXED, recourse=frozenset(recourse), day=day)


def solved(name: MethodName, question: DayQuestion, gap: float = 1e-3) -> DayOutcome:
    return method_of(name, gap, None).solve(question)


@cache
def of_all_days(*recourse: Resource) -> float:
    """The least worst case of the small day by the oracle."""
    return oracle(small_day(*recourse)).value


@cache
def all_before() -> DayOutcome:
    """The small day with all decided before."""
    return solved("columns", small_day(), 1e-5)


@pytest.mark.parametrize("name", ["benders", "extensive"])
def test_a_method_of_two_stages_agrees_with_copies_by_period(name: MethodName) -> None:
    question = small_day()
    known, found = all_before(), solved(name, question)
    assert found.termination in (Termination.OPTIMAL, Termination.GAP)
    assert found.lower_bound <= known.upper_bound * (1.0 + 1e-5)
    assert found.upper_bound >= known.lower_bound * (1.0 - 1e-5)
    assert found.plan is not None
    assert found.worst is not None
    assert found.worst.costs.sum() == pytest.approx(found.upper_bound, rel=1e-9)
    assert not found.worst.violations.any()
    assert schedule_faults(question, found.plan) == []


def test_what_is_decided_late_costs_no_more_and_agrees_with_all_days_in_one_program() -> None:
    question = small_day(*Resource)
    known, found, before = of_all_days(*Resource), solved("ccg", question), all_before()
    assert found.lower_bound <= known * (1.0 + 1e-6)
    assert found.upper_bound >= known * (1.0 - 1e-6)
    assert found.gap <= 1e-3
    assert found.upper_bound <= before.upper_bound * (1.0 + 1e-6)
    assert found.worst is not None
    assert found.forecast is not None
    for operation in (found.forecast, found.worst):
        assert schedule_faults(question, operation.plan) == []
        assert imbalance_of(question, operation) <= 1e-9


def test_a_limit_leaves_a_plan_and_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where its share of the time is too short for the plan that decides all beforehand, it has all of the time."""
    question, known, limit, clock = small_day(*Resource), of_all_days(*Resource), 5.0, [0.0]
    plan, bound = PeriodColumns.solve, two_stage.least_of_all

    def slow_plan(self: PeriodColumns, *args: Any, **options: Any) -> DayOutcome:
        clock[0] += 2.0
        if args[2].over():
            return DayOutcome(Termination.TIME, None, None, None, -np.inf, np.inf, (), 2.0)
        return plan(self, *args, **options)

    def slow_bound(program: DayProgram, days: list[np.ndarray], *rest: Any) -> float:
        clock[0] += len(days)
        return bound(program, days, *rest)

    monkeypatch.setattr(PeriodColumns, "solve", slow_plan)
    monkeypatch.setattr(two_stage, "least_of_all", slow_bound)
    method = TwoStageDay(ColumnAndConstraint(gap=1e-9))
    found = method.solve(question, None, Deadline(limit, clock=lambda: clock[0]))
    assert found.termination is Termination.TIME
    assert clock[0] <= limit + 1.0
    assert found.plan is not None
    assert found.lower_bound <= known * (1.0 + 1e-6)
    assert found.upper_bound >= known * (1.0 - 1e-6)
    assert found.gap < 1.0


def test_an_exact_evaluation_that_is_stopped_is_none() -> None:
    program = robust_day(small_day(), listed=True)
    days = program.uncertainty
    assert isinstance(days, Scenarios)
    asked, decision = [0], np.zeros(program.layout.size)

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > 2

    stopped = replace(program, stop=stop).evaluate(decision, days.values, None)
    assert stopped.state is None
    assert np.isinf(stopped.values).all()
    assert asked[0] == 3  # of a day of three periods
    assert program.evaluate(decision, days.values, None).state is not None
    copied = pickle.loads(pickle.dumps(replace(program, stop=stop)))  # the question itself stays in this process
    assert not copied.stop()


def test_futures_agree_and_cost_no_more_where_stores_are_late() -> None:
    question = small_day()
    drawn = 1.0 + np.random.default_rng(3).uniform(-0.2, 0.2, (2, question.day.periods, 1))
    futures = ScenarioDays(("a", "b"), drawn, np.array([0.7, 0.3]), Expectation())
    question = with_scenarios(question, futures)
    known, found = solved("scenarios", question, 1e-5), solved("benders", question)
    assert found.lower_bound <= known.upper_bound * (1.0 + 1e-5)
    assert found.upper_bound >= known.lower_bound * (1.0 - 1e-5)
    assert found.gap <= 1e-3
    costs = np.array([float(each.costs.sum()) for each in found.scenarios])
    assert futures.probabilities is not None
    assert float(futures.probabilities @ costs) == pytest.approx(found.upper_bound, rel=1e-9)
    assert found.forecast is not None
    assert (found.forecast.realisation == 1.0).all()
    late = solved("ccg", replace(question, recourse=frozenset({Resource.STORES})))
    assert late.gap <= 1e-3
    assert late.lower_bound <= known.upper_bound * (1.0 + 1e-5)
    assert late.upper_bound <= known.upper_bound * (1.0 + 1e-5)
    assert len(late.scenarios) == 2


def test_what_is_late_chooses_the_engine() -> None:
    assert choose(small_day(Resource.SHIFT))[0] == "ccg"
    assert choose(small_day())[0] == "columns"


def test_too_many_days_are_refused_where_all_is_decided_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(two_stage, "DAYS_MOST", 3)
    with pytest.raises(OptionError, match="days: lower the budget, let fewer groups be uncertain"):
        solved("benders", small_day(hours=2))


def test_too_many_days_leave_a_plan_decided_before_and_a_bound_of_two_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    question, exact = small_day(*Resource), of_all_days(*Resource)
    monkeypatch.setattr(two_stage, "DAYS_MOST", 3)
    found = two_stage.TwoStageDay(ColumnAndConstraint(gap=1e-6)).solve(question)
    assert found.lower_bound <= exact * (1.0 + 1e-6)
    assert found.upper_bound == pytest.approx(all_before().upper_bound, rel=1e-5)
    assert found.upper_bound >= exact * (1.0 - 1e-6)
    assert {two_stage.BEFOREHAND, two_stage.FEW_DAYS} <= set(found.notes)


@pytest.mark.parametrize("name", ["ccg", "benders"])
def test_copies_of_whole_days_need_a_few_masters_where_the_topology_is_free(name: MethodName) -> None:
    question = replace(random_day(12).question, topology=Cadence.ONCE)
    known, found = solved("search", question, 1e-4), solved(name, question, 1e-4)
    assert found.gap <= 1e-4
    assert found.lower_bound <= known.upper_bound * (1.0 + 1e-5)
    assert found.upper_bound >= known.lower_bound * (1.0 - 1e-5)
    assert sum(not line.interim for line in found.log) <= 10


def test_a_model_that_is_solved_ends_although_exact_flow_costs_more() -> None:
    question = random_day(8, ("negative", "renewables", "uncertain load"), SMALL, chance=1.0).question
    found = solved("ccg", question, 1e-2)
    assert found.termination is Termination.RELAXATION
    assert found.gap > 1e-2
    assert sum(not line.interim for line in found.log) <= 10
