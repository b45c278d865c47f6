"""Scenario days: the risk of their verified costs, between what each costs alone and what the robust plan costs."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.search.kernel.arrays import CLOSED, OPEN
from openpoint.solvers.base import Status
from openpoint.studies.dispatch.day.model.day_master import MasterAnswer, WholeMaster
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.grouped_scenarios import GroupedScenarios
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.model.question import DayQuestion, ScenarioDays, with_scenarios
from openpoint.studies.dispatch.day.outcome import DayOutcome
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


def test_a_plan_for_groups_is_there_before_the_program_of_all_days_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    question, clock = nine_days(), [0.0]
    whole = PeriodScenarios(gap=1e-4).solve(question)

    class NeverInTime:
        def __init__(self, *_: object) -> None:
            clock[0] = 100.0

        def solve(self, _: Deadline) -> MasterAnswer:
            return MasterAnswer(Status.LIMIT, -np.inf, None, np.empty(0), ())

    monkeypatch.setattr("openpoint.studies.dispatch.day.model.period_scenarios.WholeMaster", NeverInTime)
    none = PeriodScenarios(gap=1e-7).solve(question, None, Deadline(clock=lambda: clock[0]))
    assert none.plan is None
    clock[0] = 0.0
    found = PeriodScenarios(gap=1e-7).solve(question, None, Deadline(50.0, clock=lambda: clock[0]))
    assert found.termination is Termination.TIME
    assert found.plan is not None
    assert found.lower_bound <= whole.upper_bound * (1.0 + 1e-6)
    assert found.upper_bound >= whole.lower_bound * (1.0 - 1e-6)
    assert found.gap < 0.5
    assert len(found.scenarios) == 9
    assert all((each.violations == 0.0).all() for each in found.scenarios)


@pytest.mark.parametrize("interrupted", [False, True])
def test_the_program_of_all_days_is_not_begun_where_the_plan_took_longer_than_is_left(
    interrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the end is that of the run, not that of the gap at which the plan for groups ends."""
    question, clock = nine_days(), [0.0]
    execute, limit = GroupedScenarios.execute, Deadline(50.0, clock=lambda: clock[0])

    def slow(run: GroupedScenarios) -> DayOutcome:
        found = execute(run)
        clock[0] = 1.0 if interrupted else 26.0
        if interrupted:
            monkeypatch.setattr(limit, "interrupted", lambda: True)
            monkeypatch.setattr(limit, "over", lambda: True)
        assert found.termination is Termination.GAP
        return found

    monkeypatch.setattr(GroupedScenarios, "execute", slow)
    program = "openpoint.studies.dispatch.day.model.period_scenarios.WholeMaster"
    monkeypatch.setattr(program, lambda *_: pytest.fail("begun"))
    found = PeriodScenarios(gap=1e-7).solve(question, None, limit)
    assert found.termination is (Termination.INTERRUPTED if interrupted else Termination.TIME)
    assert found.plan is not None
    assert 1e-7 < found.gap < 0.5


def test_the_plan_for_groups_may_take_all_of_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    question, clock, solve = nine_days(), [0.0], WholeMaster.solve

    def slow(whole: WholeMaster, deadline: Deadline) -> MasterAnswer:
        clock[0] += 30.0
        return MasterAnswer(Status.LIMIT, -np.inf, None, np.empty(0), ()) if deadline.over() else solve(whole, deadline)

    monkeypatch.setattr(WholeMaster, "solve", slow)
    found = PeriodScenarios(gap=1e-7).solve(question, None, Deadline(50.0, clock=lambda: clock[0]))
    assert (found.termination, clock[0]) == (Termination.TIME, 30.0)
    assert found.plan is not None
    assert found.gap < 0.5


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
    assert question.scenarios is not None
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
        assert bound is not None
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
