"""Devices of a grid as tables: what banks feed in, positions of taps and steps, generators that hold a voltage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import polars as pl

from openpoint.arrays import Ints
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid


def kvar_by_steps(row: Mapping[str, Any]) -> list[float]:
    """Reactive power at nominal voltage with 0, 1, … steps on."""
    if row["levels_kvar"]:
        return [0.0, *row["levels_kvar"]]
    return [row["q_kvar"] * k / row["steps"] for k in range(row["steps"] + 1)]


def kvar_today(row: Mapping[str, Any]) -> float:
    """Reactive power at nominal voltage of the steps that are on today."""
    if row["levels_kvar"]:
        return kvar_by_steps(row)[int(row["steps_on"])]
    return float(row["q_kvar"] * row["steps_on"] / row["steps"])


def positions_of(grid: Grid) -> tuple[Ints, Ints]:
    """(transformers) tap positions and (capacitors) steps switched on, today."""
    return grid.transformers["tap_pos"].to_numpy(), grid.capacitors["steps_on"].to_numpy()


def at_positions(grid: Grid, tap_pos: Ints, steps_on: Ints) -> Grid:
    """A copy with these tap positions and steps, in the order of the tables."""
    transformers = grid.transformers.with_columns(pl.Series("tap_pos", tap_pos, dtype=pl.Int64))
    capacitors = grid.capacitors.with_columns(pl.Series("steps_on", steps_on, dtype=pl.Int64))
    return replace(grid, transformers=transformers, capacitors=capacitors)


Held = Literal["hold", "pq", "free"]
"""Generators that hold a voltage: keep it, run at today's output, or have free reactive power within its limits."""
HELD: tuple[Held, ...] = ("hold", "pq", "free")
_LIMITS = ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")


def with_held(grid: Grid, held: Held) -> Grid:
    """The grid with its generators that hold a voltage converted.

    Raises:
        OptionError: another word than those of `Held`.
        InputError: reactive power that is to be free has no limits.
    """
    if held not in HELD:
        raise OptionError(f"pv is {held!r}; give one of {', '.join(map(repr, HELD))}")
    own = pl.col("v_pu").is_not_null()
    if held == "hold" or not grid.generators.select(own.any()).item():
        return grid
    if held == "pq":
        columns = [pl.when(~own).then(name).alias(name) for name in _LIMITS]
        columns.append(pl.col("may_stop") & ~own)
    else:
        columns = []
        open_ended = own & pl.any_horizontal(pl.col("q_min_kvar", "q_max_kvar").is_null())
        if names := grid.generators.filter(open_ended)["name"].to_list():
            message = "its reactive power is to be free, and has no limits on both sides"
            remedy = 'Give q_min_kvar and q_max_kvar, or run it at today\'s output (--pv pq, pv="pq")'
            raise InputError([Problem("generators", name, "q_min_kvar", message, remedy) for name in names])
    nothing = pl.lit(None, dtype=pl.Float64).alias("v_pu")
    return grid.with_tables(generators=grid.generators.with_columns(*columns, nothing))
