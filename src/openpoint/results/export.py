"""Write the tables of a result as CSV, Parquet or Excel: the same figures under the same names as in JSON.

CSV and Parquet have one file for each table, and the summary as a table of one row; Excel has one sheet for each table.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from openpoint.atomic import write_bytes, write_files
from openpoint.grid.table_files import table_bytes


class Tabled(Protocol):
    """What is written: tables by name, and a summary with one value for each key."""

    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by name."""

    def row(self) -> Mapping[str, str | float | int | None]:
        """The summary."""

    def row_frame(self) -> pl.DataFrame:
        """The summary as a table."""


def to_csv(result: Tabled, folder: str | Path) -> list[Path]:
    """Write one CSV file for each table into the folder, which is made where missing; the paths written."""
    return _write(result, Path(folder), "csv")


def to_parquet(result: Tabled, folder: str | Path) -> list[Path]:
    """Write one Parquet file for each table into the folder, which is made where missing; the paths written."""
    return _write(result, Path(folder), "parquet")


def to_excel(result: Tabled, file: str | Path) -> Path:
    """Write one workbook with a sheet for each table; the path written.

    Text is written as text: a bus called `=1+1` is not a formula, one called `http://…` not a link.
    """
    import xlsxwriter

    path, buffer = Path(file), io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        bold = book.add_format({"bold": True})
        sheet = book.add_worksheet("summary")
        sheet.set_column(0, 0, 24)
        sheet.set_column(1, 1, 60)
        for row, (key, value) in enumerate(result.row().items()):
            sheet.write_string(row, 0, key, bold)
            _write_cell(sheet, row, 1, value)
        for name, frame in result.tables().items():
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            for column, header in enumerate(frame.columns):
                sheet.set_column(column, column, max(10, len(header) + 2))
                sheet.write_string(0, column, header, bold)
                for row, value in enumerate(frame[header], start=1):
                    _write_cell(sheet, row, column, value)
    write_bytes(path, buffer.getvalue())
    return path


def _write(result: Tabled, folder: Path, ending: str) -> list[Path]:
    frames = {"summary": result.row_frame(), **result.tables()}
    write_files(
        {folder / f"{name}.{ending}": table_bytes(frame, csv=ending == "csv") for name, frame in frames.items()}
    )
    return [folder / f"{name}.{ending}" for name in frames]


def _write_cell(sheet: Any, row: int, column: int, value: str | float | int | None) -> None:
    if isinstance(value, bool):
        sheet.write_boolean(row, column, value)
    elif isinstance(value, str):
        sheet.write_string(row, column, value)
    elif value is not None:
        sheet.write_number(row, column, value)
