"""The report of a partition: what is served, what to switch, and how it was proven.

A report is of one plan, or of those of several levels of uncertainty; every table then begins with the level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from openpoint.report.numerals import number, percent, usd
from openpoint.report.page.model import (
    Card,
    Cards,
    Cell,
    Column,
    GridTools,
    Legend,
    Page,
    Panel,
    Panels,
    Ring,
    Section,
    Square,
    Still,
    Stroke,
    Symbol,
    Words,
    page_of,
    section,
)
from openpoint.report.page.sections import (
    CLOSES,
    OPENS,
    Heading,
    banner,
    convergence_panel,
    doubts,
    effort_card,
    gap_card,
    log_columns,
    panels,
    remarks,
    still,
    table,
)
from openpoint.report.series import gap_text
from openpoint.studies.partition.pictures.figures import draw_scene
from openpoint.studies.partition.pictures.plots import level_charts, plan_chart
from openpoint.studies.partition.pictures.scene import PartitionScene, Tables, build_partition_scene, titled
from openpoint.studies.partition.result import PartitionLevels, PartitionResult, PlanResult

_LINEAR = "Loads are nominal; costs, bounds and set-points are those of a linear three-phase power flow, AC is exact."
PICTURES = 12
"""Plans drawn in the page: each picture weighs some ten kilobytes."""


@dataclass(frozen=True)
class Plans:
    """The tables of one plan or several by their titles; `heading` is what the titles are, empty where there is one."""

    heading: str
    tables: Mapping[str, Tables]

    def rows(
        self, name: str, view: Callable[[pl.DataFrame], pl.DataFrame], columns: list[Heading]
    ) -> tuple[list[Heading], list[tuple[Cell, ...]]]:
        """Rows of a table of all plans, with the title in front where there are several."""
        if not self.heading:
            return columns, [row for tables in self.tables.values() for row in view(tables[name]).iter_rows()]
        every = [(title, *row) for title, tables in self.tables.items() for row in view(tables[name]).iter_rows()]
        return [self.heading, *columns], every


def page(result: PartitionResult | PartitionLevels) -> Page:
    """The report of a result."""
    scene = build_partition_scene(result)
    found = titled(result) if isinstance(result, PartitionLevels) else {"": result}
    plans = Plans("level" if isinstance(result, PartitionLevels) else "", {k: v.tables() for k, v in found.items()})
    # The worst end speaks for all.
    worst = max(found.values(), key=lambda each: each.termination.exit_code)
    told = worst.termination.remedy if len(found) > 1 else None
    alt = "The islands; the tables below hold all numbers."
    picture = still(result.grid, lambda: draw_scene(scene, result), alt) if scene.plan_views else None
    logs = {level: (each.iterations, gap_text(each.gap, each.termination)) for level, each in found.items()}
    parts = [
        banner(worst, answered=worst.cost_usd is not None, none="No plan found", told=told),
        remarks(dict.fromkeys(note for each in found.values() for note in each.notes)),
        _levels(found, result) if isinstance(result, PartitionLevels) else _cards(result),
        pictures(scene, picture),
        islands(plans),
        switches(plans),
        generators(plans),
        blocks(plans),
        _samples(plans),
        proof(logs, plans),
        doubts(result.grid.notes),
    ]
    return page_of(result.grid, "microgrids", parts, physics=_LINEAR)


def _cards(result: PartitionResult) -> Cards:
    moved = f"{len(result.uncertain_loads)} of {result.grid.loads.height} loads ± {100.0 * result.uncertainty:g} %"
    served = f"{number(result.served_kw, 0)} of {number(result.total_kw, 0)} kW"
    made = f"{result.islands.height}: {len(result.energised_blocks)} of {result.blocks.height} blocks"
    formed = f"the grid is formed by {', '.join(result.grid_forming) or 'nobody'}"
    slack = "Generators can follow the loads within all limits."
    if result.worst_slack_kw != 0.0:
        slack = "By so much generators fail to follow the loads, or some limit does not hold."
    uncertain = (", ".join(result.uncertain_loads[:12]),)
    share = percent(result.served_kw / result.total_kw if result.total_kw else None)
    return Cards(
        (
            Card("Load served", served, (share,)),
            Card("Cost of an hour, at worst", usd(result.cost_usd), cost_lines(result)),
            Card("Islands", made, (formed,)),
            Card("Uncertain", moved if result.uncertain_loads else "No load", uncertain),
            gap_card(result, f"lower bound {usd(result.lower_bound_usd)}"),
            Card("Power that is missing, at worst", f"{number(result.worst_slack_kw, 1)} kW", (slack,)),
            effort_card(result, f"{result.iterations.height} iterations"),
        )
    )


def cost_lines(result: PlanResult) -> tuple[str, str]:
    """What makes up the cost of a plan."""
    return (
        f"dead blocks {usd(result.lost_usd)}, set-points {usd(result.generation_usd)}",
        f"following the loads, at worst {usd(result.worst_recourse_usd)}",
    )


def _levels(found: Mapping[str, PartitionResult], result: PartitionLevels) -> Section:
    columns: list[Heading] = [
        "level",
        Column("served, kW", 1),
        Column("served, %", 1),
        Column("cost at worst, $", 2),
    ]
    columns += [Column("lower bound, $", 2), Column("gap, %", 4), Column("islands", 0), Column("blocks", 0)]
    columns += ["closed switches", Column("seconds", 1), "ended"]
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
    listed = table("levels", f"{len(rows)} levels of uncertainty", columns, rows, low=True)
    made = level_charts(result)
    served = Panel(
        "served", made["served"], "Load served", "Load served over the uncertainty; the table has the numbers"
    )
    cost = Panel("cost", made["cost"], "Cost of an hour", "Cost over the uncertainty; the table has the numbers")
    return section("What robustness costs", listed, Panels((served, cost), beside=True))


def pictures(scene: PartitionScene, picture: Still | None) -> Section | None:
    """The islands of all plans; `picture` is for readers without scripts."""
    if not scene.plan_views:
        return None
    shown = []
    for k, view in enumerate(scene.plan_views[:PICTURES]):
        told = f"{view.headline} in {len(view.islands)} islands. The tables below hold all numbers."
        shown.append(Panel(f"grid-{k}", plan_chart(scene, view), view.headline, told))
    left = len(scene.plan_views) - PICTURES
    more = Words(f"{left} more are in the tables only.", small=True) if left > 0 else None
    return section("Islands", GridTools(), _LEGEND, panels(shown, scene.layout), more, picture)


def _diamond(fill: str, edge: str, r: int) -> Symbol:
    return (Stroke(edge, 1.2, way=f"M13 {8 - r}L{13 + r} 8L13 {8 + r}L{13 - r} 8Z", fill=fill),)


_LEGEND = Legend(
    (
        (_diamond("@islea", "@ink", 8), "forms the grid of the island of its number"),
        (_diamond("@islea", "@ink", 5), "generator that follows"),
        (_diamond("@paper", "@loose", 5), "generator at rest"),
        ((Stroke("@loose", 1.4),), "without supply"),
        ((Square("@broken", "@paper", 1.4),), "substation, lost"),
        ((Ring("@soft", "@soft"),), "switch, closed"),
        ((Stroke("@loose", 1.4, "4 3"), Ring("@soft", "@paper")), "switch, open"),
        (CLOSES, "to be closed"),
        (OPENS, "to be opened"),
    )
)


def islands(plans: Plans) -> Section | None:
    """The islands, a row each."""
    columns: list[Heading] = [
        Column("island", 0),
        "grid formed by",
        Column("load, kW", 1),
        Column("capacity, kW", 1),
    ]
    columns += [Column("set-points, kW", 1), "blocks (first bus)"]
    order = ("island", "grid_forming", "load_kw", "capacity_kw", "generation_kw", "blocks")
    columns, rows = plans.rows("islands", lambda frame: frame.select(order), columns)
    return section("Islands in numbers", table("islands", "Load is nominal", columns, rows)) if rows else None


def switches(plans: Plans) -> Section:
    """What to open and to close."""

    def moves(frame: pl.DataFrame) -> pl.DataFrame:
        # What is opened first isolates; what is closed then joins.
        todo = frame.filter(pl.col("switching") != "").sort("switching", descending=True, maintain_order=True)
        return todo.select(pl.col("switching") + "s", "name", "from_block", "to_block")

    columns, rows = plans.rows("switches", moves, ["action", "switch", "from block", "to block"])
    if not rows:
        return section("Switches to operate", Words("None: all switches stay as they are today."))
    before = "the step before" if plans.heading == "step" else "today's state"
    told = f"From {before}: open first, so that nothing is joined that the plan keeps apart; then close."
    listed = table("switching", f"{len(rows)} actions", columns, rows, search=len(rows) > 12)
    return section("Switches to operate", Words(told, small=True), listed)


def generators(plans: Plans) -> Section:
    """The generators and their set-points."""
    columns: list[Heading] = ["generator", "bus", "block", Column("island", 0), "role"]
    columns += [Column("P, kW", 1), Column("Q, kvar", 1), Column("most, kW", 1)]
    fed = pl.when("forms_grid").then(pl.lit("forms the grid")).otherwise(pl.lit("follows"))
    role = pl.when(pl.col("island") == 0).then(pl.lit("without supply")).otherwise(fed)
    order = ("name", "bus", "block", "island", role.alias("role"), "p_kw", "q_kvar", "p_max_kw")
    columns, rows = plans.rows("generators", lambda frame: frame.select(order), columns)
    caption = "Set-points for the nominal loads; generators follow the loads from there"
    return section("Generators", table("generators", caption, columns, rows, search=len(rows) > 12), long=True)


def blocks(plans: Plans) -> Section:
    """The blocks, and the island of each."""
    columns: list[Heading] = ["block (first bus)", Column("island", 0), Column("load, kW", 1)]
    columns += [Column("loads", 0), "buses"]
    order = ("name", "island", "load_kw", "loads", "buses")
    columns, rows = plans.rows("blocks", lambda frame: frame.select(order), columns)
    listed = table("blocks", "Island 0 is without supply", columns, rows, search=len(rows) > 12)
    return section("Blocks", listed, long=True)


def _samples(plans: Plans) -> Section | None:
    """What samples of the loads say, where any were drawn."""
    percents = [pl.col(f"{kind}_{what}") * 100.0 for kind in ("linear", "ac", "ac_alone") for what in ("share", "low")]
    columns: list[Heading] = ["plan", Column("served, kW", 1), Column("samples", 0)]
    for kind in ("linear, %", "exact AC, %", "AC, forming ones alone, %"):
        columns += [Column(kind, 2), Column("at least, %", 2)]
    columns += [Column("without solution", 0)]
    columns, rows = plans.rows(
        "samples", lambda frame: frame.select("plan", "served_kw", "judged", *percents, "unsolved"), columns
    )
    if not rows:
        return None
    told = (
        "Share of the samples in which the generators can follow the loads and all limits hold: in the linear model, "
        "in exact AC power flow where all generators share what the linear model misses, and where those that form "
        "the grid make up for it alone. Deterministic is the plan made for nominal loads; at least: 95 % confidence."
    )
    listed = table("samples", "Plans in samples of the loads", columns, rows)
    broken: list[Heading] = ["plan", "all share", "limit", "where", "phase"]
    broken += [Column("samples", 0), Column("worst excess", 4), "unit"]
    words = pl.when("shared").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("shared")
    limits = ("plan", words, "kind", "element", "phase", "samples", "worst_excess", "unit")
    broken, failures = plans.rows("failures", lambda frame: frame.select(limits), broken)
    caption = f"{len(failures)} limits that break in some sample"
    failed = table("failures", caption, broken, failures, search=len(failures) > 12) if failures else None
    return section("Checked by samples", Words(told, small=True), listed, failed, long=True)


def proof(logs: Mapping[str, tuple[pl.DataFrame, str]], plans: Plans) -> Section:
    """How each plan was proven: its log, and the gap at the end in words."""
    told = (
        "Each iteration takes the best plan for the realisations of the loads that are known to matter, and then looks "
        "for realisations that it cannot follow or that cost more. The lower bound is what no plan can cost less than; "
        "the upper bound is what the best plan costs in its worst realisation. Both are those of a linear three-phase "
        "power flow."
    )
    named = [(f"{level}: {verdict}" if level else verdict, log, verdict) for level, (log, verdict) in logs.items()]
    shown = [convergence_panel(log, verdict, f"convergence-{k}", name) for k, (name, log, verdict) in enumerate(named)]
    numbers = [*log_columns(next(iter(logs.values()))[0]), ("violation", "least violation", 6)]
    order = (*(name for name, _, _ in numbers), "verdict", "mark")
    columns: list[Heading] = [*(Column(heading, digits) for _, heading, digits in numbers), "verdict", "mark"]
    columns, rows = plans.rows("iterations", lambda frame: frame.select(order), columns)
    listed = table("iterations", f"{len(rows)} iterations", columns, rows, low=len(rows) > 12)
    drawn = panels([panel for panel in shown if panel is not None])
    return section("How it was proven", Words(told), drawn, listed, long=True)
