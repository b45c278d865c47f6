"""Futures of a day as a table: what is read, and that every fault is told at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from openpoint.errors import InputError
from openpoint.grid import builtin
from openpoint.network import build_network
from openpoint.scenarios.day.build import build_day
from openpoint.scenarios.day.faults import grid_of_day
from openpoint.scenarios.day.futures import DayFutures, futures_notes, read_day_futures, realisations_of
from openpoint.scenarios.day.tables import Day, read_day

GRID = builtin.load("baran33")


def short_day() -> Day:
    """Two periods of the built-in day: noon and evening."""
    day = read_day("baran33-day")
    periods = day.periods[[12, 20]].with_columns(period=pl.Series(["noon", "evening"]), starts_at=pl.lit(None))
    profiles = day.profiles[[12, 20]].with_columns(period=pl.Series(["noon", "evening"]))
    nobody = {kind: day.tables()[kind].clear() for kind in ("vehicles", "storages", "units")}
    return day.with_tables(periods=periods, profiles=profiles, **nobody)


def frame(**columns: Any) -> pl.DataFrame:
    """A table of the futures a and b."""
    both = {"future": ["a", "a", "b", "b"], "period": ["noon", "evening"] * 2}
    return pl.DataFrame({**both, **columns})


def read(table: pl.DataFrame | Path) -> DayFutures:
    day = short_day()
    return read_day_futures(table, grid_of_day(GRID, day)[0], day)


def faults(table: pl.DataFrame | Path) -> list[tuple[str, str, str]]:
    """(row, column, message) of all faults."""
    with pytest.raises(InputError) as caught:
        read(table)
    return [(p.row, p.column, p.message) for p in caught.value.problems]


def test_a_quantity_scales_what_has_no_column_of_its_own() -> None:
    futures = read(
        frame(
            load=[1.1, 0.9, 1.0, 1.0],
            solar10=[0.5, 0.5, 2.0, 2.0],
            solar=[0.8, 0.2, 1.0, 1.0],
            **{"load at 6": [2.0, 1.0, 1.0, 1.0], "probability": [0.25, 0.25, 0.75, 0.75]},
        )
    )
    assert futures.names == ("a", "b")
    assert futures.probabilities is not None
    assert futures.probabilities.tolist() == [0.25, 0.75]
    grid, _ = grid_of_day(GRID, short_day())
    _, day = build_day(grid, build_network(grid), short_day(), futures)
    some, names = day.uncertain, day.uncertain.names
    assert dict(zip(day.renewables.names, some.renewable.tolist(), strict=True))["solar10"] == names.index("solar10")
    assert {names[q] for q in some.renewable if q >= 0} == {"solar10", "solar"}
    assert some.load[5] == names.index("load at 6")
    assert some.load[6] == names.index("load")
    assert some.load[0] == -1  # the source has no load
    days = realisations_of(futures, some)
    assert days.shape == (2, 2, 4)
    assert days[0, :, names.index("load")].tolist() == [1.1, 0.9]
    assert days[:, 1, names.index("solar")].tolist() == [1.0, 1.0]  # there is no sun in the evening
    rated = 440.0 / 360.0  # the inverter
    assert days[1, 0, names.index("solar10")] == pytest.approx(rated)
    assert futures_notes(futures, some) == (
        "solar10 exceeds the rated power of its sources in 1 rows of the futures, and ends there",
    )
    assert np.all(some.hours == 2)


def test_all_faults_at_once_with_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "wrong.csv"
    file.write_text(
        "future,period,load,solar,price,heat,probability\n"
        "a,noon,1,-1,0.1,1,0.5\n"
        "a,noon,1,1,0.1,1,0.5\n"
        "b,noon,many,1,0.1,1,-0.6\n"
        "b,night,1,,0.1,1,-0.6\n"
    )
    assert set(faults(file)) == {
        ("", "heat", "unknown column"),
        ("", "price", "the prices of a day are the same in all of its futures"),
        ("line 2, future 'a', period 'noon'", "solar", "the share is negative"),
        ("line 3, future 'a', period 'noon'", "period", "this period is given more than once in this future"),
        ("line 4, future 'b', period 'noon'", "load", "'many' is not a number"),
        ("line 5, future 'b', period 'night'", "period", "the day has no period 'night'"),
        ("line 5, future 'b', period 'night'", "solar", "value is missing"),
        ("line 4, future 'b', period 'noon'", "probability", "the probability is negative"),
        ("line 5, future 'b', period 'night'", "probability", "the probability is negative"),
        ("", "probability", "the probabilities of the 2 futures sum to -0.1, not to 1"),
        ("future 'a'", "period", "no rows for 1 of 2 periods: 'evening'"),
        ("future 'b'", "period", "no rows for 1 of 2 periods: 'evening'"),
    }


def test_a_table_without_a_quantity_says_nothing() -> None:
    assert faults(frame()) == [("", "", "no column says what differs from the forecast")]
