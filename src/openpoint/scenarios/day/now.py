"""Which period of a day begins at a time: by its name, or by the time of the clock at its start."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from itertools import accumulate

from openpoint.errors import OptionError
from openpoint.grid.rules.problems import did_you_mean
from openpoint.scenarios.day.clock import moment_of

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
        read = [moment_of(text) for text in given]
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
