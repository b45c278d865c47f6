"""Pictures of a power flow: today's state of a grid."""

from __future__ import annotations

from typing import Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.report.figure import style
from openpoint.report.figure.charts import loading_figure, voltage_figure
from openpoint.report.figure.files import check_kind, saver
from openpoint.report.figure.grid import grid_figure
from openpoint.report.scene import Scene
from openpoint.studies.powerflow.pictures.scene import powerflow_scene
from openpoint.studies.powerflow.result import PowerflowResult

Kind = Literal["grid", "voltage", "loading"]


def draw(result: PowerflowResult, *, kind: Kind = "grid") -> Figure:
    """A picture of a power flow.

    Args:
        result: what to draw.
        kind: `grid` (buses coloured by voltage, branches as wide as their loading, broken limits), `voltage` (profile
            over the distance to the source) or `loading` (the most loaded branches).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot.

    Raises:
        OptionError: an unknown `kind`.
    """
    check_kind(kind, get_args(Kind))
    return draw_scene(result, powerflow_scene(result), kind=kind)


def draw_scene(result: PowerflowResult, scene: Scene, *, kind: Kind = "grid") -> Figure:
    """As `draw`, for a scene at hand."""
    title = result.grid.title or result.grid.name
    keys = list(scene.states)
    with mpl.rc_context(style.RC):
        if kind == "grid":
            return grid_figure(scene, keys, f"{title}: loss {result.loss_kw:,.3f} kW")
        return voltage_figure(scene, keys, title) if kind == "voltage" else loading_figure(scene, keys, title)


save = saver(draw)
