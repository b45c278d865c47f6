"""Faults that name a row of a table of a day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import polars as pl

from openpoint.errors import Problem
from openpoint.grid.rules.problems import did_you_mean

_LABELS = ("name", "period", "generator", "load", "bus")


def at(
    table: str, frame: pl.DataFrame, n: int, column: str, message: str, remedy: str, *more: Any, **kw: Any
) -> Problem:
    """A problem at row n of a table, which is called by its name, or by its number where it has none."""
    label = next((name for name in _LABELS if name in frame.columns), "")
    name = frame[label][n] if label else None
    return Problem(table, f"number {n + 1}" if name is None else str(name), column, message, remedy, *more, **kw)


def unknown(table: str, frame: pl.DataFrame, column: str, known: Iterable[str], remedy: str) -> Iterator[Problem]:
    """Names in a column that are not known."""
    names = list(dict.fromkeys(known))
    there = set(names)
    for n, name in enumerate(frame[column]):
        if name is not None and name not in there:
            advice = did_you_mean(name, names, remedy)
            yield at(table, frame, n, column, f"there is no {column} {name!r}", advice)


def duplicates(table: str, frame: pl.DataFrame, *columns: str) -> Iterator[Problem]:
    """Rows with the names of an earlier one."""
    first: dict[tuple[str | None, ...], int] = {}
    for n, key in enumerate(frame.select(columns).iter_rows()):
        if (before := first.setdefault(key, n)) != n:
            name = " ".join(map(repr, filter(None, key))) or "a row for all others"
            message = f"{name} stands in row number {before + 1}, too"
            yield at(table, frame, n, columns[0], message, "Keep one of the rows")


def has_fault(faults: Iterable[Problem], name: str | None, column: str) -> bool:
    """Whether one of the faults is of a cell: of a column, in the row of a name, as readers of tables and files say."""
    row = (fault.row for fault in faults if fault.column == column)
    return name is not None and any(place == name or place.startswith(f"{name!r} in line ") for place in row)
