"""Sections that the reports of several studies share: pictures of the grid, switching list, profiles, broken limits."""

from __future__ import annotations

import numpy as np
import polars as pl

from openpoint.grid.grid import Grid
from openpoint.report.chart import charts as plotcharts
from openpoint.report.chart import grid as plots
from openpoint.report.chart.drawing import Chart
from openpoint.report.chart.frame import is_wide
from openpoint.report.page.blocks import Cell, Column, chart, grid_tools, number, section, table, text
from openpoint.report.page.numerals import figures
from openpoint.report.scene import Scene, State
from openpoint.results.violation import Violation

KINDS = {"lines": "line", "switches": "switch", "transformers": "transformer"}


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


def filled(frame: pl.DataFrame, columns: list[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """The columns that hold any number: one without ratings has no loading to show."""
    return [column for column in columns if frame[column[0]].is_not_null().any()]
