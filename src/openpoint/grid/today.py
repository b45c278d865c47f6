"""Today's state: which branches a caller gives to the choice, and why the state may have no power flow."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator

import polars as pl

from openpoint.errors import InputError, Problem
from openpoint.grid.grid import Grid, refuse_locked
from openpoint.grid.rules.wiring import LOOPS_SHOWN, Mesh, meshes, unsupplied

LOCKED_SHOWN = 10
"""Locked branches that a note names."""
MAY_STAY = (
    "Loops of couplers and of parallel branches that have one ratio stay closed as they are; `openpoint powerflow` "
    "solves any"
)


def as_asked(grid: Grid, switchable: Iterable[str], locked_open: Iterable[str], locked_closed: Iterable[str]) -> Grid:
    """The grid with what is asked for by name given to the choice.

    Transformers are not switchable unless the grid says so: to lock one in another state than today's is to ask for
    it. A line or switch that is not switchable was marked so, and must be named by `switchable`. What has a
    `locked_reason` keeps its state, whatever is asked: to name it is an error, a pattern leaves it out.

    Args:
        grid: the grid. switchable: branches to be chosen about, by name or by a pattern such as `CB*` that names match.
        locked_open, locked_closed: branches that are locked.

    Raises:
        InputError: a name of `switchable` that is no branch, a pattern that none matches, or a branch to be operated
            that has a `locked_reason`.
    """
    wanted = {True: set(locked_open), False: set(locked_closed)}
    states = list(grid.branches().select("kind", "name", "switchable", "closed").iter_rows())
    operated = {name: kind for kind, name, may, closed in states if not may and name in wanted[closed]}
    refuse_locked(grid, operated)
    asked = {name for name, kind in operated.items() if kind == "transformers"}
    asked.update(named(grid, switchable))
    return grid.with_switchable(asked) if asked else grid


def with_outputs_as_given(grid: Grid) -> tuple[Grid, tuple[str, ...]]:
    """The grid with generators that keep their output, and a note where any could have another one."""
    limits = ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")
    if not grid.generators.select(pl.any_horizontal(pl.col(limits).is_not_null()).any()).item():
        return grid, ()
    none = {name: pl.lit(None, pl.Float64) for name in (*limits, "s_max_kva")}
    fixed = grid.generators.with_columns(may_stop=pl.lit(False), **none)
    note = "generators keep the output that they have, today's or that of a profile; their limits are not used"
    return grid.with_tables(generators=fixed), (note,)


def named(grid: Grid, given: Iterable[str]) -> Iterator[str]:
    """The branches in texts: each is a name or a pattern such as `CB*`, or several with commas between.

    A pattern leaves out what has a `locked_reason`; what names no branch is given back as it is.
    """
    locked = dict(grid.branches().select("name", pl.col("locked_reason") != "").iter_rows())
    for text in given:
        for part in [text] if text in locked else [part.strip() for part in text.split(",")]:
            found = [part] if part in locked else fnmatch.filter(locked, part)
            yield from [name for name in found if not locked[name]] or found or [part]


def refuse_locked_meshes(grid: Grid, held: Iterable[str]) -> None:
    """Refuse loops, and ways between sources, of branches that must be closed.

    Args:
        grid: the grid. held: names of the branches that must be closed.

    Raises:
        InputError: naming each.
    """
    kept = set(held)
    found = meshes(grid.with_closed({name: name in kept for name in grid.branches()["name"]}))
    if found:
        raise InputError([_held_problem(mesh) for mesh in found[:LOOPS_SHOWN]])


def _held_problem(mesh: Mesh) -> Problem:
    message = "locked closed, they form a loop"
    if mesh.sources:
        message = f"locked closed, they join two sources, {' and '.join(map(repr, mesh.sources))}"
    if mesh.is_fixed:
        message = message.replace("locked closed", "closed and not switchable")
    remedy = mesh.remedy if mesh.is_fixed else "Release one of them, or open it"
    if mesh.is_held:
        remedy += f". {MAY_STAY}"
    return Problem("branches", ", ".join(mesh.names), "", message, remedy)


def why_no_loss(grid: Grid, where: str = "") -> str:
    """Why today's state has no loss to compare with, as a note; `where` says in which cases it has no solution."""
    if dark := unsupplied(grid):
        more = f" and {len(dark) - 10} more" if len(dark) > 10 else ""
        return f"no loss before: in today's state no source reaches the buses {', '.join(dark[:10])}{more}"
    if loops := loops_today(grid):
        return f"no loss before: today's state is meshed, and the loss is that of radial states ({loops})"
    return f"no loss before: the power flow of today's state has no solution{where}"


def locked_note(grid: Grid) -> tuple[str, ...]:
    """The branches that keep their state because they are locked, with their reasons, as a note; none where none is."""
    rows = grid.branches().filter(pl.col("locked_reason") != "").select("name", "closed", "locked_reason").rows()
    texts = [f"{name} {'closed' if closed else 'open'} ({why})" for name, closed, why in rows]
    more = f" and {len(texts) - LOCKED_SHOWN} more" if len(texts) > LOCKED_SHOWN else ""
    return (f"locked as today: {', '.join(texts[:LOCKED_SHOWN])}{more}",) if texts else ()


def loops_today(grid: Grid) -> str:
    """The loops and joined sources of today's state that do not stay closed, in words; empty where there is none."""
    found = [mesh for mesh in meshes(grid) if not mesh.is_held]
    more = f"; and {len(found) - LOOPS_SHOWN} more" if len(found) > LOOPS_SHOWN else ""
    return "; ".join(str(mesh) for mesh in found[:LOOPS_SHOWN]) + more
