"""What all Plotly charts of the HTML report share. Colours are names (`@line`) that the page looks up.

Plotly reads a part of HTML in every text (`<b>`, `<a href>`, `<br>`): each name goes through `plain` first.
"""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Chart = dict[str, Any]
Trace = dict[str, Any]

_FONT = {"family": "system-ui, -apple-system, Segoe UI, Roboto, Helvetica Neue, Arial, sans-serif", "size": 12}


def plain(name: str) -> str:
    """A name that Plotly shows letter by letter, whatever markup it holds."""
    return html.escape(name, quote=False).replace("\n", " ").replace("\r", " ")


def numbers(values: Floats) -> list[float | None]:
    """Numbers with as many digits as a picture needs; what is not finite becomes null."""
    return [float(f"{v:.6g}") if np.isfinite(v) else None for v in values]


def base_layout(height: float) -> dict[str, Any]:
    """The layout that all charts start from; height in pixels."""
    font = {**_FONT, "color": "@ink"}
    return {
        "height": round(height),
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": font,
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": "@loose", "activecolor": "@ink"},
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "@paper", "bordercolor": "@soft", "font": font, "align": "left"},
    }


def dots(xy: Floats, marker: dict[str, Any], hover: list[str], **more: Any) -> Trace:
    """Markers at (k, 2) places; `hover` is what hovering shows."""
    shown = {"hovertext": hover, "hoverinfo": "text"} if hover else {"hoverinfo": "skip"}
    place = {"x": numbers(xy[:, 0]), "y": numbers(xy[:, 1])}
    return {"type": "scatter", "mode": "markers", **place, "marker": marker, **shown, **more}


def polyline(ways: list[Floats], colour: str, width: float, *, dash: str = "solid", **more: Any) -> Trace:
    """Many (k, 2) ways as one line with gaps."""
    x: list[float | None] = []
    y: list[float | None] = []
    for way in ways:
        x += [*numbers(way[:, 0]), None]
        y += [*numbers(way[:, 1]), None]
    line = {"color": colour, "width": round(width, 2), "dash": dash, "simplify": False}
    return {"type": "scatter", "mode": "lines", "x": x, "y": y, "line": line, "hoverinfo": "skip", **more}
