"""The sections of the HTML report of a power flow."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from openpoint.report.chart.drawing import Chart
from openpoint.report.figure.files import encode
from openpoint.report.page.blocks import Cell, Column, card, doubts, number, remarks, section, table
from openpoint.report.page.common import KINDS, filled, grid_section, profiles, violation_table
from openpoint.report.page.model import Page
from openpoint.report.page.numerals import mismatch_words
from openpoint.report.scene import Scene
from openpoint.results.violation import phase_words
from openpoint.studies.powerflow.pictures.figures import draw_powerflow_scene
from openpoint.studies.powerflow.pictures.scene import powerflow_scene
from openpoint.studies.powerflow.result import PowerflowResult

_STILL = 400  # buses up to which a page without scripts shows a picture; beyond it the tables must do


def page(result: PowerflowResult) -> Page:
    """The report of a result."""
    scene = powerflow_scene(result)
    charts: dict[str, Chart] = {}
    broken = violation_table("broken", "Limits broken", result.violations)
    parts = [
        _banner(result),
        remarks(result.notes),
        _cards(result),
        section("Limits", broken, long=True) if broken else "",
        grid_section(result.grid, scene, charts, _still(result, scene)),
        profiles(scene, charts),
        _tables(result, scene),
        doubts(result.grid.notes),
    ]
    return Page(result.grid, "power flow", "\n".join(part for part in parts if part), charts)


def _banner(result: PowerflowResult) -> str:
    many = len(result.violations)
    if many:
        return f'<p class="banner warn"><strong>{many} limit{"s" * (many > 1)} broken.</strong> See below.</p>'
    return '<p class="banner good"><strong>All limits hold.</strong></p>'


def _cards(result: PowerflowResult) -> str:
    sent = float(result.sources["p_kw"].sum())
    where = [
        f"at bus {bus}{phase_words(phase)}"
        for bus, phase in ((result.v_min_bus, result.v_min_phase), (result.v_max_bus, result.v_max_phase))
    ]
    share = f"{result.loss_kw / sent:.2%} of what the sources deliver" if sent > 0.0 else ""
    cards = [
        card("Loss", f"{number(result.loss_kw)} kW", share),
        card("Lowest voltage", f"{result.v_min_pu:.5f} pu", where[0]),
        card("Highest voltage", f"{result.v_max_pu:.5f} pu", where[1]),
        card(
            "Delivered by the sources",
            f"{number(sent, 1)} kW",
            f"{number(float(result.sources['q_kvar'].sum()), 1)} kvar",
        ),
        card("AC check, largest mismatch", mismatch_words(result.ac_max_mismatch_pu)),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _still(result: PowerflowResult, scene: Scene) -> str:
    """The picture for readers without scripts."""
    if result.grid.buses.height > _STILL:
        return "<noscript><p>The pictures need scripts; all numbers are in the tables below.</p></noscript>"
    data = base64.b64encode(encode(draw_powerflow_scene(result, scene), "svg")).decode()
    return f'<noscript><img alt="The grid; the tables hold all." src="data:image/svg+xml;base64,{data}"></noscript>'


def _tables(result: PowerflowResult, scene: Scene) -> str:
    own = ["name", "phase"] if scene.has_phases else ["name"]
    numbered = [
        ("vn_kv", "nominal, kV", 3),
        ("v_min_pu", "limit low, pu", 4),
        ("v_max_pu", "limit high, pu", 4),
        ("v_pu", "voltage, pu", 5),
        ("angle_degree", "angle, °", 4),
    ]
    numbered = filled(result.buses, numbered)
    heads = [*map(Column, ["bus", "phase"][: len(own)]), *(Column(title, digits) for _, title, digits in numbered)]
    rows = result.buses.select(*own, *(name for name, _, _ in numbered)).iter_rows()
    parts = [section("Buses", table("buses", f"{len(scene.bus_names)} buses", heads, rows, search=True), long=True)]
    numbered = [
        ("i_max_a", "limit, A", 1),
        ("i_a", "current, A", 2),
        ("loading_percent", "loading, %", 1),
        ("p_from_kw", "P, kW", 2),
        ("q_from_kvar", "Q, kvar", 2),
        ("loss_kw", "loss, kW", 3),
    ]
    numbered = filled(result.branches, numbered)
    named = [*["branch", "phase"][: len(own)], "kind", "from bus", "to bus", "switchable", "state"]
    heads = [*map(Column, named), *(Column(title, digits) for _, title, digits in numbered)]
    content = table(
        "branches", f"{len(scene.branch_names)} branches", heads, _branches(result, own, numbered), search=True
    )
    parts.append(section("Branches", content, long=True))
    heads = [Column("source"), Column("bus"), Column("P, kW", 2), Column("Q, kvar", 2)]
    rows = result.sources.select("name", "bus", "p_kw", "q_kvar").iter_rows()
    parts.append(section("Sources", table("sources", "What they deliver", heads, rows)))
    return "\n".join(parts)


def _branches(
    result: PowerflowResult, own: list[str], numbered: list[tuple[str, str, int]]
) -> Iterator[tuple[Cell, ...]]:
    texts = ["kind", "from_bus", "to_bus", "switchable", "closed"]
    for row in result.branches.select(*own, *texts, *(name for name, _, _ in numbered)).iter_rows():
        names, (kind, a, b, switchable, closed), values = row[: len(own)], row[len(own) :][:5], row[len(own) + 5 :]
        yield (*names, KINDS[kind], a, b, "yes" if switchable else "no", "closed" if closed else "open", *values)
