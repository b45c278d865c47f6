"""Reading a year of a grid from tables of profiles: a folder, a workbook, a file, a frame, or a synthetic one.

A synthetic year: profiles from a few formulas, to try what a year needs and to measure it.

They are no measurements, and no load of any real grid; every number here is an assumption.

With h the hour of the day, D the day of the year (from 0, a Monday) and g(m, s) = exp(−(h − m)²/2s²):

- household: (0.35 + 0.35 g(8, 2) + 0.65 g(19.5, 2.5)) · (1 + 0.25 cos 2π(D − 15)/365), 8 % more at weekends;
- commerce: (0.25 + 0.75 g(13, 4) · (1, at weekends 0.45)) · (1 + 0.1 cos 2π(D − 200)/365);
- industry: 0.45 + 0.5 g(12, 5) · (1, at weekends 0.2);
- sun: max(0, sin π(h − 12 + L/2)/L)^1.2 · (0.65 + 0.35 cos 2π(D − 172)/365) · (0.6 + 0.4 sin 2πD/4.3 · cos 2πD/11),
  with L = 12 + 4 cos 2π(D − 172)/365 hours of daylight.

The first three are multiplied by weather and chance, with t the hour of the year and phases a, b, c of each:
1 + 0.04 sin 2π(t/24 + a)/6.7 + 0.03 sin 2π(t + b)/37 + 0.02 sin 2π(t + c)/5.3. All are divided by their greatest value,
so that the power of a load in the grid is its greatest. The loads of the grid follow household, commerce
and industry in turn, in the order of its table; generators follow the sun.
"""

from __future__ import annotations

import datetime
import difflib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from openpoint.arguments import path_of
from openpoint.arrays import Complexes, Floats, Ints
from openpoint.errors import InputError, OptionError, Problem, did_you_mean
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.inputs import content_of
from openpoint.io import GridLike, read
from openpoint.io.workbook import read as workbook
from openpoint.powerflow.series import StepDemand
from openpoint.scenarios.tables import load_frame

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
    frame, place = load_frame(file, "profiles", ("starts_at",), lambda name: name not in TEXTS)
    return Table(place.table, frame, place.row_word, place.first_row)


LENGTHS_H = (8760.0, 8784.0)
"""Hours of a year."""
TOLERANCE_H = 1e-3
"""Difference of a length or a sum of lengths, in hours, that is no fault."""
OFFSET = "Where clocks change, write the offset from UTC in all rows, such as 2029-03-25T03:00+02:00"
STARTS, HOURS = "starts_at", "hours"


def hours_of(table: Table) -> Floats | None:
    """(T) length of every step; None where not given, with a fault in the table for all that is wrong."""
    given = table.numbers(HOURS, above=0.0) if table.has(HOURS) else None
    passed = _passed(table) if table.has(STARTS) else None
    if given is None and not table.has(STARTS):
        remedy = "Give starts_at (2029-01-01T00:00), or hours, the length of every step"
        table.fault("", "", "nothing tells how long the steps are", remedy)
        return None
    if given is None:
        if passed is None or not len(passed):
            return None
        hours = np.full(len(table), float(np.median(passed)))
    else:
        hours = given
    if passed is not None and np.isfinite(hours).all():
        _check_steps(table, passed, hours)
    _check_sum(table, hours, by_stamps=given is None)
    return hours


def _passed(table: Table) -> Floats | None:
    """(T - 1) hours between the starts; None where some cannot be read."""
    moments = [moment_of(cell) for cell in table.texts(STARTS)]
    table.at(STARTS, [m is None for m in moments], "{} is no time", "Write 2029-03-25T01:00 or 2029-03-25T01:00+01:00")
    known = [m for m in moments if m is not None]
    if len(known) < len(moments):
        return None
    bare = [m.tzinfo is None for m in known]
    if len(set(bare)) == 2:
        table.fault("", STARTS, "some times have an offset from UTC and some have none", OFFSET)
        return None
    seconds = np.array([m.replace(tzinfo=m.tzinfo or datetime.UTC).timestamp() for m in known])
    return np.diff(seconds) / 3600.0


def moment_of(cell: str | None) -> datetime.datetime | None:
    """A time as it is written in tables; None where it is none."""
    try:
        return None if cell is None else datetime.datetime.fromisoformat(cell.strip())
    except ValueError:
        return None


def _check_steps(table: Table, passed: Floats, hours: Floats) -> None:
    """A step starts when the one before ends."""
    starts = table.texts(STARTS)
    beyond = passed - hours[:-1]
    for n in np.flatnonzero(np.abs(beyond) > TOLERANCE_H):
        row, passage = table.row(int(n) + 1), f"{starts[n + 1]} is {passed[n]:g} h after {starts[n]}"
        start = moment_of(starts[n])
        turned = start is not None and start.tzinfo is None and abs(abs(beyond[n]) - 1.0) <= TOLERANCE_H
        clock = " as where clocks change" if turned else ""
        if beyond[n] > 0.0:
            message = f"a gap of {beyond[n]:g} h{clock}: {passage}, a step of {hours[n]:g} h"
            table.fault(row, STARTS, message, f"Add the steps that are missing. {OFFSET}")
        else:
            message = f"an overlap of {-beyond[n]:g} h{clock}: {passage}, a step of {hours[n]:g} h"
            table.fault(row, STARTS, message, f"Remove the steps that are double. {OFFSET}")


def _check_sum(table: Table, hours: Floats, *, by_stamps: bool) -> None:
    total = float(hours.sum())
    if not math.isfinite(total) or any(abs(total - length) <= TOLERANCE_H * len(hours) for length in LENGTHS_H):
        return
    message = f"the {len(hours)} steps have {total:g} h together; a year has 8760 h, or 8784 h"
    what = "add the column hours" if by_stamps else "correct the column hours"
    remedy = f"Give every step of the year, or {what}: of how many hours of the year a step is typical"
    table.fault("", "" if by_stamps else HOURS, message, remedy)


NAMES = {"synthetic-hours": 1.0, "synthetic-quarters": 0.25}
"""The built-in years, and the length of their steps in hours."""
KINDS = ("household", "commerce", "industry")
_PHASES = ((0.0, 3.0, 1.0), (2.1, 17.0, 2.3), (4.4, 29.0, 3.9))


def profiles(step_h: float) -> pl.DataFrame:
    """The table of profiles: starts_at, household, commerce, industry, sun."""
    t = np.arange(0.0, 8760.0, step_h)
    h, day = t % 24.0, t // 24.0
    weekend = day % 7 >= 5
    full = 2.0 * np.pi

    def peak(at: float, width: float) -> Floats:
        return np.asarray(np.exp(-0.5 * ((h - at) / width) ** 2))

    shapes = (
        (0.35 + 0.35 * peak(8.0, 2.0) + 0.65 * peak(19.5, 2.5))
        * (1.0 + 0.25 * np.cos(full * (day - 15.0) / 365.0))
        * np.where(weekend, 1.08, 1.0),
        (0.25 + 0.75 * peak(13.0, 4.0) * np.where(weekend, 0.45, 1.0))
        * (1.0 + 0.1 * np.cos(full * (day - 200.0) / 365.0)),
        0.45 + 0.5 * peak(12.0, 5.0) * np.where(weekend, 0.2, 1.0),
    )
    columns: dict[str, Floats] = {}
    for name, shape, (a, b, c) in zip(KINDS, shapes, _PHASES, strict=True):
        chance = 1.0 + 0.04 * np.sin(full * (t / 24.0 + a) / 6.7) + 0.03 * np.sin(full * (t + b) / 37.0)
        columns[name] = shape * (chance + 0.02 * np.sin(full * (t + c) / 5.3))
    season = np.cos(full * (day - 172.0) / 365.0)
    light = 12.0 + 4.0 * season
    height = np.maximum(0.0, np.sin(np.pi * np.clip((h - 12.0 + light / 2.0) / light, 0.0, 1.0)))
    cloud = 0.6 + 0.4 * np.sin(full * day / 4.3) * np.cos(full * day / 11.0)
    columns["sun"] = height**1.2 * (0.65 + 0.35 * season) * cloud
    starts = np.datetime64("2029-01-01T00:00") + (t * 60.0).round().astype("timedelta64[m]")
    data = {name: values / values.max() for name, values in columns.items()}
    return pl.DataFrame({"starts_at": [f"{s}+00:00" for s in starts.astype(str)], **data})


def followers(grid: Grid) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The tables load_profiles and generator_profiles of a grid."""
    loads = grid.loads.filter(pl.col("model") == "power")["name"].to_list()
    fed = grid.generators["name"].to_list()
    texts = {"profile": pl.String}
    return (
        pl.DataFrame(
            {"load": loads, "profile": [KINDS[n % len(KINDS)] for n in range(len(loads))]},
            schema={"load": pl.String, **texts},
        ),
        pl.DataFrame({"generator": fed, "profile": ["sun"] * len(fed)}, schema={"generator": pl.String, **texts}),
    )


@dataclass(frozen=True, eq=False)
class Year:
    """T steps of a balanced grid of N buses. Every load and generator of constant power is a share that follows one of
    d profiles; what follows none follows the last profile, which is 1 in every step.

    All else is as in the grid in every step: loads of constant current and impedance, capacitors, voltages of sources.

    Attributes:
        names: (T) when the steps start, or their numbers. hours: (T) how long they are.
        profile_names: (d). profile: (T, d) values. bus_names: (N) as in `grid.buses`.
        bus, follows: (L) numbers of bus and profile of a share. kva: (L) its power p + jq at profile 1, positive
            consumption.
        notes: what changes the meaning of figures.
    """

    names: tuple[str, ...]
    hours: Floats
    profile_names: tuple[str, ...]
    profile: Floats
    bus_names: tuple[str, ...]
    bus: Ints
    follows: Ints
    kva: Complexes
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


YearLike = Year | str | os.PathLike[str] | pl.DataFrame
"""What stands for a year: a `Year`, or what `read_year` takes, the path of tables, a frame, or a built-in name."""
TABLES = ("profiles", "load_profiles", "generator_profiles")
_WANTED = "a Year, a Polars frame, the path of a folder, a workbook or a table, or the name of a built-in year"
Followed = dict[str, str]
"""The profile of each load or generator that follows one."""


def read_year(source: YearLike, grid: GridLike) -> Year:
    """The year of a grid. A `Year` is returned as it is.

    **The table of profiles** has a row for each step, in order. `starts_at` is when the step starts, `hours` how long
    it is; one of the two is enough, and with both each step starts when the one before ends. The steps make up a year
    of 8760 or 8784 h. Every other column is a profile: what a load or generator takes, a share of its
    power in the grid (1 = that of the grid, active and reactive alike; 0 or more).

    **Who follows which profile** is given by the tables `load_profiles` (load, profile; a row without a load is for all
    others) and `generator_profiles` (generator, profile) beside it in the folder or workbook. Without them a profile
    is for the load, the bus with all its loads, or the generator whose name it has; one that is alone and has no such
    name is for all loads. Loads and generators that follow none keep the power that they have in the grid.

    Args:
        source: a folder with `profiles.csv` (or .parquet) and, where wanted, `load_profiles` and
            `generator_profiles`; a workbook with sheets of these names; the table of profiles alone (.csv, .parquet,
            .xlsx, or a frame); or `synthetic-hours`, `synthetic-quarters` (`openpoint.scenarios.year.read`).
        grid: the grid, a path or a name that `read` takes.

    Raises:
        InputError: the grid or the tables have faults, with all of them.
        OptionError: the grid has several phases.
    """
    if isinstance(source, Year):
        return source
    grid = read(grid).check()
    if (grid.buses["phases"] != "1").any():
        raise OptionError(f"a year works on balanced grids (phases '1'); {HAS_PHASES}")
    return _Reading(grid, _tables(source, grid)).year()


def _tables(source: YearLike, grid: Grid) -> dict[str, Table]:
    if isinstance(source, pl.DataFrame):
        return {"profiles": Table("profiles", source)}
    path, name = path_of(source, "year", _WANTED), os.fspath(source)  # type: ignore[arg-type]
    try:
        if path.exists() and name:
            return tables_of(path, TABLES)
    except OSError as error:
        message = f"it cannot be read: {error.strerror or error}"
        raise InputError([Problem(str(path), "", "", message, "Check the path and its rights")]) from error
    if name in NAMES:
        loads, generators = followers(grid)
        shapes = profiles(NAMES[name])
        frames = (shapes if generators.height else shapes.drop("sun"), loads, generators)
        return {table: Table(table, frame) for table, frame in zip(TABLES, frames, strict=True)}
    near = difflib.get_close_matches(name, NAMES, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"The built-in years are {', '.join(NAMES)}"
    raise InputError([Problem(name, "", "", "there is no such file or folder, and no built-in year", remedy)])


UNLIKELY = 10.0
"""A profile that is greater than this is hardly a share of the power in the grid."""
FOR_ALL = ("all", "load", "loads", "demand", "profile", "profiles", "share", "factor", "load_factor")
"""Names of a profile that is alone by which it is clear that all loads follow it."""
_ALONE = (
    "profile {} is alone and has the name of no load, bus or generator, so all loads follow it: correct the name if it "
    "was meant for one, or call it all"
)
_MUCH = (
    "profile {} goes up to {:g} times the power in the grid: a profile is a share of that power (1 = as in the grid), "
    "no percentage and no kW; divide it if it is one of those"
)


class _Reading:
    """A year while it is read."""

    def __init__(self, grid: Grid, tables: dict[str, Table]) -> None:
        self.grid, self.tables, self.profiles = grid, tables, tables["profiles"]
        self.columns = [name for name in self.profiles.frame.columns if name not in (STARTS, HOURS)]
        self.notes: list[str] = []

    def year(self) -> Year:
        """The year.

        Raises:
            InputError: with every fault.
        """
        table = self.profiles
        if not len(table) or not self.columns:
            message = "the table has no rows" if self.columns else "the table has no profile"
            table.fault("", "", message, "Give a row for each step, and a column for each profile")
        hours = hours_of(table) if len(table) else None
        values = [table.numbers(name, least=0.0) for name in self.columns]
        loads, generators = self._followed()
        self._check_models(loads)
        faults = [fault for each in self.tables.values() for fault in each.faults]
        if faults:
            raise InputError(faults)
        assert hours is not None
        self.notes += [_MUCH.format(name, v.max()) for name, v in zip(self.columns, values) if v.max() > UNLIKELY]
        bus, follows, kva = self._shares(loads, generators)
        names = table.texts(STARTS) if table.has(STARTS) else [str(n + 1) for n in range(len(table))]
        return Year(
            names=tuple(str(name) for name in names),
            hours=hours,
            profile_names=(*self.columns, "constant"),
            profile=np.stack([*values, np.ones(len(hours))], axis=1),
            bus_names=tuple(self.grid.buses["name"]),
            bus=np.array(bus, dtype=np.int64),
            follows=np.array(follows, dtype=np.int64),
            kva=np.array(kva, dtype=np.complex128),
            notes=tuple(self.notes),
        )

    def _followed(self) -> tuple[Followed, Followed]:
        """The profiles of loads and generators."""
        loads, generators = (self.grid.loads["name"].to_list(), self.grid.generators["name"].to_list())
        if "load_profiles" in self.tables or "generator_profiles" in self.tables:
            of_loads = dict(self._followers("load_profiles", "load", loads))
            others = of_loads.pop("", None)
            if others is not None:
                of_loads = {name: of_loads.get(name, others) for name in loads}
            found = of_loads, dict(self._followers("generator_profiles", "generator", generators))
            for name in self.columns:
                if name not in {*found[0].values(), *found[1].values()}:
                    self.notes.append(f"nothing follows the profile {name}")
        else:
            found = self._by_name(loads, generators)
        if kept := [name for name in loads if name not in found[0]]:
            text = ", ".join(kept[:5]) + (f" and {len(kept) - 5} more" if len(kept) > 5 else "")
            self.notes.append(f"these loads follow no profile and keep today's power in every step: {text}")
        return found

    def _followers(self, name: str, what: str, known: list[str]) -> Iterator[tuple[str, str]]:
        """Rows of a table of followers: name, "" for all others, and profile."""
        table = self.tables.get(name)
        if table is None:
            return
        missing = [column for column in (what, "profile") if not table.has(column)]
        for column in missing:
            table.fault("", column, "column is missing", f"The columns are {what} and profile")
        if missing:
            return
        seen = set[str]()
        for n, (who, profile) in enumerate(zip(table.texts(what), table.texts("profile"))):
            who = who or ""
            if who and who not in known:
                remedy = did_you_mean(who, known, f"Use a {what} of the grid")
                table.fault(table.row(n), what, f"there is no {what} {who!r}", remedy)
            if not who and what == "generator":
                table.fault(table.row(n), what, "the value is missing", "Name the generator")
            if who in seen:
                table.fault(table.row(n), what, f"{who or 'a row for all others'!r} stands twice", "Keep one row")
            if profile not in self.columns:
                remedy = did_you_mean(profile or "", self.columns, "Use a column of the table profiles")
                table.fault(table.row(n), "profile", f"there is no profile {profile or ''!r}", remedy)
            seen.add(who)
            yield who, profile or ""

    def _by_name(self, loads: list[str], generators: list[str]) -> tuple[Followed, Followed]:
        """The profiles by the names of the columns."""
        at_bus = dict(zip(loads, self.grid.loads["bus"]))
        known = {*loads, *at_bus.values(), *generators}
        if len(self.columns) == 1 and self.columns[0] not in known:
            if self.columns[0].lower() not in FOR_ALL:
                self.notes.append(_ALONE.format(self.columns[0]))
            return dict.fromkeys(loads, self.columns[0]), {}
        there = set(self.columns)
        of_loads = {name: name if name in there else at_bus[name] for name in loads if {name, at_bus[name]} & there}
        of_generators = {name: name for name in generators if name in there}
        for name in self.columns:
            if name not in known:
                remedy = did_you_mean(name, sorted(known), "Name the column so, or add a table load_profiles")
                self.profiles.fault("", name, f"no load, bus with loads or generator is called {name!r}", remedy)
            elif name in generators and name in {*of_loads.values()}:
                remedy = "Tell what follows it by the tables load_profiles and generator_profiles"
                self.profiles.fault("", name, f"both a load or its bus and a generator are called {name!r}", remedy)
        return of_loads, of_generators

    def _check_models(self, loads: Followed) -> None:
        """What follows a profile has a constant power."""
        for name, model in self.grid.loads.select("name", "model").iter_rows():
            if name in loads and model != "power":
                remedy = "Make it one of constant power, or leave it out of the profiles"
                self.profiles.fault("", loads[name], f"load {name!r}, which follows it, is of constant {model}", remedy)

    def _shares(self, loads: Followed, generators: Followed) -> tuple[list[int], list[int], list[complex]]:
        """Bus, profile and power of every load and generator of constant power."""
        number = {name: n for n, name in enumerate(self.grid.buses["name"])}
        column = {name: n for n, name in enumerate(self.columns)}
        rows = [
            *((row, loads, 1.0) for row in self.grid.loads.iter_rows(named=True) if row["model"] == "power"),
            *((row, generators, -1.0) for row in self.grid.generators.iter_rows(named=True)),
        ]
        bus = [number[row["bus"]] for row, *_ in rows]
        follows = [column[of[row["name"]]] if row["name"] in of else len(column) for row, of, _ in rows]
        return bus, follows, [sign * complex(row["p_kw"], row["q_kvar"]) for row, _, sign in rows]
