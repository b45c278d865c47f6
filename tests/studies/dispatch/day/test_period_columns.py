"""The robust day of a topology: bounds against all days written out, the worst day against all of them."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from openpoint.studies.dispatch.day.model import period_columns
from openpoint.studies.dispatch.day.model.day_master import DayMaster, MasterDay
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.hour_block import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns, ScenarioPool
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.interrupt import Interrupt
from openpoint.twostage.log import Termination
from tests.builders.days import PERIODS, demand, idle_plan, renewables, small_day, stores


def all_days(question: DayQuestion) -> np.ndarray:
    """(days, T, U) all choices of vertices within the budgets."""
    vertices, days = vertices_of(question.day), []
    for choice in itertools.product(*(range(len(some)) for some in vertices.deviations)):
        used = sum(np.abs(vertices.deviations[t][v]) for t, v in enumerate(choice))
        if (used <= vertices.hours).all():
            days.append(vertices.day(np.array(choice)))
    return np.array(days)


@pytest.fixture(scope="module")
def question() -> DayQuestion:
    return small_day(1)


def test_bounds_hold_the_optimum_over_all_days_written_out(question: DayQuestion) -> None:
    outcome = PeriodColumns(gap=1e-5).solve(question)
    extensive = DayMaster(question, np.tile(question.network.closed, (PERIODS, 1)))
    for day in all_days(question):
        extensive.add_day(day)
    best = extensive.solve()
    assert outcome.termination in (Termination.GAP, Termination.OPTIMAL)
    assert outcome.lower_bound <= best.bound + 1e-6 * abs(best.bound)
    assert outcome.upper_bound >= best.bound - 1e-6 * abs(best.bound)
    assert outcome.gap <= 1e-5


def test_the_worst_day_is_the_worst_of_all(question: DayQuestion) -> None:
    """docs/methods.md M35."""
    outcome = PeriodColumns(gap=1e-4).solve(question)
    assert outcome.plan is not None
    assert outcome.worst is not None
    finder, days = HourRecourseFinder(question, tolerance=1e-7), all_days(question)
    fixed = finder.evaluator.schedule_costs(outcome.plan)
    costs = np.zeros(len(days))
    for t in range(PERIODS):
        costs += finder.best(outcome.plan, t, days[:, t]).costs + fixed[t]
    assert outcome.worst.costs.sum() == pytest.approx(outcome.upper_bound, rel=1e-9)
    assert costs.max() == pytest.approx(outcome.upper_bound, rel=1e-5)
    assert not outcome.worst.violations.any()
    assert outcome.forecast.costs.sum() < outcome.upper_bound


def test_a_next_day_changes_no_bound_and_saves_iterations(
    question: DayQuestion, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for more in (0, 1):
        monkeypatch.setattr(period_columns, "NEXT_DAYS", more)
        found.append(PeriodColumns(gap=1e-5).solve(question))
    alone, both = found
    assert both.gap <= 1e-5
    assert both.upper_bound == pytest.approx(alone.upper_bound, rel=2e-5)
    assert len(both.days) >= len(alone.days) or len(both.log) < len(alone.log)
    assert len(both.log) <= len(alone.log)


def test_the_days_that_bind_prove_the_bound_alone_and_as_one_mixture(question: DayQuestion) -> None:
    question = replace(question, supply=replace(question.supply, p_max=np.full(1, 0.5)))  # so that several bind
    outcome = PeriodColumns(gap=1e-5).solve(question)
    alone, mixed = (DayMaster(question, np.tile(question.network.closed, (PERIODS, 1))) for _ in range(2))
    copies, shares = list[int](), list[float]()
    for day, weight in outcome.binding:
        alone.add_day(day)
        copies += [mixed.copy(t, row) for t, row in enumerate(day)]
        shares += [weight] * PERIODS
    mixed.add(MasterDay(tuple(copies), tuple(shares)))
    assert len(outcome.binding) > 1
    assert sum(weight for _, weight in outcome.binding) == pytest.approx(1.0)
    assert alone.solve().bound == pytest.approx(outcome.lower_bound, rel=1e-5)
    assert mixed.solve().bound == pytest.approx(outcome.lower_bound, rel=1e-5)


def test_a_larger_budget_from_what_a_smaller_one_found_gives_what_it_gives_alone(question: DayQuestion) -> None:
    pool = ScenarioPool(HourTemplates(question))
    PeriodColumns(gap=1e-5).solve(question, pool=pool)
    known = len(pool.days)
    larger = small_day(2)
    warm = PeriodColumns(gap=1e-5).solve(larger, pool=pool)
    alone = PeriodColumns(gap=1e-5).solve(larger)
    assert known
    assert warm.upper_bound == pytest.approx(alone.upper_bound, rel=2e-5)
    assert warm.lower_bound == pytest.approx(alone.lower_bound, rel=2e-5)
    smaller = PeriodColumns(gap=1e-5).solve(question, pool=pool)
    assert smaller.upper_bound < alone.lower_bound


def test_without_uncertainty_one_solve_is_enough() -> None:
    outcome = PeriodColumns(gap=1e-4).solve(small_day(0))
    assert len(outcome.log) == 1
    assert (outcome.forecast.realisation == outcome.worst.realisation).all()


def test_ctrl_c_keeps_the_best_verified_plan(question: DayQuestion) -> None:
    interrupt = Interrupt()

    def stop(_line: object) -> None:
        interrupt.requested = True

    outcome = PeriodColumns(gap=1e-7).solve(question, progress=stop, deadline=Deadline(interrupt=interrupt))
    assert outcome.termination is Termination.INTERRUPTED
    assert outcome.plan is not None
    assert np.isfinite(outcome.upper_bound)


def test_where_nothing_keeps_the_limits_the_least_violation_is_found() -> None:
    outcome = PeriodColumns().solve(small_day(1, v_min=0.99, demand=demand(6)))
    assert outcome.termination is Termination.INFEASIBLE
    assert outcome.upper_bound == np.inf
    assert outcome.plan is not None
    assert outcome.worst.violations.sum() > outcome.forecast.violations.sum()
    idle = HourRecourseFinder(small_day(1, v_min=0.99, demand=demand(6)))
    without = sum(idle.best(idle_plan(idle.question), t, np.ones((1, 2))).violations[0] for t in range(PERIODS))
    assert outcome.forecast.violations.sum() < without


def test_a_schedule_without_solution_has_no_plan() -> None:
    empty = stores([4], energy_start=0.0, energy_end=0.5, charge_max=0.01)
    outcome = PeriodColumns().solve(small_day(1, stores=empty))
    assert outcome.termination is Termination.INFEASIBLE
    assert outcome.plan is None


def test_an_upper_limit_that_the_relaxation_keeps_by_losses_is_kept_by_the_exact_flow() -> None:
    sun = renewables([5], np.full((PERIODS, 1), 0.6), curtailment=1.0)
    question = small_day(1, v_max=1.012, renewables=sun, stores=stores([]), demand=demand(6))
    outcome = PeriodColumns().solve(question)
    assert outcome.plan is not None
    assert np.isfinite(outcome.upper_bound)
    assert not outcome.worst.violations.any()
    assert outcome.lower_bound <= outcome.upper_bound
