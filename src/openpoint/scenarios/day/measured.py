"""What was measured at the start of a period of a day: one table, a row a store, generator, branch or other thing."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator

import polars as pl

from openpoint.arguments import path_of
from openpoint.errors import OptionError, Problem
from openpoint.grid.conform import RawTable, conform
from openpoint.grid.files import table_from_files
from openpoint.grid.rules.problems import names_in_words
from openpoint.inputs import content_of
from openpoint.io.workbook import read as workbook
from openpoint.scenarios.day.rows import at, duplicates, has_fault
from openpoint.scenarios.day.schemas import MEASURED, NEEDED, MeasuredState

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
        content, ending = content_of(path), path.suffix.lower()
        if ending in workbook.ENDINGS:
            sheet = next(iter(workbook.sheets_of(content, path.name).values()))
            return workbook.tables_of({"state": sheet}, path.name, {"state": MeasuredState})["state"]
        if ending not in (".csv", ".parquet"):
            raise OptionError(f"state {path}: a measured state is a table, .csv, .parquet or .xlsx")
        return table_from_files("state", {f"state{ending}": content}, MeasuredState)
    return conform("state", given, MeasuredState)


def _row_faults(frame: pl.DataFrame) -> Iterator[Problem]:
    """Kinds that are not known, cells of another kind, missing ones, and numbers out of range."""
    ranges = {name: column.metadata or {} for name, column in MeasuredState.columns().items()}
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
