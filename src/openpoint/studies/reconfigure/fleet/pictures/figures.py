"""The picture of a fleet: what each grid saves, the largest savings first."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.report.figure import style
from openpoint.report.figure.charts import single_figure
from openpoint.report.figure.files import saver
from openpoint.report.layout.labels import shorten
from openpoint.studies.reconfigure.fleet.result import FleetResult

_SHOWN = 30


def draw(result: FleetResult) -> Figure:
    """What each grid loses today and with its answer, the largest savings first.

    Returns:
        A Matplotlib figure of its own, unknown to pyplot: nothing to close, safe in threads and without a display.
    """
    found = [row for row in result.rows if row.saving_kw is not None]
    found = sorted(found, key=lambda row: -(row.saving_kw or 0.0))[:_SHOWN]
    with mpl.rc_context(style.RC):
        title = f"{result.subject}: {result.saving_kw:,.1f} kW saved in {result.grid_count} grids"
        figure, axes = single_figure(7.2, max(2.4, 1.2 + 0.24 * len(found)), title)
        places = range(len(found))
        before = [row.loss_before_kw or 0.0 for row in found]
        after = [row.loss_kw or 0.0 for row in found]
        axes.barh(places, before, height=0.72, color=style.BEFORE, alpha=0.35, label="today")
        axes.barh(places, after, height=0.42, color=style.AFTER, label="answer")
        axes.set_yticks(list(places), [shorten(row.name) for row in found])
        axes.invert_yaxis()
        axes.set_xlabel("loss, kW")
        if found:
            axes.legend(loc="lower right", fontsize=8.5)
        return figure


save = saver(draw)
