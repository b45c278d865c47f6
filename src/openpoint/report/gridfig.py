"""The grid before and after as a Matplotlib figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D

from openpoint.report import style
from openpoint.report.labels import (
    COMPASS,
    NAMED_BUSES,
    crowding,
    name_boxes,
    names_that_fit,
    pieces,
    place_labels,
    shorten,
    symbol_spots,
)
from openpoint.report.layout import Layout
from openpoint.report.scene import Scene, State

Floats = npt.NDArray[np.float64]

# Inches: beside a panel, above it (with its title) and below it, the legend, the headline, and between panels.
MARGIN, _ABOVE, _BELOW = 0.42, 0.46, 0.28
_FOOT, _HEAD, _GUTTER = 0.85, 0.42, 0.2


# Behind names, so that lines do not run through them. An outline around the letters would turn text in SVG to paths.
VEIL: dict[str, Any] = {"boxstyle": "square,pad=0.02", "fc": "white", "ec": "none", "alpha": 0.75}


@dataclass(frozen=True)
class Plan:
    """Inches: size of the whole, corner and size of every panel, scale of x and y, left and right at that scale."""

    size: tuple[float, float]
    panels: tuple[tuple[float, float, float, float], ...]
    scale: tuple[float, float]
    left: float
    right: float


def grid_figure(scene: Scene, keys: list[str], title: str) -> style.Picture:
    """The states `keys` of a scene, one panel each, with one legend and one scale of colours."""
    plan = plan_panels(scene.layout, scene.bus_names, len(keys))
    width, height = plan.size
    figure = style.Picture(figsize=plan.size)
    # A small grid makes a narrow picture: the headline shrinks to its width (a bold letter is 0.68 of its size wide).
    size = min(12.5, (width - 2 * MARGIN) * 72.0 / (0.68 * max(len(title), 1)))
    figure.text(MARGIN / width, 1 - 0.22 / height, title, fontsize=size, weight="bold", va="center", parse_math=False)
    norm = Normalize(*scene.v_range)
    colours = mpl.colormaps[style.COLOURS]
    for key, (left, bottom, w, h) in zip(keys, plan.panels, strict=True):
        axes = figure.add_axes((left / width, bottom / height, w / width, h / height))
        _panel(axes, scene, scene.states[key], plan, norm)
    _foot(figure, scene, keys, plan, ScalarMappable(norm, colours))
    return figure


def plan_panels(layout: Layout, bus_names: Sequence[str], n: int, *, beyond: float = 0.0) -> Plan:
    """Where n pictures of one layout go, and how large they are; `beyond`: inches that follow the names."""
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
    w, h = max(2.6, wide * scale[0]) + 2 * MARGIN + over, max(1.2, high * scale[1]) + _ABOVE + _BELOW
    # Beside each other unless the panels are wide: then one above the other, and before and after line up all the same.
    beside = n == 1 or w / h < 1.35
    columns = n if beside else 1
    if n > 2:
        # A page, rather than a ribbon.
        columns = min(range(1, n + 1), key=lambda c: abs(math.log(c * w / (math.ceil(n / c) * h) / 1.3)))
    rows = math.ceil(n / columns)
    width = max(columns * w + (columns - 1) * _GUTTER, 6.4)
    height = rows * h + (rows - 1) * _GUTTER + _FOOT + _HEAD
    panels = []
    for i in range(n):
        row_i, column_i = divmod(i, columns)
        left = column_i * (w + _GUTTER)
        panels.append((left, _FOOT + (rows - 1 - row_i) * (h + _GUTTER), w, h))
    left = x0 * scale[0] - MARGIN
    return Plan((width, height), tuple(panels), scale, left, left + w)


def _panel(axes: Axes, scene: Scene, state: State, plan: Plan, norm: Normalize) -> None:
    """One state of the grid."""
    axes.set_axis_off()
    (_, _, w, h), (sx, sy) = plan.panels[0], plan.scale
    _, _, y0, y1 = scene.layout.extent
    axes.set_xlim(plan.left / sx, plan.right / sx)
    middle = (y0 + y1) / 2 + (_ABOVE - _BELOW) / 2 / sy
    axes.set_ylim(middle - h / sy / 2, middle + h / sy / 2)
    loss = "" if state.loss_kw is None else f", loss {state.loss_kw:,.3f} kW"
    title_at = (MARGIN / w, 1.0 - 0.08 / h)
    axes.text(*title_at, f"{state.title}{loss}", transform=axes.transAxes, weight="bold", fontsize=10, va="center")
    at_bus, at_branch = scene.violated(state)
    _draw_branches(axes, scene, state, set(at_branch))
    room = crowding(scene.layout.xy * np.array(plan.scale))
    dot = float(np.clip(room * (36 if scene.layout.is_map else 14), 2.6, 6.0))
    _draw_buses(axes, scene, state, set(at_bus), norm, dot)
    named = _name_buses(axes, scene, set(at_bus), plan, dot)
    _draw_points(axes, scene, state, set(at_branch), plan, named)


def _draw_branches(axes: Axes, scene: Scene, state: State, broken: set[int]) -> None:
    width = 0.8 + 3.4 * scene.stress(state) / scene.stress_max
    ways = scene.layout.ways
    changed = sorted(scene.opened | scene.closed)
    halo = [style.OPENS if e in scene.opened else style.CLOSES for e in changed]
    axes.add_collection(
        LineCollection([ways[e] for e in changed], colors=halo, linewidths=9, alpha=0.16, capstyle="round", zorder=1)
    )
    shut = np.flatnonzero(state.closed)
    colour = [style.BROKEN if e in broken else style.LINE for e in shut]
    axes.add_collection(
        LineCollection([ways[e] for e in shut], colors=colour, linewidths=width[shut], capstyle="round", zorder=2)
    )
    loose = np.flatnonzero(~state.closed)
    colour = [style.OPENS if e in scene.opened else style.CLOSES if e in scene.closed else "#98a2ad" for e in loose]
    axes.add_collection(
        LineCollection([ways[e] for e in loose], colors=colour, linewidths=0.9, linestyles=[(0, (3.5, 2.2))], zorder=2)
    )


def _draw_buses(axes: Axes, scene: Scene, state: State, broken: set[int], norm: Normalize, dot: float) -> None:
    xy = scene.layout.xy
    sources = list(scene.sources)
    others = np.setdiff1d(np.arange(len(xy)), sources)
    colours = mpl.colormaps[style.COLOURS]
    face = np.array([colours(norm(v)) if np.isfinite(v) else mpl.colors.to_rgba(style.UNKNOWN) for v in state.v])
    face = face.reshape(-1, 4)
    edge: dict[str, Any] = {"edgecolors": style.INK, "linewidths": 0.6, "zorder": 4}
    for buses, marker, size in ((others, "o", dot), (sources, "s", dot * 1.55)):
        axes.scatter(xy[buses, 0], xy[buses, 1], s=size**2, c=face[buses], marker=marker, **edge)
    rings = sorted(broken)
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": style.BROKEN, "linewidths": 1.5, "zorder": 5}
    axes.scatter(xy[rings, 0], xy[rings, 1], s=(dot * 2.0) ** 2, **ring)


def _name_buses(axes: Axes, scene: Scene, broken: set[int], plan: Plan, dot: float) -> Floats:
    """Bus names at the upper right; the boxes they take in inches, for the names of the open points."""
    xy = scene.layout.xy * np.array(plan.scale)
    boxes = name_boxes(scene.bus_names, xy, 0.045, 0.057, 0.09)
    wanted = list(dict.fromkeys([*scene.sources, *sorted(broken)]))
    if len(xy) <= NAMED_BUSES:
        wanted += [bus for bus in range(len(xy)) if bus not in set(wanted)]
    named = names_that_fit(boxes, xy, wanted, dot / 144)
    for bus in named:
        axes.annotate(
            shorten(scene.bus_names[bus]),
            scene.layout.xy[bus],
            xytext=(3.2, 6.0 if bus in scene.sources else 4.0),
            textcoords="offset points",
            fontsize=6.6,
            color=style.BROKEN if bus in broken else style.INK,
            weight="bold" if bus in scene.sources else "normal",
            parse_math=False,
            bbox=VEIL,
            zorder=3,
        )
    return np.concatenate([np.column_stack([xy - 0.05, xy + 0.05]), boxes[named]])


def _draw_points(axes: Axes, scene: Scene, state: State, broken: set[int], plan: Plan, taken: Floats) -> None:
    """Symbols and names of open points, of changed branches and of overloaded ones."""
    shown = sorted(set(np.flatnonzero(~state.closed).tolist()) | scene.opened | scene.closed | broken)
    if not shown:
        return
    spots = symbol_spots(scene.layout, shown, plan.scale)
    names = [shorten(scene.branch_names[e], 18) for e in shown]
    anchors = np.array([spots[e] for e in shown]) * np.array(plan.scale)
    sizes = np.array([[0.062 * len(name) + 0.05, 0.12] for name in names])
    sides = place_labels(anchors, sizes, taken, pieces(scene.layout.ways, plan.scale), (plan.left, plan.right))
    for e, name, side in zip(shown, names, sides, strict=True):
        x, y = spots[e]
        colour = style.OPENS if e in scene.opened else style.CLOSES if e in scene.closed else style.SOFT
        if state.closed[e] and e in broken and e not in scene.opened | scene.closed:
            colour = style.BROKEN
        changed = e in scene.opened | scene.closed
        size = 6.5 if changed or e in broken else 5.2
        if not state.closed[e]:
            # A white disc a bit larger than the symbol makes the gap in the branch.
            axes.plot([x], [y], "o", ms=size + 3.2, mfc="white", mec="none", zorder=5)
        if not (e in broken and state.closed[e] and not changed):
            face = colour if state.closed[e] else "white"
            axes.plot([x], [y], "o", ms=size, mfc=face, mec=colour, mew=1.6 if changed else 1.2, zorder=5.5)
        dx, dy = COMPASS[side]
        axes.annotate(
            name,
            (x, y),
            xytext=(dx * (size / 2 + 1.6), dy * (size / 2 + 1.2)),
            textcoords="offset points",
            ha={1: "left", 0: "center", -1: "right"}[dx],
            va={1: "bottom", 0: "center", -1: "top"}[dy],
            fontsize=7.2,
            weight="bold" if changed or e in broken else "normal",
            color=colour,
            parse_math=False,
            bbox=VEIL,
            zorder=7,
        )


def _foot(figure: style.Picture, scene: Scene, keys: list[str], plan: Plan, colours: ScalarMappable) -> None:
    """Legend of the symbols at the left, colour bar and widths below."""
    width, height = plan.size

    def ring(colour: str, face: str, size: float = 6.5) -> dict[str, Any]:
        return {"marker": "o", "ms": size, "mec": colour, "mfc": face, "mew": 1.5}

    entries: list[tuple[str, dict[str, Any]]] = [
        ("source", {"marker": "s", "ms": 7, "mec": style.INK, "mfc": "white", "ls": "none"}),
        ("open point", {**ring(style.SOFT, "white"), "ls": (0, (2.5, 1.5)), "color": "#98a2ad", "lw": 0.9}),
    ]
    if scene.opened:
        entries.append(("opens", {**ring(style.OPENS, "white"), "ls": "none"}))
    if scene.closed:
        entries.append(("closes", {**ring(style.CLOSES, style.CLOSES), "ls": "none"}))
    if any(scene.states[k].violations for k in keys):
        entries.append(("limit broken", {**ring(style.BROKEN, "none", 9), "ls": "none"}))
    unit = "%" if scene.rated else "A"
    for share in (1.0, 0.33):
        value = scene.stress_max * share
        if value > 1e-6:
            entries.append((f"{value:.3g} {unit}", {"color": style.LINE, "lw": 0.8 + 3.4 * share}))
    handles = [Line2D([0, 1], [0, 0], **kw) for _, kw in entries]
    figure.legend(
        handles,
        [name for name, _ in entries],
        loc="lower left",
        bbox_to_anchor=(0.3 / width, 0.46 / height),
        ncols=len(entries),
        fontsize=8,
        handlelength=1.7,
        columnspacing=1.3,
        borderaxespad=0.0,
    )
    if any(np.isfinite(scene.states[k].v).any() for k in keys):
        bar_width = min(3.4, width - 2.4)
        axes = figure.add_axes((1.55 / width, 0.32 / height, bar_width / width, 0.09 / height))
        bar = figure.colorbar(colours, cax=axes, orientation="horizontal")
        bar.outline.set_visible(False)
        axes.tick_params(labelsize=7.5, length=2, pad=1.5)
        figure.text(0.42 / width, 0.365 / height, "bus voltage, pu", fontsize=8, va="center")
