"""The grid before and after as a Matplotlib figure."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize

from openpoint.arrays import Floats
from openpoint.report.figure import style
from openpoint.report.figure.marks import BusName, branch_marks, draw_bus_names, draw_marks
from openpoint.report.figure.panels import Plan, dot_size, draw_legend, plan_panels, start_figure, start_panel
from openpoint.report.layout.labels import shorten
from openpoint.report.numerals import figures
from openpoint.report.scene import Scene, State


def grid_figure(scene: Scene, keys: list[str], title: str) -> style.Picture:
    """The states `keys` of a scene, one panel each, with one legend and one scale of colours."""
    plan = plan_panels(scene.layout, scene.bus_names, len(keys))
    figure, panels = start_figure(plan, title)
    norm = Normalize(*scene.v_range)
    colours = mpl.colormaps[style.COLOURS]
    for key, axes in zip(keys, panels, strict=True):
        _panel(axes, scene, scene.states[key], plan, norm)
    _foot(figure, scene, keys, plan, ScalarMappable(norm, colours))
    return figure


def _panel(axes: Axes, scene: Scene, state: State, plan: Plan, norm: Normalize) -> None:
    """One state of the grid."""
    loss = "" if state.loss_kw is None else f", loss {state.loss_kw:,.3f} kW"
    start_panel(axes, scene.layout, plan, f"{state.title}{loss}")
    at_bus, at_branch = scene.violated(state)
    _draw_branches(axes, scene, state, set(at_branch))
    dot = dot_size(scene.layout, plan)
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
    """Bus names; the boxes they take in inches, for the names of the open points."""
    names = [
        BusName(
            shorten(name),
            style.BROKEN if bus in broken else style.INK,
            bold=bus in scene.sources,
            away=(3.2, 6.0 if bus in scene.sources else 4.0),
        )
        for bus, name in enumerate(scene.bus_names)
    ]
    return draw_bus_names(axes, scene.layout, names, [*scene.sources, *sorted(broken)], plan, dot)


def _draw_points(axes: Axes, scene: Scene, state: State, broken: set[int], plan: Plan, taken: Floats) -> None:
    """Symbols and names of open points, of changed branches and of overloaded ones."""
    loose = set(np.flatnonzero(~state.closed).tolist())
    changed = scene.opened | scene.closed
    looks: dict[int, dict[str, Any]] = {}
    for e in sorted(loose | changed | broken):
        colour = style.OPENS if e in scene.opened else style.CLOSES if e in scene.closed else style.SOFT
        if e in broken - loose - changed:
            looks[e] = {"marker": "", "ms": 6.5, "mec": style.BROKEN}
            continue
        face = "white" if e in loose else colour
        wide = e in changed
        size = 6.5 if wide or e in broken else 5.2
        looks[e] = {"marker": "o", "ms": size, "mfc": face, "mec": colour, "mew": 1.6 if wide else 1.2}
    marks = branch_marks(scene.layout, scene.branch_names, looks, loose, plan)
    draw_marks(axes, scene.layout, marks, plan, taken)


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
            entries.append((f"{figures(value, 3)} {unit}", {"color": style.LINE, "lw": 0.8 + 3.4 * share}))
    draw_legend(figure, entries, (0.3 / width, 0.46 / height), ncols=len(entries))
    if any(np.isfinite(scene.states[k].v).any() for k in keys):
        bar_width = min(3.4, width - 2.4)
        axes = figure.add_axes((1.55 / width, 0.32 / height, bar_width / width, 0.09 / height))
        bar = figure.colorbar(colours, cax=axes, orientation="horizontal")
        bar.outline.set_visible(False)
        axes.tick_params(labelsize=7.5, length=2, pad=1.5)
        figure.text(
            0.42 / width,
            0.365 / height,
            "lowest phase, pu" if scene.has_phases else "bus voltage, pu",
            fontsize=8,
            va="center",
        )
