"""Tables that a user writes: cells of one in a file, and the tables of a folder or a workbook, with their faults."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from openpoint.columns import TableSchema
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.files import table_from_files
from openpoint.grid.table_files import frame_from_csv, frame_from_parquet, plain, separator_of
from openpoint.inputs import content_of, decoding
from openpoint.io.text import decode
from openpoint.io.workbook import read as workbook

Tables = dict[str, tuple[pl.DataFrame, list[Problem]]]
"""Tables by name, each with its faults."""
Schemas = Mapping[str, type[TableSchema]]
Widened = tuple[str, Callable[[list[str]], type[TableSchema]]]
"""A table that may have any columns: its name, and its schema by the names of its columns."""


@dataclass(frozen=True)
class Place:
    """How messages name a table and its rows: line 2, or number 1."""

    table: str
    row_word: str = "number"
    first_row: int = 1


@dataclass(frozen=True)
class Found:
    """What was read: tables, files or sheets that are not read, and what is wrong as a whole."""

    tables: Tables
    notes: list[Problem] = field(default_factory=list)
    faults: list[Problem] = field(default_factory=list)

    def all_faults(self) -> list[Problem]:
        """Those of the whole and of every table."""
        return [*self.faults, *(fault for _, own in self.tables.values() for fault in own)]


def is_csv(file: Path, what: str) -> bool:
    """Whether a path is that of a CSV file, by its ending; otherwise it is one of Parquet. `what`: is stored in it.

    Raises:
        OptionError: another ending.
    """
    ending = file.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise OptionError(f"{file}: {what} are stored as .csv or .parquet, or read from .xlsx; name such a file")
    return ending == ".csv"


def load_frame(
    file: Path, what: str, columns: Sequence[str], is_number: Callable[[str], bool]
) -> tuple[pl.DataFrame, Place]:
    """The table in a file, with how messages name its rows. Cells of CSV and workbooks are texts; numbers have points.

    Args:
        file: .csv, .parquet or .xlsx. what: it holds, the name of its sheet. columns: that it needs.
        is_number: whether a column of this name holds numbers.

    Raises:
        InputError: the file cannot be read, or is no table.
        OptionError: another ending.
    """
    book = file.suffix.lower() in workbook.ENDINGS
    as_text = not book and is_csv(file, what)
    content = content_of(file)
    if not book and not as_text:
        return frame_from_parquet(content, file.name), Place(file.name)
    with decoding(file.name, "no table", f"Write a table with the columns {', '.join(columns)}"):
        if book:
            frame = workbook.frame_of(workbook.only_sheet(content, file.name, what), file.name)
        else:
            frame = frame_from_csv(decode(content, file.name), file.name, is_number)
    return frame, Place(file.name, "line", 2)


def read_tables(path: Path, schemas: Schemas, what: str, widened: Widened | None = None) -> Found:
    """The tables in a folder or a workbook; a single file, and a workbook of one other sheet, hold the first one.

    Args:
        path: of what exists. schemas: the tables. what: the first one holds, in words. widened: as `tables_from_files`.

    Raises:
        InputError: it cannot be read.
        OSError: it cannot be opened.
    """
    first = next(iter(schemas))
    names = ", ".join(schemas)
    if path.is_dir():
        known = {f"{kind}{ending}" for kind in schemas for ending in (".csv", ".parquet")}
        there = sorted(p.name for p in path.iterdir() if not p.name.startswith("."))
        files = {name: content_of(path / name) for name in there if name in known}
        remedy = f"Tables are named {names}, with the ending .csv or .parquet"
        notes = [
            Problem(name, "", "", "this file is not read", remedy, "warning", changes_figures=True)
            for name in there
            if name not in known
        ]
        faults = []
        if not files.keys() & {f"{first}.csv", f"{first}.parquet"}:
            message, remedy = f"there is no table of {what}", f"Give {first}.csv, or a folder that holds it"
            faults.append(Problem(str(path), "", "", message, remedy))
        return Found(tables_from_files(files, schemas, widened), notes, faults)
    content, ending = content_of(path), path.suffix.lower()
    if ending in workbook.ENDINGS:
        sheets = workbook.sheets_of(content, path.name)
        if len(sheets) == 1 and not sheets.keys() & schemas.keys():
            sheets = {first: next(iter(sheets.values()))}
        faults = []
        if first not in sheets:
            faults.append(Problem(path.name, "", "", f"there is no sheet of {what}", f"Name the sheets {names}"))
        if widened is not None:
            kind, schema = widened
            header = [name or "" for name in sheets[kind][0][1]] if kind in sheets else []
            schemas = {**schemas, kind: schema(header)}
        notes = workbook.not_read(sheets, path.name, [*schemas])
        return Found(workbook.tables_of(sheets, path.name, schemas), notes, faults)
    if ending not in (".csv", ".parquet"):
        remedy = f"Give a folder of tables, a workbook (.xlsx), or {what} alone as .csv or .parquet"
        raise InputError([Problem(path.name, "", "", "the format of this file is not known", remedy)])
    file = f"{first}{ending}"
    tables = tables_from_files({file: content}, schemas, widened)
    return Found(  # faults stand in the file that was given
        {
            kind: (frame, [replace(each, table=path.name) if each.table == file else each for each in own])
            for kind, (frame, own) in tables.items()
        }
    )


def tables_from_files(files: Mapping[str, bytes], schemas: Schemas, widened: Widened | None = None) -> Tables:
    """The tables in files by name.

    Args:
        files: contents by the name of the file. schemas: the tables. widened: that which may have any columns.
    """
    if widened is not None:
        schemas = {**schemas, widened[0]: widened[1](_header(widened[0], files))}
    return {kind: table_from_files(kind, files, schema) for kind, schema in schemas.items()}


def _header(kind: str, files: Mapping[str, bytes]) -> list[str]:
    """The columns of a table; none where it cannot be read, which its reader reports."""
    if (content := files.get(f"{kind}.csv")) is not None:
        text = content.decode("utf-8", errors="replace").removeprefix("\ufeff")
        separator, _ = separator_of(text, f"{kind}.csv")
        with suppress(csv.Error):
            header = next((row for row in csv.reader(io.StringIO(text), delimiter=separator) if row), [])
            return [*map(plain, header)]
    if (content := files.get(f"{kind}.parquet")) is not None:
        with suppress(InputError), decoding(f"{kind}.parquet", "no Parquet file", ""):
            return list(pl.read_parquet_schema(io.BytesIO(content)))
    return []
