"""One chart of the display list on axes of Matplotlib."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from openpoint.arrays import Floats
from openpoint.report.drawing import COLOURS, Areas, Axis, Chart, Dots, Layer, Lines, Rule, Words

POINT = 0.75
"""Points of a pixel."""
LETTER, BOLD = 0.6, 0.68
"""Width of a letter, of its size."""
NAMED_BUSES = 180
"""Buses beyond which only what matters is named: more names would be ink."""
MARKERS = {"circle": "o", "ring": "o", "square": "s", "crossed": "s", "diamond": "D", "cross": "x", "plus": "+"}
_SIDES = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (1, -1), (-1, 1), (-1, -1))
_VEIL: dict[str, Any] = {"boxstyle": "square,pad=0.02", "fc": "white", "ec": "none", "alpha": 0.75}
"""Behind names, so that lines do not run through them; an outline of letters would turn text in SVG to paths."""


def light(name: str) -> str:
    """A colour by its name on a light ground; another as it is."""
    return COLOURS[name.removeprefix("@")][0] if name.startswith("@") else name or "none"


# Names of the user are never TeX, whatever the user's own style says.
RC: Any = {
    "text.usetex": False,
    "text.parse_math": False,
    "font.family": "sans-serif",
    "font.size": 9.0,
    "text.color": light("@ink"),
    "axes.edgecolor": "#9aa5b1",
    "axes.labelcolor": light("@ink"),
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "xtick.color": light("@soft"),
    "ytick.color": light("@soft"),
    "legend.frameon": False,
    "lines.scale_dashes": False,
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "savefig.dpi": 160,
    "svg.fonttype": "none",
    "svg.hashsalt": "openpoint",
    "pdf.fonttype": 42,
}


def dashes(dash: tuple[float, ...]) -> Any:
    return (0, tuple(each * POINT for each in dash)) if dash else "-"


def ticks(low: float, high: float, count: float) -> tuple[list[float], int]:
    """Values at round numbers between low and high, some `count` of them, and their decimals; as on the page."""
    raw = (high - low) / max(count, 1.0)
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(k for k in (1, 2, 5, 10) if k * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)], max(0, -math.floor(math.log10(step) + 1e-9))


def labels(axis: Axis, count: float) -> list[tuple[float, str]]:
    """Places and texts along an axis."""
    if axis.ticks:
        return [(value, text) for value, text in axis.ticks if axis.low <= value <= axis.high]
    factor = 100.0 if axis.percent else 1.0
    found, digits = ticks(axis.low * factor, axis.high * factor, count)
    return [(value / factor, f"{value + 0.0:,.{digits}f}{' %' * axis.percent}") for value in found]


def left_of(chart: Chart, wide: float) -> float:
    """Room at the left of a chart for the texts of its axis."""
    letters = max((len(text) for _, text in labels(chart.y, chart.height / 50.0)), default=0)
    return max(min(10.0 + 6.4 * letters, 0.45 * wide), chart.room) + (24.0 if chart.y.title else 8.0)


def below(chart: Chart) -> float:
    """Room below a chart for the texts and the title of its axis."""
    blank = bool(chart.x.ticks) and not any(text for _, text in chart.x.ticks)
    return 44.0 if chart.x.title else 6.0 if blank else 24.0


class Canvas:
    """One chart on its axes; `size`: of these in pixels."""

    def __init__(self, axes: Axes, chart: Chart, size: tuple[float, float]) -> None:
        self.axes, self.chart, self.size = axes, chart, size
        low, high = (np.array([getattr(axis, end) for axis in (chart.x, chart.y)]) for end in ("low", "high"))
        scale = np.array(size) / (high - low)
        if chart.equal:
            scale = np.full(2, scale.min())
            middle, reach = (low + high) / 2, np.array(size) / scale / 2
            low, high = middle - reach, middle + reach
        self.low, self.high, self.scale = low, high, scale
        # Symbols grow and shrink with the picture.
        self.small = float(np.clip((scale / np.array(chart.unit)).min(), 0.5, 1.3)) if chart.unit else 1.0
        self.taken = np.zeros((0, 4))
        self.crossed = np.zeros((0, 2))
        self.order = 2.0

    def paint(self) -> None:
        self.axes.set_xlim(self.low[0], self.high[0])
        self.axes.set_ylim(self.low[1], self.high[1])
        if self.chart.unit is None:
            self._scales()
        else:
            self.axes.set_axis_off()
        for rule in self.chart.rules:
            self._rule(rule)
        # Names last: they go where nothing is.
        ranks = (Areas, Lines, Dots, Words)
        for layer in sorted(self.chart.layers, key=lambda layer: ranks.index(type(layer))):
            self.order += 0.01
            self._layer(layer)

    def _layer(self, layer: Layer) -> None:
        match layer:
            case Areas():
                self._areas(layer)
            case Lines():
                self._lines(layer)
            case Dots():
                self._dots(layer)
            case Words():
                self._words(layer)

    def _scales(self) -> None:
        """Axes with their titles, texts and lines."""
        axes, chart = self.axes, self.chart
        along = labels(chart.x, self.size[0] / 70.0)
        up = labels(chart.y, chart.height / 50.0)
        axes.set_xticks([v for v, _ in along], [""] * len(along))
        look: dict[str, Any] = {"textcoords": "offset points", "ha": "center", "va": "top", "parse_math": False}
        for value, text in _apart(between(chart.x, along), self.low[0], self.scale[0]):
            at: Any = ((value, 0.0), ("data", "axes fraction"))
            axes.annotate(
                text, at[0], xycoords=at[1], xytext=(0, -4), fontsize=12 * POINT, color=light("@soft"), **look
            )
        axes.set_yticks([v for v, _ in up], [text for _, text in up], parse_math=False)
        axes.tick_params(labelsize=12 * POINT if len(up) < 12 else 10.5 * POINT, length=0)
        axes.set_xlabel(chart.x.title, labelpad=16.0, parse_math=False)
        axes.set_ylabel(chart.y.title, parse_math=False)
        axes.grid(color=light("@pale"), lw=0.6)
        axes.set_axisbelow(True)
        for side in axes.spines.values():
            side.set_visible(False)

    def _rule(self, rule: Rule) -> None:
        across = {"color": light(rule.colour), "lw": 1.2 * POINT, "ls": dashes((6.0, 4.0)), "zorder": 1.9}
        (self.axes.axvline if rule.axis == "x" else self.axes.axhline)(rule.at, **across)
        if not rule.text:
            return
        look: dict[str, Any] = {"fontsize": 11 * POINT, "color": light(rule.colour), "textcoords": "offset points"}
        if rule.axis == "x":
            right = (self.high[0] - rule.at) * self.scale[0] < 11 * LETTER * len(rule.text)
            place, ha, away = (rule.at, 0.0), "right" if right else "left", (-2 if right else 2, 3)
            where: Any = ("data", "axes fraction")
        else:
            place, ha, away, where = (1.0, rule.at), "right", (-2, 2), ("axes fraction", "data")
        self.axes.annotate(rule.text, place, xycoords=where, xytext=away, ha=ha, va="bottom", parse_math=False, **look)

    def _areas(self, layer: Areas) -> None:
        shapes = [np.array(way).reshape(-1, 2) for way in layer.ways]
        look: dict[str, Any] = {"facecolors": light(layer.colour), "edgecolors": light(layer.edge)}
        look |= {"linewidths": layer.width * POINT, "alpha": layer.opacity, "zorder": self.order}
        self.axes.add_collection(PolyCollection(shapes, **look), autolim=False)

    def _lines(self, layer: Lines) -> None:
        ways = [np.array(way).reshape(-1, 2) for way in layer.ways]
        grows = max(self.small, 0.6) if self.chart.unit else 1.0
        look: dict[str, Any] = {"colors": light(layer.colour), "linewidths": layer.width * grows * POINT}
        look |= {"linestyles": [dashes(layer.dash)], "alpha": layer.opacity, "zorder": self.order}
        if not layer.dash:
            look["capstyle"] = "round"
        if self.chart.unit:
            self.crossed = np.concatenate([self.crossed, *(self._along(way) for way in ways)])
        self.axes.add_collection(LineCollection(ways, **look), autolim=False)

    def _along(self, way: Floats) -> Floats:
        """(n, 2) points of a way in pixels, no farther from each other than half a letter is high."""
        points = (way - self.low) * self.scale
        counts = np.ceil(np.hypot(*np.diff(points, axis=0).T) / 5.0).astype(int) + 1
        return np.concatenate([np.linspace(a, b, n) for (a, b), n in zip(itertools.pairwise(points), counts)])

    def _dots(self, layer: Dots) -> None:
        n = len(layer.x)

        def of(value: Any) -> list[Any]:
            return list(value) if isinstance(value, tuple) else [value] * n

        where = np.array([[np.nan if v is None else v for v in each] for each in (layer.x, layer.y)], dtype=float).T
        sizes = np.array(of(layer.size), dtype=float) * self.small
        shown = np.isfinite(where).all(axis=1) & (sizes > 0.0)
        shapes, fills, edges, widths = (of(each) for each in (layer.shape, layer.fill, layer.edge, layer.width))
        for shape in dict.fromkeys(shapes):
            chosen = [k for k in np.flatnonzero(shown).tolist() if shapes[k] == shape]
            if not chosen:
                continue
            points = np.array([sizes[k] * POINT * (0.71 if shape == "diamond" else 1.0) for k in chosen])
            look: dict[str, Any] = {"s": points**2, "clip_on": False, "zorder": self.order}
            look["linewidths"] = [widths[k] * max(self.small, 0.7) * POINT for k in chosen]
            outline = [light(edges[k]) for k in chosen]
            at = where[chosen, 0], where[chosen, 1]
            if shape in ("cross", "plus"):
                self.axes.scatter(*at, c=outline, marker=MARKERS[shape], **look)
                continue
            face = "none" if shape == "ring" else [light(fills[k]) for k in chosen]
            self.axes.scatter(*at, facecolors=face, edgecolors=outline, marker=MARKERS[shape], **look)
            if shape == "crossed":
                self.axes.scatter(*at, c=outline, marker="x", **look)
        if self.chart.unit:
            middle, half = ((where - self.low) * self.scale)[shown], sizes[shown, None] / 2
            self.taken = np.concatenate([self.taken, np.hstack([middle - half, middle + half])])

    def _words(self, layer: Words) -> None:
        """Names, each where it hides nothing that was drawn before, or not at all."""
        if layer.names and len(layer.text) > NAMED_BUSES:
            return
        for k, (x, y, text) in enumerate(zip(layer.x, layer.y, layer.text, strict=True)):
            if x is None or y is None or not text:
                continue
            colour = light(layer.colour[k] if isinstance(layer.colour, tuple) else layer.colour)
            size = layer.size * (max(self.small, 0.6) if layer.centred else 1.0)
            look: dict[str, Any] = {
                "fontsize": size * POINT,
                "color": colour,
                "parse_math": False,
                "zorder": self.order,
            }
            look |= {"weight": "bold" if layer.bold else "normal", "ha": "center", "va": "center_baseline"}
            px, py = (np.array([x, y]) - self.low) * self.scale
            if layer.centred:
                self.axes.text(x, y, text, clip_on=True, **look)
                continue
            boxes = [box for box in self._beside(px, py, text, size, layer) if self._free(box)]
            # Best where no line runs through it.
            if box := next(filter(self._clear, boxes), boxes[0] if boxes else None):
                self.taken = np.concatenate([self.taken, np.array(box)[None]])
                middle = np.array([box[0] + box[2], box[1] + box[3]]) / 2 / self.scale + self.low
                self.axes.text(middle[0], middle[1], text, bbox=_VEIL, **look)

    def _beside(
        self, px: float, py: float, text: str, size: float, layer: Words
    ) -> Iterator[tuple[float, float, float, float]]:
        """Boxes around a place for a name, the best one first."""
        wide = size * (BOLD if layer.bold else LETTER) * len(text)
        near = layer.gap / 2 * self.small + 2.0
        for away in (near, 2.0 * near):
            for dx, dy in _SIDES:
                cx, cy = px + dx * (away + wide / 2), py + dy * (away + size / 2)
                yield cx - wide / 2 - 1, cy - size / 2, cx + wide / 2 + 1, cy + size / 2

    def _free(self, box: tuple[float, float, float, float]) -> bool:
        if box[0] < 0 or box[1] < 0 or box[2] > self.size[0] or box[3] > self.size[1]:
            return False
        taken = self.taken
        clear = (taken[:, 0] >= box[2]) | (taken[:, 2] <= box[0]) | (taken[:, 1] >= box[3]) | (taken[:, 3] <= box[1])
        return bool(clear.all())

    def _clear(self, box: tuple[float, float, float, float]) -> bool:
        """Whether no line runs through a box."""
        x, y = self.crossed.T
        return not ((x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])).any()


def between(axis: Axis, along: Sequence[tuple[float, str]]) -> list[tuple[float, str]]:
    """Texts along an axis at their places, those of periods in the middle of each."""
    if not axis.between:
        return list(along)
    return [((a + b) / 2, text) for (a, text), (b, _) in itertools.pairwise(along)]


def _apart(texts: Sequence[tuple[float, str]], low: float, scale: float) -> Iterator[tuple[float, str]]:
    """Texts along an axis, without those that would run into the one before."""
    right = -np.inf
    for value, text in texts:
        middle, half = (value - low) * scale, 12.0 * LETTER * len(text) / 2
        if text and middle - half >= right:
            right = middle + half + 6.0
            yield value, text
