"""Where the panels of a picture go, and how large they are."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from openpoint.report.figure import style
from openpoint.report.layout.labels import NAMED_BUSES, crowding, name_boxes, shorten
from openpoint.report.layout.place import Layout

# Inches: beside a panel, above it (with its title) and below it, the legend, the headline, and between panels.
MARGIN, _ABOVE, _BELOW = 0.42, 0.46, 0.28
_FOOT, _HEAD, _GUTTER = 0.85, 0.42, 0.2
_SMALL = 8.0  # points


@dataclass(frozen=True)
class Plan:
    """Inches: size of the whole, corner and size of every panel, scale of x and y, left and right at that scale, and
    what a panel keeps free above the grid and the whole below the legend."""

    size: tuple[float, float]
    panels: tuple[tuple[float, float, float, float], ...]
    scale: tuple[float, float]
    left: float
    right: float
    above: float
    strip: float


def plan_panels(
    layout: Layout,
    bus_names: Sequence[str],
    n: int,
    *,
    beyond: float = 0.0,
    least: float = 2.6,
    lines: float = 0.0,
    strip: float = 0.0,
) -> Plan:
    """Where n pictures of one layout go, and how large they are.

    Inches: `beyond` follow the names, `least` is the least width of a panel's inside, `lines` go between the title of a
    panel and the grid, `strip` below all.
    """
    x0, x1, y0, y1 = layout.extent
    wide, high = max(x1 - x0, 1e-9), max(y1 - y0, 1e-9)
    if layout.is_map:
        longest = 7.5 if n <= 2 else 4.6
        k = longest / max(wide, high)
        scale = (k, k)
    else:
        # A column holds a bus name where that is not too long; rows spread where there are few of them.
        letters = float(np.quantile([len(shorten(b)) for b in bus_names] or [1], 0.8))
        column = min(max(0.36, 0.16 + 0.075 * letters), 1.0, max(0.2, 28.0 / wide))
        row = min(max(0.4, 2.4 / high), 0.62, max(0.2, 22.0 / high))
        column = max(column, min(0.8, 3.6 / wide))
        if len(bus_names) > NAMED_BUSES:
            # Without names the picture need not be larger than a poster.
            column, row = (min(max(12.0 / size, 0.11), 0.4) for size in (wide, high))
        scale = (column, row)
    # Room for the names of the last buses of the feeders.
    named = len(bus_names) <= NAMED_BUSES
    names = name_boxes(bus_names, layout.xy * np.array(scale), 0.045, 0.057, 0.09)
    over = max(0.0, float(names[:, 2].max(initial=-np.inf)) + beyond - x1 * scale[0] - MARGIN + 0.05) if named else 0.0
    w, h = max(least, wide * scale[0]) + 2 * MARGIN + over, max(1.2, high * scale[1]) + _ABOVE + lines + _BELOW
    # Beside each other unless the panels are wide: then one above the other, and before and after line up all the same.
    beside = n == 1 or w / h < 1.35
    columns = n if beside else 1
    if n > 2:
        # A page, rather than a ribbon.
        def ugly(columns: int) -> float:
            rows = math.ceil(n / columns)
            return abs(math.log(columns * w / (rows * h) / 1.3)) + 0.2 * (rows * columns - n)

        columns = min(range(1, n + 1), key=ugly)
    rows = math.ceil(n / columns)
    width = max(columns * w + (columns - 1) * _GUTTER, 6.4)
    height = rows * h + (rows - 1) * _GUTTER + _FOOT + _HEAD + strip
    panels = []
    for i in range(n):
        row_i, column_i = divmod(i, columns)
        left = column_i * (w + _GUTTER)
        panels.append((left, strip + _FOOT + (rows - 1 - row_i) * (h + _GUTTER), w, h))
    left = x0 * scale[0] - MARGIN
    return Plan((width, height), tuple(panels), scale, left, left + w, _ABOVE + lines, strip)


def start_figure(plan: Plan, title: str) -> tuple[style.Picture, list[Axes]]:
    """An empty figure with its headline, and the axes of its panels."""
    width, height = plan.size
    figure = style.Picture(figsize=plan.size)
    # A small grid makes a narrow picture: the headline shrinks to its width (a bold letter is 0.68 of its size wide),
    # and takes two lines before it gets too small.
    room = (width - 2 * MARGIN) * 72.0 / 0.68
    if room < _SMALL * len(title):
        title = "\n".join(textwrap.wrap(title, max(len(title) * 11 // 20, 1), max_lines=2, placeholder=" …"))
    lines = title.split("\n")
    size = min(12.5 if len(lines) == 1 else 10.0, room / max(map(len, [*lines, "-"])))
    figure.text(MARGIN / width, 1 - 0.22 / height, title, fontsize=size, weight="bold", va="center", parse_math=False)
    boxes = [(left / width, bottom / height, w / width, h / height) for left, bottom, w, h in plan.panels]
    return figure, [figure.add_axes(box) for box in boxes]


def draw_legend(
    figure: style.Picture, entries: Sequence[tuple[str, dict[str, Any]]], at: tuple[float, float], **more: Any
) -> None:
    """Symbols in words: each name with the look of a line; `at`: the lower left corner in shares of the figure."""
    handles = [Line2D([0, 1], [0, 0], **look) for _, look in entries]
    look: dict[str, Any] = {"fontsize": 8, "handlelength": 1.7, "columnspacing": 1.3, "borderaxespad": 0.0}
    where: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": at}
    figure.legend(handles, [name for name, _ in entries], **where | look | more)


def start_panel(axes: Axes, layout: Layout, plan: Plan, title: str) -> None:
    """The scale of a panel, its title, and nothing else."""
    axes.set_axis_off()
    (_, _, w, h), (sx, sy) = plan.panels[0], plan.scale
    _, _, y0, y1 = layout.extent
    axes.set_xlim(plan.left / sx, plan.right / sx)
    middle = (y0 + y1) / 2 + (plan.above - _BELOW) / 2 / sy
    axes.set_ylim(middle - h / sy / 2, middle + h / sy / 2)
    at = (MARGIN / w, 1.0 - 0.08 / h)
    axes.text(*at, title, transform=axes.transAxes, weight="bold", fontsize=9.5, va="center", parse_math=False)


def dot_size(layout: Layout, plan: Plan) -> float:
    """A size of buses, in points, at which neighbours do not touch."""
    room = crowding(layout.xy * np.array(plan.scale))
    return float(np.clip(room * (36 if layout.is_map else 14), 2.6, 6.0))
