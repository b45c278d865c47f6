"""Doubts about slips of a hurried hand: figures that are allowed one by one and hardly meant together.

Voltages of sources in kilovolts, ratings a thousand times too large or too small, active and reactive power exchanged,
a bus whose voltage limits leave no room, loads that today's feeders cannot carry. The figures of the limits stand
between those of the published cases, of pandapower's and SimBench's examples, and of the same grids with such a slip.

Doubts about units: impedances, loads and generators that do not match at one voltage level.

A level is what lines and switches join, open or closed; a feeder is what closed ones join. A line is measured by the
voltage drop, per unit, that the load of its feeder would cause in it, |z| · S / vn², shared by the sources and the
transformers from a higher voltage that feed it. Loads fed through transformers do not count, so some wrong units are
not found, but few correct ones are reported. Where a single load or generator is the cause, it is named, and the lines
are measured without it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import Problem
from openpoint.graph import components
from openpoint.grid.rules.rule import Rule, rows
from openpoint.grid.schemas import Tables

FAR_PU = (0.5, 1.5)
"""A voltage that is held and lies beyond is hardly per unit."""
MOST_AMPERES = 20_000.0
"""No cable and no overhead line carries more."""
MOST_KVA = ((1.0, 20_000.0), (60.0, 1_000_000.0))
"""The largest rating of a transformer by the nominal voltage in kV up to which its lower side counts."""
LEAST_SHARE = 0.2
"""Loads are more than all ratings together can carry where these are a smaller share of them."""
SWAPPED = 0.5
"""Active and reactive power are exchanged, it seems, where the reactive one is greater in this share of the loads, …"""
SWAPPED_RATIO = 1.2
"""… and all together by so many times; a published feeder has a power factor of 0.7 at all its loads."""
FEWEST_LOADS = 4
MOST_DROP = 0.6
"""Drop in per unit from a source to a bus, by the linear formula, beyond which no power flow has a solution."""
LEAST_DROP, FEWEST_LINES = 2e-4, 20
"""Drop in per unit below which a grid of so many lines hardly has its impedances."""

SLIPS = (
    Rule(
        "sources",
        "v_pu",
        ((pl.col("v_pu") < FAR_PU[0]) | (pl.col("v_pu") > FAR_PU[1])) & (pl.col("v_pu") > 0),
        "{value} pu is far from the nominal voltage",
        "Give it per unit: the voltage in kV divided by `vn_kv` of its bus",
    ),
    Rule(
        "generators",
        "v_pu",
        ((pl.col("v_pu") < FAR_PU[0]) | (pl.col("v_pu") > FAR_PU[1])) & (pl.col("v_pu") > 0),
        "{value} pu is far from the nominal voltage",
        "Give it per unit: the voltage in kV divided by `vn_kv` of its bus",
    ),
    Rule(
        "buses",
        "v_max_pu",
        (pl.col("v_max_pu") < FAR_PU[0]) & (pl.col("v_max_pu") > 0),
        "an upper limit of {value} pu is far below the nominal voltage",
        "Give it per unit, such as 1.05",
    ),
    Rule(
        "buses",
        "v_min_pu",
        pl.col("v_min_pu") > FAR_PU[1],
        "a lower limit of {value} pu is far above the nominal voltage",
        "Give it per unit, such as 0.95",
    ),
    *(
        Rule(
            kind,
            "i_max_a",
            pl.col("i_max_a") > MOST_AMPERES,
            "{value} A is more than any conductor carries, so the limit is never reached",
            "Give amperes, or leave it empty where there is no limit",
        )
        for kind in ("lines", "switches")
    ),
)


def slip_doubts(grid: Tables) -> Iterator[Problem]:
    """The doubts that need several rows or tables."""
    yield from _pinned(grid)
    yield from _large_transformers(grid)
    yield from _small_ratings(grid)
    yield from _swapped(grid)


def _pinned(grid: Tables) -> Iterator[Problem]:
    """Buses without a source whose voltage limits leave no room."""
    held = {*grid.sources["bus"].to_list(), *(bus for bus, v in rows(grid.generators, "bus", "v_pu") if v is not None)}
    for name, low, high in rows(grid.buses, "name", "v_min_pu", "v_max_pu"):
        if low is not None and low == high and name not in held:
            message = f"both voltage limits are {low:g} pu, which no state but by chance keeps"
            yield Problem("buses", name, "v_min_pu", message, "Give the limits of a band, or none", "warning")


def _large_transformers(grid: Tables) -> Iterator[Problem]:
    level = dict(rows(grid.buses, "name", "vn_kv"))
    for name, fr, to, rating in rows(grid.transformers, "name", "from_bus", "to_bus", "s_max_kva"):
        lower = min(level.get(fr, math.inf), level.get(to, math.inf))
        most = next((kva for kv, kva in MOST_KVA if lower <= kv), math.inf)
        if rating is not None and rating > most:
            message = f"{rating:g} kVA is more than any transformer to {lower:g} kV carries: the limit is never reached"
            yield Problem("transformers", name, "s_max_kva", message, "Give kVA, or leave it empty", "warning")


def _small_ratings(grid: Tables) -> Iterator[Problem]:
    """Ratings that together carry a small part of the loads."""
    level = dict(rows(grid.buses, "name", "vn_kv"))
    kva: dict[float, list[float]] = defaultdict(list)
    for bus, p, q in rows(grid.loads, "bus", "p_kw", "q_kvar"):
        if math.isfinite(load := math.hypot(p, q)):
            kva[level.get(bus, 0.0)].append(load)
    for kv, loads in kva.items():
        rated = [
            (name, rating * kv * (math.sqrt(3.0) if phases in ("1", "abc") else 1.0))
            for name, bus, rating, phases in rows(grid.lines, "name", "from_bus", "i_max_a", "phases")
            if rating is not None and level.get(bus) == kv
        ]
        unlimited = any(
            rating is None and level.get(bus) == kv for bus, rating in rows(grid.lines, "from_bus", "i_max_a")
        )
        if rated and not unlimited and 3 * max(size for _, size in rated) < max(loads):
            name, size = max(rated, key=lambda each: each[1])
            message = f"the largest rating of the lines at {kv:g} kV carries {size:.3g} kVA, and a load there is "
            remedy = "Check the units of `i_max_a` (A) and of the loads (kW)"
            yield Problem("lines", name, "i_max_a", f"{message}{max(loads):.6g} kVA", remedy, "warning")
    ratings = list(rows(grid.transformers, "name", "s_max_kva"))
    total = sum(map(sum, kva.values()))
    if ratings and all(rating is not None for _, rating in ratings) and not _fed_otherwise(grid):
        together = sum(rating for _, rating in ratings)
        if together < LEAST_SHARE * total:
            message = f"the ratings of all transformers together are {together:.6g} kVA, the loads {total:.6g} kVA"
            remedy = "Check the units of `s_max_kva` (kVA) and of the loads (kW)"
            yield Problem("transformers", ratings[0][0], "s_max_kva", message, remedy, "warning")


def _fed_otherwise(grid: Tables) -> bool:
    """Whether most of the load lies at the voltage of a source, so that no transformer carries it."""
    level = dict(rows(grid.buses, "name", "vn_kv"))
    fed = {level.get(bus) for bus in grid.sources["bus"].to_list()}
    sizes = [(level.get(bus) in fed, math.hypot(p, q)) for bus, p, q in rows(grid.loads, "bus", "p_kw", "q_kvar")]
    return sum(size for at, size in sizes if at) >= 0.5 * sum(size for _, size in sizes)


def _swapped(grid: Tables) -> Iterator[Problem]:
    drawn = [(p, q) for model, p, q in rows(grid.loads, "model", "p_kw", "q_kvar") if model == "power"]
    loads = [(abs(p), abs(q)) for p, q in drawn if p or q]
    more = sum(q > p for p, q in loads)
    together = SWAPPED_RATIO * sum(p for p, _ in loads) < sum(q for _, q in loads)
    if len(loads) >= FEWEST_LOADS and together and more >= SWAPPED * len(loads):
        message = f"in {more} of {len(loads)} loads the reactive power is greater than the active power"
        remedy = "Check whether p_kw and q_kvar are exchanged"
        yield Problem("loads", "", "q_kvar", message, remedy, "warning", changes_figures=True)


def drop_doubts(grid: Tables) -> Iterator[Problem]:
    """Voltages that, by the linear formula and today's branches, drop beyond what a power flow reaches, or hardly."""
    if not set(grid.buses["phases"].to_list()) <= {"1"}:
        return
    drops = _drops(grid)
    if not drops:
        return
    name, drop = max(drops.items(), key=lambda each: each[1])
    if 0 < drop < LEAST_DROP and grid.lines.height >= FEWEST_LINES:
        message = f"today's loads drop hardly any of the voltage in {grid.lines.height} lines: at most {drop:.2g} of it"
        remedy = "Check the units of impedances (ohm) and lengths; r_ohm and x_ohm are those of the whole line"
        yield Problem("lines", "", "r_ohm", message, remedy, "warning")
    if drop > MOST_DROP:
        message = f"today's loads would drop {drop:.3g} times the nominal voltage on the way to it"
        remedy = "Check the units of impedances (ohm), lengths, loads (kW) and `vn_kv`: the grid has no power flow"
        yield Problem("buses", name, "", message, remedy, "warning")


def _drops(grid: Tables) -> dict[str, float]:
    """The drop in per unit to each bus along a tree of today's branches; none where they have a loop."""
    level = dict(rows(grid.buses, "name", "vn_kv"))
    near: dict[str, list[tuple[str, float, float]]] = defaultdict(list)
    count = 0
    for kind in ("lines", "switches", "transformers"):
        columns = () if kind == "switches" else ("r_ohm", "x_ohm")
        for fr, to, closed, *z in rows(grid.tables()[kind], "from_bus", "to_bus", "closed", *columns):
            if not closed:
                continue
            kv = level.get(to, 0.0)
            if fr not in level or kv <= 0:
                return {}
            own = [each[0] if isinstance(each, list) and each else each for each in z or (0.0, 0.0)]
            if not all(isinstance(each, float) and math.isfinite(each) for each in own):
                return {}
            pu = own[0] / kv / kv / 1e3, own[1] / kv / kv / 1e3  # per unit for a kW
            near[fr].append((to, *pu))
            near[to].append((fr, *pu))
            count += 1
    order: list[str] = []
    before: dict[str, tuple[str, float, float]] = {}
    for source in dict.fromkeys(grid.sources["bus"].to_list()):
        before[source] = ("", 0.0, 0.0)
        order.append(source)
    reached = len(order)
    for bus in order:
        for other, r_pu, x_pu in near[bus]:
            if other not in before:
                before[other] = (bus, r_pu, x_pu)
                order.append(other)
    if count != len(order) - reached:
        return {}
    p: dict[str, float] = defaultdict(float)
    q: dict[str, float] = defaultdict(float)
    for sign, kind in ((1.0, "loads"), (-1.0, "generators")):
        for bus, p_kw, q_kvar in rows(grid.tables()[kind], "bus", "p_kw", "q_kvar"):
            p[bus] += sign * p_kw
            q[bus] += sign * q_kvar
    for bus in reversed(order):
        p[before[bus][0]] += p[bus]
        q[before[bus][0]] += q[bus]
    drops: dict[str, float] = {"": 0.0}
    for bus in order:
        parent, r_pu, x_pu = before[bus]
        drops[bus] = drops[parent] + r_pu * p[bus] + x_pu * q[bus]
    del drops[""]
    return drops


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
FEWEST_LINES_OF_LEVEL = 5


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
    is_odd = len(level.lines) >= FEWEST_LINES_OF_LEVEL and (drop > limit or _is_too_short(level, ohm))
    most = OUTSTANDING * ohm if is_odd else 0.0  # on an odd level only lines that stand out even there
    odd = [k for k, line in enumerate(level.lines) if drops[k] > LINE_DROP_MAX and line.ohm > most]
    return _Measure(drops, ohm, drop, is_odd, tuple(odd))


def _is_too_short(level: _Level, median_ohm: float) -> bool:
    return level.vn_kv >= MEDIUM_VOLTAGE_KV and median_ohm < MEDIAN_OHM_MIN


def _stands_out(level: _Level, power: _Power, found: _Measure) -> bool:
    drop, ratio = level.drop(found.median_ohm, power.share_kva), power.kva / _middling(level)
    return len(level.lines) >= FEWEST_LINES_OF_LEVEL and drop > MEDIAN_DROP_MAX and ratio > OUTSTANDING


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
    for bus in grid.sources["bus"].to_list():
        if bus in number:
            count[feeder[number[bus]]] = count.get(feeder[number[bus]], 0) + 1
    for fr, to, closed in rows(grid.transformers, "from_bus", "to_bus", "closed"):
        if closed and fr in number and to in number and vn[number[fr]] != vn[number[to]]:
            low = min(number[fr], number[to], key=vn.__getitem__)
            count[feeder[low]] = count.get(feeder[low], 0) + 1
    return count


# Loads at medium voltage are hardly kilowatts where none reaches this. Over the published cases, and examples of
# pandapower and SimBench, the largest load of a grid is never below 2 kVA, at medium voltage never below 29.
LEAST_KVA_MEDIUM = 1.0
# Loads at any voltage are where none reaches this, and lines would drop less than LEAST_DROP.
LEAST_KVA = 20.0
# Drop per unit of the median line of a voltage level under its whole feeder. Where loads are below LEAST_KVA, at low
# voltage, those grids have 8e-4 and more.
LEAST_DROP_OF_LOADS = 2e-4

_MEANT = "unless that is meant"


def load_doubts(grid: Tables) -> Iterator[Problem]:
    """What the loads as a whole leave in doubt; it changes what every figure means."""
    loads = grid.loads
    if grid.buses.is_empty():
        return  # listed as a fault
    if loads.is_empty():
        yield _doubt("", "the table has no rows, so figures are of a grid without load", f"Add the loads, {_MEANT}")
        return
    kva = np.hypot(loads["p_kw"].to_numpy(), loads["q_kvar"].to_numpy())
    if not np.isfinite(kva).all():
        return  # listed as a fault
    if kva.max() == 0:
        yield _doubt("p_kw", "all loads are 0, so figures are of a grid without load", f"Give the loads, {_MEANT}")
    elif _are_too_small(grid, kva):
        most, largest = max(zip(kva.tolist(), loads["name"].to_list(), strict=True))
        message = f"all loads together are {kva.sum():.3g} kVA, the largest, {largest!r}, {most:.3g} kVA"
        yield _doubt("p_kw", message, "Give kilowatts: if these are MW and Mvar, multiply p_kw and q_kvar by 1000")


def _are_too_small(grid: Tables, kva: Floats) -> bool:
    if not (kva < LEAST_KVA).all():
        return False
    level = dict(rows(grid.buses, "name", "vn_kv"))
    vn_kv = [level.get(bus, 0.0) for bus in grid.loads["bus"].to_list()]
    if min(vn_kv) >= MEDIUM_VOLTAGE_KV and (kva < LEAST_KVA_MEDIUM).all():
        return True
    drops = median_drops(grid)
    return bool(drops) and max(drops) < LEAST_DROP_OF_LOADS


def _doubt(column: str, message: str, remedy: str) -> Problem:
    return Problem("loads", "", column, message, remedy, "warning", changes_figures=True)
