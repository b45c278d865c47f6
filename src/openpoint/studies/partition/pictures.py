"""Pictures of a partition: the islands of plans, and what robustness costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.report.charts import axes_chart, convergence_sheet
from openpoint.report.drawing import (
    Chart,
    Dots,
    Layer,
    Lines,
    Panel,
    Shape,
    Sheet,
    Sign,
    Words,
    at,
    curve,
    ink_on,
    numbers,
    span,
)
from openpoint.report.grids import CLOSES, OPEN, OPEN_POINT, OPENS, GridFrame, grid_frame
from openpoint.report.layout.labels import shorten
from openpoint.report.numerals import figures
from openpoint.studies.partition.result import PartitionLevelsResult, PartitionResult
from openpoint.studies.partition.scene import PartitionScene, PlanView, Unit, build_partition_scene, island_colour

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


def grid(result: PartitionResult | PartitionLevelsResult) -> Sheet:
    """The islands of a plan, or of those of several levels of uncertainty with what is served and what it costs."""
    sheet = plans_sheet(build_partition_scene(result), headline(result))
    if isinstance(result, PartitionLevelsResult) and len(result.by_level) > 1:
        return replace(sheet, panels=sheet.panels + level_panels(result))
    return sheet


def _bounds(result: PartitionResult | PartitionLevelsResult) -> Sheet:
    if isinstance(result, PartitionLevelsResult):
        raise OptionError("Levels are solved one by one: draw the bounds of one of `result.by_level`")
    return convergence_sheet(result)


PICTURES: Mapping[str, Callable[[PartitionResult | PartitionLevelsResult], Sheet]] = {
    "grid": grid,
    "convergence": _bounds,
}
"""The islands, of several levels also what is served and what it costs; the bounds over time."""


def headline(result: PartitionResult | PartitionLevelsResult) -> str:
    """What is shown, in one line."""
    title = result.title
    if isinstance(result, PartitionLevelsResult):
        return f"{title}: {len(result.by_level)} levels of uncertainty"
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


def level_panels(found: PartitionLevelsResult) -> tuple[Panel, Panel]:
    """What is served, and what it costs, over the uncertainty."""
    share = 100.0 * np.array(list(found.by_level))
    total = found.results[0].total_kw
    served = np.array([each.served_kw for each in found.results])
    cost = np.array([np.nan if each.cost_usd is None else each.cost_usd for each in found.results])
    bound = np.array([each.lower_bound_usd for each in found.results])
    load = np.full(len(share), total)
    loads = _levels_chart(share, ("all load", load), ("served", served), "load, kW", "kW")
    costs = _levels_chart(share, ("proven bound", bound), ("cost at worst", cost), "$ an hour", "$")
    return (
        Panel("served", loads, "Load served", "Load served over the uncertainty; the table has the numbers"),
        Panel("cost", costs, "Cost of an hour", "Cost over the uncertainty; the table has the numbers"),
    )


def _levels_chart(
    share: Floats, reference: tuple[str, Floats], figure: tuple[str, Floats], title: str, unit: str
) -> Chart:
    """What is reached, as a line, beside what it is compared with, dashed."""
    layers: list[Layer] = []
    dashes: tuple[float, ...] = (6.0, 4.0)
    for (name, values), colour, dash in ((reference, "@soft", dashes), (figure, "@after", ())):
        hover = tuple(f"loads ± {x:g} %\n{name}: {y:,.2f} {unit}" for x, y in zip(share, values, strict=True))
        layers.append(Lines(curve(share, values), colour, 2.0, dash=dash, name=name))
        layers.append(Dots(numbers(share), numbers(values), 7.0, colour, name=name, hover=hover))
    seen = np.concatenate([reference[1], figure[1]])
    return axes_chart(320, span(share), "uncertainty of the loads, ± %", span(seen, from_zero=True), title, layers)


def _lines(scene: PartitionScene, view: PlanView, frame: GridFrame, texts: list[str]) -> list[Layer]:
    island = np.array([min(view.island[a], view.island[b]) for a, b in scene.ends])
    layers: list[Layer] = []
    for number in range(1, len(view.islands) + 1):
        live = np.flatnonzero(view.closed & (island == number)).tolist()
        layers += frame.ways(live, island_colour(number), 12, opacity=0.16)
        layers += frame.ways(live, island_colour(number), 3, hover=texts)
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
