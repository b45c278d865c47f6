"""The balanced equivalent of a grid with phases a, b, c: one phase, for the studies that work on balanced grids.

Powers stay the totals of their rows, voltages those between lines, impedances become those of the positive sequence:
with d the mean of a matrix's diagonal and o that of what is beside it, z = d − o. What has n < 3 phases carries its
power alone. At the same total power it loses 3 / n times what three such phases would, and its charging and its rating
are n / 3 of theirs: z is multiplied by 3 / n, charging and current limits by n / 3.

Where one place is built of several rows with different phases, such as three single-phase regulators between the same
two buses, these become one row; else they would be a loop. Its tap is the rounded mean. A line or switch beside such
transformers, which joins the phase that an open delta leaves, is part of them.

A grid is symmetric where all rows have three phases and all matrices are balanced, and no load changes its model at a
voltage that may occur (`v_min_pu`, `v_max_pu`): balanced studies take the model of a load at every voltage. Then every
flow of the equivalent is one of the grid. Otherwise a note says what the equivalent neglects.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import polars as pl

from openpoint.errors import InputError, Problem
from openpoint.grid.grid import Grid
from openpoint.grid.schemas import BRANCH_TABLES

_DIAGONAL, _BESIDE = (0, 2, 5), (1, 3, 4)
_AMPERES = ("i_max_a", "i_max_from_a", "i_max_to_a")
_EQUAL = 1e-6
"""Relative difference of the elements of a matrix that counts as none: files round to some seven digits."""
HAS_PHASES = (
    "this grid has phases a, b, c: `openpoint convert GRID FOLDER --balanced` writes its balanced equivalent "
    "(in Python `openpoint.balanced_equivalent`)"
)
"""Why a grid is refused by what takes balanced grids only, and the way on."""
_OCCUR = (0.5, 1.5)
"""Voltages, pu, at which a change of a load's model matters."""
_SAME = ("from_bus", "vn_from_kv", "vn_to_kv", "tap_side", "tap_step_percent")
"""Columns in which the transformers of a bank must agree."""
_AT_A_BUS = ("loads", "generators", "capacitors")
_PHASES = "abc"

_Row = dict[str, Any]


def has_phases(grid: Grid) -> bool:
    """Whether a grid has phases a, b, c; a faulty grid counts as having none."""
    return bool((grid.buses["phases"] != "1").any())


def balanced_equivalent(grid: Grid) -> Grid:
    """The balanced equivalent of a grid; a balanced grid is returned unchanged.

    Args:
        grid: sound, with phases a, b, c.

    Returns:
        A grid of the same names, but that rows which become one have their names joined by `+`. A note says how
        unbalanced the loads are, unless the grid is symmetric.

    Raises:
        InputError: the grid has faults, or rows at one place that should become one differ.
    """
    grid.check()
    if "1" in set(grid.buses["phases"]):
        return grid
    one = pl.lit("1").alias("phases")
    tables = {kind: grid.tables()[kind].with_columns(one) for kind in ("buses", *_AT_A_BUS)}
    tables |= {kind: grid.tables()[kind].with_columns(pl.lit("wye").alias("connection"), one) for kind in _AT_A_BUS}
    faults: list[Problem] = []
    banks = {_ends(row) for row in grid.transformers.filter(pl.col("phases") != _PHASES).iter_rows(named=True)}
    for kind, convert in (("lines", _line), ("switches", _switch), ("transformers", _transformer)):
        frame = grid.tables()[kind]
        rows = [_joined(kind, members, faults) for members in _places(kind, frame.iter_rows(named=True))]
        if kind != "transformers":
            rows = [row for row in rows if row["phases"] == _PHASES or _ends(row) not in banks]
        tables[kind] = pl.DataFrame([convert(row) for row in rows], schema=frame.schema)
    if faults:
        raise InputError(faults)
    title = f"{grid.title or grid.name} (balanced equivalent)"
    made = replace(grid.with_tables(**tables), title=title)
    if is_symmetric(grid):
        return made
    neglected = _neglected(grid)
    remedy = "Compare today's power flow of both before you rely on its figures"
    note = Problem(grid.name, "", "", neglected, remedy, "warning", changes_figures=True)
    return replace(made, source=f"{grid.source or grid.name}; {neglected}", notes=(*made.notes, note))


def is_symmetric(grid: Grid) -> bool:
    """Whether all three phases of a grid with phases are alike everywhere, so that a balanced one is the same."""
    return _alike(grid) and not _banded(grid)


def _alike(grid: Grid) -> bool:
    """Whether all rows have three phases and all matrices are balanced."""
    full = all(set(table["phases"]) <= {_PHASES} for kind, table in grid.tables().items() if kind != "sources")
    columns = ("r_ohm", "x_ohm", "g_us", "b_us")
    return full and all(_is_balanced(row) for row in grid.lines.select(columns).iter_rows())


def _banded(grid: Grid) -> int:
    """Number of loads that change their model at a voltage that may occur."""
    least, most = _OCCUR
    inside = (pl.col("v_min_pu") > least) | (pl.col("v_max_pu") < most)
    return grid.loads.filter((pl.col("model") != "impedance") & inside).height


def _is_balanced(row: tuple[list[float], ...]) -> bool:
    """Whether the matrices of a line have equal elements on the diagonal, and equal ones beside it."""
    for matrix in row:
        size = max((abs(value) for value in matrix), default=0.0)
        for places in (_DIAGONAL, _BESIDE):
            some = [matrix[k] for k in places if k < len(matrix)]
            if some and max(some) - min(some) > _EQUAL * size:
                return False
    return True


def _places(kind: str, rows: Iterable[_Row]) -> list[list[_Row]]:
    """Rows that are one: between the same two buses, of fewer than three phases each, and no phase in two of them.

    Windings between two lines share phases and are one nevertheless.
    """
    places: list[list[_Row]] = []
    at: dict[frozenset[str], list[list[_Row]]] = {}
    for row in rows:
        some = [] if row["phases"] == _PHASES else at.setdefault(_ends(row), [])
        fits = [place for place in some if kind == "transformers" or all(_apart(row, other) for other in place)]
        if fits:
            fits[0].append(row)
        else:
            places.append([row])
            some.append(places[-1])
    return places


def _apart(row: _Row, other: _Row) -> bool:
    return set(row["phases"]).isdisjoint(other["phases"])


def _ends(row: _Row) -> frozenset[str]:
    return frozenset((row["from_bus"], row["to_bus"]))


def _joined(kind: str, members: list[_Row], faults: list[Problem]) -> _Row:
    """One row for several; each number is the mean, ratings that are totals are added."""
    first = members[0]
    if len(members) == 1:
        return first | {"of": len(first["phases"])}
    for row in members[1:]:
        if row["closed"] != first["closed"]:
            message = f"open, and {first['name']} at the same place closed, or the other way round"
            remedy = "The phases of a balanced grid are switched together: give all the same state"
            faults.append(Problem(kind, row["name"], "closed", message, remedy))
        for column in _SAME if kind == "transformers" else ():
            if row[column] != first[column]:
                message = f"{row[column]!r}, and {first['name']} at the same place has {first[column]!r}"
                faults.append(Problem(kind, row["name"], column, message, "Units of one bank must agree in it"))
    phases = "".join(sorted(set().union(*(row["phases"] for row in members))))
    if first["phases"] in ("ab", "bc", "ac") and len(members) > 1 and kind == "transformers":
        phases = _PHASES  # windings between two lines: two of them, an open delta, feed all three phases
    joined = first | {"name": "+".join(row["name"] for row in members), "phases": phases, "of": len(phases)}
    joined |= {column: all(row[column] for row in members) for column in ("switchable", "remote")}
    joined["locked_reason"] = "; ".join(dict.fromkeys(row["locked_reason"] for row in members if row["locked_reason"]))
    for column in (*_AMPERES, "length_km"):
        if column in first:
            known = [row[column] for row in members if row[column] is not None]
            joined[column] = min(known) if known else None
    if kind == "lines":
        joined |= {c: _means([_sequence(row[c]) for row in members]) for c in ("r_ohm", "x_ohm", "g_us", "b_us")}
    if kind == "transformers":
        joined |= _bank(members)
    return joined


def _bank(members: list[_Row]) -> _Row:
    """The numbers of transformers that are one bank."""
    count = len(members)
    ratings = [row["s_max_kva"] for row in members]
    found: _Row = {c: sum(row[c] for row in members) / count for c in ("r_ohm", "x_ohm", "g_us", "b_us")}
    found["s_max_kva"] = None if None in ratings else sum(ratings)
    turns = [row["tap_pos"] - row["tap_neutral"] for row in members]
    found["tap_pos"] = members[0]["tap_neutral"] + round(sum(turns) / count)
    bands = {c: [row[c] for row in members] for c in ("v_hold_min_pu", "v_hold_max_pu")}
    return found | {c: None if None in band else sum(band) / count for c, band in bands.items()}


def _means(values: list[list[float]]) -> list[float]:
    known = [value[0] for value in values if value]
    return [sum(known) / len(values)] if known else []


def _sequence(matrix: list[float]) -> list[float]:
    """The positive sequence of a matrix, as a matrix of one phase; empty stays empty."""
    if not matrix:
        return []
    diagonal = [matrix[k] for k in _DIAGONAL if k < len(matrix)]
    beside = [matrix[k] for k in _BESIDE if k < len(matrix)]
    return [sum(diagonal) / len(diagonal) - (sum(beside) / len(beside) if beside else 0.0)]


def _line(row: _Row) -> _Row:
    up, down = 3.0 / row["of"], row.pop("of") / 3.0
    series = {c: [up * z for z in _sequence(row[c])] for c in ("r_ohm", "x_ohm")}
    shunt = {c: [down * y for y in _sequence(row[c])] for c in ("g_us", "b_us")}
    limit = None if row["i_max_a"] is None else down * row["i_max_a"]
    return row | series | shunt | {"phases": "1", "i_max_a": limit}


def _switch(row: _Row) -> _Row:
    down = row.pop("of") / 3.0
    return row | {"phases": "1", "i_max_a": None if row["i_max_a"] is None else down * row["i_max_a"]}


def _transformer(row: _Row) -> _Row:
    up, down = 3.0 / row["of"], row.pop("of") / 3.0
    series = {c: up * row[c] for c in ("r_ohm", "x_ohm")}
    shunt = {c: down * row[c] for c in ("g_us", "b_us")}
    limits = {c: None if row[c] is None else down * row[c] for c in _AMPERES if c in row}
    return row | series | shunt | limits | {"phases": "1", "connection": "wye-wye"}


def _neglected(grid: Grid) -> str:
    """What the equivalent neglects, in words."""
    texts = []
    if not _alike(grid):
        totals = dict.fromkeys(_PHASES, 0.0)
        for phases, power in grid.loads.select("phases", "p_kw").iter_rows():
            for phase in phases:
                totals[phase] += power / len(phases)
        whole = sum(totals.values()) or 1.0
        shares = ", ".join(f"{phase} {100.0 * power / whole:.1f} %" for phase, power in totals.items())
        partial = sum((grid.tables()[kind]["phases"] != _PHASES).sum() for kind in BRANCH_TABLES)
        texts.append(
            "unbalance is neglected, and with it part of the losses and of the voltage drops "
            f"(load on {shares}; {partial} branches have fewer than three phases)"
        )
    if banded := _banded(grid):
        texts.append(
            f"{banded} loads keep their model at every voltage, though the grid makes impedances of them outside of "
            "v_min_pu to v_max_pu"
        )
    return f"balanced equivalent: {'; '.join(texts)}"
