"""The report of a hardening: what to buy, what it costs, and every disaster after it."""

from __future__ import annotations

import polars as pl

from openpoint.report.numerals import names_and_more, number, usd
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.harden.pictures import PANELS, after_sheet
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.harden.scene import HardenScene, build_harden_scene

PICTURES = 12
"""Disasters drawn in the page: each picture weighs some ten kilobytes."""


def page(result: HardenResult) -> m.Page:
    """The report of a result."""
    scene = build_harden_scene(result)
    parts = [
        _cards(result),
        _plan(result),
        _violations(result),
        _disasters(result),
        _pictures(result, scene),
        _switching(scene),
        _value(result),
        s.convergence_section(result),
        _tables(result),
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
    kept = f"{broken} limits broken, see below." if broken else "All limits hold."
    return m.cards(
        m.Card("Cost", usd(result.cost_usd), (f"investment {usd(result.investment_usd)}, {word} {usd(outage)}", saved)),
        m.Card("Plan", names_and_more(bought, 8) or "Nothing to buy"),
        m.Card("Most load shed after a disaster", worst, (result.uncertainty,)),
        s.gap_card(result, f"lower bound {usd(result.lower_bound_usd)}"),
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
        ["disaster"],
        frame=frame.drop(hidden),
        last=["broken"],
        search=frame.height > 12,
        above=m.Words(text, small=True) if weighed else None,
    )


def _pictures(result: HardenResult, scene: HardenScene) -> m.Section | None:
    if not scene.after:
        return None
    alt = "The grid after the disasters that weigh most; the tables below hold all numbers."
    picture = s.still(result.grid, lambda: after_sheet(result, scene, PANELS), alt)
    sheet = after_sheet(result, scene, PICTURES)
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


html = html_for(page)
