"""Scenario days: the risk of their verified costs, between what each costs alone and what the robust plan costs."""

from typing import Any

import networkx as nx
import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.search.kernel.arrays import CLOSED, OPEN
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.model.question import DayQuestion, ScenarioDays, with_scenarios
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch, FutureUncertainty, grouped
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from openpoint.twostage.risk import CVaR, Expectation, Regret, Risk, WorstCase
from tests.builders.days import PERIODS, small_day

PROBABILITIES = np.array([0.5, 0.3, 0.2])


def scenarios(risk: Risk) -> DayQuestion:
    """A small day with three scenario days."""
    days = 1.0 + np.random.default_rng(3).uniform(-0.2, 0.2, (3, PERIODS, 2))
    return with_scenarios(small_day(), ScenarioDays(("a", "b", "c"), days, PROBABILITIES, risk))


def nine_days() -> DayQuestion:
    """A small day with nine scenario days."""
    days = 1.0 + np.random.default_rng(3).uniform(-0.2, 0.2, (9, PERIODS, 2))
    names = tuple("abcdefghi")
    return with_scenarios(small_day(), ScenarioDays(names, days, np.full(9, 1.0 / 9.0), Expectation()))


@pytest.mark.parametrize("risk", [Expectation(), CVaR(0.6), WorstCase()], ids=str)
def test_the_value_is_the_risk_of_the_verified_costs(risk: Risk) -> None:
    question = scenarios(risk)
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


@pytest.mark.parametrize("limit", [0.5, 2.5])
def test_operations_are_not_improved_once_the_time_is_up(limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    question, clock, solve = nine_days(), [0.0], HourRecourseFinder._solve
    best = PeriodScenarios(gap=1e-4).solve(question)

    def slow(*given: Any) -> bool:
        clock[0] += 1.0
        return solve(*given)

    monkeypatch.setattr(HourRecourseFinder, "_solve", slow)
    found = PeriodScenarios(gap=1e-7).solve(question, None, Deadline(limit, clock=lambda: clock[0]))
    assert found.termination is Termination.TIME
    assert limit < clock[0] <= limit + 1.0
    assert best.lower_bound * (1.0 - 1e-9) <= found.upper_bound < np.inf
    assert found.lower_bound <= best.upper_bound
    assert all((each.violations == 0.0).all() for each in found.scenarios)


def test_a_bound_that_takes_longer_than_the_time_left_is_not_begun() -> None:
    """Programs of the bound of a radial state with all futures cannot be stopped."""
    uncertainty, clock, closed = (
        FutureUncertainty(scenarios(Expectation())),
        [0.0],
        scenarios(Expectation()).network.closed,
    )
    uncertainty.solve(closed, 1e-3, Deadline(), np.inf)
    relaxation = DayRelaxation(uncertainty.question, uncertainty.first().copies, uncertainty.first().weights)
    state = np.where(closed[relaxation.branch], CLOSED, OPEN).astype(np.int8)
    assert uncertainty.weighed(state, Deadline()) is not None
    uncertainty.takes_s = 2.0
    ending = Deadline(3.0, clock=lambda: clock[0])
    assert np.isfinite(uncertainty.bound(state, ending))
    uncertainty.takes_s, clock[0] = 2.0, 1.5
    assert uncertainty.bound(state, ending) == -np.inf
    assert np.isfinite(uncertainty.bound(state, Deadline()))


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


def test_the_search_finds_the_best_of_all_topologies() -> None:
    question = scenarios(CVaR(0.6))
    outcome = DayTopologySearch(gap=1e-3).solve(question)
    method, templates = PeriodScenarios(gap=1e-4), HourTemplates(question)
    best = min(method.solve(question, closed=tree, templates=templates).upper_bound for tree in trees(question))
    assert outcome.termination is Termination.GAP
    assert outcome.lower_bound <= best * (1.0 + 1e-6)
    assert outcome.upper_bound == pytest.approx(best, rel=1e-3)
    assert len(outcome.scenarios) == 3


def test_futures_in_groups_bound_futures_one_by_one() -> None:
    """With one group, with several, and with every future by itself the bound rises; it stays below the optimum."""
    question = scenarios(CVaR(0.6))
    found = PeriodScenarios(gap=1e-5).solve(question, closed=question.network.closed)
    assert found.weights is not None
    weights = question.scenarios.allowed(found.weights)
    assert weights.sum() == pytest.approx(1.0)
    assert (weights <= PROBABILITIES / 0.4 + 1e-12).all()
    costs = np.array([each.costs for each in found.scenarios])
    bounds = []
    for groups in (1, 2, 3):
        mixed = grouped(question.scenarios.realisations, weights, costs, groups)
        relaxation = DayRelaxation(question, mixed.copies, mixed.weights)
        state = np.where(question.network.closed[relaxation.branch], CLOSED, OPEN).astype(np.int8)
        bound = relaxation.bound(state, None, 5)
        bounds.append(bound.value)
    assert bounds[0] <= bounds[1] * (1.0 + 1e-6) <= bounds[2] * (1.0 + 2e-6)
    assert 0.99 * found.lower_bound <= bounds[2] <= found.upper_bound


def trees(question: DayQuestion) -> list[np.ndarray]:
    """All radial states: one branch of the only loop is open."""
    net = question.network
    ends = list(zip(net.terminal_fr.tolist(), net.terminal_to.tolist(), strict=True))
    found = []
    for opened in range(len(ends)):
        graph = nx.MultiGraph(each for e, each in enumerate(ends) if e != opened)
        if graph.number_of_nodes() == net.n_terminals and nx.is_connected(graph):
            found.append(np.arange(len(ends)) != opened)
    return found
