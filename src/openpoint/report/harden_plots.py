"""The grid after a disaster as plain Plotly data for the HTML report."""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.report.harden_figures import symbol
from openpoint.report.harden_scene import SHED_KW, After, HardenScene
from openpoint.report.labels import NAMED_BUSES, name_boxes, names_that_fit, pieces, place_labels, shorten, symbol_spots
from openpoint.report.plotbase import Chart, Floats, Trace, base_layout, dots, numbers, plain, polyline
from openpoint.report.style import BROKEN, CLOSES, HARDENED, OPENS, SOFT

_WIDTHS = 5
_PIXELS = 96.0  # of an inch
# The page has its own shades of these, for light and dark.
_NAMED = {BROKEN: "@broken", CLOSES: "@closes", OPENS: "@opens", SOFT: "@soft", HARDENED: "@hardened"}
_SYMBOLS = {"x": "x-thin", "P": "cross", "o": "circle"}


def is_wide(scene: HardenScene) -> bool:
    """Whether a panel is so wide that it takes a row of its own."""
    x0, x1, y0, y1 = scene.layout.extent
    return (x1 - x0 + 1) / (y1 - y0 + 1) >= (1.6 if scene.layout.is_map else 1.75)


def after_chart(scene: HardenScene, after: After) -> Chart:
    """The grid after one disaster; hovering a bus or a branch says all about it."""
    x0, x1, y0, y1 = scene.layout.extent
    width = 1180.0 if is_wide(scene) else 590.0
    if scene.layout.is_map:
        height = float(np.clip(width * (y1 - y0) / max(x1 - x0, 1e-9), 300, 620))
        pad_x, pad_y = 0.08 * max(x1 - x0, 1e-9), 0.08 * max(y1 - y0, 1e-9)
    else:
        height = float(np.clip((y1 - y0) * (40 + 16 * is_wide(scene)) + 110, 260, 1400))
        pad_x, pad_y = 0.6, 0.75
    scale = (
        (width - 20) / _PIXELS / (x1 - x0 + 2 * pad_x or 1.0),
        (height - 34) / _PIXELS / (y1 - y0 + 2 * pad_y or 1.0),
    )
    axis = {"visible": False, "zeroline": False, "showgrid": False}
    return {
        "data": [
            *_lines(scene, after),
            _branch_hover(scene, after),
            *_buses(scene, after),
            *_symbols(scene, after, scale),
            _names(scene, after, scale),
        ],
        "layout": {
            **base_layout(height),
            "margin": {"l": 4, "r": 4, "t": 28, "b": 4},
            "xaxis": {**axis, "range": [x0 - pad_x, x1 + pad_x]},
            "yaxis": {
                **axis,
                "range": [y0 - pad_y, y1 + pad_y],
                **({"scaleanchor": "x"} if scene.layout.is_map else {}),
            },
            "dragmode": "pan",
            "showlegend": False,
        },
    }


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


def _branch_hover(scene: HardenScene, after: After) -> Trace:
    """Invisible points along every branch that carry its text."""
    places: list[Floats] = [np.zeros((0, 2))]
    text: list[str] = []
    for e, way in enumerate(scene.layout.ways):
        steps = np.hypot(*np.diff(way, axis=0).T)
        at = np.concatenate([[0.0], np.cumsum(steps)])
        along = np.linspace(0.0, at[-1], 9 if len(way) > 2 else 5)[1:-1]
        places.append(np.column_stack([np.interp(along, at, way[:, k]) for k in (0, 1)]))
        text += [_branch_text(scene, after, e)] * len(along)
    return dots(np.concatenate(places), {"size": 12, "opacity": 0, "color": "@line"}, text)


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


def _symbols(scene: HardenScene, after: After, scale: tuple[float, float]) -> list[Trace]:
    """Crosses on what is broken, circles on what is switched or open, with their names."""
    shown = sorted(set(np.flatnonzero(~after.closed).tolist()) | set(after.switched) | scene.hardened)
    if not shown:
        return []
    spots = symbol_spots(scene.layout, shown, scale)
    names = [shorten(scene.branch_names[e], 18) for e in shown]
    anchors = np.array([spots[e] for e in shown]) * np.array(scale)
    sizes = np.array([[0.075 * len(name) + 0.06, 0.15] for name in names])
    xy = scene.layout.xy * np.array(scale)
    taken = np.column_stack([xy - 0.06, xy + 0.06])
    if len(xy) <= NAMED_BUSES:
        taken = np.concatenate([taken, name_boxes(_texts(scene, after), xy, 0.07, 0.065, 0.12)])
    x0, x1, _, _ = scene.layout.extent
    within = ((x0 - 0.6) * scale[0], (x1 + 0.6) * scale[0])
    sides = place_labels(anchors, sizes, taken, pieces(scene.layout.ways, scale), within, gap=0.09)
    looks = [symbol(after, e, hardened=e in scene.hardened) for e in shown]
    colours = [_NAMED[look["mec"]] for look in looks]
    marker = {
        "size": [10 if look["marker"] == "x" else 12 for look in looks],
        "symbol": [_SYMBOLS[look["marker"]] for look in looks],
        "color": ["@paper" if look["mfc"] == "white" else c for look, c in zip(looks, colours, strict=True)],
        "line": {"width": [3.0 if look["marker"] == "x" else 2.0 for look in looks], "color": colours},
    }
    text = {
        "mode": "markers+text",
        "text": [plain(name) for name in names],
        "textposition": sides,
        "textfont": {"size": 12, "color": colours},
        "cliponaxis": False,
    }
    return [dots(np.array([spots[e] for e in shown]), marker, [_branch_text(scene, after, e) for e in shown], **text)]


def _texts(scene: HardenScene, after: After) -> list[str]:
    """Names of the buses, with the load shed."""
    return [
        shorten(name) + (f" −{after.shed[i]:,.3g} kW" if after.shed[i] > SHED_KW else "")
        for i, name in enumerate(scene.bus_names)
    ]


def _names(scene: HardenScene, after: After, scale: tuple[float, float]) -> Trace:
    """Names of all buses; hidden at first where most of them would hide each other."""
    xy, n = scene.layout.xy, len(scene.bus_names)
    inches = xy * np.array(scale)
    fit = n <= NAMED_BUSES and len(
        names_that_fit(name_boxes(scene.bus_names, inches, 0.07, 0.065, 0.12), inches, range(n), 0.04)
    ) >= (0.7 * n)
    return {
        "type": "scatter",
        "mode": "markers+text",
        # Invisible, but Plotly keeps text clear of a marker.
        "marker": {"size": 13, "opacity": 0},
        "name": "bus names",
        "x": numbers(xy[:, 0]),
        "y": numbers(xy[:, 1]),
        "text": [plain(text) for text in _texts(scene, after)],
        "textposition": "top right",
        "textfont": {"size": 10, "color": ["@broken" if shed > SHED_KW else "@soft" for shed in after.shed]},
        "hoverinfo": "skip",
        "visible": bool(fit),
    }
