"""Storms: the same for a seed, as many broken branches as asked for, and neighbours that break together."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.grid import Grid
from openpoint.scenarios.disasters import Disasters
from openpoint.scenarios.storms import storms
from tests.grid import small

BARAN = openpoint.read("baran33")
ZHANG = openpoint.read("zhang13")
SMALL = small.grid(small.tables())
CHAIN = 40


def chain(step: float = 1.0, turn: tuple[float, float] = (1.0, 0.0), long: float = 10.0) -> Grid:
    """Buses in a row, `step` apart in the direction `turn`; every tenth line is `long` times as long."""
    places = np.concatenate([[0.0], np.cumsum([long * step if k % 10 == 9 else step for k in range(CHAIN)])])
    buses = [{"name": str(k), "vn_kv": 10.0, "x": p * turn[0], "y": p * turn[1]} for k, p in enumerate(places.tolist())]
    lines = [
        {"name": str(k), "from_bus": str(k), "to_bus": str(k + 1), "r_ohm": 0.1, "x_ohm": 0.1} for k in range(CHAIN)
    ]
    return Grid.from_tables("chain", {"buses": buses, "lines": lines, "sources": [{"name": "s", "bus": "0"}]})


def names(disasters: Disasters, grid: Grid) -> list[str]:
    branches = grid.branches()["name"].to_numpy()
    return [" ".join(branches[broken]) for broken in disasters.broken]


def mean_is(disasters: Disasters, wanted: float) -> bool:
    """Whether the mean number of broken branches is as wanted, within five standard errors and those of the fit."""
    count = disasters.broken.sum(axis=1)
    error = count.std() * np.sqrt(1.0 / len(disasters) + 1.0 / 5000)
    return bool(abs(count.mean() - wanted) < 5.0 * error)


def test_a_seed_gives_these_storms_on_every_machine() -> None:
    drawn = storms(BARAN, count=5, seed=1)
    assert names(drawn, BARAN) == PINNED_BARAN
    assert names(storms(ZHANG, count=5, seed=1), ZHANG) == PINNED_ZHANG


PINNED_BARAN = ["15 16 30 32 36", "37", "1 3 17 22 29 33 35 36 37", "4 24 25 26 33", "8 10"]
PINNED_ZHANG = ["3 7 8 9 10 13 15", "", "", "3 7 8", "7 10"]


def test_a_longer_series_begins_with_the_shorter_one() -> None:
    short, long = storms(BARAN, count=20, seed=7), storms(BARAN, count=60, seed=7)
    np.testing.assert_array_equal(long.broken[:20], short.broken)
    assert long.names[:20] == short.names == tuple(f"storm {k}" for k in range(1, 21))
    assert not np.array_equal(storms(BARAN, count=20, seed=8).broken, short.broken)


@pytest.mark.parametrize("numbers", [1, 100, 777])
def test_storms_do_not_depend_on_how_many_are_worked_out_together(
    numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = storms(ZHANG, count=30, seed=7)
    monkeypatch.setattr("openpoint.scenarios.storms._NUMBERS_BLOCK", numbers)
    np.testing.assert_array_equal(storms(ZHANG, count=30, seed=7).broken, whole.broken)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**64),
    count=st.integers(1, 400),
    mean=st.floats(0.01, 14.99),
    width=st.floats(1e-3, 1e3),
    spread=st.floats(0.0, 0.99),
)
def test_whatever_is_asked_for_is_a_set_of_disasters(
    seed: int, count: int, mean: float, width: float, spread: float
) -> None:
    drawn = storms(ZHANG, count=count, seed=seed, mean_broken=mean, width=width, spread=spread)
    assert drawn.broken.shape == (count, 15)
    assert drawn.probabilities.sum() == pytest.approx(1.0, abs=1e-12)
    assert (drawn.probabilities == 1.0 / count).all()


@pytest.mark.parametrize("grid", [BARAN, ZHANG], ids=lambda grid: grid.name)
@pytest.mark.parametrize("mean", [0.2, 3.0, 10.0])
@pytest.mark.parametrize("width", [0.03, 0.1, 1.0])
def test_as_many_branches_break_as_asked_for(grid: Grid, mean: float, width: float) -> None:
    assert mean_is(storms(grid, count=3000, seed=3, mean_broken=mean, width=width), mean)


def test_the_default_is_three_lines() -> None:
    assert mean_is(storms(BARAN, count=3000, seed=11), 3.0)


def test_nearer_lines_break_more_often() -> None:
    # Where the line in the middle breaks, the path is near it; the farther a line is, the rarer it breaks as well.
    broken = storms(chain(long=1.0), count=6000, seed=5, width=0.05, mean_broken=4.0).broken
    with_it = broken[broken[:, 20]].mean(axis=0)
    far = [np.r_[20 - last : 21 - first, 20 + first : 21 + last] for first, last in ((1, 2), (3, 5), (6, 10), (12, 19))]
    often = [1.0, *(float(with_it[lines].mean()) for lines in far)]
    assert (np.diff(often) < -0.02).all()
    assert often[1] > 2.0 * often[-1]


def test_a_narrow_storm_breaks_lines_closer_together() -> None:
    def reach(width: float) -> float:
        broken = storms(chain(), count=2000, seed=5, width=width).broken
        return float(np.mean([np.ptp(np.flatnonzero(row)) for row in broken if row.any()]))

    assert reach(0.02) < reach(0.1) < reach(1.0)


def test_strong_storms_differ_from_weak_ones_by_the_spread() -> None:
    def variance(spread: float) -> float:
        return float(storms(BARAN, count=3000, seed=2, width=10.0, spread=spread).broken.sum(axis=1).var())

    # In an even wind without spread, 37 lines break independently of each other: 37 p (1 - p), p = 3 / 37.
    assert variance(0.0) == pytest.approx(3.0 * (1.0 - 3.0 / 37.0), rel=0.1)
    assert variance(0.0) < variance(0.3) < variance(0.6)


def test_scale_and_turn_of_the_coordinates_do_not_matter() -> None:
    one = storms(chain(), count=200, seed=4)
    # Powers of two change no digit.
    np.testing.assert_array_equal(storms(chain(step=1024.0), count=200, seed=4).broken, one.broken)
    turned = storms(chain(turn=(0.0, 1.0)), count=3000, seed=4)
    assert mean_is(turned, 3.0)
    mine, theirs = storms(chain(), count=3000, seed=5).broken.mean(axis=0), turned.broken.mean(axis=0)
    np.testing.assert_allclose(mine, theirs, atol=5.0 * np.sqrt(2.0 * mine.max() / 3000))


def test_long_lines_break_more_often_where_asked() -> None:
    def share(per_length: bool) -> float:
        often = storms(chain(), count=4000, seed=6, width=10.0, mean_broken=1.0, per_length=per_length).broken.mean(0)
        return float(often[9::10].mean() / np.delete(often, np.s_[9::10]).mean())

    assert share(False) == pytest.approx(1.0, rel=0.15)
    assert share(True) == pytest.approx(10.0, rel=0.3)  # odds, so a little less than ten times


def test_only_the_kinds_asked_for_break() -> None:
    kinds = SMALL.branches()["kind"].to_numpy()
    for asked in (("lines",), ("lines", "switches"), ("switches", "transformers")):
        broken = storms(SMALL, count=300, seed=1, mean_broken=1.0, kinds=asked).broken
        assert set(kinds[broken.any(axis=0)]) == set(asked)


def test_laterals_of_a_sketch_break_together() -> None:
    # Lines 22 to 24 are a lateral of the 33 buses, lines 29 to 32 the end of another.
    broken = storms(BARAN, count=4000, seed=9).broken
    together = broken[broken[:, 22]].mean(axis=0)
    assert together[[23]].mean() > 2.0 * together[28:32].mean()


def test_a_dead_bus_and_a_second_source_have_their_place_in_a_sketch() -> None:
    grid = openpoint.read("civanlar16").with_closed({"4-5": False})
    assert mean_is(storms(grid, count=1000, seed=1), 3.0)


def test_some_coordinates_are_not_enough() -> None:
    x = pl.when(pl.col("name") == "7").then(None).otherwise(pl.col("x")).alias("x")
    with pytest.raises(OptionError, match="buses without coordinates: '7'; give all buses x and y"):
        storms(ZHANG.with_tables(buses=ZHANG.buses.with_columns(x)), count=1, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "count of at least 1"),
        ({"seed": -1}, "seed of at least 0"),
        ({"mean_broken": 0.0}, "between 0 and 15"),
        ({"mean_broken": 15.0}, "between 0 and 15"),
        ({"mean_broken": float("nan")}, "between 0 and 15"),
        ({"width": 0.0}, "width from 0.001"),
        ({"spread": 1.0}, "spread from 0"),
        ({"kinds": ("transformers",)}, "no transformers that could break"),
        ({"kinds": ()}, "could break"),
        ({"kinds": ("cables",)}, "'cables'; the kinds are lines, switches, transformers"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        storms(ZHANG, **{"count": 1, "seed": 1, **options})


def test_lengths_and_distances_need_places() -> None:
    with pytest.raises(OptionError, match="per_length"):
        storms(BARAN, count=1, seed=1, per_length=True)
    spot = ZHANG.buses.with_columns(x=pl.lit(1.0), y=pl.lit(1.0))
    with pytest.raises(OptionError, match="one spot"):
        storms(ZHANG.with_tables(buses=spot), count=1, seed=1)


def test_a_faulty_grid_is_refused() -> None:
    with pytest.raises(InputError):
        storms(ZHANG.with_tables(sources=ZHANG.sources.clear()), count=1, seed=1)
