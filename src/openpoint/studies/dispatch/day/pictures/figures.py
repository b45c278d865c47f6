"""Pictures of a dispatch over a day: the timeline, the grid with its open points, the bounds closing."""

from __future__ import annotations

from typing import Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.report.figure import style
from openpoint.report.figure.charts import convergence_picture
from openpoint.report.figure.files import check_kind, saver
from openpoint.report.figure.grid import grid_figure
from openpoint.studies.dispatch.day.pictures.futures import futures_figure
from openpoint.studies.dispatch.day.pictures.samples import samples_figure
from openpoint.studies.dispatch.day.pictures.scene import day_scene
from openpoint.studies.dispatch.day.pictures.timeline import timeline
from openpoint.studies.dispatch.day.result import DispatchDayResult

Kind = Literal["day", "grid", "convergence", "futures", "samples"]


def draw(result: DispatchDayResult, *, kind: Kind = "day") -> Figure:
    """A picture of a result.

    Args:
        result: what to draw.
        kind: `day` (the timeline), `grid` (open points today and in the answer, with the lowest voltages and highest
            currents of the day), `convergence` (bounds over time), `futures` (the costs of the futures in order) or
            `samples` (plans in days drawn at random).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot: nothing to close, safe in threads and without a display.

    Raises:
        OptionError: an unknown `kind`, or `futures` or `samples` where there are none.
    """
    check_kind(kind, get_args(Kind))
    title = result.grid.title or result.grid.name
    with mpl.rc_context(style.RC):
        if kind == "day":
            return timeline(result)
        if kind == "futures":
            return futures_figure(result)
        if kind == "samples":
            return samples_figure(result)
        if kind == "grid":
            scene = day_scene(result)
            return grid_figure(scene, list(scene.states), f"{title}: {result.to_do() or result.termination.value}")
        return convergence_picture(result)


save = saver(draw)
