"""Tables of steps of time: their rows, cells and faults, and how long the steps are."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import InputError, Problem
from openpoint.inputs import content_of
from openpoint.io.workbook import read as workbook
from openpoint.scenarios.tables import load_frame

TEXTS = ("starts_at", "load", "generator", "profile", "q_profile", "block", "start", "end")
"""Columns that hold no numbers."""


@dataclass(eq=False)
class Table:
    """A table.

    Attributes:
        name: as messages call it. frame: its cells. row_word, first_row: how messages name a row, such as line 2.
        faults: all that is wrong so far.
    """

    name: str
    frame: pl.DataFrame
    row_word: str = "number"
    first_row: int = 1
    faults: list[Problem] = field(default_factory=list)

    def __len__(self) -> int:
        return self.frame.height

    def has(self, column: str) -> bool:
        """Whether there is a column."""
        return column in self.frame.columns

    def row(self, n: int) -> str:
        """How messages name row n."""
        return f"{self.row_word} {n + self.first_row}"

    def fault(self, row: str, column: str, message: str, remedy: str) -> None:
        """Add a fault."""
        self.faults.append(Problem(self.name, row, column, message, remedy))

    def at(self, column: str, bad: Sequence[bool], message: str, remedy: str) -> None:
        """Add a fault for every bad row; {} in the message is the cell."""
        cells = self.frame[column]
        for n in np.flatnonzero(np.asarray(bad, dtype=np.bool_)):
            cell = cells[int(n)]
            if cell is None or cell == "":
                self.fault(self.row(int(n)), column, "the value is missing", "Give it in every row")
            else:
                self.fault(self.row(int(n)), column, message.format(repr(cell)), remedy)

    def texts(self, column: str) -> list[str | None]:
        """The cells of a column as texts."""
        cells = self.frame[column]
        if isinstance(cells.dtype, pl.Datetime):
            return cells.dt.strftime("%Y-%m-%dT%H:%M:%S" + ("%z" if cells.dtype.time_zone else "")).to_list()
        return [None if cell is None else str(cell) for cell in cells]

    def numbers(self, column: str, *, least: float = -np.inf, above: float = -np.inf) -> Floats:
        """The cells of a column as numbers in a range, nan where one is faulty."""
        cells = self.frame[column]
        read = cells.cast(pl.Float64, strict=False)
        values = read.fill_null(np.nan).to_numpy().copy()
        given = (cells.is_not_null() & (cells.cast(pl.String) != "")).to_numpy()
        no_number = np.isnan(values) & ~(read.is_not_null().to_numpy() & given)
        self.at(column, no_number.tolist(), "{} is no number", "Write a number with a decimal point")
        self.at(column, (~no_number & ~np.isfinite(values)).tolist(), "{} is not finite", "Give a number")
        low = np.isfinite(values) & ((values < least) | (values <= above))
        bound = f"Give {least:g} or more" if np.isfinite(least) else f"Give more than {above:g}"
        self.at(column, low.tolist(), "{} is out of range", bound)
        values[low | no_number | ~np.isfinite(values)] = np.nan
        return values


def tables_of(path: Path, names: Sequence[str]) -> dict[str, Table]:
    """The tables in a folder, a workbook or a file, by name; a file and a workbook of one sheet hold the first one.

    Raises:
        InputError: what cannot be read.
    """
    first = names[0]
    if path.is_dir():
        files = {
            name: path / f"{name}{ending}"
            for name in names
            for ending in (".parquet", ".csv")
            if (path / f"{name}{ending}").is_file()
        }
        if first not in files:
            remedy = f"Give {first}.csv or {first}.parquet"
            raise InputError([Problem(str(path), "", "", f"there is no table {first} in this folder", remedy)])
        return {name: _from_file(file) for name, file in files.items()}
    if path.suffix.lower() in workbook.ENDINGS:
        sheets = workbook.sheets_of(content_of(path), path.name)
        if first not in sheets and len(sheets) == 1:
            sheets = {first: next(iter(sheets.values()))}
        if first not in sheets:
            raise InputError([Problem(path.name, "", "", f"there is no sheet {first}", f"Name the sheet {first}")])
        place = f"{path.name}, {{}}"
        return {
            name: Table(place.format(name), workbook.frame_of(sheets[name], path.name), "line", 2)
            for name in names
            if name in sheets
        }
    return {first: _from_file(path)}


def _from_file(file: Path) -> Table:
    frame, place = load_frame(file, "profiles", ("starts_at",), lambda name: name not in TEXTS)
    return Table(place.table, frame, place.row_word, place.first_row)


LENGTHS_H = (8760.0, 8784.0)
"""Hours of a year."""
TOLERANCE_H = 1e-3
"""Difference of a length or a sum of lengths, in hours, that is no fault."""
MIXED = "some times have an offset from UTC and some have none"
OFFSET = "Where clocks change, write the offset from UTC in all rows, such as 2029-03-25T03:00+02:00"
STARTS, HOURS = "starts_at", "hours"


def hours_of(table: Table, *, whole_year: bool) -> Floats | None:
    """(T) length of every step; None where not given, with a fault in the table for all that is wrong.

    whole_year: whether together they must be a year.
    """
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
    if whole_year:
        _check_sum(table, hours, by_stamps=given is None)
    return hours


def _passed(table: Table) -> Floats | None:
    """(T - 1) hours between the starts; None where some cannot be read."""
    moments = [moment_of(cell) for cell in table.texts(STARTS)]
    table.at(STARTS, [m is None for m in moments], "{} is no time", "Write 2029-03-25T01:00 or 2029-03-25T01:00+01:00")
    known = [m for m in moments if m is not None]
    if len(known) < len(moments):
        return None
    if are_mixed(known):
        table.fault("", STARTS, MIXED, OFFSET)
        return None
    seconds = np.array([m.replace(tzinfo=m.tzinfo or datetime.UTC).timestamp() for m in known])
    return np.diff(seconds) / 3600.0


def moment_of(cell: str | None) -> datetime.datetime | None:
    """A time as it is written in tables; None where it is none."""
    try:
        return None if cell is None else datetime.datetime.fromisoformat(cell.strip())
    except ValueError:
        return None


def are_mixed(moments: Sequence[datetime.datetime]) -> bool:
    """Whether some have an offset from UTC and some have none."""
    return len({moment.tzinfo is None for moment in moments}) == 2


def _check_steps(table: Table, passed: Floats, hours: Floats) -> None:
    """A step starts when the one before ends."""
    starts = table.texts(STARTS)
    for n in np.flatnonzero(np.abs(passed - hours[:-1]) > TOLERANCE_H):
        fault = step_fault(float(passed[n]), float(hours[n]), starts[n], starts[n + 1], "step")
        table.fault(table.row(int(n) + 1), STARTS, *fault)


def step_fault(passed: float, hours: float, before: str | None, after: str | None, word: str) -> tuple[str, str]:
    """Message and remedy where a step, called by a word, does not start when the one before ends."""
    beyond, start = passed - hours, moment_of(before)
    turned = start is not None and start.tzinfo is None and abs(abs(beyond) - 1.0) <= TOLERANCE_H
    clock = " as where clocks change" if turned else ""
    passage = f"{clock}: {after} is {passed:g} h after {before}, a {word} of {hours:g} h"
    if beyond > 0.0:
        return f"a gap of {beyond:g} h{passage}", f"Add the {word}s that are missing, or correct hours. {OFFSET}"
    return f"an overlap of {-beyond:g} h{passage}", f"Remove the {word}s that are double, or correct hours. {OFFSET}"


def _check_sum(table: Table, hours: Floats, *, by_stamps: bool) -> None:
    total = float(hours.sum())
    if not math.isfinite(total) or any(abs(total - length) <= TOLERANCE_H * len(hours) for length in LENGTHS_H):
        return
    message = f"the {len(hours)} steps have {total:g} h together; a year has 8760 h, or 8784 h"
    what = "add the column hours" if by_stamps else "correct the column hours"
    remedy = f"Give every step of the year, or {what}: of how many hours of the year a step is typical"
    table.fault("", "" if by_stamps else HOURS, message, remedy)
