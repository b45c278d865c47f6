"""Rules for generators that hold the voltage of their bus (`v_pu`)."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from openpoint.errors import InputError, Problem
from openpoint.grid.schemas import Tables

OFFER = (
    'Run it at today\'s output (--pv-as-pq, in Python read(path, pv="pq")), or choose its reactive power within its '
    'limits (--free-q, pv="free"), with reconfigure, or with convert for all studies; powerflow holds the voltage'
)


def held_faults(grid: Tables) -> Iterator[Problem]:
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


def refuse_held(grid: Tables) -> None:
    """Refuse generators that hold a voltage, in a study that computes with given powers.

    Raises:
        InputError: naming them, and how else they can be run.
    """
    names = grid.generators.filter(pl.col("v_pu").is_not_null())["name"].to_list()
    if names:
        message = "it holds the voltage of its bus, which is not done here"
        raise InputError([Problem("generators", name, "v_pu", message, OFFER) for name in names])
