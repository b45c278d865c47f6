"""Write a grid as an Excel workbook that `openpoint.io.workbook.read` reads back without loss."""

from __future__ import annotations

import io
import math
import re
from typing import Any

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from openpoint.errors import InputError, Problem
from openpoint.grid.files import FORMAT
from openpoint.grid.grid import Grid
from openpoint.grid.table_files import number_text, written_columns
from openpoint.io.workbook.read import HEAD_KEYS, HEAD_SHEET, NOTE_FIELDS, NOTES_SHEET

MOST_ROWS = 2**20 - 1
MOST_LETTERS = 32_767
# Characters that XML cannot hold, and texts that spreadsheets read as escapes of such.
_NOT_KEPT = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")


class _Exact(Worksheet):  # type: ignore[misc]
    """A sheet whose numbers have as many digits as it takes to read them back; the library writes sixteen."""

    def _xml_number_element(self, number: float, attributes: list[tuple[str, Any]] | None = None) -> None:
        text = "".join(f' {key}="{value}"' for key, value in attributes or [])
        self.fh.write(f"<c{text}><v>{number!r}</v></c>")


def workbook_from_grid(grid: Grid) -> bytes:
    """The workbook: a sheet `grid` of key and value, a sheet a table that has rows, and `notes` where there are any.

    Raises:
        InputError: texts that a workbook cannot hold, all of them, or too many rows.
    """
    sheets: dict[str, list[tuple[str, list[Any]]]] = {
        HEAD_SHEET: [("key", ["format", *HEAD_KEYS]), ("value", [FORMAT, grid.name, grid.title, grid.source])],
        **{kind: written_columns(kind, frame) for kind, frame in grid.tables().items() if frame.height},
    }
    if grid.notes:
        sheets[NOTES_SHEET] = [(name, [getattr(note, name) for note in grid.notes]) for name in NOTE_FIELDS]
    if faults := [fault for name, columns in sheets.items() for fault in _faults(name, columns)]:
        raise InputError(faults)
    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        bold = book.add_format({"bold": True})
        for name, columns in sheets.items():
            _fill(book.add_worksheet(name, worksheet_class=_Exact), columns, bold)
    return buffer.getvalue()


def _fill(sheet: Worksheet, columns: list[tuple[str, list[Any]]], bold: Any) -> None:
    sheet.freeze_panes(1, 0)
    for k, (name, values) in enumerate(columns):
        sheet.set_column(k, k, max(10, len(name) + 2))
        sheet.write_string(0, k, name, bold)
        for row, value in enumerate(values, start=1):
            value = value[0] if isinstance(value, list) and len(value) == 1 else value
            if isinstance(value, bool):
                sheet.write_boolean(row, k, value)
            elif isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
                sheet.write_number(row, k, value)
            elif value is not None:
                sheet.write_string(row, k, _text(value))


def _text(value: str | float | list[float]) -> str:
    """A text in the form of a cell: of only quotation marks with two more, an empty one as two quotation marks."""
    if isinstance(value, float):
        return number_text(value)
    text = " ".join(map(number_text, value)) if isinstance(value, list) else value
    return f'{text}""' if re.fullmatch('"*', text) and text != '"' else text


def _faults(name: str, columns: list[tuple[str, list[Any]]]) -> list[Problem]:
    faults = []
    names = next((values for column, values in columns if column == "name"), None)
    for column, values in columns:
        if len(values) > MOST_ROWS:
            message = f"{len(values):,} rows are more than a sheet of a workbook has"
            return [Problem(name, "", "", message, "Write a folder of tables")]
        for k, value in enumerate(values):
            if isinstance(value, str) and (_NOT_KEPT.search(value) or len(value) > MOST_LETTERS):
                row = repr(names[k]) if names is not None else f"number {k + 1}"
                message = "a workbook cannot hold this text: it has control characters, or is too long"
                faults.append(Problem(name, row, column, message, "Rename it, or write a folder of tables"))
    return faults
