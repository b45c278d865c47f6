"""Actions: what to do to get from today's state to the answer."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import polars as pl

from openpoint.arrays import Bools
from openpoint.graph import energised, exchange_order, is_radial
from openpoint.grid.grid import Grid
from openpoint.results import columns as c
from openpoint.studies.dispatch.schema import ACTIONS

SAME_KVA = 0.01
"""Difference of outputs in kW or kvar up to which a generator keeps its output."""


def actions_table(
    grid: Grid,
    open_after: Collection[str],
    switching: pl.DataFrame,
    devices: pl.DataFrame,
    generators: pl.DataFrame,
) -> pl.DataFrame:
    """What to do: generators, banks, voltages and taps are set; then switches close and open in turns.

    Every closing is followed by the opening that makes the grid radial again (`openpoint.graph.exchange_order`).

    Args:
        grid: the grid today. open_after: branches that are open in the answer.
        switching: the switching list. devices, generators: of a result.
    """
    rows = [(*row, "") for row in (*_set_points(generators), *_positions(devices))]
    described = {row["name"]: row for row in switching.iter_rows(named=True)}
    for name, then in _in_order(grid, open_after) if described else ():
        row = described[name]
        state = ("open", "closed") if row["action"] == "close" else ("closed", "open")
        place = f"{row['from_bus']} – {row['to_bus']}" + (
            "" if row["open_end"] == "both" else f", {row['open_end']} end"
        )
        rows.append((row["action"], row["kind"], row["name"], place, "state", *state, "", then))
    numbered = [(number, *row) for number, row in enumerate(rows, start=1)]
    return c.frame(ACTIONS, numbered)


def _in_order(grid: Grid, open_after: Collection[str]) -> Iterator[tuple[str, str]]:
    """The branches to be switched in order, and what the grid is after each: an option of `then` in `ACTIONS`."""
    branches = grid.branches()
    number = {bus: k for k, bus in enumerate(grid.buses["name"])}
    fr, to = (np.array([number[bus] for bus in branches[end]], dtype=np.int64) for end in ("from_bus", "to_bus"))
    sources = np.unique([number[bus] for bus in grid.sources["bus"]])
    names, closed = branches["name"].to_list(), branches["closed"].to_numpy().copy()
    after = np.array([name not in open_after for name in names], dtype=np.bool_)

    def in_words(closed: Bools) -> str:
        if not energised(len(number), fr, to, closed, sources).all():
            return "dead buses"
        return "radial" if is_radial(len(number), fr, to, closed, sources) else "loop"

    for e in exchange_order(len(number), fr, to, closed, after, sources):
        closed[e] = not closed[e]
        yield names[e], in_words(closed)


def _positions(devices: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    for row in devices.iter_rows(named=True):
        if row["answer"] is None or row["answer"] == row["today"] or row["kind"] == "generator":
            continue
        digits = 4 if row["unit"] else 0
        values = [f"{row[when]:.{digits}f}" for when in ("today", "answer")]
        yield "set", row["kind"], row["name"], row["place"], row["quantity"], *values, row["unit"]


def _set_points(generators: pl.DataFrame) -> Iterator[tuple[str, ...]]:
    for row in generators.iter_rows(named=True):
        if row["on_after"] is None:
            continue
        who = "generator", row["name"], row["bus"]
        if row["on_before"] != row["on_after"]:
            words = ["on" if row[when] else "off" for when in ("on_before", "on_after")]
            yield "start" if row["on_after"] else "stop", *who, "on", *words, ""
        if not row["on_after"]:
            continue
        for name, quantity, unit in (("p", "active power", "kW"), ("q", "reactive power", "kvar")):
            ending = "kw" if name == "p" else "kvar"
            before, after = row[f"{name}_before_{ending}"], row[f"{name}_after_{ending}"]
            if abs(after - before) > SAME_KVA:
                yield "set", *who, quantity, f"{before:.2f}", f"{after:.2f}", unit
