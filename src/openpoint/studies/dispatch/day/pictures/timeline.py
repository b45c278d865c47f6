"""A day as one picture along the hours: price, what supplies the load, what is in store, voltages and open points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from openpoint.arrays import Floats
from openpoint.report.figure import style
from openpoint.report.figure.open_points import OPEN_POINTS, draw_open_points, open_rows
from openpoint.report.layout.labels import shorten
from openpoint.report.scene import numbers
from openpoint.studies.dispatch.day.result import DispatchDayResult

ROWS = 24
"""Branches that are open at some time; beyond it only those that are switched are drawn."""
TICKS = 12
# Inches: of the whole, of panels, above the first, below the last, at the left and right, between.
_WIDTH, _HEAD, _FOOT, _LEFT, _RIGHT, _GAP = 10.2, 0.72, 0.95, 1.15, 1.5, 0.34
_SMALL, _TALL, _ROW = 0.62, 1.75, 0.15
_FED: tuple[tuple[str, str, str], ...] = (
    ("source_kw", "sources", "#9aa5b1"),
    ("generators_kw", "generators", "#7a3b12"),
    ("wind_kw", "wind", "#009e73"),
    ("solar_kw", "solar", "#e69f00"),
    ("stores_kw", "batteries", "#0063a6"),
    ("vehicles_kw", "vehicles", "#8e44ad"),
    ("shed_kw", "load shed", "#b3004b"),
)
_CASE = {"today": (style.BEFORE, "today"), "forecast": (style.AFTER, "forecast"), "worst": (style.OPENS, "worst")}
_LINES = ("#0063a6", "#009e73", "#d55e00", "#8e44ad", "#7a3b12", "#e69f00", "#332288", "#56636f")


def timeline(result: DispatchDayResult) -> style.Picture:
    """The picture of a result; without a plan it shows the day as it is today."""
    planned = result.voltages["v_forecast_pu"].is_not_null().any()
    uncertain = bool(result.uncertainty["deviates"].any())
    cases = ["forecast"] * planned + ["worst"] * (planned and uncertain) or ["today"]
    states = [*(opened for _, opened in result.open_points), result.open_today]
    rows = open_rows(result.grid, states, result.switches["name"].to_list(), ROWS)
    parts: list[tuple[Callable[[Axes], None], float]] = [(lambda axes: _price(axes, result), _SMALL)]
    parts += [(lambda axes, case=case: _stack(axes, result, case), _TALL) for case in cases]  # type: ignore[misc]
    if result.stores.height:
        parts.append((lambda axes: _stores(axes, result), 0.75 * _TALL))
    parts.append((lambda axes: _voltages(axes, result, ["today", *cases] if planned else cases), 0.75 * _TALL))
    if rows:
        parts.append((lambda axes: _open(axes, result, rows), max(len(rows) * _ROW, 0.3)))
    height = _HEAD + _FOOT + sum(inches for _, inches in parts) + _GAP * (len(parts) - 1)
    figure = style.Picture(figsize=(_WIDTH, height))
    title = f"{result.grid.title or result.grid.name}, {result.day}: {_summary(result)}"
    size = min(12.5, (_WIDTH - 0.6) * 72.0 / (0.62 * len(title)))
    figure.text(0.25 / _WIDTH, 1 - 0.2 / height, title, fontsize=size, weight="bold", va="center", parse_math=False)
    edges, top = _edges(result), height - _HEAD
    for number, (paint, inches) in enumerate(parts):
        box = (_LEFT / _WIDTH, (top - inches) / height, (_WIDTH - _LEFT - _RIGHT) / _WIDTH, inches / height)
        axes = figure.add_axes(box)
        axes.set_xlim(edges[0], edges[-1])
        paint(axes)
        _axis(axes, result, edges, last=number == len(parts) - 1)
        top -= inches + _GAP
    _legend(figure, result, height)
    return figure


def _summary(result: DispatchDayResult) -> str:
    if not result.has_answer:
        return result.termination.value
    return f"${result.objective_usd:,.2f}" + (f", {result.objective_means}" if result.uncertain else "")


def _edges(result: DispatchDayResult) -> Floats:
    hours = numbers(result.periods.filter(case="today"), "hours")
    return np.concatenate([[0.0], np.cumsum(hours)])


def _axis(axes: Axes, result: DispatchDayResult, edges: Floats, *, last: bool) -> None:
    names = result.periods.filter(case="today")["period"].to_list()
    every = max(1, -(-len(names) // TICKS))
    axes.set_xticks(edges[:-1][::every], [shorten(name, 10) for name in names[::every]] if last else [])
    for label in axes.get_xticklabels():
        label.set_parse_math(False)
    axes.tick_params(labelsize=7.5, length=2)
    axes.grid(axis="x", color=style.PALE, lw=0.5, zorder=0)
    axes.set_axisbelow(True)


def _head(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=8.5, pad=3)


def _price(axes: Axes, result: DispatchDayResult) -> None:
    price = 100.0 * numbers(result.periods.filter(case="today"), "price_usd_per_kwh")
    axes.stairs(price, _edges(result), color=style.INK, lw=1.3, baseline=None)
    axes.set_ylim(min(0.0, 1.15 * float(price.min())), 1.2 * max(float(price.max()), 1e-9))
    _head(axes, "price of the energy of the sources, ¢/kWh")


def _stack(axes: Axes, result: DispatchDayResult, case: str) -> None:
    """What feeds in above 0, what charges or flows back below; a line is the load, a dotted one with losses."""
    here, edges = result.periods.filter(case=case), _edges(result)
    high, low = np.zeros(here.height), np.zeros(here.height)
    for name, _, colour in _FED:
        values = np.nan_to_num(numbers(here, name))
        look: dict[str, Any] = {"facecolor": colour, "lw": 0.0, "alpha": 0.85}
        if name == "shed_kw":
            look = {"facecolor": "white", "edgecolor": colour, "hatch": "/////", "lw": 0.4}
        for base, part in ((high, np.maximum(values, 0.0)), (low, np.minimum(values, 0.0))):
            if np.any(np.abs(part) > 1e-6):
                axes.stairs(base + part, edges, baseline=base.copy(), fill=True, **look)
            base += part
    load, loss = numbers(here, "load_kw"), numbers(here, "loss_kw")
    axes.stairs(load, edges, color=style.INK, lw=1.4, baseline=None)
    axes.axhline(0.0, color=style.INK, lw=0.6)
    most, least = max(high.max(initial=0.0), float(np.nanmax(load, initial=1e-9))), min(low.min(initial=0.0), 0.0)
    axes.set_ylim(1.08 * least, 1.1 * most)
    words = {"today": "today's plan, as forecast", "forecast": "the answer as forecast", "worst": "the answer at worst"}
    lost = float(np.nansum(loss * np.diff(edges)))
    _head(axes, f"{words[case]}: what supplies the load (line), kW; {lost:,.0f} kWh lost")
    if case == "worst":
        _mark_deviations(axes, result, edges)


def _mark_deviations(axes: Axes, result: DispatchDayResult, edges: Floats) -> None:
    """Over the periods in which something deviates, which group and in which direction; in a future nearly all do."""
    if result.futures.height:
        return
    names = result.periods.filter(case="today")["period"].to_list()
    moved = result.uncertainty.filter("deviates").with_columns(up=pl.col("worst") > 1.0)
    for t, name in enumerate(names):
        marks = dict.fromkeys(f"{group}{'↑' if up else '↓'}" for group, up in
                             moved.filter(period=name).select("group", "up").iter_rows())  # fmt: skip
        if marks:
            axes.axvspan(edges[t], edges[t + 1], color=style.OPENS, alpha=0.09, zorder=0, lw=0)
            words: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 6.0, "color": style.OPENS}
            axes.text((edges[t] + edges[t + 1]) / 2, axes.get_ylim()[1] * 0.985, "\n".join(marks), **words)


def _stores(axes: Axes, result: DispatchDayResult) -> None:
    """What is in store, a share of the most; a vehicle while it is there, dashed."""
    edges = _edges(result)
    names = result.stores["name"].unique(maintain_order=True).to_list()
    for k, name in enumerate(names):
        here = result.stores.filter(name=name)
        most = max(float(here["max_kwh"][0]), 1e-9)
        end, start = numbers(here, "end_kwh"), numbers(here, "start_kwh")
        level = np.full(len(edges), np.nan)
        level[1:] = end
        level[:-1] = np.where(np.isnan(level[:-1]), start, level[:-1])
        look: dict[str, Any] = {"color": _LINES[k % len(_LINES)], "lw": 1.4}
        if here["kind"][0] == "vehicle":
            look |= {"ls": (0, (3, 2)), "lw": 1.1}
        axes.plot(edges, 100.0 * level / most, label=shorten(name, 18), **look)
    axes.set_ylim(0.0, 105.0)
    columns = 1 if len(names) <= 9 else 2
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.04), fontsize=6.5, handlelength=1.6, ncols=columns,
                labelspacing=0.25, columnspacing=0.8, borderaxespad=0.0)  # fmt: skip
    _head(axes, "in store, % of the most (dashed: vehicles)")


def _voltages(axes: Axes, result: DispatchDayResult, cases: list[str]) -> None:
    """From the lowest to the highest voltage of all buses."""
    edges = _edges(result)
    for case in cases:
        here = result.periods.filter(case=case)
        low, high = numbers(here, "v_min_pu"), numbers(here, "v_max_pu")
        colour, name = _CASE[case]
        known = np.isfinite(low)
        if case == "today":
            axes.stairs(high, edges, baseline=low, fill=True, facecolor=colour, alpha=0.3, lw=0, label=name)
            continue
        if known.any():
            axes.stairs(low, edges, baseline=None, color=colour, lw=1.3, label=name)
            axes.stairs(high, edges, baseline=None, color=colour, lw=1.3)
    limits = result.voltages.select(pl.col("v_min_pu").drop_nulls().max(), pl.col("v_max_pu").drop_nulls().min()).row(0)
    for value in limits:
        if value is not None:
            axes.axhline(value, color=style.BROKEN, lw=0.9, ls=(0, (4, 3)), zorder=1)
    here = result.periods.filter(pl.col("case").is_in(cases))
    shown = np.concatenate([numbers(here, "v_min_pu"), numbers(here, "v_max_pu"), [v for v in limits if v is not None]])
    shown = shown[np.isfinite(shown)]
    if len(shown):
        room = 0.08 * float(np.ptp(shown)) + 1e-3
        axes.set_ylim(float(shown.min()) - room, float(shown.max()) + room)
    axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1.04), fontsize=6.5, handlelength=1.6, borderaxespad=0.0)
    _head(axes, "lowest and highest voltage of all buses, pu (dashed: limits)")


def _open(axes: Axes, result: DispatchDayResult, rows: list[str]) -> None:
    """Open points of the plan."""
    states = [opened for _, opened in result.open_points]
    draw_open_points(axes, rows, _edges(result), states, result.open_today)
    _head(axes, OPEN_POINTS)


def _legend(figure: style.Picture, result: DispatchDayResult, height: float) -> None:
    used = [(name, label, colour) for name, label, colour in _FED if (result.periods[name].abs() > 1e-6).any()]
    handles = [
        Patch(facecolor="white", edgecolor=colour, hatch="/////", label=label)
        if name == "shed_kw"
        else Patch(facecolor=colour, alpha=0.85, label=label)
        for name, label, colour in used
    ]
    text = "below 0: it charges, or flows back into the sources"
    place = (_LEFT / _WIDTH, 0.30 / height)
    figure.legend(handles=handles, loc="lower left", bbox_to_anchor=place, ncols=len(handles), fontsize=8,
                  borderaxespad=0.0, columnspacing=1.2, handlelength=1.4)  # fmt: skip
    figure.text(_LEFT / _WIDTH, 0.14 / height, text, fontsize=7.5, color=style.SOFT)
