"""Disasters: sets of branches that may break together, each with its probability.

Only branches break. A line that is open today may break, too; then it cannot be closed. A source cannot break: let the
branches at it break instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arguments import Names, names_of, of_kind, path_of
from openpoint.arrays import Bools, Floats, Ints
from openpoint.atomic import refusing, write_bytes
from openpoint.errors import InputError, OptionError, did_you_mean
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import AT_A_BUS
from openpoint.grid.schemas import BRANCH_TABLES
from openpoint.grid.table_files import (
    table_bytes,
)
from openpoint.io import GridLike, read
from openpoint.scenarios.tables import PROBABILITY, SUM_TOLERANCE, Columns, LongTable, Place, is_csv, load_table

COLUMNS = Columns(
    key="branch",
    key_meaning="the branch that breaks, empty where the disaster breaks nothing",
    rows="a row for each broken branch; a disaster that breaks nothing has one with an empty branch",
    twice="a branch breaks once",
    numbers={},
    needed=(PROBABILITY,),
    of="disaster",
    alone=True,
    unknown="Give every disaster its own: equal ones are not assumed. They sum to one, with a disaster that breaks "
    "nothing (an empty branch) if there may be none",
)


def _not_a_branch(name: str, grid: Grid, known: tuple[str, ...]) -> tuple[str, str]:
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
            (name, str(probability), branch)
            for name, (probability, branches) in disasters.items()
            for branch in names_of(branches, f"disaster {name!r}") or ("",)
        ]
        frame = pl.DataFrame(rows, schema=dict.fromkeys(("disaster", PROBABILITY, "branch"), pl.String), orient="row")
        return _of_table(frame, read(grid), Place("disasters"))

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
        return _of_table(path_or_frame, grid, Place("disasters"))
    file = path_of(
        path_or_frame, "disasters", "Disasters, a Polars frame, or the path of a table, as `read_disasters` takes it"
    )
    frame, place = load_table(file, COLUMNS)
    return _of_table(frame, grid, place)


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


def _of_table(frame: pl.DataFrame, grid: Grid, place: Place) -> Disasters:
    table, known = LongTable(frame, COLUMNS, place), tuple(grid.check().branches()["name"])
    table.read(known, lambda name: _not_a_branch(name, grid, known))
    if table.faults:
        raise InputError(table.faults)
    breaks, probabilities = table.rows["branch"].is_not_null(), table.probabilities()
    assert probabilities is not None
    broken = np.zeros((len(table.names), len(known)), dtype=np.bool_)
    disaster, branch = table.numbers_of("disaster", table.names), table.numbers_of("branch", known)
    broken[disaster[breaks.to_numpy()], branch] = True
    return Disasters(tuple(table.names), probabilities, broken)
