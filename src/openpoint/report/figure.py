"""The display list drawn with Matplotlib: a picture as a figure, and as a file with always the same bytes."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from openpoint.atomic import write_bytes
from openpoint.errors import OptionError
from openpoint.report.canvas import BOLD, LETTER, MARKERS, NAMED_BUSES, POINT, RC, Canvas, below, dashes, left_of, light
from openpoint.report.drawing import Areas, Chart, Lines, Panel, Sheet, Sign, Words

if TYPE_CHECKING:
    from openpoint.results.base import Result

_INCH = 96.0  # pixels
_ENDINGS = ("png", "svg", "pdf")

# Pixels: width of a chart with axes, alone, of several and of those in rows; around all and between panels; of lines.
_ALONE, _SEVERAL, _ROWS, _EDGE, _GAP, _LINE = 690.0, 500.0, 980.0, 24.0, 16.0, 20.0


class Picture(Figure):
    """A Figure that notebooks show by itself, although pyplot does not know it."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


def draw(result: Result, kind: str = "") -> Picture:
    """A picture of a result; `kind` is one of those of its study, the first of them where it is empty.

    Raises:
        OptionError: an unknown kind, or one that this result has nothing to show of.
    """
    pictures = result.pictures()
    kind = kind or next(iter(pictures))
    if kind not in pictures:
        raise OptionError(f"There is no picture {kind!r}; choose one of {', '.join(pictures)}")
    return paint(pictures[kind](result))


def save(result: Result, path: str | Path, kind: str = "") -> Path:
    """Write a picture of a result into a file, whose ending says how: `.png`, `.svg` or `.pdf`.

    Raises:
        OptionError: another ending, or as `draw`.
    """
    path = Path(path)
    ending = path.suffix.lower().lstrip(".")
    if ending not in _ENDINGS:
        raise OptionError(f"{path.name}: the extension must be one of {', '.join('.' + each for each in _ENDINGS)}")
    write_bytes(path, encode(draw(result, kind), ending))
    return path


def encode(figure: Figure, ending: str) -> bytes:
    """A figure as a PNG, SVG or PDF file; always the same bytes, text stays text."""
    # A date in the file would make every copy differ; who made it is how a later run knows what it may replace.
    metadata: Any = {
        "png": {"Software": "openpoint"},
        "svg": {"Date": None, "Creator": "openpoint"},
        "pdf": {"CreationDate": None, "Creator": "openpoint"},
    }[ending]
    buffer = io.BytesIO()
    with mpl.rc_context(RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # a box is drawn for it
        figure.savefig(buffer, format=ending, metadata=metadata)
    return buffer.getvalue()


def paint(sheet: Sheet) -> Picture:
    """The figure of a picture: its own, unknown to pyplot; nothing to close, safe in threads and without a display."""
    with mpl.rc_context(RC):
        return _paint(sheet)


def _paint(sheet: Sheet) -> Picture:
    groups = [list(some) for _, some in groupby(sheet.panels, key=lambda panel: panel.chart.unit is None)]
    drawings = [_Group(panels, sheet) for panels in groups]
    width = max(max(group.width for group in drawings), 600.0) + 2 * _EDGE
    rows = _legend_rows(sheet.signs, width)
    foot = 8.0 + 22.0 * len(rows) + 22.0 * (sheet.scale is not None) + 18.0 * bool(sheet.note)
    height = 36.0 + sum(group.height for group in drawings) + _GAP * (len(drawings) - 1) + foot
    figure = Picture(figsize=(width / _INCH, height / _INCH))
    page = _Page(figure, width, height)
    _headline(page, sheet.title)
    top = height - 36.0
    for group in drawings:
        group.paint(page, top, width)
        top -= group.height + _GAP
    bottom = foot
    for signs in rows:
        bottom -= 22.0
        _signs(page, signs, bottom)
    if sheet.scale is not None:
        bottom -= 22.0
        _scale(page, sheet, bottom)
    if sheet.note:
        page.text(_EDGE, bottom - 11.0, sheet.note, 10.0, color=light("@soft"))
    return figure


class _Page:
    """A figure whose places are pixels from its lower left corner."""

    def __init__(self, figure: Picture, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height

    def axes(self, x: float, y: float, width: float, height: float) -> Axes:
        box = (x / self.width, y / self.height, width / self.width, height / self.height)
        return self.figure.add_axes(box)

    def text(self, x: float, y: float, text: str, size: float, **look: Any) -> None:
        room = (self.width - x - _EDGE / 2) / (BOLD if look.get("weight") == "bold" else LETTER)
        size = min(size, room / max(map(len, [*text.split("\n"), "-"])))
        look = {"va": "center", "parse_math": False, **look}
        self.figure.text(x / self.width, y / self.height, text, fontsize=size * POINT, **look)


def _headline(page: _Page, title: str) -> None:
    """The title, which becomes smaller, and takes two lines before it is too small."""
    if 11.0 * BOLD * len(title) > page.width - 2 * _EDGE:
        title = "\n".join(textwrap.wrap(title, max(len(title) * 11 // 20, 1), max_lines=2, placeholder=" …"))
    page.text(_EDGE, page.height - 20.0, title, 15.0 if "\n" not in title else 12.0, weight="bold")


class _Group:
    """Panels of one kind: their places in rows and columns, in pixels."""

    def __init__(self, panels: Sequence[Panel], sheet: Sheet) -> None:
        self.panels, self.stacked = panels, sheet.stacked
        self.grid = panels[0].chart.unit is not None
        several = len(panels) > 1
        if self.grid:
            sizes = [_grid_size(panel.chart, len(panels)) for panel in panels]
        else:
            wide = _ROWS if sheet.stacked else _SEVERAL if several else _ALONE
            sizes = [(wide, float(panel.chart.height)) for panel in panels]
        self.heads = [
            22.0 * bool(panel.caption) + _LINE * len(_name_rows(panel.chart, sizes[0][0])) for panel in panels
        ]
        self.cell = max(wide for wide, _ in sizes)
        tall = [high + head for (_, high), head in zip(sizes, self.heads, strict=True)]
        n = len(panels)
        self.columns = 1 if sheet.stacked else min(range(1, n + 1), key=lambda c: _ugly(c, n, self.cell, max(tall)))
        rows = [tall[k : k + self.columns] for k in range(0, n, self.columns)]
        self.rows = [max(row) for row in rows]
        self.width = self.columns * self.cell + (self.columns - 1) * _GAP
        self.height = sum(self.rows) + _GAP * (len(rows) - 1) * (not sheet.stacked)

    def paint(self, page: _Page, top: float, width: float) -> None:
        """The panels, from `top` down; charts with axes take all the width that there is."""
        cell = self.cell
        if not self.grid:
            cell = (width - 2 * _EDGE - (self.columns - 1) * _GAP) / self.columns
        room = max(left_of(panel.chart, cell) for panel in self.panels) if self.stacked else 0.0
        for k, (panel, head) in enumerate(zip(self.panels, self.heads, strict=True)):
            row, column = divmod(k, self.columns)
            if row and not column:
                top -= self.rows[row - 1] + _GAP * (not self.stacked)
            left, chart = _EDGE + column * (cell + _GAP), panel.chart
            if panel.caption:
                page.text(left, top - 11.0, panel.caption, 12.0 if self.grid else 11.5, weight="bold")
            high = self.rows[row] - head
            if self.grid:
                axes = page.axes(left, top - head - high, cell, high)
            else:
                beside, under = max(room, left_of(chart, cell)), below(chart)
                axes = page.axes(left + beside, top - head - high + under, cell - beside - 14.0, high - under - 10.0)
                for line, names in enumerate(_name_rows(chart, cell)):
                    _signs(page, names, top - 22.0 * bool(panel.caption) - (line + 1) * _LINE, left + beside)
            box = axes.get_position()
            Canvas(axes, chart, (box.width * page.width, box.height * page.height)).paint()


def _ugly(columns: int, n: int, wide: float, high: float) -> float:
    """How far so many columns are from a page, rather than a ribbon."""
    rows = math.ceil(n / columns)
    return abs(math.log(columns * wide / (rows * high) / 1.3)) + 0.2 * (rows * columns - n)


def _grid_size(chart: Chart, n: int) -> tuple[float, float]:
    """Width and height of a picture of a grid: a bus has room for its name where that is not too long."""
    (sx, sy), (w, h) = chart.unit or (1.0, 1.0), (chart.x.high - chart.x.low, chart.y.high - chart.y.low)
    if chart.equal:
        k = (720.0 if n <= 2 else 440.0) / max(w, h)
        return max(k * w, 250.0), k * h
    names = [text for layer in chart.layers if isinstance(layer, Words) and layer.names for text in layer.text]
    if len(names) > NAMED_BUSES:
        return float(np.clip(sx * w, 1150.0, 1600.0)), float(np.clip(sy * h, 700.0, 1600.0))
    letters = float(np.quantile([len(name) for name in names] or [1], 0.8))
    sx = max(min(max(35.0, 15.0 + 7.0 * letters), 96.0, max(20.0, 2700.0 / w)), min(76.0, 345.0 / w))
    sy = min(max(38.0, 230.0 / h), 60.0, max(19.0, 2100.0 / h))
    return max(sx * w, 250.0), max(sy * h, 150.0)


def _named(chart: Chart) -> list[Sign]:
    """The names that the layers of a chart share, with their looks."""
    found: dict[str, Sign] = {}
    for layer in chart.layers:
        if isinstance(layer, Words) or not layer.name or layer.name in found:
            continue
        if isinstance(layer, Lines):
            found[layer.name] = Sign(layer.name, line=layer.colour, thick=layer.width, dash=layer.dash)
        elif isinstance(layer, Areas):
            edge = layer.edge or layer.colour
            found[layer.name] = Sign(layer.name, "square", layer.colour, edge, width=max(layer.width, 0.5))
        elif layer.size:
            look: Any = [each[0] if isinstance(each, tuple) else each for each in (layer.shape, layer.fill, layer.edge)]
            found[layer.name] = Sign(layer.name, look[0], look[1], look[2] or look[1], 8.0, 1.0)
    return list(found.values())


def _name_rows(chart: Chart, width: float) -> list[list[Sign]]:
    return _legend_rows(_named(chart), width - 60.0)


def _legend_rows(signs: Sequence[Sign], width: float) -> list[list[Sign]]:
    """Symbols in words, as many in a line as fit."""
    rows: list[list[Sign]] = []
    left = 0.0
    for sign in signs:
        wide = 50.0 + 11.0 * LETTER * len(sign.name)
        if not rows or left + wide > width - 2 * _EDGE:
            rows.append([])
            left = 0.0
        rows[-1].append(sign)
        left += wide
    return rows


def _signs(page: _Page, signs: Sequence[Sign], bottom: float, left: float = _EDGE) -> None:
    """A line of symbols in words."""
    handles = [
        Line2D(
            [0, 1],
            [0, 0],
            color=light(sign.line),
            lw=sign.thick * POINT if sign.line else 0.0,
            ls=dashes(sign.dash),
            marker=MARKERS[sign.shape] if sign.shape else "",
            ms=sign.size * POINT * (0.71 if sign.shape == "diamond" else 1.0),
            mfc="none" if sign.shape == "ring" else light(sign.fill),
            mec=light(sign.edge),
            mew=sign.width * POINT,
        )
        for sign in signs
    ]
    at = (left / page.width, bottom / page.height)
    look: dict[str, Any] = {"fontsize": 8, "handlelength": 2.1, "columnspacing": 1.3, "borderaxespad": 0.0}
    names = [sign.name for sign in signs]
    page.figure.legend(handles, names, loc="lower left", bbox_to_anchor=at, ncols=len(signs), borderpad=0.2, **look)


def _scale(page: _Page, sheet: Sheet, bottom: float) -> None:
    """The colours of a quantity, from its lowest to its highest value."""
    scale = sheet.scale
    assert scale is not None
    low, title = f"{scale.low:.4f}", scale.title
    left = _EDGE + 7.0 * (len(title) + len(low)) + 12.0
    page.text(_EDGE, bottom + 11.0, f"{title} {low}", 11.0)
    axes = page.axes(left, bottom + 6.0, 150.0, 10.0)
    axes.set_axis_off()
    colours = LinearSegmentedColormap.from_list("scale", scale.stops)
    axes.imshow(np.linspace(0.0, 1.0, 128)[None], cmap=colours, aspect="auto")
    page.text(left + 156.0, bottom + 11.0, f"{scale.high:.4f} {scale.unit}", 11.0)
