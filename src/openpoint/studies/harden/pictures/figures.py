"""Pictures of a hardening for papers, emergency plans and notebooks."""

from __future__ import annotations

from typing import Any, Literal, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.report.figure import style
from openpoint.report.figure.charts import convergence_picture
from openpoint.report.figure.files import check_kind, saver
from openpoint.report.figure.marks import SWITCHED, BusName, branch_marks, draw_bus_names, draw_marks
from openpoint.report.figure.panels import Plan, dot_size, draw_legend, plan_panels, start_figure, start_panel
from openpoint.report.layout.labels import shorten
from openpoint.report.numerals import figures
from openpoint.studies.harden.pictures.scene import SHED_KW, After, HardenScene, build_harden_scene
from openpoint.studies.harden.result import HardenResult

Kind = Literal["grid", "convergence"]

PANELS = 6
"""Disasters in one picture."""


def draw(result: HardenResult, *, kind: Kind = "grid") -> Figure:
    """A picture of a result.

    Args:
        result: what to draw.
        kind: `grid` (the grid after the disasters that weigh most: what is broken, hardened and switched, the islands
            in colours, the backup generators, the load shed) or `convergence` (bounds over time).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot.

    Raises:
        OptionError: an unknown `kind`, or no plan to draw.
    """
    check_kind(kind, get_args(Kind))
    if kind == "convergence":
        with mpl.rc_context(style.RC):
            return convergence_picture(result)
    return draw_scene(build_harden_scene(result), headline(result, result.grid.title or result.grid.name))


def draw_scene(scene: HardenScene, title: str) -> Figure:
    """As `draw`, for a scene at hand."""
    shown = scene.after[:PANELS]
    if not shown:
        raise OptionError("No plan was found, so there is no grid after a disaster to draw")
    with mpl.rc_context(style.RC):
        shed = any((after.shed > SHED_KW).any() for after in shown)
        plan = plan_panels(scene.layout, scene.bus_names, len(shown), beyond=0.6 if shed else 0.0)
        figure, panels = start_figure(plan, title)
        for after, axes in zip(shown, panels, strict=True):
            _panel(axes, scene, after, plan)
        _legend(figure, scene, plan)
    return figure


save = saver(draw)


def headline(result: HardenResult, title: str) -> str:
    """What is bought and what it costs, in one line."""
    if result.cost_usd is None:
        return f"{title}: no plan found"
    lines, units = len(result.hardened_branches), len(result.generators)
    bought = f"{lines} hardened line{'s' * (lines != 1)}, {units} backup generator{'s' * (units != 1)}"
    return f"{title}: {bought}, cost ${result.cost_usd:,.2f}"


def _panel(axes: Axes, scene: HardenScene, after: After, plan: Plan) -> None:
    start_panel(axes, scene.layout, plan, after.headline)
    _branches(axes, scene, after)
    dot = dot_size(scene.layout, plan)
    _buses(axes, scene, after, dot)
    taken = _names(axes, scene, after, plan, dot)
    _symbols(axes, scene, after, plan, taken)


def _branches(axes: Axes, scene: HardenScene, after: After) -> None:
    ways = scene.layout.ways
    axes.add_collection(
        LineCollection(
            [ways[e] for e in sorted(scene.hardened)],
            colors=style.HARDENED,
            linewidths=9,
            alpha=0.35,
            capstyle="round",
            zorder=1,
        )
    )
    island = np.array([max(after.island[a], after.island[b]) for a, b in scene.ends])
    shut = np.flatnonzero(after.closed)
    width = 1.0 + 3.2 * np.nan_to_num(np.abs(after.p)) / scene.p_max
    axes.add_collection(
        LineCollection(
            [ways[e] for e in shut],
            colors=[scene.island_colour(int(island[e])) for e in shut],
            linewidths=width[shut],
            capstyle="round",
            zorder=2,
        )
    )
    for chosen, colour, pattern in (
        (np.flatnonzero(~after.closed & ~after.broken), "#98a2ad", (0, (3.5, 2.2))),
        (np.flatnonzero(after.broken), style.BROKEN, (0, (1.2, 1.6))),
    ):
        axes.add_collection(
            LineCollection([ways[e] for e in chosen], colors=colour, linewidths=1.1, linestyles=[pattern], zorder=2)
        )


def _buses(axes: Axes, scene: HardenScene, after: After, dot: float) -> None:
    xy = scene.layout.xy
    units = {unit.bus: unit for unit in after.units}
    for n, (x, y) in enumerate(xy):
        colour = scene.island_colour(int(after.island[n]))
        face = "white" if after.island[n] == 0 else colour
        marker, size = "o", dot
        if n in scene.sources:
            marker, size = "s", 1.55 * dot
        elif n in units:
            marker, size = "D", 1.45 * dot
            face = face if units[n].runs else "white"
        axes.plot([x], [y], marker, ms=size, mfc=face, mec=style.INK if face != "white" else colour, mew=0.8, zorder=4)
        if after.shed[n] > SHED_KW:
            share = min(1.0, after.shed[n] / max(after.load[n], 1e-9))
            axes.plot([x], [y], "o", ms=2.1 * dot, mfc="none", mec=style.BROKEN, mew=0.8 + 1.2 * share, zorder=5)


def _names(axes: Axes, scene: HardenScene, after: After, plan: Plan, dot: float) -> Floats:
    """Bus names with the load shed; the boxes they take, in inches."""
    shed = [n for n in range(len(scene.bus_names)) if after.shed[n] > SHED_KW]
    large = {*scene.sources, *scene.generators}
    names = [
        BusName(shorten(name), bold=n in large, away=(3.2, 6.0 if n in large else 4.0))
        for n, name in enumerate(scene.bus_names)
    ]
    for n in shed:
        text = f"{names[n].text}  −{figures(after.shed[n], 3)} kW"
        names[n] = BusName(text, style.BROKEN, names[n].bold, away=(6.0, 6.0))
    first = [*scene.generators, *scene.sources, *sorted(shed, key=lambda n: -after.shed[n])]
    return draw_bus_names(axes, scene.layout, names, first, plan, dot)


def _symbols(axes: Axes, scene: HardenScene, after: After, plan: Plan, taken: Floats) -> None:
    """Crosses on what is broken, circles on what is switched or open, with their names."""
    loose = set(np.flatnonzero(~after.closed).tolist())
    shown = sorted(loose | set(after.switched) | scene.hardened)
    looks = {e: symbol(after, e, hardened=e in scene.hardened) for e in shown}
    marks = branch_marks(scene.layout, scene.branch_names, looks, loose, plan)
    draw_marks(axes, scene.layout, marks, plan, taken)


def symbol(after: After, e: int, *, hardened: bool) -> dict[str, Any]:
    """How a branch is marked."""
    if after.broken[e]:
        return {"marker": "x", "ms": 6.0, "mfc": "none", "mec": style.BROKEN, "mew": 2.0}
    if after.switching[e]:
        return SWITCHED[after.switching[e]]
    if hardened and after.closed[e]:
        return {"marker": "P", "ms": 6.5, "mfc": style.HARDENED, "mec": style.HARDENED, "mew": 0.6}
    return {"marker": "o", "ms": 5.2, "mfc": "white", "mec": style.SOFT, "mew": 1.2}


def _legend(figure: style.Picture, scene: HardenScene, plan: Plan) -> None:
    width, height = plan.size

    def point(marker: str, edge: str, face: str, size: float = 6.5, **more: Any) -> dict[str, Any]:
        return {"marker": marker, "ms": size, "mec": edge, "mfc": face, "mew": 1.5, "ls": "none", **more}

    dash = {"color": "#98a2ad", "lw": 0.9}
    entries: list[tuple[str, dict[str, Any]]] = [
        ("substation", point("s", style.INK, style.FED[0], 7)),
        ("backup generator", point("D", style.INK, style.ISLANDS[0], 6.5)),
        ("hardened", {**point("P", style.HARDENED, style.HARDENED), "ls": "-", "color": style.HARDENED, "lw": 0.0}),
        ("broken", point("x", style.BROKEN, "none", 6, mew=2.0)),
        ("closes", point("o", style.CLOSES, style.CLOSES)),
        ("opens", point("o", style.OPENS, "white")),
        ("open", {**point("o", style.SOFT, "white"), "ls": (0, (2.5, 1.5)), **dash}),
        ("load shed", point("o", style.BROKEN, "none", 9)),
        ("without supply", point("o", style.DEAD, "white")),
    ]
    draw_legend(figure, entries, (0.3 / width, 0.2 / height), ncols=len(entries) if width > 9.5 else 5)
    text = "A colour is an island; the wider a line, the more power it carries; a hollow generator stands still."
    left = len(scene.after) - PANELS
    if left > 0:
        text += f" {left} more disasters that weigh less are not drawn."
    figure.text(0.42 / width, 0.1 / height, text, fontsize=7.5, color=style.SOFT, va="center")
