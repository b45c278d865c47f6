"""A year of a grid: the demands of its buses in steps, from profiles of its loads and generators.

Blocks of a year: months, quarters, equal parts, or those of a table, in each of which the open points stay.
"""

from __future__ import annotations

import datetime
import difflib
import itertools
import os
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.arguments import path_of
from openpoint.arrays import Complexes, Floats, Ints
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.powerflow.series import StepDemand
from openpoint.scenarios.profiles import Follows, Profiles, ProfilesLike, read_profiles
from openpoint.scenarios.steps import Table, moment_of, tables_of


@dataclass(frozen=True, eq=False)
class Year:
    """T steps of a grid of N buses, over all phases. Powers of loads and generators of constant power are shares that
    follow one of d profiles; what follows none follows the last profile, which is 1 in every step.

    All else is as in the grid in every step: capacitors, voltages of sources, and of a balanced grid loads of constant
    current and impedance, too. Those of a grid of phases a, b, c are shares, at nominal voltage.

    Attributes:
        names: (T) when the steps start, or their numbers. hours: (T) how long they are.
        profile: (T, d) values. bus_names: (N) as in `grid.buses`.
        bus, follows: (L) numbers of bus and profile of a share. kva: (L) its power p + jq at profile 1, positive
            consumption.
        element: (L) whose it is: row of the load in `grid.loads`, or of the generator, counted on behind them.
        notes: what changes the meaning of figures.
    """

    names: tuple[str, ...]
    hours: Floats
    profile: Floats
    bus_names: tuple[str, ...]
    bus: Ints
    follows: Ints
    kva: Complexes
    element: Ints
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hours)

    def __repr__(self) -> str:
        return f"Year({len(self)} steps, {self.hours.sum():g} h, {len(self.bus_names)} buses)"

    def demand(self, s_base_kva: float) -> StepDemand:
        """The demands in per unit."""
        return StepDemand(self.profile, self.bus, self.follows, self.kva / s_base_kva, len(self.bus_names))

    def total_kw(self) -> Floats:
        """(T) net active demand of all buses of constant power."""
        by_profile = np.bincount(self.follows, self.kva.real, minlength=self.profile.shape[1])
        return np.asarray(self.profile @ by_profile)


YearLike = Year | ProfilesLike
"""A `Year`, or what `read_year` takes: the path of tables, a frame, `own`, or a built-in name."""


def read_year(source: YearLike, grid: GridLike) -> Year:
    """The year of a grid. A `Year` is returned as it is.

    **The table of profiles** has a row for each step, in order. `starts_at` is when the step starts, `hours` how long
    it is; one of the two is enough, and with both each step starts when the one before ends. The steps make up a year
    of 8760 or 8784 h. Every other column is a profile: `NAME` for shares of the power in the grid (1 = that of the
    grid, active and reactive alike), `NAME_p` and `NAME_q` for shares of active and of reactive power, `NAME_p_kw` and
    `NAME_q_kvar` (or `_p_mw`, `_q_mvar`) for powers.

    **Who follows which profile** is given by the tables `load_profiles` (load, profile and, where wanted, q_profile; a
    row without a load is for all others) and `generator_profiles` (generator, profile) beside it in the folder or
    workbook. Without them a profile is for the load, the bus with all its loads, or the generator whose name it has, or
    for those to which the file of the grid gives it; one that is alone and has no such name is for all loads. Loads and
    generators that follow none keep the power that they have in the grid.

    Args:
        source: a folder with `profiles.csv` (or .parquet) and, where wanted, `load_profiles` and
            `generator_profiles`; a workbook with sheets of these names; the table of profiles alone (.csv, .parquet,
            .xlsx, or a frame); `own`, the profiles in the file of the grid (`openpoint.io.pandapower.profiles`); or
            `synthetic-hours`, `synthetic-quarters` (`openpoint.scenarios.synthetic`).
        grid: the grid, a path or a name that `read` takes.

    Raises:
        InputError: the grid or the tables have faults, with all of them; or its file has no profiles.
    """
    if isinstance(source, Year):
        return source
    grid = read(grid)
    return year_of(read_profiles(source, grid), grid)


def year_of(profiles: Profiles, grid: Grid) -> Year:
    """The demands of the buses of a grid that profiles tell, in their steps."""
    number = {name: n for n, name in enumerate(grid.buses["name"])}
    any_model = has_phases(grid)
    rows = [
        *(
            (k, "loads", 1.0, row)
            for k, row in enumerate(grid.loads.iter_rows(named=True))
            if any_model or row["model"] == "power"
        ),
        *(
            (k, "generators", -1.0, row)
            for k, row in enumerate(grid.generators.iter_rows(named=True), start=grid.loads.height)
        ),
    ]
    constant = len(profiles.columns)
    shares: list[tuple[int, int, complex, int]] = []
    for k, kind, sign, row in rows:
        element, bus = (kind, row["name"]), number[row["bus"]]
        p = profiles.p.get(element, Follows(constant, row["p_kw"]))
        q = profiles.q.get(element, Follows(constant, row["q_kvar"]))
        if p.number == q.number:
            shares.append((bus, p.number, sign * complex(p.per, q.per), k))
        else:
            shares += [(bus, p.number, sign * complex(p.per, 0.0), k), (bus, q.number, sign * complex(0.0, q.per), k)]
    shares = [each for each in shares if each[2]] or shares
    return Year(
        names=profiles.names,
        hours=profiles.hours,
        profile=np.hstack([profiles.values, np.ones((len(profiles.hours), 1))]),
        bus_names=tuple(grid.buses["name"]),
        bus=np.array([bus for bus, *_ in shares], dtype=np.int64),
        follows=np.array([follows for _, follows, *_ in shares], dtype=np.int64),
        kva=np.array([kva for *_, kva, _ in shares], dtype=np.complex128),
        element=np.array([k for *_, k in shares], dtype=np.int64),
        notes=profiles.notes,
    )


BLOCK, START, END = "block", "start", "end"
NAMES = ("monthly", "quarterly")
"""Blocks that have a name of their own."""
_WANTED = "monthly, quarterly, a number of equal parts, a Polars frame, or the path of a table block,start,end"
_AS_TIMES = "Write it as the year does: 2029-04-01, or 2029-04-01T00:00+02:00"


@dataclass(frozen=True, eq=False)
class Blocks:
    """Blocks of T steps, in the order of time.

    Attributes:
        names: (B). of: (T) number of the block of every step, ascending; every block has a step.
    """

    names: tuple[str, ...]
    of: Ints

    def __len__(self) -> int:
        return len(self.names)


BlocksLike = Blocks | str | int | os.PathLike[str] | pl.DataFrame
"""What stands for blocks: `Blocks`, or what `read_blocks` takes."""


def read_blocks(source: BlocksLike, year: Year) -> Blocks:
    """The blocks of a year. `Blocks` are returned as they are, if they are of so many steps.

    **The table** has the columns block (a name), start and end: a block begins with the step that starts at `start` and
    ends before the one that starts at `end`. Times are written as in the year, without an offset from UTC they are
    those of its clock. Where steps have no times, start and end are their numbers, from 1. Together the blocks are the
    whole year, without gap and overlap.

    Args:
        source: `monthly` or `quarterly`, by the times of the steps; a number of parts of equal hours; the path of a
            table (.csv, .parquet, .xlsx), or a frame.
        year: the steps.

    Raises:
        InputError: the table has faults, with all of them.
        OptionError: months or quarters of steps without times, more parts than steps, blocks of another year.
    """
    if isinstance(source, Blocks):
        if len(source.of) != len(year):
            raise OptionError(f"these blocks are of {len(source.of)} steps, and the year has {len(year)}")
        return source
    if isinstance(source, pl.DataFrame):
        return _Reading(Table("blocks", source), year).blocks()
    if isinstance(source, int):
        return _parts(source, year)
    path, name = path_of(source, "blocks", _WANTED), os.fspath(source)
    if name in NAMES:
        return _of_calendar(name, year)
    if name.strip().lstrip("+-").isdigit():
        return _parts(int(name), year)
    try:
        if name and path.exists():
            return _Reading(tables_of(path, ("blocks",))["blocks"], year).blocks()
    except OSError as error:
        message = f"it cannot be read: {error.strerror or error}"
        raise InputError([Problem(str(path), "", "", message, "Check the path and its rights")]) from error
    near = difflib.get_close_matches(name, NAMES, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"Give {_WANTED}"
    raise InputError([Problem(name, "", "", "there is no such file, and no blocks of that name", remedy)])


def _parts(count: int, year: Year) -> Blocks:
    """Parts of equal hours; a step belongs to the part in which its middle lies."""
    if not 1 <= count <= len(year):
        raise OptionError(f"{count} blocks of {len(year)} steps; give 1 to {len(year)}")
    middle = (np.cumsum(year.hours) - 0.5 * year.hours) / year.hours.sum()
    of = np.minimum((middle * count).astype(np.int64), count - 1)
    empty = sorted(set(range(count)) - set(of.tolist()))
    if empty:
        raise OptionError(
            f"of {count} equal parts of the year, part {empty[0] + 1} has no step, as steps differ in length; give "
            "fewer parts, or a table block,start,end"
        )
    return Blocks(tuple(f"{n + 1} of {count}" for n in range(count)), of)


def _of_calendar(name: str, year: Year) -> Blocks:
    moments = _moments(year)
    if moments is None:
        raise OptionError(
            f"{name} blocks need the column starts_at, when every step of the year starts; without it give a number of "
            "equal parts, or a table block,start,end with numbers of steps"
        )
    months = name == "monthly"
    labels = [f"{m:%Y-%m}" if months else f"{m.year} Q{(m.month + 2) // 3}" for m in moments]
    names = tuple(dict.fromkeys(labels))
    number = {each: n for n, each in enumerate(names)}
    return Blocks(names, np.array([number[each] for each in labels], dtype=np.int64))


def _moments(year: Year) -> list[datetime.datetime] | None:
    """When the steps start, as written; None where they have numbers only."""
    found = [None if name.isdigit() else moment_of(name) for name in year.names]
    known = [each for each in found if each is not None]
    return known if len(known) == len(found) else None


class _Reading:
    """A table of blocks while it is read; places on the axis of time are seconds, or numbers of steps."""

    def __init__(self, table: Table, year: Year) -> None:
        self.table, self.year, self.moments = table, year, _moments(year)

    def blocks(self) -> Blocks:
        """The blocks.

        Raises:
            InputError: with every fault.
        """
        table = self.table
        for column in (BLOCK, START, END):
            if not table.has(column):
                table.fault("", column, "column is missing", "The columns are block, start and end")
        for column in table.frame.columns:
            if column not in (BLOCK, START, END):
                table.fault("", column, "this column is not known", "The columns are block, start and end")
        if not table.faults and not len(table):
            table.fault("", "", "the table has no rows", "Give a row for each block")
        self._raise()
        names = [(cell or "").strip() for cell in table.texts(BLOCK)]
        for n, name in enumerate(names):
            if not name:
                table.fault(table.row(n), BLOCK, "the value is missing", "Give every block a name")
            elif name in names[:n]:
                remedy = "Give each a name of its own, such as winter 1 and winter 2: a block is one piece of the year"
                table.fault(table.row(n), BLOCK, f"block {name!r} stands twice", remedy)
        start, end = self._places(START), self._places(END)
        self._raise()
        order = sorted(range(len(names)), key=lambda n: start[n])
        return self._divided(names, order, start, end)

    def _raise(self) -> None:
        if self.table.faults:
            raise InputError(self.table.faults)

    def _places(self, column: str) -> list[float]:
        """Where the cells of a column lie; nan, with a fault, where one cannot be read."""
        places, texts, bad = list[float](), self.table.texts(column), list[bool]()
        remedy = (
            _AS_TIMES if self.moments is not None else "Steps have no times in this year: give the number of a step"
        )
        for n, cell in enumerate(texts):
            place = None if cell is None else self._place(cell.strip())
            bad.append(place is None)
            places.append(float("nan") if place is None else place)
            if place is not None and place == -np.inf:
                message = f"{cell!r} has an offset from UTC, and the times of the year have none"
                self.table.fault(self.table.row(n), column, message, "Leave the offset out")
        self.table.at(column, bad, "{} is no time" if self.moments is not None else "{} is no number of a step", remedy)
        return places

    def _place(self, cell: str) -> float | None:
        if self.moments is None:
            return float(cell) if cell.isdigit() else None
        moment = moment_of(cell)
        if moment is None:
            return None
        if moment.tzinfo is None:
            return _wall(moment)
        if self.moments[0].tzinfo is None:
            return -np.inf
        # Steps are placed by their clock; a time in another zone lies where its instant does on that clock.
        return _wall(moment.astimezone(self._zone_at(moment)))

    def _zone_at(self, moment: datetime.datetime) -> datetime.tzinfo | None:
        assert self.moments is not None
        later = [m for m in self.moments if m >= moment]
        return (later[0] if later else self.moments[-1]).tzinfo

    def _divided(self, names: list[str], order: list[int], start: list[float], end: list[float]) -> Blocks:
        table, steps = self.table, self._steps()
        for n in order:
            if not end[n] > start[n]:
                message = f"block {names[n]!r} ends at {self._cell(END, n)}, not after its start {self._cell(START, n)}"
                table.fault(table.row(n), END, message, "Let end be where the next block starts")
        self._raise()
        for before, n in itertools.pairwise(order):
            text = f"block {names[n]!r} starts at {self._cell(START, n)}"
            other = f"block {names[before]!r} ends at {self._cell(END, before)}"
            if start[n] > end[before]:
                table.fault(
                    table.row(n), START, f"a gap: {text}, and {other}", "Let one block start where another ends"
                )
            elif start[n] < end[before]:
                remedy = "Let one block start where another ends"
                table.fault(table.row(n), START, f"an overlap: {text}, and {other}", remedy)
        first, last = order[0], max(order, key=lambda n: end[n])
        if start[first] > steps[0]:
            message = f"the year starts at {self.year.names[0]}, before the first block {names[first]!r}"
            table.fault(table.row(first), START, message, "Let the first block start where the year does")
        if end[last] <= steps[-1]:
            message = f"the last step, {self.year.names[-1]}, is not before the end of the last block {names[last]!r}"
            table.fault(table.row(last), END, message, "Let the last block end where the year does")
        of = np.searchsorted(np.array([start[n] for n in order]), steps, side="right") - 1
        for position, n in enumerate(order):
            if not (of == position).any():
                table.fault(table.row(n), "", f"no step of the year starts in block {names[n]!r}", "Leave it out")
        self._raise()
        return Blocks(tuple(names[n] for n in order), np.asarray(of, dtype=np.int64))

    def _steps(self) -> list[float]:
        if self.moments is None:
            return [float(n + 1) for n in range(len(self.year))]
        return list(itertools.accumulate((_wall(moment) for moment in self.moments), max))  # clocks may go back

    def _cell(self, column: str, n: int) -> str:
        return str(self.table.texts(column)[n])


def _wall(moment: datetime.datetime) -> float:
    """Seconds of the clock on the wall."""
    return moment.replace(tzinfo=datetime.UTC).timestamp()
