"""Scenario days: the risk of their verified costs, between what each costs alone and what the robust plan costs."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.model.question import DayQuestion, ScenarioDays, with_scenarios
from openpoint.twostage.log import Termination
from openpoint.twostage.risk import CVaR, Expectation, Regret, Risk, WorstCase
from tests.builders.small_days import PERIODS, small_day

PROBABILITIES = np.array([0.5, 0.3, 0.2])


def scenarios(risk: Risk) -> DayQuestion:
    """A small day with three scenario days."""
    days = 1.0 + np.random.default_rng(3).uniform(-0.2, 0.2, (3, PERIODS, 2))
    return with_scenarios(small_day(), ScenarioDays(("a", "b", "c"), days, PROBABILITIES, risk))


@pytest.mark.parametrize("risk", [Expectation(), CVaR(0.6), WorstCase()], ids=str)
def test_the_value_is_the_risk_of_the_verified_costs(risk: Risk) -> None:
    question = scenarios(risk)
    assert question.scenarios is not None
    days = question.scenarios.realisations
    outcome = PeriodScenarios(gap=1e-4).solve(question)
    assert outcome.plan is not None
    assert outcome.worst is not None
    assert outcome.gap <= 1e-4
    finder = HourRecourseFinder(question, tolerance=1e-7)
    costs = np.full(3, float(finder.evaluator.schedule_costs(outcome.plan).sum()))
    for t in range(PERIODS):
        costs += finder.best(outcome.plan, t, days[:, t]).costs
    order = np.argsort(-costs)
    tail = {Expectation(): 1.0, CVaR(0.6): 0.4, WorstCase(): 1e-9}[risk]
    left, value = tail, 0.0
    for k in order:
        share = min(left, PROBABILITIES[k])
        value, left = value + share * costs[k], left - share
    assert value / tail == pytest.approx(outcome.upper_bound, rel=1e-4)
    assert outcome.worst.costs.sum() == pytest.approx(costs.max(), rel=1e-4)
    assert [float(each.costs.sum()) for each in outcome.scenarios] == pytest.approx(costs, rel=1e-4)
    assert all((each.violations == 0.0).all() for each in outcome.scenarios)


def test_less_risk_costs_more_in_the_mean() -> None:
    values = [
        PeriodScenarios(gap=1e-4).solve(scenarios(risk)).lower_bound for risk in (Expectation(), CVaR(0.6), WorstCase())
    ]
    assert values[0] < values[1] <= values[2] + 1e-6 * abs(values[2])


def test_one_certain_day_is_the_robust_day_without_uncertainty() -> None:
    forecast = ScenarioDays(("forecast",), np.ones((1, PERIODS, 2)), np.ones(1), Expectation())
    one = PeriodScenarios(gap=1e-4).solve(with_scenarios(small_day(), forecast))
    robust = PeriodColumns(gap=1e-4).solve(small_day(0))
    assert one.termination in (Termination.GAP, Termination.OPTIMAL)
    assert one.upper_bound == pytest.approx(robust.upper_bound, rel=2e-4)


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(OptionError, match="regret"):
        PeriodScenarios().solve(scenarios(Regret()))
    with pytest.raises(OptionError, match="none are given; give futures"):
        PeriodScenarios().solve(small_day())
