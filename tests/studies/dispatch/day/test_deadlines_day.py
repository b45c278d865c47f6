"""Dispatch over a day under limits and Ctrl-C, wherever they come: the best verified plan is kept and its gap told."""

import math
from typing import Any

import polars as pl
import pytest

from openpoint import Day, Grid, Termination
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.study import PreparedDay, prepare_day
from openpoint.twostage.log import SAME
from tests.builders.clock import Wish, held
from tests.builders.days import day, small
from tests.grid.small import grid, tables

WAYS = ("columns", "search", "switching")
ROBUST: dict[str, Any] = {"uncertain": "load=0.1", "budget": 1, "gap": 1e-5}


def bare() -> Grid:
    """No generators: nothing is decided but open points."""
    changed = tables()
    changed["generators"] = []
    return grid(changed)


def prices() -> Day:
    """Three periods around a clock change."""
    starts = ["2026-10-25T00:00+02:00", "2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00"]
    return Day.from_tables({"period": ["a", "b", "c"], "hours": [2.0, 1.0, 1.0], "starts_at": starts,
                            "price_usd_per_kwh": [0.1, 0.3, 0.05], "load_share": [0.4, 1.0, 0.7]})  # fmt: skip


def ready(way: str, **options: Any) -> PreparedDay:
    if way == "switching":
        asked = DayOptions(**{"topology": "hourly", "prices": {"switching": 0.01}, "gap": 1e-9, **options})
        return prepare_day(bare(), prices(), asked)
    given = {"topology": "once" if way == "search" else "fixed", "method": way, **ROBUST, **options}
    return prepare_day(small(), day(flexible_loads=[]), DayOptions(**given))


@pytest.fixture(scope="module")
def best() -> dict[str, DispatchDayResult]:
    return {way: ready(way).solve() for way in WAYS}


def check(cut: DispatchDayResult, best: DispatchDayResult) -> None:
    """What a run that was cut short may claim."""
    assert cut.lower_bound_usd <= best.objective_usd * (1.0 + 1e-9)
    assert cut.open_today == best.open_today
    if cut.objective_usd is None:
        assert not cut.has_answer
        assert math.isinf(cut.gap)
        return
    assert cut.objective_usd >= best.lower_bound_usd * (1.0 - 1e-9)
    same = SAME / cut.objective_usd  # bounds this close count as equal
    assert cut.gap == pytest.approx(max(1.0 - cut.lower_bound_usd / cut.objective_usd, 0.0), abs=1e-9 + same)
    assert cut.violations == ()
    assert cut.balance_max_kw < 1e-9
    assert cut.total("cost_usd", "worst") == pytest.approx(cut.objective_usd, rel=1e-6)
    assert cut.state_at(cut.periods["period"][-1]).height or cut.generators.is_empty()


@pytest.mark.parametrize("at", [1, 8])
@pytest.mark.parametrize("way", WAYS)
def test_ctrl_c_keeps_what_was_verified(
    way: str, at: int, best: dict[str, DispatchDayResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = Wish(monkeypatch, at)
    cut = ready(way).solve()
    came = wish.asked >= at
    assert came or at > 3  # else the test would say nothing
    assert cut.termination is (Termination.INTERRUPTED if came else best[way].termination) or cut.gap <= 1e-5
    check(cut, best[way])


@pytest.mark.parametrize("limit", [0.5, 9.5])
@pytest.mark.parametrize("way", WAYS)
def test_a_time_limit_keeps_what_was_verified(
    way: str, limit: float, best: dict[str, DispatchDayResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = held(monkeypatch, 0.5)
    cut = ready(way, time_limit_s=limit).solve()
    assert cut.termination in (Termination.TIME, best[way].termination)
    assert clock.now <= limit + 60.0  # looks at the clock, half a second each
    check(cut, best[way])


def test_a_clock_change_and_a_price_below_0_are_told_beside_the_figures() -> None:
    periods = prices().periods.with_columns(price_usd_per_kwh=pl.Series([0.1, -0.03, 0.05]))
    given = day(periods=periods, vehicles=[], flexible_loads=[])
    result = prepare_day(small(), given, DayOptions(topology="fixed", now="2026-10-25T02:00+02:00")).solve()
    assert result.has_answer
    assert (result.hours_passed, result.periods["starts_at"][0]) == (2.0, "2026-10-25T02:00+02:00")
    told = " ".join(result.notes)
    assert "clocks change at 2026-10-25T02:00+01:00: the day has 4 hours" in told
    assert "prices are negative in b" in told
