"""Excel workbooks as tables: a sheet a table, its first row the column names.

Numbers keep every bit, and what a spreadsheet made of a cell without a word is refused: a date where `1-2` was typed,
an error, a formula whose value is not in the file. A text of two or more quotation marks alone is read with two fewer,
so that `""` is the empty text where an empty cell is none.

The cells of an Excel workbook as texts, read from its XML (ISO/IEC 29500, SpreadsheetML) part by part.

Nothing else of a workbook is read, so that what a sheet takes is known beforehand: its cells, counted as they are met.
"""

from __future__ import annotations

import datetime
import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from openpoint.columns import TableSchema
from openpoint.errors import Faults, InputError, Problem
from openpoint.grid.grid import Grid, more_faults
from openpoint.grid.schemas import SCHEMAS
from openpoint.grid.table_files import Row, number_text, table_from_rows
from openpoint.inputs import (
    MOST_BYTES,
    MOST_CELLS,
    MOST_COLUMNS,
    MOST_VALUES,
    decoding,
    parse_xml,
    refuse_more,
    unpacked,
)

ROWS, COLUMNS = 1 << 20, 1 << 14
"""The size of the largest sheet of the format."""
_REMEDY = "Save it as .xlsx in a spreadsheet program"
_WHAT = "no workbook of the format .xlsx"
_BOOK, _LINKS = "xl/workbook.xml", "xl/_rels/workbook.xml.rels"
_PACKAGE = ("http://schemas.openxmlformats.org/package/2006/relationships",)
_SHEETS = ("http://schemas.openxmlformats.org/spreadsheetml/2006/main", "http://purl.oclc.org/ooxml/spreadsheetml/main")
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_TEXTS = ("s", "str", "inlineStr")
_WHOLE = re.compile(r"-?\d{1,15}", re.ASCII)
_PLACE = re.compile(r"([A-Z]{1,3})(\d{1,7})", re.ASCII)
# Formats of dates and times that need no text of their own in the file.
_DATES = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))
_NO_DATE = re.compile(r'"[^"]*"|\[(?!hh?\]|mm?\]|ss?\])[^\]]*\]|\\.|_.|General|[Ee][+-]')
_OF_A_ROW = 8
"""What a row takes beside its cells, as a number of cells."""
_DAY_0 = datetime.datetime(1899, 12, 30)


class Cell(NamedTuple):
    """A cell: its text, None where it is blank, and else what is wrong with it, with a remedy."""

    text: str | None
    fault: tuple[str, str] | None = None


@dataclass
class Sheet:
    """A sheet: its title, and the cells that are given, by column from 1 in rows from 1."""

    title: str
    rows: dict[int, dict[int, Cell]] = field(default_factory=dict)


def read_sheets(content: bytes, file: str) -> list[Sheet]:
    """The sheets of a workbook in their order.

    Raises:
        InputError: this is no workbook, is damaged, or holds too much.
    """
    parts = unpacked(content, file, _WHAT, _REMEDY, lambda _: True)
    with decoding(file, _WHAT, _REMEDY):
        reader = _Reader(file, _texts(parts.get("xl/sharedStrings.xml", b""), file), _date_formats(parts))
        return [reader.sheet(title, parts[place], place) for title, place in _places(parts)]


def sheet_names(content: bytes) -> list[str]:
    """The names of the sheets, none where this is no workbook."""
    try:
        parts = unpacked(content, "", _WHAT, _REMEDY, lambda name: name in (_BOOK, _LINKS))
        with decoding("", _WHAT, _REMEDY):
            return [title for title, _ in _places(parts)]
    except InputError:
        return []


def _places(parts: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Title and part of each sheet with cells; charts on sheets of their own have none."""
    parts_by_id: dict[str, str] = {}
    sheets: list[tuple[str, str]] = []

    def link(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship" and attributes.get("Type", "").endswith("/worksheet"):
            target = attributes["Target"]
            parts_by_id[attributes["Id"]] = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/")

    def sheet(name: str, attributes: dict[str, str]) -> None:
        if name == "sheet":
            sheets.append((attributes["name"], next((v for k, v in attributes.items() if k.endswith(" id")), "")))

    parse_xml(parts[_LINKS], _PACKAGE, link, _nothing, _nothing)
    parse_xml(parts[_BOOK], _SHEETS, sheet, _nothing, _nothing)
    return ((title, parts_by_id[key]) for title, key in sheets if key in parts_by_id)


def _nothing(_: str) -> None:
    pass


def _texts(content: bytes, file: str) -> list[str]:
    """The texts that cells name by number."""
    found: list[str] = []
    parts: list[str] = []
    inside = [False, False]  # in a text, in the reading aid of East Asian signs

    def start(name: str, _: dict[str, str]) -> None:
        if name == "si":
            refuse_more(len(found) + 1, MOST_VALUES, "texts", file)
            parts.clear()
        elif name in ("t", "rPh"):
            inside[name == "rPh"] = True

    def end(name: str) -> None:
        if name == "si":
            found.append(_unescaped("".join(parts)))
        elif name in ("t", "rPh"):
            inside[name == "rPh"] = False

    def text(part: str) -> None:
        if inside == [True, False]:
            parts.append(part)

    if content:
        parse_xml(content, _SHEETS, start, end, text)
    return found


def _unescaped(text: str) -> str:
    """The text with the signs that XML cannot hold, which the format writes as `_x0001_`."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _date_formats(parts: dict[str, bytes]) -> frozenset[str]:
    """The numbers of the styles by which a number is shown as a date or a time."""
    own: dict[str, bool] = {}
    styles: list[str] = []
    inside = [False]

    def start(name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt":
            own[attributes["numFmtId"]] = bool(re.search("[dmhysDMHYS]", _NO_DATE.sub("", attributes["formatCode"])))
        elif name == "cellXfs":
            inside[0] = True
        elif name == "xf" and inside[0]:
            styles.append(attributes.get("numFmtId", "0"))

    def end(name: str) -> None:
        if name == "cellXfs":
            inside[0] = False

    if "xl/styles.xml" in parts:
        parse_xml(parts["xl/styles.xml"], _SHEETS, start, end, _nothing)
    known = {str(number) for number in _DATES}
    return frozenset(str(k) for k, key in enumerate(styles) if own.get(key, key in known))


class _Reader:
    """Reads sheets one after the other, and counts what they hold together."""

    def __init__(self, file: str, texts: list[str], dates: frozenset[str]) -> None:
        self.file, self.texts, self.dates = file, texts, dates
        self.cells = self.signs = self.met = 0

    def sheet(self, title: str, content: bytes, part: str) -> Sheet:
        """The cells of a part of the archive."""
        try:
            return self._sheet(title, content)
        except (ValueError, KeyError, IndexError) as error:
            place = f"{self.file}, sheet {title}"
            raise InputError([Problem(place, "", "", f"{part} is damaged: {error}", _REMEDY)]) from error

    def _sheet(self, title: str, content: bytes) -> Sheet:
        sheet = Sheet(title)
        row = column = 0
        kind = style = wanted = ""
        parts: list[str] = []
        given = formula = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal row, column, kind, style, wanted, given, formula
            if name == "row":
                row, column = _within(int(attributes.get("r", row + 1)), ROWS), 0
                self.cells += _OF_A_ROW
            elif name == "c":
                row, column = _place(attributes["r"]) if "r" in attributes else (row, column + 1)
                _within(column, COLUMNS)
                kind, style = attributes.get("t", "n"), attributes.get("s", "")
                given = formula = False
                parts.clear()
            elif name in ("v", "t"):
                wanted, given = name, True
            elif name == "f":
                formula = True

        def text(part: str) -> None:
            if wanted:
                parts.append(part)

        def end(name: str) -> None:
            nonlocal wanted
            if name == wanted:
                wanted = ""
            elif name == "c" and (given or formula):
                cell = self._cell("".join(parts), kind, style in self.dates, formula=formula)
                self._count(cell)
                sheet.rows.setdefault(row, {})[column] = cell

        parse_xml(content, _SHEETS, start, end, text)
        return sheet

    def _count(self, cell: Cell) -> None:
        self.cells += 1
        self.signs += len(cell.text or "")
        self.met += 1
        if self.met % 1000 == 0:
            refuse_more(self.cells, MOST_VALUES, f"cells (a row counts as {_OF_A_ROW} more)", self.file)
            refuse_more(self.signs, MOST_BYTES, "signs in its cells", self.file)

    def _cell(self, value: str, kind: str, date: bool, *, formula: bool) -> Cell:
        if kind == "s":
            number = int(value)
            if not 0 <= number < len(self.texts):
                raise ValueError(f"there is no text {number}")
            value = self.texts[number]
        elif kind in _TEXTS:
            value = _unescaped(value)
        elif kind == "b":
            return Cell("true" if value.strip() == "1" else "false")
        elif kind == "e":
            message = f"{value} is an error of the spreadsheet"
            return Cell(None, (message, "Correct the formula, or write the value"))
        elif kind == "d" or (date and value):
            shown = value if kind == "d" else _date(float(value))
            message = f"the spreadsheet made a date of it, {shown}"
            return Cell(None, (message, "Format the cell as text, then write it anew"))
        elif value:
            return Cell(str(int(value)) if _WHOLE.fullmatch(value) else number_text(float(value)))
        if not value and formula:
            message = "a formula whose value is not in the file"
            return Cell(None, (message, "Save the workbook in a spreadsheet program"))
        if not value and kind not in _TEXTS:
            return Cell(None)
        return Cell(value[:-2] if re.fullmatch('"{2,}', value) else value)


def _place(text: str) -> tuple[int, int]:
    """Row and column of a place such as B12."""
    match = _PLACE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:20]!r} is no place of a cell")
    column = 0
    for letter in match[1]:
        column = 26 * column + ord(letter) - 64
    return _within(int(match[2]), ROWS), column


def _within(number: int, most: int) -> int:
    if not 1 <= number <= most:
        raise ValueError(f"a sheet has {most:,} rows or columns, and this is number {number}")
    return number


def _date(number: float) -> str:
    try:
        return str(_DAY_0 + datetime.timedelta(days=number)).removesuffix(" 00:00:00")
    except (OverflowError, ValueError):
        return str(number)


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
    sheets: Sheets, file: str, schemas: Mapping[str, type[TableSchema]]
) -> dict[str, tuple[pl.DataFrame, list[Problem]]]:
    """The tables in the sheets of their names, empty where there is none, and every fault."""
    return {
        kind: table_from_rows(kind, sheets[kind], _sheet_place(file, kind), schema)
        if kind in sheets
        else (schema.empty(), [])
        for kind, schema in schemas.items()
    }


def not_read(sheets: Sheets, file: str, known: Sequence[str]) -> list[Problem]:
    """Warnings about unknown sheets."""
    remedy = f"Sheets are named {', '.join(known)}"
    others = (name for name in sheets if name not in known)
    return [
        Problem(_sheet_place(file, name), "", "", "this sheet is not read", remedy, "warning", changes_figures=True)
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
        place = _sheet_place(file, sheet.title)
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
    place = _sheet_place(file, HEAD_SHEET)
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
        return [], [
            Problem(_sheet_place(file, NOTES_SHEET), "line 1", "", "these are not the columns of notes", remedy)
        ]
    notes = []
    for _, cells in body:
        table, row, column, message, remedy, changes = (cell or "" for cell in cells)
        notes.append(Problem(table, row, column, message, remedy, "warning", changes_figures=changes == "true"))
    return notes, []


def _sheet_place(file: str, sheet: str) -> str:
    return f"{file}, sheet {sheet}"
