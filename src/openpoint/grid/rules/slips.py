"""Doubts about slips of a hurried hand: figures that are allowed one by one and hardly meant together.

Voltages of sources in kilovolts, ratings a thousand times too large or too small, active and reactive power exchanged,
a bus whose voltage limits leave no room, loads that today's feeders cannot carry. The figures of the limits stand
between those of the published cases, of pandapower's and SimBench's examples, and of the same grids with such a slip.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator

import polars as pl

from openpoint.errors import Problem
from openpoint.grid.rules.rows import rows
from openpoint.grid.rules.rule import Rule
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
    held = {*grid.sources["bus"], *grid.generators.filter(pl.col("v_pu").is_not_null())["bus"]}
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
    fed = {level.get(bus) for bus in grid.sources["bus"]}
    sizes = [(level.get(bus) in fed, math.hypot(p, q)) for bus, p, q in rows(grid.loads, "bus", "p_kw", "q_kvar")]
    return sum(size for at, size in sizes if at) >= 0.5 * sum(size for _, size in sizes)


def _swapped(grid: Tables) -> Iterator[Problem]:
    loads = [
        (abs(p), abs(q)) for p, q in rows(grid.loads.filter(pl.col("model") == "power"), "p_kw", "q_kvar") if p or q
    ]
    more = sum(q > p for p, q in loads)
    together = SWAPPED_RATIO * sum(p for p, _ in loads) < sum(q for _, q in loads)
    if len(loads) >= FEWEST_LOADS and together and more >= SWAPPED * len(loads):
        message = f"in {more} of {len(loads)} loads the reactive power is greater than the active power"
        remedy = "Check whether p_kw and q_kvar are exchanged"
        yield Problem("loads", "", "q_kvar", message, remedy, "warning", changes_figures=True)


def drop_doubts(grid: Tables) -> Iterator[Problem]:
    """Voltages that, by the linear formula and today's branches, drop beyond what a power flow reaches, or hardly."""
    if not set(grid.buses["phases"]) <= {"1"}:
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
        frame = grid.tables()[kind].filter("closed")
        impedance = kind != "switches"
        r = frame["r_ohm"].to_list() if impedance else [0.0] * frame.height
        x = frame["x_ohm"].to_list() if impedance else [0.0] * frame.height
        for fr, to, ohm, reactance in zip(frame["from_bus"].to_list(), frame["to_bus"].to_list(), r, x, strict=True):
            kv = level.get(to, 0.0)
            if fr not in level or kv <= 0:
                return {}
            own = [each[0] if isinstance(each, list) and each else each for each in (ohm, reactance)]
            if not all(isinstance(each, float) and math.isfinite(each) for each in own):
                return {}
            pu = own[0] / kv / kv / 1e3, own[1] / kv / kv / 1e3  # per unit for a kW
            near[fr].append((to, *pu))
            near[to].append((fr, *pu))
            count += 1
    order: list[str] = []
    before: dict[str, tuple[str, float, float]] = {}
    for source in dict.fromkeys(grid.sources["bus"]):
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
