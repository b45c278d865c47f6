"""The grid after a disaster as plain Plotly data for the HTML report."""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.report.harden_figures import symbol
from openpoint.report.harden_scene import SHED_KW, After, HardenScene
from openpoint.report.labels import shorten
from openpoint.report.plotbase import Chart, Trace, dots, plain, polyline
from openpoint.report.plotgrid import branch_hover, bus_names, grid_frame, named_marks, spots_of
from openpoint.report.style import BROKEN, CLOSES, HARDENED, OPENS, SOFT

_WIDTHS = 5
# The page has its own shades of these, for light and dark.
NAMED = {BROKEN: "@broken", CLOSES: "@closes", OPENS: "@opens", SOFT: "@soft", HARDENED: "@hardened"}
_SYMBOLS = {"x": "x-thin", "P": "cross", "o": "circle"}


def after_chart(scene: HardenScene, after: After) -> Chart:
    """The grid after one disaster; hovering a bus or a branch says all about it."""
    scale, made = grid_frame(scene.layout, 620)
    texts = [_branch_text(scene, after, e) for e in range(len(scene.branch_names))]
    made["data"] = [
        *_lines(scene, after),
        branch_hover(scene.layout, texts),
        *_buses(scene, after),
        *_symbols(scene, after, texts, scale),
        bus_names(scene.layout, scene.bus_names, _texts(scene, after), _inks(after), scale),
    ]
    return made


def _lines(scene: HardenScene, after: After) -> list[Trace]:
    ways = scene.layout.ways
    traces = []
    if scene.hardened:
        traces.append(polyline([ways[e] for e in sorted(scene.hardened)], "@hardened", 13, opacity=0.35))
    island = [int(max(after.island[a], after.island[b])) for a, b in scene.ends]
    share = np.nan_to_num(np.abs(after.p)) / scene.p_max
    rank = np.minimum((share * _WIDTHS).astype(int), _WIDTHS - 1)
    for number in sorted(set(island)):
        for k in range(_WIDTHS):
            chosen = [ways[e] for e in np.flatnonzero(after.closed & (rank == k)) if island[e] == number]
            if chosen:
                traces.append(polyline(chosen, scene.island_colour(number), 1.4 + 4.6 * (k + 0.5) / _WIDTHS))
    for chosen_here, colour, dash in (
        (~after.closed & ~after.broken, "@loose", "5px,4px"),
        (after.broken, "@broken", "2px,3px"),
    ):
        chosen = [ways[e] for e in np.flatnonzero(chosen_here)]
        if chosen:
            traces.append(polyline(chosen, colour, 1.6, dash=dash))
    return traces


def _branch_text(scene: HardenScene, after: After, e: int) -> str:
    a, b = scene.ends[e]
    state = "broken" if after.broken[e] else "closed" if after.closed[e] else "open"
    todo = {"close": ", to be closed", "open": ", to be opened", "": ""}[after.switching[e]]
    rows = [
        f"<b>branch {plain(shorten(scene.branch_names[e], 40))}</b>",
        f"{plain(shorten(scene.bus_names[a], 40))} – {plain(shorten(scene.bus_names[b], 40))}",
        state + todo + (", hardened" if e in scene.hardened else ""),
    ]
    if after.closed[e]:
        for value, unit, what in (
            (after.p[e], "kW", "power"),
            (after.q[e], "kvar", "reactive"),
            (after.i[e], "A", "current"),
            (after.loading[e], "%", "loading"),
        ):
            if np.isfinite(value):
                rows.append(f"{what} {value:,.4g} {unit}")
    return "<br>".join(rows)


def _buses(scene: HardenScene, after: After) -> list[Trace]:
    xy, n = scene.layout.xy, len(scene.bus_names)
    units = {unit.bus: unit for unit in after.units}
    size = 7 if n > 60 else 10
    traces = []
    if shed := [i for i in range(n) if after.shed[i] > SHED_KW]:
        share = [min(1.0, after.shed[i] / max(after.load[i], 1e-9)) for i in shed]
        line = {"width": [1.0 + 1.8 * s for s in share], "color": "@broken"}
        ring = {"size": size + 9, "symbol": "circle-open", "color": "@broken", "line": line}
        traces.append(dots(xy[shed], ring, []))
    for kind, sign, larger in (("source", "square", 5), ("unit", "diamond", 5), ("bus", "circle", 0)):
        buses = [i for i in range(n) if kind == ("source" if i in scene.sources else "unit" if i in units else "bus")]
        if not buses:
            continue
        colours = [scene.island_colour(int(after.island[i])) for i in buses]
        idle = [after.island[i] == 0 or (i in units and not units[i].runs) for i in buses]
        marker: dict[str, Any] = {
            "size": size + larger,
            "symbol": sign,
            "color": ["@paper" if empty else colour for colour, empty in zip(colours, idle, strict=True)],
            "line": {"width": 1.4, "color": [c if empty else "@ink" for c, empty in zip(colours, idle, strict=True)]},
        }
        traces.append(dots(xy[buses], marker, [_bus_text(scene, after, i) for i in buses]))
    return traces


def _bus_text(scene: HardenScene, after: After, i: int) -> str:
    source = " (substation)" if i in scene.sources else ""
    rows = [f"<b>bus {plain(shorten(scene.bus_names[i], 40))}</b>{source}"]
    rows.append(f"island {after.island[i]}" if after.island[i] else "without supply")
    if np.isfinite(after.v[i]):
        rows.append(f"voltage {after.v[i]:.5f} pu")
    if after.load[i] > 0.0:
        rows.append(f"load {after.load[i]:,.5g} kW")
    if after.shed[i] > SHED_KW:
        rows.append(f"shed {after.shed[i]:,.5g} kW")
    for unit in after.units:
        if unit.bus == i:
            how = "forms the island" if unit.forms_grid else "follows the grid" if unit.runs else "stands still"
            rows.append(f"backup generator {how}: {unit.p_kw:,.5g} kW, {unit.q_kvar:,.5g} kvar")
    return "<br>".join(rows)


def _symbols(scene: HardenScene, after: After, texts: list[str], scale: tuple[float, float]) -> list[Trace]:
    """Crosses on what is broken, circles on what is switched or open, with their names."""
    shown = sorted(set(np.flatnonzero(~after.closed).tolist()) | set(after.switched) | scene.hardened)
    looks = [symbol(after, e, hardened=e in scene.hardened) for e in shown]
    colours = [NAMED[look["mec"]] for look in looks]
    marker = {
        "size": [10 if look["marker"] == "x" else 12 for look in looks],
        "symbol": [_SYMBOLS[look["marker"]] for look in looks],
        "color": ["@paper" if look["mfc"] == "white" else c for look, c in zip(looks, colours, strict=True)],
        "line": {"width": [3.0 if look["marker"] == "x" else 2.0 for look in looks], "color": colours},
    }
    hover = [texts[e] for e in shown]
    at, names = spots_of(scene.layout, shown, scale), [scene.branch_names[e] for e in shown]
    return named_marks(scene.layout, at, names, _texts(scene, after), marker, colours, hover, scale)


def _texts(scene: HardenScene, after: After) -> list[str]:
    """Names of the buses, with the load shed."""
    return [
        shorten(name) + (f" −{after.shed[i]:,.3g} kW" if after.shed[i] > SHED_KW else "")
        for i, name in enumerate(scene.bus_names)
    ]


def _inks(after: After) -> list[str]:
    return ["@broken" if shed > SHED_KW else "@soft" for shed in after.shed]
