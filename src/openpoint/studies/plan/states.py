"""The states between which a plan leads, as a user names them: a grid, a result, or the branches that are open."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from openpoint.arguments import Names, names_of
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid import files
from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import LOOPS_SHOWN, meshes, unsupplied
from openpoint.grid.unfed import without_idle
from openpoint.inputs import content_of, json_of
from openpoint.io import GridLike, read
from openpoint.io.text import decode

State = GridLike | Names
"""A grid in this state; the JSON file of a result, whose open points count; or the names of the open branches."""
NONE = "none"
"""The state in which no branch is open."""
SHOWN = 10
_OBJECTIVES = ("objective", "objective_kw", "objective_usd")
"""Keys of results, one in each; null where there is no answer."""


def in_state(grid: Grid, state: State, which: str) -> Grid:
    """The grid in another state of its branches.

    Args:
        grid: the grid. state: text is the path of a grid or of a result, else the names of the open branches, separated
            by commas, or `none`, else a built-in case. which: the argument, for messages.

    Raises:
        InputError: a file that cannot be read, or whose branches are others; a name that is no branch.
        OptionError: something else than a state.
    """
    if isinstance(state, Grid):
        return _as_in(grid, state, which)
    if isinstance(state, str | os.PathLike):
        path = Path(state)
        if path.is_file() and path.suffix.lower() == ".json" and (found := _open_in_result(path, which)) is not None:
            return _with_open(grid, found, which)
        if path.exists() or not isinstance(state, str):
            return _as_in(grid, read(state), which)
        return _named(grid, state, which)
    return _with_open(grid, names_of(state, which), which)


def fed(grid: Grid) -> Grid:
    """A grid of any phases without what stays dark, as `reconfigure` leaves it.

    Raises:
        InputError: the grid has faults.
    """
    return without_idle(grid.check()) if has_phases(grid) else grid


def check_state(grid: Grid, which: str) -> None:
    """Refuse a state that is not radial, but for meshes that stay closed.

    Raises:
        InputError: naming the loops and the buses without supply.
    """
    remedy = "Open one of these branches in this state"
    problems = [
        Problem("branches", mesh.names[0], "", f"{which}: not radial, {mesh}", remedy)
        for mesh in meshes(grid)
        if not mesh.is_held
    ][:LOOPS_SHOWN]
    if dark := unsupplied(grid):
        message = f"{which}: no source reaches them"
        problems.append(Problem("buses", ", ".join(dark[:SHOWN]), "", message, "Close a branch to them in this state"))
    if problems:
        raise InputError(problems)


def _named(grid: Grid, text: str, which: str) -> Grid:
    known = set(grid.branches()["name"])
    parts = [text] if text in known else [part.strip() for part in text.split(",")]
    if text == NONE and text not in known:
        parts = []
    if text in files.names() and not known.issuperset(parts):
        return _as_in(grid, read(text), which)
    return _with_open(grid, parts, which)


def _with_open(grid: Grid, names: Iterable[str], which: str) -> Grid:
    known, wanted = grid.branches()["name"].to_list(), set(names)
    unknown = sorted(wanted.difference(known))
    if unknown:
        remedy = "Name open branches of this grid, a grid file or folder, or the JSON file of a result"
        message = "no branch of this grid, and no file"
        raise InputError([Problem("branches", name, which, message, remedy) for name in unknown])
    return grid.with_closed({name: name not in wanted for name in known})


def _as_in(grid: Grid, other: Grid, which: str) -> Grid:
    """The grid with the states of another one of the same branches."""
    closed = dict(fed(other).branches().select("name", "closed").iter_rows())
    own = set(grid.branches()["name"])
    remedy = "Give the same grid in another state, or the names of its open branches"
    problems = [
        Problem("branches", ", ".join(sorted(some)[:SHOWN]), which, message, remedy)
        for some, message in (
            (own.difference(closed), "branches of the grid that are not in this state"),
            (set(closed).difference(own), "branches of this state that are not in the grid"),
        )
        if some
    ]
    if problems:
        raise InputError(problems)
    return grid.with_closed(closed)


def _open_in_result(path: Path, which: str) -> list[str] | None:
    """The open branches in the JSON file of a result; None where the file is none."""
    try:
        document = json_of(decode(content_of(path), path.name), path.name, "")
    except InputError:
        return None  # `read` says what is wrong
    if not isinstance(document, dict) or "study" not in document:
        return None
    found = document.get("open_branches")
    if "points" in document:
        raise OptionError(
            f"{which}: {path} is a front, which has many states; choose one of its points, and name the branches that "
            "are open there (`open_branches` of the point), separated by commas"
        )
    if document["study"] == "reconfigure-seasons":
        raise OptionError(
            f"{which}: {path} has open points for every block of a year; choose a block, and name the branches that "
            "are open in it (`open_branches` of the block), separated by commas"
        )
    if document.get("topology") == "hourly":
        raise OptionError(
            f"{which}: {path} is the plan of a day whose open points are decided for every period; choose a period, "
            "and name the branches that are open then (`open_points` of the period), separated by commas"
        )
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise OptionError(f"{which}: {path} is the result of a study without open points; give another state")
    if not found and any(document.get(key, 0.0) is None for key in _OBJECTIVES):
        why = f" ({document['termination']})" if "termination" in document else ""
        raise OptionError(f"{which}: {path} is the result of a run without an answer{why}; give another state")
    return found
