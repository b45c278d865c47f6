"""A day as tables, from Python or to a folder."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from openpoint.arguments import path_of
from openpoint.atomic import Content, refusing, write_files
from openpoint.columns import TableSchema
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.conform import RawTable, conform
from openpoint.grid.files import table_from_files
from openpoint.grid.table_files import csv_from_table, plain, separator_of
from openpoint.inputs import content_of, decoding, unreadable
from openpoint.io.workbook import read as workbook
from openpoint.scenarios.day.schemas import DAY_SCHEMAS, profile_schema

DAY_FILES = frozenset(f"{kind}.{ending}" for kind in DAY_SCHEMAS for ending in ("csv", "parquet"))


@dataclass(frozen=True, eq=False, repr=False)
class Day:
    """A day as tables; `find_day_problems` checks it against a grid.

    Build one with `openpoint.read_day` or `Day.from_tables`.

    Attributes:
        periods, profiles, load_profiles, generators, units, renewables, storages, vehicles, flexible_loads, limits,
            origin: with exactly the columns of `openpoint.scenarios.day.schemas`; `profiles` has one more a profile.
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
        return day_of({kind: _conformed(kind, given.get(kind)) for kind in DAY_SCHEMAS}, faults=strange)

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


def day_of(
    read: Mapping[str, tuple[pl.DataFrame, list[Problem]]],
    *,
    faults: Iterable[Problem] = (),
    notes: Iterable[Problem] = (),
) -> Day:
    """The day of tables that were read, each with its faults.

    Raises:
        InputError: with all faults, and the notes.
    """
    notes = tuple(notes)
    if found := [*faults, *(fault for _, found in read.values() for fault in found)]:
        raise InputError([*found, *notes])
    return Day(**{kind: frame for kind, (frame, _) in read.items()}, notes=notes)


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
"""What stands for a day: a `Day`, or what `read_day` takes, a path or the name of a built-in day."""

_BUILT_IN = resources.files("openpoint.scenarios.day").joinpath("cases")
_WANTED = "a Day, the path of a folder, of a workbook or of a table of periods, or the name of a built-in day"


def built_in_days() -> tuple[str, ...]:
    """The names of the built-in days."""
    return tuple(sorted(f.name for f in _BUILT_IN.iterdir() if f.joinpath("periods.csv").is_file()))


def read_day(path_or_name: DayLike) -> Day:
    """A day from a folder of tables, a workbook with a sheet a table, a file with its periods, or a built-in one.

    A `Day` is returned as it is. A path that exists takes precedence over a built-in name.

    Raises:
        InputError: there is no such path or day, or with every fault of every file.
        OptionError: an argument that is neither a `Day` nor a path.
    """
    if isinstance(path_or_name, Day):
        return path_or_name
    path = path_of(path_or_name, "the day", _WANTED)
    try:
        if path.is_dir() and os.fspath(path_or_name):
            return _from_folder(path)
        if path.exists():
            return _from_file(path)
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


def _from_folder(path: Path) -> Day:
    files = {p.name: content_of(p) for p in sorted(path.iterdir()) if p.name in DAY_FILES}
    strange = sorted(p.name for p in path.iterdir() if p.name not in DAY_FILES and not p.name.startswith("."))
    remedy = f"Tables are named {', '.join(DAY_SCHEMAS)}, with the ending .csv or .parquet"
    notes = [
        Problem(name, "", "", "this file is not read", remedy, "warning", changes_figures=True) for name in strange
    ]
    faults = list[Problem]()
    if not files.keys() & {"periods.csv", "periods.parquet"}:
        message, remedy = "there is no table of the periods", "Give periods.csv, or a folder that holds it"
        faults.append(Problem(str(path), "", "", message, remedy))
    return day_from_files(files, notes, faults)


def _from_file(path: Path) -> Day:
    content, ending = content_of(path), path.suffix.lower()
    if ending in workbook.ENDINGS:
        return _from_workbook(content, path.name)
    if ending not in (".csv", ".parquet"):
        remedy = "Give a folder of tables, a workbook (.xlsx), or the periods alone as .csv or .parquet"
        raise InputError([Problem(path.name, "", "", "the format of this file is not known", remedy)])
    return day_from_files({f"periods{ending}": content})


def day_from_files(files: Mapping[str, bytes], notes: Iterable[Problem] = (), faults: Iterable[Problem] = ()) -> Day:
    """The day in files by name, with notes and faults that whoever gathered the files found.

    Raises:
        InputError: with every fault of every file.
    """
    schemas = {**DAY_SCHEMAS, "profiles": profile_schema(_profile_columns(files))}
    read = {kind: table_from_files(kind, files, schema) for kind, schema in schemas.items()}
    return day_of(read, faults=faults, notes=notes)


def _from_workbook(content: bytes, file: str) -> Day:
    """A day from the sheets of a workbook; a single sheet is that of the periods."""
    sheets = workbook.sheets_of(content, file)
    if len(sheets) == 1 and not sheets.keys() & DAY_SCHEMAS.keys():
        sheets = {"periods": next(iter(sheets.values()))}
    faults = list[Problem]()
    if "periods" not in sheets:
        remedy = f"Name the sheets {', '.join(DAY_SCHEMAS)}"
        faults.append(Problem(file, "", "", "there is no sheet of the periods", remedy))
    header = [name or "" for name in sheets["profiles"][0][1]] if "profiles" in sheets else []
    schemas: dict[str, type[TableSchema]] = {**DAY_SCHEMAS, "profiles": profile_schema(header)}
    tables = workbook.tables_of(sheets, file, schemas)
    return day_of(tables, faults=faults, notes=workbook.not_read(sheets, file, [*DAY_SCHEMAS]))


def _profile_columns(files: Mapping[str, bytes]) -> list[str]:
    """The columns of the table of profiles; none where it cannot be read, which its reader reports."""
    if (content := files.get("profiles.csv")) is not None:
        text = content.decode("utf-8", errors="replace").removeprefix("\ufeff")
        separator, _ = separator_of(text, "profiles.csv")
        with suppress(csv.Error):
            header = next((row for row in csv.reader(io.StringIO(text), delimiter=separator) if row), [])
            return [*map(plain, header)]
    if (content := files.get("profiles.parquet")) is not None:
        with suppress(InputError), decoding("profiles.parquet", "no Parquet file", ""):
            return list(pl.read_parquet_schema(io.BytesIO(content)))
    return []
