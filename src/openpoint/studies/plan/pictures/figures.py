"""The picture of a plan between two states: the lowest voltage after each step."""

from __future__ import annotations

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.report.figure import style
from openpoint.report.figure.charts import single_figure
from openpoint.report.figure.files import saver
from openpoint.report.layout.labels import shorten
from openpoint.studies.plan.result import SwitchPlanResult


def draw(result: SwitchPlanResult) -> Figure:
    """The lowest voltage after each step.

    Returns:
        A Matplotlib figure of its own, unknown to pyplot: nothing to close, safe in threads and without a display.
    """
    steps = result.plan.steps
    with mpl.rc_context(style.RC):
        title = f"{result.subject}: {result.plan.operations} operations"
        figure, axes = single_figure(max(4.0, 1.5 + 0.6 * steps.height), 3.2, title)
        places = list(range(steps.height))
        axes.plot(places, steps["v_min_pu"].to_list(), marker="o", color=style.AFTER)
        named = [f"{action} {shorten(name)}" for action, name in steps.select("action", "name").iter_rows()]
        axes.set_xticks(places, named, rotation=45, ha="right")
        axes.set_ylabel("lowest voltage, pu")
        return figure


save = saver(draw)
