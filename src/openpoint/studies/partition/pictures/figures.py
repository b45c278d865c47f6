"""Pictures of a partition for papers, switching plans and notebooks."""

from __future__ import annotations

from dataclasses import replace
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
from openpoint.report.figure.marks import SWITCHED, BusName, Mark, branch_marks, draw_bus_names, draw_marks
from openpoint.report.figure.panels import MARGIN, Plan, dot_size, draw_legend, plan_panels, start_figure, start_panel
from openpoint.report.layout.labels import shorten
from openpoint.studies.partition.pictures.scene import (
    PartitionScene,
    PlanView,
    Unit,
    build_partition_scene,
    island_colour,
)
from openpoint.studies.partition.result import PartitionLevelsResult, PartitionResult

Kind = Literal["grid", "convergence"]

_LINE = 0.15  # inches, of the list of islands
_CHARTS = 2.5  # inches, of the charts below the panels
_LISTED = 6  # islands named above a panel


def draw(result: PartitionResult | PartitionLevelsResult, *, kind: Kind = "grid") -> Figure:
    """A picture of a result.

    Args:
        result: what to draw: one plan, or those of several levels of uncertainty side by side.
        kind: `grid` (islands in colours with their numbers, what is dead in grey, switches and generators; of several
            levels also what is served and what it costs) or `convergence` (bounds over time, of one plan).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot.

    Raises:
        OptionError: an unknown `kind`, or no plan to draw.
    """
    check_kind(kind, get_args(Kind))
    if kind == "convergence":
        if isinstance(result, PartitionLevelsResult):
            raise OptionError("Levels are solved one by one: draw the convergence of one of result.by_level")
        with mpl.rc_context(style.RC):
            return convergence_picture(result)
    return draw_scene(build_partition_scene(result), result)


def draw_scene(scene: PartitionScene, result: PartitionResult | PartitionLevelsResult) -> Figure:
    """As `draw`, for a scene at hand."""
    if not scene.plan_views:
        raise OptionError("No plan was found, so there is nothing to draw")
    levels = isinstance(result, PartitionLevelsResult) and len(result.by_level) > 1
    with mpl.rc_context(style.RC):
        listed = [_listed(view) for view in scene.plan_views]
        plan = plan_panels(
            scene.layout,
            scene.bus_names,
            len(scene.plan_views),
            least=max(0.088 * len(view.headline) for view in scene.plan_views),
            lines=_LINE * max(map(len, listed)),
            strip=_CHARTS if levels else 0.0,
        )
        figure, panels = start_figure(plan, headline(result))
        for view, axes in zip(scene.plan_views, panels, strict=True):
            _panel(axes, scene, view, plan)
        _legend(figure, scene, plan)
        if isinstance(result, PartitionLevelsResult) and levels:
            _charts(figure, result, plan)
    return figure


save = saver(draw)


def headline(result: PartitionResult | PartitionLevelsResult) -> str:
    """What is shown, in one line."""
    title = result.grid.title or result.grid.name
    if isinstance(result, PartitionLevelsResult):
        return f"{title}: {len(result.by_level)} levels of uncertainty"
    if result.cost_usd is None:
        return f"{title}: no plan found"
    islands = result.islands.height
    return f"{title}: {islands} island{'s' * (islands != 1)}, cost ${result.cost_usd:,.2f} an hour"


def _panel(axes: Axes, scene: PartitionScene, view: PlanView, plan: Plan) -> None:
    start_panel(axes, scene.layout, plan, view.headline)
    _list(axes, view, plan)
    _branches(axes, scene, view)
    dot = dot_size(scene.layout, plan)
    _buses(axes, scene, view, dot)
    taken = _names(axes, scene, view, plan, dot)
    loose = set(np.flatnonzero(~view.closed).tolist())
    looks = {int(e): switch_look(view, int(e)) for e in np.flatnonzero(scene.switchable)}
    switches = branch_marks(scene.layout, scene.branch_names, looks, loose, plan)
    draw_marks(axes, scene.layout, [*_units(scene, view, dot), *switches], plan, taken)
    _numbers(axes, scene, view)


def _listed(view: PlanView) -> list[tuple[int, str]]:
    """The islands in words, after their numbers."""
    listed = [(each.number, each.words) for each in view.islands[:_LISTED]]
    left = len(view.islands) - _LISTED
    return [*listed, (0, f"and {left} more")] if left > 0 else listed


def _list(axes: Axes, view: PlanView, plan: Plan) -> None:
    """The islands in words, below the title."""
    _, _, w, h = plan.panels[0]
    for row, (number, text) in enumerate(_listed(view)):
        y = 1.0 - (0.26 + row * _LINE) / h
        # A long line shrinks to the panel (a letter is 0.6 of its size wide).
        size = min(7.5, (w - 2 * MARGIN) * 72.0 / (0.6 * len(text)))
        more: dict[str, Any] = {"transform": axes.transAxes, "fontsize": size, "va": "center_baseline"}
        if number:
            axes.text(MARGIN / w, y, str(number), color=island_colour(number), weight="bold", **more)
        axes.text((MARGIN + 0.16) / w, y, text, color=style.SOFT, parse_math=False, **more)


def _branches(axes: Axes, scene: PartitionScene, view: PlanView) -> None:
    ways = scene.layout.ways
    island = np.array([min(view.island[a], view.island[b]) for a, b in scene.ends])
    shut = np.flatnonzero(view.closed)
    live = shut[island[shut] > 0]
    colours = [island_colour(int(island[e])) for e in live]
    for width, alpha, order in ((9.0, 0.16, 1), (2.2, 1.0, 2)):
        axes.add_collection(
            LineCollection(
                [ways[e] for e in live],
                colors=colours,
                linewidths=width,
                alpha=alpha,
                capstyle="round",
                zorder=order,
            )
        )
    for chosen, pattern in ((shut[island[shut] == 0], "-"), (np.flatnonzero(~view.closed), (0, (3.5, 2.2)))):
        axes.add_collection(
            LineCollection([ways[e] for e in chosen], colors=style.DEAD, linewidths=1.1, linestyles=[pattern], zorder=2)
        )


def _buses(axes: Axes, scene: PartitionScene, view: PlanView, dot: float) -> None:
    xy = scene.layout.xy
    colours = [island_colour(int(number)) for number in view.island]
    faces = ["white" if number == 0 else colour for number, colour in zip(view.island, colours, strict=True)]
    edges = [style.DEAD if number == 0 else style.INK for number in view.island]
    axes.scatter(xy[:, 0], xy[:, 1], s=dot**2, c=faces, edgecolors=edges, linewidths=0.7, zorder=4)
    for n in scene.lost:
        axes.plot(*xy[n], "s", ms=1.7 * dot, mfc="white", mec=style.BROKEN, mew=1.2, zorder=4.5)
        axes.plot(*xy[n], "x", ms=1.2 * dot, mec=style.BROKEN, mew=1.4, zorder=4.6)


def _names(axes: Axes, scene: PartitionScene, view: PlanView, plan: Plan, dot: float) -> Floats:
    """Bus names; the boxes they take, in inches."""
    names = [
        BusName(shorten(name), style.INK if view.island[n] else style.SOFT) for n, name in enumerate(scene.bus_names)
    ]
    for n in scene.lost:
        names[n] = BusName(f"{names[n].text}  lost", style.BROKEN, bold=True, away=(5.0, 6.0))
    units = sorted(view.units, key=lambda unit: unit.forms_grid)
    for unit in units:
        away = (7.0, 6.0) if unit.forms_grid else (4.5, 5.0)
        names[unit.bus] = replace(names[unit.bus], away=away)
    return draw_bus_names(axes, scene.layout, names, [*scene.lost, *(unit.bus for unit in reversed(units))], plan, dot)


def unit_words(unit: Unit) -> str:
    """A generator and its set-point of what it has."""
    return f"{shorten(unit.name)} {unit.p_kw:,.0f}/{unit.p_max_kw:,.0f}" if unit.island else shorten(unit.name)


def switch_look(view: PlanView, e: int) -> dict[str, Any]:
    """How a switch is marked."""
    if view.switching[e]:
        return SWITCHED[view.switching[e]]
    return {"marker": "o", "ms": 5.2, "mfc": style.SOFT if view.closed[e] else "white", "mec": style.SOFT, "mew": 1.2}


def _units(scene: PartitionScene, view: PlanView, dot: float) -> list[Mark]:
    """Generators with their set-points, those that form a grid first."""
    marks = []
    for unit in sorted(view.units, key=lambda unit: not unit.forms_grid):
        colour = island_colour(unit.island)
        look: dict[str, Any] = {"marker": "D", "ms": 1.5 * dot, "mfc": "white", "mec": colour, "mew": 1.2, "zorder": 6}
        if unit.runs:
            look |= {"mfc": colour, "mec": style.INK, "mew": 0.8}
        if unit.forms_grid:
            look |= {"ms": 13.0, "mew": 1.0, "zorder": 6.5}
        marks.append(Mark(scene.layout.xy[unit.bus], look, unit_words(unit), colour=None if unit.runs else style.SOFT))
    return marks


def _numbers(axes: Axes, scene: PartitionScene, view: PlanView) -> None:
    """The number of an island stands in the generators that form its grid."""
    for unit in view.units:
        if unit.forms_grid:
            ink: dict[str, Any] = {"color": style.ink_on(island_colour(unit.island)), "fontsize": 7.5, "weight": "bold"}
            x, y = scene.layout.xy[unit.bus]
            axes.text(x, y, str(unit.island), ha="center", va="center_baseline", zorder=8, **ink)


def _legend(figure: style.Picture, scene: PartitionScene, plan: Plan) -> None:
    width, height = plan.size

    def point(marker: str, edge: str, face: str, size: float = 6.5, **more: Any) -> dict[str, Any]:
        return {"marker": marker, "ms": size, "mec": edge, "mfc": face, "mew": 1.4, "ls": "none", **more}

    isle = island_colour(1)
    dash = {"color": style.DEAD, "lw": 1.1}
    entries: list[tuple[str, dict[str, Any]]] = [
        ("forms the grid of the island", point("D", style.INK, isle, 9, mew=1.0)),
        ("generator that follows", point("D", style.INK, isle, 5.5, mew=0.8)),
        ("generator at rest", point("D", style.DEAD, "white", 5.5)),
        ("without supply", {**point("o", style.DEAD, "white", 4.5, mew=0.8), "ls": "-", **dash}),
        ("substation, lost", point("s", style.BROKEN, "white", 6)),
        ("switch, closed", point("o", style.SOFT, style.SOFT, 5.2)),
        ("switch, open", {**point("o", style.SOFT, "white", 5.2), "ls": (0, (2.5, 1.5)), **dash}),
        ("to be closed", point("o", style.CLOSES, style.CLOSES)),
        ("to be opened", point("o", style.OPENS, "white")),
    ]
    grid = scene.layout.extent[1] * plan.scale[0] - plan.left + 0.6  # inches, the grid with the names at its right
    if len(plan.panels) == 1 and width - grid > 2.4:
        at = (1 - 0.25 / width, 1 - (0.55 + plan.above) / height)
        draw_legend(figure, entries, at, loc="upper right")
    else:
        columns = len(entries) if width > 11.5 else 5 if width > 6.6 else 4
        at = (0.3 / width, (plan.strip + 0.2) / height)
        draw_legend(figure, entries, at, ncols=columns)
    text = "A colour and a number are an island. Generators: set-point of what they have, kW."
    figure.text(0.42 / width, (plan.strip + 0.1) / height, text, fontsize=7.5, color=style.SOFT, va="center")


def _charts(figure: style.Picture, result: PartitionLevelsResult, plan: Plan) -> None:
    """What is served and what it costs over the uncertainty, beside each other."""
    width, height = plan.size
    share = 100.0 * np.array(list(result.by_level))
    total = result.results[0].total_kw
    cost = np.array([np.nan if each.cost_usd is None else each.cost_usd for each in result.results])
    served = np.array([each.served_kw for each in result.results])
    each_wide = (width - 2 * MARGIN - 1.5) / 2
    for k, (title, values, form) in enumerate(
        (("load served, kW", served, "{:,.0f}"), ("cost at worst, $ an hour", cost, "{:,.0f}"))
    ):
        left = MARGIN + 0.55 + k * (each_wide + 0.8)
        axes = figure.add_axes((left / width, 0.5 / height, each_wide / width, (plan.strip - 1.1) / height))
        axes.plot(share, values, "o-", color=style.AFTER, ms=4.5, lw=1.4, clip_on=False)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("uncertainty of the loads, ± %", fontsize=8)
        axes.margins(x=0.1)
        axes.set_ylim(0.0, 1.15 * max(total if k == 0 else 0.0, float(np.nanmax(values))))
        axes.tick_params(labelsize=8)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        for x, y in zip(share, values, strict=True):
            axes.annotate(form.format(y), (x, y), xytext=(0, 6), textcoords="offset points", ha="center", fontsize=7.5)
        if k == 0:
            axes.axhline(total, color=style.SOFT, lw=0.9, ls=(0, (4, 3)))
            at: dict[str, Any] = {
                "textcoords": "offset points",
                "ha": "right",
                "va": "bottom",
                "fontsize": 7.5,
                "color": style.SOFT,
            }
            axes.annotate(f"all load, {total:,.0f}", (share[-1], total), xytext=(0, 2), **at)
