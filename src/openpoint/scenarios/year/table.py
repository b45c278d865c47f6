"""A table as it was read, whose cells are asked for by column; every fault is collected with its row."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import InputError, Problem
from openpoint.grid.table_files import decimal_of, frame_from_parquet, plain, refuse_large_table, separator_of, texts
from openpoint.inputs import content_of, decoding
from openpoint.io.text import decode
from openpoint.io.workbook import read as workbook

TEXTS = ("starts_at", "load", "generator", "profile", "block", "start", "end")
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
    ending = file.suffix.lower()
    if ending not in (".csv", ".parquet"):
        remedy = "Give a folder of tables, a workbook (.xlsx), or a table as .csv or .parquet"
        raise InputError([Problem(file.name, "", "", "the format of this file is not known", remedy)])
    content = content_of(file)
    if ending == ".parquet":
        return Table(file.name, frame_from_parquet(content, file.name))
    with decoding(file.name, "no table", "Write a row for each step and a column for each profile"):
        return Table(file.name, _from_csv(decode(content, file.name), file.name), "line", 2)


def _from_csv(text: str, file: str) -> pl.DataFrame:
    """The cells as texts; numbers have decimal points.

    Raises:
        InputError: the separator of cells and the decimal sign contradict each other.
    """
    separator, faults = separator_of(text, file)
    if not faults:
        refuse_large_table(text, separator, file)
        frame = texts(pl.read_csv(io.BytesIO(text.encode()), infer_schema=False, separator=separator), plain)
        numbers = [name for name in frame.columns if name not in TEXTS]
        if separator == "," or not numbers:
            return frame
        rows = enumerate(frame.select(numbers).iter_rows(), start=2)
        cells = ((f"line {line}", name, cell or "") for line, row in rows for name, cell in zip(numbers, row))
        decimal, faults = decimal_of(cells, separator, file)
        if not faults:
            return frame if decimal == "." else frame.with_columns(pl.col(numbers).str.replace_all(",", "."))
    raise InputError(faults)
