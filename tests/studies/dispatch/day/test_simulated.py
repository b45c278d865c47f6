"""A period of a plan that is carried out as it came, and a day of which every period is planned anew."""

from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import OptionError
from openpoint.network.day import DayPlan
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.rolling import rest_of_question, start_of, state_after
from openpoint.studies.dispatch.day.simulated import SimulatedPeriod
from openpoint.studies.dispatch.day.study import PreparedDay, prepare_day
from tests.builders.days import NAMES, day, small

SUN = {
    "profiles": {"period": NAMES, "sun": [0.0, 0.6, 0.9, 0.1]},
    "renewables": [{"name": "roofs", "bus": "E", "kind": "solar", "p_kw": 60.0, "profile": "sun"}],
}


def ready(**options: Any) -> PreparedDay:
    return prepare_day(small(), day(**SUN), DayOptions(**{"topology": "fixed", "method": "columns", **options}))


@pytest.fixture(scope="module")
def plan() -> DispatchDayResult:
    return ready(uncertain="load=0.1,solar=0.3", budget=1, gap=1e-5).solve()


def test_a_plan_carried_out_as_forecast_is_the_plan(plan: DispatchDayResult) -> None:
    done = [openpoint.simulate_period(plan, now=name) for name in NAMES]
    planned = plan.periods.filter(case="forecast")
    assert sum(each.cost_usd for each in done) == pytest.approx(plan.total("cost_usd", "forecast"), rel=1e-5)
    for each, name in zip(done, NAMES, strict=True):
        assert (each.period, each.violations) == (name, ())
        row = planned.filter(period=name)
        for figure in ("load_kw", "generators_kw", "stores_kw", "vehicles_kw", "shifted_kw"):
            assert each.figures[figure][0] == pytest.approx(row[figure][0], abs=1e-6)
        assert abs(each.figures["balance_kw"][0]) < 1e-9
    for each, later in zip(done, NAMES[1:], strict=False):
        assert each.state.sort("kind", "name").equals(plan.state_at(later).sort("kind", "name"))
    last = done[-1].state
    assert last["period"].null_count() == last.height
    held = dict(last.filter(kind="store").select("name", "energy_kwh").iter_rows())
    assert held["battery"] >= 40.0 - 1e-4
    assert held["late"] >= 20.0 - 1e-4


def test_a_plan_carried_out_at_its_worst_costs_its_worst(plan: DispatchDayResult) -> None:
    assert plan.objective_usd is not None
    total = 0.0
    for name in NAMES:
        came = dict(plan.uncertainty.filter(period=name).select("quantity", "worst").iter_rows())
        total += openpoint.simulate_period(plan, came, now=name).cost_usd
    assert total == pytest.approx(plan.objective_usd, rel=1e-5)


def test_what_is_certain_may_come_otherwise() -> None:
    certain = ready(gap=1e-5).solve()
    as_planned, came = (
        openpoint.simulate_period(certain),
        openpoint.simulate_period(certain, {"load": 1.1, "solar": 0.5}),
    )
    ratio = (came.figures["load_kw"] - came.figures["shifted_kw"]) / (
        as_planned.figures["load_kw"] - as_planned.figures["shifted_kw"]
    )
    assert ratio[0] == pytest.approx(1.1)
    noon = openpoint.simulate_period(certain, {"solar": 0.5}, now="12")
    assert noon.figures["solar_kw"][0] + noon.figures["curtailed_kw"][0] == pytest.approx(0.5 * 54.0)
    assert noon.state.filter(kind="quantity").is_empty()


def test_a_day_planned_anew_is_the_rolled_day() -> None:
    """The loop with tables and that with arrays are the same."""
    shares = np.array([[1.1, 1.0], [0.95, 0.7], [1.05, 0.8], [1.1, 1.0]])
    asked = {"uncertain": "load=0.1,solar=0.3", "budget": 2, "gap": 1e-6}
    done, state = list[SimulatedPeriod](), None
    for name, (load, sun) in zip(NAMES, shares, strict=True):
        done.append(
            openpoint.simulate_period(ready(now=name, state=state, **asked).solve(), {"load": load, "solar": sun})
        )
        state = done[-1].state

    question = ready(**asked).question
    begun, costs, finder = start_of(question), [], HourRecourseFinder(question)
    for t, came in enumerate(shares):
        rest = rest_of_question(question, begun)
        plan = PeriodColumns(gap=0.999e-6).solve(rest).plan
        assert plan is not None
        scheduled = DayEvaluator(rest).schedule_costs(plan)[0]
        whole = DayPlan(*(np.concatenate([np.repeat(part[:1], t, axis=0), part]) for part in vars(plan).values()))
        costs.append(scheduled + finder.best(whole, t, came[None, :]).costs[0])
        begun = state_after(question, begun, plan, came)
    assert [each.cost_usd for each in done] == pytest.approx(costs, rel=1e-4)
    assert done[-2].state.filter(kind="quantity")["deviated_hours"].to_list() == pytest.approx(rolled_before(shares))
    figures = pl.concat([each.figures for each in done])
    assert np.abs(figures["balance_kw"].to_numpy()).max() < 1e-9
    assert abs(figures["shifted_kw"].sum()) < 1e-4  # periods of the same length: what was moved came back


def rolled_before(shares: np.ndarray) -> list[float]:
    """Σ |deviation| / largest of load and sun in all periods but the last; the sun at night has none."""
    load, sun = np.abs(shares[:3] - 1.0).T
    return [float(load.sum() / 0.1), float(sun[1:].sum() / 0.3 + 0.0)]


@pytest.mark.parametrize(
    ("came", "now", "told"),
    [
        ({"laod": 1.1}, None, "came has 'laod', of which the day has none. Did you mean 'load'"),
        ({"wind": 1.1}, None, "came has 'wind', of which the day has none. There are 'load', 'solar'"),
        ({"load": -1.0}, None, "came has -1.0 for 'load'; give a share of its forecast"),
        ({"load": "1"}, None, "came has '1' for 'load'"),
        ({}, "13:00", "within period '12' from 12:00"),
    ],
)
def test_what_cannot_have_come_is_refused(plan: DispatchDayResult, came: Any, now: str | None, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        openpoint.simulate_period(plan, came, now=now)


def test_a_plan_of_least_violation_says_what_it_breaks() -> None:
    """Nothing keeps 1.05 pu at the buses here, and nothing bounds the voltage of one of them from above."""
    asked = DayOptions(topology="fixed", method="columns")
    nothing = prepare_day(small(), day(limits=[{"v_min_pu": 1.05}]), asked).solve()
    assert not nothing.has_answer
    broken = openpoint.simulate_period(nothing).violations
    assert {each.kind for each in broken} == {"voltage low"}
    assert {each.period for each in broken} == {"0"}
