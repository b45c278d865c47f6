"""Faults of published grids, bad input and the page."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import openpoint
from openpoint import InputError, Limits, OptionError, Reliability
from openpoint.grid.grid import Grid
from tests.builders.pages import Page, render
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
    assert strict.broken


def test_ratings_hold_at_a_share() -> None:
    grid = Grid.from_tables("ring", tables())
    lines = grid.lines.with_columns(i_max_a=pl.lit(1.0))
    counts = [
        openpoint.secure(grid.with_tables(lines=lines), max_loading_percent=percent).counts["restored"]
        for percent in (100.0, 1e5)
    ]
    assert counts[0] < counts[1]


def test_rates_come_from_the_table_then_the_length_then_the_branch() -> None:
    grid = openpoint.read("baran33")
    lines = grid.lines.with_columns(length_km=pl.when(pl.col("name") == "1").then(None).otherwise(2.0))
    data = Reliability.of(rates={"branch": ["2"], "failures_per_year": [0.5]})
    result = openpoint.secure(
        grid.with_tables(lines=lines), reliability=data, failures_per_km_year=0.1, failures_per_branch_year=0.3
    )
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
            failures_per_branch_year=0.1,
            switching_h=1.0,
            remote_switching_h=0.1,
        )
        assert result.saidi_h_per_year is not None
        return result.saidi_h_per_year

    every = grid.lines["name"].to_list()
    some = hours(["13", "34", "35", "37"])
    assert hours(every) < some < hours([])
    assert hours([]) == openpoint.secure(grid, reliability=data, failures_per_branch_year=0.1).saidi_h_per_year
    with pytest.raises(OptionError, match="above switching_h"):
        openpoint.secure(grid, remote_switching_h=2.0)


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
    assert openpoint.secure("baran33", reliability=tmp_path, failures_per_branch_year=0.1).saidi_h_per_year > 0.0
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
    with pytest.raises(OptionError, match="balanced grids"):
        openpoint.secure("ieee13")
    with pytest.raises(OptionError, match=r"max_loading_percent is 0.*repair_h is -1"):
        openpoint.secure("baran33", max_loading_percent=0.0, repair_h=-1.0)
    with pytest.raises(OptionError, match=r"1\.2, and is in percent; for 1\.2 times the ratings give 120"):
        openpoint.secure("baran33", max_loading_percent=1.2)
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
    result = openpoint.secure("baran33", reliability=data, failures_per_branch_year=0.1)
    page = Page(render(result))
    assert result.saidi_h_per_year is not None
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
    options = {"failures_per_branch_year": 0.1, "switching_h": 60.0}
    told = [note for note in openpoint.secure("baran33", **options).notes if "hours, not minutes" in note]
    assert len(told) == 1
    assert "switching takes 60 h and a repair 4 h" in told[0]
    assert not any("hours" in note for note in openpoint.secure("baran33", failures_per_branch_year=0.1).notes)
    lowest = openpoint.reconfigure_secure("baran33", minimize="ens", time_limit_s=0.0, **options)
    assert sum("hours, not minutes" in note for note in lowest.notes) == 1
