"""The islands of a partition, and what robustness costs, as plain Plotly data for the HTML report."""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.report.harden_plots import NAMED
from openpoint.report.labels import shorten
from openpoint.report.partition_figures import switch_look, unit_words
from openpoint.report.partition_scene import Cut, Floats, PartitionScene, Unit
from openpoint.report.plotbase import Chart, Trace, dots, plain, polyline
from openpoint.report.plotcharts import axes_layout
from openpoint.report.plotgrid import branch_hover, bus_names, grid_frame, named_marks, spots_of
from openpoint.studies.partition_result import PartitionLevels

# The page has its own shades of the islands' colours, for light and dark.
_ISLANDS = ("@islea", "@isleb", "@islec", "@isled", "@islee", "@islef")


def _colour(number: int) -> str:
    return _ISLANDS[(number - 1) % len(_ISLANDS)] if number else "@loose"


def cut_chart(scene: PartitionScene, cut: Cut) -> Chart:
    """One plan; hovering a bus or a branch says all about it."""
    scale, made = grid_frame(scene.layout, 620 if len(scene.cuts) > 1 else 860)
    texts = [_branch_text(scene, cut, e) for e in range(len(scene.branch_names))]
    names = [shorten(name) for name in scene.bus_names]
    made["data"] = [
        *_lines(scene, cut),
        branch_hover(scene.layout, texts),
        *_buses(scene, cut),
        *_marks(scene, cut, texts, scale),
        bus_names(scene.layout, scene.bus_names, names, "@soft", scale),
    ]
    return made


def level_charts(found: PartitionLevels) -> dict[str, Chart]:
    """What is served, and what it costs, over the uncertainty."""
    share = 100.0 * np.array(list(found.by_level))
    total = found.results[0].total_kw
    served = np.array([each.served_kw for each in found.results])
    cost = np.array([np.nan if each.cost_usd is None else each.cost_usd for each in found.results])
    bound = np.array([each.lower_bound_usd for each in found.results])
    line = [("all load", np.full(len(share), total), "@soft", "dash"), ("served", served, "@after", "solid")]
    return {
        "served": _levels_chart(share, line, "load, kW", "kW"),
        "cost": _levels_chart(
            share,
            [("proven bound", bound, "@soft", "dash"), ("cost at worst", cost, "@after", "solid")],
            "$ an hour",
            "$",
        ),
    }


def _levels_chart(share: Floats, lines: list[tuple[str, Floats, str, str]], title: str, unit: str) -> Chart:
    data: list[Trace] = []
    for name, values, colour, dash in lines:
        hover = [f"loads ± {x:g} %<br>{name}: {y:,.2f} {unit}" for x, y in zip(share, values, strict=True)]
        trace = dots(np.column_stack([share, values]), {"size": 7, "color": colour}, hover, name=name)
        data.append({**trace, "mode": "lines+markers", "line": {"color": colour, "width": 2, "dash": dash}})
    layout = axes_layout(320, "uncertainty of the loads, ± %", title)
    layout["yaxis"]["rangemode"] = "tozero"
    return {"data": data, "layout": layout}


def _lines(scene: PartitionScene, cut: Cut) -> list[Trace]:
    ways = scene.layout.ways
    island = np.array([min(cut.island[a], cut.island[b]) for a, b in scene.ends])
    traces = []
    for number in range(1, len(cut.islands) + 1):
        live = [ways[e] for e in np.flatnonzero(cut.closed & (island == number))]
        if live:
            colour = _colour(number)
            traces += [polyline(live, colour, 12, opacity=0.16), polyline(live, colour, 3)]
    for chosen, dash in ((cut.closed & (island == 0), "solid"), (~cut.closed, "5px,4px")):
        if grey := [ways[e] for e in np.flatnonzero(chosen)]:
            traces.append(polyline(grey, "@loose", 1.4, dash=dash))
    return traces


def _branch_text(scene: PartitionScene, cut: Cut, e: int) -> str:
    a, b = scene.ends[e]
    todo = {"close": ", to be closed", "open": ", to be opened", "": ""}[cut.switching[e]]
    kind = "switch, " if scene.switchable[e] else ""
    return "<br>".join(
        [
            f"<b>branch {plain(shorten(scene.branch_names[e], 40))}</b>",
            f"{plain(shorten(scene.bus_names[a], 40))} – {plain(shorten(scene.bus_names[b], 40))}",
            f"{kind}{'closed' if cut.closed[e] else 'open'}{todo}",
        ]
    )


def _buses(scene: PartitionScene, cut: Cut) -> list[Trace]:
    xy, n = scene.layout.xy, len(scene.bus_names)
    size = 7 if n > 60 else 9
    lost = set(scene.lost)
    traces = []
    for buses, sign, larger in ((sorted(set(range(n)) - lost), "circle", 0), (sorted(lost), "square-x", 6)):
        colours = [_colour(int(cut.island[i])) for i in buses]
        edges = ["@broken" if i in lost else "@ink" if cut.island[i] else "@loose" for i in buses]
        marker: dict[str, Any] = {
            "size": size + larger,
            "symbol": sign,
            "color": [c if cut.island[i] else "@paper" for i, c in zip(buses, colours, strict=True)],
            "line": {"width": 1.4, "color": edges},
        }
        traces.append(dots(xy[buses], marker, [_bus_text(scene, cut, i) for i in buses]))
    return traces


def _bus_text(scene: PartitionScene, cut: Cut, i: int) -> str:
    rows = [f"<b>bus {plain(shorten(scene.bus_names[i], 40))}</b>" + (" (substation, lost)" if i in scene.lost else "")]
    rows.append(f"block {plain(shorten(scene.block[i], 40))}")
    rows.append(f"island {cut.island[i]}" if cut.island[i] else "without supply")
    if scene.load[i]:
        rows.append(f"nominal load {scene.load[i]:,.5g} kW")
    return "<br>".join([*rows, *(_unit_text(unit) for unit in cut.units if unit.bus == i)])


def _unit_text(unit: Unit) -> str:
    how = "forms the grid" if unit.forms_grid else "follows" if unit.runs else "rests"
    power = f": {unit.p_kw:,.5g} of {unit.p_max_kw:,.5g} kW, {unit.q_kvar:,.5g} kvar" if unit.runs else ""
    return f"generator {plain(shorten(unit.name, 40))} {how}{power}"


def _marks(scene: PartitionScene, cut: Cut, texts: list[str], scale: tuple[float, float]) -> list[Trace]:
    """Generators and switches with their names; the number of the island stands in what forms its grid."""
    units = sorted(cut.units, key=lambda unit: not unit.forms_grid)
    switches = np.flatnonzero(scene.switchable).tolist()
    looks = [switch_look(cut, e) for e in switches]
    inks = [NAMED[look["mec"]] for look in looks]
    fills = [_colour(unit.island) for unit in units]
    marker = {
        "size": [*(22 if unit.forms_grid else 13 for unit in units), *[12] * len(switches)],
        "symbol": ["diamond"] * len(units) + ["circle"] * len(switches),
        "color": [
            *(fill if unit.runs else "@paper" for unit, fill in zip(units, fills, strict=True)),
            *("@paper" if look["mfc"] == "white" else ink for look, ink in zip(looks, inks, strict=True)),
        ],
        "line": {
            "width": [1.4] * len(units) + [2.0] * len(switches),
            "color": [*("@ink" if unit.runs else fill for unit, fill in zip(units, fills, strict=True)), *inks],
        },
    }
    at = np.concatenate([scene.layout.xy[[unit.bus for unit in units]], spots_of(scene.layout, switches, scale)])
    names = [*(unit_words(unit) for unit in units), *(scene.branch_names[e] for e in switches)]
    colours = [*("@ink" if unit.runs else "@soft" for unit in units), *inks]
    hover = [*(_bus_text(scene, cut, unit.bus) for unit in units), *(texts[e] for e in switches)]
    forming = [unit for unit in units if unit.forms_grid]
    number = dots(scene.layout.xy[[unit.bus for unit in forming]], {"size": 1, "color": "@paper"}, [])
    ink = {"size": 11, "weight": "bold", "color": "@paper"}
    return [
        *named_marks(scene.layout, at, names, scene.bus_names, marker, colours, hover, scale),
        {**number, "mode": "text", "text": [str(unit.island) for unit in forming], "textfont": ink},
    ]
