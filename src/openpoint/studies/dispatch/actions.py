"""Actions: what to do to get from today's state to the answer."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from openpoint.results import columns as c
from openpoint.studies.dispatch.schema import ACTIONS

SAME_KVA = 0.01
"""Difference of outputs in kW or kvar up to which a generator keeps its output."""


def actions_table(switching: pl.DataFrame, devices: pl.DataFrame, generators: pl.DataFrame) -> pl.DataFrame:
    """What to do: generators, banks, voltages and taps are set; then switches close, then they open.

    Args:
        switching: the switching list. devices, generators: of a result.
    """
    rows = [*_set_points(generators), *_positions(devices)]
    for row in switching.iter_rows(named=True):
        state = ("open", "closed") if row["action"] == "close" else ("closed", "open")
        place = f"{row['from_bus']} – {row['to_bus']}" + (
            "" if row["open_end"] == "both" else f", {row['open_end']} end"
        )
        rows.append((row["action"], row["kind"], row["name"], place, "state", *state, ""))
    numbered = [(number, *row) for number, row in enumerate(rows, start=1)]
    return pl.DataFrame(numbered, schema=c.dtypes(ACTIONS), orient="row")


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
