"""A day that is cut out of profiles: its tables, with what loads take and what feeds in.

- Periods are the hours of the date as they are written; shorter steps are taken together, by their mean.
- Loads follow shares of their power in the grid, active and reactive power apart.
- A fixed generator that follows a profile is a renewable source without reactive power: what it feeds in is available,
  and may be curtailed. One that is dispatchable has so much of its greatest power. One that takes power at some time,
  as a battery does, rests: whoever wants it planned gives its energy in the table `storages`.
- Energy of sources that have no price costs `PRICE`.

A day as tables, from Python or to a folder.
"""

from __future__ import annotations

import datetime
import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from openpoint.arguments import path_of
from openpoint.arrays import Floats, Ints
from openpoint.atomic import Content, refusing, write_files
from openpoint.errors import InputError, OptionError, Problem, did_you_mean
from openpoint.grid.conform import RawTable, conform
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.grid.table_files import csv_from_table
from openpoint.inputs import unreadable
from openpoint.io import GridLike, read
from openpoint.scenarios.day.schemas import DAY_SCHEMAS, profile_schema
from openpoint.scenarios.profiles import OWN, Element, Profiles, ProfilesLike, read_profiles
from openpoint.scenarios.tables import Found, read_tables, tables_from_files

PRICE = 0.1
"""$/kWh where nobody tells a price: an assumption, by which only the proportions of costs count."""
WINDY = ("wind", "wp")
"""Beginnings of a name or a profile that are wind; all others count as sun."""


def date_of(text: object) -> str | None:
    """A date as it stands before the times of its steps; None where it is none."""
    if isinstance(text, datetime.date) and not isinstance(text, datetime.datetime):
        return text.isoformat()
    try:
        return datetime.date.fromisoformat(text).isoformat() if isinstance(text, str) and len(text) == 10 else None
    except ValueError:
        return None


def cut_tables(profiles: Profiles, grid: Grid, date: str) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The tables of a day of profiles, and what to know of it.

    Raises:
        InputError: the profiles have no times, or none of this day; a load without power follows one in kW.
    """
    return _Cut(profiles, grid, date).tables()


class _Cut:
    """A day while it is cut out, with the profiles so far."""

    def __init__(self, profiles: Profiles, grid: Grid, date: str) -> None:
        self.profiles, self.grid, self.date = profiles, grid, date
        self.steps = self._steps()
        hours = [profiles.names[n][:13] + profiles.names[n][16:] for n in self.steps]
        self.starts = np.array([n for n, hour in enumerate(hours) if n == 0 or hour != hours[n - 1]], dtype=np.int64)
        self.lengths = np.add.reduceat(profiles.hours[self.steps], self.starts)
        self.columns: dict[str, Floats] = {}
        self.names: dict[bytes, str] = {}
        self.faults: list[Problem] = []
        self.notes: list[Problem] = [self._note("periods", note) for note in profiles.notes]

    def _steps(self) -> Ints:
        names = self.profiles.names
        found = np.array([n for n, name in enumerate(names) if name[:10] == self.date], dtype=np.int64)
        if not len(found):
            if names[0].isdigit():
                message, remedy = "the profiles have no times, so that no day can be cut out", "Give starts_at or time"
            else:
                message = f"the profiles have no step on this day; they go from {names[0][:10]} to {names[-1][:10]}"
                remedy = did_you_mean(self.date, sorted({name[:10] for name in names}), "Give a day between them")
            raise InputError([Problem("profiles", self.date, "", message, remedy)])
        return found

    def tables(self) -> tuple[dict[str, Any], tuple[Problem, ...]]:
        """The tables, and the notes."""
        starts = [self.profiles.names[n] for n in self.steps[self.starts]]
        periods = [name[11:16] for name in starts]
        if len(set(periods)) < len(periods):
            periods = [name[11:] for name in starts]
        tables: dict[str, Any] = {"periods": {"period": periods, "hours": self.lengths, "starts_at": starts}}
        if self.grid.sources["price_usd_per_kwh"].null_count():
            tables["periods"]["price_usd_per_kwh"] = [PRICE] * len(periods)
            message = f"a source has no price; its energy is taken to cost {PRICE:g} $/kWh in every period"
            self.notes.append(self._note("periods", message))
        tables["load_profiles"] = self._loads()
        tables |= self._generators()
        if self.faults:
            raise InputError(self.faults)
        tables["profiles"] = {"period": periods, **self.columns}
        return tables, tuple(self.notes)

    def _power(self, kind: str, row: dict[str, Any], letter: str) -> Floats:
        """(T) kW or kvar of a load or generator."""
        element: Element = (kind, row["name"])
        follows = (self.profiles.p if letter == "p" else self.profiles.q).get(element)
        values = self.profiles.power(follows, row["p_kw" if letter == "p" else "q_kvar"])[self.steps]
        hours = self.profiles.hours[self.steps]
        return np.asarray(np.add.reduceat(values * hours, self.starts) / self.lengths)

    def _share(self, kind: str, row: dict[str, Any], letter: str) -> str:
        """The name of the profile of the shares that a load or generator has of its own power."""
        own, power = row["p_kw" if letter == "p" else "q_kvar"], self._power(kind, row, letter)
        if own == 0.0 and power.any():
            message = "it has no power in the grid, and follows one in kW or kvar"
            self.faults.append(Problem(kind, row["name"], "", message, "Give it a power, of which shares are taken"))
        return self._column(np.round(power / own, 12) if own else np.ones(len(power)), f"{row['name']}_{letter}")

    def _column(self, values: Floats, name: str) -> str:
        """The name of the profile with these values, which is added where there is none."""
        known = self.names.setdefault(values.tobytes(), name)
        self.columns.setdefault(known, values)
        return known

    def _loads(self) -> list[dict[str, str]]:
        found = []
        for row in self.grid.loads.iter_rows(named=True):
            if {("loads", row["name"])} & {*self.profiles.p, *self.profiles.q}:
                p, q = (self._share("loads", row, letter) for letter in "pq")
                found.append({"load": row["name"], "profile": p, "q_profile": q})
        return found

    def _generators(self) -> dict[str, Any]:
        found: dict[str, list[dict[str, Any]]] = {"renewables": [], "units": [], "generators": []}
        unknown, reactive, resting = [], [], []
        for row in self.grid.generators.iter_rows(named=True):
            name, element = row["name"], ("generators", row["name"])
            if element not in self.profiles.p and element not in self.profiles.q:
                continue
            power = self._power("generators", row, "p")
            if any(row[limit] is not None for limit in ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")):
                if row["p_max_kw"] and row["p_max_kw"] > 0.0:
                    column = self._column(np.clip(power / row["p_max_kw"], 0.0, 1.0), f"{name}_p")
                    found["units"].append({"generator": name, "profile": column})
            elif power.min() < 0.0:
                resting.append(name)
                found["generators"].append({"name": name, "bus": row["bus"], "p_kw": 0.0})
            else:
                profile = self.profiles.columns[self.profiles.p[element].number] if element in self.profiles.p else ""
                words = f"{name} {profile}".lower().split()
                windy = any(word.startswith(WINDY) for word in words)
                unknown += [] if windy or any(word.startswith(("pv", "sol", "sun")) for word in words) else [name]
                reactive += [name] if self._power("generators", row, "q").any() else []
                most = max(float(power.max()), abs(row["p_kw"]))
                column = self._column(power / most if most else power, f"{name}_p")
                made = {"name": name, "bus": row["bus"], "kind": "wind" if windy else "solar", "p_kw": most}
                found["renewables"].append({**made, "profile": column})
        for names, message in (
            (unknown, "nothing tells whether these are sun or wind; they count as sun"),
            (reactive, "of these the active power is taken alone, without the reactive"),
            (resting, "these take power at times, as batteries do, and rest; to plan them, give them in storages"),
        ):
            if names:
                self.notes.append(self._note("renewables", f"{message}: {names_in_words(names)}"))
        return {kind: rows for kind, rows in found.items() if rows}

    def _note(self, table: str, message: str) -> Problem:
        return Problem(table, "", "", message, "Correct the tables of the day, if this is not meant", "warning", True)


DAY_FILES = frozenset(f"{kind}.{ending}" for kind in DAY_SCHEMAS for ending in ("csv", "parquet"))


@dataclass(frozen=True, eq=False, repr=False)
class Day:
    """A day as tables; a study checks it against its grid.

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
