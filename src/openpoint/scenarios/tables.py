"""Tables that a user writes: cells of one in a file, and the tables of a folder or a workbook, with their faults.

Long tables of futures: a row for each future and each of its places or times, with numbers and a probability.

Every fault is collected with its place: columns and values that are missing or unknown, rows that stand twice,
probabilities that are none.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from openpoint.arrays import Floats, Ints
from openpoint.columns import TableSchema
from openpoint.errors import InputError, OptionError, Problem, did_you_mean
from openpoint.grid.files import table_from_files
from openpoint.grid.table_files import ONE_CELL_EACH, frame_from_csv, frame_from_parquet, plain, separator_of
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
    """How messages name a table and its rows: line 2, or number 1; `lines`: of the rows, where cells have several."""

    table: str
    row_word: str = "number"
    first_row: int = 1
    lines: tuple[int, ...] = ()


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
            text = decode(content, file.name)
            try:
                frame = frame_from_csv(text, file.name, is_number)
            except pl.exceptions.PolarsError:
                (_, count), *rows = _lines(text, file.name)
                message = "{} cells, but the first line names " + f"{count} columns"
                wrong = [(line, cells) for line, cells in rows if cells not in (0, count)]
                faults = [Problem(file.name, f"line {n}", "", message.format(k), ONE_CELL_EACH) for n, k in wrong]
                if not faults:
                    raise
                raise InputError(faults[:MOST_ROWS]) from None
            if text.count("\n") not in (frame.height, frame.height + 1):
                return frame, Place(file.name, "line", 2, tuple(line for line, _ in _lines(text, file.name)[1:]))
    return frame, Place(file.name, "line", 2)


def _lines(text: str, file: str) -> list[tuple[int, int]]:
    """The line on which each row of a CSV file begins, from that of the names on, and how many cells it has."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator_of(text, file)[0])
    found, first = list[tuple[int, int]](), 1
    for cells in reader:
        found += [(first, len(cells))] if cells or found else []
        first = reader.line_num + 1
    return found


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


SUM_TOLERANCE = 1.001e-6
"""The sum of probabilities may differ from one by 1e-6, so that three of 0.333333 are accepted."""
ROUNDING = 1e-12
"""A smaller difference from one is the rounding of a sum, and the probabilities are not scaled."""
MOST_ROWS = 20
"""The most faults of one kind that are listed by row; further ones are counted only."""
PROBABILITY = "probability"


@dataclass(frozen=True)
class Columns:
    """The columns of a long table, beside `probability`.

    Attributes:
        key: column of what a row is about, beside its future. key_meaning: in words. rows: what rows there have to be.
        twice: why a key stands in one row of a future. numbers: those that may be there, with their meaning in words.
        needed: those that must be. listed: all of them in a line, where they are too many to be listed.
        of: column of the future, or of what takes its place. alone: whether its only row may be without a key.
        unknown: what to do where probabilities do not sum to one.
    """

    key: str
    key_meaning: str
    rows: str
    twice: str
    numbers: Mapping[str, str]
    needed: tuple[str, ...] = ()
    listed: str = ""
    of: str = "future"
    alone: bool = False
    unknown: str = "Correct them, or remove the column where nobody knows them"

    @property
    def texts(self) -> tuple[str, str]:
        """Columns of names."""
        return self.of, self.key

    @property
    def meaning(self) -> dict[str, str]:
        """Of every column, in words."""
        return {
            self.of: f"the name of the {self.of}",
            self.key: self.key_meaning,
            **self.numbers,
            PROBABILITY: f"the probability of the {self.of}, in every row",
        }


class LongTable:
    """A table while it is read. `rows` are the columns in their types, null where a value cannot be read."""

    def __init__(self, raw: pl.DataFrame, columns: Columns, place: Place) -> None:
        self.columns, self.place = columns, place
        # Empty lines are not rows.
        filled = pl.Series(~np.all([raw[name].is_null() for name in raw.columns], axis=0) if raw.width else [])
        rows = filled.cast(pl.Boolean).arg_true()
        self.number = pl.Series(place.lines).gather(rows) if place.lines else rows + place.first_row
        self.raw = raw.filter(filled) if raw.width else raw
        self.rows = pl.DataFrame()
        self.faults: list[Problem] = []

    def read(self, known: Iterable[str], unknown: tuple[str, str] | Callable[[str], tuple[str, str]]) -> bool:
        """Read all columns and check them; whether there is something to read.

        Args:
            known: the names of keys.
            unknown: message and remedy where a key is none of them: of each name, or of all, with {} for the name.
        """
        if not self._has_columns():
            return False
        self._take_texts()
        self._take_numbers()
        self._check_keys(tuple(known), unknown)
        self._check_repeated()
        self._check_probabilities()
        return True

    @property
    def names(self) -> pl.Series:
        """The futures, in the order of their first rows."""
        return self.rows[self.columns.of].drop_nulls().unique(maintain_order=True)

    def numbers_of(self, column: str, names: pl.Series | tuple[str, ...]) -> Ints:
        """(M) the number of the name in a column of every row that has one."""
        return self.rows[column].drop_nulls().cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()

    def probabilities(self) -> Floats | None:
        """(K) summing to one; None where the table gives none."""
        if PROBABILITY not in self.rows.columns:
            return None
        found = np.zeros(len(self.names))
        found[self.numbers_of(self.columns.of, self.names)] = self.rows[PROBABILITY].to_numpy()
        return found / found.sum() if abs(found.sum() - 1.0) > ROUNDING else found

    def fault(self, row: str, column: str, message: str, remedy: str) -> None:
        """Add a fault."""
        self.faults.append(Problem(self.place.table, row, column, message, remedy))

    def at(self, bad: pl.Series, column: str, message: str, remedy: str) -> None:
        """Add a fault for every bad row."""
        for i in self._some(bad, column, message):
            self.fault(self._where(i), column, message, remedy)

    def _has_columns(self) -> bool:
        """Whether there are rows, with all columns that must be there."""
        meaning = self.columns.meaning
        columns = self.columns.listed or ", ".join(meaning)
        for column in self.raw.columns:
            if column not in meaning:
                remedy = did_you_mean(column, tuple(meaning), f"Remove it; the columns are {columns}")
                self.fault("", column, "unknown column", remedy)
        missing = [name for name in (*self.columns.texts, *self.columns.needed) if name not in self.raw.columns]
        for column in missing:
            self.fault("", column, "column is missing", f"Add {meaning[column]}; the columns are {columns}")
        if self.raw.is_empty():
            self.fault("", "", "the table has no rows", f"Give {self.columns.rows}")
        return not missing and not self.raw.is_empty()

    def _take_texts(self) -> None:
        """Read the names; an integer is a name, too."""
        texts = []
        for column in self.columns.texts:
            values = self.raw[column]
            values = values.fill_nan(None) if values.dtype.is_float() else values
            if values.dtype.is_float() and (values.drop_nulls() % 1 == 0).all():
                values = values.cast(pl.Int64)
            texts.append(_cast(values, pl.String()).replace("", None).alias(column))
        self.rows = pl.DataFrame(texts)
        of, key = texts
        self.at(of.is_null(), of.name, "value is missing", f"Give {self.columns.meaning[of.name]}")
        missing, message = key.is_null(), "value is missing"
        if self.columns.alone:
            missing &= self.rows.select(pl.len().over(of.name) > 1).to_series() & of.is_not_null()
            message = f"the {key.name} is missing, and the {of.name} has other rows"
        self.at(missing, key.name, message, f"Give {self.columns.meaning[key.name]}")

    def _take_numbers(self) -> None:
        """Read the columns of numbers; an empty column of probabilities counts as missing."""
        for column in (*self.columns.numbers, PROBABILITY):
            if column not in self.raw.columns:
                continue
            given = self.raw[column]
            if column == PROBABILITY:
                given = given.fill_nan(None) if given.dtype.is_float() else given
                given = given.replace("", None) if given.dtype == pl.String else given
                if given.is_null().all():
                    continue
            values = _cast(given.str.strip_chars() if given.dtype == pl.String else given, pl.Float64())
            self.rows = self.rows.hstack([values.alias(column)])
            for i in self._some(given.is_not_null() & values.is_null(), column, "not a number"):
                self.fault(self._where(i), column, f"{_show(given[i])} is not a number", "Write a number such as 12.66")
            self.at(given.is_null(), column, "value is missing", f"Give {self.columns.meaning[column]}")
            infinite = ~values.is_finite().fill_null(True)
            self.at(infinite, column, "the value is not a finite number", "Give a finite number")

    def _check_keys(self, known: tuple[str, ...], told: tuple[str, str] | Callable[[str], tuple[str, str]]) -> None:
        """Report each unknown key once, where it is first named."""
        column = self.columns.key
        key = self.rows[column]
        unknown = key.is_not_null() & ~key.is_in(list(known)).fill_null(True) & key.is_first_distinct()
        for i in self._some(unknown, column, f"there is no such {column}"):
            if isinstance(told, tuple):
                message, remedy = told[0].format(repr(key[i])), did_you_mean(key[i], known, told[1])
            else:
                message, remedy = told(key[i])
            self.fault(self._where(i), column, message, remedy)

    def _check_repeated(self) -> None:
        """Report keys that are given twice in a future."""
        again, of = ~self.rows.select(self.columns.texts).to_struct().is_first_distinct(), self.columns.of
        named = self.rows[of].is_not_null() & self.rows[self.columns.key].is_not_null()
        message = f"this {self.columns.key} is given more than once in this {of}"
        self.at(again & named, self.columns.key, message, f"Keep one row; {self.columns.twice}")

    def _check_probabilities(self) -> None:
        """Check that probabilities are between 0 and 1, the same within a future, with the sum one."""
        of, remedy = self.columns.of, self.columns.unknown
        if PROBABILITY not in self.rows.columns:
            if PROBABILITY in self.columns.needed:
                self.fault("", PROBABILITY, f"no {of} has a probability", remedy)
            return
        outside = ((self.rows[PROBABILITY] < 0.0) | (self.rows[PROBABILITY] > 1.0)).fill_null(False)
        self.at(outside, PROBABILITY, "the probability is not between 0 and 1", "Give a share of 1, not percent")
        sound = self.rows.filter(pl.col(PROBABILITY).is_finite() & pl.col(of).is_not_null() & ~outside)
        each = sound.group_by(of, maintain_order=True).agg(pl.col(PROBABILITY).unique(maintain_order=True))
        for name, values in each.filter(pl.col(PROBABILITY).list.len() > 1).iter_rows():
            message = f"the probability differs between rows of this {of}: {values[0]:g} and {values[1]:g}"
            self.fault(f"{of} {name!r}", PROBABILITY, message, f"Give the same in all rows of a {of}")
        total = float(each[PROBABILITY].list.first().sum())
        same = (each[PROBABILITY].list.len() == 1).all()
        # Where some could not be read, a fault of the sum would mislead.
        if sound.height == self.rows.height and same and abs(total - 1.0) > SUM_TOLERANCE:
            message = f"the probabilities of the {each.height} {of}s sum to {total:.9g}, not to 1"
            self.fault("", PROBABILITY, message, remedy)

    def _some(self, bad: pl.Series, column: str, message: str) -> Iterator[int]:
        """The first bad rows; a fault counts the others."""
        rows = bad.arg_true().to_list()
        yield from rows[:MOST_ROWS]
        if len(rows) > MOST_ROWS:
            self.fault("", column, f"{message}, in {len(rows) - MOST_ROWS} more rows", "Correct them alike")

    def _where(self, i: int) -> str:
        of = ", ".join(f"{name} {self.rows[name][i]!r}" for name in self.columns.texts)
        return f"{self.place.row_word} {self.number[i]}, {of}"


def load_table(file: Path, columns: Columns) -> tuple[pl.DataFrame, Place]:
    """The table in a file; arguments and errors as of `load_frame`."""
    needed, numbers = (*columns.texts, *columns.needed), (*columns.numbers, PROBABILITY)
    return load_frame(file, f"{columns.of}s", needed, lambda name: name in numbers)


def _cast(values: pl.Series, dtype: pl.DataType) -> pl.Series:
    try:
        cast = values.cast(dtype, strict=False)
    except pl.exceptions.PolarsError:
        cast = None
    # A cast of a structure is one of its fields.
    return (
        cast if cast is not None and cast.dtype == dtype else pl.Series(values.name, [None] * len(values), dtype=dtype)
    )


def _show(value: object) -> str:
    return repr(value.to_list() if isinstance(value, pl.Series) else value)
