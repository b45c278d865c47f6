"""Reliability data of a grid: customers by bus, how often branches fail, and breakers that trip along the feeders.

Tables in a folder (`customers`, `rates`, `breakers`, each .csv or .parquet) or sheets of a workbook; any of them may be
left out, but not all.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from openpoint.arguments import path_of
from openpoint.columns import Float64, String, TableSchema
from openpoint.errors import InputError, Problem, did_you_mean
from openpoint.grid.conform import conform
from openpoint.grid.files import table_from_files
from openpoint.grid.grid import Grid
from openpoint.grid.schemas import SCHEMAS
from openpoint.inputs import content_of, unreadable
from openpoint.io.workbook import read as workbook


def _about(doc: str, unit: str = "", **default: Any) -> dict[str, Any]:
    return {"doc": doc, "unit": unit, **default}


class Customers(TableSchema):
    """Customers: how many are connected at a bus; buses that are not listed have none."""

    bus = String(metadata=_about("a bus of the grid"))
    customers = Float64(metadata=_about("number of customers", ""))


class Rates(TableSchema):
    """Rates: how often a branch has a fault and how long its repair takes, where that is known better."""

    branch = String(metadata=_about("a line or transformer of the grid"))
    failures_per_year = Float64(metadata=_about("faults a year", "1/a"))
    repair_h = Float64(
        nullable=True, metadata=_about("time until it is repaired; empty = that of all others", "h", default=None)
    )


class Breakers(TableSchema):
    """Breakers: where one trips beside those at stations and transformers, such as a recloser in a feeder."""

    branch = String(metadata=_about("the line at whose end it stands"))
    end = String(metadata=_about("from, to, or both: at which end of the line", default="from"))


RELIABILITY_SCHEMAS: dict[str, type[TableSchema]] = {"customers": Customers, "rates": Rates, "breakers": Breakers}
_ENDS = ("from", "to", "both")
_FILES = [f"{kind}.{ending}" for kind in RELIABILITY_SCHEMAS for ending in ("csv", "parquet")]


@dataclass(frozen=True)
class Reliability:
    """Reliability data of a grid.

    Attributes:
        customers: bus, customers. rates: branch, failures_per_year, repair_h (null = as all others).
        breakers: branch, end (from, to or both).
    """

    customers: pl.DataFrame
    rates: pl.DataFrame
    breakers: pl.DataFrame

    @classmethod
    def of(cls, customers: Any = None, rates: Any = None, breakers: Any = None) -> Reliability:
        """The data in tables: Polars frames, mappings of columns, or rows.

        Raises:
            InputError: with every fault.
        """
        given = {"customers": customers, "rates": rates, "breakers": breakers}
        return _made({kind: conform(kind, table, RELIABILITY_SCHEMAS[kind]) for kind, table in given.items()})

    def checked(self, grid: Grid) -> Reliability:
        """The data, if its names are those of a grid.

        Raises:
            InputError: with every name that is unknown.
        """
        tables = {"customers": self.customers, "rates": self.rates, "breakers": self.breakers}
        if faults := _strangers(tables, grid):
            raise InputError(faults)
        return self


ReliabilityLike = Reliability | str | os.PathLike[str]
"""What stands for reliability data: a `Reliability`, or the path of a folder or workbook."""


def read_reliability(path: ReliabilityLike, grid: Grid | None = None) -> Reliability:
    """Reliability data from a folder with `customers`, `rates` and `breakers` (.csv or .parquet), or from a workbook.

    A `Reliability` is returned as it is.

    Args:
        path: of the data. grid: whose names must be known, see `Reliability.checked`; None: they are not looked up.

    Raises:
        InputError: it cannot be read, holds none of the tables, or with every fault of these.
        OptionError: an argument that is no path.
    """
    if isinstance(path, Reliability):
        return path if grid is None else path.checked(grid)
    place = path_of(path, "the reliability data", "a Reliability, or the path of a folder or workbook")
    wanted = "Give a folder with customers.csv, rates.csv or breakers.csv, or a workbook with such sheets"
    try:
        if place.is_dir():
            _refuse_others(place)
            files = {file.name: content_of(file) for file in sorted(place.iterdir()) if file.name in _FILES}
            found = {kind: table_from_files(kind, files, schema) for kind, schema in RELIABILITY_SCHEMAS.items()}
            given = bool(files)
        elif place.exists() and place.suffix.lower() in workbook.ENDINGS:
            sheets = workbook.sheets_of(content_of(place), place.name)
            _refuse_slips(place, sheets)
            given = bool(sheets.keys() & RELIABILITY_SCHEMAS.keys())
            found = dict(workbook.tables_of(sheets, place.name, RELIABILITY_SCHEMAS))
        else:
            raise InputError([Problem(str(place), "", "", "there is no such folder or workbook", wanted)])
    except OSError as error:
        raise InputError([unreadable(place, error)]) from error
    if not given:
        raise InputError([Problem(str(place), "", "", "it holds neither customers nor rates nor breakers", wanted)])
    return _made(found, grid)


def _refuse_others(folder: Path) -> None:
    """Refuse tables of other names, which nothing would read; those of a grid may stand beside.

    Raises:
        InputError: naming each.
    """
    tables = (file for file in sorted(folder.iterdir()) if file.suffix.lower() in (".csv", ".parquet"))
    others = [file.name for file in tables if file.name not in _FILES and file.stem not in SCHEMAS]
    if others:
        remedy = f"Files are named {', '.join(_FILES[::2])}, or .parquet; rename it, or move it elsewhere"
        message = "this file is no table of reliability data, and is not read"
        remedies = [did_you_mean(name, _FILES, remedy) for name in others]
        raise InputError([Problem(str(folder / name), "", "", message, way) for name, way in zip(others, remedies)])


def _refuse_slips(place: Path, sheets: Iterable[str]) -> None:
    """Refuse sheets whose name is nearly that of a table; others may hold anything.

    Raises:
        InputError: naming each.
    """
    found = []
    for name in sheets:
        remedy = did_you_mean(name, list(RELIABILITY_SCHEMAS), "")
        if name not in RELIABILITY_SCHEMAS and remedy:
            found.append(Problem(f"{place} ({name})", "", "", "this sheet is not read", remedy))
    if found:
        raise InputError(found)


def _made(found: Mapping[str, tuple[pl.DataFrame, list[Problem]]], grid: Grid | None = None) -> Reliability:
    """The data in tables, if they have no faults, names that a grid does not have among them."""
    faults = [fault for _, own in found.values() for fault in own]
    for kind, key, numbers in (
        ("customers", "bus", ("customers",)),
        ("rates", "branch", ("failures_per_year", "repair_h")),
    ):
        frame = found[kind][0]
        if frame.is_empty():
            continue
        faults += [fault for number in numbers for fault in _negative(frame, kind, key, number)]
        for name in frame.filter(pl.col(key).is_duplicated())[key].drop_nulls().unique(maintain_order=True):
            faults.append(Problem(kind, name, key, f"this {key} has more than one row", "Keep one of the rows"))
    breakers = found["breakers"][0]
    faults += [] if breakers.is_empty() else _of_breakers(breakers)
    faults += [] if grid is None else _strangers({kind: frame for kind, (frame, _) in found.items()}, grid)
    if faults:
        raise InputError(faults)
    return Reliability(found["customers"][0], found["rates"][0], breakers)


def _of_breakers(breakers: pl.DataFrame) -> Iterator[Problem]:
    for name, end in breakers.iter_rows():
        if end is not None and end not in _ENDS:
            yield Problem("breakers", name, "end", f"{end!r} is no end of a line", "Write from, to or both")
    for name in breakers.filter(pl.col("branch").is_duplicated())["branch"].drop_nulls().unique(maintain_order=True):
        remedy = "Keep one of the rows; `both` stands for a breaker at either end"
        yield Problem("breakers", name, "branch", "this branch has more than one row", remedy)


def _negative(frame: pl.DataFrame, kind: str, key: str, column: str) -> Iterator[Problem]:
    for k, (name, value) in enumerate(frame.select(key, column).iter_rows()):
        if value is not None and not 0.0 <= value < float("inf"):
            row = f"number {k + 1}" if name is None else name
            yield Problem(kind, row, column, f"{value:g} is no number from 0 on", "Give 0 or more")


def _strangers(tables: Mapping[str, pl.DataFrame], grid: Grid) -> list[Problem]:
    """Names in tables that a grid does not have."""
    branches = grid.branches().filter(pl.col("kind") != "switches")["name"].to_list()
    known = {
        "customers": ("bus", grid.buses["name"].to_list(), "bus"),
        "rates": ("branch", branches, "line or transformer"),
        "breakers": ("branch", grid.lines["name"].to_list(), "line"),
    }
    return [
        fault
        for kind, (key, names, what) in known.items()
        if not tables[kind].is_empty()
        for fault in _unknown(tables[kind], kind, key, names, what)
    ]


def _unknown(frame: pl.DataFrame, kind: str, key: str, known: list[str], what: str) -> Iterator[Problem]:
    there = set(known)
    for name in frame[key]:
        if name is not None and name not in there:
            advice = did_you_mean(name, known, "Use names of the grid; `openpoint info GRID` shows them")
            yield Problem(kind, name, key, f"the grid has no {what} {name!r}", advice)
