"""Voltage profile, branch loading and convergence as Matplotlib figures."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from openpoint.arrays import Floats
from openpoint.report.figure import style
from openpoint.report.layout.labels import shorten
from openpoint.report.scene import Scene
from openpoint.report.series import Convergence, convergence, gap_text, loading_rows, shown_limits
from openpoint.results.base import Answer

_COLOUR = {"before": style.BEFORE, "after": style.AFTER}


def voltage_figure(scene: Scene, keys: list[str], title: str) -> style.Picture:
    """Voltage of every bus over the distance to its source; feeders are the lines between them."""
    figure, axes = single_figure(7.2, 4.0, f"{title}: voltage profile")
    axes.set_xlabel(scene.distance_title)
    axes.set_ylabel(f"{scene.voltage_word}, pu")
    drawn: list[Floats] = []
    for key in keys:
        state = scene.states[key]
        distance = state.distance(scene)
        fed = np.isfinite(state.v) & np.isfinite(distance)
        if not fed.any():
            continue
        drawn.append(state.v[fed])
        feeders = [
            [(distance[a], state.v[a]), (distance[b], state.v[b])]
            for e, (a, b) in enumerate(scene.ends)
            if state.closed[e] and fed[a] and fed[b]
        ]
        colour = _COLOUR[key]
        axes.add_collection(LineCollection(feeders, colors=colour, linewidths=1.0, alpha=0.75))
        lowest = int(np.flatnonzero(fed)[np.argmin(state.v[fed])])
        axes.plot(distance[fed], state.v[fed], "o", ms=3.4, color=colour, label=f"{state.title}")
        axes.annotate(
            f"{shorten(scene.bus_names[lowest])}: {state.v[lowest]:.4f}",
            (distance[lowest], state.v[lowest]),
            xytext=(0, -5),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=8,
            color=style.SOFT if key == "before" else colour,
            parse_math=False,
        )
    if not drawn:
        return _empty(axes, figure, "No voltages are known.")
    inside, outside = shown_limits(scene, np.concatenate(drawn))
    for name, value in inside:
        axes.axhline(value, color=style.BROKEN, lw=1.0, ls=(0, (4, 3)), zorder=1)
        axes.annotate(
            f"{name} limit {value:g}",
            (1.0, value),
            xycoords=("axes fraction", "data"),
            xytext=(-2, 2),
            textcoords="offset points",
            ha="right",
            fontsize=7.5,
            color=style.BROKEN,
        )
    axes.margins(y=0.12)
    axes.grid(axis="y", color=style.PALE, lw=0.6)
    if not scene.in_km:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, names = axes.get_legend_handles_labels()
    far = [f"{name} limit {value:g} pu lies outside the picture" for name, value in outside]
    figure.legend(handles, names, loc="upper right", ncols=2, fontsize=8.5, bbox_to_anchor=(0.985, 0.985))
    if far:
        axes.set_title("; ".join(far), fontsize=7.5, color=style.SOFT, weight="normal")
    return figure


def loading_figure(scene: Scene, keys: list[str], title: str, most: int = 30) -> style.Picture:
    """Loading (or current, where there are no ratings) of the most stressed branches, before and after."""
    rows, left = loading_rows(scene, keys, most)
    what = "loading, % of rating" if scene.rated else "current, A"
    figure, axes = single_figure(7.2, max(2.2, 0.19 * len(rows) + 1.15), f"{title}: branch {what.split(',')[0]}")
    if not rows:
        return _empty(axes, figure, "No currents are known.")
    at = np.arange(len(rows))[::-1]
    values = {key: scene.stress(scene.states[key])[rows] for key in keys}
    if len(keys) == 2:
        axes.hlines(at, values["before"], values["after"], color=style.PALE, lw=2.4, zorder=1)
    for key in keys:
        axes.plot(
            values[key], at, "o", ms=5, color=_COLOUR[key], label=scene.states[key].title, zorder=3, clip_on=False
        )
    axes.set_yticks(at, [""] * len(rows))
    for tick, e in zip(axes.yaxis.get_major_ticks(), rows, strict=True):
        tick.label1.set_parse_math(False)
        tick.label1.set_fontsize(7.5)
        changed = style.OPENS if e in scene.opened else style.CLOSES if e in scene.closed else style.INK
        tick.label1.set_color(changed)
    axes.set_yticklabels([_branch_label(scene, e) for e in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.8, len(rows) - 0.2)
    axes.set_xlim(left=0)
    if scene.rated and max(v.max() for v in values.values()) > 70:
        axes.axvline(100.0, color=style.BROKEN, lw=1.0, ls=(0, (4, 3)))
    axes.grid(axis="x", color=style.PALE, lw=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(what + (f" (the {len(rows)} most loaded; {left} more lie below)" if left else ""))
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="upper right", ncols=2, fontsize=8.5, bbox_to_anchor=(0.985, 0.99))
    return figure


def convergence_picture(result: Answer) -> style.Picture:
    """The bounds of a result over time."""
    curve = convergence(result.head.log, gap_text(result.gap, result.termination))
    return convergence_figure(curve, result.grid.title or result.grid.name)


def convergence_figure(curve: Convergence, title: str) -> style.Picture:
    """Lower and upper bound as steps over time, with the gap at the end."""
    figure, axes = single_figure(7.2, 3.6, f"{title}: convergence of the bounds")
    if not curve.is_curve:
        return _empty(axes, figure, f"No curve: bounds at one time only ({curve.verdict}).")
    for values, colour, label in (
        (curve.upper, style.OPENS, "upper bound (best verified)"),
        (curve.lower, style.AFTER, "lower bound (proven)"),
    ):
        if np.isfinite(values).any():
            axes.step(curve.x, values, where="post", color=colour, lw=1.6, label=label)
    both = np.isfinite(curve.lower) & np.isfinite(curve.upper)
    if both.any():
        shade: dict[str, Any] = {"color": style.AFTER, "alpha": 0.07, "lw": 0}
        axes.fill_between(curve.x, curve.lower, curve.upper, where=both, step="post", **shade)
    lo, hi = curve.window
    tried = np.isfinite(curve.value) & (curve.value <= hi)
    if tried.any():
        axes.plot(curve.x[tried], curve.value[tried], "o", ms=3, color=style.SOFT, alpha=0.7, label="decision tried")
    axes.set_ylim(lo, hi)
    axes.set_xlabel(curve.x_label)
    axes.set_ylabel(curve.unit)
    axes.grid(color=style.PALE, lw=0.6)
    axes.set_axisbelow(True)
    axes.annotate(
        curve.verdict,
        (1.0, 0.5),
        xycoords="axes fraction",
        xytext=(-6, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=8.5,
        color=style.INK,
    )
    figure.legend(loc="upper right", ncols=3, fontsize=8, bbox_to_anchor=(0.985, 0.93), columnspacing=1.2)
    return figure


def _branch_label(scene: Scene, e: int) -> str:
    a, b = scene.ends[e]
    label = (
        f"{shorten(scene.branch_names[e], 18)}  ({shorten(scene.bus_names[a], 10)}–{shorten(scene.bus_names[b], 10)})"
    )
    return label + (" opens" if e in scene.opened else " closes" if e in scene.closed else "")


SMALLEST = 8.5
"""Size of the letters of a title below which it takes two lines."""


def single_figure(width: float, height: float, title: str) -> tuple[style.Picture, Axes]:
    """A figure of one picture under a title, and its axes; sizes in inches."""
    engine = ConstrainedLayoutEngine(rect=(0.0, 0.0, 1.0, 1 - 0.42 / height))
    figure = style.Picture(figsize=(width, height), layout=engine)
    axes = figure.add_subplot()
    # A bold letter is 0.68 of its size wide; a long title becomes smaller, and takes two lines before it is too small.
    room = 0.976 * width * 72.0 / 0.68
    if room < SMALLEST * len(title):
        title = "\n".join(textwrap.wrap(title, len(title) * 11 // 20, max_lines=2, placeholder=" …"))
    size = min(11.0, room / max(map(len, [*title.split("\n"), "-"])))
    figure.text(0.012, 1 - 0.2 / height, title, fontsize=size, weight="bold", va="center", parse_math=False)
    return figure, axes


def _empty(axes: Axes, figure: style.Picture, text: str) -> style.Picture:
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=style.SOFT, transform=axes.transAxes)
    return figure
