"""When the steps of a year start and how long they are: gaps, overlaps, clock changes, a wrong length."""

from __future__ import annotations

import datetime
import math

import numpy as np

from openpoint.arrays import Floats
from openpoint.scenarios.year.table import Table

LENGTHS_H = (8760.0, 8784.0)
"""Hours of a year."""
TOLERANCE_H = 1e-3
"""Difference of a length or a sum of lengths, in hours, that is no fault."""
OFFSET = "Where clocks change, write the offset from UTC in all rows, such as 2029-03-25T03:00+02:00"
STARTS, HOURS = "starts_at", "hours"


def hours_of(table: Table) -> Floats | None:
    """(T) length of every step; None where not given, with a fault in the table for all that is wrong."""
    given = table.numbers(HOURS, above=0.0) if table.has(HOURS) else None
    passed = _passed(table) if table.has(STARTS) else None
    if given is None and not table.has(STARTS):
        remedy = "Give starts_at (2029-01-01T00:00), or hours, the length of every step"
        table.fault("", "", "nothing tells how long the steps are", remedy)
        return None
    if given is None:
        if passed is None or not len(passed):
            return None
        hours = np.full(len(table), float(np.median(passed)))
    else:
        hours = given
    if passed is not None and np.isfinite(hours).all():
        _check_steps(table, passed, hours)
    _check_sum(table, hours, by_stamps=given is None)
    return hours


def _passed(table: Table) -> Floats | None:
    """(T - 1) hours between the starts; None where some cannot be read."""
    moments = [moment_of(cell) for cell in table.texts(STARTS)]
    table.at(STARTS, [m is None for m in moments], "{} is no time", "Write 2029-03-25T01:00 or 2029-03-25T01:00+01:00")
    known = [m for m in moments if m is not None]
    if len(known) < len(moments):
        return None
    bare = [m.tzinfo is None for m in known]
    if len(set(bare)) == 2:
        table.fault("", STARTS, "some times have an offset from UTC and some have none", OFFSET)
        return None
    seconds = np.array([m.replace(tzinfo=m.tzinfo or datetime.UTC).timestamp() for m in known])
    return np.diff(seconds) / 3600.0


def moment_of(cell: str | None) -> datetime.datetime | None:
    """A time as it is written in tables; None where it is none."""
    try:
        return None if cell is None else datetime.datetime.fromisoformat(cell.strip())
    except ValueError:
        return None


def _check_steps(table: Table, passed: Floats, hours: Floats) -> None:
    """A step starts when the one before ends."""
    starts = table.texts(STARTS)
    beyond = passed - hours[:-1]
    for n in np.flatnonzero(np.abs(beyond) > TOLERANCE_H):
        row, passage = table.row(int(n) + 1), f"{starts[n + 1]} is {passed[n]:g} h after {starts[n]}"
        start = moment_of(starts[n])
        turned = start is not None and start.tzinfo is None and abs(abs(beyond[n]) - 1.0) <= TOLERANCE_H
        clock = " as where clocks change" if turned else ""
        if beyond[n] > 0.0:
            message = f"a gap of {beyond[n]:g} h{clock}: {passage}, a step of {hours[n]:g} h"
            table.fault(row, STARTS, message, f"Add the steps that are missing. {OFFSET}")
        else:
            message = f"an overlap of {-beyond[n]:g} h{clock}: {passage}, a step of {hours[n]:g} h"
            table.fault(row, STARTS, message, f"Remove the steps that are double. {OFFSET}")


def _check_sum(table: Table, hours: Floats, *, by_stamps: bool) -> None:
    total = float(hours.sum())
    if not math.isfinite(total) or any(abs(total - length) <= TOLERANCE_H * len(hours) for length in LENGTHS_H):
        return
    message = f"the {len(hours)} steps have {total:g} h together; a year has 8760 h, or 8784 h"
    what = "add the column hours" if by_stamps else "correct the column hours"
    remedy = f"Give every step of the year, or {what}: of how many hours of the year a step is typical"
    table.fault("", "" if by_stamps else HOURS, message, remedy)
