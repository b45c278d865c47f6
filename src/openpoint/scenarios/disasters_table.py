"""Tables of disasters, one row for each broken branch: every fault with its place, then names and numbers."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.csv_style import ONE_CELL_EACH, decimal_of, plain, refuse_large_table, separator_of, with_point
from openpoint.grid.grid import Grid
from openpoint.grid.parquet import frame_from_parquet
from openpoint.grid.rules.problems import AT_A_BUS, did_you_mean
from openpoint.grid.schemas import BRANCH_TABLES
from openpoint.inputs import MOST_VALUES, content_of, decoding
from openpoint.io.text import decode
from openpoint.io.workbook import read as workbook

COLUMNS = ("disaster", "probability", "branch")
SUM_TOLERANCE = 1.001e-6
"""Largest difference of a sum of probabilities from 1: 1e-6, and a margin so that three of 0.333333 pass."""
# A smaller difference from one is the rounding of a sum, and the probabilities are not scaled.
_ROUNDING = 1e-12
# The most faults of one kind that are listed; further ones are counted only.
_MOST = 20


@dataclass(frozen=True)
class Row:
    """A row as it was given: `place` is the line or number that messages name, `""` where there is none."""

    place: str
    disaster: object
    probability: object
    branch: object


Sound = dict[str, tuple[float, list[str]]]
"""Probability and broken branches by the name of the disaster."""


def is_csv(file: Path) -> bool:
    """Whether a file is CSV and not Parquet, by its ending.

    Raises:
        OptionError: another ending.
    """
    ending = file.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise OptionError(f"{file}: disasters are stored as .csv or .parquet, or read from .xlsx; name such a file")
    return ending == ".csv"


def load_rows(file: Path) -> list[Row]:
    """The rows of a file.

    Raises:
        InputError: the file cannot be read, or its columns are wrong, with every fault.
        OptionError: another ending.
    """
    book = file.suffix.lower() in workbook.ENDINGS
    as_text = not book and is_csv(file)
    content = content_of(file)
    with decoding(file.name, "no table", f"Write a table with the columns {', '.join(COLUMNS)}"):
        if book:
            frame = workbook.frame_of(workbook.only_sheet(content, file.name, "disasters"), file.name)
            return rows_of_frame(frame, file.name, word="line", first=2)
        if not as_text:
            return rows_of_frame(frame_from_parquet(content, file.name, MOST_VALUES), file.name)
        return _rows_of_text(decode(content, file.name), file.name)


def rows_of_frame(frame: pl.DataFrame, table: str, *, word: str = "number", first: int = 1) -> list[Row]:
    """The rows of a frame; messages name them by the word and their number.

    Raises:
        InputError: the columns are wrong, with every fault.
    """
    if faults := list(_header_faults(frame.columns, table)):
        raise InputError(faults)
    return [Row(f"{word} {n}", *cells) for n, cells in enumerate(frame.select(COLUMNS).iter_rows(), start=first)]


def _rows_of_text(text: str, table: str) -> list[Row]:
    separator, faults = separator_of(text, table)
    if faults:
        raise InputError(faults)
    refuse_large_table(text, separator, table, MOST_VALUES)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator)
    header = next(cells for cells in reader if cells)
    faults = list(_header_faults(header, table))
    rows: list[Row] = []
    line = reader.line_num + 1
    for cells in reader:
        if cells and len(cells) != len(header):
            message = f"{len(cells)} cells, but the first line names {len(header)} columns"
            faults.append(Problem(table, f"line {line}", "", message, ONE_CELL_EACH))
        elif cells and not faults:
            rows.append(Row(f"line {line}", *(plain(cells[header.index(name)]) for name in COLUMNS)))
        line = reader.line_num + 1
    numbers_read = ((row.place, "probability", str(row.probability)) for row in rows)
    decimal, found = (".", faults) if faults else decimal_of(numbers_read, separator, table)
    if found:
        raise InputError(found)
    return [replace(row, probability=with_point(str(row.probability), decimal)) for row in rows]


def _header_faults(header: Sequence[str], table: str) -> Iterator[Problem]:
    columns = ", ".join(COLUMNS)
    for name in dict.fromkeys(header):
        if name not in COLUMNS:
            yield Problem(table, "", name, f"unknown column {name!r}", f"Remove it; the columns are {columns}")
        elif header.count(name) > 1:
            yield Problem(table, "", name, "the column is given more than once", "Keep one")
    for name in COLUMNS:
        if name not in header:
            yield Problem(table, "", name, "column is missing", f"Add it; the columns are {columns}")


def sound_rows(rows: Sequence[Row], grid: Grid, table: str) -> Sound:
    """The disasters in these rows, in the order of their first rows; probabilities sum to one but for rounding.

    Raises:
        InputError: with every fault of every row.
    """
    reading = _Reading(table, [row for row in map(_clean, rows) if row.disaster or row.probability or row.branch])
    reading.check_names()
    reading.check_probabilities()
    reading.check_branches(grid)
    if faults := reading.faults():
        raise InputError(faults)
    total = math.fsum(reading.probability.values())
    scale = total if abs(total - 1.0) > _ROUNDING else 1.0
    sound: Sound = {name: (probability / scale, []) for name, probability in reading.probability.items()}
    for row in reading.rows:
        sound[row.disaster][1].extend([row.branch] if row.branch else [])
    return sound


@dataclass(frozen=True)
class _Text(Row):
    """A row of texts; an empty one is missing."""

    disaster: str
    probability: str
    branch: str


def _clean(row: Row) -> _Text:
    return _Text(row.place, _text(row.disaster), _text(row.probability), _text(row.branch))


def _text(value: object) -> str:
    # A spreadsheet reads the name "11" as 11, and as 11.0 where the column has an empty cell, which becomes NaN.
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


@dataclass
class _Reading:
    """Rows while they are checked. `probability` is filled by the name of the disaster."""

    table: str
    rows: list[_Text]
    probability: dict[str, float] = field(default_factory=dict)
    found: dict[str, list[Problem]] = field(default_factory=dict)

    def check_names(self) -> None:
        """Check that there are rows, and that each names its disaster."""
        if not self.rows:
            remedy = "Give a row for each broken branch; a disaster that breaks nothing has one with an empty branch"
            self._fault("empty", None, "", "the table has no rows", remedy)
        for row in self.rows:
            if not row.disaster:
                self._fault("name", row, "disaster", "the name of the disaster is missing", "Give it in every row")

    def check_probabilities(self) -> None:
        """Check that probabilities are numbers between 0 and 1, the same within a disaster, with the sum one."""
        if self.rows and not any(row.probability for row in self.rows):
            message = "no disaster has a probability"
            remedy = "Give them; equal ones are not assumed. Of N equal disasters each has 1/N"
            self._fault("none", None, "probability", message, remedy)
            return
        first: dict[str, _Text] = {}
        for row in self.rows:
            value = _number(row.probability)
            if not row.probability:
                message = "the probability is missing"
                self._fault("missing", row, "probability", message, "Give it in every row of the disaster")
            elif value is None:
                message = f"{row.probability!r} is not a number"
                self._fault("number", row, "probability", message, "Write a number such as 0.25")
            elif not 0.0 <= value <= 1.0:
                message = f"the probability {row.probability} is not between 0 and 1"
                self._fault("range", row, "probability", message, "Give a share of 1, not percent")
            elif row.disaster:
                earlier = first.setdefault(row.disaster, row)
                if self.probability.setdefault(row.disaster, value) != value:
                    message = f"the probability {row.probability} differs from {earlier.probability} in {earlier.place}"
                    self._fault("differs", row, "probability", message, "Give the same in all rows of a disaster")
        total = math.fsum(self.probability.values())
        # Where some could not be read, a fault of the sum would mislead.
        if self.rows and not self.found and abs(total - 1.0) > SUM_TOLERANCE:
            message = f"the probabilities of the {len(self.probability)} disasters sum to {total:.9g}, not to 1"
            remedy = "Correct them; if there may be no disaster, add one that breaks nothing (an empty branch)"
            self._fault("sum", None, "probability", message, remedy)

    def check_branches(self, grid: Grid) -> None:
        """Check that branches are of the grid, each once in a disaster; none only where nothing breaks."""
        known = grid.branches()["name"].to_list()
        names, unknown = set(known), set[str]()
        count: dict[str, int] = {}
        for row in self.rows:
            count[row.disaster] = count.get(row.disaster, 0) + 1
        earlier: dict[tuple[str, str], _Text] = {}
        for row in self.rows:
            before = earlier.setdefault((row.disaster, row.branch), row)
            if not row.branch and count[row.disaster] > 1 and row.disaster:
                message = "the branch is missing, and the disaster has other rows"
                remedy = "Name the branch that breaks, or remove the row; only a disaster that breaks nothing has none"
                self._fault("no branch", row, "branch", message, remedy)
            elif row.branch and row.branch not in names:
                if row.branch not in unknown:
                    unknown.add(row.branch)
                    # The search for similar names takes time, and only the first faults are listed.
                    advice = _not_a_branch(row.branch, grid, known if len(unknown) <= _MOST else [])
                    self._fault("unknown", row, "branch", *advice)
            elif row.branch and before is not row:
                message = f"branch {row.branch!r} breaks twice in this disaster"
                message += f", see {before.place}" if before.place else ""
                self._fault("twice", row, "branch", message, "Keep one of the rows")

    def faults(self) -> list[Problem]:
        """Every fault; of a frequent kind the first ones, and the number of the others."""
        found: list[Problem] = []
        for same in self.found.values():
            found += same[:_MOST]
            if len(same) > _MOST:
                message = f"{len(same) - _MOST} more rows have this fault: {same[-1].message}"
                found.append(Problem(self.table, "", same[-1].column, message, "Correct them alike"))
        return found

    def _fault(self, kind: str, row: _Text | None, column: str, message: str, remedy: str) -> None:
        place = "" if row is None else ", ".join(filter(None, (row.place, f"disaster {row.disaster!r}")))
        self.found.setdefault(kind, []).append(Problem(self.table, place, column, message, remedy))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _not_a_branch(name: str, grid: Grid, known: list[str]) -> tuple[str, str]:
    """The message on a name that is not a branch, and what to do."""
    tables = grid.tables()
    for kind in AT_A_BUS:
        for bus in tables[kind].filter(pl.col("name") == name)["bus"].to_list():
            word = kind.removesuffix("s")
            return f"{name!r} is a {word}, and a {word} cannot break", _at_the_bus(bus, grid)
    if name in grid.buses["name"]:
        held = " that a source holds" if name in grid.sources["bus"] else ""
        return f"{name!r} is a bus{held}, and a bus cannot break", _at_the_bus(name, grid)
    remedy = did_you_mean(name, known, f"Use names of {', '.join(BRANCH_TABLES)}")
    return f"there is no branch {name!r} in the grid", remedy


def _at_the_bus(bus: str, grid: Grid) -> str:
    at = grid.branches().filter((pl.col("from_bus") == bus) | (pl.col("to_bus") == bus))["name"].to_list()
    shown = ", ".join(map(repr, at[:5])) + (f" and {len(at) - 5} more" if len(at) > 5 else "")
    return f"Let the branches at bus {bus!r} break instead: {shown}"
