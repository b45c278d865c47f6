"""Voltage profile, branch loading and convergence as plain Plotly data for the HTML report."""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.report.labels import shorten
from openpoint.report.plotbase import Chart, Trace, base_layout, dots, numbers, plain, polyline
from openpoint.report.scene import Scene
from openpoint.report.series import Convergence, loading_rows, shown_limits

_COLOUR = {"before": "@before", "after": "@after"}
_LEGEND = {"orientation": "h", "x": 0.0, "y": 1.0, "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"}


def voltage_chart(scene: Scene) -> Chart | None:
    """Voltage over the number of branches to the source, a line a feeder; None where no voltage is known."""
    data: list[Trace] = []
    seen: list[float] = []
    for key, state in scene.states.items():
        hops = state.hops(scene)
        fed = np.isfinite(state.v) & (hops >= 0)
        if not fed.any():
            continue
        seen += state.v[fed].tolist()
        feeders = [
            np.array([[hops[a], state.v[a]], [hops[b], state.v[b]]])
            for e, (a, b) in enumerate(scene.ends)
            if state.closed[e] and fed[a] and fed[b]
        ]
        data.append(polyline(feeders, _COLOUR[key], 1.3, showlegend=False, opacity=0.75, legendgroup=key))
        buses = np.flatnonzero(fed)
        text = [f"bus {plain(shorten(scene.bus_names[i], 40))}<br>{state.title}: {state.v[i]:.5f} pu" for i in buses]
        places = np.column_stack([hops[buses].astype(float), state.v[buses]])
        marker = {"size": 6, "color": _COLOUR[key]}
        data.append(dots(places, marker, text, name=state.title, legendgroup=key))
    if not seen:
        return None
    near, _ = shown_limits(scene, np.array(seen))
    line = {"color": "@broken", "width": 1.2, "dash": "dash"}
    shapes = [
        {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line} for _, value in near
    ]
    notes = [
        {
            "xref": "paper", "x": 1, "xanchor": "right", "y": value, "yanchor": "bottom", "showarrow": False,
            "text": f"{name} limit {value:g} pu", "font": {"size": 11, "color": "@broken"},
        }
        for name, value in near
    ]  # fmt: skip
    layout = axes_layout(360, "branches between bus and source", f"{scene.voltage_word}, pu")
    layout["xaxis"]["rangemode"] = "tozero"
    return {"data": data, "layout": {**layout, "shapes": shapes, "annotations": notes}}


def loading_chart(scene: Scene, most: int = 40) -> tuple[Chart, int] | None:
    """Loading or current of the most stressed branches, and how many were left out; None where none is known."""
    keys = list(scene.states)
    rows, left = loading_rows(scene, keys, most)
    if not rows:
        return None
    unit = "%" if scene.rated else "A"
    at = np.arange(len(rows), dtype=float)[::-1]
    values = {key: scene.stress(scene.states[key])[rows] for key in keys}
    data: list[Trace] = []
    if len(keys) == 2:
        spans = [np.array([[values["before"][k], y], [values["after"][k], y]]) for k, y in enumerate(at)]
        data.append(polyline(spans, "@pale", 4, showlegend=False))
    names = [plain(shorten(scene.branch_names[e], 40)) for e in rows]
    for key in keys:
        title = scene.states[key].title
        text = [f"branch {name}<br>{title}: {v:,.4g} {unit}" for name, v in zip(names, values[key], strict=True)]
        marker = {"size": 9, "color": _COLOUR[key]}
        places = np.column_stack([values[key], at])
        data.append(dots(places, marker, text, name=title, cliponaxis=False))
    layout = axes_layout(19 * len(rows) + 110, "loading, % of rating" if scene.rated else "current, A", "")
    layout["yaxis"] |= {
        "tickvals": at.tolist(),
        "ticktext": [_tick(scene, e) for e in rows],
        "range": [-0.7, len(rows) - 0.3],
        "showgrid": False,
        "tickfont": {"size": 11},
        "automargin": True,
    }
    layout["xaxis"]["rangemode"] = "tozero"
    if scene.rated and max(v.max() for v in values.values()) > 70:
        line = {"color": "@broken", "width": 1.2, "dash": "dash"}
        layout["shapes"] = [{"type": "line", "yref": "paper", "x0": 100, "x1": 100, "y0": 0, "y1": 1, "line": line}]
    return {"data": data, "layout": layout}, left


def _tick(scene: Scene, e: int) -> str:
    a, b = scene.ends[e]
    change = " opens" if e in scene.opened else " closes" if e in scene.closed else ""
    between = f"{shorten(scene.bus_names[a], 10)}–{shorten(scene.bus_names[b], 10)}"
    return plain(f"{shorten(scene.branch_names[e], 18)} ({between}){change} ")


def convergence_chart(curve: Convergence) -> Chart | None:
    """Bounds as steps over time; None where none was logged."""
    if not (np.isfinite(curve.lower).any() or np.isfinite(curve.upper).any()):
        return None
    data: list[Trace] = []
    for values, colour, name in ((curve.upper, "@opens", "upper bound"), (curve.lower, "@after", "lower bound")):
        if np.isfinite(values).any():
            text = [f"{name} {v:,.6g} {curve.unit}" if np.isfinite(v) else "" for v in values]
            line = {"color": colour, "width": 2, "shape": "hv"}
            trace = dots(np.column_stack([curve.x, values]), {"size": 4, "color": colour}, text, name=name, line=line)
            data.append({**trace, "mode": "lines+markers"})
    tried = np.isfinite(curve.value)
    if tried.any():
        text = [f"decision tried: {v:,.6g} {curve.unit}" for v in curve.value[tried]]
        places = np.column_stack([curve.x[tried], curve.value[tried]])
        data.append(dots(places, {"size": 6, "color": "@soft", "opacity": 0.6}, text, name="decision tried"))
    layout = axes_layout(320, curve.x_label, curve.unit)
    layout["xaxis"]["rangemode"] = "tozero"
    layout["yaxis"]["range"] = numbers(np.array(curve.window))
    return {"data": data, "layout": layout}


def axes_layout(height: float, x: str, y: str) -> dict[str, Any]:
    """The layout of a chart with two titled axes and a legend above."""
    axis = {"gridcolor": "@pale", "linecolor": "@pale", "zeroline": False, "automargin": True}
    return {
        **base_layout(height),
        "margin": {"l": 56, "r": 16, "t": 34, "b": 44},
        "xaxis": {**axis, "title": {"text": x}},
        "yaxis": {**axis, "title": {"text": y}},
        "legend": _LEGEND,
        "showlegend": True,
        "dragmode": "zoom",
    }
