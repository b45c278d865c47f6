"""Charts with axes that several studies share: voltages, loadings, bounds over time, fronts, timelines, durations."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.grid.grid import Grid
from openpoint.report.drawing import (
    Areas,
    Axis,
    Chart,
    Dots,
    Layer,
    Lines,
    Panel,
    Rule,
    Scale,
    Sheet,
    Words,
    colours_of,
    curve,
    flat,
    numbers,
    span,
    steps,
)
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import figures
from openpoint.report.scene import Scene, State
from openpoint.results.base import Answer
from openpoint.twostage.log import Termination

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
            [float(f"{x:.9g}") for x in places[[a, b]].ravel()]
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


LIMIT_SHOWN = 0.7
"""From this share of a limit on it is drawn beside the loadings."""


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
    limits = np.where(scene.rated, scene.loading_limit[rows], np.nan)
    near = np.flatnonzero(limits * LIMIT_SHOWN < highest)
    if len(near):
        marks = [flat(np.array([[limits[k], at[k] - 0.35], [limits[k], at[k] + 0.35]])) for k in near]
        layers.append(Lines(marks, "@broken", 1.5, name="limit"))
    x = span(np.array([highest, *limits[near]]), from_zero=True)
    ticks = [(float(y), _tick(scene, e)) for y, e in zip(at, rows, strict=True)]
    title = "loading, % of rating" if scene.rated else "current, A"
    height = 19 * len(rows) + 110
    made = axes_chart(height, x, title, (-0.7, len(rows) - 0.3), "", layers, y_ticks=ticks)
    return made, left


def _tick(scene: Scene, e: int) -> str:
    a, b = scene.ends[e]
    change = " opens" if e in scene.opened else " closes" if e in scene.closed else ""
    between = f"{shorten(scene.bus_names[a], 10)}–{shorten(scene.bus_names[b], 10)}"
    return f"{shorten(scene.branch_names[e], 18)} ({between}){change}"


def convergence_chart(found: Convergence) -> Chart | None:
    """Bounds as steps over time; None where there is no curve of them."""
    if not found.is_curve:
        return None
    layers: list[Layer] = []
    for values, colour, name in ((found.upper, "@opens", "upper bound"), (found.lower, "@after", "lower bound")):
        known = np.isfinite(values)
        if known.any():
            hovers = tuple(f"{name} {figures(v, 6)} {found.unit}\n{found.x_label} {figures(t)}"
                         for t, v in zip(found.x[known], values[known], strict=True))  # fmt: skip
            layers.append(Lines(steps(found.x, values), colour, 2.0, name=name))
            layers.append(Dots(numbers(found.x[known]), numbers(values[known]), 4.0, colour, name=name, hover=hovers))
    tried = np.isfinite(found.value)
    if tried.any():
        hovers = tuple(f"decision tried: {figures(v, 6)} {found.unit}" for v in found.value[tried])
        places = numbers(found.x[tried]), numbers(found.value[tried])
        layers.append(Dots(*places, 5.0, "@soft", name="decision tried", hover=hovers))
    x = span(found.x, from_zero=True)
    return axes_chart(320, x, found.x_label, found.window, found.unit, layers)


def voltage_sheet(scene: Scene, title: str) -> Sheet:
    """The voltage profile as a picture."""
    return chart_sheet(f"{title}: voltage profile", voltage_chart(scene), "No voltages are known.")


def loading_sheet(scene: Scene, title: str) -> Sheet:
    """The most loaded branches as a picture."""
    chart, left = loading_chart(scene, 30) or (None, 0)
    more = f" ({left} less loaded ones left out)" if left else ""
    what = "loading" if scene.rated else "current"
    return chart_sheet(f"{title}: branch {what}{more}", chart, "No currents are known.")


def convergence_sheet(result: Answer) -> Sheet:
    """The bounds of a result over time as a picture, with the gap at the end."""
    verdict = gap_text(result.gap, result.termination)
    chart = convergence_chart(convergence(result.head.log, verdict))
    title = f"{result.title}: convergence of the bounds ({verdict})"
    return chart_sheet(title, chart, f"No curve: bounds at one time only ({verdict}).")


def chart_sheet(title: str, chart: Chart | None, empty: str, identity: str = "chart") -> Sheet:
    """A picture of one chart; where there is none it says so. A page of several such pictures names each."""
    if chart is not None:
        return Sheet(title, (Panel(identity, chart, "", title),))
    words = Words([0.5], [0.5], (empty,), "@soft", 13.0, centred=True)
    chart = Chart(150, Axis(0.0, 1.0), Axis(0.0, 1.0), (words,), unit=(600.0, 150.0))
    return Sheet(title, (Panel(identity, chart, "", title),), empty=True)


@dataclass(frozen=True)
class Front:
    """Points of two figures that are both to be small, with what is proven.

    Attributes:
        x, y, bound: (K) figure kept, figure sought, and its proven bound. hovers: a text for each.
        x_title, y_title: of the axes. edge: (P, 2) below and left of which nothing is, proven.
        today: the figures of today's state, where they are known.
        leads: (K) the keys of the states that a page shows of the points, or none.
    """

    x: Floats
    y: Floats
    bound: Floats
    hovers: tuple[str, ...]
    x_title: str
    y_title: str
    edge: Floats
    today: tuple[float, float] | None = None
    leads: tuple[str, ...] = ()

    def chart(self) -> Chart | None:
        """The front; None without points."""
        if not len(self.x):
            return None
        gaps = [[a, low, a, high] for a, low, high in zip(self.x.tolist(), self.bound.tolist(), self.y.tolist())]
        layers: list[Layer] = [
            Lines(curve(self.edge[:, 0], self.edge[:, 1]), "@after", 1.5, name="no state below or left, proven"),
            Lines(gaps, "@after", 2.0, name="gap to the proven bound"),
            Dots(
                numbers(self.x),
                numbers(self.y),
                8.0,
                "@opens",
                name="answer, verified by AC",
                hover=self.hovers,
                leads=self.leads,
            ),
        ]
        places = np.concatenate([np.column_stack([self.x, self.y]), np.column_stack([self.x, self.bound]), self.edge])
        if self.today is not None:
            x, y = self.today
            layers.append(Dots([x], [y], 9.0, "@before", "square", name="today", hover=("today's state",)))
            places = np.concatenate([places, [[x, y]]])
        across, up = (widened(*span(places[:, k])) for k in (0, 1))
        return axes_chart(360, across, self.x_title, up, self.y_title, layers)


LEAST_SHARE = 0.01
"""Length of an axis, as a share of the greatest value on it, below which its ticks would all read the same."""


def widened(low: float, high: float) -> tuple[float, float]:
    """The range of an axis, no shorter than that its ticks can be told apart: of a front of one point, say."""
    missing = max(LEAST_SHARE * max(abs(low), abs(high)) - (high - low), 0.0)
    return low - 0.5 * missing, high + 0.5 * missing


@dataclass(frozen=True)
class Timeline:
    """The x-axis that charts below each other share: (T + 1) hours at which periods begin and end, and their names."""

    edges: Floats
    names: tuple[str, ...]
    title: str = ""

    def line(self, values: Floats) -> list[list[float]]:
        """(T) values as stairs."""
        return curve(np.repeat(self.edges, 2)[1:-1], np.repeat(values, 2))

    def band(self, low: Floats, high: Floats) -> list[list[float]]:
        """The outline of what lies between (T) values and others, in pieces where some are not known."""
        known = np.isfinite(low) & np.isfinite(high)
        found = []
        for some in np.split(np.arange(len(low)), np.flatnonzero(np.diff(known)) + 1):
            if len(some) and known[some[0]]:
                x = np.repeat(np.append(self.edges[some], self.edges[some[-1] + 1]), 2)[1:-1]
                over, under = np.repeat(high[some], 2), np.repeat(low[some], 2)
                outline = np.concatenate([np.column_stack([x, over]), np.column_stack([x, under])[::-1]])
                found.append([float(f"{v:.9g}") for v in outline.ravel()])
        return found

    def box(self, t: int, low: float, high: float) -> list[float]:
        """The outline of a bar in period t."""
        x0, x1 = float(self.edges[t]), float(self.edges[t + 1])
        return [x0, low, x1, low, x1, high, x0, high]

    def middle(self, t: int) -> float:
        """The middle of period t."""
        return float(self.edges[t] + self.edges[t + 1]) / 2.0

    def chart(
        self,
        height: float,
        y: tuple[float, float],
        layers: Sequence[Layer],
        *,
        rows: Sequence[str] | None = None,
        rules: Sequence[Rule] = (),
        last: bool = False,
    ) -> Chart:
        """One of the charts; `rows`: names, row k from −k − 1 to −k; under the last chart stand the periods."""
        marks = tuple((edge, "") for edge in self.edges.tolist())
        x = Axis(float(self.edges[0]), float(self.edges[-1]), ticks=marks, between=True)
        at_rows = tuple((-k - 0.5, shorten(name, 16)) for k, name in enumerate(rows or ()))
        drawn = tuple(layer for layer in layers if not isinstance(layer, Lines | Areas) or layer.ways)
        made = Chart(round(height) + 16, x, Axis(*y, ticks=at_rows), drawn, tuple(rules), room=90)
        return self.last(made) if last else made

    def last(self, chart: Chart) -> Chart:
        """One of the charts with the names of the periods below it."""
        marks = tuple(zip(self.edges.tolist(), [*(shorten(name, 12) for name in self.names), ""]))
        x = replace(chart.x, title=self.title, ticks=marks)
        return replace(chart, height=chart.height + (38 if self.title else 18), x=x)

    def cells(self, rows: Sequence[str], values: Floats, scale: Scale) -> Chart:
        """A row for each name and a cell for each of its (R, T) values in the colours of a scale; nan stays blank."""
        share = (values - scale.low) / (scale.high - scale.low)
        rank = np.rint(np.clip(np.nan_to_num(share), 0.0, 1.0) * (len(scale.stops) - 1)).astype(int)
        known = np.argwhere(np.isfinite(values)).tolist()
        layers: list[Layer] = []
        for number, (_, colour) in enumerate(scale.stops):
            layers.append(Areas([self.box(t, -k - 1.0, -k) for k, t in known if rank[k, t] == number], colour))
        hover = tuple(f"{rows[k]}, {self.names[t]}\n{figures(values[k, t], 5)} {scale.unit}" for k, t in known)
        layers.append(Dots([self.middle(t) for _, t in known], [-k - 0.5 for k, _ in known], 0.0, "", hover=hover))
        return self.chart(13 * len(rows), (float(-len(rows)), 0.0), layers, rows=rows)

    def open_points(
        self,
        grid: Grid,
        states: Sequence[Collection[str]],
        before: Collection[str] | None,
        switched: Collection[str],
        most: int,
    ) -> Chart | None:
        """Open branches along the time: a bar while one is open, a dot where it is switched; None where none is.

        Args:
            grid: of the branches. states: (T) names of the open branches.
            before: those open before the first state; None: nothing is before it, and no switching is at its beginning.
            switched: names that are switched; of more than `most` rows only these are kept.
        """
        rows = open_rows(grid, [*states, before or ()], switched, most)
        if not rows:
            return None
        bars: list[list[float]] = []
        dots: dict[bool, list[tuple[float, float, str]]] = {True: [], False: []}
        for k, name in enumerate(rows):
            was = name in (states[0] if before is None else before)
            for t, state in enumerate(states):
                now = name in state
                if now:
                    bars.append(self.box(t, -k - 0.76, -k - 0.24))
                if now != was:
                    word = "opens" if now else "closes"
                    dots[now].append((float(self.edges[t]), -k - 0.5, f"{shorten(name, 40)} {word}\n{self.names[t]}"))
                was = now
        layers: list[Layer] = [Areas(bars, "@line", name="open")]
        for now, colour, name in ((True, "@opens", "opens"), (False, "@closes", "closes")):
            if dots[now]:
                x, y, hover = (list(each) for each in zip(*dots[now]))
                fill = "@paper" if now else colour
                layers.append(Dots(x, y, 8.0, fill, edge=colour, width=1.8, name=name, hover=tuple(hover)))
        return self.chart(18 * len(rows), (float(-len(rows)), 0.0), layers, rows=rows, last=True)


def scale_of(title: str, values: Floats, unit: str, *, centred: bool = False) -> Scale:
    """The colours of a quantity by its finite values, from blue over grey to red around 0 where it is `centred`."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
    if centred:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    return Scale(title, low, high, unit, tuple(colours_of("coolwarm" if centred else "viridis", 21)))


def open_rows(grid: Grid, states: Sequence[Collection[str]], switched: Collection[str], most: int) -> list[str]:
    """Branches that are open in some state, in the order of the grid; of more than `most` those that are switched."""
    somewhere = {name for state in states for name in state}
    chosen = somewhere if len(somewhere) <= most else set(switched)
    return [name for name in grid.branches()["name"] if name in chosen][:most]


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


@dataclass(frozen=True)
class Convergence:
    """Bounds over time; NaN where a bound is not yet known.

    Attributes:
        x, x_label: seconds, or the number of the iteration where time stood still.
        lower, upper, value: bounds, and the exact value of the decision tried.
        window: lowest and highest value worth showing.
        verdict: the gap at the end in words.
        unit: of the bounds.
    """

    x: Floats
    x_label: str
    lower: Floats
    upper: Floats
    value: Floats
    window: tuple[float, float]
    verdict: str
    unit: str

    @property
    def is_curve(self) -> bool:
        """Whether a bound is known at two times at least; a run that ended at once has no curve to show."""
        return any(len(np.unique(self.x[np.isfinite(bound)])) > 1 for bound in (self.lower, self.upper))


def convergence(log: pl.DataFrame, verdict: str) -> Convergence:
    """The curves of a log of iterations; the unit is that of its columns, which their names end with.

    Args:
        log: number, seconds, and lower_bound, upper_bound and value, in `_kw`, `_usd` or without a unit.
        verdict: the gap at the end in words.
    """
    ending, unit = unit_of(log)
    columns: dict[str, Floats] = {}
    for name in ("number", "seconds", "lower_bound", "upper_bound", "value"):
        column = name if name in ("number", "seconds") else name + ending
        values = log[column].cast(float).fill_null(math.nan).to_numpy() if column in log.columns else np.zeros(0)
        columns[name] = np.where(np.isfinite(values), values, math.nan).astype(np.float64)
    by_time = len(columns["seconds"]) > 1 and columns["seconds"][-1] > columns["seconds"][0]
    bounds = np.concatenate([columns["lower_bound"], columns["upper_bound"]])
    bounds = bounds[np.isfinite(bounds)]
    lo, hi = (float(bounds.min()), float(bounds.max())) if len(bounds) else (0.0, 1.0)
    pad = 0.08 * (hi - lo) or 0.02 * abs(hi) or 1.0
    return Convergence(
        x=columns["seconds"] if by_time else columns["number"],
        x_label="seconds" if by_time else "iteration",
        lower=columns["lower_bound"],
        upper=columns["upper_bound"],
        value=columns["value"],
        window=(lo - pad, hi + pad),
        verdict=verdict,
        unit=unit,
    )


def unit_of(log: pl.DataFrame) -> tuple[str, str]:
    """How the columns of a log end that hold bounds, and their unit; bounds of a sum of several units have none."""
    known = (("_usd", "$"), ("_kw", "kW"), ("", ""))
    return next(each for each in known if f"lower_bound{each[0]}" in log.columns or not each[0])


def gap_text(gap: float, termination: Termination) -> str:
    """The gap in words, also where there is none."""
    text = "no gap" if not math.isfinite(gap) else f"gap {gap:.2%}" if gap >= 5e-5 else "gap 0"
    return f"{termination.value}: {text}"


def loading_rows(scene: Scene, keys: list[str], most: int) -> tuple[list[int], int]:
    """The most stressed branches, the worst first, and how many others carry a current."""
    worst = np.max(np.stack([scene.stress(scene.states[key]) for key in keys]), axis=0)
    order = [int(e) for e in np.argsort(-worst, kind="stable") if worst[e] > 1e-9]
    return order[:most], max(0, len(order) - most)


def shown_limits(scene: Scene, v: Floats) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Voltage limits near the voltages v, which are drawn, and those too far off."""
    lo, hi = float(v.min()), float(v.max())
    reach = 0.6 * max(hi - lo, 0.01)
    found: list[tuple[str, float]] = []
    for name, values in (("lower", scene.v_min), ("upper", scene.v_max)):
        distinct = np.unique(values[np.isfinite(values) & (values > 0.0)])
        # Many different limits would hatch the picture: the tightest says enough.
        if len(distinct) > 4:
            distinct = distinct[-1:] if name == "lower" else distinct[:1]
        found += [(name, float(value)) for value in distinct]
    near = [limit for limit in found if lo - reach <= limit[1] <= hi + reach]
    return near, [limit for limit in found if limit not in near]
