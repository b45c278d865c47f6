"""When periods start: gaps, overlaps and clock changes."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from itertools import pairwise

import polars as pl

from openpoint.errors import Problem

# Times that differ by less than this share of an hour are the same.
_TOLERANCE_H = 1e-6
_WITH_OFFSET = "Where clocks change, write the offset from UTC, such as 2026-03-29T03:00+02:00"


def clock_problems(periods: pl.DataFrame) -> Iterator[Problem]:
    """Faults of `starts_at`, and the warning of a day with a clock change."""
    given = periods["starts_at"].to_list()
    hours = [float(h) for h in periods["hours"]]
    if all(text is None for text in given):
        if (total := round(sum(hours), 6)) in (23.0, 25.0):
            message = f"the day has {total:g} hours, as on the day of a clock change"
            remedy = "Give starts_at with the offset from UTC to have it checked"
            yield Problem("periods", "", "hours", message, remedy, "warning")
        return
    read = [moment_of(text) for text in given]
    faults = [*_unread(periods, given, read)]
    yield from faults
    moments = [moment for moment in read if moment is not None]
    if faults or len(moments) < len(given):
        return
    if len({moment.tzinfo is None for moment in moments}) == 2:
        yield Problem("periods", "", "starts_at", "some times have an offset from UTC and some have none", _WITH_OFFSET)
        return
    bare = all(_is_clock_time(text) for text in given)
    for n, (before, after) in enumerate(pairwise(moments)):
        passed = (after - before).total_seconds() / 3600.0
        passed = passed % 24.0 if bare else passed
        if fault := _step_fault(passed, hours[n], given[n], given[n + 1]):
            yield Problem("periods", str(periods["period"][n + 1]), "starts_at", *fault)
    offsets = [moment.utcoffset() for moment in moments]
    if moments[0].tzinfo is not None and (turns := [n for n, (a, b) in enumerate(pairwise(offsets), 1) if a != b]):
        message = f"clocks change at {given[turns[0]]}: the day has {sum(hours):g} hours"
        remedy = "Profiles and prices are those of the periods as they follow each other"
        yield Problem("periods", str(periods["period"][turns[0]]), "starts_at", message, remedy, "warning")


def _unread(periods: pl.DataFrame, given: list[str | None], read: list[datetime.datetime | None]) -> Iterator[Problem]:
    for name, text, moment in zip(periods["period"], given, read):
        if text is None:
            message, remedy = "the value is missing, but other periods have it", "Give it in every row, or in none"
            yield Problem("periods", str(name), "starts_at", message, remedy)
        elif moment is None:
            remedy = "Write 2026-03-29T01:00+01:00, 2026-03-29 01:00 or 01:00"
            yield Problem("periods", str(name), "starts_at", f"{text!r} is no time", remedy)


def _step_fault(passed: float, hours: float, before: str | None, after: str | None) -> tuple[str, str] | None:
    """Message and remedy where a period does not start when the one before ends."""
    beyond = passed - hours
    if not math.isfinite(beyond) or abs(beyond) <= _TOLERANCE_H:
        return None
    text = f"{after} is {passed:g} h after {before}, a period of {hours:g} h"
    if beyond > 0:
        return f"a gap of {beyond:g} h: {text}", f"Add the period that is missing, or correct hours. {_WITH_OFFSET}"
    return f"an overlap of {-beyond:g} h: {text}", f"Remove a period, or correct hours. {_WITH_OFFSET}"


def _is_clock_time(text: str | None) -> bool:
    return text is not None and len(text.strip()) <= len("00:00:00")


def moment_of(text: str | None) -> datetime.datetime | None:
    """The moment in a text; a time of day is that of an arbitrary day."""
    if text is None:
        return None
    try:
        if _is_clock_time(text):
            return datetime.datetime.combine(datetime.date(2000, 1, 1), datetime.time.fromisoformat(text.strip()))
        return datetime.datetime.fromisoformat(text.strip())
    except ValueError:
        return None
