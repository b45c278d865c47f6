"""The sections of the HTML report, in the order in which an engineer asks: what, how good, where, how to switch."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator

from openpoint.report.chart import charts as plotcharts
from openpoint.report.chart.drawing import Chart
from openpoint.report.figure.files import encode
from openpoint.report.page.blocks import (
    Cell,
    Column,
    card,
    chart,
    doubts,
    number,
    remarks,
    section,
    table,
    text,
)
from openpoint.report.page.common import KINDS, filled, grid_section, profiles, switching, violation_table
from openpoint.report.page.model import Page
from openpoint.report.page.numerals import figures, method_words, mismatch_words
from openpoint.report.scene import Scene
from openpoint.report.series import convergence, gap_text
from openpoint.results.violation import phase_words
from openpoint.studies.reconfigure.pictures.figures import draw_scene
from openpoint.studies.reconfigure.pictures.scene import build_scene
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.twostage.log import Termination

_STILL = 400  # buses up to which a page without scripts shows a picture; beyond it the tables must do


def page(result: ReconfigureResult) -> Page:
    """The report of a result."""
    scene = build_scene(result)
    charts: dict[str, Chart] = {}
    limits = _violations(result, scene)
    urgent = bool(result.violations or result.least_violation)
    parts = [
        _banner(result),
        remarks(result.notes),
        _cards(result),
        # What the answer breaks comes first; what is wrong today only tells why the answer is better.
        *([limits] if urgent else []),
        grid_section(result.grid, scene, charts, _still(result, scene)),
        switching(scene),
        *([] if urgent else [limits]),
        profiles(scene, charts),
        _convergence(result, charts),
        _tables(result, scene),
        _run(result),
    ]
    return Page(result.grid, "open points", "\n".join(part for part in parts if part), charts)


def _banner(result: ReconfigureResult) -> str:
    if result.loss_kw is not None:
        solved = (Termination.OPTIMAL, Termination.GAP, Termination.LINEAR)
        kind = "good" if result.termination in solved else "warn"
        said = "Solved" if kind == "good" else "Stopped early"
        if result.termination is Termination.SOFT:
            kind, said = "bad", "Limits not kept"
    elif result.termination is Termination.INFEASIBLE:
        kind, said = "bad", "Infeasible"
    else:
        kind, said = "bad", "No answer found"
    reason = f"{said} ({result.termination.value})." if said.lower() != result.termination.value else f"{said}."
    return f'<p class="banner {kind}"><strong>{text(reason)}</strong> {text(result.in_short)}</p>'


def _cards(result: ReconfigureResult) -> str:
    before, after = result.loss_before_kw, result.loss_kw
    if before is not None and after is not None:
        share = f" ({abs(before - after) / before:.1%})" if before > 0 else ""
        word = "saved" if after <= before else "more"
        change = f"{number(abs(before - after))} kW{share} {word}" if abs(before - after) >= 0.5e-3 else "as today"
        losses = [f"{number(before)} → {number(after)} kW", change]
    elif after is not None:
        losses = [f"{number(after)} kW", "No loss is known for today's state."]
    else:
        today = f"Today {number(before)} kW." if before is not None else "No loss is known for today's state."
        losses = ["–", "No topology that keeps the limits was found.", today]
    names = ", ".join(result.open_branches[:24]) + (" …" if len(result.open_branches) > 24 else "")
    bound = f"lower bound {number(result.lower_bound_kw)} kW" if math.isfinite(result.lower_bound_kw) else ""
    if result.linear_kw is not None:
        bound += f" of the linear model, its best {number(result.linear_kw)} kW"
    objective = result.objective_kw
    if objective is not None and after is not None and abs(objective - after) > 1e-9 * max(1.0, abs(after)):
        bound += f", objective with costs of changes {number(objective)} kW"
    # Bounds of states that cannot be: an infeasible problem has no gap.
    gap = f"{result.gap:.3%}" if math.isfinite(result.gap) else "–"
    lowest = f"{result.v_min_pu:.5f} pu" if result.v_min_pu is not None else "–"
    at = f"at bus {result.v_min_bus}{phase_words(result.v_min_phase)}" if result.v_min_bus is not None else ""
    where = f"{result.v_min_before_bus}{phase_words(result.v_min_before_phase)}"
    was = f"today {result.v_min_before_pu:.5f} pu at bus {where}" if result.v_min_before_pu is not None else ""
    kept = "" if after is None else "All limits hold." if not result.violations else "Limits are broken, see below."
    cards = [
        card("Loss, today → answer" if before is not None else "Loss", *losses),
        card("Open points", str(len(result.open_branches)) if after is not None else "–", names, _changed(result)),
        card("Gap between the bounds", gap, bound),
        card("Lowest voltage", lowest, at, was),
        card("AC check, largest mismatch", mismatch_words(result.ac_max_mismatch_pu), kept),
        card("Method", method_words(result.method), f"{figures(result.seconds, 3)} s"),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _changed(result: ReconfigureResult) -> str:
    n = len(result.changes)
    return "" if result.loss_kw is None else "as today" if not n else f"{n} branch{'es' if n > 1 else ''} to switch"


def _violations(result: ReconfigureResult, scene: Scene) -> str:
    answer = violation_table("broken", "Limits broken by the answer", result.violations)
    least = violation_table("least", "Limits broken at the least violation met", result.least_violation)
    today = violation_table("today", "Limits broken today", scene.states["before"].violations)
    parts = [part for part in (answer, least, today) if part]
    if result.soft_limits is not None:
        proof = "no radial state does with less" if result.soft_limits.proven else "not proven to be the least"
        given = ", ".join(str(limit) for limit in result.soft_limits.relaxed)
        said = f"Nothing was found that keeps all limits. Relaxed for the answer, all others kept ({proof}): "
        parts.insert(0, f"<p>{text(said)}<strong>{text(given)}</strong>.</p>")
    if result.least_violation:
        names = ", ".join(result.least_violation_open)
        told = "Relax these limits, or reinforce here. The state with the least violation has these open points: "
        parts.insert(0, f"<p>{text(told)}<strong>{text(names)}</strong>.</p>")
    return section("Limits", *parts, long=True) if parts else ""


def _still(result: ReconfigureResult, scene: Scene) -> str:
    """The picture for readers without scripts."""
    if result.grid.buses.height > _STILL:
        return "<noscript><p>The pictures need scripts; all numbers are in the tables below.</p></noscript>"
    data = base64.b64encode(encode(draw_scene(result, scene), "svg")).decode()
    alt = "The grid today and with the answer; the tables below hold all numbers."
    return f'<noscript><img alt="{alt}" src="data:image/svg+xml;base64,{data}"></noscript>'


def _convergence(result: ReconfigureResult, charts: dict[str, Chart]) -> str:
    made = plotcharts.convergence_chart(convergence(result.iterations, gap_text(result.gap, result.termination)))
    if made is None:
        return ""
    charts["convergence"] = made
    told = f"Lower and upper bound over time, {gap_text(result.gap, result.termination)}"
    place = chart("convergence", "", told, made.height)
    return section(f"Convergence of the bounds ({gap_text(result.gap, result.termination)})", place)


def _tables(result: ReconfigureResult, scene: Scene) -> str:
    numbered = [
        ("vn_kv", "nominal, kV", 3),
        ("v_min_pu", "limit low, pu", 4),
        ("v_max_pu", "limit high, pu", 4),
        ("v_before_pu", "today, pu", 5),
        ("v_after_pu", "answer, pu", 5),
        ("angle_before_degree", "angle today, °", 4),
        ("angle_after_degree", "angle answer, °", 4),
    ]
    numbered = filled(result.buses, numbered)
    own = ["name", "phase"] if scene.has_phases else ["name"]
    columns = [
        *map(Column, ["bus", "phase"][: len(own)]),
        *(Column(heading, digits) for _, heading, digits in numbered),
    ]
    rows = result.buses.select(*own, *(c for c, _, _ in numbered)).iter_rows()
    caption = f"{len(scene.bus_names)} buses"
    parts = [_phases(result)] if scene.has_phases else []
    parts.append(section("Buses", table("buses", caption, columns, rows, search=True), long=True))
    numbered = [
        ("i_max_a", "limit, A", 1),
        ("i_before_a", "today, A", 2),
        ("i_after_a", "answer, A", 2),
        ("loading_before_percent", "today, %", 1),
        ("loading_after_percent", "answer, %", 1),
        ("p_from_before_kw", "P today, kW", 2),
        ("p_from_after_kw", "P answer, kW", 2),
        ("q_from_before_kvar", "Q today, kvar", 2),
        ("q_from_after_kvar", "Q answer, kvar", 2),
        ("loss_before_kw", "loss today, kW", 3),
        ("loss_after_kw", "loss answer, kW", 3),
    ]
    numbered = filled(result.branches, numbered)
    named = ["branch", "phase", "kind", "from bus", "to bus", "switchable", "state today", "state after"]
    if not scene.has_phases:
        named.remove("phase")
    columns = [*map(Column, named), *(Column(heading, digits) for _, heading, digits in numbered)]
    branch_rows = _branch_rows(result, scene.has_phases, [c for c, _, _ in numbered])
    caption = f"{len(scene.branch_names)} branches"
    parts.append(section("Branches", table("branches", caption, columns, branch_rows, search=True), long=True))
    if result.generators.height:
        columns = [Column("generator"), Column("bus"), Column("P, kW", 2), Column("Q, kvar", 2)]
        rows = result.generators.select("name", "bus", "p_kw", "q_kvar").iter_rows()
        parts.append(section("Generators", table("generators", "Output of the answer", columns, rows), long=True))
    return "\n".join(parts)


def _phases(result: ReconfigureResult) -> str:
    """The range of voltages by phase."""
    columns = [Column("phase"), *(Column(f"{side} {when}, pu", 5) for when in ("today", "answer") for side in _SIDES)]
    return section("Voltages by phase", table("phases", "To neutral", columns, result.phases.iter_rows()))


_SIDES = ("lowest", "highest")


def _branch_rows(result: ReconfigureResult, has_phases: bool, numbered: list[str]) -> Iterator[tuple[Cell, ...]]:
    words = {True: "closed", False: "open", None: None}
    texts = ["name", "phase", "kind", "from_bus", "to_bus", "switchable", "closed_before", "closed_after"]
    for row in result.branches.select(*texts, *numbered).iter_rows():
        name, phase, kind, a, b, switchable, before, after, *values = row
        own = (name, phase) if has_phases else (name,)
        yield (*own, KINDS[kind], a, b, "yes" if switchable else "no", words[before], words[after], *values)


def _run(result: ReconfigureResult) -> str:
    parts = [doubts(result.grid.notes)]
    if result.iterations.height:
        numbered = [
            ("number", "iteration", 0),
            ("seconds", "seconds", 3),
            ("lower_bound_kw", "lower bound, kW", 4),
            ("upper_bound_kw", "upper bound, kW", 4),
            ("value_kw", "value tried, kW", 4),
            ("violation", "violation", 6),
        ]
        columns = [*(Column(heading, digits) for _, heading, digits in numbered), Column("verdict"), Column("mark")]
        rows = result.iterations.select(*(c for c, _, _ in numbered), "verdict", "mark").iter_rows()
        caption = f"{result.iterations.height} iterations"
        parts.append(section("Log of the method", table("iterations", caption, columns, rows), long=True))
    return "\n".join(part for part in parts if part)
