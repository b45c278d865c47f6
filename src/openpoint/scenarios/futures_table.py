"""Long tables of futures: every fault with its place, then names and numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arrays import Floats, Ints
from openpoint.errors import InputError, Problem
from openpoint.grid.rules.problems import did_you_mean

REQUIRED = ("future", "bus", "p_kw", "q_kvar")
COLUMNS = (*REQUIRED, "probability")
NUMBERS = COLUMNS[2:]
# The sum of probabilities may differ from one by 1e-6, so that three of 0.333333 are accepted.
SUM_TOLERANCE = 1.001e-6
# A smaller difference from one is the rounding of a sum, and the probabilities are not scaled.
ROUNDING = 1e-12
# The most faults of one kind that are listed by row; further ones are counted only.
MOST_ROWS = 20
_MEANING = {
    "future": "the name of the future",
    "bus": "the name of the bus",
    "p_kw": "net active power, positive consumption",
    "q_kvar": "net reactive power, positive consumption",
    "probability": "the probability of the future, in every row",
}


@dataclass(frozen=True)
class Rows:
    """A table without faults: M rows of K futures.

    Attributes:
        names: (K) futures in the order of their first rows.
        probabilities: (K) sum to one; None where the table gives none.
        future, bus: (M) numbers of future and bus of a row.
        p_kw, q_kvar: (M) net demand.
    """

    names: tuple[str, ...]
    probabilities: Floats | None
    future: Ints
    bus: Ints
    p_kw: Floats
    q_kvar: Floats


def read_rows(frame: pl.DataFrame, bus_names: tuple[str, ...], *, table: str, row_word: str, first_row: int) -> Rows:
    """The rows of a long table.

    Args:
        frame: columns future, bus, p_kw, q_kvar and optional probability, of any types that can be read.
        bus_names: the buses of the grid.
        table: name of the table in messages.
        row_word, first_row: word for a row in messages and number of the first one, such as line 2 or number 1.

    Raises:
        InputError: with every fault.
    """
    reading = _Reading(frame, table, row_word, first_row)
    if reading.has_columns():
        reading.take_texts()
        reading.take_numbers()
        reading.check_buses(bus_names)
        reading.check_repeated()
        reading.check_probabilities()
    if reading.faults:
        raise InputError(reading.faults)
    rows = reading.rows
    names = rows["future"].unique(maintain_order=True)
    future = rows["future"].cast(pl.Enum(names)).to_physical().cast(pl.Int64).to_numpy()
    probabilities = None
    if "probability" in rows.columns:
        probabilities = np.zeros(len(names))
        probabilities[future] = rows["probability"].to_numpy()
        if abs(probabilities.sum() - 1.0) > ROUNDING:
            probabilities /= probabilities.sum()
    return Rows(
        names=tuple(names),
        probabilities=probabilities,
        future=future,
        bus=rows["bus"].cast(pl.Enum(bus_names)).to_physical().cast(pl.Int64).to_numpy(),
        p_kw=rows["p_kw"].to_numpy(),
        q_kvar=rows["q_kvar"].to_numpy(),
    )


class _Reading:
    """A table while it is read. `rows` are the columns in their types, null where a value cannot be read."""

    def __init__(self, raw: pl.DataFrame, table: str, row_word: str, first_row: int) -> None:
        self.table, self.row_word = table, row_word
        # Empty lines are not rows.
        filled = pl.Series(~np.all([raw[name].is_null() for name in raw.columns], axis=0) if raw.width else [])
        self.number = filled.cast(pl.Boolean).arg_true() + first_row
        self.raw = raw.filter(filled) if raw.width else raw
        self.rows = pl.DataFrame()
        self.faults: list[Problem] = []

    def has_columns(self) -> bool:
        """Whether there are rows, with all required columns."""
        columns = ", ".join(COLUMNS)
        for column in self.raw.columns:
            if column not in COLUMNS:
                self._fault("", column, "unknown column", f"Remove it; the columns are {columns}")
        missing = [column for column in REQUIRED if column not in self.raw.columns]
        for column in missing:
            self._fault("", column, "column is missing", f"Add {_MEANING[column]}; the columns are {columns}")
        if self.raw.is_empty():
            self._fault("", "", "the table has no rows", "Give a row for each future and bus that changes")
        return not missing and not self.raw.is_empty()

    def take_texts(self) -> None:
        """Read the names of futures and buses; an integer is a name, too."""
        texts = []
        for column in ("future", "bus"):
            values = self.raw[column]
            if values.dtype.is_float() and (values.drop_nulls() % 1 == 0).all():
                values = values.cast(pl.Int64)
            texts.append(self._cast(values, pl.String()).replace("", None).alias(column))
        self.rows = pl.DataFrame(texts)
        for text in texts:
            self._at(text.is_null(), text.name, "value is missing", f"Give {_MEANING[text.name]}")

    def take_numbers(self) -> None:
        """Read the columns of numbers; an empty column of probabilities counts as missing."""
        for column in NUMBERS:
            if column not in self.raw.columns or (column == "probability" and self.raw[column].is_null().all()):
                continue
            given = self.raw[column]
            values = self._cast(given.str.strip_chars() if given.dtype == pl.String else given, pl.Float64())
            self.rows = self.rows.hstack([values.alias(column)])
            for i in self._some(given.is_not_null() & values.is_null(), column, "not a number"):
                self._fault(
                    self._place(i), column, f"{_show(given[i])} is not a number", "Write a number such as 12.66"
                )
            self._at(given.is_null(), column, "value is missing", f"Give {_MEANING[column]}")
            infinite = ~values.is_finite().fill_null(True)
            self._at(infinite, column, "the value is not a finite number", "Give a finite number")

    def check_buses(self, known: tuple[str, ...]) -> None:
        """Report each unknown bus once, where it is first named."""
        bus = self.rows["bus"]
        unknown = bus.is_not_null() & ~bus.is_in(list(known)).fill_null(True) & bus.is_first_distinct()
        for i in self._some(unknown, "bus", "there is no such bus"):
            remedy = did_you_mean(bus[i], known, "Use names of the table `buses`")
            self._fault(self._place(i), "bus", f"there is no bus {bus[i]!r} in the grid", remedy)

    def check_repeated(self) -> None:
        """Report buses that are given twice in a future."""
        again = ~self.rows.select("future", "bus").to_struct().is_first_distinct()
        named = self.rows["future"].is_not_null() & self.rows["bus"].is_not_null()
        message = "this bus is given more than once in this future"
        self._at(again & named, "bus", message, "Keep one row; a row is the whole net demand of the bus")

    def check_probabilities(self) -> None:
        """Check that probabilities are not negative, the same within a future, with the sum one."""
        if "probability" not in self.rows.columns:
            return
        negative = (self.rows["probability"] < 0.0).fill_null(False)
        self._at(negative, "probability", "the probability is negative", "Give zero or more")
        sound = self.rows.filter(pl.col("probability").is_finite() & pl.col("future").is_not_null())
        of = sound.group_by("future", maintain_order=True).agg(
            pl.col("probability").first(), pl.col("probability").n_unique().alias("different")
        )
        for name in of.filter(pl.col("different") > 1)["future"].to_list():
            message = "the probability differs between rows of this future"
            self._fault(f"future {name!r}", "probability", message, "Give the same in all rows of a future")
        total = float(of["probability"].sum())
        # Where some could not be read, a fault of the sum would mislead.
        if sound.height == self.rows.height and (of["different"] == 1).all() and abs(total - 1.0) > SUM_TOLERANCE:
            message = f"the probabilities of the {of.height} futures sum to {total:.9g}, not to 1"
            self._fault("", "probability", message, "Correct them, or remove the column where nobody knows them")

    def _cast(self, values: pl.Series, dtype: pl.DataType) -> pl.Series:
        try:
            return values.cast(dtype, strict=False)
        except pl.exceptions.PolarsError:
            return pl.Series(values.name, [None] * len(values), dtype=dtype)

    def _at(self, bad: pl.Series, column: str, message: str, remedy: str) -> None:
        for i in self._some(bad, column, message):
            self._fault(self._place(i), column, message, remedy)

    def _some(self, bad: pl.Series, column: str, message: str) -> Iterator[int]:
        """The first bad rows; a fault counts the others."""
        rows = bad.arg_true().to_list()
        yield from rows[:MOST_ROWS]
        if len(rows) > MOST_ROWS:
            self._fault("", column, f"{message}, in {len(rows) - MOST_ROWS} more rows", "Correct them alike")

    def _place(self, i: int) -> str:
        return f"{self.row_word} {self.number[i]}, future {self.rows['future'][i]!r}, bus {self.rows['bus'][i]!r}"

    def _fault(self, row: str, column: str, message: str, remedy: str) -> None:
        self.faults.append(Problem(self.table, row, column, message, remedy))


def _show(value: object) -> str:
    return repr(value.to_list() if isinstance(value, pl.Series) else value)
