"""The bounds of a run that goes on, as a chart and as a page for it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from openpoint.report.drawing import Axis, Chart, Panel
from openpoint.report.page.model import Page, section

Bounds = Sequence[tuple[float, float | None, float | None]]


def bounds_chart(bounds: Bounds) -> Chart | None:
    """Lower and upper bounds over the seconds; None where there is no curve of them yet."""
    import polars as pl

    from openpoint.report.charts import convergence, convergence_chart

    rows = [(k, *(math.nan if value is None else value for value in each)) for k, each in enumerate(bounds, 1)]
    columns = ["number", "seconds", "lower_bound", "upper_bound"]
    log = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.Float64), orient="row")
    return convergence_chart(convergence(log, ""))


def bounds_page(bounds: Bounds) -> str:
    """The page in which the chart is drawn."""
    from openpoint.report.page.html import render

    chart = bounds_chart(bounds) or Chart(320, Axis(0.0, 1.0, "seconds"), Axis(0.0, 1.0), ())
    panel = Panel("bounds", chart, "Bounds", "Lower and upper bound over the seconds of the run.")
    return render(Page("", "", "bounds", (section("", panel),), ""))
