"""Pictures of a result for papers, the control room and notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.report.change import build_scene
from openpoint.report.figure import style
from openpoint.report.figure.charts import convergence_figure, loading_figure, voltage_figure
from openpoint.report.figure.files import check_kind, write_figure
from openpoint.report.figure.grid import grid_figure
from openpoint.report.scene import Scene
from openpoint.report.series import convergence, gap_text
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
        return convergence_figure(convergence(result.iterations, gap_text(result.gap, result.termination)), title)


def save(result: DispatchResult, path: str | Path, *, kind: Kind = "grid") -> Path:
    """Write a picture of a result; the extension says how (`.png`, `.svg` or `.pdf`).

    Raises:
        OptionError: another extension, and as `draw`.
    """
    return write_figure(draw(result, kind=kind), path)
