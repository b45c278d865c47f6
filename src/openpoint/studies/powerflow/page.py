"""The report of a power flow."""

from __future__ import annotations

from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.results.violation import phase_words
from openpoint.studies.powerflow.pictures import grid, powerflow_scene
from openpoint.studies.powerflow.result import PowerflowResult


def page(result: PowerflowResult) -> m.Page:
    """The report of a result."""
    scene = powerflow_scene(result)
    broken = s.violation_table("broken", "Limits broken", result.violations)
    parts = [
        _banner(len(result.violations)),
        s.remarks(result.notes),
        _cards(result),
        m.section("Limits", broken, long=True) if broken else None,
        s.grid_section(scene, grid(result, scene)),
        s.profiles(scene),
        t.place_tables(scene, result.shape, result.buses, result.branches),
        t.table_section("Sources", result, "sources", "What they deliver", ["name", "bus"], long=False),
        s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "power flow", parts)


def _banner(broken: int) -> m.Banner:
    if broken:
        return m.Banner("warn", f"{broken} limit{'s' * (broken > 1)} broken.", "See below.")
    return m.Banner("good", "All limits hold.", "")


def _cards(result: PowerflowResult) -> m.Cards:
    sent, reactive = (float(result.sources[name].sum()) for name in ("p_kw", "q_kvar"))
    low, high = (
        f"at bus {bus}{phase_words(phase)}"
        for bus, phase in ((result.v_min_bus, result.v_min_phase), (result.v_max_bus, result.v_max_phase))
    )
    share = f"{result.loss_kw / sent:.2%} of what the sources deliver" if sent > 0.0 else ""
    return m.cards(
        m.Card("Loss", f"{number(result.loss_kw)} kW", (share,)),
        m.Card("Lowest voltage", f"{result.v_min_pu:.5f} pu", (low,)),
        m.Card("Highest voltage", f"{result.v_max_pu:.5f} pu", (high,)),
        m.Card("Delivered by the sources", f"{number(sent, 1)} kW", (f"{number(reactive, 1)} kvar",)),
        s.check_card(result.ac_max_mismatch_pu),
    )


html = html_for(page)
