"""The format of openpoint as named files, independent of storage: grid.toml and a CSV or Parquet file for each table.

grid.toml holds `format = 1`, `name`, `title`, `source` and the notes of the reader of the original (`[[notes]]`).

The built-in cases: published test grids in the units of their publications.

Each is a folder of the own format beside this file. Every branch of the balanced grids is switchable, as in the
literature on minimum-loss reconfiguration, and closed as published before it; `zhang13` has its ties by choice. The
grids of three phases, `ieee…`, have the switches of their publication. Two have devices that a decision may set:
`khodr70` those of its publication, with assumptions in its notes where that says nothing, and `baran33-devices` some of
every kind, by choice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

import polars as pl

from openpoint.columns import TableSchema
from openpoint.errors import Faults, InputError, OptionError, Problem
from openpoint.grid.conform import conform
from openpoint.grid.grid import Grid, more_faults
from openpoint.grid.schemas import SCHEMAS
from openpoint.grid.table_files import csv_from_table, frame_from_parquet, table_bytes, table_from_csv
from openpoint.inputs import MOST_VALUES, toml_of

FORMAT = 1
HEAD = "grid.toml"
TableFormat = Literal["csv", "parquet"]
TABLE_FILES = frozenset(f"{kind}.{ending}" for kind in SCHEMAS for ending in ("csv", "parquet"))
_NOTE_FIELDS = ("table", "row", "column", "message", "remedy")


def files_from_grid(grid: Grid, *, tables: TableFormat = "csv") -> dict[str, bytes]:
    """The files of a grid by name. Empty tables are left out.

    Raises:
        OptionError: `tables` is neither csv nor parquet.
    """
    if tables not in ("csv", "parquet"):
        raise OptionError(f"tables={tables!r} is not known; write 'csv' or 'parquet'")
    files = {HEAD: _head_text(grid).encode()}
    for kind, frame in grid.tables().items():
        if frame.is_empty():
            continue
        if tables == "csv":
            files[f"{kind}.csv"] = csv_from_table(kind, frame).encode()
        else:
            files[f"{kind}.parquet"] = table_bytes(frame, csv=False)
    return files


def grid_from_files(files: Mapping[str, bytes]) -> Grid:
    """The grid in files as `files_from_grid` makes them.

    Files of other names are not read, with a warning in the notes.

    Raises:
        InputError: with every fault of every file.
    """
    head, faults = _head(files.get(HEAD))
    notes, found = _notes(head)
    faults += found
    read = {kind: table_from_files(kind, files) for kind in SCHEMAS}
    faults += [fault for _, found in read.values() for fault in found]
    for name in sorted(files):
        if name != HEAD and name not in TABLE_FILES:
            remedy = f"Tables are named {', '.join(SCHEMAS)}, with the ending .csv or .parquet"
            notes.append(Problem(name, "", "", "this file is not read", remedy, "warning", changes_figures=True))
    if faults:
        raise InputError([*faults, *more_faults(read)])
    frames = {kind: frame for kind, (frame, _) in read.items()}
    texts = {key: str(head.get(key, "")) for key in ("name", "title", "source")}
    return Grid.from_tables(texts["name"], frames, title=texts["title"], source=texts["source"], notes=notes)


def _head_text(grid: Grid) -> str:
    lines = [f"format = {FORMAT}"]
    lines += [f"{key} = {_quoted(getattr(grid, key))}" for key in ("name", "title", "source")]
    for note in grid.notes:
        lines += ["", "[[notes]]"]
        lines += [f"{key} = {_quoted(getattr(note, key))}" for key in _NOTE_FIELDS]
        lines += ["changes_figures = true"] if note.changes_figures else []
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # A JSON string is a TOML basic string, except for DEL, which must be escaped in TOML.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _head(content: bytes | None) -> tuple[dict[str, Any], list[Problem]]:
    if content is None:
        return {}, [Problem(HEAD, "", "", "the file is missing", 'Write at least: format = 1 and name = "…"')]
    try:
        _, head = toml_of(content, HEAD)
    except InputError as error:
        return {}, list(error.problems)
    faults = Faults()
    if type(head.get("format")) is not int or head["format"] != FORMAT:
        message = f"format {head.get('format')!r} is not known"
        faults.append(Problem(HEAD, "", "format", message, f"Write format = {FORMAT}"))
    for key in ("name", "title", "source"):
        if not isinstance(head.get(key, ""), str):
            faults.append(Problem(HEAD, "", key, "the value is no text", "Put it into quotation marks"))
    for key in head:
        if key not in ("format", "name", "title", "source", "notes"):
            remedy = "Remove it; the keys are format, name, title, source, notes"
            faults.append(Problem(HEAD, "", key, "unknown key", remedy))
    return head, faults


def _notes(head: dict[str, Any]) -> tuple[list[Problem], list[Problem]]:
    notes: list[Problem] = []
    given = head.get("notes", [])
    if not isinstance(given, list):
        given = [given]
    for note in given:
        if not isinstance(note, dict) or any(not isinstance(note.get(key), str) for key in _NOTE_FIELDS):
            remedy = f"Give {', '.join(_NOTE_FIELDS)} as texts"
            return [], [Problem(HEAD, "", "notes", "a note is not complete", remedy)]
        texts = {key: note[key] for key in _NOTE_FIELDS}
        notes.append(Problem(**texts, severity="warning", changes_figures=note.get("changes_figures") is True))
    return notes, []


def table_from_files(
    kind: str, files: Mapping[str, bytes], schema: type[TableSchema] | None = None
) -> tuple[pl.DataFrame, list[Problem]]:
    """The table in the CSV or Parquet file of its name, and every fault; an absent one is empty.

    Args:
        kind: name of the table. files: contents by file name.
        schema: its schema; default: that of the grid's table of this kind.
    """
    empty, _ = conform(kind, None, schema)
    text, packed = files.get(f"{kind}.csv"), files.get(f"{kind}.parquet")
    if text is not None and packed is not None:
        message = "the table is given twice, as CSV and as Parquet"
        return empty, [Problem(kind, "", "", message, "Remove one of the two files")]
    if text is not None:
        name = f"{kind}.csv"
        try:
            return table_from_csv(kind, text.decode("utf-8"), name, schema)
        except UnicodeDecodeError as error:
            line = text[: error.start].count(b"\n") + 1
            return empty, [Problem(name, f"line {line}", "", "the text is not UTF-8", "Save the file as UTF-8")]
    if packed is not None:
        name = f"{kind}.parquet"
        try:
            return conform(kind, frame_from_parquet(packed, name, MOST_VALUES), schema)
        except InputError as error:
            return empty, list(error.problems)
    return empty, []


_CASES = resources.files("openpoint.grid").joinpath("cases")


def names() -> tuple[str, ...]:
    """The names of the built-in cases, small before large."""
    return tuple(sorted((f.name for f in _CASES.iterdir() if f.joinpath(HEAD).is_file()), key=_size_first))


def load(name: str) -> Grid:
    """A built-in case.

    Raises:
        OptionError: there is no case of this name.
    """
    if name not in names():
        raise OptionError(f"there is no built-in case {name!r}; the cases are {', '.join(names())}")
    return _grid(name)


def cases() -> pl.DataFrame:
    """All built-in cases, a row each.

    Columns: name, title, phases (1 = balanced), buses, branches, switchable, sources (counts), load_kw, source
    (publication).
    """
    rows = [
        {
            "name": grid.name,
            "title": grid.title,
            "phases": "".join(sorted(set("".join(grid.buses["phases"])))),
            "buses": grid.buses.height,
            "branches": grid.branches().height,
            "switchable": int(grid.branches()["switchable"].sum()),
            "sources": grid.sources.height,
            "load_kw": float(grid.loads["p_kw"].sum()),
            "source": grid.source,
        }
        for grid in map(load, names())
    ]
    return pl.DataFrame(rows)


@cache
def _grid(name: str) -> Grid:
    # Grids are immutable, so one of each is enough.
    folder = _CASES.joinpath(name)
    return grid_from_files({item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()})


def _size_first(name: str) -> tuple[int, str]:
    digits = re.search(r"\d+", name)
    return int(digits.group()) if digits else 0, name
