"""The result of a day: its sums are those of its tables, and the notes stand beside what they change."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.verified import verified
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination
from tests.builders import days
from tests.builders.days import HOURS, prepared


@pytest.fixture(scope="module")
def result() -> DispatchDayResult:
    return prepared(topology="fixed").solve()


def test_the_sums_are_those_of_the_periods(result: DispatchDayResult) -> None:
    for case in ("today", "forecast", "worst"):
        here = result.periods.filter(case=case)
        assert here.height == 4
        hours = here["hours"].to_numpy()
        assert result.total("cost_usd", case) == pytest.approx(here["cost_usd"].sum())
        assert result.total("loss_kwh", case) == pytest.approx((hours * here["loss_kw"].to_numpy()).sum())
        assert result.total("purchased_kwh", case) == pytest.approx((hours * here["source_kw"].to_numpy()).sum())
        parts = result.costs.filter(pl.col("part") != "total")[f"{case}_usd"].sum()
        assert parts == pytest.approx(result.total("cost_usd", case))
    assert result.total_hours == HOURS.sum() == 23.0


def test_a_period_balances_in_its_row(result: DispatchDayResult) -> None:
    fed = ["source_kw", "generators_kw", "solar_kw", "wind_kw", "stores_kw", "vehicles_kw", "shed_kw"]
    for row in result.periods.iter_rows(named=True):
        assert sum(row[name] for name in fed) == pytest.approx(row["load_kw"] + row["loss_kw"], abs=1e-9)
        assert abs(row["balance_kw"]) < 1e-9
    assert result.balance_max_kw < 1e-9


def test_what_is_decided_when_is_told(result: DispatchDayResult) -> None:
    when = dict(result.decided.select("what", "when").iter_rows())
    assert when == {
        "topology": "fixed",
        "which generators run": "hourly",
        "output of generators": "hourly",
        "charge and discharge of batteries": "hourly",
        "charge and discharge of vehicles": "hourly",
        "load moved in time": "hourly",
        "load moved between buses": "recourse",
        "curtailment": "recourse",
        "load shed": "recourse",
        "what the sources deliver": "recourse",
    }


def test_notes_say_what_changes_the_meaning_of_figures(result: DispatchDayResult) -> None:
    told = "\n".join(result.notes)
    assert "charges with full power from its arrival" in told
    assert "load moves between buses in the same period" in told
    assert "keeps its energy as forecast" in told
    negative = prepared(
        topology="fixed", parts={"source_price": pl.Series([-0.05, 0.1, 0.1, 0.1]).to_numpy()[:, None]}
    ).solve()
    assert any("prices are negative in 00:00" in note for note in negative.notes)


def test_open_points_follow_the_switching_list(result: DispatchDayResult) -> None:
    assert [opened for _, opened in result.open_points] == [("C-S",)] * 4
    moved = result.switches.vstack(
        pl.DataFrame(
            [("01:00", "lines", name, "S", "A", action) for name, action in (("C-S", "close"), ("B-C", "open"))],
            schema=result.switches.schema,
            orient="row",
        )
    )
    object.__setattr__(result, "switches", moved)
    assert [opened for _, opened in result.open_points] == [("C-S",), ("B-C",), ("B-C",), ("B-C",)]


def test_the_worst_case_is_what_was_minimised_and_the_bound_lies_below() -> None:
    uncertain = prepared(
        topology="fixed", parts={"uncertain": days.by_group(4, ("solar",) * 2, 4, load=0.1, solar=0.3, hours=1)}
    ).solve()
    worst = uncertain.total("cost_usd", "worst")
    assert uncertain.objective_usd == pytest.approx(worst)
    assert uncertain.lower_bound_usd <= worst <= uncertain.lower_bound_usd * (1.0 + 1e-3)
    assert uncertain.total("cost_usd", "forecast") < worst
    assert uncertain.uncertain == (
        "load ±10 % in at most 1 of 4 periods",
        "solar ±30 % in at most 1 of 4 periods",
    )
    deviating = uncertain.uncertainty.filter("deviates")
    assert deviating.filter(group="load")["worst"].to_list() == [pytest.approx(1.1)]
    assert not uncertain.violations


def uncertain_ring(**options: Any) -> DispatchDayResult:
    parts = {"uncertain": days.by_group(4, ("solar",) * 2, 4, load=0.1, solar=0.3, hours=1)}
    return prepared(topology="fixed", uncertain="load=0.1", parts=parts, **options).solve()


def test_the_worst_day_is_the_worst_of_all_vertices() -> None:
    """Every day of the set, each of its periods operated by the cone program on its own."""
    run = prepared(
        topology="fixed", parts={"uncertain": days.by_group(4, ("solar",) * 2, 4, load=0.1, solar=0.3, hours=1)}
    )
    outcome = verified(run.question, run.method.solve(run.question), Deadline())
    assert outcome.plan is not None
    assert outcome.worst is not None
    finder = HourRecourseFinder(run.question)
    scheduled = finder.evaluator.schedule_costs(outcome.plan).sum()
    totals = []
    for when in itertools.product([None, *range(4)], [None, *range(4)]):
        for signs in itertools.product((-1.0, 1.0), repeat=2):
            realisation = np.ones((4, 2))
            for u, (t, sign, spread) in enumerate(zip(when, signs, (0.1, 0.3), strict=True)):
                if t is not None:
                    realisation[t, u] += sign * spread
            totals.append(sum(finder.best(outcome.plan, t, realisation[[t]]).costs[0] for t in range(4)))
    assert outcome.upper_bound == pytest.approx(scheduled + max(totals), rel=1e-4)


def test_the_gap_of_the_method_is_that_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vertex whose operation is good enough and no better must not open the gap that the method closed."""
    uncertain = days.by_group(4, ("solar",) * 2, 4, load=0.1, solar=0.3, hours=2)
    run = prepared(topology="fixed", parts={"uncertain": uncertain})
    outcome = run.method.solve(run.question)
    monkeypatch.setattr(
        "openpoint.studies.dispatch.day.verified.HourRecourseFinder",
        lambda question: HourRecourseFinder(question, tolerance=0.05),
    )
    rough = verified(run.question, outcome, Deadline())
    assert rough.upper_bound > (1.0 + 1e-5) * outcome.upper_bound
    closed = verified(run.question, outcome, Deadline(), outcome.gap + 1e-6)
    assert closed.upper_bound == pytest.approx(outcome.upper_bound, rel=1e-6)
    assert closed.termination is outcome.termination
    assert closed.gap <= outcome.gap + 1e-6
    told = verified(run.question, replace(outcome, lower_bound=0.9 * outcome.lower_bound), Deadline(), 1e-3)
    assert (told.termination, told.gap > 1e-3) == (Termination.ACCURACY, True)


def test_plans_are_compared_in_days_drawn_at_random() -> None:
    result = uncertain_ring(samples=20, seed=3)
    found, worst = result.samples, dict(result.samples.select("plan", "worst_usd").iter_rows())
    assert worst["answer"] == pytest.approx(result.objective_usd, rel=1e-3)
    assert worst["as forecast"] >= result.lower_bound_usd
    assert (found["tail_usd"] <= found["max_usd"]).all()
    assert (found["tail_usd"] >= found["p95_usd"] - 1e-9).all()
    assert len(result.plot("samples").axes) == 2
    assert found["plan"].to_list() == ["today", "as forecast", "answer"]
    assert found["days"].to_list() == [20] * 3
    means = dict(found.select("plan", "mean_usd").iter_rows())
    assert means["answer"] < means["today"]
    assert (found["p95_usd"] <= found["max_usd"]).all()
    assert found.equals(uncertain_ring(samples=20, seed=3).samples)
    assert uncertain_ring().samples.is_empty()


def test_the_futures_are_told_one_by_one() -> None:
    found = uncertain_ring(method=None, futures=4, seed=1, risk="cvar:0.5", samples=10)
    costs, weights = (found.futures[name].to_numpy() for name in ("cost_usd", "weight"))
    assert found.objective_usd == pytest.approx(weights @ costs)
    assert sorted(weights) == pytest.approx([0.0, 0.0, 0.5, 0.5])
    assert found.objective_usd == pytest.approx(np.sort(costs)[2:].mean())
    assert found.total("cost_usd", "worst") == pytest.approx(costs.max())
    assert found.objective_means == "by CVaR(0.5) of 4 futures"
    assert (found.futures["violations"] == 0).all()
    assert found.samples["days"].to_list() == [10] * 3
    assert found.plot("futures").axes[0].get_xlabel() == "cost of the day, $"
