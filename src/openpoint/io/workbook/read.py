"""Excel workbooks as tables: a sheet a table, its first row the column names.

Numbers keep every bit, and what a spreadsheet made of a cell without a word is refused: a date where `1-2` was typed,
an error, a formula whose value is not in the file. A text of two or more quotation marks alone is read with two fewer,
so that `""` is the empty text where an empty cell is none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dataframely as dy
import polars as pl

from openpoint.errors import Faults, InputError, Problem
from openpoint.grid.conform import empty_table
from openpoint.grid.grid import Grid, more_faults
from openpoint.grid.schemas import SCHEMAS
from openpoint.grid.table_text import Row, table_from_rows
from openpoint.inputs import MOST_CELLS, MOST_COLUMNS, MOST_VALUES, refuse_more
from openpoint.io.workbook.cells import Sheet, read_sheets

ENDINGS = (".xlsx", ".xlsm")
HEAD_SHEET = "grid"
NOTES_SHEET = "notes"
HEAD_KEYS = ("name", "title", "source")
NOTE_FIELDS = ("table", "row", "column", "message", "remedy", "changes_figures")

Sheets = dict[str, list[Row]]
"""Rows of texts by the name of the sheet, each with its number; blank rows and sheets are left out."""


def grid_from_workbook(content: bytes, file: str) -> Grid:
    """The grid in a workbook: a sheet a table, and where there are any `grid` (key and value) and `notes`.

    Raises:
        InputError: with every fault of every sheet.
    """
    sheets = sheets_of(content, file)
    if not sheets.keys() & SCHEMAS.keys():
        remedy = f"Give the tables a sheet each, named {', '.join(SCHEMAS)}, the column names in its first row"
        raise InputError([Problem(file, "", "", "no sheet of this workbook is a table of a grid", remedy)])
    tables = tables_of(sheets, file, SCHEMAS)
    head, faults = _head(sheets.get(HEAD_SHEET, []), file)
    notes, found = _notes(sheets.get(NOTES_SHEET, []), file)
    if faults := [fault for _, wrong in tables.values() for fault in wrong] + faults + found:
        raise InputError([*faults, *more_faults(tables)])
    notes += not_read(sheets, file, [*SCHEMAS, HEAD_SHEET, NOTES_SHEET])
    name, title, source = (head.get(key, "") for key in HEAD_KEYS)
    frames = {kind: frame for kind, (frame, _) in tables.items()}
    name = name if "name" in head else file.rpartition(".")[0]
    return Grid.from_tables(name, frames, title=title, source=source, notes=notes)


def tables_of(
    sheets: Sheets, file: str, schemas: Mapping[str, type[dy.Schema]]
) -> dict[str, tuple[pl.DataFrame, list[Problem]]]:
    """The tables in the sheets of their names, empty where there is none, and every fault."""
    return {
        kind: table_from_rows(kind, sheets[kind], _place(file, kind), schema)
        if kind in sheets
        else (empty_table(schema), [])
        for kind, schema in schemas.items()
    }


def not_read(sheets: Sheets, file: str, known: Sequence[str]) -> list[Problem]:
    """Warnings about unknown sheets."""
    remedy = f"Sheets are named {', '.join(known)}"
    others = (name for name in sheets if name not in known)
    return [
        Problem(_place(file, name), "", "", "this sheet is not read", remedy, "warning", changes_figures=True)
        for name in others
    ]


def only_sheet(content: bytes, file: str, name: str) -> list[Row]:
    """The rows of the sheet of that name, or of the only one.

    Raises:
        InputError: there are several others, or none with a row; or as `sheets_of`.
    """
    sheets = sheets_of(content, file)
    if name in sheets or len(sheets) == 1:
        return sheets[name] if name in sheets else next(iter(sheets.values()))
    if not sheets:
        raise InputError([Problem(file, "", "", "the workbook is empty", "Write the table into a sheet")])
    message = f"the workbook has {len(sheets)} sheets with rows, and none is named {name}"
    raise InputError([Problem(file, "", "", message, f"Name the sheet of the table {name}")])


def frame_of(rows: list[Row], file: str) -> pl.DataFrame:
    """Rows as a frame of texts, a row of the sheet a row, blank ones too, so that numbers of rows stay.

    Raises:
        InputError: a column name is given more than once.
    """
    (first, header), *body = rows
    names = [name or "" for name in header]
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError([Problem(file, f"line {first}", twice[0], "the column is given more than once", "Keep one")])
    refuse_more(len(names), MOST_COLUMNS, "columns", file)
    refuse_more(len(names) * (body[-1][0] if body else 1), MOST_CELLS, "cells", file)
    by_line = dict(body)
    blank: list[str | None] = [None] * len(names)
    table_rows = [by_line.get(line, blank) for line in range(first + 1, (body[-1][0] if body else first) + 1)]
    return pl.DataFrame(table_rows, schema=dict.fromkeys(names, pl.String), orient="row")


def sheets_of(content: bytes, file: str) -> Sheets:
    """The cells of all sheets as texts; names of sheets in small letters without blanks around them.

    Raises:
        InputError: this is no workbook, it holds too much, or cells hold what cannot be read; with every fault.
    """
    faults = Faults()
    sheets: Sheets = {}
    for sheet in read_sheets(content, file):
        place = _place(file, sheet.title)
        rows = _rows(sheet, place, file, faults)
        name = sheet.title.strip().lower()
        if rows and name in sheets:
            faults.append(Problem(place, "", "", "two sheets have this name", "Rename one of them"))
        if rows:
            sheets[name] = rows
    if faults:
        raise InputError(faults)
    return sheets


def _rows(sheet: Sheet, place: str, file: str, faults: Faults) -> list[Row]:
    """The rows that are not blank, all as long as the first; faults are added."""
    rows: list[Row] = []
    width = 0
    for line, cells in sorted(sheet.rows.items()):
        for column, cell in cells.items():
            if cell.fault:
                head = rows[0][1][column - 1] if rows and column <= width else None
                faults.append(Problem(place, f"line {line}", head or f"column {column}", *cell.fault))
        last = max((column for column, cell in cells.items() if cell.text is not None), default=0)
        if not last:
            continue
        width = width or last
        refuse_more(width * (len(rows) + 1), MOST_VALUES, "cells", file)
        if last > width:
            remedy = f"Name the column, or remove {cells[last].text!r}"
            faults.append(Problem(place, f"line {line}", "", "a cell lies beyond the last column name", remedy))
        rows.append((line, [cells[k].text if k in cells else None for k in range(1, width + 1)]))
    return rows


def _head(rows: list[Row], file: str) -> tuple[dict[str, str], list[Problem]]:
    """Name, title and source from the sheet of the grid, as far as they are given."""
    pairs = {cells[0] or "": (line, (cells[1] if len(cells) > 1 else None) or "") for line, cells in rows[1:]}
    place = _place(file, HEAD_SHEET)
    faults = [
        Problem(place, f"line {line}", key, "unknown key", f"Remove it; the keys are format, {', '.join(HEAD_KEYS)}")
        for key, (line, _) in pairs.items()
        if key not in (*HEAD_KEYS, "format")
    ]
    if "format" in pairs and pairs["format"][1] != "1":
        message = f"format {pairs['format'][1]!r} is not known"
        faults.append(Problem(place, f"line {pairs['format'][0]}", "format", message, "Write 1"))
    return {key: pairs[key][1] for key in HEAD_KEYS if key in pairs}, faults


def _notes(rows: list[Row], file: str) -> tuple[list[Problem], list[Problem]]:
    """The notes of the reader of the original, and faults."""
    if not rows:
        return [], []
    (_, header), *body = rows
    if tuple(header) != NOTE_FIELDS:
        remedy = f"Name the columns {', '.join(NOTE_FIELDS)}, or remove the sheet"
        return [], [Problem(_place(file, NOTES_SHEET), "line 1", "", "these are not the columns of notes", remedy)]
    notes = []
    for _, cells in body:
        table, row, column, message, remedy, changes = (cell or "" for cell in cells)
        notes.append(Problem(table, row, column, message, remedy, "warning", changes_figures=changes == "true"))
    return notes, []


def _place(file: str, sheet: str) -> str:
    return f"{file}, sheet {sheet}"
