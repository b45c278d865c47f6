"""Reading and writing of grids: `read` for all formats, `write` for those that can be written.

| format | how it is known |
|---|---|
| own folder | a folder with grid.toml, or that file |
| MATPOWER case, version 2 | `.m`, or a text with `mpc.bus` |
| pandapower net in JSON | `.json`, or a text that names pandapowerNet |
| power-grid-model input in JSON | a text with the keys `is_batch` and `data` |
| SimBench CSV folder | a folder with Node.csv and ExternalNet.csv |
| CGMES 2.4.15 | `.zip`, or a folder with XML files of CIM |
| OpenDSS circuit | `.dss`, with the files it redirects to |
| REDS | `.pos`, or a text that begins with a key like `.PU` |
| Excel workbook | `.xlsx`, a sheet a table |
| Vision workbook | `.xlsx` with a sheet Nodes, or Knooppunten |
| pandapower net, power-grid-model input in memory | a mapping |
| built-in case | its name |
"""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from openpoint.arguments import path_of
from openpoint.atomic import refusing, write_bytes
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid import files
from openpoint.grid.devices import Held, with_held
from openpoint.grid.files import HEAD, TableFormat
from openpoint.grid.grid import Grid
from openpoint.inputs import content_of, unreadable
from openpoint.io.text import decode, file_ending

__all__ = ["GridLike", "read", "write"]

GridLike = Grid | str | os.PathLike[str] | Mapping[str, Any]
"""A `Grid`, or what `read` accepts: a path, the name of a built-in case, or a pandapower net or input data of
power-grid-model in memory."""

_TEXTS = {".m": "matpower.read", ".pos": "reds"}
"""The modules that read a text, by the ending of its file."""
_WANTED = (
    "a Grid, the path of a file or folder, the name of a built-in case, a pandapower net, or input data of "
    "power-grid-model. Grid.from_tables makes a grid of tables"
)
_WRITTEN = "a folder of tables, an OpenDSS circuit (.dss) or an Excel workbook (.xlsx)"
_FORMATS = (
    "MATPOWER (.m), pandapower and power-grid-model (.json), OpenDSS (.dss), REDS (.pos), Excel workbooks "
    "(.xlsx), Vision workbooks (.xlsx), CGMES (.zip), SimBench CSV folders, and folders with grid.toml"
)


def read(path_or_name: GridLike, *, pv: Held = "hold", geojson: str | os.PathLike[str] | None = None) -> Grid:
    """Read the grid in a file, a folder or memory, or a built-in case by its name. A `Grid` is returned unchanged.

    A path that exists takes precedence over a built-in name. Nothing in a file is executed, except those statements of
    an OpenDSS script that describe its circuit. Reading reports faults of the file; `Grid.problems` lists faults of the
    grid in it.

    Args:
        path_or_name: a path, a name from `openpoint.cases()`, a grid, a pandapower net, or input data of
            power-grid-model as a dictionary of arrays.
        pv: how generators that hold the voltage of their bus (PV buses) are read, for studies that cannot hold it:
            `"hold"` keeps their `v_pu`; with `"pq"` they run at today's active and reactive power, with `"free"` their
            reactive power is free within its limits.
        geojson: a GeoJSON file with Points of buses and LineStrings of branches by name, which give the grid its
            coordinates and routes.

    Raises:
        InputError: there is no such file or case, or a file has faults (the error lists all), or with `"free"`
            reactive power has no limits.
        OptionError: `path_or_name` is of another type, or `pv` is not one of these words.
    """
    grid = with_held(_read(path_or_name), pv)
    return grid if geojson is None else _made("geojson", "with_geojson", grid, geojson)


_ENGINES = {"opendssdirect", "dss", "dss_python", "altdss"}
_LOADED = (
    "a circuit that OpenDSS has loaded is not read, since reading solves it and would change the state of its engine. "
    "Give its file, or save it: dss.Text.Command('Save Circuit Dir=saved'), add CalcVoltageBases to saved/Master.dss, "
    "and read that; elements that `Open` opened are closed in it"
)


def _format(name: str) -> Any:
    """The module of a format: imported where a grid of it is met, since a run meets one of twelve."""
    return import_module(f"openpoint.io.{name}")


def _made(form: str, function: str, *given: object) -> Grid:
    """The grid that a function of a format makes."""
    grid: Grid = getattr(_format(form), function)(*given)
    return grid


def _read(path_or_name: GridLike) -> Grid:
    if isinstance(path_or_name, Grid):
        return path_or_name
    if isinstance(path_or_name, Mapping):
        if not _format("memory").is_grid(path_or_name):
            raise OptionError(f"the grid is of type {type(path_or_name).__name__}; give {_WANTED}")
        return _made("memory", "grid_of", path_or_name)
    if {type(path_or_name).__module__.partition(".")[0], getattr(path_or_name, "__name__", "")} & _ENGINES:
        raise OptionError(_LOADED)
    path = path_of(path_or_name, "the grid", _WANTED)
    try:
        if not os.fspath(path_or_name):  # an empty name would be the folder we are in
            pass
        elif path.is_dir():
            return _read_folder(path)
        elif path.name == HEAD and path.is_file():
            return _made("folder", "read_folder", path.parent)
        elif path.exists():
            return _read_file(path)
    except ValueError:  # a path with a character that no path can have
        pass
    except OSError as error:
        raise InputError([unreadable(path, error)]) from error
    if isinstance(path_or_name, str) and path_or_name in files.names():
        return files.load(path_or_name)
    raise InputError([_not_found(os.fspath(path_or_name))])


def _read_folder(path: Path) -> Grid:
    if not (path / HEAD).is_file():
        for name in ("simbench", "cgmes"):
            if _format(name).is_folder(path):
                return _made(name, "grid_from_folder", path)
    return _made("folder", "read_folder", path)


def write(grid: GridLike, path: str | os.PathLike[str], *, tables: TableFormat | None = None) -> None:
    """Write a grid into a folder that `read` reads back without loss, or as an OpenDSS circuit (`.dss`)
    or an Excel workbook (`.xlsx`, without loss, too).

    An existing file or grid at the path is replaced. A circuit contains no limits of voltages or generators. A name
    with another ending (a dot, a letter and up to seven letters or digits) is refused: `grid.m` would be a folder and
    not a MATPOWER case. A path is a folder if it ends with a slash or if a folder of that name exists.

    Args:
        grid: the grid, or a path or name that `read` accepts; a grid with faults can be written into a folder.
        path: a folder, which is created if needed, or a file that ends in `.dss` or `.xlsx`.
        tables: format of the tables in a folder: `"csv"` (default, readable as text) or `"parquet"` (large grids).

    Raises:
        InputError: the grid has faults, or something that OpenDSS does not have (`.dss` only); texts that a workbook
            cannot hold.
        OptionError: an ending that cannot be written, the folder contains other files, the path cannot be written,
            `tables` is unknown, or is given for a file.
    """
    grid = read(grid)
    folder = path_of(path, "path")
    ending = file_ending(path)
    if not ending:
        _format("folder").write_folder(grid, folder, tables=tables or "csv")
        return
    if ending not in (".dss", ".xlsx"):
        raise OptionError(
            f"{folder}: grids are not written as {ending}, only as {_WRITTEN}. For a folder of that name write "
            f"{folder}{os.sep}"
        )
    if tables is not None:
        raise OptionError(f"tables={tables!r} is for a folder of tables, not for {folder}; leave it out")
    content: bytes
    if ending == ".dss":
        content = _format("opendss.write").circuit_text(grid).encode()
    else:
        content = _format("workbook.write").workbook_from_grid(grid)
    with refusing():
        write_bytes(folder, content)


def _read_file(path: Path) -> Grid:
    ending = path.suffix.lower()
    if ending == ".dss" and path.is_file():
        return _made("opendss.read", "grid_from_file", path)
    content = content_of(path)
    if ending in (".xlsx", ".xlsm"):
        own = "vision" if _format("vision").is_workbook(content) else "workbook.read"
        return _made(own, "grid_from_workbook", content, path.name)
    if ending == ".zip":
        return _made("cgmes", "grid_from_zip", content, path.name)
    if ending in (".xls", ".xlsb", ".ods"):
        message = "spreadsheets of this format are not read"
        raise InputError([Problem(path.name, "", "", message, "Save it as .xlsx in a spreadsheet program")])
    text = decode(content, path.name)
    form = _TEXTS.get(ending) or _text_form(text, ending)
    if form is None:
        remedy = f"openpoint reads {_FORMATS}"
        if ending in (".csv", ".parquet"):
            remedy = f"Give the folder of the tables, with {HEAD} in it"
        raise InputError([Problem(path.name, "", "", "the format of this file is not known", remedy)])
    return _made(form, "grid_from_text", text, path.name)


def _text_form(text: str, ending: str) -> str | None:
    """The module that reads a text, by what is in it."""
    start = text.lstrip()
    if "mpc.bus" in text and ending != ".json":
        return "matpower.read"
    is_pgm: bool = _format("pgm").is_input(text)
    if ending == ".json" or (start.startswith("{") and ("pandapowerNet" in text or is_pgm)):
        return "pgm" if is_pgm else "pandapower.read"
    return "reds" if start.lower().startswith((".pu", ".v_base", ".s_base")) else None


def _not_found(name: str) -> Problem:
    known, beside = files.names(), list[str]()
    with contextlib.suppress(OSError, ValueError):  # a folder that is not there either
        beside = [entry.name for entry in os.scandir(os.path.dirname(name) or ".") if "." in name]
    near = difflib.get_close_matches(os.path.basename(name), [*beside, *known], n=3)
    remedy = f"The built-in cases are {', '.join(known)}"
    if near:
        remedy = f"Did you mean {' or '.join(near)}? {remedy}"
    return Problem(name, "", "", "there is no such file or folder, and no built-in case of this name", remedy)
