"""Disasters: sets of branches that may break together, each with its probability.

Only branches break. A line that is open today may break, too; then it cannot be closed. A source cannot break: let the
branches at it break instead.
"""

from __future__ import annotations

import csv
import io
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import polars as pl

from openpoint.arguments import Names, names_of, of_kind, path_of
from openpoint.arrays import Bools, Floats, Ints
from openpoint.atomic import refusing, write_bytes
from openpoint.errors import InputError, OptionError, Problem, did_you_mean, remedy_of_column
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import AT_A_BUS
from openpoint.grid.schemas import BRANCH_TABLES
from openpoint.grid.table_files import (
    ONE_CELL_EACH,
    decimal_of,
    frame_from_parquet,
    plain,
    refuse_large_table,
    separator_of,
    table_bytes,
    with_point,
)
from openpoint.inputs import MOST_VALUES, content_of, decoding
from openpoint.io import GridLike, read
from openpoint.io.text import decode
from openpoint.io.workbook import read as workbook
from openpoint.scenarios.tables import is_csv

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


def load_rows(file: Path) -> list[Row]:
    """The rows of a file.

    Raises:
        InputError: the file cannot be read, or its columns are wrong, with every fault.
        OptionError: another ending.
    """
    book = file.suffix.lower() in workbook.ENDINGS
    as_text = not book and is_csv(file, "disasters")
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
            yield Problem(table, "", name, f"unknown column {name!r}", remedy_of_column(name, COLUMNS))
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


@dataclass(frozen=True, eq=False)
class Disasters:
    """K disasters of a grid of E branches.

    Attributes:
        names: (K) a name for each disaster, all different.
        probabilities: (K) between 0 and 1, sum to one within 1e-6.
        broken: (K, E) whether the branch breaks, in the order of `Grid.branches`.

    Raises:
        OptionError: shapes that do not agree, names empty or given twice, numbers that are not probabilities.
    """

    names: tuple[str, ...]
    probabilities: Floats
    broken: Bools

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", names_of(self.names, "names"))
        probabilities = np.array(self.probabilities, dtype=np.float64)
        broken = np.array(self.broken, dtype=np.bool_)
        k = len(self.names)
        if probabilities.shape != (k,) or broken.ndim != 2 or len(broken) != k:
            raise OptionError(
                f"{k} names, probabilities of shape {probabilities.shape} and broken of shape {broken.shape} do not "
                f"agree; give ({k},) and ({k}, branches)"
            )
        if not k or len(set(self.names)) < k or "" in self.names:
            raise OptionError("give at least one disaster, and every disaster a name of its own")
        total = probabilities.sum()
        # This form of the comparisons refuses NaN.
        if not ((probabilities >= 0.0).all() and abs(total - 1.0) <= SUM_TOLERANCE):
            raise OptionError(f"probabilities must not be negative and must sum to one; these sum to {total:.9g}")
        for name, array in (("probabilities", probabilities), ("broken", broken)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    @classmethod
    def from_branches(cls, grid: GridLike, disasters: Mapping[str, tuple[float, Names]]) -> Disasters:
        """Disasters by name: the probability and the branches that break.

        Raises:
            InputError: the grid has faults, or the disasters have, with all of them.
            OptionError: a value that is not a probability with branches.
        """
        for name, given in disasters.items():
            if not (isinstance(given, tuple | list) and len(given) == 2):
                raise OptionError(f"disaster {name!r} is {given!r}; give its probability and branches, (0.5, ['7'])")
        rows = [
            Row("", name, probability, branch)
            for name, (probability, branches) in disasters.items()
            for branch in names_of(branches, f"disaster {name!r}") or ("",)
        ]
        return _from_rows(rows, read(grid), "disasters")

    def __len__(self) -> int:
        return len(self.names)

    def merged(self) -> tuple[Disasters, Ints]:
        """The same disasters with those that break the same branches made one, in the order of their first.

        A merged disaster has the sum of the probabilities and the name of the first.

        Returns:
            the merged disasters, and (K) the number of the merged disaster of each disaster.
        """
        _, first, number = np.unique(self.broken, axis=0, return_index=True, return_inverse=True)
        rank = np.empty(len(first), dtype=np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        number, first = rank[number.reshape(-1)], np.sort(first)
        probabilities = np.zeros(len(first))
        np.add.at(probabilities, number, self.probabilities)
        return Disasters(tuple(self.names[k] for k in first), probabilities, self.broken[first]), number

    def table(self, grid: GridLike) -> pl.DataFrame:
        """A row for each broken branch, and one without branch where nothing breaks: disaster, probability, branch.

        Raises:
            OptionError: the disasters belong to a grid of another number of branches.
        """
        grid = read(grid)
        branches = grid.branches()["name"].to_list()
        if self.broken.shape[1] != len(branches):
            raise OptionError(
                f"these disasters are of a grid of {self.broken.shape[1]} branches, {grid.name!r} has {len(branches)}; "
                "give the grid they were made for"
            )
        rows = [
            (name, float(p), branch)
            for name, p, broken in zip(self.names, self.probabilities, self.broken)
            for branch in [branches[e] for e in np.flatnonzero(broken)] or [None]
        ]
        schema = {"disaster": pl.String, "probability": pl.Float64, "branch": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def equals(self, other: Disasters) -> bool:
        """Whether names, probabilities and broken branches are equal."""
        return (
            self.names == other.names
            and np.array_equal(self.probabilities, other.probabilities)
            and np.array_equal(self.broken, other.broken)
        )

    def __repr__(self) -> str:
        count = self.broken.sum(axis=1)
        return f"Disasters({len(self)} disasters that break {count.min()} to {count.max()} branches)"


DisastersLike = Disasters | str | os.PathLike[str] | pl.DataFrame
"""What stands for disasters: `Disasters`, or what `read_disasters` takes, the path of a table or a frame."""


def read_disasters(path_or_frame: DisastersLike, grid: GridLike) -> Disasters:
    """The disasters of a grid from a table: a file in CSV, Parquet or Excel, or a frame. `Disasters` are returned as
    they are.

    A row names one branch that breaks in one disaster. A disaster that breaks nothing has one row with an empty
    branch. Disasters are in the order of their first rows.

    Columns: disaster, probability (the same in all rows of a disaster), branch. The probabilities sum to one over the
    disasters within 1e-6, and are then scaled to sum to one.

    Args:
        path_or_frame: the table. grid: the grid, a path or a name that `read` takes.

    Raises:
        InputError: the grid or the table has faults, with all of them.
        OptionError: the path has another ending.
    """
    if isinstance(path_or_frame, Disasters):
        return path_or_frame
    grid = read(grid)
    if isinstance(path_or_frame, pl.DataFrame):
        return _from_rows(rows_of_frame(path_or_frame, "disasters"), grid, "disasters")
    file = path_of(
        path_or_frame, "disasters", "Disasters, a Polars frame, or the path of a table, as `read_disasters` takes it"
    )
    return _from_rows(load_rows(file), grid, file.name)


def write_disasters(disasters: Disasters, grid: GridLike, path: str | os.PathLike[str]) -> None:
    """Write the disasters as CSV or Parquet, by the ending of the path; `read_disasters` reads them back.

    Raises:
        OptionError: another ending, a path that cannot be written, or disasters of another grid.
    """
    of_kind(disasters, Disasters, "disasters", "Disasters, as `read_disasters` and `storms` make them")
    file = path_of(path, "path")
    content = table_bytes(disasters.table(grid), csv=is_csv(file, "disasters"))
    with refusing():
        write_bytes(file, content)


def _from_rows(rows: Sequence[Row], grid: Grid, table: str) -> Disasters:
    sound = sound_rows(rows, grid.check(), table)
    column = {name: e for e, name in enumerate(grid.branches()["name"])}
    broken = np.zeros((len(sound), len(column)), dtype=np.bool_)
    for k, (_, branches) in enumerate(sound.values()):
        broken[k, [column[branch] for branch in branches]] = True
    probabilities = np.array([probability for probability, _ in sound.values()])
    return Disasters(tuple(sound), probabilities, broken)
