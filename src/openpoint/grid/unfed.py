"""What nothing can feed in a grid: left out, and told."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from openpoint.errors import Problem
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import idle_pieces, out_of_reach
from openpoint.grid.schemas import BRANCH_TABLES

_SHOWN = 8
_MATRICES = ("r_ohm", "x_ohm", "g_us", "b_us")
_TOTALS = ("p_kw", "q_kvar")

Row = dict[str, Any]


def without_unfed(grid: Grid) -> Grid:
    """The grid without the phases of buses that no source reaches, even with every switchable branch closed.

    What is at them goes with them, and a note of the grid counts and names them. Lines keep the conductors of the
    phases that are left, loads between phase and neutral their share of these; loads between a phase that is left and
    one that is not are left out.
    """
    pieces = out_of_reach(grid)
    if not pieces:
        return grid
    lost, tables = _without(grid, pieces)
    load = float(grid.loads["p_kw"].to_numpy().sum() - tables["loads"]["p_kw"].to_numpy().sum())
    kept = set(tables["buses"]["name"])
    whole = [piece[0][0] for piece in pieces if piece[0][0] not in kept]
    parts = [f"phase {phases!r} of {bus}" for bus, phases in lost.items() if bus in kept]
    found = [_told(whole, f"{len(whole)} piece{'s' * (len(whole) > 1)} (first buses: ", ")"), _told(parts, "", "")]
    message = (
        f"nothing can feed {' and '.join(part for part in found if part)}, even with every switchable branch closed: "
        f"left out, {grid.buses.height - tables['buses'].height} buses and loads of {load:.3f} kW"
    )
    remedy = "What belongs to the grid needs a branch that is closed or switchable, or a source"
    note = Problem("buses", "", "", message, remedy, "warning")
    return Grid.from_tables(grid.name, tables, title=grid.title, source=grid.source, notes=(*grid.notes, note))


def without_idle(grid: Grid) -> Grid:
    """The grid without what no source feeds today where nothing, or next to nothing, draws or feeds in: it stays dark.

    Such a piece needs no supply, and a radial state that feeds it loses no less but for its charging. As a way between
    parts that are fed it is not used. A note of the grid counts and names the pieces. The grid has no faults.
    """
    pieces = idle_pieces(grid)
    if not pieces:
        return grid
    lost, tables = _without(grid, pieces)
    load = float(grid.loads["p_kw"].to_numpy().sum() - tables["loads"]["p_kw"].to_numpy().sum())
    drawn = f"no more than {load:.3g} kW would be drawn there" if load else "nothing is there that draws power"
    places = _told(list(lost), f"{len(lost)} bus{'es' * (len(lost) > 1)} (", ")")
    message = (
        f"nothing feeds {places} today, on one phase or all, and {drawn}: they stay dark, "
        "with the branches to them as they are"
    )
    remedy = "To feed them, close a branch to them first"
    note = Problem("buses", "", "", message, remedy, "warning", changes_figures=True)
    return Grid.from_tables(grid.name, tables, title=grid.title, source=grid.source, notes=(*grid.notes, note))


def _without(grid: Grid, pieces: list[list[tuple[str, str]]]) -> tuple[dict[str, str], dict[str, pl.DataFrame]]:
    """The phases of the pieces by bus, and the tables without them."""
    lost: dict[str, str] = {}
    for bus, phase in (terminal for piece in pieces for terminal in piece):
        lost[bus] = lost.get(bus, "") + phase
    return lost, {kind: _reduced(kind, frame, lost) for kind, frame in grid.tables().items()}


def _told(names: list[str], before: str, after: str) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{before}{', '.join(names[:_SHOWN])}{more}{after}" if names else ""


def _reduced(kind: str, frame: pl.DataFrame, lost: dict[str, str]) -> pl.DataFrame:
    """The rows of a table that are left; `lost`: phases by bus."""
    columns = ("from_bus", "to_bus") if kind in BRANCH_TABLES else ("name",) if kind == "buses" else ("bus",)
    touched = frame.select(pl.any_horizontal(pl.col(columns).is_in(list(lost))).fill_null(value=False)).to_series()
    if kind == "sources" or not touched.any():
        return frame
    rows = (
        _row(kind, row, {p for at in columns for p in lost.get(row[at], "")})
        for row in frame.filter(touched).iter_rows(named=True)
    )
    made = list(rows)
    there = [row for row in made if row is not None]
    place = np.flatnonzero(touched.to_numpy())[[row is not None for row in made]]
    order = np.argsort(np.concatenate([np.flatnonzero(~touched.to_numpy()), place]))
    return pl.concat([frame.filter(~touched), pl.DataFrame(there, schema=frame.schema, orient="row")])[order]


def _row(kind: str, row: Row, gone: set[str]) -> Row | None:
    """A row without some phases; None where nothing is left."""
    phases = row["phases"]
    kept = [k for k, phase in enumerate(phases) if phase not in gone]
    if len(kept) == len(phases):
        return row
    if not kept or "delta" in row.get("connection", "wye"):
        return None
    reduced = row | {"phases": "".join(phases[k] for k in kept)}
    if kind == "lines":
        reduced |= {name: _submatrix(row[name], len(phases), kept) for name in _MATRICES}
    elif kind in ("loads", "generators", "capacitors"):
        reduced |= {name: row[name] * len(kept) / len(phases) for name in _TOTALS if name in row}
    return reduced


def _submatrix(triangle: list[float], n: int, kept: list[int]) -> list[float]:
    """Lower triangle of the rows and columns that are kept."""
    if not triangle:
        return triangle
    full = np.zeros((n, n))
    full[np.tril_indices(n)] = triangle
    return [float(v) for v in full[np.ix_(kept, kept)][np.tril_indices(len(kept))]]
