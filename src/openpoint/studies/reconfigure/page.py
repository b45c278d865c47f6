"""The sections of the HTML report, in the order in which an engineer asks: what, how good, where, how to switch."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator

import numpy as np
import polars as pl

from openpoint.grid.grid import Grid
from openpoint.report.chart import charts as plotcharts
from openpoint.report.chart import grid as plots
from openpoint.report.chart.drawing import Chart
from openpoint.report.chart.frame import is_wide
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
)
from openpoint.report.page.numerals import figures, method_words, mismatch_words
from openpoint.report.scene import Scene, State
from openpoint.report.series import convergence, gap_text
from openpoint.results.violation import Violation, phase_words
from openpoint.studies.reconfigure.pictures.figures import draw_scene, encode
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.twostage.log import Termination

KINDS = {"lines": "line", "switches": "switch", "transformers": "transformer"}
_STILL = 400  # buses up to which a page without scripts shows a picture; beyond it the tables must do


def subtitle(grid: Grid) -> str:
    """One line about the grid."""
    load = float(grid.loads["p_kw"].sum())
    counts = [
        f"{grid.buses.height} buses",
        f"{grid.branches().height} branches",
        f"{grid.sources.height} source{'s' if grid.sources.height != 1 else ''}",
        f"load {load:,.1f} kW",
    ]
    return " · ".join([*counts, *([grid.source] if grid.source else [])])


def body(result: ReconfigureResult, scene: Scene) -> tuple[str, dict[str, Chart]]:
    """The HTML of all sections, and the charts by the identity of their place."""
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
    return "\n".join(part for part in parts if part), charts


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


def violation_table(identity: str, caption: str, violations: tuple[Violation, ...]) -> str:
    """The limits that a state breaks; empty where there are none."""
    if not violations:
        return ""
    columns = [Column("limit"), Column("bus or branch"), Column("value", 4), Column("limit is", 4), Column("unit")]
    rows = [(v.kind, v.place, v.value, v.limit, v.unit) for v in violations]
    return table(identity, f"{caption} ({len(rows)})", columns, rows, low=True)


def grid_section(grid: Grid, scene: Scene, charts: dict[str, Chart], still: str) -> str:
    """The pictures of all states; `still` is for readers without scripts."""
    loads: dict[int, tuple[float, float]] = {}
    number_of = {name: i for i, name in enumerate(scene.bus_names)}
    for bus, p, q in grid.loads.select("bus", "p_kw", "q_kvar").iter_rows():
        have = loads.get(number_of[bus], (0.0, 0.0))
        loads[number_of[bus]] = (have[0] + p, have[1] + q)
    panels = []
    for key, state in scene.states.items():
        identity = f"grid-{key}"
        charts[identity] = plots.grid_chart(scene, state, loads)
        loss = f", loss {number(state.loss_kw)} kW" if state.loss_kw is not None else ""
        n = int((~state.closed).sum())
        told = (
            f"{state.title}: {len(scene.bus_names)} buses coloured by voltage, {n} open branches{loss}. Tables below."
        )
        panels.append(chart(identity, f"{state.title}{loss}", told, charts[identity].height))
    beside = "" if is_wide(scene.layout) or len(panels) == 1 else " beside"
    tools = grid_tools()
    return section("Grid", tools, f'<div class="pair{beside}">{"".join(panels)}</div>', legend(scene), still)


def legend(scene: Scene) -> str:
    """Symbols in words, and the scale of colours, as HTML: the same for both panels."""
    lo, hi = scene.v_range
    stops = ", ".join(f"{colour} {share:.0%}" for share, colour in plots.colour_stops())

    def symbol(shape: str) -> str:
        return f'<svg width="26" height="16" viewBox="0 0 26 16" aria-hidden="true">{shape}</svg>'

    def ring(colour: str, fill: str, r: float = 5) -> str:
        return f'<circle cx="13" cy="8" r="{r}" fill="{fill}" stroke="var(--{colour})" stroke-width="2"/>'

    dashed = '<path d="M0 8H26" stroke="var(--loose)" stroke-width="1.4" stroke-dasharray="4 3"/>'
    items = [
        (
            symbol('<rect x="8" y="3" width="10" height="10" fill="none" stroke="var(--ink)" stroke-width="1.5"/>'),
            "source",
        ),
        (symbol(dashed + ring("soft", "var(--paper)", 4)), "open point"),
    ]
    if scene.opened:
        items.append((symbol(ring("opens", "var(--paper)")), "opens"))
    if scene.closed:
        items.append((symbol(ring("closes", "var(--closes)")), "closes"))
    if any(state.violations for state in scene.states.values()):
        items.append((symbol(ring("broken", "none", 7)), "limit broken"))
    unit = "%" if scene.rated else "A"
    items.append(
        (
            symbol('<path d="M0 8H26" stroke="var(--line)" stroke-width="5.6"/>'),
            f"{figures(scene.stress_max, 3)} {unit}",
        )
    )
    listed = "".join(f"<li>{drawing} {text(name)}</li>" for drawing, name in items)
    bar = f'<span class="bar" style="background:linear-gradient(90deg, {stops})"></span>'
    scale = (
        f"<li>{scene.voltage_word} {lo:.4f} {bar} {hi:.4f} pu</li>"
        if any(np.isfinite(s.v).any() for s in scene.states.values())
        else ""
    )
    return f'<ul class="legend">{listed}{scale}</ul>'


def _still(result: ReconfigureResult, scene: Scene) -> str:
    """The picture for readers without scripts."""
    if result.grid.buses.height > _STILL:
        return "<noscript><p>The pictures need scripts; all numbers are in the tables below.</p></noscript>"
    data = base64.b64encode(encode(draw_scene(result, scene), "svg")).decode()
    alt = "The grid today and with the answer; the tables below hold all numbers."
    return f'<noscript><img alt="{alt}" src="data:image/svg+xml;base64,{data}"></noscript>'


def switching(scene: Scene, current: str = "current") -> str:
    """What to close and to open; `current` says which of a branch's currents is shown."""
    after = scene.states.get("after")
    if after is None:
        return ""
    if not scene.opened | scene.closed:
        return section("Switching list", "<p>Nothing to switch: the open points stay where they are.</p>")
    before = scene.states["before"]
    branches = scene.grid.branches()
    kind = dict(zip(branches["name"], branches["kind"], strict=True))
    columns = [
        Column("action"),
        Column("branch"),
        Column("kind"),
        Column("from bus"),
        Column("to bus"),
        Column(f"{current} today, A", 2),
        Column(f"{current} after, A", 2),
    ]
    rows: list[tuple[Cell, ...]] = []
    for action, chosen in (("closes", scene.closed), ("opens", scene.opened)):
        for e in sorted(chosen):
            a, b = (scene.bus_names[i] for i in scene.ends[e])
            name = scene.branch_names[e]
            i = [_current(state, e) for state in (before, after)]
            rows.append((action, name, KINDS[kind[name]], a, b, *i))
    told = "The list holds what differs between the two states, not an order of switching."
    if not scene.feasible:
        told = "This is the state of least violation met, not an answer. " + told
    caption = f"{len(scene.closed)} to close, {len(scene.opened)} to open"
    return section("Switching list", table("switching", caption, columns, rows), f'<p class="sub">{text(told)}</p>')


def _current(state: State, e: int) -> float:
    return float(state.i[e]) if state.closed[e] else 0.0


def profiles(scene: Scene, charts: dict[str, Chart]) -> str:
    """The voltages over the distance to the source, and the most loaded branches."""
    parts = []

    def add(identity: str, caption: str, told: str, made: Chart) -> None:
        charts[identity] = made
        parts.append(section(caption, chart(identity, "", told, made.height)))

    if voltage := plotcharts.voltage_chart(scene):
        add("voltage", "Voltage profile", "Voltage of every bus over the distance to its source", voltage)
    if loading := plotcharts.loading_chart(scene):
        chart_, left = loading
        what = "Branch loading" if scene.rated else "Branch current"
        add(
            "loading",
            what + (f" ({left} less loaded branches left out)" if left else ""),
            f"{what} of branches",
            chart_,
        )
    return "\n".join(parts)


def _convergence(result: ReconfigureResult, charts: dict[str, Chart]) -> str:
    made = plotcharts.convergence_chart(convergence(result))
    if made is None:
        return ""
    charts["convergence"] = made
    told = f"Lower and upper bound over time, {gap_text(result)}"
    place = chart("convergence", "", told, made.height)
    return section(f"Convergence of the bounds ({gap_text(result)})", place)


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


def filled(frame: pl.DataFrame, columns: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """The columns that hold any number: one without ratings has no loading to show."""
    return [column for column in columns if frame[column[0]].is_not_null().any()]


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
