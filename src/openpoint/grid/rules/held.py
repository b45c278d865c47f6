"""Generators that hold the voltage of their bus (`v_pu`): what they may be, and how else they can be run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import polars as pl

from openpoint.errors import InputError, OptionError, Problem

if TYPE_CHECKING:
    from openpoint.grid.grid import Grid

Held = Literal["hold", "pq", "free"]
"""What becomes of generators that hold a voltage: they do; they run at today's output; their reactive power is free."""
HELD: tuple[Held, ...] = ("hold", "pq", "free")
OFFER = (
    'Run it at today\'s output (--pv-as-pq, in Python read(path, pv="pq")), or choose its reactive power within its '
    'limits (--free-q, pv="free"), with reconfigure, or with convert for all studies; powerflow holds the voltage'
)
LIMITS = ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")


def held_faults(grid: Grid) -> Iterator[Problem]:
    """Voltages that cannot be held: at the bus of a source, of several phases, or two at one bus."""
    rows = grid.generators.filter(pl.col("v_pu").is_not_null()).select("name", "bus", "phases", "v_pu")
    sources = set(grid.sources["bus"])
    level: dict[str, tuple[str, float]] = {}
    for name, bus, phases, v in rows.iter_rows():
        if phases != "1":
            message, remedy = "generators hold voltages in balanced grids only", 'Leave v_pu empty, or use phases "1"'
            yield Problem("generators", name, "v_pu", message, remedy)
        elif bus in sources:
            message = f"a source holds the voltage of bus {bus!r} already"
            yield Problem("generators", name, "v_pu", message, "Leave v_pu empty")
        elif level.setdefault(bus, (name, v))[1] != v:
            other, held = level[bus]
            message = f"{v:g} pu, but {other} holds the same bus at {held:g} pu"
            yield Problem("generators", name, "v_pu", message, "Give both the same voltage, or leave one empty")


def with_held(grid: Grid, held: Held) -> Grid:
    """The grid with its generators that hold a voltage run in another way.

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
        columns = [pl.when(~own).then(name).alias(name) for name in LIMITS]
    else:
        columns = []
        open_ended = own & pl.any_horizontal(pl.col("q_min_kvar", "q_max_kvar").is_null())
        if names := grid.generators.filter(open_ended)["name"].to_list():
            message = "its reactive power is to be free, and has no limits on both sides"
            remedy = 'Give q_min_kvar and q_max_kvar, or run it at today\'s output (--pv-as-pq, pv="pq")'
            raise InputError([Problem("generators", name, "q_min_kvar", message, remedy) for name in names])
    nothing = pl.lit(None, dtype=pl.Float64).alias("v_pu")
    return grid.with_tables(generators=grid.generators.with_columns(*columns, nothing))


def refuse_held(grid: Grid) -> None:
    """Refuse generators that hold a voltage, in a study that computes with given powers.

    Raises:
        InputError: naming them, and how else they can be run.
    """
    names = grid.generators.filter(pl.col("v_pu").is_not_null())["name"].to_list()
    if names:
        message = "it holds the voltage of its bus, which is not done here"
        raise InputError([Problem("generators", name, "v_pu", message, OFFER) for name in names])
