"""Doubts about units: impedances, loads and generators that do not match at one voltage level.

A level is what lines and switches join, open or closed; a feeder is what closed ones join. A line is measured by the
voltage drop, per unit, that the load of its feeder would cause in it, |z| · S / vn², shared by the sources and the
transformers from a higher voltage that feed it. Loads fed through transformers do not count, so some wrong units are
not found, but few correct ones are reported. Where a single load or generator is the cause, it is named, and the lines
are measured without it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from openpoint.errors import Problem
from openpoint.graph import components
from openpoint.grid.rules.rows import rows
from openpoint.grid.schemas import Tables

# A line whose impedance would drop this many times the nominal voltage is odd; so is a voltage level whose median line
# does so at the lower figure. Over eleven published cases and pandapower's examples of medium and low voltage the
# largest figures, under the load of the whole level, are 1.6 and 0.16.
LINE_DROP_MAX = 5.0
MEDIAN_DROP_MAX = 0.5
# So many times the median of its level makes a line, load or generator stand out.
OUTSTANDING = 10.0
# Median |z| of the lines of a medium-voltage level below which the figures are hardly ohms (0.2 m of cable).
MEDIAN_OHM_MIN = 1e-4
MEDIUM_VOLTAGE_KV = 1.0
FEWEST_LINES = 5


@dataclass(frozen=True)
class _Line:
    name: str
    ohm: float
    feeder: int


@dataclass(frozen=True)
class _Power:
    """A load or generator; `share_kva` is what one of the feeds of its feeder would carry."""

    table: str
    name: str
    kva: float
    share_kva: float
    feeder: int


@dataclass
class _Level:
    """Lines with an impedance, and powers, at one voltage level."""

    vn_kv: float = math.nan
    lines: list[_Line] = field(default_factory=list)
    powers: list[_Power] = field(default_factory=list)

    def drop(self, ohm: float, kva: float) -> float:
        """Voltage drop in per unit."""
        return ohm / self.vn_kv / self.vn_kv * kva / 1000.0


@dataclass(frozen=True)
class _Measure:
    """The lines of a level under some of its loads.

    Attributes:
        drops: of every line, in per unit. median_ohm, median_drop: of the lines.
        is_odd: whether the lines as a whole are odd. odd: numbers of those that are odd by themselves.
    """

    drops: list[float]
    median_ohm: float
    median_drop: float
    is_odd: bool
    odd: tuple[int, ...]


def unit_doubts(grid: Tables) -> Iterator[Problem]:
    """Loads, generators and lines that are hardly in the units of their columns."""
    for level in _levels(grid):
        if level.lines:
            yield from _doubts(level)


def median_drops(grid: Tables) -> list[float]:
    """Voltage drop in per unit of the median line of each voltage level, each line under the load of its feeder."""
    return [
        _measured(level, [power for power in level.powers if power.table == "loads"]).median_drop
        for level in _levels(grid)
        if level.lines and any(power.table == "loads" for power in level.powers)
    ]


def _doubts(level: _Level) -> Iterator[Problem]:
    loads = [power for power in level.powers if power.table == "loads"]
    culprits = _culprits(level, loads)
    found = _measured(level, [load for load in loads if load not in culprits])
    if not found.is_odd:
        culprits += [power for power in level.powers if power.table != "loads" and _stands_out(level, power, found)]
    for power in culprits:
        drop = level.drop(found.median_ohm, power.share_kva)
        message = f"{power.kva:.6g} kVA would drop {drop:.3g} times the nominal voltage in the median line of its level"
        yield Problem(power.table, power.name, "p_kw", message, "Check the unit and the decimal point", "warning")
    for k in found.odd:
        line, drop = level.lines[k], found.drops[k]
        message = f"{line.ohm:g} ohm would drop {drop:.3g} times the nominal voltage under the load of its feeder"
        yield Problem("lines", line.name, "r_ohm", message, "Check the unit and the decimal point", "warning")
    if found.is_odd:
        yield _median_doubt(level, found)


def _culprits(level: _Level, loads: list[_Power]) -> list[_Power]:
    """The loads that stand out and without which the lines are not odd, largest first; none where nothing is odd."""
    left = sorted(loads, key=lambda load: load.share_kva, reverse=True)
    taken: list[_Power] = []
    found = _measured(level, left)
    while left and (found.is_odd or found.odd):
        ratio = left[0].kva / _middling(level)
        longest = max((level.lines[k].ohm for k in found.odd), default=0.0)
        # Where a line stands out more than the load, the line is the odd one.
        if ratio <= OUTSTANDING or (not found.is_odd and ratio <= longest / found.median_ohm):
            break
        taken.append(left.pop(0))
        found = _measured(level, left)
    return [] if found.is_odd else taken


def _measured(level: _Level, loads: list[_Power]) -> _Measure:
    carried: dict[int, float] = {}
    for load in loads:
        carried[load.feeder] = carried.get(load.feeder, 0.0) + load.share_kva
    drops = [level.drop(line.ohm, carried.get(line.feeder, 0.0)) for line in level.lines]
    ohm, drop = float(np.median([line.ohm for line in level.lines])), float(np.median(drops))
    limit = MEDIAN_DROP_MAX if level.vn_kv >= MEDIUM_VOLTAGE_KV else LINE_DROP_MAX
    is_odd = len(level.lines) >= FEWEST_LINES and (drop > limit or _is_too_short(level, ohm))
    most = OUTSTANDING * ohm if is_odd else 0.0  # on an odd level only lines that stand out even there
    odd = [k for k, line in enumerate(level.lines) if drops[k] > LINE_DROP_MAX and line.ohm > most]
    return _Measure(drops, ohm, drop, is_odd, tuple(odd))


def _is_too_short(level: _Level, median_ohm: float) -> bool:
    return level.vn_kv >= MEDIUM_VOLTAGE_KV and median_ohm < MEDIAN_OHM_MIN


def _stands_out(level: _Level, power: _Power, found: _Measure) -> bool:
    drop, ratio = level.drop(found.median_ohm, power.share_kva), power.kva / _middling(level)
    return len(level.lines) >= FEWEST_LINES and drop > MEDIAN_DROP_MAX and ratio > OUTSTANDING


def _middling(level: _Level) -> float:
    return float(np.median([power.kva for power in level.powers]))


def _median_doubt(level: _Level, found: _Measure) -> Problem:
    many = f"{len(level.lines)} lines at {level.vn_kv:g} kV"
    first = level.lines[0].name
    if _is_too_short(level, found.median_ohm):
        message = f"the median impedance of {many} is {found.median_ohm:.3g} ohm"
        return Problem("lines", first, "r_ohm", message, "Check that these are ohms and not per unit", "warning")
    message = f"the median of {many} would drop {found.median_drop:.3g} times the nominal voltage"
    return Problem("lines", first, "r_ohm", message, "Check the units of impedances, loads and `vn_kv`", "warning")


def _levels(grid: Tables) -> list[_Level]:
    number = {name: i for i, name in enumerate(grid.buses["name"].to_list())}
    vn = grid.buses["vn_kv"].to_list()
    tables = grid.tables()
    ends = [
        (number[fr], number[to], closed)
        for kind in ("lines", "switches")
        for fr, to, closed in rows(tables[kind], "from_bus", "to_bus", "closed")
        if fr in number and to in number
    ]
    pairs = np.array([(fr, to) for fr, to, _ in ends], dtype=np.int64).reshape(-1, 2)
    closed = np.array([is_closed for _, _, is_closed in ends], dtype=np.bool_)
    of_level = components(len(vn), pairs[:, 0], pairs[:, 1]).tolist()
    feeder = components(len(vn), pairs[closed, 0], pairs[closed, 1]).tolist()
    levels = [_Level() for _ in range(max(of_level, default=-1) + 1)]
    for name, fr, to, r, x in rows(grid.lines, "name", "from_bus", "to_bus", "r_ohm", "x_ohm"):
        if fr in number and to in number and r and x:
            i, ohm = number[fr], math.hypot(r[0], x[0])
            if math.isfinite(ohm) and ohm > 0 and vn[i] > 0:
                level = levels[of_level[i]]
                level.vn_kv = level.vn_kv if level.lines else vn[i]
                level.lines.append(_Line(name, ohm, feeder[i]))
    feeds = _feeds(grid, number, feeder)
    for table in ("loads", "generators"):
        for name, bus, p, q in rows(tables[table], "name", "bus", "p_kw", "q_kvar"):
            kva = math.hypot(p, q)
            if bus in number and math.isfinite(kva) and kva > 0:
                at = feeder[number[bus]]
                power = _Power(table, name, kva, kva / max(feeds.get(at, 1), 1), at)
                levels[of_level[number[bus]]].powers.append(power)
    return levels


def _feeds(grid: Tables, number: dict[str, int], feeder: list[int]) -> dict[int, int]:
    """How many sources, and closed transformers from a higher voltage, feed each feeder."""
    vn = grid.buses["vn_kv"].to_list()
    count: dict[int, int] = {}
    for bus in grid.sources["bus"]:
        if bus in number:
            count[feeder[number[bus]]] = count.get(feeder[number[bus]], 0) + 1
    for fr, to, closed in rows(grid.transformers, "from_bus", "to_bus", "closed"):
        if closed and fr in number and to in number and vn[number[fr]] != vn[number[to]]:
            low = min(number[fr], number[to], key=vn.__getitem__)
            count[feeder[low]] = count.get(feeder[low], 0) + 1
    return count
