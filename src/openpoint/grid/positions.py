"""A grid with its tap changers and capacitor steps in other positions."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from openpoint.arrays import Ints
from openpoint.grid.grid import Grid


def positions_of(grid: Grid) -> tuple[Ints, Ints]:
    """(transformers) tap positions and (capacitors) steps switched on, today."""
    return grid.transformers["tap_pos"].to_numpy(), grid.capacitors["steps_on"].to_numpy()


def at_positions(grid: Grid, tap_pos: Ints, steps_on: Ints) -> Grid:
    """A copy with these tap positions and steps, in the order of the tables."""
    transformers = grid.transformers.with_columns(pl.Series("tap_pos", tap_pos, dtype=pl.Int64))
    capacitors = grid.capacitors.with_columns(pl.Series("steps_on", steps_on, dtype=pl.Int64))
    return replace(grid, transformers=transformers, capacitors=capacitors)
