"""Faults of published and of random grids, against graphs and every radial state after every fault; input and page."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import openpoint
from openpoint import InputError, Limits, OptionError, Reliability
from openpoint.grid.grid import Grid
from openpoint.studies.secure.model import states, switchings
from tests.builders.clock import held
from tests.builders.pages import Page, render
from tests.builders.rerouted import restorable
from tests.builders.secured import outcomes, random_breakers, random_secured
from tests.cli.desk import tables


def test_the_answer_of_least_loss_is_judged_as_the_grid_after() -> None:
    grid = openpoint.read("baran33")
    names = ["7", "9", "14", "32", "37"]
    after = grid.with_closed({name: name not in names for name in grid.branches()["name"]})
    asked, other = openpoint.secure(grid, open_branches=names), openpoint.secure(after)
    assert asked.faults.equals(other.faults)
    assert not asked.is_today
    assert asked.loss_kw == pytest.approx(139.551, abs=1e-3)
    assert asked.counts == {
        "nothing lost": 0,
        "restored": 28,
        "partly restored": 0,
        "overload": 0,
        "limits": 3,
        "no tie": 1,
    }


def test_wider_limits_restore_more() -> None:
    strict = openpoint.secure("baran33", limits=Limits(v_min_pu=0.92))
    wide = openpoint.secure("baran33", limits=Limits(voltage=False))
    assert strict.counts["restored"] <= openpoint.secure("baran33").counts["restored"] <= wide.counts["restored"]
    assert wide.counts["limits"] == 0
    assert "breaks" in strict.notes[0]  # 0.913 pu without a fault
    assert strict.violations


def test_ratings_hold_at_a_share() -> None:
    grid = Grid.from_tables("ring", tables())
    lines = grid.lines.with_columns(i_max_a=pl.lit(1.0))
    counts = [
        openpoint.secure(grid.with_tables(lines=lines), emergency={"loading": percent}).counts["restored"]
        for percent in (100.0, 1e5)
    ]
    assert counts[0] < counts[1]


def test_what_is_planned_for_holds_without_a_fault_and_what_an_emergency_allows_after_one() -> None:
    grid = Grid.from_tables("ring", tables())
    free = openpoint.secure(grid, limits=Limits(current=False))
    i_a = openpoint.run_powerflow(grid).branches.select("name", "i_a")
    most = max(i_a["i_a"].fill_null(0.0))
    rated = {"i_max_a": pl.lit(2.0 * most), "max_loading_percent": pl.lit(40.0)}
    tight = grid.with_tables(lines=grid.lines.with_columns(**rated))
    found = openpoint.secure(tight)
    assert found.violations[0].limit == pytest.approx(0.8 * most)
    flow = openpoint.run_powerflow(tight).branches.filter(pl.col("loading_percent").is_not_null())
    assert flow["loading_percent"].max() == pytest.approx(50.0)
    assert set(flow["loading_limit_percent"]) == {40.0}
    # Where the grid says nothing an emergency allows the rating, else what the grid says, or what is asked for.
    loadings = found.faults["loading_percent"].drop_nulls()
    assert 40.0 < loadings.max() <= 100.0 + 1e-3
    assert found.counts["restored"] <= free.counts["restored"]
    assert openpoint.secure(tight, emergency={"loading": 1e4}).counts == free.counts
    own = tight.with_tables(lines=tight.lines.with_columns(emergency_loading_percent=pl.lit(1e4)))
    assert openpoint.secure(own).counts == free.counts
    assert openpoint.secure(own, emergency={"loading": 100.0}).counts == found.counts
    assert openpoint.secure(tight, emergency={"loading": 40.0}).counts["restored"] < found.counts["restored"]


def station(v_min_pu: float, **moves: float) -> Grid:
    """Two feeders with a tie behind a transformer, whose tap changer these cells describe."""
    unit = {
        "name": "T",
        "from_bus": "H",
        "to_bus": "S",
        "vn_from_kv": 110.0,
        "vn_to_kv": 20.0,
        "r_ohm": 0.1,
        "x_ohm": 2.0,
    }
    line = {"r_ohm": 2.0, "x_ohm": 2.0}
    return Grid.from_tables(
        "station",
        {
            "buses": [
                {"name": "H", "vn_kv": 110.0},
                *({"name": name, "vn_kv": 20.0, "v_min_pu": v_min_pu} for name in "SAB"),
            ],
            "lines": [
                {"name": "SA", "from_bus": "S", "to_bus": "A", **line},
                {"name": "SB", "from_bus": "S", "to_bus": "B", **line},
                {"name": "AB", "from_bus": "A", "to_bus": "B", "closed": False, **line},
            ],
            "transformers": [unit | moves],
            "sources": [{"name": "up", "bus": "H"}],
            "loads": [{"name": name, "bus": name, "p_kw": 3000.0, "q_kvar": 500.0} for name in "AB"],
        },
    )


def test_that_taps_stay_is_said_where_a_voltage_is_what_no_tie_keeps() -> None:
    taps = {"tap_min": -9, "tap_max": 9, "tap_step_percent": 1.5}
    low, kept, stiff = (openpoint.secure(each) for each in (station(0.95, **taps), station(0.8, **taps), station(0.95)))
    assert low.counts["limits"] > kept.counts["limits"] == 0
    assert any(
        note.startswith(f"after {low.counts['limits']} faults") and note.endswith("lets them follow: T")
        for note in low.notes
    )
    assert "taps stay where they are" in kept.rules
    assert not any("taps" in text for text in (*kept.notes, *stiff.notes, stiff.rules))


def test_voltages_of_an_emergency_hold_after_faults_alone() -> None:
    planned = openpoint.secure("baran33", limits=Limits(v_min_pu=0.92))
    wide = openpoint.secure("baran33", limits=Limits(v_min_pu=0.92), emergency="v_min=0.5")
    assert planned.violations == wide.violations
    assert wide.counts == openpoint.secure("baran33", limits=Limits(v_min_pu=0.5)).counts != planned.counts
    assert "v_min 0.5 pu" in wide.rules
    assert not any("emergency" in note for note in wide.notes)
    with pytest.raises(OptionError, match="lies between 0 and 2 pu"):
        openpoint.secure("baran33", emergency={"v_max": 5.0})


def test_rates_come_from_the_table_then_the_length_then_the_branch() -> None:
    grid = openpoint.read("baran33")
    lines = grid.lines.with_columns(length_km=pl.when(pl.col("name") == "1").then(None).otherwise(2.0))
    data = Reliability.of(rates={"branch": ["2"], "failures_per_year": [0.5]})
    result = openpoint.secure(grid.with_tables(lines=lines), reliability=data, failures={"km": 0.1, "branch": 0.3})
    rates = dict(result.faults.select("name", "failures_per_year").iter_rows())
    assert (rates["1"], rates["2"], rates["3"]) == (0.3, 0.5, 0.2)
    assert result.saidi_h_per_year is None  # nobody said how many customers there are
    part = openpoint.secure(grid, reliability=data)
    assert "31 branches have no rate" in part.notes[0]


def test_a_breaker_in_a_feeder_trips_only_what_is_behind_it() -> None:
    plain = openpoint.secure("baran33").faults
    data = Reliability.of(breakers={"branch": ["10"], "end": ["from"]})
    with_breaker = openpoint.secure("baran33", reliability=data).faults
    tripped, fewer = (dict(table.select("name", "tripped_kw").iter_rows()) for table in (plain, with_breaker))
    changed = {name for name in tripped if tripped[name] != fewer[name]}
    assert changed == {str(branch) for branch in range(10, 18)}  # at and behind the breaker
    assert fewer["12"] == fewer["10"] < tripped["10"]


def test_what_is_remote_is_switched_sooner() -> None:
    grid = openpoint.read("baran33")
    data = Reliability.of({"bus": ["14", "18"], "customers": [100, 50]})

    def hours(names: list[str]) -> float:
        lines = grid.lines.with_columns(remote=pl.col("name").is_in(names))
        result = openpoint.secure(
            grid.with_tables(lines=lines),
            reliability=data,
            failures="branch=0.1",
            hours={"switching": 1.0, "remote": 0.1},
        )
        assert result.saidi_h_per_year is not None
        return result.saidi_h_per_year

    every = grid.lines["name"].to_list()
    some = hours(["13", "34", "35", "37"])
    assert hours(every) < some < hours([])
    assert hours([]) == openpoint.secure(grid, reliability=data, failures="branch=0.1").saidi_h_per_year
    with pytest.raises(OptionError, match="above switching=1"):
        openpoint.secure(grid, hours="remote=2")


def test_breakers_that_are_wrong_are_told() -> None:
    with pytest.raises(InputError, match="'middle' is no end of a line") as caught:
        Reliability.of(breakers={"branch": ["2", "3", "3"], "end": ["middle", "to", "from"]})
    assert "more than one row" in str(caught.value)
    with pytest.raises(InputError, match="the grid has no line '222'"):
        openpoint.secure("baran33", reliability=Reliability.of(breakers={"branch": ["222"]}))


def test_faults_of_the_data_are_all_told(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "customers.csv").write_text("bus,customers\n14,-1\n14,x\n99,3\n")
    (folder / "rates.csv").write_text("branch,failures_per_year,repair_h\n2,-0.1,4\n")
    with pytest.raises(InputError) as caught:
        openpoint.secure("baran33", reliability=folder)
    told = str(caught.value)
    assert "'x' is not a number" in told
    assert "-1 is no number from 0 on" in told
    assert "this bus has more than one row" in told
    assert "-0.1 is no number from 0 on" in told
    assert "the grid has no bus '99'" in told
    (folder / "customers.csv").write_text("bus,customers\n144,1\n")
    (folder / "rates.csv").write_text("branch,failures_per_year\n222,1\n")
    with pytest.raises(InputError, match="the grid has no bus '144'") as caught:
        openpoint.secure("baran33", reliability=folder)
    assert "no line or transformer '222'" in str(caught.value)


def test_tables_of_other_names_are_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("bus,customers\n14,1\n")
    (tmp_path / "lines.csv").write_text("a table of the grid\n")
    (tmp_path / "notes.txt").write_text("anything\n")
    assert openpoint.secure("baran33", reliability=tmp_path, failures="branch=0.1").saidi_h_per_year > 0.0
    (tmp_path / "rate.csv").write_text("branch,failures_per_year\n2,0.1\n")
    (tmp_path / "kunden.csv").write_text("bus,customers\n15,1\n")
    with pytest.raises(InputError, match=r"kunden\.csv: .* is not read\. Files are named customers\.csv") as caught:
        openpoint.secure("baran33", reliability=tmp_path)
    assert "Did you mean 'rates.csv'" in str(caught.value)


def test_a_sheet_whose_name_is_nearly_right_is_told(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "notes"
    book.active.append(["anything"])
    for title, rows in (("customers", [["bus", "customers"], ["14", 1]]), ("rate", [["branch"], ["2"]])):
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(tmp_path / "data.xlsx")
    with pytest.raises(InputError, match=r"rate.*this sheet is not read\. Did you mean 'rates'"):
        openpoint.secure("baran33", reliability=tmp_path / "data.xlsx")


def test_only_the_loops_that_cannot_stay_are_told() -> None:
    """Of two pairs of transformers in parallel, only the one with different ratios stops the study."""
    unit = {"vn_from_kv": 110.0, "r_ohm": 0.1, "x_ohm": 2.0, "s_max_kva": 9000.0}
    ends = [("like1", "A", 20.0), ("like2", "A", 20.0), ("other1", "B", 20.0), ("other2", "B", 20.5)]
    grid = openpoint.Grid.from_tables(
        "stations",
        {
            "buses": [{"name": name, "vn_kv": v} for name, v in (("H", 110.0), ("A", 20.0), ("B", 20.0))],
            "transformers": [
                {"name": name, "from_bus": "H", "to_bus": bus, "vn_to_kv": vn, **unit} for name, bus, vn in ends
            ],
            "sources": [{"name": "S", "bus": "H"}],
            "loads": [{"name": bus, "bus": bus, "p_kw": 100.0} for bus in "AB"],
        },
    )
    with pytest.raises(InputError, match="other") as caught:
        openpoint.secure(grid)
    assert "like" not in str(caught.value)


def test_what_cannot_be_judged_is_refused() -> None:
    with pytest.raises(InputError, match="no such branch"):
        openpoint.secure("baran33", open_branches="77")
    with pytest.raises(InputError, match="closes a loop"):
        openpoint.secure("baran33", open_branches=["33", "34", "35", "36"])
    with pytest.raises(InputError, match="no source reaches them"):
        openpoint.secure("baran33", open_branches=["1", "33", "34", "35", "36", "37"])
    with pytest.raises(OptionError, match=r"loading of emergency is 0.*hours of repair is -1"):
        openpoint.secure("baran33", emergency={"loading": 0.0}, hours="repair=-1")
    with pytest.raises(OptionError, match=r"1\.2, and is in percent; for 1\.2 times the ratings give 120"):
        openpoint.secure("baran33", emergency={"loading": 1.2})
    with pytest.raises(InputError, match="neither customers nor rates"):
        openpoint.secure("baran33", reliability=Path(__file__).parent)


def test_more_than_ties_restores_more() -> None:
    result = openpoint.secure("baran33", switchings=2, any_switching=True)
    assert result.counts["restored"] == 28
    words = {"nothing": 1, "ties": 21, "switchings": 8, "more": 0, "none": 2, "unknown": 0}
    assert result.restorable_counts == words
    assert result.switchings.filter("is_taken").height == 7
    page = Page(render(result))
    assert "8 faults after which more than ties restores the supply" in page.text
    with pytest.raises(OptionError, match="switchings is 0"):
        openpoint.secure("baran33", switchings=0)


def test_the_page_says_what_the_result_says() -> None:
    data = Reliability.of({"bus": ["14"], "customers": [120]})
    result = openpoint.secure("baran33", reliability=data, failures="branch=0.1")
    page = Page(render(result))
    for said in ("of 32 faults in today's state 11 leave load", "21 of 31", f"{60 * result.saidi_h_per_year:.1f} min"):
        assert said in page.text
    assert page.text.count("leave load without supply") == page.text.count(result.in_short) == 1
    assert "None" not in page.text


def test_wrong_numbers_and_unknown_names_are_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "customers.csv").write_text("bus,customers\n2,-5\n99,3\n")
    (tmp_path / "rates.csv").write_text("branch,failures_per_year\n1,-1\nzz,1\n")
    (tmp_path / "breakers.csv").write_text("branch,end\n1,middle\n")
    with pytest.raises(InputError) as caught:
        openpoint.secure("baran33", reliability=tmp_path)
    assert [(each.table, each.row) for each in caught.value.problems] == [
        ("customers", "2"),
        ("rates", "1"),
        ("breakers", "1"),
        ("customers", "99"),
        ("rates", "zz"),
    ]


def test_switching_that_takes_longer_than_a_repair_is_doubted() -> None:
    options = {"failures": "branch=0.1", "hours": "switching=60"}
    told = [note for note in openpoint.secure("baran33", **options).notes if "hours, not minutes" in note]
    assert len(told) == 1
    assert "switching takes 60 h and a repair 4 h" in told[0]
    assert not any("hours" in note for note in openpoint.secure("baran33", failures="branch=0.1").notes)
    lowest = openpoint.reconfigure_secure("baran33", minimize="ens", time_limit_s=0.0, **options)
    assert sum("hours, not minutes" in note for note in lowest.notes) == 1


@pytest.mark.parametrize("seed", range(3))
def test_faults_are_those_of_graphs_and_single_states(seed: int) -> None:
    check(seed)


def check(seed: int) -> None:
    """Compare tables and indices of a random grid with the oracle; every second one has breakers in its feeders."""
    grid, data = random_secured(seed)
    breakers = random_breakers(seed, grid) if seed % 2 else {}
    data = replace(data, breakers=pl.DataFrame({"branch": list(breakers), "end": list(breakers.values())}))
    result = openpoint.secure(grid, reliability=data, failures="km=0.1", hours="switching=0.5,repair=3")
    found = {row["name"]: row for row in result.faults.iter_rows(named=True)}
    load = dict(zip(result.buses["name"], result.buses["load_kw"], strict=True))
    customers = dict(data.customers.iter_rows())
    rates = dict(data.rates.select("branch", "failures_per_year").iter_rows())
    km = dict(grid.lines.select("name", "length_km").iter_rows())
    expected = dict(outcomes(grid, breakers))
    assert found.keys() == expected.keys()
    times = hours = kwh = 0.0
    for name, outcome in expected.items():
        row = found[name]
        lost = sum(load[bus] for part in outcome.parts for bus in part) - outcome.served_kw
        assert row["is_whole"]
        if not outcome.parts:
            assert row["verdict"] == ("nothing lost" if outcome.stays else "overload")
        assert row["tripped_kw"] == pytest.approx(sum(load[bus] for bus in outcome.tripped), abs=1e-9)
        assert row["isolated_kw"] == pytest.approx(sum(load[bus] for bus in outcome.isolated), abs=1e-9)
        assert row["lost_kw"] == pytest.approx(lost, abs=1e-6), name
        assert set(row["to_close"].split()) == outcome.ties or outcome.served_kw == 0.0, name
        waiting = set(outcome.isolated).union(*outcome.parts) - _served(grid, result, row, outcome.parts)
        rate = rates.get(name, 0.1 * km[name] if name in km else 0.0)
        here = [customers.get(bus, 0.0) for bus in outcome.tripped]
        times += rate * sum(here)
        hours += rate * (0.5 * sum(here) + 2.5 * sum(customers.get(bus, 0.0) for bus in waiting))
        kwh += rate * (0.5 * row["tripped_kw"] + 2.5 * (lost + row["isolated_kw"]))
    total = sum(customers.values())
    assert result.saifi_per_year == pytest.approx(times / total, rel=1e-9)
    assert result.saidi_h_per_year == pytest.approx(hours / total, rel=1e-9)
    assert result.not_supplied_kwh_per_year == pytest.approx(kwh, rel=1e-6, abs=1e-9)


def _served(
    grid: openpoint.Grid, result: object, row: dict[str, object], parts: tuple[frozenset[str], ...]
) -> set[str]:
    """Buses of the parts that the ties of a row feed."""
    ties = str(row["to_close"]).split()
    ends = grid.branches().filter(grid.branches()["name"].is_in(ties)).select("from_bus", "to_bus")
    touched = {bus for pair in ends.iter_rows() for bus in pair}
    return {bus for part in parts if part & touched for bus in part}


@pytest.mark.parametrize("name", ["mantovani136", "zhang118"])
def test_the_feeders_that_a_switching_changes_tell_all(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for large in (0, 10_000):
        monkeypatch.setattr(states, "LARGE", large)
        found.append(openpoint.secure(name).faults)
    assert_frame_equal(found[0], found[1], rel_tol=1e-9)


MOST = 2


@pytest.mark.parametrize("seed", range(100, 104))
def test_closings_are_those_of_brute_force(seed: int) -> None:
    check_closings(seed)


def check_closings(seed: int) -> dict[str, int]:
    """Compare every fault of a random grid with brute force; how many were restorable by what."""
    grid, data = random_secured(seed)
    by_ties = openpoint.secure(grid, reliability=data)
    result = openpoint.secure(grid, reliability=data, switchings=MOST, any_switching=True)
    load = dict(zip(result.buses["name"], result.buses["load_kw"], strict=True))
    lost_by_ties = dict(by_ties.faults.select("name", "lost_kw").iter_rows())
    found = {row["name"]: row for row in result.switchings.iter_rows(named=True)}
    for row in result.faults.iter_rows(named=True):
        name, word = row["name"], row["restorable"]
        assert word not in ("more", "unknown")
        assert (word == "switchings") == (name in found)
        if word in ("nothing", "ties"):  # see test_oracle
            continue
        expected = restorable(grid, name)
        cut_kw = sum(load[bus] for bus in expected.cut_off)
        if word == "none":
            assert expected.fewest is None, name
        elif word == "switchings":
            fewest = expected.fewest
            assert expected.joined <= fewest <= row["closings"]
            assert not row["is_fewest"] or row["closings"] == fewest
            within = fewest <= max(MOST, expected.joined)
            assert found[name]["is_taken"] == within
            assert row["is_fewest"] or not within
            assert len(found[name]["to_close"].split()) == row["closings"]
            assert len(found[name]["then_open"].split()) == row["closings"] - expected.joined
            if within:
                assert row["lost_kw"] == pytest.approx(cut_kw, abs=1e-6)
                continue
        assert set(row["cut_off"].split()) == set(expected.cut_off)
        assert row["lost_kw"] == pytest.approx(lost_by_ties[name], abs=1e-6)
    return result.restorable_counts


def test_the_time_limit_leaves_faults_unknown_and_counts_them_as_neither() -> None:
    result = openpoint.secure("baran33", any_switching=True, time_limit_s=0.0)
    assert result.restorable_counts["unknown"] + result.restorable_counts["more"] == 10
    assert result.restorable_counts["none"] == 0
    assert "not known" in result.notes[0]


def test_states_are_not_counted_once_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, count = held(monkeypatch, 0.0), switchings.count_topologies

    def slow(*given: Any, **options: Any) -> int:
        clock.now += 1.0
        return count(*given, **options)

    monkeypatch.setattr(switchings, "count_topologies", slow)
    whole = openpoint.secure("baran33", switchings=3)
    assert clock.now > 100.0
    clock.now = 0.0
    cut = openpoint.secure("baran33", switchings=3, time_limit_s=20.5)
    assert 20.0 < clock.now <= 23.0
    assert cut.restorable_counts["unknown"] + cut.restorable_counts["more"] > 0
    known = dict(whole.faults.select("name", "restorable").iter_rows())
    for name, word in cut.faults.select("name", "restorable").iter_rows():
        assert word in (known[name], "more", "unknown")
