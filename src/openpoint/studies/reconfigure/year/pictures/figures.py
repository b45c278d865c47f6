"""Pictures of a result for a year, for papers and notebooks."""

from __future__ import annotations

from typing import Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from openpoint.report.figure import style
from openpoint.report.figure.charts import single_figure
from openpoint.report.figure.files import check_kind, saver
from openpoint.report.figure.grid import grid_figure
from openpoint.report.scene import Scene
from openpoint.studies.reconfigure.year.pictures.curves import Stepped, durations, year_scene
from openpoint.studies.reconfigure.year.result import YearResult

Kind = Literal["grid", "losses", "voltages"]
_COLUMNS = {"losses": (("loss_{}_kw", "-"),), "voltages": (("v_min_{}_pu", "-"), ("v_max_{}_pu", ":"))}
_TITLES = {"losses": "loss, kW", "voltages": "lowest (solid) and highest (dotted) voltage, pu"}


def draw(result: YearResult, *, kind: Kind = "grid") -> Figure:
    """A picture of a result.

    Args:
        result: what to draw.
        kind: `grid` (the grid before and after: buses coloured by their lowest voltage in any step, branches as wide as
            their highest loading), `losses` or `voltages` (duration curves).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot.

    Raises:
        OptionError: an unknown `kind`.
    """
    check_kind(kind, get_args(Kind))
    with mpl.rc_context(style.RC):
        if kind == "grid":
            return draw_scene(result, year_scene(result))
        return duration_figure(result, kind, headline(result))


def duration_figure(result: Stepped, kind: Literal["losses", "voltages"], title: str) -> Figure:
    """The duration curves of losses or voltages."""
    figure, axes = single_figure(6.4, 3.7, f"{title}: {kind}")
    for column, dash in _COLUMNS[kind]:
        for each in durations(result, column):
            label = each.title if dash == "-" else None
            axes.plot(each.share, each.value, color=each.colour, lw=1.6, ls=dash, label=label)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel("share of the year")
    axes.set_ylabel(_TITLES[kind])
    axes.legend(fontsize=8.5)
    return figure


def draw_scene(result: YearResult, scene: Scene) -> Figure:
    """The grid before and after, for a scene at hand."""
    with mpl.rc_context(style.RC):
        return grid_figure(scene, list(scene.states), headline(result))


save = saver(draw)


def headline(result: YearResult) -> str:
    """One line that says what the picture shows."""
    title, steps = result.grid.title or result.grid.name, f"{result.steps_count:,} steps"
    before, after = result.energy_before_mwh, result.energy_mwh
    if after is None:
        return f"{title}, {steps}: {result.termination.value}, no answer that keeps the limits"
    if before is None or before <= 0.0:
        return f"{title}, {steps}"
    word = "less" if after <= before else "more"
    return f"{title}, {steps}: {abs(before - after):,.1f} MWh ({abs(before - after) / before:.1%}) {word} lost"
