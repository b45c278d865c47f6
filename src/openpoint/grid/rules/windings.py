"""Transformers that are one winding between two lines: a delta-delta of two phases, as in open-delta regulators.

Such a winding fixes the voltage between two phases only, so it feeds one phase; the other is its return. It is written
with both phases. Which one it feeds follows from the parallel branches between the same two buses: where one of them
joins phase b, a winding `ab` feeds a. Three windings ab, bc and ac alone are a closed delta and feed a, b and c.
"""

from __future__ import annotations

import polars as pl

from openpoint.grid.rules.rows import rows
from openpoint.grid.schemas import Tables

TWO_PHASES = ("ab", "ac", "bc")
_CLOSED_DELTA = {"ab": "ab", "bc": "bc", "ac": "ca"}

_Unit = tuple[str, str]  # name, phases


def line_windings(grid: Tables) -> dict[str, str]:
    """Per transformer that is one winding between two lines: the phase that it feeds and the phase of its return.

    Empty where the parallel branches do not determine them: its to side would float.
    """
    lone = (pl.col("connection") == "delta-delta") & pl.col("phases").is_in(TWO_PHASES)
    windings = grid.transformers.filter(lone)
    if windings.is_empty():
        return {}
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
