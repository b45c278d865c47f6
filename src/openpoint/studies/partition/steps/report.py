"""The report of a partition over time: the timeline, and the plan of every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from openpoint.errors import OptionError
from openpoint.report.charts import Timeline, gap_text
from openpoint.report.drawing import Areas, Dots, Layer, Lines, Panel, Sheet, Words, ink_on
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import number, percent, usd
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables
from openpoint.studies.partition import report as moment
from openpoint.studies.partition.scene import RUNS_KW, PartitionScene, island_colour, plans_scene
from openpoint.studies.partition.steps.result import PartitionStepsResult

ROWS = 30
"""Rows of a kind; beyond it only those that change are drawn."""
_ROW, _TALL = 19, 30
"""Pixels of a row of blocks and switches, and of one of generators and stores."""


def timeline(result: PartitionStepsResult) -> Sheet:
    """Step by step: what is served, which blocks have supply, the switches, the generators and what is in store.

    Raises:
        OptionError: no plan was found.
    """
    if result.cost_usd is None:
        raise OptionError("No plan was found, so there is nothing to draw")
    hours = np.concatenate([[0.0], np.cumsum(result.steps["hours"].to_numpy())])
    names = [f"{step}, {h:g} h" for step, h in result.steps.select("step", "hours").iter_rows()]
    times = Timeline(hours, tuple(names))
    blocks = _changing(result.blocks.filter(pl.col("loads") > 0), "name", ["energised", "island", "fault"])
    switches = _changing(result.switches, "name", ["closed", "held"])
    units = result.generators["name"].unique(maintain_order=True).to_list()
    stores = result.storage["generator"].unique(maintain_order=True).to_list()
    parts: list[tuple[str, list[str], int, list[Layer]]] = [
        ("blocks, by their first bus: number and colour of the island", blocks, _ROW, _blocks(result, times, blocks)),
        ("switches: a bar is closed; events hold some", switches, _ROW, _switches(result, times, switches)),
        ("generators: set-points, a full row is the most they have; ◆ forms the grid; hollow: it charges", units, _TALL,
         _units(result, times, units)),
        ("in store, a full row is the most they hold", stores, _TALL, _stores(result, times, stores)),
    ]  # fmt: skip
    parts = [part for part in parts if part[1]]
    panels = [_load(result, times)]
    for k, (caption, rows, tall, layers) in enumerate(parts):
        last = k == len(parts) - 1
        chart = times.chart(tall * len(rows), (float(-len(rows)), 0.0), layers, rows=rows, last=last)
        panels.append(Panel(f"timeline-{k + 1}", chart, caption, f"{caption}; the tables below hold all numbers"))
    share = f"{result.served_kwh / result.total_kwh:.1%}" if result.total_kwh else "–"
    title = f"{result.title}: {share} of {result.total_kwh:,.0f} kWh served"
    return Sheet(title, tuple(panels), stacked=True)


def steps_scene(result: PartitionStepsResult) -> PartitionScene:
    """The islands of every step; where no plan was found there is no picture."""
    frames = {name: result.tables()[name] for name in ("islands", "blocks", "generators", "switches")}
    rows = [] if result.cost_usd is None else result.steps.select("step", "served_kw", "load_kw").rows()
    plans = [
        (step, (kw, load), {name: frame.filter(step=step) for name, frame in frames.items()}) for step, kw, load in rows
    ]
    return plans_scene(result.grid, plans)


def _changing(frame: pl.DataFrame, key: str, columns: list[str]) -> list[str]:
    """All names, or of more than `ROWS` those whose columns change from step to step."""
    names: list[str] = frame[key].unique(maintain_order=True).to_list()
    if len(names) <= ROWS:
        return names
    moving = frame.group_by(key).agg(pl.struct(columns).n_unique().alias("kinds")).filter(pl.col("kinds") > 1)
    moved = set(moving[key])
    return [name for name in names if name in moved][:ROWS]


def _cells(frame: pl.DataFrame, key: str, name: str, result: PartitionStepsResult) -> list[dict[str, Any]]:
    """The rows of one name, in the order of the steps."""
    rows = {row["step"]: row for row in frame.filter(pl.col(key) == name).iter_rows(named=True)}
    return [rows[step] for step in result.steps["step"]]


def _load(result: PartitionStepsResult, times: Timeline) -> Panel:
    load, served = (result.steps[name].to_numpy() for name in ("load_kw", "served_kw"))
    most = float(max(load.max(), 1e-9))
    texts = tuple(f"{kw:,.0f}" for kw in served)
    middles = [times.middle(t) for t in range(len(served))]
    layers: list[Layer] = [
        Areas(times.band(np.zeros(len(served)), served), "@after", 0.25, name="served"),
        Lines(times.line(served), "@after", 2.0, name="served"),
        Lines(times.line(load), "@soft", 1.4, dash=(4.0, 3.0), name="all load"),
        Words(list(middles), [max(float(kw), 0.16 * most) - 0.07 * most for kw in served], texts, "@ink", centred=True),
    ]
    chart = times.chart(95, (0.0, 1.25 * most), layers)
    return Panel("timeline-0", chart, "load served, kW", "Load served by step; the tables below hold all numbers")


def _by_colour(shapes: list[tuple[str, str, list[float]]], opacity: float = 1.0) -> list[Layer]:
    """Areas of these colours of inside and edge."""
    looks = dict.fromkeys((fill, edge) for fill, edge, _ in shapes)
    return [
        Areas([way for a, b, way in shapes if (a, b) == (fill, edge)], fill, opacity, edge=edge, width=1.0)
        for fill, edge in looks
    ]


def _blocks(result: PartitionStepsResult, times: Timeline, names: list[str]) -> list[Layer]:
    shapes: list[tuple[str, str, list[float]]] = []
    words: list[tuple[float, float, str, str]] = []
    for k, name in enumerate(names):
        for t, cell in enumerate(_cells(result.blocks, "name", name, result)):
            island, fault = int(cell["island"]), bool(cell["fault"])
            colour = island_colour(island) if island else "@paper"
            shapes.append(
                (colour, "@paper" if island else "@broken" if fault else "@loose", times.box(t, -k - 0.9, -k - 0.1))
            )
            text, ink = (str(island), ink_on(colour)) if island else ("fault" if fault else "", "@broken")
            words.append((times.middle(t), -k - 0.5, text, ink))
    return [*_by_colour(shapes), *_words(words, bold=True)]


def _words(words: list[tuple[float, float, str, str]], *, bold: bool = False) -> list[Layer]:
    """Texts in the middle of their places."""
    shown = [word for word in words if word[2]]
    if not shown:
        return []
    x, y, texts, inks = zip(*shown)
    return [Words(list(x), list(y), texts, inks, 10.0, bold, centred=True)]


def _switches(result: PartitionStepsResult, times: Timeline, names: list[str]) -> list[Layer]:
    bars: list[list[float]] = []
    gaps: list[list[float]] = []
    words: list[tuple[float, float, str, str]] = []
    moved: dict[bool, list[tuple[float, float, str]]] = {True: [], False: []}
    for k, name in enumerate(names):
        for t, cell in enumerate(_cells(result.switches, "name", name, result)):
            closed, x0, x1 = bool(cell["closed"]), float(times.edges[t]), float(times.edges[t + 1])
            if closed:
                bars.append(times.box(t, -k - 0.68, -k - 0.32))
            else:
                gaps.append([x0, -k - 0.5, x1, -k - 0.5])
            if cell["held"]:
                words.append((times.middle(t), -k - 0.5, f"held {cell['held']}", "@paper" if closed else "@broken"))
            if cell["switching"]:
                word = "closes" if closed else "opens"
                moved[closed].append((x0, -k - 0.5, f"{shorten(name, 40)} {word}\n{times.names[t]}"))
    layers: list[Layer] = [
        Areas(bars, "@line", name="closed"),
        Lines(gaps, "@loose", 1.4, dash=(5.0, 3.0), name="open"),
    ]
    for closed, colour, word in ((True, "@closes", "closes"), (False, "@opens", "opens")):
        if moved[closed]:
            x, y, hover = zip(*moved[closed])
            fill = colour if closed else "@paper"
            layers.append(Dots(list(x), list(y), 9.0, fill, edge=colour, width=2.0, name=word, hover=hover))
    return [*layers, *_words(words)]


def _units(result: PartitionStepsResult, times: Timeline, names: list[str]) -> list[Layer]:
    shapes: list[tuple[str, str, list[float]]] = []
    words: list[tuple[float, float, str, str]] = []
    hovers: list[tuple[float, float, str]] = []
    for k, name in enumerate(names):
        cells = _cells(result.generators, "name", name, result)
        most = max([1e-9, *(abs(cell["p_kw"]) for cell in cells), *(cell["p_max_kw"] for cell in cells)])
        for t, cell in enumerate(cells):
            p, colour = cell["p_kw"], island_colour(int(cell["island"]))
            fill, edge = ("@paper", colour) if p < 0.0 else (colour, "@paper")
            shapes.append((fill, edge, times.box(t, -k - 1.0, -k - 1.0 + 0.86 * abs(p) / most)))
            power = f"{p:,.0f}" if abs(p) > RUNS_KW else ""
            words.append((times.middle(t), -k - 0.5, f"◆ {power}".strip() if cell["forms_grid"] else power, "@ink"))
            text = f"{shorten(name, 40)}, {times.names[t]}\n{p:,.1f} of {most:,.0f} kW"
            hovers.append((times.middle(t), -k - 0.5, text))
    return [*_by_colour(shapes, 0.75), *_hovers(hovers), *_words(words)]


def _hovers(texts: list[tuple[float, float, str]]) -> list[Layer]:
    """Texts that pointing shows, without anything drawn."""
    x, y, hover = zip(*texts)
    return [Dots(list(x), list(y), 0.0, "", hover=hover)]


def _stores(result: PartitionStepsResult, times: Timeline, names: list[str]) -> list[Layer]:
    capacity = dict(result.horizon.storage.select("generator", "energy_kwh").iter_rows())
    areas: list[list[float]] = []
    lines: list[list[float]] = []
    words: list[tuple[float, float, str, str]] = []
    for k, name in enumerate(names):
        cells = _cells(result.storage, "generator", name, result)
        energy = np.array([cells[0]["start_kwh"], *(cell["end_kwh"] for cell in cells)])
        level = -k - 1.0 + 0.86 * energy / max(capacity[name], 1e-9)
        way = np.column_stack([times.edges, level]).ravel().tolist()
        lines.append(way)
        areas.append([*way, float(times.edges[-1]), -k - 1.0, float(times.edges[0]), -k - 1.0])
        for t, kwh in enumerate(energy[1:]):
            words.append((times.middle(t), -k - 0.5, f"{kwh:,.0f} of {capacity[name]:,.0f} kWh", "@ink"))
    return [Areas(areas, "@after", 0.25), Lines(lines, "@after", 2.0), *_words(words)]


PICTURES: Mapping[str, Callable[[PartitionStepsResult], Sheet]] = {"timeline": timeline}


_LINEAR = "Costs, bounds and set-points are those of a linear three-phase power flow; what is called AC is exact."


def page(result: PartitionStepsResult) -> m.Page:
    """The report of a result."""
    frames = {name: frame for name, frame in result.tables().items() if "step" in frame.columns}
    steps = result.steps["step"].to_list()
    plans = moment.Plans(
        "step", {step: {name: each.filter(step=step) for name, each in frames.items()} for step in steps}
    )
    log = {"": (result.iterations, gap_text(result.gap, result.termination))}
    text, stored = "Nominal loads; AC power flow of the islands", "Energy, and power held back for loads that deviate"
    parts: list[m.Offered] = [
        _cards(result),
        lambda: s.sheet_section("Timeline", None if result.cost_usd is None else timeline(result), long=True),
        tables.table_section("Steps", result, "steps", text, ["step"], blank=True, long=False),
        lambda: moment.pictures(steps_scene(result), "", still=False),
        moment.switches(plans),
        lambda: moment.islands(plans),
        lambda: moment.generators(plans),
        tables.table_section("In store", result, "storage", stored, ["step", "generator"], long=False),
        lambda: moment.blocks(plans),
        lambda: moment.proof(log, moment.Plans("", {"": {"iterations": result.iterations}})),
    ]
    return s.answer_page(result, "microgrids over time", parts, none="No plan found", log=False, physics=_LINEAR)


def _cards(result: PartitionStepsResult) -> m.Cards:
    share = percent(result.served_kwh / result.total_kwh if result.total_kwh else None)
    most = "any number" if result.max_actions is None else f"at most {result.max_actions}"
    kept = "a block with supply keeps it unless it has a fault" if result.keep_energised else ""
    served = f"{number(result.served_kwh, 0)} of {number(result.total_kwh, 0)} kWh"
    return m.cards(
        m.Card("Energy served", served, (share,)),
        m.Card("Cost, at worst", usd(result.cost_usd), moment.cost_lines(result)),
        m.Card("Steps", f"{result.steps.height}, {number(float(result.steps['hours'].sum()), 1)} h"),
        m.Card("Switches that change in a step", most, (kept,)),
        moment.uncertain_card(result),
        s.gap_card(result, f"lower bound {usd(result.lower_bound_usd)}"),
        s.effort_card(result, f"{result.iterations.height} iterations"),
    )
