"""The sections of the HTML report of a hardening: what to buy, what it costs, and every disaster after it."""

from __future__ import annotations

import base64
import math

import polars as pl

from openpoint.report.chart import charts as plotcharts
from openpoint.report.chart.drawing import Chart
from openpoint.report.chart.frame import is_wide
from openpoint.report.figure.files import encode
from openpoint.report.page.blocks import (
    Cell,
    Column,
    card,
    chart,
    doubts,
    grid_tools,
    number,
    remarks,
    section,
    table,
    text,
    usd,
)
from openpoint.report.page.model import Page
from openpoint.report.page.numerals import figures, method_words, mismatch_words
from openpoint.report.series import convergence, gap_text
from openpoint.studies.harden.pictures import plots as harden_plots
from openpoint.studies.harden.pictures.figures import draw_harden_scene, headline
from openpoint.studies.harden.pictures.scene import After, HardenScene, build_harden_scene
from openpoint.studies.harden.result import HardenResult
from openpoint.twostage.log import Termination

PICTURES = 12
"""Disasters drawn in the page: each picture weighs some ten kilobytes."""
_STILL = 400  # buses up to which a page without scripts shows a picture; beyond it the tables must do


def page(result: HardenResult) -> Page:
    """The report of a result."""
    scene = build_harden_scene(result)
    charts: dict[str, Chart] = {}
    parts = [
        _banner(result),
        remarks(result.notes),
        _cards(result),
        _plan(result),
        _violations(result),
        _disasters(result),
        _pictures(result, scene, charts),
        _switching(scene),
        _value(result),
        _convergence(result, charts),
        _tables(result),
        _run(result),
    ]
    return Page(result.grid, "hardening", "\n".join(part for part in parts if part), charts)


def _banner(result: HardenResult) -> str:
    kind, said = "good", "Solved"
    if result.cost_usd is None:
        kind = "bad"
        said = "Infeasible" if result.termination is Termination.INFEASIBLE else "No plan found"
    elif result.termination not in (Termination.OPTIMAL, Termination.GAP):
        kind, said = "warn", "Stopped early"
    reason = f"{said} ({result.termination.value})." if said.lower() != result.termination.value else f"{said}."
    return f'<p class="banner {kind}"><strong>{text(reason)}</strong> {text(result.in_short)}</p>'


def _cards(result: HardenResult) -> str:
    outage = None
    if result.cost_usd is not None and result.investment_usd is not None:
        outage = result.cost_usd - result.investment_usd
    word = "the worst attack" if result.any_lines is not None else "outages, expected"
    saved = ""
    if result.without_plan_usd is not None and result.cost_usd is not None:
        saved = f"without a plan {usd(result.without_plan_usd)}"
    cost = [f"investment {usd(result.investment_usd)}, {word} {usd(outage)}", saved]
    bought = [*(f"line {name}" for name in result.hardened_branches), *(f"backup at {b}" for b in result.generators)]
    shed = result.disasters["shed_kw"].drop_nulls()
    worst = "–" if shed.is_empty() else f"{number(float(shed.max() or 0.0), 1)} kW"  # type: ignore[arg-type]
    gap = f"{result.gap:.3%}" if math.isfinite(result.gap) else "–"
    broken = result.violations.height
    kept = (
        "" if result.cost_usd is None else "All limits hold." if not broken else f"{broken} limits broken, see below."
    )
    cards = [
        card("Cost", usd(result.cost_usd), *cost),
        card("Plan", ", ".join(bought[:8]) + (" …" if len(bought) > 8 else "") if bought else "Nothing to buy"),
        card("Most load shed after a disaster", worst, result.uncertainty),
        card("Gap between the bounds", gap, f"lower bound {usd(result.lower_bound_usd)}"),
        card("AC check, largest mismatch", mismatch_words(result.ac_max_mismatch_pu), kept),
        card("Method", method_words(result.method), f"{figures(result.seconds, 3)} s"),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _plan(result: HardenResult) -> str:
    if result.cost_usd is None:
        return ""
    branches = result.grid.branches().filter(pl.col("name").is_in(result.hardened_branches))
    ends = branches.select("name", "from_bus", "to_bus").iter_rows()
    rows: list[tuple[Cell, ...]] = [("harden line", name, f"{a} – {b}") for name, a, b in ends]
    rows += [("buy backup generator", f"at bus {bus}", bus) for bus in result.generators]
    if not rows:
        return section("Plan", "<p>Nothing: no investment pays for itself within the limits given.</p>")
    columns = [Column("what to do"), Column("where"), Column("buses")]
    return section("Plan", table("plan", f"{len(rows)} to buy, {usd(result.investment_usd)}", columns, rows))


def _violations(result: HardenResult) -> str:
    if result.violations.is_empty():
        return ""
    columns = [Column(c) for c in ("disaster", "limit broken", "where")]
    columns += [Column("value", 4), Column("limit", 4), Column("unit")]
    rows = result.violations.select("disaster", "kind", "name", "value", "limit", "unit").iter_rows()
    told = (
        "The plan is optimal for a linear power flow without losses; the exact AC power flow shows what that leaves "
        "out. Tighter limits or a smaller generator leave room for it."
    )
    caption = f"{result.violations.height} limits that the AC power flow breaks"
    return section("Limits", f"<p>{text(told)}</p>", table("broken", caption, columns, rows))


def _disasters(result: HardenResult) -> str:
    if result.disasters.is_empty():
        return ""
    numbered = [
        ("count", "equal ones", 0),
        ("probability", "probability", 4),
        ("weight", "weight", 4),
        ("cost_usd", "cost, $", 2),
        ("shed_kw", "shed, kW", 2),
        ("shed_percent", "shed, %", 2),
        ("islands", "islands", 0),
        ("violations", "limits broken", 0),
    ]
    frame = result.disasters
    if frame["weight"].equals(frame["probability"]):
        numbered = [each for each in numbered if each[0] != "weight"]
    numbered = [
        each for each in numbered if frame[each[0]].is_not_null().any() and (each[0] != "count" or _many(frame))
    ]
    columns = [Column("disaster"), *(Column(heading, digits) for _, heading, digits in numbered), Column("broken")]
    rows = frame.select("disaster", *(name for name, _, _ in numbered), "broken").iter_rows()
    more = (
        []
        if "weight" not in {name for name, _, _ in numbered}
        else ['<p class="sub">The weight is the probability that counts: the worst that the ambiguity allows.</p>']
    )
    caption = f"{frame.height} distinct disasters" if result.any_lines is None else "The worst attack on the plan"
    return section("Disasters", *more, table("disasters", caption, columns, rows, search=frame.height > 12), long=True)


def _many(frame: pl.DataFrame) -> bool:
    return bool((frame["count"] > 1).any())


def _pictures(result: HardenResult, scene: HardenScene, charts: dict[str, Chart]) -> str:
    if not scene.after:
        return ""
    panels = []
    for k, after in enumerate(scene.after[:PICTURES]):
        identity = f"grid-{k}"
        charts[identity] = made = harden_plots.after_chart(scene, after)
        told = f"{after.headline}; {int(after.broken.sum())} branches broken. The tables below hold all numbers."
        panels.append(chart(identity, _caption(after), told, made.height))
    beside = "" if is_wide(scene.layout) or len(panels) == 1 else " beside"
    tools = grid_tools()
    left = len(scene.after) - PICTURES
    more = f'<p class="sub">{left} disasters that weigh less are in the tables only.</p>' if left > 0 else ""
    pair = f'<div class="pair{beside}">{"".join(panels)}</div>'
    return section("After the disasters", tools, _legend(scene), pair, more, _still(result, scene))


def _caption(after: After) -> str:
    return f"{after.headline}, ${number(after.cost_usd, 2)}"


def _legend(scene: HardenScene) -> str:
    """Symbols in words, as HTML."""

    def symbol(shape: str) -> str:
        return f'<svg width="26" height="16" viewBox="0 0 26 16" aria-hidden="true">{shape}</svg>'

    def ring(colour: str, fill: str, r: float = 5) -> str:
        return f'<circle cx="13" cy="8" r="{r}" fill="{fill}" stroke="var(--{colour})" stroke-width="2"/>'

    def line(colour: str, width: float, dash: str = "") -> str:
        return f'<path d="M0 8H26" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>'

    fed = scene.island_colour(1)
    island = scene.island_colour(len(scene.sources) + 1)
    cross = '<path d="M9 4L17 12M9 12L17 4" stroke="var(--broken)" stroke-width="2.4"/>'
    plus = '<path d="M13 3V13M8 8H18" stroke="var(--hardened)" stroke-width="3"/>'
    square = f'<rect x="8" y="3" width="10" height="10" fill="{fed}" stroke="var(--ink)" stroke-width="1.2"/>'
    diamond = f'<path d="M13 1L20 8L13 15L6 8Z" fill="{island}" stroke="var(--ink)" stroke-width="1.2"/>'
    items = [(square, "substation")]
    if scene.generators:
        items.append((diamond, "backup generator (hollow: stands still)"))
    if scene.hardened:
        items.append((line("var(--hardened)", 9) + plus, "hardened"))
    items += [
        (line("var(--broken)", 1.6, "2 3") + cross, "broken"),
        (ring("closes", "var(--closes)"), "to be closed"),
        (ring("opens", "var(--paper)"), "to be opened"),
        (line("var(--loose)", 1.4, "4 3") + ring("soft", "var(--paper)", 4), "open point"),
        (ring("broken", "none", 6), "load shed"),
        (line(fed, 5), "fed by a substation"),
    ]
    if scene.generators:
        items.append((line(island, 5), "island of a generator"))
    listed = "".join(f"<li>{symbol(drawing)} {text(name)}</li>" for drawing, name in items)
    return f'<ul class="legend">{listed}</ul>'


def _still(result: HardenResult, scene: HardenScene) -> str:
    """The picture for readers without scripts."""
    if result.grid.buses.height > _STILL:
        return "<noscript><p>The pictures need scripts; all numbers are in the tables below.</p></noscript>"
    figure = draw_harden_scene(scene, headline(result, result.grid.title or result.grid.name))
    data = base64.b64encode(encode(figure, "svg")).decode()
    alt = "The grid after the disasters that weigh most; the tables below hold all numbers."
    return f'<noscript><img alt="{alt}" src="data:image/svg+xml;base64,{data}"></noscript>'


def _switching(scene: HardenScene) -> str:
    rows: list[tuple[Cell, ...]] = []
    for after in scene.after:
        for e in after.switched:
            a, b = (scene.bus_names[i] for i in scene.ends[e])
            rows.append((after.name, f"{after.switching[e]}s", scene.branch_names[e], a, b))
        for unit in after.units:
            if unit.runs:
                how = "forms an island" if unit.forms_grid else "runs with the grid"
                rows.append((after.name, how, "backup generator", scene.bus_names[unit.bus], f"{unit.p_kw:,.1f} kW"))
    if not rows:
        return ""
    columns = [Column(c) for c in ("disaster", "action", "branch or unit", "from bus", "to bus, or power")]
    told = "After a disaster: isolate what is broken, then do this. The list is no order of switching."
    caption = f"{len(rows)} actions after {len({row[0] for row in rows})} disasters"
    content = table("switching", caption, columns, rows, search=len(rows) > 12, low=True)
    return section("What to do after a disaster", content, f'<p class="sub">{text(told)}</p>', long=len(rows) > 30)


def _value(result: HardenResult) -> str:
    if result.wait_and_see_usd is None:
        return ""
    columns = [Column("plan"), Column("cost, $", 2), Column("against this plan, $", 2), Column("what that is")]
    cost = result.cost_usd or 0.0

    def against(value: float | None) -> float | None:
        return None if value is None else value - cost

    rows: list[tuple[Cell, ...]] = [
        ("this plan", cost, 0.0, "one plan for all disasters"),
        (
            "another plan for each disaster",
            result.wait_and_see_usd,
            against(result.wait_and_see_usd),
            "wait-and-see: the difference is the expected value of perfect information",
        ),
        (
            "the best plan for the most likely disaster",
            result.most_likely_plan_usd,
            against(result.most_likely_plan_usd),
            "in all disasters",
        ),
        (
            "the best plan for the mean disaster",
            result.mean_value_plan_usd,
            against(result.mean_value_plan_usd),
            "in all disasters: the difference is the value of the stochastic solution",
        ),
    ]
    if result.without_plan_usd is not None:
        rows.append(("no plan", result.without_plan_usd, against(result.without_plan_usd), "nothing is bought"))
    return section("What the plan is worth", table("value", "Costs in all disasters", columns, rows))


def _convergence(result: HardenResult, charts: dict[str, Chart]) -> str:
    made = plotcharts.convergence_chart(convergence(result.iterations, gap_text(result.gap, result.termination)))
    if made is None:
        return ""
    charts["convergence"] = made
    told = f"Lower and upper bound over time, {gap_text(result.gap, result.termination)}"
    place = chart("convergence", "", told, made.height)
    return section(f"Convergence of the bounds ({gap_text(result.gap, result.termination)})", place)


_TABLES = (
    (
        "buses",
        "Buses",
        ("disaster", "name"),
        (("island", "island", 0), ("load_kw", "load, kW", 2), ("shed_kw", "shed, kW", 2), ("v_pu", "voltage, pu", 5)),
    ),
    (
        "branches",
        "Branches",
        ("disaster", "name", "from_bus", "to_bus", "state", "switching"),
        (
            ("p_from_kw", "P, kW", 2),
            ("q_from_kvar", "Q, kvar", 2),
            ("i_a", "current, A", 2),
            ("loading_percent", "loading, %", 1),
            ("loss_kw", "loss, kW", 3),
        ),
    ),
    (
        "sources",
        "Sources",
        ("disaster", "kind", "name", "bus"),
        (("p_kw", "P, kW", 2), ("q_kvar", "Q, kvar", 2)),
    ),
)


def _tables(result: HardenResult) -> str:
    parts = []
    frames = {"buses": result.buses, "branches": result.branches, "sources": result.sources}
    for identity, heading, texts, numbered in _TABLES:
        frame = frames[identity]
        if frame.is_empty():
            continue
        filled = [each for each in numbered if frame[each[0]].is_not_null().any()]
        columns = [Column(name.replace("_", " ")) for name in texts]
        columns += [Column(title, digits) for _, title, digits in filled]
        rows = frame.select(*texts, *(name for name, _, _ in filled)).iter_rows()
        content = table(identity, f"{frame.height} rows, exact AC power flow", columns, rows, search=True)
        parts.append(section(heading, content, long=True))
    return "\n".join(parts)


def _run(result: HardenResult) -> str:
    parts = [doubts(result.grid.notes)]
    if result.iterations.height:
        numbered = [
            ("number", "iteration", 0),
            ("seconds", "seconds", 3),
            ("lower_bound_usd", "lower bound, $", 3),
            ("upper_bound_usd", "upper bound, $", 3),
            ("value_usd", "value tried, $", 3),
        ]
        columns = [*(Column(heading, digits) for _, heading, digits in numbered), Column("verdict"), Column("mark")]
        rows = result.iterations.select(*(c for c, _, _ in numbered), "verdict", "mark").iter_rows()
        caption = f"{result.iterations.height} iterations"
        parts.append(section("Log of the method", table("iterations", caption, columns, rows), long=True))
    return "\n".join(part for part in parts if part)
