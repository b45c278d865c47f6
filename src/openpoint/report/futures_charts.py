"""How losses and voltages spread over the futures, as plain Plotly data for the HTML report."""

from __future__ import annotations

from typing import Any

import numpy as np

from openpoint.report.futures_scene import Floats, Spread, cumulative, savings
from openpoint.report.plotbase import Chart, Trace, numbers
from openpoint.report.plotcharts import axes_layout

_NAMES = {"before": "@before", "mean": "@mean", "after": "@after"}
_DASH = {"before": "solid", "mean": "dash", "after": "solid"}


def loss_chart(all_of: list[Spread]) -> Chart | None:
    """Share of the futures with at most that loss, a staircase a topology; None where there is nothing to show."""
    data = [_stairs(each, each.loss, f"{each.title}: loss up to %{{x:,.1f}} kW in %{{y:.1%}}") for each in all_of]
    if not data:
        return None
    layout = axes_layout(360, "loss, kW", "share of the futures")
    layout["yaxis"] |= {"range": [0.0, 1.02], "tickformat": ".0%"}
    layout["xaxis"]["rangemode"] = "tozero"
    return {"data": data, "layout": layout}


def voltage_chart(all_of: list[Spread], limits: list[tuple[str, float]]) -> Chart | None:
    """The same of the lowest voltage (solid) and of the highest (dotted) in the grid."""
    data: list[Trace] = []
    for each in all_of:
        for values, word, dash in ((each.v_min, "lowest", "solid"), (each.v_max, "highest", "dot")):
            told = f"{each.title}: {word} voltage up to %{{x:.4f}} pu in %{{y:.1%}}"
            group = {"legendgroup": each.key, "showlegend": word == "lowest"}
            data.append(_stairs(each, values, told) | {"line": _line(each, dash), **group})
    if not data:
        return None
    layout = axes_layout(360, "lowest (solid) and highest (dotted) voltage, pu", "share of the futures")
    layout["yaxis"] |= {"range": [0.0, 1.02], "tickformat": ".0%"}
    seen = np.concatenate([part for each in all_of for part in (each.v_min, each.v_max)])
    lo, hi = float(np.nanmin(seen)), float(np.nanmax(seen))
    near = [(name, v) for name, v in limits if lo - 0.02 <= v <= hi + 0.02]
    line = {"color": "@broken", "width": 1.2, "dash": "dash"}
    layout["shapes"] = [
        {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": v, "x1": v, "line": line} for _, v in near
    ]
    layout["annotations"] = [
        {
            "x": v, "yref": "paper", "y": 0.02 if name.startswith("lower") else 0.98, "xanchor": "left",
            "showarrow": False, "text": f"{name} {v:g}", "font": {"size": 11, "color": "@broken"},
        }
        for name, v in near
    ]  # fmt: skip
    return {"data": data, "layout": layout}


def saving_chart(all_of: list[Spread]) -> Chart | None:
    """What the answer saves in each future, sorted; below zero another topology would have been better."""
    data: list[Trace] = []
    for each, saved in savings(all_of):
        share = (np.arange(len(saved)) + 0.5) / max(len(saved), 1)
        told = f"against {each.title}: %{{y:,.2f}} kW"
        trace = _trace(share, saved, told) | {"name": f"against {each.title}", "line": _line(each, _DASH[each.key])}
        data.append(trace)
    if not data:
        return None
    layout = axes_layout(320, "futures, from least to most saved", "saved by the answer, kW")
    layout["xaxis"] |= {"range": [0.0, 1.0], "tickformat": ".0%"}
    layout["yaxis"] |= {"zeroline": True, "zerolinecolor": "@soft", "rangemode": "tozero"}
    return {"data": data, "layout": layout}


def _stairs(each: Spread, values: Floats, told: str) -> Trace:
    x, share = cumulative(values, each.weights)
    return _trace(x, share, told) | {"name": each.title, "line": _line(each, _DASH[each.key])}


def _trace(x: Floats, y: Floats, told: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": numbers(x),
        "y": numbers(y),
        "hovertemplate": told + "<extra></extra>",
    }


def _line(each: Spread, dash: str) -> dict[str, Any]:
    return {"color": _NAMES[each.key], "width": 2, "dash": dash}
