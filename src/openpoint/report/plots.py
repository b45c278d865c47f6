"""The grid before and after as plain Plotly data for the HTML report."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from openpoint.report import style
from openpoint.report.labels import (
    NAMED_BUSES,
    crowding,
    name_boxes,
    names_that_fit,
    pieces,
    place_labels,
    shorten,
    symbol_spots,
)
from openpoint.report.plotbase import Chart, Floats, Trace, base_layout, dots, numbers, plain, polyline
from openpoint.report.scene import Scene, State

_WIDTHS = 6
_PIXELS = 96.0  # of an inch


def colour_stops() -> list[tuple[float, str]]:
    """The colour scale of voltages in ten steps."""
    colours = mpl.colormaps[style.COLOURS]
    return [(i / 10, to_hex(colours(i / 10))) for i in range(11)]


def is_wide(scene: Scene) -> bool:
    """Whether a panel is so wide that before and after go one below the other."""
    x0, x1, y0, y1 = scene.layout.extent
    return (x1 - x0 + 1) / (y1 - y0 + 1) >= (1.6 if scene.layout.is_map else 1.75)


def grid_chart(scene: Scene, state: State, loads: dict[int, tuple[float, float]]) -> Chart:
    """One state of the grid; hovering a bus or a branch says all about it."""
    x0, x1, y0, y1 = scene.layout.extent
    width = 1180.0 if is_wide(scene) else 590.0
    if scene.layout.is_map:
        height = float(np.clip(width * (y1 - y0) / max(x1 - x0, 1e-9), 300, 760))
        pad_x, pad_y = 0.06 * max(x1 - x0, 1e-9), 0.08 * max(y1 - y0, 1e-9)
    else:
        height = float(np.clip((y1 - y0) * (40 + 16 * is_wide(scene)) + 110, 260, 1400))
        pad_x, pad_y = 0.6, 0.75
    scale = (
        (width - 20) / _PIXELS / (x1 - x0 + 2 * pad_x or 1.0),
        (height - 34) / _PIXELS / (y1 - y0 + 2 * pad_y or 1.0),
    )
    at_bus, at_branch = scene.violated(state)
    data = [
        *_branch_traces(scene, state, set(at_branch)),
        _branch_hover(scene, state),
        *_bus_traces(scene, state, loads, set(at_bus), dense=crowding(scene.layout.xy * np.array(scale)) < 0.18),
        *_symbol_traces(scene, state, scale),
        _bus_names(scene, scale),
    ]
    axis = {"visible": False, "zeroline": False, "showgrid": False}
    return {
        "data": data,
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


def _branch_traces(scene: Scene, state: State, broken: set[int]) -> list[Trace]:
    ways = scene.layout.ways
    traces = [
        polyline([ways[e] for e in sorted(changed)], colour, 13, opacity=0.2)
        for changed, colour in ((scene.opened, "@opens"), (scene.closed, "@closes"))
        if changed
    ]
    share = scene.stress(state) / scene.stress_max
    # Plotly has one width a trace: a few classes of width say as much as the eye reads.
    rank = np.minimum((share * _WIDTHS).astype(int), _WIDTHS - 1)
    for k in range(_WIDTHS):
        width = 1.1 + 5.0 * (k + 0.5) / _WIDTHS
        for over, colour in ((False, "@line"), (True, "@broken")):
            chosen = [ways[e] for e in np.flatnonzero(state.closed & (rank == k)) if (e in broken) == over]
            if chosen:
                traces.append(polyline(chosen, colour, width))
    for colour, which in (
        ("@opens", scene.opened),
        ("@closes", scene.closed),
        ("@loose", set(range(len(ways))) - scene.opened - scene.closed),
    ):
        chosen = [ways[e] for e in np.flatnonzero(~state.closed) if e in which]
        if chosen:
            traces.append(polyline(chosen, colour, 1.4, dash="5px,4px"))
    return traces


def _branch_hover(scene: Scene, state: State) -> Trace:
    """Invisible points along every branch that carry its text."""
    places: list[Floats] = [np.zeros((0, 2))]
    text: list[str] = []
    for e, way in enumerate(scene.layout.ways):
        steps = np.hypot(*np.diff(way, axis=0).T)
        at = np.concatenate([[0.0], np.cumsum(steps)])
        along = np.linspace(0.0, at[-1], 9 if len(way) > 2 else 5)[1:-1]
        places.append(np.column_stack([np.interp(along, at, way[:, k]) for k in (0, 1)]))
        text += [_branch_text(scene, state, e)] * len(along)
    return dots(np.concatenate(places), {"size": 12, "opacity": 0, "color": "@line"}, text)


def _branch_text(scene: Scene, state: State, e: int) -> str:
    a, b = scene.ends[e]
    change = " (opens)" if e in scene.opened else " (closes)" if e in scene.closed else ""
    rows = [
        f"<b>branch {plain(shorten(scene.branch_names[e], 40))}</b>{change}",
        f"{plain(shorten(scene.bus_names[a], 40))} – {plain(shorten(scene.bus_names[b], 40))}",
    ]
    if not state.closed[e]:
        return "<br>".join([*rows, "open"])
    limit = f" of {scene.i_max[e]:.4g} A" if np.isfinite(scene.i_max[e]) else ""
    for value, unit, what in (
        (state.i[e], f"A{limit}", "current"),
        (state.loading[e], "%", "loading"),
        (state.p[e], "kW", "power"),
        (state.q[e], "kvar", "reactive"),
        (state.loss[e], "kW", "loss"),
    ):
        if np.isfinite(value):
            rows.append(f"{what} {value:,.4g} {unit}")
    return "<br>".join(rows)


def _bus_traces(
    scene: Scene, state: State, loads: dict[int, tuple[float, float]], broken: set[int], *, dense: bool
) -> list[Trace]:
    xy, n = scene.layout.xy, len(scene.bus_names)
    lo, hi = scene.v_range
    sources = set(scene.sources)
    known = np.isfinite(state.v)
    traces = []
    if broken:
        rings = sorted(broken)
        line = {"width": 2, "color": "@broken"}
        ring = {"size": 11 if dense else 17, "symbol": "circle-open", "color": "@broken", "line": line}
        traces.append(dots(xy[rings], ring, []))
    size = 6 if dense else 9
    for symbol, is_source in (("circle", False), ("square", True)):
        for known_here in (True, False):
            buses = [i for i in range(n) if (i in sources) == is_source and known[i] == known_here]
            if not buses:
                continue
            marker: dict[str, Any] = {
                "size": size + 5 * is_source,
                "symbol": symbol,
                "line": {"width": 1, "color": "@ink"},
            }
            if known_here:
                colours = {"cmin": lo, "cmax": hi, "colorscale": [list(stop) for stop in colour_stops()]}
                marker |= {"color": numbers(state.v[buses]), **colours}
            else:
                marker |= {"color": "@unknown"}
            traces.append(dots(xy[buses], marker, [_bus_text(scene, state, loads, i) for i in buses]))
    return traces


def _bus_text(scene: Scene, state: State, loads: dict[int, tuple[float, float]], i: int) -> str:
    rows = [f"<b>bus {plain(shorten(scene.bus_names[i], 40))}</b>" + (" (source)" if i in scene.sources else "")]
    rows.append(f"voltage {state.v[i]:.5f} pu" if np.isfinite(state.v[i]) else "voltage unknown")
    limits = [f"{v:g}" if np.isfinite(v) else "…" for v in (scene.v_min[i], scene.v_max[i])]
    if limits != ["…", "…"]:
        rows.append(f"limits {limits[0]} – {limits[1]} pu")
    if i in loads:
        rows.append(f"load {loads[i][0]:,.5g} kW, {loads[i][1]:,.5g} kvar")
    return "<br>".join(rows)


def _symbol_traces(scene: Scene, state: State, scale: tuple[float, float]) -> list[Trace]:
    """Open points and changed branches with their names."""
    shown = sorted(set(np.flatnonzero(~state.closed).tolist()) | scene.opened | scene.closed)
    if not shown:
        return []
    spots = symbol_spots(scene.layout, shown, scale)
    names = [shorten(scene.branch_names[e], 18) for e in shown]
    anchors = np.array([spots[e] for e in shown]) * np.array(scale)
    sizes = np.array([[0.075 * len(name) + 0.06, 0.15] for name in names])
    xy = scene.layout.xy * np.array(scale)
    taken = np.column_stack([xy - 0.06, xy + 0.06])
    if len(xy) <= NAMED_BUSES:
        taken = np.concatenate([taken, name_boxes(scene.bus_names, xy, 0.07, 0.065, 0.12)])
    x0, x1, _, _ = scene.layout.extent
    within = ((x0 - 0.6) * scale[0], (x1 + 0.6) * scale[0])
    sides = place_labels(anchors, sizes, taken, pieces(scene.layout.ways, scale), within, gap=0.09)
    colours = ["@opens" if e in scene.opened else "@closes" if e in scene.closed else "@soft" for e in shown]
    fill = [c if state.closed[e] else "@paper" for e, c in zip(shown, colours, strict=True)]
    marker = {
        "size": 12 if min(scale) >= 0.2 else 8,
        "symbol": "circle",
        "color": fill,
        "line": {"width": [2.5 if c != "@soft" else 1.6 for c in colours], "color": colours},
    }
    text = {
        "mode": "markers+text",
        "text": [plain(name) for name in names],
        "textposition": sides,
        "textfont": {"size": 12, "color": colours},
        "cliponaxis": False,
    }
    at = np.array([spots[e] for e in shown])
    return [dots(at, marker, [_branch_text(scene, state, e) for e in shown], **text)]


def _bus_names(scene: Scene, scale: tuple[float, float]) -> Trace:
    """Names of all buses; hidden at first where most of them would hide each other."""
    xy = scene.layout.xy
    n = len(xy)
    inches = xy * np.array(scale)
    boxes = name_boxes(scene.bus_names, inches, 0.07, 0.065, 0.12)
    fit = n <= NAMED_BUSES and len(names_that_fit(boxes, inches, range(n), 0.04)) >= 0.7 * n
    return {
        "type": "scatter",
        "mode": "markers+text",
        # Invisible, but Plotly keeps text clear of a marker.
        "marker": {"size": 11, "opacity": 0},
        "name": "bus names",
        "x": numbers(xy[:, 0]),
        "y": numbers(xy[:, 1]),
        "text": [plain(shorten(name)) for name in scene.bus_names],
        "textposition": "top right",
        "textfont": {"size": 10, "color": "@soft"},
        "hoverinfo": "skip",
        "visible": bool(fit),
    }
