"""Pictures of a result for papers, the control room and notebooks."""

from __future__ import annotations

from typing import Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.report.change import build_scene
from openpoint.report.figure import style
from openpoint.report.figure.charts import convergence_picture, loading_figure, voltage_figure
from openpoint.report.figure.files import check_kind, saver
from openpoint.report.figure.grid import grid_figure
from openpoint.report.scene import Scene
from openpoint.studies.dispatch.result import DispatchResult

Kind = Literal["grid", "voltage", "loading", "convergence"]


def draw(result: DispatchResult, *, kind: Kind = "grid") -> Figure:
    """A picture of a result.

    Args:
        result: what to draw.
        kind: `grid` (today and with the answer), `voltage` (profile over the distance to the source), `loading` (the
            most loaded branches) or `convergence` (bounds over time).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot: nothing to close, safe in threads and without a display.

    Raises:
        OptionError: an unknown `kind`.
    """
    check_kind(kind, get_args(Kind))
    return draw_scene(result, build_scene(result), kind=kind)


def draw_scene(result: DispatchResult, scene: Scene, *, kind: Kind = "grid") -> Figure:
    """As `draw`, for a scene at hand: its layout is computed once for all pictures."""
    title, keys = result.grid.title or result.grid.name, list(scene.states)
    with mpl.rc_context(style.RC):
        if kind == "grid":
            return grid_figure(scene, keys, f"{title}: {result.to_do() or result.termination.value}")
        if kind == "voltage":
            return voltage_figure(scene, keys, title)
        if kind == "loading":
            return loading_figure(scene, keys, title)
        return convergence_picture(result)


save = saver(draw)
