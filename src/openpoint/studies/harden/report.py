"""The report of a hardening: what to buy, what it costs, and every disaster after it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import polars as pl

from openpoint.errors import OptionError
from openpoint.names import join_names
from openpoint.report.charts import convergence_sheet
from openpoint.report.drawing import Chart, Dots, Layer, Panel, Shape, Sheet, Sign, at
from openpoint.report.grids import CLOSES, OPEN, OPEN_POINT, OPENS, GridFrame, grid_frame, rings
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import figures, names_and_more, number, usd
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.harden.scene import SHED_KW, After, HardenScene, build_harden_scene

PANELS = 6
"""Disasters in one picture."""
_BROKEN = Sign("broken", "cross", "", "@broken", 10.0, 3.0, line="@broken", thick=1.6, dash=(2.0, 3.0))
_HARDENED = Sign("hardened", "plus", "@hardened", "@hardened", 12.0, 3.0)
_SIGNS = {"close": CLOSES, "open": OPENS}


def after_sheet(result: HardenResult, scene: HardenScene, most: int) -> Sheet:
    """The grid after so many of the disasters that weigh most.

    Raises:
        OptionError: no plan was found.
    """
    if not scene.after:
        raise OptionError("No plan was found, so there is no grid after a disaster to draw")
    shown = []
    for k, after in enumerate(scene.after[:most]):
        text = f"{after.headline}; {int(after.broken.sum())} branches broken. The tables below hold all numbers."
        caption = f"{after.headline}, {usd(after.cost_usd)}"
        shown.append(Panel(f"grid-{k}", after_chart(scene, after), caption, text))
    note = "A colour is an island; beside a line stands what it carries; a hollow generator stands still."
    if (left := len(scene.after) - most) > 0:
        note += f" {left} more disasters that weigh less are not drawn."
    return Sheet(headline(result), tuple(shown), _signs(scene), note=note)


def _signs(scene: HardenScene) -> tuple[Sign, ...]:
    """Symbols in words."""
    fed, island = scene.island_colour(1), scene.island_colour(len(scene.sources) + 1)
    signs = [Sign("substation", "square", fed, "@ink", width=1.2)]
    if scene.generators:
        signs.append(Sign("backup generator", "diamond", island, "@ink", 14.0, 1.2))
    if scene.hardened:
        signs.append(_HARDENED)
    signs += [_BROKEN, CLOSES, OPENS, OPEN_POINT, Sign("load shed", "ring", "", "@broken", 12.0)]
    signs.append(Sign("without supply", "circle", "@paper", "@dead"))
    return tuple(signs)


def headline(result: HardenResult) -> str:
    """What is bought and what it costs, in one line."""
    title = result.title
    if result.cost_usd is None:
        return f"{title}: no plan found"
    lines, units = len(result.hardened_branches), len(result.generators)
    bought = f"{lines} hardened line{'s' * (lines != 1)}, {units} backup generator{'s' * (units != 1)}"
    return f"{title}: {bought}, cost ${result.cost_usd:,.2f}"


_WIDTHS = 5


def after_chart(scene: HardenScene, after: After) -> Chart:
    """The grid after one disaster; hovering a bus or a branch shows its figures."""
    frame = grid_frame(scene.layout, 620)
    texts = [_branch_text(scene, after, e) for e in range(len(scene.branch_names))]
    shed = np.flatnonzero(after.shed > SHED_KW).tolist()
    first = list(dict.fromkeys([*scene.generators, *scene.sources, *sorted(shed, key=lambda n: -after.shed[n])]))
    return frame.chart(
        [
            *_lines(scene, after, frame, texts),
            *_buses(scene, after, frame, shed),
            *_symbols(scene, after, frame, texts),
            *_powers(scene, after, frame),
            *frame.bus_names(_texts(scene, after), _inks(after), first),
        ]
    )


def _lines(scene: HardenScene, after: After, frame: GridFrame, texts: list[str]) -> list[Layer]:
    layers: list[Layer] = [*frame.ways(sorted(scene.hardened), "@hardened", 13, opacity=0.35)]
    island = np.array([int(max(after.island[a], after.island[b])) for a, b in scene.ends])
    share = np.nan_to_num(np.abs(after.p)) / scene.p_max
    rank = np.minimum((share * _WIDTHS).astype(int), _WIDTHS - 1)
    for isle in sorted(set(island.tolist())):
        for k in range(_WIDTHS):
            chosen = np.flatnonzero(after.closed & (rank == k) & (island == isle)).tolist()
            layers += frame.ways(chosen, scene.island_colour(isle), 1.4 + 4.6 * (k + 0.5) / _WIDTHS, hover=texts)
    loose = np.flatnonzero(~after.closed & ~after.broken).tolist()
    layers += frame.ways(loose, "@loose", 1.6, dash=OPEN, hover=texts)
    return layers + frame.ways(np.flatnonzero(after.broken).tolist(), "@broken", 1.6, dash=(2.0, 3.0), hover=texts)


def _powers(scene: HardenScene, after: After, frame: GridFrame) -> list[Layer]:
    """What the closed branches carry, in kW, beside them; those with a symbol have it beside that."""
    marked = set(after.switched) | scene.hardened
    shown = [e for e in np.flatnonzero(after.closed & np.isfinite(after.p)).tolist() if e not in marked]
    shown.sort(key=lambda e: -abs(after.p[e]))
    return frame.named(frame.marks(shown), [_power(after, e) for e in shown], ["@soft"] * len(shown), 4.0)


def _power(after: After, e: int) -> str:
    """What a branch carries, in kW; empty where it is open or nobody knows."""
    return f"{figures(abs(after.p[e]), 3)} kW" if after.closed[e] and np.isfinite(after.p[e]) else ""


def _branch_text(scene: HardenScene, after: After, e: int) -> str:
    a, b = scene.ends[e]
    state = "broken" if after.broken[e] else "closed" if after.closed[e] else "open"
    todo = {"close": ", to be closed", "open": ", to be opened", "": ""}[after.switching[e]]
    rows = [
        f"branch {shorten(scene.branch_names[e], 40)}",
        f"{shorten(scene.bus_names[a], 40)} – {shorten(scene.bus_names[b], 40)}",
        state + todo + (", hardened" if e in scene.hardened else ""),
    ]
    if after.closed[e]:
        for value, unit, what in (
            (after.p[e], "kW", "power"),
            (after.q[e], "kvar", "reactive"),
            (after.i[e], "A", "current"),
            (after.loading[e], "%", "loading"),
        ):
            if np.isfinite(value):
                rows.append(f"{what} {figures(value)} {unit}")
    return "\n".join(rows)


def _buses(scene: HardenScene, after: After, frame: GridFrame, shed: list[int]) -> list[Layer]:
    n = len(scene.bus_names)
    units = {unit.bus: unit for unit in after.units}
    size = 7 if n > 60 else 10
    share = [min(1.0, after.shed[i] / max(after.load[i], 1e-9)) for i in shed]
    layers = rings(frame, shed, size + 9, tuple(round(1.0 + 1.8 * s, 2) for s in share))
    shapes: tuple[tuple[str, Shape, int], ...] = (("source", "square", 5), ("unit", "diamond", 5), ("bus", "circle", 0))
    for kind, shape, larger in shapes:
        buses = [i for i in range(n) if kind == ("source" if i in scene.sources else "unit" if i in units else "bus")]
        if not buses:
            continue
        colours = [scene.island_colour(int(after.island[i])) for i in buses]
        idle = [after.island[i] == 0 or (i in units and not units[i].runs) for i in buses]
        layers.append(
            Dots(
                *frame.places(buses),
                size + larger,
                tuple("@paper" if empty else colour for colour, empty in zip(colours, idle, strict=True)),
                shape,
                edge=tuple(c if empty else "@ink" for c, empty in zip(colours, idle, strict=True)),
                width=1.4,
                hover=tuple(_bus_text(scene, after, i) for i in buses),
            )
        )
    return layers


def _bus_text(scene: HardenScene, after: After, i: int) -> str:
    source = " (substation)" if i in scene.sources else ""
    rows = [f"bus {shorten(scene.bus_names[i], 40)}{source}"]
    rows.append(f"island {after.island[i]}" if after.island[i] else "without supply")
    if np.isfinite(after.v[i]):
        rows.append(f"voltage {after.v[i]:.5f} pu")
    if after.load[i] > 0.0:
        rows.append(f"load {figures(after.load[i])} kW")
    if after.shed[i] > SHED_KW:
        rows.append(f"shed {figures(after.shed[i])} kW")
    for unit in after.units:
        if unit.bus == i:
            how = "forms the island" if unit.forms_grid else "follows the grid" if unit.runs else "stands still"
            rows.append(f"backup generator {how}: {figures(unit.p_kw)} kW, {figures(unit.q_kvar)} kvar")
    return "\n".join(rows)


def _symbols(scene: HardenScene, after: After, frame: GridFrame, texts: list[str]) -> list[Layer]:
    """Crosses on what is broken, circles on what is switched or open, with their names."""
    shown = sorted(set(np.flatnonzero(~after.closed).tolist()) | set(after.switched) | scene.hardened)
    if not shown:
        return []
    shown.sort(key=lambda e: not (after.broken[e] or e in after.switched))
    signs = [symbol(after, e, hardened=e in scene.hardened) for e in shown]
    colours = tuple(sign.edge for sign in signs)
    spots = frame.marks(shown)
    dots = Dots(
        *frame.spots(spots),
        tuple(sign.size for sign in signs),
        tuple(sign.fill for sign in signs),
        tuple(sign.shape or "circle" for sign in signs),
        edge=colours,
        width=tuple(sign.width for sign in signs),
        hover=at(texts, shown),
    )
    names = [": ".join(filter(None, (shorten(scene.branch_names[e], 9), _power(after, e)))) for e in shown]
    return [dots, *frame.named(spots, names, colours, 12.0)]


def _texts(scene: HardenScene, after: After) -> list[str]:
    """Names of the buses, with the load shed."""
    return [
        shorten(name) + (f" −{figures(after.shed[i], 3)} kW" if after.shed[i] > SHED_KW else "")
        for i, name in enumerate(scene.bus_names)
    ]


def _inks(after: After) -> list[str]:
    return ["@broken" if shed > SHED_KW else "@soft" for shed in after.shed]


def symbol(after: After, e: int, *, hardened: bool) -> Sign:
    """How a branch is marked."""
    if after.broken[e]:
        return _BROKEN
    if after.switching[e]:
        return _SIGNS[after.switching[e]]
    return _HARDENED if hardened and after.closed[e] else OPEN_POINT


PICTURES: Mapping[str, Callable[[HardenResult], Sheet]] = {
    "grid": lambda result: after_sheet(result, build_harden_scene(result), PANELS),
    "convergence": convergence_sheet,
}
"""The grid after the disasters that weigh most, the bounds over time."""


DRAWN = 12
"""Disasters drawn in the page: each picture weighs some ten kilobytes."""


def page(result: HardenResult) -> m.Page:
    """The report of a result."""
    scene = cache(lambda: build_harden_scene(result))
    at_loads = "{} rows: after each such disaster a load of the set at which the operating point breaks limits"
    parts = [
        _cards(result),
        _plan(result),
        _violations(result),
        _disasters(result),
        t.table_section(
            "Loads that break limits", result, "witnesses", at_loads, ["disaster", "name", "bus"], search=True
        ),
        _value(result),
        lambda: _pictures(result, scene()),
        lambda: _switching(scene()),
        lambda: s.convergence_section(result),
        lambda: _tables(result),
    ]
    return s.answer_page(result, "hardening", parts, none="No plan found")


def _cards(result: HardenResult) -> m.Cards:
    outage = None
    if result.cost_usd is not None and result.investment_usd is not None:
        outage = result.cost_usd - result.investment_usd
    word = "the worst attack" if result.any_lines is not None else "outages, expected"
    saved = ""
    if result.without_plan_usd is not None and result.cost_usd is not None:
        saved = f"without a plan {usd(result.without_plan_usd)}"
    bought = [*(f"line {name}" for name in result.hardened_branches), *(f"backup at {b}" for b in result.generators)]
    shed = result.disasters["shed_kw"].drop_nulls()
    worst = "–" if shed.is_empty() else f"{number(float(shed.max() or 0.0), 1)} kW"  # type: ignore[arg-type]
    broken = result.violations.height
    kept = f"{broken} limits broken, see below." if broken else "All limits asked for hold."
    attack = [m.Card("Worst attack after that", join_names(result.worst_attack))] if result.worst_attack else []
    held = result.for_every_counts
    shares = f"{held['proved']} of {sum(held.values())} proved", f"{held['disproved']} disproved, {held['open']} open"
    every = [m.Card(f"For every {result.for_every}", shares[0], (shares[1],))] if result.for_every else []
    return m.cards(
        m.Card("Cost", usd(result.cost_usd), (f"investment {usd(result.investment_usd)}, {word} {usd(outage)}", saved)),
        m.Card("Plan", names_and_more(bought, 8) or "Nothing to buy"),
        *attack,
        m.Card("Most load shed after a disaster", worst, (result.uncertainty,)),
        s.gap_card(result, f"lower bound {usd(result.lower_bound_usd)}"),
        *every,
        s.check_card(result.ac_max_mismatch_pu, "" if result.cost_usd is None else kept),
        s.effort_card(result),
    )


def _plan(result: HardenResult) -> m.Section | None:
    if result.cost_usd is None:
        return None
    branches = result.grid.branches().filter(pl.col("name").is_in(result.hardened_branches))
    ends = branches.select("name", "from_bus", "to_bus").iter_rows()
    rows: list[tuple[m.Cell, ...]] = [("harden line", name, f"{a} – {b}") for name, a, b in ends]
    rows += [("buy backup generator", f"at bus {bus}", bus) for bus in result.generators]
    if not rows:
        return m.section("Plan", m.Words("Nothing: no investment pays for itself within the limits given."))
    caption = f"{len(rows)} to buy, {usd(result.investment_usd)}"
    return m.section("Plan", t.table("plan", caption, ("what to do", "where", "buses"), rows))


def _violations(result: HardenResult) -> m.Section | None:
    text = (
        "The plan is optimal for a linear power flow without losses; the exact AC power flow shows what that leaves "
        "out. Tighter limits or a smaller generator leave room for it."
    )
    caption, names = "{} limits that the AC power flow breaks", ["disaster", "kind", "name", "value", "limit", "unit"]
    return t.table_section(
        "Limits", result, "violations", caption, names, identity="broken", above=m.Words(text), long=False
    )


def _disasters(result: HardenResult) -> m.Section | None:
    frame = result.disasters
    hidden = {"weight"} if frame["weight"].equals(frame["probability"]) else set()
    hidden |= set() if (frame["count"] > 1).any() else {"count"}
    caption = "{} distinct disasters" if result.any_lines is None else "The worst attack on the plan"
    text = "The weight is the probability that counts: the worst that the ambiguity allows."
    weighed = "weight" not in hidden and bool(frame["weight"].is_not_null().any())
    return t.table_section(
        "Disasters",
        result,
        "disasters",
        caption,
        ["disaster", *(["for_every"] if result.for_every else [])],
        frame=frame.drop(hidden),
        last=["for_every_limit", "broken"],
        search=frame.height > 12,
        above=m.Words(text, small=True) if weighed else None,
    )


def _pictures(result: HardenResult, scene: HardenScene) -> m.Section | None:
    if not scene.after:
        return None
    alt = "The grid after the disasters that weigh most; the tables below hold all numbers."
    picture = s.still(result.grid, lambda: after_sheet(result, scene, PANELS), alt)
    sheet = after_sheet(result, scene, DRAWN)
    return s.sheet_section("After the disasters", sheet, layout=scene.layout, picture=picture)


def _switching(scene: HardenScene) -> m.Section | None:
    rows: list[tuple[m.Cell, ...]] = []
    for after in scene.after:
        for e in after.switched:
            a, b = (scene.bus_names[i] for i in scene.ends[e])
            rows.append((after.name, f"{after.switching[e]}s", scene.branch_names[e], a, b))
        for unit in after.units:
            if unit.runs:
                how = "forms an island" if unit.forms_grid else "runs with the grid"
                rows.append((after.name, how, "backup generator", scene.bus_names[unit.bus], f"{unit.p_kw:,.1f} kW"))
    if not rows:
        return None
    columns = ("disaster", "action", "branch or unit", "from bus", "to bus, or power")
    text = "After a disaster: isolate what is broken, then do this. The list is no order of switching."
    caption = f"{len(rows)} actions after {len({row[0] for row in rows})} disasters"
    listed = t.table("switching", caption, columns, rows, search=len(rows) > 12, low=True)
    return m.section("What to do after a disaster", listed, m.Words(text, small=True), long=len(rows) > 30)


def _value(result: HardenResult) -> m.Section | None:
    if result.wait_and_see_usd is None:
        return None
    cost = result.cost_usd or 0.0
    plans = [
        ("this plan", cost, "one plan for all disasters"),
        (
            "another plan for each disaster",
            result.wait_and_see_usd,
            "wait-and-see: the difference is the expected value of perfect information",
        ),
        ("the best plan for the most likely disaster", result.most_likely_plan_usd, "in all disasters"),
        (
            "the best plan for the mean disaster",
            result.mean_value_plan_usd,
            "in all disasters: the difference is the value of the stochastic solution",
        ),
    ]
    if result.without_plan_usd is not None:
        plans.append(("no plan", result.without_plan_usd, "nothing is bought"))
    rows = [(plan, usd_, None if usd_ is None else usd_ - cost, what) for plan, usd_, what in plans]
    columns: list[t.Heading] = ["plan", m.Column("cost, $", 2), m.Column("against this plan, $", 2), "what that is"]
    return m.section("What the plan is worth", t.table("value", "Costs in all disasters", columns, rows))


def _tables(result: HardenResult) -> list[m.Section | None]:
    flows = ["i_a", "loading_percent", "loss_kw"]  # behind the powers
    named = {"disaster": "disaster", "name": "name"}
    ends = {"from_bus": "from bus", "to_bus": "to bus", "state": "state", "switching": "switching"}
    sources = {"disaster": "disaster", "kind": "kind", "name": "name", "bus": "bus"}
    frames = (
        ("buses", result.buses, named),
        ("branches", result.branches.select(pl.exclude(flows), *flows), named | ends),
        ("sources", result.sources, sources),
    )
    caption = "{} rows, exact AC power flow"
    return [
        t.table_section(name.capitalize(), result, name, caption, texts, frame=frame, search=True)
        for name, frame, texts in frames
    ]
