"""The clock of a day: gaps, overlaps and clock changes, which period begins at a time, and what was measured then."""

from __future__ import annotations

import datetime
import math
import os
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import polars as pl

from openpoint.arguments import path_of
from openpoint.errors import OptionError, Problem, did_you_mean
from openpoint.grid.conform import RawTable, conform
from openpoint.grid.rules.problems import names_in_words
from openpoint.scenarios.day.schemas import MEASURED, NEEDED, MeasuredState, at, duplicates, has_fault
from openpoint.scenarios.steps import MIXED, OFFSET, are_mixed, moment_of, step_fault
from openpoint.scenarios.tables import read_tables

# Times that differ by less than this share of an hour are the same.
_TOLERANCE_H = 1e-6


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
    read = [_moment_of(text) for text in given]
    faults = [*_unread(periods, given, read)]
    yield from faults
    moments = [moment for moment in read if moment is not None]
    if faults or len(moments) < len(given):
        return
    if are_mixed(moments):
        yield Problem("periods", "", "starts_at", MIXED, OFFSET)
        return
    bare = all(_is_clock_time(text) for text in given)
    for n, (before, after) in enumerate(pairwise(moments)):
        passed = (after - before).total_seconds() / 3600.0
        passed = passed % 24.0 if bare else passed
        if math.isfinite(hours[n]) and abs(passed - hours[n]) > _TOLERANCE_H:
            fault = step_fault(passed, hours[n], given[n], given[n + 1], "period")
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


def _is_clock_time(text: str | None) -> bool:
    return text is not None and len(text.strip()) <= len("00:00:00")


def _moment_of(text: str | None) -> datetime.datetime | None:
    """The moment in a text; a time of day is that of an arbitrary day."""
    return moment_of(f"2000-01-01T{text.strip()}" if text is not None and _is_clock_time(text) else text)


NowLike = str | int
"""A time of a day: the name of a period, an hour (13), a time (13:00), or a date and time with its offset from UTC."""

_CLOCK = re.compile(r"(\d{1,2})(?::(\d{2}))?(?::\d{2})?$")
_DAY_S = 86_400.0
_NEAR_S = 1.0
"""Seconds within which two times are the same."""


def period_at(now: NowLike, names: Sequence[str], hours: Sequence[float], starts_at: Sequence[str | None] = ()) -> int:
    """The number of the period that begins at a time.

    The clock of a day is that of `starts_at`. Where it is not given, names that are hours (0, 1, … or 00:00, …) are the
    clock if they follow each other as the periods do; else only names of periods count.

    Args:
        now: a name of a period, or a time. names: of the periods. hours: their lengths. starts_at: when they start.

    Raises:
        OptionError: no period begins then, named with the nearest; or several do.
    """
    if not isinstance(now, str | int) or isinstance(now, bool):
        raise OptionError(f"now is {now!r}; give the name of a period, an hour such as 13, or a time such as 13:00")
    text = str(now).strip()
    moments = _moments(names, hours, starts_at)
    found = {n for n, name in enumerate(names) if name == text}
    if moments is not None and (at := _starting(text, moments)) is not None:
        found |= {n for n, away in enumerate(at) if abs(away) <= _NEAR_S}
    if len(found) == 1:
        return found.pop()
    if found:
        these = " and ".join(_called(n, names, moments) for n in sorted(found))
        raise OptionError(f"now is {text!r}, which may be {these}; give the time with its offset from UTC, or hh:mm")
    raise OptionError(f"now is {text!r}: {_why(text, names, hours, moments)}")


def _moments(
    names: Sequence[str], hours: Sequence[float], starts_at: Sequence[str | None]
) -> list[datetime.datetime] | None:
    """When the periods start; None where no clock is given."""
    passed = [0.0, *accumulate(hours)][: len(names)]
    given = [text for text in starts_at if text is not None]
    if len(given) == len(names):
        read = [_moment_of(text) for text in given]
        known = [moment for moment in read if moment is not None]
        if len(known) < len(names):
            return None
        if known[0].tzinfo is not None:
            return known
        return [known[0] + datetime.timedelta(hours=h) for h in passed]
    clocks = [_clock(name) for name in names]
    if not clocks or clocks[0] is None:
        return None
    first = datetime.datetime(2000, 1, 1) + clocks[0]
    moments = [first + datetime.timedelta(hours=h) for h in passed]
    agree = (c is not None and abs(_away(c, m)) <= _NEAR_S for c, m in zip(clocks, moments, strict=True))
    return moments if all(agree) else None


def _clock(text: str) -> datetime.timedelta | None:
    """The time of day in a text: 13 or 13:00."""
    found = _CLOCK.match(text.strip())
    hour, minute = (int(found[1]), int(found[2] or 0)) if found else (24, 0)
    return datetime.timedelta(hours=hour, minutes=minute) if hour < 24 and minute < 60 else None


def _away(clock: datetime.timedelta, moment: datetime.datetime) -> float:
    """Seconds from the time of the clock at a moment to a time of day: −12 h to 12 h."""
    own = datetime.timedelta(hours=moment.hour, minutes=moment.minute, seconds=moment.second)
    return ((clock - own).total_seconds() + _DAY_S / 2.0) % _DAY_S - _DAY_S / 2.0


def _starting(text: str, moments: Sequence[datetime.datetime]) -> list[float] | None:
    """Seconds from the start of every period to the time in a text; None where it is none."""
    if (clock := _clock(text)) is not None:
        return [_away(clock, moment) for moment in moments]
    moment = moment_of(text) if text[4:5] == "-" else None  # with its date
    if moment is None or (moment.tzinfo is None) != (moments[0].tzinfo is None):
        return None
    return [(moment - each).total_seconds() for each in moments]


def _why(text: str, names: Sequence[str], hours: Sequence[float], moments: Sequence[datetime.datetime] | None) -> str:
    """Why no period begins then, and which is the nearest."""
    if moments is None:
        remedy = did_you_mean(text, names, f"The periods are {names[0]} to {names[-1]}")
        return f"no period has this name, and the periods have no clock (starts_at is not given). {remedy}"
    at = _starting(text, moments)
    if at is None:
        return f"this is no name of a period and no time of this day; give one such as {_shown(0, names, moments)}"
    nearest = min(range(len(at)), key=lambda n: abs(at[n]))
    for n, away in enumerate(at):
        after = away % _DAY_S if _clock(text) is not None else away
        if 0.0 < after < 3600.0 * hours[n]:
            nexts = f" or {_shown(n + 1, names, moments)}" if n + 1 < len(names) else ""
            return f"it is within {_called(n, names, moments)}; give {_shown(n, names, moments)}{nexts}"
    return f"it is outside the day; the nearest is {_called(nearest, names, moments)}"


def _called(n: int, names: Sequence[str], moments: Sequence[datetime.datetime] | None) -> str:
    """A period in words."""
    return f"period {names[n]!r}" + ("" if moments is None else f" from {_shown(n, names, moments)}")


def _shown(n: int, names: Sequence[str], moments: Sequence[datetime.datetime]) -> str:
    """When a period starts, so that it is understood again."""
    moment = moments[n]
    return f"{moment:%H:%M}" if moment.tzinfo is None else moment.isoformat(timespec="minutes")


StateLike = RawTable | str | os.PathLike[str]
"""A measured state: a table, or the path of a .csv, .parquet or .xlsx file that holds it."""


def read_measured(given: StateLike, period: str) -> tuple[pl.DataFrame, list[Problem]]:
    """The rows of a measured state that are of a period, and every fault of them.

    Raises:
        InputError: a file that cannot be read.
        OptionError: what is neither a table nor a file of one.
    """
    frame, faults = _table(given)
    rows = frame.filter(pl.col("period").is_null() | (pl.col("period") == period))
    if frame.height and rows.is_empty():
        known = frame["period"].drop_nulls().unique(maintain_order=True).to_list()
        message = f"there is no row of period {period!r}, only of {names_in_words(known)}"
        faults.append(Problem("state", "", "period", message, "Measure then, or plan from one of these"))
    more = [fault for fault in _row_faults(rows) if not has_fault(faults, fault.row, fault.column)]
    return rows, [*faults, *more, *duplicates("state", rows, "kind", "name")]


def _table(given: StateLike) -> tuple[pl.DataFrame, list[Problem]]:
    if isinstance(given, str | os.PathLike):
        path = path_of(given, "the state", "a table, or the path of one")
        return read_tables(path, {"state": MeasuredState}, "the measured state").tables["state"]
    return conform("state", given, MeasuredState)


def _row_faults(frame: pl.DataFrame) -> Iterator[Problem]:
    """Kinds that are not known, cells of another kind, missing ones, and numbers out of range."""
    ranges = {name: column.metadata for name, column in MeasuredState.columns().items()}
    cells = [name for name in ranges if name not in ("period", "kind", "name")]
    for n, row in enumerate(frame.iter_rows(named=True)):
        kind = row["kind"]
        if kind is None:  # the reader reports it
            continue
        if kind not in MEASURED:
            yield at("state", frame, n, "kind", f"{kind!r} is not known", f"Write {', '.join(MEASURED)}")
            continue
        given = [name for name in cells if row[name] is not None]
        for name in (name for name in given if name not in MEASURED[kind]):
            message = f"a {kind} has none"
            yield at("state", frame, n, name, message, f"Of a {kind} give {', '.join(MEASURED[kind])}")
        if not set(given) & set(NEEDED[kind]):
            message, remedy = "the value is missing", f"Give {' or '.join(NEEDED[kind])}, or leave the row out"
            yield at("state", frame, n, NEEDED[kind][0], message, remedy)
        for name in given:
            value, least = row[name], ranges[name].get("least", -math.inf)
            if isinstance(value, float) and not math.isfinite(value):
                yield at("state", frame, n, name, "the value is not finite", "Give a number, or leave it empty")
            elif value < least:
                yield at("state", frame, n, name, f"{value:g} is out of range", f"Give {least:g} or more")
