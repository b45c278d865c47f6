"""The period that begins at a time: by name or clock, in periods of any length, on days of 23, 24 and 25 hours."""

from __future__ import annotations

import pytest

from openpoint import OptionError
from openpoint.scenarios.day.clock import NowLike, period_at

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
