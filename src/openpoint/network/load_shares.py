"""Load shares: matrices from loads by name to terminals and pairs of terminals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.grid.grid import Grid

DELTA_PAIRS = {"ab": ("ab",), "bc": ("bc",), "ac": ("ca",), "abc": ("ab", "bc", "ca")}
# Which of power, current and impedance is constant, for the active and the reactive part of each load model.
PARTS = {model: (model, model) for model in ("power", "current", "impedance")} | {"cvr": ("current", "impedance")}

Terminals = dict[tuple[str, str], int]
Pairs = dict[tuple[int, int], int]


@dataclass(frozen=True)
class LoadShares:
    """Per-unit load at the N terminals and D pairs of a Network for one kVA of each of L loads.

    `wye @ s` and `delta @ s` of complex powers s in kVA of the loads of one model give the arrays of that model.

    Attributes:
        names: of the loads, in the order of the table. p_models, q_models: power, current or impedance.
        wye: (N, L). delta: (D, L), pairs as in `Network.delta`.
    """

    names: tuple[str, ...]
    p_models: tuple[str, ...]
    q_models: tuple[str, ...]
    wye: sp.csr_array
    delta: sp.csr_array


def load_shares(grid: Grid) -> LoadShares:
    """The shares of the loads of a sound grid; phases share the power of a load equally."""
    wye, delta = power_shares(grid, grid.loads)
    return LoadShares(
        names=tuple(grid.loads["name"]),
        p_models=tuple(PARTS[model][0] for model in grid.loads["model"]),
        q_models=tuple(PARTS[model][1] for model in grid.loads["model"]),
        wye=wye,
        delta=delta,
    )


def power_shares(grid: Grid, table: pl.DataFrame) -> tuple[sp.csr_array, sp.csr_array]:
    """(N, rows) and (D, rows) per-unit power at terminals and between them for one kVA of each load or generator."""
    terminal, pair = terminals(grid), delta_pairs(grid)
    base = 1.0 / power_base_kva(grid)
    wye: list[tuple[int, int, float]] = []
    delta: list[tuple[int, int, float]] = []
    for k, (bus, phases, connection) in enumerate(_rows(table)):
        if is_delta(connection, phases):
            found = [pair[ends] for ends in pairs_at(terminal, bus, phases)]
            delta += [(row, k, 3.0 * base / len(found)) for row in found]
        else:
            per_phase = base * phase_bases(phases) / len(phases)
            wye += [(terminal[bus, phase], k, per_phase) for phase in phases]
    return _matrix(wye, len(terminal), table.height), _matrix(delta, len(pair), table.height)


def power_base_kva(grid: Grid) -> float:
    """Base of power: the power of ten next to the total load, or generation if larger."""
    total = max(
        math.hypot(table["p_kw"].abs().sum(), table["q_kvar"].abs().sum()) for table in (grid.loads, grid.generators)
    )
    # A power of ten keeps per-unit values readable and conversions exact to the last few bits.
    return 10.0 ** round(math.log10(total)) if total > 0 else 1000.0


def terminals(grid: Grid) -> Terminals:
    """Number of each terminal (bus, phase), in the order of the buses."""
    number: Terminals = {}
    for name, phases in zip(grid.buses["name"].to_list(), grid.buses["phases"].to_list(), strict=True):
        for phase in phases:
            number[name, phase] = len(number)
    return number


def delta_pairs(grid: Grid) -> Pairs:
    """Number of each pair of terminals that a load, generator or capacitor lies between."""
    tables = (grid.loads, grid.generators, grid.capacitors)
    lain = [
        (bus, phases) for table in tables for bus, phases, connection in _rows(table) if is_delta(connection, phases)
    ]
    number: Pairs = {}
    if not lain:
        return number
    terminal = terminals(grid)
    for bus, phases in lain:
        for ends in pairs_at(terminal, bus, phases):
            number.setdefault(ends, len(number))
    return number


def _rows(table: pl.DataFrame) -> Iterator[tuple[str, str, str]]:
    """Bus, phases and connection of each row."""
    return zip(*(table[name].to_list() for name in ("bus", "phases", "connection")), strict=True)


def is_delta(connection: str, phases: str) -> bool:
    """Whether the row lies between phases; in a balanced equivalent a delta is its wye."""
    return connection == "delta" and phases != "1"


def pairs_at(terminal: Terminals, bus: str, phases: str) -> Iterator[tuple[int, int]]:
    """Pairs of terminals of a delta."""
    for pair in DELTA_PAIRS[phases]:
        yield terminal[bus, pair[0]], terminal[bus, pair[1]]


def phase_bases(phases: str) -> int:
    """Base of the grid divided by the base of one phase."""
    return 1 if phases == "1" else 3


def _matrix(entries: list[tuple[int, int, float]], rows: int, columns: int) -> sp.csr_array:
    row, column, value = zip(*entries) if entries else ((), (), ())
    return sp.csr_array(sp.coo_array((np.array(value, dtype=np.float64), (row, column)), shape=(rows, columns)))
