"""The report of a partition: what is served, what to switch, and how it was proven."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl

from openpoint.errors import OptionError
from openpoint.names import join_names
from openpoint.report.charts import convergence_sheet, gap_text
from openpoint.report.drawing import (
    Chart,
    Dots,
    Layer,
    Panel,
    Shape,
    Sheet,
    Sign,
    Words,
    at,
    ink_on,
)
from openpoint.report.grids import CLOSES, OPEN, OPEN_POINT, OPENS, GridFrame, grid_frame
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import figures, number, percent, usd
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.studies.partition.result import PartitionResult, PlanResult, certified_words
from openpoint.studies.partition.scene import (
    PartitionScene,
    PlanView,
    Tables,
    Unit,
    build_partition_scene,
    island_colour,
    plan_words,
)

MOST = 12
"""Plans in one picture."""
_CLOSED = Sign("switch, closed", "circle", "@soft", "@soft", 8.0)
_SWITCHED = {"close": CLOSES, "open": OPENS}
_SIGNS = (
    Sign("forms the grid of the island of its number", "diamond", "@islea", "@ink", 16.0, 1.2),
    Sign("generator that follows", "diamond", "@islea", "@ink", 10.0, 1.2),
    Sign("generator at rest", "diamond", "@paper", "@loose", 10.0, 1.2),
    Sign("without supply", line="@loose"),
    Sign("substation, lost", "crossed", "@paper", "@broken", 10.0, 1.4),
    _CLOSED,
    replace(OPEN_POINT, name="switch, open"),
    replace(CLOSES, name="to be closed"),
    replace(OPENS, name="to be opened"),
)


def plans_sheet(scene: PartitionScene, title: str) -> Sheet:
    """The islands of all plans.

    Raises:
        OptionError: no plan was found.
    """
    if not scene.plan_views:
        raise OptionError("No plan was found, so there is nothing to draw")
    shown = []
    for k, view in enumerate(scene.plan_views[:MOST]):
        text = f"{view.headline} in {len(view.islands)} islands. The tables below hold all numbers."
        shown.append(Panel(f"grid-{k}", plan_chart(scene, view), view.headline, text))
    note = "A colour and a number are an island. Generators: set-point of what they have, kW."
    if (left := len(scene.plan_views) - MOST) > 0:
        note += f" {left} more plans are in the tables only."
    return Sheet(title, tuple(shown), _SIGNS, note=note)


def grid(result: PartitionResult) -> Sheet:
    """The islands of a plan."""
    return plans_sheet(build_partition_scene({plan_words(result): result}), headline(result))


def compared(results: Mapping[str, PartitionResult]) -> Sheet:
    """The islands of several plans."""
    title = next(iter(results.values())).title
    return plans_sheet(build_partition_scene(results), f"{title}: {len(results)} cases")


PICTURES: Mapping[str, Callable[[PartitionResult], Sheet]] = {"grid": grid, "convergence": convergence_sheet}
"""The islands; the bounds over time."""
COMPARED = {"islands": compared}
"""Pictures of several results over each other."""


def headline(result: PartitionResult) -> str:
    """What is shown, in one line."""
    title = result.title
    if result.cost_usd is None:
        return f"{title}: no plan found"
    islands = result.islands.height
    return f"{title}: {islands} island{'s' * (islands != 1)}, cost ${result.cost_usd:,.2f} an hour"


def plan_chart(scene: PartitionScene, view: PlanView) -> Chart:
    """One plan; hovering a bus or a branch shows its figures."""
    frame = grid_frame(scene.layout, 620 if len(scene.plan_views) > 1 else 860)
    texts = [_branch_text(scene, view, e) for e in range(len(scene.branch_names))]
    names = [shorten(name) for name in scene.bus_names]
    return frame.chart(
        [
            *_lines(scene, view, frame, texts),
            *_buses(scene, view, frame),
            *_marks(scene, view, frame, texts),
            *frame.bus_names(names, "@soft", scene.lost),
        ]
    )


def _lines(scene: PartitionScene, view: PlanView, frame: GridFrame, texts: list[str]) -> list[Layer]:
    island = np.array([min(view.island[a], view.island[b]) for a, b in scene.ends])
    layers: list[Layer] = []
    for isle in range(1, len(view.islands) + 1):
        live = np.flatnonzero(view.closed & (island == isle)).tolist()
        layers += frame.ways(live, island_colour(isle), 12, opacity=0.16)
        layers += frame.ways(live, island_colour(isle), 3, hover=texts)
    layers += frame.ways(np.flatnonzero(view.closed & (island == 0)).tolist(), "@loose", 1.4, hover=texts)
    return layers + frame.ways(np.flatnonzero(~view.closed).tolist(), "@loose", 1.4, dash=OPEN, hover=texts)


def _branch_text(scene: PartitionScene, view: PlanView, e: int) -> str:
    a, b = scene.ends[e]
    todo = {"close": ", to be closed", "open": ", to be opened", "": ""}[view.switching[e]]
    kind = "switch, " if scene.switchable[e] else ""
    return "\n".join(
        [
            f"branch {shorten(scene.branch_names[e], 40)}",
            f"{shorten(scene.bus_names[a], 40)} – {shorten(scene.bus_names[b], 40)}",
            f"{kind}{'closed' if view.closed[e] else 'open'}{todo}",
        ]
    )


def _buses(scene: PartitionScene, view: PlanView, frame: GridFrame) -> list[Layer]:
    n = len(scene.bus_names)
    size = 7 if n > 60 else 9
    lost = set(scene.lost)
    layers: list[Layer] = []
    shapes: tuple[tuple[list[int], Shape, int], ...] = (
        (sorted(set(range(n)) - lost), "circle", 0),
        (sorted(lost), "crossed", 6),
    )
    for buses, shape, larger in shapes:
        edges = tuple("@broken" if i in lost else "@ink" if view.island[i] else "@loose" for i in buses)
        fills = tuple(island_colour(int(view.island[i])) if view.island[i] else "@paper" for i in buses)
        hovers = tuple(_bus_text(scene, view, i) for i in buses)
        layers.append(Dots(*frame.places(buses), size + larger, fills, shape, edge=edges, width=1.4, hover=hovers))
    return layers


def _bus_text(scene: PartitionScene, view: PlanView, i: int) -> str:
    rows = [f"bus {shorten(scene.bus_names[i], 40)}" + (" (substation, lost)" if i in scene.lost else "")]
    rows.append(f"block {shorten(scene.block[i], 40)}")
    rows.append(f"island {view.island[i]}" if view.island[i] else "without supply")
    if scene.load[i]:
        rows.append(f"nominal load {figures(scene.load[i])} kW")
    return "\n".join([*rows, *(_unit_text(unit) for unit in view.units if unit.bus == i)])


def _unit_text(unit: Unit) -> str:
    how = "forms the grid" if unit.forms_grid else "follows" if unit.runs else "rests"
    power = f": {figures(unit.p_kw)} of {figures(unit.p_max_kw)} kW, {figures(unit.q_kvar)} kvar" if unit.runs else ""
    return f"generator {shorten(unit.name, 40)} {how}{power}"


def _marks(scene: PartitionScene, view: PlanView, frame: GridFrame, texts: list[str]) -> list[Layer]:
    """Generators and switches with their names; the number of the island stands in what forms its grid."""
    return [*_switches(scene, view, frame, texts), *_units(scene, view, frame)]


def _switches(scene: PartitionScene, view: PlanView, frame: GridFrame, texts: list[str]) -> list[Layer]:
    switches = np.flatnonzero(scene.switchable).tolist()
    if not switches:
        return []
    switches.sort(key=lambda e: not view.switching[e])
    signs = [_SWITCHED.get(view.switching[e]) or (_CLOSED if view.closed[e] else OPEN_POINT) for e in switches]
    inks, fills = (tuple(getattr(sign, name) for sign in signs) for name in ("edge", "fill"))
    spots = frame.marks(switches)
    dots = Dots(*frame.spots(spots), 12.0, fills, edge=inks, width=2.0, hover=at(texts, switches))
    return [dots, *frame.named(spots, [scene.branch_names[e] for e in switches], inks, 12.0)]


def _units(scene: PartitionScene, view: PlanView, frame: GridFrame) -> list[Layer]:
    units = sorted(view.units, key=lambda unit: not unit.forms_grid)
    if not units:
        return []
    colours = [island_colour(unit.island) for unit in units]
    where = scene.layout.xy[[unit.bus for unit in units]]
    dots = Dots(
        *frame.spots(where),
        tuple(22 if unit.forms_grid else 13 for unit in units),
        tuple(colour if unit.runs else "@paper" for unit, colour in zip(units, colours, strict=True)),
        "diamond",
        edge=tuple("@ink" if unit.runs else colour for unit, colour in zip(units, colours, strict=True)),
        width=1.4,
        hover=tuple(_bus_text(scene, view, unit.bus) for unit in units),
    )
    inks = ["@ink" if unit.runs else "@soft" for unit in units]
    forming = [unit for unit in units if unit.forms_grid]
    inside = Words(
        *frame.places([unit.bus for unit in forming]),
        tuple(str(unit.island) for unit in forming),
        tuple(ink_on(island_colour(unit.island)) for unit in forming),
        bold=True,
        centred=True,
    )
    return [dots, inside, *frame.named(where, [unit_words(unit) for unit in units], inks, 20.0)]


def unit_words(unit: Unit) -> str:
    """A generator and its set-point of what it has."""
    return f"{shorten(unit.name)} {unit.p_kw:,.0f}/{unit.p_max_kw:,.0f}" if unit.island else shorten(unit.name)


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
        return t.frame_table(identity, caption, frame, PartitionResult.shape.tables[name], heads, blank=True, **more)


def page(result: PartitionResult) -> m.Page:
    """The report of a result."""
    plans = Plans("", {"": result.tables()})
    logs = {"": (result.iterations, gap_text(result.gap, result.termination))}
    parts = [
        s.banner(result, answered=result.cost_usd is not None, none="No plan found"),
        s.remarks(result.notes),
        _cards(result),
        lambda: pictures(build_partition_scene({plan_words(result): result}), headline(result)),
        islands(plans),
        switches(plans),
        generators(plans),
        _certificate(plans, result),
        _samples(plans),
        lambda: blocks(plans),
        lambda: proof(logs, plans),
        lambda: s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "microgrids", parts, physics=_LINEAR)


def _cards(result: PartitionResult) -> m.Cards:
    served = f"{number(result.served_kw, 0)} of {number(result.total_kw, 0)} kW"
    dead = f"without supply: {join_names(result.blocks.filter(energised=False)['name']) or 'none'}"
    closed = f"closed switches: {join_names(result.closed_switches) or 'none'}"
    made = f"{result.islands.height}: {len(result.energised_blocks)} of {result.blocks.height} blocks"
    formed = f"the grid is formed by {', '.join(result.grid_forming) or 'nobody'}"
    slack = "Generators can follow the loads within all limits."
    if result.worst_slack_kw != 0.0:
        slack = "By so much generators fail to follow the loads, or some limit does not hold."
    share = percent(result.served_kw / result.total_kw if result.total_kw else None)
    return m.cards(
        m.Card("Load served", served, (share,)),
        m.Card("Cost of an hour, at worst", usd(result.cost_usd), cost_lines(result)),
        m.Card("Islands", made, (formed, dead, closed)),
        uncertain_card(result),
        s.gap_card(result, f"lower bound {usd(result.lower_bound_usd)}"),
        m.Card("Power that is missing, at worst", f"{number(result.worst_slack_kw, 1)} kW", (slack,)),
        s.effort_card(result, f"{result.iterations.height} iterations{_known(result)}"),
    )


def _known(result: PartitionResult) -> str:
    """When the plan was known."""
    return "" if result.seconds_to_best is None else f", the plan known after {result.seconds_to_best:.1f} s"


def cost_lines(result: PlanResult) -> tuple[str, str]:
    """What makes up the cost of a plan."""
    return (
        f"de-energised blocks {usd(result.lost_usd)}, set-points {usd(result.generation_usd)}",
        f"following the loads, at worst {usd(result.worst_recourse_usd)}",
    )


def uncertain_card(result: PlanResult) -> m.Card:
    """The uncertain loads."""
    loads = result.uncertain_loads
    moved = f"{len(loads)} of {result.grid.loads.height} loads ± {100.0 * result.uncertainty:g} %"
    return m.Card("Uncertain", moved if loads else "No load", (", ".join(loads[:12]),))


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


def _certificate(plans: Plans, result: PartitionResult) -> m.Section | None:
    """What is proved in exact AC, where that was asked."""
    found = result.certificate
    if found is None:
        return None
    words = [f"In exact AC power flow: {certified_words(result)}."]
    if found.note:
        words.append(f"Nothing more is known, because {found.note}.")
    if found.as_planned == "disproved":
        words.append(
            f"With the set-points of the linear model it fails by {number(found.short_kw, 2)} kW or more at the load "
            "below, whatever the generators do within their ramps."
            if found.verdict == "proved"
            else f"It fails by {number(found.short_kw, 2)} kW or more at the load below, whatever the generators do."
        )
    captions = {
        "limits": ("Limits, those with the least room first", ["kind", "element", "phase", "side"]),
        "set_points": ("Set-points at nominal loads", ["generator", "phase", "forms_grid"]),
        "policy": ("How each generator follows each load", ["generator", "phase", "load"]),
        "counterexample": ("A load at which it fails", ["load"]),
    }
    tables = []
    for name, (caption, texts) in captions.items():
        frame = plans.frame(name)
        if frame.height:
            tables.append(plans.table(name, caption, frame, texts, search=frame.height > 12))
    return m.section("For every load, in exact AC", m.Words(" ".join(words), small=True), *tables, long=True)


def _samples(plans: Plans) -> m.Section | None:
    """The results of samples of the loads, where any were drawn."""
    frame = plans.frame("samples").with_columns(pl.col("^.*_(share|low|high)$") * 100.0)
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
