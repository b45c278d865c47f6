"""Which phases a connection can have: faults of deltas, of shifts, and of windings between two lines."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from openpoint.errors import Problem
from openpoint.grid.rules.rows import rows
from openpoint.grid.rules.windings import TWO_PHASES, line_windings
from openpoint.grid.schemas import Tables

SINGLE = ("a", "b", "c")
_SHIFTED = ("delta-wye", "wye-delta")
# Shifts may differ this much from 0 or 30 degrees (rounding of the file).
_DEGREE = 1e-9


def connection_faults(grid: Tables) -> Iterator[Problem]:
    """Deltas of a single phase, transformers whose windings do not fit their phases or shift."""
    single = (pl.col("connection") == "delta") & pl.col("phases").is_in(SINGLE)
    for kind in ("loads", "generators", "capacitors"):
        for name, phases in rows(grid.tables()[kind].filter(single), "name", "phases"):
            message = f"a delta needs two or three phases, not {phases!r}"
            yield Problem(kind, name, "connection", message, "Name both phases, or write wye")
    yield from _transformer_faults(grid)


def _transformer_faults(grid: Tables) -> Iterator[Problem]:
    pairs = line_windings(grid)
    lettered = grid.transformers.filter(pl.col("phases") != "1")
    for name, phases, connection, shift in rows(lettered, "name", "phases", "connection", "shift_degree"):
        if "delta" in connection and phases in SINGLE:
            message = f"a delta needs two or three phases, not {phases!r}"
            yield Problem("transformers", name, "connection", message, "Name both phases, or write wye-wye")
        elif connection in _SHIFTED and phases in TWO_PHASES:
            message = f"a {connection} transformer has three phases, not {phases!r}"
            yield Problem("transformers", name, "phases", message, "Give three phases, or another connection")
        elif pairs.get(name) == "":
            message = f"no branch beside this winding joins one of the phases {phases!r}, so that its to side floats"
            remedy = "Add the branch that joins the common phase at both buses, or the third winding of the delta"
            yield Problem("transformers", name, "phases", message, remedy)
        if connection in _SHIFTED and abs(abs(shift) - 30.0) > _DEGREE:
            message = f"{shift:g} degree is no shift of a {connection} transformer"
            yield Problem("transformers", name, "shift_degree", message, "Write 30 (from leads to) or -30")
        elif connection not in _SHIFTED and abs(shift) > _DEGREE:
            message = f"{shift:g} degree is no shift of a {connection} transformer of phases {phases!r}"
            yield Problem("transformers", name, "shift_degree", message, "Write 0, or a connection of wye and delta")
