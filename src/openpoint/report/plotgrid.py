"""What all Plotly pictures of a grid share: their frame, hover texts along branches, marks and names of buses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from openpoint.report.labels import NAMED_BUSES, name_boxes, names_that_fit, pieces, place_labels, shorten, symbol_spots
from openpoint.report.layout import Layout
from openpoint.report.plotbase import Chart, Floats, Trace, base_layout, dots, numbers, plain

_PIXELS = 96.0  # of an inch


def is_wide(layout: Layout) -> bool:
    """Whether a panel is so wide that it takes a row of its own."""
    x0, x1, y0, y1 = layout.extent
    return (x1 - x0 + 1) / (y1 - y0 + 1) >= (1.6 if layout.is_map else 1.75)


def grid_frame(layout: Layout, highest: float) -> tuple[tuple[float, float], Chart]:
    """Inches of a unit of x and y, and a chart without data; `highest`: pixels of a map."""
    x0, x1, y0, y1 = layout.extent
    width = 1180.0 if is_wide(layout) else 590.0
    if layout.is_map:
        height = float(np.clip(width * (y1 - y0) / max(x1 - x0, 1e-9), 300, highest))
        pad_x, pad_y = 0.08 * max(x1 - x0, 1e-9), 0.08 * max(y1 - y0, 1e-9)
    else:
        height = float(np.clip((y1 - y0) * (40 + 16 * is_wide(layout)) + 110, 260, 1400))
        pad_x, pad_y = 0.6, 0.75
    scale = (
        (width - 20) / _PIXELS / (x1 - x0 + 2 * pad_x or 1.0),
        (height - 34) / _PIXELS / (y1 - y0 + 2 * pad_y or 1.0),
    )
    if layout.is_map:
        scale = (min(scale), min(scale))
    axis = {"visible": False, "zeroline": False, "showgrid": False}
    return scale, {
        "data": [],
        "layout": {
            **base_layout(height),
            "margin": {"l": 4, "r": 4, "t": 28, "b": 4},
            "xaxis": {**axis, "range": [x0 - pad_x, x1 + pad_x]},
            "yaxis": {**axis, "range": [y0 - pad_y, y1 + pad_y], **({"scaleanchor": "x"} if layout.is_map else {})},
            "dragmode": "pan",
            "showlegend": False,
        },
    }


def branch_hover(layout: Layout, texts: Sequence[str]) -> Trace:
    """Invisible points along every branch that carry its text."""
    places: list[Floats] = [np.zeros((0, 2))]
    hover: list[str] = []
    for way, text in zip(layout.ways, texts, strict=True):
        steps = np.hypot(*np.diff(way, axis=0).T)
        at = np.concatenate([[0.0], np.cumsum(steps)])
        along = np.linspace(0.0, at[-1], 9 if len(way) > 2 else 5)[1:-1]
        places.append(np.column_stack([np.interp(along, at, way[:, k]) for k in (0, 1)]))
        hover += [text] * len(along)
    return dots(np.concatenate(places), {"size": 12, "opacity": 0, "color": "@line"}, hover)


def named_marks(
    layout: Layout,
    at: Floats,
    names: Sequence[str],
    bus_texts: Sequence[str],
    marker: dict[str, Any],
    colours: Sequence[str],
    hover: Sequence[str],
    scale: tuple[float, float],
) -> list[Trace]:
    """Symbols with their names, where they hide least.

    Args:
        layout: the layout. at: (k, 2) places. names: (k). bus_texts: what stands at each bus.
        marker: of the symbols, as Plotly has it. colours: of the names. hover: texts.
        scale: inches of a unit of x and y.
    """
    if not len(at):
        return []
    texts = [shorten(name, 18) for name in names]
    sizes = np.array([[0.075 * len(text) + 0.06, 0.15] for text in texts])
    xy = layout.xy * np.array(scale)
    taken = np.column_stack([xy - 0.06, xy + 0.06])
    if len(xy) <= NAMED_BUSES:
        taken = np.concatenate([taken, name_boxes(bus_texts, xy, 0.07, 0.065, 0.12)])
    x0, x1, _, _ = layout.extent
    within = ((x0 - 0.6) * scale[0], (x1 + 0.6) * scale[0])
    sides = place_labels(at * np.array(scale), sizes, taken, pieces(layout.ways, scale), within, gap=0.09)
    text = {
        "mode": "markers+text",
        "text": [plain(each) for each in texts],
        "textposition": sides,
        "textfont": {"size": 12, "color": list(colours)},
        "cliponaxis": False,
    }
    # Plotly makes markers of several sizes transparent unless told otherwise.
    return [dots(at, {"opacity": 1, **marker}, list(hover), **text)]


def spots_of(layout: Layout, shown: Sequence[int], scale: tuple[float, float]) -> Floats:
    """(k, 2) where the marks of the branches `shown` go."""
    spots = symbol_spots(layout, shown, scale)
    return np.array([spots[e] for e in shown]).reshape(-1, 2)


def bus_names(
    layout: Layout, names: Sequence[str], texts: Sequence[str], colours: str | Sequence[str], scale: tuple[float, float]
) -> Trace:
    """Texts of the buses that hide no other; where those are few, of all buses, but hidden at first."""
    xy, n = layout.xy, len(names)
    inches = xy * np.array(scale)
    boxes = name_boxes(names, inches, 0.07, 0.065, 0.12)
    fitting = set(names_that_fit(boxes, inches, range(n), 0.04)) if n <= NAMED_BUSES else set()
    fit = len(fitting) >= 0.7 * n
    return {
        "type": "scatter",
        "mode": "markers+text",
        # Invisible, but Plotly keeps text clear of a marker.
        "marker": {"size": 13, "opacity": 0},
        "name": "bus names",
        "x": numbers(xy[:, 0]),
        "y": numbers(xy[:, 1]),
        "text": [plain(text) if i in fitting or not fit else "" for i, text in enumerate(texts)],
        "textposition": "top right",
        "textfont": {"size": 10, "color": colours if isinstance(colours, str) else list(colours)},
        "hoverinfo": "skip",
        "visible": fit,
    }
