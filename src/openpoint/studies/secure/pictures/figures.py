"""The grid with its branches by what switching does after their fault."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from openpoint.arrays import Floats
from openpoint.report.figure import style
from openpoint.report.figure.files import saver
from openpoint.report.figure.marks import BusName, branch_marks, draw_bus_names, draw_marks
from openpoint.report.figure.panels import Plan, dot_size, plan_panels, start_figure, start_panel
from openpoint.report.layout.forest import source_buses
from openpoint.report.layout.labels import shorten
from openpoint.report.layout.place import Layout, compute_layout
from openpoint.report.numerals import figures
from openpoint.studies.secure.result import SecureResult

LOOKS: dict[str, tuple[str, object]] = {
    "nothing lost": (style.DEAD, "-"),
    "restored": (style.CLOSES, "-"),
    "partly restored": (style.MEAN, (0, (4, 1))),
    "overload": (style.OPENS, (0, (6, 1))),
    "limits": (style.BROKEN, (0, (2, 1))),
    "no tie": (style.INK, (0, (1, 1))),
}
"""Colour and dashes of each verdict."""
LABELS = {"limits": "ties break limits", "overload": "feeds on, overloaded"}
"""What a legend says in place of a verdict."""
NAMED = 8
"""Branches of most load without supply until the repair, whose names stand in the picture."""


def draw(result: SecureResult) -> Figure:
    """A picture of a result: branches by what switching does after their fault, wide where much load stays dark."""
    closed = [bool(each) for each in result.grid.branches()["closed"]]
    layout = compute_layout(result.grid, closed)
    names = tuple(result.grid.buses["name"])
    with mpl.rc_context(style.RC):
        plan = plan_panels(layout, names, 1)
        figure, (axes,) = start_figure(plan, result.headline)
        start_panel(axes, layout, plan, "Branches by what switching does after their fault")
        _branches(axes, result, layout)
        dot = dot_size(layout, plan)
        taken = _buses(axes, result, layout, plan, dot, names)
        _points(axes, result, layout, plan, taken)
        _legend(figure, result, plan)
    return figure


save = saver(draw)


def _dark(result: SecureResult) -> dict[str, tuple[str, float]]:
    """Verdict and load that waits for the repair, by branch."""
    rows = result.faults.select("name", "verdict", "lost_kw", "isolated_kw").iter_rows()
    return {name: (verdict, lost + isolated) for name, verdict, lost, isolated in rows}


def _branches(axes: Axes, result: SecureResult, layout: Layout) -> None:
    shown = _dark(result)
    most = max((kw for _, kw in shown.values()), default=0.0) or 1.0
    for verdict, (colour, dash) in LOOKS.items():
        rows = [e for e, name in enumerate(result.grid.branches()["name"]) if shown.get(name, ("", 0.0))[0] == verdict]
        names = result.grid.branches()["name"]
        widths = [1.2 + 4.0 * shown[names[e]][1] / most for e in rows]
        lines = LineCollection(
            [layout.ways[e] for e in rows], colors=colour, linewidths=widths, linestyles=[dash], zorder=2
        )
        axes.add_collection(lines)
    rest = result.grid.branches().with_row_index("row").filter(~result.grid.branches()["name"].is_in(list(shown)))
    for row, closed in rest.select("row", "closed").iter_rows():
        dash = "-" if closed else (0, (3.5, 2.2))
        axes.add_collection(
            LineCollection([layout.ways[row]], colors="#98a2ad", linewidths=0.9, linestyles=[dash], zorder=1.5)
        )


def _buses(axes: Axes, result: SecureResult, layout: Layout, plan: Plan, dot: float, names: tuple[str, ...]) -> Floats:
    sources = list(source_buses(result.grid))
    others = np.setdiff1d(np.arange(len(names)), sources)
    for buses, marker, size in ((others, "o", 0.8 * dot), (np.array(sources), "s", 1.55 * dot)):
        at = layout.xy[buses]
        axes.scatter(
            at[:, 0], at[:, 1], s=size**2, c="white", marker=marker, edgecolors=style.INK, linewidths=0.6, zorder=4
        )
    labels = [BusName(shorten(name), bold=bus in sources) for bus, name in enumerate(names)]
    return draw_bus_names(axes, layout, labels, sources, plan, dot)


def _points(axes: Axes, result: SecureResult, layout: Layout, plan: Plan, taken: Floats) -> None:
    """Open points, and the names of the branches whose fault leaves most load without supply."""
    table = result.grid.branches()
    number = {name: e for e, name in enumerate(table["name"])}
    loose = {number[name] for name in result.open_branches}
    looks: dict[int, dict[str, Any]] = {
        e: {"marker": "o", "ms": 5.2, "mfc": "white", "mec": style.SOFT, "mew": 1.2} for e in sorted(loose)
    }
    for name in result.waiting.head(NAMED)["name"]:
        colour = LOOKS[_dark(result)[name][0]][0]
        looks.setdefault(number[name], {"marker": "x", "ms": 5.5, "mfc": "none", "mec": colour, "mew": 1.8})
    marks = branch_marks(layout, tuple(table["name"]), looks, loose, plan)
    draw_marks(axes, layout, marks, plan, taken)


def _legend(figure: style.Picture, result: SecureResult, plan: Plan) -> None:
    width, height = plan.size
    counts = result.counts
    entries: list[tuple[str, dict[str, Any]]] = [
        (f"{LABELS.get(verdict, verdict)} ({counts[verdict]})", {"color": colour, "ls": dash, "lw": 2.6})
        for verdict, (colour, dash) in LOOKS.items()
        if counts[verdict]
    ]
    entries.append(("open point", {"marker": "o", "ms": 5.2, "mec": style.SOFT, "mfc": "white", "ls": "none"}))
    handles = [Line2D([0, 1], [0, 0], **look) for _, look in entries]
    figure.legend(
        handles,
        [name for name, _ in entries],
        loc="lower left",
        bbox_to_anchor=(0.3 / width, 0.3 / height),
        ncols=len(entries) if width > 8.0 else 3,
        fontsize=8,
        handlelength=2.4,
        columnspacing=1.3,
        borderaxespad=0.0,
    )
    most = max((kw for _, kw in _dark(result).values()), default=0.0)
    text = f"The wider a branch, the more load waits for its repair: up to {figures(most, 3)} kW."
    figure.text(0.42 / width, 0.14 / height, text, fontsize=7.5, color=style.SOFT, va="center")
