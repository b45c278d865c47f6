"""Reading a year of a grid from tables of profiles: a folder, a workbook, a file, a frame, or a synthetic one."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator

import numpy as np
import polars as pl

from openpoint.arguments import path_of
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import did_you_mean
from openpoint.io import GridLike, read
from openpoint.scenarios.year import synthetic
from openpoint.scenarios.year.clock import HOURS, STARTS, hours_of
from openpoint.scenarios.year.model import Year
from openpoint.scenarios.year.table import Table, tables_of

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
            .xlsx, or a frame); or `synthetic-hours`, `synthetic-quarters` (`openpoint.scenarios.year.synthetic`).
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
    if name in synthetic.NAMES:
        loads, generators = synthetic.followers(grid)
        profiles = synthetic.profiles(synthetic.NAMES[name])
        frames = (profiles if generators.height else profiles.drop("sun"), loads, generators)
        return {table: Table(table, frame) for table, frame in zip(TABLES, frames, strict=True)}
    near = difflib.get_close_matches(name, synthetic.NAMES, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"The built-in years are {', '.join(synthetic.NAMES)}"
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
        self._check_models(loads, generators)
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

    def _check_models(self, loads: Followed, generators: Followed) -> None:
        """What follows a profile has a constant power."""
        for name, model in self.grid.loads.select("name", "model").iter_rows():
            if name in loads and model != "power":
                remedy = "Make it one of constant power, or leave it out of the profiles"
                self.profiles.fault("", loads[name], f"load {name!r}, which follows it, is of constant {model}", remedy)
        for row in self.grid.generators.iter_rows(named=True):
            if row["name"] in generators and _is_dispatchable(row):
                remedy = "Clear its limits (p_min_kw, p_max_kw, q_min_kvar, q_max_kvar) to let it follow a profile"
                message = f"generator {row['name']!r}, which follows it, is dispatchable"
                self.profiles.fault("", generators[row["name"]], message, remedy)

    def _shares(self, loads: Followed, generators: Followed) -> tuple[list[int], list[int], list[complex]]:
        """Bus, profile and power of every load and generator of constant power."""
        number = {name: n for n, name in enumerate(self.grid.buses["name"])}
        column = {name: n for n, name in enumerate(self.columns)}
        rows = [
            *((row, loads, 1.0) for row in self.grid.loads.iter_rows(named=True) if row["model"] == "power"),
            *(
                (row, generators, -1.0)
                for row in self.grid.generators.iter_rows(named=True)
                if not _is_dispatchable(row)
            ),
        ]
        bus = [number[row["bus"]] for row, *_ in rows]
        follows = [column[of[row["name"]]] if row["name"] in of else len(column) for row, of, _ in rows]
        return bus, follows, [sign * complex(row["p_kw"], row["q_kvar"]) for row, _, sign in rows]


def _is_dispatchable(row: dict[str, object]) -> bool:
    return any(row[name] is not None for name in ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar"))
