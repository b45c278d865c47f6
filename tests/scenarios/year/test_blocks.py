"""Blocks of a year: months and parts, tables, and everything that is wrong with them."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.scenarios.year.blocks import Blocks, read_blocks
from openpoint.scenarios.year.read import Year


@pytest.fixture(scope="module")
def hours() -> Year:
    return openpoint.read_year("synthetic-hours", "civanlar16")


@pytest.fixture(scope="module")
def typical() -> Year:
    return openpoint.read_year(pl.DataFrame({"hours": [730.0] * 12, "all": [0.5] * 12}), "civanlar16")


def table(*rows: tuple[str | None, str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=["block", "start", "end"], orient="row")


SEASONS = (
    ("winter 1", "2029-01-01", "2029-04-01"),
    ("summer", "2029-04-01T00:00", "2029-10-01T00:00"),
    ("winter 2", "2029-10-01", "2030-01-01"),
)


def test_months_and_quarters_are_those_of_the_clock(hours: Year) -> None:
    months = read_blocks("monthly", hours)
    assert len(months) == 12
    assert months.names[:2] == ("2029-01", "2029-02")
    assert np.bincount(months.of).tolist() == [24 * n for n in (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)]
    quarters = read_blocks("quarterly", hours)
    assert quarters.names == ("2029 Q1", "2029 Q2", "2029 Q3", "2029 Q4")
    assert (quarters.of == months.of // 3).all()


def test_a_table_cuts_where_it_says_in_any_order(hours: Year, tmp_path: Path) -> None:
    frame = table(*SEASONS[::-1])
    seasons = read_blocks(frame, hours)
    assert seasons.names == ("winter 1", "summer", "winter 2")
    assert np.bincount(seasons.of).tolist() == [24 * n for n in (90, 183, 92)]
    file = tmp_path / "seasons.csv"
    frame.write_csv(file, separator=";")
    assert (read_blocks(file, hours).of == seasons.of).all()
    assert read_blocks(seasons, hours) is seasons


def test_times_with_an_offset_are_instants(hours: Year) -> None:
    frame = table(("a", "2029-01-01T00:00Z", "2029-07-01T02:00+02:00"), ("b", "2029-07-01", "2030-01-01"))
    assert np.bincount(read_blocks(frame, hours).of).tolist() == [24 * 181, 24 * 184]


def test_steps_without_times_are_cut_by_their_numbers(typical: Year) -> None:
    frame = pl.DataFrame({"block": ["a", "b"], "start": [1, 4], "end": [4, 13]})
    assert read_blocks(frame, typical).of.tolist() == [0] * 3 + [1] * 9


@given(st.integers(1, 12), st.lists(st.floats(0.5, 3.0), min_size=12, max_size=40))
@settings(max_examples=50, deadline=None)
def test_equal_parts_are_as_long_as_each_other_up_to_a_step(count: int, lengths: list[float]) -> None:
    given = np.array(lengths)
    none = np.empty(0, dtype=np.int64)
    steps = tuple(str(n + 1) for n in range(len(given)))
    year = Year(steps, given, (), np.zeros((len(given), 0)), (), none, none, np.empty(0, dtype=np.complex128))
    if given.max() >= given.sum() / count:  # a part may have no step
        with contextlib.suppress(OptionError):
            read_blocks(count, year)
        return
    blocks = read_blocks(str(count), year)
    assert len(blocks) == count
    assert (np.diff(blocks.of) >= 0).all()
    each = np.bincount(blocks.of, given, minlength=count)
    assert np.abs(each - given.sum() / count).max() <= given.max() + 1e-9


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([("a", "2029-01-01", "2029-04-01"), ("b", "2029-04-02", "2030-01-01")], "number 2, start: a gap"),
        ([("a", "2029-01-01", "2029-04-02"), ("b", "2029-04-01", "2030-01-01")], "number 2, start: an overlap"),
        ([("a", "2029-04-01", "2029-01-01")], "number 1, end: block 'a' ends at 2029-01-01, not after"),
        ([("a", "2029-02-01", "2030-01-01")], "Let the first block start where the year does"),
        ([("a", "2029-01-01", "2029-12-31")], "Let the last block end where the year does"),
        ([("a", "2029-01-01", "2029-07-01T00:00"), ("b", "2029-07-01T00:00", "2029-07-01T00:20"),
          ("c", "2029-07-01T00:20", "2029-07-01T00:40"), ("d", "2029-07-01T00:40", "2030-01-01")],
         "number 3: no step of the year starts in block 'c'"),
        ([("a", "2029-01-01", "2029-04-01"), ("a", "2029-04-01", "2030-01-01")], "block 'a' stands twice"),
        ([(None, "2029-01-01", "2030-01-01")], "number 1, block: the value is missing"),
        ([("a", "new year", None)], "number 1, start: 'new year' is no time"),
        ([("a", "2029-01-01", None)], "number 1, end: the value is missing"),
    ],
)  # fmt: skip
def test_a_faulty_table_is_refused_with_row_and_remedy(
    hours: Year, rows: list[tuple[str | None, str | None, str | None]], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_blocks(table(*rows), hours)
    assert told in str(caught.value)


def test_all_faults_are_told_at_once(hours: Year) -> None:
    rows = table(
        ("a", "2029-01-01", "2029-03-01"), ("b", "2029-04-01", "2029-08-01"), ("c", "2029-07-01", "2029-09-01")
    )
    with pytest.raises(InputError) as caught:
        read_blocks(rows, hours)
    assert [each.message.split(":")[0] for each in caught.value.problems[:2]] == ["a gap", "an overlap"]
    assert "last step" in caught.value.problems[2].message


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("montly", "Did you mean monthly?"),
        ("0", "give 1 to 8760"),
        (-3, "give 1 to 8760"),
        (pl.DataFrame({"block": ["a"], "from": ["2029-01-01"], "end": ["2030-01-01"]}), "column is missing"),
        (table(), "the table has no rows"),
        (Blocks(("a",), np.zeros(12, dtype=np.int64)), "these blocks are of 12 steps"),
    ],
)
def test_what_are_no_blocks(hours: Year, source: str | int | pl.DataFrame | Blocks, told: str) -> None:
    with pytest.raises((InputError, OptionError)) as caught:
        read_blocks(source, hours)
    assert told in str(caught.value)


def test_years_without_times_have_no_months(typical: Year) -> None:
    with pytest.raises(OptionError, match="number of equal parts"):
        read_blocks("monthly", typical)
    with pytest.raises(InputError, match="no number of a step"):
        read_blocks(table(("a", "2029-01-01", "2030-01-01")), typical)
