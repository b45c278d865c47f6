"""The format of openpoint: a folder with grid.toml and a CSV or Parquet file for each table, without loss.

See `openpoint.grid.files`.
"""

from __future__ import annotations

from pathlib import Path

from openpoint.atomic import Content, refusing, write_files
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.files import HEAD, TABLE_FILES, TableFormat, files_from_grid, grid_from_files
from openpoint.grid.grid import Grid
from openpoint.inputs import content_of, unreadable


def read_folder(folder: Path) -> Grid:
    """The grid in a folder.

    Raises:
        InputError: with every fault of every file.
    """
    try:
        entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
        if HEAD not in {p.name for p in entries}:
            message = f"the folder holds no {HEAD}, so it is no grid"
            remedy = f'Give a folder that openpoint wrote, or add {HEAD}: format = 1 and name = "…"'
            if any(p.suffix.lower() == ".dss" for p in entries):
                remedy = "Give the .dss file in it that reads the others, by Redirect or Compile"
            raise InputError([Problem(str(folder), "", "", message, remedy)])
        wanted = {p.name: content_of(p) for p in entries if p.name in TABLE_FILES | {HEAD}}
    except OSError as error:
        raise InputError([unreadable(folder, error)]) from error
    # Other files are only named, never opened.
    return grid_from_files(wanted | {p.name: b"" for p in entries if p.name not in wanted})


def write_folder(grid: Grid, folder: Path, *, tables: TableFormat = "csv") -> None:
    """Write a grid into a folder, which is created if needed; an earlier grid in it is replaced.

    Raises:
        OptionError: the folder contains other files, or cannot be written; `tables` is unknown.
    """
    files = files_from_grid(grid, tables=tables)
    with refusing():
        if folder.exists() and not folder.is_dir():
            raise OptionError(f"{folder} is a file; name a folder")
        if folder.is_dir() and any(folder.iterdir()) and not (folder / HEAD).is_file():
            raise OptionError(f"{folder} holds files and no grid; name a new folder")
        contents: dict[Path, Content] = {folder / name: content for name, content in files.items()}
        write_files(contents, gone=[folder / name for name in TABLE_FILES - set(files)])
