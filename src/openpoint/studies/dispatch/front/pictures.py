"""The picture of a front: the points, and the bounds that are proven of each."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from openpoint.report.chart.charts import axes_chart
from openpoint.report.chart.drawing import Chart, Dots, Layer, Lines, numbers, span
from openpoint.report.figure import style
from openpoint.report.figure.charts import single_figure
from openpoint.report.figure.files import saver
from openpoint.report.numerals import figures, percent
from openpoint.studies.dispatch.front.result import DispatchFront


def draw(result: DispatchFront) -> Figure:
    """The front: the criterion sought over the criterion kept, with the proven bound of each point.

    Returns:
        A Matplotlib figure of its own, unknown to pyplot: nothing to close, safe in threads and without a display.
    """
    found, (x_title, y_title) = answered(result), titles(result)
    with mpl.rc_context(style.RC):
        name = result.grid.title or result.grid.name
        figure, axes = single_figure(7.2, 4.0, f"{name}: {result.sought} and {result.kept}")
        x, y, bound = (found[column].to_numpy() for column in ("kept", "sought", "lower_bound"))
        axes.step(x, y, where="post", color=style.PALE, lw=1.2, zorder=1)
        axes.vlines(x, bound, y, color=style.AFTER, lw=1.2, zorder=2)
        axes.plot(x, bound, "_", ms=9, color=style.AFTER, label="proven bound")
        axes.plot(x, y, "o", ms=6, color=style.OPENS, label="answer, verified by AC", zorder=3)
        for row in found.iter_rows(named=True):
            at = (row["kept"], row["sought"])
            text = f"gap {percent(row['gap'], 3)}"
            axes.annotate(text, at, xytext=(6, 6), textcoords="offset points", fontsize=7.5, color=style.SOFT)
        axes.set_xlabel(x_title)
        axes.set_ylabel(y_title)
        axes.margins(0.12)
        axes.grid(color=style.PALE, lw=0.6)
        axes.set_axisbelow(True)
        axes.legend(loc="upper right", fontsize=8.5)
        return figure


save = saver(draw)


def chart(result: DispatchFront) -> Chart | None:
    """The front as a chart of the report; None where no point has an answer."""
    found, (x_title, y_title) = answered(result), titles(result)
    if found.is_empty():
        return None
    x, y, bound = (found[column].to_numpy() for column in ("kept", "sought", "lower_bound"))
    gaps = [[a, low, a, high] for a, low, high in zip(x.tolist(), bound.tolist(), y.tolist())]
    hovers = tuple(
        f"{result.sought} {figures(row['sought'], 6)} {result.sought_unit}\n{result.kept} {figures(row['kept'], 6)} "
        f"{result.kept_unit}\nproven bound {figures(row['lower_bound'], 6)}, gap {percent(row['gap'], 4)}"
        for row in found.iter_rows(named=True)
    )
    layers: list[Layer] = [
        Lines(gaps, "@after", 2.0, name="gap to the proven bound"),
        Dots(numbers(x), numbers(y), 8.0, "@opens", name="answer, verified by AC", hover=hovers),
    ]
    return axes_chart(360, span(x), x_title, span(np.concatenate([y, bound])), y_title, layers)


def answered(result: DispatchFront) -> pl.DataFrame:
    """The points with an answer, along the criterion kept; where no bound is proven it is that of the answer."""
    found = result.points.filter(pl.col("sought").is_not_null()).sort("kept")
    return found.with_columns(pl.col("lower_bound").fill_null(pl.col("sought")))


def titles(result: DispatchFront) -> tuple[str, str]:
    """Titles of the axes."""
    named = ((result.kept, result.kept_unit), (result.sought, result.sought_unit))
    x, y = (f"{name.replace('v_min', 'lowest voltage')}{unit and ', ' + unit}" for name, unit in named)
    return x, y
