"""Pictures of a result for papers, switching orders and notebooks."""

from __future__ import annotations

import math
from typing import Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.errors import OptionError
from openpoint.report.change import build_scene
from openpoint.report.figure import style
from openpoint.report.figure.charts import convergence_picture, loading_figure, voltage_figure
from openpoint.report.figure.files import check_kind, saver
from openpoint.report.figure.grid import grid_figure
from openpoint.report.scene import Scene
from openpoint.studies.reconfigure.result import TopologyResult

Kind = Literal["grid", "voltage", "loading", "convergence"]
Which = Literal["both", "before", "after"]


def draw(result: TopologyResult, *, which: Which = "both", kind: Kind = "grid") -> Figure:
    """A picture of a result.

    Args:
        result: what to draw.
        which: `before` (today), `after` (the answer; where there is none, the state of least violation met), or
            `both`. Both falls back to `before` where there is no state after.
        kind: `grid` (buses coloured by voltage, branches as wide as their loading, open points, changes, broken
            limits), `voltage` (profile over the distance to the source), `loading` (the most loaded
            branches) or `convergence` (bounds over time).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot: nothing to close, safe in threads and without a display.

    Raises:
        OptionError: an unknown `which` or `kind`, or `after` where there is no such state.
    """
    check_kind(kind, get_args(Kind))
    if which not in get_args(Which):
        raise OptionError(f"which={which!r} is unknown; choose one of {', '.join(get_args(Which))}")
    return draw_scene(result, build_scene(result), which=which, kind=kind)


def draw_scene(result: TopologyResult, scene: Scene, *, which: Which = "both", kind: Kind = "grid") -> Figure:
    """As `draw`, for a scene at hand: its layout is computed once for all pictures."""
    keys = _keys(scene, which)
    title = result.grid.title or result.grid.name
    with mpl.rc_context(style.RC):
        if kind == "grid":
            return grid_figure(scene, keys, headline(result, title))
        if kind == "voltage":
            return voltage_figure(scene, keys, title)
        if kind == "loading":
            return loading_figure(scene, keys, title)
        return convergence_picture(result)


save = saver(draw)


def headline(result: TopologyResult, title: str) -> str:
    """One line that says what the picture shows."""
    if result.loss_kw is None:
        return f"{title}: {result.termination.value}, no answer that keeps the limits"
    if result.loss_before_kw is None:
        return f"{title}: loss {result.loss_kw:,.3f} kW"
    saved = result.loss_before_kw - result.loss_kw
    if abs(saved) < 0.5e-3:
        return f"{title}: loss {result.loss_kw:,.3f} kW, as today"
    share = f" ({abs(saved) / result.loss_before_kw:.1%})" if result.loss_before_kw > 0 and math.isfinite(saved) else ""
    return f"{title}: {abs(saved):,.3f} kW{share} {'less' if saved > 0 else 'more'} loss"


def _keys(scene: Scene, which: Which) -> list[str]:
    if which == "both":
        return list(scene.states)
    if which not in scene.states:
        raise OptionError("This result has no state after: no open points were found; draw which='before'")
    return [which]
