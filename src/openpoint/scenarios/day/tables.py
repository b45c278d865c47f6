"""A day as tables, from Python or to a folder."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from openpoint.arguments import path_of
from openpoint.atomic import Content, refusing, write_files
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.conform import RawTable, conform
from openpoint.grid.table_files import csv_from_table
from openpoint.inputs import unreadable
from openpoint.io import GridLike, read
from openpoint.scenarios.day.cut import cut_tables, date_of
from openpoint.scenarios.day.schemas import DAY_SCHEMAS, profile_schema
from openpoint.scenarios.profiles import OWN, ProfilesLike, read_profiles
from openpoint.scenarios.tables import Found, read_tables, tables_from_files

DAY_FILES = frozenset(f"{kind}.{ending}" for kind in DAY_SCHEMAS for ending in ("csv", "parquet"))


@dataclass(frozen=True, eq=False, repr=False)
class Day:
    """A day as tables; `find_day_problems` checks it against a grid.

    Build one with `openpoint.read_day` or `Day.from_tables`.

    Attributes:
        periods, profiles, load_profiles, generators, units, renewables, storages, vehicles, flexible_loads, limits,
            branch_limits, origin: with exactly the columns of `openpoint.scenarios.day.schemas`; `profiles` has one
            more a profile.
        notes: warnings of the reader.
    """

    periods: pl.DataFrame
    profiles: pl.DataFrame
    load_profiles: pl.DataFrame
    generators: pl.DataFrame
    units: pl.DataFrame
    renewables: pl.DataFrame
    storages: pl.DataFrame
    vehicles: pl.DataFrame
    flexible_loads: pl.DataFrame
    limits: pl.DataFrame
    branch_limits: pl.DataFrame
    origin: pl.DataFrame
    notes: tuple[Problem, ...] = field(default=())

    @staticmethod
    def from_tables(periods: RawTable, **tables: RawTable | None) -> Day:
        """A day from tables: Polars frames, mappings column -> values, or iterables of row mappings.

        Args:
            periods: the periods. tables: the others by name.

        Raises:
            InputError: unknown tables, and every column that is unknown, missing or of the wrong type.
        """
        given = {"periods": periods, **tables}
        strange = [
            Problem(kind, "", "", "unknown table", f"The tables of a day are {', '.join(DAY_SCHEMAS)}")
            for kind in given
            if kind not in DAY_SCHEMAS
        ]
        return day_of(Found({kind: _conformed(kind, given.get(kind)) for kind in DAY_SCHEMAS}, faults=strange))

    def tables(self) -> dict[str, pl.DataFrame]:
        """The tables by name."""
        return {
            "periods": self.periods,
            "profiles": self.profiles,
            "load_profiles": self.load_profiles,
            "generators": self.generators,
            "units": self.units,
            "renewables": self.renewables,
            "storages": self.storages,
            "vehicles": self.vehicles,
            "flexible_loads": self.flexible_loads,
            "limits": self.limits,
            "branch_limits": self.branch_limits,
            "origin": self.origin,
        }

    def with_tables(self, **tables: RawTable) -> Day:
        """A copy with the named tables replaced.

        Raises:
            InputError: as `from_tables`.
        """
        return Day.from_tables(**{**self.tables(), **tables})

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write the tables that have rows as CSV into a folder, which is created if needed; `read_day` reads it back.

        An earlier day in the folder is replaced.

        Raises:
            OptionError: the folder holds other files, or cannot be written.
        """
        place = path_of(folder, "folder", "the path of a folder")
        with refusing():
            if place.exists() and not place.is_dir():
                raise OptionError(f"{place} is a file; name a folder")
            if place.is_dir() and (others := sorted({p.name for p in place.iterdir()} - DAY_FILES)):
                raise OptionError(f"{place} holds {others[0]}, which is no table of a day; name another folder")
            contents: dict[Path, Content] = {}
            for kind, frame in self.tables().items():
                schema = profile_schema(frame.columns) if kind == "profiles" else DAY_SCHEMAS[kind]
                text = csv_from_table(kind, frame, schema) if frame.height else ""
                if text.strip():  # not where every cell is the default, which says nothing
                    contents[place / f"{kind}.csv"] = text.encode()
            write_files(contents, gone={place / name for name in DAY_FILES} - set(contents))

    def __repr__(self) -> str:
        return f"Day({', '.join(f'{name}: {frame.height}' for name, frame in self.tables().items() if frame.height)})"


def day_of(found: Found) -> Day:
    """The day of tables that were read.

    Raises:
        InputError: with all faults, and the notes.
    """
    if faults := found.all_faults():
        raise InputError([*faults, *found.notes])
    return Day(**{kind: frame for kind, (frame, _) in found.tables.items()}, notes=tuple(found.notes))


def _conformed(kind: str, raw: RawTable | None) -> tuple[pl.DataFrame, list[Problem]]:
    if kind != "profiles" or raw is None:
        return conform(kind, raw, DAY_SCHEMAS[kind])
    if not isinstance(raw, pl.DataFrame | Mapping):
        raw = list(raw)
    return conform(kind, raw, profile_schema(_columns(raw)))


def _columns(raw: Any) -> list[str]:
    """Names of the columns of a raw table."""
    if isinstance(raw, pl.DataFrame):
        return raw.columns
    rows = [raw] if isinstance(raw, Mapping) else [row for row in raw if isinstance(row, Mapping)]
    return [name for row in rows for name in row if isinstance(name, str)]


DayLike = Day | str | os.PathLike[str]
"""What stands for a day: a `Day`, or what `read_day` takes, a path, the name of a built-in day, or a date."""

_BUILT_IN = resources.files("openpoint.scenarios.day").joinpath("cases")
_PROFILES = ("profiles", profile_schema)
_WANTED = "a Day, the path of a folder, of a workbook or of a table of periods, or the name of a built-in day"


def built_in_days() -> tuple[str, ...]:
    """The names of the built-in days."""
    return tuple(sorted(f.name for f in _BUILT_IN.iterdir() if f.joinpath("periods.csv").is_file()))


def read_day(path_or_name: DayLike, grid: GridLike | None = None, *, profiles: ProfilesLike = OWN) -> Day:
    """A day from a folder of tables, a workbook with a sheet a table, a file with its periods, or a built-in one; or
    that of a date (2016-06-21) in the profiles of a grid.

    A `Day` is returned as it is. A path that exists takes precedence over a built-in name, and over a date.

    Args:
        path_or_name: the day. grid: of the date. profiles: of the date, as `read_year` takes them, of whatever length.

    Raises:
        InputError: there is no such path or day, or with every fault of every file.
        OptionError: an argument that is neither a `Day` nor a path.
    """
    if isinstance(path_or_name, Day):
        return path_or_name
    date = date_of(path_or_name)
    if grid is not None and date is not None and not os.path.exists(date):
        grid = read(grid)
        tables, notes = cut_tables(read_profiles(profiles, grid, whole_year=False), grid, date)
        return replace(Day.from_tables(**tables), notes=notes)
    path = path_of(path_or_name, "the day", _WANTED)
    try:
        if path.exists() and os.fspath(path_or_name):
            return day_of(read_tables(path, DAY_SCHEMAS, "the periods", _PROFILES))
    except ValueError:  # a path with a character that no path can have
        pass
    except OSError as error:
        raise InputError([unreadable(path, error)]) from error
    name = os.fspath(path_or_name)
    if name in built_in_days():
        return _built_in(name)
    near = difflib.get_close_matches(name, built_in_days(), n=3)
    remedy = f"Did you mean {' or '.join(near)}?" if near else f"The built-in days are {', '.join(built_in_days())}"
    raise InputError(
        [Problem(name, "", "", "there is no such file or folder, and no built-in day of this name", remedy)]
    )


@cache
def _built_in(name: str) -> Day:
    # Days are immutable, so one of each is enough.
    return day_from_files({f.name: f.read_bytes() for f in _BUILT_IN.joinpath(name).iterdir() if f.name in DAY_FILES})


def day_from_files(files: Mapping[str, bytes]) -> Day:
    """The day in files by name.

    Raises:
        InputError: with every fault of every file.
    """
    return day_of(Found(tables_from_files(files, DAY_SCHEMAS, _PROFILES)))
