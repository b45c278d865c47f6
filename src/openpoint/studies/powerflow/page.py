"""The report of a power flow."""

from __future__ import annotations

from openpoint.report.numerals import number
from openpoint.report.page.model import Banner, Card, Cards, Column, Page, page_of, section
from openpoint.report.page.sections import (
    Heading,
    check_card,
    doubts,
    grid_section,
    place_tables,
    profiles,
    remarks,
    still,
    table,
    violation_table,
)
from openpoint.results.violation import phase_words
from openpoint.studies.powerflow.pictures.figures import draw_scene
from openpoint.studies.powerflow.pictures.scene import powerflow_scene
from openpoint.studies.powerflow.result import PowerflowResult

_BUSES = (
    ("vn_kv", "nominal, kV", 3),
    ("v_min_pu", "limit low, pu", 4),
    ("v_max_pu", "limit high, pu", 4),
    ("v_pu", "voltage, pu", 5),
    ("angle_degree", "angle, °", 4),
)
_BRANCHES = (
    ("i_max_a", "limit, A", 1),
    ("i_a", "current, A", 2),
    ("loading_percent", "loading, %", 1),
    ("p_from_kw", "P, kW", 2),
    ("q_from_kvar", "Q, kvar", 2),
    ("loss_kw", "loss, kW", 3),
)


def page(result: PowerflowResult) -> Page:
    """The report of a result."""
    scene = powerflow_scene(result)
    broken = violation_table("broken", "Limits broken", result.violations)
    sources = result.sources.select("name", "bus", "p_kw", "q_kvar").iter_rows()
    columns: list[Heading] = ["source", "bus", Column("P, kW", 2), Column("Q, kvar", 2)]
    parts = [
        _banner(len(result.violations)),
        remarks(result.notes),
        _cards(result),
        section("Limits", broken, long=True) if broken else None,
        grid_section(scene, still(result.grid, lambda: draw_scene(result, scene), "The grid; the tables hold all.")),
        profiles(scene),
        place_tables(scene, result.buses, result.branches, _BUSES, _BRANCHES, {"closed": "state"}),
        section("Sources", table("sources", "What they deliver", columns, sources)),
        doubts(result.grid.notes),
    ]
    return page_of(result.grid, "power flow", parts)


def _banner(broken: int) -> Banner:
    if broken:
        return Banner("warn", f"{broken} limit{'s' * (broken > 1)} broken.", "See below.")
    return Banner("good", "All limits hold.", "")


def _cards(result: PowerflowResult) -> Cards:
    sent, reactive = (float(result.sources[name].sum()) for name in ("p_kw", "q_kvar"))
    low, high = (
        f"at bus {bus}{phase_words(phase)}"
        for bus, phase in ((result.v_min_bus, result.v_min_phase), (result.v_max_bus, result.v_max_phase))
    )
    share = f"{result.loss_kw / sent:.2%} of what the sources deliver" if sent > 0.0 else ""
    return Cards(
        (
            Card("Loss", f"{number(result.loss_kw)} kW", (share,)),
            Card("Lowest voltage", f"{result.v_min_pu:.5f} pu", (low,)),
            Card("Highest voltage", f"{result.v_max_pu:.5f} pu", (high,)),
            Card("Delivered by the sources", f"{number(sent, 1)} kW", (f"{number(reactive, 1)} kvar",)),
            check_card(result.ac_max_mismatch_pu),
        )
    )
