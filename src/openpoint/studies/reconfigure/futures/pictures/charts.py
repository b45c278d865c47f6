"""How losses and voltages spread over the futures, as charts of the HTML report."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats
from openpoint.report.chart.charts import axes_chart
from openpoint.report.chart.drawing import Chart, Dots, Layer, Lines, Rule, curve, numbers, span
from openpoint.studies.reconfigure.futures.pictures.scene import Spread, cumulative, savings

_NAMES = {"before": "@before", "mean": "@mean", "after": "@after"}
_DASH: dict[str, tuple[float, ...]] = {"before": (), "mean": (8.0, 4.0), "after": ()}
_DOTTED = (2.0, 3.0)
_SHARE = (0.0, 1.02)
_HOVERED = 2000  # futures beyond which not every one has a text to show


def loss_chart(all_of: list[Spread]) -> Chart | None:
    """Share of the futures with at most that loss, a staircase a topology; None where there is nothing to show."""
    if not all_of:
        return None
    layers: list[Layer] = []
    for each in all_of:
        layers += _stairs(each, each.loss, "loss", "kW", 1, _DASH[each.key])
    x = span(np.concatenate([each.loss for each in all_of]), from_zero=True)
    return axes_chart(360, x, "loss, kW", _SHARE, "share of the futures", layers, percent="y")


def voltage_chart(all_of: list[Spread], limits: list[tuple[str, float]]) -> Chart | None:
    """The same of the lowest voltage (solid) and of the highest (dotted) in the grid."""
    if not all_of:
        return None
    layers: list[Layer] = []
    for each in all_of:
        layers += _stairs(each, each.v_min, "lowest voltage", "pu", 4, ())
        layers += _stairs(each, each.v_max, "highest voltage", "pu", 4, _DOTTED)
    seen = np.concatenate([part for each in all_of for part in (each.v_min, each.v_max)])
    lo, hi = float(np.nanmin(seen)), float(np.nanmax(seen))
    near = [(name, v) for name, v in limits if lo - 0.02 <= v <= hi + 0.02]
    rules = [Rule("x", v, f"{name} {v:g}") for name, v in near]
    x = span(np.concatenate([seen, [v for _, v in near]]))
    title = "lowest (solid) and highest (dotted) voltage, pu"
    return axes_chart(360, x, title, _SHARE, "share of the futures", layers, rules=rules, percent="y")


def saving_chart(all_of: list[Spread]) -> Chart | None:
    """What the answer saves in each future, sorted; below zero another topology would have been better."""
    layers: list[Layer] = []
    found = savings(all_of)
    if not found:
        return None
    for each, saved in found:
        share = (np.arange(len(saved)) + 0.5) / max(len(saved), 1)
        name = f"against {each.title}"
        layers.append(Lines(curve(share, saved), _NAMES[each.key], 2.0, dash=_DASH[each.key], name=name))
        layers += _points(share, saved, [f"{name}: {kw:,.2f} kW" for kw in saved], name)
    y = span(np.concatenate([saved for _, saved in found]), from_zero=True)
    rules = [Rule("y", 0.0, "", "@soft")]
    titles = ("futures, from least to most saved", "saved by the answer, kW")
    return axes_chart(320, (0.0, 1.0), titles[0], y, titles[1], layers, rules=rules, percent="x")


def _stairs(each: Spread, values: Floats, what: str, unit: str, digits: int, dash: tuple[float, ...]) -> list[Layer]:
    x, share = cumulative(values, each.weights)
    words = [f"{each.title}: {what} up to {v:,.{digits}f} {unit} in {s:.1%}" for v, s in zip(x[1::2], share[1::2])]
    line = Lines(curve(x, share), _NAMES[each.key], 2.0, dash=dash, name=each.title)
    return [line, *_points(x[1::2], share[1::2], words, each.title)]


def _points(x: Floats, y: Floats, texts: list[str], name: str) -> list[Layer]:
    """Texts along a line, without anything drawn."""
    step = max(1, -(-len(texts) // _HOVERED))
    return [Dots(numbers(x[::step]), numbers(y[::step]), 0.0, "", name=name, hover=tuple(texts[::step]))]
