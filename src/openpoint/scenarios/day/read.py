"""Reading a day from a folder, a file with its periods, a workbook, or by the name of a built-in one."""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import resources
from pathlib import Path

import dataframely as dy
import polars as pl

from openpoint.arguments import path_of
from openpoint.errors import InputError, Problem
from openpoint.grid.csv_style import plain, separator_of
from openpoint.grid.files import table_from_files
from openpoint.inputs import content_of, decoding, unreadable
from openpoint.io.workbook import read as workbook
from openpoint.scenarios.day.schemas import DAY_SCHEMAS, profile_schema
from openpoint.scenarios.day.tables import DAY_FILES, Day, day_of

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
    schemas: dict[str, type[dy.Schema]] = {**DAY_SCHEMAS, "profiles": profile_schema(header)}
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
