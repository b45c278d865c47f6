"""The sections of the HTML report of a partition: what is served, what to switch, and how it was proven.

A report is of one plan, or of those of several levels of uncertainty; every table then begins with the level.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

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
from openpoint.report.page.numerals import figures, method_words
from openpoint.report.series import convergence, gap_text
from openpoint.studies.partition.pictures import plots as partition_plots
from openpoint.studies.partition.pictures.figures import draw_partition_scene
from openpoint.studies.partition.pictures.scene import PartitionScene, Tables, build_partition_scene, titled
from openpoint.studies.partition.result import PartitionLevels, PartitionResult
from openpoint.twostage.log import Termination

_LINEAR = "Loads are nominal; costs, bounds and set-points are those of a linear three-phase power flow, AC is exact."
PICTURES = 12
"""Plans drawn in the page: each picture weighs some ten kilobytes."""
_STILL = 400  # buses up to which a page without scripts shows a picture; beyond it the tables must do


@dataclass(frozen=True)
class Plans:
    """The tables of one plan or several by their titles; `heading` is what the titles are, empty where there is one."""

    heading: str
    tables: Mapping[str, Tables]

    def rows(
        self, table: str, view: Callable[[pl.DataFrame], pl.DataFrame], columns: list[Column]
    ) -> tuple[list[Column], list[tuple[Cell, ...]]]:
        """Rows of a table of all plans, with the title in front where there are several."""
        if not self.heading:
            return columns, [row for tables in self.tables.values() for row in view(tables[table]).iter_rows()]
        every = [(title, *row) for title, tables in self.tables.items() for row in view(tables[table]).iter_rows()]
        return [Column(self.heading), *columns], every


def page(result: PartitionResult | PartitionLevels) -> Page:
    """The report of a result."""
    scene = build_partition_scene(result)
    charts: dict[str, Chart] = {}
    if isinstance(result, PartitionLevels):
        found = titled(result)
        plans = Plans("level", {title: each.tables() for title, each in found.items()})
        head = [_levels_banner(found), remarks(dict.fromkeys(note for each in found.values() for note in each.notes))]
        parts = [*head, _levels(found, result, charts)]
    else:
        found = {"": result}
        plans = Plans("", {"": result.tables()})
        head = [banner(result.termination, result.cost_usd, result.in_short), remarks(dict.fromkeys(result.notes))]
        parts = [*head, _cards(result)]
    logs = {level: (each.iterations, gap_text(each.gap, each.termination)) for level, each in found.items()}
    parts += [
        pictures(scene, charts, _still(result, scene)),
        islands(plans),
        switches(plans),
        generators(plans),
        blocks(plans),
        _samples(plans),
        proof(logs, plans, charts),
        doubts(result.grid.notes),
    ]
    return Page(result.grid, "microgrids", "\n".join(part for part in parts if part), charts, _LINEAR)


def _levels_banner(found: Mapping[str, PartitionResult]) -> str:
    # The worst end speaks for all.
    result = max(found.values(), key=lambda each: each.termination.exit_code)
    told = result.in_short if len(found) == 1 else result.termination.remedy
    return banner(result.termination, result.cost_usd, told)


def banner(termination: Termination, cost_usd: float | None, told: str) -> str:
    """How the run ended, in a sentence."""
    kind, said = "good", "Solved"
    if cost_usd is None:
        kind, said = "bad", "No plan found"
    elif termination not in (Termination.OPTIMAL, Termination.GAP):
        kind, said = "warn", "Stopped early"
    return f'<p class="banner {kind}"><strong>{said} ({text(termination.value)}).</strong> {text(told)}</p>'


def gap_words(gap: float) -> str:
    """The gap as a percentage; a dash where there is none."""
    return f"{gap:.3%}" if math.isfinite(gap) else "–"


def _share(result: PartitionResult) -> str:
    return f"{result.served_kw / result.total_kw:.1%}" if result.total_kw else "–"


def _cards(result: PartitionResult) -> str:
    moved = f"{len(result.uncertain_loads)} of {result.grid.loads.height} loads ± {100.0 * result.uncertainty:g} %"
    islands = result.islands.height
    made = f"{len(result.energised_blocks)} of {result.blocks.height} blocks"
    parts = [f"dead blocks {usd(result.lost_usd)}, set-points {usd(result.generation_usd)}"]
    parts.append(f"following the loads, at worst {usd(result.worst_recourse_usd)}")
    slack = "Generators can follow the loads within all limits."
    if result.worst_slack_kw != 0.0:
        slack = "By so much generators fail to follow the loads, or some limit does not hold."
    effort = f"{figures(result.seconds, 3)} s, {result.iterations.height} iterations"
    cards = [
        card("Load served", f"{number(result.served_kw, 0)} of {number(result.total_kw, 0)} kW", _share(result)),
        card("Cost of an hour, at worst", usd(result.cost_usd), *parts),
        card("Islands", f"{islands}: {made}", f"the grid is formed by {', '.join(result.grid_forming) or 'nobody'}"),
        card("Uncertain", moved if result.uncertain_loads else "No load", ", ".join(result.uncertain_loads[:12])),
        card("Gap between the bounds", gap_words(result.gap), f"lower bound {usd(result.lower_bound_usd)}"),
        card("Power that is missing, at worst", f"{number(result.worst_slack_kw, 1)} kW", slack),
        card("Method", method_words(result.method), effort),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _levels(found: Mapping[str, PartitionResult], result: PartitionLevels, charts: dict[str, Chart]) -> str:
    columns = [Column("level"), Column("served, kW", 1), Column("served, %", 1), Column("cost at worst, $", 2)]
    columns += [Column("lower bound, $", 2), Column("gap, %", 4), Column("islands", 0), Column("blocks", 0)]
    columns += [Column("closed switches"), Column("seconds", 1), Column("ended")]
    rows: list[tuple[Cell, ...]] = [
        (
            level,
            each.served_kw,
            100.0 * each.served_kw / each.total_kw if each.total_kw else None,
            each.cost_usd,
            each.lower_bound_usd,
            100.0 * each.gap,
            each.islands.height,
            len(each.energised_blocks),
            ", ".join(each.closed_switches) or "none",
            each.seconds,
            each.termination.value,
        )
        for level, each in found.items()
    ]
    content = table("levels", f"{len(rows)} levels of uncertainty", columns, rows, low=True)
    made = partition_plots.level_charts(result)
    charts |= made
    places = [
        chart("served", "Load served", "Load served over the uncertainty; the table has the numbers", 320),
        chart("cost", "Cost of an hour", "Cost over the uncertainty; the table has the numbers", 320),
    ]
    return section("What robustness costs", content, f'<div class="pair beside">{"".join(places)}</div>')


def pictures(scene: PartitionScene, charts: dict[str, Chart], still: str) -> str:
    """The islands of all plans; `still` is for readers without scripts."""
    if not scene.cuts:
        return ""
    panels = []
    for k, cut in enumerate(scene.cuts[:PICTURES]):
        identity = f"grid-{k}"
        charts[identity] = made = partition_plots.cut_chart(scene, cut)
        told = f"{cut.headline} in {len(cut.islands)} islands. The tables below hold all numbers."
        panels.append(chart(identity, cut.headline, told, made.height))
    beside = "" if is_wide(scene.layout) or len(panels) == 1 else " beside"
    tools = grid_tools()
    pair = f'<div class="pair{beside}">{"".join(panels)}</div>'
    left = len(scene.cuts) - PICTURES
    more = f'<p class="sub">{left} more are in the tables only.</p>' if left > 0 else ""
    return section("Islands", tools, _legend(), pair, more, still)


def _legend() -> str:
    """Symbols in words, as HTML."""

    def symbol(shape: str) -> str:
        return f'<svg width="26" height="16" viewBox="0 0 26 16" aria-hidden="true">{shape}</svg>'

    def ring(colour: str, fill: str) -> str:
        return f'<circle cx="13" cy="8" r="5" fill="{fill}" stroke="var(--{colour})" stroke-width="2"/>'

    def diamond(fill: str, edge: str, r: int) -> str:
        way = f"M13 {8 - r}L{13 + r} 8L13 {8 + r}L{13 - r} 8Z"
        return f'<path d="{way}" fill="{fill}" stroke="var(--{edge})" stroke-width="1.2"/>'

    dash = '<path d="M0 8H26" stroke="var(--loose)" stroke-width="1.4" stroke-dasharray="4 3"/>'
    isle = "var(--islea)"
    square = '<rect x="8" y="3" width="10" height="10" fill="var(--paper)" stroke="var(--broken)" stroke-width="1.4"/>'
    items = [
        (diamond(isle, "ink", 8), "forms the grid of the island of its number"),
        (diamond(isle, "ink", 5), "generator that follows"),
        (diamond("var(--paper)", "loose", 5), "generator at rest"),
        ('<path d="M0 8H26" stroke="var(--loose)" stroke-width="1.4"/>', "without supply"),
        (square, "substation, lost"),
        (ring("soft", "var(--soft)"), "switch, closed"),
        (dash + ring("soft", "var(--paper)"), "switch, open"),
        (ring("closes", "var(--closes)"), "to be closed"),
        (ring("opens", "var(--paper)"), "to be opened"),
    ]
    listed = "".join(f"<li>{symbol(drawing)} {text(name)}</li>" for drawing, name in items)
    return f'<ul class="legend">{listed}</ul>'


def _still(result: PartitionResult | PartitionLevels, scene: PartitionScene) -> str:
    """The picture for readers without scripts."""
    if not scene.cuts:
        return ""
    if result.grid.buses.height > _STILL:
        return "<noscript><p>The pictures need scripts; all numbers are in the tables below.</p></noscript>"
    data = base64.b64encode(encode(draw_partition_scene(scene, result), "svg")).decode()
    alt = "The islands; the tables below hold all numbers."
    return f'<noscript><img alt="{alt}" src="data:image/svg+xml;base64,{data}"></noscript>'


def islands(plans: Plans) -> str:
    columns = [Column("island", 0), Column("grid formed by"), Column("load, kW", 1), Column("capacity, kW", 1)]
    columns += [Column("set-points, kW", 1), Column("blocks (first bus)")]
    order = ("island", "grid_forming", "load_kw", "capacity_kw", "generation_kw", "blocks")
    columns, rows = plans.rows("islands", lambda frame: frame.select(order), columns)
    if not rows:
        return ""
    return section("Islands in numbers", table("islands", "Load is nominal", columns, rows))


def switches(plans: Plans) -> str:
    columns = [Column("action"), Column("switch"), Column("from block"), Column("to block")]

    def moves(frame: pl.DataFrame) -> pl.DataFrame:
        # What is opened first isolates; what is closed then joins.
        todo = frame.filter(pl.col("switching") != "").sort("switching", descending=True, maintain_order=True)
        return todo.select(pl.col("switching") + "s", "name", "from_block", "to_block")

    columns, rows = plans.rows("switches", moves, columns)
    if not rows:
        return section("Switches to operate", "<p>None: all switches stay as they are today.</p>")
    before = "the step before" if plans.heading == "step" else "today's state"
    told = f"From {before}: open first, so that nothing is joined that the plan keeps apart; then close."
    content = table("switching", f"{len(rows)} actions", columns, rows, search=len(rows) > 12)
    return section("Switches to operate", f'<p class="sub">{text(told)}</p>', content)


def generators(plans: Plans) -> str:
    columns = [Column("generator"), Column("bus"), Column("block"), Column("island", 0), Column("role")]
    columns += [Column("P, kW", 1), Column("Q, kvar", 1), Column("most, kW", 1)]
    fed = pl.when("forms_grid").then(pl.lit("forms the grid")).otherwise(pl.lit("follows"))
    role = pl.when(pl.col("island") == 0).then(pl.lit("without supply")).otherwise(fed)
    order = ("name", "bus", "block", "island", role.alias("role"), "p_kw", "q_kvar", "p_max_kw")
    columns, rows = plans.rows("generators", lambda frame: frame.select(order), columns)
    caption = "Set-points for the nominal loads; generators follow the loads from there"
    return section("Generators", table("generators", caption, columns, rows, search=len(rows) > 12), long=True)


def blocks(plans: Plans) -> str:
    columns = [Column("block (first bus)"), Column("island", 0), Column("load, kW", 1), Column("loads", 0)]
    columns.append(Column("buses"))
    order = ("name", "island", "load_kw", "loads", "buses")
    columns, rows = plans.rows("blocks", lambda frame: frame.select(order), columns)
    content = table("blocks", "Island 0 is without supply", columns, rows, search=len(rows) > 12)
    return section("Blocks", content, long=True)


def _samples(plans: Plans) -> str:
    """What samples of the loads say, where any were drawn."""
    percent = [pl.col(f"{kind}_{what}") * 100.0 for kind in ("linear", "ac", "ac_alone") for what in ("share", "low")]
    columns = [Column("plan"), Column("served, kW", 1), Column("samples", 0)]
    for kind in ("linear, %", "exact AC, %", "AC, forming ones alone, %"):
        columns += [Column(kind, 2), Column("at least, %", 2)]
    columns += [Column("without solution", 0)]
    columns, rows = plans.rows(
        "samples", lambda frame: frame.select("plan", "served_kw", "judged", *percent, "unsolved"), columns
    )
    if not rows:
        return ""
    told = (
        "Share of the samples in which the generators can follow the loads and all limits hold: in the linear model, "
        "in exact AC power flow where all generators share what the linear model misses, and where those that form "
        "the grid make up for it alone. Deterministic is the plan made for nominal loads; at least: 95 % confidence."
    )
    content = table("samples", "Plans in samples of the loads", columns, rows)
    broken = [Column("plan"), Column("all share"), Column("limit"), Column("where"), Column("phase")]
    broken += [Column("samples", 0), Column("worst excess", 4), Column("unit")]
    words = pl.when("shared").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("shared")
    limits = ("plan", words, "kind", "element", "phase", "samples", "worst_excess", "unit")
    broken, failures = plans.rows("failures", lambda frame: frame.select(limits), broken)
    if failures:
        caption = f"{len(failures)} limits that break in some sample"
        content += table("failures", caption, broken, failures, search=len(failures) > 12)
    return section("Checked by samples", f'<p class="sub">{text(told)}</p>', content, long=True)


def proof(logs: Mapping[str, tuple[pl.DataFrame, str]], plans: Plans, charts: dict[str, Chart]) -> str:
    told = (
        "Each iteration takes the best plan for the realisations of the loads that are known to matter, and then looks "
        "for realisations that it cannot follow or that cost more. The lower bound is what no plan can cost less than; "
        "the upper bound is what the best plan costs in its worst realisation. Both are those of a linear three-phase "
        "power flow."
    )
    places = []
    for k, (level, (log, verdict)) in enumerate(logs.items()):
        made = plotcharts.convergence_chart(convergence(log, verdict))
        if made is not None:
            charts[f"convergence-{k}"] = made
            name = f"{level}: {verdict}" if level else verdict
            said = f"Lower and upper bound over time, {name}"
            places.append(chart(f"convergence-{k}", name, said, made.height))
    numbered = [
        ("number", "iteration", 0),
        ("seconds", "seconds", 3),
        ("lower_bound_usd", "lower bound, $", 3),
        ("upper_bound_usd", "upper bound, $", 3),
        ("value_usd", "value tried, $", 3),
        ("violation", "least violation", 6),
    ]
    columns = [*(Column(heading, digits) for _, heading, digits in numbered), Column("verdict"), Column("mark")]
    order = (*(name for name, _, _ in numbered), "verdict", "mark")
    columns, rows = plans.rows("iterations", lambda frame: frame.select(order), columns)
    pair = f'<div class="pair{" beside" if len(places) > 1 else ""}">{"".join(places)}</div>'
    listed = table("iterations", f"{len(rows)} iterations", columns, rows, low=len(rows) > 12)
    return section("How it was proven", f"<p>{text(told)}</p>", pair, listed, long=True)
