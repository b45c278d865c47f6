"""Pictures of a result for many futures, for papers and notebooks."""

from __future__ import annotations

from typing import Literal, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from openpoint.arrays import Floats
from openpoint.report.figure import style
from openpoint.report.figure.files import check_kind, saver
from openpoint.report.figure.grid import grid_figure
from openpoint.report.scene import Scene
from openpoint.studies.reconfigure.futures.pictures.scene import Spread, cumulative, futures_scene, limits_of, spreads
from openpoint.studies.reconfigure.futures.result import FuturesResult

Kind = Literal["grid", "losses", "voltages"]

_DASH = {"before": "-", "mean": (0, (5, 2)), "after": "-"}


def draw(result: FuturesResult, *, kind: Kind = "grid") -> Figure:
    """A picture of a result.

    Args:
        result: what to draw.
        kind: `grid` (the grid before and after: buses coloured by their lowest voltage in any future, branches as wide
            as their highest loading), `losses` or `voltages` (how they spread over the futures, a panel for those
            planned for and one for the sample).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot.

    Raises:
        OptionError: an unknown `kind`.
    """
    check_kind(kind, get_args(Kind))
    title = result.grid.title or result.grid.name
    with mpl.rc_context(style.RC):
        if kind == "grid":
            return draw_scene(result, futures_scene(result))
        return _spread_figure(result, kind, title)


def draw_scene(result: FuturesResult, scene: Scene) -> Figure:
    """The grid before and after, for a scene at hand."""
    with mpl.rc_context(style.RC):
        return grid_figure(scene, list(scene.states), headline(result, result.grid.title or result.grid.name))


save = saver(draw)


def headline(result: FuturesResult, title: str) -> str:
    """One line that says what the picture shows."""
    many = f"{result.futures.height} futures"
    if result.objective_kw is None:
        return f"{title}, {many}: {result.termination.value}, no answer that keeps the limits"
    plans = result.plans.filter(set="planned")
    loss = dict(plans.select("topology", "loss_expected_kw").iter_rows())
    before, after = loss.get("before"), loss["after"]
    if before is None or after is None or before <= 0.0:
        return f"{title}, {many}"
    word = "less" if after <= before else "more"
    return f"{title}, {many}: {abs(before - after):,.1f} kW ({abs(before - after) / before:.1%}) {word} loss on average"


def _spread_figure(result: FuturesResult, kind: Kind, title: str) -> Figure:
    sets = [(f"{result.futures.height} futures planned for", result.futures)]
    if result.sample.height:
        sets.append((f"{result.sample.height} other futures", result.sample))
    height = 3.7
    engine = ConstrainedLayoutEngine(rect=(0.0, 0.0, 1.0, 1 - 0.68 / height))
    figure = style.Picture(figsize=(4.6 * len(sets) if len(sets) > 1 else 6.4, height), layout=engine)
    figure.text(0.012, 1 - 0.2 / height, f"{title}: {kind}", fontsize=11, weight="bold", va="center", parse_math=False)
    panels = np.atleast_1d(figure.subplots(1, len(sets), sharex=True, sharey=True))
    for axes, (name, table) in zip(panels, sets, strict=True):
        axes.set_title(name, fontsize=9, weight="normal", color=style.SOFT)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.grid(color=style.PALE, lw=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel("loss, kW" if kind == "losses" else "lowest (solid) and highest (dotted) voltage, pu")
        for each in spreads(result, table):
            if kind == "losses":
                _stairs(axes, each, each.loss, _DASH[each.key], each.title)
            else:
                _stairs(axes, each, each.v_min, "-", each.title)
                _stairs(axes, each, each.v_max, ":", None)
        for label, value in limits_of(result) if kind == "voltages" else []:
            axes.axvline(value, color=style.BROKEN, lw=1.0, ls=(0, (4, 3)), zorder=1)
            near = {"xytext": (2, 3), "textcoords": "offset points", "fontsize": 7, "color": style.BROKEN}
            axes.annotate(f"{label} {value:g}", (value, 0.0), **near)
    panels[0].set_ylabel("share of the futures")
    panels[0].set_ylim(0.0, 1.02)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper left", ncols=3, fontsize=8.5, bbox_to_anchor=(0.005, 1 - 0.3 / height))
    return figure


def _stairs(axes: Axes, each: Spread, values: Floats, dash: object, label: str | None) -> None:
    x, share = cumulative(values, each.weights)
    axes.plot(x, share, color=each.colour, lw=1.6, ls=dash, label=label)
