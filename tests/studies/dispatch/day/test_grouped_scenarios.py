"""Many scenario days in groups: the answer is that of all days in one program, and groups never raise a bound."""

from typing import Any

import numpy as np
import pytest

from openpoint.studies.dispatch.day.model import period_scenarios
from openpoint.studies.dispatch.day.model.day_master import DayMaster
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.period_scenarios import FutureGroups, PeriodScenarios
from openpoint.studies.dispatch.day.model.question import DayQuestion, ScenarioDays, with_scenarios
from openpoint.twostage.log import Termination
from openpoint.twostage.risk import CVaR, Expectation, Risk, WorstCase
from tests.builders.days import PERIODS, demand, small_day

COUNT = 15
RISKS = [Expectation(), CVaR(0.8), WorstCase()]


def scenarios(risk: Risk, **parts: Any) -> DayQuestion:
    """A small day with scenario days of which some are far from the others."""
    rng = np.random.default_rng(5)
    days = 1.0 + rng.uniform(-0.1, 0.1, (COUNT, PERIODS, 2)) * np.where(rng.random((COUNT, 1, 1)) < 0.1, 3.0, 1.0)
    weights = rng.uniform(0.5, 1.5, COUNT)
    names = tuple(str(k) for k in range(COUNT))
    return with_scenarios(small_day(**parts), ScenarioDays(names, days, weights / weights.sum(), risk))


@pytest.mark.parametrize("risk", RISKS, ids=str)
def test_groups_find_what_all_days_in_one_program_find(risk: Risk, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/methods.md M36."""
    question = scenarios(risk)
    monkeypatch.setattr(period_scenarios, "TOGETHER_MOST", COUNT)
    together = PeriodScenarios(gap=1e-4).solve(question)
    monkeypatch.setattr(period_scenarios, "TOGETHER_MOST", 0)
    grouped = PeriodScenarios(gap=1e-4).solve(question)
    assert grouped.termination in (Termination.GAP, Termination.OPTIMAL)
    assert grouped.gap <= 1e-4
    assert grouped.lower_bound <= together.upper_bound * (1.0 + 1e-6)
    assert together.lower_bound <= grouped.upper_bound * (1.0 + 1e-6)
    assert grouped.plan is not None
    assert question.scenarios is not None
    finder = HourRecourseFinder(question, tolerance=1e-7)
    costs = np.full(COUNT, float(finder.evaluator.schedule_costs(grouped.plan).sum()))
    for t in range(PERIODS):
        costs += finder.best(grouped.plan, t, question.scenarios.realisations[:, t]).costs
    assert question.scenarios.weights.worst(costs)[0] == pytest.approx(grouped.upper_bound, rel=1e-4)
    assert [float(each.costs.sum()) for each in grouped.scenarios] == pytest.approx(costs, rel=1e-3)
    assert grouped.weights.sum() == pytest.approx(1.0)


def test_the_bound_rises_with_the_number_of_groups() -> None:
    question = scenarios(Expectation())
    days = question.scenarios
    master = DayMaster(question, np.tile(question.network.closed, (PERIODS, 1)))
    groups, bounds = FutureGroups.of(days.realisations, [days.nominal]), list[float]()
    noise = np.random.default_rng(1).random((COUNT, PERIODS))  # any division of groups raises the bound
    while True:
        groups.fill(master, ())
        bounds.append(master.solve().bound)
        if not groups.divide([np.ones(len(parts)) for parts in groups.groups], noise):
            break
    assert all(len(part) == 1 for parts in groups.groups for part in parts)
    assert bounds == sorted(bounds)
    assert bounds[0] < bounds[-1]


def test_limits_that_no_plan_keeps_in_a_far_day_are_infeasible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(period_scenarios, "TOGETHER_MOST", 0)
    found = PeriodScenarios(gap=1e-3).solve(scenarios(Expectation(), v_min=0.966, demand=demand(6)))
    assert found.termination is Termination.INFEASIBLE
    assert found.plan is None
