"""The picture of a front: the points, the gap of each, what is proven to be empty, and today's state."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from openpoint.arrays import Floats
from openpoint.report.chart.charts import axes_chart
from openpoint.report.chart.drawing import Chart, Dots, Layer, Lines, curve, numbers, span
from openpoint.report.figure import style
from openpoint.report.figure.charts import single_figure
from openpoint.report.figure.files import saver
from openpoint.report.numerals import figures, percent
from openpoint.studies.reconfigure.faults.front.result import ReconfigureFront, figure_in


def draw(result: ReconfigureFront) -> Figure:
    """The loss over the figure that is kept, with what is proven.

    Returns:
        A Matplotlib figure of its own, unknown to pyplot: nothing to close, safe in threads and without a display.
    """
    x, y, bound = _places(result)
    with mpl.rc_context(style.RC):
        name = result.grid.title or result.grid.name
        figure, axes = single_figure(7.2, 4.0, f"{name}: loss and {result.kept_words}")
        edge = _empty(result)
        if len(edge):
            axes.plot(edge[:, 0], edge[:, 1], color=style.AFTER, lw=1.2, label="no state below or left, proven")
        axes.vlines(x, bound, y, color=style.AFTER, lw=1.2)
        axes.plot(x, y, "o", ms=6, color=style.OPENS, label="point, verified by AC", zorder=3)
        if result.kept_before is not None and result.loss_before_kw is not None:
            axes.plot([result.kept_before], [result.loss_before_kw], "s", ms=6, color=style.BEFORE, label="today")
        axes.set_xlabel(_title(result))
        axes.set_ylabel("loss, kW")
        axes.margins(0.08)
        axes.ticklabel_format(useOffset=False)
        axes.set_xlim(widened(*axes.get_xlim()))
        axes.set_ylim(widened(*axes.get_ylim()))
        axes.grid(color=style.PALE, lw=0.6)
        axes.set_axisbelow(True)
        axes.legend(loc="best", fontsize=8.5)
        return figure


save = saver(draw)


def chart(result: ReconfigureFront) -> Chart | None:
    """The front as a chart of the report; None without points."""
    if not result.results:
        return None
    x, y, bound = _places(result)
    gaps = [[a, low, a, high] for a, low, high in zip(x.tolist(), bound.tolist(), y.tolist(), strict=True)]
    hovers = tuple(
        f"point {number}\nloss {figures(high, 6)} kW, proven bound {figures(low, 6)} kW, gap {percent(each.gap, 4)}\n"
        f"{result.kept_words} {figures(a, 6)} {result.kept_unit}"
        for number, (each, a, low, high) in enumerate(zip(result.results, x, bound, y, strict=True), start=1)
    )
    edge = _empty(result)
    layers: list[Layer] = [
        Lines(curve(edge[:, 0], edge[:, 1]), "@after", 1.5, name="no state below or left, proven"),
        Lines(gaps, "@after", 2.0, name="gap to the proven bound"),
        Dots(numbers(x), numbers(y), 8.0, "@opens", name="point, verified by AC", hover=hovers),
    ]
    seen_x, seen_y = [x, edge[:, 0]], [y, bound]
    if result.kept_before is not None and result.loss_before_kw is not None:
        at = np.array([result.kept_before]), np.array([result.loss_before_kw])
        layers.append(Dots(numbers(at[0]), numbers(at[1]), 9.0, "@before", "square", name="today"))
        seen_x.append(at[0])
        seen_y.append(at[1])
    across, up = widened(*span(np.concatenate(seen_x))), widened(*span(np.concatenate(seen_y)))
    return axes_chart(360, across, _title(result), up, "loss, kW", layers)


LEAST_SHARE = 0.01
"""Length of an axis, as a share of the greatest value on it, below which its ticks would all read the same."""


def widened(low: float, high: float) -> tuple[float, float]:
    """The range of an axis, no shorter than that its ticks can be told apart: of a front of one point, say."""
    missing = max(LEAST_SHARE * max(abs(low), abs(high)) - (high - low), 0.0)
    return low - 0.5 * missing, high + 0.5 * missing


def _title(result: ReconfigureFront) -> str:
    return f"{result.kept_words}, {result.kept_unit}".removesuffix(", ")


def _places(result: ReconfigureFront) -> tuple[Floats, Floats, Floats]:
    """(K) figure kept, loss and proven bound of the points."""
    rows = [(figure_in(each.after, result.kept), each.loss_kw, each.lower_bound_kw) for each in result.results]
    found = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return found[:, 0], found[:, 1], found[:, 2]


def _empty(result: ReconfigureFront) -> Floats:
    """(K, 2) corners of the edge below which no state is: the bound of the loss holds to the left of each limit."""
    x, y, _ = _places(result)
    if not len(x):
        return np.zeros((0, 2))
    limits = np.array([np.inf if limit is None else limit for limit in result.bounds["limit"]])
    bounds = np.array([-np.inf if bound is None else bound for bound in result.bounds["lower_bound_kw"]])
    known = np.isfinite(bounds)
    limits, bounds = np.minimum(limits[known], x.max()), np.maximum.accumulate(bounds[known])
    corners = []
    for k, (limit, bound) in enumerate(zip(limits, bounds, strict=True)):
        if k:
            corners.append((limit, bounds[k - 1]))
        corners.append((limit, bound))
    if corners and np.isfinite(result.kept_bound):
        left = min(result.kept_bound, corners[-1][0])
        corners += [(left, corners[-1][1]), (left, max(y.max(), corners[-1][1]))]
    return np.array(corners, dtype=np.float64).reshape(-1, 2)
