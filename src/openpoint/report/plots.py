"""The grid before and after as plain Plotly data for the HTML report."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex

from openpoint.report import style
from openpoint.report.labels import crowding, shorten
from openpoint.report.plotbase import Chart, Trace, dots, numbers, plain, polyline
from openpoint.report.plotgrid import branch_hover, bus_names, grid_frame, named_marks, spots_of
from openpoint.report.scene import Scene, State

_WIDTHS = 6


def colour_stops() -> list[tuple[float, str]]:
    """The colour scale of voltages in ten steps."""
    colours = mpl.colormaps[style.COLOURS]
    return [(i / 10, to_hex(colours(i / 10))) for i in range(11)]


def grid_chart(scene: Scene, state: State, loads: dict[int, tuple[float, float]]) -> Chart:
    """One state of the grid; hovering a bus or a branch says all about it."""
    scale, made = grid_frame(scene.layout, 760)
    at_bus, at_branch = scene.violated(state)
    texts = [_branch_text(scene, state, e) for e in range(len(scene.branch_names))]
    names = [shorten(name) for name in scene.bus_names]
    made["data"] = [
        *_branch_traces(scene, state, set(at_branch)),
        branch_hover(scene.layout, texts),
        *_bus_traces(scene, state, loads, set(at_bus), dense=crowding(scene.layout.xy * np.array(scale)) < 0.18),
        *_symbol_traces(scene, state, texts, scale),
        bus_names(scene.layout, scene.bus_names, names, "@soft", scale),
    ]
    return made


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
    rows.append(f"{scene.voltage_word} {state.v[i]:.5f} pu" if np.isfinite(state.v[i]) else "voltage unknown")
    limits = [f"{v:g}" if np.isfinite(v) else "…" for v in (scene.v_min[i], scene.v_max[i])]
    if limits != ["…", "…"]:
        rows.append(f"limits {limits[0]} – {limits[1]} pu")
    if i in loads:
        rows.append(f"load {loads[i][0]:,.5g} kW, {loads[i][1]:,.5g} kvar")
    return "<br>".join(rows)


def _symbol_traces(scene: Scene, state: State, texts: list[str], scale: tuple[float, float]) -> list[Trace]:
    """Open points and changed branches with their names."""
    shown = sorted(set(np.flatnonzero(~state.closed).tolist()) | scene.opened | scene.closed)
    colours = ["@opens" if e in scene.opened else "@closes" if e in scene.closed else "@soft" for e in shown]
    marker = {
        "size": 12 if min(scale) >= 0.2 else 8,
        "symbol": "circle",
        "color": [c if state.closed[e] else "@paper" for e, c in zip(shown, colours, strict=True)],
        "line": {"width": [2.5 if c != "@soft" else 1.6 for c in colours], "color": colours},
    }
    hover = [texts[e] for e in shown]
    at, names = spots_of(scene.layout, shown, scale), [scene.branch_names[e] for e in shown]
    return named_marks(scene.layout, at, names, scene.bus_names, marker, colours, hover, scale)
