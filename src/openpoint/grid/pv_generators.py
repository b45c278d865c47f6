"""Conversion of generators that hold the voltage of their bus (PV buses), for studies with given powers."""

from __future__ import annotations

from typing import Literal

import polars as pl

from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid

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
            remedy = 'Give q_min_kvar and q_max_kvar, or run it at today\'s output (--pv-as-pq, pv="pq")'
            raise InputError([Problem("generators", name, "q_min_kvar", message, remedy) for name in names])
    nothing = pl.lit(None, dtype=pl.Float64).alias("v_pu")
    return grid.with_tables(generators=grid.generators.with_columns(*columns, nothing))
