"""The report of a partition: what is served, what to switch, and how it was proven.

A report is of one plan, or of those of several levels of uncertainty; every table then begins with the level.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from openpoint.report.charts import gap_text
from openpoint.report.numerals import number, percent, usd
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.partition.pictures import headline, level_panels, plans_sheet
from openpoint.studies.partition.result import PartitionLevelsResult, PartitionResult, PlanResult
from openpoint.studies.partition.scene import PartitionScene, Tables, build_partition_scene, titled
from openpoint.studies.partition.schema import PARTITION

_LINEAR = "Loads are nominal; costs, bounds and set-points are those of a linear three-phase power flow, AC is exact."


@dataclass(frozen=True)
class Plans:
    """The tables of one plan or several by their titles; `heading` is what the titles are, empty where there is one."""

    heading: str
    tables: Mapping[str, Tables]

    def frame(self, name: str, view: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame) -> pl.DataFrame:
        """What `view` makes of a table of every plan, with the title in a column where there are several."""
        frames = {title: view(tables[name]) for title, tables in self.tables.items()}
        if not self.heading:
            return pl.concat(frames.values())
        return pl.concat([frame.with_columns(pl.lit(title).alias(self.heading)) for title, frame in frames.items()])

    def table(self, name: str, caption: str, frame: pl.DataFrame, texts: list[str], **more: Any) -> m.Table:
        """A table of all plans; `texts`, `more` as in `frame_table`."""
        heads = [self.heading, *texts] if self.heading else texts
        identity = more.pop("identity", name)
        return t.frame_table(identity, caption, frame, PARTITION.tables[name], heads, blank=True, **more)


def page(result: PartitionResult | PartitionLevelsResult) -> m.Page:
    """The report of a result."""
    scene = build_partition_scene(result)
    several = isinstance(result, PartitionLevelsResult)
    found = titled(result) if isinstance(result, PartitionLevelsResult) else {"": result}
    plans = Plans("level" if several else "", {k: v.tables() for k, v in found.items()})
    # The worst end speaks for all.
    worst = max(found.values(), key=lambda each: each.termination.exit_code)
    remedy = worst.termination.remedy if len(found) > 1 else None
    logs = {level: (each.iterations, gap_text(each.gap, each.termination)) for level, each in found.items()}
    parts = [
        s.banner(worst, answered=worst.cost_usd is not None, none="No plan found", text=remedy),
        s.remarks(note for each in found.values() for note in each.notes),
        _levels(found, result) if isinstance(result, PartitionLevelsResult) else _cards(result),
        pictures(scene, headline(result)),
        islands(plans),
        switches(plans),
        generators(plans),
        blocks(plans),
        _samples(plans),
        proof(logs, plans),
        s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "microgrids", parts, physics=_LINEAR)


def _cards(result: PartitionResult) -> m.Cards:
    served = f"{number(result.served_kw, 0)} of {number(result.total_kw, 0)} kW"
    made = f"{result.islands.height}: {len(result.energised_blocks)} of {result.blocks.height} blocks"
    formed = f"the grid is formed by {', '.join(result.grid_forming) or 'nobody'}"
    slack = "Generators can follow the loads within all limits."
    if result.worst_slack_kw != 0.0:
        slack = "By so much generators fail to follow the loads, or some limit does not hold."
    share = percent(result.served_kw / result.total_kw if result.total_kw else None)
    return m.cards(
        m.Card("Load served", served, (share,)),
        m.Card("Cost of an hour, at worst", usd(result.cost_usd), cost_lines(result)),
        m.Card("Islands", made, (formed,)),
        uncertain_card(result),
        s.gap_card(result, f"lower bound {usd(result.lower_bound_usd)}"),
        m.Card("Power that is missing, at worst", f"{number(result.worst_slack_kw, 1)} kW", (slack,)),
        s.effort_card(result, f"{result.iterations.height} iterations"),
    )


def cost_lines(result: PlanResult) -> tuple[str, str]:
    """What makes up the cost of a plan."""
    return (
        f"dead blocks {usd(result.lost_usd)}, set-points {usd(result.generation_usd)}",
        f"following the loads, at worst {usd(result.worst_recourse_usd)}",
    )


def uncertain_card(result: PlanResult) -> m.Card:
    """The uncertain loads."""
    loads = result.uncertain_loads
    moved = f"{len(loads)} of {result.grid.loads.height} loads ± {100.0 * result.uncertainty:g} %"
    return m.Card("Uncertain", moved if loads else "No load", (", ".join(loads[:12]),))


def _levels(found: Mapping[str, PartitionResult], result: PartitionLevelsResult) -> m.Section:
    rows: list[dict[t.Heading, m.Cell]] = [
        {
            "level": level,
            m.Column("served, kW", 1): each.served_kw,
            m.Column("served, %", 1): 100.0 * each.served_kw / each.total_kw if each.total_kw else None,
            m.Column("cost at worst, $", 2): each.cost_usd,
            m.Column("lower bound, $", 2): each.lower_bound_usd,
            m.Column("gap, %", 4): 100.0 * each.gap,
            m.Column("islands", 0): each.islands.height,
            m.Column("blocks", 0): len(each.energised_blocks),
            "closed switches": ", ".join(each.closed_switches) or "none",
            m.Column("seconds", 1): each.seconds,
            "ended": each.termination.value,
        }
        for level, each in found.items()
    ]
    cells = [tuple(row.values()) for row in rows]
    listed = t.table("levels", f"{len(rows)} levels of uncertainty", rows[0], cells, low=True)
    return m.section("What robustness costs", listed, m.Panels(level_panels(result), beside=True))


def pictures(scene: PartitionScene, title: str, *, still: bool = True) -> m.Section | None:
    """The islands of all plans; `still`: also for readers without scripts."""
    if not scene.plan_views:
        return None
    sheet = plans_sheet(scene, title)
    alt = "The islands; the tables below hold all numbers."
    picture = s.still(scene.grid, lambda: sheet, alt) if still else None
    return s.sheet_section("Islands", sheet, layout=scene.layout, picture=picture)


def islands(plans: Plans) -> m.Section | None:
    """The islands, a row each."""
    frame = plans.frame("islands")
    if frame.is_empty():
        return None
    listed = plans.table("islands", "Load is nominal", frame, ["island", "grid_forming"], last=["blocks"])
    return m.section("Islands in numbers", listed)


def switches(plans: Plans) -> m.Section:
    """What to open and to close."""

    def moves(frame: pl.DataFrame) -> pl.DataFrame:
        # What is opened first isolates; what is closed then joins.
        todo = frame.filter(pl.col("switching") != "").sort("switching", descending=True, maintain_order=True)
        return todo.with_columns(action=pl.col("switching") + "s")

    frame = plans.frame("switches", moves)
    if frame.is_empty():
        return m.section("Switches to operate", m.Words("None: all switches stay as they are today."))
    before = "the step before" if plans.heading == "step" else "today's state"
    text = f"From {before}: open first, so that nothing is joined that the plan keeps apart; then close."
    texts, n = ["action", "name", "from_block", "to_block"], frame.height
    listed = plans.table("switches", f"{n} actions", frame, texts, identity="switching", search=n > 12)
    return m.section("Switches to operate", m.Words(text, small=True), listed)


def generators(plans: Plans) -> m.Section:
    """The generators and their set-points."""
    fed = pl.when("forms_grid").then(pl.lit("forms the grid")).otherwise(pl.lit("follows"))
    role = pl.when(pl.col("island") == 0).then(pl.lit("without supply")).otherwise(fed)
    frame = plans.frame("generators").with_columns(role=role)
    texts, more = ["name", "bus", "block", "island", "role"], frame.height > 12
    caption = "Set-points for the nominal loads; generators follow the loads from there"
    return m.section("Generators", plans.table("generators", caption, frame, texts, search=more), long=True)


def blocks(plans: Plans) -> m.Section:
    """The blocks, and the island of each."""
    frame = plans.frame("blocks")
    texts, more = ["name", "island"], frame.height > 12
    listed = plans.table("blocks", "Island 0 is without supply", frame, texts, last=["buses"], search=more)
    return m.section("Blocks", listed, long=True)


def _samples(plans: Plans) -> m.Section | None:
    """The results of samples of the loads, where any were drawn."""
    frame = plans.frame("samples").with_columns(pl.col("^.*_(share|low)$") * 100.0)
    if frame.is_empty():
        return None
    text = (
        "Share of the samples in which the generators can follow the loads and all limits hold: in the linear model, "
        "in exact AC power flow where all generators share what the linear model misses, and where those that form "
        "the grid make up for it alone. Deterministic is the plan made for nominal loads; at least: 95 % confidence."
    )
    listed = plans.table("samples", "Plans in samples of the loads", frame, ["plan", "served_kw"])
    shared = pl.when("shared").then(pl.lit("yes")).otherwise(pl.lit("no"))
    failures = plans.frame("failures").with_columns(shared=shared)
    caption, n = f"{failures.height} limits that break in some sample", failures.height
    texts = ["plan", "shared", "kind", "element", "phase"]
    failed = plans.table("failures", caption, failures, texts, last=["unit"], search=n > 12) if n else None
    return m.section("Checked by samples", m.Words(text, small=True), listed, failed, long=True)


def proof(logs: Mapping[str, tuple[pl.DataFrame, str]], plans: Plans) -> m.Section:
    """How each plan was proven: its log, and the gap at the end in words."""
    text = (
        "Each iteration takes the best plan for the realisations of the loads that are known to matter, and then looks "
        "for realisations that it cannot follow or that cost more. The lower bound is what no plan can cost less than; "
        "the upper bound is what the best plan costs in its worst realisation. Both are those of a linear three-phase "
        "power flow."
    )
    named = [(f"{level}: {verdict}" if level else verdict, log, verdict) for level, (log, verdict) in logs.items()]
    shown = [
        s.convergence_panel(log, verdict, f"convergence-{k}", name) for k, (name, log, verdict) in enumerate(named)
    ]
    frame, ends = plans.frame("iterations"), ["verdict", "mark"]
    n = frame.height
    listed = plans.table("iterations", f"{n} iterations", frame, [], last=ends, low=n > 12)
    drawn = m.Panels(tuple(panel for panel in shown if panel is not None), len(shown) > 1)
    return m.section("How it was proven", m.Words(text), drawn, listed, long=True)


html = html_for(page)
