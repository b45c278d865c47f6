"""The built-in cases: published test grids in the units of their publications.

Each is a folder of the own format beside this file. Every branch of the balanced grids is switchable, as in the
literature on minimum-loss reconfiguration, and closed as published before it; `zhang13` has its ties by choice. The
grids of three phases, `ieee…`, have the switches of their publication. Two have devices that a decision may set:
`khodr70` those of its publication, with assumptions in its notes where that says nothing, and `baran33-devices` some of
every kind, by choice.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

import polars as pl

from openpoint.errors import OptionError
from openpoint.grid.files import HEAD, grid_from_files
from openpoint.grid.grid import Grid

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
