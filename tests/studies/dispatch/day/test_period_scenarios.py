"""Scenario days: the risk of their verified costs, between what each costs alone and what the robust plan costs."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.twostage.log import Termination
from openpoint.twostage.risk import CVaR, Expectation, Regret, Risk, WorstCase
from openpoint.twostage.uncertainty import Certain, Scenarios
from tests.builders.small_days import PERIODS, small_day

PROBABILITIES = np.array([0.5, 0.3, 0.2])


def scenarios() -> Scenarios:
    rng = np.random.default_rng(3)
    return Scenarios(1.0 + rng.uniform(-0.2, 0.2, (3, PERIODS * 2)), PROBABILITIES)


@pytest.mark.parametrize("risk", [Expectation(), CVaR(0.6), WorstCase()], ids=str)
def test_the_value_is_the_risk_of_the_verified_costs(risk: Risk) -> None:
    question, days = small_day(), scenarios()
    outcome = PeriodScenarios(days=days, risk=risk, gap=1e-4).solve(question)
    assert outcome.plan is not None
    assert outcome.worst is not None
    assert outcome.gap <= 1e-4
    finder = HourRecourseFinder(question, tolerance=1e-7)
    costs = np.full(3, float(finder.evaluator.schedule_costs(outcome.plan).sum()))
    for t in range(PERIODS):
        costs += finder.best(outcome.plan, t, days.values.reshape(3, PERIODS, 2)[:, t]).costs
    order = np.argsort(-costs)
    tail = {Expectation(): 1.0, CVaR(0.6): 0.4, WorstCase(): 1e-9}[risk]
    left, value = tail, 0.0
    for k in order:
        share = min(left, PROBABILITIES[k])
        value, left = value + share * costs[k], left - share
    assert value / tail == pytest.approx(outcome.upper_bound, rel=1e-4)
    assert outcome.worst.costs.sum() == pytest.approx(costs.max(), rel=1e-4)


def test_less_risk_costs_more_in_the_mean() -> None:
    values = [
        PeriodScenarios(days=scenarios(), risk=risk, gap=1e-4).solve(small_day()).lower_bound
        for risk in (Expectation(), CVaR(0.6), WorstCase())
    ]
    assert values[0] < values[1] <= values[2] + 1e-6 * abs(values[2])


def test_one_certain_day_is_the_robust_day_without_uncertainty() -> None:
    one = PeriodScenarios(days=Certain(np.ones(PERIODS * 2)), gap=1e-4).solve(small_day())
    robust = PeriodColumns(gap=1e-4).solve(small_day(0))
    assert one.termination in (Termination.GAP, Termination.OPTIMAL)
    assert one.upper_bound == pytest.approx(robust.upper_bound, rel=2e-4)


def test_what_cannot_be_is_named() -> None:
    with pytest.raises(OptionError, match="regret"):
        PeriodScenarios(days=scenarios(), risk=Regret())
    with pytest.raises(OptionError, match="6 entries"):
        PeriodScenarios(days=Certain(np.ones(6))).solve(small_day())
