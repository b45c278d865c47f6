"""The islands of a partition, and what robustness costs, as charts of the HTML report."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats
from openpoint.report.chart.charts import axes_chart
from openpoint.report.chart.drawing import Chart, Dots, Layer, Lines, Shape, Words, at, curve, numbers, span
from openpoint.report.chart.frame import NAMED, OPEN, GridFrame, grid_frame
from openpoint.report.layout.labels import shorten
from openpoint.report.numerals import figures
from openpoint.studies.partition.pictures.figures import switch_look, unit_words
from openpoint.studies.partition.pictures.scene import PartitionScene, PlanView, Unit
from openpoint.studies.partition.result import PartitionLevelsResult

# The page has its own shades of the islands' colours, for light and dark.
_ISLANDS = ("@islea", "@isleb", "@islec", "@isled", "@islee", "@islef")


def _colour(number: int) -> str:
    return _ISLANDS[(number - 1) % len(_ISLANDS)] if number else "@loose"


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


def level_charts(found: PartitionLevelsResult) -> dict[str, Chart]:
    """What is served, and what it costs, over the uncertainty."""
    share = 100.0 * np.array(list(found.by_level))
    total = found.results[0].total_kw
    served = np.array([each.served_kw for each in found.results])
    cost = np.array([np.nan if each.cost_usd is None else each.cost_usd for each in found.results])
    bound = np.array([each.lower_bound_usd for each in found.results])
    load = np.full(len(share), total)
    return {
        "served": _levels_chart(share, ("all load", load), ("served", served), "load, kW", "kW"),
        "cost": _levels_chart(share, ("proven bound", bound), ("cost at worst", cost), "$ an hour", "$"),
    }


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
        layers += frame.ways(live, _colour(number), 12, opacity=0.16)
        layers += frame.ways(live, _colour(number), 3, hover=texts)
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
        fills = tuple(_colour(int(view.island[i])) if view.island[i] else "@paper" for i in buses)
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
    looks = [switch_look(view, e) for e in switches]
    inks = tuple(NAMED[look["mec"]] for look in looks)
    fills = tuple("@paper" if look["mfc"] == "white" else ink for look, ink in zip(looks, inks, strict=True))
    spots = frame.marks(switches)
    dots = Dots(*frame.spots(spots), 12.0, fills, edge=inks, width=2.0, hover=at(texts, switches))
    return [dots, *frame.named(spots, [scene.branch_names[e] for e in switches], inks, 12.0)]


def _units(scene: PartitionScene, view: PlanView, frame: GridFrame) -> list[Layer]:
    units = sorted(view.units, key=lambda unit: not unit.forms_grid)
    if not units:
        return []
    colours = [_colour(unit.island) for unit in units]
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
        "@paper",
        bold=True,
        centred=True,
    )
    return [dots, inside, *frame.named(where, [unit_words(unit) for unit in units], inks, 20.0)]
