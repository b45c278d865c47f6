"""Horizons, the arrays of a day in per unit, and the period that begins at a time, on days of 23, 24 and 25 hours."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import Grid, Horizon, InputError, OptionError, read_horizon
from openpoint.network import build_network
from openpoint.network.day import DayArrays, Uncertain, available_power, load_factors
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.clock import NowLike, period_at
from openpoint.scenarios.day.faults import grid_of_day
from openpoint.scenarios.day.tables import Day, read_day
from openpoint.scenarios.day.uncertain import Budget, Uncertainty, deviation_notes
from openpoint.studies.partition.bounds import read_priorities
from tests.grid import small

STEPS = {"step": ["t0", "t1", "t2"], "hours": [1.0, 2.0, 3.0]}


def refused(**tables: Any) -> list[str]:
    grid = openpoint.read("ieee37-microgrids")
    with pytest.raises(InputError) as caught:
        openpoint.partition_steps(grid, Horizon.from_tables(**{"steps": STEPS, **tables}))
    return [str(problem) for problem in caught.value.problems]


def event(step: str, branch: str, what: str) -> dict[str, str]:
    return {"step": step, "branch": branch, "event": what}


def store(**more: object) -> dict[str, object]:
    return {"generator": "g738", "energy_kwh": 100.0, "start_kwh": 50.0} | more


@pytest.mark.parametrize(
    ("events", "told"),
    [
        (
            [event("t0", "l2", "open"), event("t0", "l2", "close")],
            "event: close and, in row number 1, open",
        ),
        ([event("t0", "l2", "open"), event("t0", "l2", "open")], "the same event stands in row number 1"),
        ([event("t9", "l2", "open")], "there is no step 't9'"),
        ([event("t0", "l99", "open")], "there is no branch 'l99'"),
        ([event("t0", "tie11", "open")], "Did you mean 'tie1'"),
        ([event("t0", "l1", "open")], "row number 1, branch: the branch cannot be operated. Mark it switchable"),
        ([event("t0", "l2", "shut")], "unknown event 'shut'. The events are fault, open, close, release"),
        ([event("t1", "l2", "release")], "nothing holds the branch"),
        ([event("t0", "l2", "release"), event("t1", "l2", "open")], "row number 1, event: nothing holds the branch"),
        ([event("t0", "l2", "fault"), event("t1", "l2", "close")], "the branch has a fault since row number 1"),
        ([event("t0", "l10", "fault"), event("t0", "tie1", "close")], "held closed while the fault of row number 1"),
        (
            [event("t1", "tie1", "close"), event("t2", "l10", "fault")],
            "row number 1, event: held closed while",
        ),
    ],
)
def test_events_that_contradict_are_told(events: list[dict[str, str]], told: str) -> None:
    faults = refused(events=events)
    assert len(faults) == 1
    assert faults[0].startswith("events, row number")
    assert told in faults[0]


def test_a_release_ends_what_an_event_began() -> None:
    """A fault that is released leaves its switches to the decision, and another event may follow."""
    grid = openpoint.read("ieee37-microgrids")
    events = [event("t0", "l10", "fault"), event("t1", "l10", "release"), event("t1", "tie1", "close")]
    events += [event("t2", "tie1", "open")]
    horizon = Horizon.from_tables(STEPS, events=events)
    from openpoint.network import build_network
    from openpoint.network.blocks import blocks
    from openpoint.studies.partition.timeline import timeline_of

    network = build_network(grid)
    cut = blocks(network)
    first, second, third = timeline_of(horizon, grid, network, cut).locks
    assert first.faulted.sum() == 1
    block = int(first.faulted.argmax())
    assert (first.open == ((cut.fr == block) | (cut.to == block))).all()
    tie = [network.branch_names[k] for k in cut.switches].index("tie1")
    assert not second.faulted.any()
    assert not second.open.any()
    assert second.closed.nonzero()[0].tolist() == [tie]
    assert third.open.nonzero()[0].tolist() == [tie]
    assert not third.closed.any()


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (store(start_kwh=120.0), "start_kwh"),
        (store(start_kwh=5.0, least_kwh=10.0), "start_kwh"),
        (store(energy_kwh=0.0), "energy_kwh"),
        (store(least_kwh=-1.0), "least_kwh"),
        (store(end_kwh=101.0, charge_kw=100.0), "end_kwh"),
        (store(end_kwh=90.0, charge_kw=1.0), "end_kwh"),
        (store(charge_efficiency=1.2), "charge_efficiency"),
        (store(discharge_efficiency=0.0), "discharge_efficiency"),
        (store(charge_kw=-5.0), "charge_kw"),
        (store(generator="g73"), "generator"),
        (store(start_kwh=float("nan")), "start_kwh"),
    ],
)
def test_stores_that_cannot_be_are_told(row: dict[str, object], column: str) -> None:
    faults = refused(storage=[row])
    assert [fault.startswith(f"storage, row number 1, {column}: ") for fault in faults] == [True]


def test_all_faults_of_all_tables_are_told_at_once() -> None:
    faults = refused(
        steps={"step": ["t0", "t0"], "hours": [0.0, 1.0], "load_share": [1.0, -0.1]},
        events=[event("t7", "l2", "open"), event("t0", "l1", "close")],
        profiles=[{"step": "t0", "load": "s728", "share": 2.0}, {"step": "t0", "load": "s728", "share": -1.0}],
        storage=[store(), store()],
    )
    starts = [
        *("steps, row number 2, step", "steps, row number 1, hours", "steps, row number 2, load_share"),
        *("profiles, row number 2, load", "profiles, row number 2, share", "storage, row number 2, generator"),
        *("events, row number 1, step", "events, row number 2, branch"),
    ]
    assert len(faults) == len(starts)
    for start, fault in zip(starts, faults):
        assert fault.startswith(start)


def test_a_folder_and_a_file_are_read_as_they_were_meant(tmp_path: Path) -> None:
    (tmp_path / "steps.csv").write_text("step,hours\n1,2.5\n2,\n", encoding="utf-8")
    (tmp_path / "events.csv").write_text("step,branch,event\n2,l2,open\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    horizon = read_horizon(tmp_path)
    assert horizon.steps.to_dicts() == [
        {"step": "1", "hours": 2.5, "load_share": 1.0},
        {"step": "2", "hours": 1.0, "load_share": 1.0},
    ]
    assert horizon.events.rows() == [("2", "l2", "open")]
    assert horizon.storage.is_empty()
    assert [note.table for note in horizon.notes] == ["notes.txt"]
    horizon.steps.write_parquet(tmp_path / "some.parquet")
    assert read_horizon(tmp_path / "some.parquet").steps.equals(horizon.steps)


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("steps.csv", "step,hour\n1,2\n", "unknown column 'hour'"),
        ("steps.csv", "step,hours\n1,2\n2,two\n", "line 3, hours: 'two' is not a number"),
        ("events.csv", "step,branch\n1,l2\n", "event: column is missing"),
        ("storage.csv", "generator,energy_kwh,start_kwh\ng738,,5\n", "line 2, energy_kwh: value is missing"),
    ],
)
def test_faults_of_files_name_the_line(tmp_path: Path, file: str, text: str, told: str) -> None:
    (tmp_path / "steps.csv").write_text("step\n1\n", encoding="utf-8")
    (tmp_path / file).write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=told):
        read_horizon(tmp_path)


def test_what_is_no_horizon_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no table of the steps"):
        read_horizon(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_horizon(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="the table has no rows"):
        openpoint.partition_steps(openpoint.read("ieee37-microgrids"), Horizon.from_tables({"step": []}))
    with pytest.raises(OptionError, match="max_actions is -1"):
        openpoint.partition_steps(
            openpoint.read("ieee37-microgrids"), Horizon.from_tables({"step": ["a"]}), max_actions=-1
        )


def test_priorities_are_read_and_their_faults_told(tmp_path: Path) -> None:
    file = tmp_path / "weights.csv"
    file.write_text("load,priority\ns728,5\ns722b,0\n", encoding="utf-8")
    assert read_priorities(file) == {"s728": 5.0, "s722b": 0.0}
    file.write_text("load,priority\ns728,5\ns728,-1\n", encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_priorities(file)
    assert [(fault.row, fault.column) for fault in caught.value.problems] == [
        ("number 2", "load"),
        ("number 2", "priority"),
    ]
    with pytest.raises(InputError, match=r"No such file|format of this file"):
        read_priorities(tmp_path / "weights.txt")


GAS = {"name": "gas", "bus": "D", "p_kw": 0.0, "p_min_kw": 20.0, "p_max_kw": 80.0, "may_stop": True}
TABLES: dict[str, Any] = {
    "periods": {
        "period": ["a", "b", "c"],
        "hours": [1.0, 2.0, 0.5],
        "price_usd_per_kwh": [0.1, -0.2, None],
        "export_price_usd_per_kwh": [0.05, None, None],
        "load_share": [0.5, 1.0, 2.0],
    },
    "profiles": {"period": ["c", "a", "b"], "shop": [3.0, 1.0, 2.0], "sun": [1.0, 0.0, 0.6]},
    "load_profiles": [{"load": "b", "profile": "shop"}],
    "generators": [GAS],
    "units": [
        {"generator": "gas", "ramp_up_kw_per_h": 10.0, "start_cost_usd": 7.0, "p_before_kw": 0.0, "profile": "sun"}
    ],
    "renewables": [
        {"name": "sun1", "bus": "B", "kind": "solar", "p_kw": 50.0, "profile": "sun", "s_max_kva": 40.0},
        {"name": "sun2", "bus": "D", "kind": "solar", "p_kw": 10.0, "profile": "sun"},
        {"name": "wind", "bus": "D", "kind": "wind", "p_kw": 30.0, "profile": "sun", "s_max_kva": 60.0},
    ],
    "storages": [{"name": "battery", "bus": "C", "energy_kwh": 90.0, "start_kwh": 40.0, "charge_kw": 20.0}],
    "vehicles": [
        {"name": "ev", "bus": "E", "count": 3, "arrival": "b", "energy_kwh": 50.0, "start_kwh": 10.0}
        | {"end_kwh": 20.0, "charge_kw": 7.0, "charge_efficiency": 0.9}
    ],
    "flexible_loads": [
        {"load": "e", "shift_time_share": 0.2, "shift_price_usd_per_kwh": 0.03},
        {"shift_buses_share": 0.1, "shed_share": 0.5, "shed_price_usd_per_kwh": 4.0},
    ],
}


def grid() -> Grid:
    sources = [{"name": "grid", "bus": "A", "price_usd_per_kwh": 0.3}]
    return small.grid(small.tables() | {"sources": sources})


def arrays(uncertainty: Uncertainty | None = None, **tables: Any) -> DayArrays:
    """Per unit of 100 kVA."""
    day = Day.from_tables(**{**TABLES, **tables})
    ready, _ = grid_of_day(grid(), day)
    network = build_network(ready)
    assert network.s_base_kva == 100.0
    assert network.generator_names == ("pv", "gas")
    return build_day(ready, network, day, uncertainty)[1]


def test_loads_and_prices_are_those_of_the_periods() -> None:
    day = arrays()
    assert (day.names, day.hours.tolist()) == (("a", "b", "c"), [1.0, 2.0, 0.5])
    assert day.load_power[:, 1] == pytest.approx(np.array([1.0, 2.0, 3.0]) * (1.0 + 0.3j))
    assert day.load_power[:, 4] == pytest.approx([0.25, 0.5, 1.0])
    assert not day.load_power[:, [0, 2, 3]].any()
    assert day.source_price[:, 0].tolist() == [0.1, -0.2, 0.3]
    assert day.export_price[:, 0].tolist() == [0.05, -0.2, 0.0]


def test_resources_are_in_per_unit() -> None:
    day = arrays()
    stores, renewables, units = day.stores, day.renewables, day.units
    assert (stores.names, stores.vehicle.tolist()) == (("battery", "ev"), [False, True])
    assert (stores.terminal.tolist(), stores.first.tolist(), stores.last.tolist()) == ([2, 4], [0, 1], [3, 3])
    assert stores.energy_max == pytest.approx([0.9, 1.5])
    assert stores.energy_start == pytest.approx([0.4, 0.3])
    assert stores.energy_end == pytest.approx([0.4, 0.6])
    assert stores.charge_max == pytest.approx([0.2, 0.21])
    assert stores.discharge_max == pytest.approx([0.2, 0.0])
    assert stores.charge_efficiency.tolist() == [1.0, 0.9]
    assert renewables.available == pytest.approx(np.array([[0, 0, 0], [0.3, 0.06, 0.18], [0.4, 0.1, 0.3]]))
    assert renewables.s_max == pytest.approx([0.4, 0.0, 0.6])
    assert units.ramp_up.tolist() == [math.inf, 0.1]
    assert units.ramp_down.tolist() == [math.inf, math.inf]
    assert units.start == pytest.approx([0.0, 0.07])
    assert units.on_before.tolist() == [True, False]
    assert np.isnan(units.p_before).tolist() == [True, False]
    assert day.unit_available == pytest.approx(np.array([[1, 0], [1, 0.6], [1, 1]]))


def test_what_may_be_moved_or_shed_is_that_of_the_loads_of_a_bus() -> None:
    demand = arrays().demand
    assert demand.shift_buses == pytest.approx([0, 0.1, 0, 0, 0])
    assert demand.shift_time == pytest.approx([0, 0, 0, 0, 0.2])
    assert demand.shift_price == pytest.approx([0, 0, 0, 0, 0.03])
    assert demand.shed_share == pytest.approx([0, 0.5, 0, 0, 0])
    assert demand.shed_price == pytest.approx([0, 4.0, 0, 0, 0])


def test_loads_of_a_bus_that_differ_are_weighted_and_told() -> None:
    tables = small.tables()
    tables["loads"] += [{"name": "b2", "bus": "B", "p_kw": 300.0, "q_kvar": 90.0}]
    tables["loads"] += [{"name": "d", "bus": "D", "p_kw": 10.0}]
    tables["sources"] = [{"name": "grid", "bus": "A", "price_usd_per_kwh": 0.3}]
    flexible = [
        {"bus": "B", "shed_share": 0.4, "shed_price_usd_per_kwh": 1.0},
        {"load": "b2", "shed_share": 0.8, "shed_price_usd_per_kwh": 2.0},
        {"shed_share": 1.0, "shed_price_usd_per_kwh": 5.0},
    ]
    day = Day.from_tables({"period": ["now"]}, flexible_loads=flexible)
    ready, notes = grid_of_day(small.grid(tables), day)
    assert any("at 'B' loads differ" in note.message and note.changes_figures for note in notes)
    _, built = build_day(ready, build_network(ready), day)
    assert built.demand.shed_share == pytest.approx([0, (0.4 + 3 * 0.8) / 4, 0, 1, 1])
    assert built.demand.shed_price == pytest.approx([0, (0.4 + 3 * 0.8 * 2) / (0.4 + 3 * 0.8), 0, 5, 5])
    assert not built.demand.sheds_apart.any()
    own = [row | {"shed_price_usd_per_kvarh": 0.5 * row["shed_price_usd_per_kwh"]} for row in flexible]
    both = Day.from_tables({"period": ["now"], "reactive_price_usd_per_kvarh": [0.03]}, flexible_loads=own)
    _, built = build_day(ready, build_network(ready), both)
    assert built.demand.shed_reactive_price == pytest.approx(
        np.array([math.nan, (0.2 + 3 * 0.8) / (0.4 + 3 * 0.8), math.nan, 2.5, 2.5]), nan_ok=True
    )
    assert built.price_reactive.tolist() == [0.03]
    mixed = Day.from_tables({"period": ["now"]}, flexible_loads=[own[0], *flexible[1:]])
    with pytest.raises(InputError, match="B, shed_price_usd_per_kvarh: one load sheds reactive power by itself"):
        grid_of_day(small.grid(tables), mixed)


def uncertain(shares: Any, budget: Any = None) -> Uncertain:
    return arrays(Uncertainty.of(shares, budget)).uncertain


def test_groups_deviate_together_by_default() -> None:
    day = arrays(Uncertainty.of("load=0.1,wind=0.5", "hours=2"))
    found = day.uncertain
    assert (found.names, found.group, found.groups) == (("load", "wind"), ("load", "wind"), ())
    assert found.hours.tolist() == [2, 2]
    assert found.load.tolist() == [-1, 0, -1, -1, 0]
    assert found.renewable.tolist() == [-1, -1, 1]
    assert found.down == pytest.approx(np.array([[0.1, 0.0], [0.1, 0.5], [0.1, 0.5]]))
    assert found.up == pytest.approx(found.down)
    assert load_factors(day, np.array([1.1, 1.0])).real.tolist() == [1.0, 1.1, 1.0, 1.0, 1.1]
    assert available_power(day, 1, np.array([1.1, 0.5])) == pytest.approx([0.3, 0.06, 0.09])


def test_sites_deviate_by_themselves_where_the_budget_says_so() -> None:
    found = uncertain({"load": 0.1, "solar": 0.3}, "load=1/1,solar=2/all")
    assert found.names == ("load at B", "load at E", "sun1", "sun2")
    assert found.hours.tolist() == [1, 1, 2, 2]
    assert found.groups == (("load", 1),)
    assert found.load.tolist() == [-1, 0, -1, -1, 1]
    assert found.renewable.tolist() == [2, 3, -1]


def test_the_reactive_load_deviates_by_itself_where_it_is_named() -> None:
    day = arrays(Uncertainty.of("load=0.1,reactive=0.3", "load=1,reactive=2/all"))
    found = day.uncertain
    assert found.names == ("load", "reactive load at B")  # that at E draws no reactive power
    assert found.group == ("load", "reactive")
    assert found.load.tolist() == [-1, 0, -1, -1, 0]
    assert found.of_reactive.tolist() == [-1, 1, -1, -1, -1]
    assert load_factors(day, np.array([1.1, 0.7])).tolist() == [1 + 1j, 1.1 + 0.7j, 1 + 1j, 1 + 1j, 1.1 + 1j]
    alone = arrays(Uncertainty.of("reactive=0.3"))
    assert load_factors(alone, np.array([0.7])).tolist() == [1 + 1j, 1 + 0.7j, 1 + 1j, 1 + 1j, 1 + 1j]
    both = arrays(Uncertainty.of("load=0.3"))
    assert load_factors(both, np.array([0.7])).tolist() == [1 + 1j, 0.7 + 0.7j, 1 + 1j, 1 + 1j, 0.7 + 0.7j]


def test_a_budget_of_the_sum_leaves_every_period_and_its_quantities_apart() -> None:
    found = uncertain("load=0.1,solar=0.3", "load=5%/1,solar=2")
    assert found.names == ("load at B", "load at E", "solar")
    assert found.hours.tolist() == [3, 3, 2]
    assert (found.groups, found.sums) == ((("load", 1),), (("load", 0.05),))


def test_no_source_has_more_than_it_is_rated_at() -> None:
    found = uncertain("solar=0.5")
    assert found.down[:, 0].tolist() == [0.0, 0.5, 0.5]
    assert found.up[:, 0] == pytest.approx([0.0, 1 / 3, 0.0])  # 40 kVA over 30 kW, and 40 kVA at 40 kW
    assert ["in 2 periods it deviates upwards only as far as" in note for note in deviation_notes(found)] == [True]
    assert not deviation_notes(uncertain("wind=0.5"))
    apart = uncertain("solar=0.5", "1/all")
    assert apart.up[1] == pytest.approx([1 / 3, 0.5])


@pytest.mark.parametrize(
    ("shares", "budget", "hours"),
    [
        ("load=0.1", None, [3]),
        ("load=0.1", 2, [2]),
        ("load=0.1", "2", [2]),
        ("load=0.1", {"load": 1}, [1]),
        ("load=0.1,wind=0.2", {"load": 1, "hours": Budget(2)}, [1, 2]),
        ("load=0.1,wind=0.2", "hours=99", [3, 3]),
        ("load=0,wind=0.2", "1", [1]),
        ("load=0.1,wind=0.2", "load=0,wind=1", [1]),
        ("load=0.1", "1/0", []),
        (None, None, []),
    ],
)
def test_budgets(shares: Any, budget: Any, hours: list[int]) -> None:
    assert uncertain(shares, budget).hours.tolist() == hours


@pytest.mark.parametrize(
    ("shares", "budget", "told"),
    [
        ("load", None, "uncertain has 'load'; give shares of the forecast"),
        ("", None, "uncertain is empty"),
        ("load=much", None, "uncertain has 'much' for load"),
        ("load=1.1", None, "uncertain has 1.1 for load; give a share from 0 to 1"),
        ("load=nan", None, "give a share from 0 to 1"),
        ("load=-0.1", None, "give a share from 0 to 1"),
        ("load=0.1,load=0.2", None, "uncertain names load twice"),
        ("hydro=0.1", None, "uncertain names 'hydro'; the groups are load, reactive, solar, wind"),
        ("load=0.1", "load=x", "budget has 'x' for load"),
        ("load=0.1", "load=1/2/3", "budget has '1/2/3' for load"),
        ("load=0.1", "load=5%/x", "budget has '5%/x' for load"),
        ("load=0.1", {"load": Budget(2, apart=True, sum_share=0.1)}, "budget has the share 0.1 of the sum of load"),
        ("load=0.1", "hydro=1", "budget names 'hydro'"),
        ("load=0.1", "wind=1", "budget names wind, which is not uncertain"),
        ("load=0.1", -1, "budget has -1 for hours"),
        ("load=0.1", {"load": 1.5}, "budget has 1.5 for load"),
    ],
)
def test_what_is_no_uncertainty_is_refused(shares: Any, budget: Any, told: str) -> None:
    with pytest.raises(OptionError) as caught:
        Uncertainty.of(shares, budget)
    assert told in str(caught.value)


def test_a_group_of_which_the_day_has_nothing_is_refused() -> None:
    with pytest.raises(OptionError, match="the day has no wind; leave it out"):
        arrays(Uncertainty.of("wind=0.1"), renewables=None)


def test_shiftable_demand_of_a_built_in_day_is_one_column() -> None:
    day = read_day("baran33-day")
    more = day.with_tables(flexible_loads=day.flexible_loads.with_columns(shift_buses_share=pl.lit(0.2)))
    ready, _ = grid_of_day("baran33", more)
    _, built = build_day(ready, build_network(ready), more)
    loaded = built.load_power.any(axis=0)
    assert (built.demand.shift_buses == np.where(loaded, 0.2, 0.0)).all()
    assert openpoint.read("baran33").generators.is_empty()


HOURS = [f"{h:02}:00" for h in range(24)]
SUMMER = [f"2026-10-25T{h:02}:00+02:00" for h in range(3)]
WINTER = [f"2026-10-25T{h:02}:00+01:00" for h in range(2, 24)]
SPRING = ["2026-03-29T00:00+01:00", "2026-03-29T01:00+01:00", "2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"]
UNEVEN = (["night", "morning", "noon"], [6.5, 2.25, 15.25], ["00:00", "06:30", "08:45"])


@pytest.mark.parametrize("now", [13, "13", "13:00", "13:00:00", " 13:00 "])
def test_an_hour_is_its_period(now: NowLike) -> None:
    assert period_at(now, [str(h) for h in range(24)], [1.0] * 24, HOURS) == 13
    assert period_at(now, [str(h) for h in range(24)], [1.0] * 24) == 13  # names that are hours are the clock
    assert period_at(now, HOURS, [1.0] * 24) == 13


def test_periods_have_any_length() -> None:
    assert [period_at(now, *UNEVEN) for now in ("00:00", "06:30", "08:45", "noon")] == [0, 1, 2, 2]
    quarters = [f"{h:02}:{m:02}" for h in range(22, 24) for m in (0, 15, 30, 45)] + ["00:00", "00:15"]
    assert period_at("23:15", [f"q{k}" for k in range(10)], [0.25] * 10, quarters) == 5
    assert period_at("00:15", [f"q{k}" for k in range(10)], [0.25] * 10, quarters) == 9  # after midnight


def test_days_of_a_clock_change() -> None:
    names, clock = [f"p{k}" for k in range(25)], SUMMER + WINTER
    assert period_at("13:00", names, [1.0] * 25, clock) == 14
    assert period_at("2026-10-25T02:00+01:00", names, [1.0] * 25, clock) == 3
    assert period_at("2026-10-25T00:00Z", names, [1.0] * 25, clock) == 2
    with pytest.raises(OptionError, match=r"'p2' from 2026-10-25T02:00\+02:00 and period 'p3' from .*\+01:00"):
        period_at("02:00", names, [1.0] * 25, clock)
    assert period_at(3, names[:4], [1.0] * 4, SPRING) == 2
    with pytest.raises(OptionError, match=r"outside the day; the nearest is period 'p2' from 2026-03-29T03:00"):
        period_at("02:20", names[:4], [1.0] * 4, SPRING)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ("07:00", "within period 'morning' from 06:30; give 06:30 or 08:45"),
        ("23:59", "within period 'noon' from 08:45; give 08:45"),
        ("24:00", "no name of a period and no time of this day; give one such as 00:00"),
        ("mornin", "no name of a period"),
        ("13.5", "no name of a period"),
        (True, "give the name of a period, an hour such as 13"),
    ],
)
def test_what_begins_no_period_is_told_with_the_nearest(now: NowLike, told: str) -> None:
    with pytest.raises(OptionError, match=told):
        period_at(now, *UNEVEN)


def test_names_are_no_clock_where_they_do_not_follow_the_hours() -> None:
    names = [str(k) for k in range(1, 25)]
    assert period_at("13", names, [1.0] * 24) == 12
    with pytest.raises(OptionError, match=r"no clock \(starts_at is not given\)"):
        period_at("13:00", names, [1.0] * 24)
    # Counted from 1 with a clock, 13 is two periods: none is taken.
    with pytest.raises(OptionError, match="may be period '13' from 12:00 and period '14' from 13:00"):
        period_at("13", names, [1.0] * 24, HOURS)
    assert period_at("13:00", names, [1.0] * 24, HOURS) == 13
    with pytest.raises(OptionError, match="Did you mean 'evening'"):
        period_at("evenin", ["noon", "evening"], [1.0, 2.0])
    short = (["a", "b"], [1.0, 1.0], ["10:00", "11:00"])
    with pytest.raises(OptionError, match="outside the day; the nearest is period 'b' from 11:00"):
        period_at("13:00", *short)
