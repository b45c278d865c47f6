"""The blocks of a year along the time: which branches are open in each, and how much energy is lost."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from openpoint.arrays import Floats
from openpoint.report.figure import style
from openpoint.report.figure.open_points import OPEN_POINTS, draw_open_points, open_rows
from openpoint.report.layout.labels import shorten
from openpoint.report.scene import numbers
from openpoint.studies.reconfigure.year.seasons.result import SeasonsResult

ROWS = 30
"""Branches that are open at some time; beyond it only those that are switched are drawn."""
NAMES = 16
"""Blocks up to which all are named."""
# Inches: of the whole, above the first panel, below the last, at the left and right, between; a bar chart and a row.
_WIDTH, _HEAD, _FOOT, _LEFT, _RIGHT, _GAP = 9.6, 0.75, 0.75, 1.15, 0.3, 0.5
_BARS, _ROW = 1.9, 0.19
_ENERGIES = (
    ("energy_before_mwh", style.BEFORE, "today's open points"),
    ("energy_staying_mwh", style.MEAN, "open points of the block before"),
    ("energy_mwh", style.AFTER, "answer"),
)


def timeline(result: SeasonsResult) -> style.Picture:
    """The picture of a result; without an answer it shows what is lost by today's open points."""
    states = [state.open_branches for state in result.states]
    rows = open_rows(result.grid, states, result.switchings["name"].to_list(), ROWS)
    tall = len(rows) * _ROW
    height = _HEAD + _BARS + (_GAP + tall if rows else 0.0) + _FOOT
    figure = style.Picture(figsize=(_WIDTH, height))
    title = headline(result)
    size = min(12.5, (_WIDTH - 0.6) * 72.0 / (0.62 * len(title)))
    figure.text(0.25 / _WIDTH, 1 - 0.22 / height, title, fontsize=size, weight="bold", va="center", parse_math=False)
    edges = _edges(result)
    top, share = height - _HEAD, (_WIDTH - _LEFT - _RIGHT) / _WIDTH
    bars = figure.add_axes((_LEFT / _WIDTH, (top - _BARS) / height, share, _BARS / height))
    _energies(bars, result, edges)
    bars.set_xlim(edges[0], edges[-1])
    _axis(bars, result, edges, named=not rows)
    if rows:
        place = (_LEFT / _WIDTH, (top - _BARS - _GAP - tall) / height, share, tall / height)
        axes = figure.add_axes(place)
        draw_open_points(axes, rows, edges, states, result.open_before if result.from_today else None)
        axes.set_title(OPEN_POINTS, fontsize=9.0, weight="normal", color=style.SOFT)
        axes.set_xlim(edges[0], edges[-1])
        _axis(axes, result, edges, named=True)
    return figure


def headline(result: SeasonsResult) -> str:
    """One line that says what the picture shows."""
    title, blocks = result.grid.title or result.grid.name, f"{result.blocks.height} blocks"
    before, after = result.energy_before_mwh, result.energy_mwh
    if after is None:
        return f"{title}, {blocks}: {result.termination.value}, no plan that keeps the limits"
    done = f"{result.operations} switch operations"
    if before is None or before <= 0.0:
        return f"{title}, {blocks}: {done}, {after:,.1f} MWh lost"
    word = "less" if after <= before else "more"
    return f"{title}, {blocks}: {done}, {abs(before - after):,.1f} MWh ({abs(before - after) / before:.1%}) {word} lost"


def _edges(result: SeasonsResult) -> Floats:
    """(B + 1) hours of the year at which blocks begin, and its end."""
    return np.concatenate([[0.0], np.cumsum(numbers(result.blocks, "hours"))])


def _axis(axes: Axes, result: SeasonsResult, edges: Floats, *, named: bool) -> None:
    """Blocks along the axis, named where the panel is the last one."""
    count = result.blocks.height
    some = list(range(0, count, max(1, -(-count // NAMES))))
    names = [shorten(result.blocks["block"][n], 12) for n in some]
    middle = [(edges[n] + edges[n + 1]) / 2.0 for n in some]
    axes.set_xticks(middle, names if named else [""] * len(some), rotation=35 if named and len(some) > 6 else 0)
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
        label.set_fontsize(8.0)
        label.set_horizontalalignment("right" if named and len(some) > 6 else "center")
    axes.tick_params(axis="x", length=0)
    if count <= 4 * NAMES:
        for edge in edges[1:-1]:
            axes.axvline(edge, color=style.PALE, lw=0.6, zorder=0)


def _energies(axes: Axes, result: SeasonsResult, edges: Floats) -> None:
    """Mean power lost in each block: energies of blocks of different lengths cannot be compared."""
    hours = numbers(result.blocks, "hours")
    highest = 0.0
    for column, colour, label in _ENERGIES:
        value = 1000.0 * numbers(result.blocks, column) / hours
        if column == "energy_staying_mwh" and not result.from_today:
            value[:1] = np.nan  # before the first block there is none
        if not np.isfinite(value).any():
            continue
        highest = max(highest, float(np.nanmax(value)))
        thick, dash = (2.2, "-") if column == "energy_mwh" else (1.5, (0, (3, 2)))
        heights = np.append(value, value[-1])
        axes.step(edges, heights, where="post", color=colour, lw=thick, ls=dash, label=label)
    axes.set_ylim(0.0, 1.08 * highest if highest > 0.0 else 1.0)
    axes.grid(axis="y", color=style.PALE, lw=0.6)
    axes.set_title("mean loss of each block, kW", fontsize=9.0, weight="normal", color=style.SOFT)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=3, fontsize=8.0, borderaxespad=0.2)
