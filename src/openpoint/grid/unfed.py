"""Pieces of a grid that nothing can feed: left out, and told."""

from __future__ import annotations

import numpy as np
import polars as pl

from openpoint.errors import Problem
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import out_of_reach
from openpoint.grid.schemas import BRANCH_TABLES

_SHOWN = 8


def without_unfed(grid: Grid) -> Grid:
    """The grid without the buses that no source reaches on any phase, even with every switchable branch closed.

    What is at them goes with them, and a note of the grid counts and names the pieces. Such pieces carry no current in
    any state. A bus of which some phases are reached stays whole.
    """
    pieces = out_of_reach(grid)
    if not pieces:
        return grid
    lost = [bus for piece in pieces for bus in piece]
    tables = {}
    for kind, frame in grid.tables().items():
        ends = ("from_bus", "to_bus") if kind in BRANCH_TABLES else ("name",) if kind == "buses" else ("bus",)
        tables[kind] = frame.filter(~pl.any_horizontal(pl.col(ends).is_in(lost)))
    load = float(np.sum(grid.loads["p_kw"].sum() - tables["loads"]["p_kw"].sum()))
    shown = ", ".join(piece[0] for piece in pieces[:_SHOWN])
    more = f" and {len(pieces) - _SHOWN} more" if len(pieces) > _SHOWN else ""
    first = "the piece" if len(pieces) == 1 else f"{len(pieces)} pieces"
    message = (
        f"{first} that nothing can feed, even with every switchable branch closed, {len(lost)} buses with loads of "
        f"{load:.3f} kW, left out (first buses: {shown}{more})"
    )
    remedy = "If it belongs to the grid, add or close a branch to it, or a source"
    note = Problem("buses", "", "", message, remedy, "warning")
    return Grid.from_tables(grid.name, tables, title=grid.title, source=grid.source, notes=(*grid.notes, note))
