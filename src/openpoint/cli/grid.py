"""The grid that a command is asked about: read, checked, shown, converted. Commands return the exit code."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openpoint import io
from openpoint.cli.display import console, show_frame, show_pairs
from openpoint.cli.guard import BAD_INPUT, FaultyGridError, show_problems
from openpoint.cli.places import Place, check_places
from openpoint.errors import Alike, InputError, OpenpointError, Problem, grouped
from openpoint.grid.balanced import balanced_equivalent
from openpoint.grid.rules.wiring import mesh_doubts
from openpoint.grid.schemas import BRANCH_TABLES
from openpoint.grid.today import as_asked
from openpoint.report.terminal import words
from openpoint.report.terminal.facts import facts

if TYPE_CHECKING:
    from openpoint.grid import Grid
    from openpoint.grid.devices import Held

_LOG = logging.getLogger(__name__)

# Lines of doubts before a run, and of faults and doubts by `openpoint check`, which has --all.
WARNINGS_SHOWN = 10
CHECK_SHOWN = 50


def info(source: str, *, branches: bool) -> int:
    """Show the size of a grid, its loads and its state today, or its branches."""
    out = console()
    grid = _read(source)
    problems = grid.problems()
    sound = all(problem.severity != "error" for problem in problems)
    _show_doubts(problems, but=mesh_doubts(grid))
    table = grid.branches()
    if branches:
        show_frame(out, table)
        return 0
    show_pairs(out, grid.name, facts(grid, sound=sound))
    return 0


def check(source: str, *, every: bool) -> int:
    """List the faults and doubts of a grid; `every`: a line each, else alike ones together."""
    out = console()
    try:
        grid = io.read(source)
        problems = grid.problems()
    except InputError as error:
        problems = list(error.problems)
    lines = [Alike((problem,)) for problem in problems] if every else grouped(problems)
    shown = lines if every else lines[:CHECK_SHOWN]
    for alike in shown:
        out.print(f"{alike.severity}: {words.safe(str(alike))}")
    if len(shown) < len(lines):
        out.print(f"{lines[len(shown)].severity}: {len(lines) - len(shown)} more lines; --all shows every one")
    errors = sum(problem.severity == "error" for problem in problems)
    out.print(f"{words.count(errors, 'error')}, {words.count(len(problems) - errors, 'warning')}")
    return BAD_INPUT if errors else 0


def convert(
    source: str,
    path: str,
    tables: Any,
    switchable: Sequence[str],
    reads: Mapping[str, Any],
    *,
    balanced: bool,
    force: bool,
) -> int:
    """Write a grid as a folder of tables, a faulty one too, since there it can be mended; or as an OpenDSS circuit."""
    read = [Path(text) for text in (source, reads["geojson"]) if text is not None and Path(text).exists()]
    check_places([Place("", Path(path), endings=None, replaces=False)], read, force=force)
    grid = as_asked(_read(source, **reads), switchable, (), ())
    made = balanced_equivalent(grid) if balanced else grid
    _show_doubts(made.problems())
    io.write(made, path, tables=tables)
    if made is not grid:
        _show_unbalance(grid, made)
    if reads["geojson"] is not None:
        _show_map(made)
    what = ", a folder of tables" if Path(path).is_dir() else ""
    console().print(f"written: {words.safe(path)}{what}")
    return 0


def _show_map(grid: Grid) -> None:
    """How much of a grid has coordinates and routes."""
    known = int((grid.buses["x"].is_not_null() & grid.buses["y"].is_not_null()).sum())
    routes = sum(int((grid.tables()[kind]["route"].list.len() > 0).sum()) for kind in BRANCH_TABLES)
    branches = f"{routes} of {words.count(grid.branches().height, 'branch', 'branches')} with a route, others straight"
    console().print(f"map: {known} of {words.count(grid.buses.height, 'bus', 'buses')} with coordinates, {branches}")


def _show_unbalance(grid: Grid, made: Grid) -> None:
    """Today's loss and lowest voltage of a grid and of its balanced equivalent."""
    from openpoint.studies.powerflow.study import run_powerflow

    for name, each in (("with its phases", grid), ("balanced", made)):
        try:
            found = run_powerflow(each)
            figures = f"loss {found.loss_kw:.3f} kW, lowest voltage {found.v_min_pu:.5f} pu"
        except OpenpointError as error:
            figures = str(error)
        console().print(f"today, {name}: {words.safe(figures)}")


def cases() -> int:
    """List the built-in grids."""
    from openpoint.grid import files

    show_frame(console(), files.cases().drop("source"))  # long; `info` shows it
    return 0


def read_sound(source: str, *, geojson: Path | None = None, pv: Held = "hold") -> Grid:
    """The grid, its doubts shown but for two kinds: loops of today, which each study handles in its own way, and what
    changes the meaning of figures, which stands beside the figures as a note.

    Raises:
        InputError: it cannot be read, or has faults.
    """
    _LOG.info("loaded the libraries")
    grid = _read(source, geojson, pv)
    _LOG.info("read the grid")
    problems = grid.problems()
    _LOG.info("checked the grid")
    _show_doubts(problems, but=(*mesh_doubts(grid), *(problem for problem in problems if problem.changes_figures)))
    if faults := [problem for problem in problems if problem.severity == "error"]:
        raise FaultyGridError(faults)
    return grid


def _read(source: str, geojson: Path | None = None, pv: Held = "hold") -> Grid:
    """The grid as it stands in its file.

    Raises:
        FaultyGridError: it cannot be read.
    """
    try:
        return io.read(source, pv=pv, geojson=geojson)
    except InputError as error:
        raise FaultyGridError(error.problems) from error


def _show_doubts(problems: list[Problem], but: Iterable[Problem] = ()) -> None:
    left_out = set(but)
    doubts = [problem for problem in problems if problem.severity == "warning" and problem not in left_out]
    show_problems(doubts, WARNINGS_SHOWN)
