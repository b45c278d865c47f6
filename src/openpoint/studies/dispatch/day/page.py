"""The report of a dispatch over a day: the timeline, cost by part, what is decided when, the grid, and all tables."""

from __future__ import annotations

import math

import polars as pl

from openpoint.report.numerals import number, usd
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.dispatch.day import pictures
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.scene import day_scene
from openpoint.studies.dispatch.day.schema import CASES


def page(result: DispatchDayResult) -> m.Page:
    """The report of a result."""
    scene = day_scene(result)
    text = "Voltages are the lowest, currents the highest of the day."
    parts = [
        _cards(result),
        _limits(result),
        s.sheet_section("Timeline", pictures.timeline(result), long=True),
        t.table_section("Cost by part", result, "costs", "Of the day", ["part"], last=["definition"], long=False),
        _decided(result),
        _switching(result),
        s.grid_section(scene, pictures.grid(result, scene), note=text),
        _futures(result),
        _uncertainty(result),
        _samples(result),
        s.convergence_section(result),
        _tables(result),
    ]
    what = f"dispatch over the rest of a day, from {result.now} on" if result.hours_passed else "dispatch over a day"
    return s.answer_page(result, what, parts, none="No plan found")


def _cards(result: DispatchDayResult) -> m.Cards:
    def of(figure: str, digits: int, unit: str) -> str:
        return " → ".join(number(result.total(figure, case), digits) for case in CASES) + f" {unit}"

    bound = f"lower bound {usd(result.lower_bound_usd)}" if math.isfinite(result.lower_bound_usd) else ""
    costs = " → ".join(usd(result.total("cost_usd", case)) for case in CASES)
    lowest = " → ".join(number(result.total("v_min_pu", case), 4) for case in CASES)
    highest = " → ".join(number(result.total("v_max_pu", case), 4) for case in CASES)
    broken = (
        f"today {result.violations_today} limits are broken"
        if result.violations_today
        else "also today all limits hold"
    )
    kept = "All limits hold." if result.has_answer and not result.violations else ""
    balance = "" if result.balance_max_kw is None else f"energy balance to {result.balance_max_kw:.0e} kW"
    return m.cards(
        m.Card("Cost: today → forecast → worst", costs, (f"minimised {result.objective_means}",)),
        m.Card("To do", f"{result.operations} to switch" if result.has_answer else "–", (result.to_do(),)),
        s.gap_card(result, bound),
        m.Card("Energy bought", of("purchased_kwh", 0, "kWh"), (f"lost {of('loss_kwh', 0, 'kWh')}",)),
        m.Card("Voltages", f"{lowest} pu", (f"highest {highest} pu", broken)),
        m.Card("Uncertain", "; ".join(result.uncertain) or "nothing", (_not_served(result),)),
        s.check_card(result.ac_max_mismatch_pu, kept, balance),
        s.effort_card(result, result.why_method),
    )


def _not_served(result: DispatchDayResult) -> str:
    shed, lost = result.total("shed_kwh", "worst"), result.total("curtailed_kwh", "worst")
    return f"at worst {number(shed, 1)} kWh of load shed, {number(lost, 1)} kWh of renewables not taken"


def _decided(result: DispatchDayResult) -> m.Section:
    listed = t.table("decided", "What is decided when", ["what", "when", "in words"], result.decided.iter_rows())
    return m.section("What is decided when", listed)


def _switching(result: DispatchDayResult) -> m.Section | None:
    if not result.has_answer:
        return None
    if result.switches.is_empty():
        return m.section("Switching list", m.Words("Nothing to switch: the open points stay where they are all day."))
    shown = result.switches.with_columns(
        pl.col("kind").replace_strict(t.KINDS), pl.col("action").replace_strict({"close": "closes", "open": "opens"})
    )
    texts = {
        "period": "period",
        "action": "action",
        "name": "branch",
        "kind": "kind",
        "from_bus": "from bus",
        "to_bus": "to bus",
    }
    caption = "{} operations, the first period against today"
    below = m.Words("Not an order of switching within a period.", small=True)
    return t.table_section("Switching list", result, "switches", caption, texts, frame=shown, below=below, long=False)


def _uncertainty(result: DispatchDayResult) -> m.Section | None:
    deviating = result.uncertainty.filter("deviates")
    if not result.uncertainty.height:
        return None
    title = "The dearest future" if result.futures.height else "The worst realisation"
    if deviating.is_empty():
        return m.section(title, m.Words("Nothing deviates in it, or there is no plan."))
    texts = ["period", "quantity", "group"]
    return t.table_section(title, result, "uncertainty", "What deviates", texts, frame=deviating)


def _futures(result: DispatchDayResult) -> m.Section | None:
    if result.futures.is_empty():
        return None
    caption = f"The answer in each future, by exact AC power flow; minimised: {result.risk}"
    return t.table_section(
        "Futures", result, "futures", caption, ["future"], search=True, above=s.shown(pictures.futures(result))
    )


def _samples(result: DispatchDayResult) -> m.Section | None:
    if result.samples.is_empty():
        return None
    drawn = s.shown(pictures.samples(result)) if result.samples["plan"].n_unique() > 1 else None
    caption = "Each plan operated in the same days drawn at random, whatever the budget is, by exact AC power flow"
    return t.table_section("Out of sample", result, "samples", caption, ["plan"], above=drawn)


def _limits(result: DispatchDayResult) -> m.Section | None:
    if not result.violations:
        return None
    rows = [
        (each.case, each.period, each.kind, each.name, each.value, each.limit, each.unit) for each in result.violations
    ]
    columns: list[t.Heading] = [
        "case",
        "period",
        "limit",
        "where",
        m.Column("value", 4),
        m.Column("limit is", 4),
        "unit",
    ]
    caption = "Limits broken by the answer" if result.has_answer else "Limits broken by the plan of least violation"
    text = m.Words("Relax these limits, free more, or reinforce here.")
    return m.section("Limits", text, t.table("broken", f"{caption} ({len(rows)})", columns, rows, low=True), long=True)


def _tables(result: DispatchDayResult) -> list[m.Section | None]:
    shown: tuple[tuple[str, str, pl.DataFrame, list[str]], ...] = (
        ("Periods", "periods", result.periods, ["period", "case"]),
        ("Stores", "stores", result.stores.filter("present"), ["period", "name", "kind", "bus"]),
        ("Generators", "generators", result.generators.filter("on"), ["period", "name", "bus"]),
        ("Renewable sources", "renewables", result.renewables, ["period", "case", "name", "kind", "bus"]),
        ("Sources", "sources", result.sources, ["period", "case", "name", "bus"]),
        ("Devices", "devices", result.devices, ["period", "kind", "name"]),
        ("Branches", "branches", result.branches, ["name", "from_bus", "to_bus"]),
    )
    return [
        t.table_section(heading, result, name, "{} rows", texts, frame=frame, search=True)
        for heading, name, frame, texts in shown
    ]


html = html_for(page)
