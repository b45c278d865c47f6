"""Voltage profile, branch loading and convergence, as charts of the HTML report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from openpoint.report.chart.drawing import Axis, Chart, Dots, Layer, Lines, Rule, flat, numbers, span, steps
from openpoint.report.layout.labels import shorten
from openpoint.report.numerals import figures
from openpoint.report.scene import Scene, State
from openpoint.report.series import Convergence, loading_rows, shown_limits

_COLOUR = {"before": "@before", "after": "@after"}


def voltage_chart(scene: Scene) -> Chart | None:
    """Voltage over the distance to the source, a line a feeder; None where no voltage is known."""
    layers: list[Layer] = []
    seen: list[float] = []
    far: list[float] = [0.0]
    for key, state in scene.states.items():
        distance = state.distance(scene)
        fed = np.isfinite(state.v) & np.isfinite(distance)
        if not fed.any():
            continue
        seen += state.v[fed].tolist()
        far += distance[fed].tolist()
        places = np.column_stack([distance, state.v])
        feeders = [
            [float(f"{x:.6g}") for x in places[[a, b]].ravel()]
            for e, (a, b) in enumerate(scene.ends)
            if state.closed[e] and fed[a] and fed[b]
        ]
        layers.append(Lines(feeders, _COLOUR[key], 1.3, opacity=0.75, name=state.title))
        buses = np.flatnonzero(fed)
        hovers = tuple(_voltage_text(scene, state, int(i), float(distance[i])) for i in buses)
        layers.append(
            Dots(numbers(distance[buses]), numbers(state.v[buses]), 5.0, _COLOUR[key], name=state.title, hover=hovers)
        )
    if not seen:
        return None
    near, _ = shown_limits(scene, np.array(seen))
    rules = [Rule("y", value, f"{name} limit {value:g} pu") for name, value in near]
    y = span(np.array([*seen, *(value for _, value in near)]))
    x = span(np.array(far), from_zero=True)
    return axes_chart(360, x, scene.distance_title, y, f"{scene.voltage_word}, pu", layers, rules=rules)


def _voltage_text(scene: Scene, state: State, i: int, distance: float) -> str:
    name = shorten(scene.bus_names[i], 40)
    return f"bus {name}\n{state.title}: {state.v[i]:.5f} pu\n{figures(distance)} {scene.distance_unit}"


def loading_chart(scene: Scene, most: int = 40) -> tuple[Chart, int] | None:
    """Loading or current of the most stressed branches, and how many were left out; None where none is known."""
    keys = list(scene.states)
    rows, left = loading_rows(scene, keys, most)
    if not rows:
        return None
    unit = "%" if scene.rated else "A"
    at = np.arange(len(rows), dtype=float)[::-1]
    values = {key: scene.stress(scene.states[key])[rows] for key in keys}
    layers: list[Layer] = []
    if len(keys) == 2:
        spans = [flat(np.array([[values["before"][k], y], [values["after"][k], y]])) for k, y in enumerate(at)]
        layers.append(Lines(spans, "@pale", 4.0))
    names = [shorten(scene.branch_names[e], 40) for e in rows]
    for key in keys:
        title = scene.states[key].title
        hovers = tuple(
            f"branch {name}\n{title}: {figures(v)} {unit}" for name, v in zip(names, values[key], strict=True)
        )
        layers.append(Dots(numbers(values[key]), numbers(at), 9.0, _COLOUR[key], name=title, hover=hovers))
    highest = max(float(v.max()) for v in values.values())
    rules = [Rule("x", 100.0)] if scene.rated and highest > 70 else []
    x = span(np.array([highest, *(rule.at for rule in rules)]), from_zero=True)
    ticks = [(float(y), _tick(scene, e)) for y, e in zip(at, rows, strict=True)]
    title = "loading, % of rating" if scene.rated else "current, A"
    height = 19 * len(rows) + 110
    made = axes_chart(height, x, title, (-0.7, len(rows) - 0.3), "", layers, rules=rules, y_ticks=ticks)
    return made, left


def _tick(scene: Scene, e: int) -> str:
    a, b = scene.ends[e]
    change = " opens" if e in scene.opened else " closes" if e in scene.closed else ""
    between = f"{shorten(scene.bus_names[a], 10)}–{shorten(scene.bus_names[b], 10)}"
    return f"{shorten(scene.branch_names[e], 18)} ({between}){change}"


def convergence_chart(curve: Convergence) -> Chart | None:
    """Bounds as steps over time; None where there is no curve of them."""
    if not curve.is_curve:
        return None
    layers: list[Layer] = []
    for values, colour, name in ((curve.upper, "@opens", "upper bound"), (curve.lower, "@after", "lower bound")):
        known = np.isfinite(values)
        if known.any():
            hovers = tuple(f"{name} {figures(v, 6)} {curve.unit}\n{curve.x_label} {figures(t)}"
                         for t, v in zip(curve.x[known], values[known], strict=True))  # fmt: skip
            layers.append(Lines(steps(curve.x, values), colour, 2.0, name=name))
            layers.append(Dots(numbers(curve.x[known]), numbers(values[known]), 4.0, colour, name=name, hover=hovers))
    tried = np.isfinite(curve.value)
    if tried.any():
        hovers = tuple(f"decision tried: {figures(v, 6)} {curve.unit}" for v in curve.value[tried])
        places = numbers(curve.x[tried]), numbers(curve.value[tried])
        layers.append(Dots(*places, 5.0, "@soft", name="decision tried", hover=hovers))
    x = span(curve.x, from_zero=True)
    return axes_chart(320, x, curve.x_label, curve.window, curve.unit, layers)


def axes_chart(
    height: float,
    x: tuple[float, float],
    x_title: str,
    y: tuple[float, float],
    y_title: str,
    layers: Sequence[Layer],
    *,
    rules: Sequence[Rule] = (),
    percent: str = "",
    y_ticks: Sequence[tuple[float, str]] = (),
) -> Chart:
    """A chart with two titled axes; `percent` names the axis whose numbers are shares."""
    return Chart(
        height=round(height),
        x=Axis(*x, title=x_title, percent=percent == "x"),
        y=Axis(*y, title=y_title, percent=percent == "y", ticks=tuple(y_ticks)),
        # A curve of one point is no line.
        layers=tuple(layer for layer in layers if not isinstance(layer, Lines) or layer.ways),
        rules=tuple(rules),
    )
