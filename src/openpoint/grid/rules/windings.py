"""Transformers that are one winding between two lines: a delta-delta of two phases, as in open-delta regulators.

Such a winding fixes the voltage between two phases only, so it feeds one phase; the other is its return. It is written
with both phases. Which one it feeds follows from the parallel branches between the same two buses: where one of them
joins phase b, a winding `ab` feeds a. Three windings ab, bc and ac alone are a closed delta and feed a, b and c.

Transformers of negative impedance, as the star of one with three windings may have it.

The AC power flow computes with them. Bounds of losses and flows rest on impedances that are not negative, so other
studies refuse them.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from openpoint.errors import InputError, Problem
from openpoint.grid.rules.rule import rows
from openpoint.grid.schemas import Tables

TWO_PHASES = ("ab", "ac", "bc")
_CLOSED_DELTA = {"ab": "ab", "bc": "bc", "ac": "ca"}

_Unit = tuple[str, str]  # name, phases


def line_windings(grid: Tables) -> dict[str, str]:
    """Per transformer that is one winding between two lines: the phase that it feeds and the phase of its return.

    Empty where the parallel branches do not determine them: its to side would float.
    """
    if "delta-delta" not in grid.transformers["connection"].to_list():
        return {}
    lone = (pl.col("connection") == "delta-delta") & pl.col("phases").is_in(TWO_PHASES)
    windings = grid.transformers.filter(lone)
    banks: dict[frozenset[str], list[_Unit]] = {}
    for name, fr, to, phases in rows(windings, "name", "from_bus", "to_bus", "phases"):
        banks.setdefault(frozenset((fr, to)), []).append((name, phases))
    held: dict[frozenset[str], str] = dict.fromkeys(banks, "")
    in_bank = set(windings["name"])
    for name, fr, to, phases in rows(grid.branches(), "name", "from_bus", "to_bus", "phases"):
        if name not in in_bank and frozenset((fr, to)) in held:
            held[frozenset((fr, to))] += phases
    result: dict[str, str] = {}
    for ends, units in banks.items():
        result |= _pairs(units, held[ends])
    return result


def _pairs(units: list[_Unit], held: str) -> dict[str, str]:
    """Phase fed and return phase of the windings of a bank; `held` are the phases that other branches join."""
    if not held and sorted(phases for _, phases in units) == sorted(_CLOSED_DELTA):
        return {name: _CLOSED_DELTA[phases] for name, phases in units}
    pairs: dict[str, str] = {}
    waiting = list(units)
    while waiting:
        ready = [unit for unit in waiting if any(p in held for p in unit[1])]
        if not ready:
            return pairs | {name: "" for name, _ in waiting}
        name, (one, other) = ready[0][0], tuple(ready[0][1])
        # Where both phases are joined already the winding closes a loop, which the wiring rules find.
        pairs[name] = one + other if other in held else other + one
        held += pairs[name][0]
        waiting.remove(ready[0])
    return pairs


SINGLE = ("a", "b", "c")
_SHIFTED = ("delta-wye", "wye-delta")
# Shifts may differ this much from 0 or 30 degrees (rounding of the file).
_DEGREE = 1e-9


def connection_faults(grid: Tables) -> Iterator[Problem]:
    """Deltas of a single phase, transformers whose windings do not fit their phases or shift."""
    for kind in ("loads", "generators", "capacitors"):
        for name, phases, connection in rows(grid.tables()[kind], "name", "phases", "connection"):
            if connection == "delta" and phases in SINGLE:
                message = f"a delta needs two or three phases, not {phases!r}"
                yield Problem(kind, name, "connection", message, "Name both phases, or write wye")
    yield from _transformer_faults(grid)


def _transformer_faults(grid: Tables) -> Iterator[Problem]:
    pairs = line_windings(grid)
    for name, phases, connection, shift in rows(grid.transformers, "name", "phases", "connection", "shift_degree"):
        if phases == "1":
            continue
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


_REMEDY = "Replace what it belongs to by transformers of two windings, or let a source feed the buses behind it"


def negative_doubts(grid: Tables) -> Iterator[Problem]:
    """Warnings: impedances that only the power flow computes with."""
    for name, column, value in _negative(grid):
        yield Problem("transformers", name, column, _message(value), _REMEDY, "warning")


def refuse_negative(grid: Tables) -> None:
    """Refuse them in a study whose bounds do not hold with them.

    Raises:
        InputError: naming each.
    """
    found = list(_negative(grid))
    if found:
        raise InputError(
            [Problem("transformers", name, column, _message(value), _REMEDY) for name, column, value in found]
        )


def _message(value: float) -> str:
    return f"{value:g} ohm is negative, with which only `openpoint powerflow` computes"


def _negative(grid: Tables) -> Iterator[tuple[str, str, float]]:
    """Name, column and value, of balanced grids; in a grid of phases it is a fault of its own."""
    for column in ("r_ohm", "x_ohm"):
        for name, phases, value in rows(grid.transformers, "name", "phases", column):
            if phases == "1" and value is not None and value < 0:
                yield name, column, value
