"""The built-in days, listed or written into a folder."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from openpoint.cli.display import console, show_frame
from openpoint.cli.grid import read_sound
from openpoint.cli.places import Place, check_places
from openpoint.errors import OptionError
from openpoint.report.terminal import words
from openpoint.scenarios.day.tables import built_in_days, read_day


def days(day: str | None, folder: str | None, *, grid: str | None, profiles: str, force: bool = False) -> int:
    """List the built-in days; or write one, one of the user's, or that of a date in profiles, into a folder."""
    if day is None:
        show_frame(console(), pl.DataFrame([_row(name) for name in built_in_days()]))
        return 0
    if folder is None:
        raise OptionError(f"where to? Give a folder for the tables, such as `openpoint days {words.safe(day)} my-day`")
    own = [Path(day)] if Path(day).exists() else []
    check_places([Place("", Path(folder), endings=None, folder=True, replaces=False)], own, force=force)
    read_day(day, None if grid is None else read_sound(grid), profiles=profiles).write(folder)
    console().print(f"written: {words.safe(folder)}, a folder of tables")
    return 0


def _row(name: str) -> dict[str, object]:
    tables = read_day(name).tables()
    counted = ("generators", "renewables", "storages", "vehicles")
    return {
        "name": name,
        "grid": name.removesuffix("-day"),
        "hours": float(tables["periods"]["hours"].sum()),
        **{kind: tables[kind].height for kind in counted},
    }
