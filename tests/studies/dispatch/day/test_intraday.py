"""The rest of a day from what was measured: it is the rest of the plan where that was carried out, faults are told at
once, and all that changes the meaning of figures stands beside them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint import InputError, OptionError
from openpoint.report.page.model import Section, Words
from openpoint.results import columns as c
from openpoint.scenarios.day.schemas import MeasuredState
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.report import page
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.schema import STATES
from openpoint.studies.dispatch.day.study import PreparedDay, prepare_day
from tests.builders.days import NAMES, day, small


def ready(**options: Any) -> PreparedDay:
    return prepare_day(small(), day(), DayOptions(**{"topology": "fixed", "method": "columns", **options}))


@pytest.fixture(scope="module")
def whole() -> DispatchDayResult:
    return ready(gap=1e-6).solve()


@pytest.mark.parametrize("now", ["0", "06:00", 18])
def test_the_rest_of_a_plan_is_the_plan_of_the_rest(whole: DispatchDayResult, now: Any, tmp_path: Path) -> None:
    """A best plan has a best rest, and the table that a result writes is one that a question reads."""
    state = whole.state_at(now)
    state.write_csv(tmp_path / "state.csv")
    rest = ready(gap=1e-6, now=now, state=tmp_path / "state.csv").solve()
    left = whole.periods.filter(pl.col("period").is_in(rest.periods["period"].to_list()))
    for case in ("forecast", "worst"):
        assert rest.total("cost_usd", case) == pytest.approx(left.filter(case=case)["cost_usd"].sum(), rel=1e-4)
    assert rest.periods.filter(case="worst")["start_h"].to_list() == left.filter(case="worst")["start_h"].to_list()
    assert rest.hours_passed + rest.total_hours == 24.0
    assert rest.stores.filter("present")["start_kwh"][0] == pytest.approx(state.filter(kind="store")["energy_kwh"][0])
    reached = rest.state_at("18").sort("kind", "name")
    later = whole.state_at("18").sort("kind", "name")
    assert reached.select("kind", "name").equals(later.select("kind", "name"))
    assert reached["on"].to_list() == later["on"].to_list()


def test_ramps_reach_over_periods_of_any_length() -> None:
    """Between the middles of a period of 5 h and one of half an hour there are 2.75 h, also where the rest begins."""
    periods = {"period": NAMES, "hours": [2.0, 5.0, 0.5, 1.0], "price_usd_per_kwh": [0.05, 0.05, 0.5, 0.05]}
    short = day(periods=periods, vehicles=[], storages=[], flexible_loads=[])
    options = DayOptions(topology="fixed", method="columns", gap=1e-6)
    plan = prepare_day(small(), short, options).solve()
    gas = dict(plan.generators.filter(name="gas").select("period", "p_kw").iter_rows())
    assert gas["12"] - gas["6"] == pytest.approx(3.0 * 2.75, rel=1e-4)
    rest = prepare_day(small(), short, replace(options, now="12", state=plan.states)).solve()
    assert rest.has_answer
    assert dict(rest.generators.filter(name="gas").select("period", "p_kw").iter_rows())["12"] == pytest.approx(
        gas["12"], rel=1e-4
    )


def test_energy_moved_so_far_is_made_up_for(whole: DispatchDayResult) -> None:
    moved = whole.state_at("18").filter(kind="bus")
    assert moved.height > 0
    rest = ready(now="18", state=whole.states).solve()
    assert rest.periods.filter(case="forecast")["shifted_kw"][0] * 6.0 == pytest.approx(-moved["moved_kwh"].sum())
    assert any("load moved so far is not made up for" in note for note in rest.notes)


def test_it_is_told_that_this_is_the_rest(whole: DispatchDayResult) -> None:
    assert (whole.now, whole.hours_passed) == (None, 0.0)
    rest = ready(now="12", state=whole.states).solve()
    assert (rest.now, rest.hours_passed, rest.period_count) == ("12", 12.0, 2)
    assert rest.objective_means == "as forecast of the rest of the day"
    assert any(
        note.startswith("this is the rest of the day, from period 12 on: the 12 h before") for note in rest.notes
    )
    told = next(
        part for part in page(rest).brief if isinstance(part, Section) and part.heading == "The rest of the day"
    )
    assert told.content == (Words("From 12 on; 12 h have passed. All figures are of the rest alone."),)
    assert "rest of the day from 12" in repr(rest)
    assert "as it is now" in rest.decided["told"].to_list()
    assert not any("not measured" in note or "longer be reached" in note for note in rest.notes)


def test_what_was_not_measured_is_told() -> None:
    rest = ready(now="6", state=[{"kind": "store", "name": "early", "energy_kwh": 12.0}])
    told = " ".join(rest.asked.notes)
    assert "'battery': not measured at 6; taken to hold what they hold at the start of the day" in told
    assert "'gas': not measured at 6; no ramp binds in the first period" in told
    assert "early: 40 kWh are asked for at the end, and can no longer be reached" not in told
    late = ready(now="6", state=[{"kind": "store", "name": "early", "energy_kwh": 1.0}])
    assert "early: 40 kWh are asked for at the end, and can no longer be reached; the plan holds 37 kWh" in " ".join(
        late.asked.notes
    )
    assert not ready(now="0").asked.notes


def test_what_was_measured_is_where_the_rest_starts() -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "store", "name": "battery", "energy_kwh": 77.0},
        {"kind": "generator", "name": "pv", "p_kw": 25.0},
        {"kind": "generator", "name": "gas", "p_kw": 30.0, "q_kvar": 2.0},
        {"kind": "branch", "name": "ad", "closed": True},
        {"kind": "branch", "name": "bc", "closed": False, "operations": 3},
        {"kind": "tap changer", "name": "de", "position": -1},
        {"kind": "capacitor bank", "name": "cap", "position": 3},
        {"kind": "bus", "name": "B", "moved_kwh": -20.0},
        {"kind": "quantity", "name": "load", "deviated_hours": 1.4},
    ]
    options = {"topology": "once", "positions": "once", "max_changes": 6, "uncertain": "load=0.1", "budget": 3}
    question = ready(now="06:00", state=rows, **options).question
    net, units, base = question.network, question.day.units, question.network.s_base_kva
    states = dict(zip(net.branch_names, net.closed.tolist(), strict=True))
    assert (states["ad"], states["bc"], states["ab"]) == (True, False, True)
    assert question.rules.max_changes == 2  # of 6, 1 + 3 are done
    assert question.day.stores.energy_start[0] * base == pytest.approx(77.0)
    pv, gas = (net.generator_names.index(name) for name in ("pv", "gas"))
    assert units.on_before.all()
    assert units.p_before[[pv, gas]] * base == pytest.approx([25.0, 30.0])
    assert net.generator_s[gas] * base == pytest.approx(30.0 + 2.0j)
    devices = question.devices
    shown = dict(zip(devices.names, (devices.first + devices.today).tolist(), strict=True))
    assert (shown["de"], shown["cap"]) == (-1, 3)
    assert question.day.demand.moved_over_day.sum() * base == pytest.approx(20.0)
    assert question.day.uncertain.hours.tolist() == [2]  # 3 − 1.4, rounded up
    assert question.topology.value == "once"  # once more, for the rest
    states_again = openpoint.dispatch_day(small(), day(), topology="fixed", now="6", state=rows).state_at("12")
    again = {row["name"]: row for row in states_again.iter_rows(named=True)}
    assert (again["ad"]["closed"], again["bc"]["operations"]) == (True, 3)
    assert again["de"]["position"] == -1.0  # not decided, and still so


def test_all_faults_of_a_state_are_told_at_once() -> None:
    rows: list[dict[str, Any]] = [
        {"kind": "store", "name": "batery", "energy_kwh": 1.0},
        {"kind": "store", "name": "battery", "energy_kwh": 151.0},
        {"kind": "store", "name": "early", "energy_kwh": 1.0},
        {"kind": "store", "name": "late", "energy_kwh": 1.0},
        {"kind": "generator", "name": "pv", "p_kw": 5.0},
        {"kind": "generator", "name": "gas", "on": False},
        {"kind": "generator", "name": "grid", "p_kw": 5.0},
        {"kind": "branch", "name": "ax", "closed": True},
        {"kind": "branch", "name": "ab", "operations": 1},
        {"kind": "tap changer", "name": "de", "position": 7},
        {"kind": "tap changer", "name": "cap", "position": 1},
        {"kind": "bus", "name": "C", "moved_kwh": 1.0},
        {"kind": "bus", "name": "B", "moved_kwh": 1e4},
        {"kind": "bus", "name": "Z", "moved_kwh": 1.0},
        {"kind": "quantity", "name": "sun", "deviated_hours": 1.0},
        {"kind": "car", "name": "early"},
        {"kind": "bus", "name": "D", "energy_kwh": 1.0},
    ]
    with pytest.raises(InputError) as told:
        ready(now="12", state=rows, uncertain="load=0.1")
    at = {(problem.row, problem.column): f"{problem.message}. {problem.remedy}" for problem in told.value.problems}
    expected = {
        ("batery", "name"): "Did you mean 'battery'",
        ("battery", "energy_kwh"): "a content of 151 kWh. It holds 0 to 150 kWh",
        ("early", "energy_kwh"): "it left at the start of period '12'",
        ("late", "energy_kwh"): "it comes at the start of period '18'",
        ("pv", "p_kw"): "5 kW lie outside its limits, 10 to 40",
        ("gas", "on"): "it is off, but may_stop is false",
        ("grid", "name"): "no generator of this name whose output is decided",
        ("ax", "name"): "there is no branch of this name",
        ("ab", "closed"): "the value is missing",
        ("de", "position"): "7 is none of its positions. Give one from -2 to 2",
        ("cap", "name"): "no tap changer of this name that can be set",
        ("C", "moved_kwh"): "its load does not move in time",
        ("B", "moved_kwh"): "can make up for 162 at most",
        ("Z", "name"): "there is no bus of this name",
        ("sun", "name"): "there is no uncertain quantity of this name. The uncertain quantities are 'load'",
        ("early", "kind"): "'car' is not known",
        ("D", "energy_kwh"): "a bus has none. Of a bus give moved_kwh",
        ("D", "moved_kwh"): "the value is missing",
    }
    assert at.keys() == expected.keys()
    for place, text in expected.items():
        assert text in at[place], place


def test_a_fault_of_a_state_is_told_once(tmp_path: Path) -> None:
    """What the reader says of a cell is not said again by the check of what may be."""
    lines = ["store,battery,much,", "store,late,-1,", "generator,pv,,some", "quantity,lod,,", "quantity,sun,,"]
    (tmp_path / "state.csv").write_text("\n".join(["kind,name,energy_kwh,p_kw", *lines]), encoding="utf-8")
    with pytest.raises(InputError) as told:
        ready(now="12", state=tmp_path / "state.csv")
    found = [(problem.row.partition(" in ")[0].strip("'"), problem.column) for problem in told.value.problems]
    assert len(found) == len(set(found))
    assert set(found) == {
        ("battery", "energy_kwh"),
        ("late", "energy_kwh"),
        ("pv", "p_kw"),
        ("lod", "deviated_hours"),
        ("lod", "name"),
        ("sun", "deviated_hours"),
        ("sun", "name"),
    }
    assert "Did you mean 'load'" in str(told.value)


def test_periods_that_deviated_are_told_to_count_for_nothing_where_nothing_is_uncertain() -> None:
    row = {"kind": "quantity", "name": "load", "deviated_hours": 1.0}
    certain, uncertain = (ready(now="12", state=[row], **more) for more in ({}, {"uncertain": "load=0.1"}))
    assert [any("count for nothing" in note for note in each.asked.notes) for each in (certain, uncertain)] == [1, 0]


def test_states_of_no_time_or_another_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="give now, the time, too"):
        DayOptions(state=[])
    with pytest.raises(InputError, match=r"no row of period '6', only of '12'"):
        ready(now="6", state=[{"period": "12", "kind": "store", "name": "battery", "energy_kwh": 1.0}])
    with pytest.raises(InputError, match="cannot be read"):
        ready(now="6", state=tmp_path / "none.csv")
    (tmp_path / "state.txt").write_text("kind,name\n")
    with pytest.raises(InputError, match="the format of this file is not known"):
        ready(now="6", state=tmp_path / "state.txt")
    with pytest.raises(InputError, match="loop"):  # a measured loop with a given topology has no radial state
        ready(now="6", state=[{"kind": "branch", "name": "ad", "closed": True}])


def test_the_table_of_states_is_that_of_a_measured_state() -> None:
    assert dict(c.dtypes(STATES)) == dict(MeasuredState.empty().schema)
