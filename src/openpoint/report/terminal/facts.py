"""A grid in words: its size, its loads, its state today."""

from __future__ import annotations

import polars as pl

from openpoint.grid.devices import kvar_today
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import LOOPS_SHOWN, Mesh, is_radial_today, meshes, points_to_open, to_decide
from openpoint.report.terminal import words


def facts(grid: Grid, *, sound: bool) -> list[tuple[str, str]]:
    """What a grid is and how it stands today, each fact with its name; `sound`: whether it has no faults."""
    table = grid.branches()
    found = meshes(grid)[:LOOPS_SHOWN]
    pairs = [
        ("title", grid.title),
        ("source", grid.source),
        ("voltage levels", ", ".join(f"{kv:g} kV" for kv in sorted(grid.buses["vn_kv"].unique(), reverse=True))),
        ("phases", ", ".join(sorted(grid.buses["phases"].unique()))),
        *((kind, str(frame.height)) for kind, frame in grid.tables().items() if frame.height),
        ("sources at", words.names(grid.sources["bus"])),
        ("load", _load(grid)),
        ("generation", _power(grid.generators) if grid.generators.height else ""),
        ("capacitors on", f"{_switched_on(grid):.1f} kvar" if grid.capacitors.height and sound else ""),
        ("may be set", _may_be_set(grid)),
        ("switchable branches", f"{table['switchable'].sum()} of {table.height}"),
        ("to be open", f"{words.count(points_to_open(grid), 'branch', 'branches')}, to be radial"),
        *(_to_decide(grid) if sound else ()),
        ("open today", f"{(~table['closed']).sum()}: {words.names(table.filter(~table['closed'])['name'])}"),
        ("radial today", "yes" if is_radial_today(grid) else "no"),
        *(("stays closed" if mesh.is_held else "meshed today", _in_words(mesh)) for mesh in found),
        *(("note", note) for note in grid.figure_notes),
    ]
    return [(key, value) for key, value in pairs if value]


def _to_decide(grid: Grid) -> list[tuple[str, str]]:
    """How many branches a study decides about, or why about none; and switches that lead nowhere."""
    found, switchable = to_decide(grid), int(grid.branches()["switchable"].sum())
    text = (
        f"{words.count(len(found.branches), 'branch', 'branches')}, the others are the only way to what is behind them"
    )
    if len(found.branches) == switchable:
        text = f"all {switchable} switchable branches"
    if not found.branches:
        text = "nothing: each switchable branch is the only way to what is behind it, so that there is one radial state"
    if not switchable:
        text = "nothing: no branch is switchable. --switchable NAMES of a study gives branches to the choice"
    nowhere = f"{words.names(found.idle)}: no load, generator or capacitor is behind" if found.idle else ""
    return [("to decide", text), ("leads nowhere", nowhere)]


def _in_words(mesh: Mesh) -> str:
    """A loop of today and the way to open it."""
    return f"{mesh}, of which no branch is switchable" if mesh.is_held else f"{mesh}. {mesh.remedy}"


def size(grid: Grid) -> str:
    """The size of a grid in a line."""
    branches = grid.branches()
    return ", ".join(
        [
            words.count(grid.buses.height, "bus", "buses"),
            f"{words.count(branches.height, 'branch', 'branches')} ({branches['switchable'].sum()} switchable)",
            words.count(grid.sources.height, "source"),
            f"{points_to_open(grid)} to be open",
            f"load {_load(grid)}",
        ]
    )


def _switched_on(grid: Grid) -> float:
    return sum(kvar_today(row) for row in grid.capacitors.iter_rows(named=True))


def _may_be_set(grid: Grid) -> str:
    """How many devices a decision may set beside switches."""
    has_taps = (pl.col("tap_min") < pl.col("tap_max")) & (pl.col("tap_step_percent") != 0)
    counts = (
        (grid.transformers.filter(pl.col("controllable") & has_taps), "tap changer", "tap changers"),
        (grid.sources.filter(pl.col("v_step_pu").is_not_null()), "voltage of a source", "voltages of sources"),
        (grid.capacitors.filter(pl.col("controllable") & (pl.col("q_kvar") != 0.0)), "capacitor", "capacitors"),
        (grid.generators.filter("may_stop"), "generator that may stop", "generators that may stop"),
    )
    return ", ".join(words.count(rows.height, one, many) for rows, one, many in counts if rows.height)


def _load(grid: Grid) -> str:
    return _power(grid.loads) if grid.loads.height else "none: the table loads has no rows"


def _power(frame: pl.DataFrame) -> str:
    return f"{frame['p_kw'].sum():.1f} kW + {frame['q_kvar'].sum():.1f} kvar"
