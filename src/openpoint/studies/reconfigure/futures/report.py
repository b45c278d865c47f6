"""The report of a topology for many futures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.grid.balanced import has_phases
from openpoint.report.charts import axes_chart
from openpoint.report.drawing import Chart, Dots, Layer, Lines, Panel, Rule, Sheet, curve, numbers, span
from openpoint.report.grids import grid_sheet, grids_sheet
from openpoint.report.numerals import figures, method_words, number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.scene import Scene
from openpoint.report.scene import numbers as column
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.futures.words import against_mean
from openpoint.studies.reconfigure.report import extremes_scene

TITLES = {"before": "today", "mean": "mean future's topology", "after": "answer"}
EXTREMES = "their lowest voltage in any future"
SETS = {"planned": "futures planned for", "sample": "other futures"}
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


@dataclass(frozen=True)
class Spread:
    """Figures of K futures under one topology, NaN where there is no power flow solution.

    Attributes:
        key: `before`, `mean` or `after`. title: for people.
        weights: (K) probabilities, equal where nobody knows them.
        loss, v_min, v_max: (K) in kW and pu.
    """

    key: str
    title: str
    weights: Floats
    loss: Floats
    v_min: Floats
    v_max: Floats


def spreads(result: FuturesResult, table: pl.DataFrame) -> list[Spread]:
    """Those of the topologies that differ; one that equals the answer is named in its title.

    Args:
        result: the result. table: its `futures` or its `sample`.
    """
    keys = ["before", "mean", "after"]
    opens = {"before": result.open_before, "mean": result.open_mean, "after": result.open_branches}
    titles = dict(TITLES)
    if result.objective_kw is None:
        keys.remove("after")
    for key in ("before", "mean"):
        if result.objective_kw is not None and opens[key] == result.open_branches:
            titles["after"] += f" (= {TITLES[key]})"
            keys.remove(key)
    probabilities = column(table, "probability")
    weights = np.full(table.height, 1.0 / max(table.height, 1)) if np.isnan(probabilities).any() else probabilities
    return [
        Spread(
            key,
            titles[key],
            weights,
            column(table, f"loss_{key}_kw"),
            column(table, f"v_min_{key}_pu"),
            column(table, f"v_max_{key}_pu"),
        )
        for key in keys
        if table[f"loss_{key}_kw"].is_not_null().any()
    ]


def cumulative(values: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Sorted values, each twice, and the share of the weight up to it: a staircase from 0 without NaN."""
    order = np.argsort(values, kind="stable")[: int(np.sum(~np.isnan(values)))]
    share = np.cumsum(weights[order])
    return np.repeat(values[order], 2), np.column_stack([np.concatenate([[0.0], share[:-1]]), share]).ravel()


def savings(all_of: list[Spread]) -> list[tuple[Spread, Floats]]:
    """What the answer saves in each future against the other topologies, kW, in ascending order."""
    after = next((each for each in all_of if each.key == "after"), None)
    if after is None:
        return []
    found = [(each, each.loss - after.loss) for each in all_of if each.key != "after"]
    return [(each, np.sort(saved[~np.isnan(saved)])) for each, saved in found]


def limits_of(result: FuturesResult) -> list[tuple[str, float]]:
    """The tightest voltage limits, where there are any."""
    lows, highs = column(result.buses, "v_min_pu"), column(result.buses, "v_max_pu")
    found = [("lower limit", lows, np.fmax), ("upper limit", highs, np.fmin)]
    return [(name, float(which.reduce(v))) for name, v, which in found if np.isfinite(v).any()]


def futures_scene(result: FuturesResult) -> Scene:
    """The grid with the lowest voltage and the highest current in any future, and the losses expected."""
    expected = dict(result.plans.filter(set="planned").select("topology", "loss_expected_kw").iter_rows())
    return extremes_scene(result, result.objective_kw is not None, "on average", "loss_expected_{}_kw", expected)


_SPREADS: dict[str, tuple[str, Callable[[FuturesResult, list[Spread]], Chart | None]]] = {
    "losses": ("How losses spread over the futures", lambda _, all_of: loss_chart(all_of)),
    "savings": ("What the answer saves in each future", lambda _, all_of: saving_chart(all_of)),
    "voltages": (
        "How lowest and highest voltages spread over the futures",
        lambda result, all_of: voltage_chart(all_of, limits_of(result)),
    ),
}


def spread_sheet(result: FuturesResult, kind: str) -> Sheet | None:
    """How a figure spreads over the futures planned for and over the others; None where nothing is known."""
    heading, chart = _SPREADS[kind]
    shown = []
    for name, table in (("planned", result.futures), ("sample", result.sample)):
        if table.height and (made := chart(result, spreads(result, table))) is not None:
            caption = f"{table.height} {SETS[name]}"
            shown.append(Panel(f"{kind}-{name}", made, caption, f"{heading}: {caption}"))
    return Sheet(heading, tuple(shown)) if shown else None


def headline(result: FuturesResult) -> str:
    """One line that says what the picture shows."""
    title, many = result.title, f"{result.futures.height} futures"
    if result.objective_kw is None:
        return f"{title}, {many}: {result.termination.value}, no answer that keeps the limits"
    plans = result.plans.filter(set="planned")
    loss = dict(plans.select("topology", "loss_expected_kw").iter_rows())
    before, after = loss.get("before"), loss["after"]
    if before is None or after is None or before <= 0.0:
        return f"{title}, {many}"
    word = "less" if after <= before else "more"
    return f"{title}, {many}: {abs(before - after):,.1f} kW ({abs(before - after) / before:.1%}) {word} loss on average"


def _spread(kind: str) -> Callable[[FuturesResult], Sheet]:
    def drawn(result: FuturesResult) -> Sheet:
        if (sheet := spread_sheet(result, kind)) is None:
            raise OptionError(f"There are no {kind} to draw: no topology has a power flow solution in any future")
        return Sheet(f"{result.title}: {kind}", sheet.panels)

    return drawn


PICTURES: Mapping[str, Callable[[FuturesResult], Sheet]] = {
    "grid": lambda result: grid_sheet(futures_scene(result), headline(result), extremes=EXTREMES),
    **{kind: _spread(kind) for kind in _SPREADS},
}
"""The grid at its extremes before and after; how losses, savings and voltages spread over the futures."""
COMPARED = {"grid": partial(grids_sheet, futures_scene, extremes=EXTREMES)}
"""The topologies of several answers."""


_SHORT = {"planned": "planned for", "sample": "others"}
Row = dict[str, object]


def page(result: FuturesResult) -> m.Page:
    """The report of a result."""
    scene = cache(lambda: futures_scene(result))
    text = "Buses have the colour of their lowest voltage in any future, branches the width of their highest current."
    parts: list[m.Offered] = [
        _cards(result),
        _comparison(result),
        s.open_points(result),
        _violations(result),
        lambda: _spreads(result),
        lambda: s.grid_section(scene(), grid_sheet(scene(), headline(result), extremes=EXTREMES), note=text),
        lambda: s.switching(scene(), "highest current"),
        lambda: s.convergence_section(result),
        lambda: _tables(result),
    ]
    return s.answer_page(result, "open points for many futures", parts, hidden="violation")


def _plan(result: FuturesResult, name: str, topology: str) -> Row | None:
    rows = result.plans.filter(set=name, topology=topology)
    return rows.row(0, named=True) if rows.height else None


def _figure(row: Row | None, key: str, digits: int = 2) -> str:
    value = None if row is None else row[key]
    return number(value if isinstance(value, float) else None, digits)


def _spreads(result: FuturesResult) -> list[m.Section | None]:
    sheets = (spread_sheet(result, kind) for kind in ("losses", "savings", "voltages"))
    return [s.sheet_section(sheet.title, sheet) for sheet in sheets if sheet is not None]


def _cards(result: FuturesResult) -> m.Cards:
    found = result.objective_kw is not None
    before = _plan(result, "planned", "before")
    after = _plan(result, "planned", "after") if found else None
    sample = _plan(result, "sample", "after") if found else None
    bound = f"objective {number(result.objective_kw)} kW, bound {number(result.lower_bound_kw)} kW" if found else ""
    minimised = f"minimised: {result.risk}" + (f", {result.ambiguity}" if result.ambiguity else "")
    asked = f"asked for: {result.limits_share:.0%}"
    kept = [
        f"{_percent(row['limits_kept_share'])} of the {SETS[name]}"
        for name, row in (("planned", after), ("sample", sample))
        if row is not None
    ]
    if not found:
        share = "all futures" if result.limits_share >= 1.0 else f"{result.limits_share:.2%} of the futures"
        kept = ["–", f"No topology was found that keeps the limits in {share}."]
    losses, worst = (
        f"{_figure(before, key)} → {_figure(after, key)} kW" for key in ("loss_expected_kw", "loss_worst_kw")
    )
    now, then = (f"{_figure(row, 'v_lowest_pu', 4)} … {_figure(row, 'v_highest_pu', 4)} pu" for row in (before, after))
    effort = (method_words(result.method), f"{figures(result.seconds, 3)} s")
    return m.cards(
        m.Card("Mean loss, today → answer", losses, (f"worst {worst}", minimised)),
        s.points_card(result),
        s.gap_card(result, bound),
        m.Card("All limits hold in", kept[0] if kept else "–", (*kept[1:], asked)),
        m.Card("Lowest and highest voltage", then, (f"today {now}",)),
        s.check_card(result.ac_max_mismatch_pu, *effort),
    )


def _percent(value: object) -> str:
    return f"{value:.1%}" if isinstance(value, float) else "–"


def _comparison(result: FuturesResult) -> m.Section:
    opens = {"before": result.open_before, "mean": result.open_mean, "after": result.open_branches}
    if result.objective_kw is None:
        opens["after"] = result.least_violation_open
    counts = {"planned": result.futures.height, "sample": result.sample.height}
    titles = TITLES if result.objective_kw is not None else TITLES | {"after": "least violation met"}
    states = result.plans["topology"]
    frame = result.plans.with_columns(
        futures=pl.Series([f"{counts[name]} {_SHORT[name]}" for name in result.plans["set"]], dtype=pl.String),
        topology=pl.Series([titles[each] for each in states], dtype=pl.String),
        open_branches=pl.Series([", ".join(opens[each]) for each in states], dtype=pl.String),
    )
    caption = "Exact AC power flow in every future; losses in kW, voltages in pu, limits hold in a share of the futures"
    listed = t.listed(result, "plans", caption, ["futures", "topology"], frame=frame, last=["open_branches"])
    return m.section("Three topologies", m.Words(against_mean(result), small=True), listed)


def _violations(result: FuturesResult) -> m.Section | None:
    caption = f"Limits broken by the {s.whose(result)} ({{}})"
    phase = ["phase"] if has_phases(result.grid) else []
    names = ["future", "kind", "name", *phase, "value", "limit", "unit"]
    return t.table_section("Limits", result, "violations", caption, names, identity="broken", low=True, search=True)


def _tables(result: FuturesResult) -> list[m.Section | None]:
    future = {"future": "future"}
    return [
        t.table_section("Futures planned for", result, "futures", "{} rows", future, search=True),
        t.table_section("Other futures", result, "sample", "{} rows", future, search=True),
        *t.extremes_tables(result, "over all futures planned for"),
    ]
