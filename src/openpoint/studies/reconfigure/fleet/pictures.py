"""The picture of a fleet: what each grid loses today and with its answer, the largest savings first."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openpoint.report.charts import axes_chart, chart_sheet
from openpoint.report.drawing import Areas, Layer, Sheet, span
from openpoint.report.layout.labels import shorten
from openpoint.studies.reconfigure.fleet.result import FleetResult

_SHOWN = 30


def savings(result: FleetResult) -> Sheet:
    """What each grid loses today and with its answer."""
    found = [row for row in result.rows if row.saving_kw is not None]
    found = sorted(found, key=lambda row: -(row.saving_kw or 0.0))[:_SHOWN]
    title = f"{result.subject}: {result.saving_kw:,.1f} kW saved in {result.grid_count} grids"
    if not found:
        return chart_sheet(title, None, "No grid has a loss today and one with its answer.")
    before, after = ([getattr(row, name) or 0.0 for row in found] for name in ("loss_before_kw", "loss_kw"))
    layers: list[Layer] = [
        Areas([_bar(k, kw, 0.36) for k, kw in enumerate(before)], "@before", 0.35, name="today"),
        Areas([_bar(k, kw, 0.21) for k, kw in enumerate(after)], "@after", name="answer"),
    ]
    ticks = [(float(-k), shorten(row.name)) for k, row in enumerate(found)]
    x = span(np.array([*before, *after]), from_zero=True)
    chart = axes_chart(80 + 23 * len(found), x, "loss, kW", (0.6 - len(found), 0.6), "", layers, y_ticks=ticks)
    return chart_sheet(title, chart, "")


def _bar(row: int, kw: float, half: float) -> list[float]:
    return [0.0, -row - half, kw, -row - half, kw, -row + half, 0.0, -row + half]


PICTURES: Mapping[str, Callable[[FleetResult], Sheet]] = {"savings": savings}
